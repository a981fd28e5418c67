"""The timeline of one person: episodes, counts and drugs on one time axis, as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from leukopenia.report import svg
from leukopenia.report.due_marks import due_in_view, due_words
from leukopenia.report.facts import Record, Row
from leukopenia.report.lanes import drug_lanes, episode_end, episode_lanes, shade
from leukopenia.report.panels import LEFT, RIGHT, WIDTH, Panel, View, by_analyte, counts_panel, small_panels
from leukopenia.report.windows import Window
from leukopenia.report.words import ANALYTES, SEVERITIES, comparator, day, duration, number, plain, result

_DAY = 1440
_LEAD = 60 * _DAY
_ZOOM_MARGIN = 14 * _DAY
_ZOOM_FROM = 120 * _DAY
_MOST_ZOOMS = 6
_FEWEST_TIMES = 3
_AXIS_HEIGHT = 22.0


@dataclass(frozen=True)
class Figure:
    """One drawing with its caption."""

    caption: str
    drawing: Markup


def timelines(record: Record, summary: Mapping[str, Any], key: str, windows: list[Window]) -> list[Figure]:
    """The whole course and, where it is long, each episode drawn larger.

    Parameters
    ----------
    record : Record
        The rows of one person.
    summary : mapping
        ``bands``, ``names`` and ``groups`` are used, see `Facts`.
    key : str
        Prefix of the ids in the SVG, unique on the page; not taken from data.
    windows : list of Window
        When low counts usually begin under the leading drugs.

    Returns
    -------
    list of Figure
        Empty where the person has no counts.
    """
    views = list(_views(record))
    return [
        Figure(caption, _timeline(record, view, summary, f"{key}-f{index}", windows))
        for index, (caption, view) in enumerate(views)
    ]


def _views(record: Record) -> Iterator[tuple[str, View]]:
    minutes = [row["minute"] for row in record.counts]
    if not minutes:
        return
    owed = [row["due"] for row in record.monitored.due_counts if row["state"] in ("due", "overdue", "missed")]
    first, last = min(minutes), max(minutes)
    end = max([last, *owed])
    before = [row["start"] for row in record.exposures if first - _LEAD <= row["start"] < first]
    overview = _padded(min([first, *before]), end)
    yield f"Whole course, {day(first)} to {day(end)}", overview
    if last - first > _ZOOM_FROM:
        yield from _zooms(record, overview)


def _padded(start: int, end: int) -> View:
    margin = max((end - start) // 40, _DAY // 2)
    return View(start - margin, end + margin)


def _zooms(record: Record, overview: View) -> Iterator[tuple[str, View]]:
    """The episodes that a zoom shows better than the overview, the worst of them, in the order of time."""
    minutes = {row["minute"] for row in record.counts}
    most = 0.5 * (overview.end - overview.start)
    spans = [
        span
        for span in _together(record.episodes)
        if _width(span[0]) < most and sum(span[0][0] <= m <= span[0][1] for m in minutes) >= _FEWEST_TIMES
    ]
    worst = sorted(spans, key=lambda span: span[1])[:_MOST_ZOOMS]
    rest = len(spans) - len(worst)
    for (start, end), _ in sorted(worst):
        note = f" (the {rest} milder ones are not drawn larger)" if rest and (start, end) == min(worst)[0] else ""
        yield (
            f"Episode of {day(start)}, {duration(end - start)}{note}",
            View(start - _ZOOM_MARGIN, end + _ZOOM_MARGIN),
        )


def _width(span: tuple[int, int]) -> int:
    return span[1] - span[0] + 2 * _ZOOM_MARGIN


def _together(episodes: list[Row]) -> list[tuple[tuple[int, int], tuple[int, float]]]:
    """Spans of episodes that overlap in time, each with its worst severity rank and nadir."""
    spans: list[tuple[tuple[int, int], tuple[int, float]]] = []
    for row in sorted(episodes, key=lambda one: one["onset"]):
        severity = row["severity"] if row["severity"] in SEVERITIES else ""
        badness = SEVERITIES.index(severity), row["nadir"]
        if spans and row["onset"] <= spans[-1][0][1]:
            (start, end), worst = spans[-1]
            spans[-1] = (start, max(end, episode_end(row))), min(worst, badness)
        else:
            spans.append(((row["onset"], episode_end(row)), badness))
    return spans


def _timeline(record: Record, view: View, summary: Mapping[str, Any], key: str, windows: list[Window]) -> Markup:
    record = view.part(record)
    names, groups = summary.get("names", {}), summary.get("groups", {})
    above = episode_lanes(record, view)
    values = [counts_panel(record, view, summary.get("bands", [])), *small_panels(record, view)]
    drugs = drug_lanes(record, view, names, groups, windows)
    stacked, height = _stack([above, *values, drugs])
    body = _time_axis(view, height) + shade(record, view, height) + stacked
    title = f"Timeline of {record.patient_id}, {day(view.start)} to {day(view.end)}"
    # Own markup; every text from data inside it went through `safe`.
    return Markup(svg.figure(WIDTH, height + _AXIS_HEIGHT, body, title, describe(record, view, names), key))


def _stack(panels: Iterable[Panel | None]) -> tuple[str, float]:
    """The panels one below the other, and their height together."""
    parts = []
    y = 0.0
    for panel in panels:
        if panel is not None:
            parts.append(f'<g transform="translate(0 {y:g})">{panel.body}</g>')
            y += panel.height
    return "".join(parts), y


def _time_axis(view: View, height: float) -> str:
    parts = [svg.box(LEFT, 0, RIGHT - LEFT, height, "plot")]
    for minute, text in svg.time_ticks(view.start, view.end):
        x = view.axis.at(minute)
        parts.append(svg.upright(x, 0, height, "grid"))
        parts.append(svg.label(x, height + 15, text, "tick", "middle"))
    return "".join(parts)


def describe(record: Record, view: View, names: Mapping[str, str]) -> str:
    """The part of a record that is drawn, in words: lowest and last values, episodes, drugs."""
    parts = []
    for name, rows in by_analyte(record.counts).items():
        lowest = min(rows, key=lambda row: row["value"])
        parts.append(
            f"{ANALYTES.get(name, name)}: {len(rows)} counts, "
            f"lowest {result(lowest)} on {day(lowest['minute'])}, "
            f"last {result(rows[-1])} on {day(rows[-1]['minute'])}."
        )
    for row in record.episodes:
        if row["onset"] <= view.end and episode_end(row) >= view.start:
            line = ANALYTES.get(row["analyte"], row["analyte"])
            nadir = f"{comparator(row['nadir_comparator'])}{number(row['nadir'])}"
            parts.append(f"Low {line} from {day(row['onset'])}, nadir {nadir}, {row['state']}.")
    drugs = sorted({row["ingredient"] for row in record.exposures if row["start"] <= view.end})
    if drugs:
        parts.append(f"Drugs: {', '.join(plain(one, names) for one in drugs)}.")
    parts += [due_words(plain(one, names), rows) for one, rows in due_in_view(record, view).items()]
    return " ".join([*parts, "All values stand in the table of counts."])
