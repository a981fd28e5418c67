"""Results on disk: all or nothing, the same bytes for the same inputs; nothing deleted that was not written here."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leukopenia.errors import OutputError

MANIFEST = "manifest.json"
_EXCHANGE = 2
_HERE = -100


def check_target(folder: Path) -> None:
    """Refuse a folder that is not empty and not an earlier result, or that holds files of somebody else.

    Raises
    ------
    OutputError
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file.", "", "Choose a folder.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MANIFEST).is_file():
        raise OutputError(
            f"{folder} is not empty and is not an earlier result.",
            "",
            "Choose another folder, or empty this one.",
        )
    strange = sorted(set(_inside(folder)) - set(written(folder)) - {MANIFEST})
    if strange:
        raise OutputError(
            f"{folder} holds files that were not written here.",
            f"Seen: {', '.join(strange[:5])}.",
            "Move them, or choose another folder: nothing of yours is deleted.",
        )


def written(folder: Path) -> list[str]:
    """The files an earlier result lists in its manifest."""
    try:
        listed = json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("files", {})
    except (OSError, ValueError):
        return []
    return list(listed)


def _inside(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix()


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of `folder` at the end, at once and whole.

    A kill at any moment leaves the old result or the new one; what an earlier kill left beside it is cleared.

    Raises
    ------
    OutputError
        The disk is full, or the place cannot be written to.
    """
    check_target(folder)
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.making-{os.getpid()}-", dir=folder.parent))
    try:
        with disk_errors(folder):
            yield made
            for path in made.rglob("*"):
                if path.is_file():
                    _sync(path)
            made.chmod(0o755)
            _take_place(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Errors of the disk as errors of the house."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OutputError(f"The disk is full: {target} was not written.", "", "Make room and run again.") from None
        raise OutputError(
            f"{target} cannot be written.", str(error.strerror), "Check the path and its permissions."
        ) from None
    except Exception as error:
        # The engines have errors of their own, in which the one of the system is a part of the text.
        engine = type(error).__module__.startswith(("duckdb", "_duckdb", "polars"))
        if engine and os.strerror(errno.ENOSPC) in str(error):
            raise OutputError(f"The disk is full: {target} was not written.", "", "Make room and run again.") from None
        if engine and os.strerror(errno.EFBIG) in str(error):
            raise OutputError(f"{target} cannot be written.", os.strerror(errno.EFBIG), "Raise the limit.") from None
        raise


def clear_leftovers(folder: Path) -> None:
    """Remove what killed runs left beside the folder; a run that is still alive keeps its own."""
    for left in folder.parent.glob(f".{folder.name}.making-*"):
        if _alive(left.name.split(".making-")[-1].split("-")[0]):
            continue
        shutil.rmtree(left, ignore_errors=True)


def _alive(pid: str) -> bool:
    return pid.isdigit() and Path(f"/proc/{pid}").exists()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take_place(made: Path, folder: Path) -> None:
    if not folder.exists():
        made.rename(folder)
    elif not any(folder.iterdir()):
        folder.rmdir()
        made.rename(folder)
    elif not _exchange(made, folder):
        aside = made.with_name(f"{made.name}.old")
        folder.rename(aside)
        made.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step (Linux); elsewhere two renames must do."""
    if not sys.platform.startswith("linux"):
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    return bool(call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A file to write into, which takes the place of `path` at the end, or is removed.

    Raises
    ------
    OutputError
        The disk is full, or the place cannot be written to.
    """
    made = path.with_name(f".{path.name}.making")
    try:
        with disk_errors(path):
            yield made
            _sync(made)
            made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, all or nothing."""
    with beside(path) as made:
        made.write_text(text, encoding="utf-8")


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def inputs(files: Iterable[Path], progress: Callable[[int], None] = lambda done: None) -> list[dict[str, Any]]:
    """Name, size and hash of every input file."""
    rows = []
    for path in files:
        if path.is_file():
            rows.append({"file": path.name, "bytes": path.stat().st_size, "sha256": digest(path)})
            progress(path.stat().st_size)
    return rows
