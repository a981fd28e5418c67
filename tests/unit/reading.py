"""What the tests of the readers share: engines, rows in contract order, real data where it is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leukopenia import contracts
from leukopenia.engine import Engine, open_engine
from leukopenia.read import Raw

ENGINES = ("duckdb", "polars")


def engines(name: str) -> Iterator[Engine]:
    engine = open_engine(name)
    yield engine
    engine.close()


def rows(raw: Raw, table: str, engine: Engine) -> pl.DataFrame:
    """A raw table in memory, in row order, after a check against its contract."""
    frame = engine.collect(raw.tables[table])
    contract = contracts.TABLES[table]
    assert frame.columns == contract.names
    for column in contract.columns:
        assert str(frame[column.name].dtype) in column.type.split("|"), column.name
        if not column.nullable and column.type != "Float64":
            assert frame[column.name].null_count() == 0, column.name
    assert frame["row_id"].is_unique().all()
    return frame.sort("row_id")


def reasons(raw: Raw) -> dict[str, int]:
    counts: dict[str, int] = {}
    for issue in raw.issues:
        assert list(issue) == contracts.ISSUES.names
        counts[str(issue["reason"])] = counts.get(str(issue["reason"]), 0) + int(str(issue["n"]))
    return counts


def records(frame: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return frame.select(columns).rows()


def shared(name: str) -> Path:
    """A folder of the shared real data; the test is skipped where it is not there."""
    beside = Path(__file__).resolve().parents[3] / "shared"
    folder = Path(os.environ.get("LEUKOPENIA_SHARED", beside)) / "data" / name
    if not folder.is_dir():
        pytest.skip(f"the shared data set {name} is not here")
    return folder
