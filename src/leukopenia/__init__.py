"""Find, grade and follow low white-cell counts in health records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leukopenia import explain as explain
    from leukopenia import forecast as forecast
    from leukopenia import monitor as monitor
    from leukopenia import reference as reference
    from leukopenia.api import grade as grade
    from leukopenia.api import inspect as inspect
    from leukopenia.api import read as read
    from leukopenia.api import run as run
    from leukopenia.policy import Policy as Policy
    from leukopenia.result import Result as Result

_PUBLIC = {
    "run": "leukopenia.api",
    "grade": "leukopenia.api",
    "Policy": "leukopenia.policy",
    "Result": "leukopenia.result",
}

_ROOMS = ("explain", "forecast", "monitor", "reference")
"""Rooms with functions of their own: `leukopenia.explain.rank`, `leukopenia.monitor.alerts`."""

__all__ = ["Policy", "Result", "explain", "forecast", "grade", "monitor", "reference", "run"]


def __getattr__(name: str) -> Any:
    """Import on first use: `import leukopenia` must be fast."""
    from importlib import import_module

    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in _ROOMS:
        return import_module(f"leukopenia.{name}")
    raise AttributeError(f"module 'leukopenia' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
