"""The manual: reference pages from contracts, knowledge tables, scenarios and help; then the site.

python docs/build.py                writes docs/reference/generated/ and builds site/
python docs/build.py --pages-only   writes docs/reference/generated/ alone
"""

from __future__ import annotations

import csv
import html
import importlib
import inspect
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from leukopenia import contracts, errors, knowledge
from leukopenia.report.why import usual_onset

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ROOT / "docs" / "reference" / "generated"
SHEETS = ROOT / "src" / "leukopenia" / "knowledge" / "datasheets"
ROOMS = ("read", "harmonise", "reference", "detect", "explain", "monitor")
COPIED = {"GLOSSARY.md": "glossary.md", "CHANGELOG.md": "changelog.md", "DEVELOPERS.md": "developers.md"}
"""Pages of the root that the site shows as well."""

PUBLIC = (
    ("leukopenia.api", "run"),
    ("leukopenia.api", "grade"),
    ("leukopenia.api", "inspect"),
    ("leukopenia.policy", "Policy"),
    ("leukopenia.result", "Result"),
    ("leukopenia.errors", "LeukopeniaError"),
)
_WRITTEN_IN_WORDS = ("title", "reason", "expect", "unknown")


def generate(target: Path = GENERATED) -> list[Path]:
    """Write every generated page below `target`, which is emptied first, and say which."""
    shutil.rmtree(target, ignore_errors=True)
    written = []
    for name, text in pages():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.rstrip() + "\n", encoding="utf-8")
        written.append(path)
    return written


def pages() -> Iterator[tuple[str, str]]:
    """Every generated page: its place below the folder, and its text."""
    yield "tables.md", tables_page()
    yield "reasons.md", reasons_page()
    yield "policy.md", policy_page()
    yield "cli.md", cli_page()
    yield "python.md", python_page()
    yield from knowledge_pages()
    yield from cause_pages()
    yield from scenario_pages()
    for name, target in COPIED.items():
        yield target, relinked((ROOT / name).read_text(encoding="utf-8"))
    for path in sorted((ROOT / "decisions").glob("*.md")):
        yield f"decisions/{path.name}", relinked(path.read_text(encoding="utf-8"), "decisions/")


def escaped(cell: object) -> str:
    """A cell that neither Markdown nor HTML takes for its own."""
    text = html.escape(str(cell), quote=False).replace("|", "&#124;").replace("\n", " ")
    return re.sub(r"([\\`*_\[\]])", r"\\\1", text)


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    names = list(columns)
    lines = [names, ["---"] * len(names), *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def tables_page() -> str:
    """What one row of each table is, what identifies it, and its columns."""
    parts = ["# Tables\n", (contracts.__doc__ or "").split("\n", 2)[2].strip() + "\n"]
    for contract in contracts.TABLES.values():
        key = ", ".join(f"`{name}`" for name in contract.key) or "none"
        rows = [(c.name, c.type, "yes" if c.nullable else "", c.unit, c.meaning) for c in contract.columns]
        parts += [f"## `{contract.name}`\n", f"One row: {contract.grain}. Key: {key}.\n"]
        parts.append(table(("column", "type", "may be null", "unit", "meaning"), rows))
    return "\n".join(parts)


def reasons_page() -> str:
    """Why rows are set aside or marked, and what the program says when it ends."""
    codes = table(("reason", "meaning"), errors.REASONS.items())
    exits = table(("code", "meaning"), ((code, str(text)) for code, text in errors.EXIT_CODES.items()))
    return f"# Reason codes and exit codes\n\n## Reason codes\n\n{codes}\n## Exit codes\n\n{exits}"


def policy_page() -> str:
    """Every choice with its default and why."""
    columns = ("name", "value", "allowed", "reason", "source_id")
    cells = [[row[column].replace(";", ", ") for column in columns] for row in knowledge.load()["policy"]]
    return "# Policy\n\n" + table(("name", "default", "allowed", "reason", "source"), cells)


def cli_page() -> str:
    """The help of every command, as it is printed."""
    import typer

    from leukopenia.cli import app

    commands = getattr(typer.main.get_command(app), "commands", {})
    parts = ["# Command line\n", _help()]
    for name in commands:
        parts += [f"## `leukopenia {name}`\n", _help(name)]
    return "\n".join(parts)


def _help(*command: str) -> str:
    plain = os.environ | {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    called = [sys.executable, "-m", "leukopenia", *command, "--help"]
    done = subprocess.run(called, capture_output=True, encoding="utf-8", check=True, env=plain)
    lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
    return "```text\n" + "\n".join(lines) + "\n```\n"


def python_page() -> str:
    """The functions and classes a user calls, with their own words."""
    parts = ["# Python\n"]
    for module, name in PUBLIC:
        thing = getattr(importlib.import_module(module), name)
        words = f"{name}{inspect.signature(thing)}\n\n{inspect.getdoc(thing)}"
        parts += [f"## `{module}.{name}`\n", f"```text\n{words}\n```\n"]
    return "\n".join(parts)


def knowledge_pages() -> Iterator[tuple[str, str]]:
    """One page for each knowledge table and site map, their list, and the bibliography."""
    maps = {f"site_maps-{name}": rows for name, rows in knowledge.site_maps().items()}
    shown = {**knowledge.load(), **maps}
    lines = [f"| [`{name}`]({name}.md) | {len(rows)} |" for name, rows in sorted(shown.items())]
    head = ["# Knowledge tables\n", f"Version {knowledge.version()}.\n", "| table | rows |", "| --- | --- |"]
    yield "knowledge/index.md", "\n".join([*head, *lines, "\nSources: [references](references.md)."])
    yield "knowledge/references.md", references_page()
    for name, rows in shown.items():
        yield f"knowledge/{name}.md", knowledge_page(name, rows)


def knowledge_page(name: str, rows: contracts.Rows) -> str:
    """The datasheet of one table, then its rows."""
    sheet = SHEETS / f"{name.partition('-')[0]}.md"
    text = sheet.read_text(encoding="utf-8").split("\n", 1)[1] if sheet.is_file() else ""
    columns = list(rows[0]) if rows else []
    cells = [[row[column] for column in columns] for row in rows]
    return f"# `{name}`\n\n{text}\n## Rows\n\n{table(columns, cells)}"


def references_page() -> str:
    """Every source by its id."""
    found = [(source, knowledge.citation(source)) for source in sorted(knowledge.references())]
    return "# References\n\n" + table(("source", "citation"), found)


_SYSTEMS = {
    "icd10cm": "ICD-10-CM",
    "icd10": "ICD-10",
    "icd9cm": "ICD-9-CM",
    "snomed": "SNOMED CT",
    "omop": "OMOP",
    "atc": "ATC",
    "rxnorm": "RxNorm",
    "omop_concept_id": "OMOP",
}
_BASES = {"source": " (from the sources)", "class": " (figure of its class, own judgement)", "": ""}


def cause_pages() -> Iterator[tuple[str, str]]:
    """One page for each cause, and their list."""
    known = knowledge.load()
    causes = sorted((*known["causes_drugs"], *known["causes_conditions"]), key=lambda row: row["name"].casefold())
    about = {name: _by_cause(known[name], column) for name, column in _ABOUT.items()}
    yield "causes/index.md", causes_index(causes)
    for row in causes:
        yield f"causes/{_file(row)}", cause_page(row, known, about)


_ABOUT = {
    "ingredients": "id",
    "ingredient_names": "ingredient",
    "condition_codes": "condition",
    "condition_names": "condition",
    "condition_phrases": "condition",
    "interactions": "cause",
    "cause_conflicts": "cause",
    "cause_tests": "cause",
}
"""Tables with rows about a cause, and the column that names it."""

Row = Mapping[str, str]
About = Mapping[str, Mapping[str, list[Row]]]


def _by_cause(rows: contracts.Rows, column: str) -> dict[str, list[Row]]:
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(row[column], []).append(row)
    return parts


def _file(row: Row) -> str:
    return row["id"].replace(":", "-") + ".md"


def causes_index(causes: Iterable[Row]) -> str:
    """Every cause with what it lowers and how often."""
    parts = ["# Causes\n", "How they are weighed: [causes](../../../explanation/causes.md).\n"]
    rows = list(causes)
    for heading, drugs in (("Drugs", True), ("Conditions, exposures and artefacts", False)):
        lines = [_index_line(row) for row in rows if row["id"].startswith("drug:") is drugs]
        parts += [f"## {heading}\n", "| cause | class | lowers | share |", "| --- | --- | --- | --- |", *lines, ""]
    return "\n".join(parts)


def _index_line(row: Row) -> str:
    cells = (
        row["cause_class"],
        row["lineage"],
        f"{row['frequency']}{' (class)' * (row['frequency_basis'] == 'class')}",
    )
    return f"| [{escaped(row['name'])}]({_file(row)}) | {' | '.join(map(escaped, cells))} |"


def cause_page(row: Row, known: contracts.Knowledge, about: About) -> str:
    """All that is known here of one cause; `about`: rows of `_ABOUT` by cause."""
    cited: dict[str, int] = {}

    def found(name: str) -> list[Row]:
        return about[name].get(row["id"], [])

    parts = [
        f"# {escaped(row['name'][:1].upper() + row['name'][1:])}\n",
        f"`{row['id']}`: {row['kind']}, {escaped(row['cause_class'].replace('_', ' '))}\n",
        table(("what", "is known"), _facts(row, cited)),
        *_listed("Codes", _codes(found("ingredients"), found("condition_codes"))),
        *_listed("Names understood", _names(found)),
        *_clue_tables(row, known, cited),
        *_proof(found("cause_tests")),
        *_partners(found("interactions"), known, cited),
        *_conflicts(found("cause_conflicts"), cited),
        "## Sources\n",
        *(f"{n}. {escaped(knowledge.citation(source))} `{source}`" for source, n in cited.items()),
    ]
    return "\n".join(parts)


def _cite(source_ids: str, cited: dict[str, int]) -> str:
    """Numbers of sources in the list at the end of a page, in the order in which they are cited."""
    return ", ".join(str(cited.setdefault(one, len(cited) + 1)) for one in filter(None, source_ids.split(";")))


def _facts(row: Row, cited: dict[str, int]) -> Iterator[tuple[str, str]]:
    recovery = _span(row, "recovery_days")
    stopped = " after it was stopped" if row["kind"] == "drug" else " after the beginning"
    yes = {"yes": "yes", "": "not said by the sources read"}
    told = {
        "mechanism": row["mechanism"],
        "lowers": {"none": "no white line: it is no cause of a low count"}.get(row["lineage"], row["lineage"]),
        "share in whom it lowers counts": f"{row['frequency']}{_BASES[row['frequency_basis']]}"
        * bool(row["frequency"]),
        "figures": row["frequency_note"],
        "share of new low counts in which it is the cause though not on record": row["background"],
        "in the line-up of every low count": row["always"],
        "onset": usual_onset(row),
        "still fits after the last dose": f"{row['after_stop_days']} days" * bool(row["after_stop_days"]),
        "recovery": f"{recovery}{stopped}{_BASES[row['recovery_basis']]}" * bool(recovery),
        "agranulocytosis": yes[row["can_cause_agranulocytosis"]],
        "impairs white cells at a normal count": row["affects_function"],
        "kind of evidence": row["evidence_class"].replace("_", " "),
        "what sets it apart": row["clues_note"],
        "to confirm it": row["confirm_note"],
        "sources": _cite(row["source_id"], cited),
    }
    yield from ((name, text) for name, text in told.items() if text)


def _span(row: Row, name: str) -> str:
    low, middle, high = (row[f"{name}_{part}"] for part in ("min", "median", "max"))
    span = f"{low} to {high} days" if low and high else ""
    return ", ".join(filter(None, (span, f"about day {middle}" if middle else "")))


def _listed(heading: str, items: Iterable[str]) -> list[str]:
    lines = [f"- {escaped(item)}" for item in items]
    return [f"## {heading}\n", *lines, ""] if lines else []


def _codes(ingredients: Iterable[Row], codes: Iterable[Row]) -> Iterator[str]:
    for row in ingredients:
        for system in ("atc", "rxnorm", "omop_concept_id"):
            if row[system]:
                yield f"{_SYSTEMS[system]}: {row[system].replace(';', ', ')}"
    systems: dict[str, list[str]] = {}
    for row in codes:
        systems.setdefault(row["system"], []).append(row["code"] + "…" * (row["match"] == "prefix"))
    for system, found in systems.items():
        yield f"{_SYSTEMS[system]}: {', '.join(found)}"


def _names(found: Callable[[str], list[Row]]) -> list[str]:
    names = [row["name"] for table in ("ingredient_names", "condition_names") for row in found(table)]
    return sorted({*names, *(row["phrase"] for row in found("condition_phrases"))})


def _clue_tables(row: Row, known: contracts.Knowledge, cited: dict[str, int]) -> Iterator[str]:
    """What speaks for and against a cause; a row for the cause goes before one for its class, lineage or kind."""
    targets = (f"kind:{row['kind']}", f"lineage:{row['lineage']}", f"class:{row['cause_class']}", row["id"])
    weights = {
        (one["clue"], one["state"]): one
        for target in targets
        for one in known["clue_weights"]
        if one["target"] == target
    }
    names = {one["clue"]: one["name"] for one in known["clues"]}
    strengths = {one["strength"]: float(one["nats"]) for one in known["strengths"]}
    for direction, heading in (("for", "Speaks for it"), ("against", "Speaks against it")):
        rows = [one for one in weights.values() if one["direction"] == direction]
        rows.sort(key=lambda one: (-strengths[one["strength"]], names[one["clue"]]))
        if rows:
            yield f"## {heading}\n"
            yield table(
                ("clue", "state", "strength", "weighed for", "sources"), (_weight(one, names, cited) for one in rows)
            )


def _weight(row: Row, names: Mapping[str, str], cited: dict[str, int]) -> tuple[str, ...]:
    group = row["target"] if row["target"].startswith(("kind:", "lineage:", "class:")) else "this cause"
    return names[row["clue"]], row["state"], row["strength"], group, _cite(row["source_id"], cited)


def _proof(rows: Iterable[Row]) -> list[str]:
    kinds = (("test", "a positive result of"), ("finding", "the words"))
    told = [
        f"{words}: {', '.join(row['phrase'] for row in rows if row['kind'] == kind)}"
        for kind, words in kinds
        if any(row["kind"] == kind for row in rows)
    ]
    return _listed("Read as proof", told)


def _partners(rows: Iterable[Row], known: contracts.Knowledge, cited: dict[str, int]) -> Iterator[str]:
    causes = (*known["causes_drugs"], *known["causes_conditions"])
    names = {row["id"]: row["name"] for row in causes} | {row["clue"]: row["name"] for row in known["clues"]}
    told = [
        (names.get(row["partner"], row["partner"]), row["strength"], row["statement"], _cite(row["source_id"], cited))
        for row in rows
    ]
    if told:
        yield "## More likely together with\n"
        yield table(("partner", "strength", "what is known", "sources"), told)


def _conflicts(rows: Iterable[Row], cited: dict[str, int]) -> Iterator[str]:
    """Sources that disagree, side by side."""
    topics: dict[str, list[Row]] = {}
    for row in rows:
        topics.setdefault(row["topic"], []).append(row)
    if topics:
        yield "## Where sources disagree\n"
    for topic, statements in topics.items():
        columns = [f"source {_cite(row['source_id'], cited)}" for row in statements]
        yield table((escaped(topic), *columns), [("", *(row["statement"] for row in statements))])


def scenario_pages() -> Iterator[tuple[str, str]]:
    """The scenarios of spec/, a page for each room: the tests, printed as the manual."""
    yield "scenarios/index.md", "# Scenarios\n\n" + "".join(f"- [{room}]({room}.md)\n" for room in ROOMS)
    for room in ROOMS:
        texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "spec" / room).glob("*.yaml"))]
        told = [scenario(one) for text in texts for one in _in_file(yaml.safe_load(text))]
        yield f"scenarios/{room}.md", "\n".join([f"# Scenarios: {room}\n", *told])


def _in_file(found: Any) -> list[Mapping[str, Any]]:
    """A file holds one scenario or a list of them."""
    return found if isinstance(found, list) else [found]


def scenario(found: Mapping[str, Any]) -> str:
    """One scenario: what it is about, what is given, what is expected."""
    given = {name: value for name, value in found.items() if name not in _WRITTEN_IN_WORDS}
    expected = found.get("expect", {})
    named = {"alerts": expected} if isinstance(expected, str) else expected
    if "unknown" in found:
        named = {**named, "unknown": found["unknown"] or "nothing"}
    blocks = [*_blocks(given, "Given"), *_blocks(named, "Expected")]
    return "\n".join([f"## {escaped(found['title'])}\n", f"{escaped(found['reason'].strip())}\n", *blocks])


def _blocks(tree: Mapping[str, Any], heading: str) -> Iterator[str]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and any(map(_is_table, value.values())):
            yield from _blocks(value, f"{heading}, {name}")
        else:
            yield f"{heading}: `{name}`\n\n{_block(value)}"


def _is_table(part: Any) -> bool:
    return isinstance(part, Mapping) or (isinstance(part, str) and "\n" in part)


def _block(value: Any) -> str:
    if not isinstance(value, str):
        return f"```yaml\n{yaml.safe_dump(value, allow_unicode=True, sort_keys=False).rstrip()}\n```\n"
    rows = list(csv.reader(io.StringIO(value.strip()), skipinitialspace=True))
    if len(rows) > 1 and len(rows[0]) > 1 and {len(row) for row in rows} == {len(rows[0])}:
        return table((cell.strip() for cell in rows[0]), ([cell.strip() for cell in row] for row in rows[1:]))
    return f"```text\n{value.rstrip()}\n```\n"


def relinked(text: str, folder: str = "") -> str:
    """A page of the project as a page of the site: a link to what the site does not show becomes words."""

    def new(match: re.Match[str]) -> str:
        words, link = match[1], match[2]
        if "://" in link or link.startswith("#"):
            return match[0]
        path, _, anchor = link.partition("#")
        shown = _shown(os.path.normpath(folder + path).replace(os.sep, "/"), folder)
        return f"[{words}]({shown}{'#' + anchor if anchor else ''})" if shown else words

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", new, text)


def _shown(path: str, folder: str) -> str:
    up = "../" * folder.count("/")
    if path in COPIED:
        return up + COPIED[path]
    if path.startswith("decisions/") and path.endswith(".md"):
        return up + path
    in_docs = path.startswith("docs/") and path.endswith(".md")
    return f"{up}../../{path.removeprefix('docs/')}" if in_docs else ""


def build() -> int:
    """The static site, into site/; a broken link is an error."""
    if find_spec("zensical") is None:
        sys.exit("The site needs Zensical: pip install --group docs")
    called = [sys.executable, "-m", "zensical", "build", "--strict"]
    return subprocess.run(called, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    print(f"{len(generate())} pages in {GENERATED.relative_to(ROOT)}")
    sys.exit(0 if "--pages-only" in sys.argv else build())
