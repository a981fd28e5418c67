"""The limit in force for each count: the laboratory's own, else a published one by age, sex and context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import Knowledge
from leukopenia.policy import Policy

Frame = nw.LazyFrame[Any]

NEWBORN_HOURS = 28 * 24


def with_age(counts: Frame, patients: Frame) -> Frame:
    """Counts beside age and sex: `age_hours` (null: unknown), `age_days`, `sex`, `hiv_from`, `duffy_null`.

    The age of a newborn is known in hours only if birth and count are; a birth year alone gives an age in years.
    """
    person = patients.select("patient_id", "sex", "birth", "birth_precision", "hiv_from", "duffy_null")
    joined = counts.join(person, on="patient_id", how="left")
    minutes_known = (col("birth_precision") == "minute") & (col("time_precision") == "minute")
    hours_known = minutes_known.fill_null(False)
    days = col("minute") // 1440 - col("birth") // 1440
    passed = (col("minute") - col("birth")) // 60
    # A date is not midnight: a count dated on the day of birth is not before it.
    hours = when((days == 0) & (passed < 0) & ~hours_known).then(lit(0)).otherwise(passed)
    return joined.with_columns(
        age_hours=when(hours >= 0).then(hours),
        age_days=when(hours >= 0).then(days),
        sex=col("sex").fill_null("unknown"),
        duffy_null=col("duffy_null").fill_null(False),
        hours_known=hours_known,
    )


def choose(counts: Frame, knowledge: Knowledge, policy: Policy, present: frozenset[str]) -> Frame:
    """Add the limit in force to counts that `with_age` has prepared.

    Parameters
    ----------
    counts : Frame
        contracts.COUNTS with the columns of `with_age`.
    knowledge : Knowledge
        Uses intervals and interval_choice.
    policy : Policy
        `published_limits` and `context`.
    present : frozenset of str
        Analytes that occur; rows for others are not folded in.

    Returns
    -------
    Frame
        With limit_low, limit_high (10^9/L, g/L) and interval_id (empty unless the limit is published).
    """
    own = ~col("low").is_null()
    rows = _rows(knowledge, present) if policy.flag("published_limits") else []
    context = policy.text("context")
    chosen = counts.with_columns(interval=when(own).then(lit("")).otherwise(_fold(rows, context)))
    limits = {row["interval_id"]: row for row in knowledge["intervals"]}
    used = sorted({row["interval_id"] for row in rows if row["interval_id"]})
    low, high = (_values(used, limits, name) for name in ("low", "high"))
    return chosen.with_columns(
        limit_low=when(own).then(col("low")).otherwise(low),
        limit_high=when(own).then(col("high")).otherwise(high),
        interval_id="interval",
    ).drop("interval")


def _rows(knowledge: Knowledge, present: frozenset[str]) -> list[dict[str, str]]:
    return [dict(row) for row in knowledge["interval_choice"] if row["analyte"] in present]


def _fold(rows: list[dict[str, str]], context: str) -> nw.Expr:
    """The rows of interval_choice as one expression; Duffy-null rows stand before the general ones."""
    picked = lit("")
    for row in sorted(rows, key=_order):
        if row["context"] not in ("general", "duffy_null") or (row["context"] == "duffy_null" and context == "general"):
            continue
        condition = (
            (col("analyte") == row["analyte"])
            & (col("age_hours") >= int(row["age_from_hours"]))
            & (col("age_hours") < int(row["age_to_hours"]))
        )
        if int(row["age_from_hours"]) < NEWBORN_HOURS and row["interval_id"]:
            condition = condition & col("hours_known")
        if row["sex"] != "any":
            condition = condition & (col("sex") == row["sex"])
        if row["context"] == "duffy_null" and context == "recorded":
            condition = condition & col("duffy_null")
        picked = when(condition).then(lit(row["interval_id"])).otherwise(picked)
    return picked


def _order(row: Mapping[str, str]) -> tuple[bool, int]:
    """The later a row, the earlier it is asked: Duffy-null before general, adults, who are most, before children."""
    return row["context"] == "duffy_null", int(row["age_from_hours"])


def _values(used: list[str], limits: dict[str, Any], name: str) -> nw.Expr:
    value = lit(None).cast(nw.Float64)
    for interval in used:
        if limits[interval][name]:
            value = when(col("interval") == interval).then(lit(float(limits[interval][name]))).otherwise(value)
    return value


def basis() -> nw.Expr:
    """On what the limit in force rests: laboratory, published, or none."""
    return (
        when(~col("low").is_null())
        .then(lit("laboratory"))
        .when(col("interval_id") != "")
        .then(lit("published"))
        .otherwise(lit("none"))
    )


def why_none(policy: Policy) -> nw.Expr:
    """Why a count has no limit in force; empty where it has one. Needs the columns of `with_age`."""
    if not policy.flag("published_limits"):
        return when(col("low").is_null()).then(lit("no_laboratory_limit")).otherwise(lit(""))
    newborn = (col("age_hours") < NEWBORN_HOURS) & ~col("hours_known")
    return (
        when(~col("low").is_null() | (col("interval_id") != ""))
        .then(lit(""))
        .when(col("age_hours").is_null())
        .then(lit("age_unknown"))
        .when(newborn)
        .then(lit("neonate_needs_hours"))
        .otherwise(lit("no_published_limit"))
    )


def limits(aged: Frame, policy: Policy) -> Frame:
    """contracts.LIMITS from counts that `choose` and then `with_age` have prepared."""
    return aged.select(
        "patient_id",
        "analyte",
        "minute",
        col("limit_low").alias("low"),
        col("limit_high").alias("high"),
        basis().alias("basis"),
        "interval_id",
        why_none(policy).alias("reason"),
    )
