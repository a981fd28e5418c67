"""Where the world of the simulator departs from what the explainer believes; each can be switched off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from leukopenia.contracts import Knowledge
from leukopenia.simulate.causes import rates

HIDDEN_SHARE = 0.15
"""Share of the low counts whose cause the explainer does not know."""

MISSING_SHARE = 0.30
"""Share of starts, clues and counts that are not on record."""

_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class Departures:
    """What is not as the explainer believes.

    Attributes
    ----------
    shifted : bool
        Medians of onset and recovery of every cause are multiplied by a factor between 0.5 and 2.
    hidden : bool
        15 % of the causes come from rows that are taken from the explainer: see `hidden_causes`.
    missing : bool
        30 % of the starts of drugs, of the clues and of the counts are not on record.
    wrong : bool
        Drug records are wrong as often as in public hospital records, and results carry the dirt of real exports.
    """

    shifted: bool = True
    hidden: bool = True
    missing: bool = True
    wrong: bool = True


EVERY = Departures()
"""All of them, as real records have them."""

NONE = Departures(shifted=False, hidden=False, missing=False, wrong=False)
"""The world is as the knowledge says."""


def shift(cause: str, of: str, seed: int, departures: Departures) -> float:
    """The factor on the median `onset` or `recovery` of a cause, drawn once for each seed."""
    if not departures.shifted:
        return 1.0
    return math.exp(Random(f"{seed}/shift/{of}/{cause}").uniform(-1, 1) * math.log(_FACTOR))


def hidden_causes(knowledge: Knowledge, seed: int) -> tuple[str, ...]:
    """Causes that the scorer takes from the explainer's knowledge.

    Parameters
    ----------
    knowledge : Knowledge
        Uses causes_drugs, causes_conditions, clue_weights and policy.
    seed : int
        Of the world.

    Returns
    -------
    tuple of str
        Ids of causes, in alphabetical order; together they bring about close to 15 % of the explained low counts.
    """
    known: Mapping[str, float] = rates(knowledge)
    order = sorted(known)
    Random(f"{seed}/hidden").shuffle(order)
    room = HIDDEN_SHARE * sum(known.values())
    chosen = []
    for cause in order:
        if known[cause] <= room:
            chosen.append(cause)
            room -= known[cause]
    return tuple(sorted(chosen))
