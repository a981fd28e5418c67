"""Every scenario of spec/monitor holds; their form is described in `leukopenia.monitor_scenarios`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from leukopenia import knowledge
from leukopenia.errors import KnowledgeError
from leukopenia.monitor_scenarios import Outcome, Scenario, differences, load, outcomes, raised, scenario

SPEC = Path(__file__).resolve().parents[2] / "spec" / "monitor"
FILES = sorted(SPEC.glob("*.yaml"))


@pytest.fixture(scope="module")
def found() -> dict[str, Outcome]:
    return outcomes([one for path in FILES for one in load(path)], knowledge.load())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenarios(path: Path, found: dict[str, Outcome]) -> None:
    wrong = {one.title: lines for one in load(path) if (lines := differences(one, found[one.title]))}
    assert not wrong, "\n".join(f"{title}\n    {line}" for title, lines in wrong.items() for line in lines)


def test_titles_tell_scenarios_apart() -> None:
    titles = Counter(one.title for path in FILES for one in load(path))
    assert [title for title, n in titles.items() if n > 1] == []


def test_every_rule_has_scenarios() -> None:
    shown = {one.rule for path in FILES for one in load(path)}
    assert {row["rule_id"] for row in knowledge.load()["monitoring_rules"]} - shown == set()


ENTRY = {
    "title": "t",
    "rule": "rule:clozapine-uk",
    "treatment": "drug, from, to\nclozapine, 0, 30",
    "counts": "day, wbc, neutrophils\n-1, 6.0, 4.0",
    "as_of": 13,
    "expect": "day, alert, action, analyte\n8, overdue, ,\n7, due, ,",
}


def test_a_wrong_scenario_fails() -> None:
    one: Scenario = scenario(ENTRY, "here")
    found = differences(one, outcomes([one], knowledge.load())[one.title])
    assert found == ["missing: day 8 overdue", "missing: day 7 due", "not expected: day 7 overdue"]


@pytest.mark.parametrize(
    ("unknown", "wrong"),
    [
        ("", ["not expected: unknown only_orders"]),
        ("only_orders, end_unknown", ["missing: unknown end_unknown"]),
        ("only_orders", []),
    ],
)
def test_reasons_are_compared_where_a_scenario_names_them(unknown: str, wrong: list[str]) -> None:
    orders = "drug, from, to, status\nclozapine, 0, 30, ordered"
    one = scenario(ENTRY | {"treatment": orders, "expect": "day, alert, action, analyte", "unknown": unknown}, "here")
    assert differences(one, outcomes([one], knowledge.load())[one.title]) == wrong


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expected": ""}, "there is no key 'expected'"),
        ({"as_of": "soon"}, "cannot be understood"),
        ({"counts": "date, wbc\n1, 2"}, "no column day"),
        ({"rule": "rule:none"}, "is no rule"),
    ],
)
def test_a_scenario_that_cannot_be_read_is_refused(change: dict[str, str], said: str) -> None:
    with pytest.raises(KnowledgeError, match=said):
        raised([scenario(ENTRY | change, "here")], knowledge.load())
