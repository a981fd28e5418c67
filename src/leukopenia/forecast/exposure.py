"""Card and regimen -> the concentration curve as segments in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from leukopenia.errors import UsageError
from leukopenia.forecast import modes
from leukopenia.forecast.model_card import Card
from leukopenia.forecast.regimen import Array, Regimen, Series

LINEAR = ("v1", "cl", "v2", "q", "v3", "q3")
"""The pharmacokinetics as volumes and clearances; a card may give rate constants instead. `ka`: it is swallowed."""


@dataclass(frozen=True)
class Events:
    """Where segments begin (m,), and what is given at and during each: amounts and amounts per hour."""

    starts: Array
    bolus: Array
    infused: Array


def events(regimen: Regimen, more: Array) -> Events:
    """The intervals between which nothing starts or stops; `more` holds further times to stop at."""
    begin, amounts, lasting = (np.asarray(x) for x in (regimen.times, regimen.amounts, regimen.durations))
    starts = np.unique(np.concatenate([begin, (begin + lasting)[lasting > 0], more]))
    starts = starts[np.concatenate([[True], np.diff(starts) > 1e-9])] if starts.size else np.zeros(1)
    bolus, infused = np.zeros(starts.size), np.zeros(starts.size)
    for t, amount, hours in zip(begin, amounts, lasting, strict=True):
        first = int(np.searchsorted(starts, t - 1e-9))
        if hours > 0:
            infused[first : int(np.searchsorted(starts, t + hours - 1e-9))] += amount / hours
        else:
            bolus[first] += amount
    return Events(starts, bolus, infused)


def constants(values: Mapping[str, float | Array], n: int) -> Array:
    """Pharmacokinetic constants (n, 6) from volumes and clearances or from rate constants.

    Raises
    ------
    UsageError
        There is no volume, or neither a clearance nor a rate of elimination.
    """
    if "v1" not in values or not ({"cl", "k10"} & set(values)):
        raise UsageError(
            "The card has no pharmacokinetics for doses.",
            "",
            "Give the concentration in the regimen.",
        )
    pk = np.zeros((n, modes.KINETIC))
    pk[:, modes.V1] = values["v1"]
    if "k10" in values:
        for column, name in enumerate(("k10", "k12", "k21", "k13", "k31"), start=modes.K10):
            pk[:, column] = values.get(name, 0.0)
        return pk
    pk[:, modes.K10] = np.divide(values["cl"], values["v1"])
    for column, flow, volume in ((modes.K12, "q", "v2"), (modes.K13, "q3", "v3")):
        if flow in values:
            pk[:, column] = np.divide(values[flow], values["v1"])
            pk[:, column + 1] = np.divide(values[flow], values[volume])
    return pk


def scale(values: Mapping[str, float | Array]) -> float | Array:
    """The factor from mass (mg/L) to amount (umol/L) where the effect is per amount; else 1."""
    return 1000.0 / values["molar_mass"] if "molar_mass" in values else 1.0


def segments(card: Card, regimen: Regimen, values: Mapping[str, float | Array], n: int) -> tuple[Events, Array]:
    """The events and the concentration curve of one person (1, m, 8) or of n (n, m, 8).

    Parameters
    ----------
    card : Card
    regimen : Regimen
    values : mapping
        Parameters of exposure: numbers, or arrays (n,).
    n : int
        1 if all persons share the curve.
    """
    if regimen.concentration is not None:
        return _given(card, regimen.concentration, scale(values))
    series = {name: x for name, x in regimen.changing.items() if name in card.parameters}
    if np.size(regimen.times) == 0:
        return events(regimen, np.zeros(1)), np.zeros((1, 1, modes.WIDTH))
    if series:
        return _changing(card, regimen, values, series)
    if "ka" in values:
        return _swallowed(regimen, values, n)
    found = events(regimen, np.empty(0))
    out = np.zeros((n, found.starts.size, modes.WIDTH))
    modes.fill_cohort(out, found.starts, found.bolus, found.infused, constants(values, n))
    _scaled(out, scale(values))
    return found, out


def _swallowed(regimen: Regimen, values: Mapping[str, float | Array], n: int) -> tuple[Events, Array]:
    """One compartment with absorption of the first order, after a lag: two modes, which begin alike and opposed."""
    lag = values.get("lag", 0.0)
    if np.any(np.asarray(regimen.durations)) or np.ndim(lag):
        raise UsageError(
            "The card is of a drug that is swallowed: doses have no duration, and one lag holds for all persons.",
            "",
            "Leave the durations and the lag out.",
        )
    found = events(Regimen(np.asarray(regimen.times) + lag, regimen.amounts), np.empty(0))
    pk = constants(values, n)
    elimination = pk[:, modes.K10]
    absorption = _apart(np.broadcast_to(values["ka"], n), elimination)
    left, unit = np.zeros((n, 2)), absorption / (pk[:, modes.V1] * (absorption - elimination))
    decay = np.column_stack([absorption, elimination])
    out = np.zeros((n, found.starts.size, modes.WIDTH))
    for m, (start, amount) in enumerate(zip(found.starts, found.bolus, strict=True)):
        left = left * np.exp(-decay * (start - found.starts[m - 1] if m else 0.0)) + (amount * unit)[:, None]
        out[:, m, modes.START] = start
        out[:, m, modes.AMPLITUDE : modes.AMPLITUDE + 2] = left * (-1.0, 1.0)
        out[:, m, modes.RATE : modes.RATE + 2] = decay
    _scaled(out, scale(values))
    return found, out


def _apart(absorption: Array, elimination: Array) -> Array:
    """Equal rates would divide by zero; a millionth apart, concentrations differ by no more than about that."""
    near = np.abs(absorption / elimination - 1.0) < 1e-6
    return np.where(near, elimination * (1.0 + 1e-6), absorption)


def _scaled(out: Array, factor: float | Array) -> None:
    out[:, :, modes.STEADY : modes.RATE] *= np.reshape(factor, (-1, 1, 1))


def _given(card: Card, series: Series, factor: float | Array) -> tuple[Events, Array]:
    """Piecewise constant concentration; before the first and, carried backward, after the last value it is 0."""
    times = np.asarray(series.times)
    backward = (series.carry or card.carry_of("concentration")) == "backward"
    starts = np.unique(times)
    ends = np.append(starts[1:], np.inf)
    held = series.during(starts, ends, "backward" if backward else "forward")
    held = np.where(np.isinf(ends) & backward, 0.0, held)
    new = np.concatenate([[True], np.diff(held) != 0])
    starts, held = starts[new], held[new]
    out = np.zeros((1, starts.size, modes.WIDTH))
    out[0, :, modes.START], out[0, :, modes.STEADY] = starts, held
    _scaled(out, factor)
    return Events(starts, np.zeros(starts.size), np.zeros(starts.size)), out


def _changing(
    card: Card, regimen: Regimen, values: Mapping[str, float | Array], series: Mapping[str, Series]
) -> tuple[Events, Array]:
    """Pharmacokinetics that change in time: one set of constants for each segment."""
    found = events(regimen, np.concatenate([np.asarray(x.times) for x in series.values()]))
    ends = np.append(found.starts[1:], np.inf)
    m = found.starts.size
    held = {name: x.during(found.starts, ends, card.carry_of(name)) for name, x in series.items()}
    pk = constants({**values, **held}, m)
    found, pk = _where_something_changes(found, pk)
    m = found.starts.size
    out = np.zeros((1, m, modes.WIDTH))
    modes.fill_segments(out[0], found.starts, found.bolus, found.infused, pk, np.arange(m))
    _scaled(out, scale(values))
    return found, out


def _where_something_changes(found: Events, pk: Array) -> tuple[Events, Array]:
    """Leave out the segments that only go on with the one before: each costs the solver a start."""
    same = (np.diff(pk, axis=0) == 0).all(axis=1) & (np.diff(found.infused) == 0) & (found.bolus[1:] == 0)
    new = np.concatenate([[True], ~same])
    return Events(found.starts[new], found.bolus[new], found.infused[new]), pk[new]
