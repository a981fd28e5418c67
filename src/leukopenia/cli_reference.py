"""The command `reference`: limits from one's own results."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopenia.cli_options import Json, MapFile, Memory, counted, mapping_of
from leukopenia.errors import OutputError, RefusedError, UsageError

if TYPE_CHECKING:
    from leukopenia.reference_results import Asked
    from leukopenia.references import Estimated, Limits

_LIGHTS = {
    "green": "green: the same, within the permissible uncertainty",
    "yellow": "yellow: may differ, only the permissible uncertainties of both meet",
    "red": "red: differs",
    "": "cannot be compared",
}
_METHODS = ("indirect", "direct", "nonparametric", "robust", "parametric")

Interval = tuple[float, float]


def reference(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, Parquet or Excel: results, or values with a count.")],
    method: Annotated[
        str, typer.Option(help="indirect (routine results), or of healthy persons: direct, " + ", ".join(_METHODS[2:]))
    ] = "indirect",
    by: Annotated[
        str, typer.Option(help="Columns that part the results: sex,age,ward. age without --ages: smooth curves.")
    ] = "",
    ages: Annotated[str, typer.Option(help="Where age bands begin, in years: 0,1,6,12,18,65.")] = "",
    analyte: Annotated[
        list[str] | None, typer.Option(help="Which tests; or what the values are, where no column says. Repeatable.")
    ] = None,
    value: Annotated[list[str] | None, typer.Option(help="Column of the results. Repeatable.")] = None,
    unit: Annotated[
        list[str] | None, typer.Option(help="Unit where none stands in the file; one, or one for each --value.")
    ] = None,
    percentiles: Annotated[str, typer.Option(help="The limits wanted.")] = "2.5,97.5",
    confidence: Annotated[float, typer.Option(help="Of the interval of each limit.")] = 0.90,
    detection_limit: Annotated[
        float | None, typer.Option(help="Results at or below it stand for anything below (indirect).")
    ] = None,
    repeats: Annotated[str, typer.Option(help="Of the results of one patient: first or all.")] = "first",
    set_aside: Annotated[bool, typer.Option("--set-aside", help="Go on without results that cannot be used.")] = False,
    against: Annotated[str, typer.Option(help="An interval to compare with: LOW,HIGH.")] = "",
    plot: Annotated[Path | None, typer.Option(help="Drawing, SVG.")] = None,
    report: Annotated[Path | None, typer.Option(help="Page: your limits beside the published ones, HTML.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="CSV or Parquet of limits, for `run --limits`.")
    ] = None,
    map: MapFile = None,
    memory_limit: Memory = "",
    jobs: Annotated[int, typer.Option(help="Processes for many strata; 0: all cores.")] = 0,
    as_json: Json = False,
) -> None:
    """Reference limits from your own results, with their intervals."""
    from leukopenia import knowledge, reference_limits, references

    _check_places(output, plot, report)
    asked = _asked(_columns(by), _ages(ages), analyte, value, unit, repeats, set_aside, map)
    terms = references.Terms(_method(method), _numbers("--percentiles", percentiles), confidence, detection_limit)
    target = reference_limits.target_of(against)
    with counted() as progress:
        found = references.of_file(
            file,
            asked,
            terms,
            knowledge.load(),
            drawn=plot is not None or report is not None,
            jobs=jobs or _cores(),
            memory_limit=memory_limit,
            progress=progress,
        )
    if target is not None and len({(one.analyte, one.unit) for one in found.limits}) > 1:
        seen = ", ".join(sorted({one.analyte for one in found.limits})[:8])
        raise UsageError("--against is the interval of one analyte.", f"Found: {seen}.", "Choose one with --analyte.")
    for line in notes(found, output is not None):
        print(line, file=sys.stderr)
    for line in _json(found.limits, target) if as_json else lines(found.limits, target):
        print(line)
    _refuse(found.limits)
    _write(found, file.name, output, plot, report, target)


def _check_places(*places: Path | None) -> None:
    for place in places:
        if place is not None and not place.parent.is_dir():
            raise OutputError(f"There is no folder {place.parent}.", "", "Make it first, or choose another.")


def _columns(text: str) -> tuple[str, ...]:
    words = (part.strip() for part in text.split(",") if part.strip())
    return tuple(dict.fromkeys(word.casefold() if word.casefold() in ("sex", "age") else word for word in words))


def _ages(text: str) -> tuple[float, ...]:
    edges = _numbers("--ages", text)
    if list(edges) != sorted(set(edges)) or any(edge < 0 for edge in edges):
        raise UsageError(f"--ages cannot be {text!r}.", "", "Write rising ages in years, such as 0,1,6,12,18,65.")
    return edges


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        numbers = (math.nan,)
    if not all(map(math.isfinite, numbers)):
        raise UsageError(f"{name} cannot be {text!r}.", "", "Write numbers with commas between them.")
    return numbers


def _method(name: str) -> str:
    if name not in _METHODS:
        raise UsageError(f"There is no method {name!r}.", "", f"Choose one of: {', '.join(_METHODS)}.")
    return name


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _asked(
    parts: tuple[str, ...],
    edges: tuple[float, ...],
    analyte: list[str] | None,
    value: list[str] | None,
    unit: list[str] | None,
    repeats: str,
    set_aside: bool,
    map: Path | None,
) -> Asked:
    from leukopenia.reference_results import REPEATS, Asked

    if repeats not in REPEATS:
        raise UsageError(f"--repeats cannot be {repeats!r}.", "", f"Choose {' or '.join(REPEATS)}.")
    analytes, values, units = (tuple(given or ()) for given in (analyte, value, unit))
    return Asked(parts, edges, analytes, values, units, repeats, set_aside, mapping_of(map) or {})


def notes(found: Estimated, written: bool) -> Iterator[str]:
    """What was held back, which units were inferred, and what `run` cannot take of the table: for the messages."""
    for one in found.counted.aside:
        yield f"leukopenia: set aside, {one.words}: {one.n}"
    for analyte, unit in found.counted.inferred.items():
        yield f"leukopenia: results of {analyte} without a unit were read as {unit}."
    refused = sum(one.refused for one in found.limits)
    if 0 < refused < len(found.limits):
        yield f"leukopenia: {refused} of {len(found.limits)} strata give no limits; their verdicts say why."
    if written:
        yield from _not_for_run(found)


def _not_for_run(found: Estimated) -> Iterator[str]:
    from leukopenia import knowledge

    known = {row["analyte"] for row in knowledge.load()["analytes"]}
    if strange := sorted({one.analyte for one in found.limits} - known):
        yield f"leukopenia: run --limits knows no {', '.join(strange[:5])}; choose with --analyte."
    if others := [part for part in found.counted.parts if part not in ("sex", "age")]:
        yield f"leukopenia: run --limits tells people apart by sex and age alone, not by {', '.join(others)}."


def _json(found: Iterable[Limits], target: Interval | None) -> Iterator[str]:
    from leukopenia.reference_limits import as_json

    for one in found:
        yield json.dumps(as_json(one, target), ensure_ascii=False)


def lines(found: Sequence[Limits], target: Interval | None = None) -> list[str]:
    """Limits for a person: in full for one stratum, else one line for each."""
    if len(found) == 1:
        return list(_in_full(found[0], target))
    rows = [_cells(one, target) for one in found]
    head = ["", "n", "lower", "upper", "healthy", *(["against"] if target else []), ""]
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    ]


def name_of(one: Limits) -> str:
    """Analyte, unit and stratum in words."""
    return ", ".join(
        filter(None, (f"{one.analyte} ({one.unit or 'no unit'})", *map(str, one.strata.values()), one.age_words))
    )


def _in_full(one: Limits, target: Interval | None) -> Iterator[str]:
    from leukopenia.reference_limits import compared
    from leukopenia.report.reference_plots import number

    yield name_of(one)
    yield f"   {one.verdict}"
    if one.censored:
        yield f"   {one.censored:.0f} results are only known to be lower than a number."
    if one.refused:
        return
    for p, limit, ends in zip(one.percentiles, one.limits, one.intervals, strict=True):
        yield f"   percentile {p:<5g} {number(limit):>7}   {one.confidence:.0%} interval {_ends(ends)}"
    if target is not None:
        for side, light in zip(("lower", "upper"), compared(one, target), strict=True):
            yield f"   {side} limit against {light.target:g}: {_LIGHTS[light.colour]}"


def _ends(ends: Sequence[float]) -> str:
    from leukopenia.report.reference_plots import number

    low, high = (number(end) if math.isfinite(end) else "?" for end in ends)
    return f"{low} to {high}"


def _cells(one: Limits, target: Interval | None) -> list[str]:
    from leukopenia.reference_limits import compared
    from leukopenia.report.reference_plots import number

    pairs = ((one.lower, one.lower_interval), (one.upper, one.upper_interval))
    limits = [f"{number(limit)} ({_ends(ends)})" if math.isfinite(limit) else "" for limit, ends in pairs]
    healthy = f"{one.healthy_fraction:.0%}" if math.isfinite(one.healthy_fraction) else ""
    lights = [", ".join(light.colour or "?" for light in compared(one, target))] if target and not one.refused else [""]
    said = one.verdict if one.refused or "Beware" in one.verdict else one.method
    return [name_of(one), f"{one.n:.0f}", *limits, healthy, *(lights if target else []), said]


def _refuse(found: Sequence[Limits]) -> None:
    if all(one.refused for one in found):
        reasons = "; ".join(dict.fromkeys(one.verdict for one in found[:3]))
        more = "" if len(found) <= 3 else f" ({len(found)} strata, none with limits)"
        raise RefusedError(f"No limits: {reasons}{more}", "", "Nothing was written.")


def _write(
    found: Estimated,
    source: str,
    output: Path | None,
    plot: Path | None,
    report: Path | None,
    target: Interval | None,
) -> None:
    from leukopenia import outputs, reference_limits

    if output is not None:
        rows = reference_limits.table(found.limits)
        with outputs.beside(output) as made:
            rows.write_parquet(made) if output.suffix == ".parquet" else rows.write_csv(
                made, separator="\t" if output.suffix in (".tsv", ".tab") else ","
            )
    if plot is not None:
        from leukopenia.reference_pictures import drawing

        outputs.write_text(plot, drawing(found, target))
    if report is not None:
        from leukopenia.reference_pictures import page

        outputs.write_text(report, page(found, source, target))
