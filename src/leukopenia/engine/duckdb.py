"""DuckDB: millions of patients on one machine, out of core."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import narwhals.stable.v2 as nw
import polars as pl

from leukopenia.engine import Frame
from leukopenia.errors import UsageError

_OFFSET = r"\s*(Z|[+-]\d{2}:?\d{2})$"


class DuckDBEngine:
    """One connection; tables that fork become temporary tables, what does not fit is spilled."""

    name = "duckdb"

    def __init__(self, memory_limit: str = "", threads: int = 0, spill: Path | None = None) -> None:
        self._spill = Path(tempfile.mkdtemp(prefix="leukopenia-spill-", dir=spill))
        self._connection = duckdb.connect()
        self._made = 0
        self._set("temp_directory", str(self._spill))
        for name in ("autoinstall_known_extensions", "autoload_known_extensions"):
            self._set(name, False)
        self._set("enable_progress_bar", False)
        if memory_limit:
            self._limit_memory(memory_limit)
        if threads:
            self._set("threads", threads)

    def _limit_memory(self, limit: str) -> None:
        try:
            self._set("memory_limit", limit)
        except duckdb.Error:
            self.close()
            raise UsageError(f"The memory limit cannot be {limit!r}.", "", "Write it as 500MB or 4GB.") from None

    def _set(self, name: str, value: object) -> None:
        self._connection.execute(f"set {name} = ?", [value])

    def scan(self, paths: Sequence[Path], row_id: str | None = None) -> Frame:
        files = [str(path) for path in paths]
        if files[0].endswith(".parquet"):
            relation = self._connection.read_parquet(files, union_by_name=True)
        else:
            tab = ".tsv" in Path(files[0]).name.lower()
            relation = self._connection.read_csv(
                files,
                all_varchar=True,
                header=True,
                delimiter="\t" if tab else ",",
                union_by_name=len(files) > 1,
            )
        if row_id:
            relation = relation.project(f'(row_number() over () - 1)::bigint as "{row_id}", *')
        return nw.from_native(relation)

    def load(self, rows: pl.DataFrame, name: str) -> Frame:
        table = self._name(name)
        self._connection.register("leukopenia_incoming", rows.to_arrow())
        self._connection.execute(f'create temp table "{table}" as from leukopenia_incoming')
        self._connection.unregister("leukopenia_incoming")
        return nw.from_native(self._connection.table(table))

    def adopt(self, native: Any, row_id: str | None = None) -> Frame:
        if isinstance(native, duckdb.DuckDBPyRelation):
            rows = native.pl()
        else:
            rows = nw.from_native(native).lazy().collect("polars").to_native()
        return self.load(_numbered(rows, row_id), "adopted")

    def attach(self, database: Path) -> list[str]:
        """Attach a DuckDB file read-only; returns its tables and views as `alias.schema.table`."""
        alias = self._name("source")
        self._connection.execute(f"attach {_text(str(database))} as {alias} (read_only)")
        rows = self._connection.execute(
            "select table_catalog || '.' || table_schema || '.' || table_name from information_schema.tables "
            "where table_catalog = ? order by all",
            [alias],
        ).fetchall()
        return [str(row[0]) for row in rows]

    def attached(self, table: str, row_id: str | None = None) -> Frame:
        """A table of an attached file, by the name `attach` gave."""
        place = ".".join(f'"{part}"' for part in table.split(".", 2))
        number = f'(row_number() over () - 1)::bigint as "{row_id}", ' if row_id else ""
        return nw.from_native(self._connection.sql(f"select {number}* from {place}"))

    def minutes(self, frame: Frame, columns: Mapping[str, str]) -> Frame:
        types = dict(frame.collect_schema())
        parts = ", ".join(_minutes(new, old, types[old]) for new, old in columns.items())
        return nw.from_native(frame.to_native().project(f"*, {parts}"))

    def numbers(self, frame: Frame, columns: Mapping[str, str]) -> Frame:
        types = dict(frame.collect_schema())
        parts = ", ".join(f'{_number(old, types[old])} as "{new}"' for new, old in columns.items())
        return nw.from_native(frame.to_native().project(f"*, {parts}"))

    def whole_numbers(self, frame: Frame, columns: Mapping[str, str]) -> Frame:
        types = dict(frame.collect_schema())
        parts = ", ".join(f'{_whole(old, types[old])} as "{new}"' for new, old in columns.items())
        return nw.from_native(frame.to_native().project(f"*, {parts}"))

    def materialise(self, frame: Frame, name: str) -> Frame:
        # A file, not a temporary table: those are kept uncompressed in memory.
        path = self._spill / f"{self._name(name)}.parquet"
        self._copy(frame.to_native().sql_query(), path, "snappy")
        return self.scan([path])

    def collect(self, frame: Frame) -> pl.DataFrame:
        rows: pl.DataFrame = frame.to_native().pl()
        return rows

    def write(self, frame: Frame, path: Path, by: Sequence[str]) -> None:
        order = ", ".join(f'"{name}" nulls first' for name in by)
        self._copy(f"select * from ({frame.to_native().sql_query()}) order by {order}", path, "zstd")

    def _copy(self, query: str, path: Path, compression: str) -> None:
        target = str(path).replace("'", "''")
        self._connection.execute(
            f"copy ({query}) to '{target}' (format parquet, compression {compression}, row_group_size 122880)"
        )

    def close(self) -> None:
        self._connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def _name(self, name: str) -> str:
        self._made += 1
        return f"{name}_{self._made}"


def _numbered(rows: pl.DataFrame, row_id: str | None) -> pl.DataFrame:
    return rows.with_row_index(row_id).with_columns(pl.col(row_id).cast(pl.Int64)) if row_id else rows


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _number(column: str, dtype: nw.dtypes.DType) -> str:
    if dtype == nw.Float32:
        return f'try_cast("{column}"::varchar as double)'
    if dtype == nw.String:
        return f'try_cast(trim("{column}") as double)'
    return f'"{column}"::double'


def _whole(column: str, dtype: nw.dtypes.DType) -> str:
    if dtype == nw.String:
        # DuckDB would round '1.5' to 2.
        return (
            f"case when regexp_full_match(trim(\"{column}\"), '[+-]?\\d+') "
            f'then try_cast(trim("{column}") as bigint) end'
        )
    return f'try_cast("{column}" as bigint)'


def _minutes(new: str, old: str, dtype: nw.dtypes.DType) -> str:
    if dtype == nw.Date:
        return (
            f'epoch("{old}"::timestamp)::bigint // 60 as "{new}", '
            f"case when \"{old}\" is null then 'none' else 'day' end as \"{new}_precision\""
        )
    if dtype != nw.String:
        return (
            f'floor(epoch("{old}"::timestamp) / 60)::bigint as "{new}", '
            f"case when \"{old}\" is null then 'none' else 'minute' end as \"{new}_precision\""
        )
    text = f'trim("{old}")'
    padded = (
        f"case length({text}) when 4 then {text} || '-01-01' when 7 then {text} || '-01' "
        f"else regexp_replace({text}, '{_OFFSET}', '') end"
    )
    made = f"floor(epoch(try_cast({padded} as timestamp)) / 60)::bigint"
    word = (
        f"case when try_cast({padded} as timestamp) is null then 'none' when length({text}) = 4 then 'year' "
        f"when length({text}) = 7 then 'month' when length({text}) > 10 then 'minute' else 'day' end"
    )
    return f'{made} as "{new}", {word} as "{new}_precision"'
