"""Twin of `explain.evidence`: what the records say beside one low count, clue by clue.

`True` is present, `False` absent, `None` unknown: nobody looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from plain.episodes import DAY, is_below

Row = dict[str, Any]
Tables = Mapping[str, list[Row]]
Knowledge = Mapping[str, Any]

NEAR = 3 * DAY
YEAR = 365 * DAY
MILD = {"neutrophils": 1.0, "wbc": 2.5, "lymphocytes": 0.8}
CHECKED = ("chemotherapy_recent", "g_csf_recent")
"""Clues whose absence from a record is itself told."""


def evidence(episode: Row, mine: Tables, knowledge: Knowledge) -> list[Row]:
    """One row a clue and cause: what was seen once is present, the earliest sight of it.

    `mine` are the tables of one person.
    """
    first: dict[tuple[str, str], Row] = {}
    for row in _rows(episode, mine, knowledge):
        key = row["clue"], row["cause"]
        if key not in first or _order(row) < _order(first[key]):
            first[key] = row
    return list(first.values())


def _order(row: Row) -> tuple[Any, ...]:
    return row["state"] != "present", row["minute"] or 0, row["source"], row["row_id"], row["signal"]


def _rows(episode: Row, mine: Tables, knowledge: Knowledge) -> Iterator[Row]:
    for clue, met in pattern(episode, mine).items():
        yield from _row(clue, met, episode["onset"])
    for criterion in knowledge["clue_criteria"]:
        if criterion["source"] in ("count", "finding"):
            yield from _measured(criterion, episode, mine)
        else:
            yield from _recorded(criterion, episode, mine, knowledge)
    for clue in CHECKED:
        yield from _row(clue, False, episode["onset"])
    for row in mine["mentions"]:
        yield {name: row[name] for name in ("clue", "cause", "state", "minute", "source", "row_id")} | {"signal": ""}


def _row(
    clue: str, met: bool | None, minute: int | None, source: str = "", row_id: Any = "", of: str = ""
) -> Iterator[Row]:
    """A row of evidence, where the clue is known; `of` is the drug, the condition or the test that it rests on."""
    if met is not None:
        yield {
            **{"clue": clue, "cause": "", "state": "present" if met else "absent", "minute": minute},
            **{"source": source, "row_id": str(row_id), "signal": of},
        }


def lines_low(episode: Row, lines: Iterable[Row]) -> dict[str, bool | None]:
    """For each line, whether any count within three days of the onset or of the nadir was low."""
    near = [row for row in lines if _is_near(row, episode) and row["is_low"] is not None]
    return {
        line: any(row["is_low"] for row in near if row["analyte"] == line)
        if any(row["analyte"] == line for row in near)
        else None
        for line in ("neutrophils", "lymphocytes", "haemoglobin", "platelets")
    }


def _is_near(row: Row, episode: Row) -> bool:
    return any(abs(row["minute"] - episode[time]) <= NEAR for time in ("onset", "nadir_minute"))


def pattern(episode: Row, mine: Tables) -> dict[str, bool | None]:
    """Clues that follow from the counts, the course and the person alone."""
    low = lines_low(episode, mine["lines"])
    neutrophils, red, platelets = low["neutrophils"], low["haemoglobin"], low["platelets"]
    return {
        "isolated_neutropenia": _all(neutrophils, _not(red), _not(platelets)),
        "isolated_lymphopenia": _all(low["lymphocytes"], _not(neutrophils)),
        "several_lines_low": _not(_all(_not(red), _not(platelets))),
        "lymphopenia": low["lymphocytes"],
        "platelets_low": platelets,
        "platelets_not_low": _not(platelets),
        "anaemia": red,
        "neutrophils_high": _high_neutrophils(episode, mine["lines"]),
        **_course(episode, mine),
        **_depth(episode),
        **_person(episode, mine["patients"]),
    }


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _all(*values: bool | None) -> bool | None:
    if any(value is False for value in values):
        return False
    return None if None in values else True


def _high_neutrophils(episode: Row, lines: list[Row]) -> bool | None:
    known = [
        row
        for row in lines
        if row["analyte"] == "neutrophils" and _is_near(row, episode) and row["minute"] <= episode["nadir_minute"]
        if None not in (row["limit_high"], row["value"])
    ]
    return any(row["value"] > row["limit_high"] for row in known) if known else None


def _course(episode: Row, mine: Tables) -> dict[str, bool | None]:
    onset, nadir = episode["onset"], episode["nadir_minute"]
    same = [row for row in mine["lines"] if row["analyte"] == episode["analyte"]]
    before = [row["value"] for row in same if onset - 60 * DAY <= row["minute"] < onset and row["value"] is not None]
    soon = [row["is_low"] for row in same if nadir < row["minute"] <= nadir + NEAR and row["is_low"] is not None]
    day = [row["value"] for row in same if nadir < row["minute"] <= nadir + DAY and row["value"] is not None]
    weeks = nadir - onset <= 60 * DAY
    normal = episode["last_not_low"]
    return {
        "halved_within_weeks": episode["nadir"] * 2 <= max(before) if before and weeks else None,
        "low_then_high": not all(soon) if soon else None,
        "rises_within_a_day": max(day) >= episode["nadir"] * 1.5 if day and episode["nadir"] is not None else None,
        "normal_before": True if normal is not None and onset - normal <= YEAR else None,
        "cyclic_troughs": _cyclic(episode, mine["episodes"]) or None,
        "stable_low_for_months": _stable(episode) if episode["chronicity"] == "chronic" else None,
    }


def _stable(episode: Row) -> bool:
    never_severe = episode["analyte"] != "neutrophils" or _below(episode, 0.5) is not True
    return never_severe and episode["n_low"] == episode["n_counts"]


def _cyclic(episode: Row, episodes: list[Row]) -> bool:
    """Three episodes in a row, each 14 to 35 days after the one before."""
    onsets = sorted(row["onset"] for row in episodes if row["analyte"] == episode["analyte"])
    steps = [14 * DAY <= after - before <= 35 * DAY for before, after in pairwise(onsets)]
    return any(one and two for one, two in pairwise(steps))


def _below(episode: Row, limit: float) -> bool | None:
    return is_below(episode["nadir"], episode["nadir_comparator"], limit)


def _depth(episode: Row) -> dict[str, bool | None]:
    granulocytes = episode["analyte"] == "neutrophils"
    return {
        "mild": _not(_below(episode, MILD[episode["analyte"]])),
        "severe": _below(episode, 0.5) if granulocytes else None,
        "profound": _below(episode, 0.1) if granulocytes else None,
    }


def _person(episode: Row, patients: list[Row]) -> dict[str, bool | None]:
    person = patients[0] if patients else {"birth": None, "duffy_null": False}
    born = person["birth"]
    days = None if born is None or born > episode["onset"] else (episode["onset"] - born) / DAY
    ages = {"newborn": (0, 28), "infant": (28, 912), "child": (912, 18 * 365), "elderly": (65 * 365, 10**9)}
    return {
        "duffy_null_recorded": True if person["duffy_null"] else None,
        **{name: None if days is None else low <= days < high for name, (low, high) in ages.items()},
    }


def _measured(criterion: Row, episode: Row, mine: Tables) -> Iterator[Row]:
    """One row a value of the signal in the window that settles the criterion."""
    sex = mine["patients"][0]["sex"] if mine["patients"] else None
    if criterion["sex"] not in ("", sex):
        return
    for row in (*map(_line, mine["lines"]), *map(_finding, mine["findings"])):
        days = (row["minute"] - episode["onset"]) / DAY
        if row["signal"] == criterion["signal"] and float(criterion["from_days"]) <= days <= float(
            criterion["to_days"]
        ):
            met = _met(criterion, row)
            yield from _row(criterion["clue"], met, row["minute"], row["source"], row["row_id"], row["signal"])


def _line(row: Row) -> Row:
    value, low, high = row["value"], row["limit_low"], row["limit_high"]
    side = "normal" if None not in (value, low, high) else ""
    if value is not None and low is not None and value < low:
        side = "low"
    elif value is not None and high is not None and value > high:
        side = "high"
    return {
        "signal": row["analyte"],
        "minute": row["minute"],
        "value": value,
        "range": side,
        "source": "",
        "row_id": "",
    }


def _finding(row: Row) -> Row:
    return {"signal": row["finding"]} | {name: row[name] for name in ("minute", "value", "range", "source", "row_id")}


def _met(criterion: Row, row: Row) -> bool | None:
    operator, value = criterion["operator"], row["value"]
    if operator.startswith("range_"):
        return row["range"] == operator.removeprefix("range_") if row["range"] else None
    if value is None:
        return None
    if operator == "present":
        return bool(value > 0)
    limit = float(criterion["limit"])
    sides = {
        "above": value > limit,
        "at_or_above": value >= limit,
        "below": value < limit,
        "at_or_below": value <= limit,
    }
    return sides[operator]


def _recorded(criterion: Row, episode: Row, mine: Tables, knowledge: Knowledge) -> Iterator[Row]:
    """A drug or condition whose span meets the window; one that is not recorded is unknown."""
    ids = {criterion["signal"]}
    if criterion["signal"].startswith("group:"):
        group = criterion["signal"].removeprefix("group:")
        ids = {row["id"] for row in knowledge["ingredients"] if group in row["groups"].split(";")}
    named = [(row, row["ingredient"]) for row in mine["exposures"]] + [
        (row, row["condition"]) for row in mine["conditions"]
    ]
    since = episode["onset"] + float(criterion["from_days"]) * DAY
    until = episode["onset"] + float(criterion["to_days"]) * DAY
    for row, signal in named:
        begun = row["start"] is None or row["start"] <= until
        gone = row["end"] is not None and row["end"] < since
        if signal in ids and begun and not gone:
            yield from _row(criterion["clue"], True, row["start"], row["source"], row["row_id"], signal)
