"""Counts and persons -> limits in force, grades, low or not: the rooms against their twins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st
from running import KNOWLEDGE, SPARK_EXAMPLES, Case, Room, Row, alike, compare_packed, explore, gather, load

from leukopenia.contracts import Knowledge
from leukopenia.detect import episodes, grades
from leukopenia.engine import Engine, Frame
from leukopenia.reference import choose
from plain import episodes as plain_episodes
from plain import grades as plain_grades
from plain import limits as plain

HOUR, DAY = 60, 1440
STANDARDS = ("ctcae-4.03", "ctcae-5.0", "ctcae-6.0", "daids-2.1")
ANALYTES = [row["analyte"] for row in KNOWLEDGE["analytes"]]
POLICIES: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("grade_limits", "published"), ("context", "duffy_null")),
    (("context", "general"), ("onset", "ctcae-5.0")),
    (("published_limits", "no"), ("onset", "daids-2.1"), ("onset.neutrophils.below", "")),
    (("direction", "high"), ("onset", "ctcae-6.0")),
    (("grade_limits", "published"), ("recovery.neutrophils.at_least", "1.8")),
    (("grade_limits", "estimated"), ("limits.first", "estimated")),
    (("grade_limits", "published"), ("published_limits", "no"), ("limits.first", "estimated"), ("direction", "high")),
)
ESTIMATES = (
    ("wbc", "any", "", "", "3.6", "10.2"),
    ("neutrophils", "any", "", "72", "2.5", "12.0"),
    ("neutrophils", "any", "672", "157788", "1.2", ""),
    ("neutrophils", "male", "157788", "175320", "1.6", "7.0"),
    ("neutrophils", "female", "175320", "9999999", "1.7", "7.5"),
    ("lymphocytes", "female", "8766", "105192", "1.4", "6.0"),
    ("lymphocytes", "female", "105192", "157788", "1.3", "5.0"),
    ("monocytes", "female", "175320", "", "0.2", "0.9"),
    ("platelets", "male", "", "", "140.0", "400.0"),
)
"""Every kind of estimated limit: at any age, open below and above, with a hole, by the hour, of one sex alone."""

ESTIMATED = tuple(
    {
        "interval_id": f"estimated:{number}",
        **dict(zip(("analyte", "sex", "age_from_hours", "age_to_hours", "low", "high"), row, strict=True)),
    }
    for number, row in enumerate(ESTIMATES)
)
WITH_ESTIMATES = {**KNOWLEDGE, "estimated_limits": ESTIMATED}
OWN_LIMITS = (0.0, 0.9, 1.2, 1.5, 1.8, 2.0, 4.0, 120.0)
BIRTHS = (-10_000_001, -1440, -1, 0, 700, 26_000_000)
AGES = (
    *(hours * HOUR for hours in (0, 12, 24, 72, 672, 8766, 26_298, 52_596, 105_192, 157_788, 175_320)),
    *(days * DAY for days in (1, 2, 7, 8, 2190, 2191, 2192, 30_000)),
    *(-30, -1500),
)


def _near(analyte: str) -> list[float]:
    """Every limit of an analyte, and its neighbours in the sixth decimal."""
    limits = {float(row["limit"]) for row in KNOWLEDGE["criteria"] if row["analyte"] == analyte and row["limit"]}
    chosen = {row["interval_id"] for row in KNOWLEDGE["interval_choice"] if row["analyte"] == analyte}
    limits |= {float(row["low"]) for row in KNOWLEDGE["intervals"] if row["interval_id"] in chosen and row["low"]}
    limits |= {float(row["value"]) for row in KNOWLEDGE["policy"] if row["name"].endswith(f"without_limit.{analyte}")}
    limits |= {float(row["low"]) for row in ESTIMATED if row["analyte"] == analyte}
    micro = {round(limit * 1_000_000) + step for limit in (*limits, *OWN_LIMITS) for step in (-1, 0, 1)}
    return [0.0, *(one / 1_000_000 for one in sorted(micro) if one >= 0)]


VALUES = {analyte: _near(analyte) for analyte in ANALYTES}
DECIDING = {
    analyte: [
        float(row["value"])
        for row in KNOWLEDGE["policy"]
        if row["name"].endswith((f"limit.{analyte}", f"{analyte}.below"))
    ]
    or [1.0]
    for analyte in ANALYTES
}
"""What the policy itself draws a line at."""


@st.composite
def limit_cases(draw: Any) -> Case:
    """Up to ten counts of two persons, at ages and values on and beside every limit."""
    newborn = draw(st.integers(0, 3)) == 0
    patients = [_patient(draw, number) for number in range(1, draw(st.integers(1, 2)) + 1)]
    counts = {}
    for number in range(draw(st.integers(1, 10))):
        row = _count(draw, number, draw(st.sampled_from(patients)), newborn)
        counts[row["patient_id"], row["analyte"], row["minute"]] = row
    if draw(st.booleans()):
        # HIV known from the very minute of a count, or from the next.
        patients[0]["hiv_from"] = draw(st.sampled_from(list(counts.values())))["minute"] + draw(st.integers(0, 1))
    unlisted = draw(st.integers(0, 5)) == 0
    choice = draw(st.integers(0, len(POLICIES) - 1))
    tables = {"patients": patients[1:] if unlisted else patients, "counts": list(counts.values())}
    return Case(tables, choice % 2 == 1, POLICIES[choice])


def known(case: Case) -> Knowledge:
    """There are estimated limits, but where the policy has an onset of its own."""
    return KNOWLEDGE if "onset" in dict(case.policy) else WITH_ESTIMATES


def _patient(draw: Any, number: int) -> Row:
    birth = draw(st.sampled_from([None, None, *BIRTHS]))
    return {
        "patient_id": number,
        "sex": draw(st.sampled_from(["male", "female", "other", "unknown"])),
        "birth": birth,
        "birth_precision": "none" if birth is None else draw(st.sampled_from(["minute", "minute", "day", "year"])),
        "death": None,
        "hiv_from": draw(st.sampled_from([None, None, 0, 20_000_000])),
        "duffy_null": draw(st.sampled_from([False, False, True])),
    }


def _count(draw: Any, number: int, patient: Row, newborn: bool) -> Row:
    analyte = draw(st.sampled_from(["neutrophils"] if newborn else [*ANALYTES, "neutrophils", "neutrophils"]))
    low = draw(st.sampled_from([None] * (8 + 40 * newborn) + list(OWN_LIMITS)))
    age = draw(st.sampled_from(AGES[1:5] if newborn else AGES)) + draw(st.sampled_from([-1, 0, 0, 1, 500]))
    return {
        "patient_id": patient["patient_id"],
        "analyte": analyte,
        "minute": (patient["birth"] or 0) + age,
        "time_precision": draw(st.sampled_from(["minute", "minute", "day"])),
        "value": draw(st.sampled_from(VALUES[analyte] if draw(st.booleans()) else DECIDING[analyte])),
        "comparator": draw(st.sampled_from(["", "", "", "<", "<=", ">=", ">"])),
        "low": low,
        "high": draw(st.sampled_from([None, 8.0, 11.0])),
        "derivation": "reported",
        "copies": 1,
        "conflict": False,
        "unit_repaired": False,
        "source": "a",
        "row_id": number,
    }


def run(case: Case, engine: Engine) -> Mapping[str, Frame]:
    policy = case.chosen
    counts, patients = load(case, engine, "counts", "counts"), load(case, engine, "patients", "patients")
    present = frozenset(row["analyte"] for row in case.tables["counts"])
    aged = engine.materialise(choose.choose(choose.with_age(counts, patients), known(case), policy, present), "aged")
    direction, onset = policy.text("direction"), policy.text("onset")
    prepared = grades.prepare(aged, policy, direction)
    graded = grades.grade(prepared, KNOWLEDGE, STANDARDS, direction, present)
    standards = engine.load(pl.DataFrame({"standard": list(STANDARDS)}), "standards")
    unmarked = aged
    if onset != "limit":
        unmarked = grades.grade(grades.prepare(aged, policy, "low"), KNOWLEDGE, [onset], "low")
    return {
        "limits": choose.limits(aged, policy),
        "grades": grades.grades(graded, standards, STANDARDS),
        "marked": episodes.mark_low(unmarked, policy),
    }


def twin(case: Case) -> Mapping[str, list[Row]]:
    patients = {row["patient_id"]: row for row in case.tables["patients"]}
    policy = case.chosen.values
    rows = []
    for count in case.tables["counts"]:
        age = plain.aged(count, patients.get(count["patient_id"]))
        estimates = known(case).get("estimated_limits", ())
        limit = plain.limit(count, age, KNOWLEDGE["interval_choice"], KNOWLEDGE["intervals"], policy, estimates)
        rows.append(count | age | limit)
    return {
        "limits": [_limit(row) for row in rows],
        "grades": [_grade(row, standard, policy) for row in rows for standard in STANDARDS],
        "marked": [_marked(row, policy) for row in rows],
    }


def _key(row: Row) -> Row:
    return {name: row[name] for name in ("patient_id", "analyte", "minute")}


def _limit(row: Row) -> Row:
    names = {"low": "limit_low", "high": "limit_high", "basis": "limit_basis", "reason": "limit_reason"}
    return _key(row) | {new: row[old] for new, old in names.items()} | {"interval_id": row["interval_id"]}


def _with_protocol_limit(row: Row, direction: str, policy: Mapping[str, str]) -> Row:
    """The limit in force, if the policy lets its basis into a grade; else the laboratory's own, where there is one."""
    allowed = {"laboratory": 1, "estimated": 2, "published": 3}[policy["grade_limits"]]
    basis = row["limit_basis"]
    in_force = basis in ("laboratory", "estimated", "published")[:allowed]
    own = row["low"] is not None
    limit = row[f"limit_{direction}"] if in_force else row[direction] if own else None
    has_hiv = row["hiv_from"] is not None and row["hiv_from"] <= row["minute"]
    return row | {"protocol_limit": limit, "protocol_basis": basis if in_force else "laboratory", "has_hiv": has_hiv}


def _grade(row: Row, standard: str, policy: Mapping[str, str], direction: str = "") -> Row:
    direction = direction or policy["direction"]
    prepared = _with_protocol_limit(row, direction, policy)
    limit = prepared["protocol_limit"]
    made = plain_grades.grade(prepared, standard, direction, KNOWLEDGE["criteria"], KNOWLEDGE["terms_without_numbers"])
    basis = "none" if limit is None else prepared["protocol_basis"]
    return _key(row) | made | {"standard": standard, "limit": limit, "limit_basis": basis}


def _marked(row: Row, policy: Mapping[str, str]) -> Row:
    if policy["onset"] != "limit":
        row = row | {"onset_grade": _grade(row, policy["onset"], policy, "low")["grade"]}
    low = plain_episodes.low(row, policy)
    return _key(row) | {"is_low": low, "recovered": plain_episodes.recovered(row, low, policy)}


KEY = ("patient_id", "analyte", "minute")
ROOM = Room({"limits": KEY, "grades": (*KEY, "standard"), "marked": KEY}, run, twin)


def test_limits_and_grades_on_polars() -> None:
    explore(ROOM, limit_cases())


def test_limits_and_grades_on_duckdb(duckdb: Engine) -> None:
    compare_packed(ROOM, gather(limit_cases()), duckdb)


@pytest.mark.spark
def test_limits_and_grades_on_spark(spark: Engine) -> None:
    compare_packed(ROOM, alike(gather(limit_cases(), SPARK_EXAMPLES)), spark)
