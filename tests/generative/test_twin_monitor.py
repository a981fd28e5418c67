"""Exposures and counts -> courses, due counts, alerts and coverage: the room against its twin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import strategies as st
from monitor_pack import AS_OF_DAY, DRUGS, PACK
from running import KNOWLEDGE, SPARK_EXAMPLES, Case, Room, Row, compare_packed, explore, gather, load

from leukopenia import monitoring
from leukopenia.engine import Engine, Frame
from plain import monitor as plain

DAY = 1440
AS_OF = (AS_OF_DAY + 1) * DAY - 1
KEYS = {
    "courses": ("patient_id", "drug", "course"),
    "due_counts": ("patient_id", "rule_id", "drug", "course", "kind", "due"),
    "alerts": ("patient_id", "rule_id", "drug", "course", "minute", "kind", "analyte"),
    "not_assessable": ("patient_id", "rule_id", "drug", "course", "reason"),
    "coverage": ("patient_id", "rule_id", "drug", "course"),
}
POLICIES: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("monitor.grace_share", "0.5"), ("monitor.baseline_days", "3"), ("monitor.after_end_days", "20")),
)
STARTS = (0, 1, 3, 20, 27, 28, 41, 55, 56, 70, 100, 130, 150)
LENGTHS = (0, 0, 1, 6, 7, 14, 20, 21, 28, 35, 60, 120)
GAPS = (0, 1, 2, 3, 4, 5, 9, 10, 27, 28, 39, 40)
"""Days between the last day of one interval and the first of the next: the limits of the pack, and one more."""

STEPS = (0, 1, 1, 1, 2, 3, 3, 4, 5, 6, 7, 7, 8, 9, 10, 14, 15, 28)
VALUES = {
    "neutrophils": (0.0, 0.3, 0.499999, 0.5, 0.8, 0.999999, 1.0, 1.2, 1.499999, 1.5, 2.0, 2.399999, 2.4, 3.8, 3.9, 4.0),
    "wbc": (2.0, 2.999999, 3.0, 3.2, 3.499999, 3.5, 4.0, 6.0),
    "platelets": (20.0, 49.0, 50.0, 99.0, 100.0, 200.0),
}


@st.composite
def monitor_cases(draw: Any) -> Case:
    """Up to three drugs in up to two persons, and counts on and beside the days and limits of the pack."""
    tables: dict[str, list[Row]] = {"exposures": [], "counts": [], "patients": [], "observation_periods": []}
    for patient in range(1, draw(st.integers(1, 2)) + 1):
        for drug in draw(
            st.one_of(st.just(["drug:a"]), st.lists(st.sampled_from(DRUGS), min_size=1, max_size=3, unique=True))
        ):
            tables["exposures"] += _exposures(draw, patient, drug, len(tables["exposures"]))
        tables["counts"] += _counts(draw, patient, len(tables["counts"]))
        first = min(row["start"] for row in tables["exposures"] if row["patient_id"] == patient)
        tables["patients"] += _patient(draw, patient, first)
        tables["counts"] += _earlier(draw, patient, first, len(tables["counts"]))
        tables["observation_periods"] += _periods(draw, patient, first)
    if draw(st.integers(0, 4)):
        tables["counts"] += _bystander(len(tables["counts"]))
    choice = draw(st.integers(0, len(POLICIES) - 1))
    return Case(tables, choice == 0, POLICIES[choice])


def _exposures(draw: Any, patient: int, drug: str, number: int) -> list[Row]:
    start = AS_OF_DAY - draw(st.sampled_from(STARTS))
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.sampled_from(LENGTHS))
        rows.append(
            {
                **{"patient_id": patient, "ingredient": drug, "route": "systemic", "dose_unit": "mg", "rows": 1},
                "start": start * DAY + draw(st.sampled_from([0, 0, 600])),
                "end": (start + length) * DAY + 600,
                "status": draw(st.sampled_from(["administered"] * 6 + ["dispensed", "dispensed", "ordered"])),
                "dose": draw(st.sampled_from([1.0, 1.0, None])),
                **{"source": draw(st.sampled_from("ab")), "row_id": number + len(rows)},
            }
        )
        if length == 0:
            rows[-1]["end"] = rows[-1]["start"]
        start += length + 1 + draw(st.sampled_from(GAPS))
    return rows


def _counts(draw: Any, patient: int, number: int) -> list[Row]:
    when = AS_OF_DAY - draw(st.sampled_from((0, 1, 2, 5, 10, 30, -3)))
    rows: list[Row] = []
    grave = draw(st.booleans())
    for _ in range(draw(st.integers(0, 20))):
        minute = when * DAY + draw(st.sampled_from([0, 480, 480, 1439]))
        lines = draw(st.sampled_from([["neutrophils"], ["wbc", "neutrophils"], ["wbc"], [*VALUES], ["platelets"]]))
        precision = "day" if minute % DAY == 0 else draw(st.sampled_from(["minute"] * 8 + ["month"]))
        taken = {(row["analyte"], row["minute"]) for row in rows}
        lines = [line for line in lines if (line, minute) not in taken]
        rows += [_count(draw, patient, line, minute, precision, grave) for line in lines]
        when -= draw(st.sampled_from(STEPS))
    return [row | {"row_id": number + place} for place, row in enumerate(rows)]


def _count(draw: Any, patient: int, line: str, minute: int, precision: str, grave: bool) -> Row:
    derivation = draw(st.sampled_from(["reported"] * 6 + ["bounded_by_wbc"])) if line == "neutrophils" else "reported"
    comparators = ["<", "<="] if derivation != "reported" else ["", "", "", "", "", "", "<", "<=", ">", ">="]
    return {
        **{"patient_id": patient, "analyte": line, "minute": minute, "time_precision": precision},
        "value": draw(st.sampled_from(VALUES[line][: 6 if grave and draw(st.booleans()) else None])),
        "comparator": draw(st.sampled_from(comparators)),
        **{"low": None, "high": None, "derivation": derivation, "copies": 1, "conflict": False},
        **{"unit_repaired": False, "source": "a"},
    }


def _earlier(draw: Any, patient: int, first: int, number: int) -> list[Row]:
    """The first count on record, of a line without rules: on the day of the first row, or on one before."""
    days = draw(st.sampled_from([None, 0, 1, 31, 400, 400]))
    if days is None:
        return []
    row = _count(draw, patient, "platelets", first - days * DAY, "minute", False)
    return [row | {"analyte": "eosinophils", "value": 0.1, "row_id": number}]


def _bystander(number: int) -> list[Row]:
    """Somebody untreated, counted long ago: the source has every line."""
    return [
        {
            **{"patient_id": 3, "analyte": line, "minute": (AS_OF_DAY - 1000) * DAY, "time_precision": "minute"},
            **{"value": 200.0, "comparator": "", "low": None, "high": None, "derivation": "reported", "copies": 1},
            **{"conflict": False, "unit_repaired": False, "source": "a", "row_id": number + place},
        }
        for place, line in enumerate(VALUES)
    ]


def _patient(draw: Any, patient: int, first: int) -> list[Row]:
    if draw(st.integers(0, 9)) == 0:
        return []
    birth = draw(st.sampled_from([-40 * 365 * DAY, -40 * 365 * DAY, first, first - 28 * DAY, first - 29 * DAY, None]))
    return [
        {
            **{"patient_id": patient, "sex": "female", "birth": birth, "hiv_from": None},
            "birth_precision": "none" if birth is None else draw(st.sampled_from(["day", "day", "year"])),
            "death": draw(st.sampled_from([None] * 6 + [AS_OF, AS_OF - 3 * DAY, AS_OF - 40 * DAY])),
            "duffy_null": draw(st.sampled_from([False, False, True])),
        }
    ]


def _periods(draw: Any, patient: int, first: int) -> list[Row]:
    if draw(st.integers(0, 2)):
        return []
    starts = draw(st.lists(st.sampled_from([-400, -400, -31, -30, -5, 0, 10, 40]), max_size=2, unique=True))
    end = draw(st.sampled_from([None, None, 35, 200]))
    return [
        {"patient_id": patient, "start": first + start * DAY, "end": None if end is None else first + end * DAY}
        for start in starts
    ]


def knowledge() -> dict[str, Any]:
    return {**KNOWLEDGE, **PACK}


def run(case: Case, engine: Engine) -> Mapping[str, Frame]:
    names = ("exposures", "counts", "patients", "observation_periods")
    frames = [load(case, engine, name, name) for name in names]
    policy = case.chosen
    made = monitoring.monitor(*frames, engine, knowledge(), _here(policy), AS_OF)
    return {name: getattr(made, name) for name in KEYS}


def _here(policy: Any) -> Any:
    return type(policy)({**policy.values, "monitor.jurisdiction": "xx"})


def twin(case: Case) -> Mapping[str, list[Row]]:
    return plain.monitored(case.tables, PACK, case.chosen.values, AS_OF)


ROOM = Room(KEYS, run, twin, tolerance=1e-9)


def test_monitor_on_polars() -> None:
    explore(ROOM, monitor_cases())


def test_monitor_on_duckdb(duckdb: Engine) -> None:
    compare_packed(ROOM, gather(monitor_cases()), duckdb)


@pytest.mark.spark
def test_monitor_on_spark(spark: Engine) -> None:
    cases = [Case(case.tables, text_ids=True) for case in gather(monitor_cases(), SPARK_EXAMPLES)]
    compare_packed(ROOM, cases, spark)
