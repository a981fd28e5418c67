"""Random dirty results: every component, near every limit, with copies, bounds, words, broken numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st
from running import KNOWLEDGE, Case, Row

NAN, INF = float("nan"), float("inf")

COUNTS = (
    *(0.0, 0.000001, 0.099999, 0.1, 0.100001, 0.45, 0.499999, 0.5, 0.500001, 0.999999, 1.0, 1.000001),
    *(
        1.25,
        1.4999999999999998,
        1.499999,
        1.5,
        1.500001,
        0.1 + 0.2,
        2.0,
        4.2,
        4.305,
        12.345678,
        99.999999,
        500.0,
    ),
    *(500.000001, 1000.0, 1000.000001, 3000.0, 100_000.0, -1.0, 5e6),
)
PERCENTS = (0.0, 0.5, 1.0, 12.31, 33.333333, 45.0, 60.1, 98.0, 99.9, 100.0, 100.000001, 0.000001, 250.0, -1.0)
NUMBERS = {
    "count": COUNTS,
    "percent": PERCENTS,
    "mass": (0.0, 4.9, 79.999999, 80.0, 80.000001, 135.0, 300.0, 300.000001, -3.0),
    "temperature": (36.5, 37.9, 38.0, 38.000001, 38.2, 38.3, 38.300001, 39.1, -5.0),
    "other": (0.0, 0.5, 1.2, 3.5, 10_000_000.0, 10_000_001.0),
}
LIMITS = (
    None,
    None,
    0.0,
    0.5,
    1.2,
    1.5,
    1.8,
    2.0,
    4.0,
    2000.0,
    4000.0,
    1500.0,
    -1.0,
    7.5,
    11.0,
    11_000.0,
    1e6,
    NAN,
    INF,
)
TEXTS = {
    "<0.5": ("number", 0.5, "<"),
    "<=1.5": ("number", 1.5, "<="),
    ">100": ("number", 100.0, ">"),
    "4,1": ("number", 4.1, ""),
    "not done": ("not_resulted", None, ""),
    "Few": ("word", None, ""),
    "NONE": ("word", None, ""),
    "~??~": ("unreadable", None, ""),
}


class Signal(NamedTuple):
    """A component in one unit: `number` in the house unit times `times` is what the row says."""

    component: str
    unit: str
    times: float = 1.0
    shift: float = 0.0
    multiplier: float = 1.0
    divisor: float = 1.0
    copy: int = 0

    @property
    def code(self) -> str:
        return f"{self.component}{'-copy' * self.copy}"


def _signals() -> list[Signal]:
    made = []
    for row in KNOWLEDGE["components"]:
        component = row["component"]
        made.append(Signal(component, "house"))
        if row["form"] == "count":
            made.append(Signal(component, "/uL", 1000.0, divisor=1000.0))
        if row["form"] == "percent":
            made.append(Signal(component, "1", 0.01, multiplier=100.0))
    made.append(Signal("haemoglobin", "g/dL", 0.1, multiplier=10.0))
    made.append(Signal("temperature", "degF", shift=32.0, multiplier=5.0, divisor=9.0))
    return made + [Signal(one, "house", copy=1) for one in ("wbc", "neutrophils", "neutrophils_pct", "platelets")]


SIGNALS = _signals()
FORMS = {row["component"]: row["form"] for row in KNOWLEDGE["components"]}
ROLES = {row["component"]: row["role"] for row in KNOWLEDGE["components"]}
OTHERS = ("lymphocytes", "monocytes", "eosinophils", "basophils")
POOLS = (
    ("wbc",),
    ("wbc", "neutrophils"),
    ("wbc", "neutrophils_pct", "bands_pct"),
    ("wbc", "segmented_pct", "bands_pct", "granulocytes_pct"),
    ("segmented", "bands"),
    ("wbc", "segmented", "bands", "neutrophils_pct"),
    ("granulocytes", "platelets"),
    ("wbc", *OTHERS),
    ("wbc", *(f"{name}_pct" for name in OTHERS)),
    ("wbc", "lymphocytes", "monocytes_pct", "eosinophils", "basophils_pct"),
    ("temperature", "blasts_pct", "platelet_clumps", "bands"),
    ("ferritin", "crp", "ana"),
)
DRAWS: tuple[dict[str, float], ...] = (
    # A share that lies exactly between two millionths.
    {"wbc": 4.305, "neutrophils_pct": 12.31},
    {"wbc": 1.000001, "neutrophils_pct": 50.0, "lymphocytes_pct": 50.0},
    # Parts that add to 100.5 %, the most that rounding explains, and to a millionth more.
    {"wbc": 2.0, "neutrophils_pct": 98.0, "bands_pct": 2.5},
    {"wbc": 2.0, "neutrophils_pct": 98.0, "bands_pct": 2.500001, "segmented_pct": 40.0},
    # White cells minus the others: something, nothing, less than nothing.
    {"wbc": 3.0, "lymphocytes_pct": 50.0, "monocytes": 0.2, "eosinophils_pct": 3.0, "basophils_pct": 0.5},
    {"wbc": 1.2, "lymphocytes": 1.0, "monocytes": 0.1, "eosinophils": 0.1, "basophils": 0.0},
    {"wbc": 1.2, "lymphocytes": 1.0, "monocytes": 0.1, "eosinophils": 0.1, "basophils": 0.000001},
    # White cells alone, on and beside the limits below which they bound their parts.
    {"wbc": 1.499999},
    {"wbc": 1.5},
    {"wbc": 0.999999, "platelets": 20.0},
    {"wbc": 1.0},
    # Parts in counts, with and without white cells.
    {"segmented": 0.4, "bands": 0.1},
    {"wbc": 2.0, "segmented": 0.4, "bands": 0.1, "neutrophils_pct": 60.0},
    {"granulocytes": 0.5, "platelets": 80.0},
    {"wbc": 0.3, "granulocytes_pct": 45.0},
    {"lymphocytes_pct": 40.0, "cd4_pct": 20.0, "atypical_lymphocytes_pct": 2.0},
    # A thousand times too large, or not quite.
    {"neutrophils": 500.0},
    {"neutrophils": 500.000001},
    {"neutrophils": 1500.0005},
    {"neutrophils": 1500.000499},
    {"neutrophils": 100_000.0},
    {"neutrophils": 100_000.000001},
)
LARGE_LIMITS = (10.0, 10.000001, 1500.0, 1500.0005, 2000.0, 100_000.0, 100_000.000001)


def meanings() -> list[Row]:
    """What each signal means, as the harmonise room is told it."""
    analytes = {row["analyte"]: row for row in KNOWLEDGE["analytes"]}
    made = []
    for signal in SIGNALS:
        line = analytes.get(signal.component)
        highest = {"percent": 100.0, "count": 1000.0}.get(FORMS[signal.component], 1e7)
        names = ("plausible_to", "typical_from", "typical_to", "thousandfold_from")
        general = dict(zip(names, (highest, 0.0, highest, 0.0), strict=True))
        made.append(
            {
                **_signal_columns(signal),
                "component": signal.component,
                "role": ROLES[signal.component],
                "copy_of_laboratory": signal.copy,
                "shift": signal.shift,
                "multiplier": signal.multiplier,
                "divisor": signal.divisor,
                **({name: float(line[name]) for name in names} if line else general),
            }
        )
    return made


def wordings() -> list[Row]:
    names = ("outcome", "worded_value", "worded_comparator")
    return [{"text": text} | dict(zip(names, word, strict=True)) for text, word in TEXTS.items()]


def _signal_columns(signal: Signal) -> Row:
    return {"system": "test", "code": signal.code, "name": "", "specimen": "", "unit": signal.unit}


@st.composite
def result_cases(draw: Any) -> Case:
    """Draws as a laboratory reports them, which counts can be made from, among up to eight dirty results."""
    rows: list[Row] = []
    for minute in draw(st.sampled_from([(), (1440,), (1440, 2880), (1440, 2880, 4320)])):
        rows += _reported(draw, minute, len(rows))
    pooled = draw(st.sampled_from(POOLS))
    drawn = draw(st.lists(st.sampled_from(SIGNALS), max_size=4))
    signals = [signal for signal in SIGNALS if signal.component in pooled] + drawn
    for _ in range(draw(st.integers(0 if rows else 1, 8))):
        rows.append(_result(draw, draw(st.sampled_from(signals)), len(rows)))
    repair = draw(st.sampled_from(["yes", "yes", "yes", "no"]))
    return Case({"raw_results": rows}, draw(st.booleans()), (("repair_units", repair),))


def _reported(draw: Any, minute: int, start: int) -> list[Row]:
    """One of `DRAWS`, in any unit, at times with a part missing or known through a bound."""
    reported = draw(st.sampled_from(DRAWS))
    missing, bounded = (draw(st.sampled_from([""] * 9 + list(reported))) for _ in range(2))
    rows: list[Row] = []
    for component, value in reported.items():
        signal = draw(st.sampled_from([one for one in SIGNALS if one.component == component]))
        low = draw(st.sampled_from(LARGE_LIMITS if value > 400 else [None, 1.5]))
        clean = {
            "patient_id": 1,
            "value": _as_reported(value, signal),
            "text": None,
            "comparator": draw(st.sampled_from(["<", "<=", ">"])) if component == bounded else "",
            "low": None if low is None else _as_reported(low, signal),
            "high": None,
        }
        if component != missing:
            rows.append(_row(draw, signal, start + len(rows), minute) | clean)
    return rows


def _result(draw: Any, signal: Signal, number: int) -> Row:
    minute = draw(st.sampled_from([1440, 1440, 1440, 1441, 0, -1441, None]))
    low, high = _range(draw, signal)
    return _row(draw, signal, number, minute) | _value(draw, signal) | {"low": low, "high": high}


def _row(draw: Any, signal: Signal, number: int, minute: int | None) -> Row:
    precision = draw(st.sampled_from(["minute", "minute", "day", "month", "year"]))
    return {
        "source": draw(st.sampled_from(["a", "b"])),
        # Row ids do not follow the order of time.
        "row_id": number * 7 % 31 * 9,
        "patient_id": draw(st.sampled_from([1, 1, 2])),
        "minute": minute,
        "time_precision": "none" if minute is None else precision,
        "utc_offset": draw(st.sampled_from([None, 60])),
        **_signal_columns(signal),
        "flag": draw(st.sampled_from(["", "L", "hh", "Normal", "A"])),
    }


def _value(draw: Any, signal: Signal) -> Row:
    """A number, a broken number or none; a text beside it; a comparator."""
    kind = draw(st.sampled_from(["number"] * 7 + ["near", "broken", "none", "text", "both"]))
    value = draw(st.sampled_from(NUMBERS[FORMS[signal.component]]))
    if kind == "near":
        value = draw(st.integers(0, 12_000_000)) / 1_000_000
    if kind == "broken":
        value = draw(st.sampled_from([NAN, INF, -INF]))
    text = (
        draw(st.sampled_from(list(TEXTS))) if kind in ("text", "both", "broken") and draw(st.integers(0, 3)) else None
    )
    return {
        "value": None if kind in ("none", "text") else _as_reported(value, signal),
        "text": text,
        "comparator": draw(st.sampled_from(["", "", "", "", "", "<", "<=", ">=", ">"])),
    }


def _as_reported(value: float, signal: Signal) -> float:
    """The number as a laboratory would print it in its unit."""
    if signal.shift:
        return round(value * 1.8 + 32.0, 4) if value == value else value
    return round(value * signal.times, 8) if abs(value) < 1e12 else value


def _range(draw: Any, signal: Signal) -> tuple[float | None, float | None]:
    def limit() -> float | None:
        value = draw(st.sampled_from(LIMITS))
        return None if value is None else _as_reported(value, signal)

    return limit(), limit()
