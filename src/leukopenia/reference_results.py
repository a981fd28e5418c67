"""A file of results as counts of values in each stratum: one group-by on DuckDB, out of core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import Knowledge
from leukopenia.engine import Engine, Frame
from leukopenia.errors import MappingError, SourceError, UsageError
from leukopenia.harmonise.wordings import read_wording
from leukopenia.read import files, headers, results, results_persons, times
from leukopenia.read.headers import MARK, Plan, header
from leukopenia.read.raw import missing
from leukopenia.reference_signals import SIGNAL, Signal, signals

LINE = "leukopenia_line"
YEAR = 365.25 * 1440
"""Minutes."""

REPEATS = ("first", "all")

_COUNT = "count counts n freq frequency occurrences"
_WEIGHT = "weight weights surveyweight samplingweight sampleweight wtmec2yr wtmec4yr"
_MEASURED = ("patient", "time", "test", "value", "number", "unit", "code", "system", "specimen", "comparator")

REFUSED = {
    "unreadable_result": "words, no numbers",
    "implausible_value": "below 0 or infinite",
    "unknown_unit": "in a unit that cannot be brought to that of the others",
    "ambiguous_unit": "without a unit, and the numbers can be read in more than one",
    "no_count": "with a count that is no whole number",
}
"""Reasons that end the work unless the results are to be set aside, in words."""

ASIDE = {
    "bad_line": "lines that are no record",
    "no_value": "empty",
    "not_resulted": "not resulted by the laboratory",
    "word_result": "known words in place of a number",
    "not_blood": "not of blood",
    "age_unknown": "age not known",
    "no_stratum": "in no stratum: a column of --by is empty, or the age is below the first band",
    "no_weight": "no weight above 0",
    "repeated": "further results of a person in the same stratum",
}
"""Reasons that never end it."""


_OUTCOMES = {
    "number": None,
    "word": "word_result",
    "not_resulted": "not_resulted",
    "unreadable": "unreadable_result",
}


@dataclass(frozen=True)
class Asked:
    """What is asked of a file.

    Parameters
    ----------
    by : tuple of str
        Columns that part the results; sex and age are known by any of their headers.
    ages : tuple of float
        Where age bands begin, in years, in rising order; empty: no bands, and with age in `by` the age itself.
    analytes : tuple of str
        Those wanted; empty: all. Names them where the file has no column that does.
    values, units : tuple of str
        Columns of values and the unit of each, where no unit stands beside the result; empty: told by the headers.
    repeats : {'first', 'all'}
        Of the results of one person in a stratum, the first or all.
    set_aside : bool
        Go on without results that cannot be used.
    mapping : mapping
        The user's words for columns, see `headers.KEYS`.
    """

    by: tuple[str, ...] = ()
    ages: tuple[float, ...] = ()
    analytes: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    repeats: str = "first"
    set_aside: bool = False
    mapping: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[str, ...]:
        """What parts the results: `by`, and the age where there are bands."""
        return self.by if not self.ages or "age" in self.by else (*self.by, "age")

    @property
    def smooth(self) -> bool:
        """Whether limits are asked for as functions of age."""
        return "age" in self.by and not self.ages


@dataclass(frozen=True)
class Aside:
    """Results held back: a reason of `REFUSED` or `ASIDE`, how many, and the first row (from 1, without the header)."""

    reason: str
    n: int
    line: int

    @property
    def words(self) -> str:
        """The reason."""
        return {**REFUSED, **ASIDE}[self.reason]


@dataclass(frozen=True)
class Counted:
    """Counts of values.

    Attributes
    ----------
    rows : polars.DataFrame
        analyte, unit, one column for each of `parts` (age: where the band begins, or the age), value, below (the true
        result is lower than the value), n, and weight where there is one; sorted.
    parts : tuple of str
    aside : list of Aside
    inferred : dict of str to str
        Analytes without a unit, and the one in which their numbers were read.
    """

    rows: pl.DataFrame
    parts: tuple[str, ...]
    aside: list[Aside]
    inferred: dict[str, str]


@dataclass(frozen=True)
class Layout:
    """Which column is what: roles, the columns of values with name and unit, and those of counts and weights."""

    plan: Plan
    values: list[headers.Analyte]
    count: str | None
    weight: str | None

    @property
    def long(self) -> bool:
        """Whether a column says which test a row is of."""
        return bool({"test", "code"} & set(self.plan.roles))


def count(path: Path, asked: Asked, engine: Engine, stage: Path, knowledge: Knowledge) -> Counted:
    """Read a file of results and count its values.

    Parameters
    ----------
    path : Path
        CSV, TSV, Parquet or Excel: one result a row, or a value with a count; long or wide.
    asked : Asked
    engine : Engine
        DuckDB.
    stage : Path
        A folder for what is staged.
    knowledge : Knowledge
        Uses analytes, codes, components, units, test_names, test_words, specimens, result_words.

    Raises
    ------
    SourceError
        No such file, or no table.
    MappingError
        Columns are not understood, or results cannot be used (see `REFUSED`).
    UsageError
        Options that contradict each other.
    """
    if not path.is_file() or not files.kind(path):
        problem = f"There is no file {path}." if not path.exists() else f"{path} is no table of results."
        raise SourceError(problem, "", f"Give one file: {', '.join(files.KINDS)}, also as .gz.")
    notes = files.Notes()
    frame = files.opener([path], engine, stage, notes)(LINE)
    names = [name for name in frame.collect_schema().names() if name != LINE]
    layout = _layout(names, asked)
    marked = frame.select(LINE, *[col(name).alias(MARK + name) for name in names])
    prepared, parts = _parted(marked, layout, asked, names, engine)
    read = nw.concat([_read(prepared, layout, value, engine, knowledge) for value in layout.values])
    named = {value.test for value in layout.values} <= set(asked.analytes)
    wanted = () if named else asked.analytes
    found = signals(engine.collect(_vocabulary(read)).to_dicts(), knowledge, wanted)
    rows, aside = _grouped(read, found, parts, layout, asked, engine)
    bad = sum(map(len, notes.bad_lines.values()))
    return _checked(rows, [Aside("bad_line", bad, 0)] * bool(bad) + aside, parts, found, asked)


def _layout(names: Sequence[str], asked: Asked) -> Layout:
    headers.check_keys(asked.mapping)
    if names and all(_is_number(name) for name in names):
        raise MappingError("The first line holds numbers, not the names of columns.", "", "Add a line: value,count")
    roles = headers.roles_of(names, asked.mapping)
    by_plain = {files.plain(name): name for name in reversed(names)}
    free = {key: name for key, name in by_plain.items() if name not in roles.values()}
    extra = [next((free[word] for word in words.split() if word in free), None) for words in (_COUNT, _WEIGHT)]
    settings = {key: asked.mapping[key] for key in headers.SETTINGS if asked.mapping.get(key)}
    if asked.values:
        for role in ("value", "number"):
            roles.pop(role, None)
    values = _values(names, roles, asked, [name for name in extra if name])
    kept = {role: name for role, name in roles.items() if name not in {value.column for value in values}}
    return Layout(Plan(kept, [], settings).marked(), values, *extra)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _values(names: Sequence[str], roles: Mapping[str, str], asked: Asked, taken: list[str]) -> list[headers.Analyte]:
    """The columns of values, with the test and the unit that the header or the user says."""
    long = {"test", "code"} & set(roles)
    if asked.values:
        chosen = [_named(name, names) for name in asked.values]
        guessed = [headers.analyte(name) or headers.Analyte(name, name, "") for name in chosen]
    elif "value" in roles or "number" in roles:
        column = roles.get("value") or roles["number"]
        guessed = [headers.Analyte(column, "" if long else column, "")]
    else:
        free = [name for name in names if name not in {*roles.values(), *taken}]
        guessed = [found for name in free if (found := headers.analyte(name))]
        if not guessed and len(free) == 1:
            guessed = [headers.Analyte(free[0], free[0], "")]
    if not guessed:
        raise MappingError(
            "No column says which value a row is of.", f"Columns: {', '.join(names)}.", "Name it: --value COLUMN."
        )
    return [
        headers.Analyte(one.column, *said) for one, said in zip(guessed, _said(guessed, asked, bool(long)), strict=True)
    ]


def _said(guessed: list[headers.Analyte], asked: Asked, long: bool) -> Iterator[tuple[str, str]]:
    """Test and unit of each column of values."""
    n = len(guessed)
    units = asked.units * n if len(asked.units) == 1 else asked.units
    if units and len(units) != n:
        raise UsageError(f"{len(units)} units are given for {n} columns of values.", "", "Give one, or one for each.")
    tests = asked.analytes if len(asked.analytes) == n and not long and (asked.values or n == 1) else ()
    for place, one in enumerate(guessed):
        yield tests[place] if tests else one.test, units[place] if units else one.unit


def _named(wanted: str, names: Sequence[str]) -> str:
    found = next((name for name in names if name.casefold() == wanted.strip().casefold()), None)
    if found is None:
        raise MappingError(f"There is no column {wanted!r}.", f"Columns: {', '.join(names)}.", "Name one of them.")
    return found


def _parted(
    frame: Frame, layout: Layout, asked: Asked, names: Sequence[str], engine: Engine
) -> tuple[Frame, tuple[str, ...]]:
    """Add part_0, part_1, ... (text; age: number), minute, patient, count, weight and `unfit`, a reason or empty."""
    roles = layout.plan.roles
    frame = _timed(frame, layout, asked, engine)
    unfit: nw.Expr = lit("")
    for place, part in enumerate(asked.parts):
        if part == "age":
            age = _fine_age() if asked.smooth else _band("years", asked.ages)
            frame = _aged(frame, layout, engine, asked.smooth).with_columns(age.alias(f"part_{place}"))
            unknown = when(col("years").is_null()).then(lit("age_unknown")).otherwise(lit("no_stratum"))
        else:
            frame = frame.with_columns(_part(part, roles, frame, names).alias(f"part_{place}"))
            unknown = lit("no_stratum")
        unfit = when(col(f"part_{place}").is_null()).then(unknown).otherwise(unfit)
    numbers = {name: MARK + column for name, column in _numbers(layout).items()}
    frame = engine.numbers(frame, numbers) if numbers else frame
    frame = frame.with_columns(
        patient=results.identifier(frame, roles["patient"]) if _once(layout, asked) else lit(0),
        count=col("counted") if layout.count else lit(1.0),
        weight=col("weighed") if layout.weight else lit(1.0),
        unfit=unfit,
    )
    return frame, asked.parts


def _numbers(layout: Layout) -> dict[str, str]:
    given = {"counted": layout.count, "weighed": layout.weight}
    return {name: column for name, column in given.items() if column}


def _once(layout: Layout, asked: Asked) -> bool:
    """Whether only the first result of a person counts."""
    return asked.repeats == "first" and "patient" in layout.plan.roles and not layout.count


def _timed(frame: Frame, layout: Layout, asked: Asked, engine: Engine) -> Frame:
    roles = layout.plan.roles
    needed = _once(layout, asked) or ("age" in asked.parts and "birth" in roles)
    if "time" not in roles or not needed:
        return frame.with_columns(minute=lit(0).cast(nw.Int64))
    return times.add(frame, "minute", roles["time"], layout.plan.settings, engine)


def _part(part: str, roles: Mapping[str, str], frame: Frame, names: Sequence[str]) -> nw.Expr:
    """What a row says of one column of `by`, as text; null where it is empty."""
    if part == "sex" and "sex" in roles:
        sex = results_persons.sex_word(roles["sex"])
        return when(sex.is_in(["male", "female"])).then(sex)
    column = MARK + _named(part, names)
    text = col(column).cast(nw.String).str.strip_chars()
    if frame.collect_schema()[column].is_float():
        whole = col(column) == col(column).floor()
        text = when(whole).then(col(column).cast(nw.Int64).cast(nw.String)).otherwise(text)
    return when(text != "").then(text)


def _aged(frame: Frame, layout: Layout, engine: Engine, exact: bool) -> Frame:
    """Add `years`, from an age, else from birth and time; exact: half a year more where all are completed years."""
    roles = layout.plan.roles
    if "age" in roles:
        # Ages are masked as '> 89'.
        text = col(roles["age"]).cast(nw.String).str.strip_chars().str.replace_all(r"^>\s*", "")
        frame = engine.numbers(frame.with_columns(age_said=text), {"age_number": "age_said"})
        a_year = {"years": 1.0, "months": 12.0, "days": 365.25}[results_persons.age_unit(layout.plan)]
        known = col("age_number").is_finite() & (col("age_number") >= 0)
        half = 0.5 if exact and a_year == 1.0 and _all_whole(frame.filter(known), engine) else 0.0
        return frame.with_columns(years=when(known).then(col("age_number") / a_year + half))
    if "birth" not in roles or "time" not in roles:
        raise MappingError(
            "Nothing says how old people are.",
            f"Columns: {', '.join(header(name) for name in roles.values())}.",
            "Age bands need a column age, or birth and time.",
        )
    dates = {"date_format": layout.plan.settings.get("date_format", "")}
    frame = times.add(frame, "birth_at", roles["birth"], dates, engine)
    return frame.with_columns(
        years=when(col("minute") >= col("birth_at")).then((col("minute") - col("birth_at")) / YEAR)
    )


def _all_whole(frame: Frame, engine: Engine) -> bool:
    part = (col("age_number") - col("age_number").floor()).max()
    return not engine.collect(frame.select(part=part)).item()


def _fine_age() -> nw.Expr:
    """An age by the hour below two years, else by a hundredth of a year, so that equal results come together."""
    by_hour = (col("years") * 8766).floor() / lit(8766.0)
    return when(col("years") < 2).then(by_hour).otherwise((col("years") * 100).floor() / lit(100.0))


def _band(years: str, ages: Sequence[float]) -> nw.Expr:
    """Where the band of an age begins; null below the first."""
    band = missing("Float64")
    for age in ages:
        band = when(col(years) >= age).then(lit(float(age))).otherwise(band)
    return band


def _read(frame: Frame, layout: Layout, value: headers.Analyte, engine: Engine, knowledge: Knowledge) -> Frame:
    """One column of values: its signal, value, whether the true value lies below, and why it cannot be used."""
    roles = layout.plan.roles
    number = roles.get("number") if roles.get("number") != MARK + value.column else None
    frame = results.with_value(frame, MARK + value.column, engine, number)
    frame = frame.join(_worded(frame, engine, knowledge), left_on="text", right_on="said_text", how="left")
    sign = col("said_sign").fill_null("")
    if "comparator" in roles:
        sign = when(sign == "").then(results.word(frame, roles["comparator"])).otherwise(sign)
    frame = frame.with_columns(sign=sign, value=nw.coalesce(col("value"), col("said_value")))
    system, code = results.coding(frame, roles, engine) if layout.long else (lit(""), lit(""))
    unit = results.word(frame, roles.get("unit"))
    unit = when(unit == "").then(lit(value.unit)).otherwise(unit)
    return frame.select(
        *(LINE, "patient", "minute", "count", "weight"),
        *[name for name in frame.collect_schema().names() if name.startswith("part_")],
        system=system,
        code=code.cast(nw.String),
        name=results.word(frame, roles["test"]) if "test" in roles else lit("" if layout.long else value.test),
        specimen=results.word(frame, roles.get("specimen")),
        unit=unit,
        value="value",
        below=col("sign").is_in(["<", "<=", "≤"]),
        unfit=_unfit(),
    )


def _unfit() -> nw.Expr:
    empty = (
        when(col("text").is_null()).then(lit("no_value")).otherwise(nw.coalesce(col("said_reason"), lit("no_value")))
    )
    return (
        when(col("value").is_null())
        .then(empty)
        .when((col("value") < 0) | ~col("value").is_finite())
        .then(lit("implausible_value"))
        .when(col("count").is_null() | (col("count") < 0) | (col("count") != col("count").floor()))
        .then(lit("no_count"))
        .when(col("weight").is_null() | ~(col("weight") > 0))
        .then(lit("no_weight"))
        .otherwise(col("unfit"))
    )


def _worded(frame: Frame, engine: Engine, knowledge: Knowledge) -> Frame:
    """The distinct results in words, read: censored ones have a value and a sign, the others a reason."""
    texts = engine.collect(frame.select("text").filter(~col("text").is_null()).unique())["text"].to_list()
    rows = []
    for text in sorted(texts):
        said = read_wording(text, knowledge["result_words"])
        reason = _OUTCOMES[said.outcome]
        rows.append((text, said.value, said.comparator, reason))
    schema = {"said_text": pl.String, "said_value": pl.Float64, "said_sign": pl.String, "said_reason": pl.String}
    return engine.load(pl.DataFrame(rows, schema=schema, orient="row"), "wordings")


def _vocabulary(read: Frame) -> Frame:
    numbers = read.filter(~col("value").is_null()).group_by(*SIGNAL)
    value = col("value")
    return numbers.agg(n=nw.len(), value_min=value.min(), value_max=value.max(), value_mean=value.mean())


def _grouped(
    read: Frame, found: Iterable[Signal], parts: Sequence[str], layout: Layout, asked: Asked, engine: Engine
) -> tuple[pl.DataFrame, list[Aside]]:
    """One row for each stratum, value, side and weight, with how many results it holds; and what is held back."""
    columns = {name: pl.String for name in (*SIGNAL, "analyte", "house_unit", "aside")}
    schema = columns | dict.fromkeys(("shift", "multiplier", "divisor"), pl.Float64)
    rows = [{name: getattr(one, name) for name in schema} for one in found]
    small = engine.load(pl.DataFrame(rows, schema=schema), "signals")
    known = read.join(small, on=[*SIGNAL], how="inner" if asked.analytes else "left")
    unfit = when((col("unfit") == "") & (col("aside") != "")).then(col("aside")).otherwise(col("unfit"))
    scaled = (col("value") - col("shift")) * col("multiplier") / col("divisor")
    known = known.with_columns(unfit=unfit).with_columns(value=when(col("unfit") == "").then(scaled))
    held = known.filter(col("unfit") != "").group_by("unfit").agg(n=nw.len(), line=col(LINE).min())
    aside = [Aside(*row) for row in engine.collect(held.select("unfit", "n", "line")).sort("unfit").rows()]
    keys = ["analyte", "house_unit", *(f"part_{place}" for place in range(len(parts)))]
    fit = known.filter(col("unfit") == "")
    if _once(layout, asked):
        fit, others = _first_of_each(fit, keys, engine)
        aside += [Aside("repeated", others, 0)] if others else []
    cells = [*keys, "value", "below", *(["weight"] if layout.weight else [])]
    counted = engine.collect(fit.group_by(*cells).agg(n=col("count").sum()))
    return counted.filter(pl.col("n") > 0), aside


def _first_of_each(fit: Frame, keys: Sequence[str], engine: Engine) -> tuple[Frame, int]:
    """The first result of each person in each stratum, and how many others there were; no person: every result."""
    alone = when(col("patient").is_null()).then(col(LINE)).otherwise(lit(0))
    late = when(col("minute").is_null()).then(lit(1)).otherwise(lit(0))
    relation = fit.with_columns(alone=alone, late=late).to_native()
    group = ", ".join(f'"{name}"' for name in (*keys, "patient", "alone"))
    order = f'{{l: late, m: "minute", r: "{LINE}"}}'
    kept = ", ".join(f'arg_min("{name}", {order}) as "{name}"' for name in ("value", "below", "weight", "count"))
    grouped = relation.aggregate(f"{group}, {kept}, count(*) as results", group)
    first = engine.materialise(nw.from_native(grouped), "first")
    others = engine.collect(first.select(n=(col("results") - 1).sum())).item()
    return first, int(others or 0)


def _checked(
    rows: pl.DataFrame, aside: list[Aside], parts: tuple[str, ...], found: Sequence[Signal], asked: Asked
) -> Counted:
    wrong = [one for one in aside if one.reason in REFUSED]
    if wrong and not asked.set_aside:
        raise _refusal(wrong, found)
    if rows.is_empty():
        why = "; ".join(f"{one.words}: {one.n}" for one in aside)
        raise MappingError("There is no result left to take limits from.", why and f"{why}.", "Check the columns.")
    names = {f"part_{place}": part for place, part in enumerate(parts)}
    kept = ["analyte", "unit", *parts, "value", "below", "n", *(["weight"] if "weight" in rows.columns else [])]
    made = rows.rename({**names, "house_unit": "unit"}).select(kept)
    inferred = {one.analyte: one.house_unit for one in found if one.inferred}
    return Counted(made.sort(kept), parts, aside, inferred)


def _refusal(wrong: Sequence[Aside], found: Sequence[Signal]) -> MappingError:
    said = "; ".join(f"{one.words}: {one.n}, first in row {one.line}" for one in wrong)
    reasons = {one.reason for one in wrong}
    remedies = []
    if {"unknown_unit", "ambiguous_unit"} & reasons:
        units = [f"{one.analyte} in {one.unit or 'no unit'}" for one in found if one.aside in REFUSED]
        said += f" ({', '.join(units[:8])})"
        remedies.append("Convert them first; where the unit is missing, --unit gives it.")
    if reasons & {"unreadable_result", "implausible_value", "no_count"}:
        remedies.append("Mend them: units, missing codes such as -9, words in place of numbers.")
    remedies.append("--set-aside goes on without them.")
    return MappingError("Some results cannot be used.", f"{said}.", " ".join(remedies))
