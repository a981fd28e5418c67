"""Endotoxin: the cards against the published table, against the plain twin, and against other sources."""

from __future__ import annotations

import numpy as np
import pytest

import leukopenia as lk
from leukopenia import knowledge
from leukopenia.errors import UsageError
from leukopenia.forecast import Regimen
from plain import forecast as plain

LINES = ("neutrophils", "lymphocytes", "monocytes")
HOURS = [0.0, 3.0, 6.0, 24.0]
DENSE = np.arange(0.0, 24.05, 0.1)
TYPICAL = {"wbc": 6.4, "neutrophils": 3.8, "lymphocytes": 1.8, "monocytes": 0.5}


def mean(dose: float, hour: float, analyte: str) -> float:
    """A published mean, 10^9/L; the lines are printed as per cent of the white cells."""
    rows = {(float(r["dose"]), float(r["hour"]), r["analyte"]): r for r in knowledge.load()["endotoxin_counts"]}
    value, unit = float(rows[dose, hour, analyte]["value"]), rows[dose, hour, analyte]["unit"]
    return value * mean(dose, hour, "wbc") / 100 if unit == "%" else value


def course(dose: float, times: list[float] | np.ndarray) -> dict[str, np.ndarray]:
    """The group of a dose, from its own counts before."""
    return lk.forecast.redistribution({a: mean(dose, 0, a) for a in ("wbc", *LINES)}, dose, times)


def typical(dose: float) -> dict[str, np.ndarray]:
    return lk.forecast.redistribution(TYPICAL, dose, DENSE)


@pytest.mark.parametrize("dose", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("analyte", ["wbc", "neutrophils"])
def test_white_cells_and_neutrophils_are_within_a_tenth_of_every_mean(dose: float, analyte: str) -> None:
    found = course(dose, HOURS)[analyte]
    assert found == pytest.approx([mean(dose, hour, analyte) for hour in HOURS], rel=0.1)


@pytest.mark.parametrize("dose", [0.1, 0.5, 1.0])
def test_lymphocytes_dip_when_the_published_ones_do(dose: float) -> None:
    found = course(dose, HOURS)["lymphocytes"]
    published = np.array([mean(dose, hour, "lymphocytes") for hour in HOURS])
    assert (published[1:3] < 0.9 * published[0]).all()
    assert (found[1:3] < 0.9 * found[0]).all()
    assert min(found[3], published[3]) > 0.9 * found[0]


@pytest.mark.parametrize("dose", [0.5, 1.0])
def test_monocytes_dip_when_the_published_ones_do(dose: float) -> None:
    found = course(dose, HOURS)["monocytes"]
    published = np.array([mean(dose, hour, "monocytes") for hour in HOURS])
    assert max(found[1] / found[0], published[1] / published[0]) < 0.95
    assert min((found[2:] / found[0]).min(), (published[2:] / published[0]).min()) > 0.95


def test_no_dose_moves_nothing_and_a_larger_one_moves_more() -> None:
    still, weak, strong = (typical(dose) for dose in (0.0, 0.1, 1.0))
    for line in LINES:
        assert still[line] == pytest.approx(TYPICAL[line], rel=1e-9)
        assert strong[line].min() < weak[line].min() < TYPICAL[line]
    assert strong["neutrophils"].max() > weak["neutrophils"].max() > TYPICAL["neutrophils"]


def test_lymphocytes_are_lowest_at_about_four_hours_at_2_ng_per_kg() -> None:
    """Held out: nadir at 4 h, recovery by 24 h (Copeland 2005)."""
    found = typical(2.0)["lymphocytes"]
    assert 3.0 <= DENSE[found.argmin()] <= 6.0
    assert found[-1] > 0.9 * found[0]


def test_nearly_all_monocytes_are_gone_early_at_2_ng_per_kg_and_are_back_by_eight_hours() -> None:
    """More than 95 % lost (Tak 2017), profoundly low at one hour (Richardson 1989)."""
    found = typical(2.0)["monocytes"]
    assert found.min() < 0.05 * found[0]
    assert found[10] < 0.2 * found[0]
    assert found[80] > 0.9 * found[0]


def test_neutrophils_fall_early_and_are_high_for_hours_at_2_ng_per_kg() -> None:
    """The assumed depth lies within what was read: low early, high within six hours (Richardson 1989)."""
    found = typical(2.0)["neutrophils"]
    assert DENSE[found.argmin()] < 1.0
    assert found.min() < 0.7 * found[0]
    assert (found[20:61] > 1.2 * found[0]).all()


def test_white_cells_are_not_halved_at_08_ng_per_kg() -> None:
    """The assumed depth lies within what was read: no fall by half without G-CSF (Blood 1996;87:900)."""
    assert typical(0.8)["wbc"].min() > 0.5 * TYPICAL["wbc"]


def test_cells_come_back_in_the_end() -> None:
    for name in ("redistribution-lps", "redistribution-lps-lymphocytes", "redistribution-lps-monocytes"):
        found = lk.forecast.solve(name, Regimen([0.0], 1.0), [0.0, 1000.0])
        assert found[1] == pytest.approx(found[0], rel=1e-6)


NEUTROPHILS = {"circ0": 4.1, "marginated_ratio": 1.4, "reserve_ratio": 8.0, "kcirc": 0.07, "kdemargination": 1.5}
NEUTROPHILS |= {"margination": 3.0, "margination_peak": 0.6, "release": 9.0, "release_peak": 2.5, "release_shape": 4.0}
NEUTROPHILS |= {"ed50": 0.4, "hill": 1.7}
CELLS = {"circ0": 1.9, "outside_ratio": 6.0, "kreturn": 0.8, "departure": 5.0, "departure_peak": 3.0}
CELLS |= {"departure_shape": 2.5, "ed50": 0.7, "hill": 1.3}


@pytest.mark.parametrize("dose", [0.2, 3.0])
def test_the_equations_agree_with_the_plain_twin(dose: float) -> None:
    times = [0.0, 0.3, 0.6, 1.0, 2.0, 4.0, 9.0, 24.0]
    found = lk.forecast.solve("redistribution-lps", Regimen([0.0], dose), times, NEUTROPHILS)
    assert found == pytest.approx(plain.redistribution(NEUTROPHILS, dose, times), rel=1e-6)
    found = lk.forecast.solve("redistribution-lps-monocytes", Regimen([0.0], dose), times, CELLS)
    assert found == pytest.approx(plain.exchange(CELLS, dose, times), rel=1e-6)


def test_an_arrest_is_an_exponential_fall_to_what_is_still_made() -> None:
    times, lost, k = np.arange(0.0, 200.0, 8.0), 0.7, 0.06
    found = lk.forecast.solve("production-arrest-neutrophils", Regimen([0.0], lost), times, {"circ0": 4.0, "kcirc": k})
    assert found == pytest.approx(4.0 * (1 - lost + lost * np.exp(-k * times)), rel=1e-7)


REFUSED = {
    "missing": {name: x for name, x in TYPICAL.items() if name != "monocytes"},
    "more than the white cells": TYPICAL | {"wbc": 4.0},
}


@pytest.mark.parametrize("words", REFUSED)
def test_counts_before_that_cannot_be_are_refused(words: str) -> None:
    with pytest.raises(UsageError, match=words):
        lk.forecast.redistribution(REFUSED[words], 1.0, HOURS)
