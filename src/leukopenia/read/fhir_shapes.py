"""The parts of FHIR resources that are read: shapes only, as msgspec structures.

Fields keep the names of the specification (camelCase in JSON). Where STU3 and R4 differ, the type is the
union of both. A resource whose field has another type does not fit and is quarantined by the line reader.
Source: HL7 FHIR R4 (4.0.1) and STU3 (3.0.2), resource definitions.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Shape(msgspec.Struct, rename="camel", gc=False):
    """Base of all shapes: unknown fields are passed over."""


class Coding(Shape):
    system: str | None = None
    code: str | None = None
    display: str | None = None


class Concept(Shape):
    """CodeableConcept."""

    coding: list[Coding] | None = None
    text: str | None = None


class Reference(Shape):
    reference: str | None = None
    display: str | None = None


class Quantity(Shape):
    """Quantity, SimpleQuantity, Duration and Age; some exports break the rule and give the value as text."""

    value: float | str | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Period(Shape):
    start: str | None = None
    end: str | None = None


class Range(Shape):
    low: Quantity | None = None
    high: Quantity | None = None


class Ratio(Shape):
    numerator: Quantity | None = None
    denominator: Quantity | None = None


class ReferenceRange(Shape):
    low: Quantity | None = None
    high: Quantity | None = None
    type: Concept | None = None
    applies_to: list[Concept] | Concept | None = None
    age: Range | None = None
    text: str | None = None


class Repeat(Shape):
    bounds_period: Period | None = None
    bounds_duration: Quantity | None = None


class Timing(Shape):
    event: list[str] | None = None
    repeat: Repeat | None = None


class DoseAndRate(Shape):
    dose_quantity: Quantity | None = None


class Dosage(Shape):
    """Dosage of R4 (`doseAndRate`), of STU3 (`doseQuantity`) and of MedicationAdministration (`dose`)."""

    timing: Timing | None = None
    route: Concept | None = None
    dose_and_rate: list[DoseAndRate] | None = None
    dose_quantity: Quantity | None = None
    dose: Quantity | None = None


class Extension(Shape):
    url: str | None = None
    value_date_time: str | None = None


class Extended(Shape):
    extension: list[Extension] | None = None


class Valued(Shape):
    """What an Observation and its components share."""

    code: Concept | None = None
    value_quantity: Quantity | None = None
    value_codeable_concept: Concept | None = None
    value_string: str | None = None
    value_boolean: bool | None = None
    value_integer: int | None = None
    value_range: Range | None = None
    value_ratio: Ratio | None = None
    value_time: str | None = None
    value_date_time: str | None = None
    value_period: Period | None = None
    data_absent_reason: Concept | None = None
    interpretation: list[Concept] | Concept | None = None
    reference_range: list[ReferenceRange] | None = None


class Component(Valued):
    pass


class Related(Shape):
    """Observation.related of STU3."""

    type: str | None = None


class Observation(Valued, tag_field="resourceType", tag=True):
    id: str | int | None = None
    contained: list[msgspec.Raw] | None = None
    status: str | None = None
    subject: Reference | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    effective_instant: str | None = None
    effective_timing: Timing | None = None
    issued: str | None = None
    specimen: Reference | None = None
    component: list[Component] | None = None
    has_member: list[Reference] | None = None
    related: list[Related] | None = None


class Resource(Shape, tag_field="resourceType", tag=True):
    """What the other resources share."""

    id: str | int | None = None
    contained: list[msgspec.Raw] | None = None
    status: str | None = None
    subject: Reference | None = None


class Patient(Resource):
    gender: str | None = None
    birth_date: str | None = None
    birth_date_extended: Extended | None = msgspec.field(name="_birthDate", default=None)
    extension: list[Extension] | None = None
    deceased_date_time: str | None = None


class Condition(Resource):
    patient: Reference | None = None
    code: Concept | None = None
    verification_status: Concept | str | None = None
    onset_date_time: str | None = None
    onset_period: Period | None = None
    abatement_date_time: str | None = None
    abatement_period: Period | None = None
    recorded_date: str | None = None
    asserted_date: str | None = None


class Procedure(Resource):
    code: Concept | None = None
    not_done: bool | None = None
    performed_date_time: str | None = None
    performed_period: Period | None = None


class Encounter(Resource):
    class_: list[Concept] | Coding | str | None = msgspec.field(name="class", default=None)
    period: Period | None = None


class Drug(Resource):
    """What the medication resources share."""

    medication_codeable_concept: Concept | None = None
    medication_reference: Reference | None = None


class DispenseRequest(Shape):
    validity_period: Period | None = None
    number_of_repeats_allowed: int | None = None
    expected_supply_duration: Quantity | None = None


class MedicationRequest(Drug):
    intent: str | None = None
    do_not_perform: bool | None = None
    reported_boolean: bool | None = None
    authored_on: str | None = None
    dosage_instruction: list[Dosage] | None = None
    dispense_request: DispenseRequest | None = None


class MedicationAdministration(Drug):
    not_given: bool | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    dosage: Dosage | None = None


class MedicationStatement(Drug):
    taken: str | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    date_asserted: str | None = None
    dosage: list[Dosage] | None = None


class MedicationDispense(Drug):
    not_done: bool | None = None
    when_prepared: str | None = None
    when_handed_over: str | None = None
    days_supply: Quantity | None = None
    dosage_instruction: list[Dosage] | None = None


class Medication(Resource):
    code: Concept | None = None


class Specimen(Resource):
    type: Concept | None = None


class Entry(Shape):
    full_url: str | None = None
    resource: msgspec.Raw = msgspec.Raw(b"")


class Bundle(Shape, tag_field="resourceType", tag=True):
    entry: list[Entry] | None = None


class Head(Shape):
    """Only what kind of resource it is."""

    resource_type: str | None = None


Definition: TypeAlias = Medication | Specimen
"""Resources that say what others refer to; they have no rows of their own."""

Mapped: TypeAlias = (
    Observation
    | Patient
    | Condition
    | Procedure
    | Encounter
    | MedicationRequest
    | MedicationAdministration
    | MedicationStatement
    | MedicationDispense
)
"""Resources that become rows."""
