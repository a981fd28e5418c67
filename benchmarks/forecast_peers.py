"""The same problem by solvers of others: SciPy's LSODA and DOP853 with a right-hand side in Python; diffrax where installed."""

from __future__ import annotations

import itertools
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

TIMES = np.arange(85) * 24.0
STARTS = (0.0, 504.0, 1008.0, 1512.0)
AMOUNT, LASTING, FLOW = 410.0, 3.0, 204.0
EDGES = tuple(sorted({t + d for t in STARTS for d in (0.0, LASTING)} | {TIMES[-1]}))

People = dict[str, np.ndarray]


def people(n: int, seed: int = 7) -> People:
    """Problem P1: the population of DDMODEL00000186 with 20 % on the pharmacokinetics."""
    random = np.random.default_rng(seed)

    def spread(typical: float, variance: float) -> np.ndarray:
        return typical * np.exp(random.standard_normal(n) * np.sqrt(variance))

    spreads = {"circ0": (7.21, 0.107), "mtt": (124.0, 0.0296), "slope": (28.9, 0.176)}
    spreads |= {"cl": (280.0, 0.04), "v1": (301.0, 0.04), "v2": (1000.0, 0.04)}
    return {name: spread(*each) for name, each in spreads.items()}


def _right(p: dict[str, float], rate: float) -> Any:
    k10, k12, k21, ktr = p["cl"] / p["v1"], FLOW / p["v1"], FLOW / p["v2"], 4.0 / p["mtt"]

    def f(t: float, y: np.ndarray) -> list[float]:
        a, b, prol, t1, t2, t3, w = y
        return [
            rate - (k10 + k12) * a + k21 * b,
            k12 * a - k21 * b,
            ktr * prol * ((1 - p["slope"] * a / p["v1"]) * (p["circ0"] / w) ** 0.239 - 1),
            ktr * (prol - t1),
            ktr * (t1 - t2),
            ktr * (t2 - t3),
            ktr * (t3 - w),
        ]

    return f


def scipy_counts(own: People, method: str, rtol: float, atol: float) -> np.ndarray:
    """Counts (n, 85), one person after the other, stopped where an infusion starts or ends."""
    n = own["circ0"].size
    out = np.empty((n, TIMES.size))
    for person in range(n):
        p = {name: float(x[person]) for name, x in own.items()}
        y = np.array([0.0, 0.0, *[p["circ0"]] * 5])
        out[person, 0] = p["circ0"]
        for begin, end in itertools.pairwise(EDGES):
            rate = AMOUNT / LASTING if begin in STARTS else 0.0
            asked = TIMES[(begin < TIMES) & (end >= TIMES)]
            t_eval = np.unique(np.append(asked, end))
            done = solve_ivp(_right(p, rate), (begin, end), y, method, t_eval, rtol=rtol, atol=atol)
            here = np.isin(done.t, asked)
            out[person, np.searchsorted(TIMES, done.t[here])] = done.y[6, here]
            y = done.y[:, -1]
    return out


def diffrax_counts(own: People, rtol: float) -> Any:
    """A function that gives counts (n, 85) on one core, or None where diffrax is not installed."""
    if find_spec("diffrax") is None:
        return None
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    edges = jnp.array(EDGES[:-1])

    def field(t: Any, y: Any, p: Any) -> Any:
        since = t - edges[jnp.searchsorted(edges, t, side="right") - 1]
        infusing = (jnp.searchsorted(edges, t, side="right") % 2 == 1) & (since < LASTING)
        k10, k12, k21, ktr = p["cl"] / p["v1"], FLOW / p["v1"], FLOW / p["v2"], 4.0 / p["mtt"]
        a, b, prol, t1, t2, t3, w = y
        kill = p["slope"] * a / p["v1"]
        return jnp.stack(
            [
                jnp.where(infusing, AMOUNT / LASTING, 0.0) - (k10 + k12) * a + k21 * b,
                k12 * a - k21 * b,
                ktr * prol * ((1 - kill) * (p["circ0"] / w) ** 0.239 - 1),
                ktr * (prol - t1),
                ktr * (t1 - t2),
                ktr * (t2 - t3),
                ktr * (t3 - w),
            ]
        )

    def one(p: Any) -> Any:
        start = jnp.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]) * jnp.where(jnp.arange(7) < 2, 0.0, p["circ0"])
        control = diffrax.PIDController(rtol=rtol, atol=rtol * 1e-3, jump_ts=edges)
        done = diffrax.diffeqsolve(
            *(diffrax.ODETerm(field), diffrax.Tsit5(), 0.0, float(TIMES[-1]), 0.05, start, p),
            saveat=diffrax.SaveAt(ts=jnp.array(TIMES)),
            stepsize_controller=control,
            max_steps=100_000,
        )
        return done.ys[:, 6]

    whole = jax.jit(jax.vmap(one))
    return lambda: np.asarray(whole({name: jnp.asarray(x) for name, x in own.items()}))
