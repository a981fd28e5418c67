"""Reference limits as smooth functions of age: `leukopenia.reference.by_age`."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leukopenia.errors import UsageError
from leukopenia.reference.fit.age_cells import AgeCells, age_cells
from leukopenia.reference.fit.age_limits import LimitsByAge, Strata
from leukopenia.reference.fit.age_posterior import AgePosterior, healthy_only, mixed
from leukopenia.reference.fit.age_terms import HEALTHY, Terms, terms
from leukopenia.reference.fit.ages import in_hours, place
from leukopenia.reference.fit.parts import CENTRE, LAMBDA, NORMAL, WIDTH
from leukopenia.reference.fit.posterior import priors
from leukopenia.reference.fit.sample import UNITS_APART, Sample, check_confidence, probabilities, sample

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FEWEST = {"direct": 120, "indirect": 1_000}
"""Results below which the methods have not been measured (benchmarks/reference_by_age.md)."""

_FEWEST_OF_STRATUM = {"direct": 20, "indirect": 100}
_FEWEST_VALUES = 8
_STEP, _LEAST_STEPS, _MOST_STEPS = 0.45, 4, 40
_PER_STEP = {"direct": 25, "indirect": 100}
_ROWS_PER_STEP = 4
_LIKE = np.array([[NORMAL, NORMAL, 0]])
_VAGUE = {LAMBDA: 1.0, CENTRE: 1e-4, WIDTH: 1e-2}
"""Precisions of the direct priors, which only keep a fit to few results from running away."""


def by_age(
    values: ArrayLike,
    ages: ArrayLike,
    counts: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    sex: ArrayLike | None = None,
    group: ArrayLike | None = None,
    method: str = "indirect",
    percentiles: ArrayLike = (2.5, 97.5),
    confidence: float = 0.90,
    seed: int = 0,
    age_unit: str = "years",
) -> LimitsByAge:
    """Reference limits as smooth functions of age, from the first hours of life on.

    At every age the healthy are a Box-Cox normal with power L, median M and spread S (Cole and Green 1992); each is a
    penalised spline in age (Eilers and Marx 1996), as smooth as the data say (Wood and Fasiolo 2017). Sex and group
    each add a curve of their own, drawn towards the common one as far as the data allow.

    Parameters
    ----------
    values : (k,) array
        Results in one unit, not negative, rounded as the laboratory reports them.
    ages : (k,) array
        Exact age at each result in `age_unit`. For completed years add half a year.
    counts : (k,) array, optional
        How many results have that value, age, sex and group.
    weights : (k,) array, optional
        Survey weight of each result.
    sex, group : (k,) array of str, optional
        Labels; none missing.
    method : str
        ``indirect`` takes routine results, in which the healthy and the ill are mixed; ``direct`` takes results of
        healthy persons, one each.
    percentiles : array
        The limits wanted, between 0 and 100.
    confidence : float
        Of the interval of each limit.
    seed : int
        Nothing is drawn; taken so that every estimator is called alike.
    age_unit : str
        years, months, days or hours.

    Returns
    -------
    LimitsByAge
        ``lower``, ``upper``, ``limits``, ``z``, ``percentile``, ``lms``, ``table`` and more. Where there are too few
        results at an age, or the answer is too uncertain, limits are NaN. On refusal all are, and the verdict says why.

    Raises
    ------
    UsageError
        Text, missing or negative results or ages; labels missing; lengths that differ; no such method or unit.

    Notes
    -----
    The indirect form is an own method: see docs/explanation/by-age.md; measured in benchmarks/reference_by_age.md.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> ages = rng.uniform(1, 18, 4000)
    >>> results = (3 + 0.1 * ages) * rng.lognormal(0, 0.3, 4000)
    >>> found = by_age(results.round(2), ages, method="direct")
    >>> round(found.lower(5.0), 1), round(found.lower(15.0), 1)
    (1.9, 2.5)
    """
    if method not in FEWEST:
        raise UsageError(f"There is no method {method!r}.", "", f"Choose one of: {', '.join(FEWEST)}.")
    chances, level = probabilities(percentiles), check_confidence(confidence)
    given = sample(values, counts, weights)
    hours = _aligned("ages", in_hours("ages", ages, age_unit), values)[given.order]
    strata, own = _strata(sex, group, values, given)
    settled = (100 * chances, level, method, age_unit, strata)
    why = _refusal(given, hours, own, strata, method)
    if why:
        return LimitsByAge(*settled, float(given.n), why)
    posterior, made = _fitted(given, place(hours), own, strata, method)
    healthy = float(np.average(posterior.healthy_fractions(made.places, made.strata), weights=made.counts.sum(axis=1)))
    taken = f"; {healthy:.0%} taken to be healthy" if method == "indirect" else ""
    said = f"{method.capitalize()} limits by age from {made.n:.0f} results{taken}."
    return LimitsByAge(*settled, made.n, said, healthy, posterior)


def _fitted(given: Sample, places: Floats, own: Integers, strata: Strata, method: str) -> tuple[AgePosterior, AgeCells]:
    low, high = float(places.min()), float(places.max())
    most = min(_MOST_STEPS, given.n // _PER_STEP[method])
    intervals = int(np.clip(round((high - low) / _STEP), _LEAST_STEPS, max(most, _LEAST_STEPS)))
    made = age_cells(given, places, own, (high - low) / intervals / _ROWS_PER_STEP)
    parts = _parts(low, high, intervals, strata, method)
    if method == "direct":
        return healthy_only(made, parts), made
    return mixed(made, parts), made


def _parts(low: float, high: float, intervals: int, strata: Strata, method: str) -> Terms:
    prior = priors(_LIKE)[0]
    prior[1, CENTRE] = _VAGUE[CENTRE]
    if method == "direct":
        for parameter in HEALTHY:
            prior[1, parameter] = _VAGUE[parameter]
    return terms(low, high, intervals, strata.factors(), prior, method == "indirect")


def _aligned(name: str, column: NDArray, values: ArrayLike) -> NDArray:
    if len(column) != np.asarray(values).shape[0]:
        lengths = f"They have {np.asarray(values).shape[0]} and {len(column)}."
        raise UsageError(f"values and {name} differ in length.", lengths, "Give one for each result.")
    return column


def _strata(
    sex: ArrayLike | None, group: ArrayLike | None, values: ArrayLike, given: Sample
) -> tuple[Strata, Integers]:
    """Every pair of labels, and which of them each result has, in the order of the sample."""
    columns = [_labels("sex", sex, values), _labels("group", group, values)]
    names, place_of = zip(*(np.unique(column[given.order], return_inverse=True) for column in columns), strict=True)
    own = place_of[0] * len(names[1]) + place_of[1]
    pairs = tuple((str(one), str(other)) for one, other in product(*names))
    return Strata(pairs, sex is not None, group is not None), own.astype(np.int64)


def _labels(name: str, given: ArrayLike | None, values: ArrayLike) -> NDArray:
    if given is None:
        return np.full(np.asarray(values).shape[0], "any")
    raw = np.asarray(given, dtype=object)
    if raw.ndim != 1:
        raise UsageError(f"{name} must be one column.", f"It has {raw.ndim} dimensions.", "")
    missing = np.array([one is None or str(one) in ("", "nan", "<NA>", "NaT") for one in raw], dtype=bool)
    if missing.any():
        remedy = "Leave these results out, or give them a label of their own."
        raise UsageError(f"{name}: {int(missing.sum())} of {len(raw)} are missing.", "", remedy)
    return _aligned(name, raw.astype(str), values)


def _refusal(given: Sample, hours: Floats, own: Integers, strata: Strata, method: str) -> str:
    fewest, least = FEWEST[method], _FEWEST_OF_STRATUM[method]
    sizes = np.bincount(own, weights=given.counts, minlength=len(strata.pairs))
    thin = [" ".join(pair) for pair, size in zip(strata.pairs, sizes, strict=True) if 0 < size < least]
    different, mass = np.unique(given.values), np.cumsum(given.counts) / given.n
    gaps = (given.values[1:] > UNITS_APART * given.values[:-1]) & (given.values[:-1] > 0)
    for wrong, why in (
        (given.constant, "All results are equal."),
        (given.n < fewest, f"{given.n} results are too few for {method} limits by age: {fewest} would be enough."),
        (len(different) < _FEWEST_VALUES, f"Rounded too coarsely: {_FEWEST_VALUES} different values would be enough."),
        (np.ptp(hours) == 0, "All results are of one age: use `estimate`."),
        (thin, f"Too few results of {', '.join(thin)}: {least} would be enough; leave them out or join groups."),
        (
            (gaps & (mass[:-1] > 0.01) & (mass[:-1] < 0.99)).any(),
            "There seem to be two units: part of the results lies a hundredfold above the rest.",
        ),
    ):
        if wrong:
            return why
    return ""
