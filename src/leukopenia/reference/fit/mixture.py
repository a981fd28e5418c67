"""A mixture of a healthy part, ill parts on its left and right, and stray results, fitted to the counts of cells.

The likelihood is that of the cells, with exact probabilities, so that rounding costs nothing. Every parameter has a
normal prior; the fit is the posterior mode, found by Fisher scoring with damping. The information at the mode gives
the width of the posterior, and with the height the evidence (Laplace's approximation; Kass and Raftery 1995).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from leukopenia.reference.fit.parts import (
    ABSENT,
    CONTINUUM,
    LAMBDA,
    LEFT_SHARE,
    RIGHT_SHARE,
    SIZE,
    STRAY_SHARE,
    WIDTH,
    continuum_part,
    healthy_part,
    left_part,
    right_part,
)

Floats = NDArray[np.float64]

_HINGE, _HINGE_PRECISION = 0.4, 60.0
_CUT, _CUT_PRECISION = 0.3, 400.0
_LEAST_CHANCE = 1e-12
_FIRST_DAMPING, _EASIER, _HARDER, _MOST_DAMPING = 1e-2, 0.2, 6.0, 1e6
_BOUNDS = np.array(
    [
        (-3.0, 1.8),
        (-30.0, 30.0),
        (-4.0, 2.0),
        (-14.0, 3.0),
        (-1.0, 3.0),
        (-2.2, 2.5),
        (-14.0, 3.0),
        (-1.0, 3.0),
        (-2.2, 2.5),
        (-14.0, 3.0),
    ]
)


@njit(cache=True)
def shares(theta: Floats, left: int, right: int) -> Floats:
    """Shares of the healthy, the left, the right and the stray results; they add to 1."""
    odds = np.array([1.0, 0.0, 0.0, math.exp(theta[STRAY_SHARE])])
    if left != ABSENT:
        odds[1] = math.exp(theta[LEFT_SHARE])
    if right != ABSENT:
        odds[2] = math.exp(theta[RIGHT_SHARE])
    return odds / odds.sum()


@njit(cache=True)
def parts(
    theta: Floats, left: int, right: int, edges: Floats, log_edges: Floats, scale: Floats, cdf: Floats, slope: Floats
) -> Any:
    """Fill cdf, shape (4, edges), and slope, shape (3, edges, 5). scale: middle, unit, range of the stray."""
    middle, unit, least, most = scale[0], scale[1], scale[2], scale[3]
    healthy_part(theta, log_edges, middle, unit, cdf[0], slope[0])
    if left == CONTINUUM:
        continuum_part(-1.0, theta, LEFT_SHARE, cdf[0], slope[0], cdf[1], slope[1])
    elif left != ABSENT:
        left_part(left, theta, edges, log_edges, middle, unit, cdf[1], slope[1])
    if right == CONTINUUM:
        continuum_part(1.0, theta, RIGHT_SHARE, cdf[0], slope[0], cdf[2], slope[2])
    elif right != ABSENT:
        right_part(right, theta, edges, log_edges, middle, unit, cdf[2], slope[2])
    for i in range(edges.shape[0]):
        cdf[3, i] = min(max((edges[i] - least) / (most - least), 0.0), 1.0)


@njit(cache=True)
def _mixed(theta: Floats, left: int, right: int, cdf: Floats, slope: Floats, mixed: Floats, by: Floats) -> Any:
    """Fill mixed, shape (edges,), and by, shape (edges, parameters): the distribution function and its slope."""
    share = shares(theta, left, right)
    for i in range(mixed.shape[0]):
        total = share[0] * cdf[0, i] + share[3] * cdf[3, i]
        for k in range(3):
            by[i, k] = share[0] * slope[0, i, 1] * slope[0, i, 2 + k]
        for part in range(1, 3):
            first = LEFT_SHARE if part == 1 else RIGHT_SHARE
            if (left if part == 1 else right) == ABSENT:
                by[i, first] = by[i, first + 1] = by[i, first + 2] = 0.0
                continue
            total += share[part] * cdf[part, i]
            for k in range(3):
                by[i, k] += share[part] * slope[part, i, k]
            by[i, first + 1] = share[part] * slope[part, i, 3]
            by[i, first + 2] = share[part] * slope[part, i, 4]
        if left != ABSENT:
            by[i, LEFT_SHARE] = share[1] * (cdf[1, i] - total)
        if right != ABSENT:
            by[i, RIGHT_SHARE] = share[2] * (cdf[2, i] - total)
        by[i, STRAY_SHARE] = share[3] * (cdf[3, i] - total)
        mixed[i] = total


@njit(cache=True)
def log_prior(theta: Floats, unit: float, prior: Floats, gradient: Floats, information: Floats) -> float:
    """Log density of the prior without its constant; fills gradient and information. prior: means, precisions.

    Besides the normal priors: ill parts larger than the healthy one, and a healthy part that zero (or, for negative
    exponents, infinity) would cut within three standard deviations, are held back by a squared hinge.
    """
    height = 0.0
    information[:] = 0.0
    for a in range(SIZE):
        off = theta[a] - prior[0, a]
        height -= 0.5 * prior[1, a] * off * off
        gradient[a] = -prior[1, a] * off
        information[a, a] = prior[1, a]
    for a in (LEFT_SHARE, RIGHT_SHARE):
        over = theta[a] - _HINGE
        if over > 0.0:
            height -= 0.5 * _HINGE_PRECISION * over * over
            gradient[a] -= _HINGE_PRECISION * over
            information[a, a] += _HINGE_PRECISION
    cut = theta[LAMBDA] * unit * math.exp(theta[WIDTH])
    over = abs(cut) - _CUT
    if over > 0.0:
        height -= 0.5 * _CUT_PRECISION * over * over
        by_lambda, by_width = abs(cut) / theta[LAMBDA], abs(cut)
        gradient[LAMBDA] -= _CUT_PRECISION * over * by_lambda
        gradient[WIDTH] -= _CUT_PRECISION * over * by_width
        information[LAMBDA, LAMBDA] += _CUT_PRECISION * by_lambda * by_lambda
        information[WIDTH, WIDTH] += _CUT_PRECISION * by_width * by_width
        information[WIDTH, LAMBDA] += _CUT_PRECISION * by_lambda * by_width
        information[LAMBDA, WIDTH] += _CUT_PRECISION * by_lambda * by_width
    return height


@njit(cache=True)
def log_posterior(
    theta: Floats,
    left: int,
    right: int,
    edges: Floats,
    log_edges: Floats,
    counts: Floats,
    scale: Floats,
    prior: Floats,
    work: Any,
    gradient: Floats,
    information: Floats,
) -> tuple[float, float]:
    """Log likelihood ratio to the saturated model, and log prior; fills gradient and expected information."""
    cdf, slope, mixed, by = work
    parts(theta, left, right, edges, log_edges, scale, cdf, slope)
    _mixed(theta, left, right, cdf, slope, mixed, by)
    height = log_prior(theta, scale[1], prior, gradient, information)
    n, last, total = 0.0, counts.shape[0] - 1, counts.sum()
    change = np.empty(SIZE)
    for k in range(last + 1):
        chance = (1.0 if k == last else mixed[k]) - (mixed[k - 1] if k > 0 else 0.0)
        for a in range(SIZE):
            change[a] = (by[k, a] if k < last else 0.0) - (by[k - 1, a] if k > 0 else 0.0)
        chance = max(chance, _LEAST_CHANCE)
        if counts[k] > 0.0:
            n += counts[k] * math.log(chance * total / counts[k])
        pull, weight = counts[k] / chance, total / chance
        for a in range(SIZE):
            gradient[a] += pull * change[a]
            scaled = weight * change[a]
            for b in range(SIZE):
                information[a, b] += scaled * change[b]
    return n, height


@njit(cache=True)
def workspace(edges: int) -> Any:
    """Room for one evaluation."""
    return np.zeros((4, edges)), np.zeros((3, edges, 5)), np.zeros(edges), np.zeros((edges, SIZE))


@njit(cache=True)
def cholesky(matrix: Floats, damping: float, factor: Floats) -> bool:
    """Fill the lower factor of matrix + damping * its diagonal; False where it is not positive."""
    for i in range(SIZE):
        for j in range(i + 1):
            rest = matrix[i, j] * (1.0 + damping if i == j else 1.0)
            for k in range(j):
                rest -= factor[i, k] * factor[j, k]
            if i == j:
                if rest <= 1e-12:
                    return False
                factor[i, i] = math.sqrt(rest)
            else:
                factor[i, j] = rest / factor[j, j]
    return True


@njit(cache=True)
def solved(factor: Floats, right: Floats, out: Floats) -> Any:
    """Fill out with the solution of factor factor' out = right."""
    for i in range(SIZE):
        rest = right[i]
        for k in range(i):
            rest -= factor[i, k] * out[k]
        out[i] = rest / factor[i, i]
    for i in range(SIZE - 1, -1, -1):
        rest = out[i]
        for k in range(i + 1, SIZE):
            rest -= factor[k, i] * out[k]
        out[i] = rest / factor[i, i]


@njit(cache=True)
def _stepped(theta: Floats, step: Floats, out: Floats) -> Any:
    """Fill out with theta + step, no coordinate moved by more than 1, within the bounds."""
    shrink = 1.0 / max(1.0, np.abs(step).max())
    for a in range(SIZE):
        out[a] = min(max(theta[a] + shrink * step[a], _BOUNDS[a, 0]), _BOUNDS[a, 1])


@njit(cache=True)
def climb(
    theta: Floats,
    left: int,
    right: int,
    edges: Floats,
    log_edges: Floats,
    counts: Floats,
    scale: Floats,
    prior: Floats,
    work: Any,
    most_steps: int,
    least_gain: float,
    information: Floats,
) -> tuple[float, float]:
    """Move theta to a mode of the posterior; returns log likelihood and log prior there, and fills information."""
    gradient, tried = np.empty(SIZE), np.empty(SIZE)
    gradient_tried, information_tried = np.empty(SIZE), np.empty((SIZE, SIZE))
    factor, step = np.zeros((SIZE, SIZE)), np.empty(SIZE)
    data, prior_height = log_posterior(
        theta, left, right, edges, log_edges, counts, scale, prior, work, gradient, information
    )
    damping = _FIRST_DAMPING
    for _ in range(most_steps):
        if not cholesky(information, damping, factor):
            damping = damping * _HARDER + 1e-8
            continue
        solved(factor, gradient, step)
        _stepped(theta, step, tried)
        data_tried, prior_tried = log_posterior(
            tried, left, right, edges, log_edges, counts, scale, prior, work, gradient_tried, information_tried
        )
        gain = data_tried + prior_tried - data - prior_height
        if gain <= 0.0 or math.isnan(gain):
            damping *= _HARDER
            if damping > _MOST_DAMPING:
                break
            continue
        theta[:], gradient[:], information[:] = tried, gradient_tried, information_tried
        data, prior_height = data_tried, prior_tried
        damping *= _EASIER
        if gain < least_gain:
            break
    return data, prior_height
