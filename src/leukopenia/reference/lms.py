"""z-scores and percentiles of results at an age, from curves of L, M and S.

Cole and Green (1992): z = ((x/M)^L - 1)/(L S), and log(x/M)/S where L is 0, is standard normal in the reference
population; L, M and S change with age. Between the ages of a curve they are interpolated linearly in the logarithm of
age. Outside them nothing is known, and the answer says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]

_NEARLY_ZERO = 1e-6


class Standing(NamedTuple):
    """Where results stand in the reference population.

    Attributes
    ----------
    z : array of float
        Standard deviations from the median on the transformed scale; NaN where unknown.
    percentile : array of float
        Share of the reference population below the result, in per cent; NaN where unknown.
    reason : array of str
        Why it is unknown, a reason code of `errors.REASONS`; empty where it is known.
    """

    z: Numbers
    percentile: Numbers
    reason: NDArray[np.str_]


class Curve(NamedTuple):
    """L, M and S of one line, group and sex at ascending ages (years)."""

    age: Numbers
    l: Numbers  # noqa: E741
    m: Numbers
    s: Numbers


Curves = Mapping[tuple[str, str, str], Curve]


def curves(rows: Iterable[Mapping[str, Any]]) -> Curves:
    """Rows of lms.csv, or of an estimate of the same shape, as curves.

    Parameters
    ----------
    rows : iterable of mapping
        analyte, group, sex, age_years, l, m, s; numbers or texts of numbers.

    Returns
    -------
    mapping of (analyte, group, sex) to Curve
    """
    found: dict[tuple[str, str, str], list[tuple[float, ...]]] = {}
    for row in rows:
        point = tuple(float(row[name]) for name in ("age_years", "l", "m", "s"))
        found.setdefault((row["analyte"], row["group"], row["sex"]), []).append(point)
    return {key: Curve(*np.array(sorted(points)).T) for key, points in found.items()}


def standing(
    value: ArrayLike, age_years: ArrayLike, sex: ArrayLike, analyte: str, known: Curves, group: str = "all"
) -> Standing:
    """z-score and percentile of results of one line.

    Parameters
    ----------
    value : array_like of float
        Results in the unit of the curves (10^9/L).
    age_years : array_like of float
        Age at the result; NaN where not known.
    sex : array_like of str
        male, female; anything else has the curve of both sexes, where there is one.
    analyte : str
        wbc, neutrophils, ...
    known : Curves
        What `curves` gives.
    group : str
        all, or a group of the survey: see nhanes_limits.csv.

    Returns
    -------
    Standing
        Arrays of the common shape of the three inputs.

    Examples
    --------
    >>> known = curves([{"analyte": "wbc", "group": "all", "sex": "any", "age_years": a, "l": 0, "m": 7, "s": 0.3}
    ...                 for a in (1, 80)])
    >>> standing([7.0, 3.9], 40, "female", "wbc", known).percentile.round(1).tolist()
    [50.0, 2.6]
    """
    values, ages, sexes = np.broadcast_arrays(_numbers(value), _numbers(age_years), np.asarray(sex, dtype=str))
    l, m, s, reason = _at(ages, sexes, analyte, known, group)  # noqa: E741
    reason = np.where((reason == "") & ~(values >= 0), "no_value", reason)
    z = np.where(reason == "", z_score(np.where(reason == "", values, 1.0), l, m, s), np.nan)
    return Standing(z, 100 * normal_share(z), reason)


def value_at(
    z: ArrayLike, age_years: ArrayLike, sex: ArrayLike, analyte: str, known: Curves, group: str = "all"
) -> Numbers:
    """The result that stands at a z-score, at an age; the inverse of `standing`.

    Parameters
    ----------
    z : array_like of float
        -1.96 for the 2.5th percentile.
    age_years, sex, analyte, known, group
        As for `standing`.

    Returns
    -------
    array of float
        In the unit of the curves; NaN where the age, sex or line has no curve.
    """
    at, ages, sexes = np.broadcast_arrays(_numbers(z), _numbers(age_years), np.asarray(sex, dtype=str))
    l, m, s, reason = _at(ages, sexes, analyte, known, group)  # noqa: E741
    power = np.where(np.abs(l) < _NEARLY_ZERO, _NEARLY_ZERO, l)
    inside = np.maximum(1 + power * s * at, 0.0)
    with np.errstate(divide="ignore"):
        return np.where(reason == "", m * inside ** (1 / power), np.nan)


def z_score(value: Numbers, l: Numbers, m: Numbers, s: Numbers) -> Numbers:  # noqa: E741
    """((x/M)^L - 1)/(L S), and log(x/M)/S where L is 0; minus infinity for 0 where L is not above 0."""
    with np.errstate(divide="ignore"):
        logs = np.log(value / m)
    power = np.where(np.abs(l) < _NEARLY_ZERO, 1.0, l)
    transformed: Numbers = np.where(np.abs(l) < _NEARLY_ZERO, logs, np.expm1(power * logs) / power)
    return transformed / s


def normal_share(z: Numbers) -> Numbers:
    """The share of a standard normal distribution below z."""
    error = np.frompyfunc(math.erfc, 1, 1)
    return np.asarray(error(-z / math.sqrt(2)) / 2, dtype=np.float64)


def _numbers(given: ArrayLike) -> Numbers:
    return np.asarray(given, dtype=np.float64)


def _at(
    ages: Numbers, sexes: NDArray[np.str_], analyte: str, known: Curves, group: str
) -> tuple[Numbers, Numbers, Numbers, NDArray[np.str_]]:
    """L, M and S at each age and sex (1 where unknown), and why they are unknown."""
    parts = np.ones((3, *ages.shape))
    reason = np.full(ages.shape, "no_curve", dtype="<U20")
    for sex in np.unique(sexes):
        curve = known.get((analyte, group, str(sex))) or known.get((analyte, group, "any"))
        if curve is not None:
            here = sexes == sex
            parts[:, here] = _interpolated(ages[here], curve)
            reason[here] = _why_unknown(ages[here], curve)
    return parts[0], parts[1], parts[2], reason


def _interpolated(ages: Numbers, curve: Curve) -> Numbers:
    inside = np.clip(np.nan_to_num(ages, nan=curve.age[0]), curve.age[0], curve.age[-1])
    places = np.log(curve.age)
    return np.array([np.interp(np.log(inside), places, part) for part in (curve.l, curve.m, curve.s)])


def _why_unknown(ages: Numbers, curve: Curve) -> NDArray[np.str_]:
    outside = (ages < curve.age[0]) | (ages > curve.age[-1])
    return np.where(np.isnan(ages), "age_unknown", np.where(outside, "age_outside_curve", ""))
