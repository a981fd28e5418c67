"""The report: danger first, nothing unescaped, nothing loaded, small cells kept in."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
import report_facts as made

from leukopenia.errors import UsageError
from leukopenia.report import Facts, omop_cohort, render, summarise
from leukopenia.report.disclosure import REDACTED, cell, disclose, total
from leukopenia.report.patient import choose_patients
from leukopenia.report.svg import count_axis, spread, time_ticks
from leukopenia.report.words import clean, number, when

RATES = {"cause_rates": made.table("cause_rates", [])}
VOID = {"meta", "br", "hr", "img", "link", "input"}
HOSTILE = [
    "<script>alert(1)</script>",
    '"onload="alert(1)',
    "'><img src=x onerror=alert(1)>",
    "{{7*7}}{% raw %}",
    "\u202eabc\u202c\u2066\x00\x1b",
    "</title></style></svg></pre></td><img>",
    "]]><!--",
]


class Page(HTMLParser):
    """Tags in order, balanced or not, attributes and the text outside of styles."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.errors: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if len({name for name, _ in attrs}) != len(attrs):
            self.errors.append(f"attribute twice in {tag}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.errors.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.fixture(scope="module")
def facts() -> Facts:
    return made.facts(made.hospital(persons=12))


@pytest.fixture(scope="module")
def html(facts: Facts) -> str:
    return render(facts)


@pytest.fixture(scope="module")
def redacted(facts: Facts) -> str:
    return render(facts, redact_small_cells=True)


def of_person(patient: str) -> Facts:
    world = made.hospital(persons=0)
    return made.facts(
        {
            name: rows if name == "issues" else [r for r in rows if r["patient_id"] == patient]
            for name, rows in world.items()
        }
    )


def hostile_facts(text: str) -> Facts:
    """The same hospital with `text` in every text field of every table and in every text beside them."""
    facts = made.facts(made.hospital(persons=1))
    fixed = {"analyte", "standard", "kind", "comparator", "derivation", "state"}
    tables = {
        name: table.with_columns(
            pl.when(pl.col(c).is_null())
            .then(None)
            .otherwise(pl.col(c) + text if c == "patient_id" else pl.lit(text))
            .alias(c)
            for c, kind in table.schema.items()
            if kind == pl.String and c not in fixed
        )
        for name, table in vars(facts).items()
        if isinstance(table, pl.DataFrame)
    }
    names = {
        "names": {text: text},
        "groups": {text: text},
        "bands": [{**band, "source_id": text} for band in made.BANDS],
    }
    summary = {
        **summarise(tables | RATES, {"rows": 99, "units": [{"unit": text, "rows": 99}]}),
        **names,
    }
    texts: dict[str, Any] = {
        "policy": {text: text},
        "references": {text: text},
        "manifest": {"as_of": text, text: [{text: text}]},
    }
    return replace(facts, **tables, **texts, summary=summary)


# ---- one safe file


def test_page_is_well_formed(html: str) -> None:
    page = Page(html)
    assert page.errors == []
    assert page.open == []


def test_ids_are_unique_and_every_link_has_a_target(html: str) -> None:
    tags = Page(html).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {str(attrs["href"]) for tag, attrs in tags if tag == "a"}
    assert targets <= {f"#{one}" for one in ids}
    labels = " ".join(str(attrs["aria-labelledby"]) for _, attrs in tags if "aria-labelledby" in attrs).split()
    assert set(labels) <= set(ids)


def test_page_loads_nothing_and_runs_nothing(html: str) -> None:
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in page.tags}
    assert not [
        name for _, attrs in page.tags for name in attrs if name.startswith("on") or name in ("src", "srcset", "style")
    ]
    assert not re.search(r"url\((?!#)|@import|http", html)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("redact", [False, True])
def test_hostile_texts_stay_texts(text: str, redact: bool) -> None:
    html = render(hostile_facts(text), redact_small_cells=redact)
    page = Page(html)
    assert page.errors == []
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    classes = " ".join(str(attrs.get("class", "")) for _, attrs in page.tags)
    assert "alert" not in classes and "{{" not in classes
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", html)
    html.encode("utf-8")
    if clean(text):
        assert clean(text) in page.text, "the text was lost"


def test_what_cannot_be_written_is_cleaned_away() -> None:
    assert clean("a\ud800b\u200bc\u202ed\te\n") == "abcd\te\n"
    assert clean(None) == "" and clean(0) == 0


def test_templates_never_switch_escaping_off() -> None:
    from leukopenia.report import page

    templates = page.Path(page.__file__).parent / "templates"
    assert not [
        path.name for path in templates.iterdir() if re.search(r"\|\s*safe|autoescape|Markup", path.read_text("utf-8"))
    ]


def test_paper_dark_and_light_are_provided_for(html: str) -> None:
    for rule in ("@media print", "prefers-color-scheme: dark", "table-header-group", "break-before: page"):
        assert rule in html


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_texts_have_the_contrast_of_wcag_aa(html: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", html, re.S)[:2]
    light = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", blocks[0]))
    dark = {**light, **dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", blocks[1]))}
    pairs = [(t, p) for t in ("ink", "soft", "link") for p in ("page", "faint", "danger-page", "doubt-page")]
    pairs += [("danger", "danger-page"), ("doubt", "doubt-page"), ("danger", "page")]
    pairs += (
        [("ink", band) for band in ("g1", "g2", "g3", "g4")]
        + [("ink", f"seg{n}") for n in (1, 2, 3)]
        + [("seg4-ink", "seg4")]
    )
    pairs += [(line, "page") for line in ("wbc", "neutrophils", "lymphocytes", "cd4")]
    for colours in (light, dark):
        weak = {pair: round(_contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
        assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}


# ---- danger first


def test_every_ongoing_red_flag_stands_before_the_first_cohort_heading(html: str) -> None:
    top = html[: html.index('id="cohort"')]
    for row in made.hospital()["risks"]:
        assert row["detail"].replace("<", "&lt;") in top
    order = [
        "Severe neutropenia with fever",
        "Blasts in the blood",
        "Agranulocytosis",
        "Neutropenia while a suspect drug",
    ]
    places = [top.index(text) for text in order] + [
        top.index("Is the number real?"),
        top.index("Earlier red flags"),
    ]
    assert places == sorted(places)


def test_definitions_and_sources_of_red_flags_are_named(html: str) -> None:
    top = Page(html[: html.index('id="cohort"')]).text
    assert "idsa-2011" in top and "andersohn-2007" in top
    cited = re.search(r'idsa-2011<sup><a href="#ref-(\d+)"', html)
    assert cited
    assert f'<li id="ref-{cited[1]}" value="{cited[1]}">A made-up line of citation for fever' in html


def test_only_what_is_cited_is_listed_and_several_sources_get_several_numbers(facts: Facts) -> None:
    risks = facts.risks.head(1).with_columns(source_id=pl.lit("icsh2015; ctcae5"))
    html = render(replace(facts, risks=risks))
    assert "made-up line of citation for films" in html and "fever and neutropenia" not in html
    assert 'href="#ref-1" aria-label="reference 1">1</a></sup><sup><a href="#ref-2"' in html


def test_a_kind_that_nobody_foresaw_is_shown(facts: Facts) -> None:
    risks = facts.risks.with_columns(kind=pl.lit("new_danger"), source_id=pl.lit("nobody2030"))
    page = Page(render(replace(facts, risks=risks))).text
    assert "new danger" in page
    assert "no citation was given for this source" in page


def test_no_red_flag_is_not_called_safe(facts: Facts) -> None:
    page = Page(render(replace(facts, risks=facts.risks.clear()))).text
    assert "No ongoing red flag found in these records" in page
    assert "no proof of safety" in page


def test_a_person_without_a_row_of_their_own_is_still_shown(facts: Facts) -> None:
    without = facts.patients.filter(pl.col("patient_id") != "P-1042")
    page = Page(render(replace(facts, patients=without))).text
    assert "no row of their own in the table of persons" in page


def test_persons_with_red_flags_come_first_then_the_most_severe(facts: Facts) -> None:
    chosen = choose_patients(facts.patients, facts.episodes, facts.risks, 6)
    assert set(chosen[:2]) == {"P-1042", "P-2003"}
    assert set(chosen[2:4]) == {"P-1077", "P-2011"}
    rest = facts.episodes.filter(~pl.col("patient_id").is_in(chosen))
    shown = facts.episodes.filter(pl.col("patient_id").is_in(chosen[4:]))
    assert shown.group_by("patient_id").agg(pl.col("nadir").min())["nadir"].max() <= rest["nadir"].max()


def test_a_large_cohort_says_how_many_persons_are_not_shown() -> None:
    page = Page(render(made.facts(made.hospital(persons=52))))
    assert "5 are not shown" in page.text
    assert sum(attrs.get("class") == "patient" for _, attrs in page.tags) == 50


# ---- one person


def test_one_person_comes_before_the_numbers() -> None:
    html = render(of_person("P-1042"))
    assert html.index('id="patient-1"') < html.index('id="cohort"')


def test_marks_tell_origin_by_shape() -> None:
    html = render(of_person("P-1042"))
    shapes = dict(re.findall(r'<path d="M[\d.]+ [\d.]+(m[^"]+)" class="mark m-neutrophils (\w+)"', html))
    assert set(shapes.values()) == {"measured", "derived", "at_most"}


def test_a_bound_is_no_part_of_the_course() -> None:
    html = render(of_person("P-1042"))
    place = re.search(r'M([\d.]+ [\d.]+)m[^"]+" class="mark m-neutrophils at_most"><title>neutrophils ≤1.4', html)
    course = re.search(r'd="(M[^"]+)" class="course l-neutrophils"', html)
    assert place and course
    assert place[1] not in course[1]


def test_long_histories_get_a_zoom_and_hatched_gaps() -> None:
    html = render(of_person("P-1101"))
    captions = re.findall(r"<figcaption>([^<]+)</figcaption>", html)
    assert captions[0].startswith("Whole course")
    assert [text for text in captions if text.startswith("Episode of 2028-04-")], captions
    assert "no counts for" in html


def test_short_histories_get_one_figure() -> None:
    assert render(of_person("P-1042")).count('class="timeline"') == 1


def test_every_figure_has_a_text_alternative(html: str) -> None:
    assert html.count('role="img"') == html.count("<desc ") > 20
    words = "".join(re.findall(r"<desc [^>]+>([^<]+)</desc>", render(of_person("P-1042"))))
    assert "lowest 0.0" in words and "Drugs: clozapine" in words and "table of counts" in words


def test_flowsheet_holds_every_count_and_flags_the_low_ones() -> None:
    facts = of_person("P-1042")
    html = render(facts)
    sheet = html[html.index('class="flowsheet"') :]
    sheet = sheet[: sheet.index("</table>")]
    cells = re.findall(r'<td class="n( low)?"[^>]*>([^<]+|&lt;[^<]+)<i>([^<]*)</i>', sheet)
    assert len(cells) == facts.counts.height
    assert all(("L" in flags.split()) == bool(low) for low, _, flags in cells)
    assert ("&lt;0.1", "L ≥G4") in {(text, flags) for _, text, flags in cells}


def test_date_only_counts_show_no_time() -> None:
    facts = of_person("P-1042")
    html = render(replace(facts, counts=facts.counts.with_columns(time_precision=pl.lit("day"))))
    sheet = html[html.index('class="flowsheet"') :]
    assert '<th scope="row">2024-03-09</th>' in sheet


def test_bands_come_from_knowledge_or_not_at_all() -> None:
    facts = of_person("P-1042")
    bare = render(replace(facts, summary={**facts.summary, "bands": []}))
    assert 'class="band ' in render(facts)
    assert 'class="band ' not in bare and "Bands:" not in bare


def test_a_person_without_counts_and_a_count_without_anything_else() -> None:
    empty = {name: [] for name in ("conditions", "findings", "risks", "exposures", "issues")}
    person = [{"patient_id": "P-1", "sex": "unknown", "birth_precision": "none"}]
    nothing = made.facts({**empty, "patients": person, "counts": [made.count("P-1", "wbc", made.START, 5.0)]})
    page = Page(render(nothing))
    assert page.errors == []
    assert "age unknown" in page.text and "no birth dates" in page.text and "no neutrophil count" in page.text
    assert "No blood counts of this person" in Page(render(replace(nothing, counts=nothing.counts.clear()))).text


def test_whole_number_persons_and_far_dates_are_shown() -> None:
    facts = of_person("P-1042")
    tables = {
        name: table.with_columns(patient_id=pl.lit(77, pl.Int64))
        for name, table in vars(facts).items()
        if isinstance(table, pl.DataFrame) and "patient_id" in table.columns
    }
    assert "Person 77" in " ".join(Page(render(replace(facts, **tables))).text.split())


# ---- the cohort


def test_unknown_grades_are_unknown_with_reasons(facts: Facts) -> None:
    worst = [row for row in facts.summary["worst"] if row["analyte"] == "neutrophils"]
    assert (
        sum(row["episodes"] for row in worst if row["standard"] == "ctcae-6.0")
        == facts.episodes.filter(pl.col("analyte") == "neutrophils").height
    )
    assert {row["reason"] for row in facts.summary["unknown"]} == {"no_numeric_term"}
    assert "the standard has no numeric term for this analyte" in render(facts)


def test_crosswalk_counts_every_graded_count_once(facts: Facts) -> None:
    rows = [row for row in facts.summary["crosswalk"] if row["analyte"] == "neutrophils"]
    assert sum(row["counts"] for row in rows) == facts.counts.filter(pl.col("analyte") == "neutrophils").height
    assert {(row["v5"], row["v6"]) for row in rows} <= {(0, 0), (1, 0), (2, 1), (3, 2), (4, 3), (4, 4)}


def test_attrition_goes_down_to_the_episodes_without_a_leak(facts: Facts) -> None:
    steps = {row["step"]: row["rows"] for row in facts.summary["attrition"]}
    assert steps["rows"] == made.received(facts.counts.to_dicts())["rows"] == steps["read"] + 2
    assert steps["read"] - steps["recognised"] == 5120
    assert steps["usable"] - steps["merged"] == 96
    assert steps["merged"] == steps["counts"] == facts.counts.height
    assert steps["episodes"] == facts.episodes.height


def test_lazy_frames_give_the_same_summary(facts: Facts) -> None:
    tables = RATES | {name: table for name, table in vars(facts).items() if isinstance(table, pl.DataFrame)}
    assert summarise({name: table.lazy() for name, table in tables.items()}) == summarise(tables)


def test_low_counts_are_those_surely_below_the_limit() -> None:
    counts = [
        made.count("1", "neutrophils", made.START, 1.0),
        made.count("1", "neutrophils", made.START + 1, 1.0, comparator=">"),
        made.count("1", "neutrophils", made.START + 2, 1.8),
        made.count("1", "neutrophils", made.START + 3, 1.0, low=None),
    ]
    tables = {
        "counts": made.table("counts", counts).lazy(),
        "limits": made.table("limits", made.limits_of(counts)).lazy(),
    }
    from leukopenia.report.summary import lines

    assert lines(tables["counts"], tables["limits"]).collect()["low_counts"].to_list() == [1]


def test_plot_cells_never_cross_a_cut_off() -> None:
    from leukopenia.report.summary import scatter

    nadirs = [0.0999, 0.1, 0.4999, 0.5, 0.9999, 1.0, 1.4999, 1.5]
    rows = [
        {
            "patient_id": str(n),
            "analyte": "neutrophils",
            "nadir": v,
            "onset": 0,
            "last_low": 1440,
            "state": "open",
        }
        for n, v in enumerate(nadirs)
    ]
    cells = scatter(made.table("episodes", rows).lazy()).collect()["nadir"].to_list()
    assert [sum(v < cut for cut in (0.1, 0.5, 1.0, 1.5)) for v in cells] == [4, 3, 3, 2, 2, 1, 1, 0]


# ---- small cells


def test_redaction_shows_no_small_number_of_anything(redacted: str) -> None:
    cells = re.findall(r'<td class="n[^"]*">([^<]*)</td>', redacted) + re.findall(r"<dd>([^<]*)</dd>", redacted)
    assert REDACTED in cells
    shown = [int(text.replace(",", "")) for text in cells if re.fullmatch(r"[\d,]+", text)]
    assert shown and all(n >= 10 and n % 5 == 0 for n in shown)
    assert not re.search(r"\b[0-7] (persons?|episodes?|counts|rows)\b", Page(redacted).text)


def test_redaction_shows_no_person_and_no_position(redacted: str, facts: Facts) -> None:
    for patient in facts.patients["patient_id"]:
        assert patient not in redacted
    assert "rare unit" not in redacted and "rare unit" in render(facts)
    for word in ('timeline"', 'class="dot', 'flowsheet"', "scatter", "2024-04-24", "39.2"):
        assert word not in redacted


def test_redaction_reaches_the_accounting_and_the_json(redacted: str) -> None:
    assert "8123" not in redacted and "8125" in redacted
    aggregates = re.search(r"<pre>(.*?)</pre>", redacted, re.S)
    assert aggregates
    numbers = re.findall(r"&#34;(persons|episodes|rows|counts)&#34;: (\d+)", aggregates[1])
    assert numbers and all(int(n) >= 10 and int(n) % 5 == 0 for _, n in numbers)


@pytest.mark.parametrize(("count", "shown"), [(0, REDACTED), (7, REDACTED), (8, 10), (12, 10), (13, 15), (1002, 1000)])
def test_cells_follow_the_rule_of_opensafely(count: int, shown: int | str) -> None:
    assert cell(count) == shown


def test_totals_are_made_from_what_is_shown() -> None:
    assert total([10, REDACTED, 15]) == 25
    assert total([REDACTED, REDACTED]) == REDACTED


def test_a_new_aggregate_is_redacted_before_anybody_thinks_of_it() -> None:
    shown = disclose({"new": [{"grade": 4, "somebody": 3, "mean": 0.25}], "units": [{"unit": "odd", "rows": 2}]})
    assert shown == {"new": [{"grade": 4, "somebody": REDACTED, "mean": REDACTED}], "units": []}


# ---- OMOP cohort


def episodes(*rows: tuple[int, str, str, int, int, int | None]) -> pl.DataFrame:
    names = ("patient_id", "analyte", "severity", "onset", "last_low", "recovery")
    whole = [dict(zip(names, row, strict=True)) for row in rows]
    days = [{**row, **{k: v * 1440 + 600 for k, v in row.items() if k in names[3:] and v is not None}} for row in whole]
    return made.table("episodes", [{**row, "patient_id": str(row["patient_id"])} for row in days]).cast(
        {"patient_id": pl.Int64}
    )


def test_omop_cohort_joins_what_touches_and_ends_with_recovery() -> None:
    table = omop_cohort(
        episodes(
            (1, "neutrophils", "severe", 10, 14, 20),
            (1, "neutrophils", "mild", 20, 22, None),
            (1, "neutrophils", "mild", 40, 41, 45),
            (2, "neutrophils", "profound", -3, 1, None),
            (3, "wbc", "", 5, 6, 7),
        ),
        {"neutrophils": 101, "neutrophils/severe": 102},
    )
    assert table.columns == ["cohort_definition_id", "subject_id", "cohort_start_date", "cohort_end_date"]
    assert [(a, b, str(c), str(d)) for a, b, c, d in table.iter_rows()] == [
        (101, 1, "1970-01-11", "1970-01-23"),
        (101, 1, "1970-02-10", "1970-02-15"),
        (101, 2, "1969-12-29", "1970-01-02"),
        (102, 1, "1970-01-11", "1970-01-21"),
        (102, 2, "1969-12-29", "1970-01-02"),
    ]


def test_omop_cohort_refuses_what_it_cannot_say(facts: Facts) -> None:
    with pytest.raises(UsageError, match="whole numbers"):
        omop_cohort(facts.episodes, {"neutrophils": 1})
    with pytest.raises(UsageError, match="Unknown severity 'bad'"):
        omop_cohort(episodes((1, "wbc", "mild", 1, 2, 3)), {"wbc/bad": 1})
    assert omop_cohort(episodes((1, "wbc", "mild", 1, 2, 3)), {}).is_empty()


# ---- words and axes


@pytest.mark.parametrize(
    ("minute", "precision", "text"),
    [
        (0, "minute", "1970-01-01 00:00"),
        (-1, "minute", "1969-12-31 23:59"),
        (1441, "day", "1970-01-02"),
        (1441, "month", "1970-01"),
        (1441, "year", "1970"),
        (None, "minute", ""),
        (10**15, "minute", "time out of range"),
    ],
)
def test_times_are_as_precise_as_known(minute: int | None, precision: str, text: str) -> None:
    assert when(minute, precision) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.4977, "0.4977"), (0.1, "0.1"), (12345.6, "12346"), (0.0, "0"), (None, "")]
)
def test_numbers_are_not_rounded_over_a_cut_off(value: float | None, text: str) -> None:
    assert number(value) == text


def test_axis_keeps_zero_and_order_and_labels_stay_apart() -> None:
    axis = count_axis(120, 0, 200)
    places = [axis.at(value) for value in (0, 0.1, 0.5, 1, 10, 120)]
    assert places[0] == 200 and places == sorted(places, reverse=True) and len(set(places)) == 6
    assert spread([50, 48, 52], 10, 200) == [58, 48, 68]
    assert max(spread([195, 196, 199], 10, 200)) <= 200


@pytest.mark.parametrize("days", [0.2, 1, 3, 10, 45, 200, 900, 9000, 40000])
def test_time_axis_has_a_few_round_ticks(days: float) -> None:
    ticks = time_ticks(made.START, made.START + int(days * 1440))
    assert 1 <= len(ticks) <= 9
    assert all(one[0] < other[0] and one[1] != other[1] for one, other in pairwise(ticks))
