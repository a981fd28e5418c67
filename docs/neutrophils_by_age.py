"""The picture of neutrophils by age in the United States: percentile curves, no persons.

    LEUKOPENIA_SHARED=/where/the/data/are python docs/neutrophils_by_age.py

reads nhanes-cbc/nhanes_cbc_demo_2011_2018.parquet (NHANES 2011 to 2018, public domain), fits direct curves with survey
weights, and writes docs/pictures/neutrophils-by-age.svg.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopenia.reference import by_age
from leukopenia.reference.fit.age_limits import LimitsByAge

PICTURE = Path(__file__).parent / "pictures" / "neutrophils-by-age.svg"
DATA = Path("data") / "nhanes-cbc" / "nhanes_cbc_demo_2011_2018.parquet"
PERCENTILES = (2.5, 10.0, 50.0, 90.0, 97.5)
LIMITS = (2.5, 97.5)
AGES = np.geomspace(1.0, 80.0, 120)
TICKS_AGE, TICKS_VALUE = (1, 2, 3, 5, 8, 12, 18, 30, 50, 80), (0.5, 1, 1.5, 2, 3, 4, 6, 8, 10)
COLOURS = "svg {color: #1c242e} @media (prefers-color-scheme: dark) {svg {color: #e4e8ee}}"

_LEFT, _TOP, _WIDTH, _HEIGHT, _RIGHT, _BOTTOM = 50, 46, 560, 330, 60, 60

Floats = NDArray[np.float64]


def fitted(shared: Path) -> LimitsByAge:
    """Curves of everybody with a neutrophil count but pregnant women; age in months to 2 years, else in years."""
    exact = pl.coalesce((pl.col("RIDEXAGM") + 0.5) / 12, pl.col("RIDAGEYR") + 0.5)
    rows = pl.read_parquet(shared / DATA).filter(
        pl.col("RIDEXPRG").fill_null(0) != 1, pl.col("WTMEC2YR") > 0, pl.col("LBDNENO").is_not_null()
    )
    return by_age(
        rows["LBDNENO"],
        rows.select(exact).to_series(),
        weights=rows["WTMEC2YR"],
        method="direct",
        percentiles=PERCENTILES,
    )


def picture(found: LimitsByAge) -> str:
    """Percentile curves over the logarithm of age, with the intervals of the two limits, as SVG."""
    told = found.limits(AGES)
    words = "Neutrophils by age, 10^9/L: percentiles 2.5, 10, 50, 90, 97.5 with 90 % intervals of the limits"
    source = "NHANES 2011 to 2018 (CDC/NCHS), survey weights, pregnant women left out; nobody left out for ill health"
    width, height = _LEFT + _WIDTH + _RIGHT, _TOP + _HEIGHT + _BOTTOM
    body = "".join([*_axes(), *_bands(told), *_curves(told)])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" fill="currentColor" role="img"><title>{words}</title><style>{COLOURS}</style>'
        f'<text x="{_LEFT}" y="20" font-size="13">{words}</text>{body}'
        f'<text x="{_LEFT}" y="{height - 8}" font-size="10">{source}</text></svg>\n'
    )


def _axes() -> Iterator[str]:
    bottom = _TOP + _HEIGHT
    for age in TICKS_AGE:
        x = _x(age)
        yield f'<path d="M{x} {_TOP}V{bottom}" stroke="currentColor" opacity=".12"/>'
        yield f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{age}</text>'
    for value in TICKS_VALUE:
        y = _y(value)
        yield f'<path d="M{_LEFT} {y}H{_LEFT + _WIDTH}" stroke="currentColor" opacity=".12"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>'
    yield f'<text x="{_LEFT + _WIDTH}" y="{bottom + 32}" text-anchor="end">age, years</text>'


def _bands(told: dict[str, Floats]) -> Iterator[str]:
    for p in LIMITS:
        edge = np.concatenate([told[f"p{p:g}_low"], told[f"p{p:g}_high"][::-1]])
        yield f'<path d="{_line(np.concatenate([AGES, AGES[::-1]]), edge)}Z" fill="currentColor" opacity=".25"/>'


def _curves(told: dict[str, Floats]) -> Iterator[str]:
    for p in PERCENTILES:
        curve, wide = told[f"p{p:g}"], 2 if p in LIMITS else 1
        yield f'<path d="{_line(AGES, curve)}" fill="none" stroke="currentColor" stroke-width="{wide}"/>'
        yield f'<text x="{_LEFT + _WIDTH + 6}" y="{_y(float(curve[-1])) + 4}">{p:g}</text>'


def _line(ages: Sequence[float] | Floats, values: Floats) -> str:
    return "M" + "L".join(f"{_x(age)} {_y(value)}" for age, value in zip(ages, values, strict=True))


def _x(age: float) -> float:
    return round(_LEFT + _WIDTH * float(np.log(age) / np.log(AGES[-1])), 1)


def _y(value: float) -> float:
    low, high = np.log(TICKS_VALUE[0]), np.log(TICKS_VALUE[-1])
    return round(_TOP + _HEIGHT * float(1 - (np.log(value) - low) / (high - low)), 1)


if __name__ == "__main__":
    shared = Path(os.environ.get("LEUKOPENIA_SHARED", "") or Path(__file__).parents[1] / "shared")
    PICTURE.write_text(picture(fitted(shared)), encoding="utf-8")
