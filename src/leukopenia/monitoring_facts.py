"""What the report shows of the monitor room, taken from the tables as they were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leukopenia.contracts import MONITOR_TABLES

if TYPE_CHECKING:
    import polars as pl

    from leukopenia.report import Monitoring

LISTED = 100
"""Persons of the worklist, and of those who cannot be assessed, that a report lists."""


def waiting(alerts: pl.LazyFrame) -> list[Any]:
    """The persons at the top of the worklist, as `leukopenia.monitoring.worklist` orders them."""
    import polars as pl

    order = ("urgency", "minute", "text")
    first = alerts.filter("open").sort("urgency", "minute").unique("patient_id", keep="first", maintain_order=True)
    placed = first.with_columns(text=pl.col("patient_id").cast(pl.String)).sort(*order).head(LISTED)
    ids: list[Any] = placed.collect()["patient_id"].to_list()
    return ids


def facts(
    lazy: Mapping[str, pl.LazyFrame], jurisdiction: str, as_of: int, shown: Sequence[Any], listed: Sequence[Any]
) -> Monitoring:
    """The rows of the persons that are shown or listed.

    Parameters
    ----------
    lazy : mapping of str to polars.LazyFrame
        The five tables of the monitor room.
    jurisdiction : str
        Whose rules were asked for.
    as_of : int
        The minute they were asked for.
    shown, listed : sequence
        patient_id of the persons with a page, and of those at the top of the worklist.
    """
    import polars as pl

    from leukopenia.report import Monitoring

    unsure = lazy["not_assessable"].filter("open").select("patient_id").unique().sort("patient_id").head(LISTED)
    theirs = pl.col("patient_id").is_in([*shown, *listed])
    blocked = pl.col("patient_id").is_in([*shown, *unsure.collect()["patient_id"]])
    plans = {
        "courses": lazy["courses"].filter(theirs),
        "due_counts": lazy["due_counts"].filter(theirs),
        # A person shown for other reasons is on the worklist only where everybody before is.
        "alerts": lazy["alerts"].filter(theirs),
        "not_assessable": lazy["not_assessable"].filter(blocked),
    }
    return Monitoring(jurisdiction, as_of, **dict(zip(plans, pl.collect_all(list(plans.values())), strict=True)))


def aggregates(lazy: Mapping[str, pl.LazyFrame]) -> dict[str, Any]:
    """Numbers of the whole source: persons who wait, persons not assessable, open alerts by kind, adherence by drug."""
    import polars as pl

    from leukopenia import monitoring
    from leukopenia.engine import open_engine

    engine = open_engine("polars")
    made = monitoring.Monitored(**{table.name: engine.adopt(lazy[table.name]) for table in MONITOR_TABLES})
    persons = pl.col("patient_id").n_unique()
    kinds = lazy["alerts"].filter("open").group_by("kind").agg(persons=persons, urgency=pl.col("urgency").min())
    return {
        "waiting": lazy["alerts"].filter("open").select(persons).collect().item(),
        "not_assessable": lazy["not_assessable"].filter("open").select(persons).collect().item(),
        "kinds": kinds.sort("urgency", "kind").drop("urgency").collect().to_dicts(),
        "by_drug": monitoring.by_drug(made, engine),
    }
