"""Runs of low counts -> episodes: onset (interval-censored), nadir, recovery, state, worst grades, chronicity.

Per person and line, counts in time order are low, not low or (no limit) unknown. Two not-low counts in a row, or
seven days without a low one, end an episode; the rules are rows of policy.csv.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import EPISODES, ESTIMATED, Knowledge
from leukopenia.detect.grades import column
from leukopenia.policy import Policy

Frame = nw.LazyFrame[Any]

LINE = ("patient_id", "analyte")
EPISODE = (*LINE, "number")
DAY = 1440
NEVER = -(2**60)
"""A time before all times: a running maximum must not meet a null, which the engines treat differently."""


def mark_low(graded: Frame, policy: Policy) -> Frame:
    """Add `is_low` and `recovered` (null where no limit settles it) to graded counts."""
    limited = col("limit_low")
    for name, value in _per_line(policy, "onset.", ".below"):
        limited = when((col("analyte") == name) & (limited > value)).then(lit(value)).otherwise(limited)
    low = _low_by_grade(policy) if policy.text("onset") != "limit" else _below(limited, policy)
    recovered = ~col("is_low")
    for name, value in _per_line(policy, "recovery.", ".at_least"):
        recovered = when(col("analyte") == name).then(recovered & (col("value") >= value)).otherwise(recovered)
    return graded.with_columns(is_low=low).with_columns(recovered=recovered)


def _per_line(policy: Policy, prefix: str, suffix: str) -> list[tuple[str, float]]:
    found = [name for name in policy.values if name.startswith(prefix) and name.endswith(suffix)]
    pairs = [(name[len(prefix) : -len(suffix)], policy.optional_number(name)) for name in found]
    return [(name, value) for name, value in pairs if value is not None]


def _below(limited: nw.Expr, policy: Policy) -> nw.Expr:
    """Below the limit; a bound settles it only if the bound itself does."""
    strictly = when(col("comparator") == "<").then(col("value") <= limited).otherwise(col("value") < limited)
    settled = _settled(strictly)
    certain = lit(None).cast(nw.Boolean)
    for name, value in _per_line(policy, "onset.", ".below"):
        # Whatever the limit may be, the ceiling of the definition is above it.
        above = (col("analyte") == name) & (col("value") >= value) & ~col("comparator").is_in(["<", "<="])
        certain = when(above).then(lit(False)).otherwise(certain)
    for key, text in policy.values.items():
        if key.startswith("onset.without_limit.") and text:
            strictly = (col("comparator") == "<") & (col("value") <= float(text))
            below = strictly | (col("value") < float(text))
            here = (col("analyte") == key.removeprefix("onset.without_limit.")) & below
            certain = when(here & ~col("comparator").is_in([">", ">="])).then(lit(True)).otherwise(certain)
    return when(limited.is_null()).then(certain).otherwise(settled)


def _settled(below: nw.Expr) -> nw.Expr:
    upper = col("comparator").is_in(["<", "<="])
    lower = col("comparator").is_in([">", ">="])
    return when(~((upper & ~below) | (lower & below))).then(below)


def _low_by_grade(policy: Policy) -> nw.Expr:
    grade = col(f"grade_{column(policy.text('onset'))}")
    return grade >= 1


def of_interest(marked: Frame, also: nw.Expr) -> Frame:
    """The persons and lines with a low count, which alone can have an episode, or with a count of `also`."""
    return marked.filter(col("is_low") | also).select(*LINE).unique()


def cycle_starts(exposures: Frame, chemotherapy: Iterable[str]) -> Frame:
    """The starts of exposures to chemotherapy: a gap between low counts that holds one is a new cycle."""
    return exposures.filter(col("ingredient").is_in(sorted(chemotherapy))).select("patient_id", "start").unique()


def number(marked: Frame, cycles: Frame | None, policy: Policy, as_of: int) -> Frame:
    """Number the episodes of each person and line; rows before the first low count are kept with number 0.

    Parameters
    ----------
    marked : Frame
        What `mark_low` gives, only of persons and lines with a low count.
    cycles : Frame or None
        patient_id, start of chemotherapy cycles.
    policy : Policy
        recovery.counts, recovery.days, recovery.before_cycle, gap.unobserved_days, gap.break_days, confirmation.counts.
    as_of : int
        The minute the question is asked for; what lies after it is not seen.

    Returns
    -------
    Frame
        Rows with is_low, recovery_here (a recovery begins at this count and is confirmed), and number.
    """
    seen = marked.filter(~col("is_low").is_null(), col("minute") <= as_of).select(*_needed(marked))
    stepped = _recovery_points(seen, cycles, policy, as_of)
    breaks = _breaks(stepped, cycles, policy)
    starts = breaks.with_columns(
        begins=when(
            col("is_low")
            & (col("low_before").is_null() | (col("points") > col("points_at_low")).fill_null(False) | col("broken"))
        )
        .then(lit(1))
        .otherwise(lit(0))
        .cast(nw.Int64)
    )
    return _confirmed(_numbered(starts), int(policy.number("confirmation.counts")))


def _numbered(starts: Frame) -> Frame:
    return starts.with_columns(number=col("begins").cum_sum().over(*LINE, order_by=["minute"]).cast(nw.Int64))


def _confirmed(numbered: Frame, needed: int) -> Frame:
    """Runs with fewer low counts than the policy asks for are no episodes: number 0, and the others close up."""
    if needed < 2:
        return numbered
    one = when(col("is_low")).then(lit(1)).otherwise(lit(0)).cast(nw.Int64)
    counted = numbered.with_columns(one=one).with_columns(lows=col("one").sum().over(*EPISODE))
    enough = col("lows") >= needed
    renumbered = _numbered(counted.with_columns(begins=when(enough).then(col("begins")).otherwise(lit(0))))
    return renumbered.with_columns(number=when(enough).then(col("number")).otherwise(lit(0)))


def _needed(marked: Frame) -> list[str]:
    """What the windows carry along: no more than the summary uses."""
    grades = [name for name in marked.collect_schema().names() if name.startswith("grade_")]
    return [*LINE, "minute", "value", "comparator", "low", "interval_id", "is_low", "recovered", *grades]


def _recovery_points(seen: Frame, cycles: Frame | None, policy: Policy, as_of: int) -> Frame:
    """Mark counts at which a confirmed recovery begins, and carry how many there were."""
    needed = int(policy.number("recovery.counts"))
    days = int(policy.number("recovery.days") * DAY)
    nexts = {f"recovered_{k}": col("recovered").shift(-k).over(*LINE, order_by=["minute"]) for k in range(1, needed)}
    looked = seen.with_columns(
        **nexts,
        previous_minute=col("minute").shift(1).over(*LINE, order_by=["minute"]),
        previous_low=col("is_low").shift(1).over(*LINE, order_by=["minute"]),
        backwards=-col("minute"),
        low_time=when(col("is_low")).then(col("minute")).otherwise(lit(NEVER)),
        low_backwards=when(col("is_low")).then(-col("minute")).otherwise(lit(NEVER)),
    ).with_columns(next_low=-col("low_backwards").cum_max().over(*LINE, order_by=["backwards"]))
    by_counts = col("recovered")
    for name in nexts:
        by_counts = by_counts & col(name).fill_null(False)
    quiet = when(col("next_low") == -NEVER).then(lit(as_of)).otherwise(col("next_low")) - col("minute")
    cleared = _cleared(looked, cycles if policy.flag("recovery.before_cycle") else None)
    pointed = cleared.with_columns(recovery_here=by_counts | (col("recovered") & ((quiet >= days) | col("cleared"))))
    counted = pointed.with_columns(point=when(col("recovery_here")).then(lit(1)).otherwise(lit(0)).cast(nw.Int64))
    summed = counted.with_columns(points=col("point").cum_sum().over(*LINE, order_by=["minute"]).cast(nw.Int64))
    marked = summed.with_columns(at_low=when(col("is_low")).then(col("points")).otherwise(lit(-1).cast(nw.Int64)))
    carried = marked.with_columns(
        reached=col("at_low").cum_max().over(*LINE, order_by=["minute"]),
        last_low_time=col("low_time").cum_max().over(*LINE, order_by=["minute"]),
    )
    shifted = carried.with_columns(
        points_at_low=col("reached").shift(1).over(*LINE, order_by=["minute"]),
        low_before=col("last_low_time").shift(1).over(*LINE, order_by=["minute"]),
    )
    return shifted.with_columns(low_before=when(col("low_before") != NEVER).then(col("low_before")))


def _cleared(looked: Frame, cycles: Frame | None) -> Frame:
    """Counts at or above the limit after which, from their day on, a new cycle starts before the next low count."""
    if cycles is None:
        return looked.with_columns(cleared=lit(False))
    before = (
        looked.filter(col("recovered"), col("next_low") != -NEVER)
        .select(*LINE, "minute", "next_low")
        .join(cycles, on="patient_id")
        .filter(col("start") // DAY >= col("minute") // DAY, col("start") <= col("next_low"))
        .select(*LINE, "minute")
        .unique()
        .with_columns(cleared=lit(True))
    )
    joined = looked.join(before, on=[*LINE, "minute"], how="left")
    return joined.with_columns(cleared=col("cleared").fill_null(False))


def _breaks(stepped: Frame, cycles: Frame | None, policy: Policy) -> Frame:
    """A gap between two neighbouring low counts that ends an episode: too long, or with a new cycle in it."""
    gap = col("minute") - col("low_before")
    neighbours = col("is_low") & (col("previous_low")).fill_null(False)
    wide = (neighbours & (gap > int(policy.number("gap.unobserved_days") * DAY))).fill_null(False)
    too_wide = (neighbours & (gap > int(policy.number("gap.break_days") * DAY))).fill_null(False)
    marked = stepped.with_columns(wide=wide)
    if cycles is None:
        return marked.with_columns(broken=too_wide)
    inside = (
        marked.filter(col("wide"))
        .select(*LINE, "minute", "low_before")
        .join(cycles, on="patient_id")
        .filter(col("start") > col("low_before"), col("start") <= col("minute"))
        .select(*LINE, "minute")
        .unique()
        .with_columns(cycle=lit(True))
    )
    joined = marked.join(inside, on=[*LINE, "minute"], how="left")
    return joined.with_columns(broken=too_wide | (col("wide") & col("cycle").fill_null(False))).drop("cycle")


def summarise(numbered: Frame, knowledge: Knowledge, standards: Iterable[str], policy: Policy, ends: Frame) -> Frame:
    """contracts.EPISODES from numbered counts.

    Parameters
    ----------
    numbered : Frame
        What `number` gives.
    knowledge : Knowledge
        Uses severity.
    standards : iterable of str
        Graded standards.
    policy : Policy
        chronic.days, gap.unobserved_days.
    ends : Frame
        patient_id and `death` (minute or null): an episode open at death is censored.
    """
    names = [column(standard) for standard in standards]
    episode = [*EPISODE]
    lows = numbered.filter(col("number") > 0).with_columns(
        low_value=when(col("is_low")).then(col("value")),
        low_minute=when(col("is_low")).then(col("minute")),
        gap_here=col("wide") & (col("begins") == 0),
    )
    placed = lows.with_columns(
        nadir=col("low_value").min().over(*episode), last_low=col("low_minute").max().over(*episode)
    )
    at_nadir = col("is_low") & (col("low_value") == col("nadir"))
    recovery = col("recovery_here") & (col("minute") > col("last_low"))
    inside = col("minute") <= col("last_low")
    grouped = placed.group_by(*episode).agg(
        onset=col("low_minute").min(),
        last_not_low=when((col("begins") == 1) & ~col("previous_low").fill_null(True))
        .then(col("previous_minute"))
        .min(),
        nadir=col("nadir").min(),
        nadir_minute=when(at_nadir).then(col("minute")).min(),
        measured_nadir=when(at_nadir & (col("comparator") == "")).then(1).otherwise(0).max(),
        nadir_below=when(at_nadir & (col("comparator") == "<")).then(col("minute")).min(),
        last_low=col("last_low").min(),
        recovery=when(recovery).then(col("minute")).min(),
        n_low=when(col("is_low")).then(1).otherwise(0).sum().cast(nw.Int64),
        n_counts=when(inside).then(1).otherwise(0).sum().cast(nw.Int64),
        gaps=when(col("gap_here")).then(1).otherwise(0).max(),
        basis=when(col("begins") == 1).then(_basis()).max(),
        **{f"worst_{name}": when(col("is_low")).then(col(f"grade_{name}")).max() for name in names},
    )
    latest = grouped.with_columns(latest=col("number").max().over(*LINE))
    return _described(latest.join(ends, on="patient_id", how="left"), knowledge, names, policy)


def _basis() -> nw.Expr:
    interval = col("interval_id")
    laboratory = when(~col("low").is_null()).then(lit("laboratory")).otherwise(lit("none"))
    published = when(interval != "").then(lit("published")).otherwise(laboratory)
    return when(interval.str.starts_with(ESTIMATED)).then(lit("estimated")).otherwise(published)


def _described(grouped: Frame, knowledge: Knowledge, names: list[str], policy: Policy) -> Frame:
    end = when(col("recovery").is_null()).then(col("last_low")).otherwise(col("recovery"))
    days = (end - col("onset")) // DAY
    comparator = (
        when(col("measured_nadir") == 1)
        .then(lit(""))
        .when(col("nadir_below") == col("nadir_minute"))
        .then(lit("<"))
        .otherwise(lit("<="))
    )
    missing = [name for name in EPISODES.names if name.startswith("worst_") and name[6:] not in names]
    described = grouped.with_columns(nadir_comparator=comparator).with_columns(
        episode_id=nw.concat_str(
            [col("patient_id").cast(nw.String), col("analyte"), col("number").cast(nw.String)], separator="/"
        ),
        state=when(~col("recovery").is_null())
        .then(lit("closed"))
        # A later episode without a recovery between the two: when this one ended was not seen.
        .when(~col("death").is_null() | (col("number") < col("latest")))
        .then(lit("censored"))
        .otherwise(lit("open")),
        confirmed=col("n_low") >= 2,
        unobserved_gap=col("gaps") == 1,
        chronicity=when(days >= int(policy.number("chronic.days"))).then(lit("chronic")).otherwise(lit("acute")),
        severity=_severity(knowledge),
        worst_at_least=col("nadir_comparator") != "",
    )
    absent = {name: lit(None).cast(nw.Int64) for name in missing if name != "worst_at_least"}
    return (described.with_columns(**absent) if absent else described).select(*EPISODES.names)


def _severity(knowledge: Knowledge) -> nw.Expr:
    severity = lit("")
    for row in sorted(knowledge["severity"], key=lambda row: -float(row["below"])):
        limit = float(row["below"])
        # '<0.5' is below 0.5 although its number is not.
        below = (col("nadir") < limit) | ((col("nadir") == limit) & (col("nadir_comparator") == "<"))
        here = (col("analyte") == row["analyte"]) & below
        severity = when(here).then(lit(row["severity"])).otherwise(severity)
    return severity
