"""One person, one planned cycle, several ways of giving it -> what each may bring; scenarios, never orders.

The person's effects are drawn once, from the counts known so far, and every scenario is solved for the same draws:
what differs between two scenarios is the scenario.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from leukopenia.errors import UsageError
from leukopenia.forecast import posterior, prediction
from leukopenia.forecast.markers import weighted_quantiles
from leukopenia.forecast.model_card import Card
from leukopenia.forecast.person import Counts, Problem, problem
from leukopenia.forecast.prediction import Curves, Levels, Marker
from leukopenia.forecast.regimen import Array, Regimen

AHEAD = 40.0
"""Days after the dose of a scenario that are looked at."""

NOTE = "Scenarios, never orders: what the same person may see under each."


@dataclass(frozen=True)
class Scenario:
    """A way of giving the next cycle.

    Parameters
    ----------
    name : str
        Empty: made from the rest.
    share : float
        Of the doses of the last cycle, 0 to 2.
    delay : float
        Days after the planned day, 0 to 56.
    growth_factor : bool
        With G-CSF.
    """

    name: str = ""
    share: float = 1.0
    delay: float = 0.0
    growth_factor: bool = False

    def __post_init__(self) -> None:
        if not (0 <= self.share <= 2 and 0 <= self.delay <= 56):
            raise UsageError(
                "A scenario cannot be used as given.",
                f"Dose {self.share:.0%}, delay {self.delay:g} days.",
                "The dose is 0 to 200 % of the last one, the delay 0 to 56 days.",
            )
        object.__setattr__(self, "name", self.name or self._described())

    def _described(self) -> str:
        parts = [
            f"{self.share * 100:g} % of the dose" if self.share != 1 else "same dose",
            f"{self.delay:g} days later" if self.delay else "",
            "with G-CSF" if self.growth_factor else "",
        ]
        return ", ".join(part for part in parts if part)


_WORDS = re.compile(r"same|g-csf|(?P<what>dose|delay)=(?P<number>\d+(?:\.\d+)?)(?P<unit>%|d)?")


def parse(text: str) -> Scenario:
    """A scenario from words: `same`, `dose=75%`, `delay=7`, `g-csf`, or several of these with commas between.

    Raises
    ------
    UsageError
        They are not understood.
    """
    found = [_WORDS.fullmatch(word.strip().casefold()) for word in text.split(",")]
    if not all(found):
        raise UsageError("A scenario is not understood.", text, "Write same, dose=75%, delay=7 or g-csf, with commas.")
    numbers = {match["what"]: float(match["number"]) for match in found if match and match["what"]}
    growth = any(match and match[0] == "g-csf" for match in found)
    return Scenario("", numbers.get("dose", 100.0) / 100.0, numbers.get("delay", 0.0), growth)


@dataclass(frozen=True)
class Course:
    """What one scenario may bring.

    Attributes
    ----------
    status : str
        `forecast`, `not enough counts yet`, ...; or why there are no numbers: then all that follows is empty.
    dose : float
        Hour of its first dose.
    hours : array (T,)
        Of the points of the curve, from the last dose on record.
    band : array (5, T)
        Quantiles 0.05, 0.25, 0.5, 0.75, 0.95, 10^9/L.
    markers : mapping of str to Marker
        Days after its dose; see `leukopenia.forecast.prediction.Forecast`.
    grades : mapping of int to array (D,)
        Probability of each grade on each whole day after its dose; see `leukopenia.forecast.prediction.Forecast`.
    at_dose : mapping of float to float
        Probability that the count is at or above each limit when the dose would be given.
    ready : mapping of float to float
        The same one interval after its dose, when the cycle after it would be due.
    """

    scenario: Scenario
    status: str
    dose: float
    hours: Array = field(default_factory=lambda: np.empty(0))
    band: Array = field(default_factory=lambda: np.empty((5, 0)))
    markers: Mapping[str, Marker] = field(default_factory=dict)
    grades: Mapping[int, Array] = field(default_factory=dict)
    at_dose: Mapping[float, float] = field(default_factory=dict)
    ready: Mapping[float, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """The next cycle: hour of its first dose, days until the one after it, and its doses, hours from its first."""

    first: float
    interval: float
    offsets: Array
    amounts: Array
    durations: Array


def planned(regimen: Regimen, since: float, first: float | None = None, interval: float | None = None) -> Planned:
    """The next cycle as the last one was given.

    Parameters
    ----------
    regimen : Regimen
    since : float
        Hour of the first dose of the last cycle.
    first : float, optional
        Hour of the next; by default as long after the last cycle as that came after the one before.
    interval : float, optional
        Days between two cycles, where there was only one so far.

    Raises
    ------
    UsageError
        Neither is known.
    """
    times = np.asarray(regimen.times)
    last, earlier = times >= since, times[times < since]
    if first is None and interval is None and not earlier.size:
        raise UsageError(
            "When is the next cycle?",
            "There was one so far, so that the interval is not known.",
            "Give the time of the next dose, or the days between two.",
        )
    # The cycle before had as many doses as this one.
    before = float(earlier[-min(int(last.sum()), earlier.size)]) if earlier.size else since
    days = interval or ((since - before) / 24.0 if earlier.size else ((first or since) - since) / 24.0)
    start = since + days * 24.0 if first is None else first
    if start <= times[last][-1] or days <= 0:
        raise UsageError("The next cycle cannot begin before the last one ends.", "", "Give a later time.")
    doses = (np.asarray(x)[last] for x in (times - since, regimen.amounts, regimen.durations))
    return Planned(start, days, *doses)


def scenarios(
    counts: Counts,
    regimen: Regimen,
    cards: Sequence[Card],
    levels: Levels,
    chosen: Sequence[Scenario],
    cycle: Planned,
    *,
    since: float | None = None,
    draws: int = posterior.DRAWS,
    seed: int = 0,
    threads: int = 0,
    unverified: bool = False,
) -> list[Course]:
    """What the next cycle may bring under each scenario.

    Parameters
    ----------
    counts, regimen, cards, levels, since, draws, seed, threads, unverified
        Up to now; see `leukopenia.forecast.prediction.predict`.
    chosen : sequence of Scenario
    cycle : Planned

    Returns
    -------
    list of Course
        One for each scenario. With a growth factor there are no numbers as long as no card knows what it does.

    Raises
    ------
    UsageError
        As `predict`.
    """
    prediction.check(cards, AHEAD)
    start = prediction.last_dose(regimen) if since is None else since
    shape = prediction.grid(start, AHEAD)
    found = prediction.fit(
        counts, regimen, cards, shape, draws=draws, seed=seed, threads=threads, unverified=unverified
    )
    status = found.status(found.gain(shape, start))
    return of_fitted(
        *(found, status, regimen, cards, levels, chosen, cycle, start),
        seed=seed,
        threads=threads,
        unverified=unverified,
    )


def of_fitted(
    found: prediction.Fitted,
    status: str,
    regimen: Regimen,
    cards: Sequence[Card],
    levels: Levels,
    chosen: Sequence[Scenario],
    cycle: Planned,
    start: float,
    *,
    seed: int = 0,
    threads: int = 0,
    unverified: bool = False,
) -> list[Course]:
    """The scenarios of a person whose effects are already drawn.

    Parameters
    ----------
    found : Fitted
        At whatever times: its effects are solved anew.
    status : str
        Of the forecast of this person.
    start : float
        Hour of the first dose of the last cycle.
    regimen, cards, levels, chosen, cycle, seed, threads, unverified
        See `scenarios`.
    """
    made = []
    for scenario in chosen:
        dose = cycle.first + scenario.delay * 24.0
        if scenario.growth_factor:
            made.append(Course(scenario, no_growth_factor(cards), dose))
        elif status == prediction.NO_FIT:
            made.append(Course(scenario, status, dose))
        else:
            given = _with(regimen, cycle, scenario, dose)
            own = [problem(_NONE, prediction.asked_by(card, cards, given), card, unverified) for card in cards]
            made.append(_course(Course(scenario, status, dose), found, own, cycle, levels, (start, seed, threads)))
    return made


_NONE = Counts([], [])


def no_growth_factor(cards: Sequence[Card]) -> str:
    """Why there are no numbers with a growth factor."""
    return f"no verified card models a growth factor with {', '.join(sorted({card.drug for card in cards}))}"


def _with(regimen: Regimen, cycle: Planned, scenario: Scenario, dose: float) -> Regimen:
    """The doses so far and those of the scenario."""
    more = cycle.offsets + dose, cycle.amounts * scenario.share, cycle.durations
    so_far = regimen.times, regimen.amounts, regimen.durations
    times, amounts, durations = (np.concatenate([np.asarray(a), b]) for a, b in zip(so_far, more, strict=True))
    return replace(regimen, times=times, amounts=amounts, durations=durations)


def _course(
    course: Course,
    found: prediction.Fitted,
    own: Sequence[Problem],
    cycle: Planned,
    levels: Levels,
    options: tuple[float, int, int],
) -> Course:
    start, seed, threads = options
    ahead = prediction.grid(course.dose, AHEAD)
    due = course.dose + cycle.interval * 24.0
    before = np.arange(start, course.dose, prediction.STEP)
    times = np.unique(np.concatenate([before, ahead, [due]]))
    curves = _curves(found, own, times, seed, threads).known
    after = np.isin(times, ahead)
    told = prediction.tell(
        replace(curves, logs=np.ascontiguousarray(curves.logs[:, after])), ahead, course.dose, levels
    )
    band = np.empty((len(prediction.BAND), times.size))
    band[:, after] = told.band
    band[:, ~after] = np.exp(weighted_quantiles(curves.logs[:, ~after], curves.weights, prediction.BAND))
    return replace(
        course,
        hours=times,
        band=band,
        markers=told.markers,
        grades=told.grades,
        at_dose=_chances(curves, times, course.dose, levels),
        ready=_chances(curves, times, due, levels),
    )


def _curves(found: prediction.Fitted, own: Sequence[Problem], times: Array, seed: int, threads: int) -> Curves:
    """The same draws under other doses; of the population, where those of the person cannot be trusted."""
    if not found.trusted:
        return prediction.population(own, times, seed, threads)
    drawn = [
        replace(each, logs=posterior.solved(one, each.eta, times, threads)[0])
        for one, each in zip(own, found.drawn, strict=True)
    ]
    return replace(found, problems=own, drawn=drawn).curves


def _chances(curves: Curves, times: Array, hour: float, levels: Levels) -> dict[float, float]:
    column = curves.logs[:, int(np.searchsorted(times, hour))]
    share = curves.weights / curves.weights.sum()
    return {level: float(share @ (column >= np.log(level))) for level in levels.ready}
