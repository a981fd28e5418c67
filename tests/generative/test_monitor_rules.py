"""Every rule that comes with the product, from its own rows: values at and beside every limit, days at every step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from leukopenia import knowledge
from leukopenia.monitor_scenarios import Scenario, raised

Row = dict[str, Any]
Rule = Mapping[str, str]

DAY = 1440
TINY = 1e-6
"""Counts are rounded to this."""

KNOWN = knowledge.load()
RULES = {row["rule_id"]: row for row in KNOWN["monitoring_rules"]}
NORMAL = {"wbc": 8.0, "neutrophils": 5.0, "lymphocytes": 2.0, "haemoglobin": 140.0, "platelets": 250.0}
ORDER = ["stop_for_good", "stop", "admit", "interrupt", "seek_advice", "reduce_dose", "delay_cycle"]
ORDER += ["repeat", "count_more_often", "do_not_start", "continue"]


def first_day(rule: Rule) -> int:
    """A start on which the rule is in force, and for two years after where it can be."""
    if rule["valid_from"]:
        start = date.fromisoformat(rule["valid_from"]) + timedelta(days=1)
    elif rule["valid_to"]:
        start = date.fromisoformat(rule["valid_to"]) - timedelta(days=1200)
    else:
        start = date(2024, 1, 1)
    return (start - date(1970, 1, 1)).days


def scenario(
    rule: Rule, title: str, to: int, counts: Sequence[tuple[int, Mapping[str, float]]], as_of: int
) -> Scenario:
    start = first_day(rule)
    patient = {
        "duffy_null": rule["population"] == "duffy_null",
        "age_days": 5 if rule["population"] == "neonate" else 15000,
    }
    rows = [{"day": str(day), **{line: repr(value) for line, value in values.items()}} for day, values in counts]
    treatment = [{"drug": rule["drugs"].split(";")[0], "from": "0", "to": str(to)}]
    return Scenario(title, rule["rule_id"], "", treatment, rows, patient, start, (start + as_of + 1) * DAY - 1, [])


def rows_of(table: str, rule: str) -> list[Rule]:
    return [row for row in KNOWN[f"monitoring_{table}"] if row["rule_id"] == rule]


def bounds(row: Rule) -> tuple[float, float]:
    return float(row["at_or_above"] or 0.0), float(row["below"] or math.inf)


def values_at_limits(rule: str, purpose: str) -> set[tuple[str, float]]:
    """Each limit of a line, and the values just below and just above."""
    limits = {
        (row["analyte"], float(row[column]))
        for row in rows_of("thresholds", rule)
        if row["purpose"] == purpose
        for column in ("at_or_above", "below")
        if row[column]
    }
    return {(line, round(limit + step, 6)) for line, limit in limits for step in (-TINY, 0.0, TINY)}


def expected_band(rule: str, purpose: str, line: str, value: float, actions: Sequence[str] = ORDER) -> Rule | None:
    bands = [
        row
        for row in rows_of("thresholds", rule)
        if row["purpose"] == purpose and row["analyte"] == line and not conditional(row) and row["action"] in actions
    ]
    holding = [row for row in bands if bounds(row)[0] <= value < bounds(row)[1]]
    assert len(holding) <= 1, (rule, purpose, line, value)
    return holding[0] if holding else None


def conditional(row: Rule) -> bool:
    return any(row[name] for name in ("fall_by", "lasting_days", "below_share"))


def holding_conditions(rule: str, line: str, value: float) -> list[Rule]:
    """The bands with a condition that hold for the second of two equal counts after a normal one."""
    rows = [row for row in rows_of("thresholds", rule) if row["analyte"] == line and conditional(row)]
    here = [row for row in rows if bounds(row)[0] <= value < bounds(row)[1]]
    return [
        row
        for row in here
        if (row["fall_by"] and round(NORMAL[line] - value, 6) >= float(row["fall_by"]))
        or (row["below_share"] and value < NORMAL[line] * float(row["below_share"]))
        or row["lasting_days"] == "0"
    ]


def asks(band: Rule) -> bool:
    return band["action"] != "continue" or any(band[name] for name in ("next_interval_days", "confirm_hours"))


@pytest.fixture(scope="module")
def threshold_alerts() -> dict[str, list[Row]]:
    """Every value at and beside every limit, as the one count on day 7 of a treatment with normal counts before."""
    made = [
        scenario(RULES[rule], f"{rule} {line} {value}", 7, [(-1, NORMAL), (6, {line: value}), (7, {line: value})], 7)
        for rule in RULES
        for line, value in sorted(values_at_limits(rule, "continue"))
    ]
    return raised(made, KNOWN)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_value_lies_in_the_band_that_its_row_says(rule: str, threshold_alerts: dict[str, list[Row]]) -> None:
    for line, value in sorted(values_at_limits(rule, "continue")):
        alerts = sorted(threshold_alerts[f"{rule} {line} {value}"], key=lambda row: row["minute"])
        found = [row for row in alerts if row["kind"] == "threshold_crossed"]
        band = expected_band(rule, "continue", line, value)
        holding = [row for row in [band, *holding_conditions(rule, line, value)] if row is not None and asks(row)]
        first = [row for row in holding if not row["lasting_days"]]
        # One alert for a band, though two counts lie in it; a second one where the second count confirms the first.
        wanted = [min((row["action"] for row in hits), key=ORDER.index) for hits in (first, holding) if hits]
        assert [(row["analyte"], row["action"]) for row in found] == [
            (line, action) for action in dict.fromkeys(wanted)
        ]
        assert all(row["value"] == value for row in found) and all(row["open"] for row in found[-1:])
        assert all(row["source_id"] and row["statement"] for row in found)


LASTING = [row for row in KNOWN["monitoring_thresholds"] if row["lasting_days"]]


def lasting_counts(row: Rule, days: int, between: float | None) -> list[tuple[int, Mapping[str, float]]]:
    value = bounds(row)[1] - TINY
    middle = [] if between is None else [(1 + days // 2, {row["analyte"]: between})]
    return [(-1, NORMAL), (1, {row["analyte"]: value}), *middle, (1 + days, {row["analyte"]: value})]


@pytest.mark.parametrize("row", LASTING, ids=lambda row: f"{row['rule_id']} {row['analyte']} {row['lasting_days']}")
def test_a_limit_that_must_last_holds_from_its_day_on(row: Rule) -> None:
    days = max(2, math.ceil(float(row["lasting_days"])))
    cases = {
        "so long": (days, None, True),
        "shorter": (days - 1, None, float(row["lasting_days"]) <= days - 1),
        "with a count at the limit in between": (days, bounds(row)[1], False),
        "with a lower count in between": (days, bounds(row)[0] + TINY, True),
    }
    made = {
        title: scenario(RULES[row["rule_id"]], title, 1 + number, lasting_counts(row, number, between), 1 + number)
        for title, (number, between, _) in cases.items()
    }
    found = raised(list(made.values()), KNOWN)
    for title, (_, _, holds) in cases.items():
        alerts = [alert["action"] for alert in found[title] if alert["statement"] == row["statement"]]
        assert bool(alerts) is holds, title


@pytest.mark.parametrize(
    "row",
    [row for row in KNOWN["monitoring_thresholds"] if row["below_share"]],
    ids=lambda row: f"{row['rule_id']} {row['analyte']}",
)
@pytest.mark.parametrize(("step", "holds"), [(-TINY, True), (0.0, False), (TINY, False)])
def test_a_share_of_the_own_baseline(row: Rule, step: float, holds: bool) -> None:
    value = round(NORMAL[row["analyte"]] * float(row["below_share"]) + step, 6)
    counts = [(-1, NORMAL), (7, {row["analyte"]: value})]
    found = raised([scenario(RULES[row["rule_id"]], "t", 7, counts, 7)], KNOWN)["t"]
    assert [alert["action"] for alert in found if alert["kind"] == "threshold_crossed"] == [row["action"]] * holds


@pytest.fixture(scope="module")
def start_alerts() -> dict[str, list[Row]]:
    made = [
        scenario(RULES[rule], f"{rule} {line} {value}", 1, [(-1, NORMAL | {line: value})], 1)
        for rule in RULES
        for line, value in sorted(values_at_limits(rule, "start"))
    ]
    return raised(made, KNOWN)


@pytest.mark.parametrize("rule", sorted(rule for rule in RULES if values_at_limits(rule, "start")))
def test_a_start_is_barred_where_its_row_says(rule: str, start_alerts: dict[str, list[Row]]) -> None:
    for line, value in sorted(values_at_limits(rule, "start")):
        found = [row for row in start_alerts[f"{rule} {line} {value}"] if row["kind"] == "contraindicated_start"]
        values = NORMAL | {line: value}
        barred = {
            (other, band["action"])
            for other in values
            if (band := expected_band(rule, "start", other, values[other], ("do_not_start", "delay_cycle")))
        }
        assert {(row["analyte"], row["action"]) for row in found} == barred, (line, value)


def phases(rule: str) -> list[Rule]:
    return [row for row in rows_of("phases", rule) if row["interval_days"] and not row["only_if"]]


def taken(rule: str, before: float) -> list[tuple[int, Mapping[str, float]]]:
    """A normal count every third day before a day: more than any rule asks for."""
    return [(-1, NORMAL), *[(day, NORMAL) for day in range(2, math.ceil(before), 3)]]


def edges(rule: str) -> list[tuple[str, int, float]]:
    """The first interval of each phase: the last count lies at its beginning; when does silence become an alert?"""
    return [
        (f"{rule} from {row['from_day']}", int(row["from_day"]), float(row["interval_days"])) for row in phases(rule)
    ]


def grace(interval: float) -> int:
    return max(1, math.floor(interval * 0.25))


@pytest.fixture(scope="module")
def phase_alerts() -> dict[str, list[Row]]:
    """Counts up to the first day of a phase, then none, until the day before it is due, due, in grace, and overdue."""
    made = []
    for rule in RULES:
        for title, begin, interval in edges(rule):
            due = begin + math.floor(interval)
            counts = [*taken(rule, begin), (begin, NORMAL)]
            for name, day in steps(due, interval).items():
                made.append(scenario(RULES[rule], f"{title} {name}", day + 5, counts, day))
    return raised(made, KNOWN)


def steps(due: int, interval: float) -> dict[str, int]:
    latest = due + grace(interval)
    return {"before": due - 1, "on the day": due, "in grace": latest, "late": latest + 1}


@pytest.mark.parametrize("rule", sorted(rule for rule in RULES if edges(rule)))
def test_silence_at_the_first_day_of_a_phase(rule: str, phase_alerts: dict[str, list[Row]]) -> None:
    start = first_day(RULES[rule])
    for title, begin, interval in edges(rule):
        due = begin + math.floor(interval)
        found = {
            name: [
                (row["kind"], row["minute"] // DAY - start)
                for row in phase_alerts[f"{title} {name}"]
                if row["kind"] in ("due", "overdue")
            ]
            for name in steps(due, interval)
        }
        assert found["before"] == [], title
        assert found["on the day"] == [("due", due)], title
        assert found["in grace"] == [("due", due)], title
        assert ("overdue", due) in found["late"], title


@pytest.fixture(scope="module")
def kept() -> dict[str, list[Row]]:
    """Everybody who is counted every third day for two years."""
    made = [scenario(RULES[rule], rule, 800, taken(rule, 730), 729) for rule in RULES]
    return raised(made, KNOWN)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_whoever_is_counted_often_enough_is_left_in_peace(rule: str, kept: dict[str, list[Row]]) -> None:
    assert kept[rule] == []
