"""Results that stand apart from the rest: named, never dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from leukopenia.errors import UsageError
from leukopenia.reference.fit.power import best_power, geometric_mean, restore, transform
from leukopenia.reference.fit.ranks import quantiles
from leukopenia.reference.fit.sample import Floats, Sample, sample

FENCE = 1.5
"""Tukey's inner fence, in interquartile ranges (Tukey 1977)."""

ONE_THIRD = 1 / 3
"""Share of the range that a gap must exceed (Reed, Henry and Mason 1971, in the MedCalc manual)."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(120)


@dataclass(frozen=True)
class Outliers:
    """Which rows stand apart.

    Attributes
    ----------
    method : str
        tukey, dixon or reed.
    flagged : (k,) array of bool
        One for each row, in the order given.
    kept : tuple of float
        Lowest and highest result that is no outlier (tukey: the fences), in the unit of the results.
    power : float
        Box-Cox power of the scale on which distances were taken; 1: as given.
    """

    method: str
    flagged: NDArray[np.bool_]
    kept: tuple[float, float]
    power: float

    @property
    def n(self) -> int:
        """Rows that stand apart."""
        return int(self.flagged.sum())


def tukey(
    values: ArrayLike, counts: ArrayLike | None = None, power: float | None = None, fence: float = FENCE
) -> Outliers:
    """Results beyond Tukey's fences, on the Box-Cox scale (Horn; Tukey 1977).

    Parameters
    ----------
    values : (k,) array
        Above 0, unless the power is 1.
    counts : (k,) array, optional
        Persons with that result.
    power : float, optional
        Box-Cox power; estimated where absent. 1: no transformation.
    fence : float
        Interquartile ranges from a quartile to its fence.
    """
    given = sample(values, counts, positive=power != 1)
    scaled, used, scale = _scaled(given, power)
    low, high = quantiles(scaled, [0.25, 0.75])
    ends = np.array([low - fence * (high - low), high + fence * (high - low)])
    beyond = (scaled.values < ends[0]) | (scaled.values > ends[1])
    lower, upper = ends if used == 1 else restore(ends, used) * scale
    return Outliers("tukey", _in_order(given, beyond, values), (float(lower), float(upper)), used)


def dixon(
    values: ArrayLike, counts: ArrayLike | None = None, power: float = 1.0, significance: float = 0.05
) -> Outliers:
    """Extreme results whose gap to the next is too large a part of the range, one after the other (Dixon's r10).

    The chance of such a gap among normal results is exact (`dixon_chance`), for both ends together. The end with the
    smaller chance goes first; what is left is asked again, until nothing stands apart.

    Parameters
    ----------
    values, counts
        As in `tukey`.
    power : float
        Box-Cox power of the scale; the test takes the results to be normal there.
    significance : float
        Two-sided.
    """

    def apart(gaps: Floats, reach: float, n: int) -> Floats:
        chances = np.array([2 * dixon_chance(float(gap / reach), n) for gap in gaps])
        return np.where(chances < significance, -chances, -np.inf)

    return _one_after_the_other("dixon", values, counts, power, apart)


def reed(values: ArrayLike, counts: ArrayLike | None = None, power: float = 1.0, share: float = ONE_THIRD) -> Outliers:
    """An extreme result whose gap to the next exceeds a third of the range (Reed's D/R rule), one after the other.

    Two wild results side by side hide one another: this rule looks at the outermost only.

    Parameters
    ----------
    values, counts, power
        As in `dixon`.
    share : float
        Of the range.
    """

    def apart(gaps: Floats, reach: float, n: int) -> Floats:
        return np.where(gaps > share * reach, gaps, -np.inf)

    return _one_after_the_other("reed", values, counts, power, apart)


def dixon_chance(ratio: float, n: int) -> float:
    """The chance that the gap at one given end is more than this part of the range of n normal results.

    n (n - 1) times the integral of f(x) f(x + w) [F(x + (1 - r) w) - F(x)]^(n - 2) over the extreme x and the range
    w, for the others must lie in the rest of the range; by Gauss and Legendre, to about 1e-6 for 3 to 1,000 results.

    Raises
    ------
    UsageError
        Fewer than three results.
    """
    if n < 3:
        raise UsageError("Dixon's ratio needs three results.", f"There are {n}.", "")
    x, across = 8 * _NODES[:, None], 8 * (_NODES[None, :] + 1)
    inside = special.ndtr(x + (1 - ratio) * across) - special.ndtr(x)
    density = np.exp(-(x**2 + (x + across) ** 2) / 2) / (2 * np.pi) * inside ** (n - 2)
    return float(n * (n - 1) * 64 * (_WEIGHTS @ density @ _WEIGHTS))


Apart = Callable[[Floats, float, int], Floats]
"""Gaps at both ends, range and number of persons -> how far each end stands apart; minus infinity: it does not."""


def _one_after_the_other(
    method: str, values: ArrayLike, counts: ArrayLike | None, power: float, apart: Apart
) -> Outliers:
    given = sample(values, counts, positive=power != 1)
    scaled = _scaled(given, power)[0]
    first, last = 0, len(scaled.values) - 1
    while (n := int(scaled.counts[first : last + 1].sum())) >= 3:
        left = scaled.values[first : last + 1]
        reach = float(left[-1] - left[0])
        strength = apart(_gaps(left, scaled.counts[first : last + 1]), reach, n) if reach > 0 else np.full(2, -np.inf)
        if strength.max() == -np.inf:
            break
        first, last = (first + 1, last) if strength[0] >= strength[1] else (first, last - 1)
    rows = np.arange(len(given.values))
    beyond = (rows < first) | (rows > last)
    return Outliers(method, _in_order(given, beyond, values), (given.values[first], given.values[last]), power)


def _gaps(x: Floats, counts: NDArray[np.int64]) -> Floats:
    """From the lowest person to the next, and from the highest; two persons with one result have no gap."""
    return np.array([(x[1] - x[0]) * (counts[0] == 1), (x[-1] - x[-2]) * (counts[-1] == 1)])


def _scaled(given: Sample, power: float | None) -> tuple[Sample, float, float]:
    """The sample on its Box-Cox scale, the power, and the unit that stands for 1."""
    if power == 1 or given.constant:
        return given, 1.0, 1.0
    used, scale = best_power(given) if power is None else power, geometric_mean(given)
    return replace(given, values=transform(given.values / scale, used)), used, scale


def _in_order(given: Sample, beyond: NDArray[np.bool_], values: ArrayLike) -> NDArray[np.bool_]:
    flagged = np.zeros(len(np.asarray(values)), dtype=bool)
    flagged[given.order] = beyond
    return flagged
