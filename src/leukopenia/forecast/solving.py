"""Card, regimen and times -> counts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from leukopenia.errors import UsageError
from leukopenia.forecast import families, friberg, rosenbrock
from leukopenia.forecast.exposure import segments
from leukopenia.forecast.model_card import FAMILIES, WITHOUT_EQUATIONS, Card
from leukopenia.forecast.regimen import Array, Regimen, sorted_times

CHAIN = ("friberg", "baseline")
CODES = {
    "quartino": families.QUARTINO,
    "nab_paclitaxel": families.NAB_PACLITAXEL,
    "radiation": families.RADIATION,
    "redistribution": families.REDISTRIBUTION,
    "exchange": families.EXCHANGE,
    "arrest": families.ARREST,
    "gcsf_receptors": families.GCSF_RECEPTORS,
}
AT_ONCE = 2048
"""Persons whose concentration curves are held in memory at the same time."""

Values = dict[str, float | Array]


def solve(
    card: Card,
    regimen: Regimen,
    times: Any,
    parameters: Mapping[str, Any] | None = None,
    *,
    rtol: float = 1e-8,
    threads: int = 0,
) -> Array:
    """Counts in time under a regimen.

    Parameters
    ----------
    card : Card
    regimen : Regimen
    times : sequence of float (T,)
        Hours, sorted. Treatment begins at the first dose or the first value of the concentration.
    parameters : mapping of str to float or array (n,), optional
        Values in place of those of the card, in its units with times in hours; arrays: one value for each of n persons.
    rtol : float
        Relative tolerance of a step; the error of a count is of the same size.
    threads : int
        0: one for each processor.

    Returns
    -------
    array (T,) or (n, T)
        Counts in 10^9/L. NaN from where the equations could not be solved.

    Raises
    ------
    UsageError
        An unknown parameter, arrays of unequal length, times out of order, or a card without equations.

    Notes
    -----
    The chain of Friberg and Karlsson is solved with the pair of Tsitouras (2011), the drug in closed form; the other
    models with RODAS of Hairer and Wanner.
    """
    if card.family in WITHOUT_EQUATIONS:
        raise UsageError(f"The card {card.name} holds parameters without equations.", card.note, "Use another card.")
    asked = sorted_times(times, "The times")
    values, n = individual(card, regimen, parameters or {})
    rows = max(n, 1)
    out = np.empty((rows, asked.size))
    if card.family in CHAIN:
        solve_chain(card, regimen, values, asked, rtol, threads, out)
    else:
        for person in range(rows):
            out[person] = states(card, regimen, _of(values, person), asked, rtol)[
                :, families.CIRCULATING[CODES[card.family]]
            ]
    return out if n else out[0]


def _of(values: Values, person: int) -> dict[str, float]:
    """The parameters of one of several persons."""
    return {name: float(x[person] if isinstance(x, np.ndarray) else x) for name, x in values.items()}


def individual(card: Card, regimen: Regimen, parameters: Mapping[str, Any]) -> tuple[Values, int]:
    """The parameters of the persons, and how many there are; 0: one, given as plain numbers."""
    unknown = set(parameters) - set(card.parameters)
    if unknown:
        raise UsageError(
            f"The card {card.name} has no parameter {', '.join(sorted(unknown))}.",
            "",
            f"It has: {', '.join(card.parameters)}.",
        )
    _check_regimen(card, regimen)
    given = {name: np.asarray(x, dtype=np.float64) for name, x in parameters.items()}
    sizes = {x.size for x in given.values() if x.ndim}
    if len(sizes) > 1 or any(x.ndim > 1 or not (x > 0).all() for x in given.values()):
        raise UsageError(
            "Parameters must be positive numbers, or arrays of one length.",
            f"Lengths: {sorted(sizes)}.",
            "Give one value for each person.",
        )
    own = {name: x if x.ndim else float(x) for name, x in given.items()}
    return {**card.typical(regimen.fixed), **own}, max(sizes, default=0)


def _check_regimen(card: Card, regimen: Regimen) -> None:
    """Refuse what the card would pass over in silence."""
    exposure = {name for name, parameter in card.parameters.items() if parameter.role == "exposure"}
    strange = (set(regimen.fixed) - card.covariates) | (set(regimen.changing) - exposure)
    if strange:
        raise UsageError(
            f"The card {card.name} makes no use of {', '.join(sorted(strange))}.",
            "",
            f"Covariates: {', '.join(sorted(card.covariates)) or 'none'}; in time: {', '.join(sorted(exposure))}.",
        )
    if regimen.concentration is not None and np.size(regimen.times):
        raise UsageError("A regimen has doses or a concentration, not both.", "", "Leave one of them out.")


def kinetics(values: Mapping[str, float | Array], n: int) -> Array:
    """Constants of the chain (n, 6) from parameters; without a drug effect the slope is 0."""
    theta = np.zeros((n, friberg.KINETICS))
    theta[:, friberg.CIRC0] = values["circ0"]
    theta[:, friberg.KTR] = np.divide(4.0, values.get("mtt", np.inf))
    theta[:, friberg.KCIRC] = values.get("kcirc", theta[:, friberg.KTR])
    theta[:, friberg.GAMMA] = values.get("gamma", 0.0)
    if "ec50" in values:
        theta[:, friberg.PER_EC50] = np.divide(1.0, values["ec50"])
        theta[:, friberg.SLOPE] = np.multiply(values["emax"], theta[:, friberg.PER_EC50])
    else:
        theta[:, friberg.SLOPE] = values.get("slope", 0.0)
    return theta


def solve_chain(
    card: Card, regimen: Regimen, values: Values, times: Array, rtol: float, threads: int, out: Array
) -> None:
    """Fill the counts (n, T) of a chain; each thread takes a part of the persons."""
    n = out.shape[0]
    theta = kinetics(values, n)
    many = any(np.ndim(x) for name, x in values.items() if card.parameters[name].role == "exposure")

    def part(first: int) -> None:
        here = slice(first, min(first + AT_ONCE, n))
        size = here.stop - first
        own = {name: x[here] if isinstance(x, np.ndarray) else x for name, x in values.items()} if many else values
        rows = segments(card, regimen, own, size if many else 1)[1]
        friberg.solve_many(theta[here], rows, times, rtol, out[here])

    share(part, range(0, n, AT_ONCE), threads)


def share(work: Any, parts: Any, threads: int) -> None:
    """Do the parts of a work on several threads. The kernels free the lock; nothing is forked."""
    threads = threads or os.cpu_count() or 1
    if threads == 1 or len(parts) == 1:
        for one in parts:
            work(one)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, parts))


def states(card: Card, regimen: Regimen, values: Mapping[str, float], times: Array, rtol: float) -> Array:
    """All states (T, n) of a model that is not the plain chain."""
    code = CODES[card.family]
    p = np.array([values[name] for name in FAMILIES[card.family]])
    dosed = families.DOSED[code]
    through_exposure = code == families.QUARTINO
    found, rows = segments(card, regimen, values if through_exposure else _UNIT, 1)
    out = np.empty((times.size, families.STATES[code]))
    if not through_exposure:
        rows[:, :, 1:] = 0.0
    rosenbrock.solve_states(code, p, rows[0], found.bolus, found.infused, dosed, times, rtol, out)
    return out


_UNIT: dict[str, float] = {"v1": 1.0, "k10": 1.0}
"""Stands in where the drug has states of its own and only the times of the events count."""
