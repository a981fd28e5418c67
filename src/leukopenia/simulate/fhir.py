"""Writes a simulated hospital as a FHIR R4 bulk export: one NDJSON file for each type of resource."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from leukopenia.simulate.catalogue import UCUM
from leukopenia.simulate.growing import Additions
from leukopenia.simulate.records import (
    DAY,
    Condition,
    Drug,
    Encounter,
    Hospital,
    Person,
    Procedure,
    Result,
    clock,
)

Resource = dict[str, Any]
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
DATA_ABSENT = f"{TERMINOLOGY}/data-absent-reason"
BIRTH_TIME = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
UCUM_UNITS = (
    "10*3/uL",
    "10*9/L",
    "%",
    "/uL",
    "g/dL",
    "g/L",
    "fL",
    "Cel",
    "[degF]",
    "mg/L",
    "/[HPF]",
    "/100{WBCs}",
)
SETTINGS = {"inpatient": "IMP", "emergency": "EMER", "outpatient": "AMB"}
BROKEN = (0.2, 0.5, 0.97)
"""Where in a block a line stands a second time, cut off in the middle."""


def render(hospital: Hospital) -> Additions:
    """All resources of a block, one NDJSON file for each type.

    Parameters
    ----------
    hospital : Hospital
        What to write. Of one with dirt, `Observation.ndjson.gz` also holds some lines that are no Observation,
        or no JSON at all; `Medication.ndjson` holds what drugs refer to.
    """
    resources: dict[str, list[Resource]] = {
        "Patient": [*map(_patient, hospital.persons)],
        "MedicationRequest": [_request(drug) for drug in hospital.drugs if _ordered(drug)],
        "MedicationAdministration": [_administration(drug) for drug in hospital.drugs if _given(drug)],
        "MedicationDispense": [_dispense(drug) for drug in hospital.drugs if drug.status == "dispensed"],
        "Condition": [*map(_condition, hospital.conditions)],
        "Encounter": [*map(_encounter, hospital.encounters)],
        "Procedure": [*map(_procedure, hospital.procedures)],
    }
    observations = [_line(_observation(result)) for result in hospital.results]
    strays, dirt = _strays(observations) if hospital.dirt else ({}, {})
    files = {f"{name}.ndjson": b"".join(map(_line, found)) for name, found in resources.items()}
    files["Observation.ndjson.gz"] = _compressed(b"".join(_between(observations, strays)))
    rows = {name: len(found) for name, found in resources.items()} | {"Observation": len(observations)}
    return Additions(files, rows, dirt, {"Medication.ndjson": _medications(hospital.drugs)})


def _medications(drugs: Iterable[Drug]) -> dict[str, bytes]:
    referred = {drug.name: drug for drug in drugs if drug.carrier == "reference"}
    return {name: _line(_medication(drug, medication_id(name))) for name, drug in sorted(referred.items())}


def _line(resource: Resource) -> bytes:
    return msgspec.json.encode(resource) + b"\n"


def _compressed(text: bytes) -> bytes:
    # Without a name and a time in the header the same text gives the same bytes; members of gzip may follow each other.
    return gzip.compress(text, 6, mtime=0)


def _strays(lines: list[bytes]) -> tuple[dict[int, bytes], dict[str, int]]:
    """What stands between the lines, by the place it follows: cut-off copies, and at the end an empty line, a report
    of the server and a Bundle of copies."""
    cut = {int(share * len(lines)) for share in BROKEN} if lines else set()
    found = {place: lines[place][: 2 * (len(lines[place]) - 1) // 3] + b"\n" for place in cut}
    last = len(lines) - 1
    copies = [msgspec.json.decode(line) for line in lines[:2]]
    found[last] = found.get(last, b"") + b"\n" + _line(_outcome()) + _line(_bundle(copies))
    return found, {"line_cut_off": len(cut), "line_empty": 1, "resource_of_the_server": 1, "bundle_of_copies": 1}


def _between(lines: list[bytes], strays: dict[int, bytes]) -> Iterator[bytes]:
    yield strays.get(-1, b"")
    for place, line in enumerate(lines):
        yield line
        yield strays.get(place, b"")


def _outcome() -> Resource:
    issue = {"severity": "warning", "code": "processing", "diagnostics": "Some resources were not exported"}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def _bundle(resources: list[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


def _filled(**fields: Any) -> Resource:
    """A resource without its empty fields; zero is not empty."""
    return {name: value for name, value in fields.items() if value or value == 0}


def _subject(patient_id: str) -> Resource | None:
    return {"reference": f"Patient/{patient_id}"} if patient_id else None


def _concept(system: str, code: str, text: str) -> Resource:
    coding = _filled(system=system, code=code, display=text) if code else None
    return _filled(coding=[coding] if coding else [], text=text)


def _codings(codings: Iterable[tuple[str, str]], text: str) -> Resource:
    return _filled(coding=[{"system": system, "code": code} for system, code in codings], text=text)


def _time(minute: int | None, precision: str, offset: str) -> str:
    if minute is None:
        return ""
    return clock(minute, precision) + (offset if precision == "minute" else "")


def _patient(person: Person) -> Resource:
    resource = _filled(
        resourceType="Patient",
        id=person.patient_id,
        gender=person.sex,
        deceasedDateTime="" if person.death is None else clock(person.death, "day"),
    )
    if person.birth_precision != "none":
        resource["birthDate"] = clock(person.birth, "year" if person.birth_precision == "year" else "day")
    if person.birth_precision == "minute":
        exact = {"url": BIRTH_TIME, "valueDateTime": f"{clock(person.birth)}+01:00"}
        resource["_birthDate"] = {"extension": [exact]}
    return resource


def _observation(result: Result) -> Resource:
    category = {"coding": [{"system": f"{TERMINOLOGY}/observation-category", "code": result.category}]}
    absent = {"coding": [{"system": DATA_ABSENT, "code": result.absent}]}
    flag = {"coding": [{"system": f"{TERMINOLOGY}/v3-ObservationInterpretation", "code": result.flag}]}
    return _filled(
        resourceType="Observation",
        id=result.row_id,
        status=result.status,
        category=[category],
        code=_concept(result.system, result.code, result.name),
        subject=_subject(result.patient_id),
        encounter={"reference": f"Encounter/{result.encounter}"} if result.encounter else None,
        **_timing(result),
        **_value(result),
        dataAbsentReason=absent if result.absent else None,
        interpretation=[flag] if result.flag else [],
        note=[{"text": result.note}] if result.note else [],
        specimen={"display": result.specimen} if result.specimen else None,
        referenceRange=_range(result),
    )


def _timing(result: Result) -> Resource:
    time = _time(result.minute, result.precision, result.offset)
    if not time:
        return {}
    forms: dict[str, Resource] = {
        "effective": {"effectiveDateTime": time},
        "issued": {"issued": time},
        "period": {"effectivePeriod": {"start": time}},
    }
    return forms[result.timed_by]


def _value(result: Result) -> Resource:
    if result.text:
        return {"valueString": result.text}
    if result.value is None:
        return {}
    return {"valueQuantity": {**_quantity(result.value, result.unit), **_filled(comparator=result.comparator)}}


def _quantity(value: float, unit: str) -> Resource:
    standard = unit in UCUM_UNITS
    return _filled(value=value, unit=unit, system=UCUM if standard else "", code=unit if standard else "")


def _range(result: Result) -> list[Resource]:
    ends = {"low": result.low, "high": result.high}
    given = {end: _quantity(limit, result.unit) for end, limit in ends.items() if limit is not None}
    return [given] if given else []


def medication_id(name: str) -> str:
    """Id of the Medication resource of a drug name: letters, digits and hyphens only."""
    return "med-" + "".join(letter.lower() if letter.isalnum() else "-" for letter in name)


def _medication(drug: Drug, medication: str) -> Resource:
    return _filled(resourceType="Medication", id=medication, code=_codings(drug.codings, drug.name))


def _ordered(drug: Drug) -> bool:
    return drug.status in ("ordered", "entered-in-error")


def _given(drug: Drug) -> bool:
    return drug.status in ("administered", "not_given")


def _drug_named(drug: Drug) -> Resource:
    """The drug as the resource carries it: a concept, a contained Medication, or a reference."""
    if drug.carrier == "contained":
        return {"contained": [_medication(drug, "drug")], "medicationReference": {"reference": "#drug"}}
    if drug.carrier == "reference":
        return {"medicationReference": {"reference": f"Medication/{medication_id(drug.name)}"}}
    if drug.carrier == "dangling":
        return {"medicationReference": {"reference": "Medication/not-exported", "display": drug.name}}
    concept = _codings(drug.codings, drug.name)
    return {"medicationCodeableConcept": concept} if concept else {}


def _dosage(drug: Drug) -> Resource:
    amount = None if drug.dose is None else _filled(value=drug.dose, unit=drug.dose_unit)
    return _filled(route={"text": drug.route} if drug.route else None, dose=amount)


def _request(drug: Drug) -> Resource:
    start = clock(drug.start, drug.precision)
    end = "" if drug.end is None else clock(drug.end, drug.precision)
    dosage = _dosage(drug)
    amount = dosage.pop("dose", None)
    return _filled(
        resourceType="MedicationRequest",
        id=drug.row_id,
        status="completed" if drug.status == "ordered" else drug.status,
        intent="order",
        **_drug_named(drug),
        subject=_subject(drug.patient_id),
        authoredOn=start,
        dosageInstruction=[
            {
                **dosage,
                **({"doseAndRate": [{"doseQuantity": amount}]} if amount else {}),
                "timing": {"repeat": {"boundsPeriod": _filled(start=start, end=end)}},
            }
        ],
    )


def _administration(drug: Drug) -> Resource:
    start = clock(drug.start, drug.precision)
    lasted = None if drug.end is None else {"start": start, "end": clock(drug.end, drug.precision)}
    return _filled(
        resourceType="MedicationAdministration",
        id=drug.row_id,
        status="not-done" if drug.status == "not_given" else "completed",
        **_drug_named(drug),
        subject=_subject(drug.patient_id),
        effectiveDateTime=None if lasted else start,
        effectivePeriod=lasted,
        dosage=_dosage(drug),
    )


def _dispense(drug: Drug) -> Resource:
    dosage = _dosage(drug)
    amount = dosage.pop("dose", None)
    days = 0 if drug.end is None else round((drug.end - drug.start) / DAY)
    return _filled(
        resourceType="MedicationDispense",
        id=drug.row_id,
        status="completed",
        **_drug_named(drug),
        subject=_subject(drug.patient_id),
        whenHandedOver=clock(drug.start, drug.precision),
        daysSupply={"value": days, "unit": "days", "system": UCUM, "code": "d"},
        dosageInstruction=[{**dosage, **({"doseAndRate": [{"doseQuantity": amount}]} if amount else {})}],
    )


def _condition(condition: Condition) -> Resource:
    certainty = {"coding": [{"system": f"{TERMINOLOGY}/condition-ver-status", "code": condition.certainty}]}
    return _filled(
        resourceType="Condition",
        id=condition.row_id,
        verificationStatus=certainty,
        code=_codings(condition.codings, condition.name),
        subject=_subject(condition.patient_id),
        onsetDateTime=clock(condition.start, "day"),
        abatementDateTime="" if condition.end is None else clock(condition.end, "day"),
    )


def _encounter(encounter: Encounter) -> Resource:
    end = "" if encounter.end is None else clock(encounter.end)
    return _filled(
        resourceType="Encounter",
        id=encounter.row_id,
        status="finished",
        **{"class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": SETTINGS[encounter.setting]}},
        subject=_subject(encounter.patient_id),
        period=_filled(start=clock(encounter.start), end=end),
    )


def _procedure(procedure: Procedure) -> Resource:
    return _filled(
        resourceType="Procedure",
        id=procedure.row_id,
        status="completed",
        code={"text": procedure.name},
        subject=_subject(procedure.patient_id),
        performedDateTime=clock(procedure.start, "day"),
    )
