"""Limits as functions of age from a file of results: curves to draw, and bands of age for a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopenia.errors import UsageError
from leukopenia.reference_results import Counted
from leukopenia.references import Limits, Terms

if TYPE_CHECKING:
    from leukopenia.reference.fit.age_limits import LimitsByAge

Floats = NDArray[np.float64]

DRAWN = (2.5, 10.0, 25.0, 50.0, 75.0, 90.0, 97.5)
"""Percentiles of a chart."""

_POINTS = 120
_HOURS = 8766.0


@dataclass(frozen=True)
class Curves:
    """Percentiles by age of one analyte, sex and group.

    Attributes
    ----------
    analyte, unit : str
    strata : dict of str to str
        The value of each column of `--by` except age.
    ages : (k,) array
        Years.
    percentiles : dict of float to (k,) array
        NaN at ages without limits.
    band : (k, 2) array
        Interval of the lowest curve.
    """

    analyte: str
    unit: str
    strata: Mapping[str, str]
    ages: Floats
    percentiles: Mapping[float, Floats]
    band: Floats


def check(terms: Terms) -> None:
    """Refuse terms that curves cannot meet.

    Raises
    ------
    UsageError
    """
    if terms.method not in ("indirect", "direct"):
        raise UsageError(f"The {terms.method} method makes no curves.", "", "Give age bands: --ages 0,1,6,12,18,65")
    if terms.detection_limit is not None:
        raise UsageError("Curves by age take no detection limit.", "", "Give age bands: --ages 0,1,6,12,18,65")


def estimate(counted: Counted, terms: Terms) -> tuple[list[Limits], list[Curves]]:
    """Limits by age of every analyte.

    Sex has curves of its own, and so has every combination of the other columns; both are drawn towards the common
    curve as far as the results allow.

    Parameters
    ----------
    counted : Counted
        With age among its parts.
    terms : Terms
        See `check`.

    Returns
    -------
    list of Limits
        Bands of age as wide as the limits hardly move; the limits are those of the middle.
    list of Curves
    """
    check(terms)
    limits: list[Limits] = []
    curves: list[Curves] = []
    for rows in counted.rows.partition_by("analyte", "unit", maintain_order=True):
        found, labels = _fitted(rows, counted.parts, terms)
        head = (str(rows["analyte"][0]), str(rows["unit"][0]))
        if found.refused:
            limits.append(_refused(head, rows, found, terms))
            continue
        for sex, group in found.strata.pairs:
            strata = {"sex": sex} if "sex" in counted.parts else {}
            strata |= labels.get(group, {})
            curves.append(_curve(found, head, strata, sex, group, rows))
            limits += _bands(head, strata, found, sex, group, rows, terms)
    return limits, curves


def _fitted(rows: pl.DataFrame, parts: Sequence[str], terms: Terms) -> tuple[LimitsByAge, dict[str, dict[str, str]]]:
    """The curves, and what each label of a group stands for."""
    from leukopenia.reference.fit.by_age import by_age

    others = [part for part in parts if part not in ("sex", "age")]
    if "weight" in rows.columns and terms.method == "direct":
        rows = rows.select(pl.all().repeat_by(pl.col("n").cast(pl.UInt32)).explode()).with_columns(n=pl.lit(1.0))
    group = [", ".join(row) for row in rows.select(others).rows()] if others else None
    labels = dict(zip(group or [], rows.select(others).to_dicts(), strict=False))
    found = by_age(
        *(rows["value"].to_numpy(), rows["age"].to_numpy(), rows["n"].to_numpy()),
        weights=rows["weight"].to_numpy() if "weight" in rows.columns else None,
        sex=rows["sex"].to_list() if "sex" in parts else None,
        group=group,
        method=terms.method,
        percentiles=sorted({*DRAWN, *terms.percentiles}),
        confidence=terms.confidence,
    )
    return found, labels


def _grid(rows: pl.DataFrame) -> Floats:
    from leukopenia.reference.fit.ages import hours_at, place

    low, high = place(np.quantile(rows["age"].to_numpy(), [0.0, 1.0]) * _HOURS)
    return np.asarray(hours_at(np.linspace(low, high, _POINTS)) / _HOURS)


def _curve(
    found: LimitsByAge, head: tuple[str, str], strata: Mapping[str, str], sex: str, group: str, rows: pl.DataFrame
) -> Curves:
    ages = _grid(rows)
    columns = found.limits(ages, sex, group)
    curves = {p: columns[f"p{p:g}"] for p in DRAWN}
    lowest = f"p{min(DRAWN):g}"
    return Curves(*head, strata, ages, curves, np.stack([columns[f"{lowest}_low"], columns[f"{lowest}_high"]], 1))


def _bands(
    head: tuple[str, str],
    strata: Mapping[str, str],
    found: LimitsByAge,
    sex: str,
    group: str,
    rows: pl.DataFrame,
    terms: Terms,
) -> Iterator[Limits]:
    from leukopenia.reference.fit.ages import hours_at, place

    mine = rows.filter(*(pl.col(name) == value for name, value in strata.items()))
    for row in found.table(*head, group=group):
        if row["sex"] != sex:
            continue
        low, high = float(row["age_low"]), float(row["age_high"])
        middle = hours_at(place(np.array([low, high]) * _HOURS).mean(keepdims=True)) / _HOURS
        columns = found.limits(middle, sex, group)
        limits = np.array([columns[f"p{p:g}"][0] for p in terms.percentiles])
        ends = np.array([[columns[f"p{p:g}_{side}"][0] for side in ("low", "high")] for p in terms.percentiles])
        n = mine.filter((pl.col("age") >= low) & (pl.col("age") < high))
        yield Limits(
            *(*head, strata, (low, high), f"{found.method} by age", float(n["n"].sum())),
            *(float(n.filter("below")["n"].sum()), np.array(terms.percentiles, dtype=np.float64), limits, ends),
            *(terms.confidence, found.healthy_fraction, False, found.verdict),
        )


def _refused(head: tuple[str, str], rows: pl.DataFrame, found: LimitsByAge, terms: Terms) -> Limits:
    p = np.array(terms.percentiles, dtype=np.float64)
    nothing = np.full(len(p), math.nan)
    censored = float(rows.filter("below")["n"].sum())
    return Limits(
        *(*head, {}, None, f"{found.method} by age", float(rows["n"].sum()), censored, p, nothing),
        *(np.stack([nothing, nothing], 1), terms.confidence, math.nan, True, found.verdict),
    )
