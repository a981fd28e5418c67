"""Writes a simulated hospital's counts as one long CSV, and the truth as another.

A table of results holds persons only beside their results: of drugs, diagnoses and stays it says nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import fields
from random import Random
from typing import Any

from leukopenia.simulate.growing import Additions, chosen
from leukopenia.simulate.records import Hospital, Person, Result, Truth, clock

RESULTS = (
    *("patient", "time", "test", "value", "unit", "low", "high"),
    *("flag", "specimen", "sex", "birth_date", "death_date"),
)
TRUTH = tuple(field.name for field in fields(Truth))
TEST, VALUE, FLAG = (RESULTS.index(name) for name in ("test", "value", "flag"))
NOT_VALID = ("entered-in-error", "cancelled")

Row = list[Any]


def lines(rows: Iterable[Iterable[Any]]) -> bytes:
    """Rows as CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


HEADINGS = {"results.csv": lines([RESULTS]), "truth.csv": lines([TRUTH])}


def render(hospital: Hospital) -> Additions:
    """One row for each result; a table has no status, so cancelled and mistaken ones are left out.

    Parameters
    ----------
    hospital : Hospital
        What to write. Of one with dirt, a few rows stand a second time at the end, with a field too many.
    """
    persons = {person.patient_id: _person(person) for person in hospital.persons}
    rows = [_row(result, persons) for result in valid(hospital.results)]
    counted = {"results": len(rows)}
    dirt = _soil(rows, Random(f"csv/{hospital.persons[0]}")) if hospital.dirt else {}
    return Additions({"results.csv": lines(rows)}, counted, dirt)


def _soil(rows: list[Row], rng: Random) -> dict[str, int]:
    """What typed tables have: flags behind numbers, decimal commas, capitals, fields too many."""
    numbers = [row for row in rows if isinstance(row[VALUE], float)]
    flagged = chosen([row for row in numbers if row[FLAG] in ("L", "H")], 0.05, rng)
    for row in flagged:
        row[VALUE] = f"{row[VALUE]} {row[FLAG]}"
    commas = chosen([row for row in numbers if isinstance(row[VALUE], float) and 0 <= row[VALUE] < 100], 0.005, rng)
    for row in commas:
        row[VALUE] = f"{row[VALUE]:.2f}".replace(".", ",")
    capitals = chosen(rows, 0.01, rng)
    for row in capitals:
        row[TEST] = f" {str(row[TEST]).upper()} "
    wide = chosen(rows, 0.0001, rng)
    rows += [[*row, "x"] for row in wide]
    kinds = {"flag_in_value": flagged, "decimal_comma": commas, "capitals_and_spaces": capitals, "field_too_many": wide}
    return {kind: len(found) for kind, found in kinds.items()}


def truth(hospital: Hospital) -> bytes:
    """One row for each low run, and one for each person without any."""
    return lines([getattr(run, column) for column in TRUTH] for run in hospital.truth)


def valid(results: Iterable[Result]) -> list[Result]:
    """Results that a table without a status may hold."""
    return [result for result in results if result.status not in NOT_VALID]


def worded(result: Result) -> str | None:
    """The result in words, where it is not a plain number."""
    return result.text or (f"{result.comparator}{result.value}" if result.comparator else None)


def named(result: Result) -> str:
    """The name of the test; where a table has no column for it, the specimen stands in the name."""
    return f"{result.name}, {result.specimen}" if result.analyte == "fluid" else result.name


def _person(person: Person) -> tuple[str, str, str]:
    precision = person.birth_precision
    birth = "" if precision == "none" else clock(person.birth, precision)
    return person.sex, birth, "" if person.death is None else clock(person.death, "day")


def _row(result: Result, persons: dict[str, tuple[str, str, str]]) -> Row:
    time = "" if result.minute is None else clock(result.minute, result.precision)
    said = worded(result) or result.value
    counted = (result.patient_id, time, result.name, said, result.unit, result.low, result.high)
    return [*counted, result.flag, result.specimen, *persons.get(result.patient_id, ("", "", ""))]
