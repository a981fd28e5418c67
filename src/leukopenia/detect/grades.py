"""A count and its limit -> a grade under each standard, or unknown with its reason. Never a silent zero.

The criteria are rows (criteria.csv), folded into expressions: no join, and no threshold in code.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import ESTIMATED, Knowledge, Rows
from leukopenia.policy import Policy

Frame = nw.LazyFrame[Any]

HALF_STEP = 5e-7
"""Half a millionth: values lie on the grid of millionths, so nothing lies between a limit and a half step beside it."""

UPPER_BOUNDS = ("<", "<=")
LOWER_BOUNDS = (">", ">=")


def column(standard: str) -> str:
    """The column name of a standard: ctcae-5.0 -> ctcae_5_0."""
    return standard.replace("-", "_").replace(".", "_")


def grade(
    counts: Frame,
    knowledge: Knowledge,
    standards: Iterable[str],
    direction: str = "low",
    present: Collection[str] | None = None,
) -> Frame:
    """Grade counts under each standard.

    Parameters
    ----------
    counts : Frame
        Columns analyte, value (10^9/L, g/L), comparator, protocol_limit (the LLN or, for the high direction, the
        ULN; null: none), age_days (null: unknown), has_hiv.
    knowledge : Knowledge
        Uses criteria and terms_without_numbers.
    standards : iterable of str
        ctcae-4.03, ctcae-5.0, ctcae-6.0, daids-2.1.
    direction : {'low', 'high'}
        Which terms.
    present : collection of str, optional
        The analytes that occur; criteria for others are not folded in.

    Returns
    -------
    Frame
        With grade_X, at_least_X and reason_X per standard.
    """
    rows = {name: _rows(knowledge, name, direction, present) for name in standards}
    graded = counts.with_columns(
        years=_years(),
        edge=_edge(),
        measured=col("comparator") == "",
        # Censored on the side away from danger: '>100' when low counts are asked for.
        away=col("comparator").is_in(list(LOWER_BOUNDS if direction == "low" else UPPER_BOUNDS)),
    )
    graded = graded.with_columns(
        **{f"reached_{column(name)}": _reached(rows[name], direction).cast(nw.Int64) for name in rows},
        **{f"term_{column(name)}": _term_reason(knowledge, rows[name], name, direction) for name in rows},
    )
    graded = graded.with_columns(**{f"reason_{column(name)}": _reason(rows[name], column(name)) for name in rows})
    graded = graded.with_columns(
        **{f"grade_{column(name)}": _grade(column(name)) for name in rows},
        **{f"at_least_{column(name)}": _at_least(rows[name], column(name)) for name in rows},
    )
    made = ("years", "edge", "measured", "away")
    return graded.drop(*made, *(f"{part}_{column(name)}" for name in rows for part in ("reached", "term")))


def _rows(knowledge: Knowledge, standard: str, direction: str, present: Collection[str] | None) -> Rows:
    return [
        row
        for row in knowledge["criteria"]
        if row["standard"] == standard
        and row["direction"] == direction
        and (present is None or row["analyte"] in present)
    ]


def _edge() -> nw.Expr:
    """The value, half a step of the grid of millionths aside where '<' or '>' says that it is not quite reached."""
    value, comparator = col("value"), col("comparator")
    below = when(comparator == "<").then(value - HALF_STEP)
    return below.when(comparator == ">").then(value + HALF_STEP).otherwise(value)


def _grade(name: str) -> nw.Expr:
    return when(col(f"reason_{name}") == "").then(col(f"reached_{name}"))


def _at_least(rows: Rows, name: str) -> nw.Expr:
    graded = col(f"reason_{name}") == ""
    return graded & ~col("measured") & ~col("away") & (col(f"reached_{name}") < _worst(rows))


def _reason(rows: Rows, name: str) -> nw.Expr:
    """Why the grade is unknown: no term, no limit where one decides, or a bound on the wrong side."""
    unsettled = col(f"reached_{name}") == 0
    limited = _analytes(rows, lambda row: row["bound"] != "value")
    # An upper bound that reaches no grade says nothing: the true count may be low or not.
    silent = ~col("measured") & ~col("away") & unsettled
    # A lower bound within a grade leaves every milder grade possible.
    open_side = col("away") & ~unsettled
    return (
        when(col(f"term_{name}") != "")
        .then(col(f"term_{name}"))
        .when(limited & col("protocol_limit").is_null() & unsettled)
        .then(lit("no_laboratory_limit"))
        .when(silent | open_side)
        .then(lit("censored"))
        .otherwise(lit(""))
    )


def _reached(rows: Rows, direction: str) -> nw.Expr:
    """The worst grade whose limit the value has passed; 0 where none."""
    groups: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in _GROUP), []).append(row)
    reached = lit(0)
    for group in groups.values():
        reached = when(_applies(group[0])).then(_within(group, direction)).otherwise(reached)
    return reached


_GROUP = ("analyte", "age_unit", "age_from", "age_to")


def _within(group: Rows, direction: str) -> nw.Expr:
    reached = lit(0)
    for row in sorted(group, key=lambda row: int(row["grade"])):
        reached = when(_beyond(row, direction)).then(lit(int(row["grade"]))).otherwise(reached)
    return reached


def _beyond(row: Mapping[str, str], direction: str) -> nw.Expr:
    compare = operator.lt if direction == "low" else operator.gt
    if row["bound"] != "value":
        return compare(col("edge"), col("protocol_limit")).fill_null(False)
    step = HALF_STEP if direction == "low" else -HALF_STEP
    return compare(col("edge"), float(row["limit"]) + (step if row["inclusive"] == "1" else 0.0))


def _applies(row: Mapping[str, str]) -> nw.Expr:
    applies = col("analyte") == row["analyte"]
    if not row["age_unit"]:
        return applies
    age = col("age_days") if row["age_unit"] == "day" else col("years")
    return applies & age.is_between(int(row["age_from"]), int(row["age_to"])).fill_null(False)


def _years() -> nw.Expr:
    """Completed years, from days: exact but for a day at some birthdays."""
    return (col("age_days") * 4 + 3) // 1461


def _analytes(rows: Rows, wanted: Any) -> nw.Expr:
    names = sorted({row["analyte"] for row in rows if wanted(row)})
    return col("analyte").is_in(names) if names else lit(False)


def _term_reason(knowledge: Knowledge, rows: Rows, standard: str, direction: str) -> nw.Expr:
    reason = when(~_analytes(rows, lambda row: True)).then(lit("no_term")).otherwise(lit(""))
    for row in knowledge["terms_without_numbers"]:
        if row["standard"] == standard and row["direction"] == direction:
            reason = when(col("analyte") == row["analyte"]).then(lit(row["reason"])).otherwise(reason)
    aged = [row for row in rows if row["age_unit"]]
    if not aged:
        return reason
    excluded = _analytes(rows, lambda row: row["excludes"] == "hiv") & col("has_hiv")
    by_age = _analytes(aged, lambda row: True)
    return (
        when(reason != "")
        .then(reason)
        .when(excluded)
        .then(lit("term_excludes_hiv"))
        .when(by_age & col("age_days").is_null())
        .then(lit("age_unknown"))
        .when(by_age & ~_covered(aged))
        .then(lit("no_criteria_for_age"))
        .otherwise(lit(""))
    )


def _covered(aged: Rows) -> nw.Expr:
    covered = lit(False)
    for bands in {tuple(row[name] for name in _GROUP): row for row in aged}.values():
        covered = covered | _applies(bands)
    return covered


def _worst(rows: Rows) -> nw.Expr:
    worst = lit(0)
    for name in sorted({row["analyte"] for row in rows}):
        top = max(int(row["grade"]) for row in rows if row["analyte"] == name)
        worst = when(col("analyte") == name).then(lit(top)).otherwise(worst)
    return worst


def grades(graded: Frame, standards: Frame, names: Iterable[str]) -> Frame:
    """contracts.GRADES: one row per count and standard, from counts graded side by side.

    Parameters
    ----------
    graded : Frame
        What `grade` gives.
    standards : Frame
        One column, `standard`.
    names : iterable of str
        The standards.
    """
    crossed = graded.join(standards, how="cross")
    names = list(names)

    def pick(prefix: str) -> nw.Expr:
        picked = col(f"{prefix}_{column(names[-1])}")
        for name in names[:-1]:
            picked = when(col("standard") == name).then(col(f"{prefix}_{column(name)}")).otherwise(picked)
        return picked

    return crossed.select(
        "patient_id",
        "analyte",
        "minute",
        "standard",
        pick("grade").alias("grade"),
        pick("at_least").alias("at_least"),
        col("protocol_limit").alias("limit"),
        when(col("protocol_limit").is_null()).then(lit("none")).otherwise(col("protocol_basis")).alias("limit_basis"),
        pick("reason").alias("reason"),
    )


def prepare(aged: Frame, policy: Policy, direction: str) -> Frame:
    """The limit a protocol grade may use, its basis, and HIV, beside counts with limit_low, limit_high and interval_id.

    A protocol grade rests on the laboratory's own limit unless the policy says otherwise.
    """
    allowed = policy.text("grade_limits")
    own, interval = ~col("low").is_null(), col("interval_id")
    estimated = interval.str.starts_with(ESTIMATED) & lit(allowed != "laboratory")
    published = (interval != "") & ~interval.str.starts_with(ESTIMATED) & lit(allowed == "published")
    limit = when(estimated | published).then(col(f"limit_{direction}")).when(own).then(col(direction))
    return aged.with_columns(
        protocol_limit=limit,
        protocol_basis=when(estimated)
        .then(lit("estimated"))
        .when(published)
        .then(lit("published"))
        .otherwise(lit("laboratory")),
        has_hiv=(col("hiv_from") <= col("minute")).fill_null(False),
    )
