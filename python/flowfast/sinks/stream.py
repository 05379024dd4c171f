"""`-`: NDJSON on standard output."""

import os
import sys

from flowfast._core import Batch
from flowfast.errors import TargetLost
from flowfast.sinks.account import Account


class StandardOutput:
    """Writes to the file descriptor itself: a row is written when the kernel has it, and no buffer is left to fail at exit."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._descriptor = sys.stdout.fileno()

    def write(self, batch: Batch) -> None:
        """Write a batch; TargetLost if nobody reads any more."""
        rest = memoryview(batch.to_ndjson())
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError as error:
            raise TargetLost("nobody reads standard output any more", reader_left=True) from error
        self._account.wrote(batch.num_rows)

    def end_interval(self, worker: int, interval_start: int) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""
