"""Hazards by time on a drug: numbers worked out by hand, and who is told of them."""

from __future__ import annotations

import math
from typing import Any

import pytest

import leukopenia as lk
from leukopenia import forecast_hazards, knowledge
from leukopenia.errors import KnowledgeError, UsageError
from leukopenia.forecast import incidence
from leukopenia.forecast_records import DAY, Person

ROWS = knowledge.load()["hazards"]
FIRST = 20_000 * DAY


def span(from_day: int, to_day: int, risk: str = "", rate: str = "", **cells: str) -> dict[str, str]:
    empty = {"risk_low": "", "risk_high": "", "note": "", "basis": "published", "source_id": "s", "below": "0.5"}
    named = {"study": "one", "drug": "drug:a;drug:b", "outcome": "agranulocytosis"}
    return named | empty | {"from_day": str(from_day), "to_day": str(to_day), "risk": risk, "rate": rate} | cells


def test_a_span_looked_at_as_a_whole_gives_its_risk() -> None:
    (found,) = incidence.hazard("drug:b", 0, 30, [span(0, 30, "0.1", risk_low="0.05", risk_high="0.2")])
    assert (found.probability, found.low, found.high) == pytest.approx((0.1, 0.05, 0.2))
    assert found.known_days == 30


def test_half_a_span_has_half_its_hazard() -> None:
    (found,) = incidence.hazard("drug:a", 15, 15, [span(0, 30, "0.19")])
    assert found.probability == pytest.approx(0.1), "0.81 is 0.9 squared"
    assert found.low is None


def test_spans_follow_on_one_another() -> None:
    (found,) = incidence.hazard("drug:a", 20, 20, [span(0, 30, "0.271"), span(30, 60, "0.488")])
    # Free of it in a third of each span: 0.729 ** (1/3) * 0.512 ** (1/3).
    assert found.probability == pytest.approx(1 - 0.9 * 0.8)


def test_a_rate_is_per_thousand_person_years() -> None:
    (found,) = incidence.hazard("drug:a", 0, 365.25, [span(0, 400, rate="100")])
    assert found.probability == pytest.approx(1 - math.exp(-0.1))


def test_beyond_the_last_span_nothing_is_said() -> None:
    rows = [span(0, 30, "0.19")]
    (late,) = incidence.hazard("drug:a", 30, 28, rows)
    assert (late.probability, late.known_days) == (None, 0)
    (edge,) = incidence.hazard("drug:a", 15, 28, rows)
    assert edge.known_days == 15 and edge.probability == pytest.approx(0.1)


def test_a_bound_that_one_span_lacks_is_not_known() -> None:
    rows = [span(0, 30, "0.1", risk_low="0.05", risk_high="0.2"), span(30, 60, "0.1", basis="computed")]
    (found,) = incidence.hazard("drug:a", 20, 20, rows)
    assert found.high is None and found.basis == "computed"


def test_studies_and_outcomes_in_conflict_are_all_told() -> None:
    found = lk.forecast.hazard("deferiprone", 10)
    assert [(one.study, one.outcome) for one in found] == [
        ("tricta2016", "agranulocytosis"),
        ("cohen2003", "agranulocytosis"),
        ("cohen2003", "neutropenia"),
    ]


def test_the_published_numbers_of_sulfasalazine_come_back() -> None:
    first, second = lk.forecast.hazard("sulfasalazine", 0, 30)[0], lk.forecast.hazard("sulfasalazine", 30, 60)[0]
    assert first.probability == pytest.approx(1 / 2400, rel=1e-5)
    assert second.probability == pytest.approx(1 / 700, rel=1e-5)


def test_the_hazard_of_clozapine_falls() -> None:
    chances = [lk.forecast.hazard("clozapine", day)[0].probability for day in (30, 200, 400)]
    assert None not in chances and chances[0] > 10 * (chances[1] or 0)
    assert lk.forecast.hazard("clozapine", 600)[0].probability is None


def test_the_spans_of_clozapine_add_to_the_published_cumulative_incidence() -> None:
    assert lk.forecast.hazard("clozapine", 0, 365)[0].probability == pytest.approx(0.0080, abs=5e-5)
    assert lk.forecast.hazard("clozapine", 0, 548)[0].probability == pytest.approx(0.0091, abs=5e-5)


def test_thionamides_are_told_by_three_studies_and_carbimazole_by_the_review_alone() -> None:
    studies = [one.study for one in lk.forecast.hazard("methimazole", 10)]
    assert studies == ["desc2023", "desc2023", "nakamura2013", "vicente2017"]
    (review,) = lk.forecast.hazard("carbimazole", 0, 84)
    assert (review.low, review.high) == pytest.approx((0.885 * 0.002, 0.885 * 0.005), rel=0.01)
    assert review.probability == pytest.approx(0.885 * math.sqrt(0.002 * 0.005), rel=0.01)


def test_a_name_that_no_study_speaks_of_has_no_hazard() -> None:
    assert lk.forecast.hazard("paracetamol", 10) == []


@pytest.mark.parametrize(("day", "horizon"), [(-1, 28), (3, 0), (math.nan, 28), (3, math.inf)])
def test_days_that_are_none_are_refused(day: float, horizon: float) -> None:
    with pytest.raises(UsageError, match="needs days"):
        lk.forecast.hazard("clozapine", day, horizon)


@pytest.mark.parametrize(
    "rows",
    [
        [span(1, 30, "0.1")],
        [span(0, 30, "0.1"), span(31, 60, "0.1")],
        [span(0, 0, "0.1")],
        [span(0, 30)],
        [span(0, 30, "0.1", "3")],
        [span(0, 30, "0.1", risk_low="0.2", risk_high="0.3")],
        [span(0, 30, "1.1")],
    ],
)
def test_rows_that_contradict_themselves_are_refused(rows: Any) -> None:
    with pytest.raises(KnowledgeError, match="hazards"):
        incidence.check(rows)


def test_the_rows_of_the_house_are_whole() -> None:
    incidence.check(ROWS)
    ids = {row["id"] for row in knowledge.load()["ingredients"]}
    assert {drug for row in ROWS for drug in row["drug"].split(";")} <= ids
    assert {row["basis"] for row in ROWS} == {"published", "computed"}


def record(first: float, last: float | None, drug: str = "clozapine", status: str = "administered") -> dict[str, Any]:
    end = None if last is None else FIRST + round(last * DAY)
    return {"ingredient": f"drug:{drug}", "start": FIRST + round(first * DAY), "end": end, "status": status}


def person(*records: dict[str, Any], day: float = 100, low: float | None = None) -> Person:
    counts = [] if low is None else [{"analyte": "neutrophils", "minute": FIRST + 50 * DAY, "value": low}]
    return Person("7", "male", [row | {"comparator": ""} for row in counts], records, FIRST + round(day * DAY))


def test_prescriptions_that_follow_on_one_another_are_one_course() -> None:
    found = forecast_hazards.begun(person(record(0, 28), record(30, 58), record(60, 120)))
    assert found == {"drug:clozapine": FIRST}


def test_after_a_long_pause_the_clock_begins_anew() -> None:
    found = forecast_hazards.begun(person(record(-200, -100), record(60, 120)))
    assert found == {"drug:clozapine": FIRST + 60 * DAY}


@pytest.mark.parametrize(
    "records",
    [
        (record(0, 60),),
        (record(0, 120, status="ordered"),),
        (record(0, 0),),
        (record(0, 120, drug="docetaxel"),),
        (),
    ],
)
def test_who_is_not_on_such_a_drug_is_told_nothing(records: tuple[dict[str, Any], ...]) -> None:
    assert forecast_hazards.told(person(*records)) == []


def test_what_has_happened_has_no_hazard() -> None:
    (row,) = forecast_hazards.told(person(record(0, 120), low=0.3))
    assert row["happened"]
    assert any("it has happened on this course" in line for line in forecast_hazards.lines([row]))
    (fine,) = forecast_hazards.told(person(record(0, 120), low=0.9))
    assert not fine["happened"]


def test_every_source_of_a_row_is_cited() -> None:
    rows = forecast_hazards.told(person(record(0, 120, drug="carbimazole"), day=10))
    assert "Vicente" in rows[0]["citation"] and "114 cases" in rows[0]["citation"]
