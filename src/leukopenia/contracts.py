"""The tables that pass through doors: grain, key, columns, units and null rules. Shapes only, no behaviour.

Times are whole minutes since 1970-01-01T00:00 on the clock of the place of care (`minute`); where the source gives
a UTC offset it is kept beside the time (`utc_offset`, minutes). A date is not midnight: `time_precision` says how
much of the time was known. `patient_id` and `row_id` keep the type of the source: Int64 (OMOP, MEDS) or String.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TIME_PRECISIONS = ("minute", "day", "month", "year", "none")

COMPARATORS = ("", "<", "<=", ">=", ">")
"""How a result is censored; the empty string is a measured value."""


@dataclass(frozen=True)
class Column:
    """One column of a table: its type, whether it may be null, its unit and its meaning."""

    name: str
    type: str
    meaning: str
    nullable: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """The contract of one table: what one row is, what identifies it, and its columns."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def _text(name: str, meaning: str, nullable: bool = False) -> Column:
    return Column(name, "String", meaning, nullable)


def _whole(name: str, meaning: str, nullable: bool = False, unit: str = "") -> Column:
    return Column(name, "Int64", meaning, nullable, unit)


def _number(name: str, meaning: str, nullable: bool = True, unit: str = "") -> Column:
    return Column(name, "Float64", meaning, nullable, unit)


def _flag(name: str, meaning: str) -> Column:
    return Column(name, "Boolean", meaning)


_ID = "Int64|String"
_SOURCE = _text("source", "short name of the source the row came from")
_ROW = Column("row_id", _ID, "the row in its source: line, measurement_id or resource, unique in source and table")
_PATIENT = Column("patient_id", _ID, "the person, as the source names it")
_PRECISION = _text("time_precision", "minute, day, month, year or none")
_MINUTE = _whole("minute", "time of the specimen, else of the result", nullable=True, unit="min")
_SIGNAL = (
    _text("system", "code system (loinc, omop, mimic-iv, ...), empty for plain names"),
    Column("code", _ID, "code in that system, empty (or 0) where there is none"),
    _text("name", "test, drug or condition name as received, empty where the code says it all"),
)
_SPAN = (
    _whole("start", "first minute", nullable=True, unit="min"),
    _whole("end", "last minute; null: not recorded", nullable=True, unit="min"),
    _PRECISION,
)

RAW_RESULTS = Table(
    "raw_results",
    "one laboratory or vital-sign result as received",
    ("source", "row_id"),
    (
        _SOURCE,
        _ROW,
        _PATIENT,
        _MINUTE,
        _PRECISION,
        _whole("utc_offset", "offset of the recorded time from UTC", nullable=True, unit="min"),
        *_SIGNAL,
        _text("specimen", "specimen as received, empty where not given"),
        _text("unit", "unit as received, empty where not given"),
        _number("value", "the number as received; null, NaN and infinity are allowed here"),
        _text("text", "the result as received where it is not a plain number", nullable=True),
        _text("comparator", "<, <=, >=, > as received, else empty"),
        _number("low", "the laboratory's lower reference limit, in the unit of the result"),
        _number("high", "the laboratory's upper reference limit, in the unit of the result"),
        _text("flag", "interpretation as received (L, H, LL, A, ...), else empty"),
    ),
)

RAW_DRUGS = Table(
    "raw_drugs",
    "one drug order, dispensing, administration or statement as received",
    ("source", "row_id"),
    (
        _SOURCE,
        _ROW,
        _PATIENT,
        *_SPAN,
        *_SIGNAL,
        _text("route", "route as received, empty where not given"),
        _text("status", "administered, dispensed, stated, ordered, or not_given"),
        _number("dose", "dose as received"),
        _text("dose_unit", "unit of the dose, empty where not given"),
    ),
)

RAW_CONDITIONS = Table(
    "raw_conditions",
    "one diagnosis or problem as received",
    ("source", "row_id"),
    (_SOURCE, _ROW, _PATIENT, *_SPAN, *_SIGNAL, _text("certainty", "confirmed, provisional, or empty")),
)

RAW_PROCEDURES = Table(
    "raw_procedures",
    "one procedure as received",
    ("source", "row_id"),
    (_SOURCE, _ROW, _PATIENT, *_SPAN, *_SIGNAL),
)

RAW_ENCOUNTERS = Table(
    "raw_encounters",
    "one encounter as received",
    ("source", "row_id"),
    (_SOURCE, _ROW, _PATIENT, *_SPAN, _text("setting", "inpatient, emergency, outpatient, or empty")),
)

RAW_PERSONS = Table(
    "raw_persons",
    "one person as received",
    ("source", "row_id"),
    (
        _SOURCE,
        _ROW,
        _PATIENT,
        _text("sex", "male, female, other, unknown"),
        _whole("birth", "birth", nullable=True, unit="min"),
        _text("birth_precision", "minute, day, month, year or none"),
        _whole("death", "death", nullable=True, unit="min"),
    ),
)

RAW_PERIODS = Table(
    "raw_periods",
    "one observation period as received",
    ("source", "row_id"),
    (_SOURCE, _ROW, _PATIENT, *_SPAN),
)

ISSUES = Table(
    "issues",
    "stage x table x row (or group of rows) x reason; never a value",
    (),
    (
        _text("stage", "read, harmonise, reference or detect"),
        _text("source", "short name of the source"),
        _text("table", "the table the row was meant for"),
        _text("row_id", "the row; empty where one issue row stands for many"),
        _text("reason", "reason code, see errors.REASONS"),
        _text("detail", "code, unit or place that explains it; never a result"),
        _whole("n", "how many rows this issue stands for"),
        _flag("set_aside", "true: the rows went no further; false: they flow on, marked"),
    ),
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

PATIENTS = Table(
    "patients",
    "one person",
    ("patient_id",),
    (
        _PATIENT,
        _text("sex", "male, female, other, unknown"),
        _whole("birth", "birth", nullable=True, unit="min"),
        _text("birth_precision", "minute, day, month, year or none"),
        _whole("death", "death", nullable=True, unit="min"),
        _whole("hiv_from", "first recorded HIV infection", nullable=True, unit="min"),
        _flag("duffy_null", "Duffy-null status or benign ethnic neutropenia is recorded"),
    ),
)

OBSERVATION_PERIODS = Table(
    "observation_periods",
    "one span in which a person's records are held to be complete",
    ("patient_id", "start"),
    (_PATIENT, _whole("start", "first minute", unit="min"), _whole("end", "last minute", True, "min")),
)

_COUNT_KEY = (
    _PATIENT,
    _text("analyte", "wbc, neutrophils, lymphocytes, ..."),
    _whole("minute", "time of the specimen", unit="min"),
)
_LINE_UNIT = "10^9/L; haemoglobin g/L"

COUNTS = Table(
    "counts",
    "patient x time x analyte",
    ("patient_id", "analyte", "minute"),
    (
        *_COUNT_KEY,
        _PRECISION,
        _number("value", "the count, rounded to 10^-6", nullable=False, unit=_LINE_UNIT),
        _text("comparator", "empty: measured; <, <=: not more than; >, >=: not less than"),
        _number("low", "the laboratory's own lower limit", unit=_LINE_UNIT),
        _number("high", "the laboratory's own upper limit", unit=_LINE_UNIT),
        _text(
            "derivation",
            "reported, segments_and_bands, granulocytes, fraction_of_wbc, wbc_minus_others, bounded_by_wbc",
        ),
        _whole("copies", "how many source rows say the same"),
        _flag("conflict", "source rows of one time disagree; the laboratory's is kept, of several the lower"),
        _flag("unit_repaired", "the unit was wrong by a factor of a thousand and value and range agree on it"),
        _text("source", "source of the row"),
        Column(
            "row_id",
            _ID,
            "first source row of this patient, time and analyte (of a derived count: of its WBC)",
        ),
    ),
)

FINDINGS = Table(
    "findings",
    "patient x time x finding",
    ("patient_id", "finding", "minute", "source", "row_id"),
    (
        _PATIENT,
        _text("finding", "temperature, bands, blasts, platelet_clumps, nucleated_red_cells, ..."),
        _whole("minute", "time", unit="min"),
        _PRECISION,
        _number("value", "in the unit of the finding (findings.csv)"),
        _text("text", "the result in words, where it is not a number", nullable=True),
        _SOURCE,
        _ROW,
    ),
)

EXPOSURES = Table(
    "exposures",
    "patient x ingredient x interval",
    ("patient_id", "ingredient", "start"),
    (
        _PATIENT,
        _text("ingredient", "ingredient id (drug:...)"),
        _whole("start", "first minute", unit="min"),
        _whole("end", "last minute", unit="min"),
        _text("status", "administered, dispensed, stated or ordered: the strongest of the rows"),
        _text("route", "systemic, or unknown"),
        _number("dose", "dose of the first row, as received"),
        _text("dose_unit", "unit of the dose"),
        _whole("rows", "how many source rows the interval joins"),
        _SOURCE,
        _ROW,
    ),
)

CONDITIONS = Table(
    "conditions",
    "patient x condition x interval",
    ("patient_id", "condition", "start"),
    (
        _PATIENT,
        _text("condition", "condition id (cond:...), else system|code as received"),
        _whole("start", "first minute", unit="min"),
        _whole("end", "last minute", nullable=True, unit="min"),
        _text("certainty", "confirmed, provisional, or empty"),
        _SOURCE,
        _ROW,
    ),
)

LIMITS = Table(
    "limits",
    "one count",
    ("patient_id", "analyte", "minute"),
    (
        *_COUNT_KEY,
        _number("low", "lower limit in force", unit=_LINE_UNIT),
        _number("high", "upper limit in force", unit=_LINE_UNIT),
        _text("basis", "laboratory, published, or none"),
        _text("interval_id", "row of intervals.csv; empty unless basis is published"),
        _text("reason", "why there is no limit, else empty"),
    ),
)

GRADES = Table(
    "grades",
    "count x standard",
    ("patient_id", "analyte", "minute", "standard"),
    (
        *_COUNT_KEY,
        _text("standard", "ctcae-4.03, ctcae-5.0, ctcae-6.0, daids-2.1"),
        _whole("grade", "0 to 4; null: unknown, see reason", nullable=True),
        _flag("at_least", "the count is an upper bound, so the grade is a minimum"),
        _number("limit", "the lower limit of normal used", unit=_LINE_UNIT),
        _text("limit_basis", "laboratory, published, or none"),
        _text("reason", "why the grade is unknown, else empty"),
    ),
)

EPISODES = Table(
    "episodes",
    "one run of low counts of one analyte in one person",
    ("episode_id",),
    (
        _text("episode_id", "patient/analyte/number"),
        _PATIENT,
        _text("analyte", "the line that is low"),
        _whole("number", "1 for the person's first episode of this line"),
        _whole("onset", "first low count", unit="min"),
        _whole("last_not_low", "last count before onset that is not low: onset lies between the two", True, "min"),
        _number("nadir", "lowest value", nullable=False, unit=_LINE_UNIT),
        _text("nadir_comparator", "comparator of the nadir"),
        _whole("nadir_minute", "first time of the lowest value", unit="min"),
        _whole("last_low", "last low count", unit="min"),
        _whole("recovery", "first count of the confirmed recovery", nullable=True, unit="min"),
        _text("state", "closed, open or censored"),
        _whole("n_low", "low counts"),
        _whole("n_counts", "all counts from onset to the last low one"),
        _flag("confirmed", "two or more low counts"),
        _flag("unobserved_gap", "two neighbouring low counts lie further apart than the gap of the policy"),
        _text("chronicity", "acute, or chronic (three months or more)"),
        _text("severity", "mild, moderate, severe, profound, or empty where no source grades the line"),
        _text("basis", "basis of the limit at onset: laboratory, published, or none"),
        *(
            _whole(f"worst_{standard.replace('-', '_').replace('.', '_')}", f"worst grade, {standard}", True)
            for standard in ("ctcae-4.03", "ctcae-5.0", "ctcae-6.0", "daids-2.1")
        ),
        _flag("worst_at_least", "the nadir is an upper bound, so worst grades are minima"),
    ),
)

RISKS = Table(
    "risks",
    "person x kind x definition",
    ("patient_id", "kind", "definition", "detail"),
    (
        _PATIENT,
        _text("kind", "agranulocytosis, severe_neutropenia_with_fever, febrile_neutropenia, pancytopenia, ..."),
        _text("definition", "the named definition that is met"),
        _whole("minute", "when it was first met", unit="min"),
        _whole("last_minute", "when it was last met", unit="min"),
        _text("detail", "in plain words, or the ingredient"),
        _text("source_id", "source of the definition, empty where it is the report itself"),
        _flag("ongoing", "the latest count or finding of that kind still meets it"),
    ),
)

INFECTION_RISK = Table(
    "infection_risk",
    "one neutrophil episode",
    ("episode_id",),
    (
        _text("episode_id", "the episode"),
        _number("days_severe", "observed days of severe neutropenia", False, "d"),
        _number("days_profound", "observed days of profound neutropenia", False, "d"),
        _number("deficit", "depth below severe times duration", False, "10^9/L x d"),
    ),
)

RISK_SCORES = Table(
    "risk_scores",
    "person with febrile neutropenia x score",
    ("patient_id", "score"),
    (
        _PATIENT,
        _text("score", "mascc (21 or more, some say more than 21: low risk) or cisne (3 or more: high risk)"),
        _whole("minute", "first febrile neutropenia", unit="min"),
        _whole("minimum", "points that the records already give"),
        _whole("maximum", "points that the unknown items could still give"),
        _whole("items_known", "how many items the records settle"),
        _text("source_id", "source of the score"),
    ),
)

TABLES = {
    table.name: table
    for table in (
        *RAW,
        PATIENTS,
        OBSERVATION_PERIODS,
        COUNTS,
        FINDINGS,
        EXPOSURES,
        CONDITIONS,
        LIMITS,
        GRADES,
        EPISODES,
        RISKS,
        INFECTION_RISK,
        RISK_SCORES,
        ISSUES,
    )
}

Rows = Sequence[Mapping[str, str]]
"""Rows of a knowledge table, every cell as text."""

Knowledge = Mapping[str, Rows]
"""Knowledge tables by name, as the loader gives them to the rooms."""
