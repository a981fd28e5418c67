"""The page of one clozapine patient under four rules is what engine and knowledge rows say today."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from leukopenia import knowledge
from leukopenia.monitor.rules import ACTIONS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script(script_at: Callable[[Path], ModuleType]) -> ModuleType:
    return script_at(ROOT / "docs" / "clozapine.py")


@pytest.fixture(scope="module")
def courses(script: ModuleType) -> list[Any]:
    return [script.course(rule) for rule in script.RULES]


def test_tables_and_picture_are_those_that_are_made(script: ModuleType, courses: list[Any]) -> None:
    text = script.PAGE.read_text(encoding="utf-8")
    assert script.with_tables(text, script.page(courses)) == text, "python docs/clozapine.py"
    assert script.PICTURE.read_text(encoding="utf-8") == script.picture(courses), "python docs/clozapine.py"


def test_every_count_gets_the_gravest_action_of_its_bands(script: ModuleType, courses: list[Any]) -> None:
    """The engine against a plain look into the rows of the rule."""
    for one in courses:
        for day, wbc, neutrophils in script.COUNTS:
            values = {"wbc": wbc, "neutrophils": neutrophils}
            actions = [
                row["action"]
                for row in knowledge.load()["monitoring_thresholds"]
                if (row["rule_id"], row["purpose"]) == (one.rule.rule_id, "continue")
                and float(row["at_or_above"] or 0) <= values[row["analyte"]] < float(row["below"])
            ]
            gravest = min(actions, key=ACTIONS.__getitem__, default="")
            assert one.said.get(day, "") == (gravest if day >= 0 else ""), (one.rule.title, day)


def test_the_rules_part_and_meet(script: ModuleType, courses: list[Any]) -> None:
    parting = script.parts(courses)
    assert 0 < len(parting) < len(script.COUNTS)
    stops = [script._first_stop(one) for one in courses]
    assert len(set(stops)) == 3


def test_only_what_stands_between_the_marks_is_replaced(script: ModuleType) -> None:
    text = f"a\n{script.MARKS[0]}\nold\n{script.MARKS[1]}\nb\n"
    assert script.with_tables(text, "new") == f"a\n{script.MARKS[0]}\n\nnew\n{script.MARKS[1]}\nb\n"
