"""Drugs that act on few people -> the probability that counts fall in the next days, by the time on the drug.

The marrow of a person is not depressed by so much for so much of the drug: it goes on as before, or its production of
neutrophils is arrested. Published incidence by the time since the drug was begun is the hazard of that arrest,
constant within each published span. No number is carried beyond the last span.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from leukopenia.contracts import Rows
from leukopenia.errors import KnowledgeError, UsageError

YEAR = 365.25
_PER = 1000.0


@dataclass(frozen=True)
class Hazard:
    """What one study says of the next days.

    Attributes
    ----------
    drug : str
        Ingredient id.
    outcome : str
        What happens.
    below : float or None
        Neutrophils below this are the outcome, 10^9/L.
    day, horizon : float
        Days on the drug, and how far is looked.
    known_days : float
        Days of the horizon of which the study speaks; the probability is of these.
    probability : float or None
        That it happens within `known_days`, given that it has not by `day`; None: the study does not reach so far.
    low, high : float or None
        Bounds, where the study gives them for every day looked at.
    basis : str
        `published`, or `computed` from published numbers where any span used is.
    study, source_id : str
    notes : tuple of str
        How the numbers were computed, and limits.
    """

    drug: str
    outcome: str
    below: float | None
    day: float
    horizon: float
    known_days: float
    probability: float | None
    low: float | None
    high: float | None
    basis: str
    study: str
    source_id: str
    notes: tuple[str, ...]


def hazard(drug: str, day: float, horizon: float, rows: Rows) -> list[Hazard]:
    """What each study says of a person who has been on a drug for so many days without the event.

    Parameters
    ----------
    drug : str
        Ingredient id.
    day, horizon : float
        Days on the drug; days ahead.
    rows : sequence of mappings
        hazards.csv.

    Returns
    -------
    list of Hazard
        One a study and outcome; empty where no study is known.

    Raises
    ------
    UsageError
        A day below 0, or no day ahead.
    """
    if not (day >= 0 and math.isfinite(day) and 0 < horizon < math.inf):
        raise UsageError("A hazard needs days.", f"day={day}, horizon={horizon}.", "Give a day from 0 and days ahead.")
    mine = [row for row in rows if drug in row["drug"].split(";")]
    return [_told(drug, day, horizon, list(spans)) for _, spans in groupby(mine, key=_series)]


def _series(row: Mapping[str, str]) -> tuple[str, str, str]:
    return row["study"], row["drug"], row["outcome"]


def _told(drug: str, day: float, horizon: float, spans: Sequence[Mapping[str, str]]) -> Hazard:
    used = [(row, _overlap(row, day, horizon)) for row in spans]
    used = [(row, days) for row, days in used if days > 0]
    first, known = spans[0], sum(days for _, days in used)
    return Hazard(
        drug=drug,
        outcome=first["outcome"],
        below=float(first["below"]) if first["below"] else None,
        day=day,
        horizon=horizon,
        known_days=known,
        probability=_chance(used, "risk") if used else None,
        low=_chance(used, "risk_low") if used else None,
        high=_chance(used, "risk_high") if used else None,
        basis="computed" if any(row["basis"] == "computed" for row, _ in used or [(first, 0.0)]) else "published",
        study=first["study"],
        source_id=first["source_id"],
        notes=tuple(dict.fromkeys(row["note"] for row, _ in used if row["note"])),
    )


def _overlap(row: Mapping[str, str], day: float, horizon: float) -> float:
    return min(float(row["to_day"]), day + horizon) - max(float(row["from_day"]), day)


def _chance(used: Sequence[tuple[Mapping[str, str], float]], column: str) -> float | None:
    """One minus the exponential of minus the hazard over the days; None where a span lacks the number."""
    rates = [per_day(row, column) for row, _ in used]
    known = [rate for rate in rates if rate is not None]
    if len(known) < len(rates):
        return None
    return -math.expm1(-sum(rate * days for rate, (_, days) in zip(known, used, strict=True)))


def per_day(row: Mapping[str, str], column: str = "risk") -> float | None:
    """The hazard of a span per day: of its risk, or of one of the bounds; a rate has no bounds."""
    if row[column]:
        return -math.log1p(-float(row[column])) / (float(row["to_day"]) - float(row["from_day"]))
    return float(row["rate"]) / _PER / YEAR if column == "risk" and row["rate"] else None


def check(rows: Rows) -> None:
    """Refuse spans that do not follow on one another from day 0, and risks that are none.

    Raises
    ------
    KnowledgeError
        With the study.
    """
    for row in rows:
        bounds = [float(row[column]) for column in ("risk_low", "risk", "risk_high") if row[column]]
        if bool(row["risk"]) == bool(row["rate"]) or bounds != sorted(bounds) or not all(0 <= x < 1 for x in bounds):
            raise KnowledgeError(f"hazards: {row['study']} needs a risk, between its bounds, or a rate.")
    for series, spans in groupby(rows, key=_series):
        days = [(float(row["from_day"]), float(row["to_day"])) for row in spans]
        follows = all(end == start for (_, end), (start, _) in pairwise(days))
        if days[0][0] != 0 or not follows or any(end <= start for start, end in days):
            raise KnowledgeError(f"hazards: the spans of {' '.join(series)} do not follow on one another from day 0.")
