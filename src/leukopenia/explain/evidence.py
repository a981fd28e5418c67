"""What the records say beside the low count itself: one row an episode and clue, present or absent.

A clue that nobody looked for is no row: unknown is neither for nor against anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.explain.model import LINES

Frame = nw.LazyFrame[Any]

DAY = 1440
NEAR = 3 * DAY
EVIDENCE = ("episode_id", "clue", "cause", "state", "minute", "source", "row_id", "signal")

_HALF_YEAR, _YEAR = 182 * DAY, 365 * DAY
_FALL = 60 * DAY
_REBOUND = 3 * DAY
_CYCLE = (14 * DAY, 35 * DAY)
_MILD = {"neutrophils": 1.0, "wbc": 2.5, "lymphocytes": 0.8}


@dataclass(frozen=True)
class Records:
    """What the persons with an episode have on record.

    Parameters
    ----------
    lines : Frame
        patient_id, analyte, minute, value (10^9/L, haemoglobin g/L; null: given in words), limit_low, limit_high,
        is_low (null: no limit known).
    findings, conditions, exposures, patients : Frame
        The tables of contracts; start and end may be null where a case history does not give them.
    mentions : Frame
        patient_id, clue, cause, state, minute, source, row_id: clues that a text names.
    """

    lines: Frame
    findings: Frame
    conditions: Frame
    exposures: Frame
    patients: Frame
    mentions: Frame


def scope(episodes: Frame, patients: Frame) -> Frame:
    """The episodes to explain, with what bears on every clue: sex and age at onset."""
    numbered = episodes.with_columns(
        since=col("onset") - col("onset").shift(1).over("patient_id", "analyte", order_by=["onset"])
    )
    turns = when((col("since") >= _CYCLE[0]) & (col("since") <= _CYCLE[1])).then(1).otherwise(0)
    line = ("patient_id", "analyte")
    return (
        numbered.with_columns(turn=turns.cast(nw.Int64))
        .with_columns(again=col("turn") * col("turn").shift(1).over(*line, order_by=["onset"]))
        .with_columns(cycles=col("again").max().over(*line))
        .join(patients.select("patient_id", "sex", "birth", "duffy_null"), on="patient_id", how="left")
        .select(
            "episode_id",
            "patient_id",
            "analyte",
            "onset",
            "last_not_low",
            "nadir",
            "nadir_comparator",
            "nadir_minute",
            "last_low",
            "recovery",
            "chronicity",
            "n_low",
            "n_counts",
            "cycles",
            "sex",
            "duffy_null",
            age=when(col("birth") <= col("onset")).then(col("onset") - col("birth")),
        )
    )


def pattern(scope: Frame, lines: Frame) -> Frame:
    """One row an episode: which lines were low near its onset or nadir, and how the count came and went.

    Returns
    -------
    Frame
        The columns of scope, `low_<line>` (1 low, 0 measured and not low, null not measured), and one Boolean
        column (null: unknown) for each of `PATTERN`.
    """
    key = scope.select("episode_id", "patient_id", "onset", "nadir_minute", of="analyte")
    seen = lines.join(key, on="patient_id").filter(
        (col("minute") >= col("onset") - _FALL) & (col("minute") <= col("onset") + NEAR) | _after_nadir()
    )
    near = _within(col("minute") - col("onset"), NEAR) | _within(col("minute") - col("nadir_minute"), NEAR)
    same = col("analyte") == col("of")
    low = when(col("is_low")).then(1).otherwise(0)
    states = {
        f"low_{line}": when(near & (col("analyte") == line) & ~col("is_low").is_null()).then(low).max()
        for line in LINES
    }
    settled = ~(col("limit_high").is_null() | col("value").is_null())
    # A rebound after the nadir is no high count at the fall.
    high = near & (col("analyte") == "neutrophils") & settled & (col("minute") <= col("nadir_minute"))
    above = when(col("value") > col("limit_high")).then(1).otherwise(0)
    rebound = same & (col("minute") > col("nadir_minute")) & (col("minute") <= col("nadir_minute") + _REBOUND)
    same_day = same & (col("minute") > col("nadir_minute")) & (col("minute") <= col("nadir_minute") + DAY)
    before = same & (col("minute") < col("onset"))
    found = seen.group_by("episode_id").agg(
        **states,
        high_neutrophils=when(high).then(above).max(),
        kept_up=when(rebound & ~col("is_low").is_null()).then(1 - low).max(),
        highest_within_day=when(same_day).then(col("value")).max(),
        highest_before=when(before).then(col("value")).max(),
    )
    return _signs(scope.join(found, on="episode_id", how="left"))


def _after_nadir() -> nw.Expr:
    return (col("minute") >= col("nadir_minute") - NEAR) & (col("minute") <= col("nadir_minute") + _REBOUND)


def _within(distance: nw.Expr, span: int) -> nw.Expr:
    return (distance >= -span) & (distance <= span)


def _signs(wide: Frame) -> Frame:
    neutrophils, lymphocytes = col("low_neutrophils"), col("low_lymphocytes")
    red, platelets = col("low_haemoglobin"), col("low_platelets")
    mild = lit(None).cast(nw.Boolean)
    for analyte, limit in _MILD.items():
        mild = when(col("analyte") == analyte).then(~_nadir_below(limit)).otherwise(mild)
    granulocytes = col("analyte") == "neutrophils"
    never_severe = ~(granulocytes & _nadir_below(0.5)).fill_null(False)
    in_weeks = col("nadir_minute") - col("onset") <= _FALL
    return wide.with_columns(
        isolated_neutropenia=(neutrophils == 1) & (red == 0) & (platelets == 0),
        several_lines_low=(red == 1) | (platelets == 1),
        isolated_lymphopenia=(lymphocytes == 1) & (neutrophils == 0),
        lymphopenia=lymphocytes == 1,
        platelets_low=platelets == 1,
        platelets_not_low=platelets == 0,
        anaemia=red == 1,
        neutrophils_high=col("high_neutrophils") == 1,
        stable_low_for_months=when(col("chronicity") == "chronic").then(
            never_severe & (col("n_low") == col("n_counts"))
        ),
        normal_before=when(col("onset") - col("last_not_low") <= _YEAR).then(lit(True)),
        halved_within_weeks=when(in_weeks).then(col("nadir") * 2.0 <= col("highest_before")),
        cyclic_troughs=when(col("cycles") == 1).then(lit(True)),
        low_then_high=col("kept_up") == 1,
        rises_within_a_day=col("highest_within_day") >= col("nadir") * 1.5,
        mild=mild,
        severe=when(granulocytes).then(_nadir_below(0.5)),
        profound=when(granulocytes).then(_nadir_below(0.1)),
        duffy_null_recorded=when(col("duffy_null")).then(lit(True)),
        newborn=col("age") < 28 * DAY,
        infant=(col("age") >= 28 * DAY) & (col("age") < 2 * _YEAR + _HALF_YEAR),
        child=(col("age") >= 2 * _YEAR + _HALF_YEAR) & (col("age") < 18 * _YEAR),
        elderly=col("age") >= 65 * _YEAR,
    )


def _nadir_below(limit: float) -> nw.Expr:
    """Null where a bound leaves it open."""
    nadir, comparator = col("nadir"), col("nadir_comparator")
    below = (nadir < limit) | ((comparator == "<") & (nadir == limit))
    return (
        when(comparator == "")
        .then(below)
        .when(comparator.is_in(["<", "<="]) & below)
        .then(lit(True))
        .when(comparator.is_in([">", ">="]) & ~below)
        .then(lit(False))
    )


PATTERN = (
    "isolated_neutropenia",
    "several_lines_low",
    "isolated_lymphopenia",
    "lymphopenia",
    "platelets_low",
    "platelets_not_low",
    "anaemia",
    "neutrophils_high",
    "stable_low_for_months",
    "normal_before",
    "halved_within_weeks",
    "cyclic_troughs",
    "low_then_high",
    "rises_within_a_day",
    "mild",
    "severe",
    "profound",
    "duffy_null_recorded",
    "newborn",
    "infant",
    "child",
    "elderly",
)
"""Clues that follow from the counts, the course and the person alone."""


def of_pattern(pattern: Frame, clues: Frame) -> Frame:
    """Rows of evidence for the clues of `PATTERN`; `clues` is that list as a frame."""
    value = lit(None).cast(nw.Boolean)
    for clue in PATTERN:
        value = when(col("clue") == clue).then(col(clue)).otherwise(value)
    long = pattern.join(clues, how="cross").with_columns(met=value).filter(~col("met").is_null())
    return long.select(
        "episode_id",
        "clue",
        _state(col("met")),
        col("onset").alias("minute"),
        *_blank("cause", "source", "row_id", "signal"),
    )


def of_values(scope: Frame, lines: Frame, findings: Frame, criteria: Frame) -> Frame:
    """Rows of evidence for measured clues: present where one value in the window meets the criterion.

    Parameters
    ----------
    criteria : Frame
        clue, signal, operator, limit, from_minutes, to_minutes, sex.
    """
    counted = lines.filter(~col("value").is_null()).select(
        "patient_id",
        "minute",
        "value",
        signal="analyte",
        range=when(col("value") < col("limit_low"))
        .then(lit("low"))
        .when(col("value") > col("limit_high"))
        .then(lit("high"))
        .when(~(col("limit_low").is_null() | col("limit_high").is_null()))
        .then(lit("normal"))
        .otherwise(lit("")),
        source=lit(""),
        row_id=lit(""),
    )
    found = findings.select(
        "patient_id",
        "minute",
        "value",
        "range",
        "source",
        signal="finding",
        row_id=col("row_id").cast(nw.String),
    )
    columns = ("patient_id", "signal", "minute", "value", "range", "source", "row_id")
    seen = nw.concat([counted.select(*columns), found.select(*columns)]).join(criteria, on="signal")
    here = seen.join(scope.select("episode_id", "patient_id", "onset", person="sex"), on="patient_id").filter(
        col("minute") >= col("onset") + col("from_minutes"),
        col("minute") <= col("onset") + col("to_minutes"),
        (col("sex") == "") | (col("sex") == col("person")),
    )
    judged = here.with_columns(met=_met()).filter(~col("met").is_null())
    where = ("minute", "source", "row_id", "signal")
    return judged.select("episode_id", "clue", *_blank("cause"), _state(col("met")), *where)


def _met() -> nw.Expr:
    operator, value, limit = col("operator"), col("value"), col("limit")
    known = col("range") != ""
    return (
        when(operator == "above")
        .then(value > limit)
        .when(operator == "at_or_above")
        .then(value >= limit)
        .when(operator == "below")
        .then(value < limit)
        .when(operator == "at_or_below")
        .then(value <= limit)
        .when((operator == "range_high") & known)
        .then(col("range") == "high")
        .when((operator == "range_low") & known)
        .then(col("range") == "low")
        .when((operator == "present") & ~value.is_null())
        .then(value > 0)
    )


def of_spans(scope: Frame, exposures: Frame, conditions: Frame, criteria: Frame, checked: Frame) -> Frame:
    """Rows of evidence for drugs and conditions that are clues to another cause.

    What is not recorded is unknown, except for the clues of `checked` (chemotherapy, G-CSF), whose absence from a
    record is itself what a reader wants to see.
    """
    columns = ("patient_id", "signal", "start", "end", "source", "row_id")
    spans = nw.concat(
        [
            frame.with_columns(row_id=col("row_id").cast(nw.String)).rename({name: "signal"}).select(*columns)
            for frame, name in ((exposures, "ingredient"), (conditions, "condition"))
        ]
    ).join(criteria, on="signal")
    here = spans.join(scope.select("episode_id", "patient_id", "onset"), on="patient_id").filter(
        col("start").is_null() | (col("start") <= col("onset") + col("to_minutes")),
        col("end").is_null() | (col("end") >= col("onset") + col("from_minutes")),
    )
    present = here.select(
        "episode_id",
        "clue",
        *_blank("cause"),
        lit("present").alias("state"),
        col("start").alias("minute"),
        "source",
        "row_id",
        "signal",
    )
    unseen = (
        scope.select("episode_id", minute="onset")
        .join(checked, how="cross")
        .join(present.select("episode_id", "clue").unique(), on=["episode_id", "clue"], how="anti")
        .select(
            "episode_id",
            "clue",
            lit("absent").alias("state"),
            "minute",
            *_blank("cause", "source", "row_id", "signal"),
        )
    )
    return nw.concat([present.select(*EVIDENCE), unseen.select(*EVIDENCE)])


def of_mentions(scope: Frame, mentions: Frame) -> Frame:
    """Rows of evidence for clues that a text names."""
    return (
        mentions.join(scope.select("episode_id", "patient_id"), on="patient_id")
        .with_columns(row_id=col("row_id").cast(nw.String), signal=lit(""))
        .select(*EVIDENCE)
    )


def merged(parts: list[Frame]) -> Frame:
    """One row an episode, clue and cause: what was seen once is present, the earliest sight of it."""
    ranked = nw.concat([part.select(*EVIDENCE) for part in parts]).with_columns(
        absent=when(col("state") == "present").then(lit(0)).otherwise(lit(1)).cast(nw.Int64),
        when_seen=col("minute").fill_null(0),
    )
    return ranked.unique(
        subset=["episode_id", "clue", "cause"],
        keep="first",
        order_by=["absent", "when_seen", "source", "row_id", "signal"],
    ).select(*EVIDENCE)


def _state(met: nw.Expr) -> nw.Expr:
    return when(met).then(lit("present")).otherwise(lit("absent")).alias("state")


def _blank(*names: str) -> list[nw.Expr]:
    return [lit("").alias(name) for name in names]
