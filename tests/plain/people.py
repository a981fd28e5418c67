"""Twin of `harmonise.diagnoses` and `harmonise.persons`: conditions, and one row per person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Row = dict[str, Any]

SIGNAL = ("system", "code", "name")
CERTAINTIES = ("confirmed", "provisional", "")
PRECISIONS = ("minute", "day", "month", "year", "none")


def conditions(rows: Iterable[Row], meanings: Mapping[tuple[Any, ...], list[str]]) -> list[Row]:
    """One row per person, condition and start: the latest end, the surest word, the first row."""
    groups: dict[tuple[Any, str, int], list[Row]] = {}
    for row in rows:
        if row["start"] is not None:
            for condition in meanings.get(tuple(row[name] for name in SIGNAL), []):
                groups.setdefault((row["patient_id"], condition, row["start"]), []).append(row)
    return [_condition(key, group) for key, group in groups.items()]


def _condition(key: tuple[Any, str, int], group: list[Row]) -> Row:
    first = min(group, key=lambda row: (row["source"], row["row_id"]))
    return {
        **dict(zip(("patient_id", "condition", "start"), key, strict=True)),
        "end": max((row["end"] for row in group if row["end"] is not None), default=None),
        "certainty": min((row["certainty"] for row in group), key=CERTAINTIES.index),
        "source": first["source"],
        "row_id": first["row_id"],
    }


def patients(persons: Iterable[Row], conditions: Iterable[Row], counted: Iterable[Any]) -> list[Row]:
    """One row per person who has a row, a condition or a count."""
    rows, found = list(persons), list(conditions)
    ids = {row["patient_id"] for row in (*rows, *found)} | set(counted)
    return [
        _patient(
            one,
            [row for row in rows if row["patient_id"] == one],
            [row for row in found if row["patient_id"] == one],
        )
        for one in ids
    ]


def _patient(patient: Any, rows: list[Row], conditions: list[Row]) -> Row:
    births = [(PRECISIONS.index(row["birth_precision"]), row["birth"]) for row in rows if row["birth"] is not None]
    precision, birth = min(births, default=(PRECISIONS.index("none"), None))
    hiv = [row["start"] for row in conditions if row["condition"] == "cond:hiv"]
    return {
        "patient_id": patient,
        "sex": min((row["sex"] for row in rows if row["sex"] != "unknown"), default="unknown"),
        "birth": birth,
        "birth_precision": PRECISIONS[precision],
        "death": max((row["death"] for row in rows if row["death"] is not None), default=None),
        "hiv_from": min(hiv, default=None),
        "duffy_null": any(row["condition"] == "cond:ethnic-neutropenia" for row in conditions),
    }


def observation_periods(rows: Iterable[Row]) -> list[Row]:
    """One row per person and start, with the latest end."""
    groups: dict[tuple[Any, int], list[int]] = {}
    for row in rows:
        if row["start"] is not None:
            ends = groups.setdefault((row["patient_id"], row["start"]), [])
            ends += [] if row["end"] is None else [row["end"]]
    return [
        {"patient_id": patient, "start": start, "end": max(ends, default=None)}
        for (patient, start), ends in groups.items()
    ]
