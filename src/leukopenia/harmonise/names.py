"""Test names -> which cell, counted how, in what. Whole phrases only; a word nobody knows stops the guess."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from leukopenia.contracts import Rows
from leukopenia.harmonise.units import fold


@dataclass(frozen=True)
class Name:
    """What a test name says: `family` (wbc, neutrophils, ...; empty: not of interest), `form` (count, percent or
    empty), `specimen` (empty: not said), and whether every word of the name was understood."""

    family: str = ""
    form: str = ""
    specimen: str = ""
    certain: bool = True


class NameReader:
    """Reads names with the phrases and words of test_names.csv, test_words.csv and specimens.csv."""

    def __init__(self, phrases: Rows, words: Rows, specimens: Rows) -> None:
        self._families = {tuple(_words(row["phrase"])): row["family"] for row in phrases}
        self._longest = max(len(phrase) for phrase in self._families)
        kinds: dict[str, set[str]] = defaultdict(set)
        for row in words:
            kinds[row["kind"]].add(row["word"])
        self._kinds = kinds
        self._specimens = {row["word"]: row["specimen"] for row in specimens}

    def read(self, name: str) -> Name:
        """What one name says.

        Examples
        --------
        >>> from leukopenia.knowledge import load
        >>> k = load()
        >>> NameReader(k["test_names"], k["test_words"], k["specimens"]).read("Neutrophils Abs, Blood")
        Name(family='neutrophils', form='count', specimen='blood', certain=True)
        """
        words = _words(name)
        family, rest = self._family(words)
        if not family:
            return Name()
        specimen = self._specimen(rest)
        rest = [word for word in rest if word not in self._specimens]
        if any(word in self._kinds["excluded"] for word in rest) and not self._percent(name, rest):
            return Name(specimen=specimen)
        unknown = [word for word in rest if not any(word in self._kinds[k] for k in ("percent", "count", "filler"))]
        return Name(family, self._form(name, rest), specimen, not unknown)

    def specimen_of(self, text: str) -> str:
        """The specimen that a specimen text names; 'other' for one nobody knows."""
        words = _words(text)
        whole = self._specimens.get(" ".join(words))
        return whole or self._specimen(words) or "other"

    def _family(self, words: list[str]) -> tuple[str, list[str]]:
        for length in range(min(self._longest, len(words)), 0, -1):
            for start in range(len(words) - length + 1):
                found = self._families.get(tuple(words[start : start + length]))
                if found:
                    return found, words[:start] + words[start + length :]
        return "", words

    def _specimen(self, words: list[str]) -> str:
        found = [self._specimens[word] for word in words if word in self._specimens]
        strange = [specimen for specimen in found if specimen != "blood"]
        return strange[0] if strange else "blood" if found else ""

    def _percent(self, name: str, words: list[str]) -> bool:
        return "%" in name or "/100" in name or any(word in self._kinds["percent"] for word in words)

    def _form(self, name: str, words: list[str]) -> str:
        if self._percent(name, words):
            return "percent"
        return "count" if "#" in name or any(word in self._kinds["count"] for word in words) else ""


def _words(name: str) -> list[str]:
    return re.findall(r"[a-zäöüß]+(?:'s)?|\d+", re.sub(r"(?<=\w)'s\b", " s", fold(name)).replace("_", " "))
