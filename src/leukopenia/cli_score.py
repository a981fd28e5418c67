"""The command `score`: a result against the truth of a simulation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leukopenia.cli_options import Json
from leukopenia.errors import SourceError

if TYPE_CHECKING:
    import polars as pl

    from leukopenia.simulate.scoring import Score

Row = dict[str, Any]

LEAST = 200
"""So many candidates a tenth of the probabilities must hold to be judged."""


def score(
    result: Annotated[Path, typer.Argument(help="A folder that `run` has written.")],
    truth: Annotated[Path, typer.Argument(help="The truth.csv that `simulate` has written.")],
    as_json: Json = False,
) -> None:
    """How much of a known truth was found, and how honest are the probabilities of the causes?"""
    from leukopenia.knowledge import load
    from leukopenia.simulate import scoring

    agents = [row["id"] for row in load()["causes_drugs"] if row["cause_class"] == "chemotherapy"]
    made = scoring.score(_table(result, "episodes"), _table(result, "causes"), _truth(truth), agents)
    if as_json:
        print(json.dumps(made.as_dict(), ensure_ascii=False))
        return
    print(*lines(made), sep="\n")


def _table(folder: Path, name: str) -> pl.DataFrame:
    import polars as pl

    place = folder / f"{name}.parquet"
    if not place.exists():
        raise SourceError(f"There is no {name}.parquet in {folder}.", "", "Give a folder that `leukopenia run` wrote.")
    try:
        return pl.read_parquet(place / "*.parquet" if place.is_dir() else place)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{name}.parquet cannot be read.", type(error).__name__) from None


def _truth(path: Path) -> pl.DataFrame:
    import polars as pl

    if not path.is_file():
        raise SourceError(f"There is no file {path}.", "", "Give the truth.csv that `leukopenia simulate` wrote.")
    try:
        return pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{path.name} cannot be read as a table.", type(error).__name__) from None


def lines(made: Score) -> Iterator[str]:
    """A score for a person to read."""
    yield from _block("Low runs", made.detection, _detected)
    yield from _block("Low runs by the class of their cause", made.detection_by_class, _found)
    if made.explanation.is_empty():
        yield "The truth names the cause of no episode that was found: nothing to say of the causes."
        return
    yield from _block("Causes by the class of the right one", made.explanation, _explained)
    yield from _block("Probabilities of all candidates", made.reliability, _tenth)
    yield from _block("Probabilities by the reason to stand in the line-up", made.reasons, _reason)
    yield from _verdict(made)


def _block(title: str, rows: pl.DataFrame, cells: Callable[[Row], Row]) -> Iterator[str]:
    """A title and a table, its first column to the left and the others to the right."""
    made = [cells(row) for row in rows.to_dicts()]
    if not made:
        return
    table = [list(made[0]), *(list(map(str, row.values())) for row in made)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    yield title
    for first, *others in table:
        right = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join(("", first.ljust(widths[0]), *right)).rstrip()
    yield ""


def _detected(row: Row) -> Row:
    return {
        "line": row["line"],
        **{name: row[name] for name in ("runs", "found")},
        "sensitivity": _share(row, "sensitivity"),
        **{name: row[name] for name in ("episodes", "true")},
        "precision": _share(row, "precision"),
        **{name: row[name] for name in ("split", "merged")},
    }


def _found(row: Row) -> Row:
    return {
        "class": row["cause_class"],
        "runs": row["runs"],
        "found": row["found"],
        "sensitivity": _share(row, "sensitivity"),
    }


def _explained(row: Row) -> Row:
    shares = {name.replace("_", "-"): f"{row[name]:.2f}" for name in ("lined_up", "top_1", "top_3")}
    means = {name: f"{row[name]:.2f}" for name in ("probability", "log_score", "brier")}
    return {"class": row["cause_class"], "episodes": row["episodes"], **shares, **means}


def _tenth(row: Row) -> Row:
    return {"tenth": f"{row['low']:.1f} to {row['high']:.1f}", **_reliable(row)}


def _reason(row: Row) -> Row:
    return {"because": row["because"], **_reliable(row)}


def _reliable(row: Row) -> Row:
    return {
        "candidates": row["n"],
        "given": f"{row['given']:.3f}",
        "happened": f"{row['happened']:.3f} ({row['happened_low']:.3f} to {row['happened_high']:.3f})",
        "points": f"{row['points']:+.1f}",
    }


def _share(row: Row, name: str) -> str:
    """A share with its 95 % interval."""
    if row[name] is None:
        return "?"
    return f"{row[name]:.3f} ({row[name + '_low']:.3f} to {row[name + '_high']:.3f})"


def _verdict(made: Score) -> Iterator[str]:
    from leukopenia.simulate.scoring import furthest

    points = furthest(made.reliability, LEAST)
    if math.isnan(points):
        yield f"No tenth holds {LEAST} candidates: too few to judge the probabilities."
        return
    yield f"Tenths with {LEAST} candidates or more lie within {points:.1f} points of the truth."
