"""Persons without a low white count: healthy, very young, very old, pregnant, or with clumped platelets."""

from __future__ import annotations

from leukopenia.simulate.chart import Chart
from leukopenia.simulate.records import DAY

HARMLESS = (
    ("hypertension", ""),
    ("diabetes", ""),
    ("hypertension", "atorvastatin"),
    ("", "levothyroxine"),
    ("", "amoxicillin"),
    ("", ""),
    ("", ""),
)


def healthy(chart: Chart, nth: int) -> None:
    """A few routine counts, some with a common diagnosis or a harmless drug."""
    chart.visits(900)
    disease, drug = chart.rng.choice(HARMLESS)
    if disease:
        chart.diagnose(disease, 30)
    if drug:
        chart.order(drug, 40, 47 if drug == "amoxicillin" else 700)
    if nth % 3 == 0:
        chart.stay(10.35, 10.4, "outpatient")


def unmeasured(chart: Chart, nth: int) -> None:
    """Diagnoses and a drug, but never a count."""
    chart.diagnose("hypertension", 5)
    chart.diagnose("low white cells", 100)
    chart.order("metronidazole", 90, 97, dose=500.0)


def clumps(chart: Chart, nth: int) -> None:
    """Platelets clump in EDTA: a low number that is not real, and a normal one the next day."""
    chart.visits(200)
    day = 210
    chart.shape("platelets", (day, 1), (day + 0.2, 0.16), (day + 0.7, 0.16), (day + 0.9, 1))
    chart.count(day, laboratory="hospital", note="Platelet clumps present; the count is unreliable")
    chart.count(day + 1, laboratory="hospital")
    chart.span(day, day + 1, "not real: EDTA-dependent platelet clumps")


def newborn(chart: Chart, nth: int) -> None:
    """High counts on the first day, falling within the first week."""
    birth = (chart.person.birth - chart.origin) / DAY
    chart.baseline.update(neutrophils=1.0, lymphocytes=1.0, monocytes=1.0, haemoglobin=1.0, mcv=1.0)
    for line, knots in (
        ("neutrophils", ((0, 8.5), (0.5, 14.0), (1, 12.5), (3, 5.0), (7, 4.5), (28, 3.8))),
        ("lymphocytes", ((0, 4.6), (3, 4.0), (7, 5.0), (28, 6.0))),
        ("monocytes", ((0, 1.2), (7, 1.1), (28, 0.8))),
        ("haemoglobin", ((0, 185.0), (7, 175.0), (28, 150.0))),
        ("mcv", ((0, 109.0), (28, 101.0))),
    ):
        chart.shape(line, *((birth + age, value) for age, value in knots))
    chart.stay(birth, birth + 3)
    chart.diagnose("newborn", 1)
    chart.count(birth + 0.1, birth + 0.6, birth + 1.5, birth + 2.7, birth + 6.5, laboratory="hospital")


def young(chart: Chart) -> None:
    """The usual counts of a child: more lymphocytes, fewer neutrophils, less haemoglobin."""
    for line, factor in (("neutrophils", 0.85), ("lymphocytes", 1.5), ("mcv", 0.92)):
        chart.baseline[line] *= factor
    chart.baseline["haemoglobin"] = chart.rng.uniform(120, 132)


def child(chart: Chart, nth: int) -> None:
    """A healthy child."""
    young(chart)
    chart.visits(600)


def pregnancy(chart: Chart, nth: int) -> None:
    """White cells high, haemoglobin a little low, platelets lower towards the end."""
    chart.diagnose("pregnancy", 55, 290)
    chart.shape("neutrophils", (20, 1), (120, 1.6), (280, 1.9), (320, 1))
    chart.shape("haemoglobin", (20, 1), (180, 0.87), (280, 0.9), (330, 1))
    chart.shape("platelets", (20, 1), (280, 0.85), (320, 1))
    chart.count(0, 60, 120, 190, 250, 282, 360)
    chart.span(30, 340, "dilution of pregnancy")


def aged(chart: Chart, nth: int) -> None:
    """A healthy person of more than 89 years."""
    chart.visits(500)
