"""A file of results as counts of values: columns, units, words, strata, persons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leukopenia import knowledge
from leukopenia.engine import Engine, open_engine
from leukopenia.errors import LeukopeniaError, MappingError, SourceError, UsageError
from leukopenia.reference_results import Asked, Counted, count

Count = Callable[..., Counted]


@pytest.fixture
def engine() -> Iterator[Engine]:
    opened = open_engine("duckdb")
    yield opened
    opened.close()


@pytest.fixture
def counted(engine: Engine, tmp_path: Path) -> Count:
    """Counts of a CSV text, or of a frame as Parquet."""

    def made(table: str | pl.DataFrame, **asked: Any) -> Counted:
        path = tmp_path / ("results.csv" if isinstance(table, str) else "results.parquet")
        if isinstance(table, str):
            path.write_text(table, encoding="utf-8")
        else:
            table.write_parquet(path)
        return count(path, Asked(**asked), engine, tmp_path / "stage", knowledge.load())

    return made


def cells(found: Counted, *columns: str) -> list[tuple[Any, ...]]:
    return found.rows.select(columns or ("analyte", "unit", "value", "n")).rows()


def aside(found: Counted) -> dict[str, int]:
    return {one.reason: one.n for one in found.aside}


def test_one_column_of_numbers_is_enough(counted: Count) -> None:
    assert cells(counted("result\n4.1\n4.1\n5\n")) == [("result", "", 4.1, 2.0), ("result", "", 5.0, 1.0)]
    assert cells(counted("whatever\n4.1\n")) == [("whatever", "", 4.1, 1.0)]


def test_a_value_may_stand_for_many(counted: Count) -> None:
    table = pl.DataFrame({"value": [4.1, 5.0, 6.0], "count": [7, 2, 0]})
    assert cells(counted(table, analytes=("wbc",), units=("K/uL",))) == [
        ("wbc", "10^9/L", 4.1, 7.0),
        ("wbc", "10^9/L", 5.0, 2.0),
    ]


def test_units_of_one_analyte_come_together_without_a_rounding_error(counted: Count) -> None:
    rows = "test,value,unit\nWBC,7.3,10*9/L\nLeukocytes,7300,/uL\nwbc,7.3,K/mcL\nHemoglobin,12.1,g/dL\nHb,121,g/L\n"
    assert cells(counted(rows)) == [("haemoglobin", "g/L", 121.0, 2.0), ("wbc", "10^9/L", 7.3, 3.0)]


def test_other_analytes_keep_their_commonest_unit(counted: Count) -> None:
    rows = "test,value,unit\nzinc,1.5,g/L\nzinc,2.5,g/L\nzinc,0.1,g/dL\n"
    assert cells(counted(rows)) == [("zinc", "g/L", 1.0, 1.0), ("zinc", "g/L", 1.5, 1.0), ("zinc", "g/L", 2.5, 1.0)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("test,value,unit\nWBC,4.1,K/uL\nWBC,4.1,mg/dL\n", "WBC in mg/dL"),
        ("test,value,unit\nzinc,4.1,mg/L\nzinc,4.1,mol/L\n", "zinc in mol/L"),
        ("value\n4.1\nhigh as usual\n", "words, no numbers: 1, first in row 2"),
        ("value\n4.1\n-9\n-9\n", "below 0 or infinite: 2, first in row 2"),
        ("value,count\n4.1,3\n4.2,1.5\n", "with a count that is no whole number: 1"),
    ],
)
def test_what_cannot_be_used_is_refused_and_can_be_set_aside(counted: Count, rows: str, said: str) -> None:
    with pytest.raises(MappingError, match="cannot be used") as error:
        counted(rows)
    assert said in error.value.found
    assert "--set-aside" in error.value.remedy
    assert {value for (value,) in cells(counted(rows, set_aside=True), "value")} == {4.1}


def test_a_refusal_shows_no_result(counted: Count) -> None:
    with pytest.raises(MappingError) as error:
        counted("value\n4.1\nMrs Miller 55512\n")
    assert "Miller" not in str(error.value) and "55512" not in str(error.value)


def test_results_without_a_number_are_counted_and_left_out(counted: Count) -> None:
    found = counted("value\n4.1\n\nhemolyzed\nfew\nna\n'4,2'\n".replace("'", '"'))
    assert cells(found, "value") == [(4.1,), (4.2,)]
    assert aside(found) == {"no_value": 2, "not_resulted": 1, "word_result": 1}


def test_censored_results_are_marked(counted: Count) -> None:
    assert cells(counted("value\n<0.1\n0.1\n0.4\n"), "value", "below", "n") == [
        (0.1, False, 1.0),
        (0.1, True, 1.0),
        (0.4, False, 1.0),
    ]
    assert cells(counted("value,comparator\n0.1,<\n0.4,\n"), "value", "below") == [(0.1, True), (0.4, False)]


def test_sex_and_age_part_the_results(counted: Count) -> None:
    rows = "value,gender,age\n4,F,17\n5,female,18\n6,M,64.9\n7,M,> 89\n8,u,30\n9,M,\n3,F,0\n"
    found = counted(rows, by=("sex",), ages=(1, 18, 65))
    assert found.parts == ("sex", "age")
    assert cells(found, "sex", "age", "value") == [
        ("female", 1.0, 4.0),
        ("female", 18.0, 5.0),
        ("male", 18.0, 6.0),
        ("male", 65.0, 7.0),
    ]
    assert aside(found) == {"age_unknown": 1, "no_stratum": 2}


@pytest.mark.parametrize(
    "rows",
    [
        "value,age_days\n4,6600\n5,6500\n",
        "value,birth,time\n4,2000-01-01,2018-02-01\n5,2000-01-01,2017-11-01\n",
        "value,age_months\n4,217\n5,215\n",
    ],
)
def test_ages_in_days_or_from_dates(counted: Count, rows: str) -> None:
    assert cells(counted(rows, ages=(0, 18)), "age", "value") == [(0.0, 5.0), (18.0, 4.0)]


def test_age_bands_need_an_age(counted: Count) -> None:
    with pytest.raises(MappingError, match="how old"):
        counted("value\n4\n", ages=(18,))


def test_any_column_parts_the_results(counted: Count) -> None:
    found = counted(pl.DataFrame({"value": [4.0, 5.0, 6.0], "Ward": [1.0, 2.0, None]}), by=("ward",))
    assert cells(found, "ward", "value") == [("1", 4.0), ("2", 5.0)]
    with pytest.raises(MappingError, match="no column 'bed'"):
        counted("value,ward\n4,a\n", by=("bed",))


REPEATS = """\
patient,time,value,ward
A,2026-02-02,5,x
A,2026-01-02,4,x
A,2026-03-02,6,y
B,,9,x
B,2026-01-01,8,x
,,7,x
,,7,x
"""


def test_of_one_person_the_first_result_counts(counted: Count) -> None:
    found = counted(REPEATS)
    assert cells(found, "value", "n") == [(4.0, 1.0), (7.0, 2.0), (8.0, 1.0)]
    assert aside(found) == {"repeated": 3}


def test_of_one_person_the_first_result_in_each_stratum_counts(counted: Count) -> None:
    found = counted(REPEATS, by=("ward",))
    assert cells(found, "ward", "value") == [("x", 4.0), ("x", 7.0), ("x", 8.0), ("y", 6.0)]


def test_all_results_on_request(counted: Count) -> None:
    found = counted(REPEATS, repeats="all")
    assert found.rows["n"].sum() == 7
    assert found.aside == []


def test_wide_tables_and_named_columns(counted: Count) -> None:
    rows = "MRN,WBC (K/uL),Neutrophils abs (cells/uL),ferritin\n1,4.1,2100,30\n2,,1900,40\n"
    assert cells(counted(rows), "analyte", "value") == [("neutrophils", 1.9), ("neutrophils", 2.1), ("wbc", 4.1)]
    assert cells(counted(rows, analytes=("wbc",))) == [("wbc", "10^9/L", 4.1, 1.0)]
    named = counted(rows, values=("ferritin", "WBC (K/uL)"), units=("ng/mL", "K/uL"))
    assert sorted(named.rows["analyte"].unique()) == ["ferritin", "wbc"]


def test_a_given_unit_fills_only_what_is_missing(counted: Count) -> None:
    rows = "test,value,unit\nHb,121,g/L\nHb,12.1,\n"
    assert cells(counted(rows, units=("g/dL",))) == [("haemoglobin", "g/L", 121.0, 2.0)]


def test_weights_stay_beside_the_values(counted: Count) -> None:
    found = counted("value,weight\n4,2.5\n4,2.5\n4,1\n5,0\n")
    assert cells(found, "value", "weight", "n") == [(4.0, 1.0, 1.0), (4.0, 2.5, 2.0)]
    assert aside(found) == {"no_weight": 1}


def test_a_unit_that_was_inferred_is_told(counted: Count) -> None:
    found = counted("wbc\n4.1\n6.5\n7\n")
    assert found.inferred == {"wbc": "10^9/L"}


@pytest.mark.parametrize(
    ("rows", "asked", "kind", "said"),
    [
        ("a,b\nx,1\n", {}, MappingError, "which value"),
        ("4.1\n4.2\n", {}, MappingError, "first line holds numbers"),
        ("test,value\nWBC,4\n", {"analytes": ("crp",)}, MappingError, "holds no crp"),
        ("value\n4\n", {"values": ("vlaue",)}, MappingError, "no column 'vlaue'"),
        ("value\n4\n", {"values": ("value",), "units": ("g/L", "mg/L")}, UsageError, "2 units"),
        ("value\nna\n", {}, MappingError, "no result left"),
        ("", {}, SourceError, "empty"),
    ],
)
def test_files_that_say_too_little(
    counted: Count, rows: str, asked: dict[str, Any], kind: type[LeukopeniaError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        counted(rows, **asked)
