"""Robust limits for few persons: biweight location and spread (Horn, Pesce and Copeland 1998; CLSI EP28-A3c)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from leukopenia.reference.fit.power import STRONGEST, best_power, geometric_mean, restore, transform
from leukopenia.reference.fit.sample import Floats, Sample

NEAR, FAR = 3.7, 205.6
"""Tuning constants: of the location, and of the spread."""

_TO_SD = 0.6745
_ROUNDS = 100
_POWERS = np.linspace(-STRONGEST, STRONGEST, 61)


def robust_limits(
    sample: Sample, p: Floats, confidence: float, symmetric: bool, resamples: int, seed: int
) -> tuple[Floats, Floats, float]:
    """Robust prediction limits and their bootstrap intervals.

    The limits are T + t sqrt(s^2 + S^2): T is the biweight location (3.7), s the biweight spread (205.6), S the
    standard error of T, t the percentile of Student's distribution with n - 1 degrees of freedom. They take the
    distribution to be symmetric. Where it is not known to be, a Box-Cox transformation comes first; its power is
    estimated anew in each resample.

    Parameters
    ----------
    sample : Sample
    p : (m,) array
        Fractions of 1.
    confidence : float
        Of the percentile interval of the bootstrap.
    symmetric : bool
        No transformation.
    resamples, seed : int

    Returns
    -------
    limits : (m,) array
    intervals : (m, 2) array
    power : float
        1 where there was no transformation.
    """
    x = sample.expanded()
    if _half_are_equal(x):
        none = np.full(len(p), np.nan)
        return none, np.stack([none, none], axis=1), 1.0
    drawn = np.random.default_rng(seed).integers(0, len(x), (resamples, len(x)))
    if symmetric:
        limits, spread, power = biweight_limits(x[None], p), biweight_limits(x[drawn], p), 1.0
    else:
        power, scale = best_power(sample), geometric_mean(sample)
        limits = _on_power_scale(x[None] / scale, np.array([power]), p) * scale
        spread = _on_power_scale(x[drawn] / scale, _powers(x / scale, drawn), p) * scale
    tails = [50 * (1 - confidence), 50 * (1 + confidence)]
    return limits[0], np.nanpercentile(spread, tails, axis=0, method="closest_observation").T, power


def _half_are_equal(x: Floats) -> bool:
    return bool(np.median(np.abs(x - np.median(x))) == 0)


def biweight_limits(x: Floats, p: Floats) -> Floats:
    """The robust limits of each row.

    Parameters
    ----------
    x : (rows, n) array
    p : (m,) array

    Returns
    -------
    (rows, m) array
        NaN where half of a row or more are equal, for its spread is then not known.
    """
    n = x.shape[1]
    middle = np.median(x, axis=1, keepdims=True)
    deviation = np.median(np.abs(x - middle), axis=1, keepdims=True) / _TO_SD
    deviation[deviation == 0] = np.nan
    location = _location(x, middle, deviation)
    spread = _spread(x - middle, FAR * deviation) * np.sqrt(n)
    near = _spread(x - middle, NEAR * deviation) * np.sqrt(n)
    error = _spread(x - location, NEAR * near)
    return location + stats.t.ppf(p, n - 1) * np.hypot(spread, error)


def _location(x: Floats, start: Floats, deviation: Floats) -> Floats:
    """Weighted mean, each value by (1 - u^2)^2 of its distance u, until it stands still."""
    location = start
    for _ in range(_ROUNDS):
        weight = np.clip(1 - ((x - location) / (NEAR * deviation)) ** 2, 0, None) ** 2
        moved = (x * weight).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
        if np.nanmax(np.abs(moved - location) / deviation, initial=0.0) < 1e-9:
            return moved
        location = moved
    return location


def _spread(distance: Floats, reach: Floats) -> Floats:
    """Biweight standard error of values at these distances; those beyond reach do not count."""
    near = np.clip(1 - (distance / reach) ** 2, 0, None)
    square = 1 - near
    curve = (near * (1 - 5 * square)).sum(axis=1, keepdims=True)
    top = (near**4 * square).sum(axis=1, keepdims=True)
    return reach * np.sqrt(top / (curve * np.maximum(1, curve - 1)))


def _on_power_scale(x: Floats, powers: Floats, p: Floats) -> Floats:
    """The robust limits of each row, found on its own Box-Cox scale."""
    raised = powers[:, None]
    return restore(biweight_limits(transform(x, raised), p), raised)


def _powers(x: Floats, drawn: NDArray[np.int64]) -> Floats:
    """The best power of each resample: the best step, refined by a parabola through its neighbours."""
    n = len(x)
    times = np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(np.float64)
    y = np.stack([transform(x, power) for power in _POWERS], axis=1)
    variance = np.maximum(times @ y**2 / n - (times @ y / n) ** 2, 1e-300)
    likelihood = -n / 2 * np.log(variance) + np.outer(times @ np.log(x), _POWERS - 1)
    best = np.clip(likelihood.argmax(axis=1), 1, len(_POWERS) - 2)
    before, at, after = (likelihood[np.arange(len(drawn)), best + step] for step in (-1, 0, 1))
    bend = np.maximum(2 * at - before - after, 1e-12)
    return _POWERS[best] + (_POWERS[1] - _POWERS[0]) * np.clip((after - before) / (2 * bend), -1, 1)
