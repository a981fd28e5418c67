"""The read room: records as they come (FHIR, OMOP, MEDS, plain results) to raw tables in contract shape."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopenia.errors import SourceError, UsageError
from leukopenia.read.raw import Opener, Raw

if TYPE_CHECKING:
    from leukopenia.engine import Engine

FORMATS = {
    "fhir": "FHIR JSON, NDJSON or bulk export",
    "omop": "OMOP CDM 5.3 or 5.4: a folder of CSV or Parquet tables, or a .duckdb file",
    "meds": "MEDS: Parquet with subject_id, time, code",
    "results": "a table of results: CSV, TSV, Parquet or Excel",
}

__all__ = ["FORMATS", "Raw", "read", "read_frames", "recognise"]


def recognise(path: Path) -> str:
    """The format of a file or folder, from names and headers only.

    Parameters
    ----------
    path : Path
        A file or folder.

    Returns
    -------
    str
        One of `FORMATS`.

    Raises
    ------
    SourceError
        Absent, empty, unreadable, or of no known format; says what was seen and what is known.
    """
    from leukopenia.read import fhir, files, meds, omop, results

    if not path.exists():
        raise SourceError(f"There is no file or folder {path}.", "", "Check the path.")
    if path.is_dir() and not any(path.iterdir()):
        raise SourceError(f"The folder {path} is empty.", "", "Give the folder that holds the records.")
    if omop.recognises(path):
        return "omop"
    if fhir.recognises(path):
        return "fhir"
    if meds.recognises(path):
        return "meds"
    if path.is_file() and files.kind(path):
        files.columns(path)
        return "results"
    if path.is_dir() and len(results.parts_of(path)) == 1:
        return "results"
    seen = ", ".join(sorted(p.name for p in path.iterdir())[:8]) if path.is_dir() else path.name
    known = "; ".join(FORMATS.values())
    raise SourceError(f"The format of {path} is not known.", f"Seen: {seen}.", f"Known: {known}.")


def read(
    path: Path,
    engine: Engine,
    stage: Path,
    *,
    format: str = "",
    mapping: Mapping[str, Any] | None = None,
    source: str = "",
    progress: Any = None,
) -> Raw:
    """Read one source.

    Parameters
    ----------
    path : Path
        File or folder.
    engine : Engine
        Where the tables will live.
    stage : Path
        Folder for what must be rewritten before an engine can scan it (JSON, text, Excel).
    format : str
        One of `FORMATS`; empty: recognised.
    mapping : mapping, optional
        The site's words for columns (plain results only), see `results.KEYS`.
    source : str
        Short unique name; empty: the name of the file or folder.
    progress : callable, optional
        Handed to the FHIR reader.

    Raises
    ------
    SourceError
        It cannot be read, or is not of the format asked for.
    MappingError
        Its columns cannot be understood.
    """
    from leukopenia.read import meds, omop, results

    if format and format not in FORMATS:
        raise UsageError(f"There is no format {format!r}.", "", f"Choose one of: {', '.join(FORMATS)}.")
    if not format or not path.exists():
        format = recognise(path)
    name = source or path.resolve().name
    if format == "fhir":
        return _read_fhir(path, engine, stage, name, progress)
    if format == "omop":
        return omop.read(path, engine, stage, name)
    if format == "meds":
        return meds.read(path, engine, name)
    return results.read(path, engine, stage, name, mapping or {})


def _read_fhir(path: Path, engine: Engine, stage: Path, source: str, progress: Any) -> Raw:
    from leukopenia.contracts import RAW
    from leukopenia.read import fhir

    if not fhir.recognises(path):
        raise SourceError(
            f"{path} is not FHIR.", "No FHIR resource was found.", "Leave the format out, or give another."
        )
    staged = fhir.stage(path, stage, source, progress)
    tables = {
        table.name: engine.scan(staged.tables[table.name]).select(table.names)
        for table in RAW
        if staged.tables.get(table.name)
    }
    return Raw(source, "fhir", tables, staged.issues, staged.rows_in, staged.files)


def read_frames(
    frames: Mapping[str, Any] | Any,
    engine: Engine,
    *,
    source: str = "frame",
    mapping: Mapping[str, Any] | None = None,
) -> Raw:
    """Read frames the user already has (pandas, Polars, PyArrow, DuckDB, PySpark).

    Parameters
    ----------
    frames : frame or mapping of str to frame
        One frame of plain results, OMOP tables by their names, or `{'events': frame}` for MEDS.
    engine : Engine
        Where the tables will live.
    source : str
        Short unique name.
    mapping : mapping, optional
        As for `read`, for plain results.

    Raises
    ------
    UsageError
        None of the names given is a table known here.
    MappingError
        The columns cannot be understood.
    """
    from leukopenia.read import meds, omop, results

    if not isinstance(frames, Mapping):
        return results.build(_opener(engine, frames), engine, source, mapping or {})
    named = {str(name).lower(): frame for name, frame in frames.items()}
    openers = {name: _opener(engine, frame) for name, frame in named.items()}
    if set(openers) & set(omop.TABLES):
        return omop.build(openers, engine, source)
    if "events" in openers:
        return meds.build(openers["events"], engine, source)
    if set(openers) == {"results"}:
        return results.build(openers["results"], engine, source, mapping or {})
    raise UsageError(
        "No table known here is among the frames given.",
        f"Given: {', '.join(named)}.",
        "Name them as OMOP tables (measurement, ...), 'events' for MEDS, or give one frame of results.",
    )


def _opener(engine: Engine, frame: Any) -> Opener:
    from leukopenia.read.files import from_one

    return lambda row_id: from_one(engine.adopt(frame, row_id), row_id)
