"""Published nadir days as class priors: which rows, and that their curves are lowest when the rows say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from leukopenia import forecasting, knowledge
from leukopenia.errors import KnowledgeError, UsageError
from leukopenia.forecast import nadir_priors
from leukopenia.forecast.model_card import CLASS_PRIOR
from leukopenia.forecast.person import Counts
from leukopenia.forecast.regimen import Regimen

ROWS = {row["prior"]: row for row in knowledge.load()["nadir_priors"]}
CYCLE = Regimen([0.0], 1.0, 0.0)


@pytest.mark.parametrize(
    ("drugs", "names"),
    [
        (["drug:carboplatin"], {"carboplatin-kemocarb", "carboplatin-carbotinol"}),
        (["drug:gemcitabine"], {"cytotoxic-textbook", "cytotoxic-teaching"}),
        (["drug:lomustine"], {"nitrosourea-textbook"}),
        (["drug:carmustine"], {"carmustine-label"}),
        (["drug:daunorubicin"], {"anthracycline-monograph"}),
        (["drug:doxorubicin", "drug:cyclophosphamide"], {"doxorubicin-cyclophosphamide"}),
        (["drug:etoposide", "drug:cisplatin"], {"etoposide-label", "cisplatin-label"}),
        (["drug:vincristine"], set()),
        (["drug:vincristine", "drug:cyclophosphamide"], {"cyclophosphamide-label"}),
        (["drug:cytarabine", "drug:daunorubicin"], set()),
        (["drug:fludarabine", "drug:cyclophosphamide"], set()),
        (["drug:methotrexate"], set()),
        (["drug:clozapine"], set()),
    ],
)
def test_the_most_exact_statements_about_the_drugs_are_used(drugs: list[str], names: set[str]) -> None:
    assert {card.name for card in forecasting.priors(drugs)} == names


@pytest.mark.parametrize("prior", [name for name, row in ROWS.items() if row["effect"] == "nadir"])
def test_the_typical_curve_is_lowest_on_the_published_day(prior: str) -> None:
    row, card = ROWS[prior], forecasting.prior(prior)
    bounds = [float(row[f"nadir_days_{part}"]) for part in ("min", "typical", "max") if row[f"nadir_days_{part}"]]
    days = np.arange(0.0, 90.0, 0.05)
    curve = forecasting.solve(card, CYCLE, days * 24.0)
    lowest = days[int(np.argmin(curve))]
    assert bounds[0] <= lowest + 0.05 and lowest <= bounds[-1] + 0.05
    assert curve.min() == pytest.approx(float(row["typical_nadir"]), rel=0.01)
    assert card.status == CLASS_PRIOR


def test_the_middle_of_two_bounds_is_their_geometric_mean_and_they_hold_95_percent() -> None:
    card = forecasting.prior("carboplatin-carbotinol")
    days = np.arange(0.0, 60.0, 0.05)
    lowest = days[int(np.argmin(forecasting.solve(card, CYCLE, days * 24.0)))]
    assert lowest == pytest.approx(math.sqrt(14 * 28), abs=0.1)
    spread = card.parameters["mtt"].variance
    assert spread is not None and math.exp(1.96 * math.sqrt(spread)) == pytest.approx(math.sqrt(28 / 14), rel=1e-3)


def test_without_counts_the_prior_is_wide_and_says_so() -> None:
    found = forecasting.predict(
        Counts([], []), CYCLE, forecasting.priors(["drug:carboplatin"]), unverified=True, since=0.0
    )
    assert found.status == "not enough counts yet"
    nadir = found.markers["nadir"]
    assert nadir.low < 0.2 and nadir.high > 2.5
    assert set(found.cards) == {"carboplatin-kemocarb", "carboplatin-carbotinol"}


def test_counts_decide_between_statements_in_conflict() -> None:
    # Low on day 12 and rising on day 16: the earlier of the two statements.
    counts = Counts([-24.0, 240.0, 288.0, 336.0, 384.0], [5.0, 1.3, 0.9, 1.1, 2.0])
    found = forecasting.predict(
        counts, CYCLE, forecasting.priors(["drug:gemcitabine"]), unverified=True, since=0.0, draws=1000
    )
    assert found.status == "forecast"
    assert found.cards["cytotoxic-teaching"] > 2 / 3
    assert 10.0 < found.markers["nadir_day"].median < 14.0


def test_a_class_prior_is_not_taken_for_a_verified_card() -> None:
    with pytest.raises(UsageError, match="does not forecast one person"):
        forecasting.predict(Counts([], []), CYCLE, forecasting.priors(["drug:etoposide"]))


def altered(**cells: str) -> Mapping[str, Any]:
    return {**knowledge.load(), "nadir_priors": [{**ROWS["etoposide-label"], **cells}]}


@pytest.mark.parametrize(
    "cells",
    [
        {"level": "drugs"},
        {"effect": "deep"},
        {"system": "no-such-card"},
        {"nadir_days_min": "20"},
        {"effect": "none"},
        {"nadir_days_min": "", "nadir_days_max": ""},
    ],
)
def test_rows_that_contradict_themselves_are_refused(cells: dict[str, str]) -> None:
    with pytest.raises(KnowledgeError, match="etoposide-label"):
        nadir_priors.cards(altered(**cells), forecasting.cards())


def test_members_and_systems_are_known() -> None:
    rows = knowledge.load()
    ids = {row["id"] for row in rows["ingredients"]}
    kinds = {f"class:{row['drug_class']}" for row in rows["ingredients"]}
    kinds |= {f"group:{group}" for row in rows["ingredients"] for group in row["groups"].split(";")}
    for row in rows["nadir_priors"]:
        assert {*row["members"].split(";")} <= ids | kinds, row["prior"]
