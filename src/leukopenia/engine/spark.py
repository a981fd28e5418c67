"""PySpark: a health system's records on a cluster. Local mode serves the tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from leukopenia.engine import Frame

_OFFSET = r"\\s*(Z|[+-]\\d{2}:?\\d{2})$"

_TYPES = {
    pl.Int64: "bigint",
    pl.Int32: "int",
    pl.UInt32: "bigint",
    pl.Float64: "double",
    pl.String: "string",
    pl.Boolean: "boolean",
}


class SparkEngine:
    """The session that is active, else a local one; tables that fork are written as Parquet and read back."""

    name = "spark"

    def __init__(self, spill: Path | None = None) -> None:
        active = SparkSession.getActiveSession()
        self._own = active is None
        self._session = active or _local_session()
        # A date must not move with the time zone of the driver.
        self._session.conf.set("spark.sql.session.timeZone", "UTC")
        self._spill = Path(tempfile.mkdtemp(prefix="leukopenia-spark-", dir=spill))
        self._made = 0

    def scan(self, paths: Sequence[Path], row_id: str | None = None) -> Frame:
        files = [str(path) for path in paths]
        if files[0].endswith(".parquet"):
            frame = self._session.read.parquet(*files)
        else:
            tab = ".tsv" in Path(files[0]).name.lower()
            frame = self._session.read.csv(files, header=True, sep="\t" if tab else ",", escape='"')
        if row_id:
            frame = frame.withColumn(row_id, F.monotonically_increasing_id())
        return nw.from_native(frame)

    def load(self, rows: pl.DataFrame, name: str) -> Frame:
        schema = ", ".join(f"`{column}` {_TYPES[type(dtype)]}" for column, dtype in rows.schema.items())
        return nw.from_native(self._session.createDataFrame(rows.rows(), schema=schema))

    def adopt(self, native: Any, row_id: str | None = None) -> Frame:
        if not type(native).__module__.startswith("pyspark"):
            rows = nw.from_native(native).lazy().collect("polars").to_native()
            return self.load(_numbered(rows, row_id), "adopted")
        frame = native.withColumn(row_id, F.monotonically_increasing_id()) if row_id else native
        return nw.from_native(frame)

    def minutes(self, frame: Frame, columns: Mapping[str, str]) -> Frame:
        native = frame.to_native()
        types = dict(native.dtypes)
        parts = [part for new, old in columns.items() for part in _minutes(new, old, types[old])]
        return nw.from_native(native.selectExpr("*", *parts))

    def numbers(self, frame: Frame, columns: Mapping[str, str]) -> Frame:
        native = frame.to_native()
        types = dict(native.dtypes)
        parts = [f"{_number(old, types[old])} as `{new}`" for new, old in columns.items()]
        return nw.from_native(native.selectExpr("*", *parts))

    def whole_numbers(self, frame: Frame, columns: Mapping[str, str]) -> Frame:
        parts = [f"try_cast(`{old}` as bigint) as `{new}`" for new, old in columns.items()]
        return nw.from_native(frame.to_native().selectExpr("*", *parts))

    def materialise(self, frame: Frame, name: str) -> Frame:
        self._made += 1
        path = str(self._spill / f"{name}_{self._made}.parquet")
        frame.to_native().write.parquet(path)
        return nw.from_native(self._session.read.parquet(path))

    def collect(self, frame: Frame) -> pl.DataFrame:
        return _to_polars(frame.to_native())

    def write(self, frame: Frame, path: Path, by: Sequence[str]) -> None:
        frame.to_native().orderBy(*by).write.parquet(str(path))

    def close(self) -> None:
        if self._own:
            self._session.stop()
        shutil.rmtree(self._spill, ignore_errors=True)


def _local_session() -> SparkSession:
    session = (
        SparkSession.builder.master("local[2]")
        .appName("leukopenia")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.ui.showConsoleProgress", "false")
        # The plans are long and the tables of a laptop short: compiling them would take longer than running them.
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .getOrCreate()
    )
    # A plan too long to compile is no news to the user: Spark interprets it instead.
    session.sparkContext.setLogLevel("ERROR")
    return session


def _to_polars(frame: DataFrame) -> pl.DataFrame:
    types: dict[str, Any] = {
        "bigint": pl.Int64,
        "int": pl.Int64,
        "double": pl.Float64,
        "string": pl.String,
        "boolean": pl.Boolean,
    }
    schema = {name: types[dtype] for name, dtype in frame.dtypes}
    return pl.DataFrame([tuple(row) for row in frame.collect()], schema=schema, orient="row")


def _numbered(rows: pl.DataFrame, row_id: str | None) -> pl.DataFrame:
    return rows.with_row_index(row_id).with_columns(pl.col(row_id).cast(pl.Int64)) if row_id else rows


def _number(column: str, dtype: str) -> str:
    if dtype == "float":
        return f"try_cast(cast(`{column}` as string) as double)"
    if dtype == "string":
        return f"try_cast(trim(`{column}`) as double)"
    return f"cast(`{column}` as double)"


def _minutes(new: str, old: str, dtype: str) -> list[str]:
    if dtype == "date":
        return [
            f"cast(unix_date(`{old}`) as bigint) * 1440 as `{new}`",
            f"case when `{old}` is null then 'none' else 'day' end as `{new}_precision`",
        ]
    if dtype != "string":
        return [
            f"cast(floor(unix_seconds(cast(`{old}` as timestamp)) / 60) as bigint) as `{new}`",
            f"case when `{old}` is null then 'none' else 'minute' end as `{new}_precision`",
        ]
    text = f"trim(`{old}`)"
    padded = (
        f"case length({text}) when 4 then {text} || '-01-01' when 7 then {text} || '-01' "
        f"else regexp_replace({text}, '{_OFFSET}', '') end"
    )
    stamp = f"try_cast({padded} as timestamp)"
    return [
        f"cast(floor(unix_seconds({stamp}) / 60) as bigint) as `{new}`",
        f"case when {stamp} is null then 'none' when length({text}) = 4 then 'year' when length({text}) = 7 "
        f"then 'month' when length({text}) > 10 then 'minute' else 'day' end as `{new}_precision`",
    ]
