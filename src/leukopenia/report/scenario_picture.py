"""Scenarios of the next cycle as a picture: the counts so far, and one median for each scenario over the grades."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from leukopenia.report import forecast_picture, svg
from leukopenia.report.svg import Axis

Row = Mapping[str, Any]

_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 726.0, 66.0, 300.0
_LEGEND, _EACH = 330.0, 17.0
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "1 2", "12 4")
"""Lines are told apart without colour."""

_STYLE = """
.c0 { stroke: #1c5fa8; } .c1 { stroke: #a35a00; } .c2 { stroke: #2f7d57; } .c3 { stroke: #6d4a8d; }
.c4 { stroke: #9b1c22; } .c5 { stroke: #56616f; } .course { fill: none; stroke-width: 2; }
@media (prefers-color-scheme: dark) { .c0 { stroke: #7fb4f2; } .c1 { stroke: #f0c46c; } .c2 { stroke: #5fb98b; }
  .c3 { stroke: #c3a1e3; } .c4 { stroke: #ff9a92; } .c5 { stroke: #a3adb9; } }
"""


def picture(told: Row) -> str:
    """The picture of an answer with `scenarios`; see `leukopenia.forecast_scenarios.answer`.

    Returns
    -------
    str
        SVG with its own colours, light and dark, no script.
    """
    courses = told["scenarios"]["courses"]
    drawn = [course for course in courses if course["curve"]["days"]]
    counts = [count for count in told["counts"] if count["day"] is not None]
    last = max([28.0, *(course["curve"]["days"][-1] for course in drawn)])
    x = Axis(min([0.0, *(count["day"] for count in counts)]) - 1, math.ceil(last), _LEFT, _RIGHT)
    highest = [count["value"] for count in counts] + [max(course["curve"]["q95"]) for course in drawn[:1]]
    y = svg.count_axis(max(highest, default=1.0), _TOP, _BOTTOM)
    height = _LEGEND + _EACH * len(courses) + 8
    body = [
        f"<style>{forecast_picture.STYLE}{_STYLE}</style>",
        f'<rect class="page" width="{forecast_picture.WIDTH:g}" height="{height:g}"/>',
        *_head(told),
        *_grades(told, y),
        *_axes(told, x, y),
        *_courses(drawn, courses, x, y),
        *_counts(counts, x, y),
        *_legend(courses),
    ]
    title = f"Scenarios of the next cycle: {', '.join(told['drugs'])}"
    made = svg.figure(forecast_picture.WIDTH, height, "\n".join(body), title, _words(courses), "scenarios")
    return made.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _words(courses: Sequence[Row]) -> str:
    return "; ".join(f"{course['name']}: {_result(course)}" for course in courses)


def _result(course: Row) -> str:
    if not course["markers"]:
        return str(course["status"])
    nadir, grade = course["markers"]["nadir"], course["markers"]["time_to_grade_4"]["probability"]
    return f"nadir {nadir['median']:.2f} ({nadir['low']:.2f} to {nadir['high']:.2f}), grade 4 {grade:.0%}"


def _head(told: Row) -> Iterator[str]:
    yield svg.label(_LEFT, 18, f"The next cycle of {', '.join(told['drugs'])}: medians under each scenario", "title")
    yield svg.label(_LEFT, 33, f"{told['scenarios']['note']} Band: 90 % of the first.", "tick")
    yield svg.label(_LEFT, 47, told["note"], "tick")


def _grades(told: Row, y: Axis) -> Iterator[str]:
    cuts = sorted(((int(grade), cut) for grade, cut in told["grade_below"].items()), reverse=True)
    for (grade, cut), floor in zip(cuts, [0.0, *(cut for _, cut in cuts)], strict=False):
        yield svg.box(_LEFT, y.at(cut), _RIGHT - _LEFT, y.at(floor) - y.at(cut), f"g{grade}", f"grade {grade}")
        yield svg.label(_RIGHT - 4, (y.at(cut) + y.at(floor)) / 2 + 3.5, f"grade {grade}", "tick", "end")


def _axes(told: Row, x: Axis, y: Axis) -> Iterator[str]:
    yield svg.box(_LEFT, _TOP, _RIGHT - _LEFT, _BOTTOM - _TOP, "plot")
    for tick in svg.spaced(svg.COUNT_TICKS, y, 14):
        yield svg.label(_LEFT - 6, y.at(tick) + 3.5, f"{tick:g}", "tick", "end")
    for day in range(0, int(x.high) + 1, 7):
        yield svg.label(x.at(day), _BOTTOM + 16, f"day {day}", "tick", "middle")
    day_0 = datetime.fromisoformat(told["day_0"])
    for course in told["scenarios"]["courses"]:
        at = (datetime.fromisoformat(course["dose_time"]) - day_0).total_seconds() / 86400
        if x.low <= at <= x.high:
            yield svg.path(f"M{x.at(at):g} {_TOP:g}l-4.5-9h9z", "dose", f"{course['name']}: {course['dose_time']}")


def _courses(drawn: Sequence[Row], courses: Sequence[Row], x: Axis, y: Axis) -> Iterator[str]:
    for course in drawn[:1]:
        days = course["curve"]["days"]
        there = _points(days, course["curve"]["q95"], x, y)
        back = _points(days[::-1], course["curve"]["q05"][::-1], x, y)
        yield svg.path(f"M{there}L{back}Z", "wide")
    for course in drawn:
        n = list(courses).index(course) % len(_DASHES)
        line = _points(course["curve"]["days"], course["curve"]["q50"], x, y)
        yield dashed(svg.path(f"M{line}", f"course c{n}", course["name"]), n)


def dashed(path: str, n: int) -> str:
    """The line of the n-th scenario, told apart without colour."""
    dashes = _DASHES[n % len(_DASHES)]
    return path.replace("<path ", f'<path stroke-dasharray="{dashes}" ', 1) if dashes else path


def _points(days: Sequence[float], values: Sequence[float], x: Axis, y: Axis) -> str:
    return "L".join(f"{x.at(day):g} {y.at(value):g}" for day, value in zip(days, values, strict=True))


def _counts(counts: Sequence[Row], x: Axis, y: Axis) -> Iterator[str]:
    for count in counts:
        shape, sign = ("at_most", "below ") if count["below"] else ("measured", "")
        title = f"{count['time']}: {sign}{count['value']:g}"
        yield svg.mark(x.at(count["day"]), y.at(count["value"]), shape, "mark", title)


def _legend(courses: Sequence[Row]) -> Iterator[str]:
    for n, course in enumerate(courses):
        up = _LEGEND + _EACH * n
        if course["curve"]["days"]:
            yield dashed(svg.path(f"M{_LEFT:g} {up:g}h34", f"course c{n % len(_DASHES)}"), n)
        yield svg.label(_LEFT + 42, up + 4, f"{course['name']}: {_result(course)}")
