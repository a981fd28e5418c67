"""Kinds of dirt of laboratory results."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from leukopenia.simulate.catalogue import AUTOMATED, LOCAL, LOINC, METHODLESS, NOT_BLOOD, WARD
from leukopenia.simulate.kind import Kind
from leukopenia.simulate.records import Result

Fits = Callable[[Result], bool]
Soil = Callable[[Result, Random], Sequence[Result]]
COUNTS = ("wbc", "neutrophils", "lymphocytes", "platelets")
PERCENT = ("lymphocytes_percent", "monocytes_percent", "eosinophils_percent", "basophils_percent")
WORDLESS = ("UNABLE TO REPORT", "COMPUTER NETWORK FAILURE. TEST NOT RESULTED.", "NotDone", "HOLD")
ZERO_WIDTH = "\u200b"


def _of(*analytes: str) -> Fits:
    return lambda row: row.analyte in analytes and row.value is not None


def _ranged(row: Result) -> bool:
    return row.analyte in COUNTS and row.value is not None and row.low is not None


def _valued(row: Result) -> bool:
    return row.value is not None and row.category == "laboratory"


def _low_platelets(row: Result) -> bool:
    return row.analyte == "platelets" and row.flag == "L" and not row.note


def _as(**fields: Any) -> Soil:
    """A stain that sets fields, whatever they were."""
    return lambda row, rng: (replace(row, **fields),)


def _worded(*words: str, note: str = "") -> Soil:
    return lambda row, rng: (replace(row, value=None, comparator="", text=rng.choice(words), note=note),)


def _absent(row: Result, rng: Random) -> Sequence[Result]:
    return (replace(row, value=None, absent=rng.choice(("unknown", "error", "not-performed"))),)


def _contradicted(row: Result, rng: Random) -> Sequence[Result]:
    code, name = AUTOMATED[row.analyte.removesuffix("_percent")]
    return (replace(row, code=code, name=name),)


def _thousandfold(row: Result, rng: Random) -> Sequence[Result]:
    value, low, high = (round(1000 * (number or 0.0), 3) for number in (row.value, row.low, row.high))
    return (replace(row, value=value, low=low, high=high),)


def _wrong_range(row: Result, rng: Random) -> Sequence[Result]:
    return (replace(row, low=1000 * (row.low or 0.0), high=1000 * (row.high or 0.0)),)


def _one_of(*values: float) -> Soil:
    return lambda row, rng: (replace(row, value=rng.choice(values), flag=""),)


def _single_precision(row: Result, rng: Random) -> Sequence[Result]:
    return (replace(row, value=struct.unpack("f", struct.pack("f", row.value))[0]),)


def _long_digits(row: Result, rng: Random) -> Sequence[Result]:
    # Upwards only: a count at the limit must not become a low one.
    return (replace(row, value=(row.value or 0.0) * (1 + rng.uniform(0, 1e-4))),)


def _zero_width(row: Result, rng: Random) -> Sequence[Result]:
    return (replace(row, name=row.name.replace("/", f"/{ZERO_WIDTH}", 1)),)


def _number_as_text(row: Result, rng: Random) -> Sequence[Result]:
    return (replace(row, value=None, text=f"{row.value:g}"),)


def _local(row: Result, rng: Random) -> Sequence[Result]:
    short = {"wbc": "WBC", "platelets": "PLT", "neutrophils": "ANC", "lymphocytes": "ALC"}[row.analyte]
    return (replace(row, system=LOCAL, code=short, name=short),)


def _fahrenheit(row: Result, rng: Random) -> Sequence[Result]:
    return (replace(row, value=round((row.value or 0.0) * 9 / 5 + 32, 1), unit="[degF]"),)


def _beside(row: Result, tag: str, **fields: Any) -> Sequence[Result]:
    return (row, replace(row, row_id=f"{row.row_id}-{tag}", **fields))


def _ward_copy(row: Result, rng: Random) -> Sequence[Result]:
    code, name = METHODLESS[row.analyte]
    if rng.random() < 0.5:
        return _beside(row, "ward", code=code, name=name, low=None, high=None, specimen="", flag="")
    return _beside(row, "ward", system=WARD, code="220546", name="WBC", low=None, high=None, specimen="", flag="")


def _conflict(row: Result, rng: Random) -> Sequence[Result]:
    code, name = METHODLESS[row.analyte]
    return _beside(row, "second", code=code, name=name, value=round((row.value or 0.0) * 1.08, 2))


def _error(row: Result, rng: Random) -> Sequence[Result]:
    wrong = round((row.value or 0.0) / 15, 2)
    return _beside(row, "error", status="entered-in-error", value=wrong, note="wrong patient's tube")


def _cancelled(row: Result, rng: Random) -> Sequence[Result]:
    return _beside(row, "cancelled", status="cancelled", value=None, note="cancelled: specimen clotted")


def _not_blood(code: str, name: str, specimen: str, unit: str) -> Soil:
    fields: dict[str, Any] = {"low": None, "high": None, "flag": "", "note": "", "analyte": "fluid"}
    fields |= {"system": LOINC if code else LOCAL, "code": code, "name": name}
    fields |= {"specimen": specimen, "unit": unit}
    return lambda row, rng: _beside(row, "fluid", value=float(rng.choice((0, 1, 2, 3, 5, 11))), **fields)


def _nucleated(row: Result, rng: Random) -> Sequence[Result]:
    code, name = AUTOMATED["nucleated_red_cells"]
    bare: dict[str, Any] = {"unit": "/100{WBCs}", "low": None, "high": None, "flag": ""}
    count = float(rng.randint(8, 60))
    return _beside(row, "nrbc", analyte="nucleated_red_cells", code=code, name=name, value=count, **bare)


def _corrected(row: Result, rng: Random) -> Sequence[Result]:
    first, second = _nucleated(row, rng)
    return (replace(first, note="WBC corrected for NRBC"), second)


def _morphology(row: Result, rng: Random) -> Sequence[Result]:
    bare: dict[str, Any] = {"unit": "", "value": None, "low": None, "high": None, "flag": ""}
    return _beside(row, "film", system=LOCAL, code="WBCM", name="WBC Morphology", text="Normal", **bare)


def kinds(well: set[str]) -> list[Kind[Result]]:
    """All kinds of dirt of results.

    Parameters
    ----------
    well : set of str
        Persons without any low run; dirt that looks like disease falls on them.
    """

    def of_the_well(*analytes: str) -> Fits:
        return lambda row: row.patient_id in well and _of(*analytes)(row)

    return [
        Kind("unit_missing", 0.01, _ranged, _as(unit="")),
        Kind("code_contradicts_unit", 0.03, _of(*PERCENT), _contradicted),
        Kind("thousandfold_unit", 0.004, lambda row: _ranged(row) and row.analyte != "platelets", _thousandfold),
        Kind("range_of_another_unit", 0.002, _ranged, _wrong_range),
        Kind("censored_field", 0.02, _of("basophils"), _as(value=0.1, comparator="<")),
        Kind("censored_text", 0.02, _of("basophils"), _as(value=None, text="<0.1")),
        Kind("not_resulted", 0.004, _valued, _worded(*WORDLESS)),
        Kind("word_platelets", 0.02, _low_platelets, _worded("LOW", "VERY LOW")),
        Kind("see_comment", 0.002, _valued, _worded("See comment", note="Specimen clotted, please repeat")),
        Kind("data_absent", 0.004, _valued, _absent),
        Kind("value_missing", 0.002, _valued, _as(value=None)),
        Kind("single_precision", 0.01, _of("wbc", "haemoglobin", "mcv"), _single_precision),
        Kind("long_digits", 0.01, _of("wbc"), _long_digits),
        Kind("zero_width_display", 0.02, _of("wbc", "platelets"), _zero_width),
        Kind("other_display", 0.02, _of("wbc"), _as(name="WBC Auto (Bld) [#/Vol]")),
        Kind("number_as_text", 0.002, _valued, _number_as_text),
        Kind("local_code", 0.01, _of(*COUNTS), _local),
        Kind("text_only", 0.01, _of("wbc"), _as(system="", code="", name="White Blood Cells")),
        Kind("issued_only", 0.004, _valued, _as(timed_by="issued")),
        Kind("period_time", 0.004, _valued, _as(timed_by="period")),
        Kind("no_time", 0.001, _valued, _as(minute=None)),
        Kind("status_unknown", 0.01, _valued, _as(status="unknown")),
        Kind("status_amended", 0.004, _valued, _as(status="amended")),
        Kind("no_subject", 0.0005, _valued, _as(patient_id="")),
        Kind("unknown_person", 0.0005, _valued, _as(patient_id="sim-0000")),
        Kind("negative_value", 0.001, of_the_well("wbc", "platelets", "neutrophils"), _one_of(-3.2, -1.0)),
        Kind(
            "absurd_value",
            0.002,
            of_the_well("wbc", "platelets", "neutrophils"),
            _one_of(88888.0, 99999999.0),
        ),
        Kind("fahrenheit", 0.1, _of("temperature"), _fahrenheit),
        Kind("same_resource_twice", 0.005, _valued, lambda row, rng: (row, row)),
        Kind("ward_copy", 0.03, _of("wbc"), _ward_copy),
        Kind("conflicting_copy", 0.002, _of("wbc", "neutrophils", "platelets"), _conflict),
        Kind("entered_in_error", 0.01, of_the_well("wbc", "neutrophils"), _error),
        Kind("cancelled", 0.01, _of("wbc"), _cancelled),
        Kind("preliminary_copy", 0.01, _of("wbc"), lambda row, rng: _beside(row, "early", status="preliminary")),
        *(
            Kind(f"not_blood_{fluid[0] or fluid[1]}", 0.01, of_the_well("wbc"), _not_blood(*fluid))
            for fluid in NOT_BLOOD
        ),
        Kind("nucleated_uncorrected", 0.005, _of("wbc"), _nucleated),
        Kind("nucleated_corrected", 0.002, _of("wbc"), _corrected),
        Kind("test_of_no_interest", 0.01, _of("wbc"), _morphology),
    ]
