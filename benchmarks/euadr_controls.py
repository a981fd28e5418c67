"""The ten leukopenia controls of the EU-ADR reference set, in a cohort whose truth is known because it is made here.

    python benchmarks/euadr_controls.py CONTROLS.tsv [--persons 40_000] [--seeds 10] [--picture RATES.svg]

Five positive controls raise the hazard of a low neutrophil count, five negative controls do nothing. The latency is not
the one the ranking believes in: its median is shifted by a factor between a half and two, drawn for each drug, and its
shape is another distribution. Every drug adds the same risk, whatever the knowledge tables say of its frequency. Around
that: falls of other origin, other drugs taken at the same time, starts recorded late or not at all.

The cohort is made a second time with positive controls that do nothing either (`null`). What the ranking still claims
there comes from its knowledge alone.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl

import leukopenia as lk
from leukopenia import knowledge
from leukopenia.explain.model import OTHER_DRUG, onset

LEUKOPENIA = "500001601"
"""The outcome of the reference set."""

DAYS = 730
FIRST_DAY = date(2018, 1, 1)
RISK = 0.012
"""Share of those who take a positive control long enough who get a low count from it."""

BACKGROUND = 0.02
"""Falls of other origin for one person and year."""

SHAPE = 0.6
"""Standard deviation of the logarithm of the latency (log-normal, where the ranking has a log-logistic)."""

OTHERS = ("furosemide", "amoxicillin", "omeprazole", "ibuprofen", "lisinopril", "metronidazole", "lamotrigine")
"""Taken at the same time; harmless here, though the knowledge tables hold some of them to be causes."""

SETTINGS: Mapping[str, dict[str, Any]] = {
    "default": {"explain.analytes": ["neutrophils"]},
    "equal priors": {"explain.analytes": ["neutrophils"], "explain.prior_scale": 0},
}
"""One fall lowers the white count as well: only the episodes of the neutrophils are explained, so that it counts once."""

COUNTS = {"wbc": 3000905, "neutrophils": 3013650, "haemoglobin": 3000963, "platelets": 3024929}
UNITS = {"wbc": 8848, "neutrophils": 8848, "haemoglobin": 8713, "platelets": 8848}
LIMITS = {"wbc": (4.0, 11.0), "neutrophils": (1.8, 7.5), "haemoglobin": (12.0, 17.0), "platelets": (150.0, 400.0)}
DISPENSED = 32825
VIRAL = 4266367
"""Influenza: recorded for a third of the falls of other origin."""


@dataclass(frozen=True)
class Drug:
    """One drug of the cohort; `latency` in days, None where it does nothing."""

    cause: str
    concept: int
    positive: bool | None
    latency: float | None


@dataclass(frozen=True)
class Taken:
    """A drug and the days on which it was taken, counted from the first day of the record."""

    drug: Drug
    first: int
    last: int


@dataclass(frozen=True)
class Fall:
    """Days on which the neutrophils are low, and by what factor."""

    first: int
    last: int
    depth: float
    cause: str


def controls(path: Path, rng: random.Random, null: bool) -> list[Drug]:
    """The controls of the outcome leukopenia, each positive one with a latency of its own."""
    rows = knowledge.load()
    ids = {code: row["id"] for row in rows["ingredients"] for code in row["omop_concept_id"].split(";") if code}
    believed = {row["id"]: onset(row)[0] for row in rows["causes_drugs"]}
    found = []
    with path.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if row["outcomeId"] == LEUKOPENIA:
                cause, positive = ids.get(row["exposureId"], ""), row["groundTruth"] == "1"
                middle = believed.get(cause, believed[OTHER_DRUG]) or 30.0
                latency = middle * 2 ** rng.uniform(-1, 1)
                acts = positive and not null
                found.append(Drug(cause, int(row["exposureId"]), positive, latency if acts else None))
    return found


def others() -> list[Drug]:
    """The drugs taken beside the controls."""
    codes = {row["name"]: row["omop_concept_id"].split(";")[0] for row in knowledge.load()["ingredients"]}
    return [Drug(f"drug:{name}", int(codes[name]), None, None) for name in OTHERS if codes.get(name)]


def taken(rng: random.Random, drugs: Sequence[Drug], beside: Sequence[Drug]) -> list[Taken]:
    """One to three controls and up to three other drugs."""
    chosen = rng.sample(drugs, rng.choice((1, 1, 2, 3))) + rng.sample(beside, rng.choice((0, 1, 2, 3)))
    starts = [rng.randrange(-200, DAYS - 30) for _ in chosen]
    lengths = [round(math.exp(rng.uniform(math.log(14), math.log(700)))) for _ in chosen]
    return [
        Taken(drug, first, first + length)
        for drug, first, length in zip(chosen, starts, lengths, strict=True)
        if first + length > 0
    ]


def falls(rng: random.Random, spans: Sequence[Taken]) -> list[Fall]:
    """What the drugs did, and what came of itself."""
    made = []
    for span in spans:
        day = span.first + _latency(rng, span.drug)
        if 0 < day <= min(span.last, DAYS - 20) and rng.random() < RISK:
            lasts = rng.randint(8, 20) if rng.random() < 0.7 else rng.randint(30, 90)
            made.append(Fall(int(day), int(day) + lasts, rng.uniform(0.05, 0.35), span.drug.cause))
    for _ in range(sum(rng.random() < BACKGROUND * DAYS / 365 / 4 for _ in range(4))):
        day = rng.randrange(5, DAYS - 20)
        made.append(Fall(day, day + rng.randint(6, 20), rng.uniform(0.15, 0.4), ""))
    return sorted(made, key=lambda fall: fall.first)


def _latency(rng: random.Random, drug: Drug) -> float:
    return math.inf if drug.latency is None else drug.latency * math.exp(rng.gauss(0, SHAPE))


def draws(rng: random.Random, low: Sequence[Fall]) -> list[int]:
    """Routine counts two to five times a year, and more where somebody is ill."""
    days, day = [], rng.randrange(0, 90)
    while day < DAYS:
        days.append(day)
        day += rng.randint(70, 180)
    for fall in low:
        if rng.random() < 0.7:
            seen = fall.first + rng.randint(0, 4)
            days += [seen, seen + 5, fall.last + rng.randint(1, 10)]
    return sorted({day for day in days if day < DAYS})


def counted(rng: random.Random, person: int, level: float, days: Sequence[int], low: Sequence[Fall]) -> Iterator[tuple]:
    """Person, day and four counts of each draw."""
    for day in days:
        depth = min((fall.depth for fall in low if fall.first <= day <= fall.last), default=1.0)
        neutrophils = level * depth * math.exp(rng.gauss(0, 0.12))
        rest = 2.6 * math.exp(rng.gauss(0, 0.12))
        counts = neutrophils + rest, neutrophils, rng.gauss(14, 0.7), rng.gauss(250, 30)
        yield (person, FIRST_DAY + timedelta(day), *(round(value, 2) for value in counts))


def recorded(rng: random.Random, person: int, span: Taken) -> tuple:
    """A row of drug_exposure: the start is late in one of seven, and missing in one of twenty."""
    late = rng.randint(7, 60) if rng.random() < 0.15 else 0
    first = min(max(span.first, 0) + late, span.last)
    start = None if rng.random() < 0.05 else FIRST_DAY + timedelta(first)
    return person, span.drug.concept, start, FIRST_DAY + timedelta(min(span.last, DAYS))


def cohort(persons: int, drugs: Sequence[Drug], rng: random.Random) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """OMOP tables in memory, and the truth: patient_id, first, last (days of the fall), by (its cause)."""
    beside = others()
    counts, exposed, conditions, truth = [], [], [], []
    for person in range(1, persons + 1):
        spans = taken(rng, drugs, beside)
        low = falls(rng, spans)
        level = max(rng.gauss(4.2, 0.7), 2.6)
        counts += counted(rng, person, level, draws(rng, low), low)
        exposed += [recorded(rng, person, span) for span in spans]
        truth += [(person, fall.first, fall.last, fall.cause) for fall in low]
        ill = [fall for fall in low if not fall.cause and rng.random() < 1 / 3]
        conditions += [(person, VIRAL, FIRST_DAY + timedelta(fall.first)) for fall in ill]
    known = pl.DataFrame(truth, schema=["patient_id", "first", "last", "by"], orient="row")
    return _tables(persons, counts, exposed, conditions), known


def _tables(
    persons: int, counts: list[tuple], exposed: list[tuple], conditions: list[tuple]
) -> dict[str, pl.DataFrame]:
    wide = pl.DataFrame(counts, schema=["person_id", "measurement_date", *COUNTS], orient="row")
    long = wide.unpivot(index=["person_id", "measurement_date"], variable_name="name", value_name="value_as_number")
    measurement = long.select(
        pl.int_range(pl.len()).alias("measurement_id"),
        "person_id",
        pl.col("name").replace_strict(COUNTS).alias("measurement_concept_id"),
        "measurement_date",
        pl.col("name").replace_strict(UNITS).alias("unit_concept_id"),
        "value_as_number",
        pl.col("name").replace_strict({name: low for name, (low, _) in LIMITS.items()}).alias("range_low"),
        pl.col("name").replace_strict({name: high for name, (_, high) in LIMITS.items()}).alias("range_high"),
    )
    spans = ["person_id", "drug_concept_id", "drug_exposure_start_date", "drug_exposure_end_date"]
    drug = pl.DataFrame(exposed, schema=spans, orient="row", infer_schema_length=None)
    dated = ["person_id", "condition_concept_id", "condition_start_date"]
    condition = pl.DataFrame(conditions, schema=dated, orient="row")
    person = pl.DataFrame({"person_id": range(1, persons + 1), "gender_concept_id": 8507, "year_of_birth": 1960})
    return {
        "person": person,
        "measurement": measurement,
        "drug_exposure": drug.with_row_index("drug_exposure_id").with_columns(drug_type_concept_id=pl.lit(DISPENSED)),
        "condition_occurrence": condition.with_row_index("condition_occurrence_id"),
    }


def auc(values: Sequence[tuple[float, bool]]) -> float:
    """The share of pairs of a positive and a negative control in which the positive one has the higher value."""
    high = [value for value, positive in values if positive]
    low = [value for value, positive in values if not positive]
    won = sum((a > b) + 0.5 * (a == b) for a in high for b in low)
    return won / (len(high) * len(low))


def measured(
    tables: dict[str, pl.DataFrame], truth: pl.DataFrame, drugs: Sequence[Drug], policy: Mapping[str, Any]
) -> pl.DataFrame:
    """`cause_rates` of the controls, and beside it what they really did."""
    with lk.run(tables, policy=policy) as result:
        known, causes = result.tables["cause_rates"], result.tables["causes"]
    day = (pl.col("onset") - (FIRST_DAY - date(1970, 1, 1)).days * 1440) // 1440
    seen = causes.join(truth, on="patient_id").filter(
        day.is_between("first", "last"), pl.col("by") == pl.col("cause_id")
    )
    under = causes.filter(pl.col("start") <= pl.col("onset"), pl.col("end") >= pl.col("onset"))
    columns = {
        "fell": truth.group_by(cause_id="by").agg(fell=pl.len()),
        "seen": seen.group_by("cause_id").agg(seen=pl.len()),
        "right": seen.filter(pl.col("rank") == 1).group_by("cause_id").agg(right=pl.len()),
        "under": under.group_by("cause_id").agg(under=pl.len()),
    }
    rows = pl.DataFrame({"cause_id": [drug.cause for drug in drugs], "positive": [drug.positive for drug in drugs]})
    for found in (known, *columns.values()):
        rows = rows.join(found, on="cause_id", how="left")
    years = pl.col("days_exposed") / 365.25
    return rows.with_columns(
        share=pl.col("expected") / pl.col("candidate_in"), years=years, crude=1000 * pl.col("under") / years
    ).fill_null(0)


def frequencies() -> dict[str, float]:
    """What the knowledge tables say of each drug before any record is read."""
    rows = {row["id"]: row for row in knowledge.load()["causes_drugs"]}
    ingredients = [row["id"] for row in knowledge.load()["ingredients"]]
    return {cause: float((rows.get(cause) or rows[OTHER_DRUG])["frequency"] or 0) for cause in ingredients}


HEADER = """\
| control | does it act | falls | found | persons | person-years | candidate in | leads in | of these rightly | expected | rate (95 % interval) |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def table(rows: pl.DataFrame, null: bool) -> str:
    """Markdown: one line for each control."""
    lines = [HEADER]
    for row in rows.sort("positive", "cause_id", descending=[True, False]).iter_rows(named=True):
        name = row["cause_id"].removeprefix("drug:") or "not of interest"
        acts = "yes" if row["positive"] and not null else "no"
        rate = f"{row['rate']:.1f} ({row['rate_low']:.1f} to {row['rate_high']:.1f})"
        whole = (row[column] for column in ("fell", "seen", "persons"))
        led = (row[column] for column in ("candidate_in", "leads_in", "right"))
        cells = (name, acts, *whole, f"{row['years']:.0f}", *led, f"{row['expected']:.1f}", rate)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def areas(rows: pl.DataFrame) -> dict[str, float]:
    """The area under the curve of four figures over the controls."""
    prior = frequencies()
    columns = {"rate": "rate", "expected share": "share", "all episodes under the drug": "crude"}
    found = {name: auc(list(zip(rows[column], rows["positive"], strict=True))) for name, column in columns.items()}
    known = [
        (prior.get(cause, 0.0), positive) for cause, positive in zip(rows["cause_id"], rows["positive"], strict=True)
    ]
    return found | {"frequency in the tables, no records": auc(known)}


COLOURS = "svg {color: #1c242e} @media (prefers-color-scheme: dark) {svg {color: #e4e8ee}}"


def picture(acting: pl.DataFrame, null: pl.DataFrame) -> str:
    """Rate and interval of every control: filled where the positive controls act, open where nothing does."""
    wide, row, left, scale = 720, 34, 150, 18
    order = acting.sort("positive", "cause_id", descending=[True, False])["cause_id"].to_list()
    marks = []
    for number, cause in enumerate(order):
        y = 50 + number * row
        marks.append(f'<text x="{left - 12}" y="{y + 8}" text-anchor="end">{cause.removeprefix("drug:")}</text>')
        for rows, dy, fill in ((acting, 0, "currentColor"), (null, 9, "none")):
            one = rows.row(by_predicate=pl.col("cause_id") == cause, named=True)
            low, rate, high = (left + scale * one[name] for name in ("rate_low", "rate", "rate_high"))
            marks.append(f'<path d="M{low:.1f} {y + dy}H{high:.1f}" stroke="currentColor"/>')
            marks.append(f'<circle cx="{rate:.1f}" cy="{y + dy}" r="3.5" stroke="currentColor" fill="{fill}"/>')
    foot = 50 + len(order) * row
    ticks = "".join(
        f'<path d="M{left + scale * n} 38V{foot}" stroke="currentColor" opacity=".2"/>'
        f'<text x="{left + scale * n}" y="{foot + 16}" text-anchor="middle">{n}</text>'
        for n in range(0, 31, 5)
    )
    words = "Episodes led for 1000 person-years. Filled: the first five act. Open: none does."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {foot + 30}" font-family="sans-serif" '
        f'font-size="13" fill="currentColor" role="img"><title>{words}</title><style>{COLOURS}</style>'
        f'<text x="{left}" y="20">{words}</text>{ticks}{"".join(marks)}</svg>\n'
    )


def trial(path: Path, persons: int, seed: int, null: bool) -> Iterator[tuple[str, pl.DataFrame]]:
    """One cohort under each setting."""
    rng = random.Random(seed)
    drugs = controls(path, rng, null)
    tables, truth = cohort(persons, drugs, rng)
    for name, policy in SETTINGS.items():
        yield name, measured(tables, truth, drugs, policy)


def summary(title: str, found: Mapping[tuple[str, str], Sequence[float]]) -> str:
    """Markdown: the areas over all seeds."""
    lines = [f"| {title} | AUC of | median | least | greatest |", "| --- | --- | --- | --- | --- |"]
    for (name, figure), values in found.items():
        lines.append(f"| {name} | {figure} | {median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("controls", type=Path)
    parser.add_argument("--persons", type=lambda text: int(text.replace("_", "")), default=40_000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    shown: list[pl.DataFrame] = []
    for null, title in ((False, "positive controls act"), (True, "null")):
        found: dict[tuple[str, str], list[float]] = {}
        for seed in range(1, args.seeds + 1):
            for name, rows in trial(args.controls, args.persons, seed, null):
                if seed == 1:
                    shown += [rows] if name == "default" else []
                    print(f"\n{title}, {name}, seed 1\n\n{table(rows, null)}")
                for figure, area in areas(rows).items():
                    found.setdefault((name, figure), []).append(area)
        print(f"\n{summary(title, found)}")
    if args.picture:
        args.picture.write_text(picture(*shown), encoding="utf-8")


if __name__ == "__main__":
    main()
