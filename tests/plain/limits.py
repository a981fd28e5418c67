"""Twin of `reference.choose`: the limit in force for one count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Row = dict[str, Any]

NEWBORN_HOURS = 28 * 24


def aged(count: Row, patient: Row | None) -> Row:
    """Age at a count; a date is not midnight, so a count on the day of birth is not before it."""
    birth = patient["birth"] if patient else None
    known = bool(patient) and patient["birth_precision"] == count["time_precision"] == "minute"
    hours = days = None
    if birth is not None:
        days = count["minute"] // 1440 - birth // 1440
        hours = (count["minute"] - birth) // 60
        if days == 0 and not known:
            hours = max(hours, 0)
        if hours < 0:
            # Before birth, as far as the times tell.
            hours = days = None
    return {
        "age_hours": hours,
        "age_days": days,
        "hours_known": known,
        "sex": patient["sex"] if patient else "unknown",
        "duffy_null": patient["duffy_null"] if patient else False,
        "hiv_from": patient["hiv_from"] if patient else None,
    }


def limit(
    count: Row,
    age: Row,
    choice: Iterable[Mapping[str, str]],
    intervals: Iterable[Mapping[str, str]],
    policy: Mapping[str, str],
    estimates: Iterable[Mapping[str, str]] = (),
) -> Row:
    """Laboratory, else estimated, else published by age, sex and context, else none with its reason."""
    own = None if count["low"] is None else _limit(count["low"], count["high"], "laboratory")
    estimate = _estimate(count, age, estimates)
    order = (estimate, own) if policy["limits.first"] == "estimated" else (own, estimate)
    for found in order:
        if found is not None:
            return found
    if policy["published_limits"] == "no":
        return _limit(None, None, "none", reason="no_laboratory_limit")
    chosen = _chosen(count, age, choice, policy["context"])
    for row in intervals:
        if row["interval_id"] == chosen:
            return _limit(_number(row["low"]), _number(row["high"]), "published", chosen)
    return _limit(None, None, "none", reason=_reason(age))


def _estimate(count: Row, age: Row, estimates: Iterable[Mapping[str, str]]) -> Row | None:
    for row in estimates:
        if row["analyte"] == count["analyte"] and row["sex"] in ("any", age["sex"]) and _is_of_age(row, age):
            return _limit(_number(row["low"]), _number(row["high"]), "estimated", row["interval_id"])
    return None


def _is_of_age(row: Mapping[str, str], age: Row) -> bool:
    if not row["age_from_hours"] and not row["age_to_hours"]:
        return True
    hours = age["age_hours"]
    if hours is None or hours < int(row["age_from_hours"] or 0):
        return False
    if not row["age_to_hours"]:
        return True
    # An estimate for newborns alone goes by the hour.
    by_the_hour = int(row["age_to_hours"]) <= NEWBORN_HOURS
    return bool(hours < int(row["age_to_hours"]) and (age["hours_known"] or not by_the_hour))


def _limit(low: float | None, high: float | None, basis: str, interval: str = "", reason: str = "") -> Row:
    return {
        "limit_low": low,
        "limit_high": high,
        "limit_basis": basis,
        "interval_id": interval,
        "limit_reason": reason,
    }


def _number(text: str) -> float | None:
    return float(text) if text else None


def _chosen(count: Row, age: Row, choice: Iterable[Mapping[str, str]], context: str) -> str:
    """A Duffy-null row decides before a general one, even where it gives no interval."""
    duffy = context == "duffy_null" or (context == "recorded" and age["duffy_null"])
    rows = [row for row in choice if row["analyte"] == count["analyte"] and _fits(row, age)]
    for wanted in ("duffy_null", "general") if duffy else ("general",):
        for row in rows:
            if row["context"] == wanted:
                return row["interval_id"]
    return ""


def _fits(row: Mapping[str, str], age: Row) -> bool:
    hours = age["age_hours"]
    if hours is None or not int(row["age_from_hours"]) <= hours < int(row["age_to_hours"]):
        return False
    if int(row["age_from_hours"]) < NEWBORN_HOURS and row["interval_id"] and not age["hours_known"]:
        return False
    return row["sex"] in ("any", age["sex"])


def _reason(age: Row) -> str:
    if age["age_hours"] is None:
        return "age_unknown"
    if age["age_hours"] < NEWBORN_HOURS and not age["hours_known"]:
        return "neonate_needs_hours"
    return "no_published_limit"
