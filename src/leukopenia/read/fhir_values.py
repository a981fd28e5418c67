"""FHIR datatypes -> the values of the raw tables: times, codes, quantities, reference ranges, references."""

from __future__ import annotations

import math
import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from leukopenia.read.fhir_shapes import Coding, Concept, Period, Quantity, ReferenceRange

EPOCH = date(1970, 1, 1).toordinal()
DAY = 1440

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"

# HL7 Terminology (terminology.hl7.org), "external code systems": canonical URIs and OIDs.
SYSTEMS = {
    LOINC: "loinc",
    "urn:oid:2.16.840.1.113883.6.1": "loinc",
    "http://snomed.info/sct": "snomed",
    "urn:oid:2.16.840.1.113883.6.96": "snomed",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "rxnorm",
    "urn:oid:2.16.840.1.113883.6.88": "rxnorm",
    "http://www.whocc.no/atc": "atc",
    "urn:oid:2.16.840.1.113883.6.73": "atc",
    "http://hl7.org/fhir/sid/ndc": "ndc",
    "urn:oid:2.16.840.1.113883.6.69": "ndc",
    "http://hl7.org/fhir/sid/icd-10-cm": "icd10cm",
    "urn:oid:2.16.840.1.113883.6.90": "icd10cm",
    "http://hl7.org/fhir/sid/icd-9-cm": "icd9cm",
    "urn:oid:2.16.840.1.113883.6.103": "icd9cm",
    "http://hl7.org/fhir/sid/icd-10": "icd10",
    "urn:oid:2.16.840.1.113883.6.3": "icd10",
}

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff"
_ZERO_WIDTH = dict.fromkeys(map(ord, ZERO_WIDTH))

TIME_OF_DAY = r"([01][0-9]|2[0-3]):([0-5][0-9])(?::[0-5][0-9](?:\.[0-9]+)?|:60)?"
ZONE = r"(Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
_MOMENT = re.compile(rf"([12][0-9]{{3}})(?:-([0-9]{{2}})(?:-([0-9]{{2}})(?:T{TIME_OF_DAY}{ZONE}?)?)?)?")

_NUMBER = r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_PLAIN = re.compile(_NUMBER)

# A unit may follow; one that begins with a digit must be a power of ten, else "1-3 5-9" would read as 1 to 3.
_LIMIT = r"([0-9]+(?:\.[0-9]+)?)"
_UNIT = r"(?:\s*[^\s0-9.,\-][^\s]*|\s+x?\s*10[\^*e]\S*)?"
_BETWEEN = re.compile(rf"[(\[]?\s*{_LIMIT}\s*(?:-|\u2013|\u2014|to)\s*{_LIMIT}\s*[)\]]?{_UNIT}", re.IGNORECASE)
_ONE_SIDED = re.compile(rf"(<=|>=|<|>|\u2264|\u2265)\s*{_LIMIT}{_UNIT}", re.IGNORECASE)

PATIENT = r"(?:(?:^|/)Patient/|^urn:uuid:)([^/?#|\s]+)"
_PATIENT = re.compile(PATIENT + r"(?:/_history/[^/]+)?$")

_DAYS = {
    "a": 365.25,
    "year": 365.25,
    "mo": 30.4375,
    "month": 30.4375,
    "wk": 7.0,
    "week": 7.0,
    "d": 1.0,
    "day": 1.0,
    "h": 1 / 24,
    "hour": 1 / 24,
    "min": 1 / DAY,
}


class SetAside(Exception):
    """A record goes no further: `reason` is one of errors.REASONS, `detail` never holds a patient's value."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(reason)


class Moment(NamedTuple):
    """A time on the clock of the place of care; `minute` is the first one it can mean."""

    minute: int | None
    precision: str
    utc_offset: int | None


class Signal(NamedTuple):
    """A coded name: short system name or URI, code, and name as received."""

    system: str
    code: str
    name: str


NEVER = Moment(None, "none", None)


@lru_cache(maxsize=1 << 12)
def moment(text: str | None) -> Moment:
    """Read a FHIR date, dateTime or instant; what cannot be read is no time at all."""
    found = _MOMENT.fullmatch(text.strip()) if text else None
    if not found:
        return NEVER
    year, month, day, hour, minute, zone = found.groups()
    try:
        days = date(int(year), int(month or 1), int(day or 1)).toordinal() - EPOCH
    except ValueError:
        return NEVER
    if hour:
        return Moment(days * DAY + int(hour) * 60 + int(minute), "minute", _offset(zone))
    return Moment(days * DAY, "day" if day else "month" if month else "year", None)


def _offset(zone: str | None) -> int | None:
    if zone is None:
        return None
    if zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return -minutes if zone[0] == "-" else minutes


def last_minute(text: str | None) -> int | None:
    """The last minute a time can mean: a Period includes all of the date it ends on."""
    at = moment(text)
    if at.minute is None or at.precision == "minute":
        return at.minute
    if at.precision == "day":
        return at.minute + DAY - 1
    first = date.fromordinal(at.minute // DAY + EPOCH)
    month = first.month % 12 + 1 if at.precision == "month" else 1
    after = first.replace(year=first.year + (month == 1), month=month)
    return (after.toordinal() - EPOCH) * DAY - 1


def first_moment(*texts: str | None) -> Moment:
    """The first of the times that can be read."""
    return next((at for at in map(moment, texts) if at.minute is not None), NEVER)


def bounds(period: Period | None) -> tuple[str | None, str | None]:
    return (period.start, period.end) if period else (None, None)


def minutes(duration: Quantity | None) -> int | None:
    """Length of a Duration; None where there is none or its unit is not one of time."""
    if duration is None or not isinstance(duration.value, float):
        return None
    unit = (duration.code or duration.unit or "").strip().lower()
    days = _DAYS.get(unit) or _DAYS.get((duration.unit or "").strip().lower().rstrip("s"))
    return round(duration.value * days * DAY) if days else None


def clean(text: str) -> str:
    """Take zero-width characters and outer blanks from a name."""
    return (text if text.isascii() else text.translate(_ZERO_WIDTH)).strip(" ")


@lru_cache(maxsize=1 << 10)
def system_name(uri: str | None) -> str:
    """Short name of a code system, else its URI as received."""
    if not uri:
        return ""
    plain = uri.strip().rstrip("/").replace("https://", "http://", 1)
    return SYSTEMS.get(plain, "atc" if plain.endswith("/atc") else uri.strip())


def signal(concept: Concept | None, preferred: tuple[str, ...]) -> Signal:
    """Choose the coding of a CodeableConcept by its system, else the first that has a code."""
    if concept is None:
        return Signal("", "", "")
    coded = [(system_name(each.system), each) for each in concept.coding or () if each.code]
    for wanted in preferred:
        for system, coding in coded:
            if system == wanted:
                return _signal(system, coding, concept)
    return _signal(*coded[0], concept) if coded else Signal("", "", label(concept))


def _signal(system: str, coding: Coding, concept: Concept) -> Signal:
    return Signal(system, (coding.code or "").strip(" "), clean(coding.display or "") or label(concept))


def label(concept: Concept | None) -> str:
    """A CodeableConcept in words: its text, else the first display, else the first code."""
    if concept is None:
        return ""
    codings = concept.coding or ()
    words = [concept.text, *(each.display for each in codings), *(each.code for each in codings)]
    return next((clean(word) for word in words if word and clean(word)), "")


def number(value: float | str | None) -> tuple[float | None, str | None]:
    """A number as received, or the text that stands in its place."""
    if value is None or isinstance(value, float):
        return value, None
    text = value.strip()
    plain = float(text) if _PLAIN.fullmatch(text) else math.inf
    return (plain, None) if math.isfinite(plain) else (None, text or None)


def unit(quantity: Quantity) -> str:
    """Unit as received: the code where it is UCUM, else the printed unit."""
    code, printed = quantity.code or "", quantity.unit or ""
    return (code or printed if quantity.system == UCUM else printed or code).strip(" ")


def limits(ranges: list[ReferenceRange] | None) -> tuple[float | None, float | None]:
    """The laboratory's normal limits.

    Ranges of another type than normal (critical, therapeutic) are never limits of normal. Of several, one
    that holds for everybody goes before one for an age or a group; which group holds cannot be told here.
    """
    usable = []
    for each in ranges or ():
        pair = low_high(each) if _is_normal(each.type) else (None, None)
        if pair != (None, None):
            if not each.applies_to and not each.age:
                return pair
            usable.append(pair)
    return usable[0] if len(usable) == 1 else (None, None)


def _is_normal(kind: Concept | None) -> bool:
    if kind is None:
        return True
    codes = [each.code for each in kind.coding or () if each.code]
    return "normal" in codes if codes else (kind.text or "normal").strip().lower().startswith("normal")


def low_high(each: ReferenceRange) -> tuple[float | None, float | None]:
    """Limits of one range, from its quantities, else from its text."""
    low = number(each.low.value)[0] if each.low else None
    high = number(each.high.value)[0] if each.high else None
    return (low, high) if (low, high) != (None, None) else _range_text(each.text or "")


def _range_text(text: str) -> tuple[float | None, float | None]:
    if both := _BETWEEN.fullmatch(text.strip()):
        return float(both[1]), float(both[2])
    if one := _ONE_SIDED.fullmatch(text.strip()):
        return (None, float(one[2])) if one[1] in "<=\u2264" else (float(one[2]), None)
    return None, None


def patient_id(reference: str) -> str:
    """Id in a reference to a Patient (relative, absolute or urn:uuid), else empty."""
    found = _PATIENT.search(reference.strip())
    return found[1] if found else ""


def reference_key(kind: str, reference: str | None) -> str:
    """`Specimen/7` from a reference to a Specimen in any of its literal forms, else empty."""
    found = re.search(rf"(?:^|/){kind}/([^/?#|\s]+)", reference.strip()) if reference else None
    return f"{kind}/{found[1]}" if found else ""
