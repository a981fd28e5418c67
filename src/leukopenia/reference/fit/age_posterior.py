"""Curves of L, M and S from all models together, each with its weight; limits and their uncertainty at any age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopenia.reference.fit.age_cells import AgeCells
from leukopenia.reference.fit.age_climb import Mode, Slope, climb, healthy_shares
from leukopenia.reference.fit.age_starts import coefficients, path, shapes, windows
from leukopenia.reference.fit.age_terms import HEALTHY, Terms
from leukopenia.reference.fit.mixture import parts as mixture_parts
from leukopenia.reference.fit.mixture import shares, workspace
from leukopenia.reference.fit.parts import ABSENT, SIZE
from leukopenia.reference.fit.posterior import quantile
from leukopenia.reference.fit.power import restore
from leukopenia.reference.fit.search import label_cost

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SHAPES = 6
_INFORMATIVE = 20_000.0
"""No shape of ours is exact: more results than about this tell no more about it."""

_TOLERANCE, _TOLERATED = 5.0, 5_000.0
"""Differences of log evidence count for less the more results there are, down to a fifth: shapes are approximations,
and many results would choose between them with a certainty that none deserves. Set so that intervals cover."""

_ROUGH_ROUNDS, _NEAR = 4, 20.0
_LEAST_DISPERSION, _EXPECTED = 1.25, 5.0
_STRANGE_AGES = 8
_ALLOWANCE = 0.6
"""Standard deviations of the healthy for each unit of the share taken to be ill: about what limits were off in
simulations with ill of other shapes than the model's (benchmarks/reference_by_age.md)."""

_FLOOR = 1e-3
_NEGLIGIBLE = 12.0


@dataclass(frozen=True)
class Curves:
    """L, M and S at ages.

    Attributes
    ----------
    power, median, spread : (ages,) arrays
    each : (models, ages, 3) array
        Exponent, centre and width under each model, as `parts` defines them.
    covariances : (models, ages, 3, 3) array
    allowance : (ages,) array
        Standard deviation, in healthy units, for what the shapes of the ill miss.
    weights : (models,) array
    scale : (4,) array
    """

    power: Floats
    median: Floats
    spread: Floats
    each: Floats
    covariances: Floats
    allowance: Floats
    weights: Floats
    scale: Floats

    def values(self, z: float) -> Floats:
        """Value at a z-score, shape (ages,)."""
        return self.median * restore(self.spread * z, self.power)

    def errors(self) -> Floats:
        """Standard errors of L, M and S, shape (ages, 3)."""
        centre = np.tensordot(self.weights, self.each, 1)
        inner = np.einsum("maii->mai", self.covariances) + (self.each - centre) ** 2
        error = np.sqrt(np.tensordot(self.weights, inner, 1))
        return error * np.stack([np.ones_like(self.median), self.median * self.scale[1], self.spread], axis=1)

    def intervals(self, z: float, confidence: float) -> Floats:
        """Credible interval of the value at a z-score, shape (ages, 2)."""
        means, errors = (np.ascontiguousarray(each.T) for each in self._logs(z))
        tails = (0.5 - confidence / 2, 0.5 + confidence / 2)
        ends = [[quantile(self.weights, m, e, tail) for tail in tails] for m, e in zip(means, errors, strict=True)]
        return np.exp(np.array(ends)).reshape(-1, 2)

    def unsure(self, z: float) -> Floats:
        """Standard deviation of the posterior of the value at a z-score, in standard deviations of the healthy."""
        means, errors = self._logs(z)
        centre = self.weights @ means
        variance = self.weights @ (errors**2 + (means - centre) ** 2)
        one = self.weights @ (self._log_values(z + 0.5) - self._log_values(z - 0.5))
        return np.asarray(np.sqrt(variance) / np.maximum(one, 1e-9))

    def _log_values(self, z: float, moved: Floats | None = None) -> Floats:
        each = self.each if moved is None else self.each + moved
        power, step = each[..., 0], self.scale[1] * np.exp(each[..., 2]) * z
        bend = np.where(np.abs(power) < 1e-6, 1e-6, power)
        grown = np.log(np.maximum(1.0 + bend * step, _FLOOR)) / bend
        return self.scale[0] + self.scale[1] * each[..., 1] + grown

    def _logs(self, z: float, by: float = 1e-4) -> tuple[Floats, Floats]:
        steps = by * np.eye(3)
        slope = np.stack([(self._log_values(z, s) - self._log_values(z, -s)) / (2 * by) for s in steps], axis=-1)
        variance = np.einsum("mai,maij,maj->ma", slope, self.covariances, slope)
        one = self._log_values(z + 0.5) - self._log_values(z - 0.5)
        return self._log_values(z), np.sqrt(np.maximum(variance + (self.allowance * one) ** 2, 1e-16))


@dataclass(frozen=True)
class Model:
    """A mode under one pair of shapes, with its covariance (dispersion allowed for)."""

    mode: Mode
    shape: tuple[int, int]
    covariance: Floats


@dataclass(frozen=True)
class AgePosterior:
    """Models with their weights, the heaviest first.

    Attributes
    ----------
    cells : AgeCells
    terms : Terms
    models : list of Model
    weights : (models,) array
    dispersion : float
        How much worse than chance the best model fits; 1 where it does not.
    """

    cells: AgeCells
    terms: Terms
    models: list[Model]
    weights: Floats
    dispersion: float

    def curves(self, places: Floats, strata: Integers) -> Curves:
        """L, M and S at places on the scale of `ages.place`."""
        whole, owners = self.terms.design(places, strata), self.terms.owners
        own = [np.flatnonzero(owners == parameter) for parameter in HEALTHY]
        parts = [np.ascontiguousarray(whole[:, columns]) for columns in own]
        each = np.array([_healthy(parts, own, model.mode.coefficients) for model in self.models])
        covariances = np.array([_covariances(parts, own, model.covariance) for model in self.models])
        mean, scale = np.tensordot(self.weights, each, 1), self.cells.scale
        median, spread = np.exp(scale[0] + scale[1] * mean[:, 1]), scale[1] * np.exp(mean[:, 2])
        allowance = _ALLOWANCE * (1.0 - self._healthy_shares(whole))
        return Curves(mean[:, 0], median, spread, each, covariances, allowance, self.weights, scale)

    def healthy_fractions(self, places: Floats, strata: Integers) -> Floats:
        """Share of the results at each place taken to be healthy."""
        return self._healthy_shares(self.terms.design(places, strata))

    def _healthy_shares(self, design: Floats) -> Floats:
        members = np.equal.outer(self.terms.owners, np.arange(SIZE)).astype(np.float64)
        each = [healthy_shares((design * m.mode.coefficients) @ members, *m.shape) for m in self.models]
        return np.asarray(self.weights @ np.array(each))

    def freedom(self) -> dict[int, float]:
        """Effective degrees of freedom of each parameter that is a curve, in the heaviest model."""
        free, found = self.models[0].mode.freedom, dict.fromkeys(HEALTHY, 0.0)
        for term, where in zip(self.terms.each, self.terms.slices, strict=True):
            if term.basis.intervals or term.parameter in found:
                found[term.parameter] = found.get(term.parameter, 0.0) + float(free[where].sum())
        return found


def _healthy(parts: list[Floats], own: list[Integers], coefficients: Floats) -> Floats:
    return np.stack([x @ coefficients[columns] for x, columns in zip(parts, own, strict=True)], axis=1)


def _covariances(parts: list[Floats], own: list[Integers], covariance: Floats) -> Floats:
    """Of L, M and S at each place, shape (places, 3, 3)."""
    made = np.empty((len(parts[0]), 3, 3))
    for i in range(3):
        for j in range(i + 1):
            made[:, i, j] = ((parts[i] @ covariance[np.ix_(own[i], own[j])]) * parts[j]).sum(axis=1)
            made[:, j, i] = made[:, i, j]
    return made


def healthy_only(made: AgeCells, parts: Terms) -> AgePosterior:
    """The direct curves: L, M and S alone, with a few stray results."""
    slope = Slope(made, parts, (ABSENT, ABSENT))
    return _weighed(made, parts, [(climb(slope, slope.mean.copy(), parts.strengths()), slope)])


def mixed(made: AgeCells, parts: Terms) -> AgePosterior:
    """The indirect curves: the mixture, started from single fits in windows of age, its shapes averaged."""
    found = windows(made)
    steady, free = path(found), path(found, jump=np.inf)
    starts = [steady] if np.allclose(steady, free) else [steady, free]
    rough = []
    for shape in shapes(found, _SHAPES):
        slope = Slope(made, parts, shape, _INFORMATIVE)
        for theta in starts:
            rough.append((climb(slope, coefficients(slope, found, theta), parts.strengths(), _ROUGH_ROUNDS), slope))
    best = max(_evidence(mode, slope, 1.0) for mode, slope in rough)
    kept = [(mode, slope) for mode, slope in rough if _evidence(mode, slope, 1.0) > best - _NEAR]
    fine = [(climb(slope, mode.coefficients, mode.strengths), slope) for mode, slope in kept]
    return _weighed(made, parts, fine)


def _weighed(made: AgeCells, parts: Terms, found: list[tuple[Mode, Slope]]) -> AgePosterior:
    """Weigh by evidence; a mode that was found twice under one pair of shapes counts once."""
    best = max(found, key=lambda each: each[0].data + each[0].prior + each[0].volume)
    dispersion = _dispersion(*best)
    evidence = np.array([_evidence(mode, slope, dispersion) for mode, slope in found])
    tolerance, kept = min(1.0 + made.n / _TOLERATED, _TOLERANCE), list[int]()
    for k in np.argsort(-evidence, kind="stable"):
        twin = [j for j in kept if found[j][1].shape == found[k][1].shape and _alike(found[j], found[k])]
        if not twin and evidence[k] > evidence.max() - _NEGLIGIBLE * tolerance:
            kept.append(int(k))
    weights = np.exp((evidence[kept] - evidence.max()) / tolerance)
    models = [Model(mode, slope.shape, _widened(mode, dispersion)) for mode, slope in (found[k] for k in kept)]
    return AgePosterior(made, parts, models, weights / weights.sum(), dispersion)


def _alike(one: tuple[Mode, Slope], other: tuple[Mode, Slope]) -> bool:
    slope = one[1]
    off = slope.parameters(one[0].coefficients) - slope.parameters(other[0].coefficients)
    return bool(np.abs(off[:, list(HEALTHY)]).max() < 0.1)


def _widened(mode: Mode, dispersion: float) -> Floats:
    if dispersion == 1.0:
        return mode.covariance
    precision = np.linalg.inv(mode.covariance) - mode.information
    return np.asarray(np.linalg.inv(precision + mode.information / dispersion), dtype=np.float64)


def _evidence(mode: Mode, slope: Slope, dispersion: float) -> float:
    return mode.data / dispersion + mode.prior + mode.volume - _strange(mode, slope)


def _strange(mode: Mode, slope: Slope) -> float:
    """What it costs that an ill part, not the healthy, makes the highest hump, over a few ages."""
    if slope.shape == (ABSENT, ABSENT):
        return 0.0
    eta = slope.parameters(mode.coefficients)
    work = workspace(len(slope.made.pooled.edges))
    at = np.argsort(slope.made.places)[np.linspace(0, len(eta) - 1, _STRANGE_AGES).astype(int)]
    edges = slope.made.pooled.edges
    return sum(label_cost(eta[r], *slope.shape, edges, slope.made.log_edges, slope.made.scale, work) for r in at)


def _dispersion(mode: Mode, slope: Slope) -> float:
    """Pearson's statistic over its degrees of freedom, in cells large enough for it."""
    observed, expected = slope.counts, _expected(mode, slope)
    order = np.argsort(slope.made.places, kind="stable")
    blocks = np.array_split(order, _STRANGE_AGES)
    seen = np.concatenate([observed[b].sum(axis=0) for b in blocks])
    awaited = np.concatenate([expected[b].sum(axis=0) for b in blocks])
    large = awaited >= _EXPECTED
    free = max(float(large.sum()) - min(float(mode.freedom.sum()), 0.5 * float(large.sum())), 1.0)
    found = float(((seen - awaited)[large] ** 2 / awaited[large]).sum()) / free
    return found if found > _LEAST_DISPERSION else 1.0


def _expected(mode: Mode, slope: Slope) -> Floats:
    edges = slope.made.pooled.edges
    cdf, slopes, _, _ = workspace(len(edges))
    made = np.empty_like(slope.counts)
    for r, theta in enumerate(slope.parameters(mode.coefficients)):
        mixture_parts(theta, *slope.shape, edges, slope.made.log_edges, slope.made.scale, cdf, slopes)
        inside = np.diff(cdf, prepend=0.0, append=1.0, axis=1)
        made[r] = slope.counts[r].sum() * (shares(theta, *slope.shape) @ inside)
    return made
