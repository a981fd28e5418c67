"""The compiled inner loop of the marrow model; `physiology` says what it solves."""

from __future__ import annotations

import math

import numba
import numpy as np

PRODUCTION, KILL, DESTRUCTION, MARGINATION, RELEASE, ACTIVITY = range(6)
"""Columns of the inputs."""

LINES = ("neutrophils", "lymphocytes", "monocytes", "platelets", "haemoglobin")
"""Columns of the answer."""

_LEAST = 1e-6


@numba.njit(cache=True)
def run(inputs, step, system, depths, speeds):
    """Counts in time, each as a share of the person's own usual count.

    Parameters
    ----------
    inputs : ndarray of float64, shape (n, 6)
        What holds during each step: production factor, mean drug kill, extra destruction, marginated over circulating
        neutrophils, extra release, and how active the cause is on the other lines (0 to 1).
    step : float
        Hours of a step.
    system : tuple of float
        Transit and reserve release (1/h), removal from the blood (1/h), feedback exponent, share of the proliferating
        cells that comes from stem cells.
    depths, speeds : ndarray of float64, shape (4,)
        Of lymphocytes, monocytes, platelets and haemoglobin: the level under full activity and the rate (1/h) of
        approach to it.

    Returns
    -------
    ndarray of float64, shape (n + 1, 5)
        One row for the start and the end of each step; columns as LINES.
    """
    transit, leaving, removal, gamma, stem = system
    n = inputs.shape[0]
    out = np.ones((n + 1, 5))
    proliferating = maturing = ripe = reserve = blood = 1.0
    passed = math.exp(-transit * step)
    left = np.exp(-speeds * step)
    feedback = before = 1.0
    out[0, 0] = 2.0 / (1.0 + inputs[0, MARGINATION])
    for i in range(n):
        circulating = max(2.0 * blood / (1.0 + inputs[i, MARGINATION]), _LEAST)
        before, feedback = feedback, math.exp(-gamma * math.log(circulating))
        drive = (1.5 * feedback - 0.5 * before if i else feedback) * inputs[i, PRODUCTION] * (1.0 - inputs[i, KILL])
        growth = transit * ((1.0 - stem) * drive - 1.0)
        grown = math.exp(growth * step)
        fed = transit * stem * max(drive, 0.0) * ((grown - 1.0) / growth if abs(growth) > 1e-9 else step)
        divided = proliferating * grown + fed
        matured = maturing * passed + 0.5 * (proliferating + divided) * (1.0 - passed)
        ripened = ripe * passed + 0.5 * (maturing + matured) * (1.0 - passed)
        if i == 0 or inputs[i, RELEASE] != inputs[i - 1, RELEASE]:
            rate = 1.0 + inputs[i, RELEASE]
            kept = math.exp(-leaving * rate * step)
        stored = reserve * kept + 0.5 * (ripe + ripened) * (1.0 - kept) / rate
        if i == 0 or inputs[i, DESTRUCTION] != inputs[i - 1, DESTRUCTION]:
            loss = 1.0 + inputs[i, DESTRUCTION]
            stays = math.exp(-removal * loss * step)
        blood = blood * stays + 0.5 * rate * (reserve + stored) * (1.0 - stays) / loss
        proliferating, maturing, ripe, reserve = divided, matured, ripened, stored
        out[i + 1, 0] = max(2.0 * blood / (1.0 + inputs[i, MARGINATION]), _LEAST)
        for line in range(4):
            level = 1.0 - (1.0 - depths[line]) * inputs[i, ACTIVITY]
            out[i + 1, line + 1] = level + (out[i, line + 1] - level) * left[line]
    return out
