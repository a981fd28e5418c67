"""What a contract is made of: columns, tables, and the columns that many tables share."""

from __future__ import annotations

from dataclasses import dataclass


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


def text(name: str, meaning: str, nullable: bool = False) -> Column:
    return Column(name, "String", meaning, nullable)


def whole(name: str, meaning: str, nullable: bool = False, unit: str = "") -> Column:
    return Column(name, "Int64", meaning, nullable, unit)


def number(name: str, meaning: str, nullable: bool = True, unit: str = "") -> Column:
    return Column(name, "Float64", meaning, nullable, unit)


def flag(name: str, meaning: str) -> Column:
    return Column(name, "Boolean", meaning)


ID = "Int64|String"
SOURCE = text("source", "short name of the source the row came from")
ROW = Column("row_id", ID, "the row in its source: line, measurement_id or resource, unique in source and table")
PATIENT = Column("patient_id", ID, "the person, as the source names it")
PRECISION = text("time_precision", "minute, day, month, year or none")
MINUTE = whole("minute", "time of the specimen, else of the result", nullable=True, unit="min")
SIGNAL = (
    text("system", "code system (loinc, omop, mimic-iv, ...), empty for plain names"),
    Column("code", ID, "code in that system, empty (or 0) where there is none"),
    text("name", "test, drug or condition name as received, empty where the code says it all"),
)
SPAN = (
    whole("start", "first minute", nullable=True, unit="min"),
    whole("end", "last minute; null: not recorded", nullable=True, unit="min"),
    PRECISION,
)

COUNT_KEY = (
    PATIENT,
    text("analyte", "wbc, neutrophils, lymphocytes, ..."),
    whole("minute", "time of the specimen", unit="min"),
)
LINE_UNIT = "10^9/L; haemoglobin g/L"

NATS = "nats"
