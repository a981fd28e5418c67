"""The seam to the engines: open, scan, convert at the door, materialise, collect, write. Nothing clinical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import narwhals.stable.v2 as nw
import polars as pl

from leukopenia.errors import MissingPartError, UsageError

NAMES = ("duckdb", "polars", "spark")

Frame = nw.LazyFrame[Any]


class Engine(Protocol):
    """What the rooms and readers may ask of an engine. Frames are narwhals lazy frames of that engine."""

    name: str

    def scan(self, paths: Sequence[Path], row_id: str | None = None) -> Frame:
        """Parquet, CSV or TSV files as one frame; every CSV column is text; `row_id` adds the row number."""

    def load(self, rows: pl.DataFrame, name: str) -> Frame:
        """A small table, brought into the engine."""

    def adopt(self, native: Any, row_id: str | None = None) -> Frame:
        """A frame of the user, brought into this engine; `row_id` adds the row number, from 0."""

    def minutes(self, frame: Frame, columns: Mapping[str, str]) -> Frame:
        """Add, for each `new: old`, `new` (whole minutes) and `new_precision`; no time gives null."""

    def numbers(self, frame: Frame, columns: Mapping[str, str]) -> Frame:
        """Add, for each `new: old`, a Float64 column; text that is no plain number becomes null.

        A float32 column is read by its shortest decimal spelling, so 10.4 stays 10.4.
        """

    def whole_numbers(self, frame: Frame, columns: Mapping[str, str]) -> Frame:
        """Add, for each `new: old`, an Int64 column; text that is no whole number becomes null."""

    def materialise(self, frame: Frame, name: str) -> Frame:
        """Compute a frame once, for a table with more than one reader."""

    def collect(self, frame: Frame) -> pl.DataFrame:
        """Bring a small frame into memory."""

    def write(self, frame: Frame, path: Path, by: Sequence[str]) -> None:
        """Write one Parquet table, sorted, the same bytes for the same rows."""

    def close(self) -> None:
        """Give back memory, connections and spill files."""


def open_engine(name: str = "duckdb", *, memory_limit: str = "", threads: int = 0, spill: Path | None = None) -> Engine:
    """Open an engine by name.

    Parameters
    ----------
    name : {'duckdb', 'polars', 'spark'}
        DuckDB for cohorts, Polars for one patient, Spark for a cluster.
    memory_limit : str
        As DuckDB spells it ('500MB'); empty leaves the engine's own default.
    threads : int
        0 leaves the engine's own default.
    spill : Path, optional
        Where an engine may put what does not fit into memory.

    Raises
    ------
    UsageError
        No such engine.
    MissingPartError
        PySpark is not installed.
    """
    if name == "duckdb":
        from leukopenia.engine.duckdb import DuckDBEngine

        return DuckDBEngine(memory_limit=memory_limit, threads=threads, spill=spill)
    if name == "polars":
        from leukopenia.engine.polars import PolarsEngine

        return PolarsEngine()
    if name == "spark":
        try:
            from leukopenia.engine.spark import SparkEngine
        except ImportError as error:
            raise MissingPartError(
                "The Spark engine needs PySpark and Java.", str(error), "pip install 'leukopenia[spark]'"
            ) from None
        return SparkEngine(spill=spill)
    raise UsageError(f"There is no engine {name!r}.", "", f"Choose one of: {', '.join(NAMES)}.")


def of_frame(native: Any) -> str:
    """The engine that a user's frame lives in; in-memory frames (pandas, PyArrow) go to Polars."""
    module = type(native).__module__
    if module.startswith(("duckdb", "_duckdb")):
        return "duckdb"
    return "spark" if module.startswith("pyspark") else "polars"
