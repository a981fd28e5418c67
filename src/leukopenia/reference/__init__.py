"""Counts -> limits: which limit applies to a count and on what basis; and limits estimated from one's own results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leukopenia.reference.estimation import estimate as estimate
    from leukopenia.reference.fit.by_age import by_age as by_age


def __getattr__(name: str) -> Any:
    """The estimators bring SciPy and Numba, which a look must not load."""
    if name == "estimate":
        from leukopenia.reference.estimation import estimate

        return estimate
    if name == "by_age":
        from leukopenia.reference.fit.by_age import by_age

        return by_age
    raise AttributeError(f"module 'leukopenia.reference' has no attribute {name!r}")
