"""What a report is made from, and the rows of one person taken out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import polars as pl

from leukopenia.contracts import Knowledge

Row = dict[str, Any]

RISK_KINDS = {
    "severe_neutropenia_with_fever": "Severe neutropenia with fever or signs of sepsis",
    "blasts": "Blasts in the blood",
    "leukoerythroblastic": "Leukoerythroblastic film",
    "pancytopenia": "Pancytopenia",
    "agranulocytosis": "Agranulocytosis",
    "neutropenia_on_suspect_drug": "Neutropenia while a suspect drug goes on",
    "severe_neutropenia": "Severe neutropenia",
    "bicytopenia": "Bicytopenia",
    "count_may_not_be_real": "The count may not be real",
}
"""Kinds of `risks`, the most urgent first, with their headings."""

NOT_REAL = "count_may_not_be_real"


@dataclass(frozen=True)
class Monitoring:
    """What the monitor room found, where a jurisdiction was named.

    Parameters
    ----------
    jurisdiction : str
        Whose rules were asked for.
    as_of : int
        The minute they were asked for.
    courses, due_counts, alerts, not_assessable : polars.DataFrame
        The tables of `leukopenia.contracts`, for the persons to be shown and the first of the worklist.
    """

    jurisdiction: str
    as_of: int
    courses: pl.DataFrame
    due_counts: pl.DataFrame
    alerts: pl.DataFrame
    not_assessable: pl.DataFrame


@dataclass(frozen=True)
class Facts:
    """All that a report is made from.

    Parameters
    ----------
    patients, counts, limits, grades, episodes, findings, exposures, conditions, issues : polars.DataFrame
        The tables of `leukopenia.contracts`. For a large cohort they may hold only the persons to be shown;
        the cohort pages are made from `summary` alone.
    risks : polars.DataFrame
        patient_id, kind (see `RISK_KINDS`), definition, minute, detail, source_id, ongoing.
    causes, cause_evidence, causality, disagreements, next_steps : polars.DataFrame
        The tables of `leukopenia.contracts`, for the episodes of the persons to be shown.
    forecasts, forecast_markers, forecast_scenarios, scenario_markers : polars.DataFrame
        The tables of `leukopenia.contracts`, for the episodes of the persons to be shown.
    knowledge : Knowledge
        causes_drugs, causes_conditions, clues and interactions are used: they put a cause into words.
    summary : dict
        Cohort aggregates, see `leukopenia.report.summarise`; beside them, where there are any:
        ``bands``: rows {standard, analyte, grade, below (10^9/L; None: the lower limit), source_id}, drawn
        behind the counts; ``names``: {id: plain name}; ``groups``: {id of a drug, condition or finding:
        ``suspect``, ``chemotherapy``, ``growth factor``, ``steroid``, ``transfusion`` or ``dialysis``}.
    policy : dict
        Every value of the policy.
    references : mapping of str to str
        One-line citation of each source_id.
    manifest : dict
        versions, inputs, as_of (date, text or minute), accounting.
    monitoring : Monitoring, optional
        Absent where no jurisdiction was named. Its aggregates stand in ``summary["monitoring"]``.
    """

    patients: pl.DataFrame
    counts: pl.DataFrame
    limits: pl.DataFrame
    grades: pl.DataFrame
    episodes: pl.DataFrame
    findings: pl.DataFrame
    exposures: pl.DataFrame
    conditions: pl.DataFrame
    issues: pl.DataFrame
    risks: pl.DataFrame
    causes: pl.DataFrame
    cause_evidence: pl.DataFrame
    causality: pl.DataFrame
    disagreements: pl.DataFrame
    next_steps: pl.DataFrame
    forecasts: pl.DataFrame
    forecast_markers: pl.DataFrame
    forecast_scenarios: pl.DataFrame
    scenario_markers: pl.DataFrame
    knowledge: Knowledge
    summary: dict[str, Any]
    policy: dict[str, Any]
    references: Mapping[str, str]
    manifest: dict[str, Any]
    monitoring: Monitoring | None = None


@dataclass(frozen=True)
class Explanation:
    """The rows of one episode: its candidates by rank, what belongs to them, and what may come."""

    causes: list[Row] = field(default_factory=list)
    cause_evidence: list[Row] = field(default_factory=list)
    causality: list[Row] = field(default_factory=list)
    disagreements: list[Row] = field(default_factory=list)
    next_steps: list[Row] = field(default_factory=list)
    forecasts: list[Row] = field(default_factory=list)
    forecast_markers: list[Row] = field(default_factory=list)
    forecast_scenarios: list[Row] = field(default_factory=list)
    scenario_markers: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Monitored:
    """The rows of one person in the tables of `Monitoring`, each in the order of time."""

    courses: list[Row] = field(default_factory=list)
    due_counts: list[Row] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    not_assessable: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Record:
    """The rows of one person, each table in the order of time; `explained` by episode_id."""

    patient_id: int | str
    patient: Row
    counts: list[Row]
    limits: list[Row]
    grades: list[Row]
    episodes: list[Row]
    findings: list[Row]
    exposures: list[Row]
    conditions: list[Row]
    risks: list[Row]
    explained: dict[str, Explanation]
    monitored: Monitored = field(default_factory=Monitored)


_LATEST = 2**62
_TIME = {
    "counts": "minute",
    "limits": "minute",
    "grades": "minute",
    "episodes": "onset",
    "findings": "minute",
    "exposures": "start",
    "conditions": "start",
    "risks": "minute",
}
_MONITOR_TIME = {"courses": "start", "due_counts": "due", "alerts": "minute", "not_assessable": "course"}
_ORDER = {
    "causes": "rank",
    "cause_evidence": "clue",
    "causality": "item",
    "disagreements": "rank",
    "next_steps": "step",
    "forecasts": "day",
    "forecast_markers": "marker",
    "forecast_scenarios": "minute",
    "scenario_markers": "marker",
}
"""The tables of single episodes, and the column that orders them."""


def records(facts: Facts, patient_ids: Iterable[int | str]) -> list[Record]:
    """The records of these persons, in the order given."""
    wanted = list(patient_ids)
    # One person at the bedside is all that the tables hold: nothing to pick out, no time to lose with it.
    chosen = None if facts.patients.height == len(wanted) else pl.col("patient_id").is_in(wanted)
    patients = {row["patient_id"]: row for row in _rows(facts.patients, chosen)}
    parts = {name: _by_patient(_rows(getattr(facts, name), chosen), time) for name, time in _TIME.items()}
    episodes = parts["episodes"]
    monitored = _monitored(facts.monitoring, chosen)
    explained = _explained(facts, [row["episode_id"] for rows in episodes.values() for row in rows], chosen is None)
    return [
        Record(
            one,
            patients.get(one, {}),
            **{name: part.get(one, []) for name, part in parts.items()},
            explained={row["episode_id"]: explained[row["episode_id"]] for row in episodes.get(one, [])},
            monitored=Monitored(**{name: part.get(one, []) for name, part in monitored.items()}),
        )
        for one in wanted
    ]


def _monitored(found: Monitoring | None, chosen: pl.Expr | None) -> dict[str, dict[int | str, list[Row]]]:
    if found is None:
        return {}
    return {name: _by_patient(_rows(getattr(found, name), chosen), time) for name, time in _MONITOR_TIME.items()}


def _explained(facts: Facts, episode_ids: list[str], whole: bool) -> dict[str, Explanation]:
    """The rows of these episodes; `whole`: the tables hold no others."""
    chosen = None if whole else pl.col("episode_id").is_in(episode_ids)
    found = {one: Explanation() for one in episode_ids}
    for name, order in _ORDER.items():
        for row in sorted(_rows(getattr(facts, name), chosen), key=itemgetter(order)):
            if row["episode_id"] in found:
                getattr(found[row["episode_id"]], name).append(row)
    return found


def _rows(table: pl.DataFrame, chosen: pl.Expr | None) -> list[Row]:
    return (table if chosen is None or not table.height else table.filter(chosen)).to_dicts()


def _by_patient(rows: list[Row], time: str) -> dict[int | str, list[Row]]:
    parts: dict[int | str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: _LATEST if row[time] is None else row[time]):
        parts.setdefault(row["patient_id"], []).append(row)
    return parts
