"""What limits of every method have in common: the lowest and the highest of them, with their intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class TwoLimits:
    """Limits at several percentiles, read as a lower and an upper one."""

    percentiles: Floats
    limits: Floats
    intervals: Floats

    @property
    def lower(self) -> float:
        """The lowest limit."""
        return float(self.limits[np.argmin(self.percentiles)])

    @property
    def upper(self) -> float:
        """The highest limit."""
        return float(self.limits[np.argmax(self.percentiles)])

    @property
    def lower_interval(self) -> tuple[float, float]:
        """Interval of the lowest limit."""
        low, high = self.intervals[np.argmin(self.percentiles)]
        return float(low), float(high)

    @property
    def upper_interval(self) -> tuple[float, float]:
        """Interval of the highest limit."""
        low, high = self.intervals[np.argmax(self.percentiles)]
        return float(low), float(high)
