"""Forecasts of virtual patients against NUTS of numpyro over curves of diffrax.

The quantiles were kept by `benchmarks/forecast_judge.py --keep`; where the dependency group `judge` is installed, one
patient is judged anew.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import leukopenia as lk
from leukopenia.forecast import Counts, Regimen

QUANTILES = ("low", "median", "high")
ERRORS = ("low_error", "median_error", "high_error")
CASES = Path(__file__).parent / "cases"


def rows(name: str) -> list[dict[str, str]]:
    with (CASES / name).open(newline="") as file:
        return list(csv.DictReader(file))


VERDICTS = {row["case"]: row for row in rows("forecast_nuts.csv")}


def counts_of(case: str) -> Counts:
    own = [row for row in rows("forecast_nuts_counts.csv") if row["case"] == case]
    times, values = ([float(row[name]) for row in own] for name in ("hour", "count"))
    return Counts(times, values, [row["below"] == "1" for row in own])


def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one / other - 1)


def numbers(row: dict[str, str], names: tuple[str, ...]) -> np.ndarray:
    return np.array([float(row[name]) for name in names])


def nadir(case: str, draws: int) -> np.ndarray:
    verdict = VERDICTS[case]
    regimen = Regimen([0.0], float(verdict["amount"]), float(verdict["hours"]))
    found = lk.forecast.predict(counts_of(case), regimen, verdict["card"], draws=draws).markers["nadir"]
    return np.array([found.low, found.median, found.high])


@pytest.mark.parametrize("case", VERDICTS)
def test_quantiles_of_the_nadir_are_those_of_nuts(case: str) -> None:
    """With many draws, which leave the error of NUTS alone: within 3 %, or three of its standard errors."""
    allowed = np.maximum(0.03, 3 * numbers(VERDICTS[case], ERRORS))
    assert (difference(nadir(case, 40_000), numbers(VERDICTS[case], QUANTILES)) < allowed).all()


def test_with_the_usual_draws_nearly_all_are_within_three_per_cent() -> None:
    """58 of 60 when the cases were drawn; the others are far tails that few counts tell of."""
    off = [difference(nadir(case, 4000), numbers(row, QUANTILES)) for case, row in VERDICTS.items()]
    assert (np.array(off) < 0.03).sum() >= 58


def test_nuts_says_again_what_it_said(script_at: Callable[[Path], ModuleType]) -> None:
    """A thousand new draws of the first patient give the kept quantiles, within four standard errors of both."""
    for package in ("numpyro", "diffrax"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install --group judge")
    judge = script_at(Path(__file__).parents[2] / "benchmarks" / "forecast_judge.py")
    name, row = next(iter(VERDICTS.items()))
    again = judge.verdicts([judge.invented(int(name))], rounds=4)[name][1]
    errors = numbers(row, ERRORS)
    allowed = 4 * np.hypot(errors, again.errors / again.quantiles)
    assert (difference(again.quantiles, numbers(row, QUANTILES)) < allowed).all()


def test_nuts_can_judge() -> None:
    """One divergence in 204,800 draws; in most of the sixty quantiles an error that leaves 3 % its meaning."""
    assert sum(int(row["divergent"]) for row in VERDICTS.values()) <= 1
    errors = np.array([numbers(row, ERRORS) for row in VERDICTS.values()])
    assert (errors < 0.015).sum() >= 40
