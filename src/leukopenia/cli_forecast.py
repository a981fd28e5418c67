"""The forecast command: when is one person's nadir, how deep, and when is it over?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from leukopenia.forecast_case import Asked
    from leukopenia.forecast_records import Person
    from leukopenia.policy import Policy
    from leukopenia.regimen_file import RegimenFile

_ANALYTES = ("", "neutrophils", "wbc")


def forecast(
    sources: Sources,
    patient: Annotated[str, typer.Option(help="The person: the source's own id.")] = "",
    regimen: Annotated[Path | None, typer.Option(help="YAML: doses and what else the records lack.")] = None,
    card: Annotated[str, typer.Option(help="One model card; default: all verified cards of the drug.")] = "",
    analyte: Annotated[str, typer.Option(help="neutrophils or wbc; default: what the card is of.")] = "",
    replay: Annotated[
        bool, typer.Option("--replay", help="Score forecasts of past days; without --patient: everybody.")
    ] = False,
    vpc: Annotated[
        Path | None, typer.Option(help="Check a card on everybody who got its drug: a new picture, .svg.")
    ] = None,
    scenario: Annotated[
        list[str] | None, typer.Option(help="The next cycle: same, dose=75%, delay=7, g-csf; several with commas.")
    ] = None,
    next_dose: Annotated[str, typer.Option("--next", help="The day or time of the next dose, for --scenario.")] = "",
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
    from leukopenia import forecast_case, regimen_file

    _check(analyte, plot, vpc)
    _one_question(replay, vpc is not None, bool(scenario or next_dose or plot))
    given = regimen_file.RegimenFile() if regimen is None else regimen_file.read(regimen)
    asked = forecast_case.Asked(given, card, analyte)
    chosen = policy_of(policy, as_of=as_of)
    reading: dict[str, Any] = {"format": format, "mapping": mapping_of(map), "site_map": site_map, "engine": engine}
    if vpc is not None:
        told, lines = _checked(sources, patient, asked, chosen, reading, vpc)
    elif replay:
        told, lines = _replayed(sources, patient, asked, chosen, reading)
    else:
        planned = _planned(scenario or [], next_dose, given)
        told, lines = _told(sources, patient, asked, chosen, reading, planned)
    if plot is not None:
        _draw(told, plot)
    for line in [json.dumps(told, ensure_ascii=False)] if as_json else lines(told):
        print(line)


def _check(analyte: str, *pictures: Path | None) -> None:
    if analyte not in _ANALYTES:
        raise UsageError(f"There is no forecast of {analyte!r}.", "", "Choose neutrophils or wbc.")
    for picture in pictures:
        if picture is not None and picture.suffix != ".svg":
            raise UsageError("A picture is an SVG file.", picture.name, "Give a name that ends in .svg.")


def _one_question(replay: bool, vpc: bool, one_person: bool) -> None:
    if replay + vpc + one_person > 1:
        raise UsageError(
            "These options ask different questions.",
            "",
            "Give --replay, or --vpc, or --plot with --scenario and --next.",
        )


Answer = tuple[dict[str, Any], Callable[[dict[str, Any]], Iterable[str]]]
"""What was found, and what puts it into lines."""


Planned = tuple[list[Any], int | None]
"""Scenarios of the next cycle, and its minute where that was said."""


def _planned(words: list[str], next_dose: str, file: RegimenFile) -> Planned:
    from leukopenia import forecast_scenarios, regimen_file

    return forecast_scenarios.asked(words, file), regimen_file.minute_of(next_dose) if next_dose else file.next


def _told(
    sources: list[Path], patient: str, asked: Asked, policy: Policy, reading: dict[str, Any], planned: Planned
) -> Answer:
    from leukopenia import forecast_answer, forecast_case, forecast_records, forecast_scenarios

    if not patient:
        raise UsageError("Of whom?", "", "Give --patient with the source's own id, or --replay for everybody.")
    with stages() as stage:
        person = forecast_records.read_person(sources, patient, policy, progress=stage, **reading)
        stage("forecast")
        case = forecast_case.case(person, asked, policy)
        told = forecast_answer.answer(case)
        if planned[0]:
            told["scenarios"] = forecast_scenarios.answer(case, *planned)
    return told, _lines


def _lines(told: dict[str, Any]) -> Iterator[str]:
    from leukopenia import forecast_answer, forecast_scenarios

    yield from forecast_answer.lines(told)
    if "scenarios" in told:
        yield ""
        yield from forecast_scenarios.lines(told["scenarios"])


def _replayed(sources: list[Path], patient: str, asked: Asked, policy: Policy, reading: dict[str, Any]) -> Answer:
    from leukopenia import forecast_replay

    with stages() as stage:
        persons = _persons(sources, patient, asked, policy, stage, reading)
        return forecast_replay.replay(persons, asked, policy, stage), forecast_replay.lines


def _checked(
    sources: list[Path], patient: str, asked: Asked, policy: Policy, reading: dict[str, Any], plot: Path
) -> Answer:
    from leukopenia import forecast_check, outputs
    from leukopenia.report import check_picture

    with stages() as stage:
        persons = _persons(sources, patient, asked, policy, stage, reading)
        told, points = forecast_check.check(persons, asked, policy, stage)
    outputs.write_text(plot, check_picture.picture(told, points))
    return told, forecast_check.lines


def _persons(
    sources: list[Path],
    patient: str,
    asked: Asked,
    policy: Policy,
    stage: Callable[[str], None],
    reading: dict[str, Any],
) -> Iterable[Person]:
    """The person who is named, else everybody who got a drug with a card."""
    from leukopenia import forecast_case, forecast_records

    if patient:
        return [forecast_records.read_person(sources, patient, policy, progress=stage, **reading)]
    if asked.regimen.doses:
        raise UsageError("A regimen file holds the doses of one person.", "", "Name the person with --patient.")
    drugs = forecast_case.drugs_with_a_card(asked)
    return forecast_records.read_people(sources, drugs, policy, progress=stage, **reading)


def _draw(told: dict[str, Any], plot: Path) -> None:
    from leukopenia import outputs
    from leukopenia.report import forecast_picture, scenario_picture

    draw = scenario_picture.picture if "scenarios" in told else forecast_picture.picture
    outputs.write_text(plot, draw(told))
