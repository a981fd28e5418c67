"""The table and the picture of conflicting limits are those of the rows of knowledge."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def drawn(script_at: Callable[[Path], ModuleType]) -> ModuleType:
    return script_at(DOCS / "conflicting_limits.py")


def test_the_page_has_the_table_of_the_rows(drawn: ModuleType) -> None:
    assert drawn.table() in (DOCS / "explanation" / "limits.md").read_text(encoding="utf-8")


def test_the_picture_is_that_of_the_rows(drawn: ModuleType) -> None:
    assert drawn.PICTURE.read_text(encoding="utf-8") == drawn.picture()


def test_every_mark_lies_on_its_axis_and_every_source_has_one(drawn: ModuleType) -> None:
    marks = re.findall(r'<(?:circle cx|rect x)="([\d.]+)"', drawn.picture())
    rows = [row for row in drawn.adults() if row["analyte"] in drawn.DRAWN]
    assert len(marks) == len(rows) > 60
    for row in rows:
        low, high = drawn.DRAWN[row["analyte"]]
        assert low <= float(row["low"]) <= high, row["interval_id"]
