"""How fast FHIR bulk Observations become staging tables: MB of NDJSON per CPU-second.

    python benchmarks/fhir_ingest.py [LINES] [--keep FOLDER]

Two files are written and read, each in a fresh process: `clean`, laboratory Observations in the shape of a
US Core server (1.4 kB a line), and `dirty`, in which some 8 % of the lines are not like the others.
CPU-seconds are those of the process and its children (getrusage), start-up (about half a second) included.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TESTS = (
    ("6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*3/uL", 4.5, 11.0, "WBC"),
    ("751-8", "Neutrophils [#/volume] in Blood by Automated count", "10*3/uL", 1.8, 7.7, "NEUTABS"),
    ("777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL", 150.0, 400.0, "PLT"),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 12.0, 17.5, "HGB"),
    ("731-0", "Lymphocytes [#/volume] in Blood by Automated count", "10*3/uL", 1.0, 4.8, "LYMPHABS"),
)
PROFILE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"
UCUM = "http://unitsofmeasure.org"
V3 = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"

Resource = dict[str, Any]


def _quantity(value: float, unit: str) -> Resource:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def observation(number: int, rng: random.Random) -> Resource:
    """One laboratory result as a US Core server would export it."""
    code, display, unit, low, high, local = TESTS[number % len(TESTS)]
    value = round(rng.uniform(0.5 * low, 1.3 * high), 2)
    flag = "L" if value < low else "H" if value > high else "N"
    day = f"20{10 + number % 15}-{1 + number % 12:02}-{1 + number % 28:02}"
    when = f"{day}T{number % 24:02}:{number % 60:02}:00-05:00"
    codings = [
        {"system": "urn:oid:1.2.840.114350.1.13.0.1.7.5.737384", "code": local, "display": local},
        {"system": "http://loinc.org", "code": code, "display": display},
    ]
    return {
        "resourceType": "Observation",
        "id": f"{rng.getrandbits(128):032x}",
        "meta": {"versionId": "1", "lastUpdated": "2024-05-01T03:00:00.000Z", "profile": [PROFILE]},
        "identifier": [{"system": "urn:oid:1.2.840.114350.1.13.0.1.7.2.798268", "value": str(number)}],
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
                                  "code": "laboratory", "display": "Laboratory"}], "text": "Laboratory"}],
        "code": {"coding": codings, "text": display},
        "subject": {"reference": f"Patient/p{number // 50}"},
        "encounter": {"reference": f"Encounter/e{number // 10}"},
        "effectiveDateTime": when,
        "issued": when,
        "valueQuantity": _quantity(value, unit),
        "interpretation": [{"coding": [{"system": V3, "code": flag, "display": flag}], "text": flag}],
        "referenceRange": [
            {"low": _quantity(low, unit), "high": _quantity(high, unit), "text": f"{low} - {high}"}
        ],
    }  # fmt: skip


def _text_value(item: Resource, rng: random.Random) -> None:
    del item["valueQuantity"]
    item["valueString"] = rng.choice(["<0.1", "positive", "4.1", "see comment"])


def _comparator(item: Resource, rng: random.Random) -> None:
    item["valueQuantity"]["comparator"] = rng.choice(["<", "<=", ">", ">="])


def _panel(item: Resource, rng: random.Random) -> None:
    item["component"] = [
        {"code": item["code"], "valueQuantity": item.pop("valueQuantity")},
        {"code": {"text": "Bands"}, "valueQuantity": _quantity(round(rng.uniform(0, 9), 1), "%")},
    ]


def _absent(item: Resource, rng: random.Random) -> None:
    del item["valueQuantity"]
    item["dataAbsentReason"] = {"coding": [{"code": "unknown", "display": "Unknown"}]}


def _specimen(item: Resource, rng: random.Random) -> None:
    item["contained"] = [{"resourceType": "Specimen", "id": "s", "type": {"text": rng.choice(["Blood", "Urine"])}}]
    item["specimen"] = {"reference": "#s"}


def _period(item: Resource, rng: random.Random) -> None:
    item["effectivePeriod"] = {"start": item.pop("effectiveDateTime")}


def _partial_date(item: Resource, rng: random.Random) -> None:
    item["effectiveDateTime"] = item["effectiveDateTime"][: rng.choice([4, 7, 10])]


def _text_code(item: Resource, rng: random.Random) -> None:
    item["code"] = {"text": "White cell count (local)"}


def _typed_as_text(item: Resource, rng: random.Random) -> None:
    item["valueQuantity"]["value"] = rng.choice(["4.1", "<0.1", "4,1"])


def _outcome(item: Resource, rng: random.Random) -> None:
    item.clear()
    item.update({"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "not-found"}]})


DIRT: tuple[tuple[float, Callable[[Resource, random.Random], None]], ...] = (
    (0.02, _text_value),
    (0.01, _comparator),
    (0.02, _panel),
    (0.01, _absent),
    (0.01, _specimen),
    (0.01, _period),
    (0.005, _partial_date),
    (0.005, _text_code),
    (0.0005, _typed_as_text),
    (0.0005, _outcome),
)


def observations(lines: int, dirty: bool = False, seed: int = 1) -> Iterator[str]:
    """NDJSON lines; dirty: in the proportions of DIRT some are made unlike the others."""
    rng = random.Random(seed)
    for number in range(lines):
        item = observation(number, rng)
        draw = rng.random() if dirty else 1.0
        for share, spoil in DIRT:
            if draw < share:
                spoil(item, rng)
                break
            draw -= share
        yield json.dumps(item, separators=(",", ":")) + "\n"


def _measure(path: Path) -> None:
    """In a fresh process: stage one file and print what it cost."""
    from leukopenia.read import fhir

    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        staged = fhir.stage(path, Path(out), "benchmark")
        wall = time.perf_counter() - start
        size = sum(part.stat().st_size for parts in staged.tables.values() for part in parts)
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(each.ru_utime + each.ru_stime for each in usage)
    megabytes = path.stat().st_size / 1e6
    print(
        f"{path.stem:6} {megabytes:8.1f} MB  {wall:6.2f} s  {cpu:6.2f} CPU-s "
        f"{megabytes / cpu:6.0f} MB/CPU-s  peak {usage[0].ru_maxrss / 1e6:.2f} GB  out {size / 1e6:.1f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="write the files here and leave them")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        _measure(arguments.measure)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        for name in ("clean", "dirty"):
            path = folder / f"{name}.ndjson"
            with path.open("w", encoding="utf-8") as out:
                out.writelines(observations(arguments.lines, dirty=name == "dirty"))
            subprocess.run([sys.executable, __file__, "--measure", str(path)], check=True)


if __name__ == "__main__":
    main()
