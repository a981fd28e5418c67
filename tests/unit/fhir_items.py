"""What the tests of the FHIR reader share: resources to spoil, files of them, rows against the contract."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from leukopenia import contracts
from leukopenia.errors import REASONS
from leukopenia.read import fhir

Item = dict[str, Any]
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
PATIENT = {"subject": {"reference": "Patient/p1"}}


def minute(text: str) -> int:
    return int((datetime.fromisoformat(text) - datetime(1970, 1, 1)).total_seconds() // 60)


def quantity(value: Any, unit: str = "10*3/uL", **more: Any) -> Item:
    return {"value": value, "unit": "K/uL", "system": UCUM, "code": unit, **more}


def wbc(**changes: Any) -> Item:
    """A leucocyte count; a change to None takes the field away."""
    item = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {
            "coding": [
                {"system": "urn:oid:1.2.3", "code": "WBC", "display": "local"},
                {"system": LOINC, "code": "6690-2", "display": "Leukocytes [#/\u200bvolume]"},
            ],
            "text": "White cells",
        },
        **PATIENT,
        "effectiveDateTime": "2020-03-04T23:30:00+02:00",
        "valueQuantity": quantity(3.1),
        "interpretation": [{"coding": [{"code": "L", "display": "Low"}]}],
        "referenceRange": [{"low": {"value": 4}, "high": {"value": 11.0}}],
        **changes,
    }
    return {key: value for key, value in item.items() if value is not None}


def resource(kind: str, **fields: Any) -> Item:
    return {"resourceType": kind, "id": "x", **PATIENT, **fields}


def write_lines(path: Path, *items: Item | str | bytes) -> Path:
    def encode(item: Item | str | bytes) -> bytes:
        text = json.dumps(item) if isinstance(item, dict) else item
        return text if isinstance(text, bytes) else text.encode()

    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"\n".join(map(encode, items)) + b"\n"
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def bundle(*entries: Item | tuple[str, Item]) -> Item:
    pairs = [each if isinstance(each, tuple) else (None, each) for each in entries]
    return {"resourceType": "Bundle", "entry": [{"fullUrl": url, "resource": item} for url, item in pairs]}


def table(staged: fhir.Staged, name: str) -> list[Item]:
    """Rows of a table in row order, after a check against its contract."""
    contract = contracts.TABLES[name]
    frame = pl.concat([pl.read_parquet(path) for path in staged.tables.get(name, [])])
    assert frame.columns == contract.names
    for column in contract.columns:
        expected = "Int64" if column.name == "row_id" else column.type.split("|")[-1]
        assert str(frame[column.name].dtype) == expected
        assert column.nullable or column.type == "Float64" or frame[column.name].null_count() == 0
    assert frame["row_id"].is_unique().all()
    return frame.sort("row_id").to_dicts()


def balanced(staged: fhir.Staged) -> bool:
    """Records in = records with rows + definitions + records set aside."""
    ids = {row["row_id"] // 1000 for name in staged.tables for row in table(staged, name)}
    defined = sum(staged.rows_in.get(kind, 0) for kind in ("Specimen", "Medication"))
    aside = sum(int(str(issue["n"])) for issue in staged.issues if issue["set_aside"])
    assert {str(issue["reason"]) for issue in staged.issues} <= set(REASONS)
    return sum(staged.rows_in.values()) == len(ids) + defined + aside


def read(tmp_path: Path, *items: Item | str | bytes, path: Path | None = None) -> fhir.Staged:
    """Stage NDJSON lines, or a path, making sure that nothing was lost."""
    path = path or write_lines(tmp_path / "in" / "a.ndjson", *items)
    staged = fhir.stage(path, tmp_path / "stage", "site")
    assert balanced(staged)
    return staged


def one(staged: fhir.Staged, name: str = "raw_results") -> Item:
    (row,) = table(staged, name)
    return row


def reasons(staged: fhir.Staged) -> dict[str, int]:
    return {str(issue["reason"]): int(str(issue["n"])) for issue in staged.issues}
