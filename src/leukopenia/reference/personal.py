"""Counts -> personal limits: what is low for this person, from earlier stable counts, beside the population's limit.

The method is that of `fit.personal`: set points are log-normal among people, counts log-normal around them, and the
limit is that of the prediction interval of the next count. Counts of one week are one observation, for those of one
illness or one stay are alike. A week is stable if every count of the line in it was measured, agrees with its copies
and lies within the limits in force.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import PERSONAL_LIMITS, Knowledge, Rows
from leukopenia.policy import Policy

Frame = nw.LazyFrame[Any]

LINE = ("patient_id", "analyte")
WEEK_MINUTES = 7 * 1440
YEAR_HOURS = 8766
MILLION = 1_000_000
TO_SD = 2 * NormalDist().inv_cdf(0.975)
"""Standard deviations between the percentiles 2.5 and 97.5."""


def personal_limits(aged: Frame, knowledge: Knowledge, policy: Policy) -> Frame:
    """contracts.PERSONAL_LIMITS of every count of a line whose within-person variation is known.

    Parameters
    ----------
    aged : Frame
        contracts.COUNTS with limit_low and limit_high in force, and age_hours (`choose.with_age`).
    knowledge : Knowledge
        Uses the rows of biological_variation for personal limits.
    policy : Policy
        personal.counts, personal.percentile, personal.from_years, personal.analytical_cv.
    """
    rows = [row for row in knowledge["biological_variation"] if row["use"] == "personal"]
    lines = aged.filter(col("analyte").is_in([row["analyte"] for row in rows]))
    grown = int(policy.number("personal.from_years")) * YEAR_HOURS
    marked = lines.with_columns(week=col("minute") // WEEK_MINUTES, stable=_stable(grown))
    known = marked.join(_earlier(marked), on=[*LINE, "week"], how="left")
    spread = _per_line(rows, "spread", policy.number("personal.analytical_cv"))
    explained = known.with_columns(
        variance=spread,
        source_id=_per_line(rows, "source_id", 0.0),
        low_log=_log("limit_low"),
        high_log=_log("limit_high"),
    ).with_columns(between=_between(), centre=(col("low_log") + col("high_log")) * 0.5)
    judged = explained.with_columns(reason=_why_none(grown, int(policy.number("personal.counts"))))
    return _limited(judged, policy.number("personal.percentile") / 100)


def _stable(grown: int) -> nw.Expr:
    """A count that may speak for the person: measured, undisputed, of an adult, within the limits in force."""
    within = (col("value") >= col("limit_low")) & (col("value") <= col("limit_high")) & (col("value") > 0)
    measured = (col("comparator") == "") & ~col("conflict") & ~col("unit_repaired")
    stable = (within & measured & (col("age_hours") >= grown)).fill_null(False)
    return when(stable).then(lit(1)).otherwise(lit(0)).cast(nw.Int64)


def _earlier(marked: Frame) -> Frame:
    """Per person, line and week: `weeks` stable ones before it, and the sum of their mean logarithms in millionths.

    Whole numbers add to the same sum in any order.
    """
    log = when(col("stable") == 1).then(col("value")).otherwise(lit(1.0)).log()
    micro = marked.with_columns(log=(log * MILLION + 0.5).floor().cast(nw.Int64))
    weekly = micro.group_by(*LINE, "week").agg(
        steady=col("stable").min().cast(nw.Int64),
        total=col("log").sum().cast(nw.Int64),
        n=nw.len().cast(nw.Int64),
    )
    means = weekly.with_columns(mean=when(col("steady") == 1).then(col("total") // col("n")).otherwise(lit(0)))
    running = means.with_columns(
        weeks=col("steady").cum_sum().over(*LINE, order_by=["week"]).cast(nw.Int64),
        logs=col("mean").cast(nw.Int64).cum_sum().over(*LINE, order_by=["week"]).cast(nw.Int64),
    )
    return running.select(
        *LINE,
        "week",
        weeks=col("weeks") - col("steady"),
        logs=(col("logs") - col("mean")).cast(nw.Int64),
    )


def _per_line(rows: Rows, what: str, analytical: float) -> nw.Expr:
    """The logarithmic variance within a person, or its source, by analyte."""
    value = lit("") if what == "source_id" else lit(None).cast(nw.Float64)
    for row in rows:
        own = row["source_id"] if what == "source_id" else _variance(float(row["cv_within"]), analytical)
        value = when(col("analyte") == row["analyte"]).then(lit(own)).otherwise(value)
    return value


def _variance(*variations: float) -> float:
    """Of logarithms, from coefficients of variation in percent."""
    return sum(math.log1p((one / 100) ** 2) for one in variations)


def _log(name: str) -> nw.Expr:
    """Null where there is no limit above 0."""
    return when(col(name) > 0).then(col(name)).log()


def _between() -> nw.Expr:
    """Variance of the logarithmic set points among people: what the interval leaves beside one person's variation."""
    total = (col("high_log") - col("low_log")) * (1 / TO_SD)
    return total * total - col("variance")


def _why_none(grown: int, needed: int) -> nw.Expr:
    no_interval = col("between").is_null() | (col("high_log") <= col("low_log"))
    return (
        when(no_interval)
        .then(lit("no_interval"))
        .when(col("between") <= 0)
        .then(lit("interval_too_narrow"))
        .when(col("age_hours").is_null())
        .then(lit("age_unknown"))
        .when(col("age_hours") < grown)
        .then(lit("not_adult"))
        .when(col("weeks") < needed)
        .then(lit("too_few_earlier_counts"))
        .otherwise(lit(""))
    )


def _limited(judged: Frame, percentile: float) -> Frame:
    """The normal posterior of the set point, and the percentile of the next count."""
    given = when(col("reason") == "")
    weeks = col("weeks").cast(nw.Float64)
    own = weeks * col("between") * (weeks * col("between") + col("variance")) ** -1.0
    some = when(col("weeks") > 0).then(weeks).otherwise(lit(1.0))
    mean = col("logs").cast(nw.Float64) * some**-1.0 * (1 / MILLION)
    z = NormalDist().inv_cdf(percentile)
    drawn = judged.with_columns(own=given.then(own))
    placed = drawn.with_columns(point=given.then(col("centre") + col("own") * (mean - col("centre"))))
    error = col("between") * (1 - col("own")) + col("variance")
    made = placed.with_columns(
        setpoint=_millionths(col("point").exp()),
        personal=_millionths((col("point") + z * error**0.5).exp()),
    )
    certain = col("comparator").is_in(["", "<", "<="]) & (col("value") < col("personal"))
    return made.select(
        *LINE,
        "minute",
        col("personal").alias("low"),
        "setpoint",
        "weeks",
        "own",
        col("limit_low").alias("population_low"),
        certain.fill_null(False).alias("below"),
        "reason",
        "source_id",
    ).select(*PERSONAL_LIMITS.names)


def _millionths(value: nw.Expr) -> nw.Expr:
    """As counts are kept; engines whose exponentials differ in the last bit agree."""
    return (value * MILLION + 0.5).floor() / MILLION
