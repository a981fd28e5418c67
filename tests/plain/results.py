"""Twin of `harmonise.measures`: what each raw result becomes, one row at a time, in exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

Row = dict[str, Any]

SIGNAL = ("system", "code", "name", "specimen", "unit")
COMPARATORS = ["", "<", "<=", ">=", ">"]


def exact(number: float) -> Fraction:
    """The decimal that a double stands for: 0.1 is one tenth."""
    return Fraction(Decimal(repr(number)))


def whole(number: Fraction) -> int:
    """The nearest whole number, halves upwards."""
    return math.floor(number + Fraction(1, 2))


def measures(
    rows: Iterable[Row], meanings: Mapping[tuple[Any, ...], Row], wordings: Mapping[str, Row], repair: bool
) -> list[Row]:
    """One measure per raw result whose signal has a meaning."""
    made = []
    for row in rows:
        meaning = meanings.get(tuple(row[name] for name in SIGNAL))
        if meaning is not None:
            made.append(_measure(row, meaning, wordings.get(row["text"] or ""), repair))
    return made


def _finite(number: float | None) -> Fraction | None:
    return exact(number) if number is not None and math.isfinite(number) else None


def _measure(row: Row, meaning: Row, wording: Row | None, repair: bool) -> Row:
    number = _finite(row["value"])
    if number is None and wording is not None:
        number = _finite(wording["worded_value"])
    low, high = _finite(row["low"]), _finite(row["high"])
    repaired = repair and _thousand_times_too_large(number, low, meaning)
    micro, low_micro, high_micro = (_house(part, meaning, repaired) for part in (number, low, high))
    dropped = _absurd(low_micro, high_micro, meaning)
    comparator = row["comparator"] or (wording["worded_comparator"] if wording else "")
    return {
        **{name: row[name] for name in ("source", "row_id", "patient_id", "minute", "time_precision", "text", "flag")},
        "component": meaning["component"],
        "role": meaning["role"],
        "micro": micro,
        "rank": COMPARATORS.index(comparator) + 5 * meaning["copy_of_laboratory"],
        "low": None if dropped else low_micro,
        "high": None if dropped else high_micro,
        "comparator": comparator,
        "unit_repaired": repaired,
        "range_dropped": dropped,
        "reason": _reason(row, number, micro, wording, meaning, dropped),
    }


def _house(number: Fraction | None, meaning: Row, repaired: bool) -> int | None:
    """Millionths of the house unit; a repaired value is rounded in its own unit first."""
    if number is None:
        return None
    scaled = (number - exact(meaning["shift"])) * exact(meaning["multiplier"]) / exact(meaning["divisor"])
    micro = whole(scaled * 1_000_000)
    return whole(Fraction(micro, 1000)) if repaired else micro


def _thousand_times_too_large(number: Fraction | None, low: Fraction | None, meaning: Row) -> bool:
    """Neither value nor lower limit is possible as it stands, and both are ordinary as thousandths."""
    if number is None or low is None or meaning["thousandfold_from"] == 0:
        return False
    scale = exact(meaning["multiplier"]) / exact(meaning["divisor"])
    value, limit = number * scale, low * scale
    smallest, largest = exact(meaning["typical_from"]), exact(meaning["typical_to"])
    impossible = value > exact(meaning["thousandfold_from"]) and limit / 1000 > smallest
    return impossible and value / 1000 <= largest and limit / 1000 <= largest


def _absurd(low: int | None, high: int | None, meaning: Row) -> bool:
    most = exact(meaning["plausible_to"]) * 1_000_000
    if any(limit is not None and not 0 <= limit <= most for limit in (low, high)):
        return True
    return low is not None and high is not None and (low > high or low == high == 0)


def _reason(
    row: Row, number: Fraction | None, micro: int | None, wording: Row | None, meaning: Row, dropped: bool
) -> str:
    if row["minute"] is None:
        return "no_time"
    if _finite(row["value"]) is None and wording is not None:
        if wording["outcome"] == "not_resulted":
            return "not_resulted"
        if wording["outcome"] == "word":
            return "word_result"
    if number is None or micro is None:
        if row["text"] is not None:
            return "unreadable_result"
        return "no_value" if row["value"] is None else "implausible_value"
    most = exact(meaning["typical_to" if dropped else "plausible_to"]) * 1_000_000
    plausible = 0 <= micro <= min(most, exact(meaning["plausible_to"]) * 1_000_000)
    return "" if plausible else "implausible_value"


def issues(measured: Iterable[Row]) -> list[Row]:
    """What has to be said about measures: one row per fault."""
    made = []
    for row in measured:
        if row["reason"]:
            made.append(issue(row, row["reason"], True))
        if row["unit_repaired"]:
            made.append(issue(row, "thousandfold_unit", False))
        if row["range_dropped"]:
            made.append(issue(row, "implausible_range", False))
    return made


def issue(row: Row, reason: str, set_aside: bool) -> Row:
    return {
        "stage": "harmonise",
        "source": row["source"],
        "table": "raw_results",
        "row_id": str(row["row_id"]),
        "reason": reason,
        "detail": row["component"],
        "n": 1,
        "set_aside": set_aside,
    }


def findings(measured: Iterable[Row]) -> list[Row]:
    """Numbers of findings and bands, and every result in words that has a time."""
    made = []
    for row in measured:
        number = row["reason"] == "" and (row["role"] == "finding" or row["component"] in ("bands", "bands_pct"))
        word = row["reason"] == "word_result"
        if number or word:
            made.append(
                {
                    **{name: row[name] for name in ("patient_id", "minute", "time_precision", "source", "row_id")},
                    "finding": row["component"],
                    "value": row["micro"] / 1_000_000 if number else None,
                    "text": row["text"] if word else None,
                    "range": side_of_range(row),
                }
            )
    return made


def side_of_range(row: Row) -> str:
    """What every number that the result can stand for has in common; where that is nothing, what the flag says."""
    if row["micro"] is not None and (sides := _sides(row)) and len(sides) == 1:
        return sides.pop()
    return {"L": "low", "HH": "high", "NORMAL": "normal"}.get(row["flag"].upper(), "")


def _sides(row: Row) -> set[str]:
    """The sides of the range on which the result can lie, by trying numbers at and beside every limit."""
    low, high = row["low"] or None, row["high"]
    if low is None and high is None:
        return set()
    ends = [number for number in (row["micro"], low, high) if number is not None]
    near = {number + step for number in ends for step in (-0.5, 0, 0.5)}
    possible = {
        "": lambda number: number == row["micro"],
        "<": lambda number: number < row["micro"],
        "<=": lambda number: number <= row["micro"],
        ">=": lambda number: number >= row["micro"],
        ">": lambda number: number > row["micro"],
    }[row["comparator"]]
    found = set()
    for number in near:
        if possible(number):
            below, above = low is not None and number < low, high is not None and number > high
            found.add("low" if below else "high" if above else "normal")
    return found
