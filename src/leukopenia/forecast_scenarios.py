"""A case and ways of giving the next cycle -> what each may bring, for a reader and for programs; never orders."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from leukopenia import forecasting
from leukopenia.errors import UsageError
from leukopenia.forecast import next_cycle
from leukopenia.forecast.next_cycle import Course, Planned, Scenario
from leukopenia.forecast.prediction import Fitted, Marker
from leukopenia.forecast_case import Case, Inputs, inputs
from leukopenia.forecast_records import DAY
from leukopenia.regimen_file import RegimenFile

Row = dict[str, Any]

STANDARD = "ctcae-5.0"
_EPOCH = datetime(1970, 1, 1)
_QUANTILES = ("q05", "q25", "q50", "q75", "q95")
_PARTS = ("low", "median", "high", "probability")
_SAME = Scenario()

STANDING = (_SAME, Scenario(share=0.75), Scenario(delay=7.0))
"""Told of everybody whose next cycle lies ahead, without being asked for."""


def asked(words: Sequence[str], file: RegimenFile) -> list[Scenario]:
    """The scenarios of the command line and of the file, after the one in which nothing changes; each once.

    Raises
    ------
    UsageError
        One is not understood.
    """
    made = [next_cycle.parse(text) for text in words] + [_of_file(row) for row in file.scenarios]
    return list(dict.fromkeys([_SAME, *made])) if made else []


def _of_file(row: Mapping[str, Any]) -> Scenario:
    share, delay = row.get("dose"), row.get("delay")
    return Scenario(
        str(row.get("name") or ""),
        1.0 if share is None else share / 100.0,
        0.0 if delay is None else delay,
        bool(row.get("g_csf")),
    )


def answer(case: Case, chosen: Sequence[Scenario], first: int | None) -> Row:
    """The scenarios of a case as one object.

    Parameters
    ----------
    case : Case
    chosen : sequence of Scenario
    first : int or None
        Minute of the next dose; None: as long after the last cycle as that came after the one before.

    Returns
    -------
    dict
        See the how-to page "Forecast a nadir".

    Raises
    ------
    UsageError
        No card of the drug knows doses, or when the next cycle begins is not known or lies in the past.
    """
    if not case.cards or case.prior:
        raise UsageError(
            "No scenario can be told.",
            f"No verified card knows what a dose of {', '.join(case.drugs)} does.",
            "Leave --scenario out: the forecast says what is known.",
        )
    given = inputs(case)
    cycle = _cycle(case, given, first)
    levels = forecasting.levels(case.analyte, STANDARD)
    found = next_cycle.scenarios(given.counts, given.regimen, case.cards, levels, chosen, cycle, since=given.since)
    return {
        "note": next_cycle.NOTE,
        "next_dose": _iso(_minute(given, cycle.first)),
        "interval_days": round(cycle.interval, 2),
        "grade_4_below": levels.grades[4],
        "courses": [_course(case, given, cycle, course) for course in found],
    }


def _cycle(case: Case, given: Inputs, first: int | None) -> Planned:
    hour = None if first is None else given.hours(first)
    try:
        cycle = next_cycle.planned(given.regimen, given.since, hour)
    except UsageError as error:
        raise UsageError(error.problem, error.found, "Give --next DATE, or `next:` in the regimen file.") from None
    if _minute(given, cycle.first) <= case.person.as_of - DAY:
        raise UsageError(
            "The next cycle lies before the day that is asked for.",
            f"It would have begun on {_iso(_minute(given, cycle.first))[:10]}.",
            "Give --next DATE.",
        )
    return cycle


def _minute(given: Inputs, hour: float) -> int:
    return given.origin + round(hour * 60)


def _iso(minute: int) -> str:
    return (_EPOCH + timedelta(minutes=minute)).isoformat(" ", "minutes")


def _course(case: Case, given: Inputs, cycle: Planned, course: Course) -> Row:
    scenario = course.scenario
    due = course.dose + cycle.interval * 24.0
    amounts = cycle.amounts * scenario.share
    return {
        "name": scenario.name,
        "dose_percent": round(100.0 * scenario.share, 2),
        "delay_days": scenario.delay,
        "growth_factor": scenario.growth_factor,
        "status": course.status,
        "dose_time": _iso(_minute(given, course.dose)),
        "doses": [{"amount": _plain(amount), "unit": case.cards[0].dose_unit} for amount in amounts],
        "markers": {
            name: {part: _plain(value) for part, value in _values(marker).items()}
            for name, marker in course.markers.items()
        },
        "at_dose": {f"{level:.1f}": _plain(chance) for level, chance in course.at_dose.items()},
        "ready": {"time": _iso(_minute(given, due))}
        | {f"{level:.1f}": _plain(chance) for level, chance in course.ready.items()},
        "curve": {"days": [_plain((hour - given.since) / 24.0) for hour in course.hours]}
        | {name: [_plain(x) for x in band] for name, band in zip(_QUANTILES, course.band, strict=True)},
    }


def _values(marker: Marker) -> dict[str, float]:
    return {part: getattr(marker, part) for part in _PARTS}


def standing(case: Case, given: Inputs, found: Fitted, status: str) -> tuple[list[Row], list[Row]]:
    """The standing scenarios of a case that is already fitted.

    Parameters
    ----------
    case : Case
    given : Inputs
        Of the case.
    found : Fitted
    status : str
        Of its forecast.

    Returns
    -------
    days, markers : lists of dict
        Rows of contracts.FORECAST_SCENARIOS and contracts.SCENARIO_MARKERS without the episode. None where no card
        knows doses, or where the records do not tell of a next cycle that still lies ahead.
    """
    if case.prior:
        return [], []
    try:
        cycle = _cycle(case, given, None)
    except UsageError:
        return [], []
    levels = forecasting.levels(case.analyte, STANDARD)
    courses = next_cycle.of_fitted(
        *(found, status, given.regimen, case.cards, levels, STANDING, cycle, given.since), threads=1
    )
    days = [row for course in courses for row in _daily(given, course)]
    return days, [row for course in courses for row in _marked(given, course)]


def _place(given: Inputs, course: Course) -> Row:
    scenario = course.scenario
    return {
        "scenario": scenario.name,
        "dose_percent": 100.0 * scenario.share,
        "delay_days": scenario.delay,
        "next_dose": _minute(given, course.dose),
    }


def _daily(given: Inputs, course: Course) -> Iterator[Row]:
    place = _place(given, course)
    # The band has a point at every whole day after the dose.
    band = dict(zip(course.hours, course.band.T, strict=True))
    for day, chance in enumerate(course.grades.get(4, ())):
        low, _, median, _, high = (float(value) for value in band[course.dose + 24.0 * day])
        values = {"median": median, "low": low, "high": high, "p_grade_4": float(chance)}
        yield place | {"day": day, "minute": place["next_dose"] + day * DAY} | values


def _marked(given: Inputs, course: Course) -> Iterator[Row]:
    place = _place(given, course)
    for name, marker in course.markers.items():
        values = {part: value if math.isfinite(value) else None for part, value in _values(marker).items()}
        yield place | {"marker": name} | values


def _plain(value: float) -> float | None:
    return float(f"{float(value):.4g}") if math.isfinite(value) else None


def lines(told: Row) -> Iterator[str]:
    """The scenarios for a reader."""
    yield f"Next cycle, planned for {told['next_dose']}. {told['note']}"
    yield f"  {'scenario':<30}{'nadir':>20}{'days below':>14}{'grade 4':>9}{'1.5 at dose':>13}{'1.5 when due':>14}"
    for course in told["courses"]:
        if course["markers"]:
            yield _line(course, told["grade_4_below"])
        else:
            yield f"  {course['name']:<30}{course['status']}"
    worst, days = told["grade_4_below"], told["interval_days"]
    yield f"Days below {worst:g}; in brackets 90 % intervals. At dose: on the day of its dose. When due: on the day of"
    yield f"the cycle after it, {days:g} days later. The same draws of this person under each."


def _line(course: Row, worst: float) -> str:
    markers = course["markers"]
    nadir, days = markers["nadir"], markers[f"days_below_{worst:.1f}"]
    span = f"{nadir['median']:.2f} ({nadir['low']:.2f} to {nadir['high']:.2f})"
    chances = markers["time_to_grade_4"]["probability"], course["at_dose"].get("1.5"), course["ready"].get("1.5")
    first, *rest = ("" if chance is None else f"{chance:.0%}" for chance in chances)
    lasting = f"{days['median']:.0f} ({days['low']:.0f} to {days['high']:.0f})"
    return f"  {course['name']:<30}{span:>20}{lasting:>14}{first:>9}{rest[0]:>13}{rest[1]:>14}"
