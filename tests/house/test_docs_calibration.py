"""The page on calibration is what the benchmark measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

MEASURED = """\
# Calibration

## all off

| tenth | candidates | given | happened | 95 % interval | points |
| --- | --- | --- | --- | --- | --- |
| 0.0 to 0.1 | 5000 | 0.005 | 0.006 | 0.004 to 0.008 | -0.1 |
| 0.1 to 0.2 | 199 | 0.150 | 0.500 | 0.430 to 0.570 | -35.0 |
| 0.2 to 0.3 | 200 | 0.250 | 0.190 | 0.140 to 0.250 | +6.0 |

## all on

| tenth | candidates | given | happened | 95 % interval | points |
| --- | --- | --- | --- | --- | --- |
| 0.0 to 0.1 | 4000 | 0.010 | 0.010 | 0.008 to 0.014 | +0.0 |
"""


@pytest.fixture(scope="module")
def script(script_at: Callable[[Path], ModuleType]) -> ModuleType:
    return script_at(ROOT / "docs" / "calibration.py")


def test_table_and_picture_are_those_of_the_benchmark(script: ModuleType) -> None:
    found = script.measured(script.MEASURED.read_text(encoding="utf-8"))
    text = script.PAGE.read_text(encoding="utf-8")
    assert set(script.SHOWN) <= set(found)
    assert script.with_table(text, script.table(found)) == text, "python docs/calibration.py"
    assert script.PICTURE.read_text(encoding="utf-8") == script.picture(found), "python docs/calibration.py"


def test_tenths_are_read_setting_by_setting(script: ModuleType) -> None:
    found = script.measured(MEASURED)
    assert [one.n for one in found["all off"]] == [5000, 199, 200]
    assert (found["all on"][0].low, found["all on"][0].high) == (0.008, 0.014)


def test_a_tenth_with_few_candidates_is_not_judged_and_one_that_is_off_stands_out(script: ModuleType) -> None:
    line = script.table(script.measured(MEASURED)).splitlines()[2]
    assert line.startswith("| all off | -0.1 | too few | **+6.0** | ")
    assert line.endswith("| 6.0 |")
