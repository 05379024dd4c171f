"""The ledger of one sink."""

from dataclasses import dataclass

from flowfast.errors import TargetLost


@dataclass
class Account:
    """Rows of one target: `records_handed = records_written + records_failed + records_deferred + records_in_flight`.

    Rows that were dropped because the sink's queue was full were never handed to it: `records_dropped` counts them. One thread hands and
    drops, one other answers, so no counter has two writers.
    """

    target: str
    records_handed: int = 0
    records_dropped: int = 0
    records_written: int = 0
    records_failed: int = 0
    records_deferred: int = 0
    files_written: int = 0
    failing: bool = False
    last_error: BaseException | None = None

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

    def wrote(self, rows: int) -> None:
        """`rows` are where the target promises them to be."""
        self.records_written += rows
        self.failing = False

    def lost(self, rows: int, error: BaseException) -> None:
        """`rows` could not be written."""
        self.records_failed += rows
        self.fault(error)

    def fault(self, error: BaseException) -> None:
        """Something could not be written; what becomes of its rows is told later."""
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
        }
