"""The log-logistic distribution that published least, middle and greatest days describe."""

from __future__ import annotations

import math

LEAST_SHAPE, GREATEST_SHAPE, USUAL_SHAPE = 1.0, 8.0, 2.0

_TAIL = math.log(0.975 / 0.025)
"""Half the width of 95 % of a logistic distribution."""


def of_days(low: float | None, middle: float | None, high: float | None) -> tuple[float | None, float | None]:
    """Median (days) and shape.

    The least and the greatest day are taken as the bounds of 95 % of cases; without a median their geometric mean
    stands for it, and one of them alone is the median; without a range the shape is 2. Nothing known gives None.

    Parameters
    ----------
    low, middle, high : float or None
        Days; a least day below 1 counts as 1.
    """
    low = max(low, 1.0) if low is not None else None
    if middle is None and low and high:
        middle = math.sqrt(low * high)
    if middle is None:
        middle = high or low
    if not middle:
        return None, None
    beta = 2 * _TAIL / math.log(high / low) if low and high and high > low else USUAL_SHAPE
    return middle, min(max(beta, LEAST_SHAPE), GREATEST_SHAPE)
