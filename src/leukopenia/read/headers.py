"""Which column is what: the words of laboratories, databases and trials, and the user's own."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from leukopenia.errors import MappingError
from leukopenia.read.files import plain

WORDS: dict[str, str] = {
    "patient": (
        "patient patientid subjectid usubjid personid mrn pid patid subjid seqn patientunitstayid "
        "uniquepid patientnumber patientno caseid subject person id"
    ),
    "time": (
        "time datetime charttime lbdtc collected collectedat collectiondatetime collectiontime "
        "collectiondate specimendatetime drawnat drawn drawtime drawdate sampledatetime "
        "sampletime sampledate samplingtime measurementdatetime measuredat timestamp "
        "labresultoffset date testdate resultdatetime resulttime resultdate chartdate"
    ),
    "test": ("test testname lbtest labname analyte label labtest parameter component observation lab name lbtestcd"),
    "value": "lborres value result resultvalue testresult labresult labresulttext lbstresc val",
    "number": "valuenum lbstresn valueasnumber numericvalue resultnumeric numericresult resultnum",
    "unit": (
        "lborresu unit units valueuom uom unitofmeasure resultunit resultunits "
        "labmeasurenamesystem labmeasurenameinterface lbstresu"
    ),
    "low": (
        "lbornrlo low reflow referencelow referencerangelow refrangelow refrangelower rangelow "
        "lowerlimit lln normallow lower lbstnrlo"
    ),
    "high": (
        "lbornrhi high refhigh referencehigh referencerangehigh refrangehigh refrangeupper "
        "rangehigh upperlimit uln normalhigh upper lbstnrhi"
    ),
    "range": "range referencerange refrange normalrange reference referenceinterval refinterval",
    "specimen": "specimen fluid specimentype lbspec sampletype sample material matrix",
    "code": "loinc loinccode loincnum itemid code testcode labcode lbloinc lbtestcd",
    "system": "system codesystem vocabulary",
    "comparator": "comparator operator valueoperator",
    "flag": "flag abnormalflag interpretation lbnrind abnormal",
    "sex": "sex gender riagendr",
    "birth": "birth birthdate dob dateofbirth brthdtc",
    "age": "age ageyears ageinyears ageatcollection ridageyr agemonths ageinmonths agedays ageindays",
    "death": "death deathdate dod dateofdeath dthdtc",
}
"""For each role, the headers that say it (small letters, no signs), the best first."""

MARK = "in:"
"""Stands before the names of the user's columns, so that none of them meets a name of ours."""

SETTINGS = ("date_format", "time_unit", "age_unit", "analytes")
KEYS = (*WORDS, *SETTINGS)
"""What a mapping may say: for each role the column; how dates, offsets, ages and wide tables are written."""

NHANES = {
    "LBXWBCSI": "10^3/uL",
    "LBDLYMNO": "10^3/uL",
    "LBDMONO": "10^3/uL",
    "LBDNENO": "10^3/uL",
    "LBDEONO": "10^3/uL",
    "LBDBANO": "10^3/uL",
    "LBXLYPCT": "%",
    "LBXMOPCT": "%",
    "LBXNEPCT": "%",
    "LBXEOPCT": "%",
    "LBXBAPCT": "%",
    "LBXHGB": "g/dL",
    "LBXMCVSI": "fL",
    "LBXPLTSI": "10^3/uL",
}
"""Variables of the NHANES complete blood count, with the units of its codebook."""

_UNIT_ENDINGS = {
    "%": r"%|pct|perc|percent",
    "K/uL": r"k[ _/]?(?:u|mc)l",
    "10^9/L": r"(?:x[ _]?)?10[ _^e]*9[ _/]?l|g(?:iga)?pt[ _/]l",
    "10^3/uL": r"(?:x[ _]?)?10[ _^e]*3[ _/]?(?:u|mc)l",
    "cells/uL": r"cells?[ _/]?(?:per[ _])?(?:u|mc)l",
    "/uL": r"(?:per[ _])?(?:u|mc)l",
    "g/dL": r"g[ _/]?dl",
    "g/L": r"g[ _/]l",
    "mmol/L": r"mmol[ _/]?l",
    "fL": r"fl",
}
_BRACKETED = re.compile(r"^(.*\S)\s*[(\[]\s*([^()\[\]]+?)\s*[)\]]\s*$")
_ANALYTE = re.compile(
    r"\b(wbc|wcc|leu[ck]o\w*|white|anc|neut\w*|polys|pmn|segs?|segmented|bands?|alc|lymph\w*|amc|mono|monos|monocyt\w*|"
    r"aec|eos|eosin\w*|baso\w*|blasts?|gran\w*|igs?|plt|plts|platelets?|thrombocyt\w*|hgb|hb|ha?emoglobin|cd4\w*|mcv)\b"
)
_ABOUT = re.compile(
    r"\b(date|time|flags?|units?|low|lower|high|upper|range|id|grade|comments?|status|method|specimen|lln|uln)\b"
)


@dataclass(frozen=True)
class Analyte:
    """A column of a wide table: what it measures, as received, and its unit, empty where not given."""

    column: str
    test: str
    unit: str


@dataclass(frozen=True)
class Plan:
    """How a table is to be read: the column of each role and, of a wide table, its analytes."""

    roles: dict[str, str]
    analytes: list[Analyte] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def marked(self) -> Plan:
        """The same plan for columns that carry `MARK`."""
        roles = {role: MARK + column for role, column in self.roles.items()}
        return replace(self, roles=roles, analytes=[replace(a, column=MARK + a.column) for a in self.analytes])


def header(column: str) -> str:
    """The user's name of a marked column."""
    return column.removeprefix(MARK)


def plan(names: Sequence[str], mapping: Mapping[str, Any]) -> Plan:
    """Decide what each column is.

    Parameters
    ----------
    names : sequence of str
        The columns found.
    mapping : mapping
        The user's words (`KEYS`); they win. An empty value says that the table has no such column.

    Raises
    ------
    MappingError
        A key or column that is not there, or no patient, test or result can be told.
    """
    check_keys(mapping)
    roles = roles_of(names, mapping)
    if "patient" not in roles:
        raise _lacking("patient", names)
    settings = {key: mapping[key] for key in SETTINGS if mapping.get(key)}
    has_value = "value" in roles or "number" in roles
    if has_value and ("test" in roles or "code" in roles) and "analytes" not in settings:
        return Plan(roles, [], settings)
    analytes = _analytes(names, roles, settings.get("analytes"))
    if not analytes:
        raise _lacking("value" if "test" in roles or "code" in roles else "test", names)
    return Plan(roles, analytes, settings)


def check_keys(mapping: Mapping[str, Any]) -> None:
    """Refuse a mapping with a word that is not one of `KEYS`."""
    unknown = [str(key) for key in mapping if key not in KEYS]
    if unknown:
        near = difflib.get_close_matches(unknown[0], KEYS, 1)
        remedy = f"Did you mean {near[0]!r}? " if near else ""
        raise MappingError(f"The mapping has an unknown key {unknown[0]!r}.", "", f"{remedy}Known: {', '.join(KEYS)}.")


def roles_of(names: Sequence[str], mapping: Mapping[str, Any]) -> dict[str, str]:
    """The column of each role that the user's words, else the headers, tell."""
    roles = {role: _mapped(role, mapping[role], names) for role in WORDS if mapping.get(role)}
    by_plain = {plain(name): name for name in reversed(names)}
    for role, words in WORDS.items():
        free = (by_plain[word] for word in words.split() if by_plain.get(word) not in {None, *roles.values()})
        if role not in mapping and (found := next(free, None)):
            roles[role] = found
    if plain(roles.get("value", "")) == "lborres" and "number" not in mapping:
        # LBSTRESN is in the standard unit, LBORRES in the original one: neither may stand in for the other.
        roles.pop("number", None)
    return roles


def _mapped(role: str, column: Any, names: Sequence[str]) -> str:
    found = next((name for name in names if name.lower() == str(column).strip().lower()), None)
    if found or role == "system":
        return found or str(column)
    near = difflib.get_close_matches(str(column), names, 1, 0.5)
    remedy = f"Did you mean {near[0]!r}?" if near else "Give the name of a column."
    raise MappingError(
        f"The mapping says that {role} is the column {str(column)!r}, which is not there.",
        f"Columns: {', '.join(names)}.",
        remedy,
    )


def _lacking(role: str, names: Sequence[str]) -> MappingError:
    scored = [
        (difflib.SequenceMatcher(None, plain(name), word).ratio(), name)
        for name in names
        for word in WORDS[role].split()
    ]
    score, name = max(scored, default=(0.0, ""))
    likely = f"The likeliest is {name!r}. " if score > 0.5 else ""
    return MappingError(
        f"No column says which {role} a row is of.",
        f"Columns: {', '.join(names)}.",
        f"{likely}Say so in a mapping file (--map), for example: '{role}: {name}'.",
    )


def _analytes(names: Sequence[str], roles: Mapping[str, str], given: Any) -> list[Analyte]:
    if given:
        return [_given(column, words or {}, names) for column, words in dict(given).items()]
    free = [name for name in names if name not in roles.values()]
    return [found for name in free if (found := analyte(name))]


def _given(column: Any, words: Mapping[str, Any], names: Sequence[str]) -> Analyte:
    name = _mapped("analytes", column, names)
    guess = analyte(name) or Analyte(name, name, "")
    return Analyte(name, str(words.get("test") or guess.test), str(words.get("unit") or guess.unit))


def analyte(heading: str) -> Analyte | None:
    """What a column of a wide table measures, told by its header; None where that is no blood count."""
    if heading.upper() in NHANES:
        return Analyte(heading, heading, NHANES[heading.upper()])
    name, unit = _name_and_unit(heading.strip())
    words = re.sub(r"[\W_]+", " ", name.lower())
    if not _ANALYTE.search(words) or _ABOUT.search(words):
        return None
    return Analyte(heading, re.sub(r"_+", " ", name).strip(), unit)


def _name_and_unit(heading: str) -> tuple[str, str]:
    bracketed = _BRACKETED.match(heading)
    if bracketed:
        return bracketed[1], bracketed[2]
    for unit, pattern in _UNIT_ENDINGS.items():
        ended = re.search(rf"(?:(?<=\w)|[ _,]+)[ _,]+(?:{pattern})$|\s*%$", heading, re.IGNORECASE)
        if ended and (unit == "%" or not heading.endswith("%")):
            return heading[: ended.start()].rstrip(" _,"), unit
    return heading, ""
