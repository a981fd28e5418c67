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
    """A function that gives counts (n, 85), or None where diffrax is not installed.

    It is given the drug in closed form too, segment by segment, for with compartments as equations it is ten times slower.
    """
    if find_spec("diffrax") is None:
        return None
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def field(t: Any, y: Any, given: Any) -> Any:
        p, begin, steady, fast, slow, decay = given
        c = steady + fast * jnp.exp(-decay[0] * (t - begin)) + slow * jnp.exp(-decay[1] * (t - begin))
        prol, t1, t2, t3, w = y
        rates = [prol * ((1 - p["slope"] * c) * (p["circ0"] / w) ** 0.239 - 1), prol - t1, t1 - t2, t2 - t3, t3 - w]
        return 4.0 / p["mtt"] * jnp.stack(rates)

    def modes(p: Any) -> tuple[Any, Any]:
        k10, k12, k21 = p["cl"] / p["v1"], FLOW / p["v1"], FLOW / p["v2"]
        total = k10 + k12 + k21
        first = 0.5 * (total + jnp.sqrt(total**2 - 4 * k10 * k21))
        second = k10 * k21 / first
        share = jnp.array([(k21 - first) / (second - first), (k21 - second) / (first - second)])
        return jnp.array([first, second]), share / p["v1"]

    def one(p: Any) -> Any:
        decay, share = modes(p)
        y, held, out = jnp.full(5, p["circ0"]), jnp.zeros(2), [p["circ0"][None]]
        for begin, end in itertools.pairwise(EDGES):
            steady = (AMOUNT / LASTING if begin in STARTS else 0.0) * share / decay
            asked = [float(t) for t in TIMES if begin < t <= end]
            given = (p, begin, steady.sum(), held[0] - steady[0], held[1] - steady[1], decay)
            done = diffrax.diffeqsolve(
                *(diffrax.ODETerm(field), diffrax.Tsit5(), float(begin), float(end), 0.05, y, given),
                saveat=diffrax.SaveAt(ts=jnp.array(sorted({*asked, float(end)}))),
                stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol * 1e-2),
                max_steps=None,
                adjoint=diffrax.ForwardMode(),
            )
            out.append(done.ys[: len(asked), 4])
            y, held = done.ys[-1], steady + (held - steady) * jnp.exp(-decay * (end - begin))
        return jnp.concatenate(out)

    whole = jax.jit(jax.vmap(one))
    return lambda: np.asarray(whole({name: jnp.asarray(x) for name, x in own.items()}))
