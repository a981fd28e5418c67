"""Published models as their second places write them: amounts, flows and cells as differential equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.integrate import solve_ivp

Person = dict[str, float]
Right = Callable[[float, np.ndarray], list[float]]


def between(
    right: Right, y: Sequence[float], gifts: Sequence[tuple[float, int, float]], times: np.ndarray
) -> np.ndarray:
    """States at the times, solved from gift to gift: at a time, into a state, so much."""
    state, at, out = np.array(y, dtype=float), gifts[0][0], {}
    out |= {float(t): state.copy() for t in times if t < at}
    for n, (time, into, amount) in enumerate(gifts):
        state[into] += amount
        end = gifts[n + 1][0] if n + 1 < len(gifts) else max(times[-1], time)
        asked = [float(t) for t in times if time <= t <= end]
        done = solve_ivp(right, (time, end), state, "Radau", sorted({*asked, end}), rtol=1e-11, atol=1e-14)
        assert done.success
        found = dict(zip(done.t, done.y.T, strict=True))
        out |= {t: found[t] for t in asked}
        state = found[end].copy()
    return np.array([out[float(t)] for t in times])


def cells(pool: Sequence[float], ktr: float, base: float, gamma: float, drug: float) -> list[float]:
    """Proliferation, three stages and the blood, in cells."""
    prol, one, two, three, circ = pool
    made = ktr * prol * (1 - drug) * (base / circ) ** gamma - ktr * prol
    return [made, ktr * prol - ktr * one, ktr * one - ktr * two, ktr * two - ktr * three, ktr * three - ktr * circ]


ERIBULIN_PERSON = {"WT": 68.7, "ALB": 40.0, "ALP": 132.0, "TBILI": 0.5 * 17.1, "LDH": 238.0, "AST": 30.0, "GCSF": 0.0}


def eribulin(person: Person, milligrams: Sequence[tuple[float, float]], times: np.ndarray) -> np.ndarray:
    """Neutrophils per microlitre; albumin in g/L, bilirubin in umol/L, eribulin in mg, as in nlmixr2lib."""
    albumin, bilirubin, size = person["ALB"] / 10, person["TBILI"] / 17.1, person["WT"] / 68.7
    cl = 3.11 * size**0.75 * (albumin / 4) ** 0.946 * (person["ALP"] / 132) ** -0.209 * (bilirubin / 0.5) ** -0.180
    q2, q3, v1, v2, v3 = 2.64 * size**0.75, 6.60 * size**0.75, 4.06 * size, 2.42 * size, 121 * size
    mtt = 109 * (albumin / 4) ** 0.374 * (bilirubin / 2) ** -0.046 * (person["ALP"] / 100) ** -0.0337
    mtt *= (person["LDH"] / 238) ** -0.0561 * 0.883 ** person["GCSF"]
    slope = 0.0451 * (albumin / 4) ** 0.763 * (person["AST"] / 30) ** 0.119 * 1.3 ** person["GCSF"]

    def right(t: float, y: np.ndarray) -> list[float]:
        a, b, c = y[0] / v1, y[1] / v2, y[2] / v3
        to_b, to_c = q2 * (a - b), q3 * (a - c)
        return [-cl * a - to_b - to_c, to_b, to_c, *cells(y[3:], 4 / mtt, 4030, 0.216, slope * a * 1000)]

    return between(right, [0, 0, 0, *[4030] * 5], [(t, 0, amount) for t, amount in milligrams], times)[:, 7]


def palbociclib(person: Person, milligrams: Sequence[tuple[float, float]], times: np.ndarray) -> np.ndarray:
    """Neutrophils, 10^9/L; swallowed doses, concentrations in ug/L, as in nlmixr2lib."""
    cl = 57.13 * (person["CRCL"] / 71.6) ** 0.44 * (person["ALP"] / 88.6) ** -0.14
    base, ktr = 2.92 * (person["AGE"] / 63.7) ** 0.465, 4 / (5.29 * 24)

    def right(t: float, y: np.ndarray) -> list[float]:
        gut, blood = y[:2]
        drug = 0.0011 * 1000 * blood / 1580
        return [-0.187 * gut, 0.187 * gut - cl / 1580 * blood, *cells(y[2:], ktr, base, 0.103, drug)]

    return between(right, [0, 0, *[base] * 5], [(t + 0.658, 0, amount) for t, amount in milligrams], times)[:, 6]


def docetaxel_emax(milligrams: Sequence[tuple[float, float]], times: np.ndarray) -> np.ndarray:
    """Neutrophils, 10^9/L, by flows between three compartments, as in the example of PKPDsim; doses in umol there."""
    cl, v, q2, v2, q3, v3 = 38.48, 7.4, 7.844, 5.19, 9.324, 111.0
    kel, k12, k21, k13, k31 = cl / v, q2 / v, q2 / v2, q3 / v, q3 / v3

    def right(t: float, y: np.ndarray) -> list[float]:
        a, b, c = y[:3]
        concentration = a / v
        drug = 83.9 * concentration / (7.17 + concentration)
        pk = [-(kel + k12 + k13) * a + k21 * b + k31 * c, k12 * a - k21 * b, k13 * a - k31 * c]
        return [*pk, *cells(y[3:], 4 / 89.3, 5.05, 0.163, drug)]

    gifts = [(t, 0, amount * 1000 / 808) for t, amount in milligrams]
    return between(right, [0, 0, 0, *[5.05] * 5], gifts, times)[:, 7]


def filgrastim(micrograms: Sequence[tuple[float, float]], weight: float, times: np.ndarray) -> np.ndarray:
    """Neutrophils per microlitre; receptors in nmol/L and filgrastim in nmol, as Harrold 2020 prints them."""
    vd, cld, kd = 3.12 * (weight / 70) ** 0.943, 0.833 * (weight / 70) ** 0.641, 0.0237
    kp, ktr, kc, sr = 0.0276, 0.0330, 0.120, 0.0590

    def right(t: float, y: np.ndarray) -> list[float]:
        depot, total, sm, mt, pm1, pm2, rb = y
        tdc = total / vd
        q = tdc - rb - kd
        fdc = 0.5 * (q + np.sqrt(q * q + 4 * kd * tdc))
        rdc = tdc - fdc
        st1, st2 = 1 + 7.53 * rdc / rb, 1 + 3.89 * rdc / rb
        drug = [-0.123 * depot, 0.123 * depot - cld / vd * (fdc * vd) - 0.113 * (rdc * vd)]
        first = [kp * st1 - ktr * st2 * sm, ktr * st2 * sm - ktr * st2 * mt]
        return [*drug, *first, ktr * st2 * (mt - pm1), ktr * st2 * (pm1 - pm2), ktr * st2 * pm2 - kc * rb]

    rest = [0, 0, *[kp / ktr] * 4, kp / kc]
    return 1000 / sr * between(right, rest, [(t, 0, amount / 18.8) for t, amount in micrograms], times)[:, 6]
