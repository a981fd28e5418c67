"""One engine of each kind for the whole session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from leukopenia.engine import Engine, open_engine
from leukopenia.errors import MissingPartError


@pytest.fixture(scope="session")
def duckdb() -> Iterator[Engine]:
    engine = open_engine("duckdb", threads=2)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def spark() -> Iterator[Engine]:
    """A local Spark session; absent parts skip the test, but not where CI must have them."""
    try:
        engine = open_engine("spark")
    except (MissingPartError, RuntimeError, OSError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"Spark cannot start: {type(error).__name__}")
    yield engine
    engine.close()
