"""Episodes as an OMOP cohort table."""

from __future__ import annotations

import polars as pl

from leukopenia.errors import UsageError
from leukopenia.report.words import SEVERITIES

_MINUTES_PER_DAY = 1440
_SCHEMA = {
    "cohort_definition_id": pl.Int64,
    "subject_id": pl.Int64,
    "cohort_start_date": pl.Date,
    "cohort_end_date": pl.Date,
}


def omop_cohort(episodes: pl.DataFrame, definitions: dict[str, int]) -> pl.DataFrame:
    """Rows of the OMOP cohort table, one definition after the other.

    A cohort starts on the day of the first low count and ends on the day of the confirmed recovery, else of
    the last low count. Spans of one person that overlap or share a day are joined, as the table's convention
    asks.

    Parameters
    ----------
    episodes : polars.DataFrame
        The episodes of `leukopenia.contracts`.
    definitions : dict of str to int
        ``analyte`` or ``analyte/severity`` (that severity or worse) to cohort_definition_id.

    Returns
    -------
    polars.DataFrame
        cohort_definition_id, subject_id, cohort_start_date, cohort_end_date.

    Raises
    ------
    UsageError
        A severity is unknown, or the person ids are not whole numbers.
    """
    if episodes.height and not episodes.schema["patient_id"].is_integer():
        raise UsageError(
            "An OMOP cohort table needs whole numbers as person ids.",
            f"patient_id is of type {episodes.schema['patient_id']}.",
            "Use the episodes table, or map the persons to person_id first.",
        )
    parts = [_entries(episodes, name, definition) for name, definition in definitions.items()]
    return pl.concat(parts) if parts else pl.DataFrame(schema=_SCHEMA)


def _entries(episodes: pl.DataFrame, name: str, definition: int) -> pl.DataFrame:
    analyte, _, severity = name.partition("/")
    chosen = episodes.filter(pl.col("analyte") == analyte)
    if severity:
        chosen = chosen.filter(pl.col("severity").is_in(_at_least(severity)))
    spans = _joined(
        chosen.select(
            subject_id=pl.col("patient_id").cast(pl.Int64),
            start=_date("onset"),
            end=_date(pl.coalesce("recovery", "last_low")),
        )
    )
    return spans.select(
        cohort_definition_id=pl.lit(definition, pl.Int64),
        subject_id="subject_id",
        cohort_start_date="start",
        cohort_end_date="end",
    )


def _at_least(severity: str) -> list[str]:
    known = list(SEVERITIES[:-1])
    if severity not in known:
        raise UsageError(
            f"Unknown severity {severity!r} in a cohort definition.", "", f"Use one of {', '.join(known)}."
        )
    return known[: known.index(severity) + 1]


def _date(minute: str | pl.Expr) -> pl.Expr:
    expression = pl.col(minute) if isinstance(minute, str) else minute
    return expression.floordiv(_MINUTES_PER_DAY).cast(pl.Int32).cast(pl.Date)


def _joined(spans: pl.DataFrame) -> pl.DataFrame:
    latest_before = pl.col("end").cum_max().shift(1).over("subject_id")
    return (
        spans.sort("subject_id", "start", "end")
        .with_columns(new=(pl.col("start") > latest_before).fill_null(True))
        .with_columns(span=pl.col("new").cum_sum().over("subject_id"))
        .group_by("subject_id", "span")
        .agg(pl.col("start").min(), pl.col("end").max())
        .sort("subject_id", "start")
    )
