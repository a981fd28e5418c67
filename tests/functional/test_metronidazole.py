"""Counts before and after metronidazole: the figures of the manual, and an own-made twin whose answer is known."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from real import folder_of

import leukopenia as lk

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script(script_at: Callable[[Path], ModuleType]) -> ModuleType:
    return script_at(ROOT / "docs" / "metronidazole.py")


WBC, PERCENT, DOSE = "LAB//51301//K/uL", "LAB//51256//%", "MEDICATION//Metronidazole//Administered"
Event = tuple[int, str, float | None]


def total(day: int) -> list[Event]:
    return [(day, WBC, 6.0)]


def full(day: int) -> list[Event]:
    return [*total(day), (day, PERCENT, 60.0)]


def events() -> pl.DataFrame:
    """Four persons given the drug on days 10 to 14, and what is counted around it.

    A fifth was counted long before, so that the records of the source do not begin with the drug.
    """
    doses = [(day, DOSE, None) for day in (10, 12, 14)]
    persons: list[list[Event]] = [
        [*full(8), *doses, *full(20)],
        [*full(9), *doses, *total(17)],
        [*total(9), *doses, *full(29)],
        doses,
        full(-40),
    ]
    rows = [
        (number, datetime(2020, 5, 1, 8) + timedelta(days=day), code, value)
        for number, found in enumerate(persons, start=1)
        for day, code, value in found
    ]
    schema = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String, "numeric_value": pl.Float32}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_a_twin_whose_answer_is_known(script: ModuleType) -> None:
    courses = script.around(script.tables({"events": events()}))
    whole = next(row for row in script.figures(courses) if row["kind"] == "full")
    alone = next(row for row in script.figures(courses) if row["kind"] == "total")
    told = ("courses", "persons", "before", "after", "both", "neither")
    assert [whole[name] for name in told] == [4, 4, 2, 1, 1, 2]
    assert [alone[name] for name in told] == [4, 4, 3, 2, 2, 1]
    assert whole["days_before"] == "1.5 (1.0 to 2.0)"
    assert whole["days_after"] == "6.0 (6.0 to 6.0)"
    assert script.unknowns(courses) == {
        "none after the end": 3,
        "a total count alone": 1,
        "begun again before the count was due": 0,
        "died before the count was due": 0,
        "no count of the person ever again": 1,
    }


@pytest.mark.shared
def test_the_figures_of_the_manual_come_out(script: ModuleType) -> None:
    courses = script.around(script.tables(folder_of("mimic-iv-demo-meds") / "events.parquet"))
    text = script.PAGE.read_text(encoding="utf-8")
    assert script.with_tables(text, script.page(courses)) == text, "python docs/metronidazole.py"
    whole = next(row for row in script.figures(courses) if row["kind"] == "full")
    alone = next(row for row in script.figures(courses) if row["kind"] == "total")
    gone = script.unknowns(courses)
    for words in (
        f"{whole['before']} of {whole['courses']} courses",
        f"{whole['after']} of {whole['courses']} have both counts, {alone['after']} a total count",
        f"In {gone['a total count alone']} somebody",
        f"{courses.filter(~pl.col('given')).height} of the {courses.height} courses are orders",
        f"{courses.filter(pl.col('course') > 1).height} of the {courses.height} courses were a second one",
        f"Of the {gone['none after the end']} courses",
    ):
        assert words in re.sub(r"\*\*", "", text), words


@pytest.mark.shared
def test_the_monitor_says_the_same_where_it_can_tell(script: ModuleType) -> None:
    """Every count that the engine took for one before or after the treatment is there, and no other."""
    source = folder_of("mimic-iv-demo-meds") / "events.parquet"
    with lk.run(source, policy={"monitor.jurisdiction": "us"}) as result:
        dues = result.tables["due_counts"].filter(pl.col("drug") == script.DRUG)
    courses = script.around(script.tables(source))
    known = dues.filter(pl.col("state").is_in(["fulfilled", "missed"]))
    for kind, column in (("baseline", "days_before_full"), ("after_end", "days_after_full")):
        both = known.filter(pl.col("kind") == kind).join(courses, on=["patient_id", "course"])
        assert both.height >= 9
        assert both.filter((pl.col("state") == "fulfilled") != pl.col(column).is_not_null()).height == 0, kind
