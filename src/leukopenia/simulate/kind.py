"""What a kind of dirt is, and how kinds are spread over rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True)
class Kind(Generic[Row]):
    """One kind of dirt.

    Attributes
    ----------
    name : str
        What it is called in `Hospital.dirt`.
    share : float
        Share of the rows it fits; at least one where any fits.
    fits : callable
        Whether it can befall a row.
    soil : callable
        The rows that stand in the place of one: a single one for a stain, more for an addition.
    """

    name: str
    share: float
    fits: Callable[[Row], bool]
    soil: Callable[[Row, Random], Sequence[Row]]


def spread(
    rows: Sequence[Row],
    kinds: Sequence[Kind[Row]],
    rng: Random,
    allowed: Callable[[Row], bool] = lambda row: True,
) -> tuple[tuple[Row, ...], list[tuple[str, int]]]:
    """Soil some of the rows with every kind, no row twice.

    Parameters
    ----------
    rows : sequence
        Clean rows.
    kinds : sequence of Kind
        In this order; an earlier kind takes its rows first.
    rng : random.Random
        Chooses the rows.
    allowed : callable
        Which rows may be soiled at all.

    Returns
    -------
    tuple
        The rows with the dirt in them, and the number of rows soiled by each kind.
    """
    places: list[Sequence[Row]] = [(row,) for row in rows]
    free = [allowed(row) for row in rows]
    counted = []
    for kind in kinds:
        fit = [place for place, row in enumerate(rows) if free[place] and kind.fits(row)]
        chosen = rng.sample(fit, min(len(fit), max(1, round(kind.share * len(fit)))))
        for place in chosen:
            places[place], free[place] = kind.soil(rows[place], rng), False
        counted.append((kind.name, len(chosen)))
    return tuple(row for place in places for row in place), counted
