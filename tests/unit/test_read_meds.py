"""MEDS: what codes say, how starts meet stops, and that every event is accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from reading import ENGINES, engines, reasons, records, rows, shared

from leukopenia.engine import Engine, open_engine
from leukopenia.errors import SourceError
from leukopenia.read import Raw, read, read_frames, recognise
from leukopenia.read.meds_codes import meaning

DAY = 18262 * 1440


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    yield from engines(request.param)


def events(*given_rows: tuple[Any, ...]) -> pl.DataFrame:
    """Events from (subject, minutes after 2020-01-01 or None, code, value)."""
    start = datetime(2020, 1, 1)
    return pl.DataFrame(
        {
            "subject_id": [row[0] for row in given_rows],
            "time": pl.Series([row[1] for row in given_rows], dtype=pl.Int64) * 60_000_000,
            "code": [row[2] for row in given_rows],
            "numeric_value": pl.Series([row[3] if len(row) > 3 else None for row in given_rows], dtype=pl.Float32),
        }
    ).with_columns(time=pl.lit(start) + pl.col("time").cast(pl.Duration("us")))


def accounted(raw: Raw, engine: Engine) -> int:
    """Source events that are rows, halves of intervals, parts of persons, or in the issues."""
    made = sum(int(str(issue["n"])) for issue in raw.issues)
    for name in raw.tables:
        table = rows(raw, name, engine)
        made += len(table) if name != "raw_persons" else raw.rows_in[name]
        if "end" in table.columns:
            made += table.filter(pl.col("start").is_not_null() & pl.col("end").is_not_null()).height
    return made


def test_results_keep_code_unit_and_shortest_decimal(engine: Engine) -> None:
    stream = events((1, 0, "LAB//51301//K/uL", 10.4), (1, 5, "LAB//51265//UNK"), (1, None, "LOINC//6690-2", 3.1))
    raw = read_frames({"events": stream}, engine)
    wanted = ("row_id", "minute", "time_precision", "system", "code", "unit", "value")
    assert records(rows(raw, "raw_results", engine), *wanted) == [
        (1, DAY, "minute", "local", "51301", "K/uL", 10.4),
        (2, DAY + 5, "minute", "local", "51265", "", None),
        (3, None, "none", "loinc", "6690-2", "", 3.1),
    ]


def test_text_values_and_descriptions(tmp_path: Path, engine: Engine) -> None:
    stream = events((1, 0, "LAB//51301//K/uL"), (1, 1, "LAB//51301//K/uL", 4.0))
    stream = stream.with_columns(text_value=pl.Series(["<0.1", "4.0"]))
    (tmp_path / "set" / "data" / "train").mkdir(parents=True)
    (tmp_path / "set" / "metadata").mkdir()
    stream.write_parquet(tmp_path / "set" / "data" / "train" / "0.parquet")
    codes = pl.DataFrame({"code": ["LAB//51301//K/uL"], "description": ["White Blood Cells"]})
    codes.write_parquet(tmp_path / "set" / "metadata" / "codes.parquet")
    assert recognise(tmp_path / "set") == "meds"
    raw = read(tmp_path / "set", engine, tmp_path)
    made = records(rows(raw, "raw_results", engine), "name", "value", "text")
    assert made == [("White Blood Cells", None, "<0.1"), ("White Blood Cells", 4.0, None)]
    assert len(raw.files) == 2


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("MEDICATION//Heparin//Administered", "administered"),
        ("MEDICATION//Heparin//Delayed Administered", "administered"),
        ("MEDICATION//Heparin//Restarted", "administered"),
        ("MEDICATION//Patch//Removed Existing / Applied New", "administered"),
        ("MEDICATION//Heparin//Not Given per Sliding Scale", "not_given"),
        ("MEDICATION//Heparin//Hold Dose", "not_given"),
        ("MEDICATION//Heparin//Delayed", "not_given"),
        ("MEDICATION//Heparin//UNK", "ordered"),
        ("MEDICATION//START//Heparin", "ordered"),
        ("RXNORM/2626", "ordered"),
        ("INFUSION_START//225158", "administered"),
        ("MEDICATION//Heparin//Stopped - Unscheduled", ""),
        ("MEDICATION//Heparin//Not Stopped", ""),
        ("MEDICATION//Heparin//Infusion Reconciliation", ""),
    ],
)
def test_only_what_puts_drug_into_the_person_is_given(code: str, status: str) -> None:
    assert meaning(code).status == status
    assert meaning(code).target == ("raw_drugs" if status else "")


def test_codes_of_diagnoses_procedures_and_persons() -> None:
    assert (meaning("DIAGNOSIS//ICD//10//D70.9").system, meaning("DIAGNOSIS//ICD//10//D70.9").concept) == (
        "icd10cm",
        "D709",
    )
    assert (meaning("ICD9CM/288.0").system, meaning("PROCEDURE//ICD//9//5491").system) == (
        "icd9cm",
        "icd9proc",
    )
    assert (meaning("LAB//White Blood Cells//K/uL").name, meaning("MEDICATION//UNK//Started").name) == (
        "White Blood Cells",
        "",
    )
    assert meaning("DRG//APR//194//HEART FAILURE").target == ""


def test_starts_meet_stops_as_brackets_do(engine: Engine) -> None:
    start, stop = "MEDICATION//START//Valproate", "MEDICATION//STOP//Valproate"
    stream = events(
        (1, 10, start), (1, 20, start), (1, 30, stop), (1, 40, stop),  # overlapping: they cover 10 to 40
        (1, 50, start), (1, 60, start), (1, 70, stop),  # the stop of 50 was never recorded
        (1, 80, start), (1, 80, stop),  # no length
        (2, 5, stop), (2, 6, start),  # a stop alone, and a start alone
        (2, 7, "MEDICATION//STOP//Other"),
    )  # fmt: skip
    raw = read_frames({"events": stream}, engine)
    spans = records(rows(raw, "raw_drugs", engine), "row_id", "start", "end", "status")
    at = [(row, s and s - DAY, e and e - DAY) for row, s, e, _ in spans]
    assert at == [
        (1, 10, 40), (2, 20, 30), (5, 50, None), (6, 60, 70), (8, 80, 80),
        (10, None, 5), (11, 6, None), (12, None, 7),
    ]  # fmt: skip
    assert accounted(raw, engine) == 12


@given(
    st.lists(
        st.tuples(
            st.integers(1, 2),
            st.integers(0, 6),
            st.sampled_from(["INFUSION_START//1", "INFUSION_END//1", "INFUSION_START//2", "INFUSION_END//2"]),
        ),
        min_size=1,
        max_size=25,
    )
)
def test_no_event_is_lost_and_none_ends_before_it_starts(stream: list[tuple[int, int, str]]) -> None:
    engine = open_engine("polars")
    raw = read_frames({"events": events(*stream)}, engine)
    assert accounted(raw, engine) == len(stream)
    spans = rows(raw, "raw_drugs", engine)
    assert spans.filter(pl.col("end") < pl.col("start")).is_empty()


def test_encounters_and_persons(engine: Engine) -> None:
    stream = events(
        (1, -10512000, "MEDS_BIRTH"), (1, None, "GENDER//F"), (1, 900, "MEDS_DEATH"),
        (1, 10, "ED_REGISTRATION"), (1, 20, "ED_OUT"), (1, 15, "HOSPITAL_ADMISSION//URGENT"),
        (1, 90, "HOSPITAL_DISCHARGE//HOME"), (2, None, "GENDER//F"), (2, None, "GENDER//M"),
    )  # fmt: skip
    raw = read_frames({"events": stream}, engine)
    persons = records(rows(raw, "raw_persons", engine), "patient_id", "sex", "birth_precision", "death")
    assert persons == [(1, "female", "day", DAY + 900), (2, "unknown", "none", None)]
    stays = records(rows(raw, "raw_encounters", engine), "start", "end", "setting")
    assert stays == [(DAY + 10, DAY + 20, "emergency"), (DAY + 15, DAY + 90, "inpatient")]
    assert "raw_results" not in raw.tables
    assert accounted(raw, engine) == 9


def test_what_bears_on_nothing_is_counted_by_prefix(engine: Engine) -> None:
    stream = events(
        (1, 0, "DRG//APR//1//X"), (1, 0, "DRG//APR//2//Y"), (1, 0, "BMI (kg/m2)"), (None, 0, "LAB//1//K/uL")
    )
    raw = read_frames({"events": stream}, engine)
    aside = {i["detail"]: i["n"] for i in raw.issues if i["reason"] == "not_of_interest"}
    assert aside == {"DRG": 2, "BMI (kg/m2)": 1}
    assert reasons(raw)["no_patient"] == 1
    assert accounted(raw, engine) == 4


def test_other_parquet_is_refused(tmp_path: Path, engine: Engine) -> None:
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="is not MEDS"):
        read(tmp_path / "a.parquet", engine, tmp_path, format="meds")


@pytest.mark.shared
def test_mimic_iv_demo_is_accounted_for_to_the_event(tmp_path: Path) -> None:
    path = shared("mimic-iv-demo-meds") / "events.parquet"
    assert recognise(path) == "meds"
    tables = []
    for name in ENGINES:
        engine = open_engine(name)
        raw = read(path, engine, tmp_path)
        assert accounted(raw, engine) == 916_166
        assert len(rows(raw, "raw_results", engine)) == raw.rows_in["raw_results"] == 776_411
        tables.append({table: rows(raw, table, engine) for table in raw.tables})
        engine.close()
    for name, table in tables[0].items():
        assert_frame_equal(table, tables[1][name])
    white = tables[0]["raw_results"].filter(pl.col("code") == "51301")
    assert (len(white), set(white["unit"])) == (2760, {"K/uL"})
