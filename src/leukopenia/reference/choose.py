"""The limit in force for each count: the laboratory's own, an estimated one, or a published one by age and sex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import ESTIMATED, Knowledge
from leukopenia.policy import Policy

Frame = nw.LazyFrame[Any]
Row = Mapping[str, str]

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
        Uses intervals, interval_choice and, where there are any, estimated_limits.
    policy : Policy
        `limits.first`, `published_limits` and `context`.
    present : frozenset of str
        Analytes that occur; rows for others are not folded in.

    Returns
    -------
    Frame
        With limit_low, limit_high (10^9/L, g/L) and interval_id: of the estimated or published limit in force, empty
        where it is the laboratory's or there is none.
    """
    rows = _rows(knowledge, present) if policy.flag("published_limits") else []
    estimates = [row for row in knowledge.get("estimated_limits", ()) if row["analyte"] in present]
    named = counts.with_columns(estimate=_estimated(estimates, "interval_id"))
    chosen = named.with_columns(interval=_picked(_fold(rows, policy.text("context")), policy.text("limits.first")))
    limits = {row["interval_id"]: row for row in knowledge["intervals"]}
    used = sorted({row["interval_id"] for row in rows if row["interval_id"]})
    return chosen.with_columns(
        **{f"limit_{side}": _side(side, estimates, used, limits) for side in ("low", "high")},
        interval_id="interval",
    ).drop("interval", "estimate")


def _picked(published: nw.Expr, first: str) -> nw.Expr:
    """The interval in force: empty for the laboratory's own range, else the estimated or the published one."""
    own, estimated = ~col("low").is_null(), col("estimate") != ""
    if first == "estimated":
        return when(estimated).then(col("estimate")).when(own).then(lit("")).otherwise(published)
    return when(own).then(lit("")).when(estimated).then(col("estimate")).otherwise(published)


def _side(side: str, estimates: Sequence[Row], used: list[str], limits: dict[str, Any]) -> nw.Expr:
    return (
        when((col("interval") == "") & ~col("low").is_null())
        .then(col(side))
        .when(is_estimated(col("interval")))
        .then(_estimated(estimates, side))
        .otherwise(_values(used, limits, side))
    )


def is_estimated(interval: nw.Expr) -> nw.Expr:
    """Whether an interval_id names an estimated limit."""
    return interval.str.starts_with(ESTIMATED)


def _estimated(estimates: Sequence[Row], wanted: str) -> nw.Expr:
    """A column of the estimated limit that fits a count; empty or null where none does."""
    found = _cell("", wanted)
    for analyte in sorted({row["analyte"] for row in estimates}):
        rows = [row for row in estimates if row["analyte"] == analyte]
        of_sex = {
            sex: _by_age([row for row in rows if row["sex"] in ("any", sex)], wanted)
            for sex in ("male", "female", "any")
        }
        here = (
            when(col("sex") == "male")
            .then(of_sex["male"])
            .when(col("sex") == "female")
            .then(of_sex["female"])
            .otherwise(of_sex["any"])
        )
        found = when(col("analyte") == analyte).then(here).otherwise(found)
    return found


def _by_age(rows: list[Row], wanted: str) -> nw.Expr:
    """A limit without ages holds at any age, known or not; one with ages needs the age."""
    if len(rows) == 1 and not rows[0]["age_from_hours"] and not rows[0]["age_to_hours"]:
        return _cell(rows[0][wanted], wanted)
    return when(~col("age_hours").is_null()).then(_halved(_steps(rows), wanted)).otherwise(_cell("", wanted))


def _steps(rows: list[Row]) -> list[tuple[int, Row | None]]:
    """From which hour which limit holds, in order; None: no limit."""
    steps: list[tuple[int, Row | None]] = [(0, None)]
    for row in sorted(rows, key=lambda row: int(row["age_from_hours"] or 0)):
        begin = int(row["age_from_hours"] or 0)
        if steps[-1][0] == begin:
            steps.pop()
        steps.append((begin, row))
        if row["age_to_hours"]:
            steps.append((int(row["age_to_hours"]), None))
    return steps


def _halved(steps: list[tuple[int, Row | None]], wanted: str) -> nw.Expr:
    """Halved again and again by age: a limit for every month of life makes no deep expression."""
    if len(steps) == 1:
        return _at_step(steps[0][1], wanted)
    half = len(steps) // 2
    younger = col("age_hours") < steps[half][0]
    return when(younger).then(_halved(steps[:half], wanted)).otherwise(_halved(steps[half:], wanted))


def _at_step(row: Row | None, wanted: str) -> nw.Expr:
    if row is None:
        return _cell("", wanted)
    if row["age_to_hours"] and int(row["age_to_hours"]) <= NEWBORN_HOURS:
        return when(col("hours_known")).then(_cell(row[wanted], wanted)).otherwise(_cell("", wanted))
    return _cell(row[wanted], wanted)


def _cell(text: str, wanted: str) -> nw.Expr:
    if wanted == "interval_id":
        return lit(text)
    return lit(float(text)) if text else lit(None).cast(nw.Float64)


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
    """On what the limit in force rests: laboratory, estimated, published, or none."""
    return (
        when(is_estimated(col("interval_id")))
        .then(lit("estimated"))
        .when(col("interval_id") != "")
        .then(lit("published"))
        .when(~col("low").is_null())
        .then(lit("laboratory"))
        .otherwise(lit("none"))
    )


def why_none(policy: Policy) -> nw.Expr:
    """Why a count has no limit in force; empty where it has one. Needs the columns of `with_age`."""
    if not policy.flag("published_limits"):
        without = col("low").is_null() & (col("interval_id") == "")
        return when(without).then(lit("no_laboratory_limit")).otherwise(lit(""))
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
