"""Recovery mixed over causes: numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from leukopenia.contracts import FORECASTS
from leukopenia.engine import open_engine
from leukopenia.forecast import recovery

DAY = 1440
ONSET = 20_000 * DAY
AS_OF = ONSET + 10 * DAY


def knowledge_row(name: str, **cells: str) -> dict[str, str]:
    empty = {f"recovery_days_{part}": "" for part in ("min", "median", "max")}
    usual = {
        "kind": "drug",
        "cause_class": "idiosyncratic",
        "acute": "",
        "onset_from": "start",
        "source_id": "a;design",
    }
    return {"id": name} | usual | empty | cells


KNOWLEDGE: Any = {
    "causes_drugs": [
        knowledge_row("drug:a", recovery_days_median="10"),
        knowledge_row("drug:silent"),
        knowledge_row("drug:dose", cause_class="chemotherapy", onset_from="last_dose", recovery_days_median="10"),
    ],
    "causes_conditions": [
        knowledge_row("cond:cold", kind="condition", cause_class="infection_viral", acute="yes")
        | {"recovery_days_median": "8"},
        knowledge_row("cond:born", kind="physiologic", cause_class="constitutional"),
        knowledge_row("cond:lack", kind="condition", cause_class="nutritional") | {"recovery_days_median": "42"},
    ],
}


def forecasts(*causes: tuple[str, float, int | None, int | None], last_low: int = AS_OF) -> pl.DataFrame:
    """The table for one episode; a cause is its name, probability, start and end (days after onset)."""
    engine = open_engine("polars")
    episode = {"episode_id": "1/neutrophils/1", "patient_id": 1, "analyte": "neutrophils", "state": "open"}
    rows = [
        {"episode_id": "1/neutrophils/1", "patient_id": 1, "cause_id": name, "rank": rank, "probability": chance}
        | {"onset": ONSET, "start": _minute(start), "end": _minute(end)}
        for rank, (name, chance, start, end) in enumerate(causes, start=1)
    ]
    types = {"cause_id": pl.String, "probability": pl.Float64}
    whole = {name: pl.Int64 for name in ("patient_id", "rank", "onset", "start", "end")}
    made = recovery.recovery(
        engine.load(pl.DataFrame([episode | {"last_low": last_low}]), "episodes"),
        engine.load(pl.DataFrame(rows, schema={"episode_id": pl.String} | types | whole), "causes"),
        engine.load(pl.DataFrame(recovery.rows(KNOWLEDGE)), "recovers"),
        engine.load(pl.DataFrame({"day": range(recovery.HORIZON + 1)}), "days"),
        AS_OF,
        engine.materialise,
    )
    return engine.collect(made).sort("day")


def _minute(days: int | None) -> int | None:
    return None if days is None else ONSET + days * DAY


def test_half_have_recovered_at_the_published_median_after_the_stop() -> None:
    # Stopped on the day asked for, when the count still was low: nothing has passed, so nothing is conditioned.
    found = forecasts(("drug:a", 1.0, -30, 10))
    assert found.columns == FORECASTS.names
    assert found["day"].to_list() == list(range(43))
    assert found["p_recovered"][0] == 0.0
    # Log-logistic with median 10 and shape 2: x^2 / (x^2 + 100).
    assert found["p_recovered"][10] == pytest.approx(0.5)
    assert found["p_recovered"][20] == pytest.approx(0.8)
    assert found["minute"][10] == AS_OF + 10 * DAY
    assert found["basis"].unique().to_list() == ["causes"]
    assert found["rests_on"].unique().to_list() == ["drug:a"]
    assert found["source_id"].unique().to_list() == ["a"]


def test_having_lasted_makes_recovery_slower() -> None:
    # Stopped ten days before the last low count. Still low then: 1/2. By day 10: still low 1/5, so 1 - 0.4.
    found = forecasts(("drug:a", 1.0, -30, 0))
    assert found["p_recovered"][0] == 0.0
    assert found["p_recovered"][10] == pytest.approx(0.6)


def test_days_without_a_count_may_have_brought_the_recovery() -> None:
    found = forecasts(("drug:a", 1.0, -30, 0), last_low=ONSET)
    assert found["p_recovered"][0] == pytest.approx(0.5)


def test_an_illness_counts_from_its_beginning_else_from_the_onset() -> None:
    # Median 8 days, shape 2. From the onset 10 days have passed by as_of; still low then 64/164.
    from_onset = forecasts(("cond:cold", 1.0, None, None))
    still_low = 64 / (64 + 20**2)
    assert from_onset["p_recovered"][10] == pytest.approx(1 - still_low / (64 / 164))
    earlier = forecasts(("cond:cold", 1.0, -2, None))
    assert earlier["p_recovered"][10] < from_onset["p_recovered"][10]


def test_what_is_not_known_is_shown_and_never_taken_as_recovery() -> None:
    found = forecasts(("drug:a", 0.5, -30, 10), ("drug:silent", 0.3, -30, 10), ("unexplained", 0.2, None, None))
    assert found["p_recovered"][10] == pytest.approx(0.25)
    assert found["unknown_share"].unique().to_list() == [0.5]


def test_a_cause_that_lasts_by_its_nature_is_known_not_to_recover() -> None:
    found = forecasts(("cond:born", 0.75, None, None), ("drug:a", 0.25, -30, 10))
    assert found["unknown_share"].unique().to_list() == [0.0]
    assert found["p_recovered"][10] == pytest.approx(0.125)


def test_a_drug_that_goes_on_has_no_published_recovery() -> None:
    for end in (None, 11):
        found = forecasts(("drug:a", 0.6, -30, end), ("unexplained", 0.4, None, None))
        assert found.select("day", "basis", "status", "p_recovered", "unknown_share").rows() == [
            (0, "none", "recovery is published from the stop of a drug, and none is on record", None, None)
        ]


def test_a_moment_is_a_last_dose_of_chemotherapy_but_no_stop_of_another_drug() -> None:
    assert forecasts(("drug:a", 1.0, 10, 10))["status"].to_list() == [
        "recovery is published from the stop of a drug, and none is on record"
    ]
    assert forecasts(("drug:dose", 1.0, 10, 10))["p_recovered"][10] == pytest.approx(0.5)


def test_recovery_of_a_deficiency_counts_from_a_treatment_that_is_not_known() -> None:
    found = forecasts(("cond:lack", 1.0, -100, None))
    assert found["status"].to_list() == ["no published recovery"]


def test_an_episode_that_no_cause_was_ranked_for_says_so() -> None:
    assert forecasts()["status"].to_list() == ["no cause was ranked"]
