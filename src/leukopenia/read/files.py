"""Files on disk: what a path holds, and text files staged as Parquet.

Text is staged in two gaits. DuckDB reads it fast and strictly; where that fails on anything at all (a line
too long, another encoding, mixed line ends), the standard library's reader goes line by line and says what
it met.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, TYPE_CHECKING, Any, cast

import narwhals.stable.v2 as nw

from leukopenia.errors import MissingPartError, SourceError
from leukopenia.read.raw import Opener

if TYPE_CHECKING:
    import polars as pl

    from leukopenia.engine import Engine, Frame

ROW = "leukopenia_row"
TEXT = (".csv", ".tsv", ".txt")
EXCEL = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
KINDS = (*TEXT, ".parquet", *EXCEL)
_DELIMITERS = ",;\t|"
_BATCH = 50_000


@dataclass
class Notes:
    """What was met while opening files: files opened, lines set aside, encodings repaired."""

    files: list[Path] = field(default_factory=list)
    bad_lines: dict[str, list[int]] = field(default_factory=dict)
    not_utf8: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Dialect:
    """How a text file is written."""

    encoding: str
    delimiter: str
    quoted: bool
    header: list[str]


def kind(path: Path) -> str:
    """The suffix that says what a file is, without `.gz`; empty for what no reader here knows."""
    name = path.name.lower().removesuffix(".gz")
    return next((suffix for suffix in KINDS if name.endswith(suffix)), "")


def stem(path: Path) -> str:
    """The name of a table file or folder in small letters, without suffixes."""
    name = path.name.lower().removesuffix(".gz")
    return name if path.is_dir() else name.removesuffix(kind(path))


def table_files(folder: Path) -> list[Path]:
    """The table files below a folder, hidden files left out, in name order."""
    found = (p for p in folder.rglob("*") if p.is_file() and kind(p))
    return sorted(p for p in found if not any(part.startswith((".", "_")) for part in p.relative_to(folder).parts))


def columns(path: Path) -> list[str]:
    """The column names of one table file, without reading its rows."""
    if kind(path) == ".parquet":
        return parquet_columns(path)
    return _excel(path).columns if kind(path) in EXCEL else dialect(path).header


def parquet_columns(path: Path) -> list[str]:
    import polars as pl

    try:
        return list(pl.read_parquet_schema(path))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(
            f"The Parquet file {path} cannot be read.",
            f"It is empty, truncated or not Parquet ({type(error).__name__}).",
            "Copy or export the file again.",
        ) from None


def opener(paths: Sequence[Path], engine: Engine, stage: Path, notes: Notes) -> Opener:
    """One source table from one file or several parts of one kind; text and Excel are staged first."""
    notes.files.extend(paths)
    if kind(paths[0]) == ".parquet":
        for path in paths:
            parquet_columns(path)
        return lambda row_id: from_one(engine.scan(paths, row_id), row_id)
    staged, rows = [], 0
    for path in paths:
        staged.append(_staged(path, stage, rows, notes))
        rows += _rows(staged[-1])
    return lambda row_id: _numbered(engine.scan(staged), row_id)


def from_one(frame: Frame, row_id: str | None) -> Frame:
    """Row numbers from 1, as people count lines; the engines count from 0."""
    return frame.with_columns(nw.col(row_id) + 1) if row_id else frame


def _numbered(frame: Frame, row_id: str | None) -> Frame:
    return frame.rename({ROW: row_id}) if row_id else frame.drop(ROW)


def _rows(parquet: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(parquet).num_rows)


def _staged(path: Path, stage: Path, before: int, notes: Notes) -> Path:
    stage.mkdir(parents=True, exist_ok=True)
    target = Path(mkdtemp(dir=stage)) / f"{path.name}.parquet"
    if kind(path) in EXCEL:
        _write_excel(path, target, before)
        return target
    how = dialect(path)
    if how.encoding != "utf-8-sig" or not _fast(path, how, target, before):
        _careful(path, how, target, before, notes)
    return target


def _write_excel(path: Path, target: Path, before: int) -> None:
    import polars as pl

    numbered = _excel(path).with_row_index(ROW, before + 1)
    numbered.with_columns(pl.col(ROW).cast(pl.Int64)).write_parquet(target)


def _excel(path: Path) -> pl.DataFrame:
    import polars as pl

    try:
        # As text, so that a date, a number and '<0.1' in one column all arrive.
        return pl.read_excel(path, infer_schema_length=0)
    except ModuleNotFoundError as error:
        raise MissingPartError(
            "Reading Excel needs fastexcel.", str(error), "pip install 'leukopenia[excel]'"
        ) from None
    except Exception as error:
        raise SourceError(
            f"The workbook {path} cannot be read.", type(error).__name__, "Save it as CSV and read that."
        ) from None


def dialect(path: Path) -> Dialect:
    """Encoding, delimiter and header of a text file, from its beginning."""
    try:
        with _bytes(path) as stream:
            head = stream.read(1 << 16)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from None
    if not head.strip():
        raise SourceError(f"The file {path} is empty.", "No line at all.", "Export the file again.")
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    lines = head.decode(encoding, "replace").splitlines()
    first = next(line for line in lines if line.strip())
    delimiter = max(_DELIMITERS, key=lambda mark: len(next(csv.reader([first], delimiter=mark))))
    # OHDSI's vocabulary files are tab-separated with bare quotation marks inside names.
    quoted = delimiter != "\t" or first.startswith('"')
    names = next(_reader([first], delimiter, quoted))
    return Dialect(encoding, delimiter, quoted, _distinct(names))


def _reader(lines: Iterable[str], delimiter: str, quoted: bool) -> Any:
    quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=quoted)


def _distinct(names: Iterable[str]) -> list[str]:
    seen: dict[str, int] = {}
    result = []
    for number, name in enumerate(names, 1):
        plain = name.strip() or f"column_{number}"
        seen[plain.lower()] = seen.get(plain.lower(), 0) + 1
        result.append(plain if seen[plain.lower()] == 1 else f"{plain}_{seen[plain.lower()]}")
    return result


def _bytes(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


def _unreadable(path: Path, error: Exception) -> SourceError:
    if isinstance(error, EOFError):
        found = "The compressed file ends too early: it is truncated."
    elif isinstance(error, gzip.BadGzipFile | zlib.error):
        found = "It is named .gz, but it is not a gzip file, or it is damaged."
    else:
        found = type(error).__name__
    return SourceError(f"The file {path} cannot be read.", found, "Copy or export the file again.")


def _fast(path: Path, how: Dialect, target: Path, before: int) -> bool:
    import duckdb

    types = ", ".join(f"{_quote(name)}: 'VARCHAR'" for name in how.header)
    mark = "'\"'" if how.quoted else "''"
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "temp_directory": str(target.parent)})
    try:
        connection.execute(
            f"copy (select (row_number() over () + {before})::bigint as {ROW}, * "
            f"from read_csv({_quote(str(path))}, header = true, auto_detect = false, "
            f"columns = {{{types}}}, delim = {_quote(how.delimiter)}, "
            f"quote = {mark}, escape = {mark})) to {_quote(str(target))} (format parquet, compression zstd)"
        )
    except duckdb.Error:
        # Whatever it was, the careful reader names it, without showing a line of the file.
        return False
    finally:
        connection.close()
    return True


def _quote(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _careful(path: Path, how: Dialect, target: Path, before: int, notes: Notes) -> None:
    try:
        bad = _copy(path, how, how.encoding, target, before)
    except UnicodeDecodeError:
        notes.not_utf8.append(path.name)
        bad = _copy(path, how, "latin-1", target, before)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from None
    if bad:
        notes.bad_lines[path.name] = bad


def _copy(path: Path, how: Dialect, encoding: str, target: Path, before: int) -> list[int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(ROW, pa.int64()), *((name, pa.string()) for name in how.header)])
    bad: list[int] = []
    rows = _records(path, how, encoding, bad)
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        while batch := list(islice(rows, _BATCH)):
            numbers = [number + before for number, _ in batch]
            values = zip(*(record for _, record in batch), strict=True)
            writer.write_table(pa.table([numbers, *map(list, values)], schema=schema))
    return bad


def _records(path: Path, how: Dialect, encoding: str, bad: list[int]) -> Iterator[tuple[int, list[str | None]]]:
    import io

    with _bytes(path) as stream, io.TextIOWrapper(stream, encoding, newline="") as lines:
        reader = _reader(lines, how.delimiter, how.quoted)
        try:
            next(row for row in reader if any(row))
            for number, row in enumerate(filter(None, reader), 1):
                record = _fitted(row, len(how.header))
                if record is None:
                    bad.append(number)
                else:
                    yield number, record
        except csv.Error:
            raise SourceError(
                f"The file {path} cannot be read beyond line {reader.line_num}.",
                "A quotation mark is never closed, or stands in the middle of a field.",
                "Mend the quotation marks near that line.",
            ) from None


def _fitted(row: list[str], width: int) -> list[str | None] | None:
    """A row as wide as the header: short rows are filled up, rows with too many fields are no record."""
    if any(row[width:]):
        return None
    return [value or None for value in row[:width]] + [None] * (width - len(row))


def plain(name: str) -> str:
    """A column or table name for comparison: small letters and digits only."""
    return re.sub(r"[^a-z0-9%#]+", "", name.lower())
