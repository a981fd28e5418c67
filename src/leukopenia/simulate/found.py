"""The signs of a cause on record: temperatures, tests, and what the film shows."""

from __future__ import annotations

import math
from random import Random

from leukopenia.simulate import signs
from leukopenia.simulate.causes import Cause
from leukopenia.simulate.chart import Chart
from leukopenia.simulate.departures import MISSING_SHARE
from leukopenia.simulate.signs import ABSENT, BLASTS, FEVER, LEFT_SHIFT, PRESENT, TESTS, UNKNOWN, Effects, Test
from leukopenia.simulate.world import World

_AROUND = 12.0
"""Days around a low count in which the film shows what the cause does."""

_HYPERLEUKOCYTOSIS = 0.4
_FILM = {"mcv_high": 1.22, "microcytosis": 0.8, "eosinophilia": 7.0, "eosinopenia": 0.01}


def record_signs(chart: Chart, world: World, cause: Cause, seen: float) -> None:
    """Draw every sign of a cause and put those that were looked for on record, on the day of the first low count."""
    told = world.effects[cause.id]
    for test in TESTS:
        _test(chart, world, test, _state(chart, world, test.clue, test.done, told), seen)
    _fever(chart, _state(chart, world, *FEVER, told), seen)
    _bands(chart, _state(chart, world, *LEFT_SHIFT, told), seen)
    if _state(chart, world, *BLASTS, told) == PRESENT:
        blasts = _blasts(cause, chart.rng)
        chart.shape("blasts", (seen - 30, 0.001), (seen - 3, blasts), (seen + 10, blasts), (seen + 40, 0.001))
    _film(chart, "mcv", told, seen, 60)
    _film(chart, "eosinophils", told, seen, _AROUND)


def _blasts(cause: Cause, rng: Random) -> float:
    """Blasts in 10^9/L: few, but in acute leukaemia sometimes very many."""
    if cause.id == "cond:acute-leukaemia" and rng.random() < _HYPERLEUKOCYTOSIS:
        return rng.uniform(100, 180)
    return math.exp(rng.uniform(math.log(1), math.log(60)))


def _state(chart: Chart, world: World, clue: str, done: float, told: Effects) -> str:
    state = signs.state(clue, done, world.shares.get(clue, 0.1), told, chart.rng)
    missing = world.departures.missing and chart.rng.random() < MISSING_SHARE
    return UNKNOWN if missing else state


def _test(chart: Chart, world: World, test: Test, state: str, seen: float) -> None:
    if state == UNKNOWN or test.signal not in world.codes:
        return
    value = _value(chart, test, state == PRESENT)
    flag = "L" if value < test.low else "H" if value > test.high else ""
    name = test.signal.replace("_", " ").capitalize()
    limits = {"low": test.low, "high": test.high, "flag": flag, "specimen": "Serum"}
    chart.test(test.signal, seen + 0.01, value, test.unit, world.codes[test.signal], name, **limits)


def _value(chart: Chart, test: Test, found: bool) -> float:
    width = test.high - test.low
    if not found:
        return _rounded(chart.rng.uniform(test.low + 0.1 * width, test.high - 0.1 * width))
    if test.found == "high":
        return _rounded(test.high * chart.rng.uniform(*test.above))
    return _rounded(test.low * chart.rng.uniform(*test.below))


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _fever(chart: Chart, state: str, seen: float) -> None:
    if state == PRESENT:
        peak = chart.rng.uniform(38.4, 40.2)
        for step in range(4):
            chart.measure("temperature", seen + 0.02 + step / 2, round(36.8 + (peak - 36.8) * 0.8**step, 1), "Cel")
    elif state == ABSENT:
        for step in range(2):
            chart.measure("temperature", seen + 0.02 + step / 2, round(chart.rng.uniform(36.2, 37.4), 1), "Cel")


def _bands(chart: Chart, state: str, seen: float) -> None:
    level = {PRESENT: chart.rng.uniform(0.5, 0.8), ABSENT: 0.03}.get(state)
    if level:
        chart.shape("bands", (seen - 4, 0.001), (seen - 0.5, level), (seen + 3, level), (seen + 6, 0.001))


def _film(chart: Chart, line: str, told: Effects, seen: float, days: float) -> None:
    factor = _FILM.get(signs.film(line, told, chart.rng))
    if factor:
        chart.shape(line, (seen - days - 10, 1), (seen - days, factor), (seen + days, factor), (seen + days + 10, 1))
