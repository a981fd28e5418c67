"""The question when on the page of a person: a course of counts, the recovery from causes, and neither."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
import report_facts
import report_forecasts
from report_facts import DAY, table

from leukopenia import report
from leukopenia.report import Facts
from leukopenia.report.facts import records
from leukopenia.report.outlook import Outlook, Untold, outlooks
from leukopenia.report.why import Words
from leukopenia.report.words import day


def open_neutrophils(facts: Facts) -> list[dict[str, Any]]:
    found = facts.episodes.filter(analyte="neutrophils", state="open").sort("episode_id").to_dicts()
    assert found
    return found


def with_forecasts(rows: list[dict[str, Any]], markers: list[dict[str, Any]] | None = None) -> Facts:
    found = table("forecasts", rows), table("forecast_markers", markers or [])
    return report_facts.facts(forecasts=found[0], forecast_markers=found[1])


def with_scenarios(episode: dict[str, Any]) -> Facts:
    rows, markers = report_forecasts.by_card(episode, as_of(episode))
    ways = zip(("forecast_scenarios", "scenario_markers"), report_forecasts.ahead(episode, as_of(episode)), strict=True)
    found = {"forecasts": table("forecasts", rows), "forecast_markers": table("forecast_markers", markers)}
    return report_facts.facts(**found, **{name: table(name, made) for name, made in ways})


def as_of(episode: dict[str, Any]) -> int:
    return int(episode["last_low"]) + DAY


def told(facts: Facts, patient: str) -> tuple[list[Outlook], list[Untold]]:
    (record,) = records(facts, [patient])
    return outlooks(record, Words(facts.knowledge), facts.summary["bands"], "p")


@pytest.fixture(scope="module")
def episode() -> dict[str, Any]:
    return open_neutrophils(report_facts.facts())[0]


def test_a_course_is_told_in_words_numbers_and_a_picture(episode: dict[str, Any]) -> None:
    rows, markers = report_forecasts.by_card(episode, as_of(episode))
    (one,), untold = told(with_forecasts(rows, markers), episode["patient_id"])
    assert not untold and not one.warnings
    day_0 = day(as_of(episode) - 8 * DAY + 9 * DAY)
    assert one.summary.startswith(f"nadir about {day_0}, 0.3")
    assert "Grade 4 at some time of this cycle: probability 80 %" in one.statements
    assert "Days below 0.5: 4 (2 to 6)" in one.statements
    assert any(text.startswith("Back at 1.5: ") and text.endswith("; probability 97 %") for text in one.statements)
    assert "Back at the level before: not in the days looked at, or never below" in one.statements
    assert one.columns == ["count", "90 %", "grade 4", "at least 1.0", "at least 1.5", "recovered"]
    week = next(row for row in one.days if row.after == 7)
    assert week.cells == ["0.72", "0.43 to 1.30", "20 %", "60 %", "40 %", "19 %"]
    drawing = str(one.drawing)
    for css in ("ahead-wide", "ahead-half", "ahead-median", "ahead-from", "band g4", "d-chemo"):
        assert drawing.count(f'class="{css}"') + drawing.count(f'class="drug {css}"') == 1, css
    assert re.search(r"<desc [^>]*>\d+ counts\. On .* the median is", drawing)


def test_scenarios_lie_over_the_course_and_stand_in_a_table(episode: dict[str, Any]) -> None:
    (one,), _ = told(with_scenarios(episode), episode["patient_id"])
    planned, later = day(as_of(episode) + 13 * DAY), day(as_of(episode) + 20 * DAY)
    assert [(way.name, way.dose) for way in one.ways] == [
        ("same dose", planned),
        ("75 % of the dose", planned),
        ("same dose, 7 days later", later),
    ]
    assert one.way_columns == ["nadir", "nadir on", "days below 0.5", "grade 4 in that cycle"]
    nadir = day(as_of(episode) + 22 * DAY)
    assert one.ways[0].cells == ["0.3 (0.2 to 0.5)", f"{nadir}, day 9 (8 to 10)", "4 (2 to 6)", "80 %"]
    root = ElementTree.fromstring(str(one.drawing))
    lines = [each for each in root.iter() if each.get("class", "").startswith("scenario ") and len(each)]
    assert [line[0].text for line in lines] == [way.name for way in one.ways]
    assert len({line.get("stroke-dasharray") for line in lines}) == 3, "told apart without colour"
    labels = [each for each in root.iter() if each.tag.endswith("text") and each.text in {way.name for way in one.ways}]
    assert len(labels) == 3 and len({each.get("y") for each in labels}) == 3
    assert all(float(each.get("x", 0)) > 590 for each in labels), "beside the ends of the lines"
    doses = [each for each in root.iter() if "next-dose" in each.get("class", "")]
    assert [next(iter(each)).text or "" for each in doses] == [
        f"{planned} {_clock(episode)}: same dose; 75 % of the dose",
        f"{later} {_clock(episode)}: same dose, 7 days later",
    ]
    description = next(each.text or "" for each in root.iter() if each.tag.endswith("desc"))
    assert f"75 % of the dose: lowest median 0.53 on {nadir}." in description


def _clock(episode: dict[str, Any]) -> str:
    return f"{as_of(episode) % DAY // 60:02d}:{as_of(episode) % 60:02d}"


def test_the_page_says_that_scenarios_are_no_orders(episode: dict[str, Any]) -> None:
    html = report.render(with_scenarios(episode))
    assert html.count("Scenarios, never orders") == 1
    rows, markers = report_forecasts.by_card(episode, as_of(episode))
    without = report.render(with_forecasts(rows, markers))
    assert "never orders" not in without and 'class="scenario' not in without


def test_only_counts_of_the_line_up_to_the_day_asked_for_are_drawn(episode: dict[str, Any]) -> None:
    rows, markers = report_forecasts.by_card(episode, as_of(episode))
    facts = with_forecasts(rows, markers)
    (one,), _ = told(facts, episode["patient_id"])
    first = as_of(episode) - 14 * DAY
    mine = facts.counts.filter(patient_id=episode["patient_id"], analyte="neutrophils")
    expected = mine.filter(mine["minute"].is_between(first, as_of(episode))).height
    assert str(one.drawing).count('class="mark"') == expected > 0


def test_what_must_be_known_first_comes_first(episode: dict[str, Any]) -> None:
    rows, markers = report_forecasts.by_card(
        episode, as_of(episode), "not enough counts yet", "a growth factor was given"
    )
    facts = with_forecasts(rows, markers)
    (one,), _ = told(facts, episode["patient_id"])
    assert one.warnings == ["not enough counts yet", "not in the model: a growth factor was given"]
    html = report.render(facts)
    panel = html[html.index("When is it over?</h4>") :]
    assert panel.index("Research use only") < panel.index("Not enough counts yet") < panel.index("<svg")
    assert panel.index("<svg") < panel.index("Nadir: ")


def test_recovery_from_causes_names_them_and_what_nobody_knows(episode: dict[str, Any]) -> None:
    facts = report_facts.facts()
    cause = facts.causes.filter(episode_id=episode["episode_id"], rank=1).row(0, named=True)
    rows = report_forecasts.by_causes(episode, as_of(episode), cause["cause_id"])
    (one,), _ = told(with_forecasts(rows), episode["patient_id"])
    assert "causes named above" in one.basis
    name = Words(facts.knowledge).name(cause["cause_id"])
    assert one.statements[0].startswith(f"Rests on: {name} ")
    assert "For 30 % of the probability it is not known" in one.statements[1]
    assert one.columns == ["recovered"] and one.days[-1].cells == ["at least 70 %"]
    assert 'class="gap"' in str(one.drawing)
    assert "at least 70%, at most 100%" in str(one.drawing)


def test_an_open_episode_without_a_forecast_says_why(episode: dict[str, Any]) -> None:
    facts = with_forecasts(report_forecasts.none(episode, as_of(episode)))
    shown, (without,) = told(facts, episode["patient_id"])
    assert not shown and without.why == "no verified card"
    assert "Open, and not forecast: Low neutrophils" in report.render(facts)


def test_counts_that_do_not_fit_show_no_number(episode: dict[str, Any]) -> None:
    row = report_forecasts.none(episode, as_of(episode))[0]
    facts = with_forecasts([row | {"basis": "card", "status": "the counts do not fit the model"}])
    shown, (without,) = told(facts, episode["patient_id"])
    assert not shown and without.why == "the counts do not fit the model"


def test_red_flags_still_come_first_and_shared_pages_hold_no_forecast(episode: dict[str, Any]) -> None:
    rows, markers = report_forecasts.by_card(episode, as_of(episode))
    facts = with_forecasts(rows, markers)
    html = report.render(facts)
    assert html.index("Red flags, ongoing") < html.index("When is it over?")
    assert "When is it over?" not in report.render(facts, redact_small_cells=True)


def test_ids_of_drawings_are_unique(episode: dict[str, Any]) -> None:
    rows, markers = [], []
    for one in open_neutrophils(report_facts.facts()):
        more, marked = report_forecasts.by_card(one, as_of(one))
        rows, markers = rows + more, markers + marked
    ids = re.findall(r'\bid="([^"]+)"', report.render(with_forecasts(rows, markers)))
    assert len(ids) == len(set(ids))


def test_hostile_texts_stay_texts(episode: dict[str, Any]) -> None:
    rows, markers = report_forecasts.by_card(episode, as_of(episode), "<script>", "<b>x</b>")
    html = report.render(with_forecasts(rows, markers))
    assert "<script>" not in html and "<b>x</b>" not in html and "&lt;script&gt;" in html
