"""Files of FHIR: every kind of file and reference, guards, and that no record is lost on the way."""

from __future__ import annotations

import json
import os
import random
import tarfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from fhir_items import (
    RXNORM,
    bundle,
    one,
    read,
    reasons,
    resource,
    table,
    wbc,
    write_lines,
)

from leukopenia.errors import SourceError
from leukopenia.read import fhir, fhir_input
from leukopenia.read.fhir_scope import Scope

SECRET = "Zaphod"


def test_no_line_is_lost(tmp_path: Path) -> None:
    staged = read(
        tmp_path,
        b"\xef\xbb\xbf" + json.dumps(wbc()).encode() + b"\r",
        "",
        '{"resourceType":"Observation","id":"' + SECRET,
        "   ",
        wbc(id="o2", status="entered-in-error"),
        wbc(id="o3", status="unknown"),
        json.dumps(wbc(id="o4")).replace("3.1", "NaN"),
        json.dumps(wbc(id="o5")).replace("3.1", "1e400"),
        json.dumps(wbc(id="o6")).replace('"value": 3.1', '"value": 3.1, "value": 31'),
        wbc(id="o7", code=SECRET),
        {"resourceType": SECRET + " 7", "id": "1"},
        {"resourceType": "Claim", "id": "c"},
        b'{"resourceType":"Observation","status":"\xff"}',
        "[]",
        "42",
    )
    assert [row["row_id"] for row in table(staged, "raw_results")] == [1000, 6000]
    bad = [(issue["row_id"], issue["detail"]) for issue in staged.issues if issue["reason"] == "bad_line"]
    assert bad == [(f"{n}000", f"a.ndjson line {n}") for n in (3, 7, 8, 9, 10, 11, 13, 15)]
    assert staged.rows_in == {"Observation": 3, "Claim": 1, "bad_line": 8}
    assert SECRET not in str(staged.issues)


def test_many_bad_lines_are_counted_not_listed(tmp_path: Path) -> None:
    staged = read(tmp_path, wbc(), *["{"] * 250)
    assert len(staged.issues) == 101
    assert staged.issues[-1]["n"] == 150


def test_lines_that_hold_several_records_keep_row_ids_unique(tmp_path: Path) -> None:
    several = bundle(wbc(id="o2"), wbc(id="o3"), {"resourceType": "Claim"})
    staged = read(tmp_path, wbc(), several, json.dumps([wbc(id="o4"), wbc(id="o5")]), wbc(id="o6"))
    assert [row["row_id"] // 1000 for row in table(staged, "raw_results")] == [1, 2, 3, 5, 6, 7]


def test_a_bundle_resolves_what_it_holds(tmp_path: Path) -> None:
    drug = {"coding": [{"system": RXNORM, "code": "2626", "display": "clozapine"}]}
    sample = wbc(subject={"reference": "urn:uuid:p"}, specimen={"reference": "urn:uuid:s"})
    whole = bundle(
        ("urn:uuid:o", sample),
        ("urn:uuid:m", {"resourceType": "Medication", "code": drug}),
        ("urn:uuid:s", {"resourceType": "Specimen", "type": {"text": "Urine"}}),
        ("urn:uuid:p", {"resourceType": "Patient", "id": "real-id", "gender": "female"}),
        resource("MedicationRequest", medicationReference={"reference": "urn:uuid:m"}),
        ("urn:uuid:q", {"resourceType": "Patient", "birthDate": "1950"}),
    )
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(whole, indent=2))
    staged = read(tmp_path, path=path)
    assert one(staged)["patient_id"] == "real-id"
    assert one(staged)["specimen"] == "Urine"
    assert (one(staged, "raw_drugs")["code"], one(staged, "raw_drugs")["name"]) == ("2626", "clozapine")
    assert [row["patient_id"] for row in table(staged, "raw_persons")] == ["real-id", "q"]


@pytest.mark.parametrize("document", [wbc(), [wbc()], bundle(bundle(wbc()))])
def test_one_document(tmp_path: Path, document: Any) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(document, indent=1))
    assert one(read(tmp_path, path=path))["row_id"] == 1000


def test_references_are_resolved_across_the_files_of_an_export(tmp_path: Path) -> None:
    folder = tmp_path / "bulk"
    by_reference = {"medicationReference": {"reference": "Medication/m", "display": "as ordered"}}
    write_lines(
        folder / "A.ndjson",
        wbc(specimen={"reference": "https://x.org/Specimen/s"}),
        wbc(id="o2", specimen={"reference": "Specimen/s", "display": "Blood"}),
        wbc(id="o3", specimen={"reference": "Specimen/unknown"}),
        resource("MedicationStatement", **by_reference),
    )
    named = {"coding": [{"system": "http://www.whocc.no/atc", "code": "N05AH02"}], "text": "Clozapine"}
    write_lines(folder / "Medication.000.ndjson.gz", {"resourceType": "Medication", "id": "m", "code": named})
    write_lines(folder / "Specimen.ndjson", {"resourceType": "Specimen", "id": "s", "type": {"text": "CSF"}})
    (folder / "manifest.json").write_text('{"output": []}')
    (folder / "Empty.ndjson").write_text("")
    staged = read(tmp_path, path=folder)
    assert [row["specimen"] for row in table(staged, "raw_results")] == ["CSF", "Blood", ""]
    drug = one(staged, "raw_drugs")
    assert (drug["system"], drug["code"], drug["name"]) == ("atc", "N05AH02", "Clozapine")
    assert sorted(p.name for p in (tmp_path / "stage").iterdir()) == sorted(
        path.name for paths in staged.tables.values() for path in paths
    )


def test_the_same_record_twice_counts_once_and_versions_both(tmp_path: Path) -> None:
    person = {"resourceType": "Patient", "id": "p1", "birthDate": "1950-01-02"}
    panel = wbc(id="panel", component=[{"code": {"text": "a"}}, {"code": {"text": "b"}}])
    changed = deepcopy(panel)
    changed["component"][1]["code"]["text"] = "c"
    anonymous = wbc(id=None)
    write_lines(tmp_path / "in" / "1.ndjson", wbc(), person, panel, anonymous, anonymous)
    write_lines(tmp_path / "in" / "2.ndjson", person, wbc(meta={"versionId": "1"}), panel, changed)
    staged = read(tmp_path, path=tmp_path / "in")
    assert len(table(staged, "raw_persons")) == 1
    names = [row["name"] for row in table(staged, "raw_results") if row["row_id"] % 1000 == 2]
    assert names == ["b", "c"]
    duplicates = {i["detail"]: i["n"] for i in staged.issues if i["reason"] == "duplicate_record"}
    assert duplicates == {"Observation": 2, "Patient": 1}


@pytest.mark.parametrize("bulk_from", [0, 1 << 60])
def test_a_truncated_gzip_is_not_taken_for_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bulk_from: int
) -> None:
    monkeypatch.setattr(fhir, "BULK_FROM", bulk_from)
    rng = random.Random(1)
    path = write_lines(tmp_path / "a.ndjson.gz", *(wbc(id=f"{rng.getrandbits(99)}") for _ in range(5000)))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceError, match="truncated"):
        fhir.stage(path, tmp_path / "stage", "site")
    assert list((tmp_path / "stage").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.json", b""),
        ("text.ndjson", b"hello\n"),
        ("cut.json", json.dumps(bundle(wbc(id=SECRET))).encode()[:-9]),
        ("no.json.gz", b"\x1f\x8b" + bytes(100)),
        ("other.json", b'{"a": 1}'),
    ],
)
def test_what_cannot_be_read_is_an_error_without_content(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        fhir.stage(path, tmp_path / "stage", "site")
    assert name in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.remedy


def test_absent_and_empty_folders(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(SourceError):
            fhir.stage(path, tmp_path / "stage", "site")


def test_guards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir_input, "LINE_LIMIT", 5000)
    staged = read(tmp_path, wbc(), wbc(id="o2", note="x" * 9000), wbc(id="o3"))
    assert [row["row_id"] for row in table(staged, "raw_results")] == [1000, 3000]
    assert reasons(staged) == {"bad_line": 1}
    monkeypatch.setattr(fhir_input, "RATIO_FROM", 1000)
    path = write_lines(tmp_path / "bomb.ndjson.gz", wbc(), *["{" * 4000] * 6000)
    with pytest.raises(SourceError, match="decompressed"):
        read(tmp_path, path=path)


def test_progress_ends_at_the_size_of_the_files(tmp_path: Path) -> None:
    files = [write_lines(tmp_path / "in" / f"{n}.ndjson", wbc(id=f"o{n}")) for n in range(3)]
    done: list[int] = []
    fhir.stage(tmp_path / "in", tmp_path / "stage", "site", done.append)
    assert done == sorted(done)
    assert done[-1] == sum(each.stat().st_size for each in files)


def test_recognises(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "in" / "sub" / "a.ndjson.gz", wbc())
    other = tmp_path / "other.json"
    other.write_text('{"datasetJSONVersion": "1.1.0"}')
    assert fhir.recognises(lines)
    assert fhir.recognises(tmp_path / "in")
    assert not fhir.recognises(other)
    assert not fhir.recognises(tmp_path / "absent")


def test_patient_of_an_entry_without_id_is_its_full_url() -> None:
    from leukopenia.read.fhir_shapes import Patient

    scope, person = Scope(), Patient()
    scope.add("http://x.org/fhir/Patient/7", person)
    assert person.id == "7"


@pytest.mark.shared
@pytest.mark.parametrize(
    ("archive", "files", "code", "counts"),
    [
        ("stu3_smart_wbc_patients.tar.gz", 35, "26464-8", 88),
        ("r4_synthea_lowwbc_patients.tar.gz", 8, "6690-2", 65),
    ],
)
def test_smart_sample_patients(tmp_path: Path, archive: str, files: int, code: str, counts: int) -> None:
    beside = Path(__file__).parents[2].parent / "shared"
    packed = Path(os.environ.get("LEUKOPENIA_SHARED", beside)) / "data" / "fhir-smart-samples" / archive
    if not packed.exists():
        pytest.skip("the SMART sample patients are not here (set LEUKOPENIA_SHARED)")
    with tarfile.open(packed) as tar:
        tar.extractall(tmp_path / "bundles", filter="data")
    staged = read(tmp_path, path=tmp_path / "bundles")
    found = [row for row in table(staged, "raw_results") if row["code"] == code]
    assert (len(staged.files), len(found)) == (files, counts)
    assert {row["unit"] for row in found} == {"10*3/uL"}
    assert "\u200b" not in "".join(row["name"] for row in found)
