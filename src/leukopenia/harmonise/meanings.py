"""The vocabulary of a source, understood: each distinct (system, code, name, specimen, unit) once, in plain Python.

A source of a hundred million rows has a few hundred such signals. What is decided here is then joined to the rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from leukopenia.contracts import Knowledge, Rows
from leukopenia.harmonise.names import Name, NameReader
from leukopenia.harmonise.units import Unit, UnitParser

SIGNAL = ("system", "code", "name", "specimen", "unit")

_GIGA_OR_GRAM = Unit("mass", 0)
"""'G/L' is grams for haemoglobin and giga for cells."""


@dataclass(frozen=True)
class Meaning:
    """What a signal is: the component it gives, how to bring its values to the unit of the house, or why not.

    ``(value - shift) * multiplier / divisor`` is in 10^9/L (count), % (percent), g/L (mass) or degree Celsius.
    """

    system: str
    code: Any
    name: str
    specimen: str
    unit: str
    n: int
    component: str = ""
    form: str = ""
    role: str = ""
    found_specimen: str = ""
    copy_of_laboratory: int = 0
    shift: float = 0.0
    multiplier: float = 1.0
    divisor: float = 1.0
    reason: str = ""
    note: str = ""
    how: str = ""


def understand(
    vocabulary: Iterable[Mapping[str, Any]], knowledge: Knowledge, site_maps: Mapping[str, Rows]
) -> list[Meaning]:
    """Understand every signal of a source.

    Parameters
    ----------
    vocabulary : iterable of mappings
        One per signal: the columns of `SIGNAL`, n, and value_min, value_max, value_mean, low_mean, high_mean.
    knowledge : Knowledge
        Uses codes, components, analytes, test_names, test_words, specimens, units.
    site_maps : mapping
        Maps of local codes to try; the one that knows most of the source's local codes is used.

    Returns
    -------
    list of Meaning
    """
    rows = list(vocabulary)
    reader = _Reader(knowledge, choose_site_map(rows, site_maps))
    return [reader.meaning(row) for row in rows]


def choose_site_map(vocabulary: Sequence[Mapping[str, Any]], site_maps: Mapping[str, Rows]) -> Rows:
    """The map that knows most rows of the local codes; an empty one if none knows at least two codes."""
    local = [row for row in vocabulary if row["system"] in ("local", "")]
    best: tuple[int, Rows] = (0, ())
    for rows in site_maps.values():
        codes = {row["code"].casefold() for row in rows}
        known = [row for row in local if _local_code(row) in codes]
        distinct = {_local_code(row) for row in known}
        score = sum(int(row["n"]) for row in known) if len(distinct) > 1 or len(site_maps) == 1 else 0
        best = max(best, (score, rows), key=lambda pair: pair[0])
    return best[1]


def _local_code(row: Mapping[str, Any]) -> str:
    return str(row["code"] or row["name"]).casefold()


class _Reader:
    def __init__(self, knowledge: Knowledge, site_map: Rows) -> None:
        self._codes = {(row["system"], row["code"]): row for row in knowledge["codes"]}
        self._components = {row["component"]: row for row in knowledge["components"]}
        self._analytes = {row["analyte"]: row for row in knowledge["analytes"]}
        self._site = {row["code"].casefold(): row for row in site_map}
        self._names = NameReader(knowledge["test_names"], knowledge["test_words"], knowledge["specimens"])
        self._units = UnitParser(knowledge["units"])

    def meaning(self, row: Mapping[str, Any]) -> Meaning:
        signal = {name: row[name] for name in SIGNAL} | {"n": int(row["n"])}
        name = self._names.read(row["name"])
        mapped = self._mapped(row)
        family, form, how = self._family(mapped, name)
        specimen = self._specimen(row, mapped, name)
        if specimen not in ("", "blood"):
            known = family or name.specimen or (mapped is not None)
            return Meaning(
                **signal, found_specimen=specimen, how=how, reason="not_blood" if known else "not_of_interest"
            )
        if not family:
            return Meaning(**signal, reason="not_of_interest")
        if how == "name" and not name.certain:
            return Meaning(**signal, reason="unknown_code", how=how)
        unit = self._units.parse(row["unit"] or (mapped or {}).get("unit", ""))
        made = self._quantity(family, form, unit, row)
        copy = int((mapped or {}).get("origin", "") == "flowsheet")
        return Meaning(**{**signal, **made, "copy_of_laboratory": copy, "found_specimen": specimen, "how": how})

    def _mapped(self, row: Mapping[str, Any]) -> Mapping[str, str] | None:
        found = self._codes.get((row["system"], str(row["code"])))
        if found:
            return {"analyte": found["component"], "specimen": found["specimen"]}
        if row["system"] in ("local", "", "omop"):
            return self._site.get(_local_code(row)) or self._site.get(str(row["name"]).casefold())
        return None

    def _family(self, mapped: Mapping[str, str] | None, name: Name) -> tuple[str, str, str]:
        if mapped is None:
            return name.family, name.form, "name" if name.family else ""
        component = self._components.get(mapped.get("finding", "") or mapped["analyte"])
        if component is None:
            return "", "", "code"
        return component["component"].removesuffix("_pct"), component["form"], "code"

    def _specimen(self, row: Mapping[str, Any], mapped: Mapping[str, str] | None, name: Name) -> str:
        said = self._names.specimen_of(row["specimen"]) if row["specimen"] else ""
        by_code = (mapped or {}).get("specimen", "")
        for specimen in (said, by_code, name.specimen):
            if specimen not in ("", "blood"):
                return specimen
        return said or by_code or name.specimen

    def _quantity(self, family: str, form: str, unit: Unit, row: Mapping[str, Any]) -> dict[str, Any]:
        percent = f"{family}_pct"
        if unit.kind in ("percent", "fraction") and percent in self._components:
            scale = {"multiplier": 100.0} if unit.kind == "fraction" else {}
            note = "code_contradicted" if form == "count" else ""
            return self._component(percent) | scale | {"note": note}
        if unit.kind == "none":
            return self._without_unit(family, form, row)
        component = self._components.get(family)
        if component is None or component["form"] == "percent":
            return {"reason": "unknown_unit"}
        return self._with_unit(component, unit, form)

    def _with_unit(self, component: Mapping[str, str], unit: Unit, form: str) -> dict[str, Any]:
        made = self._component(component["component"])
        if component["form"] == "count" and unit == _GIGA_OR_GRAM:
            unit = Unit("count", 9)
        if component["form"] == "other" or (component["form"] == "temperature" and unit.kind == "temperature"):
            return made
        if component["form"] == "temperature" and unit.kind == "fahrenheit":
            return made | {"shift": 32.0, "multiplier": 5.0, "divisor": 9.0}
        if component["form"] == unit.kind == "count":
            note = "code_contradicted" if form == "percent" else ""
            return made | _power(unit.exponent - 9) | {"note": note}
        if component["form"] == unit.kind == "mass":
            return made | _power(unit.exponent)
        return {"reason": "unknown_unit"}

    def _without_unit(self, family: str, form: str, row: Mapping[str, Any]) -> dict[str, Any]:
        component = self._components.get(family)
        if component is None or component["form"] in ("other", "temperature"):
            return (
                self._component(family)
                if component is not None and component["form"] == "other"
                else {"reason": "unknown_unit"}
            )
        if form == "percent" and f"{family}_pct" in self._components:
            return self._component(f"{family}_pct")
        return self._inferred(component, row)

    def _inferred(self, component: Mapping[str, str], row: Mapping[str, Any]) -> dict[str, Any]:
        """Read numbers without a unit only if exactly one unit makes values and range plausible."""
        analyte = self._analytes.get(component["component"])
        if analyte is None:
            return {"reason": "unknown_unit"}
        made = self._component(component["component"])
        readings = [power for power in _readings(component["form"]) if _plausible(row, power, analyte)]
        percent = f"{component['component']}_pct"
        if percent in self._components and _may_be_percent(row):
            return {"reason": "ambiguous_unit"}
        if row.get("value_min") == row.get("value_max") == 0:
            readings = readings[:1]  # nought is nought in every unit
        if len(readings) != 1:
            return {"reason": "ambiguous_unit"}
        return made | _power(readings[0]) | {"note": "unit_inferred"}

    def _component(self, component: str) -> dict[str, Any]:
        row = self._components[component]
        return {"component": component, "form": row["form"], "role": row["role"]}


def _power(exponent: int) -> dict[str, float]:
    if exponent >= 0:
        return {"multiplier": float(10**exponent), "divisor": 1.0}
    return {"multiplier": 1.0, "divisor": float(10**-exponent)}


def _readings(form: str) -> tuple[int, ...]:
    """Powers of ten to try: 10^9/L or 1/uL for counts, g/L or g/dL for a mass."""
    return (0, 1) if form == "mass" else (0, -3)


def _plausible(row: Mapping[str, Any], power: int, analyte: Mapping[str, str]) -> bool:
    seen = [row.get(name) for name in ("value_min", "value_max", "value_mean", "low_mean", "high_mean")]
    numbers = [number * 10.0**power for number in seen if number is not None and math.isfinite(number)]
    if not numbers:
        return False
    lowest, highest = float(analyte["typical_from"]), float(analyte["typical_to"])
    ends = (row.get("value_mean"), row.get("low_mean"), row.get("high_mean"))
    middle = [number * 10.0**power for number in ends if number]
    return max(numbers) <= highest and all(number >= lowest for number in middle)


def _may_be_percent(row: Mapping[str, Any]) -> bool:
    low, highest = row.get("low_mean"), row.get("value_max")
    if low is not None and math.isfinite(low) and low < 10:
        return False
    return highest is not None and 15 < highest <= 100


def as_rows(meanings: Iterable[Meaning]) -> list[dict[str, Any]]:
    """Meanings as plain rows, for the engine, the manifest and `inspect`."""
    return [asdict(meaning) for meaning in meanings]
