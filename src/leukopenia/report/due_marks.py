"""Counts that a rule asks for, as marks under the bar of their drug."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from leukopenia.report import svg
from leukopenia.report.facts import Record, Row
from leukopenia.report.monitored import due_state, rule
from leukopenia.report.panels import View
from leukopenia.report.svg import Axis
from leukopenia.report.words import day

STATES = ("missed", "late", "ahead", "unsure", "taken")
"""The worst first: where marks would lie on one another the worst is drawn."""

_SHAPES = {
    "taken": "m-2.4 0a2.4 2.4 0 1 0 4.8 0a2.4 2.4 0 1 0-4.8 0z",
    "late": "m-2.4 0a2.4 2.4 0 1 0 4.8 0a2.4 2.4 0 1 0-4.8 0z",
    "missed": "m-3-3l6 6m0-6l-6 6",
    "ahead": "m0-3v6",
    "unsure": "m-2.5 0h5",
}
_APART = 7.0
"""Marks nearer to one another than this share one place."""

_WORDS = {"taken": "taken", "late": "taken late", "missed": "missed", "ahead": "ahead", "unsure": "not assessable"}


def due_in_view(record: Record, view: View) -> dict[str, list[Row]]:
    """The due counts of each drug that lie in the view."""
    parts: dict[str, list[Row]] = {}
    for row in record.monitored.due_counts:
        if view.start <= row["due"] <= view.end:
            parts.setdefault(row["drug"], []).append(row)
    return parts


def due_marks(rows: Sequence[Row], x: Axis, y: float) -> Iterator[str]:
    """One mark for each due count of a drug: dot, ring, cross, stroke or dash."""
    for place, found in _together(rows, x):
        state = min((due_state(row) for row in found), key=STATES.index)
        yield svg.path(f"M{place:g} {y:g}{_SHAPES[state]}", f"due-mark due-{state}", _title(found))


def _together(rows: Sequence[Row], x: Axis) -> Iterator[tuple[float, list[Row]]]:
    """Due counts that have room for a mark of their own, the others with the one before."""
    places: list[tuple[float, list[Row]]] = []
    for row in rows:
        at = x.at(row["due"])
        if places and at - places[-1][0] < _APART:
            places[-1][1].append(row)
        else:
            places.append((at, [row]))
    yield from places


def _title(rows: Sequence[Row]) -> str:
    if len(rows) == 1:
        row = rows[0]
        taken = "" if row["fulfilled"] is None else f" {day(row['fulfilled'])}"
        return f"count due {day(row['due'])}: {_WORDS[due_state(row)]}{taken} ({rule(row['rule_id'])})"
    return f"counts due {day(rows[0]['due'])} to {day(rows[-1]['due'])}: {_numbers(rows)}"


def due_words(drug: str, rows: Sequence[Row]) -> str:
    """The marks of one drug in a sentence."""
    return f"Counts due under {drug}: {_numbers(rows)}."


def _numbers(rows: Sequence[Row]) -> str:
    found = Counter(due_state(row) for row in rows)
    return ", ".join(f"{found[state]} {_WORDS[state]}" for state in reversed(STATES) if found[state])
