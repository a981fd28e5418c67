"""Verification: exact binomial chances, a formula worked by hand, colours, bad input."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import pytest

from leukopenia.errors import UsageError
from leukopenia.reference.fit.verify import permissible_uncertainty, traffic_light, verify

INSIDE = np.linspace(4.2, 9.8, 20)


def with_outside(below: int, above: int) -> np.ndarray:
    return np.r_[np.full(below, 3.0), INSIDE[: 20 - below - above], np.full(above, 12.0)]


@pytest.mark.parametrize(("below", "above", "accepted"), [(0, 0, True), (1, 1, True), (3, 0, False), (1, 2, False)])
def test_two_of_twenty_may_lie_outside(below: int, above: int, accepted: bool) -> None:
    found = verify(with_outside(below, above), 4, 10)
    assert (found.below, found.above, found.accepted) == (below, above, accepted)


def test_a_result_on_a_limit_lies_inside() -> None:
    assert verify([4.0] * 10 + [10.0] * 10, 4, 10).accepted
    assert verify([4.0] * 17 + [3.9] * 3, 4).below == 3


def test_chances_are_exact() -> None:
    found = verify(with_outside(2, 1), 4, 10)
    upto_two = [sum(comb(20, k) * p**k * (1 - p) ** (20 - k) for k in range(3)) for p in (0.05, 0.15)]
    assert found.chance == pytest.approx(1 - upto_two[0])
    assert [found.accepts[0.05], found.accepts[0.15]] == pytest.approx(upto_two)
    assert upto_two == pytest.approx([0.9245, 0.4049], abs=5e-5)
    # The ends of the exact interval are the shares that leave 5 % for so few, or so many.
    low, high = found.share_interval
    assert sum(comb(20, k) * high**k * (1 - high) ** (20 - k) for k in range(4)) == pytest.approx(0.05)
    assert sum(comb(20, k) * low**k * (1 - low) ** (20 - k) for k in range(3)) == pytest.approx(0.95)


def test_permissible_uncertainty_by_hand() -> None:
    # ln 5 / 3.92 = 0.410571; CV 42.853 %; f = sqrt(42.603) = 6.5271; g = 22.3607
    # 0.065271 (10.24 + 5.72434) = 1.04201 and 0.065271 (51.2 + 5.72434) = 3.71552
    assert permissible_uncertainty(10, 50) == pytest.approx((1.0420, 3.7155), abs=2e-4)


@pytest.mark.parametrize("unit", [0.001, 1000.0])
def test_a_unit_changes_no_light(unit: float) -> None:
    limits, targets = (3.6, 9.4), (4.0, 11.0)
    scaled = traffic_light((3.6 * unit, 9.4 * unit), (4 * unit, 11 * unit))
    assert [light.colour for light in scaled] == [light.colour for light in traffic_light(limits, targets)]
    assert permissible_uncertainty(4 * unit, 11 * unit)[0] == pytest.approx(unit * permissible_uncertainty(4, 11)[0])


def test_colours_of_white_cell_limits() -> None:
    # ln 2.75 / 3.92 = 0.258061; CV 26.242 %; f = 5.09822; g = 6.63325
    assert permissible_uncertainty(4.0, 11.0) == pytest.approx((0.2954, 0.6608), abs=1e-4)
    assert [light.colour for light in traffic_light((3.8, 10.5), (4.0, 11.0))] == ["green", "green"]
    assert [light.colour for light in traffic_light((3.55, 10.1), (4.0, 11.0))] == ["yellow", "yellow"]
    assert [light.colour for light in traffic_light((3.0, 8.8), (4.0, 11.0))] == ["red", "red"]


def test_the_numbers_stand_beside_the_colour() -> None:
    lower, _ = traffic_light((3.55, 10.1), (4.0, 11.0))
    assert lower.target_range[0] > lower.limit
    assert lower.limit_range[1] > lower.target_range[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"values": [5.0] * 19, "lower": 4, "upper": 10}, "19 persons are too few"),
        ({"values": [5.0] * 20, "lower": 10, "upper": 4}, "below the upper"),
        ({"values": ["a"] * 20, "lower": 4, "upper": 10}, "text"),
    ],
)
def test_bad_input_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        verify(**given)


@pytest.mark.parametrize("limits", [(0, 4), (4, 3), (-1, 3), (100, 100.4), (4, float("inf"))])
def test_limits_without_an_uncertainty_are_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(UsageError):
        permissible_uncertainty(*limits)
