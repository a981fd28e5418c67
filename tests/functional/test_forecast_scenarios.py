"""`leukopenia forecast --scenario` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from commands import fails, succeeds, text
from test_forecast import LABS, REGIMEN, hospital

NEXT = ("--next", "2026-01-26 09:00")


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text(tmp_path_factory.mktemp("labs") / "labs.csv", LABS)


@pytest.fixture(scope="module")
def regimen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text(tmp_path_factory.mktemp("file") / "regimen.yaml", REGIMEN)


def told(labs: Path, regimen: Path, *more: str | Path) -> dict[str, Any]:
    found = json.loads(succeeds("forecast", labs, "--patient", "7", "--regimen", regimen, *more, "--json"))
    made: dict[str, Any] = found["scenarios"]
    return made


def test_scenarios_in_words_and_as_a_picture(labs: Path, regimen: Path, tmp_path: Path) -> None:
    plot = tmp_path / "scenarios.svg"
    asked = ("--scenario", "dose=75%", "--scenario", "delay=7", "--scenario", "g-csf", *NEXT, "--plot", plot)
    said = succeeds("forecast", labs, "--patient", "7", "--regimen", regimen, *asked)
    assert "Next cycle, planned for 2026-01-26 09:00. Scenarios, never orders" in said
    rows = [line.strip() for line in said.splitlines()]
    assert [row for row in rows if row.startswith(("same dose  ", "75 % of the dose  ", "same dose, 7 days later  "))]
    assert any(
        row.startswith("same dose, with G-CSF") and row.endswith("models a growth factor with docetaxel")
        for row in rows
    )
    root = ElementTree.parse(plot).getroot()
    lines = [one for one in root.iter() if "course" in one.get("class", "").split()]
    assert len({one.get("stroke-dasharray") for one in lines}) == 3, "told apart without colour"
    description = next(one.text for one in root.iter() if one.tag.endswith("desc"))
    assert description is not None and "75 % of the dose: nadir 0." in description


def test_scenarios_of_a_file_come_with_those_of_the_command_line(labs: Path, tmp_path: Path) -> None:
    more = "next: 2026-01-26 09:00\nscenarios:\n  - {name: half, dose: 50}\n  - {name: helped, g_csf: yes}\n"
    found = told(labs, text(tmp_path / "plan.yaml", REGIMEN + more), "--scenario", "delay=7")
    assert [course["name"] for course in found["courses"]] == ["same dose", "same dose, 7 days later", "half", "helped"]
    same, later, half, helped = found["courses"]
    assert (found["next_dose"], found["interval_days"]) == ("2026-01-26 09:00", 21)
    assert half["doses"] == [{"amount": 90, "unit": "mg"}] and half["dose_percent"] == 50
    assert later["dose_time"] == "2026-02-02 09:00" and later["ready"]["time"] == "2026-02-23 09:00"
    assert half["markers"]["nadir"]["median"] > same["markers"]["nadir"]["median"]
    assert half["markers"]["time_to_grade_4"]["probability"] < same["markers"]["time_to_grade_4"]["probability"]
    assert set(same["at_dose"]) == {"1.0", "1.5"} and 0.9 < same["at_dose"]["1.5"] <= 1
    assert helped["markers"] == {} and helped["curve"]["days"] == []


def test_when_the_next_cycle_is_must_be_known(labs: Path, regimen: Path) -> None:
    asked = ("forecast", labs, "--patient", "7", "--regimen", regimen, "--scenario", "same")
    assert "--next" in fails(2, *asked)
    assert "cannot begin before" in fails(2, *asked, "--next", "2026-01-04")
    assert "lies before the day" in fails(2, *asked, "--next", "2026-01-09")
    assert "not understood" in fails(2, *asked, "--next", "soon")


def test_what_is_not_a_scenario(labs: Path, regimen: Path, tmp_path: Path) -> None:
    asked = ("forecast", labs, "--patient", "7", *NEXT, "--regimen")
    assert "not understood" in fails(2, *asked, regimen, "--scenario", "three quarters")
    for wrong in ("scenarios: yes\n", "scenarios:\n  - {dosis: 75}\n", "scenarios:\n  - {g_csf: 3}\n"):
        fails(2, *asked, text(tmp_path / "wrong.yaml", REGIMEN + wrong))


def test_without_a_card_no_scenario(tmp_path: Path) -> None:
    source = hospital(tmp_path, ("Carboplatin", "2026-01-05T09:00", 1.0, 500.0, "mg"))
    said = fails(2, "forecast", source, "--patient", "7", "--scenario", "same", *NEXT)
    assert "No scenario can be told" in said
