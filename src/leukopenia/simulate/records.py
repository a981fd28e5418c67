"""What the simulated hospital holds: frozen records, as they would be sent, and the truth beside them.

Times are whole minutes since 1970-01-01T00:00 on the clock of the ward, as in `leukopenia.contracts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

DAY = 1440
MICROSECONDS = 60_000_000
"""Of a minute."""
EPOCH = datetime(1970, 1, 1)
LINES = ("wbc", "neutrophils", "lymphocytes", "platelets", "haemoglobin")
"""The blood lines of which the truth speaks."""


def minute_of(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    """Minutes since 1970 of a time on the clock."""
    return (datetime(year, month, day, hour, minute) - EPOCH) // timedelta(minutes=1)


def moment(minute: int) -> datetime:
    """A minute as a time on the clock."""
    return EPOCH + timedelta(minutes=minute)


def known(minute: int, precision: str) -> int:
    """The minute as far as it is known, for formats whose times are all moments: a date is its first minute."""
    return minute if precision == "minute" else minute // DAY * DAY


def number(patient_id: str) -> int | None:
    """The number of a patient, for formats that know no other ids; None where there is no patient."""
    return int(patient_id.rpartition("-")[2]) if patient_id else None


def clock(minute: int, precision: str = "minute") -> str:
    """ISO 8601 text of a minute, as precise as it is known: ``minute``, ``day`` or ``year``."""
    text = moment(minute).isoformat()
    return {"minute": text, "day": text[:10], "year": text[:4]}[precision]


@dataclass(frozen=True, slots=True)
class Person:
    """One simulated person."""

    patient_id: str
    story: str
    sex: str
    birth: int
    birth_precision: str = "day"
    death: int | None = None


@dataclass(frozen=True, slots=True)
class Cells:
    """What truly is in the blood: cells in 10^9/L, haemoglobin in g/L, MCV in fL; bands are neutrophils."""

    neutrophils: float
    lymphocytes: float
    monocytes: float
    eosinophils: float
    basophils: float
    bands: float
    blasts: float
    haemoglobin: float
    platelets: float
    mcv: float

    @property
    def wbc(self) -> float:
        mature = self.neutrophils + self.lymphocytes + self.monocytes + self.eosinophils + self.basophils
        return mature + self.blasts


@dataclass(frozen=True, slots=True)
class Draw:
    """One blood sample and the laboratory it went to."""

    patient_id: str
    minute: int
    precision: str
    laboratory: str
    cells: Cells
    differential: bool
    encounter: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One result as sent. `analyte` is the simulator's own label and is never written."""

    row_id: str
    patient_id: str
    minute: int | None
    analyte: str
    system: str
    code: str
    name: str
    unit: str = ""
    value: float | None = None
    text: str = ""
    comparator: str = ""
    low: float | None = None
    high: float | None = None
    flag: str = ""
    specimen: str = ""
    status: str = "final"
    absent: str = ""
    note: str = ""
    encounter: str = ""
    precision: str = "minute"
    offset: str = ""
    timed_by: str = "effective"
    category: str = "laboratory"


@dataclass(frozen=True, slots=True)
class Drug:
    """One order or administration as sent; `carrier` says how the resource names the drug."""

    row_id: str
    patient_id: str
    name: str
    start: int
    end: int | None
    status: str
    codings: tuple[tuple[str, str], ...] = ()
    carrier: str = "concept"
    route: str = "oral"
    dose: float | None = None
    dose_unit: str = ""
    precision: str = "minute"


@dataclass(frozen=True, slots=True)
class Condition:
    """One diagnosis as sent."""

    row_id: str
    patient_id: str
    name: str
    codings: tuple[tuple[str, str], ...]
    start: int
    end: int | None = None
    certainty: str = "confirmed"


@dataclass(frozen=True, slots=True)
class Encounter:
    """One stay or visit as sent; `setting` is inpatient, emergency or outpatient."""

    row_id: str
    patient_id: str
    setting: str
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Procedure:
    """One procedure as sent."""

    row_id: str
    patient_id: str
    name: str
    start: int


@dataclass(frozen=True, slots=True)
class Span:
    """Days of a story within which low counts of one line belong together, and what brought them about.

    `lines` are those that the cause lowers; low counts of the others have no cause that is told.
    """

    start: int
    end: int
    note: str
    cause_id: str = ""
    cause_class: str = ""
    cause_onset: int | None = None
    hidden: bool = False
    recorded: bool = False
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happened: one low run of one line, or (line empty) a person without any.

    `cause_id` is a row of knowledge or ``unexplained``, empty where no cause is told; `cause_onset` is when it began to
    lower the counts; `hidden`: the explainer does not know the cause; `recorded`: the cause is on record.
    """

    patient_id: str
    story: str
    line: str = ""
    onset: str = ""
    nadir_time: str = ""
    nadir: float | None = None
    recovery: str = ""
    note: str = ""
    cause_id: str = ""
    cause_class: str = ""
    cause_onset: str = ""
    hidden: bool = False
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Hospital:
    """A simulated hospital: the records as sent, the truth, and how often each kind of dirt was put in."""

    persons: tuple[Person, ...]
    results: tuple[Result, ...]
    drugs: tuple[Drug, ...]
    conditions: tuple[Condition, ...]
    encounters: tuple[Encounter, ...]
    procedures: tuple[Procedure, ...]
    truth: tuple[Truth, ...]
    dirt: tuple[tuple[str, int], ...]
