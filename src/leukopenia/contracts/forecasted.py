"""Tables of the forecast room."""

from __future__ import annotations

from leukopenia.contracts.shape import (
    PATIENT,
    Table,
    number,
    text,
    whole,
)

BASES = ("card", "nadir prior", "causes", "none")
"""What a forecast rests on: a model of the drug, nadir days published for it, the recovery of causes, nothing."""

CARD, NADIR_PRIOR, CAUSES, NONE = BASES

_CURVE = "10^9/L"
_CHANCE = "probability"

FORECASTS = Table(
    "forecasts",
    "open episode x day",
    ("episode_id", "day"),
    (
        text("episode_id", "the episode"),
        PATIENT,
        text("analyte", "the line that is low"),
        whole("day", "days after the minute asked for (as_of): 0 to 42; only 0 where nothing is forecast", unit="d"),
        whole("minute", "as_of and so many days", unit="min"),
        text("basis", ", ".join(BASES)),
        text("status", "forecast, not enough counts yet, or why there is none"),
        number("median", "the count; null where the basis has no curve", unit=_CURVE),
        number("low", "its quantile 0.05", unit=_CURVE),
        number("high", "its quantile 0.95", unit=_CURVE),
        number("middle_low", "its quantile 0.25", unit=_CURVE),
        number("middle_high", "its quantile 0.75", unit=_CURVE),
        *(number(f"p_grade_{grade}", f"grade {grade} on that day", unit=_CHANCE) for grade in (1, 2, 3, 4)),
        number("p_recovered", "recovered by that day, as far as is known: the least it can be", unit=_CHANCE),
        number(
            "unknown_share",
            "probability of the causes whose recovery nobody has published: p_recovered can be greater by as much",
            unit=_CHANCE,
        ),
        text("rests_on", "cards, rows of nadir days, or causes with a published recovery, separated by ;"),
        text("source_id", "their sources, separated by ;"),
        text("outside", "what was given and the basis does not know, else empty"),
    ),
)

FORECAST_MARKERS = Table(
    "forecast_markers",
    "open episode forecast by a card or nadir days x marker",
    ("episode_id", "marker"),
    (
        text("episode_id", "the episode"),
        PATIENT,
        text("marker", "nadir (10^9/L), nadir_day, days_below_0.5, recovery_to_1.0, time_to_baseline, ..."),
        whole("day_0", "first dose of the last cycle, from which days count", unit="min"),
        number("low", "quantile 0.05 among the curves on which it happens", unit="d; nadir 10^9/L"),
        number("median", "their median", unit="d; nadir 10^9/L"),
        number("high", "quantile 0.95", unit="d; nadir 10^9/L"),
        number("probability", "that it happens", False, _CHANCE),
    ),
)

_SCENARIO = (
    text("scenario", "a way of giving the next cycle; never an order"),
    number("dose_percent", "of the doses of the last cycle", False, "%"),
    number("delay_days", "days after the day on which the next cycle would begin", False, "d"),
    whole("next_dose", "its first dose under the scenario", unit="min"),
)

FORECAST_SCENARIOS = Table(
    "forecast_scenarios",
    "open episode forecast by a card, of a person whose next cycle lies ahead x scenario x day",
    ("episode_id", "scenario", "day"),
    (
        text("episode_id", "the episode"),
        PATIENT,
        *_SCENARIO,
        whole("day", "days after next_dose: 0 to 40", unit="d"),
        whole("minute", "next_dose and so many days", unit="min"),
        number("median", "the count under the scenario, no dose after it", False, _CURVE),
        number("low", "its quantile 0.05", False, _CURVE),
        number("high", "its quantile 0.95", False, _CURVE),
        number("p_grade_4", "grade 4 on that day", False, _CHANCE),
    ),
)

SCENARIO_MARKERS = Table(
    "scenario_markers",
    "open episode forecast by a card, of a person whose next cycle lies ahead x scenario x marker",
    ("episode_id", "scenario", "marker"),
    (
        text("episode_id", "the episode"),
        PATIENT,
        *_SCENARIO,
        text("marker", "as in forecast_markers; days count from next_dose"),
        number("low", "quantile 0.05 among the curves on which it happens", unit="d; nadir 10^9/L"),
        number("median", "their median", unit="d; nadir 10^9/L"),
        number("high", "quantile 0.95", unit="d; nadir 10^9/L"),
        number("probability", "that it happens", False, _CHANCE),
    ),
)
