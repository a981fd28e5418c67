"""Raw persons, conditions and counts -> patients: one row a person, with what bears on limits and grades."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import OBSERVATION_PERIODS, PATIENTS, TIME_PRECISIONS

Frame = nw.LazyFrame[Any]

HIV = "cond:hiv"
DUFFY_NULL = "cond:ethnic-neutropenia"


def patients(raw_persons: Frame, conditions: Frame) -> Frame:
    """One row per person who has a row of their own, or a condition.

    Parameters
    ----------
    raw_persons : Frame
        contracts.RAW_PERSONS, of one or more sources.
    conditions : Frame
        contracts.CONDITIONS.

    Returns
    -------
    Frame
        contracts.PATIENTS.
    """
    known = raw_persons.select("patient_id", "sex", "birth", "birth_precision", "death")
    merged = (
        nw.concat([known, _unknown(conditions)])
        .group_by("patient_id")
        .agg(
            sex=when(col("sex") != "unknown").then(col("sex")).min(),
            birth=_of_surest_birth("birth"),
            birth_precision=_of_surest_birth("birth_precision"),
            death=col("death").max(),
        )
        .with_columns(sex=col("sex").fill_null("unknown"), birth_precision=col("birth_precision").fill_null("none"))
    )
    flags = conditions.group_by("patient_id").agg(
        hiv_from=when(col("condition") == HIV).then(col("start")).min(),
        duffy=when(col("condition") == DUFFY_NULL).then(1).otherwise(0).max(),
    )
    return (
        merged.join(flags, on="patient_id", how="left")
        .with_columns(duffy_null=(col("duffy") == 1).fill_null(False))
        .select(*PATIENTS.names)
    )


def _of_surest_birth(name: str) -> nw.Expr:
    """From the most precisely known birth: a year must not pass for the hour that another row gives."""
    known = ~col("birth").is_null()
    places = [known & (col("birth_precision") == precision) for precision in TIME_PRECISIONS]
    return nw.coalesce(*(when(place).then(col(name)).min() for place in places))


def _unknown(rows: Frame) -> Frame:
    return rows.select(
        "patient_id",
        lit("unknown").alias("sex"),
        lit(None).cast(nw.Int64).alias("birth"),
        lit("none").alias("birth_precision"),
        lit(None).cast(nw.Int64).alias("death"),
    )


def with_unlisted(patients: Frame, counts: Frame) -> Frame:
    """Patients, and a row of unknowns for every person with a count and no row of their own."""
    seen = _unknown(counts.select("patient_id").unique()).join(patients, on="patient_id", how="anti")
    unlisted = seen.with_columns(hiv_from=lit(None).cast(nw.Int64), duffy_null=lit(False)).select(*PATIENTS.names)
    return nw.concat([patients, unlisted])


def observation_periods(raw_periods: Frame) -> Frame:
    """contracts.OBSERVATION_PERIODS; periods without a start are dropped with the rows that have none."""
    return (
        raw_periods.filter(~col("start").is_null())
        .group_by("patient_id", "start")
        .agg(col("end").max())
        .select(*OBSERVATION_PERIODS.names)
    )
