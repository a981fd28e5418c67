"""`cases`: patients written by hand or published -> the tables that causes are explained from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from leukopenia import contracts, harmonising
from leukopenia.case_counts import (
    DAY,
    INDEX,
    LINES,
    NAMES,
    SOURCE,
    Counted,
    Row,
    at,
    count,
    indices,
    minute_of,
    number_of,
    of_adult_ranges,
)
from leukopenia.contracts import Knowledge, Table
from leukopenia.engine import Engine
from leukopenia.harmonise.count_words import CountWords
from leukopenia.harmonise.drug_texts import DrugTexts, Named
from leukopenia.harmonise.measured_texts import Measured, MeasuredTexts, temperature
from leukopenia.harmonise.persons import DUFFY_NULL, HIV
from leukopenia.harmonise.phrases import listed, words
from leukopenia.harmonise.statements import Mention, StatementReader, Understood
from leukopenia.policy import Policy
from leukopenia.read.case import Case, Drug, Lab, Statement
from leukopenia.read.raw import issue

_BIRTH_PRECISION = {"year": "year", "month": "month", "week": "day", "day": "day"}
_EARLIER = listed("previous previously past prior formerly baseline")

_TEXT, _WHOLE, _FLAG = pl.String, pl.Int64, pl.Boolean
_MENTIONS = {
    **dict.fromkeys(("patient_id", "clue", "cause", "state"), _TEXT),
    "minute": _WHOLE,
    **dict.fromkeys(("source", "row_id", "words"), _TEXT),
    "fuzzy": _FLAG,
}
_WORDS = {"patient_id": _TEXT, "analyte": _TEXT, "minute": _WHOLE, "is_low": _FLAG, "phase": _TEXT, "row_id": _TEXT}
_NOT_UNDERSTOOD = {"patient_id": _TEXT, "kind": _TEXT, "words": _TEXT, "row_id": _TEXT}
_LINES = {
    **{"patient_id": _TEXT, "analyte": _TEXT, "minute": _WHOLE, "value": pl.Float64},
    **{"limit_low": pl.Float64, "limit_high": pl.Float64, "is_low": _FLAG},
}
_INDEX = {
    **{"patient_id": _TEXT, "analyte": _TEXT, "onset": _WHOLE, "last_not_low": _WHOLE, "nadir": pl.Float64},
    **{"last_low": _WHOLE, "recovery": _WHOLE},
}
_EXPOSED = {"past": _FLAG, "treatment": _FLAG}
_WORD = ("patient_id", "analyte", "minute", "phase")
_EXPOSURE = ("patient_id", "ingredient", "start", "end", "treatment")
_CONDITION = ("patient_id", "condition", "start")
_READ = {"words": _TEXT, "fuzzy": _FLAG}


@dataclass(frozen=True)
class CaseTables:
    """What the explain room needs of some cases; patient_id is the id of the case, row_id the number of the event.

    Attributes
    ----------
    patients, counts, findings, issues
        As in contracts; every time counts from 2000-01-01 12:00, the low count.
    lines
        patient_id, analyte, minute, value, limit_low, limit_high, is_low: counts, and words (value null) of known time.
    words
        Lines said to be low or not without a number; minute null: before or after (`phase`), day unknown.
    exposures
        As in contracts, but start and end may be null (unknown; not known to have stopped), with `past`,
        `treatment` (given for the low count), `words` (the text that named it) and `fuzzy` (misspelt there).
    conditions
        As in contracts, but start may be null, and certainty may be `past`; with `words` and `fuzzy`.
    mentions
        As in contracts, with `words` and `fuzzy`.
    index
        patient_id, analyte, onset, last_not_low, nadir, last_low, recovery: the low count to be explained.
    not_understood
        patient_id, kind, words, row_id: texts of which nothing was recognised.
    """

    patients: pl.DataFrame
    counts: pl.DataFrame
    lines: pl.DataFrame
    words: pl.DataFrame
    findings: pl.DataFrame
    exposures: pl.DataFrame
    conditions: pl.DataFrame
    mentions: pl.DataFrame
    index: pl.DataFrame
    not_understood: pl.DataFrame
    issues: pl.DataFrame


def tables(cases: Sequence[Case], engine: Engine, knowledge: Knowledge, policy: Policy) -> CaseTables:
    """Cases -> tables.

    Parameters
    ----------
    cases : sequence of Case
        What `read.case.read_cases` gives.
    engine : Engine
        Where the counts are made.
    knowledge : Knowledge
        With clues, clue_phrases, clue_criteria, cause_tests, count_words and regimens beside the tables of the spine.
    policy : Policy
        `explain.chronic_days`, and the limits of low counts.

    Returns
    -------
    CaseTables
        Small Polars frames.
    """
    reader = _Reader(cases, knowledge, policy)
    for case in cases:
        reader.read(case)
    patients = _frame(map(reader.patient, cases), _schema(contracts.PATIENTS))
    counted = count(cases, patients, reader.issues, engine, knowledge, policy)
    reader.judge(cases, counted)
    said = _unless_counted(reader.words, counted.limited)
    return CaseTables(
        patients=patients,
        counts=counted.limited.select(contracts.COUNTS.names),
        lines=_lines(counted.limited, said),
        words=_frame(said, _WORDS),
        findings=_findings(counted.findings, reader.findings),
        exposures=_frame(reader.exposures, {**_schema(contracts.EXPOSURES), **_EXPOSED, **_READ}, _EXPOSURE),
        conditions=_frame(reader.conditions, {**_schema(contracts.CONDITIONS), **_READ}, _CONDITION),
        mentions=_frame(reader.mentions, _MENTIONS),
        index=_frame(indices(cases, counted.limited.to_dicts(), said), _INDEX),
        not_understood=_frame(reader.not_understood, _NOT_UNDERSTOOD),
        issues=counted.issues,
    )


def _unless_counted(said: Sequence[Row], counts: pl.DataFrame) -> list[Row]:
    """Words on lines and times without a number; of two words on one the low one counts, as of two numbers."""
    counted = set(counts.select("patient_id", "analyte", "minute").rows())
    kept = [row for row in said if (row["patient_id"], row["analyte"], row["minute"]) not in counted]
    return _frame(sorted(kept, key=lambda row: not row["is_low"]), _WORDS, _WORD).to_dicts()


def _schema(table: Table) -> dict[str, type[pl.DataType]]:
    return {name: harmonising.polars_type(table, name) for name in table.names}


def _frame(
    rows: Iterable[Row], schema: Mapping[str, type[pl.DataType]], key: Sequence[str] | None = None
) -> pl.DataFrame:
    """Rows as a frame; of rows with the same key (else: the same in everything) the first."""
    return pl.DataFrame(list(rows), schema=dict(schema)).unique(key, keep="first", maintain_order=True)


def _findings(counted: pl.DataFrame, told: Sequence[Row]) -> pl.DataFrame:
    key = ("patient_id", "finding", "minute", "row_id")
    rows = _frame(told, _schema(contracts.FINDINGS), key).select(counted.columns)
    return pl.concat([counted, rows], how="vertical_relaxed").sort("patient_id", "finding", "minute")


def _lines(limited: pl.DataFrame, said: Sequence[Row]) -> pl.DataFrame:
    timed = [{name: row.get(name) for name in _LINES} for row in said if row["minute"] is not None]
    return pl.concat([limited.select(list(_LINES)), _frame(timed, _LINES)]).sort("patient_id", "analyte", "minute")


class _Reader:
    """Collects the rows that the events of the cases give."""

    def __init__(self, cases: Sequence[Case], knowledge: Knowledge, policy: Policy) -> None:
        self._statements = StatementReader(knowledge)
        self._counts = CountWords(knowledge)
        self._numbers = MeasuredTexts(knowledge)
        self._drugs = DrugTexts(knowledge)
        self._local = self._drugs.local((drug.name, drug.route) for case in cases for drug in case.drugs)
        self._chronic = round(policy.number("explain.chronic_days") * DAY)
        self.words: list[Row] = []
        self.exposures: list[Row] = []
        self.conditions: list[Row] = []
        self.mentions: list[Row] = []
        self.findings: list[Row] = []
        self.not_understood: list[Row] = []
        self.issues: list[Row] = []

    def read(self, case: Case) -> None:
        for lab in case.labs:
            self._lab(case, lab)
        for drug in case.drugs:
            self._drug(case, drug)
        for statement in case.statements:
            self._statement(case, statement)
        if case.ancestry:
            said = self._statements.read("condition", case.ancestry, status="present")
            self._keep(case, said, Statement(0, "condition", "before", None, case.ancestry))

    def patient(self, case: Case) -> Row:
        """contracts.PATIENTS; to be asked after `read`, as conditions bear on it."""
        own = [row for row in self.conditions if row["patient_id"] == case.id]
        hiv = [row["start"] if row["start"] is not None else INDEX for row in own if row["condition"] == HIV]
        return {
            "patient_id": case.id,
            "sex": case.sex,
            "birth": None if case.age_days is None else INDEX - round(case.age_days * DAY),
            "birth_precision": "none" if case.age_days is None else _BIRTH_PRECISION[case.age_unit],
            "death": None,
            "hiv_from": min(hiv, default=None),
            "duffy_null": any(row["condition"] == DUFFY_NULL for row in own),
        }

    def judge(self, cases: Sequence[Case], counted: Counted) -> None:
        """Numbers of an unknown day, read as words: the line was low, or not, some time before or after."""
        by_id = {case.id: case for case in cases}
        for row in counted.undated:
            case = by_id[row["patient_id"]]
            lab = next(lab for lab in case.labs if str(lab.number) == number_of(row))
            self._word(case, lab, row["analyte"], None, row["is_low"])

    def _lab(self, case: Case, lab: Lab) -> None:
        minute = minute_of(lab.day, lab.phase)
        if not lab.qualitative:
            return
        lines = self._lines_told(lab)
        for analyte, is_low in lines.items():
            self._word(case, lab, analyte, minute, is_low)
        told = self._statements.read("sign", f"{NAMES[lab.analyte]} {lab.qualitative}")
        self._mention(case, told.mentions, minute, lab.number)
        if not lines and not told.recognised:
            self._lost(case, "lab", lab.qualitative, lab.number)

    def _lines_told(self, lab: Lab) -> dict[str, bool]:
        """Words beside a result speak of its own line, unless it has a number, and may name others."""
        if lab.analyte not in LINES:
            return {}
        line = NAMES[lab.analyte]
        told = self._counts.read(lab.qualitative)
        own = self._counts.of_line(line, lab.qualitative)
        known = told if own is None else told | {line: own}
        return {name: is_low for name, is_low in known.items() if name != line or lab.value is None}

    def _word(self, case: Case, event: Lab | Statement, analyte: str, minute: int | None, is_low: bool) -> None:
        row = {"patient_id": case.id, "analyte": analyte, "minute": minute, "is_low": is_low, "phase": event.phase}
        self.words.append(row | {"row_id": str(event.number)})
        if minute is None and event.phase == "before" and analyte in ("wbc", "neutrophils", "lymphocytes"):
            state = "absent" if is_low else "present"
            self._mention(case, [Mention("normal_before", "", state, analyte)], None, event.number)

    def _mention(self, case: Case, mentions: Iterable[Mention], minute: int | None, number: int) -> None:
        for one in mentions:
            self.mentions.append(
                {
                    **{"patient_id": case.id, "clue": one.clue, "cause": one.cause, "state": one.state},
                    **{"minute": minute, "source": SOURCE, "row_id": str(number)},
                    **{"words": one.words, "fuzzy": one.fuzzy},
                }
            )

    def _lost(self, case: Case, kind: str, text: str, number: int) -> None:
        self.not_understood.append({"patient_id": case.id, "kind": kind, "words": text, "row_id": str(number)})

    # Drugs

    def _drug(self, case: Case, drug: Drug) -> None:
        named = self._drugs.read(drug.name)
        start, end = self._span(case, drug)
        local = (drug.name, drug.route) in self._local
        for one in named:
            if one.id.startswith("cond:"):
                certainty = "past" if drug.past else "confirmed"
                self._condition(case, one.id, start, end, certainty, one, drug.number)
            elif local:
                self._issue(case, drug.number, "raw_drugs", "not_systemic", one.id)
            else:
                self._exposure(case, drug, one, start, end)
            if not one.known and not local:
                self._lost(case, "drug", one.words, drug.number)
        if not named:
            self._lost(case, "drug", drug.name, drug.number)

    def _span(self, case: Case, drug: Drug) -> tuple[int | None, int | None]:
        start, end = at(drug.start), at(drug.stop)
        if drug.treatment:
            # What is given for the low count begins after it.
            start = INDEX + 1 if start is None or start == INDEX else start
        elif start is None and drug.chronic:
            start = (INDEX if end is None else min(INDEX, end)) - self._chronic
        if start is not None and end is not None and end < start:
            self._issue(case, drug.number, "raw_drugs", "ends_before_start", drug.name, set_aside=False)
            end = None
        return start, end

    def _exposure(self, case: Case, drug: Drug, one: Named, start: int | None, end: int | None) -> None:
        self.exposures.append(
            {
                **{"patient_id": case.id, "ingredient": one.id, "start": start, "end": end, "status": "stated"},
                **{"route": "systemic", "dose": None, "dose_unit": "", "rows": 1, "source": SOURCE},
                **{"row_id": str(drug.number), "past": drug.past, "treatment": drug.treatment},
                **{"words": one.words, "fuzzy": one.fuzzy},
            }
        )

    def _issue(self, case: Case, number: int, table: str, reason: str, detail: str, *, set_aside: bool = True) -> None:
        made = issue(SOURCE, table, reason, detail=detail, set_aside=set_aside, row_id=f"{case.id}/{number}")
        self.issues.append(made | {"stage": "harmonise"})

    # Conditions, signs, tests

    def _statement(self, case: Case, event: Statement) -> None:
        told = self._statements.read(event.kind, event.name, event.detail, event.status)
        self._keep(case, told, event)
        text = f"{event.name} : {event.detail}" if event.kind == "test" else event.name
        low = self._counts.read(text, absent=event.status == "absent")
        minute = minute_of(event.day, event.phase)
        earlier = event.status == "past" or bool(_EARLIER & {word.text for word in words(text)})
        for analyte, is_low in low.items():
            known = None if earlier and event.phase == "index" else minute
            self._word(case, event, analyte, known, is_low)
        named = [] if event.kind == "test" else self._told_exposures(case, event)
        measured = self._measured(case, event, minute)
        numbers = measured or temperature(text) or event.value is not None
        if not (told.recognised or low or named or numbers):
            self._lost(case, event.kind, event.name, event.number)

    def _measured(self, case: Case, event: Statement, minute: int | None) -> list[Measured]:
        """Results in numbers: findings where their time is known, else only the clues they are."""
        if event.status in ("absent", "past", "suspected"):
            return []
        result = event.detail if event.value is None else f"{event.value:g} {event.unit}"
        measured = self._numbers.read(f"{event.name} : {result}", case.sex)
        if not of_adult_ranges(case):
            measured = [replace(one, range="") for one in measured]
        if minute is None:
            self._mention(case, self._statements.clues_of(measured), minute, event.number)
            return measured
        for one in measured:
            self.findings.append(
                {
                    **{"patient_id": case.id, "finding": one.finding, "minute": minute, "time_precision": "day"},
                    **{"value": one.value, "text": None, "range": one.range},
                    **{"source": SOURCE, "row_id": f"{case.id}/{event.number}"},
                }
            )
        return measured

    def _keep(self, case: Case, told: Understood, event: Statement) -> None:
        self._mention(case, told.mentions, minute_of(event.day, event.phase), event.number)
        for one in told.diagnoses:
            named = Named(one.condition, one.words, fuzzy=one.fuzzy)
            start = minute_of(event.day, event.phase)
            self._condition(case, one.condition, start, None, one.certainty, named, event.number)

    def _condition(
        self, case: Case, condition: str, start: int | None, end: int | None, certainty: str, one: Named, number: int
    ) -> None:
        self.conditions.append(
            {
                **{"patient_id": case.id, "condition": condition, "start": start, "end": end, "certainty": certainty},
                **{"time_precision": "day", "source": SOURCE, "row_id": str(number)},
                **{"words": one.words, "fuzzy": one.fuzzy},
            }
        )

    def _told_exposures(self, case: Case, event: Statement) -> list[Named]:
        """Exposures that a condition or sign speaks of: 'chemotherapy for lymphoma', 'cocaine use'."""
        named = self._drugs.told_in(event.name)
        if event.status == "absent":
            return named
        certainty = {"suspected": "provisional", "past": "past"}.get(event.status, "confirmed")
        start = minute_of(event.day, event.phase)
        drug = Drug(event.number, event.phase, event.name, past=event.status == "past")
        for one in named:
            if one.id.startswith("cond:"):
                self._condition(case, one.id, start, None, certainty, one, event.number)
            else:
                # When a drug was begun is not told by the day of the text alone.
                self._exposure(case, drug, one, start if event.day is not None else None, None)
        return named
