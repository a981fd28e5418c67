"""Nonparametric percentiles: rank p (n + 1), exact binomial intervals, survey weights."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from leukopenia.errors import UsageError
from leukopenia.reference.fit.sample import Floats, Sample


def quantiles(sample: Sample, p: ArrayLike, step: float = 0.0) -> Floats:
    """Percentiles by rank p (n + 1), between two persons by linear interpolation.

    This is the definition of IFCC and CLSI EP28-A3c, ``numpy.quantile(..., method="weibull")``. A person of weight w
    takes up w ranks, in the middle of which his value stands, so that weights of 1 change nothing.

    Parameters
    ----------
    sample : Sample
    p : (m,) array
        Fractions of 1. Ranks below the first and above the last person give the first and last value.
    step : float
        The step results were rounded to; above 0, each value is spread evenly over its cell, from half a step below
        to half a step above.

    Returns
    -------
    (m,) array
    """
    if step > 0:
        sample = _pooled(sample)
    mass = sample.counts * sample.weights
    upto = np.cumsum(mass)
    if step > 0:
        ranks, values = np.stack([upto - mass, upto]), np.stack([sample.values - step / 2, sample.values + step / 2])
    else:
        half = sample.weights / 2
        ranks, values = np.stack([upto - mass + half, upto - half]), np.stack([sample.values, sample.values])
    return np.interp(np.asarray(p) * (sample.n + 1), ranks.ravel("F") + 0.5, values.ravel("F"))


def _pooled(sample: Sample) -> Sample:
    """The same with one row for each value."""
    values, at = np.unique(sample.values, return_inverse=True)
    counts = np.bincount(at, sample.counts).astype(np.int64)
    mass = np.bincount(at, sample.counts * sample.weights)
    return Sample(values, counts, mass / counts, np.arange(len(values)))


def confidence_ranks(n: int, p: float, confidence: float) -> tuple[int, int]:
    """Ranks between which percentile p lies with at least this confidence.

    The number of n persons below the percentile is binomial. The lower rank is the highest that more than the
    percentile's own share can reach with a chance of at most (1 - confidence) / 2, the upper rank likewise. They are
    those of the table of CLSI EP28-A3c (90 %: 1 and 7 of 120, 2 and 11 of 240, 17 and 34 of 1,000).

    Returns
    -------
    (int, int)
        Counted from 1; 0 and n + 1 where n is too small for an end of the interval.
    """
    tail = (1 - confidence) / 2
    lower = int(stats.binom.ppf(tail, n, p))
    lower = lower + 1 if stats.binom.cdf(lower, n, p) <= tail else lower
    upper = int(stats.binom.isf(tail, n, p)) + 1
    upper = upper + 1 if stats.binom.sf(upper - 1, n, p) > tail else upper
    return lower, upper


def rank_coverage(n: int, p: float, ranks: tuple[int, int]) -> float:
    """The chance that percentile p lies between two ranks of n persons (continuous values)."""
    lower, upper = ranks
    return float(stats.binom.cdf(upper - 1, n, p) - stats.binom.cdf(lower - 1, n, p))


def needed_for_percentile(p: float) -> int:
    """The smallest n with a rank p (n + 1) from 1 to n: 39 for 2.5 and 97.5, as the documents of Analyse-it say too."""
    tail = min(p, 1 - p)
    return math.ceil(1 / tail - 1 - 1e-9)


def needed_for_interval(p: float, confidence: float) -> int:
    """The smallest n with both ends of the interval: 119 for 2.5 and 97.5 at 90 %; CLSI EP28-A3c rounds to 120."""
    tail = min(p, 1 - p)
    return max(
        math.ceil(math.log((1 - confidence) / 2) / math.log1p(-tail) - 1e-9),
        needed_for_percentile(p),
    )


def rank_interval(sample: Sample, p: float, confidence: float) -> tuple[float, float]:
    """The values at `confidence_ranks`; NaN at an end for which there are too few persons."""
    lower, upper = confidence_ranks(sample.n, p, confidence)
    low = sample.ranked(lower) if lower >= 1 else math.nan
    high = sample.ranked(upper) if upper <= sample.n else math.nan
    return low, high


def woodruff_interval(
    sample: Sample,
    p: float,
    confidence: float,
    strata: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    step: float = 0.0,
) -> tuple[float, float]:
    """The interval of a percentile of a survey (Woodruff 1952).

    The share of the population below the estimated percentile has a standard error from the design (Taylor
    linearisation, first-stage units drawn with replacement within strata). The limits of that share, by Student's t
    with units less strata degrees of freedom, are read off as percentiles.

    Parameters
    ----------
    sample : Sample
    p, confidence : float
    strata, clusters : (k,) arrays, optional
        Stratum and first-stage unit of each row, in the order they were given. One stratum, and each row a unit,
        where absent.
    step : float
        As in `quantiles`.

    Returns
    -------
    (float, float)
        NaN at an end that would lie outside the sample.

    Raises
    ------
    UsageError
        A stratum with a single unit.
    """
    share, freedom = _share_error(sample, float(quantiles(sample, [p], step)[0]), p, strata, clusters)
    reach = stats.t.ppf((1 + confidence) / 2, freedom) * share
    ends = np.array([p - reach, p + reach])
    inside = (ends * (sample.n + 1) >= 1) & (ends * (sample.n + 1) <= sample.n)
    low, high = np.where(inside, quantiles(sample, np.clip(ends, 0, 1), step), np.nan)
    return float(low), float(high)


def _share_error(
    sample: Sample, limit: float, p: float, strata: ArrayLike | None, clusters: ArrayLike | None
) -> tuple[float, int]:
    """Standard error of the share below a limit, and its degrees of freedom."""
    units, stratum_of = _units(sample, strata, clusters)
    mass = sample.counts * sample.weights
    scores = mass * ((sample.values <= limit) - p) / mass.sum()
    totals = np.bincount(units, scores)
    size = np.bincount(stratum_of)
    if (size == 1).any():
        raise UsageError(
            "A stratum has a single unit, so its variance is unknown.",
            f"{int((size == 1).sum())} of {len(size)} strata.",
            "Join such strata with a like one.",
        )
    means = np.bincount(stratum_of, totals) / size
    squares = np.bincount(stratum_of, (totals - means[stratum_of]) ** 2)
    return float(np.sqrt((squares * size / (size - 1)).sum())), len(totals) - len(size)


def _units(
    sample: Sample, strata: ArrayLike | None, clusters: ArrayLike | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The unit of each row, and the stratum of each unit; units of equal name in two strata are two."""
    rows = len(sample.values)
    if clusters is None and (sample.counts > 1).any():
        raise UsageError(
            "A survey weight belongs to one person.", "Rows of several persons have one.", "Give clusters."
        )
    stratum = np.zeros(rows, int) if strata is None else _coded("strata", strata, sample)
    cluster = np.arange(rows) if clusters is None else _coded("clusters", clusters, sample)
    pairs, units = np.unique(stratum * (cluster.max() + 1) + cluster, return_inverse=True)
    return units, np.unique(pairs // (cluster.max() + 1), return_inverse=True)[1]


def _coded(name: str, given: ArrayLike, sample: Sample) -> NDArray[np.intp]:
    column = np.asarray(given)
    if column.ndim != 1 or len(column) <= sample.order.max():
        raise UsageError(f"{name} must hold one entry for each value.", f"It has {column.size}.", "")
    return np.unique(column[sample.order], return_inverse=True)[1]
