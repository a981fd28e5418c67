"""The rule packs: every named drug has a rule or a word on why not, bands and phases are whole, nothing is invented."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

KNOWLEDGE = Path(__file__).parents[2] / "src" / "leukopenia" / "knowledge"

Row = dict[str, str]

KEYS = {
    "rules": ("rule_id",),
    "phases": ("rule_id", "from_day"),
    "thresholds": (
        *("rule_id", "purpose", "analyte", "at_or_above", "below", "fall_by", "lasting_days", "below_share"),
    ),
    "unfound": ("drug", "jurisdiction"),
    "conflicts": ("drug", "topic", "statement"),
    "courses": ("drug",),
}
CODES = {
    "jurisdiction": {"us", "uk", "eu", "ca", "de", "jp", "ch", "my", "th", "ph", "any"},
    "kind": {"label", "guideline", "registry", "practice"},
    "population": {"general", "duffy_null", "neonate"},
    "baseline": {"required", "when_at_risk", "none"},
    "after_end_count": {"yes", "no"},
}
ACTIONS = {
    "continue",
    "count_more_often",
    "interrupt",
    "stop",
    "stop_for_good",
    "do_not_start",
    "seek_advice",
    "repeat",
    "reduce_dose",
    "delay_cycle",
    "admit",
}
NAMED = [
    "clozapine",
    "metronidazole",
    "metamizole",
    "deferiprone",
    "ticlopidine",
    "carbimazole",
    "thiamazole",
    "propylthiouracil",
    "sulfasalazine",
    "methotrexate",
    "azathioprine",
    "mercaptopurine",
    "leflunomide",
    "teriflunomide",
    "mycophenolate-mofetil",
    "tacrolimus",
    "ciclosporin",
    "sirolimus",
    "infliximab",
    "etanercept",
    "adalimumab",
    "certolizumab-pegol",
    "golimumab",
    "interferon-beta-1a",
    "interferon-beta-1b",
    "peginterferon-beta-1a",
    "valproate",
    "carbamazepine",
    "lamotrigine",
    "linezolid",
    "ganciclovir",
    "valganciclovir",
    "zidovudine",
    "dimethyl-fumarate",
    "fingolimod",
    "siponimod",
    "alemtuzumab",
    "rituximab",
    "tocilizumab",
    "sarilumab",
    "tofacitinib",
    "ruxolitinib",
    "dapsone",
    "vancomycin",
    "procainamide",
    "docetaxel",
    "paclitaxel",
    "cabazitaxel",
    "topotecan",
    "capecitabine",
    "temozolomide",
    "ribociclib",
    "abemaciclib",
    "palbociclib",
    "lenalidomide",
]


def rows(name: str) -> list[Row]:
    with (KNOWLEDGE / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


RULES = {row["rule_id"]: row for row in rows("monitoring_rules")}
PHASES = rows("monitoring_phases")
THRESHOLDS = rows("monitoring_thresholds")
UNFOUND = rows("monitoring_unfound")


def phases_of(rule: str) -> list[tuple[str, str, str, str]]:
    found = [row for row in PHASES if row["rule_id"] == rule]
    return [(row["from_day"], row["to_day"], row["interval_days"], row["only_if"]) for row in found]


def bands_of(rule: str, purpose: str, analyte: str) -> dict[tuple[str, str], str]:
    return {
        (row["at_or_above"], row["below"]): row["action"]
        for row in THRESHOLDS
        if (row["rule_id"], row["purpose"], row["analyte"]) == (rule, purpose, analyte)
        and not (row["fall_by"] or row["lasting_days"] or row["below_share"])
    }


@pytest.mark.parametrize("name", KEYS)
def test_keys_are_unique_and_rows_sorted_by_them(name: str) -> None:
    keys = [tuple(row[column] for column in KEYS[name]) for row in rows(f"monitoring_{name}")]
    assert [key for key, n in Counter(keys).items() if n > 1] == []
    assert [key[0] for key in keys] == sorted(key[0] for key in keys)


@pytest.mark.parametrize("name", KEYS)
def test_every_source_is_in_the_references(name: str) -> None:
    known = set(re.findall(r"@\w+\{([^,\s]+),", (KNOWLEDGE / "references.bib").read_text(encoding="utf-8")))
    used = {source for row in rows(f"monitoring_{name}") for source in row["source_id"].split(";") if source}
    assert used - known == set()
    if name != "unfound":
        assert all(row["source_id"] for row in rows(f"monitoring_{name}"))


@pytest.mark.parametrize("name", KEYS)
def test_every_datasheet_names_every_column(name: str) -> None:
    sheet = (KNOWLEDGE / "datasheets" / f"monitoring_{name}.md").read_text(encoding="utf-8")
    assert [column for column in rows(f"monitoring_{name}")[0] if f"`{column}`" not in sheet] == []


def test_named_drugs_have_a_rule_or_a_word_on_why_not() -> None:
    told = {drug for row in RULES.values() for drug in row["drugs"].split(";")} | {row["drug"] for row in UNFOUND}
    assert [name for name in NAMED if f"drug:{name}" not in told] == []


def test_drugs_are_ingredients() -> None:
    known = {row["id"] for row in rows("ingredients")}
    used = {drug for row in RULES.values() for drug in row["drugs"].split(";")}
    used |= {row["drug"] for row in (*UNFOUND, *rows("monitoring_courses"))} - {"*"}
    assert used - known == set()


@pytest.mark.parametrize("column", CODES)
def test_codes_of_rules(column: str) -> None:
    assert {row[column] for row in RULES.values()} <= CODES[column]


def test_a_rule_is_named_after_its_first_drug_and_its_jurisdiction() -> None:
    for rule, row in RULES.items():
        drug = row["drugs"].split(";")[0].removeprefix("drug:")
        assert re.match(rf"rule:{re.escape(drug)}-{row['jurisdiction']}(-|$)", rule), rule


def test_every_part_belongs_to_a_rule() -> None:
    assert {row["rule_id"] for row in (*PHASES, *THRESHOLDS)} <= set(RULES)


def test_analytes_are_known() -> None:
    known = {row["analyte"] for row in rows("analytes")}
    assert {analyte for row in RULES.values() for analyte in row["analytes"].split(";")} <= known
    assert {row["analyte"] for row in THRESHOLDS} <= known


def test_numbers_are_positive() -> None:
    for row in (*PHASES, *THRESHOLDS):
        for column in ("interval_days", "grace_days", "below", "fall_by", "next_interval_days", "confirm_hours"):
            assert not row.get(column) or float(row[column]) > 0, (row["rule_id"], column)


def test_phases_follow_one_another_without_a_hole() -> None:
    by_rule = defaultdict(list)
    for row in PHASES:
        by_rule[row["rule_id"]].append(row)
    for rule, found in by_rule.items():
        for earlier, later in pairwise(sorted(found, key=lambda row: int(row["from_day"]))):
            reaches = int(earlier["to_day"]) if earlier["to_day"] else 10**6
            assert int(earlier["from_day"]) < int(later["from_day"]) <= reaches, rule
            assert later["only_if"] or earlier["to_day"] == later["from_day"] or earlier["only_if"], rule


def test_the_last_count_of_a_phase_is_the_first_day_of_the_next() -> None:
    for earlier, later in pairwise(PHASES):
        follows = later["rule_id"] == earlier["rule_id"] and later["interval_days"] and not later["only_if"]
        if follows:
            length = int(earlier["to_day"]) - int(earlier["from_day"])
            assert length % float(earlier["interval_days"]) == 0, (earlier["rule_id"], earlier["from_day"])


def test_bands_neither_overlap_nor_leave_a_hole() -> None:
    bands = defaultdict(list)
    for row in THRESHOLDS:
        if not (row["fall_by"] or row["lasting_days"] or row["below_share"]):
            low, high = float(row["at_or_above"] or 0), float(row["below"] or 10**6)
            bands[row["rule_id"], row["purpose"], row["analyte"]].append((low, high))
    for key, spans in bands.items():
        ordered = sorted(spans)
        assert ordered[0][0] == 0, f"{key}: nothing is asked of the lowest counts"
        assert all(low < high for low, high in ordered), key
        assert all(upper == lower for (_, upper), (lower, _) in pairwise(ordered)), key


def test_close_counts_end_no_lower_than_the_band() -> None:
    for row in THRESHOLDS:
        if row["until_at_or_above"]:
            assert row["next_interval_days"], row
            assert float(row["until_at_or_above"]) >= float(row["below"]), (row["rule_id"], row["statement"])


def test_a_speed_of_fall_has_a_size_and_a_time() -> None:
    falls = [row for row in THRESHOLDS if row["fall_by"] or row["fall_within_days"]]
    assert {(row["analyte"], row["fall_by"], row["fall_within_days"], row["below"]) for row in falls} == {
        ("wbc", "3.0", "28", "4.0"),
        ("neutrophils", "1.5", "28", "2.5"),
    }


def test_limits_that_must_last_and_those_of_the_own_baseline() -> None:
    lasting = {(row["rule_id"], row["analyte"], row["below"], row["lasting_days"]) for row in THRESHOLDS}
    assert {row for row in lasting if row[3]} == {
        ("rule:dimethyl-fumarate-us", "lymphocytes", "0.5", "183"),
        ("rule:docetaxel-eu", "neutrophils", "0.5", "8"),
        ("rule:eribulin-us", "neutrophils", "0.5", "8"),
        ("rule:fingolimod-eu", "lymphocytes", "0.2", "0"),
        ("rule:paclitaxel-us", "neutrophils", "0.5", "7"),
        ("rule:tofacitinib-us", "lymphocytes", "0.5", "0"),
        ("rule:tofacitinib-us", "neutrophils", "1.0", "0"),
    }
    shares = {(row["rule_id"], row["analyte"], row["below_share"]) for row in THRESHOLDS if row["below_share"]}
    assert shares == {
        ("rule:zidovudine-us", "haemoglobin", "0.75"),
        ("rule:zidovudine-us", "neutrophils", "0.5"),
    }
    assert {row["rule_id"] for row in THRESHOLDS if row["or_baseline"] == "yes"} == {"rule:clozapine-us-ben"}
    often = {(row["rule_id"], row["action"]) for row in THRESHOLDS if row["until_in_a_row"]}
    assert often == {("rule:clozapine-uk", "stop_for_good")}


def test_actions_fit_their_purpose() -> None:
    assert {row["action"] for row in THRESHOLDS} <= ACTIONS
    assert {row["purpose"] for row in THRESHOLDS} == {"start", "continue", "resume", "restart"}
    for row in THRESHOLDS:
        barred = row["action"] in {"do_not_start", "delay_cycle"}
        assert barred if row["purpose"] != "continue" else row["action"] != "do_not_start", row


def test_only_an_interruption_or_a_stop_is_followed_by_giving_it_again() -> None:
    actions = defaultdict(set)
    for row in THRESHOLDS:
        actions[row["rule_id"]].add((row["purpose"], row["action"]))
    for rule, found in actions.items():
        asked = {action for purpose, action in found if purpose == "continue"}
        if any(purpose in {"resume", "restart"} for purpose, _ in found):
            assert asked & {"interrupt", "stop", "repeat", "stop_for_good"}, rule


def test_statements_are_sentences() -> None:
    assert [row["statement"] for row in (*THRESHOLDS, *UNFOUND) if not row["statement"].endswith(".")] == []
    assert all(row["looked_at"] for row in UNFOUND)


def test_clozapine_in_the_eu_changes_on_one_day() -> None:
    until = date.fromisoformat(RULES["rule:clozapine-eu-before2025"]["valid_to"])
    starts = {date.fromisoformat(RULES[f"rule:clozapine-eu{suffix}"]["valid_from"]) for suffix in ("", "-ben")}
    assert starts == {until + timedelta(days=1)}


def test_clozapine_us() -> None:
    rule = "rule:clozapine-us"
    assert phases_of(rule) == [("0", "182", "7", ""), ("182", "364", "14", ""), ("364", "", "30", "")]
    assert bands_of(rule, "continue", "neutrophils") == {
        ("", "0.5"): "interrupt",
        ("0.5", "1.0"): "interrupt",
        ("1.0", "1.5"): "count_more_often",
    }
    assert (RULES[rule]["restart_after_days"], RULES[rule]["analytes"]) == ("30", "neutrophils")
    assert all(day in RULES[rule]["note"] for day in ("2025-02-24", "2025-06-13"))


def test_clozapine_uk_needs_both_counts_and_stops_for_good_in_red() -> None:
    rule = "rule:clozapine-uk"
    assert RULES[rule]["analytes"] == "wbc;neutrophils"
    assert bands_of(rule, "continue", "wbc") == {("", "3.0"): "stop_for_good", ("3.0", "3.5"): "count_more_often"}
    assert bands_of(rule, "continue", "neutrophils") == {
        ("", "1.5"): "stop_for_good",
        ("1.5", "2.0"): "count_more_often",
    }
    assert (RULES[rule]["after_stop_days"], phases_of(rule)[-1]) == ("28", ("364", "", "28", ""))


def test_clozapine_eu_grows_rarer_only_without_neutropenia() -> None:
    assert phases_of("rule:clozapine-eu")[2:] == [
        ("366", "728", "84", "no_neutropenia_so_far"),
        ("728", "", "365", "no_neutropenia_so_far"),
    ]


def test_what_could_not_be_confirmed_is_not_shipped() -> None:
    assert phases_of("rule:clozapine-ca") == [("0", "", "", "")]
    assert {interval for _, _, interval, _ in phases_of("rule:lenalidomide-us")} == {""}
    assert phases_of("rule:upadacitinib-my") == []
    assert bands_of("rule:vancomycin-any", "continue", "neutrophils") == {}
    assert {row["action"] for row in THRESHOLDS if row["rule_id"] == "rule:ticlopidine-us"} == {"seek_advice"}
    assert "rule:captopril-us" not in RULES


def test_conflicts_are_kept_apart() -> None:
    assert bands_of("rule:lenalidomide-us", "continue", "neutrophils") == {("", "1.0"): "interrupt"}
    assert bands_of("rule:lenalidomide-eu", "continue", "neutrophils") == {("", "0.5"): "interrupt"}
    assert "1.5" in RULES["rule:palbociclib-us"]["conflict"]
    assert ("", "1.6") in bands_of("rule:azathioprine-uk", "continue", "neutrophils")
    assert ("", "2.0") in bands_of("rule:azathioprine-uk-dtb", "continue", "neutrophils")


@pytest.mark.parametrize("drug", ["drug:azathioprine", "drug:mercaptopurine"])
def test_fractions_of_the_thiopurine_dose_are_fractions_of_the_normal_dose(drug: str) -> None:
    told = {row["statement"] for row in rows("monitoring_conflicts") if row["drug"] == drug}
    assert "CPIC 2018: 30 to 80% OF the normal dose" in told and "CPIC 2024: 20 to 50% OF the normal dose" in told
    assert all(" OF " in one or " BY " in one or "not clear" in one for one in told)


def test_counts_outlive_alemtuzumab_and_follow_metronidazole() -> None:
    assert RULES["rule:alemtuzumab-us"]["after_stop_days"] == "1461"
    metronidazole = RULES["rule:metronidazole-us"]
    assert (metronidazole["baseline"], metronidazole["after_end_count"]) == ("required", "yes")
    assert phases_of("rule:metronidazole-us") == []
    assert phases_of("rule:metamizole-eu") == []


def test_lamotrigine_has_no_number() -> None:
    assert not any("drug:lamotrigine" in row["drugs"] for row in RULES.values())
    assert {row["jurisdiction"] for row in UNFOUND if row["drug"] == "drug:lamotrigine"} == {"uk", "us"}


def test_courses_have_a_default() -> None:
    gaps = {row["drug"]: int(row["gap_days"]) for row in rows("monitoring_courses")}
    assert gaps["*"] == 28
    assert gaps["drug:clozapine"] == int(RULES["rule:clozapine-us"]["restart_after_days"])
    assert gaps["drug:docetaxel"] < 7


def test_a_topic_of_conflict_has_two_versions_and_a_drug_with_a_rule() -> None:
    ruled = {drug for row in RULES.values() for drug in row["drugs"].split(";")}
    topics = Counter((row["drug"], row["topic"]) for row in rows("monitoring_conflicts"))
    assert [topic for topic, n in topics.items() if n < 2 or topic[0] not in ruled] == []


def test_a_haemoglobin_limit_is_worded_in_the_unit_it_is_coded_in() -> None:
    limits = [row for row in THRESHOLDS if row["analyte"] == "haemoglobin" and row["below"]]
    assert [row["statement"] for row in limits if f" {row['below']} g/L" not in row["statement"]] == []
