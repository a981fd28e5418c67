"""Patients, drugs, conditions, procedures and encounters in FHIR -> raw tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fhir_items import (
    RXNORM,
    Item,
    minute,
    one,
    quantity,
    read,
    reasons,
    resource,
    table,
    wbc,
)


def test_persons(tmp_path: Path) -> None:
    url = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
    born = {"extension": [{"url": url, "valueDateTime": "2020-01-02T03:04:00Z"}]}
    kind = {"resourceType": "Patient"}
    staged = read(
        tmp_path,
        {**kind, "id": "a", "birthDate": "2020-01-02", "_birthDate": born, "gender": "female"},
        {**kind, "id": "b", "birthDate": "1950", "gender": "Mrs", "deceasedDateTime": "2001-02-03T04:05:00Z"},
        {**kind, "id": "c", "deceasedBoolean": True},
        {**kind, "birthDate": "1950"},
    )
    found = [tuple(row.values())[2:] for row in table(staged, "raw_persons")]
    assert found == [
        ("a", "female", minute("2020-01-02T03:04"), "minute", None),
        ("b", "unknown", minute("1950-01-01"), "year", minute("2001-02-03T04:05")),
        ("c", "unknown", None, "none", None),
    ]
    assert reasons(staged) == {"no_patient": 1}


CONCEPT = {
    "coding": [
        {"system": "urn:local", "code": "1", "display": "local"},
        {"system": "http://hl7.org/fhir/sid/ndc", "code": "2", "display": "ndc"},
        {"system": RXNORM, "code": "3"},
    ],
    "text": "the text",
}
DOSE = {"route": {"text": "oral"}, "doseAndRate": [{"doseQuantity": quantity(25, "mg")}]}
DAYS = {"value": 10, "unit": "days", "code": "d"}


@pytest.mark.parametrize(
    ("kind", "fields", "status", "start", "end"),
    [
        ("Request", {"authoredOn": "2020-01-02"}, "ordered", "2020-01-02T00:00", None),
        (
            "Request",
            {"authoredOn": "2020-01-02", "doNotPerform": True},
            "not_given",
            "2020-01-02T00:00",
            None,
        ),
        (
            "Request",
            {"authoredOn": "2020-01-02", "reportedBoolean": True},
            "stated",
            "2020-01-02T00:00",
            None,
        ),
        (
            "Request",
            {
                "authoredOn": "2020-01-02",
                "dispenseRequest": {"expectedSupplyDuration": DAYS, "numberOfRepeatsAllowed": 2},
            },
            "ordered",
            "2020-01-02T00:00",
            "2020-01-31T23:59",
        ),
        (
            "Request",
            {
                "authoredOn": "2020-01-02",
                "dosageInstruction": [
                    {"timing": {"repeat": {"boundsPeriod": {"start": "2020-02-01", "end": "2020-02-03"}}}}
                ],
            },
            "ordered",
            "2020-02-01T00:00",
            "2020-02-03T23:59",
        ),
        (
            "Administration",
            {"effectiveDateTime": "2020-01-02T03:04:00Z"},
            "administered",
            "2020-01-02T03:04",
            "2020-01-02T03:04",
        ),
        (
            "Administration",
            {"status": "not-done", "effectivePeriod": {"start": "2020-01-02"}},
            "not_given",
            "2020-01-02T00:00",
            None,
        ),
        (
            "Administration",
            {"notGiven": True, "effectiveDateTime": "2020-01-02"},
            "not_given",
            "2020-01-02T00:00",
            "2020-01-02T23:59",
        ),
        ("Statement", {"effectiveDateTime": "2020-01"}, "stated", "2020-01-01T00:00", None),
        ("Statement", {"taken": "n", "dateAsserted": "2020-01-02"}, "not_given", "2020-01-02T00:00", None),
        (
            "Dispense",
            {"whenHandedOver": "2020-01-02", "daysSupply": DAYS},
            "dispensed",
            "2020-01-02T00:00",
            "2020-01-11T23:59",
        ),
        (
            "Dispense",
            {"status": "declined", "whenPrepared": "2020-01-02"},
            "not_given",
            "2020-01-02T00:00",
            None,
        ),
    ],
)
def test_drugs(tmp_path: Path, kind: str, fields: Item, status: str, start: str, end: str | None) -> None:
    row = one(
        read(tmp_path, resource("Medication" + kind, medicationCodeableConcept=CONCEPT, **fields)),
        "raw_drugs",
    )
    assert (row["system"], row["code"], row["name"]) == ("rxnorm", "3", "the text")
    assert (row["status"], row["start"], row["end"]) == (status, minute(start), minute(end) if end else None)


@pytest.mark.parametrize(
    ("kind", "dosage"),
    [
        ("MedicationRequest", {"dosageInstruction": [DOSE]}),
        ("MedicationStatement", {"dosage": [{"text": "daily"}, DOSE]}),
        (
            "MedicationDispense",
            {"dosageInstruction": [{"route": DOSE["route"], "doseQuantity": quantity(25, "mg")}]},
        ),
        ("MedicationAdministration", {"dosage": {"route": DOSE["route"], "dose": quantity(25, "mg")}}),
    ],
)
def test_dose_and_route(tmp_path: Path, kind: str, dosage: Item) -> None:
    row = one(read(tmp_path, resource(kind, medicationReference={"display": "aspirin"}, **dosage)), "raw_drugs")
    assert (row["name"], row["dose"], row["dose_unit"], row["route"]) == ("aspirin", 25.0, "mg", "oral")


@pytest.mark.parametrize(
    ("fields", "certainty"),
    [
        ({"verificationStatus": {"coding": [{"code": "confirmed"}]}}, "confirmed"),
        ({"verificationStatus": "provisional", "clinicalStatus": "active"}, "provisional"),
        ({"verificationStatus": {"coding": [{"code": "differential"}]}}, "provisional"),
        ({}, ""),
    ],
)
def test_conditions(tmp_path: Path, fields: Item, certainty: str) -> None:
    codes = [("http://snomed.info/sct", "1"), ("http://hl7.org/fhir/sid/icd-10-cm", "D70.9")]
    coded = {"coding": [{"system": system, "code": code} for system, code in codes], "text": "Neutropenia"}
    condition = resource("Condition", code=coded, recordedDate="2020-01-02", abatementDateTime="2020-03", **fields)
    row = one(read(tmp_path, condition), "raw_conditions")
    assert (row["system"], row["code"], row["name"]) == ("icd10cm", "D70.9", "Neutropenia")
    assert (row["start"], row["end"]) == (minute("2020-01-02"), minute("2020-03-31T23:59"))
    assert row["certainty"] == certainty


@pytest.mark.parametrize(
    "item",
    [
        resource("Condition", verificationStatus={"coding": [{"code": "refuted"}]}),
        resource("Condition", verificationStatus="entered-in-error"),
        resource("Procedure", status="not-done"),
        resource("Procedure", notDone=True),
        resource("MedicationRequest", status="cancelled"),
        resource("MedicationRequest", intent="proposal"),
        resource("Encounter", status="entered-in-error"),
        wbc(status="cancelled"),
    ],
)
def test_records_that_do_not_hold_are_set_aside(tmp_path: Path, item: Item) -> None:
    staged = read(tmp_path, item)
    assert not staged.tables
    assert reasons(staged) == {"not_valid_status": 1}


@pytest.mark.parametrize(
    ("class_", "setting"),
    [
        ({"code": "AMB"}, "outpatient"),
        ({"code": "ambulatory"}, "outpatient"),
        ([{"coding": [{"code": "IMP"}]}], "inpatient"),
        ("emergency", "emergency"),
        ({"code": "OBSENC"}, "inpatient"),
        ({"code": "VR"}, ""),
        (None, ""),
    ],
)
def test_encounters(tmp_path: Path, class_: Any, setting: str) -> None:
    visit = resource("Encounter", period={"start": "2020-01-02T10:00:00Z", "end": "2020-01-03"}, **{"class": class_})
    row = one(read(tmp_path, visit), "raw_encounters")
    assert (row["start"], row["end"]) == (minute("2020-01-02T10:00"), minute("2020-01-03T23:59"))
    assert row["setting"] == setting
