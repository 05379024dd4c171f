"""What a target did with the records handed to it, as rows of the ledger."""

import pyarrow as pa

from flowfast.sinks.account import Account

_Key = tuple[str, str | None, str | None]


class Answers:
    """Watches an account, so that the sum over all rows that were written is the account.

    At any moment `records_handed = records_written + records_failed + records_deferred + records_in_flight`.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._told: dict[_Key, int] = {}
        self._now: dict[_Key, int] = {}

    def rows(self, schema: pa.Schema, minute: pa.Scalar) -> pa.RecordBatch:
        """What has come since `told` was last called, as rows of the ledger's schema and of this minute."""
        self._now = self._counts()
        news = {key: count - self._told.get(key, 0) for key, count in self._now.items()}
        rows = [
            {"minute": minute, "target": self._account.target, "counter": counter, "reason": reason, "label": label, "count": count}
            for (counter, reason, label), count in news.items()
            if count
        ]
        return pa.RecordBatch.from_pylist(rows, schema=schema)

    def told(self) -> None:
        """The rows given last are written."""
        self._told = self._now

    def _counts(self) -> dict[_Key, int]:
        account = self._account
        failed = dict(account.failed_by_reason)
        written, deferred = account.records_written, account.records_deferred
        answered = written + deferred + sum(failed.values())  # read first: what is handed meanwhile is in flight
        handed = account.records_handed
        return {
            ("records_handed", None, None): handed,
            ("records_written", None, None): written,
            ("records_deferred", None, None): deferred,
            ("records_in_flight", None, None): handed - answered,
            ("records_dropped", "target_queue_full", "target_queue_full"): account.records_dropped,
            **{("records_failed", "sink_failed", label): count for label, count in failed.items()},
        }
