"""Small pieces of SVG: axes, ticks, marks, labels. Every text that comes from data goes through `safe`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from leukopenia.report.words import safe

_EPOCH = datetime(1970, 1, 1)
_DAY = 1440

# Where the scale of the counts turns from straight to logarithmic: the lowest counts are still told apart,
# and a white count of 100 does not flatten the rest.
_BEND = 0.5

COUNT_TICKS = (0, 0.1, 0.5, 1, 1.5, 2, 4, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Axis:
    """A map from values to positions: `low` lies at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float
    bend: Callable[[float], float] = float

    @cached_property
    def _line(self) -> tuple[float, float]:
        slope = (self.end - self.start) / (self.bend(self.high) - self.bend(self.low))
        return self.start - slope * self.bend(self.low), slope

    def at(self, value: float) -> float:
        offset, slope = self._line
        return round(offset + slope * self.bend(value), 1)


def counts_bend(value: float) -> float:
    """Straight near zero, logarithmic above: zero has a place, and low counts get room."""
    return math.asinh(value / _BEND)


def count_axis(highest: float, top: float, bottom: float) -> Axis:
    """The vertical axis of counts in 10^9/L, from zero to a tick above the highest value."""
    high = next((tick for tick in COUNT_TICKS if tick >= max(highest, 4)), highest)
    return Axis(0, high, bottom, top, counts_bend)


def spaced(ticks: Sequence[float], axis: Axis, gap: float) -> list[float]:
    """The ticks within the axis, from its low end, none nearer to the one before than `gap`."""
    kept: list[float] = []
    for tick in ticks:
        if axis.low <= tick <= axis.high and (not kept or abs(axis.at(tick) - axis.at(kept[-1])) >= gap):
            kept.append(tick)
    return kept


def linear_ticks(low: float, high: float, most: int = 3) -> list[float]:
    """Round numbers between `low` and `high`, at most `most`."""
    magnitude = 10 ** math.floor(math.log10((high - low) / most))
    step = next(f * magnitude for f in (1, 2, 5, 10, 20) if (high - low) / (f * magnitude) <= most)
    first = math.ceil(low / step)
    return [round(n * step, 6) for n in range(first, math.floor(high / step) + 1)]


def time_ticks(start: int, end: int, most: int = 7) -> list[tuple[int, str]]:
    """Round times between two minutes, with their ISO labels: hours, days, months or years."""
    for hours in (1, 3, 6, 12):
        if (end - start) / (hours * 60) <= most:
            return [(t, _clock(t)) for t in _steps(start, end, hours * 60)]
    for days in (1, 2, 7, 14):
        if (end - start) / (days * _DAY) <= most:
            return [(t, _moment(t).strftime("%Y-%m-%d")) for t in _steps(start, end, days * _DAY)]
    for months in (1, 3, 6, 12, 24, 60, 120, 600):
        if (end - start) / (months * 30.4 * _DAY) <= most:
            break
    return list(_months(start, end, months))


def _moment(minute: int) -> datetime:
    return _EPOCH + timedelta(minutes=minute)


def _clock(minute: int) -> str:
    return _moment(minute).strftime("%H:%M" if minute % _DAY else "%Y-%m-%d")


def _steps(start: int, end: int, step: int) -> range:
    return range(-(-start // step) * step, end + 1, step)


def _months(start: int, end: int, step: int) -> Iterator[tuple[int, str]]:
    first = _moment(start)
    for month in range(-(-(first.year * 12 + first.month - 1) // step) * step, 9999 * 12, step):
        time = datetime(month // 12, month % 12 + 1, 1)
        minute = (time - _EPOCH) // timedelta(minutes=1)
        if minute > end:
            return
        if minute >= start:
            yield minute, time.strftime("%Y" if step % 12 == 0 else "%Y-%m")


def label(x: float, y: float, text: str, css: str = "", anchor: str = "start") -> str:
    """A text at a place; `anchor` is start, middle or end."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{css}">{safe(text)}</text>'


def box(x: float, y: float, width: float, height: float, css: str, title: str = "") -> str:
    """A rectangle, with a tooltip where there is a title."""
    inner = f"<title>{safe(title)}</title>" if title else ""
    place = f'x="{x:g}" y="{y:g}" width="{max(width, 0):g}" height="{height:g}"'
    return f'<rect {place} class="{css}">{inner}</rect>'


def path(d: str, css: str, title: str = "") -> str:
    """A path, with a tooltip where there is a title."""
    inner = f"<title>{safe(title)}</title>" if title else ""
    return f'<path d="{d}" class="{css}">{inner}</path>'


def across(x1: float, x2: float, y: float, css: str) -> str:
    """A horizontal line."""
    return path(f"M{x1:g} {y:g}H{x2:g}", css)


def upright(x: float, y1: float, y2: float, css: str) -> str:
    """A vertical line."""
    return path(f"M{x:g} {y1:g}V{y2:g}", css)


_SHAPES = {
    "measured": "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "derived": "m0-4.2l4.2 4.2l-4.2 4.2l-4.2-4.2z",
    "at_most": "m-4-3h8l-4 7.5z",
    "at_least": "m-4 3h8l-4-7.5z",
}


def mark(x: float, y: float, shape: str, css: str, title: str) -> str:
    """One count: a circle, a diamond, or an arrow down (not more than) or up (not less than)."""
    return f'<path d="M{x:g} {y:g}{_SHAPES[shape]}" class="{css}"><title>{safe(title)}</title></path>'


def spread(places: Sequence[float], gap: float, bottom: float) -> list[float]:
    """Positions moved apart to at least `gap`, in the same order, and above `bottom`."""
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = [0.0] * len(places)
    floor = -math.inf
    for index in order:
        floor = moved[index] = max(places[index], floor + gap)
    ceiling = bottom
    for index in reversed(order):
        ceiling = moved[index] = min(moved[index], ceiling)
        ceiling -= gap
    return moved


def figure(width: float, height: float, body: str, title: str, description: str, key: str) -> str:
    """A whole SVG with its title and its description for those who cannot see it."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{key}-t {key}-d">'
        f'<title id="{key}-t">{safe(title)}</title><desc id="{key}-d">{safe(description)}</desc>{body}</svg>'
    )


HATCH = (
    '<svg class="defs" aria-hidden="true" width="0" height="0"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="1.2" height="6" class="hatch-line"/></pattern></defs></svg>'
)
"""The pattern of gaps and unknowns, once for the whole page."""
