"""Where the harmonise room meets the readers: raw tables of one or several sources -> harmonised tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2 import col, lit

from leukopenia import contracts
from leukopenia.contracts import Knowledge, Rows, Table
from leukopenia.engine import Engine, Frame
from leukopenia.harmonise import diagnoses, draws, drugs, meanings, measures, persons, wordings
from leukopenia.policy import Policy
from leukopenia.read.raw import Raw

Later = Callable[[], Frame]
"""A table that is put together when somebody asks for it."""


@dataclass
class Harmonised:
    """Sources merged and harmonised, before limits are chosen."""

    counts: Frame
    findings: Frame
    exposures: Frame
    conditions: Frame
    patients: Frame
    observation_periods: Frame
    mentions: Frame
    issues: list[Later]
    present: list[str]
    signals: list[dict[str, Any]]
    accounting: dict[str, dict[str, int]]
    given: Frame | None = None

    def administrations(self, persons: Frame, ingredients: Sequence[str], orders: bool) -> Frame | None:
        """The exposures of some persons to some drugs, each administration by itself; None: no drug is on record."""
        if self.given is None:
            return None
        mine = self.given.filter(col("ingredient").is_in(list(ingredients))).join(persons, on="patient_id", how="semi")
        return drugs.exposures(mine, 0, orders)


def harmonise(
    raws: Sequence[Raw], engine: Engine, knowledge: Knowledge, policy: Policy, site_maps: Mapping[str, Rows]
) -> Harmonised:
    """Readers' tables -> harmonised tables, with an issue for every row that went no further."""
    raws = _same_ids(raws)
    signals, measured = _measure(raws, engine, knowledge, policy, site_maps)
    present = sorted({row["component"] for row in signals if row["component"] and not row["reason"]})
    bounds = {
        name: policy.number(f"bound.{name}.below")
        for name in ("neutrophils", "lymphocytes")
        if policy.text(f"bound.{name}.below")
    }
    lines = draws.makeable(present, bounds)
    analytes = engine.load(pl.DataFrame({"analyte": lines}, schema={"analyte": pl.String}), "analytes")
    empty = _empty(raws, engine)
    counts, findings = empty(contracts.COUNTS), empty(contracts.FINDINGS)
    issues: list[Later] = []
    if measured is not None:
        counts = draws.counts(measured.rows, present, analytes, bounds, [raw.source for raw in raws])
        issues += [partial(measures.set_aside, measured.rows), partial(draws.unused, measured.rows)]
        if measured.findings:
            findings = engine.materialise(measures.findings(measured.rows), "findings")
    exposures, given, drug_issues, drug_signals = _exposures(raws, engine, knowledge, policy)
    conditions, condition_issues, condition_signals = _conditions(raws, engine, knowledge)
    raw_persons = _merged(raws, "raw_persons") or empty(contracts.RAW_PERSONS)
    raw_periods = _merged(raws, "raw_periods") or empty(contracts.RAW_PERIODS)
    patients = engine.materialise(persons.patients(raw_persons, conditions), "persons")
    reader_issues = [row for raw in raws for row in raw.issues]
    loaded = engine.load(
        _issue_frame(reader_issues + _signal_issues(signals) + drug_signals + condition_signals), "issues"
    )
    return Harmonised(
        counts=counts,
        findings=findings,
        exposures=exposures,
        conditions=conditions,
        patients=patients,
        observation_periods=persons.observation_periods(raw_periods),
        mentions=empty(contracts.MENTIONS),
        issues=[lambda: loaded, *issues, *drug_issues, *condition_issues],
        present=lines,
        signals=signals,
        accounting={raw.source: _accounted(raw, signals) for raw in raws},
        given=given,
    )


@dataclass(frozen=True)
class Measured:
    """Measures of all sources, and whether any of them can be a finding."""

    rows: Frame
    findings: bool


def _accounted(raw: Raw, signals: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """What the reader received, by its own words, and the result rows that it passed on."""
    passed = sum(row["n"] for row in signals if row["source"] == raw.source)
    return {**{f"received {name}": n for name, n in raw.rows_in.items()}, "results": passed}


def _measure(
    raws: Sequence[Raw], engine: Engine, knowledge: Knowledge, policy: Policy, site_maps: Mapping[str, Rows]
) -> tuple[list[dict[str, Any]], Measured | None]:
    signals: list[dict[str, Any]] = []
    parts: list[Measured] = []
    for raw in raws:
        results = raw.tables.get("raw_results")
        if results is None:
            continue
        understood = understand(results, engine, knowledge, site_maps)
        signals += [row | {"source": raw.source} for row in understood]
        usable = [row for row in understood if not row["reason"]]
        if usable:
            parts.append(_measured(results, usable, engine, knowledge, policy))
    if not parts:
        return signals, None
    merged = nw.concat([part.rows for part in parts]) if len(parts) > 1 else parts[0].rows
    return signals, Measured(merged, any(part.findings for part in parts))


def understand(
    results: Frame, engine: Engine, knowledge: Knowledge, site_maps: Mapping[str, Rows]
) -> list[dict[str, Any]]:
    """The vocabulary of one source, understood; what `inspect` shows."""
    vocabulary = engine.collect(measures.vocabulary(results)).sort(*meanings.SIGNAL).to_dicts()
    return meanings.as_rows(meanings.understand(vocabulary, knowledge, site_maps))


def _measured(
    results: Frame, usable: list[dict[str, Any]], engine: Engine, knowledge: Knowledge, policy: Policy
) -> Measured:
    plausible = {row["analyte"]: row for row in knowledge["analytes"]}
    known = [
        {
            **{name: row[name] for name in (*meanings.SIGNAL, "component", "role", "copy_of_laboratory")},
            **{name: row[name] for name in ("shift", "multiplier", "divisor")},
            **_plausibility(row, plausible),
        }
        for row in usable
    ]
    meaning = engine.load(pl.DataFrame(known).with_columns(pl.col("copy_of_laboratory").cast(pl.Int64)), "meanings")
    reading = meaning.with_columns(reason=lit(""))
    texts = engine.collect(measures.wordings_to_read(results, reading))["text"].to_list()
    worded = _wordings(texts, knowledge)
    found = any(measures.is_finding(row["role"], row["component"]) for row in usable)
    rows = measures.measures(results, meaning, engine.load(worded, "wordings"), policy.flag("repair_units"))
    return Measured(rows, found or "word" in worded["outcome"].to_list())


def _plausibility(row: Mapping[str, Any], analytes: Mapping[str, Mapping[str, str]]) -> dict[str, float]:
    """What values of a component may be: a part of a line no more than the line, a percentage no more than 100."""
    line = analytes.get(row["component"])
    if line is not None:
        names = ("plausible_to", "typical_from", "typical_to", "thousandfold_from")
        return {name: float(line[name]) for name in names}
    highest = {"percent": 100.0, "count": float(analytes["wbc"]["plausible_to"])}.get(row["form"], 1e7)
    return {"plausible_to": highest, "typical_from": 0.0, "typical_to": highest, "thousandfold_from": 0.0}


def _wordings(texts: Iterable[str], knowledge: Knowledge) -> pl.DataFrame:
    read = [(text, wordings.read_wording(text, knowledge["result_words"])) for text in sorted(set(texts))]
    return pl.DataFrame(
        [(text, word.outcome, word.value, word.comparator) for text, word in read],
        schema={
            "text": pl.String,
            "outcome": pl.String,
            "worded_value": pl.Float64,
            "worded_comparator": pl.String,
        },
        orient="row",
    )


def _exposures(
    raws: Sequence[Raw], engine: Engine, knowledge: Knowledge, policy: Policy
) -> tuple[Frame, Frame | None, list[Later], list[dict[str, Any]]]:
    parts, signals = [], []
    for raw in raws:
        rows = raw.tables.get("raw_drugs")
        if rows is None:
            continue
        understood = drugs.understand(engine.collect(drugs.vocabulary(rows)).to_dicts(), knowledge)
        signals += [_drug_issue(raw.source, row) for row in understood if row["reason"]]
        known = [
            {k: row[k] for k in (*drugs.SIGNAL, "ingredient", "reason")} for row in understood if not row["reason"]
        ]
        if known:
            parts.append(drugs.given(rows, engine.load(pl.DataFrame(known), "ingredients")))
    if not parts:
        return _empty(raws, engine)(contracts.EXPOSURES), None, [], signals
    given = nw.concat(parts)
    made = drugs.exposures(given, policy.number("exposure.join_days"), policy.flag("exposure.orders"))
    return engine.materialise(made, "exposures"), given, [partial(drugs.set_aside, given)], signals


def _drug_issue(source: str, row: Mapping[str, Any]) -> dict[str, Any]:
    reason = "not_of_interest" if row["reason"] == "unknown_drug" else row["reason"]
    return _issue(source, "raw_drugs", reason, str(row["name"] or row["code"]), row["n"])


def _conditions(
    raws: Sequence[Raw], engine: Engine, knowledge: Knowledge
) -> tuple[Frame, list[Later], list[dict[str, Any]]]:
    parts: list[Frame] = []
    issues: list[Later] = []
    signals: list[dict[str, Any]] = []
    for raw in raws:
        for table, understand_names in (
            ("raw_conditions", diagnoses.understand),
            ("raw_procedures", diagnoses.understand_procedures),
        ):
            rows = raw.tables.get(table)
            if rows is None:
                continue
            rows = rows if table == "raw_conditions" else rows.with_columns(certainty=lit(""))
            understood = understand_names(engine.collect(diagnoses.vocabulary(rows)).to_dicts(), knowledge)
            known = [row for row in understood if row["condition"]]
            signals += [
                _issue(raw.source, table, "not_of_interest", str(row["name"] or row["code"]), row["n"])
                for row in understood
                if not row["condition"]
            ]
            if known:
                columns = (*diagnoses.SIGNAL, "condition")
                loaded = engine.load(
                    pl.DataFrame([{name: row[name] for name in columns} for row in known]), "conditions"
                )
                parts.append(diagnoses.conditions(rows, loaded))
                issues.append(partial(diagnoses.set_aside, rows, loaded, table))
    if not parts:
        return _empty(raws, engine)(contracts.CONDITIONS), [], signals
    merged = diagnoses.merged(nw.concat(parts)) if len(parts) > 1 else parts[0]
    return engine.materialise(merged, "conditions"), issues, signals


def _signal_issues(signals: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Signals that went no further, by code and unit; and those that were read against their code."""
    rows = []
    for row in signals:
        detail = " ".join(str(row[name]) for name in ("system", "code", "name", "specimen", "unit") if row[name])
        if row["reason"]:
            rows.append(_issue(row["source"], "raw_results", row["reason"], detail, row["n"]))
        elif row["note"]:
            rows.append(_issue(row["source"], "raw_results", row["note"], detail, row["n"], set_aside=False))
    return rows


def _issue(source: str, table: str, reason: str, detail: str, n: int, set_aside: bool = True) -> dict[str, Any]:
    return {
        "stage": "harmonise",
        "source": source,
        "table": table,
        "row_id": "",
        "reason": reason,
        "detail": detail,
        "n": n,
        "set_aside": set_aside,
    }


def _issue_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={name: polars_type(contracts.ISSUES, name) for name in contracts.ISSUES.names})


def polars_type(table: Table, column: str, ids: type[pl.DataType] = pl.String) -> type[pl.DataType]:
    """The Polars type of a contract column; ids are of the type of the source."""
    named: dict[str, type[pl.DataType]] = {
        "String": pl.String,
        "Int64": pl.Int64,
        "Float64": pl.Float64,
        "Boolean": pl.Boolean,
    }
    return named.get(table.column(column).type, ids)


def _empty(raws: Sequence[Raw], engine: Engine) -> Callable[[Table], Frame]:
    ids = _id_types(raws)

    def make(table: Table) -> Frame:
        schema = {
            name: polars_type(table, name, ids["patient_id"] if name == "patient_id" else ids["row_id"])
            for name in table.names
        }
        return engine.load(pl.DataFrame(schema=schema), table.name)

    return make


def _id_types(raws: Sequence[Raw]) -> dict[str, type[pl.DataType]]:
    found: dict[str, type[pl.DataType]] = {}
    for name in ("patient_id", "row_id"):
        types = {frame.collect_schema()[name] for raw in raws for frame in raw.tables.values()}
        found[name] = pl.Int64 if types == {nw.Int64()} else pl.String
    return found


def _same_ids(raws: Sequence[Raw]) -> list[Raw]:
    """Sources whose ids differ in type are all brought to text, so that persons can meet."""
    ids = _id_types(raws)
    made = []
    for raw in raws:
        tables = {}
        for name, frame in raw.tables.items():
            schema = frame.collect_schema()
            casts = [
                col(column).cast(nw.String)
                for column, dtype in ids.items()
                if dtype is pl.String and schema[column] != nw.String
            ]
            tables[name] = frame.with_columns(*casts) if casts else frame
        made.append(Raw(raw.source, raw.format, tables, raw.issues, raw.rows_in, raw.files))
    return made


def _merged(raws: Sequence[Raw], table: str) -> Frame | None:
    parts = [raw.tables[table] for raw in raws if table in raw.tables]
    return nw.concat(parts) if parts else None
