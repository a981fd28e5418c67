"""Outliers: published examples and tables, order of the rows, a unit changes nothing, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leukopenia.errors import UsageError
from leukopenia.reference.fit.outliers import Outliers, dixon, dixon_chance, reed, tukey

PUBLISHED = [13.6, 44.4, 45.9, 14.9, 41.9, 53.3, 44.7, 95.2, 44.1, 50.7, 45.2, 60.1, 89.1]
"""Thirteen results; Tukey's fences find the first, fourth, eighth and last (tests of mcradds)."""


def places(found: Outliers) -> list[int]:
    return [int(place) + 1 for place in np.flatnonzero(found.flagged)]


def test_tukey_on_a_published_example() -> None:
    found = tukey(PUBLISHED, power=1)
    assert places(found) == [1, 4, 8, 13]
    assert found.n == 4


@pytest.mark.parametrize(
    ("n", "ratio"), [(3, 0.941), (4, 0.765), (5, 0.642), (7, 0.507), (8, 0.468), (9, 0.437), (10, 0.412)]
)
def test_chances_are_those_of_dixons_table(n: int, ratio: float) -> None:
    """The critical ratios of the two-sided test at 90 %, printed to three decimals."""
    assert 2 * dixon_chance(ratio, n) == pytest.approx(0.10, abs=0.0015)


@pytest.mark.parametrize(("n", "ratio"), [(20, 0.25), (100, 0.10), (1000, 0.05)])
def test_chances_are_those_of_simulated_results(n: int, ratio: float) -> None:
    x = np.sort(np.random.default_rng(n).standard_normal((8000, n)), axis=1)
    share = float(np.mean(x[:, -1] - x[:, -2] > ratio * (x[:, -1] - x[:, 0])))
    assert share == pytest.approx(dixon_chance(ratio, n), abs=4 * np.sqrt(share * (1 - share) / 8000))


def test_dixon_flags_healthy_results_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    flagged = np.mean([dixon(10 + rng.standard_normal(30)).n > 0 for _ in range(400)])
    assert 0.02 <= flagged <= 0.08


def test_results_are_taken_one_after_the_other() -> None:
    x = [5.0, 5.2, 5.4, 5.5, 5.7, 5.9, 6.0, 6.2, 6.3, 6.5, 12.0, 40.0]
    assert places(reed(x)) == [11, 12]
    assert places(dixon(x)) == [11, 12]
    assert reed(x).kept == (5.0, 6.5)


def test_two_wild_results_hide_one_another() -> None:
    x = [5.0, 5.2, 5.4, 5.5, 5.7, 5.9, 6.0, 6.2, 6.3, 6.5, 39.0, 40.0]
    assert reed(x).n == dixon(x).n == 0
    assert places(tukey(x, power=1)) == [11, 12]


def test_skewed_results_are_no_outliers_on_their_own_scale() -> None:
    x = np.random.default_rng(2).lognormal(1.6, 0.6, 500)
    assert tukey(x).n < 0.4 * tukey(x, power=1).n


@given(
    st.lists(st.integers(1, 200).map(lambda v: v / 10), min_size=12, max_size=60),
    st.sampled_from([tukey, dixon, reed]),
    st.sampled_from([0.001, 1000.0]),
    st.randoms(use_true_random=False),
)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_order_unit_and_counts_change_nothing(x: list[float], method, unit: float, random) -> None:  # type: ignore[no-untyped-def]
    found = method(x)
    shuffled = list(range(len(x)))
    random.shuffle(shuffled)
    np.testing.assert_array_equal(method([x[at] for at in shuffled]).flagged, found.flagged[shuffled])
    np.testing.assert_array_equal(method(np.asarray(x) * unit).flagged, found.flagged)
    values, counts = np.unique(x, return_counts=True)
    table = dict(zip(values.tolist(), method(values, counts).flagged.tolist(), strict=True))
    assert [table[one] for one in x] == found.flagged.tolist()


def test_equal_results_have_no_outliers() -> None:
    assert [method([4.0] * 10).n for method in (tukey, dixon, reed)] == [0, 0, 0]


def test_bad_input_is_refused() -> None:
    with pytest.raises(UsageError, match="takes logarithms"):
        tukey([0.0, 1.0, 2.0])
    with pytest.raises(UsageError, match="three results"):
        dixon_chance(0.5, 2)
