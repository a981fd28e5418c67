"""Scores of forecasts: against an obvious twin, at their edges, and on virtual people whose truth is known."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

import leukopenia as lk
from leukopenia.forecast import Counts, Regimen, scores
from leukopenia.forecast.model_card import Card

CARD = "netterberg2017-docetaxel"
DOSE = Regimen([0.0], 180.0, 1.0)
DAYS = np.array([0.0, 4.0, 7.0, 9.0, 12.0, 16.0])


def plain_crps(draws: list[float], weights: list[float], seen: float) -> float:
    """The area between the steps of the distribution and the step at what came, squared, piece by piece."""
    whole = sum(weights)
    edges = sorted({*draws, seen})
    area = 0.0
    for left, right in pairwise(edges):
        reached = sum(w for x, w in zip(draws, weights, strict=True) if x <= left) / whole
        area += (right - left) * (reached - (seen <= left)) ** 2
    return area


@pytest.mark.parametrize("seed", range(5))
def test_crps_is_the_area_between_two_steps(seed: int) -> None:
    random = np.random.default_rng(seed)
    draws, weights = random.lognormal(size=40), random.exponential(size=40)
    for seen in (0.01, 1.0, 20.0, float(draws[3])):
        assert scores.crps(draws, weights, seen) == pytest.approx(plain_crps([*draws], [*weights], seen))


def test_crps_of_one_certain_value_is_its_distance() -> None:
    assert scores.crps(np.array([2.0]), np.array([1.0]), 3.5) == pytest.approx(1.5)


def people(n: int, seed: int) -> list[Counts]:
    """Counts of virtual people of the card, with its error of measurement."""
    card, random = lk.forecast.card(CARD), np.random.default_rng(seed)
    own = _effects(card, n, random)
    true = lk.forecast.solve(card, DOSE, DAYS * 24, own)
    seen = true * np.exp(random.normal(0, card.residual or 0, true.shape))
    return [Counts(DAYS * 24, row) for row in seen]


def _effects(card: Card, n: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    typical = card.typical({})
    return {
        p.name: typical[p.name] * np.exp(random.standard_normal(n) * math.sqrt(p.variance or 0)) for p in card.varying
    }


@pytest.fixture(scope="module")
def told() -> list[scores.Score]:
    found = []
    for n, one in enumerate(people(40, seed=5)):
        found += lk.forecast.replay_scores(one, DOSE, CARD, [0, 8], draws=600, seed=n)
    return found


def test_a_forecast_beats_the_population_and_the_last_count_on_its_own_people(told: list[scores.Score]) -> None:
    soon = [score for score in told if score.known == 8 and score.ahead < 3]
    whole = {row["method"]: row for row in scores.summary(soon)[-3:]}
    assert {row["n"] for row in whole.values()} == {40}
    for other in ("population", "last count"):
        assert whole["forecast"]["crps"] < whole[other]["crps"]
        assert whole["forecast"]["brier"] < whole[other]["brier"]


def test_intervals_hold_what_they_promise(told: list[scores.Score]) -> None:
    """About 110 counts of 40 people: a fair 90 % interval holds 81 to 97 % of them, a fair 50 % one 36 to 64 %."""
    late = [score for score in told if score.known == 8]
    for row in scores.summary(late)[-3:-1]:
        assert 0.81 < row["within_90"] < 0.97
        assert 0.36 < row["within_50"] < 0.64


def test_each_day_is_scored_on_what_came_later_alone(told: list[scores.Score]) -> None:
    one = [score for score in told if score.method == "forecast"][:5]
    assert [score.known + score.ahead for score in one] == [4, 7, 9, 12, 16]
    assert all(score.ahead > 0 for score in told)


def test_a_day_without_a_new_count_tells_the_same() -> None:
    one = people(1, seed=2)[0]
    first, second = (lk.forecast.replay_scores(one, DOSE, CARD, [day], draws=300) for day in (4, 5))
    assert [(score.crps, score.brier) for score in first] == [(score.crps, score.brier) for score in second]
    assert [score.ahead - 1 for score in first] == [score.ahead for score in second]


def test_by_default_every_day_up_to_the_last_count() -> None:
    one = people(1, seed=2)[0]
    found = lk.forecast.replay_scores(one, DOSE, CARD, draws=200)
    assert sorted({score.known for score in found}) == list(range(16))
    assert scores.refused(found, range(18)) == 2


def test_what_is_only_a_bound_has_no_crps_and_a_brier_score_where_the_bound_tells() -> None:
    bounds = Counts([0, 96, 192, 240], [5.0, 3.0, 0.5, 1.0], [False, False, True, True])
    found = lk.forecast.replay_scores(bounds, DOSE, CARD, [4], draws=300)
    deep, unsure = (score for score in found if score.method == "forecast")
    assert math.isnan(deep.crps) and 0 <= deep.brier <= 1
    assert math.isnan(unsure.crps) and math.isnan(unsure.brier)
    assert deep.within(0.9) != deep.within(0.9)


def test_before_the_first_count_nothing_is_carried_forward_and_nothing_compared() -> None:
    found = lk.forecast.replay_scores(Counts([48, 96], [4.0, 3.0]), DOSE, CARD, [0], draws=300)
    assert [math.isnan(score.crps) for score in found] == [False, False, True] * 2
    assert {row["n"] for row in scores.summary(found)} == {0}


def test_days_on_which_nothing_would_be_shown_are_not_scored() -> None:
    strange = Counts([0, 24, 48, 72, 96], [0.02, 60.0, 0.02, 60.0, 5.0])
    assert lk.forecast.replay_scores(strange, DOSE, CARD, [3], draws=300) == []
