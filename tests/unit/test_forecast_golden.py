"""Reference curves of the shared data; each has an own-made twin in test_forecast_solver.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import leukopenia as lk
from leukopenia.forecast import Regimen

REFERENCES = {
    "docetaxel_friberg2002": ("friberg2002-docetaxel", Regimen([120.0], 180.0), "Circ", 1e-6),
    "docetaxel_kloft2006_myelo": ("kloft2006-docetaxel", Regimen([120.0], 180.0), "Circ", 1e-6),
    "docetaxel_quartino2014": ("quartino2014-docetaxel", Regimen([240.0], 144.0), "Circ", 1e-6),
    "radiation_harrold2020_nhp": ("harrold2020-radiation", Regimen([0.0], 750.0), "ANC", 1e-5),
}


def table(shared: Path, name: str) -> pl.DataFrame:
    return pl.read_csv(shared / "data" / "dynamics" / f"{name}.csv", infer_schema_length=None)


@pytest.mark.shared
@pytest.mark.parametrize("name", REFERENCES)
def test_reference_curves(shared: Path, name: str) -> None:
    card, regimen, column, allowed = REFERENCES[name]
    expected = table(shared, f"ref_{name}")
    found = lk.forecast.solve(card, regimen, expected["day"].to_numpy() * 24.0)
    assert np.abs(found / expected[column].to_numpy() - 1).max() < allowed


@pytest.mark.shared
def test_paclitaxel_population(shared: Path) -> None:
    people = table(shared, "ref_paclitaxel_pop200_params").head(40)
    expected = table(shared, "ref_paclitaxel_pop40_circ").drop("id").to_numpy()
    names = {"CL": "cl", "V1": "v1", "V2": "v2", "Q": "q", "CIRC0": "circ0", "MTT": "mtt"}
    names |= {"SLOPE": "slope", "GAMMA": "gamma"}
    own = {to: people[name].to_numpy() for name, to in names.items()}
    regimen = Regimen([0.0, 504.0, 1008.0, 1512.0], 410.0, 3.0)
    found = lk.forecast.solve("friberg2002-paclitaxel-leukocytes", regimen, np.arange(85) * 24.0, own)
    assert np.abs(found / expected - 1).max() < 1e-6
