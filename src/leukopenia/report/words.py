"""Values as a reader sees them: texts without hidden characters, numbers, times, plain names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from html import escape
from typing import Any

from markupsafe import Markup

# Control characters, bidirectional overrides, zero-width signs, tags and lone surrogates: they can make a
# text read as another than it is, or make the page unwritable. Tab and line feed stay.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)

_EPOCH = datetime(1970, 1, 1)
_TIME_LENGTHS = {"day": 10, "month": 7, "year": 4}

ANALYTES = {
    "wbc": "white cells",
    "neutrophils": "neutrophils",
    "lymphocytes": "lymphocytes",
    "monocytes": "monocytes",
    "eosinophils": "eosinophils",
    "basophils": "basophils",
    "cd4": "CD4 cells",
    "platelets": "platelets",
    "haemoglobin": "haemoglobin",
}
"""Plain names of the analytes, in the order in which a blood count is read."""

STANDARDS = {
    "ctcae-4.03": "CTCAE 4.03",
    "ctcae-5.0": "CTCAE 5.0",
    "ctcae-6.0": "CTCAE 6.0",
    "daids-2.1": "DAIDS 2.1",
}

SEVERITIES = ("profound", "severe", "moderate", "mild", "")
"""The worst first; the empty word stands for lines that no source grades."""


def clean(value: Any) -> Any:
    """A value without hidden characters; what is not text passes, None becomes the empty text."""
    if not isinstance(value, str):
        return "" if value is None else value
    return value if value.isprintable() or isinstance(value, Markup) else _HIDDEN.sub("", value)


def safe(value: Any) -> str:
    """A value cleaned and escaped, fit for an element or a quoted attribute."""
    return escape(str(clean(value)), quote=True)


def short(text: str, length: int) -> str:
    """A text cut to `length` characters, the cut shown."""
    text = str(clean(text))
    return text if len(text) <= length else text[: length - 1] + "…"


def capitalise(text: str) -> str:
    """A text that begins a sentence."""
    return text[:1].upper() + text[1:]


def number(value: float | None) -> str:
    """A value with up to four significant digits, so that 0.4977 does not read as 0.5."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def result(row: Mapping[str, Any]) -> str:
    """The value of a count with its comparator."""
    return f"{comparator(row['comparator'])}{number(row['value'])}"


def comparator(sign: str) -> str:
    """A comparator as it is printed."""
    return {"<=": "≤", ">=": "≥"}.get(sign, sign)


def whole(value: Any) -> str:
    """A number of things, or what stands in its place."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "–" if value is None else str(value)


def when(minute: int | None, precision: str = "minute") -> str:
    """A time in ISO form on the local clock, as precise as it is known."""
    if minute is None:
        return ""
    try:
        time = _EPOCH + timedelta(minutes=int(minute))
    except OverflowError:
        return "time out of range"
    return time.isoformat(" ", "minutes")[: _TIME_LENGTHS.get(precision, 16)]


def day(minute: int | None) -> str:
    """The date alone."""
    return when(minute, "day")


def duration(minutes: int) -> str:
    """A span in the largest unit that keeps it readable."""
    days = minutes / 1440
    if days < 2:
        return f"{minutes / 60:.0f} h"
    if days < 100:
        return f"{days:.0f} days"
    return f"{days / 30.44:.0f} months" if days < 730 else f"{days / 365.25:.1f} years"


def plain(identifier: str, names: Mapping[str, str]) -> str:
    """The plain name of an id: the one given, else the id without its prefix."""
    if identifier in names:
        return names[identifier]
    if identifier in ANALYTES:
        return ANALYTES[identifier]
    return identifier if "|" in identifier else identifier.rpartition(":")[2].replace("_", " ").replace("-", " ")
