"""Limits as functions of age: curves that are known are found again, and what cannot be known is refused."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import leukopenia as lk
from leukopenia import estimated, knowledge
from leukopenia.errors import UsageError
from leukopenia.reference.fit.age_limits import LimitsByAge
from leukopenia.reference.fit.ages import HOURS, hours_at, place
from leukopenia.reference.fit.power import restore, transform

Floats = NDArray[np.float64]

ZS = (-1.959964, 1.959964)
YEAR = HOURS["years"]


def children(years: Floats) -> tuple[Floats, Floats, Floats]:
    """L, M, S that change from 1 to 18 years."""
    return 0.1 + 0.02 * years, 2.6 + 1.4 / (1 + np.exp(-(years - 8) / 2)), 0.42 - 0.005 * years


def newborns(years: Floats) -> tuple[Floats, Floats, Floats]:
    """L, M, S of the first four days: a peak at 14 hours."""
    hours = years * YEAR
    return np.full_like(hours, 0.2), 3.5 + 6.0 * np.exp(-(((hours - 14) / 16) ** 2)), np.full_like(hours, 0.3)


def at_z(z: Floats | float, curves: tuple[Floats, Floats, Floats]) -> Floats:
    power, median, spread = curves
    return median * restore(spread * z, power)


def error(limits: Floats, z: float, curves: tuple[Floats, Floats, Floats]) -> float:
    """Mean distance from the true limit in standard deviations of the healthy."""
    power, median, spread = curves
    return float(np.abs(transform(limits / median, power) / spread - z).mean())


def drawn(n: int, seed: int = 1) -> tuple[Floats, Floats]:
    """Healthy children, evenly on the scale of age."""
    rng = np.random.default_rng(seed)
    years = hours_at(rng.uniform(*place(np.array([1.0, 18.0]) * YEAR), n)) / YEAR
    return np.round(at_z(rng.standard_normal(n), children(years)), 2), years


def contaminated(n: int, seed: int = 1) -> tuple[Floats, Floats]:
    """Children, 4 % of them with low results and 15 % with high ones, of every severity."""
    rng = np.random.default_rng(seed)
    _, years = drawn(n, seed)
    z, who = rng.standard_normal(n), rng.random(n)
    z += np.where(who < 0.04, -rng.exponential(1.5, n), np.where(who > 0.85, rng.exponential(2.0, n), 0.0))
    return np.round(np.maximum(at_z(z, children(years)), 0.01), 2), years


def in_bands(x: Floats, years: Floats, at: Floats, method: str, edges: Floats) -> list[Floats]:
    """Limits of a separate fit in each band."""
    found = [lk.reference.estimate(x[(years >= a) & (years < b)], method=method) for a, b in pairwise(edges)]
    own = np.searchsorted(edges, at, side="right") - 1
    return [np.array([getattr(found[k], side) for k in own]) for side in ("lower", "upper")]


AGES = np.linspace(1.5, 17.0, 40)


@pytest.fixture(scope="module")
def healthy() -> LimitsByAge:
    return lk.reference.by_age(*drawn(4_000), method="direct")


@pytest.fixture(scope="module")
def mixed() -> LimitsByAge:
    return lk.reference.by_age(*contaminated(12_000))


def test_direct_curves_are_found_again_and_better_than_in_bands(healthy: LimitsByAge) -> None:
    bands = np.array([1.0, 3, 6, 9, 12, 15, 18.1])
    ours = [healthy.lower(AGES), healthy.upper(AGES)]
    parts = in_bands(*drawn(4_000), AGES, "direct", bands)
    errors = [[error(side, z, children(AGES)) for side, z in zip(each, ZS, strict=True)] for each in (ours, parts)]
    assert max(errors[0]) < 0.10
    assert 2.0 * np.mean(errors[0]) < np.mean(errors[1])


def test_l_m_and_s_are_found_again_within_their_standard_errors(healthy: LimitsByAge) -> None:
    found = healthy.lms(AGES)
    for name, truth in zip("LMS", children(AGES), strict=True):
        off = np.abs(found[name] - truth) / found[f"{name}_se"]
        assert off.max() < 4
        assert np.mean(off < 2) > 0.75


def test_indirect_limits_see_through_the_ill(mixed: LimitsByAge) -> None:
    assert error(mixed.lower(AGES), ZS[0], children(AGES)) < 0.15
    assert error(mixed.upper(AGES), ZS[1], children(AGES)) < 0.15
    assert 0.70 < mixed.healthy_fraction < 0.92
    uncorrected = lk.reference.by_age(*contaminated(12_000), method="direct")
    assert error(uncorrected.upper(AGES), ZS[1], children(AGES)) > 5 * error(mixed.upper(AGES), ZS[1], children(AGES))


def test_indirect_limits_of_newborns_are_better_than_in_bands() -> None:
    """Where the median triples within hours, a band is too wide or has too few results."""
    errors: list[list[float]] = [[], []]
    for seed in (1, 2, 3):
        rng = np.random.default_rng(seed)
        years = rng.uniform(0, 96, 6_000) / YEAR
        z = rng.standard_normal(6_000)
        z += np.where(rng.random(6_000) > 0.85, rng.exponential(2.0, 6_000), 0.0)
        x = np.round(at_z(z, newborns(years)), 2)
        at = np.linspace(2, 94, 40) / YEAR
        found = lk.reference.by_age(x, years)
        parts = in_bands(x, years, at, "indirect", np.array([0, 10, 20, 32, 48, 72, 96.1]) / YEAR)
        for kept, each in zip(errors, ([found.lower(at), found.upper(at)], parts), strict=True):
            kept += [error(side, z, newborns(at)) for side, z in zip(each, ZS, strict=True)]
    assert max(errors[0]) < 0.25
    assert 1.5 * np.mean(errors[0]) < np.mean(errors[1])


def test_indirect_intervals_cover_and_are_wider_than_direct_ones(healthy: LimitsByAge, mixed: LimitsByAge) -> None:
    for side, z in zip(("lower", "upper"), ZS, strict=True):
        low, high = getattr(mixed, f"{side}_interval")(AGES).T
        truth = at_z(z, children(AGES))
        assert np.mean((low <= truth) & (truth <= high)) > 0.8
        assert np.all(low < getattr(mixed, side)(AGES)) and np.all(getattr(mixed, side)(AGES) < high)
    widths = [np.ptp(found.lower_interval(AGES), axis=1).mean() for found in (healthy, mixed)]
    assert widths[0] < widths[1]


def test_the_first_hours_are_resolved() -> None:
    rng = np.random.default_rng(3)
    hours = rng.uniform(0, 96, 5_000)
    x = np.round(at_z(rng.standard_normal(5_000), newborns(hours / YEAR)), 1)
    found = lk.reference.by_age(x, hours, method="direct", age_unit="hours")
    at = np.array([1.0, 4, 8, 14, 20, 30, 48, 72, 94])
    for limits, z in ((found.lower(at), ZS[0]), (found.upper(at), ZS[1])):
        assert error(limits, z, newborns(at / YEAR)) < 0.12
    days = lk.reference.by_age(x, hours / 24, method="direct", age_unit="days")
    np.testing.assert_allclose(days.lower(at / 24), found.lower(at), rtol=1e-6)


def test_a_shift_between_the_sexes_is_found_and_none_is_made_up() -> None:
    x, years = drawn(12_000)
    sex = np.where(np.random.default_rng(5).random(12_000) < 0.5, "female", "male")
    shifted = np.round(x * np.where(sex == "male", 1.15, 1.0), 2)
    apart = lk.reference.by_age(shifted, years, sex=sex, method="direct")
    ratio = apart.lower(AGES, "male") / apart.lower(AGES, "female")
    assert np.mean(ratio) == pytest.approx(1.15, abs=0.03)
    np.testing.assert_allclose(ratio, 1.15, atol=0.06)
    alike = lk.reference.by_age(x, years, sex=sex, method="direct")
    np.testing.assert_allclose(alike.lower(AGES, "male") / alike.lower(AGES, "female"), 1.0, atol=0.06)
    with pytest.raises(UsageError, match="differ by sex"):
        apart.lower(5.0)
    with pytest.raises(UsageError, match="no curves"):
        apart.lower(5.0, "unknown")


def test_a_thin_group_leans_on_the_others_and_a_full_one_does_not() -> None:
    x, years = drawn(6_000)
    rng = np.random.default_rng(6)
    group = rng.choice(["a", "b", "c", "d"], 6_000, p=[0.44, 0.33, 0.22, 0.01])
    factor = {"a": 1.0, "b": 0.75, "c": 1.1, "d": 0.9}
    shifted = np.round(x * np.vectorize(factor.get)(group), 2)
    found = lk.reference.by_age(shifted, years, group=group, method="direct")
    ratio = found.lower(AGES, group="b") / found.lower(AGES, group="a")
    np.testing.assert_allclose(ratio, 0.75, atol=0.05)
    truth = 0.9 * at_z(ZS[0], children(AGES))
    low, high = found.lower_interval(AGES, group="d").T
    assert np.mean((low < truth) & (truth < high)) > 0.7
    assert np.abs(found.lower(AGES, group="d") / truth - 1).mean() < 0.15
    assert (high - low).mean() > 2 * np.ptp(found.lower_interval(AGES, group="a"), axis=1).mean()


def test_curves_of_what_does_not_change_with_age_are_flat() -> None:
    rng = np.random.default_rng(7)
    years = rng.uniform(1, 80, 5_000)
    found = lk.reference.by_age(np.round(rng.lognormal(1.5, 0.3, 5_000), 2), years, method="direct")
    at = np.linspace(2, 79, 30)
    assert np.ptp(np.log(found.lower(at))) / 0.3 < 0.2
    assert np.ptp(np.log(found.upper(at))) / 0.3 < 0.2
    assert found.freedom["M"] < 4


@pytest.mark.parametrize("method", ["direct", "indirect"])
def test_values_with_counts_are_the_values_repeated(method: str) -> None:
    x, years = drawn(2_500)
    x, years = np.round(x, 1), np.round(years, 1)
    table = pl.DataFrame({"x": x, "age": years}).group_by("x", "age").len().sort("x", "age")
    raw = lk.reference.by_age(x, years, method=method)
    counted = lk.reference.by_age(table["x"], table["age"], counts=table["len"], method=method)
    np.testing.assert_allclose(counted.lower(AGES), raw.lower(AGES), rtol=1e-6)
    np.testing.assert_allclose(counted.upper(AGES), raw.upper(AGES), rtol=1e-6)


def test_weights_stand_for_repeated_rows() -> None:
    x, years = drawn(5_000)
    weights = np.random.default_rng(8).choice([1, 2, 3], 5_000)
    equal, none = (lk.reference.by_age(x, years, weights=w, method="direct") for w in (np.full(5_000, 7.5), None))
    np.testing.assert_allclose(equal.lower(AGES), none.lower(AGES), rtol=1e-6)
    heavy = np.where(x > np.median(x), 3.0, 1.0)
    for given in (weights.astype(float), heavy):
        weighted = lk.reference.by_age(x, years, weights=given, method="direct")
        repeated = lk.reference.by_age(
            np.repeat(x, given.astype(int)), np.repeat(years, given.astype(int)), method="direct"
        )
        curves = [found.lms(AGES) for found in (weighted, repeated)]
        assert np.abs(np.log(curves[0]["M"] / curves[1]["M"]) / curves[1]["S"]).mean() < 0.05
        assert weighted.n < repeated.n


def test_percentiles_fit_the_limits_and_never_cross(mixed: LimitsByAge) -> None:
    np.testing.assert_allclose(mixed.percentile(mixed.lower(AGES), AGES), 2.5, atol=1e-6)
    np.testing.assert_allclose(mixed.percentile(mixed.upper(AGES), AGES), 97.5, atol=1e-6)
    many = lk.reference.by_age(*contaminated(3_000), percentiles=(0.5, 2.5, 10, 50, 90, 97.5, 99.5))
    table = many.limits(AGES)
    curves = np.array([table[f"p{p:g}"] for p in many.percentiles])
    assert np.all(np.diff(curves, axis=0) > 0)
    assert many.z(many.lms(5.0)["M"][0], 5.0) == pytest.approx(0.0, abs=1e-9)
    assert isinstance(many.lower(5.0), float) and many.percentile(0.0, 5.0) < 0.01
    assert many.z(np.array([[2.0, 3.0], [2.0, 3.0]]), np.array([[5.0], [9.0]])).shape == (2, 2)


def test_the_answer_depends_neither_on_seed_nor_on_order(mixed: LimitsByAge) -> None:
    x, years = contaminated(12_000)
    again = lk.reference.by_age(x, years, seed=99)
    np.testing.assert_array_equal(again.lower(AGES), mixed.lower(AGES))
    order = np.random.default_rng(9).permutation(len(x))
    shuffled = lk.reference.by_age(x[order], years[order])
    np.testing.assert_allclose(shuffled.lower(AGES), mixed.lower(AGES), rtol=1e-5)


def test_where_there_are_too_few_results_there_are_no_limits() -> None:
    x, years = drawn(6_000)
    kept = (years < 4) | (years > 15)
    found = lk.reference.by_age(x[kept], years[kept], method="direct")
    at = np.array([0.2, 2.0, 7.5, 16.5, 40.0])
    assert np.isnan(found.lower(at)).tolist() == [True, False, True, False, True]
    assert np.isnan(found.z(np.full(5, 3.0), at)).tolist() == [True, False, True, False, True]
    assert np.isnan(found.limits(at)["p97.5_high"]).tolist() == [True, False, True, False, True]
    rows = found.table("neutrophils", "10*9/L")
    assert not any(row["age_low"] <= 7.5 < row["age_high"] for row in rows)


def test_a_table_of_limits_follows_the_curves(mixed: LimitsByAge) -> None:
    rows = mixed.table("neutrophils", "10*9/L")
    assert list(rows[0]) == ["analyte", "sex", "age_low", "age_high", "lower", "upper", "unit"]
    assert {(row["analyte"], row["sex"], row["unit"]) for row in rows} == {("neutrophils", "any", "10*9/L")}
    assert 3 <= len(rows) <= 40
    assert [row["age_high"] for row in rows[:-1]] == [row["age_low"] for row in rows[1:]]
    for row in rows:
        inside = np.linspace(row["age_low"] + 0.01, row["age_high"] - 0.01, 9)
        inside = inside[(inside > 1.01) & (inside < 17.9)]
        assert np.abs(mixed.z(np.full(len(inside), row["lower"]), inside) - ZS[0]).max() < 0.25
    taken = estimated.rows(pl.DataFrame(rows), knowledge.load())
    assert [float(row["low"]) for row in taken] == [row["lower"] for row in rows]
    coarse = mixed.table("neutrophils", "10*9/L", tolerance=0.4)
    assert len(coarse) < len(rows)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ages": "negative"}, "negative"),
        ({"ages": "missing"}, "missing"),
        ({"ages": "text"}, "must be numbers"),
        ({"ages": "days"}, "above 130 years"),
        ({"ages": "short"}, "differ in length"),
        ({"values": "text"}, "text"),
        ({"values": "negative"}, "below 0"),
        ({"sex": ["F", None] * 1_000}, "sex: 1000 of 2000 are missing"),
        ({"sex": ["F"] * 3}, "differ in length"),
        ({"method": "magic"}, "no method"),
        ({"age_unit": "weeks"}, "no unit of age"),
        ({"percentiles": (0, 97.5)}, "between 0 and 100"),
        ({"confidence": 1.5}, "confidence"),
    ],
)
def test_bad_input_is_an_error(change: dict[str, object], words: str) -> None:
    x, years = drawn(2_000)
    bad = {
        "negative": lambda good: np.where(np.arange(2_000) == 7, -1.0, good),
        "missing": lambda good: np.where(np.arange(2_000) == 7, np.nan, good),
        "text": lambda good: np.array(["<0.1"] * 2_000),
        "days": lambda good: good * 365,
        "short": lambda good: good[:-1],
    }
    good = {"values": x, "ages": years}
    given = good | {
        name: bad[how](good[name]) if name in good and isinstance(how, str) else how for name, how in change.items()
    }
    with pytest.raises(UsageError, match=words):
        lk.reference.by_age(**given)


@pytest.mark.parametrize(
    ("x", "years", "words"),
    [
        (drawn(900)[0], drawn(900)[1], "900 results are too few.*1000 would be enough"),
        (np.full(2_000, 4.0), drawn(2_000)[1], "equal"),
        (np.round(drawn(2_000)[0] / 3), drawn(2_000)[1], "coarsely"),
        (drawn(2_000)[0], np.full(2_000, 5.0), "one age"),
        (np.clip(drawn(2_000)[0], 2, 6) * np.where(np.arange(2_000) % 3, 1, 1000), drawn(2_000)[1], "two units"),
    ],
)
def test_what_cannot_be_estimated_is_refused(x: Floats, years: Floats, words: str) -> None:
    found = lk.reference.by_age(x, years)
    assert found.refused and re.search(words, found.verdict)
    assert np.isnan(found.lower(5.0)) and np.isnan(found.upper_interval(5.0)).all()
    assert np.isnan(found.percentile(3.0, 5.0)) and np.isnan(found.lms(5.0)["M"]).all()
    assert found.table("wbc", "10*9/L") == [] and found.freedom == {}


def test_a_sex_of_hardly_anybody_is_refused() -> None:
    x, years = drawn(2_000)
    found = lk.reference.by_age(x, years, sex=["X"] * 5 + ["F"] * 1_995)
    assert found.refused and "X any" in found.verdict


@pytest.fixture(scope="module")
def survey(shared: Path) -> pl.DataFrame:
    rows = pl.read_parquet(shared / "data" / "nhanes-cbc" / "nhanes_cbc_demo_2011_2018.parquet")
    exact = pl.coalesce((pl.col("RIDEXAGM") + 0.5) / 12, pl.col("RIDAGEYR") + 0.5)
    return rows.filter(pl.col("RIDEXPRG").fill_null(0) != 1, pl.col("WTMEC2YR") > 0).with_columns(age=exact)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("line", "bands"),
    [
        ("LBDNENO", {(1, 3): 1.07, (3, 6): 1.31, (6, 12): 1.40, (12, 18): 1.45, (18, 100): 1.83}),
        ("LBXWBCSI", {(18, 100): 3.99}),
    ],
)
def test_curves_of_the_united_states_agree_with_percentiles_of_bands(
    survey: pl.DataFrame, line: str, bands: dict[tuple[int, int], float]
) -> None:
    rows = survey.filter(pl.col(line).is_not_null())
    found = lk.reference.by_age(rows[line], rows["age"], weights=rows["WTMEC2YR"], method="direct")
    for (young, old), published in bands.items():
        here = rows.filter(pl.col("RIDAGEYR") >= young, pl.col("RIDAGEYR") < old)
        mean = np.average(found.lower(here["age"].to_numpy()), weights=here["WTMEC2YR"].to_numpy())
        assert mean == pytest.approx(published, abs=0.08)
