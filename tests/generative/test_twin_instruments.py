"""Ranked causes and their evidence -> instruments, disagreements and next steps: the rooms against their twins."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st
from running import KNOWLEDGE, SPARK_EXAMPLES, Case, Room, Row, alike, compare_packed, explore, gather

from leukopenia.contracts import TABLES
from leukopenia.engine import Engine, Frame
from leukopenia.explain import instruments as room
from leukopenia.explain import look_again as steps
from leukopenia.explain.model import COMBINATION, TERMS, UNEXPLAINED
from leukopenia.harmonising import polars_type
from leukopenia.policy import Policy
from plain import instruments as plain

DAY = 1440
ONSET = 10_000 * DAY
SIGNS = ("rash", "spleen", "fever", "blasts")
DRUGS = {"drug:a": "label", "drug:b": "class_only", "drug:c": "", "drug:cytotoxic": "cohort"}
CAUSES = (*DRUGS, "drug:unlisted", "cond:x", "cond:y", "cond:z", COMBINATION, UNEXPLAINED)
TARGETS = {
    "culture": ("cond:x",),
    "film": ("blasts", "cond:y", "spleen"),
    "level": ("drug:a",),
    "palpation": ("spleen",),
    "panel": ("cond:x", "cond:y", "cond:z"),
}


def _test_knowledge() -> dict[str, Any]:
    drugs = [
        {"id": name, "evidence_class": one, "cause_class": "chemotherapy" if name == "drug:cytotoxic" else "other"}
        for name, one in DRUGS.items()
    ]
    tests = [
        {"test": test, "name": test, "target": one, "days_from": "", "days_to": "7", "source_id": "design"}
        for test, targets in TARGETS.items()
        for one in targets
    ]
    conditions = [{"id": name} for name in CAUSES if name.startswith("cond:")]
    made = {"causes_drugs": drugs, "causes_conditions": conditions, "look_again": tests}
    made["clues"] = [{"clue": one} for one in SIGNS]
    return {name: KNOWLEDGE[name] for name in ("instruments", "instrument_verdicts")} | made


TABLES_OF_KNOWLEDGE = _test_knowledge()
EFFECTS = [
    {"clue": clue, "state": state, "cause_id": cause, "effect": effect}
    for clue, state, cause, effect in (
        ("blasts", "present", "cond:z", 4.6),
        ("blasts", "present", "drug:a", -2.2),
        ("blasts", "absent", "cond:z", -1.1),
        ("spleen", "present", "cond:y", 1.1),
        ("spleen", "present", "cond:x", 1.1),
        ("fever", "present", "cond:x", 1.1),
    )
]
DEFAULTS = Policy.of().values
CHANCES = steps.chances(TABLES_OF_KNOWLEDGE, EFFECTS, Policy(DEFAULTS))


@st.composite
def cause_cases(draw: Any) -> Case:
    """Up to three episodes of two persons; probabilities and times round every limit."""
    episodes: dict[tuple[int, int], Row] = {}
    causes: list[Row] = []
    evidence: list[Row] = []
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from([1, 1, 2])), draw(st.sampled_from([1, 1, 2]))
        if key not in episodes:
            episodes[key] = _episode(draw, *key)
            names = draw(st.lists(st.sampled_from(CAUSES), min_size=1, max_size=8, unique=True))
            clear = draw(st.booleans())
            places = enumerate(names, start=1)
            causes += [_cause(draw, episodes[key], name, place, clear and place > 1) for place, name in places]
            evidence += _evidence(draw, episodes[key], names, clear)
    tables = {"episodes": list(episodes.values()), "causes": causes, "evidence": evidence}
    policy = draw(st.sampled_from([(), (("explain.looked_for", "1"), ("explain.next_steps", "1"))]))
    return Case(tables, draw(st.booleans()), policy)


def _episode(draw: Any, patient: int, number: int) -> Row:
    onset = ONSET + 100 * number * DAY
    return {
        "patient_id": patient,
        "number": number,
        "analyte": draw(st.sampled_from(["neutrophils", "neutrophils", "wbc"])),
        "onset": onset,
        "last_low": onset + draw(st.sampled_from([0, 29, 30, 31, 90])) * DAY,
        "recovery": draw(st.sampled_from([None, onset, onset + 30 * DAY, onset + 30 * DAY + 1, onset + 60 * DAY])),
    }


def _cause(draw: Any, episode: Row, name: str, rank: int, unlikely: bool) -> Row:
    onset = episode["onset"]
    drug = name.startswith("drug:")
    others = {COMBINATION: ["combination", "recorded"], UNEXPLAINED: ["unexplained"]}
    times = [-8 * DAY, -7 * DAY - 1, -7 * DAY, -1, 0, 1, 30 * DAY]
    chances = st.sampled_from([0.001, 0.05, 0.199999] if unlikely else [0.001, 0.199999, 0.2, 0.200001, 0.7])
    return {
        "patient_id": episode["patient_id"],
        "number": episode["number"],
        "cause_id": name,
        "rank": rank,
        "probability": draw(chances),
        "score": -float(rank),
        **{term: float(draw(st.integers(-3, 3))) for term in TERMS},
        "because": "exposure" if drug else draw(st.sampled_from(others.get(name, ["recorded", "suggested", "always"]))),
        "against": draw(st.sampled_from(["", "", "", *room.MISPLACED, "recovered_while_continued"])) if drug else "",
        "partner": "",
        "onset": onset,
        "start": draw(st.sampled_from([None, onset - 20 * DAY, onset - 20 * DAY, onset, onset + 1])),
        "end": draw(st.sampled_from([None, *(onset + shift for shift in times)])),
        "source": "",
    }


def _evidence(draw: Any, episode: Row, names: list[str], clear: bool) -> list[Row]:
    """Clues of the course for the drugs, signs for the others; `clear`: a recovery, and others looked for in vain."""
    clues = st.sampled_from([*room.CLUES, *room.CLUES[:4], *SIGNS, *SIGNS, *SIGNS, room.G_CSF, "confirmed"])
    drawn = [(draw(clues), draw(st.sampled_from([*names, *names[:2]]))) for _ in range(draw(st.integers(0, 10)))]
    plain_course = [("recovered_after_stop", names[0]), *((sign, names[-1]) for sign in SIGNS[:3])] if clear else []
    found: dict[tuple[str, str], Row] = {}
    for clue, cause in (*drawn, *plain_course):
        sure = (clue, cause) in plain_course
        found[clue, cause] = {
            "patient_id": episode["patient_id"],
            "number": episode["number"],
            "cause_id": cause,
            "factor": "clues" if clue in SIGNS else "course",
            "clue": clue,
            "state": _state(draw, clue, sure),
            "effect": -1.1 if sure else draw(st.sampled_from([-2.2, -1.1, -1.1, -0.5, 0.5, 1.1])),
            "minute": episode["onset"],
            **{"source": "", "source_id": "design"},
        }
    return list(found.values())


def _state(draw: Any, clue: str, sure: bool) -> str:
    if sure:
        return "absent" if clue in SIGNS else "present"
    return str(draw(st.sampled_from(["present", "absent"] if clue in SIGNS else ["present", "present", "absent"])))


CONTRACTS = {"causes": "causes", "evidence": "cause_evidence", "episodes": "episodes"}


def rows(case: Case, name: str) -> list[Row]:
    """The rows of a case as the contract has them; a person keeps the type of id that the case asks for."""
    ids: Any = str if case.text_ids else int
    return [
        {"patient_id": ids(row["patient_id"]), "episode_id": f"{row['patient_id']}/line/{row['number']}"}
        | {column: value for column, value in row.items() if column != "patient_id"}
        | {"row_id": ""}
        for row in case.tables[name]
    ]


def _frame(case: Case, engine: Engine, name: str) -> Frame:
    table = TABLES[CONTRACTS[name]]
    given = {"episode_id", "patient_id", "analyte", "onset", "last_low", "recovery"}
    columns = [column for column in table.names if name != "episodes" or column in given]
    ids: Any = pl.String if case.text_ids else pl.Int64
    types = {column: polars_type(table, column, ids) for column in columns}
    made = [{column: row[column] for column in columns} for row in rows(case, name)]
    return engine.load(pl.DataFrame(made, schema=types), name)


def chosen(case: Case) -> Policy:
    return Policy({**DEFAULTS, **dict(case.policy)})


def run(case: Case, engine: Engine) -> Mapping[str, Frame]:
    causes, evidence, episodes = (_frame(case, engine, name) for name in ("causes", "evidence", "episodes"))
    types = {name: pl.String for name in steps.CHANCES} | {
        **{"days_from": pl.Int64, "days_to": pl.Int64},
        **{"positive": pl.Float64, "otherwise": pl.Float64},
    }
    chances = engine.load(pl.DataFrame(CHANCES, schema=types), "chances")
    causality = engine.materialise(
        room.instruments(causes, evidence, episodes, TABLES_OF_KNOWLEDGE, chosen(case)), "causality"
    )
    return {
        "causality": causality,
        "disagreements": room.disagreements(causes, causality),
        "next_steps": steps.look_again(causes, evidence, chances, chosen(case)),
    }


def twin(case: Case) -> Mapping[str, list[Row]]:
    causes, evidence, episodes = (rows(case, name) for name in ("causes", "evidence", "episodes"))
    policy = chosen(case).values
    causality = plain.instruments(causes, evidence, episodes, TABLES_OF_KNOWLEDGE, policy)
    return {
        "causality": causality,
        "disagreements": plain.disagreements(causes, causality),
        "next_steps": plain.look_again(causes, evidence, CHANCES, policy),
    }


ROOM = Room(
    {
        "causality": ("episode_id", "cause_id", "instrument", "item"),
        "disagreements": ("episode_id", "cause_id"),
        "next_steps": ("episode_id", "step"),
    },
    run,
    twin,
    tolerance=2e-6,
)


@cache
def gathered() -> list[Case]:
    return gather(cause_cases(), 400)


def test_instruments_on_polars() -> None:
    explore(ROOM, cause_cases())


def test_instruments_on_duckdb(duckdb: Engine) -> None:
    compare_packed(ROOM, gathered(), duckdb)


@pytest.mark.spark
def test_instruments_on_spark(spark: Engine) -> None:
    compare_packed(ROOM, alike(gather(cause_cases(), SPARK_EXAMPLES)), spark)


def test_the_cases_reach_every_answer_and_every_verdict() -> None:
    made = [row for case in gathered() for row in twin(case)["causality"]]
    answers = {(row["instrument"], row["item"], row["answer"]) for row in made}
    for instrument, item in {(row["instrument"], row["item"]) for row in KNOWLEDGE["instruments"]}:
        fixed = {"6": {"unknown"}, "10": {"yes"}}.get(item, {"yes", "no", "unknown"})
        assert {one for name, what, one in answers if (name, what) == (instrument, item)} == fixed, (instrument, item)
    shipped = {(row["instrument"], row["verdict"]) for row in KNOWLEDGE["instrument_verdicts"]}
    assert {(row["instrument"], row["verdict"]) for row in made if row["item"] == "total"} >= shipped - {
        ("naranjo", "definite"),
        ("who_umc", "certain"),
    }
