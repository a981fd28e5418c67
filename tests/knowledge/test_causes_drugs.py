"""The drug half of the causes: every drug has a row, every figure a source, and the rows agree with one another."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

KNOWLEDGE = Path(__file__).parents[2] / "src" / "leukopenia" / "knowledge"

GROWTH_FACTORS = {"drug:filgrastim", "drug:lenograstim", "drug:pegfilgrastim", "drug:sargramostim"}
NOT_A_CAUSE = GROWTH_FACTORS | {"drug:natalizumab"}
NO_KNOWN_CAUSE = {
    "drug:atorvastatin",
    "drug:isosorbide",
    "drug:levothyroxine",
    "drug:sotalol",
    "drug:tamsulosin",
}
"""Negative controls of the EU-ADR reference set: named, so that records show them; weighed as `drug:other`."""

MONITORED_ONLY = {
    "drug:abrocitinib",
    "drug:baricitinib",
    "drug:sacituzumab-govitecan",
    "drug:trastuzumab-deruxtecan",
    "drug:upadacitinib",
}
"""Drugs of monitoring rules whose effect on white cells has not been researched as a cause: `drug:other` too."""

SIDER_ONLY = {
    "drug:gentamicin",
    "drug:fusidic-acid",
    "drug:didanosine",
    "drug:maraviroc",
    "drug:aminoglutethimide",
    "drug:memantine",
    "drug:rasburicase",
    "drug:nitisinone",
    "drug:zafirlukast",
    "drug:meprobamate",
}
CLASSES = {
    "chemotherapy",
    "targeted",
    "idiosyncratic",
    "dose_related",
    "immunosuppressant",
    "biologic",
    "antiviral",
    "other",
}
EVIDENCE = {"systematic_review", "boxed_warning", "label", "cohort", "case_reports", "review", "class_only"}
WINDOWS = ("onset_days", "recovery_days")

Row = dict[str, str]


def rows(table: str) -> list[Row]:
    with (KNOWLEDGE / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


CAUSES = {row["id"]: row for row in rows("causes_drugs")}


def words(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def ingredient(text: str) -> str:
    """The ingredient whose longest name stands in a text."""
    owners = {words(row["name"]): row["ingredient"] for row in rows("ingredient_names")}
    known = [name for name in owners if f" {name} " in f" {words(text)} "]
    return owners[max(known, key=len)]


def sources(row: Row) -> set[str]:
    return set(row["source_id"].split(";"))


def number(row: Row, column: str) -> float | None:
    return float(row[column]) if row[column] else None


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("clozapine", "drug:clozapine"),
        ("bupropion", "drug:bupropion"),
        ("Wellbutrin", "drug:bupropion"),
        ("Zyban", "drug:bupropion"),
        ("minocycline", "drug:minocycline"),
        ("valproic acid", "drug:valproate"),
        ("divalproex sodium", "drug:valproate"),
        ("Depakote", "drug:valproate"),
        ("valproate semisodium", "drug:valproate"),
        ("lamotrigine", "drug:lamotrigine"),
        ("metronidazole", "drug:metronidazole"),
        ("sirolimus", "drug:sirolimus"),
        ("mycophenolate mofetil", "drug:mycophenolate-mofetil"),
        ("tacrolimus", "drug:tacrolimus"),
        ("cyclosporine", "drug:ciclosporin"),
        ("leflunomide", "drug:leflunomide"),
        ("Arava", "drug:leflunomide"),
        ("infliximab", "drug:infliximab"),
        ("etanercept", "drug:etanercept"),
        ("adalimumab", "drug:adalimumab"),
        ("certolizumab pegol", "drug:certolizumab-pegol"),
        ("golimumab", "drug:golimumab"),
        ("TNF inhibitor", "drug:tnf-inhibitors"),
        ("interferon beta", "drug:interferon-beta-1a"),
        ("Rebif", "drug:interferon-beta-1a"),
        ("Avonex", "drug:interferon-beta-1a"),
        ("Betaseron", "drug:interferon-beta-1b"),
        ("Plegridy", "drug:peginterferon-beta-1a"),
        ("hydroxyurea", "drug:hydroxycarbamide"),
        ("methimazole", "drug:thiamazole"),
        ("dipyrone", "drug:metamizole"),
        ("TMP-SMX", "drug:cotrimoxazole"),
        ("piperacillin/tazobactam", "drug:piperacillin-tazobactam"),
        ("5-FU", "drug:fluorouracil"),
        ("cytosine arabinoside", "drug:cytarabine"),
        ("6-MP", "drug:mercaptopurine"),
    ],
)
def test_a_drug_by_any_of_its_names_has_a_sourced_row(text: str, cause: str) -> None:
    assert ingredient(text) == cause
    assert sources(CAUSES[cause]) - {"design"}


def test_every_ingredient_has_a_row_and_every_row_an_ingredient() -> None:
    known = {row["id"] for row in rows("ingredients")}
    assert set(CAUSES) - known == {"drug:other"}
    assert known - set(CAUSES) == NO_KNOWN_CAUSE | MONITORED_ONLY


def test_rows_are_unique_and_sorted() -> None:
    found = [row["id"] for row in rows("causes_drugs")]
    assert found == sorted(set(found))


def test_no_row_rests_on_sider_alone() -> None:
    assert not set(CAUSES) & SIDER_ONLY


@pytest.mark.parametrize("window", WINDOWS)
def test_days_are_in_order_and_not_negative(window: str) -> None:
    for cause, row in CAUSES.items():
        days = [number(row, f"{window}_{part}") for part in ("min", "median", "max")]
        given = [day for day in days if day is not None]
        assert given == sorted(given), cause
        assert all(day >= 0 for day in given), cause


@pytest.mark.parametrize("window", WINDOWS)
def test_days_have_a_basis_and_a_basis_has_days(window: str) -> None:
    for cause, row in CAUSES.items():
        given = any(row[f"{window}_{part}"] for part in ("min", "median", "max"))
        assert given == bool(row[window.replace("days", "basis")]), cause


def test_an_onset_window_can_be_computed_or_is_empty() -> None:
    for cause, row in CAUSES.items():
        low, median, high = (row[f"onset_days_{part}"] for part in ("min", "median", "max"))
        assert median or (low and high) or not (low or high), cause


def test_frequencies_are_shares() -> None:
    for cause, row in CAUSES.items():
        if cause not in NOT_A_CAUSE:
            assert 0 < float(row["frequency"]) <= 1, cause
            assert row["frequency_basis"] in {"source", "class"}, cause
            assert row["frequency_note"], cause


def test_a_judgement_of_our_own_says_so() -> None:
    for cause, row in CAUSES.items():
        if "class" in {row["onset_basis"], row["recovery_basis"], row["frequency_basis"]}:
            assert "design" in sources(row), cause


def test_a_figure_from_a_source_cites_one() -> None:
    for cause, row in CAUSES.items():
        if "source" in {row["onset_basis"], row["recovery_basis"], row["frequency_basis"]}:
            assert sources(row) - {"design"}, cause


def test_what_rests_on_a_class_says_nothing_of_the_drug() -> None:
    for cause, row in CAUSES.items():
        if row["evidence_class"] == "class_only":
            assert row["frequency_basis"] != "source", cause
            assert row["recovery_basis"] != "source", cause


def test_words_are_known() -> None:
    assert {row["cause_class"] for row in CAUSES.values()} == CLASSES
    assert {row["evidence_class"] for row in CAUSES.values()} == EVIDENCE
    assert {row["lineage"] for row in CAUSES.values()} <= {"neutrophil", "lymphocyte", "all", "pancytopenia", "none"}
    assert {row["onset_from"] for row in CAUSES.values()} == {"start", "last_dose", "none"}
    assert {row["kind"] for row in CAUSES.values()} == {"drug", "exposure"}
    for column in ("can_cause_agranulocytosis", "affects_function"):
        assert {row[column] for row in CAUSES.values()} <= {"", "yes"}


def test_cells_of_conditions_stay_empty() -> None:
    assert not [row["id"] for row in CAUSES.values() if row["background"] or row["always"] or row["acute"]]


def test_what_does_not_lower_counts_is_no_cause() -> None:
    assert {cause for cause, row in CAUSES.items() if row["lineage"] == "none"} == NOT_A_CAUSE
    assert not [cause for cause in NOT_A_CAUSE if CAUSES[cause]["frequency"]]


def test_a_window_that_counts_from_the_last_dose_is_open_to_its_end() -> None:
    for cause, row in CAUSES.items():
        if row["onset_from"] == "last_dose" and row["onset_days_max"]:
            assert float(row["after_stop_days"]) >= float(row["onset_days_max"]), cause


def test_late_and_early_windows_of_named_drugs() -> None:
    assert CAUSES["drug:rituximab"]["onset_from"] == "last_dose"
    assert float(CAUSES["drug:rituximab"]["after_stop_days"]) == 330
    assert float(CAUSES["drug:metamizole"]["after_stop_days"]) == 10
    for nitrosourea in ("drug:carmustine", "drug:lomustine"):
        assert 28 <= float(CAUSES[nitrosourea]["onset_days_median"]) <= 42


def test_calcineurin_inhibitors_come_after_what_they_are_given_with() -> None:
    partners = ("mycophenolate-mofetil", "azathioprine", "valganciclovir", "sirolimus")
    least = min(float(CAUSES[f"drug:{partner}"]["frequency"]) for partner in partners)
    for inhibitor in ("drug:tacrolimus", "drug:ciclosporin"):
        assert float(CAUSES[inhibitor]["frequency"]) < least


def test_a_drug_without_a_row_is_the_least_likely_but_for_measured_rarities() -> None:
    other = float(CAUSES["drug:other"]["frequency"])
    rarer = {cause for cause, row in CAUSES.items() if row["frequency"] and float(row["frequency"]) < other}
    assert all(CAUSES[cause]["frequency_basis"] == "source" for cause in rarer)


# --- interactions and conflicts


def known_causes() -> set[str]:
    return set(CAUSES) | {row["id"] for row in rows("causes_conditions")}


def test_an_interaction_joins_two_things_that_exist() -> None:
    partners = {
        "drug": set(CAUSES),
        "condition": known_causes() - set(CAUSES),
        "clue": {row["clue"] for row in rows("clues")},
    }
    for row in rows("interactions"):
        assert row["cause"] in known_causes(), row
        assert row["partner"] in partners[row["partner_kind"]], row
        assert row["partner"] != row["cause"], row


def test_an_interaction_has_a_known_strength_and_a_source_beside_the_judgement() -> None:
    strengths = {row["strength"] for row in rows("strengths")}
    for row in rows("interactions"):
        assert row["strength"] in strengths, row
        assert "design" in sources(row) and sources(row) - {"design"}, row


def test_no_pair_and_no_statement_stands_twice() -> None:
    pairs = Counter((row["cause"], row["partner"]) for row in rows("interactions"))
    statements = Counter((row["cause"], row["topic"], row["statement"]) for row in rows("cause_conflicts"))
    assert not [found for found, n in (pairs + statements).items() if n > 1]


def test_a_conflict_has_two_sides_with_a_source_each() -> None:
    sides: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows("cause_conflicts"):
        assert row["cause"] in known_causes(), row
        assert row["source_id"], row
        sides[row["cause"], row["topic"]].append(row)
    assert not [topic for topic, found in sides.items() if len(found) < 2]
