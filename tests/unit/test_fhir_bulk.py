"""The fast path gives the same rows as the line reader."""

from __future__ import annotations

import json
import random
from pathlib import Path

import polars as pl
import pytest
from fhir_items import (
    LOINC,
    Item,
    balanced,
    quantity,
    resource,
    table,
    wbc,
    write_lines,
)
from polars.testing import assert_frame_equal

from leukopenia.read import fhir

CHANGES: list[Item] = [
    {},
    {"valueQuantity": quantity(0.1, comparator="<")},
    {"valueQuantity": quantity(0.1, comparator="ad")},
    *({"valueQuantity": quantity(value)} for value in ("4.1", "<0.1", "4,1", None, 12345678901234567890123)),
    {"valueQuantity": {"value": 3, "unit": " K/uL "}},
    *({"valueQuantity": None, "valueString": text} for text in ("<0.1", "positive", "4.1", " x ", "", "-")),
    {"valueQuantity": None, "dataAbsentReason": {"text": "x"}},
    {"valueQuantity": None, "valueCodeableConcept": {"text": "x"}},
    {"component": [{"code": {"text": "Bands"}, "valueQuantity": quantity(2)}]},
    {"contained": [resource("Specimen", id="s", type={"text": "Urine"})], "specimen": {"reference": "#s"}},
    {"specimen": {"reference": "Specimen/7"}},
    {"specimen": {"display": "Blood", "reference": "Specimen/7"}},
    {"specimen": {"display": " "}},
    {"effectiveDateTime": None, "effectivePeriod": {"start": "2020-03-04"}},
    {"effectiveDateTime": None, "issued": "2020-03-04T00:00:00Z"},
    *({"effectiveDateTime": text} for text in ("2020", "2020-03", "2020-03-04", "2020-02-30", "0000-01-01")),
    *({"effectiveDateTime": f"2020-03-04T05:06{rest}"} for rest in ("", ":07Z", ":07.123+14:00", "Z", ":07-03:30")),
    {"code": {"text": "White cells (local)"}},
    {"code": {"coding": [{"code": "WBC"}]}},
    {"code": {"coding": [{"system": LOINC, "code": "751-8"}], "text": "Neutrophils\u200b"}},
    {"interpretation": None},
    {"interpretation": [{"text": "High"}]},
    {"interpretation": [{"coding": [{"display": "High"}]}]},
    {"referenceRange": None},
    {"referenceRange": []},
    *({"referenceRange": [{"low": {"value": value}}]} for value in (4, "4.0", None)),
    {"referenceRange": [{"text": "4-11"}]},
    {"referenceRange": [{"low": {"value": 1}, "type": {"text": "critical"}}, {"low": {"value": 4}}]},
    *({"status": status} for status in ("entered-in-error", "unknown", "amended", None)),
    *({"subject": each} for each in (None, {"reference": "https://x/Patient/9"}, {"reference": "Group/1"})),
    {"resourceType": "Claim"},
    {"id": 7},
]


def both_ways(path: Path, stage: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[fhir.Staged, fhir.Staged]:
    monkeypatch.setattr(fhir, "BULK_FROM", 0)
    bulk = fhir.stage(path, stage / "bulk", "site")
    monkeypatch.setattr(fhir, "BULK_FROM", 1 << 60)
    return bulk, fhir.stage(path, stage / "lines", "site")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_fast_path_gives_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    rng = random.Random(7)
    mixed = [{**rng.choice(CHANGES), **rng.choice(CHANGES)} for _ in range(2000)]
    items = [wbc(**{"id": f"o{n}", **change}) for n, change in enumerate([{}, *CHANGES, *mixed])]
    path = write_lines(tmp_path / f"Observation.ndjson{suffix}", *items)
    bulk, lines = both_ways(path, tmp_path, monkeypatch)
    assert [each.name for each in bulk.tables["raw_results"]] == ["raw_results-00000.parquet"]
    assert bulk.rows_in == lines.rows_in
    assert bulk.issues == lines.issues
    assert balanced(bulk)
    frames = [pl.read_parquet(each.tables["raw_results"]).sort("row_id") for each in (bulk, lines)]
    assert_frame_equal(*frames, check_exact=True)


@pytest.mark.parametrize("spoilt", ["{", "[]", "", '{"resourceType":"Observation","code":5}', "range", "twice"])
def test_a_file_the_fast_path_refuses_is_read_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    items: list[Item | str | bytes] = [wbc(id=f"o{n}") for n in range(50)]
    special = {
        "range": wbc(referenceRange=[{"low": {"value": "< 4"}}]),
        "twice": json.dumps(wbc())[:-1] + ', "status": "final"}',
    }
    items.insert(30, special.get(spoilt, spoilt))
    path = write_lines(tmp_path / "Observation.ndjson", *items)
    bulk, lines = both_ways(path, tmp_path, monkeypatch)
    assert table(bulk, "raw_results") == table(lines, "raw_results")
    assert bulk.issues == lines.issues
    assert balanced(bulk)
    assert [each.name for each in (tmp_path / "bulk").iterdir()] == ["raw_results-lines.parquet"]


def test_a_byte_order_mark_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [json.dumps(wbc(id=f"o{n}")).encode() for n in range(5)]
    path = write_lines(tmp_path / "Observation.ndjson", b"\xef\xbb\xbf" + lines[0], *lines[1:])
    for staged in both_ways(path, tmp_path, monkeypatch):
        assert [row["row_id"] for row in table(staged, "raw_results")] == [1000, 2000, 3000, 4000, 5000]
