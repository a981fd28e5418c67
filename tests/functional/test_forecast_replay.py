"""`leukopenia forecast --replay` and `--vpc` as a user types them: virtual people of a card, and those without one."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from commands import fails, succeeds, text
from test_forecast import LABS, REGIMEN, hospital

import leukopenia as lk
from leukopenia.forecast import Regimen

DOSE = ("Docetaxel", "2026-01-05T09:00", 1.0, 180.0, "mg")
DAYS = np.array([-1.0, 4.0, 7.0, 9.0, 12.0, 16.0])
BEGUN = datetime(2026, 1, 5, 9)


def cohort(folder: Path, n: int, seed: int = 4) -> Path:
    """A FHIR export of virtual people of the docetaxel card, one cycle each, and one who got another drug."""
    card, random = lk.forecast.card("netterberg2017-docetaxel"), np.random.default_rng(seed)
    typical = card.typical({"female": 1.0})
    own = {
        p.name: typical[p.name] * np.exp(random.standard_normal(n) * math.sqrt(p.variance or 0)) for p in card.varying
    }
    true = lk.forecast.solve(card, Regimen([0.0], 180.0, 1.0, {"female": 1.0}), DAYS * 24, own)
    seen = true * np.exp(random.normal(0, card.residual or 0, true.shape))
    people = [f"p{number}" for number in range(n + 1)]
    rows = [*seen, seen[0]]
    write(folder, "Patient", [{"resourceType": "Patient", "id": one, "gender": "female"} for one in people])
    write(
        folder,
        "Observation",
        [
            _count(one, n, float(value), day)
            for one, values in zip(people, rows, strict=True)
            for n, (value, day) in enumerate(zip(values, DAYS, strict=True))
        ],
    )
    write(
        folder,
        "MedicationAdministration",
        [_given(one, "docetaxel" if one != people[-1] else "etoposide") for one in people],
    )
    return folder


def write(folder: Path, name: str, rows: list[dict[str, object]]) -> None:
    text(folder / f"{name}.ndjson", "".join(f"{json.dumps(row)}\n" for row in rows))


def _count(one: str, n: int, value: float, day: float) -> dict[str, object]:
    time = BEGUN + timedelta(days=day)
    return {
        "resourceType": "Observation",
        "id": f"{one}-{n}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "751-8"}]},
        "subject": {"reference": f"Patient/{one}"},
        "effectiveDateTime": f"{time.isoformat()}+00:00",
        "valueQuantity": {"value": round(value, 3), "unit": "10*3/uL"},
    }


def _given(one: str, drug: str) -> dict[str, object]:
    end = BEGUN + timedelta(hours=1)
    return {
        "resourceType": "MedicationAdministration",
        "id": f"{one}-d",
        "status": "completed",
        "medicationCodeableConcept": {"text": drug},
        "subject": {"reference": f"Patient/{one}"},
        "effectivePeriod": {"start": f"{BEGUN.isoformat()}+00:00", "end": f"{end.isoformat()}+00:00"},
        "dosage": {"dose": {"value": 180, "unit": "mg"}},
    }


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohort(tmp_path_factory.mktemp("cohort"), 12)


def test_everybody_with_a_card_is_replayed(people: Path) -> None:
    found = json.loads(succeeds("forecast", people, "--replay", "--json"))
    assert (found["persons"], found["cycles"]) == (12, 12), "the person on etoposide is not asked for"
    assert found["days"] == 12 * 16
    assert found["cards"] == ["netterberg2017-docetaxel"] and found["sources"]
    whole = {row["method"]: row for row in found["scores"] if row["to_day"] is None and row["from_day"] == 0}
    assert len({row["n"] for row in whole.values()}) == 1
    assert whole["forecast"]["crps"] < whole["last count"]["crps"]
    assert whole["forecast"]["brier"] < whole["last count"]["brier"]
    assert whole["last count"]["within_90"] is None
    assert 0.7 < whole["forecast"]["within_90"] < 1


def test_the_table_for_a_reader(people: Path) -> None:
    said = succeeds("forecast", people, "--replay", "--patient", "p3")
    assert "Research use only" in said
    assert "\n1 persons, 1 cycles, 16 days" in said
    assert "days ahead  told by            counts     CRPS    Brier  in 50 %  in 90 %" in said
    assert "\nall         forecast" in said and "\nall         last count" in said


def test_two_cycles_of_a_person_are_two_replays(tmp_path: Path) -> None:
    second = ("Docetaxel", "2026-01-11T09:00", 1.0, 180.0, "mg")
    source = hospital(tmp_path, DOSE, second)
    policy = text(tmp_path / "policy.yaml", "forecast.cycle_days: 3\n")
    found = json.loads(succeeds("forecast", source, "--replay", "--patient", "7", "--policy", policy, "--json"))
    assert found["cycles"] == 2
    counts = {(row["from_day"], row["to_day"]): row["n"] for row in found["scores"] if row["method"] == "forecast"}
    assert counts[(0.0, None)] == 4 + 2, "the count of 9 January from four days, that of the 13th from two"


def test_a_regimen_file_serves_one_person(tmp_path: Path) -> None:
    labs, regimen = text(tmp_path / "labs.csv", LABS), text(tmp_path / "regimen.yaml", REGIMEN)
    found = json.loads(succeeds("forecast", labs, "--replay", "--patient", "7", "--regimen", regimen, "--json"))
    assert (found["persons"], found["cycles"]) == (1, 1)
    assert "--patient" in fails(2, "forecast", labs, "--replay", "--regimen", regimen)


def test_nothing_to_replay_says_why(tmp_path: Path) -> None:
    source = hospital(tmp_path, ("Docetaxel", "2026-01-05T09:00", None, None, ""))
    said = fails(2, "forecast", source, "--replay")
    assert "Nothing can be scored" in said and "lack amount" in said


def test_without_a_person_there_is_no_forecast(people: Path) -> None:
    assert "Of whom?" in fails(2, "forecast", people)


def test_a_card_is_checked_on_everybody_who_got_its_drug(people: Path, tmp_path: Path) -> None:
    plot = tmp_path / "check.svg"
    found = json.loads(succeeds("forecast", people, "--vpc", plot, "--json"))
    assert (found["card"], found["cycles"], found["counts"]) == ("netterberg2017-docetaxel", 12, 72)
    assert found["inside"] > 0.8, "people of the card itself"
    assert sum(row["n"] for row in found["bins"]) == 72
    root = ElementTree.parse(plot).getroot()
    assert root.get("role") == "img"
    classes = [one.get("class") for one in root.iter()]
    assert classes.count("point") == 72 and classes.count("seen") == 2 and classes.count("seen edge") == 3
    said = succeeds("forecast", people, "--vpc", plot)
    assert "Visual predictive check of netterberg2017-docetaxel: 12 cycles, 72 counts." in said


def test_a_check_is_a_picture_of_one_card(people: Path, tmp_path: Path) -> None:
    assert "SVG" in fails(2, "forecast", people, "--vpc", tmp_path / "check.png")
    source = hospital(tmp_path, ("Etoposide", "2026-01-05T09:00", 1.0, 100.0, "mg"))
    assert "of one card" in fails(2, "forecast", source, "--vpc", tmp_path / "check.svg")


def test_one_question_at_a_time(people: Path, tmp_path: Path) -> None:
    for more in (("--vpc", tmp_path / "check.svg"), ("--scenario", "same"), ("--plot", tmp_path / "plot.svg")):
        assert "different questions" in fails(2, "forecast", people, "--replay", *more)
