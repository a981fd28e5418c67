"""Drawings of estimated limits: histogram with the fitted parts, percentiles by age, verification. SVG, no script."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukopenia.report import svg
from leukopenia.report.svg import Axis
from leukopenia.report.words import safe

Floats = NDArray[np.float64]

WIDTH = 640.0
_LEFT, _RIGHT = 56.0, 624.0
_TOP, _BOTTOM = 46.0, 250.0
_MOST_BARS = 60
_LETTER = 7.2
"""Width of a bold letter, generously."""

_FEW = 4
"""Limits up to which each is told with its interval."""

_DRAWN = 0.997
"""Share of the results within the histogram; the rest are counted in words."""

_PARTS = (("left", "ill, low"), ("right", "ill, high"), ("healthy", "healthy"))
_AGE_TICKS = (0, 1, 2, 5, 10, 18, 30, 45, 60, 75, 90)
_LIGHTS = {"green": "the same", "yellow": "may differ", "red": "differs", "": "cannot be compared"}


@dataclass(frozen=True)
class Histogram:
    """Results of one stratum.

    Attributes
    ----------
    name, unit : str
    n : float
    edges : (k + 1,) array
    counts : (k,) array
    expected : dict of str to (k,) array
        healthy, left, right; empty without a model.
    limits : sequence of (percentile, limit, (low, high))
    confidence : float
    """

    name: str
    unit: str
    n: float
    edges: Floats
    counts: Floats
    expected: Mapping[str, Floats]
    limits: Sequence[tuple[float, float, tuple[float, float]]]
    confidence: float


@dataclass(frozen=True)
class AgeCurves:
    """Percentiles as functions of age.

    Attributes
    ----------
    name, unit : str
    ages : (k,) array
        Years, rising.
    curves : dict of float to (k,) array
        By percentile.
    band : (low, high) of (k,) arrays, or None
        Interval of the lowest curve.
    confidence : float
        Of the band.
    """

    name: str
    unit: str
    ages: Floats
    curves: Mapping[float, Floats]
    band: tuple[Floats, Floats] | None = None
    confidence: float = 0.90


@dataclass(frozen=True)
class Against:
    """One limit against a given one: both with the range of the permissible uncertainty (NaN: not defined)."""

    side: str
    colour: str
    limit: float
    limit_range: tuple[float, float]
    target: float
    target_range: tuple[float, float]


@dataclass(frozen=True)
class Verification:
    """Both limits of one stratum against a given interval."""

    name: str
    unit: str
    rows: Sequence[Against] = field(default_factory=tuple)


def number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:#.3g}".rstrip(".") if abs(value) < 1000 else f"{value:.0f}"


def _unit(unit: str) -> str:
    return unit.replace("10^9", "10⁹") or "in the unit of the file"


def histogram(shown: Histogram, key: str) -> str:
    """Bars of the results, lines of the fitted parts, and the limits with their intervals."""
    edges, counts, expected = _rebinned(shown)
    x = Axis(edges[0], edges[-1], _LEFT, _RIGHT)
    width = np.diff(edges)
    lines = {name: expected[name] / width for name, _ in _PARTS if name in expected and _seen(expected[name], shown.n)}
    highest = max([float((counts / width).max()), *(float(line.max()) for line in lines.values())])
    y = Axis(0.0, highest, _BOTTOM, _TOP + 8)
    body = [
        _bars(edges, counts / width, x, y),
        *(_part(name, edges, line, x, y) for name, line in lines.items()),
        *_limits(shown, x),
        *_value_axis(x, shown.unit, _BOTTOM),
        *_part_names(lines),
        _beyond(shown, edges),
    ]
    title = f"{shown.name}: {shown.n:,.0f} results and their limits"
    return svg.figure(WIDTH, _BOTTOM + 64, "".join(body), title, _told(shown), key)


def _seen(expected: Floats, n: float) -> bool:
    """A part of less than a thousandth is no line worth drawing."""
    return bool(expected.sum() > 0.001 * n)


def _rebinned(shown: Histogram) -> tuple[Floats, Floats, dict[str, Floats]]:
    """Neighbouring cells merged to bars that can be seen, from the lowest result to where nearly all lie below."""
    reached = np.cumsum(shown.counts) / shown.counts.sum()
    highest = max((limit for _, limit, _ in shown.limits if math.isfinite(limit)), default=0.0)
    last = int(np.searchsorted(reached, _DRAWN))
    last = max(last, int(np.searchsorted(shown.edges[1:], 1.15 * highest)))
    last = min(last, len(shown.counts) - 1)
    least = (shown.edges[last + 1] - shown.edges[0]) / _MOST_BARS
    kept = [0]
    for place in range(1, last + 2):
        if shown.edges[place] - shown.edges[kept[-1]] >= least * 0.999:
            kept.append(place)
    starts = np.array(kept[:-1])
    inside = slice(0, kept[-1])
    merged = {name: np.add.reduceat(part[inside], starts) for name, part in shown.expected.items()}
    return shown.edges[kept], np.add.reduceat(shown.counts[inside], starts), merged


def _bars(edges: Floats, density: Floats, x: Axis, y: Axis) -> str:
    steps = [f"M{x.at(edges[0]):g} {y.start:g}"]
    steps += [f"V{y.at(float(value)):g}H{x.at(high):g}" for high, value in zip(edges[1:], density, strict=True)]
    return svg.path("".join(steps) + f"V{y.start:g}z", "bar")


def _part(name: str, edges: Floats, density: Floats, x: Axis, y: Axis) -> str:
    middles = (edges[:-1] + edges[1:]) / 2
    points = " ".join(f"{x.at(a):g},{y.at(min(float(b), y.high)):g}" for a, b in zip(middles, density, strict=True))
    return f'<polyline points="{points}" class="part p-{name}"/>'


def _limits(shown: Histogram, x: Axis) -> Iterator[str]:
    """Each limit as a line with the band of its interval; labels above, moved apart where they are near."""
    known = [one for one in shown.limits if x.low <= one[1] <= x.high]
    names = [_limit_name(limit, ends, len(known)) for _, limit, ends in known]
    half = max([30.0, *(_LETTER * len(name) / 2 for name in names)])
    centres = svg.spread([max(x.at(limit), half) for _, limit, _ in known], 2 * half + 4, WIDTH - half)
    for (p, limit, (low, high)), name, centre in zip(known, names, centres, strict=True):
        if math.isfinite(low) and math.isfinite(high):
            left, right = x.at(max(low, x.low)), x.at(min(high, x.high))
            yield svg.box(left, _TOP, right - left, _BOTTOM - _TOP, "interval", f"{shown.confidence:.0%} interval")
        yield svg.upright(x.at(limit), _TOP, _BOTTOM, "limit-line")
        yield svg.label(centre, _TOP - 20, name, "limit-name", "middle")
        yield svg.label(centre, _TOP - 6, f"percentile {p:g}" if len(known) <= _FEW else f"{p:g} %", "tick", "middle")


def _limit_name(limit: float, ends: tuple[float, float], of: int) -> str:
    """With its interval, where there is room."""
    return f"{number(limit)} ({_ends(*ends)})" if of <= _FEW else number(limit)


def _ends(low: float, high: float) -> str:
    return " to ".join(number(end) if math.isfinite(end) else "?" for end in (low, high))


def _value_axis(x: Axis, unit: str, bottom: float) -> Iterator[str]:
    yield svg.across(x.start, x.end, bottom, "axis")
    for tick in svg.linear_ticks(x.low, x.high, 9):
        yield svg.upright(x.at(tick), bottom, bottom + 4, "axis")
        yield svg.label(x.at(tick), bottom + 17, f"{tick:g}", "tick", "middle")
    yield svg.label((x.start + x.end) / 2, bottom + 33, _unit(unit), "tick", "middle")


def _part_names(lines: Mapping[str, Floats]) -> Iterator[str]:
    """The key below the axis: a bar for the results, a line for each part."""
    place, y = _LEFT, _BOTTOM + 54
    yield svg.box(place, y - 9, 14, 9, "bar")
    yield svg.label(place + 19, y, "results", "tick")
    place += 76
    for name, words in _PARTS:
        if name in lines:
            yield svg.path(f"M{place:g} {y - 4:g}h26", f"part p-{name}")
            yield svg.label(place + 31, y, f"fitted: {words}", "tick")
            place += 46 + 6.0 * len(f"fitted: {words}")


def _beyond(shown: Histogram, edges: Floats) -> str:
    outside = shown.counts[shown.edges[:-1] >= edges[-1] - 1e-12].sum()
    if outside < 0.5:
        return ""
    text = f"{outside:,.0f} higher result{'s' if outside >= 1.5 else ''} not drawn"
    return svg.label(_RIGHT, _BOTTOM + 33, text, "tick", "end")


def _told(shown: Histogram) -> str:
    """The limits in words, for those who cannot see the drawing."""
    parts = [
        f"percentile {p:g}: {number(limit)}, {_ends(*ends)}" for p, limit, ends in shown.limits if math.isfinite(limit)
    ]
    unit = shown.unit or "the unit of the file"
    return f"Limits in {unit} with their {shown.confidence:.0%} intervals: {'; '.join(parts) or 'none'}."


def age_chart(shown: AgeCurves, key: str) -> str:
    """Percentile curves over age, the outer ones and the median heavy; the interval of the lowest as a band."""
    x = Axis(float(shown.ages[0]), float(shown.ages[-1]), _LEFT, _RIGHT - 44, _age_bend)
    every = [curve for curve in shown.curves.values()] + list(shown.band or ())
    highest = max(float(np.nanmax(curve)) for curve in every)
    y = Axis(0.0, 1.05 * highest, _BOTTOM, 30.0)
    body = [*_age_axes(x, y, shown.unit)]
    if shown.band is not None:
        body.append(_between(shown.ages, *shown.band, x, y))
    body += [_curve(shown.ages, curve, x, y, _weight(p, shown.curves)) for p, curve in shown.curves.items()]
    body += _curve_names(shown, x, y)
    title = f"{shown.name}: percentiles by age"
    return svg.figure(WIDTH, _BOTTOM + 46, "".join(body), title, _ages_told(shown), key)


def _age_bend(age: float) -> float:
    """The first years get room: near birth counts change by the week."""
    return math.asinh(age / 2.0)


def _age_axes(x: Axis, y: Axis, unit: str) -> Iterator[str]:
    for tick in svg.linear_ticks(0.0, y.high, 6):
        yield svg.across(_LEFT, x.end, y.at(tick), "grid")
        yield svg.label(_LEFT - 7, y.at(tick) + 4, f"{tick:g}", "tick", "end")
    for age in svg.spaced(_AGE_TICKS, x, 30):
        yield svg.upright(x.at(age), y.end, _BOTTOM, "grid")
        yield svg.label(x.at(age), _BOTTOM + 17, f"{age:g}", "tick", "middle")
    yield svg.across(_LEFT, x.end, _BOTTOM, "axis")
    yield svg.label((_LEFT + x.end) / 2, _BOTTOM + 35, "age in years", "tick", "middle")
    yield svg.label(0, y.end - 12, _unit(unit), "tick", "start")


def _points(ages: Floats, values: Floats, x: Axis, y: Axis) -> list[str]:
    known = np.isfinite(values)
    return [f"{x.at(float(a)):g},{y.at(float(v)):g}" for a, v in zip(ages[known], values[known], strict=True)]


def _between(ages: Floats, low: Floats, high: Floats, x: Axis, y: Axis) -> str:
    both = _points(ages, low, x, y) + _points(ages, high, x, y)[::-1]
    return f'<polygon points="{" ".join(both)}" class="interval"/>'


def _curve(ages: Floats, values: Floats, x: Axis, y: Axis, css: str) -> str:
    return f'<polyline points="{" ".join(_points(ages, values, x, y))}" class="curve {css}"/>'


def _weight(percentile: float, curves: Mapping[float, Floats]) -> str:
    if percentile in (min(curves), max(curves)):
        return "outer"
    return "median" if percentile == 50 else "inner"


def _curve_names(shown: AgeCurves, x: Axis, y: Axis) -> list[str]:
    last = {p: curve[np.isfinite(curve)][-1] for p, curve in shown.curves.items() if np.isfinite(curve).any()}
    places = svg.spread([y.at(float(value)) for value in last.values()], 13.0, _BOTTOM)
    return [
        svg.label(x.end + 6, place + 4, f"{p:g} %", "limit-name" if _weight(p, shown.curves) != "inner" else "tick")
        for p, place in zip(last, places, strict=True)
    ]


def _ages_told(shown: AgeCurves) -> str:
    lowest = shown.curves[min(shown.curves)]
    wanted = [age for age in (1, 5, 10, 18, 40, 65) if shown.ages[0] <= age <= shown.ages[-1]]
    said = [f"at {age} years {number(float(np.interp(age, shown.ages, lowest)))}" for age in wanted]
    return f"The lowest curve, percentile {min(shown.curves):g}, in {shown.unit}: {'; '.join(said)}."


def verification(shown: Verification, key: str) -> str:
    """Each limit with its permissible uncertainty above that of the interval it is held against."""
    known = [end for row in shown.rows for end in (*row.limit_range, *row.target_range, row.limit, row.target)]
    finite = [end for end in known if math.isfinite(end)]
    low, high = min(finite), max(finite)
    margin = 0.06 * (high - low) or 1.0
    x = Axis(max(low - margin, 0.0), high + margin, 150.0, _RIGHT)
    body: list[str] = []
    y = 12.0
    for row in shown.rows:
        body += _against(row, x, y)
        y += 62
    body += _value_axis(x, shown.unit, y)
    said = "; ".join(map(_compared, shown.rows))
    title = f"{shown.name} against a given interval"
    return svg.figure(WIDTH, y + 40, "".join(body), title, f"{said[:1].upper()}{said[1:]}.", key)


def _compared(row: Against) -> str:
    colour = f"{row.colour}, {_LIGHTS[row.colour]}" if row.colour else _LIGHTS[""]
    return f"{row.side} limit {number(row.limit)} against {row.target:g}: {colour}"


def _against(row: Against, x: Axis, y: float) -> Iterator[str]:
    yield svg.label(0, y + 15, f"{row.side} limit", "limit-name")
    yield svg.label(0, y + 31, f"{row.colour}: {_LIGHTS[row.colour]}" if row.colour else _LIGHTS[""], "tick")
    yield f'<circle cx="138" cy="{y + 11:g}" r="6" class="light l-{row.colour or "none"}"/>'
    if all(map(math.isfinite, row.target_range)):
        left, right = map(x.at, row.target_range)
        yield svg.box(left, y, right - left, 40, "target-range", "permissible uncertainty of the given limit")
    if math.isfinite(row.target):
        yield svg.upright(x.at(row.target), y, y + 40, "target-line")
        yield svg.label(x.at(row.target), y + 52, f"given {row.target:g}", "tick", "middle")
    if all(map(math.isfinite, row.limit_range)):
        left, right = map(x.at, row.limit_range)
        ends = f"M{left:g} {y + 15:g}v10M{right:g} {y + 15:g}v10"
        yield svg.path(f"M{left:g} {y + 20:g}H{right:g}{ends}", "whisker", "permissible uncertainty of the estimate")
    if math.isfinite(row.limit):
        yield f'<circle cx="{x.at(row.limit):g}" cy="{y + 20:g}" r="4.5" class="estimate"/>'
        yield svg.label(x.at(row.limit), y + 11, number(row.limit), "limit-name halo", "middle")


@cache
def style() -> str:
    """The rules of these drawings; colours fall back to those of paper where a page sets none."""
    return (Path(__file__).parent / "templates" / "plots.css").read_text(encoding="utf-8")


def stacked(drawings: Sequence[tuple[str, str]]) -> str:
    """Drawings one below the other as one SVG file that stands alone, each under its heading."""
    parts, y = [], 0.0
    for heading, drawn in drawings:
        height = float(drawn.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()[1])
        parts.append(f'<text x="0" y="{y + 18:g}" class="heading">{safe(heading)}</text>')
        inner = drawn.replace("<svg ", f'<svg x="0" y="{y + 28:g}" width="{WIDTH:g}" height="{height:g}" ', 1)
        parts.append(inner)
        y += height + 44
    view = f"-16 -10 {WIDTH + 32:g} {y:g}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" width="{WIDTH + 32:g}" height="{y:g}">\n'
        f'<style>\n{style()}</style>\n<rect x="-16" y="-10" width="{WIDTH + 32:g}" height="{y:g}" class="paper"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
