"""Published intervals side by side."""

from __future__ import annotations

import pytest

from leukopenia import knowledge
from leukopenia.errors import UsageError
from leukopenia.interval_conflicts import lines, side_by_side


def ids(wanted: str) -> list[str]:
    return [row["interval_id"] for row in side_by_side(wanted, knowledge.load())]


def test_a_line_shows_the_adults_from_the_lowest_limit_up_and_marks_those_in_force() -> None:
    rows = side_by_side("interval:neutrophils", knowledge.load())
    low = [float(row["low"]) for row in rows]
    assert low == sorted(low) and low[0] == 0.82 and low[-1] == 3.7
    in_force = {row["interval_id"]: row["in_force"] for row in rows if row["in_force"]}
    assert in_force == {"nhanes-neutrophils-any-18y": ["general"], "duffy-null-usa-neutrophils": ["duffy_null"]}
    assert all(row["sources"] for row in rows)


def test_an_interval_is_shown_beside_those_of_its_age_and_sex_only() -> None:
    newborn = ids("interval:newborn-neutrophils-96h")
    assert "newborn-neutrophils-72h-28d" in newborn and "vlbw-neutrophils-61h-28d" in newborn
    assert not {"pregnant-neutrophils", "nhanes-neutrophils-any-18y", "newborn-neutrophils-12h-24h"} & set(newborn)
    women = ids("interval:nhanes-wbc-female-18y")
    assert {"brazil-wbc-female", "pregnant-wbc", "nordic-wbc-adult"} <= set(women)
    assert "nhanes-wbc-male-18y" not in women


def test_pregnancy_is_shown_by_week_beside_the_limits_of_adults() -> None:
    rows = {row["interval_id"]: row for row in side_by_side("interval:pregnant-wbc", knowledge.load())}
    assert rows["pregnant-china-wbc-week-3"]["ages"] == "week 3 to 5"
    assert "nhanes-wbc-any-18y" in rows and "cord-blood-wbc" not in rows


def test_the_screen_has_one_line_for_each_and_a_star_for_those_in_force() -> None:
    rows = side_by_side("interval:newborn-neutrophils-12h-24h", knowledge.load())
    shown = lines(rows)
    assert next(line for line in shown if line.startswith("*")).split()[1:3] == ["7.8", "14.5"]
    assert "12 h to 24 h" in shown[1]


def test_an_unknown_interval_says_what_to_ask() -> None:
    with pytest.raises(UsageError, match="interval:neutrophils"):
        ids("interval:leukocytes")
