"""What was given and what was known of a person, in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from leukopenia.errors import UsageError

Array = npt.NDArray[np.float64]
CARRIES = ("backward", "forward")


def vector(values: Any, name: str) -> Array:
    """A one-dimensional array of finite numbers.

    Raises
    ------
    UsageError
        It is not.
    """
    try:
        array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        raise UsageError(f"{name} must be numbers.", "", "Give a list or array of numbers.") from None
    if array.ndim != 1 or not np.isfinite(array).all():
        raise UsageError(
            f"{name} must be finite numbers in one dimension.",
            f"Found shape {array.shape}, {int((~np.isfinite(array)).sum())} not finite.",
            "Leave out what is not known.",
        )
    return array


def sorted_times(values: Any, name: str) -> Array:
    """A vector that does not go back in time; see `vector`."""
    array = vector(values, name)
    if (np.diff(array) < 0).any():
        raise UsageError(f"{name} must be in the order of time.", "", "Sort them.")
    return array


@dataclass(frozen=True)
class Series:
    """Values in time.

    Parameters
    ----------
    times : sequence of float
        Hours.
    values : sequence of float
        One for each time.
    carry : {'', 'backward', 'forward'}
        `backward`: a value holds from the time before up to its own (NONMEM's default, NOCB); `forward`: from its
        own time up to the next (LOCF). Empty: as the card says. The two give different answers.
    """

    times: Sequence[float] | Array
    values: Sequence[float] | Array
    carry: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", sorted_times(self.times, "The times of a series"))
        object.__setattr__(self, "values", vector(self.values, "The values of a series"))
        if len(self.times) != len(self.values):
            raise UsageError("A series needs one value for each time.", f"{len(self.times)} and {len(self.values)}.")
        if self.carry not in ("", *CARRIES):
            raise UsageError("Unknown way to carry a series.", self.carry, "Use 'backward' or 'forward'.")

    def during(self, starts: Array, ends: Array, carry: str) -> Array:
        """The value in force in each interval: the first at or after its end, or the last at or before its start."""
        times, values = np.asarray(self.times), np.asarray(self.values)
        if (self.carry or carry) == "backward":
            return values[np.minimum(np.searchsorted(times, ends - 1e-9), times.size - 1)]
        return values[np.maximum(np.searchsorted(times, starts + 1e-9, side="right") - 1, 0)]


@dataclass(frozen=True)
class Regimen:
    """Doses, and what is known of the person who takes them.

    Parameters
    ----------
    times : sequence of float
        Hours at which a dose begins, sorted.
    amounts : float or sequence of float
        In the dose unit of the card.
    durations : float or sequence of float
        Hours of infusion; 0 for a bolus.
    covariates : mapping of str to float or Series
        By the names of the card. A `Series` may take the place of a parameter of exposure (`v1`, `cl`, ...).
    concentration : Series, optional
        The concentration itself, in the unit of the card, in place of doses.
    """

    times: Sequence[float] | Array = ()
    amounts: float | Sequence[float] | Array = ()
    durations: float | Sequence[float] | Array = 0.0
    covariates: Mapping[str, float | Series] = field(default_factory=dict)
    concentration: Series | None = None

    def __post_init__(self) -> None:
        times = sorted_times(self.times, "The times of doses") if np.size(self.times) else np.empty(0)
        object.__setattr__(self, "times", times)
        for name in ("amounts", "durations"):
            object.__setattr__(self, name, _one_each(getattr(self, name), times.size, name))

    @property
    def fixed(self) -> dict[str, float]:
        """The covariates that do not change."""
        return {name: float(x) for name, x in self.covariates.items() if not isinstance(x, Series)}

    @property
    def changing(self) -> dict[str, Series]:
        """The covariates that change in time."""
        return {name: x for name, x in self.covariates.items() if isinstance(x, Series)}


def _one_each(values: Any, n: int, name: str) -> Array:
    if n == 0:
        return np.empty(0)
    array = vector(values, f"The {name} of doses")
    if array.size == 1:
        array = np.repeat(array, n)
    if array.size != n or (array < 0).any():
        raise UsageError(
            f"The {name} of doses cannot be used as given.",
            f"{array.size} for {n} doses, {int((array < 0).sum())} below 0.",
            "Give one for all or one for each, none negative.",
        )
    return array
