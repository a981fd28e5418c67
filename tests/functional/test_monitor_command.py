"""`monitor`, `knowledge check` and `knowledge rule:...` as a user types them, on every format."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from commands import fails, leukopenia, meets_its_contract, succeeds, table, text, whole
from monitor_sources import AS_OF, COUNTS, SOURCES, csv, day, fhir

from leukopenia import contracts, knowledge

UK = ("--jurisdiction", "uk", "--as-of", AS_OF)
MONITORED = [contract.name for contract in contracts.MONITOR_TABLES]


@pytest.fixture(scope="module", params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return SOURCES[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return fhir(tmp_path_factory.mktemp("hospital"))


def asked(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(succeeds("monitor", *arguments, "--json"))
    return found


# The worklist


def test_the_worklist_is_the_same_from_every_format(source: list[Path]) -> None:
    told = succeeds("monitor", *source, *UK).splitlines()
    assert told[0] == f"{AS_OF}: persons who need attention: 2"
    assert told[1].startswith("1  2  clozapine: limit crossed neutrophils 1.2 (2026-02-16) - Red: stop at once")
    assert "goes on in spite of a stop" in told[1]
    assert re.match(r"3  1  clozapine: count overdue \(2026-02-16, 4 days\)  \[rule:clozapine-uk \(\w+", told[2])
    below = told[3:]
    assert below[1:3] == [
        "Cannot be assessed, wholly or in part: 1",
        "   3  clozapine: only orders, so nobody knows whether it was taken  [rule:clozapine-uk]",
    ]
    assert below[4] == "How well it went:"
    assert "4 persons, 3 of 4 courses assessed, 96% of 141 days covered" in below[5]
    assert "of 22 counts due 20 taken (0 late), 2 missed" in below[5]


def test_json_tells_the_same_in_fields(source: list[Path]) -> None:
    told = asked(*source, *UK)
    unassessed = {"not_assessable", "not_assessable_before"}
    assert set(told) == {"as_of", "courses", "going_on", "worklist", "next", "coverage"} | unassessed
    assert (told["as_of"], told["courses"]) == (AS_OF, 4)
    assert [(str(one["patient_id"]), one["urgency"]) for one in told["worklist"]] == [("2", 1), ("1", 3)]
    red = told["worklist"][0]["alerts"][0]
    assert (red["kind"], red["action"], red["value"]) == ("threshold_crossed", "stop_for_good", 1.2)
    assert red["source_id"].split(";")[0] in knowledge.references()
    assert {str(row["patient_id"]): row["due"] for row in told["next"] if row["state"] != "overdue"} == {
        "4": str(day(49))
    }
    assert [row["reason"] for row in told["not_assessable"]] == ["only_orders"]
    (coverage,) = told["coverage"]
    assert coverage["covered"] == pytest.approx(135 / 141, abs=0.005)


def test_an_empty_list_of_a_day_without_treatment_is_no_all_clear(hospital: list[Path]) -> None:
    told = succeeds("monitor", *hospital, "--jurisdiction", "uk", "--as-of", "2028-01-01").splitlines()
    assert told[:2] == [
        "2028-01-01: persons who need attention: 0",
        "No treatment with a drug that has a rule is known to go on that day; earlier courses: 4.",
    ]
    assert "Earlier courses that cannot be assessed, wholly or in part:" in told
    assert any("clozapine: 1 course, only orders" in line for line in told)


def test_one_person_and_one_drug(hospital: list[Path]) -> None:
    mine = asked(*hospital, *UK, "--patient", "1")
    assert [one["patient_id"] for one in mine["worklist"]] == ["1"]
    assert mine["not_assessable"] == mine["coverage"] == []
    by_name = asked(*hospital, *UK, "--drug", "Clozapine")
    assert by_name["worklist"] == asked(*hospital, *UK, "--drug", "drug:clozapine")["worklist"] != []
    other = asked(*hospital, *UK, "--drug", "azathioprine")
    assert (other["courses"], other["worklist"], other["coverage"]) == (0, [], [])


def test_the_day_asked_for_hides_what_comes_later(hospital: list[Path]) -> None:
    early = asked(*hospital, "--jurisdiction", "uk", "--as-of", str(day(10)))
    assert early["worklist"] == []
    last = asked(*hospital, "--jurisdiction", "uk")
    assert last["as_of"] == str(day(42))


def test_rules_of_another_jurisdiction_say_something_else(hospital: list[Path]) -> None:
    us = asked(*hospital, "--jurisdiction", "us", "--as-of", AS_OF)
    (crossed,) = [alert for one in us["worklist"] for alert in one["alerts"] if alert["kind"] == "threshold_crossed"]
    assert (crossed["rule_id"], crossed["action"]) == ("rule:clozapine-us", "count_more_often")


def test_engines_agree(hospital: list[Path]) -> None:
    assert asked(*hospital, *UK, "--engine", "polars") == asked(*hospital, *UK)


# Half-known input is no all-clear


def test_a_table_of_results_alone_cannot_be_monitored(tmp_path: Path) -> None:
    labs, _ = csv(tmp_path)
    told = succeeds("monitor", labs, *UK)
    assert "No treatment with a drug that has a rule is on record here: nothing could be monitored." in told
    said = succeeds("run", labs, "-o", tmp_path / "result", *UK)
    assert "Drug monitoring: no treatment with a drug that has a rule is on record" in said
    page = (tmp_path / "result" / "report.html").read_text(encoding="utf-8")
    assert "nothing could be monitored" in page and "No alert is open" not in page


def test_a_person_who_is_not_there_is_no_all_clear(hospital: list[Path]) -> None:
    assert "nothing could be monitored" in succeeds("monitor", *hospital, *UK, "--patient", "77")
    assert "nothing could be monitored" not in succeeds("monitor", *hospital, *UK, "--patient", "4")


def test_drugs_without_any_count_are_overdue_and_the_source_is_named_as_the_reason(tmp_path: Path) -> None:
    _, pharmacy = csv(tmp_path)
    told = asked(pharmacy, *UK)
    reasons = {(row["patient_id"], row["reason"]) for row in told["not_assessable"]}
    assert {("1", "no_counts_at_all_in_source"), ("3", "no_counts_at_all_in_source")} <= reasons
    assert all(row["covered"] is None for row in told["coverage"])


def test_a_start_that_was_not_seen_is_said(tmp_path: Path) -> None:
    """Without the person counted the summer before, the records begin with the treatment."""
    labs, pharmacy = csv(tmp_path)
    rows = [line for line in labs.read_text(encoding="utf-8").splitlines() if not line.startswith("9,")]
    labs.write_text("\n".join(rows) + "\n", encoding="utf-8")
    told = asked(labs, pharmacy, *UK)
    assert ("4", "start_not_seen") in {(row["patient_id"], row["reason"]) for row in told["not_assessable"]}
    assert [one["patient_id"] for one in told["worklist"]] == ["2"], "a crossed limit needs no start"


def test_a_drug_without_a_rule_is_named(hospital: list[Path], tmp_path: Path) -> None:
    row = {
        "resourceType": "MedicationStatement",
        "id": "x",
        "status": "active",
        "medicationCodeableConcept": {"text": "lamotrigine"},
        "subject": {"reference": "Patient/4"},
        "effectivePeriod": {"start": str(day(0)), "end": str(day(90))},
    }
    more = text(tmp_path / "more" / "MedicationStatement.ndjson", json.dumps(row) + "\n").parent
    told = asked(*hospital, more, *UK)
    assert ("drug:lamotrigine", "no_rule_found") in {(row["drug"], row["reason"]) for row in told["not_assessable"]}


# What is refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Whose monitoring rules apply?"),
        (("--jurisdiction", "mars"), "There are no monitoring rules for 'mars'."),
        ((*UK, "--drug", "clozapin"), "There is no drug 'clozapin'."),
        (("--jurisdiction", "uk", "--as-of", "yesterday"), "Write it as 2026-11-22."),
        ((*UK, "--pack", "nowhere.yaml"), "There is no pack nowhere.yaml."),
    ],
)
def test_a_question_that_cannot_be_answered(hospital: list[Path], arguments: tuple[str, ...], said: str) -> None:
    told = fails(2, "monitor", *hospital, *arguments)
    assert said in told
    if "jurisdiction" not in str(arguments) or "mars" in arguments:
        assert "Choose --jurisdiction: any, ca," in told


def test_run_refuses_an_unknown_jurisdiction_before_it_reads(hospital: list[Path], tmp_path: Path) -> None:
    told = fails(2, "run", *hospital, "-o", tmp_path / "result", "--jurisdiction", "mars")
    assert "There are no monitoring rules for 'mars'." in told
    assert not (tmp_path / "result").exists()


# What is written


def test_output_holds_the_tables_the_list_and_a_manifest(hospital: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "made"
    told = succeeds("monitor", *hospital, *UK, "-o", folder)
    manifest = whole(folder)
    for name in MONITORED:
        meets_its_contract(folder, name)
    assert (folder / "worklist.txt").read_text(encoding="utf-8") == told
    assert json.loads((folder / "worklist.json").read_text(encoding="utf-8")) == asked(*hospital, *UK)
    assert manifest["as_of"] == AS_OF
    assert succeeds("monitor", *hospital, *UK, "-o", folder) == told, "an earlier result is replaced"
    text(tmp_path / "mine" / "notes.txt", "keep me")
    assert "is not an earlier result" in fails(5, "monitor", *hospital, *UK, "-o", tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").exists()


def test_run_with_a_jurisdiction_makes_the_same_tables_and_the_panel(hospital: list[Path], tmp_path: Path) -> None:
    said = succeeds("run", *hospital, "-o", tmp_path / "result", *UK)
    succeeds("monitor", *hospital, *UK, "-o", tmp_path / "made")
    assert "Drug monitoring (persons): 2 need attention, 1 cannot be assessed wholly or in part" in said
    whole(tmp_path / "result")
    for name in MONITORED:
        meets_its_contract(tmp_path / "result", name)
        assert table(tmp_path / "result", name).equals(table(tmp_path / "made", name)), name
    page = (tmp_path / "result" / "report.html").read_text(encoding="utf-8")
    assert "Rules of <b>UK</b>" in page and 'class="due-mark due-missed"' in page
    cited = succeeds("cite", tmp_path / "result")
    for source in table(tmp_path / "result", "alerts")["source_id"][0].split(";"):
        assert source in cited


def test_run_without_a_jurisdiction_says_so_and_makes_none(hospital: list[Path], tmp_path: Path) -> None:
    succeeds("run", *hospital, "-o", tmp_path / "result")
    assert not [name for name in MONITORED if (tmp_path / "result" / f"{name}.parquet").exists()]
    page = (tmp_path / "result" / "report.html").read_text(encoding="utf-8")
    assert "no jurisdiction was named" in page


def test_run_redacted_names_nobody_in_the_panel(hospital: list[Path], tmp_path: Path) -> None:
    succeeds("run", *hospital, "-o", tmp_path / "result", *UK, "--redact")
    page = (tmp_path / "result" / "report.html").read_text(encoding="utf-8")
    assert "worklist" not in page.split("</style>")[1]
    assert "clozapine-uk" not in page


# Rules in words, and rules of one's own


def test_a_rule_is_told_in_words() -> None:
    told = succeeds("knowledge", "rule:clozapine-uk")
    assert told.startswith("rule:clozapine-uk: clozapine (label, UK)")
    assert "every 7 days from the start to day 126" in told
    assert "neutrophils below 1.5: stop for good." in told
    assert "Sources:" in told
    rows = json.loads(succeeds("knowledge", "rule:clozapine-uk", "--json"))
    tables = {row["table"] for row in rows}
    assert tables == {"monitoring_rules", "monitoring_phases", "monitoring_thresholds"}
    assert all(row["sources"] for row in rows)


def test_a_rule_that_is_not_there_has_a_neighbour() -> None:
    assert "Did you mean rule:clozapine-uk?" in fails(2, "knowledge", "rule:clozapin-uk")


WARD = {
    "rules": [
        {
            "rule_id": "rule:clozapine-ward",
            "drugs": "drug:clozapine",
            "jurisdiction": "ward",
            "analytes": "neutrophils",
            "source_id": "ward letter",
        }
    ],
    "phases": [{"rule_id": "rule:clozapine-ward", "from_day": 0, "interval_days": 21, "source_id": "ward letter"}],
    "thresholds": [
        {
            "rule_id": "rule:clozapine-ward",
            "purpose": "continue",
            "analyte": "neutrophils",
            "below": 2.0,
            "action": "seek_advice",
            "statement": "Ask the ward pharmacist.",
            "source_id": "ward letter",
        }
    ],
}
SCENARIO = """
- title: a count every three weeks
  rule: rule:clozapine-ward
  treatment: |
    drug, from, to
    clozapine, 0, 60
  counts: |
    day, neutrophils
    -1, 4.0
  as_of: {as_of}
  expect: |
    day, alert, action, analyte
    21, overdue, ,
"""


def ward(folder: Path, **cells: object) -> Path:
    """The ward's pack; `cells` change the first row of the thresholds."""
    changed = {**WARD, "thresholds": [WARD["thresholds"][0] | cells]}
    return text(folder / "ward.yaml", yaml.safe_dump(changed))


def test_own_rules_are_checked_tried_and_used(hospital: list[Path], tmp_path: Path) -> None:
    pack = ward(tmp_path)
    text(tmp_path / "scenarios" / "ward.yaml", SCENARIO.format(as_of=40))
    assert succeeds("knowledge", "check", pack) == "1 rules in order; 1 of 1 scenarios hold.\n"
    told = asked(*hospital, "--jurisdiction", "ward", "--as-of", AS_OF, "--pack", pack)
    alerts = {one["patient_id"]: [alert["statement"] for alert in one["alerts"]] for one in told["worklist"]}
    assert "Ask the ward pharmacist." in alerts["2"]
    assert fails(2, "monitor", *hospital, "--jurisdiction", "ward")


def test_own_rules_as_a_folder_of_tables(tmp_path: Path) -> None:
    for part, rows in WARD.items():
        pl.DataFrame(rows).write_csv(text(tmp_path / "pack" / f"monitoring_{part}.csv", ""))
    assert succeeds("knowledge", "check", tmp_path / "pack") == "1 rules in order; 0 of 0 scenarios hold.\n"


def test_a_wrong_cell_is_named_by_row_and_column(hospital: list[Path], tmp_path: Path) -> None:
    pack = ward(tmp_path, below="low", action="panic")
    done = leukopenia("knowledge", "check", pack)
    assert done.returncode == 6
    assert "ward.yaml is not in order." in done.stderr and "Traceback" not in done.stderr
    assert re.search(r"ward\.yaml \(thresholds\), row 1, below: ", done.stdout), done.stdout
    assert re.search(r"ward\.yaml \(thresholds\), row 1, action: ", done.stdout), done.stdout
    assert done.stdout.splitlines()[-1] == "2 problems."
    used = fails(6, "monitor", *hospital, "--jurisdiction", "ward", "--pack", pack)
    assert "row 1" in used and "leukopenia knowledge check" in used
    as_json = json.loads(leukopenia("knowledge", "check", pack, "--json").stdout)
    assert {problem["column"] for problem in as_json["problems"]} == {"below", "action"}


def test_a_scenario_that_does_not_hold_is_told(tmp_path: Path) -> None:
    pack = ward(tmp_path)
    text(tmp_path / "scenarios" / "ward.yaml", SCENARIO.format(as_of=20))
    done = leukopenia("knowledge", "check", pack)
    assert done.returncode == 6
    assert done.stdout.splitlines()[:2] == ["a count every three weeks", "   missing: day 21 overdue"]


def test_nothing_to_check() -> None:
    assert "leukopenia knowledge check FILE" in fails(2, "knowledge", "check")
    assert "There is no pack" in fails(2, "knowledge", "check", "nowhere.yaml")


def test_the_story_is_whole() -> None:
    """Every person of the story is there, or the tests above would look at less than they say."""
    assert sorted(COUNTS) == [1, 2, 3, 4, 9]
