"""Drug rows -> exposures: the room against its twin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st
from running import SPARK_EXAMPLES, Case, Room, Row, alike, compare_packed, explore, gather, load

from leukopenia.engine import Engine, Frame
from leukopenia.harmonise import drugs
from plain import drugs as plain

DAY = 1440
INGREDIENTS = {
    "clozapine": ["drug:clozapine"],
    "co-trimoxazole": ["drug:sulfamethoxazole", "drug:trimethoprim"],
}
TIMES = [day * DAY + minute for day in (0, 1, 7, 8, 15, 30, -3) for minute in (-1, 0, 1)]


def _signal(name: str) -> Row:
    return {"system": "", "code": "", "name": name, "route": "oral"}


MEANINGS = {tuple(_signal(name).values()): found for name, found in INGREDIENTS.items()}


@st.composite
def drug_cases(draw: Any) -> Case:
    """Up to 12 rows of two persons, of drugs with one ingredient, two, or none that is known."""
    rows = [_row(draw, number) for number in range(draw(st.integers(1, 12)))]
    choices = {
        "exposure.join_days": draw(st.sampled_from(["7", "7", "0"])),
        "exposure.orders": draw(st.sampled_from(["yes", "yes", "no"])),
    }
    return Case({"raw_drugs": rows}, draw(st.booleans()), tuple(choices.items()))


def _row(draw: Any, number: int) -> Row:
    start = draw(st.sampled_from([None, *TIMES]))
    return {
        **{
            "source": draw(st.sampled_from(["a", "b"])),
            "row_id": number * 5 % 12,
            "patient_id": draw(st.sampled_from([1, 1, 2])),
        },
        "start": start,
        "end": draw(st.sampled_from([None, *TIMES])),
        "time_precision": "none" if start is None else draw(st.sampled_from(["minute", "day"])),
        **_signal(draw(st.sampled_from(["clozapine", "clozapine", "co-trimoxazole", "unknown"]))),
        "status": draw(st.sampled_from(["administered", "dispensed", "stated", "ordered", "ordered", "not_given"])),
        "dose": draw(st.sampled_from([None, 0.0, 12.5, 100.0])),
        "dose_unit": draw(st.sampled_from(["", "mg"])),
    }


def run(case: Case, engine: Engine) -> Mapping[str, Frame]:
    raw = load(case, engine, "raw_drugs", "raw_drugs", {"code": pl.String})
    known = [_signal(name) | {"ingredient": one, "reason": ""} for name, found in INGREDIENTS.items() for one in found]
    given = engine.materialise(drugs.given(raw, engine.load(pl.DataFrame(known), "ingredients")), "given")
    policy = case.chosen
    made = drugs.exposures(given, policy.number("exposure.join_days"), policy.flag("exposure.orders"))
    return {"given": given, "exposures": made, "issues": drugs.set_aside(given)}


def twin(case: Case) -> Mapping[str, list[Row]]:
    given = plain.given(case.tables["raw_drugs"], MEANINGS)
    policy = case.chosen
    usable = [row for row in given if not row["reason"]]
    assert len(given) == len(usable) + sum(row["set_aside"] for row in plain.issues(given))
    return {
        "given": given,
        "exposures": plain.exposures(given, policy.number("exposure.join_days"), policy.flag("exposure.orders")),
        "issues": plain.issues(given),
    }


ROOM = Room(
    {
        "given": ("source", "row_id", "ingredient"),
        "exposures": ("patient_id", "ingredient", "start"),
        "issues": ("source", "row_id", "reason", "detail"),
    },
    run,
    twin,
)


def test_exposures_on_polars() -> None:
    explore(ROOM, drug_cases())


def test_exposures_on_duckdb(duckdb: Engine) -> None:
    compare_packed(ROOM, gather(drug_cases()), duckdb)


@pytest.mark.spark
def test_exposures_on_spark(spark: Engine) -> None:
    compare_packed(ROOM, alike(gather(drug_cases(), SPARK_EXAMPLES)), spark)
