"""The ledger that lies beside the flows: reading it, whether it balances, and what was lost most."""

import ipaddress
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from flowfast.errors import InputError, reason
from flowfast.units import plural

TABLE = "ledger"
_PARTY = ("exporter", "format", "domain")
_KEYS = (*_PARTY, "target", "counter", "reason", "label")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Loss:
    """How many were lost, of what, and why; `records` is how many records that is, about."""

    counter: str
    reason: str
    count: int
    records: float


@dataclass
class Book:
    """Sums of ledger rows: of one exporter's, or of all."""

    counts: Counter[str] = field(default_factory=Counter)
    """By counter, over all reasons."""
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By counter and reason."""
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By counter and label, which says it in more detail."""

    def add(self, counter: str, reason: str | None, label: str | None, count: int) -> None:
        """Take in a row."""
        self.counts[counter] += count
        if reason is not None:
            self.reasons[counter, reason] += count
        if label is not None:
            self.labels[counter, label] += count

    def imbalances(self) -> Iterator[str]:
        """The equations that do not hold, each as a sentence."""
        for left, right in EQUATIONS:
            difference = sum(self.counts[name] for name in left) - sum(self.counts[name] for name in right)
            if difference:
                yield f"{' + '.join(left)} is {abs(difference):,} {'more' if difference > 0 else 'less'} than {' + '.join(right)}"

    def of(self, counter: str) -> dict[str, int]:
        """A counter by reason, the largest first."""
        found = {reason: count for (name, reason), count in self.reasons.items() if name == counter and count}
        return dict(sorted(found.items(), key=lambda item: -item[1]))


EQUATIONS = (
    (("datagrams_received",), ("datagrams_decoded", "datagrams_discarded")),
    (("records_received", "biflows_split"), ("records_decoded", "records_absorbed")),
    (("records_decoded",), ("records_queued", "records_dropped", "records_pending")),
    (("sets_undecodable",), ("sets_recovered", "sets_discarded", "sets_late", "sets_waiting")),
)
"""What holds of every book: both sides have the same sum."""
TARGET_EQUATION = ("records_handed", ("records_written", "records_failed", "records_deferred", "records_in_flight"))

NO_MESSAGE = ("unknown_version", "unsupported", "wrong_protocol")
"""Reasons of datagrams that were never part of a sequence."""

Party = tuple[Address | None, str | None, int | None]


@dataclass
class Ledger:
    """What became of every datagram and record of a stretch of time."""

    first_minute: datetime
    last_minute: datetime
    total: Book
    parties: dict[Party, Book]
    """By exporter, format and Observation Domain; all None: what belongs to no exporter."""
    targets: dict[str, Counter[str]]
    is_whole: bool
    """All rows were read: of all exporters and times."""

    @cached_property
    def imbalances(self) -> list[str]:
        """What does not add up, in sentences; empty if everything does."""
        found = list(self.total.imbalances())
        for party, book in self.parties.items():
            found += [f"{name_of(party)}: {sentence}" for sentence in book.imbalances()]
        for target, counts in self.targets.items():
            left, right = TARGET_EQUATION
            if counts[left] != sum(counts[name] for name in right):
                found.append(f"{target}: {left} is not {' + '.join(right)}")
        if self._unanswered < 0:
            found.append(
                f"{plural(-self._unanswered, 'record')} more written or lost than received: rows of the ledger are late, or lost "
                "(`ledger_late` and `ledger_lost` in the log)"
            )
        return found

    @property
    def kernel_drops_datagrams(self) -> int:
        """Datagrams that the kernel dropped, about; each drop is one at least, also where nobody told of more."""
        return max(self.total.counts["kernel_drops_datagrams"], self.total.counts["kernel_drops"])

    @property
    def in_journal(self) -> int:
        """How many records were deferred, and not given again yet."""
        deferred = self._answers["records_deferred"] + self.total.reasons["records_dropped", "to_journal"]
        return min(max(self._unanswered - self._answers["records_in_flight"], 0), deferred)

    @cached_property
    def _answers(self) -> Counter[str]:
        """What was done with the records in this directory, whatever it was called as a target."""
        answers: Counter[str] = Counter()
        for counts in self.targets.values():
            answers.update(counts)
        return answers

    @cached_property
    def _unanswered(self) -> int:
        """How many of the records that were received were neither written nor lost; below 0: there were more of these than that can be.
        Only a whole ledger tells, and none where the journal gives data sets again, which are not counted in records: 0.
        """
        total, to_journal = self.total.counts, self.total.reasons["records_dropped", "to_journal"]
        if not self.is_whole or total["sets_late"]:
            return 0
        answered = sum(self._answers[name] for name in ("records_written", "records_failed", "records_dropped"))
        return total["records_decoded"] - total["records_pending"] - (total["records_dropped"] - to_journal) - answered

    @property
    def losses(self) -> list[Loss]:
        """What was lost, the most records first. Units differ, so records are estimated from what was decoded."""
        total = self.total.counts
        per_datagram = total["records_received"] / max(total["datagrams_decoded"], 1) or 1
        per_octet = total["records_received"] / max(total["octets_received"], 1)
        found = [Loss("kernel_drops", "kernel", total["kernel_drops"], self.kernel_drops_datagrams * per_datagram)]
        found += [Loss("datagrams_discarded", why, n, n * per_datagram) for why, n in self.total.of("datagrams_discarded").items()]
        for why, count in self.total.of("sets_discarded").items():
            octets = self.total.reasons["set_octets_discarded", why]
            found.append(Loss("sets_discarded", why, count, max(octets * per_octet, count)))
        found += [Loss("records_dropped", why, n, n) for why, n in self.total.of("records_dropped").items() if why != "to_journal"]
        for counts in self.targets.values():
            found.append(Loss("records_failed", "sink_failed", counts["records_failed"], counts["records_failed"]))
            found.append(Loss("records_dropped", "target_queue_full", counts["records_dropped"], counts["records_dropped"]))
        missed = total["collector_down_records"] + total["collector_down_packets"]
        records = total["collector_down_records"] + total["collector_down_packets"] * per_datagram
        found.append(Loss("sequence_lost", "collector_down", missed, records))
        # Sequence numbers see every message that was not decoded, whoever lost it: what was lost on the way is the rest.
        seen = total["sequence_lost_records"] + total["sequence_lost_packets"] * per_datagram
        here = sum(
            loss.records for loss in found if loss.counter in ("kernel_drops", "datagrams_discarded") and loss.reason not in NO_MESSAGE
        )
        lost = total["sequence_lost_records"] + total["sequence_lost_packets"]
        found.append(Loss("sequence_lost", "network", lost, max(seen - here, 0.0)))
        return sorted((loss for loss in found if loss.count and loss.records >= 0.5), key=lambda loss: -loss.records)


def read(directory: Path, since: datetime | None = None, exporter: Address | None = None) -> Ledger | None:
    """The ledger in a directory of rotating files; None if it has no rows of that time or exporter. Raises InputError."""
    sums = _sums(directory, since, exporter)
    if not sums.num_rows:
        return None
    first_minute, last_minute = pc.min(sums["minute_min"]).as_py(), pc.max(sums["minute_max"]).as_py()
    books: defaultdict[tuple[bytes | None, str | None, int | None], Book] = defaultdict(Book)
    targets: defaultdict[str, Counter[str]] = defaultdict(Counter)
    total = Book()
    columns = (sums[name].to_pylist() for name in (*_KEYS, "count_sum"))
    for octets, form, domain, target, *entry in zip(*columns, strict=True):
        if target is None:
            total.add(*entry)
            books[octets, form, domain].add(*entry)
        else:
            counter, _, _, count = entry
            targets[target][counter] += count
    parties = {(_address(octets), form, domain): book for (octets, form, domain), book in books.items()}
    is_whole = since is None and exporter is None
    return Ledger(first_minute, last_minute, total, parties, dict(targets), is_whole)


def _sums(directory: Path, since: datetime | None, exporter: Address | None) -> pa.Table:
    """Sums of the rows, by everything but the minute and the worker."""
    import pyarrow.dataset as ds  # noqa: PLC0415 - it loads pandas, where that is installed: half of every start

    condition = pc.scalar(True)
    if since is not None:
        condition &= pc.field("minute") >= pa.scalar(since, pa.timestamp("us", "UTC"))
    if exporter is not None:
        condition &= pc.field("exporter") == pa.scalar(_octets(exporter), pa.binary(16))
    found = []
    for suffix in ("parquet", "arrow"):
        files = [str(path) for path in sorted((directory / TABLE).rglob(f"*.{suffix}"))]
        if not files:
            continue
        try:
            rows = ds.dataset(files, format=suffix).to_table(filter=condition)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"cannot read the ledger: {reason(error)}", "is it a directory that flowfast wrote?") from error
        found.append(rows.group_by(_KEYS).aggregate([("count", "sum"), ("minute", "min"), ("minute", "max")]))
    if not found:
        raise InputError(
            f"there is no ledger in {directory}",
            "`flowfast collect --to parquet:DIR` writes one beside the flows, each minute, and gives it its name when its interval ends",
        )
    return pa.concat_tables(found)


def _address(octets: bytes | None) -> Address | None:
    if octets is None:
        return None
    address = ipaddress.IPv6Address(octets)
    return address.ipv4_mapped or address


def _octets(address: Address) -> bytes:
    """As the ledger has it: IPv4 mapped into IPv6."""
    return address.packed if address.version == 6 else ipaddress.IPv6Address(f"::ffff:{address}").packed


def name_of(party: Party) -> str:
    """An exporter and Observation Domain, for people."""
    exporter, form, domain = party
    if exporter is None:
        return "no exporter"
    return " ".join(str(each) for each in (exporter, form, None if domain is None else f"domain {domain}") if each is not None)
