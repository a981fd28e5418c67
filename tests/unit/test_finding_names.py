"""Names of laboratory findings: those that laboratories write, and those that only begin like one."""

from __future__ import annotations

import pytest

from leukopenia.harmonise.names import NameReader
from leukopenia.harmonise.wordings import read_wording
from leukopenia.knowledge import load


@pytest.fixture(scope="module")
def reader() -> NameReader:
    knowledge = load()
    return NameReader(knowledge["test_names"], knowledge["test_words"], knowledge["specimens"])


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Ferritin level", "ferritin"),
        ("ALT (SGPT)", "alt"),
        ("Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "alt"),
        ("AST SerPl-cCnc", "ast"),
        ("Lactate Dehydrogenase (LD)", "ldh"),
        ("Lactate, arterial blood", "lactate"),
        ("Creatinine [Moles/volume] in Serum or Plasma", "creatinine"),
        ("Bilirubin.total [Mass/volume] in Serum or Plasma", "bilirubin"),
        ("Serum B12", "vitamin_b12"),
        ("Complement C3", "c3"),
        ("C4", "c4"),
        ("Anti-dsDNA antibodies", "anti_dsdna"),
        ("Anti-Nuclear Antibody, Titer", "ana"),
        ("Fibrinogen, Functional", "fibrinogen"),
        ("Fibrin D-dimer", "d_dimer"),
        ("Erythrocyte sedimentation rate", "esr"),
    ],
)
def test_a_finding_by_its_names(reader: NameReader, name: str, family: str) -> None:
    read = reader.read(name)
    taken = read.family if read.certain and read.specimen in ("", "blood") else ""
    assert taken == family


@pytest.mark.parametrize(
    "name",
    [
        "Creatinine, Urine",
        "Urinary creatinine",
        "24 hr Creatinine",
        "Creatinine clearance",
        "Creatinine kinase",
        "Protein/Creatinine Ratio",
        "Microalbumin",
        "Prealbumin",
        "Albumin/Globulin ratio",
        "Albumin 25%",
        "Albumin, ascites",
        "Fecal lactate dehydrogenase",
        "Lactate, CSF",
        "Ringers lactate",
        "Sodium bicarbonate",
        "Heparin sodium",
        "Fractional excretion of sodium",
        "Bilirubin, direct",
        "Conjugated bilirubin",
        "Bilirubin crystals",
        "Folate, RBC",
        "Zinc protoporphyrin",
        "Copper, urine",
        "TSH receptor antibody",
        "Vitamin B12 binding capacity",
        "Fibrinogen degradation products",
        "Anti-neutrophil cytoplasmic antibody (ANCA)",
        "C3 nephritic factor",
        "Complement C3d",
        "Hemoglobin A1C 3 month",
        "CD4/CD3",
        "Rheumatoid factor, joint fluid",
        "Hepatitis B virus DNA",
    ],
)
def test_a_name_that_only_begins_like_a_finding_is_not_taken(reader: NameReader, name: str) -> None:
    read = reader.read(name)
    assert not (read.certain and read.family and read.specimen in ("", "blood")), read


def test_new_words_take_no_count_away(reader: NameReader) -> None:
    for name, family in (("Hemoglobin level", "haemoglobin"), ("ABS LYM", "lymphocytes"), ("PLT", "platelets")):
        assert (reader.read(name).family, reader.read(name).certain) == (family, True)


@pytest.mark.parametrize("text", ["1:320 speckled", "< 1:40", "POSITIVE 1:80", "1 : 1280"])
def test_a_titre_stays_in_words(text: str) -> None:
    assert read_wording(text, ()).outcome == "word"


@pytest.mark.parametrize("text", ["1:5", "11:320", "see 1/320", "4:1"])
def test_other_ratios_are_no_titres(text: str) -> None:
    assert read_wording(text, ()).outcome == "unreadable"
