"""Sets of results with a known healthy part, and how far an estimate of the reference limits is from the truth.

The measure is that of RIbench (Ammer 2022; R package RIbench 1.0.2): a limit is put on the scale on which the healthy part
is standard normal; the error of a set is the mean distance of its limits on that scale. Sets with an error above 5 are
implausible: they are counted, and left out of the mean. Of CRP only the upper limit counts, at the 95th percentile.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import boxcox as transform
from scipy.special import inv_boxcox, log_ndtr, logsumexp, ndtri, ndtri_exp

Floats = NDArray[np.float64]
Pair = tuple[float, float]

IMPLAUSIBLE = 5.0
NOTHING = 1e-20
"""RIbench takes the transform of values at or below the shift here."""

UPPER_ONLY = frozenset({"CRP"})
PEERS: Mapping[str, tuple[str, str]] = {
    "refineR": ("Index", "results_refineR.tsv"),
    "reflimR": ("Index", "results_reflimR.tsv"),
    "RINet": ("Index", "results_rinet_numpy.tsv"),
    "kosmic": ("Idx", "results_kosmic.tsv"),
}


@dataclass(frozen=True)
class Healthy:
    """A Box-Cox normal above a shift; on several analysers, a mixture of its multiples.

    Parameters
    ----------
    power, mean, sd : float
        Box-Cox exponent, and mean and standard deviation of the transformed values.
    shift : float
        Taken from the values before they are transformed; unit of the values.
    factors, shares : tuple of float
        What each analyser multiplies by, and its share of the results.
    """

    power: float
    mean: float
    sd: float
    shift: float = 0.0
    factors: tuple[float, ...] = (1.0,)
    shares: tuple[float, ...] = (1.0,)

    def z(self, x: float) -> float:
        """Normal quantile of the share of healthy results below `x`; it stays exact far out in the tails."""
        each = np.array([self._z(x / factor) for factor in self.factors])
        if len(each) == 1:
            return float(each[0])
        below = logsumexp(log_ndtr(each), b=self.shares)
        above = logsumexp(log_ndtr(-each), b=self.shares)
        return float(ndtri_exp(below) if below < above else -ndtri_exp(above))

    def _z(self, x: float) -> float:
        return float((transform(max(x - self.shift, NOTHING), self.power) - self.mean) / self.sd)

    def percentile(self, percent: float) -> float:
        """The value below which `percent` per cent of the healthy results lie."""
        z = float(ndtri(percent / 100))
        each = [float(self.at(z)) * factor for factor in self.factors]
        if max(each) - min(each) <= 1e-12 * max(map(abs, each)):
            return each[0]
        return float(brentq(lambda x: self.z(x) - z, min(each), max(each), xtol=1e-12, rtol=1e-12))

    def at(self, z: float | Floats) -> Floats:
        """Values of the first analyser, before its factor, at normal quantiles."""
        return np.asarray(inv_boxcox(self.mean + self.sd * np.asarray(z), self.power) + self.shift)


@dataclass(frozen=True)
class LabSet:
    """What a laboratory sees of one analyte, and the truth behind it.

    Parameters
    ----------
    values, counts : ndarray, shape (cells,)
        The different results in rising order, and how many there are of each.
    limits : (float, float)
        True limits as they are scored; NaN where a limit is not scored.
    detection_limit : float, optional
        Results below it are given at it.
    healthy_counts : ndarray, shape (cells,), optional
        How many of each result are healthy.
    """

    suite: str
    id: int
    analyte: str
    kind: str
    size: int
    fraction: float
    values: Floats
    counts: NDArray[np.int64]
    percentiles: Pair
    healthy: Healthy
    limits: Pair
    detection_limit: float | None = None
    healthy_counts: NDArray[np.int64] | None = None

    @cached_property
    def exact(self) -> Pair:
        """Percentiles of the healthy part. RIbench's table holds them rounded."""
        lower, upper = (self.healthy.percentile(percent) for percent in self.percentiles)
        return lower if np.isfinite(self.limits[0]) else np.nan, upper

    def seen(self, x: float) -> float:
        """A limit below the detection limit can only be told as that."""
        return x if self.detection_limit is None else max(x, self.detection_limit)

    def error(self, truth: float, estimate: float) -> float:
        """Distance of two limits on the scale of the healthy part; NaN where one of them is."""
        if np.isnan(truth) or np.isnan(estimate):
            return float("nan")
        return abs(self.healthy.z(self.seen(truth)) - self.healthy.z(self.seen(estimate)))


@dataclass(frozen=True)
class Estimate:
    """The part of an estimator's answer that is scored; limits are NaN where it refuses."""

    lower: float
    upper: float
    lower_interval: Pair = (float("nan"), float("nan"))
    upper_interval: Pair = (float("nan"), float("nan"))
    healthy_fraction: float = float("nan")
    verdict: str = "ok"


@dataclass(frozen=True)
class Score:
    """One set, scored. Errors in standard deviations of the healthy part; NaN: refused, or not scored."""

    suite: str
    id: int
    analyte: str
    kind: str
    size: int
    fraction: float
    lower: float
    upper: float
    error_lower: float
    error_upper: float
    error: float
    refused: bool
    verdict: str
    covered_lower: bool | None
    covered_upper: bool | None
    uncertainty: float
    cpu_ms: float


def score(made: LabSet, answer: Any, cpu_ms: float = float("nan")) -> Score:
    """Score an answer with the attributes of `Estimate`."""
    given, intervals = (answer.lower, answer.upper), (answer.lower_interval, answer.upper_interval)
    scored = [not np.isnan(limit) for limit in made.limits]
    errors = [made.error(truth, limit) for truth, limit in zip(made.limits, given, strict=True)]
    refused = any(asked and np.isnan(limit) for asked, limit in zip(scored, given, strict=True))
    covered = [
        _covers(made, interval, truth) if asked and not refused else None
        for interval, truth, asked in zip(intervals, made.exact, scored, strict=True)
    ]
    return Score(
        *(made.suite, made.id, made.analyte, made.kind, made.size, made.fraction),
        *(float(given[0]), float(given[1]), errors[0], errors[1]),
        error=float("nan") if refused else float(np.nanmean(errors)),
        refused=refused,
        verdict=str(answer.verdict),
        covered_lower=covered[0],
        covered_upper=covered[1],
        uncertainty=_uncertainty(given, intervals, scored),
        cpu_ms=cpu_ms,
    )


def _covers(made: LabSet, interval: Pair, truth: float) -> bool:
    low, high = (made.seen(bound) for bound in interval)
    return bool(low <= made.seen(truth) <= high)


def _uncertainty(given: Pair, intervals: Sequence[Pair], scored: Sequence[bool]) -> float:
    """Mean width of the intervals on the zlog scale of the estimate itself: what it knows without the truth."""
    bounds = np.array([interval for interval, asked in zip(intervals, scored, strict=True) if asked])
    if not (np.isfinite(bounds).all() and np.isfinite(given).all() and min(*given, bounds.min()) > 0):
        return float("inf")
    scale = np.log(given[1] / given[0]) / 3.92
    return float(np.log(bounds[:, 1] / bounds[:, 0]).mean() / scale) if scale > 0 else float("inf")


# RIbench


def shared_folder() -> Path:
    """The folder of shared real data: LEUKOPENIA_SHARED, or `shared` beside the checkout."""
    return Path(os.environ.get("LEUKOPENIA_SHARED", "") or Path(__file__).parents[2] / "shared")


class RIbench:
    """The 5,760 sets of RIbench, as counts of results."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or shared_folder() / "data" / "ribench"
        self.table = pl.read_csv(self.folder / "ribench_testsets.tsv.gz", separator="\t").sort("Index")

    @cached_property
    def _cells(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        cells = pl.read_parquet(self.folder / "ribench_counts.parquet").sort("Index", "v")
        ids, values, counts = (cells[name].to_numpy().astype(np.int64) for name in ("Index", "v", "n"))
        return ids, values, counts

    @cached_property
    def _rows(self) -> dict[int, dict[str, Any]]:
        return {row["Index"]: row for row in self.table.iter_rows(named=True)}

    @property
    def ids(self) -> list[int]:
        return list(self._rows)

    def strata(self) -> pl.DataFrame:
        """`id`, `size`, `fraction`, `kind`, `analyte` of every set."""
        return self.table.select(
            pl.col("Index").alias("id"),
            pl.col("N").cast(pl.Int64).alias("size"),
            pl.col("fractionPathol").alias("fraction"),
            pl.col("Distribution").alias("kind"),
            pl.col("Analyte").alias("analyte"),
        )

    def truth(self, id: int) -> LabSet:
        """A set without its results, to score published limits."""
        none = np.array([], dtype=np.int64)
        return self._set(id, none, none)

    def load(self, id: int) -> LabSet:
        """A set with its results."""
        ids, values, counts = self._cells
        part = slice(*np.searchsorted(ids, (id, id + 1)))
        return self._set(id, values[part], counts[part])

    def _set(self, id: int, values: NDArray[np.int64], counts: NDArray[np.int64]) -> LabSet:
        row = self._rows[id]
        upper_only = row["Analyte"] in UPPER_ONLY
        return LabSet(
            suite="ribench",
            id=id,
            analyte=row["Analyte"],
            kind=row["Distribution"],
            size=int(row["N"]),
            fraction=row["fractionPathol"],
            values=values / 10.0 ** row["decimals"],
            counts=counts,
            percentiles=(2.5, 95.0) if upper_only else (2.5, 97.5),
            healthy=Healthy(row["nonp_lambda"], row["nonp_mu"], row["nonp_sigma"], row["nonp_shift"]),
            limits=(np.nan if upper_only else row["GT_LRL"], row["GT_URL"]),
        )

    def peer(self, name: str) -> list[Score]:
        """A peer's published limits, scored here."""
        key, file = PEERS[name]
        table = pl.read_csv(self.folder / file, separator="\t", infer_schema_length=None)
        rows = table.select(key, "LRL", "URL").fill_null(np.nan).iter_rows()
        return [score(self.truth(id), Estimate(lower, upper)) for id, lower, upper in rows]

    def floors(self) -> dict[str, tuple[int, float]]:
        """Sets, and the mean error that Fisher's information allows an efficient estimator on them."""
        table = pl.read_csv(self.folder / "cramer_rao_floor.tsv", separator="\t")
        named = {"floor, shapes of all parts known": "crb_mix", "floor, the healthy known": "crb_known"}
        return {name: (len(table), float(table[column].to_numpy().mean())) for name, column in named.items()}


# Tables of scores


def frame(scores: Iterable[Score]) -> pl.DataFrame:
    """Scores as a table, one row a set."""
    return pl.DataFrame([asdict(each) for each in scores], schema=SCHEMA)


SCHEMA = {
    **dict.fromkeys(("suite", "analyte", "kind", "verdict"), pl.String),
    **dict.fromkeys(("id", "size"), pl.Int64),
    **dict.fromkeys(("fraction", "lower", "upper", "error_lower", "error_upper", "error"), pl.Float64),
    **dict.fromkeys(("uncertainty", "cpu_ms"), pl.Float64),
    **dict.fromkeys(("refused", "covered_lower", "covered_upper"), pl.Boolean),
}
ANSWERED = pl.col("error").filter(~pl.col("refused"))
COVERED = pl.concat_list("covered_lower", "covered_upper").explode()
MEASURES = (
    pl.len().alias("sets"),
    ANSWERED.filter(ANSWERED <= IMPLAUSIBLE).mean().alias("overall"),
    ANSWERED.median().alias("median"),
    (100 * (ANSWERED > IMPLAUSIBLE).sum() / pl.len()).alias("implausible %"),
    (100 * pl.col("refused").mean()).alias("refused %"),
    (100 * COVERED.mean()).alias("coverage %"),
)


def summary(scores: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Overall, median, implausible, refused and coverage, of all sets or by columns of the scores."""
    return scores.group_by(by).agg(MEASURES).sort(by) if by else scores.select(MEASURES)


def most_certain(scores: pl.DataFrame, refused: float = 0.05) -> pl.DataFrame:
    """The scores with the least certain refused: so large a share, those already refused among them."""
    ranked = scores.sort("refused", "uncertainty", "id", descending=[True, True, False], nulls_last=True)
    return ranked.slice(round(refused * len(scores)))


def paired(ours: pl.DataFrame, theirs: pl.DataFrame, margin: str | None = None) -> pl.DataFrame:
    """Ours against a peer on the sets of both: all, or in each value of a column.

    `difference` is theirs minus ours, over sets that both answer, an implausible error taken as 5.
    """
    both = ours.join(theirs.select("id", theirs="error"), on="id")
    told = both.filter(pl.col("error").is_not_nan() & pl.col("theirs").is_not_nan())
    table = told.with_columns(difference=pl.col("theirs").clip(0, IMPLAUSIBLE) - pl.col("error").clip(0, IMPLAUSIBLE))
    measures = (
        pl.len().alias("sets"),
        *(pl.col(name).filter(pl.col(name) <= IMPLAUSIBLE).mean().alias(alias) for name, alias in _SIDES),
        pl.col("difference").mean(),
        (pl.col("difference").std() / pl.len().sqrt()).alias("standard error"),
        (100 * (pl.col("difference") > 0).mean()).alias("better %"),
    )
    return table.group_by(margin).agg(measures).sort(margin) if margin else table.select(measures)


_SIDES = (("error", "ours"), ("theirs", "theirs"))


# Stand-ins


def percentiles(values: Floats, counts: NDArray[np.int64], percents: Sequence[float]) -> list[float]:
    """Percentiles of counted results, each count spread over its rounding cell."""
    present = counts > 0
    values, counts = values[present], counts[present]
    if len(values) < 2:
        return [float(values[0]) if len(values) else float("nan")] * len(percents)
    middle = (values[1:] + values[:-1]) / 2
    edges = np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
    below = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
    return [float(x) for x in np.interp(np.asarray(percents) / 100, below, edges)]


def naive(made: LabSet) -> Estimate:
    """Plain percentiles of everything, ill and healthy."""
    return Estimate(*percentiles(made.values, made.counts, made.percentiles))


def direct(made: LabSet) -> Estimate:
    """Plain percentiles of the healthy results: what one would find who knows who is healthy."""
    if made.healthy_counts is None:
        raise ValueError(f"set {made.id} of {made.suite} does not say which results are healthy")
    return Estimate(*percentiles(made.values, made.healthy_counts, made.percentiles))


def oracle(made: LabSet) -> Estimate:
    """The truth, to test the scorer."""
    lower, upper = made.limits
    return Estimate(lower, upper, (lower, lower), (upper, upper))
