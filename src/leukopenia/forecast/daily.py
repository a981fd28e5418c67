"""Curves of one person -> what a day in the calendar is likely to bring."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leukopenia.forecast.markers import SETTLED, weighted_quantiles
from leukopenia.forecast.prediction import BAND, Curves, Levels
from leukopenia.forecast.regimen import Array


@dataclass(frozen=True)
class Daily:
    """Per day asked for (D,).

    Attributes
    ----------
    band : array (5, D)
        Quantiles 0.05, 0.25, 0.5, 0.75, 0.95 of the count, 10^9/L, without the error of measurement.
    grades : dict of int to array (D,)
        Probability of each grade; grade 1 only where the lower limit is known.
    recovered : array (D,)
        Probability that the count has been at or above the lower limit again after its nadir, on that day or on one
        asked for before; NaN where no limit is known.
    """

    band: Array
    grades: dict[int, Array]
    recovered: Array


def daily(curves: Curves, times: Array, start: float, asked: Array, levels: Levels, limit: float | None) -> Daily:
    """Tell each day.

    Parameters
    ----------
    curves : Curves
    times : array (T,)
        Hours of the points of the curves.
    start : float
        Hour of the dose; the nadir is looked for from three days later on.
    asked : array (D,)
        Hours to tell of, each of them in `times`; recovery is looked for from the first on.
    levels : Levels
    limit : float or None
        Lower limit of the person, 10^9/L.
    """
    curves = curves.known
    logs = curves.logs[:, np.searchsorted(times, asked)]
    share = curves.weights / curves.weights.sum()

    def below(level: float) -> Array:
        return np.asarray(share @ (logs < math.log(level)))

    cuts = {grade: below(cut) for grade, cut in levels.grades.items()}
    if limit is not None and limit > max(levels.grades.values()):
        cuts[min(levels.grades) - 1] = below(limit)
    grades, so_far = {}, np.zeros(asked.size)
    for grade in sorted(cuts, reverse=True):
        grades[grade], so_far = cuts[grade] - so_far, cuts[grade]
    recovered = np.full(asked.size, math.nan)
    if limit is not None:
        recovered = share @ _back(logs, math.log(limit), asked >= _nadirs(curves, times, start)[:, None])
    return Daily(np.exp(weighted_quantiles(logs, curves.weights, BAND)), grades, recovered)


def _nadirs(curves: Curves, times: Array, start: float) -> Array:
    """The hour of the lowest point of each curve."""
    settled = times >= start + SETTLED
    return np.asarray(times[settled][curves.logs[:, settled].argmin(axis=1)])


def _back(logs: Array, limit: float, rising: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether each curve (n, D) has been at the limit since its nadir."""
    return np.asarray(np.logical_or.accumulate((logs >= limit) & rising, axis=1))
