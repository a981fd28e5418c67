"""The next cycle in several ways: the same draws, fewer cells under more drug, and no number nobody knows."""

from __future__ import annotations

import numpy as np
import pytest

import leukopenia as lk
from leukopenia.errors import UsageError
from leukopenia.forecast import Counts, Regimen
from leukopenia.forecast.next_cycle import Course, Scenario, parse, planned

CARD = "netterberg2017-docetaxel"
TWO = Regimen([0.0, 21 * 24.0], 180.0, 1.0)
SEEN = Counts([0.0, 96.0, 192.0, 504.0, 600.0, 696.0], [5.1, 3.0, 0.7, 4.8, 3.2, 0.6])


def courses(*chosen: Scenario | str, counts: Counts = SEEN, regimen: Regimen = TWO, **more: float) -> list[Course]:
    return lk.forecast.scenarios(counts, regimen, CARD, chosen, draws=800, **more)


@pytest.fixture(scope="module")
def told() -> list[Course]:
    return courses("same", "dose=75%", "delay=7", "dose=100%", "g-csf", Scenario("none at all", share=0.0))


def test_words_become_scenarios() -> None:
    assert parse("dose=75%, delay=7d") == Scenario("", 0.75, 7)
    assert parse("same").name == "same dose"
    assert parse("dose=75,g-csf").name == "75 % of the dose, with G-CSF"
    assert Scenario("mine", 0.5).name == "mine"
    for wrong in ("dose", "75%", "delay=-1", "same;delay=7", ""):
        with pytest.raises(UsageError, match="not understood"):
            parse(wrong)
    with pytest.raises(UsageError, match="0 to 200 %"):
        parse("dose=300%")


def test_the_next_cycle_comes_as_the_last_one_did() -> None:
    days = Regimen([0, 24, 504, 528], [1.0, 2.0, 3.0, 4.0], 1.0)
    cycle = planned(days, 504.0)
    assert cycle.interval == 21 and cycle.first == 504 + 21 * 24
    assert cycle.offsets.tolist() == [0, 24] and cycle.amounts.tolist() == [3, 4]
    assert planned(days, 504.0, first=1100.0).first == 1100
    one = Regimen([0.0], 180.0, 1.0)
    assert planned(one, 0.0, interval=21.0).first == 504
    assert planned(one, 0.0, first=480.0).interval == 20
    with pytest.raises(UsageError, match="When is the next cycle"):
        planned(one, 0.0)
    with pytest.raises(UsageError, match="cannot begin before"):
        planned(days, 504.0, first=500.0)


def test_less_drug_means_a_higher_nadir_and_fewer_days(told: list[Course]) -> None:
    same, reduced = told[0].markers, told[1].markers
    assert reduced["nadir"].median > same["nadir"].median
    assert reduced["days_below_1.0"].median < same["days_below_1.0"].median
    assert reduced["time_to_grade_4"].probability < same["time_to_grade_4"].probability


def test_the_draws_are_the_same_under_every_scenario(told: list[Course]) -> None:
    same, again = told[0], told[3]
    assert np.array_equal(same.band, again.band) and same.markers == again.markers
    until = same.hours < same.dose
    assert np.allclose(same.band[:, until], told[1].band[:, until], rtol=1e-4)


def test_a_delay_moves_the_cycle_and_lets_the_count_return(told: list[Course]) -> None:
    same, later = told[0], told[2]
    assert later.dose - same.dose == 7 * 24
    assert later.at_dose[1.5] >= same.at_dose[1.5] > 0
    assert set(same.ready) == {1.0, 1.5}


def test_no_dose_no_fall(told: list[Course]) -> None:
    assert told[5].markers["time_to_grade_4"].probability < 0.01


def test_a_growth_factor_has_no_number_and_says_why(told: list[Course]) -> None:
    growth = told[4]
    assert growth.status == "no verified card models a growth factor with docetaxel"
    assert not growth.hours.size and not growth.markers and not growth.ready


def test_counts_that_do_not_fit_give_no_number() -> None:
    strange = Counts([0, 24, 48, 72, 96], [0.02, 60.0, 0.02, 60.0, 5.0])
    (one,) = courses("same", counts=strange, regimen=Regimen([0.0], 180.0, 1.0), interval=21)
    assert one.status == "the counts do not fit the model" and not one.markers


def test_the_next_cycle_agrees_with_a_forecast_that_knows_its_dose() -> None:
    """With the planned dose in the regimen `predict` fits and draws the same person."""
    (same,) = courses("same")
    three = Regimen([0.0, 504.0, 1008.0], 180.0, 1.0)
    found = lk.forecast.predict(SEEN, three, CARD, draws=800)
    assert found.markers["nadir"].median == pytest.approx(same.markers["nadir"].median, rel=0.02)
    assert found.markers["nadir_day"].median == pytest.approx(same.markers["nadir_day"].median, abs=0.1)
