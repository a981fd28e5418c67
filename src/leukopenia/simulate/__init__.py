"""A simulated hospital: persons with known courses, and records as dirty as real ones.

Nothing here is a clinical statement. Courses, depths, ranges and shares are invented so that the rest of the
package has something to read, and something to be held against: the truth stands beside the records.
"""

from __future__ import annotations

from pathlib import Path

from leukopenia.errors import OutputError, UsageError
from leukopenia.simulate.fhir import write_fhir
from leukopenia.simulate.hospital import hospital
from leukopenia.simulate.records import Hospital, Person, Result, Truth
from leukopenia.simulate.tables import write_results, write_truth

__all__ = ["Hospital", "Person", "Result", "Truth", "hospital", "write"]

FORMATS = ("fhir", "csv")


def write(hospital: Hospital, folder: Path, format: str = "fhir") -> Path:
    """Write a simulated hospital, and its truth as ``truth.csv`` beside it.

    Parameters
    ----------
    hospital : Hospital
        What to write.
    folder : Path
        Folder to write into; made if it is not there. Files of the same names are replaced.
    format : str
        ``fhir``: a FHIR R4 bulk export (NDJSON); ``csv``: one long table ``results.csv`` with the columns
        patient, time, test, value, unit, low, high.

    Returns
    -------
    Path
        What to read: the folder of the export, or the table.

    Raises
    ------
    UsageError
        If the format is not known.
    OutputError
        If the folder cannot be written.
    """
    if format not in FORMATS:
        raise UsageError("No such format.", f"format = {format!r}", f"Choose one of: {', '.join(FORMATS)}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_truth(hospital, folder / "truth.csv")
        if format == "fhir":
            write_fhir(hospital, folder)
            return folder
        write_results(hospital, folder / "results.csv")
        return folder / "results.csv"
    except OSError as error:
        remedy = "Choose a folder that can be written."
        raise OutputError("The hospital cannot be written.", error.strerror or "", remedy) from error
