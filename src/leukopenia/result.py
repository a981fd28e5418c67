"""What `run` gives back: the tables, the report, and a way to write both."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopenia import contracts, knowledge, monitoring_facts, outputs
from leukopenia.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from leukopenia.engine import Engine
    from leukopenia.pipeline import Tables
    from leukopenia.policy import Policy
    from leukopenia.report import Monitoring

Progress = Callable[[str], None]
COHORTS = {
    "wbc": 1,
    "neutrophils": 2,
    "neutrophils/severe": 3,
    "neutrophils/profound": 4,
    "lymphocytes": 5,
}
"""cohort_definition_id of the OMOP cohort table."""

SHOWN = 50
"""Persons with a page of their own in the report."""

_REPORT_TABLES = (
    "patients",
    "counts",
    "limits",
    "grades",
    "episodes",
    "findings",
    "exposures",
    "conditions",
    "issues",
    "risks",
    "causes",
    "cause_evidence",
    "causality",
    "disagreements",
    "next_steps",
    "forecasts",
    "forecast_markers",
    "forecast_scenarios",
    "scenario_markers",
    "cause_rates",
)
_OF_THE_COHORT = ("cause_rates",)
"""Tables that the report takes no single rows from."""


class TableView(Mapping[str, Any]):
    """The tables of a result by name, each in the kind of frame the user came with."""

    def __init__(self, made: Tables, engine: Engine, kind: str) -> None:
        self._made, self._engine, self._kind = made, engine, kind
        self._names = made.names()

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise UsageError(f"There is no table {name!r}.", "", f"There are: {', '.join(self._names)}.")
        return in_kind(self._made.frame(name), self._engine, self._kind)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def in_kind(frame: Any, engine: Engine, kind: str) -> Any:
    """A frame of the engine as polars, pandas, pyarrow, or native (a DuckDB relation, a Spark data frame)."""
    if kind == "native":
        return frame.to_native()
    rows = engine.collect(frame)
    return {"pandas": rows.to_pandas, "pyarrow": rows.to_arrow}.get(kind, lambda: rows)()


class Citations(Mapping[str, str]):
    """The one-line citation of each source_id, made when it is asked for: a page cites few of them."""

    def __getitem__(self, source_id: str) -> str:
        if source_id not in knowledge.references():
            raise KeyError(source_id)
        return knowledge.citation(source_id)

    def __iter__(self) -> Iterator[str]:
        return iter(knowledge.references())

    def __len__(self) -> int:
        return len(knowledge.references())


@dataclass
class Result:
    """The outcome of one run.

    Attributes
    ----------
    tables : mapping of str to frame
        Every table of `leukopenia.contracts` that the run has made.
    policy : Policy
        The choices it rests on.
    """

    made: Tables
    engine: Engine
    policy: Policy
    kind: str
    files: list[Path]
    stage: Path
    estimated_limits: contracts.Rows = ()

    @property
    def tables(self) -> TableView:
        return TableView(self.made, self.engine, self.kind)

    def report(self) -> str:
        """The report as one HTML page."""
        with tempfile.TemporaryDirectory(prefix="leukopenia-") as folder:
            paths = self._write_tables(Path(folder), lambda stage: None)
            return self._render(paths, self.manifest(paths))

    def write(self, folder: str | Path, progress: Progress = lambda stage: None) -> Path:
        """Write every table as Parquet, report.html and manifest.json, all or nothing.

        Parameters
        ----------
        folder : path
            New, empty, or an earlier result (which is replaced).
        progress : callable
            Told the name of each stage as it begins.

        Raises
        ------
        OutputError
            The folder holds something else, or cannot be written.
        """
        target = Path(folder)
        started = datetime.now(UTC)
        with outputs.replaced(target) as made:
            paths = self._write_tables(made, progress)
            progress("report")
            manifest = self.manifest(paths)
            (made / "report.html").write_text(self._render(paths, manifest), encoding="utf-8")
            progress("hashes")
            _write_manifest(made, manifest, self.files, started)
        return target

    def close(self) -> None:
        """Give back the engine and the staged files."""
        self.engine.close()
        shutil.rmtree(self.stage, ignore_errors=True)

    def __enter__(self) -> Result:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def manifest(self, paths: Mapping[str, Path]) -> dict[str, Any]:
        """Policy, versions and row accounting; the run time and the hashes are added when it is written."""
        return {
            "leukopenia": _version("leukopenia"),
            "as_of": _time(self.made.as_of),
            **({"monitored_as_of": _time(self.made.monitored_as_of)} if self.made.monitored else {}),
            "knowledge": knowledge.version(),
            "engine": self.engine.name,
            "versions": {name: _version(name) for name in ("narwhals", "polars", "duckdb", "pyspark", "pyarrow")}
            | {"python": platform.python_version()},
            "policy": dict(self.policy.values),
            "estimated_limits": [dict(row) for row in self.estimated_limits],
            "accounting": self.made.accounting,
            "tables": sorted(paths),
        }

    def _write_tables(self, folder: Path, progress: Progress) -> dict[str, Path]:
        import polars as pl

        paths = {}
        for name in self.made.names():
            progress(name)
            paths[name] = folder / f"{name}.parquet"
            self.engine.write(self.made.frame(name), paths[name], sort_key(name))
        grades = pl.scan_parquet(_files(paths["grades"]))
        paths["crosswalk"] = folder / "crosswalk.parquet"
        crosswalk(grades).collect().write_parquet(paths["crosswalk"], compression="zstd")
        paths["cohort"] = folder / "cohort.parquet"
        _cohort(pl.read_parquet(_files(paths["episodes"]))).write_parquet(paths["cohort"], compression="zstd")
        return paths

    def _render(self, paths: Mapping[str, Path], manifest: dict[str, Any]) -> str:
        import polars as pl

        from leukopenia import report

        lazy = {name: pl.scan_parquet(_files(paths[name])) for name in _REPORT_TABLES}
        received = _received(self.made.signals, self.made.accounting)
        summary = report.summarise(lazy, received) | _words(knowledge.load())
        monitor = {name: pl.scan_parquet(_files(paths[name])) for name in self._monitor_tables()}
        listed = monitoring_facts.waiting(monitor["alerts"]) if monitor else []
        chosen = [*_chosen(lazy), *listed[: report.WAITING_PAGES]]
        tables = _of_persons({name: lazy[name] for name in lazy if name not in _OF_THE_COHORT}, chosen)
        if monitor:
            summary["monitoring"] = monitoring_facts.aggregates(monitor)
        facts = report.Facts(
            **tables,
            summary=summary,
            policy=dict(self.policy.values),
            references=Citations(),
            knowledge=knowledge.load(),
            manifest=manifest,
            monitoring=self._monitoring(monitor, chosen, listed),
        )
        return report.render(facts, redact_small_cells=self.policy.flag("small_cells"))

    def _monitor_tables(self) -> list[str]:
        return [table.name for table in contracts.MONITOR_TABLES] if self.made.monitored else []

    def _monitoring(
        self, monitor: Mapping[str, pl.LazyFrame], chosen: list[Any], listed: list[Any]
    ) -> Monitoring | None:
        if not monitor:
            return None
        jurisdiction = self.policy.text("monitor.jurisdiction")
        return monitoring_facts.facts(monitor, jurisdiction, self.made.monitored_as_of, chosen, listed)


_EPOCH = datetime(1970, 1, 1)


def sort_key(name: str) -> list[str]:
    """The columns a table is sorted by when it is written: its key, else all of them."""
    table = contracts.TABLES[name]
    return list(table.key or table.names)


def crosswalk(grades: pl.LazyFrame) -> pl.LazyFrame:
    """How many counts have which grade under CTCAE 5.0 and which under 6.0; null is unknown."""
    import polars as pl

    key = ["patient_id", "analyte", "minute"]
    old = grades.filter(pl.col("standard") == "ctcae-5.0").select(*key, ctcae_5_0="grade")
    new = grades.filter(pl.col("standard") == "ctcae-6.0").select(*key, ctcae_6_0="grade")
    by = ["analyte", "ctcae_5_0", "ctcae_6_0"]
    return old.join(new, on=key).group_by(by).agg(counts=pl.len().cast(pl.Int64)).sort(by)


def _files(path: Path) -> str:
    return f"{path}/*.parquet" if path.is_dir() else str(path)


def _cohort(episodes: pl.DataFrame) -> pl.DataFrame:
    """The OMOP cohort table; persons whose ids are no whole numbers are numbered in the order of their ids."""
    import polars as pl

    from leukopenia.report import omop_cohort

    if not episodes.schema["patient_id"].is_integer():
        ids = episodes["patient_id"].unique().sort()
        numbers = pl.DataFrame({"patient_id": ids, "number": range(1, len(ids) + 1)}).with_columns(
            pl.col("number").cast(pl.Int64)
        )
        episodes = episodes.join(numbers, on="patient_id").drop("patient_id").rename({"number": "patient_id"})
    return omop_cohort(episodes, COHORTS)


def _received(signals: list[dict[str, Any]], accounting: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    units: dict[str, int] = {}
    for row in signals:
        if row["component"]:
            units[row["unit"]] = units.get(row["unit"], 0) + row["n"]
    rows = sorted(units.items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "rows": sum(int(counts["results"]) for counts in accounting.values()),
        "units": [{"unit": unit, "rows": n} for unit, n in rows[:40]],
    }


def _chosen(lazy: Mapping[str, pl.LazyFrame]) -> list[Any]:
    """The persons worth a page: red flags first, then the deepest nadirs, then any."""
    import polars as pl

    flagged = lazy["risks"].select("patient_id", rank=pl.when("ongoing").then(0).otherwise(1), depth=0.0)
    low = lazy["episodes"].select("patient_id", rank=2, depth="nadir")
    every = lazy["patients"].select("patient_id", rank=3, depth=0.0).head(SHOWN)
    ranked = pl.concat([flagged, low, every], how="vertical_relaxed").sort("rank", "depth", "patient_id")
    ids: list[Any] = (
        ranked.unique("patient_id", keep="first", maintain_order=True).head(4 * SHOWN).collect()["patient_id"].to_list()
    )
    return ids


def _of_persons(lazy: Mapping[str, pl.LazyFrame], chosen: list[Any]) -> dict[str, pl.DataFrame]:
    """The rows of these persons and of their episodes; of tables that are about no person, the first rows."""
    import polars as pl

    theirs = pl.col("patient_id").is_in(chosen)
    episodes = lazy["episodes"].filter(theirs).select("episode_id")
    plans = {}
    for name, frame in lazy.items():
        columns = frame.collect_schema().names()
        if "patient_id" in columns:
            plans[name] = frame.filter(theirs)
        elif "episode_id" in columns:
            plans[name] = frame.join(episodes, on="episode_id", how="semi")
        else:
            plans[name] = frame.head(10_000)
    return dict(zip(plans, pl.collect_all(list(plans.values())), strict=True))


def _words(rows: contracts.Knowledge) -> dict[str, Any]:
    """Bands, plain names and groups for the pictures, from the knowledge rows."""
    bands = [
        {
            "standard": row["standard"],
            "analyte": row["analyte"],
            "grade": int(row["grade"]),
            "below": float(row["limit"]) if row["limit"] else None,
            "source_id": row["source_id"].split(";")[0],
        }
        for row in rows["criteria"]
        if row["direction"] == "low" and not row["age_unit"]
    ]
    kinds = {"chemotherapy": "chemotherapy", "g_csf": "growth factor", "corticosteroid": "steroid"}
    groups = {row["ingredient"]: "suspect" for row in rows["agranulocytosis_drugs"]}
    groups |= {
        row["id"]: kinds[group] for row in rows["ingredients"] for group in row["groups"].split(";") if group in kinds
    }
    groups |= {row["procedure"]: row["procedure"].partition(":")[2] for row in rows["procedure_names"]}
    return {
        "bands": bands,
        "groups": groups,
        "names": {row["id"]: row["name"] for row in rows["ingredients"]},
    }


def _time(minute: int) -> str:
    return str(_EPOCH + timedelta(minutes=minute)) if minute else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _write_manifest(folder: Path, manifest: dict[str, Any], files: list[Path], started: datetime) -> None:
    listed = {
        path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()
    }
    whole = manifest | {
        "inputs": outputs.inputs(files),
        "files": listed,
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps(whole, indent=1, ensure_ascii=False)
    (folder / outputs.MANIFEST).write_text(text + "\n", encoding="utf-8")
