"""Every scenario of spec/monitor holds; their form is described in `leukopenia.monitor_scenarios`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from leukopenia import knowledge
from leukopenia.errors import KnowledgeError
from leukopenia.monitor_scenarios import Scenario, differences, load, raised, scenario

SPEC = Path(__file__).resolve().parents[2] / "spec" / "monitor"
FILES = sorted(SPEC.glob("*.yaml"))


@pytest.fixture(scope="module")
def alerts() -> dict[str, list[dict[str, Any]]]:
    return raised([one for path in FILES for one in load(path)], knowledge.load())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenarios(path: Path, alerts: dict[str, list[dict[str, Any]]]) -> None:
    wrong = {one.title: found for one in load(path) if (found := differences(one, alerts[one.title]))}
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
    found = differences(one, raised([one], knowledge.load())[one.title])
    assert found == ["missing: day 8 overdue", "missing: day 7 due", "not expected: day 7 overdue"]


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
