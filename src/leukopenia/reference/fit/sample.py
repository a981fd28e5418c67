"""Results as the direct methods take them: one value a person, or a table of values and how often each occurs."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Number

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leukopenia.errors import UsageError

Floats = NDArray[np.float64]

UNITS_APART = 100.0
"""An empty gap of this factor is no distribution: 10^9/L and 1/uL differ by a thousand."""


@dataclass(frozen=True)
class Sample:
    """Checked results in ascending order.

    Attributes
    ----------
    values : (k,) array
        Ascending; a value may occur in several rows.
    counts : (k,) array of whole numbers
        How many persons have that value.
    weights : (k,) array
        How many of the population each of them stands for; their mean over all persons is 1.
    order : (k,) array of whole numbers
        Where the row stood in what was given.
    """

    values: Floats
    counts: NDArray[np.int64]
    weights: Floats
    order: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Persons."""
        return int(self.counts.sum())

    @property
    def weighted(self) -> bool:
        """Whether the persons stand for unequal parts of the population."""
        return bool(np.ptp(self.weights) > 0)

    @property
    def constant(self) -> bool:
        """Whether all results are equal."""
        return self.values[0] == self.values[-1]

    @property
    def parted(self) -> bool:
        """Whether neighbouring results above 0 lie a hundredfold apart, as those of two units do."""
        x = self.values[self.values > 0]
        return bool((x[1:] > UNITS_APART * x[:-1]).any())

    def ranked(self, rank: int) -> float:
        """The value of the person of this rank, counted from 1."""
        return float(self.values[np.searchsorted(np.cumsum(self.counts), rank)])

    def expanded(self) -> Floats:
        """One value for each person."""
        return np.repeat(self.values, self.counts)


def sample(
    values: ArrayLike, counts: ArrayLike | None = None, weights: ArrayLike | None = None, positive: bool = False
) -> Sample:
    """Check results and put them in order.

    Parameters
    ----------
    values : (k,) array
        Results in one unit.
    counts : (k,) array, optional
        Persons with that result; rows of no person are left out. One each where absent.
    weights : (k,) array, optional
        Survey weight of each person, above 0. Equal where absent.
    positive : bool
        Refuse zero too, for methods that take logarithms.

    Raises
    ------
    UsageError
        No results; text, missing, infinite or negative ones (zero, where `positive`); counts that are not whole
        numbers; weights that are not above 0; lengths that differ. No message holds a result.
    """
    x = _numbers("values", values)
    n = np.ones(len(x)) if counts is None else _numbers("counts", counts)
    w = np.ones(len(x)) if weights is None else _numbers("weights", weights)
    _same_length(len(x), len(n), len(w))
    _refuse("values", x < 0, "below 0", "Counts and concentrations are not negative: check units and missing codes.")
    _refuse("values", (x == 0) & positive, "0", "This method takes logarithms: use the nonparametric one.")
    _refuse("counts", (n < 0) | (n != np.floor(n)), "no whole number of persons", "")
    _refuse("weights", w <= 0, "not above 0", "Leave out persons without a weight.")
    kept = np.flatnonzero(n > 0)
    if not len(kept):
        raise UsageError("There are no results.", "", "Give one result a person, or values with their counts.")
    order = kept[np.argsort(x[kept], kind="stable")]
    persons = n[order].astype(np.int64)
    scaled = w[order] * (persons.sum() / (persons * w[order]).sum())
    return Sample(x[order], persons, np.ones(len(order)) if np.ptp(w[order]) == 0 else scaled, order)


def _numbers(name: str, given: ArrayLike) -> Floats:
    raw = np.asarray(given)
    if raw.ndim != 1:
        raise UsageError(f"{name} must be one column.", f"It has {raw.ndim} dimensions.", "")
    if raw.dtype.kind not in "iuf" and not all(_is_number(one) for one in raw):
        raise UsageError(
            f"{name} hold text or flags.", "", "Results must be numbers in one unit; set words and '<' aside first."
        )
    numbers = raw.astype(np.float64)
    _refuse(name, ~np.isfinite(numbers), "missing or infinite", "Leave them out.")
    return numbers


def _is_number(one: object) -> bool:
    return one is None or (isinstance(one, Number) and not isinstance(one, bool | np.bool_ | complex))


def _refuse(name: str, wrong: NDArray[np.bool_], what: str, remedy: str) -> None:
    if wrong.any():
        where = int(np.argmax(wrong)) + 1
        raise UsageError(
            f"{name}: {int(wrong.sum())} of {len(wrong)} are {what}.", f"The first is number {where}.", remedy
        )


def _same_length(*lengths: int) -> None:
    if len(set(lengths)) > 1:
        raise UsageError("values, counts and weights differ in length.", f"They have {lengths}.", "")


def probabilities(percentiles: ArrayLike) -> Floats:
    """Percentiles as fractions of 1, ascending as given.

    Raises
    ------
    UsageError
        None given, or one that does not lie between 0 and 100.
    """
    p = np.atleast_1d(np.asarray(percentiles, dtype=np.float64)) / 100
    if not len(p) or not np.all((p > 0) & (p < 1)):
        raise UsageError("Percentiles lie between 0 and 100.", "", "Write them as (2.5, 97.5).")
    return p


def check_confidence(confidence: float) -> float:
    """A confidence as a fraction of 1.

    Raises
    ------
    UsageError
        It does not lie between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence cannot be {confidence}.", "", "Write it as 0.90.")
    return confidence
