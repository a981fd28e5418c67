"""The cohort in numbers: aggregates of the tables, small enough to print, whatever the size of the cohort.

Every aggregate is a list of rows (dicts of text, whole numbers and, in `scatter` alone, positions), so that
another engine can supply the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

Frame = pl.DataFrame | pl.LazyFrame
Rows = list[dict[str, Any]]

_KEY = ["patient_id", "analyte", "minute"]
_WORST = {
    f"worst_{s.replace('-', '_').replace('.', '_')}": s for s in ("ctcae-4.03", "ctcae-5.0", "ctcae-6.0", "daids-2.1")
}
_NOT_RECOGNISED = ("unknown_code", "not_of_interest", "code_contradicted")
_MERGED = ("component_unused",)
_STEPS = ("rows", "read", "recognised", "blood", "usable", "merged")

DAY_CLASSES = (
    "under 1 day",
    "1 to 6 days",
    "7 to 13 days",
    "14 to 29 days",
    "30 to 89 days",
    "90 days and more",
)
_DAY_BREAKS = [1, 7, 14, 30, 90]


def summarise(tables: Mapping[str, Frame], received: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The aggregates of a report.

    Parameters
    ----------
    tables : mapping of str to polars.DataFrame or polars.LazyFrame
        patients, counts, limits, grades, episodes, findings, exposures, conditions, issues, risks, causes,
        cause_rates.
    received : mapping, optional
        ``rows``: result rows in the sources, unreadable ones included; ``units``: rows {unit, rows}
        as received. Without it the attrition begins with the counts.

    Returns
    -------
    dict
        totals, lines, severity, worst, unknown, crosswalk, durations, scatter, limits, risks, attrition,
        set_aside, units, missing, causes.
    """
    lazy = {name: table.lazy() for name, table in tables.items()}
    plans = {
        "lines": lines(lazy["counts"], lazy["limits"]),
        "severity": severity(lazy["episodes"]),
        "worst": worst(lazy["episodes"]),
        "unknown": unknown(lazy["grades"]),
        "crosswalk": crosswalk(lazy["grades"]),
        "durations": durations(lazy["episodes"]),
        "scatter": scatter(lazy["episodes"]),
        "limits": limit_bases(lazy["limits"]),
        "risks": risk_kinds(lazy["risks"]),
        "set_aside": issue_reasons(lazy["issues"]),
        "causes": leading_causes(lazy["causes"], lazy["cause_rates"]),
        "totals": totals(lazy),
        "presence": presence(lazy),
        "left": rows_left(lazy["issues"]),
    }
    found = dict(zip(plans, (frame.to_dicts() for frame in pl.collect_all(list(plans.values()))), strict=True))
    summary: dict[str, Any] = {**found, "totals": found["totals"][0]}
    told = received or {}
    summary["units"] = list(told.get("units", []))
    summary["attrition"] = attrition(summary["totals"], summary.pop("left"), told.get("rows"))
    summary["missing"] = missing(summary.pop("presence")[0])
    return summary


def _persons() -> pl.Expr:
    return pl.col("patient_id").n_unique().alias("persons")


def _is_low() -> pl.Expr:
    return ((pl.col("value") < pl.col("limit")) & ~pl.col("comparator").is_in([">", ">="])).fill_null(False)


def lines(counts: pl.LazyFrame, limits: pl.LazyFrame) -> pl.LazyFrame:
    """Per analyte: counts, persons, low counts and how the counts came about."""
    low = pl.col("low_count")
    return (
        counts.drop("low", "high")
        .join(limits.select(*_KEY, limit="low"), on=_KEY, how="left")
        .with_columns(low_count=_is_low())
        .group_by("analyte")
        .agg(
            pl.len().alias("counts"),
            _persons(),
            low.sum().alias("low_counts"),
            pl.col("patient_id").filter(low).n_unique().alias("low_persons"),
            (pl.col("derivation") != "reported").sum().alias("derived"),
            (pl.col("derivation") == "bounded_by_wbc").sum().alias("bounded"),
            ((pl.col("comparator") != "") & (pl.col("derivation") != "bounded_by_wbc")).sum().alias("censored"),
            pl.col("conflict").sum(),
            pl.col("unit_repaired").sum(),
        )
        .sort("analyte")
    )


def severity(episodes: pl.LazyFrame) -> pl.LazyFrame:
    """Episodes and persons by line and severity."""
    return (
        episodes.group_by("analyte", "severity").agg(pl.len().alias("episodes"), _persons()).sort("analyte", "severity")
    )


def worst(episodes: pl.LazyFrame) -> pl.LazyFrame:
    """Episodes by line, standard and worst grade; a null grade is unknown."""
    return (
        episodes.select("analyte", **{standard: column for column, standard in _WORST.items()})
        .unpivot(index="analyte", variable_name="standard", value_name="grade")
        .group_by("analyte", "standard", "grade")
        .agg(pl.len().alias("episodes"))
        .sort("analyte", "standard", "grade", nulls_last=True)
    )


def unknown(grades: pl.LazyFrame) -> pl.LazyFrame:
    """Counts without a grade, by standard, line and reason."""
    return (
        grades.filter(pl.col("grade").is_null())
        .group_by("standard", "analyte", "reason")
        .agg(pl.len().alias("counts"), _persons())
        .sort("standard", "analyte", "reason")
    )


def crosswalk(grades: pl.LazyFrame) -> pl.LazyFrame:
    """Counts by line, CTCAE 5.0 grade and CTCAE 6.0 grade of the same count."""
    old = grades.filter(pl.col("standard") == "ctcae-5.0").select(*_KEY, v5="grade")
    new = grades.filter(pl.col("standard") == "ctcae-6.0").select(*_KEY, v6="grade")
    return (
        old.join(new, on=_KEY)
        .group_by("analyte", "v5", "v6")
        .agg(pl.len().alias("counts"))
        .sort("analyte", "v5", "v6", nulls_last=True)
    )


def _days() -> pl.Expr:
    return (pl.coalesce("recovery", "last_low") - pl.col("onset")) / 1440


def durations(episodes: pl.LazyFrame) -> pl.LazyFrame:
    """Episodes by line, severity and length: onset to recovery, else to the last low count."""
    classes = pl.lit(DAY_CLASSES[-1])
    for upper, name in reversed(list(zip(_DAY_BREAKS, DAY_CLASSES, strict=False))):
        classes = pl.when(_days() < upper).then(pl.lit(name)).otherwise(classes)
    return (
        episodes.with_columns(days=classes)
        .group_by("analyte", "severity", "days")
        .agg(pl.len().alias("episodes"))
        .sort("analyte", "severity", "days")
    )


def scatter(episodes: pl.LazyFrame) -> pl.LazyFrame:
    """Episodes on a fine grid of nadir and length, so that the plot stays small.

    A cell is 0.05 wide in the nadir, cut from below so that no cell straddles a cut-off of a grade, and a
    twentieth of a decade in days; its middle stands for it.
    """
    nadir = (pl.col("nadir") * 20 + 1e-9).floor()
    days = (_days().clip(lower_bound=0.5).log10() * 20).round()
    return (
        episodes.select("analyte", cell=nadir, step=days, closed=pl.col("state") == "closed")
        .group_by("analyte", "cell", "step", "closed")
        .agg(pl.len().alias("episodes"))
        .select(
            "analyte",
            "closed",
            "episodes",
            nadir=(pl.col("cell") + 0.5) / 20,
            days=10.0 ** (pl.col("step") / 20),
        )
        .sort("analyte", "nadir", "days", "closed")
    )


def limit_bases(limits: pl.LazyFrame) -> pl.LazyFrame:
    """Counts by line, basis of the limit and, where there is none, the reason."""
    return (
        limits.group_by("analyte", "basis", "reason").agg(pl.len().alias("counts")).sort("analyte", "basis", "reason")
    )


def risk_kinds(risks: pl.LazyFrame) -> pl.LazyFrame:
    """Persons by kind of risk, ongoing or past."""
    return risks.group_by("kind", "ongoing").agg(_persons()).sort("kind", "ongoing")


def leading_causes(causes: pl.LazyFrame, rates: pl.LazyFrame) -> pl.LazyFrame:
    """The causes that lead in any episode, with the persons in whom they do."""
    led = causes.filter(pl.col("rank") == 1).group_by("cause_id").agg(_persons().alias("persons_led"))
    columns = (
        "cause_id",
        "leads_in",
        "persons_led",
        "expected",
        "persons",
        "days_exposed",
        "rate",
        "rate_low",
        "rate_high",
    )
    return rates.join(led, on="cause_id").select(columns).sort("leads_in", "cause_id", descending=[True, False])


def issue_reasons(issues: pl.LazyFrame) -> pl.LazyFrame:
    """Rows set aside, or marked and kept, by stage, table and reason."""
    by = ["stage", "table", "reason", "set_aside"]
    return issues.group_by(by).agg(pl.col("n").sum().alias("rows")).sort(by)


def rows_left(issues: pl.LazyFrame) -> pl.LazyFrame:
    """Result rows set aside, by the step of the attrition at which they left."""
    reason = pl.col("reason")
    step = (
        pl.when(pl.col("stage") == "read")
        .then(pl.lit("read"))
        .when(reason.is_in(_NOT_RECOGNISED))
        .then(pl.lit("recognised"))
        .when(reason == "not_blood")
        .then(pl.lit("blood"))
        .when(reason.is_in(_MERGED))
        .then(pl.lit("merged"))
        .otherwise(pl.lit("usable"))
    )
    results = issues.filter(pl.col("set_aside") & (pl.col("table") == "raw_results"))
    return results.group_by(step=step).agg(pl.col("n").sum().alias("rows"))


def totals(tables: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    """One row: persons, counts, low counts, episodes."""
    counts = lines(tables["counts"], tables["limits"]).select(pl.col("counts", "low_counts").sum())
    parts = [
        tables["patients"].select(_persons()),
        tables["counts"].select(persons_with_counts=pl.col("patient_id").n_unique()),
        counts,
        _low_persons(tables["counts"], tables["limits"]),
        tables["episodes"].select(episodes=pl.len(), persons_with_episodes=pl.col("patient_id").n_unique()),
    ]
    return pl.concat(parts, how="horizontal")


def _low_persons(counts: pl.LazyFrame, limits: pl.LazyFrame) -> pl.LazyFrame:
    joined = counts.drop("low", "high").join(limits.select(*_KEY, limit="low"), on=_KEY, how="left")
    return joined.filter(_is_low()).select(persons_low=pl.col("patient_id").n_unique())


def attrition(totals: Mapping[str, Any], left: Rows, rows: int | None) -> Rows:
    """Rows and persons from the rows offered down to the episodes.

    Parameters
    ----------
    totals : mapping
        As made by `totals`.
    left : list of dict
        step (read, recognised, blood, usable, merged) and rows set aside there.

    rows : int, optional
        Result rows in the sources; where not known the table begins with the counts.

    Returns
    -------
    list of dict
        step, rows, persons (None where not known).
    """
    gone = {row["step"]: row["rows"] for row in left}
    steps: Rows = []
    if rows is not None:
        for step in _STEPS:
            rows -= gone.get(step, 0)
            steps.append({"step": step, "rows": rows, "persons": None})
    return [
        *steps,
        {"step": "counts", "rows": totals["counts"], "persons": totals["persons_with_counts"]},
        {"step": "low", "rows": totals["low_counts"], "persons": totals["persons_low"]},
        {"step": "episodes", "rows": totals["episodes"], "persons": totals["persons_with_episodes"]},
    ]


def presence(tables: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    """One row: which of the things that bear on the result are there at all."""
    counts, findings = tables["counts"], tables["findings"]
    return pl.concat(
        [
            tables["patients"].select(
                birth=pl.col("birth").is_not_null().any(),
                every_birth=pl.col("birth").is_not_null().all(),
                sex=pl.col("sex").is_in(["male", "female"]).any(),
            ),
            counts.select(
                laboratory=pl.col("low").is_not_null().any(),
                neutrophils=(pl.col("analyte") == "neutrophils").any(),
                platelets=(pl.col("analyte") == "platelets").any(),
                haemoglobin=(pl.col("analyte") == "haemoglobin").any(),
                clock=(pl.col("time_precision") == "minute").any(),
            ),
            findings.select(temperature=(pl.col("finding") == "temperature").any(), findings=pl.len() > 0),
            tables["exposures"].select(exposures=pl.len() > 0),
            tables["conditions"].select(conditions=pl.len() > 0),
        ],
        how="horizontal",
    )


_MISSING = {
    "birth": "no birth dates: limits and grades that depend on age are unknown",
    "sex": "no sex: limits that depend on sex are unknown",
    "laboratory": "no laboratory limits: lower limits, where there are any, are estimated or published ones",
    "neutrophils": "no neutrophil count and no differential: neutropenia cannot be judged",
    "platelets": "no platelets: a fall of more than one line cannot be judged",
    "haemoglobin": "no haemoglobin: a fall of more than one line cannot be judged",
    "clock": "no time of day: counts of one day cannot be put in order",
    "temperature": "no temperatures: fever cannot be judged",
    "findings": "no films, spleen, vitamins or other findings",
    "exposures": "no drugs: nothing can be said about drugs as a cause",
    "conditions": "no diagnoses",
}


def missing(presence: Mapping[str, bool]) -> list[str]:
    """What the records did not hold, and what follows from it, in words without numbers."""
    absent = [text for name, text in _MISSING.items() if not presence[name]]
    if presence["birth"] and not presence["every_birth"]:
        absent.append("birth dates of some persons")
    return absent
