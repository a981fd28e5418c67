"""`leukopenia forecast` as a user types it: own-made results with a regimen file, and FHIR without one."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from commands import fails, succeeds, text

LABS = """\
patient,time,test,value,unit,sex,birth
7,2025-12-20 08:00,ANC,4.9,K/uL,F,1970-01-01
7,2026-01-04 08:00,ANC,5.1,K/uL,F,1970-01-01
7,2026-01-09 08:00,ANC,3.0,K/uL,F,1970-01-01
7,2026-01-13 08:00,ANC,0.7,K/uL,F,1970-01-01
7,2026-01-13 08:00,WBC,1.9,K/uL,F,1970-01-01
"""
REGIMEN = """\
drug: docetaxel
doses:
  - {time: 2026-01-05 09:00, amount: 180, unit: mg, hours: 1}
covariates: {prior_therapy: no}
"""
KEYS = {
    *("patient_id", "as_of", "as_of_day", "danger", "note", "analyte", "unit", "drugs", "day_0", "doses", "counts"),
    *("covariates", "standard", "grade_below", "basis", "status", "information_gain", "cards", "markers", "curve"),
    *("grades", "ready", "draws", "published", "hazards", "outside", "missing", "sources", "available"),
}


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    return text(tmp_path / "labs.csv", LABS)


@pytest.fixture
def regimen(tmp_path: Path) -> Path:
    return text(tmp_path / "regimen.yaml", REGIMEN)


def told(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(succeeds("forecast", *arguments, "--patient", "7", "--json"))
    assert set(found) == KEYS
    return found


def _administered(n: int, drug: str, begun: str, hours: float | None, dose: float | None, unit: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "MedicationAdministration",
        "id": f"drug-{n}",
        "status": "completed",
        "medicationCodeableConcept": {"text": drug},
        "subject": {"reference": "Patient/7"},
        "effectiveDateTime": f"{begun}:00+00:00",
    }
    if hours is not None:
        end = datetime.fromisoformat(begun) + timedelta(hours=hours)
        made["effectivePeriod"] = {"start": made.pop("effectiveDateTime"), "end": f"{end.isoformat()}+00:00"}
    if dose is not None:
        made["dosage"] = {"dose": {"value": dose, "unit": unit}}
    return made


def hospital(folder: Path, *drugs: tuple[str, str, float | None, float | None, str]) -> Path:
    """A FHIR export with the counts of LABS, and drugs: name, begin, hours, dose, unit."""
    rows = [line.split(",") for line in LABS.splitlines()[1:]]
    observations = [
        {
            "resourceType": "Observation",
            "id": f"o{n}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": {"ANC": "751-8", "WBC": "6690-2"}[row[2]]}]},
            "subject": {"reference": "Patient/7"},
            "effectiveDateTime": f"{row[1].replace(' ', 'T')}:00+00:00",
            "valueQuantity": {"value": float(row[3]), "unit": "10*3/uL"},
        }
        for n, row in enumerate(rows)
    ]
    given = [_administered(n, *drug) for n, drug in enumerate(drugs)]
    person = [{"resourceType": "Patient", "id": "7", "gender": "female", "birthDate": "1970-01-01"}]
    for name, found in (("Patient", person), ("Observation", observations), ("MedicationAdministration", given)):
        text(folder / "export" / f"{name}.ndjson", "".join(f"{json.dumps(row)}\n" for row in found))
    return folder / "export"


# What is told


def test_words_for_a_person(labs: Path, regimen: Path) -> None:
    said = succeeds("forecast", labs, "--patient", "7", "--regimen", regimen)
    assert "Research use only" in said
    assert "Status: forecast" in said
    assert "\nDoses: 2026-01-05 09:00 180 mg over 1 h\nPerson: female 1, prior_therapy 0\n" in said
    assert re.search(r"^Nadir: day \d+\.\d \(\d+\.\d to \d+\.\d\), 0\.\d\d \(0\.\d\d to \d\.\d\d\)", said, re.M)
    assert re.search(r"^Below 0\.5 at some time: probability \d+%", said, re.M)
    assert re.search(r"^Days below 1\.0: ", said, re.M)
    assert re.search(r"^Back at 1\.5: day \d+\.\d .*, about 2026-01-\d\d", said, re.M)
    assert "grade 0-1   grade 2   grade 3   grade 4    >= 1.0    >= 1.5" in said
    assert "alpha1_acid_glycoprotein is not known" in said
    assert "Netterberg" in said


def test_json_holds_a_whole_forecast(labs: Path, regimen: Path) -> None:
    found = told(labs, "--regimen", regimen)
    assert (found["status"], found["analyte"], found["day_0"]) == ("forecast", "neutrophils", "2026-01-05 09:00")
    assert [count["value"] for count in found["counts"]] == [5.1, 3.0, 0.7], "the count of December is too old"
    assert found["covariates"] == {"female": 1.0, "prior_therapy": 0.0}
    nadir = found["markers"]["nadir"]
    assert nadir["low"] < nadir["median"] < nadir["high"]
    assert 6 < found["markers"]["nadir_day"]["median"] < 12
    for n in range(len(found["grades"]["days"])):
        assert sum(found["grades"][grade][n] for grade in "0234") == pytest.approx(1, abs=2e-3)
    assert found["curve"]["days"][-1] == 40
    assert found["sources"] and all(source["citation"] for source in found["sources"])
    assert found["grade_below"] == {"2": 1.5, "3": 1.0, "4": 0.5}


def test_the_same_question_gets_the_same_answer(labs: Path, regimen: Path) -> None:
    assert told(labs, "--regimen", regimen) == told(labs, "--regimen", regimen)


def test_what_was_known_on_an_earlier_day(labs: Path, regimen: Path) -> None:
    early, late = (told(labs, "--regimen", regimen, "--as-of", day) for day in ("2026-01-06", "2026-01-13"))
    assert early["status"] == "not enough counts yet"
    assert len(early["counts"]) == 1
    assert early["information_gain"] < late["information_gain"]


def test_a_dose_per_area_needs_the_area(labs: Path, tmp_path: Path, regimen: Path) -> None:
    per_area = REGIMEN.replace("amount: 180, unit: mg", "amount: 100, unit: mg/m2")
    assert "body surface" in fails(
        2, "forecast", labs, "--patient", "7", "--regimen", text(tmp_path / "area.yaml", per_area)
    )
    with_area = told(labs, "--regimen", text(tmp_path / "area.yaml", f"{per_area}body_surface: 1.8\n"))
    assert with_area["markers"] == told(labs, "--regimen", regimen)["markers"]


def test_a_drug_by_its_brand(labs: Path, tmp_path: Path) -> None:
    file = text(tmp_path / "brand.yaml", REGIMEN.replace("docetaxel", "Taxotere"))
    assert told(labs, "--regimen", file)["drugs"] == ["docetaxel"]


def test_doses_before_the_first_count_of_a_source_without_drugs(tmp_path: Path, regimen: Path) -> None:
    """A dose in the file after the last count: the day asked for is that of the dose."""
    before = "\n".join(LABS.splitlines()[:3])
    found = told(text(tmp_path / "labs.csv", before), "--regimen", regimen)
    assert (found["as_of"], found["as_of_day"]) == ("2026-01-05 09:00", 0.0)
    assert found["status"] == "not enough counts yet"


def test_white_cells_under_paclitaxel_in_milligrams(labs: Path, tmp_path: Path) -> None:
    file = REGIMEN.replace("docetaxel", "paclitaxel").replace("180", "300").replace("hours: 1", "hours: 3")
    file = file.replace("covariates: {prior_therapy: no}\n", "")
    found = told(labs, "--regimen", text(tmp_path / "own.yaml", file))
    assert (found["analyte"], found["drugs"]) == ("wbc", ["paclitaxel"])
    assert found["doses"][0]["unit"] == "umol"
    assert found["doses"][0]["amount"] == pytest.approx(300_000 / 853.91, rel=1e-3)


def test_counts_that_no_docetaxel_could_make_are_not_forecast(tmp_path: Path, regimen: Path) -> None:
    odd = "patient,time,test,value,unit\n" + "".join(
        f"7,2026-01-{day:02} 08:00,ANC,{value},K/uL\n"
        for day, value in ((4, 5), (6, 0.02), (7, 30), (8, 0.02), (9, 30))
    )
    said = succeeds("forecast", text(tmp_path / "odd.csv", odd), "--patient", "7", "--regimen", regimen)
    assert "the counts do not fit the model" in said
    assert "Nadir:" not in said and "Probability per day" not in said


def test_a_count_of_nothing_is_below_the_limit_of_the_policy(tmp_path: Path, regimen: Path) -> None:
    found = told(text(tmp_path / "labs.csv", LABS.replace("ANC,0.7", "ANC,0")), "--regimen", regimen)
    assert found["counts"][-1] == {"time": "2026-01-13 08:00", "day": 7.96, "value": 0.1, "below": True}
    assert "1 counts of 0 were taken as below 0.1" in found["missing"]


# FHIR


def test_records_that_say_dose_and_infusion_need_no_file(tmp_path: Path, labs: Path, regimen: Path) -> None:
    source = hospital(tmp_path, ("docetaxel", "2026-01-05T09:00", 1.0, 180.0, "mg"))
    found = told(source)
    assert found["doses"] == [{"time": "2026-01-05 09:00", "day": 0.0, "amount": 180.0, "unit": "mg", "hours": 1.0}]
    female = text(tmp_path / "less.yaml", REGIMEN.replace("covariates: {prior_therapy: no}\n", ""))
    assert found["markers"] == told(labs, "--regimen", female)["markers"]


def test_earlier_doses_of_the_course_are_told_to_the_model(tmp_path: Path) -> None:
    first = ("docetaxel", "2025-12-15T09:00", 1.0, 180.0, "mg")
    found = told(hospital(tmp_path, first, ("docetaxel", "2026-01-05T09:00", 1.0, 180.0, "mg")))
    assert [dose["day"] for dose in found["doses"]] == [-21.0, 0.0]
    assert found["day_0"] == "2026-01-05 09:00"


@pytest.mark.parametrize(
    ("hours", "dose", "lacking"),
    [(None, 180.0, "lack infusion time"), (1.0, None, "lack amount, unit"), (30.0, 180.0, "lack infusion time")],
)
def test_incomplete_doses_ask_for_a_file_and_show_one(
    tmp_path: Path, hours: float | None, dose: float | None, lacking: str
) -> None:
    source = hospital(tmp_path, ("docetaxel", "2026-01-05T09:00", hours, dose, "mg"))
    said = fails(2, "forecast", source, "--patient", "7")
    assert f"docetaxel: 1 of 1 doses {lacking}." in said
    assert "drug: docetaxel" in said and "--regimen" in said
    assert ("amount: 0, unit: mg, hours: 1" in said) is (dose is None), "known doses need not be written down"
    assert "180" not in said


def test_the_stub_of_the_message_is_a_file_that_can_be_filled_in(tmp_path: Path, labs: Path) -> None:
    said = fails(2, "forecast", labs, "--patient", "7")
    stub = text(tmp_path / "stub.yaml", said[said.index("drug:") :])
    assert "amount of dose 1" in fails(2, "forecast", labs, "--patient", "7", "--regimen", stub)
    text(stub, stub.read_text(encoding="utf-8").replace("amount: 0", "amount: 180"))
    assert told(labs, "--regimen", stub)["status"] == "forecast"


def test_a_file_can_add_the_infusion_time_alone(tmp_path: Path) -> None:
    source = hospital(tmp_path, ("docetaxel", "2026-01-05T09:00", None, 180.0, "mg"))
    assert told(source, "--regimen", text(tmp_path / "own.yaml", "hours: 1\n"))["doses"][0]["hours"] == 1.0


def test_other_drugs_of_the_cycle_are_named(tmp_path: Path) -> None:
    given = ("docetaxel", "2026-01-05T09:00", 1.0, 180.0, "mg")
    others = (
        ("cyclophosphamide", "2026-01-05T11:00", 1.0, 1000.0, "mg"),
        ("filgrastim", "2026-01-07T09:00", None, None, ""),
    )
    source = hospital(tmp_path, given, *others)
    deeper, growth = told(source)["outside"]
    assert deeper == "also given, so that the fall may be deeper: cyclophosphamide"
    assert growth == "a growth factor was given, which changes the course: filgrastim"
    said = succeeds("forecast", source, "--patient", "7")
    assert said.index(growth) < said.index("Status:"), "before any number"


def test_a_drug_without_a_card_gets_no_number(tmp_path: Path) -> None:
    source = hospital(tmp_path, ("cytarabine", "2026-01-05T09:00", 1.0, 180.0, "mg"))
    said = succeeds("forecast", source, "--patient", "7")
    assert "no verified card - no forecast, for no number is invented" in said
    assert "the last 0.7 on 2026-01-13" in said
    assert "netterberg2017-docetaxel: docetaxel, neutrophils" in said
    found = told(source)
    assert (found["status"], found["drugs"], found["markers"]) == ("no verified card", ["cytarabine"], None)


def test_a_drug_without_a_card_gets_a_class_prior_of_published_nadir_days(tmp_path: Path, labs: Path) -> None:
    file = text(tmp_path / "own.yaml", REGIMEN.replace("docetaxel", "carboplatin"))
    said = succeeds("forecast", labs, "--patient", "7", "--regimen", file)
    warning = "Class prior, not a model of carboplatin: it rests on published nadir days; its depth is assumed"
    assert warning in said and said.index(warning) < said.index("Nadir: day")
    assert "Carboplatin alone, Thai monograph: nadir day 21; recovery day 28" in said
    assert "Carboplatin, Philippine monograph: nadir day 14 to 28; recovery day up to 42" in said
    found = told(labs, "--regimen", file)
    assert found["basis"] == "nadir prior" and len(found["cards"]) == len(found["published"]) == 2
    assert found["doses"][0]["amount"] is None, "the dose plays no part"
    drawn = succeeds("forecast", labs, "--patient", "7", "--regimen", file, "--plot", tmp_path / "own.svg")
    assert drawn and "2026-01-05 09:00: treatment" in (tmp_path / "own.svg").read_text(encoding="utf-8")


def test_a_person_on_clozapine_is_told_the_published_hazard(tmp_path: Path) -> None:
    source = hospital(tmp_path, ("clozapine", "2026-01-05T09:00", None, 100.0, "mg"))
    found = told(source, "--as-of", "2026-01-12")
    assert (found["basis"], found["drugs"], found["day_0"]) == ("none", [], None)
    (hazard,) = found["hazards"]
    assert (hazard["drug"], hazard["since"], hazard["study"]) == ("clozapine", "2026-01-05 09:00", "alvir1993")
    assert hazard["low"] < hazard["probability"] < hazard["high"] and not hazard["happened"]
    said = succeeds("forecast", source, "--patient", "7", "--as-of", "2026-01-12")
    assert "7: neutrophils under clozapine, as of 2026-01-12" in said
    assert "On clozapine since 2026-01-05, 8 days. Of people who have been free of it so far:" in said
    assert "agranulocytosis: 0.21 % (0.16 to 0.25 %) within the next 28 days [alvir1993, computed]" in said


def test_a_drug_that_is_listed_as_harmless_to_counts_gets_no_curve(tmp_path: Path, labs: Path) -> None:
    file = text(tmp_path / "own.yaml", REGIMEN.replace("docetaxel", "vincristine"))
    said = succeeds("forecast", labs, "--patient", "7", "--regimen", file)
    assert "no verified card" in said and "a fall needs another cause" in said
    assert told(labs, "--regimen", file)["basis"] == "none"


def test_a_card_that_exists_and_may_not_be_used_says_why(tmp_path: Path, labs: Path) -> None:
    file = text(tmp_path / "own.yaml", REGIMEN.replace("docetaxel", "abraxane"))
    said = succeeds("forecast", labs, "--patient", "7", "--regimen", file)
    assert "not chen2014-nab-paclitaxel: Its equations are not among those" in said
    assert "does not forecast one person" in fails(
        2, "forecast", labs, "--patient", "7", "--card", "baseline-neutrophils"
    )


# The picture


def test_a_picture_of_its_own(tmp_path: Path, labs: Path, regimen: Path) -> None:
    target = tmp_path / "forecast.svg"
    succeeds("forecast", labs, "--patient", "7", "--regimen", regimen, "--plot", target)
    root = ElementTree.fromstring(target.read_text(encoding="utf-8"))
    classes = [element.get("class") for element in root.iter()]
    assert {"wide", "half", "median", "dose", "asked", "g2", "g3", "g4"} <= set(classes)
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "2026-01-13 08:00: 0.7" in titles and "2026-01-05 09:00: 180 mg over 1 h" in titles
    assert "script" not in target.read_text(encoding="utf-8")


def test_without_a_card_the_counts_alone_are_drawn(tmp_path: Path) -> None:
    source, target = hospital(tmp_path, ("cytarabine", "2026-01-05T09:00", 1.0, 180.0, "mg")), tmp_path / "own.svg"
    succeeds("forecast", source, "--patient", "7", "--plot", target)
    drawn = target.read_text(encoding="utf-8")
    assert "no verified card" in drawn and 'class="median"' not in drawn
    assert drawn.count(": 3<") == 1


# Misuse


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a list", "is not a mapping"),
        ("dose: []", "holds dose, which is not known"),
        ("doses: [{time: soon, amount: 1, unit: mg}]", "The time of dose 1 is not understood"),
        ("doses: [{time: 2026-01-05, amount: -1, unit: mg}]", "The amount of dose 1 cannot be used"),
        ("doses: [{time: 2026-01-05, amount: .nan, unit: mg}]", "The amount of dose 1 cannot be used"),
        ("covariates: {female: maybe}", "The covariate female cannot be used"),
        ("doses: [", "cannot be read"),
        (REGIMEN.replace("unit: mg", "unit: IU"), "The unit of a dose is not understood"),
        (REGIMEN.replace("prior_therapy", "shoe_size"), "shoe_size"),
    ],
)
def test_a_regimen_file_that_cannot_be_used(tmp_path: Path, labs: Path, content: str, message: str) -> None:
    file = text(tmp_path / "own.yaml", content)
    assert message in fails(2, "forecast", labs, "--patient", "7", "--regimen", file)


def test_misuse_says_what_to_do(labs: Path, regimen: Path, tmp_path: Path) -> None:
    asked = ("forecast", labs, "--patient", "7", "--regimen", regimen)
    assert "no such person" in fails(2, "forecast", labs, "--patient", "8", "--regimen", regimen)
    assert "no model card" in fails(2, *asked, "--card", "nothing")
    assert "neutrophils or wbc" in fails(2, *asked, "--analyte", "platelets")
    assert "is of neutrophils" in fails(2, *asked, "--card", "netterberg2017-docetaxel", "--analyte", "wbc")
    paclitaxel = "friberg2002-paclitaxel-leukocytes"
    assert "of another drug" in fails(2, *asked, "--card", paclitaxel)
    nameless = text(tmp_path / "nameless.yaml", REGIMEN.replace("drug: docetaxel\n", ""))
    assert "doses of no drug" in fails(2, *asked[:-1], nameless)
    assert ".svg" in fails(2, *asked, "--plot", tmp_path / "own.png")
    assert "cannot be read" in fails(2, *asked[:-1], tmp_path / "nothing.yaml")
    fails(3, "forecast", tmp_path / "nothing.csv", "--patient", "7")
