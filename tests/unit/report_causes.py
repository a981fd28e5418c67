"""Causes for the made-up hospital of report_facts: a few candidates for every episode of a white line."""

from __future__ import annotations

from typing import Any

DAY = 1440
Rows = list[dict[str, Any]]

_TERMS = ("prior", "timing", "lineage", "clues", "course", "rechallenge", "dose", "history", "interaction")
_FIRST = {
    "P-1042": ("drug:clozapine", -12, 46),
    "P-1077": ("drug:docetaxel", 0, 0),
}


def _cause(one: str, name: str, kind: str, **more: str) -> dict[str, str]:
    blank = dict.fromkeys(
        (
            *("lineage", "frequency", "frequency_basis", "frequency_note", "confirm_note", "onset_basis", "onset_from"),
            *("onset_days_min", "onset_days_median", "onset_days_max"),
        ),
        "",
    )
    return blank | {"id": one, "name": name, "kind": kind, "source_id": "andersohn2007;design"} | more


KNOWLEDGE: dict[str, list[dict[str, str]]] = {
    "causes_drugs": [
        _cause(
            "drug:clozapine",
            "clozapine",
            "drug",
            lineage="neutrophil",
            frequency="0.038",
            frequency_basis="source",
            frequency_note="a made-up figure",
            onset_days_min="7",
            onset_days_median="52",
            onset_days_max="365",
            onset_from="start",
        ),
        _cause(
            "drug:docetaxel",
            "docetaxel",
            "drug",
            lineage="all",
            frequency="0.3",
            frequency_basis="class",
            onset_days_min="5",
            onset_days_median="10",
            onset_days_max="21",
            onset_basis="class",
            onset_from="last_dose",
        ),
        _cause("drug:piperacillin-tazobactam", "piperacillin and tazobactam", "drug", lineage="neutrophil"),
    ],
    "causes_conditions": [
        _cause("cond:acute-viral-infection", "Acute viral infection", "condition", lineage="neutrophil"),
        _cause(
            "cond:clumps", "Clumped white cells", "artefact", lineage="neutrophil", confirm_note="film, warm sample"
        ),
        _cause("cond:duffy", "Duffy-null count", "physiologic", lineage="neutrophil"),
    ],
    "clues": [
        {"clue": "fever", "name": "Fever"},
        {"clue": "blasts", "name": "Blasts in the blood"},
        {"clue": "recovered_after_stop", "name": "The count came back after the drug was stopped"},
    ],
    "interactions": [
        {
            "cause": "drug:clozapine",
            "partner": "drug:docetaxel",
            "statement": "A made-up interaction",
            "source_id": "icsh2015",
        }
    ],
    "clue_weights": [{"clue": "started_after_onset", "target": "self", "source_id": "icsh2015;design"}],
}
"""Just what puts these candidates into words."""


def tables(episodes: Rows, start: int) -> dict[str, Rows]:
    """causes, cause_evidence, causality, disagreements, next_steps and cause_rates of these episodes.

    Parameters
    ----------
    episodes : list of dict
        Rows of contracts.EPISODES.
    start : int
        The minute from which the exposures count their days.
    """
    causes = [row for episode in episodes for row in _candidates(episode, start)]
    drugs = [row for row in causes if row["because"] == "exposure" and not row["against"]]
    return {
        "causes": causes,
        "cause_evidence": [row for one in drugs for row in _evidence(one)],
        "causality": [row for one in drugs for row in _causality(one)],
        "disagreements": [row for one in drugs for row in _disagreement(one)],
        "next_steps": [row for one in drugs for row in _steps(one)],
        "cause_rates": _rates(causes),
    }


def _candidates(episode: dict[str, Any], start: int) -> Rows:
    """The leading drug of the person, where there is one, before what can lie behind any low count."""
    drug, first, last = _FIRST.get(episode["patient_id"], ("", 0, 0))
    exposed = {"because": "exposure", "start": start + first * DAY, "end": start + last * DAY}
    late = {"because": "exposure", "start": episode["onset"] + 2 * DAY, "against": "started_after_onset"}
    found: Rows = [{"cause_id": drug, "probability": 0.9, "prior": -3.3, "timing": 0.8, "clues": -0.5, **exposed}]
    rest: Rows = [
        {"cause_id": "cond:acute-viral-infection", "probability": 0.065, "prior": -6.2, "because": "always"},
        {"cause_id": "cond:clumps", "probability": 0.02, "prior": -9.0, "because": "always"},
        {"cause_id": "cond:duffy", "probability": 0.005, "prior": -7.4, "because": "always"},
        {"cause_id": "drug:piperacillin-tazobactam", "probability": 0.006, "course": -4.6, **late},
        {"cause_id": "unexplained", "probability": 0.004, "prior": -5.5, "because": "unexplained"},
    ]
    whole = [*(found if drug else []), *rest]
    share = sum(row["probability"] for row in whole)
    return [
        dict.fromkeys(("start", "end"))
        | dict.fromkeys(_TERMS, 0.0)
        | {"score": 0.0, "against": "", "partner": "", **row, "rank": n, "probability": row["probability"] / share}
        | {name: episode[name] for name in ("episode_id", "patient_id", "onset")}
        for n, row in enumerate(whole, start=1)
    ]


def _evidence(cause: dict[str, Any]) -> Rows:
    key = {name: cause[name] for name in ("episode_id", "cause_id")}
    clue = {**key, "factor": "clues", "source_id": "icsh2015;design"}
    return [
        {**clue, "clue": "fever", "state": "present", "effect": 1.1, "minute": cause["onset"] + 2 * DAY},
        {**clue, "clue": "blasts", "state": "absent", "effect": -1.6, "minute": cause["onset"]},
    ]


def _causality(cause: dict[str, Any]) -> Rows:
    key = {name: cause[name] for name in ("episode_id", "cause_id")}
    return [
        {**key, "instrument": "naranjo", "item": "5", "answer": "yes", "points": -1, "because": "cond:duffy"},
        {**key, "instrument": "naranjo", "item": "total", "verdict": "doubtful", "points": 0},
        {**key, "instrument": "who_umc", "item": "total", "verdict": "possible", "points": None},
        {**key, "instrument": "benichou_summary", "item": "total", "verdict": "not_met", "points": None},
    ]


def _disagreement(cause: dict[str, Any]) -> Rows:
    key = {name: cause[name] for name in ("episode_id", "cause_id", "rank")}
    return [{**key, "verdict": "doubtful", "statement": "leading_drug_doubtful", "because": "other_cause"}]


def _steps(cause: dict[str, Any]) -> Rows:
    step = {"episode_id": cause["episode_id"], "step": 1, "test": "film", "name": "Film by hand", "information": 0.2}
    days = {"days_from": 0, "days_to": 3}
    return [{**step, **days, "separates": "cond:clumps;drug:clozapine", "source_id": "icsh2015"}]


def _rates(causes: Rows) -> Rows:
    made = {}
    for row in causes:
        rate = made.setdefault(
            row["cause_id"],
            {"cause_id": row["cause_id"], "candidate_in": 0, "leads_in": 0, "expected": 0.0, "persons": None},
        )
        rate["candidate_in"] += 1
        rate["leads_in"] += row["rank"] == 1
        rate["expected"] += row["probability"]
    for row in made.values():
        if row["cause_id"].startswith("drug:"):
            row |= {"persons": 9, "days_exposed": 365.25, "rate": 12.34, "rate_low": 4.56, "rate_high": 27.9}
    return list(made.values())
