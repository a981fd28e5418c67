"""Raw diagnoses -> conditions: which condition, from a code by prefix or from a phrase in the name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, when

from leukopenia.contracts import CONDITIONS, Knowledge
from leukopenia.harmonise.ledger import as_issues
from leukopenia.harmonise.units import fold

Frame = nw.LazyFrame[Any]

SIGNAL = ("system", "code", "name")


def vocabulary(raw_conditions: Frame) -> Frame:
    """The distinct diagnosis signals of a source and how often they occur."""
    return raw_conditions.group_by(*SIGNAL).agg(n=nw.len().cast(nw.Int64))


def understand(vocabulary: Iterable[Mapping[str, Any]], knowledge: Knowledge) -> list[dict[str, Any]]:
    """The conditions of every distinct signal; one that no row knows keeps its code as `system|code`.

    Returns
    -------
    list of dict
        The signal, n and `condition`; a code may stand for more than one condition.
    """
    reader = _Reader(knowledge)
    return [made for row in vocabulary for made in reader.read(row)]


class _Reader:
    def __init__(self, knowledge: Knowledge) -> None:
        self._exact: dict[tuple[str, str], set[str]] = {}
        self._prefixes: dict[str, list[tuple[str, str]]] = {}
        for row in knowledge["condition_codes"]:
            code = row["code"].replace(".", "").upper()
            if row["match"] == "prefix":
                self._prefixes.setdefault(row["system"], []).append((code, row["condition"]))
            else:
                self._exact.setdefault((row["system"], code), set()).add(row["condition"])
        self._names = [(f" {row['name']} ", row["condition"]) for row in knowledge["condition_names"]]

    def read(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        signal = {name: row[name] for name in SIGNAL} | {"n": int(row["n"])}
        code = str(row["code"]).replace(".", "").strip().upper()
        found = self._exact.get((row["system"], code), set()) | self._by_prefix(row["system"], code)
        found |= self._by_name(str(row["name"]))
        known = sorted(found) or [
            f"{row['system']}|{row['code']}" if code not in ("", "0") else f"text|{fold(row['name'])}"
        ]
        return [signal | {"condition": condition} for condition in known]

    def _by_prefix(self, system: str, code: str) -> set[str]:
        return {condition for prefix, condition in self._prefixes.get(system, ()) if code.startswith(prefix)}

    def _by_name(self, name: str) -> set[str]:
        words = f" {' '.join(re.findall(r'[a-z0-9]+', fold(name)))} "
        bare = name.replace(".", "").strip().upper()
        coded = (
            self._by_prefix("icd10cm", bare) | self._by_prefix("icd9cm", bare)
            if re.match(r"^[A-Z]?\d", bare)
            else set()
        )
        return coded | {condition for phrase, condition in self._names if phrase in words}


def understand_procedures(vocabulary: Iterable[Mapping[str, Any]], knowledge: Knowledge) -> list[dict[str, Any]]:
    """The procedures that bear on counts (transfusion, dialysis), by a word in the name; all others are left out.

    Returns
    -------
    list of dict
        The signal, n, `condition` (procedure:...; empty: not of interest).
    """
    known = {row["name"]: row["procedure"] for row in knowledge["procedure_names"]}
    made = []
    for row in vocabulary:
        words = re.findall(r"[a-z]+", fold(str(row["name"])))
        found = sorted({known[word] for word in words if word in known})
        made += [{name: row[name] for name in (*SIGNAL, "n")} | {"condition": one} for one in found or [""]]
    return made


def conditions(raw_conditions: Frame, meanings: Frame) -> Frame:
    """contracts.CONDITIONS: one row per person, condition and start; rows without a time are set aside."""
    return merged(raw_conditions.filter(~col("start").is_null()).join(meanings, on=list(SIGNAL)))


def merged(conditions: Frame) -> Frame:
    """Rows that say the same of a person and start are one: the latest end, the surest word, the first row."""
    key = ("patient_id", "condition", "start")
    # 'confirmed' stands before 'provisional' in the alphabet as well.
    surest = when(col("certainty") != "").then(col("certainty")).min()
    return (
        conditions.with_columns(first=col("source").min().over(*key))
        .group_by(*key)
        .agg(
            end=col("end").max(),
            certainty=surest,
            source=col("first").min(),
            row_id=when(col("source") == col("first")).then(col("row_id")).min(),
        )
        .with_columns(certainty=col("certainty").fill_null(""))
        .select(*CONDITIONS.names)
    )


def set_aside(raw_conditions: Frame, meanings: Frame, table: str) -> Frame:
    """Rows of `issues` for diagnoses and procedures of interest without a time."""
    rows = raw_conditions.filter(col("start").is_null()).join(meanings, on=list(SIGNAL), how="semi")
    return as_issues(rows, table, "no_time", "", set_aside=True)
