"""The question why in the report: is the number real, which causes, on what grounds, what next."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import report_causes
import report_facts as made

from leukopenia.report import Facts, render
from leukopenia.report.cause_panel import MOST_PANELS, CausePanel, cause_panels
from leukopenia.report.disclosure import REDACTED, disclose
from leukopenia.report.facts import Record, records
from leukopenia.report.verdicts import disagreement, verdicts
from leukopenia.report.why import Words, argued_against, percent, times, usual_onset
from leukopenia.report.windows import onset_windows

WORDS = Words(report_causes.KNOWLEDGE)
DAY = made.DAY


@pytest.fixture(scope="module")
def facts() -> Facts:
    return made.facts(made.hospital(persons=12))


@pytest.fixture(scope="module")
def html(facts: Facts) -> str:
    return render(facts)


def record(facts: Facts, patient: str) -> Record:
    return records(facts, [patient])[0]


def panels(facts: Facts, patient: str) -> list[CausePanel]:
    return cause_panels(record(facts, patient), WORDS, "k")[0]


def clozapine(facts: Facts) -> CausePanel:
    return panels(facts, "P-1042")[0]


# ---- one panel


def test_the_panel_stands_on_the_page_of_the_person_under_one_line_with_the_answer(html: str) -> None:
    page = html[html.index('id="patient-1"') :]
    top = page[: page.index("<figure")]
    assert "clozapine 90 %" in top and 'href="#patient-1-why"' in top
    assert page.index('id="patient-1-why"') < page.index("Is the number real?") < page.index("probability</text>")


def test_reality_is_asked_of_artefacts_and_of_counts_low_in_health(facts: Facts) -> None:
    asked = clozapine(facts).real
    assert asked == [
        "A false count: 2 % (Clumped white cells 2 %, look: film, warm sample)",
        "Cells only moved elsewhere, or a count usual for this person: <1 %",
    ]


def test_what_the_records_doubt_comes_first_where_it_falls_into_the_episode(facts: Facts) -> None:
    doubted = [panel for panel in panels(facts, "P-1077") if "platelet clumps" in " ".join(panel.real)]
    assert ["2024-04-09" in panel.heading for panel in doubted] == [True]
    assert doubted[0].real[0] == "2024-04-08: platelet clumps in the film: platelets may be falsely low"


def test_lines_that_fall_together_from_one_cause_share_a_panel(facts: Facts) -> None:
    found = panels(facts, "P-1042")
    assert len(found) == 1
    assert found[0].heading.startswith("Low neutrophils") and found[0].also[0].startswith("Low white cells")


def test_lines_with_different_leading_causes_do_not_share_one(facts: Facts) -> None:
    other = pl.when(pl.col("episode_id").str.contains("wbc") & (pl.col("cause_id") == "drug:clozapine"))
    causes = facts.causes.with_columns(cause_id=other.then(pl.lit("cond:duffy")).otherwise("cause_id"))
    assert len(panels(replace(facts, causes=causes), "P-1042")) == 2


def test_open_episodes_come_first_then_the_most_severe(facts: Facts) -> None:
    found = panels(facts, "P-1101")
    assert found[0].heading.startswith("Low neutrophils from 2030-08")
    assert found[1].heading.endswith("lowest 0.321") or found[2].heading.endswith("lowest 0.321")


def test_of_many_episodes_some_are_told_in_a_line(facts: Facts) -> None:
    person = record(facts, "P-1101")
    found, further = cause_panels(person, WORDS, "k")
    assert len(found) == MOST_PANELS
    assert len(found) + sum(len(panel.also) for panel in found) + len(further) == len(person.episodes)


def test_an_episode_without_candidates_has_no_panel(facts: Facts) -> None:
    bare = replace(facts, causes=facts.causes.clear())
    assert panels(bare, "P-1042") == []
    assert "Why?" not in render(bare)


def test_every_cause_that_is_drawn_is_told_in_words_and_unexplained_is_among_them(facts: Facts) -> None:
    drawing = str(clozapine(facts).drawing)
    told = re.findall(r"<desc [^>]+>([^<]+)</desc>", drawing)[0]
    for text in ("clozapine 90 %: how usual × 9.0, timing × 2.2", "Acute viral infection 6 %", "unexplained by"):
        assert text in told
    assert drawing.count('class="share"') == 6


def test_bars_go_right_for_a_cause_and_left_against_it(facts: Facts) -> None:
    drawing = str(clozapine(facts).drawing)
    zero = {x for x in re.findall(r'd="M([\d.]+) [\d.]+V[\d.]+" class="c-zero"', drawing)}
    bars = re.findall(r'<rect x="([\d.]+)" [^>]*width="([\d.]+)"[^>]*class="c-(for|against)"', drawing)
    assert {side for *_, side in bars} == {"for", "against"}
    for left, width, side in bars:
        at_zero = left if side == "for" else f"{float(left) + float(width):g}"
        assert at_zero in zero


def test_reasons_are_told_apart_and_cite_published_sources_before_own_judgement(facts: Facts) -> None:
    first = clozapine(facts).candidates[0]
    assert first.usual.text == "Lowers counts in 3.8 %: a made-up figure"
    fever, timing = first.supporting
    assert (fever.text, fever.odds, fever.source_ids) == ("Fever", "× 3.0", "icsh2015")
    assert fever.when == "2024-04-24", "seen on another day than the count"
    usual = "usual: 7 to 365 days, most often day 52 after the first dose"
    assert timing.text == f"Begun 56 days before the low count; {usual}"
    [blasts] = first.opposing
    assert (blasts.text, blasts.odds, blasts.when) == ("Blasts in the blood: looked for, not found", "÷ 5.0", "")


def test_causes_below_one_in_a_hundred_are_drawn_without_words(facts: Facts) -> None:
    panel = clozapine(facts)
    assert [row.name for row in panel.candidates] == ["clozapine", "Acute viral infection", "Clumped white cells"]


def test_drugs_that_the_records_speak_against_are_named_with_the_reason(facts: Facts) -> None:
    [one] = clozapine(facts).dismissed
    assert one.text == "piperacillin and tazobactam: begun 2 days after the count was already low"
    assert (one.odds, one.source_ids) == ("still number 5", "icsh2015")


def test_instruments_disagreements_and_next_steps_are_told(facts: Facts) -> None:
    panel = clozapine(facts)
    assert panel.candidates[0].verdicts == [
        "Naranjo: doubtful (0)",
        "WHO-UMC: possible",
        "Criteria of 1991 (summary): not met",
    ]
    assert "something else could have caused it (Duffy-null count)" in panel.disagreements[0]
    [step] = panel.steps
    assert (step.name, step.when, step.separates) == (
        "Film by hand",
        "until 2024-04-25",
        "Clumped white cells, clozapine",
    )


def test_statements_lead_to_the_references(html: str) -> None:
    fever = re.search(r'<li>Fever <time>[^<]+</time><sup><a href="#ref-(\d+)"', html)
    assert fever
    assert f'value="{fever[1]}">A made-up line of citation for films' in html


# ---- the timeline


def test_the_usual_onset_counts_from_the_first_or_the_last_dose(facts: Facts) -> None:
    [one] = onset_windows(record(facts, "P-1042"), WORDS)
    begin = made.START - 12 * DAY
    assert (one.start, one.middle, one.end) == (begin + 7 * DAY, begin + 52 * DAY, begin + 365 * DAY)
    [other] = onset_windows(record(facts, "P-1077"), WORDS)
    assert (other.start, other.end) == (made.START + 5 * DAY, made.START + 21 * DAY)
    assert other.title.endswith("5 to 21 days, most often day 10 after the last dose (by its class)")


def test_the_window_is_drawn_on_the_lane_of_the_drug(facts: Facts) -> None:
    page = render(made.facts({**made.hospital(0), "risks": [], "conditions": []}))
    drawn = re.findall(r'class="window"><title>([^<]+)</title>', page)
    assert any(title.startswith("clozapine, usual onset of low counts") for title in drawn)


def test_a_drug_that_is_unlikely_or_has_no_known_onset_gets_no_window(facts: Facts) -> None:
    causes = facts.causes.with_columns(probability=pl.lit(0.01))
    assert onset_windows(record(replace(facts, causes=causes), "P-1042"), WORDS) == []
    knowledge: Any = {
        **report_causes.KNOWLEDGE,
        "causes_drugs": [row | {"onset_days_max": ""} for row in report_causes.KNOWLEDGE["causes_drugs"]],
    }
    [one] = onset_windows(record(facts, "P-1042"), Words(knowledge))
    assert one.start == one.middle == one.end, "only the usual day is known"
    knowledge["causes_drugs"] = [row | {"onset_days_median": ""} for row in knowledge["causes_drugs"]]
    assert onset_windows(record(facts, "P-1042"), Words(knowledge)) == []


# ---- the cohort


def test_causes_of_the_cohort_with_their_rates(html: str, facts: Facts) -> None:
    table = html[html.index('id="causes"') :]
    table = re.sub(r"<[^>]+>", " ", table[: table.index("</section>")])
    leads = facts.causes.filter((pl.col("rank") == 1) & (pl.col("cause_id") == "drug:docetaxel"))
    assert re.search(rf"docetaxel +{leads.height} +1 +[\d.]+ +9 +1.00 +12.3 \(4.56 to 27.9\)", table)
    assert "Acute viral infection" in table and "piperacillin" not in table


def test_redaction_leaves_rare_causes_and_all_fractions_out(facts: Facts) -> None:
    shown = disclose(facts.summary)["causes"]
    assert [row["cause_id"] for row in shown] == ["cond:acute-viral-infection"]
    assert {row["expected"] for row in shown} == {REDACTED}
    page = render(facts, redact_small_cells=True)
    assert "docetaxel" not in page and "clozapine" not in page and "12.3" not in page
    assert "Acute viral infection" in page


# ---- words


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.004, "<1 %"), (0.01, "1 %"), (0.899, "90 %"), (0.9951, ">99 %"), (1.0, "100 %")],
)
def test_a_probability_is_never_rounded_to_certainty(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(("effect", "text"), [(0.693, "× 2.0"), (-0.693, "÷ 2.0"), (4.6, "× 99"), (-2.2, "÷ 9.0")])
def test_an_effect_is_a_factor_of_the_odds(effect: float, text: str) -> None:
    assert times(effect) == text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({}, ""),
        ({"onset_days_median": "10"}, "about day 10"),
        ({"onset_days_min": "1", "onset_days_max": "9", "onset_from": "symptoms"}, "1 to 9 days into the illness"),
    ],
)
def test_usual_onset_says_what_is_known(row: dict[str, str], text: str) -> None:
    assert usual_onset(row) == text


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        ({"against": "", "start": 0, "end": 0, "onset": 0}, ""),
        ({"against": "started_after_onset", "start": 100, "end": None, "onset": 0}, "begun less than a day after"),
        ({"against": "stopped_long_before", "start": 0, "end": 0, "onset": 40 * DAY}, "ended 40 days before"),
        ({"against": "recovered_while_continued", "start": 0, "end": None, "onset": 9}, "the count came back"),
        ({"against": "started_after_onset", "start": None, "end": None, "onset": 9}, "started after onset"),
    ],
)
def test_arguments_against_a_drug(cause: dict[str, Any], text: str) -> None:
    assert argued_against(cause).startswith(text) and bool(argued_against(cause)) == bool(text)


def test_timing_in_the_range_that_still_speaks_against_says_so(facts: Facts) -> None:
    cause = facts.causes.filter(pl.col("cause_id") == "drug:clozapine").to_dicts()[0]
    told = [reason.text for reason in WORDS.reasons({**cause, "timing": -0.5}, []) if reason.term == "timing"]
    assert told[0].endswith("that is in the range, but not when it is likeliest")


def test_a_partner_is_named_with_what_is_known_of_the_pair(facts: Facts) -> None:
    cause = facts.causes.filter(pl.col("cause_id") == "drug:clozapine").to_dicts()[0]
    [reason] = [
        one
        for one in WORDS.reasons({**cause, "partner": "drug:docetaxel", "interaction": 1.1}, [])
        if one.term == "interaction"
    ]
    assert reason.text == "Together with docetaxel: A made-up interaction" and reason.source_ids == ("icsh2015",)


def test_a_probable_drug_that_does_not_lead_is_explained_by_its_weakest_term() -> None:
    row = {
        "cause_id": "drug:docetaxel",
        "rank": 5,
        "verdict": "probable",
        "statement": "probable_not_leading",
        "because": "prior",
    }
    assert "only number 5 here: what holds it back most is how seldom it lowers counts" in disagreement(row, [], WORDS)


def test_an_instrument_without_a_verdict_is_not_named() -> None:
    rows = [{"instrument": "naranjo", "item": "total", "verdict": "", "points": None}]
    assert verdicts(rows) == []
