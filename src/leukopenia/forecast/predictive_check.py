"""People under one card -> do their counts spread as the card says? A visual predictive check, in numbers.

The same people are simulated many times: their doses, covariates and times of counts, with effects and errors drawn
from the card. In each bin of time the 5th, 50th and 95th percentile of the measured counts should lie among those of
the simulations. Prediction-corrected (Bergstrand, Hooker, Wallin and Karlsson 2011): counts of people with different
doses or covariates are brought to the typical prediction of their bin, so that they can share it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from leukopenia.errors import UsageError
from leukopenia.forecast import likelihood, posterior
from leukopenia.forecast.model_card import Card
from leukopenia.forecast.person import Counts, Problem, problem
from leukopenia.forecast.prediction import asked_by
from leukopenia.forecast.regimen import Array, Regimen
from leukopenia.forecast.solving import share

PERCENTILES = (5.0, 50.0, 95.0)
INTERVAL = (2.5, 50.0, 97.5)
"""Percentiles over the simulations of a percentile of the counts."""

REPLICATES = 300
LEAST = 10
"""Counts in a bin: of fewer no outer percentile can be told."""

_MOST_BINS = 12


@dataclass(frozen=True)
class Under:
    """One person under the card: counts and doses on one clock, and the hour from which days count."""

    counts: Counts
    regimen: Regimen
    since: float = 0.0


@dataclass(frozen=True)
class PredictiveCheck:
    """What was measured against what the card makes expect.

    Attributes
    ----------
    people, counts, left_out : int
        Left out are counts of which only a bound is known.
    edges : array (B + 1,)
        Days at which bins begin and end.
    middle : array (B,)
        Median day of the counts in each bin.
    n : array (B,) of int
    observed : array (3, B)
        5th, 50th and 95th percentile of the counts, 10^9/L, prediction-corrected if `corrected`.
    simulated : array (3, 3, B)
        For each of these percentiles the 2.5th, 50th and 97.5th percentile over the simulations.
    days, values : array (N,)
        The counts themselves, corrected in the same way.
    corrected : bool
    """

    people: int
    counts: int
    left_out: int
    edges: Array
    middle: Array
    n: npt.NDArray[np.int64]
    observed: Array
    simulated: Array
    days: Array
    values: Array
    corrected: bool

    @property
    def inside(self) -> float:
        """Share of the observed percentiles within the interval of the simulations; 0.95 is expected."""
        low, high = self.simulated[:, 0], self.simulated[:, 2]
        return float(((self.observed >= low) & (self.observed <= high)).mean())


def vpc(
    people: Sequence[Under],
    card: Card,
    *,
    replicates: int = REPLICATES,
    corrected: bool = True,
    seed: int = 0,
    threads: int = 0,
    unverified: bool = False,
) -> PredictiveCheck:
    """Check a card on people who were treated.

    Parameters
    ----------
    people : sequence of Under
    card : Card
    replicates : int
        How often everybody is simulated.
    corrected : bool
        Prediction-corrected; else the counts as they are, for people of the same doses.
    seed, threads
        See `leukopenia.forecast.posterior.sample`.
    unverified : bool
        For research: a card whose numbers were only transcribed.

    Raises
    ------
    UsageError
        Fewer than ten counts, or the card may not forecast a person.
    """
    known = [replace(one, counts=_measured(one.counts)) for one in people]
    left_out = sum(int(np.asarray(one.counts.below).sum()) for one in people)
    used = [one for one in known if np.size(one.counts.times)]
    days = _joined([(np.asarray(one.counts.times) - one.since) / 24.0 for one in used])
    if days.size < LEAST or replicates < 20:
        raise UsageError(
            "A visual predictive check needs more.",
            f"{days.size} measured counts, {replicates} simulations.",
            f"Give at least {LEAST} counts, and 20 simulations.",
        )
    problems = [problem(one.counts, asked_by(card, [card], one.regimen), card, unverified) for one in used]
    typical = _joined([_typical(one) for one in problems])
    drawn = _simulated(problems, replicates, seed, threads)
    values = _joined([np.asarray(one.counts.values) for one in used])
    edges = _edges(days)
    bins = np.clip(np.searchsorted(edges, days, side="right") - 1, 0, edges.size - 2)
    factor = _correction(typical, bins) if corrected else np.ones(days.size)
    values, drawn = values * factor, drawn * factor
    inside = [bins == n for n in range(edges.size - 1)]
    return PredictiveCheck(
        people=len(used),
        counts=int(days.size),
        left_out=left_out,
        edges=edges,
        middle=np.array([np.median(days[here]) for here in inside]),
        n=np.array([int(here.sum()) for here in inside]),
        observed=np.array([np.percentile(values[here], PERCENTILES) for here in inside]).T,
        simulated=np.stack([_spread(drawn[:, here]) for here in inside], axis=-1),
        days=days,
        values=values,
        corrected=corrected,
    )


def _measured(counts: Counts) -> Counts:
    kept = ~np.asarray(counts.below)
    return Counts(*(np.asarray(x)[kept] for x in (counts.times, counts.values, counts.below)))


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate([np.empty(0), *parts])


def _typical(one: Problem) -> Array:
    """What the card says of a person without effects of their own."""
    out = np.empty(one.times.size)
    eta = np.zeros(len(one.names))
    likelihood.predict_logs(
        one.theta, one.loading, eta, one.segments, one.times, posterior.RTOL, np.empty(one.theta.size), out
    )
    return np.exp(out)


def _simulated(problems: Sequence[Problem], replicates: int, seed: int, threads: int) -> Array:
    """Everybody's counts (R, N), effects and errors drawn from the card."""
    ends = np.cumsum([one.times.size for one in problems])
    out = np.empty((replicates, int(ends[-1])))

    def person(n: int) -> None:
        one, last = problems[n], int(ends[n])
        random = np.random.Generator(np.random.PCG64((seed, n)))
        eta = random.standard_normal((replicates, one.precision.size)) * one.precision**-0.5
        unique, place = np.unique(one.times, return_inverse=True)
        blind = replace(one, times=one.times[:0], y=one.y[:0], below=one.below[:0])
        counts = np.exp(posterior.solved(blind, eta, unique, 1)[0])[:, place]
        error = random.standard_normal(counts.shape) * one.sd
        factor = np.exp(error) if one.form == likelihood.LOG_ADDITIVE else np.maximum(1.0 + error, 0.0)
        out[:, last - one.times.size : last] = counts * factor

    share(person, range(len(problems)), threads)
    return out


def _edges(days: Array) -> Array:
    """Bins of about as many counts each; counts of the same day stay together."""
    bins = max(min(_MOST_BINS, days.size // (2 * LEAST)), 1)
    inner = np.quantile(np.floor(days), np.arange(1, bins) / bins, method="lower")
    edges = np.unique(np.concatenate([[math.floor(days.min())], inner, [math.floor(days.max()) + 1.0]]))
    kept = [float(edges[0])]
    for edge in edges[1:]:
        if ((days >= kept[-1]) & (days < edge)).sum() >= LEAST:
            kept.append(float(edge))
    kept[-1] = float(edges[-1])
    return np.array(kept) if len(kept) > 1 else edges[[0, -1]]


def _correction(typical: Array, bins: npt.NDArray[np.int64]) -> Array:
    """The typical prediction of the bin over that of the person, for each count."""
    out = np.ones(typical.size)
    for n in np.unique(bins):
        out[bins == n] = np.median(typical[bins == n]) / typical[bins == n]
    return out


def _spread(drawn: Array) -> Array:
    """Percentiles over the simulations (3, 3) of the percentiles of the counts (R, M)."""
    each = np.percentile(drawn[np.isfinite(drawn).all(axis=1)], PERCENTILES, axis=1)
    return np.asarray(np.percentile(each, INTERVAL, axis=1).T)
