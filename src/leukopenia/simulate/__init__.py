"""A simulated hospital: persons with known courses, and records as dirty as real ones.

Nothing here is a clinical statement. Causes, latencies and weights are those of the knowledge tables; how many people
are exposed, depths, ranges and habits are invented, so that the rest of the package has something to read, and
something to be held against: the truth stands beside the records.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leukopenia.errors import OutputError, UsageError
from leukopenia.simulate import fhir, meds, omop, tables
from leukopenia.simulate.departures import EVERY, NONE, Departures, hidden_causes
from leukopenia.simulate.growing import Additions, Folder
from leukopenia.simulate.hospital import batches, block, blocks, hospital
from leukopenia.simulate.records import Hospital, Person, Result, Truth, number

__all__ = [
    "EVERY",
    "FORMATS",
    "NONE",
    "Additions",
    "Departures",
    "Hospital",
    "Person",
    "Result",
    "Truth",
    "batches",
    "block",
    "blocks",
    "check_format",
    "gather",
    "hidden_causes",
    "hospital",
    "render",
    "write",
]


@dataclass(frozen=True)
class Format:
    """How a block is made ready for the files, the folder that takes it, and whether persons have numbers for names."""

    render: Callable[[Hospital], Additions]
    folder: type[Folder] = Folder
    numbered: bool = False


FORMATS = {
    "fhir": Format(fhir.render),
    "omop": Format(omop.render, omop.OmopFolder, numbered=True),
    "meds": Format(meds.render, meds.MedsFolder, numbered=True),
    "csv": Format(tables.render),
}


def check_format(format: str) -> None:
    """Refuse a format that is not known.

    Raises
    ------
    UsageError
    """
    if format not in FORMATS:
        raise UsageError("No such format.", f"format = {format!r}", f"Choose one of: {', '.join(FORMATS)}.")


def render(hospital: Hospital, format: str) -> Additions:
    """What a block adds to the files of a format, its truth among them."""
    chosen = FORMATS[format]
    made = chosen.render(hospital)
    files = {**made.files, "truth.csv": tables.truth(_numbered(hospital) if chosen.numbered else hospital)}
    rows = {**made.rows, "truth": len(hospital.truth), "patients": len(hospital.persons)}
    return replace(made, files=files, rows=rows, dirt=Counter(dict(hospital.dirt)) + Counter(made.dirt))


def _numbered(hospital: Hospital) -> Hospital:
    return replace(
        hospital, truth=tuple(replace(run, patient_id=str(number(run.patient_id))) for run in hospital.truth)
    )


def gather(added: Iterable[Additions], folder: Path, format: str, about: Mapping[str, Any]) -> None:
    """Append block after block to the files of a folder, and say in ``simulation.json`` what is in them.

    Parameters
    ----------
    added : iterable of Additions
        In order.
    folder : Path
        Existing folder; files of the same names are replaced.
    format : str
        One of `FORMATS`.
    about : mapping
        What `simulation.json` says besides the rows of each table and the dirt of each kind.
    """
    grown = FORMATS[format].folder(folder, tables.HEADINGS)
    try:
        for one in added:
            grown.add(one)
        grown.finish()
    finally:
        grown.close()
    rows, dirt = dict(sorted(grown.rows.items())), dict(sorted(grown.dirt.items()))
    told = {"format": format, "patients": rows.pop("patients"), **about, "rows": rows, "dirt": dirt}
    (folder / "simulation.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def write(hospital: Hospital | Iterable[Hospital], folder: Path, format: str = "fhir") -> Path:
    """Write a simulated hospital, its truth as ``truth.csv`` and what there is as ``simulation.json`` beside it.

    Parameters
    ----------
    hospital : Hospital or iterable of Hospital
        What to write; of an iterable one block is in memory at a time.
    folder : Path
        Folder to write into; made if it is not there. Files of the same names are replaced.
    format : str
        ``fhir``: a FHIR R4 bulk export (NDJSON); ``omop``: CDM 5.4 in Parquet; ``meds``: MEDS 0.4; ``csv``: one long
        table ``results.csv``.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UsageError
        If the format is not known.
    OutputError
        If the folder cannot be written.
    """
    check_format(format)
    made = [hospital] if isinstance(hospital, Hospital) else hospital
    try:
        folder.mkdir(parents=True, exist_ok=True)
        gather((render(one, format) for one in made), folder, format, {})
    except OSError as error:
        remedy = "Choose a folder that can be written."
        raise OutputError("The hospital cannot be written.", error.strerror or "", remedy) from error
    return folder
