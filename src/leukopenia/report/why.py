"""A cause in words: what speaks for it, what against, how it was tried, and where each statement comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from leukopenia.contracts import Knowledge

Row = Mapping[str, Any]

DAY = 1440
UNEXPLAINED = "unexplained"
TERMS = {
    "prior": "how usual",
    "timing": "timing",
    "lineage": "which lines",
    "clues": "signs",
    "course": "course",
    "rechallenge": "given again",
    "dose": "dose",
    "history": "history",
    "interaction": "together",
}
"""The terms of the score, each with the words over its column."""

_SILENT = 0.05
"""Nats below which a term is not worth a line."""

_OWN = ("design",)
"""The source of what is a judgement of this project."""

_ON_RECORD = ("exposure", "combination", "recorded")

_LINES = {
    "all": "several lines",
    "pancytopenia": "all lines",
    "neutrophil": "the neutrophils",
    "lymphocyte": "the lymphocytes",
}


@dataclass(frozen=True)
class Reason:
    """One statement for (effect above 0) or against a cause.

    Parameters
    ----------
    term : str
        The term of the score: prior, timing, lineage, clues, course, rechallenge, dose, history or interaction.
    text : str
        The statement.
    effect : float
        Nats.
    clue, state : str
        Row of clues.csv and present or absent; empty for terms that are no clue.
    minute : int or None
        When it was seen.
    source, row_id : str
        The row of the records behind it.
    source_ids : tuple of str
        Published sources.
    """

    term: str
    text: str
    effect: float
    clue: str = ""
    state: str = ""
    minute: int | None = None
    source: str = ""
    row_id: str = ""
    source_ids: tuple[str, ...] = ()


class Words:
    """The knowledge that puts a cause into words."""

    def __init__(self, knowledge: Knowledge) -> None:
        rows = (*knowledge["causes_drugs"], *knowledge["causes_conditions"])
        self.causes = {row["id"]: row for row in rows}
        self.clues = {row["clue"]: row for row in knowledge["clues"]}
        self._interactions = {(row["cause"], row["partner"]): row for row in knowledge["interactions"]}
        self._own = {row["clue"]: row["source_id"] for row in knowledge["clue_weights"] if row["target"] == "self"}

    def name(self, cause_id: str) -> str:
        """The plain name of a cause."""
        if cause_id == UNEXPLAINED:
            return "unexplained by what is on record"
        return self.causes.get(cause_id, {}).get("name") or cause_id.partition(":")[2].replace("-", " ")

    def sources(self, clue: str) -> tuple[str, ...]:
        """The sources of a sign that names its cause itself, such as a drug begun after the fall."""
        return split(self._own.get(clue, ""))

    def reasons(self, cause: Row, evidence: Iterable[Row]) -> list[Reason]:
        """Every statement about one cause of one episode: how usual it is, then the weightiest first.

        Parameters
        ----------
        cause : mapping
            A row of contracts.CAUSES.
        evidence : iterable of mapping
            Its rows of contracts.CAUSE_EVIDENCE.
        """
        row = self.causes.get(cause["cause_id"], {})
        sources = split(row.get("source_id", ""))
        made = [self._clue(one) for one in evidence]
        timed = _OWN if row.get("onset_basis") == "class" else sources
        made += [Reason("timing", _timing(cause, row), cause["timing"], source_ids=timed)]
        made += [Reason("lineage", _lineage(cause, row), cause["lineage"], source_ids=sources)]
        if cause["partner"]:
            made.append(self._partner(cause))
        audible = [one for one in made if abs(one.effect) >= _SILENT]
        audible.sort(key=lambda one: (-abs(one.effect), one.term, one.clue))
        told = cause["because"] in _ON_RECORD and row.get("frequency_basis") == "source"
        return [Reason("prior", _prior(cause, row), 0.0, source_ids=sources if told else _OWN), *audible]

    def _clue(self, row: Row) -> Reason:
        name = self.clues.get(row["clue"], {}).get("name", "") or _capital(row["clue"].replace("_", " "))
        text = name if row["state"] == "present" else f"{name}: looked for, not found"
        return Reason(
            row["factor"],
            text,
            row["effect"],
            row["clue"],
            row["state"],
            row["minute"],
            row["source"],
            row["row_id"],
            split(row["source_id"]),
        )

    def _partner(self, cause: Row) -> Reason:
        row = self._interactions.get((cause["cause_id"], cause["partner"]), {})
        other = cause["partner"]
        known = self.clues[other]["name"] if other in self.clues else self.name(other)
        told = f": {row['statement']}" if row.get("statement") else ""
        sources = split(row.get("source_id", ""))
        return Reason("interaction", f"Together with {known}{told}", cause["interaction"], source_ids=sources)


def split(source_ids: str) -> tuple[str, ...]:
    """The sources of a cell that are parted by semicolons."""
    return tuple(filter(None, source_ids.split(";")))


def times(effect: float) -> str:
    """How often an effect multiplies the odds (×), or divides them (÷)."""
    factor = math.exp(min(abs(effect), 20.0))
    return f"{'×' if effect >= 0 else '÷'} {factor:.{0 if factor >= 9.5 else 1}f}"


def percent(share: float) -> str:
    """A probability as it can be read."""
    if 0 < share < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < share < 1 else f"{share:.0%}".replace("%", " %")


def argued_against(cause: Row) -> str:
    """Why the records speak against a drug; empty where they do not."""
    reason = cause["against"]
    if reason == "recovered_while_continued":
        return "the count came back while it went on"
    if reason == "started_after_onset" and cause["start"] is not None:
        return f"begun {_days(cause['start'] - cause['onset'])} after the count was already low"
    if reason == "stopped_long_before" and cause["end"] is not None:
        return f"ended {_days(cause['onset'] - cause['end'])} before the low count"
    return str(reason).replace("_", " ")


def _days(minutes: int) -> str:
    days = round(minutes / DAY)
    if not days:
        return "less than a day"
    return f"{days} day" if days == 1 else f"{days} days"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _prior(cause: Row, row: Row) -> str:
    """How likely the cause is before anything is known of the course."""
    if cause["because"] == "suggested":
        return "Not on record; findings point to it"
    if cause["because"] == "always":
        return "Not on record; it can lie behind any low count"
    if cause["because"] == UNEXPLAINED:
        return "Some low counts have no cause on record"
    if not row:
        return "No row of knowledge names it as a cause of low counts"
    share = _share(row.get("frequency", ""))
    if row.get("frequency_basis") != "source":
        return f"No figure was found; {share} is assumed from its class"
    note = row.get("frequency_note", "")
    return f"Lowers counts in {share}: {note}" if note else f"Lowers counts in {share}"


def _share(frequency: str) -> str:
    return f"{float(frequency) * 100:.2g} %" if frequency else "an unknown share"


def _timing(cause: Row, row: Row) -> str:
    if cause["start"] is None:
        return "Its time is not known"
    if cause["start"] > cause["onset"]:
        return f"Began {_days(cause['start'] - cause['onset'])} after the first low count"
    begun = "On record" if cause["because"] == "recorded" else "Begun"
    text = f"{begun} {_days(cause['onset'] - cause['start'])} before the low count"
    if cause["end"] is not None and cause["end"] < cause["onset"]:
        text += f", ended {_days(cause['onset'] - cause['end'])} before it"
    return text + _usual(cause, row)


def usual_onset(row: Row) -> str:
    """The usual time from the drug or illness to the low count, of a row of causes; empty where none is known."""
    low, middle, high = (row.get(f"onset_days_{name}", "") for name in ("min", "median", "max"))
    span = f"{low} to {high} days" if low and high else ""
    around = f"{'most often ' if span else 'about '}day {middle}" if middle else ""
    known = ", ".join(filter(None, (span, around)))
    after = {"last_dose": " after the last dose", "start": " after the first dose", "symptoms": " into the illness"}
    basis = " (by its class)" if row.get("onset_basis") == "class" else ""
    return f"{known}{after.get(row.get('onset_from', ''), '')}{basis}" if known else ""


def _usual(cause: Row, row: Row) -> str:
    known = usual_onset(row)
    if not known:
        return ""
    doubtful = cause["timing"] < 0 and _in_range(cause, row)
    return f"; usual: {known}{'; that is in the range, but not when it is likeliest' if doubtful else ''}"


def _in_range(cause: Row, row: Row) -> bool:
    low, high = row.get("onset_days_min", ""), row.get("onset_days_max", "")
    days = (cause["onset"] - reckoned_from(cause, row)) / DAY
    return bool(low and high) and float(low) <= days <= float(high)


def reckoned_from(cause: Row, row: Row) -> int:
    """The minute from which the days to onset count: the last dose where the row says so and it was before the onset.

    Parameters
    ----------
    cause : mapping
        A row of contracts.CAUSES whose start is known.
    row : mapping
        Its row of causes_drugs or causes_conditions.
    """
    ended = cause["end"] is not None and cause["end"] <= cause["onset"]
    return int(cause["end"] if ended and row.get("onset_from") == "last_dose" else cause["start"])


def _lineage(cause: Row, row: Row) -> str:
    lines = _LINES.get(row.get("lineage", ""), "other lines")
    fits = "fit" if cause["lineage"] > 0 else "do not fit"
    return f"The lines that fell and those that did not {fits} a cause that lowers {lines}"
