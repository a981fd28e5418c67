"""One person, one card: counts, regimen and card -> a problem to fit, and its mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leukopenia.errors import UsageError
from leukopenia.forecast import friberg, likelihood
from leukopenia.forecast.exposure import segments
from leukopenia.forecast.model_card import Card, check_person
from leukopenia.forecast.regimen import Array, Regimen, sorted_times, vector
from leukopenia.forecast.solving import individual, kinetics

FORMS = {"proportional": likelihood.PROPORTIONAL, "log_additive": likelihood.LOG_ADDITIVE}
MOVED: dict[str, tuple[tuple[int, float], ...]] = {
    "circ0": ((friberg.CIRC0, 1.0),),
    "mtt": ((friberg.KTR, -1.0), (friberg.KCIRC, -1.0)),
    "gamma": ((friberg.GAMMA, 1.0),),
    "slope": ((friberg.SLOPE, 1.0),),
    "emax": ((friberg.SLOPE, 1.0),),
    "ec50": ((friberg.SLOPE, -1.0), (friberg.PER_EC50, -1.0)),
    "kcirc": ((friberg.KCIRC, 1.0),),
}
"""Which constants of the chain a parameter moves, in logarithms."""

RTOL = 1e-8


@dataclass(frozen=True)
class Counts:
    """Measured counts.

    Parameters
    ----------
    times : sequence of float
        Hours, sorted, on the clock of the regimen.
    values : sequence of float
        10^9/L; above 0.
    below : sequence of bool, optional
        True where the value is the limit of detection and the count lies under it.
    """

    times: Sequence[float] | Array
    values: Sequence[float] | Array
    below: Sequence[bool] | npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        times = sorted_times(self.times, "The times of counts") if np.size(self.times) else np.empty(0)
        values = vector(self.values, "Counts") if np.size(self.values) else np.empty(0)
        below = np.zeros(times.size, np.bool_) if self.below is None else np.asarray(self.below, np.bool_)
        if not times.size == values.size == below.size or (values <= 0).any():
            raise UsageError(
                "Counts cannot be used as given.",
                f"{times.size} times, {values.size} counts, {int((values <= 0).sum())} of them not above 0.",
                "Give one count for each time; a count of 0 is below a limit of detection: give the limit and below.",
            )
        for name, made in (("times", times), ("values", values), ("below", below)):
            object.__setattr__(self, name, made)

    def until(self, time: float) -> Counts:
        """The counts known at a time."""
        known = np.asarray(self.times) <= time
        return Counts(*(np.asarray(x)[known] for x in (self.times, self.values, self.below)))


@dataclass(frozen=True)
class Problem:
    """What the kernels need to fit one person; see `leukopenia.forecast.likelihood.find_mode`."""

    names: tuple[str, ...]
    theta: Array
    loading: Array
    precision: Array
    segments: Array
    times: Array
    y: Array
    below: npt.NDArray[np.bool_]
    form: int
    sd: float


@dataclass(frozen=True)
class Mode:
    """The most probable effects of a person, the information there, and minus twice the log likelihoods."""

    eta: Array
    information: Array
    objective: float
    marginal: float


def problem(counts: Counts, regimen: Regimen, card: Card, unverified: bool = False) -> Problem:
    """Put one person and one card together.

    Raises
    ------
    UsageError
        The card may not forecast a person; see `leukopenia.forecast.model_card.check_person`.
    """
    check_person(card, unverified)
    values = individual(card, regimen, {})[0]
    names = tuple(parameter.name for parameter in card.varying)
    loading = np.zeros((friberg.KINETICS, len(names)))
    for column, name in enumerate(names):
        for row, way in MOVED[name]:
            if not (name == "mtt" and row == friberg.KCIRC and "kcirc" in card.parameters):
                loading[row, column] = way
    return Problem(
        names=names,
        theta=kinetics(values, 1)[0],
        loading=loading,
        precision=np.array([1.0 / parameter.variance for parameter in card.varying if parameter.variance]),
        segments=segments(card, regimen, values, 1)[1][0],
        times=np.asarray(counts.times),
        y=np.asarray(counts.values),
        below=np.asarray(counts.below),
        form=FORMS[card.residual_form],
        sd=float(card.residual or 0.0),
    )


def mode(one: Problem, start: Any = None, rtol: float = RTOL) -> Mode:
    """The mode of one person's effects; NONMEM's post hoc estimate, with its FOCEI objective as `marginal`.

    Raises
    ------
    UsageError
        The equations cannot be solved for this regimen.
    """
    k = len(one.names)
    eta = np.zeros(k) if start is None else np.array(start, dtype=np.float64)
    information = np.diag(one.precision)
    if one.times.size == 0:
        return Mode(np.zeros(k), information, 0.0, 0.0)
    counts = (one.times, one.y, one.below, one.form, one.sd)
    objective = likelihood.find_mode(
        one.theta, one.loading, one.precision, one.segments, *counts, rtol, eta, information
    )
    if objective >= likelihood.HUGE:
        raise UsageError("The model cannot be solved for this regimen.", "", "Check the units of doses and times.")
    return Mode(eta, information, objective, likelihood.laplace(objective, information, one.precision))
