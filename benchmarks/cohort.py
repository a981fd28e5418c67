"""Millions of measurements to episodes on one machine: time as a multiple of a bare scan, and peak memory.

    python benchmarks/cohort.py 10_000_000
    python benchmarks/cohort.py 100_000_000 --memory-limit 500MB

Makes an OMOP CDM once (12 rows a draw: WBC, neutrophils in 45 % of the draws and another test in the others, a
neutrophil percentage, nine other tests; three units, 15 % of the ranges missing, 1 % of the values; 6 % of the persons
on 21-day cycles; rows in the order of the load date, so those of a person are scattered), then measures each step in a
process of its own. CPU-seconds count; wall times depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

GENERATE = """
create table draws as
select
    person_id,
    day,
    draw,
    case when chemo and (day % 21) between 8 and 14 then 0.15 else 1.0 end * exp(0.3 * n1) as level,
    n1, n2, u1, u2, u3
from (
    select
        1 + i // 7 as person_id,
        i as draw,
        14610 + (hash(i // 7) % 1500)::bigint + (i % 7) * case when hash(i // 7 + 1) % 100 < 6 then 7 else 60 end as day,
        hash(i // 7 + 1) % 100 < 6 as chemo,
        ((hash(i * 2 + 1) % 2001)::double - 1000) / 600 as n1,
        ((hash(i * 3 + 2) % 2001)::double - 1000) / 600 as n2,
        (hash(i * 5 + 3) % 1000) as u1,
        (hash(i * 7 + 4) % 100) as u2,
        (hash(i * 11 + 5) % 100) as u3
    from range({draws}) t(i)
)
"""

MEASUREMENT = """
copy (
    select
        (draw * 12 + k)::bigint as measurement_id,
        person_id::bigint as person_id,
        concept::integer as measurement_concept_id,
        date '1970-01-01' + day::integer as measurement_date,
        (timestamp '1970-01-01' + to_days(day::integer) + to_minutes(360 + (u1 % 600)::integer)) as measurement_datetime,
        case when k < 2 then case when u2 < 70 then 8848 when u2 < 92 then 9444 else 8647 end
             when k = 2 then 8554 else 8840 end::integer as unit_concept_id,
        case when (draw + k) % 100 = 0 then null
             when k = 0 then round(6.8 * level, 1) * scale
             when k = 1 and concept = 3013650 then round(6.8 * level * (0.55 + 0.05 * n2), 2) * scale
             when k = 2 then round(100 * (0.55 + 0.05 * n2), 1)
             else 90 + u3 end as value_as_number,
        case when u3 < 15 then null when k = 0 then 4.0 * scale when k = 1 and concept = 3013650 then 1.8 * scale end
            as range_low,
        case when u3 < 15 then null when k = 0 then 11.0 * scale when k = 1 and concept = 3013650 then 7.5 * scale end
            as range_high
    from (
        select *,
            case when k > 1 or u2 < 92 then 1.0 else 1000.0 end as scale,
            case k when 0 then 3000905
                   when 1 then case when u1 % 100 < 45 then 3013650 else 3004410 end
                   when 2 then 3008342
                   else [3000963, 3024929, 3004501, 3016723, 3019550, 3023103, 3014576, 3015632, 3006906][k - 2] end
                as concept
        from draws, range(12) r(k)
    )
    order by day, draw % 64
) to '{folder}/measurement.parquet' (format parquet, compression zstd)
"""

PERSON = """
copy (
    select distinct person_id::bigint as person_id, case when person_id % 2 = 0 then 8507 else 8532 end as gender_concept_id,
        (1940 + person_id % 60)::integer as year_of_birth, 1 as month_of_birth, 1 as day_of_birth
    from draws
) to '{folder}/person.parquet' (format parquet)
"""

SCAN = """
select count(*), sum(hash(person_id)), max(measurement_datetime), max(measurement_id), max(measurement_concept_id),
    max(unit_concept_id), max(value_as_number), max(range_low), max(range_high)
from '{folder}/measurement.parquet'
"""


def generate(folder: Path, rows: int) -> None:
    """The CDM, once."""
    import duckdb

    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    connection.execute(f"set temp_directory = '{folder}/spill'")
    connection.execute("set enable_progress_bar = false")
    connection.execute(GENERATE.format(draws=rows // 12))
    connection.execute(PERSON.format(folder=folder))
    connection.execute(MEASUREMENT.format(folder=folder))
    connection.close()


def scan(folder: Path, memory_limit: str) -> dict[str, object]:
    """A bare scan of the columns that the run needs."""
    import duckdb

    connection = duckdb.connect()
    row = connection.execute(SCAN.format(folder=folder)).fetchone()
    return {"rows": row[0] if row else 0}


def episodes(folder: Path, memory_limit: str) -> dict[str, object]:
    """The whole way from the CDM to the episodes, written to disk."""
    import leukopenia as lk

    with lk.run(folder, format="omop", memory_limit=memory_limit, frame="native") as result:
        target = folder.parent / f"{folder.name}-episodes.parquet"
        result.engine.write(result.made.episodes, target, ["episode_id"])
        return {"episodes": len(result.tables["episodes"])}


def measure(step: str, folder: Path, memory_limit: str) -> dict[str, object]:
    """One step in a process of its own."""
    command = [
        sys.executable,
        __file__,
        "0",
        "--folder",
        str(folder),
        "--step",
        step,
        "--memory-limit",
        memory_limit,
    ]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr)
    return {**json.loads(done.stdout.splitlines()[-1]), "wall_s": round(wall, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=lambda text: int(text.replace("_", "")))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--memory-limit", default="")
    parser.add_argument("--step", choices=("scan", "episodes"))
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    if given.step:
        found = {"scan": scan, "episodes": episodes}[given.step](given.folder, given.memory_limit)
        used = resource.getrusage(resource.RUSAGE_SELF)
        found |= {"cpu_s": round(used.ru_utime + used.ru_stime, 2), "peak_mb": used.ru_maxrss // 1024}
        print(json.dumps(found))
        return
    folder = given.folder or Path.home() / ".cache" / "leukopenia-benchmarks" / f"omop-{given.rows}"
    if not (folder / "measurement.parquet").exists():
        generate(folder, given.rows)
    scans = [measure("scan", folder, "") for _ in range(given.repeat)]
    runs = [measure("episodes", folder, given.memory_limit) for _ in range(given.repeat)]
    floor = sorted(float(str(row["cpu_s"])) for row in scans)[len(scans) // 2]
    spent = sorted(float(str(row["cpu_s"])) for row in runs)[len(runs) // 2]
    for name, rows in (("scan", scans), ("episodes", runs)):
        for row in rows:
            print(name, row)
    print(f"episodes / scan, CPU: {spent / floor:.1f}")


if __name__ == "__main__":
    main()
