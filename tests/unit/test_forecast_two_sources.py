"""Cards read in two places: the curve of the card against the model as the second place writes it."""

from __future__ import annotations

import numpy as np
import pytest

import leukopenia as lk
from leukopenia.errors import UsageError
from leukopenia.forecast import Counts, Regimen
from plain import cards as second

TIMES = np.arange(0.0, 1009.0, 6.0)


def worst(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found / expected - 1).max())


ILL = {"weight": 52.0, "albumin": 3.1, "alkaline_phosphatase": 260.0, "bilirubin": 1.2}
ILL |= {"lactate_dehydrogenase": 410.0, "aspartate_transaminase": 75.0, "growth_factor": 1.0}
ILL_THERE = {"WT": 52.0, "ALB": 31.0, "ALP": 260.0, "TBILI": 1.2 * 17.1, "LDH": 410.0, "AST": 75.0, "GCSF": 1.0}
AS_THERE = {"weight": 68.7, "albumin": 4.0, "alkaline_phosphatase": 132.0, "bilirubin": 0.5}


@pytest.mark.parametrize(("here", "there"), [(AS_THERE, second.ERIBULIN_PERSON), (ILL, ILL_THERE)])
def test_eribulin(here: dict[str, float], there: dict[str, float]) -> None:
    regimen = Regimen([0.0, 168.0, 504.0], 2.1, covariates=here)
    found = lk.forecast.solve("vanhasselt2013-eribulin", regimen, TIMES)
    assert found.min() < 0.5 * found[0]
    assert worst(found, second.eribulin(there, [(0.0, 2.1), (168.0, 2.1), (504.0, 2.1)], TIMES) / 1000) < 1e-6


DAILY = [24.0 * day for day in (*range(21), *range(28, 40))]


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ({}, {"CRCL": 71.6, "ALP": 88.6, "AGE": 63.7}),
        (
            {"creatinine_clearance": 40.0, "alkaline_phosphatase": 200.0, "age": 81.0},
            {"CRCL": 40, "ALP": 200, "AGE": 81},
        ),
    ],
)
def test_palbociclib(here: dict[str, float], there: dict[str, float]) -> None:
    found = lk.forecast.solve("lemarouille2021-palbociclib", Regimen(DAILY, 125.0, covariates=here), TIMES)
    assert found.min() < 0.7 * found[0]
    assert worst(found, second.palbociclib(there, [(t, 125.0) for t in DAILY], TIMES)) < 1e-6


@pytest.mark.parametrize(
    ("card", "regimen", "day"),
    [
        ("vanhasselt2013-eribulin", Regimen([0.0, 168.0], 2.2, 0.1), 13),
        ("lemarouille2021-palbociclib", Regimen([24.0 * day for day in range(21)], 125.0), 24),
    ],
)
def test_the_nadir_falls_on_the_day_that_others_report(card: str, regimen: Regimen, day: float) -> None:
    """Eribulin: as in the row of its cause. Palbociclib: the model of Courlet 2022, from its abstract."""
    grid = np.arange(0.0, 841.0, 2.0)
    counts = lk.forecast.solve(card, regimen, grid)
    assert abs(grid[counts.argmin()] / 24.0 - day) < 1.5


def test_equal_rates_of_absorption_and_elimination_have_a_curve_too() -> None:
    near = [lk.forecast.solve("lemarouille2021-palbociclib", Regimen(DAILY, 125.0), TIMES, {"ka": k}) for k in _NEAR]
    assert worst(near[0], near[1]) < 1e-5


_NEAR = (57.13 / 1580, 57.13 / 1580 * 1.00001)


def test_persons_who_swallow_are_solved_as_one_by_one() -> None:
    clearances = np.array([30.0, 57.0, 90.0])
    card, regimen = "lemarouille2021-palbociclib", Regimen(DAILY, 125.0)
    together = lk.forecast.solve(card, regimen, TIMES, {"cl": clearances})
    assert (together[2] == lk.forecast.solve(card, regimen, TIMES, {"cl": 90.0})).all()
    assert together[0].min() < together[2].min()


def test_what_is_swallowed_has_no_duration() -> None:
    with pytest.raises(UsageError, match="swallowed"):
        lk.forecast.solve("lemarouille2021-palbociclib", Regimen([0.0], 125.0, 1.0), TIMES)


def test_docetaxel_emax() -> None:
    found = lk.forecast.solve("friberg2002-docetaxel-emax", Regimen([24.0, 528.0], 150.0), TIMES)
    assert found.min() < 0.5 * found[0]
    assert worst(found, second.docetaxel_emax([(24.0, 150.0), (528.0, 150.0)], TIMES)) < 1e-6


def test_neutrophils_fall_deeper_than_leukocytes_under_the_same_paclitaxel() -> None:
    """Two analyses of the same patients: the share that is left is smaller among neutrophils, at the same time."""
    regimen = Regimen([0.0], 410.0, 3.0)
    neutrophils = lk.forecast.solve("wahlby2004-paclitaxel", regimen, TIMES)
    leukocytes = lk.forecast.solve("friberg2002-paclitaxel-leukocytes", regimen, TIMES)
    assert neutrophils.min() / neutrophils[0] < leukocytes.min() / leukocytes[0]
    assert abs(TIMES[neutrophils.argmin()] - TIMES[leukocytes.argmin()]) <= 24.0


def test_filgrastim() -> None:
    days = [24.0 * day for day in range(1, 8)]
    regimen = Regimen(days, 300.0 / 18.8, covariates={"weight": 82.0})
    found = lk.forecast.solve("melhem2018-filgrastim", regimen, TIMES)
    assert found.max() > 4.0 * found[0]
    assert worst(found, second.filgrastim([(t, 300.0) for t in days], 82.0, TIMES) / 1000) < 1e-6


@pytest.mark.parametrize(
    ("card", "regimen"),
    [
        ("vanhasselt2013-eribulin", Regimen([0.0, 168.0], 2.1, 0.1)),
        ("lemarouille2021-palbociclib", Regimen(DAILY[:21], 125.0)),
    ],
)
def test_one_person_is_forecast(card: str, regimen: Regimen) -> None:
    """Counts on a person's own curve narrow the nadir, and the forecast comes back to it."""
    own = {"circ0": 3.3, "slope": lk.forecast.card(card).parameters["slope"].value * 1.4}
    days = [0.0, 168.0, 240.0]
    known = lk.forecast.solve(card, regimen, days, own)
    later = lk.forecast.solve(card, regimen, np.arange(240.0, 960.0, 2.0), own)
    found = lk.forecast.predict(Counts(days, known), regimen, card, since=0.0)
    assert found.status == "forecast"
    assert found.markers["nadir"].low < later.min() < found.markers["nadir"].high
