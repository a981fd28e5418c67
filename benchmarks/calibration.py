"""Are the probabilities of causes honest? Simulated persons whose truth is known, as the explainer believes them, and not.

    python benchmarks/calibration.py [--persons 12_000] [--seed 2001] [--settings "all on" "all off"] [--keep FOLDER] [--page]

Each setting of the departures (all on, each off alone, all off) is a world of its own. Its records go through the whole
pipeline from the raw tables on; the causes that it hides are taken out of what the explainer knows. `--keep` keeps the
tables of each world in a folder, and takes them from there the next time. `--page` writes the tables into
benchmarks/calibration.md, which docs/calibration.py draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl

from leukopenia import contracts, knowledge, pipeline
from leukopenia.contracts import Knowledge
from leukopenia.engine import Engine, open_engine
from leukopenia.policy import Policy
from leukopenia.read.fhir_values import LOINC, SYSTEMS
from leukopenia.read.raw import Raw
from leukopenia.simulate import cast, scoring
from leukopenia.simulate.causes import COMBINATION
from leukopenia.simulate.departures import EVERY, NONE, Departures, hidden_causes
from leukopenia.simulate.hospital import blocks
from leukopenia.simulate.records import Hospital
from leukopenia.simulate.scoring import Score

SETTINGS: Mapping[str, Departures] = {
    "all on": EVERY,
    "all off": NONE,
    "not shifted": replace(EVERY, shifted=False),
    "nothing hidden": replace(EVERY, hidden=False),
    "nothing missing": replace(EVERY, missing=False),
    "nothing wrong": replace(EVERY, wrong=False),
}
PAGE = Path(__file__).parent / "calibration.md"
POINTS = 5.0
LEAST = 200
BLOCK = 1000
STRUCK = 0.8
"""Share of persons whose counts a cause brings down: higher than in a hospital, for only they have a cause to be told."""

POLICY = {"onset.neutrophils.below": "", "context": "general"}
"""The truth calls a count low below the limit of its laboratory, and so must the run."""

NOT_VALID = ("entered-in-error", "cancelled")
_TYPES = {"String": pl.String, "Int64": pl.Int64, "Float64": pl.Float64, "Int64|String": pl.String}


@dataclass(frozen=True)
class Made:
    """Episodes, causes and truth of one world."""

    episodes: pl.DataFrame
    causes: pl.DataFrame
    truth: pl.DataFrame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=lambda text: int(text.replace("_", "")), default=12_000)
    parser.add_argument("--seed", type=int, default=2001)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--page", action="store_true")
    args = parser.parse_args()
    agents = [row["id"] for row in knowledge.load()["causes_drugs"] if row["cause_class"] == "chemotherapy"]
    scores = {}
    for name in args.settings:
        made = world(args.persons, args.seed, SETTINGS[name], args.keep)
        scores[name] = scoring.score(made.episodes, made.causes, made.truth, agents)
        print(*told(name, scores[name]), sep="\n", flush=True)
    if args.page:
        PAGE.write_text(page(scores, args.persons, args.seed), encoding="utf-8")


def world(persons: int, seed: int, departures: Departures, keep: Path | None) -> Made:
    """One world, explained; kept ones are not made again."""
    names = [item.name for item in fields(Made)]
    on = "".join(name[0] for name in ("shifted", "hidden", "missing", "wrong") if getattr(departures, name))
    place = keep and keep / f"{persons}-{seed}-{on or 'none'}"
    if place and (place / "truth.parquet").exists():
        return Made(*(pl.read_parquet(place / f"{name}.parquet") for name in names))
    rows = knowledge.load()
    chosen = plain_seed(rows, seed)
    known = without(rows, hidden_causes(rows, chosen)) if departures.hidden else rows
    cast.STRUCK_SHARE, cast.TREATED_SHARE = STRUCK, 0.0
    parts = [explained(block, known) for block in blocks(persons, chosen, rows, departures, BLOCK)]
    made = Made(*(pl.concat([getattr(part, name) for part in parts]) for name in names))
    if place:
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            getattr(made, name).write_parquet(place / f"{name}.parquet")
    return made


def plain_seed(rows: Knowledge, seed: int) -> int:
    """The first seed from this one on that does not hide the combination, whose agents are known drugs on record."""
    return next(number for number in count(seed) if COMBINATION not in hidden_causes(rows, number))


def without(rows: Knowledge, hidden: Sequence[str]) -> Knowledge:
    """The knowledge of an explainer that has never heard of these causes, nor of these drugs."""
    ids = {name: "id" for name in ("causes_drugs", "causes_conditions", "ingredients")} | {
        "ingredient_names": "ingredient"
    }
    return {**rows, **{name: tuple(row for row in rows[name] if row[key] not in hidden) for name, key in ids.items()}}


def explained(hospital: Hospital, known: Knowledge) -> Made:
    """Records -> episodes and causes."""
    engine = open_engine("polars")
    made = pipeline.run([raw(hospital, engine)], engine, known, Policy.of(POLICY), knowledge.site_maps())
    episodes, causes = (engine.collect(getattr(made, name)) for name in ("episodes", "causes"))
    engine.close()
    return Made(episodes, causes, truth(hospital))


def truth(hospital: Hospital) -> pl.DataFrame:
    """The truth as text, as it is written."""
    names = [item.name for item in fields(hospital.truth[0])]
    rows = [
        {name: "" if (value := getattr(run, name)) is None else str(value) for name in names} for run in hospital.truth
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String))


def raw(hospital: Hospital, engine: Engine) -> Raw:
    """What the FHIR reader would hand on."""
    valid = [result for result in hospital.results if result.status not in NOT_VALID]
    rows: dict[str, list[dict[str, Any]]] = {
        "raw_results": [_result(result) for result in valid],
        "raw_drugs": [
            _span(drug) | {name: getattr(drug, name) for name in ("route", "status", "dose", "dose_unit")}
            for drug in hospital.drugs
        ],
        "raw_conditions": [_span(one) | {"certainty": one.certainty} for one in hospital.conditions],
        "raw_persons": [
            {"row_id": one.patient_id}
            | {name: getattr(one, name) for name in ("patient_id", "sex", "birth", "birth_precision", "death")}
            for one in hospital.persons
        ],
    }
    tables = {
        table.name: engine.load(_frame(table, rows.get(table.name, [])), table.name) for table in contracts.raw.RAW
    }
    return Raw("world", "fhir", tables, [], {name: len(rows.get(name, [])) for name in tables}, [])


def _result(result: Any) -> dict[str, Any]:
    same = (
        "row_id",
        "patient_id",
        "minute",
        "code",
        "name",
        "specimen",
        "unit",
        "value",
        "comparator",
        "low",
        "high",
        "flag",
    )
    precision = "none" if result.minute is None else result.precision
    return {name: getattr(result, name) for name in same} | {
        "system": _system(result.system),
        "text": result.text or None,
        "time_precision": precision,
    }


def _span(one: Any) -> dict[str, Any]:
    system, code = one.codings[0] if one.codings else ("", "")
    same = ("row_id", "patient_id", "start", "end", "name")
    return {name: getattr(one, name) for name in same} | {
        "system": _system(system),
        "code": code,
        "time_precision": getattr(one, "precision", "minute"),
    }


def _system(uri: str) -> str:
    return "loinc" if uri == LOINC else SYSTEMS.get(uri, uri)


def _frame(table: contracts.Table, rows: list[dict[str, Any]]) -> pl.DataFrame:
    empty = {
        column.name: "" if column.type.endswith("String") and not column.nullable else None for column in table.columns
    }
    schema = {column.name: _TYPES[column.type] for column in table.columns}
    return pl.DataFrame([{**empty, "source": "world", **row} for row in rows], schema=schema)


def told(name: str, made: Score) -> Iterator[str]:
    """One setting in lines."""
    yield f"\n{name}"
    for row in made.detection.to_dicts():
        yield f"  {row['line']:12} sensitivity {row['sensitivity']:.3f} of {row['runs']}  precision {row['precision'] or 0:.3f} of {row['episodes']}"
    for row in made.explanation.to_dicts():
        yield "  {cause_class:22} episodes {episodes:6} lined up {lined_up:.2f} top-1 {top_1:.2f} top-3 {top_3:.2f} log {log_score:.3f} Brier {brier:.3f}".format(
            **row
        )
    for table, key in ((made.reliability, "decile"), (made.reasons, "because")):
        for row in table.to_dicts():
            yield f"  {row[key]!s:12} given {row['given']:.3f} happened {row['happened']:.3f} n {row['n']:7} points {row['points']:+.1f}"
    yield f"  {verdict(made)}"


def verdict(made: Score) -> str:
    furthest = scoring.furthest(made.reliability, LEAST)
    said = "within" if furthest <= POINTS else "NOT within"
    return f"every tenth with {LEAST} candidates {said} {POINTS:g} points (furthest {furthest:.1f})"


def page(scores: Mapping[str, Score], persons: int, seed: int) -> str:
    """The tables as Markdown."""
    names = " ".join(f'"{name}"' for name in scores)
    parts = [
        f"# Calibration\n\n{date.today()}. `python benchmarks/calibration.py --persons {persons} --seed {seed} --settings {names} --page`"
    ]
    for name, made in scores.items():
        overall = made.explanation.row(0, named=True)
        parts.append(f"## {name}\n\n{overall['episodes']} episodes with a known cause: {verdict(made)}.")
        parts.append("\n".join(_reliability(made)))
        parts.append("\n".join(_explained(made)))
        parts.append("\n".join(_detected(made)))
    return "\n\n".join(parts) + "\n"


def _reliability(made: Score) -> Iterator[str]:
    yield "| tenth | candidates | given | happened | 95 % interval | points |\n| --- | --- | --- | --- | --- | --- |"
    for row in made.reliability.to_dicts():
        yield "| {low:.1f} to {high:.1f} | {n} | {given:.3f} | {happened:.3f} | {happened_low:.3f} to {happened_high:.3f} | {points:+.1f} |".format(
            **row
        )


def _explained(made: Score) -> Iterator[str]:
    yield "| class of the cause | episodes | lined up | top-1 | top-3 | log score | Brier |\n| --- | --- | --- | --- | --- | --- | --- |"
    for row in made.explanation.to_dicts():
        yield "| {cause_class} | {episodes} | {lined_up:.2f} | {top_1:.2f} | {top_3:.2f} | {log_score:.2f} | {brier:.2f} |".format(
            **row
        )


def _detected(made: Score) -> Iterator[str]:
    yield "| line | runs | sensitivity | episodes | precision |\n| --- | --- | --- | --- | --- |"
    for row in made.detection.to_dicts():
        precision = "" if row["precision"] is None else f"{row['precision']:.3f}"
        yield f"| {row['line']} | {row['runs']} | {row['sensitivity']:.3f} | {row['episodes']} | {precision} |"


if __name__ == "__main__":
    main()
