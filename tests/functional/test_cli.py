"""The command line as a user meets it: a process, files, exit codes, and nothing on standard error."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from commands import (
    LONG,
    SOURCES,
    fails,
    fhir,
    leukopenia,
    long,
    meets_its_contract,
    omop,
    succeeds,
    table,
    text,
    whole,
)

from leukopenia import contracts

RAW = {contract.name for contract in contracts.RAW}
MONITORED = {contract.name for contract in contracts.MONITOR_TABLES}
TABLES = sorted(set(contracts.TABLES) - RAW - MONITORED)
COMMANDS = ("run", "inspect", "grade", "simulate", "demo", "knowledge", "cite")


@pytest.fixture(scope="module", params=SOURCES)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str]:
    """Format, result and standard output of one run per format."""
    folder = tmp_path_factory.mktemp(request.param)
    said = succeeds("run", SOURCES[request.param](folder), "-o", folder / "result")
    return request.param, folder / "result", said


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished result."""
    folder = tmp_path_factory.mktemp("finished")
    succeeds("run", long(folder), "-o", folder / "result", "--engine", "polars")
    return folder / "result"


def test_run_leaves_every_table_in_contract_shape(written: tuple[str, Path, str]) -> None:
    name, folder, said = written
    manifest = whole(folder)
    assert {f"{table}.parquet" for table in TABLES} | {"report.html"} <= {path.name for path in folder.iterdir()}
    for each in TABLES:
        meets_its_contract(folder, each)
    assert table(folder, "counts").height > 0
    assert table(folder, "episodes")["analyte"].to_list().count("neutrophils") >= 1
    assert manifest["engine"] == "duckdb"
    assert "</html>" in (folder / "report.html").read_text(encoding="utf-8")
    assert "Red flags" in said.splitlines()[0], name


def test_patients_keep_the_ids_of_their_source(written: tuple[str, Path, str]) -> None:
    name, folder, _ = written
    found = set(table(folder, "counts")["patient_id"].to_list())
    assert found == {"long": {"1", "2"}, "wide": {"A1"}, "fhir": {"p1"}, "meds": {7}, "omop": {11}}[name]


def test_json_headline(tmp_path: Path) -> None:
    told = json.loads(succeeds("run", long(tmp_path), "-o", tmp_path / "r", "--engine", "polars", "--json"))
    assert told["persons"] == 3
    assert told["counts"] == {"lymphocytes": 1, "neutrophils": 4, "wbc": 2}
    assert told["rows_set_aside"] == 1


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_two_runs_give_the_same_bytes(tmp_path: Path, engine: str) -> None:
    source = long(tmp_path)
    for name in ("one", "two"):
        succeeds("run", source, "-o", tmp_path / name, "--engine", engine)
    one = {path.name: path.read_bytes() for path in (tmp_path / "one").glob("*.parquet")}
    two = {path.name: path.read_bytes() for path in (tmp_path / "two").glob("*.parquet")}
    assert len(one) >= len(TABLES)
    assert one == two


def test_an_earlier_result_is_replaced(tmp_path: Path) -> None:
    source = long(tmp_path)
    for text_ in (LONG, LONG.replace("\n2,", "\n9,")):
        source.write_text(text_, encoding="utf-8")
        succeeds("run", source, "-o", tmp_path / "r", "--engine", "polars")
    whole(tmp_path / "r")
    assert "9" in table(tmp_path / "r", "patients")["patient_id"].to_list()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_two_sources_meet(tmp_path: Path) -> None:
    drugs = omop(tmp_path)
    labs = text(tmp_path / "labs.csv", LONG.replace("\n1,", "\n11,").replace("2024", "2020"))
    succeeds("run", labs, drugs, "-o", tmp_path / "r", "--engine", "polars")
    flags = table(tmp_path / "r", "risks")
    assert "drug:clozapine" in flags.filter(pl.col("patient_id") == "11")["detail"].to_list()


# Errors


def test_no_such_file(tmp_path: Path) -> None:
    assert "absent.csv" in fails(3, "run", tmp_path / "absent.csv", "-o", tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "is empty" in fails(3, "run", tmp_path / "empty", "-o", tmp_path / "r")


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    text(tmp_path / "labs.csv" / "scan.pdf", "not a table")
    fails(3, "run", tmp_path / "labs.csv", "-o", tmp_path / "r")
    fails(3, "grade", tmp_path / "labs.csv")
    fails(2, "run", long(tmp_path / "other"), "-o", tmp_path / "r", "--policy", tmp_path / "labs.csv")


def test_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "labs.csv.gz"
    path.write_bytes(gzip.compress((LONG * 3000).encode())[:-400])
    assert "truncated" in fails(3, "run", path, "-o", tmp_path / "r")
    lines = tmp_path / "Observation.ndjson.gz"
    lines.write_bytes(gzip.compress((fhir(tmp_path) / "Observation.ndjson").read_bytes() * 2000)[:-400])
    fails(3, "run", lines, "-o", tmp_path / "r")


def test_a_format_that_it_is_not(tmp_path: Path) -> None:
    source = long(tmp_path)
    for name in ("fhir", "omop", "meds"):
        fails(3, "run", source, "-o", tmp_path / "r", "--format", name)
    assert "fhir" in fails(2, "run", source, "-o", tmp_path / "r", "--format", "hl7")


def test_columns_that_say_nothing(tmp_path: Path) -> None:
    source = text(tmp_path / "labs.csv", "who,when,what,how much\n1,2024-01-01,WBC,3\n")
    assert "patient" in fails(4, "run", source, "-o", tmp_path / "r")
    mapping = text(tmp_path / "map.yaml", "patient: whom\n")
    assert "'who'" in fails(4, "run", source, "-o", tmp_path / "r", "--map", mapping)


def test_choices_that_are_none(tmp_path: Path) -> None:
    source = long(tmp_path)
    policy = text(tmp_path / "policy.yaml", "gap.brake_days: 5\n")
    assert "gap.break_days" in fails(2, "run", source, "-o", tmp_path / "r", "--policy", policy)
    policy.write_text("gap.break_days: a fortnight\n", encoding="utf-8")
    fails(2, "run", source, "-o", tmp_path / "r", "--policy", policy)
    policy.write_text("standards: ctcae-7\n", encoding="utf-8")
    fails(2, "run", source, "-o", tmp_path / "r", "--policy", policy)
    policy.write_text("- a\n- b\n", encoding="utf-8")
    fails(6, "run", source, "-o", tmp_path / "r", "--policy", policy)
    fails(2, "run", source, "-o", tmp_path / "r", "--as-of", "tomorrow")
    fails(2, "run", source, "-o", tmp_path / "r", "--engine", "mysql")
    fails(2, "run", source, "-o", tmp_path / "r", "--memory-limit", "plenty")
    fails(2, "run", source)
    assert not (tmp_path / "r").exists()


def test_site_maps_that_are_none(tmp_path: Path) -> None:
    source = long(tmp_path)
    fails(2, "run", source, "-o", tmp_path / "r", "--site-map", tmp_path / "absent.csv")
    fails(6, "run", source, "-o", tmp_path / "r", "--site-map", text(tmp_path / "map.csv", "code,what\n1,wbc\n"))


def test_nothing_of_the_users_is_overwritten(tmp_path: Path, result: Path) -> None:
    source = long(tmp_path)
    mine = text(tmp_path / "mine" / "letter.txt", "keep me")
    assert "not an earlier result" in fails(5, "run", source, "-o", mine.parent)
    copy = shutil.copytree(result, tmp_path / "copy")
    note = text(copy / "notes" / "mine.txt", "keep me too")
    assert "mine.txt" in fails(5, "run", source, "-o", copy)
    assert "is a file" in fails(5, "run", source, "-o", source)
    assert (mine.read_text(), note.read_text(), source.read_text()) == ("keep me", "keep me too", LONG)


def test_a_cdm_without_measurements_is_an_answer(tmp_path: Path) -> None:
    succeeds("run", omop(tmp_path, "measurement"), "-o", tmp_path / "r")
    assert table(tmp_path / "r", "counts").height == 0
    assert table(tmp_path / "r", "patients").height == 2
    absent = table(tmp_path / "r", "issues").filter(pl.col("reason") == "table_absent")
    assert absent["table"].to_list() == ["raw_results"]
    for each in TABLES:
        meets_its_contract(tmp_path / "r", each)


def test_spark_that_is_not_installed(tmp_path: Path) -> None:
    text(tmp_path / "stub" / "pyspark" / "__init__.py", "raise ImportError('not here')\n")
    from commands import ROOT

    paths = f"{tmp_path / 'stub'}:{ROOT / 'src'}"
    said = fails(7, "run", long(tmp_path), "-o", tmp_path / "r", "--engine", "spark", PYTHONPATH=paths)
    assert "leukopenia[spark]" in said


def test_no_value_of_a_patient_leaves_the_tables(tmp_path: Path) -> None:
    rows = LONG + "4,2024-01-03 08:00,WBC,3.14159 or so,K/uL,4.0,11.0,M,1950-05-01\n"
    rows += "4,2024-01-04 08:00,WBC,-3.14159,K/uL,4.0,11.0,M,1950-05-01\n"
    done = leukopenia("run", text(tmp_path / "labs.csv", rows), "-o", tmp_path / "r", "--json")
    assert done.returncode == 0
    issues = table(tmp_path / "r", "issues")
    assert {"unreadable_result", "implausible_value"} <= set(issues["reason"].to_list())
    assert "3.14159" not in done.stderr + done.stdout + issues.write_csv()
    assert "3.14159" not in (tmp_path / "r" / "manifest.json").read_text()
    late = text(tmp_path / "late.csv", "patient,time,test,value\n1,3.14159 o'clock,WBC,3.14159\n")
    assert "3.14159" not in fails(4, "run", late, "-o", tmp_path / "other")
    lines = text(tmp_path / "Observation.ndjson", '{"resourceType":"Observation","valueString":"3.14159\n')
    assert "3.14159" not in leukopenia("run", lines, "-o", tmp_path / "more").stderr


def test_hostile_strings_are_escaped_in_the_report(tmp_path: Path) -> None:
    rows = (
        "patient,time,test,value,unit,low\n"
        "<script>alert(1)</script>,2024-01-01,ANC,0.4,K/uL,1.5\n"
        '<script>alert(1)</script>,2024-01-01,"WBC ""><img src=x onerror=alert(2)>",0.4,K/uL,1.5\n'
        "{{ 7 * 191 }},2024-01-01,ANC,0.3,</title><svg onload=alert(3)>,1.5\n"
        "{{ 7 * 191 }},2024-01-02,ANC,0.3,K/uL,1.5\n"
    )
    succeeds("run", text(tmp_path / "labs.csv", rows), "-o", tmp_path / "r", "--engine", "polars")
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page
    for live in ("<script>alert", "<img src=x", "<svg onload", "1337"):
        assert live not in page, live


# The other commands


def test_grade(tmp_path: Path) -> None:
    rows = "neutrophils,0.4,10^9/L,1.5,a\nwbc,3500,cells/uL,,b\nwbc,<0.5,K/uL,4.0,c\n"
    source = text(tmp_path / "t.csv", "analyte,value,unit,low,note\n" + rows)
    said = pl.read_csv(succeeds("grade", source, "--standard", "ctcae-5.0", "--standard", "ctcae-6.0").encode())
    assert said.columns == ["analyte", "value", "unit", "low", "note", "standard", "grade", "reason"]
    found = {(row["note"], row["standard"]): (row["grade"], row["reason"]) for row in said.to_dicts()}
    assert found == {
        ("a", "ctcae-5.0"): (4, ""),
        ("a", "ctcae-6.0"): (3, ""),
        ("b", "ctcae-5.0"): (None, "no_laboratory_limit"),
        ("b", "ctcae-6.0"): (None, "no_laboratory_limit"),
        ("c", "ctcae-5.0"): (4, ""),
        ("c", "ctcae-6.0"): (4, ""),
    }


def test_grade_reads_and_writes_tables_of_each_kind(tmp_path: Path) -> None:
    frame = pl.DataFrame({"analyte": ["wbc"], "value": [1.4], "unit": ["10^9/L"], "low": [4.0], "age_days": [9000]})
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_csv(tmp_path / "t.tsv", separator="\t")
    for name in ("t.parquet", "t.tsv"):
        assert succeeds("grade", tmp_path / name, "-o", tmp_path / "out.parquet") == ""
        assert pl.read_parquet(tmp_path / "out.parquet")["grade"].to_list() == [3, 3, 3, 3], name
    lines = succeeds("grade", tmp_path / "t.tsv", "--json").splitlines()
    assert [json.loads(line)["grade"] for line in lines] == [3, 3, 3, 3]
    succeeds("grade", tmp_path / "t.tsv", "-o", tmp_path / "out.csv")
    assert pl.read_csv(tmp_path / "out.csv").height == 4
    assert {path.name for path in tmp_path.iterdir()} == {"t.parquet", "t.tsv", "out.parquet", "out.csv"}


def test_grade_refuses_what_it_cannot_grade(tmp_path: Path) -> None:
    source = text(tmp_path / "t.csv", "analyte,amount,unit\nwbc,1,10^9/L\n")
    assert "value" in fails(4, "grade", source)
    source.write_text("analyte,value,unit\nwbc,1,10^9/L\n", encoding="utf-8")
    fails(2, "grade", source, "--standard", "who")
    fails(2, "grade", source, "--direction", "sideways")
    fails(3, "grade", tmp_path / "absent.csv")
    fails(3, "grade", text(tmp_path / "empty.csv", ""))
    fails(5, "grade", source, "-o", tmp_path / "absent" / "out.csv")


def test_inspect_says_what_is_understood(tmp_path: Path) -> None:
    rows = LONG + "1,2024-01-01 08:00,Leucos quick,3.0,K/uL,,,F,1980-05-01\n"
    rows += "1,2024-01-01 08:00,WBC site lot,3.0,K/uL,,,F,1980-05-01\n"
    source = text(tmp_path / "labs.csv", rows)
    found = json.loads(succeeds("inspect", source, "--json"))
    assert {row["component"] for row in found["understood"]} == {"wbc", "neutrophils"}
    assert sum(row["n"] for row in (*found["understood"], *found["not_understood"])) == 8
    assert "WBC site lot" in found["site_map_stub"]
    assert "Understood" in succeeds("inspect", source)
    fails(3, "inspect", tmp_path / "absent.csv")


@pytest.mark.parametrize(
    "wanted", ["", "ctcae-6.0", "drug:clozapine", "6690-2", "policy", "duffy-null-usa-neutrophils"]
)
def test_knowledge_is_looked_up_with_its_sources(wanted: str) -> None:
    rows = json.loads(succeeds("knowledge", *filter(None, [wanted]), "--json"))
    assert rows
    assert not wanted or all("sources" in row for row in rows)


def test_knowledge_in_words_and_of_nothing() -> None:
    assert "clozapine" in succeeds("knowledge", "drug:clozapine").lower()
    assert "homeopathy" in fails(2, "knowledge", "homeopathy")


def test_run_with_limits_of_ones_own(tmp_path: Path) -> None:
    limits = tmp_path / "limits.csv"
    limits.write_text("analyte,sex,age_low,age_high,lower,upper,unit\nwbc,male,18,,3.4,9.8,10*9/L\n", encoding="utf-8")
    policy = tmp_path / "policy.yaml"
    policy.write_text("limits.first: estimated\n", encoding="utf-8")
    given = ["run", long(tmp_path), "-o", tmp_path / "result", "--limits", limits, "--policy", policy]
    succeeds(*given)
    found = table(tmp_path / "result", "limits").filter(pl.col("analyte") == "wbc")
    assert dict(found.select("patient_id", "basis").rows()) == {"1": "laboratory", "2": "estimated"}
    assert "limits.csv" in {row["file"] for row in whole(tmp_path / "result")["inputs"]}
    limits.write_text("analyte,sex,age_low,age_high,lower,upper,unit\nwbc,male,18,,3.4,9.8,mg\n", encoding="utf-8")
    assert "row 1: unit" in fails(4, *given)
    assert "nowhere.csv" in fails(3, *given[:5], tmp_path / "nowhere.csv")


def test_knowledge_shows_intervals_side_by_side() -> None:
    shown = succeeds("knowledge", "interval:neutrophils").splitlines()
    assert sum(line.startswith("*") for line in shown) == 3
    assert "neutrophils" in fails(2, "knowledge", "interval:nothing")


def test_cite(tmp_path: Path, result: Path) -> None:
    said = succeeds("cite", result)
    assert said.count("@") >= 4
    assert "nci_ctcae6" in said
    fails(3, "cite", tmp_path)


def test_simulate_is_repeatable_and_can_be_read(tmp_path: Path) -> None:
    for name in ("one", "two"):
        succeeds("simulate", tmp_path / name, "--patients", "20", "--format", "csv")
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert files
    assert all((tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes() for path in files)
    fails(5, "simulate", tmp_path / "one", "--patients", "20")
    fails(2, "simulate", tmp_path / "three", "--patients", "20", "--format", "hl7")


def test_demo(tmp_path: Path) -> None:
    said = succeeds("demo", tmp_path / "demo", "--patients", "30")
    assert str(tmp_path / "demo" / "report.html") in said
    whole(tmp_path / "demo" / "result")
    assert table(tmp_path / "demo" / "result", "episodes").height > 0


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_command_explains_itself(name: str) -> None:
    said = succeeds(*filter(None, [name]), "--help")
    assert len(said.split()) > 20
    for command in COMMANDS if not name else ():
        assert command in said
