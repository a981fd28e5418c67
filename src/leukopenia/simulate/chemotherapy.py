"""Cycles of chemotherapy: doses, the marrow under them, and counts between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from leukopenia.simulate.causes import COMBINATION, REGIMENS, WHITE, Cause, agents_share
from leukopenia.simulate.chart import Chart
from leukopenia.simulate.fall import Course
from leukopenia.simulate.found import record_signs
from leukopenia.simulate.marrow_kernel import ACTIVITY, KILL, LINES
from leukopenia.simulate.physiology import Array, Cytotoxic, Marrow, rest
from leukopenia.simulate.records import DAY
from leukopenia.simulate.sampling import before
from leukopenia.simulate.struck import Struck, struck, with_standing
from leukopenia.simulate.taken import CYCLE, bystanders, cycles
from leukopenia.simulate.ward import treat
from leukopenia.simulate.world import World

STEP = 1.0
_SURFACE = 1.8
"""m2 of body surface, for doses by surface."""

_DOSES: Mapping[str, tuple[float, float]] = {"drug:docetaxel": (75.0, 1.0), "drug:paclitaxel": (175.0, 3.0)}
"""mg/m2 and hours of infusion of the drugs with a model card."""

_WASHOUT = 18.0
_LATE_MORNING = 0.45
"""Part of a day; the count of the day is taken before."""

_TRIALS = 12
_PLAIN_LATENCY = 12.0


def is_cyclic(cause: Cause) -> bool:
    """Whether a cause is given in cycles and lowers the counts after each."""
    return cause.id == COMBINATION or (cause.cause_class == "chemotherapy" and cause.from_last_dose)


def tell(chart: Chart, world: World, cause: Cause, recorded: bool) -> None:
    """Tell some cycles of chemotherapy that lower the counts; of several agents one may be what does it."""
    agents: Sequence[str] = (cause.id,)
    if cause.id == COMBINATION:
        agents = chart.rng.choice(REGIMENS)
        shares = agents_share(agents, world.causes)
        cause = world.causes[chart.rng.choices(list(shares), list(shares.values()))[0]]
    case = with_standing(chart, struck(chart, world, cause, recorded), 7.0)
    first, times = chart.rng.randint(60, 200) + _LATE_MORNING, chart.rng.randint(2, 6)
    # The agents of a regimen act together, whichever of them does it.
    kinetics = world.causes[COMBINATION] if len(agents) > 1 else cause
    latency = (
        kinetics.latency.draw(chart.rng, world.shift(kinetics.id, "onset")) if kinetics.latency else _PLAIN_LATENCY
    )
    every = float(max(CYCLE, 7 * math.ceil(latency * 1.5 / 7)))
    days = every * times + 60
    found = course(chart, world, case, [every * nth for nth in range(times)], days, latency)
    chart.follow(found, first)
    before(chart, first)
    for nth in range(times):
        _look(chart, found.values, first + every * nth, every * nth, every)
    last = first + every * times
    chart.count(last, last + 30, last + 90)
    low = _first_low(case, found.values)
    seen = first + low / 24 + 1
    legible = cycles(chart, world, agents, first, times, seen, every)
    record_signs(chart, world, cause, seen)
    bystanders(chart, world, seen, last + 90, cause.id)
    treat(chart, cause, seen, case.severe)
    for nth in range(times):
        lasts = every if nth < times - 1 else every + 90
        tell_truth(chart, world, case, first + every * nth, lasts, any(legible[: nth + 1]))


def course(
    chart: Chart, world: World, case: Struck, doses: list[float], days: float, latency: float = _PLAIN_LATENCY
) -> Course:
    """The counts of a person from the first of some doses on."""
    return Course(_counts(chart, world, case, min(latency, 60.0), doses, days), 0.0, STEP, math.inf)


def _first_low(case: Struck, values: Array) -> float:
    """Hours from the first dose to the first low count; a week where there is none."""
    low = np.any([values[:, LINES.index(line)] < case.low[line] for line in WHITE], axis=0)
    return float(low.argmax()) * STEP if low.any() else 168.0


def _counts(chart: Chart, world: World, case: Struck, latency: float, doses: list[float], days: float) -> Array:
    """Counts from the first dose on: from the model card of the drug, else from a kill as deep and late as drawn."""
    n = int(days * 24 / STEP)
    inputs = rest(n)
    hours: Array = np.arange(n, dtype=np.float64) * STEP
    inputs[:, ACTIVITY] = np.any([(hours > 24 * dose) & (hours < 24 * (dose + latency)) for dose in doses], axis=0)
    depths = np.array([case.depths.get(line, 1.0) for line in LINES[1:]])
    model = world.cytotoxics.get(case.cause.id)
    if "neutrophils" not in case.depths:
        return world.marrow.counts(inputs, STEP, depths)
    if model:
        inputs[:, KILL] = _kill(chart, model, case.cause.id, doses, n)
        return model.marrow(_person(chart, model, "mtt")).counts(inputs, STEP, depths)
    marrow = _slowed(world.marrow, case, latency)
    strength = _strength(marrow, case)
    inputs[:, KILL] = strength * np.sum([_pulse(hours - 24 * dose) for dose in doses], axis=0)
    return marrow.counts(inputs, STEP, depths)


def _kill(chart: Chart, model: Cytotoxic, drug: str, doses: list[float], n: int) -> Array:
    amount, infusion = _DOSES[drug]
    given = {24 * dose: amount * _SURFACE for dose in doses}
    return model.kill(given, infusion, n, STEP, _person(chart, model, "slope"))


def _person(chart: Chart, model: Cytotoxic, parameter: str) -> float:
    """One person's parameter over the typical one."""
    return math.exp(max(-2.0, min(2.0, chart.rng.gauss(0, 1))) * model.spread.get(parameter, 0.0))


def _pulse(since: Array) -> Array:
    return np.where(since >= 0, np.exp(-np.maximum(since, 0) / _WASHOUT), 0.0)


def _slowed(marrow: Marrow, case: Struck, latency: float) -> Marrow:
    """The marrow, without stem cells to help it, as slow as makes the first count low on the day that was drawn."""
    plain = replace(marrow, stem=0.0)
    found = _single(plain, _strength(plain, case), case)
    factor = min(max(latency * 24 / max(found, 1.0), 0.4), 5.0)
    return replace(plain, transit=plain.transit / factor, leaving=plain.leaving / factor)


def _single(marrow: Marrow, strength: float, case: Struck) -> float:
    low = _one_dose(marrow, strength) < case.low["neutrophils"]
    return float(low.argmax()) * STEP if low.any() else 200.0


def _one_dose(marrow: Marrow, strength: float) -> Array:
    n = int(50 * 24 / STEP)
    inputs = rest(n)
    inputs[:, KILL] = strength * _pulse(np.arange(n, dtype=np.float64) * STEP)
    return marrow.counts(inputs, STEP)[:, 0]


def _strength(marrow: Marrow, case: Struck) -> float:
    """The kill at which one dose brings the neutrophils down to their depth."""
    weak, strong = 0.0, 60.0
    for _ in range(_TRIALS):
        middle = (weak + strong) / 2
        deep = _one_dose(marrow, middle).min() < case.depths["neutrophils"]
        weak, strong = (weak, middle) if deep else (middle, strong)
    return strong


def _look(chart: Chart, values: Array, day: float, since: float, every: float) -> None:
    """Counts of one cycle: before the dose, once or twice a week, and daily in a stay where they are very few."""
    chart.count(day - _LATE_MORNING / 4, laboratory="hospital")
    deep = values[int(since * 24 / STEP) : int((since + every) * 24 / STEP), 0]
    nadir = day + float(deep.argmin()) * STEP / 24
    if deep.min() < 0.1 and chart.rng.random() < 0.4:
        chart.stay(nadir - 2, nadir + 5)
        chart.count(*(nadir - 2 + step for step in range(7)), laboratory="hospital")
    step = chart.rng.uniform(3, 7)
    later = day + step
    while later < day + every - 1:
        chart.count(later)
        later += step


def tell_truth(chart: Chart, world: World, case: Struck, day: float, lasts: float, recorded: bool) -> None:
    """What the counts of one cycle come from."""
    cause = case.cause
    chart.span(
        day,
        day + lasts,
        "chemotherapy",
        cause_id=cause.id,
        cause_class=cause.cause_class,
        cause_onset=chart.origin + round(day * DAY),
        hidden=cause.id in world.hidden,
        recorded=recorded,
        lines=tuple(line for line in ("wbc", *case.depths) if line != "monocytes"),
    )
