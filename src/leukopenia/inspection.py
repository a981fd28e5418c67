"""`inspect`: what a source holds, what is understood and what is not, and a site map to fill in."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from leukopenia.contracts import Knowledge, Rows
from leukopenia.engine import Engine
from leukopenia.harmonise import diagnoses, drugs
from leukopenia.harmonising import understand
from leukopenia.read.raw import Raw

_UNDERSTOOD = ("component", "system", "code", "name", "specimen", "unit", "n", "note", "how")
STUB = ("code", "name", "analyte", "specimen", "unit", "origin", "finding")
_SUSPICIOUS = ("unknown_code", "unknown_unit", "ambiguous_unit")


def inspect(raw: Raw, engine: Engine, knowledge: Knowledge, site_maps: Mapping[str, Rows]) -> dict[str, Any]:
    """Everything that would be read from one source.

    Returns
    -------
    dict
        source, format, rows_in, understood, not_understood, drugs, conditions, issues, site_map_stub (CSV).
    """
    results = raw.tables.get("raw_results")
    signals = understand(results, engine, knowledge, site_maps) if results is not None else []
    signals.sort(key=lambda row: (-row["n"], str(row["code"]), row["name"]))
    return {
        "source": raw.source,
        "format": raw.format,
        "rows_in": raw.rows_in,
        "understood": [{name: row[name] for name in _UNDERSTOOD} for row in signals if not row["reason"]],
        "not_understood": [
            {name: row[name] for name in ("reason", "system", "code", "name", "specimen", "unit", "n")}
            for row in signals
            if row["reason"]
        ],
        "drugs": _drugs(raw, engine, knowledge),
        "conditions": _conditions(raw, engine, knowledge),
        "issues": raw.issues,
        "site_map_stub": stub(row for row in signals if row["reason"] in _SUSPICIOUS or _local(row)),
    }


def _local(row: Mapping[str, Any]) -> bool:
    return row["reason"] == "not_of_interest" and row["system"] in ("local", "")


def stub(signals: Iterable[Mapping[str, Any]]) -> str:
    """A site map to fill in: the codes nobody knows yet, the commonest first."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(STUB)
    for row in signals:
        writer.writerow([row["code"] or row["name"], row["name"], "", row["specimen"], row["unit"], "laboratory", ""])
    return made.getvalue()


def _drugs(raw: Raw, engine: Engine, knowledge: Knowledge) -> dict[str, Any]:
    rows = raw.tables.get("raw_drugs")
    if rows is None:
        return {"ingredients": {}, "rows_known": 0, "rows": 0}
    understood = drugs.understand(engine.collect(drugs.vocabulary(rows)).to_dicts(), knowledge)
    found: Counter[str] = Counter()
    for row in understood:
        if row["ingredient"]:
            found[row["ingredient"]] += row["n"]
    return {
        "ingredients": dict(found.most_common()),
        "rows_known": sum(found.values()),
        "rows": raw.rows_in.get("raw_drugs", 0),
    }


def _conditions(raw: Raw, engine: Engine, knowledge: Knowledge) -> dict[str, int]:
    rows = raw.tables.get("raw_conditions")
    if rows is None:
        return {}
    understood = diagnoses.understand(engine.collect(diagnoses.vocabulary(rows)).to_dicts(), knowledge)
    found: Counter[str] = Counter()
    for row in understood:
        if row["condition"].startswith(("cond:", "finding:")):
            found[row["condition"]] += row["n"]
    return dict(found.most_common())
