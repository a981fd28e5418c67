"""MASCC and CISNE at the onset of febrile neutropenia, as a range: what the records do not say stays open."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import RISK_SCORES, Knowledge, Rows

Frame = nw.LazyFrame[Any]

FEBRILE = ("febrile_neutropenia", "severe_neutropenia_with_fever")
YEAR_MINUTES = 525_960
DAY = 1440
CHRONIC_LUNG_DISEASE = "cond:copd"


def scores(risks: Frame, patients: Frame, monocytes: Frame, conditions: Frame, knowledge: Knowledge) -> Frame:
    """contracts.RISK_SCORES: per person with febrile neutropenia, both scores as minimum and maximum.

    A diagnosis that is not recorded is unknown, not absent; a diagnosis that is recorded settles its item.

    Parameters
    ----------
    risks : Frame
        contracts.RISKS.
    patients, conditions : Frame
        contracts.PATIENTS, contracts.CONDITIONS.
    monocytes : Frame
        Counts of monocytes: patient_id, minute, value.
    knowledge : Knowledge
        Uses mascc and cisne.
    """
    onset = risks.filter(col("kind").is_in(list(FEBRILE))).group_by("patient_id").agg(minute=col("minute").min())
    known = _known(onset, patients, monocytes, conditions)
    return nw.concat([_mascc(known, knowledge["mascc"]), _cisne(known, knowledge["cisne"])])


def _known(onset: Frame, patients: Frame, monocytes: Frame, conditions: Frame) -> Frame:
    """At onset: `years` (null: unknown), `fewest` monocytes within a day (null: none counted), `copd`."""
    near = (
        onset.join(monocytes.select("patient_id", "value", at="minute"), on="patient_id")
        .filter((col("at") - col("minute")).abs() <= DAY)
        .group_by("patient_id")
        .agg(fewest=col("value").min())
    )
    ill = conditions.filter(col("condition") == CHRONIC_LUNG_DISEASE).select("patient_id").unique()
    return (
        onset.join(patients.select("patient_id", "birth"), on="patient_id", how="left")
        .join(near, on="patient_id", how="left")
        .join(ill.with_columns(copd=lit(True)), on="patient_id", how="left")
        .with_columns(
            years=when(col("birth") <= col("minute")).then((col("minute") - col("birth")) // YEAR_MINUTES),
            copd=col("copd").fill_null(False),
        )
    )


def _mascc(known: Frame, rows: Rows) -> Frame:
    points = {row["item"]: int(row["points"]) for row in rows}
    burden = max(value for item, value in points.items() if item.startswith("burden_"))
    most = sum(value for item, value in points.items() if not item.startswith("burden_")) + burden
    young = points["age_below_60"]
    age_lost = when(col("years") >= 60).then(lit(young)).otherwise(lit(0))
    lung_lost = when(col("copd")).then(lit(points["no_copd"])).otherwise(lit(0))
    return _scored(
        known,
        "mascc",
        minimum=when(col("years") < 60).then(lit(young)).otherwise(lit(0)),
        maximum=lit(most) - age_lost - lung_lost,
        items=when(~col("years").is_null()).then(1).otherwise(0) + when(col("copd")).then(1).otherwise(0),
        source=rows[0]["source_id"],
    )


def _cisne(known: Frame, rows: Rows) -> Frame:
    points = {row["item"]: int(row["points"]) for row in rows}
    item = next(name for name in points if name.startswith("monocytes_below_"))
    few = col("fewest") < float(item.removeprefix("monocytes_below_"))
    enough = (~few).fill_null(False)
    gained = when(few.fill_null(False)).then(lit(points[item])).otherwise(lit(0))
    return _scored(
        known,
        "cisne",
        minimum=gained + when(col("copd")).then(lit(points["copd"])).otherwise(lit(0)),
        maximum=lit(sum(points.values())) - when(enough).then(lit(points[item])).otherwise(lit(0)),
        items=when(~col("fewest").is_null()).then(1).otherwise(0) + when(col("copd")).then(1).otherwise(0),
        source=rows[0]["source_id"],
    )


def _scored(known: Frame, score: str, minimum: nw.Expr, maximum: nw.Expr, items: nw.Expr, source: str) -> Frame:
    return known.select(
        "patient_id",
        lit(score).alias("score"),
        "minute",
        minimum.cast(nw.Int64).alias("minimum"),
        maximum.cast(nw.Int64).alias("maximum"),
        items.cast(nw.Int64).alias("items_known"),
        lit(source).alias("source_id"),
    ).select(*RISK_SCORES.names)
