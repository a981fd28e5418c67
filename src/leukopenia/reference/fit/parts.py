"""Distribution functions of the parts of a mixture at the edges of cells, and their derivatives.

The healthy part is a Box-Cox normal with median M, exponent `lambda` and relative spread S:
z(x) = ((x / M)^lambda - 1) / (lambda S). An ill part on one side of it is a normal, a log-normal, or a continuum of
severity: a healthy z moved by an exponentially distributed effect. Places and spreads of the ill are in units of the
healthy, so that they keep their meaning under any unit of measurement.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from leukopenia.reference.fit.gauss import below, below_and_density

Floats = NDArray[np.float64]

LAMBDA, CENTRE, WIDTH, LEFT_SHARE, LEFT_PLACE, LEFT_SPREAD, RIGHT_SHARE, RIGHT_PLACE, RIGHT_SPREAD, STRAY_SHARE = range(
    10
)
"""Parameters: exponent; median and log of the spread in units of the data; log odds of each part against the healthy;
log of the distance from the median, and of the spread (of the effect: of its mean), in healthy units."""

SIZE = 10
ABSENT, NORMAL, LOG_NORMAL, CONTINUUM = range(4)
"""Shapes of an ill part."""

_FLAT = 1e-4
_REACH = 35.0
_LEAST_EFFECT = 0.25


@njit(cache=True)
def healthy_frame(theta: Floats, middle: float, unit: float) -> tuple[float, float, float]:
    """Exponent, log of the median, and relative spread."""
    return theta[LAMBDA], middle + unit * theta[CENTRE], unit * math.exp(theta[WIDTH])


@njit(cache=True)
def healthy_log_quantile(theta: Floats, middle: float, unit: float, z: float) -> float:
    """Logarithm of the healthy value at z."""
    power, log_median, spread = healthy_frame(theta, middle, unit)
    step = spread * z
    if abs(power) < _FLAT:
        return log_median + step - 0.5 * power * step * step
    return log_median + math.log(max(1.0 + power * step, 1e-3)) / power


@njit(cache=True)
def healthy_part(theta: Floats, log_edges: Floats, middle: float, unit: float, cdf: Floats, slope: Floats) -> Any:
    """Fill cdf, shape (edges,), and slope, shape (edges, 5): z, density, and dz by lambda, centre and width."""
    power, log_median, spread = healthy_frame(theta, middle, unit)
    for i in range(log_edges.shape[0]):
        ratio = log_edges[i] - log_median
        if abs(power) < _FLAT:
            grown, scaled, bent = 1.0 + power * ratio, ratio + 0.5 * power * ratio * ratio, 0.5 * ratio * ratio
        else:
            grown = math.exp(power * ratio)
            scaled = (grown - 1.0) / power
            bent = (grown * ratio - scaled) / power
        z = min(max(scaled / spread, -_REACH), _REACH)
        cdf[i], slope[i, 1] = below_and_density(z)
        slope[i, 0] = z
        slope[i, 2] = bent / spread
        slope[i, 3] = -grown * unit / spread
        slope[i, 4] = -z


@njit(cache=True)
def continuum_part(
    side: float, theta: Floats, first: int, healthy_cdf: Floats, healthy: Floats, cdf: Floats, slope: Floats
) -> Any:
    """A healthy z moved outward by an exponential effect; side -1: left, 1: right."""
    mean = max(math.exp(theta[first + 2]), _LEAST_EFFECT)
    for i in range(cdf.shape[0]):
        z = side * healthy[i, 0]
        moved = math.exp(-z / mean + 0.5 / (mean * mean)) * below(z - 1.0 / mean)
        value = (healthy_cdf[i] if side > 0 else 1.0 - healthy_cdf[i]) - moved
        cdf[i] = value if side > 0 else 1.0 - value
        density = moved / mean
        for k in range(3):
            slope[i, k] = density * healthy[i, 2 + k]
        slope[i, 3] = 0.0
        slope[i, 4] = -side * (moved * (z / mean**2 - 1.0 / mean**3) + healthy[i, 1] / mean**2) * mean


@njit(cache=True)
def left_part(
    shape: int, theta: Floats, edges: Floats, log_edges: Floats, middle: float, unit: float, cdf: Floats, slope: Floats
) -> Any:
    """A normal cut at zero, or a log-normal, below the healthy median.

    slope, shape (edges, 5): derivatives by lambda, centre, width, place, spread.
    """
    _, log_median, spread = healthy_frame(theta, middle, unit)
    median, place, wide = math.exp(log_median), math.exp(theta[LEFT_PLACE]), math.exp(theta[LEFT_SPREAD])
    own = spread * wide
    floor = -(1.0 - spread * place) / own
    _, edge_density = below_and_density(floor)
    kept = max(below(-floor), 1e-300)
    for i in range(edges.shape[0]):
        slope[i, 0] = 0.0
        if shape == NORMAL:
            z = (edges[i] / median - 1.0 + spread * place) / own
            under, density = below_and_density(z)
            above, density = (1.0 - under) / kept, density / kept
            cut = above * edge_density / kept
            cdf[i] = 1.0 - above
            slope[i, 1] = -density * unit * edges[i] / median / own
            slope[i, 2] = density * (place / wide - z) - cut * (place / wide - floor)
            slope[i, 3] = (density - cut) * place / wide
            slope[i, 4] = cut * floor - density * z
        else:
            z = (log_edges[i] - log_median + spread * place) / own
            cdf[i], density = below_and_density(z)
            slope[i, 1] = -density * unit / own
            slope[i, 2] = density * (place / wide - z)
            slope[i, 3] = density * place / wide
            slope[i, 4] = -density * z


@njit(cache=True)
def _right_frame(theta: Floats, middle: float, unit: float) -> tuple[float, float, Floats, Floats]:
    """Log of the place of the right part and the healthy log spread there; their slopes by lambda, width, place."""
    power, log_median, spread = healthy_frame(theta, middle, unit)
    place = math.exp(theta[RIGHT_PLACE])
    grown = max(1.0 + power * spread * place, 0.05)
    step = spread * place
    if abs(power) < _FLAT:
        at, bent = log_median + step - 0.5 * power * step * step, -0.5 * step * step
    else:
        at = log_median + math.log(grown) / power
        bent = step / (grown * power) - math.log(grown) / power**2
    by_place = np.array([bent, step / grown, step / grown])
    narrowed = spread * step / (grown * grown)
    by_spread = np.array([-narrowed, spread / grown - power * narrowed, -power * narrowed])
    return at, spread / grown, by_place, by_spread


@njit(cache=True)
def right_part(
    shape: int, theta: Floats, edges: Floats, log_edges: Floats, middle: float, unit: float, cdf: Floats, slope: Floats
) -> Any:
    """A normal cut at zero, or a log-normal, above the healthy median; slope as in `left_part`."""
    at, local, by_place, by_spread = _right_frame(theta, middle, unit)
    own = local * math.exp(theta[RIGHT_SPREAD])
    floor = -1.0 / own
    _, edge_density = below_and_density(floor)
    kept = below(-floor)
    centre = math.exp(at)
    for i in range(edges.shape[0]):
        if shape == NORMAL:
            z = (edges[i] / centre - 1.0) / own
            under, density = below_and_density(z)
            above, density = (1.0 - under) / kept, density / kept
            cut = above * edge_density / kept
            cdf[i] = 1.0 - above
            moved, widened = -density * edges[i] / centre / own, (cut * floor - density * z) / local
            slope[i, 4] = cut * floor - density * z
        else:
            z = (log_edges[i] - at) / own
            cdf[i], density = below_and_density(z)
            moved, widened = -density / own, -density * z / local
            slope[i, 4] = -density * z
        slope[i, 0] = moved * by_place[0] + widened * by_spread[0]
        slope[i, 1] = moved * unit
        slope[i, 2] = moved * by_place[1] + widened * by_spread[1]
        slope[i, 3] = moved * by_place[2] + widened * by_spread[2]
