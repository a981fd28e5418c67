"""A second opinion on posteriors: NUTS of numpyro over curves of diffrax, which share no code with the package.

python benchmarks/forecast_judge.py [--rounds 40] [--keep]

Needs the dependency group `judge`. The twenty cases are virtual patients. `--keep` writes cases and quantiles to
`tests/unit/cases`, so that the test against them needs neither numpyro nor diffrax.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from numpyro import distributions as spread
from numpyro.diagnostics import effective_sample_size
from numpyro.infer.hmc import hmc
from scipy.optimize import minimize
from scipy.stats import beta

import leukopenia as lk
from leukopenia.forecast import Counts, Regimen
from leukopenia.forecast.model_card import Card

jax.config.update("jax_enable_x64", True)

KEPT = Path(__file__).parents[1] / "tests" / "unit" / "cases"
QUANTILES = (0.05, 0.5, 0.95)
HOURS = np.arange(72.0, 481.0, 4.0)
"""Where the nadir is looked for: from 72 h on to day 20, every four hours, then on a parabola."""


SEED, CASES = 20261129, 20
CHAINS, TURNS, STEP = 16, 16, 0.5


@dataclass(frozen=True)
class Kind:
    """A card with a way to dose it: amounts, hours of infusion, limit of detection."""

    card: str
    amounts: tuple[float, float]
    lasting: float
    limit: float


KINDS = (
    Kind("netterberg2017-docetaxel", (110.0, 200.0), 1.0, 0.3),
    Kind("friberg2002-paclitaxel-leukocytes", (300.0, 550.0), 3.0, 1.8),
)
VISITS = np.array([0.0, 3.0, 5.0, 7.0, 8.0, 10.0, 12.0]) * 24.0


@dataclass(frozen=True)
class Case:
    """One virtual patient: what was given and what was counted so far."""

    name: str
    kind: Kind
    amount: float
    counts: Counts

    @property
    def regimen(self) -> Regimen:
        return Regimen([0.0], self.amount, self.kind.lasting)


def invented(seed: int) -> Case:
    """A patient of one of the cards who has been seen four to seven times; counts below a limit are censored."""
    random = np.random.default_rng([SEED, seed])
    kind = KINDS[0] if seed % 5 < 3 else KINDS[1]
    card = lk.forecast.card(kind.card)
    typical = card.typical({})
    own = {p.name: typical[p.name] * np.exp(random.normal(0, np.sqrt(p.variance or 0))) for p in card.varying}
    amount = float(np.round(random.uniform(*kind.amounts)))
    visits = VISITS[: 4 + seed % 4]
    given, mesh = exposure(card, amount, kind.lasting), mesh_to(VISITS[-1], kind.lasting)
    true = np.exp(np.asarray(log_counts(given, {**typical, **own}, jnp.array(visits), mesh)))
    error = random.normal(0, card.residual or 0, visits.size)
    seen = true * (1 + error) if card.residual_form == "proportional" else true * np.exp(error)
    seen = np.round(np.maximum(seen, kind.limit), 2)
    return Case(f"{seed:02d}", kind, amount, Counts(visits, seen, seen <= kind.limit))


def mesh_to(end: float, lasting: float) -> np.ndarray:
    """Where steps end: fine during the infusion and while the drug is distributed, then every ten hours."""
    inside = np.linspace(0, lasting, 4)
    after = lasting + np.array([0.1, 0.25, 0.5, 1.0, 1.8, 3.0, 5.0, 8.0, 12.0, 18.0, 26.0])
    return np.concatenate([inside, after, np.arange(lasting + 36.0, end - 4.0, 10.0), [end]])


def exposure(card: Card, amount: float, lasting: float) -> tuple[Any, Any, Any]:
    """A concentration after one infusion as a sum of exponentials, by eigenvectors of the matrix of the compartments."""
    p = card.typical({})
    if "k10" not in p:
        p = {**p, "k10": p["cl"] / p["v1"], "k12": p["q"] / p["v1"], "k21": p["q"] / p["v2"]}
    k10, k12, k21, k13, k31 = (p.get(name, 0.0) for name in ("k10", "k12", "k21", "k13", "k31"))
    k31 = k31 or 1.0
    matrix = np.array([[-k10 - k12 - k13, k21, k31], [k12, -k21, 0.0], [k13, 0.0, -k31]])
    values, vectors = np.linalg.eig(matrix)
    share = vectors[0] * np.linalg.inv(vectors)[:, 0]
    scale = 1000.0 / p["molar_mass"] if "molar_mass" in p else 1.0
    return jnp.array(share * amount / lasting / p["v1"] * scale / -values), jnp.array(-values), jnp.array(lasting)


def concentration(given: tuple[Any, Any, Any], t: Any) -> Any:
    weights, rates, lasting = given
    return (weights * (jnp.exp(-rates * jnp.maximum(t - lasting, 0.0)) - jnp.exp(-rates * t))).sum()


def log_counts(given: tuple[Any, Any, Any], p: Mapping[str, Any], times: Any, mesh: Any) -> Any:
    """At times on the mesh, sorted: the equations of Friberg as they are published, for the logarithms of the cells."""

    def field(t: Any, y: Any, _: Any) -> Any:
        prol, t1, t2, t3, circ = y
        grow = (1.0 - p["slope"] * concentration(given, t)) * jnp.exp(-p["gamma"] * circ) - 1.0
        pairs = ((prol, t1), (t1, t2), (t2, t3), (t3, circ))
        return 4.0 / p["mtt"] * jnp.stack([grow, *(jnp.exp(before - here) - 1.0 for before, here in pairs)])

    done = diffrax.diffeqsolve(
        *(diffrax.ODETerm(field), diffrax.Tsit5(), 0.0, mesh[-1], None, jnp.zeros(5)),
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.StepTo(mesh),
        adjoint=diffrax.ForwardMode(),
    )
    return jnp.log(p["circ0"]) + done.ys[:, 4]


def potential(z: Any, kind: Kind, given: Any, y: Any, below: Any, seen: Any) -> Any:
    """Minus the log density of effects (in standard deviations) and counts; below the limit by the chance to lie there."""
    card = lk.forecast.card(kind.card)
    logs = log_counts(given, person(card, z), jnp.array(VISITS), mesh_to(VISITS[-1], kind.lasting))
    if card.residual_form == "proportional":
        law, at = spread.Normal(jnp.exp(logs), card.residual * jnp.exp(logs)), y
    else:
        law, at = spread.Normal(logs, card.residual), jnp.log(y)
    each = jnp.where(below, jax.scipy.special.log_ndtr((at - law.loc) / law.scale), law.log_prob(at))
    return 0.5 * (z * z).sum() - jnp.where(seen, each, 0.0).sum()


@cache
def scale_finder(kind: Kind) -> Any:
    """A compiled function: effects and data -> potential and its gradient."""

    def both(z: Any, *data: Any) -> Any:
        return potential(z, kind, *data), jax.jacfwd(potential)(z, kind, *data)

    return jax.jit(both)


def standardised(kind: Kind, data: tuple[Any, ...]) -> tuple[Any, Any]:
    """Mode and scale of the posterior, so that NUTS walks in coordinates in which it is about a standard normal."""
    found = minimize(lambda z: [np.asarray(x) for x in scale_finder(kind)(z, *data)], np.zeros(3), jac=True)
    return jnp.array(found.x), jnp.array(np.linalg.cholesky(found.hess_inv))


def person(card: Card, z: Any) -> dict[str, Any]:
    """Parameters of a person whose effects are z standard deviations."""
    typical = card.typical({})
    own = {x.name: typical[x.name] * jnp.exp(z[n] * np.sqrt(x.variance or 0)) for n, x in enumerate(card.varying)}
    return {**{name: typical[name] for name in ("circ0", "mtt", "gamma", "slope")}, **own}


def lowest(z: Any, kind: Kind, given: Any) -> Any:
    """The nadir of a person: the lowest log count of the grid, on the parabola through its neighbours."""
    grid = jnp.array(HOURS)
    logs = log_counts(given, person(lk.forecast.card(kind.card), z), grid, mesh_to(HOURS[-1], kind.lasting))
    n = jnp.clip(logs.argmin(), 1, grid.size - 2)
    left, right = logs[n - 1] - logs[n], logs[n + 1] - logs[n]
    return logs[n] - 0.125 * (left - right) ** 2 / (left + right)


@dataclass(frozen=True)
class Verdict:
    """Quantiles of the nadir with their Monte Carlo standard errors, effective draws and divergences."""

    quantiles: np.ndarray
    errors: np.ndarray
    effective: float
    divergent: int

    def row(self) -> dict[str, Any]:
        """With four digits; errors as shares of the quantiles."""
        names = ("low", "median", "high")
        quantiles = {name: f"{x:.4f}" for name, x in zip(names, self.quantiles, strict=True)}
        shares = self.errors / self.quantiles
        errors = {f"{name}_error": f"{x:.4f}" for name, x in zip(names, shares, strict=True)}
        return {**quantiles, **errors, "effective": round(self.effective), "divergent": self.divergent}


def walks(kind: Kind, cases: Sequence[Case], rounds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Nadirs (cases, CHAINS, TURNS) and divergences (cases, CHAINS) of round after round of the same chains.

    All chains of all cases go in step, compiled once. They walk in coordinates in which the posterior is about a
    standard normal, so the step of the leapfrog is fixed; they start at draws from that normal, and the first round,
    in which they leave it, is not given.
    """
    data = [(exposure(lk.forecast.card(kind.card), one.amount, kind.lasting), *padded(one.counts)) for one in cases]
    near = [standardised(kind, one) for one in data]
    given = jax.tree.map(lambda *x: jnp.stack(x), *[(*n, d) for n, d in zip(near, data, strict=True)])
    start, turn = hmc(
        potential_fn_gen=lambda mode, scale, own: lambda u: potential(mode + scale @ u, kind, *own), algo="NUTS"
    )
    how: dict[str, Any] = {"adapt_step_size": False, "adapt_mass_matrix": False, "forward_mode_differentiation": True}

    def begin(one: Any, key: Any) -> Any:
        u = jax.random.normal(key, (3,))
        return start(u, 0, step_size=STEP, max_tree_depth=4, model_args=one, rng_key=key, **how)

    def go(state: Any, one: Any) -> Any:
        mode, scale, own = one

        def next_turn(state: Any, _: Any) -> Any:
            state = turn(state, one)
            return state, (lowest(mode + scale @ state.z, kind, own[0]), state.diverging)

        return jax.lax.scan(next_turn, state, None, TURNS)

    keys = jax.random.split(jax.random.PRNGKey(SEED), (len(cases), CHAINS))
    state = jax.vmap(jax.vmap(begin, (None, 0)))(given, keys)
    whole = jax.jit(jax.vmap(jax.vmap(go, (0, None))))
    state = whole(state, given)[0]
    for _ in range(rounds):
        state, (logs, diverging) = whole(state, given)
        yield np.exp(np.asarray(logs)), np.asarray(diverging).sum(axis=-1)


def judged(found: np.ndarray, divergent: int) -> Verdict:
    """Quantiles of nadirs (chains, draws)."""
    at = np.quantile(found, QUANTILES)
    errors, effective = zip(*(quantile_error(found, *each) for each in zip(QUANTILES, at, strict=True)), strict=True)
    return Verdict(at, np.array(errors), min(effective), divergent)


def padded(counts: Counts) -> tuple[Any, ...]:
    """Counts of every visit, whether below the limit and whether seen yet: of one length, so that all are compiled once."""
    n = len(counts.times)
    more = VISITS.size - n
    y, below = np.append(counts.values, np.ones(more)), np.append(counts.below, np.zeros(more, bool))
    return tuple(jnp.array(x) for x in (y, below, np.arange(VISITS.size) < n))


def quantile_error(draws: np.ndarray, q: float, at: float) -> tuple[float, float]:
    """Monte Carlo standard error of a quantile of draws (chains, n), and the effective draws (Vehtari and others 2021)."""
    effective = float(effective_sample_size((draws <= at).astype(float)))
    shape = beta(effective * q + 1, effective * (1 - q) + 1)
    low, high = np.quantile(draws, shape.ppf([0.1586553, 0.8413447]))
    return float((high - low) / 2), effective


def verdicts(cases: Sequence[Case], rounds: int) -> dict[str, tuple[Case, Verdict]]:
    """What NUTS says of cases, by name; a round is 256 draws of each."""
    found: dict[str, tuple[Case, Verdict]] = {}
    for kind in KINDS:
        own = [case for case in cases if case.kind == kind]
        if own:
            nadirs, divergent = zip(*walks(kind, own, rounds), strict=True)
            whole, bad = np.concatenate(nadirs, axis=-1), np.sum(divergent, axis=(0, 2))
            found |= {case.name: (case, judged(x, int(n))) for case, x, n in zip(own, whole, bad, strict=True)}
    return dict(sorted(found.items()))


def keep(found: Mapping[str, tuple[Case, Verdict]]) -> None:
    """Write cases and verdicts where the test reads them."""
    made = ", ".join(f"{name} {version(name)}" for name in ("numpyro", "diffrax", "jax"))
    judgements, counts = [], []
    for name, (case, verdict) in found.items():
        what = {"case": name, "card": case.kind.card, "amount": case.amount, "hours": case.kind.lasting}
        judgements.append({**what, **verdict.row(), "made_with": f"{made}, seed {SEED}"})
        each = zip(case.counts.times, case.counts.values, case.counts.below, strict=True)
        counts += [{"case": name, "hour": t, "count": y, "below": int(below)} for t, y, below in each]
    for file, rows in (("forecast_nuts.csv", judgements), ("forecast_nuts_counts.csv", counts)):
        with (KEPT / file).open("w", newline="") as out:
            writer = csv.DictWriter(out, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--keep", action="store_true")
    chosen = parser.parse_args()
    found = verdicts([invented(seed) for seed in range(CASES)], chosen.rounds)
    print("case | card | NUTS 0.05, 0.5, 0.95 of the nadir | its error | effective | divergent | ours off by")
    for name, (case, verdict) in found.items():
        nadir = lk.forecast.predict(case.counts, case.regimen, case.kind.card).markers["nadir"]
        off = np.array([nadir.low, nadir.median, nadir.high]) / verdict.quantiles - 1
        quantiles, errors = verdict.quantiles.round(3), (verdict.errors / verdict.quantiles).round(4)
        print(
            name,
            case.kind.card,
            quantiles,
            errors,
            round(verdict.effective),
            verdict.divergent,
            off.round(4),
            sep=" | ",
        )
    if chosen.keep:
        keep(found)


if __name__ == "__main__":
    main()
