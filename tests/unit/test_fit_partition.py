"""Partitioning: against Welch's statistic, normal theory, and the calcium of students by sex."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from leukopenia.errors import UsageError
from leukopenia.reference.fit.partition import harris_boyd, lahti

CALCIUM = [round(8.8 + 0.1 * step, 1) for step in range(19)]
WOMEN = [1, 2, 1, 3, 11, 11, 8, 16, 16, 26, 8, 7, 3, 2, 3, 2, 0, 0, 0]
MEN = [0, 0, 0, 2, 1, 8, 6, 11, 12, 13, 16, 14, 7, 10, 11, 7, 1, 0, 1]
"""Calcium of 120 women and 120 men, students (CLSI EP28-A3c, table 4)."""


def cells(mean: float, sd: float) -> tuple[np.ndarray, np.ndarray]:
    """A million persons of a normal distribution, in cells of a hundredth."""
    edges = np.linspace(2, 18, 1601)
    counts = np.round(1e6 * np.diff(stats.norm.cdf(edges, mean, sd)))
    return (edges[:-1] + edges[1:]) / 2, counts


def test_z_is_that_of_welch() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.normal(6, 1, 90), rng.normal(6.5, 1.3, 150)
    found = harris_boyd(first, second)
    assert found.z == pytest.approx(abs(stats.ttest_ind(first, second, equal_var=False).statistic))
    assert found.sd_ratio == pytest.approx(second.std(ddof=1) / first.std(ddof=1))


def test_calcium_of_women_and_men() -> None:
    found = harris_boyd(CALCIUM, CALCIUM, WOMEN, MEN)
    raw = stats.ttest_ind(np.repeat(CALCIUM, WOMEN), np.repeat(CALCIUM, MEN), equal_var=False).statistic
    assert found.z == pytest.approx(abs(raw))
    assert found.critical == pytest.approx({"three": 3.0, "five": 5.0})
    shares = lahti({"women": CALCIUM, "men": CALCIUM}, {"women": WOMEN, "men": MEN})
    assert shares.limits.tolist() == [9.1, 10.3]
    assert shares.outside["women"] == pytest.approx([4 / 120, 0])
    assert shares.outside["men"] == pytest.approx([0, 2 / 120])
    assert shares.verdict == "judge"


def test_the_two_quoted_critical_values_can_disagree() -> None:
    found = harris_boyd([4, 5, 6, 7, 8] * 24, [4.7, 5.7, 6.7, 7.7, 8.7] * 24)
    assert 3 < found.z < 5
    assert found.parts == {"three": True, "five": False}


def test_unequal_spread_parts_groups_of_one_mean() -> None:
    found = harris_boyd([4, 5, 6, 7, 8] * 24, [2, 4, 6, 8, 10] * 24)
    assert found.z < 1e-9
    assert all(found.parts.values())


def test_a_common_scale_makes_a_ratio_a_shift() -> None:
    rng = np.random.default_rng(6)
    first = rng.lognormal(1.0, 0.4, 400)
    raw, scaled = harris_boyd(first, first * 2), harris_boyd(first, first * 2, power=0.0)
    assert raw.sd_ratio == pytest.approx(2)
    assert scaled.sd_ratio == pytest.approx(1)
    assert harris_boyd(first, first * 2, power=None).power == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize(("shift", "verdict"), [(0.2, "combine"), (0.35, "judge"), (0.8, "split")])
def test_shares_are_those_of_normal_theory(shift: float, verdict: str) -> None:
    first, second = cells(9 - shift / 2, 1), cells(9 + shift / 2, 1)
    found = lahti({"a": first[0], "b": second[0]}, {"a": first[1], "b": second[1]})
    limit = optimize.brentq(
        lambda x: (stats.norm.cdf(x, 9 - shift / 2) + stats.norm.cdf(x, 9 + shift / 2)) / 2 - 0.025, 2, 9
    )
    assert found.limits[0] == pytest.approx(limit, abs=0.011)
    assert found.outside["a"][0] == pytest.approx(stats.norm.cdf(limit, 9 - shift / 2), abs=0.001)
    assert found.verdict == verdict


def test_limits_of_somebody_else_can_be_asked() -> None:
    found = lahti({"a": np.arange(1.0, 101), "b": np.arange(1.0, 101)}, limits=[5, 99], percentiles=[2.5, 97.5])
    assert found.outside["a"] == pytest.approx([0.04, 0.01])
    assert found.verdict == "judge"


def test_bad_input_is_refused() -> None:
    with pytest.raises(UsageError, match="two groups"):
        lahti({"a": [1.0, 2.0]})
    with pytest.raises(UsageError, match="differ in number"):
        lahti({"a": [1.0, 2.0], "b": [1.0, 2.0]}, limits=[1.0])
    with pytest.raises(UsageError, match="two different results"):
        harris_boyd([1.0, 1.0], [1.0, 2.0])
