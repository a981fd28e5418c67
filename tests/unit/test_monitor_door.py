"""`leukopenia.monitor.alerts`: frames in, a frame of the same kind out, whatever engine they live in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import narwhals.stable.v2 as nw
import polars as pl
import pytest

import leukopenia as lk
from leukopenia import contracts
from leukopenia.contracts.monitored import ALERTS
from leukopenia.errors import KnowledgeError, UsageError
from leukopenia.harmonising import polars_type

Row = dict[str, Any]

DAY = 1440
TODAY = 20_000
"""A day of October 2024."""

TREATED = {"patient_id": 1, "ingredient": "drug:clozapine", "status": "administered", "dose": 100.0}


def frame(contract: contracts.Table, rows: list[Row]) -> pl.DataFrame:
    schema = {name: polars_type(contract, name, pl.Int64) for name in contract.names}
    blank: Row = {"String": "", "Boolean": False}
    cells = [{part.name: row.get(part.name, blank.get(part.type)) for part in contract.columns} for row in rows]
    return pl.DataFrame(cells, schema=schema)


def minute(day: int) -> int:
    return (TODAY + day) * DAY


EXPOSURES = frame(contracts.EXPOSURES, [TREATED | {"start": minute(-60), "end": minute(0)}])
COUNTS = frame(
    contracts.COUNTS,
    [
        {"patient_id": patient, "analyte": line, "minute": minute(day), "value": 5.0, "time_precision": "day"}
        for patient, day in ((1, -61), (2, -400), (2, 0))
        for line in ("wbc", "neutrophils")
    ],
)


def as_duckdb(rows: pl.DataFrame) -> Any:
    return duckdb.from_arrow(rows.to_arrow())


KINDS: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda rows: rows,
    "pandas": pl.DataFrame.to_pandas,
    "pyarrow": pl.DataFrame.to_arrow,
    "duckdb": as_duckdb,
}


def as_polars(native: Any) -> pl.DataFrame:
    rows: pl.DataFrame = nw.from_native(native).lazy().collect("polars").to_native()
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_frame_that_came_in_goes_out(kind: str) -> None:
    exposures, counts = KINDS[kind](EXPOSURES), KINDS[kind](COUNTS)
    found = lk.monitor.alerts(exposures, counts, jurisdiction="uk")
    assert type(found) is type(exposures)
    rows = as_polars(found)
    assert rows.columns == ALERTS.names
    assert rows.select("patient_id", "kind", "open").rows() == [(1, "overdue", True)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("exposures", "counts"),
    [
        (EXPOSURES.with_columns(ingredient=pl.lit("drug:nothing")), COUNTS),
        (EXPOSURES.clear(), COUNTS),
        (EXPOSURES, COUNTS.clear()),
    ],
    ids=["no rule", "no treatment", "no counts"],
)
def test_nothing_to_look_at_is_an_empty_table(kind: str, exposures: pl.DataFrame, counts: pl.DataFrame) -> None:
    rows = as_polars(lk.monitor.alerts(KINDS[kind](exposures), KINDS[kind](counts), jurisdiction="uk"))
    assert rows.columns == ALERTS.names and rows.is_empty()


@pytest.mark.parametrize(("as_of", "kinds"), [("2024-08-10", []), ("2024-08-12", ["due"]), ("2024-08-15", ["overdue"])])
def test_as_of_hides_what_comes_later(as_of: str, kinds: list[str]) -> None:
    found = lk.monitor.alerts(EXPOSURES, COUNTS, jurisdiction="uk", as_of=as_of)
    assert found["kind"].to_list() == kinds


def test_patients_and_policy_matter() -> None:
    patients = frame(contracts.PATIENTS, [{"patient_id": 1, "duffy_null": True}])
    given: Row = {"patients": patients, "jurisdiction": "us", "as_of": "2024-09-30"}
    assert set(lk.monitor.alerts(EXPOSURES, COUNTS, **given)["rule_id"]) == {"rule:clozapine-us-ben"}
    policy = {"monitor.rules": "rule:clozapine-ca"}
    policed = lk.monitor.alerts(EXPOSURES, COUNTS, **given, policy=lk.Policy.of(policy))
    assert policed.equals(lk.monitor.alerts(EXPOSURES, COUNTS, **given, policy=policy))
    assert "rule:clozapine-us-ben" not in set(policed["rule_id"])


def test_an_own_pack(tmp_path: Path) -> None:
    path = tmp_path / "pack.yaml"
    rule = "rule_id: rule:clozapine-ward, source_id: letter"
    path.write_text(
        f"rules: [{{{rule}, drugs: drug:clozapine, jurisdiction: ward, analytes: neutrophils}}]\n"
        f"phases: [{{{rule}, from_day: 0, interval_days: 50}}]\nthresholds: []\n",
        encoding="utf-8",
    )
    found = lk.monitor.alerts(EXPOSURES, COUNTS, jurisdiction="ward", pack=path)
    assert [(row["kind"], row["minute"]) for row in found.to_dicts()] == [("due", minute(-10))]
    path.write_text("rules: []\nphases: []\n", encoding="utf-8")
    with pytest.raises(KnowledgeError, match="thresholds"):
        lk.monitor.alerts(EXPOSURES, COUNTS, jurisdiction="ward", pack=path)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="counts lacks the columns minute"):
        lk.monitor.alerts(EXPOSURES, COUNTS.drop("minute"), jurisdiction="uk")
    dated = EXPOSURES.with_columns(pl.from_epoch(pl.col("start") * 60).alias("start"))
    with pytest.raises(UsageError, match="start of the table exposures must be Int64, not Datetime"):
        lk.monitor.alerts(dated, COUNTS, jurisdiction="uk")
    with pytest.raises(UsageError, match="Choose --jurisdiction"):
        lk.monitor.alerts(EXPOSURES, COUNTS, jurisdiction="")
    with pytest.raises(UsageError, match=r"2026-11-22"):
        lk.monitor.alerts(EXPOSURES, COUNTS, jurisdiction="uk", as_of="yesterday")
