"""MEDS event streams (subject_id, time, code, value) to raw tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import narwhals.stable.v2 as nw

from leukopenia import contracts
from leukopenia.errors import MappingError, SourceError
from leukopenia.read import files, meds_codes
from leukopenia.read.raw import Issue, Opener, Raw, issue, missing, shape, text

if TYPE_CHECKING:
    import polars as pl

    from leukopenia.engine import Engine, Frame

_SUBJECTS = ("subject_id", "patient_id")
_NUMBERS = ("numeric_value", "value")
_EVENT = "event_number"


def recognises(path: Path) -> bool:
    """Whether a Parquet file, or a folder of shards, has the columns of MEDS and none of a results table."""
    shards = _shards(path)
    return bool(shards) and _has_columns(files.parquet_columns(shards[0]))


def _has_columns(names: list[str]) -> bool:
    lower = {name.lower() for name in names}
    values = {*_NUMBERS, "text_value"} & lower
    named = {"test", "test_name", "analyte", "name"} & lower
    return bool(set(_SUBJECTS) & lower) and {"time", "code"} <= lower and bool(values) and not named


def _shards(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if files.kind(path) == ".parquet" else []
    root = path / "data" if (path / "data").is_dir() else path
    return [p for p in files.table_files(root) if files.kind(p) == ".parquet" and "metadata" not in p.parts]


def read(path: Path, engine: Engine, source: str) -> Raw:
    """Read one file or a folder of shards.

    Raises
    ------
    SourceError
        No Parquet there with the columns of MEDS.
    """
    shards = _shards(path)
    if not shards or not _has_columns(files.parquet_columns(shards[0])):
        found = ", ".join(files.parquet_columns(shards[0])) if shards else "no Parquet file"
        raise SourceError(
            f"{path} is not MEDS.",
            f"Found: {found}.",
            "MEDS is Parquet with subject_id, time, code and a value.",
        )
    notes = files.Notes()
    events = files.opener(shards, engine, path, notes)
    descriptions = _descriptions(path, notes)
    return build(events, engine, source, descriptions, notes.files)


def _descriptions(path: Path, notes: files.Notes) -> dict[str, str]:
    """What `metadata/codes.parquet` calls the codes, where it is there."""
    import polars as pl

    metadata = path / "metadata" / "codes.parquet"
    if not metadata.is_file() or "description" not in files.parquet_columns(metadata):
        return {}
    notes.files.append(metadata)
    rows = pl.read_parquet(metadata, columns=["code", "description"]).drop_nulls()
    return dict(rows.iter_rows())


def build(
    events: Opener,
    engine: Engine,
    source: str,
    descriptions: dict[str, str] | None = None,
    opened: list[Path] | None = None,
) -> Raw:
    """Raw tables from an event stream, wherever it lives.

    Events kept out are counted in the issues by the first part of their code.
    """
    frame = _typed(events(_EVENT), engine)
    issues, frame = _without_patient(frame, engine, source)
    counted = engine.collect(frame.group_by("code").agg(n=nw.len().cast(nw.Int64)))
    codes = meds_codes.table(counted.select("code", "n"), descriptions or {})
    issues.extend(_aside(codes, source))
    present = set(codes["target"]) - {""}
    made = {t: _MAKERS[t](_of(t, frame, codes, engine), source) for t in sorted(present)}
    rows_in = {t: int(codes.filter(codes["target"] == t)["n"].sum()) for t in sorted(present)}
    if "raw_results" not in present:
        issues.append(issue(source, "raw_results", "table_absent", detail="laboratory events", n=0, set_aside=False))
    return Raw(source, "meds", made, issues, rows_in, opened or [])


def _typed(frame: Frame, engine: Engine) -> Frame:
    names = {name.lower(): name for name in frame.collect_schema().names()}
    subject = next((names[name] for name in _SUBJECTS if name in names), "")
    if not subject or not {"time", "code"} <= set(names):
        raise MappingError(
            "The events lack columns of MEDS.",
            f"Found: {', '.join(names)}.",
            "MEDS has subject_id, time and code.",
        )
    number = next((names[name] for name in _NUMBERS if name in names), "")
    word = {part: names.get(part, "") for part in ("text_value", "unit")}
    frame = frame.select(
        _EVENT,
        patient_id=nw.col(subject),
        time=nw.col(names["time"]),
        code=text(names["code"]),
        number=nw.col(number) if number else missing("Float64"),
        **{part: nw.col(name).cast(nw.String) if name else missing("String") for part, name in word.items()},
    )
    frame = frame.with_columns(new_year=_new_year(frame))
    return engine.numbers(engine.minutes(frame, {"minute": "time"}), {"value_": "number"})


def _new_year(frame: Frame) -> nw.Expr:
    """1 where the time is on 1 January: what extractions make of a year alone."""
    if not frame.collect_schema()["time"].is_temporal():
        return nw.lit(0)
    time = nw.col("time").dt
    return nw.when((time.month() == 1) & (time.day() == 1)).then(1).otherwise(0)


def _without_patient(frame: Frame, engine: Engine, source: str) -> tuple[list[Issue], Frame]:
    absent = nw.col("patient_id").is_null()
    n = int(engine.collect(frame.filter(absent).select(n=nw.len().cast(nw.Int64))).item())
    if not n:
        return [], frame
    return [issue(source, "events", "no_patient", n=n)], frame.filter(~absent)


def _aside(codes: pl.DataFrame, source: str) -> list[Issue]:
    counts: dict[str, int] = {}
    for code, n in codes.filter(codes["target"] == "").select("code", "n").iter_rows():
        counts[meds_codes.family(code)] = counts.get(meds_codes.family(code), 0) + n
    return [issue(source, "events", "not_of_interest", detail=prefix, n=n) for prefix, n in sorted(counts.items())]


def _of(target: str, frame: Frame, codes: pl.DataFrame, engine: Engine) -> Frame:
    small = engine.load(codes.filter(codes["target"] == target).drop("target", "n"), "codes")
    return frame.rename({"unit": "unit_column"}).join(small, on="code", how="inner")


def _base(source: str) -> dict[str, nw.Expr]:
    return {"source": nw.lit(source), "row_id": nw.col(_EVENT), "patient_id": nw.col("patient_id")}


def _signal() -> dict[str, nw.Expr]:
    return {"system": nw.col("system"), "code": nw.col("concept"), "name": nw.col("name")}


def _results(frame: Frame, source: str) -> Frame:
    given = nw.when(nw.col("unit") == "").then(text("unit_column")).otherwise(nw.col("unit"))
    word = nw.when(nw.col("value_").is_null() & (nw.col("text_value") != "")).then(nw.col("text_value"))
    columns = (
        _base(source)
        | _signal()
        | {
            "minute": nw.col("minute"),
            "time_precision": nw.col("minute_precision"),
            "unit": given,
            "value": nw.col("value_"),
            "text": word,
        }
    )
    return shape(frame, contracts.RAW_RESULTS, columns)


def _spans(frame: Frame) -> Frame:
    """Starts joined with their stops as brackets are: the last opened is the first closed.

    So overlapping orders of one drug cover the time they cover, and a stop that was never recorded spoils one
    interval, not all that follow. A start without stop has no end; a stop without start has no start.
    """
    frame = frame.with_columns(
        step=nw.when(nw.col("part") == "stop").then(-1).otherwise(1), closes=nw.col("part") == "stop"
    )
    frame = frame.with_columns(order=nw.when(nw.col("closes")).then(1).otherwise(0))
    one = ["patient_id", "pair"]
    in_time = ["minute", "order", _EVENT]
    frame = frame.with_columns(depth=nw.col("step").cum_sum().over(*one, order_by=in_time).cast(nw.Int64))
    frame = frame.with_columns(level=nw.col("depth") + nw.col("order"))
    within = [*one, "level"]
    frame = frame.with_columns(
        stop=nw.col("minute").shift(-1).over(*within, order_by=in_time),
        opened=nw.col("order").shift(1).over(*within, order_by=in_time),
    )
    alone = nw.col("closes") & nw.col("opened").is_null()
    frame = frame.with_columns(
        start=nw.when(~nw.col("closes")).then(nw.col("minute")),
        end=nw.when(nw.col("closes")).then(nw.col("minute")).otherwise(nw.col("stop")),
    )
    return frame.filter(~nw.col("closes") | alone)


def _intervals(frame: Frame) -> Frame:
    """Starts and stops as intervals, single events as they are."""
    wanted = ["start", "end", "minute_precision", *_KEPT]
    single = frame.filter(nw.col("part") == "").with_columns(start=nw.col("minute"), end=missing("Int64"))
    return nw.concat([single.select(wanted), _spans(frame.filter(nw.col("part") != "")).select(wanted)])


_KEPT = [_EVENT, "patient_id", "system", "concept", "name", "status", "setting"]


def _span_columns() -> dict[str, nw.Expr]:
    return {"start": nw.col("start"), "end": nw.col("end"), "time_precision": nw.col("minute_precision")}


def _drugs(frame: Frame, source: str) -> Frame:
    columns = _base(source) | _signal() | _span_columns() | {"status": nw.col("status")}
    return shape(_intervals(frame), contracts.RAW_DRUGS, columns)


def _conditions(frame: Frame, source: str) -> Frame:
    return shape(_intervals(frame), contracts.RAW_CONDITIONS, _base(source) | _signal() | _span_columns())


def _procedures(frame: Frame, source: str) -> Frame:
    return shape(_intervals(frame), contracts.RAW_PROCEDURES, _base(source) | _signal() | _span_columns())


def _encounters(frame: Frame, source: str) -> Frame:
    columns = _base(source) | _span_columns() | {"setting": nw.col("setting")}
    return shape(_intervals(frame), contracts.RAW_ENCOUNTERS, columns)


def _persons(frame: Frame, source: str) -> Frame:
    """One row per person, from its birth, death and sex events; two sexes make 'unknown'."""
    part = nw.col("part")
    sex = nw.when(part == "sex").then(nw.col("sex"))
    frame = frame.group_by("patient_id").agg(
        nw.col(_EVENT).min(),
        birth=nw.when(part == "birth").then(nw.col("minute")).min(),
        death=nw.when(part == "death").then(nw.col("minute")).min(),
        new_year=nw.when(part == "birth").then(nw.col("new_year")).max(),
        first_sex=sex.min(),
        last_sex=sex.max(),
    )
    agreed = nw.col("first_sex") == nw.col("last_sex")
    columns = _base(source) | {
        "sex": nw.when(agreed).then(nw.col("first_sex")).otherwise(nw.lit("unknown")),
        "birth": nw.col("birth"),
        "birth_precision": _birth_precision(),
        "death": nw.col("death"),
    }
    return shape(frame, contracts.RAW_PERSONS, columns)


def _birth_precision() -> nw.Expr:
    midnight = nw.col("birth") % 1440 == 0
    day = nw.when(nw.col("new_year") == 1).then(nw.lit("year")).otherwise(nw.lit("day"))
    known = nw.when(midnight).then(day).otherwise(nw.lit("minute"))
    return nw.when(nw.col("birth").is_null()).then(nw.lit("none")).otherwise(known)


_MAKERS = {
    "raw_results": _results,
    "raw_drugs": _drugs,
    "raw_conditions": _conditions,
    "raw_procedures": _procedures,
    "raw_encounters": _encounters,
    "raw_persons": _persons,
}
