"""Where the reference room meets a file of results: limits of every stratum, beside published ones."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leukopenia.contracts import Knowledge
from leukopenia.engine import open_engine
from leukopenia.errors import UsageError
from leukopenia.reference_results import Asked, Counted, count

if TYPE_CHECKING:
    from leukopenia.reference_curves import Curves

Floats = NDArray[np.float64]
Row = dict[str, Any]

_BY_RANK = "This method needs every value: use the nonparametric one."
_GAP, _SHARE = 10.0, 0.02
"""Between neighbouring results, and of the results on either side: a doubt whether they have one unit."""

_HOURS_A_YEAR = 8766
_FEW = 64
"""Strata below which other processes cost more than they bring."""


@dataclass(frozen=True)
class Terms:
    """How limits are estimated; see `leukopenia.reference.estimate`."""

    method: str = "indirect"
    percentiles: tuple[float, ...] = (2.5, 97.5)
    confidence: float = 0.90
    detection_limit: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Cells:
    """Counts between edges, and what each part of a fitted mixture expects there.

    Attributes
    ----------
    edges : (k + 1,) array
    counts : (k,) array
    expected : dict of str to (k,) array
        healthy, left, right, stray; empty for direct limits.
    """

    edges: Floats
    counts: Floats
    expected: dict[str, Floats]


@dataclass(frozen=True)
class Limits:
    """Limits of one stratum, or why there are none.

    Attributes
    ----------
    analyte, unit : str
    strata : dict of str to str or float
        The value of each column of `--by`.
    ages : (float, float) or None
        From and up to, in years; the end is infinite for the last band. None: not parted by age.
    method : str
        Of the limits.
    n : float
        Results.
    censored : float
        Results that are only known to lie below a number.
    percentiles, limits : (m,) arrays
    intervals : (m, 2) array
    confidence, healthy_fraction : float
    refused : bool
    verdict : str
    cells : Cells or None
        For a drawing.
    """

    analyte: str
    unit: str
    strata: Mapping[str, Any]
    ages: tuple[float, float] | None
    method: str
    n: float
    censored: float
    percentiles: Floats
    limits: Floats
    intervals: Floats
    confidence: float
    healthy_fraction: float
    refused: bool
    verdict: str
    cells: Cells | None = None

    @property
    def lower(self) -> float:
        """The lowest limit, if it is of a percentile below the median; else NaN."""
        return self._limit(int(np.argmin(self.percentiles)), self.percentiles.min() < 50)

    @property
    def upper(self) -> float:
        """The highest limit, if it is of a percentile above the median; else NaN."""
        return self._limit(int(np.argmax(self.percentiles)), self.percentiles.max() > 50)

    def _limit(self, place: int, asked: bool) -> float:
        return float(self.limits[place]) if asked else math.nan

    @property
    def lower_interval(self) -> tuple[float, float]:
        """Of the lower limit."""
        return self._interval(int(np.argmin(self.percentiles)), self.percentiles.min() < 50)

    @property
    def upper_interval(self) -> tuple[float, float]:
        """Of the upper limit."""
        return self._interval(int(np.argmax(self.percentiles)), self.percentiles.max() > 50)

    def _interval(self, place: int, asked: bool) -> tuple[float, float]:
        low, high = self.intervals[place] if asked else (math.nan, math.nan)
        return float(low), float(high)

    @property
    def sex(self) -> str:
        """male, female, or any."""
        return str(self.strata.get("sex", "any"))

    @property
    def age_words(self) -> str:
        """The ages, as 18 to 65 years; empty where not parted by age."""
        if self.ages is None:
            return ""
        low, high = self.ages
        if math.isinf(high):
            return f"{_age(low)} and over"
        begin, end = _age(low), _age(high)
        return f"{begin.removesuffix(' years') if end.endswith('years') else begin} to {end}"


def _age(years: float) -> str:
    """An age in the unit in which people say it."""
    hours = years * _HOURS_A_YEAR
    if years == 0 or years >= 2 or years == 1:
        return f"{years:g} year{'' if years == 1 else 's'}"
    if hours < 72:
        return f"{hours:.0f} hours"
    return f"{hours / 24:.0f} days" if hours < 60 * 24 else f"{years * 12:.0f} months"


@dataclass(frozen=True)
class Estimated:
    """Limits of all strata, what was held back, and the curves where limits are functions of age."""

    limits: list[Limits]
    counted: Counted
    curves: Sequence[Curves] = ()


def of_file(
    path: Path,
    asked: Asked,
    terms: Terms,
    knowledge: Knowledge,
    *,
    drawn: bool = False,
    jobs: int = 1,
    memory_limit: str = "",
    progress: Callable[[str, int, int], None] = lambda stage, done, of: None,
) -> Estimated:
    """Limits of every stratum of a file of results.

    Parameters
    ----------
    path : Path
        CSV, TSV, Parquet or Excel.
    asked : Asked
        What to read, and what parts it.
    terms : Terms
        How to estimate.
    knowledge : Knowledge
        For tests, units and words.
    drawn : bool
        Keep the cells for drawings.
    jobs : int
        Processes, where there are many strata.
    memory_limit : str
        Of DuckDB.
    progress : callable
        Gets the stage, how many strata are done, and of how many.

    Raises
    ------
    LeukopeniaError
        The file cannot be read, or its results cannot be used; see `reference_results.count`. A stratum that gives no
        limits is no error: its verdict says why.
    """
    from leukopenia import reference_curves

    check(terms)
    if asked.smooth:
        reference_curves.check(terms)
    engine = open_engine("duckdb", memory_limit=memory_limit)
    with TemporaryDirectory(prefix="leukopenia-stage-") as stage, closing(engine):
        progress("read", 0, 0)
        counted = count(path, asked, engine, Path(stage), knowledge)
    if asked.smooth:
        progress("estimate", 0, 0)
        limits, curves = reference_curves.estimate(counted, terms)
        return Estimated(limits, counted, curves)
    tasks = list(_strata(counted, asked))
    fits = _fits([(task.values, task.below, task.n, task.weights, terms, drawn) for task in tasks], jobs, progress)
    return Estimated([task.named(fit) for task, fit in zip(tasks, fits, strict=True)], counted)


def check(terms: Terms) -> None:
    """Refuse terms that no results could meet.

    Raises
    ------
    UsageError
    """
    from leukopenia.reference.estimation import estimate

    # Too few results are a refusal in words; wrong terms raise.
    estimate(np.array([1.0, 2.0]), None, None, terms.method, terms.percentiles, terms.confidence)
    if terms.detection_limit is not None and terms.method != "indirect":
        estimate(np.array([1.0]), method=terms.method, detection_limit=terms.detection_limit)


@dataclass(frozen=True)
class _Stratum:
    analyte: str
    unit: str
    strata: Mapping[str, Any]
    ages: tuple[float, float] | None
    values: Floats
    below: NDArray[np.bool_]
    n: Floats
    weights: Floats | None

    def named(self, fit: Limits) -> Limits:
        return replace(fit, analyte=self.analyte, unit=self.unit, strata=self.strata, ages=self.ages)


def _strata(counted: Counted, asked: Asked) -> Iterator[_Stratum]:
    keys = ["analyte", "unit", *counted.parts]
    ends = dict(pairwise((*map(float, asked.ages), math.inf)))
    for rows in counted.rows.partition_by(keys, maintain_order=True):
        key = dict(zip(keys, rows.select(keys).row(0), strict=True))
        analyte, unit, age = key.pop("analyte"), key.pop("unit"), key.pop("age", None)
        ages = None if age is None else (age, ends[age])
        values, below, n = (rows[name].to_numpy() for name in ("value", "below", "n"))
        weights = rows["weight"].to_numpy() if "weight" in rows.columns else None
        yield _Stratum(analyte, unit, key, ages, values, below, n, weights)


def _fits(tasks: Sequence[Any], jobs: int, progress: Callable[[str, int, int], None]) -> list[Limits]:
    made = []
    for fit in _in_turn(tasks, jobs):
        made.append(fit)
        progress("estimate", len(made), len(tasks))
    return made


def _in_turn(tasks: Sequence[Any], jobs: int) -> Iterator[Limits]:
    if jobs <= 1 or len(tasks) < _FEW:
        yield from map(_fit, tasks)
        return
    # Not a fork: DuckDB and Polars have threads of their own.
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield from pool.map(_fit, tasks, chunksize=max(1, min(50, len(tasks) // (4 * jobs))))
    finally:
        pool.shutdown(cancel_futures=True)


def _fit(task: tuple[Floats, NDArray[np.bool_], Floats, Floats | None, Terms, bool]) -> Limits:
    """Limits of one stratum; what the method cannot take is a refusal in words."""
    from leukopenia.reference.estimation import estimate

    values, below, n, weights, terms, drawn = task
    if weights is not None and terms.method != "indirect":
        # The direct methods take a survey person by person.
        each = np.repeat(np.arange(len(n)), n.astype(np.int64))
        values, below, weights, n = values[each], below[each], weights[each], np.ones(len(each))
    censored = float(n[below].sum())
    bound = max([*values[below], *_given(terms.detection_limit)], default=None)
    method = "nonparametric" if censored and terms.method == "direct" else terms.method
    if censored and method not in ("indirect", "nonparametric"):
        return _refused(terms, n, censored, f"{censored:.0f} results are below a detection limit. {_BY_RANK}")
    try:
        found = estimate(
            *(values, n, weights, method, terms.percentiles, terms.confidence, terms.seed),
            detection_limit=bound if method == "indirect" else None,
        )
    except UsageError as error:
        return _refused(terms, n, censored, f"{error.problem} {error.remedy}".strip())
    said = found.verdict + _beyond(found.limits, found.percentiles, bound, method)
    if not found.refused:
        said += _parted(values, n)
    if found.refused and "equal" in said and "enough" not in said:
        said += f" {found.enough} results that differ would be enough."
    return Limits(
        *("", "", {}, None, found.method, float(n.sum()), censored),
        *(found.percentiles, found.limits, found.intervals, found.confidence, found.healthy_fraction),
        *(found.refused, said, _cells(found, values, n) if drawn else None),
    )


def _given(limit: float | None) -> list[float]:
    return [] if limit is None else [limit]


def _parted(values: Floats, n: Floats) -> str:
    """A doubt in words where a wide gap parts the results: too narrow for a refusal, yet as two units would leave."""
    order = np.argsort(values)
    x, reached = values[order], np.cumsum(n[order]) / n.sum()
    gaps = np.flatnonzero(
        (x[:-1] > 0) & (x[1:] > _GAP * x[:-1]) & (reached[:-1] > _SHARE) & (reached[:-1] < 1 - _SHARE)
    )
    if not len(gaps):
        return ""
    factor = x[gaps[0] + 1] / x[gaps[0]]
    above = 1 - reached[gaps[0]]
    return f" Beware: {above:.0%} of the results lie {factor:.0f}-fold above the others, with none between. Two units?"


def _beyond(limits: Floats, percentiles: Floats, bound: float | None, method: str) -> str:
    if bound is None or not (limits <= bound).any():
        return ""
    which = ", ".join(f"{p:g}" for p in percentiles[limits <= bound])
    known = "is told by the shape alone" if method == "indirect" else "is only known to lie there or lower"
    return f" Percentile {which} lies at or below the detection limit {bound:g} and {known}."


def _refused(terms: Terms, n: Floats, censored: float, why: str) -> Limits:
    p = np.array(terms.percentiles, dtype=np.float64)
    nothing = np.full(len(p), math.nan)
    pairs = np.stack([nothing, nothing], 1)
    return Limits(
        *(
            "",
            "",
            {},
            None,
            terms.method,
            float(n.sum()),
            censored,
            p,
            nothing,
            pairs,
            terms.confidence,
            math.nan,
            True,
            why,
        )
    )


def _cells(found: Any, values: Floats, n: Floats) -> Cells | None:
    from leukopenia.reference.fit.cells import cells

    made = getattr(found, "cells", None)
    if made is None:
        different, place = np.unique(values, return_inverse=True)
        if len(different) < 2:
            return None
        made = cells(different, np.bincount(place, weights=n).astype(np.float64))
    edges = np.concatenate(
        [[max(made.least - made.step / 2, 0.0)], made.edges, [max(made.most + made.step / 2, made.edges[-1])]]
    )
    return Cells(edges, made.counts, getattr(found, "expected", {}))
