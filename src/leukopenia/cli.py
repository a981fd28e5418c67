"""The command line: parse, call, print. Results go to standard output, progress and messages to standard error."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from leukopenia import cli_forecast, cli_monitor, cli_reference, cli_score, cli_simulate
from leukopenia.cli_options import (
    AsOf,
    EngineName,
    Format,
    Json,
    Jurisdiction,
    Limits,
    MapFile,
    Memory,
    PolicyFile,
    SiteMap,
    Source,
    Sources,
    mapping_of,
    policy_of,
    stages,
)
from leukopenia.errors import EXIT_CODES, LeukopeniaError, SourceError, UsageError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find, grade and follow low white-cell counts in health records. Every statement shows its rows and source.",
    epilog="Exit codes: "
    + "; ".join(f"{code} {str(text).splitlines()[0].rstrip('.')}" for code, text in EXIT_CODES.items()),
)


@app.command()
def run(
    sources: Sources,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for tables, report.html and manifest.json.")],
    format: Format = "",
    map: MapFile = None,
    site_map: SiteMap = "",
    policy: PolicyFile = None,
    as_of: AsOf = "",
    limits: Limits = None,
    jurisdiction: Jurisdiction = "",
    engine: EngineName = "duckdb",
    memory_limit: Memory = "",
    redact: Annotated[bool, typer.Option(help="Redact counts up to 7 in the report and round the rest to 5.")] = False,
    as_json: Json = False,
) -> None:
    """Records to all tables, a report and a manifest."""
    from leukopenia import api, outputs

    outputs.check_target(output)
    changes = {"as_of": as_of, "monitor.jurisdiction": jurisdiction, "small_cells": "yes" if redact else ""}
    with stages() as stage:
        result = api.run(
            [*sources],
            policy=policy_of(policy, **changes),
            engine=engine,
            format=format,
            mapping=mapping_of(map),
            site_map=site_map,
            limits=limits,
            memory_limit=memory_limit,
            progress=stage,
        )
        with result:
            result.write(output, stage)
            _tell(result, output, as_json)


def _tell(result: Any, output: Path, as_json: bool) -> None:
    from leukopenia.summary import headline

    told = headline(output)
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
        return
    for line in told["lines"]:
        print(line)
    print(f"Report: {output / 'report.html'}")


@app.command()
def inspect(
    source: Source, format: Format = "", map: MapFile = None, site_map: SiteMap = "", as_json: Json = False
) -> None:
    """What is in there, what is understood, what is not, and a site map to fill in."""
    from leukopenia import api
    from leukopenia.summary import print_inspection

    with stages() as stage:
        stage("read")
        found = api.inspect(source, format=format, mapping=mapping_of(map), site_map=site_map)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        print_inspection(found)


@app.command()
def grade(
    file: Annotated[
        Path, typer.Argument(help="CSV, TSV or Parquet with analyte, value, unit; low, high, age_days, sex.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="CSV or Parquet; default: CSV to the screen.")
    ] = None,
    standard: Annotated[
        list[str] | None, typer.Option(help="ctcae-4.03, ctcae-5.0, ctcae-6.0, daids-2.1; may be repeated.")
    ] = None,
    direction: Annotated[str, typer.Option(help="low or high terms.")] = "low",
    policy: PolicyFile = None,
    as_json: Json = False,
) -> None:
    """Grade a table of results, each row under each standard."""
    from leukopenia import api

    if direction not in ("low", "high"):
        raise UsageError(f"There is no direction {direction!r}.", "", "Choose low or high.")
    rows = _table(file)
    chosen = policy_of(policy)
    standards = standard or chosen.names("standards")
    graded = api.grade(rows, standards=standards, direction=direction, policy=chosen)
    _print_table(graded, output, as_json)


@app.command()
def explain(
    sources: Annotated[list[Path], typer.Argument(help="Case histories (YAML) or records, as `run` reads them.")],
    patient: Annotated[str, typer.Option(help="One person of the records.")] = "",
    format: Format = "",
    map: MapFile = None,
    site_map: SiteMap = "",
    policy: PolicyFile = None,
    as_of: AsOf = "",
    engine: EngineName = "duckdb",
    as_json: Json = False,
) -> None:
    """What did it? Ranked causes with reasons, for case histories or for one person of the records."""
    from leukopenia import answers

    chosen = policy_of(policy, as_of=as_of)
    with stages() as stage:
        if len(sources) == 1 and answers.is_cases(sources[0]):
            stage("causes")
            found = answers.of_cases(sources[0], chosen)
        else:
            reading = {"format": format, "mapping": mapping_of(map), "site_map": site_map, "engine": engine}
            found = answers.of_source(sources, patient, chosen, progress=stage, **reading)
    for answer in found:
        told = [json.dumps(answer, ensure_ascii=False)] if as_json else answers.lines(answer)
        print(*told, sep="\n")


app.command()(cli_monitor.monitor)
app.command()(cli_reference.reference)
app.command()(cli_forecast.forecast)
app.command()(cli_simulate.simulate)
app.command()(cli_score.score)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to leave the hospital and the result.")] = Path("demo"),
    patients: cli_simulate.Patients = 400,
    jurisdiction: Annotated[str, typer.Option(help="Whose monitoring rules apply: us, uk, eu, ...")] = "uk",
) -> None:
    """Simulate a small hospital, run everything on it and leave a report."""
    from leukopenia import api, outputs
    from leukopenia import simulate as room
    from leukopenia.knowledge import load

    records, target = folder / "hospital", folder / "result"
    outputs.check_target(target)
    with stages() as stage:
        stage("simulate")
        records.mkdir(parents=True, exist_ok=True)
        room.write(room.hospital(patients, 1, load()), records)
        with api.run(records, policy={"monitor.jurisdiction": jurisdiction}, progress=stage) as result:
            result.write(target, stage)
            _tell(result, target, False)
        outputs.write_text(folder / "report.html", (target / "report.html").read_text(encoding="utf-8"))
    print(f"Open {(folder / 'report.html').resolve()}")


@app.command()
def knowledge(
    id: Annotated[
        str,
        typer.Argument(
            help="A table, cause, rule, standard, interval or code; interval:neutrophils; empty: the tables; or check."
        ),
    ] = "",
    file: Annotated[Path | None, typer.Argument(help="After `check`: a hospital's own monitoring rules.")] = None,
    as_json: Json = False,
) -> None:
    """Look rows of knowledge up, with their sources; or check a hospital's own monitoring rules."""
    from leukopenia import interval_conflicts
    from leukopenia.lookup import look_up, print_rows

    if id == "check":
        if file is None:
            raise UsageError("There is nothing to check.", "", "leukopenia knowledge check FILE")
        cli_monitor.check(file, as_json)
        return
    if id.startswith("rule:") and not as_json:
        from leukopenia.knowledge import load
        from leukopenia.monitor_packs import describe

        print(*describe(id, load()), sep="\n")
        return
    found = look_up(id)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    elif id.startswith(interval_conflicts.PREFIX):
        print(*interval_conflicts.lines(found), sep="\n")
    else:
        print_rows(found)


@app.command()
def cite(result: Annotated[Path, typer.Argument(help="A folder that `run` has written.")]) -> None:
    """BibTeX of all that a result rests on."""
    from leukopenia.lookup import cite as entries

    print(entries(result))


def _table(path: Path) -> Any:
    import polars as pl

    if not path.is_file():
        raise SourceError(f"There is no file {path}.", "", "Check the path.")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        separator = "\t" if path.suffix in (".tsv", ".tab") else ","
        rows = pl.read_csv(path, separator=separator, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{path.name} cannot be read as a table.", type(error).__name__) from None
    numbers = [name for name in ("low", "high", "age_days") if name in rows.columns]
    return rows.with_columns(pl.col(name).cast(pl.Float64, strict=False) for name in numbers).with_columns(
        pl.col("age_days").cast(pl.Int64) if "age_days" in rows.columns else []
    )


def _print_table(rows: Any, output: Path | None, as_json: bool) -> None:
    from leukopenia.outputs import beside

    if output is None:
        if as_json:
            print(*(json.dumps(row, ensure_ascii=False) for row in rows.to_dicts()), sep="\n")
        else:
            print(rows.write_csv(), end="")
        return
    with beside(output) as made:
        rows.write_parquet(made) if output.suffix == ".parquet" else rows.write_csv(made)


def main() -> None:
    """Run the command line; an error of the house is a message and its exit code, never a traceback."""
    try:
        app()
    except LeukopeniaError as error:
        print(f"leukopenia: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
