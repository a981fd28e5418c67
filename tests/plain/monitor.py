"""Twin of the monitor room: one person at a time, walked through in time order, from rule rows as they are written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

Row = dict[str, Any]
Rule = Mapping[str, str]

DAY = 1440
STOPS = ("stop_for_good", "stop", "interrupt")
GRAVITY = ["stop_for_good", "stop", "admit", "interrupt", "seek_advice", "repeat", "reduce_dose", "delay_cycle"]
GRAVITY += ["count_more_often", "do_not_start", "continue"]
BASES = ("administered", "dispensed", "stated", "ordered")


class Person:
    """What is known of one person on one day."""

    def __init__(self, tables: Mapping[str, list[Row]], patient: Any, as_of: int, source_start: int) -> None:
        def mine(name: str) -> list[Row]:
            return [row for row in tables[name] if row["patient_id"] == patient]

        self.id = patient
        self.as_of, self.source_start = as_of, source_start
        row = next(iter(mine("patients")), {})
        death = row.get("death")
        self.dead = death is not None and death <= as_of
        self.until: int = death if death is not None and death < as_of else as_of
        self.birth = row.get("birth") if row.get("birth_precision") in ("minute", "day") else None
        self.duffy = bool(row.get("duffy_null"))
        self.exposures = mine("exposures")
        self.periods = mine("observation_periods")
        self.counts = [
            count
            for count in mine("counts")
            if count["time_precision"] in ("minute", "day") and count["minute"] <= as_of
        ]


def day(minute: int) -> int:
    return minute // DAY


def number(text: str) -> float | None:
    return float(text) if text else None


def iso(text: str, default: int) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days if text else default


# Courses


def courses(person: Person, drug: str, gap: int) -> list[Row]:
    rows = []
    for exposure in sorted((e for e in person.exposures if e["ingredient"] == drug), key=lambda e: e["start"]):
        if exposure["start"] > person.until:
            continue
        start, end = exposure["start"], exposure["end"]
        said = end is not None and (end != start or exposure["status"] == "administered")
        rows.append(exposure | {"end": min(end, person.until) if said else start, "said": said})
    made: list[Row] = []
    for row in rows:
        if not made or day(row["start"]) - day(made[-1]["end"]) > gap:
            made.append({"rows": [], "end": row["end"], "start": row["start"], "previous": made[-1] if made else None})
        made[-1]["rows"].append(row)
        made[-1]["end"] = max(made[-1]["end"], row["end"])
    for place, course in enumerate(made):
        described(person, course, place, gap, last=place == len(made) - 1)
    return made


def described(person: Person, course: Row, place: int, gap: int, last: bool) -> None:
    basis = min((row["status"] for row in course["rows"]), key=BASES.index)
    seen = start_seen(person, course)
    said = any(row["said"] for row in course["rows"] if row["end"] == course["end"])
    dosed = any(row["dose"] is not None for row in course["rows"])
    course.update(
        number=place + 1,
        ongoing=last and not person.dead and day(person.until) <= day(course["end"]) + gap,
        basis=basis,
        start_known=seen and basis != "ordered",
        end_known=said and basis != "ordered",
        reason="only_orders" if basis == "ordered" else "start_not_seen" if not seen else "" if dosed else "no_dose",
        population=population(person, course["start"]),
    )


def start_seen(person: Person, course: Row) -> bool:
    previous = course["previous"]
    if not person.periods:
        return previous is not None or course["start"] - person.source_start > 30 * DAY
    return any(
        period["start"] <= course["start"]
        and (period["end"] is None or course["start"] <= period["end"])
        and (
            course["start"] - period["start"] > 30 * DAY
            or (previous is not None and previous["end"] >= period["start"])
        )
        for period in person.periods
    )


def population(person: Person, start: int) -> str:
    if person.birth is not None and day(start) - day(person.birth) <= 28:
        return "neonate"
    return "duffy_null" if person.duffy else "general"


def validity(rule: Rule, drug: str, who: str, rules: Sequence[Rule]) -> tuple[int, int] | None:
    first, last = iso(rule["valid_from"], -(10**6)), iso(rule["valid_to"], 10**6)
    if rule["population"] == who:
        return first, last
    if rule["population"] != "general":
        return None
    special = [other for other in rules if drug in other["drugs"].split(";") and other["population"] == who]
    for other in special:
        last = min(last, iso(other["valid_from"], -(10**6)) - 1)
    return (first, last) if first <= last else None


def runs(made: list[Row], breaks: int) -> list[Row]:
    """Exposures without an interruption of more than so many days."""
    found: list[Row] = []
    end: int | None = None
    for course in made:
        for row in course["rows"]:
            interruption = None if end is None else day(row["start"]) - day(end)
            first = row is course["rows"][0]
            if first or (interruption is not None and interruption > breaks):
                found.append({"course": course, "start": row["start"], "end": row["end"], "interruption": interruption})
                found[-1]["first"] = first
            found[-1]["end"] = max(found[-1]["end"], row["end"])
            end = row["end"] if end is None else max(end, row["end"])
    return found


def stretches(person: Person, rule: Rule, drug: str, made: list[Row], rules: Sequence[Rule], breaks: int) -> list[Row]:
    """The parts of the courses through which the phases of a rule run."""
    restart = int(rule["restart_after_days"]) if rule["restart_after_days"] else None
    found: list[Row] = []
    for run in runs(made, breaks):
        span = validity(rule, drug, run["course"]["population"], rules)
        if span is None:
            continue
        before = found[-1] if found else None
        anew = run["first"] if restart is None else run["interruption"] is None or run["interruption"] > restart
        fresh = before is None or anew
        if fresh or before is None or before["course"] is not run["course"]:
            begun = before is None or fresh
            found.append(
                {
                    "course": run["course"],
                    "start": run["start"],
                    "end": run["end"],
                    "fresh": fresh,
                    "first": before is None,
                    "anchor": day(run["start"]) if begun else before["anchor"],
                    "known": (run["course"]["start_known"] if run["first"] else True) if begun else before["known"],
                    "valid": span,
                }
            )
        found[-1]["end"] = max(found[-1]["end"], run["end"])
    for one, following in zip(found, [*found[1:], None], strict=False):
        one["next"] = None if following is None else day(following["start"])
        one["last"] = following is None or following["course"] is not one["course"]
        one["going"] = one["last"] and one["course"]["ongoing"]
    in_force = [one for one in found if one["valid"][0] <= day(person.until) and one["valid"][1] >= day(one["start"])]
    return in_force


# Schedules


def schedule(phases: Sequence[Rule], until: int, share: float) -> list[tuple[int, int]]:
    """Due days from the start, with their grace: each one interval after the one before."""
    made: list[tuple[int, int]] = []
    place = 0.0
    while place <= until:
        here = [phase for phase in phases if float(phase["from_day"]) <= place]
        here = [phase for phase in here if not phase["to_day"] or place < float(phase["to_day"])]
        phase = here[-1] if here else None
        following = None
        if phase is not None and phase["interval_days"]:
            following = place + float(phase["interval_days"])
            inside = not phase["to_day"] or following <= float(phase["to_day"])
            covered = any(
                float(other["from_day"]) <= following and (not other["to_day"] or following < float(other["to_day"]))
                for other in phases
            )
            if not inside and not covered:
                following = None
        if following is None:
            later = [other for other in phases if float(other["from_day"]) > place and other["interval_days"]]
            if not later:
                break
            phase = later[0]
            following = float(phase["from_day"]) + float(phase["interval_days"])
        assert phase is not None
        extra = phase["grace_days"] or max(1, math.floor(float(phase["interval_days"]) * share))
        made.append((math.floor(following), int(extra)))
        place = following
    return made


def owed(person: Person, rule: Rule, phases: Sequence[Rule], part: Row, low: int | None, share: float) -> list[Row]:
    """The due dates of one stretch, without baselines."""
    ordered = sorted(phases, key=lambda phase: float(phase["from_day"]))
    start, end, until = day(part["start"]), day(part["end"]), day(person.until)
    stop_days = int(rule["after_stop_days"] or 0)
    own_interval = stop_days > 0 and rule["after_stop_interval_days"] != ""
    goes_on = stop_days > 0 and not own_interval
    lapsed = not part["going"] or (own_interval and end < until)
    last_day = end + stop_days if part["last"] and goes_on and not person.dead else end
    found: list[Row] = []
    variants = [(ordered, None)]
    if any(phase["only_if"] for phase in ordered):
        variants = [(ordered, True), ([phase for phase in ordered if not phase["only_if"]], False)]
    for held, clean in variants:
        days = schedule(held, until - part["anchor"] + 2000, share)
        for place, (offset, extra) in enumerate(days):
            due = part["anchor"] + offset
            so_far = low is None or due <= low
            if clean is not None and clean != so_far:
                continue
            ahead = place < 2 or part["anchor"] + days[place - 2][0] <= until
            if due <= start or not ahead or (lapsed and due > last_day):
                continue
            after = lapsed and due > end
            unsure = not part["known"] or (after and not part["course"]["end_known"])
            closed = lapsed and due + extra > last_day and not after
            kind = "after_stop" if after else "scheduled"
            found.append(
                {"due": due, "latest": due + extra, "at": due, "kind": kind, "unsure": unsure, "closed": closed}
            )
    over = part["last"] and lapsed and not person.dead
    if over and own_interval:
        interval = float(rule["after_stop_interval_days"])
        days = [math.floor(interval * n) for n in range(1, math.floor(stop_days / interval) + 1)]
        extra = max(1, math.floor(interval * share))
        for place, offset in enumerate(days):
            due = end + offset
            if place < 2 or end + days[place - 2] <= until:
                found.append({"due": due, "latest": due + extra, "at": due, "kind": "after_stop", "closed": False})
                found[-1]["unsure"] = not part["course"]["end_known"]
    kept = [row for row in found if part["next"] is None or row["due"] < part["next"]]
    return [row for row in kept if part["valid"][0] <= row["due"] <= part["valid"][1]]


def after_end(person: Person, rule: Rule, part: Row, default: int) -> list[Row]:
    end = day(part["end"])
    if rule["after_end_count"] != "yes" or not part["last"] or part["going"] or person.dead:
        return []
    if not part["valid"][0] <= end <= part["valid"][1]:
        return []
    due = end + int(rule["after_end_days"] or default)
    if part["next"] is not None and part["next"] <= due:
        due = part["next"] - 1
    if part["next"] is not None and part["next"] <= end + 1:
        return []
    unsure = not part["course"]["end_known"]
    return [{"due": due, "latest": due, "at": due, "kind": "after_end", "unsure": unsure, "closed": False}]


def fulfil(rows: list[Row], begins: list[int], draws: list[int]) -> None:
    """Each count fulfils the earliest due date still open whose window holds it.

    A window begins after the due date before, or the first day of the stretch (`begins`), and ends with the grace, at
    the latest with the next due date or first day.
    """
    rows.sort(key=lambda row: row["at"])
    marks = sorted({*(row["at"] for row in rows), *begins})
    for row in rows:
        earlier = [mark for mark in marks if mark < row["at"]]
        later = [mark for mark in marks if mark > row["at"]]
        ends = [row["at"]] if row["at"] in begins else [row["latest"], *later[:1]]
        row["window"] = (earlier[-1] if earlier else -(10**9), min(ends))
        row["fulfilled"] = None
    for minute in draws:
        fitting = [row for row in rows if row["window"][0] < day(minute) <= row["window"][1]]
        still = [row for row in fitting if row["fulfilled"] is None]
        if still:
            still[0]["fulfilled"] = minute


def answered(rows: list[Row], begins: list[int], draws: list[int]) -> list[Row]:
    """Add the next count after the time of each due date, and whether the one before is open as well."""
    fulfil(rows, begins, draws)
    marks = sorted({*(row["at"] for row in rows), *begins})
    for place, row in enumerate(rows):
        row["next_count"] = next((minute for minute in draws if day(minute) > row["at"]), None)
        before = rows[place - 1] if place else None
        apart = before is None or any(before["at"] <= mark < row["at"] and mark in begins for mark in marks)
        row["repeats"] = not apart and before is not None and before["fulfilled"] is None
    return [row for row in rows if row["fulfilled"] is not None or not row["closed"]]


# Thresholds


def certain(count: Row, low: float, high: float | None) -> bool:
    """Whether the true value surely lies from `low` to below `high`."""
    value, comparator = count["value"], count["comparator"]
    if comparator == "":
        return value >= low and (high is None or value < high)
    if comparator in ("<", "<="):
        under = high is None or value < high or (comparator == "<" and value == high)
        return low == 0 and under
    return high is None and value >= low


def band_of(count: Row, bands: Sequence[Rule], before: list[Row]) -> Rule | None:
    """The gravest band of the rule in which a count lies; a speed of fall needs the counts before it."""
    hits = []
    for band in bands:
        if not certain(count, number(band["at_or_above"]) or 0.0, number(band["below"])):
            continue
        if band["fall_by"] and not fell(count, band, before):
            continue
        hits.append(band)
    return min(hits, key=gravity, default=None)


def gravity(band: Rule) -> tuple[Any, ...]:
    return GRAVITY.index(band["action"]), band["fall_by"] != "", number(band["below"]) or 1e9


def fell(count: Row, band: Rule, before: list[Row]) -> bool:
    earlier = [
        row["value"]
        for row in before
        if row["comparator"] not in ("<", "<=")
        and 0 < count["minute"] - row["minute"] <= float(band["fall_within_days"]) * DAY
    ]
    return count["comparator"] not in (">", ">=") and any(
        round(value - count["value"], 6) >= float(band["fall_by"]) for value in earlier
    )


def line_rows(person: Person, analyte: str) -> list[Row]:
    return sorted((c for c in person.counts if c["analyte"] == analyte), key=lambda c: c["minute"])


def watched_counts(
    person: Person, rule: Rule, parts: list[Row], bands: Sequence[Rule], analyte: str
) -> list[list[Row]]:
    """The counts of one line in each course, with their bands; what a bound leaves open is not among them."""
    own = [band for band in bands if band["purpose"] == "continue" and band["analyte"] == analyte]
    if not own:
        return []
    rows = line_rows(person, analyte)
    tops = [float(band["below"]) for band in own if band["below"]]
    numbers = sorted({part["course"]["number"] for part in parts})
    made = []
    for place, course in enumerate(numbers):
        here = [part for part in parts if part["course"]["number"] == course]
        following = [part for part in parts if part["course"]["number"] in numbers[place + 1 : place + 2]]
        first = min(day(part["start"]) for part in here)
        last = max(day(part["end"]) for part in here) + int(rule["after_stop_days"] or 0)
        stop = min((day(part["start"]) for part in following), default=10**9)
        span, going = here[0]["valid"], any(part["going"] for part in here)
        kept = []
        for count in rows:
            when = day(count["minute"])
            if not first < when <= min(stop, day(person.until)):
                continue
            band = band_of(count, own, rows)
            above = count["comparator"] in (">", ">=") and count["value"] >= max(tops, default=0.0)
            if band is None and count["comparator"] != "" and not above:
                continue
            inside = (when <= last or going) and span[0] <= when <= span[1]
            kept.append(count | {"band": band, "inside": inside, "course": course, "day": when})
        made.append(kept)
    return made


def asks(band: Rule | None) -> bool:
    if band is None:
        return False
    more = band["next_interval_days"] or band["confirm_hours"] or int(band["then_weeks"] or 0)
    return band["action"] != "continue" or bool(more)


def closer(rows: list[Row], share: float) -> None:
    """Walk one line through one course: which count asks for the next one, and where weekly counts begin."""
    holding: Rule | None = None
    weeks = 0
    for row in rows:
        band = row["band"]
        row["follow"] = row["weeks_from"] = None
        begins = row["inside"] and band is not None and bool(band["next_interval_days"] or int(band["then_weeks"] or 0))
        row["begins"] = begins
        if begins:
            assert band is not None
            holding = band
            weeks = max(weeks, int(band["then_weeks"] or 0))
        elif holding is not None and back_at(row, float(holding["until_at_or_above"])):
            row["weeks_from"], holding, weeks = weeks, None, 0
        if holding is None:
            continue
        interval = number(band["next_interval_days"]) if band is not None else None
        interval = interval or number(holding["next_interval_days"])
        if interval:
            row["follow"] = (math.ceil(interval), math.floor(interval * share))
        if not holding["until_at_or_above"]:
            row["weeks_from"], holding, weeks = weeks, None, 0


def back_at(row: Row, limit: float) -> bool:
    return row["comparator"] not in ("<", "<=") and bool(row["value"] >= limit)


def asked_for(person: Person, lines: list[list[Row]], draws: list[int]) -> list[Row]:
    """The next counts that bands ask for; of several for one due date the latest decides."""
    wanted: dict[tuple[int, int], tuple[int, int]] = {}
    for row in (row for line in lines for row in line if row["follow"]):
        due = row["day"] + row["follow"][0]
        key = row["course"], row["minute"]
        before = wanted.get(key, (10**9, 10**9))
        wanted[key] = min(before[0], due), min(before[1], due + row["follow"][1])
    made: dict[tuple[int, int], Row] = {}
    for (course, minute), (due, latest) in sorted(wanted.items()):
        following = next((draw for draw in draws if draw > minute), None)
        in_time = following is not None and day(following) <= latest
        made[course, due] = {
            "course": course,
            "due": due,
            "latest": latest,
            "kind": "follow_up",
            "fulfilled": following if in_time else None,
            "next_count": following,
            "repeats": False,
            "unsure": False,
        }
    return list(made.values())


def weekly(person: Person, lines: list[list[Row]]) -> tuple[list[Row], list[int]]:
    """Weekly counts after a spell of closer ones, until the next spell begins; and the days on which they begin."""
    if person.dead:
        return [], []
    made: dict[tuple[int, int], Row] = {}
    begins = []
    for line in lines:
        turns = [row for row in line if row["begins"] or row["weeks_from"]]
        for row, following in zip(turns, [*turns[1:], None], strict=False):
            if not row["weeks_from"]:
                continue
            begins.append(row["day"])
            for week in range(1, row["weeks_from"] + 1):
                due = row["day"] + 7 * week
                if due <= day(person.until) + 14 and (following is None or due <= following["day"]):
                    facts = {"latest": due + 1, "at": due, "kind": "follow_up", "unsure": False, "closed": False}
                    made[row["course"], due] = {"course": row["course"], "due": due, **facts}
    return list(made.values()), begins


# The whole


def monitored(
    tables: Mapping[str, list[Row]], knowledge: Mapping[str, Sequence[Rule]], policy: Mapping[str, str], as_of: int
) -> dict[str, list[Row]]:
    """Every table of the room. All rules of `knowledge` are in force."""
    times = [row["start"] for row in tables["exposures"]] + [row["minute"] for row in tables["counts"]]
    made: dict[str, list[Row]] = {
        name: [] for name in ("courses", "due_counts", "alerts", "not_assessable", "coverage")
    }
    counted = {row["analyte"] for row in tables["counts"]}
    for patient in sorted({row["patient_id"] for row in tables["exposures"]}):
        person = Person(tables, patient, as_of, min(times, default=0))
        of_person(person, knowledge, policy, counted, made)
    return made


def of_person(
    person: Person,
    knowledge: Mapping[str, Sequence[Rule]],
    policy: Mapping[str, str],
    counted: set[str],
    made: dict[str, list[Row]],
) -> None:
    rules = knowledge["monitoring_rules"]
    gaps = {row["drug"]: int(row["gap_days"]) for row in knowledge["monitoring_courses"]}
    unruled = {row["drug"] for row in knowledge["monitoring_unfound"]}
    for drug in sorted({row["ingredient"] for row in person.exposures}):
        gap = gaps.get(drug, gaps["*"])
        found = courses(person, drug, gap)
        ruled = [rule for rule in rules if drug in rule["drugs"].split(";")]
        key = {"patient_id": person.id, "drug": drug}
        if not ruled:
            made["not_assessable"] += [
                {**key, "rule_id": "", "course": one["number"], "reason": "no_rule_found", "open": one["ongoing"]}
                for one in found
                if drug in unruled
            ]
            continue
        made["courses"] += [key | course_row(one) for one in found]
        restarts = [int(rule["restart_after_days"]) for rule in ruled if rule["restart_after_days"]]
        for rule in ruled:
            parts = stretches(person, rule, drug, found, rules, min([gap, *restarts]))
            bands = [row for row in knowledge["monitoring_thresholds"] if row["rule_id"] == rule["rule_id"]]
            phases = [row for row in knowledge["monitoring_phases"] if row["rule_id"] == rule["rule_id"]]
            if rule["population"] == "neonate" and person.birth is None:
                made["not_assessable"] += [
                    {**key, "rule_id": rule["rule_id"], "course": one["number"], "reason": "population_unknown"}
                    | {"open": one["ongoing"]}
                    for one in found
                ]
            if parts:
                present = set(rule["analytes"].split(";")) <= counted
                one = Duty(person, rule, drug, parts, phases, bands, policy, present, gap)
                for name, rows in one.tables().items():
                    made[name] += [{**key, "rule_id": rule["rule_id"], **row} for row in rows]


def course_row(course: Row) -> Row:
    return {
        "course": course["number"],
        "start": course["start"],
        "end": course["end"],
        "ongoing_at": course["ongoing"],
        **{name: course[name] for name in ("start_known", "end_known", "basis", "reason")},
    }


class Duty:
    """One person, one rule, one drug."""

    def __init__(
        self,
        person: Person,
        rule: Rule,
        drug: str,
        parts: list[Row],
        phases: Sequence[Rule],
        bands: Sequence[Rule],
        policy: Mapping[str, str],
        present: bool,
        gap: int,
    ) -> None:
        self.person, self.rule, self.drug, self.parts, self.phases, self.bands = (
            person,
            rule,
            drug,
            parts,
            phases,
            bands,
        )
        self.present, self.gap = present, gap
        self.share = float(policy["monitor.grace_share"])
        self.baseline_days = int(rule["baseline_days"] or policy["monitor.baseline_days"])
        self.end_days = int(policy["monitor.after_end_days"])
        stop_days = int(rule["after_stop_days"] or 0)
        after = int(rule["after_end_days"] or self.end_days) if rule["after_end_count"] == "yes" else -1
        self.watch = max(gap, stop_days + gap if stop_days else 0, after + gap)
        self.until = day(person.until)
        self.draws = self._draws()
        self.lines = self._lines()
        self.due_rows = self._due_rows()

    def _draws(self) -> list[int]:
        times = [
            {c["minute"] for c in self.person.counts if c["analyte"] == line and c["derivation"] != "bounded_by_wbc"}
            for line in self.rule["analytes"].split(";")
        ]
        return sorted(set.intersection(*times))

    def _lines(self) -> list[list[Row]]:
        lines = []
        for analyte in sorted({band["analyte"] for band in self.bands}):
            lines += watched_counts(self.person, self.rule, self.parts, self.bands, analyte)
        for line in lines:
            closer(line, self.share)
        return lines

    def facts(self, course: int) -> Row:
        """What is known of a course on the day asked for."""
        here = [part for part in self.parts if part["course"]["number"] == course]
        to = max(day(part["end"]) for part in here)
        going = any(part["going"] for part in here)
        final = any(part["next"] is None for part in here)
        after = self.until <= to + self.watch and final
        return {"to": to, "going": going, "watched": not self.person.dead and (going or after)}

    def low_day(self, course: int) -> int | None:
        limits = [
            float(band["below"])
            for band in self.bands
            if band["analyte"] == "neutrophils"
            and band["purpose"] == "continue"
            and band["below"]
            and not band["fall_by"]
        ]
        first = min(day(part["start"]) for part in self.parts if part["course"]["number"] == course)
        days = [
            day(count["minute"])
            for count in line_rows(self.person, "neutrophils")
            if limits
            and first < day(count["minute"]) <= self.until
            and (certain(count, 0.0, max(limits)) and count["comparator"] not in (">", ">="))
        ]
        return min(days, default=None)

    def _due_rows(self) -> list[Row]:
        rows, begins = [], []
        for part in self.parts:
            number = part["course"]["number"]
            low = self.low_day(number)
            begins.append(day(part["start"]))
            own_interval = bool(self.rule["after_stop_days"] and self.rule["after_stop_interval_days"])
            lapsed = not part["going"] or (own_interval and day(part["end"]) < self.until)
            over = part["last"] and lapsed and not self.person.dead
            if over and (own_interval or self.rule["after_end_count"] == "yes"):
                begins.append(day(part["end"]))
            found = owed(self.person, self.rule, self.phases, part, low, self.share)
            found += after_end(self.person, self.rule, part, self.end_days)
            rows += [row | {"course": number, "unsure": row["unsure"] or not self.present} for row in found]
        made = answered(rows, begins, self.draws)
        made += [row for part in self.parts for row in self.baseline(part)]
        made += asked_for(self.person, self.lines, self.draws)
        weeks, starts = weekly(self.person, self.lines)
        return [self.judged(row) for row in [*made, *answered(weeks, starts, self.draws)]]

    def baseline(self, part: Row) -> list[Row]:
        start = day(part["start"])
        if not part["fresh"] or self.rule["baseline"] == "none" or not part["valid"][0] <= start <= part["valid"][1]:
            return []
        taken = [minute for minute in self.draws if start - self.baseline_days <= day(minute) <= start]
        later = [minute for minute in self.draws if day(minute) > start]
        unsure = not part["known"] or not self.present or self.rule["baseline"] == "when_at_risk"
        return [
            {
                "course": part["course"]["number"],
                "due": start,
                "latest": start,
                "kind": "baseline",
                "fulfilled": max(taken, default=None),
                "next_count": min(later, default=None),
                "repeats": False,
                "unsure": unsure,
            }
        ]

    def judged(self, row: Row) -> Row:
        facts = self.facts(row["course"])
        if row["fulfilled"] is not None:
            state = "fulfilled"
        elif row["unsure"]:
            state = "unknown"
        elif self.until < row["due"]:
            state = "open"
        elif self.until <= row["latest"] and row["kind"] != "baseline":
            state = "due"
        elif row["next_count"] is None and facts["watched"] and row["kind"] != "baseline":
            state = "overdue"
        else:
            state = "missed"
        return row | {"state": state}

    def owed_rows(self) -> list[Row]:
        return [row for row in self.due_rows if not (self.person.dead and row["state"] in ("open", "due"))]

    def tables(self) -> dict[str, list[Row]]:
        numbers = sorted({part["course"]["number"] for part in self.parts})
        due = [
            {
                **{name: row[name] for name in ("course", "kind", "fulfilled", "state")},
                "due": row["due"] * DAY,
                "latest": row["latest"] * DAY,
            }
            for row in self.owed_rows()
        ]
        return {
            "due_counts": due,
            "alerts": [*self.due_alerts(), *once([*self.threshold_alerts(), *self.start_alerts()])],
            "not_assessable": self.not_assessable(),
            "coverage": [self.coverage(number) for number in numbers],
        }

    # Alerts

    def due_alerts(self) -> list[Row]:
        made: dict[tuple[Any, ...], Row] = {}
        for row in self.owed_rows():
            facts = self.facts(row["course"])
            late = row["state"] in ("overdue", "missed")
            if row["repeats"] or not (late or row["state"] == "due"):
                continue
            kind = {"baseline": "baseline_missing", "after_end": "no_count_after_end"}.get(row["kind"], "overdue")
            kind = kind if late else "due"
            end = max(facts["to"], row["latest"])
            if row["next_count"] is not None:
                end = day(row["next_count"])
            elif facts["watched"]:
                end = self.until
            is_baseline = row["kind"] == "baseline"
            still = row["state"] in ("due", "overdue")
            still = still or (is_baseline and late and facts["going"] and row["next_count"] is None)
            days = None if is_baseline or not late else end - row["due"]
            key = row["course"], row["due"], kind
            before = made.get(key, {"days_overdue": days, "open": False})
            made[key] = {
                **{"course": row["course"], "minute": row["due"] * DAY, "kind": kind, "analyte": ""},
                "days_overdue": None if days is None else max(days, before["days_overdue"]),
                "open": still or before["open"],
                **{"value": None, "action": "", "source_id": self.rule["source_id"]},
                "urgency": {"due": 5, "overdue": 3}.get(kind, 4),
            }
        return list(made.values())

    def alert(self, row: Row, kind: str, minute: int, urgency: int, still: bool, band: Rule | None = None) -> Row:
        said = band or row["band"]
        return {
            **{"course": row["course"], "minute": minute, "kind": kind, "days_overdue": None, "urgency": urgency},
            **{"analyte": row["analyte"], "value": row["value"], "open": still},
            **{name: said[name] for name in ("action", "statement", "source_id")},
        }

    def threshold_alerts(self) -> list[Row]:
        made = []
        for line in self.lines:
            beyond = {}
            for place, row in enumerate(line):
                before = line[place - 1] if place else None
                after = line[place + 1] if place + 1 < len(line) else None
                made += self.crossed(line, place, before)
                made += self.unconfirmed(row, before, after)
                # Of several stops before the same dose the latest is told.
                beyond.update({alert["minute"]: alert for alert in self.gone_on(line, place, before, after)})
            made += beyond.values()
        return made

    def entered(self, row: Row, before: Row | None) -> bool:
        return asks(row["band"]) and row["inside"] and (before is None or before["band"] is not row["band"])

    def crossed(self, line: list[Row], place: int, before: Row | None) -> list[Row]:
        row = line[place]
        if not self.entered(row, before):
            return []
        lasts = all(later["band"] is row["band"] for later in line[place:])
        urgency = 1 if row["band"]["action"] in ("stop_for_good", "stop", "admit", "interrupt") else 2
        still = lasts and self.facts(row["course"])["watched"]
        return [self.alert(row, "threshold_crossed", row["minute"], urgency, still)]

    def deadline(self, row: Row) -> int:
        hours = float(row["band"]["confirm_hours"])
        return row["minute"] + int(hours * 60) + (DAY if row["time_precision"] == "day" else 0)

    def unconfirmed(self, row: Row, before: Row | None, after: Row | None) -> list[Row]:
        confirms = [
            one is not None and one["band"] is not None and one["band"]["confirm_hours"] for one in (row, before)
        ]
        if not confirms[0] or confirms[1] or not row["inside"]:
            return []
        deadline = self.deadline(row)
        if (after is not None and after["minute"] <= deadline) or self.person.until <= deadline:
            return []
        still = after is None and self.facts(row["course"])["watched"]
        return [self.alert(row, "confirmation_missing", deadline, 2, still)]

    def stops(self, row: Row | None) -> bool:
        return row is not None and row["band"] is not None and row["band"]["action"] in STOPS

    def is_stop(self, row: Row, before: Row | None, after: Row | None) -> bool:
        """A count that enters a band which stops the drug, and that no repeat in time has refuted."""
        if not self.entered(row, before) or not self.stops(row):
            return False
        asked = row["band"]["confirm_hours"]
        refuted = asked and after is not None and after["minute"] <= self.deadline(row) and not self.stops(after)
        return not refuted

    def resume_limit(self, band: Rule, analyte: str) -> float | None:
        if band["action"] != "interrupt":
            return None
        limits = [
            number(row["below"] if row["action"] in ("do_not_start", "delay_cycle") else row["at_or_above"])
            for row in self.bands
            if row["purpose"] == "resume" and row["analyte"] == analyte
        ]
        known = [limit for limit in limits if limit is not None]
        return max(known) if known else number(band["until_at_or_above"])

    def gone_on(self, line: list[Row], place: int, before: Row | None, after: Row | None) -> list[Row]:
        row = line[place]
        if not self.is_stop(row, before, after) or self.stops(before):
            return []
        limit = self.resume_limit(row["band"], row["analyte"])
        back = [later["minute"] for later in line[place + 1 :] if limit is not None and back_at(later, limit)]
        resumed = min(back, default=None)
        tolerated = (row["day"] + 4) * DAY
        course = next(part["course"] for part in self.parts if part["course"]["number"] == row["course"])
        facts = self.facts(row["course"])
        spans = [
            taken
            for taken in all_taken(self.person, self.drug)
            if taken["end"] >= tolerated
            and day(taken["start"]) <= facts["to"]
            and (resumed is None or (taken["start"] < resumed and tolerated < resumed))
        ]
        if not spans:
            return []
        first = min(spans, key=lambda taken: max(taken["start"], tolerated))
        since = max(first["start"], tolerated)
        still = facts["going"] and not self.person.dead and resumed is None
        barred = [
            band
            for band in self.bands
            if band["purpose"] == "resume"
            and band["analyte"] == row["analyte"]
            and band["action"] in ("do_not_start", "delay_cycle")
        ]
        assert course
        if first["start"] > tolerated and row["band"]["action"] == "interrupt" and barred:
            said = dict(min(barred, key=gravity)) | {"action": "do_not_start"}
            return [self.alert(row, "contraindicated_restart", since, 2, still, said)]
        return [self.alert(row, "continued_in_spite_of_stop", since, 1, still)]

    def start_alerts(self) -> list[Row]:
        return [
            alert
            for part in self.parts
            if part["valid"][0] <= day(part["start"]) <= part["valid"][1]
            for alert in [*self.barred_start(part), *self.after_stop_for_good(part)]
        ]

    def barred_start(self, part: Row) -> list[Row]:
        if not part["fresh"] or not part["known"]:
            return []
        barred = [band for band in self.bands if band["action"] in ("do_not_start", "delay_cycle")]
        again = not part["first"] and any(band["purpose"] == "restart" for band in barred)
        purpose = "restart" if again else "start"
        start = day(part["start"])
        made = []
        for analyte in sorted({band["analyte"] for band in barred}):
            before = [
                count
                for count in line_rows(self.person, analyte)
                if start - self.baseline_days <= day(count["minute"]) <= start
            ]
            own = [band for band in barred if band["analyte"] == analyte and band["purpose"] == purpose]
            band = band_of(before[-1], own, before) if before else None
            if band is not None:
                row = before[-1] | {"course": part["course"]["number"]}
                still = part["going"] and not self.person.dead
                made.append(self.alert(row, f"contraindicated_{purpose}", part["start"], 2, still, band))
        return made

    def after_stop_for_good(self, part: Row) -> list[Row]:
        made = []
        number = part["course"]["number"]
        for analyte in sorted({band["analyte"] for band in self.bands}):
            stops = [
                row
                for line in self.lines
                for place, row in enumerate(line)
                if row["analyte"] == analyte
                and self.is_stop(row, line[place - 1] if place else None, (line[place + 1 :] or [None])[0])
                and row["band"]["action"] == "stop_for_good"
                and row["day"] < day(part["start"])
                and (row["course"] < number or part["fresh"])
            ]
            if stops:
                row = max(stops, key=lambda row: row["minute"])
                still = part["going"] and not self.person.dead
                made.append(
                    self.alert(
                        row | {"course": number}, "contraindicated_restart", part["start"], 2, still, row["band"]
                    )
                )
        return made

    # What cannot be told, and how well the course was monitored

    def not_assessable(self) -> list[Row]:
        made: dict[tuple[int, str], bool] = {}

        def add(part: Row, reason: str, still: bool) -> None:
            key = part["course"]["number"], reason
            made[key] = made.get(key, False) or still

        for part in self.parts:
            course = part["course"]
            orders = course["basis"] == "ordered"
            if not part["known"] and (self.phases or self.rule["baseline"] != "none"):
                add(part, "only_orders" if orders else "start_not_seen", part["going"])
            ended = part["last"] and not part["going"] and part["next"] is None and not self.person.dead
            if ended and not course["end_known"] and not orders:
                add(part, "end_unknown", True)
            if not self.present:
                add(part, "no_counts_at_all_in_source", part["going"])
            if self.irregular(part):
                add(part, "no_fixed_interval", part["going"])
            if self.rule["baseline"] == "when_at_risk":
                add(part, "population_unknown", part["going"])
        return [{"course": course, "reason": reason, "open": still} for (course, reason), still in made.items()]

    def irregular(self, part: Row) -> bool:
        days = [int(phase["from_day"]) for phase in self.phases if not phase["interval_days"]]
        treated_to = self.until if part["going"] else day(part["end"])
        return bool(days) and part["anchor"] + min(days) <= treated_to

    def coverage(self, number: int) -> Row:
        parts = [part for part in self.parts if part["course"]["number"] == number]
        first = min(max(day(part["start"]), part["valid"][0]) for part in parts)
        last = max(min(self.until if part["going"] else day(part["end"]), part["valid"][1]) for part in parts)
        days = max(0, last - first + 1)
        rows = [row for row in self.owed_rows() if row["course"] == number]
        uncovered = 0
        for row in rows:
            if row["kind"] == "scheduled" and row["state"] in ("overdue", "missed") and not row["repeats"]:
                came = last + 1 if row["next_count"] is None else min(day(row["next_count"]), last + 1)
                uncovered += max(0, came - row["latest"] - 1)
        known = self.present and bool(self.phases) and all(part["known"] and not self.irregular(part) for part in parts)
        reached = [row for row in rows if row["due"] <= self.until and row["state"] != "unknown"]
        done = [row for row in reached if row["state"] == "fulfilled"]
        return {
            "course": number,
            "days_on_treatment": days,
            "days_covered": days - uncovered if known else None,
            "n_due": len(reached),
            "n_fulfilled": len(done),
            "n_late": sum(day(row["fulfilled"]) > row["due"] and row["kind"] != "after_end" for row in done),
            "n_missed": sum(row["state"] in ("overdue", "missed") for row in rows),
        }


def once(alerts: list[Row]) -> list[Row]:
    """One alert of each kind, time and line: a start may be barred twice."""
    made: dict[tuple[Any, ...], Row] = {}
    for row in sorted(alerts, key=lambda row: (row["action"], row["statement"], row["value"])):
        made[row["course"], row["minute"], row["kind"], row["analyte"]] = row
    return list(made.values())


def all_taken(person: Person, drug: str) -> list[Row]:
    made = []
    for row in person.exposures:
        if row["ingredient"] == drug and row["start"] <= person.until:
            said = row["end"] is not None and (row["end"] != row["start"] or row["status"] == "administered")
            made.append({"start": row["start"], "end": min(row["end"], person.until) if said else row["start"]})
    return made
