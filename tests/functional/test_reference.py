"""The command `reference` as a user types it: files in, limits out, refusals with their exit codes."""

from __future__ import annotations

import gzip
import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import polars as pl
import pytest
from commands import fails, leukopenia, succeeds, text

KEYS = {
    "analyte",
    "unit",
    "method",
    "n",
    "censored",
    "refused",
    "verdict",
    "lower",
    "lower_interval",
    "upper",
    "upper_interval",
    "confidence",
    "healthy_fraction",
    "percentiles",
    "limits",
    "intervals",
}


def results(n: int = 2000, seed: int = 1) -> list[float]:
    """Routine results: nine in ten healthy, the others low or high; rounded to 0.1."""
    draw = np.random.default_rng(seed)
    healthy = draw.lognormal(math.log(6.0), 0.25, round(0.9 * n))
    ill = np.concatenate([draw.normal(2.5, 0.7, n // 20), draw.normal(14, 3, n // 20)])
    values: list[float] = np.clip(np.concatenate([healthy, ill]), 0.1, None).round(1).tolist()
    return values


def csv(path: Path, values: list[Any], header: str = "wbc (10*9/L)") -> Path:
    return text(path, "\n".join([header, *map(str, values)]) + "\n")


def rows(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def test_one_file_one_limit_in_words(tmp_path: Path) -> None:
    said = succeeds("reference", csv(tmp_path / "wbc.csv", results()), "--against", "4,10")
    lines = said.splitlines()
    assert lines[0] == "wbc (10^9/L)"
    assert "2000 results" in lines[1]
    assert lines[2].split()[:2] == ["percentile", "2.5"] and "90% interval" in lines[2]
    assert lines[4].strip().startswith("lower limit against 4: ")


def test_csv_parquet_counts_and_gzip_give_the_same_limits(tmp_path: Path) -> None:
    values = results()
    frame = pl.DataFrame({"value": values})
    counted = frame.group_by("value").len("count").sort("value", descending=True)
    counted.write_parquet(tmp_path / "counted.parquet")
    frame.write_csv(tmp_path / "raw.tsv", separator="\t")
    book = openpyxl.Workbook()
    for row in [["value"], *([value] for value in values)]:
        book.active.append(row)
    book.save(tmp_path / "raw.xlsx")
    with gzip.open(tmp_path / "raw.csv.gz", "wt") as lines:
        lines.write(frame.write_csv())
    said = {
        succeeds("reference", tmp_path / name, "--analyte", "wbc", "--unit", "K/uL", "--json")
        for name in ("counted.parquet", "raw.tsv", "raw.xlsx", "raw.csv.gz")
    }
    assert len(said) == 1
    row = rows(said.pop())[0]
    assert set(row) == KEYS
    assert row["analyte"] == "wbc" and row["unit"] == "10^9/L" and row["n"] == 2000
    assert row["lower_interval"][0] < row["lower"] < row["lower_interval"][1]
    assert 0.5 < row["healthy_fraction"] <= 1


def test_strata_are_rows_of_json_and_of_the_file_for_run(tmp_path: Path) -> None:
    values = results(1200) + results(1200, 2) + results(40)
    table = {
        "test": ["WBC"] * 1200 + ["Leukocytes"] * 1200 + ["WBC"] * 40,
        "value": values,
        "unit": ["K/uL"] * 2440,
        "sex": ["F"] * 1200 + ["M"] * 1240,
        "age": [40] * 2400 + [70] * 40,
    }
    pl.DataFrame(table).write_csv(tmp_path / "labs.csv")
    command = ("reference", tmp_path / "labs.csv", "--by", "sex", "--ages", "18,65", "-o", tmp_path / "limits.csv")
    done = leukopenia(*command, "--json")
    assert done.returncode == 0
    assert done.stderr == "leukopenia: 1 of 3 strata give no limits; their verdicts say why.\n"
    told = rows(done.stdout)
    assert [(row["sex"], row["age_low"], row["age_high"], row["refused"]) for row in told] == [
        ("female", 18, 65, False),
        ("male", 18, 65, False),
        ("male", 65, None, True),
    ]
    assert "500 would be enough" in told[2]["verdict"]
    written = pl.read_csv(tmp_path / "limits.csv")
    assert written.columns[:7] == ["analyte", "sex", "age_low", "age_high", "lower", "upper", "unit"]
    assert written["lower"].to_list() == [told[0]["lower"], told[1]["lower"], None]
    assert written["lower_from"].to_list() == [told[0]["lower_interval"][0], told[1]["lower_interval"][0], None]


def test_run_takes_the_limits(tmp_path: Path) -> None:
    csv(tmp_path / "anc.csv", results(), "anc (10*9/L)")
    succeeds("reference", tmp_path / "anc.csv", "-o", tmp_path / "limits.csv")
    lower = pl.read_csv(tmp_path / "limits.csv")["lower"][0]
    labs = text(tmp_path / "labs.csv", "patient,time,test,value,unit\nA,2026-03-02 08:10,ANC,1.2,10*9/L\n")
    succeeds("run", labs, "-o", tmp_path / "result", "--limits", tmp_path / "limits.csv", "--engine", "polars")
    row = pl.read_parquet(tmp_path / "result" / "limits.parquet").filter(analyte="neutrophils").to_dicts()[0]
    assert (row["basis"], row["low"]) == ("estimated", lower)


def test_first_result_of_a_person_unless_all_are_asked_for(tmp_path: Path) -> None:
    frame = pl.DataFrame({"patient": [*range(1000)] * 2, "value": results(), "time": ["2026-01-01"] * 2000})
    frame.write_parquet(tmp_path / "labs.parquet")
    done = leukopenia("reference", tmp_path / "labs.parquet", "--json")
    assert rows(done.stdout)[0]["n"] == 1000
    assert done.stderr == "leukopenia: set aside, further results of a person in the same stratum: 1000\n"
    assert rows(succeeds("reference", tmp_path / "labs.parquet", "--repeats", "all", "--json"))[0]["n"] == 2000


def test_direct_methods(tmp_path: Path) -> None:
    path = csv(tmp_path / "healthy.csv", results(240))
    for method, used in [("direct", "nonparametric"), ("robust", "robust"), ("parametric", "parametric")]:
        row = rows(succeeds("reference", path, "--method", method, "--json"))[0]
        assert (row["method"], row["healthy_fraction"]) == (used, 1.0)


REFUSED = [
    (8, ["5.1"] * 900, "equal"),
    (8, results(200), "500 would be enough"),
    (4, ["5.1", "-9"], "below 0"),
    (4, ["5.1", "quite high"], "words"),
    (4, [""], "no result left"),
]


@pytest.mark.parametrize(("code", "values", "said"), REFUSED, ids=[said for _, _, said in REFUSED])
def test_bad_results_are_refused_with_the_reason(tmp_path: Path, code: int, values: list[Any], said: str) -> None:
    path = csv(tmp_path / "bad.csv", values, "value")
    assert said in fails(code, "reference", path, "-o", tmp_path / "limits.csv", "--plot", tmp_path / "plot.svg")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["bad.csv"]


def test_a_refusal_stands_in_the_json_too(tmp_path: Path) -> None:
    done = leukopenia("reference", csv(tmp_path / "few.csv", results(100)), "--json")
    assert done.returncode == 8
    row = rows(done.stdout)[0]
    assert row["refused"] and row["lower"] is None and "500 would be enough" in row["verdict"]


def test_mixed_units_come_together_or_are_refused(tmp_path: Path) -> None:
    values = results()
    mixed = [f"WBC,{v:.1f},K/uL" if place % 2 else f"WBC,{v * 1000:.0f},/uL" for place, v in enumerate(values)]
    row = rows(succeeds("reference", csv(tmp_path / "mixed.csv", mixed, "test,value,unit"), "--json"))[0]
    assert row["n"] == 2000 and 3 < row["lower"] < 5
    wrong = csv(tmp_path / "wrong.csv", [*mixed, "WBC,40,mmol/L"], "test,value,unit")
    said = fails(4, "reference", wrong)
    assert "WBC in mmol/L" in said and "--set-aside" in said
    done = leukopenia("reference", wrong, "--set-aside", "--json")
    assert rows(done.stdout) == [row]
    assert "set aside, in a unit" in done.stderr
    healthy = np.random.default_rng(1).lognormal(math.log(6.0), 0.2, 2000).round(1).tolist()
    unsaid = csv(tmp_path / "unsaid.csv", [*healthy, *(1000 * value for value in healthy)], "value")
    assert "two units" in fails(8, "reference", unsaid)


@pytest.mark.parametrize(
    ("code", "options", "said"),
    [
        (2, ["--method", "refiner"], "no method"),
        (2, ["--percentiles", "2.5;97.5"], "--percentiles"),
        (2, ["--percentiles", ""], "ercentile"),
        (2, ["--confidence", "90"], "confidence"),
        (2, ["--against", "10,4"], "--against"),
        (2, ["--by", "age", "--method", "robust"], "--ages"),
        (4, ["--by", "age"], "how old"),
        (2, ["--ages", "18,1"], "--ages"),
        (2, ["--repeats", "last"], "--repeats"),
        (4, ["--by", "ward"], "no column 'ward'"),
        (4, ["--ages", "18"], "how old"),
        (5, ["-o", "nowhere/limits.csv"], "no folder"),
    ],
)
def test_options_that_cannot_be_used(tmp_path: Path, code: int, options: list[str], said: str) -> None:
    assert said in fails(code, "reference", csv(tmp_path / "wbc.csv", results(600)), *options)


def test_no_file_and_no_table(tmp_path: Path) -> None:
    assert "There is no file" in fails(3, "reference", tmp_path / "absent.csv")
    assert "no table" in fails(3, "reference", tmp_path)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1")
    assert "cannot be read" in fails(3, "reference", broken)


def test_drawing_and_page_are_whole(tmp_path: Path) -> None:
    path = csv(tmp_path / "wbc.csv", results())
    succeeds("reference", path, "--plot", tmp_path / "p.svg", "--report", tmp_path / "r.html", "--against", "4,10")
    tree = ET.parse(tmp_path / "p.svg").getroot()
    assert tree.tag.endswith("svg") and tree.get("viewBox")
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}desc"))) == 2
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.rstrip().endswith("</html>") and "Your limits against the published ones" in page
    assert sorted(found.name for found in tmp_path.iterdir()) == ["p.svg", "r.html", "wbc.csv"]


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    path = csv(tmp_path / "wbc.csv", results())
    for name in ("one", "two"):
        succeeds("reference", path, "--report", tmp_path / f"{name}.html", "-o", tmp_path / f"{name}.csv")
    for kind in ("html", "csv"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_what_run_cannot_take_is_said(tmp_path: Path) -> None:
    frame = pl.DataFrame({"zinc": results(), "ward": ["a"] * 2000})
    frame.write_csv(tmp_path / "zinc.csv")
    done = leukopenia("reference", tmp_path / "zinc.csv", "--value", "zinc", "--by", "ward", "-o", tmp_path / "l.csv")
    assert done.returncode == 0
    assert "run --limits knows no zinc" in done.stderr and "not by ward" in done.stderr


@pytest.mark.shared
def test_nhanes_adults_of_each_sex(shared: Path, tmp_path: Path) -> None:
    """The survey's own lower limits of white cells, weighted: 3.96 for women, 4.01 for men."""
    rows_ = pl.read_parquet(shared / "data" / "nhanes-cbc" / "nhanes_cbc_demo_2011_2018.parquet")
    chosen = ("SEQN", "RIAGENDR", "RIDAGEYR", "LBXWBCSI", "WTMEC2YR")
    rows_.select(chosen).write_parquet(tmp_path / "nhanes.parquet")
    command = ("reference", tmp_path / "nhanes.parquet", "--by", "sex", "--ages", "18", "--json")
    for method in ("indirect", "direct"):
        done = leukopenia(*command, "--method", method)
        assert done.returncode == 0
        found = {row["sex"]: row["lower"] for row in rows(done.stdout)}
        assert found["female"] == pytest.approx(3.96, abs=0.15)
        assert found["male"] == pytest.approx(4.01, abs=0.15)
