"""The truth of one person, read off the clean results before any dirt is put in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from leukopenia.simulate.laboratory import limits
from leukopenia.simulate.records import DAY, LINES, Draw, Person, Result, Span, Truth, clock

_WEEK = 7 * DAY
_CLEAR = 1.3


class Reading(NamedTuple):
    """One count of one line as its results tell it, in 10^9/L (haemoglobin g/L)."""

    draw: Draw
    value: float
    limit: float
    how: str

    @property
    def low(self) -> bool:
        return self.value < self.limit


@dataclass
class Run:
    """A run of low counts while it is being followed; `back`: counts surely not low since the last low one."""

    readings: list[Reading] = field(default_factory=list)
    recovery: Reading | None = None
    span: Span | None = None
    back: int = 0
    since: int = 0

    def over(self, minute: int) -> bool:
        """Whether the run had surely ended before a low count: two counts were not low, or none was for a week."""
        return self.back >= 2 or (self.back == 1 and minute - self.since >= _WEEK)

    def clear(self, reading: Reading) -> None:
        """A count that is not low; whether a derived one near the limit is so, depends on whose limit it is."""
        self.recovery = self.recovery or reading
        if reading.how != "derived" or reading.value >= _CLEAR * reading.limit:
            self.since = self.since if self.back else reading.draw.minute
            self.back += 1


def readings(line: str, draw: Draw, results: list[Result], limit: float) -> Iterator[Reading]:
    """What a sample says of a line: measured, censored, derived, or bounded by the white count."""
    sent = {result.analyte: result for result in results}
    if line in sent:
        yield _measured(sent[line], draw, limit)
    elif f"{line}_percent" in sent:
        parts = (f"{line}_percent", *(("bands_percent",) if line == "neutrophils" else ()))
        percent = sum(sent[part].value or 0.0 for part in parts if part in sent)
        yield Reading(draw, round((sent["wbc"].value or 0.0) * percent / 100, 6), limit, "derived")
    elif line in ("neutrophils", "lymphocytes"):
        bound = _measured(sent["wbc"], draw, limit)
        if bound.low:
            yield bound._replace(how="bounded by WBC")


def _measured(result: Result, draw: Draw, limit: float) -> Reading:
    value = float(result.text[1:]) if result.value is None else result.value
    how = "reported below the limit of detection" if "<" in result.text + result.comparator else ""
    return Reading(draw, round(value * _scale(result), 6), limit, how)


def _scale(result: Result) -> float:
    if result.analyte == "haemoglobin":
        return 1 if result.unit == "g/L" else 10
    return 0.001 if result.unit in ("/uL", "cells/cumm") else 1


def runs(line: list[Reading], spans: list[Span]) -> list[Run]:
    """Runs of low counts of one line in order of time; runs within one span of the story are one."""
    found: list[Run] = []
    for reading in line:
        if reading.low:
            _low(found, reading, spans)
        elif found:
            found[-1].clear(reading)
    return found


def _low(found: list[Run], reading: Reading, spans: list[Span]) -> None:
    span = next((span for span in spans if span.start <= reading.draw.minute < span.end), None)
    last = found[-1] if found else None
    if last is None or (last.over(reading.draw.minute) and (span is None or span is not last.span)):
        last = Run(span=span)
        found.append(last)
    last.readings.append(reading)
    last.recovery, last.back = None, 0


def truth(person: Person, spans: list[Span], sent: list[tuple[Draw, list[Result]]]) -> list[Truth]:
    """The low runs of one person.

    Parameters
    ----------
    person : Person
        Whose counts.
    spans : list of Span
        Which days of the story belong together.
    sent : list of (Draw, list of Result)
        The samples in order of time with their clean results.

    Returns
    -------
    list of Truth
        One for each line and run; a single one with an empty line where no count is low.
    """
    found = [
        _told(person, line, run)
        for line in LINES
        for run in runs(
            [
                reading
                for draw, results in sent
                for reading in readings(line, draw, results, limits(draw.laboratory, person, draw.minute)[line][0])
            ],
            spans,
        )
    ]
    return found or [Truth(person.patient_id, person.story)]


def _told(person: Person, line: str, run: Run) -> Truth:
    nadir = min(run.readings, key=lambda reading: reading.value)
    note = "; ".join(
        part for part in (run.span.note if run.span else "incidental", nadir.how, f"limit {nadir.limit:g}") if part
    )
    return Truth(
        person.patient_id,
        person.story,
        line,
        _time(run.readings[0].draw),
        _time(nadir.draw),
        nadir.value,
        _time(run.recovery.draw) if run.recovery else "",
        note,
        **_because(line, run.span),
    )


def _because(line: str, span: Span | None) -> dict[str, Any]:
    if span is None or line not in span.lines:
        return {}
    return {
        "cause_id": span.cause_id,
        "cause_class": span.cause_class,
        "cause_onset": "" if span.cause_onset is None else clock(span.cause_onset),
        "hidden": span.hidden,
        "recorded": span.recorded,
    }


def _time(draw: Draw) -> str:
    return clock(draw.minute, draw.precision)
