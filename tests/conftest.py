"""Puts this folder on the path, so that tests can import the plain twins, and finds the shared real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared real data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("LEUKOPENIA_SHARED", "") or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip("no shared data: set LEUKOPENIA_SHARED or put a folder 'shared' beside the checkout")
    return folder
