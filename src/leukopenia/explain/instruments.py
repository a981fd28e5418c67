"""Three published instruments of drug causality, filled in from the records: Naranjo, WHO-UMC and a summary of the
criteria for drug-induced cytopenias.

What the records do not say is unknown, never no.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import CAUSALITY, Knowledge, Rows
from leukopenia.explain.model import COMBINATION, TERMS, UNEXPLAINED
from leukopenia.policy import Policy

Frame = nw.LazyFrame[Any]
KEY = ("episode_id", "cause_id")
DAY = 1440
LEADING = 3
"""A drug that an instrument holds probable should be among so many leading causes."""

G_CSF = "g_csf_recent"
CLUES = (
    "recovered_after_stop",
    "no_recovery_after_stop",
    "recovered_while_continued",
    "rechallenge_positive",
    "rechallenge_negative",
    "toxic_level",
    "dose_increased",
    "similar_before",
)
MISPLACED = ("started_after_onset", "stopped_long_before")
_EQUAL = 1e-9
_WRITTEN = ("instrument", "item", "answer", "because", "points", "verdict")
_ANSWERED_BY = {
    "naranjo_1": "reported",
    "naranjo_2": "after",
    "naranjo_3": "withdrawal",
    "naranjo_4": "rechallenge",
    "naranjo_5": "other_cause",
    "naranjo_6": "placebo",
    "naranjo_7": "level",
    "naranjo_8": "dose_effect",
    "naranjo_9": "similar",
    "naranjo_10": "objective",
    "who_umc_time": "time",
    "who_umc_other_cause": "other_cause",
    "who_umc_withdrawal": "withdrawal",
    "who_umc_definitive": "reported",
    "who_umc_rechallenge": "rechallenge",
    "benichou_summary_onset": "near",
    "benichou_summary_recovery": "recovered",
    "benichou_summary_no_other_cause": "no_other_cause",
}
"""The fact that answers each item."""


def instruments(causes: Frame, evidence: Frame, episodes: Frame, knowledge: Knowledge, policy: Policy) -> Frame:
    """contracts.CAUSALITY: every item and the verdict of each instrument, for every drug among the candidates.

    Parameters
    ----------
    causes : Frame
        contracts.CAUSES.
    evidence : Frame
        contracts.CAUSE_EVIDENCE, of all candidates. Rows of G-CSF count for the whole episode, whatever their cause.
    episodes : Frame
        contracts.EPISODES: analyte, last_low and recovery are used.
    knowledge : Knowledge
        Uses instruments, instrument_verdicts and causes_drugs.
    policy : Policy
        explain.rival, explain.looked_for.
    """
    drugs = causes.filter(col("because") == "exposure").join(
        episodes.select("episode_id", "analyte", "last_low", "recovery"), on="episode_id"
    )
    asked = (
        drugs.join(_clues(evidence), on=list(KEY), how="left")
        .join(_g_csf(evidence), on="episode_id", how="left")
        .join(_rivals(drugs, causes, evidence, knowledge, policy), on=list(KEY), how="left")
        .join(_looked_for(drugs, evidence, knowledge), on=list(KEY), how="left")
    )
    answered = asked.with_columns(**_facts(knowledge, policy))
    return _long(_judged(answered, knowledge), knowledge["instruments"])


def _clues(evidence: Frame) -> Frame:
    """For each candidate, 1 in `<clue>_present` or `<clue>_absent` where the records say so."""
    said = {
        f"{clue}_{state}": when((col("clue") == clue) & (col("state") == state)).then(1).max()
        for clue in CLUES
        for state in ("present", "absent")
    }
    return evidence.filter(col("clue").is_in(list(CLUES))).group_by(*KEY).agg(**said)


def _g_csf(evidence: Frame) -> Frame:
    given = evidence.filter((col("clue") == G_CSF) & (col("state") == "present"))
    return given.select("episode_id").unique().with_columns(g_csf=lit(1))


def _others(drugs: Frame, others: Frame, knowledge: Knowledge) -> Frame:
    """Each drug beside each other candidate; a cytotoxic drug has no rival in the chemotherapy it is part of."""
    agents = [row["id"] for row in knowledge["causes_drugs"] if row["cause_class"] == "chemotherapy"]
    own = (col("rival") == COMBINATION) & col("cause_id").is_in(agents)
    pairs = drugs.select(*KEY).join(others, on="episode_id")
    return pairs.filter(col("rival") != col("cause_id"), col("rival") != UNEXPLAINED, ~own)


def _rivals(drugs: Frame, causes: Frame, evidence: Frame, knowledge: Knowledge, policy: Policy) -> Frame:
    """`rival`: the leading other cause that is likely enough; `contradicted`: 1 where clues speak against them all."""
    sums = evidence.filter(col("factor") == "clues").group_by(*KEY).agg(clue_sum=col("effect").sum())
    against = when(col("clue_sum") < -_EQUAL).then(1).otherwise(0)
    others = (
        causes.join(sums, on=list(KEY), how="left")
        .with_columns(against_it=against)
        .select("episode_id", "probability", "rank", "against_it", rival="cause_id")
    )
    likely = col("probability") >= policy.number("explain.rival")
    pairs = _others(drugs, others, knowledge)
    best = pairs.group_by(*KEY).agg(rank=when(likely).then(col("rank")).min(), contradicted=col("against_it").min())
    return best.join(others.select("episode_id", "rank", "rival"), on=["episode_id", "rank"], how="left").select(
        *KEY, "rival", "contradicted"
    )


def _looked_for(drugs: Frame, evidence: Frame, knowledge: Knowledge) -> Frame:
    """`looked_for`: how many signs of other causes were looked for and found absent."""
    absent = evidence.filter((col("factor") == "clues") & (col("state") == "absent") & (col("effect") < 0))
    pairs = _others(drugs, absent.select("episode_id", "clue", rival="cause_id"), knowledge)
    return pairs.group_by(*KEY).agg(looked_for=col("clue").n_unique())


def _facts(knowledge: Knowledge, policy: Policy) -> dict[str, nw.Expr]:
    """The facts behind the items, each as `answer;what gave it`."""
    days = {row["item"]: int(row["days"]) for row in knowledge["instruments"] if row["days"]}
    return {
        "reported": _reported(knowledge["causes_drugs"]),
        "after": _after(),
        "withdrawal": _withdrawal(),
        "rechallenge": _answer(("rechallenge_positive", "present"), ("rechallenge_negative", "present")),
        "other_cause": _other_cause(policy, "yes", "no"),
        "placebo": lit("unknown;"),
        "level": _answer(("toxic_level", "present"), ("toxic_level", "absent")),
        "dose_effect": _answer(("dose_increased", "present"), ("dose_increased", "absent")),
        "similar": _answer(("similar_before", "present"), ("similar_before", "absent")),
        "objective": lit("yes;count"),
        "time": _time(),
        "near": _near(days["onset"]),
        "recovered": _recovered(days["recovery"]),
        "no_other_cause": _other_cause(policy, "no", "yes"),
    }


def _decided(*cases: tuple[nw.Expr, str, str]) -> nw.Expr:
    """The first case that holds, else unknown; an unknown condition does not hold."""
    said = lit("unknown;")
    for condition, answer, because in reversed(cases):
        said = when(condition).then(lit(f"{answer};{because}")).otherwise(said)
    return said


def _is(name: str, answer: str) -> nw.Expr:
    return col(name).str.starts_with(f"{answer};")


def _said(clue: str, state: str) -> nw.Expr:
    return col(f"{clue}_{state}") == 1


def _answer(yes: tuple[str, str], no: tuple[str, str]) -> nw.Expr:
    return _decided((_said(*yes), "yes", yes[0]), (_said(*no), "no", no[0]))


def _reported(drugs: Rows) -> nw.Expr:
    """Known of this very drug; a warning for its whole class is none."""
    classes = sorted({row["evidence_class"] for row in drugs if row["evidence_class"]})
    named = {one: [row["id"] for row in drugs if row["evidence_class"] == one] for one in classes}
    return _decided(
        *((col("cause_id").is_in(ids), "no" if one == "class_only" else "yes", one) for one, ids in named.items())
    )


def _after() -> nw.Expr:
    return _decided(
        (col("start") <= col("onset"), "yes", "started_before_onset"),
        (col("start") > col("onset"), "no", "started_after_onset"),
    )


def _withdrawal() -> nw.Expr:
    """G-CSF raises the count whether or not the drug is stopped."""
    better = _said("recovered_after_stop", "present")
    return _decided(
        (better & (col("g_csf") == 1), "unknown", G_CSF),
        (better, "yes", "recovered_after_stop"),
        (_said("no_recovery_after_stop", "present"), "no", "no_recovery_after_stop"),
        (_said("recovered_while_continued", "present"), "no", "recovered_while_continued"),
        (_said("recovered_after_stop", "absent"), "no", "recovered_after_stop"),
    )


def _other_cause(policy: Policy, there: str, none: str) -> nw.Expr:
    searched = _decided(
        (col("looked_for") >= int(policy.number("explain.looked_for")), none, "looked_for"),
        (col("contradicted") == 1, none, "all_contradicted"),
    )
    named = nw.concat_str(lit(f"{there};"), col("rival"))
    return when(col("rival").is_null()).then(searched).otherwise(named)


def _time() -> nw.Expr:
    late = col("start") > col("onset")
    return _decided(
        *((col("against") == one, "no", one) for one in MISPLACED),
        (late, "no", "started_after_onset"),
        (~late, "yes", "started_before_onset"),
    )


def _near(days: int) -> nw.Expr:
    since = col("onset") - col("end")
    return _decided(
        (col("start") > col("onset"), "no", "started_after_onset"),
        (since > days * DAY, "no", "stopped_before"),
        ((since <= 0) & (col("start") <= col("onset")), "yes", "during"),
        ((since > 0) & (col("start") <= col("onset")), "yes", "soon_after"),
    )


def _recovered(days: int) -> nw.Expr:
    """Still low a month after the last dose is no; a death or a loss within that month leaves it unknown."""
    since = col("recovery") - col("end")
    lasting = col("recovery").is_null() & (col("last_low") - col("end") >= days * DAY)
    return _decided(
        (_said("recovered_while_continued", "present"), "no", "recovered_while_continued"),
        ((since > days * DAY) | lasting, "no", "no_recovery_after_stop"),
        ((since >= 0) & (col("g_csf") == 1), "unknown", G_CSF),
        (since >= 0, "yes", "recovered_after_stop"),
    )


def _judged(answered: Frame, knowledge: Knowledge) -> Frame:
    """Add the points of each answer, their sum, and as `<instrument>_total` the verdicts."""
    naranjo = [row for row in knowledge["instruments"] if row["instrument"] == "naranjo"]
    scored = answered.with_columns(**{f"naranjo_{row['item']}_points": _points(row) for row in naranjo})
    total = nw.sum_horizontal(*(f"naranjo_{row['item']}_points" for row in naranjo)).cast(nw.Int64)
    lowest = [row for row in knowledge["instrument_verdicts"] if row["instrument"] == "naranjo"]
    verdict = lit("")
    for row in sorted(lowest, key=lambda row: (row["at_least"] != "", int(row["at_least"] or 0))):
        reached = col("naranjo_total_points") >= int(row["at_least"]) if row["at_least"] else lit(True)
        verdict = when(reached).then(lit(row["verdict"])).otherwise(verdict)
    return scored.with_columns(naranjo_total_points=total).with_columns(
        naranjo_total=verdict, who_umc_total=_who_umc(), benichou_summary_total=_benichou()
    )


def _points(row: Mapping[str, str]) -> nw.Expr:
    fact, points = _ANSWERED_BY[f"naranjo_{row['item']}"], lit(int(row["points_unknown"]))
    for answer in ("yes", "no"):
        points = when(_is(fact, answer)).then(lit(int(row[f"points_{answer}"]))).otherwise(points)
    return points.cast(nw.Int64)


def _who_umc() -> nw.Expr:
    alone = _is("other_cause", "no") & _is("withdrawal", "yes")
    nothing = _is("other_cause", "unknown") & _is("withdrawal", "unknown")
    return (
        when(_is("time", "no"))
        .then(lit("unlikely"))
        .when(_is("time", "unknown") & nothing)
        .then(lit("unassessable"))
        .when(_is("time", "unknown"))
        .then(lit("conditional"))
        .when(_is("other_cause", "yes") & _is("withdrawal", "no"))
        .then(lit("unlikely"))
        .when(alone & _is("rechallenge", "yes") & _is("reported", "yes"))
        .then(lit("certain"))
        .when(alone & ~_is("rechallenge", "no"))
        .then(lit("probable"))
        .otherwise(lit("possible"))
    )


def _benichou() -> nw.Expr:
    facts = ("near", "recovered", "no_other_cause")
    failed = nw.any_horizontal(*(_is(fact, "no") for fact in facts), ignore_nulls=False)
    met = nw.all_horizontal(*(_is(fact, "yes") for fact in facts), ignore_nulls=False)
    return when(failed).then(lit("not_met")).when(met).then(lit("met")).otherwise(lit("open"))


def _long(judged: Frame, items: Rows) -> Frame:
    """One row an item: the items of a drug are written side by side, then each is picked and taken apart."""
    pairs = [(row["instrument"], row["item"]) for row in items]
    pairs += [(instrument, "total") for instrument in sorted({one for one, _ in pairs})]
    written = {f"{instrument}_{item}": _written(instrument, item) for instrument, item in pairs}
    # `unpivot` would leave the connection of DuckDB; `|` would be a pattern to Spark.
    wide = judged.select(*KEY, "analyte", **written, asked=lit(";".join(written)).str.split(";"))
    said = lit("")
    for name in written:
        said = when(col("asked") == name).then(col(name)).otherwise(said)
    picked = wide.explode("asked", empty_as_null=False, keep_nulls=False).select(*KEY, "analyte", said=said)
    rows = picked.with_columns(
        **{name: col("said").str.split(";").list.get(place) for place, name in enumerate(_WRITTEN)}
    )
    # The consensus speaks of neutrophils; its limit of recovery has no meaning for another line.
    kept = rows.filter((col("analyte") == "neutrophils") | (col("instrument") != "benichou_summary"))
    points = when(col("points") != "").then(col("points")).cast(nw.Int64)
    return kept.with_columns(points=points).select(*CAUSALITY.names)


def _written(instrument: str, item: str) -> nw.Expr:
    name = f"{instrument}_{item}"
    points = col(f"{name}_points").cast(nw.String) if instrument == "naranjo" else lit("")
    said, verdict = (lit(";"), col(name)) if item == "total" else (col(_ANSWERED_BY[name]), lit(""))
    return nw.concat_str(lit(instrument), lit(item), said, points, verdict, separator=";")


def disagreements(causes: Frame, causality: Frame) -> Frame:
    """Where the ranking and the Naranjo scale part ways, and over what.

    Parameters
    ----------
    causes : Frame
        contracts.CAUSES.
    causality : Frame
        contracts.CAUSALITY.

    Returns
    -------
    Frame
        episode_id, cause_id, rank, verdict (of Naranjo), statement and because.
        `leading_drug_doubtful`: the first drug, itself among the leading causes, is doubtful; because of the item that
        cost points. `probable_not_leading`: probable or definite, but not among the leading causes; because of the
        term of the score in which it lags furthest behind the first cause.
    """
    naranjo = causality.filter(col("instrument") == "naranjo")
    verdicts = naranjo.filter(col("item") == "total").select(*KEY, "verdict")
    judged = (
        causes.drop("because").join(verdicts, on=list(KEY)).with_columns(first=col("rank").min().over("episode_id"))
    )
    doubtful = (
        judged.filter((col("verdict") == "doubtful") & (col("rank") == col("first")) & (col("rank") <= LEADING))
        .join(_lost(naranjo), on=list(KEY), how="left")
        .with_columns(statement=lit("leading_drug_doubtful"))
    )
    leader = causes.filter(col("rank") == 1).select("episode_id", **{f"first_{term}": col(term) for term in TERMS})
    behind = (
        judged.filter(col("verdict").is_in(["probable", "definite"]) & (col("rank") > LEADING))
        .join(leader, on="episode_id")
        .with_columns(because=_lag(), statement=lit("probable_not_leading"))
    )
    columns = (*KEY, "rank", "verdict", "statement", "because")
    return nw.concat([doubtful.select(*columns), behind.select(*columns)])


def _lost(naranjo: Frame) -> Frame:
    """The item that took points from a drug; without one, too little is known."""
    took = {
        item: when((col("item") == item) & (col("points") < 0)).then(1).otherwise(0).max() for item in ("2", "4", "5")
    }
    items = naranjo.group_by(*KEY).agg(**{f"item_{item}": value for item, value in took.items()})
    return items.select(
        *KEY,
        because=when(col("item_2") == 1)
        .then(lit("started_after_onset"))
        .when(col("item_4") == 1)
        .then(lit("rechallenge_negative"))
        .when(col("item_5") == 1)
        .then(lit("other_cause"))
        .otherwise(lit("little_known")),
    )


def _lag() -> nw.Expr:
    gaps = {term: col(f"first_{term}") - col(term) for term in TERMS}
    widest = nw.max_horizontal(*gaps.values())
    term = lit("")
    for name, gap in reversed(gaps.items()):
        term = when(gap == widest).then(lit(name)).otherwise(term)
    return term
