"""The bands of a rule, and which of them a count certainly lies in: by its level, and by what came before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.monitor.courses import DAY, DUTY, NEVER
from leukopenia.monitor.rules import OPEN, Row

Frame = nw.LazyFrame[Any]

LINE = (*DUTY, "course", "analyte")
_SAME = 5e-7
"""Counts are rounded to 10^-6; a difference of two of them is so exact."""

_BOUNDS = ["<", "<="]
_LEAST = [">", ">="]


@dataclass(frozen=True)
class Limits:
    """Up to which value a count of each line can matter to a rule in force."""

    highest: dict[str, float]
    lowest: dict[str, float]

    @classmethod
    def of(cls, bands: list[Row]) -> Limits:
        asking = [row for row in bands if (row["asks"] or row["purpose"] != "continue") and row["below_share"] is None]
        highest: dict[str, float] = {}
        lowest: dict[str, float] = {}
        for row in asking:
            name = row["analyte"]
            if row["upper"] < OPEN:
                highest[name] = max(highest.get(name, 0.0), row["upper"])
            else:
                lowest[name] = min(lowest.get(name, OPEN), row["lower"])
        return cls(highest, lowest)

    def touched(self) -> nw.Expr:
        """Whether a count may lie in a band that asks for something."""
        found = col("analyte") == ""
        for name, limit in self.highest.items():
            found = found | ((col("analyte") == name) & (col("value") <= limit))
        for name, limit in self.lowest.items():
            found = found | ((col("analyte") == name) & (col("value") >= limit))
        return found


def inside_band() -> nw.Expr:
    """Whether the true value certainly lies in the band from `lower` to `upper`."""
    value, comparator = col("value"), col("comparator")
    measured = (comparator == "") & (value >= col("lower")) & (value < col("upper"))
    below = (col("lower") <= 0.0) & (
        ((comparator == "<") & (value <= col("upper"))) | ((comparator == "<=") & (value < col("upper")))
    )
    above = comparator.is_in(_LEAST) & (col("upper") >= OPEN) & (value >= col("lower"))
    return measured | below | above


def watched_for_baseline(stretches: Frame, bands: Frame) -> Frame:
    """Persons and lines whose every count matters, for a band is a share of the own baseline."""
    relative = bands.filter(~col("below_share").is_null()).select("rule_no", "analyte").unique()
    return (
        stretches.select("patient_id", "rule_no").join(relative, on="rule_no").select("patient_id", "analyte").unique()
    )


def baselines(counts: Frame, stretches: Frame, bands: Frame) -> Frame:
    """The own baseline: the last measured count before the very first dose, where that was seen.

    Counts before a later course do not serve: the drug may still have been at work.

    Parameters
    ----------
    counts : Frame
        thresholds.of_interest.
    stretches : Frame
        courses.stretches.
    bands : Frame
        rules.Rules.bands.

    Returns
    -------
    Frame
        One row a person, rule_no and analyte: own.
    """
    relative = bands.filter(~col("below_share").is_null() | col("or_baseline") | col("resume_or_baseline"))
    lines = relative.select("rule_no", "analyte").unique()
    began = stretches.filter(col("stretch") == 1, col("fresh") == 1, col("anchor_known") == 1)
    day = col("minute") // DAY
    before = (
        began.select(*DUTY, "from_day", "baseline_days")
        .join(lines, on="rule_no")
        .join(counts.filter(col("comparator") == ""), on=["patient_id", "analyte"])
        .filter(day <= col("from_day"), day >= col("from_day") - col("baseline_days"))
        .with_columns(newest=col("minute").max().over(*DUTY, "analyte"))
    )
    return before.filter(col("minute") == col("newest")).select(*DUTY, "analyte", own="value")


def worst(placed: Frame, bands: Frame, counts: Frame, conditions: frozenset[str], own: Frame | None) -> Frame:
    """The gravest band of each count.

    Parameters
    ----------
    placed : Frame
        Counts of courses: LINE, minute, value and comparator.
    bands : Frame
        Those of rules.Rules.bands that look at counts during treatment.
    counts : Frame
        thresholds.of_interest: a fall is seen against a count before the course as well.
    conditions : frozenset of str
        rules.Rules.conditions.
    own : Frame or None
        baselines; None: no rule looks at it.

    Returns
    -------
    Frame
        LINE, minute and band.
    """
    asked = ("fall_by", "fall_minutes", "lasting_minutes", "below_share", "or_baseline")
    small = bands.select("rule_no", "analyte", "lower", "upper", "band", *asked)
    hit = unlike_own(placed.join(small, on=["rule_no", "analyte"]).filter(inside_band()), own)
    plain = col("fall_by").is_null() & col("lasting_minutes").is_null() & col("below_share").is_null()
    found = [hit.filter(plain)]
    if "fall_by" in conditions:
        found.append(_fallen(hit, counts))
    if "lasting_minutes" in conditions:
        found.append(_lasting(hit, placed))
    if "below_share" in conditions:
        found.append(_below_own(hit))
    rows = nw.concat([part.select(*LINE, "minute", "band") for part in found])
    return rows.group_by(*LINE, "minute").agg(band=col("band").min())


def _fallen(hit: Frame, counts: Frame) -> Frame:
    """Counts that lie so far below an earlier one of the days that the band names."""
    before = counts.filter(~col("comparator").is_in(_BOUNDS)).select(
        "patient_id", "analyte", earlier="minute", earlier_value="value"
    )
    return (
        hit.filter(~col("fall_by").is_null(), ~col("comparator").is_in(_LEAST))
        .join(before, on=["patient_id", "analyte"])
        .filter(
            col("earlier") < col("minute"),
            col("earlier") >= col("minute") - col("fall_minutes"),
            col("earlier_value") - col("value") >= col("fall_by") - _SAME,
        )
    )


def _lasting(hit: Frame, placed: Frame) -> Frame:
    """Counts before which the line has been below the upper limit of the band for so long, without a count above.

    For no time at all: the count before this one was below it, too.
    """
    earlier = placed.select(*LINE, earlier="minute", earlier_value="value", earlier_sign="comparator")
    pairs = hit.filter(~col("lasting_minutes").is_null()).join(earlier, on=[*LINE])
    value, sign, limit = col("earlier_value"), col("earlier_sign"), col("upper")
    below = ((sign == "") & (value < limit)) | ((sign == "<") & (value <= limit)) | ((sign == "<=") & (value < limit))
    long_ago = below & (col("earlier") <= col("minute") - col("lasting_minutes"))
    seen = (
        pairs.filter(col("earlier") < col("minute"))
        .group_by(*LINE, "minute", "band")
        .agg(
            since=when(long_ago).then(col("earlier")).max(),
            above=when(~below).then(col("earlier")).otherwise(lit(NEVER)).max(),
        )
    )
    return seen.filter(col("since") > col("above"))


def _below_own(hit: Frame) -> Frame:
    """Counts below the share of the own baseline that the band names."""
    value, sign, limit = col("value"), col("comparator"), col("below_share") * col("own")
    surely = ((sign == "<") & (value <= limit + _SAME)) | (sign.is_in(["", "<="]) & (value < limit - _SAME))
    return hit.filter(~col("below_share").is_null(), surely)


def unlike_own(hit: Frame, own: Frame | None) -> Frame:
    """Add the own baseline, and leave out counts that reach it, where a band takes that for enough."""
    if own is None:
        return hit
    reached = (col("or_baseline") & (col("value") >= col("own")) & ~col("comparator").is_in(_BOUNDS)).fill_null(False)
    return hit.join(own, on=[*DUTY, "analyte"], how="left").filter(~reached)
