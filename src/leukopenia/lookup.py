"""Looking knowledge up, and citing what a result rests on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from leukopenia import contracts, interval_conflicts, knowledge
from leukopenia.errors import SourceError, UsageError

_ID_COLUMNS = (
    "id",
    "ingredient",
    "condition",
    "interval_id",
    "rule_id",
    "standard",
    "definition",
    "analyte",
    "code",
    "name",
    "source_id",
)
_BY_NAME_ONLY = ("lms", "nhanes_limits")
"""Thousands of numbers by age: who looks a line up does not want them all."""


def look_up(wanted: str) -> list[dict[str, Any]]:
    """Rows of the knowledge tables.

    Parameters
    ----------
    wanted : str
        A table name, or an id that stands in an id column (drug:clozapine, ctcae-6.0, 6690-2), or interval: before a
        line or an interval, for all that sources say of it; empty: the tables.

    Raises
    ------
    UsageError
        No table and no row of that name.
    """
    tables = knowledge.load()
    if not wanted:
        return [{"table": name, "rows": len(rows)} for name, rows in sorted(tables.items())]
    if wanted.startswith(interval_conflicts.PREFIX):
        return interval_conflicts.side_by_side(wanted, tables)
    if wanted in tables:
        return [_cited(wanted, dict(row)) for row in tables[wanted]]
    found = [
        _cited(name, dict(row))
        for name, rows in sorted(tables.items())
        if name not in _BY_NAME_ONLY
        for row in rows
        if any(row.get(column, "").casefold() == wanted.casefold() for column in _ID_COLUMNS)
    ]
    if not found:
        raise UsageError(f"Nothing is known as {wanted!r}.", "", "`leukopenia knowledge` lists the tables.")
    return found


def _cited(table: str, row: dict[str, str]) -> dict[str, Any]:
    sources = [knowledge.citation(source) for source in filter(None, row.get("source_id", "").split(";"))]
    return {"table": table, **{name: value for name, value in row.items() if value}, "sources": sources}


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Rows for a person: one paragraph each."""
    for row in rows:
        print("  ".join(f"{name}: {value}" for name, value in row.items() if name != "sources"))
        for source in row.get("sources", ()):
            print(f"    {source}")


def cite(folder: Path) -> str:
    """BibTeX of the sources behind a written result: of its grades, limits, severity, red flags, monitoring and inputs.

    Raises
    ------
    SourceError
        The folder is no result.
    """

    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise SourceError(
            f"{folder} is not a result.", "", "Give a folder that `leukopenia run` has written."
        ) from None
    tables = knowledge.load()
    standards = set(manifest["policy"]["standards"].split(";"))
    used = {row["source_id"] for row in tables["criteria"] if row["standard"] in standards}
    used |= {row["source_id"] for row in tables["severity"]}
    intervals = set(_column(folder, "limits", "interval_id"))
    used |= {row["source_id"] for row in tables["intervals"] if row["interval_id"] in intervals}
    used |= set(_column(folder, "risks", "source_id"))
    if "alerts" in manifest["tables"]:
        used |= _monitored(folder, tables)
    keys = sorted({key for source in used for key in source.split(";") if key})
    return "\n\n".join(knowledge.references()[key] for key in keys)


def _monitored(folder: Path, tables: contracts.Knowledge) -> set[str]:
    """The sources of the rules that were applied and of the alerts they raised."""
    rules = set(_column(folder, "coverage", "rule_id"))
    of_rules = {row["source_id"] for row in tables["monitoring_rules"] if row["rule_id"] in rules}
    return of_rules | set(_column(folder, "alerts", "source_id"))


def _column(folder: Path, table: str, column: str) -> list[str]:
    import polars as pl

    path = folder / f"{table}.parquet"
    source = f"{path}/*.parquet" if path.is_dir() else str(path)
    found: list[str] = pl.scan_parquet(source).select(column).unique().collect()[column].to_list()
    return found
