"""What a MEDS code says: each distinct code, split once in Python, becomes one row of a small table.

The forms are those of the MIMIC-IV extraction (`LAB//51301//K/uL`, `MEDICATION//START//<drug>`, ...) and of
OMOP extractions (`LOINC/6690-2`); a code of another form bears on nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

UNKNOWN = ("", "UNK", "UNKNOWN", "NAN", "NONE")


@dataclass(frozen=True)
class Meaning:
    """Where the events of one code go, and what the code says of them.

    `part` is 'start' or 'stop' of the interval named by `pair`, else empty. For persons, `part` is 'birth',
    'death' or 'sex'.
    """

    target: str = ""
    part: str = ""
    pair: str = ""
    system: str = ""
    concept: str = ""
    name: str = ""
    unit: str = ""
    status: str = ""
    setting: str = ""
    sex: str = ""


ASIDE = Meaning()

_VOCABULARIES = {
    "LOINC": ("raw_results", "loinc"),
    "RXNORM": ("raw_drugs", "rxnorm"),
    "ATC": ("raw_drugs", "atc"),
    "NDC": ("raw_drugs", "ndc"),
    "ICD10CM": ("raw_conditions", "icd10cm"),
    "ICD9CM": ("raw_conditions", "icd9cm"),
    "SNOMED": ("raw_conditions", "snomed"),
    "ICD10PCS": ("raw_procedures", "icd10pcs"),
    "ICD9PROC": ("raw_procedures", "icd9proc"),
    "CPT4": ("raw_procedures", "cpt4"),
    "HCPCS": ("raw_procedures", "hcpcs"),
}
_ENCOUNTERS = {
    "HOSPITAL_ADMISSION": ("start", "inpatient", "hospital"),
    "HOSPITAL_DISCHARGE": ("stop", "inpatient", "hospital"),
    "ED_REGISTRATION": ("start", "emergency", "ed"),
    "ED_OUT": ("stop", "emergency", "ed"),
    "ICU_ADMISSION": ("start", "inpatient", "icu"),
    "ICU_DISCHARGE": ("stop", "inpatient", "icu"),
}
_SEXES = {"F": "female", "FEMALE": "female", "M": "male", "MALE": "male"}
_WITHHELD = re.compile(r"^not |hold|held|refused|omitted|^delayed$")
_NO_DOSE = re.compile(r"^not (confirmed|removed|stopped|assessed|read)")
_GIVEN = re.compile(r"administered|started|applied|flushed|bolus|rate change|^given|infused")


def meaning(code: str, description: str = "") -> Meaning:
    """What one code says.

    Parameters
    ----------
    code : str
        As in the `code` column.
    description : str
        Of `metadata/codes.parquet`, where there is one.
    """
    prefix, *parts = code.split("//") if "//" in code else code.split("/", 1)
    prefix = prefix.strip().upper()
    if prefix in _ENCOUNTERS:
        part, setting, pair = _ENCOUNTERS[prefix]
        return Meaning("raw_encounters", part, pair, setting=setting)
    if prefix in ("MEDS_BIRTH", "MEDS_DEATH"):
        return Meaning("raw_persons", prefix.removeprefix("MEDS_").lower())
    if prefix in _VOCABULARIES and parts:
        return _vocabulary(prefix, parts[0].strip(), description)
    reader = _READERS.get(prefix)
    return reader([part.strip() for part in parts], description) if reader and parts else ASIDE


def table(counted: pl.DataFrame, descriptions: Mapping[str, str]) -> pl.DataFrame:
    """One row per distinct code: the code, how many events have it, and what it says.

    Parameters
    ----------
    counted : DataFrame
        Columns code, n.
    """
    import polars as pl

    rows = [
        {"code": code, "n": n, **asdict(meaning(code, descriptions.get(code, "")))}
        for code, n in counted.sort("code").iter_rows()
    ]
    fields = dict.fromkeys(("code", *asdict(ASIDE)), pl.String)
    return pl.DataFrame(rows, schema={**fields, "n": pl.Int64})


def family(code: str) -> str:
    """The prefix under which codes kept out are counted together."""
    prefix, *parts = code.split("//")
    if prefix == "MEDICATION" and len(parts) > 1:
        return f"{prefix}//*//{parts[-1].strip()}"
    return prefix.split("/", 1)[0] if re.match(r"\w+/", prefix) else prefix


def _vocabulary(prefix: str, concept: str, description: str) -> Meaning:
    target, system = _VOCABULARIES[prefix]
    if prefix == "HCPCS" and not re.fullmatch(r"[A-Z]?\d{4,5}[A-Z]?", concept):
        return Meaning(target, name=concept)
    # A drug by its code alone says no more than an order does.
    status = "ordered" if target == "raw_drugs" else ""
    return Meaning(target, system=system, concept=concept, name=description, status=status)


def _lab(parts: list[str], description: str) -> Meaning:
    unit = parts[1] if len(parts) > 1 else ""
    unit = "" if unit.upper() in UNKNOWN else unit
    concept = parts[0]
    if any(letter.isdigit() for letter in concept) and " " not in concept:
        return Meaning("raw_results", system="local", concept=concept, name=description, unit=unit)
    return Meaning("raw_results", name=description or concept, unit=unit)


def _sex(parts: list[str], description: str) -> Meaning:
    return Meaning("raw_persons", "sex", sex=_SEXES.get(parts[0].upper(), "other"))


def _known(name: str) -> str:
    return "" if name.upper() in UNKNOWN else name


def _medication(parts: list[str], description: str) -> Meaning:
    first, last = parts[0], parts[-1]
    if first.upper() in ("START", "STOP") and len(parts) > 1:
        name = "//".join(parts[1:])
        return Meaning("raw_drugs", first.lower(), f"order//{name.lower()}", name=_known(name), status="ordered")
    status = _status(last) if len(parts) > 1 else "ordered"
    return Meaning("raw_drugs", name=_known("//".join(parts[:-1]) or first), status=status) if status else ASIDE


def _status(action: str) -> str:
    """Only what puts drug into the person is 'administered'; what ends or inspects a dose says nothing."""
    word = action.lower()
    if _known(action) == "":
        return "ordered"
    if _NO_DOSE.search(word):
        return ""
    if _WITHHELD.search(word):
        return "not_given"
    return "administered" if _GIVEN.search(word) else ""


def _infusion(part: str) -> Callable[[list[str], str], Meaning]:
    return lambda parts, description: Meaning(
        "raw_drugs",
        part,
        f"infusion//{parts[0]}",
        system="local",
        concept=parts[0],
        name=description,
        status="administered",
    )


def _diagnosis(parts: list[str], description: str) -> Meaning:
    if parts[0].upper() == "ICD" and len(parts) > 2:
        return Meaning("raw_conditions", system=f"icd{parts[1]}cm", concept=parts[2].replace(".", ""), name=description)
    return Meaning("raw_conditions", name="//".join(parts))


def _procedure(parts: list[str], description: str) -> Meaning:
    if parts[0].upper() == "ICD" and len(parts) > 2:
        system = "icd10pcs" if parts[1] == "10" else "icd9proc"
        return Meaning("raw_procedures", system=system, concept=parts[2], name=description)
    if parts[0].upper() in ("START", "END") and len(parts) > 1:
        part = "start" if parts[0].upper() == "START" else "stop"
        return Meaning(
            "raw_procedures",
            part,
            f"procedure//{parts[1]}",
            system="local",
            concept=parts[1],
            name=description,
        )
    return Meaning("raw_procedures", name="//".join(parts))


_READERS: dict[str, Callable[[list[str], str], Meaning]] = {
    "LAB": _lab,
    "VITAL": _lab,
    "VITALS": _lab,
    "GENDER": _sex,
    "MEDICATION": _medication,
    "INFUSION_START": _infusion("start"),
    "INFUSION_END": _infusion("stop"),
    "DIAGNOSIS": _diagnosis,
    "PROCEDURE": _procedure,
}
