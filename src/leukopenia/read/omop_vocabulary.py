"""The user's own OMOP vocabulary, where there is one: standard concepts for the site's own, and names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import narwhals.stable.v2 as nw

from leukopenia.read.raw import Opener, missing
from leukopenia.read.typed import Columns, typed

if TYPE_CHECKING:
    import polars as pl

    from leukopenia.engine import Engine, Frame

FIRST_SITE_CONCEPT = 2_000_000_000


class Vocabulary:
    """`concept` and `concept_relationship`, asked only about the concepts that occur."""

    def __init__(self, tables: Mapping[str, Opener], engine: Engine) -> None:
        self._tables = tables
        self._engine = engine

    def apply(self, frame: Frame, column: str) -> Frame:
        """Add `code` (the standard concept; 0: none) and `concept_name` (null where not known)."""
        code = nw.col(column).fill_null(0)
        words = self._words(frame, column)
        if words is None:
            return frame.with_columns(code=code, concept_name=missing("String"))
        small = self._engine.load(words, "concepts")
        joined = frame.join(small, left_on=column, right_on="concept", how="left")
        return joined.with_columns(code=nw.coalesce(nw.col("standard"), code))

    def _words(self, frame: Frame, column: str) -> pl.DataFrame | None:
        """One row per concept that occurs and is known: concept, standard, concept_name."""
        if not {"concept", "concept_relationship"} & set(self._tables):
            return None
        occurring = frame.filter(nw.col(column) != 0).select(concept=nw.col(column)).unique()
        ids = self._engine.collect(occurring)
        if not len(ids):
            return None
        words = ids.join(self._names(ids), on="concept", how="left").join(self._maps(ids), on="concept", how="left")
        known = words.filter(words["concept_name"].is_not_null() | words["standard"].is_not_null())
        return known.select("concept", "standard", "concept_name").sort("concept") if len(known) else None

    def _names(self, ids: pl.DataFrame) -> pl.DataFrame:
        table = self._table("concept", ("concept_id",), ("concept_name",))
        if table is None:
            return _empty("concept_name", text=True)
        frame = table.rename({"concept_id": "concept"})
        return self._about(frame, ids).unique(subset=["concept"], keep="any")

    def _maps(self, ids: pl.DataFrame) -> pl.DataFrame:
        """'Maps to' of the site's own concepts; of several targets the lowest id, always the same one."""
        custom = ids.filter(ids["concept"] >= FIRST_SITE_CONCEPT)
        ends = ("concept_id_1", "concept_id_2")
        table = self._table("concept_relationship", ends, ("relationship_id", "invalid_reason"))
        if table is None or not len(custom):
            return _empty("standard")
        valid = (nw.col("relationship_id") == "Maps to") & (nw.col("invalid_reason").fill_null("") == "")
        pairs = table.filter(valid).select(concept=nw.col(ends[0]), standard=nw.col(ends[1]))
        return self._about(pairs, custom).group_by("concept").min()

    def _about(self, frame: Frame, ids: pl.DataFrame) -> pl.DataFrame:
        asked = self._engine.load(ids.select("concept"), "concepts_asked")
        return self._engine.collect(frame.join(asked, on="concept", how="inner"))

    def _table(self, name: str, ids: tuple[str, ...], texts: tuple[str, ...]) -> Frame | None:
        if name not in self._tables:
            return None
        wanted = Columns(ids=ids, texts=texts)
        return typed(self._tables[name](None), wanted, self._engine).select(*wanted.all)


def _empty(column: str, text: bool = False) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(schema={"concept": pl.Int64, column: pl.String if text else pl.Int64})
