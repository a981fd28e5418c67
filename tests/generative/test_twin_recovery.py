"""Open episodes and causes -> recovery by day: the room against its twin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from hypothesis import strategies as st
from running import KNOWLEDGE, SPARK_EXAMPLES, Case, Room, Row, compare_packed, explore, gather

from leukopenia.contracts import CAUSES as CAUSES_TABLE
from leukopenia.contracts import EPISODES as EPISODES_TABLE
from leukopenia.contracts import FORECASTS, Table
from leukopenia.engine import Engine, Frame
from leukopenia.forecast import recovery
from leukopenia.harmonising import polars_type
from plain import recovery as plain

DAY = 1440
START = 10_000 * DAY
AS_OF = START + 60 * DAY
KINDS = (
    "drug:thiamazole",
    "drug:vancomycin",
    "drug:carboplatin",
    "drug:abemaciclib",
    "drug:not-in-the-table",
    "cond:acute-viral-infection",
    "cond:alcohol",
    "cond:copper-deficiency",
    "cond:cytotoxic-chemotherapy",
    "cond:ethnic-neutropenia",
    "cond:acute-leukaemia",
    "unexplained",
)
TIMES = [START + shift for shift in (-90 * DAY, -DAY, 0, 1, DAY, 59 * DAY, 60 * DAY, 60 * DAY + 1)]


@st.composite
def recovery_cases(draw: Any) -> Case:
    """A few episodes; their causes known and not, stopped, going on and not dated."""
    episodes = [_episode(draw, number) for number in range(draw(st.integers(1, 3)))]
    causes: list[Row] = []
    for episode in episodes:
        chosen = draw(st.lists(st.sampled_from(KINDS), max_size=6, unique=True))
        parts = [draw(st.sampled_from([0, 1, 1, 5])) for _ in chosen]
        whole = max(sum(parts), 1)
        causes += [
            _cause(draw, episode, name, rank, part / whole)
            for rank, (name, part) in enumerate(zip(chosen, parts, strict=True), start=1)
        ]
    return Case({"episodes": episodes, "causes": causes}, draw(st.booleans()))


def _episode(draw: Any, number: int) -> Row:
    onset = draw(st.sampled_from([START, START, START + 20 * DAY]))
    state = draw(st.sampled_from(["open", "open", "open", "closed", "censored"]))
    last_low = onset + draw(st.sampled_from([0, 10 * DAY, 40 * DAY]))
    return {"patient_id": number, "number": 1, "analyte": "neutrophils", "onset": onset} | {
        "last_low": last_low,
        "state": state,
    }


def _cause(draw: Any, episode: Row, name: str, rank: int, probability: float) -> Row:
    return {"patient_id": episode["patient_id"], "cause_id": name, "rank": rank, "probability": probability} | {
        "onset": episode["onset"],
        "start": draw(st.sampled_from([None, *TIMES])),
        "end": draw(st.sampled_from([None, *TIMES])),
    }


def _identified(rows: list[Row]) -> list[Row]:
    return [{"episode_id": f"{row['patient_id']}/neutrophils/1"} | row for row in rows]


def _load(case: Case, engine: Engine, table: Table) -> Frame:
    ids: Any = pl.String if case.text_ids else pl.Int64
    rows = _identified(case.tables[table.name])
    names = [name for name in table.names if not rows or name in rows[0]]
    schema = {name: polars_type(table, name, ids) for name in names}
    return engine.load(pl.DataFrame([{name: row[name] for name in names} for row in rows], schema=schema), table.name)


def run(case: Case, engine: Engine) -> Mapping[str, Frame]:
    texted = Case({name: _texted(case, rows) for name, rows in case.tables.items()}, case.text_ids)
    episodes, causes = (_load(texted, engine, table) for table in (EPISODES_TABLE, CAUSES_TABLE))
    recovers = engine.load(pl.DataFrame(recovery.rows(KNOWLEDGE)), "recovers")
    days = engine.load(pl.DataFrame({"day": range(recovery.HORIZON + 1)}), "days")
    return {"forecasts": recovery.recovery(episodes, causes, recovers, days, AS_OF, engine.materialise)}


def _texted(case: Case, rows: list[Row]) -> list[Row]:
    return [row | {"patient_id": str(row["patient_id"])} for row in rows] if case.text_ids else rows


def twin(case: Case) -> Mapping[str, list[Row]]:
    episodes, causes = (_identified(case.tables[name]) for name in ("episodes", "causes"))
    return {"forecasts": plain.recovery(episodes, causes, KNOWLEDGE, AS_OF)}


ROOM = Room({"forecasts": FORECASTS.key}, run, twin, tolerance=1e-9)


def test_recovery_on_polars() -> None:
    explore(ROOM, recovery_cases())


def test_recovery_on_duckdb(duckdb: Engine) -> None:
    compare_packed(ROOM, gather(recovery_cases()), duckdb)


def test_recovery_on_spark(spark: Engine) -> None:
    compare_packed(ROOM, [Case(case.tables, True) for case in gather(recovery_cases(), SPARK_EXAMPLES)], spark)
