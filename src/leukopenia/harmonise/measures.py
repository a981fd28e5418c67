"""Raw results + meanings -> measures: one row per usable result, as a whole number of millionths of the house unit.

Whole numbers make comparisons exact and alike on every engine: 0.5 is 500,000 and nothing lies beside it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.harmonise.ledger import as_issues
from leukopenia.harmonise.meanings import SIGNAL

Frame = nw.LazyFrame[Any]

MILLION = 1_000_000
RANK = 10**13
"""Rank of a result and its value share one whole number (`packed`), so the best, then lowest, is its minimum."""

COPY_RANK = 5
COMPARATOR_RANKS = {"": 0, "<": 1, "<=": 2, ">=": 3, ">": 4}

FLAGS = {
    "low": ("L", "LL", "LU", "LOW", "LOW LOW"),
    "high": ("H", "HH", "HU", "HIGH", "HIGH HIGH"),
    "normal": ("N", "NORMAL"),
}
"""Interpretations of HL7 and of CDISC SDTM that say on which side of the range a result lies; 'abnormal' does not."""


def vocabulary(raw_results: Frame) -> Frame:
    """The distinct signals of a source with how often they occur and what numbers they carry."""
    number = when(col("value").is_finite()).then(col("value"))
    return raw_results.group_by(*SIGNAL).agg(
        n=nw.len().cast(nw.Int64),
        value_min=number.min(),
        value_max=number.max(),
        value_mean=number.mean(),
        low_mean=when(col("low").is_finite()).then(col("low")).mean(),
        high_mean=when(col("high").is_finite()).then(col("high")).mean(),
    )


def wordings_to_read(raw_results: Frame, meanings: Frame) -> Frame:
    """The distinct texts of results of interest that are not numbers."""
    wanted = meanings.filter(col("reason") == "").select(*SIGNAL)
    return raw_results.filter(~col("text").is_null()).join(wanted, on=list(SIGNAL), how="semi").select("text").unique()


def measures(raw_results: Frame, meanings: Frame, wordings: Frame, repair_units: bool) -> Frame:
    """Every row of interest with its component, its value in millionths, and the reason if it cannot be used.

    Parameters
    ----------
    raw_results : Frame
        contracts.RAW_RESULTS.
    meanings : Frame
        Columns of `Meaning` that `meaning_columns` selects, with plausible_to, typical_from, typical_to and
        thousandfold_from of the analyte; only signals of interest.
    wordings : Frame
        text, outcome, worded_value, worded_comparator.
    repair_units : bool
        Whether a thousandfold unit error that value and range agree on is mended.

    Returns
    -------
    Frame
        source, row_id, patient_id, minute, time_precision, component, role, micro, rank, low, high (millionths),
        comparator, text, flag, unit_repaired, range_dropped, reason.
    """
    joined = raw_results.join(meanings, on=list(SIGNAL)).join(wordings, on="text", how="left")
    # NaN is what some tools write for none: the words beside it speak then.
    finite = when(col("value").is_finite()).then(col("value"))
    read = joined.with_columns(
        number=nw.coalesce(finite, col("worded_value")),
        by_words=finite.is_null() & ~col("outcome").is_null(),
        comparator=when(col("comparator") != "")
        .then(col("comparator"))
        .otherwise(col("worded_comparator"))
        .fill_null(""),
        outcome=col("outcome").fill_null(""),
    )
    scaled = read.with_columns(
        micro=_micro("number"), low=_micro("low"), high=_micro("high"), repaired=_thousandfold(repair_units)
    )
    mended = scaled.with_columns(*[_mend(name) for name in ("micro", "low", "high")])
    return _judged(_without_absurd_range(mended))


def _micro(name: str) -> nw.Expr:
    finite = when(col(name).is_finite()).then(col(name))
    scaled = (finite - col("shift")) * col("multiplier") * float(MILLION) / col("divisor")
    rounded = (scaled + 0.5).floor()
    return when(rounded.abs() < 9e17).then(rounded).cast(nw.Int64)


def _thousandfold(repair: bool) -> nw.Expr:
    """Value and lower limit both a thousand times too large for a count, and plausible as a thousandth."""
    if not repair:
        return lit(False)
    scale = col("multiplier") / col("divisor")
    value, low = col("number") * scale, col("low") * scale
    return (
        (value > col("thousandfold_from"))
        & (low > col("typical_from") * 1000.0)
        & (value <= col("typical_to") * 1000.0)
        & (low <= col("typical_to") * 1000.0)
        & (col("thousandfold_from") > 0.0)
    ).fill_null(False)


def _mend(name: str) -> nw.Expr:
    return when(col("repaired")).then((col(name) + 500) // 1000).otherwise(col(name)).alias(name)


def _without_absurd_range(frame: Frame) -> Frame:
    limit = (col("plausible_to") * float(MILLION)).cast(nw.Int64)
    absurd = (
        (col("low") < 0)
        | (col("high") < 0)
        | (col("low") > limit)
        | (col("high") > limit)
        | (col("low") > col("high"))
        | ((col("low") == 0) & (col("high") == 0))
    ).fill_null(False)
    marked = frame.with_columns(range_dropped=absurd)
    return marked.with_columns(*[when(~col("range_dropped")).then(col(name)).alias(name) for name in ("low", "high")])


def _judged(frame: Frame) -> Frame:
    rank = lit(0)
    for comparator, value in COMPARATOR_RANKS.items():
        rank = when(col("comparator") == comparator).then(lit(value)).otherwise(rank)
    limit, usual = ((col(name) * float(MILLION)).cast(nw.Int64) for name in ("plausible_to", "typical_to"))
    no_number = col("number").is_null()
    reason = (
        when(col("minute").is_null())
        .then(lit("no_time"))
        .when(col("by_words") & (col("outcome") == "not_resulted"))
        .then(lit("not_resulted"))
        .when(col("by_words") & (col("outcome") == "word"))
        .then(lit("word_result"))
        .when(no_number & ~col("text").is_null())
        .then(lit("unreadable_result"))
        .when(no_number)
        .then(when(col("value").is_null()).then(lit("no_value")).otherwise(lit("implausible_value")))
        .when(col("micro").is_null() | (col("micro") < 0) | (col("micro") > limit))
        .then(lit("implausible_value"))
        # A very high count beside a range that cannot be one is more likely in another unit than high.
        .when(col("range_dropped") & (col("micro") > usual))
        .then(lit("implausible_value"))
        .otherwise(lit(""))
    )
    return frame.select(
        "source",
        "row_id",
        "patient_id",
        "minute",
        "time_precision",
        "component",
        "role",
        "micro",
        (rank + col("copy_of_laboratory") * COPY_RANK).cast(nw.Int64).alias("rank"),
        "low",
        "high",
        "comparator",
        "text",
        "flag",
        col("repaired").alias("unit_repaired"),
        "range_dropped",
        reason=reason,
    )


def set_aside(measured: Frame) -> Frame:
    """Rows of `issues` for every measure that cannot be used or that was mended."""
    made = partial(as_issues, table="raw_results", detail="component")
    return nw.concat(
        [
            made(measured.filter(col("reason") != ""), reason=col("reason"), set_aside=True),
            made(measured.filter(col("unit_repaired")), reason="thousandfold_unit", set_aside=False),
            made(measured.filter(col("range_dropped")), reason="implausible_range", set_aside=False),
        ]
    )


def is_finding(role: str, component: str) -> bool:
    """Whether a component bears on the cause by itself, beside or instead of going into a count."""
    return role == "finding" or component in ("bands", "bands_pct")


def findings(measured: Frame) -> Frame:
    """Measures that bear on the cause: numbers, and results in words."""
    finding = (col("role") == "finding") | (col("component") == "bands_pct") | (col("component") == "bands")
    # Two filters and not one 'or', so that an engine can drop the other tests before it works their values out.
    numbers = measured.filter(finding, col("reason") == "")
    words = measured.filter(~col("text").is_null(), col("reason") == "word_result")
    return nw.concat([numbers, words]).select(
        "patient_id",
        col("component").alias("finding"),
        "minute",
        "time_precision",
        decimal(when(col("reason") == "").then(col("micro"))).alias("value"),
        when(col("reason") == "word_result").then(col("text")).alias("text"),
        _side_of_range().alias("range"),
        "source",
        "row_id",
    )


def _side_of_range() -> nw.Expr:
    """Low, normal or high by the limits of the row, where they settle it; else by its flag; else empty."""
    value, low, high = col("micro"), col("low"), col("high")
    at_most = col("comparator").is_in(["", "<", "<="])
    at_least = col("comparator").is_in(["", ">", ">="])
    below = at_most & ((value < low) | ((col("comparator") == "<") & (value == low)))
    above = at_least & ((value > high) | ((col("comparator") == ">") & (value == high)))
    # No result is below nought, so a lower limit of nought is none.
    from_nought = low.is_null() | (low <= 0)
    within = (from_nought | (at_least & (value >= low))) & (high.is_null() | (at_most & (value <= high)))
    side = lit("")
    for name, flags in FLAGS.items():
        side = when(col("flag").str.to_uppercase().is_in(list(flags))).then(lit(name)).otherwise(side)
    return (
        when(below)
        .then(lit("low"))
        .when(above)
        .then(lit("high"))
        .when(within & ~(from_nought & high.is_null()) & ~value.is_null())
        .then(lit("normal"))
        .otherwise(side)
    )


def decimal(micro: nw.Expr) -> nw.Expr:
    """Millionths -> the nearest double of the decimal: 450,000 is the very number that 0.45 is."""
    # Polars would turn a division by a literal into a product; a column it divides as IEEE asks.
    return micro.cast(nw.Float64) / (lit(float(MILLION)) + micro.cast(nw.Float64) * 0.0)
