"""Whole records -> each cycle of a drug with a card, as it would have been told day by day, scored on what came."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any

from leukopenia import forecasting, knowledge
from leukopenia.errors import UsageError
from leukopenia.forecast import prediction, scores
from leukopenia.forecast_case import Asked, Case, case, inputs
from leukopenia.forecast_records import DAY, HORIZON, Person
from leukopenia.policy import Policy

Row = dict[str, Any]
Progress = Callable[[str], None]

STANDARD = "ctcae-5.0"
DRAWS = 1000
_AT_ONCE = 64
_METHODS = {scores.FORECAST: "forecast", scores.POPULATION: "people like this", scores.LAST: "last count"}


@dataclass(frozen=True)
class Cycles:
    """The cycles of one person that can be told, and why others cannot."""

    cases: tuple[Case, ...]
    reasons: tuple[str, ...] = ()


def cycles(person: Person, asked: Asked, policy: Policy) -> Cycles:
    """Each cycle of a person, with the doses up to its own and the counts up to the next."""
    made, reasons = [], []
    for first, end in _spans(person, asked, policy):
        try:
            found = case(_until(person, end), _file_until(asked, end), policy)
        except UsageError as error:
            reasons.append(": ".join(part.rstrip(".") for part in (error.problem, error.found) if part))
            continue
        if not found.cards or found.prior:
            reasons.append("no verified card")
        elif found.day_0 == first:
            made.append(found)
    return Cycles(tuple(made), tuple(reasons))


def _spans(person: Person, asked: Asked, policy: Policy) -> Iterator[tuple[int, int]]:
    """The first dose of each cycle, and the last minute before the next or before nothing more is looked at."""
    given = [row["start"] for row in person.given("chemotherapy")]
    doses = sorted({*given, *(dose.minute for dose in asked.regimen.doses)})
    gap = policy.number("forecast.cycle_days") * DAY
    starts = [
        dose for dose, before in zip(doses, [None, *doses], strict=False) if before is None or dose - before > gap
    ]
    last = max([person.as_of, *doses])
    for first, after in pairwise([*starts, last + 1]):
        yield first, min(after - 1, first + HORIZON * DAY)


def _until(person: Person, end: int) -> Person:
    return replace(
        person,
        counts=[row for row in person.counts if row["minute"] <= end],
        exposures=[row for row in person.exposures if row["start"] <= end],
        as_of=end,
    )


def _file_until(asked: Asked, end: int) -> Asked:
    """A file of the user with the doses so far; later ones would move the day that is asked for."""
    doses = tuple(dose for dose in asked.regimen.doses if dose.minute <= end)
    return replace(asked, regimen=replace(asked.regimen, doses=doses))


@dataclass(frozen=True)
class _Scored:
    scores: list[scores.Score]
    days: int
    refused: int


def _scored(one: Case) -> _Scored:
    given = inputs(one)
    days = scores.every_day(given.counts, given.since)
    levels = forecasting.levels(one.analyte, STANDARD)
    options = {"since": given.since, "draws": DRAWS, "threads": 1}
    found = scores.replay_scores(given.counts, given.regimen, one.cards, levels, days, **options)  # type: ignore[arg-type]
    return _Scored(found, len(days), scores.refused(found, days))


def replay(persons: Iterable[Person], asked: Asked, policy: Policy, progress: Progress = lambda stage: None) -> Row:
    """Replay persons and sum up.

    Parameters
    ----------
    persons : iterable of Person
        With their whole records.
    asked : Asked
        A regimen file is for one person.
    policy : Policy
        forecast.*.
    progress : callable
        Told how many persons are done.

    Returns
    -------
    dict
        See the how-to page "Forecast a nadir".

    Raises
    ------
    UsageError
        Nothing can be scored.
    """
    found: list[_Scored] = []
    told: list[Case] = []
    reasons: Counter[str] = Counter()
    people = 0

    def work(person: Person) -> tuple[Cycles, list[_Scored]]:
        own = cycles(person, asked, policy)
        return own, [_scored(one) for one in own.cases]

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for own, scored in _in_turn(pool, work, iter(persons), progress):
            reasons.update(set(own.reasons))
            found += scored
            told += own.cases
            people += bool(own.cases)
    cards = {card.name: card for one in told for card in one.cards}
    sources = sorted({key for card in cards.values() for key in card.source_id.split(";")})
    every = [score for one in found for score in one.scores]
    if not every:
        raise _nothing(reasons)
    return {
        "note": prediction.RESEARCH,
        "persons": people,
        "cycles": len(found),
        "days": sum(one.days for one in found),
        "refused_days": sum(one.refused for one in found),
        "not_replayed": [{"why": why, "persons": n} for why, n in reasons.most_common()],
        "standard": STANDARD,
        "unit": "10^9/L",
        "scores": scores.summary(every),
        "cards": sorted(cards),
        "sources": [{"source_id": key, "citation": knowledge.citation(key)} for key in sources],
    }


def _in_turn(
    pool: ThreadPoolExecutor, work: Callable[[Person], Any], persons: Iterator[Person], progress: Progress
) -> Iterator[Any]:
    """Some persons at a time, so that the records of all are never in memory."""
    done = 0
    while batch := list(islice(persons, _AT_ONCE)):
        for found in pool.map(work, batch):
            done += 1
            progress(f"{done} persons")
            yield found


def _nothing(reasons: Mapping[str, int]) -> UsageError:
    why = "; ".join(f"{reason} ({n} persons)" for reason, n in reasons.items())
    return UsageError(
        "Nothing can be scored.",
        why or "No count came after a dose of a drug that has a verified card.",
        "A replay needs the doses of a cycle and at least one later count before the next; see --regimen.",
    )


def lines(told: Row) -> Iterator[str]:
    """A replay for a reader."""
    yield told["note"]
    refused = told["refused_days"]
    unfit = f"; on {refused} the counts did not fit and nothing was shown" if refused else ""
    yield f"{told['persons']} persons, {told['cycles']} cycles, {told['days']} days{unfit}."
    yield f"Cards: {', '.join(told['cards'])}"
    yield "Every later count of a cycle is scored, until the next dose. CRPS in 10^9/L and Brier score of grade 4:"
    yield "less is better. In 50 and 90 %: the share of counts that the interval held."
    yield f"{'days ahead':<12}{'told by':<18}{'counts':>7}{'CRPS':>9}{'Brier':>9}{'in 50 %':>9}{'in 90 %':>9}"
    for row in told["scores"]:
        if row["n"]:
            yield _line(row)
    yield from (f"Not replayed: {row['why']} ({row['persons']} persons)" for row in told["not_replayed"])
    yield from (f"Rests on: {row['citation']}" for row in told["sources"])


def _line(row: Row) -> str:
    after = "all" if row["to_day"] is None and not row["from_day"] else f"{row['from_day']:.0f} and more"
    ahead = after if row["to_day"] is None else f"{row['from_day']:.0f} to {row['to_day']:.0f}"
    shares = (f"{_plain(row[name], '.0%'):>9}" for name in ("within_50", "within_90"))
    numbers = (f"{_plain(row[name], '.3f'):>9}" for name in ("crps", "brier"))
    return f"{ahead:<12}{_METHODS[row['method']]:<18}{row['n']:>7}{''.join(numbers)}{''.join(shares)}"


def _plain(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
