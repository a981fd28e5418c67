"""Open episodes -> forecasts: after chemotherapy one person at a time, by a card or nadir days; the others as tables.

A person costs some eighty milliseconds of processor time, one whose next cycle lies ahead a hundred and fifty more, so
that persons are taken in batches, on all processors, and no more of them than the policy says. A source without such
persons pays one small query.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2 import col, lit, when

from leukopenia import contracts, forecasting
from leukopenia.contracts import Knowledge
from leukopenia.contracts.forecasted import CARD, NADIR_PRIOR, NONE
from leukopenia.engine import Engine, Frame
from leukopenia.errors import UsageError
from leukopenia.forecast import recovery
from leukopenia.forecast.model_card import why_not
from leukopenia.forecast.statuses import NOT_COUNTED
from leukopenia.forecast_records import AT_ONCE, HORIZON, Person, drugs_of, persons_of
from leukopenia.harmonising import Harmonised, polars_type
from leukopenia.policy import Policy

if TYPE_CHECKING:
    from leukopenia.forecast.daily import Daily
    from leukopenia.forecast.prediction import Forecast
    from leukopenia.forecast_case import Case

Row = dict[str, Any]
Progress = Callable[[str], None]

DAYS = recovery.HORIZON
DRAWS = 1000
STANDARD = "ctcae-5.0"
NO_CARD = "no verified card"
_DAY = 1440


@dataclass(frozen=True)
class Forecasts:
    """The tables of `leukopenia.contracts` by name."""

    forecasts: Frame
    forecast_markers: Frame
    forecast_scenarios: Frame
    scenario_markers: Frame


_BESIDE = (contracts.FORECAST_MARKERS, contracts.FORECAST_SCENARIOS, contracts.SCENARIO_MARKERS)
"""Tables that only cards and nadir days fill."""


@dataclass
class _ByCard:
    """What cards have given so far: rows by table, the episodes told, and why others were not."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    told: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


def later(make: Callable[[], Forecasts]) -> dict[str, Any]:
    """Each of the tables when it is asked for; all are made together, once."""
    made = cache(make)
    return {table.name: partial(lambda name: getattr(made(), name), table.name) for table in fields(Forecasts)}


def forecast(
    episodes: Frame,
    causes: Frame,
    limited: Frame,
    made: Harmonised,
    engine: Engine,
    knowledge: Knowledge,
    policy: Policy,
    as_of: int,
    progress: Progress,
) -> Forecasts:
    """Forecast every episode that is open on the day asked for.

    Parameters
    ----------
    episodes, causes : contracts.EPISODES, contracts.CAUSES
    limited : contracts.COUNTS with limit_low
    made : Harmonised
    as_of : int
        The minute the forecasts are made at.
    progress : callable
        Told how many persons are done.
    """
    progress("forecasts")
    # A low count after so long would be another episode: this one is open only because nobody looked again.
    watched = col("last_low") >= as_of - int(policy.number("gap.break_days")) * _DAY
    still_open = episodes.filter(col("state") == "open", watched)
    lost = episodes.filter(col("state") == "open", ~watched).with_columns(status=lit(NOT_COUNTED))
    found = _by_card(still_open, limited, made, engine, policy, as_of, progress)
    ids = polars_type(contracts.PATIENTS, "patient_id", _id_type(episodes))
    parts = [engine.load(_table(found.rows["forecasts"], contracts.FORECASTS, ids), "card_forecasts")]
    parts += [_others(still_open, found, causes, engine, knowledge, as_of), recovery.untold(lost, as_of)]
    beside = {table.name: engine.load(_table(found.rows[table.name], table, ids), table.name) for table in _BESIDE}
    return Forecasts(engine.materialise(nw.concat(parts), "forecasts"), **beside)


def _id_type(frame: Frame) -> type[pl.DataType]:
    return pl.Int64 if frame.collect_schema()["patient_id"] == nw.Int64 else pl.String


def _table(rows: Sequence[Row], table: contracts.Table, ids: type[pl.DataType]) -> pl.DataFrame:
    schema = {name: polars_type(table, name, ids) for name in table.names}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def _others(
    still_open: Frame, found: _ByCard, causes: Frame, engine: Engine, knowledge: Knowledge, as_of: int
) -> Frame:
    """Open episodes that no card told: by their causes; where these tell nothing either, why no card did."""
    rest = still_open
    if found.told:
        told = engine.load(pl.DataFrame({"episode_id": found.told}), "told")
        rest = still_open.join(told, on="episode_id", how="anti")
    recovers = engine.load(pl.DataFrame(recovery.rows(knowledge)), "recovers")
    days = engine.load(pl.DataFrame({"day": range(recovery.HORIZON + 1)}), "days")
    told_by_causes = recovery.recovery(rest, causes, recovers, days, as_of, engine.materialise)
    if not found.reasons:
        return told_by_causes
    why = pl.DataFrame(list(found.reasons.items()), schema=["episode_id", "why"], orient="row")
    joined = told_by_causes.join(engine.load(why, "reasons"), on="episode_id", how="left")
    unsaid = (col("basis") == NONE) & ~col("why").is_null()
    status = when(unsaid).then(col("why")).otherwise(col("status"))
    return joined.with_columns(status=status).select(*contracts.FORECASTS.names)


def _by_card(
    still_open: Frame, limited: Frame, made: Harmonised, engine: Engine, policy: Policy, as_of: int, progress: Progress
) -> _ByCard:
    found = _ByCard()
    rows = engine.collect(_with_card(still_open, made.exposures, as_of)).sort("nadir", "episode_id")
    most = int(policy.number("forecast.persons"))
    chosen = rows["patient_id"].unique(maintain_order=True)
    left_out = rows.filter(pl.col("patient_id").is_in(chosen[most:].implode()))
    found.reasons |= dict.fromkeys(left_out["episode_id"], f"left out: more than {most} persons after chemotherapy")
    chosen = chosen[:most]
    for first in range(0, len(chosen), AT_ONCE):
        progress(f"forecasts, {first} of {len(chosen)} persons")
        batch = rows.filter(pl.col("patient_id").is_in(chosen[first : first + AT_ONCE].implode()))
        _tell(batch, limited, made, engine, policy, as_of, found)
    return found


def _with_card(still_open: Frame, exposures: Frame, as_of: int) -> Frame:
    """Open episodes of persons who lately got chemotherapy, of lines that a card may tell."""
    usable = [card for card in forecasting.cards().values() if not why_not(card)]
    given = exposures.filter(
        col("ingredient").is_in(sorted(drugs_of("chemotherapy") | {f"drug:{card.drug}" for card in usable})),
        col("status") != "ordered",
        col("start") <= as_of,
        col("end") >= as_of - HORIZON * _DAY,
    )
    lines = still_open.filter(col("analyte").is_in(sorted({card.analyte for card in usable})))
    persons = given.select("patient_id").unique()
    return lines.join(persons, on="patient_id", how="semi").select("episode_id", "patient_id", "analyte", "nadir")


def _tell(
    batch: pl.DataFrame, limited: Frame, made: Harmonised, engine: Engine, policy: Policy, as_of: int, found: _ByCard
) -> None:
    """Tell the episodes of a batch of persons, on all processors; the kernels free the lock."""
    ids = batch.select("patient_id").unique()
    persons = {person.patient_id: person for person in persons_of(ids, limited, made, engine, policy, as_of)}
    work = [(row, persons[str(row["patient_id"])]) for row in batch.to_dicts() if str(row["patient_id"]) in persons]

    def tell(one: tuple[Row, Person]) -> Mapping[str, list[Row]] | str:
        return _episode(*one, policy)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for (row, _), told in zip(work, pool.map(tell, work), strict=True):
            if isinstance(told, str):
                found.reasons[row["episode_id"]] = told
            else:
                found.told.append(row["episode_id"])
                for name, rows in told.items():
                    found.rows[name] += rows


def _episode(episode: Row, person: Person, policy: Policy) -> Mapping[str, list[Row]] | str:
    """The rows of an episode by table, or why there are none."""
    from leukopenia.forecast_case import Asked, case

    try:
        found = case(person, Asked(analyte=episode["analyte"]), policy)
    except UsageError as error:
        return ": ".join(part.rstrip(".") for part in (error.problem, error.found) if part)
    if not found.cards:
        return NO_CARD
    days = _days(found)
    return _rows(episode, found, days) if days else "the days that a forecast reaches have passed"


def _days(found: Case) -> list[int]:
    """The days after the one asked for that the forecast reaches; a later dose is not known."""
    left = ((found.day_0 or 0) - found.person.as_of) / _DAY + HORIZON
    return list(range(min(DAYS, math.floor(left)) + 1))


def _rows(episode: Row, found: Case, days: Sequence[int]) -> Mapping[str, list[Row]]:
    import numpy as np

    from leukopenia import forecast_scenarios
    from leukopenia.forecast import prediction
    from leukopenia.forecast.daily import daily
    from leukopenia.forecast_case import inputs

    given = inputs(found)
    asked = given.hours(found.person.as_of) + 24.0 * np.array(days)
    points = prediction.grid(given.since, HORIZON)
    times = np.union1d(points, asked)
    levels = forecasting.levels(found.analyte, STANDARD)
    fitted = prediction.fit(
        given.counts, given.regimen, found.cards, times, draws=DRAWS, threads=1, unverified=found.prior
    )
    shape = fitted.at(np.isin(times, points))
    told = prediction.described(shape, points, given.since, levels, found.cards, given.regimen)
    common = _common(episode, found, told)
    if told.status == prediction.NO_FIT:
        return {"forecasts": [common | {"day": 0, "minute": found.person.as_of}]}
    each = daily(fitted.curves, times, given.since, asked, levels, _limit(found))
    ahead, ahead_markers = forecast_scenarios.standing(found, given, fitted, told.status)
    place = {name: episode[name] for name in ("episode_id", "patient_id")}
    return {
        "forecasts": list(_daily_rows(common, each, found.person.as_of, days)),
        "forecast_markers": list(_marker_rows(place, found, told)),
        "forecast_scenarios": [place | row for row in ahead],
        "scenario_markers": [place | row for row in ahead_markers],
    }


def _common(episode: Row, found: Case, told: Forecast) -> Row:
    return {
        **{name: episode[name] for name in ("episode_id", "patient_id", "analyte")},
        "basis": NADIR_PRIOR if found.prior else CARD,
        "status": told.status,
        "rests_on": ";".join(told.cards),
        "source_id": ";".join(told.sources),
        "outside": "; ".join(found.outside),
    }


def _limit(found: Case) -> float | None:
    """The lower limit in force at the newest count of the line."""
    limits = [row["limit_low"] for row in found.person.counts if row["analyte"] == found.analyte]
    return next((float(limit) for limit in reversed(limits) if limit is not None), None)


def _daily_rows(common: Row, each: Daily, as_of: int, days: Sequence[int]) -> Iterator[Row]:
    low, middle_low, median, middle_high, high = each.band
    for n, day in enumerate(days):
        values = {
            "median": median[n],
            "low": low[n],
            "high": high[n],
            "middle_low": middle_low[n],
            "middle_high": middle_high[n],
            **{f"p_grade_{grade}": chance[n] for grade, chance in each.grades.items()},
            "p_recovered": each.recovered[n],
        }
        yield common | {"day": day, "minute": as_of + day * _DAY} | _known(values)


def _marker_rows(place: Row, found: Case, told: Forecast) -> Iterator[Row]:
    for name, marker in told.markers.items():
        values = {part: getattr(marker, part) for part in ("low", "median", "high", "probability")}
        yield place | {"day_0": found.day_0, "marker": name} | _known(values)


def _known(values: Mapping[str, float]) -> Row:
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}
