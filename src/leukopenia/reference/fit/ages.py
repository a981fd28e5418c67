"""A scale of age that resolves the first hours as well as the decades."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leukopenia.errors import UsageError

Floats = NDArray[np.float64]

HOURS = {"years": 8766.0, "months": 730.5, "days": 24.0, "hours": 1.0}
"""Hours in a unit of age."""

_FIRST_HOURS = 6.0
_DECADES = 12 * HOURS["years"]
_OLDEST = 130 * HOURS["years"]


def place(hours: Floats) -> Floats:
    """log(1 + age / 6 h) + age / 12 y: a step of 0.5 is 4 hours at birth, 5 months at 1 year, 5 years at 50 years."""
    return np.log1p(hours / _FIRST_HOURS) + hours / _DECADES


def hours_at(places: Floats) -> Floats:
    """The inverse of `place`, by Newton's method."""
    hours = np.minimum(_FIRST_HOURS * np.expm1(np.minimum(places, 25.0)), _DECADES * places)
    for _ in range(60):
        hours = np.maximum(hours - (place(hours) - places) / (1 / (hours + _FIRST_HOURS) + 1 / _DECADES), 0.0)
    return hours


def in_hours(name: str, ages: ArrayLike, unit: str) -> Floats:
    """Ages in hours.

    Parameters
    ----------
    name : str
        What to call them in an error.
    ages : (k,) array
        Not negative.
    unit : str
        years, months, days or hours.

    Raises
    ------
    UsageError
        No such unit; text; missing or negative ages; older than 130 years.
    """
    if unit not in HOURS:
        raise UsageError(f"There is no unit of age {unit!r}.", "", f"Choose one of: {', '.join(HOURS)}.")
    given = np.asarray(ages)
    if given.ndim > 1 or given.dtype.kind not in "iuf":
        raise UsageError(f"{name} must be numbers.", f"They are {given.dtype}.", f"Give ages in {unit}.")
    hours = np.atleast_1d(given.astype(np.float64)) * HOURS[unit]
    for wrong, what, remedy in (
        (~np.isfinite(hours), "missing or infinite", "Leave these results out: their limits depend on age."),
        (hours < 0, "negative", "Check the dates of birth."),
        (hours > _OLDEST, "above 130 years", "Check age_unit."),
    ):
        if wrong.any():
            first = int(np.argmax(wrong)) + 1
            raise UsageError(f"{name}: {int(wrong.sum())} of {len(wrong)} are {what}.", f"First: {first}.", remedy)
    return hours
