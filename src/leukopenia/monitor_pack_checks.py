"""What can be wrong in a rule pack: each cell by itself, rows against one another, bands without holes or overlaps."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from leukopenia import knowledge as known
from leukopenia.contracts import Rows
from leukopenia.monitor.rules import ACTIONS, NO_NEUTROPENIA, POPULATIONS

Parts = Mapping[str, Rows]
"""The rows of a pack by part."""

Files = Mapping[str, str]
"""The name of the file that each part stands in."""

PARTS = {
    "rules": (
        *("rule_id", "drugs", "jurisdiction", "kind", "valid_from", "valid_to", "population", "indication", "analytes"),
        *("baseline", "baseline_days", "restart_after_days", "after_stop_days", "after_stop_interval_days"),
        *("after_end_count", "after_end_days", "note", "conflict", "source_id"),
    ),
    "phases": ("rule_id", "from_day", "to_day", "interval_days", "only_if", "grace_days", "source_id"),
    "thresholds": (
        *("rule_id", "purpose", "analyte", "at_or_above", "below", "fall_by", "fall_within_days", "lasting_days"),
        *("below_share", "action", "statement", "next_interval_days", "until_at_or_above", "until_in_a_row"),
        *("or_baseline", "confirm_hours", "then_weeks", "source_id"),
    ),
    "unfound": ("drug", "jurisdiction", "looked_at", "statement", "source_id"),
    "courses": ("drug", "gap_days", "effect_days", "source_id"),
}
"""The parts of a pack and their columns: files monitoring_<part>.csv of one folder, or keys of one YAML file."""

REQUIRED = ("rules", "phases", "thresholds")
KINDS = ("label", "guideline", "registry", "practice")
BASELINES = ("required", "when_at_risk", "none")
PURPOSES = ("start", "continue", "resume", "restart")
ANALYTES = ("wbc", "neutrophils", "lymphocytes", "monocytes", "eosinophils", "basophils", "platelets", "haemoglobin")

_LEAST_HAEMOGLOBIN = 30.0
"""No rule lets the haemoglobin fall so low (g/L): a limit below this is one in g/dL."""

Check = Callable[[str], str]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a pack, where it stands, and what to do."""

    file: str
    row: int
    column: str
    wrong: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}, row {self.row}" + (f", {self.column}" if self.column else "")
        return f"{place}: {self.wrong} {self.remedy}"


def problems(parts: Parts, files: Files) -> list[Problem]:
    """Everything that is wrong in a pack, in the order of the files."""
    found = [problem for part, rows in parts.items() for problem in _of_cells(files[part], part, rows)]
    return found or [*_of_rows(parts, files), *_of_bands(files["thresholds"], parts["thresholds"])]


def _numbered(file: str, rows: Rows) -> list[tuple[int, Mapping[str, str]]]:
    """Rows with the number that a reader of the file sees: a CSV has its header in row 1."""
    return list(enumerate(rows, start=2 if file.endswith(".csv") else 1))


# Cells


def _one_of(*words: str) -> Check:
    return lambda text: "" if text in words else f"Choose one of: {', '.join(words)}."


def _matching(pattern: str, remedy: str) -> Check:
    return lambda text: "" if re.fullmatch(pattern, text) else remedy


def _whole(least: int) -> Check:
    return _optional(lambda text: text.isdigit() and int(text) >= least, f"Write a whole number, {least} or more.")


def _above(least: float, equal: bool = False) -> Check:
    word = f"{least:g} or more" if equal else f"above {least:g}"

    def holds(text: str) -> bool:
        number = float(text)
        return least <= number < 1e9 if equal else least < number < 1e9

    return _optional(holds, f"Write a number {word}.")


def _optional(holds: Callable[[str], bool], remedy: str) -> Check:
    def check(text: str) -> str:
        try:
            return "" if not text or holds(text) else remedy
        except ValueError:
            return remedy

    return check


def _needed(check: Check, remedy: str) -> Check:
    return lambda text: check(text) if text else remedy


def _is_date(text: str) -> bool:
    return date.fromisoformat(text).isoformat() == text


def _drugs(text: str) -> str:
    ingredients = {row["id"] for row in known.load()["ingredients"]}
    for drug in text.split(";"):
        if drug not in ingredients:
            near = difflib.get_close_matches(drug, ingredients, n=1)
            hint = f"Did you mean {near[0]}?" if near else "`leukopenia knowledge ingredients` lists the ids."
            return f"{drug or 'nothing'} is no ingredient. {hint}"
    return ""


def _lines(text: str) -> str:
    wrong = [part for part in text.split(";") if part not in ANALYTES]
    return f"{wrong[0] or 'nothing'} is no line. Choose of: {', '.join(ANALYTES)}." if wrong else ""


def _course_drug(text: str) -> str:
    return "" if text == "*" else _drugs(text)


_SHARE = _optional(lambda text: 0 < float(text) < 1, "Write a share between 0 and 1: 0.5 for half the own baseline.")
_SOURCE = _matching(r".+", "Say where it stands: a source, a page, a letter.")
_DATE = _optional(_is_date, "Write a date as 2026-11-22.")
_RULE_ID = _matching(r"rule:[a-z0-9]+(-[a-z0-9]+)*", "Write it as rule:clozapine-myhospital.")

_CHECKS: dict[str, dict[str, Check]] = {
    "rules": {
        "rule_id": _RULE_ID,
        "drugs": _drugs,
        "jurisdiction": _matching(r"[a-z]+", "Write the code that --jurisdiction will name."),
        "kind": _one_of(*KINDS),
        "valid_from": _DATE,
        "valid_to": _DATE,
        "population": _one_of(*POPULATIONS),
        "analytes": _lines,
        "baseline": _one_of(*BASELINES),
        "baseline_days": _whole(0),
        "restart_after_days": _whole(0),
        "after_stop_days": _whole(0),
        "after_stop_interval_days": _above(0),
        "after_end_count": _one_of("yes", "no"),
        "after_end_days": _whole(1),
        "source_id": _SOURCE,
    },
    "phases": {
        "from_day": _needed(_whole(0), "Write the day from which it holds; 0 is the start."),
        "to_day": _whole(1),
        "interval_days": _above(0),
        "only_if": _one_of("", NO_NEUTROPENIA),
        "grace_days": _whole(0),
        "source_id": _SOURCE,
    },
    "thresholds": {
        "purpose": _one_of(*PURPOSES),
        "analyte": _one_of(*ANALYTES),
        "at_or_above": _above(0, equal=True),
        "below": _above(0),
        "fall_by": _above(0),
        "fall_within_days": _above(0),
        "lasting_days": _above(0, equal=True),
        "below_share": _SHARE,
        "action": _one_of(*ACTIONS),
        "statement": _matching(r".+", "Say in words what the rule asks for."),
        "next_interval_days": _above(0),
        "until_at_or_above": _above(0),
        "until_in_a_row": _whole(1),
        "or_baseline": _one_of("", "yes", "no"),
        "confirm_hours": _above(0),
        "then_weeks": _whole(0),
        "source_id": _SOURCE,
    },
    "unfound": {"drug": _drugs, "statement": _matching(r".+", "Say what was not found.")},
    "courses": {
        "drug": _course_drug,
        "gap_days": _needed(_whole(0), "Write how many days apart two rows of one course may be."),
        "effect_days": _whole(0),
        "source_id": _SOURCE,
    },
}


def _of_cells(file: str, part: str, rows: Rows) -> list[Problem]:
    return [
        Problem(
            file, number, column, f"{row[column]!r} cannot stand here." if row[column] else "nothing is here.", said
        )
        for number, row in _numbered(file, rows)
        for column, check in _CHECKS[part].items()
        if (said := check(row[column]))
    ]


# Rows against one another


def _of_rows(parts: Parts, files: Files) -> list[Problem]:
    rules = {row["rule_id"] for row in parts["rules"]}
    found = [problem for part, rows in parts.items() for problem in _twice(files[part], part, rows)]
    for part in ("phases", "thresholds"):
        found += [
            Problem(files[part], number, "rule_id", f"{row['rule_id']!r} is no rule of the pack.", _names(rules))
            for number, row in _numbered(files[part], parts[part])
            if row["rule_id"] not in rules
        ]
    found += [
        problem
        for number, row in _numbered(files["rules"], parts["rules"])
        for problem in _of_rule(files["rules"], number, row)
    ]
    phases = parts["phases"]
    return found + [problem for place in range(len(phases)) for problem in _of_phase(files["phases"], phases, place)]


def _names(rules: Iterable[str]) -> str:
    return f"It has: {', '.join(sorted(rules)) or 'none'}."


def _twice(file: str, part: str, rows: Rows) -> list[Problem]:
    seen: set[tuple[str, ...]] = set()
    found = []
    for number, row in _numbered(file, rows):
        key = tuple(row[column] for column in known.KEYS[f"monitoring_{part}"])
        if key in seen:
            found.append(Problem(file, number, "", "the same row stands twice.", "Take one out."))
        seen.add(key)
    return found


def _of_rule(file: str, number: int, row: Mapping[str, str]) -> list[Problem]:
    found = []
    if row["valid_from"] and row["valid_to"] and row["valid_from"] > row["valid_to"]:
        found.append(Problem(file, number, "valid_to", "it ends before it begins.", "Exchange the two dates."))
    if row["after_stop_interval_days"] and not row["after_stop_days"]:
        found.append(Problem(file, number, "after_stop_days", "nothing is here.", "For how long do counts go on?"))
    if row["after_end_count"] == "yes" and row["after_stop_days"]:
        remedy = "One count after the end, or counts for some time: not both."
        found.append(Problem(file, number, "after_end_count", "after_stop_days asks for counts as well.", remedy))
    return found


def _of_phase(file: str, phases: Rows, place: int) -> list[Problem]:
    number, row = _numbered(file, phases)[place]
    start, end = float(row["from_day"]), float(row["to_day"] or "inf")
    if end <= start:
        remedy = "It is the first day on which the phase no longer holds."
        return [Problem(file, number, "to_day", "the phase ends before it begins.", remedy)]
    others = [
        other
        for other in phases[:place]
        if other["rule_id"] == row["rule_id"] and not other["only_if"] and not row["only_if"]
    ]
    if not any(start < float(other["to_day"] or "inf") and float(other["from_day"]) < end for other in others):
        return []
    remedy = "End the earlier phase on the day on which the later one begins."
    return [Problem(file, number, "from_day", "another phase holds these days.", remedy)]


def _of_bands(file: str, bands: Rows) -> list[Problem]:
    groups: dict[tuple[str, ...], list[tuple[float, float, int]]] = {}
    found = []
    for number, row in _numbered(file, bands):
        if wrong := _of_band(row):
            found.append(Problem(file, number, *wrong))
        elif not any(row[name] for name in _CONDITIONS):
            key = (row["rule_id"], row["purpose"], row["analyte"])
            groups.setdefault(key, []).append((*_bounds(row), number))
    for limits in groups.values():
        for (_, upper, _), (lower, _, number) in itertools.pairwise(sorted(limits)):
            if lower != upper:
                word = "overlaps the band below it" if lower < upper else "leaves a hole to the band below it"
                found.append(Problem(file, number, "at_or_above", f"the band {word}.", f"Begin it at {upper:g}."))
    return found


_CONDITIONS = ("fall_by", "lasting_days", "below_share")
"""A band with one of these lies over those of levels alone."""


def _bounds(row: Mapping[str, str]) -> tuple[float, float]:
    return float(row["at_or_above"] or 0), float(row["below"] or "inf")


def _of_band(row: Mapping[str, str]) -> tuple[str, str, str] | None:
    """The first thing that is wrong in one band: column, what, and the remedy."""
    low, high = _bounds(row)
    asked = [name for name in _CONDITIONS if row[name]]
    if low >= high:
        return "below", "the band holds no value.", "below must exceed at_or_above."
    if row["analyte"] == "haemoglobin" and min(low or _LEAST_HAEMOGLOBIN, high) < _LEAST_HAEMOGLOBIN:
        return "below", "haemoglobin is told in g/L.", "Write 80 for 8 g/dL."
    if bool(row["fall_by"]) != bool(row["fall_within_days"]):
        return "fall_by", "half a speed.", "Give fall_by and fall_within_days."
    if len(asked) > 1:
        return asked[1], "a second condition.", f"A band has {' or '.join(_CONDITIONS)}, not two of them."
    if asked and row["purpose"] != "continue":
        return asked[0], "it is not looked at here.", "It belongs to the purpose continue."
    if row["lasting_days"] and not row["below"]:
        return "lasting_days", "nothing can last.", "Give below: under which limit have the counts been?"
    if not (row["fall_by"] or row["below_share"] or row["at_or_above"] or row["below"]):
        return "below", "the band has no limit.", "Give at_or_above, below or both."
    return _of_return(row)


def _of_return(row: Mapping[str, str]) -> tuple[str, str, str] | None:
    """What is wrong in the way back from a band."""
    if row["until_in_a_row"] and not row["until_at_or_above"]:
        return "until_in_a_row", "nothing ends here.", "Give until_at_or_above: at which limit are counts good again?"
    again = row["purpose"] in ("resume", "restart") or (row["purpose"] == "continue" and row["until_at_or_above"])
    if row["or_baseline"] == "yes" and not again:
        remedy = "It takes the place of until_at_or_above, or of the limit to resume or restart."
        return "or_baseline", "there is no limit to come back to.", remedy
    return None
