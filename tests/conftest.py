"""Fixtures of all tests."""

from pathlib import Path

import pytest

from oracle.capture import SHARED_CAPTURES


@pytest.fixture(scope="session")
def shared_captures() -> Path:
    """Captures of other projects; tests of them are skipped where they are not."""
    if not SHARED_CAPTURES.is_dir():
        pytest.skip("the captures of other projects are not beside this repository (../shared/captures)")
    return SHARED_CAPTURES
