"""Simulated hospitals of any size on disk: several processes make blocks, one writes them in order, all or nothing."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any

from leukopenia import knowledge, outputs, simulate
from leukopenia.errors import OutputError, UsageError
from leukopenia.simulate import Additions, Departures

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Order:
    """What to simulate: the same order gives the same bytes, however many processes make the blocks.

    Parameters
    ----------
    patients : int
    seed : int
    format : str
        One of `simulate.FORMATS`.
    departures : Departures
        How the records depart from a world that is as the knowledge says.
    block : int
        Patients that are in memory at a time, for each process.
    """

    patients: int
    seed: int = 1
    format: str = "fhir"
    departures: Departures = simulate.EVERY
    block: int = 1000

    def about(self) -> dict[str, Any]:
        """What `simulation.json` says of it."""
        from importlib.metadata import version

        versions = {"version": version("leukopenia"), "knowledge": knowledge.version()}
        return {**versions, "seed": self.seed, "departures": asdict(self.departures)}


def cores() -> int:
    """How many processes may work at a time."""
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def write(order: Order, folder: Path, jobs: int = 0, progress: Progress = lambda stage, done, of: None) -> Path:
    """Simulate a hospital into a new folder.

    Parameters
    ----------
    order : Order
        What to simulate.
    folder : Path
        A folder that is not there yet, or is empty. It appears when all is written.
    jobs : int
        Processes that make blocks; 0: as many as there are cores.
    progress : callable
        Told the stage, the patients written and all patients.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UsageError
        No patients, no such format, or jobs below 0.
    OutputError
        The folder is not empty, the disk is full, or the place cannot be written to.
    """
    simulate.check_format(order.format)
    if jobs < 0:
        raise UsageError("The number of jobs is below 0.", f"jobs = {jobs}", "Give 1 or more, or leave it out.")
    batches = simulate.batches(order.patients, order.block)
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"{folder} is not empty.", "", "Choose a new folder.")
    with outputs.replaced(folder) as made:
        simulate.gather(_blocks(order, batches, jobs or cores(), progress), made, order.format, order.about())
    return folder


def _blocks(order: Order, batches: list[range], jobs: int, progress: Progress) -> Iterator[Additions]:
    made = _here(order, batches) if min(jobs, len(batches)) == 1 else _apart(order, batches, jobs)
    for members, block in zip(batches, made, strict=True):
        yield block
        progress("simulate", members.stop - 1, order.patients)


def _here(order: Order, batches: list[range]) -> Iterator[Additions]:
    for members in batches:
        yield _made(order, members)


def _apart(order: Order, batches: list[range], jobs: int) -> Iterator[Additions]:
    """Blocks from other processes, in order; no more than two for each of them are under way."""
    waiting: deque[Future[Additions]] = deque()
    # A fork would copy the threads of the table engines in whatever state they are.
    context = get_context("spawn")
    tied, lifeline = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(jobs, context, _tie, (tied,))
    try:
        for members in batches:
            waiting.append(pool.submit(_made, order, members))
            if len(waiting) >= 2 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException:
        lifeline.close()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        lifeline.close()


def _tie(lifeline: Connection) -> None:
    """Only the first process answers an interrupt from the keyboard; the others end with it, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    lifeline.poll(None)
    os._exit(1)


def _made(order: Order, members: range) -> Additions:
    return simulate.render(simulate.block(members, order.seed, knowledge.load(), order.departures), order.format)
