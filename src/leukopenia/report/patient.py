"""The page of one person: who, flags, timeline, episodes, counts, drugs, conditions, findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from leukopenia.report.cause_panel import Brief, CausePanel, cause_panels
from leukopenia.report.facts import NOT_REAL, Facts, Record, Row
from leukopenia.report.flowsheet import Flowsheet, flowsheet
from leukopenia.report.lanes import episode_end
from leukopenia.report.monitored import PersonPanel, person_panel
from leukopenia.report.outlook import Outlook, Untold, outlooks
from leukopenia.report.panels import band_caption
from leukopenia.report.timeline import Figure, timelines
from leukopenia.report.why import Words
from leukopenia.report.windows import onset_windows
from leukopenia.report.words import (
    ANALYTES,
    SEVERITIES,
    STANDARDS,
    comparator,
    day,
    duration,
    number,
    plain,
    when,
)

_MINUTES_PER_YEAR = 1440 * 365.25
_FINDINGS_SHOWN = 6
_WORST = [f"worst_{standard.replace('-', '_').replace('.', '_')}" for standard in STANDARDS]


@dataclass(frozen=True)
class PatientPage:
    """All that the template prints of one person."""

    key: str
    patient_id: int | str
    about: list[str]
    flags: list[Row]
    caption: str
    figures: list[Figure]
    episodes: list[Row]
    causes: list[CausePanel]
    further: list[Brief]
    outlooks: list[Outlook]
    untold: list[Untold]
    monitoring: PersonPanel | None
    sheet: Flowsheet
    drugs: list[Row]
    conditions: list[Row]
    findings: list[Row]


def choose_patients(
    patients: pl.DataFrame, episodes: pl.DataFrame, risks: pl.DataFrame, most: int, waiting: Sequence[Any] = ()
) -> list[Any]:
    """The persons whose pages are shown: ongoing red flags, who waits, past flags, then the most severe.

    Parameters
    ----------
    patients, episodes, risks : polars.DataFrame
        As in `Facts`.
    most : int
        How many at most.
    waiting : sequence
        patient_id of those at the top of the worklist.

    Returns
    -------
    list
        patient_id, the most urgent first.
    """
    everybody = pl.concat([table.select("patient_id") for table in (patients, episodes, risks)]).unique()
    if everybody.height <= 1:
        return everybody["patient_id"].to_list()
    red = pl.col("ongoing") & (pl.col("kind") != NOT_REAL)
    flags = risks.group_by("patient_id").agg(flag=pl.when(red).then(0).otherwise(2).min())
    waits = pl.col("patient_id").is_in(list(waiting)) & (pl.col("flag").fill_null(2) > 1)
    rank = pl.col("severity").replace_strict({s: i for i, s in enumerate(SEVERITIES)}, default=len(SEVERITIES))
    depth = episodes.group_by("patient_id").agg(rank.min().alias("rank"), pl.col("nadir").min())
    chosen = everybody.join(flags, on="patient_id", how="left").join(depth, on="patient_id", how="left")
    chosen = chosen.with_columns(flag=pl.when(waits).then(1).otherwise("flag"))
    return chosen.sort("flag", "rank", "nadir", "patient_id", nulls_last=True).head(most)["patient_id"].to_list()


def patient_page(record: Record, facts: Facts, words: Words, key: str) -> PatientPage:
    """The page of one person; `words` name the causes, `key` is the prefix of its anchors."""
    names = facts.summary.get("names", {})
    causes, further = cause_panels(record, words, key)
    told, untold = outlooks(record, words, facts.summary.get("bands", []), key)
    return PatientPage(
        key,
        record.patient_id,
        about(record),
        record.risks,
        band_caption(facts.summary.get("bands", []), "neutrophils"),
        timelines(record, facts.summary, key, onset_windows(record, words)),
        [episode_row(row) for row in record.episodes],
        causes,
        further,
        told,
        untold,
        person_panel(record, names),
        flowsheet(record),
        [_drug_row(row, names, facts.summary.get("groups", {})) for row in record.exposures],
        [_condition_row(row, names) for row in record.conditions],
        finding_rows(record.findings, names),
    )


def about(record: Record) -> list[str]:
    """Sex, age, death, and what bears on the limits, as far as recorded."""
    patient = record.patient
    if not patient:
        return ["no row of their own in the table of persons"]
    facts = [patient["sex"] if patient["sex"] in ("male", "female", "other") else "sex unknown", _age(record)]
    if patient["death"] is not None:
        facts.append(f"died {day(patient['death'])}")
    if patient["duffy_null"]:
        facts.append("Duffy-null status recorded")
    if patient["hiv_from"] is not None:
        facts.append(f"HIV recorded from {day(patient['hiv_from'])}")
    return facts


def _age(record: Record) -> str:
    birth = record.patient["birth"]
    if birth is None:
        return "age unknown"
    if not record.counts:
        return f"born {when(birth, record.patient['birth_precision'])}"
    age = record.counts[-1]["minute"] - birth
    words = f"{int(age / _MINUTES_PER_YEAR)} years" if age >= 2 * _MINUTES_PER_YEAR else duration(age)
    return f"{'about ' if record.patient['birth_precision'] == 'year' else ''}{words} at the last count"


def episode_row(row: Row) -> Row:
    """One episode in words."""
    bound = "≥" if row["worst_at_least"] else ""
    grades = ["unknown" if row[name] is None else f"{bound}{row[name]}" for name in _WORST]
    return {
        "line": ANALYTES.get(row["analyte"], row["analyte"]),
        "onset": when(row["onset"]),
        "after": when(row["last_not_low"]) or "not known",
        "nadir": f"{comparator(row['nadir_comparator'])}{number(row['nadir'])}",
        "nadir_time": when(row["nadir_minute"]),
        "end": f"{row['state']}, last low" if row["recovery"] is None else "recovered",
        "end_time": when(episode_end(row)),
        "duration": ("" if row["state"] == "closed" else "at least ") + duration(episode_end(row) - row["onset"]),
        "severity": row["severity"] or "not classified",
        "grades": grades,
        "notes": _notes(row),
    }


def _notes(row: Row) -> str:
    notes = [
        f"{row['n_low']} of {row['n_counts']} counts low",
        "" if row["confirmed"] else "one low count only",
        "chronic" if row["chronicity"] == "chronic" else "",
        "unobserved gap" if row["unobserved_gap"] else "",
        f"limit: {row['basis']}",
    ]
    return ", ".join(note for note in notes if note)


def _drug_row(row: Row, names: Mapping[str, str], groups: Mapping[str, str]) -> Row:
    dose = f"{number(row['dose'])} {row['dose_unit']}".strip() if row["dose"] is not None else ""
    return {
        "name": plain(row["ingredient"], names),
        "group": groups.get(row["ingredient"], ""),
        "start": day(row["start"]),
        "end": day(row["end"]) or "not recorded",
        "status": row["status"],
        "dose": dose,
    }


def _condition_row(row: Row, names: Mapping[str, str]) -> Row:
    return {
        "name": plain(row["condition"], names),
        "start": day(row["start"]),
        "end": day(row["end"]),
        "certainty": row["certainty"],
    }


def finding_rows(findings: list[Row], names: Mapping[str, str]) -> list[Row]:
    """Each finding once, with its newest results, the newest first."""
    kinds: dict[str, list[Row]] = {}
    for row in findings:
        kinds.setdefault(row["finding"], []).append(row)
    return [
        {
            "name": plain(kind, names),
            "n": len(rows),
            "newest": [
                (when(row["minute"], row["time_precision"]), number(row["value"]) or row["text"] or "")
                for row in reversed(rows[-_FINDINGS_SHOWN:])
            ],
        }
        for kind, rows in sorted(kinds.items())
    ]
