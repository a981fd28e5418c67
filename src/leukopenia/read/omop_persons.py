"""OMOP persons: birth from its parts, sex from its concept."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import narwhals.stable.v2 as nw

from leukopenia.read.raw import text

if TYPE_CHECKING:
    from leukopenia.engine import Engine, Frame

SEXES = {8507: "male", 8532: "female"}
_MINUTES_OF_DAY = 1440


def births(persons: Frame, engine: Engine) -> Frame:
    """Add `birth` and `birth_precision`."""
    parts = [
        nw.coalesce(nw.col(name), nw.lit(1)).cast(nw.String).str.zfill(2) for name in ("month_of_birth", "day_of_birth")
    ]
    year = nw.col("year_of_birth").cast(nw.String).str.zfill(4)
    day = nw.concat_str(year, *parts, separator="-")
    frame = engine.minutes(persons.with_columns(in_birth=day), {"born": "in_birth"})
    birth = nw.coalesce(nw.col("birth_datetime"), nw.col("born"))
    return frame.with_columns(birth=birth, birth_precision=_birth_precision(birth))


def _birth_precision(birth: nw.Expr) -> nw.Expr:
    """As much as the parts say: a birth_datetime without a month beside it was filled in."""
    alone = nw.col("year_of_birth").is_null()
    known = [
        (birth.is_null(), "none"),
        (nw.col("birth_datetime") % _MINUTES_OF_DAY != 0, "minute"),
        (~nw.col("day_of_birth").is_null() | alone, "day"),
        (~nw.col("month_of_birth").is_null(), "month"),
    ]
    return reduce(
        lambda rest, item: nw.when(item[0]).then(nw.lit(item[1])).otherwise(rest),
        reversed(known),
        nw.lit("year"),
    )


def sex() -> nw.Expr:
    """The word for the gender concept, else for what the source said."""
    word = text("gender_source_value").str.to_lowercase().str.slice(0, 1)
    guessed = (
        nw.when(word == "m")
        .then(nw.lit("male"))
        .otherwise(nw.when(word == "f").then(nw.lit("female")).otherwise(nw.lit("unknown")))
    )
    return reduce(
        lambda rest, item: nw.when(nw.col("gender_concept_id") == item[0]).then(nw.lit(item[1])).otherwise(rest),
        SEXES.items(),
        guessed,
    )
