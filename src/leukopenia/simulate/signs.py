"""What else is found in a person with a cause: which lines fall, how deep, and what tests and the film show.

A sign is drawn present, absent or not looked for. How often it is present in people of whom it says nothing is
invented; a weight of the clue tables says by how much more or less often under a cause, as the explainer reads it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from leukopenia.contracts import Knowledge
from leukopenia.simulate.causes import LINES, OTHER_DRUG, OTHERS, Cause

Effects = Mapping[tuple[str, str], float]
"""(clue, state) -> nats."""

PRESENT, ABSENT, UNKNOWN = "present", "absent", ""

_FOUND = 0.9
"""No sign is found more often than this, whatever its weight."""

_USUAL = 0.15


@dataclass(frozen=True, slots=True)
class Test:
    """A test in the blood: its unit, its limits, and how often it is done.

    `above` and `below` are by what its upper and lower limit are multiplied in a high and a low result.
    """

    clue: str
    signal: str
    unit: str
    low: float
    high: float
    done: float
    found: str = "high"
    above: tuple[float, float] = (1.3, 3.0)
    below: tuple[float, float] = (0.3, 0.85)


TESTS = (
    Test("crp_high", "crp", "mg/L", 0, 5, 0.5, above=(4, 40)),
    Test("albumin_low", "albumin", "g/L", 35, 52, 0.4, "low", below=(0.6, 0.9)),
    Test("transaminases_high", "alt", "U/L", 5, 45, 0.4),
    Test("ldh_high", "ldh", "U/L", 120, 250, 0.25),
    Test("renal_failure", "creatinine", "umol/L", 45, 105, 0.5),
    Test("hyponatraemia", "sodium", "mmol/L", 135, 145, 0.5, "low", below=(0.88, 0.97)),
    Test("jaundice", "bilirubin", "umol/L", 2, 21, 0.35),
    Test("lactic_acidosis", "lactate", "mmol/L", 0.5, 2.0, 0.1),
    Test("ferritin_high", "ferritin", "ug/L", 20, 300, 0.2, above=(1.8, 12)),
    Test("esr_high", "esr", "mm/h", 0, 20, 0.1),
    Test("b12_low", "vitamin_b12", "pmol/L", 140, 650, 0.2, "low"),
    Test("folate_low", "folate", "nmol/L", 8, 45, 0.2, "low"),
    Test("copper_low", "copper", "umol/L", 11, 22, 0.06, "low"),
    Test("ceruloplasmin_low", "ceruloplasmin", "g/L", 0.2, 0.6, 0.03, "low"),
    Test("zinc_low", "zinc", "umol/L", 10, 18, 0.06, "low"),
    Test("tsh_low", "tsh", "mU/L", 0.4, 4.0, 0.2, "low", below=(0.02, 0.5)),
    Test("ana_positive", "ana", "U/mL", 0, 20, 0.1, above=(2, 20)),
    Test("dsdna_positive", "anti_dsdna", "IU/mL", 0, 15, 0.06, above=(2, 20)),
    Test("complement_low", "c3", "g/L", 0.9, 1.8, 0.06, "low"),
    Test("rheumatoid_factor", "rheumatoid_factor", "IU/mL", 0, 14, 0.08, above=(2, 15)),
    Test("haemolysis", "haptoglobin", "g/L", 0.3, 2.0, 0.1, "low", below=(0.1, 0.6)),
    Test("fibrinogen_low", "fibrinogen", "g/L", 2.0, 4.0, 0.1, "low", below=(0.3, 0.8)),
    Test("triglycerides_high", "triglycerides", "mmol/L", 0.5, 1.7, 0.1),
    Test("reticulocytes_low", "reticulocytes", "%", 0.5, 2.5, 0.1, "low"),
)
FEVER, LEFT_SHIFT, BLASTS = ("fever", 0.6), ("left_shift", 0.6), ("blasts", 0.9)
"""Signs with a way of their own onto the record, and how often they are looked for."""

FILM = {
    "mcv": {"": 0.84, "mcv_high": 0.1, "microcytosis": 0.06},
    "eosinophils": {"": 0.9, "eosinophilia": 0.06, "eosinopenia": 0.04},
    "monocytes": {"": 0.76, "monocytopenia": 0.14, "monocytosis": 0.1},
}
"""What every differential says, and how often it says it."""

DEPTHS = {"mild": 0.45, "moderate": 0.3, "severe": 0.2, "profound": 0.05}
_SEVERITY: Mapping[str, tuple[tuple[str, str], ...]] = {
    "mild": (("mild", PRESENT), ("severe", ABSENT), ("profound", ABSENT)),
    "moderate": (("mild", ABSENT), ("severe", ABSENT), ("profound", ABSENT)),
    "severe": (("mild", ABSENT), ("severe", PRESENT), ("profound", ABSENT)),
    "profound": (("mild", ABSENT), ("severe", PRESENT), ("profound", PRESENT)),
}


def effects(cause: Cause, knowledge: Knowledge, weights: Mapping[str, Sequence[Mapping[str, str]]]) -> Effects:
    """What each sign says of a cause: the row of the cause itself, else of its class, its lineage, its kind.

    Parameters
    ----------
    weights : mapping of str to sequence of rows
        Rows of clue_weights by target.
    """
    nats = {row["strength"]: float(row["nats"]) for row in knowledge["strengths"]}
    lineage = _lineage(cause, knowledge)
    found: dict[tuple[str, str], float] = {}
    for target in (f"kind:{cause.kind}", f"lineage:{lineage}", f"class:{cause.cause_class}", cause.id):
        for row in weights.get(target, ()):
            sign = 1 if row["direction"] == "for" else -1
            found[row["clue"], row["state"]] = sign * nats[row["strength"]]
    return found


def _lineage(cause: Cause, knowledge: Knowledge) -> str:
    rows = (*knowledge["causes_drugs"], *knowledge["causes_conditions"])
    itself = OTHER_DRUG if cause.id in OTHERS else cause.id
    return next((row["lineage"] for row in rows if row["id"] == itself), "")


def by_target(knowledge: Knowledge) -> dict[str, list[Mapping[str, str]]]:
    """Rows of clue_weights by target."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for row in knowledge["clue_weights"]:
        found.setdefault(row["target"], []).append(row)
    return found


def shares(knowledge: Knowledge) -> dict[str, float]:
    """How often each clue is found in people of whom it says nothing: so seldom that no cause makes it certain."""
    nats = {row["strength"]: float(row["nats"]) for row in knowledge["strengths"]}
    most: dict[str, float] = {}
    for row in knowledge["clue_weights"]:
        if (row["state"], row["direction"]) == (PRESENT, "for"):
            most[row["clue"]] = max(most.get(row["clue"], 0.0), nats[row["strength"]])
    return {clue: min(_USUAL, _FOUND * math.exp(-strongest)) for clue, strongest in most.items()}


def pattern(cause: Cause, told: Effects, rng: Random) -> frozenset[str]:
    """Which lines fall."""
    patterns = [
        frozenset(line for line, falls in zip(LINES, chosen, strict=True) if falls)
        for chosen in product((True, False), repeat=len(LINES))
    ]
    return rng.choices(patterns, [_chance(falling, cause, told) for falling in patterns])[0]


def _chance(falling: frozenset[str], cause: Cause, told: Effects) -> float:
    chance = math.prod(cause.low[line] if line in falling else 1 - cause.low[line] for line in LINES)
    red, platelets = "haemoglobin" in falling, "platelets" in falling
    neutrophils, lymphocytes = "neutrophils" in falling, "lymphocytes" in falling
    clues = {
        "isolated_neutropenia": neutrophils and not red and not platelets,
        "several_lines_low": red or platelets,
        "isolated_lymphopenia": lymphocytes and not neutrophils,
        "lymphopenia": lymphocytes,
        "platelets_low": platelets,
        "platelets_not_low": not platelets,
        "anaemia": red,
    }
    return chance * math.exp(sum(told.get((clue, PRESENT if holds else ABSENT), 0.0) for clue, holds in clues.items()))


def severity(told: Effects, rng: Random) -> str:
    """How deep the neutrophils fall: mild, moderate, severe or profound."""
    weights = [
        share * math.exp(sum(told.get(sign, 0.0) for sign in _SEVERITY[depth])) for depth, share in DEPTHS.items()
    ]
    return rng.choices(list(DEPTHS), weights)[0]


def state(clue: str, done: float, share: float, told: Effects, rng: Random) -> str:
    """Whether a sign is present, absent or not looked for."""
    weights = (
        done * share * math.exp(told.get((clue, PRESENT), 0.0)),
        done * (1 - share) * math.exp(told.get((clue, ABSENT), 0.0)),
        1 - done,
    )
    return rng.choices((PRESENT, ABSENT, UNKNOWN), weights)[0]


def film(line: str, told: Effects, rng: Random) -> str:
    """The clue that a line of the film gives, or nothing."""
    says = FILM[line]
    weights = [
        share * math.exp(sum(told.get((other, PRESENT if other == clue else ABSENT), 0.0) for other in says if other))
        for clue, share in says.items()
    ]
    return rng.choices(list(says), weights)[0]
