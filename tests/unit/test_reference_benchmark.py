"""The benchmark of indirect reference limits: its scorer, its stress sets, its page."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom, norm

# Behind the other folders: some of its files have the names of modules of the tests.
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import reference
import reference_report
from reference_sets import (
    Estimate,
    Healthy,
    LabSet,
    RIbench,
    direct,
    frame,
    most_certain,
    naive,
    oracle,
    paired,
    score,
    summary,
)
from reference_sets import percentiles as quantiles
from reference_stress import FAMILIES, FRACTIONS, HELD_OUT, KINDS, SIZES, STEPS, STRESS

HEALTHY = Healthy(power=0.0, mean=1.0, sd=0.25)
SOME = [family.load(id) for family in FAMILIES.values() for id in range(7, 600, 29)]


def lab_set(**changed: Any) -> LabSet:
    limits = HEALTHY.percentile(2.5), HEALTHY.percentile(97.5)
    made = LabSet(
        *("own", 1, "neutrophils", "right", 100, 0.1),
        *(np.array([1.0, 2.0, 3.0]), np.array([10, 80, 10]), (2.5, 97.5), HEALTHY, limits),
    )
    return dataclasses.replace(made, **changed)


def at(lower_z: float, upper_z: float, margin: float = 0.1) -> Estimate:
    """An answer at normal quantiles of the healthy part, with intervals of a margin on either side."""
    ends = [[math.exp(1 + 0.25 * (z + d)) for d in (0, -margin, margin)] for z in (lower_z, upper_z)]
    return Estimate(ends[0][0], ends[1][0], (ends[0][1], ends[0][2]), (ends[1][1], ends[1][2]))


# The healthy part


@pytest.mark.parametrize("power", [-0.3, 0.0, 0.5, 1.0])
def test_z_and_percentile_are_inverse(power: float) -> None:
    healthy = Healthy(power, mean=1.0, sd=0.2, shift=2.0)
    assert healthy.z(healthy.percentile(2.5)) == pytest.approx(norm.ppf(0.025), abs=1e-9)
    assert healthy.percentile(50) == pytest.approx(2.0 + (math.e if power == 0 else (1 + power) ** (1 / power)))


def test_a_mixture_of_analysers_has_the_percentiles_of_its_sum() -> None:
    parts = ((0.9, 0.2), (1.0, 0.5), (1.2, 0.3))
    factors, shares = zip(*parts, strict=True)
    healthy = Healthy(0.0, 1.0, 0.25, factors=factors, shares=shares)
    x = healthy.percentile(97.5)
    below = sum(s * norm.cdf((math.log(x / f) - 1.0) / 0.25) for f, s in parts)
    assert below == pytest.approx(0.975, abs=1e-10)
    assert healthy.z(x) == pytest.approx(norm.ppf(0.975), abs=1e-9)


@pytest.mark.parametrize("z", [-30.0, 30.0])
def test_z_of_a_mixture_is_finite_far_out(z: float) -> None:
    """There the share below is 0 or 1 in floating point."""
    twice = dataclasses.replace(HEALTHY, factors=(1.0, 1.0), shares=(0.5, 0.5))
    assert twice.z(math.exp(1 + 0.25 * z)) == pytest.approx(z, rel=1e-6)


# The scorer


def test_the_truth_scores_nothing() -> None:
    found = score(lab_set(), oracle(lab_set()))
    assert (found.error, found.covered_lower, found.covered_upper, found.refused) == (0.0, True, True, False)


def test_the_error_is_the_mean_distance_of_both_limits() -> None:
    truth = norm.ppf(0.975)
    found = score(lab_set(), at(-truth + 0.3, truth + 0.1))
    assert found.error == pytest.approx(0.2)
    assert found.error_lower == pytest.approx(0.3)
    assert (found.covered_lower, found.covered_upper) == (False, True)


def test_only_the_upper_limit_counts_where_the_lower_has_no_truth() -> None:
    made = lab_set(limits=(math.nan, HEALTHY.percentile(95)), percentiles=(2.5, 95.0))
    found = score(made, dataclasses.replace(at(0, norm.ppf(0.95) - 0.4), lower=math.nan))
    assert found.error == pytest.approx(0.4)
    assert (found.refused, found.covered_lower) == (False, None)


def test_a_refusal_has_no_error_and_covers_nothing() -> None:
    found = score(lab_set(), Estimate(math.nan, math.nan, verdict="too few"))
    assert found.refused
    assert math.isnan(found.error)
    assert found.covered_upper is None
    row = summary(frame([found, score(lab_set(), at(-1.96, 1.96))])).row(0, named=True)
    assert (row["refused %"], row["sets"], row["coverage %"]) == (50, 2, 100)


def test_an_answer_without_an_interval_does_not_cover() -> None:
    assert score(lab_set(), naive(lab_set())).covered_lower is False


def test_implausible_sets_are_counted_and_left_out_of_the_mean() -> None:
    truth = norm.ppf(0.975)
    scores = frame(score(lab_set(), at(-truth + d, truth + d)) for d in (0.1, 0.3, 5.1))
    row = summary(scores).row(0, named=True)
    assert row["overall"] == pytest.approx(0.2)
    assert row["median"] == pytest.approx(0.3)
    assert row["implausible %"] == pytest.approx(100 / 3)


def test_below_the_detection_limit_anything_below_is_right() -> None:
    made = lab_set(detection_limit=HEALTHY.percentile(10))
    z = norm.ppf(0.975)
    assert score(made, at(-3.0, z)).error == pytest.approx(0)
    assert score(made, at(-3.0, z)).covered_lower is True
    assert score(made, at(norm.ppf(0.10) + 0.2, z)).error == pytest.approx(0.1)


def test_the_least_certain_are_refused_and_refusals_count_among_them() -> None:
    sets = [lab_set(id=n) for n in range(40)]
    scores = [score(made, at(-1.96, 1.96, margin=0.01 * (1 + made.id))) for made in sets]
    scores[0] = score(sets[0], Estimate(math.nan, math.nan))
    assert set(range(40)) - set(most_certain(frame(scores), 0.05)["id"]) == {0, 39}


def test_pairs_compare_on_the_sets_of_both_with_errors_cut_at_5() -> None:
    z = norm.ppf(0.975)
    ours = frame(score(lab_set(id=n), at(-z + 0.1, z + 0.1)) for n in (1, 2, 3))
    theirs = frame(score(lab_set(id=n), at(-z + d, z + d)) for n, d in ((2, 0.3), (3, 9.0)))
    row = paired(ours, theirs).row(0, named=True)
    assert (row["sets"], row["better %"]) == (2, 100)
    assert row["theirs"] == pytest.approx(0.3)
    assert row["difference"] == pytest.approx((0.2 + 4.9) / 2)


def test_percentiles_spread_a_count_over_its_cell() -> None:
    values, counts = np.array([1.0, 2.0, 3.0]), np.array([25, 50, 25])
    assert quantiles(values, counts, (25, 50, 75)) == pytest.approx([1.5, 2.0, 2.5])
    assert quantiles(values, np.array([0, 7, 0]), (2.5,)) == [2.0]


# The stress sets


def test_the_families_cover_every_kind_size_and_fraction() -> None:
    cells = {(n, p, kind) for n in SIZES for p in FRACTIONS for kind in KINDS}
    assert set(STRESS.plan) == set(HELD_OUT.plan) == cells
    assert not {each.name for each in STRESS.analytes} & {each.name for each in HELD_OUT.analytes}


def test_an_id_always_gives_the_same_set() -> None:
    one, again, other = STRESS.load(300), STRESS.load(300), HELD_OUT.load(300)
    assert (one.values.tolist(), one.counts.tolist()) == (again.values.tolist(), again.counts.tolist())
    assert one.limits != other.limits


@pytest.mark.parametrize("made", SOME, ids=lambda made: f"{made.suite}-{made.id}-{made.kind}")
def test_a_set_is_what_its_labels_say(made: LabSet) -> None:
    assert made.counts.sum() == made.size
    assert (np.diff(made.values) > 0).all()
    assert made.values[0] >= (made.detection_limit or 0)
    healthy = made.healthy_counts.sum()
    low, high = binom.interval(1 - 1e-6, made.size, 1 - made.fraction)
    assert low - 0.003 * made.size - 5 <= healthy <= high
    inside = (made.values >= made.limits[0]) & (made.values <= made.limits[1])
    assert inside.sum() >= STEPS - 1
    assert score(made, oracle(made)).error == 0


@pytest.mark.parametrize("made", SOME, ids=lambda made: f"{made.suite}-{made.id}-{made.kind}")
def test_known_healthy_results_have_the_percentiles_of_the_truth(made: LabSet) -> None:
    """Within six standard errors of a percentile, and half a rounding step."""
    found, n = score(made, direct(made)), made.healthy_counts.sum()
    error = 6 * math.sqrt(0.025 * 0.975 / n) / norm.pdf(norm.ppf(0.025))
    for limit, off in zip(made.limits, (found.error_lower, found.error_upper), strict=True):
        near = made.values[np.argsort(abs(made.values - limit))[:2]]
        step = abs(made.healthy.z(near[0]) - made.healthy.z(near[1])) / 2
        assert off <= error + step


@pytest.mark.parametrize("made", [made for made in SOME if made.fraction], ids=lambda made: f"{made.suite}-{made.id}")
def test_the_healthy_can_be_told_from_the_ill(made: LabSet) -> None:
    """More than half of the ill lie outside the true limits; what a detection limit hides is not seen inside."""
    ill = made.counts - made.healthy_counts
    inside = (made.values > made.limits[0]) & (made.values < made.limits[1])
    inside &= made.values > (made.detection_limit or 0)
    assert ill[inside].sum() <= 0.45 * ill.sum() + 3 * math.sqrt(ill.sum()) + 2


def test_below_a_detection_limit_nothing_is_told() -> None:
    for made in SOME:
        assert (made.detection_limit is not None) == (made.kind == "detection_limit")
        if made.detection_limit is not None and made.fraction == 0:
            share = made.counts[0] / made.size
            assert share >= norm.cdf(made.healthy.z(made.detection_limit)) - 4 * math.sqrt(0.2 / made.size)


def test_converted_results_have_uneven_steps() -> None:
    made = STRESS.load(next(id for id, plan in enumerate(STRESS.plan) if plan == (50_000, 0.1, "unit_rounding")))
    middle = np.diff(made.values[(made.values > made.limits[0]) & (made.values < made.limits[1])])
    assert middle.max() > 1.05 * middle.min()


# The run


def plain(values: np.ndarray, counts: np.ndarray, percentiles: Sequence[float], **_: Any) -> Any:
    """A stand-in: plain percentiles of everything."""
    lower, upper = quantiles(values, counts, percentiles)
    return SimpleNamespace(
        lower=lower, upper=upper, lower_interval=(0, lower), upper_interval=(upper, 9e9), verdict="ok"
    )


def test_a_run_scores_the_stand_in_as_the_harness_does() -> None:
    jobs = [("stress", id) for id in (0, 300, 900)]
    scores = reference.run(jobs, f"{__name__}:plain")
    assert scores["estimate"]["error"].to_list() == scores["naive"]["error"].to_list()
    assert scores["direct"]["error"].max() < 0.5
    assert scores["estimate"]["cpu_ms"].min() >= 0


def test_the_detection_limit_is_handed_on() -> None:
    seen: list[float] = []
    made = next(made for made in SOME if made.kind == "detection_limit")
    reference.fit(lambda *_, detection_limit, **__: seen.append(detection_limit), made)
    assert seen == [made.detection_limit]


def test_a_failure_names_the_set() -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("no")

    with pytest.raises(RuntimeError, match="set 1 of own: no"):
        reference.fit(fails, lab_set())


def test_a_tenth_takes_one_of_every_ten() -> None:
    ids = reference.tenth(STRESS.strata())
    assert len(ids) == len(STRESS.plan) // 10
    counts = STRESS.strata().filter(pl.col("id").is_in(ids)).group_by("size", "fraction").len()["len"]
    assert (len(counts), counts.min(), counts.max()) == (len(SIZES) * len(FRACTIONS), 3, 4)


def test_the_page_tells_what_was_asked_and_what_was_found() -> None:
    scores = reference.run([("stress", id) for id in range(0, 1120, 280)], f"{__name__}:plain")
    result = reference_report.Result("plain", True, 1, 1.0, scores, scores["estimate"], {}, {}, [])
    told = reference_report.told(result)
    overall = next(goal for goal in told["goals"] if goal["what"] == "stress: overall")
    assert overall["found"] == pytest.approx(summary(scores["estimate"])["overall"].item(), abs=1e-6)
    assert overall["met"] is (overall["found"] <= 0.17)
    assert f"| stress: overall | at most 0.17 | {overall['found']:.3f} | " in reference_report.page(result)


# RIbench


@pytest.fixture
def twin(tmp_path: Path) -> RIbench:
    """Two sets in the form of RIbench: the logarithm of one analyte, and a CRP."""
    names = ("Index", "Analyte", "Distribution", "N", "fractionPathol", "decimals", "GT_LRL", "GT_URL")
    curve = ("nonp_lambda", "nonp_mu", "nonp_sigma", "nonp_shift")
    rows = [
        (1, "K", "skewed", 5.0, 0.2, 1, math.e ** (1 - 0.49), math.e ** (1 + 0.49), 0.0, 1.0, 0.25, 0),
        (2, "CRP", "skewed", 3.0, 0.0, 0, None, math.e ** (1 + 0.25 * norm.ppf(0.95)), 0.0, 1.0, 0.25, 0),
    ]
    table = pl.DataFrame(rows, schema=[*names, *curve], orient="row")
    table.write_csv(tmp_path / "ribench_testsets.tsv.gz", separator="\t", compression="gzip")
    cells = pl.DataFrame({"Index": [2, 1, 1], "v": [4, 27, 15], "n": [3, 4, 1]})
    cells.write_parquet(tmp_path / "ribench_counts.parquet")
    limits = pl.DataFrame({"Index": [1, 2], "LRL": [math.e ** (1 - 0.39), None], "URL": [math.e ** (1 + 0.59), 1e9]})
    limits.write_csv(tmp_path / "results_refineR.tsv", separator="\t")
    return RIbench(tmp_path)


def test_sets_in_the_form_of_ribench_are_read(twin: RIbench) -> None:
    first, crp = map(twin.load, twin.ids)
    assert (first.values.tolist(), first.counts.tolist()) == ([1.5, 2.7], [1, 4])
    assert (crp.values.tolist(), crp.counts.tolist(), crp.percentiles) == ([4], [3], (2.5, 95.0))
    assert math.isnan(crp.limits[0])


def test_limits_in_the_form_of_a_peer_are_scored(twin: RIbench) -> None:
    first, crp = twin.peer("refineR")
    assert first.error == pytest.approx(0.4)
    assert crp.error > 5
    assert not crp.refused


@pytest.mark.shared
@pytest.mark.parametrize(
    ("peer", "sets", "overall", "implausible"),
    [("refineR", 144, 0.312, 1), ("reflimR", 500, 0.686, 8), ("RINet", 500, 0.392, 0), ("kosmic", 131, 0.537, 4)],
)
def test_published_limits_give_published_scores(
    shared: Path, peer: str, sets: int, overall: float, implausible: int
) -> None:
    row = summary(frame(RIbench(shared / "data" / "ribench").peer(peer))).row(0, named=True)
    assert (row["sets"], round(row["overall"], 3)) == (sets, overall)
    assert round(row["implausible %"] * sets / 100) == implausible


@pytest.mark.shared
def test_sets_of_ribench_hold_their_results_and_their_truth(shared: Path) -> None:
    sets = RIbench(shared / "data" / "ribench")
    assert len(sets.ids) == 5760
    assert [round(error, 3) for _, error in sets.floors().values()] == [0.096, 0.026]
    assert len(reference.tenth(sets.strata())) == 576
    for made in map(sets.load, sets.ids[::97]):
        assert abs(made.counts.sum() - made.size) <= 2
        assert score(made, oracle(made)).error == 0
        assert score(made, Estimate(*made.exact)).error < 0.01
        assert (made.percentiles == (2.5, 95.0)) == (made.analyte == "CRP") == math.isnan(made.limits[0])
