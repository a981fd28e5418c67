"""Simulation-based calibration at reduced size; `benchmarks/forecast_calibration.py` does a thousand patients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import kstest

PATIENTS = 150


@pytest.fixture(scope="module")
def calibration(script_at: Callable[[Path], ModuleType]) -> ModuleType:
    return script_at(Path(__file__).parents[2] / "benchmarks" / "forecast_calibration.py")


def test_the_truth_lies_anywhere_among_the_draws(calibration: ModuleType) -> None:
    """With 900 bands of 150 patients the coverage of an honest 90 % band lies within 84 and 96 %."""
    found = calibration.calibrate(PATIENTS, draws=600, seed=11)
    assert {name for name, p in found.p_values().items() if p <= 0.01} == set()
    assert 0.84 < found.coverage < 0.96
    assert found.shapes.max() <= 0.7


def test_the_check_notices_a_posterior_that_is_too_sure(calibration: ModuleType) -> None:
    too_sure = np.clip(np.random.default_rng(0).normal(0.5, 0.6, PATIENTS), 0, 1)
    assert calibration.kolmogorov(too_sure) < 0.01


def test_the_test_of_uniformity_is_the_known_one(calibration: ModuleType) -> None:
    for seed in range(3):
        ranks = np.random.default_rng(seed).beta(1.2, 1.0, 200)
        assert calibration.kolmogorov(ranks) == pytest.approx(kstest(ranks, "uniform").pvalue, abs=0.01)
