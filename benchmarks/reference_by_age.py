"""Limits by age: one smooth fit against single fits in windows of age, on simulated results with a known truth.

    python benchmarks/reference_by_age.py [--quick] [--out FOLDER]

Prints the table and writes it as `reference_by_age.md` beside this file, or with `--out` elsewhere. `--quick` takes one
seed and writes only with `--out`. CPU-seconds count, without the first fit, which compiles.

The healthy have curves of L, M and S like those of neutrophils from birth to 90 years. The ill are added in five ways,
of which the estimator knows some shapes exactly and others not: see `ILL`. The error of a limit is its distance from the
true one in standard deviations of the healthy of that age, averaged over ages on the scale of `fit.ages` and over both
limits.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopenia.reference import by_age, estimate
from leukopenia.reference.fit.ages import HOURS, hours_at, place
from leukopenia.reference.fit.power import restore, transform

HERE = Path(__file__).parent
YEAR = HOURS["years"]
ZS = (-1.959964, 1.959964)
AGES = 56
SEEDS = (10, 11, 12, 13)
"""Seeds below 10 were used while the constants of the method were set."""

MOST_WINDOWS, FEWEST_IN_WINDOW = 14, 1_000

Floats = NDArray[np.float64]
Fractions = tuple[float, float]


@dataclass(frozen=True)
class People:
    """Whose results, and how many."""

    name: str
    youngest: float
    oldest: float
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Ill:
    """The ill of one side: their share at the youngest and oldest age, shape, distance and spread (healthy units)."""

    share: Fractions
    shape: str
    distance: float
    spread: float = 1.0


PEOPLE = (
    People("children, 1-18 years", YEAR, 18 * YEAR, (3_000, 20_000)),
    People("lifetime, 0 h-90 years", 0.0, 90 * YEAR, (20_000, 100_000)),
)
NOBODY = Ill((0.0, 0.0), "continuum", 1.0)
ILL = {
    "none": (NOBODY, NOBODY),
    "continuum, 3 % + 20 %": (Ill((0.03, 0.03), "continuum", 1.5), Ill((0.20, 0.20), "continuum", 2.0)),
    "log-normal, 10 % + 15 %": (Ill((0.10, 0.10), "log-normal", 2.1, 0.8), Ill((0.15, 0.15), "log-normal", 2.4)),
    "Gaussian in z, 6 % + 8 %": (Ill((0.06, 0.06), "z", 2.8, 0.8), Ill((0.08, 0.08), "continuum", 2.0)),
    "Gaussian, 5 % + 10 %": (Ill((0.05, 0.05), "Gaussian", 2.3, 0.5), Ill((0.10, 0.10), "Gaussian", 2.7, 1.5)),
    "Gaussian, 2-10 % + 25-5 %": (Ill((0.02, 0.10), "Gaussian", 2.0, 0.6), Ill((0.25, 0.05), "Gaussian", 2.7, 1.5)),
}


def healthy(hours: Floats) -> tuple[Floats, Floats, Floats]:
    """L, M and S: a peak at 14 hours, a trough about the first birthday, a rise at puberty."""
    x, years = np.log1p(hours / 6.0), hours / YEAR
    peak, trough = 0.9 * np.exp(-((x - 1.2) ** 2)), 0.35 * np.exp(-(((x - 7.0) / 1.6) ** 2))
    power = 0.1 + 0.3 * np.tanh((x - 6.0) / 3.0)
    median = 3.6 * np.exp(peak - trough + 0.15 * np.tanh((years - 12.0) / 5.0))
    return power, median, 0.34 + 0.10 * np.exp(-(((x - 6.5) / 2.0) ** 2))


def value(z: Floats, hours: Floats) -> Floats:
    power, median, spread = healthy(hours)
    return median * restore(spread * z, power)


def z_of(x: Floats, hours: Floats) -> Floats:
    power, median, spread = healthy(hours)
    return transform(x / median, power) / spread


def ill(kind: Ill, side: int, hours: Floats, rng: np.random.Generator) -> Floats:
    """Results of the ill of one side."""
    _, median, spread = healthy(hours)
    noise, n = rng.standard_normal(len(hours)), len(hours)
    if kind.shape == "continuum":
        return value(noise + side * rng.exponential(kind.distance, n), hours)
    if kind.shape == "z":
        return value(side * kind.distance + kind.spread * noise, hours)
    if kind.shape == "log-normal":
        return median * np.exp(spread * (side * kind.distance + kind.spread * noise))
    sd = np.abs(value(np.full(n, float(side)), hours) - median)
    return median + sd * (side * kind.distance + kind.spread * noise)


def drawn(people: People, ills: tuple[Ill, Ill], n: int, seed: int) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Results, ages in hours, and who is healthy."""
    rng = np.random.default_rng(seed)
    way = rng.random(n)
    low, high = place(np.array([people.youngest, people.oldest]))
    hours = hours_at(low + (high - low) * way)
    left, right = (one.share[0] + (one.share[1] - one.share[0]) * way for one in ills)
    who = rng.random(n)
    parts = [value(rng.standard_normal(n), hours), *(ill(ills[k], (-1, 1)[k], hours, rng) for k in (0, 1))]
    results = np.where(who < left, parts[1], np.where(who > 1 - right, parts[2], parts[0]))
    return np.round(np.clip(results, 0.05, 200.0), 2), hours, (who >= left) & (who <= 1 - right)


Answer = tuple[Floats, Floats]
"""Limits, shape (ages, 2), and their intervals, shape (ages, 2, 2)."""


def smooth(method: str, x: Floats, hours: Floats, at: Floats) -> Answer:
    found = by_age(x, hours, method=method, age_unit="hours")
    limits = np.stack([found.lower(at), found.upper(at)], axis=1)
    return limits, np.stack([found.lower_interval(at), found.upper_interval(at)], axis=1)


def windowed(method: str, x: Floats, hours: Floats, at: Floats) -> Answer:
    """A single fit in each of up to 14 windows of equal width on the scale of age."""
    number = int(np.clip(len(x) // FEWEST_IN_WINDOW, 1, MOST_WINDOWS))
    low, high = place(hours).min(), place(hours).max()
    window, asked = (
        np.clip((place(h) - low) / (high - low) * number, 0, number - 1e-9).astype(int) for h in (hours, at)
    )
    limits, intervals = np.full((len(at), 2), np.nan), np.full((len(at), 2, 2), np.nan)
    for k in np.unique(asked):
        found = estimate(x[window == k], method=method)
        limits[asked == k] = found.lower, found.upper
        intervals[asked == k] = found.lower_interval, found.upper_interval
    return limits, intervals


def judged(answer: Answer, at: Floats) -> dict[str, float]:
    """Error, coverage and share of ages answered."""
    limits, intervals = answer
    truth = np.stack([value(np.full(len(at), z), at) for z in ZS], axis=1)
    errors = np.stack([np.abs(z_of(limits[:, k], at) - ZS[k]) for k in (0, 1)], axis=1)
    known = ~np.isnan(limits).any(axis=1)
    inside = (intervals[known, :, 0] <= truth[known]) & (truth[known] <= intervals[known, :, 1])
    return {
        "error": float(np.nanmean(errors)) if known.any() else np.nan,
        "covered": float(inside.mean()) if known.any() else np.nan,
        "answered": float(known.mean()),
    }


METHODS: dict[str, Callable[[str, Floats, Floats, Floats], Answer]] = {"by_age": smooth, "windows": windowed}


def measured(people: People, n: int, name: str, seed: int) -> Iterator[dict[str, object]]:
    """Both methods on the same results: indirect on all, and direct on the healthy where nobody is ill."""
    x, hours, _ = drawn(people, ILL[name], n, seed)
    low, high = place(np.array([people.youngest, people.oldest]))
    at = hours_at(np.linspace(low + 0.1, high - 0.1, AGES))
    for form in ("indirect", "direct") if name == "none" else ("indirect",):
        for method, fitted in METHODS.items():
            started = time.process_time()
            answer = fitted(form, x, hours, at)
            spent = time.process_time() - started
            told = {"people": people.name, "n": n, "ill": name, "form": form, "method": method, "seed": seed}
            yield told | judged(answer, at) | {"cpu_s": spent}


def run(seeds: Sequence[int]) -> pl.DataFrame:
    list(measured(PEOPLE[0], 3_000, "none", 99))
    rows = [
        row
        for people in PEOPLE
        for n in people.sizes
        for name in ILL
        for seed in seeds
        for row in measured(people, n, name, seed)
    ]
    return pl.DataFrame(rows)


COLUMNS = ("form", "people", "n", "ill")


def summary(rows: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Means over seeds, the two methods side by side."""
    means = rows.group_by(*by, "method", maintain_order=True).agg(
        pl.col("error", "covered", "answered", "cpu_s").fill_nan(None).mean()
    )
    sides = [means.filter(method=name).drop("method") for name in METHODS]
    return sides[0].join(sides[1], on=list(by), suffix="_windows", maintain_order="left")


def page(rows: pl.DataFrame, seeds: Sequence[int]) -> str:
    head = (
        "# Limits by age\n\n`python benchmarks/reference_by_age.py`; "
        f"{date.today()}, {platform.machine()}, Python {platform.python_version()}, one core, "
        f"seeds {seeds[0]} to {seeds[-1]}.\n\n"
        "Error of both limits in standard deviations of the healthy, averaged over ages; share of ages at which the\n"
        "90 % interval covers the true limit; share of ages answered; CPU-seconds. `windows`: a single fit in each of\n"
        "up to 14 windows. `direct` on results of healthy persons, `indirect` on all.\n"
    )
    overall = summary(rows, ("form", "people", "n"))
    return f"{head}\n## By size\n\n{table(overall, 3)}\n\n## By the kind of ill\n\n{table(summary(rows, COLUMNS), 4)}\n"


def table(means: pl.DataFrame, labels: int) -> str:
    names = [*means.columns[:labels], "error", "windows", "ratio", "covered", "windows", "answered", "windows"]
    lines = [f"| {' | '.join([*names, 'CPU s', 'windows'])} |", f"|{' --- |' * (len(names) + 2)}"]
    for row in means.iter_rows(named=True):
        told = [f"{row[name]:,}" if name == "n" else str(row[name]) for name in means.columns[:labels]]
        told += [_number(row["error"]), _number(row["error_windows"])]
        told += [_number(row["error_windows"] and row["error_windows"] / row["error"], 1)]
        told += [
            _number(row[f"{name}{side}"]) for name in ("covered", "answered", "cpu_s") for side in ("", "_windows")
        ]
        lines.append(f"| {' | '.join(told)} |")
    return "\n".join(lines)


def _number(x: float | None, digits: int = 2) -> str:
    return "-" if x is None else f"{x:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    seeds = SEEDS[:1] if chosen.quick else SEEDS
    made = page(run(seeds), seeds)
    print(made)
    if chosen.out or not chosen.quick:
        ((chosen.out or HERE) / "reference_by_age.md").write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
