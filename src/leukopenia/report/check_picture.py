"""A visual predictive check as a picture: counts, their percentiles, and what the card makes expect; one SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leukopenia.report import forecast_picture, svg
from leukopenia.report.svg import Axis
from leukopenia.report.words import ANALYTES

Row = Mapping[str, Any]

_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 726.0, 84.0, 326.0
_HEIGHT = 366.0
_NAMES = ("p5", "p50", "p95")
_STYLE = """
.outer { fill: #a35a00; fill-opacity: .2; } .inner { fill: var(--line); fill-opacity: .24; }
.seen { fill: none; stroke: var(--ink); stroke-width: 1.8; } .edge { stroke-dasharray: 6 3; }
.point { fill: var(--soft); fill-opacity: .45; } .bound { stroke: var(--rule); }
@media (prefers-color-scheme: dark) { .outer { fill: #f0c46c; } }
"""


def picture(told: Row, points: Sequence[tuple[float, float]]) -> str:
    """The picture of `leukopenia.forecast_check.check`.

    Parameters
    ----------
    told : mapping
    points : sequence of tuple
        Day and value of every count, 10^9/L.

    Returns
    -------
    str
        SVG with its own colours, light and dark, no script.
    """
    bins = told["bins"]
    x = Axis(bins[0]["from_day"], bins[-1]["to_day"], _LEFT, _RIGHT)
    y = svg.count_axis(_highest(bins, points), _TOP, _BOTTOM)
    body = [
        f"<style>{forecast_picture.STYLE}{_STYLE}</style>",
        f'<rect class="page" width="{forecast_picture.WIDTH:g}" height="{_HEIGHT:g}"/>',
        *_head(told),
        *_axes(bins, x, y),
        *(_expected(bins, name, x, y) for name in _NAMES),
        *(
            svg.path(f"M{x.at(day):g} {y.at(value):g}m-1.6 0a1.6 1.6 0 1 0 3.2 0a1.6 1.6 0 1 0-3.2 0z", "point")
            for day, value in points
        ),
        *(_seen(bins, name, x, y) for name in _NAMES),
    ]
    title = f"Visual predictive check of {told['card']}"
    words = f"{told['inside']:.0%} of the observed percentiles lie within the 95 % interval of the simulations."
    made = svg.figure(forecast_picture.WIDTH, _HEIGHT, "\n".join(body), title, words, "check")
    return made.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _highest(bins: Sequence[Row], points: Sequence[tuple[float, float]]) -> float:
    expected = [row["simulated"]["p95"]["high"] for row in bins]
    values = sorted(value for _, value in points)
    return float(max([*expected, *(row["observed"]["p95"] for row in bins), values[int(0.99 * (len(values) - 1))]]))


def _head(told: Row) -> Iterator[str]:
    analyte = ANALYTES.get(told["analyte"], told["analyte"])
    corrected = ", prediction-corrected" if told["prediction_corrected"] else ""
    yield svg.label(_LEFT, 18, f"{told['card']}: {analyte} under {told['drug']}, 10^9/L{corrected}", "title")
    said = f"{told['cycles']} cycles, {told['counts']} counts; {told['inside']:.0%} of the percentiles inside. "
    yield svg.label(_LEFT, 34, f"{said}{told['note']}", "tick")
    yield svg.path(f"M{_LEFT:g} 52h30", "seen")
    yield svg.label(_LEFT + 36, 56, "observed median")
    yield svg.path(f"M{_LEFT + 140:g} 52h30", "seen edge")
    yield svg.label(_LEFT + 176, 56, "observed 5 and 95 %")
    for css, text, at in (("inner", "expected median, 95 % interval", 306), ("outer", "expected 5 and 95 %", 516)):
        yield svg.box(_LEFT + at, 47, 16, 10, css)
        yield svg.label(_LEFT + at + 21, 56, text)


def _axes(bins: Sequence[Row], x: Axis, y: Axis) -> Iterator[str]:
    yield svg.box(_LEFT, _TOP, _RIGHT - _LEFT, _BOTTOM - _TOP, "plot")
    for tick in svg.spaced(svg.COUNT_TICKS, y, 14):
        yield svg.label(_LEFT - 6, y.at(tick) + 3.5, f"{tick:g}", "tick", "end")
    first = 7 * math.ceil(x.low / 7)
    for day in range(first, int(x.high) + 1, 7 if x.high - x.low > 14 else 2):
        yield svg.label(x.at(day), _BOTTOM + 16, f"day {day}", "tick", "middle")
    for row in bins[1:]:
        yield svg.upright(x.at(row["from_day"]), _BOTTOM - 5, _BOTTOM, "bound")


def _expected(bins: Sequence[Row], name: str, x: Axis, y: Axis) -> str:
    """The interval of a percentile, from the middle of one bin to the next; a single bin is drawn as a box."""
    each = [row["simulated"][name] for row in bins]
    places = [row["middle"] for row in bins] if len(bins) > 1 else [bins[0]["from_day"], bins[0]["to_day"]]
    each = each if len(bins) > 1 else each * 2
    there = _line(places, [one["high"] for one in each], x, y)
    back = _line(places[::-1], [one["low"] for one in each[::-1]], x, y)
    css = "inner" if name == "p50" else "outer"
    return svg.path(f"M{there}L{back}Z", css, f"{name[1:]} %, expected")


def _seen(bins: Sequence[Row], name: str, x: Axis, y: Axis) -> str:
    line = _line([row["middle"] for row in bins], [row["observed"][name] for row in bins], x, y)
    return svg.path(f"M{line}", "seen" if name == "p50" else "seen edge")


def _line(days: Sequence[float], values: Sequence[float], x: Axis, y: Axis) -> str:
    return "L".join(f"{x.at(day):g} {y.at(min(value, y.high)):g}" for day, value in zip(days, values, strict=True))
