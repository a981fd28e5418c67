"""Estimated limits as a table that `run` reads, as JSON, and beside published ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from leukopenia.contracts import Knowledge
from leukopenia.errors import UsageError
from leukopenia.references import Limits

Row = dict[str, Any]

YEAR = 8766
"""Hours."""

_ADULT = (18.0, 19.0)
_CHILD = 12.0
"""Years; rows of pregnant women name no age."""

_DIGITS = 6
_COLUMNS = {
    "analyte": pl.String,
    "sex": pl.String,
    "age_low": pl.Float64,
    "age_high": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
    "unit": pl.String,
    "lower_from": pl.Float64,
    "lower_to": pl.Float64,
    "upper_from": pl.Float64,
    "upper_to": pl.Float64,
    "confidence": pl.Float64,
    "n": pl.Int64,
    "censored": pl.Int64,
    "healthy_fraction": pl.Float64,
    "method": pl.String,
    "verdict": pl.String,
}


@dataclass(frozen=True)
class Comparison:
    """One limit against another interval.

    Attributes
    ----------
    colour : str
        green: within the permissible uncertainty of the other limit; yellow: outside, but the permissible
        uncertainties of both overlap; red: they do not; empty: an interval lacks a limit, so none is defined.
    limit, target : float
    limit_range, target_range : (float, float)
        With the permissible uncertainty; NaN without.
    """

    colour: str
    limit: float
    target: float
    limit_range: tuple[float, float]
    target_range: tuple[float, float]


@dataclass(frozen=True)
class Published:
    """A published interval beside an estimate: its row of knowledge, and the comparison of both limits."""

    row: Mapping[str, str]
    in_force: bool
    lower: Comparison
    upper: Comparison


def table(found: Sequence[Limits]) -> pl.DataFrame:
    """Limits as rows that `run --limits` takes, with further columns beside.

    Returns
    -------
    polars.DataFrame
        analyte, sex (any where not parted), age_low and age_high (years; empty: open), lower, upper (empty: refused
        or not asked for), unit, the intervals of both, confidence, n, censored, healthy_fraction, method, verdict;
        then the other columns of `--by`, and p25 and so on for percentiles between the outer ones.
    """
    others = sorted({name for one in found for name in one.strata if name != "sex"})
    schema = {**_COLUMNS, **{_free(name): pl.String for name in others}}
    schema |= {name: pl.Float64 for one in found[:1] for name in _between(one)}
    return pl.DataFrame([_row(one, others) for one in found], schema=schema)


def _free(name: str) -> str:
    return f"by_{name}" if name in _COLUMNS and name != "sex" else name


def _row(one: Limits, others: Iterable[str]) -> Row:
    low, high = one.ages or (0.0, math.inf)
    return {
        "analyte": one.analyte,
        "sex": one.sex,
        "age_low": low if one.ages else None,
        "age_high": _number(high),
        "lower": _number(one.lower),
        "upper": _number(one.upper),
        "unit": one.unit,
        **dict(zip(("lower_from", "lower_to"), map(_number, one.lower_interval), strict=True)),
        **dict(zip(("upper_from", "upper_to"), map(_number, one.upper_interval), strict=True)),
        "confidence": one.confidence,
        "n": int(one.n),
        "censored": int(one.censored),
        "healthy_fraction": _number(one.healthy_fraction),
        "method": one.method,
        "verdict": one.verdict,
        **{_free(name): one.strata.get(name) for name in others},
        **_between(one),
    }


def _between(one: Limits) -> dict[str, float | None]:
    outer = {one.percentiles.min(), one.percentiles.max()}
    pairs = zip(one.percentiles, one.limits, strict=True)
    return {
        f"p{p:g}": _number(limit) for p, limit in pairs if p not in outer or (len(one.percentiles) == 1 and p == 50)
    }


def _number(value: float) -> float | None:
    return round(float(value), _DIGITS) if math.isfinite(value) else None


def as_json(one: Limits, against: tuple[float, float] | None = None) -> Row:
    """One stratum for `--json`; what is not known is null."""
    told: Row = {"analyte": one.analyte, "unit": one.unit, **{_free(name): value for name, value in one.strata.items()}}
    if one.ages is not None:
        told |= {"age_low": one.ages[0], "age_high": _number(one.ages[1])}
    told |= {
        "method": one.method,
        "n": int(one.n),
        "censored": int(one.censored),
        "refused": one.refused,
        "verdict": one.verdict,
        "lower": _number(one.lower),
        "lower_interval": [_number(end) for end in one.lower_interval],
        "upper": _number(one.upper),
        "upper_interval": [_number(end) for end in one.upper_interval],
        "confidence": one.confidence,
        "healthy_fraction": _number(one.healthy_fraction),
        "percentiles": [float(p) for p in one.percentiles],
        "limits": [_number(limit) for limit in one.limits],
        "intervals": [[_number(end) for end in ends] for ends in one.intervals],
    }
    if against is not None:
        lower, upper = compared(one, against)
        told["against"] = {"lower": _light(lower), "upper": _light(upper)}
    return told


def _light(one: Comparison) -> Row:
    return {"colour": one.colour or None, "limit": _number(one.limit), "target": _number(one.target)} | {
        name: [_number(end) for end in getattr(one, name)] for name in ("limit_range", "target_range")
    }


def compared(one: Limits, target: tuple[float, float]) -> tuple[Comparison, Comparison]:
    """Both limits against a given interval, each with its permissible uncertainty where that is defined."""
    from leukopenia.reference.fit.verify import traffic_light

    own = (one.lower, one.upper)
    if all(map(math.isfinite, (*own, *target))):
        try:
            lower, upper = (Comparison(**vars(light)) for light in traffic_light(own, target))
        except UsageError:
            # A limit of 0 has no coefficient of variation.
            pass
        else:
            return lower, upper
    unknown = (math.nan, math.nan)
    lower, upper = (Comparison("", limit, other, unknown, unknown) for limit, other in zip(own, target, strict=True))
    return lower, upper


def target_of(text: str) -> tuple[float, float] | None:
    """The interval of `--against`.

    Raises
    ------
    UsageError
        Not two numbers above 0 in order.
    """
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not 0 < low < high < math.inf:
        raise UsageError(
            f"--against cannot be {text!r}.", "", "Write both limits in the unit shown: --against 4.0,10.0"
        )
    return low, high


def published(one: Limits, knowledge: Knowledge) -> list[Published]:
    """Published intervals of the same analyte, sex and ages, from the lowest lower limit up.

    Where the results were not parted by age, those of adults stand beside them. They often contradict each other.

    Parameters
    ----------
    one : Limits
        In 10^9/L (haemoglobin g/L); else there are none.
    knowledge : Knowledge
        Uses intervals and interval_choice.
    """
    chosen = {row["interval_id"] for row in knowledge["interval_choice"]}
    rows = [row for row in knowledge["intervals"] if row["analyte"] == one.analyte and _meets(row, one)]
    return [
        Published(row, row["interval_id"] in chosen, *compared(one, (_limit(row["low"]), _limit(row["high"]))))
        for row in sorted(rows, key=lambda row: (_limit(row["low"]) if row["low"] else math.inf, row["interval_id"]))
    ]


def _limit(text: str) -> float:
    return float(text) if text else math.nan


def _meets(row: Mapping[str, str], one: Limits) -> bool:
    if one.unit not in ("10^9/L", "g/L") or ("any" not in (row["sex"], one.sex) and row["sex"] != one.sex):
        return False
    low, high = one.ages or _ADULT
    begin, end = int(row["age_from_hours"]) / YEAR, int(row["age_to_hours"]) / YEAR
    if row["context"] == "pregnant":
        begin = _CHILD
    return begin < high and low < end
