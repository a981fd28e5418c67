"""Weighted percentiles of a stratified, clustered survey, and their standard errors.

A value that was published rounded stands for its cell: its weight is spread evenly over it. Standard errors follow
Woodruff (1952): the error of the share below the percentile, by linearisation over strata and primary sampling
units, is carried to the scale of the value along the distribution itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """One stratum's values with what the design says of each person.

    Parameters
    ----------
    value : array of float
        Results, rounded to `cell`.
    weight : array of float
        Persons of the population for whom each stands.
    stratum, unit : array of int
        Where the person was sampled: stratum, and primary sampling unit within it.
    cell : float
        The rounding step of the values.
    design : array of int, shape (units, 2)
        Every stratum and unit of the survey, whether or not anybody of this sample lives there.
    """

    value: Numbers
    weight: Numbers
    stratum: NDArray[np.int64]
    unit: NDArray[np.int64]
    cell: float
    design: NDArray[np.int64]

    def only(self, chosen: NDArray[np.bool_]) -> Sample:
        """A part of the persons; the design stays that of the whole survey."""
        kept = (self.value[chosen], self.weight[chosen], self.stratum[chosen], self.unit[chosen])
        return Sample(*kept, self.cell, self.design)


def edges(value: Numbers, cell: float) -> tuple[Numbers, Numbers]:
    """Lower and upper edge of the cell of each value; a count is never below zero."""
    return np.maximum(value - cell / 2, 0.0), value + cell / 2


def distribution(sample: Sample) -> tuple[Numbers, Numbers]:
    """The weighted distribution with each atom spread over its cell: positions and shares below them."""
    steps, place = np.unique(np.round(sample.value / sample.cell), return_inverse=True)
    shares = np.concatenate([[0.0], np.cumsum(np.bincount(place, sample.weight))])
    low, high = edges(steps * sample.cell, sample.cell)
    return np.column_stack([low, high]).ravel(), np.column_stack([shares[:-1], shares[1:]]).ravel() / shares[-1]


def percentile(sample: Sample, share: float) -> tuple[float, float]:
    """A weighted percentile and its standard error.

    Parameters
    ----------
    sample : Sample
        Of one person or more.
    share : float
        Between 0 and 1.

    Returns
    -------
    tuple of float
        The percentile and its standard error, in the unit of the values.
    """
    position, below = distribution(sample)
    found = float(np.interp(share, below, position))
    error = _error_of_share(sample, found, share)
    around = np.interp([max(share - error, 0.0), min(share + error, 1.0)], below, position)
    return found, float(around[1] - around[0]) / 2


def _error_of_share(sample: Sample, at: float, share: float) -> float:
    low, high = edges(sample.value, sample.cell)
    below = np.clip((at - low) / (high - low), 0.0, 1.0)
    influence = sample.weight * (below - share) / sample.weight.sum()
    return float(np.sqrt(variance_of_total(influence[:, None], sample)[0, 0]))


def variance_of_total(influence: Numbers, sample: Sample) -> Numbers:
    """Covariance of the totals of several influences: between the units of each stratum.

    Parameters
    ----------
    influence : array, shape (persons, quantities)
    sample : Sample

    Returns
    -------
    array, shape (quantities, quantities)
    """
    found = np.zeros((influence.shape[1], influence.shape[1]))
    for stratum in np.unique(sample.design[:, 0]):
        units = sample.design[sample.design[:, 0] == stratum, 1]
        if len(units) < 2:
            continue
        here = sample.stratum == stratum
        totals = np.array([influence[here & (sample.unit == unit)].sum(axis=0) for unit in units])
        apart = totals - totals.mean(axis=0)
        found += len(units) / (len(units) - 1) * apart.T @ apart
    return found
