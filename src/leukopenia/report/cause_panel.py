"""The question why: for each episode the likely causes, what speaks for and against them, and what to look at next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from leukopenia.report.contributions import chart, contributions
from leukopenia.report.facts import NOT_REAL, Explanation, Record, Row
from leukopenia.report.lanes import episode_end
from leukopenia.report.verdicts import disagreement, verdicts
from leukopenia.report.why import DAY, UNEXPLAINED, Reason, Words, argued_against, percent, split, times
from leukopenia.report.words import ANALYTES, SEVERITIES, comparator, day, number

MOST_PANELS = 6
"""How many episodes of a person are explained in full; of the others the leading causes are named."""

_LEADING = 5
_NAMED = 3
_LEAST = 0.01
"""Below this probability a cause is drawn, but gets no words of its own."""

_FOR, _AGAINST = 4, 3
_TOGETHER = 7 * DAY
_BEFORE = 3 * DAY
_UNREAL = {"artefact": "A false count", "physiologic": "Cells only moved elsewhere, or a count usual for this person"}
"""Kinds of causes in which nothing is wrong with the person's supply of white cells."""

_DESIGN = "design"


@dataclass(frozen=True)
class Statement:
    """A reason as it is printed: the text, how it moves the odds, when it was seen, its sources."""

    text: str
    odds: str
    when: str
    source_ids: str


@dataclass(frozen=True)
class Candidate:
    """A leading cause in words."""

    name: str
    share: str
    usual: Statement
    supporting: list[Statement]
    opposing: list[Statement]
    verdicts: list[str]


@dataclass(frozen=True)
class Step:
    """A test to do next: which, when, and what its answer sets apart."""

    name: str
    when: str
    separates: str
    source_ids: str


@dataclass(frozen=True)
class CausePanel:
    """All that is printed of the causes of one episode."""

    heading: str
    leaders: str
    also: list[str]
    real: list[str]
    drawing: Markup
    candidates: list[Candidate]
    dismissed: list[Statement]
    disagreements: list[str]
    steps: list[Step]


@dataclass(frozen=True)
class Brief:
    """An episode with its leading causes, in a line."""

    heading: str
    leaders: str


def cause_panels(record: Record, words: Words, key: str) -> tuple[list[CausePanel], list[Brief]]:
    """The episodes of a person that have candidates: those still open first, then the most severe.

    Episodes of several lines that begin within a week and have the same leading cause share a panel.

    Parameters
    ----------
    record : Record
        The rows of one person.
    words : Words
        Puts causes into words.
    key : str
        Prefix of the ids in the SVG, unique on the page; not taken from data.

    Returns
    -------
    tuple of list
        Panels of the first episodes, and one line for each of the others.
    """
    groups = list(_groups(record))
    shown, rest = groups[:MOST_PANELS], groups[MOST_PANELS:]
    panels = [_panel(group, record, words, f"{key}-w{n}") for n, group in enumerate(shown)]
    return panels, [_brief(episode, record, words) for group in rest for episode in group]


def _groups(record: Record) -> Iterator[list[Row]]:
    """Episodes that share a panel, the first of each the most severe."""
    left = sorted((row for row in record.episodes if record.explained[row["episode_id"]].causes), key=_urgency)
    while left:
        first, others = left[0], left[1:]
        group = [first, *(row for row in others if _together(first, row, record))]
        yield group
        left = [row for row in others if row not in group]


def _urgency(episode: Row) -> tuple[bool, int, float]:
    severity = episode["severity"] if episode["severity"] in SEVERITIES else ""
    return episode["state"] != "open", SEVERITIES.index(severity), episode["nadir"]


def _together(first: Row, other: Row, record: Record) -> bool:
    near = abs(other["onset"] - first["onset"]) <= _TOGETHER and other["analyte"] != first["analyte"]
    return near and _leader(first, record) == _leader(other, record)


def _leader(episode: Row, record: Record) -> str:
    return str(record.explained[episode["episode_id"]].causes[0]["cause_id"])


def _heading(episode: Row) -> str:
    nadir = f"{comparator(episode['nadir_comparator'])}{number(episode['nadir'])}"
    line = ANALYTES.get(episode["analyte"], episode["analyte"])
    return f"Low {line} from {day(episode['onset'])}, lowest {nadir}"


def _leaders(found: Explanation, words: Words) -> str:
    likely = [row for row in found.causes[:_NAMED] if row["rank"] == 1 or row["probability"] >= _LEAST]
    return ", ".join(f"{words.name(row['cause_id'])} {percent(row['probability'])}" for row in likely)


def _brief(episode: Row, record: Record, words: Words) -> Brief:
    return Brief(_heading(episode), _leaders(record.explained[episode["episode_id"]], words))


def _panel(group: list[Row], record: Record, words: Words, key: str) -> CausePanel:
    episode = group[0]
    found = record.explained[episode["episode_id"]]
    leading = found.causes[:_LEADING]
    drawn = leading + [row for row in found.causes[_LEADING:] if row["cause_id"] == UNEXPLAINED]
    heading = _heading(episode)
    told = [row for row in leading if row["cause_id"] != UNEXPLAINED]
    spoken = [row for row in told if row["rank"] == 1 or row["probability"] >= _LEAST]
    return CausePanel(
        heading,
        _leaders(found, words),
        [f"{_heading(row)}: {_leaders(record.explained[row['episode_id']], words)}" for row in group[1:]],
        list(_reality(episode, found, record, words)),
        chart(contributions(drawn, found.causes, words), f"Causes: {heading}", key),
        [_candidate(row, found, words) for row in spoken],
        [_dismissed(row, words) for row in found.causes if row["against"]],
        [disagreement(row, _of(found.causality, row), words) for row in found.disagreements],
        [_step(row, episode["onset"], words) for row in found.next_steps],
    )


def _of(rows: Iterable[Row], cause: Row) -> list[Row]:
    return [row for row in rows if row["cause_id"] == cause["cause_id"]]


def _reality(episode: Row, found: Explanation, record: Record, words: Words) -> Iterator[str]:
    """Whether the number is real: what the records doubt, then the candidates in which no cells are missing."""
    start, end = episode["onset"] - _BEFORE, episode_end(episode)
    for risk in record.risks:
        if risk["kind"] == NOT_REAL and risk["minute"] is not None and start <= risk["minute"] <= end:
            yield f"{day(risk['minute'])}: {risk['detail']}"
    for kind, meaning in _UNREAL.items():
        rows = [row for row in found.causes if words.causes.get(row["cause_id"], {}).get("kind") == kind]
        if rows:
            likely = [row for row in rows if row["probability"] >= _LEAST]
            named = "; ".join(_unreal(row, words) for row in likely)
            share = percent(sum(row["probability"] for row in rows))
            yield f"{meaning}: {share}{f' ({named})' if named else ''}"


def _unreal(row: Row, words: Words) -> str:
    confirm = words.causes[row["cause_id"]].get("confirm_note", "")
    return f"{words.name(row['cause_id'])} {percent(row['probability'])}{f', look: {confirm}' if confirm else ''}"


def _candidate(row: Row, found: Explanation, words: Words) -> Candidate:
    usual, *reasons = words.reasons(row, _of(found.cause_evidence, row))
    return Candidate(
        words.name(row["cause_id"]),
        percent(row["probability"]),
        _statement(usual, row),
        [_statement(one, row) for one in reasons if one.effect > 0][:_FOR],
        [_statement(one, row) for one in reasons if one.effect < 0][:_AGAINST],
        verdicts(_of(found.causality, row)),
    )


def _statement(reason: Reason, cause: Row) -> Statement:
    """The day is given of what was found on another day than the low count itself."""
    seen = day(reason.minute) if reason.term == "clues" else ""
    when = seen if seen != day(cause["onset"]) else ""
    return Statement(reason.text, times(reason.effect) if reason.effect else "", when, _cited(reason.source_ids))


def _cited(source_ids: Iterable[str]) -> str:
    """Own judgement is cited where there is nothing else; it stands beside most weights."""
    sources = [source for source in source_ids if source != _DESIGN]
    return ";".join(sources or [_DESIGN])


def _dismissed(row: Row, words: Words) -> Statement:
    return Statement(
        f"{words.name(row['cause_id'])}: {argued_against(row)}",
        "" if row["rank"] > _LEADING else f"still number {row['rank']}",
        "",
        _cited(words.sources(row["against"])),
    )


def _step(row: Row, onset: int, words: Words) -> Step:
    named = [words.name(cause) for cause in split(row["separates"])]
    first, last = (None if row[name] is None else day(onset + row[name] * DAY) for name in ("days_from", "days_to"))
    when = _dates(first if row["days_from"] else None, last)
    return Step(row["name"], when, ", ".join(named), _cited(split(row["source_id"])))


def _dates(first: str | None, last: str | None) -> str:
    if first and last:
        return f"{first} to {last}"
    return f"until {last}" if last else f"from {first}" if first else ""
