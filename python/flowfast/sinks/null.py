"""`null:`: counts rows and forgets them."""

from flowfast._core import Batch
from flowfast.sinks.account import Account


class NullSink:
    """Keeps every promise, for there is none."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def write(self, batch: Batch) -> None:
        """Count."""
        self._account.wrote([batch.id])

    def end_interval(self, worker: int, interval_start: int) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""
