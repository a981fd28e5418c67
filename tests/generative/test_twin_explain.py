"""Episodes and records -> causes, ranked, with reasons: the room against its twin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from explain_cases import KNOWLEDGES, POLICIES, explain_cases
from running import SPARK_EXAMPLES, Case, Room, Row, alike, compare_packed, explore, gather, load

from leukopenia import contracts, explaining
from leukopenia.engine import Engine, Frame, open_engine
from leukopenia.explain.evidence import Records
from leukopenia.harmonising import polars_type
from plain import explain as plain

TABLES = ("findings", "conditions", "exposures", "patients")
LINES: dict[str, Any] = {
    "analyte": pl.String,
    "minute": pl.Int64,
    **dict.fromkeys(("value", "limit_low", "limit_high"), pl.Float64),
    "is_low": pl.Boolean,
}


def _known(case: Case) -> Mapping[str, Any]:
    return KNOWLEDGES[POLICIES.index(case.policy)]


def _episodes(case: Case) -> list[Row]:
    return [
        row | {"episode_id": f"{row['patient_id']}/{row['analyte']}/{row['number']}"} for row in case.tables["episodes"]
    ]


def run(case: Case, engine: Engine) -> Mapping[str, Frame]:
    named = Case(case.tables | {"episodes": _episodes(case)}, case.text_ids, case.policy)
    episodes = load(named, engine, "episodes", "episodes")
    tables = {name: load(case, engine, name, name) for name in TABLES}
    lines = _plain(case, engine, "lines", LINES)
    types = {column.name: polars_type(contracts.MENTIONS, column.name) for column in contracts.MENTIONS.columns}
    mentions = _plain(case, engine, "mentions", {name: types[name] for name in types if name != "patient_id"})
    records = Records(lines, mentions=mentions, **tables)
    explained = explaining.explain(episodes, records, engine, _known(case), case.chosen)
    return {"causes": explained.causes, "cause_evidence": explained.cause_evidence()}


def _plain(case: Case, engine: Engine, name: str, types: Mapping[str, Any]) -> Frame:
    """A table that is no contract."""
    ids: Any = pl.String if case.text_ids else pl.Int64
    rows = [row | {"patient_id": str(row["patient_id"])} if case.text_ids else row for row in case.tables[name]]
    rows = [row | {"row_id": str(row["row_id"])} if "row_id" in row else row for row in rows]
    return engine.load(pl.DataFrame(rows, schema={"patient_id": ids, **types}), name)


def twin(case: Case) -> Mapping[str, list[Row]]:
    tables = case.tables | {"episodes": _episodes(case)}
    return plain.explained(tables, _known(case), case.chosen.values)


KEYS = {"causes": ("episode_id", "cause_id"), "cause_evidence": ("episode_id", "cause_id", "clue", "state")}
ROOM = Room(KEYS, run, twin, tolerance=1e-9)


def test_causes_on_polars() -> None:
    explore(ROOM, explain_cases())


def test_causes_on_duckdb(duckdb: Engine) -> None:
    compare_packed(ROOM, gather(explain_cases()), duckdb)


@pytest.mark.spark
def test_causes_on_spark(spark: Engine) -> None:
    compare_packed(ROOM, alike(gather(explain_cases(), SPARK_EXAMPLES)), spark)


def test_probabilities_of_an_episode_add_to_one() -> None:
    engine = open_engine("polars")
    for case in gather(explain_cases(), 20):
        causes = engine.collect(run(case, engine)["causes"])
        sums = causes.group_by("episode_id").agg(pl.col("probability").sum())["probability"]
        assert (sums - 1.0).abs().max() in (None, pytest.approx(0.0, abs=1e-9))
        assert causes.filter(~pl.col("probability").is_between(0.0, 1.0)).is_empty()
