"""The visual predictive check: it passes people of the card and notices people of another."""

from __future__ import annotations

import math

import numpy as np
import pytest

import leukopenia as lk
from leukopenia.errors import UsageError
from leukopenia.forecast import Counts, Regimen
from leukopenia.forecast.predictive_check import LEAST, Under, vpc

CARD = "netterberg2017-docetaxel"
OTHER = "friberg2002-docetaxel-emax"
DAYS = np.array([0.0, 3.0, 5.0, 7.0, 9.0, 11.0, 14.0, 18.0])


def people(card: str, n: int, seed: int, doses: tuple[float, ...] = (180.0,)) -> list[Under]:
    """Virtual people of a card, measured with the error of the card under test."""
    made, random = [], np.random.default_rng(seed)
    found, error = lk.forecast.card(card), lk.forecast.card(CARD).residual or 0.0
    typical = found.typical({})
    for person in range(n):
        regimen = Regimen([0.0], doses[person % len(doses)], 1.0)
        own = {p.name: typical[p.name] * math.exp(random.normal(0, math.sqrt(p.variance or 0))) for p in found.varying}
        true = lk.forecast.solve(card, regimen, DAYS * 24, own)
        made.append(Under(Counts(DAYS * 24, true * np.exp(random.normal(0, error, DAYS.size))), regimen))
    return made


def test_people_of_the_card_lie_within_its_bands() -> None:
    found = lk.forecast.vpc(people(CARD, 80, seed=1), CARD)
    assert (found.people, found.counts, found.left_out) == (80, 640, 0)
    assert found.n.sum() == 640 and (found.n >= LEAST).all()
    assert found.inside >= 0.85
    assert (found.simulated[:, 0] < found.simulated[:, 2]).all()
    assert (found.observed[0] < found.observed[1]).all() and (found.observed[1] < found.observed[2]).all()


def test_people_of_another_card_do_not() -> None:
    assert lk.forecast.vpc(people(OTHER, 80, seed=1), CARD).inside < 0.6


def test_people_of_very_different_doses_share_a_bin_once_corrected() -> None:
    mixed = people(CARD, 80, seed=3, doses=(60.0, 240.0))
    plain, corrected = (lk.forecast.vpc(mixed, CARD, corrected=way) for way in (False, True))
    assert corrected.inside >= 0.85
    nadir = int(np.argmin(plain.observed[1]))
    spread = [np.log(one.observed[2] / one.observed[0])[nadir] for one in (plain, corrected)]
    assert spread[1] < spread[0], "the doses no longer add to the spread"


def test_without_a_correction_the_counts_are_as_measured() -> None:
    some = people(CARD, 5, seed=4)
    found = lk.forecast.vpc(some, CARD, corrected=False, replicates=30)
    assert found.values.tolist() == np.concatenate([one.counts.values for one in some]).tolist()


def test_the_same_seed_gives_the_same_bands_on_any_number_of_threads() -> None:
    some = people(CARD, 10, seed=5)
    one, two = (lk.forecast.vpc(some, CARD, replicates=40, threads=n) for n in (1, 2))
    assert np.array_equal(one.simulated, two.simulated)


def test_bounds_are_left_out_and_told() -> None:
    some = people(CARD, 5, seed=6)
    bound = Under(Counts([0.0, 240.0], [5.0, 0.5], [False, True]), Regimen([0.0], 180.0, 1.0))
    found = lk.forecast.vpc([*some, bound], CARD, replicates=30)
    assert (found.left_out, found.counts, found.people) == (1, 41, 6)


def test_too_little_is_refused() -> None:
    with pytest.raises(UsageError, match="needs more"):
        lk.forecast.vpc(people(CARD, 1, seed=7), CARD)
    with pytest.raises(UsageError, match="does not forecast one person"):
        vpc(people(CARD, 5, seed=7), lk.forecast.card(OTHER))
