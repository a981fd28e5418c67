"""The Box-Cox transformation: its power by likelihood, from persons or from values and counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

from leukopenia.reference.fit.sample import Floats, Sample

STRONGEST = 3.0
"""Powers are sought from minus this to plus this."""

_NO_POWER = 1e-9


def transform(x: Floats, power: float | Floats) -> Floats:
    """(x^power - 1) / power; the logarithm for power 0. x is above 0."""
    log = np.log(x)
    bend = np.where(np.abs(power) < _NO_POWER, _NO_POWER, power)
    return np.where(np.abs(power) < _NO_POWER, log, np.expm1(bend * log) / bend)


def restore(y: Floats, power: float | Floats) -> Floats:
    """The inverse of `transform`; 0 (or infinity, for negative powers) beyond its range."""
    bend = np.where(np.abs(power) < _NO_POWER, _NO_POWER, power)
    inside = 1 + bend * y
    back = np.exp(np.log1p(np.where(inside <= 0, 0.0, bend * y)) / bend)
    beyond = np.where(bend > 0, 0.0, np.inf)
    return np.where(np.abs(power) < _NO_POWER, np.exp(y), np.where(inside <= 0, beyond, back))


def log_likelihood(x: Floats, counts: Floats, power: float) -> float:
    """Profile log-likelihood of a power (Box and Cox 1964), for x with a geometric mean of 1."""
    y = transform(x, power)
    n = counts.sum()
    mean = (counts * y).sum() / n
    return float(-n / 2 * np.log((counts * (y - mean) ** 2).sum() / n))


def best_power(sample: Sample) -> float:
    """The power with the highest likelihood; values are above 0 and not all equal."""
    counts = sample.counts.astype(np.float64)
    x = sample.values / geometric_mean(sample)
    found = optimize.minimize_scalar(
        lambda power: -log_likelihood(x, counts, power),
        bounds=(-STRONGEST, STRONGEST),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(found.x)


def geometric_mean(sample: Sample) -> float:
    """The geometric mean of all persons."""
    return float(np.exp((sample.counts * np.log(sample.values)).sum() / sample.n))


def power_interval(sample: Sample, power: float, confidence: float = 0.95) -> tuple[float, float]:
    """The powers that the likelihood ratio does not rule out."""
    counts = sample.counts.astype(np.float64)
    x = sample.values / geometric_mean(sample)
    least = log_likelihood(x, counts, power) - stats.chi2.ppf(confidence, 1) / 2

    def above(other: float) -> float:
        return log_likelihood(x, counts, other) - least

    return _crossing(above, power, -STRONGEST), _crossing(above, power, STRONGEST)


def _crossing(above: Callable[[float], float], start: float, end: float) -> float:
    return end if above(end) >= 0 else float(optimize.brentq(above, start, end))
