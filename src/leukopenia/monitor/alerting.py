"""What a rule asks somebody to look at."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts.monitored import ALERTS
from leukopenia.monitor.bands import LINE, inside_band, unlike_own
from leukopenia.monitor.courses import DAY, DUTY, one
from leukopenia.monitor.rules import NOT_TO_START, STOPS

Frame = nw.LazyFrame[Any]

TOLERATED_DAYS = 3
"""A drug may run on so many days after a count that stops it, before that is called going on."""

URGENCY = {
    "continued_in_spite_of_stop": 1,
    "confirmation_missing": 2,
    "contraindicated_start": 2,
    "contraindicated_restart": 2,
    "overdue": 3,
    "baseline_missing": 4,
    "no_count_after_end": 4,
    "due": 5,
}
"""A crossed threshold is as urgent as what it asks for (`rules.ACTIONS`)."""

STATEMENTS = {
    "baseline_missing": "No count before the start.",
    "due": "A count is due.",
    "overdue": "A count is overdue.",
    "no_count_after_end": "No count after the end of treatment.",
}
_VALUE = ("analyte", "value", "action", "statement", "source_id")
_ALERT = (*DUTY, "course", "minute", "kind", "days_overdue", *_VALUE, "urgency", "open")


def of_due_counts(due_counts: Frame, duties: Frame) -> Frame:
    """Alerts of counts that were not taken: one for each run of due dates without a count between them.

    Parameters
    ----------
    due_counts : Frame
        due.due_counts.
    duties : Frame
        rules.Rules.duties.
    """
    owed = due_counts.filter(col("fulfilled").is_null(), col("repeats") == 0)
    is_baseline = col("kind") == "baseline"
    late = col("state").is_in(["overdue", "missed"])
    latest_day = col("latest") // DAY
    stopped = when(col("to_day") > latest_day).then(col("to_day")).otherwise(latest_day)
    end = (
        when(~col("next_count").is_null())
        .then(col("next_count") // DAY)
        .when(col("watched"))
        .then(col("until_day"))
        .otherwise(stopped)
    )
    kind = (
        when(is_baseline & late)
        .then(lit("baseline_missing"))
        .when(col("state") == "due")
        .then(lit("due"))
        .when(late & (col("kind") == "after_end"))
        .then(lit("no_count_after_end"))
        .when(late)
        .then(lit("overdue"))
    )
    missing_still = (col("going") == 1) & col("next_count").is_null() & is_baseline
    raised = owed.with_columns(alert=kind).filter(~col("alert").is_null())
    rows = raised.select(
        *DUTY,
        "course",
        minute=col("due"),
        kind=col("alert"),
        days_overdue=when(late & ~is_baseline).then(end - col("due") // DAY),
        open=one(col("state").is_in(["due", "overdue"]) | missing_still),
    )
    merged = rows.group_by(*DUTY, "course", "minute", "kind").agg(
        days_overdue=col("days_overdue").max(), open=col("open").max()
    )
    worded = merged.join(duties.select("rule_no", source_id="rule_source"), on="rule_no").with_columns(
        analyte=lit(""),
        value=lit(None).cast(nw.Float64),
        action=lit(""),
        statement=_chosen(STATEMENTS, ""),
        urgency=_urgency(),
    )
    return worded.select(*_ALERT)


def _chosen(words: dict[str, str], default: str) -> nw.Expr:
    said = lit(default)
    for kind, word in words.items():
        said = when(col("kind") == kind).then(lit(word)).otherwise(said)
    return said


def _urgency() -> nw.Expr:
    urgency = lit(2)
    for kind, rank in URGENCY.items():
        urgency = when(col("kind") == kind).then(lit(rank)).otherwise(urgency)
    return urgency.cast(nw.Int64)


def _facts(stretches: Frame) -> Frame:
    """What is known of each course under a rule on the day asked for."""
    return stretches.group_by(*DUTY, "course").agg(
        until=col("until").max(),
        going=one(col("going")).max(),
        dead=col("dead").max(),
        to_day=col("to_day").max(),
        watch_days=col("watch_days").max(),
        final=one(col("next_day").is_null()).max(),
        drug=col("drug").max(),
    )


def of_thresholds(crossings: Frame, followed: Frame, stretches: Frame, lasting: Frame, bands: Frame) -> list[Frame]:
    """Crossed thresholds, first counts that were not repeated, and treatment that went on in spite of a stop.

    Parameters
    ----------
    crossings, followed : Frame
        thresholds.crossings, thresholds.followed.
    stretches, lasting, bands : Frame
        courses.stretches, courses.lasting, rules.Rules.bands.
    """
    facts = _facts(stretches)
    beyond = _continued(crossings, followed, facts, lasting, _resume(bands))
    return [_crossed(crossings, facts), _unconfirmed(followed, facts), *beyond]


def _watched() -> nw.Expr:
    over = col("until") // DAY <= col("to_day") + col("watch_days")
    return (col("dead") == 0) & ((col("going") == 1) | (over & (col("final") == 1)))


def _as_alerts(rows: Frame, kind: str, minute: nw.Expr, still: nw.Expr) -> Frame:
    urgency = col("severity") if kind == "threshold_crossed" else lit(URGENCY[kind])
    return rows.with_columns(
        minute=minute,
        kind=lit(kind),
        days_overdue=lit(None).cast(nw.Int64),
        urgency=urgency.cast(nw.Int64),
        open=one(still),
    ).select(*_ALERT)


def _crossed(crossings: Frame, facts: Frame) -> Frame:
    rows = crossings.join(facts, on=[*DUTY, "course"])
    return _as_alerts(rows, "threshold_crossed", col("minute"), col("lasts") & _watched())


def _deadline() -> nw.Expr:
    """Until when a count is to be repeated; one of which only the day is known may have been taken at its end."""
    return col("minute") + col("confirm_minutes") + when(col("by_day")).then(lit(DAY)).otherwise(lit(0))


def _unconfirmed(followed: Frame, facts: Frame) -> Frame:
    first = ~col("confirm_minutes").is_null() & (col("previous_confirms").fill_null(0) == 0) & col("inside")
    rows = followed.filter(first).join(facts, on=[*DUTY, "course"]).with_columns(deadline=_deadline())
    late = (col("next_minute").is_null() | (col("next_minute") > col("deadline"))) & (col("until") > col("deadline"))
    still = col("next_minute").is_null() & _watched()
    return _as_alerts(rows.filter(late), "confirmation_missing", col("deadline"), still)


def _refuted() -> nw.Expr:
    """The repeat that the rule asks for came in time, and does not stop the drug."""
    in_time = (col("next_minute") <= _deadline()).fill_null(False)
    return in_time & (col("next_stops").fill_null(1) == 0)


def stopping(crossings: Frame) -> Frame:
    """Counts at which a rule stops or interrupts the drug, and which no repeat has refuted."""
    return crossings.filter(col("action").is_in(list(STOPS)), ~_refuted())


def _continued(crossings: Frame, followed: Frame, facts: Frame, lasting: Frame, resume: Frame) -> list[Frame]:
    """Treatment beyond a stop: gone on, or, before an interrupted drug may be resumed, begun again."""
    first = stopping(crossings).filter(col("previous_stops").fill_null(0) == 0).join(facts, on=[*DUTY, "course"])
    stopped = first.join(_resumed(first, followed), on=[*LINE, "minute"], how="left")
    barred = _taken_after(stopped, lasting).join(resume, on=["rule_no", "analyte"], how="left")
    again = (col("taken_from") > col("limit")) & (col("action") == "interrupt") & ~col("barred_statement").is_null()
    still = (col("going") == 1) & (col("dead") == 0) & col("resumed").is_null()
    restarted = barred.filter(again).with_columns(
        action=lit("do_not_start"), statement=col("barred_statement"), source_id=col("barred_source")
    )
    return [
        _as_alerts(barred.filter(~again), "continued_in_spite_of_stop", col("since"), still),
        _as_alerts(restarted, "contraindicated_restart", col("since"), still),
    ]


def _resumed(stops: Frame, followed: Frame) -> Frame:
    """From when on the line is high enough for an interrupted drug."""
    later = followed.filter(~col("comparator").is_in(["<", "<="])).select(*LINE, later="minute", later_value="value")
    return (
        stops.select(*LINE, "minute", "resume_at")
        .join(later, on=[*LINE])
        .filter(col("later") > col("minute"), col("later_value") >= col("resume_at"))
        .group_by(*LINE, "minute")
        .agg(resumed=col("later").min())
    )


def _taken_after(stops: Frame, lasting: Frame) -> Frame:
    """The first treatment after each stop and before the drug may be resumed, and `since` when."""
    taken = lasting.select("patient_id", "drug", taken_from="start", taken_to="end")
    limit = (col("minute") // DAY + TOLERATED_DAYS + 1) * DAY
    went_on = (
        stops.with_columns(limit=limit)
        .join(taken, on=["patient_id", "drug"])
        .filter(
            col("taken_to") >= col("limit"),
            col("taken_from") // DAY <= col("to_day"),
            col("resumed").is_null() | ((col("taken_from") < col("resumed")) & (col("limit") < col("resumed"))),
        )
        .with_columns(since=when(col("taken_from") > col("limit")).then(col("taken_from")).otherwise(col("limit")))
    )
    earliest = went_on.with_columns(earliest=col("since").min().over(*LINE, "minute")).filter(
        col("since") == col("earliest")
    )
    # Of several stops before the same dose the latest is told.
    latest = earliest.with_columns(newest=col("minute").max().over(*LINE, "since")).filter(
        col("minute") == col("newest")
    )
    return latest.unique(subset=[*LINE, "minute"], keep="any")


def _resume(bands: Frame) -> Frame:
    """What each rule says of resuming a drug that was interrupted for one line."""
    barred = bands.filter(col("purpose") == "resume", col("action").is_in(list(NOT_TO_START)))
    gravest = barred.with_columns(gravest=col("band").min().over("rule_no", "analyte"))
    return gravest.filter(col("band") == col("gravest")).select(
        "rule_no", "analyte", barred_statement="statement", barred_source="source_id"
    )


def of_starts(counts: Frame, crossings: Frame, stretches: Frame, bands: Frame, own: Frame | None) -> list[Frame]:
    """Starts at a count at which the rule says not to start, and starts after a stop for good.

    Parameters
    ----------
    counts : Frame
        thresholds.of_interest.
    crossings, stretches, bands : Frame
        thresholds.crossings, courses.stretches, rules.Rules.bands.
    own : Frame or None
        bands.baselines; None: no rule looks at it.
    """
    valid = (col("from_day") >= col("valid_from")) & (col("from_day") <= col("valid_to"))
    began = stretches.with_columns(first=one(col("stretch") == 1)).filter(valid)
    return [_at_a_low_count(began, counts, bands, own), _after_a_stop(began, crossings)]


def _at_a_low_count(began: Frame, counts: Frame, bands: Frame, own: Frame | None) -> Frame:
    barred = bands.filter(col("action").is_in(list(NOT_TO_START)), col("purpose").is_in(["start", "restart"]))
    limits = ("rule_no", "purpose", "analyte", "lower", "upper", "or_baseline", "band")
    wordings = ("action", "statement", "source_id")
    again = barred.filter(col("purpose") == "restart").select("rule_no").unique().with_columns(again=lit(1))
    fresh = began.filter(col("fresh") == 1, col("anchor_known") == 1).join(again, on="rule_no", how="left")
    lines = barred.select("rule_no", "analyte").unique()
    day = col("minute") // DAY
    before = (
        fresh.join(lines, on="rule_no")
        .join(counts.drop("derivation", "by_day"), on=["patient_id", "analyte"])
        .filter(day <= col("from_day"), day >= col("from_day") - col("baseline_days"))
        .with_columns(newest=col("minute").max().over(*LINE, "stretch"))
        .filter(col("minute") == col("newest"))
    )
    wanted = when((col("first") == 0) & (col("again") == 1)).then(lit("restart")).otherwise(lit("start"))
    asked = before.join(barred.select(*limits, *wordings), on=["rule_no", "analyte"])
    hit = unlike_own(asked.filter(inside_band(), col("purpose") == wanted), own)
    worst = hit.with_columns(worst=col("band").min().over(*LINE, "stretch")).filter(col("band") == col("worst"))
    still = col("going") & (col("dead") == 0)
    start = col("from_minute")
    return nw.concat(
        [
            _as_alerts(worst.filter(col("purpose") == "start"), "contraindicated_start", start, still),
            _as_alerts(worst.filter(col("purpose") == "restart"), "contraindicated_restart", start, still),
        ]
    )


def _after_a_stop(began: Frame, crossings: Frame) -> Frame:
    stopped = stopping(crossings).filter(col("action") == "stop_for_good")
    earlier = stopped.select(
        *DUTY, "analyte", "value", "action", "statement", "source_id", "day", "minute", was="course"
    )
    again = began.join(earlier, on=[*DUTY]).filter(
        col("day") < col("from_day"), (col("was") < col("course")) | (col("fresh") == 1)
    )
    latest = again.with_columns(newest=col("minute").max().over(*DUTY, "stretch", "course", "analyte")).filter(
        col("minute") == col("newest")
    )
    return _as_alerts(latest, "contraindicated_restart", col("from_minute"), col("going") & (col("dead") == 0))


def table(parts: list[Frame], duties: Frame) -> Frame:
    """contracts.monitored.ALERTS."""
    # A start may be barred twice, by the count before it and by an earlier stop.
    merged = nw.concat(parts).unique(
        subset=[*DUTY, "course", "minute", "kind", "analyte"], keep="last", order_by=["action", "statement", "value"]
    )
    named = merged.join(duties.select("rule_no", "rule_id", "drug"), on="rule_no")
    return named.with_columns(open=col("open") == 1).select(*ALERTS.names)
