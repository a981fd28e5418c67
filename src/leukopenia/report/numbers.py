"""The cohort's aggregates as tables for the page: rows and columns in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from leukopenia.errors import REASONS
from leukopenia.report.disclosure import REDACTED, total
from leukopenia.report.facts import Row
from leukopenia.report.figures import nadir_by_duration, standards_side_by_side
from leukopenia.report.summary import DAY_CLASSES
from leukopenia.report.why import Words
from leukopenia.report.words import ANALYTES, SEVERITIES, STANDARDS

GRADES: tuple[int | None, ...] = (0, 1, 2, 3, 4, None)
_SEVERITY_WORDS = {"": "not classified"}
_STEP_WORDS = {
    "rows": "result rows in the source",
    "read": "read",
    "recognised": "recognised as a test of interest",
    "blood": "from blood",
    "usable": "with a usable value, unit and time",
    "merged": "a count, or a percentage with the white cells of its draw",
    "counts": "counts, derived ones included",
    "low": "below the lower limit",
    "episodes": "episodes",
}


@dataclass(frozen=True)
class Table:
    """A printed table: column names, rows of a name and its cells, and the places of totals."""

    columns: list[str]
    rows: list[tuple[str, list[Any]]]


@dataclass(frozen=True)
class Line:
    """One line of cells: episodes under the standards, the crosswalk, lengths, the plot."""

    name: str
    worst: Table
    bars: Markup | None
    crosswalk: Table | None
    durations: Table
    plot: Markup | None


class Cells:
    """Counts by two keys. What is absent is zero, or redacted where small cells are."""

    def __init__(self, rows: Iterable[Row], down: str, across: str, value: str, redacted: bool) -> None:
        self._found = {(row[down], row[across]): row[value] for row in rows}
        self._absent: int | str = REDACTED if redacted else 0

    def row(self, down: Any, across: Sequence[Any]) -> list[Any]:
        """The cells of one row, its total last."""
        cells = [self._found.get((down, key), self._absent) for key in across]
        return [*cells, total(cells)]


def analytes_in(rows: Iterable[Row]) -> list[str]:
    """The analytes of these rows in the order in which a blood count is read."""
    order = list(ANALYTES)
    return sorted({row["analyte"] for row in rows}, key=lambda a: (order.index(a) if a in order else 99, a))


def analyte_name(analyte: str) -> str:
    """The plain name of an analyte."""
    return ANALYTES.get(analyte, analyte)


def severity_table(rows: list[Row], redacted: bool) -> Table:
    """Episodes by line and severity."""
    present = [s for s in reversed(SEVERITIES) if s in {row["severity"] for row in rows} or s]
    cells = Cells(rows, "analyte", "severity", "episodes", redacted)
    columns = [_SEVERITY_WORDS.get(s, s) for s in present]
    return Table([*columns, "all"], [(analyte_name(a), cells.row(a, present)) for a in analytes_in(rows)])


def line_pages(summary: Mapping[str, Any], redacted: bool) -> list[Line]:
    """What is shown of each line that has episodes."""
    names = analytes_in(summary.get("severity", []))
    return [_line(summary, name, f"line-{index}", redacted) for index, name in enumerate(names)]


def _of(rows: Iterable[Row], analyte: str) -> list[Row]:
    return [row for row in rows if row["analyte"] == analyte]


def _line(summary: Mapping[str, Any], analyte: str, key: str, redacted: bool) -> Line:
    worst = _of(summary.get("worst", []), analyte)
    cells = Cells(worst, "standard", "grade", "episodes", redacted)
    return Line(
        analyte_name(analyte),
        Table(_grade_columns(), [(words, cells.row(standard, GRADES)) for standard, words in STANDARDS.items()]),
        standards_side_by_side(worst, analyte, f"{key}-bars"),
        crosswalk_table(_of(summary.get("crosswalk", []), analyte), redacted),
        _duration_table(_of(summary.get("durations", []), analyte), redacted),
        nadir_by_duration(summary, analyte, f"{key}-plot"),
    )


def _grade_columns() -> list[str]:
    return [*("unknown" if grade is None else str(grade) for grade in GRADES), "all"]


def crosswalk_table(rows: list[Row], redacted: bool) -> Table | None:
    """Counts by CTCAE 5.0 grade (down) and CTCAE 6.0 grade (across); None where there are none."""
    if not rows:
        return None
    cells = Cells(rows, "v5", "v6", "counts", redacted)
    names = ["unknown" if grade is None else f"5.0: {grade}" for grade in GRADES]
    columns = ["unknown" if grade is None else f"6.0: {grade}" for grade in GRADES]
    return Table(
        [*columns, "all"],
        [(name, cells.row(grade, GRADES)) for name, grade in zip(names, GRADES, strict=True)],
    )


def _duration_table(rows: list[Row], redacted: bool) -> Table:
    present = [s for s in reversed(SEVERITIES) if s in {row["severity"] for row in rows}]
    cells = Cells(rows, "days", "severity", "episodes", redacted)
    columns = [_SEVERITY_WORDS.get(s, s) for s in present]
    return Table([*columns, "all"], [(days, cells.row(days, present)) for days in DAY_CLASSES])


def attrition_table(rows: list[Row]) -> Table:
    """Rows and persons from the source to the episodes."""
    steps = [(str(_STEP_WORDS.get(row["step"], row["step"])), [row["rows"], row["persons"]]) for row in rows]
    return Table(["rows", "persons"], steps)


def quality_table(rows: list[Row]) -> Table:
    """How the counts of each analyte came about."""
    keys = {
        "counts": "counts",
        "persons": "persons",
        "low_counts": "low",
        "derived": "derived",
        "bounded": "of these bounded",
        "censored": "reported as < or >",
        "conflict": "in conflict",
        "unit_repaired": "unit repaired",
    }
    order = analytes_in(rows)
    by_name = {row["analyte"]: row for row in rows}
    table = [(analyte_name(a), [by_name[a].get(key) for key in keys]) for a in order]
    return Table(list(keys.values()), table)


_BASES = {"laboratory": "laboratory", "estimated": "estimated", "published": "published", "none": "no limit"}


def limits_table(rows: list[Row], redacted: bool) -> Table:
    """Counts by analyte and by where their lower limit comes from."""
    absent: list[Any] = [REDACTED if redacted else 0]
    bases = [basis for basis in _BASES if basis != "estimated" or any(row["basis"] == basis for row in rows)]
    merged: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        merged.setdefault((row["analyte"], row["basis"]), []).append(row["counts"])
    table = [(analyte_name(a), [total(merged.get((a, basis), absent)) for basis in bases]) for a in analytes_in(rows)]
    return Table([_BASES[basis] for basis in bases], table)


@dataclass(frozen=True)
class Reason:
    """Why rows were set aside, marked or not graded: who says it, in plain words, how many."""

    where: str
    reason: str
    meaning: str
    n: Any


def issue_reasons(rows: list[Row], set_aside: bool) -> list[Reason]:
    """The reasons in plain words."""
    return [
        Reason(f"{row['stage']}, {row['table']}", row["reason"], REASONS.get(row["reason"], ""), row["rows"])
        for row in rows
        if row["set_aside"] is set_aside
    ]


def unknown_reasons(rows: list[Row]) -> list[Reason]:
    """Why counts have no grade."""
    return [
        Reason(
            f"{STANDARDS.get(row['standard'], row['standard'])}, {analyte_name(row['analyte'])}",
            row["reason"],
            REASONS.get(row["reason"], ""),
            row["counts"],
        )
        for row in rows
    ]


@dataclass(frozen=True)
class Cause:
    """One leading cause in the cohort."""

    name: str
    leads: Any
    persons_led: Any
    expected: str
    persons: Any
    years: str
    rate: str


def causes_table(rows: list[Row], words: Words, redacted: bool) -> dict[str, list[Cause]]:
    """The leading causes by kind, drugs first; where small cells are redacted, without sums and rates."""
    made: dict[str, list[Cause]] = {"Drugs": [], "Conditions and exposures": []}
    for row in rows:
        kind = "Drugs" if row["cause_id"].startswith("drug:") else "Conditions and exposures"
        expected, years, rate = ("", "", "") if redacted else (f"{row['expected']:.1f}", _years(row), _rate(row))
        name = words.name(row["cause_id"])
        made[kind].append(Cause(name, row["leads_in"], row["persons_led"], expected, row["persons"], years, rate))
    return {kind: found for kind, found in made.items() if found}


def _rate(row: Row) -> str:
    if row["rate"] is None:
        return ""
    rate, low, high = (_rounded(row[name]) for name in ("rate", "rate_low", "rate_high"))
    return f"{rate} ({low} to {high})"


def _years(row: Row) -> str:
    return "" if row["days_exposed"] is None else f"{row['days_exposed'] / 365.25:,.2f}"


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
