"""What a card must say, and whom it may forecast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import leukopenia as lk
from leukopenia import knowledge
from leukopenia.errors import KnowledgeError, UsageError
from leukopenia.forecast.model_card import cards_of, check_person, why_not

Rows = list[dict[str, str]]
Tables = dict[str, Rows]


@pytest.fixture
def tables() -> Tables:
    """One small card of one's own."""
    card = dict.fromkeys(knowledge.load()["model_cards"][0], "")
    card |= {"card": "own", "species": "human", "family": "friberg", "status": "nonmem"}
    card |= {"residual_form": "log_additive", "residual": "0.3"}
    parameter = dict.fromkeys(knowledge.load()["model_parameters"][0], "") | {"card": "own", "role": "kinetics"}
    values = {"circ0": "5", "mtt": "4", "gamma": "0.2", "slope": "2"}
    rows = [parameter | {"parameter": name, "value": value, "unit": "h"} for name, value in values.items()]
    rows[1]["unit"], rows[0]["variance"] = "d", "0.1"
    effect = dict.fromkeys(knowledge.load()["model_covariates"][0], "")
    effect |= {"card": "own", "parameter": "circ0", "covariate": "age", "form": "linear"}
    effect |= {"coefficient": "0.1", "centre": "50"}
    return {"model_cards": [card], "model_parameters": rows, "model_covariates": [effect]}


def test_days_become_hours_and_covariates_change_values(tables: Tables) -> None:
    card = cards_of(tables)["own"]
    assert card.typical({})["mtt"] == 96.0
    assert card.typical({})["circ0"] == 5.0
    assert card.typical({"age": 60.0})["circ0"] == pytest.approx(10.0)


def test_a_covariate_in_the_wrong_unit_is_refused(tables: Tables) -> None:
    with pytest.raises(UsageError, match="age"):
        cards_of(tables)["own"].typical({"age": -500.0})


WRONG: dict[str, Callable[[Tables], Any]] = {
    "lacks": lambda t: t["model_parameters"].pop(1),
    "drug effect": lambda t: t["model_parameters"].pop(3),
    "not positive": lambda t: t["model_parameters"][0].update(value="-5"),
    "variance of circ0": lambda t: t["model_parameters"][0].update(variance="0"),
    "not a number": lambda t: t["model_parameters"][0].update(value="five"),
    "no value": lambda t: t["model_parameters"][0].update(value=""),
    "unknown family": lambda t: t["model_cards"][0].update(family="magic"),
    "unknown status": lambda t: t["model_cards"][0].update(status="sure"),
    "residual": lambda t: t["model_cards"][0].update(residual=""),
    "there is no card": lambda t: t["model_covariates"][0].update(card="another"),
    "not understood": lambda t: t["model_covariates"][0].update(form="cubic"),
    "is carried": lambda t: t["model_covariates"][0].update(form="value"),
}


@pytest.mark.parametrize("words", WRONG)
def test_a_card_that_contradicts_itself_does_not_load(tables: Tables, words: str) -> None:
    WRONG[words](tables)
    with pytest.raises(KnowledgeError, match=words):
        cards_of(tables)


def test_who_may_forecast_one_person() -> None:
    allowed = {name for name, card in lk.forecast.cards().items() if not why_not(card)}
    assert allowed == {
        "friberg2002-paclitaxel-leukocytes",
        "lemarouille2021-palbociclib",
        "netterberg2017-docetaxel",
        "vanhasselt2013-eribulin",
    }


def test_an_unverified_card_is_refused_unless_asked_for() -> None:
    card = lk.forecast.card("baseline-neutrophils")
    with pytest.raises(UsageError, match="not verified"):
        check_person(card, unverified=False)
    check_person(card, unverified=True)


@pytest.mark.parametrize("name", ["harrold2020-radiation", "kloft2006-docetaxel", "craig2016-pools"])
def test_what_no_word_can_lift(name: str) -> None:
    with pytest.raises(UsageError):
        check_person(lk.forecast.card(name), unverified=True)


def test_an_unknown_card_is_told_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="netterberg2017-docetaxel"):
        lk.forecast.card("nobody2099")
