"""What every reader hands over: raw tables in contract shape, the issues, and what was opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw

from leukopenia.contracts import Column, Table
from leukopenia.engine import Frame

Opener = Callable[[str | None], Frame]
"""Gives a source table as received; a name asks for its row numbers, from 1, in a column of that name."""

Issue = dict[str, object]

TYPES: dict[str, Any] = {"String": nw.String, "Int64": nw.Int64, "Float64": nw.Float64}


@dataclass(frozen=True)
class Raw:
    """One source, read.

    Attributes
    ----------
    source : str
        Short unique name: the file or folder.
    format : {'fhir', 'omop', 'meds', 'results'}
    tables : dict of str to narwhals lazy frame
        Raw tables by name, with exactly the columns of `contracts.RAW`.
    issues : list of dict
        Rows of `contracts.ISSUES`, stage 'read'.
    rows_in : dict of str to int
        Source rows meant for each raw table: rows on, plus rows set aside here, plus records that were
        joined with another into one row (a MEDS stop with its start, a birth with its sex).
    files : list of Path
        What was opened.
    """

    source: str
    format: str
    tables: dict[str, Frame]
    issues: list[Issue]
    rows_in: dict[str, int]
    files: list[Path]


def issue(
    source: str,
    table: str,
    reason: str,
    *,
    detail: str = "",
    n: int = 1,
    set_aside: bool = True,
    row_id: str = "",
) -> Issue:
    """One row of `contracts.ISSUES` of the read stage."""
    return {
        "stage": "read",
        "source": source,
        "table": table,
        "row_id": row_id,
        "reason": reason,
        "detail": detail,
        "n": n,
        "set_aside": set_aside,
    }


def bad_lines(source: str, table: str, name: str, numbers: list[int]) -> Issue:
    """The lines of one file that are no record, as one issue."""
    few = ", ".join(str(number) for number in numbers[:10]) + (", ..." if len(numbers) > 10 else "")
    row_id = str(numbers[0]) if len(numbers) == 1 else ""
    return issue(source, table, "bad_line", detail=f"{name}: row {few}", n=len(numbers), row_id=row_id)


def not_utf8(source: str, table: str, name: str) -> Issue:
    """A file in another encoding: letters beyond ASCII (such as the micro sign) may be wrong."""
    detail = f"{name}: not UTF-8, read as Latin-1"
    return issue(source, table, "bad_line", detail=detail, n=0, set_aside=False)


def shape(frame: Frame, table: Table, columns: dict[str, nw.Expr]) -> Frame:
    """Exactly the columns of a contract; what a reader does not know is null, or empty text."""
    return frame.select(*[(columns[c.name] if c.name in columns else _unknown(c)).alias(c.name) for c in table.columns])


def missing(type_: str) -> nw.Expr:
    """A null of a type of the contracts."""
    return nw.lit(None).cast(TYPES[type_])


def text(name: str) -> nw.Expr:
    """A text column, null read as empty."""
    return nw.col(name).fill_null("")


def _unknown(column: Column) -> nw.Expr:
    if column.nullable:
        return missing(column.type)
    if column.type == "String":
        return nw.lit("")
    raise KeyError(column.name)
