"""Courses under a drug whose counts are watched, all of them still going on when the records end.

The intervals are those of British practice (weekly, then every two or four weeks); depths and shares are invented.
"""

from __future__ import annotations

from typing import Any

from leukopenia.simulate.chart import Chart
from leukopenia.simulate.records import DAY

DAYS = 300
FIRST, SUPPLY = 144, 28
_USUAL = 4.0
_WEEKLY_UNTIL = FIRST + 18 * 7


def monitored(chart: Chart, nth: int) -> None:
    """Clozapine and azathioprine: as the rules ask, late, not at all, and with counts that ask for something."""
    chart.baseline["neutrophils"] = _USUAL
    (_steady, _overdue, _amber, _red, _two_drugs, _no_baseline, _orders)[nth % 7](chart)


def _clozapine(chart: Chart, last: int) -> list[int]:
    """Dispensed every four weeks; the days of the counts up to the last one, one of them left out, one a day late."""
    chart.diagnose("schizophrenia", 10)
    chart.dispense("clozapine", *range(FIRST, DAYS, SUPPLY), supply=SUPPLY, dose=300.0)
    days = [FIRST - 5, *range(FIRST + 7, _WEEKLY_UNTIL, 7), *range(_WEEKLY_UNTIL, last + 1, 14)]
    days.remove(chart.rng.choice(days[3:8]))
    days[10] += 1
    return [day for day in days if day <= last]


def _steady(chart: Chart) -> None:
    chart.count(*_clozapine(chart, DAYS - 4))


def _overdue(chart: Chart) -> None:
    chart.count(*_clozapine(chart, DAYS - 60))


def _amber(chart: Chart) -> None:
    chart.shape("neutrophils", (DAYS - 20, 1), (DAYS - 8, 0.44))
    chart.count(*_clozapine(chart, DAYS - 22), DAYS - 8)
    chart.span(DAYS - 20, DAYS, "clozapine", **_by_clozapine(chart, DAYS - 20))


def _red(chart: Chart) -> None:
    """The last packet is handed over although the count of the week before asks to stop."""
    chart.shape("neutrophils", (DAYS - 30, 1), (DAYS - 15, 0.22))
    chart.count(*_clozapine(chart, DAYS - 29), DAYS - 15)
    chart.span(DAYS - 30, DAYS, "clozapine, not stopped", **_by_clozapine(chart, DAYS - 30))


def _by_clozapine(chart: Chart, day: int) -> dict[str, Any]:
    onset = chart.origin + day * DAY
    named = {"cause_id": "drug:clozapine", "cause_class": "idiosyncratic", "lines": ("wbc", "neutrophils")}
    return {**named, "cause_onset": onset, "recorded": True}


def _two_drugs(chart: Chart) -> None:
    chart.diagnose("crohn disease", 10)
    chart.dispense("azathioprine", *range(FIRST, DAYS, SUPPLY), supply=SUPPLY, dose=100.0)
    chart.order("metronidazole", 240, 247, dose=1200.0)
    chart.count(FIRST - 6, *range(FIRST + 7, FIRST + 50, 7), *range(FIRST + 70, DAYS, 28))


def _no_baseline(chart: Chart) -> None:
    chart.diagnose("crohn disease", 10)
    chart.dispense("azathioprine", *range(FIRST, DAYS, SUPPLY), supply=SUPPLY, dose=100.0)
    chart.count(FIRST + 20, FIRST + 55, FIRST + 100)


def _orders(chart: Chart) -> None:
    """Only orders: whether anything was taken nobody knows."""
    chart.diagnose("crohn disease", 10)
    chart.order("azathioprine", FIRST, DAYS, dose=100.0)
    chart.count(FIRST - 6, FIRST + 60, FIRST + 120)
