"""When a low count usually begins under a drug: the spans drawn on the lanes of the leading drugs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leukopenia.report.facts import Record
from leukopenia.report.why import DAY, Row, Words, reckoned_from, usual_onset

_LEADING = 3
_LEAST = 0.05


@dataclass(frozen=True)
class Window:
    """The usual time of onset under one exposure, in minutes; `middle` is None where it is not known."""

    drug: str
    start: int
    end: int
    middle: int | None
    title: str


def onset_windows(record: Record, words: Words) -> list[Window]:
    """One window for each exposure that is among the leading causes of an episode.

    Parameters
    ----------
    record : Record
        The rows of one person.
    words : Words
        Onset days of the causes; a drug of which none are known gets no window.
    """
    causes = (row for found in record.explained.values() for row in found.causes)
    windows = {(made.drug, made.start): made for row in causes if _leads(row) for made in _window(row, words)}
    return list(windows.values())


def _leads(cause: Row) -> bool:
    return cause["rank"] <= _LEADING and cause["probability"] >= _LEAST and cause["because"] == "exposure"


def _window(cause: Row, words: Words) -> Iterator[Window]:
    """Where only the usual day is known, the window is that day."""
    row = words.causes.get(cause["cause_id"], {})
    low, middle, high = (row.get(f"onset_days_{name}", "") for name in ("min", "median", "max"))
    first, last = (low, high) if low and high else (middle, middle)
    if cause["start"] is None or not first:
        return
    begin = reckoned_from(cause, row)
    title = f"{words.name(cause['cause_id'])}, usual onset of low counts: {usual_onset(row)}"
    yield Window(cause["cause_id"], _at(begin, first), _at(begin, last), _at(begin, middle) if middle else None, title)


def _at(begin: int, days: str) -> int:
    return begin + round(float(days) * DAY)
