"""OMOP: folders, single tables, DuckDB files and frames, in either case and any of the forms sites export."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from reading import ENGINES, engines, reasons, records, rows, shared

from leukopenia.engine import Engine, open_engine
from leukopenia.errors import SourceError, UsageError
from leukopenia.read import Raw, read, read_frames, recognise

MIDNIGHT = 18262 * 1440
"""2020-01-01T00:00."""

MEASUREMENT = """\
measurement_id,person_id,measurement_concept_id,measurement_date,measurement_datetime,operator_concept_id,\
value_as_number,value_as_concept_id,unit_concept_id,range_low,range_high,measurement_source_value,\
unit_source_value,value_source_value
11,1,3000905,2020-01-01,2020-01-01 08:30:00,4172703,3.2,0,8848,4.0,11.0,WBC local,10*3/uL,3.2
12,1,3000905,2020-01-01,2020-01-01 00:00:00,4171756,0.1,0,8848,,,WBC local,,<0.1
13,2,0,2020-01-02,,,,4045667,0,,,Neut abs,,
14,2,0,2020-01-02,,,,0,0,,,,,CLUMPED
-15,2,3013650,2020-01-02,2020-01-02 23:59:00,4171754,0.5,0,0,,,ANC,,
"""
PERSON = """\
person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,birth_datetime,gender_source_value
1,8507,1950,3,,,M
2,0,1960,,,1960-01-01 00:00:00,F
"""


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    yield from engines(request.param)


def write(folder: Path, **tables: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_measurements_become_results(tmp_path: Path, engine: Engine) -> None:
    source = write(tmp_path / "cdm", MEASUREMENT=MEASUREMENT, PERSON=PERSON)
    assert recognise(source) == "omop"
    raw = read(source, engine, tmp_path / "stage")
    results = rows(raw, "raw_results", engine)
    assert (raw.format, raw.source, raw.rows_in["raw_results"]) == ("omop", "cdm", 5)
    wanted = ("row_id", "minute", "time_precision", "code", "name", "unit", "value", "text", "comparator")
    assert records(results, *wanted) == [
        (-15, MIDNIGHT + 1440 + 1439, "minute", 3013650, "", "", 0.5, None, "<="),
        (11, MIDNIGHT + 510, "minute", 3000905, "", "10*3/uL", 3.2, None, ""),
        (12, MIDNIGHT, "day", 3000905, "", "omop:8848", 0.1, None, "<"),
        (13, MIDNIGHT + 1440, "day", 0, "Neut abs", "", None, "omop:4045667", ""),
        (14, MIDNIGHT + 1440, "day", 0, "", "", None, "CLUMPED", ""),
    ]
    assert records(results, "low", "high")[1] == (4.0, 11.0)


def test_parquet_folder_of_parts_and_single_file_agree(tmp_path: Path, engine: Engine) -> None:
    table = pl.read_csv(MEASUREMENT.encode(), try_parse_dates=True)
    parts = tmp_path / "cdm" / "measurement"
    parts.mkdir(parents=True)
    table[:2].write_parquet(parts / "part-0.parquet")
    table[2:].write_parquet(parts / "part-1.parquet")
    table.write_parquet(tmp_path / "measurement.parquet")
    one = rows(read(tmp_path / "measurement.parquet", engine, tmp_path, source="s"), "raw_results", engine)
    many = rows(read(tmp_path / "cdm", engine, tmp_path, source="s"), "raw_results", engine)
    text = rows(read_frames({"measurement": table}, engine, source="s"), "raw_results", engine)
    assert len(one) == 5
    assert_frame_equal(one, many)
    assert_frame_equal(one, text)


def test_time_of_day_column_serves_where_there_is_no_datetime(tmp_path: Path, engine: Engine) -> None:
    table = (
        "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_time,value_as_number\n"
        "1,1,3000905,2020-01-01,07:05:00,3\n2,1,3000905,2020-01-01,,4\n"
    )
    raw = read(write(tmp_path / "cdm", measurement=table), engine, tmp_path / "stage")
    made = records(rows(raw, "raw_results", engine), "minute", "time_precision")
    assert made == [(MIDNIGHT + 425, "minute"), (MIDNIGHT, "day")]


def test_persons_say_how_much_of_the_birth_is_known(tmp_path: Path, engine: Engine) -> None:
    death = "person_id,death_date,death_datetime\n1,2020-01-01,\n9,2020-01-01,\n"
    raw = read(write(tmp_path / "cdm", person=PERSON, death=death), engine, tmp_path / "stage")
    persons = rows(raw, "raw_persons", engine)
    wanted = ("patient_id", "sex", "birth_precision", "death")
    assert records(persons, *wanted) == [(1, "male", "month", MIDNIGHT), (2, "female", "year", None)]
    assert reasons(raw) == {"no_person_row": 1, "table_absent": 0}
    assert raw.rows_in["raw_persons"] == len(persons) + 1


def test_no_measurement_table_ends_well(tmp_path: Path, engine: Engine) -> None:
    raw = read(write(tmp_path / "cdm", person=PERSON), engine, tmp_path / "stage")
    assert "raw_results" not in raw.tables
    assert [(i["reason"], i["detail"]) for i in raw.issues] == [("table_absent", "measurement")]


def test_drugs_carry_status_route_and_end(tmp_path: Path, engine: Engine) -> None:
    drugs = (
        "drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,drug_exposure_end_date,"
        "days_supply,drug_type_concept_id,drug_source_value,route_source_value,route_concept_id\n"
        "1,1,0,2020-01-01,2020-01-03,,32818,Methotrexate,SC,0\n"
        "2,1,1124957,2020-01-01,,10,32825,,,4132161\n"
        "3,1,1124957,2020-01-01,,,32838,,,0\n"
        "4,1,1124957,2020-01-01,,,32865,,,\n"
    )
    raw = read(write(tmp_path / "cdm", drug_exposure=drugs), engine, tmp_path / "stage")
    wanted = ("end", "code", "name", "status", "route")
    assert records(rows(raw, "raw_drugs", engine), *wanted) == [
        (MIDNIGHT + 2 * 1440, 0, "Methotrexate", "administered", "SC"),
        (MIDNIGHT + 9 * 1440, 1124957, "", "dispensed", "omop:4132161"),
        (None, 1124957, "", "ordered", ""),
        (None, 1124957, "", "stated", ""),
    ]


def test_conditions_keep_the_icd_code_of_the_source(tmp_path: Path, engine: Engine) -> None:
    conditions = (
        "condition_occurrence_id,person_id,condition_concept_id,condition_start_date,condition_source_value\n"
        "1,1,432289,2020-01-01,D70.2  \n2,1,196523,2020-01-01,78791\n"
        "3,1,196523,2020-01-01,Diarrhoea\n4,1,0,2020-01-01,Felty\n"
    )
    raw = read(write(tmp_path / "cdm", condition_occurrence=conditions), engine, tmp_path / "stage")
    made = records(rows(raw, "raw_conditions", engine), "code", "name")
    assert made == [(432289, "D70.2"), (196523, "78791"), (196523, ""), (0, "Felty")]


def test_own_concepts_go_to_standard_ones_and_names_come_along(tmp_path: Path, engine: Engine) -> None:
    measurement = (
        "measurement_id,person_id,measurement_concept_id,measurement_date,value_as_number,"
        "measurement_source_value\n1,1,2000000007,2020-01-01,3,x\n2,1,2000000008,2020-01-01,3,x\n"
        "3,1,44,2020-01-01,3,x\n4,1,0,2020-01-01,3,x\n5,1,,2020-01-01,3,x\n"
    )
    # Athena writes tabs, and bare quotation marks inside names.
    concept = 'concept_id\tconcept_name\n2000000007\tOur "white" cells\n44\tLeukocytes\n3000905\tWBC\n'
    links = (
        "concept_id_1,concept_id_2,relationship_id,invalid_reason\n2000000007,3000906,Maps to,\n"
        "2000000007,3000905,Maps to,\n2000000007,1,Maps to,D\n2000000007,2,Is a,\n44,45,Maps to,\n"
    )
    source = write(tmp_path / "cdm", measurement=measurement, concept=concept, concept_relationship=links)
    raw = read(source, engine, tmp_path / "stage")
    assert records(rows(raw, "raw_results", engine), "code", "name") == [
        (3000905, 'Our "white" cells'),
        (2000000008, ""),
        (44, "Leukocytes"),
        (0, "x"),
        (0, "x"),
    ]


def test_rows_without_person_or_id_are_accounted_for(tmp_path: Path, engine: Engine) -> None:
    measurement = (
        "measurement_id,person_id,measurement_concept_id,measurement_date,value_as_number\n"
        "7,1,3000905,2020-01-01,3\n,1,3000905,2020-01-01,4\n8,,3000905,2020-01-01,5\n8,9,1,1,1,1,1,1,1\n"
    )
    raw = read(write(tmp_path / "cdm", measurement=measurement), engine, tmp_path / "stage")
    results = rows(raw, "raw_results", engine)
    assert records(results, "row_id", "value") == [(1, 3.0), (2, 4.0)]
    assert reasons(raw) == {"no_patient": 1, "bad_line": 1}
    assert raw.rows_in["raw_results"] == 4


def test_duckdb_file_in_any_schema(tmp_path: Path) -> None:
    table = pl.read_csv(MEASUREMENT.encode(), try_parse_dates=True)
    with duckdb.connect(str(tmp_path / "site.duckdb")) as connection:
        connection.register("incoming", table.to_arrow())
        connection.execute("create schema cdm; create table cdm.base as from incoming")
        connection.execute("create view cdm.MEASUREMENT as from cdm.base")
    engine = open_engine("duckdb")
    assert recognise(tmp_path / "site.duckdb") == "omop"
    raw = read(tmp_path / "site.duckdb", engine, tmp_path)
    again = read(tmp_path / "site.duckdb", engine, tmp_path)
    assert len(rows(raw, "raw_results", engine)) == len(rows(again, "raw_results", engine)) == 5
    with pytest.raises(UsageError, match="duckdb engine"):
        read(tmp_path / "site.duckdb", open_engine("polars"), tmp_path)
    (tmp_path / "bad.duckdb").write_bytes(b"no database")
    with pytest.raises(SourceError, match="cannot be read"):
        read(tmp_path / "bad.duckdb", engine, tmp_path)


def test_what_is_no_cdm_is_refused(tmp_path: Path, engine: Engine) -> None:
    write(tmp_path / "other", labs="patient,time,test,value\n1,2020-01-01,WBC,3\n")
    with pytest.raises(SourceError, match="not an OMOP CDM"):
        read(tmp_path / "other", engine, tmp_path, format="omop")
    source = write(tmp_path / "twice", person=PERSON)
    (source / "PERSON.parquet").write_bytes(b"")
    with pytest.raises(SourceError, match="two tables person"):
        read(source, engine, tmp_path)


def test_broken_parquet_is_a_source_error(tmp_path: Path, engine: Engine) -> None:
    source = tmp_path / "cdm"
    source.mkdir()
    (source / "measurement.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(SourceError, match="cannot be read"):
        read(source, engine, tmp_path / "stage")


def counted(raw: Raw, engine: Engine) -> dict[str, int]:
    return {name: len(rows(raw, name, engine)) for name in raw.tables}


@pytest.mark.shared
def test_mimic_iv_demo(tmp_path: Path, engine: Engine) -> None:
    raw = read(shared("mimic-iv-demo-omop"), engine, tmp_path)
    made = counted(raw, engine)
    assert (made["raw_drugs"], made["raw_conditions"], made["raw_persons"]) == (18229, 16441, 100)
    assert made == raw.rows_in
    assert set(rows(raw, "raw_drugs", engine)["status"]) == {"ordered"}
    neutropenia = rows(raw, "raw_conditions", engine).filter(pl.col("code") == 320073)
    assert set(neutropenia["name"]) == {"D709"}


@pytest.mark.shared
def test_synthea27nj(tmp_path: Path, engine: Engine) -> None:
    with zipfile.ZipFile(shared("eunomia-synthea27nj") / "Synthea27Nj_5.4.zip") as archive:
        archive.extractall(tmp_path / "cdm")
    raw = read(tmp_path / "cdm", engine, tmp_path / "stage")
    assert counted(raw, engine) == raw.rows_in
    white = rows(raw, "raw_results", engine).filter(pl.col("code") == 3000905)
    assert len(white) == 107
    assert (white["value"].min(), set(white["unit"]), set(white["time_precision"])) == (
        3.5,
        {"10*3/uL"},
        {"day"},
    )


@pytest.mark.spark
def test_spark_reads_the_same_rows(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    source = write(tmp_path / "cdm", measurement=MEASUREMENT, person=PERSON)
    spark, local = open_engine("spark"), open_engine("polars")
    ours = rows(read(source, local, tmp_path / "a"), "raw_results", local)
    theirs = rows(read(source, spark, tmp_path / "b"), "raw_results", spark)
    spark.close()
    assert_frame_equal(ours, theirs)
