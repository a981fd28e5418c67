"""The line reader: any resource, one after another, and no bad one stops the others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from leukopenia.errors import SourceError
from leukopenia.read import fhir_records, fhir_shapes
from leukopenia.read.fhir_input import Input
from leukopenia.read.fhir_parts import Parts, Tally
from leukopenia.read.fhir_results import results
from leukopenia.read.fhir_scope import Rows, Scope, define
from leukopenia.read.fhir_shapes import Bundle, Definition, Head, Mapped
from leukopenia.read.fhir_values import SetAside

PARTS_PER_RECORD = 10**3
RECORDS_PER_FILE = 10**9

MAPPERS: dict[str, tuple[str, Callable[[Any, Scope], Rows]]] = {
    "Observation": ("raw_results", results),
    "MedicationRequest": ("raw_drugs", fhir_records.requests),
    "MedicationAdministration": ("raw_drugs", fhir_records.administrations),
    "MedicationStatement": ("raw_drugs", fhir_records.statements),
    "MedicationDispense": ("raw_drugs", fhir_records.dispenses),
    "Condition": ("raw_conditions", fhir_records.conditions),
    "Procedure": ("raw_procedures", fhir_records.procedures),
    "Encounter": ("raw_encounters", fhir_records.encounters),
    "Patient": ("raw_persons", fhir_records.persons),
}


@dataclass(frozen=True)
class Other:
    """A resource of a type that is not read."""

    kind: str


@dataclass(frozen=True)
class Bad:
    """What is no record."""


Record: TypeAlias = Mapped | Definition | Other | Bad

_NOWHERE = Scope()
_MANY = (Bundle, list)
_ANY: msgspec.json.Decoder[list[msgspec.Raw] | Bundle | Definition | Mapped] = msgspec.json.Decoder(
    list[msgspec.Raw] | Bundle | Definition | Mapped
)
_TREE = msgspec.json.Decoder()
_WRITE = msgspec.json.Encoder()
_HEAD = msgspec.json.Decoder(Head)
_TYPE_NAME = re.compile(r"[A-Za-z]{1,64}")
_KNOWN = {*MAPPERS, "Medication", "Specimen", "Bundle"}


def _fields(shape: type[msgspec.Struct]) -> Iterator[str]:
    yield from (each.encode_name for each in msgspec.structs.fields(shape))


_READ = {"resourceType"}.union(
    *(
        set(_fields(each))
        for each in vars(fhir_shapes).values()
        if isinstance(each, type) and issubclass(each, fhir_shapes.Shape)
    )
)


@dataclass
class Reader:
    """Maps the records of one file into parts and counts what became of each.

    Parameters
    ----------
    parts : Parts
        Where rows go.
    tally : Tally
        Where the rest is counted.
    file : int
        Number of the file; leads every row id.
    name : str
        Name of the file, for the place of bad lines.
    """

    parts: Parts
    tally: Tally
    file: int
    name: str
    last: int = 0

    def line(self, number: int, line: bytes | None) -> Record:
        """Take one line: a resource, a Bundle, an array of resources, or nothing of the kind.

        Records are numbered by their line. Where lines hold several, numbers run on from there, so they stay
        unique.
        """
        found = _decode(line) if line is not None else Bad()
        if isinstance(found, _MANY):
            self._all(list(_entries(found)), f"line {number}", number)
        else:
            self._take(found, _NOWHERE, f"line {number}", max(number, self.last + 1))
        return found if not isinstance(found, _MANY) else Other("Bundle")

    def document(self, data: bytes) -> bool:
        """Take a document: a Bundle, an array of resources, or one resource; False where it is none."""
        found = _decode(data)
        if isinstance(found, _MANY):
            self._all(list(_entries(found)), "entry", 1)
        else:
            self._take(found, _NOWHERE, "document", 1)
        return not isinstance(found, Bad)

    def _all(self, entries: list[tuple[str | None, Record]], place: str, number: int) -> None:
        scope = Scope()
        for url, item in entries:
            scope.add(url, item)
        first = max(number, self.last + 1)
        for position, (_, item) in enumerate(entries):
            where = f"{place} {position + 1}" if place == "entry" else f"{place}, entry {position + 1}"
            self._take(item, scope, where, first + position)

    def _take(self, item: Record, scope: Scope, place: str, number: int) -> None:
        self.last = number
        row_id = (self.file * RECORDS_PER_FILE + number) * PARTS_PER_RECORD
        if isinstance(item, Other):
            self.tally.records[item.kind] += 1
            self.tally.set_aside("", "other_resource", item.kind)
        elif isinstance(item, Definition):
            self._define(item, row_id)
        elif isinstance(item, Bad) or not self._mapped(item, scope, row_id):
            self.tally.bad_line(row_id, f"{self.name} {place}", self.name)

    def _define(self, item: Definition, row_id: int) -> None:
        kind = type(item).__name__
        self.tally.records[kind] += 1
        if item.id:
            self.parts.add("definitions", [(f"{kind}/{item.id}", row_id, *define(item))])

    def _mapped(self, item: Mapped, scope: Scope, row_id: int) -> bool:
        kind = type(item).__name__
        table, mapper = MAPPERS[kind]
        try:
            found = mapper(item, scope)
        except SetAside as why:
            self.tally.set_aside(table, why.reason, why.detail)
        except msgspec.ValidationError:
            return False
        else:
            self.parts.add(table, [(row_id + row[0], *row[1:]) for row in found.rows])
            if item.id or found.sought:
                self.parts.add(f"{table}.keys", [(row_id, f"{kind}/{item.id}" if item.id else None, found.sought)])
        self.tally.records[kind] += 1
        return True


def read_lines(source: Input, reader: Reader, done: Callable[[int], None]) -> None:
    """Read a file of lines to its end."""
    for count, (number, line) in enumerate(source.lines()):
        reader.line(number, line)
        if not count % 5000:
            source.check_ratio()
            done(source.done())


def read_document(source: Input, reader: Reader, alone: bool) -> None:
    """Read a Bundle file; one of several that is no JSON is quarantined as a whole.

    Raises
    ------
    SourceError
        The only file there is, is no JSON.
    """
    if not reader.document(source.document()) and alone:
        raise SourceError(
            f"The file {source.path} cannot be read as FHIR.",
            "It is not one whole JSON document of FHIR (truncated, damaged, or another format).",
            "Export it again.",
        )


def kind_of(line: bytes) -> str:
    """Resource type of a line, empty where it is no resource."""
    try:
        return _HEAD.decode(line).resource_type or ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _decode(data: bytes | msgspec.Raw) -> list[msgspec.Raw] | Bundle | Record:
    try:
        found = _ANY.decode(data)
        # Entries of a Bundle are decoded again one by one.
        return Bad() if not isinstance(found, _MANY) and _is_ambiguous(bytes(data)) else found
    except msgspec.ValidationError:
        return _other(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Bad()


def _other(data: bytes | msgspec.Raw) -> Record:
    try:
        kind = _HEAD.decode(data).resource_type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Bad()
    return Other(kind) if kind and kind not in _KNOWN and _TYPE_NAME.fullmatch(kind) else Bad()


def _is_ambiguous(data: bytes) -> bool:
    """Whether a key that is read stands twice in one object.

    JSON parsers keep the last of two, silently. Written again, such a record has fewer keys; only then is it
    looked at closely.
    """
    try:
        if _keys(data) == _keys(_WRITE.encode(_TREE.decode(data))):
            return False
        json.loads(data, object_pairs_hook=_distinct)
    except _Repeated:
        return True
    except msgspec.ValidationError:
        pass  # a number too large for a float, in a field that is not read
    return False


def _keys(data: bytes) -> int:
    return data.count(b'":')


class _Repeated(Exception):
    pass


def _distinct(pairs: list[tuple[str, object]]) -> None:
    names = [name for name, _ in pairs if name in _READ]
    if len(names) != len(set(names)):
        raise _Repeated


def _entries(found: Bundle | Iterable[msgspec.Raw]) -> Iterator[tuple[str | None, Record]]:
    """Entries of a Bundle or array, with those of Bundles in it."""
    if isinstance(found, Bundle):
        pairs = [(entry.full_url, entry.resource) for entry in found.entry or ()]
    else:
        pairs = [(None, raw) for raw in found]
    for url, raw in pairs:
        item = _decode(raw) if bytes(raw) else Other("entry without a resource")
        if isinstance(item, _MANY):
            yield from _entries(item)
        else:
            yield url, item
