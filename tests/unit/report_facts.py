"""A small made-up hospital for the tests of the report: nobody in it exists."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import polars as pl
import report_causes

from leukopenia.contracts import TABLES
from leukopenia.report import Facts, summarise

DAY = 1440
START = 28_500_000
"""A morning in March 2024, in minutes since 1970."""

_TYPES = {
    "String": pl.String,
    "Int64": pl.Int64,
    "Float64": pl.Float64,
    "Boolean": pl.Boolean,
    "Int64|String": pl.String,
}
_DEFAULTS: dict[str, Any] = {"String": "", "Boolean": False, "Int64|String": "r1"}
_RISKS = {
    "patient_id": pl.String,
    "kind": pl.String,
    "definition": pl.String,
    "minute": pl.Int64,
    "detail": pl.String,
    "source_id": pl.String,
    "ongoing": pl.Boolean,
}
LOWER = {"wbc": 4.0, "neutrophils": 1.8, "lymphocytes": 1.0, "platelets": 150.0, "haemoglobin": 130.0}
_UPPER = {"wbc": 11.0, "neutrophils": 7.5, "lymphocytes": 4.0, "platelets": 400.0, "haemoglobin": 170.0}
CUTS = {"wbc": (1.0, 2.0, 3.0), "neutrophils": (0.5, 1.0, 1.5), "lymphocytes": (0.2, 0.5, 0.8)}
Rows = list[dict[str, Any]]


def table(name: str, rows: Rows) -> pl.DataFrame:
    """Rows as a table of the contract, absent columns filled with their plain value."""
    columns = TABLES[name].columns
    whole = [{c.name: row.get(c.name, None if c.nullable else _DEFAULTS.get(c.type)) for c in columns} for row in rows]
    return pl.DataFrame(whole, schema={c.name: _TYPES[c.type] for c in columns})


def count(patient: str, analyte: str, minute: int, value: float, **more: Any) -> dict[str, Any]:
    """One count with the usual laboratory limits."""
    row = {"patient_id": patient, "analyte": analyte, "minute": minute, "value": round(value, 6)}
    limits = {"low": LOWER.get(analyte), "high": _UPPER.get(analyte)}
    return {"time_precision": "minute", "derivation": "reported", "copies": 1, **row, **limits, **more}


def course(patient: str, days: list[int], neutrophils: Callable[[int], float], rest: float = 2.4) -> Rows:
    """Blood counts on these days; white cells are neutrophils and the rest."""
    rows = []
    noise = random.Random(patient)
    for day in days:
        minute = START + day * DAY + noise.randrange(120)
        anc = max(neutrophils(day) * noise.uniform(0.9, 1.1), 0.0)
        other = rest * noise.uniform(0.85, 1.15)
        derived = {"derivation": "fraction_of_wbc"} if day % 3 == 0 else {}
        rows += [
            count(patient, "wbc", minute, round(anc + other, 2)),
            count(patient, "neutrophils", minute, round(anc, 3), **derived),
            count(patient, "lymphocytes", minute, round(other * 0.7, 2)),
            count(patient, "platelets", minute, round(noise.uniform(170, 240))),
            count(patient, "haemoglobin", minute, round(noise.uniform(112, 141))),
        ]
    return rows


def limits_of(counts: Rows) -> Rows:
    """The laboratory's limits in force."""
    return [
        {
            **{k: row[k] for k in ("patient_id", "analyte", "minute", "low", "high")},
            "basis": "laboratory" if row["low"] else "none",
            "reason": "" if row["low"] else "no_laboratory_limit",
        }
        for row in counts
    ]


def grades_of(counts: Rows) -> Rows:
    """Four standards, near enough for a picture."""
    rows = []
    for row in counts:
        for standard in ("ctcae-4.03", "ctcae-5.0", "ctcae-6.0", "daids-2.1"):
            grade = _grade(row, standard)
            key = {k: row[k] for k in ("patient_id", "analyte", "minute")}
            reason = "no_numeric_term" if grade is None else ""
            rows.append(
                {
                    **key,
                    "standard": standard,
                    "grade": grade,
                    "at_least": row.get("comparator") == "<",
                    "limit": row["low"],
                    "limit_basis": "laboratory",
                    "reason": reason,
                }
            )
    return rows


def _grade(row: dict[str, Any], standard: str) -> int | None:
    analyte, value = row["analyte"], row["value"]
    if analyte not in CUTS or (standard == "ctcae-6.0" and analyte == "lymphocytes"):
        return None
    if standard == "ctcae-6.0" and analyte == "neutrophils":
        return 4 if value < 0.1 else sum(value < cut for cut in CUTS[analyte])
    if standard == "daids-2.1" and analyte == "neutrophils":
        return sum(value < cut for cut in (0.4, 0.6, 0.8, 1.0))
    return sum(value < cut for cut in (*CUTS[analyte], row["low"]))


def episodes_of(counts: Rows) -> Rows:
    """Runs of low counts, ended by the first count that is not low."""
    rows = []
    for patient, analyte in sorted({(r["patient_id"], r["analyte"]) for r in counts if r["analyte"] in CUTS}):
        mine = sorted(
            (r for r in counts if (r["patient_id"], r["analyte"]) == (patient, analyte)),
            key=lambda r: r["minute"],
        )
        run: Rows = []
        before = None
        for row in [*mine, None]:
            if row is not None and row["value"] < row["low"]:
                run.append(row)
                continue
            if run:
                rows.append(_episode(run, before, row, len(rows) + 1))
            run, before = [], row
    return rows


def _episode(run: Rows, before: dict[str, Any] | None, after: dict[str, Any] | None, n: int) -> dict[str, Any]:
    lowest = min(run, key=lambda r: r["value"])
    patient, analyte, value = lowest["patient_id"], lowest["analyte"], lowest["value"]
    words = [(0.1, "profound"), (0.5, "severe"), (1.0, "moderate"), (9.0, "mild")]
    severity = next(w for cut, w in words if value < cut) if analyte == "neutrophils" else ""
    worst = {
        f"worst_{s.replace('-', '_').replace('.', '_')}": _grade(lowest, s)
        for s in ("ctcae-4.03", "ctcae-5.0", "ctcae-6.0", "daids-2.1")
    }
    long = run[-1]["minute"] - run[0]["minute"] > 90 * DAY
    return {
        "episode_id": f"{patient}/{analyte}/{n}",
        "patient_id": patient,
        "analyte": analyte,
        "number": n,
        "onset": run[0]["minute"],
        "last_not_low": before and before["minute"],
        "nadir": value,
        "nadir_comparator": lowest.get("comparator", ""),
        "nadir_minute": lowest["minute"],
        "last_low": run[-1]["minute"],
        "recovery": after and after["minute"],
        "state": "closed" if after else "open",
        "n_low": len(run),
        "n_counts": len(run) + 1,
        "confirmed": len(run) > 1,
        "chronicity": "chronic" if long else "acute",
        "severity": severity,
        "basis": "laboratory",
        **worst,
        "worst_at_least": False,
    }


BANDS = [
    {"standard": "ctcae-5.0", "analyte": analyte, "grade": grade, "below": below, "source_id": "ctcae5"}
    for analyte, cuts in CUTS.items()
    for grade, below in zip((4, 3, 2, 1), (*cuts, None), strict=True)
]


def hospital(persons: int = 40, clozapine: str = "P-1042") -> dict[str, Any]:
    """Everything `Facts` needs: a clozapine agranulocytosis, chemotherapy, a long history, and a crowd."""
    noise = random.Random(7)
    counts = _named_courses(clozapine)
    for n in range(persons):
        depth, length, first = noise.uniform(0.05, 3.2), noise.randrange(3, 80), noise.randrange(0, 60)
        counts += course(f"P-{2000 + n}", list(range(0, 150, noise.choice((3, 7, 10)))), _dip(first, length, depth))
    return {
        "counts": counts,
        "patients": _patients(sorted({row["patient_id"] for row in counts})),
        "exposures": _drugs(clozapine),
        "conditions": [
            {
                "patient_id": clozapine,
                "condition": "cond:schizophrenia",
                "start": START - 900 * DAY,
                "certainty": "confirmed",
            },
            {
                "patient_id": "P-1077",
                "condition": "cond:breast-cancer",
                "start": START - 40 * DAY,
                "certainty": "confirmed",
            },
        ],
        "findings": [
            {
                "patient_id": clozapine,
                "finding": "temperature",
                "minute": START + 46 * DAY + h * 60,
                "time_precision": "minute",
                "value": t,
                "row_id": f"t{h}",
            }
            for h, t in ((0, 37.9), (6, 38.7), (14, 39.2), (26, 38.4), (50, 37.6))
        ]
        + [
            {
                "patient_id": "P-1077",
                "finding": "platelet_clumps",
                "minute": START + 30 * DAY,
                "time_precision": "day",
                "text": "present",
            }
        ],
        "risks": _risks(clozapine),
        "issues": _issues(),
    }


def _dip(first: int, length: int, depth: float) -> Callable[[int], float]:
    return lambda day: depth if first <= day < first + length else 3.6


def _named_courses(clozapine: str) -> Rows:
    weekly, daily = list(range(0, 44, 7)), list(range(44, 56))
    fall = {
        44: 0.9,
        45: 0.41,
        46: 0.14,
        47: 0.06,
        48: 0.02,
        49: 0.04,
        50: 0.08,
        51: 0.11,
        52: 0.2,
        53: 0.24,
        54: 0.31,
        55: 0.38,
    }
    rows = course(clozapine, weekly + daily, lambda day: fall.get(day, 4.1 - day / 20))
    rows = [
        r
        for r in rows
        if not (r["analyte"] == "neutrophils" and r["minute"] // DAY in {START // DAY + 48, START // DAY + 52})
    ]
    rows.append(count(clozapine, "neutrophils", START + 48 * DAY + 30, 0.1, comparator="<"))
    rows.append(
        count(clozapine, "neutrophils", START + 52 * DAY + 30, 1.4, comparator="<=", derivation="bounded_by_wbc")
    )
    cycle = [day for day in range(0, 130) if day % 21 in (0, 7, 10, 13, 17)] + [420, 440, 460, 500]
    chemo = course(
        "P-1077",
        cycle,
        lambda day: 3.9 - 3.5 * (day < 126) * (day % 21 in (10, 13)) - 2 * (day < 126 and day % 21 == 7),
    )
    years = [d for d in range(0, 2400, 60) if not 700 < d < 1100] + list(range(1500, 1530, 2))
    duffy = course("P-1101", years, lambda day: 0.35 if 1504 <= day <= 1518 else 1.55 + 0.5 * (day % 120 == 0))
    return rows + chemo + duffy


def _patients(ids: list[str]) -> Rows:
    return [
        {
            "patient_id": one,
            "sex": "female" if n % 2 else "male",
            "birth": START - (24 + n % 50) * 365 * DAY,
            "birth_precision": "year" if n % 3 else "day",
            "duffy_null": one == "P-1101",
        }
        for n, one in enumerate(ids)
    ]


def _drugs(clozapine: str) -> Rows:
    def drug(
        patient: str, name: str, start: int, end: int, status: str = "administered", **more: Any
    ) -> dict[str, Any]:
        span = {"start": START + start * DAY, "end": START + end * DAY}
        return {
            "patient_id": patient,
            "ingredient": name,
            **span,
            "status": status,
            "route": "systemic",
            "rows": 1,
            **more,
        }

    rows = [
        drug(clozapine, "drug:clozapine", -12, 46, "dispensed", dose=300.0, dose_unit="mg"),
        drug(clozapine, "drug:valproate", -200, 55, "stated"),
        drug(clozapine, "drug:filgrastim", 48, 55, dose=300.0, dose_unit="ug"),
        drug(clozapine, "drug:piperacillin-tazobactam", 46, 55),
        drug(clozapine, "drug:paracetamol", 46, 50, "ordered"),
        drug("P-1101", "drug:methotrexate", 1200, 1504, "dispensed"),
    ]
    for cycle in range(6):
        day = 21 * cycle
        rows += [drug("P-1077", f"drug:{n}", day, day) for n in ("docetaxel", "doxorubicin", "cyclophosphamide")]
        rows += [
            drug("P-1077", "drug:dexamethasone", day - 1, day + 1),
            drug("P-1077", "drug:pegfilgrastim", day + 1, day + 1),
        ]
    return rows


def _risks(clozapine: str) -> Rows:
    fever, film = "ANC <0.1 with 39.2 °C, 2024-04-24 06:00", "blasts 4 % in the film"
    rows = [
        (clozapine, "severe_neutropenia_with_fever", "idsa-2011", 46, fever, "freifeld2011", True),
        (clozapine, "agranulocytosis", "andersohn-2007", 46, "ANC 0.14, then <0.1", "andersohn2007", True),
        (
            clozapine,
            "neutropenia_on_suspect_drug",
            "",
            46,
            "valproate goes on while ANC is 0.38",
            "andersohn2007",
            True,
        ),
        ("P-2003", "blasts", "", 90, film, "icsh2015", True),
        ("P-1077", "severe_neutropenia", "ctcae-5.0", 115, "ANC 0.39 after cycle 6", "ctcae5", False),
        (
            "P-1077",
            "count_may_not_be_real",
            "",
            30,
            "platelet clumps in the film: platelets may be falsely low",
            "icsh2015",
            True,
        ),
        (
            "P-2011",
            "count_may_not_be_real",
            "",
            20,
            "unit repaired: value and range were a thousand times too large",
            "",
            True,
        ),
    ]
    names = ("patient_id", "kind", "definition", "minute", "detail", "source_id", "ongoing")
    return [{**dict(zip(names, row, strict=True)), "minute": START + row[3] * DAY} for row in rows]


def _issues() -> Rows:
    rows = [
        ("harmonise", "raw_results", "not_of_interest", 5120, True),
        ("harmonise", "raw_results", "not_blood", 214, True),
        ("harmonise", "raw_results", "unknown_unit", 12, True),
        ("harmonise", "raw_results", "no_time", 3, True),
        ("harmonise", "raw_results", "component_unused", 96, True),
        ("read", "raw_results", "bad_line", 2, True),
        ("harmonise", "raw_results", "conflicting_results", 4, False),
        ("harmonise", "raw_drugs", "unknown_drug", 31, True),
    ]
    return [
        {
            "stage": stage,
            "source": "lab",
            "table": name,
            "row_id": "",
            "reason": reason,
            "detail": "",
            "n": n,
            "set_aside": aside,
        }
        for stage, name, reason, n, aside in rows
    ]


def facts(world: dict[str, Any] | None = None, **more: Any) -> Facts:
    """The hospital as `Facts`; `more` replaces fields."""
    world = world or hospital()
    counts = world["counts"]
    tables = {
        "patients": table("patients", world["patients"]),
        "counts": table("counts", counts),
        "limits": table("limits", limits_of(counts)),
        "grades": table("grades", grades_of(counts)),
        "episodes": table("episodes", episodes_of(counts)),
        "findings": table("findings", world["findings"]),
        "exposures": table("exposures", world["exposures"]),
        "conditions": table("conditions", world["conditions"]),
        "issues": table("issues", world["issues"]),
        "risks": pl.DataFrame(world["risks"], schema=_RISKS),
    }
    explained = {
        name: table(name, rows) for name, rows in report_causes.tables(tables["episodes"].to_dicts(), START).items()
    }
    rates = {"cause_rates": explained.pop("cause_rates")}
    parts: dict[str, Any] = {
        **tables,
        **explained,
        "forecasts": table("forecasts", []),
        "forecast_markers": table("forecast_markers", []),
        "forecast_scenarios": table("forecast_scenarios", []),
        "scenario_markers": table("scenario_markers", []),
        "knowledge": report_causes.KNOWLEDGE,
        "summary": {
            **summarise({**tables, **explained, **rates}, received(counts)),
            "bands": BANDS,
            "names": {},
            "groups": GROUPS,
        },
        "policy": {
            "standards": ["ctcae-5.0", "ctcae-6.0"],
            "gap_days": 90,
            "recovery": {"counts": 2, "days": 3},
        },
        "references": REFERENCES,
        "manifest": {
            "as_of": "2024-05-02",
            "versions": {"leukopenia": "0.1.0", "knowledge": "2024.1"},
            "inputs": [{"name": "lab.csv", "rows": 8123, "sha256": "9f2c…"}],
            "accounting": {"raw_results": 8123},
        },
    }
    return Facts(**{**parts, **more})


def received(counts: Rows) -> dict[str, Any]:
    """As many rows as counts and rows set aside, in the units of the world."""
    rows = len(counts) + 5120 + 214 + 12 + 3 + 96 + 2
    units = [{"unit": "10*9/L", "rows": 2000}, {"unit": "K/uL", "rows": 1200}, {"unit": "", "rows": 5320}]
    return {"rows": rows, "units": [*units, {"unit": "rare unit", "rows": 3}]}


GROUPS = {
    "drug:clozapine": "suspect",
    "drug:valproate": "suspect",
    "drug:docetaxel": "chemotherapy",
    "drug:doxorubicin": "chemotherapy",
    "drug:cyclophosphamide": "chemotherapy",
    "drug:filgrastim": "growth factor",
    "drug:pegfilgrastim": "growth factor",
    "drug:dexamethasone": "steroid",
}
REFERENCES = {
    "ctcae5": "Common Terminology Criteria for Adverse Events, version 5.0. National Cancer Institute, 2017.",
    "freifeld2011": "A made-up line of citation for fever and neutropenia, 2011.",
    "andersohn2007": "A made-up line of citation for agranulocytosis, 2007.",
    "icsh2015": "A made-up line of citation for films, 2015.",
}
