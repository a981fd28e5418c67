"""What the modes say together: weights by evidence, limits as medians, intervals, and whether to answer at all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from leukopenia.reference.fit.gauss import below
from leukopenia.reference.fit.mixture import cholesky, log_prior, shares, workspace
from leukopenia.reference.fit.parts import (
    ABSENT,
    CENTRE,
    CONTINUUM,
    LAMBDA,
    LEFT_SPREAD,
    RIGHT_SPREAD,
    SIZE,
    WIDTH,
    healthy_log_quantile,
)
from leukopenia.reference.fit.search import SHAPES, Modes, label_cost

Floats = NDArray[np.float64]

_MEAN = np.array([0.4, 0.0, -0.5, -2.0, math.log(2.8), 0.0, -2.0, math.log(2.8), -0.4, -6.5])
_DEVIATION = np.array([0.6, 2.0, 0.8, 1.5, 0.35, 0.5, 1.5, 0.35, 0.8, 1.0])
_EFFECT = (math.log(3.0), 0.35)
_STEEP = (-1.2, 0.6)
_ABSENT_COST, _STEEP_COST = 0.3, 3.0
_LEAST_DISPERSION = 1.25


def priors(shapes: NDArray[np.int64] = SHAPES) -> Floats:
    """Means and precisions for every pair of shapes: ndarray, shape (pairs, 2, parameters)."""
    return np.array([_prior(*shape) for shape in shapes])


def _prior(left: int, right: int, steep: int) -> Floats:
    mean, deviation = _MEAN.copy(), _DEVIATION.copy()
    if steep:
        mean[LAMBDA], deviation[LAMBDA] = _STEEP
    for shape, spread in ((left, LEFT_SPREAD), (right, RIGHT_SPREAD)):
        if shape == CONTINUUM:
            mean[spread], deviation[spread] = _EFFECT
    return np.array([mean, deviation**-2])


@dataclass(frozen=True)
class Posterior:
    """Modes with their weights (the heaviest first), and how much worse than chance the best fits."""

    modes: Modes
    weights: Floats
    covariances: Floats
    dispersion: float
    scale: Floats

    def log_limits(self, chance: float) -> tuple[Floats, Floats]:
        """Mean and standard error of the logarithm of one limit under each mode."""
        z = float(ndtri(chance))
        means = np.array([self._at(theta, z) for theta in self.modes.theta])
        slopes = np.array([self._slope(theta, z) for theta in self.modes.theta])
        return means, np.sqrt(np.einsum("ma,mab,mb->m", slopes, self.covariances, slopes))

    def _at(self, theta: Floats, z: float) -> float:
        return float(healthy_log_quantile(theta, self.scale[0], self.scale[1], z))

    def _slope(self, theta: Floats, z: float, by: float = 1e-4) -> Floats:
        slope = np.zeros(SIZE)
        for a in (LAMBDA, CENTRE, WIDTH):
            moved = np.zeros(SIZE)
            moved[a] = by
            slope[a] = (self._at(theta + moved, z) - self._at(theta - moved, z)) / (2 * by)
        return slope

    def spread(self, means: Floats, errors: Floats) -> float:
        """Standard deviation of a limit over the posterior, in standard deviations of the healthy part."""
        centre = self.weights @ means
        variance = self.weights @ (errors**2 + (means - centre) ** 2)
        median, one = self.log_limits(0.5)[0], self.log_limits(float(ndtr(1.0)))[0]
        return float(np.sqrt(variance) / (self.weights @ np.abs(one - median)))

    def healthy_fraction(self) -> float:
        """Mean share of the healthy."""
        each = [
            shares(t, SHAPES[s, 0], SHAPES[s, 1])[0] for t, s in zip(self.modes.theta, self.modes.shape, strict=True)
        ]
        return float(self.weights @ np.array(each))


def posterior(modes: Modes, edges: Floats, log_edges: Floats, scale: Floats, prior: Floats) -> Posterior:
    """Weigh modes by their evidence.

    Where even the best mode fits worse than chance allows, likelihoods are divided by its dispersion
    (quasi-likelihood: Wedderburn 1974). A labelling in which the ill make the highest hump loses.
    """
    free = max(len(edges) + 1 - SIZE, 20)
    dispersion = -2.0 * float(modes.data.max()) / free
    dispersion = dispersion if dispersion > _LEAST_DISPERSION else 1.0
    evidence, information = _evidences(
        modes.theta, modes.shape, modes.data, modes.prior, modes.information, dispersion, edges, log_edges, scale, prior
    )
    return _weighed(modes, evidence, information, dispersion, scale)


@njit(cache=True)
def _evidences(
    theta: Floats,
    shape: NDArray[np.int64],
    data: Floats,
    before: Floats,
    information: Floats,
    dispersion: float,
    edges: Floats,
    log_edges: Floats,
    scale: Floats,
    prior: Floats,
) -> tuple[Floats, Floats]:
    """Log evidence of every mode, shape (modes,), and its information under the dispersion."""
    work, factor = workspace(edges.shape[0]), np.zeros((SIZE, SIZE))
    own, gradient = np.empty((SIZE, SIZE)), np.empty(SIZE)
    evidence, spread = np.full(data.shape[0], -np.inf), information.copy()
    for k in range(data.shape[0]):
        left, right = SHAPES[shape[k], 0], SHAPES[shape[k], 1]
        log_prior(theta[k], scale[1], prior[shape[k]], gradient, own)
        spread[k] = (information[k] - own) / dispersion + own
        if not cholesky(spread[k], 0.0, factor):
            continue
        volume = 0.0
        for a in range(SIZE):
            volume += 0.5 * math.log(prior[shape[k], 1, a]) - math.log(factor[a, a])
        cost = _ABSENT_COST * ((left == ABSENT) + (right == ABSENT)) + _STEEP_COST * SHAPES[shape[k], 2]
        cost += label_cost(theta[k], left, right, edges, log_edges, scale, work)
        evidence[k] = data[k] / dispersion + before[k] + volume - cost
    return evidence, spread


def _weighed(modes: Modes, evidence: Floats, information: Floats, dispersion: float, scale: Floats) -> Posterior:
    """Without the copies: one mode found from several starts counts once."""
    kept: list[int] = []
    for k in np.argsort(-evidence):
        twin = [
            j
            for j in kept
            if modes.shape[j] == modes.shape[k] and np.abs((modes.theta[j] - modes.theta[k])[: WIDTH + 1]).max() < 0.05
        ]
        if not twin and evidence[k] > evidence.max() - 12.0:
            kept.append(int(k))
    weights = np.exp(evidence[kept] - evidence[kept].max())
    chosen = Modes(modes.theta[kept], modes.shape[kept], modes.data[kept], modes.prior[kept], modes.information[kept])
    covariances = np.array([np.linalg.inv(information[k]) for k in kept])
    return Posterior(chosen, weights / weights.sum(), covariances, dispersion, scale)


@njit(cache=True)
def quantile(weights: Floats, means: Floats, errors: Floats, chance: float) -> float:
    """Quantile of a mixture of normals."""
    low, high = (means - 9 * errors).min(), (means + 9 * errors).max()
    for _ in range(50):
        middle, reached = 0.5 * (low + high), 0.0
        for k in range(weights.shape[0]):
            reached += weights[k] * below((middle - means[k]) / errors[k])
        if reached < chance:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
