"""The doors in Python: `run`, `read`, `grade`, `inspect`, and those that stand in rooms: `rank`, `alerts`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopenia.errors import UsageError
from leukopenia.policy import Policy

if TYPE_CHECKING:
    from leukopenia.contracts import Knowledge, Rows
    from leukopenia.engine import Engine, Frame
    from leukopenia.harmonising import Harmonised
    from leukopenia.read.raw import Raw
    from leukopenia.result import Result

Progress = Callable[[str], None]
Source = str | Path | Any


def run(
    source: Source | Sequence[Source],
    *,
    policy: Policy | Mapping[str, Any] | None = None,
    engine: str = "",
    format: str = "",
    mapping: Mapping[str, Any] | None = None,
    site_map: str | Path = "",
    limits: Source | None = None,
    memory_limit: str = "",
    threads: int = 0,
    frame: str = "",
    progress: Progress = lambda stage: None,
) -> Result:
    """Records -> every table of the house.

    Parameters
    ----------
    source : path, frame, mapping of frames, or a sequence of these
        FHIR, OMOP, MEDS, or plain results; several sources are merged by patient id.
    policy : Policy or mapping, optional
        Changes to the defaults of policy.csv.
    engine : {'', 'duckdb', 'polars', 'spark'}
        Empty: the engine a frame lives in; DuckDB for files.
    format : str
        Force the format of the files instead of recognising it.
    mapping : mapping, optional
        The site's words for columns of plain results.
    site_map : name or path
        Rows of code, analyte, specimen, unit; empty: the map of the product that fits best.
    limits : path or frame
        Limits estimated from the laboratory's own results, as `leukopenia reference` writes them; see
        `leukopenia.estimated.rows`. The laboratory's own range goes first, unless the policy's `limits.first` says
        otherwise; published intervals go last.
    memory_limit, threads
        For DuckDB.
    frame : {'', 'polars', 'pandas', 'pyarrow', 'native'}
        The kind of frame `Result.tables` gives; empty: the kind that came in, Polars for files.

    Returns
    -------
    Result
        Close it, or use it in a `with` statement.

    Raises
    ------
    LeukopeniaError
        The source cannot be read or understood, or the policy contradicts itself.
    """
    from leukopenia import estimated, knowledge, monitoring, pipeline
    from leukopenia.engine import of_frame, open_engine
    from leukopenia.result import Result

    sources = _listed(source)
    chosen = policy if isinstance(policy, Policy) else Policy.of(policy)
    rows = knowledge.load() if limits is None else estimated.added_to(knowledge.load(), limits)
    if monitoring.asked_for(chosen):
        monitoring.rules.rules(rows, chosen)
    first = sources[0]
    files = isinstance(first, str | Path)
    name = engine or ("duckdb" if files else of_frame(_a_frame(first)))
    with ExitStack() as undo:
        stage = Path(tempfile.mkdtemp(prefix="leukopenia-stage-"))
        undo.callback(_remove, stage)
        opened = open_engine(name, memory_limit=memory_limit, threads=threads)
        undo.callback(opened.close)
        progress("read")
        raws = read_all(sources, opened, stage, format, mapping)
        made = pipeline.run(raws, opened, rows, chosen, site_maps_of(site_map), progress)
        undo.pop_all()
    kind = frame or ("polars" if files else _kind(_a_frame(first)))
    inputs = [path for raw in raws for path in raw.files]
    if isinstance(limits, str | Path):
        inputs.append(Path(limits))
    return Result(made, opened, chosen, kind, inputs, stage, rows.get("estimated_limits", ()))


def read(source: Source, engine: Engine, stage: Path, *, format: str = "", mapping: Any = None) -> Raw:
    """One source as raw tables in contract shape; see `leukopenia.read.read`."""
    from leukopenia.read import read as read_path
    from leukopenia.read import read_frames

    if isinstance(source, str | Path):
        return read_path(Path(source), engine, stage, format=format, mapping=mapping)
    return read_frames(source, engine, mapping=mapping)


def inspect(
    source: str | Path,
    *,
    format: str = "",
    mapping: Mapping[str, Any] | None = None,
    site_map: str | Path = "",
) -> dict[str, Any]:
    """What would be read, before anything is computed.

    Returns
    -------
    dict
        format, rows, signals (understood or not, by frequency), drugs, issues, and a site-map stub.
    """
    from leukopenia import inspection, knowledge
    from leukopenia.engine import open_engine

    engine = open_engine("duckdb")
    with tempfile.TemporaryDirectory(prefix="leukopenia-") as stage:
        try:
            raw = read(source, engine, Path(stage), format=format, mapping=mapping)
            return inspection.inspect(raw, engine, knowledge.load(), site_maps_of(site_map))
        finally:
            engine.close()


def grade(
    frame: Any,
    *,
    standards: Iterable[str] = ("ctcae-5.0", "ctcae-6.0"),
    direction: str = "low",
    policy: Policy | Mapping[str, Any] | None = None,
) -> Any:
    """Grade a table of results.

    Parameters
    ----------
    frame : pandas, Polars, PyArrow, DuckDB or PySpark frame
        Columns analyte, value, unit and, where there are any, low, high, age_days, sex, has_hiv, comparator.
    standards : iterable of str
        ctcae-4.03, ctcae-5.0, ctcae-6.0, daids-2.1.
    direction : {'low', 'high'}
        Low or high terms.
    policy : Policy or mapping, optional
        unit_whitelist, grade_limits.

    Returns
    -------
    frame of the same kind
        Every input row once per standard, all its columns, and standard, grade, reason beside them. An unknown
        grade is null, with its reason.
    """
    from leukopenia import grading, knowledge

    chosen = policy if isinstance(policy, Policy) else Policy.of(policy)
    return grading.grade(frame, knowledge.load(), tuple(standards), direction, chosen)


def rank(
    episodes: Any,
    *,
    counts: Any = None,
    exposures: Any = None,
    conditions: Any = None,
    findings: Any = None,
    patients: Any = None,
    policy: Policy | Mapping[str, Any] | None = None,
) -> Any:
    """Rank the causes of episodes that are already at hand; `leukopenia.explain.rank`.

    Parameters
    ----------
    episodes : frame
        contracts.EPISODES, such as `Result.tables["episodes"]` or episodes of one's own.
    counts, exposures, conditions, findings, patients : frames of the same kind, optional
        The tables of contracts; what is not given is unknown.
    policy : Policy or mapping, optional
        The rows `explain.*` of policy.csv.

    Returns
    -------
    frame of the same kind
        contracts.CAUSES.

    Raises
    ------
    UsageError
        A column that the contract asks for is missing.
    """
    from leukopenia import knowledge, pipeline
    from leukopenia.engine import of_frame, open_engine

    chosen = policy if isinstance(policy, Policy) else Policy.of(policy)
    given = {
        "episodes": episodes,
        "counts": counts,
        "exposures": exposures,
        "conditions": conditions,
        "findings": findings,
        "patients": patients,
    }
    engine = open_engine(of_frame(episodes))
    return _given_back(pipeline.rank(given, engine, knowledge.load(), chosen), engine, episodes)


def alerts(
    exposures: Any,
    counts: Any,
    *,
    jurisdiction: str,
    patients: Any = None,
    observation_periods: Any = None,
    as_of: str = "",
    pack: str | Path = "",
    policy: Policy | Mapping[str, Any] | None = None,
) -> Any:
    """What the monitoring rules ask somebody to look at, past and present; `leukopenia.monitor.alerts`.

    Parameters
    ----------
    exposures, counts : pandas, Polars, PyArrow, DuckDB or PySpark frame
        contracts.EXPOSURES and contracts.COUNTS, such as those of `Result.tables`.
    jurisdiction : str
        Whose rules apply: us, uk, eu, ...; there is no default.
    patients, observation_periods : frames of the same kind, optional
        contracts.PATIENTS and contracts.OBSERVATION_PERIODS; what is not given is unknown.
    as_of : str
        The day the question is asked for, as 2026-11-22; empty: the last day of the frames.
    pack : path, optional
        A hospital's own rules: a folder or a YAML file, see `leukopenia knowledge check`.
    policy : Policy or mapping, optional
        The rows `monitor.*` of policy.csv.

    Returns
    -------
    frame of the same kind
        contracts.monitored.ALERTS; `open` says which still hold. Who is not in it is not cleared: a course whose start
        is unknown raises nothing (`leukopenia monitor` lists those).

    Raises
    ------
    UsageError
        There are no rules for the jurisdiction, or a column that a contract asks for is missing.
    KnowledgeError
        The pack is not in order.
    """
    from leukopenia import knowledge, monitoring
    from leukopenia.engine import of_frame, open_engine
    from leukopenia.monitor_packs import read_pack

    base = policy.values if isinstance(policy, Policy) else policy or {}
    named = {"monitor.jurisdiction": jurisdiction} | ({"as_of": as_of} if as_of else {})
    known = read_pack(Path(pack)).added_to(knowledge.load()) if pack else knowledge.load()
    given = {
        "exposures": exposures,
        "counts": counts,
        "patients": patients,
        "observation_periods": observation_periods,
    }
    engine = open_engine(of_frame(exposures))
    made = monitoring.alerts(given, engine, known, Policy.of({**base, **named}))
    return _given_back(made, engine, exposures)


def _given_back(frame: Frame, engine: Engine, like: Any) -> Any:
    """A frame of the kind that came in, which outlives the engine where that has files of its own."""
    from leukopenia.result import in_kind

    if engine.name != "duckdb":
        return in_kind(frame, engine, _kind(like))
    import duckdb

    rows = engine.collect(frame).to_arrow()
    engine.close()
    return duckdb.from_arrow(rows)


def _listed(source: Any) -> list[Any]:
    sources = list(source) if isinstance(source, list | tuple) else [source]
    if not sources:
        raise UsageError("There is no source.", "", "Give a file, a folder or a frame.")
    return sources


def _a_frame(source: Any) -> Any:
    return next(iter(source.values())) if isinstance(source, Mapping) else source


def _kind(frame: Any) -> str:
    module = type(frame).__module__.split(".")[0]
    return {"pandas": "pandas", "pyarrow": "pyarrow", "polars": "polars"}.get(module, "native")


@contextmanager
def harmonised(
    sources: Sequence[Path],
    policy: Policy,
    knowledge: Knowledge,
    *,
    engine: str = "duckdb",
    progress: Progress = lambda stage: None,
    site_map: str = "",
    format: str = "",
    mapping: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Harmonised, Engine]]:
    """Read records as far as the rooms that judge; the engine is closed at the end.

    Parameters
    ----------
    sources : sequence of Path
        Whatever `run` reads.
    policy, knowledge
        What harmonising is told.
    engine, progress, site_map, format, mapping
        As in `run`.

    Yields
    ------
    tuple of Harmonised and Engine
    """
    from leukopenia.engine import open_engine
    from leukopenia.harmonising import harmonise

    opened = open_engine(engine)
    try:
        with tempfile.TemporaryDirectory(prefix="leukopenia-stage-") as stage:
            progress("read")
            raws = read_all([*sources], opened, Path(stage), format, mapping)
            progress("harmonise")
            yield harmonise(raws, opened, knowledge, policy, site_maps_of(site_map)), opened
    finally:
        opened.close()


def read_all(
    sources: Sequence[Any], engine: Engine, stage: Path, format: str, mapping: Mapping[str, Any] | None
) -> list[Raw]:
    raws: list[Raw] = []
    for number, source in enumerate(sources):
        folder = stage / str(number)
        folder.mkdir()
        raws.append(read(source, engine, folder, format=format, mapping=mapping))
    names = [raw.source for raw in raws]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UsageError(f"Two sources are called {sorted(twice)[0]}.", "", "Rename one: issues name rows by source.")
    return raws


def site_maps_of(site_map: str | Path) -> Mapping[str, Rows]:
    from leukopenia import knowledge

    known = knowledge.site_maps()
    if not site_map:
        return known
    if str(site_map) in known:
        return {str(site_map): known[str(site_map)]}
    return {Path(site_map).stem: knowledge.read_site_map(Path(site_map))}


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
