"""`flowfast check-config`: the configuration that `collect` would run with."""

import os
from pathlib import Path

from flowfast.commands.collect import check
from flowfast.config import dump as dump_settings
from flowfast.config import load


def run(file: Path | None, *, dump: bool) -> int:
    """Check file and environment; print the settings in effect, or one line. Returns the exit code."""
    settings = load({}, file, os.environ)
    check(settings)
    print(dump_settings(settings) if dump else f"{file or 'no configuration file'}: in order")
    return 0
