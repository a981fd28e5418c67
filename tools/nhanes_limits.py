"""Limits and L, M, S of the white lines and platelets in the United States, by age, sex and group.

    LEUKOPENIA_SHARED=/where/the/data/are python tools/nhanes_limits.py

reads nhanes-cbc/nhanes_cbc_demo_2011_2018.parquet (NHANES 2011 to 2018, CBC beside DEMO; public domain) and writes
nhanes_limits.csv and lms.csv into the knowledge folder. Rows of persons stay where they are. Pregnant women are left
out; nobody is left out for ill health.
"""

from __future__ import annotations

import csv
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
from lms_fit import Fit, Knots, fit
from numpy.typing import NDArray
from survey import Sample, percentile

KNOWLEDGE = Path(__file__).resolve().parents[1] / "src" / "leukopenia" / "knowledge"
SOURCE_ID = "nhanes_2011_2018"
YEAR_HOURS, TOP_HOURS = 8766, 9_999_999
OLDEST = 80
"""Ages from 80 on are published as 80."""

FEWEST = 120
"""Persons below which no percentile is given: what CLSI EP28-A3c asks for a nonparametric limit."""

LINES = {
    "wbc": ("LBXWBCSI", "", 0.1),
    "neutrophils": ("LBDNENO", "", 0.1),
    "lymphocytes": ("LBDLYMNO", "", 0.1),
    # Published to 0.1, too coarse for these two; the published share times the white cells is ten times finer.
    "monocytes": ("LBXWBCSI", "LBXMOPCT", 0.01),
    "eosinophils": ("LBXWBCSI", "LBXEOPCT", 0.01),
    "platelets": ("LBXPLTSI", "", 1.0),
}
SMOOTHED = ("wbc", "neutrophils", "lymphocytes", "monocytes", "platelets")
GROUPS = {
    "all": (),
    "mexican_american": (1,),
    "other_hispanic": (2,),
    "non_hispanic_white": (3,),
    "non_hispanic_black": (4,),
    "non_hispanic_asian": (6,),
}
SEXES = {"any": (1, 2), "male": (1,), "female": (2,)}

BANDS_OF_ALL = (
    *((1, 3), (3, 6), (6, 9), (9, 12), (6, 12), (12, 15), (15, 18), (12, 18)),
    *((18, 30), (30, 40), (40, 50), (50, 60), (60, 70), (70, 80), (80, 0), (18, 0), (65, 0)),
)
BANDS_OF_GROUPS = ((1, 6), (6, 12), (12, 18), (18, 40), (40, 60), (60, 0), (18, 0))

KNOTS_OF_ALL: Knots = (
    (1, 6, 18, 80),
    (1, 2, 3, 4.5, 7, 10, 13, 16, 19, 25, 40, 60, 80),
    (1, 3, 6, 12, 18, 40, 80),
)
KNOTS_OF_GROUPS: Knots = ((1, 18, 80), (1, 3, 6, 10, 14, 18, 25, 50, 80), (1, 6, 18, 45, 80))
TAIL_BANDS = (3.0, 6.0, 12.0, 18.0, 40.0, 60.0)
AGES = np.array([1, 1.5, 2, 2.5, *range(3, 19), 20, 22, *range(25, 81, 5)], dtype=float)
YOUNGEST_OF_GROUPS = 2
"""A group has too few infants in their second year of life for a curve there."""

Row = dict[str, object]


def people(shared: Path) -> pl.DataFrame:
    """Everybody with a blood count but pregnant women, with exact age where it is published."""
    rows = pl.read_parquet(shared / "data" / "nhanes-cbc" / "nhanes_cbc_demo_2011_2018.parquet")
    months = (pl.col("RIDEXAGM") + 0.5) / 12
    return rows.filter(pl.col("RIDEXPRG").fill_null(0) != 1).with_columns(
        age=pl.coalesce(months, pl.col("RIDAGEYR") + 0.5)
    )


def design(rows: pl.DataFrame) -> NDArray[np.int64]:
    """Every stratum and sampling unit of the survey."""
    units = rows.select("SDMVSTRA", "SDMVPSU").unique().sort("SDMVSTRA", "SDMVPSU")
    return units.cast(pl.Int64).to_numpy()


def measured(rows: pl.DataFrame, line: str) -> pl.DataFrame:
    """Those whose count of a line is known, with the count."""
    column, share, _ = LINES[line]
    value = pl.col(column) * pl.col(share) / 100 if share else pl.col(column)
    return rows.with_columns(value=value).filter(pl.col("value").is_not_null())


def sample(known: pl.DataFrame, cell: float, units: NDArray[np.int64]) -> Sample:
    """The counts of a line with what the survey says of each person.

    Two-year weights are used as they are: the four cycles weigh alike, and a common factor changes no percentile.
    """
    place = known.select("SDMVSTRA", "SDMVPSU").cast(pl.Int64).to_numpy()
    values = np.round(known["value"].to_numpy() / cell) * cell
    return Sample(values, known["WTMEC2YR"].to_numpy(), place[:, 0], place[:, 1], cell, units)


def of(known: pl.DataFrame, group: str, sex: str) -> NDArray[np.bool_]:
    """Who belongs to a group and sex; the group `all` has those of no group as well."""
    member = np.isin(known["RIAGENDR"].to_numpy(), SEXES[sex])
    return member & np.isin(known["RIDRETH3"].to_numpy(), GROUPS[group]) if GROUPS[group] else member


def limits(rows: pl.DataFrame, line: str) -> Iterator[Row]:
    """Weighted 2.5th, 50th and 97.5th percentile with standard errors, by group, sex and age band."""
    known = measured(rows, line)
    everybody, years = sample(known, LINES[line][2], design(rows)), known["RIDAGEYR"].to_numpy()
    for group, sex in itertools.product(GROUPS, SEXES):
        member = of(known, group, sex)
        for low, high in BANDS_OF_ALL if group == "all" else BANDS_OF_GROUPS:
            here = everybody.only(member & (years >= low) & (years < (high or np.inf)))
            if len(here.value) >= FEWEST:
                yield _limit(line, group, sex, (low, high), here)


def _limit(line: str, group: str, sex: str, band: tuple[int, int], here: Sample) -> Row:
    row: Row = {"analyte": line, "group": group, "sex": sex, "age_from_hours": band[0] * YEAR_HOURS}
    row["age_to_hours"] = band[1] * YEAR_HOURS or TOP_HOURS
    for name, share in (("low", 0.025), ("median", 0.5), ("high", 0.975)):
        found, error = percentile(here, share)
        row |= {name: _rounded(found, here.cell), f"{name}_se": _rounded(error, here.cell)}
    return row | {"n": len(here.value), "source_id": SOURCE_ID}


def _rounded(value: float, cell: float) -> str:
    return f"{value:.1f}" if cell >= 1 else f"{value:.3f}"


def curves(rows: pl.DataFrame, line: str, groups: Iterable[str] = GROUPS) -> Iterator[Row]:
    """L, M, S and the limits by age, for each group and sex; both sexes together in the group `all` only."""
    known = measured(rows.filter(pl.col("RIDAGEYR") < OLDEST), line)
    everybody, age = sample(known, LINES[line][2], design(rows)), known["age"].to_numpy()
    for group in groups:
        knots = KNOTS_OF_ALL if group == "all" else KNOTS_OF_GROUPS
        for sex in SEXES if group == "all" else ("male", "female"):
            member = of(known, group, sex)
            made = fit(everybody.only(member), age[member], TAIL_BANDS, knots)
            yield from _curve(line, group, sex, made)


def _curve(line: str, group: str, sex: str, made: Fit) -> Iterator[Row]:
    ages = AGES if group == "all" else AGES[AGES >= YOUNGEST_OF_GROUPS]
    found = made.at(ages)
    for place, age in enumerate(ages):
        row: Row = {"analyte": line, "group": group, "sex": sex, "age_years": f"{age:g}"}
        yield row | {name: f"{values[place]:.4g}" for name, values in found.items()} | {"source_id": SOURCE_ID}


def write(path: Path, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(target: Path = KNOWLEDGE) -> None:
    shared = Path(os.environ["LEUKOPENIA_SHARED"])
    rows = people(shared)
    write(target / "nhanes_limits.csv", [row for line in LINES for row in limits(rows, line)])
    write(target / "lms.csv", [row for line in SMOOTHED for row in curves(rows, line)])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
