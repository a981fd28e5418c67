"""Names and codes of drugs -> ingredients."""

from __future__ import annotations

import pytest

from leukopenia import knowledge
from leukopenia.harmonise.drugs import understand

APART, PLAIN = "drug:nab-paclitaxel", "drug:paclitaxel"


def read(name: str, system: str = "", code: str = "") -> list[str]:
    """The ingredients of one drug text with its code."""
    signal = {"system": system, "code": code, "name": name, "route": "", "n": 1}
    return [row["ingredient"] for row in understand([signal], knowledge.load())]


@pytest.mark.parametrize(
    "name",
    [
        "Abraxane 100 mg",
        "ABRAXANE",
        "nab-Paclitaxel 125 mg/m2",
        "Paclitaxel Protein-Bound",
        "PACLitaxel protein bound (ABRAXANE) IV",
        "paclitaxel, albumin-bound",
        "Albumin-bound paclitaxel",
    ],
)
def test_albumin_bound_paclitaxel_stands_apart(name: str) -> None:
    assert read(name) == [APART]


def test_a_name_says_more_than_the_code_of_the_ingredient() -> None:
    assert read("Abraxane", "rxnorm", "56946") == [APART]
    assert read("", "rxnorm", "56946") == [PLAIN]


@pytest.mark.parametrize("name", ["paclitaxel", "Taxol 300 mg", "PACLITAXEL 6 MG/ML"])
def test_paclitaxel_alone_stays_what_it_was(name: str) -> None:
    assert read(name) == [PLAIN]


def test_a_text_with_two_drugs_keeps_both() -> None:
    assert read("nab-paclitaxel and gemcitabine") == ["drug:gemcitabine", APART]
