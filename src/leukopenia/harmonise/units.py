"""Units by a parser: 25 spellings of one unit occur in one database, and no table holds them all."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from leukopenia.contracts import Rows

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWER = re.compile(r"^(?:[x*×]\s*)?10(?:[\^*e(' +-])+(\d{1,2})\s*\)?\s*(.*)$")
_NUMERAL = re.compile(r"^1(0{0,9})\s*/\s*(.*)$")
_SCIENTIFIC = re.compile(r"^(?:[x*×]\s*)?(?:1|10)?\s*e\s*\+?0?(\d{1,2})\s*(.*)$")
_WORD = re.compile(r"^([a-z#]*)\s*(?:/|per|\s)\s*(.*)$")


@dataclass(frozen=True)
class Unit:
    """What a unit spelling means.

    `kind` is count, percent, fraction, mass, temperature, fahrenheit, none (no unit given), other (a known unit of
    another quantity) or unknown. `exponent` is the power of ten to 1/L (count) or g/L (mass).
    """

    kind: str
    exponent: int = 0


class UnitParser:
    """Reads unit spellings with the words of units.csv."""

    def __init__(self, rows: Rows) -> None:
        self._whole = {
            fold(row["spelling"]): Unit(row["kind"], int(row["exponent"]))
            for row in rows
            if row["kind"] not in ("multiplier", "volume")
        }
        self._multipliers = {row["spelling"]: int(row["exponent"]) for row in rows if row["kind"] == "multiplier"}
        self._volumes = {row["spelling"]: int(row["exponent"]) for row in rows if row["kind"] == "volume"}

    def parse(self, spelling: str) -> Unit:
        """The meaning of one spelling.

        Examples
        --------
        >>> from leukopenia.knowledge import load
        >>> UnitParser(load()["units"]).parse("x10(3)/mcL")
        Unit(kind='count', exponent=9)
        """
        text = fold(spelling)
        if not text:
            return Unit("none")
        if text in self._whole:
            return self._whole[text]
        tight = text.replace(" ", "")
        if tight in self._whole:
            return self._whole[tight]
        return self._power(text) or self._numeral(text) or self._word(text) or Unit("unknown")

    def _power(self, text: str) -> Unit | None:
        match = _POWER.match(text) or _SCIENTIFIC.match(text)
        if not match:
            return None
        exponent, rest = int(match[1]), match[2].strip(" )*")
        if not rest:
            # 'x10 (3)' and 'X 10 3' leave the microlitre out; 10^9 leaves the litre out.
            return {3: Unit("count", 9), 9: Unit("count", 9)}.get(exponent)
        volume = self._volume(rest)
        return None if volume is None else Unit("count", exponent - volume)

    def _numeral(self, text: str) -> Unit | None:
        match = _NUMERAL.match(text)
        volume = self._volume(match[2]) if match else None
        return Unit("count", len(match[1]) - volume) if match and volume is not None else None

    def _word(self, text: str) -> Unit | None:
        match = _WORD.match(text)
        if not match:
            return self._bare(text)
        volume = self._volume(match[2])
        if match[1] not in self._multipliers and match[1]:
            return None
        return None if volume is None else Unit("count", self._multipliers.get(match[1], 0) - volume)

    def _bare(self, text: str) -> Unit | None:
        if text in self._volumes and text not in ("l", "ml", "dl", "cc"):
            return Unit("count", -self._volumes[text])
        return None

    def _volume(self, text: str) -> int | None:
        for candidate in (
            text.strip(" /.()"),
            text.strip(" /.()").replace(" ", ""),
            re.sub(r"^\W+", "", text),
        ):
            if candidate.startswith("per "):
                candidate = candidate[4:]
            words = candidate.split(" ", 1)
            if candidate in self._volumes:
                return self._volumes[candidate]
            if len(words) == 2 and words[0] in self._multipliers and not self._multipliers[words[0]]:
                return self._volume(words[1])
            if "/" in candidate:
                head, tail = candidate.rsplit("/", 1)
                if self._multipliers.get(head.strip(), 1) == 0:
                    return self._volume(tail)
        return None


def fold(text: str) -> str:
    """Lower case, one kind of micro, plain digits, no zero-width characters, single spaces."""
    visible = "".join(" " if ch.isspace() else ch for ch in text if unicodedata.category(ch) != "Cf")
    power = re.sub(r"(\d)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: m[1] + "^" + m[2].translate(_SUPERSCRIPTS), visible)
    plain = unicodedata.normalize("NFKC", power.translate(_SUPERSCRIPTS)).replace("μ", "u").replace("µ", "u")
    return re.sub(r"\s+", " ", plain.casefold().replace("{", " ").replace("}", " ")).strip()
