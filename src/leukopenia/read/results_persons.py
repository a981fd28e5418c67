"""Sex, birth, age and death columns of a results table to raw persons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from leukopenia import contracts
from leukopenia.errors import MappingError
from leukopenia.read import times
from leukopenia.read.files import plain
from leukopenia.read.headers import Plan, header
from leukopenia.read.raw import missing, shape

if TYPE_CHECKING:
    from leukopenia.engine import Engine, Frame

_SEXES = {"m": "male", "male": "male", "f": "female", "female": "female"}
_MINUTES = {"years": 525_960, "months": 43_830, "days": 1_440}
_AGE_PRECISION = {"years": "year", "months": "month", "days": "day"}


def persons(frame: Frame, line: str, plan: Plan, engine: Engine, source: str) -> Frame:
    """One row per patient; what its lines disagree on is unknown (sex) or the earliest (birth)."""
    roles = plan.roles
    frame = _with_birth(frame.filter(~nw.col("patient_id").is_null()), plan, engine)
    if "death" in roles:
        frame = times.add(frame, "death_at", roles["death"], _date_settings(plan), engine)
    else:
        frame = frame.with_columns(death_at=missing("Int64"))
    frame = frame.with_columns(sex_said=sex_word(roles.get("sex")))
    frame = frame.group_by("patient_id").agg(
        nw.col(line).min(),
        nw.col("birth_at").min(),
        nw.col("birth_at_precision").min(),
        nw.col("death_at").min(),
        first_sex=nw.col("sex_said").min(),
        last_sex=nw.col("sex_said").max(),
    )
    agreed = nw.col("first_sex") == nw.col("last_sex")
    columns = {
        "source": nw.lit(source),
        "row_id": nw.col(line),
        "patient_id": nw.col("patient_id"),
        "sex": nw.when(agreed).then(nw.col("first_sex")).otherwise(nw.lit("unknown")),
        "birth": nw.col("birth_at"),
        "birth_precision": nw.when(nw.col("birth_at").is_null())
        .then(nw.lit("none"))
        .otherwise(nw.col("birth_at_precision")),
        "death": nw.col("death_at"),
    }
    return shape(frame, contracts.RAW_PERSONS, columns)


def _date_settings(plan: Plan) -> dict[str, Any]:
    return {"date_format": plan.settings.get("date_format", "")}


def _with_birth(frame: Frame, plan: Plan, engine: Engine) -> Frame:
    """The birth date, else the age at the time of the row, which gives a birth as exact as the age is."""
    if "birth" in plan.roles:
        return times.add(frame, "birth_at", plan.roles["birth"], _date_settings(plan), engine)
    if "age" not in plan.roles:
        return frame.with_columns(birth_at=missing("Int64"), birth_at_precision=nw.lit("none"))
    unit = age_unit(plan)
    said = nw.col(plan.roles["age"]).cast(nw.String).str.strip_chars()
    # Ages are masked as '> 89': the next whole one stands for them, as it still tells an adult.
    frame = frame.with_columns(age_said=said.str.replace_all(r"^>\s*", ""), masked=said.str.starts_with(">"))
    frame = engine.numbers(frame, {"age_number": "age_said"})
    years = nw.when(nw.col("masked")).then(nw.col("age_number") + 1.0).otherwise(nw.col("age_number"))
    age = nw.when(nw.col("age_number").is_finite()).then((years * _MINUTES[unit]).floor())
    return frame.with_columns(
        birth_at=nw.col("minute") - age.cast(nw.Int64), birth_at_precision=nw.lit(_AGE_PRECISION[unit])
    )


def age_unit(plan: Plan) -> str:
    """Years, months or days, as the mapping or the header says."""
    said = plain(header(plan.roles["age"]))
    guessed = "months" if "month" in said else "days" if "day" in said else "years"
    unit = str(plan.settings.get("age_unit", guessed))
    if unit not in _MINUTES:
        raise MappingError(f"The age_unit {unit!r} is not known.", "", f"Known: {', '.join(_MINUTES)}.")
    return unit


def sex_word(column: str | None) -> nw.Expr:
    """A word for the sex; null where nothing is said. NHANES codes men 1 and women 2."""
    if column is None:
        return missing("String")
    if plain(header(column)) == "riagendr":
        number = nw.col(column).cast(nw.Float64)
        return nw.when(number == 1).then(nw.lit("male")).otherwise(nw.when(number == 2).then(nw.lit("female")))
    said = nw.col(column).cast(nw.String).fill_null("").str.strip_chars().str.to_lowercase()
    word = nw.when(said.is_in(["", "u", "unknown", "unk", "na"])).then(missing("String")).otherwise(nw.lit("other"))
    for spelling, sex in _SEXES.items():
        word = nw.when(said == spelling).then(nw.lit(sex)).otherwise(word)
    return word
