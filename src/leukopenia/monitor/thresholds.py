"""Counts during treatment -> the band of a rule they lie in, what crosses into a band, and the counts it asks for."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.monitor.bands import LINE, worst
from leukopenia.monitor.courses import DAY, DUTY, one
from leukopenia.monitor.rules import OPEN, STOPS

Frame = nw.LazyFrame[Any]

_FOLLOWED = (
    *(
        *LINE,
        "minute",
        "day",
        "value",
        "comparator",
        "by_day",
        "inside",
        "band",
        "previous_band",
        "next_minute",
        "begins",
    ),
    *("action", "asks", "severity", "statement", "source_id", "confirm_minutes", "resume_at"),
    *("previous_confirms", "previous_stops", "next_stops", "follow_days", "follow_grace", "weeks_from"),
)


def dated(counts: Frame, as_of: int) -> Frame:
    """Counts whose day is known, up to the day asked for: another one can neither fulfil nor cross anything."""
    day_known = col("time_precision").is_in(["minute", "day"])
    return counts.filter(day_known, col("minute") <= as_of).select(
        "patient_id", "analyte", "minute", "value", "comparator", "derivation", by_day=col("time_precision") == "day"
    )


def of_interest(counts: Frame, lines: Frame) -> Frame:
    """The counts of the persons and lines with a count that may lie in a band."""
    return counts.join(lines, on=["patient_id", "analyte"], how="semi")


def banded(counts: Frame, stretches: Frame, bands: Frame, conditions: frozenset[str], own: Frame | None) -> Frame:
    """Counts of a course with the band they certainly lie in.

    Parameters
    ----------
    counts : Frame
        What `of_interest` gives.
    stretches : Frame
        courses.stretches.
    bands : Frame
        rules.Rules.bands.
    conditions : frozenset of str
        rules.Rules.conditions.
    own : Frame or None
        bands.baselines; None: no rule looks at it.

    Returns
    -------
    Frame
        One row a person, rule_no, course, analyte and minute: value, day, inside (the course, or the time after its
        last dose that the rule names, on a day on which the rule is in force), band (null: in none). A count that is
        only a bound, and settles no band, is left out: it is unknown.
    """
    spans = stretches.group_by(*DUTY, "course").agg(
        first_day=col("from_day").min(),
        last_day=(col("to_day") + col("count_days")).max(),
        going=one(col("going")).max(),
        until_day=col("until_day").max(),
        valid_from=col("valid_from").max(),
        valid_to=col("valid_to").max(),
    )
    following = spans.with_columns(next_first=col("first_day").shift(-1).over(*DUTY, order_by=["course"]))
    continuing = bands.filter(col("purpose") == "continue")
    lines = continuing.select("rule_no", "analyte").unique()
    day = col("minute") // DAY
    placed = (
        following.join(lines, on="rule_no")
        .join(counts.drop("derivation"), on=["patient_id", "analyte"])
        .with_columns(day=day)
        .filter(
            col("day") > col("first_day"),
            col("next_first").is_null() | (col("day") <= col("next_first")),
            col("day") <= col("until_day"),
        )
        .with_columns(
            inside=((col("day") <= col("last_day")) | (col("going") == 1))
            & (col("day") >= col("valid_from"))
            & (col("day") <= col("valid_to"))
        )
        .select(*LINE, "minute", "day", "value", "comparator", "by_day", "inside")
    )
    gravest = worst(placed, continuing, counts, conditions, own)
    joined = placed.join(gravest, on=[*LINE, "minute"], how="left")
    highest = continuing.group_by("rule_no", "analyte").agg(
        top=when(col("upper") < OPEN).then(col("upper")).otherwise(lit(0.0)).max()
    )
    beyond = col("comparator").is_in([">", ">="]) & (col("value") >= col("top"))
    known = ~col("band").is_null() | (col("comparator") == "") | beyond
    return joined.join(highest, on=["rule_no", "analyte"]).filter(known).drop("top")


def followed(banded: Frame, bands: Frame, own: Frame | None) -> Frame:
    """Add what each count begins, continues or ends.

    A count in a band with an interval begins a spell of closer counts. It lasts until the line is back at the limit of
    the latest such band (`until`, or the own baseline), as often in a row as that band asks; meanwhile a count in no
    such band asks for the next one after the same interval. A band without such a limit asks for one count only. When
    a spell ends, weekly counts go on for as many weeks as any of its bands asks for.

    Returns
    -------
    Frame
        What `banded` gives, the columns of the band, those of the counts beside it (previous_band, next_minute,
        previous_confirms, previous_stops, next_stops), follow_days and follow_grace until the next count (null: none
        is asked for) and weeks_from (0, or how many weekly counts begin here).
    """
    rows = _with_band(banded, bands, own)
    over = {"order_by": ["minute"]}
    begins = col("inside") & (~col("own_days").is_null() | (col("then_weeks") > 0))
    marked = rows.with_columns(
        begins=one(begins),
        confirms=one(~col("confirm_minutes").is_null()),
        stops=one(col("action").is_in(list(STOPS)).fill_null(False)),
        previous_band=col("band").fill_null(-1).shift(1).over(*LINE, **over),
        next_minute=col("minute").shift(-1).over(*LINE, **over),
    )
    counted = marked.with_columns(
        part=col("begins").cum_sum().over(*LINE, **over).cast(nw.Int64),
        previous_confirms=col("confirms").shift(1).over(*LINE, **over),
        previous_stops=col("stops").shift(1).over(*LINE, **over),
        next_stops=col("stops").shift(-1).over(*LINE, **over),
    )
    first = col("begins") == 1
    held = counted.with_columns(
        back_at=when(first).then(col("own_until")).max().over(*LINE, "part"),
        days=when(first).then(col("own_days")).max().over(*LINE, "part"),
        grace=when(first).then(col("own_grace")).max().over(*LINE, "part"),
        needed=when(first).then(col("in_a_row")).max().over(*LINE, "part"),
    )
    return _spells(held)


def _with_band(banded: Frame, bands: Frame, own: Frame | None) -> Frame:
    """Counts with the columns of their band; where the own baseline is enough to be back, limits are no higher."""
    shown = ("band", "action", "asks", "severity", "statement", "source_id", "confirm_minutes", "resume_at", "in_a_row")
    limits = ("or_baseline", "resume_or_baseline")
    columns = bands.select(
        *shown, *limits, "then_weeks", own_days="follow_days", own_grace="follow_grace", own_until="until"
    )
    rows = banded.join(columns, on="band", how="left").with_columns(
        asks=col("asks").fill_null(False), then_weeks=col("then_weeks").fill_null(0)
    )
    if own is None:
        return rows
    return rows.join(own, on=[*DUTY, "analyte"], how="left").with_columns(
        own_until=_or_own("own_until", "or_baseline"), resume_at=_or_own("resume_at", "resume_or_baseline")
    )


def _or_own(limit: str, enough: str) -> nw.Expr:
    lower = (col(enough) & (col("own") < col(limit))).fill_null(False)
    return when(lower).then(col("own")).otherwise(col(limit))


def _spells(held: Frame) -> Frame:
    over = {"order_by": ["minute"]}
    back = ~first_of_part() & ~col("comparator").is_in(["<", "<="]) & (col("value") >= col("back_at"))
    counted = held.with_columns(back=one(back.fill_null(False))).with_columns(
        broken=(1 - col("back")).cum_sum().over(*LINE, "part", **over).cast(nw.Int64)
    )
    often = counted.with_columns(backs=col("back").cum_sum().over(*LINE, "part", "broken", **over).cast(nw.Int64))
    back_enough = (col("back") == 1) & (col("backs") >= col("needed"))
    # A band that names no limit is done with at once.
    settled = often.with_columns(
        settled=one((back_enough | (first_of_part() & col("back_at").is_null())).fill_null(False))
    )
    passed = settled.with_columns(done=col("settled").cum_max().over(*LINE, "part", **over)).with_columns(
        done_before=col("done").shift(1).over(*LINE, "part", **over)
    )
    running = (col("part") > 0) & (col("done") == 0)
    ends = (col("part") > 0) & (col("done") == 1) & (col("done_before").fill_null(0) == 0)
    spelled = passed.with_columns(running=running, ends=one(ends)).with_columns(
        ended=col("ends").cum_sum().over(*LINE, **over).cast(nw.Int64)
    )
    weekly = spelled.with_columns(spell=col("ended") - col("ends")).with_columns(
        weeks=when(first_of_part()).then(col("then_weeks")).otherwise(lit(0)).max().over(*LINE, "spell")
    )
    asked = first_of_part() | col("running")
    return (
        weekly.with_columns(
            follow_days=when(asked).then(nw.coalesce("own_days", "days")),
            weeks_from=when(col("ends") == 1).then(col("weeks")).otherwise(lit(0)).cast(nw.Int64),
        )
        .with_columns(follow_grace=when(~col("follow_days").is_null()).then(nw.coalesce("own_grace", "grace")))
        .select(*_FOLLOWED)
    )


def first_of_part() -> nw.Expr:
    """The count whose band begins closer counts."""
    return col("begins") == 1


def first_low(counts: Frame, stretches: Frame, duties: Frame) -> Frame:
    """The first day of each course under a conditional rule on which neutrophils certainly lay below its limits."""
    conditional = duties.filter(col("conditional")).select("rule_no", "low_below")
    certain = ~col("comparator").is_in([">", ">="])
    below = (col("value") < col("low_below")) | ((col("comparator") == "<") & (col("value") <= col("low_below")))
    courses = stretches.group_by(*DUTY, "course").agg(first_day=col("from_day").min(), until_day=col("until_day").max())
    return (
        courses.join(conditional, on="rule_no")
        .join(counts.filter(col("analyte") == "neutrophils"), on="patient_id")
        .with_columns(day=col("minute") // DAY)
        .filter(certain & below, col("day") > col("first_day"), col("day") <= col("until_day"))
        .group_by(*DUTY, "course")
        .agg(first_low=col("day").min())
    )


def crossings(followed: Frame) -> Frame:
    """Counts that enter a band which asks for something, with the count by which the line left it."""
    over = {"order_by": ["minute"]}
    changed = col("previous_band").is_null() | (col("band").fill_null(-1) != col("previous_band"))
    entered = followed.with_columns(change=one(changed)).with_columns(
        spell_no=col("change").cum_sum().over(*LINE, **over).cast(nw.Int64)
    )
    ended = entered.with_columns(last_minute=col("minute").max().over(*LINE, "spell_no")).with_columns(
        latest=col("minute").max().over(*LINE)
    )
    return ended.filter(col("change") == 1, col("inside"), col("asks")).with_columns(
        lasts=col("last_minute") == col("latest")
    )
