"""Results in words: censored, failed, spelled with a decimal comma, or a word that means something."""

from __future__ import annotations

import re
from dataclasses import dataclass

from leukopenia.contracts import Rows
from leukopenia.harmonise.units import fold

_COMPARATORS = (
    (re.compile(r"^(<=|≤|=<|up to)\s*"), "<="),
    (re.compile(r"^(>=|≥|=>)\s*"), ">="),
    (re.compile(r"^(<|less than|lt|below|under)\s*"), "<"),
    (re.compile(r"^(>|greater than|more than|gt|above|over)\s*"), ">"),
)
_NUMBER = re.compile(r"^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$")
_TITRE = re.compile(r"\b1\s*:\s*\d{2,5}\b")
"""'1:320 speckled', '<1:40': kept in words, as the steps of a titre are no scale."""
_FLAGS = re.compile(r"\s*(?:\(?\b(?:l|h|ll|hh|a|c|low|high|crit|critical)\b\)?|[*!#]+)$")


@dataclass(frozen=True)
class Wording:
    """What the words of a result mean: `outcome` is number, not_resulted, word or unreadable."""

    outcome: str
    value: float | None = None
    comparator: str = ""


def read_wording(text: str, words: Rows) -> Wording:
    """The meaning of a result that is not a plain number.

    Examples
    --------
    >>> read_wording("LESS THAN 0.1", ())
    Wording(outcome='number', value=0.1, comparator='<')
    """
    folded = fold(text)
    known = {row["text"]: row["outcome"] for row in words}
    bare = re.sub(r"[.,;:!*]+", "", folded).strip()
    if bare in known or folded in known:
        return Wording(known.get(bare) or known[folded])
    if _TITRE.search(folded):
        return Wording("word")
    comparator, rest = _comparator(folded)
    number = _number(_FLAGS.sub("", rest).strip())
    return Wording("number", number, comparator) if number is not None else Wording("unreadable")


def _comparator(text: str) -> tuple[str, str]:
    for pattern, comparator in _COMPARATORS:
        match = pattern.match(text)
        if match:
            return comparator, text[match.end() :]
    return "", text


def _number(text: str) -> float | None:
    if re.fullmatch(r"\d{1,3}(?: \d{3})+", text):
        text = text.replace(" ", "")
    if re.fullmatch(r"\d+,\d+", text) and not re.fullmatch(r"[1-9]\d{0,2},\d{3}", text):
        # '4,1' is a decimal comma; '4,100' could be either and is refused.
        text = text.replace(",", ".")
    return float(text) if _NUMBER.match(text) else None
