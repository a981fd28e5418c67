"""Where the monitor room meets its inputs: rule packs, exposures and counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2 import col

from leukopenia import at_hand, contracts
from leukopenia.contracts import Knowledge
from leukopenia.engine import Engine, Frame
from leukopenia.monitor import alerting, bands, due, fulfilment, rules, thresholds
from leukopenia.monitor import courses as courses_room
from leukopenia.monitor import coverage as coverage_room
from leukopenia.monitor import unassessed as unassessed_room
from leukopenia.policy import Policy

Row = dict[str, Any]

DAYS_A_MONTH = 30.4375

_WHOLE = (
    *("rule_no", "valid_from", "valid_to", "baseline_days", "restart_days", "stop_days", "end_days", "gap_days"),
    *("break_days", "count_days", "watch_days", "irregular_from", "clean", "offset", "opens", "begins", "grace"),
    *("week", "band", "severity", "fall_minutes", "lasting_minutes", "follow_days", "follow_grace"),
    *("confirm_minutes", "then_weeks", "in_a_row"),
)
_TYPES: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(_WHOLE, pl.Int64),
    **dict.fromkeys(("low_below", "lower", "upper", "fall_by", "below_share", "until", "resume_at"), pl.Float64),
    **dict.fromkeys(("restarts", "scheduled", "conditional", "asks", "ruled", "goes_on", "changes"), pl.Boolean),
    **dict.fromkeys(("or_baseline", "resume_or_baseline"), pl.Boolean),
}
"""Types of the columns of the small tables; the others are text."""

_COLUMNS: dict[str, tuple[str, ...]] = {
    "people": ("rule_no", "population", "valid_from", "valid_to"),
    "grid": ("rule_no", "clean", "offset", "opens", "begins", "grace"),
    "stop": ("rule_no", "offset", "opens", "grace"),
    "weeks": ("week",),
    "drugs": ("drug", "gap_days", "break_days", "ruled"),
    "duties": (
        *("rule_no", "rule_id", "drug", "analytes", "baseline", "baseline_days", "restart_days", "restarts"),
        *("stop_days", "goes_on", "changes", "end_days", "gap_days", "count_days", "watch_days", "scheduled"),
        *("conditional", "irregular_from", "low_below", "rule_source"),
    ),
    "bands": (
        *("rule_no", "band", "purpose", "analyte", "lower", "upper", "fall_by", "fall_minutes", "action", "asks"),
        *("lasting_minutes", "below_share", "severity", "statement", "source_id", "follow_days", "follow_grace"),
        *("until", "in_a_row", "or_baseline", "confirm_minutes", "then_weeks", "resume_at", "resume_or_baseline"),
    ),
}


@dataclass(frozen=True)
class Monitored:
    """The tables of the monitor room, see `leukopenia.contracts.monitored`."""

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
    taken = engine.collect(exposures.select("ingredient").unique())["ingredient"].to_list()
    made = rules.rules(knowledge, policy).of_drugs(set(taken))
    small = {name: _load(engine, name, getattr(made, name)) for name in ("duties", "people", "bands", "drugs")}
    lasting = engine.materialise(courses_room.lasting(exposures, patients, small["drugs"], as_of), "lasting")
    runs = engine.materialise(courses_room.runs(lasting), "runs")
    firsts = courses_room.first_records(exposures, counts, runs, observation_periods)
    begun = min(_extremes(engine, exposures, counts, "min"), default=0)
    courses = engine.materialise(courses_room.courses(runs, observation_periods, firsts, begun), "courses")
    stretches = engine.materialise(courses_room.stretches(runs, courses, small["duties"], small["people"]), "stretches")
    dated = thresholds.dated(counts, as_of).join(stretches.select("patient_id"), on="patient_id", how="semi")
    watched = _watched(dated, stretches, made, small["bands"], engine)
    counted = _counted(engine, counts, made)
    grids = _grids(stretches, made, engine, knowledge, policy)
    low = thresholds.first_low(dated, stretches, small["duties"]) if made.conditional else None
    draws = engine.materialise(fulfilment.draws(dated, stretches, [row["analytes"] for row in made.duties]), "draws")
    scheduled = due.scheduled(stretches, draws, watched.followed, low, grids, counted, engine.materialise)
    dues = nw.concat([scheduled, due.follow_ups(watched.followed, stretches, draws)])
    due_counts = engine.materialise(due.due_counts(dues, stretches), "due_counts")
    found = [
        alerting.of_due_counts(due_counts, small["duties"]),
        *alerting.of_thresholds(watched.crossings, watched.followed, stretches, lasting, small["bands"]),
        *alerting.of_starts(watched.counts, watched.crossings, stretches, small["bands"], watched.own),
    ]
    undated = courses_room.undated(exposures, small["drugs"])
    return Monitored(
        courses=courses_room.table(courses),
        due_counts=due_counts.select(*due.DUE_COUNTS.names),
        alerts=engine.materialise(alerting.table(found, small["duties"]), "alerts"),
        not_assessable=unassessed_room.not_assessable(stretches, courses, undated, small, counted, watched.own),
        coverage=coverage_room.coverage(stretches, due_counts, counted),
    )


@dataclass(frozen=True)
class _Watched:
    """The counts of lines that may cross a limit, what they cross, and the own baselines (None: no rule looks)."""

    counts: Frame
    own: Frame | None
    followed: Frame
    crossings: Frame


def _watched(dated: Frame, stretches: Frame, made: rules.Rules, limits: Frame, engine: Engine) -> _Watched:
    lines = dated.filter(bands.Limits.of(made.bands).touched()).select("patient_id", "analyte").unique()
    if "below_share" in made.conditions:
        lines = nw.concat([lines, bands.watched_for_baseline(stretches, limits)]).unique()
    touched = engine.materialise(thresholds.of_interest(dated, engine.materialise(lines, "lines")), "touched")
    compared = made.conditions & {"below_share", "or_baseline"}
    own = engine.materialise(bands.baselines(touched, stretches, limits), "own") if compared else None
    banded = thresholds.banded(touched, stretches, limits, made.conditions, own)
    followed = engine.materialise(thresholds.followed(banded, limits, own), "followed")
    return _Watched(touched, own, followed, engine.materialise(thresholds.crossings(followed), "crossings"))


def _grids(stretches: Frame, made: rules.Rules, engine: Engine, knowledge: Knowledge, policy: Policy) -> due.Grids:
    longest = engine.collect(stretches.select((col("until_day") - col("anchor")).max())).item() or 0
    return due.Grids(
        schedule=_load(engine, "grid", rules.grid(made, int(longest), policy)),
        stop=_load(engine, "stop", rules.after_stop(made, knowledge, policy)),
        weeks=_load(engine, "weeks", rules.weeks(made)),
    )


def _load(engine: Engine, name: str, rows: Sequence[Row]) -> Frame:
    schema = {column: _TYPES.get(column, pl.String) for column in _COLUMNS[name]}
    return engine.load(
        pl.DataFrame([{key: row[key] for key in schema} for row in rows], schema=schema), f"monitor_{name}"
    )


def _counted(engine: Engine, counts: Frame, made: rules.Rules) -> list[str]:
    """The sets of analytes of which the source has any count."""
    lines = set(engine.collect(counts.select("analyte").unique())["analyte"])
    return sorted({row["analytes"] for row in made.duties if set(row["analytes"].split(";")) <= lines})


def worklist(made: Monitored, engine: Engine, patient: str = "", drug: str = "") -> list[Row]:
    """Everybody for whom an alert is open, the most urgent first.

    Parameters
    ----------
    made : Monitored
        What `monitor` gives.
    engine : Engine
        Where its frames live.
    patient, drug : str
        One person, one ingredient; empty: all.

    Returns
    -------
    list of dict
        patient_id, urgency, and `alerts`: the open alerts of the person, the most urgent and then the oldest first.
    """
    rows = _chosen(made.alerts.filter(col("open")).drop("open"), engine, patient, drug)
    ordered = rows.sort("urgency", "minute", "drug", "rule_id", "kind", "analyte")
    people: dict[Any, Row] = {}
    for row in ordered.to_dicts():
        blank: Row = {"patient_id": row["patient_id"], "urgency": row["urgency"], "alerts": []}
        person = people.setdefault(row["patient_id"], blank)
        person["alerts"].append({name: value for name, value in row.items() if name != "patient_id"})
    return sorted(people.values(), key=lambda row: (row["urgency"], row["alerts"][0]["minute"], str(row["patient_id"])))


def schedule(made: Monitored, engine: Engine, patient: str = "", drug: str = "") -> list[Row]:
    """The next count of everybody under treatment, by rule and drug: the earliest that is not fulfilled, by date.

    Returns
    -------
    list of dict
        Rows of due_counts whose state is overdue, due or open.
    """
    waiting = made.due_counts.filter(col("state").is_in(["overdue", "due", "open"]))
    rows = _chosen(waiting, engine, patient, drug).sort("due", "patient_id", "drug", "rule_id", "kind")
    return rows.unique(["patient_id", "rule_id", "drug"], keep="first", maintain_order=True).to_dicts()


def treated(made: Monitored, engine: Engine, patient: str = "", drug: str = "") -> int:
    """How many courses of a drug with a rule are on record."""
    return _chosen(made.courses.select("patient_id", "drug"), engine, patient, drug).height


def going(made: Monitored, engine: Engine, patient: str = "", drug: str = "") -> int:
    """How many of these courses go on on the day asked for."""
    rows = made.courses.select("patient_id", "drug", "ongoing_at")
    return int(_chosen(rows, engine, patient, drug)["ongoing_at"].sum())


def unassessed(made: Monitored, engine: Engine, patient: str = "", drug: str = "") -> list[Row]:
    """Persons to whom a rule cannot be applied today, and why: rows of not_assessable."""
    rows = _chosen(made.not_assessable.filter(col("open")).drop("open"), engine, patient, drug)
    return rows.sort("patient_id", "drug", "rule_id", "reason", "course").to_dicts()


def unassessed_before(made: Monitored, engine: Engine, patient: str = "", drug: str = "") -> list[Row]:
    """Courses of the past to which a rule could not be applied: drug, rule_id, reason, courses (their number)."""
    rows = _chosen(made.not_assessable.filter(~col("open")), engine, patient, drug)
    key = ["drug", "rule_id", "reason"]
    return rows.group_by(key).agg(courses=pl.len().cast(pl.Int64)).sort(key).to_dicts()


def by_drug(made: Monitored, engine: Engine, drug: str = "") -> list[Row]:
    """How well each drug was monitored under each rule in each source, over the whole past.

    A source is what was read under one name: a hospital, a laboratory. Care sites within it are not read.

    Returns
    -------
    list of dict
        drug, rule_id, source, persons, courses, assessed (courses whose schedule can be placed), days (of these),
        covered (share of these days), n_due, n_fulfilled, n_late, n_missed, and alerts_per_100_months of treatment;
        those of counts that are due but not overdue are no alerts here, and null where no course can be assessed.
    """
    key = ["drug", "rule_id", "source"]
    rows = _chosen(made.coverage, engine, "", drug)
    raised = _chosen(made.alerts.filter(col("kind") != "due"), engine, "", drug)
    placed = raised.join(rows, on=["patient_id", "rule_id", "drug", "course"], how="left")
    alerts = placed.group_by(key).agg(alerts=pl.len().cast(pl.Int64))
    known = pl.col("days_covered").is_not_null()
    grouped = rows.group_by(key).agg(
        persons=pl.col("patient_id").n_unique(),
        courses=pl.len(),
        assessed=known.sum(),
        days=pl.col("days_on_treatment").filter(known).sum(),
        covered_days=pl.col("days_covered").sum(),
        treated=pl.col("days_on_treatment").sum(),
        **{name: pl.col(name).sum() for name in ("n_due", "n_fulfilled", "n_late", "n_missed")},
    )
    joined = grouped.join(alerts, on=key, how="left").with_columns(
        covered=pl.when(pl.col("days") > 0).then(pl.col("covered_days") / pl.col("days")),
        alerts_per_100_months=pl.when((pl.col("assessed") > 0) & (pl.col("treated") > 0)).then(
            pl.col("alerts").fill_null(0) * 100 * DAYS_A_MONTH / pl.col("treated")
        ),
    )
    return joined.drop("covered_days", "treated", "alerts").sort(key).to_dicts()


def _chosen(frame: Frame, engine: Engine, patient: str, drug: str) -> pl.DataFrame:
    asked = frame if not patient else frame.filter(col("patient_id").cast(nw.String) == patient)
    return engine.collect(asked if not drug else asked.filter(col("drug") == drug))


def alerts(given: Mapping[str, Any], engine: Engine, knowledge: Knowledge, policy: Policy) -> Frame:
    """The alerts of tables that are already at hand: contracts.monitored.ALERTS.

    Parameters
    ----------
    given : mapping of str to native frame or None
        exposures, counts, and patients and observation_periods as far as they are known.
    """
    tables = (contracts.EXPOSURES, contracts.COUNTS, contracts.PATIENTS, contracts.OBSERVATION_PERIODS)
    known = at_hand.adopted([(table, given.get(table.name)) for table in tables], engine)
    as_of = day_asked_for(policy, engine, known["exposures"], known["counts"])
    return monitor(**known, engine=engine, knowledge=knowledge, policy=policy, as_of=as_of).alerts


def asked_for(policy: Policy) -> bool:
    """Whether the policy names a jurisdiction, without which no rule applies."""
    return bool(policy.text("monitor.jurisdiction") or policy.names("monitor.rules"))


def day_asked_for(policy: Policy, engine: Engine, exposures: Frame, counts: Frame) -> int:
    """The minute the question is asked for: that of the policy, else `last_minute`."""
    return policy.as_of if policy.as_of is not None else last_minute(engine, exposures, counts)


def last_minute(engine: Engine, exposures: Frame, counts: Frame) -> int:
    """The end of the last day on which a count was taken or a treatment began."""
    last = max(_extremes(engine, exposures, counts, "max"), default=-1)
    return (last // 1440 + 1) * 1440 - 1


def _extremes(engine: Engine, exposures: Frame, counts: Frame, which: str) -> list[int]:
    times = ((exposures, "start"), (counts, "minute"))
    found = [engine.collect(frame.select(getattr(col(name), which)())).item() for frame, name in times]
    return [int(minute) for minute in found if minute is not None]


@contextmanager
def of_sources(
    sources: Sequence[Path],
    policy: Policy,
    knowledge: Knowledge,
    *,
    engine: str = "duckdb",
    progress: Callable[[str], None] = lambda stage: None,
    site_map: str = "",
    format: str = "",
    mapping: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Monitored, Engine, int]]:
    """Read records and monitor them; the engine is closed at the end.

    Parameters
    ----------
    sources : sequence of Path
        Whatever `run` reads.
    policy : Policy
        monitor.*, as_of.
    knowledge : Knowledge
        The rules, those of a hospital's own pack included.
    engine, progress, site_map, format, mapping
        As in `leukopenia.api.run`.

    Yields
    ------
    tuple of Monitored, Engine and int
        The tables, where they live, and the minute the question is asked for.
    """
    from leukopenia import api

    reading: dict[str, Any] = {"site_map": site_map, "format": format, "mapping": mapping}
    with api.harmonised(sources, policy, knowledge, engine=engine, progress=progress, **reading) as (made, opened):
        counts = opened.materialise(made.counts, "counts")
        as_of = day_asked_for(policy, opened, made.exposures, counts)
        progress("monitor")
        people, periods = made.patients, made.observation_periods
        yield monitor(made.exposures, counts, people, periods, opened, knowledge, policy, as_of), opened, as_of
