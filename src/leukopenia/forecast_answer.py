"""A case -> its forecast for a reader: one JSON object for programs, a page of words for a person."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leukopenia import forecast_hazards, forecasting, knowledge
from leukopenia.forecast import prediction
from leukopenia.forecast.model_card import CLASS_PRIOR, why_not
from leukopenia.forecast_case import Case, Count, inputs
from leukopenia.forecast_records import DAY, HORIZON

if TYPE_CHECKING:
    from leukopenia.forecast.prediction import Forecast

Row = dict[str, Any]

NO_CARD = "no verified card"
STANDARD = "ctcae-5.0"
UNIT = "10^9/L"
_EPOCH = datetime(1970, 1, 1)
_QUANTILES = ("q05", "q25", "q50", "q75", "q95")
_SHOWN_DAYS = 14
_SHOWN_DOSES = 6
_RESTS = "it rests on published nadir days; its depth is assumed until counts tell, and doses play no part."
ANALYTES = {"wbc": "white cells"}

STATUSES = {
    prediction.FORECAST: "the counts tell of this person",
    prediction.TOO_FEW: "they add too little, and what follows is hardly more than people like this one",
    prediction.NOT_TRUSTED: "the calculation failed its check, and what follows is people like this one",
    prediction.NO_FIT: "nothing is forecast; look for a wrong unit, dose or drug, a growth factor, another illness",
}


def answer(case: Case) -> Row:
    """The forecast of a case as one object, stable for programs.

    Returns
    -------
    dict
        See the how-to page "Forecast a nadir". Times are ISO dates, days count from the first dose of the cycle, and
        what is not known is None or empty.
    """
    found = _predicted(case) if case.cards else None
    told = _told(found, case) if found else _nothing()
    cuts = forecasting.levels(case.analyte, STANDARD).grades
    sources = (
        [] if found is None else [{"source_id": key, "citation": knowledge.citation(key)} for key in found.sources]
    )
    unknown = [] if found is None else [f"{name} is not known, and was taken as typical" for name in found.unknown]
    return {
        "patient_id": case.person.patient_id,
        "as_of": _iso(case.person.as_of),
        "as_of_day": _day(case, case.person.as_of),
        "danger": _danger(case, cuts[max(cuts)]),
        "note": prediction.RESEARCH,
        "analyte": case.analyte,
        "unit": UNIT,
        "drugs": list(case.drugs),
        "day_0": None if case.day_0 is None else _iso(case.day_0),
        "doses": [_dose(case, dose) for dose in case.doses],
        "counts": [_count(case, count) for count in case.counts],
        "covariates": dict(case.covariates or {}),
        "standard": STANDARD,
        "grade_below": {str(grade): cut for grade, cut in sorted(cuts.items())},
        "basis": _basis(case),
        **told,
        "published": [_published(row) for row in _rows(case)],
        "hazards": forecast_hazards.told(case.person),
        "outside": list(case.outside),
        "missing": [*case.missing, *unknown],
        "sources": sources,
        "available": _available(),
    }


def _basis(case: Case) -> str:
    """One of contracts.forecasted.BASES."""
    return "nadir prior" if case.prior else "card" if case.cards else "none"


def _rows(case: Case) -> list[Mapping[str, str]]:
    """What is published of the nadir of drugs without a model: also what no curve could be made of."""
    names = {card.name for card in case.cards} if case.prior else set()
    alone = {f"drug:{drug}" for drug in case.drugs} if not case.cards else set()
    rows = knowledge.load()["nadir_priors"]
    return [
        row
        for row in rows
        if row["prior"] in names or (row["effect"] != "nadir" and alone & {*row["members"].split(";")})
    ]


def _published(row: Mapping[str, str]) -> Row:
    days = {
        name: [float(row[f"{name}_{part}"]) if row[f"{name}_{part}"] else None for part in ("min", "typical", "max")]
        for name in ("nadir_days", "recovery_days")
    }
    return {"prior": row["prior"], "title": row["title"], "level": row["level"], **days, "note": row["note"]}


def _danger(case: Case, worst: float) -> str:
    """What comes before any forecast; empty: the last count does not say so."""
    if not case.counts or not _lies_below(case.counts[-1], worst):
        return ""
    analyte = ANALYTES.get(case.analyte, case.analyte)
    return f"The last {analyte} are below {worst:.1f}. Fever is not looked for here: `leukopenia run` shows red flags."


def _lies_below(count: Count, limit: float) -> bool:
    return count.value < limit or (count.below and count.value <= limit)


def _predicted(case: Case) -> Forecast:
    given, days = inputs(case), float(HORIZON)
    return forecasting.predict(
        given.counts,
        given.regimen,
        case.cards,
        standard=STANDARD,
        since=given.since,
        days=days,
        unverified=case.prior,
    )


def _told(found: Forecast, case: Case) -> Row:
    cards = {card.name: card for card in case.cards}
    return {
        "status": found.status,
        "information_gain": _plain(found.information_gain),
        "cards": [
            {"card": name, "title": cards[name].title, "probability": _plain(share), "people": cards[name].population}
            for name, share in found.cards.items()
        ],
        "markers": {
            name: {part: _plain(getattr(marker, part)) for part in ("low", "median", "high", "probability")}
            for name, marker in found.markers.items()
        },
        "curve": {"days": _list(found.days)}
        | {name: _list(band) for name, band in zip(_QUANTILES, found.band, strict=True)},
        "grades": {"days": _list(found.grade_days)}
        | {str(grade): _list(chance) for grade, chance in sorted(found.grades.items())},
        "ready": {"days": _list(found.grade_days)}
        | {f"{level:.1f}": _list(chance) for level, chance in found.ready.items()},
        "draws": {"shape": _plain(found.shape), "effective": _plain(found.effective)},
    }


def _nothing() -> Row:
    empty: Row = {"status": NO_CARD, "information_gain": None, "cards": []}
    return empty | dict.fromkeys(("markers", "curve", "grades", "ready", "draws"))


def _available() -> list[Row]:
    return [
        {"card": card.name, "drug": card.drug, "analyte": card.analyte, "why_not": why_not(card)}
        for card in forecasting.cards().values()
        if card.drug
    ]


def _iso(minute: int) -> str:
    return (_EPOCH + timedelta(minutes=minute)).isoformat(" ", "minutes")


def _day(case: Case, minute: int) -> float | None:
    return None if case.day_0 is None else round((minute - case.day_0) / DAY, 2)


def _dose(case: Case, dose: Any) -> Row:
    made = {"time": _iso(dose.minute), "day": _day(case, dose.minute)}
    if case.prior:
        return made | {"amount": None, "unit": "", "hours": None}
    return made | {"amount": _plain(dose.amount), "unit": dose.unit, "hours": _plain(dose.hours)}


def _count(case: Case, count: Any) -> Row:
    return {"time": _iso(count.minute), "day": _day(case, count.minute), "value": count.value, "below": count.below}


def _plain(value: float) -> float | None:
    """Four significant figures: draws give no more."""
    return float(f"{float(value):.4g}") if math.isfinite(value) else None


def _list(values: Iterable[float]) -> list[float | None]:
    return [_plain(value) for value in values]


# For a person


def lines(told: Row) -> list[str]:
    """An answer for a person: nadir, days below, recovery, grades per day, what was missing, sources."""
    made = [*_head(told)]
    if told["status"] == NO_CARD:
        made += _no_card(told)
    elif told["status"] != prediction.NO_FIT:
        made += ["", *_markers(told), "", *_table(told)]
    made += ["", *_as_published(told)] if told["published"] else []
    made += ["", *forecast_hazards.lines(told["hazards"])] if told["hazards"] else []
    if told["missing"]:
        made += ["", "What was missing:", *(f"  - {note}" for note in told["missing"])]
    if told["cards"]:
        made += ["", "Rests on:", *(f"  {one['card']}: {one['title']}. {_share(one)}" for one in told["cards"])]
        made += [f"  {source['citation']}" for source in told["sources"]]
    return made


def _as_published(told: Row) -> Iterator[str]:
    yield "Published, each by itself:"
    for row in told["published"]:
        days = [f"{name} day {_range(row[key])}" for name, key in _DAYS.items() if any(row[key])]
        yield f"  {row['title']}: {'; '.join(days) or row['note']}"
    if told["basis"] == "nadir prior":
        yield from _why_no_card(told)


_DAYS = {"nadir": "nadir_days", "recovery": "recovery_days"}


def _range(days: Sequence[float | None]) -> str:
    low, typical, high = (None if day is None else f"{day:g}" for day in days)
    span = f"{low} to {high}" if low and high else f"up to {high}" if high else f"from {low}" if low else ""
    return f"{typical} ({span})" if typical and span else typical or span


def _share(card: Row) -> str:
    return f"{card['people']}".rstrip(".") + (f" ({card['probability']:.0%})." if card["probability"] < 1 else ".")


def _head(told: Row) -> Iterator[str]:
    analyte = ANALYTES.get(told["analyte"], told["analyte"])
    if told["danger"]:
        yield told["danger"]
    drugs = told["drugs"] or dict.fromkeys(row["drug"] for row in told["hazards"])
    yield f"{told['patient_id']}: {analyte} under {', '.join(drugs)}, as of {told['as_of'][:10]}"
    yield told["note"]
    if told["day_0"]:
        gone = max(math.floor(told["as_of_day"]), 0)
        yield f"Day 0 is {told['day_0']}, the first dose of the last cycle; that day is day {gone}."
    if told["basis"] == "nadir prior":
        yield f"{CLASS_PRIOR.capitalize()}, not a model of {', '.join(told['drugs'])}: {_RESTS}"
    yield from _used(told)
    yield from (f"Outside the card: {note}" for note in told["outside"])
    if told["status"] != NO_CARD:
        gain = told["information_gain"]
        yield f"Status: {told['status']} - {STATUSES[told['status']]}."
        yield f"{_counted(told['counts'])}; they narrow the spread of the nadir by {max(gain, 0):.0%}."


def _used(told: Row) -> Iterator[str]:
    """The doses and covariates that went in, for a wrong one to be seen."""
    if told["doses"] and told["basis"] == "nadir prior":
        yield f"Days of treatment: {', '.join(dose['time'][:10] for dose in told['doses'])}"
    elif told["doses"]:
        shown = told["doses"][-_SHOWN_DOSES:]
        more = f"{len(told['doses']) - len(shown)} earlier; " if len(told["doses"]) > len(shown) else ""
        each = (f"{dose['time']} {dose['amount']:g} {dose['unit']} over {dose['hours']:g} h" for dose in shown)
        yield f"Doses: {more}{'; '.join(each)}"
    if told["covariates"]:
        yield f"Person: {', '.join(f'{name} {value:g}' for name, value in told['covariates'].items())}"


def _counted(counts: Sequence[Row]) -> str:
    if not counts:
        return "No count of this cycle"
    cycle = "" if counts[-1]["day"] is None else " of this cycle"
    last = counts[-1]
    sign = "below " if last["below"] else ""
    many = "1 count" if len(counts) == 1 else f"{len(counts)} counts"
    return f"{many}{cycle}, the last {sign}{last['value']:g} on {last['time'][:10]}"


def _no_card(told: Row) -> Iterator[str]:
    if not told["drugs"]:
        yield f"No chemotherapy is on record as given, so that no nadir is forecast. {_counted(told['counts'])}."
        return
    yield f"Status: {NO_CARD} - no forecast, for no number is invented."
    yield f"{_counted(told['counts'])}. What can be said is that value, and the day."
    usable = [row for row in told["available"] if not row["why_not"]]
    yield "Cards that forecast one person:"
    yield from (f"  {row['card']}: {row['drug']}, {ANALYTES.get(row['analyte'], row['analyte'])}" for row in usable)
    yield from _why_no_card(told)


def _why_no_card(told: Row) -> Iterator[str]:
    for row in told["available"]:
        if row["why_not"] and row["drug"] in told["drugs"]:
            yield f"  not {row['card']}: {row['why_not']}"


def _markers(told: Row) -> Iterator[str]:
    found = told["markers"]
    day, value = found["nadir_day"], found["nadir"]
    if value["median"] is not None:
        yield f"Nadir: day {_span(day)}, {value['median']:.2f} ({value['low']:.2f} to {value['high']:.2f}) x {UNIT}"
    worst = told["grade_below"]["4"]
    yield f"Below {worst:.1f} at some time: probability {found['time_to_grade_4']['probability']:.0%}"
    for name, marker in sorted(found.items()):
        if name.startswith("days_below_"):
            yield f"Days below {name.rpartition('_')[2]}: {_span(marker)}"
    for name, marker in found.items():
        if name.startswith("recovery_to_"):
            yield f"Back at {name.rpartition('_')[2]}: {_when(told, marker)}"
    yield f"Back at the level before: {_when(told, found['time_to_baseline'])}"
    yield "In brackets: 90 % interval. Days count from day 0."


def _span(marker: Mapping[str, float]) -> str:
    return f"{marker['median']:.1f} ({marker['low']:.1f} to {marker['high']:.1f})"


def _when(told: Row, marker: Mapping[str, Any]) -> str:
    if marker["median"] is None:
        return f"not within {HORIZON} days, or never below"
    date = (datetime.fromisoformat(told["day_0"]) + timedelta(days=marker["median"])).date()
    often = "" if marker["probability"] > 0.99 else f"; of the {marker['probability']:.0%} who fall below and return"
    return f"day {_span(marker)}, about {date}{often}"


def _table(told: Row) -> Iterator[str]:
    """From the day asked for, what is probable on each of the next days."""
    grades, ready = told["grades"], told["ready"]
    names = sorted((name for name in grades if name.isdigit()), key=int)
    levels = [name for name in ready if name != "days"]
    first = max(math.ceil(told["as_of_day"]), 0)
    if first > HORIZON:
        return
    yield f"Probability per day ({told['standard'].upper().replace('-', ' ')}), in per cent:"
    head = ["grade 0-1" if name == "0" else f"grade {name}" for name in names] + [f">= {level}" for level in levels]
    yield "  day  date      " + "".join(f"{text:>10}" for text in head)
    for n, day in enumerate(grades["days"]):
        if first <= day <= first + _SHOWN_DAYS:
            date = (datetime.fromisoformat(told["day_0"]) + timedelta(days=day)).date()
            chances = [grades[name][n] for name in names] + [ready[level][n] for level in levels]
            yield f"  {day:>3.0f}  {date}" + "".join(f"{100 * chance:>10.0f}" for chance in chances)
