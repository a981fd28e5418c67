"""Twin of `monitor.thresholds`: one line of one course, walked through count by count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from plain.courses import DAY, GRAVITY, Person, Row, Rule, day, number


def certain(count: Row, low: float, high: float | None) -> bool:
    """Whether the true value surely lies from `low` to below `high`."""
    value, comparator = count["value"], count["comparator"]
    if comparator == "":
        return value >= low and (high is None or value < high)
    if comparator in ("<", "<="):
        under = high is None or value < high or (comparator == "<" and value == high)
        return low == 0 and under
    return high is None and value >= low


def band_of(
    count: Row, bands: Sequence[Rule], before: list[Row], here: Sequence[Row] = (), own: float | None = None
) -> Rule | None:
    """The gravest band of the rule in which a count lies.

    A speed of fall needs the counts before it, a limit that must last those of the course (`here`), and a share of the
    own baseline that baseline.
    """
    hits = []
    for band in bands:
        if not certain(count, number(band["at_or_above"]) or 0.0, number(band["below"])):
            continue
        reached = own is not None and count["comparator"] not in ("<", "<=") and count["value"] >= own
        if band["or_baseline"] == "yes" and reached:
            continue
        if band["fall_by"] and not fell(count, band, before):
            continue
        if band["lasting_days"] and not lasted(count, band, here):
            continue
        if band["below_share"] and not (own is not None and far_below(count, float(band["below_share"]) * own)):
            continue
        hits.append(band)
    return min(hits, key=gravity, default=None)


def gravity(band: Rule) -> tuple[Any, ...]:
    conditional = any(band[name] != "" for name in ("fall_by", "lasting_days", "below_share"))
    longest = -float(band["lasting_days"] or 0)
    return (
        *(GRAVITY.index(band["action"]), conditional, number(band["below"]) or 1e9),
        *(longest, float(band["below_share"] or 0)),
    )


def lasted(count: Row, band: Rule, here: Sequence[Row]) -> bool:
    """Whether every count of the course since one so long ago has been below the limit; at least one."""
    limit = float(band["below"])
    run = []
    for row in sorted(here, key=lambda row: -row["minute"]):
        if row["minute"] >= count["minute"]:
            continue
        if not certain(row, 0.0, limit):
            break
        run.append(row)
    return any(count["minute"] - row["minute"] >= float(band["lasting_days"]) * DAY for row in run)


def far_below(count: Row, limit: float) -> bool:
    if count["comparator"] in (">", ">="):
        return False
    value = round(limit - count["value"], 6)
    return value >= 0 if count["comparator"] == "<" else value > 0


def own_baseline(person: Person, parts: list[Row], analyte: str, days: int) -> float | None:
    """The last measured count before the very first dose, if that was seen."""
    first = next((part for part in parts if part["first"]), None)
    if first is None or not first["known"]:
        return None
    start = day(first["start"])
    before = [
        count["value"]
        for count in line_rows(person, analyte)
        if count["comparator"] == "" and start - days <= day(count["minute"]) <= start
    ]
    return before[-1] if before else None


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
    person: Person, effect: int, parts: list[Row], bands: Sequence[Rule], analyte: str, own_value: float | None
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
        last = max(day(part["end"]) for part in here) + effect
        stop = min((day(part["start"]) for part in following), default=10**9)
        span, going = here[0]["valid"], any(part["going"] for part in here)
        kept = []
        taken = [count for count in rows if first < day(count["minute"]) <= min(stop, day(person.until))]
        for count in taken:
            when = day(count["minute"])
            band = band_of(count, own, rows, taken, own_value)
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


def closer(rows: list[Row], share: float, own: float | None) -> None:
    """Walk one line through one course: which count asks for the next one, and where weekly counts begin."""
    holding: Rule | None = None
    weeks = back = 0
    for row in rows:
        band = row["band"]
        row["follow"] = row["weeks_from"] = None
        begins = row["inside"] and band is not None and bool(band["next_interval_days"] or int(band["then_weeks"] or 0))
        row["begins"] = begins
        if begins:
            assert band is not None
            holding, back = band, 0
            weeks = max(weeks, int(band["then_weeks"] or 0))
        elif holding is not None:
            back = back + 1 if back_at(row, until(holding, own)) else 0
            if back >= int(holding["until_in_a_row"] or 1):
                row["weeks_from"], holding, weeks = weeks, None, 0
        if holding is None:
            continue
        interval = number(band["next_interval_days"]) if band is not None else None
        interval = interval or number(holding["next_interval_days"])
        if interval:
            row["follow"] = (math.ceil(interval), math.floor(interval * share))
        if not holding["until_at_or_above"]:
            row["weeks_from"], holding, weeks = weeks, None, 0


def until(band: Rule, own: float | None) -> float:
    limit = float(band["until_at_or_above"])
    return min(limit, own) if band["or_baseline"] == "yes" and own is not None else limit


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
