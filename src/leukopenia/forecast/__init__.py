"""Counts and treatment -> when the nadir is, how deep, and when it is over.

Research use: a forecast of one person supports a professional's judgement and is no order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leukopenia.forecast.regimen import Regimen as Regimen
    from leukopenia.forecast.regimen import Series as Series
    from leukopenia.forecasting import card as card
    from leukopenia.forecasting import cards as cards
    from leukopenia.forecasting import solve as solve

_OWN = {"Regimen": "leukopenia.forecast.regimen", "Series": "leukopenia.forecast.regimen"}
_DOORS = ("card", "cards", "solve")
"""Doors that bring the knowledge; imported on first use, for the solver loads a compiler."""

__all__ = ["Regimen", "Series", "card", "cards", "solve"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _OWN:
        return getattr(import_module(_OWN[name]), name)
    if name in _DOORS:
        return getattr(import_module("leukopenia.forecasting"), name)
    raise AttributeError(f"module 'leukopenia.forecast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
