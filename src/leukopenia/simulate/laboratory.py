"""Four laboratories and how each turns one blood sample into results.

Their reference ranges are those of invented laboratories, as plausible as real ones and no source for any.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

from leukopenia.simulate.catalogue import AUTOMATED, LOINC, METHODLESS, SPELLINGS
from leukopenia.simulate.records import DAY, EPOCH, Cells, Draw, Person, Result

DIFFERENTIAL = ("neutrophils", "lymphocytes", "monocytes", "eosinophils", "basophils")
SUMMER = range(4, 11)

ADULT = {
    "wbc": (4.0, 11.0),
    "neutrophils": (1.8, 7.7),
    "lymphocytes": (1.0, 4.8),
    "monocytes": (0.2, 1.0),
    "eosinophils": (0.0, 0.5),
    "basophils": (0.0, 0.2),
    "platelets": (150.0, 400.0),
    "mcv": (80.0, 100.0),
}
PRACTICE = {
    **ADULT,
    "wbc": (3.6, 10.5),
    "neutrophils": (1.7, 7.5),
    "lymphocytes": (1.1, 4.0),
    "platelets": (140.0, 420.0),
}
CHILD = {
    **ADULT,
    "wbc": (4.5, 14.5),
    "neutrophils": (1.5, 8.0),
    "lymphocytes": (1.5, 7.0),
    "mcv": (74.0, 92.0),
}
INFANT = {
    **ADULT,
    "wbc": (6.0, 17.5),
    "neutrophils": (1.0, 8.5),
    "lymphocytes": (2.5, 10.0),
    "mcv": (72.0, 110.0),
}
FIRST_WEEK = {
    **INFANT,
    "wbc": (5.0, 21.0),
    "neutrophils": (1.5, 10.0),
    "lymphocytes": (2.0, 11.0),
    "mcv": (95.0, 121.0),
}
FIRST_DAY = {**FIRST_WEEK, "wbc": (9.0, 34.0), "neutrophils": (5.0, 28.0)}
HAEMOGLOBIN = {
    "male": (135.0, 175.0),
    "female": (120.0, 155.0),
    "child": (110.0, 155.0),
    "newborn": (135.0, 225.0),
}


@dataclass(frozen=True)
class Laboratory:
    """How one laboratory reports: codes, units, which part of the differential, ranges, time stamps."""

    name: str
    codes: dict[str, tuple[str, str]]
    adult: dict[str, tuple[float, float]]
    unit: str
    haemoglobin_unit: str
    absolute: bool
    percent: bool
    ranges: bool
    zone: str
    lowest: float

    def offset(self, minute: int) -> str:
        """UTC offset written behind a time; the clinic writes none, the practice calls its own clock Z."""
        if self.zone != "local":
            return self.zone
        month = (EPOCH + timedelta(minutes=minute)).month
        return "+02:00" if month in SUMMER else "+01:00"


LABORATORIES = {
    laboratory.name: laboratory
    for laboratory in (
        Laboratory("hospital", AUTOMATED, ADULT, "10*3/uL", "g/dL", True, True, True, "local", 0.1),
        Laboratory("night", METHODLESS, ADULT, "10*3/uL", "g/dL", False, True, True, "local", 0.0),
        Laboratory("practice", AUTOMATED, PRACTICE, "10*9/L", "g/L", False, True, True, "Z", 0.0),
        Laboratory("clinic", METHODLESS, ADULT, "", "GM/DL", True, False, False, "", 0.1),
    )
}


def _by_age(adult: dict[str, tuple[float, float]], age: int) -> dict[str, tuple[float, float]]:
    bounds = ((1 * DAY, FIRST_DAY), (7 * DAY, FIRST_WEEK), (730 * DAY, INFANT), (18 * 365 * DAY, CHILD))
    return next((limits for end, limits in bounds if age < end), adult)


def limits(laboratory: str, person: Person, minute: int) -> dict[str, tuple[float, float]]:
    """Reference ranges in force for a person at a time, in 10^9/L, g/L (haemoglobin) and fL (MCV).

    Parameters
    ----------
    laboratory : str
        Name of the laboratory.
    person : Person
        Sex and birth decide.
    minute : int
        Time of the sample.

    Returns
    -------
    dict
        Analyte to lower and upper limit; also of a laboratory that does not print its ranges.
    """
    age = minute - person.birth
    chosen = _by_age(LABORATORIES[laboratory].adult, age)
    group = "newborn" if age < 28 * DAY else "child" if age < 18 * 365 * DAY else person.sex
    return {**chosen, "haemoglobin": HAEMOGLOBIN[group]}


class Report:
    """Results of one sample, in the manner of its laboratory."""

    def __init__(self, draw: Draw, person: Person, rng: Random) -> None:
        self.draw, self.cells, self.rng = draw, draw.cells, rng
        self.laboratory = LABORATORIES[draw.laboratory]
        self.limits = limits(draw.laboratory, person, draw.minute)
        self.unit, self.scale = (self.laboratory.unit, 1) if self.laboratory.unit else rng.choice(SPELLINGS)
        self.results: list[Result] = []

    def write(self) -> list[Result]:
        """All results of the sample, counts first."""
        self._count("wbc", self.cells.wbc, digits=1 if self.laboratory.name == "hospital" else 2)
        if self.draw.differential:
            self._differential()
        self._haemoglobin()
        self._count("platelets", self.cells.platelets, digits=0)
        self._add("mcv", "fL", value=round(self.cells.mcv, 1))
        if self.draw.note:
            self._add("platelet_clumps", "", text="Present", note=self.draw.note)
        return self.results

    def _differential(self) -> None:
        for line in DIFFERENTIAL:
            if self.laboratory.absolute:
                self._count(line, getattr(self.cells, line), digits=2)
            if self.laboratory.percent:
                self._percent(line, _mature(self.cells, line))
        if self.cells.bands > 0 and self.laboratory.percent:
            self._percent("bands", self.cells.bands)
        if self.cells.blasts > 0.02:
            self._percent("blasts", self.cells.blasts)

    def _percent(self, line: str, cells: float) -> None:
        self._add(f"{line}_percent", "%", value=round(100 * cells / self.cells.wbc, 1))

    def _count(self, analyte: str, cells: float, digits: int) -> None:
        note = self.draw.note if analyte == "platelets" else ""
        if analyte == "neutrophils" and cells < self.laboratory.lowest:
            self._below(analyte)
        else:
            value = round(round(cells, digits) * self.scale, digits)
            self._add(analyte, self.unit, self.scale, value=value, note=note)

    def _below(self, analyte: str) -> None:
        # One laboratory, two interfaces: some send the comparator in its own field, some as text.
        # Text has no unit: only limits beside it say what it means.
        lowest = round(self.laboratory.lowest * self.scale, 1)
        as_field: dict[str, Any] = {"value": lowest, "comparator": "<"}
        as_text: dict[str, Any] = {"text": f"<{lowest:g}"}
        forms = (as_field, as_text) if self.laboratory.ranges else (as_field,)
        self._add(analyte, self.unit, self.scale, **self.rng.choice(forms))

    def _haemoglobin(self) -> None:
        unit = self.laboratory.haemoglobin_unit
        scale, digits = (1.0, 0) if unit == "g/L" else (0.1, 1)
        self._add("haemoglobin", unit, scale, value=round(self.cells.haemoglobin * scale, digits))

    def _add(self, analyte: str, unit: str, scale: float = 1, **given: Any) -> None:
        code, name = self.laboratory.codes[analyte]
        result = Result(
            row_id=f"{self.draw.patient_id}-{self.draw.minute}-{analyte.replace('_', '-')}",
            patient_id=self.draw.patient_id,
            minute=self.draw.minute,
            analyte=analyte,
            system=LOINC,
            code=code,
            name=name,
            unit=unit,
            specimen="Blood, EDTA" if self.laboratory.name == "hospital" else "",
            encounter=self.draw.encounter,
            precision=self.draw.precision,
            offset=self.laboratory.offset(self.draw.minute),
            **given,
        )
        self.results.append(self._ranged(result, scale))

    def _ranged(self, result: Result, scale: float) -> Result:
        if not self.laboratory.ranges or result.analyte not in self.limits:
            return result
        low, high = (round(limit * scale, 3) for limit in self.limits[result.analyte])
        return replace(result, low=low, high=high, flag=_flag(result.value, low, high))


def _mature(cells: Cells, line: str) -> float:
    """Segmented neutrophils stand apart from the bands in a differential by percent."""
    return cells.neutrophils - cells.bands if line == "neutrophils" else float(getattr(cells, line))


def _flag(value: float | None, low: float, high: float) -> str:
    if value is None or value < low:
        return "L"
    return "H" if value > high else ""


def report(draw: Draw, person: Person, rng: Random) -> list[Result]:
    """Results of one sample as its laboratory sends them.

    Parameters
    ----------
    draw : Draw
        The sample.
    person : Person
        Whose it is; age and sex choose the reference ranges.
    rng : random.Random
        Chooses spellings.

    Returns
    -------
    list of Result
        Counts, differential (absolute, in percent, or both), haemoglobin, platelets and MCV.
    """
    return Report(draw, person, rng).write()
