"""Writes a simulated hospital as MEDS 0.4: events in Parquet shards, and what their codes mean.

Codes are of the forms that public extractions use: ``LOINC/6690-2`` with the unit in a column, ``LAB//WBC//K/uL``,
``MEDICATION//START//...``, ``DIAGNOSIS//ICD//10//...``. MEDS has no reference ranges, doses or ends of diagnoses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

import pyarrow as pa

from leukopenia.simulate.catalogue import ATC, ICD10CM, LOINC, RXNORM, SNOMED
from leukopenia.simulate.growing import Additions, Folder, chosen
from leukopenia.simulate.records import (
    MICROSECONDS,
    Condition,
    Drug,
    Encounter,
    Hospital,
    Person,
    Result,
    known,
    minute_of,
    moment,
    number,
)
from leukopenia.simulate.tables import named, valid, worded

SHARD = 10
"""Blocks of a shard."""

EVENTS = pa.schema(
    [
        pa.field("subject_id", pa.int64()),
        pa.field("time", pa.timestamp("us")),
        pa.field("code", pa.string()),
        pa.field("numeric_value", pa.float32()),
        pa.field("text_value", pa.large_string()),
        pa.field("unit", pa.string()),
    ]
)
CODES = pa.schema(
    [("code", pa.string()), ("description", pa.string()), ("parent_codes", pa.list_(pa.string()))],
)
VOCABULARIES = {RXNORM: "RXNORM", ATC: "ATC", SNOMED: "SNOMED"}
STAYS = {
    "inpatient": ("HOSPITAL_ADMISSION//EMERGENCY", "HOSPITAL_DISCHARGE//HOME"),
    "emergency": ("ED_REGISTRATION", "ED_OUT"),
    "outpatient": ("VISIT//OUTPATIENT", ""),
}


class Event(NamedTuple):
    """One event; `description` is what its code means."""

    subject: int | None
    minute: int | None
    code: str
    value: float | None = None
    text: str | None = None
    unit: str | None = None
    description: str | None = None


def render(hospital: Hospital) -> Additions:
    """The events of a block, in order of subject and time, those without a time first.

    Parameters
    ----------
    hospital : Hospital
        What to write. Mistaken and cancelled results, mistaken orders and refuted diagnoses are left out, for an event
        has no status.
    """
    events = [*_events(hospital)]
    dirt = _soil(events, Random(f"meds/{hospital.persons[0]}")) if hospital.dirt else {}
    events.sort(key=lambda event: (event.subject or 0, event.minute is not None, event.minute or 0))
    codes = {event.code: event.description for event in events}
    return Additions({"events": _table(events)}, {"events": len(events)}, dirt, {"codes": codes})


def _table(events: list[Event]) -> pa.Table:
    columns = list(zip(*events, strict=True))
    times = [None if minute is None else minute * MICROSECONDS for minute in columns[1]]
    values = [columns[0], times, *columns[2:6]]
    return pa.table([pa.array(value, field.type) for value, field in zip(values, EVENTS, strict=True)], EVENTS)


def _events(hospital: Hospital) -> Iterator[Event]:
    for person in hospital.persons:
        yield from _person(person)
    for stay in hospital.encounters:
        yield from _stay(stay)
    for drug in hospital.drugs:
        yield from _drug(drug)
    for condition in hospital.conditions:
        if condition.certainty not in ("refuted", "entered-in-error"):
            yield Event(number(condition.patient_id), known(condition.start, "day"), *_diagnosed(condition))
    for procedure in hospital.procedures:
        yield Event(number(procedure.patient_id), known(procedure.start, "day"), f"PROCEDURE//{procedure.name}")
    for result in valid(hospital.results):
        yield _result(result)


def _person(person: Person) -> Iterator[Event]:
    key = number(person.patient_id)
    yield Event(key, None, f"GENDER//{person.sex[:1].upper()}")
    if person.birth_precision != "none":
        yield Event(key, _born(person), "MEDS_BIRTH")
    if person.death is not None:
        yield Event(key, known(person.death, "day"), "MEDS_DEATH")


def _born(person: Person) -> int:
    """A year alone stands as its first day, which is what extractions make of it."""
    if person.birth_precision == "year":
        return minute_of(moment(person.birth).year, 1, 1)
    return known(person.birth, person.birth_precision)


def _stay(stay: Encounter) -> Iterator[Event]:
    start, stop = STAYS[stay.setting]
    yield Event(number(stay.patient_id), stay.start, start)
    if stop and stay.end is not None:
        yield Event(number(stay.patient_id), stay.end, stop)


def _drug(drug: Drug) -> Iterator[Event]:
    key, name, start = number(drug.patient_id), drug.name or "UNK", known(drug.start, drug.precision)
    if drug.status == "entered-in-error":
        return
    if drug.status == "not_given":
        yield Event(key, start, f"MEDICATION//{name}//Not Given")
    elif not drug.name and drug.codings:
        system, code = drug.codings[0]
        yield Event(key, start, f"{VOCABULARIES.get(system, 'NDC')}/{code}")
    elif drug.status == "administered":
        yield Event(key, start, f"MEDICATION//{name}//Administered")
    else:
        yield Event(key, start, f"MEDICATION//START//{name}")
        if drug.end is not None:
            yield Event(key, known(drug.end, drug.precision), f"MEDICATION//STOP//{name}")


def _diagnosed(condition: Condition) -> tuple[Any, ...]:
    codings = dict(condition.codings)
    if ICD10CM in codings:
        code = f"DIAGNOSIS//ICD//10//{codings[ICD10CM].replace('.', '')}"
    elif SNOMED in codings:
        code = f"SNOMED/{codings[SNOMED]}"
    else:
        return (f"DIAGNOSIS//{condition.name}",)
    return (code, None, None, None, condition.name)


def _result(result: Result) -> Event:
    if result.system == LOINC and result.code:
        code, unit = f"LOINC/{result.code}", result.unit or None
    else:
        code, unit = _local(result), None
    text = worded(result)
    value = result.value if text is None else None
    minute = None if result.minute is None else known(result.minute, result.precision)
    return Event(number(result.patient_id), minute, code, value, text, unit, named(result))


def _local(result: Result) -> str:
    """The code of a laboratory that has none of LOINC: its number or its word, and the unit."""
    own = result.code if result.code.isdigit() else named(result)
    return f"LAB//{own}//{result.unit or 'UNK'}"


def _soil(events: list[Event], rng: Random) -> dict[str, int]:
    """What only event streams have: units within codes, copies, stops without a start, events of no interest."""
    measured = [place for place, event in enumerate(events) if event.code.startswith("LOINC/") and event.unit]
    within, copies, moved = chosen(measured, 0.05, rng), chosen(events, 0.005, rng), chosen(events, 0.005, rng)
    for place in within:
        event = events[place]
        events[place] = event._replace(code=f"LAB//{event.description}//{event.unit}", unit=None)
    transfers = [event._replace(code="TRANSFER_TO//transfer//Medicine", **_BARE) for event in moved]
    stops = [event._replace(code="MEDICATION//STOP//Heparin", **_BARE) for event in moved[::10]]
    events += [*copies, *transfers, *stops]
    kinds = ("event_copied", "event_of_no_interest", "stop_without_start")
    counts = zip(kinds, map(len, (copies, transfers, stops)), strict=True)
    return {"unit_in_code": len(within), **dict(counts)}


_BARE: dict[str, Any] = dict.fromkeys(("value", "text", "unit", "description"))


class MedsFolder(Folder):
    """Shards of so many blocks each, and the codes of all of them."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._codes: dict[str, str | None] = {}
        self._blocks = 0

    def add(self, block: Additions) -> None:
        shard = f"data/{self._blocks // SHARD}.parquet"
        files = {shard if name == "events" else name: added for name, added in block.files.items()}
        for code, description in block.shared["codes"].items():
            self._codes.setdefault(code, description)
        super().add(replace(block, files=files, shared={}))
        self._blocks += 1
        if self._blocks % SHARD == 0:
            self.complete(shard)

    def finish(self) -> None:
        """Write what the codes mean, and what the data set is."""
        codes = sorted(self._codes)
        columns = [codes, [self._codes[code] for code in codes], [_parents(code) for code in codes]]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, CODES, strict=True)]
        self.append("metadata/codes.parquet", pa.table(arrays, CODES))
        about = {"dataset_name": "leukopenia simulation", "etl_name": "leukopenia simulate", "meds_version": "0.4.0"}
        told = json.dumps({**about, "code_modifier_columns": ["unit"]}, indent=2)
        self.append("metadata/dataset.json", f"{told}\n".encode())
        super().finish()


def _parents(code: str) -> list[str] | None:
    return [code] if code.partition("/")[0] in ("LOINC", *VOCABULARIES.values()) else None
