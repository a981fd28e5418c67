"""Exposures -> courses of treatment, and the stretches of them through which the phases of a rule run."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts.monitored import COURSES

Frame = nw.LazyFrame[Any]

DAY = 1440
NEVER = -(2**60)
"""A time before all times: a running maximum must not meet a null, which the engines treat differently."""

SEEN_DAYS = 30
"""Somebody whose records begin no more than so many days before the first row may have had the drug before."""

NEONATE_DAYS = 28
PERSON = ("patient_id", "drug")
COURSE = (*PERSON, "course")
DUTY = ("patient_id", "rule_no")
_OF_RULE = (
    *("rule_no", "rule_id", "drug", "analytes", "baseline", "baseline_days", "stop_days", "end_days"),
    *("goes_on", "changes", "count_days", "watch_days", "scheduled", "irregular_from"),
)
BASES = ("administered", "dispensed", "stated", "ordered")


def one(flag: nw.Expr) -> nw.Expr:
    """1 where it holds, else 0: sums of flags differ between the engines."""
    return when(flag).then(lit(1)).otherwise(lit(0)).cast(nw.Int64)


def lasting(exposures: Frame, patients: Frame, drugs: Frame, as_of: int) -> Frame:
    """Exposures to the drugs of the pack as known on the day asked for, with `until`: that day, or death."""
    deaths = patients.select(
        "patient_id",
        "duffy_null",
        birth=when(col("birth_precision").is_in(["minute", "day"])).then(col("birth")),
        until=when(col("death") < as_of).then(col("death")).otherwise(lit(as_of)).cast(nw.Int64),
        dead=(col("death") <= as_of).fill_null(False),
    )
    known = exposures.rename({"ingredient": "drug"}).join(drugs, on="drug").join(deaths, on="patient_id", how="left")
    lived = known.with_columns(
        until=col("until").fill_null(as_of),
        dead=col("dead").fill_null(False),
        duffy_null=col("duffy_null").fill_null(False),
    ).filter(col("start") <= col("until"))
    unsaid = col("end").is_null() | ((col("end") == col("start")) & (col("status") != "administered"))
    ended = when(unsaid).then(col("start")).when(col("end") > col("until")).then(col("until")).otherwise(col("end"))
    return lived.with_columns(end=ended, end_said=~unsaid)


def undated(exposures: Frame, drugs: Frame) -> Frame:
    """Persons with a row of a drug that has no start, and none that has one."""
    rows = exposures.rename({"ingredient": "drug"}).join(drugs.filter(col("ruled")).select("drug"), on="drug")
    flagged = rows.group_by(*PERSON).agg(dated=one(~col("start").is_null()).max())
    return flagged.filter(col("dated") == 0).select(*PERSON)


def runs(lasting: Frame) -> Frame:
    """Exposures without an interruption that any rule minds, as one row.

    Returns
    -------
    Frame
        patient_id, drug, course, run, start, end, interruption (days since the run before; null for the first), and
        what is known of the rows.
    """
    reached = lasting.with_columns(reached=col("end").cum_max().over(*PERSON, order_by=["start"]))
    shifted = reached.with_columns(before=col("reached").shift(1).over(*PERSON, order_by=["start"]))
    gap = col("start") // DAY - col("before") // DAY
    marked = shifted.with_columns(
        interruption=gap,
        new_course=one((gap > col("gap_days")).fill_null(True)),
        new_run=one((gap > col("break_days")).fill_null(True)),
    )
    numbered = marked.with_columns(
        course=col("new_course").cum_sum().over(*PERSON, order_by=["start"]).cast(nw.Int64),
        run=col("new_run").cum_sum().over(*PERSON, order_by=["start"]).cast(nw.Int64),
    )
    last = col("end") == col("longest")
    over_run = (*PERSON, "run")
    placed = numbered.with_columns(
        earliest=col("start").min().over(*over_run), longest=col("end").max().over(*over_run), rank=_rank()
    )
    return placed.group_by(*COURSE, "run").agg(
        start=col("start").min(),
        end=col("end").max(),
        interruption=when(col("new_run") == 1).then(col("interruption")).max(),
        rank=col("rank").min(),
        dosed=one(~col("dose").is_null()).max(),
        end_said=one(last & col("end_said")).max(),
        until=col("until").max(),
        dead=one(col("dead")).max(),
        duffy_null=one(col("duffy_null")).max(),
        birth=col("birth").max(),
        gap_days=col("gap_days").max(),
        ruled=one(col("ruled")).max(),
        source=when(col("start") == col("earliest")).then(col("source")).min(),
    )


def _rank() -> nw.Expr:
    rank = lit(len(BASES) - 1)
    for place, basis in enumerate(BASES):
        rank = when(col("status") == basis).then(lit(place)).otherwise(rank)
    return rank.cast(nw.Int64)


def first_records(exposures: Frame, counts: Frame, runs: Frame, periods: Frame) -> Frame:
    """`first`, the first minute on record of everybody without an observation period; dates may be shifted by person.

    Parameters
    ----------
    exposures, counts, periods : Frame
        contracts.EXPOSURES, COUNTS, OBSERVATION_PERIODS.
    runs : Frame
        What `runs` gives: nobody else is asked for.
    """
    persons = runs.select("patient_id").unique().join(periods, on="patient_id", how="anti")
    times = [exposures.select("patient_id", first="start"), counts.select("patient_id", first="minute")]
    mine = [part.join(persons, on="patient_id", how="semi") for part in times]
    return nw.concat(mine).group_by("patient_id").agg(first=col("first").min())


def courses(runs: Frame, periods: Frame, firsts: Frame, data_start: int) -> Frame:
    """One row a course: contracts.COURSES and what the later stages need.

    Parameters
    ----------
    runs : Frame
        What `runs` gives.
    periods : Frame
        contracts.OBSERVATION_PERIODS.
    firsts : Frame
        What `first_records` gives.
    data_start : int
        The first minute of the source, which bounds what is on record of persons without an observation period.
    """
    placed = runs.with_columns(earliest=col("start").min().over(*COURSE), longest=col("end").max().over(*COURSE))
    grouped = placed.group_by(*COURSE).agg(
        start=col("start").min(),
        end=col("end").max(),
        rank=col("rank").min(),
        dosed=col("dosed").max(),
        end_said=when(col("end") == col("longest")).then(col("end_said")).max(),
        until=col("until").max(),
        dead=col("dead").max(),
        duffy_null=col("duffy_null").max(),
        birth=col("birth").max(),
        gap_days=col("gap_days").max(),
        ruled=col("ruled").max(),
        last_run=col("run").max(),
        source=when(col("start") == col("earliest")).then(col("source")).min(),
    )
    over = {"order_by": ["course"]}
    neighbours = grouped.with_columns(
        previous_end=col("end").shift(1).over(*PERSON, **over), next_start=col("start").shift(-1).over(*PERSON, **over)
    )
    seen = _seen(neighbours, periods, firsts, data_start)
    only_orders = col("rank") == len(BASES) - 1
    supplied = col("until") // DAY <= col("end") // DAY + col("gap_days")
    age = col("start") // DAY - col("birth") // DAY
    return seen.with_columns(
        # Of two courses the earlier is over, whatever the gap.
        ongoing_at=supplied & (col("dead") == 0) & col("next_start").is_null(),
        start_known=(col("seen") == 1) & ~only_orders,
        end_known=col("end_said") == 1,
        basis=_basis(),
        reason=when(only_orders)
        .then(lit("only_orders"))
        .when(col("seen") == 0)
        .then(lit("start_not_seen"))
        .when(col("dosed") == 0)
        .then(lit("no_dose"))
        .otherwise(lit("")),
        population=when((age <= NEONATE_DAYS).fill_null(False))
        .then(lit("neonate"))
        .when(col("duffy_null") == 1)
        .then(lit("duffy_null"))
        .otherwise(lit("general")),
    ).drop("seen", "rank", "dosed", "end_said", "duffy_null")


def _basis() -> nw.Expr:
    basis = lit(BASES[-1])
    for place, name in enumerate(BASES[:-1]):
        basis = when(col("rank") == place).then(lit(name)).otherwise(basis)
    return basis


def _seen(courses: Frame, periods: Frame, firsts: Frame, data_start: int) -> Frame:
    """Add `seen`: 1 where the records tell that the drug was not taken before the course.

    Without an observation period they must begin on an earlier day than the course, and the source long before.
    """
    spans = periods.select("patient_id", from_="start", to_="end")
    long_enough = (col("start") - col("from_") > SEEN_DAYS * DAY) | (col("previous_end") >= col("from_")).fill_null(
        False
    )
    inside = long_enough & (col("from_") <= col("start")) & (col("to_").is_null() | (col("start") <= col("to_")))
    within = (
        courses.select(*COURSE, "start", "previous_end")
        .join(spans, on="patient_id")
        .filter(inside)
        .select(*COURSE)
        .unique()
        .with_columns(within=lit(1))
    )
    begun = (col("start") // DAY > col("first") // DAY) & (col("start") - data_start > SEEN_DAYS * DAY)
    alone = begun | ~col("previous_end").is_null()
    joined = courses.join(firsts, on="patient_id", how="left").join(within, on=[*COURSE], how="left")
    known = when(col("first").is_null()).then(col("within").fill_null(0) == 1).otherwise(alone)
    return joined.with_columns(seen=one(known)).drop("first", "within")


def table(courses: Frame) -> Frame:
    """contracts.COURSES of the drugs with a rule."""
    return courses.filter(col("ruled") == 1).select(*COURSES.names)


def stretches(runs: Frame, courses: Frame, duties: Frame, people: Frame) -> Frame:
    """Runs under each rule that is for the person: phases count from `anchor`, the first day of the stretch.

    An interruption longer than the rule allows starts its phases anew; where the rule names none, a new course does.

    Returns
    -------
    Frame
        One row a person, rule_no, course and stretch: from_day, to_day, anchor, anchor_known, fresh (1: phases begin
        here), last (1: the last stretch of its course), next_day (start of the next one), going (treatment goes on),
        lapsed (the schedule of the treatment no longer holds), and the columns of course, rule and validity.
    """
    kept = ("until", "dead", "population", "ongoing_at", "start_known", "end_known", "last_run", "basis", "source")
    course = courses.select(*COURSE, *kept, course_start="start")
    spans = runs.select(*COURSE, "run", "start", "end", "interruption").join(course, on=[*COURSE])
    ruled = spans.join(duties, on="drug").join(people, on=["rule_no", "population"])
    anew = (col("interruption") > col("restart_days")) | (~col("restarts") & (col("start") == col("course_start")))
    known = when(col("start") == col("course_start")).then(one(col("start_known"))).otherwise(lit(1))
    ordered = ruled.with_columns(before=col("run").shift(1).over(*DUTY, order_by=["run"]))
    marked = ordered.with_columns(fresh=one(col("before").is_null() | anew)).with_columns(
        fresh_known=when(col("fresh") == 1).then(known), fresh_day=when(col("fresh") == 1).then(col("start") // DAY)
    )
    counted = marked.with_columns(stretch=col("fresh").cum_sum().over(*DUTY, order_by=["run"]).cast(nw.Int64))
    anchored = counted.with_columns(
        anchor=col("fresh_day").min().over(*DUTY, "stretch"),
        anchor_known=col("fresh_known").min().over(*DUTY, "stretch"),
    )
    grouped = anchored.group_by("patient_id", "rule_no", "course", "stretch").agg(
        from_day=col("start").min() // DAY,
        to_day=col("end").max() // DAY,
        fresh=col("fresh").max(),
        last=one(col("run") == col("last_run")).max(),
        anchor=col("anchor").min(),
        anchor_known=col("anchor_known").min(),
        from_minute=col("start").min(),
        until=col("until").max(),
        until_day=col("until").max() // DAY,
        only_orders=one(col("basis") == "ordered").max(),
        dead=col("dead").max(),
        ongoing=one(col("ongoing_at")).max(),
        end_known=one(col("end_known")).max(),
        valid_from=col("valid_from").max(),
        valid_to=col("valid_to").max(),
        source=col("source").max(),
    )
    ahead = grouped.with_columns(next_day=col("from_day").shift(-1).over(*DUTY, order_by=["course", "stretch"]))
    going = (col("ongoing") == 1) & (col("last") == 1)
    # Some rules have other intervals once the supply is used up, whether or not more is to come.
    lapsed = ~going | (col("changes") & (col("to_day") < col("until_day")))
    return (
        ahead.with_columns(going=going)
        .join(duties.select(*_OF_RULE), on="rule_no")
        .with_columns(lapsed=lapsed)
        .filter(col("valid_from") <= col("until_day"), col("valid_to") >= col("from_day"))
    )
