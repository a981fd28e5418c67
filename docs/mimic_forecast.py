"""MIMIC-IV patient 10035631, replayed day by day: tables and picture of docs/explanation/forecast-mimic.md.

    python docs/mimic_forecast.py EVENTS.parquet

EVENTS is the MEDS version of the MIMIC-IV demo. No row of it is kept here: scores, and a picture.
A test makes them again where the data are there, and compares.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import fmean

import numpy as np

from leukopenia import forecast_answer, forecasting
from leukopenia.forecast.person import Counts
from leukopenia.forecast.regimen import Regimen
from leukopenia.forecast_case import Asked, Case, Count, case
from leukopenia.forecast_records import DAY, Person, read_person
from leukopenia.policy import Policy
from leukopenia.regimen_file import Dose, RegimenFile
from leukopenia.report import svg
from leukopenia.report.svg import Axis

PAGE = Path(__file__).parent / "explanation" / "forecast-mimic.md"
PICTURE = Path(__file__).parent / "pictures" / "forecast-mimic.svg"
MARKS = ("<!-- made by docs/mimic_forecast.py -->", "<!-- end of what is made -->")

PATIENT = "10035631"
YARDSTICK = "baseline-neutrophils"
DAYS = range(0, 29)
AHEAD = 7
ZERO = 0.1
CLAIMED = (4, 6, 8, 10, 12, 14)
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Cycle:
    """One cycle: the drugs and the minute of the first dose."""

    title: str
    day_0: int


CYCLES = (
    Cycle("cytarabine, etoposide, mitoxantrone", int((datetime(2115, 11, 9, 22, 3) - _EPOCH).total_seconds() // 60)),
    Cycle(
        "fludarabine, cytarabine, idarubicin, then filgrastim",
        int((datetime(2116, 2, 29, 17, 11) - _EPOCH).total_seconds() // 60),
    ),
)


@dataclass(frozen=True)
class Said:
    """What was said on one day: the status, the last count, the yardstick for the days after, and what came."""

    day: int
    status: str
    last: float
    band: np.ndarray
    came: tuple[Count, ...]


def until(person: Person, minute: int) -> Person:
    """The person as known at a minute."""
    counts = [row for row in person.counts if row["minute"] <= minute]
    given = [row for row in person.exposures if row["start"] <= minute]
    return replace(person, counts=counts, exposures=given, as_of=minute)


def replayed(person: Person, cycle: Cycle) -> list[Said]:
    """What was said on each day of a cycle."""
    policy = Policy.of({})
    counts = _all_counts(person)
    return [_said(case(until(person, cycle.day_0 + day * DAY), Asked(), policy), cycle, day, counts) for day in DAYS]


def _all_counts(person: Person) -> list[Count]:
    rows = [row for row in person.counts if row["analyte"] == "neutrophils" and row["comparator"] not in (">", ">=")]
    return [Count(row["minute"], row["value"] or ZERO, not row["value"] or bool(row["comparator"])) for row in rows]


def _said(found: Case, cycle: Cycle, day: int, counts: list[Count]) -> Said:
    now = cycle.day_0 + day * DAY
    came = tuple(count for count in counts if now < count.minute <= now + AHEAD * DAY)
    told = forecast_answer.answer(found)
    known = Counts(
        [(count.minute - cycle.day_0) / 60 for count in found.counts],
        [count.value for count in found.counts],
        [count.below for count in found.counts],
    )
    level = forecasting.predict(known, Regimen(), YARDSTICK, since=day * 24.0, days=float(AHEAD), unverified=True)
    spread = _with_error(level.band[:, 0])
    return Said(day, told["status"], found.counts[-1].value, spread, came)


def _with_error(band: np.ndarray) -> np.ndarray:
    """The yardstick is a level: a count differs from it by the variation from week to week."""
    error = forecasting.card(YARDSTICK).residual or 0.0
    wide = math.hypot(math.log(band[4] / band[0]) / (2 * 1.645), error)
    return band[2] * np.exp(np.array([-1.645, -0.674, 0.0, 0.674, 1.645]) * wide)


def misused(person: Person, cycle: Cycle) -> list[str]:
    """What is said on some days when somebody claims that the person got docetaxel instead."""
    dose = Dose(cycle.day_0, 180.0, "mg", 1.0)
    asked, policy = Asked(RegimenFile("docetaxel", (dose,))), Policy.of({})
    seen = (case(until(person, cycle.day_0 + day * DAY), asked, policy) for day in CLAIMED)
    return [forecast_answer.answer(one)["status"] for one in seen]


# The tables


def page(person: Person, cycles: list[list[Said]]) -> str:
    """Both tables."""
    return f"{_scored(cycles)}\n{_claimed(person)}"


def _claimed(person: Person) -> str:
    lines = [_line("cycle", *(f"day {day}" for day in CLAIMED)), _line(*["---"] * (len(CLAIMED) + 1))]
    lines += [_line(cycle.title, *misused(person, cycle)) for cycle in CYCLES]
    return "\n".join(lines) + "\n"


def _scored(cycles: list[list[Said]]) -> str:
    """The last count and the yardstick, cycle by cycle and by the week in which they were said."""
    head = ("cycle", "said on days", "counts that came", "last count", "yardstick", "in its 90 % band")
    lines = [_line(*head), _line(*["---"] * len(head))]
    for cycle, said in zip(CYCLES, cycles, strict=True):
        for first in range(0, 28, 7):
            cells = list(_scores(said[first : first + 7]))
            lines += [_line(cycle.title, f"{first} to {first + 6}", *cells)] if cells[0] != "0" else []
    return "\n".join(lines) + "\n"


def _scores(said: list[Said]) -> Iterator[str]:
    pairs = [(one, count) for one in said for count in one.came]
    yield str(len(pairs))
    yield _factor([abs(math.log(one.last / count.value)) for one, count in pairs])
    yield _factor([abs(math.log(one.band[2] / count.value)) for one, count in pairs])
    yield f"{fmean([bool(one.band[0] <= count.value <= one.band[4]) for one, count in pairs]):.0%}" if pairs else ""


def _factor(errors: list[float]) -> str:
    return f"{math.exp(fmean(errors)):.1f} times" if errors else ""


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def with_tables(text: str, made: str) -> str:
    """The page with what is made between its marks."""
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n\n{made}\n{MARKS[1]}{after}"


# The picture

WIDTH, LEFT, RIGHT = 760.0, 44.0, 738.0
TOP, HIGH, STEP = 62.0, 170.0, 224.0
LIMITS = ((4, 0.5), (3, 1.0), (2, 1.5))
SHOWN = (0, 7, 14, 21)

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c242e; --soft: #56616f; --rule: #d8dde4; --line: #1c5fa8;
  --g2: #f9ecd6; --g3: #f5d9c4; --g4: #efc1b6; --growth: #2f7d57; }
@media (prefers-color-scheme: dark) { :root { --page: #12161b; --ink: #e4e8ed; --soft: #a3adb9; --rule: #2d3641;
  --line: #7fb4f2; --g2: #25221b; --g3: #30231d; --g4: #3d2221; --growth: #5fb98b; } }
text { font: 11px system-ui, sans-serif; fill: var(--ink); } .title { font-size: 12.5px; font-weight: 650; }
.tick { fill: var(--soft); font-size: 10.5px; } .page { fill: var(--page); } .plot { fill: none; stroke: var(--rule); }
.g2 { fill: var(--g2); } .g3 { fill: var(--g3); } .g4 { fill: var(--g4); }
.wide { fill: var(--line); fill-opacity: .2; } .median { stroke: var(--line); stroke-width: 1.8; fill: none; }
.mark { fill: var(--page); stroke: var(--ink); stroke-width: 1.3; } .dose { fill: var(--ink); }
"""


def picture(person: Person, cycles: list[list[Said]]) -> str:
    """Counts of the cycles, and the yardstick as it stood on four days."""
    height = TOP + STEP * len(cycles) + 4
    body = [f'<rect class="page" width="{WIDTH:g}" height="{height:g}"/>', *_legend()]
    for number, (cycle, said) in enumerate(zip(CYCLES, cycles, strict=True)):
        body += [f'<g transform="translate(0 {TOP + number * STEP:g})">', *_panel(person, cycle, said), "</g>"]
    title = "Neutrophils of one person under two cycles of chemotherapy without a model card"
    words = "A level that knows no drug, forecast on days 0, 7, 14 and 21 for a week each, and the counts that came."
    drawn = svg.figure(WIDTH, height, f"<style>{_STYLE}</style>\n" + "\n".join(body), title, words, "mimic")
    return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _legend() -> Iterator[str]:
    yield svg.mark(LEFT + 5, 14, "measured", "mark", "")
    yield svg.label(LEFT + 14, 18, "count, 10^9/L")
    yield svg.mark(LEFT + 112, 14, "at_most", "mark", "")
    yield svg.label(LEFT + 121, 18, "less than")
    yield svg.path(f"M{LEFT + 184:g} 14h18", "median")
    yield svg.box(LEFT + 210, 9, 16, 10, "wide")
    yield svg.label(LEFT + 232, 18, "yardstick (median, 90 %), said on days 0, 7, 14 and 21: not a forecast of a nadir")
    yield svg.label(LEFT, 34, "Data: MIMIC-IV demo (Johnson and others, PhysioNet, ODbL). Dates are shifted.", "tick")


def _panel(person: Person, cycle: Cycle, said: list[Said]) -> Iterator[str]:
    x, y = Axis(-7, 36, LEFT, RIGHT), svg.count_axis(10, 16, HIGH)
    yield svg.label(LEFT, 4, cycle.title, "title")
    for (grade, cut), floor in zip(LIMITS, (0.0, 0.5, 1.0), strict=True):
        yield svg.box(LEFT, y.at(cut), RIGHT - LEFT, y.at(floor) - y.at(cut), f"g{grade}")
    yield svg.box(LEFT, 16, RIGHT - LEFT, HIGH - 16, "plot")
    for tick in svg.spaced(svg.COUNT_TICKS, y, 14):
        yield svg.label(LEFT - 6, y.at(tick) + 3.5, f"{tick:g}", "tick", "end")
    for day in range(-7, 36, 7):
        yield svg.label(x.at(day), HIGH + 16, f"day {day}", "tick", "middle")
    yield svg.path(f"M{x.at(0):g} 16l-4.5-8h9z", "dose", "first dose")
    for one in (said[day] for day in SHOWN):
        low, high = y.at(one.band[4]), y.at(one.band[0])
        yield svg.box(x.at(one.day), low, x.at(one.day + AHEAD) - x.at(one.day), high - low, "wide")
        yield svg.across(x.at(one.day), x.at(one.day + AHEAD), y.at(one.band[2]), "median")
    for count in _all_counts(person):
        day = (count.minute - cycle.day_0) / DAY
        if x.low <= day <= x.high:
            yield svg.mark(x.at(day), y.at(count.value), "at_most" if count.below else "measured", "mark", "")


def main() -> None:
    """Write the picture, and the table into the page."""
    person = read_person([Path(sys.argv[1])], PATIENT, Policy.of({}))
    cycles = [replayed(person, cycle) for cycle in CYCLES]
    assert {one.status for said in cycles for one in said} == {forecast_answer.NO_CARD}
    PICTURE.write_text(picture(person, cycles), encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_tables(text, page(person, cycles)), encoding="utf-8")


if __name__ == "__main__":
    main()
