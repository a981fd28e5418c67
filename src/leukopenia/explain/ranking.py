"""The room in order: evidence, line-up, timing, score."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col

from leukopenia.contracts import Knowledge
from leukopenia.explain import candidates, evidence, model, score, timing
from leukopenia.explain.evidence import Records
from leukopenia.policy import Policy

Frame = nw.LazyFrame[Any]
Keep = Callable[[Frame, str], Frame]
"""Computes a frame once, for a table with more than one reader."""

_SPAN_SOURCES = ("exposure", "condition")
_CHECKED = ("chemotherapy_recent", "g_csf_recent")


@dataclass(frozen=True)
class Explained:
    """What the room has made."""

    causes: Frame
    cause_evidence: Callable[[], Frame]
    evidence: Frame


def small_tables(knowledge: Knowledge, policy: Policy) -> dict[str, list[dict[str, Any]]]:
    """The knowledge of the room as rows of numbers, to be brought into the engine.

    Returns
    -------
    dict of str to list of dict
        profiles, places, signs, effects, interactions, value_criteria, span_criteria, pattern_clues, checked.
    """
    known = model.profiles(knowledge, policy)
    logs = [{**row, "log_alpha": None if row["alpha"] is None else math.log(row["alpha"])} for row in known]
    no_cause = [row["id"] for row in model.cause_rows(knowledge) if row["lineage"] == "none"]
    return {
        "profiles": logs,
        "places": [{"cause_id": row["cause_id"], "profile_no": row["profile_no"]} for row in known]
        + [{"cause_id": cause, "profile_no": -1} for cause in no_cause],
        "signs": model.signs(knowledge),
        "effects": model.effects(knowledge, policy),
        "interactions": model.interactions(knowledge, policy),
        "value_criteria": _value_criteria(knowledge),
        "span_criteria": _span_criteria(knowledge),
        "pattern_clues": [{"clue": clue} for clue in evidence.PATTERN],
        "checked": [{"clue": clue} for clue in _CHECKED],
    }


def _value_criteria(knowledge: Knowledge) -> list[dict[str, Any]]:
    return [
        {
            "clue": row["clue"],
            "signal": row["signal"],
            "operator": row["operator"],
            "limit": float(row["limit"]) if row["limit"] else None,
            "from_minutes": int(float(row["from_days"]) * evidence.DAY),
            "to_minutes": int(float(row["to_days"]) * evidence.DAY),
            "sex": row["sex"],
        }
        for row in knowledge["clue_criteria"]
        if row["source"] in ("count", "finding")
    ]


def _span_criteria(knowledge: Knowledge) -> list[dict[str, Any]]:
    return [
        {
            "clue": row["clue"],
            "signal": signal,
            "from_minutes": int(float(row["from_days"]) * evidence.DAY),
            "to_minutes": int(float(row["to_days"]) * evidence.DAY),
        }
        for row in knowledge["clue_criteria"]
        if row["source"] in _SPAN_SOURCES
        for signal in _signals(row["signal"], knowledge)
    ]


def _signals(signal: str, knowledge: Knowledge) -> list[str]:
    return model.group_ids(knowledge, signal.removeprefix("group:")) if signal.startswith("group:") else [signal]


def rank(
    episodes: Frame,
    records: Records,
    small: Mapping[str, Frame],
    knowledge: Knowledge,
    policy: Policy,
    keep: Keep,
) -> Explained:
    """Rank the causes of every episode.

    Parameters
    ----------
    episodes : Frame
        contracts.EPISODES; those of the lines in policy `explain.analytes` are explained.
    records : Records
        What the persons have on record.
    small : mapping of str to Frame
        `small_tables`, in the engine.
    knowledge, policy
        Weights, scales and windows.
    keep : callable
        Engine.materialise.

    Returns
    -------
    Explained
        contracts.CAUSES, contracts.CAUSE_EVIDENCE (made when asked for), and the evidence itself.
    """
    chosen = episodes.filter(col("analyte").is_in(list(policy.names("explain.analytes"))))
    scope = keep(evidence.scope(chosen, records.patients).with_row_index("no", order_by="episode_id"), "explain_scope")
    names = scope.select("episode_id", no=col("no").cast(nw.Int64))
    scope = scope.with_columns(episode_id=col("no").cast(nw.Int64)).drop("no")
    pattern = keep(evidence.pattern(scope, records.lines), "explain_pattern")
    found = keep(_evidence(scope, pattern, records, small), "explain_evidence")
    own = model.own_effects(knowledge, policy)
    other = model.profile_of(model.OTHER_DRUG, knowledge)
    lined = keep(_line_up(scope, found, records, small, own, other, policy, keep), "explain_candidates")
    known = score.with_lineage(lined, pattern, small["profiles"], policy.number("explain.lineage_scale"))
    clues = score.clue_rows(lined, found, small["signs"], small["effects"], own)
    together = score.partners(lined, found, small["interactions"])
    causes = score.causes(known, clues, together, policy.number("explain.temperature"))
    return Explained(
        keep(_named(causes, names), "causes"),
        lambda: _named(nw.concat([clues, score.own_rows(lined, own)]), names),
        _named(found, names),
    )


def _named(rows: Frame, names: Frame) -> Frame:
    """Inside the room episodes are numbers, which join and sort faster than their ids."""
    columns = rows.collect_schema().names()
    return rows.rename({"episode_id": "no"}).join(names, on="no").select(*columns)


def _evidence(scope: Frame, pattern: Frame, records: Records, small: Mapping[str, Frame]) -> Frame:
    return evidence.merged(
        [
            evidence.of_pattern(pattern, small["pattern_clues"]),
            evidence.of_values(scope, records.lines, records.findings, small["value_criteria"]),
            evidence.of_spans(scope, records.exposures, records.conditions, small["span_criteria"], small["checked"]),
            evidence.of_mentions(scope, records.mentions),
        ]
    )


def _line_up(
    scope: Frame,
    found: Frame,
    records: Records,
    small: Mapping[str, Frame],
    own: timing.Own,
    other: int,
    policy: Policy,
    keep: Keep,
) -> Frame:
    profiles = small["profiles"]
    exposed = timing.exposed(scope, records.exposures, small["places"], profiles, other)
    followed = timing.followed(timing.timed(exposed, policy), own)
    scale = policy.number("explain.prior_scale")
    drugs = keep(candidates.of_exposures(timing.best_interval(followed), scale), "explain_drugs")
    recorded = candidates.of_conditions(
        scope,
        records.conditions,
        profiles,
        scale * math.log(policy.number("explain.doubt")),
        scale * math.log(policy.number("explain.chronic_share")),
        policy.number("explain.window_days"),
        policy.number("explain.timing_scale"),
    )
    hinted = candidates.suggested(found, small["effects"], profiles, policy.number("explain.suggests"))
    return candidates.line_up(
        drugs,
        candidates.combinations(drugs, profiles),
        keep(recorded, "explain_conditions"),
        keep(hinted, "explain_hinted"),
        candidates.always(scope, profiles),
        candidates.unexplained(scope, scale * math.log(_unexplained(policy))),
    )


def _unexplained(policy: Policy) -> float:
    """How often, in the reference window, a count falls for no reason, or for one that is not on record."""
    found_nothing = policy.number("explain.unexplained_share") * policy.number("explain.background_rate")
    return found_nothing + policy.number("explain.untold_rate")
