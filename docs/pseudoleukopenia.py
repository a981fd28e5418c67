"""Cells that moved and cells that are not made: tables and picture of docs/explanation/pseudoleukopenia.md.

    python docs/pseudoleukopenia.py

All of it comes from the model cards and the published means among the knowledge rows. A test makes it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from leukopenia import forecasting, knowledge
from leukopenia.forecast.model_card import Card
from leukopenia.forecast.redrawing import Redraw, redraw
from leukopenia.report import svg
from leukopenia.report.svg import Axis

PAGE = Path(__file__).parent / "explanation" / "pseudoleukopenia.md"
PICTURE = Path(__file__).parent / "pictures" / "pseudoleukopenia.svg"
MARKS = ("<!-- made by docs/pseudoleukopenia.py -->", "<!-- end of what is made -->")

LINES = ("neutrophils", "lymphocytes", "monocytes")
ANALYTES = ("wbc", *LINES)
NAMES = {"wbc": "white cells"}
DOSES = (1.0, 0.5, 0.1)
TIMES = (0.0, 3.0, 6.0, 24.0)
COUNT, SINCE = 1.2, (0.0, 6.0)
PACES = (1.0, 2.0, 4.0)
COUNTS = (1.5, 1.2, 0.8)
SHOWN = (0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0)
NEXT = (1.2, 2.0, 3.0)


def published(dose: float, analyte: str) -> list[float]:
    """The means of a group in time, 10^9/L; lines are printed as per cent of the white cells."""
    rows = {(float(r["dose"]), float(r["hour"]), r["analyte"]): r for r in knowledge.load()["endotoxin_counts"]}
    own = [float(rows[dose, hour, analyte]["value"]) for hour in TIMES]
    if rows[dose, 0.0, analyte]["unit"] != "%":
        return own
    return [share * cells / 100 for share, cells in zip(own, published(dose, "wbc"), strict=True)]


def modelled(dose: float, times: Sequence[float]) -> dict[str, np.ndarray]:
    """The courses of the cards, from the counts that the group had before."""
    return forecasting.redistribution({a: published(dose, a)[0] for a in ANALYTES}, dose, times)


def answers() -> dict[tuple[float, float], Redraw]:
    """The second count for several first ones, and for illnesses that run slower than endotoxin."""
    cases = {(COUNT, pace) for pace in PACES} | {(count, 1.0) for count in COUNTS}
    return {(count, pace): forecasting.redraw(count, SINCE, slower=pace) for count, pace in sorted(cases)}


MOVED, NOT_MADE = (forecasting.card(name) for name in (forecasting.ENDOTOXIN["neutrophils"], forecasting.ARREST))


def _with(card: Card, name: str, factor: float) -> Card:
    """The card with one of its values multiplied."""
    own = card.parameters[name]
    return replace(card, parameters={**card.parameters, name: replace(own, value=factor * own.value)})


def otherwise() -> dict[str, Redraw]:
    """The same question with one assumption changed at a time."""
    noisy = (replace(card, residual=2 * (card.residual or 0.0)) for card in (MOVED, NOT_MADE))
    changed = {
        "nothing": (MOVED, NOT_MADE),
        "fall in the first hour half as deep": (_with(MOVED, "margination", 0.5), NOT_MADE),
        "twice as deep": (_with(MOVED, "margination", 2.0), NOT_MADE),
        "deepest at 1 h": (_with(MOVED, "margination_peak", 2.0), NOT_MADE),
        "return from the wall half as fast": (_with(MOVED, "kdemargination", 0.5), NOT_MADE),
        "a quarter of the release": (_with(MOVED, "release", 0.25), NOT_MADE),
        "arrest for up to 14 days": (MOVED, _with(NOT_MADE, "duration", 2.0)),
        "error of a count twice as large": tuple(noisy),
    }
    return {words: redraw(COUNT, SINCE, *cards) for words, cards in changed.items()}


# The tables


def page(found: dict[tuple[float, float], Redraw], changed: dict[str, Redraw]) -> str:
    """All tables of the page."""
    parts = ["Modelled, published and misfit:", "\n".join(_fit()), "When the next count separates the two:"]
    parts += ["\n".join(_hours(found)), f"The next count after a first one of {COUNT:g}:"]
    parts += ["\n".join(_next_counts(found[COUNT, 1.0]))]
    parts += [f"What an assumption changes, first count {COUNT:g}:", "\n".join(_changes(changed))]
    return "\n\n".join(parts) + "\n"


def _fit() -> Iterator[str]:
    yield _line("endotoxin", "count", *(f"{hour:g} h" for hour in TIMES[1:]))
    yield _line(*["---"] * 5)
    for dose in DOSES:
        curves = modelled(dose, TIMES)
        for analyte in ANALYTES:
            pairs = list(zip(curves[analyte], published(dose, analyte), strict=True))[1:]
            cells = (f"{own:.2f}, {read:.2f}, {own / read - 1:+.0%}" for own, read in pairs)
            yield _line(f"{dose:g} ng/kg", NAMES.get(analyte, analyte), *cells)


def _hours(found: dict[tuple[float, float], Redraw]) -> Iterator[str]:
    yield _line("first count", "pace", "apart from", "tells most at", "overlap at 1 h", "at 2 h", "at 4 h", "at 8 h")
    yield _line(*["---"] * 8)
    for (count, pace), one in found.items():
        cells = (f"{one.overlap[_at(one, hour)]:.0%}" for hour in (1, 2, 4, 8))
        yield _line(f"{count:g}", _pace(pace), f"{one.separated:g} h", f"{one.best:g} h", *cells)


def _next_counts(one: Redraw) -> Iterator[str]:
    yield _line("hours later", "if they moved", "if they are not made", *(f"LR of {count:g}" for count in NEXT))
    yield _line(*["---"] * (3 + len(NEXT)))
    for hour in SHOWN:
        n = _at(one, hour)
        bands = (f"{band[2, n]:.1f} ({band[0, n]:.1f} to {band[4, n]:.1f})" for band in (one.moved, one.not_made))
        yield _line(f"{hour:g}", *bands, *(_odds(one.ratio(hour, count)) for count in NEXT))


def _changes(changed: dict[str, Redraw]) -> Iterator[str]:
    yield _line("changed", "apart from", "tells most at", "LR of the first count alone")
    yield _line(*["---"] * 4)
    for words, one in changed.items():
        yield _line(words, f"{one.separated:g} h", f"{one.best:g} h", _odds(one.first_ratio))


def _at(one: Redraw, hour: float) -> int:
    return int(np.abs(one.hours - hour).argmin())


def _odds(ratio: float) -> str:
    """A likelihood ratio in words; above a hundred the number hangs on the doubt alone."""
    if ratio >= 1:
        return f"{ratio:.1f} to 1" if ratio < 100 else "more than 100 to 1"
    return f"1 to {1 / ratio:.1f}" if ratio > 0.01 else "1 to more than 100"


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def with_tables(text: str, made: str) -> str:
    """The page with what is made between its marks."""
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n\n{made}\n{MARKS[1]}{after}"


# The picture

WIDTH, LEFT, RIGHT = 760.0, 44.0, 738.0
TOP, STEP, HIGH = 44.0, 236.0, 184.0
DENSE = np.arange(0.0, 24.05, 0.1)

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c242e; --soft: #56616f; --rule: #d8dde4; --moved: #1c5fa8;
  --not: #9b1c22; --lymph: #2c6150; --mono: #7a4a00; }
@media (prefers-color-scheme: dark) { :root { --page: #12161b; --ink: #e4e8ed; --soft: #a3adb9; --rule: #2d3641;
  --moved: #7fb4f2; --not: #ff9a92; --lymph: #86c9b2; --mono: #f0c46c; } }
text { font: 11px system-ui, sans-serif; fill: var(--ink); } .title { font-size: 12.5px; font-weight: 650; }
.tick { fill: var(--soft); font-size: 10.5px; } .page { fill: var(--page); } .plot { fill: none; stroke: var(--rule); }
.wbc, .neutrophils, .lymphocytes, .monocytes, .moved, .not { fill: none; stroke-width: 1.7; }
.wbc { stroke: var(--ink); } .neutrophils, .moved { stroke: var(--moved); } .lymphocytes { stroke: var(--lymph); }
.monocytes { stroke: var(--mono); } .not { stroke: var(--not); stroke-dasharray: 5 3; }
.wide-moved { fill: var(--moved); fill-opacity: .18; } .wide-not { fill: var(--not); fill-opacity: .18; }
.hour { stroke: var(--soft); stroke-dasharray: 2 3; fill: none; }
.overlap { stroke: var(--ink); stroke-width: 1.5; fill: none; }
.pace-2 { stroke-dasharray: 7 3; } .pace-4 { stroke-dasharray: 2 2; }
.mark { fill: var(--page); stroke: var(--ink); stroke-width: 1.3; }
"""


def picture(found: dict[tuple[float, float], Redraw]) -> str:
    """The published means under the curves, the two explanations of one count, and how far apart they are."""
    one = found[COUNT, 1.0]
    panels = [_volunteers(), _two_courses(one), _overlap(found)]
    height = TOP + STEP * len(panels) - 16
    body = [f'<rect class="page" width="{WIDTH:g}" height="{height:g}"/>']
    for number, panel in enumerate(panels):
        body += [f'<g transform="translate(0 {TOP + number * STEP - 20:g})">', *panel, "</g>"]
    title = "A low count seen as cells that moved and as cells that are not made"
    words = (
        "Above: counts after 1 ng/kg of endotoxin, published means and cards. Middle: a neutrophil count of "
        f"{COUNT:g}, and what the next count would be under each explanation. The two are apart from "
        f"{one.separated:g} hours on. Below: how much the two predictions overlap, by the pace of the illness."
    )
    drawn = svg.figure(WIDTH, height, f"<style>{_STYLE}</style>\n" + "\n".join(body), title, words, "pseudo")
    return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _frame(x: Axis, y: Axis, title: str, ticks: Sequence[float], axis: str) -> Iterator[str]:
    yield svg.label(LEFT, 0, title, "title")
    yield svg.box(LEFT, 20, RIGHT - LEFT, HIGH - 20, "plot")
    for tick in ticks:
        yield svg.label(LEFT - 6, y.at(tick) + 3.5, f"{tick:g}", "tick", "end")
    for hour in range(0, int(x.high) + 1, 3):
        yield svg.label(x.at(hour), HIGH + 15, f"{hour} h", "tick", "middle")
    yield svg.label(RIGHT, HIGH + 28, axis, "tick", "end")


def _line_of(x: Axis, y: Axis, times: np.ndarray, values: np.ndarray, css: str) -> str:
    places = zip(times, values, strict=True)
    return svg.path("M" + "L".join(f"{x.at(t):g} {y.at(v):g}" for t, v in places), css)


def _volunteers() -> Iterator[str]:
    x, y = Axis(0, 24, LEFT, RIGHT), svg.count_axis(15, 20, HIGH)
    title = "Healthy volunteers, 1 ng/kg of endotoxin at hour 0; 10^9/L"
    yield from _frame(x, y, title, svg.spaced(svg.COUNT_TICKS, y, 13), "hours after endotoxin")
    curves = modelled(1.0, DENSE)
    for number, analyte in enumerate(ANALYTES):
        yield _line_of(x, y, DENSE, curves[analyte], analyte)
        yield svg.path(f"M{RIGHT - 396 + number * 102:g} 11h16", analyte)
        yield svg.label(RIGHT - 376 + number * 102, 15, NAMES.get(analyte, analyte))
        for hour, value in zip(TIMES, published(1.0, analyte), strict=True):
            words = f"{NAMES.get(analyte, analyte)}, {hour:g} h: {value:.2f}, published mean"
            yield svg.mark(x.at(hour), y.at(value), "measured", "mark", words)


def _two_courses(one: Redraw) -> Iterator[str]:
    x, y = Axis(0, 24, LEFT, RIGHT), svg.count_axis(15, 20, HIGH)
    title = f"A count of neutrophils of {COUNT:g} at hour 0, {SINCE[0]:g} to {SINCE[1]:g} hours after the onset"
    yield from _frame(x, y, title, svg.spaced(svg.COUNT_TICKS, y, 13), "hours after the first count")
    for band, css, words, at in ((one.moved, "moved", "moved", 0), (one.not_made, "not", "not made", 76)):
        hours, low, high = (
            np.append(first, rest) for first, rest in ((0.0, one.hours), (COUNT, band[0]), (COUNT, band[4]))
        )
        edge = [*zip(hours, high, strict=True), *zip(hours[::-1], low[::-1], strict=True)]
        yield svg.path("M" + "L".join(f"{x.at(t):g} {y.at(v):g}" for t, v in edge) + "z", f"wide-{css}")
        yield _line_of(x, y, hours, np.append(COUNT, band[2]), css)
        yield svg.path(f"M{RIGHT - 150 + at:g} 11h16", css)
        yield svg.label(RIGHT - 130 + at, 15, words)
    yield svg.mark(x.at(0), y.at(COUNT), "measured", "mark", f"{COUNT:g}, the first count")
    yield from _separating(x, one)


def _separating(x: Axis, one: Redraw) -> Iterator[str]:
    if one.separated is not None:
        yield svg.upright(x.at(one.separated), 20, HIGH, "hour")
        yield svg.label(x.at(one.separated) + 4, HIGH - 6, f"apart from {one.separated:g} h on", "tick")


def _overlap(found: dict[tuple[float, float], Redraw]) -> Iterator[str]:
    x, y = Axis(0, 12, LEFT, RIGHT), Axis(0, 100, HIGH, 20)
    title = f"Overlap of the two predictions of the next count, per cent; first count {COUNT:g}"
    yield from _frame(x, y, title, (5, 25, 50, 75, 100), "hours after the first count")
    yield svg.across(LEFT, RIGHT, y.at(5), "hour")
    for number, pace in enumerate(PACES):
        one = found[COUNT, pace]
        early = one.hours <= x.high
        yield _line_of(x, y, one.hours[early], 100 * one.overlap[early], f"overlap pace-{pace:g}")
        yield svg.path(f"M{RIGHT - 346 + number * 118:g} 11h16", f"overlap pace-{pace:g}")
        yield svg.label(RIGHT - 326 + number * 118, 15, _pace(pace))


def _pace(pace: float) -> str:
    return "as endotoxin" if pace == 1.0 else f"{pace:g} times slower"


def main() -> None:
    """Write the picture, and the tables into the page."""
    found = answers()
    PICTURE.write_text(picture(found), encoding="utf-8")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), page(found, otherwise())), encoding="utf-8")


if __name__ == "__main__":
    main()
