"""L, M and S as smooth functions of age, by weighted maximum likelihood on rounded values.

Cole and Green (1992): z = ((x/M)^L - 1)/(L S) is standard normal, and L, log M and log S are splines in the logarithm
of age. Here each value counts as the cell it was rounded to, and values beyond the first and last per cent of their age
band count only as lying beyond it: how far out a person with leukaemia lies says nothing of the limits. Standard errors
are those of a survey (Binder 1983): the scores are summed over primary sampling units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize
from scipy.stats import norm
from survey import Numbers, Sample, distribution, edges, variance_of_total

_BEYOND = (0.01, 0.99)
_LEAST = 1e-12

Knots = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Fit:
    """A fitted curve: knots, coefficients and their covariance."""

    knots: Knots
    coefficients: Numbers
    covariance: Numbers

    def at(self, age: Numbers) -> dict[str, Numbers]:
        """L, M and S at each age with standard errors, and the 2.5th and 97.5th percentile with theirs."""
        bases = _bases(age, self.knots)
        told = {}
        for name, value in zip("lms", _parts(self.coefficients, bases), strict=True):
            told[name] = value if name == "l" else np.exp(value)
        for name in "lms":
            told[f"{name}_se"] = self._error(bases, lambda parts, name=name: _named(parts)[name])
        for name, share in (("low", 0.025), ("high", 0.975)):
            z = float(norm.ppf(share))
            told[name] = quantile(*(told[part] for part in "lms"), z)
            told[f"{name}_se"] = self._error(bases, lambda parts, z=z: quantile(*_named(parts).values(), z))
        return told

    def _error(self, bases: list[Numbers], told: Callable[[list[Numbers]], Numbers]) -> Numbers:
        """Delta method with central differences in the coefficients."""
        steps = 1e-5 * np.eye(len(self.coefficients))
        slope = np.array(
            [
                (told(_parts(self.coefficients + step, bases)) - told(_parts(self.coefficients - step, bases))) / 2e-5
                for step in steps
            ]
        )
        return np.sqrt(np.einsum("ia,ij,ja->a", slope, self.covariance, slope))


def _named(parts: list[Numbers]) -> dict[str, Numbers]:
    return {"l": parts[0], "m": np.exp(parts[1]), "s": np.exp(parts[2])}


def quantile(l: Numbers, m: Numbers, s: Numbers, z: float) -> Numbers:  # noqa: E741
    """The value at a z-score."""
    power = np.where(np.abs(l) < 1e-6, 1e-6, l)
    return m * np.maximum(1 + power * s * z, _LEAST) ** (1 / power)


def fit(sample: Sample, age: Numbers, bands: tuple[float, ...], knots: Knots) -> Fit:
    """L, M and S by age.

    Parameters
    ----------
    sample : Sample
        Positive values.
    age : array of float
        Age of each person, years.
    bands : tuple of float
        Ages at which the band changes within which the first and last per cent are found.
    knots : three tuples of float
        Ages of the knots of L, log M and log S; a spline has as many coefficients as knots.
    """
    low, high = _cells(sample, age, bands)
    bases = _bases(age, knots)
    share = sample.weight / sample.weight.sum()

    def loss(theta: Numbers) -> tuple[float, Numbers]:
        likelihood, scores = _scores(theta, bases, low, high)
        return -float(share @ likelihood), -(share @ scores)

    found = minimize(loss, _start(sample, bases), jac=True, method="BFGS", options={"gtol": 1e-7, "maxiter": 2000})
    _, scores = _scores(found.x, bases, low, high)
    meat = variance_of_total(share[:, None] * scores, sample)
    bread = np.linalg.inv(_curvature(lambda theta: loss(theta)[1], found.x))
    return Fit(knots, found.x, bread @ meat @ bread.T)


def _cells(sample: Sample, age: Numbers, bands: tuple[float, ...]) -> tuple[Numbers, Numbers]:
    """The cell of each value; open beyond the first and last per cent of its age band."""
    low, high = edges(sample.value, sample.cell)
    band = np.searchsorted(bands, age, side="right")
    for number in np.unique(band):
        here = band == number
        position, below = distribution(sample.only(here))
        first, last = np.interp(_BEYOND, below, position)
        under, over = here & (high <= first), here & (low >= last)
        high[under], low[under] = high[under].max(initial=first), 0.0
        low[over], high[over] = low[over].min(initial=last), np.inf
    return low, high


def _start(sample: Sample, bases: list[Numbers]) -> Numbers:
    logs = np.log(np.maximum(sample.value, sample.cell / 2))
    sizes = [basis.shape[1] for basis in bases]
    return np.concatenate(
        [np.full(sizes[0], 0.2), np.full(sizes[1], np.median(logs)), np.full(sizes[2], np.log(np.std(logs)))]
    )


def _bases(age: Numbers, knots: Knots) -> list[Numbers]:
    """Natural cubic splines in the logarithm of age, one coefficient a knot: its value there."""
    return [_natural(np.log(age), np.log(places)) for places in knots]


def _natural(x: Numbers, places: Numbers) -> Numbers:
    if len(places) == 1:
        return np.ones((len(x), 1))
    inside = np.clip(x, places[0], places[-1])
    if len(places) == 2:
        right = (inside - places[0]) / (places[1] - places[0])
        return np.column_stack([1 - right, right])
    return CubicSpline(places, np.eye(len(places)), bc_type="natural")(inside)


def _parts(theta: Numbers, bases: list[Numbers]) -> list[Numbers]:
    ends = np.cumsum([basis.shape[1] for basis in bases])
    return [basis @ part for basis, part in zip(bases, np.split(theta, ends[:-1]), strict=True)]


def _scores(theta: Numbers, bases: list[Numbers], low: Numbers, high: Numbers) -> tuple[Numbers, Numbers]:
    """Log likelihood of each cell, and its derivative by each coefficient, shape (persons, coefficients)."""
    parts = _parts(theta, bases)
    (z_low, slopes_low), (z_high, slopes_high) = _z(low, parts), _z(high, parts)
    mass = np.maximum(norm.cdf(z_high) - norm.cdf(z_low), _LEAST)
    at_low, at_high = norm.pdf(z_low) / mass, norm.pdf(z_high) / mass
    by_part = [at_high * up - at_low * down for up, down in zip(slopes_high, slopes_low, strict=True)]
    return np.log(mass), np.hstack([basis * part[:, None] for basis, part in zip(bases, by_part, strict=True)])


def _z(x: Numbers, parts: list[Numbers]) -> tuple[Numbers, tuple[Numbers, Numbers, Numbers]]:
    """z of an edge and its derivatives by L, log M and log S; an open edge moves nothing."""
    power, log_m, log_s = parts
    open_ = (x <= 0) | np.isinf(x)
    logs = np.where(open_, 0.0, np.log(np.where(open_, 1.0, x)) - log_m)
    y = np.clip(power * logs, -30, 30)
    small = np.abs(y) < 1e-4
    safe = np.where(small, 1.0, y)
    scale = np.exp(-log_s)
    z = logs * np.where(small, 1 + y / 2, np.expm1(safe) / safe) * scale
    curve = np.where(small, 0.5 + y / 3, (np.exp(safe) * (safe - 1) + 1) / safe**2)
    slopes = (logs**2 * curve * scale, -np.exp(y) * scale, -z)
    ends = np.where(x <= 0, -np.inf, np.inf)
    zero = np.zeros_like(x)
    by_l, by_m, by_s = (np.where(open_, zero, slope) for slope in slopes)
    return np.where(open_, ends, z), (by_l, by_m, by_s)


def _curvature(gradient: Callable[[Numbers], Numbers], at: Numbers) -> NDArray[np.float64]:
    steps = 1e-4 * np.eye(len(at))
    rows = np.array([(gradient(at + step) - gradient(at - step)) / 2e-4 for step in steps])
    return (rows + rows.T) / 2
