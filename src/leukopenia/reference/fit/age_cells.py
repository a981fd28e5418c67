"""Results as counts of cells by age, stratum and value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from leukopenia.reference.fit.cells import Cells, cells
from leukopenia.reference.fit.sample import Sample

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_COLUMNS = 50
_STEADY = 0.05
"""Of a step of rounding: the lowest edge whose logarithm is taken."""


@dataclass(frozen=True)
class AgeCells:
    """A row for each narrow age and stratum, a column for each cell of values.

    Attributes
    ----------
    places : (rows,) array
        Mean of `ages.place` in the row.
    strata : (rows,) array of int
    counts : (rows, cells) array
        Weighted results are scaled, row by row, to as many as would be as precise (Kish 1965).
    pooled : Cells
        All rows together: edges, step, range.
    scale : (4,) array
        Middle and unit of the logarithms of all results; least and greatest stray result.
    """

    places: Floats
    strata: Integers
    counts: Floats
    pooled: Cells
    scale: Floats

    @property
    def n(self) -> float:
        """Results."""
        return float(self.counts.sum())

    @property
    def log_edges(self) -> Floats:
        """Logarithms of the edges between cells."""
        return np.log(np.maximum(self.pooled.edges, self.pooled.step * _STEADY))

    def near(self, places: Floats, reach: float) -> Floats:
        """Results within reach of each place, in all strata."""
        close = np.abs(places[:, None] - self.places[None, :]) <= reach
        return close @ self.counts.sum(axis=1)

    def of_strata(self, number: int) -> Floats:
        """Results in each stratum."""
        return np.bincount(self.strata, weights=self.counts.sum(axis=1), minlength=number).astype(np.float64)

    def together(self, rows: NDArray[np.bool_]) -> Cells:
        """These rows as one table of cells."""
        counts = self.counts[rows].sum(axis=0)
        return Cells(
            self.pooled.edges, counts, self.pooled.step, self.pooled.least, self.pooled.most, float(counts.sum())
        )


def age_cells(given: Sample, places: Floats, strata: Integers, width: float) -> AgeCells:
    """Count results by age, stratum and value.

    Parameters
    ----------
    given : Sample
        Results, at least two of them different.
    places : (k,) array
        Age of each on the scale of `ages.place`, in the order of the sample.
    strata : (k,) array of int
    width : float
        Of a row, on that scale.
    """
    weights = given.weights * given.counts
    different, value = np.unique(given.values, return_inverse=True)
    pooled = _thinned(cells(different, np.bincount(value, weights=weights).astype(np.float64)))
    bins = np.floor((places - places.min()) / width).astype(np.int64)
    kept, row = np.unique(strata * (bins.max() + 1) + bins, return_inverse=True)
    mass = np.bincount(row, weights=weights)
    precise = mass**2 / np.bincount(row, weights=given.weights**2 * given.counts)
    column = np.searchsorted(pooled.edges, given.values)
    size = len(pooled.edges) + 1
    counts = np.bincount(row * size + column, weights=weights, minlength=len(kept) * size).reshape(-1, size)
    return AgeCells(
        np.bincount(row, weights=weights * places) / mass,
        kept // (bins.max() + 1),
        counts * (precise / mass)[:, None],
        pooled,
        _scale(pooled),
    )


def _thinned(pooled: Cells) -> Cells:
    """Every second edge where there are many: a cell stays well below a standard deviation of any age."""
    if len(pooled.edges) < 2 * _COLUMNS:
        kept = np.arange(len(pooled.edges))
    else:
        kept = np.arange(len(pooled.edges) % 2, len(pooled.edges), 2)
    counts = np.add.reduceat(pooled.counts, np.concatenate([[0], kept + 1]))
    return Cells(pooled.edges[kept], counts, pooled.step, pooled.least, pooled.most, pooled.n)


def _scale(pooled: Cells) -> Floats:
    reached = np.cumsum(pooled.counts)[:-1] / pooled.counts.sum()
    logs = np.log(np.maximum(pooled.edges, pooled.step * _STEADY))
    low, middle, high = np.interp([0.25, 0.5, 0.75], reached, logs)
    unit = max((high - low) / (2 * float(ndtri(0.75))), 0.003)
    return np.array([middle, unit, max(pooled.least - pooled.step / 2, 0.0), pooled.most + pooled.step / 2])
