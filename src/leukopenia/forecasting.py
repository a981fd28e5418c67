"""Where the forecast room meets its knowledge: models by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from leukopenia import knowledge
from leukopenia.errors import UsageError
from leukopenia.forecast.model_card import Card, cards_of

if TYPE_CHECKING:
    from leukopenia.forecast.regimen import Array, Regimen


@cache
def cards() -> Mapping[str, Card]:
    """All model cards, by name."""
    return MappingProxyType(cards_of(knowledge.load()))


def card(name: str | Card) -> Card:
    """A model card by its name.

    Raises
    ------
    UsageError
        There is no such card.
    """
    if isinstance(name, Card):
        return name
    if name not in cards():
        raise UsageError(f"There is no model card {name!r}.", "", f"There are: {', '.join(cards())}.")
    return cards()[name]


_card = card


def solve(
    card: str | Card,
    regimen: Regimen,
    times: Any,
    parameters: Mapping[str, Any] | None = None,
    *,
    rtol: float = 1e-8,
    threads: int = 0,
) -> Array:
    """Counts in time under a regimen; see `leukopenia.forecast.solving.solve`. The card may be a name."""
    from leukopenia.forecast import solving

    return solving.solve(_card(card), regimen, times, parameters, rtol=rtol, threads=threads)
