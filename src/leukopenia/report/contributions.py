"""The leading causes as a chart: a bar for the probability, and one for each term of the score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from leukopenia.report import svg
from leukopenia.report.svg import Axis
from leukopenia.report.why import TERMS, UNEXPLAINED, Row, Words, percent, times
from leukopenia.report.words import short

_WIDTH, _ROW, _HEAD = 760.0, 24.0, 30.0
_BAR = 10.0
_NAME_WIDTH, _SHARE_LEFT, _SHARE_WIDTH = 34, 216.0, 84.0
_TERMS_LEFT, _GAP = 352.0, 10.0
_LEAST_SCALE = 1.0
_VISIBLE = 0.05


@dataclass(frozen=True)
class Contribution:
    """One cause in the chart: its name, its probability, and its terms against the unexplained low count."""

    name: str
    probability: float
    terms: dict[str, float]

    @property
    def words(self) -> str:
        told = [f"{TERMS[term]} {times(effect)}" for term, effect in self.terms.items() if abs(effect) >= _VISIBLE]
        return f"{self.name} {percent(self.probability)}{': ' if told else ''}{', '.join(told)}."


def contributions(causes: Iterable[Row], every: Iterable[Row], words: Words) -> list[Contribution]:
    """The causes as they are drawn.

    What is drawn of `prior` is how much more usual the cause is than a low count that stays unexplained: so every
    bar tells for or against the cause in the same way, and they add up to its odds against "unexplained".

    Parameters
    ----------
    causes : iterable of mapping
        The rows of contracts.CAUSES to draw.
    every : iterable of mapping
        All rows of the episode.
    words : Words
        Names.
    """
    base = next((row["prior"] for row in every if row["cause_id"] == UNEXPLAINED), 0.0)
    return [
        Contribution(
            words.name(row["cause_id"]),
            row["probability"],
            {term: row[term] - (base if term == "prior" else 0.0) for term in TERMS},
        )
        for row in causes
    ]


def chart(rows: list[Contribution], title: str, key: str) -> Markup:
    """The chart as SVG; solid bars to the right speak for a cause, open ones to the left against it.

    Parameters
    ----------
    rows : list of Contribution
        The leading causes, the likeliest first.
    title : str
        Title of the drawing.
    key : str
        Prefix of the ids in the SVG, unique on the page; not taken from data.
    """
    terms = [term for term in TERMS if any(abs(row.terms[term]) >= _VISIBLE for row in rows)]
    height = _HEAD + len(rows) * _ROW
    scale = max([_LEAST_SCALE, *(abs(row.terms[term]) for row in rows for term in terms)])
    columns = _columns(terms, scale)
    body = [
        svg.label(_SHARE_LEFT, _HEAD - 12, "probability", "tick"),
        *(part for term, axis in columns.items() for part in _column(term, axis, height)),
        *(part for n, row in enumerate(rows) for part in _row(row, _HEAD + n * _ROW, columns)),
    ]
    return Markup(svg.figure(_WIDTH, height + 2, "".join(body), title, " ".join(row.words for row in rows), key))


def _columns(terms: list[str], scale: float) -> dict[str, Axis]:
    """A horizontal axis for each term, all of one scale, so that bars can be compared across the chart."""
    width = min((_WIDTH - _TERMS_LEFT) / max(len(terms), 1), 96.0)
    lefts = {term: _TERMS_LEFT + n * width for n, term in enumerate(terms)}
    return {term: Axis(-scale, scale, left, left + width - _GAP) for term, left in lefts.items()}


def _column(term: str, axis: Axis, height: float) -> Iterator[str]:
    # Two words stand one above the other: nine columns leave little room.
    for n, word in enumerate(reversed(TERMS[term].split())):
        yield svg.label(axis.at(0), _HEAD - 8 - 11 * n, word, "tick", "middle")
    yield svg.upright(axis.at(0), _HEAD - 3, height, "c-zero")


def _row(row: Contribution, y: float, columns: dict[str, Axis]) -> Iterator[str]:
    middle = y + _ROW / 2
    yield svg.across(0, _WIDTH, y, "grid")
    yield svg.label(2, middle + 4, short(row.name, _NAME_WIDTH), "lane")
    yield svg.box(_SHARE_LEFT, middle - _BAR / 2, _SHARE_WIDTH, _BAR, "share-track")
    yield svg.box(_SHARE_LEFT, middle - _BAR / 2, row.probability * _SHARE_WIDTH, _BAR, "share")
    yield svg.label(_SHARE_LEFT + _SHARE_WIDTH + 5, middle + 4, percent(row.probability), "lane")
    for term, axis in columns.items():
        effect = row.terms[term]
        if abs(effect) >= _VISIBLE:
            start, end = sorted((axis.at(0), axis.at(effect)))
            css = "c-for" if effect > 0 else "c-against"
            title = f"{row.name}, {TERMS[term]}: odds {times(effect)}"
            yield svg.box(start, middle - _BAR / 2, max(end - start, 1.5), _BAR, css, title)
