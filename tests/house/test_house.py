"""The rules of the house, as far as a machine can see them."""

from __future__ import annotations

import ast
import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from leukopenia import contracts
from leukopenia.errors import EXIT_CODES, REASONS, LeukopeniaError

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "leukopenia"
KNOWLEDGE = PACKAGE / "knowledge"
MODULES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
JUDGING = ("harmonise", "reference", "detect", "explain", "monitor")

LONGEST_FUNCTION = 60
LONGEST_FILE = 500
HEAVY = ("polars", "duckdb", "narwhals", "pyspark", "pandas", "pyarrow")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def functions() -> Iterator[tuple[Path, Function]]:
    for path, module in MODULES.items():
        for node in ast.walk(module):
            if isinstance(node, Function):
                yield path, node


def tables() -> list[Path]:
    return sorted(KNOWLEDGE.glob("*.csv"))


# Imports


def test_rooms_know_neither_one_another_nor_engines_nor_doors() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_judging_rooms_import_only_the_stable_narwhals() -> None:
    found = {
        (place(path), name)
        for path, module in MODULES.items()
        for name in _imported(module)
        if place(path).split("/")[0] in JUDGING and name.split(".")[0] in HEAVY
    }
    assert found
    assert {name for _, name in found} == {"narwhals.stable.v2"}


def _imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("words", [(), ("--help",), ("run", "--help")])
def test_a_look_loads_no_engine(words: tuple[str, ...]) -> None:
    report = f"print('LOADED', sorted(set(sys.modules) & set({(*HEAVY, 'numba')!r})))"
    command = f"sys.argv = {['leukopenia', *words]!r}; runpy.run_module('leukopenia', run_name='__main__')"
    look = command if words else "import leukopenia"
    script = f"import runpy, sys\ntry:\n    {look}\nexcept SystemExit:\n    pass\n{report}"
    path = {"PYTHONPATH": str(ROOT / "src"), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], env=path, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("LOADED []"), done.stdout


# Size


def test_functions_are_short() -> None:
    long = {f"{place(path)}:{node.name}": _code_lines(node) for path, node in functions()}
    assert {name: lines for name, lines in long.items() if lines > LONGEST_FUNCTION} == {}
    lengths = sorted(long.values())
    assert lengths[len(lengths) * 9 // 10] < 25
    assert lengths[len(lengths) // 2] <= 8


def _code_lines(node: Function) -> int:
    """Lines of a function without its docstring."""
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    said = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - said


def test_files_are_short() -> None:
    lengths = {place(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_drawer_for_everything() -> None:
    assert not [place(path) for path in MODULES if path.stem in ("utils", "util", "helpers", "common", "misc")]


# Words


def test_every_reason_is_known() -> None:
    used = {reason for module in MODULES.values() for reason in _reasons(module)}
    used |= {row["reason"] for row in rows(KNOWLEDGE / "terms_without_numbers.csv")}
    assert len(used) > len(REASONS) // 2
    assert used - set(REASONS) == set()


def test_every_known_reason_is_used() -> None:
    texts = {
        node.value
        for path, module in MODULES.items()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and path.name != "errors.py" and path.parent.name != "report"
    }
    texts |= {row["reason"] for row in rows(KNOWLEDGE / "terms_without_numbers.csv")}
    assert set(REASONS) - texts == set()


def _reasons(module: ast.Module) -> Iterator[str]:
    """Texts that stand where a reason stands: `reason=`, "reason":, `issue(.., reason)`, or in its making."""
    for node in ast.walk(module):
        for value in _places(node):
            yield from (
                part.value
                for part in ast.walk(value)
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and _is_code(part.value)
            )


def _places(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.keyword) and node.arg in ("reason", "note", "unusable"):
        yield from _results(node.value)
    elif isinstance(node, ast.Dict):
        named = zip(node.keys, node.values, strict=True)
        yield from (value for key, value in named if isinstance(key, ast.Constant) and key.value in ("reason", "note"))
    elif isinstance(node, ast.Assign) and _targets(node) & {"reason", "note"}:
        yield from _results(node.value)
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS:
        yield from (result for argument in node.args for result in _results(argument))
    elif isinstance(node, Function) and re.search("reason|refuse|_power", node.name):
        yield from (value for part in ast.walk(node) if isinstance(part, ast.Return) for value in _results(part.value))


MAKERS = ("issue", "_issue", "SetAside", "aside", "_marked_counts")
"""Functions that take a reason."""

NO_REASONS = {*contracts.TABLES, "patient_id", "row_id"}


def _targets(node: ast.Assign) -> set[str]:
    return {target.id for target in node.targets if isinstance(target, ast.Name)}


def _results(value: ast.AST | None) -> Iterator[ast.AST]:
    """What an expression gives: of `when(..).then(lit(x))` the literals, of comparisons nothing."""
    if isinstance(value, ast.Constant):
        yield value
    elif isinstance(value, ast.Tuple | ast.IfExp):
        for each in value.elts[:1] if isinstance(value, ast.Tuple) else [value.body, value.orelse]:
            yield from _results(each)
    elif value is not None:
        for part in ast.walk(value):
            if isinstance(part, ast.Call) and getattr(part.func, "id", "") == "lit":
                yield from part.args


def _is_code(text: str) -> bool:
    return text not in NO_REASONS and re.fullmatch(r"[a-z]+(_[a-z]+)+|censored", text) is not None


def test_exit_codes_are_told_apart() -> None:
    errors = LeukopeniaError.__subclasses__()
    assert len({error.exit_code for error in errors}) == len(errors)
    assert {error.exit_code for error in errors} <= set(EXIT_CODES)


def test_every_column_of_a_contract_is_named_and_explained() -> None:
    for table in contracts.TABLES.values():
        assert len(set(table.names)) == len(table.names), table.name
        assert set(table.key) <= set(table.names), table.name
        for column in table.columns:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name), (table.name, column.name)
            assert column.meaning.strip(), (table.name, column.name)
            assert column.type in ("Int64", "Float64", "String", "Boolean", "Int64|String"), (
                table.name,
                column.name,
            )


def test_nothing_of_a_workplace_stands_in_the_project() -> None:
    wrong = re.compile(r"/(work|tmp|home|root)/\w")
    texts = [path for path in PACKAGE.rglob("*") if path.suffix in _TEXTS]
    assert [place(path) for path in texts if wrong.search(path.read_text(encoding="utf-8"))] == []


_TEXTS = (".py", ".csv", ".md", ".j2", ".css", ".bib")


# Knowledge


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("path", tables(), ids=lambda path: path.stem)
def test_every_table_of_knowledge_has_a_datasheet(path: Path) -> None:
    sheet = KNOWLEDGE / "datasheets" / f"{path.stem}.md"
    assert sheet.is_file(), f"no datasheet {sheet.name}"
    text = sheet.read_text(encoding="utf-8")
    for heading in ("What", "Grain", "How made", "Licence and attribution", "Limits", "Version"):
        assert f"**{heading}.**" in text, (sheet.name, heading)
    for column in rows(path)[0]:
        assert re.search(rf"`[^`]*\b{column}\b[^`]*`", text), (sheet.name, column)


def test_no_datasheet_without_a_table() -> None:
    sheets = {path.stem for path in (KNOWLEDGE / "datasheets").glob("*.md")}
    assert sheets == {path.stem for path in tables()} | {"site_maps"}


ASKED = re.compile(r"(?:policy|chosen)\.(?:text|number|flag|names|optional_number)\(\s*\"([^\"]+)\"|\.as_(of)\b")
BY_LINE = {"onset.": ".below", "onset.without_limit.": "", "bound.": ".below", "recovery.": ".at_least"}
"""Names that hold an analyte: their beginning and end stand in the code."""


def test_every_rule_of_the_policy_is_asked_for() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in MODULES)
    asked = {first or "as_of" for first, _ in ASKED.findall(code)}
    begun = {start: end for start, end in BY_LINE.items() if re.search(rf'f?"{re.escape(start)}["{{]', code)}
    assert begun == BY_LINE
    names = {row["name"] for row in rows(KNOWLEDGE / "policy.csv")}
    by_line = {name for name in names if any(name.startswith(a) and name.endswith(b) for a, b in begun.items())}
    assert names - by_line - asked == set()
    assert asked - names == set()


# The manual


def test_commands_stand_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    docs = readme + "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md")))
    commands = [node.name for _, node in functions() if _is_command(node)]
    assert len(commands) >= 7
    assert [name for name in commands if f"leukopenia {name}" not in docs] == []


def test_every_command_has_help() -> None:
    assert [node.name for _, node in functions() if _is_command(node) and not ast.get_docstring(node)] == []


def _is_command(node: Function) -> bool:
    return any(ast.unparse(decorator).startswith("app.command") for decorator in node.decorator_list)
