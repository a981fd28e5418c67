"""Drugs and diagnoses on record: those of the cause, and those that only happen to be there."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from leukopenia.simulate.catalogue import DOSES, NDC
from leukopenia.simulate.causes import COMBINATION, REGIMENS, Cause
from leukopenia.simulate.chart import Chart
from leukopenia.simulate.departures import MISSING_SHARE
from leukopenia.simulate.records import DAY
from leukopenia.simulate.world import HISTORY, RECENT, World

CYCLE = 21

_SHORT_COURSE = (5, 14)
_MEAN_COURSE = 400.0
_SHORTEST_COURSE = 20.0
_AFTER = 30
"""Drugs and conditions that begin up to so many days after a low count are on record, too."""

_STOPPED = 0.25
"""Share of harmless drugs that are stopped, too, when a count is low."""


def course_days(world: World, drug: str, rng: Random) -> float:
    """For how many days a drug is taken."""
    if drug in world.short:
        return float(rng.randint(*_SHORT_COURSE))
    return _SHORTEST_COURSE - _MEAN_COURSE * math.log(1 - rng.random())


def bystanders(chart: Chart, world: World, seen: float, last: float, but: str = "") -> None:
    """Record drugs and conditions that lower nothing, as often as people have them.

    Parameters
    ----------
    seen : float
        Day on which a low count is seen, or on which it would be: now and then a drug is stopped then.
    last : float
        Last day of the record.
    but : str
        The cause, which is not its own bystander.
    """
    for cause in _drawn(*world.taken, chart.rng):
        if cause.id != but:
            _take(chart, world, cause, seen, last)
    for cause in _drawn(*world.caught, chart.rng):
        if cause.id != but:
            reach = RECENT if cause.acute else HISTORY
            catch(chart, world, cause, seen + _AFTER - chart.rng.random() * reach, _SUSPECTED["bystander"])


def _drawn(causes: Sequence[Cause], cumulated: Sequence[float], rng: Random) -> list[Cause]:
    return [causes[bisect_right(cumulated, rng.random() * cumulated[-1])] for _ in range(_poisson(cumulated[-1], rng))]


def _poisson(mean: float, rng: Random) -> int:
    times, waited = 0, -math.log(1 - rng.random())
    while waited < mean:
        times, waited = times + 1, waited - math.log(1 - rng.random())
    return times


def _take(chart: Chart, world: World, cause: Cause, seen: float, last: float) -> None:
    rng = chart.rng
    start = seen + _AFTER - rng.random() * world.memory(cause.id)
    if cause.id == COMBINATION or cause.from_last_dose:
        agents = rng.choice(REGIMENS) if cause.id == COMBINATION else (cause.id,)
        cycles(chart, world, agents, start, rng.randint(1, 4), seen)
        return
    end = start + course_days(world, cause.id, rng)
    if start < seen < end and rng.random() < _STOPPED:
        end = seen + rng.uniform(0.2, 3)
    if end > seen - RECENT:
        take(chart, world, cause.id, start, min(end, last), seen)


def take(chart: Chart, world: World, drug: str, start: float, end: float, seen: float) -> bool:
    """Record a drug from one day to another; whether the record says which drug it was."""
    rng = chart.rng
    if world.departures.missing and rng.random() < MISSING_SHARE and start < seen:
        start += rng.random() * (min(end, seen) - start)
    status = rng.choices(("ordered", "dispensed"), (3, 1))[0]
    chart.prescribe(world.pharmacy[drug], start, end, status)
    return spoil(chart, world)


def cycles(
    chart: Chart, world: World, agents: Sequence[str], first: float, times: int, seen: float, every: float = CYCLE
) -> list[bool]:
    """Record infusions, a cycle apart; whether the record says of each cycle which drug it was."""
    days = (first + every * cycle for cycle in range(times))
    return [any([_infuse(chart, world, agent, day) for agent in agents]) for day in days if day > seen - HISTORY]


def _infuse(chart: Chart, world: World, agent: str, day: float) -> bool:
    if world.departures.missing and chart.rng.random() < MISSING_SHARE:
        return False
    drug = world.pharmacy[agent]
    chart.prescribe(drug, day, None, "administered", DOSES.get(drug.name))
    return spoil(chart, world)


_NAMELESS = {"clinic": 1950 / 4964}
"""Share of drug records without a name: eICU demo, where the clinic's form comes from."""

_UNMAPPED = 546 / 18229
"""Share of drug records whose code means nothing: MIMIC-IV demo, OMOP form."""

_BACKWARDS = 39 / 10398
"""Share of orders that end before they start: MIMIC-III demo."""


def spoil(chart: Chart, world: World) -> bool:
    """Make the last drug record wrong as often as in real ones; whether it still says which drug it was."""
    if not world.departures.wrong:
        return True
    rng, drug = chart.rng, chart.drugs[-1]
    if drug.end is not None and rng.random() < _BACKWARDS:
        chart.drugs[-1] = drug = replace(drug, end=drug.start - rng.randint(1, 4) * DAY)
    if rng.random() < _NAMELESS.get(chart.home, _UNMAPPED):
        chart.drugs[-1] = replace(drug, name="", codings=((NDC, "0"),))
        return False
    return True


_SUSPECTED = {"bystander": 0.15, "cause": 0.05}
"""Share of diagnoses that are only suspected."""


def catch(chart: Chart, world: World, cause: Cause, day: float, suspected: float = _SUSPECTED["cause"]) -> None:
    """Record a condition from a day on, an acute one for some weeks; some are only suspected."""
    name, codings = world.diagnoses[cause.id]
    until = day + chart.rng.uniform(7, 30) if cause.acute else None
    chart.write_down(name, codings, day, until, "provisional" if chart.rng.random() < suspected else "confirmed")
