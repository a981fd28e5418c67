"""Candidates + evidence -> causes: one sum of terms each, and probabilities that add to 1 in every episode."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import CAUSE_EVIDENCE, CAUSES
from leukopenia.explain.model import FACTORS, LINES, OWN, TERMS
from leukopenia.explain.timing import Own, told

Frame = nw.LazyFrame[Any]

AGAINST = ("started_after_onset", "stopped_long_before", "recovered_while_continued")
"""Courses that clear a drug."""

_NOT_THERE = AGAINST[:2]
"""Courses of a drug that was not taken at the time."""

_PROFILES = 10_000
"""More than there are causes: sign and profile in one whole number."""


def with_lineage(candidates: Frame, pattern: Frame, profiles: Frame, scale: float) -> Frame:
    """Add `lineage`: what the lines that fell, and those that did not, say of each candidate."""
    ratios = [f"{said}_{line}" for said in ("low", "kept") for line in LINES]
    lows = [f"low_{line}" for line in LINES]
    seen = pattern.select(
        "episode_id", "patient_id", "onset", "analyte", *[col(name).alias(f"is_{name}") for name in lows]
    )
    known = candidates.join(profiles.select("profile_no", *ratios), on="profile_no", how="left").join(
        seen, on="episode_id"
    )
    term = lit(0.0)
    for line in LINES:
        low = col(f"is_low_{line}")
        term = term + when(low == 1).then(col(f"low_{line}")).when(low == 0).then(col(f"kept_{line}")).otherwise(
            lit(0.0)
        ).fill_null(0.0)
    return known.with_columns(lineage=term * scale).drop(*ratios, *[f"is_{name}" for name in lows])


def clue_rows(candidates: Frame, evidence: Frame, signs: Frame, effects: Frame, own: Own) -> Frame:
    """Every clue that speaks for or against a candidate.

    Returns
    -------
    Frame
        episode_id, cause_id, factor, clue, state, effect (nats), minute, source, row_id, source_id.
    """
    general = evidence.filter(col("cause") == "").join(signs, on=["clue", "state"]).drop("cause", "clue", "state")
    weighed = effects.select(
        "clue",
        "state",
        "factor",
        "effect",
        "source_id",
        pair=col("sign_no") * _PROFILES + col("profile_no"),
    )
    # A record is not a clue to itself: neither the drug or condition, nor the text that names both. Rows of results are
    # numbered on their own, so that their ids say nothing here.
    told = (col("signal") == "") & (col("row_id") != "")
    itself = (col("signal") == col("cause_id")) | (
        told & (col("row_id") == col("own_row")) & (col("source") == col("own_source"))
    )
    met = (
        candidates.select("episode_id", "cause_id", "profile_no", own_source="source", own_row="row_id")
        .join(general, on="episode_id")
        .filter(~itself)
        .with_columns(pair=col("sign_no") * _PROFILES + col("profile_no"))
        .join(weighed, on="pair")
        .select(*CAUSE_EVIDENCE.names)
    )
    return nw.concat([met, _named(candidates, evidence, own)])


def _named(candidates: Frame, evidence: Frame, own: Own) -> Frame:
    """Clues that name their cause: a positive test for it. What a drug's own dates say is not said twice."""
    own_clues = [f"{name}_clue" for name in OWN]
    said = lit(False)
    for name in own_clues:
        said = said | ((col("state") == "present") & (col("clue") == col(name)))
    return (
        evidence.filter(col("cause") != "")
        .rename({"cause": "cause_id"})
        .join(candidates.select("episode_id", "cause_id", *own_clues), on=["episode_id", "cause_id"])
        .with_columns(**told("clue", own, col("state"))._asdict())
        .filter(col("factor") != "", ~said)
        .select(*CAUSE_EVIDENCE.names)
    )


def partners(candidates: Frame, evidence: Frame, interactions: Frame) -> Frame:
    """The strongest interaction of each candidate with something else at hand: a drug, a condition or a clue."""
    at_hand = nw.concat(
        [
            candidates.filter(
                col("because").is_in(["exposure", "recorded"]), ~col("course_clue").is_in(list(_NOT_THERE))
            ).select("episode_id", partner="cause_id"),
            evidence.filter(col("state") == "present", col("cause") == "").select("episode_id", partner="clue"),
        ]
    )
    met = (
        candidates.select("episode_id", "cause_id")
        .join(interactions, on="cause_id")
        .join(at_hand, on=["episode_id", "partner"])
        .with_columns(weaker=-col("effect"))
    )
    best = met.unique(subset=["episode_id", "cause_id"], keep="first", order_by=["weaker", "partner"])
    return best.select("episode_id", "cause_id", "partner", interaction="effect")


def causes(candidates: Frame, clues: Frame, partners: Frame, temperature: float) -> Frame:
    """contracts.CAUSES: every candidate with its terms, score, probability and rank."""
    key = ["episode_id", "cause_id"]
    summed = clues.group_by(*key).agg(**{f"said_{factor}": _of(factor).sum().cast(nw.Int64) for factor in FACTORS})
    joined = candidates.join(summed, on=key, how="left").join(partners, on=key, how="left")
    terms = {
        factor: col(f"said_{factor}").fill_null(0).cast(nw.Float64) * 1e-6 + (col(factor) if factor in OWN else 0.0)
        for factor in FACTORS
    }
    known = joined.with_columns(
        **terms, interaction=col("interaction").fill_null(0.0), partner=col("partner").fill_null("")
    )
    total = lit(0.0)
    for term in TERMS:
        total = total + col(term)
    scored = known.with_columns(score=total)
    return _ranked(scored, temperature).select(*CAUSES.names)


def _of(factor: str) -> nw.Expr:
    """Effects in millionths: whole numbers add to the same sum in any order."""
    return when(col("factor") == factor).then((col("effect") * 1e6 + 0.5).floor()).otherwise(0.0).cast(nw.Int64)


def _ranked(scored: Frame, temperature: float) -> Frame:
    """Ranks rest on millionths, so that engines whose logarithms differ in the last bit agree."""
    episode = "episode_id"
    placed = scored.with_columns(
        below=-(col("score") * 1e6 + 0.5).floor(), best=col("score").max().over(episode)
    ).with_columns(weight=_whole(((col("score") - col("best")) * (1 / temperature)).exp()))
    shared = placed.with_columns(
        total=col("weight").sum().over(episode).cast(nw.Int64),
        rank=col("cause_id").cum_count().over(episode, order_by=["below", "cause_id"]).cast(nw.Int64),
    )
    against = when(col("course_clue").is_in(list(AGAINST)))
    return shared.with_columns(
        probability=col("weight").cast(nw.Float64) * col("total").cast(nw.Float64) ** -1.0,
        against=against.then(col("course_clue")).otherwise(lit("")),
    )


def _whole(weight: nw.Expr) -> nw.Expr:
    """Weights in units of 10^-12, for the same reason."""
    return (weight * 1e12 + 0.5).floor().cast(nw.Int64)


def own_rows(causes: Frame, own: Own) -> Frame:
    """The course, rechallenge, dose and history of each drug as rows of evidence."""
    return nw.concat([_own_rows(causes, f"{name}_clue", own) for name in OWN])


def _own_rows(causes: Frame, clue: str, own: Own) -> Frame:
    named = causes.filter(col(clue) != "").with_columns(
        **told(clue, own)._asdict(), clue=col(clue), state=lit("present"), minute=col("start")
    )
    return named.filter(col("factor") != "").select(*CAUSE_EVIDENCE.names)
