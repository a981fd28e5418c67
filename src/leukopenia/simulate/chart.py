"""One person's chart while it is being invented: curves of the blood lines, samples, drugs, diagnoses, stays.

A line is baseline x curves x noise; a curve is straight between its knots on the logarithmic scale.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import replace
from random import Random
from typing import Any

from leukopenia.simulate.catalogue import (
    AUTOMATED,
    CONDITIONS,
    DRUGS,
    ICD10CM,
    LOINC,
    NDC,
    Ingredient,
)
from leukopenia.simulate.fall import Course
from leukopenia.simulate.laboratory import LABORATORIES
from leukopenia.simulate.marrow_kernel import LINES as MODELLED
from leukopenia.simulate.records import (
    DAY,
    Cells,
    Condition,
    Draw,
    Drug,
    Encounter,
    Person,
    Procedure,
    Result,
    Span,
)

Knots = tuple[tuple[float, float], ...]

NOISE = {
    "neutrophils": 0.10,
    "lymphocytes": 0.07,
    "monocytes": 0.10,
    "eosinophils": 0.15,
    "basophils": 0.15,
    "haemoglobin": 0.012,
    "platelets": 0.04,
    "mcv": 0.006,
}
"""Standard deviation of the logarithm of repeated counts; drawn values stay within two of them."""

TYPICAL = {
    "neutrophils": (4.1, 0.20),
    "lymphocytes": (2.0, 0.16),
    "monocytes": (0.48, 0.15),
    "eosinophils": (0.15, 0.35),
    "basophils": (0.04, 0.30),
    "haemoglobin": (148.0, 0.035),
    "platelets": (250.0, 0.14),
    "mcv": (89.5, 0.025),
}
"""Median and logarithmic standard deviation between healthy adults."""


GRANULOCYTES = ("eosinophils", "basophils")
"""They fall with the neutrophils, half as far on the logarithmic scale."""


def curve(knots: Knots, day: float) -> float:
    """Value of a piecewise log-linear curve, constant outside its knots."""
    days = [knot[0] for knot in knots]
    after = bisect_right(days, day)
    if after == 0 or after == len(knots):
        return knots[min(after, len(knots) - 1)][1]
    (day_0, value_0), (day_1, value_1) = knots[after - 1], knots[after]
    share = (day - day_0) / (day_1 - day_0)
    return value_0 ** (1 - share) * value_1**share


def baseline(rng: Random, sex: str) -> dict[str, float]:
    """A healthy adult's usual counts, each within two standard deviations of the median."""
    chosen = {
        line: median * math.exp(spread * max(-2.0, min(2.0, rng.gauss(0, 1))))
        for line, (median, spread) in TYPICAL.items()
    }
    if sex == "female":
        chosen["haemoglobin"] *= 0.9
    return chosen


class Chart:
    """A person's chart. Days count from `origin`, the first day of the story.

    Parameters
    ----------
    person : Person
        Whose chart.
    rng : random.Random
        All chance of this person comes from here.
    origin : int
        Minute of day 0, 00:00.
    home : str
        Laboratory of this person's outpatient counts.
    """

    def __init__(self, person: Person, rng: Random, origin: int, home: str) -> None:
        self.person, self.rng, self.origin, self.home = person, rng, origin, home
        self.baseline = baseline(rng, person.sex)
        self.shapes: dict[str, list[Knots]] = {}
        self.courses: list[tuple[Course, float]] = []
        self.planned: list[tuple[int, str, bool, str]] = []
        self.results: list[Result] = []
        self.drugs: list[Drug] = []
        self.conditions: list[Condition] = []
        self.encounters: list[Encounter] = []
        self.procedures: list[Procedure] = []
        self.spans: list[Span] = []

    def minute(self, day: float) -> int:
        """Minute of a day of the story; of a whole day some time in the working morning."""
        chance = self.rng.randint(8 * 60, 11 * 60) if day == int(day) else 0
        return self.origin + round(day * DAY) + chance

    def shape(self, line: str, *knots: tuple[float, float]) -> None:
        """Multiply a line by a curve; the lines `bands` (share of neutrophils) and `blasts` are levels."""
        self.shapes.setdefault(line, []).append(knots)

    def follow(self, course: Course, day: float) -> None:
        """Let the counts follow the marrow model, whose hour 0 is at a day of the story."""
        self.courses.append((course, day))

    def count(self, *days: float, laboratory: str = "", differential: bool = True, note: str = "") -> None:
        """Take a full blood count on each of the days."""
        for day in days:
            self.planned.append((self.minute(day), laboratory or self.home, differential, note))

    def visits(self, days: int) -> None:
        """One to four routine counts, most of them with a differential."""
        for _ in range(self.rng.randint(1, 4)):
            self.count(self.rng.randrange(days), differential=self.rng.random() < 0.75)

    def measure(self, analyte: str, day: float, value: float, unit: str) -> None:
        """Record a vital sign or another result than a blood count."""
        code, name = AUTOMATED[analyte]
        category = "vital-signs" if analyte == "temperature" else "laboratory"
        self.test(analyte, day, value, unit, code, name, category=category)

    def test(self, analyte: str, day: float, value: float, unit: str, code: str, name: str, **given: Any) -> None:
        """Record the result of any test, under a LOINC code."""
        minute = self.minute(day)
        self.results.append(
            Result(
                row_id=f"{self.person.patient_id}-{minute}-{analyte.replace('_', '-')}",
                patient_id=self.person.patient_id,
                minute=minute,
                analyte=analyte,
                system=LOINC,
                code=code,
                name=name,
                unit=unit,
                value=value,
                offset=LABORATORIES["hospital"].offset(minute),
                **given,
            )
        )

    def fever(self, first: int, days: int, peak: float) -> None:
        """Temperatures twice daily, falling from the peak, with one CRP."""
        for step in range(2 * days):
            value = 36.8 + (peak - 36.8) * 0.75**step
            self.measure("temperature", first + step / 2 + 0.3, round(value, 1), "Cel")
        self.measure("crp", first + 0.3, round(self.rng.uniform(60, 240), 1), "mg/L")

    def order(self, name: str, day: float, until: float | None, dose: float | None = None, **given: Any) -> None:
        """Order a drug from one day to another."""
        self._drug(name, day, until, dose, "ordered", **given)

    def administer(self, name: str, *days: float, dose: float | None = None, **given: Any) -> None:
        """Give a drug on each of the days."""
        for day in days:
            self._drug(name, day, None, dose, "administered", **given)

    def dispense(self, name: str, *days: float, supply: int, dose: float | None = None) -> None:
        """Hand a drug over on each of the days, enough for so many days."""
        for day in days:
            self._drug(name, day, day + supply, dose, "dispensed")

    def _drug(self, name: str, day: float, until: float | None, dose: float | None, status: str, **given: Any) -> None:
        self.prescribe(DRUGS[name], day, until, status, dose, **given)

    def prescribe(
        self, drug: Ingredient, day: float, until: float | None, status: str, dose: float | None = None, **given: Any
    ) -> Drug:
        """Record a drug of any pharmacy: ordered, dispensed or administered from one day to another."""
        fields: dict[str, Any] = {
            "name": drug.name,
            "codings": drug.codings or ((NDC, "0"),),
            "route": drug.route,
            "dose_unit": drug.unit if dose is not None else "",
            **given,
        }
        self.drugs.append(
            Drug(
                row_id=f"{self.person.patient_id}-drug-{len(self.drugs) + 1}",
                patient_id=self.person.patient_id,
                start=self.minute(day),
                end=None if until is None else self.minute(until),
                status=status,
                dose=dose,
                **fields,
            )
        )
        return self.drugs[-1]

    def infuse(self, name: str, day: float, hours: float, dose: float, dose_unit: str) -> None:
        """Give a drug as a pump records it, with a beginning and an end."""
        given = self.prescribe(DRUGS[name], day, None, "administered", dose, dose_unit=dose_unit)
        self.drugs[-1] = replace(given, end=given.start + round(hours * 60))

    def diagnose(self, name: str, day: float, until: float | None = None, certainty: str = "confirmed") -> None:
        """Record a diagnosis by its ICD-10-CM code."""
        code, display = CONDITIONS[name]
        self.write_down(display, ((ICD10CM, code),), day, until, certainty)

    def write_down(
        self,
        name: str,
        codings: tuple[tuple[str, str], ...],
        day: float,
        until: float | None = None,
        certainty: str = "confirmed",
    ) -> None:
        """Record any diagnosis, in words and under the codes it has."""
        self.conditions.append(
            Condition(
                row_id=f"{self.person.patient_id}-condition-{len(self.conditions) + 1}",
                patient_id=self.person.patient_id,
                name=name,
                codings=codings,
                start=self.minute(day),
                end=None if until is None else self.minute(until),
                certainty=certainty,
            )
        )

    def stay(self, first: float, last: float, setting: str = "inpatient") -> None:
        """Record an encounter; one that ends on a whole day ends at six in the evening."""
        self.encounters.append(
            Encounter(
                row_id=f"{self.person.patient_id}-encounter-{len(self.encounters) + 1}",
                patient_id=self.person.patient_id,
                setting=setting,
                start=self.origin + round(first * DAY),
                end=self.origin + round(last * DAY) + (18 * 60 if last == int(last) else 0),
            )
        )

    def operate(self, name: str, day: float) -> None:
        """Record a procedure."""
        row_id = f"{self.person.patient_id}-procedure-{len(self.procedures) + 1}"
        self.procedures.append(Procedure(row_id, self.person.patient_id, name, self.minute(day)))

    def die(self, day: float) -> None:
        """The person dies on a day of the story."""
        self.person = replace(self.person, death=self.minute(day))

    def span(self, first: float, last: float, note: str, **cause: Any) -> None:
        """Say that low counts of one line between two days are one event, and what brought it about."""
        start, end = (self.origin + round(day * DAY) for day in (first, last))
        self.spans.append(Span(start, end, note, **cause))

    def draws(self) -> list[Draw]:
        """All samples with the cells that were in them, in order of time, one a minute at most."""
        planned = {entry[0]: entry for entry in reversed(self.planned)}
        return [self._draw(*planned[minute]) for minute in sorted(planned)]

    def _draw(self, minute: int, laboratory: str, differential: bool, note: str) -> Draw:
        cells = self._cells((minute - self.origin) / DAY)
        by_day = laboratory == "practice" and self.rng.random() < 0.15
        return Draw(
            self.person.patient_id,
            minute,
            "day" if by_day else "minute",
            laboratory,
            cells,
            # Too few cells to tell them apart: the laboratory sends the white count alone.
            differential and cells.wbc >= 0.5,
            self._encounter(minute),
            note,
        )

    def _encounter(self, minute: int) -> str:
        during = (stay.row_id for stay in self.encounters if stay.start <= minute <= (stay.end or minute))
        return next(during, "")

    def _cells(self, day: float) -> Cells:
        values = {line: usual * self._factor(line, day) * self._noise(line) for line, usual in self.baseline.items()}
        bands = self._level("bands", day) * values["neutrophils"]
        return Cells(**values, bands=bands, blasts=self._level("blasts", day))

    def _factor(self, line: str, day: float) -> float:
        shaped = math.prod(curve(knots, day) for knots in self.shapes.get(line, ()))
        if line in GRANULOCYTES:
            return shaped * math.sqrt(self._modelled("neutrophils", day))
        return shaped * self._modelled(line, day) if line in MODELLED else shaped

    def _modelled(self, line: str, day: float) -> float:
        return math.prod(course.share(line, (day - zero) * 24) for course, zero in self.courses)

    def _level(self, line: str, day: float) -> float:
        if line not in self.shapes:
            return 0.0
        value = self._factor(line, day)
        return value if value > 0.01 else 0.0

    def _noise(self, line: str) -> float:
        spread = NOISE[line]
        return math.exp(spread * max(-2.0, min(2.0, self.rng.gauss(0, 1))))
