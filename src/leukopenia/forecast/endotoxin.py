"""What one bolus of endotoxin does to every line, in time. Research use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from leukopenia.errors import UsageError
from leukopenia.forecast.model_card import Card
from leukopenia.forecast.regimen import Array, Regimen
from leukopenia.forecast.solving import solve

WHITE_CELLS = "wbc"


def redistribution(cards: Mapping[str, Card], before: Mapping[str, float], dose: float, times: Any) -> dict[str, Array]:
    """White cells and their lines after endotoxin.

    Parameters
    ----------
    cards : mapping of str to Card
        The card of each line.
    before : mapping of str to float
        Counts before, 10^9/L: `wbc` and every line.
    dose : float
        ng/kg, at hour 0.
    times : sequence of float (T,)
        Hours, sorted.

    Returns
    -------
    dict of str to array (T,)
        10^9/L: every line, and `wbc`. White cells that belong to no line stay as they were.

    Raises
    ------
    UsageError
        A count before is missing, or the lines are more than the white cells; see also `solving.solve`.

    Notes
    -----
    One set of parameters for all doses. Fitted to means at 0.1, 0.5 and 1 ng/kg (table `endotoxin_counts`); another
    dose is a guess. See the page on pseudoleukopenia for the misfit.
    """
    others = _others(cards, before)
    counts = {line: solve(card, Regimen([0.0], dose), times, {"circ0": before[line]}) for line, card in cards.items()}
    return {WHITE_CELLS: others + np.sum(list(counts.values()), axis=0), **counts}


def _others(cards: Mapping[str, Card], before: Mapping[str, float]) -> float:
    missing = {WHITE_CELLS, *cards} - set(before)
    if missing:
        raise UsageError("A count before is missing.", ", ".join(sorted(missing)), "Give white cells and every line.")
    others = before[WHITE_CELLS] - sum(before[line] for line in cards)
    if others < 0:
        raise UsageError("The lines are more than the white cells.", f"By {-others:g}.", "Check the units: 10^9/L.")
    return others
