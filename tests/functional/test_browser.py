"""The report in a real browser: on a desk, on a phone, in the dark, on paper; alone, without the network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import test_forecast

import leukopenia as lk
from leukopenia import knowledge, reference_pictures, references, simulate
from leukopenia.reference_results import Asked
from leukopenia.references import Terms

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = pytest.mark.browser
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing: apt-get install chromium")
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    simulate.write(simulate.hospital(120, 3, knowledge.load()), folder / "hospital")
    with lk.run(folder / "hospital", policy={"monitor.jurisdiction": "uk"}) as result:
        return result.write(folder / "result") / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_stands_alone_and_fits(browser: sync_api.Browser, page_file: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(page_file.as_uri())
    assert asked == [page_file.as_uri()]
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("script").count() == 0
    assert page.locator("svg").count() > 10
    headings = page.locator("h1, h2").all_inner_texts()
    order = [headings.index(one) for one in ("Red flags, ongoing", "Drug monitoring", "The cohort")]
    assert order == sorted(order)
    context.close()


def test_the_question_why_is_answered_in_sight_and_in_words(browser: sync_api.Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    panel = page.locator("details.why[open]").first
    assert panel.get_by_text("Is the number real?").is_visible()
    drawing = panel.get_by_role("img")
    assert drawing.is_visible() and drawing.get_attribute("aria-labelledby")
    assert "unexplained by what is on record" in str(drawing.locator("desc").text_content())
    page.locator("p.cause a").first.click()
    assert page.url.endswith("-why")
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_question_when_is_answered_in_sight_and_in_words(
    browser: sync_api.Browser, tmp_path: Path, width: int
) -> None:
    with lk.run(test_forecast.hospital(tmp_path, ("Docetaxel", "2026-01-05T09:00", 1.0, 180.0, "mg"))) as result:
        file = result.write(tmp_path / "result") / "report.html"
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(file.as_uri())
    page.locator("p.cause a", has_text="When is it over?").click()
    assert page.url.endswith("-when")
    panel = page.locator("details.outlook[open]").first
    drawing = panel.get_by_role("img")
    assert drawing.is_visible() and "the median is" in str(drawing.locator("desc").text_content())
    assert panel.locator(".ahead-half").is_visible()
    assert panel.get_by_text("Grade 4 at some time of this cycle").is_visible()
    assert panel.get_by_role("columnheader", name="at least 1.5").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_who_needs_attention_leads_to_the_person_and_the_marks(
    browser: sync_api.Browser, page_file: Path, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(page_file.as_uri())
    panel = page.get_by_role("region", name="Drug monitoring")
    urgencies = panel.locator(".worklist .urgency").all_inner_texts()
    assert urgencies and urgencies == sorted(urgencies)
    assert panel.get_by_text("Cannot be assessed, wholly or in part").is_visible()
    listed, unsure = panel.locator(".waiting > div").nth(0).bounding_box(), panel.locator(".waiting > div").nth(1)
    beside = unsure.bounding_box()
    assert listed and beside
    assert (beside["x"] > listed["x"]) == (width == 1280)
    panel.locator(".worklist a.id").first.click()
    person = page.locator(page.url[page.url.index("#") :])
    assert person.locator(".schedule .alerts li").first.is_visible()
    marks = person.locator("figure.timeline").first
    assert marks.locator(".due-taken").first.is_visible() and marks.locator(".due-missed").last.is_visible()
    person.locator(".schedule summary").first.click()
    assert person.get_by_role("columnheader", name="in time until").is_visible()
    page.close()


def test_the_report_prints(browser: sync_api.Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    page.emulate_media(media="print")
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()


def test_the_page_of_reference_limits_stands_alone_and_fits(browser: sync_api.Browser, tmp_path: Path) -> None:
    table = pl.DataFrame({"wbc": np.random.default_rng(1).lognormal(1.8, 0.25, 2000).round(1)})
    table.write_parquet(tmp_path / "wbc.parquet")
    asked = Asked(units=("K/uL",))
    found = references.of_file(tmp_path / "wbc.parquet", asked, Terms(), knowledge.load(), drawn=True)
    file = tmp_path / "limits.html"
    file.write_text(reference_pictures.page(found, "wbc.parquet", (4.0, 10.0)), encoding="utf-8")
    for width in (390, 1280):
        page = browser.new_page(viewport={"width": width, "height": 900})
        asked_for: list[str] = []
        said: list[str] = []
        page.on("request", lambda request, seen=asked_for: seen.append(request.url))
        page.on("console", lambda message, seen=said: seen.append(message.text))
        page.goto(file.as_uri())
        assert (asked_for, said) == ([file.as_uri()], [])
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.get_by_role("img", name="results and their limits").is_visible()
        assert page.locator("table.published tbody tr").count() > 4
        page.close()
