"""Causes of single episodes for a reader: JSON Lines for programs, a few lines for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2 import col, lit

from leukopenia import cases, contracts, explaining, harmonising, knowledge
from leukopenia.engine import Engine, open_engine
from leukopenia.errors import UsageError
from leukopenia.explain.evidence import Records
from leukopenia.explain.model import TERMS
from leukopenia.policy import Policy
from leukopenia.read.case import SUFFIXES, read_cases
from leukopenia.report.why import Reason, Words

Row = dict[str, Any]
_SHOWN = 5

TABLES = ("episodes", "causes", "cause_evidence", "causality", "disagreements", "next_steps")
"""What an answer is made from."""


def is_cases(source: Path) -> bool:
    """Whether a source is case histories: a YAML file, or a folder with nothing else."""
    if source.is_dir():
        files = [path for path in source.iterdir() if not path.name.startswith(".")]
        return bool(files) and all(path.suffix in SUFFIXES for path in files)
    return source.suffix in SUFFIXES


def of_cases(source: Path, policy: Policy) -> list[Row]:
    """Answers for case histories, with what was read by likeness and what was not understood.

    Parameters
    ----------
    source : Path
        A YAML file of the schema leuko-case/1, or a folder of them.
    policy : Policy
        Weights and windows.

    Raises
    ------
    SourceError
        A file that is no case.
    """
    engine, known = open_engine("polars"), knowledge.load()
    found = cases.tables(read_cases(source), engine, known, policy)
    made = explaining.explain(engine.adopt(_episodes(found.index)), _records(found, engine), engine, known, policy)
    tables = {name: engine.collect(_made(made, name)) for name in TABLES if name != "episodes"}
    given = answers({**tables, "episodes": _episodes(found.index)})
    return [answer | _reading(found, answer["id"]) for answer in given]


def _made(made: explaining.Explained, name: str) -> Any:
    table = getattr(made, name)
    return table() if callable(table) else table


def _episodes(index: pl.DataFrame) -> pl.DataFrame:
    """The low count of each case as its one episode, under the id of the case; what a case does not tell is null."""
    blank: dict[str, Any] = {"String": "", "Boolean": False}
    known = index.with_columns(
        episode_id="patient_id",
        nadir_minute="onset",
        number=pl.lit(1),
        n_low=pl.lit(1),
        n_counts=pl.lit(1),
        chronicity=pl.lit("acute"),
        state=pl.when(pl.col("recovery").is_null()).then(pl.lit("open")).otherwise(pl.lit("closed")),
    )
    missing = [
        pl.lit(blank.get(column.type), harmonising.polars_type(contracts.EPISODES, column.name)).alias(column.name)
        for column in contracts.EPISODES.columns
        if column.name not in known.columns
    ]
    return known.with_columns(missing).select(contracts.EPISODES.names)


def _records(found: cases.CaseTables, engine: Engine) -> Records:
    """Drugs given for the low count are left out: they are no cause of it."""
    mentions = found.mentions.with_columns(source=pl.lit(cases.SOURCE)).select(contracts.MENTIONS.names)
    return Records(
        lines=engine.adopt(found.lines),
        findings=engine.adopt(found.findings),
        conditions=engine.adopt(found.conditions),
        exposures=engine.adopt(found.exposures.filter(~pl.col("treatment"))),
        patients=engine.adopt(found.patients),
        mentions=engine.adopt(mentions),
    )


def _reading(found: cases.CaseTables, case: str) -> Row:
    """What was read by likeness, and what was not understood."""
    guessed = [
        {"read": row["words"], "as": row[column]}
        for table, column in ((found.exposures, "ingredient"), (found.conditions, "condition"))
        for row in table.filter(pl.col("fuzzy"), pl.col("patient_id") == case).to_dicts()
    ]
    lost = found.not_understood.filter(pl.col("patient_id") == case)
    return {"read_by_likeness": guessed, "not_understood": lost.select("kind", "words").to_dicts()}


def of_source(sources: Sequence[Path], patient: str, policy: Policy, **reading: Any) -> list[Row]:
    """Answers for the episodes of one person in records.

    Parameters
    ----------
    sources : sequence of Path
        Whatever `run` reads.
    patient : str
        patient_id; empty: every person.
    policy : Policy
        Weights and windows.
    **reading
        Further arguments of `run`.

    Raises
    ------
    UsageError
        There is no such person.
    """
    from leukopenia import api

    lines = col("analyte").is_in(list(policy.names("explain.analytes")))
    with api.run([*sources], policy=policy, **reading) as result:
        made, engine = result.made, result.engine
        wanted = made.episodes.filter(lines)
        if patient:
            mine = col("patient_id").cast(nw.String) == patient
            if engine.collect(made.patients.filter(mine)).is_empty():
                raise UsageError(
                    "There is no such person in the source.", "", "Check --patient: it is the source's own id."
                )
            wanted = wanted.filter(mine)
        episodes = engine.collect(wanted)
        theirs = col("episode_id").is_in(episodes["episode_id"].to_list()) if patient else lit(True)
        tables = {name: engine.collect(made.frame(name).filter(theirs)) for name in TABLES if name != "episodes"}
    return answers(tables | {"episodes": episodes})


def answers(tables: Mapping[str, pl.DataFrame]) -> list[Row]:
    """One object an episode.

    Parameters
    ----------
    tables : mapping of str to polars.DataFrame
        episodes, causes, cause_evidence, causality, disagreements and next_steps.

    Returns
    -------
    list of dict
        id, episode, causes (cause_id, name, rank, probability, contributions, for, against, sources), naranjo,
        who_umc, benichou_summary, disagreements and next.
    """
    words = Words(knowledge.load())
    evidence = _grouped(tables["cause_evidence"], "episode_id", "cause_id")
    causality = _grouped(tables["causality"], "episode_id")
    steps = _grouped(tables["next_steps"], "episode_id")
    odd = _grouped(tables["disagreements"], "episode_id")
    causes = _grouped(tables["causes"].sort("episode_id", "rank"), "episode_id")
    made = []
    for episode in tables["episodes"].sort("patient_id", "onset", "episode_id").to_dicts():
        key = (episode["episode_id"],)
        made.append(
            {
                "id": episode["episode_id"],
                "episode": _episode(episode),
                "causes": [_cause(row, evidence, words) for row in causes.get(key, ())],
                **_instruments(causality.get(key, ())),
                "disagreements": [_plain(row, ("cause_id", "statement", "because")) for row in odd.get(key, ())],
                "next": [_step(row) for row in steps.get(key, ())],
            }
        )
    return made


def _episode(row: Row) -> Row:
    names = ("patient_id", "analyte", "onset", "last_not_low", "nadir", "severity", "chronicity", "recovery", "state")
    return {name: row.get(name) for name in names}


def _cause(row: Row, evidence: Mapping[tuple[Any, ...], list[Row]], words: Words) -> Row:
    reasons = words.reasons(row, evidence.get((row["episode_id"], row["cause_id"]), ()))
    cited = sorted({source for reason in reasons for source in reason.source_ids if source != "design"})
    return {
        "cause_id": row["cause_id"],
        "name": words.name(row["cause_id"]),
        "rank": row["rank"],
        "probability": row["probability"],
        "because": row["because"],
        "argued_against": row["against"],
        "contributions": {term: row[term] for term in TERMS},
        "for": [_statement(reason) for reason in reasons if reason.effect >= 0],
        "against": [_statement(reason) for reason in reasons if reason.effect < 0],
        "sources": [{"source_id": source, "citation": knowledge.citation(source)} for source in cited],
    }


def _statement(reason: Reason) -> Row:
    made = {
        "term": reason.term,
        "text": reason.text,
        "effect": round(reason.effect, 3),
        "clue": reason.clue,
        "state": reason.state,
        "minute": reason.minute,
        "source": reason.source,
        "row_id": reason.row_id,
        "source_ids": list(reason.source_ids),
    }
    return {name: value for name, value in made.items() if value not in ("", None, [])}


def _instruments(rows: Sequence[Row]) -> Row:
    """Verdict and items of each instrument, drug by drug."""
    made: dict[str, dict[str, Row]] = {"naranjo": {}, "who_umc": {}, "benichou_summary": {}}
    for row in rows:
        drug = made[row["instrument"]].setdefault(row["cause_id"], {"verdict": "", "points": None, "items": {}})
        if row["item"] == "total":
            drug |= {"verdict": row["verdict"], "points": row["points"]}
        else:
            drug["items"][row["item"]] = _plain(row, ("answer", "points", "because"))
    return made


def _step(row: Row) -> Row:
    return _plain(row, ("test", "name", "days_from", "days_to", "separates", "information", "source_id"))


def _plain(row: Row, names: Iterable[str]) -> Row:
    return {name: row[name] for name in names if row.get(name) not in ("", None)}


def _grouped(rows: pl.DataFrame, *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    parts: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows.to_dicts():
        parts.setdefault(tuple(row[key] for key in keys), []).append(row)
    return parts


def lines(answer: Row) -> list[str]:
    """An answer for a person: the episode, the leading causes with their strongest reasons, what to do next."""
    episode = answer["episode"]
    analyte = {"wbc": "white cells"}.get(episode["analyte"], episode["analyte"])
    nadir = "" if episode["nadir"] is None else f", lowest {episode['nadir']:g} x 10^9/L"
    made = [f"{answer['id']}: low {analyte}{nadir}"]
    for cause in answer["causes"][:_SHOWN]:
        note = f"  (argued against: {cause['argued_against'].replace('_', ' ')})" if cause["argued_against"] else ""
        made.append(f"  {cause['rank']}. {cause['name']}  {cause['probability']:.0%}{note}")
        told = [f"+ {one['text']}" for one in cause["for"][:4]] + [f"- {one['text']}" for one in cause["against"][:3]]
        made += [f"       {one}" for one in told]
    verdicts = [
        f"{drug.partition(':')[2]} {found['verdict']} ({found['points']})"
        for drug, found in answer["naranjo"].items()
        if found["verdict"]
    ]
    if verdicts:
        made.append(f"  Naranjo: {', '.join(verdicts[:_SHOWN])}")
    for step in answer["next"]:
        made.append(f"  next: {step['name']}")
    return made
