"""`leukopenia explain` as a user meets it, and its answers on published patients."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
import yaml
from commands import fails, long, succeeds, text
from polars.testing import assert_frame_equal

import leukopenia as lk
from leukopenia import answers
from leukopenia.errors import UsageError
from leukopenia.policy import Policy

CASE = """
id: own
patient: {age: 34, age_unit: year, sex: female}
events:
- {kind: drug, name: carbimazole, start_day: -33, phase: before}
- {kind: drug, name: ibuprofen, start_day: 2, phase: after}
- {kind: drug, name: zzyzx forte, start_day: -400, phase: before}
- {kind: sign, name: fever and sore throat, day: 0, status: present, phase: index}
- {kind: lab, analyte: ANC, value: 0.04, unit: x10^9/L, day: 0, phase: index}
- {kind: lab, analyte: HGB, value: 13, unit: g/dL, day: 0, phase: index}
- {kind: lab, analyte: PLT, value: 250, unit: x10^9/L, day: 0, phase: index}
"""
TERMS = {"prior", "timing", "lineage", "clues", "course", "rechallenge", "dose", "history", "interaction"}


@pytest.fixture
def answer(tmp_path: Path) -> dict[str, object]:
    said = succeeds("explain", text(tmp_path / "own.yaml", CASE), "--json")
    [line] = said.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def test_an_answer_has_ranked_causes_with_reasons_and_sources(answer: dict[str, list[dict[str, object]]]) -> None:
    assert answer["id"] == "own"
    assert answer["causes"][0]["cause_id"] == "drug:carbimazole"
    assert [cause["rank"] for cause in answer["causes"]] == list(range(1, len(answer["causes"]) + 1))
    assert math.isclose(sum(cause["probability"] for cause in answer["causes"]), 1, abs_tol=1e-9)  # type: ignore[misc]
    assert all(set(cause["contributions"]) == TERMS for cause in answer["causes"])  # type: ignore[call-overload]
    assert answer["causes"][0]["sources"] and answer["causes"][0]["for"]
    assert answer["next"]


def test_a_drug_begun_after_the_fall_is_argued_against(answer: dict[str, list[dict[str, object]]]) -> None:
    [late] = [cause for cause in answer["causes"] if cause["cause_id"] == "drug:ibuprofen"]
    assert late["argued_against"] == "started_after_onset"
    assert late["rank"] > 3  # type: ignore[operator]


def test_a_drug_without_a_row_keeps_its_own_id(answer: dict[str, list[dict[str, object]]]) -> None:
    assert any(str(cause["cause_id"]).startswith("drug:zzyzx") for cause in answer["causes"])


def test_the_naranjo_scale_is_filled_in_for_each_drug(answer: dict[str, dict[str, dict[str, object]]]) -> None:
    assert answer["naranjo"]["drug:carbimazole"]["items"]["2"]["answer"] == "yes"  # type: ignore[index]
    assert answer["naranjo"]["drug:ibuprofen"]["items"]["2"]["answer"] == "no"  # type: ignore[index]


def test_words_for_a_person(tmp_path: Path) -> None:
    said = succeeds("explain", text(tmp_path / "own.yaml", CASE))
    assert "1. carbimazole" in said and "Naranjo" in said and "next:" in said


def test_one_person_of_records(tmp_path: Path) -> None:
    said = succeeds("explain", long(tmp_path), "--patient", "1", "--json")
    found = [json.loads(line) for line in said.splitlines()]
    assert found and all(answer["episode"]["patient_id"] == "1" for answer in found)


def test_a_person_who_is_not_there(tmp_path: Path) -> None:
    fails(2, "explain", long(tmp_path), "--patient", "nobody")


def test_a_file_that_is_no_case(tmp_path: Path) -> None:
    fails(3, "explain", text(tmp_path / "own.yaml", "id: [unclosed"))


def test_episodes_at_hand_are_ranked_as_in_a_run(tmp_path: Path) -> None:
    names = ("episodes", "counts", "exposures", "conditions", "findings", "patients")
    with lk.run(long(tmp_path), engine="polars") as result:
        tables = {name: result.tables[name] for name in names}
        expected = result.tables["causes"]
    episodes = tables.pop("episodes")
    made = lk.explain.rank(episodes, **tables)
    assert_frame_equal(made, expected, check_row_order=False)
    assert type(lk.explain.rank(episodes.to_pandas())).__module__.startswith("pandas")


def test_a_table_that_lacks_a_column() -> None:
    with pytest.raises(UsageError, match="lacks the columns"):
        lk.explain.rank(pl.DataFrame({"episode_id": ["1"], "patient_id": [1]}))


@pytest.mark.shared
def test_published_patients(tmp_path: Path, shared: Path, script_at: Callable[[Path], ModuleType]) -> None:
    cases = shared / "cases"
    blinding, scoring = script_at(cases / "blind_view.py"), script_at(cases / "score_cases.py")
    walk = scoring.crosswalk()
    documents = {p.stem: yaml.safe_load(p.read_text(encoding="utf-8")) for p in (cases / "dev").glob("case-*.yaml")}
    for name, document in documents.items():
        text(tmp_path / f"{name}.yaml", yaml.safe_dump(blinding.blind(document, "presentation", True)))
    given = {answer["id"]: answer["causes"] for answer in answers.of_cases(tmp_path, Policy.of())}
    first = third = cleared = 0
    for name, document in documents.items():
        truth = document["truth"]
        right = set().union(*(scoring.accepted(str(c), walk) for c in (truth["cause_id"], *truth["co_causes"])))
        wrong = set().union(*(scoring.accepted(str(c), walk) for c in truth["exonerated"])) - right
        ids = [cause["cause_id"] for cause in given[name] if cause["cause_id"] != "unexplained"]
        first += ids[0] in right
        third += bool(right & set(ids[:3]))
        cleared += ids[0] in wrong
    assert first >= 0.65 * len(documents)
    assert third >= 0.82 * len(documents)
    assert cleared <= 2
