"""The course of a person whose counts a cause brings down: when, how deep, how long, and what was written down."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from random import Random

from leukopenia.simulate import signs
from leukopenia.simulate.causes import UNEXPLAINED, WHITE, Cause, recovery_days
from leukopenia.simulate.chart import Chart
from leukopenia.simulate.fall import NOTHING, Fall, course, cycles, redistribution, sequestration, way_of
from leukopenia.simulate.found import record_signs
from leukopenia.simulate.records import DAY
from leukopenia.simulate.sampling import look, look_for_years
from leukopenia.simulate.taken import bystanders, catch, take
from leukopenia.simulate.taken import cycles as infusions
from leukopenia.simulate.ward import treat
from leukopenia.simulate.world import HISTORY, World

LIFELONG = ("constitutional",)
"""Classes of causes with which people are born: the level is theirs, the marrow keeps to it."""

NEUTROPENIA, LYMPHOPENIA = 1.5, 1.0
"""10^9/L below which the lines are called low everywhere."""

_NADIRS = {"mild": (1.0, 1.28), "moderate": (0.5, 1.0), "severe": (0.1, 0.5), "profound": (0.015, 0.1)}
_LYMPHOCYTES = (0.3, 0.84)
_PLATELETS = (25.0, 120.0)
_HAEMOGLOBIN = (78.0, 108.0)
_SLOW = {"haemoglobin": 30.0, "platelets": 2.0}
"""Days that a cause must last to bring these lines down."""

_STOPPED = 0.75
_ACUTE = 2.5
"""An acute illness lowers counts within so many times its median, or not at all."""

_TREATED = 0.4
_DEADLY = ("marrow_failure", "neoplasm")
_DIED = 0.4
_DIAGNOSED_LATER = 0.25


@dataclass(frozen=True)
class Struck:
    """What strikes a person: the cause, whether it is on record, which lines fall, and how deep (as a share)."""

    cause: Cause
    recorded: bool
    depths: dict[str, float]
    low: dict[str, float]
    severe: bool


def struck(chart: Chart, world: World, cause: Cause, recorded: bool) -> Struck:
    """Draw which lines of a person fall, and how deep."""
    rng, told = chart.rng, world.effects[cause.id]
    falling = signs.pattern(cause, told, rng)
    severity = signs.severity(told, rng)
    low = {"neutrophils": NEUTROPENIA, "lymphocytes": LYMPHOPENIA}
    ranges = {
        "neutrophils": _NADIRS[severity],
        "lymphocytes": _LYMPHOCYTES,
        "platelets": _PLATELETS,
        "haemoglobin": _HAEMOGLOBIN,
    }
    depths = {line: _between(*ranges[line], rng) / chart.baseline[line] for line in sorted(falling)}
    shares = {line: limit / chart.baseline[line] for line, limit in low.items()}
    if severity == "profound" and "lymphocytes" in falling:
        depths["lymphocytes"] /= 2
    monocytes = (
        0.1
        if severity == "profound"
        else {"monocytopenia": 0.2, "monocytosis": 2.6}.get(signs.film("monocytes", told, rng))
    )
    if monocytes:
        depths["monocytes"] = monocytes
    return Struck(cause, recorded, depths, shares, severity in ("severe", "profound"))


def _between(low: float, high: float, rng: Random) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def tell(chart: Chart, world: World, cause: Cause, recorded: bool) -> None:
    """Tell the course of a person with a cause, from the first count to the last."""
    case = struck(chart, world, cause, recorded)
    if cause.cause_class in LIFELONG:
        _lifelong(chart, world, case)
        return
    day = float(chart.rng.randint(150, 400))
    delay = _delay(case, chart.rng)
    lasts = _lasts(case, delay, chart.rng)
    recovers = recovery_days(cause, chart.rng, world.shift(cause.id, "recovery")) if lasts >= 1 else 0.0
    case = with_standing(chart, case, lasts)
    plan = Fall(way_of(cause.id, cause.cause_class), case.depths, case.low, lasts, recovers, _ramp(case, lasts))
    found = course(plan, world.marrow)
    if found is None:
        found = NOTHING
    chart.follow(found, day)
    seen = day + min(delay, 0.7 * found.low_until / 24)
    last = look(chart, seen, found.low_until / 24 + day, case.severe)
    on_record = _write_down(chart, world, case, day, seen, day + lasts, last)
    record_signs(chart, world, cause, seen)
    bystanders(chart, world, seen, last, cause.id)
    _tell_truth(chart, world, case, day + found.first / 24, last, on_record)
    treat(chart, cause, seen, case.severe)
    if cause.cause_class in _DEADLY and math.isinf(found.low_until) and chart.rng.random() < _DIED:
        chart.die(last + 1)


def with_standing(chart: Chart, case: Struck, lasts: float) -> Struck:
    """Lines that fall more slowly than the cause comes and goes are low for another reason, all the time."""
    slow = [line for line, days in _SLOW.items() if line in case.depths and lasts < days]
    for line in slow:
        chart.baseline[line] *= case.depths[line]
    return replace(case, depths={line: depth for line, depth in case.depths.items() if line not in slow})


def _delay(case: Struck, rng: Random) -> float:
    """Days from the first low count that there is to the first that is seen."""
    mean = 2.0 if case.severe else 8.0
    return min(-mean * math.log(1 - rng.random()), 30.0) + 0.05


def _lasts(case: Struck, delay: float, rng: Random) -> float:
    """Days from the first low count to the end of the cause."""
    cause = case.cause
    way = way_of(cause.id, cause.cause_class)
    if way is redistribution:
        return rng.uniform(0.2, 0.8)
    if way is cycles:
        return 400.0
    if way is sequestration and cause.cause_class != "sequestration":
        return rng.uniform(0.15, 0.6)
    if cause.is_drug:
        return delay + rng.uniform(0.3, 2.5) if rng.random() < _STOPPED else delay + rng.uniform(30, 150)
    if cause.acute:
        return rng.uniform(2, 7)
    if cause.id == UNEXPLAINED:
        return rng.uniform(5, 40) if rng.random() < 0.5 else math.inf
    return delay + rng.uniform(5, 60) if rng.random() < _TREATED else math.inf


def _ramp(case: Struck, lasts: float) -> float:
    """Days until the cause acts in full: hours for what comes and goes in hours, a month for what stays."""
    if lasts < 1:
        return 0.05
    return 0.5 if case.cause.acute or case.cause.cause_class in ("idiosyncratic", "biologic") else 15.0


def _write_down(chart: Chart, world: World, case: Struck, day: float, seen: float, end: float, last: float) -> bool:
    """Put the cause on record, as far as it is; whether the record then names it."""
    cause, rng = case.cause, chart.rng
    if case.recorded and cause.is_drug:
        return _drug(chart, world, cause, day, seen, min(end, last))
    if case.recorded and cause.id in world.diagnoses:
        since = _latency(world, cause, rng) if cause.acute else rng.uniform(0, HISTORY)
        catch(chart, world, cause, day - since)
        return True
    later = not case.recorded and cause.id in world.diagnoses and rng.random() < _DIAGNOSED_LATER
    if later:
        catch(chart, world, cause, seen + rng.uniform(0.5, 20))
    return later


def _drug(chart: Chart, world: World, cause: Cause, day: float, seen: float, end: float) -> bool:
    start = day - _latency(world, cause, chart.rng)
    if cause.from_last_dose:
        first = start - 14 if chart.rng.random() < 0.5 else start
        return any(infusions(chart, world, (cause.id,), first, 2 if first < start else 1, seen, 14))
    if chart.rng.random() < 0.15:
        end = day - chart.rng.uniform(0, min(cause.after_stop_days, day - start) * 0.9)
    return take(chart, world, cause.id, start, max(end, start + 0.5), seen)


def _latency(world: World, cause: Cause, rng: Random) -> float:
    """Days from the start of a cause to the first low count."""
    lasting = cause.is_drug and not cause.from_last_dose and cause.id not in world.short
    if lasting and rng.random() < world.policy["late_share"]:
        return rng.uniform(1, HISTORY)
    if cause.latency is None:
        return rng.uniform(1, 60) if cause.is_drug else rng.uniform(0, 10)
    most = _ACUTE * cause.latency.median if cause.acute else HISTORY
    return min(cause.latency.draw(rng, world.shift(cause.id, "onset")), most)


def _lifelong(chart: Chart, world: World, case: Struck) -> None:
    """A level of one's own, from the first count to the last."""
    for line, depth in case.depths.items():
        if line in WHITE:
            chart.baseline[line] *= depth
    first = float(chart.rng.randint(20, 60))
    last = look_for_years(chart, first)
    seen = first
    on_record = _write_down(chart, world, case, first, seen, math.inf, last)
    record_signs(chart, world, case.cause, seen)
    bystanders(chart, world, seen, last, case.cause.id)
    _tell_truth(chart, world, case, (chart.person.birth - chart.origin) / DAY, last, on_record)


def _tell_truth(chart: Chart, world: World, case: Struck, onset: float, last: float, recorded: bool) -> None:
    cause = case.cause
    lines = tuple(line for line in ("wbc", *case.depths) if line != "monocytes")
    chart.span(
        -HISTORY,
        last + 1,
        cause.name or UNEXPLAINED,
        cause_id=cause.id,
        cause_class=cause.cause_class,
        cause_onset=chart.origin + round(onset * DAY),
        hidden=cause.id in world.hidden,
        recorded=recorded,
        lines=lines,
    )
