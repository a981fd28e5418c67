"""The forecasts of a run: open episodes with a card and known doses, and those without."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from commands import succeeds, text
from polars.testing import assert_frame_equal
from test_forecast import LABS, hospital

import leukopenia as lk
from leukopenia import contracts

DOSE = ("Docetaxel 180 mg", "2026-01-05T09:00", 1.0, 180.0, "mg")
BEFORE = ("Docetaxel 180 mg", "2025-12-15T09:00", 1.0, 180.0, "mg")
WAYS = ["same dose", "75 % of the dose", "same dose, 7 days later"]


def tables(source: Path, engine: str = "duckdb", **policy: Any) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    with lk.run(source, engine=engine, policy=policy, frame="polars") as result:
        found = (result.tables[name] for name in ("episodes", "forecasts", "forecast_markers"))
        episodes, forecasts, markers = found
    assert forecasts.columns == contracts.FORECASTS.names
    assert markers.columns == contracts.FORECAST_MARKERS.names
    assert not forecasts.select("episode_id", "day").is_duplicated().any()
    return episodes, forecasts.sort("episode_id", "day"), markers.sort("episode_id", "marker")


@pytest.fixture(scope="module")
def treated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hospital(tmp_path_factory.mktemp("treated"), DOSE)


def test_an_open_episode_after_a_known_dose_is_forecast_day_by_day(treated: Path) -> None:
    episodes, forecasts, markers = tables(treated)
    (one,) = episodes.filter(analyte="neutrophils").to_dicts()
    assert one["state"] == "open"
    rows = forecasts.filter(episode_id=one["episode_id"])
    assert set(rows["basis"]) == {"card"} and set(rows["status"]) == {"forecast"}
    assert rows["day"].to_list() == list(range(32)), "40 days from the dose on 5 January, asked on the 13th"
    ordered = rows.select((pl.col(a) < pl.col(b)).all() for a, b in _pairs("low middle_low median middle_high high"))
    assert all(ordered.row(0))
    assert rows["p_recovered"].is_sorted() and rows["p_recovered"][-1] > 0.9
    total = rows.select(pl.sum_horizontal(f"p_grade_{n}" for n in (1, 2, 3, 4))).to_series()
    assert total.is_between(0, 1 + 1e-9).all()
    assert rows["rests_on"][0] == "netterberg2017-docetaxel" and rows["source_id"][0]
    assert {"nadir", "nadir_day", "recovery_to_1.0", "time_to_baseline"} <= set(markers["marker"])


def _pairs(names: str) -> list[tuple[str, str]]:
    return list(pairwise(names.split()))


def test_the_table_says_what_the_command_says(treated: Path) -> None:
    """A thousand draws against four thousand: the same within the error of the draws."""
    told = json.loads(succeeds("forecast", treated, "--patient", "7", "--json"))
    *_, markers = tables(treated)
    found = {row["marker"]: row for row in markers.to_dicts()}
    for name, near in (("nadir", 0.1), ("nadir_day", 0.5), ("recovery_to_1.0", 0.5)):
        for part in ("low", "median", "high"):
            assert found[name][part] == pytest.approx(told["markers"][name][part], abs=near)


@pytest.mark.parametrize("engine", ["polars", "spark"])
def test_every_engine_tells_the_same(treated: Path, engine: str) -> None:
    if engine == "spark":
        pytest.importorskip("pyspark", reason="PySpark is not installed")
    for one, other in zip(tables(treated), tables(treated, engine), strict=True):
        assert_frame_equal(one, other, abs_tol=1e-9, check_row_order=False)


def ahead(source: Path, engine: str = "duckdb") -> tuple[pl.DataFrame, pl.DataFrame]:
    with lk.run(source, engine=engine, frame="polars") as result:
        days, markers = result.tables["forecast_scenarios"], result.tables["scenario_markers"]
    for found, table in ((days, contracts.FORECAST_SCENARIOS), (markers, contracts.SCENARIO_MARKERS)):
        assert found.columns == table.names
        assert not found.select(table.key).is_duplicated().any()
    return days.sort("episode_id", "scenario", "day"), markers.sort("episode_id", "scenario", "marker")


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hospital(tmp_path_factory.mktemp("twice"), BEFORE, DOSE)


def test_after_two_cycles_the_next_is_told_in_standing_ways(twice: Path) -> None:
    days, markers = ahead(twice)
    assert set(days["episode_id"]) == {"7/neutrophils/1"} and set(days["patient_id"]) == {"7"}
    told = {name: days.filter(scenario=name) for name in WAYS}
    assert days.height == sum(rows.height for rows in told.values()) == 3 * 41
    same, reduced, later = told.values()
    assert [rows.row(0, named=True)["dose_percent"] for rows in told.values()] == [100, 75, 100]
    assert [rows.row(0, named=True)["delay_days"] for rows in told.values()] == [0, 0, 7]
    planned = (datetime(2026, 1, 26, 9) - datetime(1970, 1, 1)) // timedelta(minutes=1)
    assert set(same["next_dose"]) == set(reduced["next_dose"]) == {planned}
    assert set(later["next_dose"]) == {planned + 7 * 1440}
    for rows in told.values():
        assert (rows["minute"] == rows["next_dose"] + rows["day"] * 1440).all()
        assert rows.select((pl.col("low") < pl.col("median")) & (pl.col("median") < pl.col("high"))).to_series().all()
    assert reduced["median"].min() > same["median"].min()  # type: ignore[operator]
    assert reduced["p_grade_4"].max() < same["p_grade_4"].max()  # type: ignore[operator]
    worst = markers.filter(marker="time_to_grade_4").select("scenario", "probability")
    peaks = days.group_by("scenario").agg(pl.col("p_grade_4").max()).join(worst, on="scenario")
    assert peaks.height == 3 and (peaks["p_grade_4"] <= peaks["probability"] + 1e-9).all()


def test_the_scenarios_are_those_of_the_command(twice: Path) -> None:
    """A thousand draws against four thousand: the same within the error of the draws."""
    asked = ("--scenario", "dose=75%", "--scenario", "delay=7", "--json")
    told = json.loads(succeeds("forecast", twice, "--patient", "7", *asked))["scenarios"]["courses"]
    days, markers = ahead(twice)
    assert [course["name"] for course in told] == WAYS
    for course in told:
        mine = {row["marker"]: row for row in markers.filter(scenario=course["name"]).to_dicts()}
        assert set(mine) == set(course["markers"])
        for name, near in (("nadir", 0.1), ("nadir_day", 0.5), ("recovery_to_1.0", 0.5)):
            for part in ("low", "median", "high"):
                assert mine[name][part] == pytest.approx(course["markers"][name][part], abs=near)
        first = (datetime.fromisoformat(course["dose_time"]) - datetime(1970, 1, 1)) // timedelta(minutes=1)
        assert set(days.filter(scenario=course["name"])["next_dose"]) == {first}


@pytest.mark.parametrize("engine", ["polars", "spark"])
def test_every_engine_tells_the_same_scenarios(twice: Path, engine: str) -> None:
    if engine == "spark":
        pytest.importorskip("pyspark", reason="PySpark is not installed")
    for one, other in zip(ahead(twice), ahead(twice, engine), strict=True):
        assert_frame_equal(one, other, abs_tol=1e-9)


def test_where_no_next_cycle_is_known_to_lie_ahead_there_are_no_scenarios(treated: Path, tmp_path: Path) -> None:
    weekly = ("Docetaxel 180 mg", "2025-12-29T09:00", 1.0, 180.0, "mg")
    unknown_to_cards = [("Carboplatin", begun, None, None, "") for begun in ("2025-12-15T09:00", "2026-01-05T09:00")]
    for source in (
        treated,
        hospital(tmp_path / "overdue", weekly, DOSE),
        hospital(tmp_path / "nadir_days", *unknown_to_cards),
    ):
        days, markers = ahead(source)
        assert days.is_empty() and markers.is_empty()


def test_the_report_shows_them_only_then(treated: Path, twice: Path) -> None:
    for source, shown in ((treated, False), (twice, True)):
        with lk.run(source) as result:
            assert ("Scenarios, never orders" in result.report()) == shown


def test_without_doses_the_reason_stands_there(tmp_path: Path) -> None:
    _, forecasts, markers = tables(hospital(tmp_path, ("Docetaxel", "2026-01-05T09:00", None, None, "")))
    row = forecasts.filter(analyte="neutrophils").row(0, named=True)
    assert row["basis"] != "card"
    assert markers.is_empty()


def test_a_drug_without_a_card_rests_on_published_nadir_days(tmp_path: Path) -> None:
    _, forecasts, markers = tables(hospital(tmp_path, ("Carboplatin", "2026-01-05T09:00", None, None, "")))
    rows = forecasts.filter(analyte="neutrophils")
    assert set(rows["basis"]) == {"nadir prior"} and rows["source_id"][0]
    assert rows["median"].is_not_null().all() and "nadir_day" in set(markers["marker"])


def test_a_growth_factor_that_no_card_knows_stands_beside_the_numbers(tmp_path: Path) -> None:
    factor = ("Filgrastim", "2026-01-07T09:00", None, 300.0, "ug")
    _, forecasts, _ = tables(hospital(tmp_path, DOSE, factor))
    rows = forecasts.filter(basis="card")
    assert "growth factor" in rows["outside"][0] and rows["outside"].n_unique() == 1


def test_no_more_persons_than_the_policy_says(treated: Path) -> None:
    _, forecasts, _ = tables(treated, **{"forecast.persons": 0})
    assert not {"card", "nadir prior"} & set(forecasts["basis"])


def test_what_is_closed_or_never_began_has_no_rows(tmp_path: Path) -> None:
    healed = LABS + "7,2026-01-20 08:00,ANC,4.0,K/uL,F,1970-01-01\n7,2026-01-27 08:00,ANC,4.0,K/uL,F,1970-01-01\n"
    episodes, forecasts, markers = tables(text(tmp_path / "labs.csv", healed))
    closed = episodes.filter(analyte="neutrophils")
    assert closed["state"].to_list() == ["closed"]
    assert forecasts.join(closed, on="episode_id").is_empty() and markers.is_empty()


@pytest.mark.parametrize(("year", "status"), [("2026-12-30", "no cause"), ("2027-01-20", "not counted for too long")])
def test_nothing_is_forecast_of_a_line_that_was_lost_from_sight(tmp_path: Path, year: str, status: str) -> None:
    """After 365 days another low count would be another episode (`gap.break_days`)."""
    other = f"8,{year} 08:00,ANC,4.0,K/uL,F,1970-01-01\n"
    _, forecasts, _ = tables(text(tmp_path / "labs.csv", LABS + other))
    rows = forecasts.filter(analyte="neutrophils", patient_id="7")
    assert (rows["status"][0] == status) == (year > "2027")
    assert rows.height == 1 or year < "2027"
