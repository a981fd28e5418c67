"""Observation -> rows of raw_results."""

from __future__ import annotations

from typing import Any

from msgspec import ValidationError

from leukopenia.read.fhir_scope import Rows, Scope
from leukopenia.read.fhir_shapes import Concept, Observation, Quantity, Valued
from leukopenia.read.fhir_values import (
    Moment,
    SetAside,
    bounds,
    first_moment,
    label,
    limits,
    moment,
    number,
    signal,
    unit,
)

CENSORED = ("<", "<=", ">=", ">")
OUT = ("entered-in-error", "cancelled")
MOST_COMPONENTS = 999
"""A row id has three digits for the component."""

Value = tuple[float | None, str | None, str, str]
"""Number, text, comparator, unit."""


def results(item: Observation, scope: Scope) -> Rows:
    """One row for the resource and one for each component.

    A panel that only points to its members (hasMember) has no row of its own.
    """
    if item.status in OUT:
        raise SetAside("not_valid_status", f"Observation {item.status}")
    patient = scope.patient(item.subject, "Observation")
    specimen, sought = _specimen(item, scope)
    at = _time(item)
    components = item.component or []
    if len(components) > MOST_COMPONENTS:
        raise ValidationError("too many components")
    own = value_of(item)
    rows = [_row(0, item, own, patient, at, specimen)] if _has_row(item, own) else []
    for part, each in enumerate(components, 1):
        rows.append(_row(part, each, value_of(each), patient, at, specimen))
    if not rows:
        raise SetAside("other_resource", "Observation panel without a result of its own")
    return Rows(rows, sought)


def _has_row(item: Observation, own: Value) -> bool:
    if own[0] is not None or own[1] is not None:
        return True
    if item.has_member or any(each.type == "has-member" for each in item.related or ()):
        return False
    return item.data_absent_reason is not None or not item.component


def _row(part: int, each: Valued, result: Value, patient: str, at: Moment, specimen: str) -> tuple[Any, ...]:
    value, text, comparator, unit_ = result
    test = signal(each.code, ("loinc",))
    low_high = limits(each.reference_range)
    given = (specimen, unit_, value, text, comparator)
    return (part, patient, *at, *test, *given, *low_high, flag(each.interpretation))


def _time(item: Observation) -> Moment:
    at = moment(item.effective_date_time)
    if at.minute is not None:
        return at
    event = item.effective_timing.event if item.effective_timing else None
    start = bounds(item.effective_period)[0]
    first_event = event[0] if event else None
    return first_moment(start, item.effective_instant, first_event, item.issued)


def _specimen(item: Observation, scope: Scope) -> tuple[str, str]:
    """The specimen in words, or the key of the resource that says it."""
    if item.specimen is None:
        return "", ""
    if item.specimen.display and item.specimen.display.strip(" "):
        return item.specimen.display.strip(" "), ""
    defined, key = scope.find(item.specimen, "Specimen", item.contained)
    return (defined.name, "") if defined else ("", key)


def flag(interpretation: list[Concept] | Concept | None) -> str:
    """Code of the first interpretation, else its words."""
    if not interpretation:
        return ""
    first = interpretation[0] if isinstance(interpretation, list) else interpretation
    code = first.coding[0].code if first.coding else None
    return code or first.text or label(first)


def value_of(each: Valued) -> Value:
    """Number, text, comparator and unit of whichever value[x] there is."""
    if each.value_quantity is not None:
        return _quantity(each.value_quantity)
    value, text = number(_worded(each))
    unit_ = ""
    if each.value_range is not None:
        unit_ = next((unit(q) for q in (each.value_range.low, each.value_range.high) if q), "")
    return value, text, "", unit_


def _quantity(quantity: Quantity) -> Value:
    value, text = number(quantity.value)
    mark = quantity.comparator or ""
    if mark in ("", *CENSORED) and text is None:
        return value, None, mark if value is not None else "", unit(quantity)
    # Text, or a comparator that is none of ours: the two stay together, so a bound is not taken for a value.
    shown = text if text is not None else _plain(quantity.value)
    return None, mark + shown if shown is not None else None, "", unit(quantity)


def _plain(value: float | str | None) -> str | None:
    return f"{value:.15g}" if isinstance(value, float) else value


def _worded(each: Valued) -> str | None:
    if each.value_string is not None:
        return each.value_string
    if each.value_codeable_concept is not None:
        return label(each.value_codeable_concept)
    if each.value_boolean is not None:
        return "true" if each.value_boolean else "false"
    if each.value_integer is not None:
        return str(each.value_integer)
    return _worded_pair(each) or each.value_time or each.value_date_time


def _worded_pair(each: Valued) -> str | None:
    if each.value_range is not None:
        pair, between = (each.value_range.low, each.value_range.high), " - "
    elif each.value_ratio is not None:
        pair, between = (each.value_ratio.numerator, each.value_ratio.denominator), ":"
    elif each.value_period is not None:
        return "/".join(end or "" for end in bounds(each.value_period))
    else:
        return None
    return between.join((q.comparator or "") + (_plain(q.value) or "") if q else "" for q in pair).strip()
