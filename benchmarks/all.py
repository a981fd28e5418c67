"""Every benchmark, one after the other: cohorts, FHIR ingest, one patient, a million episodes explained, the worklist of
100,000 persons, indirect reference limits, limits by age, forecasts, simulated hospitals, calibration of causes.

python benchmarks/all.py
"""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
RUNS = (
    ("cohort.py", "10_000_000", "--repeat", "3"),
    ("cohort.py", "100_000_000", "--repeat", "1"),
    ("cohort.py", "100_000_000", "--repeat", "1", "--memory-limit", "500MB"),
    ("fhir_ingest.py",),
    ("one_patient.py",),
    ("explain.py", "500_000"),
    ("monitor.py", "--persons", "100_000", "--drugs", "20"),
    ("reference_strata.py",),
    ("reference.py", "--suites", "ribench", "stress", "held_out"),
    ("reference_by_age.py",),
    ("forecast.py",),
    ("forecast_calibration.py",),
    ("forecast_skill.py",),
    ("simulate.py", "--patients", "20_000", "200_000", "--copies"),
    ("calibration.py", "--persons", "11300", "--seed", "2001", "--settings", "all on", "all off"),
)


def main() -> None:
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "polars", "narwhals"))
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}, {packages}", flush=True)
    for script, *arguments in RUNS:
        print(f"\n{script} {' '.join(arguments)}", flush=True)
        subprocess.run([sys.executable, str(HERE / script), *arguments], check=True)


if __name__ == "__main__":
    main()
