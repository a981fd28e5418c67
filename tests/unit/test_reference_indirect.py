"""Indirect limits: the kernels against plain numerics, known truths found again, and honest refusals."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

import leukopenia as lk
from leukopenia.errors import UsageError
from leukopenia.reference.fit import mixture, parts
from leukopenia.reference.fit.gauss import below, below_and_density
from leukopenia.reference.fit.indirect import IndirectLimits, indirect
from leukopenia.reference.fit.posterior import priors, quantile
from leukopenia.reference.fit.search import SHAPES

Floats = NDArray[np.float64]

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))


def healthy(rng: np.random.Generator, n: int, median: float = 6.2, spread: float = 0.24) -> Floats:
    return rng.lognormal(np.log(median), spread, n)


def truth(median: float = 6.2, spread: float = 0.24) -> tuple[float, float]:
    return median * np.exp(-1.959964 * spread), median * np.exp(1.959964 * spread)


def error(found: IndirectLimits, median: float = 6.2, spread: float = 0.24) -> float:
    """Mean distance of both limits from the truth, in standard deviations of the healthy."""
    low, high = truth(median, spread)
    return float((abs(np.log(found.lower / low)) + abs(np.log(found.upper / high))) / (2 * spread))


def mixed(seed: int, n: int = 20_000, left: float = 0.1, right: float = 0.2) -> Floats:
    """Healthy, few with a low and more with a high count, rounded to 0.1."""
    rng = np.random.default_rng(seed)
    low = rng.normal(2.2, 0.7, round(n * left))
    high = rng.lognormal(np.log(13.0), 0.3, round(n * right))
    well = healthy(rng, n - len(low) - len(high))
    return np.concatenate([well, low[low > 0.1], high]).round(1)


# Kernels


def test_the_table_of_the_normal_is_as_good_as_it_says() -> None:
    z = np.linspace(-9, 9, 40_001)
    found = np.array([below_and_density(one) for one in z])
    assert np.abs(found[:, 0] - stats.norm.cdf(z)).max() < 2e-10
    assert np.abs(found[:, 1] - stats.norm.pdf(z)).max() < 2e-10
    assert [below(one) for one in (-20.0, -3.0, 2.0)] == pytest.approx(stats.norm.cdf([-20.0, -3.0, 2.0]), rel=1e-12)


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_slopes_of_the_posterior_are_its_differences(shape: int) -> None:
    edges = np.linspace(0.3, 9, 30)
    counts = np.random.default_rng(shape).poisson(30, 31).astype(float)
    scale, prior = np.array([np.log(2.0), 0.4, 0.0, 10.0]), priors()[shape]
    left, right, _ = SHAPES[shape]

    def height(theta: Floats) -> tuple[float, Floats]:
        slope, information = np.empty(parts.SIZE), np.empty((parts.SIZE, parts.SIZE))
        work = mixture.workspace(len(edges))
        log_edges = np.log(edges)
        data, before = mixture.log_posterior(
            theta, left, right, edges, log_edges, counts, scale, prior, work, slope, information
        )
        return data + before, slope

    theta = np.array([0.9, 0.1, 0.2, 0.6, 0.9, 0.1, -1.2, 1.0, 0.2, -4.0])
    step = 1e-5 * np.eye(parts.SIZE)
    numeric = [(height(theta + one)[0] - height(theta - one)[0]) / 2e-5 for one in step]
    assert height(theta)[1] == pytest.approx(numeric, rel=1e-4, abs=1e-4)


def test_parts_are_distributions_that_scipy_knows() -> None:
    edges, theta = np.linspace(0.2, 12, 200), np.array([0.0, 0.2, -0.1, -1.0, 0.7, 0.1, -1.0, 0.9, -0.2, -4.0])
    scale = np.array([np.log(2.0), 0.4, 0.0, 20.0])
    cdf, slope, _, _ = mixture.workspace(len(edges))
    _, log_median, spread = parts.healthy_frame(theta, scale[0], scale[1])
    mixture.parts(theta, parts.NORMAL, parts.CONTINUUM, edges, np.log(edges), scale, cdf, slope)
    assert cdf[0] == pytest.approx(stats.lognorm.cdf(edges, spread, scale=np.exp(log_median)), abs=1e-9)
    centre = np.exp(log_median) * (1 - spread * np.exp(theta[parts.LEFT_PLACE]))
    own = np.exp(log_median) * spread * np.exp(theta[parts.LEFT_SPREAD])
    cut = stats.truncnorm.cdf(edges, -centre / own, np.inf, loc=centre, scale=own)
    assert cdf[1] == pytest.approx(cut, abs=1e-9)
    z, mean = (np.log(edges) - log_median) / spread, np.exp(theta[parts.RIGHT_SPREAD])
    assert cdf[2] == pytest.approx(stats.exponnorm.cdf(z, mean), abs=1e-9)


def test_the_quantile_of_a_mixture_is_where_it_says() -> None:
    weights, means, errors = np.array([0.3, 0.7]), np.array([0.0, 2.0]), np.array([1.0, 0.2])
    for chance in (0.05, 0.3, 0.5, 0.95):
        at = quantile(weights, means, errors, chance)
        assert weights @ stats.norm.cdf((at - means) / errors) == pytest.approx(chance, abs=1e-9)


# Truth found again


@pytest.mark.parametrize("seed", range(4))
def test_limits_of_the_healthy_among_the_ill(seed: int) -> None:
    values = mixed(seed)
    found = lk.reference.estimate(values)
    plain = np.percentile(values, [2.5, 97.5])
    low, high = truth()
    assert isinstance(found, IndirectLimits)
    assert not found.refused
    assert error(found) < 0.15
    assert error(found) < (abs(np.log(plain / (low, high))).mean() / 0.24) / 5
    assert found.healthy_fraction == pytest.approx(0.7, abs=0.06)
    assert found.lower_interval[0] < found.lower < found.lower_interval[1]


@pytest.mark.parametrize("power", [1.0, 0.5, 0.0, -1.0])
def test_no_ill_at_all(power: float) -> None:
    z = np.random.default_rng(3).standard_normal(8000)
    spread = 0.15
    values = 40 * ((1 + power * spread * z) ** (1 / power) if power else np.exp(spread * z))
    found = indirect(values.round(0))
    low, high = (
        40 * ((1 + power * spread * at) ** (1 / power) if power else np.exp(spread * at)) for at in (-1.96, 1.96)
    )
    assert (found.lower, found.upper) == pytest.approx((low, high), rel=0.02)
    assert found.healthy_fraction > 0.95


def test_values_that_begin_far_above_zero() -> None:
    rng = np.random.default_rng(5)
    values = (100 + rng.lognormal(np.log(70), 0.28, 20_000)).round()
    found = indirect(values)
    assert found.lower == pytest.approx(100 + 70 * np.exp(-1.96 * 0.28), rel=0.02)
    assert found.upper == pytest.approx(100 + 70 * np.exp(1.96 * 0.28), rel=0.02)


def test_results_below_a_detection_limit_leave_the_upper_limit_alone() -> None:
    values = np.maximum(mixed(1, left=0.0), 4.6)
    found = lk.reference.estimate(values, detection_limit=4.6)
    assert found.upper == pytest.approx(truth()[1], rel=0.05)


def test_more_results_know_more() -> None:
    widths = [np.diff(indirect(mixed(2, n)).lower_interval)[0] for n in (1000, 5000, 40_000)]
    assert widths[0] > widths[1] > widths[2]


# The same question in other words


def test_a_table_of_counts_is_as_good_as_results() -> None:
    values = mixed(7)
    different, counts = np.unique(values, return_counts=True)
    one, table = indirect(values), indirect(different, counts)
    assert table.limits == pytest.approx(one.limits, rel=1e-9)
    again = indirect(values[np.random.default_rng(0).permutation(len(values))])
    assert (one.lower, one.upper) == (again.lower, again.upper)


def test_a_unit_changes_nothing() -> None:
    values = mixed(8)
    one, other = indirect(values), indirect(np.rint(values * 1000))
    assert other.limits / 1000 == pytest.approx(one.limits, rel=1e-6)


def test_weights_count_as_so_many() -> None:
    values = mixed(9, 6000)
    equal = indirect(values, weights=np.full(len(values), 17.0))
    assert equal.limits == pytest.approx(indirect(values).limits, rel=1e-9)
    older = np.random.default_rng(0).random(len(values)) < 0.5
    weights = np.where(older, 1e-9, 1.0)
    assert indirect(values, weights=weights).limits == pytest.approx(indirect(values[~older]).limits, rel=0.02)


def test_expected_counts_of_the_parts_add_up() -> None:
    found = indirect(mixed(10))
    assert found.cells is not None
    total = sum(found.expected.values())
    assert float(np.sum(total)) == pytest.approx(found.n, rel=1e-6)
    assert np.corrcoef(total, found.cells.counts)[0, 1] > 0.99
    assert list(found.expected) == ["healthy", "left", "right", "stray"]


def test_any_percentiles_in_any_order() -> None:
    found = indirect(mixed(11), percentiles=(97.5, 50, 2.5))
    assert found.limits[0] > found.limits[1] > found.limits[2]
    assert (found.lower, found.upper) == (found.limits[2], found.limits[0])


def test_resamples_move_as_the_interval_says() -> None:
    found = indirect(mixed(12, 8000))
    moved = found.resampled(200, seed=1)
    assert moved.shape == (200, 2)
    assert np.median(moved, axis=0) == pytest.approx(found.limits, rel=0.03)
    width = np.diff(np.percentile(moved, [5, 95], axis=0), axis=0)[0]
    assert (width > 0.2 * np.diff(found.intervals)[:, 0]).all()
    assert (width < 1.5 * np.diff(found.intervals)[:, 0]).all()
    assert np.array_equal(moved, found.resampled(200, seed=1))
    with pytest.raises(UsageError, match="no limits"):
        indirect(np.full(900, 5.0)).resampled()


# Refusals and errors


@pytest.mark.parametrize(
    ("values", "word"),
    [
        (np.full(900, 5.0), "equal"),
        (np.arange(1, 400) / 10, "500 would be enough"),
        (np.random.default_rng(0).integers(4, 8, 2000), "coarsely"),
        (np.concatenate([mixed(1, 2000), 1000 * mixed(2, 2000)]), "two units"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(values: Floats, word: str) -> None:
    found = lk.reference.estimate(values)
    assert isinstance(found, IndirectLimits)
    assert found.refused
    assert word in found.verdict
    assert np.isnan(found.limits).all() and np.isnan(found.intervals).all()


@pytest.mark.parametrize(
    "values", [["5.0", "low"] * 300, [-1.0] * 600, [np.nan] * 600, [np.inf, 1.0] * 300, [], [[1.0, 2.0]]]
)
def test_what_is_no_result_is_an_error(values: list[object]) -> None:
    with pytest.raises(UsageError) as told:
        lk.reference.estimate(values)
    assert "-1.0" not in str(told.value)


def test_the_door_names_its_methods() -> None:
    with pytest.raises(UsageError, match="no method"):
        lk.reference.estimate([1.0, 2.0], method="guess")
    with pytest.raises(UsageError, match="detection limit"):
        lk.reference.estimate([1.0, 2.0], method="direct", detection_limit=1.0)
    assert lk.reference.estimate(np.arange(1, 201) / 10, method="direct").method == "nonparametric"


# Real sets


@pytest.mark.shared
def test_ribench_sets_that_stand_for_all(shared: Path) -> None:
    from reference_sets import RIbench, score

    sets = RIbench(shared / "data" / "ribench")
    scores = [
        score(made, lk.reference.estimate(made.values, made.counts, percentiles=made.percentiles))
        for made in (sets.load(id) for id in range(7, 5760, 48))
    ]
    assert not any(one.refused for one in scores)
    assert np.mean([one.error for one in scores]) < 0.20
    assert max(one.error for one in scores) < 5


@pytest.mark.shared
def test_nhanes_lower_limits_by_group(shared: Path) -> None:
    import polars as pl

    people = pl.read_parquet(shared / "data/nhanes-cbc/nhanes_cbc_demo_2011_2018.parquet")
    adults = people.filter((pl.col("RIDAGEYR") >= 18) & ~(pl.col("RIDEXPRG") == 1).fill_null(False))
    apart = {}
    for line in ("LBXWBCSI", "LBDNENO", "LBDLYMNO"):
        for group in (1, 2, 3, 4, 6):
            rows = (
                adults.filter(pl.col("RIDRETH3") == group, pl.col("WTMEC2YR") > 0).select(line, "WTMEC2YR").drop_nulls()
            )
            values, weights = rows[line].to_numpy(), rows["WTMEC2YR"].to_numpy()
            found = lk.reference.estimate(values, weights=weights)
            # Each rounded value is spread over its cell, as the weighted limits of the knowledge are.
            spread = values + np.random.default_rng(0).uniform(-0.05, 0.05, len(values))
            order = np.argsort(spread)
            reached = np.cumsum(weights[order]) / weights.sum()
            apart[line, group] = found.lower - spread[order][np.searchsorted(reached, 0.025)]
    far = {key: round(float(gap), 2) for key, gap in apart.items() if abs(gap) > 0.105}
    # The lymphocytes of the largest group fall with age, so that no one Box-Cox normal holds them.
    assert set(far) <= {("LBDLYMNO", 3)}
    assert max(abs(gap) for gap in apart.values()) < 0.2


@pytest.mark.parametrize("limit", [0.0, -1.0, np.nan, np.inf])
def test_a_detection_limit_is_a_number_above_zero(limit: float) -> None:
    with pytest.raises(UsageError, match="detection limit"):
        indirect(mixed(1), detection_limit=limit)


@pytest.mark.parametrize("limit", [9.0, 500.0])
def test_most_results_below_a_detection_limit_are_refused(limit: float) -> None:
    found = indirect(mixed(1), detection_limit=limit)
    assert found.refused
    assert "detection limit" in found.verdict


def test_one_value_that_hides_the_rest_is_refused() -> None:
    found = indirect(np.concatenate([np.full(3000, 5.0), healthy(np.random.default_rng(1), 2000).round(1)]))
    assert found.refused
    assert "one value" in found.verdict


def test_very_small_results_keep_their_shape() -> None:
    found = indirect(mixed(8) * 1e-7)
    assert found.limits == pytest.approx(indirect(mixed(8)).limits * 1e-7, rel=1e-3)


def test_weights_of_nothing_are_an_error() -> None:
    with pytest.raises(UsageError, match="not above 0"):
        indirect([4.0, 5.0], weights=[0.0, 1.0])


def test_robust_limits_never_reach_below_zero() -> None:
    values = np.append(healthy(np.random.default_rng(2), 60, spread=0.9).round(1), 0.0)
    found = lk.reference.estimate(values, method="direct")
    assert found.lower == 0.0
    assert "cut there" in found.verdict
