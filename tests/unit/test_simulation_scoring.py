"""A result against the truth of a simulation: every number here was worked out by hand."""

from __future__ import annotations

import math
from datetime import datetime

import polars as pl
import pytest

from leukopenia.errors import MappingError, SourceError
from leukopenia.simulate import scoring
from leukopenia.simulate.scoring import Score

TRUTH = """\
patient_id,story,line,onset,nadir_time,nadir,recovery,note,cause_id,cause_class,hidden
p1,s,neutrophils,2024-01-01T08:00:00,2024-01-03,0.4,2024-01-10,,drug:a,idiosyncratic,no
p1,s,neutrophils,2024-02-01,2024-02-10,0.9,,,drug:b,idiosyncratic,yes
p2,s,neutrophils,2024-01-01,2024-01-01,0.3,2024-01-05,,drug:a,chemotherapy,no
p2,s,wbc,2024-01-01,2024-01-02,2.0,2024-02-01,,,,
p3,healthy,,,,,,,,,
"""
EPISODES = (
    ("e1", "p1", "neutrophils", "2024-01-02", "2024-01-09"),
    ("e2", "p1", "neutrophils", "2024-02-10", None),
    ("e3", "p2", "wbc", "2024-01-01", "2024-01-10"),
    ("e4", "p2", "wbc", "2024-01-15", None),
    ("e5", "p3", "neutrophils", "2024-01-01", "2024-01-05"),
    ("e6", "p2", "cd4", "2024-01-01", None),
)
CAUSES = (
    ("e1", "drug:a", 1, 0.6, "exposure"),
    ("e1", "drug:b", 2, 0.3, "exposure"),
    ("e1", "unexplained", 3, 0.1, "unexplained"),
    ("e2", "drug:c", 1, 0.75, "exposure"),
    ("e2", "unexplained", 2, 0.25, "unexplained"),
    ("e5", "drug:a", 1, 0.9, "exposure"),
    ("e5", "unexplained", 2, 0.1, "unexplained"),
)


def minute(day: str | None) -> int | None:
    return None if day is None else int((datetime.fromisoformat(day) - datetime(1970, 1, 1)).total_seconds() // 60)


def episodes(rows: tuple[tuple[str, str, str, str, str | None], ...] = EPISODES) -> pl.DataFrame:
    timed = [(*row[:3], minute(row[3]), minute(row[4])) for row in rows]
    schema = ["episode_id", "patient_id", "analyte", "onset", "recovery"]
    return pl.DataFrame(timed, schema=schema, orient="row", schema_overrides={"recovery": pl.Int64})


def causes(rows: tuple[tuple[str, str, int, float, str], ...] = CAUSES) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["episode_id", "cause_id", "rank", "probability", "because"], orient="row")


def truth(text: str = TRUTH) -> pl.DataFrame:
    return pl.read_csv(text.encode(), infer_schema=False)


@pytest.fixture
def made() -> Score:
    return scoring.score(episodes(), causes(), truth())


def row(table: pl.DataFrame, name: object) -> dict[str, object]:
    return table.filter(pl.col(table.columns[0]) == name).row(0, named=True)


def test_runs_and_episodes_meet_where_they_overlap(made: Score) -> None:
    of = row(made.detection, "neutrophils")
    assert (of["runs"], of["found"], of["episodes"], of["true"]) == (3, 2, 3, 2)
    assert of["sensitivity"] == of["precision"] == pytest.approx(2 / 3)
    assert (of["sensitivity_low"], of["sensitivity_high"]) == pytest.approx((0.2077, 0.9385), abs=1e-4)


def test_a_run_of_two_episodes_is_found_once_and_is_split(made: Score) -> None:
    of = row(made.detection, "wbc")
    assert (of["runs"], of["found"], of["episodes"], of["true"]) == (1, 1, 2, 2)
    assert (of["split"], of["merged"]) == (1, 0)


def test_of_a_line_without_truth_nothing_is_said(made: Score) -> None:
    assert made.detection["line"].to_list() == ["neutrophils", "wbc"]


def test_a_line_without_any_episode_has_no_precision() -> None:
    of = row(scoring.score(episodes(EPISODES[2:4]), causes(CAUSES[:1]), truth()).detection, "neutrophils")
    assert (of["found"], of["sensitivity"], of["episodes"], of["precision"]) == (0, 0.0, 0, None)


def test_sensitivity_stands_by_class_of_cause(made: Score) -> None:
    found = {of["cause_class"]: (of["runs"], of["found"]) for of in made.detection_by_class.to_dicts()}
    assert found == {"chemotherapy": (1, 0), "idiosyncratic": (2, 2)}


def test_causes_are_scored_against_the_true_one_and_a_hidden_one_that_is_not_named_is_unexplained(made: Score) -> None:
    of = row(made.explanation, "all")
    assert (of["episodes"], of["lined_up"], of["top_1"], of["top_3"]) == (2, 1.0, 0.5, 1.0)
    assert of["probability"] == pytest.approx((0.6 + 0.25) / 2)
    assert of["log_score"] == pytest.approx((math.log(0.6) + math.log(0.25)) / 2)
    # (1 - 0.6)^2 + 0.3^2 + 0.1^2 = 0.26, and 0.75^2 + 0.75^2 = 1.125.
    assert of["brier"] == pytest.approx((0.26 + 1.125) / 2)
    assert made.explanation["cause_class"].to_list() == ["all", "idiosyncratic"]


def test_a_hidden_cause_that_is_named_all_the_same_is_right() -> None:
    named = causes((("e2", "drug:b", 1, 0.75, "exposure"), ("e2", "unexplained", 2, 0.25, "unexplained")))
    of = row(scoring.score(episodes(EPISODES[1:2]), named, truth()).explanation, "all")
    assert (of["top_1"], of["probability"]) == (1.0, 0.75)


@pytest.mark.parametrize(("recorded", "probability"), [("yes", 0.0), ("no", 0.1), ("", 0.0)])
def test_of_a_cause_that_is_not_on_record_unexplained_is_right(recorded: str, probability: float) -> None:
    other = truth(TRUTH.replace("drug:a", "drug:c")).with_columns(recorded=pl.lit(recorded))
    of = row(scoring.score(episodes(EPISODES[:1]), causes(CAUSES[:3]), other).explanation, "all")
    assert of["probability"] == pytest.approx(probability)


def test_a_cause_that_is_no_candidate_was_given_nothing() -> None:
    other = truth(TRUTH.replace("drug:a", "drug:c"))
    of = row(scoring.score(episodes(EPISODES[:1]), causes(CAUSES[:3]), other).explanation, "all")
    assert (of["lined_up"], of["top_3"], of["probability"]) == (0.0, 0.0, 0.0)
    assert of["log_score"] == pytest.approx(math.log(scoring.FLOOR))
    assert of["brier"] == pytest.approx(1 + 0.36 + 0.09 + 0.01)


@pytest.mark.parametrize(
    ("first", "probability"), [("drug:a", 0.6), ("cond:cytotoxic-chemotherapy", 0.6), ("drug:z", 0.3)]
)
def test_of_a_combination_the_only_agent_on_record_is_right(first: str, probability: float) -> None:
    together = truth(TRUTH.replace("drug:a", "cond:cytotoxic-chemotherapy"))
    named = causes((("e1", first, 1, 0.6, "exposure"), ("e1", "drug:b", 2, 0.3, "exposure")))
    made = scoring.score(episodes(EPISODES[:1]), named, together, agents=("drug:a", "drug:b"))
    assert row(made.explanation, "all")["probability"] == pytest.approx(probability)


def test_reliability_holds_all_candidates_of_matched_episodes_by_tenths(made: Score) -> None:
    found = [(of["decile"], of["n"], of["given"], of["happened"]) for of in made.reliability.to_dicts()]
    assert found == [(1, 1, 0.1, 0.0), (2, 1, 0.25, 1.0), (3, 1, 0.3, 0.0), (6, 1, 0.6, 1.0), (7, 1, 0.75, 0.0)]
    assert made.reliability["points"].to_list() == pytest.approx([10, -75, 30, -40, 75])
    reasons = {of["because"]: (of["n"], of["happened"]) for of in made.reasons.to_dicts()}
    assert reasons == {"exposure": (3, pytest.approx(1 / 3)), "unexplained": (2, 0.5)}


def test_certainty_stands_in_the_last_tenth() -> None:
    told = pl.DataFrame({"probability": [1.0, 0.95], "happened": [True, False]})
    assert scoring.reliability(told).select("decile", "n", "happened").row(0) == (9, 2, 0.5)


def test_only_tenths_with_enough_candidates_are_judged() -> None:
    table = pl.DataFrame({"n": [199, 200, 300], "points": [40.0, -4.0, 3.0]})
    assert scoring.furthest(table) == 4.0
    assert math.isnan(scoring.furthest(table, 301))


def test_an_episode_of_two_runs_has_the_cause_of_the_longer() -> None:
    whole = episodes((("e1", "p1", "neutrophils", "2024-01-02", "2024-04-01"),))
    made = scoring.score(whole, causes(CAUSES[:3]), truth())
    assert row(made.detection, "neutrophils")["merged"] == 1
    # The second run, of drug:b, shares 50 days with it; the first 8.
    assert row(made.explanation, "all")["probability"] == pytest.approx(0.3)


def test_a_truth_without_causes_scores_detection_alone() -> None:
    plain = truth().drop("cause_id", "cause_class", "hidden")
    made = scoring.score(episodes(), causes(), plain)
    assert made.detection.height == 2
    assert [made.explanation.height, made.reliability.height, made.detection_by_class.height] == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        (TRUTH.replace("onset", "began", 1), MappingError, "no column onset"),
        (TRUTH.replace("2024-02-01,2", "February,2"), SourceError, "1 times in the column onset"),
        (TRUTH.replace("2024-02-01,2024-02-10", ",2024-02-10"), SourceError, "has no onset"),
        (TRUTH.replace(",yes\n", ",perhaps\n"), SourceError, "column hidden"),
    ],
)
def test_a_truth_that_cannot_be_read_is_refused(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        scoring.score(episodes(), causes(), truth(text))
