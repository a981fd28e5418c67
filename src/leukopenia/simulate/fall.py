"""How deep and how long -> the counts of one person in time, out of the marrow model.

Each class of causes acts on the marrow in its own way (`WAYS`). How strongly, is found by trying: as strongly as brings
the neutrophils down to the depth that was drawn. Hours count from the moment at which the first white line is low.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from leukopenia.simulate.marrow_kernel import (
    ACTIVITY,
    DESTRUCTION,
    LINES,
    MARGINATION,
    PRODUCTION,
    RELEASE,
)
from leukopenia.simulate.physiology import Array, Marrow, rest

STEP = 2.0
_HOURS_A_DAY = 24
_TRIALS = 11
_SETTLING = 60
"""Days within which a lasting cause has brought the counts to their new level."""

_LONGEST = 700

Way = Callable[[Array, Array, float], None]
"""Writes into the inputs what a cause of some strength (0 to 1) does while it is as active as given (0 to 1)."""


def arrest(inputs: Array, active: Array, strength: float) -> None:
    """Production stops and cells are destroyed, as in agranulocytosis."""
    inputs[:, PRODUCTION] = 1 - strength * active
    inputs[:, DESTRUCTION] = 4 * strength * active


def failure(inputs: Array, active: Array, strength: float) -> None:
    """Too few cells are made."""
    inputs[:, PRODUCTION] = 1 - strength * active


def destruction(inputs: Array, active: Array, strength: float) -> None:
    """Cells are destroyed in the blood; production is normal, or more."""
    inputs[:, DESTRUCTION] = 4 * strength / (1.001 - strength) * active


def sequestration(inputs: Array, active: Array, strength: float) -> None:
    """A large spleen, or the vessel wall, holds more of the cells that are in the blood."""
    inputs[:, MARGINATION] = 1 + 4 * strength / (1.001 - strength) * active


def redistribution(inputs: Array, active: Array, strength: float) -> None:
    """Cells go to the vessel wall for some hours; then the marrow releases its reserve."""
    sequestration(inputs, active, strength)
    gone = np.cumsum((active < 0.5) & (np.maximum.accumulate(active) >= 0.5)) * STEP
    called = np.where(gone > 0, np.exp(-gone / 72), 0.0)
    inputs[:, RELEASE] = 5 * called
    inputs[:, PRODUCTION] = 1 + called
    inputs[:, MARGINATION] *= np.where(gone > 0, 1 - 0.5 * called, 1.0)


def cycles(inputs: Array, active: Array, strength: float) -> None:
    """Production stops for a few days in every three weeks."""
    day = np.arange(len(active)) * STEP / _HOURS_A_DAY
    inputs[:, PRODUCTION] = 1 - strength * active * (day % 21 < 9)


@dataclass(frozen=True)
class Fall:
    """What is to happen to one person's counts.

    Parameters
    ----------
    way : Way
        How the cause acts on the neutrophils.
    depths : mapping of str to float
        Lines that fall, and their lowest count as a share of the usual one.
    low : mapping of str to float
        Share of the usual count below which each white line is low.
    lasts : float
        Days from the first low count to the end of the cause; infinite: it goes on.
    recovery : float
        Days from the end of the cause until no white line is low.
    ramp : float
        Days in which the cause reaches its full strength.
    """

    way: Way
    depths: Mapping[str, float]
    low: Mapping[str, float]
    lasts: float
    recovery: float
    ramp: float = 0.5


@dataclass(frozen=True)
class Course:
    """Counts in time as shares of the usual ones.

    Parameters
    ----------
    values : ndarray, shape (n, 5)
        Columns as `marrow_kernel.LINES`.
    first : float
        Hours from the first low count (of chemotherapy: from the first dose) to the first row; negative.
    step : float
        Hours between rows.
    low_until : float
        Hours until no white line is low; infinite where they stay low.
    """

    values: Array
    first: float
    step: float
    low_until: float

    def share(self, line: str, hour: float) -> float:
        """Share of the usual count at an hour; after the last row it stays as it is there."""
        place = (hour - self.first) / self.step
        if place <= 0:
            return 1.0
        column = LINES.index(line)
        before = min(int(place), len(self.values) - 2)
        part = min(place - before, 1.0)
        low, high = self.values[before, column], self.values[before + 1, column]
        return float(low + part * (high - low))


NOTHING = Course(np.ones((2, len(LINES))), 0.0, STEP, 0.0)
"""The course of a person whose counts do not change."""


def course(fall: Fall, marrow: Marrow) -> Course | None:
    """The counts of one person with one cause; None where the cause does not bring a white line down.

    The depth is met first. Where the marrow recovers sooner than it should, the cause goes on for as much longer.
    """
    strength = _strength(fall, marrow, fall.lasts)
    found = _run(fall, marrow, strength, fall.lasts)
    if found is None or math.isinf(fall.lasts):
        return found
    longer = fall.recovery - (found.low_until / _HOURS_A_DAY - fall.lasts)
    if longer < 0.5:
        return found
    lasts = fall.lasts + longer
    return _run(fall, marrow, _strength(fall, marrow, lasts), lasts)


def _strength(fall: Fall, marrow: Marrow, lasts: float) -> float:
    """The strength at which the neutrophils reach their depth."""
    if "neutrophils" not in fall.depths:
        return 0.0
    weak, strong = 0.0, 1.0
    for _ in range(_TRIALS):
        middle = (weak + strong) / 2
        deep = _trial(fall, marrow, middle, lasts) < fall.depths["neutrophils"]
        weak, strong = (weak, middle) if deep else (middle, strong)
    return strong


def _trial(fall: Fall, marrow: Marrow, strength: float, lasts: float) -> float:
    days = min(lasts, _SETTLING) + _SETTLING / 2
    values = _values(fall, marrow, strength, days, math.inf)
    if lasts < _SETTLING:
        low = _first_low(fall, values)
        if low is None:
            return float(values[:, 0].min())
        values = _values(fall, marrow, strength, days, low * STEP / _HOURS_A_DAY + lasts)
    return float(values[:, 0].min())


def _values(fall: Fall, marrow: Marrow, strength: float, days: float, until: float) -> Array:
    """Counts from the beginning of the cause; it ends `until` days later."""
    n = int(days * _HOURS_A_DAY / STEP)
    day = np.arange(n) * STEP / _HOURS_A_DAY
    active = np.minimum((day + 1e-9) / fall.ramp, 1.0) * (day < until)
    inputs = rest(n)
    inputs[:, ACTIVITY] = active
    if strength > 0:
        fall.way(inputs, active, strength)
    depths = np.array([fall.depths.get(line, 1.0) for line in LINES[1:]])
    return marrow.counts(inputs, STEP, depths)


def _first_low(fall: Fall, values: Array) -> int | None:
    low = _low(fall, values)
    return int(low.argmax()) if low.any() else None


def _low(fall: Fall, values: Array) -> Array:
    lines = [line for line in fall.low if line in fall.depths]
    return np.asarray(np.any([values[:, LINES.index(line)] < fall.low[line] for line in lines], axis=0))


def _run(fall: Fall, marrow: Marrow, strength: float, lasts: float) -> Course | None:
    scout = _values(fall, marrow, strength, min(lasts, _SETTLING) + _SETTLING, math.inf)
    begins = _first_low(fall, scout)
    if begins is None:
        return None
    first = begins * STEP / _HOURS_A_DAY
    if math.isinf(lasts):
        values = _values(fall, marrow, strength, first + 3 * _SETTLING, math.inf)
        return Course(values, -begins * STEP, STEP, math.inf)
    days = min(first + lasts + 2 * _SETTLING, _LONGEST)
    values = _values(fall, marrow, strength, days, first + lasts)
    low = _low(fall, values)
    last = len(low) - 1 - int(low[::-1].argmax())
    settled = np.append(values, [np.ones(len(LINES))], axis=0)
    return Course(settled, -begins * STEP, STEP, (last + 1 - begins) * STEP)


WAYS: Mapping[str, Way] = {
    "idiosyncratic": arrest,
    "autoimmune": destruction,
    "sequestration": sequestration,
    "cond:sepsis": redistribution,
    "cond:pseudoleukopenia-infection": redistribution,
    "cond:haemodialysis": sequestration,
    "cond:diurnal-exercise": sequestration,
    "cond:pseudoleukopenia-invitro": sequestration,
    "cond:cyclic-neutropenia": cycles,
    "infection_viral": arrest,
}
"""By cause, else by class; the others make too few cells."""


def way_of(cause: str, cause_class: str) -> Way:
    """How a cause acts on the neutrophils."""
    return WAYS.get(cause) or WAYS.get(cause_class) or failure
