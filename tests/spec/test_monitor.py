"""The scenarios of spec/monitor hold: one patient, one drug and one rule each.

A file is a list of scenarios: `title`, `rule`, `reason`, `patient` (duffy_null, age_days at the start), `start` (the
date of day 0), `treatment` (drug, from, to), `counts` (day and one column a line; empty: not counted), `as_of` (a day), and
`expect`: every alert with its day (of a due date: the day on which it was due), and the action and analyte where they
are named. All times are days from the start. Treatment is administered, counts are taken at eight o'clock.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from leukopenia import contracts, knowledge, monitoring
from leukopenia.engine import Engine, open_engine
from leukopenia.harmonising import polars_type
from leukopenia.policy import Policy

SPEC = Path(__file__).resolve().parents[2] / "spec" / "monitor"
DAY = 1440
FILES = sorted(SPEC.glob("*.yaml"))
KEYS = {"title", "rule", "reason", "patient", "start", "treatment", "counts", "as_of", "expect"}
START = date(2026, 1, 5)

Row = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """One entry of a file, its days made into minutes."""

    title: str
    rule: str
    reason: str
    treatment: list[Row]
    counts: list[Row]
    patient: Row
    start: int
    as_of: int
    expect: list[dict[str, str]]


def load(path: Path) -> list[Scenario]:
    """The scenarios of a file; a key that is not known is an error, for it would be a check that is never made."""
    return [_scenario(path, entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]


def _scenario(path: Path, entry: dict[str, Any]) -> Scenario:
    if unknown := set(entry) - KEYS:
        raise ValueError(f"{path.name}: unknown keys {sorted(unknown)}")
    start = (entry.get("start", START) - date(1970, 1, 1)).days
    return Scenario(
        title=entry["title"],
        rule=entry["rule"],
        reason=entry["reason"],
        treatment=table(entry["treatment"]),
        counts=table(entry["counts"]),
        patient=entry.get("patient", {}),
        start=start,
        as_of=(start + entry["as_of"] + 1) * DAY - 1,
        expect=table(entry["expect"]),
    )


def table(text: str) -> list[dict[str, str]]:
    """The rows of a small table: commas between cells, blanks around them free."""
    rows = csv.DictReader(io.StringIO(text.strip()), skipinitialspace=True)
    return [{(name or "").strip(): (cell or "").strip() for name, cell in row.items()} for row in rows]


def raised(scenarios: list[Scenario]) -> dict[str, list[Row]]:
    """Every alert of each scenario, by title; those of one first day and one last day share a run."""
    days: dict[tuple[int, int], list[Scenario]] = {}
    for scenario in scenarios:
        days.setdefault((scenario.start, scenario.as_of), []).append(scenario)
    engine = open_engine("polars")
    return {title: rows for together in days.values() for title, rows in _run(together, engine).items()}


def _run(scenarios: list[Scenario], engine: Engine) -> dict[str, list[Row]]:
    """One patient a scenario, numbered from 1; an alert of another rule than that of the scenario is not looked at."""
    named = sorted({scenario.rule for scenario in scenarios})
    policy = Policy.of({"monitor.jurisdiction": "us", "monitor.rules": ";".join(named)}, known()["policy"])
    numbered = list(enumerate(scenarios, start=1))
    frames = {
        "exposures": _frame(contracts.EXPOSURES, [row for one in numbered for row in _exposures(*one)]),
        "counts": _frame(
            contracts.COUNTS, [row for one in numbered for row in _counts(*one)] + _bystander(scenarios[0])
        ),
        "patients": _frame(contracts.PATIENTS, [_patient(*one) for one in numbered]),
        "periods": _frame(contracts.OBSERVATION_PERIODS, []),
    }
    loaded = (engine.load(frame, name) for name, frame in frames.items())
    made = monitoring.monitor(*loaded, engine, known(), policy, scenarios[0].as_of)
    rows = engine.collect(made.alerts).to_dicts()
    return {
        scenario.title: [row for row in rows if row["patient_id"] == number and row["rule_id"] == scenario.rule]
        for number, scenario in numbered
    }


@cache
def known() -> contracts.Knowledge:
    return knowledge.load()


def _frame(contract: contracts.Table, rows: list[Row]) -> pl.DataFrame:
    schema = {name: polars_type(contract, name, pl.Int64) for name in contract.names}
    blank = {"String": "", "Boolean": False}
    filled = [
        {column.name: row.get(column.name, blank.get(column.type)) for column in contract.columns} for row in rows
    ]
    return pl.DataFrame(filled, schema=schema)


def _exposures(patient: int, scenario: Scenario) -> list[Row]:
    return [
        {
            "patient_id": patient,
            "ingredient": f"drug:{row['drug']}",
            "start": (scenario.start + int(row["from"])) * DAY,
            "end": (scenario.start + int(row["to"])) * DAY,
            "status": "administered",
            "dose": 1.0,
        }
        for row in scenario.treatment
    ]


def _counts(patient: int, scenario: Scenario) -> list[Row]:
    return [
        _count(patient, line, scenario.start + int(row["day"]), float(cell))
        for row in scenario.counts
        for line, cell in row.items()
        if line != "day" and cell
    ]


def _bystander(scenario: Scenario) -> list[Row]:
    """A person without treatment who has had every line counted long before, so that the source has them."""
    lines = ("wbc", "neutrophils", "lymphocytes", "haemoglobin", "platelets")
    return [_count(0, line, scenario.start - 400, 200.0) for line in lines]


def _count(patient: int, line: str, day: int, value: float) -> Row:
    return {
        "patient_id": patient,
        "analyte": line,
        "minute": day * DAY + 8 * 60,
        "time_precision": "minute",
        "value": value,
        "derivation": "reported",
    }


def _patient(number: int, scenario: Scenario) -> Row:
    age = int(scenario.patient.get("age_days", 40 * 365))
    return {
        "patient_id": number,
        "birth": (scenario.start - age) * DAY,
        "birth_precision": "day",
        "duffy_null": bool(scenario.patient.get("duffy_null", False)),
    }


def differences(scenario: Scenario, rows: list[Row]) -> list[str]:
    """What is expected and missing, and what is there and not expected."""
    found = [
        (str(row["minute"] // DAY - scenario.start), row["kind"], row["action"], row["analyte"])
        for row in sorted(rows, key=lambda row: (row["minute"], row["kind"], row["analyte"]))
    ]
    missing = []
    for row in scenario.expect:
        wanted = (row["day"], row["alert"], row["action"], row["analyte"])
        match = next((one for one in found if _fits(one, wanted)), None)
        if match is None:
            missing.append(f"missing {wanted}")
        else:
            found.remove(match)
    return missing + [f"not expected {one}" for one in found]


def _fits(found: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return all(not cell or cell == one for one, cell in zip(found, wanted, strict=True))


@pytest.fixture(scope="module")
def alerts() -> dict[str, list[Row]]:
    return raised([scenario for path in FILES for scenario in load(path)])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenarios(path: Path, alerts: dict[str, list[Row]]) -> None:
    wrong = {
        f"{scenario.title}. {scenario.reason}": found
        for scenario in load(path)
        if (found := differences(scenario, alerts[scenario.title]))
    }
    assert not wrong, "\n".join(f"{title}\n    {line}" for title, lines in wrong.items() for line in lines)


def test_titles_tell_scenarios_apart() -> None:
    titles = Counter(scenario.title for path in FILES for scenario in load(path))
    assert [title for title, n in titles.items() if n > 1] == []


def test_every_rule_has_scenarios() -> None:
    shown = {scenario.rule for path in FILES for scenario in load(path)}
    assert {row["rule_id"] for row in known()["monitoring_rules"]} - shown == set()
