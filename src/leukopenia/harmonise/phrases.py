"""Free text: known phrases found in it, whatever their spelling, and whether the text affirms or denies them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rapidfuzz import fuzz, process

from leukopenia.harmonise.units import fold

CLOSE_ENOUGH = 88
"""Likeness (per cent) at which an unknown word is read as a known one."""
SHORTEST_MISSPELT = 6


def listed(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


_PIECE = re.compile(r"(?P<word>[a-z0-9]+(?:\.\d+)?)|(?P<comma>,)|(?P<stop>;|\.(?=\s|$)|\n)")
_GREEK = str.maketrans({"α": " alpha ", "β": " beta ", "γ": " gamma "})
_LETTERS = (("ae", "e"), ("oe", "e"), ("leuco", "leuko"), ("sulph", "sulf"))
"""British and American spellings are brought to one; 'anaemia' and 'anemia' become the same word."""
_DIRECTIONS = {
    **dict.fromkeys(("raised", "elevated", "elevation", "increased", "increase", "high", "higher", "rise"), "high"),
    **dict.fromkeys(("low", "lower", "decreased", "decrease", "reduced", "reduction", "diminished"), "low"),
}
_TURNING = ("high", "low", "normal")
_SAYING_NOTHING = listed(
    "the an is was were are been be has have level count value serum markedly mildly slightly very moderately "
    "severely profoundly significantly"
)
"""Left out of phrases and texts alike, so that 'ferritin was markedly elevated' holds 'ferritin elevated'."""

_WAYS = {
    **{"high": "high", "low": "low", "normal": "normal", "unremarkable": "normal"},
    **dict.fromkeys(("deficient", "suppressed", "undetectable"), "low"),
}

_TURNS = listed("but however although though except despite with then after")
_DENIALS = listed("no not without denied denies deny denying never neither nor nil")
_OPENING_DENIALS = listed("negative absent absence excluded excludes excluding free lack unremarkable normal")
_REFUTALS = listed("absent negative excluded unremarkable normal denied none nil undetectable undetected nonreactive")
_REFUSED_BY_NOT = listed("present found seen detected palpable observed noted reactive identified high")
_AFFIRMATIONS = listed(
    "positive detected reactive present seen found showed shown revealed confirmed abnormal yes homozygous identified "
    "grew isolated demonstrated showing revealing confirming demonstrating high low deficient"
)
_YES = _AFFIRMATIONS | listed(
    "clonal monoclonal mutation mutated heterozygous pathogenic compatible consistent diagnostic"
)
"""In a result they affirm as well; in the name of a test ('mutation analysis') they do not."""
_OF_A_TEST = listed(
    "all both and or test serology titre titer pcr igm igg culture antibody antibodie antigen result smear film "
    "screen finding dna rna virus infection for of on in"
)
_TITRE = re.compile(r"(?P<below>[<≤]\s*)?\b1\s*[:/]\s*\d+")
_STRANGERS = 1
"""Words that no table knows in a list of causes: 'HIV, HDV and EBV negative'."""
_LONGEST_MEMBER = 5
"""Words in one member of a list such as 'no fever, rash or enlarged lymph nodes'."""


@dataclass(frozen=True)
class Word:
    """A word, brought to one spelling; `comma` counts punctuation, `clause` also words such as 'but'."""

    text: str
    shown: str
    comma: int
    clause: int
    sentence: int


@dataclass(frozen=True)
class Target:
    """What a phrase stands for: `kind` (clue, condition, test, finding, drug) and its id."""

    kind: str
    id: str


@dataclass(frozen=True)
class Found:
    """A phrase in a text: the places of its first and last word, what it stands for, and the words as written."""

    first: int
    last: int
    targets: tuple[Target, ...]
    shown: str
    fuzzy: bool


def words(text: str) -> list[Word]:
    """The words of a text with the punctuation between them.

    Examples
    --------
    >>> [word.text for word in words("Haemoglobin was markedly reduced; no blasts")]
    ['hemoglobin', 'low', 'no', 'blast']
    """
    found: list[Word] = []
    comma = clause = sentence = 0
    for piece in _PIECE.finditer(_plain(text)):
        if piece["word"] is None:
            comma, clause = comma + 1, clause + 1
            sentence += piece["stop"] is not None
            continue
        word = _one_spelling(piece["word"])
        if word in _TURNS:
            clause, sentence = clause + 1, sentence + 1
        if word not in _SAYING_NOTHING:
            found.append(Word(word, piece["word"], comma, clause, sentence))
    return found


def _plain(text: str) -> str:
    lower = re.sub(r"(?<=\w)['’]s\b", "", fold(text.replace("\n", "; ")).translate(_GREEK))
    return "".join(letter for letter in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(letter))


def _one_spelling(word: str) -> str:
    for written, kept in _LETTERS:
        word = word.replace(written, kept)
    if len(word) > 4 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return _DIRECTIONS.get(word, word)


class Phrasebook:
    """Finds known phrases in a text; where two overlap, the longer one counts.

    Parameters
    ----------
    phrases : iterable of (str, Target)
        One phrase may stand for several targets.
    misspelt : collection of str
        The kinds of target whose words are also known when misspelt.
    """

    def __init__(self, phrases: Iterable[tuple[str, Target]], misspelt: Sequence[str] = ()) -> None:
        self._targets: dict[tuple[str, ...], dict[Target, None]] = {}
        self._spellings: set[str] = set()
        for phrase, target in phrases:
            key = tuple(word.text for word in words(phrase))
            if set(key) <= set(_TURNING):
                continue  # 'raised level' alone speaks of nothing
            for order in {key, _turned(key)}:
                self._targets.setdefault(order, {})[target] = None
            if target.kind in misspelt:
                self._spellings.update(word for word in key if len(word) >= SHORTEST_MISSPELT)
        self._known = {word for key in self._targets for word in key}
        self._longest = max(map(len, self._targets), default=0)
        self._read: dict[str, str] = {}

    def find(self, text: Sequence[Word]) -> list[Found]:
        """The phrases in a text, in its order."""
        return self._between(text, 0, len(text), self._longest)

    def within(self, text: Sequence[Word], outer: Found) -> list[Found]:
        """The shorter phrases inside a found one: the fever in '12 h history of fever'."""
        return self._between(text, outer.first, outer.last + 1, outer.last - outer.first)

    def _between(self, text: Sequence[Word], start: int, end: int, longest: int) -> list[Found]:
        found: list[Found] = []
        while start < end:
            match = self._longest_at(text, start, min(longest, end - start))
            if match:
                found.append(match)
                start = match.last
            start += 1
        return found

    def _longest_at(self, text: Sequence[Word], start: int, longest: int) -> Found | None:
        for length in range(longest, 0, -1):
            part = text[start : start + length]
            if part[0].comma != part[-1].comma:
                continue
            read = tuple(self._spelt(word.text) for word in part)
            if read in self._targets:
                fuzzy = any(word.text != spelt for word, spelt in zip(part, read, strict=True))
                shown = " ".join(word.shown for word in part)
                return Found(start, start + length - 1, tuple(self._targets[read]), shown, fuzzy)
        return None

    def _spelt(self, word: str) -> str:
        if word in self._known or len(word) < SHORTEST_MISSPELT or not word.isalpha():
            return word
        if word not in self._read:
            near = [known for known in self._spellings if known[0] == word[0] and not _opposite(word, known)]
            best = process.extractOne(word, sorted(near), scorer=fuzz.ratio, score_cutoff=CLOSE_ENOUGH)
            self._read[word] = best[0] if best else word
        return self._read[word]


def _turned(key: tuple[str, ...]) -> tuple[str, ...]:
    """'low b12' is also 'b12 low'."""
    if key[0] in _TURNING:
        return (*key[1:], key[0])
    return (key[-1], *key[:-1]) if key[-1] in _TURNING else key


def _opposite(word: str, known: str) -> bool:
    """Hypothyroidism is no misspelt hyperthyroidism."""
    return {word[:4], known[:4]} == {"hypo", "hype"}


def denied(text: Sequence[Word], found: Sequence[Found], one: Found) -> bool:
    """Whether the text says that one of the phrases found in it is absent: before it, after it, or for its list."""
    before = [word.text for word in text[: one.first] if word.clause == text[one.first].clause]
    return _denied_before(before) or _listed_under_denial(text, one) or _refuted_after(text, found, one)


def _denied_before(before: Sequence[str]) -> bool:
    if any(word in _DENIALS for word in before) or ("ruled", "out") in pairwise(before):
        return not {"doubt", "only"} & set(before)
    for place, word in enumerate(before):
        follows = before[place + 1] if place + 1 < len(before) else ""
        if word in ("normal", "unremarkable"):
            if place >= len(before) - 2 and "and" not in before[place:]:
                return True
        elif word in _OPENING_DENIALS and (place == 0 or follows in ("for", "of", "from")):
            return True
    return False


def _listed_under_denial(text: Sequence[Word], one: Found) -> bool:
    """'No fever, rash or itching' denies all three; 'no fever, rash' denies the fever alone."""
    here = text[one.first]
    clauses: dict[int, list[str]] = {}
    for word in text:
        if word.sentence == here.sentence:
            clauses.setdefault(word.clause, []).append(word.text)
    ends = [clause for clause, said in clauses.items() if clause >= here.clause and {"or", "nor"} & set(said)]
    starts = [clause for clause, said in clauses.items() if clause < here.clause and _DENIALS & set(said)]
    if not ends or not starts:
        return False
    members = [said for clause, said in clauses.items() if starts[-1] < clause <= ends[0]]
    return all(len(said) <= _LONGEST_MEMBER and not _AFFIRMATIONS - {"high", "low"} & set(said) for said in members)


def _refuted_after(text: Sequence[Word], found: Sequence[Found], one: Found) -> bool:
    """Walks over the rest of a list ('HIV, EBV and CMV negative') up to a word that denies it."""
    listed_too = _followers(text, found, one)
    unknown = 0 if _sort(one) == "clue" else _STRANGERS
    for place in range(one.last + 1, len(text)):
        word, before = text[place], text[place - 1].text
        if word.sentence != text[one.last].sentence:
            return False
        crossed = word.comma != text[one.last].comma
        if word.text in _REFUTALS or (word.text, *_text(text, place + 1)) == ("ruled", "out"):
            in_list = not crossed or any(other < place for other in listed_too)
            return in_list and before not in ("not", "cannot", "and", "or")
        if word.text in ("not", "non", "never"):
            return not crossed and bool(_REFUSED_BY_NOT & set(_text(text, place + 1)))
        if word.text not in _OF_A_TEST and place not in listed_too:
            unknown -= 1
        if unknown < 0 or word.text in _AFFIRMATIONS:
            return False
    return False


def _text(text: Sequence[Word], place: int) -> tuple[str, ...]:
    return (text[place].text,) if place < len(text) else ()


def _followers(text: Sequence[Word], found: Sequence[Found], one: Found) -> set[int]:
    """Places of the phrases of the same sort that follow; clues only in the same clause, names of causes beyond it."""
    sort = _sort(one)
    return {
        place
        for other in found
        if other.first > one.last and _sort(other) == sort
        for place in range(other.first, other.last + 1)
        if sort == "cause" or text[place].clause == text[one.last].clause
    }


def _sort(found: Found) -> str:
    return "cause" if {"condition", "test", "finding"} & {target.kind for target in found.targets} else "clue"


def affirmed(text: Sequence[Word], one: Found) -> bool:
    """Whether the clause of a phrase says that it was found."""
    clause = text[one.first].clause
    around = (
        word.text for place, word in enumerate(text) if not one.first <= place <= one.last and word.clause == clause
    )
    return any(word in _AFFIRMATIONS for word in around)


def polarity(text: str) -> str:
    """What the result of a test says: positive, negative, or nothing (empty).

    Examples
    --------
    >>> polarity("1:320"), polarity("not detected"), polarity("IgM negative, IgG positive"), polarity("pending")
    ('positive', 'negative', 'negative', '')
    """
    clauses: dict[int, list[str]] = {}
    for word in words(text):
        clauses.setdefault(word.clause, []).append(word.text)
    said = list(clauses.values())
    # IgG alone tells of an infection in the past.
    recent = [clause for clause in said if "igm" in clause]
    found = {_of_clause(clause) for clause in recent or said} - {""}
    titre = _TITRE.search(text)
    if titre:
        found.add("negative" if titre["below"] else "positive")
    if not found and re.search(r"(?<!\w)\+{1,4}(?!\w)|\b[1-4]\+", text):
        return "positive"
    return "positive" if "positive" in found else "negative" if found else ""


def _of_clause(clause: Sequence[str]) -> str:
    for place, word in enumerate(clause):
        if word in ("no", "not", "non", "none", "nil", "without"):
            return "" if set(clause) & {"done", "performed", "available", "excluded"} else "negative"
        if word in _REFUTALS or word == "sterile" or clause[place : place + 2] == ["ruled", "out"]:
            return "negative"
        if word in _YES:
            return "positive"
    return ""


def direction(text: str) -> str:
    """Whether a result is said to be high, low or normal; empty where it is none of them, or several.

    Examples
    --------
    >>> direction("8 ug/dL (reduced)"), direction("not elevated"), direction("412")
    ('low', 'normal', '')
    """
    said = [word.text for word in words(text)]
    ways = {_WAYS[word] for word in said if word in _WAYS}
    if len(ways) != 1:
        return ""
    return "normal" if {"not", "no"} & set(said) else ways.pop()


def said_before(text: Sequence[Word], one: Found, marks: frozenset[str], *, turns: bool = True) -> bool:
    """Whether one of some words stands before a phrase in its clause; without `turns` only punctuation ends one."""
    here = text[one.first]
    return any(
        word.text in marks
        for word in text[: one.first]
        if word.comma == here.comma and (word.clause == here.clause or not turns)
    )
