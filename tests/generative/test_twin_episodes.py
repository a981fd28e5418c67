"""Marked counts -> episodes and infection risk: the room against its twin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st
from running import KNOWLEDGE, SPARK_EXAMPLES, Case, Room, Row, alike, compare_packed, explore, gather, load

from leukopenia.detect import episodes, risks
from leukopenia.engine import Engine, Frame
from plain import episodes as plain
from plain import risks as plain_risks

DAY = 1440
AS_OF = 3000 * DAY
STANDARDS = ("ctcae-5.0", "daids-2.1")
POLICIES: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("recovery.counts", "1"), ("chronic.days", "30"), ("recovery.before_cycle", "no")),
    (("recovery.counts", "3"), ("recovery.days", "14"), ("confirmation.counts", "2")),
    (("gap.unobserved_days", "10"), ("gap.break_days", "90"), ("risk.carry_days", "2")),
)
STEPS = (
    *(1, 60, DAY, 3 * DAY, 7 * DAY - 1, 7 * DAY, 7 * DAY + 1, 14 * DAY, 28 * DAY, 28 * DAY + 1),
    *(89 * DAY, 90 * DAY, 365 * DAY, 365 * DAY + 1),
)
MARKS: dict[str, Any] = {
    "interval_id": pl.String,
    "is_low": pl.Boolean,
    "recovered": pl.Boolean,
    **{f"grade_{name.replace('-', '_').replace('.', '_')}": pl.Int64 for name in STANDARDS},
}
GRADES = [name for name in MARKS if name.startswith("grade_")]


@st.composite
def episode_cases(draw: Any) -> Case:
    """Counts of up to two lines, from as_of backwards in steps on and beside every limit of the policy."""
    counts = []
    lines = draw(
        st.sampled_from([[(1, "neutrophils")], [(1, "wbc"), (1, "neutrophils")], [(1, "neutrophils"), (2, "wbc")]])
    )
    for patient, analyte in lines:
        minute = AS_OF - draw(st.sampled_from([-1, 0, 7 * DAY - 1, 7 * DAY, 8 * DAY, 30 * DAY, -10 * DAY]))
        for _ in range(draw(st.integers(1, 10))):
            counts.append(_count(draw, patient, analyte, minute, len(counts)))
            minute -= draw(st.sampled_from(STEPS))
    times = [row["minute"] + shift for row in counts for shift in (-1, 0, 0, 1, DAY)]
    cycles = {(draw(st.sampled_from([1, 1, 2])), draw(st.sampled_from(times))) for _ in range(draw(st.integers(0, 4)))}
    deaths = draw(st.sampled_from([{}, {1: None}, {1: AS_OF}, {1: AS_OF, 2: AS_OF - DAY}]))
    tables = {
        "counts": counts,
        "cycles": [{"patient_id": patient, "start": start} for patient, start in sorted(cycles)],
        "ends": [{"patient_id": patient, "death": death} for patient, death in deaths.items()],
    }
    choice = draw(st.integers(0, len(POLICIES) - 1))
    return Case(tables, choice % 2 == 0, POLICIES[choice])


def _count(draw: Any, patient: int, analyte: str, minute: int, number: int) -> Row:
    is_low = draw(st.sampled_from([True, True, True, False, False, None]))
    comparators = {True: ["", "", "<", "<="], False: ["", "", ">", ">="], None: ["<", ">="]}[is_low]
    values = [0.0, 0.05, 0.1, 0.100001, 0.499999, 0.5, 0.5, 0.999999, 1.0, 1.499999]
    return {
        **{"patient_id": patient, "analyte": analyte, "minute": minute, "time_precision": "minute"},
        "value": draw(st.sampled_from(values if is_low else [*values, 1.5, 2.0, 3.000001])),
        "comparator": draw(st.sampled_from(comparators)),
        "low": draw(st.sampled_from([None, 1.5])),
        "high": None,
        **{"derivation": "reported", "copies": 1, "conflict": False, "unit_repaired": False},
        **{"source": "a", "row_id": number},
        "interval_id": draw(st.sampled_from(["", "published-1", "estimated:1"])),
        "is_low": is_low,
        "recovered": draw(st.sampled_from([True, True, False]))
        if is_low is False
        else None
        if is_low is None
        else False,
        **{name: draw(st.sampled_from([None, 0, 1, 2, 3, 4])) for name in GRADES},
    }


def _small(case: Case, engine: Engine, name: str, column: str) -> Frame:
    ids = pl.String if case.text_ids else pl.Int64
    schema = {"patient_id": ids, column: pl.Int64}
    rows = [(str(row["patient_id"]) if case.text_ids else row["patient_id"], row[column]) for row in case.tables[name]]
    return engine.load(pl.DataFrame(rows, schema=schema, orient="row"), name)


def run(case: Case, engine: Engine) -> Mapping[str, Frame]:
    policy = case.chosen
    marked = load(case, engine, "counts", "counts", MARKS)
    cycles, ends = _small(case, engine, "cycles", "start"), _small(case, engine, "ends", "death")
    numbered = engine.materialise(episodes.number(marked, cycles, policy, AS_OF), "numbered")
    return {
        "episodes": episodes.summarise(numbered, KNOWLEDGE, STANDARDS, policy, ends),
        "infection_risk": risks.infection_risk(numbered, KNOWLEDGE, policy),
    }


def twin(case: Case) -> Mapping[str, list[Row]]:
    policy = case.chosen.values
    counts = [row | {"limit_basis": _basis(row)} for row in case.tables["counts"]]
    cycles = [(row["patient_id"], row["start"]) for row in case.tables["cycles"]]
    deaths = {row["patient_id"]: row["death"] for row in case.tables["ends"]}
    found = plain.episodes(counts, cycles, policy, AS_OF)
    seen = [row for row in counts if row["is_low"] is not None and row["minute"] <= AS_OF]
    names = [name.removeprefix("grade_") for name in GRADES]
    return {
        "episodes": [
            {"worst_ctcae_4_03": None, "worst_ctcae_6_0": None}
            | plain.described(one, KNOWLEDGE["severity"], names, policy, deaths.get(one["patient_id"]))
            for one in found
        ],
        "infection_risk": plain_risks.infection_risk(found, seen, KNOWLEDGE["severity"], policy),
    }


def _basis(row: Row) -> str:
    """The interval in force names itself; where there is none, the laboratory's own range decides, if it gave one."""
    if row["interval_id"]:
        return "estimated" if row["interval_id"].startswith("estimated:") else "published"
    return "none" if row["low"] is None else "laboratory"


ROOM = Room({"episodes": ("episode_id",), "infection_risk": ("episode_id",)}, run, twin, tolerance=1e-9)


def test_episodes_on_polars() -> None:
    explore(ROOM, episode_cases())


def test_episodes_on_duckdb(duckdb: Engine) -> None:
    compare_packed(ROOM, gather(episode_cases()), duckdb)


@pytest.mark.spark
def test_episodes_on_spark(spark: Engine) -> None:
    compare_packed(ROOM, alike(gather(episode_cases(), SPARK_EXAMPLES)), spark)
