"""What is half known is never an all-clear; whose rules apply; what the worklist says."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from leukopenia import contracts, knowledge, monitoring
from leukopenia.cli_monitor import lines
from leukopenia.engine import open_engine
from leukopenia.errors import UsageError
from leukopenia.harmonising import polars_type
from leukopenia.policy import Policy

Row = dict[str, Any]

DAY = 1440
TODAY = 20_000
"""A day of October 2024."""

TREATED = {"ingredient": "drug:clozapine", "start": -60, "end": 0, "status": "administered", "dose": 100.0}
LONG_AGO = [(line, -500, 5.0) for line in ("wbc", "neutrophils")]


def frame(contract: contracts.Table, rows: list[Row]) -> pl.DataFrame:
    schema = {name: polars_type(contract, name, pl.Int64) for name in contract.names}
    blank: Row = {"String": "", "Boolean": False}
    return pl.DataFrame(
        [{part.name: row.get(part.name, blank.get(part.type)) for part in contract.columns} for row in rows],
        schema=schema,
    )


def minute(day: int | None) -> int | None:
    return None if day is None else (TODAY + day) * DAY


def monitored(
    treatment: list[Row],
    counts: list[tuple[Any, ...]] = (),  # type: ignore[assignment]
    patient: Row | None = None,
    periods: list[Row] | None = None,
    today: int = 0,
    jurisdiction: str = "uk",
    others: bool = True,
    **policy: str,
) -> dict[str, list[Row]]:
    """The tables for one patient; days count from today. A count: line, day, value and changes."""
    exposures = [
        {"patient_id": 1, **row, "start": minute(row["start"]), "end": minute(row["end"])} for row in treatment
    ]
    rows = [
        {
            **{"patient_id": 1, "analyte": line, "minute": minute(day), "value": value, "time_precision": "day"},
            **{"derivation": "reported"},
            **(changes[0] if changes else {}),
        }
        for line, day, value, *changes in counts
    ]
    if others:
        rows += [
            {"patient_id": 2, "analyte": line, "minute": minute(day), "value": value, "time_precision": "day"}
            for line, day, value in LONG_AGO
        ]
    spans = [{"patient_id": 1, "start": minute(row["start"]), "end": minute(row.get("end"))} for row in periods or []]
    engine = open_engine("polars")
    changes = {"monitor.jurisdiction": jurisdiction} | {f"monitor.{name}": value for name, value in policy.items()}
    made = monitoring.monitor(
        engine.load(frame(contracts.EXPOSURES, exposures), "exposures"),
        engine.load(frame(contracts.COUNTS, rows), "counts"),
        engine.load(frame(contracts.PATIENTS, [{"patient_id": 1, **(patient or {})}]), "patients"),
        engine.load(frame(contracts.OBSERVATION_PERIODS, spans), "periods"),
        engine,
        knowledge.load(),
        Policy.of(changes),
        (TODAY + today + 1) * DAY - 1,
    )
    names = ("courses", "due_counts", "alerts", "not_assessable", "coverage")
    tables = {name: engine.collect(getattr(made, name)).to_dicts() for name in names}
    return {name: [row for row in rows if row["patient_id"] == 1] for name, rows in tables.items()}


def reasons(made: dict[str, list[Row]]) -> set[str]:
    return {row["reason"] for row in made["not_assessable"]}


def states(made: dict[str, list[Row]], kind: str = "scheduled") -> set[str]:
    return {row["state"] for row in made["due_counts"] if row["kind"] == kind}


def both(day: int, **changes: Any) -> list[tuple[Any, ...]]:
    return [("wbc", day, 6.0, changes), ("neutrophils", day, 4.0, changes)]


# Half-known input


def test_a_start_that_is_not_on_record_cannot_be_placed() -> None:
    made = monitored([TREATED | {"start": None}])
    assert [(row["course"], row["reason"], row["open"]) for row in made["not_assessable"]] == [
        (None, "start_not_seen", True)
    ]
    assert made["alerts"] == [] and made["courses"] == []


@pytest.mark.parametrize(("begins", "seen"), [(-91, True), (-90, False), (-60, False), (-30, False)])
def test_records_that_begin_with_the_treatment_do_not_show_its_start(begins: int, seen: bool) -> None:
    made = monitored([TREATED], periods=[{"start": begins, "end": 10}])
    assert made["courses"][0]["start_known"] is seen
    assert ("start_not_seen" in reasons(made)) is not seen
    assert ("unknown" in states(made)) is not seen
    assert ("overdue" in {row["kind"] for row in made["alerts"]}) is seen
    assert (made["coverage"][0]["days_covered"] is None) is not seen


@pytest.mark.parametrize(("first", "seen"), [(-61, True), (-60, False), (-59, False)])
def test_without_periods_the_own_records_begin_on_an_earlier_day(first: int, seen: bool) -> None:
    """Whenever the source begins: dates may be shifted person by person."""
    made = monitored([TREATED], both(first))
    assert made["courses"][0]["start_known"] is seen
    assert ("start_not_seen" in reasons(made)) is not seen


def test_another_drug_on_an_earlier_day_is_a_record_as_well() -> None:
    other = TREATED | {"ingredient": "drug:metronidazole", "start": -70, "end": -66}
    assert "start_not_seen" not in reasons(monitored([TREATED, other])) - {"no_rule_found"}


def test_orders_alone_are_no_treatment() -> None:
    made = monitored([TREATED | {"status": "ordered"}], both(-3))
    assert reasons(made) == {"only_orders"} and made["courses"][0]["reason"] == "only_orders"
    assert states(made) == {"unknown"} and made["alerts"] == []
    assert made["coverage"][0]["n_due"] == 0 and made["coverage"][0]["days_covered"] is None


@pytest.mark.parametrize("status", ["dispensed", "stated", "ordered"])
def test_a_treatment_without_an_end_may_go_on(status: str) -> None:
    made = monitored([TREATED | {"start": -200, "end": -200, "status": status}])
    assert "end_unknown" in {row["reason"] for row in made["not_assessable"] if row["open"]}
    assert "fulfilled" not in states(made, "after_stop")
    assert not made["courses"][0]["ongoing_at"] and not made["courses"][0]["end_known"]


def test_an_administration_of_one_moment_has_an_end() -> None:
    made = monitored([TREATED | {"start": -200, "end": -200}])
    assert "end_unknown" not in reasons(made)


def test_an_unknown_dose_hinders_no_rule() -> None:
    made = monitored([TREATED | {"dose": None}], both(-61))
    assert made["courses"][0]["reason"] == "no_dose" and reasons(made) == set()
    assert "overdue" in {row["kind"] for row in made["alerts"]}


def test_a_source_without_such_counts_raises_no_false_alarm() -> None:
    made = monitored([TREATED], [("wbc", -3, 6.0)], others=False, periods=[{"start": -400, "end": 10}])
    assert reasons(made) == {"no_counts_at_all_in_source"}
    assert states(made) == {"unknown"} and made["alerts"] == []


def test_a_rule_without_interval_is_no_all_clear() -> None:
    made = monitored([TREATED], both(-61), jurisdiction="ca")
    assert reasons(made) == {"no_fixed_interval"} and made["coverage"][0]["days_covered"] is None


def test_a_drug_without_a_rule_is_named() -> None:
    made = monitored([TREATED | {"ingredient": "drug:lamotrigine"}])
    assert {(row["rule_id"], row["reason"], row["open"]) for row in made["not_assessable"]} == {
        ("", "no_rule_found", True)
    }


@pytest.mark.parametrize(
    ("changes", "fulfils"),
    [
        ({}, True),
        ({"time_precision": "month"}, False),
        ({"derivation": "bounded_by_wbc", "comparator": "<="}, False),
        ({"derivation": "fraction_of_wbc"}, True),
    ],
)
def test_only_a_count_with_a_day_and_a_differential_fulfils(changes: Row, fulfils: bool) -> None:
    made = monitored([TREATED], [("wbc", -4, 6.0), ("neutrophils", -4, 4.0, changes)])
    due = [row for row in made["due_counts"] if row["kind"] == "scheduled" and row["fulfilled"] is not None]
    assert len(due) == fulfils


@pytest.mark.parametrize(("value", "crossed"), [(1.49, True), (1.5, True), (1.51, False), (6.0, False)])
def test_a_bound_counts_where_it_settles_the_band(value: float, crossed: bool) -> None:
    made = monitored([TREATED], [("neutrophils", -4, value, {"comparator": "<"})])
    assert ("threshold_crossed" in {row["kind"] for row in made["alerts"]}) is crossed


# Whose rules, and when


def test_without_a_jurisdiction_they_are_listed() -> None:
    with pytest.raises(UsageError, match=r"Choose --jurisdiction: .*uk, us"):
        monitored([TREATED], jurisdiction="")


def test_a_rule_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="rule:none"):
        monitored([TREATED], rules="rule:none")


def test_rules_of_no_country_hold_only_where_the_country_has_none() -> None:
    here = {row["rule_id"] for row in monitored([TREATED])["coverage"]}
    assert here == {"rule:clozapine-uk"}
    vancomycin = monitored([TREATED | {"ingredient": "drug:vancomycin"}])
    assert {row["rule_id"] for row in vancomycin["coverage"]} == {"rule:vancomycin-any"}


def test_a_chosen_rule_stands_alone_for_its_drug() -> None:
    made = monitored([TREATED], rules="rule:clozapine-ca")
    assert {row["rule_id"] for row in made["coverage"]} == {"rule:clozapine-ca"}


def test_sources_that_contradict_one_another_both_hold_until_the_policy_chooses() -> None:
    """Neutrophils of 1.8: below the 2.0 of an older UK source, not below the 1.6 of another."""
    treated = [TREATED | {"ingredient": "drug:azathioprine"}]
    counts = [*both(-61), ("wbc", -5, 6.0), ("neutrophils", -5, 1.8)]

    def crossed(**policy: str) -> set[str]:
        alerts = monitored(treated, counts, **policy)["alerts"]
        return {row["rule_id"] for row in alerts if row["kind"] == "threshold_crossed"}

    assert crossed() == {"rule:azathioprine-uk-dtb"}
    assert crossed(rules="rule:azathioprine-uk-dtb") == {"rule:azathioprine-uk-dtb"}
    assert crossed(rules="rule:azathioprine-uk") == set()


def test_without_a_baseline_a_fall_from_it_is_not_assessed() -> None:
    zidovudine = [TREATED | {"ingredient": "drug:zidovudine"}]
    counts = [("wbc", -50, 4.0), ("neutrophils", -50, 1.9)]
    assert "baseline_unknown" in reasons(monitored(zidovudine, counts, jurisdiction="us"))
    before = [*both(-61), ("haemoglobin", -61, 140.0)]
    seen = monitored(zidovudine, [*before, *counts], jurisdiction="us")
    assert reasons(seen) == set() and "threshold_crossed" in {row["kind"] for row in seen["alerts"]}


def test_whoever_has_no_rule_of_his_own_has_the_general_one() -> None:
    duffy = {"duffy_null": True}
    assert {row["rule_id"] for row in monitored([TREATED], patient=duffy)["coverage"]} == {"rule:clozapine-uk"}
    made = monitored([TREATED], patient=duffy, jurisdiction="us")
    assert {row["rule_id"] for row in made["coverage"]} == {"rule:clozapine-us-ben"}


def test_a_course_that_runs_through_a_change_of_rule_changes_with_it() -> None:
    september = 339 - 8
    """8 September 2025, from TODAY."""
    made = monitored(
        [TREATED | {"start": september - 100, "end": september + 60}], today=september + 60, jurisdiction="eu"
    )
    due = {(row["rule_id"], row["due"] // DAY - TODAY) for row in made["due_counts"] if row["kind"] == "scheduled"}
    old = {day for rule, day in due if rule == "rule:clozapine-eu-before2025"}
    new = {day for rule, day in due if rule == "rule:clozapine-eu"}
    assert old and new and max(old) < min(new)


def test_the_dead_are_left_in_peace() -> None:
    made = monitored([TREATED], patient={"death": minute(-10)})
    assert not any(row["open"] for row in made["alerts"])
    assert not made["courses"][0]["ongoing_at"]


def test_what_comes_later_is_not_seen() -> None:
    counts = [*both(-61), *both(-53), ("neutrophils", -20, 0.2)]
    then, now = monitored([TREATED], counts, today=-30), monitored([TREATED], counts)
    assert {row["kind"] for row in then["alerts"]} == {"overdue"}
    assert {"threshold_crossed", "continued_in_spite_of_stop"} < {row["kind"] for row in now["alerts"]}
    assert max(row["minute"] for row in then["alerts"]) <= (TODAY - 29) * DAY


# What is told


def test_the_worklist_begins_with_the_most_urgent() -> None:
    rows = [
        {"patient_id": number, "ingredient": "drug:clozapine", "start": minute(-60), "end": minute(0)}
        | {"status": "administered", "dose": 1.0}
        for number in (1, 2, 3)
    ]
    counts = [
        {"patient_id": number, "analyte": line, "minute": minute(day), "value": value, "time_precision": "day"}
        for number, day, value in ((1, -30, 5.0), (2, -2, 0.4), *((3, day, 5.0) for day in range(-61, 1, 3)))
        for line in ("wbc", "neutrophils")
    ]
    old = [
        {"patient_id": number, "analyte": "wbc", "minute": minute(-500), "value": 5.0, "time_precision": "day"}
        for number in (1, 2, 3)
    ]
    engine = open_engine("polars")
    made = monitoring.monitor(
        engine.load(frame(contracts.EXPOSURES, rows), "exposures"),
        engine.load(frame(contracts.COUNTS, counts + old), "counts"),
        engine.load(frame(contracts.PATIENTS, []), "patients"),
        engine.load(frame(contracts.OBSERVATION_PERIODS, []), "periods"),
        engine,
        knowledge.load(),
        Policy.of({"monitor.jurisdiction": "uk"}),
        (TODAY + 1) * DAY - 1,
    )
    found = monitoring.worklist(made, engine)
    assert [(row["patient_id"], row["urgency"]) for row in found] == [(2, 1), (1, 3)]
    assert monitoring.worklist(made, engine, patient="1")[0]["patient_id"] == 1
    assert monitoring.worklist(made, engine, drug="drug:metronidazole") == []
    following = {row["patient_id"]: row["state"] for row in monitoring.schedule(made, engine)}
    assert following == {1: "overdue", 2: "overdue", 3: "open"}
    rates = monitoring.by_drug(made, engine)
    assert [(row["persons"], row["courses"], row["assessed"]) for row in rates] == [(3, 3, 3)]
    assert 0 < rates[0]["covered"] < 1 and rates[0]["alerts_per_100_months"] > 0


@pytest.mark.parametrize(
    ("later", "covered"),
    [(None, 19), (-2, 22), (-3, 23), (-4, 23)],
)
def test_days_beyond_a_count_that_a_limit_asks_for_are_not_covered(later: int | None, covered: int) -> None:
    """Amber on day -8 asks for a count by day -4; the next of the schedule is still in time today."""
    counts = [*both(-23), *both(-15), ("wbc", -8, 6.0), ("neutrophils", -8, 1.8)]
    if later is not None:
        counts += [("wbc", later, 6.0), ("neutrophils", later, 1.8)]
    made = monitored([TREATED | {"start": -22}], counts)
    assert made["coverage"][0]["days_on_treatment"] == 23
    assert made["coverage"][0]["days_covered"] == covered


def test_coverage_is_told_by_source() -> None:
    rows = [
        {"patient_id": number, "ingredient": "drug:clozapine", "start": minute(-60), "end": minute(0), "source": source}
        | {"status": "administered", "dose": 1.0}
        for number, source in ((1, "north"), (2, "north"), (3, "south"))
    ]
    counts = [
        {"patient_id": number, "analyte": line, "minute": minute(day), "value": 5.0, "time_precision": "day"}
        for number, days in ((1, range(-61, 1, 3)), (2, [-61]), (3, range(-61, 1, 3)), (9, [-500]))
        for day in days
        for line in ("wbc", "neutrophils")
    ]
    engine = open_engine("polars")
    made = monitoring.monitor(
        engine.load(frame(contracts.EXPOSURES, rows), "exposures"),
        engine.load(frame(contracts.COUNTS, counts), "counts"),
        engine.load(frame(contracts.PATIENTS, []), "patients"),
        engine.load(frame(contracts.OBSERVATION_PERIODS, []), "periods"),
        engine,
        knowledge.load(),
        Policy.of({"monitor.jurisdiction": "uk"}),
        (TODAY + 1) * DAY - 1,
    )
    north, south = monitoring.by_drug(made, engine)
    assert (north["source"], north["persons"], south["source"], south["persons"]) == ("north", 2, "south", 1)
    assert north["covered"] < south["covered"] == 1.0
    assert north["alerts_per_100_months"] > south["alerts_per_100_months"] == 0
    told = {"as_of": "2024-10-04", "courses": 3, "going_on": 3, "worklist": []}
    told |= {"not_assessable": [], "not_assessable_before": []}
    assert [line.split(" [")[0] for line in lines(told | {"coverage": [north, south]})[3:]] == [
        "   clozapine in north",
        "   clozapine in south",
    ]
    assert lines(told | {"coverage": [north]})[3].startswith("   clozapine [rule:clozapine-uk]: 2 persons")


def test_the_list_for_a_person_says_why_what_and_where_from() -> None:
    alert = {
        **{"rule_id": "rule:clozapine-uk", "drug": "drug:clozapine", "kind": "threshold_crossed", "course": 1},
        **{"minute": "2024-10-01", "days_overdue": None, "analyte": "neutrophils", "value": 0.4, "urgency": 1},
        **{"action": "stop_for_good", "statement": "Stop.", "source_id": "nhs"},
    }
    told = {
        "as_of": "2024-10-02",
        "courses": 2,
        "going_on": 1,
        "worklist": [{"patient_id": 7, "urgency": 1, "alerts": [alert] * 5}],
        "not_assessable": [
            {"patient_id": 8, "drug": "drug:clozapine", "rule_id": "rule:clozapine-uk", "reason": "only_orders"}
        ],
        "not_assessable_before": [],
        "coverage": [],
    }
    made = lines(told)
    assert made[0] == "2024-10-02: persons who need attention: 1"
    assert made[1].startswith("1  7  clozapine: limit crossed neutrophils 0.4 (2024-10-01) - Stop; ")
    assert "; 2 more  [rule:clozapine-uk (nhs)]" in made[1]
    assert made[3:] == [
        "Cannot be assessed, wholly or in part: 1",
        "   8  clozapine: only orders, so nobody knows whether it was taken  [rule:clozapine-uk]",
    ]
