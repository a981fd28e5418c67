"""Stress sets for indirect reference limits, made here from seeds: what a laboratory could see, with the truth known.

Every set has a healthy part, an ill part and a way of reporting, all drawn from a seed of its own.

Healthy part
    A Box-Cox normal of an analyte of the blood count or of clinical chemistry: limits of a usual size, each moved by some
    per cent; exponent 0, 0.5, 1 or any between -0.5 and 1 (an exponent that would cut off the tail is not taken); in some
    sets a shift above or below zero. The limits of the catalogue are magnitudes, not reference intervals.

Ill part, with a fraction of 0 to 0.5 of the results
    `continuum`       a healthy value times 1 + effect (or divided by it), the effect gamma or exponential, so that the ill
                      touch the healthy
    `heavy_tailed`    Student's t of 2 to 5 degrees of freedom, or a wide log-normal
    `left`, `right`   one side only: normal, log-normal, gamma or a continuum
    `both`            a part on either side
    `analysers`       two to four analysers that differ by small factors, ill on one or both sides; the truth is the mixture
    `detection_limit` results below a limit are given at it. The cell at the limit then holds all below it and what rounds
                      to it
    `unit_rounding`   rounded in one unit, converted to another and rounded again: uneven steps

    In a third of the sets, one result in a thousand is a gross error. Two things keep the question answerable: at most
    45 % of the ill lie between the true limits, and the healthy make the highest hump of the histogram of logarithms.

Reporting
    500 to 200,000 results, rounded to steps of which eight or more lie between the limits.

Truth
    The 2.5th and 97.5th percentile of the healthy part. Where the lower one lies below the detection limit, anything below
    the limit is right.

There are two families. `stress` may be looked at while an estimator is made. `held_out` has other analytes, other
distributions of the same kinds, and another seed: it judges, and nothing is chosen by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.random import Generator
from reference_sets import Floats, Healthy, LabSet
from scipy.special import boxcox

KINDS = ("continuum", "heavy_tailed", "left", "right", "both", "analysers", "detection_limit", "unit_rounding")
SIZES = (500, 2_000, 10_000, 50_000, 200_000)
FRACTIONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
COPIES = 4
Z = 1.959964
STEPS = 8
"""So many rounding steps lie between the limits, or more."""
MOST_INSIDE = 0.45
HIGHEST_ILL = 0.75
"""The highest hump of the ill, as a share of that of the healthy."""

GROSS_ERRORS = 0.001

Ill = Callable[[Generator, int], Floats]
"""So many values of the ill part."""


@dataclass(frozen=True)
class Analyte:
    """A magnitude: usual limits, decimals as reported, and what the value is divided by in the other unit (0: none)."""

    name: str
    low: float
    high: float
    decimals: int
    factor: float = 0.0

    @property
    def wide(self) -> bool:
        return self.high / self.low >= 2.4


@dataclass(frozen=True)
class Family:
    """What tells one family of sets from the other: analytes, seed, and the ranges that are drawn from."""

    name: str
    seed: int
    analytes: tuple[Analyte, ...]
    powers: tuple[float, float]
    shifted: float
    severity: tuple[float, float]
    distance: tuple[float, float]
    effect: Callable[[Generator], Ill]
    tails: Callable[[Generator], Ill]
    offset: tuple[float, float]
    censored: tuple[float, float]

    @cached_property
    def plan(self) -> list[tuple[int, float, str]]:
        """Size, fraction and kind of each set; its id is its place here."""
        return [(n, p, kind) for n in SIZES for p in FRACTIONS for kind in KINDS for _ in range(COPIES)]

    @property
    def ids(self) -> list[int]:
        return list(range(len(self.plan)))

    def strata(self) -> pl.DataFrame:
        """`id`, `size`, `fraction`, `kind` of every set."""
        size, fraction, kind = zip(*self.plan, strict=True)
        return pl.DataFrame({"id": self.ids, "size": size, "fraction": fraction, "kind": kind})

    def load(self, id: int) -> LabSet:
        """Make one set; the same id gives the same set."""
        size, fraction, kind = self.plan[id]
        return _made(self, id, size, fraction, kind, np.random.default_rng([self.seed, id]))

    def __iter__(self) -> Iterator[LabSet]:
        return map(self.load, self.ids)


@dataclass(frozen=True)
class Scene:
    """The healthy part of one set and its spread on the log scale, from which the ill are measured."""

    family: Family
    healthy: Healthy
    low: float
    high: float

    @property
    def spread(self) -> float:
        return float(np.log(self.high / self.low) / (2 * Z))

    @property
    def middle(self) -> float:
        return self.healthy.percentile(50)


# Healthy part


def _healthy(family: Family, analyte: Analyte, rng: Generator) -> Healthy:
    """Drawn until the curve ends far outside the limits, above zero, and is not too skewed."""
    while True:
        low, high = analyte.low * np.exp(rng.normal(0, 0.04)), analyte.high * np.exp(rng.normal(0, 0.04))
        shift = low * (rng.uniform(0.2, 0.7) if rng.random() < 0.7 else -rng.uniform(0.2, 1.0))
        made = _through(low, high, _power(family, rng), shift if rng.random() < family.shifted else 0.0)
        if high > 1.05 * low and _usable(made):
            return made


def _power(family: Family, rng: Generator) -> float:
    named = rng.choice([0.0, 0.5, 1.0])
    return float(named if rng.random() < 0.5 else rng.uniform(*family.powers))


def _through(low: float, high: float, power: float, shift: float) -> Healthy:
    """The Box-Cox normal whose central 95 % lie between two limits."""
    ends = boxcox(np.array([low, high]) - shift, power)
    return Healthy(power, float(ends.mean()), float((ends[1] - ends[0]) / (2 * Z)), shift)


def _usable(made: Healthy) -> bool:
    ends_at = -made.mean / made.sd if made.power == 0 else (-1 / made.power - made.mean) / made.sd
    open_ended = made.power == 0 or abs(ends_at) > 4.5
    low, middle, high = (float(made.at(z)) for z in (-Z, 0, Z))
    return open_ended and made.z(0) < -4.5 and 0.7 < (high - middle) / (middle - low) < 6


def _analysers(made: Healthy, spread: float, family: Family, rng: Generator) -> Healthy:
    n = int(rng.integers(2, 5))
    factors = np.exp(rng.uniform(*family.offset) * spread * rng.normal(size=n))
    return replace(made, factors=tuple(map(float, factors)), shares=tuple(map(float, rng.dirichlet(np.full(n, 3.0)))))


def _drawn(made: Healthy, rng: Generator, n: int) -> Floats:
    z = rng.normal(size=n)
    values = made.at(np.clip(z, -4.5, 4.5))
    return values * rng.choice(made.factors, size=n, p=made.shares) if len(made.factors) > 1 else values


# Ill part


def _continuum(scene: Scene, side: int, rng: Generator) -> Ill:
    strength, effect = rng.uniform(*scene.family.severity) * scene.spread, scene.family.effect(rng)
    return lambda chance, n: _drawn(scene.healthy, chance, n) * (1 + strength * effect(chance, n)) ** side


def _heavy_tailed(scene: Scene, side: int, rng: Generator) -> Ill:
    distance = rng.uniform(*scene.family.distance) * scene.spread
    centre, width = scene.middle * np.exp(side * distance), rng.uniform(0.6, 1.6) * scene.spread
    if rng.random() < 0.5:
        tails = scene.family.tails(rng)
        return lambda chance, n: centre * (1 + width * tails(chance, n))
    wide = rng.uniform(1.2, 2.5) * scene.spread
    return lambda chance, n: centre * np.exp(wide * chance.normal(size=n))


def _peak(scene: Scene, side: int, rng: Generator) -> Ill:
    distance = rng.uniform(*scene.family.distance) * scene.spread
    centre, width = scene.middle * np.exp(side * distance), rng.uniform(0.7, 2.0) * scene.spread
    width, shape = min(width, 0.6), int(rng.integers(3))
    if shape == 0:
        return lambda chance, n: centre * (1 + width * chance.normal(size=n))
    if shape == 1:
        return lambda chance, n: centre * np.exp(width * chance.normal(size=n))
    return lambda chance, n: centre * chance.gamma(width**-2, width**2, size=n)


def _one_side(scene: Scene, side: int, rng: Generator) -> Ill:
    return (_continuum if rng.random() < 0.3 else _peak)(scene, side, rng)


def _both(scene: Scene, left: Ill, right: Ill, rng: Generator) -> Ill:
    share = rng.uniform(0.15, 0.85)

    def draw(chance: Generator, n: int) -> Floats:
        on_left = chance.binomial(n, share)
        return np.concatenate([left(chance, on_left), right(chance, n - on_left)])

    return draw


def _any_side(scene: Scene, make: Callable[[Scene, int, Generator], Ill], rng: Generator) -> Ill:
    where = rng.choice(["left", "right", "both"], p=[0.2, 0.4, 0.4])
    if where == "both":
        return _both(scene, make(scene, -1, rng), make(scene, 1, rng), rng)
    return make(scene, -1 if where == "left" else 1, rng)


def _ill(scene: Scene, kind: str, fraction: float, rng: Generator) -> Ill:
    """Drawn until the healthy can be told from the ill."""
    chance = np.random.default_rng(0)
    well = (1 - fraction) * _highest(scene, _drawn(scene.healthy, chance, 4_000))
    while True:
        drawn = _pathology(scene, kind, rng)
        probe = drawn(chance, 4_000)
        inside = np.mean((probe >= scene.low) & (probe <= scene.high))
        if inside <= MOST_INSIDE and fraction * _highest(scene, probe) <= HIGHEST_ILL * well:
            return drawn


def _highest(scene: Scene, values: Floats) -> float:
    """Largest share of the values in a class half a spread wide, on the log scale."""
    classes = np.floor(np.log(values[values > 0]) / (0.5 * scene.spread)).astype(np.int64)
    return float(np.unique(classes, return_counts=True)[1].max() / len(values))


def _pathology(scene: Scene, kind: str, rng: Generator) -> Ill:
    match kind:
        case "continuum":
            return _any_side(scene, _continuum, rng)
        case "heavy_tailed":
            return _any_side(scene, _heavy_tailed, rng)
        case "left" | "right":
            return _one_side(scene, -1 if kind == "left" else 1, rng)
        case "both":
            return _both(scene, _one_side(scene, -1, rng), _one_side(scene, 1, rng), rng)
        case _:
            return _any_side(scene, _one_side, rng)


# Reporting


def _possible(ill: Ill, high: float, rng: Generator, n: int) -> Floats:
    """Values that an analyser gives: above zero, and below a hundred times the upper limit."""
    values = ill(rng, n)
    while (wrong := (values <= 0) | (values > 100 * high)).any():
        values[wrong] = ill(rng, int(wrong.sum()))
    return values


def _step(analyte: Analyte, low: float, high: float, rng: Generator) -> float:
    """One unit of the last decimal reported; coarser or finer by a decimal in some sets."""
    coarsest = (high - low) / STEPS
    steps = [10.0**-analyte.decimals * finer for finer in (10, 1, 1, 0.1)]
    fit = [step for step in steps if step <= coarsest]
    return float(rng.choice(fit or [10 ** np.floor(np.log10(coarsest))]))


def _rounded(values: Floats, step: float) -> Floats:
    return np.round(np.round(values / step) * step, 9)


def _converted(values: Floats, analyte: Analyte, low: float, high: float) -> Floats:
    """Rounded in the other unit, to the coarsest decimal that keeps enough steps, then in the unit of report."""
    other = 10 ** np.floor(np.log10((high - low) / analyte.factor / (1.5 * STEPS)))
    back = _rounded(values / analyte.factor, other) * analyte.factor
    return _rounded(back, 10 ** np.floor(np.log10(other * analyte.factor)))


def _limit_of_detection(made: Healthy, step: float, family: Family, rng: Generator) -> float:
    """Below it lie 0.2 to some per cent of the healthy."""
    percent = np.exp(rng.uniform(*np.log(family.censored)))
    return max(step, float(_rounded(np.array(made.percentile(percent)), step)))


def _analyte(family: Family, kind: str, rng: Generator) -> Analyte:
    chosen = [
        each
        for each in family.analytes
        if (kind != "unit_rounding" or each.factor) and (kind != "detection_limit" or each.wide)
    ]
    return chosen[int(rng.integers(len(chosen)))]


def _made(family: Family, id: int, size: int, fraction: float, kind: str, rng: Generator) -> LabSet:
    analyte = _analyte(family, kind, rng)
    healthy = _healthy(family, analyte, rng)
    scene = Scene(family, healthy, healthy.percentile(2.5), healthy.percentile(97.5))
    if kind == "analysers":
        scene = replace(scene, healthy=_analysers(healthy, scene.spread, family, rng))
    values, is_healthy = _results(scene, size, fraction, kind, rng)
    step = _step(analyte, scene.low, scene.high, rng)
    limit = _limit_of_detection(healthy, step, family, rng) if kind == "detection_limit" else None
    if kind == "unit_rounding":
        values = _converted(values, analyte, scene.low, scene.high)
    else:
        values = _rounded(np.maximum(values, limit or 0.0), step)
    return _counted(family, id, analyte, kind, fraction, scene.healthy, limit, values, is_healthy)


def _results(scene: Scene, size: int, fraction: float, kind: str, rng: Generator) -> tuple[Floats, Floats]:
    """All values, and which are healthy."""
    errors = rng.binomial(size, GROSS_ERRORS if rng.random() < 1 / 3 else 0.0)
    n_ill = rng.binomial(size - errors, fraction)
    ill = _possible(_ill(scene, kind, fraction, rng), scene.high, rng, n_ill) if fraction else np.array([])
    wrong = rng.uniform(0, 4 * scene.high, size=errors)
    well = _drawn(scene.healthy, rng, size - errors - n_ill)
    return np.concatenate([well, ill, wrong]), np.repeat([1.0, 0.0], [len(well), n_ill + errors])


def _counted(
    family: Family,
    id: int,
    analyte: Analyte,
    kind: str,
    fraction: float,
    healthy: Healthy,
    detection_limit: float | None,
    values: Floats,
    is_healthy: Floats,
) -> LabSet:
    cells, place = np.unique(values, return_inverse=True)
    return LabSet(
        suite=family.name,
        id=id,
        analyte=analyte.name,
        kind=kind,
        size=len(values),
        fraction=fraction,
        values=cells,
        counts=np.bincount(place),
        percentiles=(2.5, 97.5),
        healthy=healthy,
        limits=(healthy.percentile(2.5), healthy.percentile(97.5)),
        detection_limit=detection_limit,
        healthy_counts=np.bincount(place, weights=is_healthy).astype(np.int64),
    )


# Families


def _gamma(rng: Generator) -> Ill:
    """Of mean 1; the exponential in half of the sets."""
    shape = float(rng.choice([1.0, rng.uniform(0.8, 3.0)]))
    return lambda chance, n: chance.gamma(shape, 1 / shape, size=n)


def _weibull(rng: Generator) -> Ill:
    shape = rng.uniform(0.9, 1.8)
    return lambda chance, n: chance.weibull(shape, size=n)


def _student(rng: Generator) -> Ill:
    freedom = rng.integers(2, 6)
    return lambda chance, n: chance.standard_t(freedom, size=n)


def _uneven_student(rng: Generator) -> Ill:
    """A t whose spread differs from person to person."""
    freedom = rng.uniform(2.5, 6)
    return lambda chance, n: chance.standard_t(freedom, size=n) * chance.gamma(2.0, 0.5, size=n)


STRESS = Family(
    name="stress",
    seed=20_260_101,
    analytes=(
        Analyte("leukocytes", 3.8, 10.2, 1),
        Analyte("neutrophils", 1.7, 7.2, 2),
        Analyte("lymphocytes", 1.0, 3.4, 2),
        Analyte("monocytes", 0.25, 0.9, 2),
        Analyte("platelets", 155, 370, 0),
        Analyte("haemoglobin", 122, 157, 0, 16.11),
        Analyte("MCV", 81, 98, 1),
        Analyte("potassium", 3.6, 5.0, 1),
        Analyte("sodium", 135.5, 145, 0),
        Analyte("creatinine", 52, 100, 0, 88.4),
        Analyte("ALT", 9, 48, 0, 60.0),
        Analyte("ALP", 38, 118, 0),
        Analyte("urea", 2.6, 7.8, 1, 0.357),
        Analyte("albumin", 36, 49, 0),
        Analyte("bilirubin", 4, 22, 0, 17.1),
        Analyte("ferritin", 18, 280, 0),
        Analyte("phosphate", 0.78, 1.45, 2, 0.323),
    ),
    powers=(-0.5, 1.0),
    shifted=0.25,
    severity=(1.5, 7.0),
    distance=(2.8, 6.5),
    effect=_gamma,
    tails=_student,
    offset=(0.1, 0.5),
    censored=(0.2, 15.0),
)

HELD_OUT = Family(
    name="held_out",
    seed=77_003_141,
    analytes=(
        Analyte("eosinophils", 0.04, 0.42, 2),
        Analyte("reticulocytes", 26, 105, 0),
        Analyte("haematocrit", 0.36, 0.46, 3),
        Analyte("RDW", 11.8, 14.6, 1),
        Analyte("MCH", 27.0, 32.6, 1, 16.11),
        Analyte("chloride", 98, 107.5, 0),
        Analyte("magnesium", 0.70, 1.02, 2, 0.4114),
        Analyte("urate", 165, 420, 0, 59.48),
        Analyte("amylase", 26, 105, 0),
        Analyte("creatine kinase", 38, 205, 0),
        Analyte("triglycerides", 0.5, 2.4, 2, 0.01129),
        Analyte("HDL cholesterol", 0.95, 2.2, 2, 0.02586),
        Analyte("glucose", 3.9, 5.8, 1, 0.0555),
        Analyte("parathyrin", 1.5, 7.4, 1, 0.106),
        Analyte("vitamin B12", 140, 610, 0, 0.738),
        Analyte("transferrin", 2.0, 3.4, 2),
    ),
    powers=(-0.6, 1.2),
    shifted=0.35,
    severity=(2.0, 8.0),
    distance=(2.6, 7.0),
    effect=_weibull,
    tails=_uneven_student,
    offset=(0.05, 0.6),
    censored=(0.3, 20.0),
)

FAMILIES = {family.name: family for family in (STRESS, HELD_OUT)}
