"""Records of one person -> what a forecast asks for: counts, doses, what else was given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2 import col

from leukopenia import api, knowledge, monitoring
from leukopenia.engine import Engine, Frame
from leukopenia.errors import UsageError
from leukopenia.harmonising import Harmonised
from leukopenia.policy import Policy
from leukopenia.regimen_file import Dose

Row = dict[str, Any]

DAY = 1440
HORIZON = 40
"""Days from the first dose of the cycle; as `leukopenia.forecast.prediction.predict`."""

ANALYTES = ("neutrophils", "wbc")
_LONGEST_INFUSION = DAY
AT_ONCE = 500
"""Persons whose records are in memory at the same time."""


@dataclass(frozen=True)
class Person:
    """The records of one person up to a minute, in the order of time.

    Attributes
    ----------
    sex : str
        male, female, other, unknown.
    counts : sequence of rows of contracts.COUNTS
        Neutrophils and white cells.
    exposures : sequence of rows of contracts.EXPOSURES
        Each administration by itself; only drugs of the groups chemotherapy and g_csf, and of one person alone those
        of hazards.csv.
    as_of : int
        The minute the question is asked for.
    """

    patient_id: str
    sex: str
    counts: Sequence[Row]
    exposures: Sequence[Row]
    as_of: int

    def given(self, group: str) -> list[Row]:
        """The exposures to drugs of a group that somebody gave, handed over or told of; not mere orders."""
        members = drugs_of(group)
        return [row for row in self.exposures if row["ingredient"] in members and row["status"] != "ordered"]


def drugs_of(group: str) -> set[str]:
    """The ingredient ids of a group of ingredients.csv."""
    return {row["id"] for row in knowledge.load()["ingredients"] if group in row["groups"].split(";")}


def read_person(
    sources: Sequence[Path],
    patient: str,
    policy: Policy,
    *,
    engine: str = "duckdb",
    progress: Callable[[str], None] = lambda stage: None,
    site_map: str = "",
    format: str = "",
    mapping: Mapping[str, Any] | None = None,
) -> Person:
    """Read the records of one person.

    Parameters
    ----------
    sources : sequence of Path
        Whatever `run` reads.
    patient : str
        patient_id.
    policy : Policy
        as_of; administrations are never joined here, whatever exposure.join_days says.
    engine, progress, site_map, format, mapping
        As in `leukopenia.api.run`.

    Raises
    ------
    UsageError
        There is no such person.
    """
    reading: dict[str, Any] = {"site_map": site_map, "format": format, "mapping": mapping, "engine": engine}
    with api.harmonised(sources, _apart(policy), knowledge.load(), progress=progress, **reading) as (made, opened):
        return _person(made, opened, patient, policy)


def read_people(
    sources: Sequence[Path],
    ingredients: Sequence[str],
    policy: Policy,
    *,
    engine: str = "duckdb",
    progress: Callable[[str], None] = lambda stage: None,
    site_map: str = "",
    format: str = "",
    mapping: Mapping[str, Any] | None = None,
) -> Iterator[Person]:
    """Read the records of everybody who got one of some drugs, a batch at a time.

    Parameters
    ----------
    ingredients : sequence of str
        Ids of ingredients.csv; orders do not count.
    sources, policy, engine, progress, site_map, format, mapping
        As in `read_person`.
    """
    reading: dict[str, Any] = {"site_map": site_map, "format": format, "mapping": mapping, "engine": engine}
    with api.harmonised(sources, _apart(policy), knowledge.load(), progress=progress, **reading) as (made, opened):
        counts = opened.materialise(made.counts, "counts")
        as_of = monitoring.day_asked_for(policy, opened, made.exposures, counts)
        given = made.exposures.filter(col("ingredient").is_in(list(ingredients)), col("status") != "ordered")
        ids = opened.collect(given.select("patient_id").unique()).sort("patient_id")
        for first in range(0, ids.height, AT_ONCE):
            yield from persons_of(ids[first : first + AT_ONCE], counts, made, opened, policy, as_of)


def _apart(policy: Policy) -> Policy:
    """The policy with administrations that are never joined."""
    return Policy.of({**policy.values, "exposure.join_days": 0})


def _person(made: Harmonised, opened: Engine, patient: str, policy: Policy) -> Person:
    counts = opened.materialise(made.counts, "counts")
    as_of = monitoring.day_asked_for(policy, opened, made.exposures, counts)
    rare = {drug for row in knowledge.load()["hazards"] for drug in row["drug"].split(";")}
    groups = sorted(drugs_of("chemotherapy") | drugs_of("g_csf") | rare)
    lines = _rows(opened, counts.filter(col("analyte").is_in(list(ANALYTES))), patient, "minute", as_of)
    given = _rows(opened, made.exposures.filter(col("ingredient").is_in(groups)), patient, "start", as_of)
    people = opened.collect(_mine(made.patients, patient)).to_dicts()
    if not people and opened.collect(_mine(counts, patient).head(1)).is_empty() and not given:
        raise UsageError("There is no such person in the source.", "", "Check --patient: it is the source's own id.")
    return Person(patient, people[0]["sex"] if people else "unknown", lines, given, as_of)


def persons_of(
    ids: pl.DataFrame, counts: Frame, made: Harmonised, opened: Engine, policy: Policy, as_of: int
) -> Iterator[Person]:
    """Persons by their ids, in their order: a batch that fits into memory.

    Parameters
    ----------
    ids : polars.DataFrame
        patient_id.
    counts : contracts.COUNTS
        Further columns are kept.
    """
    wanted = opened.load(ids, "wanted")

    def mine(frame: Frame) -> Frame:
        return frame.join(wanted, on="patient_id", how="semi")

    groups = sorted(drugs_of("chemotherapy") | drugs_of("g_csf"))
    apart = made.administrations(wanted, groups, policy.flag("exposure.orders"))
    lines = mine(counts.filter(col("analyte").is_in(list(ANALYTES)), col("minute") <= as_of))
    of_count = _by_person(opened, lines, "minute")
    of_drug = {} if apart is None else _by_person(opened, apart.filter(col("start") <= as_of), "start")
    sexes = dict(opened.collect(mine(made.patients).select("patient_id", "sex")).iter_rows())
    for one in ids["patient_id"]:
        yield Person(str(one), sexes.get(one, "unknown"), of_count.get(one, []), of_drug.get(one, []), as_of)


def _by_person(opened: Engine, frame: Frame, time: str) -> dict[int | str, list[Row]]:
    parts: dict[int | str, list[Row]] = {}
    for row in opened.collect(frame).sort(time).iter_rows(named=True):
        parts.setdefault(row["patient_id"], []).append(row)
    return parts


def _mine(frame: Frame, patient: str) -> Frame:
    return frame.filter(col("patient_id").cast(nw.String) == patient)


def _rows(opened: Engine, frame: Frame, patient: str, time: str, as_of: int) -> list[Row]:
    known = _mine(frame, patient).filter(col(time) <= as_of)
    return opened.collect(known).sort(time).to_dicts()


def doses(rows: Iterable[Row]) -> tuple[Dose, ...]:
    """The administrations of one drug as doses; what is not on record, or stands in two rows, is not known."""
    return tuple(_dose(row) for row in rows if row["status"] == "administered")


def _dose(row: Row) -> Dose:
    lasting = row["end"] - row["start"]
    single = row["rows"] == 1
    return Dose(
        minute=row["start"],
        amount=row["dose"] if single and row["dose"] else None,
        unit=row["dose_unit"] if single else "",
        hours=lasting / 60 if single and 0 < lasting <= _LONGEST_INFUSION else None,
    )


def run_start(minutes: Sequence[int], days: float) -> int:
    """The first of the last times that follow one another by no more than so many days."""
    start = minutes[-1]
    for minute in reversed(minutes):
        if start - minute > days * DAY:
            break
        start = minute
    return start
