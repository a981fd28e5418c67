"""Whom a rule cannot be applied to, wholly or in part, and why: never an all-clear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts.monitored import NOT_ASSESSABLE
from leukopenia.monitor.courses import COURSE, DUTY, one
from leukopenia.monitor.rules import GENERAL

Frame = nw.LazyFrame[Any]

_KEY = ("patient_id", "rule_id", "drug", "course")
_ROW = (*_KEY, "reason", "still")


def not_assessable(
    stretches: Frame, courses: Frame, undated: Frame, small: Mapping[str, Frame], counted: list[str], own: Frame | None
) -> Frame:
    """contracts.monitored.NOT_ASSESSABLE: courses to which a rule cannot be applied.

    Parameters
    ----------
    stretches, courses, undated : Frame
        Of the courses room.
    small : mapping of str to Frame
        duties, people and bands of rules.Rules.
    counted : list of str
        The sets of analytes that the source has counts of at all.
    own : Frame or None
        bands.baselines; None: no rule looks at it.
    """
    names = small["duties"].select("rule_no", "rule_id", "drug")
    parts = [
        *_of_stretches(stretches, counted),
        _undated(undated, names),
        _ageless(courses, small["people"], names),
        _without_rule(courses),
    ]
    if own is not None:
        parts.append(_without_baseline(stretches, small["bands"], own))
    once = nw.concat(parts).group_by(*_KEY, "reason").agg(still=col("still").max())
    return once.with_columns(open=col("still") == 1).select(*NOT_ASSESSABLE.names)


def _of_stretches(stretches: Frame, counted: list[str]) -> list[Frame]:
    asks = col("scheduled") | (col("baseline") != "none")
    going, alive = col("going"), col("dead") == 0
    treated_to = when(going).then(col("until_day")).otherwise(col("to_day"))
    over = ~going & (col("last") == 1) & (alive | (col("to_day") < col("until_day"))) & col("next_day").is_null()
    whys = {
        "only_orders": (col("anchor_known") == 0) & (col("only_orders") == 1) & asks,
        "start_not_seen": (col("anchor_known") == 0) & (col("only_orders") == 0) & asks,
        "end_unknown": over & (col("end_known") == 0),
        "no_counts_at_all_in_source": ~col("analytes").is_in(counted),
        "no_fixed_interval": col("anchor") + col("irregular_from") <= treated_to,
        "population_unknown": col("baseline") == "when_at_risk",
    }
    return [
        stretches.filter(why).select(*_KEY, reason=lit(reason), still=one(alive if reason == "end_unknown" else going))
        for reason, why in whys.items()
    ]


def _undated(undated: Frame, names: Frame) -> Frame:
    blank = {"course": lit(None).cast(nw.Int64), "reason": lit("start_not_seen"), "still": one(lit(True))}
    return undated.join(names, on="drug").select("patient_id", "rule_id", "drug", **blank)


def _ageless(courses: Frame, people: Frame, names: Frame) -> Frame:
    """Courses of persons without a birth date under a rule for newborns alone."""
    general = people.filter(col("population") == GENERAL).select("rule_no")
    special = people.filter(col("population") == "neonate").join(general, on="rule_no", how="anti")
    ageless = courses.filter(col("birth").is_null()).join(special.join(names, on="rule_no"), on="drug")
    return ageless.select(*COURSE, "rule_id", reason=lit("population_unknown"), still=one(col("ongoing_at"))).select(
        *_ROW
    )


def _without_rule(courses: Frame) -> Frame:
    unruled = courses.filter(col("ruled") == 0)
    return unruled.select(*COURSE, rule_id=lit(""), reason=lit("no_rule_found"), still=one(col("ongoing_at"))).select(
        *_ROW
    )


def _without_baseline(stretches: Frame, bands: Frame, own: Frame) -> Frame:
    """Courses under a rule that compares with the own baseline, which is not on record."""
    relative = bands.filter(~col("below_share").is_null()).select("rule_no", "analyte").unique()
    wanted = stretches.join(relative, on="rule_no")
    missing = wanted.join(own, on=[*DUTY, "analyte"], how="anti")
    return missing.select(*_KEY, reason=lit("baseline_unknown"), still=one(col("going")))
