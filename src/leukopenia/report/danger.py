"""What comes first on every page: red flags, and whether the numbers are real."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from leukopenia.report.facts import NOT_REAL, RISK_KINDS, Row

_MOST_LISTED = 100
_ORDER = {kind: index for index, kind in enumerate(RISK_KINDS)}


@dataclass(frozen=True)
class Group:
    """The risks of one kind: how many persons, and the newest rows."""

    kind: str
    title: str
    persons: int | str
    rows: list[Row]
    more: int = 0


@dataclass(frozen=True)
class Danger:
    """Red flags that are ongoing, questions about the numbers, and red flags that are past."""

    ongoing: list[Group]
    not_real: list[Group]
    past: list[Group]


def danger(risks: pl.DataFrame) -> Danger:
    """The risks in the order in which they are to be read."""
    rows = sorted(risks.to_dicts(), key=lambda row: (row["ongoing"], row["minute"] or 0), reverse=True)
    return Danger(
        _groups(row for row in rows if row["kind"] != NOT_REAL and row["ongoing"]),
        _groups(row for row in rows if row["kind"] == NOT_REAL),
        _groups(row for row in rows if row["kind"] != NOT_REAL and not row["ongoing"]),
    )


def _groups(risks: Iterable[Row]) -> list[Group]:
    kinds: dict[str, list[Row]] = {}
    for row in risks:
        kinds.setdefault(row["kind"], []).append(row)
    return [
        Group(
            kind,
            title(kind),
            len({row["patient_id"] for row in rows}),
            rows[:_MOST_LISTED],
            max(len(rows) - _MOST_LISTED, 0),
        )
        for kind, rows in sorted(kinds.items(), key=lambda part: urgency(part[0]))
    ]


def urgency(kind: str) -> int:
    """The place of a kind in the order; a kind that is not known stands last, but it stands."""
    return _ORDER.get(kind, len(_ORDER))


def title(kind: str) -> str:
    """The heading of a kind."""
    return RISK_KINDS.get(kind, kind.replace("_", " "))


def danger_in_numbers(summary: Mapping[str, Any]) -> Danger:
    """The same without persons: only how many, from the aggregates."""
    rows = sorted(summary.get("risks", []), key=lambda row: urgency(row["kind"]))
    groups = [(row, Group(row["kind"], title(row["kind"]), row["persons"], [])) for row in rows]
    return Danger(
        [group for row, group in groups if row["ongoing"] and row["kind"] != NOT_REAL],
        [group for row, group in groups if row["kind"] == NOT_REAL],
        [group for row, group in groups if not row["ongoing"] and row["kind"] != NOT_REAL],
    )
