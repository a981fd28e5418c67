"""The page of the replayed patient is what records, cards and program say today."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from leukopenia.forecast_case import Count
from leukopenia.forecast_records import read_person
from leukopenia.policy import Policy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script(script_at: Callable[[Path], ModuleType]) -> ModuleType:
    return script_at(ROOT / "docs" / "mimic_forecast.py")


@pytest.mark.shared
def test_tables_and_picture_are_those_that_are_made(script: ModuleType, shared: Path) -> None:
    events = shared / "data" / "mimic-iv-demo-meds" / "events.parquet"
    person = read_person([events], script.PATIENT, Policy.of({}))
    cycles = [script.replayed(person, cycle) for cycle in script.CYCLES]
    assert {one.status for said in cycles for one in said} == {"no verified card"}
    text = script.PAGE.read_text(encoding="utf-8")
    remedy = "python docs/mimic_forecast.py EVENTS.parquet"
    assert script.with_tables(text, script.page(person, cycles)) == text, remedy
    assert script.PICTURE.read_text(encoding="utf-8") == script.picture(person, cycles), remedy


def test_scores_are_typical_factors_and_a_share_within_the_band(script: ModuleType) -> None:
    came = (Count(0, 4.0, False), Count(0, 1.0, False))
    said = [script.Said(0, "", 2.0, np.array([0.5, 0.8, 1.0, 1.5, 2.0]), came)]
    assert list(script._scores(said)) == ["2", "2.0 times", "2.0 times", "50%"]
    assert list(script._scores([])) == ["0", "", "", ""]
