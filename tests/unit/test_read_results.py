"""Plain results: long and wide, as spreadsheets, laboratories and trials write them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal
from reading import ENGINES, engines, reasons, records, rows, shared

from leukopenia.engine import Engine, open_engine
from leukopenia.errors import MappingError, SourceError, UsageError
from leukopenia.read import Raw, read, read_frames, recognise
from leukopenia.read.headers import analyte

DAY = 18262 * 1440
"""2020-01-01T00:00."""

LONG = """\
patient,time,test,value,unit,low,high
007,2020-01-01 08:30,WBC,3.2,10^9/L,4.0,11.0
007,2020-01-02,Neutrophils,<0.1,10^9/L,,
8,2020-01-01T09:00:00Z,WBC,"4,1",10^9/L,,
,2020-01-01,WBC,5,10^9/L,,
8,2020-01,WBC,,10^9/L,,
"""
EICU = {
    "patient": "patientunitstayid",
    "time": "labresultoffset",
    "time_unit": "minutes_offset",
    "test": "labname",
    "value": "labresulttext",
    "number": "labresult",
    "unit": "labmeasurenameinterface",
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    yield from engines(request.param)


def read_text(text: str | bytes, engine: Engine, folder: Path, name: str = "labs.csv", **mapping: Any) -> Raw:
    data = text.encode() if isinstance(text, str) else text
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert recognise(folder / name) == "results"
    return read(folder / name, engine, folder / "stage", mapping=mapping)


def test_long_table(tmp_path: Path, engine: Engine) -> None:
    raw = read_text(LONG, engine, tmp_path)
    results = rows(raw, "raw_results", engine)
    wanted = ("row_id", "patient_id", "minute", "time_precision", "name", "value", "text", "low")
    assert records(results, *wanted) == [
        (1, "007", DAY + 510, "minute", "WBC", 3.2, None, 4.0),
        (2, "007", DAY + 1440, "day", "Neutrophils", None, "<0.1", None),
        (3, "8", DAY + 540, "minute", "WBC", None, "4,1", None),
        (5, "8", DAY, "month", "WBC", None, None, None),
    ]
    assert reasons(raw) == {"no_patient": 1}
    assert raw.rows_in == {"raw_results": 5}
    assert [path.name for path in raw.files] == ["labs.csv"]


@pytest.mark.parametrize(
    "data",
    [
        LONG.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + LONG.encode(),
        LONG.encode("utf-16"),
        LONG.replace("\n", "\n\n").encode(),
        LONG.replace("\n8,", "\r\n8,").encode(),
        LONG.replace('"4,1"', "4#1").replace(",", ";").replace("#", ",").encode(),
        LONG.replace('"4,1"', "4#1").replace(",", "\t").replace("#", ",").encode(),
        LONG.replace("10^9/L,,\n", "10^9/L\n").encode(),
    ],
    ids=["crlf", "bom", "utf-16", "blank lines", "mixed ends", "semicolon", "tab", "short rows"],
)
def test_the_same_table_written_otherwise(data: bytes, tmp_path: Path, engine: Engine) -> None:
    expected = rows(read_text(LONG, engine, tmp_path, "labs.csv"), "raw_results", engine)
    other = read_text(data, engine, tmp_path, "other.csv.gz")
    assert_frame_equal(expected.drop("source"), rows(other, "raw_results", engine).drop("source"))
    assert reasons(other) == {"no_patient": 1}


def test_latin_1_is_read_and_said(tmp_path: Path, engine: Engine) -> None:
    text = "patient;date;test;result;unit\n1;2020-01-01;Lymphozyten à;1,2;/µL\n"
    raw = read_text(text.encode("latin-1"), engine, tmp_path)
    assert records(rows(raw, "raw_results", engine), "name", "unit") == [("Lymphozyten à", "/µL")]
    assert "Latin-1" in str(raw.issues[0]["detail"])


def test_lines_with_too_many_fields_are_set_aside(tmp_path: Path, engine: Engine) -> None:
    text = "patient,date,test,value\n1,2020-01-01,WBC,3\n1,2020-01-02,WBC,4,1\n1,2020-01-03,WBC,5,\n"
    raw = read_text(text, engine, tmp_path)
    assert records(rows(raw, "raw_results", engine), "row_id", "value") == [(1, 3.0), (3, 5.0)]
    assert [(i["reason"], i["row_id"], i["n"]) for i in raw.issues] == [("bad_line", "2", 1)]
    assert raw.rows_in["raw_results"] == 3


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"patient,date,test,value\n", "holds no result"),
        ("a.csv.gz", gzip.compress(LONG.encode() * 5000)[:-600], "truncated"),
        ("a.csv.gz", b"patient,time,test,value\n", "not a gzip file"),
        ("a.csv", b'patient,time,test,value\n1,2020-01-01,"WBC,3\n', "never closed"),
        ("a.parquet", b"PAR1", "not Parquet"),
        ("a.xlsx", b"PK", "cannot be read"),
        ("a.docx", b"x", "Known:"),
    ],
)
def test_unreadable_files_say_what_and_what_to_do(
    name: str, data: bytes, said: str, tmp_path: Path, engine: Engine
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=said) as error:
        read(tmp_path / name, engine, tmp_path / "stage")
    assert "2020-01-01" not in str(error.value)


def test_absent_and_empty_places(tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(SourceError, match="no file or folder"):
        read(tmp_path / "absent", engine, tmp_path, format="results")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="is empty"):
        read(tmp_path / "empty", engine, tmp_path)
    with pytest.raises(UsageError, match="no format"):
        read(tmp_path / "empty", engine, tmp_path, format="hl7")


def test_excel_gives_the_same_as_csv(tmp_path: Path, engine: Engine) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("fastexcel")
    book = openpyxl.Workbook()
    for row in (["MRN", "Collected", "Test name", "Result", "Units"],
                ["007", pd.Timestamp("2020-01-01 08:30").to_pydatetime(), "WBC", 3.2, "K/uL"],
                ["007", pd.Timestamp("2020-01-02").to_pydatetime(), "ANC", "<0.1", "K/uL"]):  # fmt: skip
        book.active.append(row)
    book.save(tmp_path / "labs.xlsx")
    raw = read(tmp_path / "labs.xlsx", engine, tmp_path / "stage")
    wanted = ("row_id", "patient_id", "minute", "name", "value", "text", "unit")
    assert records(rows(raw, "raw_results", engine), *wanted) == [
        (1, "007", DAY + 510, "WBC", 3.2, None, "K/uL"),
        (2, "007", DAY + 1440, "ANC", None, "<0.1", "K/uL"),
    ]


@pytest.mark.parametrize(
    ("times", "settings", "minutes", "precision"),
    [
        (["31/01/2020 08:30", "01/02/2020"], {}, [30 * 1440 + 510, 31 * 1440], ["minute", "day"]),
        (["1/31/2020 3:05 PM", "2/1/2020 12:10 am"], {}, [30 * 1440 + 905, 31 * 1440 + 10], ["minute"] * 2),
        (["02/01/2020", "03/01/2020"], {"date_format": "%d/%m/%Y"}, [1440, 2 * 1440], ["day"] * 2),
        (["02/01/2020", "03/01/2020"], {"date_format": "mdy"}, [31 * 1440, 60 * 1440], ["day"] * 2),
        (["02-Jan-2020", "3-FEB-2020 9:05"], {}, [1440, 33 * 1440 + 545], ["day", "minute"]),
        (["2020/1/2", "2020/1/31 10:00"], {}, [1440, 30 * 1440 + 600], ["day", "minute"]),
        (["20200102", "202001031230"], {}, [1440, 2 * 1440 + 750], ["day", "minute"]),
        (["2020-01-02 00:00:00", "2020-01-03 00:00:00"], {}, [1440, 2 * 1440], ["day"] * 2),
    ],
)  # fmt: skip
def test_dates_are_read_where_they_can_be_read_in_one_way(
    times: list[str],
    settings: dict[str, str],
    minutes: list[int],
    precision: list[str],
    tmp_path: Path,
    engine: Engine,
) -> None:
    text = "patient,date,test,value\n" + "".join(f"1,{time},WBC,3\n" for time in times)
    raw = read_text(text, engine, tmp_path, **settings)
    results = rows(raw, "raw_results", engine)
    assert (results["minute"] - DAY).to_list() == minutes
    assert results["time_precision"].to_list() == precision


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (["02/01/2020", "03/01/2020"], "date_format"),
        (["31/01/2020", "01/31/2020"], "date_format"),
        (["31/01/20", "30/01/20"], "two digits"),
        (["day 1", "day 8"], "not understood"),
        (["1", "8"], "time_unit"),
    ],
)
def test_dates_that_can_be_read_in_two_ways_are_asked_about(
    times: list[str], said: str, tmp_path: Path, engine: Engine
) -> None:
    text = "patient,date,test,value\n" + "".join(f"1,{time},WBC,3\n" for time in times)
    with pytest.raises(MappingError, match=said):
        read_text(text, engine, tmp_path)


def test_ranges_in_words_are_split(tmp_path: Path, engine: Engine) -> None:
    text = "patient,date,test,value,reference range\n" + "".join(
        f'1,2020-01-01,WBC,3,"{said}"\n' for said in ("4.0 - 11.0", "(4,5–10,5)", "<= 0.5", ">60", "see note", "")
    )
    results = rows(read_text(text, engine, tmp_path), "raw_results", engine)
    assert records(results, "low", "high") == [
        (4.0, 11.0), (4.5, 10.5), (None, 0.5), (60.0, None), (None, None), (None, None),
    ]  # fmt: skip


def test_only_plain_numbers_become_values(tmp_path: Path, engine: Engine) -> None:
    texts = ["3", "3.", ".5", "1e3", "-0.1", "1_000", "inf", "1 200", "12.0 H", "≤0.1", "NA", "-", "0x1"]
    text = "patient;date;test;value\n" + "".join(f"1;2020-01-01;WBC; {said} \n" for said in texts)
    results = rows(read_text(text, engine, tmp_path), "raw_results", engine)
    assert results["value"].to_list()[:5] == [3.0, 3.0, 0.5, 1000.0, -0.1]
    assert results["value"].to_list()[5:] == [None] * 8
    assert results["text"].to_list()[5:] == ["1_000", "inf", "1 200", "12.0 H", "≤0.1", None, None, "0x1"]


def test_wide_table_with_persons(tmp_path: Path, engine: Engine) -> None:
    text = (
        "subject_id,date,sex,age,WBC (10^9/L),anc_k_ul,Neutrophils %,note\n"
        "1,2020-01-01,F,40,3.2,1.1,34,x\n1,2020-02-01,F,40,<0.5,,,x\n2,2020-01-01,M,> 89,4,,,x\n"
    )
    raw = read_text(text, engine, tmp_path)
    wanted = ("row_id", "patient_id", "name", "unit", "value", "text")
    assert records(rows(raw, "raw_results", engine), *wanted) == [
        (1005, "1", "WBC", "10^9/L", 3.2, None),
        (1006, "1", "anc", "K/uL", 1.1, None),
        (1007, "1", "Neutrophils", "%", 34.0, None),
        (2005, "1", "WBC", "10^9/L", None, "<0.5"),
        (3005, "2", "WBC", "10^9/L", 4.0, None),
    ]
    birth = DAY - 40 * 525_960
    persons = records(rows(raw, "raw_persons", engine), "patient_id", "sex", "birth", "birth_precision")
    assert persons == [("1", "female", birth, "year"), ("2", "male", DAY - 90 * 525_960, "year")]
    assert [(i["detail"], i["n"]) for i in raw.issues] == [("column note", 0)]
    assert raw.rows_in == {"raw_results": 5, "raw_persons": 2}


def test_wide_table_by_mapping(tmp_path: Path, engine: Engine) -> None:
    text = "id,when,x1,x2\n1,2020-01-01,3.2,40\n"
    mapping = {
        "time": "when",
        "analytes": {"x1": {"test": "WBC", "unit": "10^9/L"}, "X2": {"test": "Lymphocytes"}},
    }
    raw = read_text(text, engine, tmp_path, **mapping)
    made = records(rows(raw, "raw_results", engine), "name", "unit", "value")
    assert made == [("WBC", "10^9/L", 3.2), ("Lymphocytes", "", 40.0)]


@pytest.mark.parametrize(
    ("header", "test", "unit"),
    [
        ("WBC (10^9/L)", "WBC", "10^9/L"),
        ("Platelets [K/uL]", "Platelets", "K/uL"),
        ("anc_k_ul", "anc", "K/uL"),
        ("neut_pct", "neut", "%"),
        ("Lymphocytes, %", "Lymphocytes", "%"),
        ("wbc_10e9_l", "wbc", "10^9/L"),
        ("hgb_g_dl", "hgb", "g/dL"),
        ("Hb", "Hb", ""),
        ("LBDNENO", "LBDNENO", "10^3/uL"),
    ],
)
def test_headers_of_wide_tables(header: str, test: str, unit: str) -> None:
    found = analyte(header)
    assert found and (found.test, found.unit) == (test, unit)


@pytest.mark.parametrize("header", ["wbc_date", "anc_low", "neutropenia_grade", "weight", "hospital", "ethnicity"])
def test_headers_about_something_else(header: str) -> None:
    assert analyte(header) is None


def test_without_time_a_patient_is_one_point(tmp_path: Path, engine: Engine) -> None:
    raw = read_text("patient,WBC,ANC\n1,3,1\n2,4,\n", engine, tmp_path)
    assert set(records(rows(raw, "raw_results", engine), "minute", "time_precision")) == {(0, "none")}
    assert [(i["reason"], i["n"], i["set_aside"]) for i in raw.issues] == [("no_time", 3, False)]


def test_own_codes_are_local_and_loinc_is_known(tmp_path: Path, engine: Engine) -> None:
    local = read_text("subject_id,charttime,itemid,valuenum\n1,2020-01-01,51301,3\n", engine, tmp_path)
    loinc = read_text("mrn,date,code,result\n1,2020-01-01,6690-2,3\n", engine, tmp_path, "other.csv")
    said = read_text("mrn,date,code,result\n1,2020-01-01,77,3\n", engine, tmp_path, "last.csv", system="Swisslab")
    made = [records(rows(raw, "raw_results", engine), "system", "code")[0] for raw in (local, loinc, said)]
    assert made == [("local", "51301"), ("loinc", "6690-2"), ("swisslab", "77")]


def test_censored_text_wins_over_the_number_beside_it(tmp_path: Path, engine: Engine) -> None:
    lines = [f"1,2020-01-01,1,{value}\n" for value in ("<5,5", ",7", "8,8")]
    text = "subject_id,charttime,itemid,value,valuenum\n" + "".join(lines)
    made = records(rows(read_text(text, engine, tmp_path), "raw_results", engine), "value", "text")
    assert made == [(None, "<5"), (7.0, None), (8.0, None)]


def test_trial_columns_stay_in_one_system_of_units(tmp_path: Path, engine: Engine) -> None:
    text = (
        "USUBJID,LBTESTCD,LBTEST,LBORRES,LBORRESU,LBORNRLO,LBSTRESN,LBSTRESU,LBSTNRLO,LBDTC,LBNRIND\n"
        "01-1,HGB,Hemoglobin,12.1,g/dL,11,7.5,mmol/L,6.8,2020-01-01,NORMAL\n"
        "01-1,HGB,Hemoglobin,,g/dL,11,7.5,mmol/L,6.8,2020-01-02,\n"
    )
    results = rows(read_text(text, engine, tmp_path), "raw_results", engine)
    assert records(results, "name", "value", "unit", "low", "flag") == [
        ("Hemoglobin", 12.1, "g/dL", 11.0, "NORMAL"),
        ("Hemoglobin", None, "g/dL", 11.0, ""),
    ]


@pytest.mark.parametrize(
    ("header", "mapping", "said"),
    [
        ("patnt,date,test,value", {}, "'patnt'"),
        ("patient,date,test,reslt", {}, "'reslt'"),
        ("patient,date,test,value", {"value": "valeu"}, "'value'"),
        ("patient,date,test,value", {"vallue": "value"}, "'value'"),
        ("patient,date,test,value", {"time_unit": "weeks"}, "minutes_offset"),
        ("patient,date,age,test,value", {"age_unit": "decades"}, "years"),
    ],
)
def test_columns_not_understood_are_named_with_the_likely_one(
    header: str, mapping: dict[str, str], said: str, tmp_path: Path, engine: Engine
) -> None:
    row = ",".join("2020-01-01" if name == "date" else "1" for name in header.split(","))
    with pytest.raises(MappingError, match=said):
        read_text(f"{header}\n{row}\n", engine, tmp_path, **mapping)


def test_columns_named_like_ours_do_no_harm(tmp_path: Path, engine: Engine) -> None:
    header = "patient_id,minute,text,said,low_limit,row_id,source,time,test,value\n"
    text = header + "1,9,9,9,9,9,9,2020-01-01,WBC,3\n"
    results = rows(read_text(text, engine, tmp_path), "raw_results", engine)
    assert records(results, "minute", "value", "text", "low", "row_id") == [(DAY, 3.0, None, None, 1)]


def test_frames_of_every_library_give_the_same(engine: Engine) -> None:
    table = pl.DataFrame(
        {
            "mrn": [7, 7],
            "time": ["2020-01-01 08:00", "2020-01-02 09:00"],
            "test": ["WBC", "ANC"],
            "value": [3.2, 0.4],
        }
    ).with_columns(pl.col("time").str.to_datetime())
    frames: list[Any] = [table, table.lazy(), table.to_arrow(), pd.DataFrame(table.to_dict(as_series=False))]
    assert isinstance(frames[2], pa.Table)
    made = [rows(read_frames(frame, engine), "raw_results", engine) for frame in frames]
    assert records(made[0], "row_id", "patient_id", "minute", "value") == [
        (1, 7, DAY + 480, 3.2),
        (2, 7, DAY + 1980, 0.4),
    ]
    for other in made[1:]:
        assert_frame_equal(made[0], other)
    with pytest.raises(UsageError, match="No table known"):
        read_frames({"labs": table, "more": table}, engine)


def test_a_table_called_results_is_the_one_that_is_read(tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "results.csv").write_text("patient,time,test,value\n1,2024-01-01,WBC,3.0\n", encoding="utf-8")
    (tmp_path / "set" / "truth.csv").write_text("patient_id,story\n1,healthy\n", encoding="utf-8")
    assert recognise(tmp_path / "set") == "results"
    raw = read(tmp_path / "set", engine, tmp_path / "stage")
    assert len(rows(raw, "raw_results", engine)) == raw.rows_in["raw_results"] == 1
    assert [path.name for path in raw.files] == ["results.csv"]


def test_folder_with_parts_of_one_table(tmp_path: Path, engine: Engine) -> None:
    folder = tmp_path / "labs"
    folder.mkdir()
    head, *lines = LONG.splitlines(keepends=True)
    (folder / "1.csv").write_text(head + "".join(lines[:2]))
    (folder / "2.csv").write_text(head + "".join(lines[2:]))
    raw = read(folder, engine, tmp_path / "stage", format="results")
    assert rows(raw, "raw_results", engine)["row_id"].to_list() == [1, 2, 3, 5]
    (folder / "3.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="differ in their columns"):
        read(folder, engine, tmp_path / "stage", format="results")


def both(path: Path, folder: Path, **mapping: Any) -> tuple[Raw, dict[str, pl.DataFrame]]:
    """Read with both engines; the tables are the same."""
    made = []
    for name in ENGINES:
        engine = open_engine(name)
        raw = read(path, engine, folder / name, mapping=mapping)
        made.append({table: rows(raw, table, engine) for table in raw.tables})
        engine.close()
    for table, frame in made[0].items():
        assert_frame_equal(frame, made[1][table])
    return raw, made[0]


@pytest.mark.shared
def test_eicu_demo(tmp_path: Path) -> None:
    raw, tables = both(shared("eicu-demo-subset") / "lab.csv.gz", tmp_path, **EICU)
    results = tables["raw_results"]
    assert len(results) == raw.rows_in["raw_results"] == 29_961
    assert results["minute"].min() < 0
    white = results.filter(pl.col("name") == "WBC x 1000")
    assert (len(white), white["unit"].n_unique()) == (861, 25)
    assert "<0.02" in set(results["text"])


@pytest.mark.shared
def test_mimic_iii_demo(tmp_path: Path) -> None:
    path = shared("mimic-iii-demo") / "labevents.csv.gz"
    raw, tables = both(path, tmp_path, patient="subject_id", time="charttime", code="itemid", value="value")
    results = tables["raw_results"]
    assert len(results) == raw.rows_in["raw_results"] == 76_074
    assert results.filter(pl.col("code").is_in(["51301", "51300"])).height == 2_022
    assert set(results.filter((pl.col("code") == "51265") & pl.col("value").is_null())["text"]) == {"<5"}


@pytest.mark.shared
def test_nhanes(tmp_path: Path) -> None:
    raw, tables = both(shared("nhanes-cbc") / "nhanes_cbc_demo_2011_2018.parquet", tmp_path)
    white = tables["raw_results"].filter(pl.col("name") == "LBXWBCSI")
    assert (len(white), white["value"].max()) == (32_142, 400.0)
    assert len(tables["raw_persons"]) == 35_909
    assert set(tables["raw_persons"]["sex"]) == {"male", "female"}
    assert reasons(raw)["no_time"] == raw.rows_in["raw_results"]


@pytest.mark.shared
def test_cdisc_pilot(tmp_path: Path) -> None:
    _, tables = both(shared("cdisc-pharmaversesdtm") / "lb.csv.gz", tmp_path)
    white = tables["raw_results"].filter(pl.col("code") == "WBC")
    assert (len(white), set(white["unit"])) == (1_809, {"THOU/uL"})
    assert white.filter(pl.col("flag") == "LOW").height == 38


def test_the_door_leads_fhir_to_its_reader(tmp_path: Path, engine: Engine) -> None:
    observation = (
        '{"resourceType":"Observation","id":"a","status":"final","subject":{"reference":"Patient/7"},'
        '"effectiveDateTime":"2020-01-01T08:30:00Z","valueQuantity":{"value":3.2,"unit":"10*3/uL"},'
        '"code":{"coding":[{"system":"http://loinc.org","code":"6690-2"}]}}\n'
    )
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "Observation.ndjson").write_text(observation)
    assert recognise(tmp_path / "export") == "fhir"
    raw = read(tmp_path / "export", engine, tmp_path / "stage")
    results = records(rows(raw, "raw_results", engine), "patient_id", "code", "value")
    assert (raw.format, results) == ("fhir", [("7", "6690-2", 3.2)])
    (tmp_path / "labs.csv").write_text(LONG)
    with pytest.raises(SourceError, match="is not FHIR"):
        read(tmp_path / "labs.csv", engine, tmp_path / "stage", format="fhir")
