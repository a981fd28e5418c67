"""The report: one self-contained page, put together from the facts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from leukopenia.report import monitored, numbers, words
from leukopenia.report.danger import danger, danger_in_numbers, title
from leukopenia.report.disclosure import KNOWLEDGE, counts_hidden, disclose
from leukopenia.report.facts import NOT_REAL, Facts, records
from leukopenia.report.outlook import RESEARCH
from leukopenia.report.patient import PatientPage, choose_patients, patient_page
from leukopenia.report.svg import HATCH
from leukopenia.report.why import Words

if TYPE_CHECKING:
    from jinja2 import Environment

PATIENT_PAGES = 50
"""How many persons get a page of their own in one report."""

WAITING_PAGES = 10
"""How many of the worklist are among them, whatever their counts."""

_NO_COUNTS = ("as_of", "versions", "policy")
_PRINTED_ELSEWHERE = ("as_of", "policy")


def render(facts: Facts, redact_small_cells: bool = False) -> str:
    """The whole report as one HTML page that needs nothing else: no script, no network, no font.

    Parameters
    ----------
    facts : Facts
        Tables, aggregates, texts.
    redact_small_cells : bool
        Counts of seven or fewer are redacted and others rounded to five; there are no pages of persons, no
        list of persons with red flags and no plot of single episodes.

    Returns
    -------
    str
        HTML.
    """
    shown = _redacted(facts) if redact_small_cells else _open(facts)
    return environment().get_template("page.html.j2").render(shown)


def _open(facts: Facts) -> dict[str, Any]:
    common = _common(facts, facts.summary, facts.manifest, redacted=False)
    waiting = [one.patient_id for one in common["monitoring"].worklist] if common["monitoring"] else []
    chosen = choose_patients(facts.patients, facts.episodes, facts.risks, PATIENT_PAGES, waiting[:WAITING_PAGES])
    causes = Words(facts.knowledge)
    found = enumerate(records(facts, chosen), start=1)
    pages = [patient_page(record, facts, causes, f"patient-{n}") for n, record in found]
    persons = facts.summary["totals"]["persons"]
    return {
        **common,
        "danger": danger(facts.risks),
        "patients": pages,
        "anchors": {page.patient_id: page.key for page in pages},
        "not_shown": max(persons - len(pages), 0),
        "one_patient": persons == 1,
    }


def _redacted(facts: Facts) -> dict[str, Any]:
    summary = disclose(facts.summary)
    manifest = {key: value if key in _NO_COUNTS else counts_hidden(value) for key, value in facts.manifest.items()}
    no_pages: list[PatientPage] = []
    return {
        **_common(facts, summary, manifest, redacted=True),
        "danger": danger_in_numbers(summary),
        "patients": no_pages,
        "anchors": {},
        "not_shown": 0,
        "one_patient": False,
    }


def _common(facts: Facts, summary: dict[str, Any], manifest: dict[str, Any], redacted: bool) -> dict[str, Any]:
    footnotes = Footnotes(facts.references)
    return {
        "redacted": redacted,
        "as_of": _as_of(manifest.get("as_of")),
        "totals": summary["totals"],
        "missing": summary.get("missing", []),
        "severity": numbers.severity_table(summary.get("severity", []), redacted),
        "lines": numbers.line_pages(summary, redacted),
        "attrition": numbers.attrition_table(summary.get("attrition", [])),
        "quality": numbers.quality_table(summary.get("lines", [])),
        "limits": numbers.limits_table(summary.get("limits", []), redacted),
        "unknown": numbers.unknown_reasons(summary.get("unknown", [])),
        "set_aside": numbers.issue_reasons(summary.get("set_aside", []), True),
        "marked": numbers.issue_reasons(summary.get("set_aside", []), False),
        "units": summary.get("units", []),
        "monitoring": monitored.panel(facts, summary, redacted),
        "causes": numbers.causes_table(summary.get("causes", []), Words(facts.knowledge), redacted),
        "band_sources": sorted({band["source_id"] for band in summary.get("bands", [])}),
        "policy": list(flat(facts.policy)),
        "manifest": list(flat({key: value for key, value in manifest.items() if key not in _PRINTED_ELSEWHERE})),
        "footnotes": footnotes,
        "summary_json": _json(summary),
        "not_real_kind": NOT_REAL,
        "research": RESEARCH,
    }


def _json(summary: Mapping[str, Any]) -> str:
    """The aggregates, one to a line; what came from the knowledge tables stands there already."""
    parts = [
        f"{json.dumps(key)}: {json.dumps(part, ensure_ascii=False, default=str)}"
        for key, part in summary.items()
        if key not in KNOWLEDGE
    ]
    return "{\n" + ",\n".join(parts) + "\n}"


class Footnotes:
    """Numbers of the references that the page cites, in the order in which it cites them."""

    def __init__(self, references: Mapping[str, str]) -> None:
        self._texts = references
        self._numbers: dict[str, int] = {}

    def numbers(self, source_ids: str) -> list[int]:
        """The numbers of one source, or of several parted by semicolons."""
        names = [name.strip() for name in source_ids.split(";") if name.strip()]
        return [self._numbers.setdefault(name, len(self._numbers) + 1) for name in names]

    def rows(self) -> Iterator[tuple[int, str, str]]:
        """Number, source_id and citation of every source cited so far."""
        for source, n in self._numbers.items():
            yield n, source, self._texts.get(source, "no citation was given for this source")


def _as_of(value: Any) -> str:
    return words.day(value) if isinstance(value, int) else str(value or "the last record")


def flat(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """A nested structure as pairs of a dotted name and a text; a list of plain values stays one text."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list | tuple) and any(isinstance(value, Mapping | list | tuple) for value in tree):
        for n, value in enumerate(tree, start=1):
            yield from flat(value, f"{path}.{n}")
    elif isinstance(tree, list | tuple):
        yield path, ", ".join(str(value) for value in tree)
    else:
        yield path, "" if tree is None else str(tree)


@cache
def environment() -> Environment:
    """The templates, compiled once. Everything printed is cleaned, then escaped; nothing is exempt."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        finalize=words.clean,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(when=words.when, whole=words.whole, kind_title=title, capitalise=words.capitalise)
    environment.globals.update(hatch=Markup(HATCH))
    return environment
