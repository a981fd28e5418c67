"""One patient with 300 counts through the whole pipeline, warm: from rows in memory to episodes, and to the page.

python benchmarks/one_patient.py
"""

from __future__ import annotations

import random
import statistics
import time
from datetime import datetime, timedelta

import polars as pl

import leukopenia as lk


def patient(draws: int = 100) -> pl.DataFrame:
    """WBC, neutrophils and lymphocytes of one person, with two nadirs."""
    chance = random.Random(1)
    start = datetime(2024, 1, 1, 8)
    rows = []
    for day in range(draws):
        level = 0.1 if day % 50 in range(10, 18) else 1.0
        for test, usual, low, high in (
            ("WBC", 6.5, 4.0, 11.0),
            ("Neutrophils", 4.0, 1.8, 7.5),
            ("Lymphocytes", 1.8, 1.0, 4.0),
        ):
            value = round(usual * level * chance.uniform(0.8, 1.2), 2)
            rows.append(("p1", (start + timedelta(days=day)).isoformat(), test, value, "10*3/uL", low, high))
    return pl.DataFrame(rows, schema=["patient", "time", "test", "value", "unit", "low", "high"], orient="row")


def timed(work: object, times: int = 15) -> list[float]:
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        work()  # type: ignore[operator]
        spent.append(1000 * (time.perf_counter() - started))
    return spent


def main() -> None:
    rows = patient()

    def episodes() -> None:
        with lk.run(rows) as result:
            assert len(result.tables["episodes"])

    def page() -> None:
        with lk.run(rows) as result:
            result.report()

    for name, work in (("episodes", episodes), ("with the report", page)):
        first = timed(work, 1)[0]
        spent = timed(work)
        print(f"{name}: first {first:.0f} ms, then median {statistics.median(spent):.0f} ms, least {min(spent):.0f} ms")


if __name__ == "__main__":
    main()
