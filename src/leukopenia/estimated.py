"""Limits that a laboratory estimated from its own results: a table, checked and brought to the form of the house."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any

from leukopenia.contracts import ESTIMATED, Knowledge, Rows
from leukopenia.errors import MappingError, SourceError
from leukopenia.harmonise.units import Unit, UnitParser

REQUIRED = ("analyte", "sex", "age_low", "age_high", "lower", "upper", "unit")
OPTIONAL = ("age_unit", "interval_id", "n")
"""Further columns are let be: `reference` writes several, among them the confidence limits."""

_HOURS = {"years": 8766.0, "months": 730.5, "days": 24.0, "hours": 1.0}
_SHORT = {"years": "y", "months": "mo", "days": "d", "hours": "h"}
_SEXES = {"": "any", "any": "any", "both": "any", "m": "male", "male": "male", "f": "female", "female": "female"}
_OLDEST_HOURS = 9_999_999

Given = Mapping[str, str]


def added_to(knowledge: Knowledge, source: Any) -> Knowledge:
    """The knowledge with the table estimated_limits.

    Parameters
    ----------
    knowledge : Knowledge
        Uses analytes and units.
    source : path or frame
        CSV, TSV or Parquet, or a frame: see `rows`.
    """
    return MappingProxyType({**knowledge, "estimated_limits": rows(source, knowledge)})


def rows(source: Any, knowledge: Knowledge) -> Rows:
    """Estimated limits in the form of the house.

    Parameters
    ----------
    source : path or frame
        One row for each analyte, sex and age band: analyte; sex (male, female, any); age_low (included) and age_high
        (not included), in years or in the age_unit of the row (years, months, days, hours), an empty one open; lower,
        upper; unit. Optional: interval_id, n. Where both ages are empty the limit holds at every age, known or not. A
        row without a lower limit is an estimate that was refused: it sets no limit.
    knowledge : Knowledge
        Uses analytes and units.

    Returns
    -------
    tuple of mapping
        interval_id (estimated:...), analyte, sex, age_from_hours, age_to_hours, low, high (10^9/L; haemoglobin g/L),
        n; every cell is text.

    Raises
    ------
    SourceError
        There is no such file, or it is no table.
    MappingError
        A column is missing; a cell cannot be read; two limits of one analyte and sex overlap; or no row has a limit.
    """
    given = _given(source)
    parser = UnitParser(knowledge["units"])
    analytes = [row["analyte"] for row in knowledge["analytes"]]
    made = [_row(number, row, analytes, parser) for number, row in enumerate(given, start=1)]
    kept = tuple(MappingProxyType(row) for row in made if row["low"])
    if not kept:
        raise MappingError("The estimated limits hold no lower limit.", f"Rows: {len(made)}.", "Estimate them first.")
    _check_overlap(kept)
    return kept


def _given(source: Any) -> list[dict[str, str]]:
    """The rows as text, with the columns that are known."""
    frame = _read(Path(source)) if isinstance(source, str | Path) else _frame(source)
    if missing := [name for name in REQUIRED if name not in frame.columns]:
        raise MappingError(
            f"The estimated limits have no column {missing[0]!r}.",
            f"Found: {', '.join(frame.columns)}.",
            f"Needed: {', '.join(REQUIRED)}; `leukopenia reference` writes them.",
        )
    names = [name for name in (*REQUIRED, *OPTIONAL) if name in frame.columns]
    return [{name: _text(row[name]) for name in names} for row in frame.select(names).to_dicts()]


def _read(path: Path) -> Any:
    import polars as pl

    if not path.is_file():
        raise SourceError(f"There is no file {path} of estimated limits.", "", "Check the path.")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, separator="\t" if path.suffix in (".tsv", ".tab") else ",", infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{path.name} cannot be read as a table.", type(error).__name__) from None


def _frame(source: Any) -> Any:
    import narwhals.stable.v2 as nw

    received = nw.from_native(source)
    return (received.collect("polars") if isinstance(received, nw.LazyFrame) else received).to_polars()


def _text(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return str(cell).strip()


def _row(number: int, given: Given, analytes: Iterable[str], parser: UnitParser) -> dict[str, str]:
    analyte, sex = given["analyte"].casefold(), _SEXES.get(given["sex"].casefold(), "")
    if analyte not in analytes:
        raise _wrong(number, "analyte", given["analyte"], f"Choose among: {', '.join(analytes)}.")
    if not sex:
        raise _wrong(number, "sex", given["sex"], "Write male, female or any.")
    unit = given.get("age_unit") or "years"
    if unit not in _HOURS:
        raise _wrong(number, "age_unit", unit, f"Choose among: {', '.join(_HOURS)}.")
    young, old = (_number(number, name, given) for name in ("age_low", "age_high"))
    if young is not None and old is not None and young >= old:
        raise _wrong(number, "age_high", given["age_high"], "Write an age above age_low; it is not included.")
    low, high = _limits(number, given, parser)
    return {
        "interval_id": ESTIMATED
        + (given.get("interval_id", "") or _name(analyte, sex, unit, given)).removeprefix(ESTIMATED),
        "analyte": analyte,
        "sex": sex,
        "age_from_hours": _hours(young, unit),
        "age_to_hours": _hours(old, unit),
        "low": low,
        "high": high,
        "n": given.get("n", ""),
    }


def _name(analyte: str, sex: str, unit: str, given: Given) -> str:
    """neutrophils-female-18y-65y, wbc-any-65y, wbc-any."""
    ages = [
        f"{age:g}{_SHORT[unit]}" for age in (_plain(given["age_low"]), _plain(given["age_high"])) if age is not None
    ]
    if given["age_high"] and not given["age_low"]:
        ages = ["0", *ages]
    return "-".join([analyte, sex, *ages])


def _plain(text: str) -> float | None:
    return float(text) if text else None


def _hours(age: float | None, unit: str) -> str:
    return "" if age is None else str(min(round(age * _HOURS[unit]), _OLDEST_HOURS))


def _limits(number: int, given: Given, parser: UnitParser) -> tuple[str, str]:
    """Lower and upper limit in the unit of the house, on its grid of millionths."""
    factor = _factor(number, given, parser)
    low, high = (_number(number, name, given) for name in ("lower", "upper"))
    if low is not None and high is not None and low >= high:
        raise _wrong(number, "upper", given["upper"], "Write an upper limit above the lower one.")
    low_text, high_text = ("" if limit is None else repr(round(limit * factor, 6)) for limit in (low, high))
    return low_text, high_text


def _factor(number: int, given: Given, parser: UnitParser) -> float:
    wanted = Unit("mass", 0) if given["analyte"].casefold() == "haemoglobin" else Unit("count", 9)
    meaning = parser.parse(given["unit"])
    if meaning == Unit("mass", 0) and wanted.kind == "count":
        # 'G/L' is giga per litre on many a report.
        meaning = Unit("count", 9)
    if meaning.kind != wanted.kind:
        example = "g/L" if wanted.kind == "mass" else "10*9/L"
        raise _wrong(number, "unit", given["unit"], f"Write it as {example}.")
    return float(10.0 ** (meaning.exponent - wanted.exponent))


def _number(number: int, name: str, given: Given) -> float | None:
    if not given[name]:
        return None
    try:
        value = float(given[name])
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise _wrong(number, name, given[name], "Write a number, 0 or more, or leave it empty.")
    return value


def _wrong(number: int, name: str, found: str, remedy: str) -> MappingError:
    return MappingError(f"Estimated limits, row {number}: {name} cannot be {found!r}.", "", remedy)


def _check_overlap(made: Rows) -> None:
    for one, other in combinations(made, 2):
        if one["interval_id"] == other["interval_id"] or _overlap(one, other):
            raise MappingError(
                f"Two estimated limits of {one['analyte']} are for the same people, or have one name.",
                f"{one['interval_id']} and {other['interval_id']}.",
                "One limit for each analyte, sex and age: age_high is not included; any stands for both sexes.",
            )


def _overlap(one: Given, other: Given) -> bool:
    if one["analyte"] != other["analyte"] or not ("any" in (one["sex"], other["sex"]) or one["sex"] == other["sex"]):
        return False
    (low, high), (low_other, high_other) = _span(one), _span(other)
    return low < high_other and low_other < high


def _span(row: Given) -> tuple[int, int]:
    return int(row["age_from_hours"] or 0), int(row["age_to_hours"] or _OLDEST_HOURS + 1)
