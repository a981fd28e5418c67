"""Twin of `harmonise.drugs`: drug rows of one person and ingredient, joined into exposures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Row = dict[str, Any]

SIGNAL = ("system", "code", "name", "route")
STRENGTH = ("administered", "dispensed", "stated", "ordered")


def given(rows: Iterable[Row], meanings: Mapping[tuple[Any, ...], list[str]]) -> list[Row]:
    """A row per drug row and ingredient, with the reason where it can be no exposure."""
    return [
        _given(row, ingredient) for row in rows for ingredient in meanings.get(tuple(row[name] for name in SIGNAL), [])
    ]


def _given(row: Row, ingredient: str) -> Row:
    start, end = row["start"], row["end"]
    backwards = start is not None and end is not None and end < start
    reason = "not_given" if row["status"] == "not_given" else "no_time" if start is None else ""
    return {
        **{name: row[name] for name in ("source", "row_id", "patient_id", "status", "dose", "dose_unit")},
        "ingredient": ingredient,
        "start": start,
        "end": start if backwards or end is None else end,
        "backwards": backwards,
        "reason": reason,
    }


def issues(rows: Iterable[Row]) -> list[Row]:
    made = []
    for row in rows:
        if row["reason"]:
            made.append(_issue(row, row["reason"], True))
        if row["backwards"]:
            made.append(_issue(row, "ends_before_start", False))
    return made


def _issue(row: Row, reason: str, set_aside: bool) -> Row:
    return {
        "stage": "harmonise",
        "source": row["source"],
        "table": "raw_drugs",
        "row_id": str(row["row_id"]),
        "reason": reason,
        "detail": row["ingredient"],
        "n": 1,
        "set_aside": set_aside,
    }


def exposures(rows: Iterable[Row], join_days: float, orders: bool) -> list[Row]:
    """Rows no further apart than `join_days` are one exposure; orders count only where nothing else does."""
    groups: dict[tuple[Any, str], list[Row]] = {}
    for row in rows:
        if not row["reason"]:
            groups.setdefault((row["patient_id"], row["ingredient"]), []).append(row)
    made = []
    for group in groups.values():
        taken = [row for row in group if row["status"] != "ordered"]
        kept = taken or (group if orders else [])
        made += [_joined(run) for run in _runs(kept, join_days * 1440)]
    return made


def _runs(rows: list[Row], gap: float) -> list[list[Row]]:
    runs: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: (row["start"], row["end"], row["source"], row["row_id"])):
        if runs and row["start"] <= max(earlier["end"] for earlier in runs[-1]) + gap:
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


def _joined(run: list[Row]) -> Row:
    first = run[0]
    return {
        **{
            name: first[name] for name in ("patient_id", "ingredient", "start", "dose", "dose_unit", "source", "row_id")
        },
        "end": max(row["end"] for row in run),
        "status": min((row["status"] for row in run), key=STRENGTH.index),
        "route": "systemic",
        "rows": len(run),
    }
