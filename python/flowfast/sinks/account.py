"""The ledger of one sink."""

import errno
from collections import Counter
from dataclasses import dataclass, field

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

    def wrote(self, rows: int, octets: int = 0) -> None:
        """`rows`, which take so many octets there, are where the target promises them to be."""
        self.records_written += rows
        self.octets_written += octets
        self.failing = False

    def took(self) -> None:
        """What was retried has been taken."""
        if self._retried:
            self._retried = self.failing = False

    def lost(self, rows: int, error: BaseException) -> None:
        """`rows` could not be written."""
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

    def deferred(self, rows: int) -> None:
        """`rows` were not written, and the journal gives them again."""
        self.records_deferred += rows

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
