"""Indirect reference limits: how far from the truth, how sure, how fast; on RIbench and on stress sets made here.

    python benchmarks/reference.py [--quick] [--suites ribench stress held_out] [--jobs 2] [--out FOLDER]

Prints what was asked and what was found; writes all tables as `reference.md` and `reference.json` beside this file, or,
with `--out`, elsewhere, and there the scores set by set too. `--quick` takes a tenth of every stratum, and writes only
with `--out`. Nothing may be chosen by `held_out`: leave it out while you work on the estimator. RIbench is read from
LEUKOPENIA_SHARED, or from `shared` beside the checkout; where it is absent the other suites run.

CPU-seconds count, without the first fit of a process, which compiles. `reference_sets.py` says what is scored and how,
`reference_stress.py` how the stress sets are made.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import reference_report as report
from reference_sets import LabSet, RIbench, Score, direct, frame, naive, score, shared_folder
from reference_stress import FAMILIES, Family
from rich.console import Console
from rich.progress import Progress

HERE = Path(__file__).parent
ESTIMATOR = "leukopenia.reference:estimate"
SUITES = ("ribench", *FAMILIES)
BLOCK = 20
RAW = 500_000

Estimator = Callable[..., Any]
Job = tuple[str, int]
Scores = dict[str, list[Score]]


def suite(name: str) -> RIbench | Family:
    return RIbench() if name == "ribench" else FAMILIES[name]


def estimator(name: str) -> Estimator:
    """The function that `module:function` names."""
    module, function = name.split(":")
    found: Estimator = getattr(importlib.import_module(module), function)
    return found


def fit(estimate: Estimator, made: LabSet) -> tuple[Any, float]:
    """The answer to one set, and its CPU time in milliseconds."""
    censored = {} if made.detection_limit is None else {"detection_limit": made.detection_limit}
    started = time.process_time()
    try:
        answer = estimate(made.values, counts=made.counts, percentiles=made.percentiles, **censored)
    except Exception as error:
        raise RuntimeError(f"no answer to set {made.id} of {made.suite}: {error}") from error
    return answer, 1000 * (time.process_time() - started)


def judge(estimate: Estimator, made: LabSet) -> dict[str, Score]:
    """One set, scored for the estimator and for those it is compared with."""
    answer, cpu_ms = fit(estimate, made)
    found = {"estimate": score(made, answer, cpu_ms), "naive": score(made, naive(made))}
    return found | ({} if made.healthy_counts is None else {"direct": score(made, direct(made))})


class Worker:
    """What a process keeps between sets: the suites, and the estimator, compiled."""

    def __init__(self, name: str) -> None:
        self.suites: dict[str, RIbench | Family] = {}
        self.estimate = estimator(name)
        fit(self.estimate, FAMILIES["stress"].load(0))

    def block(self, jobs: Sequence[Job]) -> list[dict[str, Score]]:
        return [judge(self.estimate, self.load(*job)) for job in jobs]

    def load(self, name: str, id: int) -> LabSet:
        if name not in self.suites:
            self.suites[name] = suite(name)
        return self.suites[name].load(id)


_here: list[Worker] = []


def _start(name: str) -> None:
    _here.append(Worker(name))


def _block(jobs: Sequence[Job]) -> list[dict[str, Score]]:
    return _here[0].block(jobs)


def judged(jobs: Sequence[Job], name: str, processes: int) -> Iterator[list[dict[str, Score]]]:
    """Blocks of scored sets as they are done."""
    blocks = [jobs[at : at + BLOCK] for at in range(0, len(jobs), BLOCK)]
    if processes == 1:
        yield from map(Worker(name).block, blocks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(name,)) as pool:
        for done in as_completed([pool.submit(_block, block) for block in blocks]):
            yield done.result()


def run(jobs: Sequence[Job], name: str = ESTIMATOR, processes: int = 1) -> dict[str, pl.DataFrame]:
    """Scores of all sets by method, with a bar."""
    scores: Scores = {"estimate": [], "naive": [], "direct": []}
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("sets", total=len(jobs))
        for block in judged(jobs, name, processes):
            for found in block:
                for method, each in found.items():
                    scores[method].append(each)
            bar.advance(task, len(block))
    return {method: frame(found).sort("suite", "id") for method, found in scores.items()}


def tenth(strata: pl.DataFrame) -> list[int]:
    """One of every ten sets, in the order of size, fraction and the rest."""
    ids = strata.sort(*(name for name in strata.columns if name != "id"), "id")["id"].to_numpy()
    tens = ids[: len(ids) // 10 * 10].reshape(-1, 10)
    return sorted(np.random.default_rng(10).choice(each).item() for each in tens)


def chosen(names: Sequence[str], quick: bool) -> dict[str, list[int]]:
    """The sets of each suite that count."""
    return {name: tenth(suite(name).strata()) if quick else suite(name).ids for name in names}


def raw_times(estimate: Estimator, sets: RIbench) -> list[float]:
    """CPU milliseconds from 500,000 raw values: one set of each analyte."""
    table = sets.strata().filter(size=RAW, fraction=0.2).group_by("analyte").agg(pl.col("id").min())
    fit(estimate, FAMILIES["stress"].load(0))
    spent = []
    for id in sorted(table["id"]):
        made = sets.load(id)
        values = np.random.default_rng(id).permutation(np.repeat(made.values, made.counts))
        started = time.process_time()
        estimate(values, percentiles=made.percentiles)
        spent.append(1000 * (time.process_time() - started))
    return spent


def present(names: Sequence[str]) -> list[str]:
    """The suites without RIbench, where its data are absent."""
    absent = not (shared_folder() / "data" / "ribench").is_dir()
    if absent and "ribench" in names:
        print("RIbench left out: set LEUKOPENIA_SHARED or put a folder 'shared' beside the checkout", file=sys.stderr)
    return [name for name in names if not (absent and name == "ribench")]


def measure(names: Sequence[str], name: str, processes: int, quick: bool) -> tuple[report.Result, pl.DataFrame]:
    """Everything the page tells, and the scores of the estimator set by set."""
    ids = chosen(names, quick)
    sets = RIbench() if "ribench" in ids else None
    peers = {peer: frame(sets.peer(peer)) for peer in ("refineR", "reflimR", "RINet", "kosmic")} if sets else {}
    floors = sets.floors() if sets else {}
    pairs = peers["refineR"]["id"].to_list() if peers else []
    jobs = [(suite, id) for suite in ids for id in sorted({*ids[suite], *(pairs if suite == "ribench" else ())})]
    started = time.perf_counter()
    scores = run(jobs, name, processes)
    wall = time.perf_counter() - started
    raw = raw_times(estimator(name), sets) if sets else []
    counted = {method: report.only(found, ids) for method, found in scores.items()}
    result = report.Result(name, quick, processes, wall, counted, scores["estimate"], peers, floors, raw)
    return result, scores["estimate"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of every stratum")
    parser.add_argument("--suites", nargs="+", choices=SUITES, default=["ribench", "stress"])
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, help="folder for all tables, and the scores set by set")
    parser.add_argument("--estimator", default=ESTIMATOR, help="module:function")
    args = parser.parse_args()
    result, records = measure(present(args.suites), args.estimator, args.jobs, args.quick)
    print(report.page(result, report.BRIEF))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        records.write_csv(args.out / "reference_sets.tsv", separator="\t")
    if args.out or not args.quick:
        write(result, args.out or HERE)


def write(result: report.Result, folder: Path) -> None:
    """The page, and the same as data."""
    (folder / "reference.md").write_text(report.page(result), encoding="utf-8")
    told = json.dumps(report.told(result), indent=1, allow_nan=False)
    (folder / "reference.json").write_text(told + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
