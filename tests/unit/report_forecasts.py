"""Forecasts for the made-up hospital of report_facts: by a card, by causes, and none."""

from __future__ import annotations

import math
from typing import Any

DAY = 1440
Rows = list[dict[str, Any]]

_MARKERS = {
    "nadir_day": (8.0, 9.0, 10.0, 1.0),
    "nadir": (0.2, 0.3, 0.5, 1.0),
    "time_to_grade_4": (5.0, 6.0, 7.0, 0.8),
    "days_below_0.5": (2.0, 4.0, 6.0, 1.0),
    "recovery_to_1.0": (13.0, 15.0, 18.0, 1.0),
    "recovery_to_1.5": (15.0, 17.0, 20.0, 0.97),
    "time_to_baseline": (None, None, None, 0.0),
}


def by_card(episode: dict[str, Any], as_of: int, status: str = "forecast", outside: str = "") -> tuple[Rows, Rows]:
    """Five weeks that rise from the nadir, and its markers."""
    place = {name: episode[name] for name in ("episode_id", "patient_id", "analyte")}
    days = [
        place
        | {"day": n, "minute": as_of + n * DAY, "basis": "card", "status": status, "outside": outside}
        | {"rests_on": "netterberg2017-docetaxel", "source_id": "andersohn2007"}
        | {name: 0.3 * factor * math.exp(n / 8) for name, factor in _FACTORS.items()}
        | {f"p_grade_{grade}": 0.2 for grade in (1, 2, 3, 4)}
        | {"p_recovered": n / 36}
        for n in range(36)
    ]
    first = {"episode_id": episode["episode_id"], "patient_id": episode["patient_id"], "day_0": as_of - 8 * DAY}
    marked = [
        first | {"marker": name} | dict(zip(("low", "median", "high", "probability"), values, strict=True))
        for name, values in _MARKERS.items()
    ]
    return days, marked


_FACTORS = {"low": 0.6, "middle_low": 0.8, "median": 1.0, "middle_high": 1.3, "high": 1.8}


_WAYS = {"same dose": (100.0, 0.0), "75 % of the dose": (75.0, 0.0), "same dose, 7 days later": (100.0, 7.0)}


def ahead(episode: dict[str, Any], as_of: int) -> tuple[Rows, Rows]:
    """Three ways of the next cycle, three weeks after the last, that fall and rise, and their markers."""
    days, marked = [], []
    for name, (percent, delay) in _WAYS.items():
        dose = as_of + round((13 + delay) * DAY)
        place = {"episode_id": episode["episode_id"], "patient_id": episode["patient_id"], "scenario": name}
        place |= {"dose_percent": percent, "delay_days": delay, "next_dose": dose}
        for n in range(41):
            median = 40 / percent + (n - 9) ** 2 / 40
            values = {"median": median, "low": median / 2, "high": median * 2, "p_grade_4": 0.4 if n == 9 else 0.0}
            days.append(place | {"day": n, "minute": dose + n * DAY} | values)
        parts = ("low", "median", "high", "probability")
        marked += [place | {"marker": one} | dict(zip(parts, values, strict=True)) for one, values in _MARKERS.items()]
    return days, marked


def by_causes(episode: dict[str, Any], as_of: int, cause: str) -> Rows:
    """Recovery from one cause, the rest unknown."""
    place = {name: episode[name] for name in ("episode_id", "patient_id", "analyte")}
    return [
        place
        | {"day": n, "minute": as_of + n * DAY, "basis": "causes", "status": "forecast", "outside": ""}
        | {"p_recovered": 0.7 * n / 42, "unknown_share": 0.3, "rests_on": cause, "source_id": "andersohn2007"}
        for n in range(43)
    ]


def none(episode: dict[str, Any], as_of: int) -> Rows:
    """No forecast."""
    place = {name: episode[name] for name in ("episode_id", "patient_id", "analyte")}
    return [place | {"day": 0, "minute": as_of, "basis": "none", "status": "no verified card", "rests_on": ""}]
