"""The page on pseudoleukopenia is what the cards and the published means say today."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_pseudoleukopenia", ROOT / "docs" / "pseudoleukopenia.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(script: ModuleType) -> Any:
    return script.answers()


@pytest.fixture(scope="module")
def changed(script: ModuleType) -> Any:
    return script.otherwise()


def test_tables_and_picture_are_those_that_are_made(script: ModuleType, found: Any, changed: Any) -> None:
    text = script.PAGE.read_text(encoding="utf-8")
    assert script.with_tables(text, script.page(found, changed)) == text, "python docs/pseudoleukopenia.py"
    assert script.PICTURE.read_text(encoding="utf-8") == script.picture(found), "python docs/pseudoleukopenia.py"


def test_what_the_page_says_of_the_pace_holds(script: ModuleType, found: Any) -> None:
    hours = [found[script.COUNT, pace].separated for pace in script.PACES]
    assert hours == sorted(hours)
    assert hours[0] <= 2.0 <= hours[-1]
    one = found[script.COUNT, 1.0]
    assert one.overlap[-1] > one.overlap.min()


def test_what_is_assumed_moves_the_hour_little_and_the_first_ratio_much(changed: Any) -> None:
    assert {0.5 <= one.separated <= 3.0 for one in changed.values()} == {True}
    first = [one.first_ratio for one in changed.values()]
    assert max(first) > 10 * min(first)


def test_a_misfit_is_told_with_its_sign(script: ModuleType) -> None:
    lines = list(script._fit())
    assert len(lines) == 2 + len(script.DOSES) * len(script.ANALYTES)
    for line in lines[2:]:
        own, read, misfit = line.split("|")[3].strip().split(", ")
        assert abs(float(own) / float(read) - 1 - float(misfit.rstrip("%")) / 100) < 0.03


def test_odds_beyond_the_doubt_are_not_numbers(script: ModuleType) -> None:
    assert [script._odds(x) for x in (1500.0, 12.34, 0.25, 0.001)] == [
        "more than 100 to 1",
        "12.3 to 1",
        "1 to 4.0",
        "1 to more than 100",
    ]
