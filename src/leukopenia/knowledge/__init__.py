"""Clinical numbers as rows: loaded, checked and versioned here; a table that contradicts itself does not load."""

from __future__ import annotations

import csv
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType

from leukopenia.contracts import Knowledge, Rows
from leukopenia.errors import KnowledgeError, UsageError

_HERE = Path(__file__).parent

KEYS: dict[str, tuple[str, ...]] = {
    "agranulocytosis": ("definition",),
    "agranulocytosis_drugs": ("ingredient",),
    "analytes": ("analyte",),
    "biological_variation": ("analyte", "interval", "sex", "method", "source_id"),
    "cause_conflicts": ("cause", "topic", "statement"),
    "cause_tests": ("phrase", "cause"),
    "causes_conditions": ("id",),
    "causes_drugs": ("id",),
    "cisne": ("item",),
    "clue_criteria": ("clue", "source", "signal", "operator", "limit"),
    "clue_phrases": ("phrase", "clue"),
    "clue_weights": ("clue", "state", "target"),
    "clues": ("clue",),
    "codes": ("system", "code"),
    "components": ("component",),
    "count_words": ("phrase", "analyte"),
    "condition_phrases": ("phrase", "condition"),
    "condition_codes": ("condition", "system", "code"),
    "condition_names": ("name",),
    "criteria": ("standard", "analyte", "direction", "grade", "bound", "age_unit", "age_from"),
    "febrile_neutropenia": ("definition",),
    "forecast_levels": ("analyte", "level", "value"),
    "hazards": ("study", "drug", "outcome", "from_day"),
    "ingredient_names": ("name",),
    "ingredients": ("id",),
    "instrument_verdicts": ("instrument", "verdict"),
    "instruments": ("instrument", "item"),
    "interactions": ("cause", "partner"),
    "interval_choice": ("context", "analyte", "sex", "age_from_hours"),
    "intervals": ("interval_id",),
    "lineages": ("lineage", "line"),
    "lms": ("analyte", "group", "sex", "age_years"),
    "look_again": ("test", "target"),
    "mascc": ("item",),
    "endotoxin_counts": ("dose", "hour", "analyte"),
    "model_cards": ("card",),
    "model_covariates": ("card", "parameter", "covariate", "form"),
    "model_parameters": ("card", "parameter"),
    "monitoring_conflicts": ("drug", "topic", "statement"),
    "monitoring_courses": ("drug",),
    "monitoring_phases": ("rule_id", "from_day"),
    "monitoring_rules": ("rule_id",),
    "monitoring_thresholds": (
        *("rule_id", "purpose", "analyte", "at_or_above", "below", "fall_by", "lasting_days", "below_share"),
    ),
    "monitoring_unfound": ("drug", "jurisdiction"),
    "nadir_priors": ("prior",),
    "nhanes_limits": ("analyte", "group", "sex", "age_from_hours", "age_to_hours"),
    "policy": ("name",),
    "procedure_names": ("name",),
    "result_words": ("text",),
    "regimens": ("regimen", "ingredient"),
    "routes": ("system", "word"),
    "severity": ("analyte", "severity"),
    "specimens": ("word",),
    "strengths": ("strength",),
    "terms_without_numbers": ("standard", "analyte", "direction"),
    "test_names": ("phrase",),
    "test_words": ("kind", "word"),
    "unit_whitelists": ("whitelist", "analyte", "unit"),
    "units": ("kind", "spelling"),
    "usual_ranges": ("finding", "unit", "sex"),
}
"""The knowledge tables and what identifies a row in each."""

CONTEXTS = ("general", "duffy_null", "pregnant", "very_low_birth_weight", "cord_blood", "ancestry_mixture")
"""For whom a reference interval was made, as far as it is not for people in general."""


@cache
def load() -> Knowledge:
    """All knowledge tables, checked.

    Returns
    -------
    Knowledge
        Table name to rows; every cell is text.

    Raises
    ------
    KnowledgeError
        Duplicate keys, sources that do not resolve, grades that are not monotone, holes or overlaps in ages.
    """
    tables = {name: _read(_HERE / f"{name}.csv") for name in KEYS}
    for name, rows in tables.items():
        check_keys(name, rows, KEYS[name])
        _check_sources(name, rows)
    check_criteria(tables["criteria"])
    check_intervals(tables["intervals"])
    check_choice(tables["interval_choice"], tables["intervals"])
    check_percentiles("lms", tables["lms"], ("low", "m", "high"))
    check_percentiles("nhanes_limits", tables["nhanes_limits"], ("low", "median", "high"))
    return MappingProxyType(tables)


@cache
def version() -> str:
    """A short fingerprint of all knowledge tables: the same rows, the same version."""
    digest = hashlib.sha256()
    for path in sorted(_HERE.rglob("*.csv")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def references() -> dict[str, str]:
    """source_id to its BibTeX entry."""
    text = (_HERE / "references.bib").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=@)", text)
    return {match[1]: entry.strip() for entry in entries if (match := re.match(r"@\w+\{([^,\s]+),", entry))}


def citation(source_id: str) -> str:
    """One line for a footnote: authors, title, where, year."""
    entry = references().get(source_id, "")
    fields = {
        name.lower(): re.sub(r"[{}]", "", value).strip()
        for name, value in re.findall(r"(\w+)\s*=\s*\{((?:[^{}]|\{[^{}]*\})*)\}", entry)
    }
    if "pmid" in fields:
        fields["pmid"] = f"PMID {fields['pmid']}"
    shown = ("author", "title", "journal", "howpublished", "year", "doi", "pmid", "url")
    return ". ".join(filter(None, (fields.get(name, "") for name in shown))) or source_id


def site_maps() -> dict[str, Rows]:
    """The site maps that come with the product, by name."""
    return {path.stem: read_site_map(path) for path in sorted((_HERE / "site_maps").glob("*.csv"))}


def read_site_map(path: Path) -> Rows:
    """A site map of the product or of a user's own hospital.

    Parameters
    ----------
    path : Path
        CSV with the columns code, analyte, specimen, unit; optionally name, origin, finding.

    Raises
    ------
    KnowledgeError
        A column is missing or a code stands twice.
    """
    rows = _read(path)
    missing = {"code", "analyte", "specimen", "unit"} - set(rows[0] if rows else ())
    if missing:
        raise KnowledgeError(
            f"The site map {path.name} lacks the columns {', '.join(sorted(missing))}.",
            f"It has: {', '.join(rows[0]) if rows else 'nothing'}.",
            "leukopenia inspect SOURCE prints a stub to fill in.",
        )
    check_keys(path.name, rows, ("code",))
    return rows


def _read(path: Path) -> Rows:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return tuple(MappingProxyType(row) for row in csv.DictReader(lines))
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read.", str(error.strerror), "Check the path.") from None


def check_keys(name: str, rows: Rows, key: Sequence[str]) -> None:
    """Refuse a table in which two rows have the same key."""
    seen = Counter(tuple(row.get(column, "") for column in key) for row in rows)
    twice = [found for found, n in seen.items() if n > 1]
    if twice:
        raise KnowledgeError(f"{name}: two rows for {twice[0]}.", "", f"{', '.join(key)} must be unique.")


def _check_sources(name: str, rows: Rows) -> None:
    for row in rows:
        for source in filter(None, row.get("source_id", "").split(";")):
            if source not in references():
                raise KnowledgeError(f"{name}: the source {source!r} is not in references.bib.")


def check_criteria(rows: Rows) -> None:
    """Refuse criteria whose absolute cut-offs do not grow stricter with the grade, or whose ages overlap."""
    groups: dict[tuple[str, ...], list[tuple[int, float]]] = {}
    for row in rows:
        if row["bound"] == "value":
            key = (row["standard"], row["analyte"], row["direction"], row["age_unit"], row["age_from"])
            groups.setdefault(key, []).append((int(row["grade"]), float(row["limit"])))
    for group, cuts in groups.items():
        limits = [limit for _, limit in sorted(cuts, reverse=group[2] == "low")]
        if any(later <= earlier for earlier, later in itertools.pairwise(limits)):
            raise KnowledgeError(f"criteria: the cut-offs of {' '.join(group)} are not monotone.")
    _check_ages(rows)


def _check_ages(rows: Rows) -> None:
    spans: dict[tuple[str, ...], set[tuple[int, int]]] = {}
    for row in rows:
        if row["age_unit"]:
            spans.setdefault((row["standard"], row["analyte"], row["direction"], row["age_unit"]), set()).add(
                (int(row["age_from"]), int(row["age_to"]))
            )
    for key, found in spans.items():
        ordered = sorted(found)
        for (_, upper), (lower, _) in itertools.pairwise(ordered):
            if lower != upper + 1:
                raise KnowledgeError(f"criteria: the ages of {' '.join(key)} overlap or leave a hole at {upper}.")


def check_intervals(rows: Rows) -> None:
    """Refuse an interval without a limit, with limits or ages the wrong way round, or with weeks outside pregnancy."""
    for row in rows:
        name = f"intervals: {row['interval_id']}"
        if not (row["low"] or row["high"]) or not row["percentiles"]:
            raise KnowledgeError(f"{name} has no limit, or does not say which percentiles its limits are.")
        if row["low"] and row["high"] and float(row["low"]) >= float(row["high"]):
            raise KnowledgeError(f"{name} has a lower limit that is not below the upper one.")
        if int(row["age_from_hours"]) >= int(row["age_to_hours"]):
            raise KnowledgeError(f"{name} ends at an age before it begins.")
        if row["context"] not in CONTEXTS:
            raise KnowledgeError(f"{name} has the unknown context {row['context']!r}.", "", f"One of: {CONTEXTS}.")
        if bool(row["gestation_from_weeks"]) != (row["context"] == "pregnant"):
            raise KnowledgeError(f"{name}: weeks of gestation belong to the context pregnant, and to no other.")


def check_percentiles(name: str, rows: Rows, ascending: Sequence[str]) -> None:
    """Refuse a row whose percentiles do not ascend from above zero, or whose standard errors are not above zero."""
    for row in rows:
        values = [0.0, *(float(row[column]) for column in ascending)]
        errors = [float(cell) for column, cell in row.items() if column.endswith("_se")]
        if any(later <= earlier for earlier, later in itertools.pairwise(values)) or min(errors) <= 0:
            where = " ".join(row[column] for column in KEYS[name])
            raise KnowledgeError(f"{name}: the percentiles or standard errors of {where} cannot be.")


def check_choice(choice: Rows, intervals: Rows) -> None:
    """Refuse a choice of reference intervals that overlaps, leaves a hole, or names an interval that is not there.

    A list that does not say which percentiles it quotes is shown, never chosen.
    """
    known = {row["interval_id"]: row["percentiles"] for row in intervals}
    ages: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for row in choice:
        if row["interval_id"] and row["interval_id"] not in known:
            raise KnowledgeError(f"interval_choice: there is no interval {row['interval_id']!r}.")
        if known.get(row["interval_id"]) == "not stated":
            raise KnowledgeError(f"interval_choice: {row['interval_id']} does not say which percentiles it quotes.")
        for sex in ("male", "female") if row["sex"] == "any" else (row["sex"],):
            ages.setdefault((row["context"], row["analyte"], sex), []).append(
                (int(row["age_from_hours"]), int(row["age_to_hours"]))
            )
    for key, spans in ages.items():
        _check_spans(" ".join(key), sorted(spans), whole=key[0] == "general")


def _check_spans(name: str, spans: Iterable[tuple[int, int]], whole: bool) -> None:
    ordered = list(spans)
    if whole and ordered[0][0] != 0:
        raise KnowledgeError(f"interval_choice: {name} does not begin at birth.")
    for (_, upper), (lower, _) in itertools.pairwise(ordered):
        if lower < upper or (whole and lower > upper):
            raise KnowledgeError(f"interval_choice: {name} overlaps or leaves a hole at {upper} hours.")
