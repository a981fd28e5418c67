"""The corridor: the only file that knows the order of the rooms. It orders; it never judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2 import col, lit

from leukopenia import at_hand, contracts, episode_forecasts, explaining, monitoring
from leukopenia.contracts import Knowledge, Rows
from leukopenia.detect import episodes as episodes_room
from leukopenia.detect import grades as grades_room
from leukopenia.detect import risks as risks_room
from leukopenia.detect import scores
from leukopenia.engine import Engine, Frame
from leukopenia.explain.rates import rates
from leukopenia.harmonise import persons
from leukopenia.harmonise.ledger import as_issues
from leukopenia.harmonising import Harmonised, Later, harmonise
from leukopenia.policy import Policy
from leukopenia.read.raw import Raw
from leukopenia.reference import choose
from leukopenia.reference.personal import personal_limits

Progress = Callable[[str], None]


@dataclass
class Tables:
    """What one run has made: frames of the engine, and the small things that explain them."""

    patients: Frame
    observation_periods: Frame
    counts: Frame
    findings: Frame
    exposures: Frame
    conditions: Frame
    limits: Later
    personal_limits: Later
    grades: Later
    episodes: Frame
    risks: Frame
    infection_risk: Later
    risk_scores: Later
    causes: Frame
    cause_evidence: Later
    cause_rates: Later
    causality: Later
    disagreements: Later
    next_steps: Later
    forecasts: Later
    forecast_markers: Later
    forecast_scenarios: Later
    scenario_markers: Later
    issues: Later
    monitored: monitoring.Monitored | None = None
    as_of: int = 0
    monitored_as_of: int = 0
    signals: list[dict[str, Any]] = field(default_factory=list)
    accounting: dict[str, dict[str, int]] = field(default_factory=dict)

    def names(self) -> list[str]:
        """The tables, in the order of the rooms."""
        made = [item.name for item in fields(self) if item.name in contracts.TABLES]
        return made if self.monitored is None else [*made, *_MONITORED]

    def frame(self, name: str) -> Frame:
        """One table by name."""
        made: Frame | Later = getattr(self.monitored if name in _MONITORED else self, name)
        return made() if callable(made) else made


_MONITORED = tuple(table.name for table in contracts.MONITOR_TABLES)
"""Tables that are made when a jurisdiction is named."""


def run(
    raws: Sequence[Raw],
    engine: Engine,
    knowledge: Knowledge,
    policy: Policy,
    site_maps: Mapping[str, Rows],
    progress: Progress = lambda stage: None,
) -> Tables:
    """Raw tables of one or several sources -> every table of the house.

    Parameters
    ----------
    raws : sequence of Raw
        What the readers give.
    engine : Engine
        Where the frames live.
    knowledge, policy, site_maps
        What the rooms are told.
    progress : callable
        Told the name of each stage as it begins.
    """
    progress("harmonise")
    made = harmonise(raws, engine, knowledge, policy, site_maps)
    progress("limits")
    limited = engine.materialise(limit(made.counts, made.patients, knowledge, policy, made.present), "limited")
    patients = engine.materialise(persons.with_unlisted(made.patients, limited), "patients")
    aged = choose.with_age(limited, patients)
    as_of = policy.as_of if policy.as_of is not None else _last_minute(engine, limited)
    progress("episodes")
    rows, numbered, episodes = find_episodes(limited, made, engine, knowledge, policy, as_of)
    progress("red flags")
    risks = engine.materialise(_red_flags(rows, limited, made, knowledge, policy), "risks")
    progress("causes")
    known = explaining.records(
        limited, made.findings, made.conditions, made.exposures, patients, made.mentions, policy.as_of
    )
    explained = explaining.explain(episodes, known, engine, knowledge, policy)
    asked = (episodes, explained.causes, limited, made, engine, knowledge, policy, as_of, progress)
    monocytes = limited.filter(col("analyte") == "monocytes")
    monitored, monitored_as_of = _monitor(made, limited, patients, engine, knowledge, policy, progress)
    return Tables(
        patients=patients,
        observation_periods=made.observation_periods,
        counts=limited.select(*contracts.COUNTS.names),
        findings=made.findings,
        exposures=made.exposures,
        conditions=made.conditions,
        limits=lambda: choose.limits(aged, policy),
        personal_limits=lambda: personal_limits(aged, knowledge, policy),
        grades=lambda: _grades(_grade(limited, made, knowledge, policy), engine, policy),
        episodes=episodes,
        risks=risks,
        infection_risk=lambda: risks_room.infection_risk(numbered, knowledge, policy),
        risk_scores=lambda: scores.scores(risks, patients, monocytes, made.conditions, knowledge),
        causes=explained.causes,
        cause_evidence=explained.cause_evidence,
        cause_rates=lambda: rates(explained.causes, made.exposures, made.conditions),
        causality=explained.causality,
        disagreements=explained.disagreements,
        next_steps=explained.next_steps,
        **episode_forecasts.later(partial(episode_forecasts.forecast, *asked)),
        issues=lambda: nw.concat([*(part() for part in made.issues), _conflicts(limited), _limit_issues(aged, policy)]),
        monitored=monitored,
        as_of=as_of,
        monitored_as_of=monitored_as_of,
        signals=made.signals,
        accounting=made.accounting,
    )


def _red_flags(rows: Frame, limited: Frame, made: Harmonised, knowledge: Knowledge, policy: Policy) -> Frame:
    doubtful = limited.filter(col("conflict") | col("unit_repaired"))
    seen, unsure, found = (_known(frame, policy, "minute") for frame in (rows, doubtful, made.findings))
    return risks_room.risks(seen, unsure, found, made.exposures, knowledge, policy)


def _monitor(
    made: Harmonised,
    limited: Frame,
    patients: Frame,
    engine: Engine,
    knowledge: Knowledge,
    policy: Policy,
    progress: Progress,
) -> tuple[monitoring.Monitored | None, int]:
    """The tables of the monitor room and the minute they are for; none where no jurisdiction is named."""
    if not monitoring.asked_for(policy):
        return None, 0
    progress("monitor")
    counts = limited.select(*contracts.COUNTS.names)
    as_of = monitoring.day_asked_for(policy, engine, made.exposures, counts)
    periods = made.observation_periods
    return monitoring.monitor(made.exposures, counts, patients, periods, engine, knowledge, policy, as_of), as_of


def rank(given: Mapping[str, Any], engine: Engine, knowledge: Knowledge, policy: Policy) -> Frame:
    """The causes of episodes that are already at hand.

    Parameters
    ----------
    given : mapping of str to native frame or None
        episodes, and counts, exposures, conditions, findings and patients as far as they are known.
    """
    tables = (
        *(contracts.EPISODES, contracts.COUNTS, contracts.FINDINGS, contracts.CONDITIONS, contracts.EXPOSURES),
        *(contracts.PATIENTS, contracts.MENTIONS),
    )
    known = at_hand.adopted([(table, given.get(table.name)) for table in tables], engine)
    present = sorted(engine.collect(known["counts"].select("analyte").unique())["analyte"])
    limited = limit(known["counts"], known["patients"], knowledge, policy, present)
    records = explaining.records(
        engine.materialise(limited, "limited"),
        known["findings"],
        known["conditions"],
        known["exposures"],
        known["patients"],
        known["mentions"],
        policy.as_of,
    )
    return explaining.explain(known["episodes"], records, engine, knowledge, policy).causes


def limit(counts: Frame, patients: Frame, knowledge: Knowledge, policy: Policy, present: Iterable[str]) -> Frame:
    """Counts with the limit in force, and low or not.

    What can be had again from the persons (age, why there is no limit) is not kept: this table is the largest.
    """
    chosen = choose.choose(choose.with_age(counts, patients), knowledge, policy, frozenset(present))
    onset = policy.text("onset")
    if onset != "limit":
        chosen = grades_room.grade(grades_room.prepare(chosen, policy, "low"), knowledge, [onset], "low")
    kept = ("limit_low", "limit_high", "interval_id", "is_low", "recovered")
    return episodes_room.mark_low(chosen, policy).select(*contracts.COUNTS.names, *kept)


def _grade(limited: Frame, made: Harmonised, knowledge: Knowledge, policy: Policy) -> Frame:
    direction = policy.text("direction")
    prepared = grades_room.prepare(choose.with_age(limited, made.patients), policy, direction)
    return grades_room.grade(prepared, knowledge, policy.names("standards"), direction, made.present)


def find_episodes(
    limited: Frame, made: Harmonised, engine: Engine, knowledge: Knowledge, policy: Policy, as_of: int
) -> tuple[Frame, Frame, Frame]:
    """The graded counts of the persons and lines with a low count, the same numbered, and their episodes."""
    lines = engine.materialise(episodes_room.of_interest(limited, risks_room.bears(knowledge)), "lines")
    chemotherapy = [row["id"] for row in knowledge["ingredients"] if "chemotherapy" in row["groups"].split(";")]
    cycles = engine.materialise(episodes_room.cycle_starts(made.exposures, chemotherapy), "cycles")
    chosen = limited.join(lines, on=[*episodes_room.LINE], how="semi")
    rows = engine.materialise(_grade(chosen, made, knowledge, policy), "rows")
    numbered = engine.materialise(episodes_room.number(rows, cycles, policy, as_of), "numbered")
    ends = _known(made.patients.select("patient_id", "death"), policy, "death")
    found = episodes_room.summarise(numbered, knowledge, policy.names("standards"), policy, ends)
    return rows, numbered, engine.materialise(found, "episodes")


def _known(frame: Frame, policy: Policy, time: str) -> Frame:
    """What was known on the day asked for; without such a day, everything."""
    return frame if policy.as_of is None else frame.filter(col(time) <= policy.as_of)


def _grades(graded: Frame, engine: Engine, policy: Policy) -> Frame:
    names = policy.names("standards")
    standards = engine.load(pl.DataFrame({"standard": list(names)}), "standards")
    return grades_room.grades(graded, standards, names)


def _last_minute(engine: Engine, counts: Frame) -> int:
    """The end of the last day on which a count stands."""
    last = engine.collect(counts.select(col("minute").max())).item()
    return 0 if last is None else (int(last) // 1440 + 1) * 1440 - 1


def _conflicts(counts: Frame) -> Frame:
    return as_issues(counts.filter(col("conflict")), "counts", "conflicting_results", "analyte", set_aside=False)


def _limit_issues(aged: Frame, policy: Policy) -> Frame:
    """One row per reason and analyte for counts without a limit in force."""
    without = aged.with_columns(why=choose.why_none(policy)).filter(col("why") != "")
    grouped = without.group_by("source", "analyte", "why").agg(n=nw.len().cast(nw.Int64))
    return grouped.select(
        lit("reference").alias("stage"),
        "source",
        lit("counts").alias("table"),
        lit("").alias("row_id"),
        col("why").alias("reason"),
        col("analyte").alias("detail"),
        "n",
        lit(False).alias("set_aside"),
    )
