"""Being told to stop."""

import signal
from types import FrameType
from typing import Any, Self


class StopSignals:
    """Counts SIGINT (Ctrl-C), SIGTERM and, unless it is ignored as under nohup, SIGHUP, instead of dying of them."""

    def __init__(self) -> None:
        self.count = 0
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:
                self._previous[each] = signal.signal(each, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._previous.items():
            signal.signal(each, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
