"""Tables as received from the readers."""

from __future__ import annotations

from leukopenia.contracts.shape import (
    MINUTE,
    PATIENT,
    PRECISION,
    ROW,
    SIGNAL,
    SOURCE,
    SPAN,
    Table,
    number,
    text,
    whole,
)

RAW_RESULTS = Table(
    "raw_results",
    "one laboratory or vital-sign result as received",
    ("source", "row_id"),
    (
        SOURCE,
        ROW,
        PATIENT,
        MINUTE,
        PRECISION,
        whole("utc_offset", "offset of the recorded time from UTC", nullable=True, unit="min"),
        *SIGNAL,
        text("specimen", "specimen as received, empty where not given"),
        text("unit", "unit as received, empty where not given"),
        number("value", "the number as received; null, NaN and infinity are allowed here"),
        text("text", "the result as received where it is not a plain number", nullable=True),
        text("comparator", "<, <=, >=, > as received, else empty"),
        number("low", "the laboratory's lower reference limit, in the unit of the result"),
        number("high", "the laboratory's upper reference limit, in the unit of the result"),
        text("flag", "interpretation as received (L, H, LL, A, ...), else empty"),
    ),
)

RAW_DRUGS = Table(
    "raw_drugs",
    "one drug order, dispensing, administration or statement as received",
    ("source", "row_id"),
    (
        SOURCE,
        ROW,
        PATIENT,
        *SPAN,
        *SIGNAL,
        text("route", "route as received, empty where not given"),
        text("status", "administered, dispensed, stated, ordered, or not_given"),
        number("dose", "dose as received"),
        text("dose_unit", "unit of the dose, empty where not given"),
    ),
)

RAW_CONDITIONS = Table(
    "raw_conditions",
    "one diagnosis or problem as received",
    ("source", "row_id"),
    (SOURCE, ROW, PATIENT, *SPAN, *SIGNAL, text("certainty", "confirmed, provisional, or empty")),
)

RAW_PROCEDURES = Table(
    "raw_procedures",
    "one procedure as received",
    ("source", "row_id"),
    (SOURCE, ROW, PATIENT, *SPAN, *SIGNAL),
)

RAW_ENCOUNTERS = Table(
    "raw_encounters",
    "one encounter as received",
    ("source", "row_id"),
    (SOURCE, ROW, PATIENT, *SPAN, text("setting", "inpatient, emergency, outpatient, or empty")),
)

RAW_PERSONS = Table(
    "raw_persons",
    "one person as received",
    ("source", "row_id"),
    (
        SOURCE,
        ROW,
        PATIENT,
        text("sex", "male, female, other, unknown"),
        whole("birth", "birth", nullable=True, unit="min"),
        text("birth_precision", "minute, day, month, year or none"),
        whole("death", "death", nullable=True, unit="min"),
    ),
)

RAW_PERIODS = Table(
    "raw_periods",
    "one observation period as received",
    ("source", "row_id"),
    (SOURCE, ROW, PATIENT, *SPAN),
)

RAW = (
    RAW_RESULTS,
    RAW_DRUGS,
    RAW_CONDITIONS,
    RAW_PROCEDURES,
    RAW_ENCOUNTERS,
    RAW_PERSONS,
    RAW_PERIODS,
)
