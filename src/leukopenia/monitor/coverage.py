"""How well each course was monitored."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts.monitored import COVERAGE
from leukopenia.monitor.courses import DAY, DUTY, one

Frame = nw.LazyFrame[Any]

LATE = ("overdue", "missed")


def coverage(stretches: Frame, due_counts: Frame, counted: list[str]) -> Frame:
    """contracts.monitored.COVERAGE.

    A day is covered unless it lies beyond the grace of a due date, of the schedule or of a follow-up that a limit asks
    for, for which no count has come yet. Where the schedule cannot be placed, or has no fixed interval, nobody knows:
    null.
    """
    treated_to = when(col("going")).then(col("until_day")).otherwise(col("to_day"))
    placed = (col("anchor_known") == 1) & col("scheduled") & col("analytes").is_in(counted)
    regular = col("anchor") + col("irregular_from") > treated_to
    first = when(col("from_day") > col("valid_from")).then(col("from_day")).otherwise(col("valid_from"))
    last = when(treated_to < col("valid_to")).then(treated_to).otherwise(col("valid_to"))
    treated = (
        stretches.with_columns(first=first, final=last)
        .group_by(*DUTY, "course")
        .agg(
            first=col("first").min(),
            final=col("final").max(),
            known=one(placed & regular).min(),
            rule_id=col("rule_id").max(),
            drug=col("drug").max(),
            source=col("source").max(),
        )
    )
    numbers = treated.join(_counts(due_counts), on=[*DUTY, "course"], how="left")
    joined = numbers.join(_uncovered(due_counts, treated), on=[*DUTY, "course"], how="left")
    days = when(col("final") >= col("first")).then(col("final") - col("first") + 1).otherwise(lit(0))
    named = joined.with_columns(
        days_on_treatment=days.cast(nw.Int64),
        **{name: col(name).fill_null(0) for name in ("uncovered", "n_due", "n_fulfilled", "n_late", "n_missed")},
    )
    covered = when(col("known") == 1).then(col("days_on_treatment") - col("uncovered"))
    return named.with_columns(days_covered=covered).select(*COVERAGE.names)


def _uncovered(due_counts: Frame, treated: Frame) -> Frame:
    """Days of each course on which a count was late.

    Of due dates with the same next count one lies within the other; those with another next count lie apart.
    """
    owed = due_counts.filter(col("state").is_in(list(LATE)), col("kind").is_in(["scheduled", "follow_up"]))
    rows = owed.join(treated.select(*DUTY, "course", "first", "final"), on=[*DUTY, "course"])
    came, beyond = col("next_count") // DAY, col("latest") // DAY + 1
    spans = rows.with_columns(
        until=when(came <= col("final")).then(came).otherwise(col("final") + 1),
        beyond=when(beyond > col("first")).then(beyond).otherwise(col("first")),
    ).filter(col("until") > col("beyond"))
    longest = spans.group_by(*DUTY, "course", "until").agg(beyond=col("beyond").min())
    days = longest.with_columns(days=col("until") - col("beyond"))
    return days.group_by(*DUTY, "course").agg(uncovered=col("days").sum().cast(nw.Int64))


def _counts(due_counts: Frame) -> Frame:
    reached = (col("due") // DAY <= col("until_day")) & (col("state") != "unknown")
    done = reached & (col("state") == "fulfilled")
    late = done & (col("fulfilled") // DAY > col("due") // DAY) & (col("kind") != "after_end")
    return due_counts.group_by(*DUTY, "course").agg(
        n_due=one(reached).sum().cast(nw.Int64),
        n_fulfilled=one(done).sum().cast(nw.Int64),
        n_late=one(late).sum().cast(nw.Int64),
        n_missed=one(col("state").is_in(list(LATE))).sum().cast(nw.Int64),
    )
