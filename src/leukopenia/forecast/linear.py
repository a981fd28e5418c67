"""Small dense systems (compiled): no library call, no allocation inside."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from leukopenia.forecast.tableau import COMPILED


@njit(**COMPILED)
def _exchange(matrix, a, b):
    for j in range(matrix.shape[1]):
        matrix[a, j], matrix[b, j] = matrix[b, j], matrix[a, j]


@njit(**COMPILED)
def _best_row(matrix, k):
    best = k
    for i in range(k + 1, matrix.shape[0]):
        if abs(matrix[i, k]) > abs(matrix[best, k]):
            best = i
    return best


@njit(**COMPILED)
def factorise(matrix, pivots):
    """LU with row exchanges, in place."""
    n = matrix.shape[0]
    for k in range(n):
        pivots[k] = _best_row(matrix, k)
        _exchange(matrix, k, pivots[k])
        for i in range(k + 1, n):
            matrix[i, k] /= matrix[k, k]
            for j in range(k + 1, n):
                matrix[i, j] -= matrix[i, k] * matrix[k, j]


@njit(**COMPILED)
def solve(matrix, pivots, b):
    """Solve with the factors, in place."""
    n = b.size
    for k in range(n):
        best = pivots[k]
        b[k], b[best] = b[best], b[k]
    for i in range(n):
        for j in range(i):
            b[i] -= matrix[i, j] * b[j]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            b[i] -= matrix[i, j] * b[j]
        b[i] /= matrix[i, i]


@njit(**COMPILED)
def lower(matrix):
    """The lower Cholesky factor; a pivot that is not positive is taken as tiny."""
    n = matrix.shape[0]
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= out[i, k] * out[j, k]
            out[i, j] = math.sqrt(max(total, 1e-300)) if i == j else total / out[j, j]
    return out


@njit(**COMPILED)
def log_determinant(matrix):
    """Of a positive definite matrix."""
    factor, total = lower(matrix), 0.0
    for i in range(matrix.shape[0]):
        total += 2.0 * math.log(factor[i, i])
    return total


@njit(**COMPILED)
def inverse(matrix):
    """Of a square matrix."""
    n = matrix.shape[0]
    work, pivots, out = matrix.copy(), np.empty(n, np.int64), np.zeros((n, n))
    factorise(work, pivots)
    column = np.empty(n)
    for j in range(n):
        column[:] = 0.0
        column[j] = 1.0
        solve(work, pivots, column)
        out[:, j] = column
    return out
