"""Parametric limits: the normal distribution on a Box-Cox scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from leukopenia.reference.fit.power import best_power, geometric_mean, restore, transform
from leukopenia.reference.fit.sample import Floats, Sample

_STEP = 1e-3


def normal_limits(sample: Sample, p: Floats, confidence: float, power: float | None) -> tuple[Floats, Floats, float]:
    """Percentiles mean + z sd of the transformed results, and their intervals.

    The standard error of a limit on the transformed scale is sd sqrt(1/n + z^2 / 2(n-1)). Where the power is
    estimated too, what its own error adds is taken from the observed information of power, mean and sd.

    Parameters
    ----------
    sample : Sample
        Above 0 where the power is not 1.
    p : (m,) array
        Fractions of 1.
    confidence : float
    power : float or None
        1: no transformation; 0: logarithm; None: estimated.

    Returns
    -------
    limits : (m,) array
    intervals : (m, 2) array
    power : float
        The one used.
    """
    used = best_power(sample) if power is None else power
    scale = geometric_mean(sample) if used != 1 else 1.0
    x, n = sample.values / scale, sample.n
    y = transform(x, used) if used != 1 else x
    mean = (sample.counts * y).sum() / n
    sd = np.sqrt((sample.counts * (y - mean) ** 2).sum() / (n - 1))
    z = stats.norm.ppf(p)
    error = sd * np.sqrt(1 / n + z**2 / (2 * (n - 1)))
    if power is None:
        error = np.hypot(error, _power_error(x, sample.counts, used, mean, sd, z))
    reach = stats.norm.ppf((1 + confidence) / 2) * error
    centre = mean + z * sd
    back = (lambda v: restore(v, used)) if used != 1 else (lambda v: v)
    ends = np.stack([back(centre - reach), back(centre + reach)], axis=1)
    return back(centre) * scale, ends * scale, used


def _power_error(x: Floats, counts: NDArray[np.int64], power: float, mean: float, sd: float, z: Floats) -> Floats:
    """What the error of the power adds to a limit, on the transformed scale at the estimated power.

    With another power, mean and sd follow it; the limit moves on the scale of the results by the slope below.
    """
    n = counts.sum()

    def at(other: float) -> tuple[Floats, float]:
        y = transform(x, other)
        centre = (counts * y).sum() / n
        spread = np.sqrt((counts * (y - centre) ** 2).sum() / n)
        return restore(centre + z * spread, other), -n * np.log(spread)

    lower, middle, upper = at(power - _STEP), at(power), at(power + _STEP)
    information = -(lower[1] - 2 * middle[1] + upper[1]) / _STEP**2
    slope = (upper[0] - lower[0]) / (2 * _STEP)
    stretch = middle[0] ** (power - 1)
    return np.abs(slope * stretch) / np.sqrt(max(information, 1e-12))
