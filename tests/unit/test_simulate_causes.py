"""The world of the simulator: who is struck by what, what is hidden, missing and wrong, and what the truth says."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from random import Random

import pytest

from leukopenia.knowledge import load
from leukopenia.simulate import EVERY, NONE, Departures, Hospital, Truth, blocks, hidden_causes
from leukopenia.simulate.causes import causes, rates
from leukopenia.simulate.departures import shift
from leukopenia.simulate.records import EPOCH
from leukopenia.simulate.world import World

TOLD = ("neutrophils", "lymphocytes", "wbc")


@pytest.fixture(scope="module")
def plain() -> Hospital:
    return next(blocks(400, 5, load(), NONE))


@pytest.fixture(scope="module")
def odd() -> Hospital:
    return next(blocks(400, 5, load(), EVERY))


def low(hospital: Hospital) -> list[Truth]:
    return [run for run in hospital.truth if run.cause_id and run.line in TOLD]


def minute(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(minutes=1)


def test_hidden_causes_bring_about_fifteen_in_a_hundred() -> None:
    known = rates(load())
    for seed in (1, 2, 3):
        hidden = hidden_causes(load(), seed)
        assert sum(known[cause] for cause in hidden) / sum(known.values()) == pytest.approx(0.15, abs=0.005)
    assert hidden_causes(load(), 1) == hidden_causes(load(), 1) != hidden_causes(load(), 2)


def test_every_hidden_cause_is_a_row() -> None:
    rows = {row["id"] for table in ("causes_drugs", "causes_conditions") for row in load()[table]}
    assert set(hidden_causes(load(), 4)) <= rows


@pytest.mark.parametrize(("departures", "share"), [(EVERY, 0.15), (NONE, 0.0)])
def test_so_many_strikes_are_hidden(departures: Departures, share: float) -> None:
    world, rng = World(load(), 1, departures), Random(1)
    hidden = set(hidden_causes(load(), 1)) if departures.hidden else set()
    struck = [world.strike(rng)[0].id for _ in range(20_000)]
    assert sum(cause in hidden for cause in struck) / len(struck) == pytest.approx(share, abs=0.01)


def test_unexplained_counts_exist_and_no_class_is_all() -> None:
    world, rng = World(load(), 1, NONE), Random(2)
    struck = Counter(world.strike(rng)[0].cause_class for _ in range(20_000))
    assert 0.02 < struck["unexplained"] / 20_000 < 0.06
    assert max(struck.values()) < 0.35 * 20_000
    assert {cause.cause_class for cause in causes(load()).values()} <= set(struck)


def test_a_shift_is_drawn_once_for_a_cause_and_seed() -> None:
    known = list(causes(load()))
    found = [shift(cause, "onset", 1, EVERY) for cause in known]
    assert 0.5 <= min(found) < 0.55 and 1.8 < max(found) <= 2.0
    assert found == [shift(cause, "onset", 1, EVERY) for cause in known]
    assert found != [shift(cause, "onset", 2, EVERY) for cause in known]
    assert found != [shift(cause, "recovery", 1, EVERY) for cause in known]
    assert {shift(cause, "onset", 1, NONE) for cause in known} == {1.0}


def test_in_a_plain_world_a_drug_that_did_it_is_on_record_before_the_fall(plain: Hospital) -> None:
    pharmacy = World(load(), 5, NONE).pharmacy
    runs = [run for run in low(plain) if run.cause_id.startswith("drug:")]
    assert len(runs) > 50
    for run in runs:
        mine = [drug for drug in plain.drugs if drug.patient_id == run.patient_id]
        name = pharmacy[run.cause_id].name
        assert run.recorded and any(drug.name == name and drug.start <= minute(run.onset) for drug in mine), run


def test_bystanders_are_more_than_causes(plain: Hospital) -> None:
    struck = {run.patient_id for run in low(plain) if run.cause_id.startswith("drug:")}
    names = Counter(drug.patient_id for drug in plain.drugs if drug.patient_id in struck)
    assert sum(names.values()) / len(struck) > 3


def test_people_who_are_treated_have_no_low_count(plain: Hospital) -> None:
    treated = {person.patient_id for person in plain.persons if person.story == "treated"}
    assert len(treated) >= 30
    assert not [run for run in plain.truth if run.patient_id in treated and run.line == "neutrophils"]
    assert any(drug.patient_id in treated for drug in plain.drugs)


def test_the_truth_of_a_cause_lies_before_its_first_low_count(plain: Hospital, odd: Hospital) -> None:
    for run in (*low(plain), *low(odd)):
        assert minute(run.cause_onset) <= minute(run.onset) + 1440, run


def test_departures_leave_their_mark(plain: Hospital, odd: Hospital) -> None:
    assert not any(run.hidden for run in plain.truth)
    hidden = {run.patient_id for run in odd.truth if run.hidden}
    struck = {run.patient_id for run in low(odd)}
    assert 0.05 < len(hidden & struck) / len(struck) < 0.3
    drugs = [run for run in low(odd) if run.cause_id.startswith("drug:")]
    assert 0 < sum(not run.recorded for run in drugs) / len(drugs) < 0.4
    assert plain.dirt == () and odd.dirt
    per_person = [len(one.results) / len(one.persons) for one in (odd, plain)]
    assert per_person[0] < 0.9 * per_person[1]
