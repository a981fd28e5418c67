"""The pictures of a forecast on a person's page: a course of counts to come, or the probability of recovery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from leukopenia.report import svg
from leukopenia.report.panels import BAND_STANDARD, shape
from leukopenia.report.scenario_picture import dashed
from leukopenia.report.svg import Axis
from leukopenia.report.words import result, when

Row = Mapping[str, Any]

DAY = 1440
BEFORE = 14 * DAY
"""So much of the past is drawn, and from the first dose on in any case."""

_WIDTH, _HEIGHT = 760.0, 250.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 742.0, 22.0, 214.0
_BESIDE = 590.0
"""Where the plot ends when the names of scenarios stand beside it."""


def course(
    days: Sequence[Row],
    counts: Sequence[Row],
    day_0: int | None,
    bands: Sequence[Row],
    key: str,
    scenarios: Sequence[Sequence[Row]] = (),
) -> Markup:
    """Counts measured, then median and bands of those to come, over the grades; medians under each scenario.

    Parameters
    ----------
    days : sequence of rows of contracts.FORECASTS
        Of one episode, ascending, with a curve.
    counts : sequence of rows of contracts.COUNTS
        Of the same line, up to the first of the days.
    day_0 : int or None
        Minute of the first dose.
    bands : sequence of rows
        analyte, standard, grade, below.
    key : str
        Prefix of the ids, unique on the page.
    scenarios : sequence of sequences of rows of contracts.FORECAST_SCENARIOS
        The days of each, ascending.
    """
    first = days[0]["minute"] - BEFORE
    last, right = _last(days, day_0, scenarios), _BESIDE if scenarios else _RIGHT
    x = Axis(min(first, first if day_0 is None else day_0 - DAY), last, _LEFT, right)
    seen = [row for row in counts if x.low <= row["minute"] <= days[0]["minute"]]
    y = svg.count_axis(max([row["high"] for row in days] + [row["value"] for row in seen]), _TOP, _BOTTOM)
    mine = [band for band in bands if band["analyte"] == days[0]["analyte"] and band["standard"] == BAND_STANDARD]
    body = [*_grades(mine, x, y), *_frame(x, svg.spaced(svg.COUNT_TICKS, y, 14), y, "10⁹/L"), *_asked(days[0], x)]
    if day_0 is not None and day_0 >= x.low:
        body.append(svg.path(f"M{x.at(day_0):g} {_TOP:g}l-4.5-9h9z", "drug d-chemo", f"first dose {when(day_0)}"))
    body += _bands(days, x, y)
    body += _scenarios(scenarios, x, y)
    body += [_count(row, x, y) for row in seen]
    end = days[-1]
    told = (
        f"{len(seen)} counts. On {when(end['minute'], 'day')} the median is {end['median']:.2f}, "
        f"90 % between {end['low']:.2f} and {end['high']:.2f} x 10^9/L."
    )
    return _whole(body, "Counts to come", " ".join([told, *map(_lowest, scenarios)]), key)


def _last(days: Sequence[Row], day_0: int | None, scenarios: Sequence[Sequence[Row]]) -> int:
    """The end of the forecast, or of the next cycle under the latest scenario: as long as the last one."""
    doses = [rows[0]["next_dose"] for rows in scenarios]
    ends = [] if day_0 is None or not doses else [max(doses) + min(doses) - day_0]
    return int(max(days[-1]["minute"], *ends)) if ends else int(days[-1]["minute"])


def _lowest(rows: Sequence[Row]) -> str:
    low = min(rows, key=lambda row: float(row["median"]))
    return f"{rows[0]['scenario']}: lowest median {low['median']:.2f} on {when(low['minute'], 'day')}."


def recovery(days: Sequence[Row], key: str) -> Markup:
    """The probability of recovery by each day; hatched, what causes of unpublished recovery may add."""
    x = Axis(days[0]["minute"], days[-1]["minute"], _LEFT, _RIGHT)
    y = Axis(0.0, 1.0, _BOTTOM, _TOP)
    known = [(x.at(row["minute"]), row["p_recovered"]) for row in days]
    upper = [(at, min(p + (row["unknown_share"] or 0.0), 1.0)) for (at, p), row in zip(known, days, strict=True)]
    there = _line([(at, y.at(p)) for at, p in upper])
    back = _line([(at, y.at(p)) for at, p in reversed(known)])
    body = [
        *_frame(x, [0, 0.25, 0.5, 0.75, 1], y, "recovered"),
        svg.path(f"M{there}L{back}Z", "gap"),
        svg.path(f"M{_line([(at, y.at(p)) for at, p in known])}", "ahead-median"),
    ]
    last = days[-1]
    told = (
        f"By {when(last['minute'], 'day')} recovered with a probability of at least {last['p_recovered']:.0%}, "
        f"at most {upper[-1][1]:.0%}."
    )
    return _whole(body, "Probability of recovery", told, key)


def _whole(body: Sequence[str], title: str, told: str, key: str) -> Markup:
    # Every text in it went through `safe`.
    return Markup(svg.figure(_WIDTH, _HEIGHT, "".join(body), title, told, key))


def _frame(x: Axis, ticks: Sequence[float], y: Axis, unit: str) -> Iterator[str]:
    yield svg.box(_LEFT, _TOP, x.end - _LEFT, _BOTTOM - _TOP, "plot")
    yield svg.label(2, _TOP - 8, unit, "tick")
    for tick in ticks:
        text = f"{tick:.0%}" if unit == "recovered" else f"{tick:g}"
        yield svg.label(_LEFT - 6, y.at(tick) + 3.5, text, "tick", "end")
    for minute, text in svg.time_ticks(int(x.low), int(x.high)):
        yield svg.upright(x.at(minute), _BOTTOM, _BOTTOM + 4, "plot")
        yield svg.label(x.at(minute), _BOTTOM + 17, text, "tick", "middle")


def _grades(bands: Sequence[Row], x: Axis, y: Axis) -> Iterator[str]:
    floor = 0.0
    for band in sorted((one for one in bands if one["below"] is not None), key=lambda one: -one["grade"]):
        top, bottom = y.at(band["below"]), y.at(floor)
        yield svg.box(_LEFT, top, x.end - _LEFT, bottom - top, f"band g{band['grade']}")
        if bottom - top > 9:
            yield svg.label(_LEFT + 5, (top + bottom) / 2 + 3.5, f"grade {band['grade']}", "band-label")
        floor = band["below"]


def _asked(first: Row, x: Axis) -> Iterator[str]:
    yield svg.upright(x.at(first["minute"]), _TOP, _BOTTOM, "ahead-from")
    yield svg.label(x.at(first["minute"]), _TOP - 8, f"from here on: forecast, {when(first['minute'], 'day')}", "tick")


def _bands(days: Sequence[Row], x: Axis, y: Axis) -> Iterator[str]:
    for low, high, css in (("low", "high", "ahead-wide"), ("middle_low", "middle_high", "ahead-half")):
        if days[0][low] is not None and days[0][high] is not None:
            there = _line([(x.at(row["minute"]), y.at(row[high])) for row in days])
            back = _line([(x.at(row["minute"]), y.at(row[low])) for row in reversed(days)])
            yield svg.path(f"M{there}L{back}Z", css)
    yield svg.path(f"M{_line([(x.at(row['minute']), y.at(row['median'])) for row in days])}", "ahead-median")


def _scenarios(scenarios: Sequence[Sequence[Row]], x: Axis, y: Axis) -> Iterator[str]:
    """A line for each from its dose on, with its name where it ends."""
    if not scenarios:
        return
    yield from _next_doses(scenarios, x)
    places = [[(x.at(row["minute"]), y.at(row["median"])) for row in _within(rows, x)] for rows in scenarios]
    for n, (rows, place) in enumerate(zip(scenarios, places, strict=True)):
        yield dashed(svg.path(f"M{_line(place)}", f"scenario s{n}", rows[0]["scenario"]), n)
    ends = svg.spread([place[-1][1] for place in places], 15, _BOTTOM)
    for n, (rows, up) in enumerate(zip(scenarios, ends, strict=True)):
        yield dashed(svg.path(f"M{x.end + 5:g} {up:g}h22", f"scenario s{n}"), n)
        yield svg.label(x.end + 31, up + 3.5, rows[0]["scenario"], "tick")


def _within(rows: Sequence[Row], x: Axis) -> list[Row]:
    return [row for row in rows if row["minute"] <= x.high]


def _next_doses(scenarios: Sequence[Sequence[Row]], x: Axis) -> Iterator[str]:
    doses = sorted({rows[0]["next_dose"] for rows in scenarios})
    for dose in doses:
        names = "; ".join(rows[0]["scenario"] for rows in scenarios if rows[0]["next_dose"] == dose)
        yield svg.path(f"M{x.at(dose):g} {_TOP:g}l-4.5 9h9z", "drug d-chemo next-dose", f"{when(dose)}: {names}")
    yield svg.label(x.at(doses[0]) - 7, _TOP + 10, "next dose", "tick", "end")


def _count(row: Row, x: Axis, y: Axis) -> str:
    return svg.mark(
        x.at(row["minute"]), y.at(row["value"]), shape(dict(row)), "mark", f"{when(row['minute'])}: {result(row)}"
    )


def _line(places: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{across:g} {up:g}" for across, up in places)
