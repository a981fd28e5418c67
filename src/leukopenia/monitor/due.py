"""Which counts a rule asks for, and how each stands on the day asked for.

Scheduled due dates stand at fixed days from the start of a stretch (`rules.grid`). Counts that a threshold asks for
are due beside them: one count may fulfil one of each, so that whichever is due first is the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts.monitored import DUE_COUNTS
from leukopenia.monitor.courses import DAY, DUTY, NEVER, one
from leukopenia.monitor.fulfilment import ANSWER, BOUNDARY, DUE, END, START, TRACK, matched

Frame = nw.LazyFrame[Any]
Keep = Callable[[Frame, str], Frame]

SCHEDULE, WEEKLY = 0, 1
"""Tracks: a count fulfils at most one due date of each."""


@dataclass(frozen=True)
class Grids:
    """Due days as tables of whole numbers: of the schedules, after the last dose, and the weeks after a spell."""

    schedule: Frame
    stop: Frame
    weeks: Frame


def scheduled(
    stretches: Frame,
    draws: Frame,
    followed: Frame,
    first_low: Frame | None,
    grids: Grids,
    counted: list[str],
    keep: Keep,
) -> Frame:
    """Due dates of schedules, baselines and the time after the last dose, and weekly counts after a spell.

    Parameters
    ----------
    stretches : Frame
        courses.stretches.
    draws : Frame
        fulfilment.draws.
    followed : Frame
        thresholds.followed.
    first_low : Frame or None
        thresholds.first_low; None: no schedule has a condition.
    grids : Grids
        The due days.
    counted : list of str
        The sets of analytes that the source has counts of at all.
    keep : callable
        Computes a frame once.

    Returns
    -------
    Frame
        What fulfilment.matched gives.
    """
    present = col("analytes").is_in(counted)
    known = stretches.with_columns(
        start_unsure=one((col("anchor_known") == 0) | ~present),
        end_unsure=one((col("end_known") == 0) | (col("only_orders") == 1) | ~present),
    )
    parts = [
        _starts(known),
        *_phases(known, first_low, grids.schedule),
        _ends(known),
        _after_stop(known, grids.stop),
        _after_end(known),
        *_weekly(known, followed, grids.weeks),
    ]
    boundaries = keep(nw.concat([part.select(*BOUNDARY) for part in parts]), "boundaries")
    # A group is cheaper than `unique`, which numbers all rows.
    sets = known.group_by("rule_no").agg(analytes=col("analytes").max())
    tracks = boundaries.group_by(*TRACK).agg(n=nw.len()).join(sets, on="rule_no").select(*TRACK, "analytes")
    return matched(boundaries, keep(tracks, "tracks"), draws, keep)


def _row(frame: Frame, day: nw.Expr, order: int, kind: nw.Expr, **facts: nw.Expr) -> Frame:
    """A boundary between two counts; what it does not say is no due date."""
    said = {"due": lit(None), "latest": lit(NEVER), "unsure": lit(0), "closed": lit(0)} | facts
    return frame.with_columns(
        track=lit(SCHEDULE).cast(nw.Int64),
        day=day.cast(nw.Int64),
        order=lit(order).cast(nw.Int64),
        kind=kind,
        **{name: value.cast(nw.Int64) for name, value in said.items()},
    ).select(*BOUNDARY)


def _starts(known: Frame) -> Frame:
    """The first day of each stretch; where phases begin there, a baseline is due. `latest` of it: how old it may be."""
    asked = (col("fresh") == 1) & (col("baseline") != "none")
    valid = (col("from_day") >= col("valid_from")) & (col("from_day") <= col("valid_to"))
    due = when(asked & valid).then(col("from_day"))
    unsure = when(col("baseline") == "when_at_risk").then(lit(1)).otherwise(col("start_unsure"))
    return _row(
        known,
        col("from_day"),
        START,
        lit("baseline"),
        due=due,
        unsure=unsure,
        closed=col("from_day") - col("baseline_days"),
    )


def _phases(known: Frame, first_low: Frame | None, grid: Frame) -> list[Frame]:
    """The schedule to the end of treatment, or for as long after it as the rule lets it go on; and where phases begin.

    A count before the first day of a phase that follows on days without any does not fulfil its first due date.
    """
    goes_on = (col("last") == 1) & col("goes_on")
    owed = known.filter(col("scheduled")).with_columns(
        last_day=when(goes_on).then(col("to_day") + col("stop_days")).otherwise(col("to_day"))
    )
    rows = owed.join(grid, on="rule_no").with_columns(due_day=col("anchor") + col("offset"))
    ahead = col("anchor") + col("opens") <= col("until_day")
    in_force = rows.filter(
        (col("due_day") > col("from_day")) & (col("next_day").is_null() | (col("due_day") < col("next_day"))),
        ahead & (~col("lapsed") | (col("due_day") <= col("last_day"))),
        (col("due_day") >= col("valid_from")) & (col("due_day") <= col("valid_to")),
    )
    if first_low is not None:
        low = in_force.join(first_low, on=[*DUTY, "course"], how="left")
        clean = col("first_low").is_null() | (col("due_day") <= col("first_low"))
        in_force = low.filter((col("clean") == -1) | (clean & (col("clean") == 1)) | (~clean & (col("clean") == 0)))
    latest = col("due_day") + col("grace")
    # Whoever stopped within the grace owed the count no more.
    closed = one(col("lapsed") & (latest > col("last_day")) & (col("due_day") <= col("to_day")))
    after = col("lapsed") & (col("due_day") > col("to_day"))
    begun = col("anchor") + col("begins")
    unsure = when(after & (col("end_unsure") == 1)).then(lit(1)).otherwise(col("start_unsure"))
    kind = when(after).then(lit("after_stop")).otherwise(lit("scheduled"))
    facts = {"due": col("due_day"), "latest": latest, "unsure": unsure, "closed": closed}
    return [
        _row(in_force.filter(begun > col("from_day")), begun, START, lit("phase")),
        _row(in_force, col("due_day"), DUE, kind, **facts),
    ]


def _over(known: Frame) -> Frame:
    """The last stretches of courses, once the schedule of the treatment no longer holds."""
    return known.filter(col("last") == 1, col("lapsed"))


def _ends(known: Frame) -> Frame:
    return _row(_over(known).filter(col("changes") | (col("end_days") >= 0)), col("to_day"), END, lit("end"))


def _after_stop(known: Frame, grid: Frame) -> Frame:
    rows = _over(known).join(grid, on="rule_no").with_columns(due_day=col("to_day") + col("offset"))
    owed = rows.filter(
        col("next_day").is_null() | (col("due_day") < col("next_day")),
        (col("due_day") >= col("valid_from")) & (col("due_day") <= col("valid_to")),
        col("to_day") + col("opens") <= col("until_day"),
    )
    latest = col("due_day") + col("grace")
    return _row(
        owed, col("due_day"), DUE, lit("after_stop"), due=col("due_day"), latest=latest, unsure=col("end_unsure")
    )


def _after_end(known: Frame) -> Frame:
    """One count after the end, due when the days that the rule gives are over."""
    owed = _over(known).filter(
        col("end_days") >= 0, (col("to_day") >= col("valid_from")) & (col("to_day") <= col("valid_to"))
    )
    last = col("to_day") + col("end_days")
    # The next course takes the time that is left.
    due = when(col("next_day") <= last).then(col("next_day") - 1).otherwise(last)
    rows = owed.filter(col("next_day").is_null() | (col("next_day") > col("to_day") + 1))
    return _row(rows, due, DUE, lit("after_end"), due=due, latest=due, unsure=col("end_unsure"))


def _weekly(known: Frame, followed: Frame, weeks: Frame) -> list[Frame]:
    """Weekly counts after a spell, on a track of their own; closer counts asked for meanwhile take their place."""
    over = {"order_by": ["minute"]}
    begun = followed.filter((col("weeks_from") > 0) | (col("begins") == 1)).with_columns(
        superseded=col("day").shift(-1).over(*DUTY, "course", "analyte", **over)
    )
    lived = known.select(*DUTY, "course", "until_day").unique()
    grown = begun.filter(col("weeks_from") > 0).join(lived, on=[*DUTY, "course"])
    rows = (
        grown.join(weeks, how="cross")
        .with_columns(due_day=col("day") + col("week") * 7)
        .filter(
            col("week") <= col("weeks_from"),
            col("superseded").is_null() | (col("due_day") <= col("superseded")),
            col("due_day") <= col("until_day") + 14,
        )
    )
    starts = grown.select(*DUTY, "course", "day").unique()
    dues = rows.select(*DUTY, "course", "due_day").unique()
    marks = _row(starts, col("day"), START, lit("spell")).with_columns(track=lit(WEEKLY).cast(nw.Int64))
    asked = _row(dues, col("due_day"), DUE, lit("follow_up"), due=col("due_day"), latest=col("due_day") + 1)
    return [marks, asked.with_columns(track=lit(WEEKLY).cast(nw.Int64))]


def follow_ups(followed: Frame, stretches: Frame, draws: Frame) -> Frame:
    """The next counts that thresholds ask for, each fulfilled by the first count after the one that asks for it."""
    asked = followed.filter(~col("follow_days").is_null()).with_columns(
        due=col("day") + col("follow_days"), latest=col("day") + col("follow_days") + col("follow_grace")
    )
    dues = asked.group_by(*DUTY, "course", "minute").agg(due=col("due").min(), latest=col("latest").min())
    facts = stretches.group_by("rule_no").agg(analytes=col("analytes").max())
    wanted = dues.join(facts, on="rule_no")
    following = (
        wanted.select(*DUTY, "course", "analytes", asked_at="minute")
        .join(draws, on=["patient_id", "analytes"])
        .filter(col("minute") > col("asked_at"))
        .group_by(*DUTY, "course", "asked_at")
        .agg(next_count=col("minute").min())
    )
    joined = wanted.rename({"minute": "asked_at"}).join(following, on=[*DUTY, "course", "asked_at"], how="left")
    in_time = col("next_count") // DAY <= col("latest")
    # Two counts of one day ask for the same due date: the later one decides.
    latest_asked = joined.with_columns(newest=col("asked_at").max().over(*DUTY, "course", "due"))
    return (
        latest_asked.filter(col("asked_at") == col("newest"))
        .with_columns(
            track=lit(WEEKLY).cast(nw.Int64),
            kind=lit("follow_up"),
            fulfilled=when(in_time).then(col("next_count")),
            repeats=lit(0).cast(nw.Int64),
            unsure=lit(0).cast(nw.Int64),
        )
        .select(*ANSWER)
    )


def due_counts(dues: Frame, stretches: Frame) -> Frame:
    """Add the state of each due date on the day asked for, and the names of rule and drug.

    Parameters
    ----------
    dues : Frame
        What `scheduled` and `follow_ups` give, concatenated.
    stretches : Frame
        courses.stretches.

    Returns
    -------
    Frame
        contracts.monitored.DUE_COUNTS in minutes, and next_count, repeats, going (treatment goes on), watched (somebody
        may still have to act) and until_day.
    """
    courses = stretches.group_by(*DUTY, "course").agg(
        rule_id=col("rule_id").max(),
        drug=col("drug").max(),
        to_day=col("to_day").max(),
        until_day=col("until_day").max(),
        going=one(col("going")).max(),
        dead=col("dead").max(),
        watch_days=col("watch_days").max(),
        next_day=one(col("next_day").is_null()).max(),
    )
    joined = dues.join(courses, on=[*DUTY, "course"])
    watched = (col("going") == 1) | ((col("until_day") <= col("to_day") + col("watch_days")) & (col("next_day") == 1))
    until = col("until_day")
    state = (
        when(col("unsure") == 1)
        .then(lit("unknown"))
        .when(~col("fulfilled").is_null())
        .then(lit("fulfilled"))
        .when(until < col("due"))
        .then(lit("open"))
        .when((until <= col("latest")) & (col("kind") != "baseline"))
        .then(lit("due"))
        .when(col("next_count").is_null() & watched & (col("dead") == 0) & (col("kind") != "baseline"))
        .then(lit("overdue"))
        .otherwise(lit("missed"))
    )
    judged = joined.with_columns(state=state, watched=watched & (col("dead") == 0)).filter(
        # Death ends what was still in time; what was owed before it stays owed.
        ~((col("dead") == 1) & (col("state") != "fulfilled") & (until <= col("latest")) & (col("kind") != "baseline"))
    )
    extra = ("next_count", "repeats", "going", "watched", "to_day", "until_day")
    return judged.with_columns(due=col("due") * DAY, latest=col("latest") * DAY).select(
        *DUE_COUNTS.names, "rule_no", *extra
    )
