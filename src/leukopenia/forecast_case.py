"""One person's records, a regimen file and the model cards -> a case that can be forecast, or why none can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from leukopenia import forecast_hazards, forecasting, knowledge
from leukopenia.errors import UsageError
from leukopenia.forecast.model_card import CLASS_PRIOR, Card, why_not
from leukopenia.forecast.person import Counts
from leukopenia.forecast.regimen import Regimen
from leukopenia.forecast_records import DAY, HORIZON, Person, doses, run_start
from leukopenia.policy import Policy
from leukopenia.regimen_file import Dose, RegimenFile, amount_in, stub

Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What the user chose: a regimen file, a card, an analyte; empty: as the records and the cards say."""

    regimen: RegimenFile = field(default_factory=RegimenFile)
    card: str = ""
    analyte: str = ""


@dataclass(frozen=True)
class Count:
    """A count, 10^9/L; `below`: the count lies under it."""

    minute: int
    value: float
    below: bool


@dataclass(frozen=True)
class Case:
    """What is forecast.

    Attributes
    ----------
    drugs : tuple of str
        The drug of the cards; without a card, all that was given in the last cycle.
    cards : tuple of Card
        None: no verified card fits. Where no drug has one: the class priors made of published nadir days.
    day_0 : int or None
        The minute of the first dose of the last cycle.
    doses : tuple of Dose
        Those of the course, in the unit of the cards.
    counts : tuple of Count
        Those of the last cycle, and shortly before.
    outside : tuple of str
        What was given in the course and no card knows.
    missing : tuple of str
        What was not on record, and what was made of it.
    """

    person: Person
    analyte: str
    drugs: tuple[str, ...]
    cards: tuple[Card, ...] = ()
    day_0: int | None = None
    doses: tuple[Dose, ...] = ()
    counts: tuple[Count, ...] = ()
    covariates: Mapping[str, float] | None = None
    outside: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def prior(self) -> bool:
        """Whether the cards are class priors, and no models of the drugs."""
        return any(card.status == CLASS_PRIOR for card in self.cards)


@dataclass(frozen=True)
class Inputs:
    """A case as the forecast room takes it: hours from the minute `origin`; days count from the hour `since`."""

    counts: Counts
    regimen: Regimen
    since: float
    origin: int

    def hours(self, minute: float) -> float:
        """The hour of a minute."""
        return (minute - self.origin) / 60


def inputs(case: Case) -> Inputs:
    """The counts and doses of a case that has a card."""
    origin = min([dose.minute for dose in case.doses] + [count.minute for count in case.counts])
    counts = Counts(
        [(count.minute - origin) / 60 for count in case.counts],
        [count.value for count in case.counts],
        [count.below for count in case.counts],
    )
    regimen = Regimen(
        [(dose.minute - origin) / 60 for dose in case.doses],
        [dose.amount or 0.0 for dose in case.doses],
        [dose.hours or 0.0 for dose in case.doses],
        dict(case.covariates or {}),
    )
    return Inputs(counts, regimen, ((case.day_0 or 0) - origin) / 60, origin)


def case(person: Person, asked: Asked, policy: Policy) -> Case:
    """Put the case together.

    Parameters
    ----------
    person : Person
    asked : Asked
    policy : Policy
        forecast.*.

    Raises
    ------
    UsageError
        No treatment is on record, doses lack what a forecast needs, or two drugs of the cycle have a card.
    """
    person = _with_planned(person, asked.regimen, policy)
    if _on_rare_drug_alone(person, asked):
        return _without_card(person, (), asked, policy)
    chosen = _chosen(asked)
    drugs = (chosen.drug,) if chosen else _drugs(person, asked, policy)
    cards = [chosen] if chosen else [card for drug in drugs for card in _verified(drug, asked.analyte)]
    if not cards:
        return _of_prior(person, drugs, asked, policy) or _without_card(person, drugs, asked, policy)
    if len(found := {card.drug for card in cards}) > 1:
        raise UsageError(
            "Two drugs of the last cycle have a card, and no card knows both.",
            f"Found: {', '.join(sorted(found))}.",
            "Choose with --card, or name the drug in a regimen file.",
        )
    return _of_drug(person, cards, asked, policy)


def _with_planned(person: Person, file: RegimenFile, policy: Policy) -> Person:
    """Without a day that was asked for, a dose in the file may lie after the last day of the source."""
    last = max((dose.minute for dose in file.doses), default=0)
    return person if policy.as_of is not None else replace(person, as_of=max(person.as_of, last))


def _on_rare_drug_alone(person: Person, asked: Asked) -> bool:
    """Without chemotherapy, a person on a drug that acts on few people is told of its hazard."""
    named = asked.card or asked.regimen.drug or asked.regimen.doses
    return not named and not person.given("chemotherapy") and bool(forecast_hazards.begun(person))


def _drugs(person: Person, asked: Asked, policy: Policy) -> tuple[str, ...]:
    """The drug that the user names, else those of the last cycle of chemotherapy."""
    if named := _ingredient(asked.regimen.drug):
        return (named,)
    if asked.regimen.doses:
        raise UsageError("The regimen file has doses of no drug.", "", "Write `drug: docetaxel`, or name a --card.")
    given = person.given("chemotherapy")
    if not given:
        raise UsageError(
            "No chemotherapy is on record as given to this person.",
            "Orders do not count: nobody knows whether they were carried out." if person.exposures else "",
            f"Write a regimen file and give it with --regimen:\n\n{_stub(_verified('', asked.analyte)[::-1])}",
        )
    start = run_start([row["start"] for row in given], policy.number("forecast.cycle_days"))
    return tuple(sorted({plain(row) for row in given if row["start"] >= start}))


def plain(row: Row) -> str:
    """The name of the drug of an exposure."""
    return str(row["ingredient"]).removeprefix("drug:")


def _ingredient(name: str) -> str:
    """The name of the ingredient of a drug that is named by a brand; what is not known stays as it is."""
    names = {row["name"]: row["ingredient"] for row in knowledge.load()["ingredient_names"]}
    return names.get(name, name).removeprefix("drug:")


def _chosen(asked: Asked) -> Card | None:
    """The card that the user names, if it may forecast a person and is of what was asked."""
    if not asked.card:
        return None
    chosen = forecasting.card(asked.card)
    if reason := why_not(chosen):
        usable = ", ".join(card.name for card in _verified("", ""))
        raise UsageError(f"The card {chosen.name} does not forecast one person.", reason, f"These do: {usable}.")
    if asked.analyte not in ("", chosen.analyte):
        raise UsageError(f"The card {chosen.name} is of {chosen.analyte}.", "", "Leave --analyte out.")
    if _ingredient(asked.regimen.drug) not in ("", chosen.drug):
        raise UsageError(f"The card {chosen.name} is of {chosen.drug}, the regimen file of another drug.")
    return chosen


def _verified(drug: str, analyte: str) -> list[Card]:
    """The cards that may forecast a person; empty: of any drug, of any count."""
    return [
        card
        for card in forecasting.cards().values()
        if not why_not(card) and drug in ("", card.drug) and analyte in ("", card.analyte)
    ]


def drugs_with_a_card(asked: Asked) -> list[str]:
    """Ids of the drugs of which a card can tell what was asked for."""
    chosen = _chosen(asked)
    cards = [chosen] if chosen else _verified(_ingredient(asked.regimen.drug), asked.analyte)
    return sorted({f"drug:{card.drug}" for card in cards})


def _treated(person: Person, drugs: tuple[str, ...], asked: Asked) -> list[int]:
    """The minutes at which any of the drugs was given, from the file and the records."""
    own = [row["start"] for row in person.given("chemotherapy") if plain(row) in drugs]
    return sorted([*own, *(dose.minute for dose in asked.regimen.doses if dose.minute <= person.as_of)])


def _of_prior(person: Person, drugs: tuple[str, ...], asked: Asked, policy: Policy) -> Case | None:
    """On the basis of published nadir days, where there are any; of the treatment only its days play a part."""
    priors = forecasting.priors(f"drug:{drug}" for drug in drugs)
    cards = tuple(card for card in priors if asked.analyte in ("", card.analyte))
    times = _treated(person, drugs, asked)
    if not cards or not times:
        return None
    start = run_start(times, policy.number("forecast.course_days"))
    pulses = tuple(_pulses([time for time in times if time >= start], policy.number("forecast.cycle_days")))
    day_0 = run_start(times, policy.number("forecast.cycle_days"))
    counts, notes = _counts(person, cards[0].analyte, day_0, policy)
    found = Case(person, cards[0].analyte, drugs, cards, day_0, pulses, counts, {}, notes)
    return replace(found, outside=tuple(_outside(found)), missing=(*notes, *_gaps_of_counts(found)))


def _pulses(times: Sequence[int], gap: float) -> Iterator[Dose]:
    """One pulse a day of treatment; those of one cycle add to 1, for nadir days are published for cycles."""
    days = [time for n, time in enumerate(times) if n == 0 or time // DAY != times[n - 1] // DAY]
    starts = [n for n, time in enumerate(days) if n == 0 or time - days[n - 1] > gap * DAY]
    for first, after in zip(starts, [*starts[1:], len(days)], strict=True):
        yield from (Dose(time, 1.0 / (after - first), "day of treatment", 0.0) for time in days[first:after])


def _without_card(person: Person, drugs: tuple[str, ...], asked: Asked, policy: Policy) -> Case:
    """The counts of the cycle are still told."""
    own = _treated(person, drugs, asked)
    day_0 = run_start(own, policy.number("forecast.cycle_days")) if own else None
    analyte = asked.analyte or "neutrophils"
    counts, notes = _counts(person, analyte, day_0, policy)
    return Case(person, analyte, drugs, day_0=day_0, counts=counts, missing=notes)


def _of_drug(person: Person, cards: Sequence[Card], asked: Asked, policy: Policy) -> Case:
    card, file = cards[0], asked.regimen
    course = _course(person, card, file, policy)
    times = [dose.minute for dose in course]
    day_0 = run_start(times, policy.number("forecast.cycle_days"))
    counts, notes = _counts(person, card.analyte, day_0, policy)
    molar = card.parameters["dose_molar_mass"].value if "dose_molar_mass" in card.parameters else None
    amounts = [amount_in(card.dose_unit, dose, molar, file.body_surface) for dose in course]
    made = tuple(
        replace(dose, amount=amount, unit=card.dose_unit) for dose, amount in zip(course, amounts, strict=True)
    )
    known = _covariates(person, cards, times[0]) | dict(file.covariates)
    found = Case(person, card.analyte, (card.drug,), tuple(cards), day_0, made, counts, known, notes)
    return replace(found, outside=tuple(_outside(found)), missing=(*notes, *_gaps(found, file)))


def _course(person: Person, card: Card, file: RegimenFile, policy: Policy) -> list[Dose]:
    """The doses of the last course of a drug, each complete."""
    rows = [row for row in person.exposures if plain(row) == card.drug]
    found = file.doses or doses(rows)
    known = [dose for dose in found if dose.minute <= person.as_of]
    if not known:
        raise _asks_for_file(card, f"{card.drug}: no dose on record as administered by then.")
    start = run_start([dose.minute for dose in known], policy.number("forecast.course_days"))
    hours = 0.0 if card.swallowed else file.hours
    course = [
        replace(dose, hours=hours if dose.hours is None or card.swallowed else dose.hours)
        for dose in known
        if dose.minute >= start
    ]
    if lacks := [", ".join(dose.lacks) for dose in course if dose.lacks]:
        which = "; ".join(f"{lacks.count(one)} of {len(course)} doses lack {one}" for one in dict.fromkeys(lacks))
        raise _asks_for_file(card, f"{card.drug}: {which}.", hours_only={*lacks} == {"infusion time"})
    return course


def _asks_for_file(card: Card, found: str, hours_only: bool = False) -> UsageError:
    return UsageError(
        "The doses on record are not enough for a forecast.",
        found,
        f"Write a regimen file, with what you know, and give it with --regimen:\n\n{_stub([card], hours_only)}",
    )


def _stub(cards: Sequence[Card], hours_only: bool = False) -> str:
    """For the first of the cards; the drugs of the others stand beside it."""
    others = sorted({card.drug for card in cards} - {cards[0].drug})
    return stub(cards[0].drug, "mg", tuple(sorted(cards[0].covariates)), others, hours_only, cards[0].swallowed)


def _counts(
    person: Person, analyte: str, day_0: int | None, policy: Policy
) -> tuple[tuple[Count, ...], tuple[str, ...]]:
    """The counts of the cycle and shortly before, and what was done to them."""
    lowest = policy.number("forecast.zero_below")
    first = -1 << 62 if day_0 is None else day_0 - policy.number("forecast.before_days") * DAY
    last = person.as_of if day_0 is None else day_0 + HORIZON * DAY
    rows = [row for row in person.counts if row["analyte"] == analyte and first <= row["minute"] <= last]
    usable = [row for row in rows if row["comparator"] not in (">", ">=")]
    zero = [row for row in usable if not row["value"]]
    made = tuple(
        Count(row["minute"], row["value"] or lowest, row["comparator"] in ("<", "<=") or not row["value"])
        for row in usable
    )
    notes = {
        f"{len(rows) - len(usable)} counts are only known to be above a number, and were left out": rows != usable,
        f"{len(zero)} counts of 0 were taken as below {lowest:g}": bool(zero),
        f"{(dated := _dated(usable))} counts have a date without a time: they stand at its beginning": dated > 0,
    }
    return made, tuple(note for note, holds in notes.items() if holds)


def _dated(rows: Sequence[Row]) -> int:
    return sum(row["time_precision"] != "minute" for row in rows)


def _covariates(person: Person, cards: Sequence[Card], start: int) -> dict[str, float]:
    """What the records say of what the cards ask; earlier chemotherapy that is not on record stays unknown."""
    asked = {name for card in cards for name in card.covariates}
    made = {}
    if "female" in asked and person.sex in ("female", "male"):
        made["female"] = float(person.sex == "female")
    if "prior_therapy" in asked and any(row["start"] < start for row in person.given("chemotherapy")):
        made["prior_therapy"] = 1.0
    return made


def _outside(found: Case) -> Iterator[str]:
    start = found.doses[0].minute
    others = {plain(row) for row in found.person.given("chemotherapy") if row["start"] >= start} - {*found.drugs}
    if others:
        yield f"also given, so that the fall may be deeper: {', '.join(sorted(others))}"
    if growth := {plain(row) for row in found.person.given("g_csf") if row["start"] >= start}:
        yield f"a growth factor was given, which changes the course: {', '.join(sorted(growth))}"


def _gaps(found: Case, file: RegimenFile) -> Iterator[str]:
    if "paclitaxel" in found.drugs and not file.doses:
        yield "the records do not tell albumin-bound paclitaxel apart; the card is of the solvent-based one"
    if "eribulin" in found.drugs:
        yield "doses are taken as eribulin: 1.4 mg of its mesilate are 1.23 mg"
    yield from _gaps_of_counts(found)
    yield "drug concentrations were not measured: the pharmacokinetics of the typical person were taken"


def _gaps_of_counts(found: Case) -> Iterator[str]:
    if not any(count.minute <= (found.day_0 or 0) for count in found.counts):
        yield "no count shortly before the cycle: where the person began is not known"
    if (found.person.as_of - (found.day_0 or 0)) / DAY > HORIZON:
        yield f"the {HORIZON} days that a forecast reaches have passed: ask for an earlier day with --as-of"
