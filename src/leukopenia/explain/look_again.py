"""What to look at next: the tests whose answer is expected to tell most about which leading cause it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import NEXT_STEPS, Knowledge
from leukopenia.errors import KnowledgeError
from leukopenia.policy import Policy

Frame = nw.LazyFrame[Any]

LEADING = 5
"""So many leading causes of an episode are held apart."""

CHANCES = ("test", "name", "target", "days_from", "days_to", "cause_id", "positive", "otherwise", "source_id")
_DIGITS = 6
_QUESTION = ("episode_id", "test", "target")


def chances(knowledge: Knowledge, effects: Sequence[Mapping[str, Any]], policy: Policy) -> list[dict[str, Any]]:
    """How likely each test is to be positive under each cause that it bears on.

    A test of a cause is positive in `explain.test_found` of those that have it and in `explain.test_false` of the
    others. A sign is found in `explain.sign_share` of those of whom it says nothing; its weight for or against a
    cause (nats) moves the logarithm of those odds.

    Parameters
    ----------
    knowledge : Knowledge
        Uses look_again, causes_drugs, causes_conditions and clues.
    effects : sequence of mappings
        What model.effects gives: clue, state, cause_id, effect.
    policy : Policy
        explain.test_found, explain.test_false, explain.sign_share.

    Returns
    -------
    list of dict
        One row a test, target and cause that it bears on: `positive`, and under `otherwise` the chance for a cause
        that has no row.

    Raises
    ------
    KnowledgeError
        A target that is neither a cause nor a clue.
    """
    causes = {row["id"] for row in (*knowledge["causes_drugs"], *knowledge["causes_conditions"])}
    clues = {row["clue"] for row in knowledge["clues"]}
    found, false = policy.number("explain.test_found"), policy.number("explain.test_false")
    share = policy.number("explain.sign_share")
    made = []
    for row in knowledge["look_again"]:
        if row["target"] not in causes | clues:
            raise KnowledgeError(f"look_again: {row['target']!r} is neither a cause nor a clue.")
        if row["target"] in causes:
            made.append(_chance(row, row["target"], found, false))
            continue
        made += [
            _chance(row, one["cause_id"], _moved(share, one["effect"]), share)
            for one in effects
            if one["clue"] == row["target"] and one["state"] == "present"
        ]
    return made


def _chance(row: Mapping[str, str], cause: str, positive: float, otherwise: float) -> dict[str, Any]:
    days = {name: int(row[name]) if row[name] else None for name in ("days_from", "days_to")}
    texts = {name: row[name] for name in ("test", "name", "target", "source_id")}
    return texts | days | {"cause_id": cause, "positive": positive, "otherwise": otherwise}


def _moved(share: float, effect: float) -> float:
    return 1 / (1 + (1 - share) / share * math.exp(-effect))


def look_again(causes: Frame, evidence: Frame, chances: Frame, policy: Policy) -> Frame:
    """contracts.NEXT_STEPS: for each episode the open tests that tell most, at most `explain.next_steps`.

    What a test tells is the mutual information between its answer and the cause, among the leading causes with their
    probabilities made to add to 1. A test that answers several questions counts for the best of them.

    Parameters
    ----------
    causes : Frame
        contracts.CAUSES.
    evidence : Frame
        episode_id, cause_id, clue: what is known already. A clue that is known, present or absent, is not looked for
        again, whatever its cause_id; nor is a cause that is `confirmed` (present or absent) or on record.
    chances : Frame
        The rows of `chances`.
    policy : Policy
        explain.next_steps.
    """
    leading = causes.filter(col("rank") <= LEADING).with_columns(
        share=col("probability") / col("probability").sum().over("episode_id")
    )
    bearing = leading.select("episode_id", "cause_id", "rank", "share", "because").join(chances, on="cause_id")
    recorded = (col("because") == "recorded") & (col("target") == col("cause_id"))
    asked = (
        bearing.filter(~recorded)
        .join(_known(evidence), on=["episode_id", "target"], how="anti")
        .group_by(*_QUESTION, "name", "days_from", "days_to", "otherwise", "source_id")
        .agg(
            told=col("share").sum(),
            expected=(col("share") * col("positive")).sum(),
            settled=(col("share") * _uncertainty(col("positive"))).sum(),
            **{f"cause_{place}": _at(place) for place in range(1, LEADING + 1)},
        )
    )
    return _best(asked.with_columns(information=_information(), separates=_separates()), policy)


def _known(evidence: Frame) -> Frame:
    confirmed = evidence.filter(col("clue") == "confirmed").select("episode_id", target="cause_id")
    clues = evidence.filter(col("clue") != "confirmed").select("episode_id", target="clue")
    return nw.concat([confirmed, clues]).unique()


def _uncertainty(chance: nw.Expr) -> nw.Expr:
    """Entropy of a yes or no, in nats."""
    return -(chance * chance.log() + (1.0 - chance) * (1.0 - chance).log())


def _at(place: int) -> nw.Expr:
    return when(col("rank") == place).then(col("cause_id")).max()


def _information() -> nw.Expr:
    """Uncertainty about the answer, less what of it would remain if the cause were known."""
    rest = 1.0 - col("told")
    overall = col("expected") + rest * col("otherwise")
    remaining = col("settled") + rest * _uncertainty(col("otherwise"))
    return (_uncertainty(overall) - remaining).round(_DIGITS)


def _separates() -> nw.Expr:
    places = [col(f"cause_{place}") for place in range(1, LEADING + 1)]
    return nw.concat_str(places, separator=";", ignore_nulls=True)


def _best(asked: Frame, policy: Policy) -> Frame:
    telling = asked.filter(col("information") > 0).with_columns(least=-col("information"), one=lit(1))
    best = telling.unique(subset=["episode_id", "test"], keep="first", order_by=["least", "target"])
    step = col("one").cum_sum().over("episode_id", order_by=["least", "test"]).cast(nw.Int64)
    numbered = best.with_columns(step=step)
    return numbered.filter(col("step") <= int(policy.number("explain.next_steps"))).select(*NEXT_STEPS.names)
