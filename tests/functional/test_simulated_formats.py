"""What `simulate` writes is read back by `run`: no row is lost, and every format tells the same of the same world."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from commands import command, environment, fails, succeeds, table, whole

import leukopenia as lk
from leukopenia import api, knowledge, simulate, simulating
from leukopenia.engine import open_engine
from leukopenia.simulate import Departures, Hospital, Result, Truth

FORMATS = tuple(simulate.FORMATS)
CLEAN = Departures(shifted=False, hidden=False, missing=False, wrong=False)
RECEIVED = {
    "fhir": {"Observation": "Observation", "Patient": "Patient", "Condition": "Condition", "Procedure": "Procedure"},
    "omop": {
        "raw_results": "measurement",
        "raw_drugs": "drug_exposure",
        "raw_conditions": "condition_occurrence",
        "raw_procedures": "procedure_occurrence",
        "raw_encounters": "visit_occurrence",
        "raw_periods": "observation_period",
    },
    "meds": {},
    "csv": {"raw_results": "results"},
}


@pytest.fixture(scope="module", params=FORMATS)
def dirty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A small hospital with all its dirt in one format, and what `run` made of it."""
    folder = tmp_path_factory.mktemp(request.param)
    succeeds("simulate", folder / "hospital", "--patients", "120", "--format", request.param, "--seed", "3")
    succeeds("run", folder / "hospital", "-o", folder / "result")
    return request.param, folder


def told(folder: Path) -> dict[str, Any]:
    """What a simulated folder says of itself."""
    return dict(json.loads((folder / "simulation.json").read_text(encoding="utf-8")))


def test_every_row_that_was_written_is_received(dirty: tuple[str, Path]) -> None:
    name, folder = dirty
    simulated, (accounting,) = told(folder / "hospital"), whole(folder / "result")["accounting"].values()
    extra = {
        "Observation": simulated["dirt"].get("bundle_of_copies", 0) * 2,
        "raw_results": simulated["dirt"].get("field_too_many", 0),
    }
    for received, written in RECEIVED[name].items():
        assert accounting[f"received {received}"] == simulated["rows"][written] + extra.get(received, 0), received
    if name == "meds":
        aside = table(folder / "result", "issues").filter(stage="read", table="events")["n"].sum()
        events = sum(n for received, n in accounting.items() if received.startswith("received "))
        assert events + aside == simulated["rows"]["events"]


def test_every_row_received_flows_on_or_stands_in_the_issues(dirty: tuple[str, Path], tmp_path: Path) -> None:
    name, folder = dirty
    engine = open_engine("duckdb")
    raw = api.read(folder / "hospital", engine, tmp_path)
    rows = {table: engine.collect(frame) for table, frame in raw.tables.items()}
    aside = {
        table: sum(int(str(i["n"])) for i in raw.issues if i["set_aside"] and i["table"] == table) for table in rows
    }
    if name == "fhir":
        records = {row_id // 1000 for frame in rows.values() for row_id in frame["row_id"]}
        set_aside = sum(int(str(i["n"])) for i in raw.issues if i["set_aside"])
        assert sum(raw.rows_in.values()) == len(records) + raw.rows_in["Medication"] + set_aside
    else:
        whole_tables = [table for table in rows if name != "meds" or table == "raw_results"]
        assert len(whole_tables) >= 1
        for each in whole_tables:
            assert raw.rows_in[each] == len(rows[each]) + aside[each], each
    engine.close()


def test_every_result_is_a_count_or_a_finding_or_has_a_reason(dirty: tuple[str, Path]) -> None:
    _, folder = dirty
    (accounting,) = whole(folder / "result")["accounting"].values()
    issues = table(folder / "result", "issues").filter(pl.col("table") == "raw_results", pl.col("set_aside"))
    assert set(issues["stage"]) >= {"harmonise"}
    assert 0 < issues.filter(stage="harmonise")["n"].sum() < accounting["results"]


# --- the same world in every format


def bare(result: Result) -> Result:
    """A result as all formats can carry it: no reference range, and no comparator within a text."""
    plain = replace(result, low=None, high=None, flag="")
    censored = result.text.startswith("<")
    return replace(plain, text="", value=float(result.text[1:]), comparator="<") if censored else plain


@cache
def world(kind: str) -> Hospital:
    """A clean hospital: all of it, without reference ranges, or nothing but such results."""
    made = simulate.block(range(1, 101), 5, knowledge.load(), CLEAN)
    if kind == "all":
        return made
    ranged = replace(made, results=tuple(map(bare, made.results)))
    return ranged if kind == "no_ranges" else replace(ranged, drugs=(), conditions=(), procedures=(), encounters=())


@pytest.fixture(scope="module")
def told_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Counts and episodes that `run` finds in one format of one kind of world."""

    @cache
    def found(kind: str, format: str) -> dict[str, pl.DataFrame]:
        folder = simulate.write(world(kind), tmp_path_factory.mktemp(kind) / format, format)
        # Whether somebody is Duffy-null is a diagnosis, which a table of results cannot tell.
        with lk.run(folder, policy={"context": "general"}, engine="polars") as result:
            return {name: comparable(result.tables[name], format) for name in ("counts", "episodes")}

    return found


def comparable(rows: pl.DataFrame, format: str) -> pl.DataFrame:
    """Rows without ids of the source; patients by their number. In MEDS every time is one to the minute."""
    number = pl.col("patient_id").cast(pl.String).str.extract(r"(\d+)$").cast(pl.Int64)
    rows = rows.with_columns(number).drop("source", "row_id", "episode_id", strict=False)
    if format == "meds" and "time_precision" in rows.columns:
        midnight = pl.col("minute") % 1440 == 0
        rows = rows.with_columns(time_precision=pl.when(midnight).then(pl.lit("day")).otherwise("time_precision"))
    order = ("patient_id", "analyte", "minute", "number")
    return rows.sort(*(name for name in order if name in rows.columns))


@pytest.mark.parametrize(
    ("kind", "format"),
    [("all", "omop"), ("no_ranges", "meds"), ("results", "omop"), ("results", "meds"), ("results", "csv")],
)
def test_a_clean_world_gives_the_same_counts_and_episodes_as_in_fhir(told_of: Any, kind: str, format: str) -> None:
    for name in ("counts", "episodes"):
        ours, theirs = told_of(kind, format)[name], told_of(kind, "fhir")[name]
        assert ours.height > 100
        assert ours.equals(theirs), (name, [c for c in ours.columns if not ours[c].equals(theirs[c])])


# --- the truth, through the dirt of each format


@pytest.fixture(scope="module")
def found_in(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The deep falls of a hospital with all its dirt, and which of them `run` finds in a format."""
    dirt_alone = replace(CLEAN, wrong=True)
    hospital = simulate.block(range(1, 201), 7, knowledge.load(), dirt_alone)
    falls = [run for run in hospital.truth if run.line == "neutrophils" and run.nadir is not None and run.nadir < 1.0]

    @cache
    def found(format: str) -> tuple[list[Truth], set[Truth]]:
        folder = simulate.write(hospital, tmp_path_factory.mktemp("dirty") / format, format)
        with lk.run(folder, policy={"context": "general"}, engine="polars") as result:
            episodes = comparable(result.tables["episodes"], format).filter(analyte="neutrophils")
        return falls, {run for run in falls if _is_one_of(run, episodes)}

    def of(format: str) -> tuple[list[Truth], set[Truth]]:
        # A table without drugs cannot tell which counts belong to which cycle of chemotherapy.
        falls, those = found(format)
        return [run for run in falls if format != "csv" or run.cause_class != "chemotherapy"], those

    return of


def _is_one_of(run: Truth, episodes: pl.DataFrame) -> bool:
    at = int((datetime.fromisoformat(run.nadir_time) - datetime(1970, 1, 1)).total_seconds() // 60)
    person = pl.col("patient_id") == int(run.patient_id.rpartition("-")[2])
    during = episodes.filter(person, pl.col("onset") <= at, pl.col("last_low") >= at)
    return len(during) == 1 and abs(during["nadir"][0] - (run.nadir or 0.0)) < 1e-6


@pytest.mark.parametrize("format", ["omop", "meds", "csv"])
def test_a_deep_fall_that_is_found_in_fhir_is_found_in_every_format(found_in: Any, format: str) -> None:
    falls, in_format = found_in(format)
    _, in_fhir = found_in("fhir")
    assert len(falls) > 30
    assert [run for run in falls if run in in_fhir and run not in in_format] == []
    assert len(in_fhir) > 30


# --- the same bytes, all or nothing


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("format", FORMATS)
def test_the_bytes_depend_on_the_seed_and_not_on_the_processes(tmp_path: Path, format: str) -> None:
    order = simulating.Order(60, seed=4, format=format, block=20)
    made = [files(simulating.write(order, tmp_path / str(jobs), jobs)) for jobs in (1, 2)]
    assert made[0] == made[1]
    assert {"truth.csv", "simulation.json"} < set(made[0])
    other = files(simulating.write(replace(order, seed=5), tmp_path / "other", 1))
    assert other["truth.csv"] != made[0]["truth.csv"]


def test_a_world_without_wrong_records_has_no_dirt_and_says_so(tmp_path: Path) -> None:
    succeeds("simulate", tmp_path / "clean", "--patients", "20", "--without", "wrong", "--without", "hidden")
    simulated = told(tmp_path / "clean")
    assert simulated["departures"] == {"shifted": True, "hidden": False, "missing": True, "wrong": False}
    assert (simulated["dirt"], simulated["patients"], simulated["rows"]["Patient"]) == ({}, 20, 20)
    assert "hiden" in fails(2, "simulate", tmp_path / "other", "--without", "hiden")
    assert not (tmp_path / "other").exists()


def test_a_folder_with_anything_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("in the way", encoding="utf-8")
    fails(5, "simulate", tmp_path, "--patients", "20")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_leaves_nothing_half_written(tmp_path: Path, sign: signal.Signals) -> None:
    target = tmp_path / "hospital"
    arguments = command("simulate", target, "--patients", "200000", "--format", "omop", "--jobs", "2")
    run = subprocess.Popen(
        arguments,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    while run.poll() is None and not list(tmp_path.glob(".hospital.making-*/*")):
        time.sleep(0.05)
    run.send_signal(sign)
    # The pipe ends when the last of the processes has ended.
    said = run.communicate(timeout=120)[1]
    assert run.returncode == (130 if sign == signal.SIGINT else -signal.SIGKILL)
    assert not target.exists()
    if sign == signal.SIGINT:
        assert (said, list(tmp_path.iterdir())) == (b"", [])
    else:
        succeeds("simulate", target, "--patients", "2", "--format", "omop")
        assert list(tmp_path.iterdir()) == [target]
