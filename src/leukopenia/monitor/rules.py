"""Rule packs -> the small tables of the room: which rules apply, on which days counts are due, what a value asks for.

A rule and one of its drugs is a `rule_no`. Days are whole days since 1970-01-01, or since the start of treatment.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from leukopenia.contracts import Knowledge, Rows
from leukopenia.errors import UsageError
from leukopenia.policy import Policy

Row = dict[str, Any]

NEVER = 10**6
"""A day, or a number of days, that no record reaches."""

OPEN = 1e9
"""An upper limit that no count reaches."""

ANY = "any"
GENERAL = "general"
POPULATIONS = ("neonate", "duffy_null", GENERAL)
"""Who a rule is for, as far as records tell; the first that fits is taken."""

ACTIONS = {
    "stop_for_good": 1,
    "stop": 1,
    "admit": 1,
    "interrupt": 1,
    "seek_advice": 2,
    "reduce_dose": 2,
    "delay_cycle": 2,
    "repeat": 2,
    "count_more_often": 2,
    "do_not_start": 2,
    "continue": 2,
}
"""What a band may ask for, and how urgent it is to know; of two bands for one count the first in this order holds."""

CONDITIONS = ("fall_by", "lasting_minutes", "below_share")
"""How fast the line fell, how long it has been low, how far below the own baseline it is: a band asks at most one."""

STOPS = ("stop_for_good", "stop", "interrupt")
NOT_TO_START = ("do_not_start", "delay_cycle")
NO_NEUTROPENIA = "no_neutropenia_so_far"
_MOST_WEEKS = 60


@dataclass(frozen=True)
class Rules:
    """What the room is told, as rows of numbers to be brought into the engine.

    Attributes
    ----------
    duties : list of dict
        One row a `rule_no`: rule_id, drug, analytes and the numbers of the rule.
    people : list of dict
        rule_no, population, valid_from, valid_to: who it is for, and on which days.
    bands : list of dict
        One row a band of values; the lower its number, the graver.
    drugs : list of dict
        One row a drug with a rule, or known to have none: gap_days, break_days, ruled.
    phases : mapping of str to rows
        rule_id to the phases of its schedule.
    """

    duties: list[Row]
    people: list[Row]
    bands: list[Row]
    drugs: list[Row]
    phases: Mapping[str, Rows]

    @property
    def conditional(self) -> bool:
        """Whether a schedule depends on earlier counts."""
        return any(row["conditional"] for row in self.duties)

    def of_drugs(self, taken: Collection[str]) -> Rules:
        """The rules of these drugs alone."""
        duties = [row for row in self.duties if row["drug"] in taken]
        numbers = {row["rule_no"] for row in duties}
        people, bands = ([row for row in rows if row["rule_no"] in numbers] for rows in (self.people, self.bands))
        drugs = [row for row in self.drugs if row["drug"] in taken]
        return Rules(duties, people, bands, drugs, self.phases)

    @property
    def conditions(self) -> frozenset[str]:
        """What bands ask of a count beyond its level: of CONDITIONS, and `or_baseline`."""
        found = {name for name in CONDITIONS for row in self.bands if row[name] is not None}
        return frozenset(
            found | {"or_baseline" for row in self.bands if row["or_baseline"] or row["resume_or_baseline"]}
        )


def rules(knowledge: Knowledge, policy: Policy) -> Rules:
    """The rules in force, made into numbers.

    Parameters
    ----------
    knowledge : Knowledge
        Uses monitoring_rules, monitoring_phases, monitoring_thresholds, monitoring_unfound and monitoring_courses.
    policy : Policy
        monitor.jurisdiction, monitor.rules, monitor.baseline_days, monitor.after_end_days, monitor.grace_share.

    Raises
    ------
    UsageError
        No jurisdiction, or a rule of that name does not exist.
    """
    pairs = chosen(knowledge["monitoring_rules"], policy)
    phases = _by(knowledge["monitoring_phases"], "rule_id")
    thresholds = _by(knowledge["monitoring_thresholds"], "rule_id")
    courses = {row["drug"]: row for row in knowledge["monitoring_courses"]}
    gaps = {drug: int(row["gap_days"]) for drug, row in courses.items()}
    duties, bands = [], []
    for number, (rule, drug) in enumerate(pairs):
        own = thresholds.get(rule["rule_id"], ())
        course = courses.get(drug, courses["*"])
        duties.append(_duty(number, rule, drug, phases.get(rule["rule_id"], ()), own, course, policy))
        bands += [_band(number, row, own, policy) for row in own]
    bands.sort(key=_gravity)
    numbered = [row | {"band": band} for band, row in enumerate(bands)]
    people = _people([(row["rule_no"], rule, drug) for row, (rule, drug) in zip(duties, pairs, strict=True)])
    unruled = _unruled(knowledge["monitoring_unfound"], policy, {drug for _, drug in pairs})
    return Rules(duties, people, numbered, _drugs(duties, unruled, gaps), phases)


def chosen(rows: Rows, policy: Policy) -> list[tuple[Mapping[str, str], str]]:
    """The rules in force, one pair of rule and drug each.

    Those of the jurisdiction; for a drug without one those of no country (`any`); for a drug of a rule that
    monitor.rules names, the named alone.
    """
    jurisdiction = _jurisdiction(rows, policy)
    named = policy.names("monitor.rules")
    if unknown := sorted(set(named) - {row["rule_id"] for row in rows}):
        raise UsageError(
            f"There is no monitoring rule {unknown[0]!r}.", "", "leukopenia knowledge monitoring_rules lists them."
        )
    pairs = [(row, drug) for row in rows for drug in row["drugs"].split(";")]
    picked = {drug for row, drug in pairs if row["rule_id"] in named}
    own = {drug for row, drug in pairs if row["jurisdiction"] == jurisdiction}

    def holds(row: Mapping[str, str], drug: str) -> bool:
        if drug in picked:
            return row["rule_id"] in named
        return row["jurisdiction"] == (jurisdiction if drug in own else ANY)

    return [(row, drug) for row, drug in pairs if holds(row, drug)]


def _jurisdiction(rows: Rows, policy: Policy) -> str:
    wanted = policy.text("monitor.jurisdiction")
    known = sorted({row["jurisdiction"] for row in rows})
    if wanted in known:
        return wanted
    problem = f"There are no monitoring rules for {wanted!r}." if wanted else "Whose monitoring rules apply?"
    raise UsageError(problem, "", f"Choose --jurisdiction: {', '.join(known)}.")


def _by(rows: Iterable[Mapping[str, str]], column: str) -> dict[str, list[Mapping[str, str]]]:
    made: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        made.setdefault(row[column], []).append(row)
    return made


def _duty(
    number: int,
    rule: Mapping[str, str],
    drug: str,
    phases: Sequence[Mapping[str, str]],
    thresholds: Sequence[Mapping[str, str]],
    course: Mapping[str, str],
    policy: Policy,
) -> Row:
    gap, effect_days = int(course["gap_days"]), _whole(course["effect_days"], 0)
    after_end = rule["after_end_count"] == "yes"
    end_days = _whole(rule["after_end_days"], int(policy.number("monitor.after_end_days"))) if after_end else -1
    stop_days = _whole(rule["after_stop_days"], 0)
    limits = [
        float(row["below"])
        for row in thresholds
        if row["analyte"] == "neutrophils" and row["purpose"] == "continue" and row["below"] and not row["fall_by"]
    ]
    return {
        "rule_no": number,
        "rule_id": rule["rule_id"],
        "drug": drug,
        "analytes": rule["analytes"],
        "baseline": rule["baseline"],
        "baseline_days": _whole(rule["baseline_days"], int(policy.number("monitor.baseline_days"))),
        "restart_days": _whole(rule["restart_after_days"], NEVER),
        "restarts": rule["restart_after_days"] != "",
        "stop_days": stop_days,
        # Without an interval of its own the schedule goes on.
        "goes_on": stop_days > 0 and not rule["after_stop_interval_days"],
        "changes": stop_days > 0 and rule["after_stop_interval_days"] != "",
        "end_days": end_days,
        "gap_days": gap,
        # So long after the last dose a count still tells of the drug.
        "count_days": max(stop_days, effect_days),
        # So long after the end of a course somebody may still have to act.
        "watch_days": max(gap, effect_days, stop_days + gap if stop_days else 0, end_days + gap),
        "scheduled": bool(phases),
        "conditional": any(row["only_if"] == NO_NEUTROPENIA for row in phases),
        "irregular_from": min((int(row["from_day"]) for row in phases if not row["interval_days"]), default=NEVER),
        "low_below": max(limits, default=0.0),
        "rule_source": rule["source_id"],
    }


def _whole(text: str, default: int) -> int:
    return int(text) if text else default


def grace(interval: float, given: str, policy: Policy) -> int:
    """Days beyond the due day in which a count is still in time."""
    return int(given) if given else max(1, math.floor(interval * policy.number("monitor.grace_share")))


def _number(text: str, default: float | None = None) -> float | None:
    return float(text) if text else default


def _band(number: int, row: Mapping[str, str], own: Sequence[Mapping[str, str]], policy: Policy) -> Row:
    interval = _number(row["next_interval_days"])
    weeks = _whole(row["then_weeks"], 0)
    asks = row["action"] != "continue" or interval is not None or row["confirm_hours"] != "" or weeks > 0
    return {
        "rule_no": number,
        "purpose": row["purpose"],
        "analyte": row["analyte"],
        "lower": _number(row["at_or_above"], 0.0),
        "upper": _number(row["below"], OPEN),
        "fall_by": _number(row["fall_by"]),
        "fall_minutes": _minutes(row["fall_within_days"], 1440),
        "lasting_minutes": _minutes(row["lasting_days"], 1440),
        "below_share": _number(row["below_share"]),
        "action": row["action"],
        "asks": asks,
        "severity": ACTIONS[row["action"]],
        "statement": row["statement"],
        "source_id": row["source_id"],
        "follow_days": None if interval is None else math.ceil(interval),
        "follow_grace": None if interval is None else math.floor(interval * policy.number("monitor.grace_share")),
        "until": _number(row["until_at_or_above"]),
        "in_a_row": _whole(row["until_in_a_row"], 1),
        "or_baseline": row["or_baseline"] == "yes",
        "confirm_minutes": _minutes(row["confirm_hours"], 60),
        "then_weeks": weeks,
        "resume_at": _resume_at(row, own),
        "resume_or_baseline": any(other["or_baseline"] == "yes" for other in _resuming(row, own)),
    }


def _minutes(text: str, unit: int) -> int | None:
    return int(float(text) * unit) if text else None


def _resuming(row: Mapping[str, str], own: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The rows that say when a drug interrupted for this band may be given again."""
    return [other for other in own if other["purpose"] == "resume" and other["analyte"] == row["analyte"]]


def _resume_at(row: Mapping[str, str], own: Sequence[Mapping[str, str]]) -> float | None:
    """From which count on an interrupted drug may be given again; None: never, or no rule says."""
    if row["action"] != "interrupt":
        return None
    resume = [
        _number(other["below"] if other["action"] in NOT_TO_START else other["at_or_above"])
        for other in _resuming(row, own)
    ]
    return max((limit for limit in resume if limit is not None), default=_number(row["until_at_or_above"]))


def _gravity(band: Row) -> tuple[Any, ...]:
    """Graver bands first; those with a condition after the levels of the same action."""
    order = list(ACTIONS).index(band["action"])
    conditional = any(band[name] is not None for name in CONDITIONS)
    longest = -(band["lasting_minutes"] or 0)
    kind = (longest, band["below_share"] or 0.0)
    return (order, conditional, band["upper"], *kind, band["rule_no"], band["purpose"], band["analyte"])


def _people(pairs: Sequence[tuple[int, Mapping[str, str], str]]) -> list[Row]:
    """Who each rule is for: a special population has its own rules, and the general ones until those begin."""
    made = []
    for number, rule, drug in pairs:
        first, last = _day(rule["valid_from"], -NEVER), _day(rule["valid_to"], NEVER)
        for population in _populations(rule["population"]):
            special = [
                other
                for _, other, same in pairs
                if same == drug and population != GENERAL and other["population"] == population
            ]
            spans = [(first, last)] if rule["population"] == population else _before(first, last, special)
            made += [
                {"rule_no": number, "population": population, "valid_from": start, "valid_to": end}
                for start, end in spans
                if start <= end
            ]
    return made


def _populations(population: str) -> tuple[str, ...]:
    return POPULATIONS if population == GENERAL else (population,)


def _before(first: int, last: int, special: Sequence[Mapping[str, str]]) -> list[tuple[int, int]]:
    """The days of a general rule for people who have rules of their own: those before the first of these."""
    begins = min((_day(row["valid_from"], -NEVER) for row in special), default=NEVER + 1)
    return [(first, min(last, begins - 1))]


def _day(text: str, default: int) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days if text else default


def _unruled(rows: Rows, policy: Policy, ruled: set[str]) -> list[str]:
    """Drugs for which no rule was found where one looked."""
    here = (policy.text("monitor.jurisdiction"), ANY)
    return sorted({row["drug"] for row in rows if row["jurisdiction"] in here} - ruled)


def _drugs(duties: Sequence[Row], unruled: Sequence[str], gaps: Mapping[str, int]) -> list[Row]:
    """A run of exposures ends at the smallest interruption that any rule of the drug minds."""
    breaks: dict[str, int] = {}
    for row in duties:
        drug = row["drug"]
        breaks[drug] = min(breaks.get(drug, row["gap_days"]), row["restart_days"])
    made = [
        {"drug": drug, "gap_days": gaps.get(drug, gaps["*"]), "break_days": days, "ruled": True}
        for drug, days in breaks.items()
    ]
    rest = [(drug, gaps.get(drug, gaps["*"])) for drug in unruled]
    made += [{"drug": drug, "gap_days": gap, "break_days": gap, "ruled": False} for drug, gap in rest]
    return sorted(made, key=lambda row: str(row["drug"]))


def grid(made: Rules, longest: int, policy: Policy) -> list[Row]:
    """The due days of every schedule, counted from the start of treatment, as far as the longest treatment needs.

    Each due day lies one interval after the one before; the interval is that of the phase in which the earlier day
    lies (day 0: the start). Of phases that hold a day the one that began last counts. A phase under a condition is
    in force while the condition holds: `clean` is 1 for the days under it, 0 for those without, -1 where there is none.
    Rows: rule_no, clean, offset, opens (due day two before), begins (the first day of the phase, where nothing was due
    just before it), grace.
    """
    rows = []
    for duty in made.duties:
        phases = made.phases.get(duty["rule_id"], ())
        variants = ((1, True), (0, False)) if duty["conditional"] else ((-1, True),)
        for clean, with_condition in variants:
            held = [phase for phase in phases if with_condition or not phase["only_if"]]
            days = due_days(held, longest, policy)
            rows += [
                {
                    "rule_no": duty["rule_no"],
                    "clean": clean,
                    "offset": day,
                    "opens": days[place - 2][0] if place > 1 else 0,
                    "begins": begins,
                    "grace": extra,
                }
                for place, (day, extra, begins) in enumerate(days)
            ]
    return rows


def due_days(phases: Sequence[Mapping[str, str]], longest: int, policy: Policy) -> list[tuple[int, int, int | None]]:
    """Due days, grace and `begins` of one list of phases: up to two due days beyond the longest treatment."""
    made: list[tuple[int, int, int | None]] = []
    exact, beyond = 0.0, 0
    while beyond < 2:
        found = _next(phases, exact)
        if found is None:
            break
        following, interval, given = found
        begins = None if following - interval == exact else math.floor(following - interval)
        exact = following
        day = math.floor(exact)
        made.append((day, grace(interval, given, policy), begins))
        beyond += day > longest
    return made


def _next(phases: Sequence[Mapping[str, str]], day: float) -> tuple[float, float, str] | None:
    """The due day after `day`, with interval and grace; None: the schedule ends, or has no fixed interval."""
    phase = _phase(phases, day)
    if phase is None:
        return _first_after(phases, day)
    if not phase["interval_days"]:
        return _first_after(phases, day)
    interval = float(phase["interval_days"])
    following = day + interval
    if phase["to_day"] and following > float(phase["to_day"]) and _phase(phases, following) is None:
        return _first_after(phases, day)
    return following, interval, phase["grace_days"]


def _phase(phases: Sequence[Mapping[str, str]], day: float) -> Mapping[str, str] | None:
    holding = [
        phase
        for phase in phases
        if float(phase["from_day"]) <= day and (not phase["to_day"] or day < float(phase["to_day"]))
    ]
    return max(holding, key=lambda phase: float(phase["from_day"]), default=None)


def _first_after(phases: Sequence[Mapping[str, str]], day: float) -> tuple[float, float, str] | None:
    """The first due day of the next phase with an interval."""
    later = [phase for phase in phases if float(phase["from_day"]) > day and phase["interval_days"]]
    phase = min(later, key=lambda phase: float(phase["from_day"]), default=None)
    if phase is None:
        return None
    interval = float(phase["interval_days"])
    return float(phase["from_day"]) + interval, interval, phase["grace_days"]


def after_stop(made: Rules, knowledge: Knowledge, policy: Policy) -> list[Row]:
    """Due days after the last dose: rule_no, offset, opens, grace as in `grid`."""
    packs = {row["rule_id"]: row for row in knowledge["monitoring_rules"]}
    rows = []
    for duty in made.duties:
        text = packs[duty["rule_id"]]["after_stop_interval_days"]
        if not duty["stop_days"] or not text:
            continue
        interval = float(text)
        days = [math.floor(interval * n) for n in range(1, math.floor(duty["stop_days"] / interval) + 1)]
        rows += [
            {
                "rule_no": duty["rule_no"],
                "offset": day,
                "opens": days[place - 2] if place > 1 else 0,
                "grace": grace(interval, "", policy),
            }
            for place, day in enumerate(days)
        ]
    return rows


def weeks(made: Rules) -> list[Row]:
    """1, 2, ... as far as any rule goes on with weekly counts."""
    most = max((row["then_weeks"] for row in made.bands), default=0)
    return [{"week": week} for week in range(1, min(most, _MOST_WEEKS) + 1)]
