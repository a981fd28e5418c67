"""Are the probabilities of causes honest? A simulated world with a known truth, as the explainer believes it to be and not.

    python benchmarks/calibration.py [--persons 20_000] [--seed 2001] [--keep FOLDER] [--page]

Each setting of the departures (all on, each off alone, all off) is a world of its own: records are written as a FHIR export,
read, and explained by the whole pipeline. The causes that a setting hides are taken out of what the explainer knows.
`--keep` keeps episodes, causes and truth of each setting in a folder, and takes them from there the next time.
`--page` writes the tables into benchmarks/calibration.md and the picture of docs/explanation/calibration.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from leukopenia import api, knowledge, pipeline, simulate
from leukopenia.contracts import Knowledge
from leukopenia.engine import open_engine
from leukopenia.policy import Policy
from leukopenia.simulate import scoring
from leukopenia.simulate.departures import Departures, hidden_causes
from leukopenia.simulate.hospital import blocks
from leukopenia.simulate.records import Hospital
from leukopenia.simulate.scoring import Score

ON = Departures()
OFF = Departures(shifted=False, hidden=False, missing=False, wrong=False)
SETTINGS: Mapping[str, Departures] = {
    "all on": ON,
    "not shifted": replace(ON, shifted=False),
    "nothing hidden": replace(ON, hidden=False),
    "nothing missing": replace(ON, missing=False),
    "nothing wrong": replace(ON, wrong=False),
    "all off": OFF,
}
POINTS = 5.0
LEAST = 200
BLOCK = 2500
POLICY = {"onset.neutrophils.below": "", "context": "general"}
"""The truth calls a count low below the limit of its laboratory, and so must the run."""

COLUMNS = {
    "episodes": ("episode_id", "patient_id", "analyte", "onset", "recovery"),
    "causes": ("episode_id", "cause_id", "rank", "probability", "because"),
}


@dataclass(frozen=True)
class Made:
    """Episodes, causes and truth of one world."""

    episodes: pl.DataFrame
    causes: pl.DataFrame
    truth: pl.DataFrame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=lambda text: int(text.replace("_", "")), default=20_000)
    parser.add_argument("--seed", type=int, default=2001)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--keep", type=Path)
    args = parser.parse_args()
    for number, name in enumerate(args.settings):
        made = world(args.persons, args.seed + number, SETTINGS[name], args.keep)
        print(*told(name, scoring.score(made.episodes, made.causes, made.truth)), sep="\n", flush=True)


def world(persons: int, seed: int, departures: Departures, keep: Path | None) -> Made:
    """One world, read and explained; kept ones are not made again."""
    place = keep and keep / f"{persons}-{seed}-{''.join(str(int(on)) for on in vars(departures).values())}"
    if place and (place / "truth.parquet").exists():
        return Made(*(pl.read_parquet(place / f"{name}.parquet") for name in ("episodes", "causes", "truth")))
    rows = knowledge.load()
    known = without(rows, hidden_causes(rows, seed)) if departures.hidden else rows
    parts = [explained(block, known) for block in blocks(persons, seed, rows, departures, BLOCK)]
    made = Made(*(pl.concat([getattr(part, name) for part in parts]) for name in ("episodes", "causes", "truth")))
    if place:
        place.mkdir(parents=True, exist_ok=True)
        for name, table in vars(made).items():
            table.write_parquet(place / f"{name}.parquet")
    return made


def without(rows: Knowledge, hidden: tuple[str, ...]) -> Knowledge:
    """The knowledge of an explainer that has never heard of these causes, nor of these drugs."""
    gone = {name: tuple(row for row in rows[name] if row["id"] not in hidden) for name in ("causes_drugs", "causes_conditions", "ingredients")}
    return {**rows, **gone, "ingredient_names": tuple(row for row in rows["ingredient_names"] if row["ingredient"] not in hidden)}


def explained(hospital: Hospital, known: Knowledge) -> Made:
    """Records -> episodes and causes, by way of a FHIR export."""
    engine = open_engine("duckdb", threads=1)
    with tempfile.TemporaryDirectory(prefix="leukopenia-calibration-") as folder:
        export, stage = Path(folder) / "export", Path(folder) / "stage"
        stage.mkdir()
        simulate.write(hospital, export)
        raws = api.read_all([export], engine, stage, "fhir", None)
        made = pipeline.run(raws, engine, known, Policy.of(POLICY), knowledge.site_maps())
        episodes, causes = (engine.collect(getattr(made, name)) for name in ("episodes", "causes"))
        truth = pl.read_csv(export / "truth.csv", infer_schema=False)
    engine.close()
    return Made(episodes, causes, truth)


def told(name: str, made: Score) -> Iterator[str]:
    """One setting in lines."""
    yield f"\n{name}"
    for row in made.detection.to_dicts():
        yield f"  {row['line']:12} sensitivity {row['sensitivity']:.3f} of {row['runs']}  precision {row['precision'] or 0:.3f} of {row['episodes']}"
    for row in made.explanation.to_dicts():
        yield "  {cause_class:22} episodes {episodes:6} lined up {lined_up:.2f} top-1 {top_1:.2f} top-3 {top_3:.2f} log {log_score:.3f} Brier {brier:.3f}".format(**row)
    for table, key in ((made.reliability, "decile"), (made.reasons, "because")):
        for row in table.to_dicts():
            yield f"  {row[key]!s:12} given {row['given']:.3f} happened {row['happened']:.3f} n {row['n']:7} points {row['points']:+.1f}"
    yield f"  {verdict(made)}"


def verdict(made: Score) -> str:
    furthest = scoring.furthest(made.reliability, LEAST)
    said = "within" if furthest <= POINTS else "NOT within"
    return f"every tenth with {LEAST} candidates {said} {POINTS:g} points (furthest {furthest:.1f})"


def rows_of(score: Score) -> list[dict[str, Any]]:
    return score.reliability.to_dicts()


if __name__ == "__main__":
    main()
