"""Counts and treatment -> when the nadir is, how deep, and when it is over.

Research use: a forecast of one person supports a professional's judgement and is no order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leukopenia.forecast.person import Counts as Counts
    from leukopenia.forecast.regimen import Regimen as Regimen
    from leukopenia.forecast.regimen import Series as Series
    from leukopenia.forecasting import card as card
    from leukopenia.forecasting import cards as cards
    from leukopenia.forecasting import hazard as hazard
    from leukopenia.forecasting import population as population
    from leukopenia.forecasting import predict as predict
    from leukopenia.forecasting import prepare as prepare
    from leukopenia.forecasting import priors as priors
    from leukopenia.forecasting import redistribution as redistribution
    from leukopenia.forecasting import redraw as redraw
    from leukopenia.forecasting import replay as replay
    from leukopenia.forecasting import replay_scores as replay_scores
    from leukopenia.forecasting import scenarios as scenarios
    from leukopenia.forecasting import solve as solve
    from leukopenia.forecasting import vpc as vpc

_PLACES = {
    "Counts": "leukopenia.forecast.person",
    "Regimen": "leukopenia.forecast.regimen",
    "Series": "leukopenia.forecast.regimen",
    **dict.fromkeys(
        (
            "card",
            "cards",
            "hazard",
            "population",
            "predict",
            "prepare",
            "priors",
            "redistribution",
            "redraw",
            "replay",
            "replay_scores",
            "scenarios",
            "solve",
            "vpc",
        ),
        "leukopenia.forecasting",
    ),
}
"""Doors bring the knowledge and are imported on first use, for the solver loads a compiler."""

__all__ = [
    "Counts",
    "Regimen",
    "Series",
    "card",
    "cards",
    "hazard",
    "population",
    "predict",
    "prepare",
    "priors",
    "redistribution",
    "redraw",
    "replay",
    "replay_scores",
    "scenarios",
    "solve",
    "vpc",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'leukopenia.forecast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
