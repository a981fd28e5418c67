"""Raw results -> measures, findings, issues, counts: the room against its twin."""

from __future__ import annotations

from collections.abc import Mapping

import narwhals.stable.v2 as nw
import polars as pl
import pytest
from results_cases import meanings, result_cases, wordings
from running import SPARK_EXAMPLES, Case, Room, Row, alike, compare_packed, explore, gather, load

from leukopenia.engine import Engine, Frame
from leukopenia.harmonise import draws, measures
from plain import counts as plain_counts
from plain import results as plain

SOURCES = ["a", "b"]
BOUNDS = {"neutrophils": 1.5, "lymphocytes": 1.0}
MEANINGS = {tuple(row[name] for name in plain.SIGNAL): row for row in meanings()}
WORDINGS = {row["text"]: row for row in wordings()}


def run(case: Case, engine: Engine) -> Mapping[str, Frame]:
    raw = load(case, engine, "raw_results", "raw_results", {"code": pl.String})
    meaning = engine.load(pl.DataFrame(meanings()), "meanings")
    worded = engine.load(pl.DataFrame(wordings()), "wordings")
    made = engine.materialise(measures.measures(raw, meaning, worded, case.chosen.flag("repair_units")), "measures")
    codes = {row["code"] for row in case.tables["raw_results"]}
    present = sorted({row["component"] for row in MEANINGS.values() if row["code"] in codes})
    lines = draws.makeable(present, BOUNDS)
    analytes = engine.load(pl.DataFrame({"analyte": lines}, schema={"analyte": pl.String}), "analytes")
    return {
        "measures": made,
        "findings": measures.findings(made),
        "issues": nw.concat([measures.set_aside(made), draws.unused(made)]),
        "counts": draws.counts(made, present, analytes, BOUNDS, SOURCES),
    }


def twin(case: Case) -> Mapping[str, list[Row]]:
    made = plain.measures(case.tables["raw_results"], MEANINGS, WORDINGS, case.chosen.flag("repair_units"))
    usable = [row for row in made if not row["reason"]]
    set_aside = [row for row in plain.issues(made) if row["set_aside"]]
    # The law of the house: rows in = rows on + rows in issues.
    assert len(case.tables["raw_results"]) == len(usable) + len(set_aside)
    return {
        "measures": made,
        "findings": plain.findings(made),
        "issues": plain.issues(made) + plain_counts.unused(made),
        "counts": plain_counts.counts(made, BOUNDS),
    }


ROOM = Room(
    {
        "measures": ("source", "row_id"),
        "findings": ("patient_id", "finding", "minute", "source", "row_id"),
        "issues": ("source", "row_id", "reason"),
        "counts": ("patient_id", "analyte", "minute"),
    },
    run,
    twin,
)


def test_results_on_polars() -> None:
    explore(ROOM, result_cases())


def test_results_on_duckdb(duckdb: Engine) -> None:
    compare_packed(ROOM, gather(result_cases()), duckdb)


@pytest.mark.spark
def test_results_on_spark(spark: Engine) -> None:
    compare_packed(ROOM, alike(gather(result_cases(), SPARK_EXAMPLES)), spark)
