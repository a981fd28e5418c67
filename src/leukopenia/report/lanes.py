"""The lanes of a timeline: episodes above the counts, drugs and treatments below, on one time axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from leukopenia.report import svg
from leukopenia.report.due_marks import due_in_view, due_marks
from leukopenia.report.facts import Record, Row
from leukopenia.report.panels import LEFT, RIGHT, Panel, View, by_analyte
from leukopenia.report.svg import Axis
from leukopenia.report.windows import Window
from leukopenia.report.words import ANALYTES, SEVERITIES, day, number, plain, short, when

_EPISODE_LANE = 16.0
_DRUG_LANE = 16.0
_MARK_LANE = 10.0
_MARKS_BELOW = 13.0
_MOST_LANES = 12
GROUPS = ("suspect", "chemotherapy", "growth factor", "steroid", "transfusion", "dialysis")
"""Treatments that explain a course, in the order of the lanes."""


def episode_end(episode: Row) -> int:
    """The last minute known of an episode: its recovery, else its last low count."""
    return int(episode["recovery"] if episode["recovery"] is not None else episode["last_low"])


def episode_lanes(record: Record, view: View) -> Panel | None:
    """One lane for each line with an episode in view."""
    seen = [row for row in record.episodes if row["onset"] <= view.end and episode_end(row) >= view.start]
    if not seen:
        return None
    body = []
    for index, (name, rows) in enumerate(by_analyte(seen).items()):
        y = index * _EPISODE_LANE + 9
        body.append(svg.label(2, y + 4, f"{short(ANALYTES.get(name, name), 13)} low", "lane"))
        body.extend(part for row in rows for part in _episode(row, view, y))
    return Panel("".join(body), (index + 1) * _EPISODE_LANE + 6)


def _episode(row: Row, view: View, y: float) -> Iterator[str]:
    """Dashed: the onset lies in here. Thick: low. Thin: to recovery. Triangle: nadir. Ring: recovery."""
    x = view.axis
    onset, last = _clip(row["onset"], view), _clip(row["last_low"], view)
    if row["last_not_low"] is not None:
        yield svg.path(f"M{x.at(_clip(row['last_not_low'], view)):g} {y:g}H{x.at(onset):g}", "onset", _onset_words(row))
    width = max(x.at(last) - x.at(onset), 3)
    yield svg.box(x.at(onset), y - 4, width, 8, f"episode s-{_severity(row)}", _episode_words(row))
    if row["recovery"] is not None:
        yield svg.across(x.at(onset) + width, x.at(_clip(row["recovery"], view)), y, "mending")
        if row["recovery"] <= view.end:
            yield svg.path(f"M{x.at(row['recovery']):g} {y:g}m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z", "recovery")
    elif row["last_low"] <= view.end:
        yield svg.path(f"M{x.at(onset) + width:g} {y - 4:g}l6 4l-6 4z", "still", f"{row['state']}: no recovery seen")
    if view.start <= row["nadir_minute"] <= view.end:
        yield svg.path(f"M{x.at(row['nadir_minute']):g} {y + 4.5:g}l-4-7h8z", "nadir", f"nadir {number(row['nadir'])}")


def _severity(row: Row) -> str:
    """A word fit for a class name: nothing that the table holds gets into one unseen."""
    return row["severity"] if row["severity"] in SEVERITIES[:-1] else "none"


def _clip(minute: int, view: View) -> int:
    return min(max(minute, view.start), view.end)


def _onset_words(row: Row) -> str:
    return f"onset between {when(row['last_not_low'])} and {when(row['onset'])}"


def _episode_words(row: Row) -> str:
    return f"{row['severity'] or 'low'} episode, {when(row['onset'])} to {when(row['last_low'])}"


def shade(record: Record, view: View, height: float) -> str:
    """Light columns behind the counts: episodes of the neutrophils, else of the first line that has any."""
    lines = by_analyte(record.episodes)
    none: list[Row] = []
    rows = lines.get("neutrophils") or next(iter(lines.values()), none)
    seen = [row for row in rows if row["onset"] <= view.end and episode_end(row) >= view.start]
    spans = [(view.axis.at(_clip(row["onset"], view)), view.axis.at(_clip(episode_end(row), view))) for row in seen]
    return "".join(svg.box(x1, 0, max(x2 - x1, 2), height, "shade") for x1, x2 in spans)


def treatments(record: Record, groups: Mapping[str, str]) -> list[Row]:
    """Everything with a lane of its own: all drugs, and conditions and findings that are treatments."""
    drugs = [{**row, "id": row["ingredient"]} for row in record.exposures]
    states = [{**row, "id": row["condition"]} for row in record.conditions if row["condition"] in groups]
    events = [
        {"id": row["finding"], "start": row["minute"], "end": row["minute"]}
        for row in record.findings
        if row["finding"] in groups
    ]
    return [{"status": "", **row} for row in (*drugs, *states, *events)]


def drug_lanes(
    record: Record, view: View, names: Mapping[str, str], groups: Mapping[str, str], windows: Sequence[Window]
) -> Panel | None:
    """One lane for each drug or treatment in view: the leading causes first, then those that explain a course."""
    lanes: dict[str, list[Row]] = {}
    for row in treatments(record, groups):
        if row["start"] <= view.end and _end(row, view) >= view.start:
            lanes.setdefault(row["id"], []).append(row)
    if not lanes:
        return None
    leading = {window.drug for window in windows}
    dues = due_in_view(record, view)

    def place(one: str) -> tuple[bool, bool, int, int, str]:
        return one not in leading, one not in dues, _rank(groups.get(one, "")), lanes[one][0]["start"], one

    order = sorted(lanes, key=place)
    places, end = _places(order[:_MOST_LANES], dues)
    body = [
        part for one, y in places.items() for part in _lane(lanes[one], view, y, plain(one, names), groups.get(one, ""))
    ]
    body += [part for window in windows if window.drug in places for part in _window(window, view, places[window.drug])]
    body += [part for one, y in places.items() for part in due_marks(dues.get(one, []), view.axis, y + _MARKS_BELOW)]
    height = end + 8
    if len(order) > _MOST_LANES:
        height += 12
        body.append(svg.label(LEFT, height - 4, f"{len(order) - _MOST_LANES} more in the table of drugs", "tick"))
    return Panel("".join(body), height)


def _places(order: Sequence[str], dues: Mapping[str, list[Row]]) -> tuple[dict[str, float], float]:
    """The height of each lane, those with due counts having room for their marks, and where the last one ends."""
    places: dict[str, float] = {}
    y = 0.0
    for one in order:
        places[one] = y + 10
        y += _DRUG_LANE + (_MARK_LANE if one in dues else 0)
    return places, y


def _rank(group: str) -> int:
    return GROUPS.index(group) if group in GROUPS else len(GROUPS)


def _end(row: Row, view: View) -> int:
    return int(row["end"]) if row["end"] is not None else view.end


def _lane(rows: list[Row], view: View, y: float, name: str, group: str) -> Iterator[str]:
    yield svg.across(LEFT, RIGHT, y, "grid")
    yield svg.label(2, y + 4, short(name, 19), "lane")
    if group:
        yield svg.label(RIGHT + 6, y + 4, short(group, 16), "tick")
    css = f"drug d-{group.replace(' ', '-') if group in GROUPS else 'other'}"
    for row in rows:
        yield from _bar(row, view, y, name, f"{css} {'ordered' if row['status'] == 'ordered' else ''}")


def _bar(row: Row, view: View, y: float, name: str, css: str) -> Iterator[str]:
    x: Axis = view.axis
    x1, x2 = x.at(_clip(row["start"], view)), x.at(_clip(_end(row, view), view))
    until = day(row["end"]) if row["end"] is not None else "end not recorded"
    yield svg.box(x1, y - 4, max(x2 - x1, 3), 8, css, f"{name}, {day(row['start'])} to {until} {row['status']}")
    if row["start"] < view.start:
        yield svg.path(f"M{x1:g} {y - 5:g}l-6 5l6 5z", f"{css} more", "began earlier")
    if _end(row, view) > view.end:
        yield svg.path(f"M{x2:g} {y - 5:g}l6 5l-6 5z", f"{css} more", "goes on")


def _window(window: Window, view: View, y: float) -> Iterator[str]:
    """A line between two ends under the bar of the drug, and a dot where low counts most often begin."""
    if window.end < view.start or window.start > view.end:
        return
    x1, x2 = view.axis.at(_clip(window.start, view)), view.axis.at(_clip(window.end, view))
    ends = [x for x, minute in ((x1, window.start), (x2, window.end)) if view.start <= minute <= view.end]
    ticks = "".join(f"M{x:g} {y + 3:g}v6" for x in ends) if window.start < window.end else ""
    yield svg.path(f"M{x1:g} {y + 6:g}H{max(x2, x1 + 2):g}{ticks}", "window", window.title)
    if window.middle is not None and view.start <= window.middle <= view.end:
        yield svg.path(f"M{view.axis.at(window.middle):g} {y + 6:g}m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0z", "window-middle")
