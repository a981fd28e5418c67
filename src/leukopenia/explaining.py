"""Where the explain room meets its inputs: the records of the persons with an episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import polars as pl
from narwhals.stable.v2 import col, when

from leukopenia.contracts import Knowledge
from leukopenia.engine import Engine, Frame
from leukopenia.explain import instruments, look_again, ranking
from leukopenia.explain.evidence import Records
from leukopenia.policy import Policy

Later = Callable[[], Frame]
LINES = ("patient_id", "analyte", "minute", "value", "limit_low", "limit_high", "is_low")
"""The columns of counts that the room wants."""

_SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("limit", "alpha", "beta", "log_alpha", "log_background", "effect"), pl.Float64),
    "suggests": pl.Boolean,
    **dict.fromkeys(("from_minutes", "to_minutes", "profile_no", "sign_no"), pl.Int64),
}
"""Columns that are not text; those of the profiles that no row fills must not be guessed."""

_CHANCES: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(look_again.CHANCES, pl.String),
    **dict.fromkeys(("days_from", "days_to"), pl.Int64),
    **dict.fromkeys(("positive", "otherwise"), pl.Float64),
}

_EMPTY = {
    "signs": ("clue", "state", "sign_no"),
    "effects": ("clue", "state", "sign_no", "cause_id", "profile_no", "factor", "effect", "suggests", "source_id"),
    "interactions": ("cause_id", "partner", "effect"),
    "value_criteria": ("clue", "signal", "operator", "limit", "from_minutes", "to_minutes", "sex"),
    "span_criteria": ("clue", "signal", "from_minutes", "to_minutes"),
}
"""Tables that may have no row."""


@dataclass(frozen=True)
class Explained:
    """The tables of the explain room; those that nobody may ask for are made when asked for."""

    causes: Frame
    cause_evidence: Later
    causality: Later
    disagreements: Later
    next_steps: Later


def explain(episodes: Frame, records: Records, engine: Engine, knowledge: Knowledge, policy: Policy) -> Explained:
    """Rank the causes of every episode and fill the instruments; see `leukopenia.explain.ranking.rank`."""
    choice = _Choice(knowledge, _chosen(policy))
    small = {name: engine.load(table, f"explain_{name}") for name, table in _small_tables(choice).items()}
    ranked = ranking.rank(episodes, records, small, knowledge, policy, engine.materialise)

    @cache
    def evidence() -> Frame:
        return engine.materialise(ranked.cause_evidence(), "cause_evidence")

    @cache
    def causality() -> Frame:
        made = instruments.instruments(ranked.causes, evidence(), episodes, knowledge, policy)
        return engine.materialise(made, "causality")

    def next_steps() -> Frame:
        chances = engine.load(_chances(choice), "explain_chances")
        return look_again.look_again(ranked.causes, ranked.evidence.rename({"cause": "cause_id"}), chances, policy)

    return Explained(
        ranked.causes, evidence, causality, lambda: instruments.disagreements(ranked.causes, causality()), next_steps
    )


@dataclass(frozen=True, eq=False)
class _Choice:
    """Knowledge and the policy of the room: the same for every run of a session, so its tables are made once."""

    knowledge: Knowledge
    policy: tuple[tuple[str, str], ...]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Choice):
            return NotImplemented
        return other.policy == self.policy and other.knowledge is self.knowledge

    def __hash__(self) -> int:
        return hash((id(self.knowledge), self.policy))


def _chosen(policy: Policy) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in policy.values.items() if name.startswith("explain.")))


@lru_cache(maxsize=4)
def _small_tables(choice: _Choice) -> dict[str, pl.DataFrame]:
    rows = ranking.small_tables(choice.knowledge, Policy(dict(choice.policy)))
    return {name: _frame(name, part) for name, part in rows.items()}


@lru_cache(maxsize=4)
def _chances(choice: _Choice) -> pl.DataFrame:
    effects = _small_tables(choice)["effects"].to_dicts()
    rows = look_again.chances(choice.knowledge, effects, Policy(dict(choice.policy)))
    return pl.DataFrame(rows, schema=_CHANCES)


def records(
    limited: Frame,
    findings: Frame,
    conditions: Frame,
    exposures: Frame,
    patients: Frame,
    mentions: Frame,
    as_of: int | None,
) -> Records:
    """What was known on the day asked for; without such a day, everything."""
    lines = limited.select(*LINES)
    if as_of is None:
        return Records(lines, findings, conditions, exposures, patients, mentions)
    return Records(
        lines.filter(col("minute") <= as_of),
        findings.filter(col("minute") <= as_of),
        _until(conditions, as_of),
        _until(exposures, as_of),
        patients,
        mentions,
    )


def _until(spans: Frame, as_of: int) -> Frame:
    """A span that goes on beyond the day is not known to have ended."""
    kept = spans.filter(col("start").is_null() | (col("start") <= as_of))
    return kept.with_columns(end=when(col("end") <= as_of).then(col("end")))


def _frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    columns = tuple(rows[0]) if rows else _EMPTY[name]
    known = {column: _SCHEMA[column] for column in columns if column in _SCHEMA}
    if not rows:
        return pl.DataFrame(schema={column: known.get(column, pl.String) for column in columns})
    return pl.DataFrame(rows, schema_overrides=known, infer_schema_length=None)
