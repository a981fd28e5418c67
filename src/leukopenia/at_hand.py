"""Tables that a user has at hand, brought into the engine in the shape of the contracts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2 import col

from leukopenia.contracts import Column, Table
from leukopenia.engine import Engine, Frame
from leukopenia.errors import UsageError
from leukopenia.harmonising import polars_type

_TEXT = (nw.String, nw.Categorical, nw.Enum)


def adopted(given: Sequence[tuple[Table, Any]], engine: Engine) -> dict[str, Frame]:
    """The tables by name, their columns of the types of the contract.

    Parameters
    ----------
    given : sequence of contract and native frame or None
        The first is at hand; of what is not (None) an empty table is made.
    engine : Engine
        Where the frames shall live.

    Raises
    ------
    UsageError
        A column is missing, or is of another type than the contract says.
    """
    made = {table.name: _in_shape(engine.adopt(native), table) for table, native in given if native is not None}
    first = made[given[0][0].name]
    text = pl.String if dict(first.collect_schema())["patient_id"] == nw.String else pl.Int64
    return {table.name: made[table.name] if table.name in made else _empty(table, text, engine) for table, _ in given}


def _in_shape(frame: Frame, table: Table) -> Frame:
    schema = dict(frame.collect_schema())
    if missing := sorted(set(table.names) - set(schema)):
        raise UsageError(
            f"The table {table.name} lacks the columns {', '.join(missing)}.",
            "",
            "Result.tables gives tables that have all.",
        )
    return frame.select(*(_typed(table, column, schema[column.name]) for column in table.columns))


def _typed(table: Table, column: Column, found: Any) -> nw.Expr:
    """The column in the type of the contract; a column of nulls alone has no type of its own."""
    types: dict[str, Any] = {"String": nw.String, "Int64": nw.Int64, "Float64": nw.Float64, "Boolean": nw.Boolean}
    if column.type not in types or found == types[column.type]:
        return col(column.name)
    untyped = found == nw.Unknown
    fits = {"String": found in _TEXT, "Boolean": False}.get(column.type, found.is_numeric())
    if untyped or fits:
        return col(column.name).cast(types[column.type])
    remedy = f"It is {column.meaning}" + (f", in {column.unit}." if column.unit else ".")
    raise UsageError(f"{column.name} of the table {table.name} must be {column.type}, not {found}.", "", remedy)


def _empty(table: Table, ids: type[pl.DataType], engine: Engine) -> Frame:
    schema = {name: polars_type(table, name, ids) for name in table.names}
    return engine.load(pl.DataFrame(schema=schema), table.name)
