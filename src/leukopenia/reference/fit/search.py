"""Many starts, several shapes of the ill: the modes of the posterior, each with its height and information."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from leukopenia.reference.fit.mixture import climb, parts, shares, workspace
from leukopenia.reference.fit.parts import (
    ABSENT,
    CONTINUUM,
    LAMBDA,
    LEFT_SPREAD,
    NORMAL,
    RIGHT_SPREAD,
    SIZE,
    WIDTH,
)

Floats = NDArray[np.float64]

_STEEP = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)]
SHAPES = np.array([(left, right, 0) for left in range(4) for right in range(4)] + [(*pair, 1) for pair in _STEEP])
"""Shape of the left and of the right part, and whether the healthy part is steep: its exponent well below zero, as
when the values begin far above zero."""

_USUAL = 16
"""The first so many are not steep."""

_MAY_BE_STEEP = 0.3

_ROUGH_STEPS, _ROUGH_GAIN = 7, 0.05
_FINE_STEPS, _FINE_GAIN = 30, 0.01
_SAME = 0.1
_KEPT, _DEEP = 6, 2
_LIKE = (5, 10, 15)
"""Pairs of like shapes: two normals, two log-normals, two continua."""

_HUMP_STEEPNESS = 10.0
_REACH = 30.0
_RIGHT_POWER = 0.25


class Modes(NamedTuple):
    """Modes found: theta (modes, parameters), index into SHAPES, log likelihood, log prior, information."""

    theta: Floats
    shape: NDArray[np.int64]
    data: Floats
    prior: Floats
    information: Floats


@njit(cache=True)
def search(starts: Floats, edges: Floats, log_edges: Floats, counts: Floats, scale: Floats, priors: Floats) -> Any:
    """Climb from every start, keep the distinct best, and climb on from each under every pair of shapes.

    All of the distinct best are tried under the three pairs of like shapes; the best two of these under the others,
    steep ones where the exponent is low.

    Parameters
    ----------
    starts : ndarray, shape (starts, parameters)
    edges, log_edges : ndarray, shape (cells - 1,)
        Inner edges of the cells, and their logarithms.
    counts : ndarray, shape (cells,)
    scale : ndarray, shape (4,)
        Middle and unit of the logarithms of the data; least and greatest stray result.
    priors : ndarray, shape (pairs, 2, parameters)
        Means and precisions for each pair of `SHAPES`.

    Returns
    -------
    tuple of ndarrays
        The fields of `Modes`.
    """
    work = workspace(edges.shape[0])
    rough, kept = _rough(starts, edges, log_edges, counts, scale, priors[_LIKE[0]], work)
    most = kept * len(_LIKE) + _DEEP * (SHAPES.shape[0] - len(_LIKE))
    found = (
        np.empty((most, SIZE)),
        np.empty(most, np.int64),
        np.empty(most),
        np.empty(most),
        np.empty((most, SIZE, SIZE)),
    )
    n, best = 0, np.full(kept, -np.inf)
    origin = rough.copy()
    for m in range(kept):
        for s in _LIKE:
            height = _fine(rough[m], s, edges, log_edges, counts, scale, priors[s], work, found, n)
            if height > best[m]:
                best[m] = height
                origin[m] = found[0][n]
            n += 1
    for m in np.argsort(-best)[:_DEEP]:
        steep = origin[m, LAMBDA] < _MAY_BE_STEEP
        for s in range(SHAPES.shape[0] if steep else _USUAL):
            if s not in _LIKE:
                _fine(origin[m], s, edges, log_edges, counts, scale, priors[s], work, found, n)
                n += 1
    return found[0][:n], found[1][:n], found[2][:n], found[3][:n], found[4][:n]


@njit(cache=True)
def _fine(
    start: Floats,
    s: int,
    edges: Floats,
    log_edges: Floats,
    counts: Floats,
    scale: Floats,
    prior: Floats,
    work: Any,
    found: Any,
    n: int,
) -> float:
    """Climb to the mode under one pair of shapes and write it at place n; its height, less what its label costs."""
    theta, shape, data, before, information = found
    left, right = SHAPES[s, 0], SHAPES[s, 1]
    theta[n] = start
    if s >= _USUAL:
        theta[n, LAMBDA] = prior[0, LAMBDA]
    if left == CONTINUUM:
        theta[n, LEFT_SPREAD] = prior[0, LEFT_SPREAD]
    if right == CONTINUUM:
        theta[n, RIGHT_SPREAD] = prior[0, RIGHT_SPREAD]
    data[n], before[n] = climb(
        theta[n], left, right, edges, log_edges, counts, scale, prior, work, _FINE_STEPS, _FINE_GAIN, information[n]
    )
    shape[n] = s
    return data[n] + before[n] - label_cost(theta[n], left, right, edges, log_edges, scale, work)


@njit(cache=True)
def _rough(
    starts: Floats,
    edges: Floats,
    log_edges: Floats,
    counts: Floats,
    scale: Floats,
    prior: Floats,
    work: Any,
) -> Any:
    """A few steps from every start with normal ill parts; the distinct best, and how many."""
    tried, height, information = starts.copy(), np.empty(starts.shape[0]), np.empty((SIZE, SIZE))
    for m in range(starts.shape[0]):
        data, before = climb(
            tried[m],
            NORMAL,
            NORMAL,
            edges,
            log_edges,
            counts,
            scale,
            prior,
            work,
            _ROUGH_STEPS,
            _ROUGH_GAIN,
            information,
        )
        height[m] = data + before
    kept, chosen = 0, np.empty((_KEPT, SIZE))
    for m in np.argsort(-height):
        same = False
        for k in range(kept):
            if np.abs(tried[m, : WIDTH + 1] - chosen[k, : WIDTH + 1]).max() <= _SAME:
                same = True
        if not same and kept < _KEPT:
            chosen[kept] = tried[m]
            kept += 1
    return chosen, kept


@njit(cache=True)
def label_cost(
    theta: Floats, left: int, right: int, edges: Floats, log_edges: Floats, scale: Floats, work: Any
) -> float:
    """What it costs, as a log likelihood, that an ill part and not the healthy makes the highest hump."""
    raised = _HUMP_STEEPNESS * hump(theta, left, right, edges, log_edges, scale, work)
    return raised if raised > _REACH else math.log1p(math.exp(raised))


@njit(cache=True)
def hump(theta: Floats, left: int, right: int, edges: Floats, log_edges: Floats, scale: Floats, work: Any) -> float:
    """How much higher the highest hump of the ill is than that of the healthy, as a logarithm.

    The left part is compared in a histogram of logarithms, the right part on the scale of the fourth root.
    """
    cdf, share = work[0], shares(theta, left, right)
    parts(theta, left, right, edges, log_edges, scale, cdf, work[1])
    highest = -np.inf
    for part in range(1, 3):
        if (left if part == 1 else right) == ABSENT:
            continue
        ill = _highest(cdf[part], edges, 0.0 if part == 1 else _RIGHT_POWER)
        well = _highest(cdf[0], edges, 0.0 if part == 1 else _RIGHT_POWER)
        if ill > 0.0 and well > 0.0:
            highest = max(highest, math.log(ill * share[part] / (well * share[0])))
    return highest


@njit(cache=True)
def _highest(cdf: Floats, edges: Floats, power: float) -> float:
    """The greatest mean density in a cell on the scale x^power; the first cell, open below, is left out."""
    highest = 0.0
    for i in range(1, edges.shape[0]):
        below = edges[i - 1]
        if below <= 0.0 or edges[i] <= below:
            continue
        inside = cdf[i] - cdf[i - 1]
        wide = math.log(edges[i] / below) if power == 0.0 else edges[i] ** power - below**power
        highest = max(highest, inside / wide)
    return highest
