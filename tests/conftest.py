"""Fixtures that all rooms share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data files; tests that need it are reported as not run where it is not set."""
    folder = os.environ.get("MANGROVE_DATA")
    if not folder:
        pytest.skip("MANGROVE_DATA is not set: see docs/how-to/real-data.md for where to get the files")
    path = Path(folder)
    assert path.is_dir(), f"MANGROVE_DATA names no folder: {folder}"
    return path
