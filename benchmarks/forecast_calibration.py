"""Simulation-based calibration: virtual patients whose effects are known; are the posteriors honest?

python benchmarks/forecast_calibration.py [--patients 1_000]
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np

import leukopenia as lk
from leukopenia.forecast import Counts, Regimen, posterior
from leukopenia.forecast.markers import weighted_quantiles
from leukopenia.forecast.model_card import Card
from leukopenia.forecast.person import mode, problem

CARD = "netterberg2017-docetaxel"
REGIMEN = Regimen([0.0], 150.0, 1.0)
SEEN = np.array([0.0, 48.0, 120.0, 192.0, 216.0, 288.0])
AHEAD = np.arange(9, 15) * 24.0
CENSORED = 0.3
"""Counts below this are reported as below it."""


@dataclass(frozen=True)
class Calibration:
    """Ranks of the truth among the draws (n, k), whether the 90 % band held the truth (n, T), and the k-hats (n,)."""

    names: tuple[str, ...]
    ranks: np.ndarray
    held: np.ndarray
    shapes: np.ndarray

    def p_values(self) -> dict[str, float]:
        """Of a test of Kolmogorov and Smirnov that the ranks of each effect are uniform."""
        return {name: kolmogorov(self.ranks[:, n]) for n, name in enumerate(self.names)}

    @property
    def coverage(self) -> float:
        return float(self.held.mean())


def kolmogorov(ranks: np.ndarray) -> float:
    """p of the hypothesis that ranks are uniform on 0-1; the asymptotic series with Stephens' correction."""
    ordered, n = np.sort(ranks), ranks.size
    steps = np.arange(1, n + 1) / n
    distance = max((steps - ordered).max(), (ordered - steps + 1 / n).max())
    z = distance * (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n))
    return float(min(1.0, max(0.0, 2 * sum((-1) ** (j - 1) * math.exp(-2 * j * j * z * z) for j in range(1, 101)))))


def person(card: Card, random: np.random.Generator) -> tuple[np.ndarray, Counts, np.ndarray]:
    """True effects, counts until day 12, and the true counts of days 9 to 14, of one virtual patient."""
    eta = np.array([random.normal(0, math.sqrt(p.variance or 0)) for p in card.varying])
    typical = card.typical({})
    own = {p.name: typical[p.name] * math.exp(e) for p, e in zip(card.varying, eta, strict=True)}
    times = np.union1d(SEEN, AHEAD)
    curve = lk.forecast.solve(card, REGIMEN, times, own)
    measured = curve[np.searchsorted(times, SEEN)] * np.exp(random.normal(0, card.residual or 0, SEEN.size))
    counts = Counts(SEEN, np.maximum(measured, CENSORED), measured < CENSORED)
    return eta, counts, curve[np.searchsorted(times, AHEAD)]


def calibrate(patients: int, draws: int = 1000, seed: int = 0) -> Calibration:
    """Draw patients from the card, fit each from the counts of the first twelve days, and see where the truth lies."""
    card, random = lk.forecast.card(CARD), np.random.default_rng(seed)
    ranks, held, shapes = [], [], []
    for n in range(patients):
        eta, counts, truth = person(card, random)
        one = problem(counts, REGIMEN, card)
        found = posterior.sample(one, mode(one), AHEAD, draws, seed=n, threads=1)
        ranks.append(found.weights @ (found.eta < eta))
        band = weighted_quantiles(found.logs, found.weights, (0.05, 0.95))
        held.append((np.exp(band[0]) <= truth) & (truth <= np.exp(band[1])))
        shapes.append(found.shape)
    names = tuple(p.name for p in card.varying)
    return Calibration(names, np.array(ranks), np.array(held), np.array(shapes))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=1_000)
    patients = parser.parse_args().patients
    found = calibrate(patients)
    uniform = ", ".join(f"{name} p={p:.3f}" for name, p in found.p_values().items())
    print(
        f"{patients} virtual patients | ranks uniform: {uniform} | 90 % bands of days 9-14 hold {found.coverage:.1%}",
        end="",
    )
    print(f" | largest k-hat {found.shapes.max():.2f}")


if __name__ == "__main__":
    main()
