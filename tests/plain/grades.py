"""Twin of `detect.grades`: the grade of one count under one standard, by what its true value may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from plain.results import exact

Row = dict[str, Any]

A_LITTLE = Fraction(1, 10**9)
"""Less than any step between values, which lie on a grid of millionths."""


def grade(
    count: Row,
    standard: str,
    direction: str,
    criteria: Iterable[Mapping[str, str]],
    unnumbered: Iterable[Mapping[str, str]],
) -> Row:
    """Grade, at_least and reason of a count with `protocol_limit`, `age_days` and `has_hiv`."""
    rows = [row for row in criteria if _is(row, count, standard, direction)]
    applicable = [row for row in rows if _of_age(row, count["age_days"])]
    reason = _no_term(count, rows, applicable, [row for row in unnumbered if _is(row, count, standard, direction)])
    if reason:
        return _unknown(reason)
    sign = 1 if direction == "low" else -1
    towards, away = ("<", ">") if direction == "low" else (">", "<")
    comparator = count["comparator"]
    nearest = exact(count["value"])
    if comparator == towards:
        nearest -= sign * A_LITTLE
    if comparator == away:
        nearest += sign * A_LITTLE
    mildest = _at(nearest, applicable, count["protocol_limit"], sign)
    if mildest == 0 and count["protocol_limit"] is None and any(row["bound"] != "value" for row in rows):
        return _unknown("no_laboratory_limit")
    if comparator.startswith(towards):
        worst = max(int(row["grade"]) for row in applicable)
        return _unknown("censored") if mildest == 0 else _known(mildest, mildest < worst)
    if comparator.startswith(away) and mildest > 0:
        return _unknown("censored")
    return _known(mildest, False)


def _is(row: Mapping[str, str], count: Row, standard: str, direction: str) -> bool:
    return row["standard"] == standard and row["direction"] == direction and row["analyte"] == count["analyte"]


def _of_age(row: Mapping[str, str], days: int | None) -> bool:
    if not row["age_unit"]:
        return True
    if days is None:
        return False
    age = days if row["age_unit"] == "day" else int((days + Fraction(3, 4)) / Fraction(1461, 4))
    return int(row["age_from"]) <= age <= int(row["age_to"])


def _no_term(count: Row, rows: list[Any], applicable: list[Any], unnumbered: list[Any]) -> str:
    if unnumbered:
        return unnumbered[0]["reason"]
    if not rows:
        return "no_term"
    if count["has_hiv"] and any(row["excludes"] == "hiv" for row in rows):
        return "term_excludes_hiv"
    if applicable:
        return ""
    return "age_unknown" if count["age_days"] is None else "no_criteria_for_age"


def _at(value: Fraction, rows: Iterable[Mapping[str, str]], protocol_limit: float | None, sign: int) -> int:
    reached = 0
    for row in rows:
        number = float(row["limit"]) if row["bound"] == "value" else protocol_limit
        if number is None:
            continue
        distance = sign * (exact(number) - value)
        if distance > 0 or (distance == 0 and row["inclusive"] == "1"):
            reached = max(reached, int(row["grade"]))
    return reached


def _known(grade: int, at_least: bool) -> Row:
    return {"grade": grade, "at_least": at_least, "reason": ""}


def _unknown(reason: str) -> Row:
    return {"grade": None, "at_least": False, "reason": reason}
