"""The stream that a benchmark sends: over loopback, from a process of its own, prebuilt datagrams at a rate."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flowfast import _core
from flowfast.commands.bench.processes import run
from flowfast.core_errors import usage_errors
from flowfast.errors import UsageError, nearest_hint

FLOWFAST = [sys.executable, "-m", "flowfast"]
COLLECT = [*FLOWFAST, "collect", "--journal", "off", "--http", "off"]
"""Without what its neighbours do not have; flags that follow may ask for it."""
_FORMATS = {"v5": "v5", "v9-19": "v9", "ipfix-25": "ipfix", "set-a": "ipfix", "minimal": "ipfix"}


@dataclass(frozen=True)
class Stream:
    """Flow Records of a template of `flowfast generate`, for some seconds. `trains`: many datagrams a system call, else one."""

    template: str
    order: str
    trains: bool
    seconds: float

    def __post_init__(self) -> None:
        """Raises UsageError for a template or an order that there is not, before anything is started."""
        if self.template not in _FORMATS:
            raise UsageError(f"unknown template `{self.template}`", nearest_hint(self.template, _FORMATS))
        with usage_errors():
            _core.plans(template=self.template, order=self.order)

    def send(self, port: int, rate: int, directory: Path) -> Mapping[str, int]:
        """Send to a port on loopback, `rate` records a second; what was sent, as `flowfast generate` counts it. Raises ProcessFailed."""
        what = ["--format", _FORMATS[self.template], "--template", self.template, "--order", self.order]
        flags = ["--rate", str(rate), "--count", str(round(rate * self.seconds)), *([] if self.trains else ["--single"])]
        sent: dict[str, int] = json.loads(run([*FLOWFAST, "generate", "--to", f"udp://127.0.0.1:{port}", *what, *flags], directory))
        return sent
