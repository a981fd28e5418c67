"""The tables that pass through doors: grain, key, columns, units and null rules. Shapes only, no behaviour.

Times are whole minutes since 1970-01-01T00:00 on the clock of the place of care (`minute`); where the source gives
a UTC offset it is kept beside the time (`utc_offset`, minutes). A date is not midnight: `time_precision` says how
much of the time was known. `patient_id` and `row_id` keep the type of the source: Int64 (OMOP, MEDS) or String.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leukopenia.contracts.detected import EPISODES, GRADES, INFECTION_RISK, RISK_SCORES, RISKS
from leukopenia.contracts.explained import CAUSALITY, CAUSE_EVIDENCE, CAUSE_RATES, CAUSES, DISAGREEMENTS, NEXT_STEPS
from leukopenia.contracts.forecasted import FORECAST_MARKERS, FORECAST_SCENARIOS, FORECASTS, SCENARIO_MARKERS
from leukopenia.contracts.harmonised import (
    CONDITIONS,
    COUNTS,
    ESTIMATED,
    EXPOSURES,
    FINDINGS,
    ISSUES,
    LIMITS,
    MENTIONS,
    OBSERVATION_PERIODS,
    PATIENTS,
    PERSONAL_LIMITS,
)
from leukopenia.contracts.monitored import (
    ALERTS,
    COURSES,
    COVERAGE,
    DUE_COUNTS,
    MONITOR_TABLES,
    NOT_ASSESSABLE,
)
from leukopenia.contracts.raw import (
    RAW,
    RAW_CONDITIONS,
    RAW_DRUGS,
    RAW_ENCOUNTERS,
    RAW_PERIODS,
    RAW_PERSONS,
    RAW_PROCEDURES,
    RAW_RESULTS,
)
from leukopenia.contracts.shape import Column, Table

TIME_PRECISIONS = ("minute", "day", "month", "year", "none")

COMPARATORS = ("", "<", "<=", ">=", ">")
"""How a result is censored; the empty string is a measured value."""

TABLES = {
    table.name: table
    for table in (
        *RAW,
        PATIENTS,
        OBSERVATION_PERIODS,
        COUNTS,
        FINDINGS,
        EXPOSURES,
        CONDITIONS,
        LIMITS,
        PERSONAL_LIMITS,
        GRADES,
        EPISODES,
        RISKS,
        INFECTION_RISK,
        RISK_SCORES,
        CAUSES,
        CAUSE_EVIDENCE,
        CAUSE_RATES,
        DISAGREEMENTS,
        CAUSALITY,
        NEXT_STEPS,
        FORECASTS,
        FORECAST_MARKERS,
        FORECAST_SCENARIOS,
        SCENARIO_MARKERS,
        *MONITOR_TABLES,
        ISSUES,
    )
}

Rows = Sequence[Mapping[str, str]]
"""Rows of a knowledge table, every cell as text."""

Knowledge = Mapping[str, Rows]
"""Knowledge tables by name, as the loader gives them to the rooms."""

__all__ = [
    "ALERTS",
    "CAUSALITY",
    "CAUSES",
    "CAUSE_EVIDENCE",
    "CAUSE_RATES",
    "COMPARATORS",
    "CONDITIONS",
    "COUNTS",
    "COURSES",
    "COVERAGE",
    "DISAGREEMENTS",
    "DUE_COUNTS",
    "EPISODES",
    "ESTIMATED",
    "EXPOSURES",
    "FINDINGS",
    "FORECASTS",
    "FORECAST_MARKERS",
    "FORECAST_SCENARIOS",
    "GRADES",
    "INFECTION_RISK",
    "ISSUES",
    "LIMITS",
    "MENTIONS",
    "MONITOR_TABLES",
    "NEXT_STEPS",
    "NOT_ASSESSABLE",
    "OBSERVATION_PERIODS",
    "PATIENTS",
    "PERSONAL_LIMITS",
    "RAW",
    "RAW_CONDITIONS",
    "RAW_DRUGS",
    "RAW_ENCOUNTERS",
    "RAW_PERIODS",
    "RAW_PERSONS",
    "RAW_PROCEDURES",
    "RAW_RESULTS",
    "RISKS",
    "RISK_SCORES",
    "SCENARIO_MARKERS",
    "TABLES",
    "TIME_PRECISIONS",
    "Column",
    "Knowledge",
    "Rows",
    "Table",
]
