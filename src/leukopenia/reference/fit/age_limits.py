"""What `by_age` gives: limits, z-scores, percentiles, L, M and S at any age, with their uncertainty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from leukopenia.errors import UsageError
from leukopenia.reference.fit.age_bands import bands
from leukopenia.reference.fit.age_posterior import AgePosterior, Curves
from leukopenia.reference.fit.ages import in_hours, place
from leukopenia.reference.fit.parts import CENTRE, LAMBDA, LEFT_SHARE, RIGHT_SHARE, WIDTH
from leukopenia.reference.fit.power import transform

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Columns = dict[str, NDArray]
Row = dict[str, str | float]

REACH = 0.6
"""Results this near on the scale of `ages.place` speak for an age: 5 hours at birth, 7 months at 1 year."""

NEAR = {"direct": 40, "indirect": 200}
"""Results near an age below which there are no limits there."""

UNSURE = 0.5
"""Standard deviation of the posterior of a limit, in healthy units, above which there is none."""

_BLOCK = 4_096
_NAMES = {LAMBDA: "L", CENTRE: "M", WIDTH: "S", LEFT_SHARE: "left share", RIGHT_SHARE: "right share"}


@dataclass(frozen=True)
class Strata:
    """Pairs of sex and group.

    Attributes
    ----------
    pairs : tuple of (sex, group)
        ``any`` where not given.
    by_sex, by_group : bool
    """

    pairs: tuple[tuple[str, str], ...]
    by_sex: bool = False
    by_group: bool = False

    def factors(self) -> list[Floats]:
        """For sex and for group, where there are several: which level each pair has, shape (pairs, levels)."""
        columns = [[pair[k] for pair in self.pairs] for k in (0, 1)]
        levels = [sorted(set(column)) for column in columns]
        return [
            np.array([[float(one == name) for name in names] for one in column])
            for column, names in zip(columns, levels, strict=True)
            if len(names) > 1
        ]

    def chosen(self, sex: str | None, group: str | None) -> list[int]:
        """Indices of the pairs with these labels; None stands for all.

        Raises
        ------
        UsageError
            No such label.
        """
        found = [k for k, pair in enumerate(self.pairs) if sex in (None, pair[0]) and group in (None, pair[1])]
        if not found:
            known = ", ".join(sorted({" ".join(pair) for pair in self.pairs}))
            raise UsageError(f"There are no curves for sex {sex!r}, group {group!r}.", f"There are: {known}.", "")
        return found

    def indices(self, sex: ArrayLike | None, group: ArrayLike | None, size: int) -> Integers:
        """The pair of each of several results; a label that the curves do not know of is not looked at.

        Raises
        ------
        UsageError
            No such label; none given where the curves differ by it.
        """
        for k, (name, given) in enumerate((("sex", sex), ("group", group))):
            labels = sorted({pair[k] for pair in self.pairs})
            if len(labels) > 1 and given is None:
                raise UsageError(f"The curves differ by {name}.", "", f"Give {name}: {', '.join(labels)}.")
        sexes = _filled(sex if self.by_sex else None, size)
        groups = _filled(group if self.by_group else None, size)
        return np.array([self._one(*pair) for pair in zip(sexes, groups, strict=True)], dtype=np.int64)

    def _one(self, sex: str | None, group: str | None) -> int:
        return self.chosen(sex, group)[0]


def _filled(given: ArrayLike | None, size: int) -> list[str | None]:
    if given is None:
        return [None] * size
    return [str(one) for one in np.broadcast_to(np.asarray(given, dtype=object), size)]


@dataclass(frozen=True)
class LimitsByAge:
    """Limits as functions of age, or why there are none.

    Limits at one age never cross, for all are percentiles of one distribution: `percentile` of a limit is its own.

    Attributes
    ----------
    percentiles : (m,) array
        From 0 to 100.
    confidence : float
        Of the intervals, as a fraction of 1.
    method : str
        direct or indirect.
    age_unit : str
        Of all ages that go in and come out, but for `table`.
    strata : Strata
        Pairs of sex and group that have curves.
    n : float
        Results; for weighted ones, as many as would be as precise.
    verdict : str
        In words: what was done, or why not and what would be enough.
    healthy_fraction : float
        Share of the results that the model takes to be healthy.
    posterior : AgePosterior or None
        The fitted models with their weights; None on refusal.
    """

    percentiles: Floats
    confidence: float
    method: str
    age_unit: str
    strata: Strata
    n: float
    verdict: str
    healthy_fraction: float = float("nan")
    posterior: AgePosterior | None = field(default=None, repr=False)

    @property
    def refused(self) -> bool:
        """There are no limits at any age."""
        return self.posterior is None

    @cached_property
    def freedom(self) -> dict[str, float]:
        """Effective degrees of freedom of L, M, S and the shares of the ill, over all sexes and groups."""
        if self.posterior is None:
            return {}
        return {_NAMES[parameter]: free for parameter, free in self.posterior.freedom().items()}

    def lower(self, age: ArrayLike, sex: ArrayLike | None = None, group: ArrayLike | None = None) -> float | Floats:
        """The lowest limit at each age: a number for one age, else an array; NaN where there is none."""
        return self._value(age, sex, group, float(self.percentiles.min()))

    def upper(self, age: ArrayLike, sex: ArrayLike | None = None, group: ArrayLike | None = None) -> float | Floats:
        """The highest limit at each age."""
        return self._value(age, sex, group, float(self.percentiles.max()))

    def lower_interval(self, age: ArrayLike, sex: ArrayLike | None = None, group: ArrayLike | None = None) -> Floats:
        """Credible interval of the lowest limit, shape (ages, 2)."""
        return self._interval(*self._asked(age, sex, group), float(self.percentiles.min()))

    def upper_interval(self, age: ArrayLike, sex: ArrayLike | None = None, group: ArrayLike | None = None) -> Floats:
        """Credible interval of the highest limit, shape (ages, 2)."""
        return self._interval(*self._asked(age, sex, group), float(self.percentiles.max()))

    def z(
        self, value: ArrayLike, age: ArrayLike, sex: ArrayLike | None = None, group: ArrayLike | None = None
    ) -> float | Floats:
        """Standard deviations of a result from the median of its age, on the scale where the healthy are normal.

        NaN where there are no limits; minus infinity for 0 where L is 0 or below.
        """
        values, given = np.broadcast_arrays(np.asarray(value, dtype=np.float64), np.asarray(age))
        places, strata = self._asked(given.ravel(), sex, group)
        return _shaped(_in_blocks(self._z, values.ravel(), places, strata), values)

    def _z(self, values: Floats, places: Floats, strata: Integers) -> Floats:
        curves = self._curves(places, strata)
        with np.errstate(divide="ignore", over="ignore"):
            z = transform(values / curves.median, curves.power) / curves.spread
        return np.where(self._known(places, strata, curves), z, np.nan)

    def percentile(
        self, value: ArrayLike, age: ArrayLike, sex: ArrayLike | None = None, group: ArrayLike | None = None
    ) -> float | Floats:
        """Share of the healthy of that age below a result, from 0 to 100."""
        return 100 * ndtr(self.z(value, age, sex, group))

    def limits(self, ages: ArrayLike, sex: str | None = None, group: str | None = None) -> Columns:
        """All limits with their intervals, as columns: age, sex, group, p2.5, p2.5_low, p2.5_high and so on.

        Sex and group that are not given stand for all, one after the other.
        """

        def told(places: Floats, strata: Integers) -> Columns:
            columns: Columns = {}
            for p in self.percentiles:
                low, high = self._interval(places, strata, p).T
                columns |= {f"p{p:g}": self._at(places, strata, p), f"p{p:g}_low": low, f"p{p:g}_high": high}
            return columns

        return self._stacked(ages, sex, group, told)

    def lms(self, ages: ArrayLike, sex: str | None = None, group: str | None = None) -> Columns:
        """L, M and S with their standard errors, as columns: age, sex, group, L, L_se, M, M_se, S, S_se."""

        def told(places: Floats, strata: Integers) -> Columns:
            curves = self._curves(places, strata)
            known = self._known(places, strata, curves)
            columns: Columns = {}
            for k, (name, curve) in enumerate(zip("LMS", (curves.power, curves.median, curves.spread), strict=True)):
                columns[name] = np.where(known, curve, np.nan)
                columns[f"{name}_se"] = np.where(known, curves.errors()[:, k], np.nan)
            return columns

        return self._stacked(ages, sex, group, told)

    def table(self, analyte: str, unit: str, group: str | None = None, tolerance: float = 0.1) -> list[Row]:
        """Limits in bands of age, as `leukopenia run --limits FILE` takes them.

        A band is as wide as both limits stay within `tolerance` standard deviations of the healthy from its middle.

        Parameters
        ----------
        analyte : str
            wbc, neutrophils, ...
        unit : str
            Of the results, as 10*9/L.
        group : str, optional
            Whose limits; the table has no column for it.
        tolerance : float

        Returns
        -------
        list of dict
            analyte, sex, age_low, age_high (years, the latter not included), lower, upper, unit. Ages without limits
            are left out.
        """
        if self.posterior is None:
            return []
        if self.strata.by_group and group is None:
            raise UsageError("The curves differ by group, and the table is of one.", "", "Give group.")
        rows: list[Row] = []
        for k in self.strata.chosen(None, group):
            for low, high, lower, upper in bands(partial(self._ends, stratum=k), self._span(), tolerance):
                ages: Row = {"age_low": round(low, 7), "age_high": round(high, 7)}
                limits: Row = {"lower": float(f"{lower:.4g}"), "upper": float(f"{upper:.4g}"), "unit": unit}
                rows.append({"analyte": analyte, "sex": self.strata.pairs[k][0]} | ages | limits)
        return rows

    def _span(self) -> tuple[float, float]:
        assert self.posterior is not None
        places = self.posterior.cells.places
        return float(places.min()), float(places.max())

    def _ends(self, places: Floats, stratum: int) -> tuple[Floats, Floats]:
        """Both limits at places, and the healthy standard deviation of their logarithms: shapes (2, places)."""
        strata = np.full(len(places), stratum)
        curves = self._curves(places, strata)
        ends = (float(self.percentiles.min()), float(self.percentiles.max()))
        limits = np.array([self._at(places, strata, p) for p in ends])
        zs = [float(ndtri(p / 100)) for p in ends]
        floor = 1e-9 * curves.median
        steps = [np.log(curves.values(z + 0.5) / np.maximum(curves.values(z - 0.5), floor)) for z in zs]
        return limits, np.array(steps)

    def _asked(self, age: ArrayLike, sex: ArrayLike | None, group: ArrayLike | None) -> tuple[Floats, Integers]:
        hours = in_hours("age", age, self.age_unit)
        return place(hours), self.strata.indices(sex, group, len(hours))

    def _value(
        self, age: ArrayLike, sex: ArrayLike | None, group: ArrayLike | None, percentile: float
    ) -> float | Floats:
        found = _in_blocks(partial(self._at, percentile=percentile), *self._asked(age, sex, group))
        return _shaped(found, np.asarray(age))

    def _curves(self, places: Floats, strata: Integers) -> Curves:
        if self.posterior is None:
            nothing = np.full(len(places), np.nan)
            each, flat = np.full((1, len(places), 3), np.nan), np.zeros((1, len(places), 3, 3))
            return Curves(nothing, nothing, nothing, each, flat, nothing, np.ones(1), np.ones(4))
        return self.posterior.curves(places, strata)

    def _known(self, places: Floats, strata: Integers, curves: Curves) -> NDArray[np.bool_]:
        """Whether there are enough results near each place, and the limits there sure enough."""
        if self.posterior is None:
            return np.zeros(len(places), dtype=bool)
        enough = self.posterior.cells.near(places, REACH) >= NEAR[self.method]
        zs = [float(ndtri(p / 100)) for p in (self.percentiles.min(), self.percentiles.max())]
        return np.asarray(enough & (np.maximum(*(curves.unsure(z) for z in zs)) < UNSURE))

    def _at(self, places: Floats, strata: Integers, percentile: float) -> Floats:
        curves = self._curves(places, strata)
        values = curves.values(float(ndtri(percentile / 100)))
        return np.where(self._known(places, strata, curves), values, np.nan)

    def _interval(self, places: Floats, strata: Integers, percentile: float) -> Floats:
        curves = self._curves(places, strata)
        known = self._known(places, strata, curves)
        found = np.full((len(places), 2), np.nan)
        if known.any():
            few = self._curves(places[known], strata[known])
            found[known] = few.intervals(float(ndtri(percentile / 100)), self.confidence)
        return found

    def _stacked(
        self, ages: ArrayLike, sex: str | None, group: str | None, told: Callable[[Floats, Integers], Columns]
    ) -> Columns:
        places, pairs = place(in_hours("ages", ages, self.age_unit)), self.strata.chosen(sex, group)
        strata = np.repeat(pairs, len(places))
        labels = np.array(self.strata.pairs)[strata]
        head = {"age": np.tile(np.atleast_1d(ages), len(pairs)), "sex": labels[:, 0], "group": labels[:, 1]}
        return head | told(np.tile(places, len(pairs)), strata)


def _in_blocks(told: Callable[..., Floats], *columns: NDArray) -> Floats:
    """Block by block, for a design matrix of a million ages would fill the memory."""
    starts = range(0, max(len(columns[0]), 1), _BLOCK)
    return np.concatenate([told(*(column[k : k + _BLOCK] for column in columns)) for k in starts])


def _shaped(found: Floats, like: NDArray) -> float | Floats:
    return float(found[0]) if like.ndim == 0 else found.reshape(like.shape)
