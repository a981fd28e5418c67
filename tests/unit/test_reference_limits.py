"""Limits of strata: what is told of them, the table for `run`, published intervals beside them, drawings."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import leukopenia as lk
from leukopenia import estimated as estimated_limits
from leukopenia import knowledge, reference_limits, reference_pictures, references
from leukopenia.errors import UsageError
from leukopenia.reference_results import Asked, Counted
from leukopenia.references import Estimated, Limits, Terms
from leukopenia.report import reference_plots

NOTHING = Counted(pl.DataFrame(), (), [], {})
SVG = "{http://www.w3.org/2000/svg}"


def results(n: int = 3000, centre: float = 6.0, seed: int = 1) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Routine results: nine in ten healthy, the others low or high; rounded to 0.1."""
    draw = np.random.default_rng(seed)
    healthy = draw.lognormal(math.log(centre), 0.25, round(0.9 * n))
    ill = np.concatenate([draw.normal(2.5, 0.7, n // 20), draw.normal(14, 3, n // 20)])
    return np.clip(np.concatenate([healthy, ill]), 0.1, None).round(1)


def estimated(folder: Path, table: pl.DataFrame, terms: Terms | None = None, **asked: Any) -> Estimated:
    path = folder / "results.parquet"
    table.write_parquet(path)
    return references.of_file(path, Asked(**asked), terms or Terms(), knowledge.load(), drawn=True)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Limits:
    table = pl.DataFrame({"wbc": results()})
    return estimated(tmp_path_factory.mktemp("one"), table, units=("K/uL",)).limits[0]


def test_a_file_gives_what_the_function_gives(one: Limits) -> None:
    direct = lk.reference.estimate(*np.unique(results(), return_counts=True))
    assert (one.lower, one.upper) == (direct.lower, direct.upper)
    assert one.lower_interval == direct.lower_interval
    assert (one.n, one.verdict) == (3000, direct.verdict)


def test_every_stratum_has_its_own_limits(tmp_path: Path) -> None:
    values = np.concatenate([results(centre=5.0), results(centre=8.0, seed=2), results(40)])
    table = pl.DataFrame(
        {"wbc": values, "sex": ["f"] * 3000 + ["m"] * 3000 + ["f"] * 40, "age": [30] * 6000 + [70] * 40}
    )
    found = estimated(tmp_path, table, by=("sex",), ages=(18, 65)).limits
    assert [(row.sex, row.ages, row.refused) for row in found] == [
        ("female", (18.0, 65.0), False),
        ("female", (65.0, math.inf), True),
        ("male", (18.0, 65.0), False),
    ]
    assert found[0].lower < 0.75 * found[2].lower
    assert "500 would be enough" in found[1].verdict and math.isnan(found[1].lower)


def test_processes_give_the_same_limits_in_the_same_order(tmp_path: Path) -> None:
    wards = [f"w{ward}" for ward in range(references._FEW + 2)]
    table = pl.DataFrame({"wbc": np.tile(results(60), len(wards)), "ward": np.repeat(wards, 60)})
    path = tmp_path / "results.parquet"
    table.write_parquet(path)
    asked, terms, seen = Asked(by=("ward",)), Terms("nonparametric"), []
    apart = references.of_file(
        path, asked, terms, knowledge.load(), jobs=2, progress=lambda stage, done, of: seen.append((done, of))
    )
    together = references.of_file(path, asked, terms, knowledge.load())
    tables = [reference_limits.table(found.limits) for found in (apart, together)]
    assert tables[0].equals(tables[1])
    assert tables[0]["ward"].to_list() == sorted(wards)
    assert seen[-1] == (len(wards), len(wards))


def test_censored_results_count_as_lower_than_their_bound(tmp_path: Path) -> None:
    values = [f"{value:.1f}" if value > 4 else "<4.0" for value in results()]
    found = estimated(tmp_path, pl.DataFrame({"value": values})).limits[0]
    assert found.censored == sum(value == "<4.0" for value in values)
    assert not found.refused
    assert 3.2 < found.lower < 4.2
    ranks = estimated(tmp_path, pl.DataFrame({"value": values}), Terms("direct")).limits[0]
    assert (ranks.method, ranks.lower) == ("nonparametric", 4.0)
    assert "at or below the detection limit 4" in ranks.verdict
    needs_values = estimated(tmp_path, pl.DataFrame({"value": values}), Terms("parametric")).limits[0]
    assert needs_values.refused and "nonparametric" in needs_values.verdict


def test_a_wide_gap_between_results_is_told(tmp_path: Path) -> None:
    thousandfold = np.concatenate([results(), 1000 * results(400)])
    refused = estimated(tmp_path, pl.DataFrame({"value": thousandfold})).limits[0]
    assert refused.refused and "two units" in refused.verdict
    apart = np.concatenate([np.clip(results(), 2.0, 20.0), np.clip(60 * results(400), 260.0, 500.0)])
    verdict = estimated(tmp_path, pl.DataFrame({"value": apart})).limits[0].verdict
    assert "12% of the results lie" in verdict and "Two units?" in verdict
    assert "Two units" not in estimated(tmp_path, pl.DataFrame({"value": results()})).limits[0].verdict


def test_direct_limits_take_survey_weights(tmp_path: Path) -> None:
    table = pl.DataFrame({"value": [4.0, 5.0, 6.0] * 60, "weight": [1.0, 2.0, 1.0] * 60})
    found = estimated(tmp_path, table, Terms("direct", (50.0,))).limits[0]
    assert found.limits.tolist() == [5.0]
    assert found.n == 180


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (Terms("bootstrap"), "no method"),
        (Terms(percentiles=(0.0, 97.5)), "between 0 and 100"),
        (Terms(confidence=90.0), "confidence"),
        (Terms("direct", detection_limit=0.1), "detection limit"),
    ],
)
def test_wrong_terms_are_refused_before_the_file_is_read(tmp_path: Path, terms: Terms, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        references.of_file(tmp_path / "absent.csv", Asked(), terms, knowledge.load())


def test_all_equal_says_what_would_be_enough(tmp_path: Path) -> None:
    found = estimated(tmp_path, pl.DataFrame({"value": [5.0] * 900})).limits[0]
    assert found.refused
    assert "equal" in found.verdict and "500" in found.verdict


def test_the_table_has_the_columns_that_run_asks_for(one: Limits) -> None:
    row = reference_limits.table([one]).to_dicts()[0]
    asked = ("analyte", "sex", "age_low", "age_high", "unit", "lower", "upper", "n")
    assert {name: row[name] for name in asked} == {
        "analyte": "wbc",
        "sex": "any",
        "age_low": None,
        "age_high": None,
        "unit": "10^9/L",
        "lower": pytest.approx(one.lower, abs=1e-6),
        "upper": pytest.approx(one.upper, abs=1e-6),
        "n": 3000,
    }
    assert row["lower_from"] < row["lower"] < row["lower_to"] < row["upper_from"] < row["upper"] < row["upper_to"]


def test_further_columns_and_percentiles_stand_in_the_table(tmp_path: Path) -> None:
    table = pl.DataFrame({"wbc": results(), "unit": ["K/uL"] * 3000, "method": ["a"] * 3000})
    found = estimated(tmp_path, table, Terms(percentiles=(50.0, 2.5, 97.5)), by=("method",)).limits
    row = reference_limits.table(found).to_dicts()[0]
    assert (row["by_method"], row["method"]) == ("a", "indirect")
    assert row["lower"] < row["p50"] < row["upper"]


def test_one_limit_alone_is_told_as_such(tmp_path: Path) -> None:
    found = estimated(tmp_path, pl.DataFrame({"wbc": results()}), Terms(percentiles=(95.0,))).limits[0]
    told = reference_limits.as_json(found)
    assert told["lower"] is None and told["lower_interval"] == [None, None]
    assert told["upper"] == pytest.approx(found.limits[0], abs=1e-6)


def test_json_has_no_number_that_json_does_not_know(tmp_path: Path) -> None:
    found = estimated(tmp_path, pl.DataFrame({"wbc": results(30)})).limits[0]
    told = reference_limits.as_json(found, (4.0, 10.0))
    assert told["refused"] and told["lower"] is None and told["healthy_fraction"] is None
    assert told["against"]["lower"]["colour"] is None


def test_against_is_an_interval() -> None:
    assert reference_limits.target_of("4.0, 10") == (4.0, 10.0)
    assert reference_limits.target_of("") is None
    for text in ("4", "10,4", "a,b", "0,4", "4,inf", "1,2,3"):
        with pytest.raises(UsageError, match="--against"):
            reference_limits.target_of(text)


def test_published_intervals_stand_beside_it_with_their_colours(one: Limits) -> None:
    rows = reference_limits.published(one, knowledge.load())
    assert {row.row["analyte"] for row in rows} == {"wbc"}
    lows = [float(row.row["low"]) for row in rows if row.row["low"]]
    assert lows == sorted(lows) and len(lows) > 4
    by_name = {row.row["interval_id"]: row for row in rows}
    nordic = by_name["nordic-wbc-adult"]
    lights = lk.reference.fit.verify.traffic_light((one.lower, one.upper), (3.5, 8.8))
    assert [nordic.lower.colour, nordic.upper.colour] == [light.colour for light in lights]
    assert [name for name, row in by_name.items() if row.in_force and row.row["context"] == "general"] == [
        "nhanes-wbc-any-18y"
    ]
    assert not any(row.row["age_to_hours"] == "26298" for row in rows)


def test_published_intervals_fit_sex_and_age(tmp_path: Path) -> None:
    table = pl.DataFrame({"wbc": results(), "unit": ["K/uL"] * 3000, "sex": ["M"] * 3000, "age": [2] * 3000})
    boys = estimated(tmp_path, table, by=("sex",), ages=(1, 3)).limits[0]
    rows = [row.row for row in reference_limits.published(boys, knowledge.load())]
    assert "nhanes-wbc-any-1y-3y" in {row["interval_id"] for row in rows}
    assert all(row["sex"] in ("any", "male") and int(row["age_from_hours"]) < 3 * 8766 for row in rows)
    assert not any(row["context"] == "pregnant" for row in rows)


def test_no_published_interval_for_another_unit_or_analyte(tmp_path: Path) -> None:
    found = estimated(tmp_path, pl.DataFrame({"zinc": results()}), values=("zinc",)).limits[0]
    assert reference_limits.published(found, knowledge.load()) == []


def parsed(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)


def test_the_drawing_is_one_svg_with_words_for_those_who_cannot_see_it(one: Limits) -> None:
    tree = parsed(reference_pictures.drawing(Estimated([one], NOTHING), (4.0, 10.0)))
    assert tree.tag == f"{SVG}svg"
    assert not list(tree.iter(f"{SVG}script"))
    said = " ".join(text for desc in tree.iter(f"{SVG}desc") for text in desc.itertext())
    assert f"percentile 2.5: {one.lower:.3g}" in said
    assert f"Lower limit {one.lower:.3g} against 4: green" in said
    drawn = {line.get("class") for line in tree.iter(f"{SVG}polyline")}
    assert drawn == {"part p-healthy", "part p-left", "part p-right"}


@pytest.mark.parametrize("near", [(4.9, 5.0, 5.1), (0.1, 0.2, 0.3), (9.7, 9.8, 9.9), (1, 2, 3, 4, 5, 6, 7)])
def test_labels_of_near_limits_do_not_overlap(near: tuple[float, ...]) -> None:
    edges = np.linspace(0, 10, 41)
    limits = [(float(place + 1), limit, (limit - 0.1, limit + 0.1)) for place, limit in enumerate(near)]
    shown = reference_plots.Histogram("x", "", 40, edges, np.ones(40), {}, limits, 0.9)
    tree = parsed(reference_plots.histogram(shown, "k").replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))
    names = [text for text in tree.iter(f"{SVG}text") if text.get("class") == "limit-name"]
    spans = sorted((float(text.get("x", 0)), 3.5 * len(text.text or "")) for text in names)
    assert len(spans) == len(near)
    assert spans[0][0] - spans[0][1] >= 0 and spans[-1][0] + spans[-1][1] <= reference_plots.WIDTH
    assert all(right - half > left + width for (left, width), (right, half) in pairwise(spans))


def test_markup_in_the_data_stays_text(tmp_path: Path) -> None:
    table = pl.DataFrame({"value": results(), "ward": ["<script>alert(1)</script>"] * 3000})
    found = estimated(tmp_path, table, by=("ward",))
    tree = parsed(reference_pictures.drawing(found))
    assert not list(tree.iter(f"{SVG}script"))
    assert "<script" not in reference_pictures.page(found, "<script>.csv")


def test_too_many_drawings_are_refused(one: Limits) -> None:
    with pytest.raises(UsageError, match="too many"):
        reference_pictures.drawing(Estimated([one] * 13, NOTHING))


def test_percentiles_by_age_are_drawn_with_the_band_of_the_lowest() -> None:
    ages = np.linspace(0, 80, 60)
    middle = 4 - np.exp(-ages / 5)
    curves = {p: middle * factor for p, factor in ((2.5, 0.4), (25.0, 0.8), (50.0, 1.0), (75.0, 1.3), (97.5, 1.9))}
    shown = reference_plots.AgeCurves("neutrophils", "10^9/L", ages, curves, (middle * 0.35, middle * 0.45))
    tree = parsed(reference_plots.stacked([("neutrophils", reference_plots.age_chart(shown, "a"))]))
    assert [line.get("class") for line in tree.iter(f"{SVG}polyline")] == [
        "curve outer",
        "curve inner",
        "curve median",
        "curve inner",
        "curve outer",
    ]
    assert len(list(tree.iter(f"{SVG}polygon"))) == 1
    said = " ".join(text for desc in tree.iter(f"{SVG}desc") for text in desc.itertext())
    assert "at 18 years 1.59" in said


def test_the_page_lists_strata_sources_and_what_was_left_out(tmp_path: Path) -> None:
    values = [*map(str, results()), "hemolyzed"]
    found = estimated(tmp_path, pl.DataFrame({"wbc": values}), units=("K/uL",))
    page = reference_pictures.page(found, "ours.csv", (4.0, 10.0))
    assert page.count("<svg") > 4
    assert "not resulted by the laboratory" in page
    assert knowledge.citation("nhanes_2011_2018")[:40] in page
    assert "Held against 4 to 10" in page


@pytest.mark.parametrize(
    ("ages", "said"),
    [
        ((18.0, 65.0), "18 to 65 years"),
        ((0.0, 1.0), "0 years to 1 year"),
        ((1.0, math.inf), "1 year and over"),
        ((65.0, math.inf), "65 years and over"),
        ((17 / 12, 2.0), "17 months to 2 years"),
        ((0.0, 28 * 24 / 8766), "0 years to 28 days"),
        ((4.5, 8.5), "4.5 to 8.5 years"),
    ],
)
def test_ages_in_words(one: Limits, ages: tuple[float, float], said: str) -> None:
    assert replace(one, ages=ages).age_words == said


def growing(n: int = 3000) -> pl.DataFrame:
    """Healthy children whose counts rise with age, boys a tenth higher."""
    draw = np.random.default_rng(3)
    ages, boys = draw.uniform(1, 18, n), draw.random(n) < 0.5
    values = (3 + 0.15 * ages) * (1 + 0.1 * boys) * draw.lognormal(0, 0.2, n)
    return pl.DataFrame({"anc": values.round(2), "age": ages, "sex": np.where(boys, "M", "F")})


def test_limits_follow_the_age_without_bands(tmp_path: Path) -> None:
    found = estimated(tmp_path, growing(), Terms("direct"), by=("sex", "age"), units=("10*9/L",))
    assert [dict(curve.strata) for curve in found.curves] == [{"sex": "female"}, {"sex": "male"}]
    girls = found.curves[0]
    truth = (3 + 0.15 * girls.ages) * math.exp(-1.96 * 0.2)
    assert np.nanmax(np.abs(girls.percentiles[2.5] / truth - 1)) < 0.12
    mine = [row for row in found.limits if row.sex == "female"]
    assert mine[0].ages is not None and mine[-1].ages is not None
    assert [row.ages[1] for row in mine[:-1] if row.ages] == [row.ages[0] for row in mine[1:] if row.ages]
    assert mine[0].lower < mine[-1].lower
    assert all(low < row.lower < high for row in mine for low, high in [row.lower_interval])
    assert sum(row.n for row in found.limits) == pytest.approx(3000, abs=30)
    tree = parsed(reference_pictures.drawing(found))
    assert len(list(tree.iter(f"{SVG}polygon"))) == 2
    assert "Percentiles by age" in reference_pictures.page(found, "children.csv")


def test_the_bands_of_curves_are_limits_for_run(tmp_path: Path) -> None:
    found = estimated(tmp_path, growing(), Terms("direct"), by=("age",), units=("10*9/L",))
    rows = estimated_limits.rows(reference_limits.table(found.limits), knowledge.load())
    assert len(rows) == len(found.limits) > 1
    assert {row["analyte"] for row in rows} == {"neutrophils"}


def test_too_few_for_curves_is_a_refusal_in_words(tmp_path: Path) -> None:
    found = estimated(tmp_path, growing(60), by=("age",)).limits
    assert [row.refused for row in found] == [True]
    assert "would be enough" in found[0].verdict


def test_completed_years_are_taken_in_their_middle(tmp_path: Path) -> None:
    table = pl.DataFrame({"value": [4.0, 5.0], "age": [3, 4]})
    found = estimated(tmp_path, table, Terms("direct"), by=("age",))
    assert found.counted.rows["age"].to_list() == [3.5, 4.5]


@pytest.mark.parametrize("terms", [Terms("robust"), Terms(detection_limit=0.1)])
def test_curves_take_no_such_terms(tmp_path: Path, terms: Terms) -> None:
    with pytest.raises(UsageError, match=r"curves|Curves"):
        estimated(tmp_path, growing(60), terms, by=("age",))
