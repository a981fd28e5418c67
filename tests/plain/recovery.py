"""Twin of `forecast.recovery`: one open episode and one day at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Row = dict[str, Any]
Tables = Mapping[str, Any]

DAY = 1440
HORIZON = 42
EMPTY = ("median", "low", "high", "p_grade_1", "p_grade_2", "p_grade_3", "p_grade_4")


def recovery(episodes: list[Row], causes: list[Row], knowledge: Tables, as_of: int) -> list[Row]:
    """Every row of every open episode."""
    known = {row["id"]: row for row in (*knowledge["causes_drugs"], *knowledge["causes_conditions"])}
    made: list[Row] = []
    for episode in episodes:
        if episode["state"] == "open":
            mine = sorted(
                (row for row in causes if row["episode_id"] == episode["episode_id"]), key=lambda row: row["rank"]
            )
            made += _episode(episode, mine, known, as_of)
    return made


def _episode(episode: Row, causes: list[Row], known: Tables, as_of: int) -> list[Row]:
    head = {name: episode[name] for name in ("episode_id", "patient_id", "analyte")} | dict.fromkeys(EMPTY)
    times = [(cause, _time(cause, known.get(cause["cause_id"]), as_of)) for cause in causes]
    told = [(cause, time) for cause, time in times if time not in ("unknown", "waits") and cause["probability"] > 0]
    if not told:
        return [head | _silent(causes, [time for _, time in times], as_of)]
    share = sum(cause["probability"] for cause, _ in told)
    first = [known[cause["cause_id"]] for cause, _ in told[:3]]
    same = {
        "basis": "causes",
        "status": "forecast",
        "unknown_share": max(1.0 - share, 0.0),
        "rests_on": ";".join(row["id"] for row in first),
        "source_id": ";".join(_sources(row) for row in first),
    }
    return [
        head
        | same
        | {"day": day, "minute": as_of + day * DAY, "p_recovered": _chance(told, episode["last_low"], as_of, day)}
        for day in range(HORIZON + 1)
    ]


def _sources(row: Mapping[str, str]) -> str:
    return ";".join(source for source in row["source_id"].split(";") if source != "design")


def _silent(causes: list[Row], times: list[Any], as_of: int) -> Row:
    status = "no published recovery"
    if any(time == "waits" and cause["probability"] > 0 for cause, time in zip(causes, times, strict=True)):
        status = "recovery is published from the stop of a drug, and none is on record"
    if not causes:
        status = "no cause was ranked"
    nothing = {"p_recovered": None, "unknown_share": None, "rests_on": "", "source_id": ""}
    return {"day": 0, "minute": as_of, "basis": "none", "status": status} | nothing


def _time(cause: Row, row: Mapping[str, str] | None, as_of: int) -> Any:
    """The minute from which recovery counts with its median and shape; or never, unknown, or waits."""
    if row is None:
        return "unknown"
    days = [float(row[f"recovery_days_{part}"]) if row[f"recovery_days_{part}"] else None for part in PARTS]
    if not any(days) or row["cause_class"] == "nutritional":
        return "never" if row["cause_class"] in ("constitutional", "congenital") else "unknown"
    if row["kind"] == "drug" or row["cause_class"] == "chemotherapy" or (row["kind"], row["acute"]) == ("exposure", ""):
        single = row["onset_from"] == "last_dose" or row["cause_class"] == "chemotherapy"
        told = single or cause["start"] is None or cause["end"] != cause["start"]
        ended = cause["end"] is not None and cause["end"] <= as_of and told and not _backwards(cause, single)
        return (cause["end"], *_distribution(*days)) if ended else "waits"
    early = cause["start"] is not None and cause["start"] <= cause["onset"]
    return (cause["start"] if early else cause["onset"], *_distribution(*days))


def _backwards(cause: Row, single: bool) -> bool:
    return not single and cause["start"] is not None and cause["end"] < cause["start"]


PARTS = ("min", "median", "max")


def _distribution(low: float | None, middle: float | None, high: float | None) -> tuple[float, float]:
    low = low and max(low, 1.0)
    if middle is None:
        middle = math.sqrt(low * high) if low and high else high or low
    assert middle
    shape = 2 * math.log(39.0) / math.log(high / low) if low and high and high > low else 2.0
    return middle, min(max(shape, 1.0), 8.0)


def _chance(told: list[tuple[Row, Any]], last_low: int, as_of: int, day: int) -> float:
    total = 0.0
    for cause, time in told:
        if time != "never":
            minute, median, shape = time
            then = _still_low((as_of - minute) / DAY + day, median, shape)
            at_last_low = _still_low((last_low - minute) / DAY, median, shape)
            total += cause["probability"] * max(1.0 - then / at_last_low, 0.0)
    return total


def _still_low(days: float, median: float, shape: float) -> float:
    return 1.0 if days <= 0 else 1.0 / (1.0 + (days / median) ** shape)
