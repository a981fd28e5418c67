"""Patients written by hand or taken from a publication (YAML) -> checked cases; days are counted from the low count."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leukopenia.errors import SourceError

SUFFIXES = (".yaml", ".yml")
PHASES = ("before", "index", "after")
ANALYTES = (
    *("WBC", "ANC", "ALC", "HGB", "PLT", "MCV", "CRP"),
    *("NEUT_PCT", "LYMPH_PCT", "MONO_PCT", "EOS_PCT", "BAND_PCT"),
)
STATEMENTS = ("condition", "sign", "test")
DRUGS = ("drug", "treatment")
STATUSES = ("", "present", "past", "suspected", "absent")
SEXES = {"male": "male", "m": "male", "female": "female", "f": "female", "other": "other"}
DAYS_OF_AGE = {"year": 365.25, "month": 30.4375, "week": 7.0, "day": 1.0}
COMPARATORS = ("<", "<=", ">=", ">")


@dataclass(frozen=True)
class Lab:
    """One blood result. `derived` is the value in 10^9/L where the writer has converted it."""

    number: int
    phase: str
    day: float | None
    analyte: str
    value: float | None = None
    text: str = ""
    unit: str = ""
    comparator: str = ""
    derived: float | None = None
    qualitative: str = ""
    low: float | None = None
    high: float | None = None
    draw: tuple[str, str] = ("", "")
    specimen: str = ""


@dataclass(frozen=True)
class Drug:
    """One drug text, which may name several drugs; `treatment`: given for the low count."""

    number: int
    phase: str
    name: str
    start: float | None = None
    stop: float | None = None
    route: str = ""
    dose: str = ""
    chronic: bool = False
    past: bool = False
    treatment: bool = False


@dataclass(frozen=True)
class Statement:
    """One condition, sign or test, in words; `detail` is the value of a sign or the result of a test."""

    number: int
    kind: str
    phase: str
    day: float | None
    name: str
    status: str = ""
    detail: str = ""
    value: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Case:
    """One patient with one low count to be explained; every day counts from it."""

    id: str
    age_days: float | None
    age_unit: str
    sex: str
    ancestry: str
    labs: tuple[Lab, ...]
    drugs: tuple[Drug, ...]
    statements: tuple[Statement, ...]


def read_cases(path: Path) -> list[Case]:
    """Cases of one file, or of all YAML files of a folder; a file may hold several documents.

    Parameters
    ----------
    path : Path
        Files of the schema leuko-case/1, full or blinded. What gives the answer away (truth, tags, source, anchor,
        notes) is not read. Where `index.day` stands, it is taken from every day.

    Returns
    -------
    list of Case

    Raises
    ------
    SourceError
        No such file, no YAML, or a field that cannot be used; says where and what to do, never a value.
    """
    cases: list[Case] = []
    origin: dict[str, str] = {}
    for file in _files(path):
        for number, document in enumerate(_documents(file), 1):
            case = _Reader(f"{file.name}, case {number}").case(document)
            if case.id in origin:
                raise SourceError(
                    f"{file.name}, case {number}: its id stands twice.",
                    f"The other one is in {origin[case.id]}.",
                    "Give every case an id of its own.",
                )
            origin[case.id] = file.name
            cases.append(case)
    return cases


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise SourceError(f"There is no file or folder {path}.", "", "Check the path.")
    if path.is_file():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise SourceError(f"The folder {path} holds no case.", "No .yaml or .yml file.", "Give a folder of YAML files.")
    return found


def _documents(file: Path) -> list[Any]:
    import yaml

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        found = [document for document in yaml.load_all(file.read_text("utf-8-sig"), loader) if document is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"Near line {mark.line + 1}." if mark else ""
        raise SourceError(f"{file.name} is not YAML.", place, "Mend indentation or quotes there.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{file.name} cannot be read.", type(error).__name__, "Save it as UTF-8 text.") from None
    if not found:
        raise SourceError(f"{file.name} is empty.", "", "Write at least one case into it.")
    return found


class _Reader:
    """Checks one document; `place` says where it stands."""

    def __init__(self, place: str) -> None:
        self._place = place

    def case(self, document: Any) -> Case:
        fields = _Fields(document, self._place)
        patient = _Fields(document.get("patient") or {}, f"{self._place}, patient")
        unit = patient.one_of("age_unit", tuple(DAYS_OF_AGE)) or "year"
        age = patient.number("age", least=0)
        shift = self._shift(document)
        events = list(self._events(document, shift))
        return Case(
            id=fields.required("id"),
            age_days=None if age is None else age * DAYS_OF_AGE[unit],
            age_unit=unit,
            sex=SEXES.get(patient.text("sex").lower(), "unknown"),
            ancestry=patient.text("ancestry"),
            labs=tuple(event for event in events if isinstance(event, Lab)),
            drugs=tuple(event for event in events if isinstance(event, Drug)),
            statements=tuple(event for event in events if isinstance(event, Statement)),
        )

    def _shift(self, document: Mapping[str, Any]) -> Callable[[float | None], float | None]:
        """From the days of the document to days from the low count; a full case without its day leaves them unknown."""
        if not document.get("index"):
            return lambda day: day
        zero = _Fields(document["index"], f"{self._place}, index").number("day")
        return lambda day: None if day is None or zero is None else day - zero

    def _events(
        self, document: Mapping[str, Any], shift: Callable[[float | None], float | None]
    ) -> Iterator[Lab | Drug | Statement]:
        events = document.get("events")
        if not isinstance(events, list) or not events:
            raise SourceError(f"{self._place}: there is no list of events.", "", "Write counts, drugs and signs there.")
        for number, event in enumerate(events, 1):
            fields = _Fields(event, f"{self._place}, event {number}", shift)
            kind = fields.one_of("kind", ("lab", *DRUGS, *STATEMENTS))
            if kind == "lab":
                yield _lab(number, fields)
            elif kind in DRUGS:
                yield _drug(number, kind, fields)
            elif kind:
                yield _statement(number, kind, fields)
            else:
                raise fields.error("kind", "is not there", f"Write one of: lab, {', '.join((*DRUGS, *STATEMENTS))}.")


class _Fields:
    """The fields of one mapping, each asked for by its type."""

    def __init__(self, found: Any, place: str, shift: Callable[[float | None], float | None] = lambda day: day) -> None:
        self._place, self._shift = place, shift
        if not isinstance(found, Mapping):
            raise SourceError(
                f"{place}: it is not a list of `name: value`.", type(found).__name__, "Mend the indentation."
            )
        self._found = found

    def error(self, field: str, wrong: str, remedy: str) -> SourceError:
        return SourceError(f"{self._place}: {field} {wrong}.", type(self._found.get(field)).__name__, remedy)

    def text(self, field: str) -> str:
        found = self._found.get(field)
        if isinstance(found, Mapping | Sequence) and not isinstance(found, str):
            raise self.error(field, "is not a text", "Write one text.")
        if isinstance(found, bool):
            # YAML reads a bare yes or no as a truth value.
            return "yes" if found else "no"
        return "" if found is None else str(found).strip()

    def required(self, field: str) -> str:
        found = self.text(field)
        if not found:
            raise self.error(field, "is not there", f"Write `{field}: ...`.")
        return found

    def one_of(self, field: str, allowed: Sequence[str]) -> str:
        found = self.text(field)
        if found and found not in allowed:
            raise self.error(field, "is none of those known", f"Write one of: {', '.join(filter(None, allowed))}.")
        return found

    def number(self, field: str, least: float = -math.inf) -> float | None:
        found = self._found.get(field)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found < math.inf:
            raise self.error(field, "is not a usable number", "Write a plain number, or leave it out.")
        return float(found)

    def day(self, field: str) -> float | None:
        return self._shift(self.number(field))

    def flag(self, field: str) -> bool | None:
        found = self._found.get(field)
        if found is not None and not isinstance(found, bool):
            raise self.error(field, "is neither true nor false", "Write true or false.")
        return found

    def number_or_text(self, field: str) -> tuple[float | None, str]:
        """'<0.1' is a text that the harmonise room reads as a result."""
        if isinstance(self._found.get(field), str):
            return None, self.text(field)
        return self.number(field), ""

    def phase(self, day: float | None) -> str:
        """Before, at or after the low count; where it is not written, the day tells."""
        by_day = "index" if not day else "before" if day < 0 else "after"
        return self.one_of("phase", PHASES) or by_day


def _lab(number: int, fields: _Fields) -> Lab:
    analyte = fields.one_of("analyte", ANALYTES)
    if not analyte:
        raise fields.error("analyte", "is not there", f"Write one of: {', '.join(ANALYTES)}.")
    value, text = fields.number_or_text("value")
    comparator = fields.text("comparator")
    day = fields.day("day")
    return Lab(
        number,
        fields.phase(day),
        day,
        analyte,
        value,
        text,
        fields.text("unit"),
        comparator if comparator in COMPARATORS else "",
        fields.number("derived_1e9_per_L", least=0),
        fields.text("qualitative"),
        fields.number("low"),
        fields.number("high"),
        (fields.text("time_of_day"), fields.text("specimen")),
        fields.text("specimen"),
    )


def _drug(number: int, kind: str, fields: _Fields) -> Drug:
    start, stop = fields.day("start_day"), fields.day("stop_day")
    stopped_some_time_before = fields.flag("ongoing_at_index") is False and start is None and stop is None
    return Drug(
        number,
        fields.phase(start),
        fields.required("name"),
        start,
        stop,
        fields.text("route"),
        fields.text("dose"),
        chronic=bool(fields.flag("chronic")),
        past=fields.text("exposure") == "past" or stopped_some_time_before,
        treatment=kind == "treatment",
    )


def _statement(number: int, kind: str, fields: _Fields) -> Statement:
    day = fields.day("day")
    value, text = fields.number_or_text("value")
    result = fields.text("result") if kind == "test" else text
    return Statement(
        number,
        kind,
        fields.phase(day),
        day,
        fields.required("name"),
        fields.one_of("status", STATUSES),
        result,
        value,
        fields.text("unit"),
    )
