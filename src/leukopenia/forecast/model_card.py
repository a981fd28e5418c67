"""Models as cards: rows of knowledge -> checked cards that know whom they may forecast."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from leukopenia.contracts import Knowledge, Rows
from leukopenia.errors import KnowledgeError, UsageError

FAMILIES: dict[str, tuple[str, ...]] = {
    "friberg": ("circ0", "mtt", "gamma"),
    "baseline": ("circ0",),
    "quartino": ("circ0", "mtt", "half_removal", "gamma", "beta", "slope", "ke", "kanc", "g0"),
    "nab_paclitaxel": (
        *("circ0", "mtt", "gamma", "slope"),
        *("v1", "v2", "v3", "q3", "vmtr", "kmtr", "vmel", "kmel"),
    ),
    "radiation": ("circ0", "ktr", "kcirc", "kdecay", "kkill", "exponent"),
    "redistribution": (
        *("circ0", "marginated_ratio", "reserve_ratio", "kcirc", "kdemargination"),
        *("margination", "margination_peak", "release", "release_peak", "release_shape", "ed50", "hill"),
    ),
    "exchange": (
        *("circ0", "outside_ratio", "kreturn"),
        *("departure", "departure_peak", "departure_shape", "ed50", "hill"),
    ),
    "arrest": ("circ0", "kcirc"),
    "gcsf_receptors": (
        *("receptors", "ktr", "kcirc", "receptors_per_cell", "more_production", "faster_transit"),
        *("bioavailability", "absorption", "volume", "cl", "kd", "internalisation"),
    ),
    "pegfilgrastim": (),
    "pools": (),
}
"""The equations and the parameters each must have, in the order the solver takes them."""

WITHOUT_EQUATIONS = ("pegfilgrastim", "pools")
"""Cards that hold parameters for other models; no curve is drawn from them."""

FORMS = ("indicator", "linear", "linear_below", "linear_above", "power", "value")
STATUSES = ("nonmem", "two-sources", "reference-csv", "transcribed")
CLASS_PRIOR = "class prior"
"""The status of a card that is made of published nadir days: not a model of the drug."""

RESIDUALS = ("log_additive", "proportional", "none")
HOURS = {"d": 24.0, "1/d": 1.0 / 24.0}
"""Factors that turn the units of a card into hours."""


@dataclass(frozen=True)
class Parameter:
    """A value of a card, times in hours; `variance` is that of its logarithm between people, or None."""

    name: str
    role: str
    value: float
    unit: str
    variance: float | None
    source_id: str


@dataclass(frozen=True)
class Effect:
    """How a covariate changes a parameter."""

    parameter: str
    covariate: str
    form: str
    coefficient: float
    centre: float
    carry: str

    def factor(self, x: float) -> float:
        """By what the parameter is multiplied for a value of the covariate."""
        if self.form == "indicator":
            return 1.0 + self.coefficient * bool(x)
        if self.form == "power":
            return math.pow(x / self.centre, self.coefficient)
        distance = x - self.centre
        if (self.form == "linear_below" and distance > 0) or (self.form == "linear_above" and distance <= 0):
            return 1.0
        return 1.0 + self.coefficient * distance


@dataclass(frozen=True)
class Card:
    """One published model: equations, parameters, covariates, residual error, and how far it was checked."""

    name: str
    title: str
    drug: str
    analyte: str
    species: str
    family: str
    dose_unit: str
    concentration_unit: str
    residual_form: str
    residual: float | None
    status: str
    population: str
    source_id: str
    note: str
    parameters: Mapping[str, Parameter]
    effects: tuple[Effect, ...]

    @property
    def covariates(self) -> set[str]:
        """What the card asks about a person."""
        return {effect.covariate for effect in self.effects if effect.form != "value"}

    @property
    def swallowed(self) -> bool:
        """Whether doses have no duration: the drug is absorbed, not infused."""
        return "ka" in self.parameters

    @property
    def varying(self) -> tuple[Parameter, ...]:
        """The parameters of the cells that differ between people."""
        return tuple(p for p in self.parameters.values() if p.role == "kinetics" and p.variance)

    @property
    def verified(self) -> bool:
        """Whether the numbers, not only the solver, were checked.

        A curve of one's own transcription (`reference-csv`) checks the solver alone.
        """
        return self.status in ("nonmem", "two-sources")

    def typical(self, covariates: Mapping[str, float]) -> dict[str, float]:
        """Values for a person of these covariates; one that is not given leaves its parameter alone.

        Raises
        ------
        UsageError
            A covariate outside the range in which its form has a meaning.
        """
        values = {name: parameter.value for name, parameter in self.parameters.items()}
        for effect in self.effects:
            if effect.form != "value" and effect.covariate in covariates:
                values[effect.parameter] *= _factor(effect, covariates[effect.covariate])
        return values

    def carry_of(self, name: str) -> str:
        """The way a series in place of a parameter is carried when the regimen does not say."""
        carried = {effect.covariate: effect.carry for effect in self.effects if effect.form == "value"}
        return carried.get(name, "")


def _factor(effect: Effect, x: float) -> float:
    if not math.isfinite(x) or (effect.form == "power" and x <= 0) or effect.factor(x) <= 0:
        raise UsageError(
            f"The covariate {effect.covariate} cannot be used as given.",
            f"It would make {effect.parameter} zero or negative.",
            "Check its unit, or leave it out.",
        )
    return effect.factor(x)


def why_not(card: Card) -> str:
    """Why a card may not forecast one person; empty if it may."""
    if card.species != "human":
        return f"It was made on another species ({card.species})."
    if card.family in WITHOUT_EQUATIONS:
        return "It holds parameters without equations."
    if card.residual is None or not card.varying:
        return "Its residual error or the spread between people was not read."
    if card.family not in ("friberg", "baseline"):
        return "Its equations are not among those that can be fitted to one person."
    return "" if card.verified else f"Its numbers are not verified (status {card.status})."


def check_person(card: Card, unverified: bool) -> None:
    """Refuse a card that may not forecast one person.

    Raises
    ------
    UsageError
        With the reason. `unverified` lifts only the last one, that the numbers are not verified.
    """
    reason = why_not(card)
    if reason and not (unverified and reason.startswith("Its numbers")):
        raise UsageError(
            f"The card {card.name} does not forecast one person.",
            reason,
            "Use a verified card; for research, unverified=True takes one whose numbers were only transcribed.",
        )


def cards_of(knowledge: Knowledge) -> dict[str, Card]:
    """All cards of the knowledge, by name.

    Raises
    ------
    KnowledgeError
        A card lacks a parameter its equations need, names an unknown form, unit or status, or a row names no card.
    """
    parameters = _by_card(knowledge["model_parameters"])
    effects = _by_card(knowledge["model_covariates"])
    cards = {
        row["card"]: _card(row, parameters.get(row["card"], ()), effects.get(row["card"], ()))
        for row in knowledge["model_cards"]
    }
    for name in (set(parameters) | set(effects)) - set(cards):
        raise KnowledgeError(f"model_parameters or model_covariates: there is no card {name!r}.")
    for card in cards.values():
        check_card(card)
    return cards


def _by_card(rows: Rows) -> dict[str, tuple[Mapping[str, str], ...]]:
    groups: dict[str, tuple[Mapping[str, str], ...]] = {}
    for row in rows:
        groups[row["card"]] = (*groups.get(row["card"], ()), row)
    return groups


def _card(row: Mapping[str, str], parameters: Rows, effects: Rows) -> Card:
    plain = {name: row[name] for name in _PLAIN}
    made = {found["parameter"]: _parameter(found) for found in parameters}
    return Card(
        name=row["card"],
        residual=_number(row, "residual"),
        parameters=MappingProxyType(made),
        effects=tuple(_effect(found) for found in effects),
        **plain,
    )


_PLAIN = (
    *("title", "drug", "analyte", "species", "family", "dose_unit", "concentration_unit"),
    *("residual_form", "status", "population", "source_id", "note"),
)


def _parameter(row: Mapping[str, str]) -> Parameter:
    value = _number(row, "value")
    if value is None:
        raise KnowledgeError(f"model_parameters: {row['card']} {row['parameter']} has no value.")
    value *= HOURS.get(row["unit"], 1.0)
    return Parameter(row["parameter"], row["role"], value, row["unit"], _number(row, "variance"), row["source_id"])


def _effect(row: Mapping[str, str]) -> Effect:
    coefficient, centre = _number(row, "coefficient"), _number(row, "centre")
    return Effect(row["parameter"], row["covariate"], row["form"], coefficient or 0.0, centre or 0.0, row["carry"])


def _number(row: Mapping[str, str], column: str) -> float | None:
    if not row[column]:
        return None
    try:
        return float(row[column])
    except ValueError:
        raise KnowledgeError(f"{row['card']}: {column} is not a number.", row[column]) from None


def check_card(card: Card) -> None:
    """Refuse a card that contradicts itself; see `cards_of`."""
    for problem in _problems(card):
        raise KnowledgeError(f"The card {card.name} {problem}.")


def _problems(card: Card) -> list[str]:
    missing = [name for name in FAMILIES.get(card.family, ()) if name not in card.parameters]
    unknown = {
        "family": (card.family, FAMILIES),
        "status": (card.status, STATUSES),
        "residual_form": (card.residual_form, RESIDUALS),
    }
    found = [f"has an unknown {name}: {value}" for name, (value, known) in unknown.items() if value not in known]
    found += [f"lacks {', '.join(missing)}"] if missing else []
    found += _problems_of_numbers(card)
    known_names = {*card.parameters, "concentration"}
    for effect in card.effects:
        if effect.form not in FORMS or effect.parameter not in known_names:
            found.append(f"has an effect that is not understood: {effect.parameter} {effect.form}")
        if effect.form == "value" and effect.carry not in ("backward", "forward"):
            found.append(f"does not say how {effect.covariate} is carried")
    return found


def _problems_of_numbers(card: Card) -> list[str]:
    found = []
    if (card.residual is None) != (card.residual_form == "none"):
        found.append("must have a residual exactly when it names its form")
    if card.family == "friberg" and not ({"slope"} <= set(card.parameters) or {"emax", "ec50"} <= set(card.parameters)):
        found.append("lacks a drug effect: slope, or emax and ec50")
    for parameter in card.parameters.values():
        if not (math.isfinite(parameter.value) and parameter.value > 0):
            found.append(f"has a value of {parameter.name} that is not positive")
        if parameter.variance is not None and not parameter.variance > 0:
            found.append(f"has a variance of {parameter.name} that is not positive")
        if parameter.role not in ("kinetics", "exposure"):
            found.append(f"has an unknown role of {parameter.name}: {parameter.role}")
    return found
