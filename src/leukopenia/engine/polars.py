"""Polars: one patient in milliseconds, and whatever fits into memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from leukopenia.engine import Frame


class PolarsEngine:
    """Lazy frames, collected at `materialise`."""

    name = "polars"

    def scan(self, paths: Sequence[Path], row_id: str | None = None) -> Frame:
        files = [str(path) for path in paths]
        if files[0].endswith(".parquet"):
            frame = pl.scan_parquet(files, row_index_name=row_id)
        else:
            frame = _scan_text(files, row_id)
        if row_id:
            frame = frame.with_columns(pl.col(row_id).cast(pl.Int64))
        return nw.from_native(frame)

    def load(self, rows: pl.DataFrame, name: str) -> Frame:
        return nw.from_native(rows.lazy())

    def adopt(self, native: Any, row_id: str | None = None) -> Frame:
        if isinstance(native, pl.LazyFrame | pl.DataFrame):
            frame = native.lazy()
        else:
            frame = nw.from_native(native).lazy().collect("polars").to_native().lazy()
        if row_id:
            frame = frame.with_row_index(row_id).with_columns(pl.col(row_id).cast(pl.Int64))
        return nw.from_native(frame)

    def minutes(self, frame: Frame, columns: Mapping[str, str]) -> Frame:
        native = frame.to_native()
        types = native.collect_schema()
        made = [part for new, old in columns.items() for part in _minutes(new, old, types[old])]
        return nw.from_native(native.with_columns(made))

    def numbers(self, frame: Frame, columns: Mapping[str, str]) -> Frame:
        native = frame.to_native()
        types = native.collect_schema()
        return nw.from_native(
            native.with_columns(_number(pl.col(old), types[old]).alias(new) for new, old in columns.items())
        )

    def whole_numbers(self, frame: Frame, columns: Mapping[str, str]) -> Frame:
        native = frame.to_native()
        types = native.collect_schema()
        return nw.from_native(
            native.with_columns(
                (pl.col(old).str.strip_chars() if types[old] == pl.String else pl.col(old))
                .cast(pl.Int64, strict=False)
                .alias(new)
                for new, old in columns.items()
            )
        )

    def materialise(self, frame: Frame, name: str) -> Frame:
        return nw.from_native(frame.to_native().collect().lazy())

    def collect(self, frame: Frame) -> pl.DataFrame:
        native: pl.DataFrame = frame.to_native().collect()
        return native

    def write(self, frame: Frame, path: Path, by: Sequence[str]) -> None:
        rows = frame.to_native().collect()
        rows.sort(*by, nulls_last=False).write_parquet(path, compression="zstd", row_group_size=122_880)

    def close(self) -> None:
        return None


def _scan_text(files: list[str], row_id: str | None) -> pl.LazyFrame:
    separator = "\t" if ".tsv" in Path(files[0]).name.lower() else ","
    return pl.scan_csv(files, separator=separator, infer_schema=False, row_index_name=row_id)


def _number(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if dtype == pl.Float32:
        column = column.cast(pl.String)
    elif dtype == pl.String:
        column = column.str.strip_chars()
    return column.cast(pl.Float64, strict=False)


def _minutes(new: str, old: str, dtype: pl.DataType) -> list[pl.Expr]:
    column = pl.col(old)
    precision = f"{new}_precision"
    if dtype == pl.Date:
        return [
            (column.cast(pl.Int64) * 1440).alias(new),
            pl.when(column.is_null()).then(pl.lit("none")).otherwise(pl.lit("day")).alias(precision),
        ]
    if isinstance(dtype, pl.Datetime):
        return [
            (column.dt.epoch("us") // 60_000_000).alias(new),
            pl.when(column.is_null()).then(pl.lit("none")).otherwise(pl.lit("minute")).alias(precision),
        ]
    return _minutes_of_text(new, precision, column.cast(pl.String).str.strip_chars())


def _minutes_of_text(new: str, precision: str, text: pl.Expr) -> list[pl.Expr]:
    length = text.str.len_chars()
    padded = pl.when(length == 4).then(text + "-01-01").when(length == 7).then(text + "-01").otherwise(text)
    day = padded.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).cast(pl.Int64)
    hour = _below(24, text.str.slice(11, 2).cast(pl.Int64, strict=False))
    minute = _below(60, text.str.slice(14, 2).cast(pl.Int64, strict=False))
    timed = length > 10
    made = day * 1440 + pl.when(timed).then(hour * 60 + minute).otherwise(0)
    word = pl.when(length == 4).then(pl.lit("year")).when(length == 7).then(pl.lit("month"))
    return [
        made.alias(new),
        pl.when(made.is_null())
        .then(pl.lit("none"))
        .otherwise(word.when(timed).then(pl.lit("minute")).otherwise(pl.lit("day")))
        .alias(precision),
    ]


def _below(limit: int, number: pl.Expr) -> pl.Expr:
    return pl.when(number.is_between(0, limit - 1)).then(number)
