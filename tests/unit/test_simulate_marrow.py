"""The marrow model of the simulator: published curves, and what each kind of cause does to the counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

import leukopenia as lk
from leukopenia.forecast import Regimen
from leukopenia.knowledge import load
from leukopenia.simulate.fall import (
    Course,
    Fall,
    Way,
    arrest,
    course,
    cycles,
    destruction,
    failure,
    redistribution,
    sequestration,
)
from leukopenia.simulate.marrow_kernel import KILL
from leukopenia.simulate.physiology import CARDS, cytotoxics, marrow_of, rest

LOW = {"neutrophils": 0.37, "lymphocytes": 0.5}
MARROW = marrow_of(load())


@pytest.mark.parametrize(
    ("drug", "dose", "hours", "to_mg"),
    [("drug:docetaxel", 180.0, 1.0, 1.0), ("drug:paclitaxel", 410.0, 3.0, 0.85391)],
)
def test_a_card_gives_the_curve_of_the_forecast(drug: str, dose: float, hours: float, to_mg: float) -> None:
    """Two cycles of a typical person, to 0.5 % of the forecast's solver (card doses: mg; of paclitaxel umol)."""
    model, n = cytotoxics(load())[drug], 42 * 24
    inputs = rest(n)
    inputs[:, KILL] = model.kill({0.0: dose * to_mg, 504.0: dose * to_mg}, hours, n, 1.0)
    found = model.marrow().counts(inputs, 1.0)[:, 0]
    expected = lk.forecast.solve(CARDS[drug], Regimen([0.0, 504.0], dose, hours), np.arange(n + 1.0))
    assert np.abs(found / (expected / expected[0]) - 1).max() < 0.005


def test_a_healthy_marrow_stays_as_it_is() -> None:
    assert np.abs(MARROW.counts(rest(2000), 2.0) - 1).max() < 1e-9


def told(way: Way, depth: float, lasts: float, recovery: float = 0.0, ramp: float = 0.5) -> Course:
    found = course(Fall(way, {"neutrophils": depth}, LOW, lasts, recovery, ramp), MARROW)
    assert found is not None
    return found


@pytest.mark.parametrize("way", [arrest, failure, destruction, sequestration])
@pytest.mark.parametrize("depth", [0.05, 0.3])
def test_counts_fall_as_deep_as_they_should_and_stay_there(way: Way, depth: float) -> None:
    found = told(way, depth, math.inf, ramp=10.0)
    assert found.values[:, 0].min() == pytest.approx(depth, rel=0.05)
    assert found.share("neutrophils", 24 * 400) < LOW["neutrophils"]
    assert found.share("neutrophils", 24.0 * -400) == 1.0
    assert found.share("neutrophils", found.step) < LOW["neutrophils"] <= found.share("neutrophils", -2 * found.step)


def test_counts_come_back_on_the_day_that_was_drawn() -> None:
    for recovery in (8.0, 15.0, 30.0):
        found = told(arrest, 0.05, 4.0, recovery)
        assert found.low_until / 24 == pytest.approx(4.0 + recovery, abs=1.5)
        assert found.share("neutrophils", 24 * 200) == pytest.approx(1.0, abs=0.02)


def test_redistribution_is_low_for_hours_and_then_high() -> None:
    found = told(redistribution, 0.25, 0.4, ramp=0.05)
    assert found.low_until < 24
    assert found.values[:, 0].max() > 2
    assert found.share("neutrophils", 24 * 60) == pytest.approx(1.0, abs=0.05)


def test_cycles_return_every_three_weeks() -> None:
    found = told(cycles, 0.08, 300.0, ramp=0.1)
    inside = found.values[int(30 * 24 / found.step) : int(240 * 24 / found.step), 0]
    troughs = np.flatnonzero((inside[1:-1] < inside[:-2]) & (inside[1:-1] < inside[2:]) & (inside[1:-1] < 0.37)) + 1
    assert len(troughs) >= 9
    assert np.diff(troughs) * found.step / 24 == pytest.approx(21.0, abs=1.0)


def test_destroyed_cells_are_made_again_but_not_all_of_them() -> None:
    """A marrow fed by stem cells does not make up in full for cells that are destroyed for good."""
    inputs = rest(3000)
    inputs[:, 2] = 2.0
    late = MARROW.counts(inputs, 2.0)[-1, 0]
    assert 1 / 3 < late < 0.9
