"""When blood is taken: routine counts before, close ones while counts are low, a few after."""

from __future__ import annotations

import math

from leukopenia.simulate.chart import Chart

_NOBODY_LOOKED = 0.15
_ROUTINE = (15.0, 120.0)
_WATCHED = 180.0
"""Days after which a count that stays low is looked at every few months only."""


_HOURS = 1.5
"""Days; counts that are low for hours only are low in someone whom a hospital watches."""


def look(chart: Chart, seen: float, low_until: float, severe: bool) -> float:
    """Take counts around a low one.

    Parameters
    ----------
    seen : float
        Day of the first low count that is seen.
    low_until : float
        Day on which the counts are not low again; infinite: never.
    severe : bool
        Whether the person is admitted and counted daily.

    Returns
    -------
    float
        Day of the last count.
    """
    before(chart, seen)
    chart.count(seen, laboratory="hospital" if severe else "")
    day = _admission(chart, seen, low_until) if severe else seen
    if low_until - seen < _HOURS:
        chart.count(*(seen + step for step in (0.25, 0.6, 1.0, 1.5, 2.2, 3.0)), laboratory="hospital")
        day = max(day, seen + 3)
    while day < min(low_until, seen + _WATCHED):
        day += chart.rng.uniform(0.7, 1.3) * max(2.0, min(30.0, 0.4 * (day - seen)))
        chart.count(day)
    if math.isinf(low_until):
        return _far_apart(chart, day)
    for gap in (3, 25, 120):
        day += chart.rng.uniform(0.6, 1.4) * gap
        chart.count(day)
    return day


def before(chart: Chart, day: float) -> None:
    """Routine counts before a day; of some people there are none."""
    if chart.rng.random() < _NOBODY_LOOKED:
        return
    day -= chart.rng.uniform(*_ROUTINE) * chart.rng.random()
    while day > 0:
        chart.count(day, differential=chart.rng.random() < 0.9)
        day -= chart.rng.uniform(*_ROUTINE)


def _admission(chart: Chart, seen: float, low_until: float) -> float:
    """A stay with a count on most days, until the counts are better or two weeks are over."""
    days = max(2, min(14, math.ceil(min(low_until - seen, 30) + 1)))
    chart.stay(seen - 0.05, seen + days)
    for day in range(1, days + 1):
        if chart.rng.random() < 0.85:
            chart.count(seen + day, laboratory="hospital")
    return seen + days


def look_for_years(chart: Chart, first: float) -> float:
    """A count every few months for two years or three; the day of the last."""
    day = first
    for _ in range(chart.rng.randint(7, 12)):
        chart.count(day)
        day += chart.rng.uniform(70, 110)
    return day


def _far_apart(chart: Chart, day: float) -> float:
    for _ in range(chart.rng.randint(2, 5)):
        day += chart.rng.uniform(60, 110)
        chart.count(day)
    return day
