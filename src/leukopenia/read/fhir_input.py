"""Files of FHIR on disk: what they look like, and their bytes line by line, with guards."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import msgspec

from leukopenia.errors import SourceError

LINE_LIMIT = 64 << 20
DOCUMENT_LIMIT = 1 << 30
HEAD = 1 << 16
BUFFER = 1 << 20

RATIO_LIMIT = 200
"""Bulk exports shrink ten- to fortyfold; what grows more than this, past RATIO_FROM bytes, is a bomb."""
RATIO_FROM = 1 << 30

LINES = (".ndjson", ".jsonl")
SUFFIXES = (".json", *LINES)
BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"


def suffix(path: Path) -> str:
    """`.json`, `.ndjson` or `.jsonl`, without regard to case and `.gz`; else empty."""
    name = path.name.lower().removesuffix(".gz")
    return next((each for each in SUFFIXES if name.endswith(each)), "")


def head(path: Path) -> bytes:
    """The beginning of a file, decompressed; as much of it as there is where the file is damaged."""
    with path.open("rb") as raw:
        start = raw.read(HEAD)
    if start.startswith(_GZIP):
        try:
            start = zlib.decompressobj(31).decompress(start, HEAD)
        except zlib.error:
            return b""
    return start.removeprefix(BOM).lstrip()


def looks_like_fhir(start: bytes) -> bool:
    return start[:1] in (b"{", b"[") and b'"resourceType"' in start


def has_lines(path: Path, start: bytes) -> bool:
    """Whether a file holds one record a line (NDJSON), or is one JSON document."""
    first, _, rest = start.partition(b"\n")
    if suffix(path) in LINES:
        return first.strip() not in (b"{", b"[")
    return rest.lstrip()[:1] == b"{" and _is_json(first)


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError):
        return False
    return True


class Input:
    """A file of FHIR, plain or gzip (told by its first bytes, not its name)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._raw = io.BufferedReader(io.FileIO(path), BUFFER)
        self.compressed = self._raw.read(2) == _GZIP
        self._raw.seek(0)
        unpacked = cast("io.RawIOBase", gzip.GzipFile(fileobj=self._raw)) if self.compressed else None
        self.stream = io.BufferedReader(unpacked, BUFFER) if unpacked else self._raw
        if self.stream.peek(len(BOM)).startswith(BOM):
            self.stream.read(len(BOM))

    def close(self) -> None:
        self._raw.close()

    def done(self) -> int:
        """Bytes of the file read so far."""
        return self._raw.tell()

    def check_ratio(self) -> None:
        """Stop at a decompression bomb."""
        size = self.stream.tell() if self.compressed else 0
        if size > RATIO_FROM and size > RATIO_LIMIT * self.done():
            raise SourceError(
                f"The file {self.path} was not read to its end.",
                f"It grows more than {RATIO_LIMIT}-fold when decompressed, which no export of records does.",
                "Make sure where it comes from; decompress it yourself if it is sound.",
            )

    def lines(self) -> Iterator[tuple[int, bytes | None]]:
        """Numbered lines, blank ones left out; None for a line longer than LINE_LIMIT."""
        number = 0
        while line := self.stream.readline(LINE_LIMIT + 1):
            number += 1
            if len(line) > LINE_LIMIT:
                self._skip(line)
                yield number, None
            elif line and not line.isspace():
                yield number, line

    def _skip(self, line: bytes) -> None:
        while line and not line.endswith(b"\n"):
            line = self.stream.readline(LINE_LIMIT)
            self.check_ratio()

    def document(self) -> bytes:
        """The whole file, which is one JSON document."""
        parts = []
        size = 0
        while part := self.stream.read(LINE_LIMIT):
            parts.append(part)
            size += len(part)
            self.check_ratio()
            if size > DOCUMENT_LIMIT:
                raise SourceError(
                    f"The file {self.path} is too large for one JSON document.",
                    f"It holds more than {DOCUMENT_LIMIT >> 20} MB; a document has to be read as a whole.",
                    "Export it as NDJSON, one resource a line.",
                )
        return b"".join(parts)


@contextmanager
def opened(path: Path) -> Iterator[Input]:
    """Open a file; whatever keeps it from being read to its end becomes a SourceError.

    Raises
    ------
    SourceError
        The file cannot be opened, is a damaged or truncated gzip, or a decompression bomb.
    """
    try:
        source = Input(path)
        try:
            yield source
        finally:
            source.close()
    except EOFError:
        raise SourceError(
            f"The file {path} is truncated.",
            "The compressed data end before the end of the file is marked.",
            "Copy or download the file again.",
        ) from None
    except (gzip.BadGzipFile, zlib.error):
        raise SourceError(
            f"The file {path} is damaged.", "It is not a sound gzip file.", "Copy or download the file again."
        ) from None
    except OSError as error:
        raise SourceError(
            f"The file {path} cannot be read.",
            error.strerror or type(error).__name__,
            "Check path and permissions.",
        ) from None
