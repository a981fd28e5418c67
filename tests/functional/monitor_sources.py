"""One story of four persons under clozapine, written as FHIR, OMOP, MEDS, and CSV with the drugs beside it.

Treatment begins on 5 January 2026 and goes on. Person 1 is counted weekly until 9 February, person 2 until 16 February,
when the neutrophils are 1.2; person 3 has only an order; person 4 is counted to the end. Person 9, without treatment,
was counted the summer before, so that nobody's records begin with the drug.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path

import polars as pl
from commands import text

START = date(2026, 1, 5)
SUPPLY = 28
HANDED_OVER = (0, 28)
COUNTS: dict[int, dict[int, float]] = {
    1: {-3: 4.0, **dict.fromkeys(range(7, 36, 7), 4.0)},
    2: {-3: 4.0, **dict.fromkeys(range(7, 36, 7), 3.0), 42: 1.2},
    3: {-3: 4.0, 7: 4.0},
    4: {-3: 4.0, **dict.fromkeys(range(7, 43, 7), 4.0)},
    9: {-200: 4.0},
}
"""Day of each count and its neutrophils, by person; white cells are 2.5 more."""

AS_OF = "2026-02-20"


def day(number: int) -> date:
    return START + timedelta(days=number)


def _lines(rows: list[dict[str, object]]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def _observations(person: int) -> list[dict[str, object]]:
    return [
        {
            "resourceType": "Observation",
            "id": f"{person}-{number}-{code}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"reference": f"Patient/{person}"},
            "effectiveDateTime": f"{day(number)}T08:00:00+00:00",
            "valueQuantity": {"value": round(value + more, 2), "unit": "10*9/L"},
        }
        for number, value in COUNTS[person].items()
        for code, more in (("751-8", 0.0), ("6690-2", 2.5))
    ]


def _named(kind: str, person: int, number: int) -> dict[str, object]:
    return {
        "resourceType": kind,
        "id": f"{person}-drug-{number}",
        "status": "completed",
        "medicationCodeableConcept": {"text": "clozapine"},
        "subject": {"reference": f"Patient/{person}"},
    }


def _dispense(person: int, number: int) -> dict[str, object]:
    supply = {"value": SUPPLY, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}
    times = {"whenHandedOver": f"{day(number)}T09:00:00+00:00", "daysSupply": supply}
    return {**_named("MedicationDispense", person, number), **times}


def _drugs_as_fhir(folder: Path) -> Path:
    handed = [_dispense(person, number) for person in (1, 2, 4) for number in HANDED_OVER]
    order = {**_named("MedicationRequest", 3, 0), "intent": "order", "authoredOn": f"{day(0)}T09:00:00+00:00"}
    bounds = {"boundsPeriod": {"start": str(day(0)), "end": str(day(90))}}
    order["dosageInstruction"] = [{"timing": {"repeat": bounds}}]
    text(folder / "MedicationDispense.ndjson", _lines(handed))
    text(folder / "MedicationRequest.ndjson", _lines([order]))
    return folder


def fhir(folder: Path) -> list[Path]:
    persons: list[dict[str, object]] = [{"resourceType": "Patient", "id": str(person)} for person in COUNTS]
    text(folder / "export" / "Patient.ndjson", _lines(persons))
    rows = [row for person in COUNTS for row in _observations(person)]
    text(folder / "export" / "Observation.ndjson", _lines(rows))
    return [_drugs_as_fhir(folder / "export")]


def csv(folder: Path) -> list[Path]:
    """A table of results has no drugs: they come from the pharmacy."""
    rows = ["patient,time,test,value,unit"]
    for person, counts in COUNTS.items():
        for number, value in counts.items():
            rows += [
                f"{person},{day(number)} 08:00,ANC,{value},K/uL",
                f"{person},{day(number)} 08:00,WBC,{value + 2.5},K/uL",
            ]
    return [text(folder / "labs.csv", "\n".join(rows) + "\n"), _drugs_as_fhir(folder / "pharmacy")]


def omop(folder: Path) -> list[Path]:
    counts = [
        f"{n},{person},{concept},{day(number)},{day(number)} 08:00:00,{round(value + more, 2)},8848"
        for n, (person, number, value, concept, more) in enumerate(
            (person, number, value, concept, more)
            for person, found in COUNTS.items()
            for number, value in found.items()
            for concept, more in ((3013650, 0.0), (3000905, 2.5))
        )
    ]
    head = "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_datetime,"
    head += "value_as_number,unit_concept_id"
    text(folder / "cdm" / "measurement.csv", "\n".join([head, *counts]) + "\n")
    persons = [f"{person},8532,1980" for person in COUNTS]
    text(folder / "cdm" / "person.csv", "\n".join(["person_id,gender_concept_id,year_of_birth", *persons]) + "\n")
    supplies = [(person, number, number + SUPPLY - 1, 38000175) for person in (1, 2, 4) for number in HANDED_OVER]
    rows = [
        f"{n},{person},0,{day(first)},{day(last)},clozapine 100 mg,{kind}"
        for n, (person, first, last, kind) in enumerate([*supplies, (3, 0, 90, 38000177)])
    ]
    head = "drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,drug_exposure_end_date,"
    head += "drug_source_value,drug_type_concept_id"
    text(folder / "cdm" / "drug_exposure.csv", "\n".join([head, *rows]) + "\n")
    return [folder / "cdm"]


def meds(folder: Path) -> list[Path]:
    """A hospital's events: every second dose is on record."""
    events: list[tuple[int, datetime, str, float | None]] = []
    for person, found in COUNTS.items():
        for number, value in found.items():
            at = datetime.combine(day(number), time(8))
            events += [
                (person, at, "LAB//51301//K/uL", value + 2.5),
                (person, at, "LAB//51256//%", 100 * value / (value + 2.5)),
            ]
    given = [(person, number) for person in (1, 2, 4) for number in range(0, 56, 2)]
    events += [
        (who, datetime.combine(day(n), time(9)), "MEDICATION//Clozapine//Administered", None) for who, n in given
    ]
    events += [
        (3, datetime.combine(day(0), time(9)), "MEDICATION//START//Clozapine", None),
        (3, datetime.combine(day(90), time(9)), "MEDICATION//STOP//Clozapine", None),
    ]
    schema = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String, "numeric_value": pl.Float32}
    path = folder / "data" / "0.parquet"
    path.parent.mkdir(parents=True)
    pl.DataFrame(events, schema=schema, orient="row").sort("subject_id", "time").write_parquet(path)
    return [path.parent]


SOURCES: dict[str, Callable[[Path], list[Path]]] = {"fhir": fhir, "omop": omop, "meds": meds, "csv": csv}
