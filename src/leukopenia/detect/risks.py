"""What must be seen first: red flags by named definition, and depth times duration of neutropenia."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2 import col, lit, when

from leukopenia.contracts import Knowledge
from leukopenia.policy import Policy

Frame = nw.LazyFrame[Any]

DAY = 1440
ABSENT = ("none", "none seen", "none detected", "not seen", "not detected", "neg", "negative", "absent", "normal")
"""Words by which a film says that something was looked for and not seen."""
IMMATURE = (
    "metamyelocytes_pct",
    "myelocytes_pct",
    "promyelocytes_pct",
    "metamyelocytes",
    "myelocytes",
    "promyelocytes",
)


def risks(
    marked: Frame, doubtful: Frame, findings: Frame, exposures: Frame, knowledge: Knowledge, policy: Policy
) -> Frame:
    """contracts.RISKS: one row per person, kind and definition, with the first and the last time it held.

    Parameters
    ----------
    marked : Frame
        Counts with `is_low` (episodes.mark_low) of the persons and lines with a low count.
    doubtful : Frame
        Counts whose sources disagree or whose unit was repaired, of any person.
    findings, exposures : Frame
        contracts.FINDINGS, contracts.EXPOSURES.
    knowledge : Knowledge
        Uses agranulocytosis, agranulocytosis_drugs, febrile_neutropenia and severity.
    policy : Policy
        fever.window_minutes, risk.carry_days.
    """
    window = policy.number("fever.window_minutes")
    neutrophils = _with_last(marked.filter(col("analyte") == "neutrophils", ~col("comparator").is_in([">", ">="])))
    fevers = {row["definition"]: row for row in knowledge["febrile_neutropenia"]}
    flags = [_agranulocytosis(neutrophils, findings, row, fevers, window) for row in knowledge["agranulocytosis"]]
    flags += [_fever(neutrophils, findings, row, window) for row in fevers.values()]
    flags += [_cytopenia(marked), _blasts(findings), _leukoerythroblastic(findings)]
    flags.append(_on_suspect_drug(neutrophils, exposures, knowledge, policy))
    flags += [_clumps(findings), *_doubtful(doubtful)]
    return nw.concat(flags)


def bears(knowledge: Knowledge) -> nw.Expr:
    """Neutrophil counts that a definition names, whether or not a limit is known that calls them low."""
    limits = [row["below"] for row in knowledge["agranulocytosis"]] + [_severe(knowledge)["below"]]
    limits += [row["anc_below"] for row in knowledge["febrile_neutropenia"]]
    return (col("analyte") == "neutrophils") & (col("value") <= max(map(float, limits)))


def _with_last(neutrophils: Frame) -> Frame:
    return neutrophils.with_columns(last=col("minute").max().over("patient_id"))


def _under(limit: float) -> nw.Expr:
    """Certainly below a limit: '<0.5' is below 0.5 although its number is not, '>0.1' need not be."""
    number = (col("value") < limit) & ~col("comparator").is_in([">", ">="])
    return number | ((col("value") == limit) & (col("comparator") == "<"))


def _first(rows: Frame, kind: str | nw.Expr, definition: str, source: str, detail: str | nw.Expr) -> Frame:
    """One row a person: the first time, the last time, and whether the latest count still shows it."""
    named = rows.with_columns(
        kind=lit(kind) if isinstance(kind, str) else kind,
        detail=lit(detail) if isinstance(detail, str) else detail,
    )
    return (
        named.group_by("patient_id", "kind", "detail")
        .agg(
            minute=col("minute").min(),
            last_minute=col("minute").max(),
            ongoing=when(col("minute") == col("last")).then(1).otherwise(0).max(),
        )
        .select(
            "patient_id",
            "kind",
            lit(definition).alias("definition"),
            "minute",
            "last_minute",
            "detail",
            lit(source).alias("source_id"),
            (col("ongoing") == 1).alias("ongoing"),
        )
    )


def _agranulocytosis(
    neutrophils: Frame,
    findings: Frame,
    row: Mapping[str, str],
    fevers: Mapping[str, Mapping[str, str]],
    window: float,
) -> Frame:
    """Counts below the limit of a definition; some want more than one, and fever as another definition has it."""
    below = neutrophils.filter(_under(float(row["below"])))
    detail = f"neutrophils below {row['below']} x 10^9/L"
    if int(row["counts"]) > 1:
        counted = below.with_columns(times=col("minute").count().over("patient_id").cast(nw.Int64))
        below = counted.filter(col("times") >= int(row["counts"])).drop("times")
        detail += f", {row['counts']} counts"
    if row["fever_as"]:
        hot = _hot(findings, fevers[row["fever_as"]])
        below = _near(below, hot, window)
        detail += f", with fever as {row['fever_as']} has it"
    return _first(below, "agranulocytosis", row["definition"], row["source_id"], detail)


def _fever(neutrophils: Frame, findings: Frame, row: Mapping[str, str], window: float) -> Frame:
    """Fever near a low count, both as one definition has them."""
    limit = float(row["anc_below"])
    low = neutrophils.filter(col("value") <= limit if row["anc_inclusive"] in ("1", "yes") else _under(limit))
    met = _near(low, _hot(findings, row), float(row["window_minutes"] or window))
    kind = "severe_neutropenia_with_fever" if limit <= 0.5 else "febrile_neutropenia"
    return _first(met, kind, row["definition"], row["source_id"], f"fever and neutrophils below {row['anc_below']}")


def _near(counts: Frame, fever: Frame, window: float) -> Frame:
    return (
        counts.select("patient_id", "minute", "last")
        .join(fever.select("patient_id", "at"), on="patient_id")
        .filter((col("minute") - col("at")).abs() <= int(window))
        .select("patient_id", "minute", "last")
    )


def _hot(findings: Frame, row: Mapping[str, str]) -> Frame:
    """Fever: one reading high enough, or a rise sustained for as long as the definition wants."""
    temperature = findings.filter(col("finding") == "temperature", ~col("value").is_null()).select(
        "patient_id", "value", at="minute"
    )
    hot = temperature.filter(_single(row))
    sustained = _sustained(temperature, row)
    return nw.concat([hot, sustained]) if sustained is not None else hot


def _single(row: Mapping[str, str]) -> nw.Expr:
    if not row["single_temperature_above"]:
        return lit(False)
    limit = float(row["single_temperature_above"])
    return col("value") >= limit if row["single_inclusive"] in ("1", "yes") else col("value") > limit


def _sustained(temperature: Frame, row: Mapping[str, str]) -> Frame | None:
    if not row["sustained_temperature_from"]:
        return None
    warm = _warm_spells(temperature, float(row["sustained_temperature_from"]), row["sustained_inclusive"] == "1")
    before = warm.select("patient_id", "spell", earlier="at")
    return (
        warm.join(before, on=["patient_id", "spell"])
        .filter(col("at") - col("earlier") >= int(row["sustained_minutes"]), col("at") - col("earlier") <= DAY)
        .select("patient_id", "value", "at")
        .unique()
    )


def _warm_spells(temperature: Frame, limit: float, inclusive: bool) -> Frame:
    """Raised readings, numbered by spell: a reading below the limit ends one; of one minute the highest counts."""
    raised = col("value") >= limit if inclusive else col("value") > limit
    readings = temperature.group_by("patient_id", "at").agg(col("value").max())
    marked = readings.with_columns(cool=when(raised).then(lit(0)).otherwise(lit(1)).cast(nw.Int64))
    numbered = marked.with_columns(spell=col("cool").cum_sum().over("patient_id", order_by=["at"]).cast(nw.Int64))
    return numbered.filter(col("cool") == 0)


def _cytopenia(marked: Frame) -> Frame:
    """Two or three of white cells, haemoglobin and platelets below their limits in one draw."""

    def low(*analytes: str) -> nw.Expr:
        return when(col("is_low") & col("analyte").is_in(list(analytes))).then(1).otherwise(0).max()

    drawn = (
        marked.group_by("patient_id", "minute")
        .agg(white=low("wbc", "neutrophils", "lymphocytes"), red=low("haemoglobin"), platelets=low("platelets"))
        .with_columns(lines=col("white") + col("red") + col("platelets"))
        .with_columns(last=col("minute").max().over("patient_id"))
        .filter(col("lines") >= 2, col("white") == 1)
    )
    kind = when(col("lines") == 3).then(lit("pancytopenia")).otherwise(lit("bicytopenia"))
    detail = (
        when(col("lines") == 3)
        .then(lit("white cells, haemoglobin and platelets low in one draw"))
        .otherwise(lit("white cells and one other line low in one draw"))
    )
    return _first(drawn, kind, "below the limits in force", "", detail)


def _blasts(findings: Frame) -> Frame:
    looked = _dated(findings.filter(col("finding").is_in(["blasts_pct", "blasts"])))
    return _first(looked.filter(_seen()), "blasts", "blasts reported", "", "blasts in the blood")


def _leukoerythroblastic(findings: Frame) -> Frame:
    red = col("finding") == "nucleated_red_cells"
    looked = _dated(findings.filter(col("finding").is_in(list(IMMATURE)) | red)).filter(_seen())
    both = (
        looked.filter(~red)
        .select("patient_id", "minute", "last")
        .join(looked.filter(red).select("patient_id", "minute").unique(), on=["patient_id", "minute"])
    )
    detail = "immature granulocytes and nucleated red cells in one draw"
    return _first(both, "leukoerythroblastic", "both reported", "", detail)


def _seen() -> nw.Expr:
    """More than none, as a number or in words."""
    word = col("text").str.strip_chars(" .,;:!*").str.to_lowercase()
    return ((col("value") > 0) | ~word.is_in(list(ABSENT))).fill_null(False)


def _dated(rows: Frame) -> Frame:
    return rows.with_columns(last=col("minute").max().over("patient_id"))


def _severe(knowledge: Knowledge) -> Mapping[str, str]:
    return next(row for row in knowledge["severity"] if row["severity"] == "severe")


def _on_suspect_drug(neutrophils: Frame, exposures: Frame, knowledge: Knowledge, policy: Policy) -> Frame:
    """Severe neutropenia while a drug that can cause agranulocytosis goes on, or within its last days."""
    severe = _severe(knowledge)
    carry = int(policy.number("risk.carry_days") * DAY)
    suspects = sorted(row["ingredient"] for row in knowledge["agranulocytosis_drugs"])
    taken = exposures.filter(col("ingredient").is_in(suspects)).select("patient_id", "ingredient", "start", "end")
    met = (
        neutrophils.filter(_under(float(severe["below"])))
        .select("patient_id", "minute", "last")
        .join(taken, on="patient_id")
        .filter(col("start") <= col("minute"), col("end") + carry >= col("minute"))
    )
    definition = f"neutrophils below {severe['below']}"
    return _first(met, "neutropenia_on_suspect_drug", definition, severe["source_id"], col("ingredient"))


def _clumps(findings: Frame) -> Frame:
    looked = _dated(findings.filter(col("finding") == "platelet_clumps"))
    detail = "clumps: platelets, and at times white cells, miscounted"
    return _first(looked.filter(_seen()), "count_may_not_be_real", "platelet_clumps", "", detail)


def _doubtful(counts: Frame) -> list[Frame]:
    dated = _dated(counts)
    conflict = dated.filter(col("conflict"))
    repaired = dated.filter(col("unit_repaired"))
    return [
        _first(conflict, "count_may_not_be_real", "conflicting_results", "", "two results of one time disagree"),
        _first(repaired, "count_may_not_be_real", "thousandfold_unit", "", "unit wrong by a factor of a thousand"),
    ]


def infection_risk(numbered: Frame, knowledge: Knowledge, policy: Policy) -> Frame:
    """contracts.INFECTION_RISK: per neutrophil episode, observed days severe and profound, and depth x duration.

    A count speaks for the time to the next one, for `risk.carry_days` at most.
    """
    below = {row["severity"]: float(row["below"]) for row in knowledge["severity"]}
    carry = int(policy.number("risk.carry_days") * DAY)
    counts = numbered.filter(col("analyte") == "neutrophils").with_columns(
        next_minute=col("minute").shift(-1).over("patient_id", order_by=["minute"])
    )
    span = (col("next_minute") - col("minute")).fill_null(0)
    carried = counts.with_columns(minutes=when(span > carry).then(lit(carry)).otherwise(span))
    spans = carried.filter(col("number") > 0)

    def summed(limit: float, number: nw.Expr) -> nw.Expr:
        return when(_under(limit)).then(number).otherwise(0).sum().cast(nw.Int64)

    # In millionths, so that the sum is the same on every engine.
    depth = ((lit(below["severe"]) - col("value")) * 1e6 + 0.5).floor().cast(nw.Int64)
    return (
        spans.group_by("patient_id", "number")
        .agg(
            minutes_severe=summed(below["severe"], col("minutes")),
            minutes_profound=summed(below["profound"], col("minutes")),
            deficit=summed(below["severe"], depth * col("minutes")),
        )
        .select(
            nw.concat_str(
                [col("patient_id").cast(nw.String), lit("neutrophils"), col("number").cast(nw.String)],
                separator="/",
            ).alias("episode_id"),
            _ratio("minutes_severe", DAY).alias("days_severe"),
            _ratio("minutes_profound", DAY).alias("days_profound"),
            _ratio("deficit", DAY * 1_000_000).alias("deficit"),
        )
    )


def _ratio(name: str, by: int) -> nw.Expr:
    number = col(name).cast(nw.Float64)
    # Polars would turn a division by a literal into a product; a column it divides as IEEE asks.
    return number / (lit(float(by)) + number * 0.0)
