"""Counts of a few persons over weeks -> personal limits: the room against its twin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st
from running import KNOWLEDGE, SPARK_EXAMPLES, Case, Room, Row, alike, compare_packed, explore, gather, load

from leukopenia.engine import Engine, Frame
from leukopenia.reference.personal import personal_limits
from plain import personal as plain

DAY, WEEK = 1440, 7 * 1440
YEARS = 8766
POLICIES: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("personal.counts", "1"), ("personal.analytical_cv", "3")),
    (("personal.counts", "0"), ("personal.percentile", "5")),
    (("personal.from_years", "0"), ("personal.counts", "2")),
)
INTERVALS = ((4.0, 11.0), (3.99, 12.21), (6.0, 8.0), (None, 11.0), (4.0, None), (0.0, 5.0), (5.0, 5.0))
VALUES = (0.0, 3.9, 4.0, 4.2, 4.999999, 5.1, 6.3, 7.0, 7.7, 9.5, 11.0, 11.000001, 25.0)
LIMITS = {"limit_low": pl.Float64, "limit_high": pl.Float64, "age_hours": pl.Int64}


@st.composite
def personal_cases(draw: Any) -> Case:
    """Up to thirty counts of two persons, within and beside their limits, some in one week."""
    counts = {}
    for number in range(draw(st.integers(1, 30))):
        row = _count(draw, number)
        counts[row["patient_id"], row["analyte"], row["minute"]] = row
    choice = draw(st.integers(0, len(POLICIES) - 1))
    return Case({"counts": list(counts.values())}, choice % 2 == 1, POLICIES[choice])


def _count(draw: Any, number: int) -> Row:
    usual = draw(st.integers(0, 3)) > 0
    low, high = (4.0, 11.0) if usual else draw(st.sampled_from(INTERVALS))
    return {
        "patient_id": draw(st.integers(1, 2)),
        "analyte": draw(st.sampled_from(["wbc", "wbc", "wbc", "neutrophils", "lymphocytes", "platelets"])),
        "minute": draw(st.integers(0, 9)) * WEEK + draw(st.sampled_from([0, 0, 1, DAY, WEEK - 1])) - WEEK,
        "time_precision": "minute",
        "value": draw(st.sampled_from(VALUES)),
        "comparator": draw(st.sampled_from([""] * 9 + ["<", "<=", ">"])),
        "low": None,
        "high": None,
        "derivation": "reported",
        "copies": 1,
        "conflict": draw(st.integers(0, 19)) == 0,
        "unit_repaired": draw(st.integers(0, 19)) == 0,
        "source": "a",
        "row_id": number,
        "limit_low": low,
        "limit_high": high,
        "age_hours": 30 * YEARS if usual else draw(st.sampled_from([None, 0, 18 * YEARS - 1, 18 * YEARS])),
    }


def run(case: Case, engine: Engine) -> Mapping[str, Frame]:
    counts = load(case, engine, "counts", "counts", LIMITS)
    return {"personal_limits": personal_limits(counts, KNOWLEDGE, case.chosen)}


def twin(case: Case) -> Mapping[str, list[Row]]:
    counts, policy = case.tables["counts"], case.chosen.values
    rows = [
        row
        for person in sorted({count["patient_id"] for count in counts})
        for row in plain.personal_limits(
            [count for count in counts if count["patient_id"] == person], KNOWLEDGE["biological_variation"], policy
        )
    ]
    return {"personal_limits": rows}


# Logarithms are kept to millionths, and so are limits: together they can be off by a few.
ROOM = Room({"personal_limits": ("patient_id", "analyte", "minute")}, run, twin, tolerance=3e-5)


def test_personal_limits_on_polars() -> None:
    explore(ROOM, personal_cases())


def test_personal_limits_on_duckdb(duckdb: Engine) -> None:
    compare_packed(ROOM, gather(personal_cases()), duckdb)


@pytest.mark.spark
def test_personal_limits_on_spark(spark: Engine) -> None:
    compare_packed(ROOM, alike(gather(personal_cases(), SPARK_EXAMPLES)), spark)
