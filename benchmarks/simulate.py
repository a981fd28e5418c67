"""Simulated hospitals on disk: patients per second, bytes and peak memory of each format.

    python benchmarks/simulate.py --patients 5_000 20_000 --jobs 2
    python benchmarks/simulate.py --patients 20_000 200_000 --copies

Each run is a process of its own. Peak memory is that of the process that writes and of the largest one that makes
patients. With `--copies` one block of a thousand patients is made once and written again and again, which shows what
the writing alone costs, and that its memory does not grow. CPU-seconds count; wall times depend on what else the
machine does.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import repeat
from pathlib import Path

from leukopenia import knowledge, simulate, simulating

BLOCK = 1000


def number(text: str) -> int:
    return int(text.replace("_", ""))


def write(format: str, patients: int, jobs: int, folder: Path) -> None:
    simulating.write(simulating.Order(patients, format=format), folder, jobs)


def write_copies(format: str, patients: int, folder: Path) -> None:
    folder.mkdir()
    block = simulate.render(simulate.block(range(1, BLOCK + 1), 1, knowledge.load()), format)
    started.append((time.perf_counter(), cpu()))
    simulate.gather(repeat(block, patients // BLOCK), folder, format, {})


started: list[tuple[float, float]] = []
"""When the part that counts began: wall clock and CPU-seconds."""


def cpu() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def here(args: argparse.Namespace) -> dict[str, float]:
    """One run in this process."""
    started.append((time.perf_counter(), cpu()))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "hospital"
        if args.copies:
            write_copies(args.format, args.patients[0], folder)
        else:
            write(args.format, args.patients[0], args.jobs, folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    wall, used = time.perf_counter() - started[-1][0], cpu() - started[-1][1]
    peaks = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return dict(zip(("wall", "cpu", "size", "writer", "maker"), (wall, used, size / 1e6, *peaks), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=number, nargs="+", default=[5_000, 20_000])
    parser.add_argument("--formats", nargs="+", default=list(simulate.FORMATS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--copies", action="store_true", help="write one block again and again")
    parser.add_argument("--format", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.format:
        print(json.dumps(here(args)))
        return
    print(
        "| format | patients | CPU-seconds | patients per CPU-second | wall | MB on disk | peak MB, writer | peak MB, maker |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for format in args.formats:
        for patients in args.patients:
            command = [
                sys.executable,
                __file__,
                "--format",
                format,
                "--patients",
                str(patients),
                "--jobs",
                str(args.jobs),
            ]
            done = subprocess.run([*command, *["--copies"] * args.copies], capture_output=True, text=True, check=True)
            found = json.loads(done.stdout)
            print(
                f"| {format} | {patients:,} | {found['cpu']:.1f} | {patients / found['cpu']:,.0f} | {found['wall']:.0f} s "
                f"| {found['size']:,.0f} | {found['writer']:,.0f} | {found['maker']:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
