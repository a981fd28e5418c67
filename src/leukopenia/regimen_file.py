"""What a user writes down about doses and a person: YAML -> doses, covariates; and a stub to fill in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from leukopenia.errors import UsageError

_EPOCH = datetime(1970, 1, 1)
_KEYS = ("drug", "doses", "hours", "body_surface", "covariates", "next", "scenarios")
_SCENARIO_KEYS = ("name", "dose", "delay", "g_csf")
_DOSE_KEYS = ("time", "amount", "unit", "hours")
_MILLIGRAMS = {"g": 1000.0, "mg": 1.0, "ug": 0.001, "mcg": 0.001, "µg": 0.001}
_WORDS = {"milligram": "mg", "milligrams": "mg", "gram": "g", "grams": "g", "microgram": "ug", "micrograms": "ug"}


@dataclass(frozen=True)
class Dose:
    """One dose: when (minutes), how much, in which unit, over how many hours; what is None is not known."""

    minute: int
    amount: float | None
    unit: str
    hours: float | None

    @property
    def lacks(self) -> tuple[str, ...]:
        """What a forecast needs and is not known."""
        known = {"amount": self.amount, "unit": self.unit or None, "infusion time": self.hours}
        return tuple(name for name, value in known.items() if value is None)


@dataclass(frozen=True)
class RegimenFile:
    """What the file says; `hours` is the infusion time of doses that have none, `next` the minute of the next dose."""

    drug: str = ""
    doses: tuple[Dose, ...] = ()
    hours: float | None = None
    body_surface: float | None = None
    covariates: Mapping[str, float] = field(default_factory=dict)
    next: int | None = None
    scenarios: tuple[Mapping[str, Any], ...] = ()


def stub(
    drug: str,
    unit: str,
    covariates: Sequence[str],
    others: Sequence[str] = (),
    hours_only: bool = False,
    swallowed: bool = False,
) -> str:
    """A file to fill in; `others` are drugs that could stand there too, `hours_only` keeps the doses on record."""
    also = f"   # or {', '.join(others)}" if others else ""
    lasting = "}" if swallowed else ", hours: 1}   # hours: length of the infusion"
    doses = (
        "doses:               # every dose of this course, not of the last cycle alone\n"
        f"  - {{time: 2026-01-05 09:00, amount: 0, unit: {unit}{lasting}\n"
    )
    asked = "".join(f"  {name}:\n" for name in covariates)
    person = f"covariates:          # leave out what is not known; yes, no or a number\n{asked}" if covariates else ""
    hours = "hours:               # length of each infusion; the doses on record are kept\n"
    area = "# body_surface: 1.8   # m2, for doses per m2\n"
    return f"drug: {drug}{also}\n{hours if hours_only else doses}{area}{person}"


def read(path: Path) -> RegimenFile:
    """Read a regimen file.

    Parameters
    ----------
    path : Path
        YAML: drug, doses (time, amount, unit, hours), hours, body_surface, covariates, next, scenarios (name, dose in
        per cent, delay in days, g_csf); all may be absent.

    Raises
    ------
    UsageError
        It cannot be read, or holds a key, time or number that is not understood.
    """
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"The regimen file {path.name} cannot be read.", type(error).__name__) from None
    given = _mapping(found, "The regimen file", _KEYS)
    rows = given.get("doses") or []
    if not isinstance(rows, list):
        raise UsageError("doses is not a list.", "", "Write one dose a line, each beginning with a dash.")
    doses = [_dose(_mapping(row, f"Dose {n}", _DOSE_KEYS), n) for n, row in enumerate(rows, 1)]
    return RegimenFile(
        drug=str(given.get("drug") or "").strip().casefold(),
        doses=tuple(sorted(doses, key=lambda dose: dose.minute)),
        hours=_number(given.get("hours"), "hours"),
        body_surface=_number(given.get("body_surface"), "body_surface", above=True),
        covariates=_covariates(given.get("covariates") or {}),
        next=None if given.get("next") is None else _minute(given["next"], "next dose"),
        scenarios=tuple(_scenarios(given.get("scenarios") or [])),
    )


def _scenarios(rows: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(rows, list):
        raise UsageError("scenarios is not a list.", "", "Write one a line, each beginning with a dash.")
    for n, found in enumerate(rows, 1):
        row = _mapping(found, f"Scenario {n}", _SCENARIO_KEYS)
        if not isinstance(row.get("g_csf", False), bool):
            raise UsageError(f"The g_csf of scenario {n} cannot be used.", "", "Write yes or no.")
        yield row | {name: _number(row.get(name), f"{name} of scenario {n}") for name in ("dose", "delay")}


def _mapping(found: Any, what: str, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise UsageError(f"{what} is not a mapping.", "", f"Write `name: value`; names: {', '.join(keys)}.")
    if unknown := sorted(str(name) for name in set(found) - set(keys)):
        raise UsageError(f"{what} holds {', '.join(unknown)}, which is not known.", "", f"Names: {', '.join(keys)}.")
    return found


def _dose(row: Mapping[str, Any], n: int) -> Dose:
    return Dose(
        minute=_minute(row.get("time"), f"dose {n}"),
        amount=_number(row.get("amount"), f"amount of dose {n}", above=True),
        unit=str(row.get("unit") or "").strip(),
        hours=_number(row.get("hours"), f"hours of dose {n}"),
    )


def _minute(value: Any, what: str) -> int:
    """Clock time as written, as everywhere: an offset of the time zone does not move it."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise UsageError(f"The time of {what} is not understood.", "", "Write it as 2026-01-05 09:00.") from None
    return int((time.replace(tzinfo=None) - _EPOCH) / timedelta(minutes=1))


def _number(value: Any, what: str, above: bool = False) -> float | None:
    if value is None:
        return None
    wrong = isinstance(value, bool) or not isinstance(value, int | float)
    if wrong or not (value > 0 if above else value >= 0) or value > 1e9:
        raise UsageError(f"The {what} cannot be used.", "", f"Write a number, {'above 0' if above else '0 or more'}.")
    return float(value)


def _covariates(found: Any) -> dict[str, float]:
    if not isinstance(found, dict):
        raise UsageError("covariates is not a mapping.", "", "Write `female: yes` and so on, one to a line.")
    made = {}
    for name, value in found.items():
        if value is None:
            continue
        if not isinstance(value, bool | int | float):
            raise UsageError(f"The covariate {name} cannot be used.", "", "Write yes, no or a number.")
        made[str(name)] = float(value)
    return made


def minute_of(text: str) -> int:
    """The minute of a date or time that a user wrote.

    Raises
    ------
    UsageError
        It is not understood.
    """
    return _minute(text, "the next dose")


def amount_in(unit: str, dose: Dose, molar_mass: float | None, body_surface: float | None) -> float:
    """The amount of a dose in the unit of a card.

    Parameters
    ----------
    unit : {'mg', 'ug', 'umol'}
        The unit of the card.
    dose : Dose
        Its amount is known.
    molar_mass : float or None
        g/mol, for a card in umol.
    body_surface : float or None
        m2, for a dose per m2.

    Raises
    ------
    UsageError
        The unit is not understood, or what it takes to convert it is not known.
    """
    amount, given = float(dose.amount or 0.0), dose.unit.strip().casefold()
    given = given.removesuffix("/m2").removesuffix("/m^2").removesuffix("/m²").strip()
    if given != dose.unit.strip().casefold():
        if body_surface is None:
            raise UsageError("A dose per m2 needs the body surface.", "", "Write `body_surface: 1.8` in the file.")
        amount *= body_surface
    given = _WORDS.get(given, given)
    if given == unit or (given in ("µmol", "μmol") and unit == "umol"):
        return amount
    if given not in _MILLIGRAMS:
        known = ", ".join(dict.fromkeys((unit, *_MILLIGRAMS)))
        raise UsageError("The unit of a dose is not understood.", f"Unit: {dose.unit}.", f"Known: {known}, or per m2.")
    milligrams = amount * _MILLIGRAMS[given]
    if unit in _MILLIGRAMS:
        return milligrams / _MILLIGRAMS[unit]
    if molar_mass is None:
        raise UsageError(f"The card wants doses in {unit}, and its molar mass is not known.", "", "Convert the doses.")
    return milligrams * 1000.0 / molar_mass
