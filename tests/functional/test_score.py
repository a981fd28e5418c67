"""The command `score` as a user types it: a small simulated run, scored; bad input, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import fails, succeeds, text

FLOORS = {"neutrophils": 0.9, "wbc": 0.95}
"""Sensitivity. The truth calls a count low below the laboratory's limit; neutrophils must be below 1.5 as well."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    succeeds("simulate", folder / "hospital", "--patients", "300", "--seed", "11")
    succeeds("run", folder / "hospital", "-o", folder / "result")
    return folder


def scored(town: Path, truth: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    told: dict[str, list[dict[str, Any]]] = json.loads(
        succeeds("score", town / "result", truth or town / "hospital" / "truth.csv", "--json")
    )
    return told


def test_most_of_the_truth_is_found_and_little_else(town: Path) -> None:
    found = {row["line"]: row for row in scored(town)["detection"]}
    assert {line: found[line]["sensitivity"] >= least for line, least in FLOORS.items()} == dict.fromkeys(FLOORS, True)
    assert [line for line in FLOORS if found[line]["precision"] < 0.95] == []
    assert found["neutrophils"]["runs"] > 50


def test_a_person_reads_the_same(town: Path) -> None:
    row = next(row for row in scored(town)["detection"] if row["line"] == "neutrophils")
    said = succeeds("score", town / "result", town / "hospital" / "truth.csv")
    line = next(line for line in said.splitlines() if line.startswith("  neutrophils"))
    assert line.split()[1:3] == [str(row["runs"]), str(row["found"])]
    assert f"{row['sensitivity']:.3f} ({row['sensitivity_low']:.3f} to {row['sensitivity_high']:.3f})" in line


def test_a_truth_of_ones_own_will_do(town: Path, tmp_path: Path) -> None:
    own = text(tmp_path / "own.csv", "patient_id,line,onset,recovery\nnobody,wbc,2024-01-01,\n")
    rows = scored(town, own)["detection"]
    assert [(row["line"], row["runs"], row["found"], row["true"]) for row in rows] == [("wbc", 1, 0, 0)]


@pytest.mark.parametrize(
    ("result", "truth", "code", "said"),
    [
        ("nowhere", "hospital/truth.csv", 3, "no episodes.parquet"),
        ("hospital", "hospital/truth.csv", 3, "no episodes.parquet"),
        ("result", "nowhere.csv", 3, "no file"),
        ("result", "result/report.html", 3, "cannot be read as a table"),
    ],
)
def test_bad_input_is_named(town: Path, result: str, truth: str, code: int, said: str) -> None:
    assert said in fails(code, "score", town / result, town / truth)


def test_a_table_that_is_no_truth_is_refused(town: Path, tmp_path: Path) -> None:
    other = text(tmp_path / "labs.csv", "patient,test\n1,WBC\n")
    assert "no column patient_id, line, onset, recovery" in fails(4, "score", town / "result", other)


@pytest.mark.parametrize("format", ["omop", "meds"])
def test_formats_with_numbers_for_persons_are_scored_too(tmp_path: Path, format: str) -> None:
    succeeds("simulate", tmp_path / "hospital", "--patients", "100", "--format", format)
    succeeds("run", tmp_path / "hospital", "-o", tmp_path / "result")
    told = json.loads(succeeds("score", tmp_path / "result", tmp_path / "hospital" / "truth.csv", "--json"))
    (neutrophils,) = (row for row in told["detection"] if row["line"] == "neutrophils")
    assert neutrophils["sensitivity"] > 0.85
