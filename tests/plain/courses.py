"""Twin of `monitor.courses`: one person, the courses of a drug, and the stretches through which a rule runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

Row = dict[str, Any]
Rule = Mapping[str, str]

DAY = 1440
STOPS = ("stop_for_good", "stop", "interrupt")
GRAVITY = ["stop_for_good", "stop", "admit", "interrupt", "seek_advice", "reduce_dose", "delay_cycle"]
GRAVITY += ["repeat", "count_more_often", "do_not_start", "continue"]
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
        times = [row["start"] for row in self.exposures] + [row["minute"] for row in mine("counts")]
        self.first_record = min(time for time in times if time is not None)
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
        end_known=said,
        end_sure=said and basis != "ordered",
        reason="only_orders" if basis == "ordered" else "start_not_seen" if not seen else "" if dosed else "no_dose",
        population=population(person, course["start"]),
        source=min(row["source"] for row in course["rows"] if row["start"] == course["start"]),
    )


def start_seen(person: Person, course: Row) -> bool:
    previous = course["previous"]
    if not person.periods:
        begun = day(person.first_record) < day(course["start"]) and course["start"] - person.source_start > 30 * DAY
        return previous is not None or begun
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
