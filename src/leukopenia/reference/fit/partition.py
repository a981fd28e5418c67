"""One interval for all, or one for each group: Harris and Boyd, Lahti."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from leukopenia.errors import UsageError
from leukopenia.reference.fit.power import best_power, geometric_mean, transform
from leukopenia.reference.fit.ranks import quantiles
from leukopenia.reference.fit.sample import Floats, Sample, probabilities, sample

CRITICAL_Z = {"three": 3.0, "five": 5.0}
"""Two critical values are quoted for Harris and Boyd, both times sqrt((n1 + n2) / 240): `five` is that of a study of
pregnancy (PMC10768452, table 1), read; `three` is that of the usual text, not read in a source."""

SD_RATIO = 1.5
"""Ratio of standard deviations above which groups are parted; quoted with the usual text, not read in a source."""

SPLIT_ABOVE, COMBINE_BELOW = 0.041, 0.032
"""Share of a group outside a common limit (Lahti and others 2002, Clin Chem 48:338, abstract)."""


@dataclass(frozen=True)
class HarrisBoyd:
    """The test of two groups.

    Attributes
    ----------
    z : float
        Difference of the means in standard errors, on the scale used.
    critical : dict of str to float
        The critical value under each of the two conventions, `three` and `five`.
    parts : dict of str to bool
        Whether the groups are to be parted under each convention: z above critical, or `sd_ratio` above 1.5.
    sd_ratio : float
        Larger over smaller standard deviation.
    n : (int, int)
        Persons of each group.
    power : float
        Box-Cox power of the scale; 1: as given.
    """

    z: float
    critical: dict[str, float]
    parts: dict[str, bool]
    sd_ratio: float
    n: tuple[int, int]
    power: float


@dataclass(frozen=True)
class Lahti:
    """Shares of each group outside the common limits.

    Attributes
    ----------
    limits : (m,) array
        The common limits, one for each percentile.
    outside : dict of str to (m,) array
        Share of each group below a lower limit, or above an upper one.
    verdict : str
        split, combine, or judge: the shares lie between, and other than statistical reasons decide.
    """

    limits: Floats
    outside: dict[str, Floats]
    verdict: str


def harris_boyd(
    first: ArrayLike,
    second: ArrayLike,
    first_counts: ArrayLike | None = None,
    second_counts: ArrayLike | None = None,
    power: float | None = 1.0,
) -> HarrisBoyd:
    """Are the means of two groups too far apart for one interval (Harris and Boyd 1990)?

    Parameters
    ----------
    first, second : arrays
        Results of the two groups.
    first_counts, second_counts : arrays, optional
        Persons with that result.
    power : float or None
        Box-Cox power of the scale on which both are compared; None: that of both together. The test takes the
        groups to be normal.

    Returns
    -------
    HarrisBoyd

    Raises
    ------
    UsageError
        A group of fewer than two persons, or of equal results; else as `sample`.
    """
    groups = [sample(first, first_counts, positive=power != 1), sample(second, second_counts, positive=power != 1)]
    for group in groups:
        if group.n < 2 or group.constant:
            raise UsageError("A group needs at least two different results.", f"One has {group.n} persons.", "")
    used, scale = _scale(groups, power)
    moments = [_moments(group, used, scale) for group in groups]
    (mean1, sd1), (mean2, sd2) = moments
    n1, n2 = (group.n for group in groups)
    z = abs(mean1 - mean2) / np.sqrt(sd1**2 / n1 + sd2**2 / n2)
    ratio = max(sd1, sd2) / min(sd1, sd2)
    critical = {name: factor * np.sqrt((n1 + n2) / 240) for name, factor in CRITICAL_Z.items()}
    parts = {name: bool(z > limit or ratio > SD_RATIO) for name, limit in critical.items()}
    return HarrisBoyd(float(z), critical, parts, float(ratio), (n1, n2), used)


def lahti(
    groups: Mapping[str, ArrayLike],
    counts: Mapping[str, ArrayLike] | None = None,
    percentiles: ArrayLike = (2.5, 97.5),
    limits: ArrayLike | None = None,
) -> Lahti:
    """Which part of each group lies outside the common limits (Lahti and others 2002)?

    The criterion is meant for common limits that each leave 2.5 % of all outside: above 4.1 % of a group, split;
    below 3.2 % everywhere, combine; between, judge.

    Parameters
    ----------
    groups : mapping of str to array
        Results of each group, two or more.
    counts : mapping of str to array, optional
        Persons with that result; exact for a table of values and counts.
    percentiles : array
        Below 50: a lower limit, else an upper one.
    limits : array, optional
        The common limits, one for each percentile; where absent, those of all groups together as they were sampled.

    Returns
    -------
    Lahti

    Raises
    ------
    UsageError
        Fewer than two groups, limits that do not match the percentiles; else as `sample`.
    """
    if len(groups) < 2:
        raise UsageError("Partitioning needs two groups or more.", f"There are {len(groups)}.", "")
    given = {name: sample(values, (counts or {}).get(name)) for name, values in groups.items()}
    p = probabilities(percentiles)
    common = _common(list(given.values()), p) if limits is None else np.atleast_1d(np.asarray(limits, dtype=float))
    if common.shape != p.shape:
        raise UsageError("limits and percentiles differ in number.", f"{common.size} and {p.size}.", "")
    outside = {name: _outside(group, p, common) for name, group in given.items()}
    return Lahti(common, outside, _verdict(max(share.max() for share in outside.values())))


def _scale(groups: list[Sample], power: float | None) -> tuple[float, float]:
    together = _together(groups)
    used = best_power(together) if power is None else power
    return used, 1.0 if used == 1 else geometric_mean(together)


def _together(groups: list[Sample]) -> Sample:
    return sample(np.concatenate([g.values for g in groups]), np.concatenate([g.counts for g in groups]))


def _moments(group: Sample, power: float, scale: float) -> tuple[float, float]:
    y = group.values if power == 1 else transform(group.values / scale, power)
    mean = (group.counts * y).sum() / group.n
    return mean, np.sqrt((group.counts * (y - mean) ** 2).sum() / (group.n - 1))


def _common(groups: list[Sample], p: Floats) -> Floats:
    return quantiles(_together(groups), p)


def _outside(group: Sample, p: Floats, limits: Floats) -> Floats:
    lower = (group.values[:, None] < limits) & (p < 0.5)
    upper = (group.values[:, None] > limits) & (p >= 0.5)
    return (group.counts[:, None] * (lower | upper)).sum(axis=0) / group.n


def _verdict(most: float) -> str:
    if most > SPLIT_ABOVE:
        return "split"
    return "combine" if most < COMBINE_BELOW else "judge"
