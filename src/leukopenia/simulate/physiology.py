"""The marrow model: what a cause does to production, survival and place of the cells, and the counts that follow.

Neutrophils: dividing cells, two stages of maturation, a reserve in the marrow, and the blood, whose cells circulate or
stand at the vessel wall (marginated, in the spleen) in a ratio. With equal rates and no stem cells this is the model of
Friberg 2002, so that a published model card gives its published curve. A part of the dividing cells may come from stem
cells: without it a chronic cause would be compensated in full. The other lines follow a cause with a lag of the first
order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from leukopenia.contracts import Knowledge
from leukopenia.simulate.marrow_kernel import KILL, LINES, MARGINATION, PRODUCTION, run

Array = npt.NDArray[np.float64]

STAGES = 4
"""Compartments before the blood, in each of which a cell stays a quarter of the mean transit time."""

_STEM = 0.5
_SPEEDS = np.array([0.3, 0.1, 0.03, 0.01])
"""1/h: lymphocytes follow within hours, monocytes in a day, platelets in two, haemoglobin (with bleeding) in a week."""


@dataclass(frozen=True)
class Marrow:
    """The rates of one person's neutrophils.

    Parameters
    ----------
    transit, leaving, removal : float
        1/h: between stages of maturation, from the reserve into the blood, from the blood.
    gamma : float
        Exponent of the feedback of the circulating count on division.
    stem : float
        Share of the dividing cells that comes from stem cells, 0 to 1.
    """

    transit: float
    leaving: float
    removal: float
    gamma: float
    stem: float = _STEM

    def counts(self, inputs: Array, step: float, depths: Array | None = None) -> Array:
        """Shares of the usual count in time; see `marrow_kernel.run`."""
        system = (self.transit, self.leaving, self.removal, self.gamma, self.stem)
        return run(inputs, step, system, np.ones(4) if depths is None else depths, _SPEEDS)


def rest(n: int) -> Array:
    """Inputs of a healthy person for n steps."""
    inputs = np.zeros((n, 6))
    inputs[:, PRODUCTION] = 1.0
    inputs[:, MARGINATION] = 1.0
    return inputs


@dataclass(frozen=True)
class Cytotoxic:
    """A published model of one drug: the marrow under it and how a dose kills dividing cells.

    Parameters
    ----------
    mtt, gamma, slope : float
        Mean transit time (h), feedback exponent, kill per unit of concentration.
    volume : float
        Of the central compartment, L.
    rates : tuple of float
        k10, k12, k21, k13, k31 in 1/h.
    per_dose, per_volume : float
        What a dose in mg, and a concentration, are multiplied by to be in the unit of the slope.
    spread : mapping of str to float
        Standard deviation of the logarithm of circ0, mtt and slope between persons.
    """

    mtt: float
    gamma: float
    slope: float
    volume: float
    rates: tuple[float, float, float, float, float]
    per_dose: float
    per_volume: float
    spread: Mapping[str, float]

    def marrow(self, mtt: float = 1.0) -> Marrow:
        """The marrow of a person whose mean transit time is `mtt` times the typical one."""
        rate = STAGES / (self.mtt * mtt)
        return Marrow(rate, rate, rate, self.gamma, 0.0)

    def kill(self, doses: Mapping[float, float], hours: float, n: int, step: float, slope: float = 1.0) -> Array:
        """Mean kill during each of n steps.

        Parameters
        ----------
        doses : mapping of float to float
            Hour of the beginning of each infusion, and its dose in mg.
        hours : float
            Length of an infusion.
        n, step : int, float
            Number and hours of the steps.
        slope : float
            The person's slope over the typical one.
        """
        edges: Array = np.arange(n + 1, dtype=np.float64) * step
        area = sum((self._area(edges - start, dose, hours) for start, dose in doses.items()), np.zeros(n + 1))
        return np.asarray(self.slope * slope * np.diff(area) / step)

    def _area(self, since: Array, dose: float, hours: float) -> Array:
        """Area under the concentration until so many hours after the start of an infusion."""
        weights, decays = self._modes
        rate = dose * self.per_dose * self.per_volume / self.volume / hours
        total = np.zeros_like(since)
        for weight, decay in zip(weights, decays, strict=True):
            during, after = (_ramp(np.maximum(since - shift, 0.0), decay) for shift in (0.0, hours))
            total += weight * rate * (during - after)
        return total

    @cached_property
    def _modes(self) -> tuple[Array, Array]:
        """Weights and decay rates (1/h) of the exponentials of the central compartment after a unit dose."""
        k10, k12, k21, k13, k31 = self.rates
        matrix = np.array([[-(k10 + k12 + k13), k21, k31], [k12, -k21, 0.0], [k13, 0.0, -k31]])
        size = 3 if k13 else 2
        values, vectors = np.linalg.eig(matrix[:size, :size])
        return np.real(vectors[0] * np.linalg.inv(vectors)[:, 0]), -np.real(values)


def _ramp(since: Array, decay: float) -> Array:
    """Integral of (1 - exp(-decay t)) / decay."""
    return np.asarray(since / decay + np.expm1(-decay * since) / decay**2)


def marrow_of(knowledge: Knowledge) -> Marrow:
    """The marrow of a healthy adult: transit and feedback of the docetaxel model, pools of the redistribution model."""
    card = _card(knowledge, "netterberg2017-docetaxel")
    pools = _card(knowledge, "redistribution-lps")
    removal = pools["kcirc"] / 24
    blood = 1 + pools["marginated_ratio"]
    return Marrow(STAGES / card["mtt"], removal * blood / pools["reserve_ratio"], removal, card["gamma"])


CARDS = {"drug:docetaxel": "netterberg2017-docetaxel", "drug:paclitaxel": "friberg2002-paclitaxel-leukocytes"}
"""The drugs whose kill comes from a model card, with it."""


def cytotoxics(knowledge: Knowledge) -> dict[str, Cytotoxic]:
    """The drugs with a model card, by cause."""
    return {drug: _cytotoxic(knowledge, name) for drug, name in CARDS.items()}


def _cytotoxic(knowledge: Knowledge, name: str) -> Cytotoxic:
    card = _card(knowledge, name)
    if "k10" in card:
        rates = (card["k10"], card["k12"], card["k21"], card["k13"], card["k31"])
    else:
        rates = (card["cl"] / card["v1"], card["q"] / card["v1"], card["q"] / card["v2"], 0.0, 0.0)
    molar = 1000 / card["molar_mass"] if "molar_mass" in card else 1.0
    dosed = 1000 / card["dose_molar_mass"] if "dose_molar_mass" in card else 1.0
    return Cytotoxic(
        card["mtt"], card["gamma"], card["slope"], card["v1"], rates, dosed, molar, _spread(knowledge, name)
    )


def _card(knowledge: Knowledge, name: str) -> dict[str, float]:
    return {row["parameter"]: float(row["value"]) for row in knowledge["model_parameters"] if row["card"] == name}


def _spread(knowledge: Knowledge, name: str) -> dict[str, float]:
    rows = [row for row in knowledge["model_parameters"] if row["card"] == name and row["variance"]]
    return {row["parameter"]: math.sqrt(float(row["variance"])) for row in rows}


__all__ = ["CARDS", "KILL", "LINES", "Array", "Cytotoxic", "Marrow", "cytotoxics", "marrow_of", "rest"]
