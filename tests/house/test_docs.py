"""The documents say what is so: every command and table is told of, links lead somewhere, examples run."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from leukopenia import knowledge
from leukopenia.cli import app
from leukopenia.contracts import TABLES
from leukopenia.errors import EXIT_CODES, REASONS
from leukopenia.result import COHORTS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GENERATED = DOCS / "reference" / "generated"
MANUAL = sorted(path for path in DOCS.rglob("*.md") if GENERATED not in path.parents)
PAGES = [*MANUAL, *sorted(ROOT.glob("*.md")), *sorted((ROOT / "decisions").glob("*.md"))]
HAND = "\n".join(path.read_text(encoding="utf-8") for path in MANUAL)

_FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, the file it stands for (or none), its text."""

    language: str
    title: str
    text: str

    @property
    def tested(self) -> bool:
        return self.text.startswith("# tested")


def blocks(path: Path) -> list[Block]:
    return [Block(*found) for found in _FENCE.findall(path.read_text(encoding="utf-8"))]


def with_examples() -> list[Path]:
    return [path for path in PAGES if any(block.tested for block in blocks(path))]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def build(script_at: Callable[[Path], ModuleType]) -> ModuleType:
    return script_at(DOCS / "build.py")


@pytest.fixture(scope="module")
def generated(build: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("generated")
    build.generate(target)
    return target


def test_every_command_is_told_of() -> None:
    commands = [command.callback.__name__ for command in app.registered_commands if command.callback]
    assert commands
    assert [name for name in commands if f"leukopenia {name}" not in HAND] == []


def test_every_table_is_told_of() -> None:
    assert [name for name in TABLES if f"`{name}`" not in HAND] == []


def test_every_exit_code_is_told_of() -> None:
    page = (DOCS / "how-to" / "errors.md").read_text(encoding="utf-8")
    assert [code for code in EXIT_CODES if f"| {code} |" not in page] == []


def test_policy_names_and_reasons_in_the_manual_are_there() -> None:
    rows = {row["name"] for row in knowledge.load()["policy"]}
    groups = {name.split(".")[0] for name in rows if "." in name}
    said = {name.rstrip(".*") for name in re.findall(r"`([a-z_]+\.[a-z_.*]+)(?::[^`]*)?`", HAND)}
    asked = {name for name in said if name.split(".")[0] in groups}
    assert asked
    assert {name for name in asked if not any(row.startswith(name) for row in rows)} == set()
    cells = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", _page("explanation/grading.md"), re.MULTILINE)
    assert set(re.findall(r"`([a-z_]+)`", " ".join(cells))) <= set(REASONS)


def test_cohort_numbers_are_those_of_the_program() -> None:
    assert [number for number in COHORTS.values() if f"| {number} |" not in _page("how-to/omop.md")] == []


def _page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation() -> None:
    configuration = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [path for path in MANUAL if path.relative_to(DOCS).as_posix() not in configuration] == []


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(_FENCE, "", text), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def broken(path: Path, text: str, place: Path, generated: Path) -> Iterator[str]:
    """Links of a page that lead nowhere; generated pages are looked for where they were made."""
    for link in _LINK.findall(re.sub(_FENCE, "", text)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        wanted = Path(os.path.normpath(place.parent / name)) if name else place
        if GENERATED in wanted.parents:
            wanted = generated / wanted.relative_to(GENERATED)
        if not name:
            wanted = path
        if not wanted.exists() or (anchor and anchor not in anchors(wanted.read_text(encoding="utf-8"))):
            yield f"{path.name}: {link}"


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_lead_somewhere(path: Path, generated: Path) -> None:
    assert list(broken(path, path.read_text(encoding="utf-8"), path, generated)) == []


def test_links_of_generated_pages_lead_somewhere(generated: Path) -> None:
    found: list[str] = []
    for path in sorted(generated.rglob("*.md")):
        place = GENERATED / path.relative_to(generated)
        found += broken(path, path.read_text(encoding="utf-8"), place, generated)
    assert found == []


def test_the_reference_holds_every_table_reason_and_scenario(generated: Path) -> None:
    tables = (generated / "tables.md").read_text(encoding="utf-8")
    assert [name for name in TABLES if f"## `{name}`" not in tables] == []
    reasons = (generated / "reasons.md").read_text(encoding="utf-8").replace("\\_", "_")
    assert [reason for reason in REASONS if f"| {reason} |" not in reasons] == []
    scenarios = "".join(path.read_text(encoding="utf-8") for path in (generated / "scenarios").glob("*.md"))
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "spec").rglob("*.yaml")]
    assert scenarios.count("\n## ") == sum(len(found) if isinstance(found, list) else 1 for found in files)
    pages = {path.stem for path in (generated / "knowledge").glob("*.md")}
    assert set(knowledge.load()) <= pages


def test_every_cause_has_a_page_with_its_own_weights_and_conflicts(build: ModuleType, generated: Path) -> None:
    known = knowledge.load()
    index = (generated / "causes" / "index.md").read_text(encoding="utf-8")
    names = {row["clue"]: build.escaped(row["name"]) for row in known["clues"]}
    for row in (*known["causes_drugs"], *known["causes_conditions"]):
        name = row["id"].replace(":", "-") + ".md"
        assert f"({name})" in index
        page = (generated / "causes" / name).read_text(encoding="utf-8")
        own = [
            f"| {names[one['clue']]} | {one['state']} |" for one in known["clue_weights"] if one["target"] == row["id"]
        ]
        told = [build.escaped(one["statement"]) for one in known["cause_conflicts"] if one["cause"] == row["id"]]
        assert [text for text in (*own, *told) if text not in page] == []


def test_cells_cannot_break_a_table(build: ModuleType) -> None:
    made = build.table(["a"], [["x|y <b> *z*\n_"]])
    assert made.splitlines()[2] == "| x&#124;y &lt;b&gt; \\*z\\* \\_ |"


@pytest.mark.parametrize("path", with_examples(), ids=named)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of one page marked '# tested', in one folder, from top to bottom."""
    names: dict[str, object] = {}
    monkeypatch.chdir(tmp_path)
    for block in blocks(path):
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.tested and block.language == "python":
            exec(compile(block.text, named(path), "exec"), names)
        elif block.tested:
            run_console(block.text)


def run_console(text: str) -> None:
    """Every command of a console block; the lines under it are its standard output, `...` any lines."""
    first, *lines = text.splitlines()
    code = int(first.partition("exit ")[2] or 0)
    starts = [n for n, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        done = run(lines[start].removeprefix("$ "))
        assert done.returncode == code, done.stderr
        expected = lines[start + 1 : end]
        pattern = "\n".join(expected).replace("[", "[[]").replace("...", "*")
        assert not expected or fnmatch.fnmatchcase(done.stdout.strip("\n"), pattern), done.stdout


def run(line: str) -> subprocess.CompletedProcess[str]:
    command, _, target = line.partition(" > ")
    program, *arguments = shlex.split(command, comments=True)
    assert program == "leukopenia", "only the commands of this program are run"
    called = [sys.executable, "-m", "leukopenia", *arguments]
    done = subprocess.run(called, capture_output=True, encoding="utf-8", env=environment(), check=False)
    if target:
        Path(target).write_text(done.stdout, encoding="utf-8")
        done.stdout = ""
    return done


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"}


def test_a_wrong_example_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        run_console("# tested\n$ leukopenia knowledge nothing-of-that-name\n")
    with pytest.raises(AssertionError):
        run_console("# tested\n$ leukopenia knowledge severity\nsomething else\n")
