"""Numbers in words: 'AST / ALT: 830 / 570', 'ferritin 12 000', 'temperature 39.4 °C' -> findings and their side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from leukopenia.contracts import Knowledge
from leukopenia.harmonise.phrases import listed
from leukopenia.harmonise.units import fold
from leukopenia.harmonise.usual_ranges import Scale, UsualRanges, judged, scale

_NUMBER = r"\d{1,3}(?:[ ,]\d{3})+(?!\d)|\d+(?:\.\d+)?"
_UNIT = r"%|(?:[x×*]\s*)?10\s*\^?\s*9\s*/\s*l\b|mm\s+in\s+(?:the\s+)?first\s+hour|[a-z]+(?:\s*/\s*[a-z0-9.]+)?"
_OWN_RANGE = (
    r"(?:normal|reference|ref|nr|rr|range)\W*(?:(?:range|values?|interval|limits?)\W*)?"
    rf"(?:(?P<own_low>{_NUMBER})\s*(?:-|–|to)\s*(?P<own_high>{_NUMBER})|(?P<own_sign>[<>≤≥])\s*(?P<own>{_NUMBER}))"
)
_SIGNS = {"<": "<", "≤": "<=", ">": ">", "≥": ">="}
_SIGN_WORDS = re.compile(r"(?:(?P<more>(?:more|greater) than|above|over|exceeding)|(?:less than|below|under))\s*$")
_BETWEEN = listed(
    "was were is are of at level levels serum plasma value values concentration total up peak peaked maximum max "
    "elevated raised high low decreased reduced markedly increased increase about approximately around only initial "
    "above over exceeding below under more less greater than activity result very severely mildly moderately"
)
"""May stand between the name of a test and its number."""
_JOINING = listed("and to then")
_ELSEWHERE = listed(
    "urine urinary csf cerebrospinal pleural ascites ascitic stool sputum synovial faecal fecal hepatic liver tissue "
    "red cell rbc erythrocyte direct conjugated indirect unconjugated free hair"
)
"""Before the name they say that it is another quantity: red cell folate, urinary copper, direct bilirubin."""
_DOSES_AND_TIMES = listed(
    "mg g kg mcg ug ml day days week weeks month months year years yr yrs hour hours hr h min minutes times fold x "
    "tablets doses"
)
_TEMPERATURE = re.compile(
    r"(?<![\d.])(?P<of>\d{2,3}(?:[.,]\d+)?)\s*(?:°|º|degrees?)?\s*(?P<unit>c|f|celsius|fahrenheit)\b"
    r"|\btemp(?:erature)?\b[^\d;.]{0,20}(?P<bare>\d{2,3}(?:[.,]\d+)?)(?!\s*[\d/]|\s*(?:day|week|hour|year))"
)
_CELSIUS, _FAHRENHEIT = (30.0, 45.0), (86.0, 113.0)


@dataclass(frozen=True)
class Measured:
    """A number that a text gives for a finding: its value in a usual unit, and low, normal, high or empty."""

    finding: str
    value: float
    range: str
    words: str


@dataclass(frozen=True)
class _Piece:
    """A name (`finding` set) or a number of a text, where it stands, and what a number brings with it."""

    start: int
    end: int
    finding: str = ""
    number: float = 0.0
    unit: Scale | None = None
    comparator: str = ""
    own: tuple[float | None, float | None] | None = None


class MeasuredTexts:
    """Finds the results in texts with usual_ranges.csv and test_names.csv."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._usual = UsualRanges(knowledge["usual_ranges"])
        known = self._usual.findings
        self._names = {fold(row["phrase"]): row["family"] for row in knowledge["test_names"] if row["family"] in known}
        self._names |= {finding.replace("_", " "): finding for finding in known}
        longest = sorted(self._names, key=len, reverse=True)
        names = "|".join(re.escape(name).replace(r"\ ", r"[\s-]+") for name in longest)
        self._pieces = re.compile(
            rf"\b(?P<name>{names})\b(?![-/]?\d)|{_OWN_RANGE}|(?P<titre>\d+\s*:\s*\d+)"
            rf"|(?P<sign>[<>≤≥]\s*)?(?<![\w.^])(?P<number>{_NUMBER})(?:\s*(?P<unit>{_UNIT}))?"
        )

    def read(self, text: str, sex: str = "") -> list[Measured]:
        """The results that a text gives.

        Parameters
        ----------
        text : str
            Names and numbers in turn, or a list of names and an equally long list of numbers.
        sex : str
            Of the person; '' or 'unknown' where it is not known.

        Returns
        -------
        list of Measured
            Nothing for a number whose unit does not fit its test, or that no usual unit settles.

        Examples
        --------
        >>> from leukopenia.knowledge import load
        >>> [(one.finding, one.range) for one in MeasuredTexts(load()).read("B12 80 pg/mL, AST / ALT: 830 / 21")]
        [('vitamin_b12', 'low'), ('ast', 'high'), ('alt', 'normal')]
        """
        plain = fold(text)
        made = []
        for names, numbers in _runs(plain, list(self._found(plain))):
            pairs = list(zip(names, numbers, strict=True)) if len(names) == len(numbers) else []
            if len(names) == 1 and len({self._side(names[0], number, sex) for number in numbers}) == 1:
                pairs = [(names[0], numbers[0])]
            made += [one for name, number in pairs if (one := self._measured(plain, name, number, sex))]
        return made

    def side(self, finding: str, value: float, unit: str, comparator: str = "", sex: str = "") -> str:
        """Low, normal or high for a number and unit that stand apart; empty where it is not settled."""
        known = scale(unit)
        return "" if unit and known is None else self._usual.side(finding, value, known, comparator, sex)

    def _found(self, text: str) -> Iterator[_Piece]:
        matches = list(self._pieces.finditer(text))
        for place, match in enumerate(matches):
            if match["name"]:
                yield _Piece(match.start(), match.end(), self._finding(text, match))
            elif match["number"]:
                follower = matches[place + 1] if place + 1 < len(matches) else None
                yield from _number(text, match, follower)

    def _finding(self, text: str, match: re.Match[str]) -> str:
        before = set(re.findall(r"[a-z]+", text[: match.start()])[-2:])
        return "elsewhere" if before & _ELSEWHERE else self._names[re.sub(r"[\s-]+", " ", match["name"])]

    def _side(self, name: _Piece, number: _Piece, sex: str) -> str:
        if number.own is not None:
            return judged(number.number, number.comparator, *number.own)
        return self._usual.side(name.finding, number.number, number.unit, number.comparator, sex)

    def _measured(self, text: str, name: _Piece, number: _Piece, sex: str) -> Measured | None:
        value = self._usual.in_usual_unit(name.finding, number.number, number.unit)
        side = self._side(name, number, sex)
        if value is None or not (side or number.unit):
            return None
        return Measured(name.finding, value, side, f"{text[name.start : name.end]} {text[number.start : number.end]}")


def _number(text: str, match: re.Match[str], follower: re.Match[str] | None) -> Iterator[_Piece]:
    """A number with its unit; none where the unit is a dose, a time, or not known."""
    written = (match["unit"] or "").strip()
    unit = scale(written)
    if unit is None and (written in _DOSES_AND_TIMES or "/" in written):
        return
    said = _SIGN_WORDS.search(text, 0, match.start())
    comparator = _SIGNS[match["sign"].strip()] if match["sign"] else ("" if not said else ">" if said["more"] else "<")
    end = match.end() if unit else match.end("number")
    own = _own_range(follower) if follower and not re.search(r"[a-z0-9;]", text[end : follower.start()]) else None
    yield _Piece(match.start(), end, "", _value(match["number"]), unit, comparator, own)


def _own_range(match: re.Match[str]) -> tuple[float | None, float | None] | None:
    """The range that the text itself gives, '(normal 20-250)' or '(normal > 30)': it goes before the usual one."""
    if match["own_low"]:
        return _value(match["own_low"]), _value(match["own_high"])
    if match["own"]:
        limit = _value(match["own"])
        return (None, limit) if match["own_sign"] in "<≤" else (limit, None)
    return None


def _value(written: str) -> float:
    return float(re.sub(r"[ ,]", "", written))


def _runs(text: str, pieces: list[_Piece]) -> Iterator[tuple[list[_Piece], list[_Piece]]]:
    """Names with the numbers that follow them: lists on both sides, or one name and the course of its values."""
    names: list[_Piece] = []
    numbers: list[_Piece] = []
    for before, piece in zip([None, *pieces], pieces, strict=False):
        gap = text[before.end : piece.start] if before else ""
        if piece.finding:
            if numbers or not _only(gap, _JOINING):
                yield names, numbers
                names, numbers = [], []
            if not names or names[-1].finding != piece.finding:  # 'ALT (SGPT) 830'
                names.append(piece)
        elif names and _only(gap, _JOINING if numbers else _BETWEEN):
            numbers.append(piece)
        else:
            yield names, numbers
            names, numbers = [], []
    yield names, numbers


def _only(gap: str, allowed: frozenset[str]) -> bool:
    return not re.search(r";|\.\s|\d", gap) and set(re.findall(r"[a-z]+", gap)) <= allowed


def temperature(text: str) -> tuple[float, str] | None:
    """The first body temperature in a text, with its unit; None where there is none.

    Examples
    --------
    >>> temperature("fever of 102.2 °F"), temperature("temperature 39.4"), temperature("39 weeks pregnant")
    ((102.2, 'degF'), (39.4, 'Cel'), None)
    """
    for match in _TEMPERATURE.finditer(fold(text)):
        value = float((match["of"] or match["bare"]).replace(",", "."))
        unit = (match["unit"] or "")[:1]
        if unit in ("c", "") and _CELSIUS[0] <= value <= _CELSIUS[1]:
            return value, "Cel"
        if unit in ("f", "") and _FAHRENHEIT[0] <= value <= _FAHRENHEIT[1]:
            return value, "degF"
    return None
