"""Courses in which a treatment lowers the counts.

Timing is like what is published (nadir of most cytotoxic drugs in the second week, thionamides after about
five weeks, sulfasalazine after about six); depths and shares are invented.
"""

from __future__ import annotations

from leukopenia.simulate.chart import Chart

REGIMENS = (
    ("breast cancer", (("doxorubicin", 60.0), ("cyclophosphamide", 600.0))),
    ("breast cancer", (("docetaxel", 75.0),)),
    ("lung cancer", (("paclitaxel", 175.0), ("carboplatin", 450.0))),
)
CYCLE = 21


def chemotherapy(chart: Chart, nth: int) -> None:
    """Four to six cycles, three weeks apart; some with fever, some with G-CSF, a few delayed once."""
    disease, drugs = REGIMENS[nth % len(REGIMENS)]
    cycles, day = chart.rng.randint(4, 6), 14
    delayed = 1 if nth % 12 == 3 else None
    chart.diagnose(disease, 0)
    chart.count(2, 9)
    chart.shape("haemoglobin", (day, 1), (day + CYCLE * cycles, 0.84), (day + CYCLE * cycles + 60, 1))
    for cycle in range(cycles):
        length = CYCLE + 7 if cycle == delayed else CYCLE
        for name, dose in drugs:
            chart.administer(name, day, dose=dose)
        _cycle(chart, day, length, gcsf=nth % 4 == 1, febrile=nth % 5 == 2 and cycle < 2)
        day += length
    chart.count(day, day + 30, day + 90)


def _cycle(chart: Chart, day: int, length: int, gcsf: bool, febrile: bool) -> None:
    nadir = chart.rng.randint(8, 10) if gcsf else chart.rng.randint(8, 13)
    depth = chart.rng.uniform(0.28, 0.5) if gcsf else chart.rng.uniform(0.04, 0.3)
    rise = day + length - 1
    early = (day + 4, 1.9) if gcsf else (day + 4, 0.9)
    late = ((day + 21, 0.3),) if length > CYCLE else ()
    chart.shape("neutrophils", (day, 1), early, (day + nadir, depth), (day + nadir + 2, 1.4 * depth), *late, (rise, 1))
    chart.shape("lymphocytes", (day, 1), (day + 8, 0.65), (rise, 1))
    chart.shape("monocytes", (day, 1), (day + nadir - 1, 0.3), (day + nadir + 5, 1.4), (rise, 1))
    chart.shape("platelets", (day, 1), (day + 12, 0.62), (rise, 1))
    if gcsf:
        chart.administer("filgrastim", *range(day + 2, day + 7), dose=300.0)
    note = "chemotherapy, next cycle put off a week" if late else "chemotherapy"
    chart.span(day, day + length, f"{note}, febrile" if febrile else note)
    _cycle_counts(chart, day, day + nadir, febrile, bool(late))


def _cycle_counts(chart: Chart, day: int, nadir: int, febrile: bool, late: bool) -> None:
    chart.count(day, laboratory="hospital")
    if febrile:
        admission(chart, nadir - 1, days=6, coded="chemotherapy neutropenia")
    else:
        chart.count(*sorted({day + 7, nadir, day + 15}))
    if late:
        chart.count(day + CYCLE)


def admission(chart: Chart, day: int, days: int, coded: str = "", drug: str = "piperacillin-tazobactam") -> None:
    """A stay with fever and few neutrophils: daily counts, temperatures, an antibiotic; half get a code."""
    chart.stay(day, day + days)
    chart.count(*range(day, day + days + 1), laboratory="hospital")
    chart.fever(day, 3, round(chart.rng.uniform(38.6, 40.1), 1))
    chart.administer(drug, *range(day, day + min(days, 7)), dose=4.5 if drug != "meropenem" else 1.0)
    chart.diagnose("neutropenic fever", day, day + days)
    if coded and chart.rng.random() < 0.5:
        chart.diagnose(coded, day, day + days)


AGENTS = (
    ("thiamazole", "hyperthyroidism", (23, 55), (8, 15), 20.0),
    ("clozapine", "schizophrenia", (28, 75), (9, 16), 300.0),
    ("sulfasalazine", "rheumatoid arthritis", (30, 60), (7, 12), 2000.0),
)


def agranulocytosis(chart: Chart, nth: int) -> None:
    """Neutrophils vanish weeks after a drug is started and come back one to two weeks after it is stopped."""
    name, disease, onset, recovery, dose = AGENTS[nth % len(AGENTS)]
    first, healed = chart.rng.randint(*onset), chart.rng.randint(*recovery)
    stop = first + 1
    chart.diagnose(disease, 0)
    chart.order(name, 5, 5 + stop, dose=dose)
    chart.count(2, *range(12 if name == "clozapine" else 26, first, 7 if name == "clozapine" else 28))
    low = (5 + first - 5, 1), (5 + first, 0.03), (5 + first + 2, 0.02), (5 + stop + healed // 2, 0.04)
    chart.shape("neutrophils", *low, (5 + stop + healed, 0.7), (5 + stop + healed + 3, 1.3), (5 + stop + 40, 1))
    chart.shape("monocytes", (5 + first - 5, 1), (5 + first, 0.2), (5 + stop + healed - 2, 1.8), (5 + stop + 40, 1))
    admission(chart, 5 + stop, healed + 2, coded="drug neutropenia", drug="meropenem")
    if nth % 2:
        chart.administer("filgrastim", *range(5 + stop + 1, 5 + stop + 5), dose=300.0)
    chart.count(5 + stop + healed + 9, 5 + stop + healed + 30, 5 + stop + healed + 120)
    chart.span(5, 5 + stop + healed + 20, f"{name} agranulocytosis, stopped")


def valproate(chart: Chart) -> None:
    """A fall that follows the dose, and goes when the dose is lowered."""
    chart.diagnose("epilepsy", 0)
    for first, last, dose in ((5, 60, 500.0), (60, 150, 1000.0), (150, 240, 2500.0), (240, 420, 1000.0)):
        chart.order("valproate", first, last, dose=dose)
    chart.shape("neutrophils", (5, 1), (60, 0.9), (150, 0.8), (170, 0.36), (240, 0.36), (262, 0.85))
    chart.count(0, 40, 90, 140, 175, 200, 230, 250, 270, 330, 400)
    chart.span(150, 300, "valproate, dose-related")


def azathioprine(chart: Chart) -> None:
    """A slow fall of all white cells in the second month, and recovery on half the dose."""
    chart.diagnose("crohn disease", 0)
    chart.order("azathioprine", 5, 75, dose=150.0)
    chart.order("azathioprine", 75, 500, dose=75.0)
    chart.shape("neutrophils", (5, 1), (35, 0.8), (58, 0.35), (76, 0.34), (100, 0.85))
    chart.shape("lymphocytes", (5, 1), (58, 0.7), (500, 0.7))
    chart.shape("mcv", (5, 1), (150, 1.08))
    chart.count(1, 19, 33, 47, 61, 75, 89, 103, 130, 200, 290, 380)
    chart.span(30, 140, "azathioprine")


def mild_drug(chart: Chart, nth: int) -> None:
    """Valproate and azathioprine in turn."""
    (valproate, azathioprine)[nth % 2](chart)


def steroid(chart: Chart, nth: int) -> None:
    """Prednisone: lymphocytes fall within a day, neutrophils rise."""
    chart.diagnose("polymyalgia", 8)
    for first, last, dose in ((10, 24, 60.0), (24, 38, 30.0), (38, 60, 10.0)):
        chart.order("prednisone", first, last, dose=dose)
    chart.shape("lymphocytes", (10, 1), (11, 0.3), (24, 0.36), (38, 0.55), (60, 0.9), (75, 1))
    chart.shape("neutrophils", (10, 1), (11, 1.7), (38, 1.4), (75, 1))
    chart.shape("eosinophils", (10, 1), (11, 0.1), (60, 0.7), (75, 1))
    chart.count(6, 12, 17, 24, 38, 62, 90 + nth)
    chart.span(9, 76, "prednisone lymphopenia")
