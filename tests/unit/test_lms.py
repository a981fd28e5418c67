"""z-scores and percentiles from curves of L, M and S."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from leukopenia import knowledge
from leukopenia.errors import REASONS
from leukopenia.reference.lms import curves, standing, value_at

POINTS = ((1.0, 0.5, 4.0, 0.25), (10.0, 0.0, 3.0, 0.35), (80.0, -0.5, 2.0, 0.30))
MADE = curves(
    {"analyte": "wbc", "group": "all", "sex": sex, "age_years": age, "l": power, "m": m * factor, "s": s}
    for sex, factor in (("any", 1.0), ("male", 1.1))
    for age, power, m, s in POINTS
)


def test_the_median_stands_at_the_fiftieth_percentile_at_every_age_of_the_curve() -> None:
    found = standing([4.0, 3.0, 2.0], [1, 10, 80], "female", "wbc", MADE)
    assert np.allclose(found.z, 0) and np.allclose(found.percentile, 50)
    assert set(found.reason) == {""}


@pytest.mark.parametrize(
    ("value", "age", "z"),
    [
        (2.0, 1, ((2 / 4) ** 0.5 - 1) / (0.5 * 0.25)),
        (6.0, 10, math.log(6 / 3) / 0.35),
        (1.2, 80, ((1.2 / 2) ** -0.5 - 1) / (-0.5 * 0.30)),
    ],
)
def test_a_z_score_by_hand_and_its_percentile(value: float, age: float, z: float) -> None:
    found = standing(value, age, "female", "wbc", MADE)
    assert found.z == pytest.approx(z, abs=1e-12)
    assert found.percentile == pytest.approx(100 * NormalDist().cdf(z), abs=1e-9)


def test_between_two_ages_the_curve_is_straight_in_the_logarithm_of_age() -> None:
    assert value_at(0, math.sqrt(10), "female", "wbc", MADE) == pytest.approx(3.5)


def test_sexes_have_their_own_curve_and_others_that_of_both() -> None:
    found = value_at(0, 10, ["male", "female", "unknown"], "wbc", MADE)
    assert found.tolist() == pytest.approx([3.3, 3.0, 3.0])


def test_a_value_and_its_z_score_are_inverse() -> None:
    z = np.linspace(-3, 2, 41)
    for age in (1.0, 2.7, 10.0, 44.0, 80.0):
        values = value_at(z, age, "male", "wbc", MADE)
        assert np.all(np.diff(values) > 0)
        assert np.allclose(standing(values, age, "male", "wbc", MADE).z, z, atol=1e-9)


def test_what_is_not_known_is_nan_with_its_reason() -> None:
    values = [3.0, 3.0, 3.0, math.nan, -1.0]
    ages = [0.99, 80.01, math.nan, 10, 10]
    found = standing(values, ages, "female", "wbc", MADE)
    assert found.reason.tolist() == ["age_outside_curve"] * 2 + ["age_unknown"] + ["no_value"] * 2
    assert np.isnan(found.z).all() and np.isnan(found.percentile).all()
    assert standing(3.0, 10, "female", "neutrophils", MADE).reason == "no_curve"
    assert standing(3.0, 10, "female", "wbc", MADE, group="martian").reason == "no_curve"
    assert np.isnan(value_at(0, 90, "female", "wbc", MADE))
    assert {"age_outside_curve", "age_unknown", "no_value", "no_curve"} <= set(REASONS)


def test_a_count_of_nothing_is_the_lowest_there_is() -> None:
    found = standing(0.0, [1, 10, 80], "female", "wbc", MADE)
    assert found.z[0] == pytest.approx(-1 / (0.5 * 0.25)) and np.isneginf(found.z[1:]).all()
    assert found.percentile.tolist() == pytest.approx([0, 0, 0], abs=1e-10)


EMBEDDED = curves(knowledge.load()["lms"])


def test_the_embedded_curves_give_the_limits_they_are_shipped_with() -> None:
    for row in knowledge.load()["lms"]:
        for name, z in (("low", -1.959964), ("high", 1.959964)):
            given = value_at(z, float(row["age_years"]), row["sex"], row["analyte"], EMBEDDED, row["group"])
            assert given == pytest.approx(float(row[name]), rel=2e-3), row


def test_the_same_neutrophils_stand_differently_at_one_year_and_at_forty() -> None:
    found = standing(1.3, [1.5, 40], "male", "neutrophils", EMBEDDED)
    assert 4 < found.percentile[0] < 12 and found.percentile[1] < 1


def test_a_group_without_a_curve_for_both_sexes_needs_the_sex() -> None:
    assert standing(1.3, 40, "unknown", "neutrophils", EMBEDDED, "non_hispanic_black").reason == "no_curve"
    black = standing(1.3, 40, "male", "neutrophils", EMBEDDED, "non_hispanic_black").percentile
    assert 1 < black < 5
