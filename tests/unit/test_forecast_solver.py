"""The solver against the plain twin, on invented problems; and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import leukopenia as lk
from leukopenia.errors import UsageError
from leukopenia.forecast import Regimen, Series
from leukopenia.forecast.model_card import Card, Parameter
from plain import forecast as plain

TIMES = np.arange(0.0, 901.0, 12.0)
DOSES = [(24.0, 60.0, 3.0), (24.0, 10.0, 0.0), (430.0, 80.0, 24.0)]
REGIMEN = Regimen([t for t, _, _ in DOSES], [a for _, a, _ in DOSES], [h for _, _, h in DOSES])
CELLS = {"circ0": 4.2, "mtt": 95.0, "gamma": 0.21}


def own(**values: float) -> Card:
    """An invented card of the chain."""
    kinetics = ("circ0", "mtt", "gamma", "slope", "emax", "ec50", "kcirc")
    made = {
        name: Parameter(name, "kinetics" if name in kinetics else "exposure", value, "", None, "")
        for name, value in values.items()
    }
    return replace(lk.forecast.card("kloft2006-docetaxel"), parameters=made, effects=())


def worst(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found / expected - 1).max())


MICRO = {
    "one": {"v1": 6.0, "k10": 0.8},
    "two": {"v1": 6.0, "k10": 0.8, "k12": 0.9, "k21": 0.11},
    "three": {"v1": 6.0, "k10": 3.1, "k12": 0.9, "k21": 1.3, "k13": 0.7, "k31": 0.04},
}


@pytest.mark.parametrize("compartments", MICRO)
@pytest.mark.parametrize("effect", [{"slope": 0.9}, {"emax": 40.0, "ec50": 6.0}, {"slope": 0.5, "kcirc": 0.1}], ids=str)
def test_chain_agrees_with_the_plain_twin(compartments: str, effect: dict[str, float]) -> None:
    values = {**CELLS, **effect}
    found = lk.forecast.solve(own(**values, **MICRO[compartments]), REGIMEN, TIMES)
    assert worst(found, plain.friberg(values, MICRO[compartments], DOSES, TIMES)) < 1e-7


def test_clearances_and_rate_constants_are_the_same_drug() -> None:
    rates = MICRO["two"]
    flows = {"v1": 6.0, "cl": 4.8, "q": 5.4, "v2": 5.4 / 0.11}
    one = lk.forecast.solve(own(**CELLS, slope=0.9, **rates), REGIMEN, TIMES)
    assert worst(lk.forecast.solve(own(**CELLS, slope=0.9, **flows), REGIMEN, TIMES), one) < 1e-9


def test_amount_goes_over_when_the_volume_changes() -> None:
    """Two sets of constants in time: a bolus, then another volume; the twin keeps amounts."""
    change = 30.0
    card = own(**CELLS, slope=0.3, v1=6.0, cl=1.2)
    regimen = Regimen([0.0], [60.0], covariates={"v1": Series([0.0, change], [6.0, 12.0], "forward")})
    found = lk.forecast.solve(card, regimen, TIMES)
    early, late = {"v1": 6.0, "k10": 0.2}, {"v1": 12.0, "k10": 0.1}
    left = 60.0 * np.exp(-0.2 * change)

    def right(rate: float) -> plain.Right:
        def f(t: float, y: np.ndarray) -> np.ndarray:
            k = early if t < change else late
            c = y[0] / k["v1"]
            return np.array([-k["k10"] * y[0], *plain.chain(c, y[1:], 1, 4 / 95, 4 / 95, 0.21, 0.3 * c)])

        return f

    assert left > 0.1
    twin = plain.integrate(right, [0, 1, 1, 1, 1, 1], [(0.0, 60.0, 0.0)], TIMES, breaks=[change])
    assert worst(found, 4.2 * twin[:, 5]) < 1e-7


def test_backward_and_forward_are_not_the_same() -> None:
    card = own(**CELLS, slope=1.0, v1=1.0, k10=1.0)
    times, values = [0.0, 24.0, 48.0], [0.0, 2.0, 0.1]
    backward = lk.forecast.solve(card, Regimen(concentration=Series(times, values, "backward")), TIMES)
    forward = lk.forecast.solve(card, Regimen(concentration=Series(times, values, "forward")), TIMES)
    parameters = {**CELLS, "slope": 1.0}
    assert worst(backward, plain.constant_pieces(parameters, times, [2.0, 0.1, 0.0], list(TIMES))) < 1e-7
    assert worst(forward, plain.constant_pieces(parameters, times, [0.0, 2.0, 0.1], list(TIMES))) < 1e-7
    assert worst(forward, backward) > 0.1


def test_mass_becomes_amount() -> None:
    values = {**CELLS, "slope": 0.002}
    card = own(**values, molar_mass=500.0, **MICRO["one"])
    twin = plain.friberg({**values, "molar_mass": 500.0}, MICRO["one"], DOSES, TIMES)
    assert worst(lk.forecast.solve(card, REGIMEN, TIMES), twin) < 1e-7


def test_a_very_deep_fall_stays_positive_and_right() -> None:
    values = {**CELLS, "slope": 40.0}
    found = lk.forecast.solve(own(**values, **MICRO["one"]), REGIMEN, TIMES)
    assert 0 < found.min() < 2e-4
    assert worst(found, plain.friberg(values, MICRO["one"], DOSES, TIMES)) < 1e-6


def test_without_treatment_nothing_moves() -> None:
    assert lk.forecast.solve("kloft2006-docetaxel", Regimen(), TIMES) == pytest.approx(5.3, rel=1e-12)
    assert lk.forecast.solve("quartino2014-docetaxel", Regimen(), TIMES) == pytest.approx(3.53, rel=1e-9)
    assert lk.forecast.solve("harrold2020-radiation", Regimen(), TIMES) == pytest.approx(1.71, rel=1e-9)


def test_persons_are_solved_as_one_by_one() -> None:
    slopes, volumes = np.array([0.4, 0.9, 1.4]), np.array([5.0, 6.0, 7.0])
    card = own(**CELLS, slope=1.0, **MICRO["three"])
    together = lk.forecast.solve(card, REGIMEN, TIMES, {"slope": slopes, "v1": volumes})
    assert together.shape == (3, TIMES.size)
    for n in range(3):
        alone = lk.forecast.solve(card, REGIMEN, TIMES, {"slope": slopes[n], "v1": volumes[n]})
        assert (together[n] == alone).all()


def test_a_population_spreads_as_the_card_says() -> None:
    found = lk.forecast.population("netterberg2017-docetaxel", Regimen(), [0.0], 20_000, quantiles=(0.5, 0.841345))
    assert found[:, 0] == pytest.approx(5.21965 * np.exp([0.0, 0.0639703**0.5]), rel=0.01)
    again = lk.forecast.population(
        "netterberg2017-docetaxel", Regimen(), [0.0], 20_000, quantiles=(0.5, 0.841345), threads=1
    )
    assert (found == again).all()
    with pytest.raises(UsageError, match="No population"):
        lk.forecast.population("kloft2006-docetaxel", Regimen(), [0.0])


def test_threads_change_nothing() -> None:
    card = own(**CELLS, slope=1.0, **MICRO["two"])
    many = {"circ0": np.linspace(2, 6, 5000)}
    one, two = (lk.forecast.solve(card, REGIMEN, TIMES[:9], many, threads=n) for n in (1, 2))
    assert (one == two).all()


def test_gcsf_agrees_with_the_plain_twin() -> None:
    cells = {"circ0": 3.0, "mtt": 110.0, "half_removal": 8.0, "gamma": 0.4, "beta": 0.2}
    cells |= {"slope": 6.0, "ke": 0.4, "kanc": 2.0, "g0": 20.0}
    named = {**cells, "v1": 5.0, "k10": 0.5}
    base = lk.forecast.card("quartino2014-docetaxel")
    made = {n: Parameter(n, "kinetics", v, "", None, "") for n, v in named.items()}
    card = replace(base, parameters=made, effects=())
    found = lk.forecast.solve(card, Regimen([20.0], [15.0], [2.0]), TIMES)
    twin = plain.quartino(cells, {"v1": 5.0, "k10": 0.5}, (20.0, 15.0, 2.0), TIMES)
    assert found.min() < 0.5 * found[0]
    assert worst(found, twin) < 1e-6


def test_stiff_radiation_agrees_with_the_plain_twin() -> None:
    p = {"circ0": 2.0, "ktr": 0.03, "kcirc": 0.05, "kdecay": 0.012, "kkill": 0.05, "exponent": 1.8}
    found = lk.forecast.solve("harrold2020-radiation", Regimen([0.0], [600.0]), TIMES, p)
    assert worst(found, plain.radiation(p, 600.0, TIMES)) < 1e-5


def test_saturable_drug_agrees_with_the_plain_twin() -> None:
    p = {"circ0": 5.0, "mtt": 100.0, "gamma": 0.2, "slope": 0.004, "v1": 14.0, "v2": 1500.0, "v3": 70.0}
    p |= {"q3": 40.0, "vmtr": 3e5, "kmtr": 4000.0, "vmel": 8000.0, "kmel": 40.0}
    found = lk.forecast.solve("chen2014-nab-paclitaxel", Regimen([10.0], [4e5], [0.5]), TIMES, p)
    assert found.min() < 3.5
    assert worst(found, plain.nab_paclitaxel(p, (10.0, 4e5, 0.5), TIMES)) < 1e-6


CLEAR = "netterberg2017-docetaxel"
PULSE = Series([0.0, 1.0], [0.0, 1.0])

REFUSED = {
    "no parameter": lambda: lk.forecast.solve("kloft2006-docetaxel", REGIMEN, TIMES, {"magic": 1.0}),
    "one length": lambda: lk.forecast.solve("kloft2006-docetaxel", REGIMEN, TIMES, {"mtt": [1, 2], "gamma": [1, 2, 3]}),
    "positive": lambda: lk.forecast.solve("kloft2006-docetaxel", REGIMEN, TIMES, {"mtt": -1.0}),
    "order of time": lambda: lk.forecast.solve("kloft2006-docetaxel", REGIMEN, [2.0, 1.0]),
    "finite": lambda: Regimen([0.0, np.nan], 1.0),
    "amounts": lambda: Regimen([0.0], [-1.0]),
    "without equations": lambda: lk.forecast.solve("craig2016-pools", Regimen(), TIMES),
    "no pharmacokinetics": lambda: lk.forecast.solve(own(**CELLS, slope=1.0), REGIMEN, TIMES),
    "carry": lambda: Series([0.0], [1.0], "sideways"),
    "one value": lambda: Series([0.0, 1.0], [1.0]),
    "makes no use of femal": lambda: lk.forecast.solve(CLEAR, Regimen([0.0], 1.0, covariates={"femal": 1.0}), TIMES),
    "makes no use of circ0": lambda: lk.forecast.solve(CLEAR, Regimen([0.0], 1.0, 0.0, {"circ0": PULSE}), TIMES),
    "not both": lambda: lk.forecast.solve(CLEAR, Regimen([0.0], 1.0, concentration=PULSE), TIMES),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_solved_is_refused_in_words(words: str) -> None:
    with pytest.raises(UsageError, match=words):
        REFUSED[words]()
