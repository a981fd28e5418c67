"""Puts this folder on the path, so that tests can import the plain twins; finds shared real data and scripts."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared real data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("LEUKOPENIA_SHARED", "") or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip("no shared data: set LEUKOPENIA_SHARED or put a folder 'shared' beside the checkout")
    return folder


@pytest.fixture(scope="session")
def script_at() -> Callable[[Path], ModuleType]:
    """Load a script that belongs to no package, as those of docs and benchmarks."""

    def load(path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # Dataclasses look their module up by name while it is being loaded.
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load
