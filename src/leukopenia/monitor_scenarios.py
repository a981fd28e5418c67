"""Scenarios of a rule pack: one patient, one drug and one rule each, with the alerts that are expected.

A file is a list of entries: `title`, `rule`, `reason`, `patient` (duffy_null, age_days at the start, records_from, the
day on which the records of the patient begin, long before day 0 unless it is named, and died, the day of death),
`start` (the date of day 0), `treatment` (a table of drug, from, to, and status and dose where they matter; an empty
cell: not on record), `counts` (a table of day and one column a line; an empty cell: not counted), `as_of` (a day),
`expect`: a table of every alert with its day (for a due date: the day on which it was due), and the action and analyte
where they are named; and `unknown`: why the course cannot be assessed, reasons parted by commas. Without `unknown`
nobody looks whether it can. All times are days from the start. Treatment is administered where no status is named;
counts are taken at eight o'clock.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from leukopenia import contracts, monitoring
from leukopenia.contracts import Knowledge
from leukopenia.engine import Engine, open_engine
from leukopenia.errors import KnowledgeError
from leukopenia.harmonising import polars_type
from leukopenia.policy import Policy

Row = dict[str, Any]

DAY = 1440
KEYS = {"title", "rule", "reason", "patient", "start", "treatment", "counts", "as_of", "expect", "unknown"}
_NEEDED = ("title", "rule", "treatment", "counts", "as_of", "expect")
_START = date(2026, 1, 5)
_ADULT = 40 * 365
_LONG_BEFORE = -400
_LINES = ("wbc", "neutrophils", "lymphocytes", "haemoglobin", "platelets")
_BYSTANDER = 0


@dataclass(frozen=True)
class Scenario:
    """One entry of a file, its days made into minutes."""

    title: str
    rule: str
    reason: str
    treatment: list[dict[str, str]]
    counts: list[dict[str, str]]
    patient: Mapping[str, Any]
    start: int
    as_of: int
    expect: list[dict[str, str]]
    unknown: frozenset[str] | None = None


@dataclass(frozen=True)
class Outcome:
    """What the rule of a scenario says: its alerts, and why its course cannot be assessed."""

    alerts: list[Row]
    reasons: frozenset[str]


def load(path: Path) -> list[Scenario]:
    """The scenarios of a file.

    Raises
    ------
    KnowledgeError
        The file is no list of scenarios, or an entry lacks a key or has one that is not known.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{path.name} cannot be read.", type(error).__name__, "Write YAML.") from None
    if not isinstance(entries, list):
        raise KnowledgeError(f"{path.name} is not a list of scenarios.", "", "Begin each with `- title:`.")
    return [scenario(entry, f"{path.name}, entry {number}") for number, entry in enumerate(entries, start=1)]


def scenario(entry: Any, place: str) -> Scenario:
    """One entry; `place` is named where it is wrong."""
    if not isinstance(entry, dict):
        raise KnowledgeError(f"{place} is not a scenario.", "", f"It needs {', '.join(_NEEDED)}.")
    if unknown := sorted(set(entry) - KEYS):
        raise KnowledgeError(f"{place}: there is no key {unknown[0]!r}.", "", f"Known: {', '.join(sorted(KEYS))}.")
    if missing := [key for key in _NEEDED if key not in entry]:
        raise KnowledgeError(f"{place} lacks {missing[0]!r}.", "", f"It needs {', '.join(_NEEDED)}.")
    try:
        start = (entry.get("start", _START) - date(1970, 1, 1)).days
        return Scenario(
            title=str(entry["title"]),
            rule=str(entry["rule"]),
            reason=str(entry.get("reason", "")),
            treatment=_table(entry["treatment"], ("drug", "from", "to")),
            counts=_table(entry["counts"], ("day",)),
            patient=entry.get("patient", {}),
            start=start,
            as_of=(start + int(entry["as_of"]) + 1) * DAY - 1,
            expect=_table(entry["expect"], ("day", "alert", "action", "analyte")),
            unknown=_reasons(entry["unknown"]) if "unknown" in entry else None,
        )
    except (TypeError, ValueError) as error:
        raise KnowledgeError(f"{place} cannot be understood.", str(error), "Days are whole numbers.") from None


def _table(text: Any, needed: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a small table: commas between cells, blanks around them free."""
    lines = [[cell.strip() for cell in line] for line in csv.reader(io.StringIO(str(text).strip())) if line]
    header = lines[0] if lines else []
    if missing := [name for name in needed if name not in header]:
        raise ValueError(f"no column {missing[0]}")
    return [dict(zip(header, [*line, *[""] * len(header)], strict=False)) for line in lines[1:]]


def _reasons(text: Any) -> frozenset[str]:
    return frozenset(filter(None, (part.strip() for part in str(text or "").split(","))))


def outcomes(scenarios: Sequence[Scenario], knowledge: Knowledge) -> dict[str, Outcome]:
    """The outcome of each scenario, by title; those of one first day and one last day share a run."""
    together: dict[tuple[int, int], list[Scenario]] = {}
    for one in scenarios:
        together.setdefault((one.start, one.as_of), []).append(one)
    engine = open_engine("polars")
    return {title: one for group in together.values() for title, one in _run(group, engine, knowledge).items()}


def raised(scenarios: Sequence[Scenario], knowledge: Knowledge) -> dict[str, list[Row]]:
    """Every alert of each scenario, by title."""
    return {title: one.alerts for title, one in outcomes(scenarios, knowledge).items()}


def _run(scenarios: Sequence[Scenario], engine: Engine, knowledge: Knowledge) -> dict[str, Outcome]:
    """One patient a scenario, numbered from 1; alerts of another rule than that of the scenario are not looked at."""
    known = {row["rule_id"]: row["jurisdiction"] for row in knowledge["monitoring_rules"]}
    named = sorted({one.rule for one in scenarios})
    if unknown := [rule for rule in named if rule not in known]:
        raise KnowledgeError(f"A scenario names {unknown[0]!r}, which is no rule.", "", "Check `rule`.")
    policy = Policy.of({"monitor.jurisdiction": known[named[0]], "monitor.rules": ";".join(named)})
    numbered = list(enumerate(scenarios, start=1))
    frames = {
        "exposures": _frame(contracts.EXPOSURES, [row for one in numbered for row in _exposures(*one)]),
        "counts": _frame(
            contracts.COUNTS, [row for one in numbered for row in _counts(*one)] + _bystander(scenarios[0])
        ),
        "patients": _frame(contracts.PATIENTS, [_patient(*one) for one in numbered]),
        "observation_periods": _frame(
            contracts.OBSERVATION_PERIODS, [row for one in numbered for row in _observed(*one)]
        ),
    }
    loaded = {name: engine.load(frame, name) for name, frame in frames.items()}
    made = monitoring.monitor(**loaded, engine=engine, knowledge=knowledge, policy=policy, as_of=scenarios[0].as_of)
    alerts = engine.collect(made.alerts).to_dicts()
    unassessed = engine.collect(made.not_assessable).to_dicts()

    def mine(rows: list[Row], number: int, one: Scenario) -> list[Row]:
        return [row for row in rows if row["patient_id"] == number and row["rule_id"] == one.rule]

    return {
        one.title: Outcome(mine(alerts, number, one), frozenset(row["reason"] for row in mine(unassessed, number, one)))
        for number, one in numbered
    }


def _frame(contract: contracts.Table, rows: Sequence[Row]) -> pl.DataFrame:
    schema = {name: polars_type(contract, name, pl.Int64) for name in contract.names}
    blank: Row = {"String": "", "Boolean": False}
    cells = [{part.name: row.get(part.name, blank.get(part.type)) for part in contract.columns} for row in rows]
    return pl.DataFrame(cells, schema=schema)


def _exposures(patient: int, one: Scenario) -> list[Row]:
    return [
        {
            "patient_id": patient,
            "ingredient": f"drug:{row['drug'].removeprefix('drug:')}",
            "start": _minute(one, row["from"]),
            "end": _minute(one, row["to"]),
            "status": row.get("status") or "administered",
            "dose": float(dose) if (dose := row.get("dose", "1")) else None,
        }
        for row in one.treatment
    ]


def _minute(one: Scenario, day: str) -> int | None:
    return (one.start + int(day)) * DAY if day else None


def _observed(patient: int, one: Scenario) -> list[Row]:
    first = int(one.patient.get("records_from", _LONG_BEFORE))
    return [{"patient_id": patient, "start": (one.start + first) * DAY, "end": one.as_of}]


def _counts(patient: int, one: Scenario) -> list[Row]:
    return [
        _count(patient, line, one.start + int(row["day"]), float(cell))
        for row in one.counts
        for line, cell in row.items()
        if line != "day" and cell
    ]


def _bystander(one: Scenario) -> list[Row]:
    """A person without treatment who has had every line counted long before, so that the source has them."""
    return [_count(_BYSTANDER, line, one.start + _LONG_BEFORE, 200.0) for line in _LINES]


def _count(patient: int, line: str, day: int, value: float) -> Row:
    return {
        "patient_id": patient,
        "analyte": line,
        "minute": day * DAY + 8 * 60,
        "time_precision": "minute",
        "value": value,
        "derivation": "reported",
    }


def _patient(number: int, one: Scenario) -> Row:
    died = one.patient.get("died")
    return {
        "patient_id": number,
        "birth": (one.start - int(one.patient.get("age_days", _ADULT))) * DAY,
        "birth_precision": "day",
        "death": None if died is None else (one.start + int(died)) * DAY,
        "duffy_null": bool(one.patient.get("duffy_null", False)),
    }


def differences(one: Scenario, outcome: Outcome) -> list[str]:
    """What is expected and missing, and what is there and not expected."""
    reasons = [] if one.unknown is None else sorted(one.unknown ^ outcome.reasons)
    wrong = [
        f"{'missing' if reason in (one.unknown or ()) else 'not expected'}: unknown {reason}" for reason in reasons
    ]
    return _of_alerts(one, outcome.alerts) + wrong


def _of_alerts(one: Scenario, rows: Sequence[Row]) -> list[str]:
    found = [
        (str(row["minute"] // DAY - one.start), row["kind"], row["action"], row["analyte"])
        for row in sorted(rows, key=lambda row: (row["minute"], row["kind"], row["analyte"]))
    ]
    missing = []
    for row in one.expect:
        wanted = (row["day"], row["alert"], row["action"], row["analyte"])
        match = next((alert for alert in found if _fits(alert, wanted)), None)
        if match is None:
            missing.append(f"missing: {_said(wanted)}")
        else:
            found.remove(match)
    return missing + [f"not expected: {_said(alert)}" for alert in found]


def _fits(found: Sequence[str], wanted: Sequence[str]) -> bool:
    return all(not cell or cell == one for one, cell in zip(found, wanted, strict=True))


def _said(alert: Sequence[str]) -> str:
    return f"day {alert[0]} " + " ".join(part for part in alert[1:] if part)
