"""Indirect limits of resampled cells: how far they move by chance alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtri

from leukopenia.errors import UsageError
from leukopenia.reference.fit.indirect import PRIOR, IndirectLimits, informative, log_edges_of
from leukopenia.reference.fit.mixture import climb, workspace
from leukopenia.reference.fit.parts import SIZE, healthy_log_quantile
from leukopenia.reference.fit.search import SHAPES

Floats = NDArray[np.float64]

_STEPS, _GAIN = 20, 0.02
_HEAVIEST = 6


def resampled(found: IndirectLimits, resamples: int = 200, seed: int = 0) -> Floats:
    """Limits of resamples of the cells, each from the heaviest solutions of the first fit.

    The counts are drawn anew from a multinomial; every solution climbs to its new mode, and a limit is the mean over
    the solutions by their weights. What is held fixed is which solutions there are: the intervals of the posterior
    allow for that, these do not.

    Parameters
    ----------
    found : IndirectLimits
        Limits that were not refused.
    resamples, seed : int

    Returns
    -------
    ndarray, shape (resamples, percentiles)

    Raises
    ------
    UsageError
        There are no limits to resample.
    """
    if found.refused or found.cells is None or found.posterior is None:
        raise UsageError("There are no limits to resample.", found.verdict, "")
    made, fitted = found.cells, found.posterior
    kept = slice(0, _HEAVIEST)
    counts = informative(made)
    n = round(counts.sum())
    drawn = np.random.default_rng(seed).multinomial(n, counts / counts.sum(), size=resamples).astype(np.float64)
    z = np.asarray(ndtri(found.percentiles / 100))
    shapes, weights = fitted.modes.shape[kept], fitted.weights[kept] / fitted.weights[kept].sum()
    logs = _climbed(
        fitted.modes.theta[kept], shapes, weights, made.edges, log_edges_of(made), drawn, fitted.scale, PRIOR, z
    )
    return np.asarray(np.exp(logs), dtype=np.float64)


@njit(cache=True)
def _climbed(
    theta: Floats,
    shapes: NDArray[np.int64],
    weights: Floats,
    edges: Floats,
    log_edges: Floats,
    drawn: Floats,
    scale: Floats,
    prior: Floats,
    z: Floats,
) -> Any:
    """Logarithms of the limits of every resample, shape (resamples, limits)."""
    work, information = workspace(edges.shape[0]), np.empty((SIZE, SIZE))
    logs = np.zeros((drawn.shape[0], z.shape[0]))
    for r in range(drawn.shape[0]):
        for k in range(theta.shape[0]):
            moved, s = theta[k].copy(), shapes[k]
            climb(
                *(moved, SHAPES[s, 0], SHAPES[s, 1], edges, log_edges, drawn[r], scale, prior[s], work),
                *(_STEPS, _GAIN, information),
            )
            for p in range(z.shape[0]):
                logs[r, p] += weights[k] * healthy_log_quantile(moved, scale[0], scale[1], z[p])
    return logs
