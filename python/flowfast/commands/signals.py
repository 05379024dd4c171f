"""Being told to stop, to reload, to rotate."""

import errno
import os
import signal
import sys
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


class ServiceSignals(StopSignals):
    """As services have them: SIGHUP asks for a reload, unless it says that the terminal has gone, and SIGUSR1 for a rotation."""

    def __init__(self) -> None:
        super().__init__()
        self._reload = self._rotate = False

    def __enter__(self) -> Self:
        super().__enter__()
        for number, handler in ((signal.SIGHUP, self._hang_up), (signal.SIGUSR1, self._user_1)):
            previous = signal.signal(number, handler)
            self._previous.setdefault(number, previous)
        return self

    def take_reload(self) -> bool:
        """Whether a reload was asked for since the last call."""
        asked, self._reload = self._reload, False
        return asked

    def take_rotation(self) -> bool:
        """Whether a rotation was asked for since the last call."""
        asked, self._rotate = self._rotate, False
        return asked

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        if _terminal_has_gone():
            self.count += 1
        else:
            self._reload = True

    def _user_1(self, _number: int, _frame: FrameType | None) -> None:
        self._rotate = True


def _terminal_has_gone() -> bool:
    """Whether standard error is a terminal that was hung up: then SIGHUP means what it first meant."""
    try:
        os.tcgetpgrp(sys.stderr.fileno())
    except OSError as error:
        return error.errno == errno.EIO  # of anything but a terminal: ENOTTY
    return False
