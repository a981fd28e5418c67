"""Personal limits: worked figures, simulated people, what shrinkage must do, bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from leukopenia.errors import UsageError
from leukopenia.reference.fit.personal import counts_needed, log_sd, personal_limits, reference_change

WBC = (3.99, 12.21)
"""Published limits of adults, 10^9/L."""


def test_a_fall_from_seven_to_four_point_two_is_seen() -> None:
    """Both are normal for the population."""
    found = personal_limits([7.1, 6.8, 7.0, 7.2, 6.9], 15.7, population=WBC)
    assert WBC[0] < 4.2 < found.lower
    assert found.setpoint == pytest.approx(7.0, abs=0.02)


@pytest.mark.parametrize(
    ("within", "fall", "rise"), [(15.7, 0.6489, 1.5411), (26.0, 0.4922, 2.0318), (13.2, 0.6947, 1.4395)]
)
def test_reference_change_is_a_ratio(within: float, fall: float, rise: float) -> None:
    # exp(-+ 1.95996 sqrt(2) sqrt(ln(1 + CV^2))), worked by hand
    assert reference_change(within) == pytest.approx((fall, rise), abs=1e-4)


def test_one_sided_changes_are_smaller() -> None:
    low, high = reference_change(15.7, sides=1)
    assert reference_change(15.7)[0] < low < 1 < high < reference_change(15.7)[1]
    assert low * high == pytest.approx(1)
    assert reference_change(15.7, confidence=0.90) == pytest.approx((low, high))


def test_pairs_of_a_stable_person_lie_between() -> None:
    rng = np.random.default_rng(1)
    s = log_sd(15.7, 3.0)
    ratio = np.exp(s * rng.standard_normal(40_000) - s * rng.standard_normal(40_000))
    low, high = reference_change(15.7, 3.0)
    assert np.mean((ratio < low) | (ratio > high)) == pytest.approx(0.05, abs=0.005)
    assert np.mean(ratio < reference_change(15.7, 3.0, sides=1)[0]) == pytest.approx(0.05, abs=0.005)


def people(rng: np.random.Generator, n: int, counts: int, within: float) -> np.ndarray:
    """Counts of stable people, whose set points differ so that all together have the limits WBC."""
    total, spread = math.log(WBC[1] / WBC[0]) / (2 * stats.norm.ppf(0.975)), log_sd(within)
    points = math.log(WBC[0] * WBC[1]) / 2 + math.sqrt(total**2 - spread**2) * rng.standard_normal((n, 1))
    return np.exp(points + spread * rng.standard_normal((n, counts)))


@pytest.mark.parametrize("earlier", [0, 1, 3, 10])
@pytest.mark.parametrize("within", [10.0, 20.0])
def test_the_next_count_lies_below_as_often_as_it_says(earlier: int, within: float) -> None:
    made = people(np.random.default_rng(earlier), 4000, earlier + 1, within)
    below = [row[-1] < personal_limits(row[:-1], within, population=WBC).lower for row in made]
    assert np.mean(below) == pytest.approx(0.025, abs=0.0075)


def test_without_a_population_it_is_a_prediction_interval() -> None:
    made = people(np.random.default_rng(9), 4000, 6, 15.0)
    outside = [not (lim := personal_limits(row[:-1], 15.0)).lower <= row[-1] <= lim.upper for row in made]
    assert np.mean(outside) == pytest.approx(0.05, abs=0.01)


def test_a_fall_of_two_fifths_is_found_more_often_than_by_the_population() -> None:
    made = people(np.random.default_rng(3), 2000, 6, 15.7)
    fallen = made[:, -1] * 0.6
    personal = np.mean(
        [count < personal_limits(row[:-1], 15.7, population=WBC).lower for row, count in zip(made, fallen, strict=True)]
    )
    assert personal > np.mean(fallen < WBC[0]) + 0.2


def test_no_count_gives_the_population_and_many_the_person() -> None:
    none = personal_limits([], 15.7, population=WBC)
    assert none.limits == pytest.approx(WBC)
    assert none.own == 0
    many = personal_limits([5.0] * 400, 15.7, population=WBC)
    assert many.own > 0.99
    assert many.limits == pytest.approx(personal_limits([5.0] * 400, 15.7).limits, rel=2e-3)


def test_the_set_point_lies_between_own_and_population() -> None:
    middle = math.sqrt(WBC[0] * WBC[1])
    points = [personal_limits([5.0] * n, 15.7, population=WBC).setpoint for n in (1, 2, 5, 20)]
    assert points == sorted(points, reverse=True)
    assert all(5.0 < point < middle for point in points)


@pytest.mark.parametrize("unit", [0.001, 1000.0])
def test_a_unit_changes_nothing(unit: float) -> None:
    one = personal_limits([5.0, 6.0], 15.7, 3.0, WBC)
    other = personal_limits([5.0 * unit, 6.0 * unit], 15.7, 3.0, (WBC[0] * unit, WBC[1] * unit))
    assert other.limits == pytest.approx(one.limits * unit)


def test_counts_needed_put_the_mean_near_the_set_point() -> None:
    n = counts_needed(15.7, near=10.0)
    assert n == 10
    means = (1 + 0.157 * np.random.default_rng(2).standard_normal((20_000, n))).mean(axis=1)
    assert np.mean(np.abs(means - 1) < 0.10) >= 0.95
    assert counts_needed(26.0) == 26
    assert counts_needed(1.0) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"counts": [], "within": 15.7}, "neither counts nor a population"),
        ({"counts": [0.0], "within": 15.7}, "takes logarithms"),
        ({"counts": [5.0, None], "within": 15.7}, "missing"),
        ({"counts": [5.0], "within": -1}, "percentage of 0 or more"),
        ({"counts": [5.0], "within": 15.7, "population": (0.0, 5.0)}, "above 0"),
        ({"counts": [5.0], "within": 40.0, "population": (4.0, 6.0)}, "no wider than the variation of one person"),
    ],
)
def test_bad_input_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        personal_limits(**given)
    with pytest.raises(UsageError, match="sides"):
        reference_change(15.7, sides=3)
    with pytest.raises(UsageError, match="near"):
        counts_needed(15.7, near=0)
