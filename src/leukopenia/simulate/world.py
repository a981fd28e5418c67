"""Knowledge, seed and departures made ready: everything that does not change from person to person."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from random import Random
from typing import TypeVar

from leukopenia.contracts import Knowledge
from leukopenia.simulate import signs
from leukopenia.simulate.catalogue import DRUGS, ICD10CM, SNOMED, Ingredient
from leukopenia.simulate.causes import (
    COMBINATION,
    REGIMENS,
    UNEXPLAINED,
    WINDOW,
    Cause,
    agents_share,
    causes,
    unexplained,
)
from leukopenia.simulate.departures import HIDDEN_SHARE, Departures, hidden_causes, shift
from leukopenia.simulate.physiology import Cytotoxic, Marrow, cytotoxics, marrow_of

HISTORY = 1825
"""Days before a fall from which exposures are remembered; late onsets are spread over as many."""

_SHORT = ("J01", "J02", "J05", "P01", "P02", "N02B", "M01A", "A03FA", "A07AA", "A07EC", "R06", "D06")
"""ATC groups of drugs that are taken for days or weeks."""

RECENT = 365
"""Short courses that ended longer ago are not on record."""

_LEFT_SHIFT = {("left_shift", "present"): 6.0}
TEXTBOOK: Mapping[str, signs.Effects] = {
    "cond:acute-leukaemia": {
        ("blasts", "present"): 14.0,
        ("severe", "present"): 4.0,
        ("several_lines_low", "present"): 2,
    },
    "cond:aplastic-anaemia": {("profound", "present"): 6.0, ("lymphopenia", "present"): 4.0},
    "cond:sepsis": _LEFT_SHIFT,
    "cond:pseudoleukopenia-infection": _LEFT_SHIFT,
}
"""What a single hospital shows of some causes (nats), so that every kind of record is in it."""

Drawn = TypeVar("Drawn")
Stream = tuple[Cause, bool]
"""A cause, and whether it is on record."""


@dataclass(frozen=True)
class World:
    """What the persons of one simulation have in common.

    Parameters
    ----------
    knowledge : Knowledge
    seed : int
    departures : Departures
    textbook : bool
        Whether some causes show their best known signs far more often than they do.
    """

    knowledge: Knowledge
    seed: int
    departures: Departures
    textbook: bool = False

    @cached_property
    def policy(self) -> Mapping[str, float]:
        """The numbers of the explainer's policy that say what the world is like, without ``explain.``."""
        names = ("chronic_share", "late_share")
        rows = {row["name"]: row["value"] for row in self.knowledge["policy"]}
        return {name: float(rows[f"explain.{name}"]) for name in names}

    @cached_property
    def causes(self) -> Mapping[str, Cause]:
        return causes(self.knowledge)

    @cached_property
    def unexplained(self) -> Cause:
        return unexplained(self.knowledge)

    @cached_property
    def hidden(self) -> frozenset[str]:
        """Causes that the explainer does not know; empty where that departure is off."""
        return frozenset(hidden_causes(self.knowledge, self.seed)) if self.departures.hidden else frozenset()

    @cached_property
    def marrow(self) -> Marrow:
        return marrow_of(self.knowledge)

    @cached_property
    def cytotoxics(self) -> Mapping[str, Cytotoxic]:
        return cytotoxics(self.knowledge)

    @cached_property
    def shares(self) -> Mapping[str, float]:
        """How often each clue is found in people of whom it says nothing."""
        return signs.shares(self.knowledge)

    @cached_property
    def effects(self) -> Mapping[str, signs.Effects]:
        weights = signs.by_target(self.knowledge)
        told = {cause.id: signs.effects(cause, self.knowledge, weights) for cause in self.causes.values()}
        shown = TEXTBOOK if self.textbook else {}
        return {cause: {**effects, **shown.get(cause, {})} for cause, effects in told.items()} | {UNEXPLAINED: {}}

    def shift(self, cause: str, of: str) -> float:
        """The factor on the median `onset` or `recovery` of a cause."""
        return shift(cause, of, self.seed, self.departures)

    @cached_property
    def streams(self) -> tuple[tuple[Sequence[Stream], Sequence[float]], tuple[Sequence[Stream], Sequence[float]]]:
        """Known and hidden causes, each with its cumulated rates."""
        every = [
            ((cause, recorded), rate)
            for cause in self.causes.values()
            for recorded, rate in ((True, cause.exposed), (False, cause.background))
            if rate > 0
        ] + [((self.unexplained, False), self.unexplained.background)]
        known = [(stream, rate) for stream, rate in every if stream[0].id not in self.hidden]
        hidden = [(stream, rate) for stream, rate in every if stream[0].id in self.hidden]
        return _cumulated(known), _cumulated(hidden)

    def strike(self, rng: Random) -> Stream:
        """Draw the cause of a low count."""
        known, hidden = self.streams
        streams, cumulated = hidden if self.hidden and rng.random() < HIDDEN_SHARE else known
        return streams[bisect_right(cumulated, rng.random() * cumulated[-1])]

    @cached_property
    def pharmacy(self) -> Mapping[str, Ingredient]:
        """Every ingredient that has a name, by cause."""
        names: dict[str, dict[str, str]] = {}
        for row in self.knowledge["ingredient_names"]:
            names.setdefault(row["ingredient"], {}).setdefault(row["kind"], row["name"])
        return {row["id"]: _ingredient(row, names.get(row["id"], {})) for row in self.knowledge["ingredients"]}

    @cached_property
    def short(self) -> frozenset[str]:
        """Drugs that are taken for days or weeks."""
        return frozenset(drug for drug, one in self.pharmacy.items() if one.atc.startswith(_SHORT))

    @cached_property
    def diagnoses(self) -> Mapping[str, tuple[str, tuple[tuple[str, str], ...]]]:
        """Name and code of each condition, by cause."""
        codes: dict[str, tuple[str, str]] = {}
        for system, url in (("icd10cm", ICD10CM), ("snomed", SNOMED)):
            for row in self.knowledge["condition_codes"]:
                if row["system"] == system:
                    code = _dotted(row["code"]) if system == "icd10cm" else row["code"]
                    codes.setdefault(row["condition"], (url, code))
        names: dict[str, str] = {}
        for row in self.knowledge["condition_names"]:
            names.setdefault(row["condition"], row["name"])
        return {
            cause: (names[cause], (codes[cause],) if cause in codes else ()) for cause in self.causes if cause in names
        }

    @cached_property
    def codes(self) -> Mapping[str, str]:
        """LOINC code of each test, by component."""
        found: dict[str, str] = {}
        for row in self.knowledge["codes"]:
            if row["system"] == "loinc":
                found.setdefault(row["component"], row["code"])
        return found

    def memory(self, drug: str) -> int:
        """Days before a fall from which courses of a drug are on record."""
        return RECENT if drug in self.short else HISTORY

    @cached_property
    def taken(self) -> tuple[Sequence[Cause], Sequence[float]]:
        """Drugs that people take without harm, and their cumulated expected number of courses a person."""
        drugs = [cause for cause in self.causes.values() if (cause.is_drug or cause.id == COMBINATION)]
        return _cumulated([(cause, self._starts(cause) * self.memory(cause.id)) for cause in drugs])

    @cached_property
    def caught(self) -> tuple[Sequence[Cause], Sequence[float]]:
        """Conditions on record that lower nothing, and their cumulated expected number a person."""
        conditions = [cause for cause in self.causes.values() if not cause.is_drug and cause.id in self.diagnoses]
        expected = [
            (
                cause,
                self._starts(cause) * RECENT
                if cause.acute
                else self._starts(cause) * WINDOW / self.policy["chronic_share"],
            )
            for cause in conditions
            if cause.exposed and cause.id != COMBINATION
        ]
        return _cumulated(expected)

    def _starts(self, cause: Cause) -> float:
        """How many people in a day begin with a drug or fall ill, for one in whom it lowers counts."""
        return cause.exposed / self._frequency(cause) / WINDOW

    def _frequency(self, cause: Cause) -> float:
        if cause.id != COMBINATION:
            return cause.frequency
        return sum(sum(agents_share(agents, self.causes).values()) for agents in REGIMENS) / len(REGIMENS)


def _cumulated(rated: Sequence[tuple[Drawn, float]]) -> tuple[Sequence[Drawn], Sequence[float]]:
    return [one for one, _ in rated], list(accumulate(rate for _, rate in rated))


def _ingredient(row: Mapping[str, str], names: Mapping[str, str]) -> Ingredient:
    known = next((drug for drug in DRUGS.values() if drug.rxnorm and drug.rxnorm == row["rxnorm"]), None)
    name = names.get("inn", row["name"])
    atc = row["atc"].split(";")[0]
    route = known.route if known else ("intravenous" if atc.startswith(("L01", "J01D", "J01X")) else "oral")
    return Ingredient(name, names.get("brand", ""), row["rxnorm"], atc, route, known.unit if known else "mg")


def _dotted(code: str) -> str:
    return f"{code[:3]}.{code[3:]}" if len(code) > 3 else code
