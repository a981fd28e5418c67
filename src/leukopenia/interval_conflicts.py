"""Published reference intervals side by side: what the sources say for one line and age, and what is in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leukopenia.contracts import Knowledge
from leukopenia.errors import UsageError
from leukopenia.knowledge import citation

Row = Mapping[str, str]

PREFIX = "interval:"
YEAR, MONTH, DAY = 8766, 730.5, 24
_ADULT = (18 * YEAR, 18 * YEAR + 1)
_CHILD = 12 * YEAR
_NEWBORN = 28 * DAY
_SHOWN = ("interval_id", "analyte", "sex", "context", "population", "low", "high", "percentiles", "n", "note")


def side_by_side(wanted: str, knowledge: Knowledge) -> list[dict[str, Any]]:
    """Every published interval that speaks of the same line and ages, from the lowest lower limit up.

    Parameters
    ----------
    wanted : str
        interval:neutrophils (adults) or interval:nhanes-neutrophils-any-1y-3y and the like.
    knowledge : Knowledge
        Uses intervals and interval_choice.

    Returns
    -------
    list of dict
        interval_id, analyte, sex, ages, context, population, low, high (10^9/L; haemoglobin g/L), percentiles, n,
        in_force (the contexts of which it is the limit), note, sources.

    Raises
    ------
    UsageError
        No such line and no such interval.
    """
    analyte, sex, ages = _asked(wanted.removeprefix(PREFIX), knowledge)
    chosen = _in_force(knowledge)
    rows = [row for row in knowledge["intervals"] if row["analyte"] == analyte and _meets(row, sex, ages)]
    return [_told(row, chosen) for row in sorted(rows, key=_lower)]


def _asked(name: str, knowledge: Knowledge) -> tuple[str, str, tuple[int, int]]:
    for row in knowledge["intervals"]:
        if row["interval_id"] == name:
            return row["analyte"], row["sex"], _ADULT if row["context"] == "pregnant" else _ages(row)
    if any(row["analyte"] == name for row in knowledge["intervals"]):
        return name, "any", _ADULT
    raise UsageError(
        f"There is no published interval {name!r}.",
        "",
        "`leukopenia knowledge intervals` lists all; interval:neutrophils shows those of adults side by side.",
    )


def _ages(row: Row) -> tuple[int, int]:
    return int(row["age_from_hours"]), int(row["age_to_hours"])


def _meets(row: Row, sex: str, ages: tuple[int, int]) -> bool:
    low, high = _ages(row)
    if row["context"] == "pregnant":
        # Its rows name no age; beside those of a newborn they would say nothing.
        low = _CHILD
    return low < ages[1] and ages[0] < high and (row["sex"] == sex or "any" in (row["sex"], sex))


def _in_force(knowledge: Knowledge) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in knowledge["interval_choice"]:
        contexts = found.setdefault(row["interval_id"], [])
        if row["context"] not in contexts:
            contexts.append(row["context"])
    return found


def _lower(row: Row) -> tuple[float, str]:
    return float(row["low"] or "inf"), row["interval_id"]


def _told(row: Row, chosen: Mapping[str, list[str]]) -> dict[str, Any]:
    told: dict[str, Any] = {name: row[name] for name in _SHOWN if row[name]}
    told["ages"] = age_span(row)
    told["in_force"] = chosen.get(row["interval_id"], [])
    told["sources"] = [citation(source) for source in row["source_id"].split(";")]
    return told


def age_span(row: Row) -> str:
    """The ages of an interval in words, and the weeks of gestation where it has some."""
    low, high = _ages(row)
    if row["gestation_from_weeks"]:
        return f"week {row['gestation_from_weeks']} to {int(row['gestation_to_weeks']) - 1}"
    return f"from {_age(low)}" if high >= 100 * YEAR else f"{_age(low)} to {_age(high)}"


def _age(hours: int) -> str:
    if hours <= 5 * DAY:
        return f"{hours} h"
    if hours <= _NEWBORN:
        return f"{hours / DAY:g} d"
    if hours < 2 * YEAR and hours % YEAR:
        return f"{hours / MONTH:.0f} months"
    return f"{hours / YEAR:.0f} years"


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The intervals as a table for the screen; `*` marks those in force."""
    cells = [_cells(row) for row in rows]
    head = ("", "low", "high", "percentiles", "sex", "ages", "context", "population", "interval_id")
    widths = [max(len(line[place]) for line in [head, *cells]) for place in range(len(head))]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [head, *cells]
    ]
    return [*shown, "", "* in force where the laboratory gives no limit of its own"]


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    given = ("percentiles", "sex", "ages", "context", "population", "interval_id")
    return ("*" if row["in_force"] else "", row.get("low", ""), row.get("high", ""), *(row[name] for name in given))
