"""Observation -> raw_results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fhir_items import (
    Item,
    minute,
    one,
    quantity,
    read,
    reasons,
    table,
    wbc,
)

from leukopenia.read.fhir_values import last_minute, moment


def test_an_observation_becomes_one_row(tmp_path: Path) -> None:
    assert one(read(tmp_path, wbc())) == {
        "source": "site",
        "row_id": 1000,
        "patient_id": "p1",
        "minute": minute("2020-03-04T23:30"),
        "time_precision": "minute",
        "utc_offset": 120,
        "system": "loinc",
        "code": "6690-2",
        "name": "Leukocytes [#/volume]",
        "specimen": "",
        "unit": "10*3/uL",
        "value": 3.1,
        "text": None,
        "comparator": "",
        "low": 4.0,
        "high": 11.0,
        "flag": "L",
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"valueQuantity": quantity(4)}, (4.0, None, "", "10*3/uL")),
        ({"valueQuantity": quantity("4.1")}, (4.1, None, "", "10*3/uL")),
        ({"valueQuantity": quantity("<0.1")}, (None, "<0.1", "", "10*3/uL")),
        ({"valueQuantity": quantity("4,1")}, (None, "4,1", "", "10*3/uL")),
        ({"valueQuantity": quantity(0.1, comparator="<")}, (0.1, None, "<", "10*3/uL")),
        ({"valueQuantity": quantity(0.1, comparator="ad")}, (None, "ad0.1", "", "10*3/uL")),
        ({"valueQuantity": quantity("low", comparator="<")}, (None, "<low", "", "10*3/uL")),
        ({"valueQuantity": {"value": 1, "unit": "K/uL", "code": "x"}}, (1.0, None, "", "K/uL")),
        ({"valueQuantity": {"value": 1, "code": "x"}}, (1.0, None, "", "x")),
        ({"valueString": " 4.1 "}, (4.1, None, "", "")),
        ({"valueString": "1e400"}, (None, "1e400", "", "")),
        ({"valueString": "positive"}, (None, "positive", "", "")),
        ({"valueCodeableConcept": {"coding": [{"code": "x", "display": "Low"}]}}, (None, "Low", "", "")),
        ({"valueInteger": 7}, (7.0, None, "", "")),
        ({"valueBoolean": False}, (None, "false", "", "")),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}, (None, "1:128", "", "")),
        ({"valueRange": {"low": quantity(5), "high": quantity(9.5)}}, (None, "5 - 9.5", "", "10*3/uL")),
        ({"dataAbsentReason": {"text": "error"}}, (None, None, "", "")),
    ],
)
def test_every_kind_of_value(tmp_path: Path, value: Item, expected: tuple[Any, ...]) -> None:
    row = one(read(tmp_path, wbc(**{"valueQuantity": None, **value})))
    assert (row["value"], row["text"], row["comparator"], row["unit"]) == expected


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([{"text": "4.0-11.0"}], (4.0, 11.0)),
        ([{"text": "4.0 – 11.0 x10E3/uL"}], (4.0, 11.0)),
        ([{"text": "(4 to 11) K/uL"}], (4.0, 11.0)),
        ([{"text": ">=4.0"}], (4.0, None)),
        ([{"text": "<11"}], (None, 11.0)),
        ([{"text": "4,0-11,0"}], (None, None)),
        ([{"text": "1-3 5-9"}], (None, None)),
        ([{"low": {"value": "4.0"}}], (4.0, None)),
        ([{"text": "see note"}, {"low": {"value": 4}}], (4.0, None)),
        (
            [{"low": {"value": 1}, "type": {"coding": [{"code": "critical"}]}}, {"low": {"value": 4}}],
            (4.0, None),
        ),
        ([{"low": {"value": 1}, "type": {"text": "therapeutic"}}], (None, None)),
        ([{"low": {"value": 4}, "type": {"coding": [{"code": "normal"}]}}], (4.0, None)),
        ([{"low": {"value": 9}, "appliesTo": [{"text": "newborn"}]}, {"low": {"value": 4}}], (4.0, None)),
        ([{"low": {"value": 4}, "age": {"low": {"value": 18}}}], (4.0, None)),
        ([{"low": {"value": v}, "appliesTo": [{"text": str(v)}]} for v in (4, 5)], (None, None)),
    ],
)
def test_the_normal_range(tmp_path: Path, ranges: list[Item], expected: Any) -> None:
    row = one(read(tmp_path, wbc(referenceRange=ranges)))
    assert (row["low"], row["high"]) == expected


@pytest.mark.parametrize(
    ("text", "first", "last", "precision", "offset"),
    [
        ("2020", "2020-01-01T00:00", "2020-12-31T23:59", "year", None),
        ("2020-12", "2020-12-01T00:00", "2020-12-31T23:59", "month", None),
        ("2020-02", "2020-02-01T00:00", "2020-02-29T23:59", "month", None),
        ("1969-12-31", "1969-12-31T00:00", "1969-12-31T23:59", "day", None),
        ("2020-03-04T05:06:59.999Z", "2020-03-04T05:06", "2020-03-04T05:06", "minute", 0),
        ("2020-03-04T05:06:07-03:30", "2020-03-04T05:06", "2020-03-04T05:06", "minute", -210),
        ("2020-03-04T05:06", "2020-03-04T05:06", "2020-03-04T05:06", "minute", None),
    ],
)
def test_times_keep_the_clock_and_what_was_known(
    text: str, first: str, last: str, precision: str, offset: int | None
) -> None:
    assert moment(text) == (minute(first), precision, offset)
    assert last_minute(text) == minute(last)


@pytest.mark.parametrize("text", ["2020-13-01", "2020-02-30", "2020-03-04T24:00:00Z", "yesterday", "", None])
def test_what_is_no_time_is_none(text: str | None) -> None:
    assert moment(text) == (None, "none", None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"effectivePeriod": {"start": "2020-01-02"}}, "2020-01-02"),
        ({"effectiveInstant": "2020-01-02T00:00:00Z"}, "2020-01-02"),
        ({"effectiveDateTime": "not known", "issued": "2020-01-02T00:00:00Z"}, "2020-01-02"),
        ({"effectivePeriod": {"start": "2020-01-02"}, "issued": "2021-01-02T00:00:00Z"}, "2020-01-02"),
    ],
)
def test_time_of_a_result(tmp_path: Path, fields: Item, expected: str) -> None:
    assert one(read(tmp_path, wbc(**{"effectiveDateTime": None, **fields})))["minute"] == minute(expected)


@pytest.mark.parametrize(
    ("reference", "patient"),
    [
        ("Patient/a.b-1", "a.b-1"),
        ("https://ehr.example/fhir/Patient/7/_history/2", "7"),
        ("urn:uuid:aa-bb", "aa-bb"),
        ("Group/7", None),
        ("#p", None),
        ("Patient?identifier=7", None),
    ],
)
def test_whose_record(tmp_path: Path, reference: str, patient: str | None) -> None:
    staged = read(tmp_path, wbc(id="o2", subject={"reference": reference}), wbc())
    assert [row["patient_id"] for row in table(staged, "raw_results")] == [*filter(None, [patient]), "p1"]
    assert reasons(staged) == ({} if patient else {"no_patient": 1})


def test_components_and_panels(tmp_path: Path) -> None:
    part = {"code": {"text": "Bands"}, "valueQuantity": quantity(5, "%")}
    panel = wbc(valueQuantity=None, component=[part, {"code": {"text": "Blasts"}}])
    members = wbc(id="o2", valueQuantity=None, hasMember=[{"reference": "Observation/o1"}])
    staged = read(tmp_path, panel, members, wbc(id="o3", component=[part]))
    found = [(row["row_id"], row["name"], row["value"]) for row in table(staged, "raw_results")]
    assert found == [
        (1001, "Bands", 5.0),
        (1002, "Blasts", None),
        (3000, "Leukocytes [#/volume]", 3.1),
        (3001, "Bands", 5.0),
    ]
    assert reasons(staged) == {"other_resource": 1}
