"""Card and regimen -> how the counts of a population spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from leukopenia.errors import UsageError
from leukopenia.forecast.model_card import Card
from leukopenia.forecast.regimen import Array, Regimen
from leukopenia.forecast.solving import individual, share, solve

RTOL = 1e-6


def quantiles_of(counts: Array, at: Sequence[float], threads: int = 0) -> Array:
    """Quantiles (Q, T) of counts (n, T), column by column: no second copy of the whole. NaN is left out."""
    out = np.empty((len(at), counts.shape[1]))

    def column(t: int) -> None:
        own = np.ascontiguousarray(counts[:, t])
        out[:, t] = np.quantile(own[np.isfinite(own)], at)

    share(column, range(counts.shape[1]), threads)
    return out


def population(
    card: Card,
    regimen: Regimen,
    times: Any,
    n: int = 10_000,
    quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
    *,
    seed: int = 0,
    threads: int = 0,
) -> Array:
    """Quantiles of the counts of n people who differ as the card says.

    Parameters
    ----------
    card : Card
        Of any species; the result speaks of a population, not of a person.
    regimen : Regimen
    times : sequence of float (T,)
        Hours, sorted.
    n : int
        People.
    quantiles : sequence of float (Q,)
    seed : int
        The same seed gives the same people.
    threads : int
        0: one for each processor.

    Returns
    -------
    array (Q, T)
        Counts in 10^9/L, without the error of measurement.

    Raises
    ------
    UsageError
        The spread between people was not read for this card, or `n` is not positive.
    """
    if not card.varying or n < 1:
        raise UsageError(
            f"No population can be drawn from {card.name}.",
            f"{len(card.varying)} parameters differ between people, n={n}.",
            "Choose a card with a spread between people, and at least one person.",
        )
    random = np.random.Generator(np.random.PCG64(seed))
    typical = individual(card, regimen, {})[0]
    drawn = {
        p.name: typical[p.name] * np.exp(random.standard_normal(n) * np.sqrt(p.variance or 0.0)) for p in card.varying
    }
    return quantiles_of(solve(card, regimen, times, drawn, rtol=RTOL, threads=threads), quantiles, threads)
