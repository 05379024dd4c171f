"""What a target did with the records handed to it, as rows of the ledger."""

import pyarrow as pa

from flowfast.sinks.account import Account

_Key = tuple[str, str | None]


class Answers:
    """Watches an account: `rows` gives what has come since it was last asked, so that the sum over all rows is the account.

    At any moment `records_handed = records_written + records_failed + records_in_flight`.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._told: dict[_Key, int] = {}

    def rows(self, schema: pa.Schema, minute: pa.Scalar) -> pa.RecordBatch:
        """Rows of the ledger's schema, of this minute."""
        now = self._counts()
        news = {key: count - self._told.get(key, 0) for key, count in now.items() if count != self._told.get(key, 0)}
        self._told = now
        rows = [
            {"minute": minute, "target": self._account.target, "counter": counter, "reason": reason, "count": count}
            for (counter, reason), count in news.items()
        ]
        return pa.RecordBatch.from_pylist(rows, schema=schema)

    def _counts(self) -> dict[_Key, int]:
        account = self._account
        answered = (account.records_written, account.records_failed)  # read first: what is handed meanwhile is in flight
        handed = account.records_handed
        return {
            ("records_handed", None): handed,
            ("records_written", None): answered[0],
            ("records_failed", "sink_failed"): answered[1],
            ("records_in_flight", None): handed - sum(answered),
            ("records_dropped", "target_queue_full"): account.records_dropped,
        }
