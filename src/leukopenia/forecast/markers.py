"""Curves of counts -> when the nadir is, how deep, how long below a level, and when it is over (compiled)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit

from leukopenia.forecast.regimen import Array
from leukopenia.forecast.tableau import COMPILED

SETTLED = 72.0
"""Hours after the dose from which the nadir is looked for, as in the model of Netterberg 2017."""


@njit(**COMPILED)
def _lowest(logs, times, since):
    """Index of the lowest count from 72 h after the dose on."""
    best = -1
    for i in range(times.size):
        if times[i] - since >= SETTLED and (best < 0 or logs[i] < logs[best]):
            best = i
    return best


@njit(**COMPILED)
def _turning(logs, times, i):
    """Time and log count at the turning point of the parabola through three points."""
    if i <= 0 or i + 1 >= times.size:
        return times[i], logs[i]
    left, right = logs[i - 1] - logs[i], logs[i + 1] - logs[i]
    bend = left + right
    if bend <= 0.0:
        return times[i], logs[i]
    shift = 0.5 * (left - right) / bend
    return times[i] + shift * (times[i + 1] - times[i]), logs[i] - 0.125 * (left - right) ** 2 / bend


@njit(**COMPILED)
def _crossing(logs, times, i, level):
    """Time between i - 1 and i at which a level is crossed."""
    share = (level - logs[i - 1]) / (logs[i] - logs[i - 1])
    return times[i - 1] + share * (times[i] - times[i - 1])


@njit(**COMPILED)
def _first_below(logs, times, since, level):
    for i in range(times.size):
        if times[i] >= since and logs[i] < level:
            return _crossing(logs, times, i, level) if i > 0 and logs[i - 1] >= level else times[i]
    return math.nan


@njit(**COMPILED)
def _back_above(logs, times, lowest, level):
    """First time after the nadir at which the level is reached again; NaN if it was not left, or not in time."""
    if not logs[lowest] < level:
        return math.nan
    for i in range(lowest + 1, times.size):
        if logs[i] >= level:
            return _crossing(logs, times, i, level)
    return math.nan


@njit(**COMPILED)
def _hours_below(logs, times, since, level):
    total = 0.0
    for i in range(1, times.size):
        if times[i - 1] < since:
            continue
        before, now = logs[i - 1] < level, logs[i] < level
        if before and now:
            total += times[i] - times[i - 1]
        elif now:
            total += times[i] - _crossing(logs, times, i, level)
        elif before:
            total += _crossing(logs, times, i, level) - times[i - 1]
    return total


@njit(**COMPILED)
def describe(logs, times, since, levels, nadir, spans):
    """Fill nadirs and spans of many curves.

    Parameters
    ----------
    logs : array (n, T)
        Logarithms of counts.
    times : array (T,)
        Hours.
    since : float
        Hour of the dose.
    levels : array (n, L)
        Logarithms of the levels, which may differ between curves.
    nadir : array (n, 2)
        Filled: hours after the dose, log count; NaN where the curve is not known.
    spans : array (n, L, 3)
        Filled: hours from the dose to the first count below the level, to the first above it again, hours below.
    """
    for n in range(logs.shape[0]):
        i = _lowest(logs[n], times, since)
        if i < 0 or not np.isfinite(logs[n]).all():
            nadir[n, :], spans[n, :, :] = math.nan, math.nan
            continue
        time, value = _turning(logs[n], times, i)
        nadir[n, 0], nadir[n, 1] = time - since, value
        for k in range(levels.shape[1]):
            level = levels[n, k]
            spans[n, k, 0] = _first_below(logs[n], times, since, level) - since
            spans[n, k, 1] = _back_above(logs[n], times, i, level) - since
            spans[n, k, 2] = _hours_below(logs[n], times, since, level)


def weighted_quantiles(values: Array, weights: Array, at: Sequence[float]) -> Array:
    """Weighted quantiles of each column.

    Parameters
    ----------
    values : array (n, T)
    weights : array (n,)
        Not negative; their sum does not matter.
    at : sequence of float (Q,)

    Returns
    -------
    array (Q, T)
        The least value up to which the weights reach the share asked for.
    """
    columns = np.ascontiguousarray(values.T)
    order = np.argsort(columns, axis=1)
    reached = np.cumsum(weights[order], axis=1)
    rank = np.stack([(reached < share * reached[:, -1:]).sum(axis=1) for share in at], axis=1)
    chosen = np.take_along_axis(order, np.minimum(rank, len(weights) - 1), axis=1)
    return np.asarray(np.take_along_axis(columns, chosen, axis=1).T)
