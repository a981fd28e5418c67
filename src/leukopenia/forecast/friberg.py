"""The chain of Friberg and Karlsson with the drug effect in closed form (compiled).

Every state is divided by its value before treatment. The feedback (Circ0/Circ)^gamma is a state of its own, which
obeys F' = -gamma F Circ'/Circ: one division takes the place of a power. The integrator is the pair of Tsitouras with
its free interpolant; it stops where a segment of the concentration curve begins.
"""

from __future__ import annotations

import math

from numba import njit

from leukopenia.forecast import tableau as tb
from leukopenia.forecast.modes import AMPLITUDE, RATE, START, STEADY
from leukopenia.forecast.tableau import COMPILED

CIRC0, KTR, KCIRC, GAMMA, SLOPE, PER_EC50, KINETICS = 0, 1, 2, 3, 4, 5, 6
"""Columns of an array of kinetic constants; the effect is slope * C / (1 + C / EC50)."""

FIRST_STEP = 0.05
SMALLEST = 1e-100
"""Absolute tolerance: errors are relative, for cells that are almost gone grow back."""

MOST_STEPS = 200_000
FORGOTTEN = 36.0
"""A mode that has decayed for so many time constants is below 2.4e-16 of its amplitude."""


@njit(**COMPILED)
def _effect(segment, dt, slope, per_ec50):
    """Drug effect at dt hours after the start of the segment."""
    c, a1, a2, a3, x1, x2, x3 = segment
    if a1 != 0.0:
        c += a1 * math.exp(-x1 * dt)
    if a2 != 0.0:
        c += a2 * math.exp(-x2 * dt)
    if a3 != 0.0:
        c += a3 * math.exp(-x3 * dt)
    if per_ec50 > 0.0:
        return slope * c / (1.0 + c * per_ec50)
    return slope * c


@njit(**COMPILED)
def _remembered(segment, dt):
    """The segment without the modes that have died away."""
    c, a1, a2, a3, x1, x2, x3 = segment
    return (
        c,
        0.0 if x1 * dt > FORGOTTEN else a1,
        0.0 if x2 * dt > FORGOTTEN else a2,
        0.0 if x3 * dt > FORGOTTEN else a3,
        x1,
        x2,
        x3,
    )


@njit(**COMPILED)
def _slope_of(y, effect, ktr, kcirc, gamma):
    p, t1, t2, t3, w, f = y
    dw = kcirc * (t3 - w)
    return (
        ktr * p * ((1.0 - effect) * f - 1.0),
        ktr * (p - t1),
        ktr * (t1 - t2),
        ktr * (t2 - t3),
        dw,
        -gamma * f * dw / w,
    )


@njit(**COMPILED)
def _plus1(y, h, a, k):
    z = h * a
    return (y[0] + z * k[0], y[1] + z * k[1], y[2] + z * k[2], y[3] + z * k[3], y[4] + z * k[4], y[5] + z * k[5])


@njit(**COMPILED)
def _plus2(y, h, a, k, b, m):
    return _plus1(_plus1(y, h, a, k), h, b, m)


@njit(**COMPILED)
def _plus3(y, h, a, k, b, m, c, n):
    return _plus1(_plus2(y, h, a, k, b, m), h, c, n)


@njit(**COMPILED)
def _stages(y, k1, h, dt, segment, rates, slope, per_ec50):
    """One step of the pair: the new state and the slopes k2..k7."""
    ktr, kcirc, gamma = rates
    z = _plus1(y, h, tb.A21, k1)
    k2 = _slope_of(z, _effect(segment, dt + tb.C2 * h, slope, per_ec50), ktr, kcirc, gamma)
    z = _plus2(y, h, tb.A31, k1, tb.A32, k2)
    k3 = _slope_of(z, _effect(segment, dt + tb.C3 * h, slope, per_ec50), ktr, kcirc, gamma)
    z = _plus3(y, h, tb.A41, k1, tb.A42, k2, tb.A43, k3)
    k4 = _slope_of(z, _effect(segment, dt + tb.C4 * h, slope, per_ec50), ktr, kcirc, gamma)
    z = _plus1(_plus3(y, h, tb.A51, k1, tb.A52, k2, tb.A53, k3), h, tb.A54, k4)
    k5 = _slope_of(z, _effect(segment, dt + tb.C5 * h, slope, per_ec50), ktr, kcirc, gamma)
    z = _plus2(_plus3(y, h, tb.A61, k1, tb.A62, k2, tb.A63, k3), h, tb.A64, k4, tb.A65, k5)
    last = _effect(segment, dt + h, slope, per_ec50)
    k6 = _slope_of(z, last, ktr, kcirc, gamma)
    z = _plus3(_plus3(y, h, tb.B1, k1, tb.B2, k2, tb.B3, k3), h, tb.B4, k4, tb.B5, k5, tb.B6, k6)
    return z, k2, k3, k4, k5, k6, _slope_of(z, last, ktr, kcirc, gamma)


@njit(**COMPILED)
def _error_of(i, y, z, h, k, rtol, atol):
    k1, k2, k3, k4, k5, k6, k7 = k
    e = tb.E1 * k1[i] + tb.E2 * k2[i] + tb.E3 * k3[i] + tb.E4 * k4[i] + tb.E5 * k5[i] + tb.E6 * k6[i] + tb.E7 * k7[i]
    return h * abs(e) / (atol + rtol * z[i])


@njit(**COMPILED)
def _error(y, z, h, k, rtol, atol):
    """The largest estimated error in units of what is allowed; huge where a state is no longer positive."""
    if not min(min(z[0], z[1], z[2]), min(z[3], z[4], z[5])) > 0.0:
        return 1e9
    return max(
        max(_error_of(0, y, z, h, k, rtol, atol), _error_of(1, y, z, h, k, rtol, atol)),
        max(_error_of(2, y, z, h, k, rtol, atol), _error_of(3, y, z, h, k, rtol, atol)),
        max(_error_of(4, y, z, h, k, rtol, atol), _error_of(5, y, z, h, k, rtol, atol)),
    )


@njit(**COMPILED)
def _interpolant(h, k):
    """Coefficients of the circulating cells as a polynomial of the fraction of the step."""
    k1, k2, k3, k4, k5, k6, k7 = k[0][4], k[1][4], k[2][4], k[3][4], k[4][4], k[5][4], k[6][4]
    return (
        h * tb.R11 * k1,
        h * (tb.R12 * k1 + tb.R22 * k2 + tb.R32 * k3 + tb.R42 * k4 + tb.R52 * k5 + tb.R62 * k6 + tb.R72 * k7),
        h * (tb.R13 * k1 + tb.R23 * k2 + tb.R33 * k3 + tb.R43 * k4 + tb.R53 * k5 + tb.R63 * k6 + tb.R73 * k7),
        h * (tb.R14 * k1 + tb.R24 * k2 + tb.R34 * k3 + tb.R44 * k4 + tb.R54 * k5 + tb.R64 * k6 + tb.R74 * k7),
    )


@njit(**COMPILED)
def _read_off(out, times, at, t, h, w, k, circ0):
    """Write the counts at the asked times of a step; the index of the first time after it."""
    if at < times.size and times[at] <= t + h:
        q1, q2, q3, q4 = _interpolant(h, k)
        while at < times.size and times[at] <= t + h:
            s = (times[at] - t) / h
            out[at] = circ0 * (w + s * (q1 + s * (q2 + s * (q3 + s * q4))))
            at += 1
    return at


@njit(**COMPILED)
def _factor(error):
    """By how much the next step may be longer."""
    return min(5.0, max(0.2, 0.9 / math.sqrt(math.sqrt(error + 1e-12))))


@njit(**COMPILED)
def _through(y, row, end, theta, times, at, out, rtol, atol):
    """Integrate over one segment: the state at its end and the index of the next asked time; -1 if it cannot be."""
    segment = (
        row[STEADY],
        row[AMPLITUDE],
        row[AMPLITUDE + 1],
        row[AMPLITUDE + 2],
        row[RATE],
        row[RATE + 1],
        row[RATE + 2],
    )
    rates = (theta[KTR], theta[KCIRC], theta[GAMMA])
    slope, per_ec50, t0 = theta[SLOPE], theta[PER_EC50], row[START]
    t, h = t0, min(FIRST_STEP, end - t0)
    k1 = _slope_of(y, _effect(segment, 0.0, slope, per_ec50), *rates)
    for _ in range(MOST_STEPS):
        if t >= end:
            return y, at
        h = end - t if t + h * 1.0001 >= end else h
        z, k2, k3, k4, k5, k6, k7 = _stages(y, k1, h, t - t0, segment, rates, slope, per_ec50)
        k = (k1, k2, k3, k4, k5, k6, k7)
        error = _error(y, z, h, k, rtol, atol)
        if error <= 1.0:
            at = _read_off(out, times, at, t, h, y[4], k, theta[CIRC0])
            y, k1 = z, k7
            t = end if t + h >= end * (1.0 - 1e-15) else t + h
            segment = _remembered(segment, t - t0)
        h *= _factor(error)
        if h < 1e-12:
            return y, -1
    return y, -1


@njit(**COMPILED)
def solve_one(theta, segments, times, rtol, out):
    """Counts of one person.

    Parameters
    ----------
    theta : array (6,)
        Kinetic constants; see the columns above. Rates per hour.
    segments : array (m, 8)
        The concentration curve; see `leukopenia.forecast.modes`. Treatment begins where the first begins.
    times : array (T,)
        Hours, sorted.
    rtol : float
        Relative tolerance of a step.
    out : array (T,)
        Filled; NaN from where the equations could not be solved.
    """
    y = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    at = 0
    while at < times.size and times[at] <= segments[0, START]:
        out[at] = theta[CIRC0]
        at += 1
    for n in range(segments.shape[0]):
        end = segments[n + 1, START] if n + 1 < segments.shape[0] else times[-1]
        end = min(end, times[-1])
        if at >= times.size or end <= segments[n, START]:
            break
        y, moved = _through(y, segments[n], end, theta, times, at, out, rtol, SMALLEST)
        if moved < 0:
            break
        at = moved
    out[at:] = math.nan


@njit(**COMPILED)
def solve_many(theta, segments, times, rtol, out):
    """Counts of many persons: `theta` (n, 6), `segments` (n or 1, m, 8), `out` (n, T)."""
    shared = segments.shape[0] == 1
    for person in range(theta.shape[0]):
        solve_one(theta[person], segments[0 if shared else person], times, rtol, out[person])
