"""Parquet parts under way: rows, the ids of their records, and what others may refer to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from leukopenia import contracts
from leukopenia.read.raw import Issue, issue

BATCH = 1 << 16
MOST_BAD_LINES = 100
"""Bad lines of one file that are named one by one; the rest is counted."""

_ARROW = {"String": pa.string(), "Int64": pa.int64(), "Float64": pa.float64(), "Boolean": pa.bool_()}


def _arrow(column: contracts.Column) -> pa.DataType:
    if column.type == "Int64|String":
        return pa.int64() if column.name == "row_id" else pa.string()
    return _ARROW[column.type]


SCHEMAS = {table.name: pa.schema([(c.name, _arrow(c)) for c in table.columns]) for table in contracts.RAW}
KEYS = pa.schema([("row_id", pa.int64()), ("record", pa.string()), ("sought", pa.string())])
"""Per record: its `Type/id`, and the key of the resource it refers to; both may be empty."""

DEFINITIONS = pa.schema(
    [("key", pa.string()), ("row_id", pa.int64())] + [(name, pa.string()) for name in ("system", "code", "name")]
)

_REPEATING = [
    "source",
    "patient_id",
    "time_precision",
    "system",
    "code",
    "name",
    "specimen",
    "unit",
    "sought",
]
_REPEATING += ["text", "comparator", "flag", "route", "status", "dose_unit", "certainty", "setting", "sex"]
"""Columns with few different values; keys are not worth a dictionary."""

Row = tuple[object, ...]


@dataclass
class Tally:
    """What was met in a file: records by kind, and why some went no further."""

    records: Counter[str] = field(default_factory=Counter)
    aside: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    bad: list[tuple[int, str]] = field(default_factory=list)

    def set_aside(self, table: str, reason: str, detail: str) -> None:
        self.aside[table, reason, detail] += 1

    def bad_line(self, row_id: int, place: str, where: str) -> None:
        """Quarantine one record; `place` says which file and line, never what stood there."""
        self.records["bad_line"] += 1
        if len(self.bad) < MOST_BAD_LINES:
            self.bad.append((row_id, place))
        else:
            self.set_aside("", "bad_line", f"{where}, further lines")

    def add(self, other: Tally) -> None:
        """Take over what was met in another file."""
        self.records.update(other.records)
        self.aside.update(other.aside)
        self.bad.extend(other.bad)

    def issues(self, source: str) -> list[Issue]:
        lines = [issue(source, "", "bad_line", detail=place, row_id=str(row_id)) for row_id, place in sorted(self.bad)]
        counted = sorted(self.aside.items())
        return lines + [issue(source, table, why, detail=detail, n=n) for (table, why, detail), n in counted]


@dataclass
class Parts:
    """Writes one Parquet file per table, and beside it one with the keys of its records."""

    folder: Path
    name: str
    source: str
    _rows: dict[str, list[Row]] = field(default_factory=dict)
    _writers: dict[str, pq.ParquetWriter] = field(default_factory=dict)

    def add(self, table: str, rows: list[Row]) -> None:
        """Take rows in contract order without `source`, or rows of `<table>.keys` and `definitions`."""
        held = self._rows.setdefault(table, [])
        held.extend(rows)
        if len(held) >= BATCH:
            self._flush(table)

    def write(self, table: str, batch: pa.Table) -> None:
        """Write columns that are already in Arrow, in any order, without `source`."""
        schema = schema_of(table)
        if "source" in schema.names:
            batch = batch.append_column("source", pa.repeat(pa.scalar(self.source, pa.string()), len(batch)))
        if table not in self._writers:
            self._writers[table] = pq.ParquetWriter(
                self.folder / f"{table}-{self.name}.parquet", schema, use_dictionary=_REPEATING
            )
        self._writers[table].write_table(batch.select(schema.names).cast(schema))

    def _flush(self, table: str) -> None:
        rows = self._rows.pop(table, [])
        if rows:
            schema = schema_of(table)
            fields = [each for each in schema if each.name != "source"]
            columns = zip(*rows, strict=True)
            arrays = [pa.array(values, each.type) for values, each in zip(columns, fields, strict=True)]
            self.write(table, pa.Table.from_arrays(arrays, names=[each.name for each in fields]))

    def close(self) -> dict[str, Path]:
        """Finish the files; table (or `<table>.keys`, `definitions`) -> file."""
        for table in list(self._rows):
            self._flush(table)
        for writer in self._writers.values():
            writer.close()
        return {table: Path(writer.where) for table, writer in self._writers.items()}

    def discard(self) -> None:
        """Leave nothing behind."""
        self._rows.clear()
        for path in self.close().values():
            path.unlink(missing_ok=True)


def schema_of(table: str) -> pa.Schema:
    if table == "definitions":
        return DEFINITIONS
    return KEYS if table.endswith(".keys") else SCHEMAS[table]
