"""The plain twin of the forecast room: amounts as differential equations, powers as powers, one person at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import minimize
from scipy.stats import norm

Right = Callable[[float, np.ndarray], np.ndarray]
Dose = tuple[float, float, float]
"""Time, amount, duration."""


def integrate(
    right: Callable[[float], Right],
    start: Sequence[float],
    doses: Sequence[Dose],
    times: Sequence[float],
    into: int = 0,
    method: str = "DOP853",
    breaks: Sequence[float] = (),
) -> np.ndarray:
    """States at the times; `right(rate)` gives the equations while so much is infused per hour."""
    first = min([t for t, _, _ in doses] + list(breaks))
    stops = {first, max(max(times), first)} | {t for t in breaks}
    stops |= {x for t, _, hours in doses for x in (t, t + hours)}
    edges = sorted(x for x in stops if x <= max(max(times), first))
    y = np.array(start, dtype=float)
    out = {float(t): y.copy() for t in times if t <= first}
    for begin, end in itertools.pairwise(edges):
        for t, amount, hours in doses:
            if hours == 0 and t == begin:
                y[into] += amount
        rate = sum(amount / hours for t, amount, hours in doses if hours > 0 and t <= begin < t + hours)
        asked = [float(t) for t in times if begin < t <= end]
        atol = 1e-60 if method == "DOP853" else 1e-13
        done = solve_ivp(right(rate), (begin, end), y, method, sorted({*asked, end}), rtol=1e-12, atol=atol)
        assert done.success
        found = dict(zip(done.t, done.y.T, strict=True))
        out |= {t: found[t] for t in asked}
        y = found[end].copy()
    return np.array([out[float(t)] for t in times])


def chain(
    c: float, y: Sequence[float], circ0: float, ktr: float, kcirc: float, gamma: float, drug: float
) -> list[float]:
    """The chain of Friberg; `y` in units of its values before treatment."""
    p, t1, t2, t3, w = y
    return [
        ktr * p * ((1 - drug) * (1 / w) ** gamma - 1),
        ktr * (p - t1),
        ktr * (t1 - t2),
        ktr * (t2 - t3),
        kcirc * (t3 - w),
    ]


def friberg(
    values: dict[str, float], micro: dict[str, float], doses: Sequence[Dose], times: Sequence[float]
) -> np.ndarray:
    """Counts under a drug of up to three compartments."""
    k = {"k12": 0.0, "k21": 0.0, "k13": 0.0, "k31": 0.0, **micro}
    ktr = 4 / values["mtt"]

    def right(rate: float) -> Right:
        def f(t: float, y: np.ndarray) -> np.ndarray:
            a, b, d = y[:3]
            c = a / k["v1"] * (1000 / values["molar_mass"] if "molar_mass" in values else 1)
            drug = values["slope"] * c if "slope" in values else values["emax"] * c / (values["ec50"] + c)
            pk = [
                rate - (k["k10"] + k["k12"] + k["k13"]) * a + k["k21"] * b + k["k31"] * d,
                k["k12"] * a - k["k21"] * b,
                k["k13"] * a - k["k31"] * d,
            ]
            kcirc = values.get("kcirc", ktr)
            return np.array(pk + chain(c, y[3:], values["circ0"], ktr, kcirc, values["gamma"], drug))

        return f

    return values["circ0"] * integrate(right, [0, 0, 0, 1, 1, 1, 1, 1], doses, times)[:, 7]


def constant_pieces(
    values: dict[str, float], starts: Sequence[float], held: Sequence[float], times: Sequence[float]
) -> np.ndarray:
    """Counts under a concentration that is constant between the starts."""
    ktr = 4 / values["mtt"]
    y = np.ones(5)
    out: dict[float, float] = {t: 1.0 for t in times if t <= starts[0]}
    for n, begin in enumerate(starts):
        end = starts[n + 1] if n + 1 < len(starts) else max(times)
        asked = [t for t in times if begin < t <= end]
        if end <= begin:
            continue

        def f(t: float, y: np.ndarray, c: float = held[n]) -> np.ndarray:
            return np.array(chain(c, y, 1.0, ktr, ktr, values["gamma"], values["slope"] * c))

        done = solve_ivp(f, (begin, end), y, method="DOP853", t_eval=sorted({*asked, end}), rtol=1e-12, atol=1e-14)
        found = dict(zip(done.t, done.y.T, strict=True))
        out |= {t: found[t][4] for t in asked}
        y = found[end]
    return values["circ0"] * np.array([out[t] for t in times])


def quartino(p: dict[str, float], micro: dict[str, float], dose: Dose, times: Sequence[float]) -> np.ndarray:
    """Counts with endogenous G-CSF."""
    ktr, kcirc = 5 / p["mtt"], math.log(2) / p["half_removal"]
    stage = kcirc * p["circ0"] / ktr
    made = (p["ke"] + p["kanc"] * p["circ0"]) * p["g0"]

    def right(rate: float) -> Right:
        def f(t: float, y: np.ndarray) -> np.ndarray:
            a, prol, t1, t2, t3, t4, w, g = y
            up, on = (g / p["g0"]) ** p["gamma"], (g / p["g0"]) ** p["beta"]
            drug = p["slope"] * a / micro["v1"]
            return np.array(
                [
                    rate - micro["k10"] * a,
                    ktr * prol * (1 - drug) * up - ktr * prol * on,
                    ktr * on * (prol - t1),
                    ktr * on * (t1 - t2),
                    ktr * on * (t2 - t3),
                    ktr * on * (t3 - t4),
                    ktr * on * t4 - kcirc * w,
                    made - (p["ke"] + p["kanc"] * w) * g,
                ]
            )

        return f

    return integrate(right, [0, *[stage] * 5, p["circ0"], p["g0"]], [dose], times, method="Radau")[:, 6]


def radiation(p: dict[str, float], dose: float, times: Sequence[float]) -> np.ndarray:
    """Counts after radiation."""
    stage = p["kcirc"] * p["circ0"] / p["ktr"]

    def right(rate: float) -> Right:
        def f(t: float, y: np.ndarray) -> np.ndarray:
            left, stem, mitotic, p1, p2, w = y
            kill = p["kkill"] * max(left, 0.0) ** p["exponent"]
            return np.array(
                [
                    -p["kdecay"] * left,
                    p["kcirc"] * p["circ0"] - p["ktr"] * stem,
                    p["ktr"] * stem - (p["ktr"] + kill) * mitotic,
                    p["ktr"] * (mitotic - p1),
                    p["ktr"] * (p1 - p2),
                    p["ktr"] * p2 - p["kcirc"] * w,
                ]
            )

        return f

    return integrate(right, [0, *[stage] * 4, p["circ0"]], [(0.0, dose, 0.0)], times, method="Radau")[:, 5]


def nab_paclitaxel(p: dict[str, float], dose: Dose, times: Sequence[float]) -> np.ndarray:
    """Counts under albumin-bound paclitaxel."""
    ktr = 4 / p["mtt"]

    def right(rate: float) -> Right:
        def f(t: float, y: np.ndarray) -> np.ndarray:
            c, deep, shallow = y[0] / p["v1"], y[1] / p["v2"], y[2] / p["v3"]
            out = p["vmtr"] * (c / (p["kmtr"] + c) - deep / (p["kmtr"] + deep))
            flow = p["q3"] * (c - shallow)
            pk = [rate - out - flow - p["vmel"] * c / (p["kmel"] + c), out, flow]
            return np.array(pk + chain(c, y[3:], 1.0, ktr, ktr, p["gamma"], p["slope"] * c))

        return f

    return p["circ0"] * integrate(right, [0, 0, 0, 1, 1, 1, 1, 1], [dose], times, method="Radau")[:, 7]


def _signal(t: float, height: float, peak: float, shape: float) -> float:
    return height * (t / peak * math.exp(1 - t / peak)) ** shape


def _strength(dose: float, p: dict[str, float]) -> float:
    return dose ** p["hill"] / (p["ed50"] ** p["hill"] + dose ** p["hill"])


def redistribution(p: dict[str, float], dose: float, times: Sequence[float]) -> np.ndarray:
    """Neutrophils after endotoxin, cell by cell: from the blood to the wall, back, out; from the reserve."""
    strength = _strength(dose, p)
    wall, stored = p["circ0"] * p["marginated_ratio"], p["circ0"] * p["reserve_ratio"]
    made = p["kcirc"] * (p["circ0"] + wall)

    def f(t: float, y: np.ndarray) -> list[float]:
        blood, margin, reserve = y
        sticky = 1 + _signal(t, strength * p["margination"], p["margination_peak"], 2)
        open_ = 1 + _signal(t, strength * p["release"], p["release_peak"], p["release_shape"])
        to_wall = (p["kdemargination"] + p["kcirc"]) * wall * sticky * blood / p["circ0"]
        let_out, back = made * open_ * reserve / stored, p["kdemargination"] * margin
        out, out_of_wall = p["kcirc"] * blood, p["kcirc"] * margin
        return [let_out + back - to_wall - out, to_wall - back - out_of_wall, made - let_out]

    return _from_zero(f, [p["circ0"], wall, stored], times)


def exchange(p: dict[str, float], dose: float, times: Sequence[float]) -> np.ndarray:
    """Lymphocytes or monocytes after endotoxin; what is not in the blood is outside."""
    strength, everywhere = _strength(dose, p), p["circ0"] * (1 + p["outside_ratio"])

    def f(t: float, y: np.ndarray) -> list[float]:
        leaving = 1 + _signal(t, strength * p["departure"], p["departure_peak"], p["departure_shape"])
        return [p["kreturn"] * (everywhere - y[0] - p["outside_ratio"] * leaving * y[0])]

    return _from_zero(f, [p["circ0"]], times)


def _from_zero(f: Callable[[float, np.ndarray], list[float]], start: list[float], times: Sequence[float]) -> np.ndarray:
    done = solve_ivp(f, (0, max(times)), start, "LSODA", times, rtol=1e-10, atol=1e-12, max_step=0.1)
    assert done.success
    return done.y[0]


def objective(
    logs: np.ndarray,
    y: Sequence[float],
    below: Sequence[bool],
    form: str,
    sd: float,
    eta: np.ndarray,
    omega: np.ndarray,
) -> float:
    """Minus twice the joint log density without n log 2 pi, from the textbook."""
    total = float((eta**2 / omega).sum())
    for g, value, censored in zip(logs, y, below, strict=True):
        spread = sd * math.exp(g) if form == "proportional" else sd
        off = value - math.exp(g) if form == "proportional" else math.log(value) - g
        total += -2 * norm.logcdf(off / spread) if censored else math.log(spread**2) + (off / spread) ** 2
    return total


def focei(
    predict: Callable[[np.ndarray], np.ndarray], y: Sequence[float], form: str, sd: float, omega: np.ndarray
) -> tuple[np.ndarray, float]:
    """Effects at the mode and the FOCEI objective of one person; `predict` gives log counts for effects."""
    seen = [False] * len(y)

    def joint(eta: np.ndarray) -> float:
        return objective(predict(eta), y, seen, form, sd, eta, omega)

    eta = minimize(joint, np.zeros(len(omega)), method="BFGS", options={"gtol": 1e-5, "eps": 1e-5}).x
    step = 1e-4 * np.eye(len(omega))
    f = np.exp(predict(eta))
    slope = np.array([(np.exp(predict(eta + e)) - np.exp(predict(eta - e))) / 2e-4 for e in step])
    information = np.diag(1 / omega)
    if form == "proportional":
        variance, by_eta = (sd * f) ** 2, 2 * sd**2 * f * slope
        information += (slope / variance) @ slope.T + 0.5 * (by_eta / variance**2) @ by_eta.T
    else:
        information += (slope / f) @ (slope / f).T / sd**2
    return eta, joint(eta) + math.log(np.prod(omega)) + math.log(np.linalg.det(information))


def marks(times: Sequence[float], counts: Sequence[float], level: float) -> dict[str, float]:
    """Nadir, first and last crossing, and hours below a level, from a dense curve that falls once."""
    late = [n for n, t in enumerate(times) if t >= 72]
    lowest = min(late, key=lambda n: counts[n])
    under = [t for t, c in zip(times, counts, strict=True) if c < level]
    step = times[1] - times[0]
    return {
        "nadir_day": times[lowest] / 24,
        "nadir": counts[lowest],
        "start": min(under) / 24,
        "end": (max(under) + step) / 24,
        "days": len(under) * step / 24,
    }
