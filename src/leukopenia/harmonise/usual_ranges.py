"""Usual reference ranges of adults -> whether a result that came without its laboratory's range is low or high."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from leukopenia.contracts import Rows
from leukopenia.harmonise.units import fold

_PREFIXES = {"": 0, "d": -1, "m": -3, "u": -6, "mc": -6, "n": -9, "p": -12, "k": 3}
_QUANTITIES = {
    **{"g": "mass", "mol": "amount", "eq": "amount", "kat": "katal"},
    **dict.fromkeys(("u", "iu", "unit", "units"), "activity"),
}
"""Equivalents are moles for what is measured here: sodium and lactate carry one charge."""
_CONCENTRATION = re.compile(r"(|m|u|mc|n|p|k)(g|mol|eq|kat|u|iu|units?)/(|d|m|u|mc)l(?:iter|itre)?")
_OTHER = {"fl": "fl", "%": "%", "10^9/l": "10^9/l", "x10^9/l": "10^9/l", "mm": "mm/h"}


@dataclass(frozen=True)
class Scale:
    """The quantity that a unit measures, and its power of ten."""

    quantity: str
    exponent: int = 0


def scale(unit: str) -> Scale | None:
    """What a unit of concentration measures; None where it is none.

    Examples
    --------
    >>> scale("mg/dL"), scale("IU/L"), scale("mg")
    (Scale(quantity='mass', exponent=-2), Scale(quantity='activity', exponent=0), None)
    """
    tight = fold(unit).replace(" ", "")
    match = _CONCENTRATION.fullmatch(tight)
    if match:
        return Scale(_QUANTITIES[match[2]], _PREFIXES[match[1]] - _PREFIXES[match[3]])
    if tight.startswith("mm/") or tight in ("mm", "mminfirsthour"):
        return Scale("mm/h")
    return Scale(_OTHER[tight]) if tight in _OTHER else None


@dataclass(frozen=True)
class _Range:
    low: float | None
    high: float | None
    scale: Scale
    sex: str


class UsualRanges:
    """Judges results with usual_ranges.csv: only for case histories, never for records."""

    def __init__(self, rows: Rows) -> None:
        self._ranges: dict[str, list[_Range]] = {}
        for row in rows:
            found = scale(row["unit"])
            assert found, row["unit"]
            limits = (_limit(row, "low"), _limit(row, "high"))
            self._ranges.setdefault(row["finding"], []).append(_Range(*limits, found, row["sex"]))

    @property
    def findings(self) -> frozenset[str]:
        """The findings that have a usual range."""
        return frozenset(self._ranges)

    def side(self, finding: str, value: float, unit: Scale | None, comparator: str = "", sex: str = "") -> str:
        """Low, normal or high; empty where the usual ranges do not settle it.

        Parameters
        ----------
        finding : str
            Row of components.csv.
        value : float
        unit : Scale or None
            None: no unit was given. The answer must then be the same in every usual unit.
        comparator : {'', '<', '<=', '>', '>='}
        sex : str
            Unless male or female, the answer must be the same for both.
        """
        fitting = [each for each in self._ranges.get(finding, ()) if _fits(each, unit, sex)]
        if any(each.low is None and each.high is None for each in fitting):
            return ""
        sides = {judged(_converted(value, unit, each.scale), comparator, each.low, each.high) for each in fitting}
        if comparator:
            # '< 10' says nothing in g/L, so nobody writes it there.
            sides.discard("")
        return sides.pop() if len(sides) == 1 else ""

    def in_usual_unit(self, finding: str, value: float, unit: Scale | None) -> float | None:
        """The value in a usual unit of its finding; None where its unit is none of them."""
        for each in sorted(self._ranges.get(finding, ()), key=lambda one: one.scale != unit):
            if unit is None or each.scale.quantity == unit.quantity:
                return _converted(value, unit, each.scale)
        return None


def judged(value: float, comparator: str, low: float | None, high: float | None) -> str:
    """On which side of a range a value lies; empty where its comparator or a missing limit leaves it open."""
    at_most, at_least = comparator in ("", "<", "<="), comparator in ("", ">", ">=")
    if low is not None and at_most and (value < low or (comparator == "<" and value == low)):
        return "low"
    if high is not None and at_least and (value > high or (comparator == ">" and value == high)):
        return "high"
    above_low = low is None or (at_least and value >= low)
    below_high = high is None or (at_most and value <= high)
    return "normal" if above_low and below_high and not low == high is None else ""


def _limit(row: Mapping[str, str], name: str) -> float | None:
    return float(row[name]) if row[name] else None


def _fits(one: _Range, unit: Scale | None, sex: str) -> bool:
    person = not one.sex or one.sex == sex or sex not in ("male", "female")
    return person and (unit is None or unit.quantity == one.scale.quantity)


def _converted(value: float, unit: Scale | None, to: Scale) -> float:
    # Rounded, as a power of ten brings noise in the last digit, and limits are compared exactly.
    return value if unit is None else round(value * 10.0 ** (unit.exponent - to.exponent), 9)
