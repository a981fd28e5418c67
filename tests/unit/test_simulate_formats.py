"""Files of a simulated hospital in each format: sound over several blocks, and dirty as they say."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leukopenia import simulate
from leukopenia.knowledge import load
from leukopenia.simulate import Departures
from leukopenia.simulate.omop import COLUMNS, KEYS

PATIENTS, BLOCK = 120, 40


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same hospital of three blocks in every format."""
    blocks = list(simulate.blocks(PATIENTS, 6, load(), size=BLOCK))
    folder = tmp_path_factory.mktemp("written")
    return {format: simulate.write(blocks, folder / format, format) for format in simulate.FORMATS}


@pytest.fixture(scope="module")
def cdm(written: dict[str, Path]) -> dict[str, pl.DataFrame]:
    return {name: pl.read_parquet(written["omop"] / f"{name}.parquet") for name in COLUMNS}


@pytest.fixture(scope="module")
def events(written: dict[str, Path]) -> pl.DataFrame:
    return pl.read_parquet(written["meds"] / "data" / "0.parquet")


def told(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "simulation.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("format", simulate.FORMATS)
def test_the_truth_is_the_same_beside_every_format(written: dict[str, Path], format: str) -> None:
    """By the ids that persons have there: OMOP and MEDS know numbers only."""
    truth = (written[format] / "truth.csv").read_bytes()
    named = (written["fhir"] / "truth.csv").read_bytes()
    assert truth == (re.sub(rb"(?m)^sim-0*", b"", named) if format in ("omop", "meds") else named)
    assert told(written[format])["rows"]["truth"] == truth.count(b"\n") - 1 >= PATIENTS


def test_rows_of_the_tables_are_those_that_are_told(written: dict[str, Path], cdm: dict[str, pl.DataFrame]) -> None:
    rows = told(written["omop"])["rows"]
    assert {name: len(table) for name, table in cdm.items()} == {name: rows[name] for name in cdm}
    assert len(pl.read_parquet(written["meds"] / "data")) == told(written["meds"])["rows"]["events"]


# --- OMOP


def test_keys_go_on_from_block_to_block(cdm: dict[str, pl.DataFrame]) -> None:
    for name in KEYS:
        assert cdm[name][f"{name}_id"].to_list() == list(range(1, len(cdm[name]) + 1)), name
    assert cdm["person"]["person_id"].to_list() == list(range(1, PATIENTS + 1))


def test_a_measurement_lies_within_the_visit_that_it_names(cdm: dict[str, pl.DataFrame]) -> None:
    joined = cdm["measurement"].join(cdm["visit_occurrence"], on="visit_occurrence_id")
    named = cdm["measurement"]["visit_occurrence_id"].is_not_null().sum()
    # A stain may take the person or the time from a row.
    right = joined.filter(pl.col("person_id") == pl.col("person_id_right"))
    assert len(joined) == named > len(right) * 0.99 > 50
    assert right.filter(pl.col("measurement_date") < pl.col("visit_start_date")).is_empty()


def test_every_code_resolves_and_no_standard_id_is_made_up(cdm: dict[str, pl.DataFrame]) -> None:
    columns = ("measurement_concept_id", "drug_concept_id", "condition_concept_id", "unit_concept_id")
    used = {
        id
        for table in cdm.values()
        for column in columns
        if column in table.columns
        for id in table[column].drop_nulls().to_list()
    } - {0}
    concepts = cdm["concept"]
    assert used == set(concepts["concept_id"]) and concepts["concept_id"].is_unique().all()
    assert concepts.select("vocabulary_id", "concept_code").is_unique().all()
    own = concepts["concept_id"] > 2_000_000_000
    assert concepts.filter(own)["standard_concept"].is_null().all() and 20 < own.sum() < len(own)
    units = {row["spelling"].removeprefix("omop:") for row in load()["units"]}
    known = {row["code"] for row in load()["codes"] if row["system"] == "omop"} | units
    assert set(concepts.filter(~own)["concept_id"].cast(pl.String)) <= known
    assert {"LOINC", "ICD10CM", "RxNorm", "Site"} <= set(concepts["vocabulary_id"])


def test_the_dirt_of_a_cdm_is_there_as_often_as_told(written: dict[str, Path], cdm: dict[str, pl.DataFrame]) -> None:
    dirt, measured = told(written["omop"])["dirt"], cdm["measurement"]
    by_concept = measured.filter(pl.col("unit_source_value").is_null(), pl.col("unit_concept_id") != 0)
    apart = measured.filter(pl.col("measurement_time").is_not_null())
    assert apart["measurement_datetime"].is_null().all()
    copied = measured.drop("measurement_id").is_duplicated().sum()
    assert copied >= 2 * dirt["row_copied"] > 0
    # Copies carry the stains of their rows.
    assert len(by_concept) >= dirt["unit_concept_alone"] > 0 and len(apart) >= dirt["time_apart"] > 0
    assert dirt["death_of_nobody"] == (cdm["death"]["person_id"] == 0).sum() == PATIENTS / BLOCK


# --- MEDS


def test_events_stand_in_order_of_subject_and_time(events: pl.DataFrame) -> None:
    assert list(events.schema.items())[:4] == [
        ("subject_id", pl.Int64),
        ("time", pl.Datetime("us")),
        ("code", pl.String),
        ("numeric_value", pl.Float32),
    ]
    persons = events.filter(pl.col("subject_id") > 0)
    assert persons["subject_id"].is_sorted()
    for _, person in persons.group_by("subject_id"):
        assert person["time"].is_sorted(nulls_last=False)
    assert set(persons["subject_id"]) == set(range(1, PATIENTS + 1))


def test_codes_are_told_once_and_data_sets_say_what_they_are(written: dict[str, Path], events: pl.DataFrame) -> None:
    codes = pl.read_parquet(written["meds"] / "metadata" / "codes.parquet")
    assert codes["code"].is_unique().all() and set(codes["code"]) == set(events["code"])
    named = codes.filter(pl.col("code").str.starts_with("LOINC/"))
    assert named["description"].is_not_null().all() and named["parent_codes"].list.len().eq(1).all()
    about = json.loads((written["meds"] / "metadata" / "dataset.json").read_text(encoding="utf-8"))
    assert about["code_modifier_columns"] == ["unit"]


def test_a_subject_of_a_clean_world_is_in_one_shard_only(tmp_path: Path) -> None:
    clean = Departures(wrong=False)
    folder = simulate.write(simulate.blocks(48, 6, load(), clean, size=4), tmp_path / "meds", "meds")
    shards = [set(pl.read_parquet(path)["subject_id"]) for path in sorted((folder / "data").glob("*.parquet"))]
    assert [len(shard) for shard in shards] == [40, 8]
    assert set.union(*shards) == set(range(1, 49))
    assert told(folder)["dirt"] == {}


def test_a_date_is_a_first_minute_and_a_year_the_first_of_january(tmp_path: Path) -> None:
    hospital = simulate.block(range(1, 201), 6, load())
    folder = simulate.write(hospital, tmp_path / "meds", "meds")
    events = pl.read_parquet(folder / "data" / "0.parquet")
    births = dict(events.filter(code="MEDS_BIRTH").select("subject_id", "time").iter_rows())
    for person in hospital.persons:
        born = births.get(int(person.patient_id[4:]))
        if person.birth_precision == "none":
            assert born is None
        elif person.birth_precision == "year":
            assert (born.month, born.day, born.hour) == (1, 1, 0)
        elif person.birth_precision == "day":
            assert (born.hour, born.minute) == (0, 0)


# --- FHIR and the table


def test_members_of_the_compressed_file_read_as_one(written: dict[str, Path]) -> None:
    lines = gzip.decompress((written["fhir"] / "Observation.ndjson.gz").read_bytes()).split(b"\n")
    kinds = Counter(
        json.loads(line)["resourceType"] if line.endswith(b"}") else "broken" for line in lines[:-1] if line
    )
    simulated = told(written["fhir"])
    assert kinds["Observation"] == simulated["rows"]["Observation"]
    assert kinds["broken"] == simulated["dirt"]["line_cut_off"] == 9
    assert (kinds["Bundle"], kinds["OperationOutcome"]) == (3, 3)


def test_a_medication_that_several_blocks_refer_to_is_written_once(written: dict[str, Path]) -> None:
    lines = (written["fhir"] / "Medication.ndjson").read_text(encoding="utf-8").splitlines()
    ids = [json.loads(line)["id"] for line in lines]
    assert len(ids) == len(set(ids)) > 5


def test_the_table_has_one_heading_and_the_dirt_of_tables(written: dict[str, Path]) -> None:
    with (written["csv"] / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    simulated = told(written["csv"])
    wide = [row for row in rows if None in row]
    assert len(wide) == simulated["dirt"]["field_too_many"] > 0
    assert len(rows) - len(wide) == simulated["rows"]["results"]
    values = [row["value"] for row in rows]
    assert sum(value.endswith((" L", " H")) for value in values) >= simulated["dirt"]["flag_in_value"] > 0
    assert sum("," in value for value in values) >= simulated["dirt"]["decimal_comma"] > 0
    assert any(row["test"].startswith(" ") and row["test"].isupper() for row in rows)
    assert not [row for row in rows if row["patient"] == "patient"]
