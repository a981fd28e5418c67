"""Courses in which a disease (or an inherited trait) lowers the counts; shapes are simple and invented."""

from __future__ import annotations

from leukopenia.simulate.chart import Chart


def viral(chart: Chart, nth: int) -> None:
    """Mild, brief, and gone without treatment."""
    chart.visits(25)
    day = 30
    chart.shape("neutrophils", (day, 1), (day + 4, 0.32), (day + 7, 0.3), (day + 11, 0.7), (day + 15, 1))
    chart.shape("lymphocytes", (day, 1), (day + 2, 0.45), (day + 6, 0.8), (day + 10, 1.2), (day + 20, 1))
    chart.shape("platelets", (day, 1), (day + 5, 0.75), (day + 14, 1))
    chart.fever(day + 2, 2, round(chart.rng.uniform(38.0, 39.2), 1))
    chart.count(day + 3, day + 6, *((day + 9,) if nth % 2 else ()), day + 16, day + 45)
    chart.span(day, day + 20, "viral infection")
    if chart.rng.random() < 0.7:
        chart.diagnose("viral infection", day + 3, day + 16)


def sepsis(chart: Chart, nth: int) -> None:
    """Few white cells in the first hours, many within three days: redistribution, then marrow output."""
    chart.visits(15)
    day = 20
    chart.shape(
        "neutrophils",
        (day, 1),
        (day + 0.1, 0.25),
        (day + 0.5, 0.4),
        (day + 1, 1.6),
        (day + 2.5, 4.2),
        (day + 5, 3),
        (day + 10, 1.3),
        (day + 15, 1),
    )
    chart.shape("bands", (day, 0.001), (day + 0.1, 0.35), (day + 2, 0.25), (day + 5, 0.02), (day + 6, 0.001))
    chart.shape("lymphocytes", (day, 1), (day + 0.1, 0.3), (day + 3, 0.5), (day + 10, 1))
    chart.shape("monocytes", (day, 1), (day + 0.1, 0.2), (day + 2, 1.3), (day + 12, 1))
    chart.shape("platelets", (day, 1), (day + 3, 0.5), (day + 8, 1), (day + 12, 1.4), (day + 25, 1))
    chart.stay(day, day + 10)
    chart.count(day + 0.15, day + 0.4, day + 0.75, laboratory="night" if nth % 2 else "hospital")
    chart.count(day + 1.3, *range(day + 2, day + 11), laboratory="hospital")
    chart.fever(day, 4, round(chart.rng.uniform(38.8, 40.3), 1))
    chart.administer("meropenem" if nth % 2 else "piperacillin-tazobactam", *range(day, day + 8), dose=1.0)
    chart.diagnose("sepsis", day, day + 10)
    chart.count(day + 40)
    chart.span(day, day + 12, "sepsis, early redistribution")


def hiv(chart: Chart, nth: int) -> None:
    """Lymphocytes low for months, rising under treatment, some never back in range."""
    chart.diagnose("hiv", 3)
    reached = (0.45, 0.75, 0.9)[nth % 3]
    chart.shape("lymphocytes", (0, 0.32), (20, 0.32), (120, 0.4), (700, reached))
    chart.order("bictegravir/emtricitabine/tenofovir", 14, 700, dose=50.0)
    chart.count(1, 14, 45, *range(90, 700, 91))
    for step, day in enumerate(range(1, 700, 182)):
        chart.measure("cd4", day, float(chart.rng.randint(60, 140) + 75 * step), "/uL")
    chart.span(0, 720, "HIV infection")


def duffy_null(chart: Chart, nth: int) -> None:
    """A stable neutrophil count of 1.0 to 1.5 for years, nothing else."""
    chart.baseline["neutrophils"] = chart.rng.uniform(1.18, 1.3)
    years = chart.rng.choice((3, 4))
    chart.count(*(91 * quarter for quarter in range(4 * years)))
    chart.span(0, 366 * years, "Duffy-null associated neutrophil count, lifelong and benign")
    if nth % 2 == 0:
        chart.diagnose("duffy null", 100)


def cyclic(chart: Chart, nth: int) -> None:
    """A nadir of some days every 21 days, monocytes in counter-phase."""
    nadirs = range(12, 400, 21)
    chart.shape(
        "neutrophils",
        *(knot for d in nadirs for knot in ((d - 8, 0.7), (d - 3, 0.1), (d, 0.05), (d + 2, 0.08), (d + 7, 0.7))),
    )
    chart.shape("monocytes", *(knot for d in nadirs for knot in ((d - 8, 1), (d - 1, 2.2), (d + 7, 1))))
    chart.count(*sorted({round(3.5 * step) for step in range(18)}), *range(120, 190, 7), 300, 390)
    for day in nadirs:
        chart.span(day - 10, day + 11, "cyclic neutropenia")
    chart.diagnose("cyclic neutropenia", 70)


def aplastic(chart: Chart, nth: int) -> None:
    """All lines fall over six weeks; partial recovery after treatment, or death."""
    chart.count(0)
    for line, low, late in (
        ("neutrophils", 0.07, 0.6),
        ("monocytes", 0.1, 0.7),
        ("lymphocytes", 0.65, 0.9),
        ("platelets", 0.07, 0.5),
        ("haemoglobin", 0.5, 0.85),
    ):
        chart.shape(line, (5, 1), (50, low), (100, low), (160, (low * late) ** 0.5), (330, late))
    chart.stay(50, 78)
    chart.count(*range(50, 78, 2), laboratory="hospital")
    chart.operate("Bone marrow biopsy", 52)
    chart.operate("Transfusion of platelets", 54)
    chart.administer("antithymocyte globulin", 60, 61, 62, 63, dose=40.0)
    chart.diagnose("aplastic anaemia", 55)
    chart.count(*range(85, 140 if nth % 2 else 330, 14 if nth % 2 else 21))
    if nth % 2:
        chart.die(150)
    chart.span(0, 340, "aplastic anaemia")


def leukaemia(chart: Chart, nth: int) -> None:
    """Acute leukaemia (many blasts, few neutrophils), then induction; the first has a WBC above 100."""
    blasts = (112.0, 42.0, 44.0)[nth % 3]
    chart.count(0, 40)
    chart.shape("blasts", (60, 0.001), (118, blasts), (122, blasts), (126, 1), (129, 0.001))
    for line, low, empty in (
        ("neutrophils", 0.1, 0.008),
        ("lymphocytes", 0.8, 0.06),
        ("monocytes", 0.6, 0.02),
    ):
        chart.shape(line, (60, 1), (118, low), (122, low), (128, empty), (141, empty), (153, 0.8), (165, 1))
    chart.shape("eosinophils", (118, 1), (128, 0.05), (141, 0.05), (153, 1))
    chart.shape("platelets", (60, 1), (118, 0.14), (129, 0.05), (142, 0.06), (155, 0.9))
    chart.shape("haemoglobin", (60, 1), (118, 0.57), (145, 0.55), (230, 0.9))
    chart.stay(120, 154)
    chart.count(*range(120, 126), *range(126, 156, 2), laboratory="hospital")
    chart.administer("cytarabine", *range(122, 129), dose=100.0)
    chart.administer("daunorubicin", 122, 123, 124, dose=60.0)
    chart.operate("Bone marrow aspiration", 121)
    chart.fever(131, 4, 39.4)
    chart.administer("meropenem", *range(131, 141), dose=1.0)
    chart.diagnose("acute leukaemia", 121)
    chart.count(161, 170, 230)
    chart.span(60, 175, "acute leukaemia and induction")


def hypersplenism(chart: Chart, nth: int) -> None:
    """All lines a little low for years."""
    for line, factor in (
        ("neutrophils", 0.38),
        ("lymphocytes", 0.45),
        ("platelets", 0.36),
        ("haemoglobin", 0.8),
    ):
        chart.baseline[line] *= factor
    chart.diagnose("cirrhosis", 0)
    chart.diagnose("hypersplenism", 10, certainty="confirmed" if nth % 2 else "provisional")
    chart.count(*(91 * quarter for quarter in range(chart.rng.randint(7, 12))))
    chart.span(0, 1200, "hypersplenism")
