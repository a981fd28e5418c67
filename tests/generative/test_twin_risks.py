"""Marked counts, findings and exposures -> red flags: the room against its twin."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st
from running import KNOWLEDGE, SPARK_EXAMPLES, Case, Room, Row, alike, compare_packed, explore, gather, load

from leukopenia.detect import risks
from leukopenia.engine import Engine, Frame
from plain import risks as plain

DAY = 1440
START = 10_000 * DAY
COUNT_TIMES = [START + shift for shift in (0, 0, 60, DAY, DAY + 1, 2 * DAY, 7 * DAY, 7 * DAY + 1)]
TEMPERATURE_TIMES = [START + shift for shift in (-1, 0, 59, 60, 61, 119, 120, DAY - 1, DAY, DAY + 1, 3 * DAY)]
SUSPECTS = [row["ingredient"] for row in KNOWLEDGE["agranulocytosis_drugs"]][:3]
ANALYTES = (
    "neutrophils",
    "neutrophils",
    "neutrophils",
    "wbc",
    "lymphocytes",
    "haemoglobin",
    "platelets",
    "monocytes",
)
VALUES = [one + step for one in (0.1, 0.2, 0.5, 1.0, 1.5) for step in (-0.000001, 0.0, 0.000001)] + [0.0, 4.0]
FILMS = (
    ("blasts", "blasts_pct"),
    ("myelocytes", "promyelocytes_pct", "nucleated_red_cells"),
    ("platelet_clumps",),
    ("blasts", "nucleated_red_cells", "platelet_clumps", "myelocytes"),
)
RISING = (37.999999, 38.0, 38.0, 38.0, 38.000001, 38.1)
TEMPERATURES = (36.6, 38.0, 38.3, 38.3, 38.300001, 39.0, *RISING)


@st.composite
def risk_cases(draw: Any) -> Case:
    """Two persons: counts round every limit, temperatures round every threshold, a film, and drugs."""
    counts: dict[tuple[Any, ...], Row] = {}
    mode = draw(st.sampled_from(["fever", "fever", "film", "lines", "drugs"]))
    for number in range(draw(st.integers(1, 8))):
        row = _count(draw, number, mode)
        counts[row["patient_id"], row["analyte"], row["minute"]] = row
    film, rising = draw(st.sampled_from(FILMS)), draw(st.booleans())
    make = partial(_temperature, draw, rising) if mode == "fever" else partial(_film, draw, film)
    findings = [make(number) for number in range(draw(st.integers(0, 6)))]
    exposures = [_exposure(draw, number) for number in range(draw(st.integers(0, 3)))]
    tables = {"counts": list(counts.values()), "findings": findings, "exposures": exposures}
    policy = draw(st.sampled_from([(), (("fever.window_minutes", "60"), ("risk.carry_days", "1"))]))
    return Case(tables, bool(policy), policy)


def _count(draw: Any, number: int, mode: str) -> Row:
    many = mode == "lines"
    return {
        "patient_id": draw(st.sampled_from([1, 1, 1, 2])),
        "analyte": draw(st.sampled_from(ANALYTES if many else ("neutrophils",))),
        "minute": draw(st.sampled_from(COUNT_TIMES[:4] if many else COUNT_TIMES)),
        "time_precision": "minute",
        "value": round(draw(st.sampled_from(VALUES)), 6),
        "comparator": draw(st.sampled_from(["", "", "", "<", "<=", ">="])),
        **{"low": None, "high": None, "derivation": "reported", "copies": 1},
        "conflict": draw(st.sampled_from([False, False, True])),
        "unit_repaired": draw(st.sampled_from([False, False, True])),
        **{"source": "a", "row_id": number},
        "is_low": draw(st.sampled_from([True, True, False, None])),
    }


def _temperature(draw: Any, rising: bool, number: int) -> Row:
    """Readings an hour and two apart; `rising`: none that is a fever by itself."""
    value = draw(st.sampled_from([None, *RISING, *RISING] if rising else [None, *TEMPERATURES]))
    times = (START, START + 60, START + 120) if rising and draw(st.booleans()) else TEMPERATURE_TIMES
    return _finding(draw, "temperature", draw(st.sampled_from(times)), value, None, number)


def _film(draw: Any, film: tuple[str, ...], number: int) -> Row:
    value = draw(st.sampled_from([None, None, 0.0, 1.0, 0.5]))
    word = draw(st.sampled_from([None, "Few", "NONE SEEN", "Not detected", "None.", "negative", "Present", "ABSENT"]))
    minute = draw(st.sampled_from(COUNT_TIMES[:4]))
    return _finding(draw, draw(st.sampled_from(film)), minute, value, word if value is None else None, number)


def _finding(draw: Any, finding: str, minute: int, value: float | None, text: str | None, number: int) -> Row:
    return {
        "patient_id": draw(st.sampled_from([1, 1, 1, 2])),
        "finding": finding,
        "minute": minute,
        "time_precision": "minute",
        "value": value,
        "text": text,
        "range": "",
        **{"source": "a", "row_id": number},
    }


def _exposure(draw: Any, number: int) -> Row:
    start = draw(st.sampled_from(COUNT_TIMES)) + draw(st.sampled_from([-30 * DAY, -1, 0, 1]))
    return {
        "patient_id": draw(st.sampled_from([1, 1, 2])),
        "ingredient": draw(st.sampled_from([*SUSPECTS, "drug:harmless"])),
        "start": start,
        "end": start + draw(st.sampled_from([0, 23 * DAY, 30 * DAY, 30 * DAY + 1])),
        **{"status": "administered", "route": "systemic", "dose": None, "dose_unit": "", "rows": 1},
        **{"source": "a", "row_id": number},
    }


def run(case: Case, engine: Engine) -> Mapping[str, Frame]:
    marked = load(case, engine, "counts", "counts", {"is_low": pl.Boolean})
    findings, exposures = (load(case, engine, name, name) for name in ("findings", "exposures"))
    doubtful = marked.filter(risks.col("conflict") | risks.col("unit_repaired"))
    return {"risks": risks.risks(marked, doubtful, findings, exposures, KNOWLEDGE, case.chosen)}


def twin(case: Case) -> Mapping[str, list[Row]]:
    tables = case.tables
    doubtful = [row for row in tables["counts"] if row["conflict"] or row["unit_repaired"]]
    found = plain.risks(
        tables["counts"], doubtful, tables["findings"], tables["exposures"], KNOWLEDGE, case.chosen.values
    )
    return {"risks": found}


ROOM = Room({"risks": ("patient_id", "kind", "definition", "detail")}, run, twin)


def test_risks_on_polars() -> None:
    explore(ROOM, risk_cases())


def test_risks_on_duckdb(duckdb: Engine) -> None:
    compare_packed(ROOM, gather(risk_cases()), duckdb)


@pytest.mark.spark
def test_risks_on_spark(spark: Engine) -> None:
    compare_packed(ROOM, alike(gather(risk_cases(), SPARK_EXAMPLES)), spark)
