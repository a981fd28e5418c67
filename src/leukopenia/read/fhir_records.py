"""Medication*, Condition, Procedure, Encounter and Patient -> rows of the raw tables."""

from __future__ import annotations

from collections.abc import Iterable

from leukopenia.read.fhir_scope import DRUG_SYSTEMS, Rows, Scope
from leukopenia.read.fhir_shapes import (
    Coding,
    Concept,
    Condition,
    Dosage,
    Drug,
    Encounter,
    Extension,
    MedicationAdministration,
    MedicationDispense,
    MedicationRequest,
    MedicationStatement,
    Patient,
    Period,
    Procedure,
    Quantity,
    Resource,
)
from leukopenia.read.fhir_values import (
    Moment,
    SetAside,
    Signal,
    bounds,
    clean,
    first_moment,
    label,
    last_minute,
    minutes,
    moment,
    number,
    signal,
    unit,
)

BIRTH_TIME = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
CONDITION_SYSTEMS = ("icd10cm", "snomed", "icd9cm")
OUT = ("entered-in-error", "cancelled")

SETTINGS = {
    # HL7 v3 ActCode (R4) and the plain words of earlier versions.
    "amb": "outpatient",
    "ambulatory": "outpatient",
    "outpatient": "outpatient",
    "emer": "emergency",
    "emergency": "emergency",
    "imp": "inpatient",
    "acute": "inpatient",
    "nonac": "inpatient",
    "obsenc": "inpatient",
    "inpatient": "inpatient",
}

Span = tuple[int | None, int | None, str]


def requests(item: MedicationRequest, scope: Scope) -> Rows:
    """A drug order; a reported one is a statement, one not to perform is not given, a draft is none yet."""
    _valid(item, *OUT, "draft")
    if item.intent in ("proposal", "option"):
        raise SetAside("not_valid_status", f"MedicationRequest intent {item.intent}")
    status = "not_given" if item.do_not_perform else "stated" if item.reported_boolean else "ordered"
    return _drug(item, scope, _request_span(item), status, item.dosage_instruction)


def _request_span(item: MedicationRequest) -> Span:
    repeats = [each.timing.repeat for each in item.dosage_instruction or () if each.timing and each.timing.repeat]
    periods = [repeat.bounds_period for repeat in repeats if repeat.bounds_period]
    supply = item.dispense_request
    window = bounds(supply.validity_period) if supply else (None, None)
    start = _earliest(each.start for each in periods) or first_moment(item.authored_on, window[0])
    length = next((found for repeat in repeats if (found := minutes(repeat.bounds_duration))), None)
    if length is None and supply and (each := minutes(supply.expected_supply_duration)):
        length = each * (1 + (supply.number_of_repeats_allowed or 0))
    ends = [end for each in periods if (end := last_minute(each.end)) is not None]
    # An order that is renewed within one period stays open if any of its dosages is.
    if periods and len(ends) == len(periods):
        return _span(start, max(ends))
    return _span(start, _after(start, length) if length else last_minute(window[1]))


def _earliest(texts: Iterable[str | None]) -> Moment | None:
    return min((at for at in map(moment, texts) if at.minute is not None), default=None, key=lambda at: at[0] or 0)


def administrations(item: MedicationAdministration, scope: Scope) -> Rows:
    """A drug given, or expressly not given."""
    _valid(item, *OUT)
    at = item.effective_date_time
    span = _period(item.effective_period, at, end=last_minute(at) if at else None)
    status = "not_given" if item.status == "not-done" or item.not_given else "administered"
    return _drug(item, scope, span, status, [item.dosage] if item.dosage else None)


def statements(item: MedicationStatement, scope: Scope) -> Rows:
    """A drug somebody says is taken; one that is only intended counts as ordered."""
    _valid(item, *OUT)
    untaken = item.status == "not-taken" or item.taken == "n"
    status = "not_given" if untaken else "ordered" if item.status == "intended" else "stated"
    span = _period(item.effective_period, item.effective_date_time, item.date_asserted)
    return _drug(item, scope, span, status, item.dosage)


def dispenses(item: MedicationDispense, scope: Scope) -> Rows:
    """A drug handed over, for as many days as it lasts."""
    _valid(item, *OUT)
    undone = item.status in ("declined", "unfulfilled") or item.not_done
    status = "not_given" if undone else "ordered" if item.status == "preparation" else "dispensed"
    start = first_moment(item.when_handed_over, item.when_prepared)
    span = _span(start, _after(start, minutes(item.days_supply)))
    return _drug(item, scope, span, status, item.dosage_instruction)


def _after(start: Moment, length: int | None) -> int | None:
    return None if start.minute is None or not length else start.minute + length - 1


def _drug(item: Drug, scope: Scope, span: Span, status: str, dosages: list[Dosage] | None) -> Rows:
    kind = type(item).__name__
    patient = scope.patient(item.subject, kind)
    drug, sought = _medication(item, scope)
    routes = (label(each.route) for each in dosages or ())
    dose, dose_unit = _dose(dosages)
    route = next(filter(None, routes), "")
    return Rows([(0, patient, *span, *drug, route, status, dose, dose_unit)], sought)


def _medication(item: Drug, scope: Scope) -> tuple[Signal, str]:
    if item.medication_codeable_concept is not None:
        return signal(item.medication_codeable_concept, DRUG_SYSTEMS), ""
    reference = item.medication_reference
    if reference is None:
        return Signal("", "", ""), ""
    found, key = scope.find(reference, "Medication", item.contained)
    shown = clean(reference.display or "")
    if found is None:
        return Signal("", "", shown), key
    return Signal(found.system, found.code, found.name or shown), ""


def _dose(dosages: list[Dosage] | None) -> tuple[float | None, str]:
    for quantity in filter(None, map(_dose_quantity, dosages or ())):
        dose = number(quantity.value)[0]
        if dose is not None:
            return dose, unit(quantity)
    return None, ""


def _dose_quantity(dosage: Dosage) -> Quantity | None:
    rates = (each.dose_quantity for each in dosage.dose_and_rate or ())
    return next(filter(None, rates), None) or dosage.dose_quantity or dosage.dose


def conditions(item: Condition, scope: Scope) -> Rows:
    """A diagnosis, from its onset, else from the day it was recorded."""
    stated = item.verification_status
    status = stated if isinstance(stated, str) else next((c.code for c in (stated and stated.coding) or ()), None)
    if status in ("refuted", "entered-in-error"):
        raise SetAside("not_valid_status", f"Condition {status}")
    doubtful = status in ("provisional", "differential", "unconfirmed")
    certainty = "confirmed" if status == "confirmed" else "provisional" if doubtful else ""
    patient = scope.patient(item.subject or item.patient, "Condition")
    onset = bounds(item.onset_period)[0]
    start = first_moment(item.onset_date_time, onset, item.recorded_date, item.asserted_date)
    end = last_minute(item.abatement_date_time or bounds(item.abatement_period)[1])
    return Rows([(0, patient, *_span(start, end), *signal(item.code, CONDITION_SYSTEMS), certainty)])


def procedures(item: Procedure, scope: Scope) -> Rows:
    """A procedure that was done."""
    _valid(item, *OUT, "not-done", "preparation")
    if item.not_done:
        raise SetAside("not_valid_status", "Procedure not-done")
    patient = scope.patient(item.subject, "Procedure")
    span = _period(item.performed_period, item.performed_date_time)
    return Rows([(0, patient, *span, *signal(item.code, ("snomed",)))])


def encounters(item: Encounter, scope: Scope) -> Rows:
    """A contact with care and its setting."""
    _valid(item, *OUT)
    patient = scope.patient(item.subject, "Encounter")
    return Rows([(0, patient, *_period(item.period), _setting(item))])


def _setting(item: Encounter) -> str:
    codes = (code.lower() for code in _class_codes(item.class_) if code)
    return next((SETTINGS[code] for code in codes if code in SETTINGS), "")


def _class_codes(class_: list[Concept] | Coding | str | None) -> list[str | None]:
    """Codes of Encounter.class: a Coding in STU3 and R4, CodeableConcepts in R5, a code before."""
    if isinstance(class_, list):
        return [coding.code for concept in class_ for coding in concept.coding or ()]
    return [class_.code if isinstance(class_, Coding) else class_]


def persons(item: Patient, scope: Scope) -> Rows:
    """A person; born to the minute where the birth time is given."""
    if not item.id:
        raise SetAside("no_patient", "Patient")
    sex = item.gender if item.gender in ("male", "female", "other") else "unknown"
    extended = item.birth_date_extended.extension if item.birth_date_extended else None
    birth = first_moment(_birth_time(extended), _birth_time(item.extension), item.birth_date)
    death = moment(item.deceased_date_time).minute
    return Rows([(0, str(item.id), sex, birth.minute, birth.precision, death)])


def _birth_time(extensions: list[Extension] | None) -> str | None:
    return next((each.value_date_time for each in extensions or () if each.url == BIRTH_TIME), None)


def _valid(item: Resource, *out: str) -> None:
    if item.status in out:
        raise SetAside("not_valid_status", f"{type(item).__name__} {item.status}")


def _period(period: Period | None, *moments: str | None, end: int | None = None) -> Span:
    """A span from a Period, else from the first time that can be read."""
    first, last = bounds(period)
    finish = last_minute(last)
    return _span(first_moment(first, *moments), finish if finish is not None else end)


def _span(start: Moment, end: int | None) -> Span:
    return start.minute, end, start.precision
