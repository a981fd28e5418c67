"""Smooth limits cut into bands of age whose ends a person would choose: hours, days, months, years."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from leukopenia.reference.fit.ages import HOURS, hours_at, place

Floats = NDArray[np.float64]
Ends = Callable[[Floats], tuple[Floats, Floats]]

_DAY, _MONTH, _YEAR = HOURS["days"], HOURS["months"], HOURS["years"]
_CUTS = np.concatenate(
    [
        np.arange(0, 72),
        np.arange(3, 60) * _DAY,
        np.arange(2, 24) * _MONTH,
        np.arange(4, 40) * _YEAR / 2,
        np.arange(20, 131) * _YEAR,
    ]
)
"""Hours at which a band may begin or end."""


def bands(ends: Ends, span: tuple[float, float], tolerance: float) -> Iterator[tuple[float, float, float, float]]:
    """Bands of age, in years, with a lower and an upper limit.

    Parameters
    ----------
    ends : callable
        Of places on the scale of `ages.place`: both limits, NaN where there are none, and the healthy standard
        deviation of their logarithms, each of shape (2, places).
    span : tuple of float
        Least and greatest place.
    tolerance : float
        How far a limit within a band may lie from that of its middle, in these standard deviations.
    """
    low, high = hours_at(np.array(span))
    first = max(int(np.searchsorted(_CUTS, low, side="right")) - 1, 0)
    cuts = _CUTS[first : int(np.searchsorted(_CUTS, high, side="left")) + 1]
    inner = (place(cuts[1:]) + place(cuts[:-1])) / 2
    limits, steps = ends(inner)
    logs = np.log(np.maximum(limits, 1e-12)) / np.maximum(steps, 1e-9)
    for begin, end in _runs(logs, 2 * tolerance):
        middle = ends(np.array([(place(cuts[begin : begin + 1])[0] + place(cuts[end : end + 1])[0]) / 2]))[0][:, 0]
        yield float(cuts[begin] / _YEAR), float(cuts[end] / _YEAR), float(middle[0]), float(middle[1])


def _runs(logs: Floats, most: float) -> Iterator[tuple[int, int]]:
    """Longest runs in which neither row moves by more; those with NaN are left out."""
    begin = 0
    while begin < logs.shape[1]:
        end = begin + 1
        if not np.isnan(logs[:, begin]).any():
            while end < logs.shape[1] and np.ptp(logs[:, begin : end + 1], axis=1).max() <= most:
                end += 1
            yield begin, end
        begin = end
