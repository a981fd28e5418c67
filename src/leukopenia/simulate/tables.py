"""Writes a simulated hospital's counts as one long CSV, and the truth as another."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from leukopenia.simulate.records import Hospital, Result, clock

RESULT_COLUMNS = ("patient", "time", "test", "value", "unit", "low", "high")
TRUTH_COLUMNS = ("patient_id", "story", "line", "onset", "nadir_time", "nadir", "recovery", "note")
NOT_VALID = ("entered-in-error", "cancelled")

Cell = str | float | None


def write_results(hospital: Hospital, path: Path) -> None:
    """Write one row for each result; a table has no status, so cancelled and mistaken ones are left out.

    Parameters
    ----------
    hospital : Hospital
        What to write.
    path : Path
        File to write; replaced if it is there.
    """
    valid = (result for result in hospital.results if result.status not in NOT_VALID)
    _write(path, RESULT_COLUMNS, map(_row, valid))


def write_truth(hospital: Hospital, path: Path) -> None:
    """Write one row for each low run, and one for each person without any.

    Parameters
    ----------
    hospital : Hospital
        What to write.
    path : Path
        File to write; replaced if it is there.
    """
    rows = ([getattr(run, column) for column in TRUTH_COLUMNS] for run in hospital.truth)
    _write(path, TRUTH_COLUMNS, rows)


def _row(result: Result) -> list[Cell]:
    time = "" if result.minute is None else clock(result.minute, result.precision)
    test = f"{result.name}, {result.specimen}" if result.analyte == "fluid" else result.name
    value: Cell = result.text or (f"{result.comparator}{result.value}" if result.comparator else result.value)
    return [result.patient_id, time, test, value, result.unit, result.low, result.high]


def _write(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Cell]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
