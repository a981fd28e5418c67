"""A hospital's own monitoring rules: read, checked cell by cell, tried on their scenarios; and rules put into words."""

from __future__ import annotations

import csv
import difflib
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from leukopenia import knowledge as known
from leukopenia.contracts import Knowledge, Rows
from leukopenia.errors import KnowledgeError, UsageError
from leukopenia.monitor.rules import ACTIONS, NO_NEUTROPENIA, POPULATIONS

PARTS = {
    "rules": (
        *("rule_id", "drugs", "jurisdiction", "kind", "valid_from", "valid_to", "population", "indication", "analytes"),
        *("baseline", "baseline_days", "restart_after_days", "after_stop_days", "after_stop_interval_days"),
        *("after_end_count", "after_end_days", "note", "conflict", "source_id"),
    ),
    "phases": ("rule_id", "from_day", "to_day", "interval_days", "only_if", "grace_days", "source_id"),
    "thresholds": (
        *("rule_id", "purpose", "analyte", "at_or_above", "below", "fall_by", "fall_within_days", "action"),
        *("statement", "next_interval_days", "until_at_or_above", "confirm_hours", "then_weeks", "source_id"),
    ),
    "unfound": ("drug", "jurisdiction", "looked_at", "statement", "source_id"),
    "courses": ("drug", "gap_days", "source_id"),
}
"""The parts of a pack and their columns: files monitoring_<part>.csv of one folder, or keys of one YAML file."""

REQUIRED = ("rules", "phases", "thresholds")
KINDS = ("label", "guideline", "registry", "practice")
BASELINES = ("required", "when_at_risk", "none")
PURPOSES = ("start", "continue", "resume", "restart")
ANALYTES = ("wbc", "neutrophils", "lymphocytes", "monocytes", "eosinophils", "basophils", "platelets", "haemoglobin")

_BLANK = {"population": "general", "baseline": "none", "after_end_count": "no", "kind": "practice"}
"""What a cell means that an own pack leaves out."""

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


@dataclass(frozen=True)
class Pack:
    """The rows of a pack by part, each with the file it stands in, and the files of its scenarios."""

    parts: Mapping[str, Rows]
    files: Mapping[str, str]
    scenarios: tuple[Path, ...]

    def problems(self) -> list[Problem]:
        """Everything that is wrong, in the order of the files."""
        found = [problem for part, rows in self.parts.items() for problem in _of_cells(self.files[part], part, rows)]
        return found or [*_of_rows(self), *_of_bands(self)]

    def added_to(self, knowledge: Knowledge) -> Knowledge:
        """The knowledge with the rules of the pack; a rule of the same name is replaced, whole.

        Raises
        ------
        KnowledgeError
            The pack has a problem: the first, and how many there are.
        """
        if problems := self.problems():
            more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
            raise KnowledgeError(f"{problems[0]}{more}", "", "`leukopenia knowledge check` lists all.")
        own = {row["rule_id"] for row in self.parts["rules"]}
        merged = dict(knowledge)
        for part, rows in self.parts.items():
            name = f"monitoring_{part}"
            columns = ("rule_id",) if part in REQUIRED else known.KEYS[name]
            taken = {tuple(row[column] for column in columns) for row in rows} | {(rule,) for rule in own}
            kept = [row for row in knowledge[name] if tuple(row[column] for column in columns) not in taken]
            merged[name] = (*kept, *rows)
        return merged


def read_pack(path: Path) -> Pack:
    """A folder of monitoring_rules.csv, monitoring_phases.csv, monitoring_thresholds.csv and so on, or one YAML file.

    Scenarios are the YAML files of the folder `scenarios` beside the tables.

    Raises
    ------
    UsageError
        There is no such file or folder.
    KnowledgeError
        It is no pack: a part is absent, cannot be read, or has columns that are not known.
    """
    if path.is_dir():
        found = {part: path / f"monitoring_{part}.csv" for part in PARTS}
        present = {part: file for part, file in found.items() if file.is_file()}
        _check_parts(path.name, present, "files monitoring_{}.csv")
        parts = {part: _completed(file.name, part, _csv(file)) for part, file in present.items()}
        files = {part: file.name for part, file in present.items()}
        return Pack(parts, files, tuple(sorted((path / "scenarios").glob("*.yaml"))))
    if not path.is_file():
        raise UsageError(f"There is no pack {path}.", "", "Give a folder of CSV files, or a YAML file.")
    given = _yaml(path)
    _check_parts(path.name, given, "keys {}")
    parts = {part: _completed(path.name, part, given[part]) for part in PARTS if part in given}
    scenarios = tuple(sorted((path.parent / "scenarios").glob("*.yaml")))
    return Pack(parts, dict.fromkeys(parts, path.name), scenarios)


def _csv(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise KnowledgeError(f"{path.name} cannot be read.", type(error).__name__, "Save it as CSV in UTF-8.") from None


def _yaml(path: Path) -> dict[str, Any]:
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{path.name} cannot be read.", type(error).__name__, "Write YAML in UTF-8.") from None
    if not isinstance(given, dict):
        raise KnowledgeError(f"{path.name} is no pack.", "", f"It needs the keys {', '.join(REQUIRED)}.")
    return given


def _check_parts(name: str, given: Iterable[str], form: str) -> None:
    known_parts = form.format("|".join(PARTS))
    if missing := [part for part in REQUIRED if part not in set(given)]:
        raise KnowledgeError(f"{name} lacks {form.format(missing[0])}.", "", f"A pack has {known_parts}.")
    if unknown := sorted(set(given) - set(PARTS)):
        raise KnowledgeError(f"{name}: {unknown[0]!r} is no part of a pack.", "", f"A pack has {known_parts}.")


def _completed(file: str, part: str, rows: Any) -> Rows:
    """Rows with every column of their part; an own pack may leave out those it does not use."""
    columns = PARTS[part]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise KnowledgeError(f"{file}: {part} is no list of rows.", "", f"Each row has {', '.join(columns)}.")
    made = []
    for number, row in enumerate(rows, start=1):
        if unknown := [str(name) for name in row if name not in (*columns, "note")]:
            near = difflib.get_close_matches(unknown[0], columns, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"{part} has {', '.join(columns)}."
            raise KnowledgeError(f"{file}, row {number}: there is no column {unknown[0]!r}.", "", hint)
        cells = {name: _text(row.get(name)) for name in columns}
        made.append({name: cell or (_BLANK.get(name, "") if part == "rules" else "") for name, cell in cells.items()})
    return tuple(made)


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, list):
        return ";".join(str(part) for part in cell)
    return "" if cell is None else str(cell).strip()


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
        "action": _one_of(*ACTIONS),
        "statement": _matching(r".+", "Say in words what the rule asks for."),
        "next_interval_days": _above(0),
        "until_at_or_above": _above(0),
        "confirm_hours": _above(0),
        "then_weeks": _whole(0),
        "source_id": _SOURCE,
    },
    "unfound": {"drug": _drugs, "statement": _matching(r".+", "Say what was not found."), "source_id": _SOURCE},
    "courses": {
        "drug": _course_drug,
        "gap_days": _needed(_whole(0), "Write how many days apart two rows of one course may be."),
        "source_id": _SOURCE,
    },
}


def _of_cells(file: str, part: str, rows: Rows) -> list[Problem]:
    return [
        Problem(
            file, number, column, f"{row[column]!r} cannot stand here." if row[column] else "nothing is here.", said
        )
        for number, row in enumerate(rows, start=1)
        for column, check in _CHECKS[part].items()
        if (said := check(row[column]))
    ]


# Rows against one another


def _of_rows(pack: Pack) -> list[Problem]:
    rules = {row["rule_id"] for row in pack.parts["rules"]}
    found = [problem for part in pack.parts for problem in _twice(pack, part)]
    for part in ("phases", "thresholds"):
        found += [
            Problem(pack.files[part], number, "rule_id", f"{row['rule_id']!r} is no rule of the pack.", _names(rules))
            for number, row in enumerate(pack.parts[part], start=1)
            if row["rule_id"] not in rules
        ]
    found += [
        problem for number, row in _numbered(pack, "rules") for problem in _of_rule(pack.files["rules"], number, row)
    ]
    found += [problem for number, row in _numbered(pack, "phases") for problem in _of_phase(pack, number, row)]
    return found


def _names(rules: Iterable[str]) -> str:
    return f"It has: {', '.join(sorted(rules)) or 'none'}."


def _numbered(pack: Pack, part: str) -> list[tuple[int, Mapping[str, str]]]:
    return list(enumerate(pack.parts[part], start=1))


def _twice(pack: Pack, part: str) -> list[Problem]:
    seen: set[tuple[str, ...]] = set()
    found = []
    for number, row in _numbered(pack, part):
        key = tuple(row[column] for column in known.KEYS[f"monitoring_{part}"])
        if key in seen:
            found.append(Problem(pack.files[part], number, "", "the same row stands twice.", "Take one out."))
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


def _of_phase(pack: Pack, number: int, row: Mapping[str, str]) -> list[Problem]:
    file = pack.files["phases"]
    start, end = float(row["from_day"]), float(row["to_day"] or "inf")
    if end <= start:
        return [Problem(file, number, "to_day", "the phase ends before it begins.", "It is the first day beyond.")]
    others = [
        other
        for place, other in _numbered(pack, "phases")
        if place < number and other["rule_id"] == row["rule_id"] and not other["only_if"] and not row["only_if"]
    ]
    overlaps = any(start < float(other["to_day"] or "inf") and float(other["from_day"]) < end for other in others)
    remedy = "End the earlier phase on the day on which the later one begins."
    return [Problem(file, number, "from_day", "another phase holds these days.", remedy)] if overlaps else []


def _of_bands(pack: Pack) -> list[Problem]:
    file = pack.files["thresholds"]
    groups: dict[tuple[str, ...], list[tuple[float, float, int]]] = {}
    found = []
    for number, row in _numbered(pack, "thresholds"):
        low, high = float(row["at_or_above"] or 0), float(row["below"] or "inf")
        if low >= high:
            found.append(Problem(file, number, "below", "the band holds no value.", "below must exceed at_or_above."))
        if bool(row["fall_by"]) != bool(row["fall_within_days"]):
            found.append(Problem(file, number, "fall_by", "half a speed.", "Give fall_by and fall_within_days."))
        elif not (row["fall_by"] or row["at_or_above"] or row["below"]):
            found.append(Problem(file, number, "below", "the band has no limit.", "Give at_or_above, below or both."))
        elif not row["fall_by"]:
            groups.setdefault((row["rule_id"], row["purpose"], row["analyte"]), []).append((low, high, number))
    for bands in groups.values():
        for (_, upper, _), (lower, _, number) in itertools.pairwise(sorted(bands)):
            if lower != upper:
                word = "overlaps the band below it" if lower < upper else "leaves a hole to the band below it"
                found.append(Problem(file, number, "at_or_above", f"the band {word}.", f"Begin it at {upper:g}."))
    return found


# Words


def describe(rule_id: str, knowledge: Knowledge) -> list[str]:
    """A monitoring rule as a person would read it, with its sources.

    Parameters
    ----------
    rule_id : str
        rule:clozapine-uk and the like.
    knowledge : Knowledge
        Uses the tables monitoring_* and ingredients.

    Raises
    ------
    UsageError
        There is no such rule.
    """
    rules = {row["rule_id"]: row for row in knowledge["monitoring_rules"]}
    if rule_id not in rules:
        near = difflib.get_close_matches(rule_id, rules, n=1)
        hint = f"Did you mean {near[0]}?" if near else ""
        raise UsageError(f"There is no monitoring rule {rule_id!r}.", hint, "leukopenia knowledge monitoring_rules")
    rule = rules[rule_id]
    phases = [row for row in knowledge["monitoring_phases"] if row["rule_id"] == rule_id]
    bands = [row for row in knowledge["monitoring_thresholds"] if row["rule_id"] == rule_id]
    names = {row["id"]: row["name"] for row in knowledge["ingredients"]}
    drugs = ", ".join(names.get(drug, drug) for drug in rule["drugs"].split(";"))
    made = [f"{rule_id}: {drugs} ({rule['kind']}, {_jurisdiction(rule['jurisdiction'])})"]
    made += [f"  {line}" for line in [*_scope(rule), *_counts(rule), *_schedule(phases), *_after(rule)]]
    for purpose in PURPOSES:
        made += _limits(purpose, [row for row in bands if row["purpose"] == purpose])
    made += [f"  {word}: {rule[column]}" for word, column in (("Note", "note"), ("But", "conflict")) if rule[column]]
    sources = sorted({source for row in (rule, *phases, *bands) for source in row["source_id"].split(";") if source})
    return [*made, "  Sources:", *[f"    {known.citation(source)}" for source in sources if source != "design"]]


def _jurisdiction(code: str) -> str:
    return "no country" if code == "any" else code.upper()


def _scope(rule: Mapping[str, str]) -> list[str]:
    people = {"general": "", "duffy_null": "people with Duffy-null status", "neonate": "newborns"}
    parts = [people.get(rule["population"], rule["population"]), rule["indication"].replace("_", " ")]
    made = [f"For: {', '.join(filter(None, parts))}"] if any(parts) else []
    dates = [f"{word} {rule[column]}" for word, column in (("from", "valid_from"), ("to", "valid_to")) if rule[column]]
    return [*made, f"In force: {' '.join(dates)}"] if dates else made


def _counts(rule: Mapping[str, str]) -> list[str]:
    counts = " and ".join(_line(part) for part in rule["analytes"].split(";"))
    days = f" (within {rule['baseline_days']} days before)" if rule["baseline_days"] else ""
    words = {"required": f"before the start{days}", "when_at_risk": "before the start in people at risk", "none": ""}
    made = [f"Counts: {counts}"]
    return [*made, f"First count: {words[rule['baseline']]}"] if words[rule["baseline"]] else made


def _line(analyte: str) -> str:
    return {"wbc": "white cells"}.get(analyte, analyte)


def _schedule(phases: Sequence[Mapping[str, str]]) -> list[str]:
    made = []
    for row in sorted(phases, key=lambda row: int(row["from_day"])):
        often = (
            f"every {_days(row['interval_days'])}" if row["interval_days"] else "regularly, without a fixed interval"
        )
        span = f"from day {row['from_day']}" if int(row["from_day"]) else "from the start"
        span += f" to day {row['to_day']}" if row["to_day"] else " on"
        condition = ", if there was no neutropenia so far" if row["only_if"] else ""
        extra = f" ({row['grace_days']} days of grace)" if row["grace_days"] else ""
        made.append(f"Then: {often} {span}{condition}{extra}")
    return made


def _days(text: str) -> str:
    return "day" if text == "1" else f"{text} days"


def _after(rule: Mapping[str, str]) -> list[str]:
    made = []
    if rule["restart_after_days"]:
        made.append(f"An interruption of more than {rule['restart_after_days']} days begins the schedule anew")
    if rule["after_stop_days"]:
        often = rule["after_stop_interval_days"]
        how = f", every {_days(often)}" if often else ", as before"
        made.append(f"After the last dose: counts go on for {rule['after_stop_days']} days{how}")
    if rule["after_end_count"] == "yes":
        within = f" within {rule['after_end_days']} days" if rule["after_end_days"] else ""
        made.append(f"After the end of treatment: one count{within}")
    return made


def _limits(purpose: str, bands: Sequence[Mapping[str, str]]) -> list[str]:
    titles = {
        "start": "To start",
        "continue": "During treatment",
        "resume": "To resume after an interruption",
        "restart": "To start again",
    }
    lines = [f"    {_band(row)}: {row['action'].replace('_', ' ')}. {row['statement']}" for row in bands]
    return [f"  {titles[purpose]}:", *lines] if lines else []


def _band(row: Mapping[str, str]) -> str:
    low, high = row["at_or_above"], row["below"]
    value = f"{low} to below {high}" if low and high else f"below {high}" if high else f"{low} or more" if low else ""
    fall = f"down by {row['fall_by']} within {row['fall_within_days']} days" if row["fall_by"] else ""
    return " ".join(filter(None, [_line(row["analyte"]), fall, ("to " if fall and value else "") + value]))
