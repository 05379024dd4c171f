"""Fixtures of all tests."""

import os
import shutil
from pathlib import Path

import pytest

from oracle.capture import SHARED_CAPTURES


@pytest.fixture(scope="session")
def shared_captures() -> Path:
    """Captures of other projects; tests of them are skipped where they are not."""
    if not SHARED_CAPTURES.is_dir():
        pytest.skip("the captures of other projects are not beside this repository (../shared/captures)")
    return SHARED_CAPTURES


def pytest_sessionstart(session: pytest.Session) -> None:
    """Tests that compare with an oracle are skipped where it is not installed; in CI that is a failure, not a skip."""
    missing = [oracle for oracle in ("tshark", "nfcapd", "nfdump") if not shutil.which(oracle)]
    if os.environ.get("CI") and missing:
        raise pytest.UsageError(f"not installed: {', '.join(missing)}; .ci/run installs what the tests compare with")
