"""Golden numbers of the shared data; own-made twins are in test_forecast_solver.py and test_forecast_inference.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import multivariate_t

import leukopenia as lk
from leukopenia.forecast import Counts, Regimen, Series, markers, posterior
from leukopenia.forecast.person import Problem, mode, problem

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


def of_patients(shared: Path) -> dict[int, tuple[Counts, Regimen]]:
    """The 45 persons with counts of DDMODEL00000186."""
    rows = table(shared, "ddmore186_paclitaxel_wbc_simulated").cast(pl.Float64)
    made = {}
    for (patient,), own in rows.group_by("ID", maintain_order=True):
        doses, seen = own.filter(pl.col("AMT") > 0), own.filter(pl.col("MDV") == 0)
        names = {"v1": "V1I", "v2": "V2I", "cl": "CLI"}
        changing = {to: Series(own["TIME"].to_numpy(), own[name].to_numpy()) for to, name in names.items()}
        lasting = (doses["AMT"] / doses["RATE"]).to_numpy()
        regimen = Regimen(doses["TIME"].to_numpy(), doses["AMT"].to_numpy(), lasting, changing)
        if len(seen):
            made[int(str(patient).split(".")[0])] = (Counts(seen["TIME"].to_numpy(), seen["DV"].to_numpy()), regimen)
    return made


@pytest.mark.shared
def test_focei_of_a_population_is_that_of_nonmem(shared: Path) -> None:
    expected = table(shared, "ref_ebe_focei_ddmore186")
    card = lk.forecast.card("friberg2002-paclitaxel-leukocytes")
    patients = of_patients(shared)
    assert len(patients) == 45
    total = 0.0
    for patient, (counts, regimen) in patients.items():
        found = mode(problem(counts, regimen, card))
        own = expected.row(by_predicate=pl.col("ID") == patient, named=True)
        assert np.abs(found.eta - [own["eta_circ0"], own["eta_mtt"], own["eta_slopu"]]).max() < 1e-3
        total += found.marginal
    assert total == pytest.approx(1223.09461849798, abs=1e-3)


@pytest.fixture
def netterberg(shared: Path) -> tuple[pl.DataFrame, Regimen]:
    rows = table(shared, "ddmore224_docetaxel_daily_anc_simulated").cast(pl.Float64)
    known = {"female": 1, "performance_status_1_or_more": 1, "prior_therapy": 1, "alpha1_acid_glycoprotein": 2.54}
    return rows, Regimen(covariates=known, concentration=Series(rows["TIME"].to_numpy(), rows["CP"].to_numpy()))


def known_by(rows: pl.DataFrame, column: str) -> Counts:
    seen = rows.filter(pl.col(column) == 0)
    return Counts(seen["TIME"].to_numpy(), np.exp(seen["DV"].to_numpy()))


@pytest.mark.shared
def test_focei_of_one_person_is_that_of_nonmem(netterberg: tuple[pl.DataFrame, Regimen]) -> None:
    rows, regimen = netterberg
    found = mode(problem(known_by(rows, "EV21"), regimen, lk.forecast.card("netterberg2017-docetaxel")))
    assert found.marginal == pytest.approx(-3.998, abs=1e-3)


GRID = np.arange(0.0, 337.0, 4.0)


def nadirs(logs: np.ndarray) -> np.ndarray:
    lowest = np.empty((len(logs), 2))
    markers.describe(logs, GRID, 0.0, np.empty((len(logs), 0)), lowest, np.empty((len(logs), 0, 3)))
    return np.exp(lowest[:, 1])


def by_plain_sampling(one: Problem, at: Sequence[float]) -> np.ndarray:
    """Quantiles of the nadir by 60,000 independent weighted draws of a t of SciPy: known to half a per cent."""
    top = mode(one)
    wide = multivariate_t(top.eta, 1.3 * np.linalg.inv(top.information), df=5, seed=20)
    eta = wide.rvs(60_000)
    grid = np.union1d(GRID, one.times)
    logs, objective = posterior.solved(one, eta, grid, 0)
    lowest = nadirs(logs[:, np.searchsorted(grid, GRID)])
    order = np.argsort(lowest)
    log_weights = -0.5 * objective - wide.logpdf(eta)
    reached = np.cumsum(np.exp(log_weights - log_weights.max())[order])
    return np.interp(np.multiply(at, reached[-1]), reached, lowest[order])


QUANTILES = np.array([0.05, 0.5, 0.95])
COLUMNS = ["EV3", "EV5", "EV7", "EV8", "EV10", "EV14", "EV21"]


@pytest.mark.shared
@pytest.mark.parametrize("column", COLUMNS)
def test_forecasts_as_days_go_by(shared: Path, netterberg: tuple[pl.DataFrame, Regimen], column: str) -> None:
    """The draws a user gets by default lie within 3 % of the quantiles of a long run.

    The reference's own importance sampling is up to 4 % off; it must lie where its effective draws let it, within
    three standard errors. Its Metropolis sampling, which tells no effective draws, is up to 3 % off.
    """
    rows, regimen = netterberg
    expected = table(shared, "ref_forecast_replay_ddmore224").row(by_predicate=pl.col("col") == column, named=True)
    counts = known_by(rows, column)
    found = lk.forecast.predict(counts, regimen, "netterberg2017-docetaxel", days=14.0)
    assert found.most_probable.min() == pytest.approx(expected["nadir"], rel=0.02)
    error = 3 * np.sqrt(QUANTILES * (1 - QUANTILES) / expected["ess"])
    one = problem(counts, regimen, lk.forecast.card("netterberg2017-docetaxel"))
    long = by_plain_sampling(one, [*QUANTILES, *(QUANTILES - error), *(QUANTILES + error)]).reshape(3, 3)
    nadir = found.markers["nadir"]
    assert [nadir.low, nadir.median, nadir.high] == pytest.approx(long[0], rel=0.03)
    reference = np.array([expected[f"nadir_q{q}"] for q in ("05", "50", "95")])
    assert (long[1] < reference).all()
    assert (reference < long[2]).all()
    assert found.markers["time_to_grade_4"].probability == pytest.approx(expected["p_grade4"], abs=0.03)
    assert found.effective > 1000
