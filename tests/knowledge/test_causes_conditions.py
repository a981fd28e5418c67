"""The conditions among the causes: every named one is recognised and sourced, and its figures hold together."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from leukopenia.harmonise.diagnoses import understand

KNOWLEDGE = Path(__file__).parents[2] / "src" / "leukopenia" / "knowledge"

Row = dict[str, str]

CLASSES = {
    "infection_viral",
    "infection_bacterial",
    "infection_parasitic",
    "infection_fungal",
    "autoimmune",
    "neoplasm",
    "nutritional",
    "toxic",
    "sequestration",
    "marrow_failure",
    "congenital",
    "constitutional",
    "physiologic",
    "artefact",
    "endocrine",
    "chemotherapy",
    "iatrogenic",
    "state",
}
GIVEN = {
    "acute-leukaemia",
    "acute-viral-infection",
    "alcohol",
    "anaplasmosis",
    "anorexia-nervosa",
    "aplastic-anaemia",
    "arsenic",
    "autoimmune-neutropenia-primary",
    "autoimmune-neutropenia-secondary",
    "b12-deficiency",
    "babesiosis",
    "bacterial-other",
    "benzene",
    "brucellosis",
    "chagas-treatment",
    "chronic-idiopathic",
    "cirrhosis",
    "ckd-burns",
    "cll",
    "cmv",
    "cocaine",
    "congenital-syndromes",
    "copper-deficiency",
    "covid-19",
    "cvid",
    "cyclic-neutropenia",
    "cytotoxic-chemotherapy",
    "dengue",
    "diurnal-exercise",
    "ebola-vhf",
    "ebv",
    "ethnic-neutropenia",
    "febrile-neutropenia-state",
    "folate-deficiency",
    "fungal",
    "gaucher",
    "glucocorticoid-stress",
    "haemodialysis",
    "hairy-cell",
    "hereditary-leukocyte-anomaly",
    "hiv",
    "hlh",
    "hodgkin",
    "hypersplenism",
    "idiopathic-drug",
    "influenza",
    "lgl",
    "lyme",
    "malaria",
    "mds",
    "measles",
    "metastatic-cancer",
    "myasthenia",
    "myelofibrosis",
    "myeloma",
    "neonatal-alloimmune",
    "neonatal-preeclampsia",
    "nhl",
    "parvovirus",
    "pnh",
    "post-immunisation",
    "preterm-sick-newborn",
    "pseudoleukopenia-infection",
    "pseudoleukopenia-invitro",
    "psittacosis",
    "q-fever",
    "ra-felty",
    "radiation",
    "rickettsiosis",
    "sarcoidosis",
    "scid",
    "sepsis",
    "severe-congenital",
    "sjogren",
    "sle",
    "still-mas",
    "thymoma",
    "thyroid",
    "transplant",
    "tuberculosis",
    "typhoid",
    "viral-hepatitis",
    "visceral-leishmaniasis",
    "zinc-deficiency",
    "zinc-excess",
}


def rows(table: str) -> list[Row]:
    with (KNOWLEDGE / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


CAUSES = {row["id"]: row for row in rows("causes_conditions")}


def recognised(text: str) -> set[str]:
    """The conditions of a diagnosis that has a name and no code, as records are read."""
    knowledge = {"condition_codes": [], "condition_names": rows("condition_names")}
    signal = {"system": "", "code": "", "name": text, "n": 1}
    return {row["condition"] for row in understand([signal], knowledge)}


# --- names


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("Common cold", "acute-viral-infection"),
        ("Acute viral infection", "acute-viral-infection"),
        ("Influenza A", "influenza"),
        ("HIV infection", "hiv"),
        ("HIV/AIDS", "hiv"),
        ("AIDS-defining illness", "hiv"),
        ("Acquired immunodeficiency syndrome (AIDS)", "hiv"),
        ("Chemotherapy", "cytotoxic-chemotherapy"),
        ("Radiation therapy", "radiation"),
        ("Radiotherapy", "radiation"),
        ("Myelofibrosis", "myelofibrosis"),
        ("Aplastic anemia", "aplastic-anaemia"),
        ("Aplastic anaemia", "aplastic-anaemia"),
        ("Systemic lupus erythematosus", "sle"),
        ("SLE", "sle"),
        ("Hodgkin's lymphoma", "hodgkin"),
        ("Metastatic cancer", "metastatic-cancer"),
        ("Cancer with marrow involvement", "metastatic-cancer"),
        ("Typhoid", "typhoid"),
        ("Enteric fever", "typhoid"),
        ("Malaria", "malaria"),
        ("Tuberculosis", "tuberculosis"),
        ("Miliary tuberculosis", "tuberculosis"),
        ("Dengue", "dengue"),
        ("Rickettsial infection", "rickettsiosis"),
        ("Enlarged spleen", "hypersplenism"),
        ("Portal hypertension", "hypersplenism"),
        ("Folate deficiency", "folate-deficiency"),
        ("Copper deficiency", "copper-deficiency"),
        ("Zinc deficiency", "zinc-deficiency"),
        ("Zinc-containing denture cream", "zinc-excess"),
        ("Psittacosis", "psittacosis"),
        ("Sepsis", "sepsis"),
        ("Lyme disease", "lyme"),
        ("Arsenic poisoning", "arsenic"),
        ("Pseudoleukopenia", "pseudoleukopenia-infection"),
        ("Pseudoleukopenia of early infection", "pseudoleukopenia-infection"),
        ("In vitro pseudoleukopenia", "pseudoleukopenia-invitro"),
        ("EDTA-dependent pseudoneutropenia", "pseudoleukopenia-invitro"),
        ("Benzene exposure at work", "benzene"),
        ("Babesiosis", "babesiosis"),
        ("Morning pseudoneutropenia", "diurnal-exercise"),
        ("COVID-19", "covid-19"),
        ("SARS-CoV-2 infection", "covid-19"),
        ("Graves' disease", "thyroid"),
        ("Non-Hodgkin lymphoma", "nhl"),
    ],
)
def test_a_cause_of_the_mission_is_recognised_and_sourced(text: str, cause: str) -> None:
    row = CAUSES[f"cond:{cause}"]
    assert row["id"] in recognised(text)
    assert set(row["source_id"].split(";")) - {"design"}
    assert row["lineage"] != "none"


@pytest.mark.parametrize(
    "text",
    [
        "Splenomegaly",
        "Essential thrombocythaemia",
        "Polycythaemia vera",
        "Essential hypertension",
        "Hypothyroidism",
        "Gastric bypass",
        "Lupus anticoagulant",
        "Nonalcoholic fatty liver disease",
        "Septic arthritis",
        "Hearing aids",
        "Haemophilus influenzae type b immunisation",
        "Diurnal variation of mood",
        "Low zinc intake",
        "Encounter for screening for HIV",
        "Influenza vaccination",
    ],
)
def test_what_is_no_cause_is_not_taken_for_one(text: str) -> None:
    assert not [found for found in recognised(text) if found in CAUSES]


@pytest.mark.parametrize(("word", "cause"), [("hiv", "hiv"), ("aids", "hiv"), ("influenza", "influenza")])
def test_a_bare_word_counts_in_a_history_and_not_in_a_list_of_diagnoses(word: str, cause: str) -> None:
    """A list of diagnoses holds screening, hearing aids and vaccinations; a history says what it means."""
    assert {row["phrase"]: row["condition"] for row in rows("condition_phrases")}[word] == f"cond:{cause}"
    assert not recognised(word) & set(CAUSES)


def test_phrases_are_written_as_texts_are_compared() -> None:
    wrong = [row["name"] for row in rows("condition_names") if not re.fullmatch(r"[a-z0-9]+( [a-z0-9]+)*", row["name"])]
    assert not wrong


def test_every_cause_that_can_be_on_record_has_a_name() -> None:
    named = {row["condition"] for row in rows("condition_names")}
    assert not set(CAUSES) - named


# --- rows


def test_the_ids_are_those_that_were_given() -> None:
    assert set(CAUSES) == {f"cond:{name}" for name in GIVEN}


def test_rows_are_sorted_and_no_id_stands_twice() -> None:
    ids = [row["id"] for row in rows("causes_conditions")]
    assert ids == sorted(set(ids))


def test_words_of_closed_lists() -> None:
    for row in CAUSES.values():
        assert row["kind"] in {"condition", "exposure", "physiologic", "artefact"}, row["id"]
        assert row["cause_class"] in CLASSES, row["id"]
        assert row["lineage"] in {"neutrophil", "lymphocyte", "all", "pancytopenia", "none"}, row["id"]
        assert row["onset_from"] in {"start", "last_dose", "symptoms", "none"}, row["id"]
        assert {row["always"], row["acute"], row["can_cause_agranulocytosis"]} <= {"yes", ""}, row["id"]


@pytest.mark.parametrize("period", ["onset", "recovery"])
def test_days_grow_from_the_least_to_the_greatest(period: str) -> None:
    for row in CAUSES.values():
        days = [float(row[f"{period}_days_{name}"] or -1) for name in ("min", "median", "max")]
        known = [day for day in days if day >= 0]
        assert known == sorted(known), row["id"]
        assert bool(known) == bool(row[f"{period}_basis"]), row["id"]
        assert row[f"{period}_basis"] in {"source", "class", ""}, row["id"]


def test_an_acute_cause_has_a_window_and_a_chronic_one_has_none() -> None:
    for row in CAUSES.values():
        assert (row["acute"] == "yes") == bool(row["onset_basis"]), row["id"]
        assert (row["acute"] == "yes") == (row["onset_from"] != "none"), row["id"]


def test_frequency_is_a_share_and_says_where_it_comes_from() -> None:
    for row in CAUSES.values():
        if row["lineage"] == "none":
            assert not row["frequency"] + row["frequency_basis"], row["id"]
            continue
        assert 0 < float(row["frequency"]) <= 1, row["id"]
        assert row["frequency_basis"] in {"source", "class"}, row["id"]
        assert row["frequency_basis"] == "class" or row["frequency_note"], row["id"]


def test_background_lies_within_its_scale_and_a_state_has_none() -> None:
    for row in CAUSES.values():
        if row["background"]:
            assert 0.0003 <= float(row["background"]) <= 0.1, row["id"]
        assert not (row["lineage"] == "none" and row["background"]), row["id"]


def test_what_is_always_a_candidate() -> None:
    always = {row["id"].removeprefix("cond:") for row in CAUSES.values() if row["always"] == "yes"}
    assert always == {
        "acute-viral-infection",
        "chronic-idiopathic",
        "cyclic-neutropenia",
        "ethnic-neutropenia",
        "glucocorticoid-stress",
        "pseudoleukopenia-infection",
        "pseudoleukopenia-invitro",
    }
    assert all(CAUSES[f"cond:{name}"]["background"] for name in always)


def test_a_judgement_of_ours_is_cited_as_such_and_never_stands_alone() -> None:
    for row in CAUSES.values():
        sources = row["source_id"].split(";")
        judged = row["background"] or "class" in {row["frequency_basis"], row["onset_basis"]}
        assert "design" in sources or not judged, row["id"]
        assert set(sources) - {"design"}, row["id"]


def test_a_disagreement_has_two_sides_and_concerns_a_cause() -> None:
    conflicts = [row for row in rows("cause_conflicts") if row["cause"].startswith("cond:")]
    assert {row["cause"] for row in conflicts} <= set(CAUSES)
    sides = Counter((row["cause"], row["topic"]) for row in conflicts)
    assert not [topic for topic, n in sides.items() if n < 2]
    assert {"cond:typhoid", "cond:lyme", "cond:rickettsiosis", "cond:psittacosis", "cond:cirrhosis"} <= {
        cause for cause, _ in sides
    }


def test_both_meanings_of_pseudoleukopenia_are_told_under_both_causes() -> None:
    told = {
        cause: {row["statement"] for row in rows("cause_conflicts") if row["cause"] == cause}
        for cause in ("cond:pseudoleukopenia-infection", "cond:pseudoleukopenia-invitro")
    }
    assert len(set(map(frozenset, told.values()))) == 1
    assert len(told["cond:pseudoleukopenia-infection"]) == 2
