"""Right-hand sides of the models that are not the plain chain (compiled)."""

from __future__ import annotations

import math

from numba import njit

from leukopenia.forecast.tableau import COMPILED

QUARTINO, NAB_PACLITAXEL, RADIATION, REDISTRIBUTION, EXCHANGE, ARREST, GCSF_RECEPTORS = 0, 1, 2, 3, 4, 5, 6
STATES = (7, 8, 6, 4, 3, 2, 7)
CIRCULATING = (5, 7, 5, 0, 0, 0, 6)
"""The number of states of a family, and which one is the blood."""
DOSED = (-1, 0, 0, 3, 2, 1, 0)
"""The state a dose goes into; -1: the dose acts through the concentration."""

LN2 = 0.6931471805599453


@njit(**COMPILED)
def _quartino_start(p, y):
    circ0, mtt, half_removal, g0 = p[0], p[1], p[2], p[8]
    y[:5] = LN2 / half_removal * circ0 * mtt / 5.0
    y[5], y[6] = circ0, g0


@njit(**COMPILED)
def _quartino(y, p, drug, dy):
    """Endogenous G-CSF speeds proliferation and maturation; neutrophils remove it."""
    circ0, mtt, half_removal, gamma, beta, slope, ke, kanc, g0 = p
    ktr = 5.0 / mtt
    level = math.log(y[6] / g0)
    faster = ktr * math.exp(beta * level)
    dy[0] = ktr * y[0] * (1.0 - slope * drug) * math.exp(gamma * level) - faster * y[0]
    for n in range(1, 5):
        dy[n] = faster * (y[n - 1] - y[n])
    dy[5] = ktr * y[4] * math.exp(beta * level) - LN2 / half_removal * y[5]
    dy[6] = (ke + kanc * circ0) * g0 - (ke + kanc * y[5]) * y[6]


@njit(**COMPILED)
def _nab_start(p, y):
    y[:3] = 0.0
    y[3:] = p[0]


@njit(**COMPILED)
def _nab(y, p, infused, dy):
    """Saturable distribution and elimination; the chain of Friberg on the central concentration."""
    circ0, mtt, gamma, slope, v1, v2, v3, q3, vmtr, kmtr, vmel, kmel = p
    central, deep, shallow = y[0] / v1, y[1] / v2, y[2] / v3
    out = vmtr * central / (kmtr + central) - vmtr * deep / (kmtr + deep)
    flow = q3 * (central - shallow)
    dy[0] = infused - out - flow - vmel * central / (kmel + central)
    dy[1], dy[2] = out, flow
    ktr = 4.0 / mtt
    dy[3] = ktr * y[3] * ((1.0 - slope * central) * math.pow(circ0 / y[7], gamma) - 1.0)
    for n in range(4, 8):
        dy[n] = ktr * (y[n - 1] - y[n])


@njit(**COMPILED)
def _radiation_start(p, y):
    circ0, ktr, kcirc = p[0], p[1], p[2]
    y[0] = 0.0
    y[1:5] = kcirc * circ0 / ktr
    y[5] = circ0


@njit(**COMPILED)
def _radiation(y, p, dy):
    """The amount of radiation left kills mitotic cells; no feedback."""
    circ0, ktr, kcirc, kdecay, kkill, exponent = p
    dy[0] = -kdecay * y[0]
    dy[1] = kcirc * circ0 - ktr * y[1]
    dy[2] = ktr * y[1] - (ktr + kkill * math.pow(max(y[0], 0.0), exponent)) * y[2]
    dy[3] = ktr * (y[2] - y[3])
    dy[4] = ktr * (y[3] - y[4])
    dy[5] = ktr * y[4] - kcirc * y[5]


@njit(**COMPILED)
def _redistribution_start(p, y):
    y[0], y[1], y[2], y[3] = p[0], p[0] * p[1], p[0] * p[2], 0.0


@njit(**COMPILED)
def _exchange_start(p, y):
    y[0], y[1], y[2] = p[0], p[0] * p[1], 0.0


@njit(**COMPILED)
def _arrest_start(p, y):
    y[0], y[1] = p[0], 0.0


@njit(**COMPILED)
def _wave(t, height, peak, shape):
    """A signal that rises from 0 to its height at its peak and dies away."""
    return height * math.pow(t / peak, shape) * math.exp(shape * (1.0 - t / peak)) if t > 0.0 else 0.0


@njit(**COMPILED)
def _hill(dose, ed50, exponent):
    """The share of the greatest effect that a dose has."""
    return 1.0 / (1.0 + math.pow(ed50 / dose, exponent)) if dose > 0.0 else 0.0


@njit(**COMPILED)
def _redistribution(t, y, p, dy):
    """Cells stick to the vessel wall, then the reserve of the marrow is let out; t counts from the onset."""
    circ0, marginated, reserve, kcirc, kback, height, peak, release, release_peak, shape, ed50, exponent = p
    effect = _hill(y[3], ed50, exponent)
    rest = (kback + kcirc) * marginated
    from_reserve = kcirc * (1.0 + marginated) / reserve
    sticking = rest * (1.0 + _wave(t, effect * height, peak, 2.0)) * y[0]
    let_out = from_reserve * (1.0 + _wave(t, effect * release, release_peak, shape)) * y[2]
    dy[0] = let_out + kback * y[1] - sticking - kcirc * y[0]
    dy[1] = sticking - kback * y[1] - kcirc * y[1]
    dy[2] = from_reserve * reserve * circ0 - let_out
    dy[3] = 0.0


@njit(**COMPILED)
def _exchange(t, y, p, dy):
    """Cells leave the blood for a place outside it and come back; none is made or lost."""
    outside, kback, height, peak, shape, ed50, exponent = p[1:]
    leaving = kback * outside * (1.0 + _wave(t, _hill(y[2], ed50, exponent) * height, peak, shape)) * y[0]
    dy[0] = kback * y[1] - leaving
    dy[1] = leaving - kback * y[1]
    dy[2] = 0.0


@njit(**COMPILED)
def _arrest(y, p, dy):
    """A share of the inflow from the marrow is lost for good."""
    circ0, kcirc = p
    dy[0] = kcirc * ((1.0 - y[1]) * circ0 - y[0])
    dy[1] = 0.0


@njit(**COMPILED)
def _receptors_start(p, y):
    receptors, ktr, kcirc, per_cell = p[0], p[1], p[2], p[3]
    y[:2] = 0.0
    y[2:6] = receptors / (per_cell * ktr)
    y[6] = receptors / (per_cell * kcirc)


@njit(**COMPILED)
def _free(total, receptors, kd):
    """Free drug in equilibrium with its receptor; written so that a small root does not cancel."""
    q = total - receptors - kd
    root = math.sqrt(q * q + 4.0 * kd * total)
    return 0.5 * (q + root) if q > 0.0 else 2.0 * kd * total / (root - q)


@njit(**COMPILED)
def _receptors(y, p, infused, dy):
    """G-CSF on the receptors of neutrophils speeds production and transit, and is taken in with them."""
    made, ktr, kcirc, per_cell, more, faster, absorbed, ka, volume, cl, kd, taken_in = p
    total, receptors = max(y[1], 0.0) / volume, per_cell * y[6]
    free = _free(total, receptors, kd)
    bound = total - free
    dy[0] = infused - ka * y[0]
    dy[1] = absorbed * ka * y[0] - cl * free - taken_in * bound * volume
    moving = ktr * (1.0 + faster * bound / receptors)
    dy[2] = made / per_cell * (1.0 + more * bound / receptors) - moving * y[2]
    for n in range(3, 6):
        dy[n] = moving * (y[n - 1] - y[n])
    dy[6] = moving * y[5] - kcirc * y[6]


@njit(**COMPILED)
def start(family, p, y):
    """The state before treatment."""
    if family == QUARTINO:
        _quartino_start(p, y)
    elif family == NAB_PACLITAXEL:
        _nab_start(p, y)
    elif family == RADIATION:
        _radiation_start(p, y)
    elif family == REDISTRIBUTION:
        _redistribution_start(p, y)
    elif family == EXCHANGE:
        _exchange_start(p, y)
    elif family == ARREST:
        _arrest_start(p, y)
    else:
        _receptors_start(p, y)


@njit(**COMPILED)
def derivative(family, t, y, p, drug, infused, dy):
    """dy/dt. `t` counts from the first event; `drug` is the concentration, `infused` the amount given per hour."""
    if family == QUARTINO:
        _quartino(y, p, drug, dy)
    elif family == NAB_PACLITAXEL:
        _nab(y, p, infused, dy)
    elif family == RADIATION:
        _radiation(y, p, dy)
    elif family == REDISTRIBUTION:
        _redistribution(t, y, p, dy)
    elif family == EXCHANGE:
        _exchange(t, y, p, dy)
    elif family == ARREST:
        _arrest(y, p, dy)
    else:
        _receptors(y, p, infused, dy)
