"""A few lines for the terminal: what a run found, what a source holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def headline(folder: Path) -> dict[str, Any]:
    """Persons, counts and episodes of a written result, in numbers and in lines of text."""
    import polars as pl

    def rows(name: str) -> pl.LazyFrame:
        path = folder / f"{name}.parquet"
        return pl.scan_parquet(f"{path}/*.parquet" if path.is_dir() else path)

    counts = rows("counts").group_by("analyte").agg(pl.len(), persons=pl.col("patient_id").n_unique())
    episodes = rows("episodes").group_by("analyte").agg(pl.len(), persons=pl.col("patient_id").n_unique())
    flags = rows("risks").filter("ongoing").group_by("kind").agg(persons=pl.col("patient_id").n_unique())
    aside = rows("issues").filter("set_aside").select(pl.col("n").sum()).collect().item() or 0
    told: dict[str, Any] = {
        "persons": rows("patients").select(pl.len()).collect().item(),
        "counts": {row["analyte"]: row["len"] for row in counts.sort("analyte").collect().to_dicts()},
        "episodes": {
            row["analyte"]: {"episodes": row["len"], "persons": row["persons"]}
            for row in episodes.sort("analyte").collect().to_dicts()
        },
        "ongoing_red_flags": {row["kind"]: row["persons"] for row in flags.sort("kind").collect().to_dicts()},
        "rows_set_aside": aside,
        "why_no_counts": _why_no_counts(rows("issues"), rows("counts")),
    }
    if (folder / "alerts.parquet").exists():
        told["monitoring"] = {name: _persons_open(rows(name)) for name in ("alerts", "not_assessable")}
        told["monitoring"]["courses"] = rows("courses").select(pl.len()).collect().item()
    return told | {"lines": _lines(told)}


def _persons_open(table: pl.LazyFrame) -> int:
    import polars as pl

    found: int = table.filter("open").select(pl.col("patient_id").n_unique()).collect().item()
    return found


def _why_no_counts(issues: pl.LazyFrame, counts: pl.LazyFrame) -> list[str]:
    """Where there is no count at all: the commonest reasons, in words."""
    import polars as pl

    from leukopenia.errors import REASONS

    if counts.select(pl.len()).collect().item():
        return []
    found = issues.filter(pl.col("table") == "raw_results")
    common = (
        found.group_by("reason").agg(pl.col("n").sum(), pl.col("detail").min()).sort("n", "reason", descending=True)
    )
    return [
        f"{REASONS.get(row['reason'], row['reason'])} ({row['detail']})" for row in common.head(3).collect().to_dicts()
    ]


def _lines(told: dict[str, Any]) -> list[str]:
    flags = [f"{persons} {kind.replace('_', ' ')}" for kind, persons in told["ongoing_red_flags"].items()]
    episodes = [f"  {name}: {row['episodes']} in {row['persons']} persons" for name, row in told["episodes"].items()]
    return [
        f"Red flags at the end of the records (persons): {', '.join(flags) or 'none'}",
        f"Persons {told['persons']}, counts {sum(told['counts'].values())}, rows set aside {told['rows_set_aside']}",
        *(f"No counts: {reason}" for reason in told["why_no_counts"]),
        *_monitoring(told),
        "Episodes:" if episodes else "No episode of a low count.",
        *episodes,
    ]


def _monitoring(told: dict[str, Any]) -> list[str]:
    if "monitoring" not in told:
        return []
    waiting, unsure, courses = (told["monitoring"][name] for name in ("alerts", "not_assessable", "courses"))
    if not courses and not unsure:
        return ["Drug monitoring: no treatment with a drug that has a rule is on record, nothing could be monitored"]
    return [f"Drug monitoring (persons): {waiting} need attention, {unsure} cannot be assessed wholly or in part"]


def print_inspection(found: dict[str, Any]) -> None:
    """What `inspect` found, for a person."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 160)
    console.print(f"{found['source']}: {found['format']}, rows {found['rows_in']}", markup=False)
    for title, rows, columns in (
        ("Understood", found["understood"], ("component", "n", "unit", "code", "name", "specimen", "note")),
        (
            "Not understood, or not a blood count",
            found["not_understood"][:25],
            ("reason", "n", "unit", "code", "name", "specimen"),
        ),
    ):
        table = Table(title=f"{title} ({len(rows)})", title_justify="left")
        for column in columns:
            table.add_column(column, justify="right" if column == "n" else "left", overflow="fold")
        for row in rows:
            table.add_row(*(str(row[column]) for column in columns))
        console.print(table)
    drugs = ", ".join(f"{name} {n}" for name, n in list(found["drugs"]["ingredients"].items())[:20])
    console.print(f"Drugs known here: {drugs or 'none'}", markup=False)
    conditions = ", ".join(f"{name} {n}" for name, n in list(found["conditions"].items())[:20])
    console.print(f"Conditions known here: {conditions or 'none'}", markup=False)
    lines = found["site_map_stub"].splitlines()
    if len(lines) > 1:
        console.print(f"A site map to fill in ({len(lines) - 1} codes; --json gives all):")
        console.print("\n".join(lines[:15]), markup=False)
