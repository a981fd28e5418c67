"""`leukopenia simulate`: virtual patients whose truth is known, as records of any format."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopenia.cli_options import counted
from leukopenia.errors import UsageError

if TYPE_CHECKING:
    from leukopenia.simulate import Departures

Patients = Annotated[int, typer.Option(help="How many patients.")]


def simulate(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    patients: Patients = 400,
    format: Annotated[str, typer.Option(help="fhir, omop, meds or csv.")] = "fhir",
    seed: Annotated[int, typer.Option(help="The same seed gives the same hospital, to the byte.")] = 1,
    without: Annotated[
        list[str] | None, typer.Option(help="Switch a departure off: shifted, hidden, missing or wrong; repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes that make patients; default: one for each core.")] = 0,
) -> None:
    """Virtual patients whose truth is known, in records of a format, dirt included."""
    from leukopenia import simulating

    order = simulating.Order(patients, seed, format, _departures(without or []))
    with counted() as progress:
        print(simulating.write(order, folder, jobs, progress))


def _departures(without: list[str]) -> Departures:
    from leukopenia.simulate import Departures

    known = [field.name for field in fields(Departures)]
    for name in without:
        if name not in known:
            raise UsageError(f"There is no departure {name!r}.", "", f"Choose from: {', '.join(known)}.")
    return Departures(**dict.fromkeys(without, False))
