"""Own rules: what is wrong is named with file, row, column and remedy; scenarios are run; rules are put into words."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from leukopenia import knowledge
from leukopenia.errors import KnowledgeError, UsageError
from leukopenia.monitor_pack_checks import PARTS
from leukopenia.monitor_packs import Pack, describe, read_pack, try_scenarios

RULE = {"rule_id": "rule:clozapine-ward", "drugs": "drug:clozapine", "jurisdiction": "ward", "analytes": "neutrophils"}
PHASE = {"rule_id": "rule:clozapine-ward", "from_day": 0, "interval_days": 10}
BAND = {
    "rule_id": "rule:clozapine-ward",
    "purpose": "continue",
    "analyte": "neutrophils",
    "below": 1.0,
    "action": "stop",
    "statement": "Stop below 1.0.",
}
SCENARIO = """
- title: a count every ten days
  rule: rule:clozapine-ward
  treatment: |
    drug, from, to
    clozapine, 0, 60
  counts: |
    day, neutrophils
    -1, 4.0
  as_of: 14
  expect: |
    day, alert, action, analyte
    {day}, overdue, ,
"""


def pack(folder: Path, **changes: list[dict[str, Any]]) -> Path:
    """A small pack as YAML; every row cites something."""
    parts = {"rules": [RULE], "phases": [PHASE], "thresholds": [BAND]} | changes
    cited = {part: [{"source_id": "ward letter", **row} for row in rows] for part, rows in parts.items()}
    path = folder / "pack.yaml"
    path.write_text(yaml.safe_dump(cited), encoding="utf-8")
    return path


def said(path: Path) -> list[str]:
    return [str(problem) for problem in read_pack(path).problems()]


def test_a_sound_pack_has_no_problem_and_joins_the_rules(tmp_path: Path) -> None:
    found = read_pack(pack(tmp_path))
    assert found.problems() == []
    merged = found.added_to(knowledge.load())
    assert [row["rule_id"] for row in merged["monitoring_rules"]].count("rule:clozapine-ward") == 1
    assert len(merged["monitoring_rules"]) == len(knowledge.load()["monitoring_rules"]) + 1
    assert merged["monitoring_rules"][-1]["population"] == "general"


def test_a_rule_of_the_same_name_is_replaced_whole(tmp_path: Path) -> None:
    rule, phase, band = ({**row, "rule_id": "rule:clozapine-uk"} for row in (RULE, PHASE, BAND))
    merged = read_pack(pack(tmp_path, rules=[rule], phases=[phase], thresholds=[band])).added_to(knowledge.load())
    for part, n in (("rules", 1), ("phases", 1), ("thresholds", 1)):
        own = [row for row in merged[f"monitoring_{part}"] if row["rule_id"] == "rule:clozapine-uk"]
        assert len(own) == n, part


CELLS = [
    ("rules", RULE | {"drugs": "drug:clozapin"}, "drugs", "Did you mean drug:clozapine?"),
    ("rules", RULE | {"analytes": "wbc;anc"}, "analytes", "anc is no line"),
    ("rules", RULE | {"valid_from": "1.3.2025"}, "valid_from", "2026-11-22"),
    ("rules", RULE | {"kind": "rumour"}, "kind", "Choose one of"),
    ("rules", RULE | {"population": "elderly"}, "population", "neonate"),
    ("rules", RULE | {"baseline_days": "two"}, "baseline_days", "whole number"),
    ("rules", RULE | {"rule_id": "clozapine"}, "rule_id", "rule:clozapine-myhospital"),
    ("rules", RULE | {"source_id": ""}, "source_id", "where it stands"),
    ("rules", RULE | {"valid_from": "2025-02-01", "valid_to": "2025-01-01"}, "valid_to", "ends before it begins"),
    ("rules", RULE | {"after_stop_interval_days": 7}, "after_stop_days", "For how long"),
    ("rules", RULE | {"after_end_count": "yes", "after_stop_days": 7}, "after_end_count", "not both"),
    ("phases", PHASE | {"interval_days": 0}, "interval_days", "above 0"),
    ("phases", PHASE | {"from_day": ""}, "from_day", "0 is the start"),
    ("phases", PHASE | {"from_day": 9, "to_day": 9}, "to_day", "ends before it begins"),
    ("phases", PHASE | {"only_if": "sometimes"}, "only_if", "no_neutropenia_so_far"),
    ("phases", PHASE | {"rule_id": "rule:other"}, "rule_id", "no rule of the pack"),
    ("thresholds", BAND | {"action": "panic"}, "action", "stop_for_good"),
    ("thresholds", BAND | {"below": "low"}, "below", "number"),
    ("thresholds", BAND | {"statement": ""}, "statement", "in words"),
    ("thresholds", BAND | {"at_or_above": 1.0}, "below", "holds no value"),
    ("thresholds", BAND | {"fall_by": 1.0}, "fall_by", "half a speed"),
    ("thresholds", BAND | {"below": ""}, "below", "no limit"),
    ("thresholds", BAND | {"below": "", "at_or_above": 1, "lasting_days": 7}, "lasting_days", "Give below"),
    ("thresholds", BAND | {"lasting_days": -1}, "lasting_days", "number"),
    ("thresholds", BAND | {"below_share": 50}, "below_share", "0.5 for half"),
    ("thresholds", BAND | {"lasting_days": 7, "below_share": 0.5}, "below_share", "not two of them"),
    ("thresholds", BAND | {"purpose": "resume", "lasting_days": 7}, "lasting_days", "purpose continue"),
    ("thresholds", BAND | {"until_in_a_row": 2}, "until_in_a_row", "Give until_at_or_above"),
    ("thresholds", BAND | {"or_baseline": "yes"}, "or_baseline", "no limit to come back to"),
    ("thresholds", BAND | {"or_baseline": "maybe"}, "or_baseline", "Choose one of"),
    ("thresholds", BAND | {"analyte": "haemoglobin", "below": 8}, "below", "g/L"),
]


@pytest.mark.parametrize(("part", "row", "column", "word"), CELLS)
def test_a_wrong_cell_is_named_with_its_place_and_a_remedy(
    tmp_path: Path, part: str, row: dict[str, Any], column: str, word: str
) -> None:
    whole = {"rules": [RULE], "phases": [PHASE], "thresholds": [BAND]} | {part: [row]}
    found = said(pack(tmp_path, **whole))
    # A rule of a wrong name leaves its phases and bands without one.
    assert found[0].startswith(f"pack.yaml ({part}), row 1, {column}: "), found
    assert word in found[0]


@pytest.mark.parametrize(
    ("at_or_above", "word"),
    [("0.9", "overlaps"), ("1.1", "hole"), ("1.0", "")],
)
def test_bands_meet_without_hole_or_overlap(tmp_path: Path, at_or_above: str, word: str) -> None:
    upper = BAND | {"at_or_above": at_or_above, "below": 1.5, "action": "repeat"}
    found = said(pack(tmp_path, thresholds=[upper, BAND]))
    assert len(found) == bool(word)
    assert all(word in line and "Begin it at 1." in line and "row 1" in line for line in found)


def test_a_band_with_a_condition_lies_over_the_others(tmp_path: Path) -> None:
    over = [BAND | {"lasting_days": 0, "action": "stop_for_good"}, BAND | {"below": "", "below_share": 0.5}]
    assert said(pack(tmp_path, thresholds=[BAND, *over])) == []


def test_phases_do_not_overlap_but_a_conditional_one_may(tmp_path: Path) -> None:
    later = PHASE | {"from_day": 20, "interval_days": 30}
    assert "another phase" in said(pack(tmp_path, phases=[PHASE, later]))[0]
    conditional = later | {"only_if": "no_neutropenia_so_far"}
    assert said(pack(tmp_path, phases=[PHASE, conditional])) == []


def test_the_same_row_twice_is_told(tmp_path: Path) -> None:
    assert "stands twice" in said(pack(tmp_path, phases=[PHASE, PHASE]))[0]


def test_a_csv_row_is_numbered_as_in_a_spreadsheet(tmp_path: Path) -> None:
    for part, row in (("rules", RULE), ("phases", PHASE | {"interval_days": "often"}), ("thresholds", BAND)):
        with (tmp_path / f"monitoring_{part}.csv").open("w", encoding="utf-8", newline="") as lines:
            writer = csv.DictWriter(lines, [*row, "source_id"])
            writer.writeheader()
            writer.writerow(row | {"source_id": "ward letter"})
    assert said(tmp_path)[0].startswith("monitoring_phases.csv, row 2, interval_days: 'often' cannot stand here.")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("- a", "is no pack"),
        ("rules: []\nphases: []", "lacks keys thresholds"),
        ("rules: []\nphases: []\nthresholds: []\nphase: []", "'phase' is no part"),
        ("rules: [{rule: x}]\nphases: []\nthresholds: []", "Did you mean rule_id"),
        ("rules: {}\nphases: []\nthresholds: []", "no list of rows"),
        ("{", "cannot be read"),
    ],
)
def test_what_is_no_pack_is_refused(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "pack.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KnowledgeError) as told:
        read_pack(path)
    assert word in str(told.value)


def test_no_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_pack(tmp_path / "none.yaml")


def test_a_pack_with_a_problem_is_not_used(tmp_path: Path) -> None:
    found = read_pack(pack(tmp_path, rules=[RULE | {"kind": "rumour"}]))
    with pytest.raises(KnowledgeError, match="knowledge check"):
        found.added_to(knowledge.load())


@pytest.mark.parametrize(("day", "wrong"), [(10, []), (9, ["missing: day 9 overdue", "not expected: day 10 overdue"])])
def test_scenarios_of_the_pack_are_run(tmp_path: Path, day: int, wrong: list[str]) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "clozapine.yaml").write_text(SCENARIO.format(day=day), encoding="utf-8")
    found = try_scenarios(read_pack(pack(tmp_path)), knowledge.load())
    assert found == {"a count every ten days": wrong}


def test_the_rules_that_come_with_the_product_are_in_order() -> None:
    known = knowledge.load()
    shipped = Pack(
        {part: known[f"monitoring_{part}"] for part in PARTS}, {part: f"monitoring_{part}.csv" for part in PARTS}, ()
    )
    assert [str(problem) for problem in shipped.problems()] == []


def test_a_rule_is_told_as_a_person_would_read_it() -> None:
    lines = describe("rule:clozapine-uk", knowledge.load())
    assert lines[0] == "rule:clozapine-uk: clozapine (label, UK)"
    told = "\n".join(lines)
    for words in (
        "Counts: white cells and neutrophils",
        "every 7 days from the start to day 126",
        "every 28 days from day 364 on",
        "counts go on for 28 days, as before",
        "neutrophils 1.5 to below 2.0: count more often.",
        "neutrophils below 1.5: stop for good.",
        "Sources:",
    ):
        assert words in told, words


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("rule:tofacitinib-us", "lymphocytes below 0.5 twice in a row: stop."),
        ("rule:paclitaxel-us", "neutrophils below 0.5 for 7 days: reduce dose."),
        ("rule:zidovudine-us", "neutrophils below 50% of the own baseline: reduce dose."),
    ],
)
def test_conditions_are_told(rule: str, words: str) -> None:
    assert words in "\n".join(describe(rule, knowledge.load()))


def test_every_rule_can_be_told() -> None:
    known = knowledge.load()
    for row in known["monitoring_rules"]:
        lines = describe(row["rule_id"], known)
        assert len(lines) > 4, row["rule_id"]
        assert not any("None" in line or "_" in line.split("://")[0].split(": ", 1)[0][4:] for line in lines[1:3])


def test_an_unknown_rule_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="rule:clozapine-uk"):
        describe("rule:clozapine-ukk", knowledge.load())


@pytest.mark.parametrize(("drug", "shares"), [("azathioprine", ("30 to 80%", "BY 50 to 80%", "20 to 50%"))])
def test_what_sources_say_of_a_dose_stands_side_by_side_below_the_rule(drug: str, shares: tuple[str, ...]) -> None:
    told = describe(f"rule:{drug}-uk", knowledge.load())
    start = told.index("  Sources disagree, first dose, intermediate for TPMT or NUDT15:")
    assert all(share in "".join(told[start:]) for share in shares)
    assert any("Thiopurine Dosing" in line for line in told[told.index("  Sources:") :])
    assert not any("disagree" in line for line in describe("rule:clozapine-uk", knowledge.load()))
