"""Counts of one person against the chain: objective, gradient, and its mode (compiled).

The objective is minus twice the joint log density of counts and person effects, without the constant n log 2 pi, as
NONMEM counts it. Every prediction enters by its logarithm.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from leukopenia.forecast.friberg import solve_one
from leukopenia.forecast.linear import factorise, log_determinant, solve
from leukopenia.forecast.tableau import COMPILED

PROPORTIONAL, LOG_ADDITIVE = 0, 1
HUGE = 1e30
DIFFERENCE = 1e-3
"""Half the width of the central differences in a person effect."""

MOST_ITERATIONS = 60
CLOSE = 1e-7


@njit(**COMPILED)
def constants_of(theta, loading, eta, out):
    """Constants of a person: those of the card times exp(loading @ eta)."""
    for i in range(theta.size):
        total = 0.0
        for j in range(eta.size):
            total += loading[i, j] * eta[j]
        out[i] = theta[i] * math.exp(total)


@njit(**COMPILED)
def predict_logs(theta, loading, eta, segments, times, rtol, own, out):
    """Logarithms of the counts at the times; `own` holds the constants."""
    constants_of(theta, loading, eta, own)
    solve_one(own, segments, times, rtol, out)
    for j in range(out.size):
        out[j] = math.log(out[j]) if out[j] > 0.0 else math.nan


@njit(**COMPILED)
def _log_below(z):
    """log of the normal distribution function, also far out."""
    if z > -30.0:
        return math.log(0.5 * math.erfc(-z * 0.7071067811865476))
    return -0.5 * z * z - math.log(-z) - 0.9189385332046727


@njit(**COMPILED)
def _hazard(z):
    """Density over distribution function of the normal."""
    return math.exp(-0.5 * z * z - 0.9189385332046727 - _log_below(z))


@njit(**COMPILED)
def _term(g, y, below, form, sd):
    """Of one count: its part of the objective, half the derivative by the log prediction, and the information."""
    if form == PROPORTIONAL:
        ratio = y * math.exp(-g)
        z, dz, spread = (ratio - 1.0) / sd, -ratio / sd, 2.0 * (g + math.log(sd))
        more, information = 1.0, 1.0 / (sd * sd) + 2.0
    else:
        z, dz, spread = (math.log(y) - g) / sd, -1.0 / sd, 2.0 * math.log(sd)
        more, information = 0.0, 1.0 / (sd * sd)
    if below:
        hazard = _hazard(z)
        return -2.0 * _log_below(z), -hazard * dz, hazard * (hazard + z) * dz * dz
    return spread + z * z, more + z * dz, information


@njit(**COMPILED)
def distance(logs, y, below, form, sd):
    """Sum of squared weighted residuals; a count below detection adds only what its prediction is above the limit."""
    total = 0.0
    for j in range(y.size):
        z = (y[j] * math.exp(-logs[j]) - 1.0) / sd if form == PROPORTIONAL else (math.log(y[j]) - logs[j]) / sd
        total += z * z if not below[j] or z < 0.0 else 0.0
    return total


@njit(**COMPILED)
def of_counts(logs, y, below, form, sd):
    """The part of the objective that the counts bring; below the limit of detection by the chance to be there."""
    total = 0.0
    for j in range(y.size):
        if not math.isfinite(logs[j]):
            return HUGE
        total += _term(logs[j], y[j], below[j], form, sd)[0]
    return total


@njit(**COMPILED)
def of_effects(eta, precision):
    """The part of the objective that the spread between people brings, without its determinant."""
    total = 0.0
    for i in range(eta.size):
        total += precision[i] * eta[i] * eta[i]
    return total


@njit(**COMPILED)
def _sensitivities(theta, loading, eta, segments, times, rtol, out):
    """d log prediction / d eta (T, k) by central differences."""
    moved, own = eta.copy(), np.empty(theta.size)
    up, down = np.empty(times.size), np.empty(times.size)
    for k in range(eta.size):
        moved[k] = eta[k] + DIFFERENCE
        predict_logs(theta, loading, moved, segments, times, rtol, own, up)
        moved[k] = eta[k] - DIFFERENCE
        predict_logs(theta, loading, moved, segments, times, rtol, own, down)
        moved[k] = eta[k]
        for j in range(times.size):
            out[j, k] = (up[j] - down[j]) / (2.0 * DIFFERENCE)


@njit(**COMPILED)
def _slope_and_information(logs, sensitivity, eta, precision, y, below, form, sd, slope, information):
    """Half the gradient of the objective, and the expected half Hessian."""
    information[:, :] = 0.0
    for a in range(eta.size):
        slope[a] = precision[a] * eta[a]
        information[a, a] = precision[a]
    for j in range(y.size):
        _, first, second = _term(logs[j], y[j], below[j], form, sd)
        for a in range(eta.size):
            slope[a] += first * sensitivity[j, a]
            for b in range(eta.size):
                information[a, b] += second * sensitivity[j, a] * sensitivity[j, b]


@njit(**COMPILED)
def _proposed(eta, slope, information, damping):
    """A damped step of Levenberg and Marquardt from the current effects."""
    matrix, pivots, step = information.copy(), np.empty(eta.size, np.int64), -slope
    for a in range(eta.size):
        matrix[a, a] *= 1.0 + damping
    factorise(matrix, pivots)
    solve(matrix, pivots, step)
    for a in range(eta.size):
        step[a] = eta[a] + min(1.0, max(-1.0, step[a]))
    return step


@njit(**COMPILED)
def find_mode(theta, loading, precision, segments, times, y, below, form, sd, rtol, eta, information):
    """Move `eta` to the mode of the objective and fill the `information` there (k, k).

    Parameters
    ----------
    theta : array (6,)
        Constants of a person without effects.
    loading : array (6, k)
        How the logarithms of the constants move with the effects.
    precision : array (k,)
        One over the variances of the effects.
    segments : array (m, 8)
    times, y : array (T,)
        Counts; where `below`, y is the limit of detection.
    form : int
    sd : float
        Residual standard deviation.
    eta : array (k,)
        The start; moved.

    Returns
    -------
    float
        The objective at the mode; huge if the equations could not be solved.
    """
    own, logs, slope = np.empty(theta.size), np.empty(times.size), np.empty(eta.size)
    sensitivity = np.empty((times.size, eta.size))
    predict_logs(theta, loading, eta, segments, times, rtol, own, logs)
    best = of_counts(logs, y, below, form, sd) + of_effects(eta, precision)
    damping, fresh = 1e-4, True
    for _ in range(MOST_ITERATIONS):
        if fresh:
            _sensitivities(theta, loading, eta, segments, times, rtol, sensitivity)
            _slope_and_information(logs, sensitivity, eta, precision, y, below, form, sd, slope, information)
        moved = _proposed(eta, slope, information, damping)
        length = np.abs(moved - eta).max()
        predict_logs(theta, loading, moved, segments, times, rtol, own, logs)
        value = of_counts(logs, y, below, form, sd) + of_effects(moved, precision)
        fresh = value <= best
        if fresh:
            eta[:], best, damping = moved, value, damping * 0.1
        else:
            damping = max(damping, 1e-3) * 8.0
        if length < CLOSE or damping > 1e8:
            break
    _sensitivities(theta, loading, eta, segments, times, rtol, sensitivity)
    predict_logs(theta, loading, eta, segments, times, rtol, own, logs)
    _slope_and_information(logs, sensitivity, eta, precision, y, below, form, sd, slope, information)
    return best


@njit(**COMPILED)
def laplace(objective, information, precision):
    """Minus twice the log marginal likelihood by the expected Hessian at the mode: FOCE with interaction."""
    total = objective + log_determinant(information)
    for a in range(precision.size):
        total -= math.log(precision[a])
    return total


@njit(**COMPILED)
def objectives(theta, loading, precision, etas, segments, times, seen, y, below, form, sd, rtol, logs, out):
    """The objective of many draws of effects (n, k), and their log predictions (n, T) at all `times`.

    `seen` (int) says at which of the times the counts stand.
    """
    own, here = np.empty(theta.size), np.empty(seen.size)
    for n in range(etas.shape[0]):
        predict_logs(theta, loading, etas[n], segments, times, rtol, own, logs[n])
        for j in range(seen.size):
            here[j] = logs[n, seen[j]]
        out[n] = of_counts(here, y, below, form, sd) + of_effects(etas[n], precision)
