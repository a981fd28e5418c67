"""What a reference means where it stands: within a resource, within its Bundle, or nowhere yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from leukopenia.read.fhir_shapes import Definition, Medication, Patient, Reference, Specimen
from leukopenia.read.fhir_values import SetAside, Signal, label, patient_id, reference_key, signal

DRUG_SYSTEMS = ("rxnorm", "atc", "ndc", "snomed")

_CONTAINED: msgspec.json.Decoder[Definition] = msgspec.json.Decoder(Definition)


@dataclass(frozen=True)
class Rows:
    """Rows of one resource in contract order, the number of the component in place of source and row id.

    `sought` is the key (`Specimen/7`) of a resource that was not found here and may stand in another file.
    """

    rows: list[tuple[Any, ...]]
    sought: str = ""


def define(item: Definition) -> Signal:
    """What a Medication or a Specimen says of itself."""
    if isinstance(item, Medication):
        return signal(item.code, DRUG_SYSTEMS)
    return Signal("", "", label(item.type))


@dataclass
class Scope:
    """The Bundle around a resource; empty for a line of NDJSON.

    Attributes
    ----------
    patients : dict of str to str
        Patient id by the fullUrl of its entry.
    definitions : dict of str to Signal
        Medications and Specimens by fullUrl and by `Type/id`.
    """

    patients: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, Signal] = field(default_factory=dict)

    def add(self, url: str | None, item: object) -> None:
        """Make an entry known to its neighbours; one without an id is known by its fullUrl."""
        if not isinstance(item, Patient | Specimen | Medication):
            return
        if not item.id and url:
            item.id = url.rpartition("/")[2].rpartition(":")[2]
        if isinstance(item, Patient):
            if url:
                self.patients[url] = str(item.id)
            return
        said = define(item)
        self.definitions[f"{type(item).__name__}/{item.id}"] = said
        if url:
            self.definitions[url] = said

    def patient(self, reference: Reference | None, kind: str) -> str:
        """Id of the person a record is about.

        Raises
        ------
        SetAside
            `no_patient`, where the record names none or is about something else.
        """
        text = (reference.reference or "") if reference else ""
        found = self.patients.get(text) or patient_id(text)
        if not found:
            raise SetAside("no_patient", kind)
        return found

    def find(self, reference: Reference, kind: str, contained: list[msgspec.Raw] | None) -> tuple[Signal | None, str]:
        """What a Medication or Specimen reference says, else the key to look for it in other files."""
        text = reference.reference or ""
        if text.startswith("#"):
            return _contained(text[1:], contained), ""
        key = reference_key(kind, text)
        return self.definitions.get(text) or self.definitions.get(key), key


def _contained(wanted: str, contained: list[msgspec.Raw] | None) -> Signal | None:
    for raw in contained or ():
        try:
            item = _CONTAINED.decode(raw)
        except msgspec.ValidationError:
            continue  # a contained resource of another type
        if str(item.id) == wanted:
            return define(item)
    return None
