"""Published nadir days of a drug without a model -> a card of its own kind, shown as a class prior.

The chain of Friberg is driven by a virtual pulse that each day of treatment gives (K-PD: no concentrations are
known). The pulse is gone within a day, and the mean transit time is chosen so that the typical curve is lowest on the
published day: no pulse, however slow, delays the nadir of the chain by enough, while nadir and recovery keep their
ratio of about 2 to 3 when the transit time is stretched, as published days do. Nobody publishes how deep the typical
nadir is: depth is an assumed, wide prior, and only the person's own counts make it narrower.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
from scipy.optimize import brentq

from leukopenia.contracts import Knowledge, Rows
from leukopenia.errors import KnowledgeError
from leukopenia.forecast import friberg, modes
from leukopenia.forecast.model_card import CLASS_PRIOR, Card, Parameter
from leukopenia.forecast.regimen import Array

NADIR, NO_EFFECT, UNSETTLED = "nadir", "none", "unsettled"
EFFECTS = (NADIR, NO_EFFECT, UNSETTLED)
"""What a row says of its drugs: when counts are lowest, that they do not fall, or that no curve can be made."""

LEVELS = ("regimen", "drug", "class", "group")
"""From the most exact statement to the least."""

DECAY = 25.0
"""Times per mean transit time that the virtual pulse decays: its half-life is a fortieth of the transit time."""

_STEPS, _HORIZON, _SLOPES = 4000, 4.0, (1.0, 1000.0)
"""The typical curve, in units of the mean transit time; the slopes between which its depth is looked for."""

_TAIL = 1.959963984540054
"""Half the width of 95 % of a normal distribution."""


def cards(knowledge: Knowledge, systems: Mapping[str, Card]) -> dict[str, Card]:
    """The rows that have a nadir, as cards; by name.

    Raises
    ------
    KnowledgeError
        A row has an unknown level or system, or days that do not ascend.
    """
    for row in knowledge["nadir_priors"]:
        _check(row, systems)
    return {
        row["prior"]: _card(row, systems[row["system"]]) for row in knowledge["nadir_priors"] if row["effect"] == NADIR
    }


def chosen(drugs: Iterable[str], knowledge: Knowledge) -> tuple[str, ...]:
    """The rows that speak of the drugs of one cycle, by name.

    A regimen that is just these drugs goes before them; of the rows of a drug those of its most exact level count.
    A drug that is listed as not lowering counts adds nothing; beside one of which no curve can be made there is no
    prior at all.

    Parameters
    ----------
    drugs : iterable of str
        Ingredient ids.
    """
    given, rows = {*drugs}, knowledge["nadir_priors"]
    together = [row for row in rows if row["level"] == "regimen" and {*row["members"].split(";")} == given]
    own = together or [row for drug in sorted(given) for row in _most_exact(drug, rows, knowledge)]
    if any(row["effect"] == UNSETTLED for row in own):
        return ()
    return tuple(dict.fromkeys(row["prior"] for row in own if row["effect"] == NADIR))


def _most_exact(drug: str, rows: Rows, knowledge: Knowledge) -> list[Mapping[str, str]]:
    names = {drug, *_kinds(drug, knowledge)}
    found = [row for row in rows if row["level"] != "regimen" and names & {*row["members"].split(";")}]
    first = min((LEVELS.index(row["level"]) for row in found), default=0)
    return [row for row in found if row["level"] == LEVELS[first]]


def _kinds(drug: str, knowledge: Knowledge) -> set[str]:
    own = [row for row in knowledge["ingredients"] if row["id"] == drug]
    classes = {f"class:{row['drug_class']}" for row in own}
    return classes | {f"group:{group}" for row in own for group in row["groups"].split(";") if group}


def _check(row: Mapping[str, str], systems: Mapping[str, Card]) -> None:
    days = [float(row[f"nadir_days_{part}"]) for part in _PARTS if row[f"nadir_days_{part}"]]
    known = row["level"] in LEVELS and row["effect"] in EFFECTS and (row["system"] in systems or not days)
    if not known or days != sorted(days) or bool(days) != (row["effect"] == NADIR):
        raise KnowledgeError(
            f"nadir_priors: {row['prior']} cannot be used.",
            "",
            "It needs a known level, effect and system card, and ascending days exactly where the effect is a nadir.",
        )


_PARTS = ("min", "typical", "max")


def _days(row: Mapping[str, str]) -> tuple[float, float]:
    """The typical day and the variance of its logarithm: the bounds hold 95 % of people; 0 without two bounds."""
    low, typical, high = (float(row[f"nadir_days_{part}"] or 0) for part in _PARTS)
    if low and high:
        return typical or math.sqrt(low * high), (math.log(high / low) / 2 / _TAIL) ** 2
    return typical, 0.0


def _card(row: Mapping[str, str], system: Card) -> Card:
    day, spread = _days(row)
    own = system.parameters["mtt"].variance or 0.0
    lent = {name: system.parameters[name] for name in ("circ0", "gamma")}
    nadir, slope = typical_nadir(float(row["typical_nadir"]) / lent["circ0"].value, lent["gamma"].value)
    transit = day * 24.0 / nadir
    made = {
        "mtt": (transit, "h", max(own, spread)),
        "slope": (slope, "1", float(row["slope_variance"])),
        "v1": (1.0, "1", None),
        "k10": (DECAY / transit, "1/h", None),
    }
    parameters = {
        name: Parameter(name, "exposure" if name in ("v1", "k10") else "kinetics", value, unit, variance, "design")
        for name, (value, unit, variance) in made.items()
    }
    return Card(
        name=row["prior"],
        title=row["title"],
        drug="",
        analyte=system.analyte,
        species="human",
        family="friberg",
        dose_unit="day of treatment",
        concentration_unit="1",
        residual_form=system.residual_form,
        residual=system.residual,
        status=CLASS_PRIOR,
        population="Published nadir days; depth assumed",
        source_id=row["source_id"],
        note=row["note"],
        parameters=MappingProxyType(lent | parameters),
        effects=(),
    )


@cache
def typical_nadir(depth: float, gamma: float) -> tuple[float, float]:
    """When the chain is lowest after one pulse, and the drug effect that makes it so deep.

    Parameters
    ----------
    depth : float
        Lowest count over the count before.
    gamma : float
        Feedback.

    Returns
    -------
    tuple of float
        The time of the nadir in mean transit times, and the effect of the pulse.
    """
    times = np.linspace(0.0, _HORIZON, _STEPS)

    def lowest(log_slope: float) -> float:
        return float(np.nanmin(_curve(math.exp(log_slope), gamma, times)))

    bounds = (math.log(bound) for bound in _SLOPES)
    slope = math.exp(float(brentq(lambda x: lowest(x) - depth, *bounds)))
    return float(times[int(np.nanargmin(_curve(slope, gamma, times)))]), slope


def _curve(slope: float, gamma: float, times: Array) -> Array:
    """The chain after one pulse, relative to before, with the mean transit time as the unit of time."""
    theta = np.array([1.0, 4.0, 4.0, gamma, slope, 0.0])
    pulse = np.zeros((1, modes.WIDTH))
    pulse[0, modes.AMPLITUDE], pulse[0, modes.RATE] = 1.0, DECAY
    out = np.empty(times.size)
    friberg.solve_one(theta, pulse, times, 1e-8, out)
    return out
