"""OMOP CDM 5.3 and 5.4: a folder of CSV or Parquet tables, a DuckDB file, or frames, to raw tables.

The measurement table stays a scan: integers stay integers, and text is made only where a row has it.
Concept ids of operators, genders, visits and record types: OMOP standardised vocabularies (SNOMED qualifier
values, Gender, Visit, Type Concept and the older Drug Type).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import narwhals.stable.v2 as nw

from leukopenia import contracts
from leukopenia.errors import SourceError, UsageError
from leukopenia.read import files
from leukopenia.read.omop_persons import births, sex
from leukopenia.read.omop_vocabulary import Vocabulary
from leukopenia.read.raw import Issue, Opener, Raw, bad_lines, issue, missing, not_utf8, shape, text
from leukopenia.read.typed import Columns, typed

if TYPE_CHECKING:
    from leukopenia.engine import Engine, Frame

OPERATORS = {4171754: "<=", 4171755: ">=", 4171756: "<", 4172704: ">"}
SETTINGS = {
    9201: "inpatient",
    262: "inpatient",
    8717: "inpatient",
    32037: "inpatient",
    9203: "emergency",
    8870: "emergency",
    9202: "outpatient",
    8756: "outpatient",
}
ADMINISTERED = (32818, 38000179, 38000180, 43542356, 43542357, 43542358, 581373)
DISPENSED = (32825, 32857, 32869, 38000175, 38000176, 581452)
STATED = (32830, 32865, 38000178, 44787730)

_MINUTES_OF_DAY = 1440
# ICD-9-CM (3 digits, V, E) or ICD-10 (letter, two characters), with or without its dot.
_ICD = r"^(\d{3}\.?\d{0,2}|V\d{2}\.?\d{0,2}|E\d{3}\.?\d?|[A-TV-Z]\d[0-9A-Z]\.?[0-9A-Z]{0,4})$"


def _span(start: str, end: str) -> tuple[str, ...]:
    return tuple(f"{name}{part}" for name in (start, end) for part in ("_date", "_datetime"))


TABLES = {
    "measurement": Columns(
        ids=(
            "measurement_id",
            "person_id",
            "measurement_concept_id",
            "operator_concept_id",
            "value_as_concept_id",
            "unit_concept_id",
        ),
        times=("measurement_date", "measurement_datetime"),
        numbers=("value_as_number", "range_low", "range_high"),
        texts=("measurement_time", "measurement_source_value", "unit_source_value", "value_source_value"),
    ),
    "person": Columns(
        ids=("person_id", "gender_concept_id", "year_of_birth", "month_of_birth", "day_of_birth"),
        times=("birth_datetime",),
        texts=("gender_source_value",),
    ),
    "death": Columns(ids=("person_id",), times=("death_date", "death_datetime")),
    "observation_period": Columns(
        ids=("observation_period_id", "person_id"),
        times=("observation_period_start_date", "observation_period_end_date"),
    ),
    "drug_exposure": Columns(
        ids=(
            "drug_exposure_id",
            "person_id",
            "drug_concept_id",
            "drug_type_concept_id",
            "route_concept_id",
            "days_supply",
        ),
        times=(*_span("drug_exposure_start", "drug_exposure_end"), "verbatim_end_date"),
        numbers=("quantity",),
        texts=("drug_source_value", "route_source_value", "dose_unit_source_value"),
    ),
    "condition_occurrence": Columns(
        ids=("condition_occurrence_id", "person_id", "condition_concept_id"),
        times=_span("condition_start", "condition_end"),
        texts=("condition_source_value",),
    ),
    "procedure_occurrence": Columns(
        ids=("procedure_occurrence_id", "person_id", "procedure_concept_id"),
        times=("procedure_date", "procedure_datetime", "procedure_end_date", "procedure_end_datetime"),
        texts=("procedure_source_value",),
    ),
    "visit_occurrence": Columns(
        ids=("visit_occurrence_id", "person_id", "visit_concept_id"),
        times=_span("visit_start", "visit_end"),
    ),
}
VOCABULARY = ("concept", "concept_relationship")

RAW_NAMES = {
    "measurement": "raw_results",
    "drug_exposure": "raw_drugs",
    "condition_occurrence": "raw_conditions",
    "procedure_occurrence": "raw_procedures",
    "visit_occurrence": "raw_encounters",
    "observation_period": "raw_periods",
}


def recognises(path: Path) -> bool:
    """Whether a folder or file has OMOP tables, by their names (and, for a single file, its header)."""
    if path.is_file():
        return path.suffix.lower() in (".duckdb", ".db") or _is_table(path)
    return bool(set(find(path)) & (set(TABLES) - {"death"}))


def _is_table(path: Path) -> bool:
    name = _table_name(path)
    if name not in TABLES or not files.kind(path):
        return False
    return "person_id" in {column.lower() for column in files.columns(path)}


def find(path: Path) -> dict[str, list[Path]]:
    """The files of each OMOP table: a file of its name, or a folder of its name with parts."""
    entries = [path] if path.is_file() else sorted(path.iterdir())
    found: dict[str, list[Path]] = {}
    for entry in entries:
        name = _table_name(entry)
        parts = files.table_files(entry) if entry.is_dir() else [entry] if files.kind(entry) else []
        if parts and name in {*TABLES, *VOCABULARY} and not entry.name.startswith("."):
            if name in found:
                raise SourceError(
                    f"There are two tables {name} in {path}.",
                    f"{found[name][0].name} and {parts[0].name}.",
                    "Leave only one of them there.",
                )
            found[name] = parts
    return found


def _table_name(path: Path) -> str:
    # The MIMIC-IV demo ships its vocabulary as 2b_concept.csv.
    return re.sub(r"^\d+[a-z]?_", "", files.stem(path))


def read(path: Path, engine: Engine, stage: Path, source: str) -> Raw:
    """Read a folder, a single table or a DuckDB file of an OMOP CDM.

    Raises
    ------
    SourceError
        No OMOP table there, or a file cannot be read.
    UsageError
        A DuckDB file with another engine than DuckDB.
    """
    if path.is_file() and path.suffix.lower() in (".duckdb", ".db"):
        return build(_attached(path, engine), engine, source, {"": files.Notes([path])})
    found = find(path)
    if not set(found) & set(TABLES):
        seen = ", ".join(sorted(p.name for p in path.iterdir())[:8]) if path.is_dir() else path.name
        raise SourceError(
            f"{path} is not an OMOP CDM.",
            f"Seen: {seen}.",
            "Give the folder with person, measurement, ... tables.",
        )
    notes = {name: files.Notes() for name in found}
    openers = {name: files.opener(parts, engine, stage, notes[name]) for name, parts in found.items()}
    return build(openers, engine, source, notes)


def _attached(path: Path, engine: Engine) -> dict[str, Opener]:
    if engine.name != "duckdb":
        raise UsageError(
            f"{path.name} is a DuckDB file, and the {engine.name} engine cannot read it.",
            "",
            "Choose the duckdb engine, or export the tables as Parquet.",
        )
    attach = cast("Any", engine)
    try:
        names = attach.attach(path)
    except Exception as error:
        raise SourceError(
            f"The database {path} cannot be read.",
            f"It is no DuckDB file, is damaged, or is open for writing elsewhere ({type(error).__name__}).",
            "Close the program that writes it, or export the tables as Parquet.",
        ) from None
    wanted = {n: n.rsplit(".", 1)[1].lower() for n in names}
    tables = {t: _attached_table(attach, n) for n, t in wanted.items() if t in {*TABLES, *VOCABULARY}}
    if not set(tables) & set(TABLES):
        raise SourceError(f"{path} holds no OMOP table.", f"Tables: {', '.join(names[:8])}.", "")
    return tables


def _attached_table(engine: Any, name: str) -> Opener:
    return lambda row_id: files.from_one(engine.attached(name, row_id), row_id)


@dataclass
class _Reading:
    """What the steps of one reading share."""

    engine: Engine
    source: str
    vocabulary: Vocabulary
    issues: list[Issue] = field(default_factory=list)
    rows_in: dict[str, int] = field(default_factory=dict)

    def columns(self, key: nw.Expr) -> dict[str, nw.Expr]:
        return {"source": nw.lit(self.source), "row_id": key, "patient_id": nw.col("person_id")}


def build(
    tables: Mapping[str, Opener],
    engine: Engine,
    source: str,
    notes: Mapping[str, files.Notes] | None = None,
) -> Raw:
    """Raw tables from OMOP tables, wherever they live.

    Parameters
    ----------
    tables : mapping of str to opener
        OMOP tables by name in small letters; those absent are done without.
    """
    made: dict[str, Frame] = {}
    reading = _Reading(engine, source, Vocabulary(tables, engine))
    for name, make in _MAKERS.items():
        if name in tables:
            raw = RAW_NAMES[name]
            made[raw] = make(_received(name, tables[name], reading, raw), reading)
    if "person" in tables or "death" in tables:
        made["raw_persons"] = _persons(tables, reading)
    if "measurement" not in tables:
        absent = issue(source, "raw_results", "table_absent", detail="measurement", n=0, set_aside=False)
        reading.issues.append(absent)
    _account_for_files(reading, notes or {})
    opened = [path for met in (notes or {}).values() for path in met.files]
    return Raw(source, "omop", made, reading.issues, reading.rows_in, opened)


def _account_for_files(reading: _Reading, notes: Mapping[str, files.Notes]) -> None:
    """Lines that are no record and files in another encoding, with the raw table they were meant for."""
    for name, met in notes.items():
        raw = {**RAW_NAMES, "person": "raw_persons", "death": "raw_persons"}.get(name, name)
        for file, numbers in met.bad_lines.items():
            reading.issues.append(bad_lines(reading.source, raw, file, numbers))
            reading.rows_in[raw] = reading.rows_in.get(raw, 0) + len(numbers)
        reading.issues.extend(not_utf8(reading.source, raw, file) for file in met.not_utf8)


def _received(name: str, open_table: Opener, reading: _Reading, raw: str) -> Frame:
    """One OMOP table with the columns wanted and their types; rows without person are set aside."""
    wanted = TABLES[name]
    key = wanted.ids[0]
    frame = typed(open_table(None), wanted, reading.engine)
    empty = {c: nw.when(nw.col(c).is_null()).then(1).otherwise(0).sum().cast(nw.Int64) for c in {key, "person_id"}}
    counted = reading.engine.collect(frame.select(nw.len().cast(nw.Int64).alias("n"), **empty)).row(0, named=True)
    reading.rows_in[raw] = counted["n"]
    if counted["n"] and counted[key] and key != "person_id":
        frame = typed(open_table(files.ROW), wanted, reading.engine, key=files.ROW)
    if counted["n"] and counted["person_id"]:
        reading.issues.append(issue(reading.source, raw, "no_patient", detail=name, n=counted["person_id"]))
        frame = frame.filter(~nw.col("person_id").is_null())
    return frame


def _choose(column: str, words: Mapping[int, str], otherwise: str = "") -> nw.Expr:
    """The word for each concept id."""
    return reduce(
        lambda rest, item: nw.when(nw.col(column) == item[0]).then(nw.lit(item[1])).otherwise(rest),
        words.items(),
        nw.lit(otherwise),
    )


def _omop(column: str) -> nw.Expr:
    return nw.concat_str(nw.lit("omop:"), nw.col(column).cast(nw.String))


def _text_or_concept(value: str, concept: str, otherwise: nw.Expr) -> nw.Expr:
    """Text as received; where there is none, the concept. Only those rows pay for making text of a number."""
    given = nw.col(value) != ""
    return (
        nw.when(given)
        .then(nw.col(value))
        .otherwise(nw.when(nw.col(concept) != 0).then(_omop(concept)).otherwise(otherwise))
    )


def _when(datetime: str, date: str) -> tuple[nw.Expr, nw.Expr]:
    """Minute and precision: midnight of a date-time is what a date alone becomes, so it counts as a date."""
    at = nw.coalesce(nw.col(datetime), nw.col(date))
    timed = nw.col(datetime) % _MINUTES_OF_DAY != 0
    known = nw.when(~at.is_null()).then(nw.lit("day")).otherwise(nw.lit("none"))
    return at, nw.when(timed).then(nw.lit("minute")).otherwise(known)


def _measurements(frame: Frame, reading: _Reading) -> Frame:
    frame = _with_clock(frame, reading.engine)
    frame = reading.vocabulary.apply(frame, "measurement_concept_id")
    minute, precision = _when("measurement_datetime", "measurement_date")
    no_number = nw.col("value_as_number").is_null()
    result = _text_or_concept("value_source_value", "value_as_concept_id", missing("String"))
    columns = reading.columns(nw.col("measurement_id")) | {
        "minute": minute,
        "time_precision": precision,
        "system": nw.lit("omop"),
        "code": nw.col("code"),
        "name": _name("measurement_source_value"),
        "unit": _text_or_concept("unit_source_value", "unit_concept_id", nw.lit("")),
        "value": nw.col("value_as_number"),
        "text": nw.when(no_number).then(result),
        "comparator": _choose("operator_concept_id", OPERATORS),
        "low": nw.col("range_low"),
        "high": nw.col("range_high"),
    }
    return shape(frame, contracts.RAW_RESULTS, columns)


def _with_clock(frame: Frame, engine: Engine) -> Frame:
    """Fill date-times from measurement_date and measurement_time, only where the table lacks any."""
    lacking = nw.when(nw.col("measurement_datetime").is_null()).then(1).otherwise(0).max()
    if not engine.collect(frame.select(lacking=lacking)).item():
        return frame
    clock = nw.col("measurement_time")
    frame = frame.with_columns(in_hour=clock.str.slice(0, 2), in_minute=clock.str.slice(3, 2))
    frame = engine.whole_numbers(frame, {"hour": "in_hour", "minute": "in_minute"})
    at = nw.col("measurement_date") + nw.col("hour") * 60 + nw.col("minute")
    return frame.with_columns(measurement_datetime=nw.coalesce(nw.col("measurement_datetime"), at))


def _name(source_value: str) -> nw.Expr:
    """The source's own word where there is no standard concept, else what the vocabulary calls it."""
    return nw.when(nw.col("code") == 0).then(text(source_value)).otherwise(text("concept_name"))


def _drugs(frame: Frame, reading: _Reading) -> Frame:
    frame = reading.vocabulary.apply(frame, "drug_concept_id")
    start, precision = _when("drug_exposure_start_datetime", "drug_exposure_start_date")
    supplied = start + (nw.col("days_supply") - 1) * _MINUTES_OF_DAY
    end = nw.coalesce(
        nw.col("drug_exposure_end_datetime"),
        nw.col("drug_exposure_end_date"),
        nw.col("verbatim_end_date"),
        nw.when(nw.col("days_supply") > 0).then(supplied),
    )
    status = {
        **dict.fromkeys(ADMINISTERED, "administered"),
        **dict.fromkeys(DISPENSED, "dispensed"),
        **dict.fromkeys(STATED, "stated"),
    }
    columns = reading.columns(nw.col("drug_exposure_id")) | {
        "start": start,
        "end": end,
        "time_precision": precision,
        "system": nw.lit("omop"),
        "code": nw.col("code"),
        "name": nw.coalesce(nw.col("concept_name"), nw.col("drug_source_value"), nw.lit("")),
        "route": _text_or_concept("route_source_value", "route_concept_id", nw.lit("")),
        "status": _choose("drug_type_concept_id", status, "ordered"),
        "dose": nw.col("quantity"),
        "dose_unit": text("dose_unit_source_value"),
    }
    return shape(frame, contracts.RAW_DRUGS, columns)


def _conditions(frame: Frame, reading: _Reading) -> Frame:
    frame = reading.vocabulary.apply(frame, "condition_concept_id")
    frame = frame.with_columns(condition_source_value=text("condition_source_value").str.strip_chars())
    coded = nw.col("condition_source_value").str.contains(_ICD)
    # The code says more than a standard concept does; what the vocabulary calls it stands behind.
    both = nw.concat_str(nw.col("condition_source_value"), text("concept_name"), separator=" ").str.strip_chars()
    name = nw.when(coded).then(both).otherwise(_name("condition_source_value"))
    return _spans(frame, reading, contracts.RAW_CONDITIONS, "condition_occurrence_id", "condition", name)


def _procedures(frame: Frame, reading: _Reading) -> Frame:
    frame = reading.vocabulary.apply(frame, "procedure_concept_id")
    renamed = {f"procedure_{part}": f"procedure_start_{part}" for part in ("date", "datetime")}
    name = _name("procedure_source_value")
    return _spans(
        frame.rename(renamed), reading, contracts.RAW_PROCEDURES, "procedure_occurrence_id", "procedure", name
    )


def _spans(frame: Frame, reading: _Reading, table: contracts.Table, key: str, prefix: str, name: nw.Expr) -> Frame:
    start, precision = _when(f"{prefix}_start_datetime", f"{prefix}_start_date")
    columns = reading.columns(nw.col(key)) | {
        "start": start,
        "end": nw.coalesce(nw.col(f"{prefix}_end_datetime"), nw.col(f"{prefix}_end_date")),
        "time_precision": precision,
        "system": nw.lit("omop"),
        "code": nw.col("code"),
        "name": name,
    }
    return shape(frame, table, columns)


def _visits(frame: Frame, reading: _Reading) -> Frame:
    start, precision = _when("visit_start_datetime", "visit_start_date")
    columns = reading.columns(nw.col("visit_occurrence_id")) | {
        "start": start,
        "end": nw.coalesce(nw.col("visit_end_datetime"), nw.col("visit_end_date")),
        "time_precision": precision,
        "setting": _choose("visit_concept_id", SETTINGS),
    }
    return shape(frame, contracts.RAW_ENCOUNTERS, columns)


def _periods(frame: Frame, reading: _Reading) -> Frame:
    start = nw.col("observation_period_start_date")
    columns = reading.columns(nw.col("observation_period_id")) | {
        "start": start,
        "end": nw.col("observation_period_end_date"),
        "time_precision": nw.when(start.is_null()).then(nw.lit("none")).otherwise(nw.lit("day")),
    }
    return shape(frame, contracts.RAW_PERIODS, columns)


_MAKERS = {
    "measurement": _measurements,
    "drug_exposure": _drugs,
    "condition_occurrence": _conditions,
    "procedure_occurrence": _procedures,
    "visit_occurrence": _visits,
    "observation_period": _periods,
}


def _persons(tables: Mapping[str, Opener], reading: _Reading) -> Frame:
    deaths = _deaths(tables, reading)
    if "person" not in tables:
        persons = deaths.select("person_id", **{c: missing("Int64") for c in TABLES["person"].ids[1:]})
        persons = persons.with_columns(birth_datetime=missing("Int64"), gender_source_value=missing("String"))
    else:
        persons = _received("person", tables["person"], reading, "raw_persons")
        _without_person(deaths, persons, reading)
    frame = births(persons, reading.engine).join(deaths, on="person_id", how="left")
    columns = reading.columns(nw.col("person_id")) | {
        "sex": sex(),
        "birth": nw.col("birth"),
        "birth_precision": nw.col("birth_precision"),
        "death": nw.col("death"),
    }
    return shape(frame, contracts.RAW_PERSONS, columns)


def _deaths(tables: Mapping[str, Opener], reading: _Reading) -> Frame:
    if "death" not in tables:
        import polars as pl

        return reading.engine.load(pl.DataFrame(schema={"person_id": pl.Int64, "death": pl.Int64}), "death")
    frame = typed(tables["death"](None), TABLES["death"], reading.engine)
    at, _ = _when("death_datetime", "death_date")
    frame = frame.filter(~nw.col("person_id").is_null()).select("person_id", death=at)
    return frame.group_by("person_id").agg(nw.col("death").min())


def _without_person(deaths: Frame, persons: Frame, reading: _Reading) -> None:
    orphans = deaths.join(persons.select("person_id"), on="person_id", how="anti")
    n = int(reading.engine.collect(orphans.select(n=nw.len().cast(nw.Int64))).item())
    if n:
        reading.rows_in["raw_persons"] += n
        reading.issues.append(issue(reading.source, "raw_persons", "no_person_row", detail="death", n=n))
