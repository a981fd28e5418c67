"""Tables of the harmonise and reference rooms."""

from __future__ import annotations

from leukopenia.contracts.shape import (
    COUNT_KEY,
    ID,
    LINE_UNIT,
    PATIENT,
    PRECISION,
    ROW,
    SOURCE,
    Column,
    Table,
    flag,
    number,
    text,
    whole,
)

ISSUES = Table(
    "issues",
    "stage x table x row (or group of rows) x reason; never a value",
    (),
    (
        text("stage", "read, harmonise, reference or detect"),
        text("source", "short name of the source"),
        text("table", "the table the row was meant for"),
        text("row_id", "the row; empty where one issue row stands for many"),
        text("reason", "reason code, see errors.REASONS"),
        text("detail", "code, unit or place that explains it; never a result"),
        whole("n", "how many rows this issue stands for"),
        flag("set_aside", "true: the rows went no further; false: they flow on, marked"),
    ),
)

PATIENTS = Table(
    "patients",
    "one person",
    ("patient_id",),
    (
        PATIENT,
        text("sex", "male, female, other, unknown"),
        whole("birth", "birth", nullable=True, unit="min"),
        text("birth_precision", "minute, day, month, year or none"),
        whole("death", "death", nullable=True, unit="min"),
        whole("hiv_from", "first recorded HIV infection", nullable=True, unit="min"),
        flag("duffy_null", "Duffy-null status or benign ethnic neutropenia is recorded"),
    ),
)

OBSERVATION_PERIODS = Table(
    "observation_periods",
    "one span in which a person's records are held to be complete",
    ("patient_id", "start"),
    (PATIENT, whole("start", "first minute", unit="min"), whole("end", "last minute", True, "min")),
)

COUNTS = Table(
    "counts",
    "patient x time x analyte",
    ("patient_id", "analyte", "minute"),
    (
        *COUNT_KEY,
        PRECISION,
        number("value", "the count, rounded to 10^-6", nullable=False, unit=LINE_UNIT),
        text("comparator", "empty: measured; <, <=: not more than; >, >=: not less than"),
        number("low", "the laboratory's own lower limit", unit=LINE_UNIT),
        number("high", "the laboratory's own upper limit", unit=LINE_UNIT),
        text(
            "derivation",
            "reported, segments_and_bands, granulocytes, fraction_of_wbc, wbc_minus_others, bounded_by_wbc",
        ),
        whole("copies", "how many source rows say the same"),
        flag("conflict", "source rows of one time disagree; the laboratory's is kept, of several the lower"),
        flag("unit_repaired", "the unit was wrong by a factor of a thousand and value and range agree on it"),
        text("source", "source of the row"),
        Column(
            "row_id",
            ID,
            "first source row of this patient, time and analyte (of a derived count: of its WBC)",
        ),
    ),
)

FINDINGS = Table(
    "findings",
    "patient x time x finding",
    ("patient_id", "finding", "minute", "source", "row_id"),
    (
        PATIENT,
        text("finding", "temperature, blasts, platelet_clumps, ferritin, alt, ana, ...: a row of components.csv"),
        whole("minute", "time", unit="min"),
        PRECISION,
        number("value", "cells 10^9/L or %, temperature degree Celsius; others in the unit as received: see `range`"),
        text("text", "the result in words, where it is not a number", nullable=True),
        text("range", "low, normal or high by the laboratory's own limits, else its flag; empty: neither settles it"),
        SOURCE,
        ROW,
    ),
)

EXPOSURES = Table(
    "exposures",
    "patient x ingredient x interval",
    ("patient_id", "ingredient", "start"),
    (
        PATIENT,
        text("ingredient", "ingredient id (drug:...)"),
        whole("start", "first minute", unit="min"),
        whole("end", "last minute", unit="min"),
        text("status", "administered, dispensed, stated or ordered: the strongest of the rows"),
        text("route", "systemic, or unknown"),
        number("dose", "dose of the first row, as received"),
        text("dose_unit", "unit of the dose"),
        whole("rows", "how many source rows the interval joins"),
        SOURCE,
        ROW,
    ),
)

CONDITIONS = Table(
    "conditions",
    "patient x condition x interval",
    ("patient_id", "condition", "start"),
    (
        PATIENT,
        text("condition", "condition id (cond:...), else system|code as received"),
        whole("start", "first minute", unit="min"),
        whole("end", "last minute", nullable=True, unit="min"),
        text("certainty", "confirmed, provisional, or empty"),
        SOURCE,
        ROW,
    ),
)

ESTIMATED = "estimated:"
"""What the interval_id of an estimated limit begins with."""

LIMITS = Table(
    "limits",
    "one count",
    ("patient_id", "analyte", "minute"),
    (
        *COUNT_KEY,
        number("low", "lower limit in force", unit=LINE_UNIT),
        number("high", "upper limit in force", unit=LINE_UNIT),
        text("basis", "laboratory, estimated, published, or none"),
        text(
            "interval_id", "published: row of intervals.csv; estimated: name of the limit (estimated:...); else empty"
        ),
        text("reason", "why there is no limit, else empty"),
    ),
)

PERSONAL_LIMITS = Table(
    "personal_limits",
    "one count of a white line",
    ("patient_id", "analyte", "minute"),
    (
        *COUNT_KEY,
        number("low", "lower limit of this person for this count, from earlier stable ones", unit=LINE_UNIT),
        number("setpoint", "what the person's counts fluctuate around", unit=LINE_UNIT),
        whole("weeks", "earlier weeks with stable counts"),
        number("own", "how much of the set point is the person's own, 0 to 1; the rest is the population's"),
        number("population_low", "lower limit in force, beside which this one stands", unit=LINE_UNIT),
        flag("below", "the count is certainly below the personal limit"),
        text("reason", "why there is no personal limit, else empty"),
        text("source_id", "source of the within-person variation"),
    ),
)

MENTIONS = Table(
    "mentions",
    "person x clue that a text names",
    (),
    (
        PATIENT,
        text("clue", "row of clues.csv"),
        text("cause", "the cause that a test is for, or empty"),
        text("state", "present or absent"),
        whole("minute", "time", nullable=True, unit="min"),
        text("source", "source of the row"),
        text("row_id", "the row"),
    ),
)
