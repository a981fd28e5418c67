"""Raw drug rows -> exposures: which ingredient, systemic or not, given or not, joined into intervals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import EXPOSURES, Knowledge
from leukopenia.harmonise.ledger import as_issues
from leukopenia.harmonise.units import fold

Frame = nw.LazyFrame[Any]

SIGNAL = ("system", "code", "name", "route")
STATUS_ORDER = ("administered", "dispensed", "stated", "ordered")
_CODE_COLUMNS = {"atc": "atc", "rxnorm": "rxnorm", "omop": "omop_concept_id"}
_DAY = 1440


def vocabulary(raw_drugs: Frame) -> Frame:
    """The distinct drug signals of a source and how often they occur."""
    return raw_drugs.group_by(*SIGNAL).agg(n=nw.len().cast(nw.Int64))


def understand(vocabulary: Iterable[Mapping[str, Any]], knowledge: Knowledge) -> list[dict[str, Any]]:
    """Ingredients and route of every distinct drug signal.

    Returns
    -------
    list of dict
        The signal, n, and `ingredient`, `local`, `reason`; a product with two ingredients gives two rows.
    """
    reader = _Reader(knowledge)
    return [made for row in vocabulary for made in reader.read(row)]


class _Reader:
    def __init__(self, knowledge: Knowledge) -> None:
        self._names = {row["name"]: row["ingredient"] for row in knowledge["ingredient_names"]}
        self._forms = {row["id"]: row["form_of"] for row in knowledge["ingredients"] if row["form_of"]}
        self._first = {name.split()[0] for name in self._names}
        self._longest = max((len(name.split()) for name in self._names), default=0)
        self._codes = {
            (system, code): row["id"]
            for row in knowledge["ingredients"]
            for system, column in _CODE_COLUMNS.items()
            for code in filter(None, [*row[column].split(";"), *row.get("atc_superseded", "").split(";")])
            if system == "atc" or code not in row.get("atc_superseded", "")
        }
        self._routes = {(row["system"], row["word"]): row["route"] for row in knowledge["routes"]}

    def read(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        signal = {name: row[name] for name in SIGNAL} | {"n": int(row["n"])}
        found = self._ingredients(row)
        local = self._is_local(row)
        if not found:
            return [signal | {"ingredient": "", "local": local, "reason": "unknown_drug"}]
        reason = "not_systemic" if local else ""
        return [signal | {"ingredient": ingredient, "local": local, "reason": reason} for ingredient in found]

    def _ingredients(self, row: Mapping[str, Any]) -> list[str]:
        by_code = self._codes.get((row["system"], str(row["code"])))
        words = re.findall(r"[a-z0-9]+", fold(row["name"]))
        by_name = {
            self._names[phrase]
            for start in range(len(words))
            if words[start] in self._first
            for length in range(1, self._longest + 1)
            if (phrase := " ".join(words[start : start + length])) in self._names
        }
        found = by_name | ({by_code} if by_code else set())
        return sorted(found - {self._forms[one] for one in found if one in self._forms})

    def _is_local(self, row: Mapping[str, Any]) -> bool:
        route = fold(row["route"])
        said = self._routes.get(("", route)) or self._route_code(route)
        words = re.findall(r"[a-z0-9]+", route) if not said else []
        words += re.findall(r"[a-z0-9]+", fold(row["name"])) if said is None else []
        kinds = {said} if said else {self._routes.get(("", word)) for word in words}
        return "local" in kinds and "systemic" not in kinds

    def _route_code(self, route: str) -> str | None:
        system, _, code = route.partition(":")
        return self._routes.get((system, code)) if code else None


def given(raw_drugs: Frame, meanings: Frame) -> Frame:
    """Rows of known, systemic drugs with a start, and the reason where one cannot be an exposure."""
    backwards = (col("end") < col("start")).fill_null(False)
    return raw_drugs.join(meanings, on=list(SIGNAL)).select(
        "source",
        "row_id",
        "patient_id",
        "ingredient",
        "start",
        when(backwards | col("end").is_null()).then(col("start")).otherwise(col("end")).alias("end"),
        "status",
        "dose",
        "dose_unit",
        backwards=backwards,
        reason=when(col("reason") != "")
        .then(col("reason"))
        .when(col("status") == "not_given")
        .then(lit("not_given"))
        .when(col("start").is_null())
        .then(lit("no_time"))
        .otherwise(lit("")),
    )


def exposures(rows: Frame, join_days: float, orders: bool) -> Frame:
    """Rows of one ingredient no further apart than `join_days` are one exposure.

    Orders count only for a person and ingredient without any administration, dispensing or statement.
    """
    rank = lit(len(STATUS_ORDER))
    for position, status in enumerate(STATUS_ORDER):
        rank = when(col("status") == status).then(lit(position)).otherwise(rank)
    usable = rows.filter(col("reason") == "").with_columns(rank=rank.cast(nw.Int64))
    person = ("patient_id", "ingredient")
    ranked = usable.with_columns(best=col("rank").min().over(*person))
    kept = ranked.filter((col("rank") < 3) | ((col("best") == 3) & lit(orders)))
    order = ["start", "end", "source", "row_id"]
    reach = kept.with_columns(reached=col("end").cum_max().over(*person, order_by=order))
    before = reach.with_columns(before=col("reached").shift(1).over(*person, order_by=order))
    starts = before.with_columns(
        first=when(col("before").is_null() | (col("start") > col("before") + int(join_days * _DAY)))
        .then(lit(1))
        .otherwise(lit(0))
        .cast(nw.Int64)
    )
    numbered = starts.with_columns(number=col("first").cum_sum().over(*person, order_by=order).cast(nw.Int64))
    first = col("first") == 1
    return (
        numbered.group_by(*person, "number")
        .agg(
            start=col("start").min(),
            end=col("end").max(),
            rank=col("rank").min(),
            dose=when(first).then(col("dose")).max(),
            dose_unit=when(first).then(col("dose_unit")).max(),
            rows=nw.len().cast(nw.Int64),
            source=when(first).then(col("source")).max(),
            row_id=when(first).then(col("row_id")).max(),
        )
        .with_columns(status=_status(), route=lit("systemic"), dose_unit=col("dose_unit").fill_null(""))
        .select(*EXPOSURES.names)
    )


def _status() -> nw.Expr:
    worded = lit(STATUS_ORDER[-1])
    for position, status in enumerate(STATUS_ORDER[:-1]):
        worded = when(col("rank") == position).then(lit(status)).otherwise(worded)
    return worded


def set_aside(rows: Frame) -> Frame:
    """Rows of `issues` for drug rows of interest that are no exposure, or whose end was dropped."""
    no_exposure = rows.filter((col("reason") == "not_given") | (col("reason") == "no_time"))
    backwards = rows.filter(col("backwards"))
    return nw.concat(
        [
            as_issues(no_exposure, "raw_drugs", col("reason"), "ingredient", set_aside=True),
            as_issues(backwards, "raw_drugs", "ends_before_start", "ingredient", set_aside=False),
        ]
    )
