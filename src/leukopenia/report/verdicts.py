"""What the instruments of drug causality conclude, in plain words, and where the ranking does not agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from leukopenia.report.why import TERMS, Words

Row = dict[str, Any]

INSTRUMENTS = {
    "naranjo": "Naranjo",
    "who_umc": "WHO-UMC",
    "benichou_summary": "Criteria of 1991 (summary)",
}
"""The instruments in the order in which they are shown."""

_VERDICTS = {"not_met": "not met"}
_COSTS = {
    "started_after_onset": "the scale takes a point off because the drug was begun after the count had fallen",
    "rechallenge_negative": "the scale takes a point off because the count did not fall when the drug was given again",
    "other_cause": "the scale takes a point off because something else could have caused it",
    "little_known": "too little is on record to answer its questions",
}
_LAGS = {
    "prior": "how seldom it lowers counts",
    "timing": "the time from the drug to the fall",
    "lineage": "which lines fell",
    "clues": "what else was found",
    "course": "what happened when it was stopped or continued",
    "rechallenge": "what happened when it was given again",
    "dose": "its dose",
    "history": "earlier counts and reactions",
    "interaction": "what it was taken together with",
}
"""Where a drug lags behind the first cause: the terms of `why.TERMS`."""


def verdicts(causality: Iterable[Row]) -> list[str]:
    """Of one drug: the verdict of each instrument, with the points where it has any."""
    totals = {row["instrument"]: row for row in causality if row["item"] == "total" and row["verdict"]}
    return [_verdict(name, totals[key]) for key, name in INSTRUMENTS.items() if key in totals]


def _verdict(name: str, row: Row) -> str:
    points = "" if row["points"] is None else f" ({row['points']})"
    return f"{name}: {_VERDICTS.get(row['verdict'], row['verdict'])}{points}"


def disagreement(row: Row, causality: Iterable[Row], words: Words) -> str:
    """Why the ranking and the Naranjo scale part ways over one drug.

    Parameters
    ----------
    row : dict
        A row of contracts.DISAGREEMENTS.
    causality : iterable of dict
        The rows of contracts.CAUSALITY of this drug.
    words : Words
        Names.
    """
    name = words.name(row["cause_id"])
    if row["statement"] == "leading_drug_doubtful":
        why = _COSTS.get(row["because"], row["because"].replace("_", " "))
        other = _other(causality, words) if row["because"] == "other_cause" else ""
        return f"{name} is cause number {row['rank']} here, but doubtful by Naranjo: {why}{other}."
    term = _LAGS.get(row["because"]) or TERMS.get(row["because"], row["because"].replace("_", " "))
    return (
        f"{name} is {row['verdict']} by Naranjo, but only number {row['rank']} here: what holds it back most is "
        f"{term}. Naranjo looks at one drug at a time and does not weigh it against the other causes."
    )


def _other(causality: Iterable[Row], words: Words) -> str:
    """What else it could be, as the fifth question of Naranjo found it."""
    found = [row["because"] for row in causality if (row["instrument"], row["item"]) == ("naranjo", "5")]
    return f" ({words.name(found[0])})" if found and ":" in found[0] else ""
