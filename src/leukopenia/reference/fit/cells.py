"""Results as counts of cells: every value stands for all that rounds to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MOST = 120
_MASS = 0.75
_TRIMMED = (0.001, 0.999)
_STEPS = tuple(factor * 10.0**-digits for digits in range(6) for factor in (10.0, 5.0, 2.0, 1.0))
_SAMPLE = 2_000
_MOST_STEPS = 4_000_000


@dataclass(frozen=True)
class Cells:
    """Counts between edges; the first cell is open below, the last above.

    Parameters
    ----------
    edges : ndarray, shape (cells - 1,)
    counts : ndarray, shape (cells,)
    step : float
        The least distance of two different values.
    least, most : float
        The least and the greatest value.
    n : float
        Results behind the counts (for weighted results, as many as would be as precise: Kish 1965).
    """

    edges: Floats
    counts: Floats
    step: float
    least: float
    most: float
    n: float


def tabulate(values: Floats) -> tuple[Floats, Floats]:
    """Different values in rising order, and how many there are of each."""
    step = _decimal_step(values)
    if step > 0.0:
        first = np.rint(values.min() / step)
        if values.max() / step - first < _MOST_STEPS:
            places, found = _placed(values, step, first, int(np.rint(values.max() / step) - first) + 1)
            if found:
                kept = np.flatnonzero(places)
                return (kept + first) * step, places[kept]
    different, counts = np.unique(values, return_counts=True)
    return different, counts.astype(np.float64)


def _decimal_step(values: Floats) -> float:
    sample = values[:: max(1, len(values) // _SAMPLE)]
    least = sample[sample > 0].min(initial=np.inf)
    for step in _STEPS:
        if step <= 1.000001 * least and np.abs(sample / step - np.rint(sample / step)).max() < 1e-6:
            return step
    return 0.0


@njit(cache=True)
def _placed(values: Floats, step: float, first: float, n: int) -> tuple[Floats, bool]:
    """Counts by place on a grid of decimals; False where a value lies off the grid."""
    counts = np.zeros(n)
    for value in values:
        exact = value / step
        place = np.rint(exact)
        if abs(exact - place) > 1e-4:
            return counts, False
        counts[int(place - first)] += 1.0
    return counts, True


def weighted(values: Floats, weights: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Different values, and their weights scaled to the effective number of results (Kish 1965)."""
    different, place = np.unique(values, return_inverse=True)
    sums = np.bincount(place, weights=weights * counts)
    total = (weights * counts).sum()
    return different, sums * total / (weights**2 * counts).sum()


def censored(values: Floats, counts: Floats, detection_limit: float) -> tuple[Floats, Floats]:
    """Values at or below the limit gathered at it: they stand for anything below."""
    below = values <= detection_limit
    if not below.any():
        return values, counts
    return np.append(detection_limit, values[~below]), np.append(counts[below].sum(), counts[~below])


def cells(values: Floats, counts: Floats) -> Cells:
    """Merge neighbouring values into about 120 cells, of equal mass and, in the tails, of equal width of logarithms.

    Parameters
    ----------
    values, counts : ndarray, shape (values,)
        Different values in rising order.
    """
    step = float(np.diff(values).min())
    upper = _upper_edges(values, step)
    edges = upper if len(values) <= _MOST else upper[_last_of_cell(values, counts, step)]
    place = np.searchsorted(edges, values)
    merged = np.bincount(place, weights=counts, minlength=len(edges) + 1).astype(np.float64)
    return Cells(edges, merged, step, float(values[0]), float(values[-1]), float(counts.sum()))


def _upper_edges(values: Floats, step: float) -> Floats:
    """Where the rounding of one value ends: half a step above, or halfway to the next where the steps are uneven."""
    gaps = np.diff(values) / step
    uneven = np.abs(gaps - np.rint(gaps)).max() > 0.02 or np.median(gaps[: max(1, len(gaps) // 2)]) >= 1.5
    return (values[1:] + values[:-1]) / 2 if uneven else values[:-1] + step / 2


def _last_of_cell(values: Floats, counts: Floats, step: float) -> NDArray[np.int64]:
    mass = np.cumsum(counts) / counts.sum()
    logs = np.log(np.maximum(values, step / 2))
    low, high = logs[np.searchsorted(mass, _TRIMMED).clip(max=len(values) - 1)]
    width = ((logs - low) / (high - low)).clip(0.0, 1.0)
    cell = np.floor((_MASS * mass + (1 - _MASS) * width) * _MOST * (1 - 1e-9))
    return np.flatnonzero(np.diff(cell) > 0)
