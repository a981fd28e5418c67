"""Where the monitor room meets its inputs: rule packs, exposures and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2 import col

from leukopenia.contracts import Knowledge
from leukopenia.engine import Engine, Frame
from leukopenia.monitor import alerts as alerts_room
from leukopenia.monitor import courses as courses_room
from leukopenia.monitor import coverage as coverage_room
from leukopenia.monitor import due, fulfilment, rules, thresholds
from leukopenia.policy import Policy

Row = dict[str, Any]

_WHOLE = (
    *("rule_no", "valid_from", "valid_to", "baseline_days", "restart_days", "stop_days", "end_days", "gap_days"),
    *("break_days", "watch_days", "irregular_from", "clean", "offset", "opens", "grace", "week", "band", "severity"),
    *("fall_minutes", "follow_days", "follow_grace", "confirm_minutes", "then_weeks"),
)
_TYPES: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(_WHOLE, pl.Int64),
    **dict.fromkeys(("low_below", "lower", "upper", "fall_by", "until", "resume_at"), pl.Float64),
    **dict.fromkeys(("restarts", "scheduled", "conditional", "asks", "ruled", "goes_on", "changes"), pl.Boolean),
}
"""Types of the columns of the small tables; the others are text."""

_COLUMNS: dict[str, tuple[str, ...]] = {
    "people": ("rule_no", "population", "valid_from", "valid_to"),
    "grid": ("rule_no", "clean", "offset", "opens", "grace"),
    "stop": ("rule_no", "offset", "opens", "grace"),
    "weeks": ("week",),
    "drugs": ("drug", "gap_days", "break_days", "ruled"),
    "duties": (
        *("rule_no", "rule_id", "drug", "analytes", "baseline", "baseline_days", "restart_days", "restarts"),
        *(
            "stop_days",
            "goes_on",
            "changes",
            "end_days",
            "gap_days",
            "watch_days",
            "scheduled",
            "conditional",
            "irregular_from",
        ),
        *("low_below", "rule_source"),
    ),
    "bands": (
        *("rule_no", "band", "purpose", "analyte", "lower", "upper", "fall_by", "fall_minutes", "action", "asks"),
        *("severity", "statement", "source_id", "follow_days", "follow_grace", "until", "confirm_minutes"),
        *("then_weeks", "resume_at"),
    ),
}


@dataclass(frozen=True)
class Monitored:
    """The tables of the monitor room, see `leukopenia.contracts_monitor`."""

    courses: Frame
    due_counts: Frame
    alerts: Frame
    not_assessable: Frame
    coverage: Frame


def monitor(
    exposures: Frame,
    counts: Frame,
    patients: Frame,
    observation_periods: Frame,
    engine: Engine,
    knowledge: Knowledge,
    policy: Policy,
    as_of: int,
) -> Monitored:
    """Who needs a count, and what the rules say, as known at one minute.

    Parameters
    ----------
    exposures, counts, patients, observation_periods : Frame
        The tables of those names in `leukopenia.contracts`.
    engine : Engine
        Where the frames live.
    knowledge : Knowledge
        Uses the five tables monitoring_*.
    policy : Policy
        monitor.*.
    as_of : int
        The minute the question is asked for; what lies after it is not seen.

    Raises
    ------
    UsageError
        policy monitor.jurisdiction names no jurisdiction, or monitor.rules a rule that does not exist.
    """
    made = rules.rules(knowledge, policy)
    small = {name: _load(engine, name, getattr(made, name)) for name in ("duties", "people", "bands", "drugs")}
    lasting = engine.materialise(courses_room.lasting(exposures, patients, small["drugs"], as_of), "lasting")
    runs = engine.materialise(courses_room.runs(lasting), "runs")
    first = _first_minute(engine, exposures, counts)
    courses = engine.materialise(courses_room.courses(runs, observation_periods, first), "courses")
    stretches = engine.materialise(courses_room.stretches(runs, courses, small["duties"], small["people"]), "stretches")
    treated = stretches.select("patient_id").unique()
    dated = thresholds.dated(counts, as_of).join(treated, on="patient_id", how="semi")
    lines = dated.filter(thresholds.Limits.of(made.bands).touched()).select("patient_id", "analyte").unique()
    touched = engine.materialise(thresholds.of_interest(dated, engine.materialise(lines, "lines")), "touched")
    falls = any(row["fall_by"] is not None for row in made.bands)
    banded = thresholds.banded(touched, stretches, small["bands"], falls)
    followed = engine.materialise(thresholds.followed(banded, small["bands"]), "followed")
    crossings = engine.materialise(thresholds.crossings(followed), "crossings")
    draws = engine.materialise(fulfilment.draws(dated, stretches, [row["analytes"] for row in made.duties]), "draws")
    counted = _counted(engine, counts, made)
    due_counts = _due_counts(stretches, draws, followed, dated, made, small, counted, engine, knowledge, policy)
    found = [
        alerts_room.of_due_counts(due_counts, small["duties"]),
        *alerts_room.of_thresholds(crossings, followed, stretches, lasting, small["bands"]),
        *alerts_room.of_starts(touched, crossings, stretches, small["bands"]),
    ]
    undated = courses_room.undated(exposures, small["drugs"])
    return Monitored(
        courses=courses_room.table(courses),
        due_counts=due_counts.select(*due.DUE_COUNTS.names),
        alerts=engine.materialise(alerts_room.table(found, small["duties"]), "alerts"),
        not_assessable=alerts_room.not_assessable(
            stretches, courses, undated, small["duties"], small["people"], counted
        ),
        coverage=coverage_room.coverage(stretches, due_counts, counted),
    )


def _due_counts(
    stretches: Frame,
    draws: Frame,
    followed: Frame,
    dated: Frame,
    made: rules.Rules,
    small: Mapping[str, Frame],
    counted: list[str],
    engine: Engine,
    knowledge: Knowledge,
    policy: Policy,
) -> Frame:
    longest = engine.collect(stretches.select((col("until_day") - col("anchor")).max())).item() or 0
    grids = due.Grids(
        schedule=_load(engine, "grid", rules.grid(made, int(longest), policy)),
        stop=_load(engine, "stop", rules.after_stop(made, knowledge, policy)),
        weeks=_load(engine, "weeks", rules.weeks(made)),
    )
    low = thresholds.first_low(dated, stretches, small["duties"]) if made.conditional else None
    scheduled = due.scheduled(stretches, draws, followed, low, grids, counted, engine.materialise)
    dues = nw.concat([scheduled, due.follow_ups(followed, stretches, draws)])
    return engine.materialise(due.due_counts(dues, stretches), "due_counts")


def _load(engine: Engine, name: str, rows: Sequence[Row]) -> Frame:
    schema = {column: _TYPES.get(column, pl.String) for column in _COLUMNS[name]}
    return engine.load(
        pl.DataFrame([{key: row[key] for key in schema} for row in rows], schema=schema), f"monitor_{name}"
    )


def _counted(engine: Engine, counts: Frame, made: rules.Rules) -> list[str]:
    """The sets of analytes of which the source has any count."""
    lines = set(engine.collect(counts.select("analyte").unique())["analyte"])
    return sorted({row["analytes"] for row in made.duties if set(row["analytes"].split(";")) <= lines})


def _first_minute(engine: Engine, exposures: Frame, counts: Frame) -> int:
    """The beginning of the source."""
    firsts = [
        engine.collect(frame.select(col(name).min())).item()
        for frame, name in ((exposures, "start"), (counts, "minute"))
    ]
    return min((int(first) for first in firsts if first is not None), default=0)


def worklist(made: Monitored, engine: Engine) -> list[Row]:
    """Everybody for whom an alert is open, the most urgent first.

    Returns
    -------
    list of dict
        patient_id, urgency, and `alerts`: the open alerts of the person, the most urgent and then the oldest first.
    """
    open_alerts = engine.collect(made.alerts.filter(col("open")).drop("open"))
    ordered = open_alerts.sort("urgency", "minute", "drug", "rule_id", "kind", "analyte")
    people: dict[Any, Row] = {}
    for row in ordered.to_dicts():
        person = people.setdefault(row["patient_id"], {"patient_id": row["patient_id"], "urgency": 9, "alerts": []})
        person["urgency"] = min(person["urgency"], row["urgency"])
        person["alerts"].append({name: value for name, value in row.items() if name != "patient_id"})
    return sorted(people.values(), key=lambda row: (row["urgency"], row["alerts"][0]["minute"], str(row["patient_id"])))
