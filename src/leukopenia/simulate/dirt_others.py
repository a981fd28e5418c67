"""Kinds of dirt of drugs, conditions and persons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from leukopenia.simulate.catalogue import ATC, DRUGS, ICD10CM, RXNORM, SNOMED
from leukopenia.simulate.kind import Kind
from leukopenia.simulate.records import DAY, Condition, Drug, Person

TALL_MAN = {
    "lamotrigine": "LaMOTrigine",
    "metronidazole": "MetRONIDAZOLE (FLagyl)",
    "clozapine": "CloZAPine",
    "sulfasalazine": "SulfaSALAzine",
    "doxorubicin": "DOXOrubicin",
    "docetaxel": "DOCEtaxel",
    "paclitaxel": "PACLitaxel",
    "azathioprine": "AzaTHIOprine",
    "prednisone": "PredniSONE",
    "carboplatin": "CARBOplatin",
    "daunorubicin": "DAUNOrubicin",
    "thiamazole": "MethIMAzole",
    "valproate": "Divalproex Sod",
}
NOT_SYSTEMIC = (
    ("Dexamethasone Ophthalmic Susp 0.1%", "ophthalmic"),
    ("Metronidazole gel 0.75 %", "topical"),
    ("Chloramphenicol eye drops 0.5 %", "ophthalmic"),
)
SNOMED_CODES = {"B20": "86406008", "D73.1": "58381000"}


def _any(row: Any) -> bool:
    return True


def _with(**fields: Any) -> Callable[[Any, Random], Sequence[Any]]:
    return lambda row, rng: (replace(row, **fields),)


def _tall_man(row: Drug, rng: Random) -> Sequence[Drug]:
    return (replace(row, name=TALL_MAN[row.name], codings=()),)


def _brand(row: Drug, rng: Random) -> Sequence[Drug]:
    return (replace(row, name=DRUGS[row.name].brand, codings=()),)


def _only(system: str) -> Callable[[Drug, Random], Sequence[Drug]]:
    return lambda row, rng: (replace(row, name="", codings=tuple(pair for pair in row.codings if pair[0] == system)),)


def _has(system: str) -> Callable[[Drug], bool]:
    return lambda row: any(pair[0] == system for pair in row.codings)


def _ends_early(row: Drug, rng: Random) -> Sequence[Drug]:
    return (replace(row, end=row.start - rng.randint(1, 4) * DAY),)


def _beside(row: Drug, tag: str, **fields: Any) -> Sequence[Drug]:
    return (row, replace(row, row_id=f"{row.row_id}-{tag}", **fields))


def _not_given(row: Drug, rng: Random) -> Sequence[Drug]:
    name = rng.choice(("clozapine", "thiamazole", "doxorubicin"))
    return _beside(row, "held", name=name, codings=DRUGS[name].codings, status="not_given", end=None)


def _local_form(row: Drug, rng: Random) -> Sequence[Drug]:
    name, route = rng.choice(NOT_SYSTEMIC)
    return _beside(row, "local", name=name, codings=(), route=route, dose=None, dose_unit="")


def _nameless(row: Drug, rng: Random) -> Sequence[Drug]:
    return _beside(row, "nameless", name="", codings=())


def _mistaken(row: Drug, rng: Random) -> Sequence[Drug]:
    name = rng.choice(("clozapine", "azathioprine"))
    return _beside(row, "error", name=name, codings=DRUGS[name].codings, status="entered-in-error")


def drug_kinds(well: set[str]) -> list[Kind[Drug]]:
    """All kinds of dirt of drugs.

    Parameters
    ----------
    well : set of str
        Persons without any low run; drugs that were not given, or not by mouth or vein, fall on them.
    """

    def of_the_well(row: Drug) -> bool:
        return row.patient_id in well

    return [
        Kind("mixed_case_drug", 0.15, lambda row: row.name in TALL_MAN, _tall_man),
        Kind("brand_name", 0.1, lambda row: row.name in DRUGS, _brand),
        Kind("atc_only", 0.05, _has(ATC), _only(ATC)),
        Kind("rxnorm_only", 0.05, _has(RXNORM), _only(RXNORM)),
        Kind("contained_medication", 0.15, _any, _with(carrier="contained")),
        Kind("referenced_medication", 0.15, _any, _with(carrier="reference")),
        Kind("dangling_medication", 0.01, _any, _with(carrier="dangling")),
        Kind("date_only_drug", 0.1, _any, _with(precision="day")),
        Kind("ends_before_start", 0.004, lambda row: row.end is not None, _ends_early),
        Kind("not_given", 0.15, of_the_well, _not_given),
        Kind("local_form", 0.15, of_the_well, _local_form),
        Kind("nameless_drug", 0.05, of_the_well, _nameless),
        Kind("mistaken_order", 0.05, of_the_well, _mistaken),
    ]


def _denied(row: Condition, certainty: str) -> Sequence[Condition]:
    codings = ((ICD10CM, "D70.2"),)
    return (
        row,
        replace(row, row_id=f"{row.row_id}-not", codings=codings, name="Neutropenia", certainty=certainty),
    )


def _dotless(row: Condition, rng: Random) -> Sequence[Condition]:
    return (replace(row, codings=tuple((system, code.replace(".", "")) for system, code in row.codings)),)


def _snomed(row: Condition, rng: Random) -> Sequence[Condition]:
    return (replace(row, codings=((SNOMED, SNOMED_CODES[row.codings[0][1]]), *row.codings)),)


def _coded(row: Condition) -> str:
    """The ICD-10-CM code of a condition; empty where it is told in words only."""
    return next((code for system, code in row.codings if system == ICD10CM), "")


def condition_kinds(well: set[str]) -> list[Kind[Condition]]:
    """All kinds of dirt of conditions.

    Parameters
    ----------
    well : set of str
        Persons without any low run; refuted diagnoses fall on them.
    """

    def of_the_well(row: Condition) -> bool:
        return row.patient_id in well

    return [
        Kind("snomed_condition", 0.6, lambda row: _coded(row) in SNOMED_CODES, _snomed),
        Kind("refuted_condition", 0.05, of_the_well, lambda row, rng: _denied(row, "refuted")),
        Kind("mistaken_condition", 0.05, of_the_well, lambda row, rng: _denied(row, "entered-in-error")),
        Kind("dotless_code", 0.05, lambda row: "." in _coded(row), _dotless),
        Kind("uncoded_condition", 0.03, lambda row: _coded(row) != "", _with(codings=())),
    ]


def _masked(row: Person, rng: Random) -> Sequence[Person]:
    # Great ages are masked in some exports by moving the birth back to an age of three hundred years.
    return (replace(row, birth=row.birth - 210 * 365 * DAY),)


PERSON_KINDS = [
    Kind[Person]("masked_age", 0.1, lambda row: row.story == "aged", _masked),
    Kind[Person]("birth_year_only", 0.005, lambda row: row.story == "healthy", _with(birth_precision="year")),
    Kind[Person]("birth_unknown", 0.005, lambda row: row.story == "healthy", _with(birth_precision="none")),
]
