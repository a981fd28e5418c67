"""Which analyte a signal of a file of results is, and how its values come to one unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leukopenia.contracts import Knowledge
from leukopenia.errors import MappingError
from leukopenia.harmonise import meanings
from leukopenia.harmonise.meanings import SIGNAL, Meaning
from leukopenia.harmonise.units import UnitParser, fold

__all__ = ["SIGNAL", "Signal", "signals"]

Row = Mapping[str, Any]

_UNITS = {"count": "10^9/L", "percent": "%", "mass": "g/L", "temperature": "Cel"}
_OWN = ("not_of_interest", "unknown_code")
"""Signals that are no blood count of ours: any analyte may have limits."""


@dataclass(frozen=True)
class Signal:
    """One distinct system, code, name, specimen and unit: its analyte, unit, scale, or why it is set aside.

    `inferred`: no unit was given, and the only one in which the numbers make sense was taken.
    ``(value - shift) * multiplier / divisor`` is in `house_unit`.
    """

    system: str
    code: str
    name: str
    specimen: str
    unit: str
    analyte: str
    house_unit: str
    aside: str = ""
    inferred: bool = False
    shift: float = 0.0
    multiplier: float = 1.0
    divisor: float = 1.0


def signals(vocabulary: Iterable[Row], knowledge: Knowledge, wanted: Sequence[str]) -> list[Signal]:
    """Understand every signal; those of other analytes than the wanted are left out.

    Parameters
    ----------
    vocabulary : iterable of mapping
        The columns of `SIGNAL`, n, value_min, value_max, value_mean.
    knowledge : Knowledge
        Uses codes, components, analytes, units, test_names, test_words, specimens.
    wanted : sequence of str
        Analytes by id, name or code; empty: all.

    Raises
    ------
    MappingError
        None of the wanted is there.
    """
    rows = [{**row, "low_mean": None, "high_mean": None} for row in vocabulary]
    understood = meanings.understand(rows, knowledge, {})
    own = [one for one in understood if one.reason in _OWN or (not one.reason and one.form not in _UNITS)]
    ours = [_of_house(one) for one in understood if one not in own]
    made = ours + [
        signal for name in sorted({_own_name(one) for one in own}) for signal in _of_name(name, own, knowledge)
    ]
    chosen = [one for one in made if not wanted or {fold(word) for word in wanted} & _names(one)]
    if not chosen and made:
        seen = ", ".join(sorted({one.analyte for one in made})[:12])
        raise MappingError(f"The file holds no {' or '.join(wanted)}.", f"It holds: {seen}.", "Choose among them.")
    return chosen


def _names(one: Signal) -> set[str]:
    return {fold(text) for text in (one.analyte, one.name, one.code) if text}


def _of_house(one: Meaning) -> Signal:
    unit, inferred = _UNITS.get(one.form, one.unit), one.note == "unit_inferred"
    scale = (one.shift, one.multiplier, one.divisor)
    return Signal(*_signal(one), _own_name(one), unit, one.reason, inferred, *scale)


def _signal(one: Meaning) -> tuple[str, str, str, str, str]:
    return one.system, str(one.code), one.name, one.specimen, one.unit


def _own_name(one: Meaning) -> str:
    return one.component or one.name or str(one.code)


def _of_name(name: str, own: Iterable[Meaning], knowledge: Knowledge) -> list[Signal]:
    """Signals of one name that is not ours: all in the commonest unit, as far as the units say how."""
    mine = sorted((one for one in own if _own_name(one) == name), key=lambda one: -one.n)
    parser = UnitParser(knowledge["units"])
    target = mine[0].unit
    made = []
    for one in mine:
        power = _power(one.unit, target, parser)
        aside = "unknown_unit" if power is None else ""
        scale = (0.0, 10.0 ** max(power or 0, 0), 10.0 ** max(-(power or 0), 0))
        made.append(Signal(*_signal(one), name, target, aside, False, *scale))
    return made


def _power(unit: str, target: str, parser: UnitParser) -> int | None:
    """The power of ten from one unit to another; None where they measure different things."""
    if fold(unit) == fold(target):
        return 0
    one, other = parser.parse(unit), parser.parse(target)
    if one.kind != other.kind or one.kind not in ("count", "mass"):
        return None
    return one.exponent - other.exponent
