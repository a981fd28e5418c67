"""A million episodes with some ten candidates each: CPU-seconds of the spine, of the causes on top, and peak memory.

    python benchmarks/explain.py 500_000 [--memory-limit 2GB]

Makes an OMOP CDM once: persons with seven draws of four counts, two of them low (an episode of the white cells and one of
the neutrophils), two drug exposures and a condition; then runs it in a process of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEASUREMENT = """
copy (
    select (p * 28 + d * 4 + k)::bigint as measurement_id, p::bigint as person_id,
        [3000905, 3013650, 3000963, 3024929][k + 1]::integer as measurement_concept_id,
        date '2020-01-01' + (p % 900 + d * 14)::integer as measurement_date,
        timestamp '2020-01-01 08:00' + to_days((p % 900 + d * 14)::integer) as measurement_datetime,
        case k when 2 then 8713 else 8848 end::integer as unit_concept_id,
        round(case k when 0 then 6.5 when 1 then 4.0 when 2 then 13.5 else 250 end
            * case when d in (3, 4) and k < 2 then 0.25 when d in (3, 4) and p % 4 = 0 then 0.5 else 1.0 end
            * (0.9 + (hash(p * 31 + d * 7 + k) % 200) / 1000.0), 2) as value_as_number,
        [4.0, 1.8, 12.0, 150][k + 1] as range_low, [11.0, 7.5, 17.0, 400][k + 1] as range_high
    from range(1, {persons} + 1) a(p), range(7) b(d), range(4) c(k)
) to '{folder}/measurement.parquet' (format parquet)
"""

DRUG = """
copy (
    select (p * 2 + e)::bigint as drug_exposure_id, p::bigint as person_id,
        ({drugs})[1 + (hash(p * 13 + e) % {n})::bigint]::integer as drug_concept_id,
        date '2020-01-01' + (p % 900 + hash(p * 17 + e) % 45)::integer as drug_exposure_start_date,
        date '2020-01-01' + (p % 900 + hash(p * 17 + e) % 45 + 5 + hash(p * 19 + e) % 60)::integer as drug_exposure_end_date,
        32838 as drug_type_concept_id
    from range(1, {persons} + 1) a(p), range(2) b(e)
) to '{folder}/drug_exposure.parquet' (format parquet)
"""

CONDITION = """
copy (
    select p::bigint as condition_occurrence_id, p::bigint as person_id,
        [257628, 4064161, 201606, 439727, 132797, 4266367][1 + (p % 6)::bigint]::integer as condition_concept_id,
        date '2020-01-01' + (p % 900 + 20)::integer as condition_start_date, null::date as condition_end_date
    from range(1, {persons} + 1) a(p)
) to '{folder}/condition_occurrence.parquet' (format parquet)
"""

PERSON = """
copy (
    select p::bigint as person_id, case when p % 2 = 0 then 8507 else 8532 end::integer as gender_concept_id,
        (1940 + p % 60)::integer as year_of_birth, 1 as month_of_birth, 1 as day_of_birth
    from range(1, {persons} + 1) a(p)
) to '{folder}/person.parquet' (format parquet)
"""


def generate(folder: Path, persons: int) -> None:
    """The CDM, once."""
    import duckdb

    from leukopenia import knowledge

    rows = knowledge.load()["ingredients"]
    ids = [int(row["omop_concept_id"].split(";")[0]) for row in rows if row["omop_concept_id"]][:120]
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    for text in (MEASUREMENT, DRUG, CONDITION, PERSON):
        connection.execute(text.format(folder=folder, persons=persons, drugs=ids, n=len(ids)))


def run(folder: Path, memory_limit: str) -> dict[str, object]:
    """CPU-seconds stage by stage."""
    import leukopenia as lk

    marks: list[tuple[str, float]] = []

    def mark(stage: str) -> None:
        marks.append((stage, time.process_time()))

    with lk.run(folder, format="omop", memory_limit=memory_limit, frame="native", progress=mark) as result:
        mark("end")
        causes = result.tables["causes"]
        candidates = causes.aggregate("count(*) as n, count(distinct episode_id) as e").fetchall()[0]
    spent = {stage: round(later - at, 1) for (stage, at), (_, later) in itertools.pairwise(marks)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    spine = round(sum(value for stage, value in spent.items() if stage != "causes"), 1)
    return {
        "episodes": candidates[1],
        "candidates": candidates[0],
        "spine_cpu_s": spine,
        "causes_cpu_s": spent["causes"],
        "ratio": round((spine + spent["causes"]) / spine, 2),
        "peak_gb": round(peak, 2),
        "stages": spent,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("persons", type=lambda text: int(text.replace("_", "")))
    parser.add_argument("--memory-limit", default="")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.gettempdir()) / f"leukopenia-explain-{args.persons}"
    if not (folder / "person.parquet").exists():
        generate(folder, args.persons)
    if args.here:
        print(json.dumps(run(folder, args.memory_limit)))
        return
    command = [sys.executable, __file__, str(args.persons), "--folder", str(folder), "--here"]
    subprocess.run([*command, "--memory-limit", args.memory_limit], check=True)


if __name__ == "__main__":
    main()
