"""Which doses and counts of a person a forecast takes, and in which unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leukopenia import forecast_answer, regimen_file
from leukopenia.errors import UsageError
from leukopenia.forecast_case import Asked, case
from leukopenia.forecast_records import DAY, Person, doses, run_start
from leukopenia.policy import Policy
from leukopenia.regimen_file import Dose, RegimenFile, amount_in

POLICY = Policy.of({})
FIRST = 20_000 * DAY
EVERY_FIELD = {"status": "administered", "dose": 180.0, "dose_unit": "mg", "rows": 1}


def given(day: float, drug: str = "docetaxel", minutes: int = 60, **more: Any) -> dict[str, Any]:
    start = FIRST + round(day * DAY)
    return {"ingredient": f"drug:{drug}", "start": start, "end": start + minutes, **EVERY_FIELD, **more}


def count(day: float, value: float, comparator: str = "", analyte: str = "neutrophils") -> dict[str, Any]:
    place = {"analyte": analyte, "minute": FIRST + round(day * DAY), "time_precision": "minute"}
    return {**place, "value": value, "comparator": comparator}


def person(exposures: list[dict[str, Any]], counts: list[dict[str, Any]], day: float = 10, sex: str = "male") -> Person:
    return Person("7", sex, counts, exposures, FIRST + round(day * DAY))


@pytest.mark.parametrize(
    ("days", "gap", "start"),
    [([0, 1, 2, 21, 22, 23], 6, 21), ([0, 7, 14], 6, 14), ([0, 7, 14], 7, 0), ([5], 6, 5), ([0, 43, 85], 42, 43)],
)
def test_the_start_of_the_last_run(days: list[int], gap: float, start: int) -> None:
    assert run_start([day * DAY for day in days], gap) == start * DAY


@pytest.mark.parametrize(
    ("unit", "dose", "amount"),
    [
        ("mg", Dose(0, 180.0, "mg", 1), 180),
        ("mg", Dose(0, 0.18, "g", 1), 180),
        ("mg", Dose(0, 100.0, "MG/M2", 1), 180),
        ("mg", Dose(0, 180.0, "milligrams", 1), 180),
        ("ug", Dose(0, 1.0, "mg", 1), 1000),
        ("umol", Dose(0, 500.0, "mg", 1), 1000),
        ("umol", Dose(0, 500.0, "\u00b5mol", 1), 500),
    ],
)
def test_doses_are_brought_into_the_unit_of_the_card(unit: str, dose: Dose, amount: float) -> None:
    assert amount_in(unit, dose, molar_mass=500.0, body_surface=1.8) == pytest.approx(amount)


def test_a_card_without_a_molar_mass_takes_no_milligrams() -> None:
    with pytest.raises(UsageError, match="molar mass is not known"):
        amount_in("umol", Dose(0, 500.0, "mg", 1), None, None)


def test_what_stands_in_two_rows_or_not_at_all_is_not_known() -> None:
    whole, twice, long, ordered = doses(
        [given(0), given(1, rows=2), given(2, minutes=2 * DAY), given(3, dose=None, dose_unit="", minutes=0)]
    )
    assert whole == Dose(FIRST, 180.0, "mg", 1.0)
    assert twice.lacks == ("amount", "unit", "infusion time")
    assert long.lacks == ("infusion time",)
    assert ordered.lacks == ("amount", "unit", "infusion time")
    assert doses([given(0, status="dispensed"), given(0, status="ordered")]) == ()


def test_a_course_ends_where_a_long_pause_begins() -> None:
    found = case(person([given(-100), given(-21), given(0)], [count(0, 5.0)]), Asked(), POLICY)
    assert [dose.minute for dose in found.doses] == [FIRST - 21 * DAY, FIRST]
    assert found.covariates == {"female": 0.0, "prior_therapy": 1.0}, "the dose before the pause is earlier therapy"


def test_weekly_doses_are_cycles_of_one_course() -> None:
    weekly = [given(day, "paclitaxel") for day in (-14, -7, 0)]
    found = case(person(weekly, [count(-10, 6, analyte="wbc"), count(-5, 5, analyte="wbc")]), Asked(), POLICY)
    assert (found.day_0, len(found.doses), found.analyte) == (FIRST, 3, "wbc")
    assert [one.value for one in found.counts] == [5]


def test_counts_are_censored_on_the_side_that_they_say() -> None:
    counts = [count(-1, 5.0), count(4, 0.5, "<"), count(5, 0.4, "<="), count(6, 9.0, ">"), count(7, 0.0)]
    found = case(person([given(0)], counts), Asked(), POLICY)
    assert [(one.value, one.below) for one in found.counts] == [(5, False), (0.5, True), (0.4, True), (0.1, True)]
    assert "1 counts are only known to be above a number, and were left out" in found.missing


def test_orders_alone_are_no_treatment() -> None:
    with pytest.raises(UsageError, match="Orders do not count"):
        case(person([given(0, status="ordered")], []), Asked(), POLICY)


def test_drugs_handed_over_are_no_dose() -> None:
    with pytest.raises(UsageError, match="no dose on record as administered"):
        case(person([given(0, status="dispensed")], []), Asked(), POLICY)


def test_the_last_cycle_says_which_drug_is_asked_about() -> None:
    found = case(person([given(-30), given(0, "gemcitabine")], [count(5, 2.0)]), Asked(), POLICY)
    assert found.drugs == ("gemcitabine",)
    assert found.prior, "no card of docetaxel"


def test_two_drugs_with_cards_in_one_cycle_are_not_mixed() -> None:
    both = person([given(0), given(1, "paclitaxel")], [count(5, 2.0)])
    with pytest.raises(UsageError, match="no card knows both"):
        case(both, Asked(), POLICY)
    chosen = case(both, Asked(card="netterberg2017-docetaxel"), POLICY)
    assert any("the fall may be deeper: paclitaxel" in note for note in chosen.outside)


def test_a_forecast_that_lies_in_the_past_says_so() -> None:
    found = case(person([given(0)], [count(0, 5.0), count(50, 4.0)], day=60), Asked(), POLICY)
    assert [one.value for one in found.counts] == [5.0], "counts after the forecast ends are none of this cycle"
    assert any("ask for an earlier day with --as-of" in note for note in found.missing)


def test_a_later_dose_in_the_file_is_not_seen_on_an_earlier_day() -> None:
    file = RegimenFile("docetaxel", (Dose(FIRST, 180.0, "mg", 1.0), Dose(FIRST + 21 * DAY, 180.0, "mg", 1.0)))
    early = Policy.of({"as_of": "2024-10-14"})
    assert len(case(person([], [count(0, 5)]), Asked(file), early).doses) == 1
    assert len(case(person([], [count(0, 5)]), Asked(file), POLICY).doses) == 2


def test_white_cells_are_told_without_levels_of_neutrophils() -> None:
    found = case(person([given(0, "paclitaxel", minutes=180)], [count(0, 6.0, analyte="wbc")]), Asked(), POLICY)
    told = forecast_answer.answer(found)
    said = "\n".join(forecast_answer.lines(told))
    assert told["grade_below"] == {"2": 3.0, "3": 2.0, "4": 1.0}
    assert "white cells under paclitaxel" in said and "Below 1.0 at some time" in said and ">=" not in said
    assert "albumin-bound" in said


def test_what_is_swallowed_needs_no_infusion_time() -> None:
    doses = tuple(Dose(FIRST + day * DAY, 125.0, "mg", None) for day in range(21))
    found = case(person([], [count(0, 3.0), count(14, 1.2)]), Asked(RegimenFile("palbociclib", doses)), POLICY)
    assert (found.day_0, {dose.hours for dose in found.doses}) == (FIRST, {0.0})
    assert forecast_answer.answer(found)["status"] == "forecast"


def test_eribulin_is_not_its_mesilate() -> None:
    found = case(person([given(0, "eribulin", minutes=5, dose=2.1)], [count(0, 3.0)]), Asked(), POLICY)
    assert any("mesilate" in note for note in found.missing)


def test_times_in_a_file_are_clock_times(tmp_path: Path) -> None:
    rows = ("2026-01-05 09:00", "2026-01-05T09:00:00+02:00", '"2026-01-05T09:00"')
    lines = "\n".join(f"  - {{time: {text}, amount: 1, unit: mg}}" for text in rows)
    path = tmp_path / "own.yaml"
    path.write_text(f"doses:\n{lines}\n", encoding="utf-8")
    minutes = [dose.minute % DAY for dose in regimen_file.read(path).doses]
    assert minutes == [540, 540, 540]


@pytest.mark.parametrize(
    ("last", "danger"),
    [
        (count(8, 0.4), True),
        (count(8, 0.5), False),
        (count(8, 0.5, "<"), True),
        (count(8, 0.0), True),
        (count(8, 0.9, "<"), False),
    ],
)
def test_a_dangerous_count_comes_before_any_forecast(last: dict[str, Any], danger: bool) -> None:
    found = case(person([given(0, "cytarabine")], [count(4, 0.2), last]), Asked(), POLICY)
    first = forecast_answer.lines(forecast_answer.answer(found))[0]
    assert first.startswith("The last neutrophils are below 0.5. Fever is not looked for here") is danger


def test_a_class_prior_takes_the_days_of_treatment_of_each_cycle_as_one_whole() -> None:
    three_days = [given(day, drug="etoposide") for day in (-21, -20, -19, 0, 1, 2)]
    again = [given(2.1, drug="etoposide", dose=None)]
    found = case(person([*three_days, *again], [count(0, 5.0)]), Asked(), POLICY)
    assert found.prior and [card.name for card in found.cards] == ["etoposide-label"]
    assert [(dose.minute - FIRST) // DAY for dose in found.doses] == [-21, -20, -19, 0, 1, 2]
    assert [dose.amount for dose in found.doses] == pytest.approx([1 / 3] * 6)
    assert found.day_0 == FIRST


def test_weekly_treatment_is_a_cycle_each_week() -> None:
    found = case(person([given(day, drug="gemcitabine") for day in (0, 7)], [], day=8), Asked(), POLICY)
    assert [dose.amount for dose in found.doses] == [1.0, 1.0]
    assert found.day_0 == FIRST + 7 * DAY


def test_there_is_no_class_prior_of_white_cells() -> None:
    found = case(person([given(0, drug="etoposide")], []), Asked(analyte="wbc"), POLICY)
    assert not found.cards and not found.prior
