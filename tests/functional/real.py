"""Where the shared real data are, or why a test that needs them is left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def folder_of(name: str) -> Path:
    """The folder of one data set."""
    shared = Path(os.environ.get("LEUKOPENIA_SHARED", CHECKOUT.parent / "shared"))
    folder = shared / "data" / name
    if not folder.is_dir():
        pytest.skip(f"the shared data set {name} is not here (LEUKOPENIA_SHARED)")
    return folder
