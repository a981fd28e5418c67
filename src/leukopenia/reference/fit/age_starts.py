"""Where to begin: single fits in windows of age, and the path through their modes that changes least with age."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from leukopenia.reference.fit.age_cells import AgeCells
from leukopenia.reference.fit.age_climb import Slope
from leukopenia.reference.fit.indirect import FEWEST, fit
from leukopenia.reference.fit.parts import CENTRE, WIDTH, healthy_log_quantile
from leukopenia.reference.fit.posterior import Posterior
from leukopenia.reference.fit.search import SHAPES

Floats = NDArray[np.float64]

_MOST_WINDOWS, _PER_WINDOW = 14, 1_000.0
_BY_MASS = 0.5
_LIMITS = (-1.96, 1.96)
_JUMP = 0.5
_LEAST_WEIGHT = 1e-4
_STEADY = 5.0


@dataclass(frozen=True)
class Window:
    """Modes of one window of age.

    Attributes
    ----------
    place : float
        Mean age, on the scale of `ages.place`.
    theta : (modes, parameters) array
        On the scale of all ages.
    shapes : (modes,) array of int
        Index into `search.SHAPES`.
    weights : (modes,) array
    limits : (modes, 2) array
        Lower and upper limit less the middle of the window, in standard deviations of the first mode.
    """

    place: float
    theta: Floats
    shapes: NDArray[np.int64]
    weights: Floats
    limits: Floats


def windows(made: AgeCells) -> list[Window]:
    """Single fits in up to 14 windows, each with enough results, narrower where there are more of them."""
    mass = made.counts.sum(axis=1)
    order = np.argsort(made.places, kind="stable")
    reached = np.empty(len(order))
    reached[order] = (np.cumsum(mass[order]) - mass[order] / 2) / made.n
    wide = (made.places - made.places.min()) / max(float(np.ptp(made.places)), 1e-9)
    number = int(np.clip(made.n // _PER_WINDOW, 1, _MOST_WINDOWS))
    window = np.floor((_BY_MASS * reached + (1 - _BY_MASS) * wide) * number * (1 - 1e-9)).astype(np.int64)
    window = _merged(window, mass)
    return [_window(made, window == k) for k in np.unique(window)]


def _merged(window: NDArray[np.int64], mass: Floats) -> NDArray[np.int64]:
    """Windows with too few results join a neighbour."""
    window = window.copy()
    while len(found := np.unique(window)) > 1:
        sums = np.array([mass[window == k].sum() for k in found])
        k = int(sums.argmin())
        if sums[k] >= FEWEST:
            break
        window[window == found[k]] = found[k + 1 if k + 1 < len(found) else k - 1]
    return window


def _window(made: AgeCells, rows: NDArray[np.bool_]) -> Window:
    local = fit(made.together(rows))
    place = float(np.average(made.places[rows], weights=made.counts[rows].sum(axis=1)))
    limits = np.array(
        [
            [healthy_log_quantile(theta, local.scale[0], local.scale[1], z) for z in _LIMITS]
            for theta in local.modes.theta
        ]
    )
    own = (limits[0, 1] - limits[0, 0]) / (_LIMITS[1] - _LIMITS[0])
    return Window(place, _moved(local, made.scale), local.modes.shape, local.weights, (limits - local.scale[0]) / own)


def _moved(local: Posterior, scale: Floats) -> Floats:
    """Parameters of the modes on the scale of all ages; those of the ill are in healthy units already."""
    theta = local.modes.theta.copy()
    theta[:, CENTRE] = (local.scale[0] + local.scale[1] * theta[:, CENTRE] - scale[0]) / scale[1]
    theta[:, WIDTH] += np.log(local.scale[1] / scale[1])
    return theta


def shapes(found: list[Window], number: int) -> list[tuple[int, int]]:
    """Pairs of shapes, left and right, with the most evidence over all windows."""
    pairs, place = np.unique(SHAPES[:, :2], axis=0, return_inverse=True)
    evidence = np.zeros(len(pairs))
    for window in found:
        own = np.bincount(place[window.shapes], weights=window.weights, minlength=len(pairs))
        evidence += np.log(np.maximum(own, _LEAST_WEIGHT))
    return [(int(pairs[k, 0]), int(pairs[k, 1])) for k in np.argsort(-evidence, kind="stable")[:number]]


def path(found: list[Window], jump: float = _JUMP) -> Floats:
    """One mode a window, so that evidence is high and limits change little: parameters, shape (windows, parameters)."""
    cost, came = [-np.log(found[0].weights)], []
    for before, window in pairwise(found):
        steps = ((window.limits[None, :, :] - before.limits[:, None, :]) ** 2).sum(axis=2) / (2 * jump**2)
        total = cost[-1][:, None] + steps
        came.append(total.argmin(axis=0))
        cost.append(total.min(axis=0) - np.log(window.weights))
    chosen = [int(cost[-1].argmin())]
    for back in reversed(came):
        chosen.append(int(back[chosen[-1]]))
    return np.array([window.theta[k] for window, k in zip(found, reversed(chosen), strict=True)])


def coefficients(slope: Slope, found: list[Window], theta: Floats) -> Floats:
    """Coefficients whose curves pass near these parameters in the windows.

    Parameters
    ----------
    slope : Slope
    found : list of Window
    theta : (windows, parameters) array
    """
    made, places = slope.mean.copy(), np.array([window.place for window in found])
    nobody = np.zeros(len(places), np.int64)
    for term, where in zip(slope.terms.each, slope.terms.slices, strict=True):
        if (term.levels != 1.0).any():
            continue
        basis = term.at(places, nobody)
        rough = sum(term.penalties, np.zeros((term.size, term.size)))
        prior = term.precision + 0.1 * rough + 1e-6 * np.eye(term.size)
        pull = _STEADY * basis.T @ theta[:, term.parameter] + term.precision @ term.mean
        made[where] = np.linalg.solve(_STEADY * basis.T @ basis + prior, pull)
    return made
