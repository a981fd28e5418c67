"""Forecasts against the counts that came: CRPS, Brier score and coverage, beside the population and the last count.

A forecast made with what was known on a day is scored on every later count, error of measurement included, for it is
the measured count that came. The population is people with this person's covariates and doses whose counts are not
known; the last count is carried forward as if it were certain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from leukopenia.forecast import likelihood, prediction
from leukopenia.forecast.model_card import Card
from leukopenia.forecast.person import Counts, Problem
from leukopenia.forecast.regimen import Array, Regimen

METHODS = FORECAST, POPULATION, LAST = "forecast", "population", "last count"
AHEAD = (0.0, 3.0, 7.0, 14.0)
"""Days ahead at which the groups of a summary begin."""

DRAWS = 2000


@dataclass(frozen=True)
class Score:
    """One later count, as one method told it in advance.

    Attributes
    ----------
    known : float
        Day up to which counts were known; days count from `since`.
    ahead : float
        How many days later the count came.
    method : {'forecast', 'population', 'last count'}
    status : str
        Of the forecast made on that day; see `leukopenia.forecast.prediction.Forecast`.
    crps : float
        Continuous ranked probability score, 10^9/L: 0 is perfect; NaN for a count of which only a bound is known, and
        for the last count where there is none yet.
    brier : float
        Squared error of the probability of grade 4; NaN where it is not known whether the count was so low.
    reached : float
        Share of the forecast distribution at or below the count; NaN for the last count, which has no distribution.
    """

    known: float
    ahead: float
    method: str
    status: str
    crps: float
    brier: float
    reached: float

    def within(self, share: float) -> float:
        """1 if the count lies in the middle interval of this share, 0 if not, NaN where there is none."""
        return math.nan if math.isnan(self.reached) else float(abs(self.reached - 0.5) <= share / 2)


def crps(draws: Array, weights: Array, seen: float) -> float:
    """Continuous ranked probability score of weighted draws: 0 is perfect, in the unit of the count.

    Parameters
    ----------
    draws, weights : array (n,)
        Weights are not negative; their sum does not matter.
    seen : float
        What came.

    Notes
    -----
    E|X - y| - E|X - X'| / 2 (Gneiting and Raftery 2007), from the sorted draws.
    """
    order = np.argsort(draws)
    x, w = draws[order], weights[order] / weights.sum()
    reached = np.cumsum(w)
    spread = float((w * x * (2 * reached - w - 1)).sum())
    return float((w * np.abs(x - seen)).sum()) - spread


def measured(curves: prediction.Curves, problems: Sequence[Problem], random: np.random.Generator) -> Array:
    """Counts (n, T) as a laboratory would have measured them: curves with the error of their cards."""
    counts = np.exp(curves.logs)
    for n, one in enumerate(problems):
        mine = curves.card == n
        error = random.standard_normal((int(mine.sum()), counts.shape[1])) * one.sd
        factor = np.exp(error) if one.form == likelihood.LOG_ADDITIVE else np.maximum(1.0 + error, 0.0)
        counts[mine] *= factor
    return np.asarray(counts)


def replay_scores(
    counts: Counts,
    regimen: Regimen,
    cards: Sequence[Card],
    levels: prediction.Levels,
    known: Sequence[float] | None = None,
    *,
    since: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    threads: int = 0,
    unverified: bool = False,
) -> list[Score]:
    """Forecast again on each day with what was known then, and score every later count.

    Parameters
    ----------
    counts : Counts
        All that were measured, up to the next dose that `regimen` does not hold.
    regimen : Regimen
        Its doses are taken as planned from the beginning.
    cards, levels, draws, seed, threads, unverified
        See `leukopenia.forecast.prediction.predict`.
    known : sequence of float, optional
        Days after `since` on which a forecast is made; by default every day up to the last count.
    since : float, optional
        Hour from which days count: the last dose by default.

    Returns
    -------
    list of Score
        Three for each day and later count: forecast, population, last count. None on days on which the counts did not
        fit the model, for nothing would have been shown; `refused` counts these.

    Raises
    ------
    UsageError
        A card may not forecast a person.
    """
    start = prediction.last_dose(regimen) if since is None else since
    prediction.check(cards, days=_REACH)
    days = every_day(counts, start) if known is None else [float(day) for day in known]
    options = {"draws": draws, "seed": seed, "threads": threads, "unverified": unverified}
    found: list[Score] = []
    told: _Told | None = None
    for day in days:
        so_far, later = _parted(counts, start + day * 24.0)
        if not np.size(later.times):
            continue
        if told is None or told.seen != np.size(so_far.times):
            told = _tell(so_far, later, regimen, cards, start, options)
        found += _scored(told, so_far, later, day, start, levels)
    return found


_REACH = 40.0


def every_day(counts: Counts, start: float) -> list[float]:
    """The whole days from the dose on after which a count came."""
    last = float(np.asarray(counts.times)[-1]) if np.size(counts.times) else start
    return [float(day) for day in range(max(math.ceil((last - start) / 24.0), 0))]


def _parted(counts: Counts, hour: float) -> tuple[Counts, Counts]:
    """What was known at an hour, and what came later."""
    later = np.asarray(counts.times) > hour
    return counts.until(hour), Counts(*(np.asarray(x)[later] for x in (counts.times, counts.values, counts.below)))


@dataclass(frozen=True)
class _Told:
    """What was told with so many counts: draws (n, T) of later counts at `times`, of the person and of people."""

    seen: int
    status: str
    times: Array
    own: Array
    weights: Array
    people: Array


def _tell(
    so_far: Counts, later: Counts, regimen: Regimen, cards: Sequence[Card], start: float, options: Mapping[str, Any]
) -> _Told:
    shape = prediction.grid(start, _REACH)
    asked = np.unique(np.asarray(later.times))
    times = np.union1d(shape, asked)
    found = prediction.fit(so_far, regimen, cards, times, **options)
    # A stream of its own: the seed alone would give errors that move with the effects drawn from it.
    random = np.random.Generator(np.random.PCG64((options["seed"], 1)))
    here = found.at(np.isin(times, asked))
    own, people = here.curves.known, here.population.known
    return _Told(
        int(np.size(so_far.times)),
        found.status(found.at(np.isin(times, shape)).gain(shape, start)),
        asked,
        measured(own, found.problems, random),
        own.weights,
        measured(people, found.problems, random),
    )


def _scored(
    told: _Told, so_far: Counts, later: Counts, day: float, start: float, levels: prediction.Levels
) -> Iterator[Score]:
    if told.status == prediction.NO_FIT:
        return
    cut = levels.grades[max(levels.grades)]
    people = np.full(len(told.people), 1.0 / len(told.people))
    last = _last(so_far)
    for time, value, below in zip(*(np.asarray(x) for x in (later.times, later.values, later.below)), strict=True):
        column = int(np.searchsorted(told.times, time))
        ways = (
            (FORECAST, told.own[:, column], told.weights),
            (POPULATION, told.people[:, column], people),
            (LAST, last, np.ones(last.size)),
        )
        for method, draws, weights in ways:
            each = _score(draws, weights, float(value), bool(below), cut)
            reached = math.nan if method == LAST else each[2]
            yield Score(day, (time - start) / 24.0 - day, method, told.status, each[0], each[1], reached)


def _last(counts: Counts) -> Array:
    """The last count, or nothing."""
    return np.asarray(counts.values, dtype=np.float64)[-1:]


def _score(draws: Array, weights: Array, seen: float, below: bool, cut: float) -> tuple[float, float, float]:
    """CRPS, Brier score and share reached; NaN is what cannot be told."""
    if not draws.size:
        return math.nan, math.nan, math.nan
    share = weights / weights.sum()
    unsure = below and seen > cut
    low = seen < cut or (below and not unsure)
    brier = math.nan if unsure else (float(share @ (draws < cut)) - float(low)) ** 2
    if below:
        return math.nan, brier, math.nan
    return crps(draws, weights, seen), brier, float(share @ (draws <= seen))


def refused(scores: Sequence[Score], days: Sequence[float]) -> int:
    """On how many of the days nothing would have been shown."""
    return len({*days} - {score.known for score in scores})


def summary(scores: Iterable[Score], edges: Sequence[float] = AHEAD) -> list[dict[str, Any]]:
    """Mean scores by days ahead and method.

    Parameters
    ----------
    scores : iterable of Score
        Of one person or of many.
    edges : sequence of float
        Days ahead at which the groups begin, ascending.

    Returns
    -------
    list of dict
        `from_day`, `to_day` (None: all later; the last group is of all days), `method`, `n`, `crps`, `brier`,
        `within_50`, `within_90`; None is what cannot be told. Compared are the counts that every method tells.
    """
    every = list(scores)
    groups = [*pairwise([*edges, math.inf]), (0.0, math.inf)]
    made = []
    for first, last in groups:
        inside = [score for score in every if first <= score.ahead < last]
        made += [_mean(first, last, method, _comparable(inside, method)) for method in METHODS]
    return made


def _comparable(scores: Sequence[Score], method: str) -> list[Score]:
    """The scores of a method on counts that the last count tells too: three stand together for each count."""
    triples = zip(*(iter(scores),) * len(METHODS), strict=True)
    return [
        score
        for triple in triples
        if not math.isnan(triple[-1].brier) or not math.isnan(triple[-1].crps)
        for score in triple
        if score.method == method
    ]


def _mean(first: float, last: float, method: str, scores: Sequence[Score]) -> dict[str, Any]:
    parts = {
        "crps": [score.crps for score in scores],
        "brier": [score.brier for score in scores],
        "within_50": [score.within(0.5) for score in scores],
        "within_90": [score.within(0.9) for score in scores],
    }
    named = {"from_day": first, "to_day": None if math.isinf(last) else last, "method": method, "n": len(scores)}
    return named | {name: _mean_known(values) for name, values in parts.items()}


def _mean_known(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else None
