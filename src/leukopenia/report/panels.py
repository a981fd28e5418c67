"""The panels of a timeline that carry values: the counts over the grade bands, and small panels below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from leukopenia.report import svg
from leukopenia.report.facts import Record, Row
from leukopenia.report.svg import Axis
from leukopenia.report.words import ANALYTES, STANDARDS, duration, number, result, when

WIDTH, LEFT, RIGHT = 760.0, 118.0, 656.0
COUNT_LINES = ("wbc", "neutrophils", "lymphocytes", "cd4")
BAND_STANDARD = "ctcae-5.0"

# A break in the picture, not in the analysis: the lines stop, lest a course be read where nobody looked.
GAP = 90 * 1440

_COUNTS_HEIGHT = 236.0
_SMALL_HEIGHT = 46.0
_LABEL_GAP = 12.5
_UNITS = {"haemoglobin": "g/L", "platelets": "10⁹/L", "temperature": "°C"}


@dataclass(frozen=True)
class Panel:
    """A piece of a timeline: its SVG, drawn from y = 0 downwards, and its height."""

    body: str
    height: float


@dataclass(frozen=True)
class View:
    """The time axis of a figure."""

    start: int
    end: int

    @cached_property
    def axis(self) -> Axis:
        return Axis(self.start, self.end, LEFT, RIGHT)

    def part(self, record: Record) -> Record:
        """The record with only those counts, limits and findings that lie in the view."""
        return replace(
            record,
            counts=self._rows(record.counts),
            limits=self._rows(record.limits),
            findings=self._rows(record.findings),
        )

    def _rows(self, rows: Iterable[Row]) -> list[Row]:
        return [row for row in rows if row["minute"] is not None and self.start <= row["minute"] <= self.end]


def by_analyte(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows in the order of time, apart by analyte, in the order in which a blood count is read."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(row["analyte"], []).append(row)
    order = list(ANALYTES)
    return dict(sorted(parts.items(), key=lambda part: (order.index(part[0]) if part[0] in order else 99, part[0])))


def shape(row: Row) -> str:
    """How a count came about, as the shape of its mark."""
    if row["comparator"] in ("<", "<="):
        return "at_most"
    if row["comparator"] in (">", ">="):
        return "at_least"
    return "measured" if row["derivation"] == "reported" else "derived"


def counts_panel(record: Record, view: View, bands: list[dict[str, Any]]) -> Panel | None:
    """Counts of the white-cell lines over the grade bands, with the lower limit and the gaps."""
    lines = {name: rows for name, rows in by_analyte(record.counts).items() if name in COUNT_LINES}
    if not lines:
        return None
    first = "neutrophils" if "neutrophils" in lines else next(iter(lines))
    limits = [row for row in record.limits if row["analyte"] == first and row["low"] is not None]
    y = svg.count_axis(max(row["value"] for rows in lines.values() for row in rows), 8, _COUNTS_HEIGHT)
    body = [
        *_bands(bands, first, limits, y),
        *_value_axis(y, svg.spaced(svg.COUNT_TICKS, y, 13), "10⁹/L"),
        *_gaps(view, [row["minute"] for row in record.counts]),
        *_limit(limits, view.axis, y),
        *(part for name, rows in lines.items() for part in _line(name, rows, view.axis, y)),
        *_line_labels(lines, limits, y),
    ]
    return Panel("".join(body), _COUNTS_HEIGHT + 10)


def small_panels(record: Record, view: View) -> list[Panel]:
    """Platelets, haemoglobin and temperature, where there are any."""
    counts = by_analyte(record.counts)
    warmth = [
        {**row, "analyte": "temperature", "comparator": "", "derivation": "reported"}
        for row in record.findings
        if row["finding"] == "temperature" and row["value"] is not None
    ]
    series = [
        ("platelets", counts.get("platelets")),
        ("haemoglobin", counts.get("haemoglobin")),
        ("temperature", warmth),
    ]
    return [_small_panel(name, rows, record, view) for name, rows in series if rows]


def _small_panel(name: str, rows: list[Row], record: Record, view: View) -> Panel:
    limits = [row for row in record.limits if row["analyte"] == name and row["low"] is not None]
    values = [row["value"] for row in rows] + [row["low"] for row in limits]
    margin = max((max(values) - min(values)) * 0.12, 0.01 * max(values), 0.3)
    low = 0.0 if name == "platelets" else min(values) - margin
    y = Axis(low, max(values) + margin, _SMALL_HEIGHT, 6)
    body = [
        svg.across(LEFT, RIGHT, _SMALL_HEIGHT + 2, "grid"),
        *_value_axis(y, svg.linear_ticks(y.low, y.high), _UNITS.get(name, ""), name),
        *_limit(limits, view.axis, y),
        *_line(name, rows, view.axis, y),
        svg.label(RIGHT + 6, y.at(rows[-1]["value"]) + 4, result(rows[-1]), f"tag t-{name}"),
    ]
    return Panel("".join(body), _SMALL_HEIGHT + 8)


def _bands(bands: list[dict[str, Any]], analyte: str, limits: list[Row], y: Axis) -> Iterator[str]:
    """The grades as horizontal bands; the band below the lower limit needs one limit for the whole view."""
    lowest = {row["low"] for row in limits}
    floor = 0.0
    mine = [band for band in bands if band["analyte"] == analyte and band["standard"] == BAND_STANDARD]
    for band in sorted(mine, key=lambda row: -row["grade"]):
        ceiling = band["below"] if band["below"] is not None else (lowest.pop() if len(lowest) == 1 else None)
        if ceiling is None or not floor < ceiling <= y.high:
            continue
        top, bottom = y.at(ceiling), y.at(floor)
        yield svg.box(LEFT, top, RIGHT - LEFT, bottom - top, f"band g{band['grade']}")
        if bottom - top > 9:
            middle = (top + bottom) / 2 + 3.5
            yield svg.label(LEFT + 5, middle, f"grade {band['grade']}", "band-label")
            # On a narrow screen only the right end is seen at first.
            yield svg.label(RIGHT - 4, middle, f"G{band['grade']}", "band-label", "end")
        floor = ceiling


def band_caption(bands: list[dict[str, Any]], analyte: str) -> str:
    """What the bands are, in words; empty where there are none."""
    mine = [band for band in bands if band["analyte"] == analyte and band["standard"] == BAND_STANDARD]
    return f"Bands: grades of {ANALYTES.get(analyte, analyte)} in {STANDARDS[BAND_STANDARD]}." if mine else ""


def _value_axis(y: Axis, ticks: list[float], unit: str, name: str = "") -> Iterator[str]:
    for tick in ticks:
        yield svg.across(LEFT, RIGHT, y.at(tick), "grid")
        yield svg.label(LEFT - 6, y.at(tick) + 3.5, number(tick), "tick", "end")
    yield svg.label(2, y.end + 9, name or "counts", "lane")
    yield svg.label(2, y.end + 22, unit, "tick")


def _gaps(view: View, minutes: list[int]) -> Iterator[str]:
    for before, after in pairwise(sorted(set(minutes))):
        if after - before > GAP:
            x1, x2 = view.axis.at(before), view.axis.at(after)
            title = f"no counts for {duration(after - before)}"
            yield svg.box(x1 + 4, 8, x2 - x1 - 8, _COUNTS_HEIGHT - 8, "gap", title)
            if x2 - x1 > 110:
                yield svg.label((x1 + x2) / 2, 22, title, "tick halo", "middle")


def _limit(limits: list[Row], x: Axis, y: Axis) -> Iterator[str]:
    """The lower limit as steps, drawn where it lies within the panel."""
    rows = [row for row in limits if y.low <= row["low"] <= y.high]
    if rows:
        steps = "".join(f"H{x.at(row['minute']):g}V{y.at(row['low']):g}" for row in rows[1:])
        yield svg.path(f"M{LEFT:g} {y.at(rows[0]['low']):g}{steps}H{RIGHT:g}", "limit")


def _line(name: str, rows: list[Row], x: Axis, y: Axis) -> Iterator[str]:
    """One line of cells: the course, broken where nobody looked, and a mark for each count."""
    marks = [(row, shape(row), x.at(row["minute"]), y.at(min(max(row["value"], y.low), y.high))) for row in rows]
    yield svg.path(_course(marks), f"course l-{name}")
    for row, kind, across, up in marks:
        title = f"{ANALYTES.get(name, name)} {result(row)}, {when(row['minute'], row['time_precision'])}"
        yield svg.mark(across, up, kind, f"mark m-{name} {kind}", title)


def _course(marks: list[tuple[Row, str, float, float]]) -> str:
    """The joined counts. A bound that only the white count sets is no part of it: it stands alone."""
    parts: list[str] = []
    before = -GAP
    for row, kind, across, up in marks:
        if row["derivation"] == "bounded_by_wbc" or kind == "at_least":
            continue
        step = "L" if parts and row["minute"] - before <= GAP else "M"
        parts.append(f"{step}{across:g} {up:g}")
        before = row["minute"]
    return "".join(parts) or "M0 0"


def _line_labels(lines: dict[str, list[Row]], limits: list[Row], y: Axis) -> Iterator[str]:
    """The names at the right end of the lines, moved apart."""
    names = [(ANALYTES[name], f"tag t-{name}", y.at(rows[-1]["value"])) for name, rows in lines.items()]
    if limits and limits[-1]["low"] <= y.high:
        names.append((f"lower limit {number(limits[-1]['low'])}", "tag t-limit", y.at(limits[-1]["low"])))
    places = svg.spread([place for _, _, place in names], _LABEL_GAP, _COUNTS_HEIGHT)
    for (text, css, _), place in zip(names, places, strict=True):
        yield svg.label(RIGHT + 6, place + 4, text, css)
