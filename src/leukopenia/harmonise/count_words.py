"""Counts given only in words ('pancytopenia', 'platelets normal', 'recovered') -> which line, low or not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from leukopenia.contracts import Knowledge
from leukopenia.harmonise.phrases import Found, Phrasebook, Target, Word, denied, listed, said_before, words

LINES = ("wbc", "neutrophils", "lymphocytes", "platelets", "haemoglobin")

_LOW = listed("low absent undetectable zero nil suppressed depleted fell fall dropped falling subnormal")
_NOT_LOW = listed("normal high recovered recovery normalised normalized adequate unremarkable preserved")
_AGAIN = listed("recovered recovery resolved normalised normalized resolution")
_ELSEWHERE = listed("family mother father sibling brother sister urine csf fluid marrow")


class CountWords:
    """Reads counts in words with count_words.csv and the names of test_names.csv."""

    def __init__(self, knowledge: Knowledge) -> None:
        said = [(row["phrase"], Target(row["state"], row["analyte"])) for row in knowledge["count_words"]]
        names = [
            (row["phrase"], Target("name", row["family"])) for row in knowledge["test_names"] if row["family"] in LINES
        ]
        self._book = Phrasebook([*said, *names])

    def read(self, text: str, absent: bool = False) -> dict[str, bool]:
        """Analyte to whether it is low, for every line that a text speaks of; `absent` denies the whole text.

        Examples
        --------
        >>> from leukopenia.knowledge import load
        >>> CountWords(load()).read("pancytopenia, later platelets normal")["neutrophils"]
        True
        """
        said = words(text)
        found = self._book.find(said)
        low: dict[str, bool] = {}
        for one in found:
            if said_before(said, one, _ELSEWHERE, turns=False):
                continue
            for target in one.targets:
                state = self._named(said, one) if target.kind == "name" else target.kind == "low"
                if target.kind == "low" and (denied(said, found, one) or _is_over(said, one)):
                    state = False
                if state is not None and not (absent and target.kind != "low"):
                    low[target.id] = state and not absent
        return low

    def of_line(self, analyte: str, text: str) -> bool | None:
        """Whether the words beside the name of one line say that it is low; None where they do not tell."""
        said = self.read(text)
        return said[analyte] if analyte in said else _direction([word.text for word in words(text)])

    def _named(self, said: Sequence[Word], one: Found) -> bool | None:
        """A bare name of a line takes the direction of its clause, or of the next one in a list."""
        clause = said[one.first].clause
        for number in (clause, clause + 1):
            here = [word for word in said if word.clause == number]
            if number > clause and (not here or here[0].sentence != said[one.first].sentence):
                return None
            direction = _direction([word.text for word in _nearest(said, one, here)])
            if direction is not None:
                return direction
        return None


def _nearest(said: Sequence[Word], one: Found, clause: Sequence[Word]) -> list[Word]:
    """The clause itself, or of two opposite directions in it the word nearest to the name."""
    telling = [word for word in clause if word.text in _LOW | _NOT_LOW]
    if len({word.text in _LOW for word in telling}) < 2:
        return list(clause)
    places = {id(word): place for place, word in enumerate(said)}
    return [min(telling, key=lambda word: min(abs(places[id(word)] - one.first), abs(places[id(word)] - one.last)))]


def _is_over(said: Sequence[Word], one: Found) -> bool:
    """'Neutropenia resolved', 'recovery of the neutropenia'."""
    clause = said[one.first].clause
    here = [word.text for word in said if word.clause == clause]
    return bool(_AGAIN & set(here)) and "not" not in here and "no" not in here


def _direction(text: Sequence[str]) -> bool | None:
    pairs = set(pairwise(text))
    if {("below", "normal"), ("under", "normal")} & pairs:
        return True
    denies = bool({"not", "no", "never", "without"} & set(text))
    if _AGAIN & set(text):
        return denies
    if _LOW & set(text):
        return not denies
    if _NOT_LOW & set(text):
        return denies and "normal" in text
    return None
