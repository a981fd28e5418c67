"""Open episodes and their causes -> the probability of having recovered by each day, from published recovery.

The time to recovery of each cause is log-logistic, described by its published least, middle and greatest days in the
one way in which `explain` reads onset days (`leukopenia.log_logistic`). It is conditioned on the last low count, at
which the person had not recovered (left truncation), and mixed over the causes by their probabilities. These have
already been told the whole course, so that they are not weighed a second time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia import log_logistic
from leukopenia.contracts import FORECASTS, Knowledge
from leukopenia.forecast.statuses import FORECAST, NO_RECOVERY, NO_STOP, NOT_RANKED

Frame = nw.LazyFrame[Any]
Keep = Callable[[Frame, str], Frame]

DAY = 1440
HORIZON = 42
"""Days of a forecast, from the minute asked for."""

LASTING = ("constitutional", "congenital")
"""Classes of causes that last by their nature: they do not recover."""

UNTREATED = ("nutritional",)
"""Classes whose published recovery counts from a treatment, of which nothing is known here."""

_DIGITS = 12
"""Sums are the same in whatever order an engine adds them up."""

LAST_DOSE, STOP, BEGINNING, NEVER = "last dose", "stop", "beginning", "never"
_NAMED = 3
"""So many of the causes with a published recovery are named."""


def rows(knowledge: Knowledge) -> list[dict[str, Any]]:
    """The causes whose recovery is known.

    Returns
    -------
    list of dict
        cause_id; counts_from: `last dose` (chemotherapy and other drugs of single doses), `stop` (drugs and lasting
        exposures), `beginning` (of an illness) or `never`; log_alpha and beta of the log-logistic distribution of
        days; source_id.
    """
    both = (*knowledge["causes_drugs"], *knowledge["causes_conditions"])
    made = (_row(row) for row in sorted(both, key=lambda row: row["id"]))
    return [row for row in made if row]


def _row(row: Mapping[str, str]) -> dict[str, Any] | None:
    days = (float(row[f"recovery_days_{part}"] or 0) or None for part in ("min", "median", "max"))
    alpha, beta = log_logistic.of_days(*days)
    known: dict[str, Any] = {"cause_id": row["id"], "source_id": _published(row["source_id"])}
    if alpha and beta and row["cause_class"] not in UNTREATED:
        return known | {"counts_from": _counts_from(row), "log_alpha": math.log(alpha), "beta": beta}
    if row["cause_class"] in LASTING:
        return known | {"counts_from": NEVER, "log_alpha": 0.0, "beta": 1.0}
    return None


def _published(source_id: str) -> str:
    return ";".join(source for source in source_id.split(";") if source != "design")


def _counts_from(row: Mapping[str, str]) -> str:
    if row["onset_from"] == "last_dose" or row["cause_class"] == "chemotherapy":
        return LAST_DOSE
    lasting = row["kind"] == "exposure" and row["acute"] != "yes"
    return STOP if row["kind"] == "drug" or lasting else BEGINNING


def recovery(episodes: Frame, causes: Frame, recovers: Frame, days: Frame, as_of: int, keep: Keep) -> Frame:
    """contracts.FORECASTS of the open episodes, on the basis of their causes.

    A cause without a published recovery, a drug without a recorded stop, and what is unexplained add to
    `unknown_share`: the probability of recovery lies between `p_recovered` and `p_recovered + unknown_share`. An
    episode of which nothing is known has one row, with the reason.

    Parameters
    ----------
    episodes, causes : Frame
        contracts.EPISODES and contracts.CAUSES.
    recovers : Frame
        `rows`, in the engine.
    days : Frame
        `day`: those to tell of, 0 to HORIZON.
    as_of : int
        The minute asked for: day 0.
    keep : callable
        Engine.materialise.
    """
    scope = episodes.filter(col("state") == "open").select("episode_id", "patient_id", "analyte", "last_low")
    placed = _placed(causes.join(scope.select("episode_id", "last_low"), on="episode_id"), recovers, as_of)
    known = keep(placed, "forecast_causes")
    ranked = causes.select("episode_id").unique().with_columns(ranked=lit(True))
    whole = scope.join(ranked, on="episode_id", how="left").join(_mixed(known), on="episode_id", how="left")
    mixed = keep(_said(whole), "forecast_recovery")
    told = mixed.filter(col("status") == FORECAST).join(_by_day(known, days), on="episode_id")
    same = {name: col(name).round(_DIGITS) for name in ("p_recovered", "unknown_share")}
    return nw.concat([_shaped(told.with_columns(basis=lit("causes"), **same), as_of), untold(_unknown(mixed), as_of)])


def _placed(candidates: Frame, recovers: Frame, as_of: int) -> Frame:
    """Causes with a known recovery: the days from which it counts to as_of (`gone`) and to the last low count."""
    # An exposure without a recorded end ends where it starts: that is a dose, but no stop.
    lasted = (col("counts_from") == LAST_DOSE) | (col("end") > col("start")).fill_null(True)
    stopped = when(lasted & (col("end") <= as_of)).then(col("end"))
    begun = when((col("start") <= col("onset")).fill_null(False)).then(col("start")).otherwise(col("onset"))
    anchor = when(col("counts_from").is_in([LAST_DOSE, STOP])).then(stopped).otherwise(begun)
    joined = candidates.join(recovers, on="cause_id").with_columns(anchor=anchor)
    never = col("counts_from") == NEVER
    weight = when(never | ~col("anchor").is_null()).then(col("probability")).otherwise(lit(0.0))
    return joined.with_columns(
        weight=weight,
        waits=col("probability") - weight,
        moves=when(never).then(lit(0.0)).otherwise(weight),
        gone=_days(lit(as_of) - col("anchor")),
        lasted=_odds(_days(col("last_low") - col("anchor"))),
        place=when(weight > 0.0).then(1).otherwise(0).cast(nw.Int64),
    ).with_columns(place=col("place").cum_sum().over("episode_id", order_by=["rank"]).cast(nw.Int64))


def _days(minutes: nw.Expr) -> nw.Expr:
    return minutes.cast(nw.Float64) * (1 / DAY)


def _odds(days: nw.Expr) -> nw.Expr:
    """The odds of having recovered by so many days; 0 before the time from which recovery counts."""
    counts = (days > 0.0).fill_null(False)
    safe = when(counts).then(days).otherwise(lit(1.0))
    return when(counts).then((col("beta") * (safe.log() - col("log_alpha"))).exp()).otherwise(lit(0.0))


def _mixed(known: Frame) -> Frame:
    """One row an episode: how much of the probability is of known recovery, and what it rests on."""
    return known.group_by("episode_id").agg(
        known_share=col("weight").sum(),
        waiting_share=col("waits").sum(),
        **{f"cause_{n}": _at(n, "cause_id") for n in range(1, _NAMED + 1)},
        **{f"source_{n}": _at(n, "source_id") for n in range(1, _NAMED + 1)},
    )


def _by_day(known: Frame, days: Frame) -> Frame:
    """The mixture over the causes on each day: recovered by then, given that the last low count still was low."""
    odds, lasted = _odds(col("gone") + col("day").cast(nw.Float64)), col("lasted")
    recovered = when(odds > lasted).then((odds - lasted) / (odds + 1.0)).otherwise(lit(0.0))
    each = known.join(days, how="cross").with_columns(p_recovered=col("moves") * recovered)
    return each.group_by("episode_id", "day").agg(p_recovered=col("p_recovered").sum())


def _at(place: int, name: str) -> nw.Expr:
    return when((col("place") == place) & (col("weight") > 0.0)).then(col(name)).max()


def _said(whole: Frame) -> Frame:
    known, waits = col("known_share").fill_null(0.0), col("waiting_share").fill_null(0.0)
    status = (
        when(col("ranked").is_null())
        .then(lit(NOT_RANKED))
        .when(known > 0.0)
        .then(lit(FORECAST))
        .when(waits > 0.0)
        .then(lit(NO_STOP))
        .otherwise(lit(NO_RECOVERY))
    )
    unknown = when(known < 1.0).then(1.0 - known).otherwise(lit(0.0))
    return whole.with_columns(
        status=status, unknown_share=unknown, rests_on=_listed("cause"), source_id=_listed("source")
    )


def _listed(name: str) -> nw.Expr:
    """The first, and those after it with a separator before each."""
    later = [
        when(col(f"{name}_{n}").is_null()).then(lit("")).otherwise(nw.concat_str([lit(";"), col(f"{name}_{n}")]))
        for n in range(2, _NAMED + 1)
    ]
    return nw.concat_str([col(f"{name}_1").fill_null(""), *later])


def _unknown(mixed: Frame) -> Frame:
    return mixed.filter(col("status") != FORECAST)


def untold(episodes: Frame, as_of: int) -> Frame:
    """contracts.FORECASTS of episodes that are not forecast: one row each, with the reason in `status`.

    Parameters
    ----------
    episodes : Frame
        episode_id, patient_id, analyte, status.
    as_of : int
        The minute asked for.
    """
    nothing = lit(None).cast(nw.Float64)
    return _shaped(
        episodes.with_columns(
            day=lit(0).cast(nw.Int64), basis=lit("none"), p_recovered=nothing, unknown_share=nothing, rests_on=lit("")
        ).with_columns(source_id=lit("")),
        as_of,
    )


def _shaped(found: Frame, as_of: int) -> Frame:
    """With the columns of a curve, which causes do not have."""
    curve = [column.name for column in FORECASTS.columns if column.type == "Float64"]
    absent = {name: lit(None).cast(nw.Float64) for name in curve if name not in ("p_recovered", "unknown_share")}
    minute = (col("day") * DAY + as_of).cast(nw.Int64)
    return found.with_columns(minute=minute, outside=lit(""), **absent).select(*FORECASTS.names)
