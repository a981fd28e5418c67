"""What the monitor room found, in words: the worklist, who cannot be assessed, adherence, and one person's part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from leukopenia.report.facts import Facts, Monitoring, Record, Row
from leukopenia.report.words import ANALYTES, day, number, plain

ALERT_KINDS = {
    "baseline_missing": "no count before the start",
    "due": "count due",
    "overdue": "count overdue",
    "no_count_after_end": "no count after the end",
    "threshold_crossed": "limit crossed",
    "confirmation_missing": "count not repeated",
    "contraindicated_start": "started in spite of the count",
    "contraindicated_restart": "given again in spite of the count",
    "continued_in_spite_of_stop": "goes on in spite of a stop",
}
"""Kinds of alerts in words."""

NOT_ASSESSABLE = {
    "start_not_seen": "the start of treatment is not on record",
    "only_orders": "only orders, so nobody knows whether it was taken",
    "end_unknown": "nobody knows whether treatment goes on",
    "no_counts_at_all_in_source": "the source has no such counts at all",
    "no_fixed_interval": "the rule gives no fixed interval",
    "population_unknown": "whether the rule is for this person is not on record",
    "baseline_unknown": "the rule looks at the fall from the own baseline, which is not on record",
    "no_rule_found": "no rule was found",
}
"""Why a rule cannot be applied, in words."""

_DUE_KINDS = {
    "baseline": "before the start",
    "scheduled": "by the schedule",
    "follow_up": "after a count beyond a limit",
    "after_stop": "after the supply ended",
    "after_end": "after the end",
}
_DUE_STATES = {"open": "lies ahead"}
_DAY = 1440
_OWED = ("overdue", "missed")


@dataclass(frozen=True)
class Waiting:
    """One person of the worklist with the open alerts, the most urgent first."""

    patient_id: int | str
    urgency: int
    alerts: list[Row]


@dataclass(frozen=True)
class Panel:
    """The cohort's part: who waits, who cannot be assessed, how well each drug was monitored.

    `waiting` and `not_assessable` are numbers of persons; the lists are empty where small cells are redacted.
    """

    jurisdiction: str
    as_of: str
    waiting: int | str
    not_assessable: int | str
    worklist: list[Waiting]
    unassessed: list[Row]
    kinds: list[Row]
    adherence: list[Row]

    @property
    def several_sources(self) -> bool:
        """Whether the rows of adherence need their source named."""
        return len({row["source"] for row in self.adherence}) > 1


@dataclass(frozen=True)
class PersonPanel:
    """One person's part: open alerts, courses under each rule, due counts, earlier alerts, what stays open."""

    alerts: list[Row]
    courses: list[Row]
    dues: list[Row]
    earlier: list[Row]
    unassessed: list[Row]


def panel(facts: Facts, summary: Mapping[str, Any], redacted: bool) -> Panel | None:
    """The monitoring panel of the cohort; None where no jurisdiction was named.

    Parameters
    ----------
    facts : Facts
        `monitoring` is used.
    summary : mapping
        Its part ``monitoring``, disclosed where `redacted`.
    redacted : bool
        Numbers alone, no person.
    """
    found = facts.monitoring
    if found is None:
        return None
    names, told = summary.get("names", {}), summary["monitoring"]
    kinds = [{"name": ALERT_KINDS.get(row["kind"], row["kind"]), "persons": row["persons"]} for row in told["kinds"]]
    return Panel(
        found.jurisdiction,
        day(found.as_of),
        told["waiting"],
        told["not_assessable"],
        [] if redacted else worklist(found, names),
        [] if redacted else list(unassessed(found.not_assessable.to_dicts(), names)),
        kinds,
        [adherence(row, names) for row in told["by_drug"]],
    )


def worklist(found: Monitoring, names: Mapping[str, str]) -> list[Waiting]:
    """Persons with an open alert, the most urgent first, as far as their rows are at hand."""
    rows = [row for row in found.alerts.to_dicts() if row["open"]]
    people: dict[Any, list[Row]] = {}
    for row in sorted(rows, key=itemgetter("urgency", "minute", "drug", "rule_id", "kind", "analyte")):
        people.setdefault(row["patient_id"], []).append(row)
    ordered = sorted(people.items(), key=lambda one: (one[1][0]["urgency"], one[1][0]["minute"], str(one[0])))
    return [Waiting(one, rows[0]["urgency"], [alert(row, names) for row in rows]) for one, rows in ordered]


def alert(row: Row, names: Mapping[str, str]) -> Row:
    """One alert in words."""
    unit = " g/L" if row["analyte"] == "haemoglobin" else ""
    name = ANALYTES.get(row["analyte"], row["analyte"])
    value = "" if row["value"] is None else f"{name} {number(row['value'])}{unit}"
    said = f"{ALERT_KINDS.get(row['kind'], row['kind'])}{': ' * bool(value)}{value}"
    late = f", {row['days_overdue']} days" if row["days_overdue"] else ""
    return {
        "drug": plain(row["drug"], names),
        "what": said,
        "when": f"{day(row['minute'])}{late}",
        # The statement of a count that is due says no more than its kind.
        "statement": row["statement"] if row["action"] else "",
        "rule": rule(row["rule_id"]),
        "source_id": row["source_id"],
        "urgency": row["urgency"],
    }


def rule(rule_id: str) -> str:
    """The name of a rule without its prefix."""
    return rule_id.removeprefix("rule:")


def unassessed(rows: Iterable[Row], names: Mapping[str, str]) -> Iterator[Row]:
    """Persons to whom a rule cannot be applied today, and why, each drug and reason once with its rules."""
    found: dict[tuple[Any, str, str], list[str]] = {}
    for row in rows:
        if row["open"]:
            found.setdefault((row["patient_id"], row["drug"], row["reason"]), []).append(rule(row["rule_id"]))
    for (patient_id, drug, reason), rules in sorted(found.items(), key=lambda one: str(one[0])):
        said = NOT_ASSESSABLE.get(reason, reason)
        ids = ", ".join(sorted({one for one in rules if one}))
        yield {"patient_id": patient_id, "drug": plain(drug, names), "why": said, "rules": ids}


def adherence(row: Row, names: Mapping[str, str]) -> Row:
    """How well one drug was monitored under one rule; shares are left out where they are not known or redacted."""
    covered, rate = row["covered"], row["alerts_per_100_months"]
    return {
        **row,
        "drug": plain(row["drug"], names),
        "rule": rule(row["rule_id"]),
        "covered": f"{covered:.0%}" if isinstance(covered, float) else "–",
        "rate": f"{rate:.1f}" if isinstance(rate, float) else "–",
    }


def person_panel(record: Record, names: Mapping[str, str]) -> PersonPanel | None:
    """The monitoring of one person; None where no drug of theirs is monitored."""
    found = record.monitored
    if not (found.courses or found.alerts or found.not_assessable):
        return None
    ordered = sorted(found.alerts, key=itemgetter("urgency", "minute", "drug", "rule_id"))
    return PersonPanel(
        [alert(row, names) for row in ordered if row["open"]],
        [made for course in found.courses for made in _course(course, found.due_counts, names)],
        [_due(row, names) for row in found.due_counts],
        [alert(row, names) for row in found.alerts if not row["open"]],
        list(unassessed(found.not_assessable, names)),
    )


def _course(course: Row, dues: list[Row], names: Mapping[str, str]) -> Iterator[Row]:
    """A course under each rule that asks for counts, or by itself where none does."""
    key = ("drug", "course")
    own = [row for row in dues if all(row[name] == course[name] for name in key)]
    for rule_id in sorted({row["rule_id"] for row in own}) or [""]:
        states = [due_state(row) for row in own if row["rule_id"] == rule_id]
        ahead = [row["due"] for row in own if row["rule_id"] == rule_id and row["state"] in ("open", "due")]
        yield {
            "drug": plain(course["drug"], names),
            "start": day(course["start"]) if course["start_known"] else f"before {day(course['start'])}",
            "end": "goes on" if course["ongoing_at"] else day(course["end"]),
            "basis": course["basis"],
            "rule": rule(rule_id),
            "taken": states.count("taken"),
            "late": states.count("late"),
            "missed": states.count("missed"),
            "unsure": states.count("unsure"),
            "next": day(min(ahead)) if ahead else "",
        }


def due_state(row: Row) -> str:
    """Of one due count: taken, late (in time, but after the due day), missed, ahead or unsure."""
    if row["state"] == "fulfilled":
        return "late" if row["fulfilled"] // _DAY > row["due"] // _DAY else "taken"
    if row["state"] in _OWED:
        return "missed"
    return "unsure" if row["state"] == "unknown" else "ahead"


def _due(row: Row, names: Mapping[str, str]) -> Row:
    taken = "" if row["fulfilled"] is None else f" {day(row['fulfilled'])}"
    return {
        "drug": plain(row["drug"], names),
        "rule": rule(row["rule_id"]),
        "due": day(row["due"]),
        "latest": day(row["latest"]),
        "why": _DUE_KINDS.get(row["kind"], row["kind"]),
        "state": f"{_DUE_STATES.get(row['state'], row['state'])}{taken}",
        "owed": row["state"] in _OWED,
    }
