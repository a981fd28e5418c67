"""A forecast as a picture: counts, median and bands over the grades, with the doses; one SVG that stands alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from leukopenia.report import svg
from leukopenia.report.svg import Axis
from leukopenia.report.words import ANALYTES

Row = Mapping[str, Any]

WIDTH, HEIGHT = 760.0, 366.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 726.0, 74.0, 316.0
_SHOWN_DAYS = 28

STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c242e; --soft: #56616f; --rule: #d8dde4; --line: #1c5fa8;
  --g2: #f9ecd6; --g3: #f5d9c4; --g4: #efc1b6; --dose: #6d4a8d; }
@media (prefers-color-scheme: dark) { :root { --page: #12161b; --ink: #e4e8ed; --soft: #a3adb9; --rule: #2d3641;
  --line: #7fb4f2; --g2: #25221b; --g3: #30231d; --g4: #3d2221; --dose: #ab86cf; } }
text { font: 11px system-ui, sans-serif; fill: var(--ink); } .title { font-size: 12.5px; font-weight: 650; }
.tick { fill: var(--soft); font-size: 10.5px; } .page { fill: var(--page); } .plot { fill: none; stroke: var(--rule); }
.g2 { fill: var(--g2); } .g3 { fill: var(--g3); } .g4 { fill: var(--g4); }
.wide, .half { fill: var(--line); stroke: none; } .wide { fill-opacity: .16; } .half { fill-opacity: .26; }
.median { fill: none; stroke: var(--line); stroke-width: 1.8; }
.mark { fill: var(--page); stroke: var(--ink); stroke-width: 1.4; }
.dose { fill: var(--dose); } .asked { stroke: var(--soft); stroke-dasharray: 2 3; fill: none; }
"""


def picture(told: Row) -> str:
    """The picture of an answer of `leukopenia.forecast_answer.answer`.

    Parameters
    ----------
    told : mapping
        Days count from the first dose of the cycle; counts in 10^9/L. Without a curve the counts alone are drawn.

    Returns
    -------
    str
        SVG with its own colours, light and dark, no script.
    """
    x = Axis(min([0.0, *(count["day"] for count in _placed(told))]) - 1, _last_day(told), _LEFT, _RIGHT)
    y = svg.count_axis(_highest(told), _TOP, _BOTTOM)
    page = f'<rect class="page" width="{WIDTH:g}" height="{HEIGHT:g}"/>'
    body = [page, *_head(told), *_grades(told, y), *_axes(told, x, y), *_curve(told, x, y), *_marks(told, x, y)]
    drawn = svg.figure(
        WIDTH, HEIGHT, f"<style>{STYLE}</style>\n" + "\n".join(body), _title(told), _words(told), "forecast"
    )
    return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _amount(dose: Row) -> str:
    return "treatment" if dose["amount"] is None else f"{dose['amount']:g} {dose['unit']} over {dose['hours']:g} h"


def _placed(told: Row) -> list[Row]:
    return [count for count in told["counts"] if count["day"] is not None]


def _last_day(told: Row) -> float:
    return float(max([_SHOWN_DAYS, *(math.ceil(count["day"]) + 1 for count in _placed(told))]))


def _highest(told: Row) -> float:
    values = [count["value"] for count in _placed(told)]
    band = (told["curve"] or {}).get("q95", [])
    return max([*values, *(value for value in band if value is not None)], default=1.0)


def _title(told: Row) -> str:
    analyte = ANALYTES.get(told["analyte"], told["analyte"])
    return f"{analyte} under {', '.join(told['drugs'])}: {told['status']}"


def _words(told: Row) -> str:
    nadir = (told["markers"] or {}).get("nadir", {})
    if nadir.get("median") is None:
        return f"{len(told['counts'])} counts; no curve is drawn."
    day = told["markers"]["nadir_day"]
    return (
        f"{len(told['counts'])} counts. Nadir on day {day['median']:.1f} ({day['low']:.1f} to {day['high']:.1f}), "
        f"{nadir['median']:.2f} ({nadir['low']:.2f} to {nadir['high']:.2f}) x 10^9/L; in brackets 90 % intervals."
    )


def _head(told: Row) -> Iterator[str]:
    yield svg.label(_LEFT, 18, _title(told), "title")
    yield svg.label(_LEFT, 34, f"As of {told['as_of'][:10]}. {told['note']}", "tick")
    x = _LEFT
    yield svg.mark(x + 5, 48, "measured", "mark", "")
    yield svg.label(x + 14, 52, "count, 10^9/L")
    if told["curve"]:
        yield svg.path(f"M{x + 102:g} 48h18", "median")
        yield svg.label(x + 125, 52, "median")
        for css, text, at in (("half", "50 %", 176), ("wide", "90 %", 232)):
            yield svg.box(x + at, 43, 16, 10, css)
            yield svg.label(x + at + 21, 52, text)
    if told["doses"]:
        yield svg.path(f"M{x + 294:g} 53l-4-8h8z", "dose")
        yield svg.label(x + 303, 52, "dose")
    if any(count["below"] for count in told["counts"]):
        yield svg.mark(x + 344, 48, "at_most", "mark", "")
        yield svg.label(x + 353, 52, "less than")
    for n, grade in enumerate(told["grade_below"]):
        yield svg.box(x + 420 + 66 * n, 43, 14, 10, f"g{grade}")
        yield svg.label(x + 439 + 66 * n, 52, f"grade {grade}")


def _grades(told: Row, y: Axis) -> Iterator[str]:
    """Each grade from its own cut-off down to the next."""
    cuts = sorted(((int(grade), cut) for grade, cut in told["grade_below"].items()), reverse=True)
    floors = [0.0, *(cut for _, cut in cuts)]
    for (grade, cut), floor in zip(cuts, floors, strict=False):
        yield svg.box(_LEFT, y.at(cut), _RIGHT - _LEFT, y.at(floor) - y.at(cut), f"g{grade}", f"grade {grade}")


def _axes(told: Row, x: Axis, y: Axis) -> Iterator[str]:
    yield svg.box(_LEFT, _TOP, _RIGHT - _LEFT, _BOTTOM - _TOP, "plot")
    for tick in svg.spaced(svg.COUNT_TICKS, y, 14):
        yield svg.label(_LEFT - 6, y.at(tick) + 3.5, f"{tick:g}", "tick", "end")
    for day in range(0, int(x.high) + 1, 7 if x.high > 14 else 2):
        yield svg.label(x.at(day), _BOTTOM + 16, f"day {day}", "tick", "middle")
        if told["day_0"]:
            date = (datetime.fromisoformat(told["day_0"]) + timedelta(days=day)).date()
            yield svg.label(x.at(day), _BOTTOM + 30, date.isoformat(), "tick", "middle")
    if told["as_of_day"] is not None and x.low <= told["as_of_day"] <= x.high:
        yield svg.upright(x.at(told["as_of_day"]), _TOP, _BOTTOM, "asked")
        yield svg.label(x.at(told["as_of_day"]), _BOTTOM + 44, "asked here", "tick", "middle")


def _curve(told: Row, x: Axis, y: Axis) -> Iterator[str]:
    if not told["curve"]:
        return
    curve = told["curve"]
    shown = [n for n, day in enumerate(curve["days"]) if day <= x.high and curve["q50"][n] is not None]
    for low, high, css in (("q05", "q95", "wide"), ("q25", "q75", "half")):
        there = _points([(curve["days"][n], curve[high][n]) for n in shown], x, y)
        back = _points([(curve["days"][n], curve[low][n]) for n in reversed(shown)], x, y)
        yield svg.path(f"M{there}L{back}Z", css)
    yield svg.path(f"M{_points([(curve['days'][n], curve['q50'][n]) for n in shown], x, y)}", "median")


def _points(values: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    places = [(x.at(day), y.at(value)) for day, value in values]
    kept = [here for here, after in pairwise(places) if here != after] + places[-1:]
    return "L".join(f"{across:g} {up:g}" for across, up in kept)


def _marks(told: Row, x: Axis, y: Axis) -> Iterator[str]:
    for dose in told["doses"]:
        if x.low <= dose["day"] <= x.high:
            title = f"{dose['time']}: {_amount(dose)}"
            yield svg.path(f"M{x.at(dose['day']):g} {_TOP:g}l-4.5-9h9z", "dose", title)
    for count in _placed(told):
        shape, sign = ("at_most", "below ") if count["below"] else ("measured", "")
        title = f"{count['time']}: {sign}{count['value']:g}"
        yield svg.mark(x.at(count["day"]), y.at(count["value"]), shape, "mark", title)
