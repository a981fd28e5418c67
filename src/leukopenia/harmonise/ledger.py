"""The ledger: rows that went no further, or were marked, as rows of `issues`. Never a value."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit

Frame = nw.LazyFrame[Any]


def as_issues(
    rows: Frame, table: str, reason: str | nw.Expr, detail: str, *, set_aside: bool, stage: str = "harmonise"
) -> Frame:
    """One row of contracts.ISSUES for each row.

    Parameters
    ----------
    rows : Frame
        With source, row_id and the column `detail`.
    table : str
        The table the rows were meant for.
    reason : str or expression
        A code of errors.REASONS.
    detail : str
        The column that explains it, never one of results; empty: nothing does.
    set_aside : bool
        Whether the rows went no further.
    stage : str
        The room.
    """
    return rows.select(
        lit(stage).alias("stage"),
        "source",
        lit(table).alias("table"),
        col("row_id").cast(nw.String).alias("row_id"),
        (lit(reason) if isinstance(reason, str) else reason).alias("reason"),
        (col(detail) if detail else lit("")).alias("detail"),
        lit(1).cast(nw.Int64).alias("n"),
        lit(set_aside).alias("set_aside"),
    )
