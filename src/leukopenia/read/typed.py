"""Source columns to the types of the contracts, by a list of what is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from leukopenia.read.raw import missing

if TYPE_CHECKING:
    from leukopenia.engine import Engine, Frame


@dataclass(frozen=True)
class Columns:
    """The columns taken from one table, by what they become. The first id is the key of the table."""

    ids: tuple[str, ...]
    times: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return self.ids + self.times + self.numbers + self.texts


def typed(frame: Frame, wanted: Columns, engine: Engine, key: str = "") -> Frame:
    """The columns wanted, whatever their case and type; what is absent is null.

    Ids become Int64, numbers Float64, times whole minutes, the rest text.

    Parameters
    ----------
    key : str
        The column to take for the key of the table, where the table's own will not do.
    """
    names = {name.lower(): name for name in frame.collect_schema().names()}
    if key:
        names[wanted.ids[0]] = key
    present = [name for name in wanted.all if name in names]
    frame = frame.select(*[nw.col(names[name]).alias(f"in_{name}") for name in present])
    conversions: list[tuple[Callable[..., Any], tuple[str, ...]]] = [
        (engine.whole_numbers, wanted.ids),
        (engine.numbers, wanted.numbers),
        (engine.minutes, wanted.times),
    ]
    for convert, group in conversions:
        mapping = {name: f"in_{name}" for name in group if name in present}
        frame = convert(frame, mapping) if mapping else frame
    texts = [nw.col(f"in_{name}").cast(nw.String).alias(name) for name in wanted.texts if name in present]
    types = {**dict.fromkeys(wanted.numbers, "Float64"), **dict.fromkeys(wanted.texts, "String")}
    absent = [missing(types.get(name, "Int64")).alias(name) for name in wanted.all if name not in present]
    return frame.with_columns(*texts, *absent) if texts or absent else frame
