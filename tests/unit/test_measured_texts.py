"""Numbers in the words of case histories: which finding they belong to, in what unit, and whether they are low."""

from __future__ import annotations

import polars as pl
import pytest

from leukopenia.harmonise.measured_texts import MeasuredTexts, temperature
from leukopenia.harmonise.usual_ranges import Scale, UsualRanges, scale
from leukopenia.knowledge import load


@pytest.fixture(scope="module")
def texts() -> MeasuredTexts:
    return MeasuredTexts(load())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("AST / ALT: 830 / 570", {"ast": "high", "alt": "high"}),
        ("AST 21 U/L and ALT 570 U/L", {"ast": "normal", "alt": "high"}),
        ("AST / ALT: 830", {}),
        ("ALT (SGPT) 830", {"alt": "high"}),
        ("LDH 2400 U/L; ferritin 12 000", {"ldh": "high", "ferritin": "high"}),
        ("lactate dehydrogenase 2,400 IU/L", {"ldh": "high"}),
        ("CRP 180 mg/L", {"crp": "high"}),
        ("CRP was markedly raised at 18 mg/dL", {"crp": "high"}),
        ("B12 80 pg/mL", {"vitamin_b12": "low"}),
        ("copper 0.2 µg/mL", {"copper": "low"}),
        ("serum copper 2 µmol/L", {"copper": "low"}),
        ("haptoglobin < 10", {"haptoglobin": "low"}),
        ("haptoglobin < 300 mg/dL", {"haptoglobin": ""}),
        ("creatinine 3.1 mg/dL", {"creatinine": "high"}),
        ("creatinine 80 µmol/L", {"creatinine": "normal"}),
        ("ESR 95 mm in the first hour", {"esr": "high"}),
        ("TSH 0.01", {"tsh": "low"}),
        ("ferritin > 16500 µg/L", {"ferritin": "high"}),
        ("ferritin 900 (reference range 20-1000)", {"ferritin": "normal"}),
        ("LDH 200 U/L (normal < 180)", {"ldh": "high"}),
        ("C3 and C4 were 0.4 and 0.05 g/L", {"c3": "low", "c4": "low"}),
        ("folate 2.1 nmol/L", {"folate": ""}),
    ],
)
def test_a_number_takes_the_side_of_the_usual_range(texts: MeasuredTexts, text: str, said: dict[str, str]) -> None:
    assert {one.finding: one.range for one in texts.read(text)} == said


@pytest.mark.parametrize(
    ("text", "side"), [("AST 830", "high"), ("B12 80", "low"), ("B12 180", None), ("CRP 5", None), ("copper 8", None)]
)
def test_a_bare_number_counts_where_every_usual_unit_agrees(texts: MeasuredTexts, text: str, side: str | None) -> None:
    assert [one.range for one in texts.read(text)] == ([side] if side else [])


@pytest.mark.parametrize(
    "text",
    [
        "copper deficiency 3 years after gastric bypass",
        "zinc 50 mg daily",
        "urinary copper 12 µg/L",
        "red cell folate 90 ng/mL",
        "direct bilirubin 4 mg/dL",
        "creatinine clearance 40 mL/min",
        "sodium valproate 500",
        "CRP; platelets 20",
        "ferritin 1:320",
        "CRP 3 days later",
        "copper 80 mmol/kg",
    ],
)
def test_doses_times_and_other_quantities_are_left_alone(texts: MeasuredTexts, text: str) -> None:
    assert texts.read(text) == []


def test_values_are_brought_to_the_usual_unit(texts: MeasuredTexts) -> None:
    (found,) = texts.read("ferritin 12 mg/L")
    assert (found.value, found.range) == (12000.0, "high")


def test_a_range_by_sex_needs_the_sex_or_the_same_answer(texts: MeasuredTexts) -> None:
    sides = [texts.side("creatinine", 1.2, "mg/dL", sex=sex) for sex in ("female", "male", "unknown")]
    assert sides == ["high", "normal", ""]
    assert texts.side("creatinine", 3.0, "mg/dL", sex="unknown") == "high"
    assert texts.side("crp", 180.0, "bushels") == ""


def test_a_limit_itself_is_normal() -> None:
    ranges = UsualRanges([{"finding": "crp", "unit": "mg/L", "low": "", "high": "8", "sex": "", "source_id": "design"}])
    sides = [ranges.side("crp", value, scale("mg/dL")) for value in (0.8, 0.81)]
    assert sides == ["normal", "high"]


def test_units_of_concentration() -> None:
    assert scale("pg/mL") == scale("ng/L") == Scale("mass", -9)
    assert scale("mcg/dL") == scale("µg/dl") == Scale("mass", -5)
    assert scale("mEq/L") == scale("mmol/L")
    assert scale("mg") is None and scale("furlongs/L") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("T 38.9 °C", (38.9, "Cel")),
        ("fever of 102.2 F", (102.2, "degF")),
        ("temperature 39,4", (39.4, "Cel")),
        ("temperature 101.3", (101.3, "degF")),
        ("39 weeks pregnant", None),
        ("temperature for 39 days", None),
        ("20 C", None),
    ],
)
def test_temperatures(text: str, found: tuple[float, str] | None) -> None:
    assert temperature(text) == found


def test_every_row_names_a_component_and_a_unit_that_is_understood() -> None:
    rows = load()["usual_ranges"]
    assert {row["finding"] for row in rows} <= {row["component"] for row in load()["components"]}
    assert all(scale(row["unit"]) for row in rows)
    assert {row["sex"] for row in rows} <= {"", "male", "female"}


def test_units_of_one_kind_have_the_same_limits() -> None:
    frame = pl.DataFrame([dict(row) for row in load()["usual_ranges"]])
    for (finding, sex), rows in frame.group_by("finding", "sex"):
        limits: dict[str, set[tuple[float, ...]]] = {}
        for row in rows.to_dicts():
            unit = scale(row["unit"])
            assert unit is not None
            both = tuple(float(f"{float(row[end]) * 10**unit.exponent:.6g}") for end in ("low", "high") if row[end])
            limits.setdefault(unit.quantity, set()).add(both)
        assert all(len(same) == 1 for same in limits.values()), (finding, sex)
