"""Instruments of causality against published cases, and the cases that decide between two verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
import pytest

from leukopenia import knowledge
from leukopenia.contracts import TABLES
from leukopenia.errors import KnowledgeError
from leukopenia.explain import instruments as room
from leukopenia.explain import look_again as steps
from leukopenia.explain.model import TERMS
from leukopenia.harmonising import polars_type
from leukopenia.policy import Policy

Row = dict[str, Any]

DAY = 1440
ONSET = 20_000 * DAY
POLICY = Policy.of()
KNOWN = {
    "causes_drugs": [
        {"id": "drug:known", "evidence_class": "systematic_review", "cause_class": "idiosyncratic"},
        {"id": "drug:class", "evidence_class": "class_only", "cause_class": "idiosyncratic"},
        {"id": "drug:cytotoxic", "evidence_class": "label", "cause_class": "chemotherapy"},
    ]
}

RECOVERED = {"recovered_after_stop": "present"}
SEARCHED = {"rash": "absent", "spleen": "absent", "fever": "absent"}


def frame(table: str, rows: list[Row]) -> nw.LazyFrame[Any]:
    contract = TABLES[table]
    columns = {name: polars_type(contract, name, pl.String) for name in contract.names if name in rows[0]}
    return nw.from_native(pl.DataFrame(rows, schema=columns).lazy())


def cause(name: str, rank: int, probability: float, **given: Any) -> Row:
    usual = {"episode_id": "e", "cause_id": name, "rank": rank, "probability": probability, "onset": ONSET}
    exposed = {"because": "exposure", "start": ONSET - 20 * DAY, "end": ONSET, "against": ""}
    terms = {term: 0.0 for term in TERMS}
    return usual | (exposed if name.startswith("drug:") else exposed | {"because": "suggested"}) | terms | given


def seen(name: str, clues: Mapping[str, str], factor: str = "course", effect: float = -1.0) -> list[Row]:
    same = {"episode_id": "e", "cause_id": name, "factor": factor, "effect": effect}
    return [same | {"clue": clue, "state": state} for clue, state in clues.items()]


def asked(causes: list[Row], evidence: list[Row], **episode: Any) -> pl.DataFrame:
    """What the instruments say of an episode of low neutrophils that recovered ten days after its onset."""
    usual = {"episode_id": "e", "analyte": "neutrophils", "last_low": ONSET, "recovery": ONSET + 10 * DAY}
    none = [{"episode_id": "e", "cause_id": "", "factor": "", "clue": "", "state": "", "effect": 0.0}]
    found = room.instruments(
        frame("causes", causes),
        frame("cause_evidence", evidence or none),
        frame("episodes", [usual | episode]),
        {**knowledge.load(), **KNOWN},
        POLICY,
    )
    return found.collect("polars").to_native()


def items(found: pl.DataFrame, instrument: str = "naranjo", drug: str = "drug:known") -> dict[str, tuple[str, int]]:
    rows = found.filter(pl.col("instrument") == instrument, pl.col("cause_id") == drug).to_dicts()
    return {row["item"]: (row["answer"], row["points"]) for row in rows}


def verdict(found: pl.DataFrame, instrument: str, drug: str = "drug:known") -> str:
    total = (pl.col("instrument") == instrument) & (pl.col("cause_id") == drug) & (pl.col("item") == "total")
    return str(found.filter(total)["verdict"].item())


# Naranjo: published cases. Items that the papers leave at 0 are unknown here.


def test_a_probable_reaction_of_a_drug_without_earlier_reports() -> None:
    """Ther Clin Risk Manag 2018;14:1657, table 1 (PMC6136411): items 2, 3, 5 and 10 count, rated as probable."""
    others = [cause("drug:new", 1, 0.8), cause("cond:x", 2, 0.1)]
    found = asked(others, seen("drug:new", RECOVERED) + seen("cond:x", SEARCHED, "clues"))
    points = {item: one for item, (_, one) in items(found, drug="drug:new").items() if one}
    assert points == {"2": 2, "3": 1, "5": 2, "10": 1, "total": 6}
    assert verdict(found, "naranjo", "drug:new") == "probable"


def test_a_possible_reaction_of_which_little_more_than_the_course_is_known() -> None:
    """Korean J Clin Pharm 2019;29:56, table 1: items 1 to 3 count, 4 points. A count adds the point of item 10."""
    found = asked([cause("drug:known", 1, 0.9)], seen("drug:known", RECOVERED | {"similar_before": "absent"}))
    answers = items(found)
    assert {item for item, (_, one) in answers.items() if one} == {"1", "2", "3", "10", "total"}
    assert sum(one for item, (_, one) in answers.items() if item not in ("10", "total")) == 4
    assert answers["9"] == ("no", 0)


def test_a_rival_takes_a_point() -> None:
    """World J Clin Cases 2024;12:1371, table 1: items 1, 2 and 10 count, another cause takes one away."""
    found = asked([cause("drug:known", 1, 0.7), cause("cond:x", 2, 0.25)], [])
    points = {item: one for item, (_, one) in items(found).items() if one}
    assert points == {"1": 1, "2": 2, "5": -1, "10": 1, "total": 3}
    assert verdict(found, "naranjo") == "possible"


# Naranjo: cases of our own.


def test_a_first_episode_with_recovery_and_no_rival_has_seven_points() -> None:
    evidence = seen("drug:known", RECOVERED) + seen("cond:x", SEARCHED, "clues")
    found = asked([cause("drug:known", 1, 0.9), cause("cond:x", 2, 0.1)], evidence)
    assert items(found)["total"] == ("", 7)
    assert verdict(found, "naranjo") == "probable"


def test_a_positive_rechallenge_makes_it_definite_and_certain() -> None:
    own = seen("drug:known", RECOVERED | {"rechallenge_positive": "present"})
    found = asked([cause("drug:known", 1, 0.9), cause("cond:x", 2, 0.1)], own + seen("cond:x", SEARCHED, "clues"))
    assert items(found)["total"] == ("", 9)
    assert verdict(found, "naranjo") == "definite"
    assert verdict(found, "who_umc") == "certain"
    assert verdict(found, "benichou_summary") == "met"


def test_records_alone_give_twelve_points_at_most() -> None:
    clues = ("rechallenge_positive", "toxic_level", "dose_increased", "similar_before")
    own = seen("drug:known", RECOVERED | dict.fromkeys(clues, "present"))
    found = asked([cause("drug:known", 1, 0.9), cause("cond:x", 2, 0.1)], own + seen("cond:x", SEARCHED, "clues"))
    assert items(found)["total"] == ("", 12)


def test_a_drug_begun_after_the_onset_is_doubtful() -> None:
    found = asked(
        [cause("drug:class", 1, 0.9, start=ONSET + 1)], seen("drug:class", {"rechallenge_negative": "present"})
    )
    assert items(found, drug="drug:class")["total"] == ("", -1)
    assert verdict(found, "naranjo", "drug:class") == "doubtful"
    assert verdict(found, "who_umc", "drug:class") == "unlikely"


def test_what_is_not_recorded_is_unknown_and_never_no() -> None:
    found = asked([cause("drug:new", 1, 0.9, start=None, end=None)], [], recovery=None)
    rows = found.filter(pl.col("item") != "total", pl.col("item") != "10")
    assert set(rows["answer"]) == {"unknown"}
    assert verdict(found, "who_umc", "drug:new") == "unassessable"
    assert verdict(found, "benichou_summary", "drug:new") == "open"


def test_two_absent_signs_are_not_yet_a_search_for_another_cause() -> None:
    two = {"rash": "absent", "spleen": "absent"}
    found = asked([cause("drug:known", 1, 0.9), cause("cond:x", 2, 0.1)], seen("cond:x", two, "clues", 0.0))
    assert items(found)["5"][0] == "unknown"


def test_signs_absent_for_the_drug_itself_are_no_search_for_another_cause() -> None:
    found = asked([cause("drug:known", 1, 0.9), cause("cond:x", 2, 0.1)], seen("drug:known", SEARCHED, "clues"))
    assert items(found)["5"][0] == "unknown"


def test_the_rival_is_named() -> None:
    others = [cause("drug:known", 1, 0.4), cause("cond:x", 2, 0.3), cause("cond:y", 3, 0.2)]
    found = asked(others, [])
    fifth = found.filter(pl.col("instrument") == "naranjo", pl.col("item") == "5")
    assert fifth["because"].to_list() == ["cond:x"]


def test_a_cytotoxic_drug_has_no_rival_in_its_own_chemotherapy() -> None:
    whole = cause("cond:cytotoxic-chemotherapy", 1, 0.6, because="combination")
    found = asked([whole, cause("drug:cytotoxic", 2, 0.1), cause("drug:known", 3, 0.1)], [])
    assert items(found, drug="drug:cytotoxic")["5"][0] == "unknown"
    assert items(found)["5"][0] == "yes"


# G-CSF, the summary of the consensus, and its limits


def test_a_recovery_under_g_csf_says_nothing_of_the_drug() -> None:
    g_csf = seen("cond:x", {"g_csf_recent": "present"})
    found = asked([cause("drug:known", 1, 0.9), cause("cond:x", 2, 0.1)], seen("drug:known", RECOVERED) + g_csf)
    third = found.filter(pl.col("instrument") == "naranjo", pl.col("item") == "3").row(0, named=True)
    assert (third["answer"], third["points"], third["because"]) == ("unknown", 0, "g_csf_recent")
    assert items(found, "benichou_summary")["recovery"][0] == "unknown"


@pytest.mark.parametrize(
    ("end", "answer"), [(0, "yes"), (-7 * DAY, "yes"), (-7 * DAY - 1, "no"), (5 * DAY, "yes"), (None, "unknown")]
)
def test_an_onset_within_a_week_of_the_last_dose_fits(end: int | None, answer: str) -> None:
    stopped = None if end is None else ONSET + end
    found = asked([cause("drug:known", 1, 0.9, end=stopped)], [])
    assert items(found, "benichou_summary")["onset"][0] == answer


@pytest.mark.parametrize(
    ("recovery", "last_low", "answer"),
    [
        (30 * DAY, 0, "yes"),
        (30 * DAY + 1, 0, "no"),
        (None, 30 * DAY, "no"),
        (None, 30 * DAY - 1, "unknown"),  # died, lost, or still within the month
    ],
)
def test_recovery_within_a_month_of_the_last_dose(recovery: int | None, last_low: int, answer: str) -> None:
    back = None if recovery is None else ONSET + recovery
    found = asked([cause("drug:known", 1, 0.9)], [], recovery=back, last_low=ONSET + last_low)
    assert items(found, "benichou_summary")["recovery"][0] == answer


def test_the_consensus_is_not_asked_about_another_line() -> None:
    found = asked([cause("drug:known", 1, 0.9)], [], analyte="lymphocytes")
    assert set(found["instrument"]) == {"naranjo", "who_umc"}


# WHO-UMC


@pytest.mark.parametrize(
    ("clues", "rival", "category"),
    [
        (RECOVERED, 0.1, "probable"),
        (RECOVERED | {"rechallenge_negative": "present"}, 0.1, "possible"),
        (RECOVERED, 0.3, "possible"),
        ({}, 0.3, "possible"),
        ({"no_recovery_after_stop": "present"}, 0.3, "unlikely"),
        ({"no_recovery_after_stop": "present"}, 0.1, "possible"),
    ],
)
def test_categories_of_who_umc(clues: Mapping[str, str], rival: float, category: str) -> None:
    evidence = seen("drug:known", clues) + seen("cond:x", SEARCHED, "clues")
    found = asked([cause("drug:known", 1, 0.6), cause("cond:x", 2, rival)], evidence)
    assert verdict(found, "who_umc") == category


def test_certain_needs_an_established_effect() -> None:
    own = seen("drug:class", RECOVERED | {"rechallenge_positive": "present"})
    found = asked([cause("drug:class", 1, 0.6), cause("cond:x", 2, 0.1)], own + seen("cond:x", SEARCHED, "clues"))
    assert verdict(found, "who_umc", "drug:class") == "probable"


def test_a_drug_without_a_start_is_conditional_where_the_course_is_known() -> None:
    found = asked([cause("drug:known", 1, 0.6, start=None)], seen("drug:known", RECOVERED))
    assert verdict(found, "who_umc") == "conditional"


# Disagreements


def parted(causes: list[Row], evidence: list[Row]) -> list[Row]:
    causality = nw.from_native(asked(causes, evidence).lazy())
    return room.disagreements(frame("causes", causes), causality).collect("polars").to_native().to_dicts()


def test_a_leading_drug_that_is_doubtful_is_named_with_the_item_that_cost_points() -> None:
    after = cause("drug:class", 1, 0.9, start=ONSET + 1)
    shown = parted([after, cause("cond:x", 2, 0.3)], [])
    assert [(row["statement"], row["because"]) for row in shown] == [("leading_drug_doubtful", "started_after_onset")]


def test_a_probable_drug_behind_the_leaders_is_named_with_the_term_in_which_it_lags() -> None:
    others = [cause(f"cond:{rank}", rank, 0.1, prior=-1.0, lineage=0.5) for rank in (1, 2, 3)]
    drug = cause("drug:known", 4, 0.05, prior=-7.0, timing=1.0)
    evidence = seen("drug:known", RECOVERED) + seen("cond:1", SEARCHED, "clues")
    shown = parted([*others, drug], evidence)
    assert [(row["statement"], row["because"]) for row in shown] == [("probable_not_leading", "prior")]


def test_ranking_and_instrument_agree_in_silence() -> None:
    assert parted([cause("drug:known", 1, 0.9)], seen("drug:known", RECOVERED)) == []


# What to look at next


def test_a_test_of_a_cause_is_likelier_to_be_positive_where_it_is_the_cause() -> None:
    row = steps.chances(listing("cond:x"), [], POLICY)[0]
    assert (row["cause_id"], row["days_from"], row["days_to"]) == ("cond:x", None, 7)
    assert row["positive"] > row["otherwise"]


def listing(*targets: str) -> dict[str, list[dict[str, str]]]:
    same = {"days_from": "", "days_to": "7", "source_id": "design"}
    return {
        "causes_drugs": [],
        "causes_conditions": [{"id": "cond:x"}, {"id": "cond:y"}],
        "clues": [{"clue": "spleen"}],
        "look_again": [{"test": f"test of {one}", "name": one, "target": one} | same for one in targets],
    }


def next_steps(causes: list[Row], evidence: list[Row], chances: list[Row]) -> list[Row]:
    types = {**dict.fromkeys(steps.CHANCES, pl.String), "days_from": pl.Int64, "days_to": pl.Int64}
    types |= {"positive": pl.Float64, "otherwise": pl.Float64}
    none = [{"episode_id": "e", "cause_id": "", "clue": ""}]
    found = steps.look_again(
        frame("causes", causes),
        frame("cause_evidence", evidence or none),
        nw.from_native(pl.DataFrame(chances, schema=types).lazy()),
        POLICY,
    )
    return sorted(found.collect("polars").to_native().to_dicts(), key=lambda row: row["step"])


def even() -> list[Row]:
    return [cause("cond:x", 1, 0.5), cause("cond:y", 2, 0.5)]


def test_the_information_of_a_test_between_two_even_causes() -> None:
    """Two causes at a half, positive in 0.9 and 0.05: entropy of 0.475 less the mean entropy of 0.9 and 0.05."""
    chances = [row | {"positive": 0.9, "otherwise": 0.05} for row in steps.chances(listing("cond:x"), [], POLICY)]
    step = next_steps(even(), [], chances)[0]
    entropy = {p: -p * math.log(p) - (1 - p) * math.log(1 - p) for p in (0.475, 0.9, 0.05)}
    assert step["information"] == pytest.approx(entropy[0.475] - (entropy[0.9] + entropy[0.05]) / 2, abs=1e-6)
    assert (step["step"], step["separates"]) == (1, "cond:x")


def test_a_sign_of_weight_moves_the_odds() -> None:
    effect = {"clue": "spleen", "state": "present", "cause_id": "cond:y", "effect": 1.1}
    row = steps.chances(listing("spleen"), [effect], POLICY)[0]
    odds = row["positive"] / (1 - row["positive"]) / (row["otherwise"] / (1 - row["otherwise"]))
    assert math.log(odds) == pytest.approx(1.1)


@pytest.mark.parametrize(
    "known",
    [
        {"cause_id": "cond:x", "clue": "confirmed", "state": "absent"},
        {"cause_id": "cond:x", "clue": "confirmed", "state": "present"},
    ],
)
def test_a_test_that_was_done_is_not_asked_for_again(known: Row) -> None:
    chances = steps.chances(listing("cond:x", "cond:y"), [], POLICY)
    assert [row["test"] for row in next_steps(even(), [{"episode_id": "e"} | known], chances)] == ["test of cond:y"]


def test_a_sign_that_was_looked_for_is_not_asked_for_again() -> None:
    effect = {"clue": "spleen", "state": "present", "cause_id": "cond:y", "effect": 1.1}
    chances = steps.chances(listing("spleen"), [effect], POLICY)
    assert len(next_steps(even(), [], chances)) == 1
    assert next_steps(even(), [{"episode_id": "e", "cause_id": "", "clue": "spleen", "state": "absent"}], chances) == []


def test_a_diagnosis_on_record_is_not_tested_for() -> None:
    recorded = [cause("cond:x", 1, 0.5, because="recorded"), cause("cond:y", 2, 0.5)]
    assert next_steps(recorded, [], steps.chances(listing("cond:x"), [], POLICY)) == []


def test_a_test_tells_nothing_where_one_cause_is_left() -> None:
    assert next_steps([cause("cond:x", 1, 1.0)], [], steps.chances(listing("cond:x"), [], POLICY)) == []


def test_a_target_that_is_neither_a_cause_nor_a_clue_is_refused() -> None:
    with pytest.raises(KnowledgeError, match="cond:nowhere"):
        steps.chances(listing("cond:nowhere"), [], POLICY)
