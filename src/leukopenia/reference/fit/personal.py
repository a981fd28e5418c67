"""What is usual for one person: set point, personal limits, reference change value, all on the logarithmic scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from leukopenia.errors import UsageError
from leukopenia.reference.fit.sample import check_confidence, probabilities, sample

TO_SD = 2 * stats.norm.ppf(0.975)
"""Standard deviations between the percentiles 2.5 and 97.5."""


@dataclass(frozen=True)
class PersonalLimits:
    """Limits for the next count of one person.

    Attributes
    ----------
    setpoint : float
        What the person's counts fluctuate around (median), in the unit of the counts.
    limits : (m,) array
        One for each percentile.
    percentiles : (m,) array
        From 0 to 100: the share of stable persons like this one whose next count lies below.
    n : int
        Counts that it rests on.
    own : float
        How much of the set point comes from the person's own counts, 0 to 1; the rest is the population's.
    """

    setpoint: float
    limits: np.ndarray
    percentiles: np.ndarray
    n: int
    own: float

    @property
    def lower(self) -> float:
        """The lowest limit."""
        return float(self.limits.min())

    @property
    def upper(self) -> float:
        """The highest limit."""
        return float(self.limits.max())


def log_sd(*variations: float) -> float:
    """Standard deviation of logarithms from coefficients of variation, whose variances add up.

    Parameters
    ----------
    *variations : float
        In percent: within-person, analytical. For a log-normal quantity s^2 = ln(1 + CV^2).

    Raises
    ------
    UsageError
        One below 0 or not finite.
    """
    if not all(0 <= one < math.inf for one in variations):
        raise UsageError("A coefficient of variation is a percentage of 0 or more.", "", "")
    return math.sqrt(sum(math.log1p((one / 100) ** 2) for one in variations))


def reference_change(
    within: float, analytical: float = 0.0, confidence: float = 0.95, sides: int = 2
) -> tuple[float, float]:
    """Between which ratios two counts of a stable person lie (Fokkema and others 2006).

    exp(-+ z sqrt(2) s): the limits are ratios, so a fall needs a smaller percentage than a rise. A share of
    `confidence` of pairs lies between them (two sides), or beyond neither taken alone (one side).

    Parameters
    ----------
    within, analytical : float
        Coefficients of variation, percent.
    confidence : float
    sides : int
        2: any change; 1: only a fall, or only a rise, is asked about.

    Returns
    -------
    (float, float)
        Later count over earlier count: lowest and highest that chance explains.

    Examples
    --------
    >>> [round(ratio, 2) for ratio in reference_change(15.7)]
    [0.65, 1.54]
    """
    if sides not in (1, 2):
        raise UsageError(f"sides cannot be {sides}.", "", "Ask about 1 (a fall) or 2 (any change).")
    z = stats.norm.ppf(1 - (1 - check_confidence(confidence)) / sides)
    reach = float(z * math.sqrt(2) * log_sd(within, analytical))
    return math.exp(-reach), math.exp(reach)


def personal_limits(
    counts: ArrayLike,
    within: float,
    analytical: float = 0.0,
    population: tuple[float, float] | None = None,
    percentiles: ArrayLike = (2.5, 97.5),
) -> PersonalLimits:
    """Limits for the next count of a person, from earlier counts in a stable state.

    Counts of a person are log-normal around a set point, with the standard deviation of `within` and `analytical`;
    set points are log-normal among people, so that all of it together gives the population's limits. The interval is
    the prediction interval of the next count. Without any count it is the population's; with each count it moves to
    the person's. Where no population is given, the set point is the mean of the counts, and the interval is
    mean -+ z s sqrt(1 + 1/n): the second model of Coskun and others 2022 (abstract read), here on logarithms. The
    shrinkage to the population is our own choice; it is the normal posterior, and tested by simulation.

    The caller leaves out counts of an acute illness or an episode, of another age, and of other hours where the
    time of day matters (lymphocytes).

    Parameters
    ----------
    counts : (n,) array
        Earlier counts above 0, each of another day.
    within, analytical : float
        Coefficients of variation, percent.
    population : (float, float), optional
        Percentiles 2.5 and 97.5 of the person's population.
    percentiles : array
        The limits wanted.

    Returns
    -------
    PersonalLimits

    Raises
    ------
    UsageError
        No count and no population; a population in which people differ no more than one person does from day to day;
        else as `sample`.
    """
    spread, p = log_sd(within, analytical), probabilities(percentiles)
    if not np.size(counts) and population is None:
        raise UsageError("There are neither counts nor a population.", "", "One count, or the population's limits.")
    logs = np.log(sample(counts, positive=True).values) if np.size(counts) else np.empty(0)
    centre, error, own = _set_point(logs, spread, population)
    limits = np.exp(centre + stats.norm.ppf(p) * math.hypot(error, spread))
    return PersonalLimits(math.exp(centre), limits, p * 100, len(logs), own)


def _set_point(logs: np.ndarray, spread: float, population: tuple[float, float] | None) -> tuple[float, float, float]:
    """Mean and standard deviation of the set point after these counts, and the weight of the counts in it."""
    n = len(logs)
    if population is None:
        return float(logs.mean()), spread / math.sqrt(n), 1.0
    mean, between = _between_people(spread, population)
    own = n * between**2 / (n * between**2 + spread**2)
    centre = mean + (own * (float(logs.mean()) - mean) if n else 0.0)
    return centre, between * math.sqrt(1 - own), own


def _between_people(spread: float, population: tuple[float, float]) -> tuple[float, float]:
    """Mean and standard deviation of the logarithmic set points among people."""
    lower, upper = population
    if not 0 < lower < upper < math.inf:
        raise UsageError("The population's limits must be above 0, the lower below the upper.", "", "")
    total = math.log(upper / lower) / TO_SD
    if total <= spread:
        raise UsageError(
            "The population's interval is no wider than the variation of one person.",
            "",
            "Personal limits would say nothing more than it does.",
        )
    return math.log(lower * upper) / 2, math.sqrt(total**2 - spread**2)


def counts_needed(within: float, analytical: float = 0.0, near: float = 10.0, confidence: float = 0.95) -> int:
    """How many counts put their mean within `near` percent of the set point: (z CV / near)^2 (Fraser and Harris 1989).

    Parameters
    ----------
    within, analytical, near : float
        Percent.
    confidence : float

    Examples
    --------
    >>> counts_needed(15.7)
    10
    """
    if not near > 0:
        raise UsageError("near must be above 0 percent.", "", "")
    z = stats.norm.ppf((1 + check_confidence(confidence)) / 2)
    return max(1, math.ceil((z * math.hypot(within, analytical) / near) ** 2 - 1e-9))
