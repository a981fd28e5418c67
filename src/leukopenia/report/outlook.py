"""The question when: for each open episode what the counts may do next, in words, numbers and a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup

from leukopenia.report.facts import Explanation, Record, Row
from leukopenia.report.outlook_picture import course, recovery
from leukopenia.report.why import Words, percent, split
from leukopenia.report.words import ANALYTES, SEVERITIES, comparator, day, number

RESEARCH = "Research use only: it supports a professional's judgement and is no order."
DAY = 1440
_TOLD_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 28, 35, 42)
_BY_CAUSES = "causes"
_MOSTLY_UNKNOWN = 0.9
"""Share of the probability without a published recovery above which a curve would show nothing."""

_READY = (("1.0", (3, 4)), ("1.5", (2, 3, 4)))
"""A count at or above a cut-off of CTCAE 5.0 is one that has none of these grades."""

_BASES = {
    "card": "a model of the drug, fitted to this person's counts",
    "nadir prior": (
        "nadir days published for the drug or its class, not a model of it: the depth is assumed until counts tell"
    ),
    "causes": "the usual recovery from the causes named above, weighed by their probabilities",
}


@dataclass(frozen=True)
class Ahead:
    """A day in the table of a forecast."""

    when: str
    after: int
    cells: list[str]


@dataclass(frozen=True)
class Way:
    """A way of giving the next cycle in the table of scenarios."""

    name: str
    dose: str
    cells: list[str]


@dataclass(frozen=True)
class Outlook:
    """All that is printed of the forecast of one episode."""

    heading: str
    summary: str
    basis: str
    warnings: list[str]
    statements: list[str]
    drawing: Markup | None
    columns: list[str]
    days: list[Ahead]
    source_ids: str
    way_columns: list[str]
    ways: list[Way]


@dataclass(frozen=True)
class Untold:
    """An open episode without a forecast, and why."""

    heading: str
    why: str


def outlooks(record: Record, words: Words, bands: list[dict[str, Any]], key: str) -> tuple[list[Outlook], list[Untold]]:
    """The open episodes of a person: those with a forecast, the most severe first, and those without.

    Parameters
    ----------
    record : Record
        The rows of one person.
    words : Words
        Names the causes.
    bands : list of rows
        Grades, drawn behind the counts.
    key : str
        Prefix of the ids in the SVG, unique on the page; not taken from data.
    """
    told, untold = [], []
    for n, episode in enumerate(sorted(record.episodes, key=_urgency)):
        found = record.explained[episode["episode_id"]]
        if not found.forecasts:
            continue
        if why := _why_not(found.forecasts):
            untold.append(Untold(_heading(episode), why))
        else:
            told.append(_outlook(episode, found, record, words, bands, f"{key}-o{n}"))
    return told, untold


def _why_not(days: list[Row]) -> str:
    """Why there is nothing to show; empty where there is."""
    if all(row["median"] is None and row["p_recovered"] is None for row in days):
        return str(days[0]["status"])
    unknown = days[0]["unknown_share"] or 0.0
    if unknown > _MOSTLY_UNKNOWN:
        return f"for {percent(unknown)} of the probability it is not known how long recovery takes"
    return ""


def _urgency(episode: Row) -> tuple[int, float]:
    return SEVERITIES.index(episode["severity"] if episode["severity"] in SEVERITIES else ""), episode["nadir"]


def _heading(episode: Row) -> str:
    nadir = f"{comparator(episode['nadir_comparator'])}{number(episode['nadir'])}"
    return f"Low {ANALYTES.get(episode['analyte'], episode['analyte'])} from {day(episode['onset'])}, lowest {nadir}"


def _outlook(
    episode: Row, found: Explanation, record: Record, words: Words, bands: list[dict[str, Any]], key: str
) -> Outlook:
    days = found.forecasts
    markers = {row["marker"]: row for row in found.forecast_markers}
    curve = all(row["median"] is not None for row in days)
    counts = [row for row in record.counts if row["analyte"] == episode["analyte"]]
    day_0 = next((row["day_0"] for row in found.forecast_markers), None)
    scenarios = _scenarios(found)
    drawing = course(days, counts, day_0, bands, key, list(scenarios.values())) if curve else None
    if drawing is None and all(row["p_recovered"] is not None for row in days) and len(days) > 1:
        drawing = recovery(days, key)
    columns, table = _table(days, curve)
    sources = ";".join(dict.fromkeys(one for row in days for one in split(row["source_id"])))
    return Outlook(
        _heading(episode),
        _summary(days, markers, episode["analyte"]),
        _BASES[days[0]["basis"]],
        list(_warnings(days[0])),
        [*_marked(markers), *_causes(days, found, words)],
        drawing,
        columns,
        table,
        sources,
        *_ways(found, scenarios),
    )


def _scenarios(found: Explanation) -> dict[str, list[Row]]:
    """The days of each scenario, the one in which nothing changes first."""
    ordered = sorted(
        found.forecast_scenarios, key=lambda row: (row["delay_days"], -row["dose_percent"], row["scenario"], row["day"])
    )
    return {name: list(rows) for name, rows in groupby(ordered, key=lambda row: row["scenario"])}


def _ways(found: Explanation, scenarios: Mapping[str, list[Row]]) -> tuple[list[str], list[Way]]:
    """The scenarios as a table."""
    marked = {(row["scenario"], row["marker"]): row | {"day_0": row["next_dose"]} for row in found.scenario_markers}
    below = next(iter(sorted(name for _, name in marked if name.startswith("days_below_"))), "")
    columns = ["nadir", "nadir on", f"days below {below.rpartition('_')[2]}", "grade 4 in that cycle"]
    names = ("nadir", "nadir_day", below, "time_to_grade_4")
    made = [
        Way(name, day(rows[0]["next_dose"]), list(_way(*(marked[name, one] for one in names))))
        for name, rows in scenarios.items()
    ]
    return columns, made


def _way(nadir: Row, nadir_day: Row, below: Row, worst: Row) -> Iterator[str]:
    low, middle, high = (number(_rounded(nadir[part])) for part in ("low", "median", "high"))
    yield f"{middle} ({low} to {high})"
    middle, low, high = (f"{nadir_day[part]:.0f}" for part in ("median", "low", "high"))
    yield f"{_date(nadir_day)}, day {middle} ({low} to {high})"
    yield f"{below['median']:.0f} ({below['low']:.0f} to {below['high']:.0f})"
    yield percent(worst["probability"])


def _warnings(first: Row) -> Iterator[str]:
    """What must be read before any number."""
    if first["status"] != "forecast":
        yield first["status"]
    if first["outside"]:
        yield f"not in the model: {first['outside']}"


def _summary(days: list[Row], markers: dict[str, Row], analyte: str) -> str:
    """The forecast in a line."""
    parts = []
    nadir = markers.get("nadir_day")
    if nadir and nadir["median"] is not None:
        parts.append(f"nadir about {_date(nadir)}, {number(_rounded(markers['nadir']['median']))}")
    back = markers.get("recovery_to_1.5") or markers.get("time_to_baseline")
    if analyte == "neutrophils" and back and back["median"] is not None:
        parts.append(f"back at 1.5 about {_date(back)}")
    last = days[-1]
    if not parts and last["p_recovered"] is not None:
        parts.append(f"recovered by {day(last['minute'])}: {_least(last)}")
    return ", ".join(parts) or "see below"


def _least(row: Row) -> str:
    bound = "at least " if row["unknown_share"] else ""
    return f"{bound}{percent(row['p_recovered'])}"


def _date(marker: Row, part: str = "median") -> str:
    return day(round(marker["day_0"] + marker[part] * DAY))


def _span(marker: Row) -> str:
    return f"{_date(marker)} ({_date(marker, 'low')} to {_date(marker, 'high')})"


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def _marked(markers: dict[str, Row]) -> Iterator[str]:
    """The markers in words; in brackets 90 % intervals."""
    nadir, lowest = markers.get("nadir_day"), markers.get("nadir")
    if nadir and lowest and nadir["median"] is not None:
        low, middle, high = (number(_rounded(lowest[part])) for part in ("low", "median", "high"))
        yield f"Nadir: {_span(nadir)}, {middle} ({low} to {high}) × 10⁹/L"
    worst = markers.get("time_to_grade_4")
    if worst:
        yield f"Grade 4 at some time of this cycle: probability {percent(worst['probability'])}"
    for name in sorted(name for name in markers if name.startswith("days_below_")):
        if markers[name]["median"] is not None:
            low, middle, high = (f"{markers[name][part]:.0f}" for part in ("low", "median", "high"))
            yield f"Days below {name.rpartition('_')[2]}: {middle} ({low} to {high})"
    for name, text in (
        *((name, f"Back at {name.rpartition('_')[2]}") for name in sorted(markers) if name.startswith("recovery_to_")),
        ("time_to_baseline", "Back at the level before"),
    ):
        if name in markers:
            yield f"{text}: {_when(markers[name])}"


def _when(marker: Row) -> str:
    if marker["median"] is None:
        return "not in the days looked at, or never below"
    often = "" if marker["probability"] > 0.99 else f"; probability {percent(marker['probability'])}"
    return f"{_span(marker)}{often}"


def _causes(days: list[Row], found: Explanation, words: Words) -> Iterator[str]:
    """On which causes the recovery rests, and how much is unknown."""
    if days[0]["basis"] != _BY_CAUSES:
        return
    named = {row["cause_id"]: row for row in found.causes}
    shares = [
        f"{words.name(one)} {percent(named[one]['probability'])}" for one in split(days[0]["rests_on"]) if one in named
    ]
    if shares:
        yield f"Rests on: {', '.join(shares)}"
    if days[0]["unknown_share"]:
        yield (
            f"For {percent(days[0]['unknown_share'])} of the probability it is not known how long recovery takes: "
            "the curve is the least it can be, the hatched part what may come on top"
        )


def _table(days: list[Row], curve: bool) -> tuple[list[str], list[Ahead]]:
    """Some of the days as a table."""
    shown = [row for row in days if row["day"] in _TOLD_DAYS]
    graded = curve and all(days[0][f"p_grade_{n}"] is not None for n in (2, 3, 4))
    columns = [
        *(["count", "90 %"] if curve else []),
        *(["grade 4", *(f"at least {level}" for level, _ in _READY)] if graded else []),
        *(["recovered"] if days[0]["p_recovered"] is not None else []),
    ]
    return columns, [Ahead(day(row["minute"]), row["day"], list(_cells(row, curve, graded))) for row in shown]


def _cells(row: Row, curve: bool, graded: bool) -> Iterator[str]:
    if curve:
        yield f"{row['median']:.2f}"
        yield f"{row['low']:.2f} to {row['high']:.2f}"
    if graded:
        yield percent(row["p_grade_4"])
        yield from (percent(_none_of(row, grades)) for _, grades in _READY)
    if row["p_recovered"] is not None:
        yield _least(row)


def _none_of(row: Row, grades: Iterable[int]) -> float:
    return max(1.0 - sum(row[f"p_grade_{grade}"] for grade in grades), 0.0)
