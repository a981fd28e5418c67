"""Across all files: leave out records that stand twice, and resolve Specimen and Medication references."""

from __future__ import annotations

from pathlib import Path

import duckdb

from leukopenia.read.fhir_parts import SCHEMAS
from leukopenia.read.raw import Issue, issue

Written = dict[str, list[Path]]
"""Files by table, `<table>.keys` and `definitions`."""

_DEFINED = {
    "raw_results": "case when r.specimen = '' then coalesce(d.name, '') else r.specimen end as specimen",
    "raw_drugs": "coalesce(d.system, r.system) as system, coalesce(d.code, r.code) as code, "
    "coalesce(nullif(d.name, ''), r.name) as name",
}


def finish(connection: duckdb.DuckDBPyConnection, written: Written, source: str) -> tuple[Written, list[Issue]]:
    """Give the final files of every table; a file that needs no change stays as it is.

    A record stands twice when type, id and every mapped value are the same: the first stays. Two versions of
    a record differ in what they say, so both flow on.
    """
    issues: list[Issue] = []
    _define(connection, written.get("definitions", []))
    for table in [name for name in SCHEMAS if f"{name}.keys" in written]:
        connection.read_parquet(_names(written[f"{table}.keys"])).create_view("keys", replace=True)
        issues += _repeated(connection, table, written[table], source)
        if _needs_change(connection, table):
            for path in written[table]:
                _rewrite(connection, table, path)
    for kind in list(written):
        if kind not in SCHEMAS:
            for path in written.pop(kind):
                path.unlink()
    return written, issues


def _names(paths: list[Path]) -> list[str]:
    return [str(path) for path in paths]


def _define(connection: duckdb.DuckDBPyConnection, paths: list[Path]) -> None:
    connection.execute(
        "create or replace temp table definitions (key varchar, system varchar, code varchar, name varchar)"
    )
    if paths:
        connection.execute(
            """insert into definitions
            select key, arg_min(system, row_id), arg_min(code, row_id), arg_min(name, row_id)
            from read_parquet($paths) group by key""",
            {"paths": _names(paths)},
        )


def _repeated(connection: duckdb.DuckDBPyConnection, table: str, paths: list[Path], source: str) -> list[Issue]:
    """Note the later copies of records in the table `repeated`, and count them."""
    values = ", ".join(f'"{name}"' for name in SCHEMAS[table].names if name != "row_id")
    # Ids that come once are the rule: their 64-bit hashes settle it without comparing any content.
    connection.execute(
        f"""create or replace temp table repeated as
        with suspects as (
            select hash(record) as mark from keys where record is not null group by mark having count(*) > 1
        ),
        doubtful as (select row_id, record from keys where hash(record) in (from suspects)),
        content as (
            select row_id - row_id % 1000 as base, bit_xor(hash(row_id % 1000, {values})) as content
            from read_parquet($paths) where row_id - row_id % 1000 in (select row_id from doubtful)
            group by base
        )
        select row_id, record from doubtful join content on base = row_id
        qualify row_number() over (partition by record, content order by row_id) > 1""",
        {"paths": _names(paths)},
    )
    found = connection.execute(
        "select split_part(record, '/', 1) as kind, count(*) from repeated group by kind order by kind"
    ).fetchall()
    return [issue(source, table, "duplicate_record", detail=kind, n=n) for kind, n in found]


def _needs_change(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    defined = "select 1 from keys semi join definitions on sought = key limit 1" if table in _DEFINED else ""
    return any(connection.execute(query).fetchone() for query in ("select 1 from repeated limit 1", defined) if query)


def _rewrite(connection: duckdb.DuckDBPyConnection, table: str, path: Path) -> None:
    replaced = f"replace ({_DEFINED[table]})" if table in _DEFINED else ""
    changed = path.with_suffix(".changed")
    connection.execute(
        f"""copy (
            select r.* {replaced} from read_parquet($path) r
            left join (select k.row_id as base, d.* from keys k join definitions d on k.sought = d.key) d
            on d.base = r.row_id - r.row_id % 1000
            where r.row_id - r.row_id % 1000 not in (select row_id from repeated)
        ) to '{str(changed).replace("'", "''")}' (format parquet)""",
        {"path": str(path)},
    )
    changed.replace(path)
