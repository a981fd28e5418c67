"""Times of a results table: dates in whatever order, offsets, or none, to minutes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from leukopenia.errors import MappingError
from leukopenia.read.headers import header

if TYPE_CHECKING:
    from leukopenia.engine import Engine, Frame

OFFSETS = {"minutes_offset": 1, "hours_offset": 60, "days_offset": 1440}
_SAMPLE = 1000
_ISO = re.compile(r"^\d{4}(-\d{2}(-\d{2}([T ].*)?)?)?$")
_COMPACT = re.compile(r"^\d{8}(\d{4}(\d{2})?)?$")
_PARTS = re.compile(r"^(\d{1,4})[-/. ](\d{1,2}|[A-Za-z]{3,9})[-/. ](\d{1,4})\b")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FILL = " - - "


def add(frame: Frame, new: str, column: str, settings: Mapping[str, Any], engine: Engine) -> Frame:
    """Add `new` (minutes) and `new_precision` from a column of a results table.

    Parameters
    ----------
    settings : mapping
        `time_unit` (one of `OFFSETS`): the column counts from an origin of its own. `date_format`: 'dmy',
        'mdy', 'ymd' or a pattern such as '%d/%m/%Y'.

    Raises
    ------
    MappingError
        The day and the month cannot be told apart, or a number has no `time_unit`.
    """
    dtype = frame.collect_schema()[column]
    if settings.get("time_unit"):
        return _offsets(frame, new, column, str(settings["time_unit"]), engine)
    if dtype.is_temporal():
        return _dates_alone(engine.minutes(frame, {new: column}), new, engine)
    frame = frame.with_columns(nw.col(column).cast(nw.String).str.strip_chars().alias(f"{new}_text"))
    sample = _sample(frame, f"{new}_text", engine)
    order = _order(str(settings.get("date_format", "")))
    if not order and _mostly(_ISO, sample) and not (dtype.is_numeric() and not all(len(t) == 4 for t in sample)):
        return _dates_alone(engine.minutes(frame, {new: f"{new}_text"}), new, engine)
    if not order and _mostly(_COMPACT, sample):
        return engine.minutes(frame.with_columns(_compact(f"{new}_text").alias(f"{new}_iso")), {new: f"{new}_iso"})
    if not _mostly(_PARTS, sample):
        raise MappingError(
            f"The times in column {header(column)!r} are not understood.",
            "They are neither ISO 8601 dates, nor day, month and year in a row.",
            "Write them as YYYY-MM-DD HH:MM or, if they count from an origin, give time_unit in the mapping: "
            f"{', '.join(OFFSETS)}.",
        )
    return _dates_alone(_from_parts(frame, new, column, order, sample, engine), new, engine)


def _sample(frame: Frame, column: str, engine: Engine) -> list[str]:
    some = frame.select(column).filter(nw.col(column) != "").head(_SAMPLE)
    return engine.collect(some)[column].to_list()


def _mostly(pattern: re.Pattern[str], sample: list[str]) -> bool:
    return sum(1 for text in sample if pattern.match(text)) >= 0.8 * len(sample)


def _offsets(frame: Frame, new: str, column: str, unit: str, engine: Engine) -> Frame:
    if unit not in OFFSETS:
        raise MappingError(f"The time_unit {unit!r} is not known.", "", f"Known: {', '.join(OFFSETS)}.")
    frame = engine.numbers(frame, {f"{new}_number": column})
    number = nw.col(f"{new}_number")
    minute = nw.when(number.is_finite()).then((number * OFFSETS[unit]).floor()).cast(nw.Int64)
    word = nw.lit("day" if unit == "days_offset" else "minute")
    known = nw.when(~nw.col(new).is_null()).then(word).otherwise(nw.lit("none"))
    return frame.with_columns(minute.alias(new)).with_columns(known.alias(f"{new}_precision"))


def _dates_alone(frame: Frame, new: str, engine: Engine) -> Frame:
    """Where every time is midnight, the column held dates."""
    timed = engine.collect(frame.select(n=(nw.col(new) % 1440).max())).item()
    if timed:
        return frame
    precision = nw.col(f"{new}_precision")
    day = nw.when(precision == "minute").then(nw.lit("day")).otherwise(precision)
    return frame.with_columns(day.alias(f"{new}_precision"))


def _compact(column: str) -> nw.Expr:
    text = nw.col(column).str
    day = nw.concat_str(text.slice(0, 4), text.slice(4, 2), text.slice(6, 2), separator="-")
    clock = nw.concat_str(text.slice(8, 2), text.slice(10, 2), separator=":")
    return nw.when(text.len_chars() >= 12).then(nw.concat_str(day, clock, separator=" ")).otherwise(day)


def _order(date_format: str) -> str:
    """'dmy', 'mdy' or 'ymd', from itself or from a pattern; empty where none is given."""
    wanted = re.sub(r"%[bB]", "%m", date_format)
    order = "".join(re.findall(r"%([dmY])", wanted)).lower() if "%" in wanted else wanted.lower()
    if order and order not in ("dmy", "mdy", "ymd"):
        raise MappingError(
            f"The date_format {date_format!r} is not understood.",
            "",
            "Give dmy, mdy, ymd, or a pattern with %d %m %Y.",
        )
    return order


def _from_parts(frame: Frame, new: str, column: str, order: str, sample: list[str], engine: Engine) -> Frame:
    frame = frame.with_columns(_parts(f"{new}_text"))
    frame = engine.whole_numbers(frame, {f"n_{p}": f"p_{p}" for p in ("1", "2", "3", "hour", "minute")})
    order = order or _told_order(frame, column, sample, engine)
    place = {letter: f"p_{number}" for number, letter in enumerate(order, 1)}
    iso = nw.concat_str(
        nw.col(place["y"]), nw.col(place["m"]).str.zfill(2), nw.col(place["d"]).str.zfill(2), separator="-"
    )
    frame = engine.minutes(frame.with_columns(iso.alias("p_iso")), {"p_day": "p_iso"})
    hour = nw.col("n_hour") % 12 + nw.when(nw.col("p_half") == "p").then(12).otherwise(0)
    hour = nw.when(nw.col("p_half").is_in(["a", "p"])).then(hour).otherwise(nw.col("n_hour"))
    clock = hour * 60 + nw.col("n_minute")
    frame = frame.with_columns((nw.col("p_day") + nw.coalesce(clock, nw.lit(0))).alias(new))
    timed = nw.when(clock.is_null()).then(nw.lit("day")).otherwise(nw.lit("minute"))
    word = nw.when(nw.col(new).is_null()).then(nw.lit("none")).otherwise(timed)
    return frame.with_columns(word.alias(f"{new}_precision"))


def _parts(column: str) -> list[nw.Expr]:
    """The three parts of the date, hour, minute and a or p, as text. The filling keeps every part there."""
    spaced = nw.concat_str(nw.col(column).str.replace_all("T", " ", literal=True), nw.lit(_FILL))
    words = spaced.str.split(" ")
    date = nw.concat_str(words.list.get(0).str.replace_all("[/.]", "-"), nw.lit("---")).str.split("-")
    clock = nw.concat_str(words.list.get(1), nw.lit("::")).str.split(":")
    parts = [_month_number(date.list.get(index)).alias(f"p_{index + 1}") for index in range(3)]
    half = words.list.get(2).str.to_lowercase().str.slice(0, 1).alias("p_half")
    return [*parts, clock.list.get(0).alias("p_hour"), clock.list.get(1).alias("p_minute"), half]


def _month_number(part: nw.Expr) -> nw.Expr:
    word = part.str.to_lowercase().str.slice(0, 3)
    return reduce(
        lambda rest, item: nw.when(word == item[1]).then(nw.lit(str(item[0]))).otherwise(rest),
        enumerate(_MONTHS, 1),
        part,
    )


def _told_order(frame: Frame, column: str, sample: list[str], engine: Engine) -> str:
    """The order of day and month, only where the whole column leaves no doubt."""
    found = [match for text in sample if (match := _PARTS.match(text))]
    if all(len(match[1]) == 4 for match in found):
        return "ymd"
    if all(match[2].isalpha() for match in found):
        return "dmy"
    largest = engine.collect(frame.select(a=nw.col("n_1").max(), b=nw.col("n_2").max(), y=nw.col("n_3").max()))
    first, second, year = largest.row(0)
    if year < 100 or (first > 12) == (second > 12):
        raise MappingError(
            f"The dates in column {header(column)!r} can be read in more than one way.",
            "Years have two digits." if year < 100 else "Day and month cannot be told apart.",
            "Say in the mapping how they are written: 'date_format: dmy' or 'date_format: mdy'.",
        )
    return "dmy" if first > 12 else "mdy"
