"""Skill on day 8: forecasts of days 9-14 against the last count and the population, on patients of another card.

python benchmarks/forecast_skill.py [--patients 300]
"""

from __future__ import annotations

import argparse
import math

import numpy as np

import leukopenia as lk
from leukopenia.forecast import Counts, Regimen
from leukopenia.forecast.scores import METHODS, Score, summary

TRUTH = "friberg2002-docetaxel-emax"
"""Patients come from this card: another drug effect, other parameters, another pharmacokinetics."""

USED = "netterberg2017-docetaxel"
REGIMEN = Regimen([0.0], 180.0, 1.0)
SEEN = np.array([0.0, 3.0, 5.0, 7.0, 8.0])
AHEAD = np.arange(9.0, 15.0)
ERROR = 0.3
"""Standard deviation of the logarithm of a measured count."""


def patients(n: int, seed: int) -> np.ndarray:
    """Measured counts (n, T) at the days seen and ahead."""
    card, random = lk.forecast.card(TRUTH), np.random.default_rng(seed)
    typical = card.typical({})
    own = {
        p.name: typical[p.name] * np.exp(random.standard_normal(n) * math.sqrt(p.variance or 0)) for p in card.varying
    }
    true = lk.forecast.solve(card, REGIMEN, np.concatenate([SEEN, AHEAD]) * 24.0, own)
    return np.asarray(true * np.exp(random.normal(0, ERROR, true.shape)))


def scored(n: int, seed: int = 3) -> list[Score]:
    """Scores of the measured counts of days 9 to 14."""
    hours, found = np.concatenate([SEEN, AHEAD]) * 24.0, []
    for person, measured in enumerate(patients(n, seed)):
        found += lk.forecast.replay_scores(Counts(hours, measured), REGIMEN, USED, [8], seed=person)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=300)
    rows = summary(scored(parser.parse_args().patients), [day - 8.0 for day in AHEAD])
    print(f"{rows[-1]['n'] // AHEAD.size} patients of {TRUTH}, forecast on day 8 with {USED}")
    print("score | " + " | ".join(f"day {day:.0f}" for day in AHEAD) + " | all | forecast is better by")
    for score in ("crps", "brier", "within_50", "within_90"):
        for method in METHODS:
            values = [row[score] for row in rows if row["method"] == method]
            if None not in values:
                gain = "" if score.startswith("within") else f"{1 - rows[-3][score] / values[-1]:.0%}"
                print(f"{score} {method} | " + " | ".join(f"{value:.3f}" for value in values) + f" | {gain}")


if __name__ == "__main__":
    main()
