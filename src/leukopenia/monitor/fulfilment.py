"""Which count fulfils which due date.

The time between two due dates belongs to the later one: a count in it fulfils the later, unless it lies within the
grace of the earlier, and the earlier is not fulfilled yet. So each count fulfils at most one due date of a track, and
the grace of a due date ends with the next one at the latest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.monitor.courses import DAY, DUTY, NEVER, one

Frame = nw.LazyFrame[Any]
Keep = Callable[[Frame, str], Frame]

TRACK = (*DUTY, "track")
DUE, END, START = 1, 2, 3
"""Boundaries of one day in their order, all after its counts: a due date, the end, and the start of a stretch."""

_BEYOND = 10**9
_FACTS = ("course", "kind", "due", "latest", "unsure", "closed")
BOUNDARY = (*TRACK, "day", "order", *_FACTS)
ANSWER = (*TRACK, "course", "kind", "due", "latest", "fulfilled", "next_count", "repeats", "unsure")


def draws(counts: Frame, stretches: Frame, sets: Iterable[str]) -> Frame:
    """Times at which all analytes of a set were counted, for the persons whose rules ask for the set.

    A neutrophil count that is only bounded by the white cells is no differential.

    Parameters
    ----------
    counts : Frame
        thresholds.dated.
    stretches : Frame
        courses.stretches.
    sets : iterable of str
        The sets, as rules write them: `wbc;neutrophils`.

    Returns
    -------
    Frame
        patient_id, analytes (the set), minute; from the first day on which a baseline may be taken.
    """
    counted = counts.filter(col("derivation") != "bounded_by_wbc")
    wanted = stretches.group_by("patient_id", "analytes").agg(
        since=(col("from_day") - col("baseline_days")).min() * DAY
    )
    # Without any rule no line is drawn for.
    return nw.concat([_drawn(counted, wanted, analytes) for analytes in sorted({*sets}) or [""]])


def _drawn(counted: Frame, wanted: Frame, analytes: str) -> Frame:
    first, *others = analytes.split(";")
    persons = wanted.filter(col("analytes") == analytes).select("patient_id", "since")
    times = counted.filter(col("analyte") == first).select("patient_id", "minute").join(persons, on="patient_id")
    held = times.filter(col("minute") >= col("since")).select("patient_id", "minute")
    for other in others:
        beside = counted.filter(col("analyte") == other).select("patient_id", "minute")
        held = held.join(beside, on=["patient_id", "minute"], how="semi")
    return held.with_columns(analytes=lit(analytes)).select("patient_id", "analytes", "minute")


def matched(boundaries: Frame, tracks: Frame, draws: Frame, keep: Keep) -> Frame:
    """Due dates with the counts that fulfil them.

    Parameters
    ----------
    boundaries : Frame
        BOUNDARY: due dates, ends and starts; `closed` is 1 for a due date that is owed no more if nothing fulfils it,
        and of a baseline the first day on which it may be taken.
    tracks : Frame
        One row a track: patient_id, rule_no, track, and the set of analytes that fulfils it.
    draws : Frame
        What `draws` gives.
    keep : callable
        Computes a frame once.

    Returns
    -------
    Frame
        One row a due date: person, rule_no, track, course, kind, due, latest (days), fulfilled (minute), next_count
        (the first count after its time), repeats (1: the one before is not fulfilled either) and unsure.
    """
    counts = tracks.join(draws, on=["patient_id", "analytes"])
    slots = keep(_slots(boundaries, tracks, counts), "slots")
    return _answers(_fulfilled(slots))


def _slots(boundaries: Frame, tracks: Frame, draws: Frame) -> Frame:
    """Each boundary with the counts since the one before: n, first, second and last."""
    beyond = tracks.with_columns(
        day=lit(_BEYOND).cast(nw.Int64),
        order=lit(START).cast(nw.Int64),
        kind=lit("beyond"),
        latest=lit(NEVER).cast(nw.Int64),
        **{name: lit(None).cast(nw.Int64) for name in ("course", "due", "unsure", "closed")},
    )
    # One number that orders all: four places a minute, counts first, boundaries at the end of their day.
    placed = nw.concat([boundaries, beyond.select(*BOUNDARY)]).with_columns(
        at=((col("day") + 1) * DAY - 1) * 4 + col("order")
    )
    over = {"order_by": ["at"]}
    numbered = placed.with_columns(
        slot=col("at").cum_count().over(*TRACK, **over).cast(nw.Int64) - 1,
        grace=col("latest").shift(1).over(*TRACK, **over),
        before_order=col("order").shift(1).over(*TRACK, **over),
    )
    marks = placed.select(*TRACK, "at", mark="at")
    counts = draws.select(*TRACK, at=col("minute") * 4, mark=lit(None).cast(nw.Int64))
    walked = nw.concat([marks, counts]).with_columns(
        slot=col("mark").cum_count().over(*TRACK, **over).cast(nw.Int64),
        before=col("at").shift(1).over(*TRACK, **over),
        following=col("at").shift(-1).over(*TRACK, **over),
    )
    leads = col("before").is_null() | (col("before") % 4 != 0)
    held = (
        walked.filter(col("mark").is_null())
        .group_by(*TRACK, "slot")
        .agg(
            n=nw.len().cast(nw.Int64),
            first=col("at").min() // 4,
            second=when(leads & (col("following") % 4 == 0)).then(col("following")).max() // 4,
            last=col("at").max() // 4,
        )
    )
    joined = numbered.drop("at", "day").join(held, on=[*TRACK, "slot"], how="left")
    return joined.with_columns(n=col("n").fill_null(0))


def _fulfilled(slots: Frame) -> Frame:
    """Add `fulfilled`, `repeats` and `next_count`, the first one in the slots that follow.

    A due date is left open by its own slot if that holds no count, or only one that the due date before takes. The
    latter is so if that one is as open itself: the answer is copied from there, however far back.
    """
    over = {"order_by": ["slot"]}
    is_due = col("order") == DUE
    before = slots.with_columns(
        last_seen=when(col("last").is_null()).then(lit(NEVER)).otherwise(col("last")),
        early=one((col("first") // DAY <= col("grace")).fill_null(False)),
    )
    own = (
        when(~is_due | (col("n") > 1) | ((col("n") == 1) & (col("early") == 0)))
        .then(lit(0))
        .when(col("n") == 0)
        .then(lit(1))
        .cast(nw.Int64)
    )
    looked = before.with_columns(left_open=own).with_columns(
        left_open=col("left_open").fill_null(strategy="forward").over(*TRACK, **over),
        next_early=col("early").shift(-1).over(*TRACK, **over),
        next_first=col("first").shift(-1).over(*TRACK, **over),
        last_count=col("last_seen").cum_max().over(*TRACK, **over),
        reached=col("first").fill_null(strategy="backward").over(*TRACK, **over),
    )
    beside = looked.with_columns(
        before_open=col("left_open").shift(1).over(*TRACK, **over),
        next_count=col("reached").shift(-1).over(*TRACK, **over),
    )
    waiting = ((col("before_order") == DUE) & (col("before_open") == 1)).fill_null(False)
    own_count = when(waiting & (col("early") == 1)).then(col("second")).otherwise(col("first"))
    late = (col("left_open") == 1) & (col("next_early") == 1)
    return beside.with_columns(
        fulfilled=when(is_due & (col("left_open") == 0)).then(own_count).when(is_due & late).then(col("next_first")),
        repeats=one(waiting & (col("early") == 0)),
    )


def _answers(answered: Frame) -> Frame:
    is_baseline = col("kind") == "baseline"
    baseline = when(col("last_count") >= col("closed") * DAY).then(col("last_count"))
    return (
        answered.filter(~col("due").is_null())
        .with_columns(
            fulfilled=when(is_baseline).then(baseline).otherwise(col("fulfilled")),
            latest=when(is_baseline).then(col("due")).otherwise(col("latest")),
            repeats=when(is_baseline).then(lit(0)).otherwise(col("repeats")),
            closed=when(is_baseline).then(lit(0)).otherwise(col("closed")),
        )
        .filter(~((col("closed") == 1) & col("fulfilled").is_null()))
        .select(*ANSWER)
    )
