"""A hospital's own monitoring rules: read, checked cell by cell, tried on their scenarios; and rules put into words."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from leukopenia import knowledge as known
from leukopenia.contracts import Knowledge, Rows
from leukopenia.errors import KnowledgeError, UsageError
from leukopenia.monitor_pack_checks import PARTS, PURPOSES, REQUIRED, Problem, problems

_BLANK = {"population": "general", "baseline": "none", "after_end_count": "no", "kind": "practice"}
"""What a cell means that an own pack leaves out."""


@dataclass(frozen=True)
class Pack:
    """The rows of a pack by part, each with the file it stands in, and the files of its scenarios."""

    parts: Mapping[str, Rows]
    files: Mapping[str, str]
    scenarios: tuple[Path, ...]

    def problems(self) -> list[Problem]:
        """Everything that is wrong, in the order of the files."""
        return problems(self.parts, self.files)

    def added_to(self, knowledge: Knowledge) -> Knowledge:
        """The knowledge with the rules of the pack; a rule of the same name is replaced, whole.

        Raises
        ------
        KnowledgeError
            The pack has a problem: the first, and how many there are.
        """
        if wrong := self.problems():
            more = f" ({len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise KnowledgeError(f"{wrong[0]}{more}", "", "`leukopenia knowledge check` lists all.")
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
    return Pack(parts, {part: f"{path.name} ({part})" for part in parts}, scenarios)


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
            raise KnowledgeError(f"{file}: there is no column {unknown[0]!r}.", f"Seen in entry {number}.", hint)
        cells = {name: _text(row.get(name)) for name in columns}
        made.append({name: cell or (_BLANK.get(name, "") if part == "rules" else "") for name, cell in cells.items()})
    return tuple(made)


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, list):
        return ";".join(str(part) for part in cell)
    return "" if cell is None else str(cell).strip()


def try_scenarios(pack: Pack, knowledge: Knowledge) -> dict[str, list[str]]:
    """Run the scenarios of a pack: title to what is missing or not expected; an empty list: it holds.

    Raises
    ------
    KnowledgeError
        A scenario cannot be read, or names a rule that neither the pack nor the package has.
    """
    from leukopenia.monitor_scenarios import differences, load, outcomes

    scenarios = [one for path in pack.scenarios for one in load(path)]
    found = outcomes(scenarios, pack.added_to(knowledge))
    return {one.title: differences(one, found[one.title]) for one in scenarios}


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
    disputed = [row for row in knowledge["monitoring_conflicts"] if row["drug"] in rule["drugs"].split(";")]
    made += _disputed(disputed)
    sources = sorted(
        {source for row in (rule, *phases, *bands, *disputed) for source in row["source_id"].split(";") if source}
    )
    return [*made, "  Sources:", *[f"    {known.citation(source)}" for source in sources if source != "design"]]


def _disputed(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """What sources say of one topic, side by side."""
    for topic in dict.fromkeys(row["topic"] for row in rows):
        yield f"  Sources disagree, {topic}:"
        yield from (f"    {row['statement']} [{row['source_id']}]" for row in rows if row["topic"] == topic)


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
    share = f"below {float(row['below_share']):.0%} of the own baseline" if row["below_share"] else ""
    how_long = {"": "", "0": "twice in a row"}.get(row["lasting_days"], f"for {row['lasting_days']} days")
    return " ".join(
        filter(None, [_line(row["analyte"]), fall, ("to " if fall and value else "") + value, share, how_long])
    )
