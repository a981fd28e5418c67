"""Whole records -> a visual predictive check of one card, as one object and as lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from leukopenia import forecasting, knowledge
from leukopenia.errors import UsageError
from leukopenia.forecast import prediction
from leukopenia.forecast.model_card import Card
from leukopenia.forecast.predictive_check import PERCENTILES, REPLICATES, PredictiveCheck, Under
from leukopenia.forecast_case import Asked, Case, inputs
from leukopenia.forecast_records import Person
from leukopenia.forecast_replay import cycles
from leukopenia.policy import Policy

Row = dict[str, Any]
Points = list[tuple[float, float]]

_NAMES = tuple(f"p{percentile:.0f}" for percentile in PERCENTILES)


def check(
    persons: Iterable[Person], asked: Asked, policy: Policy, progress: Callable[[str], None] = lambda stage: None
) -> tuple[Row, Points]:
    """Check the card of a drug on everybody who got it.

    Parameters
    ----------
    persons : iterable of Person
        With their whole records; each cycle counts as one person.
    asked : Asked
        `card` names the card where a drug has several.
    policy : Policy
        forecast.*.
    progress : callable
        Told how many persons are read.

    Returns
    -------
    dict
        See the how-to page "Forecast a nadir".
    list of tuple
        Day and value of every count, for the picture.

    Raises
    ------
    UsageError
        There is no such cycle, too few counts, or several cards.
    """
    found: list[Case] = []
    for n, person in enumerate(persons, 1):
        progress(f"read, {n} persons")
        found += cycles(person, asked, policy).cases
    card = _card(found)
    progress("simulate")
    people = [Under(given.counts, given.regimen, given.since) for given in map(inputs, found)]
    made = forecasting.vpc(people, card)
    return _told(made, card), list(zip(made.days.tolist(), made.values.tolist(), strict=True))


def _card(found: Iterable[Case]) -> Card:
    cards = {card.name: card for one in found for card in one.cards}
    if len(cards) != 1:
        raise UsageError(
            "A visual predictive check is of one card.",
            f"Found: {', '.join(sorted(cards)) or 'no cycle of a drug with a verified card, and with its doses'}.",
            "Choose with --card." if cards else "Check the source, or give --regimen with --patient.",
        )
    return next(iter(cards.values()))


def _told(made: PredictiveCheck, card: Card) -> Row:
    return {
        "note": prediction.RESEARCH,
        "card": card.name,
        "drug": card.drug,
        "analyte": card.analyte,
        "unit": "10^9/L",
        "cycles": made.people,
        "counts": made.counts,
        "left_out": made.left_out,
        "simulations": REPLICATES,
        "prediction_corrected": made.corrected,
        "inside": round(made.inside, 4),
        "bins": [_bin(made, n) for n in range(made.n.size)],
        "sources": [{"source_id": key, "citation": knowledge.citation(key)} for key in card.source_id.split(";")],
    }


def _bin(made: PredictiveCheck, n: int) -> Row:
    place = {"from_day": made.edges[n], "to_day": made.edges[n + 1], "middle": made.middle[n], "n": int(made.n[n])}
    observed = {name: _plain(made.observed[row, n]) for row, name in enumerate(_NAMES)}
    simulated = {
        name: dict(zip(("low", "median", "high"), map(_plain, made.simulated[row, :, n]), strict=True))
        for row, name in enumerate(_NAMES)
    }
    return {name: round(float(x), 3) if name != "n" else x for name, x in place.items()} | {
        "observed": observed,
        "simulated": simulated,
    }


def _plain(value: float) -> float:
    return float(f"{float(value):.4g}")


def lines(told: Row) -> Iterator[str]:
    """The check for a reader."""
    yield told["note"]
    left_out = f", {told['left_out']} left out" if told["left_out"] else ""
    yield f"Visual predictive check of {told['card']}: {told['cycles']} cycles, {told['counts']} counts{left_out}."
    often = told["simulations"]
    yield f"Observed percentiles within the 95 % interval of {often} simulations: {told['inside']:.0%}; * is outside."
    yield f"{'days':<10}{'counts':>7}" + "".join(f"{name + ' seen':>11}{'expected':>18}" for name in _NAMES)
    for row in told["bins"]:
        span = f"{row['from_day']:g} to {row['to_day']:g}"
        yield f"{span:<10}{row['n']:>7}" + "".join(_cell(row, name) for name in _NAMES)
    yield from (f"Rests on: {row['citation']}" for row in told["sources"])


def _cell(row: Row, name: str) -> str:
    seen, expected = row["observed"][name], row["simulated"][name]
    mark = "" if expected["low"] <= seen <= expected["high"] else "*"
    span = f"{expected['low']:.2f} to {expected['high']:.2f}"
    return f"{seen:>10.2f}{mark:<1}{span:>18}"
