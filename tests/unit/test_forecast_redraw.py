"""When the next count tells whether neutrophils have moved or are not made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import leukopenia as lk
from leukopenia.errors import UsageError
from leukopenia.forecast import Regimen

ERROR = 0.129
HOURS = [1.0, 4.0, 12.0]


def resampled(first: np.ndarray, later: np.ndarray, count: float, rng: np.random.Generator) -> np.ndarray:
    """Next counts of drawn people, who are kept as often as their first count explains the one that was seen."""
    fit = np.exp(-0.5 * (np.log(count / first) / ERROR) ** 2)
    kept = rng.choice(first.size, 40_000, p=fit / fit.sum())
    return later[kept] * np.exp(ERROR * rng.standard_normal((40_000, 1)))


def drawn(name: str, parameter: str, n: int, rng: np.random.Generator) -> np.ndarray:
    found = lk.forecast.card(name).parameters[parameter]
    return found.value * np.exp(np.sqrt(found.variance or 0.0) * rng.standard_normal(n))


def moved(count: float, since: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """By drawing people and solving each, without grids."""
    name, shapes, each = "redistribution-lps", 400, 500
    dense = np.arange(0.0, since[1] + HOURS[-1] + 0.1, 0.05)
    own = {part: drawn(name, part, shapes, rng) for part in ("margination", "release")}
    curves = lk.forecast.solve(name, Regimen([0.0], 1.0), dense, {"circ0": np.ones(shapes), **own})
    onset = rng.uniform(*since, (shapes, each))
    at = [np.array([np.interp(t, dense, c) for t, c in zip(onset + h, curves, strict=True)]) for h in (0.0, *HOURS)]
    counts = np.array([one.ravel() for one in at]).T * drawn(name, "circ0", shapes * each, rng)[:, None]
    return resampled(counts[:, 0], counts[:, 1:], count, rng)


def not_made(count: float, rng: np.random.Generator) -> np.ndarray:
    name, n = "production-arrest-neutrophils", 300_000
    k, usual = drawn(name, "kcirc", n, rng), drawn(name, "circ0", n, rng)
    ago, lost = rng.uniform(0.0, 7 * 24.0, n), rng.uniform(0.0, 1.0, n)
    counts = usual[:, None] * (1 - lost[:, None] * (1 - np.exp(-k[:, None] * (ago[:, None] + np.array([0.0, *HOURS])))))
    return resampled(counts[:, 0], counts[:, 1:], count, rng)


@pytest.mark.parametrize(("count", "since"), [(1.2, (0.0, 6.0)), (1.8, (0.5, 1.5))])
def test_the_grids_agree_with_drawn_people(count: float, since: tuple[float, float]) -> None:
    rng = np.random.default_rng(5)
    found = lk.forecast.redraw(count, since, hours=HOURS, doubt=1e-6)
    one, other = moved(count, since, rng), not_made(count, rng)
    for band, draws in ((found.moved, one), (found.not_made, other)):
        assert band == pytest.approx(np.quantile(draws, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0), rel=0.05)
    edges = np.log(np.geomspace(0.05, 80, 60))
    for n, overlap in enumerate(found.overlap):
        shares = [np.histogram(np.log(d[:, n]), edges)[0] / len(d) for d in (one, other)]
        assert overlap == pytest.approx(np.minimum(*shares).sum(), abs=0.03)


def test_the_first_hour_below_the_limit_is_told() -> None:
    found = lk.forecast.redraw(1.2, (0.0, 6.0))
    at = found.hours.tolist().index(found.separated)
    assert found.overlap[at] < found.limit <= found.overlap[:at].min()
    assert found.information[found.hours.tolist().index(found.best)] == found.information.max() <= 1.0
    assert lk.forecast.redraw(1.2, (0.0, 6.0), hours=[0.1, 0.2]).separated is None


def test_a_slower_illness_asks_for_a_later_count() -> None:
    fast, slow = (lk.forecast.redraw(1.2, (0.0, 6.0), slower=slower) for slower in (1.0, 4.0))
    assert fast.separated is not None and slow.separated is not None
    assert slow.separated > 2 * fast.separated


def test_a_risen_count_speaks_for_moved_cells_and_one_that_stays_for_cells_not_made() -> None:
    found = lk.forecast.redraw(1.2, (0.0, 6.0))
    assert found.ratio(6.0, 7.0) > 10.0
    assert found.ratio(6.0, 1.2) < 0.1
    assert (found.ratio_if_moved[4:] > 10.0).all()
    assert (found.ratio_if_not_made[4:] < 0.1).all()


def test_doubt_bounds_what_a_count_can_prove() -> None:
    sure, unsure = (lk.forecast.redraw(1.2, (0.0, 6.0), doubt=doubt) for doubt in (0.001, 0.04))
    assert sure.ratio_if_moved.max() > 10 * unsure.ratio_if_moved.max()
    assert unsure.overlap.min() >= 0.039
    assert unsure.ratio(6.0, 100.0) == pytest.approx(1.0, rel=0.01)


REFUSED: dict[str, dict[str, Any]] = {
    "never gives such a count": {"count": 0.5, "since": (10.0, 12.0)},
    "positive": {"count": 0.0, "since": (0.0, 6.0)},
    "hours since": {"count": 1.0, "since": (6.0, 0.0)},
    "0 times slower": {"count": 1.0, "since": (0.0, 6.0), "slower": 0.0},
    "doubt": {"count": 1.0, "since": (0.0, 6.0), "doubt": 0.2},
    "order of time": {"count": 1.0, "since": (0.0, 6.0), "hours": [2.0, 1.0]},
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_is_refused_in_words(words: str) -> None:
    with pytest.raises(UsageError, match=words):
        lk.forecast.redraw(**REFUSED[words])
