"""The simulated hospital: the same each time, dirty in every way it promises, and true to its truth."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leukopenia.errors import OutputError, UsageError
from leukopenia.knowledge import load
from leukopenia.simulate import FORMATS, Hospital, Truth, hospital, write
from leukopenia.simulate.catalogue import DRUGS
from leukopenia.simulate.causes import causes
from leukopenia.simulate.chart import curve
from leukopenia.simulate.departures import NONE, Departures
from leukopenia.simulate.dirt_others import TALL_MAN
from leukopenia.simulate.hospital import blocks
from leukopenia.simulate.records import EPOCH

Resource = dict[str, Any]
OBSERVATIONS = "Observation.ndjson.gz"
COUNT_CODES = {
    "wbc": ("6690-2", "26464-8"),
    "neutrophils": ("751-8", "26499-4"),
    "lymphocytes": ("731-0", "26474-7"),
    "platelets": ("777-3", "26515-7"),
    "haemoglobin": ("718-7",),
}
PERCENT_CODES = {"neutrophils": ("770-8", "26511-6", "764-1"), "lymphocytes": ("736-9", "26478-8")}
REDISTRIBUTED = ("cond:sepsis", "cond:pseudoleukopenia-infection")
NORMAL_STORIES = {"healthy", "treated", "child", "aged", "newborn", "unmeasured"}


@pytest.fixture(scope="module")
def town() -> Hospital:
    return hospital(400, 1, load())


@pytest.fixture(scope="module")
def plain() -> Hospital:
    """The same hospital as the knowledge has it, nothing missing and nothing wrong."""
    return hospital(400, 1, load(), NONE)


@pytest.fixture(scope="module")
def export(town: Hospital, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(town, tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def lines(export: Path) -> list[str]:
    return gzip.decompress((export / OBSERVATIONS).read_bytes()).decode().split("\n")[:-1]


@pytest.fixture(scope="module")
def observations(lines: list[str]) -> list[Resource]:
    return [resource for resource in map(parsed, lines) if resource.get("resourceType") == "Observation"]


@pytest.fixture(scope="module")
def truth(export: Path) -> list[dict[str, str]]:
    with (export / "truth.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def samples(observations: list[Resource]) -> dict[tuple[str, str], list[Resource]]:
    """Valid observations of each person and time, each once."""
    found: dict[tuple[str, str], list[Resource]] = defaultdict(list)
    for one in observations:
        if one["status"] not in ("entered-in-error", "cancelled") and "subject" in one:
            found[(person_of(one), time_of(one))].append(one)
    return found


def parsed(line: str) -> Resource:
    try:
        return json.loads(line)  # type: ignore[no-any-return]
    except ValueError:
        return {}


def resources(export: Path, name: str) -> list[Resource]:
    return [json.loads(line) for line in (export / f"{name}.ndjson").read_text(encoding="utf-8").splitlines()]


def person_of(resource: Resource) -> str:
    return str(resource["subject"]["reference"]).removeprefix("Patient/")


def time_of(one: Resource) -> str:
    time = one.get("effectiveDateTime") or one.get("issued") or one.get("effectivePeriod", {}).get("start", "")
    return str(time)[:19]


def code_of(one: Resource) -> str:
    return str(one["code"].get("coding", [{}])[0].get("code", ""))


def unit_of(one: Resource) -> str:
    return str(one.get("valueQuantity", {}).get("unit", ""))


def number_of(one: Resource) -> float | None:
    """A plain or censored number in 10^9/L, g/L or percent."""
    text = one.get("valueString", "")
    value = float(text[1:]) if text.startswith("<") else one.get("valueQuantity", {}).get("value")
    if value is None:
        return None
    scale = {"/uL": 0.001, "cells/cumm": 0.001, "g/dL": 10, "GM/DL": 10}.get(unit_of(one), 1)
    return float(value * scale)


def values(sample: list[Resource], codes: tuple[str, ...]) -> list[float]:
    found = (number_of(one) for one in sample if code_of(one) in codes and one["status"] != "preliminary")
    return [value for value in found if value is not None]


def count_of(sample: list[Resource], line: str) -> float:
    """The count a careful reader finds in a sample: reported, derived, or bounded by the white count."""
    reported = values(sample, COUNT_CODES[line])
    if reported:
        return min(reported)
    white = min(values(sample, COUNT_CODES["wbc"]))
    parts = values(sample, PERCENT_CODES.get(line, ()))
    return white * sum(parts) / 100 if parts else white


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def low_runs(truth: list[dict[str, str]], line: str = "", story: str = "", *causes: str) -> Iterator[dict[str, str]]:
    told = (run for run in truth if run["line"] and line in ("", run["line"]) and story in ("", run["story"]))
    return (run for run in told if not causes or run["cause_id"] in causes)


# --- the same each time


@pytest.mark.parametrize("form", FORMATS)
def test_same_seed_gives_the_same_bytes(tmp_path: Path, form: str) -> None:
    for folder in ("one", "two"):
        write(hospital(30, 7, load()), tmp_path / folder, form)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / folder).rglob("*") if path.is_file()}
        for folder in ("one", "two")
    )
    assert one == two


def test_the_compressed_file_carries_no_time_of_its_own(export: Path) -> None:
    name_and_time = (export / OBSERVATIONS).read_bytes()[3:8]
    assert name_and_time == bytes(5)


def test_another_seed_gives_another_hospital() -> None:
    assert hospital(30, 7, load()).results != hospital(30, 8, load()).results


def test_blocks_share_no_patient_and_no_row() -> None:
    made = list(blocks(250, 7, load(), size=100))
    assert [len(block.persons) for block in made] == [100, 100, 50]
    for rows in ("persons", "results", "drugs", "conditions", "encounters", "procedures"):
        key = "patient_id" if rows == "persons" else "row_id"
        of_block = [{getattr(row, key) for row in getattr(block, rows)} for block in made]
        assert sum(map(len, of_block)) == len(set.union(*of_block)), rows
    assert made == list(blocks(250, 7, load(), size=100))


def test_a_world_without_wrong_records_has_no_dirt() -> None:
    assert all(not block.dirt for block in blocks(150, 7, load(), Departures(wrong=False), size=100))


@pytest.mark.parametrize("persons", [1, 2, 5, 60])
def test_any_number_of_persons_can_be_written(tmp_path: Path, persons: int) -> None:
    folder = write(hospital(persons, 3, load()), tmp_path / "export")
    assert len(resources(folder, "Patient")) == persons


def test_size_is_that_of_a_small_hospital(observations: list[Resource], export: Path) -> None:
    assert 15_000 <= len(observations) <= 45_000
    assert len(resources(export, "Patient")) == 400


# --- dirt


def test_every_kind_of_dirt_was_put_in(town: Hospital) -> None:
    assert {kind for kind, times in town.dirt if times == 0} == set()


def has_note(text: str) -> Callable[[Resource], bool]:
    return lambda one: any(text in note["text"] for note in one.get("note", []))


def says(*texts: str) -> Callable[[Resource], bool]:
    return lambda one: one.get("valueString") in texts


def number_where(test: Callable[[float], bool], *codes: str) -> Callable[[Resource], bool]:
    return lambda one: (
        code_of(one) in codes and "value" in one.get("valueQuantity", {}) and test(one["valueQuantity"]["value"])
    )


def with_unit(unit: str, *codes: str) -> Callable[[Resource], bool]:
    return lambda one: unit_of(one) == unit and (not codes or code_of(one) in codes)


SEEN: dict[str, Callable[[Resource], bool]] = {
    "urine, by LOINC": lambda one: code_of(one) == "5821-4" and unit_of(one) == "/[HPF]",
    "CSF, by LOINC": lambda one: code_of(one) == "26465-5",
    "urine, by specimen alone": lambda one: code_of(one) == "" and one.get("specimen") == {"display": "Urine"},
    **{
        f"unit {unit}": with_unit(unit)
        for unit in ("10*3/uL", "K/uL", "10*9/L", "/uL", "thou/cumm", "x10(3)/mcL", "cells/cumm", "[degF]")
    },
    "count without unit": lambda one: (
        code_of(one) in COUNT_CODES["wbc"] and "valueQuantity" in one and not unit_of(one)
    ),
    "731-0 in percent": with_unit("%", "731-0"),
    "thousandfold": lambda one: (
        with_unit("10*3/uL", "6690-2", "751-8", "731-0")(one)
        and one["valueQuantity"].get("value", 0) > 500
        and one["referenceRange"][0]["low"]["value"] > 500
    ),
    "range of another unit": lambda one: (
        number_where(lambda value: value < 100, "6690-2", "751-8", "731-0")(one)
        and one.get("referenceRange", [{"low": {"value": 0}}])[0]["low"]["value"] > 500
    ),
    "comparator": lambda one: one.get("valueQuantity", {}).get("comparator") == "<",
    "censored in words": says("<0.1"),
    "not resulted": says("UNABLE TO REPORT"),
    "platelets in words": lambda one: code_of(one) in ("777-3", "26515-7") and says("LOW", "VERY LOW")(one),
    "see comment": says("See comment"),
    "data absent": lambda one: "dataAbsentReason" in one,
    "neither value nor reason": lambda one: (
        one["status"] == "final" and not {"valueQuantity", "valueString", "dataAbsentReason"} & set(one)
    ),
    "single precision": number_where(lambda value: value != round(value, 4) == round(value, 2), "6690-2", "718-7"),
    "fifteen digits": number_where(lambda value: len(repr(value)) >= 15, "6690-2", "26464-8"),
    "number as text": lambda one: one.get("valueString", "x").replace(".", "").isdigit(),
    "zero-width space": lambda one: "\u200b" in one["code"]["text"],
    "local code": lambda one: one["code"].get("coding", [{}])[0].get("system") == "http://clinic.example/tests",
    "no code": lambda one: "coding" not in one["code"],
    "date only": lambda one: len(one.get("effectiveDateTime", "")) == 10,
    "offset": lambda one: one.get("effectiveDateTime", "").endswith("+02:00"),
    "Z": lambda one: one.get("effectiveDateTime", "").endswith("Z"),
    "no offset": lambda one: len(one.get("effectiveDateTime", "")) == 19,
    "issued only": lambda one: "issued" in one,
    "period": lambda one: "effectivePeriod" in one,
    "no time": lambda one: time_of(one) == "",
    "entered in error": lambda one: one["status"] == "entered-in-error",
    "cancelled": lambda one: one["status"] == "cancelled",
    "status unknown": lambda one: one["status"] == "unknown",
    "preliminary": lambda one: one["status"] == "preliminary",
    "no range": lambda one: code_of(one) in ("26464-8", "26499-4") and "referenceRange" not in one,
    "two ranges of WBC": lambda one: (
        code_of(one) == "6690-2" and one.get("referenceRange", [{}])[0].get("low", {}).get("value") == 3.6
    ),
    "negative": number_where(lambda value: value < 0, *(code for codes in COUNT_CODES.values() for code in codes)),
    "absurd": number_where(lambda value: value >= 88_888, *COUNT_CODES["wbc"], *COUNT_CODES["platelets"], "751-8"),
    "WBC above 100": number_where(lambda value: 100 < value < 200, "6690-2"),
    "clumps, as a note": lambda one: code_of(one) == "777-3" and has_note("clumps")(one),
    "clumps, as a finding": lambda one: code_of(one) == "7796-6",
    "nucleated red cells": lambda one: code_of(one) == "58413-6",
    "corrected for nucleated red cells": has_note("corrected for NRBC"),
    "blasts": lambda one: code_of(one) == "26446-5",
    "bands": lambda one: code_of(one) == "764-1",
    "no person": lambda one: "subject" not in one,
    "unknown person": lambda one: one.get("subject") == {"reference": "Patient/sim-0000"},
}


@pytest.mark.parametrize("kind", SEEN)
def test_kind_of_dirt_stands_in_the_observations(observations: list[Resource], kind: str) -> None:
    assert any(map(SEEN[kind], observations))


def test_broken_and_stray_lines_are_the_intended_ones(lines: list[str]) -> None:
    kinds = Counter(parsed(line).get("resourceType", "empty" if line == "" else "broken") for line in lines)
    assert {kind: times for kind, times in kinds.items() if kind != "Observation"} == {
        "broken": 3,
        "empty": 1,
        "OperationOutcome": 1,
        "Bundle": 1,
    }


def test_a_broken_line_loses_nothing(lines: list[str]) -> None:
    for place, line in enumerate(lines):
        if line and not parsed(line):
            assert lines[place - 1].startswith(line)


def test_the_bundle_holds_copies_only(lines: list[str], observations: list[Resource]) -> None:
    bundle = next(resource for resource in map(parsed, lines) if resource.get("resourceType") == "Bundle")
    assert bundle["entry"]
    assert all(entry["resource"] in observations for entry in bundle["entry"])


def test_the_same_id_is_the_same_resource(observations: list[Resource]) -> None:
    by_id: dict[str, list[Resource]] = defaultdict(list)
    for one in observations:
        by_id[one["id"]].append(one)
    twice = [same for same in by_id.values() if len(same) > 1]
    assert twice
    assert all(one == same[0] for same in twice for one in same)


def test_a_ward_copy_has_another_code_and_the_same_value(
    samples: dict[tuple[str, str], list[Resource]],
) -> None:
    pairs = [
        (one, other)
        for sample in samples.values()
        for one in sample
        for other in sample
        if other["id"] == f"{one['id']}-ward"
    ]
    assert {code_of(other) for _, other in pairs} >= {"26464-8", "220546"}
    assert all(one["valueQuantity"] == other["valueQuantity"] for one, other in pairs)


def test_very_few_cells_come_without_a_differential(samples: dict[tuple[str, str], list[Resource]]) -> None:
    empty = [
        sample for sample in samples.values() if any(0 < white < 0.45 for white in values(sample, COUNT_CODES["wbc"]))
    ]
    assert empty
    assert not any(code_of(one) in ("751-8", "770-8", "26499-4") for sample in empty for one in sample)


def test_drugs_are_named_in_every_way(export: Path) -> None:
    kinds = ("MedicationRequest", "MedicationAdministration", "MedicationDispense")
    drugs = [one for kind in kinds for one in resources(export, kind)]
    held = {medication["id"] for medication in resources(export, "Medication")}
    referred = {one["medicationReference"]["reference"] for one in drugs if "medicationReference" in one}
    assert "#drug" in referred and any("contained" in one for one in drugs)
    assert referred - {f"Medication/{name}" for name in held} == {"#drug", "Medication/not-exported"}
    assert any("medicationReference" not in one and "medicationCodeableConcept" not in one for one in drugs)
    texts = {one.get("medicationCodeableConcept", {}).get("text", "") for one in drugs}
    assert texts & set(TALL_MAN.values())
    assert texts & {drug.brand for drug in DRUGS.values()}
    assert any("Ophthalmic" in text or "gel" in text or "eye drops" in text for text in texts)
    systems = {
        coding["system"]
        for one in drugs
        for coding in one.get("medicationCodeableConcept", {}).get("coding", [])
        if coding["code"] != "0"
    }
    assert len(systems) == 2


def test_drugs_not_given_and_orders_that_end_before_they_start(export: Path) -> None:
    assert any(one["status"] == "not-done" for one in resources(export, "MedicationAdministration"))
    requests = resources(export, "MedicationRequest")
    assert any(one["status"] == "entered-in-error" for one in requests)
    periods = [one["dosageInstruction"][0]["timing"]["repeat"]["boundsPeriod"] for one in requests]
    assert any(period.get("end", "9") < period["start"] for period in periods)
    assert any(len(period["start"]) == 10 for period in periods)


def test_odd_persons_and_conditions(export: Path, observations: list[Resource]) -> None:
    persons = resources(export, "Patient")
    births = {person["id"]: person.get("birthDate", "") for person in persons}
    assert any(birth < "1800" for birth in births.values() if birth), "an age masked by centuries"
    assert any("1900" < birth < "1935" for birth in births.values()), "older than 89"
    assert any(len(birth) == 4 for birth in births.values()) and "" in births.values()
    assert any("_birthDate" in person for person in persons) and any("deceasedDateTime" in one for one in persons)
    counted = {person_of(one) for one in observations if "subject" in one}
    conditions = resources(export, "Condition")
    assert {person_of(one) for one in conditions} - counted, "diagnoses but no counts"
    certainties = {one["verificationStatus"]["coding"][0]["code"] for one in conditions}
    assert certainties >= {"confirmed", "provisional", "refuted", "entered-in-error"}
    codes = {coding["code"] for one in conditions for coding in one["code"].get("coding", [])}
    assert "I10" in codes and any(len(code) > 3 and "." not in code for code in codes)


# --- truth


def test_the_truth_speaks_of_everybody_and_only_of_them(truth: list[dict[str, str]], export: Path) -> None:
    assert {run["patient_id"] for run in truth} == {person["id"] for person in resources(export, "Patient")}


def test_a_nadir_is_what_the_sample_says(
    truth: list[dict[str, str]], samples: dict[tuple[str, str], list[Resource]]
) -> None:
    runs = list(low_runs(truth))
    assert len(runs) > 400
    for run in runs:
        sample = samples[(run["patient_id"], run["nadir_time"])]
        assert count_of(sample, run["line"]) == pytest.approx(float(run["nadir"]), abs=1e-6), run["line"]


def test_nothing_lower_is_written_within_a_run(
    truth: list[dict[str, str]], samples: dict[tuple[str, str], list[Resource]]
) -> None:
    plain: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
    for (person, time), sample in samples.items():
        for line, codes in COUNT_CODES.items():
            # Of two laboratories one may call a count low that is higher than what the other calls normal.
            limit = min(printed_limit(sample, line) or 500, 500)
            # A percentage under the code of a count is no count.
            absolute = [one for one in sample if unit_of(one) != "%"]
            plain[(person, line)] += [(time, value) for value in values(absolute, codes) if 0 <= value < limit]
    for run in low_runs(truth):
        # Long digits move a value by less than a thousandth.
        lower = [
            (run["patient_id"], time, value, run["nadir"])
            for time, value in plain[(run["patient_id"], run["line"])]
            if run["onset"] <= time
            and (not run["recovery"] or time < run["recovery"])
            and value < float(run["nadir"]) * 0.999
        ]
        assert lower == []


def printed_limit(sample: list[Resource], line: str) -> float | None:
    """The lower limit the laboratory prints beside a count of the line, in 10^9/L or g/L."""
    for one in sample:
        if code_of(one) in COUNT_CODES[line] and unit_of(one) != "%" and "referenceRange" in one:
            return float(one["referenceRange"][0]["low"]["value"] * (10 if unit_of(one) == "g/dL" else 1))
    return None


def test_a_run_begins_below_the_printed_limit_and_ends_at_or_above_it(
    truth: list[dict[str, str]], samples: dict[tuple[str, str], list[Resource]]
) -> None:
    checked: Counter[str] = Counter()
    for run in low_runs(truth):
        assert run["onset"] <= run["nadir_time"]
        for end, low in (("onset", True), ("nadir_time", True), ("recovery", False)):
            sample = samples[(run["patient_id"], run[end])] if run[end] else []
            limit = printed_limit(sample, run["line"])
            if limit is not None:
                assert (count_of(sample, run["line"]) < limit) is low
                checked[end] += 1
    assert min(checked[end] for end in ("onset", "nadir_time", "recovery")) > 200


def printed_low(one: Resource, line: str) -> bool:
    """Whether a count stands below the limit printed beside it, both in the unit of the laboratory."""
    value = one.get("valueQuantity", {}).get("value", -1)
    low = one.get("referenceRange", [{"low": {"value": 0}}])[0]["low"]["value"]
    in_percent = unit_of(one) == "%" or code_of(one) not in COUNT_CODES[line]
    return not in_percent and 0 <= value < low < 500


def test_every_low_count_that_is_written_lies_within_a_run(
    truth: list[dict[str, str]], samples: dict[tuple[str, str], list[Resource]]
) -> None:
    runs: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for run in low_runs(truth):
        runs[(run["patient_id"], run["line"])].append((run["onset"], run["recovery"] or "9"))
    low = [
        (person, time, line)
        for (person, time), sample in samples.items()
        for line in COUNT_CODES
        if time and person != "sim-0000" and any(printed_low(one, line) for one in sample)
    ]
    assert len(low) > 1000
    for person, time, line in low:
        assert any(start <= time < end for start, end in runs[(person, line)]), (person, time, line)


@pytest.mark.parametrize("story", sorted(NORMAL_STORIES))
def test_ordinary_persons_have_no_low_neutrophils(truth: list[dict[str, str]], story: str) -> None:
    assert any(run["story"] == story for run in truth)
    assert not list(low_runs(truth, "neutrophils", story))


def test_most_persons_are_well(truth: list[dict[str, str]]) -> None:
    stories = {run["patient_id"]: run["story"] for run in truth}
    assert sum(story in NORMAL_STORIES for story in stories.values()) > 200
    assert set(stories.values()) > {*NORMAL_STORIES, "clumps", "pregnancy", "monitored", "unexplained"}


def test_every_class_of_causes_occurs(truth: list[dict[str, str]]) -> None:
    told = {run["cause_class"] for run in low_runs(truth) if run["cause_id"]}
    assert told >= {cause.cause_class for cause in causes(load()).values()}


def of_cause(plain: Hospital, line: str, *causes: str) -> list[Truth]:
    found = [run for run in plain.truth if run.line == line and run.cause_id in causes]
    assert found
    return found


def counts_of(plain: Hospital, person: str, analyte: str) -> list[tuple[int, float]]:
    mine = (row for row in plain.results if row.patient_id == person and row.analyte == analyte)
    return [(row.minute, row.value) for row in mine if row.minute is not None and row.value is not None]


def test_docetaxel_nadirs_come_in_the_second_week(plain: Hospital) -> None:
    days = [
        (moment(run.nadir_time) - moment(run.cause_onset)).days
        for run in of_cause(plain, "neutrophils", "drug:docetaxel")
    ]
    assert len(days) > 5
    assert sorted(days)[len(days) // 2] in range(6, 15)
    assert max(days) < 21


def test_sepsis_is_low_first_and_high_within_three_days(plain: Hospital) -> None:
    for run in of_cause(plain, "neutrophils", *REDISTRIBUTED):
        start = (moment(run.onset) - EPOCH) // timedelta(minutes=1)
        white = counts_of(plain, run.patient_id, "wbc")
        usual = [value for minute, value in white if minute < start - 5 * 1440]
        later = [value for minute, value in white if start < minute < start + 3 * 1440]
        assert max(later) > (1.3 * max(usual) if usual else 11), run


def test_bands_are_needed_for_some_neutrophil_nadirs(
    truth: list[dict[str, str]], samples: dict[tuple[str, str], list[Resource]]
) -> None:
    nadirs = [
        samples[(run["patient_id"], run["nadir_time"])] for run in low_runs(truth, "neutrophils", "", *REDISTRIBUTED)
    ]
    with_bands = [
        sample for sample in nadirs if values(sample, ("764-1",)) and not values(sample, COUNT_CODES["neutrophils"])
    ]
    assert with_bands


def test_leukaemia_hides_few_neutrophils_under_many_white_cells(plain: Hospital) -> None:
    hidden = [
        run
        for run in of_cause(plain, "neutrophils", "cond:acute-leukaemia")
        if run.nadir is not None
        and run.nadir < 1
        and max(value for _, value in counts_of(plain, run.patient_id, "wbc")) > 30
    ]
    assert hidden


def test_clumped_platelets_are_called_unreal(truth: list[dict[str, str]]) -> None:
    runs = list(low_runs(truth, "platelets", "clumps"))
    assert runs
    assert all(run["note"].startswith("not real") and run["recovery"] for run in runs)


def test_newborns_are_high_on_the_first_day(export: Path, samples: dict[tuple[str, str], list[Resource]]) -> None:
    births = {
        person["id"]: moment(person["_birthDate"]["extension"][0]["valueDateTime"][:19])
        for person in resources(export, "Patient")
        if "_birthDate" in person
    }
    first: dict[str, float] = {}
    for (person, time), sample in sorted(samples.items()):
        if person in births and time and moment(time) - births[person] < timedelta(hours=24):
            first[person] = max(values(sample, COUNT_CODES["wbc"]) or [first.get(person, 0.0)])
    assert len(first) == len(births) > 0
    assert min(first.values()) > 11


# --- the table, and misuse


def test_the_table_holds_every_valid_result(town: Hospital, tmp_path: Path) -> None:
    path = write(town, tmp_path, "csv")
    with (path / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {"patient", "time", "test", "value", "unit", "low", "high", "sex", "birth_date"} < set(rows[0])
    valid = sum(result.status not in ("entered-in-error", "cancelled") for result in town.results)
    wide = [row for row in rows if None in row]
    assert wide and len(rows) - len(wide) == valid
    assert {"<0.1", "UNABLE TO REPORT"} <= {row["value"] for row in rows}
    assert (tmp_path / "truth.csv").exists()


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fhir, omop, meds, csv"):
        write(hospital(1, 1, load()), tmp_path, "hl7v2")
    assert list(tmp_path.iterdir()) == []


def test_a_hospital_of_nobody_is_refused() -> None:
    with pytest.raises(UsageError):
        hospital(0, 1, load())


def test_a_file_in_place_of_the_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "export").write_text("in the way")
    with pytest.raises(OutputError):
        write(hospital(1, 1, load()), tmp_path / "export")


def test_a_curve_is_straight_on_the_logarithmic_scale() -> None:
    knots = ((0.0, 1.0), (10.0, 0.01))
    assert curve(knots, 5) == pytest.approx(0.1)
    assert (curve(knots, -3), curve(knots, 99)) == (1.0, 0.01)
