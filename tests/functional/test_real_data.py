"""The published figures of real records come out. Small twins of each source are in spec/ and always run."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from real import folder_of

import leukopenia as lk

pytestmark = pytest.mark.shared

HOSPITAL_WBC = ("51300", "51301")
FLOWSHEET_WBC = "220546"


@pytest.fixture(scope="module", params=["duckdb", "polars"])
def mimic(request: pytest.FixtureRequest) -> dict[str, Any]:
    with lk.run(folder_of("mimic-iv-demo-meds") / "events.parquet", engine=request.param) as result:
        return {**result.tables, "signals": result.made.signals}


def below(counts: pl.DataFrame, analyte: str, limit: float) -> int:
    return counts.filter(pl.col("analyte") == analyte, pl.col("value") < limit)["patient_id"].n_unique()


def test_hospital_rows_and_their_flowsheet_copies_are_merged(mimic: dict[str, Any]) -> None:
    """2,775 hospital rows have a value; 830 of the 832 flowsheet rows stand at the minute of one of them."""
    rows = {code: sum(s["n"] for s in mimic["signals"] if s["code"] == code) for code in (*HOSPITAL_WBC, FLOWSHEET_WBC)}
    wbc = mimic["counts"].filter(pl.col("analyte") == "wbc")
    unusable = mimic["issues"].filter(pl.col("detail") == "wbc", pl.col("reason") == "no_value")["n"].sum()
    assert rows["51300"] + rows["51301"] - unusable == 2775
    assert rows[FLOWSHEET_WBC] == 832
    assert wbc["copies"].sum() == 2775 + 832
    assert wbc.height == 2759


@pytest.mark.parametrize(
    ("analyte", "limit", "persons"),
    [("wbc", 4.0, 18), ("neutrophils", 1.5, 5), ("neutrophils", 1.0, 4), ("neutrophils", 0.5, 2)],
)
def test_persons_below_a_limit(mimic: dict[str, Any], analyte: str, limit: float, persons: int) -> None:
    assert below(mimic["counts"], analyte, limit) == persons


def test_eleven_counts_without_a_differential_are_graded_through_the_bound(mimic: dict[str, Any]) -> None:
    bounded = mimic["counts"].filter(pl.col("derivation") == "bounded_by_wbc", pl.col("value") < 0.5)
    bounded = bounded.filter(pl.col("analyte") == "neutrophils")
    grades = mimic["grades"].filter(pl.col("standard") == "ctcae-5.0")
    graded = bounded.join(grades, on=["patient_id", "analyte", "minute"])
    assert bounded.height == 11
    assert set(bounded["comparator"]) == {"<="}
    assert graded["grade"].to_list() == [4] * 11


def test_the_cycles_of_one_patient_are_separate_episodes(mimic: dict[str, Any]) -> None:
    mine = mimic["episodes"].filter(pl.col("patient_id") == 10035631, pl.col("analyte") == "neutrophils").sort("onset")
    months = pl.from_epoch(mine["onset"] * 60).dt.strftime("%Y-%m").to_list()
    assert {"2112-09", "2112-10", "2115-11", "2116-02"} <= set(months)
    assert mine.filter(pl.col("nadir") == 0.0).height >= 3


def test_both_engines_give_the_same_tables() -> None:
    path = folder_of("mimic-iv-demo-meds") / "events.parquet"
    made = {}
    for engine in ("duckdb", "polars"):
        with lk.run(path, engine=engine) as result:
            made[engine] = {name: result.tables[name] for name in result.tables if name != "issues"}
    for name, rows in made["duckdb"].items():
        assert_frame_equal(rows.sort(rows.columns), made["polars"][name].sort(rows.columns))


def test_a_cdm_without_measurements_ends_well() -> None:
    with lk.run(folder_of("mimic-iv-demo-omop")) as result:
        assert result.tables["counts"].height == 0
        assert result.tables["exposures"].height > 50
        assert "table_absent" in result.tables["issues"]["reason"].to_list()


def test_fhir_bundles_of_two_versions(tmp_path: Path) -> None:
    for archive, name in (("stu3_smart_wbc_patients", "stu3"), ("r4_synthea_lowwbc_patients", "r4")):
        with tarfile.open(folder_of("fhir-smart-samples") / f"{archive}.tar.gz") as packed:
            packed.extractall(tmp_path / name, filter="data")
    with lk.run(tmp_path / "stu3") as result:
        stu3 = result.tables["counts"].filter(pl.col("analyte") == "wbc")
    with lk.run(tmp_path / "r4") as result:
        r4 = result.tables["counts"].filter(pl.col("analyte") == "wbc")
    assert (stu3["copies"].sum(), r4["copies"].sum()) == (88, 65)
    assert stu3.filter(pl.col("value") < 4)["value"].to_list() == [3.9]
    assert r4.filter(pl.col("value") < 4).height == 46


def test_omop_in_capitals(tmp_path: Path) -> None:
    with zipfile.ZipFile(folder_of("eunomia-synthea27nj") / "Synthea27Nj_5.4.zip") as packed:
        packed.extractall(tmp_path)
    with lk.run(tmp_path) as result:
        wbc = result.tables["counts"].filter(pl.col("analyte") == "wbc")
        assert (wbc["copies"].sum(), wbc["patient_id"].n_unique()) == (107, 28)
        assert wbc["value"].min() == pytest.approx(3.5, abs=0.05)


@pytest.mark.parametrize("shape", ["wide", "long"])
def test_a_population_sample_as_plain_results(shape: str, tmp_path: Path) -> None:
    """905 persons below a WBC of 4, 711 below an ANC of 1.5, in 32,142 and 32,102."""
    rows = pl.read_parquet(folder_of("nhanes-cbc") / "nhanes_cbc_demo_2011_2018.parquet")
    wide = rows.select(patient=pl.col("SEQN").cast(pl.Int64), WBC="LBXWBCSI", Neutrophils="LBDNENO", age="RIDAGEYR")
    if shape == "long":
        tests = ("WBC", "Neutrophils")
        parts = [wide.select("patient", "age", test=pl.lit(name), value=name) for name in tests]
        wide = pl.concat(parts).with_columns(unit=pl.lit("10^3/uL"), time=pl.lit("2015-06-01"))
    else:
        wide = wide.rename({"WBC": "WBC (10^3/uL)", "Neutrophils": "Neutrophils (10^3/uL)"})
    wide.write_csv(tmp_path / "results.csv")
    with lk.run(tmp_path / "results.csv") as result:
        counts = result.tables["counts"]
    assert (below(counts, "wbc", 4), below(counts, "neutrophils", 1.5)) == (905, 711)
    assert counts.group_by("analyte").len().sort("analyte")["len"].to_list() == [32102, 32142]


def test_findings_lie_where_the_laboratory_says_they_lie() -> None:
    """13,225 findings of the CDISC pilot: the laboratory's own LOW, NORMAL and HIGH, and 5 bounds without one."""
    path = folder_of("cdisc-pharmaversesdtm") / "lb.csv.gz"
    with lk.run(path) as result:
        found = result.tables["findings"].select("row_id", "finding", "range")
    said = pl.read_csv(path, infer_schema_length=0).with_row_index("row_id", offset=1)
    said = said.select(pl.col("row_id").cast(pl.Int64), pl.col("LBNRIND").str.to_lowercase(), "LBORRES")
    both = found.join(said, on="row_id")
    assert both.height == found.height == 13225
    assert both.filter(pl.col("range") != pl.col("LBNRIND")).height == 0
    unsaid = both.filter(pl.col("LBNRIND").is_null())
    assert unsaid.rows() == [(row, "bilirubin", "low", None, "<0.2") for row in unsaid["row_id"]]
    assert unsaid.height == 5


def test_findings_of_blood_and_of_nothing_else(mimic: dict[str, Any]) -> None:
    """Of the items named creatinine, those of blood and their flowsheet copies; 110 results of urine stay out."""
    events = pl.read_parquet(folder_of("mimic-iv-demo-meds") / "events.parquet").filter(pl.col("value").is_not_null())
    items = events.with_columns(item=pl.col("code").str.split("//").list.get(1, null_on_oob=True))
    expected = items.filter(pl.col("item").is_in(["50912", "52024", "52546", "220615", "229761"])).height
    findings = mimic["findings"].filter(pl.col("finding") == "creatinine")
    assert findings.height == expected == 3932


# Causes


def test_every_episode_of_a_white_line_has_causes_that_add_up(mimic: dict[str, Any]) -> None:
    white = mimic["episodes"].filter(pl.col("analyte").is_in(["wbc", "neutrophils", "lymphocytes"]))
    sums = mimic["causes"].group_by("episode_id").agg(pl.col("probability").sum(), pl.col("cause_id").unique())
    assert white.height > 100
    assert set(sums["episode_id"]) == set(white["episode_id"])
    assert sums.filter((pl.col("probability") - 1).abs() > 1e-6).height == 0
    assert sums.filter(~pl.col("cause_id").list.contains("unexplained")).height == 0


def test_leukaemia_and_its_chemotherapy_lead_where_they_were_treated(mimic: dict[str, Any]) -> None:
    falls = pl.col("episode_id").str.contains("/(wbc|neutrophils)/")
    leading = mimic["causes"].filter(pl.col("patient_id") == 10035631, pl.col("rank") == 1, falls)
    led = leading.filter(pl.col("cause_id").is_in(["cond:acute-leukaemia", "cond:cytotoxic-chemotherapy"]))
    assert led.height / leading.height >= 0.9


def test_redistribution_is_named_where_a_low_count_is_high_within_a_day(mimic: dict[str, Any]) -> None:
    mine = pl.col("patient_id") == 10037975, pl.col("episode_id").str.contains("/wbc/")
    redistribution = pl.col("cause_id") == "cond:pseudoleukopenia-infection"
    found = mimic["causes"].filter(*mine, redistribution)
    assert found["rank"].to_list() and max(found["rank"]) <= 3
    evidence = mimic["cause_evidence"].filter(pl.col("episode_id").is_in(found["episode_id"].to_list()), redistribution)
    states = dict(evidence.select("clue", "state").iter_rows())
    looked_for = {"chemotherapy_recent": "absent", "g_csf_recent": "absent"}
    assert states.items() >= {**looked_for, "left_shift": "present", "low_then_high": "present"}.items()
