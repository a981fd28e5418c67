"""The monitor commands: who needs a count today, and whether a hospital's own rules hold together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leukopenia.cli_options import (
    AsOf,
    EngineName,
    Format,
    Json,
    Jurisdiction,
    MapFile,
    PolicyFile,
    SiteMap,
    Sources,
    mapping_of,
    policy_of,
    stages,
)
from leukopenia.errors import KnowledgeError

if TYPE_CHECKING:
    from leukopenia.contracts import Knowledge
    from leukopenia.engine import Engine
    from leukopenia.monitoring import Monitored
    from leukopenia.policy import Policy

Row = dict[str, Any]

_EPOCH = datetime(1970, 1, 1)
_SHOWN = 3
"""Alerts of one person that are told in full."""


def monitor(
    sources: Sources,
    jurisdiction: Jurisdiction = "",
    as_of: AsOf = "",
    drug: Annotated[str, typer.Option(help="One ingredient.")] = "",
    patient: Annotated[str, typer.Option(help="One person.")] = "",
    pack: Annotated[Path | None, typer.Option(help="Own rules: a folder or YAML, see `knowledge check`.")] = None,
    policy: PolicyFile = None,
    format: Format = "",
    map: MapFile = None,
    site_map: SiteMap = "",
    engine: EngineName = "duckdb",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the tables and the list.")] = None,
    as_json: Json = False,
) -> None:
    """Who needs a count today, and what does the rule say? The most urgent first."""
    from leukopenia import knowledge, monitoring, outputs

    known: Knowledge = knowledge.load()
    if pack is not None:
        from leukopenia.monitor_packs import read_pack

        known = read_pack(pack).added_to(known)
    if output is not None:
        outputs.check_target(output)
    asked = policy_of(policy, **{"as_of": as_of, "monitor.jurisdiction": jurisdiction})
    ingredient = _ingredient(drug, known)
    monitoring.rules.rules(known, asked)
    with (
        stages() as stage,
        monitoring.of_sources(
            sources,
            asked,
            known,
            engine=engine,
            progress=stage,
            site_map=site_map,
            format=format,
            mapping=mapping_of(map),
        ) as (made, opened, minute),
    ):
        told = _told(made, opened, minute, patient, ingredient)
        if output is not None:
            _write(output, made, opened, told, asked)
    for line in [json.dumps(told, ensure_ascii=False)] if as_json else lines(told):
        print(line)


def _ingredient(drug: str, known: Knowledge) -> str:
    """The id of a drug named by id or by name."""
    from leukopenia.errors import UsageError

    if not drug:
        return ""
    ids = {row["name"]: row["id"] for row in known["ingredients"]} | {
        row["id"]: row["id"] for row in known["ingredients"]
    }
    ids |= {row["name"]: row["ingredient"] for row in known["ingredient_names"]}
    wanted = drug.strip().casefold()
    if wanted not in ids:
        raise UsageError(f"There is no drug {drug!r}.", "", "`leukopenia knowledge ingredients` lists them.")
    return ids[wanted]


def _told(made: Monitored, opened: Engine, minute: int, patient: str, drug: str) -> Row:
    """Everything that is told, with dates instead of minutes."""
    from leukopenia import monitoring

    return {
        "as_of": _day(minute),
        "courses": monitoring.treated(made, opened, patient, drug),
        "going_on": monitoring.going(made, opened, patient, drug),
        "worklist": [_dated(row) for row in monitoring.worklist(made, opened, patient, drug)],
        "next": [_dated(row) for row in monitoring.schedule(made, opened, patient, drug)],
        "not_assessable": monitoring.unassessed(made, opened, patient, drug),
        "not_assessable_before": monitoring.unassessed_before(made, opened, patient, drug),
        "coverage": [] if patient else monitoring.by_drug(made, opened, drug),
    }


def _dated(row: Row) -> Row:
    times = ("minute", "due", "latest", "fulfilled")
    made: Row = {name: _day(value) if name in times else value for name, value in row.items()}
    if "alerts" in row:
        made["alerts"] = [_dated(alert) for alert in row["alerts"]]
    return made


def _day(minute: int | None) -> str | None:
    return None if minute is None else (_EPOCH + timedelta(minutes=minute)).date().isoformat()


def lines(told: Mapping[str, Any]) -> list[str]:
    """The worklist for a person: one line a patient, then who cannot be assessed, then how well it went."""
    waiting = told["worklist"]
    made = [f"{told['as_of']}: persons who need attention: {len(waiting)}"]
    made += [_person(row) for row in waiting]
    if not told["courses"] and not told["not_assessable"]:
        made.append("No treatment with a drug that has a rule is on record here: nothing could be monitored.")
    elif told["courses"] and not told["going_on"]:
        earlier = f"earlier courses: {told['courses']}"
        made.append(f"No treatment with a drug that has a rule is known to go on that day; {earlier}.")
    before = _unassessed_before(told["not_assessable_before"])
    return [*made, *_unassessed(told["not_assessable"]), *before, *_coverage(told["coverage"])]


def _person(row: Row) -> str:
    alerts = row["alerts"]
    shown = "; ".join(_alert(alert) for alert in alerts[:_SHOWN])
    more = f"; {len(alerts) - _SHOWN} more" if len(alerts) > _SHOWN else ""
    return f"{row['urgency']}  {row['patient_id']}  {shown}{more}  [{_rules(alerts[:_SHOWN])}]"


def _rules(alerts: Iterable[Row]) -> str:
    """Each rule once, with all its sources."""
    sources: dict[str, dict[str, None]] = {}
    for alert in alerts:
        sources.setdefault(alert["rule_id"], {}).update(dict.fromkeys(alert["source_id"].split(";")))
    return ", ".join(f"{rule} ({'; '.join(found)})" for rule, found in sources.items())


def _alert(alert: Row) -> str:
    unit = " g/L" if alert["analyte"] == "haemoglobin" else ""
    value = f" {alert['analyte']} {alert['value']:g}{unit}" if alert["value"] is not None else ""
    late = f", {alert['days_overdue']} days" if alert["days_overdue"] else ""
    from leukopenia.report.monitored import ALERT_KINDS

    said = "" if not alert["action"] else f" - {alert['statement'].rstrip('.')}"
    return f"{_drug(alert['drug'])}: {ALERT_KINDS[alert['kind']]}{value} ({alert['minute']}{late}){said}"


def _drug(id: str) -> str:
    return id.removeprefix("drug:").replace("-", " ")


def _unassessed(rows: Sequence[Row]) -> Iterator[str]:
    from leukopenia.report.monitored import NOT_ASSESSABLE

    if not rows:
        return
    persons = {row["patient_id"] for row in rows}
    yield ""
    yield f"Cannot be assessed, wholly or in part: {len(persons)}"
    seen: set[str] = set()
    for row in rows:
        line = f"   {row['patient_id']}  {_drug(row['drug'])}: {NOT_ASSESSABLE[row['reason']]}"
        rule = f"  [{row['rule_id']}]" if row["rule_id"] else ""
        if line + rule not in seen:
            seen.add(line + rule)
            yield line + rule


def _unassessed_before(rows: Sequence[Row]) -> Iterator[str]:
    from leukopenia.report.monitored import NOT_ASSESSABLE

    if not rows:
        return
    yield ""
    yield "Earlier courses that cannot be assessed, wholly or in part:"
    for row in rows:
        rule = f"  [{row['rule_id']}]" if row["rule_id"] else ""
        said = f"{_number(row['courses'], 'course')}, {NOT_ASSESSABLE[row['reason']]}"
        yield f"   {_drug(row['drug'])}: {said}{rule}"


def _number(n: int, name: str) -> str:
    return f"{n} {name}{'s' * (n != 1)}"


def _coverage(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield "How well it went:"
    several = len({row["source"] for row in rows}) > 1
    for row in rows:
        where = f" in {row['source']}" if several else ""
        yield f"   {_drug(row['drug'])}{where} [{row['rule_id']}]: {_course_of_counts(row)}"


def _course_of_counts(row: Row) -> str:
    covered = (
        "days covered not known" if row["covered"] is None else f"{row['covered']:.0%} of {row['days']} days covered"
    )
    often = row["alerts_per_100_months"]
    rate = "" if often is None else f"; {often:.1f} alerts per 100 patient-months"
    counts = f"of {row['n_due']} counts due {row['n_fulfilled']} taken ({row['n_late']} late), {row['n_missed']} missed"
    assessed = f"{row['assessed']} of {_number(row['courses'], 'course')} assessed"
    return f"{_number(row['persons'], 'person')}, {assessed}, {covered}; {counts}{rate}"


def _write(output: Path, made: Monitored, opened: Engine, told: Row, asked: Policy) -> None:
    """The five tables, the worklist as text and as JSON, and a manifest."""
    from leukopenia import knowledge, outputs
    from leukopenia.contracts.monitored import MONITOR_TABLES

    with outputs.replaced(output) as folder:
        for table in MONITOR_TABLES:
            opened.write(getattr(made, table.name), folder / f"{table.name}.parquet", table.key)
        (folder / "worklist.txt").write_text("\n".join(lines(told)) + "\n", encoding="utf-8")
        (folder / "worklist.json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        manifest = {
            "as_of": told["as_of"],
            "knowledge": knowledge.version(),
            "policy": dict(asked.values),
            "files": {path.relative_to(folder).as_posix(): path.stat().st_size for path in files},
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False)
        (folder / outputs.MANIFEST).write_text(text + "\n", encoding="utf-8")


def check(
    pack: Annotated[Path, typer.Argument(help="A folder of monitoring_*.csv, or a YAML file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a hospital's own monitoring rules, cell by cell, and try them on their scenarios."""
    from leukopenia import knowledge
    from leukopenia.monitor_packs import read_pack, try_scenarios

    found = read_pack(pack)
    problems = found.problems()
    wrong = {} if problems else try_scenarios(found, knowledge.load())
    told = {
        "rules": len(found.parts["rules"]),
        "problems": [vars(problem) for problem in problems],
        "scenarios": len(wrong),
        "failed": {title: lines for title, lines in wrong.items() if lines},
    }
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
    else:
        print(*_checked(told, [str(problem) for problem in problems]), sep="\n")
    if problems or told["failed"]:
        raise KnowledgeError(f"{pack.name} is not in order.", "", "See above.")


def _checked(told: Row, problems: Sequence[str]) -> list[str]:
    made = [*problems]
    for title, wrong in told["failed"].items():
        made += [title, *[f"   {line}" for line in wrong]]
    if problems:
        return [*made, f"{len(problems)} problems."]
    passed = told["scenarios"] - len(told["failed"])
    return [*made, f"{told['rules']} rules in order; {passed} of {told['scenarios']} scenarios hold."]
