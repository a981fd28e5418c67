"""The clue tables must agree with each other: names, targets, phrases, directions, chances."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path

import pytest

KNOWLEDGE = Path(__file__).parents[2] / "src" / "leukopenia" / "knowledge"

KEYS = {
    "clues": ("clue",),
    "clue_criteria": ("clue", "source", "signal", "operator", "limit"),
    "clue_weights": ("clue", "state", "target"),
    "clue_phrases": ("phrase", "clue"),
    "cause_tests": ("phrase", "cause"),
    "lineages": ("lineage", "line"),
    "look_again": ("test", "target"),
    "strengths": ("strength",),
}
GROUPS = {
    "line",
    "pattern",
    "finding",
    "sign",
    "test",
    "history",
    "travel",
    "course",
    "rechallenge",
    "dose",
    "age",
    "exposure",
    "severity",
}
COMPUTED = {
    "recovered_after_stop",
    "recovered_while_continued",
    "no_recovery_after_stop",
    "rechallenge_positive",
    "rechallenge_negative",
    "similar_before",
    "dose_increased",
    "started_after_onset",
    "stopped_long_before",
    "confirmed",
    "isolated_neutropenia",
    "several_lines_low",
    "isolated_lymphopenia",
    "lymphopenia",
    "platelets_low",
    "platelets_not_low",
    "anaemia",
    "neutrophils_high",
    "stable_low_for_months",
    "normal_before",
    "halved_within_weeks",
    "cyclic_troughs",
    "low_then_high",
    "rises_within_a_day",
    "mild",
    "profound",
    "severe",
    "duffy_null_recorded",
    "chemotherapy_recent",
    "g_csf_recent",
    "infant",
    "newborn",
    "child",
    "elderly",
}
LINEAGES = ("all", "background", "lymphocyte", "neutrophil", "none", "pancytopenia")
LINES = ("haemoglobin", "lymphocytes", "neutrophils", "platelets")

Row = dict[str, str]


def rows(table: str) -> list[Row]:
    with (KNOWLEDGE / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def causes() -> list[Row]:
    return rows("causes_drugs") + rows("causes_conditions")


def effect(clue: str, state: str, target: str) -> tuple[str, str] | None:
    """Direction and strength that a cause gets from a row of its own."""
    for row in rows("clue_weights"):
        if (row["clue"], row["state"], row["target"]) == (clue, state, target):
            return row["direction"], row["strength"]
    return None


@pytest.mark.parametrize("table", KEYS)
def test_rows_are_sorted_and_no_key_stands_twice(table: str) -> None:
    found = [tuple(row[column] for column in KEYS[table]) for row in rows(table)]
    assert found == sorted(set(found))


@pytest.mark.parametrize("table", KEYS)
def test_every_row_names_a_source(table: str) -> None:
    assert not [row for row in rows(table) if not row["source_id"]]


def test_clues_that_other_tables_use_exist() -> None:
    known = {row["clue"] for row in rows("clues")}
    used = {row["clue"] for table in ("clue_weights", "clue_criteria", "clue_phrases") for row in rows(table)}
    assert used <= known


def test_every_clue_can_be_met_and_says_something() -> None:
    known = {row["clue"] for row in rows("clues")}
    met = {row["clue"] for table in ("clue_criteria", "clue_phrases") for row in rows(table)}
    assert known <= met | COMPUTED
    assert known == {row["clue"] for row in rows("clue_weights")}
    assert known >= COMPUTED


def test_clue_groups_are_known() -> None:
    assert {row["group"] for row in rows("clues")} == GROUPS


def test_targets_are_causes_or_their_groups() -> None:
    groups = {"self"}
    for row in causes():
        groups |= {row["id"], f"class:{row['cause_class']}", f"kind:{row['kind']}", f"lineage:{row['lineage']}"}
    assert not {row["target"] for row in rows("clue_weights")} - groups


def test_tests_and_next_steps_name_causes_or_clues() -> None:
    ids = {row["id"] for row in causes()}
    assert {row["cause"] for row in rows("cause_tests")} <= ids
    assert {row["target"] for row in rows("look_again")} <= ids | {row["clue"] for row in rows("clues")}


def test_words_of_weights_are_known() -> None:
    strengths = {row["strength"] for row in rows("strengths")}
    for row in rows("clue_weights"):
        assert row["strength"] in strengths
        assert row["direction"] in ("for", "against")
        assert row["state"] in ("present", "absent")
        assert row["factor"] in ("clues", "course", "rechallenge", "dose", "history")


def test_presence_and_absence_do_not_both_speak_for_a_cause() -> None:
    directions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows("clue_weights"):
        directions[row["clue"], row["target"]].append(row["direction"])
    assert not {key for key, found in directions.items() if len(found) == 2 and len(set(found)) == 1}


@pytest.mark.parametrize("table", ["clue_phrases", "cause_tests"])
def test_phrases_are_plain_words(table: str) -> None:
    odd = [row["phrase"] for row in rows(table) if not re.fullmatch(r"[a-z0-9]+( [a-z0-9]+)*", row["phrase"])]
    assert not odd


def test_a_phrase_is_either_a_test_or_a_finding_of_a_cause() -> None:
    assert {row["kind"] for row in rows("cause_tests")} == {"test", "finding"}


def test_strengths_rise() -> None:
    nats = {row["strength"]: float(row["nats"]) for row in rows("strengths")}
    assert 0 < nats["weak"] < nats["moderate"] < nats["strong"] < nats["decisive"]


def test_chances_of_a_low_line_are_chances_for_every_lineage() -> None:
    found = {(row["lineage"], row["line"]): float(row["p_low"]) for row in rows("lineages")}
    assert set(found) == {(lineage, line) for lineage in LINEAGES for line in LINES}
    assert all(0 < chance < 1 for chance in found.values())
    assert all(found["none", line] == found["background", line] for line in LINES)


def test_criteria_can_be_computed() -> None:
    components = {row["component"] for row in rows("components")}
    ids = {row["id"] for row in causes()} | {"group:chemotherapy", "group:g_csf", "group:corticosteroid"}
    for row in rows("clue_criteria"):
        known = components if row["source"] in ("count", "finding") else ids | {"age_days"}
        assert row["signal"] in known, row
        counted = row["operator"] in ("above", "at_or_above", "below", "at_or_below")
        assert counted == bool(row["limit"]), row
        assert counted or row["operator"] in ("present", "range_high", "range_low"), row
        if row["from_days"]:
            assert int(row["from_days"]) <= int(row["to_days"]), row


def test_limits_on_findings_do_not_depend_on_an_unknown_unit() -> None:
    """Apart from these, findings come in the unit of the laboratory and only its own range can judge them."""
    safe = {"temperature", "mcv", "ferritin", "blasts", "blasts_pct", "bands_pct", "nucleated_red_cells"}
    assert {row["signal"] for row in rows("clue_criteria") if row["source"] == "finding" and row["limit"]} <= safe


def test_next_steps_end_after_they_begin() -> None:
    assert not [row for row in rows("look_again") if int(row["days_from"]) > int(row["days_to"])]


@pytest.mark.parametrize(
    ("clue", "state", "target", "direction"),
    [
        ("started_after_onset", "present", "self", "against"),
        ("confirmed", "present", "self", "for"),
        ("confirmed", "absent", "self", "against"),
        ("profound", "present", "cond:ethnic-neutropenia", "against"),
        ("duffy_null_recorded", "present", "cond:ethnic-neutropenia", "for"),
        ("splenomegaly", "absent", "cond:hypersplenism", "against"),
        ("copper_low", "present", "cond:copper-deficiency", "for"),
        ("eosinopenia", "present", "cond:typhoid", "for"),
        ("neutrophil_clumps", "present", "cond:pseudoleukopenia-invitro", "for"),
        ("platelets_not_low", "present", "cond:dengue", "against"),
        ("marrow_normal", "present", "cond:acute-leukaemia", "against"),
    ],
)
def test_clues_point_the_way_a_clinician_reads_them(clue: str, state: str, target: str, direction: str) -> None:
    found = effect(clue, state, target)
    assert found is not None
    assert found[0] == direction


def test_consequences_of_agranulocytosis_do_not_speak_against_drugs() -> None:
    consequences = {"fever", "sepsis_signs", "positive_blood_culture", "sore_throat", "oral_ulcers", "pneumonia"}
    against = {
        row["target"] for row in rows("clue_weights") if row["clue"] in consequences and row["direction"] == "against"
    }
    assert not [
        target for target in against if target.startswith("drug:") or target in ("kind:drug", "class:idiosyncratic")
    ]
