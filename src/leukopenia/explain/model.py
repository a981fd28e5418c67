"""Knowledge rows -> the numbers of the score: one profile a cause, one effect for each sign of each cause.

The score is a sum of natural logarithms (nats): decision 0013 says how it is put together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from leukopenia import log_logistic
from leukopenia.contracts import Knowledge
from leukopenia.policy import Policy

LINES = ("neutrophils", "lymphocytes", "haemoglobin", "platelets")
OTHER_DRUG = "drug:other"
"""The row that stands for a drug without one."""

COMBINATION = "cond:cytotoxic-chemotherapy"
"""What several cytotoxic drugs of one cycle are together."""

UNEXPLAINED = "unexplained"
OWN = ("course", "rechallenge", "dose", "history")
"""Terms that the dates of a drug itself speak to."""

FACTORS = ("clues", *OWN)
TERMS = ("prior", "timing", "lineage", *FACTORS, "interaction")

SUGGESTS_NOTHING = ("line", "severity", "age", "course")
"""Groups of clues that bring no unrecorded condition into the line-up."""

TAU = 7.0
"""Days outside its window in which the chance of an onset falls to a third."""

MOST = 6.0
"""Nats that lying outside its window can cost a candidate."""

_NO_FREQUENCY = 0.0002


def profiles(knowledge: Knowledge, policy: Policy) -> list[dict[str, Any]]:
    """One row a cause: prior, onset distribution and what each line says.

    Returns
    -------
    list of dict
        cause_id, profile_no, kind, cause_class, log_frequency, log_background (null: only when recorded), alpha and
        beta (days; null: time says nothing), from_last_dose, after_stop_days, recovery_days, acute, acute_days,
        always, low_<line> and kept_<line> (nats), atc4.
    """
    likelihood = _lineages(knowledge)
    groups = _atc4(knowledge)
    scale = policy.number("explain.prior_scale")
    return [
        _profile(row, number, likelihood, scale, policy) | {"atc4": groups.get(row["id"], "")}
        for number, row in enumerate(cause_rows(knowledge))
        if row["lineage"] != "none"
    ]


def cause_rows(knowledge: Knowledge) -> list[Mapping[str, str]]:
    """Drugs and conditions in one order: the place of a row is its profile_no."""
    return sorted((*knowledge["causes_drugs"], *knowledge["causes_conditions"]), key=lambda row: row["id"])


def profile_of(cause: str, knowledge: Knowledge) -> int:
    """The profile_no of one cause."""
    return [row["id"] for row in cause_rows(knowledge)].index(cause)


def _profile(
    row: Mapping[str, str],
    number: int,
    likelihood: Mapping[tuple[str, str], tuple[float, float]],
    scale: float,
    policy: Policy,
) -> dict[str, Any]:
    alpha, beta = onset(row)
    background = _number(row.get("background", ""))
    made: dict[str, Any] = {
        "cause_id": row["id"],
        "profile_no": number,
        "kind": row["kind"],
        "cause_class": row["cause_class"],
        "log_frequency": scale * math.log(_number(row["frequency"]) or _NO_FREQUENCY),
        "log_background": None
        if background is None
        else scale * math.log(background * policy.number("explain.background_rate")),
        "alpha": alpha if row["kind"] == "drug" else None,
        "beta": beta if row["kind"] == "drug" else None,
        "from_last_dose": row["onset_from"] == "last_dose",
        "after_stop_days": float(row["after_stop_days"] or policy.number("explain.after_stop_days")),
        "recovery_days": max(_number(row["recovery_days_max"]) or 0.0, policy.number("explain.recovery_days")),
        "acute": row["acute"] == "yes",
        "acute_days": max(_number(row["onset_days_max"]) or 0.0, policy.number("explain.acute_days")),
        "always": row["always"] == "yes",
    }
    for line in LINES:
        low, kept = likelihood[row["lineage"], line]
        made |= {f"low_{line}": low, f"kept_{line}": kept}
    return made


def onset(row: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Median (days) and shape of the log-logistic distribution that a row's onset days describe."""
    low, middle, high = (_number(row[f"onset_days_{name}"]) for name in ("min", "median", "max"))
    return log_logistic.of_days(low, middle, high)


def _lineages(knowledge: Knowledge) -> dict[tuple[str, str], tuple[float, float]]:
    """(lineage, line) -> what a low line says, and what a line that is not low says, against the background."""
    p_low = {(row["lineage"], row["line"]): float(row["p_low"]) for row in knowledge["lineages"]}
    return {
        (lineage, line): (
            math.log(p / p_low["background", line]),
            math.log((1 - p) / (1 - p_low["background", line])),
        )
        for (lineage, line), p in p_low.items()
    }


def _atc4(knowledge: Knowledge) -> dict[str, str]:
    """The chemical subgroup of each ingredient: the first five signs of its first ATC code."""
    return {row["id"]: row["atc"].split(";")[0][:5] for row in knowledge["ingredients"] if row["atc"]}


def signs(knowledge: Knowledge) -> list[dict[str, Any]]:
    """Every sign (a clue, present or absent) that any weight speaks of: clue, state, sign_no."""
    pairs = sorted({(row["clue"], row["state"]) for row in knowledge["clue_weights"]})
    return [{"clue": clue, "state": state, "sign_no": number} for number, (clue, state) in enumerate(pairs)]


def effects(knowledge: Knowledge, policy: Policy) -> list[dict[str, Any]]:
    """What each sign says of each cause.

    Rows of clue, state, sign_no, cause_id, profile_no, factor, effect, suggests and source_id.

    A row for a group speaks for all its members. Of several, one counts: the row of the cause itself, else of its
    class, else of its lineage, else of its kind.
    """
    numbers = {(row["clue"], row["state"]): row["sign_no"] for row in signs(knowledge)}
    known = profiles(knowledge, policy)
    members = _members(knowledge, known)
    nats = _strengths(knowledge, policy)
    telling = {row["clue"] for row in knowledge["clues"] if row["group"] not in SUGGESTS_NOTHING}
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in sorted(knowledge["clue_weights"], key=lambda row: _precision(row["target"])):
        for cause, number in members.get(row["target"], ()):
            found[row["clue"], row["state"], cause] = {
                "clue": row["clue"],
                "state": row["state"],
                "sign_no": numbers[row["clue"], row["state"]],
                "cause_id": cause,
                "profile_no": number,
                "factor": row["factor"],
                "effect": _signed(row, nats),
                "suggests": row["clue"] in telling,
                "source_id": row["source_id"],
            }
    return [found[key] for key in sorted(found)]


def _precision(target: str) -> int:
    """How exactly a target is named: the later row stands in place of the earlier."""
    return {"kind": 0, "lineage": 1, "class": 2}.get(target.split(":")[0], 3)


def own_effects(knowledge: Knowledge, policy: Policy) -> dict[tuple[str, str], tuple[str, float, str]]:
    """Signs that name their cause themselves: (clue, state) -> factor, effect and source."""
    nats = _strengths(knowledge, policy)
    return {
        (row["clue"], row["state"]): (row["factor"], _signed(row, nats), row["source_id"])
        for row in knowledge["clue_weights"]
        if row["target"] == "self"
    }


def interactions(knowledge: Knowledge, policy: Policy) -> list[dict[str, Any]]:
    """cause_id, partner, effect."""
    nats = _strengths(knowledge, policy)
    return [
        {
            "cause_id": row["cause"],
            "partner": row["partner"],
            "effect": nats[row["strength"]],
        }
        for row in knowledge["interactions"]
    ]


def group_ids(knowledge: Knowledge, group: str) -> list[str]:
    """Ingredients of a group (chemotherapy, g_csf, corticosteroid)."""
    return sorted(row["id"] for row in knowledge["ingredients"] if group in row["groups"].split(";"))


def _members(knowledge: Knowledge, known: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, int]]]:
    lineage = {row["id"]: row["lineage"] for row in cause_rows(knowledge)}
    members: dict[str, list[tuple[str, int]]] = {}
    for row in known:
        cause = row["cause_id"]
        names = (cause, f"class:{row['cause_class']}", f"kind:{row['kind']}", f"lineage:{lineage[cause]}")
        for name in names:
            members.setdefault(name, []).append((cause, row["profile_no"]))
    return members


def _strengths(knowledge: Knowledge, policy: Policy) -> dict[str, float]:
    scale = policy.number("explain.clue_scale")
    return {row["strength"]: scale * float(row["nats"]) for row in knowledge["strengths"]}


def _signed(row: Mapping[str, str], nats: Mapping[str, float]) -> float:
    return nats[row["strength"]] * (1 if row["direction"] == "for" else -1)


def _number(text: str) -> float | None:
    return float(text) if text else None
