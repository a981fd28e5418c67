"""Small cells: what of a cohort may leave the place where its records lie.

The rule is that of OpenSAFELY: counts of seven or fewer are redacted, all others rounded to the nearest five,
and totals are made from the rounded cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

REDACTED = "[redacted]"
_LARGEST_REDACTED = 7
_ROUND_TO = 5

# Whole numbers that name a category. Every other whole number is taken to be a count of persons or rows: a
# new aggregate is redacted until somebody says that it need not be.
_CATEGORIES = frozenset({"grade", "v5", "v6"})
# Positions of single episodes, and free text of the source, which can point at one person.
_DROPPED = frozenset({"scatter"})
KNOWLEDGE = frozenset({"bands", "names", "groups"})
_FREE_TEXT = ("units", "unit")
# A rare drug or disease points at the few who have it: of the causes only those that lead in enough persons.
_RARE = ("causes", "persons_led")


def cell(count: int) -> int | str:
    """A count as it may be shown."""
    if count <= _LARGEST_REDACTED:
        return REDACTED
    return _ROUND_TO * round(count / _ROUND_TO)


def disclose(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The summary with every count redacted or rounded and all positions of single episodes left out."""
    table, column = _FREE_TEXT
    shown = {
        name: part if name in KNOWLEDGE else counts_hidden(part)
        for name, part in summary.items()
        if name not in _DROPPED
    }
    shown[table] = [row for row in shown.get(table, []) if row["rows"] != REDACTED and column in row]
    table, column = _RARE
    if table in shown:
        shown[table] = _common(shown[table], column)
    if "monitoring" in shown:
        shown["monitoring"]["by_drug"] = _common(shown["monitoring"]["by_drug"], "persons")
    return shown


def _common(rows: Iterable[dict[str, Any]], column: str) -> list[dict[str, Any]]:
    return [row for row in rows if row[column] != REDACTED]


def counts_hidden(part: Any) -> Any:
    """The same structure with every whole number that is not a category redacted or rounded."""
    if isinstance(part, Mapping):
        return {key: value if key in _CATEGORIES else counts_hidden(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [counts_hidden(value) for value in part]
    if isinstance(part, float):
        return REDACTED
    return cell(part) if isinstance(part, int) and not isinstance(part, bool) else part


def total(cells: Iterable[int | str | None]) -> int | str:
    """The sum of the cells as shown; if nothing but redacted cells is there, redacted too."""
    shown = list(cells)
    numbers = [value for value in shown if isinstance(value, int)]
    return sum(numbers) if numbers or not shown else REDACTED
