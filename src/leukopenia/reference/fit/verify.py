"""Does somebody else's interval serve here? Twenty persons, or limits of one's own against permissible uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numpy.typing import ArrayLike
from scipy import stats

from leukopenia.errors import UsageError
from leukopenia.reference.fit.sample import sample

PERSONS, ALLOWED = 20, 2
"""Persons asked for, and how many of them may lie outside: the rule of CLSI EP28-A3c as it is commonly quoted; the
guideline itself was not read."""

OUTSIDE = 0.05
"""Share of the healthy outside an interval of the percentiles 2.5 to 97.5."""

TO_SD = 3.92
"""Standard deviations, on the logarithmic scale, between those percentiles."""

_OF_LIMIT, _OF_CENTRE, _LEAST_CV = 1.024, 0.256, 0.25


@dataclass(frozen=True)
class Verification:
    """Healthy persons of one's own against a given interval.

    Attributes
    ----------
    n, below, above : int
        Persons, and those below and above the interval.
    allowed : int
        Persons outside with which it is still accepted.
    accepted : bool
    chance : float
        Of so many outside or more, if 5 % of the healthy lie outside.
    accepts : dict of float to float
        The chance that the rule accepts, if this share of the healthy lies outside.
    share_interval : (float, float)
        Exact 90 % interval of the share outside (Clopper and Pearson).
    """

    n: int
    below: int
    above: int
    allowed: int
    accepted: bool
    chance: float
    accepts: dict[float, float]
    share_interval: tuple[float, float]


@dataclass(frozen=True)
class Light:
    """One limit against a target.

    Attributes
    ----------
    colour : str
        green: within the permissible uncertainty of the target; yellow: outside, but the permissible uncertainties of
        both overlap; red: they do not.
    limit, target : float
    limit_range, target_range : (float, float)
        Each with its permissible uncertainty.
    """

    colour: str
    limit: float
    target: float
    limit_range: tuple[float, float]
    target_range: tuple[float, float]


def verify(values: ArrayLike, lower: float, upper: float = math.inf, allowed: int = ALLOWED) -> Verification:
    """Check an interval with the results of some healthy persons, usually 20.

    Accepted where no more than `allowed` lie outside. With 20 persons and 2 allowed a right interval is refused in
    7.5 % of trials, and one that leaves 15 % outside is accepted in 40 %: the exact chances stand beside the verdict.

    Parameters
    ----------
    values : (n,) array
        One result a person.
    lower, upper : float
        The interval; a result on a limit lies inside.
    allowed : int

    Returns
    -------
    Verification

    Raises
    ------
    UsageError
        Fewer than 20 persons; limits that are not in order; else as `sample`.
    """
    given = sample(values)
    if not lower < upper:
        raise UsageError("The lower limit must lie below the upper one.", "", "")
    if given.n < PERSONS:
        raise UsageError(f"{given.n} persons are too few.", "", f"{PERSONS} are enough (CLSI EP28-A3c).")
    below = int(given.counts[given.values < lower].sum())
    above = int(given.counts[given.values > upper].sum())
    found = below + above
    shares = (0.025, OUTSIDE, 0.10, 0.15, 0.20, 0.30)
    accepts = {share: float(stats.binom.cdf(allowed, given.n, share)) for share in shares}
    chance = float(stats.binom.sf(found - 1, given.n, OUTSIDE))
    ends = stats.binomtest(found, given.n).proportion_ci(0.90, method="exact")
    return Verification(
        given.n, below, above, allowed, found <= allowed, chance, accepts, (float(ends.low), float(ends.high))
    )


def permissible_uncertainty(lower: float, upper: float) -> tuple[float, float]:
    """How far each limit of an interval may be off, from a medical point of view (Haeckel and others 2015, 2016).

    f (1.024 limit + 0.256 g) / 100, where g is the geometric mean of both limits, f = sqrt(CV - 0.25), and CV, in
    percent, is that of a log-normal distribution with these limits: 100 sqrt(exp(s^2) - 1), s = ln(upper / lower) /
    3.92. Read in the documents of reflimR 1.1, which name Clin Chem Lab Med 2015;53:1161 and J Lab Med 2016;40:199;
    the papers themselves were not read.

    Parameters
    ----------
    lower, upper : float
        Percentiles 2.5 and 97.5, in one unit.

    Returns
    -------
    (float, float)
        Of the lower and of the upper limit, in that unit.

    Raises
    ------
    UsageError
        Limits that are not above 0 and in order, or so near one another that f is not defined.
    """
    if not 0 < lower < upper < math.inf:
        raise UsageError("Limits must be above 0, and the lower below the upper.", "", "One-sided ones have no CV.")
    spread = math.log(upper / lower) / TO_SD
    variation = 100 * math.sqrt(math.expm1(spread**2))
    if variation <= _LEAST_CV:
        raise UsageError("The limits are too near one another for a permissible uncertainty.", "", "")
    factor = math.sqrt(variation - _LEAST_CV) / 100
    centre = _OF_CENTRE * math.sqrt(lower * upper)
    return factor * (_OF_LIMIT * lower + centre), factor * (_OF_LIMIT * upper + centre)


def traffic_light(limits: tuple[float, float], targets: tuple[float, float]) -> tuple[Light, Light]:
    """Estimated limits against a target interval, each with its permissible uncertainty.

    Parameters
    ----------
    limits : (float, float)
        Estimated here.
    targets : (float, float)
        Of the manufacturer, a paper, or the interval in use.

    Returns
    -------
    (Light, Light)
        Of the lower and of the upper limit.

    Raises
    ------
    UsageError
        As `permissible_uncertainty`.
    """
    own, others = permissible_uncertainty(*limits), permissible_uncertainty(*targets)
    lower, upper = (_light(*pair) for pair in zip(limits, own, targets, others, strict=True))
    return lower, upper


def _light(limit: float, off: float, target: float, target_off: float) -> Light:
    distance = abs(limit - target)
    colour = "green" if distance <= target_off else "yellow" if distance <= off + target_off else "red"
    return Light(colour, limit, target, (limit - off, limit + off), (target - target_off, target + target_off))
