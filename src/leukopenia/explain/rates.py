"""How often each cause leads in a cohort, and per exposed person-time."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import CAUSE_RATES

Frame = nw.LazyFrame[Any]

_DAY = 1440
_PER = 1000 * 365.25
_Z = 1.96


def rates(causes: Frame, exposures: Frame, conditions: Frame) -> Frame:
    """contracts.CAUSE_RATES: one row a cause that is a candidate of any episode.

    The confidence interval is Byar's approximation to the exact Poisson limits (Breslow and Day, 1987).

    Parameters
    ----------
    causes, exposures, conditions : Frame
        The tables of contracts.
    """
    led = causes.group_by("cause_id").agg(
        candidate_in=nw.len().cast(nw.Int64),
        leads_in=when(col("rank") == 1).then(1).otherwise(0).sum().cast(nw.Int64),
        expected=(col("probability") * 1e9 + 0.5).floor().cast(nw.Int64).sum().cast(nw.Int64),
    )
    had = (
        conditions.select("patient_id", cause_id="condition")
        .unique()
        .group_by("cause_id")
        .agg(persons_recorded=nw.len().cast(nw.Int64))
    )
    joined = led.join(_taken(exposures), on="cause_id", how="left").join(had, on="cause_id", how="left")
    known = joined.with_columns(
        expected=col("expected").cast(nw.Float64) * 1e-9,
        persons=nw.coalesce("persons_exposed", "persons_recorded"),
        rate=col("leads_in") * lit(_PER) * col("days_exposed") ** -1.0,
        rate_low=_low() * lit(_PER) * col("days_exposed") ** -1.0,
        rate_high=_high() * lit(_PER) * col("days_exposed") ** -1.0,
    )
    return known.select(*CAUSE_RATES.names)


def _taken(exposures: Frame) -> Frame:
    spans = exposures.select(
        "patient_id",
        cause_id="ingredient",
        minutes=col("end") - col("start") + _DAY,
    )
    per_person = spans.group_by("cause_id", "patient_id").agg(minutes=col("minutes").sum().cast(nw.Int64))
    return per_person.group_by("cause_id").agg(
        persons_exposed=nw.len().cast(nw.Int64),
        days_exposed=col("minutes").sum().cast(nw.Int64).cast(nw.Float64) * (1 / _DAY),
    )


def _low() -> nw.Expr:
    n = col("leads_in").cast(nw.Float64)
    safe = when(n > 0).then(n).otherwise(lit(1.0))
    root = 1.0 - safe**-1.0 * (1 / 9) - safe**-0.5 * (_Z / 3)
    return when(n > 0).then(safe * root**3).otherwise(lit(0.0))


def _high() -> nw.Expr:
    n = col("leads_in").cast(nw.Float64) + 1.0
    root = 1.0 - n**-1.0 * (1 / 9) + n**-0.5 * (_Z / 3)
    return n * root**3
