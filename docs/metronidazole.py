"""Counts before and after metronidazole in the MIMIC-IV demo: the tables of docs/explanation/metronidazole.md.

    python docs/metronidazole.py /path/to/events.parquet

Aggregates only. A test makes them again where the shared data are, and those of an own-made twin everywhere.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

import leukopenia as lk

PAGE = Path(__file__).parent / "explanation" / "metronidazole.md"
MARKS = ("<!-- made by docs/metronidazole.py -->", "<!-- end of what is made -->")

DRUG = "drug:metronidazole"
DAY = 1440
BEFORE_DAYS, AFTER_DAYS = 28, 14
"""How far from the treatment a count is still one before or after it: the defaults of the policy (monitor.*)."""

GROUPS = {"all": "all", "given": "given on the ward", "ordered": "only ordered"}
KINDS = {"full": "total and differential", "total": "total, with or without a differential"}


def tables(source: Any) -> dict[str, pl.DataFrame]:
    """The result tables of a source under the rules of the US, whose label asks for both counts."""
    with lk.run(source, policy={"monitor.jurisdiction": "us"}, frame="polars") as result:
        return {name: result.tables[name] for name in ("courses", "counts", "patients")}


def draws(counts: pl.DataFrame) -> pl.DataFrame:
    """One row a draw with a total count: patient_id, minute, full (neutrophils are known as well, not bounded)."""
    neutrophils = (pl.col("analyte") == "neutrophils") & (pl.col("derivation") != "bounded_by_wbc")
    grouped = counts.group_by("patient_id", "minute").agg(
        total=(pl.col("analyte") == "wbc").any(), full=neutrophils.any()
    )
    return grouped.filter("total").select("patient_id", "minute", "full")


def around(made: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row a course: given or not, and days from the last count before the start and to the first after the end.

    `days_before_full`, `days_after_full` ask for a total and differential count, `_total` for a total count; null
    where none stands within the days. `seen_after`: any total count at any time after the end. `again`: the next
    course begins, and `dead`: the person dies, within the days in which the count after the end was due.
    """
    mine = made["courses"].filter(pl.col("drug") == DRUG).sort("patient_id", "start")
    courses = mine.with_columns(
        given=pl.col("basis") == "administered", next_start=pl.col("start").shift(-1).over("patient_id")
    ).join(made["patients"].select("patient_id", "death"), on="patient_id", how="left")
    taken = draws(made["counts"])
    key = ["patient_id", "course"]
    limit = pl.col("end") + AFTER_DAYS * DAY
    for kind, rows in (("full", taken.filter("full")), ("total", taken)):
        joined = courses.select(*key, "start", "end").join(rows.select("patient_id", "minute"), on="patient_id")
        before, after = pl.col("start") - pl.col("minute"), pl.col("minute") - pl.col("end")
        found = joined.group_by(key).agg(
            before.filter((before >= 0) & (before <= BEFORE_DAYS * DAY)).min().alias(f"before_{kind}"),
            after.filter((after > 0) & (after <= AFTER_DAYS * DAY)).min().alias(f"after_{kind}"),
            (after > 0).any().alias(f"seen_{kind}"),
        )
        courses = courses.join(found, on=key, how="left")
    return courses.select(
        *key,
        "given",
        *(
            (pl.col(f"{side}_{kind}") / DAY).alias(f"days_{side}_{kind}")
            for side in ("before", "after")
            for kind in KINDS
        ),
        seen_after=pl.col("seen_total").fill_null(False),
        again=(pl.col("next_start") <= limit).fill_null(False),
        dead=(pl.col("death") <= limit).fill_null(False),
    )


def figures(courses: pl.DataFrame) -> list[dict[str, Any]]:
    """Numbers for every group of courses and kind of count."""
    groups = {
        "all": courses,
        "given": courses.filter("given"),
        "ordered": courses.filter(~pl.col("given")),
    }
    return [_figures(rows, group, kind) for kind in KINDS for group, rows in groups.items()]


def _figures(rows: pl.DataFrame, group: str, kind: str) -> dict[str, Any]:
    before, after = (rows[f"days_{side}_{kind}"].is_not_null() for side in ("before", "after"))
    return {
        "group": group,
        "kind": kind,
        "courses": rows.height,
        "persons": rows["patient_id"].n_unique(),
        "before": before.sum(),
        "after": after.sum(),
        "both": (before & after).sum(),
        "neither": (~before & ~after).sum(),
        **{f"days_{side}": _spread(rows[f"days_{side}_{kind}"]) for side in ("before", "after")},
    }


def _spread(days: pl.Series) -> str:
    """Median and range, one decimal."""
    found = days.drop_nulls()
    return f"{found.median():.1f} ({found.min():.1f} to {found.max():.1f})" if found.len() else "–"


def unknowns(courses: pl.DataFrame) -> dict[str, int]:
    """Of the courses without a total and differential count after the end: what is on record instead."""
    without = courses.filter(pl.col("days_after_full").is_null())
    return {
        "none after the end": without.height,
        "a total count alone": without["days_after_total"].is_not_null().sum(),
        "begun again before the count was due": without["again"].sum(),
        "died before the count was due": without["dead"].sum(),
        "no count of the person ever again": (~without["seen_after"]).sum(),
    }


def page(courses: pl.DataFrame) -> str:
    """The tables of the page."""
    head = ("counts", "courses", "", "persons", "before", "after", "both", "neither", "days before", "days after")
    numbers = ("persons", "before", "after", "both", "neither", "days_before", "days_after")
    rows = [
        (KINDS[row["kind"]], GROUPS[row["group"]], row["courses"], *(row[name] for name in numbers))
        for row in figures(courses)
    ]
    return f"{_table(head, rows)}\n{_table(('courses', 'number'), unknowns(courses).items())}"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [list(head), *([str(cell) for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def with_tables(text: str, made: str) -> str:
    """The page with what is made between its marks."""
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n\n{made}\n{MARKS[1]}{after}"


if __name__ == "__main__":
    written = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_tables(written, page(around(tables(Path(sys.argv[1]))))), encoding="utf-8")
