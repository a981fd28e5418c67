"""The forecast command: when is one person's nadir, how deep, and when is it over?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from leukopenia.cli_options import (
    AsOf,
    EngineName,
    Format,
    Json,
    MapFile,
    PolicyFile,
    SiteMap,
    Sources,
    mapping_of,
    policy_of,
    stages,
)
from leukopenia.errors import UsageError

_ANALYTES = ("", "neutrophils", "wbc")


def forecast(
    sources: Sources,
    patient: Annotated[str, typer.Option(help="The person: the source's own id.")],
    regimen: Annotated[Path | None, typer.Option(help="YAML: doses and what else the records lack.")] = None,
    card: Annotated[str, typer.Option(help="One model card; default: all verified cards of the drug.")] = "",
    analyte: Annotated[str, typer.Option(help="neutrophils or wbc; default: what the card is of.")] = "",
    as_of: AsOf = "",
    plot: Annotated[Path | None, typer.Option(help="Draw the forecast: a new file, .svg.")] = None,
    policy: PolicyFile = None,
    format: Format = "",
    map: MapFile = None,
    site_map: SiteMap = "",
    engine: EngineName = "duckdb",
    as_json: Json = False,
) -> None:
    """When is the nadir after chemotherapy, how deep, and when is it over? Research use only."""
    from leukopenia import forecast_answer, forecast_case, forecast_records, regimen_file

    if analyte not in _ANALYTES:
        raise UsageError(f"There is no forecast of {analyte!r}.", "", "Choose neutrophils or wbc.")
    if plot is not None and plot.suffix != ".svg":
        raise UsageError("A picture is an SVG file.", plot.name, "Give a name that ends in .svg.")
    given = regimen_file.RegimenFile() if regimen is None else regimen_file.read(regimen)
    asked = forecast_case.Asked(given, card, analyte)
    chosen = policy_of(policy, as_of=as_of)
    reading: dict[str, Any] = {"format": format, "mapping": mapping_of(map), "site_map": site_map, "engine": engine}
    with stages() as stage:
        person = forecast_records.read_person(sources, patient, chosen, progress=stage, **reading)
        stage("forecast")
        told = forecast_answer.answer(forecast_case.case(person, asked, chosen))
    if plot is not None:
        _draw(told, plot)
    for line in [json.dumps(told, ensure_ascii=False)] if as_json else forecast_answer.lines(told):
        print(line)


def _draw(told: dict[str, Any], plot: Path) -> None:
    from leukopenia import outputs
    from leukopenia.report.forecast_picture import picture

    outputs.write_text(plot, picture(told))
