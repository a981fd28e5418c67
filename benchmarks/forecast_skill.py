"""Skill on day 8: forecasts of days 9-14 against the last count and the population, on patients of another card.

python benchmarks/forecast_skill.py [--patients 300]
"""

from __future__ import annotations

import argparse
import math

import numpy as np

import leukopenia as lk
from leukopenia.forecast import Counts, Regimen, posterior
from leukopenia.forecast.person import mode, problem

TRUTH = "friberg2002-docetaxel-emax"
"""Patients come from this card: another drug effect, other parameters, another pharmacokinetics."""

USED = "netterberg2017-docetaxel"
REGIMEN = Regimen([0.0], 180.0, 1.0)
SEEN = np.array([0.0, 3.0, 5.0, 7.0, 8.0]) * 24.0
AHEAD = np.arange(9, 15) * 24.0
ERROR = 0.3
"""Standard deviation of the logarithm of a measured count."""


def crps(draws: np.ndarray, weights: np.ndarray, seen: float) -> float:
    """Continuous ranked probability score of weighted draws: 0 is perfect, in the unit of the count."""
    order = np.argsort(draws)
    x, w = draws[order], weights[order] / weights.sum()
    reached = np.cumsum(w)
    spread = float((w * x * (2 * reached - w - 1)).sum())
    return float((w * np.abs(x - seen)).sum()) - spread


def patients(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True and measured counts (n, T) at the days seen and ahead."""
    card, random = lk.forecast.card(TRUTH), np.random.default_rng(seed)
    typical = card.typical({})
    own = {
        p.name: typical[p.name] * np.exp(random.standard_normal(n) * math.sqrt(p.variance or 0)) for p in card.varying
    }
    true = lk.forecast.solve(card, REGIMEN, np.concatenate([SEEN, AHEAD]), own)
    return true, true * np.exp(random.normal(0, ERROR, true.shape))


def scored(n: int, seed: int = 3) -> dict[str, np.ndarray]:
    """CRPS (n, 6) of the forecast, the population and the last count; Brier scores (n, 6) of grade 4."""
    true, measured = patients(n, seed)
    card, random = lk.forecast.card(USED), np.random.default_rng(seed + 1)
    k = SEEN.size
    wide = np.exp(posterior.prior(problem(Counts([], []), REGIMEN, card), AHEAD, 1000)[1])
    found: dict[str, list[list[float]]] = {}
    for person in range(n):
        one = problem(Counts(SEEN, measured[person, :k]), REGIMEN, card)
        drawn = posterior.sample(one, mode(one), AHEAD, 2000, seed=person)
        own, flat = np.exp(drawn.logs), np.full(1000, 1e-3)
        for name, draws, weights in (("forecast", own, drawn.weights), ("population", wide, flat)):
            noisy = draws * np.exp(random.normal(0, card.residual or 0, draws.shape))
            row = [crps(noisy[:, t], weights, measured[person, k + t]) for t in range(AHEAD.size)]
            chance = (weights / weights.sum()) @ (draws < 0.5)
            found.setdefault(f"CRPS {name}", []).append(row)
            found.setdefault(f"Brier {name}", []).append(list((chance - (true[person, k:] < 0.5)) ** 2))
        last = measured[person, k - 1]
        found.setdefault("CRPS last count", []).append(list(np.abs(last - measured[person, k:])))
        found.setdefault("Brier last count", []).append(list((float(last < 0.5) - (true[person, k:] < 0.5)) ** 2))
    return {name: np.array(rows) for name, rows in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=300)
    found = scored(parser.parse_args().patients)
    print(f"{len(found['CRPS forecast'])} patients of {TRUTH}, forecast on day 8 with {USED}")
    print("score | " + " | ".join(f"day {d / 24:.0f}" for d in AHEAD) + " | all | forecast is better by")
    for name, rows in found.items():
        score = name.split()[0]
        better = 1 - found[f"{score} forecast"].mean() / rows.mean()
        print(f"{name} | " + " | ".join(f"{x:.3f}" for x in rows.mean(axis=0)) + f" | {rows.mean():.3f} | {better:.0%}")


if __name__ == "__main__":
    main()
