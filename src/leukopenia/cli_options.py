"""Options and helpers that several commands share."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leukopenia.errors import UsageError

if TYPE_CHECKING:
    from leukopenia.policy import Policy

Sources = Annotated[list[Path], typer.Argument(help="Files or folders: FHIR, OMOP, MEDS, CSV, Parquet, Excel.")]
Source = Annotated[Path, typer.Argument(help="A file or folder: FHIR, OMOP, MEDS, CSV, Parquet, Excel.")]
Format = Annotated[str, typer.Option("--format", help="fhir, omop, meds or results, where it should not be guessed.")]
MapFile = Annotated[Path | None, typer.Option("--map", help="YAML: the site's words for columns of plain results.")]
SiteMap = Annotated[str, typer.Option(help="mimic-iii, mimic-iv, eicu, or your own CSV of code,analyte,specimen,unit.")]
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="YAML of policy values; see `knowledge policy`.")]
Limits = Annotated[
    Path | None,
    typer.Option(
        "--limits", help="CSV or Parquet: limits estimated from your own results, as `reference` writes them."
    ),
]
AsOf = Annotated[str, typer.Option(help="The day the question is asked for; default: the last day of the source.")]
EngineName = Annotated[str, typer.Option("--engine", help="duckdb, polars or spark.")]
Memory = Annotated[str, typer.Option(help="Memory for DuckDB, such as 500MB; the rest is spilled to disk.")]
Jurisdiction = Annotated[str, typer.Option(help="Whose monitoring rules apply: us, uk, eu, ...; there is no default.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


_MOMENT = 2.0
"""Seconds of silence."""


@contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """Shows which stage is at work, on standard error, once it takes longer than a moment."""
    if not sys.stderr.isatty():
        yield lambda stage: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("start")
        yield lambda stage: bar.update(task, description=stage)


@contextmanager
def counted() -> Iterator[Callable[[str, int, int], None]]:
    """Shows how much is done, on standard error, once it takes longer than two seconds."""
    if not sys.stderr.isatty():
        yield lambda stage, done, of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task, began = bar.add_task("read", total=None), time.monotonic()

    def show(stage: str, done: int, of: int) -> None:
        bar.update(task, description=stage, completed=done, total=of or None)
        if time.monotonic() - began > _MOMENT:
            bar.start()

    try:
        yield show
    finally:
        bar.stop()


def policy_of(file: Path | None, **changes: Any) -> Policy:
    """The policy of a file, if any, with what the command line names; what it leaves empty changes nothing."""
    from leukopenia.policy import Policy

    given = {name: value for name, value in changes.items() if value}
    return Policy.from_file(file, given) if file else Policy.of(given)


def mapping_of(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"The mapping {path.name} cannot be read.", type(error).__name__) from None
    if not isinstance(found, dict):
        raise UsageError(f"{path.name} is not a mapping.", "", "Write `patient: MRN` and so on, one to a line.")
    return found
