"""The worklist of a large clinic: time and peak memory.

    python benchmarks/monitor.py --persons 100_000 --drugs 20

Makes exposures to so many drugs with a rule in one jurisdiction (one drug a person, every fifth has a second; one to
twenty-four months), and draws of white cells, neutrophils and platelets about every two weeks, one in eight of them
left out, one person in ten with low counts now and then. Then asks, in a process of its own, who needs a count today.
CPU-seconds count; wall times depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TODAY = 20_000
DAY = 1440

EXPOSURES = """
copy (
    select
        person::bigint as patient_id,
        (list_value({drugs}))[1 + (hash(person * 3 + k) % {n})::bigint] as ingredient,
        (({today} - length - (hash(person + 11) % 60)::bigint + k * 20) * 1440)::bigint as start,
        (({today} - case when hash(person + 5) % 3 = 0 then (hash(person + 11) % 60)::bigint else 0 end) * 1440)::bigint as end,
        'administered' as status, 'systemic' as route, 1.0::double as dose, 'mg' as dose_unit, 1::bigint as rows,
        'bench' as source, (person * 2 + k)::bigint as row_id
    from (select i as person, 30 + (hash(i) % 700)::bigint as length from range({persons}) t(i)), range(2) r(k)
    where k = 0 or hash(person + 7) % 5 = 0
) to '{folder}/exposures.parquet' (format parquet)
"""

COUNTS = """
copy (
    select
        person::bigint as patient_id, analyte,
        (({today} - length - 10 + draw * 14 + (hash(person * 31 + draw) % 4)::bigint) * 1440 + 480)::bigint as minute,
        'minute' as time_precision,
        case analyte when 'platelets' then 250.0 when 'wbc' then 2.2 * level else level end as value,
        '' as comparator, null::double as low, null::double as high, 'reported' as derivation, 1::bigint as copies,
        false as conflict, false as unit_repaired, 'bench' as source, (person * 1000 + draw)::bigint as row_id
    from (
        select person, draw, length,
            case when hash(person + 3) % 10 = 0 and hash(person * 17 + draw) % 8 = 0
                 then 0.3 + (hash(person + draw) % 17) / 10.0 else 3.8 end as level
        from (select i as person, 30 + (hash(i) % 700)::bigint as length from range({persons}) t(i)), range(60) r(draw)
        where draw * 14 <= length + 10 and hash(person * 13 + draw) % 8 > 0
    ), (values ('wbc'), ('neutrophils'), ('platelets')) a(analyte)
    order by minute
) to '{folder}/counts.parquet' (format parquet)
"""

PATIENTS = """
copy (
    select i::bigint as patient_id, 'unknown' as sex, 0::bigint as birth, 'day' as birth_precision, null::bigint as death,
        null::bigint as hiv_from, i % 12 = 0 as duffy_null
    from range({persons}) t(i)
) to '{folder}/patients.parquet' (format parquet)
"""

PERIODS = """
copy (select i::bigint as patient_id, 10_000 * 1440::bigint as start, {today} * 1440::bigint as end from range({persons}) t(i))
to '{folder}/periods.parquet' (format parquet)
"""


def generate(folder: Path, persons: int, drugs: int, jurisdiction: str) -> None:
    """The records, once."""
    import duckdb

    from leukopenia import knowledge

    rules = [row for row in knowledge.load()["monitoring_rules"] if row["jurisdiction"] == jurisdiction]
    names = sorted({drug for row in rules for drug in row["drugs"].split(";")})[:drugs]
    quoted = ", ".join(f"'{name}'" for name in names)
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")
    for query in (EXPOSURES, COUNTS, PATIENTS, PERIODS):
        connection.execute(query.format(folder=folder, persons=persons, today=TODAY, drugs=quoted, n=len(names)))
    connection.close()


def measure(folder: Path, engine_name: str, jurisdiction: str, memory_limit: str) -> dict[str, object]:
    """Everything the worklist needs, collected."""
    from leukopenia import knowledge, monitoring
    from leukopenia.engine import open_engine
    from leukopenia.policy import Policy

    engine = open_engine(engine_name, memory_limit=memory_limit)
    names = ("exposures", "counts", "patients", "periods")
    policy = Policy.of({"monitor.jurisdiction": jurisdiction})
    started, cpu = time.perf_counter(), time.process_time()
    frames = [engine.scan([folder / f"{name}.parquet"]) for name in names]
    made = monitoring.monitor(*frames, engine, knowledge.load(), policy, (TODAY + 1) * DAY - 1)
    rows = monitoring.worklist(made, engine)
    told = {
        "wall_s": round(time.perf_counter() - started, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "persons_on_worklist": len(rows),
        "due_counts": len(engine.collect(made.due_counts.select("due"))),
    }
    engine.close()
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=100_000)
    parser.add_argument("--drugs", type=int, default=20)
    parser.add_argument("--jurisdiction", default="us")
    parser.add_argument("--engine", default="duckdb")
    parser.add_argument("--memory-limit", default="")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--generate", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.generate:
        generate(args.folder, args.persons, args.drugs, args.jurisdiction)
        return
    if args.folder:
        print(json.dumps(measure(args.folder, args.engine, args.jurisdiction, args.memory_limit)))
        return
    with tempfile.TemporaryDirectory(prefix="leukopenia-bench-") as folder:
        command = [sys.executable, __file__, "--folder", folder, "--jurisdiction", args.jurisdiction]
        size = ["--persons", str(args.persons), "--drugs", str(args.drugs)]
        # In a process of its own: a child's peak memory is never less than that of its parent.
        subprocess.run([*command, *size, "--generate"], check=True)
        command += ["--engine", args.engine, "--memory-limit", args.memory_limit]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


if __name__ == "__main__":
    main()
