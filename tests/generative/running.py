"""How random tables are run: one at a time on Polars, many packed into one frame on the larger engines."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from leukopenia import knowledge
from leukopenia.contracts import TABLES
from leukopenia.engine import Engine, Frame, open_engine
from leukopenia.harmonising import polars_type
from leukopenia.policy import Policy

Row = dict[str, Any]
Tables = dict[str, list[Row]]

EXAMPLES = int(os.environ.get("LEUKOPENIA_FUZZ", "200"))
PACKED_EXAMPLES = max(EXAMPLES, 1000)
"""Packed tables cost little; that many meet nearly every limit that the cases lie on."""
SPARK_EXAMPLES = 20
PERSONS = 10
"""Persons a table may hold: table number n owns the patient ids from n * PERSONS."""
ROWS = 1000

KNOWLEDGE = knowledge.load()


@dataclass(frozen=True)
class Case:
    """One random table set, with the choices it is run under; cases of equal choices can share a run."""

    tables: Tables
    text_ids: bool
    policy: tuple[tuple[str, str], ...] = ()

    @property
    def chosen(self) -> Policy:
        return Policy.of(dict(self.policy), KNOWLEDGE["policy"])


@dataclass(frozen=True)
class Room:
    """A room and its twin: both take a case; the room gives frames, the twin rows, under the same names."""

    keys: Mapping[str, tuple[str, ...]]
    run: Callable[[Case, Engine], Mapping[str, Frame]]
    twin: Callable[[Case], Mapping[str, list[Row]]]
    tolerance: float = 0.0


def explore(room: Room, cases: SearchStrategy[Case]) -> None:
    """Compare the room on Polars with its twin, case by case, so that a failing one is made small."""
    engine = open_engine("polars")
    _each(cases, EXAMPLES, lambda case: compare(room, case, engine))


def gather(cases: SearchStrategy[Case], n: int = PACKED_EXAMPLES) -> list[Case]:
    """Cases to be packed, without a run."""
    return _each(cases, n, lambda case: None)


def _each(cases: SearchStrategy[Case], n: int, check: Callable[[Case], None]) -> list[Case]:
    seen: list[Case] = []

    @settings(
        max_examples=n,
        derandomize=True,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def run(case: Case) -> None:
        check(case)
        seen.append(case)

    run()
    return seen


def alike(cases: Iterable[Case]) -> list[Case]:
    """The same tables under the default policy and with text ids, so that all of them share one run."""
    return [Case(case.tables, text_ids=True) for case in cases]


def compare_packed(room: Room, cases: Iterable[Case], engine: Engine) -> None:
    """Compare the room on a large engine with its twin, all cases of equal choices in one frame."""
    groups: dict[tuple[Any, ...], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.text_ids, case.policy), []).append(case)
    assert groups
    for group in groups.values():
        compare(room, _packed(group), engine)


def _packed(cases: list[Case]) -> Case:
    tables: Tables = {}
    for number, case in enumerate(cases):
        for name, rows in case.tables.items():
            tables.setdefault(name, []).extend(_moved(row, number) for row in rows)
    return Case(tables, cases[0].text_ids, cases[0].policy)


def _moved(row: Row, number: int) -> Row:
    moved = {
        name: step * number + row[name] for name, step in (("patient_id", PERSONS), ("row_id", ROWS)) if name in row
    }
    return row | moved


def compare(room: Room, case: Case, engine: Engine) -> None:
    """Same rows, same columns, same values; a difference names the table and the row."""
    twin = room.twin(_with_ids(case))
    for name, frame in room.run(case, engine).items():
        key = room.keys[name]
        if name in TABLES:
            assert frame.collect_schema().names() == TABLES[name].names, f"{engine.name}: columns of {name}"
        found = _by_key(engine.collect(frame).to_dicts(), key, name)
        expected = _by_key(twin[name], key, name)
        for one in sorted({*found, *expected}, key=str):
            _same(
                found.get(one),
                expected.get(one),
                room.tolerance,
                f"{engine.name}: {name} {dict(zip(key, one, strict=True))}",
            )


def _by_key(rows: list[Row], key: tuple[str, ...], name: str) -> dict[tuple[Any, ...], Row]:
    made: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        one = tuple(row[column] for column in key)
        assert one not in made, f"{name}: two rows of one key {one}"
        made[one] = row
    return made


def _same(found: Row | None, expected: Row | None, tolerance: float, where: str) -> None:
    assert found is not None, f"{where}: the room has no such row, the twin {expected}"
    assert expected is not None, f"{where}: the twin has no such row, the room {found}"
    assert set(found) >= set(expected), f"{where}: the room lacks {set(expected) - set(found)}"
    differing = {
        column: (found[column], value)
        for column, value in expected.items()
        if not _equal(found[column], value, tolerance)
    }
    assert not differing, f"{where}: room and twin differ in {differing}"


def _equal(found: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return found == expected or math.isclose(found, expected, rel_tol=0.0, abs_tol=tolerance)
    return type(found) is type(expected) and bool(found == expected)


def _with_ids(case: Case) -> Case:
    """The ids as the engine sees them: whole numbers, or the same written as text."""
    if not case.text_ids:
        return case
    tables = {name: [_text_ids(row) for row in rows] for name, rows in case.tables.items()}
    return Case(tables, True, case.policy)


def _text_ids(row: Row) -> Row:
    return row | {name: str(row[name]) for name in ("patient_id", "row_id") if name in row}


def load(case: Case, engine: Engine, name: str, contract: str, extra: Mapping[str, Any] | None = None) -> Frame:
    """One table of a case in the engine, in contract shape, with extra columns of the named Polars types."""
    table = TABLES[contract]
    ids: Any = pl.String if case.text_ids else pl.Int64
    schema = {column: polars_type(table, column, ids) for column in table.names} | dict(extra or {})
    rows = [{column: row[column] for column in schema} for row in _with_ids(case).tables[name]]
    return engine.load(pl.DataFrame(rows, schema=schema), name)
