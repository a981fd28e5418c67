"""Exposures -> how well each fits the onset and the course of an episode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.explain.model import MOST, TAU
from leukopenia.policy import Policy

Frame = nw.LazyFrame[Any]

DAY = 1440
_AFTER = 30 * DAY
"""A drug started no later than this after the onset is shown, argued against."""

_REACH = 200 * DAY
_CONTINUED = 3 * DAY
Own = Mapping[tuple[str, str], tuple[str, float, str]]


def exposed(scope: Frame, exposures: Frame, places: Frame, profiles: Frame, other: int) -> Frame:
    """Every interval of every drug that could bear on an episode, with the profile of its cause.

    Parameters
    ----------
    scope : Frame
        The episodes (evidence.scope).
    exposures : Frame
        contracts.EXPOSURES; start and end may be null.
    places : Frame
        cause_id, profile_no of every known cause; -1 for what lowers no count.
    profiles : Frame
        model.profiles.
    other : int
        The profile of a drug without a row.
    """
    dated = exposures.with_columns(dated_dose=when(~col("start").is_null()).then(col("dose")))
    doses = dated.with_columns(
        dose_before=col("dated_dose").shift(1).over("patient_id", "ingredient", "dose_unit", order_by=["start"])
    )
    taken = doses.select(
        "patient_id", "start", "end", "dated_dose", "dose_before", "source", "row_id", cause_id="ingredient"
    ).join(places, on="cause_id", how="left")
    known = taken.with_columns(profile_no=col("profile_no").fill_null(other)).join(
        profiles.drop("cause_id"), on="profile_no"
    )
    episode = ("episode_id", "patient_id", "analyte", "onset", "last_not_low", "last_low", "recovery")
    onset, end = col("onset"), col("end")
    return known.join(scope.select(*episode), on="patient_id").filter(
        col("start").is_null() | (col("start") <= onset + _AFTER),
        end.is_null() | (end >= onset - _REACH - (col("after_stop_days") * DAY).cast(nw.Int64)),
    )


def timed(exposed: Frame, policy: Policy) -> Frame:
    """Add `timing` (nats) and `placed`: where the interval lies, if that alone speaks against it.

    The onset latency is log-logistic, with a share of late onsets spread over years; its probability in the interval
    in which the onset can lie is set against an onset at any time within the reference window.
    """
    onset, start, end = col("onset"), col("start"), col("end")
    base = when(col("from_last_dose") & (end <= onset)).then(end).otherwise(start)
    known = col("last_not_low")
    earliest = when(base.is_null() | (known > base)).then(known).otherwise(base)
    spans = exposed.with_columns(base=base, earliest=earliest).with_columns(
        low_days=_days(col("earliest") - col("base")),
        high_days=_days(onset - col("base")),
        unseen=when(col("earliest") > onset - _AFTER).then(col("earliest")).otherwise(onset - _AFTER),
    )
    narrow = col("high_days") - col("low_days") < 1.0
    widened = spans.with_columns(
        from_days=when(narrow & (col("high_days") > 0.5))
        .then(col("high_days") - 0.5)
        .otherwise(when(narrow).then(lit(0.0)).otherwise(col("low_days"))),
        to_days=when(narrow).then(col("high_days") + 0.5).otherwise(col("high_days")),
        width=when(narrow).then(lit(1.0)).otherwise(col("high_days") - col("low_days")),
        gap=_days(col("unseen") - end) - col("after_stop_days"),
    )
    late = when(col("gap") > TAU * MOST).then(lit(MOST)).otherwise(col("gap") * (1 / TAU))
    after = start > onset
    return (
        widened.with_columns(fit=_fit(policy), stopped=when(col("gap") > 0).then(late).otherwise(lit(0.0)))
        .with_columns(
            timing=when(start.is_null() | after)
            .then(lit(0.0))
            .otherwise((col("fit") - col("stopped")) * policy.number("explain.timing_scale")),
            placed=when((start > onset).fill_null(False))
            .then(lit("started_after_onset"))
            .when((col("gap") > 30.0).fill_null(False))
            .then(lit("stopped_long_before"))
            .otherwise(lit("")),
        )
        .with_columns(fits=~after.fill_null(False) & (col("gap").fill_null(0.0) <= 0.0))
    )


def _days(minutes: nw.Expr) -> nw.Expr:
    return minutes.cast(nw.Float64) * (1 / DAY)


def _fit(policy: Policy) -> nw.Expr:
    """ln of the probability of the onset interval under the drug, over that under the reference window."""
    late, span = policy.number("explain.late_share"), policy.number("explain.late_days")
    window = policy.number("explain.window_days")
    days = col("to_days") - col("from_days")
    spread = when(days > span).then(lit(1.0)).otherwise(days * (1 / span))
    early = _until(col("to_days")) - _until(col("from_days"))
    ratio = ((1 - late) * early + late * spread) * window * col("width") ** -1.0
    # A window read from the literature may itself be wrong.
    doubt = policy.number("explain.window_doubt")
    doubted = ((1 - doubt) * ratio + doubt).log()
    return when(col("alpha").is_null() | (col("to_days") <= 0.0)).then(lit(0.0)).otherwise(doubted)


def _until(days: nw.Expr) -> nw.Expr:
    """The log-logistic distribution function."""
    known = when(days > 0.0).then(days).otherwise(lit(1.0))
    chance = ((-col("beta") * (known.log() - col("log_alpha"))).exp() + 1.0) ** -1.0
    return when(days > 0.0).then(chance).otherwise(lit(0.0))


def followed(timed: Frame, own: Own) -> Frame:
    """Add `course`, `rechallenge`, `dose` and `history` (nats) and the clue behind each (`..._clue`, or empty).

    Cycles of chemotherapy come and go on purpose: neither a recovery under them nor a new fall is a test of them.
    """
    began, fell = (when(col("fits")).then(col(time)) for time in ("start", "onset"))
    by_drug, by_kin = ("patient_id", "cause_id", "analyte"), ("patient_id", "atc4", "analyte")
    seen = timed.with_columns(began=began, fell=fell).with_columns(
        last_began=col("began").max().over(*by_drug),
        first_fell=col("fell").min().over(*by_drug),
        kin_fell=col("fell").min().over(*by_kin),
    )
    steady = col("fits") & ~col("from_last_dose")
    again = steady & (col("first_fell") < col("last_began"))
    earlier = (col("kin_fell") < col("first_fell")) & (col("kin_fell") < col("start"))
    kin = steady & (col("atc4") != "") & earlier
    more = col("fits") & (col("dated_dose") > col("dose_before"))
    clues = {
        "course_clue": _course(),
        "rechallenge_clue": _named(again, "rechallenge_positive"),
        "history_clue": _named(kin, "similar_before"),
        "dose_clue": _named(more, "dose_increased"),
    }
    marked = seen.with_columns(**clues)
    return marked.with_columns(
        course=told("course_clue", own).effect,
        rechallenge=told("rechallenge_clue", own).effect,
        history=told("history_clue", own).effect,
        dose_effect=told("dose_clue", own).effect,
    )


def _named(condition: nw.Expr, clue: str) -> nw.Expr:
    return when(condition.fill_null(False)).then(lit(clue)).otherwise(lit(""))


def _course() -> nw.Expr:
    end, recovery, onset = col("end"), col("recovery"), col("onset")
    steady = ~col("from_last_dose")
    wait = (col("recovery_days") * DAY).cast(nw.Int64)
    in_time = (end <= recovery) & (recovery - end <= wait)
    continued = (end >= recovery + _CONTINUED) & (col("start") <= onset) & steady
    persisted = recovery.is_null() & (col("last_low") >= end + wait) & steady
    return (
        when(col("placed") != "")
        .then(col("placed"))
        .when((col("fits") & in_time).fill_null(False))
        .then(lit("recovered_after_stop"))
        .when(continued.fill_null(False))
        .then(lit("recovered_while_continued"))
        .when((col("fits") & persisted).fill_null(False))
        .then(lit("no_recovery_after_stop"))
        .otherwise(lit(""))
    )


class Told(NamedTuple):
    """What a sign that names its cause itself says: term, nats and source; empty and 0 where it has no weight."""

    factor: nw.Expr
    effect: nw.Expr
    source_id: nw.Expr


def told(column: str, own: Own, state: nw.Expr | None = None) -> Told:
    """What the clue in a column says; without `state` it is present."""
    factor, effect, source_id = lit(""), lit(0.0), lit("")
    for (clue, its_state), (its_factor, its_effect, its_source) in own.items():
        if state is None and its_state != "present":
            continue
        this = col(column) == clue if state is None else (col(column) == clue) & (state == its_state)
        factor = when(this).then(lit(its_factor)).otherwise(factor)
        effect = when(this).then(lit(its_effect)).otherwise(effect)
        source_id = when(this).then(lit(its_source)).otherwise(source_id)
    return Told(factor, effect, source_id)


def best_interval(followed: Frame) -> Frame:
    """Of several intervals of one drug, the one that fits an episode best."""
    fit = col("timing") + col("course") + col("rechallenge") + col("history") + col("dose_effect")
    ranked = followed.with_columns(
        against_fit=-(fit * 1e6 + 0.5).floor(),
        began=col("start").fill_null(0),
    )
    order = ["against_fit", "began", "source", "row_id"]
    return ranked.unique(subset=["episode_id", "cause_id"], keep="first", order_by=order)
