"""Measures -> counts: copies merged, the neutrophils from whatever was reported, one row per person, time, analyte."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import COUNTS, TIME_PRECISIONS
from leukopenia.harmonise.ledger import as_issues
from leukopenia.harmonise.measures import COMPARATOR_RANKS, MILLION, RANK, decimal

Frame = nw.LazyFrame[Any]

DRAW = ("patient_id", "minute")
LINES = (
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
PARTS = (
    "neutrophils_pct",
    "segmented",
    "segmented_pct",
    "bands",
    "bands_pct",
    "granulocytes",
    "granulocytes_pct",
    "lymphocytes_pct",
    "monocytes_pct",
    "eosinophils_pct",
    "basophils_pct",
)
DIFFERENTIAL = tuple(name for name in (*LINES[1:6], *PARTS))
FRACTIONS = {name: f"{name}_pct" for name in ("lymphocytes", "monocytes", "eosinophils", "basophils")}
ORIGINS = {"segments_and_bands": "segmented", "granulocytes": "granulocytes"}
"""Whose row stands for a derived count; for every other way it is the WBC."""


def counts(
    measured: Frame,
    present: Collection[str],
    analytes: Frame,
    bounds: dict[str, float],
    sources: Sequence[str] = (),
) -> Frame:
    """One row per person, time and analyte.

    Parameters
    ----------
    measured : Frame
        What `measures` gives.
    present : collection of str
        Components that occur in the source; the others are not looked for.
    analytes : Frame
        One column, `analyte`: the lines that can be made (`makeable`).
    bounds : dict
        Analyte to the WBC (10^9/L) below which WBC bounds it when no differential was possible.
    sources : sequence of str
        The sources that are merged: where there is more than one, row and source are kept together.

    Returns
    -------
    Frame
        contracts.COUNTS.
    """
    components = [name for name in (*LINES, *PARTS) if name in present]
    drawn = draws(measured, components, sources)
    made = _derive(components, bounds)
    if not made:
        return _none(measured)
    return _long(drawn.with_columns(*made.values()), analytes, list(made), components, _merges(sources))


def makeable(present: Collection[str], bounds: dict[str, float]) -> list[str]:
    """The analytes that the components of a source can give."""
    return list(_derive([name for name in (*LINES, *PARTS) if name in present], bounds))


def _none(measured: Frame) -> Frame:
    none = lit(None)
    return measured.filter(col("component") == "").select(
        "patient_id",
        lit("").alias("analyte"),
        "minute",
        "time_precision",
        none.cast(nw.Float64).alias("value"),
        lit("").alias("comparator"),
        none.cast(nw.Float64).alias("low"),
        none.cast(nw.Float64).alias("high"),
        lit("").alias("derivation"),
        lit(0).cast(nw.Int64).alias("copies"),
        lit(False).alias("conflict"),
        lit(False).alias("unit_repaired"),
        "source",
        "row_id",
    )


def unused(measured: Frame) -> Frame:
    """Rows of `issues` for percentages that no count is made from: no white cells in their draw, or never."""
    usable = measured.filter(col("reason") == "")
    whole = usable.filter(col("component") == "wbc").select(*DRAW).unique()
    percentages = [name for name in PARTS if name.endswith("_pct") and name != "bands_pct"]
    lone = usable.filter(col("component").is_in(percentages)).join(whole, on=list(DRAW), how="anti")
    never = usable.filter(col("role") == "part", ~col("component").is_in(list(PARTS)))
    rows = nw.concat([part.select("source", "row_id", "component") for part in (lone, never)])
    return as_issues(rows, "raw_results", "component_unused", "component", set_aside=True)


def draws(measured: Frame, components: list[str], sources: Sequence[str] = ()) -> Frame:
    """One row per person and time; per component the best, then lowest, result packed with its rank."""
    counted = measured.filter(col("reason") == "", col("role") != "finding")
    usable = counted.with_columns(packed=col("rank") * RANK + col("micro"))
    aggregates: list[nw.Expr] = []
    for name in components:
        aggregates += _aggregates(name)
        if name in LINES or name in ORIGINS.values():
            aggregates += _first_row(name, sources)
    return (
        usable.with_columns(vague=_vagueness())
        .group_by(*DRAW)
        .agg(col("vague").max(), col("source").min(), *aggregates)
    )


def _vagueness() -> nw.Expr:
    """How little of a time is known, as a number: of the rows of a draw the vaguest decides."""
    vague = lit(0)
    for position, precision in enumerate(TIME_PRECISIONS):
        vague = when(col("time_precision") == precision).then(lit(position)).otherwise(vague)
    return vague


def _aggregates(name: str) -> list[nw.Expr]:
    here = col("component") == name
    packed = when(here).then(col("packed")).min().alias(name)
    if name not in LINES:
        return [packed]
    measured = here & ((col("rank") == 0) | (col("rank") == 5))
    return [
        packed,
        when(here).then(col("low")).max().alias(f"{name}_low"),
        when(here).then(col("high")).max().alias(f"{name}_high"),
        when(here).then(1).otherwise(0).sum().cast(nw.Int64).alias(f"{name}_copies"),
        when(measured).then(col("micro")).min().alias(f"{name}_least"),
        when(measured).then(col("micro")).max().alias(f"{name}_most"),
        when(here & col("unit_repaired")).then(1).otherwise(0).max().alias(f"{name}_repaired"),
    ]


def _first_row(name: str, sources: Sequence[str]) -> list[nw.Expr]:
    """Source and row of a component: what the laboratory measured before all else, then by source and row."""
    here = col("component") == name
    places = [here & (col("rank") == 0), here]
    if _merges(sources):
        places = [place & (col("source") == source) for place in places for source in sorted(sources)]
    columns = {"row": "row_id"} | ({"source": "source"} if _merges(sources) else {})
    return [
        nw.coalesce(*(when(place).then(col(column)).min() for place in places)).alias(f"{name}_{suffix}")
        for suffix, column in columns.items()
    ]


def _merges(sources: Sequence[str]) -> bool:
    return len(sources) > 1


def _value(name: str) -> nw.Expr:
    return col(name) % RANK


def _comparator_rank(name: str) -> nw.Expr:
    return (col(name) // RANK) % 5


def _measured(name: str) -> nw.Expr:
    """The value where it is not censored."""
    return when(_comparator_rank(name) == 0).then(_value(name))


def _derive(components: list[str], bounds: dict[str, float]) -> dict[str, nw.Expr]:
    """Per analyte, one packed expression of value, comparator and derivation; see `_packed`."""
    made: dict[str, nw.Expr] = {}
    for name in LINES:
        ways = [_reported(name)] if name in components else []
        if "wbc" in components and name != "wbc":
            ways += _ways_from_wbc(name, components, bounds)
        elif name == "neutrophils":
            ways += _neutrophil_counts(components)
        if ways:
            made[name] = (nw.coalesce(*ways) if len(ways) > 1 else ways[0]).alias(f"{name}_made")
    return made


DERIVATIONS = (
    "reported",
    "segments_and_bands",
    "granulocytes",
    "fraction_of_wbc",
    "wbc_minus_others",
    "bounded_by_wbc",
)
_STEP = 10**15


def _packed(value: nw.Expr, comparator_rank: nw.Expr, derivation: str) -> nw.Expr:
    return value + comparator_rank * RANK + lit(DERIVATIONS.index(derivation)) * _STEP


def _reported(name: str) -> nw.Expr:
    return _packed(_value(name), _comparator_rank(name), "reported")


def _neutrophil_counts(components: list[str]) -> list[nw.Expr]:
    ways = []
    if "segmented" in components:
        bands = _measured("bands").fill_null(0) if "bands" in components else lit(0)
        ways.append(_packed(_measured("segmented") + bands, lit(0), "segments_and_bands"))
    if "granulocytes" in components:
        ways.append(_packed(_value("granulocytes"), _comparator_rank("granulocytes"), "granulocytes"))
    return ways


def _ways_from_wbc(name: str, components: list[str], bounds: dict[str, float]) -> list[nw.Expr]:
    ways: list[nw.Expr] = []
    if name == "neutrophils":
        ways += _neutrophil_counts(components)
        ways += [_of_wbc(percent) for percent in _neutrophil_percents(components)]
        if all(_has(line, components) for line in FRACTIONS):
            ways.append(_remainder(components))
    elif name in FRACTIONS and FRACTIONS[name] in components:
        ways.append(_of_wbc(_measured(FRACTIONS[name])))
    if name in bounds:
        ways.append(_bounded(bounds[name], components))
    return ways


def _neutrophil_percents(components: list[str]) -> list[nw.Expr]:
    bands = _measured("bands_pct").fill_null(0) if "bands_pct" in components else lit(0)
    found = [_measured(name) + bands for name in ("neutrophils_pct", "segmented_pct") if name in components]
    return found + [_measured("granulocytes_pct")] * ("granulocytes_pct" in components)


def _of_wbc(percent: nw.Expr) -> nw.Expr:
    """WBC x percent; a sum of parts over 100.5 % is not a fraction of anything."""
    value = _part(_value("wbc"), percent)
    usable = (percent <= 1_005 * MILLION // 10) & (percent >= 0)
    return when(usable).then(_packed(value, _comparator_rank("wbc"), "fraction_of_wbc"))


def _part(count: nw.Expr, percent: nw.Expr) -> nw.Expr:
    """Millionths x millionths of a percent, halves upwards; in whole numbers, as float engines differ."""
    return (count * percent + 50 * MILLION) // (100 * MILLION)


def _has(line: str, components: list[str]) -> bool:
    return line in components or FRACTIONS[line] in components


def _remainder(components: list[str]) -> nw.Expr:
    others = [_line_value(line, components) for line in FRACTIONS]
    rest = _measured("wbc") - others[0] - others[1] - others[2] - others[3]
    return when(rest >= 0).then(_packed(rest, lit(0), "wbc_minus_others"))


def _line_value(line: str, components: list[str]) -> nw.Expr:
    ways = [_measured(line)] if line in components else []
    if FRACTIONS[line] in components:
        ways.append(_part(_measured("wbc"), _measured(FRACTIONS[line])))
    return nw.coalesce(*ways) if len(ways) > 1 else ways[0]


def _bounded(below: float, components: list[str]) -> nw.Expr:
    """A part cannot exceed the whole: made only where no differential stands at all and the WBC itself is low."""
    none = lit(True)
    for name in DIFFERENTIAL:
        if name in components:
            none = none & col(name).is_null()
    rank = when(_comparator_rank("wbc") == 1).then(lit(1)).otherwise(lit(2))
    low = (_value("wbc") < int(below * MILLION)) & (_comparator_rank("wbc") <= 2)
    return when(none & low).then(_packed(_value("wbc"), rank, "bounded_by_wbc"))


def _long(frame: Frame, analytes: Frame, names: list[str], components: list[str], merges: bool) -> Frame:
    """Wide draws -> one row per analyte, by a cross join: the draws are read once, however many analytes there are."""
    crossed = frame.join(analytes, how="cross")
    own = [name for name in names if name in components]
    none = lit(None).cast(nw.Int64)
    origins = {way: name for way, name in ORIGINS.items() if name in components}
    suffixes = ("row", "source") if merges else ("row",)
    places = [_places(suffix, own, origins, components) for suffix in suffixes]
    picked = crossed.select(
        "patient_id",
        "analyte",
        "minute",
        "vague",
        "source",
        *(place for found in places for place in found),
        made=_pick(names, "made", none),
        own_low=_pick(own, "low", none),
        own_high=_pick(own, "high", none),
        own_copies=_pick(own, "copies", lit(1)),
        least=_pick(own, "least", none),
        most=_pick(own, "most", none),
        own_repaired=_pick(own, "repaired", lit(0)),
    ).filter(~col("made").is_null())
    return _unpacked(picked, origins, merges)


def _places(suffix: str, own: list[str], origins: dict[str, str], components: list[str]) -> list[nw.Expr]:
    wbc = col(f"wbc_{suffix}") if "wbc" in components else lit(None).alias(f"wbc_{suffix}")
    parts = [col(f"{name}_{suffix}") for name in origins.values()]
    return [_pick(own, suffix, lit(None)).alias(f"own_{suffix}"), wbc, *parts]


def _pick(names: list[str], suffix: str, otherwise: nw.Expr) -> nw.Expr:
    picked = otherwise
    for name in names:
        picked = when(col("analyte") == name).then(col(f"{name}_{suffix}")).otherwise(picked)
    return picked


def _unpacked(picked: Frame, origins: dict[str, str], merges: bool) -> Frame:
    made = col("made")
    reported = made < _STEP
    comparator = _worded((made // RANK) % 5, tuple(COMPARATOR_RANKS))
    return picked.select(
        "patient_id",
        "analyte",
        "minute",
        _worded(col("vague"), TIME_PRECISIONS).alias("time_precision"),
        decimal(made % RANK).alias("value"),
        comparator.alias("comparator"),
        decimal(when(reported).then(col("own_low"))).alias("low"),
        decimal(when(reported).then(col("own_high"))).alias("high"),
        _worded(made // _STEP, DERIVATIONS).alias("derivation"),
        when(reported).then(col("own_copies")).otherwise(lit(1)).cast(nw.Int64).alias("copies"),
        (reported & (col("least") != col("most")).fill_null(False)).alias("conflict"),
        (reported & (col("own_repaired") == 1)).alias("unit_repaired"),
        _place("source", origins).alias("source") if merges else col("source"),
        _place("row", origins).alias("row_id"),
    ).select(*COUNTS.names)


def _place(suffix: str, origins: dict[str, str]) -> nw.Expr:
    place = col(f"wbc_{suffix}")
    for way, name in {"reported": "own", **origins}.items():
        here = col("made") // _STEP == DERIVATIONS.index(way)
        place = when(here).then(col(f"{name}_{suffix}")).otherwise(place)
    return place


def _worded(index: nw.Expr, words: tuple[str, ...]) -> nw.Expr:
    worded = lit(words[0])
    for position, word in enumerate(words[1:], start=1):
        worded = when(index == position).then(lit(word)).otherwise(worded)
    return worded
