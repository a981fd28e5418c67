"""The monitoring panel: worklist, who cannot be assessed, adherence, one person's part and the marks on the lanes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import report_facts as made
from report_facts import DAY, START
from test_report import Page, hostile_facts

from leukopenia.report import Facts, Monitoring, render
from leukopenia.report.due_marks import due_marks
from leukopenia.report.facts import records
from leukopenia.report.monitored import due_state, person_panel, worklist
from leukopenia.report.page import WAITING_PAGES
from leukopenia.report.svg import Axis

CLOZAPINE = "P-1042"
MIDNIGHT = START // DAY * DAY
RULE = {"rule_id": "rule:clozapine-uk", "drug": "drug:clozapine", "course": 1}
NAMES = {"drug:clozapine": "clozapine"}
_ASKED = {"threshold_crossed": "stop", "overdue": ""}


def alert(patient: str, day: int, kind: str, urgency: int, **more: Any) -> dict[str, Any]:
    plain = {"statement": "A count is overdue.", "action": _ASKED[kind], "source_id": "icsh2015", "open": True}
    return {"patient_id": patient, **RULE, "minute": START + day * DAY, "kind": kind, "urgency": urgency} | plain | more


def due(day: int, state: str, fulfilled: float | None = None) -> dict[str, Any]:
    at = MIDNIGHT + day * DAY
    taken = None if fulfilled is None else MIDNIGHT + round(fulfilled * DAY)
    times = {"due": at, "latest": at + DAY, "fulfilled": taken}
    return {"patient_id": CLOZAPINE, **RULE, "kind": "scheduled", "state": state, **times}


DUES = [due(7, "fulfilled", 7.4), due(14, "fulfilled", 15.3), due(21, "missed"), due(42, "overdue"), due(48, "unknown")]
RED = {"statement": "Red: stop.", "analyte": "neutrophils", "value": 0.9}
ALERTS = [
    alert("P-2000", 30, "overdue", 3, days_overdue=12),
    alert(CLOZAPINE, 44, "threshold_crossed", 1, **RED),
    alert(CLOZAPINE, 21, "overdue", 3, open=False, days_overdue=7),
    alert("P-2001", 20, "overdue", 3, days_overdue=22),
]
UNSURE = [
    {"patient_id": "P-2002", **RULE, "reason": "only_orders", "open": True},
    {"patient_id": "P-2003", **RULE, "reason": "start_not_seen", "open": False},
]
COURSES = [
    {
        "patient_id": CLOZAPINE,
        "drug": "drug:clozapine",
        "course": 1,
        "start": START,
        "end": START + 46 * DAY,
        "ongoing_at": True,
        "start_known": True,
        "end_known": True,
        "basis": "dispensed",
        "reason": "",
    }
]
BY_DRUG = {
    "drug": "drug:clozapine",
    "rule_id": "rule:clozapine-uk",
    "source": "north",
    "persons": 31,
    "courses": 33,
    "assessed": 22,
    "days": 4321,
    "covered": 0.915,
    "n_due": 206,
    "n_fulfilled": 187,
    "n_late": 6,
    "n_missed": 18,
    "alerts_per_100_months": 12.34,
}
TOLD: dict[str, Any] = {
    "waiting": 3,
    "not_assessable": 1,
    "kinds": [{"kind": "threshold_crossed", "persons": 1}, {"kind": "overdue", "persons": 19}],
    "by_drug": [
        BY_DRUG,
        BY_DRUG | {"drug": "drug:rare-one", "rule_id": "rule:rare", "persons": 2, "covered": None},
    ],
}


def monitored(facts: Facts) -> Facts:
    tables = {"courses": COURSES, "due_counts": DUES, "alerts": ALERTS, "not_assessable": UNSURE}
    found = Monitoring("uk", START + 50 * DAY, **{name: made.table(name, rows) for name, rows in tables.items()})
    return replace(facts, monitoring=found, summary={**facts.summary, "names": NAMES, "monitoring": TOLD})


@pytest.fixture(scope="module")
def facts() -> Facts:
    return monitored(made.facts(made.hospital(persons=12)))


@pytest.fixture(scope="module")
def page(facts: Facts) -> str:
    return render(facts)


def test_without_a_jurisdiction_one_line_says_how_to_ask() -> None:
    text = Page(render(made.facts(made.hospital(persons=12)))).text
    assert "no jurisdiction was named" in text and "--jurisdiction uk" in text
    assert "Who needs attention" not in text


def test_the_worklist_is_in_the_order_of_urgency_then_of_time(facts: Facts) -> None:
    assert facts.monitoring is not None
    listed = worklist(facts.monitoring, NAMES)
    assert [(one.patient_id, one.urgency) for one in listed] == [(CLOZAPINE, 1), ("P-2001", 3), ("P-2000", 3)]
    assert [row["what"] for row in listed[0].alerts] == ["limit crossed: neutrophils 0.9"]


def test_red_flags_come_before_the_worklist_and_the_worklist_before_the_numbers(page: str) -> None:
    places = [page.index(f'id="{one}"') for one in ("red-flags", "monitoring", "cohort", "patients")]
    assert places == sorted(places)
    text = " ".join(Page(page).text.split())
    assert "Rules of UK on" in text
    assert "Red: stop." in text and "clozapine-uk" in text
    assert "P-2002 clozapine: only orders, so nobody knows whether it was taken" in text
    assert "P-2003 clozapine" not in text


def test_adherence_is_told_for_each_drug_and_rule(page: str) -> None:
    row = re.search(r"<tr><th scope=\"row\">clozapine</th><td><code>clozapine-uk</code></td>(.*?)</tr>", page)
    assert row is not None
    assert re.findall(r">([^<>]+)</td>", row[1]) == ["31", "33", "22", "92%", "206", "187", "6", "18", "12.3"]


def test_adherence_names_the_source_where_there_are_several(facts: Facts, page: str) -> None:
    told = {**TOLD, "by_drug": [BY_DRUG, BY_DRUG | {"source": "south"}]}
    both = render(replace(facts, summary={**facts.summary, "monitoring": told}))
    assert re.findall(r"<code>clozapine-uk</code></td><td>(\w+)</td>", both) == ["north", "south"]
    assert '<th scope="col">source</th>' in both and '<th scope="col">source</th>' not in page


def test_a_person_who_waits_has_a_page_before_those_with_past_flags(facts: Facts) -> None:
    text = render(facts)
    order = re.findall(r'<article class="patient".*?Person <span class="id">([^<]+)<', text, re.S)
    assert order.index("P-2001") < order.index("P-1077")
    assert WAITING_PAGES < 50


def test_one_persons_part_tells_alerts_courses_and_counts(facts: Facts) -> None:
    found = person_panel(records(facts, [CLOZAPINE])[0], NAMES)
    assert found is not None
    assert [row["what"] for row in found.alerts] == ["limit crossed: neutrophils 0.9"]
    assert [row["what"] for row in found.earlier] == ["count overdue"]
    (course,) = found.courses
    assert (course["taken"], course["late"], course["missed"], course["unsure"]) == (1, 1, 2, 1)
    assert (course["end"], course["rule"]) == ("goes on", "clozapine-uk")
    assert len(found.dues) == len(DUES)
    assert person_panel(records(facts, ["P-2009"])[0], NAMES) is None


def test_the_marks_of_a_drug_lie_on_its_lane(page: str) -> None:
    part = page[page.index(f'Person <span class="id">{CLOZAPINE}') :]
    drawing = part[part.index("<svg viewBox") : part.index("</figure>")]
    assert re.findall(r'class="due-mark due-(\w+)"', drawing) == ["taken", "late", "missed", "missed", "unsure"]
    assert "Counts due under clozapine: 1 taken, 1 not assessable, 1 taken late, 2 missed." in drawing
    assert "due count taken" in Page(part).text


@pytest.mark.parametrize(
    ("row", "state"),
    [
        (due(7, "fulfilled", 7.99), "taken"),
        (due(7, "fulfilled", 8.0), "late"),
        (due(7, "fulfilled", 5.0), "taken"),
        (due(7, "overdue"), "missed"),
        (due(7, "missed"), "missed"),
        (due(7, "due"), "ahead"),
        (due(7, "open"), "ahead"),
        (due(7, "unknown"), "unsure"),
    ],
)
def test_states_of_due_counts(row: dict[str, Any], state: str) -> None:
    assert due_state(row) == state


def test_marks_without_room_share_one_and_the_worst_is_drawn() -> None:
    narrow = Axis(START, START + 10_000 * DAY, 0, 500)
    (mark,) = due_marks(DUES, narrow, 0)
    assert "due-missed" in mark and "2 missed" in mark


def test_redaction_shows_numbers_alone(facts: Facts) -> None:
    page = render(facts, redact_small_cells=True)
    part = page[page.index('id="monitoring"') : page.index('id="cohort"')]
    text = " ".join(Page(part).text.split())
    assert not re.search("P-[12]", text)
    assert "rare" not in page
    kinds = part[part.index("Open alerts") : part.index("</table>")]
    assert re.findall(r">([^<>]+)</td>", kinds) == ["[redacted]", "20"]
    assert "patient-months" not in text and "0.915" not in page


def test_nothing_to_monitor_is_no_all_clear_and_hidden_drugs_are_not_denied(facts: Facts) -> None:
    assert facts.monitoring is not None
    none = {"waiting": 0, "not_assessable": 0, "kinds": [], "by_drug": []}
    empty = {name: made.table(name, []) for name in ("courses", "due_counts", "alerts", "not_assessable")}
    nobody = replace(facts.monitoring, **empty)
    text = Page(render(replace(facts, monitoring=nobody, summary={**facts.summary, "monitoring": none}))).text
    assert "nothing could be monitored" in text and "No alert is open" not in text
    rare = {**TOLD, "by_drug": TOLD["by_drug"][1:]}
    hidden = replace(facts, summary={**facts.summary, "monitoring": rare})
    assert "No drug was taken by persons enough to be shown." in Page(render(hidden, redact_small_cells=True)).text


def test_hostile_texts_stay_texts() -> None:
    text = '"><script>alert(1)</script>'
    facts = monitored(hostile_facts(text))
    assert facts.monitoring is not None
    alerts = made.table("alerts", [row | {"statement": text, "rule_id": text, "drug": text} for row in ALERTS])
    page = Page(render(replace(facts, monitoring=replace(facts.monitoring, alerts=alerts))))
    assert page.errors == [] and page.open == []
    assert not [tag for tag, _ in page.tags if tag == "script"]
