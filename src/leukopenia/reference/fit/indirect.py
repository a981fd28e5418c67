"""Indirect reference limits from routine results, in which the healthy and the ill are mixed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from leukopenia.errors import UsageError
from leukopenia.reference.fit.cells import Cells, cells, censored, tabulate, weighted
from leukopenia.reference.fit.limits import TwoLimits
from leukopenia.reference.fit.mixture import parts, shares, workspace
from leukopenia.reference.fit.parts import CENTRE, WIDTH
from leukopenia.reference.fit.posterior import Posterior, posterior, priors, quantile
from leukopenia.reference.fit.sample import UNITS_APART, check_confidence, probabilities
from leukopenia.reference.fit.search import SHAPES, Modes, search

Floats = NDArray[np.float64]

FEWEST = 500
"""Results below which the method has not been measured (benchmarks/reference.md)."""

FEWEST_VALUES = 8
"""Different values in the bulk, the results between 2 and 99 %; with fewer, rounding hides the shape."""

_INFORMATIVE = 30_000.0
"""No shape of ours is exact: more results than about this tell no more about it."""

_GAP, _FOLD = 3.0, 0.8 * UNITS_APART
_MOST_CENSORED = 0.5
_NARROWEST = 3.0
_ONE_VALUE = "The limits lie within three rounding steps: one value occurs too often, or rounding hides the rest."
_UNSURE = 4.0
_STEADY = 0.05
PRIOR = priors()
_START = PRIOR[5, 0]


@dataclass(frozen=True)
class IndirectLimits(TwoLimits):
    """Indirect limits, or why there are none.

    Attributes
    ----------
    percentiles : (m,) array
        From 0 to 100.
    limits : (m,) array
        Median of the posterior, in the unit of the results; NaN on refusal.
    intervals : (m, 2) array
        Credible interval of each limit; NaN on refusal.
    confidence : float
        Of the intervals, as a fraction of 1.
    n : float
        Results; for weighted ones, as many as would be as precise.
    enough : int
        Results that would be enough.
    healthy_fraction : float
        Share of the results that the model takes to be healthy.
    uncertainty : float
        Standard deviation of the posterior of the limits, in standard deviations of the healthy part.
    refused : bool
        There are no limits.
    verdict : str
        In words: what was done, or why not and what would be enough.
    cells : Cells or None
        The counts that were fitted.
    posterior : Posterior or None
        The fitted modes with their weights, and the dispersion of the best fit.
    method : str
        indirect.
    """

    percentiles: Floats
    limits: Floats
    intervals: Floats
    confidence: float
    n: float
    enough: int
    healthy_fraction: float
    uncertainty: float
    refused: bool
    verdict: str
    cells: Cells | None = None
    posterior: Posterior | None = None
    method: str = "indirect"

    def resampled(self, resamples: int = 200, seed: int = 0) -> Floats:
        """Limits of resampled cells, shape (resamples, m); see `leukopenia.reference.fit.bootstrap.resampled`."""
        from leukopenia.reference.fit.bootstrap import resampled

        return resampled(self, resamples, seed)

    @cached_property
    def expected(self) -> dict[str, Floats]:
        """Expected counts of each cell from each part of the mixture: healthy, left, right, stray.

        Each is an array of shape (cells,); together they add to about the counts.
        """
        if self.cells is None or self.posterior is None:
            return {}
        return _expected(self.cells, self.posterior)


def indirect(
    values: ArrayLike,
    counts: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    percentiles: ArrayLike = (2.5, 97.5),
    confidence: float = 0.90,
    detection_limit: float | None = None,
) -> IndirectLimits:
    """Reference limits of the healthy among routine results.

    The healthy are a Box-Cox normal; the ill lie to its left and right, as a normal, a log-normal or a continuum of
    severity that touches the healthy; a few results are stray. The shapes are averaged by their evidence.

    Parameters
    ----------
    values : (k,) array
        Results in one unit, not negative, rounded as the laboratory reports them.
    counts : (k,) array, optional
        How many results have that value.
    weights : (k,) array, optional
        Survey weight of each result.
    percentiles : array
        The limits wanted, between 0 and 100.
    confidence : float
        Of the interval of each limit.
    detection_limit : float, optional
        Results at or below it stand for anything below.

    Returns
    -------
    IndirectLimits

    Raises
    ------
    UsageError
        Text, missing or negative results; lengths that differ.

    Notes
    -----
    Own method, described in docs/explanation/indirect-limits.md; measured in benchmarks/reference.md.
    """
    chances, level = probabilities(percentiles), check_confidence(confidence)
    different, number = _table(values, counts, weights)
    refusal = _refusal(different, number)
    if not refusal and detection_limit is not None:
        different, number = censored(different, number, _checked(detection_limit))
        refusal = _censoring(different, number, detection_limit)
    if refusal:
        return _refused(chances, level, float(number.sum()), refusal)
    made = cells(different, number)
    fitted = fit(made)
    limits, intervals, uncertainty = _limits(fitted, chances, level)
    if uncertainty > _UNSURE:
        return _refused(chances, level, made.n, _unsure(uncertainty), made, fitted, uncertainty)
    if len(limits) > 1 and np.ptp(limits) < _NARROWEST * made.step:
        return _refused(chances, level, made.n, _ONE_VALUE, made, fitted, uncertainty)
    results = "results" if weights is None else "effective results (Kish)"
    return IndirectLimits(
        *(100 * chances, limits, intervals, level, made.n, FEWEST, fitted.healthy_fraction(), uncertainty, False),
        verdict=f"Indirect limits from {made.n:.0f} {results}; {fitted.healthy_fraction():.0%} taken to be healthy.",
        cells=made,
        posterior=fitted,
    )


def informative(made: Cells) -> Floats:
    """The counts, scaled to as many results as tell something about shapes that are not exact."""
    return made.counts / (1.0 + made.n / _INFORMATIVE)


def log_edges_of(made: Cells) -> Floats:
    """Logarithms of the edges, those at zero a little above it."""
    return np.log(np.maximum(made.edges, made.step * _STEADY))


def fit(made: Cells) -> Posterior:
    """The posterior of the mixture given the counts of cells."""
    counts, log_edges = informative(made), log_edges_of(made)
    reached = np.cumsum(counts)[:-1] / counts.sum()
    low, middle, high = np.interp([0.25, 0.5, 0.75], reached, log_edges)
    unit = max((high - low) / (2 * float(ndtri(0.75))), 0.003)
    scale = np.array([middle, unit, max(made.least - made.step / 2, 0.0), made.most + made.step / 2])
    starts = _starts(log_edges, reached, scale)
    modes = Modes(*search(starts, made.edges, log_edges, counts, scale, PRIOR))
    return posterior(modes, made.edges, log_edges, scale, PRIOR)


def _table(values: ArrayLike, counts: ArrayLike | None, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    x = _numbers("values", values)
    if counts is None and weights is None:
        return tabulate(x)
    n = np.ones(len(x)) if counts is None else _numbers("counts", counts)
    w = np.ones(len(x)) if weights is None else _numbers("weights", weights)
    if not len(x) == len(n) == len(w):
        lengths = f"They have {len(x)}, {len(n)} and {len(w)}."
        raise UsageError("values, counts and weights differ in length.", lengths, "")
    if (w <= 0).any():
        raise UsageError("weights: some are not above 0.", "", "Leave out results without a weight.")
    kept = n > 0
    if weights is not None:
        return weighted(x[kept], w[kept], n[kept])
    different, place = np.unique(x[kept], return_inverse=True)
    return different, np.bincount(place, weights=n[kept]).astype(np.float64)


def _numbers(name: str, given: ArrayLike) -> Floats:
    raw = np.asarray(given)
    if raw.ndim != 1:
        raise UsageError(f"{name} must be one column.", f"It has {raw.ndim} dimensions.", "")
    if raw.dtype.kind not in "iuf":
        raise UsageError(f"{name} must be numbers.", f"It holds {raw.dtype}.", "Set words and '<' aside first.")
    numbers = raw.astype(np.float64, copy=False)
    if not len(numbers):
        raise UsageError("There are no results.", "", f"Give {FEWEST} or more.")
    least = numbers.min()
    if not (least >= 0.0 and numbers.max() < np.inf):
        wrong = "missing, infinite or below 0"
        raise UsageError(f"{name}: some are {wrong}.", "", "Leave them out; check units and missing codes.")
    return numbers


def _refusal(values: Floats, counts: Floats) -> str:
    n = counts.sum()
    if len(values) == 1:
        return f"All results are equal: {FEWEST} that differ would be enough."
    if n < FEWEST:
        return f"{n:.0f} results are too few for indirect limits: {FEWEST} would be enough."
    reached = np.cumsum(counts) / n
    if np.count_nonzero((reached > 0.02) & (reached < 0.99)) < FEWEST_VALUES:
        return (
            f"The results are rounded too coarsely: {FEWEST_VALUES} different values within the bulk would be enough."
        )
    if _two_units(values, reached):
        return "There seem to be two units: part of the results lies a hundredfold above the rest."
    return ""


def _checked(detection_limit: float) -> float:
    if not 0.0 < detection_limit < np.inf:
        raise UsageError("The detection limit is not above 0.", "", "Give it in the unit of the results.")
    return detection_limit


def _censoring(values: Floats, counts: Floats, detection_limit: float) -> str:
    """Why results that are censored cannot be answered."""
    share = counts[0] / counts.sum() if values[0] == detection_limit else 0.0
    if share > _MOST_CENSORED:
        return f"{share:.0%} of the results lie at or below the detection limit: half above it would be enough."
    return ""


def _two_units(values: Floats, reached: Floats) -> bool:
    """Whether the results lie in two heaps, the median of one a hundredfold above that of the other."""
    for k in np.flatnonzero((values[1:] > _GAP * values[:-1]) & (values[:-1] > 0)):
        below = reached[k]
        low, high = np.interp((below / 2, (1 + below) / 2), reached, values)
        if 0.01 < below < 0.99 and high > _FOLD * low:
            return True
    return False


def _unsure(uncertainty: float) -> str:
    return (
        "The healthy cannot be told from the ill: explanations that fit equally well differ by "
        f"{uncertainty:.1f} standard deviations. Leave out wards with many ill, or part by age and sex."
    )


def _refused(
    chances: Floats,
    level: float,
    n: float,
    why: str,
    made: Cells | None = None,
    fitted: Posterior | None = None,
    uncertainty: float = math.nan,
) -> IndirectLimits:
    nothing, pairs = np.full(len(chances), np.nan), np.full((len(chances), 2), np.nan)
    return IndirectLimits(
        *(100 * chances, nothing, pairs, level, n, FEWEST, math.nan, uncertainty, True, why),
        cells=made,
        posterior=fitted,
    )


def _limits(fitted: Posterior, chances: Floats, level: float) -> tuple[Floats, Floats, float]:
    """Medians and intervals of the limits, and the standard deviation of the posterior in healthy units."""
    limits, intervals, spreads = [], [], []
    for chance in chances:
        means, errors = fitted.log_limits(float(chance))
        tails = (0.5, 0.5 - level / 2, 0.5 + level / 2)
        middle, low, high = (math.exp(quantile(fitted.weights, means, errors, tail)) for tail in tails)
        limits.append(middle)
        intervals.append((low, high))
        spreads.append(fitted.spread(means, errors))
    return np.array(limits), np.array(intervals), float(np.mean(spreads))


def _starts(log_edges: Floats, reached: Floats, scale: Floats) -> Floats:
    """Where to begin: the densest quarter and half of the logarithms, and five quantiles with two widths each."""
    middle, unit = scale[0], scale[1]
    pairs = []
    for share in (0.25, 0.5):
        low = np.linspace(0.01, 0.99 - share, 60)
        width = np.interp(low + share, reached, log_edges) - np.interp(low, reached, log_edges)
        k = int(width.argmin())
        spread = width[k] / (-2.0 * float(ndtri(0.5 - 0.35 * share)))
        pairs.append((float(np.interp(low[k] + share / 2, reached, log_edges)), max(spread, 0.2 * unit)))
    for at in np.interp((0.2, 0.35, 0.5, 0.65, 0.8), reached, log_edges):
        pairs += [(float(at), 0.4 * unit), (float(at), 0.8 * unit)]
    starts = np.tile(_START, (len(pairs), 1))
    starts[:, CENTRE] = [(at - middle) / unit for at, _ in pairs]
    starts[:, WIDTH] = [math.log(spread / unit) for _, spread in pairs]
    return starts


def _expected(made: Cells, fitted: Posterior) -> dict[str, Floats]:
    log_edges = log_edges_of(made)
    total = np.zeros((4, len(made.counts)))
    cdf, slope, _, _ = workspace(len(made.edges))
    for weight, theta, shape in zip(fitted.weights, fitted.modes.theta, fitted.modes.shape, strict=True):
        left, right, _ = SHAPES[shape]
        parts(theta, left, right, made.edges, log_edges, fitted.scale, cdf, slope)
        inside = np.diff(cdf, prepend=0.0, append=1.0, axis=1)
        total += weight * shares(theta, left, right)[:, None] * inside
    names = ("healthy", "left", "right", "stray")
    return {name: made.n * row for name, row in zip(names, total, strict=True)}
