"""Where the forecast room meets its knowledge: models by name, levels by analyte."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from leukopenia import knowledge
from leukopenia.contracts import Rows
from leukopenia.errors import UsageError
from leukopenia.forecast.model_card import Card, cards_of

if TYPE_CHECKING:
    from leukopenia.forecast.incidence import Hazard
    from leukopenia.forecast.next_cycle import Course, Scenario
    from leukopenia.forecast.person import Counts
    from leukopenia.forecast.prediction import Forecast, Levels
    from leukopenia.forecast.predictive_check import PredictiveCheck, Under
    from leukopenia.forecast.redrawing import Redraw
    from leukopenia.forecast.regimen import Array, Regimen
    from leukopenia.forecast.scores import Score

Models = str | Card | Sequence[str | Card]


@cache
def cards() -> Mapping[str, Card]:
    """All model cards, by name."""
    return MappingProxyType(cards_of(knowledge.load()))


def card(name: str | Card) -> Card:
    """A model card by its name.

    Raises
    ------
    UsageError
        There is no such card.
    """
    if isinstance(name, Card):
        return name
    if name not in cards():
        raise UsageError(f"There is no model card {name!r}.", "", f"There are: {', '.join(cards())}.")
    return cards()[name]


@cache
def _nadir_priors() -> Mapping[str, Card]:
    from leukopenia.forecast import nadir_priors

    return MappingProxyType(nadir_priors.cards(knowledge.load(), cards()))


def prior(name: str) -> Card:
    """The card made of one row of nadir_priors.csv.

    Raises
    ------
    UsageError
        There is no such row, or it has no nadir.
    """
    if name not in _nadir_priors():
        raise UsageError(f"There is no nadir prior {name!r}.", "", f"There are: {', '.join(_nadir_priors())}.")
    return _nadir_priors()[name]


def priors(drugs: Iterable[str]) -> tuple[Card, ...]:
    """Cards made of the published nadir days of drugs without a model: class priors, never these drugs' models.

    Several statements about one drug, and several drugs, give several cards, to be averaged. Forecasts of them need
    `unverified=True`; a dose is the number 1 on each day of treatment.

    Parameters
    ----------
    drugs : iterable of str
        Ingredient ids of one cycle, such as `drug:carboplatin`.

    Returns
    -------
    tuple of Card
        Empty where no nadir is published, or the drugs are listed as not lowering counts.
    """
    from leukopenia.forecast import nadir_priors

    names = nadir_priors.chosen(drugs, knowledge.load())
    return tuple(prior(name) for name in names)


def ingredient(name: str) -> str:
    """The id of an ingredient by its name, a brand or the id itself; what is not known stays as it is."""
    names = {row["name"]: row["ingredient"] for row in knowledge.load()["ingredient_names"]}
    plain = name.removeprefix("drug:")
    return names.get(plain, f"drug:{plain}")


def hazard(drug: str, day: float, horizon: float = 28.0) -> list[Hazard]:
    """How probable is a fall of the counts in the next days, on a drug that acts on few people?

    Parameters
    ----------
    drug : str
        Name, brand or id of the ingredient.
    day : float
        Days since it was begun, without the event so far.
    horizon : float
        Days ahead.

    Returns
    -------
    list of leukopenia.forecast.incidence.Hazard
        What each study says, conflicts included; empty where no incidence by time is known.

    Raises
    ------
    UsageError
        A day below 0, or no day ahead.
    """
    from leukopenia.forecast import incidence as room

    return room.hazard(ingredient(drug), day, horizon, _hazards())


@cache
def _hazards() -> Rows:
    from leukopenia.forecast import incidence as room

    rows = knowledge.load()["hazards"]
    room.check(rows)
    return rows


def solve(
    model: str | Card, regimen: Regimen, times: Any, parameters: Mapping[str, Any] | None = None, **options: Any
) -> Array:
    """Counts in time under a regimen; the model may be the name of a card.

    See `leukopenia.forecast.solving.solve` for parameters, options (`rtol`, `threads`), errors and the result.
    """
    from leukopenia.forecast import solving

    return solving.solve(card(model), regimen, times, parameters, **options)


def population(model: str | Card, regimen: Regimen, times: Any, n: int = 10_000, **options: Any) -> Array:
    """Quantiles of the counts of n people under a regimen; the model may be the name of a card.

    See `leukopenia.forecast.cohort.population` for options (`quantiles`, `seed`, `threads`), errors and the result.
    """
    from leukopenia.forecast import cohort

    return cohort.population(card(model), regimen, times, n, **options)


def predict(
    counts: Counts, regimen: Regimen, model: Models, *, standard: str = "ctcae-5.0", **options: Any
) -> Forecast:
    """Forecast one person's counts; the model may be the name of a card, or several to be averaged.

    Parameters
    ----------
    counts : Counts
    regimen : Regimen
    model : str, Card, or a sequence of these
    standard : str
        Whose cut-offs the grades have.
    **options
        See `leukopenia.forecast.prediction.predict`, also for errors and the result.
    """
    from leukopenia.forecast import prediction

    chosen = _chosen(model)
    return prediction.predict(counts, regimen, chosen, levels(chosen[0].analyte, standard), **options)


def replay(
    counts: Counts,
    regimen: Regimen,
    model: Models,
    known: Sequence[float],
    *,
    standard: str = "ctcae-5.0",
    **options: Any,
) -> list[Forecast]:
    """The forecasts that would have been made with what was known at each of some days; see `predict`."""
    from leukopenia.forecast import prediction

    chosen = _chosen(model)
    return prediction.replay(counts, regimen, chosen, levels(chosen[0].analyte, standard), known, **options)


def replay_scores(
    counts: Counts,
    regimen: Regimen,
    model: Models,
    known: Sequence[float] | None = None,
    *,
    standard: str = "ctcae-5.0",
    **options: Any,
) -> list[Score]:
    """Forecast again on each day, and score every later count against the population and the last count.

    Parameters
    ----------
    counts : Counts
        All that were measured; what came later is what is scored.
    regimen : Regimen
    model : str, Card, or a sequence of these
    known : sequence of float, optional
        Days on which a forecast is made; by default every day.
    standard : str
        Whose grade 4 the Brier score is about.
    **options
        See `leukopenia.forecast.scores.replay_scores`, also for errors and the result.
        `leukopenia.forecast.scores.summary` makes a table of the scores of one person or many.
    """
    from leukopenia.forecast import scores

    chosen = _chosen(model)
    return scores.replay_scores(counts, regimen, chosen, levels(chosen[0].analyte, standard), known, **options)


ENDOTOXIN = {
    "neutrophils": "redistribution-lps",
    "lymphocytes": "redistribution-lps-lymphocytes",
    "monocytes": "redistribution-lps-monocytes",
}
ARREST = "production-arrest-neutrophils"


def redistribution(before: Mapping[str, float], dose: float, times: Any) -> dict[str, Array]:
    """White cells and their lines after one bolus of endotoxin: research use.

    See `leukopenia.forecast.endotoxin.redistribution` for parameters, errors and the result.
    """
    from leukopenia.forecast import endotoxin

    return endotoxin.redistribution({line: card(name) for line, name in ENDOTOXIN.items()}, before, dose, times)


def redraw(count: float, since: tuple[float, float], **options: Any) -> Redraw:
    """When the next count tells whether the neutrophils have moved or are not made: research use.

    Parameters
    ----------
    count : float
        The low count of neutrophils, 10^9/L.
    since : tuple of float
        Between how many and how many hours ago the illness began.
    **options
        See `leukopenia.forecast.redrawing.redraw`, also for errors and the result.
    """
    from leukopenia.forecast import redrawing

    return redrawing.redraw(count, since, card(ENDOTOXIN["neutrophils"]), card(ARREST), **options)


def scenarios(
    counts: Counts,
    regimen: Regimen,
    model: Models,
    chosen: Sequence[Scenario | str],
    *,
    next_dose: float | None = None,
    interval: float | None = None,
    since: float | None = None,
    standard: str = "ctcae-5.0",
    **options: Any,
) -> list[Course]:
    """What the next cycle may bring, given in several ways; scenarios, never orders.

    Parameters
    ----------
    counts : Counts
    regimen : Regimen
        The doses so far; the next cycle repeats the last one.
    model : str, Card, or a sequence of these
    chosen : sequence of Scenario or str
        Words such as `same`, `dose=75%`, `delay=7`, `dose=75%,delay=7`; see `leukopenia.forecast.next_cycle.parse`.
    next_dose : float, optional
        Hour of the next dose; by default as long after the last cycle as that came after the one before.
    interval : float, optional
        Days between two cycles, where only one was given so far.
    since : float, optional
        Hour of the first dose of the last cycle: the last dose by default.
    **options
        See `leukopenia.forecast.next_cycle.scenarios`, also for errors and the result.
    """
    from leukopenia.forecast import next_cycle, prediction

    cards_ = _chosen(model)
    start = prediction.last_dose(regimen) if since is None else since
    cycle = next_cycle.planned(regimen, start, next_dose, interval)
    asked = [next_cycle.parse(one) if isinstance(one, str) else one for one in chosen]
    found = levels(cards_[0].analyte, standard)
    return next_cycle.scenarios(counts, regimen, cards_, found, asked, cycle, since=start, **options)


def vpc(people: Sequence[Under], model: str | Card, **options: Any) -> PredictiveCheck:
    """A visual predictive check of a card on people who were treated.

    Parameters
    ----------
    people : sequence of leukopenia.forecast.predictive_check.Under
        Counts, doses, and the hour from which days count.
    model : str or Card
    **options
        See `leukopenia.forecast.predictive_check.vpc`, also for errors and the result.
    """
    from leukopenia.forecast import predictive_check

    return predictive_check.vpc(people, card(model), **options)


def prepare() -> None:
    """Compile every kernel and keep it on disk, so that no user waits for it: once on a machine, or in an image."""
    from leukopenia.forecast.person import Counts
    from leukopenia.forecast.regimen import Regimen

    person = "netterberg2017-docetaxel"
    predict(Counts([0.0, 96.0], [5.0, 3.0]), Regimen([0.0], 180.0, 1.0), person, draws=200)
    population(person, Regimen([0.0], 180.0, 1.0), [0.0, 168.0], 2)
    solve("friberg2002-paclitaxel-leukocytes", Regimen([0.0], 410.0, 3.0), [0.0, 168.0])
    solve("harrold2020-radiation", Regimen([0.0], 750.0), [0.0, 24.0])


def _chosen(model: Models) -> list[Card]:
    names = [model] if isinstance(model, str | Card) else list(model)
    if not names:
        raise UsageError("No model card was given.", "", f"There are: {', '.join(cards())}.")
    return [card(name) for name in names]


def levels(analyte: str, standard: str) -> Levels:
    """The counts a forecast of an analyte speaks of.

    Raises
    ------
    UsageError
        The standard has no cut-offs for the analyte.
    """
    from leukopenia.forecast.prediction import Levels

    rows = knowledge.load()
    grades = {
        int(row["grade"]): float(row["limit"])
        for row in rows["criteria"]
        if (row["standard"], row["analyte"], row["direction"], row["bound"]) == (standard, analyte, "low", "value")
    }
    if not grades:
        raise UsageError(f"{standard} has no cut-offs for {analyte}.", "", "Choose another standard.")
    own = [row for row in rows["forecast_levels"] if row["analyte"] == analyte]
    ready = tuple(float(row["value"]) for row in own if row["level"] == "ready")
    named = {row["level"]: float(row["value"]) for row in own if row["level"] != "ready"}
    return Levels(grades, ready, named)
