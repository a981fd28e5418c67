"""Files that grow block by block: what a block adds to them, and the folder that takes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

Row = TypeVar("Row")

ROW_GROUP = 100_000
"""Rows of a Parquet table that wait to be written together."""


def chosen(rows: Sequence[Row], share: float, rng: Random) -> list[Row]:
    """A share of the rows, at least one of them where there is any."""
    return rng.sample(rows, min(len(rows), max(1, round(share * len(rows)))))


@dataclass(frozen=True)
class Additions:
    """What one block of patients adds to the files of a format.

    Attributes
    ----------
    files : mapping
        Path within the folder to text that is appended, or rows of a Parquet table.
    rows : mapping
        Rows written for each table; lines that are no record of it do not count.
    dirt : mapping
        Kind of dirt that only the format can carry, to how often it was put in.
    shared : mapping
        Path, or name of a table, to rows that several blocks may bring, by a key: each is written once.
    """

    files: Mapping[str, bytes | pa.Table]
    rows: Mapping[str, int]
    dirt: Mapping[str, int] = field(default_factory=dict)
    shared: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)


class Folder:
    """A folder whose files grow; in memory are the keys of shared lines, and the rows of one row group for each table.

    Parameters
    ----------
    path : Path
        Existing folder.
    headings : mapping
        Path within the folder to the first line of a text file.
    """

    def __init__(self, path: Path, headings: Mapping[str, bytes]) -> None:
        self.path, self.headings = path, headings
        self.rows: Counter[str] = Counter()
        self.dirt: Counter[str] = Counter()
        self._texts: dict[str, BufferedWriter] = {}
        self._tables: dict[str, pq.ParquetWriter] = {}
        self._waiting: dict[str, list[pa.Table]] = {}
        self._seen: set[tuple[str, str]] = set()

    def add(self, block: Additions) -> None:
        """Append what a block brings; blocks come in order."""
        for name, added in block.files.items():
            self.append(name, added)
        for name, lines in block.shared.items():
            new = [line for key, line in lines.items() if (name, key) not in self._seen]
            self._seen.update((name, key) for key in lines)
            self.append(name, b"".join(new))
        self.rows.update(block.rows)
        self.dirt.update(block.dirt)

    def append(self, name: str, added: bytes | pa.Table) -> None:
        """Append text or rows to one file, which is made with the first of them."""
        if isinstance(added, bytes):
            self._text(name).write(added)
        else:
            self._waiting.setdefault(name, []).append(added)
            if sum(map(len, self._waiting[name])) >= ROW_GROUP:
                self._write(name)

    def _write(self, name: str) -> None:
        rows = pa.concat_tables(self._waiting.pop(name, []))
        self._table(name, rows.schema).write_table(rows)

    def _text(self, name: str) -> BufferedWriter:
        if name not in self._texts:
            self._texts[name] = self._place(name).open("wb")
            self._texts[name].write(self.headings.get(name, b""))
        return self._texts[name]

    def _table(self, name: str, schema: pa.Schema) -> pq.ParquetWriter:
        if name not in self._tables:
            self._tables[name] = pq.ParquetWriter(self._place(name), schema, compression="zstd")
        return self._tables[name]

    def _place(self, name: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def complete(self, name: str) -> None:
        """Close a Parquet file to which nothing is added any more."""
        if name in self._waiting:
            self._write(name)
        self._tables.pop(name).close()

    def finish(self) -> None:
        """Write what only the end can tell: here the rows that wait for their row group."""
        for name in list(self._waiting):
            self._write(name)

    def close(self) -> None:
        """Close all files."""
        for opened in (*self._texts.values(), *self._tables.values()):
            opened.close()
