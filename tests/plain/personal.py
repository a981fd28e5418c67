"""Twin of `reference.personal`: what is low for one person, count by count."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from leukopenia.reference.fit import personal

Row = dict[str, Any]

WEEK = 7 * 1440


def personal_limits(counts: Iterable[Row], rows: Iterable[Mapping[str, str]], policy: Mapping[str, str]) -> list[Row]:
    """Counts of one person, with limit_low, limit_high and age_hours -> a row for each of a known line."""
    variation = {row["analyte"]: row for row in rows if row["use"] == "personal"}
    known = [count for count in counts if count["analyte"] in variation]
    return [_row(count, known, variation[count["analyte"]], policy) for count in known]


def _row(count: Row, all_counts: list[Row], variation: Mapping[str, str], policy: Mapping[str, str]) -> Row:
    means = _stable_weeks(count, all_counts, policy)
    reason = _reason(count, len(means), variation, policy)
    made = {
        "patient_id": count["patient_id"],
        "analyte": count["analyte"],
        "minute": count["minute"],
        "low": None,
        "setpoint": None,
        "weeks": len(means),
        "own": None,
        "population_low": count["limit_low"],
        "below": False,
        "reason": reason,
        "source_id": variation["source_id"],
    }
    if reason:
        return made
    found = personal.personal_limits(
        means,
        float(variation["cv_within"]),
        float(policy["personal.analytical_cv"]),
        (count["limit_low"], count["limit_high"]),
        [float(policy["personal.percentile"])],
    )
    below = count["comparator"] in ("", "<", "<=") and count["value"] < found.lower
    return made | {"low": found.lower, "setpoint": found.setpoint, "own": found.own, "below": below}


def _stable_weeks(count: Row, all_counts: list[Row], policy: Mapping[str, str]) -> list[float]:
    """The geometric mean of each earlier week in which every count of the line is stable."""
    weeks: dict[int, list[Row]] = {}
    for other in all_counts:
        if other["analyte"] == count["analyte"] and other["minute"] // WEEK < count["minute"] // WEEK:
            weeks.setdefault(other["minute"] // WEEK, []).append(other)
    return [
        math.exp(sum(math.log(one["value"]) for one in week) / len(week))
        for week in weeks.values()
        if all(_stable(one, policy) for one in week)
    ]


def _stable(count: Row, policy: Mapping[str, str]) -> bool:
    if count["comparator"] or count["conflict"] or count["unit_repaired"] or not _adult(count, policy):
        return False
    if count["limit_low"] is None or count["limit_high"] is None:
        return False
    return bool(count["value"] > 0 and count["limit_low"] <= count["value"] <= count["limit_high"])


def _adult(count: Row, policy: Mapping[str, str]) -> bool:
    return count["age_hours"] is not None and count["age_hours"] >= 8766 * int(policy["personal.from_years"])


def _reason(count: Row, weeks: int, variation: Mapping[str, str], policy: Mapping[str, str]) -> str:
    low, high = count["limit_low"], count["limit_high"]
    if not low or not high or high <= low:
        return "no_interval"
    spread = personal.log_sd(float(variation["cv_within"]), float(policy["personal.analytical_cv"]))
    if math.log(high / low) / personal.TO_SD <= spread:
        return "interval_too_narrow"
    if count["age_hours"] is None:
        return "age_unknown"
    if not _adult(count, policy):
        return "not_adult"
    return "too_few_earlier_counts" if weeks < int(policy["personal.counts"]) else ""
