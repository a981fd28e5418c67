"""The picture and the table of lower limits that contradict one another, made from the rows of knowledge.

    python docs/conflicting_limits.py

writes docs/pictures/limits.svg and prints the table for docs/explanation/limits.md.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from leukopenia import knowledge

PICTURE = Path(__file__).parent / "pictures" / "limits.svg"
ADULT_HOURS = 18 * 8766
LINES = ("wbc", "neutrophils", "lymphocytes")
DRAWN = {"wbc": (2.5, 6.0), "neutrophils": (0.5, 4.0)}
"""The lines of the picture with the span of their axis, 10^9/L."""

KINDS = {
    "study": "studies of people in general",
    "list": "lists of laboratories, percentiles not stated",
    "ancestry_mixture": "groups of a survey by ancestry (mixtures)",
    "duffy_null": "Duffy-null adults",
    "pregnant": "pregnant women",
}
COLOURS = "svg {color: #1c242e} @media (prefers-color-scheme: dark) {svg {color: #e4e8ee}}"

_LABELS, _PANEL, _GAP, _STEP, _TOP = 330, 230, 40, 16, 62

Row = Mapping[str, str]


def adults() -> list[Row]:
    """Every published interval with a lower limit that speaks of adults."""
    return [
        row
        for row in knowledge.load()["intervals"]
        if row["low"]
        and row["analyte"] in LINES
        and (row["context"] == "pregnant" or int(row["age_from_hours"]) <= ADULT_HOURS < int(row["age_to_hours"]))
        and kind(row)
    ]


def kind(row: Row) -> str:
    """Which of KINDS an interval is; empty for cord blood and low birth weight."""
    if row["context"] == "general":
        return "list" if row["percentiles"] == "not stated" else "study"
    return row["context"] if row["context"] in KINDS else ""


def in_force() -> set[str]:
    """The intervals that are used where the laboratory gives no range."""
    return {row["interval_id"] for row in knowledge.load()["interval_choice"]}


def table() -> str:
    """How far the lower limits of each kind lie apart, as Markdown."""
    rows, chosen = adults(), in_force()
    lines = ["| | " + " | ".join(LINES) + " |", "| --- |" + " --- |" * len(LINES)]
    used = [row for row in rows if row["interval_id"] in chosen and row["context"] == "general"]
    parts = {"in force": used} | {words: [row for row in rows if kind(row) == name] for name, words in KINDS.items()}
    for words, part in parts.items():
        lines.append(f"| {words} | " + " | ".join(_span(part, line) for line in LINES) + " |")
    return "\n".join(lines) + "\n"


def _span(rows: Iterable[Row], line: str) -> str:
    lows = sorted((float(row["low"]), row["low"]) for row in rows if row["analyte"] == line)
    if not lows:
        return ""
    low, high = lows[0][1], lows[-1][1]
    return low if len(lows) == 1 else f"{low} to {high} ({len(lows)})"


def picture() -> str:
    """Lower limits of white cells and neutrophils in adults, a row for each source, as SVG."""
    groups = {name: _sources([row for row in adults() if kind(row) == name]) for name in KINDS}
    height = _TOP + _STEP * (sum(map(len, groups.values())) + 2 * len(groups)) + 30
    width = _LABELS + len(DRAWN) * (_PANEL + _GAP)
    words = "Lower limits of adults, 10^9/L. Open: percentiles not stated. Square: in force."
    body = "".join([*_axes(height), *_groups(groups)])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" fill="currentColor" role="img"><title>{words}</title><style>{COLOURS}</style>'
        f'<text x="{_LABELS}" y="18" font-size="13">{words}</text>{body}</svg>\n'
    )


def _sources(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each people or laboratory that have a dot, from the lowest limit of neutrophils up."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["analyte"] in DRAWN:
            weeks = f", week {row['gestation_from_weeks']} on" if row["gestation_from_weeks"] else ""
            found.setdefault(row["population"] + weeks, []).append(row)
    return dict(sorted(found.items(), key=lambda item: (_lowest(item[1], "neutrophils"), _lowest(item[1], "wbc"))))


def _lowest(rows: Iterable[Row], line: str) -> float:
    return min((float(row["low"]) for row in rows if row["analyte"] == line), default=9.0)


def _axes(height: int) -> Iterator[str]:
    for line, (low, high) in DRAWN.items():
        yield f'<text x="{_x(line, low)}" y="40" font-weight="bold">{line}</text>'
        for half in range(int(low * 2), int(high * 2) + 1):
            x = _x(line, half / 2)
            yield f'<path d="M{x} {_TOP - 12}V{height - 24}" stroke="currentColor" opacity=".15"/>'
            yield f'<text x="{x}" y="{height - 8}" text-anchor="middle">{half / 2:g}</text>'


def _x(line: str, value: float) -> float:
    low, high = DRAWN[line]
    start = _LABELS + list(DRAWN).index(line) * (_PANEL + _GAP)
    return round(start + (value - low) / (high - low) * _PANEL, 1)


def _groups(groups: Mapping[str, Mapping[str, list[Row]]]) -> Iterator[str]:
    y = _TOP
    for name, sources in groups.items():
        yield f'<text x="4" y="{y + 4}" font-weight="bold">{KINDS[name].capitalize()}</text>'
        for words, rows in sources.items():
            y += _STEP
            yield f'<text x="{_LABELS - 14}" y="{y + 4}" text-anchor="end">{html.escape(words)}</text>'
            yield from (_mark(row, y) for row in rows)
        y += 2 * _STEP


def _mark(row: Row, y: int) -> str:
    x = _x(row["analyte"], float(row["low"]))
    told = f"<title>{html.escape(row['interval_id'])}: {row['low']}</title>"
    if row["interval_id"] in in_force():
        return f'<rect x="{x - 5}" y="{y - 5}" width="10" height="10">{told}</rect>'
    fill = "none" if row["percentiles"] == "not stated" else "currentColor"
    return f'<circle cx="{x}" cy="{y}" r="4" stroke="currentColor" fill="{fill}">{told}</circle>'


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    print(table())
