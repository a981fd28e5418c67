"""A result against the truth of a simulation: which low runs were found, and how well their causes were told.

A run of the truth and an episode match where patient and line are the same and the times from onset to recovery
overlap; what has not recovered reaches to the end of the records. A run with several episodes is found once, an
episode with several runs is true once. The cause of an episode is that of the run it shares most time with.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

import polars as pl
from polars import col, lit, when

from leukopenia.errors import MappingError, SourceError

REQUIRED = ("patient_id", "line", "onset", "recovery")
OPTIONAL = ("cause_id", "cause_class", "hidden", "recorded")
"""Columns of a truth: without the last four it tells when counts were low, and not why."""

UNEXPLAINED = "unexplained"
COMBINATION = "cond:cytotoxic-chemotherapy"
ALL = "all"
DECILES = 10
FLOOR = 0.001
"""The least probability that the log score takes a cause to have been given."""

_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")
_OPEN = 2**62
_Z = 1.959963984540054
_TIMES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d")


@dataclass(frozen=True)
class Score:
    """What a result is worth, as small tables.

    Attributes
    ----------
    detection : DataFrame
        One row a line: runs, found, sensitivity; episodes, true, precision; both with 95 % intervals; split (runs
        found as several episodes) and merged (episodes of several runs).
    detection_by_class : DataFrame
        One row a class of causes: runs, found, sensitivity with its interval.
    explanation : DataFrame
        One row a class of causes, `all` first: episodes, lined_up (the right cause was a candidate), top_1, top_3,
        probability (mean, of the right cause), log_score (natural, floored at `FLOOR`), brier.
    reliability : DataFrame
        One row a tenth of the probabilities given: n (candidates), given (mean), happened (share that was right) with
        its 95 % interval, points (100 times given minus happened).
    reasons : DataFrame
        The same, one row a reason to stand in the line-up (`because`).
    """

    detection: pl.DataFrame
    detection_by_class: pl.DataFrame
    explanation: pl.DataFrame
    reliability: pl.DataFrame
    reasons: pl.DataFrame

    def as_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Every table as a list of rows; what cannot be computed is None."""
        return {item.name: getattr(self, item.name).to_dicts() for item in fields(self)}


def score(episodes: pl.DataFrame, causes: pl.DataFrame, truth: pl.DataFrame, agents: Collection[str] = ()) -> Score:
    """Hold a result against the truth.

    Parameters
    ----------
    episodes : DataFrame
        contracts.EPISODES; of lines of which the truth does not speak nothing is said.
    causes : DataFrame
        contracts.CAUSES.
    truth : DataFrame
        As a simulation writes it, all columns text: `REQUIRED`, and `OPTIONAL` as far as they are there. A row with an
        empty line is a person without a low run. Where a cause that is `hidden` or not `recorded` is no candidate,
        `unexplained` is right: nothing that is on record did it.
    agents : collection of str
        Cytotoxic drugs. Where several did it together and only one is on record, so that the combination is no
        candidate, that one is right.

    Raises
    ------
    MappingError
        A required column is absent.
    SourceError
        A time or a flag cannot be read.
    """
    runs = runs_of(truth)
    spoken = _spans(episodes).filter(col("line").is_in(runs["line"].unique().implode()))
    pairs = matched(runs, spoken)
    told = judged(causes, pairs, runs, agents)
    return Score(
        detection(runs, spoken, pairs),
        _sensitivity(runs.filter(col("cause_class") != ""), pairs, "cause_class"),
        explanation(told),
        reliability(told),
        _reliable(told.with_columns(because=col("because")), "because"),
    )


def runs_of(truth: pl.DataFrame) -> pl.DataFrame:
    """The low runs of a truth: run (number), patient_id, line, start, stop (minutes), cause_id, cause_class,
    untold (the explainer cannot know the cause, or the records do not hold it).
    """
    if missing := [name for name in REQUIRED if name not in truth.columns]:
        raise MappingError(
            f"The truth has no column {', '.join(missing)}.",
            f"Found: {', '.join(truth.columns[:12])}.",
            "Give the truth.csv that `leukopenia simulate` has written.",
        )
    absent = [lit("").alias(name) for name in OPTIONAL if name not in truth.columns]
    texts = truth.with_columns(*absent).select(col(*REQUIRED, *OPTIONAL).cast(pl.String).fill_null(""))
    low = texts.filter(col("line") != "").with_row_index("run")
    timed = low.with_columns(start=_minutes(low, "onset"), stop=_minutes(low, "recovery"))
    if timed["start"].null_count():
        raise SourceError("A low run of the truth has no onset.", "", "Give every row with a line an onset.")
    untold = _flag(low, "hidden", "no") | ~_flag(low, "recorded", "yes")
    return timed.with_columns(stop=_reach("start", "stop"), untold=untold).drop(REQUIRED[2:], *OPTIONAL[2:])


def _minutes(rows: pl.DataFrame, name: str) -> pl.Series:
    text = rows[name].str.strip_chars()
    read = rows.select(
        pl.coalesce(text.str.to_datetime(form, strict=False, time_unit="us") for form in _TIMES).alias(name)
    )[name]
    if bad := int((read.is_null() & (text != "")).sum()):
        raise SourceError(
            f"{bad} times in the column {name} of the truth cannot be read.",
            "",
            "Write them like 2024-03-01T08:30:00 or 2024-03-01.",
        )
    return read.dt.epoch("s") // 60


def _flag(rows: pl.DataFrame, name: str, usual: str) -> pl.Series:
    words = rows[name].str.strip_chars().str.to_lowercase().replace("", usual)
    if strange := sorted(set(words) - {*_YES, *_NO}):
        raise SourceError(
            f"The column {name} of the truth cannot be read.", f"Found: {strange[0]}.", "Write yes or no."
        )
    return words.is_in(_YES)


def _reach(start: str, stop: str) -> pl.Expr:
    """Where a span ends: open without a recovery, and never before a minute is over."""
    return when(col(stop).is_null()).then(_OPEN).otherwise(pl.max_horizontal(col(stop), col(start) + 1))


def _spans(episodes: pl.DataFrame) -> pl.DataFrame:
    return episodes.select(
        "episode_id",
        col("patient_id").cast(pl.String),
        line="analyte",
        start="onset",
        stop=_reach("onset", "recovery"),
    )


def matched(runs: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Every pair of a run and an episode that overlap: run, episode_id, shared (minutes)."""
    both = runs.select("run", "patient_id", "line", "start", "stop").join(spans, on=["patient_id", "line"])
    shared = pl.min_horizontal("stop", "stop_right") - pl.max_horizontal("start", "start_right")
    return both.with_columns(shared=shared).filter(col("shared") > 0).select("run", "episode_id", "shared")


def detection(runs: pl.DataFrame, spans: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """`Score.detection`."""
    several = pl.len() > 1
    split = pairs.group_by("run").agg(split=several).join(runs.select("run", "line"), on="run")
    merged = pairs.group_by("episode_id").agg(merged=several).join(spans.select("episode_id", "line"), on="episode_id")
    found = spans.with_columns(true=col("episode_id").is_in(pairs["episode_id"].implode()))
    precision = found.group_by("line").agg(episodes=pl.len(), true=col("true").sum())
    counts = (
        _sensitivity(runs, pairs, "line")
        .join(_with_share(precision, "true", "episodes", "precision"), on="line", how="left")
        .join(split.group_by("line").agg(col("split").sum()), on="line", how="left")
        .join(merged.group_by("line").agg(col("merged").sum()), on="line", how="left")
    )
    return counts.with_columns(col("episodes", "true", "split", "merged").fill_null(0)).sort("line")


def _sensitivity(runs: pl.DataFrame, pairs: pl.DataFrame, by: str) -> pl.DataFrame:
    found = runs.with_columns(found=col("run").is_in(pairs["run"].implode()))
    counted = found.group_by(by).agg(runs=pl.len(), found=col("found").sum())
    return _with_share(counted, "found", "runs", "sensitivity").sort(by)


def _with_share(rows: pl.DataFrame, part: str, whole: str, name: str) -> pl.DataFrame:
    """Add a share and its 95 % interval (Wilson's score interval)."""
    p, n = col(part) / col(whole), col(whole).cast(pl.Float64)
    middle, spread = (p + _Z**2 / (2 * n)), _Z * (p * (1 - p) / n + _Z**2 / (4 * n**2)).sqrt()
    shrink = 1 + _Z**2 / n
    low, high = (middle - spread) / shrink, (middle + spread) / shrink
    return rows.with_columns(
        p.alias(name), low.clip(0.0, 1.0).alias(f"{name}_low"), high.clip(0.0, 1.0).alias(f"{name}_high")
    )


def judged(causes: pl.DataFrame, pairs: pl.DataFrame, runs: pl.DataFrame, agents: Collection[str] = ()) -> pl.DataFrame:
    """Every candidate of every episode whose true cause is known.

    Returns
    -------
    DataFrame
        episode_id, cause_id, rank, probability, because, cause_class (of the true cause), happened.
    """
    nearest = pairs.sort("shared", "run", descending=[True, False]).unique("episode_id", keep="first")
    known = nearest.join(runs.filter(col("cause_id") != ""), on="run")
    true = known.select("episode_id", "cause_class", "untold", true="cause_id")
    line_up = causes.join(true, on="episode_id")
    agent = col("cause_id").is_in(list(agents)) & (col("true") == COMBINATION)
    leads = agent & (col("rank") == col("rank").filter(agent).min().over("episode_id"))
    itself = col("cause_id") == col("true")
    named = itself | (leads & ~itself.any().over("episode_id"))
    unknown = col("untold") & ~named.any().over("episode_id")
    return line_up.select(
        "episode_id",
        "cause_id",
        "rank",
        "probability",
        "because",
        "cause_class",
        happened=named | (unknown & (col("cause_id") == UNEXPLAINED)),
    )


def explanation(told: pl.DataFrame) -> pl.DataFrame:
    """`Score.explanation`."""
    given = when("happened").then("probability")
    others = when(~col("happened")).then(col("probability") ** 2).otherwise(0.0).sum()
    each = told.group_by("episode_id").agg(
        col("cause_class").first(),
        rank=when("happened").then("rank").min(),
        lined_up=col("happened").any(),
        probability=given.sum(),
        brier=(1 - given.sum()) ** 2 + others,
    )
    parts = (each.with_columns(cause_class=lit(ALL)), each.filter(col("cause_class") != ""))
    tables = [
        part.group_by("cause_class")
        .agg(
            episodes=pl.len(),
            lined_up=col("lined_up").mean(),
            top_1=(col("rank") <= 1).fill_null(False).mean(),
            top_3=(col("rank") <= 3).fill_null(False).mean(),
            log_score=col("probability").clip(FLOOR).log().mean(),
            probability=col("probability").mean(),
            brier=col("brier").mean(),
        )
        .sort("cause_class")
        for part in parts
    ]
    return pl.concat(tables)


def reliability(told: pl.DataFrame) -> pl.DataFrame:
    """`Score.reliability`: the tenth of a probability of exactly 1 is the last."""
    tenth = (col("probability") * DECILES).floor().clip(0, DECILES - 1).cast(pl.Int64)
    made = _reliable(told.with_columns(decile=tenth), "decile")
    return made.with_columns(low=col("decile") / DECILES, high=(col("decile") + 1) / DECILES)


def _reliable(told: pl.DataFrame, by: str) -> pl.DataFrame:
    counted = told.group_by(by).agg(n=pl.len(), given=col("probability").mean(), right=col("happened").sum())
    shares = _with_share(counted, "right", "n", "happened").drop("right")
    return shares.with_columns(points=100 * (col("given") - col("happened"))).sort(by)


def furthest(reliability: pl.DataFrame, least: int = 200) -> float:
    """The greatest distance, in points, between given and happened in a tenth that holds enough candidates.

    Returns
    -------
    float
        nan where no tenth does.
    """
    points = reliability.filter(col("n") >= least)["points"].abs().max()
    return math.nan if points is None else float(str(points))
