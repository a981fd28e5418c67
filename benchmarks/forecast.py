"""Forecast: patients a second at equal error against others, a million patients, one person's fit and posterior, cold start.

python benchmarks/forecast.py [--million 1_000_000]
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from forecast_peers import AMOUNT, FLOW, LASTING, STARTS, TIMES, People, diffrax_counts, people, scipy_counts

import leukopenia as lk
from leukopenia.forecast import Counts, Regimen, posterior
from leukopenia.forecast.cohort import quantiles_of
from leukopenia.forecast.person import mode, problem

CARD = "friberg2002-paclitaxel-leukocytes"
CYCLES = Regimen(STARTS, AMOUNT, LASTING)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
GRID = np.arange(0.0, 961.0, 4.0)

COLD = """
import os, time
start = time.perf_counter()
import leukopenia as lk
from leukopenia.forecast import Counts, Regimen
counts = Counts([0.0, 96.0, 168.0], [5.0, 3.0, 0.9])
lk.forecast.predict(counts, Regimen([0.0], 180.0, 1.0), "netterberg2017-docetaxel")
print(time.perf_counter() - start, sum(os.times()[:2]))
"""


def said(*cells: Any) -> None:
    print(" | ".join(str(cell) for cell in cells), flush=True)


def cpu(work: Callable[[], Any], least: float = 1.0) -> tuple[float, Any]:
    """CPU seconds of one run: the best of runs that last at least a second together."""
    work()
    best, spent = np.inf, 0.0
    while spent < least:
        start = time.process_time()
        result = work()
        took = time.process_time() - start
        best, spent = min(best, took), spent + max(took, 1e-6)
    return best, result


def ours(own: People, rtol: float, threads: int = 1) -> np.ndarray:
    return lk.forecast.solve(CARD, CYCLES, TIMES, {**own, "q": FLOW}, rtol=rtol, threads=threads)


def worst(found: np.ndarray, exact: np.ndarray) -> str:
    return f"{np.abs(found[: len(exact)] / exact - 1).max():.1e}"


def problem_one() -> None:
    """Patients per second and core, with the largest relative error of a count over 40 patients."""
    said("P1", "setting", "patients/s/core (CPU)", "largest relative error", "times LSODA", "goal: 20,000 at 1e-6")
    few, many = people(40), people(2000)
    exact = scipy_counts(few, "DOP853", 1e-13, 1e-15)
    lsoda, counts = cpu(lambda: scipy_counts(few, "LSODA", 1e-7, 1e-10))
    slow = 40 / lsoda
    said("SciPy LSODA", "rtol 1e-7", f"{slow:.0f}", worst(counts, exact), 1)
    for rtol in (1e-5, 1e-6, 9e-7, 5e-7, 1e-7, 1e-8, 1e-9):
        took, _ = cpu(lambda rtol=rtol: ours(many, rtol))
        said(
            "leukopenia",
            f"rtol {rtol:g}",
            f"{2000 / took:.0f}",
            worst(ours(few, rtol), exact),
            f"{2000 / took / slow:.0f}",
        )
    for rtol in (1e-6, 1e-7):
        work = diffrax_counts(people(1024), rtol)
        if work is None:
            said("diffrax", "not installed: left out")
            return
        took, _ = cpu(work)
        error = worst(diffrax_counts(few, rtol)(), exact)
        said("diffrax Tsit5 vmap", f"rtol {rtol:g}", f"{1024 / took:.0f}", error, f"{1024 / took / slow:.0f}")


def a_million(n: int) -> None:
    """Many patients with quantiles of every day."""
    start, busy = time.perf_counter(), time.process_time()
    counts = ours(people(n, 8), 5e-7, threads=0)
    solved = time.perf_counter() - start
    found = quantiles_of(counts, QUANTILES)
    took, busy = time.perf_counter() - start, time.process_time() - busy
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    said(
        f"{n:_} patients x 84 days with quantiles",
        f"{took:.1f} s on {os.cpu_count()} cores ({solved:.1f} s to solve, {busy:.1f} CPU seconds)",
        f"peak memory {memory:.2f} GiB",
        f"median of day 7 {found[2, 7]:.3f}",
        "goal: under 30 s on two cores and 2 GiB",
    )


def invented(n: int) -> list[Counts]:
    """Persons under docetaxel with a count every second day to day 20."""
    card = lk.forecast.card("netterberg2017-docetaxel")
    random = np.random.default_rng(5)
    times = np.arange(0.0, 481.0, 48.0)
    typical = card.typical({})
    made = []
    for _ in range(n):
        own = {p.name: typical[p.name] * np.exp(random.normal(0, (p.variance or 0) ** 0.5)) for p in card.varying}
        curve = lk.forecast.solve(card, DOCETAXEL, times, own)
        made.append(Counts(times, curve * np.exp(random.normal(0, card.residual or 0, times.size))))
    return made


DOCETAXEL = Regimen([0.0], 180.0, 1.0)


def one_person() -> None:
    """Fit and posterior of one person, warm."""
    card = lk.forecast.card("netterberg2017-docetaxel")
    problems = [problem(counts, DOCETAXEL, card) for counts in invented(200)]
    mode(problems[0])
    took, used = timed(mode, problems)
    said("mode of one person, 11 counts", spread(took), f"CPU {spread(used)}", "goal: p95 under 10 ms")
    modes = [(one, mode(one)) for one in problems[:40]]
    found = [posterior.sample(*each, GRID) for each in modes]
    took, used = timed(lambda each: posterior.sample(*each, GRID), modes)
    effective, shapes = [each.effective for each in found], [each.shape for each in found]
    said(
        "posterior of one person, 4000 draws x 241 times",
        f"{spread(took)}; CPU {spread(used)}",
        f"effective draws: median {np.median(effective):.0f}, least {min(effective):.0f}; largest k-hat {max(shapes):.2f}",
        accuracy(problems[:10]),
        "goal: under 150 ms, effective draws over 1,000, quantiles within 3 %",
    )


def timed(work: Callable[[Any], Any], each: list[Any]) -> tuple[list[float], list[float]]:
    """Milliseconds of wall and of CPU time of a work for each."""
    wall, busy = [], []
    for one in each:
        start, used = time.perf_counter(), time.process_time()
        work(one)
        wall.append(1e3 * (time.perf_counter() - start))
        busy.append(1e3 * (time.process_time() - used))
    return wall, busy


def spread(took: list[float]) -> str:
    return f"median {np.median(took):.1f} ms, p95 {np.quantile(took, 0.95):.1f} ms"


def accuracy(problems: list[Any]) -> str:
    """How far quantiles of the nadir of 4000 draws lie from those of 100,000."""
    off = []
    for one in problems:
        at = mode(one)
        few, many = (posterior.sample(one, at, GRID, n, seed=n) for n in (4000, 100_000))
        off.append(np.abs(_nadirs(few) / _nadirs(many) - 1).max())
    return f"quantiles 0.05, 0.5, 0.95 of the nadir off by {np.median(off):.1%} (median), {max(off):.1%} (most)"


def _nadirs(found: posterior.Posterior) -> np.ndarray:
    from leukopenia.forecast.markers import weighted_quantiles

    lowest = found.logs[:, 18:].min(axis=1)[:, None]
    return np.exp(weighted_quantiles(lowest, found.weights, (0.05, 0.5, 0.95))[:, 0])


def cold() -> None:
    """A new process to its first forecast; the kernels are on disk."""
    runs = [
        subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(6)
    ][1:]
    wall, busy = np.array(runs, dtype=float).T
    said(
        "new process to first forecast",
        f"median {np.median(wall):.2f} s; CPU {np.median(busy):.2f} s",
        "goal: under 1.5 s",
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--million", type=int, default=1_000_000)
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    said(
        platform.machine(),
        f"{os.cpu_count()} cores, load {load:.1f}",
        f"Python {platform.python_version()}",
        f"NumPy {np.__version__}",
    )
    problem_one()
    one_person()
    cold()
    a_million(chosen.million)


if __name__ == "__main__":
    main()
