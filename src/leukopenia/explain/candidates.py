"""Who stands in the line-up: every exposure, every recorded condition, what the findings suggest, and what is always
possible.
"""

from __future__ import annotations

import math
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.explain.model import COMBINATION, MOST, OWN, TAU, UNEXPLAINED

Frame = nw.LazyFrame[Any]

DAY = 1440
_DIAGNOSIS = 30 * DAY
"""A condition first recorded no later than this after the last low count may have caused it."""

_RECOVERED = "recovered_after_stop"
_CYCLE = 42.0

CANDIDATE = (
    "episode_id",
    "cause_id",
    "profile_no",
    "because",
    "prior",
    "timing",
    *OWN,
    *(f"{name}_clue" for name in OWN),
    "start",
    "end",
    "source",
    "row_id",
)


def of_exposures(best: Frame, scale: float) -> Frame:
    """Candidates from exposures; the drugs of one chemotherapy share their prior with the combination.

    Parameters
    ----------
    scale : float
        Of the prior.
    """
    together = when((col("cause_class") == "chemotherapy") & col("fits") & (col("high_days") <= _CYCLE)).then(1)
    counted = best.with_columns(agents=together.otherwise(0).cast(nw.Int64)).with_columns(
        several=col("agents").sum().over("episode_id").cast(nw.Int64)
    )
    shared = (col("agents") == 1) & (col("several") > 1)
    alone = (
        when(shared)
        .then(col("log_frequency") - col("several").cast(nw.Float64).log() * scale)
        .otherwise(col("log_frequency"))
    )
    return counted.with_columns(because=lit("exposure"), prior=alone, dose=col("dose_effect")).with_columns(
        row_id=col("row_id").cast(nw.String)
    )


def combinations(exposures: Frame, profiles: Frame) -> Frame:
    """The chemotherapy of an episode as one candidate, where several agents make it up."""
    agents = exposures.filter((col("agents") == 1) & (col("several") > 1))
    first = (
        agents.with_columns(ended=when(col("course_clue") == _RECOVERED).then(col("course")))
        .group_by("episode_id")
        .agg(timing=col("timing").max(), ended=col("ended").max(), start=col("start").min(), end=col("end").max())
        .with_columns(
            course=col("ended").fill_null(0.0),
            course_clue=when(~col("ended").is_null()).then(lit(_RECOVERED)).otherwise(lit("")),
        )
    )
    named = profiles.filter(col("cause_id") == COMBINATION).select("cause_id", "profile_no", prior="log_frequency")
    return _filled(first.join(named, how="cross"), "combination")


def of_conditions(
    scope: Frame, conditions: Frame, profiles: Frame, doubt: float, standing: float, window: float, scale: float
) -> Frame:
    """Candidates from recorded conditions; an acute one counts only near its beginning.

    Parameters
    ----------
    doubt : float
        Nats added where the diagnosis is provisional or past, or first recorded after the fall.
    standing : float
        Nats added where the condition is not acute: its frequency says how many ever have a low count, not how many
        get one within the reference window.
    window : float
        The reference window, in days.
    scale : float
        Of the timing.
    """
    known = conditions.select(
        "patient_id",
        "start",
        "end",
        "certainty",
        "source",
        cause_id="condition",
        row_id=col("row_id").cast(nw.String),
    ).join(profiles.select("cause_id", "profile_no", "log_frequency", "acute", "acute_days"), on="cause_id")
    here = known.join(scope.select("episode_id", "patient_id", "onset", "last_low"), on="patient_id").with_columns(
        days=(col("onset") - col("start")).cast(nw.Float64) * (1 / DAY)
    )
    reach = col("acute_days") + 14.0
    excess = when(col("days") < -14.0).then(-14.0 - col("days")).otherwise(col("days") - reach)
    timing = (
        when(~col("acute") | col("days").is_null())
        .then(lit(0.0))
        .when(excess > 0.0)
        .then(-excess * (1 / TAU))
        .otherwise(lit(math.log(window)) - (reach + 14.0).log())
    )
    in_time = col("start").is_null() | (col("start") <= col("last_low") + _DIAGNOSIS)
    # An acute illness of long ago is no candidate.
    lasts = ~col("acute") | col("days").is_null() | (excess < MOST * TAU)
    bounded = here.filter(in_time, lasts).with_columns(timing=timing)
    floored = when(col("acute") & (excess <= 0.0) & (col("timing") < 0.0)).then(lit(0.0)).otherwise(col("timing"))
    # A standing condition first written down after the fall may be its result, or older than its date.
    afterwards = ~col("acute") & (col("start") > col("onset") + DAY).fill_null(False)
    doubtful = col("certainty").is_in(["provisional", "past"]) | afterwards
    unsure = when(doubtful).then(lit(doubt)).otherwise(lit(0.0))
    lasting = when(col("acute")).then(lit(0.0)).otherwise(lit(standing))
    scored = bounded.with_columns(timing=floored * scale, prior=col("log_frequency") + unsure + lasting).with_columns(
        against=-((col("timing") + col("prior")) * 1e6 + 0.5).floor(), began=col("start").fill_null(0)
    )
    best = scored.unique(
        subset=["episode_id", "cause_id"], keep="first", order_by=["against", "began", "source", "row_id"]
    )
    return _filled(best, "recorded")


def suggested(evidence: Frame, effects: Frame, profiles: Frame, least: float) -> Frame:
    """Conditions that nobody recorded but that what was found points to; a low line or an age alone does not."""
    pointing = effects.filter(col("effect") >= least, col("suggests")).select("clue", "state", "profile_no")
    named = evidence.filter(col("cause") == "").join(pointing, on=["clue", "state"]).select("episode_id", "profile_no")
    proven = (
        evidence.filter((col("cause") != "") & (col("state") == "present"))
        .select("episode_id", cause_id="cause")
        .join(profiles.select("cause_id", "profile_no"), on="cause_id")
        .select("episode_id", "profile_no")
    )
    found = nw.concat([named, proven]).unique()
    return _filled(_in_background(found.join(profiles, on="profile_no")), "suggested")


def always(scope: Frame, profiles: Frame) -> Frame:
    """What can lie behind any low count."""
    standing = profiles.filter(col("always"))
    return _filled(_in_background(scope.select("episode_id").join(standing, how="cross")), "always")


def _in_background(rows: Frame) -> Frame:
    known = rows.filter(~col("log_background").is_null())
    return known.select("episode_id", "cause_id", "profile_no", prior="log_background")


def unexplained(scope: Frame, prior: float) -> Frame:
    """The chance that nothing on record did it."""
    rows = scope.select("episode_id").with_columns(
        cause_id=lit(UNEXPLAINED), profile_no=lit(-1).cast(nw.Int64), prior=lit(prior)
    )
    return _filled(rows, "unexplained")


def _filled(rows: Frame, because: str) -> Frame:
    """Rows with every column of a candidate; what does not apply is 0 or empty."""
    have = set(rows.collect_schema().names())
    empty: dict[str, nw.Expr] = {
        **{name: lit(0.0) for name in ("timing", *OWN)},
        **{f"{name}_clue": lit("") for name in OWN},
        **{name: lit(None).cast(nw.Int64) for name in ("start", "end")},
        **{name: lit("") for name in ("source", "row_id")},
    }
    missing = {name: value for name, value in empty.items() if name not in have}
    return rows.with_columns(because=lit(because), **missing)


def line_up(drugs: Frame, together: Frame, recorded: Frame, hinted: Frame, standing: Frame, rest: Frame) -> Frame:
    """One row an episode and cause: what is recorded goes before what is only suggested, and that before the rest."""
    key = ["episode_id", "profile_no"]

    def without(rows: Frame, *others: Frame) -> Frame:
        for other in others:
            rows = rows.join(other.select(*key), on=key, how="anti")
        return rows

    parts = (
        drugs,
        together,
        without(recorded, together),
        without(hinted, together, recorded),
        without(standing, recorded, hinted),
        rest,
    )
    return nw.concat([part.select(*CANDIDATE) for part in parts])
