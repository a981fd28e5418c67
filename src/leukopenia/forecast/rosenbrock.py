"""An adaptive Rosenbrock method of order 4 for stiff models, with its interpolant (compiled)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from leukopenia.forecast import tableau as tb
from leukopenia.forecast.families import derivative, start
from leukopenia.forecast.linear import factorise, solve
from leukopenia.forecast.modes import START, concentration
from leukopenia.forecast.tableau import COMPILED

FIRST_STEP = 1e-3
MOST_STEPS = 500_000
_ONE = np.ones(1)


class Work(NamedTuple):
    """Room for one step: slopes, a moved state, the new state, df/dt, the matrix with its pivots, the stages."""

    f: np.ndarray
    g: np.ndarray
    moved: np.ndarray
    z: np.ndarray
    by_time: np.ndarray
    matrix: np.ndarray
    pivots: np.ndarray
    u: np.ndarray


@njit(**COMPILED)
def _room(n):
    one = np.empty((1, n))
    return Work(
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        one,
        np.empty((n, n)),
        np.empty(n, np.int64),
        np.empty((6, n)),
    )


@njit(**COMPILED)
def _rhs(family, t, y, p, row, infused, origin, dy):
    derivative(family, t - origin, y, p, concentration(row, t), infused, dy)


@njit(**COMPILED)
def _jacobian(family, t, y, p, row, infused, origin, work):
    """Forward differences in the state and in time."""
    f, g, moved, jacobian, by_time = work.f, work.g, work.moved, work.matrix, work.by_time
    n = y.size
    for i in range(n):
        moved[i] = y[i]
    for j in range(n):
        moved[j] = y[j] + 1e-8 * max(abs(y[j]), 1e-5)
        step = moved[j] - y[j]
        _rhs(family, t, moved, p, row, infused, origin, g)
        for i in range(n):
            jacobian[i, j] = (g[i] - f[i]) / step
        moved[j] = y[j]
    step = 1e-7 * max(1.0, abs(t))
    _rhs(family, t + step, y, p, row, infused, origin, g)
    for i in range(n):
        by_time[0, i] = (g[i] - f[i]) / step


@njit(**COMPILED)
def _mixed(weights, factor, u, count, out):
    """Add a weighted sum of the first stages."""
    for s in range(count):
        for i in range(out.size):
            out[i] += factor * weights[s] * u[s, i]


@njit(**COMPILED)
def _prepare(h, work):
    """Factorise 1/(gamma h) - J."""
    matrix = work.matrix
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[0]):
            matrix[i, j] = -matrix[i, j]
        matrix[i, i] += 1.0 / (h * tb.GAMMA)
    factorise(matrix, work.pivots)


@njit(**COMPILED)
def _step(family, t, y, h, p, row, infused, origin, work):
    """One step: the stages and the new state into `work`."""
    u, z = work.u, work.z
    _rhs(family, t, y, p, row, infused, origin, work.f)
    _jacobian(family, t, y, p, row, infused, origin, work)
    _prepare(h, work)
    for s in range(6):
        z[:] = y
        _mixed(tb.RA[min(s, 4)], 1.0, u, min(s, 4), z)
        if s == 5:
            _mixed(_ONE, 1.0, u[4:5], 1, z)
        _rhs(family, t + tb.AHEAD[s] * h, z, p, row, infused, origin, u[s])
        _mixed(_ONE, h * tb.PUSH[s], work.by_time, 1, u[s])
        _mixed(tb.RC[s], 1.0 / h, u, s, u[s])
        solve(work.matrix, work.pivots, u[s])
    _mixed(_ONE, 1.0, u[5:6], 1, z)


@njit(**COMPILED)
def _error(y, z, e, rtol, atol):
    worst = 0.0
    for i in range(y.size):
        worst = max(worst, abs(e[i]) / (atol + rtol * max(abs(y[i]), abs(z[i]))))
        if not math.isfinite(z[i]):
            return 1e9
    return worst


@njit(**COMPILED)
def _read_off(out, times, at, t, h, y, work):
    """Write the states at the asked times of a step; the index of the first time after it."""
    bend, twist = work.f, work.g
    while at < times.size and times[at] <= t + h:
        s = (times[at] - t) / h
        bend[:], twist[:] = 0.0, 0.0
        _mixed(tb.RH2, 1.0, work.u, 5, bend)
        _mixed(tb.RH3, 1.0, work.u, 5, twist)
        for i in range(y.size):
            out[at, i] = y[i] * (1.0 - s) + s * (work.z[i] + (1.0 - s) * (bend[i] + s * twist[i]))
        at += 1
    return at


@njit(**COMPILED)
def _through(family, y, row, end, p, infused, origin, times, at, out, rtol, work):
    """Integrate over one segment, `y` in place; the index of the next asked time, -1 if it cannot be."""
    t = row[START]
    h = min(FIRST_STEP, end - t)
    for _ in range(MOST_STEPS):
        if t >= end:
            return at
        h = end - t if t + h * 1.0001 >= end else h
        _step(family, t, y, h, p, row, infused, origin, work)
        error = _error(y, work.z, work.u[5], rtol, rtol * 1e-6)
        if error <= 1.0:
            at = _read_off(out, times, at, t, h, y, work)
            y[:] = work.z
            t = end if t + h >= end * (1.0 - 1e-15) else t + h
        h *= min(6.0, max(0.2, 0.9 / math.sqrt(math.sqrt(error + 1e-12))))
        if h < 1e-14:
            return -1
    return -1


@njit(**COMPILED)
def solve_states(family, p, rows, bolus, infused, dosed, times, rtol, out):
    """All states of one person.

    Parameters
    ----------
    family : int
        See `leukopenia.forecast.families`.
    p : array
        Parameters in the order of the family.
    rows : array (m, 8)
        The concentration curve.
    bolus, infused : array (m,)
        What goes into the state `dosed` at the start of and during each segment.
    times : array (T,)
        Hours, sorted.
    out : array (T, n)
        Filled; NaN from where the equations could not be solved.
    """
    y, work = np.empty(out.shape[1]), _room(out.shape[1])
    start(family, p, y)
    at, origin = 0, rows[0, START]
    while at < times.size and times[at] <= origin:
        out[at] = y
        at += 1
    for n in range(rows.shape[0]):
        end = min(rows[n + 1, START] if n + 1 < rows.shape[0] else times[-1], times[-1])
        if dosed >= 0:
            y[dosed] += bolus[n]
        if at >= times.size or end <= rows[n, START]:
            break
        moved = _through(family, y, rows[n], end, p, infused[n], origin, times, at, out, rtol, work)
        if moved < 0:
            break
        at = moved
    out[at:] = math.nan
