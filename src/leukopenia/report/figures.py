"""Figures of the cohort: depth against length of the episodes, and the same episodes under each standard."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from leukopenia.report import svg
from leukopenia.report.facts import Row
from leukopenia.report.panels import BAND_STANDARD
from leukopenia.report.svg import Axis
from leukopenia.report.words import ANALYTES, STANDARDS, number, whole

_WIDTH, _LEFT, _RIGHT = 460.0, 40.0, 448.0
_TOP, _BOTTOM = 8.0, 232.0
_DAY_TICKS = ((1, "1"), (3, "3"), (7, "7"), (14, "14"), (30, "30"), (90, "90"), (365, "1 y"), (1826, "5 y"))
_GRADES = (4, 3, 2, 1, 0, None)


def nadir_by_duration(summary: Mapping[str, Any], analyte: str, key: str) -> Markup | None:
    """Nadir against days from onset to recovery, one mark for a cell of `scatter`; None without any."""
    rows = [row for row in summary.get("scatter", []) if row["analyte"] == analyte]
    if not rows:
        return None
    y = svg.count_axis(max(row["nadir"] for row in rows), _TOP, _BOTTOM)
    x = Axis(0.4, max(40.0, *(row["days"] * 1.3 for row in rows)), _LEFT, _RIGHT, math.log10)
    body = [
        *_grade_bands(summary.get("bands", []), analyte, y),
        *_axes(x, y),
        *(_episode_mark(row, x, y) for row in sorted(rows, key=lambda row: -row["episodes"])),
    ]
    name = ANALYTES.get(analyte, analyte)
    episodes = sum(row["episodes"] for row in rows)
    return Markup(
        svg.figure(
            _WIDTH,
            _BOTTOM + 42,
            "".join(body),
            f"Depth and length of low {name}",
            f"{whole(episodes)} episodes. The table of lengths gives the same episodes in numbers.",
            key,
        )
    )


def _grade_bands(bands: list[Row], analyte: str, y: Axis) -> Iterator[str]:
    """Grades with a cut-off of their own; the one below the lower limit differs between persons."""
    mine = [band for band in bands if band["analyte"] == analyte and band["standard"] == BAND_STANDARD]
    floor = 0.0
    for band in sorted(mine, key=lambda row: -row["grade"]):
        if band["below"] is None or not floor < band["below"] <= y.high:
            continue
        top, bottom = y.at(band["below"]), y.at(floor)
        yield svg.box(_LEFT, top, _RIGHT - _LEFT, bottom - top, f"band g{band['grade']}")
        yield svg.label(_RIGHT - 5, (top + bottom) / 2 + 3.5, f"grade {band['grade']}", "band-label", "end")
        floor = band["below"]


def _axes(x: Axis, y: Axis) -> Iterator[str]:
    for tick in svg.spaced(svg.COUNT_TICKS, y, 14):
        yield svg.across(_LEFT, _RIGHT, y.at(tick), "grid")
        yield svg.label(_LEFT - 6, y.at(tick) + 3.5, number(tick), "tick", "end")
    for days, text in _DAY_TICKS:
        if x.low <= days <= x.high:
            yield svg.upright(x.at(days), _TOP, _BOTTOM, "grid")
            yield svg.label(x.at(days), _BOTTOM + 15, text, "tick", "middle")
    yield svg.label((_LEFT + _RIGHT) / 2, _BOTTOM + 33, "days from the first low count to recovery", "tick", "middle")


def _episode_mark(row: Row, x: Axis, y: Axis) -> str:
    """A disc for episodes that ended, an open arrow to the right for those whose end was not seen."""
    place = f"M{x.at(row['days']):g} {y.at(row['nadir']):g}"
    size = 3 * min(math.sqrt(row["episodes"]), 5)
    title = f"{whole(row['episodes'])} with nadir about {number(row['nadir'])}, {row['days']:.0f} days"
    if row["closed"]:
        arc = f"a{size:.1f} {size:.1f} 0 1 0"
        disc = f"m{-size:.1f} 0{arc} {2 * size:.1f} 0{arc} {-2 * size:.1f} 0z"
        return svg.path(place + disc, "dot closed", title)
    high, wide = size + 1, 2 * size + 1
    arrow = f"m{-size:.1f} {-high:.1f}l{wide:.1f} {high:.1f}l{-wide:.1f} {high:.1f}z"
    return svg.path(place + arrow, "dot open", title)


def standards_side_by_side(rows: list[Row], analyte: str, key: str) -> Markup | None:
    """The worst grades of the same episodes as one bar for each standard; None where nothing is countable."""
    shares = {standard: _cells(rows, analyte, standard) for standard in STANDARDS}
    if not any(sum(cells.values()) for cells in shares.values()):
        return None
    body = []
    for index, (standard, cells) in enumerate(shares.items()):
        body.append(svg.label(0, index * 26 + 18, STANDARDS[standard], "lane"))
        body.extend(_bar(cells, index * 26 + 4))
    name = ANALYTES.get(analyte, analyte)
    title = f"Worst grade of the same episodes of low {name} under each standard"
    return Markup(
        svg.figure(_WIDTH, len(shares) * 26 + 4, "".join(body), title, "The table beside it gives the numbers.", key)
    )


def _cells(rows: list[Row], analyte: str, standard: str) -> dict[int | None, int]:
    found = {row["grade"]: row["episodes"] for row in rows if (row["analyte"], row["standard"]) == (analyte, standard)}
    return {grade: found[grade] for grade in _GRADES if isinstance(found.get(grade), int)}


def _bar(cells: dict[int | None, int], y: float) -> Iterator[str]:
    whole_bar = sum(cells.values())
    left = 84.0
    for grade, episodes in cells.items():
        width = (_WIDTH - 84) * episodes / whole_bar
        name = "unknown" if grade is None else f"grade {grade}"
        css = "u" if grade is None else f"g{grade}"
        yield svg.box(left, y, max(width - 1.5, 0.5), 20, f"seg {css}", f"{name}: {whole(episodes)} episodes")
        text = f"{'?' if grade is None else grade}: {whole(episodes)}"
        if width > 7 * len(text) + 4:
            yield svg.label(left + width / 2, y + 14, text, f"seg-label {css}-label", "middle")
        left += width
