"""Diagnoses and persons -> conditions, patients and observation periods: the rooms against their twin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st
from running import SPARK_EXAMPLES, Case, Room, Row, alike, compare_packed, explore, gather, load

from leukopenia.engine import Engine, Frame
from leukopenia.harmonise import diagnoses, persons
from plain import people as plain

TIMES = [-2_000_000, -1_000_000_001, 0, 0, 1440, 1441, 50_000]
CONDITIONS = {
    "HIV": ["cond:hiv"],
    "HIV and Duffy": ["cond:hiv", "cond:ethnic-neutropenia"],
    "benign ethnic neutropenia": ["cond:ethnic-neutropenia"],
    "sprain": ["text|sprain"],
}


def _signal(name: str) -> Row:
    return {"system": "", "code": "", "name": name}


MEANINGS = {tuple(_signal(name).values()): found for name, found in CONDITIONS.items()}


@st.composite
def people_cases(draw: Any) -> Case:
    """Two sources that say different things of three persons, one of whom may have counts alone."""
    tables = {
        "raw_conditions": [_condition(draw, number) for number in range(draw(st.integers(0, 6)))],
        "raw_persons": [_person(draw, number) for number in range(draw(st.integers(0, 5)))],
        "raw_periods": [_base(draw, number) | _span(draw) for number in range(draw(st.integers(0, 4)))],
        "counted": [{"patient_id": one} for one in draw(st.sets(st.sampled_from([1, 2, 3])))],
    }
    return Case(tables, draw(st.booleans()))


def _base(draw: Any, number: int) -> Row:
    return {
        "source": draw(st.sampled_from(["a", "b"])),
        "row_id": number * 5 % 12,
        "patient_id": draw(st.sampled_from([1, 1, 2])),
    }


def _span(draw: Any) -> Row:
    start = draw(st.sampled_from([None, *TIMES]))
    precision = "none" if start is None else draw(st.sampled_from(["minute", "day"]))
    return {"start": start, "end": draw(st.sampled_from([None, *TIMES])), "time_precision": precision}


def _condition(draw: Any, number: int) -> Row:
    return {
        **_base(draw, number),
        **_span(draw),
        **_signal(draw(st.sampled_from([*CONDITIONS, "never heard of"]))),
        "certainty": draw(st.sampled_from(["confirmed", "provisional", ""])),
    }


def _person(draw: Any, number: int) -> Row:
    birth = draw(st.sampled_from([None, *TIMES]))
    return {
        **_base(draw, number),
        "sex": draw(st.sampled_from(["male", "female", "other", "unknown"])),
        "birth": birth,
        "birth_precision": "none" if birth is None else draw(st.sampled_from(["minute", "day", "month", "year"])),
        "death": draw(st.sampled_from([None, None, *TIMES])),
    }


def run(case: Case, engine: Engine) -> Mapping[str, Frame]:
    raw = load(case, engine, "raw_conditions", "raw_conditions", {"code": pl.String})
    known = [_signal(name) | {"condition": one} for name, found in CONDITIONS.items() for one in found]
    meaning = engine.load(pl.DataFrame(known), "meanings")
    conditions = engine.materialise(diagnoses.conditions(raw, meaning), "conditions")
    people = persons.patients(load(case, engine, "raw_persons", "raw_persons"), conditions)
    ids = pl.String if case.text_ids else pl.Int64
    counted = [str(row["patient_id"]) if case.text_ids else row["patient_id"] for row in case.tables["counted"]]
    counts = engine.load(pl.DataFrame({"patient_id": counted}, schema={"patient_id": ids}), "counted")
    return {
        "conditions": conditions,
        "patients": persons.with_unlisted(engine.materialise(people, "people"), counts),
        "observation_periods": persons.observation_periods(load(case, engine, "raw_periods", "raw_periods")),
    }


def twin(case: Case) -> Mapping[str, list[Row]]:
    conditions = plain.conditions(case.tables["raw_conditions"], MEANINGS)
    counted = [row["patient_id"] for row in case.tables["counted"]]
    return {
        "conditions": conditions,
        "patients": plain.patients(case.tables["raw_persons"], conditions, counted),
        "observation_periods": plain.observation_periods(case.tables["raw_periods"]),
    }


ROOM = Room(
    {
        "conditions": ("patient_id", "condition", "start"),
        "patients": ("patient_id",),
        "observation_periods": ("patient_id", "start"),
    },
    run,
    twin,
)


def test_people_on_polars() -> None:
    explore(ROOM, people_cases())


def test_people_on_duckdb(duckdb: Engine) -> None:
    compare_packed(ROOM, gather(people_cases()), duckdb)


@pytest.mark.spark
def test_people_on_spark(spark: Engine) -> None:
    compare_packed(ROOM, alike(gather(people_cases(), SPARK_EXAMPLES)), spark)
