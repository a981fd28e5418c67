"""Exposures + counts -> alerts: who needs a count now, and what the rule says."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """`leukopenia.monitor.alerts` is a door: it brings its own engine and knowledge."""
    if name == "alerts":
        from leukopenia.api import alerts

        return alerts
    raise AttributeError(f"module 'leukopenia.monitor' has no attribute {name!r}")
