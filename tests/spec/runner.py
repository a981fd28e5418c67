"""Scenarios as data: small tables in YAML, run through the corridor and compared with what they expect.

A scenario has a `title`, a `reason`, and either small tables (`persons`, `results`, `drugs`, `conditions`,
`procedures`), or several `sources` of them, or `files` that the readers open, and estimated `limits` where there
are any. `expect` holds tables with only the columns that matter. All rows of an expected table are compared, in any
order, with three exceptions: grades are compared for the analytes and standards that are named; issues without a
`stage` column are those of reading and harmonising; causes and their evidence are compared for the persons, causes
and clues that are named. Nats are compared by their sign (+, - or 0), and `leads` is yes for the cause of rank 1.
Dates are written 2024-01-31 or 2024-01-31 08:30; yes and no are flags; an empty cell is null.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from leukopenia import contracts, estimated, harmonising, knowledge, pipeline
from leukopenia.contracts import Table
from leukopenia.engine import Engine, open_engine
from leukopenia.policy import Policy
from leukopenia.read import read
from leukopenia.read.raw import Raw

SPEC = Path(__file__).resolve().parents[2] / "spec"
ROOMS = ("read", "harmonise", "reference", "detect", "explain")

_EPOCH = datetime(1970, 1, 1)
_INPUTS = {
    "persons": contracts.RAW_PERSONS,
    "results": contracts.RAW_RESULTS,
    "drugs": contracts.RAW_DRUGS,
    "conditions": contracts.RAW_CONDITIONS,
    "procedures": contracts.RAW_PROCEDURES,
}
_WORDS = {"patient": "patient_id", "time": "minute", "test": "name", "drug": "name", "condition": "name"}
"""Words of a scenario for columns of the raw tables; a `value` that is no number is the `text`."""

_TIMES = {"minute", "birth", "death", "start", "end", "hiv_from"}
_TIMES |= {"onset", "last_not_low", "nadir_minute", "last_low", "recovery", "last_minute"}
_DEFAULTS = {"sex": "unknown", "status": "administered"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)

Row = dict[str, str]


@dataclass(frozen=True)
class Scenario:
    """One file of `spec/`."""

    name: str
    room: str
    title: str
    reason: str
    expect: Mapping[str, str]
    sources: Mapping[str, Mapping[str, str]]
    files: Mapping[str, str]
    reading: Mapping[str, Any]
    policy: Mapping[str, Any] = field(default_factory=dict)
    limits: str = ""
    engines: tuple[str, ...] = ("polars",)


def scenarios() -> list[Scenario]:
    """Every scenario, in the order of the rooms."""
    return [load(path) for room in ROOMS for path in sorted((SPEC / room).glob("*.yaml"))]


def load(path: Path) -> Scenario:
    """One scenario; a key that is not known is an error, for it would be a check that is never made."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    known = {"title", "reason", "policy", "engines", "sources", "files", "reading", "limits", "expect", *_INPUTS}
    if unknown := set(found) - known:
        raise ValueError(f"{path.name}: unknown keys {sorted(unknown)}")
    tables = {name: found[name] for name in _INPUTS if name in found}
    return Scenario(
        name=f"{path.parent.name}/{path.stem}",
        room=path.parent.name,
        title=found["title"],
        reason=found["reason"],
        expect=found["expect"],
        sources=found.get("sources", {"record": tables} if tables else {}),
        files=found.get("files", {}),
        reading=found.get("reading", {}),
        policy={str(name): value for name, value in found.get("policy", {}).items()},
        limits=found.get("limits", ""),
        engines=tuple(found.get("engines", ("polars",))),
    )


def table(text: str) -> list[Row]:
    r"""The rows of a small table: commas between cells, blanks around them free, \u200b for the unseen."""
    lines = csv.reader(io.StringIO(text.strip()), skipinitialspace=True)
    cells = [[_seen(cell.strip()) for cell in line] for line in lines if line]
    if not cells:
        return []
    wrong = [line for line in cells if len(line) != len(cells[0])]
    if wrong:
        raise ValueError(f"{wrong[0]} does not have the {len(cells[0])} columns of {cells[0]}")
    return [dict(zip(cells[0], line, strict=True)) for line in cells[1:]]


def _seen(cell: str) -> str:
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), cell)


def minute(text: str) -> int | None:
    """Minutes since 1970 of a date, a date with time, a month or a year."""
    if not text:
        return None
    padded = text + "0001-01-01"[len(text) :] if len(text) in (4, 7) else text
    return int((datetime.fromisoformat(padded) - _EPOCH).total_seconds() // 60)


def _precision(text: str) -> str:
    return {0: "none", 4: "year", 7: "month", 10: "day"}.get(len(text), "minute")


def made(scenario: Scenario, engine_name: str, folder: Path) -> dict[str, pl.DataFrame]:
    """The tables a scenario speaks of, run on one engine."""
    engine = open_engine(engine_name, spill=folder)
    try:
        raws = [_raw(engine, name, tables) for name, tables in scenario.sources.items()]
        if scenario.files:
            raws.append(_read(engine, scenario, folder))
        policy = Policy.of(scenario.policy)
        known = knowledge.load()
        if scenario.limits:
            known = estimated.added_to(known, pl.DataFrame(table(scenario.limits)))
        tables = pipeline.run(raws, engine, known, policy, knowledge.site_maps())
        return {name: engine.collect(tables.frame(name)) for name in scenario.expect}
    finally:
        engine.close()


def _raw(engine: Engine, source: str, tables: Mapping[str, str]) -> Raw:
    rows = {name: table(text) for name, text in tables.items()}
    ids = pl.Int64 if all(_whole(row["patient"]) for part in rows.values() for row in part) else pl.String
    frames = {}
    for name, part in rows.items():
        contract = _INPUTS[name]
        filled = [_filled(contract, row, source, number) for number, row in enumerate(part, start=1)]
        frames[contract.name] = engine.load(_frame(contract, filled, ids), contract.name)
    rows_in = {_INPUTS[name].name: len(part) for name, part in rows.items()}
    return Raw(source, "results", frames, [], rows_in, [])


def _whole(text: str) -> bool:
    return re.fullmatch(r"-?\d+", text) is not None


def _filled(contract: Table, row: Row, source: str, number: int) -> dict[str, Any]:
    """One row in the shape of a contract: what the scenario does not say is null or empty."""
    given = {_WORDS.get(name, name): cell for name, cell in row.items()}
    if unknown := set(given) - set(contract.names):
        raise ValueError(f"{contract.name} has no columns {sorted(unknown)}")
    filled: dict[str, Any] = {"source": source, "row_id": number}
    for column in contract.columns:
        if column.name in filled:
            continue
        text = given.get(column.name, _DEFAULTS.get(column.name, ""))
        filled[column.name] = _cell(column.name, column.type, text)
    filled |= _precisions(contract, given)
    if contract is contracts.RAW_RESULTS:
        filled["text"] = None if filled["value"] is not None else given.get("value") or None
    return filled


def _precisions(contract: Table, given: Row) -> dict[str, str]:
    named = {
        "birth_precision": "birth",
        "time_precision": "minute" if "minute" in contract.names else "start",
    }
    return {name: _precision(given.get(time, "")) for name, time in named.items() if name in contract.names}


def _cell(name: str, kind: str, text: str) -> Any:
    if name in _TIMES:
        return minute(text)
    if kind == "Int64":
        return int(text) if text else None
    if kind == "Float64":
        return float(text) if _NUMBER.fullmatch(text) else None
    return text


def _frame(contract: Table, rows: list[dict[str, Any]], ids: type[pl.DataType]) -> pl.DataFrame:
    schema = {name: harmonising.polars_type(contract, name) for name in contract.names}
    frame = pl.DataFrame(rows, schema=schema | {"row_id": pl.Int64})
    return frame.with_columns(pl.col("patient_id").cast(ids))


def _read(engine: Engine, scenario: Scenario, folder: Path) -> Raw:
    """Write the files of a scenario and read them.

    A .parquet is given as CSV, and its fractions are stored in 32 bits; a .gz is given as text.
    """
    root = folder / "given"
    for name, text in scenario.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            rows = pl.read_csv(text.encode(), try_parse_dates=True)
            rows.with_columns(pl.selectors.float().cast(pl.Float32)).write_parquet(path)
        elif path.suffix == ".gz":
            path.write_bytes(gzip.compress(_seen(text).encode()))
        else:
            path.write_text(_seen(text), encoding="utf-8")
    stage = folder / "stage"
    stage.mkdir()
    only = next(iter(scenario.files)) if len(scenario.files) == 1 else ""
    reading = dict(scenario.reading)
    return read(root / reading.pop("path", only), engine, stage, **reading)


def differences(scenario: Scenario, tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """What is expected and missing, and what is there and not expected."""
    return [line for name, text in scenario.expect.items() for line in _compare(name, text, tables[name])]


def _compare(name: str, text: str, frame: pl.DataFrame) -> list[str]:
    wanted = table(text) if text != "none" else []
    columns = list(wanted[0]) if wanted else []
    rows = _relevant(name, wanted, frame)
    if not wanted:
        return [f"{name}: none expected, found {row}" for row in rows]
    contract = contracts.TABLES[name]
    expected = Counter(tuple(_wanted(contract, column, row[column]) for column in columns) for row in wanted)
    found = Counter(tuple(_found(contract, row, column) for column in columns) for row in rows)
    return [f"{name}: missing {dict(zip(columns, row, strict=True))}" for row in (expected - found).elements()] + [
        f"{name}: not expected {dict(zip(columns, row, strict=True))}" for row in (found - expected).elements()
    ]


def _relevant(name: str, wanted: list[Row], frame: pl.DataFrame) -> list[dict[str, Any]]:
    if name == "grades":
        for column in ("analyte", "standard"):
            if wanted and column in wanted[0]:
                frame = frame.filter(pl.col(column).is_in({row[column] for row in wanted}))
    if name in ("causes", "cause_evidence") and wanted:
        words = [word for word in ("patient", "episode_id", "cause", "clue") if word in wanted[0]]
        named = {tuple(row[word] for word in words) for row in wanted}
        return [row for row in frame.to_dicts() if tuple(str(row[_column(word)]) for word in words) in named]
    if name == "issues" and not (wanted and "stage" in wanted[0]):
        frame = frame.filter(pl.col("stage").is_in(["read", "harmonise"]))
    return frame.to_dicts()


def _column(name: str) -> str:
    return {"patient": "patient_id", "time": "minute", "cause": "cause_id", "leads": "rank"}.get(name, name)


def _wanted(contract: Table, name: str, text: str) -> Any:
    column = contract.column(_column(name))
    if column.name in ("patient_id", "row_id"):
        return text
    if column.type == "Boolean" or name == "leads":
        return {"yes": True, "no": False}[text]
    if column.unit == "nats":
        return text
    return _cell(column.name, column.type, text)


def _found(contract: Table, row: Mapping[str, Any], name: str) -> Any:
    column = contract.column(_column(name))
    value = row[column.name]
    if name == "leads":
        return value == 1
    if column.unit == "nats":
        return "+" if value > 0 else "-" if value < 0 else "0"
    return str(value) if column.name in ("patient_id", "row_id") else value
