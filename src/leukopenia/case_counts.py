"""The counts of case histories: raw results for the spine, undated ones, and the low count to be explained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from leukopenia import contracts, harmonising, pipeline
from leukopenia.contracts import Knowledge
from leukopenia.engine import Engine
from leukopenia.harmonise.measured_texts import MeasuredTexts, temperature
from leukopenia.harmonise.phrases import listed, words
from leukopenia.harmonise.units import UnitParser
from leukopenia.policy import Policy
from leukopenia.read.case import Case, Lab, Statement
from leukopenia.read.raw import Raw, issue

SOURCE = "cases"
DAY = 1440
HOUR = 60
INDEX = int((datetime(2000, 1, 1, 12) - datetime(1970, 1, 1)).total_seconds() // 60)
"""The low count of every case stands here; days of a case count from it."""

LINES = {
    "WBC": "wbc",
    "ANC": "neutrophils",
    "ALC": "lymphocytes",
    "PLT": "platelets",
    "HGB": "haemoglobin",
}
"""Analytes of a case that are blood lines, by the names of the house."""
NAMES = {
    **LINES,
    "NEUT_PCT": "neutrophils",
    "LYMPH_PCT": "lymphocytes",
    "MONO_PCT": "monocytes",
    "EOS_PCT": "eosinophils",
    "BAND_PCT": "bands",
    "MCV": "mcv",
    "CRP": "crp",
}
_FIRST_YEAR = 365
_NOT_BLOOD = listed("urine csf cerebrospinal fluid pleural ascites marrow stool synovial sputum")

Row = dict[str, Any]


def minute_of(day: float | None, phase: str) -> int | None:
    """An event at the low count without a day belongs to it; one before or after it has no known time."""
    if day is None:
        return INDEX if phase == "index" else None
    if day == 0 and phase != "index":
        return INDEX + (HOUR if phase == "after" else -HOUR)
    # A day on the wrong side of the low count does not count from it.
    contradicts = (phase == "before" and day > 0) or (phase == "after" and day < 0)
    return None if contradicts else at(day)


def at(day: float | None) -> int | None:
    """The minute of a day that counts from the low count."""
    return None if day is None else INDEX + round(day * DAY)


@dataclass
class Counted:
    """Counts beside their limits, findings, and the lines of results without a day (1: low, else not)."""

    limited: pl.DataFrame
    findings: pl.DataFrame
    issues: pl.DataFrame
    undated: list[Row] = field(default_factory=list)


def count(
    cases: Sequence[Case],
    patients: pl.DataFrame,
    issues: list[Row],
    engine: Engine,
    knowledge: Knowledge,
    policy: Policy,
) -> Counted:
    """Bring the numbers of the cases through the spine.

    Parameters
    ----------
    cases, patients
        The cases, and contracts.PATIENTS of them.
    issues : list of dict
        Rows of contracts.ISSUES met before.
    engine, knowledge, policy
        As for a run.

    Returns
    -------
    Counted
    """
    rows, unread = _results(cases, knowledge)
    held = engine.load(patients, "patients")
    made = harmonising.harmonise([_raw(rows, [*issues, *unread], engine)], engine, knowledge, policy, {})
    limited = engine.collect(pipeline.limit(made.counts, held, knowledge, policy, made.present))
    # Whether an undated count is low can be told all the same: it is read as if it were of the low count's day.
    undated = [row | {"minute": INDEX, "time_precision": "day"} for row in rows if row["minute"] is None]
    again = harmonising.harmonise([_raw(undated, [], engine)], engine, knowledge, policy, {})
    judged = engine.collect(pipeline.limit(again.counts, held, knowledge, policy, again.present))
    return Counted(
        limited=limited.sort("patient_id", "analyte", "minute"),
        findings=engine.collect(made.findings).sort("patient_id", "finding", "minute"),
        issues=pl.concat([engine.collect(part()) for part in made.issues]),
        undated=judged.filter(pl.col("is_low").is_not_null()).to_dicts(),
    )


def _raw(rows: list[Row], issues: list[Row], engine: Engine) -> Raw:
    schema = {name: harmonising.polars_type(contracts.RAW_RESULTS, name) for name in contracts.RAW_RESULTS.names}
    tables = {"raw_results": engine.load(pl.DataFrame(rows, schema=schema), "raw_results")}
    return Raw(SOURCE, "cases", tables, list(issues), {"raw_results": len(rows)}, [])


def _results(cases: Sequence[Case], knowledge: Knowledge) -> tuple[list[Row], list[Row]]:
    """Raw results, and issues for those that cannot be one."""
    units = UnitParser(knowledge["units"])
    usual = MeasuredTexts(knowledge)
    rows: list[Row] = []
    unread: list[Row] = []
    for case in cases:
        for lab, minute in _drawn(case.labs):
            row = _result(case, lab, minute) | _usual_side(case, lab, usual)
            given = row["value"] is not None or row["text"]
            if given and row["unit"] == "" and lab.analyte in LINES and lab.analyte != "HGB":
                where = {"detail": lab.analyte, "row_id": row["row_id"]}
                unread.append(issue(SOURCE, "raw_results", "ambiguous_unit", **where))
            elif given:
                rows.append(row)
        rows += [found for event in case.statements for found in _temperature(case, event, units)]
    return rows, unread


def _drawn(labs: Sequence[Lab]) -> Iterator[tuple[Lab, int | None]]:
    """Labs with their minute; two draws of one day (morning and afternoon, EDTA and citrate) lie a minute apart."""
    draws: dict[int, list[tuple[str, str]]] = {}
    for lab in labs:
        minute = minute_of(lab.day, lab.phase)
        if minute is not None:
            known = draws.setdefault(minute, [])
            if lab.draw not in known:
                known.append(lab.draw)
            minute += known.index(lab.draw)
        yield lab, minute


def _result(case: Case, lab: Lab, minute: int | None) -> Row:
    converted = lab.derived is not None and lab.analyte in LINES and lab.analyte != "HGB"
    other = bool(_NOT_BLOOD & {word.text for word in words(lab.specimen)})
    return {
        **_blank(case, lab.number, minute),
        "name": NAMES[lab.analyte],
        # EDTA, citrate, capillary and arterial samples are blood, whatever the tube is called.
        "specimen": lab.specimen if other else "",
        "unit": "10^9/L" if converted else lab.unit or ("%" if lab.analyte.endswith("_PCT") else ""),
        "value": lab.derived if converted else lab.value,
        "text": None if converted else lab.text or None,
        "comparator": lab.comparator,
        "low": None if converted else lab.low,
        "high": None if converted else lab.high,
    }


def of_adult_ranges(case: Case) -> bool:
    """Whether the usual ranges of adults can be used; in the first year of life they mislead."""
    return case.age_days is None or case.age_days >= _FIRST_YEAR


def _usual_side(case: Case, lab: Lab, usual: MeasuredTexts) -> Row:
    """The flag of a result of a finding (MCV, CRP) that came without the range of its laboratory."""
    if lab.value is None or lab.low is not None or lab.high is not None or not of_adult_ranges(case):
        return {}
    side = usual.side(NAMES[lab.analyte], lab.value, lab.unit, lab.comparator, case.sex)
    return {"flag": side.upper()}


def _temperature(case: Case, event: Statement, units: UnitParser) -> list[Row]:
    if event.status in ("absent", "past"):
        return []
    told = temperature(f"{event.name} : {event.detail}")
    if event.value is not None and units.parse(event.unit).kind in ("temperature", "fahrenheit"):
        told = (event.value, event.unit)
    if told is None:
        return []
    row = _blank(case, event.number, minute_of(event.day, event.phase))
    return [row | {"name": "temperature", "unit": told[1], "value": told[0]}]


def _blank(case: Case, number: int, minute: int | None) -> Row:
    empty = dict.fromkeys(("utc_offset", "value", "text", "low", "high"))
    blank = dict.fromkeys(("system", "code", "specimen", "unit", "comparator", "flag"), "")
    where = {"source": SOURCE, "row_id": f"{case.id}/{number}", "patient_id": case.id}
    return {**empty, **blank, **where, "minute": minute, "time_precision": "none" if minute is None else "day"}


def indices(cases: Sequence[Case], counts: Iterable[Row], said: Iterable[Row]) -> Iterator[Row]:
    """The low count of each case: its line, onset, last_not_low, nadir, last_low, recovery."""
    rows = [row for row in (*counts, *said) if row["minute"] is not None]
    for case in cases:
        own = [row for row in rows if row["patient_id"] == case.id]
        yield {"patient_id": case.id, "onset": INDEX, **_index(own, phases(case))}


def phases(case: Case) -> dict[str, str]:
    """Number of an event to its phase."""
    events: list[Lab | Statement] = [*case.labs, *case.statements]
    return {str(event.number): event.phase for event in events}


def number_of(row: Mapping[str, Any]) -> str:
    """The event a row came from; the spine sees it behind the id of its case."""
    return str(row["row_id"]).rpartition("/")[2]


def _index(rows: Sequence[Row], phase: Mapping[str, str]) -> Row:
    at_index = [row for row in rows if phase.get(number_of(row)) == "index"]
    analyte = _line(at_index)
    line = [row for row in rows if row["analyte"] == analyte]
    low = [row["minute"] for row in line if row["is_low"] and row["minute"] >= INDEX]
    normal = [row["minute"] for row in line if row["is_low"] is False]
    if not any(minute < INDEX for minute in normal):
        # A normal white count is the next best sign that the line was not low then.
        normal += [r["minute"] for r in rows if r["analyte"] == "wbc" and r["is_low"] is False and r["minute"] < INDEX]
    values = [row["value"] for row in at_index if row["analyte"] == analyte and row.get("value") is not None]
    last_low = max(low, default=INDEX)
    return {
        "analyte": analyte,
        "last_not_low": max((minute for minute in normal if minute < INDEX), default=None),
        "nadir": min(values, default=None),
        "last_low": last_low,
        "recovery": min((minute for minute in normal if minute > last_low), default=None),
    }


def _line(at_index: Sequence[Row]) -> str:
    """The line to be explained: the neutrophils where they are low, else the lymphocytes where only they are."""
    low = {row["analyte"] for row in at_index if row["is_low"]}
    seen = {row["analyte"] for row in at_index}
    for chosen in (low, seen):
        if "neutrophils" in chosen and (chosen is low or "wbc" not in seen):
            return "neutrophils"
        if "lymphocytes" in chosen and "wbc" not in chosen:
            return "lymphocytes"
    return "wbc"
