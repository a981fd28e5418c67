"""Mode -> draws of a person's effects with weights: importance sampling around the mode, checked and mended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from leukopenia.forecast import likelihood
from leukopenia.forecast.person import Mode, Problem
from leukopenia.forecast.regimen import Array
from leukopenia.forecast.solving import share

DRAWS = 4000

WORST_SHAPE = 0.7
"""Above it importance weights are not to be trusted (Vehtari and others, Pareto smoothed importance sampling)."""

ROUNDS = 4
RTOL = 1e-5
"""Of the solutions of draws: a hundred times below the smallest residual error of any card."""

_MAX_AT_ONCE = 500


def spread_evenly(n: int, k: int, random: np.random.Generator) -> Array:
    """n points (n, k) that fill the unit cube evenly, moved together by a random shift.

    Multiples of k irrational numbers modulo 1 (a Kronecker sequence, Niederreiter 1992), here powers of the root of
    x^(k+1) = x + 1. Averages over them are closer to the integral than averages over independent points.
    """
    root = 1.5
    for _ in range(60):
        root = (1.0 + root) ** (1.0 / (k + 1))
    steps = root ** -np.arange(1.0, k + 1)
    return np.asarray((random.random(k) + np.arange(n)[:, None] * steps) % 1.0)


@dataclass(frozen=True)
class Proposal:
    """A distribution to draw effects from: along each column of `factor` a t with 4 degrees of freedom.

    Its tails are heavier than the posterior's, and its quantiles have a closed form.
    """

    mean: Array
    factor: Array

    def draw(self, n: int, random: np.random.Generator) -> Array:
        """n draws (n, k), spread evenly."""
        p = np.clip(spread_evenly(n, self.mean.size, random), 1e-12, 1.0 - 1e-12)
        root = np.sqrt(4.0 * p * (1.0 - p))
        z = np.sign(p - 0.5) * 2.0 * np.sqrt(np.maximum(np.cos(np.arccos(root) / 3.0) / root - 1.0, 0.0))
        return np.asarray(self.mean + z @ self.factor.T)

    def log_density(self, x: Array) -> Array:
        """Of rows of x."""
        z = np.linalg.solve(self.factor, (x - self.mean).T)
        scale = np.log(np.diag(self.factor)).sum()
        return np.asarray(self.mean.size * math.log(0.375) - 2.5 * np.log1p(0.25 * z * z).sum(axis=0) - scale)


@dataclass(frozen=True)
class Posterior:
    """Draws of a person's effects.

    Attributes
    ----------
    eta : array (n, k)
    weights : array (n,)
        They add to 1.
    logs : array (n, T)
        Logarithms of the counts at the asked times.
    shape : float
        k-hat: the tail of the weights; up to 0.7 they can be trusted.
    effective : float
        How many equally weighted draws they are worth.
    log_evidence : float
        Logarithm of the marginal likelihood of the counts, in the units of the counts.
    """

    eta: Array
    weights: Array
    logs: Array
    shape: float
    effective: float
    log_evidence: float

    @property
    def trusted(self) -> bool:
        """Whether the weights may be used."""
        return self.shape <= WORST_SHAPE


def pareto_shape(log_weights: Array) -> float:
    """k-hat of importance weights.

    Parameters
    ----------
    log_weights : array (n,)
        Up to a constant.

    Returns
    -------
    float
        The shape of a generalised Pareto distribution over the largest weights, by the estimator of Zhang and
        Stephens (2009) with the weak prior of Vehtari and others (2024); infinite for weights that are not finite.
    """
    finite = log_weights[np.isfinite(log_weights)]
    n = finite.size
    tail = int(min(0.2 * n, 3 * math.sqrt(n)))
    if tail < 5:
        return math.inf
    ordered = np.sort(finite)
    cut = ordered[-tail - 1]
    over = np.exp(ordered[-tail:] - ordered[-1]) - math.exp(cut - ordered[-1])
    if over[-1] <= 0:
        return -math.inf
    return _zhang_stephens(np.maximum(over, 1e-300))


def _zhang_stephens(x: Array) -> float:
    """Shape of a generalised Pareto distribution from sorted exceedances."""
    n = x.size
    m = 30 + int(math.sqrt(n))
    quartile = x[int(n / 4 + 0.5) - 1]
    b = 1 / x[-1] + (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * quartile)
    k = np.log1p(-b[:, None] * x).mean(axis=1)
    profile = n * (np.log(-b / k) - k - 1)
    weight = 1 / np.exp(profile - profile[:, None]).sum(axis=1)
    shape = np.log1p(-(b * weight).sum() / weight.sum() * x).mean()
    return float((n * shape + 5.0) / (n + 10.0))


def sample(one: Problem, mode: Mode, times: Array, draws: int = DRAWS, seed: int = 0, threads: int = 0) -> Posterior:
    """Draw a person's effects and curves.

    Parameters
    ----------
    one : Problem
    mode : Mode
    times : array (T,)
        Hours at which curves are wanted, sorted.
    draws : int
        In each round. The first draws from a heavy-tailed distribution around the mode. As long as k-hat is above
        0.7, further rounds draw from a mixture fitted to the draws of the round before, with a share of the prior.
    seed : int
        The same seed gives the same draws.
    threads : int
        0: one for each processor.

    Returns
    -------
    Posterior
    """
    random = np.random.Generator(np.random.PCG64(seed))
    grid = np.union1d(times, one.times)
    near = Proposal(mode.eta, _spread(mode.information))
    wide = Proposal(np.zeros(mode.eta.size), np.diag(one.precision**-0.5))
    mixture, shares = [near], [1.0]
    for last in range(ROUNDS):
        found = _round(one, mixture, shares, grid, draws, random, threads)
        if found.trusted or last == ROUNDS - 1:
            break
        mixture, shares = [_fitted(found), near, wide], [0.6, 0.2, 0.2]
    return replace(found, logs=found.logs[:, np.searchsorted(grid, times)])


def _spread(information: Array) -> Array:
    return np.asarray(np.linalg.cholesky(np.linalg.inv(information)))


def _fitted(found: Posterior) -> Proposal:
    """A wide proposal with the moments of the weighted draws; weights are tempered, for few draws carry them."""
    tempered = np.sqrt(found.weights)
    tempered /= tempered.sum()
    mean = tempered @ found.eta
    off = found.eta - mean
    covariance = (off * tempered[:, None]).T @ off + 1e-8 * np.eye(mean.size)
    return Proposal(mean, np.asarray(np.linalg.cholesky(covariance), dtype=np.float64))


def _round(
    one: Problem,
    mixture: Sequence[Proposal],
    shares: Sequence[float],
    grid: Array,
    draws: int,
    random: np.random.Generator,
    threads: int,
) -> Posterior:
    edges = np.rint(draws * np.cumsum([0.0, *shares])).astype(np.int64)
    eta = np.vstack([part.draw(int(n), random) for part, n in zip(mixture, np.diff(edges), strict=True)])
    logs, objective = solved(one, eta, grid, threads)
    each = [math.log(s) + part.log_density(eta) for s, part in zip(shares, mixture, strict=True)]
    log_weights = log_posterior(one, objective) - np.logaddexp.reduce(each, axis=0)
    top = log_weights.max()
    raw = np.exp(log_weights - top)
    weights = raw / raw.sum()
    shape = pareto_shape(log_weights)
    evidence = float(top + math.log(raw.mean()))
    return Posterior(eta, weights, logs, shape, float(1.0 / (weights**2).sum()), evidence)


def log_posterior(one: Problem, objective: Array) -> Array:
    """Log joint density of counts and effects with all its constants; counts in their own units."""
    seen = ~one.below
    constant = math.log(2 * math.pi) * (int(seen.sum()) + one.precision.size) - np.log(one.precision).sum()
    if one.form == likelihood.LOG_ADDITIVE:
        constant += 2.0 * np.log(one.y[seen]).sum()
    return np.where(objective < likelihood.HUGE, -0.5 * (objective + constant), -np.inf)


def solved(one: Problem, eta: Array, grid: Array, threads: int) -> tuple[Array, Array]:
    """Log counts (n, T) and objectives (n,) of draws."""
    n = eta.shape[0]
    logs, objective = np.empty((n, grid.size)), np.empty(n)
    seen: npt.NDArray[np.int64] = np.searchsorted(grid, one.times)
    counts = (one.y, one.below, one.form, one.sd)
    person = (one.theta, one.loading, one.precision)

    def part(first: int) -> None:
        here = slice(first, first + _MAX_AT_ONCE)
        likelihood.objectives(*person, eta[here], one.segments, grid, seen, *counts, RTOL, logs[here], objective[here])

    share(part, range(0, n, _MAX_AT_ONCE), threads)
    return logs, objective


def prior(one: Problem, times: Array, draws: int, seed: int = 0, threads: int = 0) -> tuple[Array, Array]:
    """Effects (n, k) and log counts (n, T) of people with this person's covariates whose counts are not known."""
    random = np.random.Generator(np.random.PCG64(seed))
    eta = random.standard_normal((draws, one.precision.size)) * one.precision**-0.5
    blind = replace(one, times=one.times[:0], y=one.y[:0], below=one.below[:0])
    return eta, solved(blind, eta, times, threads)[0]
