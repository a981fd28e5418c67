"""Linear pharmacokinetics in closed form: doses -> the segments of a concentration curve (compiled).

A segment is a row of eight numbers: its start, the steady part of the concentration, three amplitudes and the three
rates with which they decay from the start of the segment, fastest first. An unused mode has amplitude 0.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from leukopenia.forecast.tableau import COMPILED

START, STEADY, AMPLITUDE, RATE, WIDTH = 0, 1, 2, 5, 8
V1, K10, K12, K21, K13, K31, KINETIC = 0, 1, 2, 3, 4, 5, 6
"""Columns of an array of pharmacokinetic constants; a compartment that is not there has rates 0."""


@njit(**COMPILED)
def _polished(x, a2, a1, a0):
    """Two steps of Newton on x^3 - a2 x^2 + a1 x - a0."""
    for _ in range(2):
        slope = (3.0 * x - 2.0 * a2) * x + a1
        if slope != 0.0:
            x -= (((x - a2) * x + a1) * x - a0) / slope
    return x


@njit(**COMPILED)
def _three_rates(k10, k12, k21, k13, k31):
    """Roots of the cubic of a mammillary system with two peripheral compartments, largest first."""
    a2 = k10 + k12 + k13 + k21 + k31
    a1 = k10 * (k21 + k31) + k21 * k31 + k12 * k31 + k13 * k21
    a0 = k10 * k21 * k31
    p = max(a2 * a2 / 9.0 - a1 / 3.0, 1e-300)
    q = a2 * a2 * a2 / 27.0 - a2 * a1 / 6.0 + a0 / 2.0
    angle = math.acos(min(1.0, max(-1.0, q / (p * math.sqrt(p))))) / 3.0
    radius = 2.0 * math.sqrt(p)
    first = _polished(a2 / 3.0 + radius * math.cos(angle), a2, a1, a0)
    second = _polished(a2 / 3.0 + radius * math.cos(angle - 2.0943951023931953), a2, a1, a0)
    third = _polished(a2 / 3.0 + radius * math.cos(angle + 2.0943951023931953), a2, a1, a0)
    return first, max(second, third), min(second, third)


@njit(**COMPILED)
def _two_rates(k10, k12, k21):
    total = k10 + k12 + k21
    first = 0.5 * (total + math.sqrt(max(total * total - 4.0 * k10 * k21, 0.0)))
    return first, k10 * k21 / first


@njit(**COMPILED)
def rates(pk):
    """The rates of decay, fastest first; 0 for a mode that is not there."""
    if pk[K13] > 0.0:
        return _three_rates(pk[K10], pk[K12], pk[K21], pk[K13], pk[K31])
    if pk[K12] > 0.0:
        first, second = _two_rates(pk[K10], pk[K12], pk[K21])
        return first, second, 0.0
    return pk[K10], 0.0, 0.0


@njit(**COMPILED)
def _share(x, y, z, pk):
    """The part of a unit in the central compartment that decays with the rate x, given the two other rates."""
    if x <= 0.0:
        return 0.0
    above, below = 1.0, 1.0
    if pk[K12] > 0.0:
        above *= pk[K21] - x
        below *= y - x
    if pk[K13] > 0.0:
        above *= pk[K31] - x
        below *= z - x
    return above / below


@njit(**COMPILED)
def _shares(decay, pk):
    x, y, z = decay
    return _share(x, y, z, pk), _share(y, x, z, pk), _share(z, x, y, pk)


@njit(**COMPILED)
def _peripheral(k_in, k_out, row, volume):
    """Amount in a peripheral compartment at the start of a segment, from the modes of the central one."""
    if k_in <= 0.0:
        return 0.0
    amount = row[STEADY] / k_out
    for mode in range(3):
        if row[RATE + mode] > 0.0:
            amount += row[AMPLITUDE + mode] / (k_out - row[RATE + mode])
    return k_in * volume * amount


@njit(**COMPILED)
def _advance(row, dt):
    """Let the modes of a segment decay for a time."""
    for mode in range(3):
        row[AMPLITUDE + mode] *= math.exp(-row[RATE + mode] * dt)


@njit(**COMPILED)
def _begin(row, pk, central, second, third, rate):
    """Fill a segment: amounts in the compartments and a rate of infusion -> steady part and amplitudes."""
    decay = rates(pk)
    share = _shares(decay, pk)
    row[STEADY] = 0.0
    for mode in range(3):
        x = decay[mode]
        row[RATE + mode] = x
        row[AMPLITUDE + mode] = 0.0
        if x > 0.0:
            held = central
            if pk[K12] > 0.0:
                held += second * pk[K21] / (pk[K21] - x)
            if pk[K13] > 0.0:
                held += third * pk[K31] / (pk[K31] - x)
            steady = rate * share[mode] / (x * pk[V1])
            row[STEADY] += steady
            row[AMPLITUDE + mode] = share[mode] * held / pk[V1] - steady


@njit(**COMPILED)
def fill_segments(out, starts, bolus, infused, pk, which):
    """The segments of one person.

    Parameters
    ----------
    out : array (m, 8)
        Filled.
    starts : array (m,)
        Where a segment begins, h; sorted.
    bolus : array (m,)
        Amount given at once at the start of each segment.
    infused : array (m,)
        Amount per hour given during each segment.
    pk : array (p, 6)
        Sets of pharmacokinetic constants.
    which : array (m,) of int
        The set in force in each segment. Amounts, not concentrations, go over from one set to the next.
    """
    central = second = third = 0.0
    for n in range(starts.size):
        if n > 0:
            last, old = out[n - 1].copy(), pk[which[n - 1]]
            _advance(last, starts[n] - starts[n - 1])
            central = old[V1] * (last[STEADY] + last[AMPLITUDE] + last[AMPLITUDE + 1] + last[AMPLITUDE + 2])
            second = _peripheral(old[K12], old[K21], last, old[V1])
            third = _peripheral(old[K13], old[K31], last, old[V1])
        out[n, START] = starts[n]
        _begin(out[n], pk[which[n]], central + bolus[n], second, third, infused[n])


@njit(**COMPILED)
def fill_cohort(out, starts, bolus, infused, pk):
    """The segments of many persons with one regimen and a set of constants each: `out` (n, m, 8), `pk` (n, 6)."""
    which = np.zeros(starts.size, np.int64)
    for person in range(pk.shape[0]):
        fill_segments(out[person], starts, bolus, infused, pk[person : person + 1], which)


@njit(**COMPILED)
def concentration(row, t):
    """Concentration at a time of a segment."""
    dt = t - row[START]
    total = row[STEADY]
    for mode in range(3):
        if row[AMPLITUDE + mode] != 0.0:
            total += row[AMPLITUDE + mode] * math.exp(-row[RATE + mode] * dt)
    return total
