"""Counts, regimen and cards of one person -> a forecast with bands, markers and probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from leukopenia.errors import UsageError
from leukopenia.forecast import likelihood, markers, posterior, statuses
from leukopenia.forecast.model_card import Card
from leukopenia.forecast.person import Counts, Mode, Problem, mode, problem
from leukopenia.forecast.regimen import Array, Regimen

STEP = 4.0
"""Hours between the points of a curve."""

BAND = (0.05, 0.25, 0.5, 0.75, 0.95)
PRIOR_DRAWS = 1000
LEAST_GAIN = 0.10
"""Counts that narrow the spread of the nadir by less do not make a forecast of this person."""

MISFIT = 3.29
"""Standard normal deviate above which counts and model do not belong together: one person in 2000."""

FORECAST, TOO_FEW = statuses.FORECAST, statuses.TOO_FEW
NOT_TRUSTED, NO_FIT = statuses.NOT_TRUSTED, statuses.NO_FIT
RESEARCH = "Research use only: it supports a professional's judgement and is no order."


@dataclass(frozen=True)
class Levels:
    """Counts that the forecast speaks of, 10^9/L: cut-offs of the grades, limits to be ready, others by name."""

    grades: Mapping[int, float]
    ready: tuple[float, ...] = ()
    named: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Marker:
    """Median and 90 % interval of a marker among the curves on which it happens, and how probable that is."""

    low: float
    median: float
    high: float
    probability: float


@dataclass(frozen=True)
class Forecast:
    """What may come.

    Attributes
    ----------
    status : str
        `forecast`, `not enough counts yet` (the counts narrow the spread of the nadir by less than 10 %: what is
        shown is hardly more than the population), `the draws cannot be trusted` (what is shown is the population), or
        `the counts do not fit the model`: a wrong unit, dose or drug, a growth factor, another illness.
    information_gain : float
        Share by which the counts narrow the standard deviation of the logarithm of the nadir.
    days : array (T,)
        Days after the dose.
    most_probable : array (T,)
        The curve at the mode, 10^9/L; of the most probable card.
    band : array (5, T)
        Quantiles 0.05, 0.25, 0.5, 0.75, 0.95 of the count itself, without the error of measurement.
    markers : mapping of str to Marker
        Times in days after the dose, counts in 10^9/L. `nadir_day`, `nadir`, `time_to_grade_4`, `end_of_grade_4`,
        `duration_of_grade_4`, `days_below_*`, `recovery_to_*`, `time_to_near_zero`, `time_to_grade_0`,
        `time_to_baseline`.
    grade_days : array (D,)
        Whole days.
    grades : mapping of int to array (D,)
        Probability of each grade per day; the key 0 holds what lies above the known cut-offs.
    ready : mapping of float to array (D,)
        Probability per day that the count is at or above a limit.
    cards : mapping of str to float
        Posterior probability of each card; they add to 1.
    shape, effective : float
        The worst k-hat and the least effective number of draws over the cards.
    unknown : tuple of str
        Covariates of the cards that were not given; the person was taken as typical in them.
    sources : tuple of str
        Keys in references.bib of all the cards used.
    note : str
        The intended use.
    """

    status: str
    information_gain: float
    days: Array
    most_probable: Array
    band: Array
    markers: Mapping[str, Marker]
    grade_days: Array
    grades: Mapping[int, Array]
    ready: Mapping[float, Array]
    cards: Mapping[str, float]
    shape: float
    effective: float
    unknown: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    note: str = RESEARCH


@dataclass(frozen=True)
class Curves:
    """Weighted curves: logs (n, T), weights (n,), log baselines (n,), and which of the cards each is of (n,)."""

    logs: Array
    weights: Array
    base: Array
    card: npt.NDArray[np.int64]

    @property
    def known(self) -> Curves:
        """Those that could be solved."""
        kept = np.isfinite(self.logs).all(axis=1)
        return Curves(self.logs[kept], self.weights[kept], self.base[kept], self.card[kept])


def predict(
    counts: Counts,
    regimen: Regimen,
    cards: Sequence[Card],
    levels: Levels,
    *,
    since: float | None = None,
    days: float = 40.0,
    draws: int = posterior.DRAWS,
    seed: int = 0,
    threads: int = 0,
    unverified: bool = False,
) -> Forecast:
    """Forecast one person's counts.

    Parameters
    ----------
    counts : Counts
        Those known so far; all are used.
    regimen : Regimen
    cards : sequence of Card
        Several are averaged by their marginal likelihoods; before that all are equally probable.
    levels : Levels
    since : float, optional
        Hour from which days count and the nadir is looked for: the last dose by default.
    days : float
        How far to look.
    draws, seed, threads
        See `leukopenia.forecast.posterior.sample`.
    unverified : bool
        For research: take cards whose numbers were only transcribed.

    Returns
    -------
    Forecast

    Raises
    ------
    UsageError
        A card may not forecast a person, or cards speak of different counts or none is given.
    """
    check(cards, days)
    start = last_dose(regimen) if since is None else since
    times = grid(start, days)
    found = fit(counts, regimen, cards, times, draws=draws, seed=seed, threads=threads, unverified=unverified)
    return described(found, times, start, levels, cards, regimen)


def described(
    found: Fitted, times: Array, start: float, levels: Levels, cards: Sequence[Card], regimen: Regimen
) -> Forecast:
    """What a fit tells, from the points of its curves; see `predict`."""
    gain = found.gain(times, start)
    return replace(
        tell(found.curves, times, start, levels),
        status=found.status(gain),
        information_gain=gain,
        most_probable=_curve(found.problems[found.best], found.modes[found.best], times),
        cards={card.name: float(chance) for card, chance in zip(cards, found.chances, strict=True)},
        shape=max(one.shape for one in found.drawn),
        effective=min(one.effective for one in found.drawn),
        unknown=tuple(sorted({name for card in cards for name in card.covariates - set(regimen.covariates)})),
        sources=tuple(sorted({key for card in cards for key in card.source_id.split(";")})),
    )


def grid(start: float, days: float) -> Array:
    """Hours of the points of a curve."""
    return np.asarray(start + np.arange(0.0, days * 24.0 + STEP / 2, STEP))


@dataclass(frozen=True)
class Fitted:
    """One person under each card: what was drawn, and the population beside it, at the same times (T,)."""

    problems: Sequence[Problem]
    modes: Sequence[Mode]
    drawn: Sequence[posterior.Posterior]
    chances: Array
    population: Curves

    @property
    def trusted(self) -> bool:
        """Whether the weights of every card may be used."""
        return all(one.trusted for one in self.drawn)

    @property
    def best(self) -> int:
        """The most probable card."""
        return int(np.argmax(self.chances))

    @cached_property
    def curves(self) -> Curves:
        """Of the person; of the population, where the draws cannot be trusted."""
        return _averaged(self.problems, self.drawn, self.chances) if self.trusted else self.population

    def at(self, columns: npt.NDArray[np.bool_]) -> Fitted:
        """The same at some of the times."""

        def part(logs: Array) -> Array:
            return np.ascontiguousarray(logs[:, columns])

        drawn = [replace(one, logs=part(one.logs)) for one in self.drawn]
        people = replace(self.population, logs=part(self.population.logs))
        return replace(self, drawn=drawn, population=people)

    def gain(self, times: Array, start: float) -> float:
        """Share by which the counts narrow the spread of the nadir; `times` are those of the curves."""
        spread, wide = _spread(self.curves, times, start), _spread(self.population, times, start)
        return 1.0 - spread / wide if self.trusted and wide > 0 else 0.0

    def status(self, gain: float) -> str:
        """What may be done with it; see `Forecast`."""
        fits = misfit(self.problems[self.best], self.modes[self.best]) <= MISFIT
        return _status(fits, self.trusted, gain)


def fit(
    counts: Counts,
    regimen: Regimen,
    cards: Sequence[Card],
    times: Array,
    *,
    draws: int = posterior.DRAWS,
    seed: int = 0,
    threads: int = 0,
    unverified: bool = False,
) -> Fitted:
    """Fit one person under each card; parameters and errors as in `predict`."""
    problems = [problem(counts, asked_by(card, cards, regimen), card, unverified) for card in cards]
    modes = [mode(one) for one in problems]
    drawn = [
        posterior.sample(one, at, times, draws, seed + n, threads)
        for n, (one, at) in enumerate(zip(problems, modes, strict=True))
    ]
    return Fitted(problems, modes, drawn, _chances(drawn), population(problems, times, seed, threads))


def misfit(one: Problem, at: Mode) -> float:
    """How far counts lie from what the card expects of people like this one, as a standard normal deviate.

    The squared weighted residuals and effects at the mode add to about a chi-square with one degree of freedom for
    each count; the cube root of Wilson and Hilferty (1931) makes it normal.
    """
    n = one.times.size
    if n == 0:
        return 0.0
    logs = np.log(_curve(one, at, one.times))
    total = likelihood.distance(logs, one.y, one.below, one.form, one.sd) + float(one.precision @ at.eta**2)
    return (math.cbrt(total / n) - 1.0 + 2.0 / (9.0 * n)) / math.sqrt(2.0 / (9.0 * n))


def _status(fits: bool, trusted: bool, gain: float) -> str:
    if not fits:
        return NO_FIT
    if not trusted:
        return NOT_TRUSTED
    return FORECAST if gain >= LEAST_GAIN else TOO_FEW


def replay(
    counts: Counts, regimen: Regimen, cards: Sequence[Card], levels: Levels, known: Sequence[float], **options: object
) -> list[Forecast]:
    """The forecasts that would have been made with the counts known at each of some days after time 0.

    `options` are those of `predict`.
    """
    return [
        predict(counts.until(day * 24.0), regimen, cards, levels, **options)  # type: ignore[arg-type]
        for day in known
    ]


def check(cards: Sequence[Card], days: float) -> None:
    """Refuse cards of different counts, and a forecast that ends before a nadir can be told."""
    if len({card.analyte for card in cards}) != 1:
        raise UsageError(
            "The cards must speak of the same count.",
            f"Found: {', '.join(sorted({card.analyte for card in cards})) or 'no card'}.",
            "Choose cards of one analyte.",
        )
    if not days * 24.0 > markers.SETTLED:
        raise UsageError("A forecast must look further than three days.", f"days={days}.", "Give more days.")


def asked_by(card: Card, cards: Sequence[Card], regimen: Regimen) -> Regimen:
    """The regimen without the covariates that only the other cards ask for; what no card asks for is left to fail."""
    others = {name for other in cards for name in (*other.covariates, *other.parameters)}
    own = {*card.covariates, *card.parameters}
    kept = {name: x for name, x in regimen.covariates.items() if name in own or name not in others}
    return replace(regimen, covariates=kept)


def last_dose(regimen: Regimen) -> float:
    """The hour from which days count when nothing else is said."""
    if np.size(regimen.times):
        return float(np.asarray(regimen.times)[-1])
    return float(np.asarray(regimen.concentration.times)[0]) if regimen.concentration is not None else 0.0


def _chances(found: Sequence[posterior.Posterior]) -> Array:
    evidence = np.array([one.log_evidence for one in found])
    raw = np.exp(evidence - evidence.max())
    return np.asarray(raw / raw.sum())


def _baseline(one: Problem, eta: Array) -> Array:
    return np.asarray(math.log(one.theta[0]) + eta @ one.loading[0])


def _averaged(problems: Sequence[Problem], found: Sequence[posterior.Posterior], chances: Array) -> Curves:
    return Curves(
        np.vstack([one.logs for one in found]),
        np.concatenate([chance * one.weights for chance, one in zip(chances, found, strict=True)]),
        np.concatenate([_baseline(one, each.eta) for one, each in zip(problems, found, strict=True)]),
        _owners([one.logs for one in found]),
    )


def _owners(parts: Sequence[Array]) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def population(problems: Sequence[Problem], times: Array, seed: int, threads: int) -> Curves:
    """People with this person's covariates whose counts are not known."""
    logs, base = [], []
    for n, one in enumerate(problems):
        eta, curves = posterior.prior(one, times, PRIOR_DRAWS, seed + n, threads)
        logs.append(curves)
        base.append(_baseline(one, eta))
    whole = np.vstack(logs)
    return Curves(whole, np.full(len(whole), 1.0 / len(whole)), np.concatenate(base), _owners(logs))


def _described(curves: Curves, times: Array, start: float, levels: Array) -> tuple[Array, Array]:
    n = len(curves.logs)
    nadir, spans = np.empty((n, 2)), np.empty((n, levels.shape[1], 3))
    markers.describe(curves.logs, times, start, levels, nadir, spans)
    return nadir, spans


def _spread(curves: Curves, times: Array, start: float) -> float:
    """Standard deviation of the logarithm of the nadir."""
    nadir = _described(curves, times, start, np.empty((len(curves.logs), 0)))[0][:, 1]
    known = np.isfinite(nadir)
    weights = curves.weights[known] / curves.weights[known].sum()
    mean = weights @ nadir[known]
    return float(math.sqrt(max(weights @ (nadir[known] - mean) ** 2, 0.0)))


def _curve(one: Problem, at: Mode, times: Array) -> Array:
    out = np.empty(times.size)
    likelihood.predict_logs(
        one.theta, one.loading, at.eta, one.segments, times, posterior.RTOL, np.empty(one.theta.size), out
    )
    return np.exp(out)


def tell(curves: Curves, times: Array, start: float, levels: Levels) -> Forecast:
    """The forecast as far as it follows from the curves alone."""
    curves = curves.known
    band = markers.weighted_quantiles(curves.logs, curves.weights, BAND)
    whole = slice(0, None, round(24.0 / STEP))
    share = curves.weights / curves.weights.sum()

    def below(level: float) -> Array:
        return np.asarray(share @ (curves.logs[:, whole] < math.log(level)))

    return Forecast(
        status=FORECAST,
        information_gain=0.0,
        days=(times - start) / 24.0,
        most_probable=np.empty(0),
        band=np.exp(band),
        markers=_markers(curves, times, start, levels),
        grade_days=(times[whole] - start) / 24.0,
        grades=_grades({grade: below(cut) for grade, cut in levels.grades.items()}),
        ready={level: 1.0 - below(level) for level in levels.ready},
        cards={},
        shape=0.0,
        effective=0.0,
    )


def _grades(below: Mapping[int, Array]) -> dict[int, Array]:
    """Probabilities of being below each cut-off -> of each grade; 0 is what is left."""
    out: dict[int, Array] = {}
    so_far: Array | float = 0.0
    for grade in sorted(below, reverse=True):
        out[grade] = below[grade] - so_far
        so_far = below[grade]
    out[0] = np.asarray(1.0 - so_far)
    return out


def _markers(curves: Curves, times: Array, start: float, levels: Levels) -> dict[str, Marker]:
    asked = sorted({*levels.grades.values(), *levels.ready, *(levels.named or {}).values()})
    fixed = np.tile(np.log(asked), (len(curves.logs), 1)) if asked else np.empty((len(curves.logs), 0))
    nadir, spans = _described(curves, times, start, np.column_stack([fixed, curves.base]))
    column = {level: n for n, level in enumerate(asked)}
    worst = column[levels.grades[max(levels.grades)]]
    values = {
        "nadir_day": nadir[:, 0] / 24.0,
        "nadir": np.exp(nadir[:, 1]),
        "time_to_grade_4": spans[:, worst, 0] / 24.0,
        "end_of_grade_4": spans[:, worst, 1] / 24.0,
        "duration_of_grade_4": _or_missing(spans[:, worst, 2]) / 24.0,
        "time_to_baseline": spans[:, -1, 1] / 24.0,
    }
    for grade, cut in levels.grades.items():
        if grade >= 3:
            values[f"days_below_{cut:.1f}"] = spans[:, column[cut], 2] / 24.0
    for level in levels.ready:
        values[f"recovery_to_{level:.1f}"] = spans[:, column[level], 1] / 24.0
    for name, level in (levels.named or {}).items():
        values[f"time_to_{name}"] = spans[:, column[level], int(name == "grade_0")] / 24.0
    return {name: _marker(found, curves.weights) for name, found in values.items()}


def _or_missing(hours: Array) -> Array:
    """A duration of 0 did not happen."""
    return np.where(hours > 0, hours, np.nan)


def _marker(values: Array, weights: Array) -> Marker:
    happens = np.isfinite(values)
    probability = float(weights[happens].sum() / weights.sum())
    if not happens.any():
        return Marker(math.nan, math.nan, math.nan, 0.0)
    low, median, high = markers.weighted_quantiles(values[happens][:, None], weights[happens], (0.05, 0.5, 0.95))[:, 0]
    return Marker(float(low), float(median), float(high), probability)
