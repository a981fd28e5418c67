"""Rows of knowledge -> what the simulated world is made of: causes, how often each strikes, how fast, which lines.

The frequencies, latencies, recoveries and lineages are those of the rows. How often people are exposed is invented:
each class of causes brings about a fixed share of the low counts, and the causes of a class are equally common. A drug
that rarely lowers counts is therefore one that many people take without harm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from leukopenia import log_logistic
from leukopenia.contracts import Knowledge

WINDOW = 90.0
"""Days of the reference window in which rates are given."""

LINES = ("neutrophils", "lymphocytes", "haemoglobin", "platelets")
WHITE = ("neutrophils", "lymphocytes")
UNEXPLAINED = "unexplained"
COMBINATION = "cond:cytotoxic-chemotherapy"
OTHER_DRUG = "drug:other"
OTHERS = ("drug:atorvastatin", "drug:levothyroxine", "drug:tamsulosin", "drug:isosorbide", "drug:sotalol")
"""Drugs without a row of their own, which share one."""

REGIMENS = (
    ("drug:doxorubicin", "drug:cyclophosphamide"),
    ("drug:paclitaxel", "drug:carboplatin"),
    ("drug:cisplatin", "drug:gemcitabine"),
    ("drug:fluorouracil", "drug:oxaliplatin"),
)
"""Chemotherapy of several agents."""


_DRUG_RATES = {
    "idiosyncratic": 6e-4,
    "dose_related": 1e-4,
    "immunosuppressant": 2e-4,
    "targeted": 2e-4,
    "biologic": 1.5e-4,
    "antiviral": 0.6e-4,
    "chemotherapy": 1.5e-4,
    "other": 0.1e-4,
}
_CONDITION_RATES = {
    "infection_viral": 1.5e-4,
    "infection_bacterial": 1e-4,
    "infection_parasitic": 0.3e-4,
    "infection_fungal": 0.1e-4,
    "nutritional": 0.7e-4,
    "marrow_failure": 0.5e-4,
    "neoplasm": 1e-4,
    "sequestration": 0.7e-4,
    "autoimmune": 1e-4,
    "congenital": 0.3e-4,
    "constitutional": 0.7e-4,
    "toxic": 0.4e-4,
    "physiologic": 0.5e-4,
    "endocrine": 0.1e-4,
    "iatrogenic": 0.2e-4,
    "artefact": 0.2e-4,
}
_COMBINATION_RATE = 2.5e-4
_OTHER_RATE = 0.5e-4
_ALONE = 1 / 3
"""An agent of several does it alone so much more seldom: the clue of recent chemotherapy speaks for them together."""

_RECOVERY = {
    "idiosyncratic": 12.0,
    "infection_viral": 10.0,
    "infection_bacterial": 10.0,
    "infection_parasitic": 10.0,
    "physiologic": 3.0,
    "nutritional": 35.0,
    "toxic": 21.0,
    "biologic": 14.0,
}
_USUAL_RECOVERY = 18.0
_RECOVERY_SPREAD = 0.35


@dataclass(frozen=True, slots=True)
class Latency:
    """A log-logistic distribution of days: median and shape."""

    median: float
    shape: float

    def draw(self, rng: Random, factor: float = 1.0) -> float:
        """Days, with the median multiplied by a factor."""
        chance = min(max(rng.random(), 1e-3), 1 - 1e-3)
        return self.median * factor * (chance / (1 - chance)) ** (1 / self.shape)


@dataclass(frozen=True, slots=True)
class Cause:
    """One row of causes_drugs or causes_conditions as the world uses it.

    Attributes
    ----------
    low : mapping of str to float
        Chance that each line falls.
    frequency : float
        Share of those exposed, or of those with the condition, in whom it lowers counts.
    background : float
        New low counts that it brings about with nothing on record, per person and reference window.
    exposed : float
        New low counts that it brings about when it is on record, per person and reference window.
    latency : Latency or None
        Days from the start (or the last dose) to the first low count; None: time says nothing.
    recovery : float
        Median days from the end of the cause to counts that are not low.
    """

    id: str
    name: str
    kind: str
    cause_class: str
    low: Mapping[str, float]
    frequency: float
    background: float
    exposed: float
    latency: Latency | None
    from_last_dose: bool
    after_stop_days: float
    recovery: float
    acute: bool

    @property
    def rate(self) -> float:
        """New low counts per person and reference window, on record or not."""
        return self.exposed + self.background

    @property
    def is_drug(self) -> bool:
        return self.id.startswith("drug:")


def rates(knowledge: Knowledge) -> dict[str, float]:
    """New low counts per person and reference window, by row of a cause."""
    return {cause.id: cause.rate for cause in causes(knowledge).values() if cause.id not in OTHERS}


def agents_share(agents: Sequence[str], known: Mapping[str, Cause]) -> dict[str, float]:
    """How often the chemotherapy of several agents lowers counts: as a whole, and through one of them alone."""
    alone = {agent: _ALONE * known[agent].frequency / len(agents) for agent in agents}
    return {COMBINATION: known[COMBINATION].frequency, **alone}


def causes(knowledge: Knowledge) -> dict[str, Cause]:
    """Every cause that the world can show, by id; those of newborns are not among them."""
    newborn = _of_newborns(knowledge)
    every = (*knowledge["causes_drugs"], *knowledge["causes_conditions"])
    rows = [row for row in every if row["lineage"] != "none" and row["id"] not in newborn]
    members: dict[tuple[bool, str], int] = {}
    for row in rows:
        if row["id"] not in (COMBINATION, OTHER_DRUG):
            key = row["id"].startswith("drug:"), row["cause_class"]
            members[key] = members.get(key, 0) + 1
    policy = {row["name"]: row["value"] for row in knowledge["policy"]}
    chances = _chances(knowledge)
    known = {row["id"]: _cause(row, members, policy, chances) for row in rows}
    other = known.pop(OTHER_DRUG)
    return known | {drug: replace(other, id=drug, exposed=other.exposed / len(OTHERS)) for drug in OTHERS}


def unexplained(knowledge: Knowledge) -> Cause:
    """Low counts with nothing behind them: any line falls as often as in anybody with a low count."""
    policy = {row["name"]: row["value"] for row in knowledge["policy"]}
    rate = float(policy["explain.unexplained_share"]) * float(policy["explain.background_rate"])
    low = _chances(knowledge)["background"]
    return Cause(
        UNEXPLAINED, "", UNEXPLAINED, UNEXPLAINED, low, 1.0, rate, 0.0, None, False, 0.0, _USUAL_RECOVERY, False
    )


def _of_newborns(knowledge: Knowledge) -> set[str]:
    """Causes that are decisively ruled out by not being a newborn."""
    return {
        row["target"]
        for row in knowledge["clue_weights"]
        if (row["clue"], row["state"], row["strength"]) == ("newborn", "absent", "decisive")
    }


def _chances(knowledge: Knowledge) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in knowledge["lineages"]:
        found.setdefault(row["lineage"], {})[row["line"]] = float(row["p_low"])
    return found


def _cause(
    row: Mapping[str, str],
    members: Mapping[tuple[bool, str], int],
    policy: Mapping[str, str],
    chances: Mapping[str, Mapping[str, float]],
) -> Cause:
    drug = row["id"].startswith("drug:")
    in_background = float(row["background"] or 0) * float(policy["explain.background_rate"])
    return Cause(
        row["id"],
        row["name"],
        row["kind"],
        row["cause_class"],
        chances[row["lineage"]],
        float(row["frequency"]),
        in_background,
        _exposed(row, members),
        _latency(row),
        row["onset_from"] == "last_dose",
        float(row["after_stop_days"] or policy["explain.after_stop_days"]),
        _recovery(row),
        row["acute"] == "yes" and not drug,
    )


def _exposed(row: Mapping[str, str], members: Mapping[tuple[bool, str], int]) -> float:
    if row["id"] == COMBINATION:
        return _COMBINATION_RATE
    if row["id"] == OTHER_DRUG:
        return _OTHER_RATE
    drug, its_class = row["id"].startswith("drug:"), row["cause_class"]
    return (_DRUG_RATES if drug else _CONDITION_RATES)[its_class] / members[drug, its_class]


def _latency(row: Mapping[str, str]) -> Latency | None:
    """The distribution that the explainer reads from the row."""
    low, middle, high = (_number(row[f"onset_days_{name}"]) for name in ("min", "median", "max"))
    median, shape = log_logistic.of_days(low, middle, high)
    return None if median is None or shape is None else Latency(median, shape)


def _recovery(row: Mapping[str, str]) -> float:
    low, middle, high = (_number(row[f"recovery_days_{name}"]) for name in ("min", "median", "max"))
    if middle is not None:
        return middle
    if low and high:
        return math.sqrt(low * high)
    return high or low or _RECOVERY.get(row["cause_class"], _USUAL_RECOVERY)


def recovery_days(cause: Cause, rng: Random, factor: float) -> float:
    """Days from the end of the cause to counts that are not low, in one person."""
    return cause.recovery * factor * math.exp(rng.gauss(0, _RECOVERY_SPREAD))


def _number(text: str) -> float | None:
    return float(text) if text else None
