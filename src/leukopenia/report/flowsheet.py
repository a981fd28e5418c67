"""The counts of one person as a table: times down, analytes across, flags beside the values."""

from __future__ import annotations

from dataclasses import dataclass

from leukopenia.contracts import ESTIMATED
from leukopenia.report.facts import Record, Row
from leukopenia.report.panels import BAND_STANDARD, shape
from leukopenia.report.words import ANALYTES, number, result, when


@dataclass(frozen=True)
class Cell:
    """One count as it is printed."""

    text: str
    low: bool = False
    flags: str = ""
    title: str = ""


@dataclass(frozen=True)
class Flowsheet:
    """Column names, and rows of a time with one cell for each column."""

    columns: list[str]
    rows: list[tuple[str, list[Cell]]]
    keys: list[tuple[str, str]]


_EMPTY = Cell("")
_SHAPE_FLAGS = {"derived": "d", "at_most": "", "at_least": "", "measured": ""}
_KEYS = {
    "L": "below the lower limit",
    "H": "above the upper limit",
    "G": "grade in CTCAE 5.0; ≥: at least",
    "d": "derived from other results",
    "b": "bounded by the white count: not more than",
    "c": "results disagree, the lower is shown",
    "u": "unit repaired",
}


def flowsheet(record: Record) -> Flowsheet:
    """The flowsheet of all counts of a person."""
    order = list(ANALYTES)
    analytes = sorted(
        {row["analyte"] for row in record.counts}, key=lambda a: (order.index(a) if a in order else 99, a)
    )
    limits = {(row["analyte"], row["minute"]): row for row in record.limits}
    grades = {
        (row["analyte"], row["minute"]): row
        for row in record.grades
        if row["standard"] == BAND_STANDARD and row["grade"]
    }
    times: dict[int, dict[str, Row]] = {}
    for row in record.counts:
        times.setdefault(row["minute"], {})[row["analyte"]] = row
    rows = []
    for minute, found in times.items():
        cells = [_cell(found.get(a), limits.get((a, minute)), grades.get((a, minute))) for a in analytes]
        rows.append((when(minute, next(iter(found.values()))["time_precision"]), cells))
    used = {flag[:1] for _, cells in rows for cell in cells for flag in cell.flags.replace("≥", "").split()}
    return Flowsheet(
        [ANALYTES.get(a, a) for a in analytes],
        rows,
        [(flag, text) for flag, text in _KEYS.items() if flag in used],
    )


def _cell(row: Row | None, limit: Row | None, grade: Row | None) -> Cell:
    if row is None:
        return _EMPTY
    side = _side(row, limit)
    flags = [
        side,
        _grade_flag(grade),
        _origin(row),
        "c" if row["conflict"] else "",
        "u" if row["unit_repaired"] else "",
    ]
    return Cell(result(row), side == "L", " ".join(flag for flag in flags if flag), _limit_words(limit))


def _side(row: Row, limit: Row | None) -> str:
    """L or H against the limit in force; a result that is censored towards the limit gets neither."""
    if limit is None:
        return ""
    if limit["low"] is not None and row["value"] < limit["low"] and row["comparator"] not in (">", ">="):
        return "L"
    high = limit["high"] is not None and row["value"] > limit["high"] and row["comparator"] not in ("<", "<=")
    return "H" if high else ""


def _grade_flag(grade: Row | None) -> str:
    if grade is None:
        return ""
    return f"{'≥' if grade['at_least'] else ''}G{grade['grade']}"


def _origin(row: Row) -> str:
    return "b" if row["derivation"] == "bounded_by_wbc" else _SHAPE_FLAGS[shape(row)]


def _limit_words(limit: Row | None) -> str:
    if limit is None or limit["low"] is None:
        return ""
    source = ", ".join(filter(None, (limit["basis"], limit["interval_id"].removeprefix(ESTIMATED))))
    return f"limits {number(limit['low'])} to {number(limit['high']) or '?'} ({source})"
