"""One invented clozapine patient under four rules: the table and the picture of docs/explanation/clozapine.md.

    python docs/clozapine.py

Both come from the engine and the knowledge rows. A test makes them again and compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from leukopenia import contracts, knowledge, monitoring
from leukopenia.engine import open_engine
from leukopenia.harmonising import polars_type
from leukopenia.policy import Policy
from leukopenia.report import svg
from leukopenia.report.due_marks import due_marks
from leukopenia.report.monitored import due_state
from leukopenia.report.svg import Axis

Row = dict[str, Any]

PAGE = Path(__file__).parent / "explanation" / "clozapine.md"
PICTURE = Path(__file__).parent / "pictures" / "clozapine.svg"
MARKS = ("<!-- made by docs/clozapine.py -->", "<!-- end of what is made -->")

DAY = 1440
START = date(2026, 1, 5)
LAST_DAY = 280
COUNTS = (
    *((-3, 5.8, 3.4), (7, 5.5, 3.1), (14, 5.3, 2.9), (21, 5.0, 2.6), (28, 4.8, 2.4), (35, 4.3, 1.9), (42, 4.6, 2.2)),
    *((49, 4.2, 1.8), (56, 3.8, 1.4), (63, 4.1, 1.7), (70, 3.6, 1.2), (77, 3.3, 0.9), (84, 3.7, 1.3), (91, 4.0, 1.6)),
    *((98, 4.5, 2.1), (105, 4.8, 2.4), (112, 4.9, 2.5), (119, 5.0, 2.6), (126, 4.9, 2.5), (140, 5.1, 2.7)),
    *((154, 4.9, 2.5), (168, 5.1, 2.7), (196, 5.0, 2.6), (224, 4.7, 2.3), (252, 2.8, 0.4), (259, 3.2, 0.7)),
    *((266, 3.8, 1.6), (280, 4.6, 2.2)),
)
"""Day of treatment, white cells, neutrophils; invented."""


@dataclass(frozen=True)
class Rule:
    """One of the rules that are compared."""

    title: str
    rule_id: str
    jurisdiction: str
    duffy_null: bool = False


RULES = (
    Rule("US, general", "rule:clozapine-us", "us"),
    Rule("US, benign ethnic (Duffy-null)", "rule:clozapine-us-ben", "us", duffy_null=True),
    Rule("UK", "rule:clozapine-uk", "uk"),
    Rule("EU, from September 2025", "rule:clozapine-eu", "eu"),
)


@dataclass(frozen=True)
class Course:
    """What one rule says: by the day of a count the gravest action, and every count it asks for."""

    rule: Rule
    said: dict[int, str]
    dues: list[Row]


def minute(day: float) -> int:
    return round(((START - date(1970, 1, 1)).days + day) * DAY)


def taken(day: int) -> int:
    """Blood is drawn at eight."""
    return minute(day) + 8 * 60


def course(rule: Rule) -> Course:
    """The same counts and treatment under one rule.

    The records of person `n` end with the count number `n`, so that the limits crossed that are open for person `n`
    are what the rule says on the day of that count. The last person has the whole history.
    """
    engine = open_engine("polars")
    tables = {
        "exposures": (contracts.EXPOSURES, [_exposure(person) for person in PERSONS]),
        "counts": (contracts.COUNTS, [row for person in PERSONS for row in _counts(person)]),
        "patients": (contracts.PATIENTS, [_patient(person, rule) for person in PERSONS]),
        "observation_periods": (contracts.OBSERVATION_PERIODS, [_period(person) for person in PERSONS]),
    }
    frames = {name: engine.load(_frame(*table), name) for name, table in tables.items()}
    policy = Policy.of({"monitor.jurisdiction": rule.jurisdiction, "monitor.rules": rule.rule_id})
    end = minute(LAST_DAY + 1) - 1
    made = monitoring.monitor(**frames, engine=engine, knowledge=knowledge.load(), policy=policy, as_of=end)
    alerts = engine.collect(made.alerts).filter(pl.col("open"), pl.col("kind") == "threshold_crossed")
    dues = engine.collect(made.due_counts).filter(pl.col("patient_id") == PERSONS[-1]).sort("due")
    said = {
        COUNTS[row["patient_id"] - 1][0]: row["action"] for row in alerts.sort("urgency", descending=True).to_dicts()
    }
    return Course(rule, said, dues.to_dicts())


def _frame(contract: contracts.Table, rows: list[Row]) -> pl.DataFrame:
    blank: Row = {"String": "", "Boolean": False}
    schema = {name: polars_type(contract, name, pl.Int64) for name in contract.names}
    cells = [{part.name: row.get(part.name, blank.get(part.type)) for part in contract.columns} for row in rows]
    return pl.DataFrame(cells, schema=schema)


def _exposure(person: int) -> Row:
    span = {"start": minute(0), "end": minute(LAST_DAY + 28)}
    return {"patient_id": person, "ingredient": "drug:clozapine", **span, "status": "dispensed", "dose": 300.0}


def _counts(person: int) -> Iterator[Row]:
    for day, *values in COUNTS[:person]:
        for analyte, value in zip(("wbc", "neutrophils"), values, strict=True):
            time = {"minute": taken(day), "time_precision": "minute"}
            yield {"patient_id": person, "analyte": analyte, "value": value, **time, "derivation": "reported"}


def _patient(person: int, rule: Rule) -> Row:
    born = {"birth": minute(-40 * 365), "birth_precision": "day"}
    return {"patient_id": person, **born, "duffy_null": rule.duffy_null}


def _period(person: int) -> Row:
    return {"patient_id": person, "start": minute(-400), "end": minute(LAST_DAY + 100)}


WORDS = {
    "stop_for_good": "stop for good",
    "stop": "stop",
    "interrupt": "interrupt",
    "count_more_often": "count more often",
}
PERSONS = range(1, len(COUNTS) + 1)


def parts(courses: list[Course]) -> list[int]:
    """The days of counts on which the rules do not all ask for the same."""
    return [day for day, *_ in COUNTS if len({one.said.get(day, "") for one in courses}) > 1]


# The text


def page(courses: list[Course]) -> str:
    """The two tables of the page."""
    return f"{_actions(courses)}\n{_schedules(courses)}"


def _actions(courses: list[Course]) -> str:
    lines = [_line("date", "day", "white cells", "neutrophils", *(one.rule.title for one in courses)), _rule(8)]
    for day, wbc, neutrophils in COUNTS:
        cells = [one.said.get(day, "") for one in courses]
        if any(cells):
            shown = [WORDS.get(cell, "–") for cell in cells]
            lines.append(_line(START + timedelta(day), day, wbc, neutrophils, *shown))
    return "\n".join(lines) + "\n"


def _schedules(courses: list[Course]) -> str:
    head = ("rule", "first stop or interruption", "counts asked for", "taken in time", "late", "missed")
    lines = [_line(*head), _rule(len(head))]
    for one in courses:
        states = [due_state(row) for row in one.dues if row["due"] <= minute(LAST_DAY)]
        numbers = [states.count(state) for state in ("taken", "late", "missed")]
        lines.append(_line(f"{one.rule.title} (`{one.rule.rule_id}`)", _first_stop(one), len(states), *numbers))
    return "\n".join(lines) + "\n"


def _first_stop(one: Course) -> str:
    days = [day for day, action in one.said.items() if action in ("interrupt", "stop", "stop_for_good")]
    return f"{START + timedelta(min(days))}, day {min(days)}" if days else "none"


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _rule(columns: int) -> str:
    return _line(*["---"] * columns)


def with_tables(text: str, made: str) -> str:
    """The page with what is made between its marks."""
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n\n{made}\n{MARKS[1]}{after}"


# The picture

WIDTH, LEFT, RIGHT = 760.0, 44.0, 748.0
TOP, HIGH, STEP = 40.0, 104.0, 158.0
HIGHEST = 3.6

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c242e; --soft: #56616f; --rule: #d8dde4; --line: #1c5fa8;
  --watch: #f9ecd6; --pause: #f3c9a8; --stop: #e79a8e; --watch-ink: #7a4a00; --stop-ink: #9b1c22; --calm: #2c6150; }
@media (prefers-color-scheme: dark) { :root { --page: #12161b; --ink: #e4e8ed; --soft: #a3adb9; --rule: #2d3641;
  --line: #7fb4f2; --watch: #2f2a1d; --pause: #54351f; --stop: #66302c; --watch-ink: #f0c46c; --stop-ink: #ff9a92;
  --calm: #86c9b2; } }
text { font: 11px system-ui, sans-serif; fill: var(--ink); } .title { font-size: 12.5px; font-weight: 650; }
.tick { fill: var(--soft); font-size: 10.5px; } .page { fill: var(--page); } .grid { stroke: var(--rule); fill: none; }
.plot { fill: none; stroke: var(--rule); } .watch { fill: var(--watch); } .pause { fill: var(--pause); }
.stop { fill: var(--stop); } .course { fill: none; stroke: var(--line); stroke-width: 1.6; }
.part { stroke: var(--soft); stroke-dasharray: 2 3; fill: none; }
.mark { fill: var(--page); stroke: var(--line); stroke-width: 1.4; }
.m-watch { fill: var(--watch-ink); stroke: var(--page); }
.m-pause, .m-stop { fill: var(--stop-ink); stroke: var(--page); }
.due-mark { fill: none; stroke: var(--soft); stroke-width: 1.3; } .due-taken { fill: var(--calm); stroke: none; }
.due-late { stroke: var(--watch-ink); } .due-missed { stroke: var(--stop-ink); }
"""
_BANDS = {"count_more_often": "watch", "interrupt": "pause", "stop": "stop", "stop_for_good": "stop"}


def picture(courses: list[Course]) -> str:
    """Counts over the bands of each rule, the dates on which the rules part, and the counts that each asks for."""
    x = Axis(minute(-10), minute(LAST_DAY + 6), LEFT, RIGHT)
    height = TOP + STEP * len(courses) + 8
    body = [f'<rect class="page" width="{WIDTH:g}" height="{height:g}"/>', *_legend()]
    for number, one in enumerate(courses):
        body += [f'<g transform="translate(0 {TOP + number * STEP:g})">', *_panel(one, x, parts(courses)), "</g>"]
    title = "The same clozapine patient under four rules"
    words = "; ".join(f"{one.rule.title}: {_told(one)}" for one in courses)
    drawn = svg.figure(WIDTH, height, f"<style>{_STYLE}</style>\n" + "\n".join(body), title, words, "clozapine")
    return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _told(one: Course) -> str:
    return ", ".join(f"day {day} {WORDS[action]}" for day, action in sorted(one.said.items()))


def _legend() -> Iterator[str]:
    x = LEFT
    for css, text, width in (("watch", "count more often", 124), ("pause", "interrupt", 84), ("stop", "stop", 60)):
        yield svg.box(x, 8, 14, 11, css)
        yield svg.label(x + 19, 18, text)
        x += width
    yield svg.path(f"M{x:g} 13.5h18", "part")
    yield svg.label(x + 24, 18, "the rules part")
    for state, text, at in (("taken", "count in time", 128), ("late", "late", 224), ("missed", "missed", 276)):
        yield from _sample(state, x + at)
        yield svg.label(x + at + 8, 18, text)


def _sample(state: str, x: float) -> Iterator[str]:
    states = {"taken": ("fulfilled", 1), "late": ("fulfilled", DAY), "missed": ("missed", None)}
    name, fulfilled = states[state]
    row = {"due": 0, "state": name, "fulfilled": fulfilled, "rule_id": ""}
    yield from due_marks([row], Axis(0, 1, x, x + 1), 14)


def _panel(one: Course, x: Axis, parting: list[int]) -> Iterator[str]:
    y = Axis(0, HIGHEST, HIGH, 16)
    yield svg.label(LEFT, 8, one.rule.title, "title")
    yield from _bands(one.rule, y)
    yield svg.box(LEFT, 16, RIGHT - LEFT, HIGH - 16, "plot")
    for tick in (0, 0.5, 1, 1.5, 2, 3):
        yield svg.label(LEFT - 6, y.at(tick) + 3.5, f"{tick:g}", "tick", "end")
    for day in parting:
        yield svg.upright(x.at(taken(day)), 16, HIGH + 18, "part")
    points = [(x.at(taken(day)), y.at(value), day, value) for day, _, value in COUNTS]
    yield svg.path("M" + "L".join(f"{across:g} {up:g}" for across, up, *_ in points), "course")
    for across, up, day, value in points:
        action = one.said.get(day, "")
        title = f"{START + timedelta(day)}, neutrophils {value:g}: {WORDS.get(action, 'nothing asked for')}"
        yield svg.mark(across, up, "measured", f"mark m-{_BANDS.get(action, 'none')}", title)
    yield from due_marks([row for row in one.dues if row["due"] <= minute(LAST_DAY)], x, HIGH + 11)
    for at, text in svg.time_ticks(minute(-10), minute(LAST_DAY)):
        yield svg.label(x.at(at), HIGH + 30, text, "tick", "middle")


def _bands(rule: Rule, y: Axis) -> Iterator[str]:
    for row in knowledge.load()["monitoring_thresholds"]:
        own = row["rule_id"] == rule.rule_id and row["purpose"] == "continue" and row["analyte"] == "neutrophils"
        if own and not row["fall_by"]:
            low, high = (float(row[name] or 0) for name in ("at_or_above", "below"))
            yield svg.box(LEFT, y.at(high), RIGHT - LEFT, y.at(low) - y.at(high), _BANDS[row["action"]])


def main() -> None:
    """Write the picture, and the tables into the page."""
    courses = [course(rule) for rule in RULES]
    PICTURE.write_text(picture(courses), encoding="utf-8")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), page(courses)), encoding="utf-8")


if __name__ == "__main__":
    main()
