"""Twin of `monitor.due` and `monitor.fulfilment`: due dates step by step, each count given to the earliest it fits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from plain.courses import Person, Row, Rule, day


def schedule(phases: Sequence[Rule], until: int, share: float) -> list[tuple[int, int, int | None]]:
    """Due days from the start, with grace and, after days without any phase, the first day of the phase."""
    made: list[tuple[int, int, int | None]] = []
    place = 0.0
    while place <= until:
        here = [phase for phase in phases if float(phase["from_day"]) <= place]
        here = [phase for phase in here if not phase["to_day"] or place < float(phase["to_day"])]
        phase = here[-1] if here else None
        following = begin = None
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
            begin = int(phase["from_day"])
            following = begin + float(phase["interval_days"])
        assert phase is not None
        extra = phase["grace_days"] or max(1, math.floor(float(phase["interval_days"]) * share))
        made.append((math.floor(following), int(extra), begin))
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
    last_day = end + stop_days if part["last"] and goes_on else end
    found: list[Row] = []
    variants = [(ordered, None)]
    if any(phase["only_if"] for phase in ordered):
        variants = [(ordered, True), ([phase for phase in ordered if not phase["only_if"]], False)]
    for held, clean in variants:
        days = schedule(held, until - part["anchor"] + 2000, share)
        for place, (offset, extra, begin) in enumerate(days):
            due = part["anchor"] + offset
            so_far = low is None or due <= low
            if clean is not None and clean != so_far:
                continue
            ahead = place < 2 or part["anchor"] + days[place - 2][0] <= until
            if due <= start or not ahead or (lapsed and due > last_day):
                continue
            after = lapsed and due > end
            unsure = not part["known"] or (after and not part["course"]["end_sure"])
            closed = lapsed and due + extra > last_day and not after
            kind = "after_stop" if after else "scheduled"
            found.append(
                {"due": due, "latest": due + extra, "at": due, "kind": kind, "unsure": unsure, "closed": closed}
            )
            found[-1]["begin"] = None if begin is None else part["anchor"] + begin
    over = part["last"] and lapsed
    if over and own_interval:
        interval = float(rule["after_stop_interval_days"])
        days = [math.floor(interval * n) for n in range(1, math.floor(stop_days / interval) + 1)]
        extra = max(1, math.floor(interval * share))
        for place, offset in enumerate(days):
            due = end + offset
            if place < 2 or end + days[place - 2] <= until:
                found.append({"due": due, "latest": due + extra, "at": due, "kind": "after_stop", "closed": False})
                found[-1]["unsure"] = not part["course"]["end_sure"]
    kept = [row for row in found if part["next"] is None or row["due"] < part["next"]]
    return [row for row in kept if part["valid"][0] <= row["due"] <= part["valid"][1]]


def after_end(rule: Rule, part: Row, default: int) -> list[Row]:
    end = day(part["end"])
    if rule["after_end_count"] != "yes" or not part["last"] or part["going"]:
        return []
    if not part["valid"][0] <= end <= part["valid"][1]:
        return []
    due = end + int(rule["after_end_days"] or default)
    if part["next"] is not None and part["next"] <= due:
        due = part["next"] - 1
    if part["next"] is not None and part["next"] <= end + 1:
        return []
    unsure = not part["course"]["end_sure"]
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
