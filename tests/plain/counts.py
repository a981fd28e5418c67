"""Twin of `harmonise.draws`: the counts of one person at one time, from whatever the laboratory reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from plain.results import COMPARATORS, issue, whole

Row = dict[str, Any]
Draw = dict[str, list[Row]]

ANALYTES = (
    "wbc",
    "neutrophils",
    "lymphocytes",
    "monocytes",
    "eosinophils",
    "basophils",
    "cd4",
    "platelets",
    "haemoglobin",
)
OTHERS = ("lymphocytes", "monocytes", "eosinophils", "basophils")
DIFFERENTIAL = {
    *("neutrophils", "segmented", "bands", "granulocytes"),
    *("neutrophils_pct", "segmented_pct", "bands_pct", "granulocytes_pct"),
    *OTHERS,
    *(f"{name}_pct" for name in OTHERS),
}
PRECISIONS = ("year", "month", "day", "minute")


class Made(NamedTuple):
    """A count in millionths, how it is bounded, how it was made, and the component its row belongs to."""

    micro: int
    comparator: str
    derivation: str
    origin: str


def counts(measured: Iterable[Row], bounds: dict[str, float]) -> list[Row]:
    """One row per person, time and analyte that can be made."""
    drawn: dict[tuple[Any, int], Draw] = {}
    for row in measured:
        if not row["reason"] and row["role"] != "finding":
            drawn.setdefault((row["patient_id"], row["minute"]), {}).setdefault(row["component"], []).append(row)
    made = []
    for (patient, minute), draw in drawn.items():
        for analyte in ANALYTES:
            found = next(_ways(analyte, draw, bounds), None)
            if found is not None:
                made.append(
                    {"patient_id": patient, "analyte": analyte, "minute": minute} | _described(found, analyte, draw)
                )
    return made


def unused(measured: Iterable[Row]) -> list[Row]:
    """An issue for every percentage that went into no count; bands are findings as well, so they are never lost."""
    rows = [row for row in measured if not row["reason"]]
    with_wbc = {(row["patient_id"], row["minute"]) for row in rows if row["component"] == "wbc"}
    made = []
    for row in rows:
        part = row["role"] == "part" and row["component"].endswith("_pct") and row["component"] != "bands_pct"
        lone = (row["patient_id"], row["minute"]) not in with_wbc
        if part and (lone or row["component"] not in DIFFERENTIAL):
            made.append(issue(row, "component_unused", True))
    return made


def best(draw: Draw, component: str) -> Row | None:
    """Laboratory before copy, measured before bounded, then the lowest."""
    rows = draw.get(component, [])
    return min(
        rows,
        key=lambda row: (row["rank"] >= 5, COMPARATORS.index(row["comparator"]), row["micro"]),
        default=None,
    )


def measured(draw: Draw, component: str) -> int | None:
    row = best(draw, component)
    return row["micro"] if row is not None and row["comparator"] == "" else None


def _ways(analyte: str, draw: Draw, bounds: dict[str, float]) -> Iterator[Made]:
    """Every way to the count, best first."""
    own = best(draw, analyte)
    if own is not None:
        yield Made(own["micro"], own["comparator"], "reported", analyte)
    if analyte == "neutrophils":
        yield from _from_parts(draw)
        yield from (made for percent in _percents(draw) if (made := _share(draw, percent)))
        yield from _remainder(draw)
    if analyte in OTHERS:
        made = _share(draw, measured(draw, f"{analyte}_pct"))
        if made:
            yield made
    if analyte in bounds:
        yield from _bound(draw, bounds[analyte])


def _from_parts(draw: Draw) -> Iterator[Made]:
    segmented = measured(draw, "segmented")
    if segmented is not None:
        yield Made(segmented + (measured(draw, "bands") or 0), "", "segments_and_bands", "segmented")
    granulocytes = best(draw, "granulocytes")
    if granulocytes is not None:
        yield Made(granulocytes["micro"], granulocytes["comparator"], "granulocytes", "granulocytes")


def _percents(draw: Draw) -> Iterator[int | None]:
    bands = measured(draw, "bands_pct") or 0
    for name in ("neutrophils_pct", "segmented_pct"):
        percent = measured(draw, name)
        yield None if percent is None else percent + bands
    yield measured(draw, "granulocytes_pct")


def _share(draw: Draw, percent: int | None) -> Made | None:
    """WBC x percent, unless the parts add to more than rounding explains."""
    wbc = best(draw, "wbc")
    if wbc is None or percent is None or not 0 <= percent <= 100_500_000:
        return None
    return Made(_part(wbc["micro"], percent), wbc["comparator"], "fraction_of_wbc", "wbc")


def _part(whole_micro: int, percent: int) -> int:
    return whole(Fraction(whole_micro * percent, 100 * 1_000_000))


def _remainder(draw: Draw) -> Iterator[Made]:
    wbc = measured(draw, "wbc")
    if wbc is None:
        return
    rest = wbc
    for name in OTHERS:
        count, percent = measured(draw, name), measured(draw, f"{name}_pct")
        if count is None and percent is None:
            return
        rest -= count if count is not None else _part(wbc, percent or 0)
    if rest >= 0:
        yield Made(rest, "", "wbc_minus_others", "wbc")


def _bound(draw: Draw, below: float) -> Iterator[Made]:
    """No part of a low WBC can exceed it; only where the laboratory could not tell the cells apart at all."""
    wbc = best(draw, "wbc")
    if wbc is None or DIFFERENTIAL & set(draw) or wbc["comparator"] not in ("", "<", "<="):
        return
    if wbc["micro"] < below * 1_000_000:
        yield Made(wbc["micro"], "<" if wbc["comparator"] == "<" else "<=", "bounded_by_wbc", "wbc")


def _described(made: Made, analyte: str, draw: Draw) -> Row:
    own = draw.get(analyte, []) if made.derivation == "reported" else []
    origin = _first(draw[made.origin])
    every = [row for rows in draw.values() for row in rows]
    return {
        "time_precision": min((row["time_precision"] for row in every), key=PRECISIONS.index),
        "value": made.micro / 1_000_000,
        "comparator": made.comparator,
        "low": _most(own, "low"),
        "high": _most(own, "high"),
        "derivation": made.derivation,
        "copies": len(own) or 1,
        "conflict": len({row["micro"] for row in own if row["comparator"] == ""}) > 1,
        "unit_repaired": any(row["unit_repaired"] for row in own),
        "source": origin["source"],
        "row_id": origin["row_id"],
    }


def _first(rows: list[Row]) -> Row:
    """The first row that the laboratory itself measured, else the first of all."""
    return min(rows, key=lambda row: (row["rank"] != 0, row["source"], row["row_id"]))


def _most(rows: list[Row], name: str) -> float | None:
    found = [row[name] for row in rows if row[name] is not None]
    return max(found) / 1_000_000 if found else None
