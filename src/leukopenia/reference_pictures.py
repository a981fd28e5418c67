"""From estimated limits to drawings and to the page that sets them beside the published ones."""

from __future__ import annotations

import math

from leukopenia import knowledge
from leukopenia.contracts import Knowledge
from leukopenia.errors import UsageError
from leukopenia.reference_curves import Curves
from leukopenia.reference_limits import Published, compared, published
from leukopenia.references import Estimated, Limits
from leukopenia.report import reference_page
from leukopenia.report.reference_page import Light, Stratum
from leukopenia.report.reference_plots import (
    Against,
    AgeCurves,
    Histogram,
    Verification,
    age_chart,
    histogram,
    stacked,
    verification,
)
from leukopenia.report.words import ANALYTES

MOST_DRAWN = 12
"""Strata in one drawing."""

Interval = tuple[float, float]


def name_of(one: Limits | Curves) -> str:
    """Analyte and stratum in words."""
    ages = one.age_words if isinstance(one, Limits) else ""
    return ", ".join(filter(None, (ANALYTES.get(one.analyte, one.analyte), *map(str, one.strata.values()), ages)))


def chart(one: Curves, place: int, confidence: float) -> str:
    """Percentiles by age of one stratum."""
    band = (one.band[:, 0], one.band[:, 1])
    shown = AgeCurves(name_of(one), one.unit, one.ages, one.percentiles, band, confidence)
    return age_chart(shown, f"a{place}")


def drawing(found: Estimated, target: Interval | None = None) -> str:
    """Percentiles by age, or the histogram of each stratum and below it its limits against a target; one SVG file.

    Raises
    ------
    UsageError
        More strata than can be looked at.
    """
    shown = [one for one in found.limits if one.cells is not None]
    if max(len(shown), len(found.curves)) > MOST_DRAWN:
        raise UsageError(
            f"{max(len(shown), len(found.curves))} strata are too many for one drawing.",
            f"At most {MOST_DRAWN}.",
            "Choose with --analyte, part less, or write a page with --report.",
        )
    made = [(name_of(one), chart(one, place, found.limits[0].confidence)) for place, one in enumerate(found.curves)]
    for place, one in enumerate(shown):
        made.append((f"{name_of(one)}: {one.n:,.0f} results, {one.method}", histogram(as_histogram(one), f"h{place}")))
        if target is not None and not one.refused:
            words = f"Against {target[0]:g} to {target[1]:g}, with the permissible uncertainty of both"
            made.append((words, verification(as_verification(one, target), f"v{place}")))
    return stacked(made)


def as_histogram(one: Limits) -> Histogram:
    """What a histogram shows of one stratum that has cells."""
    cells = one.cells
    assert cells is not None
    triples = zip(one.percentiles, one.limits, one.intervals, strict=True)
    limits = [(float(p), float(limit), (float(ends[0]), float(ends[1]))) for p, limit, ends in triples]
    kept = [row for row in limits if math.isfinite(row[1])]
    return Histogram(name_of(one), one.unit, one.n, cells.edges, cells.counts, cells.expected, kept, one.confidence)


def as_verification(one: Limits, target: Interval) -> Verification:
    """Both limits against a target."""
    rows = [
        Against(side, light.colour, light.limit, light.limit_range, light.target, light.target_range)
        for side, light in zip(("lower", "upper"), compared(one, target), strict=True)
    ]
    return Verification(name_of(one), one.unit, rows)


def page(found: Estimated, source: str, target: Interval | None = None) -> str:
    """The page of all strata beside the published intervals, as HTML.

    Parameters
    ----------
    found : Estimated
    source : str
        Name of the file, for the heading.
    target : (float, float), optional
        An interval to compare with.
    """
    rows = knowledge.load()
    strata = [_stratum(one, rows, target, place) for place, one in enumerate(found.limits)]
    return reference_page.render(
        strata,
        source=source,
        confidence=found.limits[0].confidence,
        aside=[(one.words, one.n) for one in found.counted.aside],
        inferred=found.counted.inferred,
        target=target,
        citations={name: knowledge.citation(name) for name in knowledge.references()},
        version=knowledge.version(),
        charts=[
            (name_of(one), chart(one, place, found.limits[0].confidence)) for place, one in enumerate(found.curves)
        ],
    )


def _stratum(one: Limits, rows: Knowledge, target: Interval | None, place: int) -> Stratum:
    drawn = place < reference_page.MOST_SHOWN and one.cells is not None
    held = target is not None and not one.refused
    return Stratum(
        name=name_of(one),
        unit=one.unit,
        n=one.n,
        censored=one.censored,
        method=one.method,
        healthy=one.healthy_fraction,
        lower=(one.lower, one.lower_interval),
        upper=(one.upper, one.upper_interval),
        refused=one.refused,
        verdict=one.verdict,
        histogram=histogram(as_histogram(one), f"h{place}") if drawn else "",
        against=verification(as_verification(one, target), f"v{place}")
        if target is not None and held and drawn
        else "",
        published=[_light(row) for row in published(one, rows)] if place < reference_page.MOST_SHOWN else [],
        of_adults=one.ages is None,
    )


def _light(row: Published) -> Light:
    given = row.row
    return Light(
        interval_id=given["interval_id"],
        low=given["low"],
        high=given["high"],
        sex=given["sex"],
        context=given["context"].replace("_", " "),
        population=given["population"],
        percentiles=given["percentiles"],
        n=given["n"],
        note=given["note"],
        source_id=given["source_id"],
        in_force=row.in_force,
        lower=row.lower.colour,
        upper=row.upper.colour,
    )
