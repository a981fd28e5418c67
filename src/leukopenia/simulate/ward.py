"""What a ward does about a low count, and writes down: antibiotics for fever, a marrow biopsy, a code now and then."""

from __future__ import annotations

from random import Random

from leukopenia.simulate.causes import Cause
from leukopenia.simulate.chart import Chart

_CODED = 11 / 36
"""Share of admissions with a low white count that carry a code for it: MIMIC-IV demo."""

_TREATED, _BIOPSIED = 0.6, 0.5
_ANTIBIOTICS = (("piperacillin-tazobactam", 4.5), ("meropenem", 1.0))
_MARROW = ("marrow_failure", "neoplasm")


def treat(chart: Chart, cause: Cause, seen: float, severe: bool) -> None:
    """Record what is done from the day of the first low count that is seen; nothing of it changes the counts."""
    # A stream of its own: what a ward does has no part in what happens to the counts.
    rng = Random(f"{chart.rng.random()}/ward")
    if rng.random() < _CODED:
        chart.diagnose("low white cells", seen + rng.uniform(0.5, 5))
    if severe and _febrile(chart) and rng.random() < _TREATED:
        drug, dose = rng.choice(_ANTIBIOTICS)
        chart.administer(drug, *(seen + 0.2 + day for day in range(rng.randint(4, 8))), dose=dose)
        chart.diagnose("neutropenic fever", seen + 0.1, seen + 7)
    if cause.cause_class in _MARROW and rng.random() < _BIOPSIED:
        chart.operate(rng.choice(("Bone marrow biopsy", "Bone marrow aspiration")), seen + rng.uniform(2, 14))


def _febrile(chart: Chart) -> bool:
    warm = (result.value or 0.0 for result in chart.results if result.analyte == "temperature")
    return any(value >= 38.3 for value in warm)
