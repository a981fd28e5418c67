"""The door to the estimators: `leukopenia.reference.estimate`."""

from __future__ import annotations

from numpy.typing import ArrayLike

from leukopenia.errors import UsageError
from leukopenia.reference.fit.direct import METHODS, DirectLimits, direct
from leukopenia.reference.fit.indirect import IndirectLimits, indirect


def estimate(
    values: ArrayLike,
    counts: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    method: str = "indirect",
    percentiles: ArrayLike = (2.5, 97.5),
    confidence: float = 0.90,
    seed: int = 0,
    detection_limit: float | None = None,
) -> IndirectLimits | DirectLimits:
    """Reference limits from one's own results.

    Parameters
    ----------
    values : (k,) array
        Results in one unit, not negative.
    counts : (k,) array, optional
        How many results have that value; one each where absent.
    weights : (k,) array, optional
        Survey weight of each result, above 0.
    method : str
        ``indirect`` takes routine results, in which the healthy and the ill are mixed. ``direct`` takes results of
        healthy persons and chooses by their number, as does ``auto``; ``nonparametric``, ``robust`` and
        ``parametric`` name one.
    percentiles : array
        The limits wanted, between 0 and 100.
    confidence : float
        Of the interval of each limit.
    seed : int
        Of the bootstrap of the robust method; the others draw nothing.
    detection_limit : float, optional
        Results at or below it stand for anything below (indirect).

    Returns
    -------
    IndirectLimits or DirectLimits
        ``lower``, ``upper``, ``lower_interval``, ``upper_interval``, ``healthy_fraction``, ``verdict`` and more. On
        refusal the limits are NaN and the verdict says why.

    Raises
    ------
    UsageError
        Text, missing or negative results; no such method; what the method does not take.

    Examples
    --------
    >>> import numpy as np
    >>> results = np.random.default_rng(1).lognormal(1.8, 0.25, 5000).round(1)
    >>> limits = estimate(results)
    >>> round(limits.lower, 1), round(limits.upper, 1)
    (3.7, 9.9)
    """
    if method == "indirect":
        return indirect(values, counts, weights, percentiles, confidence, detection_limit)
    named = "auto" if method == "direct" else method
    if named not in METHODS:
        choices = ", ".join(("indirect", "direct", *METHODS[1:]))
        raise UsageError(f"There is no method {method!r}.", "", f"Choose one of: {choices}.")
    if detection_limit is not None:
        raise UsageError("Direct methods take no detection limit.", "", "Ranks above it can be read all the same.")
    return direct(values, counts, weights, percentiles, confidence, named, seed)
