"""Writes a simulated hospital as tables of the OMOP CDM 5.4: Parquet, with the columns that are required or filled.

Codes of the source keep their vocabulary in `concept`, with ids of the range that is left to sites. Standard concept
ids stand only for the blood counts and units of the OMOP vocabulary that the package reads (knowledge: codes, units);
pairs of LOINC or UCUM code and concept id are those of the vocabulary in the public data set Synthea27Nj 5.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leukopenia.simulate.catalogue import ATC, ICD10CM, LOINC, NDC, RXNORM, SNOMED, UCUM
from leukopenia.simulate.growing import Additions, Folder, chosen
from leukopenia.simulate.records import (
    DAY,
    MICROSECONDS,
    Condition,
    Drug,
    Encounter,
    Hospital,
    Person,
    Procedure,
    Result,
    moment,
    number,
)
from leukopenia.simulate.tables import named, valid

FIRST_SITE_CONCEPT = 2_000_000_001
STANDARD = {
    (LOINC, "6690-2"): 3000905,
    (LOINC, "26464-8"): 3010813,
    (LOINC, "751-8"): 3013650,
    (LOINC, "731-0"): 3004327,
    (LOINC, "777-3"): 3024929,
    (LOINC, "26515-7"): 3007461,
    (LOINC, "718-7"): 3000963,
    (UCUM, "10*3/uL"): 8848,
    (UCUM, "10*9/L"): 9444,
    (UCUM, "/uL"): 8647,
    (UCUM, "%"): 8554,
    (UCUM, "g/dL"): 8713,
    (UCUM, "g/L"): 8636,
    (UCUM, "Cel"): 586323,
    (UCUM, "[degF]"): 9289,
}
UNIT_NAMES = {
    "10*3/uL": "thousand per microliter",
    "10*9/L": "billion per liter",
    "/uL": "per microliter",
    "%": "percent",
    "g/dL": "gram per deciliter",
    "g/L": "gram per liter",
    "Cel": "degree Celsius",
    "[degF]": "degree Fahrenheit",
}
VOCABULARIES = {
    LOINC: "LOINC",
    UCUM: "UCUM",
    RXNORM: "RxNorm",
    ATC: "ATC",
    NDC: "NDC",
    ICD10CM: "ICD10CM",
    SNOMED: "SNOMED",
}
SEXES = {"male": 8507, "female": 8532}
VISITS = {"inpatient": 9201, "outpatient": 9202, "emergency": 9203}
OPERATORS = {"<=": 4171754, ">=": 4171755, "<": 4171756, ">": 4172704}
EHR = 32817
DRUG_TYPES = {"administered": 32818, "dispensed": 32825}
ORDER = 32838
NOT_TAKEN = ("not_given", "entered-in-error")
NOT_HELD = ("refuted", "entered-in-error")

COLUMNS = {
    "person": (
        *("person_id", "gender_concept_id", "year_of_birth", "month_of_birth", "day_of_birth", "birth_datetime"),
        *("race_concept_id", "ethnicity_concept_id", "person_source_value", "gender_source_value"),
    ),
    "observation_period": (
        *("observation_period_id", "person_id", "observation_period_start_date", "observation_period_end_date"),
        "period_type_concept_id",
    ),
    "visit_occurrence": (
        *("visit_occurrence_id", "person_id", "visit_concept_id", "visit_start_date", "visit_start_datetime"),
        *("visit_end_date", "visit_end_datetime", "visit_type_concept_id"),
    ),
    "measurement": (
        *("measurement_id", "person_id", "measurement_concept_id", "measurement_date", "measurement_datetime"),
        *("measurement_time", "measurement_type_concept_id", "operator_concept_id", "value_as_number"),
        *("unit_concept_id", "range_low", "range_high", "visit_occurrence_id", "measurement_source_value"),
        *("measurement_source_concept_id", "unit_source_value", "value_source_value"),
    ),
    "drug_exposure": (
        *("drug_exposure_id", "person_id", "drug_concept_id", "drug_exposure_start_date"),
        *("drug_exposure_start_datetime", "drug_exposure_end_date", "drug_exposure_end_datetime"),
        *("drug_type_concept_id", "quantity", "days_supply", "drug_source_value", "drug_source_concept_id"),
        *("route_source_value", "dose_unit_source_value"),
    ),
    "condition_occurrence": (
        *("condition_occurrence_id", "person_id", "condition_concept_id", "condition_start_date"),
        *("condition_end_date", "condition_type_concept_id", "condition_source_value", "condition_source_concept_id"),
    ),
    "procedure_occurrence": (
        *("procedure_occurrence_id", "person_id", "procedure_concept_id", "procedure_date"),
        *("procedure_type_concept_id", "procedure_source_value"),
    ),
    "death": ("person_id", "death_date", "death_type_concept_id"),
    "concept": (
        *("concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_class_id", "standard_concept"),
        *("concept_code", "valid_start_date", "valid_end_date", "invalid_reason"),
    ),
}
KEYS = tuple(name for name in COLUMNS if name not in ("person", "death", "concept"))
"""Tables whose rows are numbered here."""

WHOLE = ("year_of_birth", "month_of_birth", "day_of_birth", "days_supply")
REAL = ("value_as_number", "range_low", "range_high", "quantity")
VALID = (date(1970, 1, 1), date(2099, 12, 31))

Row = list[Any]
Concept = tuple[int, str, str, str, str]
"""Standard concept id or 0, name, domain, vocabulary and code."""


def _type(column: str) -> pa.DataType:
    if column in ("domain_id", "vocabulary_id", "concept_class_id"):
        return pa.string()
    if column in WHOLE or column.endswith("_id"):
        return pa.int64()
    if column in REAL:
        return pa.float64()
    return {"date": pa.date32(), "datetime": pa.timestamp("us")}.get(column.rsplit("_", 1)[-1], pa.string())


SCHEMAS = {name: pa.schema([(column, _type(column)) for column in columns]) for name, columns in COLUMNS.items()}


@dataclass
class Concepts:
    """The concepts of a block; one that has no standard id goes by a number below 0 until `OmopFolder` gives it one."""

    found: dict[tuple[str, str], tuple[int, Concept]] = field(default_factory=dict)
    site: list[Concept] = field(default_factory=list)

    def id(self, system: str, code: str, name: str, domain: str) -> int:
        """The id of a code; 0 where there is none."""
        if not code:
            return 0
        if (system, code) not in self.found:
            standard = STANDARD.get((system, code), 0)
            concept = (standard, name or code, domain, VOCABULARIES.get(system, "Site"), code)
            if not standard:
                self.site.append(concept)
            self.found[(system, code)] = (standard or -len(self.site), concept)
        return self.found[(system, code)][0]

    def unit(self, unit: str) -> int:
        """The concept of a unit that is written as UCUM writes it; else 0."""
        return self.id(UCUM, unit, UNIT_NAMES[unit], "Unit") if unit in UNIT_NAMES else 0

    def shared(self) -> dict[Any, Any]:
        """All concepts of the block, those of the site in the order of their numbers."""
        return {(concept[3], concept[4]): concept for _, concept in self.found.values()}


def render(hospital: Hospital) -> Additions:
    """The rows of a block for each table; ids count from 1 within the block.

    Parameters
    ----------
    hospital : Hospital
        What to write. The CDM has no status of a result, so mistaken and cancelled ones are left out, and neither
        drugs that were not given nor refuted diagnoses.
    """
    concepts = Concepts()
    visits = {stay.row_id: place for place, stay in enumerate(hospital.encounters, 1)}
    rows: dict[str, list[Row]] = {
        "person": [_person(person) for person in hospital.persons],
        "observation_period": _periods(hospital),
        "visit_occurrence": [_visit(stay) for stay in hospital.encounters],
        "measurement": [_measurement(result, concepts, visits) for result in valid(hospital.results)],
        "drug_exposure": [_drug(drug, concepts) for drug in hospital.drugs if drug.status not in NOT_TAKEN],
        "condition_occurrence": [
            _condition(one, concepts) for one in hospital.conditions if one.certainty not in NOT_HELD
        ],
        "procedure_occurrence": [_procedure(one) for one in hospital.procedures],
        "death": [_death(person) for person in hospital.persons if person.death is not None],
    }
    dirt = _soil(rows, Random(f"omop/{hospital.persons[0]}")) if hospital.dirt else {}
    files = {f"{name}.parquet": _table(name, found) for name, found in rows.items()}
    counted = {name: len(found) for name, found in rows.items()}
    return Additions(files, counted, dirt, {"concept": concepts.shared()})


def _table(name: str, rows: Sequence[Row]) -> pa.Table:
    """Rows as a table; where it has a key of its own, that counts from 1."""
    columns = COLUMNS[name]
    keyed = [[place, *row] for place, row in enumerate(rows, 1)] if name in KEYS else rows
    values = list(zip(*keyed, strict=True)) or [()] * len(columns)
    return pa.table(
        [pa.array(value, _type(column)) for column, value in zip(columns, values, strict=True)], SCHEMAS[name]
    )


def _day(minute: int | None) -> int | None:
    """Days since 1970, which is what a date is in Arrow."""
    return None if minute is None else minute // DAY


def _timed(minute: int | None, precision: str = "minute") -> int | None:
    """Microseconds since 1970."""
    return minute * MICROSECONDS if minute is not None and precision == "minute" else None


def _person(person: Person) -> Row:
    known = person.birth_precision
    born = moment(person.birth)
    parts = [
        born.year if known != "none" else None,
        *((born.month, born.day) if known in ("day", "minute") else (None,) * 2),
    ]
    key, sex = number(person.patient_id), SEXES.get(person.sex, 0)
    return [key, sex, *parts, _timed(person.birth, known), 0, 0, person.patient_id, person.sex[:1].upper()]


def _periods(hospital: Hospital) -> list[Row]:
    """From the first record of a person to the last."""
    spans: Iterable[Drug | Condition | Encounter | Procedure] = (
        *hospital.drugs,
        *hospital.conditions,
        *hospital.encounters,
        *hospital.procedures,
    )
    begun = ((one.patient_id, one.start) for one in spans)
    counted = ((one.patient_id, one.minute) for one in hospital.results)
    times: dict[str, list[int]] = {}
    for patient, minute in (*begun, *counted):
        if minute is not None:
            times.setdefault(patient, []).append(minute)
    known = (person.patient_id for person in hospital.persons if person.patient_id in times)
    return [[number(key), _day(min(times[key])), _day(max(times[key])), EHR] for key in known]


def _visit(stay: Encounter) -> Row:
    end = stay.start if stay.end is None else stay.end
    span = (_day(stay.start), _timed(stay.start), _day(end), _timed(stay.end))
    return [number(stay.patient_id), VISITS[stay.setting], *span, EHR]


def _measurement(result: Result, concepts: Concepts, visits: dict[str, int]) -> Row:
    concept = concepts.id(result.system, result.code, result.name, "Measurement")
    text = result.text or None
    return [
        *(number(result.patient_id), concept, _day(result.minute), _timed(result.minute, result.precision), None, EHR),
        *(OPERATORS.get(result.comparator), None if result.text else result.value, concepts.unit(result.unit)),
        *(result.low, result.high, visits.get(result.encounter), named(result), concept),
        *(result.unit or None, text),
    ]


def _drug(drug: Drug, concepts: Concepts) -> Row:
    system, code = next(iter(drug.codings), ("", ""))
    concept = concepts.id(system, code, drug.name, "Drug")
    end = drug.start if drug.end is None and drug.status == "administered" else drug.end
    supply = round((end - drug.start) / DAY) if end is not None and drug.status == "dispensed" else None
    # The CDM asks for an end; where the source has none, ETLs put the start.
    span = (_day(drug.start), _timed(drug.start, drug.precision), _day(end or drug.start), _timed(end, drug.precision))
    return [
        *(number(drug.patient_id), concept, *span, DRUG_TYPES.get(drug.status, ORDER), drug.dose, supply),
        *(drug.name or None, concept, drug.route or None, drug.dose_unit or None),
    ]


def _condition(condition: Condition, concepts: Concepts) -> Row:
    codings = {system: code for system, code in condition.codings}
    system = ICD10CM if ICD10CM in codings else next(iter(codings), "")
    code = codings.get(system, "")
    concept = concepts.id(system, code, condition.name, "Condition")
    source = code if system == ICD10CM else condition.name
    return [number(condition.patient_id), concept, _day(condition.start), _day(condition.end), EHR, source, concept]


def _procedure(procedure: Procedure) -> Row:
    return [number(procedure.patient_id), 0, _day(procedure.start), EHR, procedure.name]


def _death(person: Person) -> Row:
    return [number(person.patient_id), _day(person.death), EHR]


def _soil(rows: dict[str, list[Row]], rng: Random) -> dict[str, int]:
    """What only tables of a CDM have: units as concepts alone, times apart, copies, a stranger's death."""
    place = {name: at for at, name in enumerate(COLUMNS["measurement"][1:])}
    measured = rows["measurement"]
    by_concept = [row for row in measured if row[place["unit_concept_id"]]]
    timed = [row for row in measured if row[place["measurement_datetime"]]]
    units, clocks, copies = (chosen(part, 0.02, rng) for part in (by_concept, timed, measured))
    for row in units:
        row[place["unit_source_value"]] = None
    for row in clocks:
        row[place["measurement_time"]] = f"{moment(row[place['measurement_datetime']] // MICROSECONDS):%H:%M:%S}"
        row[place["measurement_datetime"]] = None
    measured += [list(row) for row in copies]
    rows["death"].append([0, 0, EHR])
    return {
        "unit_concept_alone": len(units),
        "time_apart": len(clocks),
        "row_copied": len(copies),
        "death_of_nobody": 1,
    }


class OmopFolder(Folder):
    """Tables that grow: keys go on from block to block, and concepts of the site keep their ids."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._concepts: dict[tuple[str, str], tuple[int, Concept]] = {}
        self._site = 0

    def add(self, block: Additions) -> None:
        ids = np.array(
            [id for concept in block.shared["concept"].items() if (id := self._id(*concept)) >= FIRST_SITE_CONCEPT]
        )
        files = {
            name: self._continued(name.removesuffix(".parquet"), added, ids) if isinstance(added, pa.Table) else added
            for name, added in block.files.items()
        }
        super().add(replace(block, files=files, shared={}))

    def _id(self, key: tuple[str, str], concept: Concept) -> int:
        if key not in self._concepts:
            self._concepts[key] = (concept[0] or FIRST_SITE_CONCEPT + self._site, concept)
            self._site += not concept[0]
        return self._concepts[key][0]

    def _continued(self, name: str, table: pa.Table, ids: np.ndarray) -> pa.Table:
        for place, column in enumerate(table.column_names):
            if column.removesuffix("_id") in KEYS:
                before = self.rows[column.removesuffix("_id")]
                table = table.set_column(place, table.field(place), pc.add(table.column(place), before))
            elif column.endswith("_concept_id") and len(ids):
                table = table.set_column(place, table.field(place), _resolved(table.column(place), ids))
        return table

    def finish(self) -> None:
        """Write the concepts."""
        rows = [
            [id, name, domain, vocabulary, domain, "S" if standard else None, code, *VALID, None]
            for id, (standard, name, domain, vocabulary, code) in self._concepts.values()
        ]
        self.append("concept.parquet", _table("concept", rows))
        self.rows["concept"] = len(rows)
        super().finish()


def _resolved(column: pa.ChunkedArray, ids: np.ndarray) -> pa.Array:
    """The ids in place of the numbers below 0."""
    numbers = column.combine_chunks().fill_null(0).to_numpy(zero_copy_only=False)
    known = np.where(numbers < 0, ids[np.maximum(-numbers - 1, 0)], numbers)
    return pa.array(known, mask=column.combine_chunks().is_null().to_numpy(zero_copy_only=False))
