"""`grade`: a user's own table of results, graded row by row under each standard, whatever engine it lives in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import Knowledge
from leukopenia.detect import grades as grades_room
from leukopenia.detect.grades import column
from leukopenia.errors import MappingError, UsageError
from leukopenia.harmonise.units import Unit, UnitParser, fold
from leukopenia.harmonise.wordings import read_wording
from leukopenia.policy import Policy

Frame = nw.LazyFrame[Any]

REQUIRED = ("analyte", "value", "unit")
OPTIONAL: dict[str, Any] = {
    "low": nw.Float64,
    "high": nw.Float64,
    "age_days": nw.Int64,
    "has_hiv": nw.Boolean,
    "comparator": nw.String,
}
_MADE = ("standard", "grade", "reason")
_HOUSE = {"haemoglobin": 0}
"""Power of ten from 1/L (or g/L) to the unit of the house; 10^9/L for cells."""


def grade(frame: Any, knowledge: Knowledge, standards: tuple[str, ...], direction: str, policy: Policy) -> Any:
    """Grade a native frame; see `leukopenia.api.grade`."""
    known = {row["standard"] for row in knowledge["criteria"]}
    if unknown := [name for name in standards if name not in known]:
        raise UsageError(f"There is no standard {unknown[0]!r}.", "", f"Choose among: {', '.join(sorted(known))}.")
    received = nw.from_native(frame)
    if isinstance(received, nw.LazyFrame):
        return _graded(received, knowledge, standards, direction, policy).to_native()
    rows = nw.from_native(received.to_polars()).lazy()
    made = _graded(rows, knowledge, standards, direction, policy).collect("polars").to_native()
    if received.implementation.is_pandas():
        return made.to_pandas()
    return made.to_arrow() if received.implementation.is_pyarrow() else made


def _graded(lazy: Frame, knowledge: Knowledge, standards: tuple[str, ...], direction: str, policy: Policy) -> Frame:
    names = lazy.collect_schema().names()
    if missing := [name for name in REQUIRED if name not in names]:
        raise MappingError(
            f"The table has no column {missing[0]!r}.", f"Found: {', '.join(names)}.", "Rename the columns."
        )
    prepared = _prepare(lazy, knowledge, policy, direction)
    graded = grades_room.grade(prepared, knowledge, standards, direction)
    return nw.concat([_one(graded, name, names) for name in standards])


def _one(graded: Frame, standard: str, names: list[str]) -> Frame:
    reason = when(col("unusable") != "").then(col("unusable")).otherwise(col(f"reason_{column(standard)}"))
    kept = [f"as_given_{name}" for name in names]
    return graded.select(
        *[col(given).alias(name) for given, name in zip(kept, names, strict=True) if name not in _MADE],
        lit(standard).alias("standard"),
        when(reason == "").then(col(f"grade_{column(standard)}")).alias("grade"),
        reason.alias("reason"),
    )


def _prepare(lazy: Frame, knowledge: Knowledge, policy: Policy, direction: str) -> Frame:
    """The columns the criteria need, beside the columns as they were given."""
    schema = lazy.collect_schema()
    kept = lazy.with_columns(*[col(name).alias(f"as_given_{name}") for name in schema.names()])
    kept = kept.with_columns(
        **{name: lit(None).cast(dtype) for name, dtype in OPTIONAL.items() if name not in schema},
        unit=col("unit").cast(nw.String).fill_null(""),
        analyte=col("analyte").cast(nw.String).fill_null(""),
    )
    read = _read_values(kept, lazy, schema["value"], knowledge)
    powers, refused = _units(lazy, knowledge, policy)
    power = lit(0)
    unusable = lit("")
    for (analyte, unit), exponent in powers.items():
        power = when((col("analyte") == analyte) & (col("unit") == unit)).then(lit(exponent)).otherwise(power)
    for (analyte, unit), reason in refused.items():
        unusable = when((col("analyte") == analyte) & (col("unit") == unit)).then(lit(reason)).otherwise(unusable)
    marked = read.with_columns(power=power, unusable=unusable)
    limit = "low" if direction == "low" else "high"
    return marked.with_columns(
        value=_scaled("number"),
        protocol_limit=_scaled(limit),
        has_hiv=col("has_hiv").cast(nw.Boolean).fill_null(False),
        age_days=col("age_days").cast(nw.Int64),
        unusable=when(col("unusable") != "")
        .then(col("unusable"))
        .when(col("number").is_null())
        .then(lit("no_value"))
        .when(col("number") < 0)
        .then(lit("implausible_value"))
        .otherwise(lit("")),
    )


def _read_values(kept: Frame, lazy: Frame, dtype: nw.dtypes.DType, knowledge: Knowledge) -> Frame:
    comparator = col("comparator").cast(nw.String).fill_null("")
    if dtype != nw.String:
        finite = col("value").cast(nw.Float64)
        return kept.with_columns(number=when(finite.is_finite()).then(finite), comparator=comparator)
    number, worded = lit(None).cast(nw.Float64), lit("")
    texts = lazy.select("value").unique().collect("polars")["value"].to_list()
    for text in sorted(filter(None, texts)):
        reading = read_wording(text, knowledge["result_words"])
        if reading.value is not None:
            number = when(col("value") == text).then(lit(reading.value)).otherwise(number)
            worded = when(col("value") == text).then(lit(reading.comparator)).otherwise(worded)
    return kept.with_columns(number=number, comparator=when(comparator != "").then(comparator).otherwise(worded))


def _scaled(name: str) -> nw.Expr:
    """To the unit of the house, on the grid of millionths, as in the harmonise room."""
    number = col(name).cast(nw.Float64)
    million = lit(1e6) + number * 0.0
    scaled = number * _ten_to("power") * 1e6 / _ten_to("power", negative=True)
    return ((scaled + 0.5).floor() / million).alias(name)


def _ten_to(name: str, negative: bool = False) -> nw.Expr:
    factor = lit(1.0)
    for exponent in range(1, 13):
        factor = when(col(name) == (-exponent if negative else exponent)).then(lit(10.0**exponent)).otherwise(factor)
    return factor


def _units(
    lazy: Frame, knowledge: Knowledge, policy: Policy
) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], str]]:
    """Per distinct analyte and unit, the power of ten to the unit of the house, or the reason it has none."""
    pairs = lazy.select("analyte", "unit").unique().collect("polars").iter_rows()
    parser = UnitParser(knowledge["units"])
    allowed = _whitelist(knowledge, policy.text("unit_whitelist"))
    analytes = {row["analyte"] for row in knowledge["analytes"]}
    powers: dict[tuple[str, str], int] = {}
    refused: dict[tuple[str, str], str] = {}
    for analyte, unit in sorted((str(a or ""), str(u or "")) for a, u in pairs):
        reason, power = _power(analyte, unit, parser, analytes, allowed)
        if reason:
            refused[analyte, unit] = reason
        else:
            powers[analyte, unit] = power
    return powers, refused


def _power(
    analyte: str, unit: str, parser: UnitParser, analytes: Iterable[str], allowed: Mapping[str, set[str]]
) -> tuple[str, int]:
    if analyte not in analytes:
        return "unknown_analyte", 0
    if allowed and fold(unit) not in allowed.get(analyte, set()):
        return "unit_not_allowed" if unit else "no_unit", 0
    meaning = parser.parse(unit)
    if meaning.kind == "none":
        return "no_unit", 0
    if analyte != "haemoglobin" and meaning == Unit("mass", 0):
        meaning = Unit("count", 9)
    if meaning.kind != ("mass" if analyte == "haemoglobin" else "count"):
        return "unknown_unit", 0
    return "", meaning.exponent - _HOUSE.get(analyte, 9)


def _whitelist(knowledge: Knowledge, name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in knowledge["unit_whitelists"]:
        if row["whitelist"] == name:
            found.setdefault(row["analyte"], set()).add(fold(row["unit"]))
    if name and not found:
        raise UsageError(f"There is no unit whitelist {name!r}.")
    return found
