"""`grade` against what others have published: admiral's own test cases, and the text of the standards."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import leukopenia as lk

STANDARDS = {
    "CTCAE v4": "ctcae-4.03",
    "CTCAE v5": "ctcae-5.0",
    "CTCAE v6": "ctcae-6.0",
    "DAIDS v2.1": "daids-2.1",
}
TERMS = {
    "white blood cell decreased": "wbc",
    "neutrophil count decreased": "neutrophils",
    "lymphocyte count decreased": "lymphocytes",
    "cd4 lymphocytes decreased": "cd4",
    "leukocytosis": "wbc",
    "lymphocyte count increased": "lymphocytes",
    "wbc, decreased": "wbc",
    "absolute neutrophil count (anc), low": "neutrophils",
    "absolute lymphocyte count, low": "lymphocytes",
    "absolute cd4+ count, low": "cd4",
}
SCHEMA: dict[str, Any] = {
    "case": pl.Int64,
    "standard_asked": pl.String,
    "direction": pl.String,
    "analyte": pl.String,
    "value": pl.Float64,
    "unit": pl.String,
    "low": pl.Float64,
    "high": pl.Float64,
    "age_days": pl.Int64,
    "expected": pl.Int64,
}


def _number(text: str) -> float | None:
    return None if text == "NA" else float(text)


def _age(born: str, taken: str) -> int | None:
    if "NA" in (born, taken):
        return None
    return (date.fromisoformat(taken) - date.fromisoformat(born)).days


def _published(shared: Path) -> pl.DataFrame:
    path = shared / "data" / "admiral-grading" / "cases.tsv"
    if not path.is_file():
        pytest.skip("no admiral grading cases in the shared data")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [_case(number, row) for number, row in enumerate(csv.DictReader(file, delimiter="\t"))]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _case(number: int, row: Mapping[str, str]) -> tuple[Any, ...]:
    grade = None if row["expected_grade"] == "NA" else int(row["expected_grade"])
    return (
        number,
        STANDARDS[row["standard"]],
        {"L": "low", "H": "high"}[row["direction"]],
        TERMS.get(row["term"].lower(), ""),
        _number(row["value"]),
        "" if row["unit"] == "NA" else row["unit"],
        _number(row["lln"]),
        _number(row["uln"]),
        _age(row["birth_date"], row["lab_date"]),
        grade,
    )


def _graded(cases: pl.DataFrame, policy: Mapping[str, Any]) -> pl.DataFrame:
    """Each case under the one standard and direction it was written for."""
    groups = cases.partition_by("standard_asked", "direction", as_dict=True)
    made = [
        lk.grade(group, standards=[str(standard)], direction=str(direction), policy=policy)
        for (standard, direction), group in groups.items()
    ]
    return pl.concat(made).sort("case")


def _differing(cases: pl.DataFrame, policy: Mapping[str, Any]) -> pl.DataFrame:
    graded = _graded(cases, policy)
    assert graded.height == cases.height
    assert graded.filter(pl.col("grade").is_null() != (pl.col("reason") != "")).is_empty()
    return graded.filter(~pl.col("grade").eq_missing(pl.col("expected")))


@pytest.mark.shared
def test_every_published_case_with_the_units_of_its_package(shared: Path) -> None:
    cases = _published(shared)
    assert cases.height == 1023
    assert _differing(cases, {"unit_whitelist": "admiral"}).rows() == []


@pytest.mark.shared
def test_with_our_own_parser_only_units_that_the_package_refuses_differ(shared: Path) -> None:
    differing = _differing(_published(shared), {})
    assert set(differing["unit"]) == {"10^8/L", "MM3"}
    # The package leaves them ungraded; we read them, so that no grade is contradicted.
    assert differing["expected"].null_count() == differing.height


LLN = 2.0
ADULT = 40 * 365
NEIGHBOURS = (0.1 + 0.2, 1.4999999999999998, 0.49999999999999994, 0.9999999999999999, 1.5000000000000002)


def _by_neutrophils(standard: str, low: float | None, grades: Mapping[float, int | None]) -> list[tuple[Any, ...]]:
    return [("neutrophils", value, "10^9/L", low, ADULT, standard, grade) for value, grade in grades.items()]


OWN: list[tuple[Any, ...]] = [
    # CTCAE 5.0, laboratory limit 2.0: a threshold belongs to the milder grade.
    *_by_neutrophils(
        "ctcae-5.0",
        LLN,
        {0.0: 4, 0.499999: 4, 0.5: 3, 0.500001: 3, 0.999999: 3, 1.0: 2, 1.000001: 2}
        | {1.499999: 2, 1.5: 1, 1.500001: 1, 1.999999: 1, 2.0: 0, 2.000001: 0, 7.0: 0},
    ),
    # A laboratory limit below 1.5 settles nothing below 1.5: the absolute cut-offs come first.
    *_by_neutrophils("ctcae-5.0", 1.2, {1.19: 2, 1.2: 2, 1.3: 2, 1.499999: 2, 1.5: 0, 1.9: 0}),
    # Without a limit, what the cut-offs do not settle is unknown, never 0.
    *_by_neutrophils("ctcae-5.0", None, {0.0: 4, 1.499999: 2, 1.5: None, 1.9: None, 8.0: None}),
    # Version 6 has no limit of the laboratory, and every cut-off moved by one grade.
    *_by_neutrophils(
        "ctcae-6.0",
        None,
        {0.0: 4, 0.05: 4, 0.099999: 4, 0.1: 3, 0.100001: 3, 0.45: 3, 0.499999: 3, 0.5: 2, 0.7: 2}
        | {0.999999: 2, 1.0: 1, 1.3: 1, 1.499999: 1, 1.5: 0, 1.9: 0},
    ),
    # Neighbours in the last bit are float noise, not another result.
    *[
        ("neutrophils", value, "10^9/L", LLN, ADULT, standard, grade)
        for standard, grades in (("ctcae-5.0", (4, 1, 3, 2, 1)), ("ctcae-6.0", (3, 0, 2, 1, 0)))
        for value, grade in zip(NEIGHBOURS, grades, strict=True)
    ],
    # DAIDS 2.1: the only standard that asks the age, and whose first grade of neutrophils includes its limit.
    *_by_neutrophils(
        "daids-2.1",
        None,
        {0.3: 4, 0.399999: 4, 0.4: 3, 0.45: 3, 0.599999: 3, 0.6: 2, 0.799999: 2, 0.8: 1, 1.0: 1, 1.000001: 0},
    ),
    *[
        ("neutrophils", value, "10^9/L", None, days, "daids-2.1", grade)
        for value, days, grade in (
            *((5.0, 0, 1), (5.000001, 1, 0), (3.999999, 1, 2), (1.499999, 1, 4)),
            *((1.5, 2, 1), (1.500001, 2, 0), (1.249999, 7, 2), (1.0, 7, 2), (1.0, 8, 1)),
            (0.7, None, None),
        )
    ],
    *[
        ("wbc", value, "10^9/L", None, days, "daids-2.1", grade)
        for value, days, grade in (
            (6.999999, 7, 1),
            (7.0, 7, 0),
            (2.5, 8, 0),
            (2.499999, 8, 1),
            (0.999999, 8, 4),
        )
    ],
    *[
        (analyte, value, "10^9/L", None, days, "daids-2.1", grade)
        for analyte, value, days, grade in (
            *(("lymphocytes", 0.649999, ADULT, 1), ("lymphocytes", 0.65, ADULT, 0), ("cd4", 0.1, ADULT, 3)),
            *(("lymphocytes", 0.3, 5 * 365, None), ("cd4", 0.099999, ADULT, 4)),
        )
    ],
    # The other lines of CTCAE, and the term that version 6 took away.
    *[
        (analyte, value, "10^9/L", low, ADULT, standard, grade)
        for analyte, value, low, standard, grade in (
            *(
                ("wbc", 0.999999, 4.0, "ctcae-5.0", 4),
                ("wbc", 3.0, 4.0, "ctcae-6.0", 1),
                ("wbc", 4.0, 4.0, "ctcae-6.0", 0),
            ),
            *(("lymphocytes", 0.2, 1.0, "ctcae-5.0", 3), ("lymphocytes", 0.2, 1.0, "ctcae-6.0", None)),
            *(("cd4", 0.05, 0.5, "ctcae-4.03", 3), ("cd4", 0.049999, 0.5, "ctcae-6.0", 4)),
        )
    ],
    # The same count in other units.
    ("neutrophils", 499.0, "/uL", None, ADULT, "ctcae-5.0", 4),
    ("neutrophils", 500.0, "cells/mm3", None, ADULT, "ctcae-5.0", 3),
    ("neutrophils", 0.5, "10*3/uL", None, ADULT, "ctcae-6.0", 2),
    ("neutrophils", 0.5, "", None, ADULT, "ctcae-6.0", None),
]
COLUMNS = ("analyte", "value", "unit", "low", "age_days", "standard_asked", "expected")


def _own() -> pl.DataFrame:
    rows = [(number, *row) for number, row in enumerate(OWN)]
    schema = {name: SCHEMA[name] for name in ("case", *COLUMNS)}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(direction=pl.lit("low"))


def test_the_standards_as_they_are_printed() -> None:
    differing = _differing(_own(), {})
    assert differing.select("case", *COLUMNS, "grade", "reason").rows() == []


def _duckdb_rows(frame: pl.DataFrame) -> pl.DataFrame:
    connection = duckdb.connect()
    connection.register("incoming", frame.to_arrow())
    made = lk.grade(connection.sql("from incoming"), standards=STANDARDS.values())
    assert isinstance(made, duckdb.DuckDBPyRelation)
    return made.pl()


def _pandas_rows(frame: pl.DataFrame) -> pl.DataFrame:
    made = lk.grade(frame.to_pandas(), standards=STANDARDS.values())
    assert isinstance(made, pd.DataFrame)
    return pl.from_pandas(made)


def _arrow_rows(frame: pl.DataFrame) -> pl.DataFrame:
    made = lk.grade(frame.to_arrow(), standards=STANDARDS.values())
    assert isinstance(made, pa.Table)
    return pl.DataFrame(made)


@pytest.mark.parametrize("rows", [_duckdb_rows, _pandas_rows, _arrow_rows])
def test_every_kind_of_frame_gives_the_same_grades(rows: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    frame = _own()
    expected = lk.grade(frame, standards=STANDARDS.values())
    assert isinstance(expected, pl.DataFrame)
    assert expected.height == frame.height * len(STANDARDS)
    names = ["case", "standard", "grade", "reason"]
    found = rows(frame).select(pl.col("case", "grade").cast(pl.Int64), "standard", "reason").select(names)
    assert found.sort("case", "standard").rows() == expected.select(names).sort("case", "standard").rows()
