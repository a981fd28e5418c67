"""Twin of the monitor room: one person at a time, walked through in time order, from rule rows as they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plain.bands import (
    asked_for,
    asks,
    back_at,
    band_of,
    certain,
    closer,
    gravity,
    line_rows,
    own_baseline,
    watched_counts,
    weekly,
)
from plain.courses import DAY, STOPS, Person, Row, Rule, courses, day, number, stretches
from plain.schedules import after_end, answered, owed


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
    effects = {row["drug"]: int(row["effect_days"] or 0) for row in knowledge["monitoring_courses"]}
    unruled = {row["drug"] for row in knowledge["monitoring_unfound"]}
    for drug in sorted({row["ingredient"] for row in person.exposures}):
        gap, effect = gaps.get(drug, gaps["*"]), effects.get(drug, effects["*"])
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
                one = Duty(person, rule, drug, parts, phases, bands, policy, present, gap, effect)
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
        effect: int,
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
        self.watch = max(gap, effect, stop_days + gap if stop_days else 0, after + gap)
        self.effect = max(effect, stop_days)
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
        made = []
        for analyte in sorted({band["analyte"] for band in self.bands}):
            own = self.own(analyte)
            lines = watched_counts(self.person, self.effect, self.parts, self.bands, analyte, own)
            for line in lines:
                closer(line, self.share, own)
            made += lines
        return made

    def own(self, analyte: str) -> float | None:
        return own_baseline(self.person, self.parts, analyte, self.baseline_days)

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
            over = part["last"] and lapsed
            if over and (own_interval or self.rule["after_end_count"] == "yes"):
                begins.append(day(part["end"]))
            found = owed(self.person, self.rule, self.phases, part, low, self.share)
            found += after_end(self.rule, part, self.end_days)
            begins += [row["begin"] for row in found if (row.get("begin") or 0) > day(part["start"])]
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
        if row["unsure"]:
            state = "unknown"
        elif row["fulfilled"] is not None:
            state = "fulfilled"
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
        """What was in time still on the day of death is owed no more."""
        if not self.person.dead:
            return self.due_rows
        return [
            row
            for row in self.due_rows
            if row["state"] == "fulfilled" or row["kind"] == "baseline" or row["latest"] < self.until
        ]

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
        rows = [row for row in self.bands if row["purpose"] == "resume" and row["analyte"] == analyte]
        limits = [
            number(row["below"] if row["action"] in ("do_not_start", "delay_cycle") else row["at_or_above"])
            for row in rows
        ]
        known = [limit for limit in limits if limit is not None]
        limit = max(known) if known else number(band["until_at_or_above"])
        own = self.own(analyte) if any(row["or_baseline"] == "yes" for row in rows) else None
        return limit if limit is None or own is None else min(limit, own)

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
            band = band_of(before[-1], own, before, own=self.own(analyte)) if before else None
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
            ended = part["last"] and not part["going"] and part["next"] is None
            if ended and not course["end_known"] and not (self.person.dead and day(part["end"]) == self.until):
                add(part, "end_unknown", not self.person.dead)
            if not self.present:
                add(part, "no_counts_at_all_in_source", part["going"])
            if self.irregular(part):
                add(part, "no_fixed_interval", part["going"])
            if self.rule["baseline"] == "when_at_risk":
                add(part, "population_unknown", part["going"])
            relative = {band["analyte"] for band in self.bands if band["below_share"]}
            if any(self.own(analyte) is None for analyte in relative):
                add(part, "baseline_unknown", part["going"])
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
        uncovered: set[int] = set()
        for row in rows:
            if row["kind"] in ("scheduled", "follow_up") and row["state"] in ("overdue", "missed"):
                came = last + 1 if row["next_count"] is None else min(day(row["next_count"]), last + 1)
                uncovered |= set(range(max(first, row["latest"] + 1), came))
        known = self.present and bool(self.phases) and all(part["known"] and not self.irregular(part) for part in parts)
        reached = [row for row in rows if row["due"] <= self.until and row["state"] != "unknown"]
        done = [row for row in reached if row["state"] == "fulfilled"]
        return {
            "course": number,
            "source": parts[0]["course"]["source"],
            "days_on_treatment": days,
            "days_covered": days - len(uncovered) if known else None,
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
