"""What the tests of the command line share: small sources of every format, and the command in a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import polars as pl

from leukopenia import contracts

ROOT = Path(__file__).resolve().parents[2]

LONG = """\
patient,time,test,value,unit,low,high,sex,birth
1,2024-01-01 08:00,WBC,3.0,K/uL,4.0,11.0,F,1980-05-01
1,2024-01-01 08:00,ANC,0.4,K/uL,1.5,7.5,F,1980-05-01
1,2024-01-05 08:00,ANC,2.4,K/uL,1.5,7.5,F,1980-05-01
1,2024-01-08 08:00,ANC,2.6,K/uL,1.5,7.5,F,1980-05-01
2,2024-01-02 08:00,WBC,<0.1,K/uL,4.0,11.0,M,1950-05-01
3,2024-01-03 08:00,WBC,UNABLE TO REPORT,K/uL,4.0,11.0,M,1950-05-01
"""
WIDE = """\
MRN,Drawn,WBC (K/uL),ANC (cells/uL),Hemoglobin (g/dL)
A1,2024-05-01 08:15,2.9,450,11.2
A1,2024-05-08 08:15,,1900,
"""
_MEDS = [
    (7, None, "GENDER//F", None),
    (7, datetime(1950, 1, 1), "MEDS_BIRTH", None),
    (7, datetime(2020, 1, 1, 8), "LAB//51301//K/uL", 2.1),
    (7, datetime(2020, 1, 1, 8), "LAB//51256//%", 20.0),
    (7, datetime(2020, 1, 1, 9), "MEDICATION//Clozapine//Administered", None),
]
_OMOP = {
    "person": "person_id,gender_concept_id,year_of_birth\n11,8532,1950\n12,8507,1960\n",
    "measurement": "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_datetime,"
    "value_as_number,unit_concept_id,range_low\n"
    "1,11,3000905,2020-01-01,2020-01-01 08:30:00,3.2,8848,4.0\n"
    "2,11,3013650,2020-01-01,2020-01-01 08:30:00,0.9,8848,1.5\n",
    "drug_exposure": "drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,"
    "drug_exposure_end_date,drug_source_value\n1,11,0,2019-12-20,2020-01-02,clozapine 100 mg\n",
}


def _observation(name: str, code: str, value: float, patient: str) -> str:
    return json.dumps(
        {
            "resourceType": "Observation",
            "id": name,
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": "2024-03-04T08:30:00+01:00",
            "valueQuantity": {"value": value, "unit": "10*3/uL"},
            "referenceRange": [{"low": {"value": 1.5}}],
        }
    )


def long(folder: Path) -> Path:
    return text(folder / "labs.csv", LONG)


def wide(folder: Path) -> Path:
    return text(folder / "wide.csv", WIDE)


def fhir(folder: Path) -> Path:
    lines = [_observation("a", "751-8", 0.4, "p1"), _observation("b", "6690-2", 3.1, "p1")]
    text(folder / "export" / "Observation.ndjson", "\n".join(lines) + "\n")
    person = json.dumps({"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1980-05-01"})
    text(folder / "export" / "Patient.ndjson", person + "\n")
    return folder / "export"


def meds(folder: Path) -> Path:
    path = folder / "data" / "0.parquet"
    path.parent.mkdir(parents=True)
    columns = ["subject_id", "time", "code", "numeric_value"]
    events = pl.DataFrame(_MEDS, schema=columns, orient="row")
    events.with_columns(pl.col("numeric_value").cast(pl.Float32)).write_parquet(path)
    return path.parent


def omop(folder: Path, *left_out: str) -> Path:
    for name, rows in _OMOP.items():
        if name not in left_out:
            text(folder / "cdm" / f"{name}.csv", rows)
    return folder / "cdm"


SOURCES = {"long": long, "wide": wide, "fhir": fhir, "meds": meds, "omop": omop}


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def environment(**more: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONWARNINGS": "error::DeprecationWarning:leukopenia",
        **more,
    }


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "leukopenia", *map(str, arguments)]


def leukopenia(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        command(*arguments), env=environment(**more), capture_output=True, text=True, timeout=300, check=False
    )


def succeeds(*arguments: str | Path) -> str:
    """Standard output of a run that must succeed and say nothing on standard error."""
    done = leukopenia(*arguments)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def fails(code: int, *arguments: str | Path, **more: str) -> str:
    """Standard error of a run that must fail with this exit code, as a message and never as a traceback."""
    done = leukopenia(*arguments, **more)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
    return done.stderr


def table(result: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(result / f"{name}.parquet")


def meets_its_contract(result: Path, name: str) -> None:
    """Columns, types, nulls and key of a written table are those of its contract."""
    frame, contract = table(result, name), contracts.TABLES[name]
    assert frame.columns == contract.names
    for column in contract.columns:
        assert str(frame[column.name].dtype) in column.type.split("|"), (name, column.name)
        if not column.nullable:
            assert frame[column.name].null_count() == 0, (name, column.name)
    if contract.key:
        assert frame.select(contract.key).is_unique().all(), name


def whole(result: Path) -> dict[str, object]:
    """The manifest of a result, after a check that it lists every file and size, and no other is there."""
    manifest: dict[str, object] = json.loads((result / "manifest.json").read_text(encoding="utf-8"))
    files = {path.relative_to(result).as_posix(): path.stat().st_size for path in result.rglob("*") if path.is_file()}
    files.pop("manifest.json")
    assert files == manifest["files"]
    return manifest
