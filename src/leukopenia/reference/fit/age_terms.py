"""What each parameter of the mixture is made of: a curve in age, and what sex and group add to it.

The deviation of a stratum has two penalties, on its level and on its course. Where the second grows without bound the
curves run parallel; where both do, they are one. How strong they are is learnt from the strata (partial pooling).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from leukopenia.reference.fit.parts import CENTRE, LAMBDA, LEFT_SHARE, RIGHT_SHARE, SIZE, WIDTH
from leukopenia.reference.fit.splines import Basis, level, roughness

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HEALTHY = (LAMBDA, CENTRE, WIDTH)
"""Parameters of the healthy part: L, M and S."""

_SHARES = (LEFT_SHARE, RIGHT_SHARE)
_ORDER = {LAMBDA: 1, CENTRE: 2, WIDTH: 2, LEFT_SHARE: 1, RIGHT_SHARE: 1}
"""Differences that are penalised: the median and the spread tend to lines, the rest to constants."""

_FINENESS = {LAMBDA: 0.5, CENTRE: 1.0, WIDTH: 0.5, LEFT_SHARE: 0.5, RIGHT_SHARE: 0.5}
_OF_DEVIATIONS = 0.4
_SHARE_PRECISION = 2.0
"""Against the prior of single fits: where explanations are near, the one with fewer ill is taken."""

_SHARE_DEVIATION = 0.5
_POWER_DEVIATION = 0.3
_FIRST = 30.0
"""A penalty before it is learnt."""


@dataclass(frozen=True)
class Term:
    """Coefficients of one parameter: a basis in age for each column of `levels`.

    Parameters
    ----------
    parameter : int
        Of the mixture: an index of `parts`.
    basis : Basis
    levels : (strata, j) array
        By how much each stratum takes part.
    penalties : sequence of (size, size) arrays
        Their strengths are learnt; they do not overlap.
    mean, precision : (size,) and (size, size) array
        Of the fixed normal prior.
    """

    parameter: int
    basis: Basis
    levels: Floats
    mean: Floats
    precision: Floats
    penalties: Sequence[Floats] = field(default=())

    @property
    def size(self) -> int:
        """Coefficients."""
        return self.basis.size * self.levels.shape[1]

    def at(self, places: Floats, strata: Integers) -> Floats:
        """Design matrix, shape (places, size)."""
        curves, levels = self.basis.at(places), self.levels[strata]
        return (levels[:, :, None] * curves[:, None, :]).reshape(len(places), -1)


@dataclass(frozen=True)
class Terms:
    """All terms of a model, one after the other in the vector of coefficients."""

    each: tuple[Term, ...]

    @property
    def size(self) -> int:
        """Coefficients."""
        return sum(term.size for term in self.each)

    @property
    def slices(self) -> list[slice]:
        """Where the coefficients of each term stand."""
        ends = np.cumsum([0, *(term.size for term in self.each)])
        return [slice(int(low), int(high)) for low, high in pairwise(ends)]

    @property
    def owners(self) -> Integers:
        """Which parameter each coefficient belongs to, shape (coefficients,)."""
        return np.repeat([term.parameter for term in self.each], [term.size for term in self.each])

    def design(self, places: Floats, strata: Integers) -> Floats:
        """Design matrix of all parameters side by side, shape (places, coefficients)."""
        return np.hstack([term.at(places, strata) for term in self.each])

    def prior(self) -> tuple[Floats, Floats]:
        """Mean, and precision without what is learnt."""
        return (
            np.concatenate([term.mean for term in self.each]),
            np.asarray(block_diag(*(term.precision for term in self.each)), dtype=np.float64),
        )

    def penalties(self) -> list[tuple[slice, Floats, int]]:
        """Every penalty whose strength is learnt: where it acts, its matrix and its rank."""
        return [
            (where, matrix, int(np.linalg.matrix_rank(matrix)))
            for term, where in zip(self.each, self.slices, strict=True)
            for matrix in term.penalties
        ]

    def strengths(self) -> Floats:
        """Strengths to begin with."""
        return np.full(len(self.penalties()), _FIRST)


def terms(low: float, high: float, intervals: int, factors: Sequence[Floats], prior: Floats, mixed: bool) -> Terms:
    """The terms of a model.

    Parameters
    ----------
    low, high : float
        Range of age on the scale of `ages.place`.
    intervals : int
        Steps of the basis of the median.
    factors : sequence of (strata, levels) arrays
        Indicators of sex, of group.
    prior : (2, parameters) array
        Means and precisions of the parameters.
    mixed : bool
        With ill parts.
    """
    made = []
    for parameter in range(SIZE):
        if parameter in HEALTHY or (mixed and parameter in _SHARES):
            steps = max(2, round(intervals * _FINENESS[parameter]))
            made.append(_curve(parameter, Basis(low, high, steps), factors, prior))
            made += [_deviation(parameter, low, high, intervals, factor) for factor in factors]
        else:
            made.append(_constant(parameter, factors, prior))
    return Terms(tuple(made))


def _everybody(factors: Sequence[Floats]) -> Floats:
    return np.ones((len(factors[0]) if factors else 1, 1))


def _constant(parameter: int, factors: Sequence[Floats], prior: Floats) -> Term:
    precision = np.array([[prior[1, parameter]]])
    return Term(parameter, Basis(0.0, 1.0, 0), _everybody(factors), prior[:1, parameter], precision)


def _curve(parameter: int, basis: Basis, factors: Sequence[Floats], prior: Floats) -> Term:
    size = basis.size
    mean = np.full(size, prior[0, parameter])
    # What a share can be is known at every age, what the median can be is not.
    own = _SHARE_PRECISION * np.eye(size) if parameter in _SHARES else level(size)
    precision = prior[1, parameter] * own
    rough = roughness(size, _ORDER[parameter])
    return Term(parameter, basis, _everybody(factors), mean, precision, (rough,))


def _deviation(parameter: int, low: float, high: float, intervals: int, factor: Floats) -> Term:
    number = factor.shape[1]
    if parameter in (CENTRE, WIDTH):
        basis = Basis(low, high, max(2, round(intervals * _OF_DEVIATIONS)))
        size = basis.size
        own = [np.asarray(np.kron(np.eye(number), each)) for each in (level(size), roughness(size, 1))]
        return Term(
            parameter, basis, factor, np.zeros(number * size), np.zeros((number * size, number * size)), tuple(own)
        )
    deviation = _POWER_DEVIATION if parameter == LAMBDA else _SHARE_DEVIATION
    return Term(parameter, Basis(low, high, 0), factor, np.zeros(number), np.eye(number) / deviation**2)
