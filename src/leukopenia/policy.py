"""Frozen choices. Every default is a row of knowledge/policy.csv with its reason; a file or keywords set others."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from leukopenia.contracts import Rows
from leukopenia.errors import KnowledgeError, UsageError

_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Policy:
    """Standards, limits, gaps, windows and `as_of`, by the names of policy.csv.

    Examples
    --------
    >>> Policy.of({"gap.break_days": 180, "grade_limits": "published"}).number("gap.break_days")
    180.0
    """

    values: Mapping[str, str]

    @classmethod
    def of(cls, changes: Mapping[str, Any] | None = None, defaults: Rows | None = None, **named: Any) -> Policy:
        """The defaults with some values changed.

        Parameters
        ----------
        changes : mapping, optional
            Names of policy.csv to values.
        defaults : rows of policy.csv, optional
            Taken from the knowledge of the package where absent.
        **named
            The same, for names without a dot.

        Raises
        ------
        UsageError
            No such name, or a value that is not allowed.
        """
        rows = defaults if defaults is not None else _default_rows()
        values = {row["name"]: row["value"] for row in rows}
        known = {row["name"]: row for row in rows}
        for name, value in {**(changes or {}), **named}.items():
            values[name] = _checked(name, _text(value), known)
        return cls(values)

    @classmethod
    def from_file(cls, path: Path, changes: Mapping[str, Any] | None = None) -> Policy:
        """Read changes from a YAML file of `name: value`; `changes` go over those of the file."""
        import yaml

        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(f"The policy file {path.name} cannot be read.", type(error).__name__) from None
        if not isinstance(found, dict):
            raise KnowledgeError(f"{path.name} is not a list of `name: value`.")
        return cls.of({str(name): value for name, value in found.items()} | dict(changes or {}))

    def text(self, name: str) -> str:
        return self.values[name]

    def number(self, name: str) -> float:
        return float(self.values[name])

    def optional_number(self, name: str) -> float | None:
        value = self.values.get(name, "")
        return float(value) if value else None

    def flag(self, name: str) -> bool:
        return self.values[name] == "yes"

    def names(self, name: str) -> tuple[str, ...]:
        return tuple(filter(None, self.values[name].split(";")))

    @property
    def as_of(self) -> int | None:
        """The end of the day the question is asked for, in minutes; None: the last day of the source."""
        text = self.values["as_of"]
        if not text:
            return None
        day = datetime.fromisoformat(text)
        if len(text) <= 10:
            day += timedelta(days=1, minutes=-1)
        return int((day - _EPOCH).total_seconds() // 60)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ";".join(str(part) for part in value)
    return "" if value is None else str(value)


def _checked(name: str, value: str, known: Mapping[str, Mapping[str, str]]) -> str:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            f"The policy has no value {name!r}.",
            f"Did you mean {near[0]!r}?" if near else "",
            "leukopenia knowledge policy lists all.",
        )
    allowed = known[name]["allowed"]
    several = ";" in known[name]["value"]
    if allowed == "number":
        _check_number(name, value, optional=not known[name]["value"] or name.startswith(("onset.", "bound.")))
    elif allowed and not all(part in allowed.split(";") for part in (value.split(";") if several else [value])):
        raise UsageError(f"{name} cannot be {value!r}.", "", f"Choose one of: {allowed.replace(';', ', ')}.")
    if name == "as_of" and value:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise UsageError(f"as_of cannot be {value!r}.", "", "Write it as 2026-11-22.") from None
    return value


def _check_number(name: str, value: str, optional: bool) -> None:
    if not value and optional:
        return
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise UsageError(f"{name} cannot be {value!r}.", "", "Write a number, 0 or more.")


def _default_rows() -> Rows:
    from leukopenia.knowledge import load

    return load()["policy"]
