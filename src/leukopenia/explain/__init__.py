"""Episodes + exposures + conditions + findings -> causes, ranked, with reasons."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """`leukopenia.explain.rank` is a door: it brings its own engine and knowledge."""
    if name == "rank":
        from leukopenia.api import rank

        return rank
    raise AttributeError(f"module 'leukopenia.explain' has no attribute {name!r}")
