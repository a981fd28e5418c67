"""Cubic B-splines on equal steps with penalties on differences of their coefficients (Eilers and Marx 1996)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

Floats = NDArray[np.float64]

_DEGREE = 3


@dataclass(frozen=True)
class Basis:
    """Cubic B-splines between low and high; beyond, the function keeps its end value.

    Parameters
    ----------
    low, high : float
    intervals : int
        Equal steps; 0 for a constant.
    """

    low: float
    high: float
    intervals: int

    @property
    def size(self) -> int:
        """Coefficients."""
        return self.intervals + _DEGREE if self.intervals else 1

    def at(self, x: Floats) -> Floats:
        """Values of all splines, shape (x, size); each row adds to 1."""
        if not self.intervals:
            return np.ones((len(x), 1))
        step = (self.high - self.low) / self.intervals
        knots = self.low + step * np.arange(-_DEGREE, self.intervals + _DEGREE + 1)
        inside = np.clip(x, self.low, self.high - 1e-9 * step)
        made: Floats = BSpline.design_matrix(inside, knots, _DEGREE).toarray()
        return made


def roughness(size: int, order: int) -> Floats:
    """Sum of squared differences of this order, as a matrix of shape (size, size)."""
    differences = np.diff(np.eye(size), order, axis=0)
    return differences.T @ differences


def level(size: int) -> Floats:
    """Square of the mean coefficient, as a matrix of shape (size, size)."""
    return np.full((size, size), 1.0 / size**2)
