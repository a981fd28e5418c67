"""Conditions, signs and tests in words -> mentions of clues, evidence for or against causes, and diagnoses."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from leukopenia.contracts import Knowledge
from leukopenia.harmonise.measured_texts import Measured
from leukopenia.harmonise.phrases import (
    Found,
    Phrasebook,
    Target,
    Word,
    affirmed,
    denied,
    direction,
    listed,
    polarity,
    said_before,
    words,
)
from leukopenia.harmonise.units import fold

CONFIRMED = "confirmed"
"""The clue of a test that by itself speaks for or against one cause."""

_FAMILY = listed(
    "family familial mother father parent sibling brother sister maternal paternal cousin colleague coworker roommate "
    "classmate neighbour neighbor"
)
"""Whose illness it is, if not the patient's own; others who share his days are read as relatives are."""
_VISITS = listed("visit visited visiting visits stayed staying")
_NOT_HAD = listed("contact against vaccinated immunised immunized screened")
"""'Contact with influenza' and 'vaccinated against hepatitis B' are not the disease."""
_PAST = listed("previous previously prior past former formerly resolved remote")
_SUSPECTED = listed(
    "suspected possible probable presumed presumptive suspicion suspicious suggestive concern concerning rule query"
)
_UNSETTLED = listed("pending awaited outstanding unknown done performed sent requested")
_OF_THE_FAMILY = ("history",)
_OF_THE_PAST = ("history", "exposure", "travel")
"""Groups of clues that hold although they belong to relatives, or to former times."""

_CERTAINTY = {"present": "confirmed", "suspected": "provisional", "past": "past"}
_OPERATORS = {
    "above": operator.gt,
    "at_or_above": operator.ge,
    "below": operator.lt,
    "at_or_below": operator.le,
}
_PARTS = re.compile(r"[,;/&()]|\band\b")
_BLASTS_PHRASE = re.compile(r"(\d+) blasts")
_BLASTS = re.compile(
    r"\bblasts?(?: cells?)?[\s:,(]*(?:of |were |was )?(\d+)(?:\.\d+)? ?%"
    r"|(?<![<\d.])(\d+)(?:\.\d+)? ?% (?:\w+ ){0,2}blasts?\b"
)

_FEW_BLASTS = re.compile(
    r"(?:<|less than|fewer than|below) ?\d+ ?% (?:\w+ )?blasts?|blasts?[\s:,(]*(?:<|less than|below)"
)
_BLAST_CLUES = ("blasts", "marrow_blasts")


@dataclass(frozen=True)
class Mention:
    """A clue, or evidence on one cause (clue `confirmed`), that a text affirms or denies."""

    clue: str
    cause: str
    state: str
    words: str
    fuzzy: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """A condition that a text gives: confirmed, provisional, past, or of no stated certainty."""

    condition: str
    certainty: str
    words: str
    fuzzy: bool = False


@dataclass
class Understood:
    """What one statement says; `recognised`: at least one phrase is known, even if it decides nothing."""

    mentions: list[Mention] = field(default_factory=list)
    diagnoses: list[Diagnosis] = field(default_factory=list)
    recognised: bool = False


@dataclass(frozen=True)
class _Heard:
    """One statement while it is read: all words (name, then detail), the phrases in them, and its circumstances."""

    kind: str
    status: str
    detail: str
    text: Sequence[Word]
    named: int
    found: Sequence[Found]

    def in_name(self, one: Found) -> bool:
        return one.last < self.named


class StatementReader:
    """Reads statements with clue_phrases, clues, cause_tests, clue_criteria, condition_names and
    condition_phrases."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._group = {row["clue"]: row["group"] for row in knowledge["clues"]}
        self._book = Phrasebook(_phrases(knowledge), misspelt=("condition",))
        criteria = [row for row in knowledge["clue_criteria"] if row["source"] == "finding"]
        self._criteria = [row for row in criteria if row["operator"] != "present"]
        said = ((_BLASTS_PHRASE.fullmatch(row["phrase"]), row["cause"]) for row in knowledge["cause_tests"])
        least = sorted((float(match[1]), cause) for match, cause in said if match)
        self._blasts = [(share, cause) for share, cause in least if share == least[0][0]]

    def read(self, kind: str, name: str, detail: str = "", status: str = "") -> Understood:
        """What one statement says.

        Parameters
        ----------
        kind : {'condition', 'sign', 'test'}
        name : str
            The condition, sign or test, or a list of them.
        detail : str
            The result of a test.
        status : {'', 'present', 'absent', 'past', 'suspected'}
            `absent` denies everything in the text.

        Returns
        -------
        Understood
        """
        text = words(f"{name} : {detail}")
        heard = _Heard(kind, status, detail, text, len(words(name)), self._phrases_in(text))
        made = Understood(recognised=bool(heard.found))
        for one in heard.found:
            for target in one.targets:
                self._take(made, heard, one, target)
        if kind == "test":
            made.mentions += [*self._by_direction(name, detail), *self._by_blasts(f"{name} {detail}")]
            made.recognised |= bool(made.mentions)
        made.mentions = list(dict.fromkeys(made.mentions))
        made.diagnoses = list(dict.fromkeys(made.diagnoses))
        return made

    def _phrases_in(self, text: Sequence[Word]) -> list[Found]:
        """The longest phrases, and what lies inside phrases of clues: in 'known HIV infection' the infection.

        A contact or a journey is not the disease it may lead to: inside those only clues count.
        """
        found = []
        for outer in self._book.find(text):
            found.append(outer)
            clues = {target.id for target in outer.targets if target.kind == "clue"}
            if len(clues) < len(outer.targets):
                continue
            contact = {self._group.get(clue) for clue in clues} & {"exposure", "travel"}
            for inner in self._book.within(text, outer):
                kept = [one for one in inner.targets if one.id not in clues and (one.kind == "clue" or not contact)]
                if kept and not _said_non(text, inner):
                    found.append(replace(inner, targets=tuple(kept)))
        return found

    def _take(self, made: Understood, heard: _Heard, one: Found, target: Target) -> None:
        state = _state(heard, one, target)
        family = said_before(heard.text, one, _FAMILY, turns=False) and not said_before(heard.text, one, _VISITS)
        past = heard.status == "past" or said_before(heard.text, one, _PAST)
        elsewhere = family or said_before(heard.text, one, _NOT_HAD, turns=False)
        if not state or (target.kind != "clue" and elsewhere):
            return
        if target.kind == "clue":
            held = _OF_THE_FAMILY if family else _OF_THE_PAST if past else ()
            if not held or self._group.get(target.id) in held:
                made.mentions.append(Mention(target.id, "", state, one.shown, one.fuzzy))
        elif target.kind == "condition" and state == "present" and heard.kind != "test":
            if heard.kind == "condition" or "clue" not in {other.kind for other in one.targets}:
                certainty = _certainty(heard, one, past)
                made.diagnoses.append(Diagnosis(target.id, certainty, one.shown, one.fuzzy))
        elif state == "absent" or not (past or _is_suspected(heard, one) or _is_aside(heard, one, target)):
            made.mentions.append(Mention(CONFIRMED, target.id, state, one.shown, one.fuzzy))

    def _by_direction(self, name: str, detail: str) -> Iterator[Mention]:
        """Clues of a raised or low level whose name stands apart from its result: 'copper, zinc', '8 and 40 (low)'.

        A level said to be normal denies both.
        """
        way = direction(detail)
        ways = {"": (), "normal": ("high", "low", "normal")}.get(way, (way,))
        for part in _PARTS.split(name):
            for tried in ways:
                text = words(f"{part} {tried}")
                for one in self._book.find(text):
                    if one.last == len(text) - 1:
                        yield from _directed(one, "present" if tried == way else "absent")

    def _by_blasts(self, text: str) -> Iterator[Mention]:
        """'37 % blasts' is at least the '20 blasts' that proves a leukaemia."""
        for found in _BLASTS.finditer(fold(text)):
            share = float(found[1] or found[2])
            yield from (
                Mention(CONFIRMED, cause, "present", found[0]) for least, cause in self._blasts if share >= least
            )

    def clues_of(self, measured: Iterable[Measured]) -> list[Mention]:
        """What results whose day is not known say of the clues that a criterion ties to them."""
        return [
            Mention(row["clue"], "", "present" if met else "absent", one.words)
            for one in measured
            for row in self._criteria
            if row["signal"] == one.finding and (met := _met(one, row)) is not None
        ]


def _said_non(text: Sequence[Word], one: Found) -> bool:
    """Granulomas that are non-caseating."""
    return one.first > 0 and text[one.first - 1].text == "non"


def _directed(one: Found, state: str) -> Iterator[Mention]:
    yield from (Mention(target.id, "", state, one.shown, one.fuzzy) for target in one.targets if target.kind == "clue")


def _phrases(knowledge: Knowledge) -> Iterator[tuple[str, Target]]:
    yield from ((row["phrase"], Target("clue", row["clue"])) for row in knowledge["clue_phrases"])
    yield from ((row["phrase"], Target(row["kind"], row["cause"])) for row in knowledge["cause_tests"])
    yield from ((row["phrase"], Target("condition", row["condition"])) for row in knowledge["condition_phrases"])
    for row in knowledge["condition_names"]:
        if row["condition"].startswith("cond:"):
            yield row["name"], Target("condition", row["condition"])


def _state(heard: _Heard, one: Found, target: Target) -> str:
    if heard.status == "absent":
        return "absent"
    if heard.kind == "test" and heard.in_name(one):
        return _state_of_named(heard, one, target)
    if denied(heard.text, heard.found, one) or (target.id in _BLAST_CLUES and _FEW_BLASTS.search(fold(heard.detail))):
        return "absent"
    if heard.kind == "test" and target.kind in ("test", "condition") and _is_old(heard, one):
        return ""
    return "present" if target.kind != "test" or affirmed(heard.text, one) or _is_whole_result(heard, one) else ""


def _state_of_named(heard: _Heard, one: Found, target: Target) -> str:
    """A test named before its result: the name may hold the answer itself, else the result gives it."""
    name = heard.text[: heard.named]
    if denied(name, [other for other in heard.found if heard.in_name(other)], one):
        return "absent"
    if affirmed(name, one):
        return "present"
    answer = _answer(target.id, heard.detail)
    settled = not _UNSETTLED & {word.text for word in words(heard.detail)}
    unsaid = "present" if settled and target.kind in ("clue", "finding") else ""
    return {"positive": "present", "negative": "absent", "": unsaid}[answer]


def _is_old(heard: _Heard, one: Found) -> bool:
    """'EBV IgG positive, IgM negative' tells of an infection in the past."""
    said = [word.text for word in heard.text]
    here = {word.text for word in heard.text if word.clause == heard.text[one.first].clause}
    return "igg" in here and "igm" in said and "igm" not in here and polarity(heard.detail) == "negative"


def _is_whole_result(heard: _Heard, one: Found) -> bool:
    """'Sputum: acid-fast bacilli': a result that is nothing but the name of what was looked for."""
    return heard.kind == "test" and one.first <= heard.named <= one.last == len(heard.text) - 1


def _is_aside(heard: _Heard, one: Found, target: Target) -> bool:
    """A condition in a result that the result does not give: a test is named after it, or the answer is awaited."""
    tested = "test" in {other.kind for other in one.targets}
    return target.kind == "condition" and (tested or bool(_UNSETTLED & {word.text for word in words(heard.detail)}))


def _answer(cause: str, detail: str) -> str:
    """A low level is what proves a deficiency; a high one speaks against it."""
    said = {word.text for word in words(detail)}
    if cause.endswith("-deficiency") and said & {"low", "deficient", "undetectable"}:
        return "positive"
    if cause.endswith("-deficiency") and "high" in said:
        return "negative"
    return polarity(detail)


def _is_suspected(heard: _Heard, one: Found) -> bool:
    return heard.status == "suspected" or said_before(heard.text, one, _SUSPECTED)


def _certainty(heard: _Heard, one: Found, past: bool) -> str:
    if _is_suspected(heard, one):
        return "provisional"
    return "past" if past else _CERTAINTY.get(heard.status, "")


def _met(one: Measured, row: Mapping[str, str]) -> bool | None:
    if row["operator"] in _OPERATORS:
        return bool(_OPERATORS[row["operator"]](one.value, float(row["limit"])))
    return one.range == row["operator"].removeprefix("range_") if one.range else None
