"""Twin of `detect.episodes`: one person's counts of one line, walked through in time order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Row = dict[str, Any]

DAY = 1440


def is_below(value: float, comparator: str, limit: float) -> bool | None:
    """Whether the true value is below a limit; None where a bound leaves it open."""
    if comparator == "":
        return value < limit
    if comparator in ("<", "<="):
        certain = value <= limit if comparator == "<" else value < limit
        return True if certain else None
    return False if value >= limit else None


def low(count: Row, policy: Mapping[str, str]) -> bool | None:
    """Low, not low, or unknown."""
    if policy["onset"] != "limit":
        grade = count["onset_grade"]
        return None if grade is None else grade >= 1
    analyte, value, comparator = count["analyte"], count["value"], count["comparator"]
    ceiling = policy.get(f"onset.{analyte}.below")
    limit = count["limit_low"]
    if limit is not None:
        return is_below(value, comparator, min(limit, float(ceiling)) if ceiling else limit)
    certain = policy.get(f"onset.without_limit.{analyte}")
    if certain and is_below(value, comparator, float(certain)):
        return True
    if ceiling and is_below(value, comparator, float(ceiling)) is False:
        return False
    return None


def recovered(count: Row, is_low: bool | None, policy: Mapping[str, str]) -> bool | None:
    """Not low, and at or above the second limit where the policy sets one."""
    second = policy.get(f"recovery.{count['analyte']}.at_least")
    if second and count["value"] < float(second):
        return False
    return None if is_low is None else not is_low


def episodes(
    rows: Iterable[Row], cycles: Iterable[tuple[Any, int]], policy: Mapping[str, str], as_of: int
) -> list[Row]:
    """Every confirmed episode: `lows`, `counts` (to the last low), `rows` (to the next episode), `recovery`."""
    lines: dict[tuple[Any, str], list[Row]] = {}
    for row in rows:
        if row["is_low"] is not None and row["minute"] <= as_of:
            lines.setdefault((row["patient_id"], row["analyte"]), []).append(row)
    starts = list(cycles)
    made = []
    for (patient, analyte), line in lines.items():
        line.sort(key=lambda row: row["minute"])
        mine = [start for one, start in starts if one == patient]
        found = _confirmed(_walk(line, mine, policy, as_of), policy)
        for number, one in enumerate(found, start=1):
            followed = number < len(found)
            made.append({"patient_id": patient, "analyte": analyte, "number": number, "followed": followed} | one)
    return made


def _confirmed(found: list[Row], policy: Mapping[str, str]) -> list[Row]:
    return [one for one in found if len(one["lows"]) >= int(policy["confirmation.counts"])]


def _walk(line: list[Row], cycles: list[int], policy: Mapping[str, str], as_of: int) -> list[Row]:
    found: list[Row] = []
    last = None
    for index, row in enumerate(line):
        if not row["is_low"]:
            continue
        recovery = None if last is None else _recovery(line, last + 1, index, cycles, policy, as_of)
        gap = last is not None and last == index - 1 and _wide(line[last], row, policy)
        if last is None or recovery is not None or (gap and _ends(line[last], row, cycles, policy)):
            before = line[index - 1] if index and not line[index - 1]["is_low"] else None
            if found:
                found[-1] |= {"recovery": recovery, "rows": line[found[-1]["first"] : index]}
            found.append({"lows": [], "before": before, "gap": False, "recovery": None, "first": index})
        elif gap:
            found[-1]["gap"] = True
        found[-1]["lows"].append(row)
        found[-1]["counts"] = line[found[-1]["first"] : index + 1]
        last = index
    if last is not None:
        recovery = _recovery(line, last + 1, len(line), cycles, policy, as_of)
        found[-1] |= {"recovery": recovery, "rows": line[found[-1]["first"] :]}
    return found


def _recovery(
    line: list[Row], first: int, end: int, cycles: list[int], policy: Mapping[str, str], as_of: int
) -> int | None:
    """The first count of a confirmed recovery among the counts between two low ones (or after the last)."""
    until = line[end]["minute"] if end < len(line) else as_of
    needed = int(policy["recovery.counts"])
    for index in range(first, end):
        run = line[index : index + needed]
        several = len(run) == needed and all(row["recovered"] for row in run)
        long = until - line[index]["minute"] >= float(policy["recovery.days"]) * DAY
        day = line[index]["minute"] // DAY
        next_cycle = [start for start in cycles if start // DAY >= day and start <= until]
        cleared = policy["recovery.before_cycle"] == "yes" and end < len(line) and bool(next_cycle)
        if line[index]["recovered"] and (several or long or cleared):
            return int(line[index]["minute"])
    return None


def _wide(one: Row, next_one: Row, policy: Mapping[str, str]) -> bool:
    return next_one["minute"] - one["minute"] > float(policy["gap.unobserved_days"]) * DAY


def _ends(one: Row, next_one: Row, cycles: list[int], policy: Mapping[str, str]) -> bool:
    if next_one["minute"] - one["minute"] > float(policy["gap.break_days"]) * DAY:
        return True
    return any(one["minute"] < start <= next_one["minute"] for start in cycles)


def described(
    episode: Row,
    severities: Iterable[Mapping[str, str]],
    standards: Iterable[str],
    policy: Mapping[str, str],
    death: int | None,
) -> Row:
    """A row of contracts.EPISODES from what `episodes` found."""
    lows, recovery = episode["lows"], episode["recovery"]
    nadir = min(lows, key=lambda row: (row["value"], row["minute"]))
    if any(row["value"] == nadir["value"] and row["comparator"] == "" for row in lows):
        # A measured count of the same value takes the sign of a bound away.
        nadir = nadir | {"comparator": ""}
    onset, last_low = lows[0]["minute"], lows[-1]["minute"]
    days = ((last_low if recovery is None else recovery) - onset) // DAY
    patient, analyte, number = (episode[name] for name in ("patient_id", "analyte", "number"))
    return {
        "episode_id": f"{patient}/{analyte}/{number}",
        "patient_id": patient,
        "analyte": analyte,
        "number": number,
        "onset": onset,
        "last_not_low": None if episode["before"] is None else episode["before"]["minute"],
        "nadir": nadir["value"],
        "nadir_comparator": nadir["comparator"],
        "nadir_minute": nadir["minute"],
        "last_low": last_low,
        "recovery": recovery,
        "state": _state(episode, death),
        "n_low": len(lows),
        "n_counts": len(episode["counts"]),
        "confirmed": len(lows) >= 2,
        "unobserved_gap": episode["gap"],
        "chronicity": "chronic" if days >= float(policy["chronic.days"]) else "acute",
        "severity": _severity(analyte, nadir, severities),
        "basis": lows[0]["limit_basis"],
        **{f"worst_{name}": _worst(lows, f"grade_{name}") for name in standards},
        "worst_at_least": nadir["comparator"] in ("<", "<="),
    }


def _state(episode: Row, death: int | None) -> str:
    if episode["recovery"] is not None:
        return "closed"
    # By death, or by a gap after which another episode began: when this one ended was not seen.
    return "censored" if death is not None or episode["followed"] else "open"


def _worst(lows: list[Row], name: str) -> int | None:
    return max((row[name] for row in lows if row[name] is not None), default=None)


def _severity(analyte: str, nadir: Row, severities: Iterable[Mapping[str, str]]) -> str:
    """The worst word whose limit the nadir is certainly below."""
    reached = [
        (float(row["below"]), row["severity"])
        for row in severities
        if row["analyte"] == analyte and is_below(nadir["value"], nadir["comparator"], float(row["below"]))
    ]
    return min(reached)[1] if reached else ""
