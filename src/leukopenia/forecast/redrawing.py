"""One low count: have the cells moved, or are they not made? When the next count tells. Research use."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from leukopenia.errors import UsageError
from leukopenia.forecast.model_card import Card, Parameter
from leukopenia.forecast.regimen import Array, Regimen, sorted_times
from leukopenia.forecast.solving import solve

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
STEP = 0.02
LOGS = np.arange(math.log(0.005), math.log(200.0), STEP)
"""The logarithms of counts at which densities are held."""
LEAST = 1e-12
"""A first count that is less probable than this is not explained."""
PEOPLE, DEPTHS, RELEASES, REMOVALS = 17, 11, 5, 5
"""Points within three standard deviations of what differs between people."""
ONSETS, BEGINNINGS, LOSSES = 24, 24, 20
"""Points within what is equally probable."""
COURSE_STEP = 0.05


@dataclass(frozen=True)
class Redraw:
    """What the next count would say, hour by hour after the first.

    Attributes
    ----------
    hours : array (T,)
        Hours between the first count and the next.
    overlap : array (T,)
        The part that the two predictive distributions of the next count share: 1 alike, 0 apart.
    information : array (T,)
        Bits that the next count is expected to give on which of the two it is, if both were as probable before.
    ratio_if_moved, ratio_if_not_made : array (T,)
        The likelihood ratio, cells moved over cells not made, if the next count is the median of the one or the other.
    moved, not_made : array (5, T)
        Quantiles of the next count, 10^9/L (5, 25, 50, 75, 95 %).
    first_ratio : float
        The likelihood ratio of the first count alone. It hangs on what is assumed of both.
    separated : float or None
        The first hour at which the overlap is below `limit`.
    best : float
        The hour of the greatest information.
    limit : float
    """

    hours: Array
    overlap: Array
    information: Array
    ratio_if_moved: Array
    ratio_if_not_made: Array
    moved: Array
    not_made: Array
    first_ratio: float
    limit: float
    densities: Array = field(repr=False)

    @property
    def separated(self) -> float | None:
        """The first hour at which the overlap is below the limit."""
        below = self.overlap < self.limit
        return float(self.hours[below.argmax()]) if below.any() else None

    @property
    def best(self) -> float:
        """The hour at which the next count is expected to tell most."""
        return float(self.hours[self.information.argmax()])

    def ratio(self, hour: float, count: float) -> float:
        """The likelihood ratio of a next count, cells moved over cells not made, at the nearest hour of the grid.

        Raises
        ------
        UsageError
            The count is not positive.
        """
        _positive(count)
        at = int(np.abs(self.hours - hour).argmin())
        moved, not_made = (np.interp(math.log(count), LOGS, one) for one in self.densities[:, at])
        return float(moved / not_made)


@dataclass(frozen=True)
class _Courses:
    """Possible courses: how probable before any count; logarithms of the first count and of the next ones."""

    probable: Array
    first: Array
    following: Array


def redraw(
    count: float,
    since: tuple[float, float],
    redistribution: Card,
    arrest: Card,
    *,
    dose: float = 1.0,
    slower: float = 1.0,
    hours: Any = None,
    limit: float = 0.05,
    doubt: float = 0.01,
) -> Redraw:
    """When the next count separates cells that moved from cells that are not made.

    Parameters
    ----------
    count : float
        The low count, 10^9/L.
    since : tuple of float
        Between how many and how many hours ago the illness began.
    redistribution, arrest : Card
        The two explanations.
    dose : float
        Strength of the stimulus, in the dose of the card (ng/kg of endotoxin).
    slower : float
        How many times slower than endotoxin the illness runs.
    hours : sequence of float (T,), optional
        Hours between the counts; every half hour of a day if not given.
    limit : float
        The overlap below which the two count as apart.
    doubt : float
        How probable it is that the next count follows neither course; it may then be anything. No count proves more
        than this allows.

    Returns
    -------
    Redraw

    Raises
    ------
    UsageError
        A count or a time that cannot be, or a count that one of the explanations never gives.

    Notes
    -----
    Each explanation is a set of courses over what is not known: the usual count of the person, the depth of the fall
    and the release, the hour of the onset; or the usual count, the removal, how much of the inflow is lost and for how
    long it has been. The spreads are those of the cards. Courses are weighted by the first count, and the next count
    follows from them with the error of the card on the logarithm. The information is the Jensen-Shannon divergence.
    """
    _check(count, since, slower)
    _check_shares(limit, doubt)
    asked = np.arange(0.5, 24.25, 0.5) if hours is None else sorted_times(hours, "The hours")
    moved = _next(_moved(redistribution, since, dose, slower, asked), count, redistribution)
    not_made = _next(_not_made(arrest, asked), count, arrest)
    anything = doubt / (LOGS.size * STEP)
    densities = (1.0 - doubt) * np.array([moved[0], not_made[0]]) + anything
    return _compared(asked, densities, moved[1] / not_made[1], limit)


def _check(count: float, since: tuple[float, float], slower: float) -> None:
    _positive(count)
    if not (0 <= since[0] <= since[1] < math.inf and slower > 0):
        raise UsageError(
            "The hours since the onset cannot be used as given.",
            f"{since}, {slower} times slower.",
            "Give the least and the greatest number of hours, none negative.",
        )


def _check_shares(limit: float, doubt: float) -> None:
    if not (0 < doubt < limit < 1):
        raise UsageError("The doubt must be positive and below the limit.", f"{doubt:g} and {limit:g}.")


def _positive(count: float) -> None:
    if not 0 < count < math.inf:
        raise UsageError("A count must be positive.", "", "Give the limit of detection for a count below it.")


def _spread(parameter: Parameter, n: int) -> tuple[Array, Array]:
    """Values of what differs between people, and how probable each is."""
    z = np.linspace(-3.0, 3.0, n)
    bell = np.exp(-0.5 * z**2)
    return parameter.value * np.exp(math.sqrt(parameter.variance or 0.0) * z), bell / bell.sum()


def _middles(n: int) -> Array:
    return (np.arange(n) + 0.5) / n


def _crossed(*parts: Array) -> list[Array]:
    """Every combination of the values."""
    return [part.ravel() for part in np.meshgrid(*parts, indexing="ij")]


def _moved(card: Card, since: tuple[float, float], dose: float, slower: float, hours: Array) -> _Courses:
    """Every course is a usual count times a shape, for the equations are linear in the cells."""
    depth, release = (_spread(card.parameters[name], n) for name, n in (("margination", DEPTHS), ("release", RELEASES)))
    depths, releases = _crossed(depth[0], release[0])
    onset = since[0] + (since[1] - since[0]) * _middles(ONSETS)
    course = np.arange(0.0, (since[1] + hours[-1]) / slower + 2 * COURSE_STEP, COURSE_STEP)
    own = {"circ0": np.ones(depths.size), "margination": depths, "release": releases}
    shapes = np.log(solve(card, Regimen([0.0], dose), course, own))
    at = (onset[:, None] + np.append(0.0, hours)) / slower
    logs = np.array([np.interp(at, course, shape) for shape in shapes]).reshape(-1, hours.size + 1)
    return _of_people(np.repeat(np.outer(depth[1], release[1]).ravel(), ONSETS), logs, card)


def _not_made(card: Card, hours: Array) -> _Courses:
    """The inflow falls to a share of what it was, some time before the first count."""
    removal, probable = _spread(card.parameters["kcirc"], REMOVALS)
    begun = card.parameters["duration"].value * _middles(BEGINNINGS)
    k, ago, lost = _crossed(removal, begun, _middles(LOSSES))
    left = np.exp(-k[:, None] * (ago[:, None] + np.append(0.0, hours)))
    return _of_people(np.repeat(probable, BEGINNINGS * LOSSES), np.log(1.0 - lost[:, None] * (1.0 - left)), card)


def _of_people(probable: Array, logs: Array, card: Card) -> _Courses:
    """The courses for every usual count."""
    usual, share = _spread(card.parameters["circ0"], PEOPLE)
    both = (np.log(usual)[:, None, None] + logs).reshape(-1, logs.shape[1])
    return _Courses(np.outer(share, probable).ravel() / probable.sum(), both[:, 0], both[:, 1:])


def _next(courses: _Courses, count: float, card: Card) -> tuple[Array, float]:
    """Densities (T, G) of the logarithm of the next count, and how probable the card made the first."""
    if card.residual is None:
        raise UsageError(f"The card {card.name} has no residual error.", "", "Use another card.")
    error = card.residual
    off = (math.log(count) - courses.first) / error
    fits = np.exp(-0.5 * off**2) / (error * math.sqrt(2.0 * math.pi))
    explained = float(courses.probable @ fits)
    if explained < LEAST:
        raise UsageError(f"{card.name} never gives such a count at these hours.", "", "Look for another explanation.")
    edges = np.append(LOGS, LOGS[-1] + STEP) - STEP / 2.0
    weights = courses.probable * fits / explained
    masses = [np.histogram(one, edges, weights=weights)[0] for one in courses.following.T]
    bell = _bell(error)
    return np.array([np.convolve(one, bell, mode="same") / STEP for one in masses]), explained


def _bell(error: float) -> Array:
    """The error of a count, on the steps of the logarithms."""
    reach = math.ceil(5.0 * error / STEP)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) * STEP / error) ** 2)
    return bell / bell.sum()


def _compared(hours: Array, densities: Array, first_ratio: float, limit: float) -> Redraw:
    moved, not_made = densities
    middle = (moved + not_made) / 2.0
    bits = (moved * np.log2(moved / middle) + not_made * np.log2(not_made / middle)).sum(axis=1) * STEP / 2.0
    bands = [_quantiles(one) for one in densities]
    log_ratio = np.log(moved / not_made)
    at = [[float(np.interp(np.log(x), LOGS, row)) for x, row in zip(b[2], log_ratio, strict=True)] for b in bands]
    ratios = np.exp(np.array(at))
    overlap = np.minimum(moved, not_made).sum(axis=1) * STEP
    return Redraw(hours, overlap, bits, ratios[0], ratios[1], bands[0], bands[1], first_ratio, limit, densities)


def _quantiles(densities: Array) -> Array:
    mass = densities.cumsum(axis=1)
    logs = np.array([np.interp(QUANTILES, row / row[-1], LOGS + STEP / 2.0) for row in mass])
    return np.exp(logs).T
