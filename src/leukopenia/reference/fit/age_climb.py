"""The mode of the posterior of all coefficients, and how smooth the curves are to be.

The likelihood of every row of cells is that of `mixture`, with exact probabilities. Coefficients move by Fisher scoring
with damping; the strengths of the penalties by the generalised Fellner-Schall update (Wood and Fasiolo 2017), which
climbs the marginal likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from leukopenia.reference.fit.age_cells import AgeCells
from leukopenia.reference.fit.age_terms import Terms
from leukopenia.reference.fit.mixture import log_posterior, log_prior, shares, workspace
from leukopenia.reference.fit.parts import LEFT_SHARE, RIGHT_SHARE, SIZE

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_BOUNDS = np.array(
    [(-1.5, 2.5), (-40, 40), (-5, 3), (-14, 3), (-1, 3), (-2.2, 2.5), (-14, 3), (-1, 3), (-2.2, 2.5), (-30, 3)]
).T
_HINGE, _HINGE_PRECISION = 0.3, 9.0
_WEAKEST, _STRONGEST, _FASTEST = 1e-3, 1e6, 30.0
_ROUNDS, _SETTLED = 40, 0.05
_FIRST_DAMPING, _EASIER, _HARDER, _MOST_DAMPING = 1e-3, 0.2, 6.0, 1e5


@dataclass(frozen=True)
class Mode:
    """A mode: coefficients, strengths of the penalties, log likelihood ratio to the saturated model, log prior.

    Attributes
    ----------
    information : (coefficients, coefficients) array
        Expected, of the data alone.
    covariance : (coefficients, coefficients) array
        Of the posterior.
    volume : float
        Half the log determinant of the prior over that of the posterior (Laplace's approximation).
    """

    coefficients: Floats
    strengths: Floats
    data: float
    prior: float
    information: Floats
    covariance: Floats
    volume: float

    @property
    def freedom(self) -> Floats:
        """Effective degrees of freedom of each coefficient."""
        return np.einsum("ab,ba->a", self.covariance, self.information)


@njit(cache=True)
def _rows(
    eta: Floats,
    left: int,
    right: int,
    edges: Floats,
    log_edges: Floats,
    counts: Floats,
    scale: Floats,
    gradient: Floats,
    information: Floats,
) -> float:
    """Log likelihood of all rows; fills gradient (rows, parameters) and information (rows, parameters, parameters)."""
    work, flat = workspace(edges.shape[0]), np.zeros((2, SIZE))
    total, pull, bend = 0.0, np.empty(SIZE), np.empty((SIZE, SIZE))
    for r in range(eta.shape[0]):
        data, _ = log_posterior(
            eta[r], left, right, edges, log_edges, counts[r], scale, flat, work, gradient[r], information[r]
        )
        log_prior(eta[r], scale[1], flat, pull, bend)
        gradient[r] -= pull
        information[r] -= bend
        total += data
    return total


@njit(cache=True)
def _gathered(design: Floats, owners: Integers, pull: Floats, bend: Floats) -> tuple[Floats, Floats]:
    """Gradient and information of the coefficients, from those of the parameters in each row."""
    size = design.shape[1]
    gradient, information, used = np.zeros(size), np.zeros((size, size)), np.empty(size, np.int64)
    for r in range(design.shape[0]):
        n = 0
        for a in range(size):
            if design[r, a] != 0.0:
                used[n] = a
                n += 1
        for i in range(n):
            a = used[i]
            gradient[a] += design[r, a] * pull[r, owners[a]]
            for j in range(i + 1):
                b = used[j]
                information[a, b] += design[r, a] * design[r, b] * bend[r, owners[a], owners[b]]
    for a in range(size):
        for b in range(a):
            information[b, a] = information[a, b]
    return gradient, information


@njit(cache=True)
def healthy_shares(eta: Floats, left: int, right: int) -> Floats:
    """Share of the healthy in each row of parameters."""
    made = np.empty(eta.shape[0])
    for r in range(eta.shape[0]):
        made[r] = shares(eta[r], left, right)[0]
    return made


class Slope:
    """A posterior of coefficients that can be climbed, under one pair of shapes of the ill."""

    def __init__(self, made: AgeCells, parts: Terms, shape: tuple[int, int], informative: float = math.inf) -> None:
        self.made, self.terms, self.shape = made, parts, shape
        self.counts = made.counts / (1.0 + made.n / informative)
        self.design = parts.design(made.places, made.strata)
        self.owners = parts.owners
        self.members = np.equal.outer(self.owners, np.arange(SIZE)).astype(np.float64)
        self.mean, self.fixed = parts.prior()
        self.penalties = parts.penalties()
        shares = [w for t, w in zip(parts.each, parts.slices, strict=True) if _is_share(t.parameter, t.penalties)]
        self.hinged = np.concatenate([np.arange(w.start, w.stop) for w in shares]) if shares else np.empty(0, np.int64)

    def parameters(self, coefficients: Floats) -> Floats:
        """Parameters of the mixture in each row, shape (rows, parameters)."""
        return np.clip((self.design * coefficients) @ self.members, _BOUNDS[0], _BOUNDS[1])

    def precision(self, strengths: Floats) -> Floats:
        """Of the prior."""
        made = self.fixed.copy()
        for strength, (where, matrix, _) in zip(strengths, self.penalties, strict=True):
            made[where, where] += strength * matrix
        return made

    def data(self, coefficients: Floats) -> tuple[float, Floats, Floats]:
        """Log likelihood, its gradient and expected information."""
        eta = self.parameters(coefficients)
        pull, bend = np.empty(eta.shape), np.empty((*eta.shape, SIZE))
        made = self.made
        height = _rows(eta, *self.shape, made.pooled.edges, made.log_edges, self.counts, made.scale, pull, bend)
        return height, *_gathered(self.design, self.owners, pull, bend)

    def prior(self, coefficients: Floats, precision: Floats) -> tuple[float, Floats, Floats]:
        """Log prior without its constant, its gradient and information."""
        off = coefficients - self.mean
        pull = precision @ off
        over = np.maximum(coefficients[self.hinged] - _HINGE, 0.0)
        gradient, information = -pull, precision.copy()
        gradient[self.hinged] -= _HINGE_PRECISION * over
        information[self.hinged, self.hinged] += _HINGE_PRECISION * (over > 0)
        return -0.5 * float(off @ pull + _HINGE_PRECISION * over @ over), gradient, information


def _is_share(parameter: int, penalties: Sequence[Floats]) -> bool:
    return parameter in (LEFT_SHARE, RIGHT_SHARE) and len(penalties) > 0


def climb(slope: Slope, start: Floats, strengths: Floats, rounds: int = _ROUNDS) -> Mode:
    """Climb from a start, learning the strengths of the penalties on the way."""
    at, height = start, -math.inf
    for turn in range(rounds):
        precision = slope.precision(strengths)
        at, covariance = _ascended(slope, at, precision, steps=3 if turn < rounds - 1 else 12)
        learnt = _learnt(slope, at, strengths, covariance)
        moved = float(np.abs(np.log(learnt / strengths)).max(initial=0.0))
        found = slope.data(at)[0] + slope.prior(at, precision)[0]
        if turn == rounds - 1 or (abs(found - height) < _SETTLED and moved < 1.0):
            break
        strengths, height = learnt, found
    return _mode(slope, at, strengths)


def _ascended(slope: Slope, at: Floats, precision: Floats, steps: int) -> tuple[Floats, Floats]:
    """A few damped steps of Fisher scoring; where they end, and the covariance there."""
    (data, pull, bend), (prior, back, stiff) = slope.data(at), slope.prior(at, precision)
    damping = _FIRST_DAMPING
    while steps > 0 and damping < _MOST_DAMPING:
        total = bend + stiff
        step = _solved(total + damping * np.diag(np.diag(total)), pull + back)
        tried = at + step / max(1.0, _greatest(slope, step))
        new, new_prior = slope.data(tried), slope.prior(tried, precision)
        gain = new[0] + new_prior[0] - data - prior
        if not gain > 0:
            damping *= _HARDER
            continue
        at, (data, pull, bend), (prior, back, stiff) = tried, new, new_prior
        damping, steps = damping * _EASIER, steps - 1
        if gain < 0.1 * _SETTLED:
            break
    return at, _inverse(bend + stiff)


def _greatest(slope: Slope, step: Floats) -> float:
    return float(np.abs((slope.design * step) @ slope.members).max())


def _solved(matrix: Floats, right: Floats) -> Floats:
    try:
        return np.asarray(cho_solve(cho_factor(matrix), right))
    except LinAlgError:
        return np.asarray(np.linalg.lstsq(matrix, right, rcond=None)[0])


def _inverse(matrix: Floats) -> Floats:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _learnt(slope: Slope, at: Floats, strengths: Floats, covariance: Floats) -> Floats:
    """One update of Fellner and Schall: free directions over the roughness they have."""
    made = strengths.copy()
    for k, (where, matrix, rank) in enumerate(slope.penalties):
        free = max(rank - strengths[k] * float(np.sum(covariance[where, where] * matrix)), 1e-6)
        rough = max(float(at[where] @ matrix @ at[where]), 1e-12)
        made[k] = strengths[k] * np.clip(free / rough / strengths[k], 1 / _FASTEST, _FASTEST)
    return np.clip(made, _WEAKEST, _STRONGEST)


def _mode(slope: Slope, at: Floats, strengths: Floats) -> Mode:
    precision = slope.precision(strengths)
    (data, _, information), (prior, _, stiff) = slope.data(at), slope.prior(at, precision)
    # A straight line of the median has no prior; the same small one for every model keeps their evidence comparable.
    flat = 1e-6 * np.eye(len(at))
    volume = 0.5 * (np.linalg.slogdet(precision + flat)[1] - np.linalg.slogdet(information + stiff + flat)[1])
    return Mode(at, strengths, data, prior, information, _inverse(information + stiff), float(volume))
