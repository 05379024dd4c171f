"""`-`: NDJSON on standard output. What an exporter sent cannot steer a terminal it is shown on."""

import os
import sys

from flowfast._core import Batch
from flowfast.errors import TargetError, TargetLost
from flowfast.escape import printable_json
from flowfast.sinks.account import Account


class StandardOutput:
    """Writes to the file descriptor itself: a row is written when the kernel has it, and no buffer is left to fail at exit."""

    def __init__(self, account: Account) -> None:
        """Raises TargetError if there is no standard output."""
        if sys.stdout is None:  # closed by whoever started flowfast
            raise TargetError("cannot write to -: standard output is closed", "redirect it to a file or a pipe")
        self._account = account
        self._descriptor = sys.stdout.fileno()
        self._is_terminal = sys.stdout.isatty()

    def write(self, batch: Batch) -> None:
        """Write a batch; TargetLost if nobody reads any more."""
        octets = batch.to_ndjson()
        rest = memoryview(printable_json(octets.decode()).encode() if self._is_terminal else octets)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError as error:
            raise TargetLost("nobody reads standard output any more", reader_left=True) from error
        self._account.wrote([batch.id], len(octets))

    def end_interval(self, worker: int, interval_start: int) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""
