"""Limits of ten thousand strata in one pass: from a Parquet file of results to a table of limits.

    python benchmarks/reference_strata.py --strata 10_000 --results 1000 --jobs 2

Makes results of one analyte: every stratum has a centre of its own, nine in ten results are healthy, one in twenty is
low and one in twenty high, rounded to 0.1. Then runs the command in a process of its own. CPU-seconds count, those of
its processes together; wall times depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = """
copy (
    select 'wbc' as test, '10*9/L' as unit, stratum::varchar as ward, round(greatest(0.1, case
        when part < 0.9 then exp(ln(5.5 + (hash(stratum) % 200) / 100.0) + 0.25 * z)
        when part < 0.95 then 2.5 + 0.8 * z else 13 + 3 * z end), 1) as value
    from (
        select stratum, u as part, sqrt(-2 * ln(greatest(a, 1e-12))) * cos(2 * pi() * b) as z
        from (
            select i % {strata} as stratum, (hash(i * 3 + 1) % 1000003) / 1000003.0 as u,
                (hash(i * 5 + 2) % 1000003) / 1000003.0 as a, (hash(i * 7 + 3) % 1000003) / 1000003.0 as b
            from range({rows}) t(i)
        )
    )
) to '{path}' (format parquet)
"""


def generate(path: Path, strata: int, results: int) -> None:
    """The file of results, once."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")
    connection.execute(RESULTS.format(path=path, strata=strata, rows=strata * results))
    connection.close()


def measure(path: Path, jobs: int) -> dict[str, object]:
    """One run of the command."""
    target = path.with_name("limits.parquet")
    command = [sys.executable, "-m", "leukopenia", "reference", str(path), "--by", "ward", "--jobs", str(jobs)]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([*command, "-o", str(target)], check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    import polars as pl

    limits = pl.read_parquet(target)
    return {
        "strata": limits.height,
        "with_limits": limits["lower"].count(),
        "median_width_of_lower_interval": round(float((limits["lower_to"] - limits["lower_from"]).median()), 3),
        "wall_s": round(time.perf_counter() - started, 1),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "largest_process_gb": round(after.ru_maxrss / 1e6, 2),
        "said": done.stderr.strip(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strata", type=int, default=10_000)
    parser.add_argument("--results", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leukopenia-bench-") as folder:
        path = Path(folder) / "results.parquet"
        generate(path, args.strata, args.results)
        print(json.dumps({"results": args.strata * args.results, "jobs": args.jobs} | measure(path, args.jobs)))


if __name__ == "__main__":
    main()
