"""The FHIR reader: Bundles, NDJSON bulk exports and folders of either -> raw tables as Parquet.

R4 (with R4B) and, where the shape is the same, STU3. Every record flows on, or stands in the issues:
records in = records with rows + Medications and Specimens (looked up by others) + records set aside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import duckdb

from leukopenia.errors import SourceError
from leukopenia.read import fhir_bulk, fhir_input
from leukopenia.read.fhir_finish import Written, finish
from leukopenia.read.fhir_input import opened
from leukopenia.read.fhir_lines import Reader, kind_of, read_document, read_lines
from leukopenia.read.fhir_parts import Parts, Tally
from leukopenia.read.raw import Issue

BULK_FROM = 1 << 20
"""Files below this size are read line by line: nothing is gained by the fast path."""

MEMORY_LIMIT = "1GB"
_LOOKED_AT = 20


@dataclass(frozen=True)
class Staged:
    """What was read and where it stands.

    Attributes
    ----------
    tables : dict of str to list of Path
        Raw table -> Parquet files with exactly the columns of its contract; tables without rows are left out.
    issues : list of dict
        Rows of `contracts.ISSUES`, stage 'read'.
    rows_in : dict of str to int
        Records read by resource type; what was no record counts as 'bad_line'.
    files : list of Path
        The files read. `row_id` is file number * 10^12 + line or entry (from 1) * 10^3 + component (0: none).
    """

    tables: dict[str, list[Path]]
    issues: list[Issue]
    rows_in: dict[str, int]
    files: list[Path]


def recognises(path: Path) -> bool:
    """Whether a file, or one of the first files of a folder, begins like FHIR in JSON."""
    try:
        if path.is_dir():
            return any(map(_is_fhir, islice(_candidates(path), _LOOKED_AT)))
        return path.is_file() and _is_fhir(path)
    except OSError:
        return False


def _is_fhir(path: Path) -> bool:
    return fhir_input.looks_like_fhir(fhir_input.head(path))


def _candidates(folder: Path) -> list[Path]:
    """Files of a folder that may hold FHIR, hidden ones left out, in name order."""
    found = (p for p in folder.rglob("*") if fhir_input.suffix(p) and p.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def stage(path: Path, stage: Path, source: str, progress: Callable[[int], None] | None = None) -> Staged:
    """Read a file or folder of FHIR into Parquet files.

    Parameters
    ----------
    path : Path
        A Bundle, an array of resources, one resource, an NDJSON file, or a folder of such files; plain or
        gzip.
    stage : Path
        Folder for the Parquet files; made where absent.
    source : str
        Short name of the source, for the column `source`.
    progress : callable, optional
        Called with the number of bytes (as stored) done so far.

    Raises
    ------
    SourceError
        The path is absent, empty, unreadable, truncated, or no FHIR.
    """
    files = _files(path)
    stage.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config=_settings(stage)) as connection:
        run = _Run(connection, stage, source, files, progress or (lambda done: None))
        try:
            for number in range(len(files)):
                run.read(number)
            written, issues = finish(connection, run.close(), source)
        except BaseException:
            run.discard()
            raise
    _refuse_nothing(run.tally, path)
    return Staged(written, run.tally.issues(source) + issues, dict(run.tally.records), files)


def _settings(stage: Path) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "threads": 1,
        "preserve_insertion_order": True,
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(stage / ".overflow"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise SourceError(f"There is no {path}.", "", "Check the path.")
    found = _candidates(path) if path.is_dir() else [path]
    files = [each for each in found if each.stat().st_size]
    if not files:
        what = "It holds no .json or .ndjson file with anything in it." if path.is_dir() else "The file is empty."
        raise SourceError(f"There is nothing to read in {path}.", what, "Export the records again.")
    return files


def _refuse_nothing(tally: Tally, path: Path) -> None:
    if not tally.records or set(tally.records) <= {"bad_line", _NOT_FHIR}:
        raise SourceError(
            f"There is no FHIR record in {path}.",
            f"{sum(tally.records.values())} lines or entries were looked at; none is a FHIR resource.",
            "Choose another --format, or export the records again.",
        )


_NOT_FHIR = "file that is not FHIR"


@dataclass
class _Run:
    """One source under way: files in, parts and counts out."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    source: str
    files: list[Path]
    progress: Callable[[int], None]
    tally: Tally = field(default_factory=Tally)
    _common: Parts = field(init=False)
    _closed: list[dict[str, Path]] = field(default_factory=list)
    _done: int = 0
    _shown: int = 0

    def __post_init__(self) -> None:
        self._common = Parts(self.folder, "lines", self.source)

    def read(self, number: int) -> None:
        """Read one file, the fast way where it can be."""
        path = self.files[number]
        with opened(path):
            start = fhir_input.head(path)
        if len(self.files) > 1 and start and not fhir_input.looks_like_fhir(start):
            self._pass_over()
        elif not (self._is_bulk(path, start) and self._bulk(number)):
            self._careful(number, start)
        self._done += path.stat().st_size
        self._show(0)

    def _pass_over(self) -> None:
        self.tally.records[_NOT_FHIR] += 1
        self.tally.set_aside("", "other_resource", _NOT_FHIR)

    def _careful(self, number: int, start: bytes) -> None:
        path = self.files[number]
        reader = Reader(self._common, Tally(), number, path.name)
        with opened(path) as source:
            if fhir_input.has_lines(path, start):
                read_lines(source, reader, self._show)
            else:
                read_document(source, reader, alone=len(self.files) == 1)
        self.tally.add(reader.tally)

    def _is_bulk(self, path: Path, start: bytes) -> bool:
        large = path.stat().st_size >= BULK_FROM and fhir_bulk.fits(path)
        return large and fhir_input.has_lines(path, start) and kind_of(start.partition(b"\n")[0]) == "Observation"

    def _bulk(self, number: int) -> bool:
        parts = Parts(self.folder, f"{number:05}", self.source)
        reader = Reader(parts, Tally(), number, self.files[number].name)
        try:
            with opened(self.files[number]) as source:
                fhir_bulk.read_observations(self.connection, source, reader, self._show)
        except fhir_bulk.Refused:
            parts.discard()
            return False
        except BaseException:
            parts.discard()
            raise
        self._closed.append(parts.close())
        self.tally.add(reader.tally)
        return True

    def _show(self, done: int) -> None:
        self._shown = max(self._shown, self._done + done)
        self.progress(self._shown)

    def close(self) -> Written:
        """Finish the parts; files by table."""
        self._closed.append(self._common.close())
        written: Written = {}
        for parts in self._closed:
            for table, path in parts.items():
                written.setdefault(table, []).append(path)
        return written

    def discard(self) -> None:
        self._common.discard()
        for path in (path for parts in self._closed for path in parts.values()):
            path.unlink(missing_ok=True)
