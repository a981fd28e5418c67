"""Chemotherapy that goes on when the records end: the counts of the last cycle are falling, or have just fallen.

Doses are recorded as an infusion pump records them, in mg with a beginning and an end, so that they can be forecast.
"""

from __future__ import annotations

from leukopenia.simulate import chemotherapy
from leukopenia.simulate.chart import Chart
from leukopenia.simulate.struck import LYMPHOPENIA, NEUTROPENIA, Struck
from leukopenia.simulate.taken import CYCLE
from leukopenia.simulate.world import World

FIRST, CYCLES, SINCE_LAST = 40, 2, 9
DAYS = FIRST + CYCLE * (CYCLES - 1) + SINCE_LAST
"""The records end so many days after the last dose."""

_BEFORE = (5, 33)
_COUNTED = (0, 4, 7, 8, 14)
"""Days of a cycle on which counts are taken."""

_DEPTH = 0.4
_GIVEN = (
    (("docetaxel", 135.0, 1.0),),
    (("paclitaxel", 315.0, 3.0),),
    (("carboplatin", 450.0, 1.0),),
    (("doxorubicin", 108.0, 0.25), ("cyclophosphamide", 1080.0, 1.0)),
)
"""Drugs of a cycle: mg, hours of infusion."""

SHOWN = 2 * len(_GIVEN)
"""Persons of whom a single hospital tells."""


def awaited(chart: Chart, world: World, nth: int) -> None:
    """Two cycles of the nth regimen, the second of them nine days old."""
    drugs = _GIVEN[nth % len(_GIVEN)]
    case = _case(chart, world, f"drug:{drugs[0][0]}")
    starts = [float(CYCLE * cycle) for cycle in range(CYCLES)]
    chart.follow(chemotherapy.course(chart, world, case, starts, DAYS + CYCLE), FIRST)
    chart.count(*_BEFORE)
    for start in starts:
        _cycle(chart, drugs, FIRST + start)
        chemotherapy.tell_truth(chart, world, case, FIRST + start, CYCLE, recorded=True)


def _case(chart: Chart, world: World, cause: str) -> Struck:
    lows = (("neutrophils", NEUTROPENIA), ("lymphocytes", LYMPHOPENIA))
    shares = {line: limit / chart.baseline[line] for line, limit in lows}
    depths = {"neutrophils": _DEPTH / chart.baseline["neutrophils"]}
    return Struck(world.causes[cause], True, depths, shares, True)


def _cycle(chart: Chart, drugs: tuple[tuple[str, float, float], ...], start: float) -> None:
    for name, milligrams, hours in drugs:
        chart.infuse(name, start, hours, milligrams, "mg")
    chart.count(*(start + day for day in _COUNTED if start + day < DAYS))
