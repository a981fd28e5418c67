"""The page "your limits against the published ones": one file, no script, nothing from outside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from leukopenia.report.page import Footnotes, environment
from leukopenia.report.reference_plots import number

MOST_SHOWN = 50
"""Strata with a drawing and a table of their own."""

Limit = tuple[float, tuple[float, float]]


@dataclass(frozen=True)
class Light:
    """A published interval, and how each estimated limit compares with it (green, yellow, red; empty: not defined)."""

    interval_id: str
    low: str
    high: str
    sex: str
    context: str
    population: str
    percentiles: str
    n: str
    note: str
    source_id: str
    in_force: bool
    lower: str
    upper: str


@dataclass(frozen=True)
class Stratum:
    """One stratum as the page shows it; a limit is its value with its interval, NaN where there is none."""

    name: str
    unit: str
    n: float
    censored: float
    method: str
    healthy: float
    lower: Limit
    upper: Limit
    refused: bool
    verdict: str
    histogram: str
    against: str
    of_adults: bool
    published: Sequence[Light] = field(default_factory=tuple)

    @property
    def drawing(self) -> Markup:
        """Own markup; every text from data inside it went through `safe`."""
        return Markup(self.histogram)

    @property
    def held_against(self) -> Markup:
        """As `drawing`."""
        return Markup(self.against)

    @property
    def span(self) -> str:
        """The lowest and the highest of the published lower limits of people in general."""
        lows = [float(light.low) for light in self.published if light.low and light.context == "general"]
        if not lows:
            return "none"
        return number(min(lows)) if min(lows) == max(lows) else f"{number(min(lows))} to {number(max(lows))}"

    @property
    def in_force(self) -> str:
        """The published lower limit that is used where the laboratory gives none, for people in general."""
        return ", ".join(
            number(float(one.low)) for one in self.published if one.in_force and one.context == "general" and one.low
        )


def render(
    strata: Sequence[Stratum],
    *,
    source: str,
    confidence: float,
    aside: Sequence[tuple[str, int]],
    inferred: Mapping[str, str],
    target: tuple[float, float] | None,
    citations: Mapping[str, str],
    version: str,
    charts: Sequence[tuple[str, str]] = (),
) -> str:
    """The page as HTML.

    Parameters
    ----------
    strata : sequence of Stratum
    source : str
        Name of the file.
    confidence : float
        Of the intervals.
    aside : sequence of (str, int)
        What was held back, in words, and how many results.
    inferred : mapping of str to str
        Analytes whose unit was inferred.
    target : (float, float), optional
        The interval of `--against`.
    citations : mapping of str to str
        By source_id.
    version : str
        Of the knowledge tables.
    charts : sequence of (str, str)
        Names and drawings of percentiles by age; where there are any, the strata are bands of age and stand in the
        table alone.
    """
    return (
        environment()
        .get_template("reference.html.j2")
        .render(
            strata=strata,
            shown=() if charts else strata[:MOST_SHOWN],
            source=source,
            unit=_shared_unit(strata),
            confidence=f"{confidence:.0%}",
            aside=aside,
            inferred=inferred,
            target=None if target is None else f"{target[0]:g} to {target[1]:g}",
            footnotes=Footnotes(citations),
            version=version,
            charts=[(name, Markup(drawn)) for name, drawn in charts],
            limit=_limit,
            share=lambda value: f"{value:.0%}" if math.isfinite(value) else "",
        )
    )


def _shared_unit(strata: Sequence[Stratum]) -> str:
    """The unit of all strata; empty where they differ."""
    units = {one.unit for one in strata}
    return units.pop().replace("10^9", "10⁹") if len(units) == 1 else ""


def _limit(limit: Limit) -> str:
    value, (low, high) = limit
    if not math.isfinite(value):
        return ""
    ends = " to ".join(number(end) if math.isfinite(end) else "?" for end in (low, high))
    return f"{number(value)} ({ends})"
