"""Estimated limits handed to a run: read, checked, and brought to the form of the house."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import leukopenia as lk
from leukopenia import estimated, knowledge
from leukopenia.errors import MappingError, SourceError

KNOWLEDGE = knowledge.load()
GOOD: dict[str, Any] = {
    "analyte": "neutrophils",
    "sex": "female",
    "age_low": "18",
    "age_high": "65",
    "lower": "1.6",
    "upper": "7.0",
    "unit": "10*9/L",
}


def made(*changes: dict[str, Any]) -> list[dict[str, str]]:
    return [dict(row) for row in estimated.rows(pl.DataFrame([GOOD | change for change in changes]), KNOWLEDGE)]


def test_a_row_in_the_form_of_the_house() -> None:
    assert made({}) == [
        {
            "interval_id": "estimated:neutrophils-female-18y-65y",
            "analyte": "neutrophils",
            "sex": "female",
            "age_from_hours": "157788",
            "age_to_hours": "569790",
            "low": "1.6",
            "high": "7.0",
            "n": "",
        }
    ]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"unit": "/uL", "lower": "1600", "upper": "7000"}, {"low": "1.6", "high": "7.0"}),
        ({"unit": "K/uL"}, {"low": "1.6"}),
        ({"unit": "G/L"}, {"low": "1.6"}),
        (
            {"analyte": "haemoglobin", "unit": "g/dL", "lower": "11.9", "upper": "15.2"},
            {"low": "119.0", "high": "152.0"},
        ),
        ({"upper": ""}, {"high": ""}),
        ({"sex": "M"}, {"sex": "male"}),
        ({"sex": ""}, {"sex": "any"}),
        ({"age_low": "", "age_high": ""}, {"age_from_hours": "", "age_to_hours": ""}),
        ({"age_low": "", "age_high": "1"}, {"interval_id": "estimated:neutrophils-female-0-1y", "age_from_hours": ""}),
        ({"age_unit": "hours", "age_low": "12", "age_high": "24"}, {"age_from_hours": "12", "age_to_hours": "24"}),
        ({"age_unit": "months", "age_low": "6", "age_high": "24"}, {"age_from_hours": "4383", "age_to_hours": "17532"}),
        ({"age_high": "2000"}, {"age_to_hours": "9999999"}),
        ({"interval_id": "ours-2026", "n": 4821}, {"interval_id": "estimated:ours-2026", "n": "4821"}),
        ({"interval_id": "estimated:ours-2026"}, {"interval_id": "estimated:ours-2026"}),
    ],
)
def test_units_ages_and_words_are_brought_to_one_form(change: dict[str, Any], found: dict[str, str]) -> None:
    assert made(change)[0].items() >= found.items()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"analyte": "anc"}, "row 1: analyte cannot be 'anc'"),
        ({"sex": "girls"}, "row 1: sex"),
        ({"unit": "%"}, "row 1: unit"),
        ({"unit": ""}, "row 1: unit"),
        ({"unit": "g/dL"}, "row 1: unit"),
        ({"analyte": "haemoglobin", "unit": "10*9/L"}, "g/L"),
        ({"age_unit": "weeks"}, "row 1: age_unit"),
        ({"age_high": "18"}, "row 1: age_high"),
        ({"lower": "low"}, "row 1: lower"),
        ({"lower": "-1"}, "row 1: lower"),
        ({"lower": "inf"}, "row 1: lower"),
        ({"upper": "1.6"}, "row 1: upper"),
        ({"lower": ""}, "hold no lower limit"),
    ],
)
def test_what_cannot_be_is_refused_and_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(MappingError, match=said):
        made(change)


@pytest.mark.parametrize(
    "other",
    [
        {"age_low": "64", "age_high": "80"},
        {"sex": "any", "age_low": "", "age_high": ""},
        {"sex": "any", "age_low": "30", "age_high": "31"},
        {"age_low": "65", "age_high": "", "interval_id": "neutrophils-female-18y-65y"},
    ],
)
def test_two_limits_for_the_same_people_are_refused(other: dict[str, Any]) -> None:
    with pytest.raises(MappingError, match="neutrophils-female-18y-65y"):
        made({"interval_id": ""}, other)


def test_neighbours_of_one_line_and_others_beside_them_are_not() -> None:
    kept = made(
        {"age_high": "65"}, {"age_low": "65", "age_high": ""}, {"sex": "male"}, {"analyte": "wbc", "sex": "any"}
    )
    assert len(kept) == 4


def test_a_refused_estimate_sets_no_limit() -> None:
    refused = {"sex": "male", "lower": float("nan"), "upper": None}
    assert [row["sex"] for row in made(refused, {"lower": 1.6, "upper": 7.0})] == ["female"]


def test_a_column_that_is_missing_is_named() -> None:
    with pytest.raises(MappingError, match="no column 'unit'"):
        estimated.rows(pl.DataFrame([GOOD]).drop("unit"), KNOWLEDGE)


def test_files_and_frames_give_the_same(tmp_path: Path) -> None:
    frame = pl.DataFrame([GOOD]).with_columns(pl.col("age_low", "age_high", "lower", "upper").cast(pl.Float64))
    frame.write_csv(tmp_path / "limits.csv")
    frame.write_csv(tmp_path / "limits.tsv", separator="\t")
    frame.write_parquet(tmp_path / "limits.parquet")
    wanted = [dict(row) for row in estimated.rows(frame.to_pandas(), KNOWLEDGE)]
    assert wanted == made({})
    for name in ("limits.csv", "limits.tsv", "limits.parquet"):
        assert [dict(row) for row in estimated.rows(tmp_path / name, KNOWLEDGE)] == wanted


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.csv"):
        estimated.rows(tmp_path / "gone.csv", KNOWLEDGE)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1")
    with pytest.raises(SourceError, match=r"broken\.parquet"):
        estimated.rows(broken, KNOWLEDGE)


def test_a_run_names_the_estimated_limit_in_its_table_report_and_manifest() -> None:
    results = pl.DataFrame(
        {
            "patient": ["A"] * 2,
            "time": ["2026-03-02 08:10", "2026-03-09 08:10"],
            "test": ["ANC"] * 2,
            "value": [1.3, 2.4],
        }
    ).with_columns(unit=pl.lit("10*9/L"))
    limits = pl.DataFrame([GOOD | {"sex": "any", "age_low": None, "age_high": None, "interval_id": "ours-2026"}])
    with lk.run(results, limits=limits) as result:
        assert result.tables["limits"]["interval_id"].unique().to_list() == ["estimated:ours-2026"]
        assert result.tables["episodes"]["basis"].to_list() == ["estimated"]
        assert result.manifest({})["estimated_limits"][0]["interval_id"] == "estimated:ours-2026"
        page = result.report()
    assert "limits 1.6 to 7 (estimated, ours-2026)" in page
    assert "<th>estimated</th>" in page or ">estimated<" in page


def test_a_run_without_estimates_has_no_column_for_them() -> None:
    results = pl.DataFrame(
        {"patient": ["A"], "time": ["2026-03-02 08:10"], "test": ["ANC"], "value": [1.3], "unit": ["10*9/L"]}
    )
    with lk.run(results) as result:
        assert result.manifest({})["estimated_limits"] == []
        assert ">estimated<" not in result.report()


def test_a_limit_for_every_three_months_of_life_is_found() -> None:
    rows = [
        GOOD | {"sex": sex, "age_low": quarter / 4, "age_high": (quarter + 1) / 4, "lower": 1 + quarter / 1000}
        for sex in ("male", "female")
        for quarter in range(400)
    ]
    results = pl.DataFrame(
        {"patient": ["A"], "time": ["2026-03-02"], "test": ["ANC"], "value": [2.0], "unit": ["10*9/L"], "sex": ["F"]}
    ).with_columns(birth=pl.lit("1985-10-02"))
    with lk.run(results, limits=pl.DataFrame(rows)) as result:
        assert result.tables["limits"]["interval_id"].to_list() == ["estimated:neutrophils-female-40.25y-40.5y"]
        assert result.tables["limits"]["low"].to_list() == [1.161]
