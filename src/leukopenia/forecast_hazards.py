"""A person on a drug that acts on few people -> what is published of the next days, as rows and as words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from leukopenia import forecasting, knowledge
from leukopenia.forecast.incidence import Hazard
from leukopenia.forecast_records import DAY, Person

Row = dict[str, Any]

HORIZON = 28
"""Days ahead."""

STANDARD = "ctcae-5.0"

APART = 42 * DAY
"""Records of a drug no further apart than this are one course of it; so long a single record may be in use."""

_EPOCH = datetime(1970, 1, 1)


def begun(person: Person) -> dict[str, int]:
    """The drugs of hazards.csv that a person is on, and the minute at which the present course of each began."""
    drugs = {drug for row in knowledge.load()["hazards"] for drug in row["drug"].split(";")}
    found = {}
    for drug in sorted(drugs):
        rows = [row for row in person.exposures if row["ingredient"] == drug and row["status"] != "ordered"]
        start = _course(sorted((row["start"], _end(row)) for row in rows), person.as_of)
        if start is not None:
            found[drug] = start
    return found


def _end(row: Row) -> int:
    """A record without an end, or of a moment, is taken to be in use for a while."""
    end = row["end"]
    return int(row["start"] + APART if end is None or end <= row["start"] else end)


def _course(spans: Sequence[tuple[int, int]], as_of: int) -> int | None:
    """The beginning of the last course, if it goes on."""
    start, until = None, 0
    for first, last in spans:
        if start is None or first > until + APART:
            start = first
        until = max(until, last)
    return start if start is not None and until >= as_of else None


def told(person: Person) -> list[Row]:
    """One row a drug, study and outcome; see the how-to page "Forecast a nadir"."""
    return [
        _row(person, one, start)
        for drug, start in begun(person).items()
        for one in forecasting.hazard(drug, (person.as_of - start) / DAY, HORIZON)
    ]


def _row(person: Person, one: Hazard, start: int) -> Row:
    return {
        "drug": one.drug.removeprefix("drug:"),
        "since": (_EPOCH + timedelta(minutes=start)).isoformat(" ", "minutes"),
        "day": round(one.day, 2),
        "horizon_days": HORIZON,
        "known_days": round(one.known_days, 2),
        "outcome": one.outcome,
        "below": one.below,
        "happened": _happened(person, one, start),
        "probability": _plain(one.probability),
        "low": _plain(one.low),
        "high": _plain(one.high),
        "basis": one.basis,
        "study": one.study,
        "source_id": one.source_id,
        "citation": "; ".join(knowledge.citation(source) for source in one.source_id.split(";")),
        "notes": list(one.notes),
    }


def _plain(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")


def _happened(person: Person, one: Hazard, start: int) -> bool:
    """Whether neutrophils were below the limit of the study since the drug was begun; grade 4 stands for no limit."""
    grades = forecasting.levels("neutrophils", STANDARD).grades
    limit = grades[max(grades)] if one.below is None else one.below
    since = [row for row in person.counts if row["analyte"] == "neutrophils" and row["minute"] >= start]
    return any(row["value"] < limit for row in since if row["comparator"] not in (">", ">="))


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """The rows for a reader, drug by drug."""
    for drug, since in dict.fromkeys((row["drug"], row["since"]) for row in rows):
        mine = [row for row in rows if row["drug"] == drug]
        yield f"On {drug} since {since[:10]}, {mine[0]['day']:.0f} days. Of people who have been free of it so far:"
        yield from (f"  {_line(row)}" for row in mine)
        yield from dict.fromkeys(f"    {row['study']}: {_behind(row)}" for row in mine)


def _behind(row: Row) -> str:
    return ". ".join([*row["notes"], row["citation"]])


def _line(row: Row) -> str:
    limit = f" (neutrophils below {row['below']:g})" if row["below"] else ""
    return f"{row['outcome']}{limit}: {_said(row)} [{row['study']}, {row['basis']}]"


def _said(row: Row) -> str:
    if row["happened"]:
        return "it has happened on this course, so that no hazard is told"
    if row["probability"] is None:
        return f"not known: the study does not reach day {row['day']:.0f}"
    known = None not in (row["low"], row["high"])
    bounds = f" ({_share(row['low'])} to {_share(row['high'])} %)" if known else ""
    return f"{_share(row['probability'])} %{bounds} within the next {row['known_days']:.0f} days"


def _share(chance: float) -> str:
    return f"{100 * chance:.2g}"
