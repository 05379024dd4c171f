"""What a target did with the records handed to it, as rows of the ledger."""

from collections import Counter

import pyarrow as pa

from flowfast.sinks.account import Account

News = Counter[tuple[str, str | None, str | None]]
"""How many more, by counter, reason and label."""


class Answers:
    """Watches an account, so that the sum over all rows that were written and kept is the account.

    At any moment `records_handed = records_written + records_failed + records_deferred + records_in_flight`.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._told: News = Counter()

    def news(self) -> News:
        """What has come since it was told."""
        news = self._counts()
        news.subtract(self._told)
        return Counter({key: count for key, count in news.items() if count})

    def rows(self, news: News, schema: pa.Schema, minute: pa.Scalar) -> pa.RecordBatch:
        """News as rows of the ledger's schema and of this minute."""
        rows = [
            {"minute": minute, "target": self._account.target, "counter": counter, "reason": reason, "label": label, "count": count}
            for (counter, reason, label), count in news.items()
        ]
        return pa.RecordBatch.from_pylist(rows, schema=schema)

    def told(self, news: News) -> None:
        """Rows of these are written."""
        self._told.update(news)

    def forgotten(self, news: News) -> None:
        """What they were written into was not kept: they are news again."""
        self._told.subtract(news)

    def _counts(self) -> News:
        account = self._account
        failed = dict(account.failed_by_reason)
        written, deferred = account.records_written, account.records_deferred
        answered = written + deferred + sum(failed.values())  # read first: what is handed meanwhile is in flight
        handed = account.records_handed
        counts: News = Counter({("records_failed", "sink_failed", label): count for label, count in failed.items()})
        counts["records_handed", None, None] = handed
        counts["records_written", None, None] = written
        counts["records_deferred", None, None] = deferred
        counts["records_in_flight", None, None] = handed - answered
        counts["records_dropped", "target_queue_full", "target_queue_full"] = account.records_dropped
        return counts
