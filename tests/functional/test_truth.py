"""The simulated hospital knows what happened; the pipeline must find it through all the dirt."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

import leukopenia as lk
from leukopenia import knowledge, simulate

EPOCH = datetime(1970, 1, 1)


def minute(text: str) -> int:
    return int((datetime.fromisoformat(text) - EPOCH).total_seconds() // 60)


Hospital = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    """Truth, episodes, forecasts."""
    folder: Path = tmp_path_factory.mktemp("hospital")
    simulate.write(simulate.hospital(300, 7, knowledge.load()), folder)
    truth = pl.read_csv(folder / "truth.csv", infer_schema_length=None)
    # The truth calls neutrophils low below the laboratory's own limit, without a ceiling of 1.5 or a Duffy-null limit.
    with lk.run(folder, policy={"onset.neutrophils.below": "", "context": "general"}) as result:
        return truth, result.tables["episodes"], result.tables["forecasts"]


def found(row: dict[str, object], episodes: pl.DataFrame) -> bool:
    at = minute(str(row["nadir_time"]))
    mine = episodes.filter(
        pl.col("patient_id") == row["patient_id"],
        pl.col("analyte") == row["line"],
        pl.col("onset") <= at,
        pl.col("last_low") >= at,
    )
    return mine.height == 1 and abs(mine["nadir"][0] - float(str(row["nadir"]))) < 1e-6


@pytest.mark.parametrize("line", ["wbc", "neutrophils"])
def test_every_nadir_is_the_nadir_of_one_episode(line: str, hospital: Hospital) -> None:
    """Of cyclic neutropenia only, one normal count between two falls leaves them one episode, as the rule says."""
    truth, episodes, _ = hospital
    falls = truth.filter(pl.col("line") == line, pl.col("cause_id").ne_missing("cond:cyclic-neutropenia"))
    missed = [row for row in falls.iter_rows(named=True) if not found(row, episodes)]
    assert falls.height > 50
    assert missed == []


def test_cycles_that_go_on_when_the_records_end_are_forecast(hospital: Hospital) -> None:
    """With a card where there is one, from published nadir days where there is none."""
    _, episodes, forecasts = hospital
    bases = forecasts.join(episodes.select("episode_id", "last_low"), on="episode_id").unique("episode_id")
    assert {"card", "nadir prior", "causes", "none"} == set(bases["basis"])
    late = bases.filter(pl.col("basis") == "none", pl.col("status") == "not counted for too long")
    assert late["last_low"].max() < episodes["last_low"].max() - 365 * 1440
