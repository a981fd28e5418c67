"""The fast path: a file of Observations, one a line, through DuckDB.

DuckDB maps the lines that are like all others: a number with its unit, or words, under a LOINC code, at one
time, with at most one reference range. Every other line is marked and handed to the line reader, so what an
Observation means is written once, there; here stands only what the regular case comes to. Columns are
explicit and errors are never ignored: a file with a line that is not JSON, or of another shape, is refused as
a whole and left to the line reader.

DuckDB lets pass what the line reader does not: NaN, a trailing comma, or a key twice, in fields not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import compress, count, islice
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leukopenia.read.fhir_input import LINE_LIMIT, Input
from leukopenia.read.fhir_lines import PARTS_PER_RECORD, RECORDS_PER_FILE, Reader
from leukopenia.read.fhir_parts import BATCH
from leukopenia.read.fhir_values import LOINC, PATIENT, TIME_OF_DAY, UCUM, ZONE, clean

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLUMNS = {
    "resourceType": "VARCHAR",
    "id": "VARCHAR",
    "status": "VARCHAR",
    "code": 'STRUCT(coding STRUCT(system VARCHAR, code VARCHAR, display VARCHAR)[], "text" VARCHAR)',
    "subject": "STRUCT(reference VARCHAR)",
    "effectiveDateTime": "VARCHAR",
    # As JSON, "4.1" stays apart from 4.1; as a number DuckDB would read both the same.
    "valueQuantity": "STRUCT(value JSON, unit VARCHAR, system VARCHAR, code VARCHAR, comparator VARCHAR)",
    "valueString": "VARCHAR",
    "interpretation": 'STRUCT(coding STRUCT(code VARCHAR)[], "text" VARCHAR)[]',
    # As a number, "4.0" is read like 4.0, as the line reader does; other text makes DuckDB refuse the file.
    "referenceRange": 'STRUCT(low STRUCT("value" DOUBLE), high STRUCT("value" DOUBLE), "type" JSON)[]',
    "specimen": "STRUCT(reference VARCHAR, display VARCHAR)",
    "component": "JSON",
}

_DATED = f"[12][0-9]{{3}}-[0-9]{{2}}-[0-9]{{2}}(?:T{TIME_OF_DAY}{ZONE})?"

_QUERY = f"""
with lines as (
    select *, code.coding as codings, valueQuantity as quantity, referenceRange as ranges,
        referenceRange[1] as "range", interpretation[1] as flagged, length(effectiveDateTime) as wide
    from read_json($path, format = 'newline_delimited', columns = $columns, compression = $compression,
        maximum_object_size = {LINE_LIMIT})
),
picked as (
    select *,
        case '{LOINC}' when codings[1].system then codings[1] when codings[2].system then codings[2]
            when codings[3].system then codings[3] end as coding,
        regexp_extract(subject.reference, '{PATIENT}$', 1) as patient_id,
        try_cast(quantity.value::varchar as double) as number,
        -- words; what begins like a number is for the line reader to judge
        case when quantity is null and regexp_full_match(valueString, '(?s)[!-*,/:-~](.*[!-~])?')
            then valueString end as words,
        "range".low.value as low, "range".high.value as high,
        coalesce(trim(specimen.display), '') as specimen_name,
        coalesce(quantity.comparator, '') as comparator,
        coalesce(nullif(flagged.coding[1].code, ''), flagged."text", '') as flag,
        try_cast(effectiveDateTime[1:16] as timestamp) as clock,
        effectiveDateTime[wide - 5:] as zone,
        regexp_full_match(effectiveDateTime, '{_DATED}') as dated
    from lines
)
select nullif(id, '') as id, patient_id, number as value, words as text, comparator, low, high, flag,
    epoch_us(clock) // 60000000 as minute,
    case when wide = 10 then 'day' else 'minute' end as time_precision,
    case when wide = 10 then null when ends_with(zone, 'Z') then 0
        else try_cast(zone[1:1] || '1' as bigint)
            * (try_cast(zone[2:3] as bigint) * 60 + try_cast(zone[5:6] as bigint)) end as utc_offset,
    trim(coding.code) as code,
    coalesce(nullif(coding.display, ''), picked.code."text", '') as name,
    specimen_name as specimen,
    case when specimen_name = '' then
        regexp_extract(coalesce(specimen.reference, ''), '(?:^|/)(Specimen/[^/?#|\\s]+)', 1)
        else '' end as sought,
    coalesce(trim(case when quantity.system = '{UCUM}' then coalesce(nullif(quantity.code, ''), quantity.unit)
        else coalesce(nullif(quantity.unit, ''), quantity.code) end), '') as unit,
    coalesce(
        resourceType = 'Observation'
        and status in ('registered', 'preliminary', 'final', 'amended', 'corrected', 'unknown')
        and component is null and patient_id <> '' and coding.code <> '' and trim(name) <> ''
        and (words is not null or (isfinite(number) and comparator in ('', '<', '<=', '>=', '>')))
        and dated and clock is not null
        and (interpretation is null or flag <> '')
        and (specimen is null or not starts_with(coalesce(specimen.reference, ''), '#'))
        and (ranges is null or (len(ranges) = 1 and "range".type is null
            and coalesce(isfinite(low), true) and coalesce(isfinite(high), true)
            and (low is not null or high is not null))),
        false) as regular
from picked
"""


class Refused(Exception):
    """The file is not one for the fast path; what was written of it is void."""


def fits(path: Path) -> bool:
    """Whether DuckDB can be given the path as it is; it would expand these characters as a pattern."""
    return not any(mark in str(path) for mark in "*?[]{}")


def read_observations(
    connection: duckdb.DuckDBPyConnection, source: Input, reader: Reader, done: Callable[[int], None]
) -> None:
    """Map a file of Observations into the parts of `reader`.

    `connection` must run on one thread: with more, DuckDB 2.0 hands over read_json rows out of order,
    whatever `preserve_insertion_order` says, and a row's line number would be wrong.

    Raises
    ------
    Refused
        A line is not JSON or has another shape, or rows and lines cannot be told to be the same.
    """
    lines = iter(source.stream)
    before = 0
    for batch in _batches(connection, source):
        table = pa.Table.from_batches([batch])
        regular = np.array(table["regular"])
        # The ends of each batch go the slow way as probes: there rows and lines are seen to be the same.
        regular[[0, -1]] = False
        _write_regular(table.filter(pa.array(regular)), np.flatnonzero(regular) + before + 1, reader)
        _hand_over(table, ~regular, islice(zip(count(before + 1), lines), len(regular)), reader)
        before += len(regular)
        source.check_ratio()
        done(source.done())
    if any(not line.isspace() for line in lines):
        raise Refused("lines are left over")


def _batches(connection: duckdb.DuckDBPyConnection, source: Input) -> Iterator[pa.RecordBatch]:
    given = {
        "path": str(source.path),
        "columns": _COLUMNS,
        "compression": "gzip" if source.compressed else "none",
    }
    rows = connection.sql(_QUERY, params=given)
    try:
        for batch in rows.to_arrow_reader(BATCH):
            if batch.num_rows:
                yield batch
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise Refused(type(error).__name__) from None


def _write_regular(table: pa.Table, numbers: NDArray[np.int64], reader: Reader) -> None:
    if not len(table):
        return
    row_id = pa.array((numbers + reader.file * RECORDS_PER_FILE) * PARTS_PER_RECORD, pa.int64())
    table = table.append_column("row_id", row_id)
    keys = table.select(["row_id", "sought"]).append_column("record", _records(table["id"]))
    reader.parts.write("raw_results.keys", keys)
    table = table.set_column(table.schema.get_field_index("name"), "name", _cleaned(table["name"]))
    table = table.append_column("system", pa.repeat(pa.scalar("loinc"), len(table)))
    reader.parts.write("raw_results", table)
    reader.tally.records["Observation"] += len(table)


def _records(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise("Observation", ids, "/")


def _cleaned(names: pa.ChunkedArray) -> pa.Array:
    """Names without zero-width characters: few differ, so each is cleaned once."""
    coded = names.combine_chunks().dictionary_encode()
    return pa.array(map(clean, coded.dictionary.to_pylist()), pa.string()).take(coded.indices)


def _hand_over(table: pa.Table, odd: NDArray[np.bool_], numbered: Iterable[tuple[int, bytes]], reader: Reader) -> None:
    """Give the other lines to the line reader, making sure that they are the lines DuckDB saw."""
    ids = table["id"].filter(pa.array(odd)).to_pylist()
    handed = compress(numbered, odd)
    for seen in ids:
        number, line = next(handed, (0, b""))
        found = reader.line(number, line)
        if reader.last != number or str(getattr(found, "id", seen)) != str(seen):
            raise Refused("lines and rows differ")
