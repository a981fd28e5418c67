"""The fit of one person against textbook answers; what a forecast says, and when it says too little."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

import leukopenia as lk
from leukopenia.errors import UsageError
from leukopenia.forecast import Counts, Regimen, Series, likelihood, markers, posterior
from leukopenia.forecast.model_card import Card
from leukopenia.forecast.person import Mode, mode, problem
from leukopenia.forecast.prediction import FORECAST, NO_FIT, NOT_TRUSTED, TOO_FEW, misfit
from plain import forecast as plain

PULSE = Series([0.0, 1.0, 6.0, 24.0], [0.0, 2.5, 0.4, 0.05], "backward")
DOCETAXEL = Regimen(concentration=PULSE)
DAYS = np.array([0.0, 4.0, 6.0, 8.0, 11.0, 15.0])
SEEN = [4.1, 2.9, 1.3, 0.6, 0.9, 3.4]
OMEGA = np.array([0.0639703, 0.0191785, 0.128412])


def docetaxel(**changes: Any) -> Card:
    return replace(lk.forecast.card("netterberg2017-docetaxel"), **changes)


def level(circ0: float = 5.21965, **changes: Any) -> Card:
    """The card without a drug, allowed for one person."""
    card = lk.forecast.card("baseline-neutrophils")
    moved = replace(card.parameters["circ0"], value=circ0)
    return replace(card, status="nonmem", parameters={"circ0": moved}, **changes)


def predicted(eta: np.ndarray) -> np.ndarray:
    """Log counts of an invented person by the plain twin."""
    factor = np.exp(eta)
    values = {"circ0": 5.21965 * factor[0], "mtt": 84.1791 * factor[1], "gamma": 0.144543}
    values["slope"] = 15.5711 / 0.808 * factor[2]
    pieces = plain.constant_pieces(values, [0.0, 1.0, 6.0, 24.0], [2.5, 0.4, 0.05, 0.0], list(DAYS * 24))
    return np.log(pieces)


@pytest.mark.parametrize("form", ["log_additive", "proportional"])
def test_objective_and_effects_are_those_of_the_textbook(form: str) -> None:
    card = docetaxel(residual_form=form, residual=0.3)
    found = mode(problem(Counts(DAYS * 24, SEEN), DOCETAXEL, card))
    eta, expected = plain.focei(predicted, SEEN, form, 0.3, OMEGA)
    assert np.abs(found.eta - eta).max() < 1e-4
    assert found.marginal == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("form", ["log_additive", "proportional"])
def test_a_count_below_detection_counts_by_its_chance(form: str) -> None:
    below = [False, False, False, True, False, False]
    eta = np.array([0.1, -0.05, 0.2])
    logs = predicted(eta)
    code = likelihood.PROPORTIONAL if form == "proportional" else likelihood.LOG_ADDITIVE
    found = likelihood.of_counts(logs, np.array(SEEN), np.array(below), code, 0.3)
    found += likelihood.of_effects(eta, 1 / OMEGA)
    assert found == pytest.approx(plain.objective(logs, SEEN, below, form, 0.3, eta, OMEGA), rel=1e-9)


def test_a_count_far_below_detection_stays_finite() -> None:
    found = likelihood.of_counts(np.array([2.0]), np.array([1e-9]), np.array([True]), likelihood.LOG_ADDITIVE, 0.1)
    assert 1e4 < found < 1e6


def test_below_detection_pulls_down_but_less_than_a_count_of_zero_would() -> None:
    def nadir(*last: Any) -> float:
        counts = Counts([0.0, 192.0], [4.0, last[0]], [False, last[1]])
        return float(lk.forecast.predict(counts, DOCETAXEL, docetaxel(), draws=500).most_probable.min())

    assert nadir(0.05, False) < nadir(0.5, True) < nadir(1.5, False)


@pytest.mark.parametrize("shape", [-0.3, 0.2, 0.9])
def test_shape_of_a_known_tail(shape: float) -> None:
    u = np.random.default_rng(3).random(40_000)
    excess = np.expm1(-shape * np.log(u)) / shape
    assert posterior.pareto_shape(np.log1p(excess)) == pytest.approx(shape, abs=0.1)


def exact(counts: list[float], circ0: float = 5.21965) -> tuple[float, float, float]:
    """Mean and variance of the effect, and log evidence, of the model without a drug."""
    w, s = 0.0639703, 0.255747**2
    off = np.log(counts) - math.log(circ0)
    variance = 1 / (1 / w + len(counts) / s)
    spread = s * np.eye(len(counts)) + w
    log_density = -0.5 * (off @ np.linalg.solve(spread, off) + np.linalg.slogdet(2 * math.pi * spread)[1])
    return variance * off.sum() / s, variance, log_density - np.log(counts).sum()


def test_draws_have_the_exact_moments_and_evidence() -> None:
    counts = [3.1, 2.4, 4.0]
    one = problem(Counts([0.0, 24.0, 48.0], counts), Regimen(), level())
    found = posterior.sample(one, mode(one), np.array([0.0]), 20_000)
    mean, variance, evidence = exact(counts)
    average = found.weights @ found.eta[:, 0]
    assert average == pytest.approx(mean, abs=0.005)
    assert found.weights @ (found.eta[:, 0] - average) ** 2 == pytest.approx(variance, rel=0.03)
    assert found.log_evidence == pytest.approx(evidence, abs=0.01)
    assert found.effective > 10_000


def test_a_proposal_is_a_t_along_each_column_of_its_factor() -> None:
    factor = np.array([[0.5, 0.0], [0.3, 0.2]])
    made = posterior.Proposal(np.array([1.0, -2.0]), factor)
    draws = made.draw(4000, np.random.default_rng(2))
    z = np.linalg.solve(factor, (draws - made.mean).T)
    assert made.log_density(draws) == pytest.approx(t(4).logpdf(z).sum(axis=0) - math.log(0.5 * 0.2), abs=1e-9)
    at = np.array([0.001, 0.05, 0.3, 0.5, 0.95, 0.999])
    for own in z:
        assert [(own <= x).mean() for x in t(4).ppf(at)] == pytest.approx(at, abs=1e-3)


def test_points_spread_evenly_leave_no_hole_and_no_heap() -> None:
    points = posterior.spread_evenly(4096, 3, np.random.default_rng(4))
    boxes = np.bincount((points * 8).astype(int) @ [64, 8, 1], minlength=512)
    assert boxes.min() >= 4
    assert boxes.max() <= 13
    other = posterior.spread_evenly(4096, 3, np.random.default_rng(5))
    assert (points != other).all()


def test_a_bad_start_is_noticed_and_mended() -> None:
    counts = [3.1, 2.4, 4.0]
    one = problem(Counts([0.0, 24.0, 48.0], counts), Regimen(), level())
    good = mode(one)
    bad = Mode(good.eta + 0.6, good.information * 40.0, good.objective, good.marginal)
    found = posterior.sample(one, bad, np.array([0.0]), 4000)
    assert found.trusted
    assert found.weights @ found.eta[:, 0] == pytest.approx(exact(counts)[0], abs=0.02)
    assert found.log_evidence == pytest.approx(exact(counts)[2], abs=0.05)


def test_draws_that_cannot_be_trusted_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posterior, "WORST_SHAPE", -10.0)
    counts = Counts(DAYS * 24, SEEN)
    found = lk.forecast.predict(counts, DOCETAXEL, docetaxel(), draws=400)
    blind = lk.forecast.predict(Counts([], []), DOCETAXEL, docetaxel(), draws=400)
    assert found.status == NOT_TRUSTED
    assert found.information_gain == 0
    assert (found.band == blind.band).all()


STRANGE = {
    "a dose in grams": (Counts([0.0, 192.0], [5.0, 0.5]), Regimen([0.0], 0.18, 1.0)),
    "counts under a growth factor": (Counts([0.0, 96.0, 168.0, 200.0], [5.0, 50.0, 90.0, 80.0]), DOCETAXEL),
    "counts per microlitre": (Counts([0.0, 168.0], [5000.0, 900.0]), DOCETAXEL),
}


@pytest.mark.parametrize("case", STRANGE)
def test_counts_that_do_not_fit_the_model_are_not_forecast(case: str) -> None:
    counts, regimen = STRANGE[case]
    assert lk.forecast.predict(counts, regimen, docetaxel(), draws=200).status == NO_FIT


def test_misfit_of_people_of_the_card_is_a_standard_normal() -> None:
    random = np.random.default_rng(8)
    found = []
    for _ in range(400):
        base = 5.21965 * math.exp(random.normal(0, 0.0639703**0.5))
        values = base * np.exp(random.normal(0, 0.255747, 6))
        one = problem(Counts(np.arange(6.0), values), Regimen(), level())
        found.append(misfit(one, mode(one)))
    assert abs(np.mean(found)) < 0.15
    assert 0.85 < np.std(found) < 1.15


def test_seeds_and_threads() -> None:
    counts = Counts(DAYS * 24, SEEN)
    one, two, three = (
        lk.forecast.predict(counts, DOCETAXEL, docetaxel(), draws=1100, seed=seed, threads=threads)
        for seed, threads in ((1, 1), (1, 2), (2, 2))
    )
    assert (one.band == two.band).all()
    assert (one.band != three.band).any()


def test_cards_are_averaged_by_their_evidence() -> None:
    counts = [3.1, 2.4, 4.0]
    low, high = level(3.0, name="low"), level(6.0, name="high")
    found = lk.forecast.predict(Counts([0.0, 24.0, 48.0], counts), Regimen(), [low, high], draws=20_000)
    ratio = math.exp(exact(counts, 6.0)[2] - exact(counts, 3.0)[2])
    assert found.cards["high"] / found.cards["low"] == pytest.approx(ratio, rel=0.03)
    assert sum(found.cards.values()) == pytest.approx(1)
    alone = [lk.forecast.predict(Counts([0.0, 24.0, 48.0], counts), Regimen(), card) for card in (low, high)]
    assert alone[0].band[2, 0] < found.band[2, 0] < alone[1].band[2, 0]


def test_cards_of_one_drug_are_each_asked_their_own_covariates() -> None:
    both = ["netterberg2017-docetaxel", "puisset2007-docetaxel"]
    known = {"female": 1.0, "prior_lines_2_or_more": 1.0, "alpha1_acid_glycoprotein": 1.1}
    regimen = Regimen([0.0], 180.0, 1.0, known)
    counts = Counts(DAYS * 24, SEEN)
    found = lk.forecast.predict(counts, regimen, both, unverified=True, draws=1500)
    assert found.status == FORECAST
    assert 0 < min(found.cards.values()) < max(found.cards.values()) < 1
    assert found.unknown == ("performance_status_1_or_more", "prior_therapy")
    with pytest.raises(UsageError, match="makes no use of shoe_size"):
        lk.forecast.predict(counts, replace(regimen, covariates={**known, "shoe_size": 42.0}), both, unverified=True)
    with pytest.raises(UsageError, match="not verified"):
        lk.forecast.predict(counts, regimen, both)


def test_cards_of_other_cells_are_not_averaged() -> None:
    both = ["netterberg2017-docetaxel", "friberg2002-paclitaxel-leukocytes"]
    with pytest.raises(UsageError, match="same count"):
        lk.forecast.predict(Counts([0.0], [4.0]), DOCETAXEL, both)


def test_too_few_counts_say_so_and_more_narrow_the_nadir() -> None:
    days = [0.0, 3.0, 8.0, 15.0]
    series = lk.forecast.replay(Counts(DAYS * 24, SEEN), DOCETAXEL, docetaxel(), days)
    gains = [one.information_gain for one in series]
    assert [one.status for one in series] == [TOO_FEW, TOO_FEW, FORECAST, FORECAST]
    assert gains[0] == gains[1] < 0.1 < 0.3 < gains[2] < gains[3]
    widths = [one.markers["nadir"].high / one.markers["nadir"].low for one in series]
    assert widths[3] < widths[2] < widths[0]


def test_a_replay_does_not_look_ahead() -> None:
    counts = Counts(DAYS * 24, SEEN)
    changed = Counts(DAYS * 24, [*SEEN[:4], 9.0, 9.0])
    one, two = (lk.forecast.replay(c, DOCETAXEL, docetaxel(), [8.0], draws=300)[0] for c in (counts, changed))
    assert (one.band == two.band).all()


def test_markers_are_those_of_the_dense_curve() -> None:
    times = np.arange(0.0, 960.0, 4.0)
    dense = np.arange(0.0, 960.0, 0.05)
    curve = lk.forecast.solve("kloft2006-docetaxel", Regimen([0.0], [180.0]), times)
    truth = plain.marks(
        list(dense), list(lk.forecast.solve("kloft2006-docetaxel", Regimen([0.0], [180.0]), dense)), 0.5
    )
    nadir, spans = np.empty((1, 2)), np.empty((1, 1, 3))
    markers.describe(np.log(curve)[None], times, 0.0, np.log([[0.5]]), nadir, spans)
    assert nadir[0, 0] / 24 == pytest.approx(truth["nadir_day"], abs=0.01)
    assert math.exp(nadir[0, 1]) == pytest.approx(truth["nadir"], rel=1e-3)
    assert spans[0, 0] / 24 == pytest.approx([truth["start"], truth["end"], truth["days"]], abs=0.02)


def test_a_level_never_reached_is_missing_not_zero() -> None:
    found = lk.forecast.predict(Counts([0.0], [4.0]), Regimen(), level(), draws=500)
    assert found.markers["time_to_grade_4"].probability == 0
    assert math.isnan(found.markers["end_of_grade_4"].median)
    assert found.markers["days_below_0.5"].high == 0


def test_grades_of_a_day_add_to_one_and_ready_is_their_complement() -> None:
    found = lk.forecast.predict(Counts(DAYS * 24, SEEN), DOCETAXEL, docetaxel(), draws=800)
    assert sum(found.grades.values()) == pytest.approx(np.ones(found.grade_days.size))
    assert found.ready[1.0] == pytest.approx(1 - found.grades[4] - found.grades[3])
    assert found.ready[1.5] == pytest.approx(found.grades[0] + 0 * found.grades[2])
    assert (np.diff(found.band, axis=0) >= 0).all()
    assert "Research use" in found.note


def test_what_is_not_known_of_the_person_is_told() -> None:
    known = replace(DOCETAXEL, covariates={"female": 1.0})
    found = lk.forecast.predict(Counts([0.0], [4.0]), known, docetaxel(), draws=200)
    assert found.unknown == ("alpha1_acid_glycoprotein", "performance_status_1_or_more", "prior_therapy")
    assert found.sources == ("ddmodel224", "netterberg2017")


def test_weighted_quantiles_of_equal_weights_are_order_statistics() -> None:
    values = np.random.default_rng(1).random((101, 3))
    found = markers.weighted_quantiles(values, np.full(101, 2.0), (0.0, 0.5, 1.0))
    assert (found == np.sort(values, axis=0)[[0, 50, 100]]).all()
    heavy = np.where(np.arange(101) == 7, 1e6, 1.0)
    assert (markers.weighted_quantiles(values, heavy, (0.05, 0.95)) == values[7]).all()


def test_days_count_from_the_last_dose() -> None:
    regimen = Regimen([0.0, 504.0], 150.0, 1.0)
    found = lk.forecast.predict(Counts([0.0, 480.0], [5.0, 4.5]), regimen, docetaxel(), draws=400)
    assert found.days[0] == 0
    assert 6 < found.markers["nadir_day"].median < 11


REFUSED = {
    "above 0": lambda: Counts([0.0], [0.0]),
    "order of time": lambda: Counts([5.0, 1.0], [1.0, 2.0]),
    "three days": lambda: lk.forecast.predict(Counts([0.0], [4.0]), DOCETAXEL, docetaxel(), days=2.0),
    "cut-offs": lambda: lk.forecast.predict(Counts([0.0], [4.0]), DOCETAXEL, docetaxel(), standard="none"),
    "No model card": lambda: lk.forecast.predict(Counts([0.0], [4.0]), DOCETAXEL, []),
    "one person": lambda: lk.forecast.predict(Counts([0.0], [4.0]), Regimen([0.0], [700.0]), "harrold2020-radiation"),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_forecast_is_refused_in_words(words: str) -> None:
    with pytest.raises(UsageError, match=words):
        REFUSED[words]()
