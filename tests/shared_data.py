"""Where the real market data is, for tests that use it where it is present."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared_data(*parts: str) -> Path:
    """Return the path below the shared data folder; skip the test where it is absent."""
    base = Path(os.environ.get("MMATS_SHARED_DATA", ROOT.parent / "shared" / "data"))
    path = base.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real market data not present: {path}")
    return path
