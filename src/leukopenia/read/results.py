"""Plain results (CSV, TSV, Parquet, Excel or a frame), long or wide, to raw results and persons."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from leukopenia import contracts
from leukopenia.errors import SourceError
from leukopenia.read import files, headers, times
from leukopenia.read.files import plain
from leukopenia.read.headers import KEYS, Plan, header
from leukopenia.read.raw import Issue, Opener, Raw, bad_lines, issue, missing, not_utf8, shape
from leukopenia.read.results_persons import persons

if TYPE_CHECKING:
    from leukopenia.engine import Engine, Frame

__all__ = ["KEYS", "build", "read"]

LINE = "leukopenia_line"
CELLS = 1000
"""A cell of a wide table is row `line * CELLS + column`."""

_PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_NO_VALUE = ("", "na", "n/a", "null", "nan", ".", "-")
_LOINC = re.compile(r"^\d{1,5}-\d$")
_COMPARATORS = {"<": "<", "<=": "<=", "≤": "<=", ">": ">", ">=": ">=", "≥": ">="}
_RANGE = re.compile(r"^([<>]=?|[≤≥])?\s*(\d+(?:[.,]\d+)?)(?:\s*(?:-|–|—|to|\.\.)\s*(\d+(?:[.,]\d+)?))?$")


def read(path: Path, engine: Engine, stage: Path, source: str, mapping: Mapping[str, Any]) -> Raw:
    """Read a table of results.

    Parameters
    ----------
    path : Path
        A file, or a folder with parts of one table, or with a table called `results`.
    mapping : mapping
        The site's words, see `headers.KEYS`.

    Raises
    ------
    SourceError
        It is no table, cannot be read, or has no rows.
    MappingError
        A column needed is not recognised, or dates cannot be read in one way only.
    """
    parts = parts_of(path)
    if not parts or not all(files.kind(part) for part in parts):
        raise SourceError(f"{path} is no table of results.", "", f"Known: {', '.join(files.KINDS)}, also as .gz.")
    if len({files.kind(part) for part in parts}) > 1 or len({tuple(files.columns(part)) for part in parts}) > 1:
        raise SourceError(
            f"The tables in {path} differ in their columns.",
            f"Seen: {', '.join(part.name for part in parts[:8])}.",
            "Give one of them, or a folder with parts of one table.",
        )
    notes = files.Notes()
    return build(files.opener(parts, engine, stage, notes), engine, source, mapping, notes)


def parts_of(path: Path) -> list[Path]:
    """The table files of a source: the one called `results`, where a folder has such, else all."""
    parts = [path] if path.is_file() else files.table_files(path)
    return [part for part in parts if files.stem(part) == "results"] or parts


def build(
    open_table: Opener,
    engine: Engine,
    source: str,
    mapping: Mapping[str, Any],
    notes: files.Notes | None = None,
) -> Raw:
    """Raw tables from a table of results, wherever it lives."""
    notes = notes or files.Notes()
    frame = open_table(LINE)
    names = [name for name in frame.collect_schema().names() if name != LINE]
    plan = headers.plan(names, mapping).marked()
    frame = frame.select(LINE, *[nw.col(name).alias(headers.MARK + name) for name in names])
    frame = _with_time(_with_patient(frame, plan), plan, engine)
    rows = _wide(frame, plan, engine) if plan.analytes else _long(frame, plan, engine)
    n, without = engine.collect(rows.select(*_counts())).row(0)
    if not n:
        raise SourceError(f"{source} holds no result.", f"Columns: {', '.join(names)}.", "Check the export.")
    issues = _issues(source, plan, names, notes) + _issues_of_rows(source, plan, n, without)
    known = rows.filter(~nw.col("patient_id").is_null()) if without else rows
    tables = {"raw_results": known.with_columns(source=nw.lit(source)).select(contracts.RAW_RESULTS.names)}
    rows_in = {"raw_results": n + sum(map(len, notes.bad_lines.values()))}
    if {"sex", "birth", "age", "death"} & set(plan.roles):
        tables["raw_persons"] = persons(frame, LINE, plan, engine, source)
        counted = engine.collect(tables["raw_persons"].select(n=nw.len().cast(nw.Int64)))
        rows_in["raw_persons"] = int(counted.item())
    return Raw(source, "results", tables, issues, rows_in, notes.files)


def _counts() -> list[nw.Expr]:
    without = nw.when(nw.col("patient_id").is_null()).then(1).otherwise(0).sum()
    counts = {"n": nw.len(), "without": without}
    return [nw.coalesce(count.cast(nw.Int64), nw.lit(0)).alias(name) for name, count in counts.items()]


def _issues_of_rows(source: str, plan: Plan, n: int, without: int) -> list[Issue]:
    made = [issue(source, "raw_results", "no_patient", n=without)] if without else []
    if "time" not in plan.roles:
        untimed = n - without
        made.append(issue(source, "raw_results", "no_time", detail="no time column", n=untimed, set_aside=False))
    return made


def _issues(source: str, plan: Plan, names: list[str], notes: files.Notes) -> list[Issue]:
    made = [bad_lines(source, "raw_results", name, rows) for name, rows in notes.bad_lines.items()]
    made += [not_utf8(source, "raw_results", name) for name in notes.not_utf8]
    if plan.analytes:
        read_here = {header(c) for c in (*plan.roles.values(), *(analyte.column for analyte in plan.analytes))}
        made += [
            issue(source, "raw_results", "not_of_interest", detail=f"column {name}", n=0, set_aside=False)
            for name in names
            if name not in read_here
        ]
    return made


def _with_patient(frame: Frame, plan: Plan) -> Frame:
    return frame.with_columns(patient_id=identifier(frame, plan.roles["patient"]))


def identifier(frame: Frame, column: str) -> nw.Expr:
    """Whole numbers stay numbers (also those stored as floats), all else stays text; empty is null."""
    dtype = frame.collect_schema()[column]
    if dtype.is_integer() or dtype.is_float():
        return nw.col(column).cast(nw.Int64)
    text = nw.col(column).cast(nw.String).str.strip_chars()
    return nw.when(text != "").then(text)


def _with_time(frame: Frame, plan: Plan, engine: Engine) -> Frame:
    """Without a time column, a patient's rows are one point in time: minute 0, precision 'none'."""
    if "time" not in plan.roles:
        return frame.with_columns(minute=nw.lit(0).cast(nw.Int64), time_precision=nw.lit("none"))
    frame = times.add(frame, "minute", plan.roles["time"], plan.settings, engine)
    return frame.with_columns(time_precision=nw.col("minute_precision"))


def word(frame: Frame, column: str | None) -> nw.Expr:
    return nw.lit("") if column is None else nw.col(column).cast(nw.String).fill_null("").str.strip_chars()


def with_value(frame: Frame, column: str, engine: Engine, number: str | None = None) -> Frame:
    """Add `value` (a plain number) and `text` (else). `number` is a column for where the text is empty."""
    if frame.collect_schema()[column] != nw.String:
        frame = frame.with_columns(text=missing("String"))
        return engine.numbers(frame, {"value": column})
    said = nw.col(column).str.strip_chars()
    frame = frame.with_columns(said=nw.when(~said.str.to_lowercase().is_in(_NO_VALUE)).then(said))
    frame = frame.with_columns(digits=_digits("said"))
    frame = engine.numbers(frame, {"parsed": "digits"})
    frame = frame.with_columns(text=nw.when(nw.col("parsed").is_null()).then(nw.col("said")))
    if number is None:
        return frame.with_columns(value=nw.col("parsed"))
    frame = engine.numbers(frame, {"beside": number})
    beside = nw.when(nw.col("said").is_null()).then(nw.col("beside"))
    return frame.with_columns(value=nw.coalesce(nw.col("parsed"), beside))


def _digits(column: str) -> nw.Expr:
    """Text that is a plain number everywhere: engines differ in what else they take ('1_000', 'inf')."""
    return nw.when(nw.col(column).str.contains(_PLAIN)).then(nw.col(column))


def _long(frame: Frame, plan: Plan, engine: Engine) -> Frame:
    roles = plan.roles
    value = roles.get("value") or roles["number"]
    frame = with_value(frame, value, engine, roles.get("number") if roles.get("value") else None)
    frame = _with_limits(frame, roles, engine)
    system, code = coding(frame, roles, engine)
    comparator = nw.lit("")
    for spelling, plain_spelling in _COMPARATORS.items() if "comparator" in roles else ():
        said = word(frame, roles["comparator"]) == spelling
        comparator = nw.when(said).then(nw.lit(plain_spelling)).otherwise(comparator)
    columns = _base() | {
        "row_id": nw.col(LINE),
        "system": system,
        "code": code,
        "name": word(frame, roles.get("test")),
        "specimen": word(frame, roles.get("specimen")),
        "unit": word(frame, roles.get("unit")),
        "low": nw.col("low_limit"),
        "high": nw.col("high_limit"),
        "comparator": comparator,
        "flag": word(frame, roles.get("flag")),
    }
    return shape(frame, contracts.RAW_RESULTS, columns)


def _base() -> dict[str, nw.Expr]:
    same = ("patient_id", "minute", "time_precision", "value", "text")
    return {"source": nw.lit(""), **{name: nw.col(name) for name in same}}


def coding(frame: Frame, roles: Mapping[str, str], engine: Engine) -> tuple[nw.Expr, nw.Expr]:
    """System and code; a site's own codes are 'local', LOINC is known by its header or its look."""
    if "code" not in roles:
        return nw.lit(""), nw.lit("")
    names = frame.collect_schema().names()
    code = identifier(frame, roles["code"])
    number = frame.collect_schema()[roles["code"]].is_numeric()
    code = code.fill_null(0) if number else code.fill_null("")
    if "system" in roles:
        system = roles["system"]
        return (word(frame, system).str.to_lowercase() if system in names else nw.lit(header(system).lower())), code
    some = engine.collect(frame.select(code=code.cast(nw.String)).head(1000))["code"].to_list()
    loinc = "loinc" in plain(header(roles["code"])) or (some and all(_LOINC.match(text) for text in some))
    return nw.lit("loinc" if loinc else "local"), code


def _with_limits(frame: Frame, roles: Mapping[str, str], engine: Engine) -> Frame:
    """Add `low_limit` and `high_limit`, from their columns, or from one range in words."""
    if "range" in roles and not {"low", "high"} & set(roles):
        return _with_range(frame, roles["range"], engine)
    for role in ("low", "high"):
        new = f"{role}_limit"
        if role not in roles:
            frame = frame.with_columns(missing("Float64").alias(new))
        elif frame.collect_schema()[roles[role]] == nw.String:
            stripped = nw.col(roles[role]).str.strip_chars().alias(f"{role}_said")
            frame = frame.with_columns(stripped).with_columns(_digits(f"{role}_said").alias(f"{role}_digits"))
            frame = engine.numbers(frame, {new: f"{role}_digits"})
        else:
            frame = engine.numbers(frame, {new: roles[role]})
    return frame


def _with_range(frame: Frame, column: str, engine: Engine) -> Frame:
    """Ranges repeat, so the distinct ones are read in Python and joined."""
    import polars as pl

    said = engine.collect(frame.select(said=nw.col(column).cast(nw.String)).filter(~nw.col("said").is_null()).unique())
    rows = [(text, *_limits(text)) for text in sorted(said["said"].to_list())]
    schema = {"said_range": pl.String, "low_limit": pl.Float64, "high_limit": pl.Float64}
    small = engine.load(pl.DataFrame(rows, schema=schema, orient="row"), "ranges")
    frame = frame.with_columns(said=nw.col(column).cast(nw.String))
    return frame.join(small, left_on="said", right_on="said_range", how="left")


def _limits(text: str) -> tuple[float | None, float | None]:
    """The lower and upper limit of a range in words; None where it says none."""
    match = _RANGE.match(text.strip().strip("()[]").strip())
    if not match:
        return None, None
    sign, *numbers = match.groups()
    first, second = (float(number.replace(",", ".")) if number else None for number in numbers)
    if second is not None:
        return (None, None) if sign else (first, second)
    if not sign:
        return None, None
    return (first, None) if sign in (">", ">=", "≥") else (None, first)


def _wide(frame: Frame, plan: Plan, engine: Engine) -> Frame:
    """One row for each filled cell."""
    numbers = {name: index for index, name in enumerate(frame.collect_schema().names())}
    parts = []
    for analyte in plan.analytes:
        cell = with_value(frame, analyte.column, engine)
        columns = _base() | {
            "row_id": nw.col(LINE) * CELLS + numbers[analyte.column],
            "code": nw.lit(""),
            "name": nw.lit(analyte.test),
            "specimen": word(frame, plan.roles.get("specimen")),
            "unit": nw.lit(analyte.unit),
        }
        filled = ~nw.col("value").is_null() | ~nw.col("text").is_null()
        parts.append(shape(cell.filter(filled), contracts.RAW_RESULTS, columns))
    return nw.concat(parts)
