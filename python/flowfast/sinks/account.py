"""The ledger of one sink."""

import errno
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from flowfast._core import Batch
from flowfast.errors import TargetLost

REASONS = {
    "no_space": "No space left on the device, or the quota is used up.",
    "no_permission": "Not permitted, or a file system that is read-only.",
    "no_directory": "The directory is gone, or a file stands in its place.",
    "io_error": "Any other error of the operating system.",
    "reader_left": "Nobody reads the target any more.",
    "target_lost": "The target will never take a row again, such as a single file after its first fault.",
    "fault": "A fault of the sink's own; please report it.",
}
"""Why rows failed in a target: the labels of `records_failed`."""

_ERRNO_REASONS = {
    errno.ENOSPC: "no_space",
    errno.EDQUOT: "no_space",
    errno.EACCES: "no_permission",
    errno.EPERM: "no_permission",
    errno.EROFS: "no_permission",
    errno.ENOENT: "no_directory",
    errno.ENOTDIR: "no_directory",
}


def failure_reason(error: BaseException) -> str:
    """The label in `REASONS` of what a sink raised."""
    if isinstance(error, TargetLost):
        return "reader_left" if error.reader_left else "target_lost"
    return _ERRNO_REASONS.get(error.errno or 0, "io_error") if isinstance(error, OSError) else "fault"


@dataclass
class Account:
    """Rows of one target: `records_handed = records_written + records_failed + records_deferred + records_in_flight`.

    Batches are handed one by one and answered once each, by their ids: `wrote`, `lost` or `deferred`. A second answer is a fault and counts
    nothing.

    `failed_by_reason` splits `records_failed` by the labels of `REASONS`. Rows that were dropped because the sink's queue was full were
    never handed to it: `records_dropped` counts them. One thread hands and drops, one other answers, so no counter has two writers.
    `errors` counts faults of the target, `retries` those after which the same rows were tried again.
    """

    target: str
    records_handed: int = 0
    records_dropped: int = 0
    records_written: int = 0
    records_failed: int = 0
    records_deferred: int = 0
    files_written: int = 0
    octets_written: int = 0
    failed_by_reason: Counter[str] = field(default_factory=Counter)
    errors: int = 0
    retries: int = 0
    failing: bool = False
    last_error: BaseException | None = None
    _retried: bool = False
    _in_flight: dict[int, int] = field(default_factory=dict)
    """Records of each batch that was handed and not answered."""

    @property
    def reader_left(self) -> bool:
        """Whether rows are lost only because nobody reads the target any more, which is no fault."""
        return isinstance(self.last_error, TargetLost) and self.last_error.reader_left

    @property
    def records_in_flight(self) -> int:
        """Handed, and neither durable nor lost yet: in the queue, in memory or in a file that is being written."""
        answered = self.records_written + self.records_failed + self.records_deferred  # read first: what is handed meanwhile is in flight
        return self.records_handed - answered

    @property
    def records_lost(self) -> int:
        """Rows that this target did not get: dropped before it or failed in it."""
        return self.records_dropped + self.records_failed

    @property
    def batches_in_flight(self) -> Sequence[int]:
        """Batches that have no answer yet, in the order in which they were handed."""
        return list(self._in_flight)

    def hand(self, batch: Batch) -> None:
        """A batch goes to the target, or is left to the journal in its place."""
        self._in_flight[batch.id] = batch.num_rows
        self.records_handed += batch.num_rows

    def wrote(self, batches: Iterable[int], octets: int = 0) -> None:
        """The rows of `batches`, which take so many octets there, are where the target promises them to be."""
        self.records_written += self._answer(batches)
        self.octets_written += octets
        self.failing = False

    def took(self) -> None:
        """What was retried has been taken."""
        if self._retried:
            self._retried = self.failing = False

    def lost(self, batches: Iterable[int], error: BaseException) -> None:
        """The rows of `batches` could not be written."""
        rows = self._answer(batches)
        self.records_failed += rows
        self.failed_by_reason[failure_reason(error)] += rows
        self.fault(error)

    def retrying(self, error: BaseException) -> None:
        """What could not be written is tried again: it stays in flight."""
        self.retries += 1
        self._retried = True
        self.fault(error)

    def fault(self, error: BaseException) -> None:
        """Something could not be written; what becomes of its rows is told later."""
        self.errors += 1
        self.failing = True
        self.last_error = error

    def deferred(self, batches: Iterable[int]) -> None:
        """The rows of `batches` were not written, and the journal gives them again."""
        self.records_deferred += self._answer(batches)

    def _answer(self, batches: Iterable[int]) -> int:
        """Records of batches that are in flight no more."""
        rows = 0
        for batch in batches:
            try:
                rows += self._in_flight.pop(batch)
            except KeyError:
                self.fault(RuntimeError(f"batch {batch} was answered twice"))
        return rows

    def as_dict(self) -> dict[str, int | str]:
        """The counters, under their names."""
        return {
            "target": self.target,
            "records_handed": self.records_handed,
            "records_written": self.records_written,
            "records_failed": self.records_failed,
            "records_deferred": self.records_deferred,
            "records_in_flight": self.records_in_flight,
            "records_dropped": self.records_dropped,
            "files_written": self.files_written,
            "octets_written": self.octets_written,
            "errors": self.errors,
            "retries": self.retries,
        }
