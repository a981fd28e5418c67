"""What a day is likely to bring, worked out by hand from four curves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from leukopenia.forecast.daily import daily
from leukopenia.forecast.prediction import Curves, Levels

TIMES = np.arange(0.0, 11.0) * 24.0
COURSES = np.array(
    [
        [5, 4, 3, 2, 1.2, 0.8, 0.4, 0.8, 1.2, 1.9, 3],
        [5, 4, 3, 2, 1.4, 1.2, 0.9, 1.2, 1.9, 2.5, 4],
        [5, 4, 3, 2, 1.6, 1.4, 1.3, 1.4, 1.6, 1.7, 1.75],
        [5, 4, 3, 2, 0.6, 0.4, 0.3, 0.2, 0.1, 0.2, 0.4],
    ]
)
WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])
LEVELS = Levels({2: 1.5, 3: 1.0, 4: 0.5}, (1.0, 1.5))
ASKED = TIMES[6:]


@pytest.fixture
def curves() -> Curves:
    return Curves(np.log(COURSES), WEIGHTS, np.zeros(4), np.zeros(4, np.int64))


def test_grades_are_the_weights_of_the_curves_that_have_them(curves: Curves) -> None:
    found = daily(curves, TIMES, 0.0, ASKED, LEVELS, 1.8)
    assert found.grades[4].tolist() == pytest.approx([0.5, 0.1, 0.1, 0.1, 0.1])
    assert found.grades[3].tolist() == pytest.approx([0.3, 0.4, 0, 0, 0])
    assert found.grades[2].tolist() == pytest.approx([0.2, 0.5, 0.4, 0, 0])
    assert found.grades[1].tolist() == pytest.approx([0, 0, 0.2, 0.2, 0.2])


def test_recovered_is_at_the_limit_again_after_the_nadir(curves: Curves) -> None:
    found = daily(curves, TIMES, 0.0, ASKED, LEVELS, 1.8)
    assert found.recovered.tolist() == pytest.approx([0, 0, 0.3, 0.7, 0.7])


def test_a_high_count_before_the_nadir_is_no_recovery(curves: Curves) -> None:
    found = daily(curves, TIMES, 0.0, TIMES[3:], LEVELS, 1.8)
    assert found.recovered[0] == 0, "2.0 on day 3 lies above the limit, and the count still falls"


def test_without_a_limit_neither_grade_1_nor_recovery_is_known(curves: Curves) -> None:
    found = daily(curves, TIMES, 0.0, ASKED, LEVELS, None)
    assert 1 not in found.grades and np.isnan(found.recovered).all()


def test_the_band_is_that_of_the_weighted_curves(curves: Curves) -> None:
    found = daily(curves, TIMES, 0.0, ASKED, LEVELS, 1.8)
    assert found.band[2, 0] == pytest.approx(0.4), "half of the weight is reached at the curve of 0.4"
    assert found.band[0, 0] == pytest.approx(0.3) and found.band[4, 0] == pytest.approx(1.3)


def test_a_curve_that_could_not_be_solved_is_left_out(curves: Curves) -> None:
    logs = curves.logs.copy()
    logs[3, 5] = math.nan
    found = daily(Curves(logs, WEIGHTS, curves.base, curves.card), TIMES, 0.0, ASKED, LEVELS, 1.8)
    assert found.grades[4][0] == pytest.approx(0.4 / 0.9)
