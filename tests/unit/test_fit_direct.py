"""Direct limits against published examples, exact binomials, simulation, and bad input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from leukopenia.errors import UsageError
from leukopenia.reference.fit import ranks
from leukopenia.reference.fit.direct import DirectLimits, direct, nonparametric, parametric, robust
from leukopenia.reference.fit.power import best_power, power_interval, restore, transform
from leukopenia.reference.fit.sample import sample

CALCIUM_20 = [8.9, 9.2] + [9.4] * 2 + [9.5] * 3 + [9.6] * 4 + [9.7] * 5 + [9.8] + [9.9] * 2 + [10.2]
"""Calcium of 20 persons: a published example of the robust method (tests of mcradds)."""

CALCIUM = {
    8.8: 1, 8.9: 2, 9.0: 1, 9.1: 5, 9.2: 12, 9.3: 19, 9.4: 14, 9.5: 27, 9.6: 28, 9.7: 39,
    9.8: 24, 9.9: 21, 10.0: 10, 10.1: 12, 10.2: 14, 10.3: 9, 10.4: 1, 10.6: 1,
}  # fmt: skip
"""Calcium of 240 medical students, mg/dL (CLSI EP28-A3c, table 4)."""

VALUES, COUNTS = list(CALCIUM), list(CALCIUM.values())


# Published examples


def test_robust_limits_of_twenty_calcium_results() -> None:
    found = robust(CALCIUM_20, symmetric=True)
    assert [found.lower, found.upper] == pytest.approx([9.049545, 10.199396], abs=2e-6)


def test_robust_limits_of_the_calcium_of_240_students() -> None:
    found = robust(VALUES, COUNTS, symmetric=True)
    assert [found.lower, found.upper] == pytest.approx([9.038892, 10.315612], abs=2e-6)
    # Another random generator drew the published bootstrap.
    assert found.lower_interval == pytest.approx((8.980622, 9.097574), abs=0.01)
    assert found.upper_interval == pytest.approx((10.25782, 10.37414), abs=0.01)


def test_nonparametric_limits_of_the_calcium_of_240_students() -> None:
    found = nonparametric(VALUES, COUNTS)
    assert (found.lower, found.upper) == (9.1, 10.3)
    assert (found.lower_interval, found.upper_interval) == ((8.9, 9.2), (10.3, 10.4))


def test_parametric_limits_of_the_calcium_of_240_students() -> None:
    found = parametric(VALUES, COUNTS, power=1)
    assert [found.lower, found.upper] == pytest.approx([9.051286, 10.317047], abs=1e-6)
    assert found.lower_interval == pytest.approx((8.992613, 9.109959), abs=1e-6)
    assert found.upper_interval == pytest.approx((10.25837, 10.37572), abs=1e-5)


# Ranks


@pytest.mark.parametrize(("n", "lower", "upper"), [(119, 1, 7), (120, 1, 7), (240, 2, 11), (1000, 17, 34)])
def test_ranks_are_those_of_the_guideline(n: int, lower: int, upper: int) -> None:
    assert ranks.confidence_ranks(n, 0.025, 0.90) == (lower, upper)
    assert ranks.confidence_ranks(n, 0.975, 0.90) == (n + 1 - upper, n + 1 - lower)


def test_sizes_that_are_enough() -> None:
    assert ranks.needed_for_percentile(0.025) == ranks.needed_for_percentile(0.975) == 39
    assert ranks.needed_for_interval(0.025, 0.90) == ranks.needed_for_interval(0.975, 0.90) == 119
    assert ranks.confidence_ranks(118, 0.025, 0.90)[0] == 0
    assert ranks.needed_for_interval(0.025, 0.95) == 146


@given(
    st.integers(1, 2000), st.sampled_from([0.01, 0.025, 0.05, 0.3, 0.5, 0.9, 0.975]), st.sampled_from([0.8, 0.9, 0.99])
)
@settings(derandomize=True, deadline=None)
def test_ranks_are_the_narrowest_with_their_tails(n: int, p: float, confidence: float) -> None:
    lower, upper = ranks.confidence_ranks(n, p, confidence)
    tail = (1 - confidence) / 2
    below = stats.binom.cdf([lower - 1, lower], n, p)
    above = 1 - stats.binom.cdf([upper - 1, upper - 2], n, p)
    assert below[0] <= tail < below[1]
    assert above[0] <= tail + 1e-15
    assert above[1] > tail


def test_nonparametric_intervals_cover_as_the_binomial_says() -> None:
    x = np.sort(np.random.default_rng(7).standard_normal((20_000, 120)), axis=1)
    truth = stats.norm.ppf(0.025)
    covered = float(np.mean((x[:, 0] <= truth) & (truth <= x[:, 6])))
    assert covered == pytest.approx(ranks.rank_coverage(120, 0.025, (1, 7)), abs=3 * np.sqrt(0.92 * 0.08 / 20_000))
    assert ranks.rank_coverage(120, 0.025, (1, 7)) == pytest.approx(0.9205, abs=5e-5)


# Percentiles, counts, weights

RESULTS = st.lists(st.integers(1, 400).map(lambda v: v / 20), min_size=120, max_size=200)


@given(RESULTS)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_percentiles_are_those_of_numpy(x: list[float]) -> None:
    p = [0.004, 0.025, 0.5, 0.9, 0.975, 0.999]
    assert ranks.quantiles(sample(x), p) == pytest.approx(np.quantile(x, p, method="weibull"), rel=1e-12)


METHODS: dict[str, Callable[..., DirectLimits]] = {
    "nonparametric": nonparametric,
    "robust": partial(robust, resamples=50),
    "parametric": parametric,
}


@pytest.mark.parametrize("unit", [0.001, 0.5, 1000.0])
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("method", list(METHODS))
def test_counts_are_as_good_as_persons_and_a_unit_changes_nothing(method: str, seed: int, unit: float) -> None:
    draw = np.random.default_rng(seed)
    x = (draw.gamma(4.0, 1.5, draw.integers(120, 200)) + 0.5).round(1)
    values, counts = np.unique(x, return_counts=True)
    limits = METHODS[method]
    one, table, other = limits(x), limits(values, counts), limits(np.asarray(x) * unit)
    assert one.refused == table.refused == other.refused
    for name in ("limits", "intervals"):
        found = getattr(one, name)
        np.testing.assert_allclose(getattr(table, name), found, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(getattr(other, name), found * unit, rtol=1e-6, atol=1e-9)


@given(RESULTS, st.floats(0.01, 1e6))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_equal_weights_are_no_weights(x: list[float], weight: float) -> None:
    plain, weighted = nonparametric(x), nonparametric(x, weights=[weight] * len(x))
    np.testing.assert_array_equal(weighted.limits, plain.limits)
    np.testing.assert_array_equal(weighted.intervals, plain.intervals)


def test_weights_give_the_percentiles_of_the_population() -> None:
    # Two strata, one of them sampled ten times as often as it occurs.
    rng = np.random.default_rng(3)
    rare, usual = rng.normal(3, 0.3, 20_000), rng.normal(6, 1, 20_000)
    found = nonparametric(np.r_[rare, usual], weights=np.r_[np.full(20_000, 1.0), np.full(20_000, 10.0)])
    mixture = stats.norm.cdf(found.lower, 3, 0.3) / 11 + stats.norm.cdf(found.lower, 6, 1) * 10 / 11
    assert mixture == pytest.approx(0.025, abs=0.002)


def test_survey_intervals_cover() -> None:
    # Persons of a unit are alike; an interval that took them for strangers would be too short.
    rng = np.random.default_rng(11)
    covered, naive = [], []
    for _ in range(300):
        unit = np.repeat(np.arange(60), 20)
        x = 10 + rng.normal(0, 1, 60)[unit] + rng.normal(0, 1, 1200)
        truth = stats.norm.ppf(0.10, 10, np.sqrt(2))
        weights = rng.uniform(0.5, 2, 1200)
        low, high = nonparametric(x, weights=weights, percentiles=[10], strata=unit // 4, clusters=unit).intervals[0]
        covered.append(low <= truth <= high)
        low, high = nonparametric(x, weights=weights, percentiles=[10]).intervals[0]
        naive.append(low <= truth <= high)
    assert 0.85 <= np.mean(covered) <= 0.95
    assert np.mean(naive) < 0.65


def test_rounded_results_spread_over_their_cells() -> None:
    x = np.random.default_rng(2).normal(2.0, 0.4, 100_000).clip(0)
    found = nonparametric(np.round(x, 1), step=0.1)
    assert found.limits == pytest.approx(stats.norm.ppf([0.025, 0.975], 2, 0.4), abs=0.01)


# Box-Cox


def test_the_power_is_that_of_scipy() -> None:
    x = np.random.default_rng(5).gamma(4, 1, 400)
    assert best_power(sample(x)) == pytest.approx(stats.boxcox_normmax(x, method="mle"), abs=1e-4)
    low, high = power_interval(sample(x), best_power(sample(x)))
    _, _, (theirs_low, theirs_high) = stats.boxcox(x, alpha=0.05)
    assert (low, high) == pytest.approx((theirs_low, theirs_high), abs=1e-4)


@given(st.floats(-2.5, 2.5), st.floats(0.2, 5))
@settings(derandomize=True, deadline=None)
def test_a_transformed_result_comes_back(power: float, x: float) -> None:
    assert restore(transform(np.array(x), power), power) == pytest.approx(x, rel=1e-9)


@pytest.mark.parametrize(("power", "n"), [(0.0, 60), (0.5, 200)])
def test_parametric_intervals_cover_when_the_power_is_estimated(power: float, n: int) -> None:
    rng = np.random.default_rng(13)
    centre = float(transform(np.array(5.0), power))
    truth = float(restore(np.array(centre + 0.25 * 5**power * stats.norm.ppf(0.025)), power))
    covered = []
    for _ in range(600):
        low, high = parametric(restore(centre + 0.25 * 5**power * rng.standard_normal(n), power)).lower_interval
        covered.append(low <= truth <= high)
    assert 0.86 <= np.mean(covered) <= 0.94


# Choice and refusal


def test_the_method_follows_the_number_of_persons() -> None:
    x = np.random.default_rng(1).lognormal(1.5, 0.3, 400)
    assert [direct(x[:n]).method for n in (20, 118, 119, 400)] == ["robust", "robust", *["nonparametric"] * 2]
    assert direct(x[:60], weights=np.linspace(1, 2, 60)).method == "nonparametric"
    assert direct(x[:60], percentiles=[10]).method == "nonparametric"
    assert direct(np.r_[0.0, x[:40]]).power == 1


@pytest.mark.parametrize(
    ("method", "n", "said", "enough"),
    [
        ("nonparametric", 38, "need 39, their 90% intervals 119", 119),
        ("robust", 19, "need 20", 20),
        ("parametric", 5, "need 20", 20),
    ],
)
def test_too_few_are_refused_with_the_number_that_would_do(method: str, n: int, said: str, enough: int) -> None:
    found = direct(np.linspace(3, 9, n), method=method)
    assert found.refused
    assert said in found.verdict
    assert found.enough == enough
    assert np.isnan([found.lower, found.upper, *found.lower_interval, *found.upper_interval]).all()


def test_between_39_and_118_there_are_limits_without_intervals() -> None:
    found = nonparametric(np.linspace(3, 9, 60))
    assert not found.refused
    assert np.isfinite(found.limits).all()
    assert np.isnan(found.lower_interval[0])
    assert "need 119" in found.verdict


@pytest.mark.parametrize("method", ["nonparametric", "robust", "parametric"])
def test_equal_results_are_refused(method: str) -> None:
    found = direct([4.2] * 200, method=method)
    assert found.refused
    assert "equal" in found.verdict


@pytest.mark.parametrize("method", ["nonparametric", "robust", "parametric"])
def test_two_units_in_one_column_are_refused(method: str) -> None:
    """Half of the laboratory reports 10^9/L, half 1/uL; a skewed quantity over four decades is no such thing."""
    rng = np.random.default_rng(8)
    x = rng.lognormal(1.6, 0.3, 150)
    found = direct(np.r_[x, 1000 * x], method=method)
    assert found.refused
    assert "one unit" in found.verdict
    assert not direct(rng.lognormal(1.0, 2.0, 300), method=method).refused


def test_coarse_rounding_is_refused_by_the_robust_method() -> None:
    found = robust([4.0] * 30 + [5.0] * 10)
    assert found.refused
    assert "rounding" in found.verdict


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"values": ["4.1", "low"]}, "text"),
        ({"values": [True, False]}, "flags"),
        ({"values": [4.1, None, 3.2]}, "1 of 3 are missing or infinite"),
        ({"values": [4.1, float("nan"), 3.2]}, "number 2"),
        ({"values": [4.1, -1.0]}, "below 0"),
        ({"values": []}, "no results"),
        ({"values": [1.0, 2.0], "counts": [1]}, "differ in length"),
        ({"values": [1.0, 2.0], "counts": [1, 1.5]}, "no whole number"),
        ({"values": [1.0, 2.0], "weights": [1, 0]}, "not above 0"),
        ({"values": [[1.0, 2.0]]}, "one column"),
        ({"values": [1.0], "percentiles": [0, 97.5]}, "between 0 and 100"),
        ({"values": [1.0], "confidence": 90, "method": "nonparametric"}, "Write it as 0.90"),
        ({"values": [1.0], "method": "hoffmann"}, "no direct method"),
        ({"values": [1.0, 2.0], "weights": [1, 2], "method": "robust"}, "no survey weights"),
        ({"values": [0.0, 2.0], "method": "parametric"}, "takes logarithms"),
    ],
)
def test_bad_input_is_refused_in_words(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        direct(**given)


def test_a_stratum_with_one_unit_is_refused() -> None:
    x = np.linspace(3, 9, 200)
    with pytest.raises(UsageError, match="single unit"):
        nonparametric(x, strata=[0] + [1] * 199, clusters=np.arange(200))


# Real persons


@pytest.mark.shared
@pytest.mark.parametrize(
    ("column", "lower", "upper", "error"),
    [("LBXWBCSI", 3.99, 12.21, 0.033), ("LBDNENO", 1.83, 8.30, 0.024), ("LBDLYMNO", 1.00, 3.75, 0.012)],
)
def test_limits_of_adults_in_nhanes(shared: Path, column: str, lower: float, upper: float, error: float) -> None:
    """The white-cell limits computed for intervals.csv with other code, and their half-sample standard errors."""
    path = shared / "data" / "nhanes-cbc" / "nhanes_cbc_demo_2011_2018.parquet"
    if not path.is_file():
        pytest.skip("the shared NHANES table is not here")
    people = pl.read_parquet(path).filter(
        pl.col(column).is_not_null(), pl.col("RIDAGEYR") >= 18, pl.col("RIDEXPRG").fill_null(0) != 1
    )
    design = {"strata": people["SDMVSTRA"].to_numpy(), "clusters": people["SDMVPSU"].to_numpy()}
    found = nonparametric(people[column].to_numpy(), weights=people["WTMEC2YR"].to_numpy(), step=0.1, **design)
    assert [found.lower, found.upper] == pytest.approx([lower, upper], abs=0.006)
    low, high = found.lower_interval
    assert (high - low) / 2 / stats.norm.ppf(0.95) == pytest.approx(error, rel=0.3)
