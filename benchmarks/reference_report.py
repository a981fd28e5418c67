"""The page and the JSON file of the reference benchmark: what was asked, what was measured."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import polars as pl
from reference_sets import COVERED, most_certain, paired, summary

PACKAGES = ("leukopenia", "numpy", "scipy", "numba", "polars")
MARGINS = ("size", "fraction")
PUBLISHED = (
    ("refineR 2.0.0, its NEWS", 5760, 0.300, 0.069),
    ("kosmic, read off the figure of the RIbench vignette", 5760, 0.49, None),
    ("TMC, same", 5760, 0.50, None),
    ("TML, same", 5760, 0.69, None),
    ("Hoffmann, same", 5760, 1.18, None),
)
"""Method, sets, overall score and implausible %, as published for RIbench."""

BEST = {"ribench": 0.20, "stress": 0.17, "held_out": 0.17}
"""Overall score that is asked for."""

BRIEF = "^Methods|by fraction|by kind|^refineR|^Refusals|^Time"
"""Tables that are shown on the screen."""

IMPLAUSIBLE_ALLOWED = {"ribench": 0.1, "stress": 0.0, "held_out": 0.0}


@dataclass(frozen=True)
class Result:
    """Scores by method; `paired` holds those of the estimator on the sets of the peers as well."""

    estimator: str
    quick: bool
    processes: int
    wall: float
    scores: Mapping[str, pl.DataFrame]
    paired: pl.DataFrame
    peers: Mapping[str, pl.DataFrame]
    floors: Mapping[str, tuple[int, float]]
    raw_ms: Sequence[float]

    @cached_property
    def ours(self) -> pl.DataFrame:
        return self.scores["estimate"]

    @cached_property
    def suites(self) -> list[str]:
        return self.ours["suite"].unique(maintain_order=True).to_list()

    def suite(self, name: str, method: str = "estimate") -> pl.DataFrame:
        return self.scores[method].filter(suite=name)

    def pairs(self, margin: str | None = None) -> pl.DataFrame:
        """Ours against refineR."""
        return paired(self.paired.filter(suite="ribench"), self.peers["refineR"], margin)


def only(scores: pl.DataFrame, ids: Mapping[str, Sequence[int]]) -> pl.DataFrame:
    """The scores of the sets that count."""
    wanted = [{"suite": suite, "id": id} for suite, each in ids.items() for id in each]
    return scores.join(pl.DataFrame(wanted, schema={"suite": pl.String, "id": pl.Int64}), on=["suite", "id"])


def made_with(result: Result) -> dict[str, Any]:
    """Date, machine and versions."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    return {
        "date": str(date.today()),
        "machine": machine,
        "python": platform.python_version(),
        "versions": versions,
        "estimator": result.estimator,
        "quick": result.quick,
        "processes": result.processes,
    }


# What was asked


@dataclass(frozen=True)
class Goal:
    what: str
    asked: str
    found: float | None
    met: bool | None


def goals(result: Result) -> list[Goal]:
    """What the estimator has to show, beside what it shows."""
    found = [goal for name in result.suites for goal in _of_suite(result, name)]
    return found + _of_all(result) + _of_speed(result)


def _of_suite(result: Result, name: str) -> list[Goal]:
    row = summary(result.suite(name)).row(0, named=True)
    found = [
        _at_most(f"{name}: overall", row["overall"], BEST[name]),
        _at_most(f"{name}: implausible, %", row["implausible %"], IMPLAUSIBLE_ALLOWED[name]),
    ]
    if name == "ribench":
        worse = sum(_worse(result.pairs(margin)) for margin in MARGINS)
        found += [_at_most("ribench: sets refused, %", row["refused %"], 0)]
        found += [_at_most("ribench: sizes and fractions in which refineR is better", worse, 0)]
    return found


def _worse(pairs: pl.DataFrame) -> int:
    return int((pairs["ours"].fill_null(math.inf) > pairs["theirs"]).sum())


def _of_all(result: Result) -> list[Goal]:
    cells = summary(result.ours, "suite", *MARGINS)["coverage %"].drop_nulls()
    share = float(result.ours.select(100 * COVERED.mean()).item() or 0)
    outside = int(((cells < 70) | (cells > 97)).sum())
    sure = summary(most_certain(result.ours))["overall"].item()
    return [
        Goal("coverage of the 90 % intervals, all suites, %", "86 to 94", share, 86 <= share <= 94),
        _at_most("suites x sizes x fractions whose coverage is not 70 to 97 %", outside, 0),
        _at_most("overall with the least certain 5 % refused, all suites", sure, 0.15),
    ]


def _of_speed(result: Result) -> list[Goal]:
    found = [_at_most("a fit from cells, median CPU ms", result.ours["cpu_ms"].median(), 10)]
    if result.raw_ms:
        found.append(_at_most("a fit from 500,000 raw values, median CPU ms", _median(result.raw_ms), 30))
    if "ribench" in result.suites and not result.quick:
        found.append(_at_most("all sets of RIbench, CPU s", result.suite("ribench")["cpu_ms"].sum() / 1000, 180))
    return found


def _median(values: Sequence[float]) -> float:
    return float(pl.Series(values).median())  # type: ignore[arg-type]


def _at_most(what: str, found: Any, most: float) -> Goal:
    known = found is not None
    return Goal(what, f"at most {most:g}", float(found) if known else None, found <= most if known else None)


# Tables


def methods(result: Result) -> pl.DataFrame:
    """The estimator, those it is compared with, and the peers as published and as measured."""
    rows = [
        {"suite": name, "method": method, **summary(scores.filter(suite=name)).row(0, named=True)}
        for name in result.suites
        for method, scores in result.scores.items()
        if len(scores.filter(suite=name))
    ]
    for peer, scores in result.peers.items():
        rows.append({"suite": "ribench", "method": f"{peer}, measured", **summary(scores).row(0, named=True)})
    floors = [(name, sets, error, None) for name, (sets, error) in result.floors.items()]
    for method, sets, overall, implausible in (*PUBLISHED, *floors) if result.peers else ():
        rows.append(
            {"suite": "ribench", "method": method, "sets": sets, "overall": overall, "implausible %": implausible}
        )
    without = pl.col("method") != "estimate"
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.when(without).then(None).otherwise(pl.col("coverage %")).alias("coverage %")
    )


def times(result: Result) -> pl.DataFrame:
    """CPU time of a fit by suite and size."""
    cpu = pl.col("cpu_ms")
    measures = (pl.len().alias("sets"), cpu.mean().alias("mean ms"), cpu.median().alias("median ms"))
    more = (cpu.max().alias("max ms"), (cpu.sum() / 1000).alias("all, s"))
    return result.ours.group_by("suite", "size").agg(*measures, *more).sort("suite", "size")


def tables(result: Result) -> dict[str, pl.DataFrame]:
    """Every table by its title."""
    found = {"Methods": methods(result)}
    for name in result.suites:
        scores = result.suite(name)
        found[f"{name}: by size and fraction"] = summary(scores, "size", "fraction")
        found |= {f"{name}: by {by}": summary(scores, by) for by in ("size", "fraction", "kind", "analyte")}
        found[f"{name}: least certain 5 % refused"] = summary(most_certain(scores))
    if result.peers:
        found["refineR: all of its sets"] = result.pairs()
        found |= {f"refineR: by {margin}": result.pairs(margin) for margin in MARGINS}
    refusals = result.ours.filter("refused").group_by("suite", "verdict").len().sort("suite", "verdict")
    return found | {"Refusals": refusals, "Time": times(result)}


def told(result: Result) -> dict[str, Any]:
    """The page as data; what is not known is null."""
    rows = {title: [_plain(row) for row in table.iter_rows(named=True)] for title, table in tables(result).items()}
    asked = [_plain(vars(goal)) for goal in goals(result)]
    times = {"wall_s": result.wall, "raw_ms": list(result.raw_ms)}
    return {**made_with(result), "goals": asked, **times, "tables": rows}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    unknown = {name for name, value in row.items() if isinstance(value, float) and not math.isfinite(value)}
    rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}
    return rounded | dict.fromkeys(unknown)


def page(result: Result, titles: str = "") -> str:
    """What was asked and found, and the tables whose title a pattern finds, as Markdown."""
    made = made_with(result)
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    head = f"{made['date']}, {made['machine']}, Python {made['python']}, {versions}; {result.estimator}"
    run = f"{result.processes} process(es), {result.wall:.0f} s" + (", a tenth of the sets" if result.quick else "")
    asked = pl.DataFrame([vars(goal) for goal in goals(result)], infer_schema_length=None)
    asked = asked.with_columns(pl.col("met").replace_strict({True: "yes", False: "no"}, default="unknown"))
    parts = [f"# Indirect reference limits\n\n{head}; {run}.\n\n{EXPLAINED}", markdown("Asked and found", asked)]
    chosen = {title: table for title, table in tables(result).items() if re.search(titles, title)}
    return "\n".join(parts + [markdown(title, table) for title, table in chosen.items()])


EXPLAINED = """Errors are in standard deviations of the healthy part. *Overall* is the mean over answered sets without the
implausible ones (error above 5); *median* is over all answered sets. *Coverage* counts true limits inside their 90 %
interval. *Naive*: plain percentiles of everything. *Direct*: plain percentiles of the results known to be healthy. In the
comparison with refineR, *difference* is theirs minus ours, an implausible error taken as 5. Made by
`python benchmarks/reference.py`; what the suites are stands in `reference_sets.py` and `reference_stress.py`.
"""


def markdown(title: str, table: pl.DataFrame) -> str:
    """A titled table."""
    if not len(table):
        return f"## {title}\n\nNone.\n"
    lines = [table.columns, ["---"] * table.width, *([_cell(value) for value in row] for row in table.iter_rows())]
    return f"## {title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if math.isfinite(value) else ""
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
