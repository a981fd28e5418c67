"""The tools that make nhanes_limits.csv and lms.csv: on an invented survey, and on the real one where it is at hand."""

from __future__ import annotations

import csv
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[2]
TRUTH = {"l": 0.2, "s": 0.35}


@pytest.fixture(scope="module")
def tools() -> Iterator[dict[str, ModuleType]]:
    folder = str(ROOT / "tools")
    sys.path.insert(0, folder)
    try:
        yield {name: importlib.import_module(name) for name in ("survey", "lms_fit", "nhanes_limits")}
    finally:
        sys.path.remove(folder)


def median(age: Any) -> Any:
    """The median of the invented population: it rises in childhood."""
    return 3.0 + 1.2 / (1 + np.exp(-(age - 12) / 3))


def true_limit(age: Any, z: float) -> Any:
    return median(age) * (1 + TRUTH["l"] * TRUTH["s"] * z) ** (1 / TRUTH["l"])


def survey_of(seed: int, persons: int = 40) -> pl.DataFrame:
    """30 strata of two units each; units differ, and the young are sampled twice as densely."""
    rng = np.random.default_rng(seed)
    stratum = np.repeat(np.arange(30), 2 * persons)
    unit = np.tile(np.repeat([1, 2], persons), 30)
    age = np.exp(rng.uniform(0, np.log(80), stratum.size))
    shift = rng.normal(0, 0.25, (30, 2))[stratum, unit - 1]
    z = 0.97 * rng.normal(size=stratum.size) + shift
    value = median(age) * np.maximum(1 + TRUTH["l"] * TRUTH["s"] * z, 0.01) ** (1 / TRUTH["l"])
    # A few have leukaemia; they bear on no limit.
    value[rng.random(stratum.size) < 0.003] *= 30
    return pl.DataFrame(
        {
            "age": age,
            "RIDAGEYR": np.floor(age),
            "value": np.round(value, 1),
            "WTMEC2YR": np.where(age < 18, 1.0, 2.0) * rng.uniform(0.5, 1.5, stratum.size),
            "SDMVSTRA": stratum,
            "SDMVPSU": unit,
        }
    )


def sample_of(tools: dict[str, ModuleType], rows: pl.DataFrame) -> Any:
    limits = tools["nhanes_limits"]
    return limits.sample(rows, 0.1, limits.design(rows))


def test_a_percentile_of_rounded_values_spreads_each_over_its_cell(tools: dict[str, ModuleType]) -> None:
    survey = tools["survey"]
    ones = np.ones(4)
    place = np.array([1, 1, 2, 2]), np.array([1, 2, 1, 2])
    made = survey.Sample(np.array([1.0, 1.1, 1.1, 1.2]), ones, *place, 0.1, np.column_stack(place))
    assert survey.percentile(made, 0.5)[0] == pytest.approx(1.1)
    assert survey.percentile(made, 0.125)[0] == pytest.approx(1.0)
    assert survey.percentile(made, 0.375)[0] == pytest.approx(1.075)
    heavy = survey.Sample(made.value, np.array([3.0, 1, 1, 1]), *place, 0.1, made.design)
    assert survey.percentile(heavy, 0.25)[0] == pytest.approx(1.0)


def test_the_variance_of_a_total_is_that_between_the_units_of_a_stratum(tools: dict[str, ModuleType]) -> None:
    survey = tools["survey"]
    stratum, unit = np.array([1, 1, 1, 2]), np.array([1, 1, 2, 1])
    design = np.array([[1, 1], [1, 2], [2, 1], [2, 2], [2, 3], [3, 1]])
    made = survey.Sample(np.ones(4), np.ones(4), stratum, unit, 0.1, design)
    # Stratum 1: totals 3 and 5; stratum 2: 6, 0 and 0, for nobody chosen lives in two of its units; 3 has one unit.
    found = survey.variance_of_total(np.array([[1.0], [2.0], [5.0], [6.0]]), made)
    assert found[0, 0] == pytest.approx(2 / 1 * 2 * 1.0 + 3 / 2 * (16 + 4 + 4))


def test_standard_errors_say_how_far_surveys_scatter(tools: dict[str, ModuleType]) -> None:
    made = [tools["survey"].percentile(sample_of(tools, survey_of(seed)), 0.025) for seed in range(150)]
    limits, errors = np.array(made).T
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(limits.std(ddof=1), rel=0.2)


def fitted(tools: dict[str, ModuleType], seed: int, persons: int = 40) -> dict[str, Any]:
    rows = survey_of(seed, persons)
    knots = ((1, 80), (1, 4, 9, 13, 18, 30, 80), (1, 80))
    made = tools["lms_fit"].fit(sample_of(tools, rows), rows["age"].to_numpy(), (6.0, 18.0), knots)
    return made.at(np.array([2.0, 6.0, 12.0, 20.0, 50.0]))


def test_the_curves_of_an_invented_survey_are_found(tools: dict[str, ModuleType]) -> None:
    ages = np.array([2.0, 6.0, 12.0, 20.0, 50.0])
    made = fitted(tools, 1, persons=300)
    assert np.allclose(made["m"], median(ages), rtol=0.06)
    assert np.allclose(made["s"], TRUTH["s"], atol=0.02)
    assert np.all(np.abs(made["low"] - true_limit(ages, -1.96)) < 4 * made["low_se"])
    assert np.all(np.abs(made["high"] - true_limit(ages, 1.96)) < 4 * made["high_se"])


def test_the_errors_of_the_curves_say_how_far_surveys_scatter(tools: dict[str, ModuleType]) -> None:
    made = [fitted(tools, seed) for seed in range(40)]
    for name in ("low", "m", "high"):
        scatter = np.std([one[name] for one in made], axis=0, ddof=1)
        told = np.sqrt(np.mean([one[f"{name}_se"] ** 2 for one in made], axis=0))
        assert np.all((told / scatter > 0.65) & (told / scatter < 1.5)), name


@pytest.mark.parametrize("z", [-1.96, 0.0, 1.96])
def test_the_slopes_of_the_likelihood_are_those_of_the_likelihood(tools: dict[str, ModuleType], z: float) -> None:
    fit = tools["lms_fit"]
    ages = np.array([2.0, 30.0, 60.0, 70.0])
    bases = fit._bases(ages, ((1, 80), (1, 10, 80), (1, 80)))
    low = np.array([float(true_limit(2.0, z)), 0.0, 3.0, 3.0])
    high = np.array([low[0] + 0.1, 2.0, np.inf, 3.1])
    theta = np.array([0.0, 0.3, 1.0, 1.2, 1.4, -1.0, -0.9])
    _, scores = fit._scores(theta, bases, low, high)
    for place in range(theta.size):
        step = 1e-6 * np.eye(theta.size)[place]
        up, down = (fit._scores(theta + sign * step, bases, low, high)[0] for sign in (1, -1))
        assert np.allclose(scores[:, place], (up - down) / 2e-6, rtol=1e-4, atol=1e-6)


def shipped(name: str) -> list[dict[str, str]]:
    with (ROOT / "src" / "leukopenia" / "knowledge" / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.shared
def test_the_shipped_limits_are_those_of_the_public_files(shared: Path, tools: dict[str, ModuleType]) -> None:
    limits = tools["nhanes_limits"]
    rows = limits.people(shared)
    made = [
        {name: str(cell) for name, cell in row.items()} for line in limits.LINES for row in limits.limits(rows, line)
    ]
    assert made == shipped("nhanes_limits")


@pytest.mark.shared
def test_the_shipped_curves_are_those_of_the_public_files(shared: Path, tools: dict[str, ModuleType]) -> None:
    limits = tools["nhanes_limits"]
    rows, group = limits.people(shared), "non_hispanic_black"
    made = list(limits.curves(rows, "neutrophils", [group]))
    wanted = [row for row in shipped("lms") if (row["analyte"], row["group"]) == ("neutrophils", group)]
    assert len(made) == len(wanted) == 64
    for row, kept in zip(made, wanted, strict=True):
        assert (row["sex"], row["age_years"]) == (kept["sex"], kept["age_years"])
        for name in ("l", "m", "s", "low", "low_se", "high", "high_se"):
            assert float(row[name]) == pytest.approx(float(kept[name]), rel=0.01, abs=0.002), (row, name)
