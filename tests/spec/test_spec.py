"""Every scenario of spec/ holds, on every engine it names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from runner import ROOMS, SPEC, Scenario, differences, load, made, scenarios, table

from leukopenia.errors import REASONS

ALL = scenarios()
RUNS = [
    pytest.param(scenario, engine, id=f"{scenario.name}-{engine}") for scenario in ALL for engine in scenario.engines
]


@pytest.mark.parametrize(("scenario", "engine"), RUNS)
def test_scenario(scenario: Scenario, engine: str, tmp_path: Path) -> None:
    tables = made(scenario, engine, tmp_path)
    found = differences(scenario, tables)
    assert not found, "\n".join([f"{scenario.title}. {scenario.reason}", *found])
    assert _reasons(tables) <= {"", *REASONS}


def _reasons(tables: Mapping[str, pl.DataFrame]) -> set[str]:
    return {text for frame in tables.values() if "reason" in frame.columns for text in frame["reason"]}


def test_every_file_is_a_scenario_of_a_room() -> None:
    # The rule packs of drug monitoring have a form, and a runner, of their own.
    files = {path for path in SPEC.rglob("*") if path.is_file() and path.parent.name != "monitor"}
    assert files == {SPEC / f"{scenario.name}.yaml" for scenario in ALL}
    assert {scenario.room for scenario in ALL} == set(ROOMS)


def test_titles_tell_scenarios_apart() -> None:
    titles = [scenario.title for scenario in ALL]
    assert len(set(titles)) == len(titles)
    assert all(scenario.reason.strip().endswith(".") for scenario in ALL)


def test_every_scenario_has_a_duckdb_twin_somewhere_in_its_room() -> None:
    rooms = {scenario.room for scenario in ALL if "duckdb" in scenario.engines}
    assert rooms == set(ROOMS)


def test_a_wrong_scenario_fails(tmp_path: Path) -> None:
    path = tmp_path / "harmonise" / "wrong.yaml"
    path.parent.mkdir()
    path.write_text(
        "title: wrong\nreason: to see it fail.\nresults: |\n  patient, time, test, value, unit\n"
        "  1, 2024-01-01, WBC, 3.0, K/uL\nexpect:\n  counts: |\n    patient, value\n    1, 3.1\n  issues: |\n"
        "    reason, n\n    not_blood, 1\n",
        encoding="utf-8",
    )
    scenario = load(path)
    found = differences(scenario, made(scenario, "polars", tmp_path))
    assert len(found) == 3


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text("title: t\nreason: r.\nexpected: {}\nexpect: {}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="expected"):
        load(path)


def test_every_spelling_seen_in_the_demos_is_in_the_unit_scenario() -> None:
    beside = Path(__file__).resolve().parents[3] / "shared"
    seen = Path(os.environ.get("LEUKOPENIA_SHARED", beside)) / "data" / "observed_units_and_ranges.tsv"
    if not seen.is_file():
        pytest.skip("the shared list of observed units is not here")
    lines = [line.split("\t") for line in seen.read_text(encoding="utf-8").splitlines()]
    units = {line[3] for line in lines[1:] if line[3]}
    written = {row["unit"] for scenario in ALL for part in scenario.sources.values() for row in _results(part)}
    assert units <= written, sorted(units - written)


def _results(part: object) -> list[dict[str, str]]:
    assert isinstance(part, dict)
    return [row for row in table(part.get("results", "")) if "unit" in row]
