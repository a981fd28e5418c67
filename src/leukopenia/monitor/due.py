"""Which counts a rule asks for, and which count fulfils each.

Scheduled due dates stand at fixed days from the start of a stretch (`rules.grid`). The time between two due dates
belongs to the later one: a count in it fulfils the later, unless it lies within the grace of the earlier, and the
earlier is not fulfilled yet. So each count fulfils at most one scheduled due date, and the grace ends with the next
due date. Counts that a threshold asks for are fulfilled by the next count; one count may fulfil such a one and a
scheduled one, so that whichever is due first is the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts_monitor import DUE_COUNTS
from leukopenia.monitor.courses import DAY, DUTY, NEVER, one

Frame = nw.LazyFrame[Any]
Keep = Callable[[Frame, str], Frame]

TRACK = (*DUTY, "track")
SCHEDULE, WEEKLY = 0, 1
_COUNT, _DUE, _END, _START = 0, 1, 2, 3
"""Order of what happens on one day."""

_EVENT = (*TRACK, "day", "order", "minute")
_FACTS = ("course", "kind", "due", "latest", "unsure", "closed")


@dataclass(frozen=True)
class Grids:
    """Due days as tables of whole numbers: of the schedules, after the last dose, and the weeks after a spell."""

    schedule: Frame
    stop: Frame
    weeks: Frame


def draws(counts: Frame, analytes: list[str]) -> Frame:
    """Times at which all analytes of a set were counted.

    A neutrophil count that is only bounded by the white cells is no differential.

    Parameters
    ----------
    counts : Frame
        thresholds.dated.
    analytes : list of str
        The sets, as rules write them: `wbc;neutrophils`.

    Returns
    -------
    Frame
        patient_id, analytes (the set), minute.
    """
    lines = sorted({line for part in analytes for line in part.split(";")})
    counted = counts.filter(col("derivation") != "bounded_by_wbc", col("analyte").is_in(lines))
    held = {f"has_{line}": one(col("analyte") == line).max() for line in lines}
    drawn = counted.group_by("patient_id", "minute").agg(**held)
    parts = [
        drawn.filter(*[col(f"has_{line}") == 1 for line in part.split(";")]).select(
            "patient_id", "minute", analytes=lit(part)
        )
        for part in sorted(set(analytes))
    ]
    return nw.concat(parts)


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
        What `draws` gives.
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
        One row a due date: person, rule_no, track, course, kind, due, latest (days), fulfilled (minute), next_count
        (the first count after its time), repeats (1: the one before is not fulfilled either) and unsure.
    """
    present = col("analytes").is_in(counted)
    known = stretches.with_columns(
        start_unsure=one((col("anchor_known") == 0) | ~present), end_unsure=one((col("end_known") == 0) | ~present)
    )
    parts = [
        _starts(known),
        _phases(known, first_low, grids.schedule),
        _ends(known),
        _after_stop(known, grids.stop),
        _after_end(known),
        *_weekly(known, followed, grids.weeks),
    ]
    boundaries = nw.concat([part.select(*_EVENT, *_FACTS) for part in parts])
    duties = boundaries.select(*TRACK).unique().join(known.select("rule_no", "analytes").unique(), on="rule_no")
    return _matched(keep(boundaries, "boundaries"), duties.join(draws, on=["patient_id", "analytes"]))


def _row(frame: Frame, day: nw.Expr, order: int, kind: nw.Expr, **facts: nw.Expr) -> Frame:
    """A boundary between two counts; what it does not say is no due date."""
    said = {"due": lit(None), "latest": lit(NEVER), "unsure": lit(0), "closed": lit(0)} | facts
    return frame.with_columns(
        track=lit(SCHEDULE).cast(nw.Int64),
        day=day.cast(nw.Int64),
        order=lit(order).cast(nw.Int64),
        minute=lit(None).cast(nw.Int64),
        kind=kind,
        **{name: value.cast(nw.Int64) for name, value in said.items()},
    ).select(*_EVENT, *_FACTS)


def _starts(known: Frame) -> Frame:
    """The first day of each stretch; where phases begin there, a baseline is due. `latest` of it: how old it may be."""
    asked = (col("fresh") == 1) & (col("baseline") != "none")
    valid = (col("from_day") >= col("valid_from")) & (col("from_day") <= col("valid_to"))
    due = when(asked & valid).then(col("from_day"))
    unsure = when(col("baseline") == "when_at_risk").then(lit(1)).otherwise(col("start_unsure"))
    return _row(
        known,
        col("from_day"),
        _START,
        lit("baseline"),
        due=due,
        unsure=unsure,
        closed=col("from_day") - col("baseline_days"),
    )


def _phases(known: Frame, first_low: Frame | None, grid: Frame) -> Frame:
    """The schedule to the end of treatment, or for as long after it as the rule lets it go on."""
    goes_on = (col("last") == 1) & col("goes_on") & (col("dead") == 0)
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
    return _row(
        in_force,
        col("due_day"),
        _DUE,
        when(after).then(lit("after_stop")).otherwise(lit("scheduled")),
        due=col("due_day"),
        latest=latest,
        unsure=when(after & (col("end_unsure") == 1)).then(lit(1)).otherwise(col("start_unsure")),
        closed=closed,
    )


def _over(known: Frame) -> Frame:
    """The last stretches of courses, once the schedule of the treatment no longer holds."""
    return known.filter(col("last") == 1, col("lapsed"), col("dead") == 0)


def _ends(known: Frame) -> Frame:
    return _row(_over(known).filter(col("changes") | (col("end_days") >= 0)), col("to_day"), _END, lit("end"))


def _after_stop(known: Frame, grid: Frame) -> Frame:
    rows = _over(known).join(grid, on="rule_no").with_columns(due_day=col("to_day") + col("offset"))
    owed = rows.filter(
        col("next_day").is_null() | (col("due_day") < col("next_day")),
        (col("due_day") >= col("valid_from")) & (col("due_day") <= col("valid_to")),
        col("to_day") + col("opens") <= col("until_day"),
    )
    latest = col("due_day") + col("grace")
    return _row(
        owed, col("due_day"), _DUE, lit("after_stop"), due=col("due_day"), latest=latest, unsure=col("end_unsure")
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
    return _row(rows, due, _DUE, lit("after_end"), due=due, latest=due, unsure=col("end_unsure"))


def _weekly(known: Frame, followed: Frame, weeks: Frame) -> list[Frame]:
    """Weekly counts after a spell, on a track of their own; closer counts asked for meanwhile take their place."""
    over = {"order_by": ["minute"]}
    begun = followed.filter((col("weeks_from") > 0) | (col("begins") == 1)).with_columns(
        superseded=col("day").shift(-1).over(*DUTY, "course", "analyte", **over)
    )
    alive = known.filter(col("dead") == 0).select(*DUTY, "course", "until_day").unique()
    grown = begun.filter(col("weeks_from") > 0).join(alive, on=[*DUTY, "course"])
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
    marks = _row(starts, col("day"), _START, lit("spell")).with_columns(track=lit(WEEKLY).cast(nw.Int64))
    asked = _row(dues, col("due_day"), _DUE, lit("follow_up"), due=col("due_day"), latest=col("due_day") + 1)
    return [marks, asked.with_columns(track=lit(WEEKLY).cast(nw.Int64))]


def _matched(boundaries: Frame, draws: Frame) -> Frame:
    """Boundaries and counts in one order, cut into slots: each holds the counts since the last boundary."""
    counts = draws.with_columns(
        day=col("minute") // DAY,
        order=lit(_COUNT).cast(nw.Int64),
        kind=lit(""),
        latest=lit(NEVER).cast(nw.Int64),
        **{name: lit(None).cast(nw.Int64) for name in ("course", "due", "unsure", "closed")},
    ).select(*_EVENT, *_FACTS)
    over = {"order_by": ["day", "order", "minute"]}
    is_count = col("order") == _COUNT
    events = nw.concat([boundaries, counts]).with_columns(
        boundary=one(~is_count), seen=nw.coalesce("minute", lit(NEVER).cast(nw.Int64))
    )
    walked = events.with_columns(
        passed=col("boundary").cum_sum().over(*TRACK, **over).cast(nw.Int64),
        reach=col("latest").cum_max().over(*TRACK, **over),
        last_count=col("seen").cum_max().over(*TRACK, **over),
        before=col("order").shift(1).over(*TRACK, **over),
        following=col("minute").shift(-1).over(*TRACK, **over),
    )
    leads = is_count & (col("before") != _COUNT).fill_null(True)
    slots = (
        walked.with_columns(slot=col("passed") - col("boundary"))
        .group_by(*TRACK, "slot")
        .agg(
            n=one(is_count).sum().cast(nw.Int64),
            early=one(is_count & (col("day") <= col("reach"))).max(),
            first=when(leads).then(col("minute")).max(),
            second=when(leads).then(col("following")).max(),
            last_count=when(~is_count).then(col("last_count")).max(),
            kind=col("kind").max(),
            order=col("order").max(),
            **{name: when(~is_count).then(col(name)).max() for name in ("course", "due", "latest", "unsure", "closed")},
        )
    )
    return _fulfilled(slots)


def _fulfilled(slots: Frame) -> Frame:
    """Which count fulfils which due date.

    A due date is left open by its own slot if that holds no count, or only one that the due date before takes. The
    latter is so if it is as open itself: the answer is copied from there, however far back.
    """
    over = {"order_by": ["slot"]}
    is_due = col("order") == _DUE
    own = (
        when(~is_due | (col("n") > 1) | ((col("n") == 1) & (col("early") == 0)))
        .then(lit(0))
        .when(col("n") == 0)
        .then(lit(1))
        .cast(nw.Int64)
    )
    filled = slots.with_columns(left_open=own).with_columns(
        left_open=col("left_open").fill_null(strategy="forward").over(*TRACK, **over)
    )
    looked = filled.with_columns(
        backwards=-col("slot"),
        ahead=when(col("first").is_null()).then(lit(NEVER)).otherwise(-col("first")),
        before_open=col("left_open").shift(1).over(*TRACK, **over),
        before_due=one(is_due).shift(1).over(*TRACK, **over),
        next_early=col("early").shift(-1).over(*TRACK, **over),
        next_first=col("first").shift(-1).over(*TRACK, **over),
    )
    taken = (col("before_due") == 1) & (col("before_open") == 1) & (col("early") == 1)
    open_, late = col("left_open") == 1, col("next_early") == 1
    own_count = when(taken.fill_null(False)).then(col("second")).otherwise(col("first"))
    answered = looked.with_columns(
        fulfilled=when(is_due & ~open_).then(own_count).when(is_due & open_ & late).then(col("next_first")),
        reached=col("ahead").cum_max().over(*TRACK, order_by=["backwards"]),
    )
    return _answers(answered)


def _answers(answered: Frame) -> Frame:
    over = {"order_by": ["slot"]}
    is_due = col("order") == _DUE
    after = answered.with_columns(
        missing=one(is_due & col("fulfilled").is_null()),
        next_count=col("reached").shift(-1).over(*TRACK, **over),
    ).with_columns(
        next_count=when(col("next_count") != NEVER).then(-col("next_count")),
        repeats=col("missing").shift(1).over(*TRACK, **over),
    )
    is_baseline = col("kind") == "baseline"
    in_time = col("last_count") >= col("closed") * DAY
    baseline = when(in_time).then(col("last_count"))
    return (
        after.filter(~col("due").is_null())
        .with_columns(
            fulfilled=when(is_baseline).then(baseline).otherwise(col("fulfilled")),
            latest=when(is_baseline).then(col("due")).otherwise(col("latest")),
            repeats=when(is_baseline).then(lit(0)).otherwise(col("repeats").fill_null(0)),
            closed=when(is_baseline).then(lit(0)).otherwise(col("closed")),
        )
        .filter(~((col("closed") == 1) & col("fulfilled").is_null()))
        .select(*TRACK, "course", "kind", "due", "latest", "fulfilled", "next_count", "repeats", "unsure")
    )


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
        .select(*TRACK, "course", "kind", "due", "latest", "fulfilled", "next_count", "repeats", "unsure")
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
        contracts_monitor.DUE_COUNTS in minutes, and next_count, repeats, going (treatment goes on), watched (somebody
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
        when(~col("fulfilled").is_null())
        .then(lit("fulfilled"))
        .when(col("unsure") == 1)
        .then(lit("unknown"))
        .when(until < col("due"))
        .then(lit("open"))
        .when((until <= col("latest")) & (col("kind") != "baseline"))
        .then(lit("due"))
        .when(col("next_count").is_null() & watched & (col("dead") == 0) & (col("kind") != "baseline"))
        .then(lit("overdue"))
        .otherwise(lit("missed"))
    )
    judged = joined.with_columns(state=state, watched=watched & (col("dead") == 0)).filter(
        # The dead owe no count, and what lies ahead of an ended course is owed only if the rule says so.
        ~((col("dead") == 1) & col("state").is_in(["open", "due"]))
    )
    extra = ("next_count", "repeats", "going", "watched", "to_day", "until_day")
    return judged.with_columns(due=col("due") * DAY, latest=col("latest") * DAY).select(
        *DUE_COUNTS.names, "rule_no", *extra
    )
