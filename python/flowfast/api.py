"""Flows in Python: `read` captures, `listen` on UDP ports. Both give Arrow streams, batch by batch, without a copy."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from itertools import chain
from os import PathLike, fspath
from typing import Any, Self

import pyarrow as pa

from flowfast import _core
from flowfast._core import Batch
from flowfast.columns import flows_schema, no_columns_to_choose
from flowfast.config import split_list
from flowfast.core_errors import bind_error, input_error, usage_errors
from flowfast.errors import CaptureWarning, UsageError, nearest_hint
from flowfast.pipeline import POLL_S, Source
from flowfast.units import parse_octets
from flowfast.uris import parse_listen

FilePath = str | PathLike[str]


def read(
    path: FilePath | Sequence[FilePath],
    *,
    schema: str = "flows",
    columns: str | Sequence[str] | None = None,
    table: str | None = None,
    ports: Sequence[int] = (),
    workers: int = 1,
    strict_lengths: bool = False,
    lenient: bool = False,
    biflow: str = "keep",
    mediators: Sequence[str] = (),
) -> "Capture":
    """Read captures (pcap, pcapng; `-` is standard input) into Arrow.

    `schema` is `flows` or `wire`; `columns` are names, groups (`minimal`, `standard`, `full`) or elements of the registry, by
    default `standard`; `table` picks one table of the `wire` schema; `ports` restricts to UDP destination ports; `workers` is the
    number of decoding threads; `strict_lengths` makes IPFIX messages malformed whose fields have illegal lengths or whose lists do
    not fill their fields; `lenient` keeps the sets before the fault of a malformed message; `biflow` is `keep` or `split`, which makes a
    row of each direction of a biflow; `mediators` are networks whose records are of the Exporter that they name (RFC 7119).
    Raises UsageError and InputError.
    """
    paths = [path] if isinstance(path, str | PathLike) else list(path)
    if not paths:
        raise UsageError("no captures to read", "give the path of at least one")
    if workers < 1:
        raise UsageError(f"{workers} workers cannot read", "one is the least")
    return Capture(
        [fspath(each) for each in paths],
        table=_table(schema, table),
        ports=tuple(ports),
        schema=schema,
        columns=_columns(schema, columns),
        workers=workers,
        strict_lengths=strict_lengths,
        lenient=lenient,
        biflow=biflow,
        mediators=tuple(mediators),
    )


def listen(
    uri: str | Sequence[str] = "udp://[::]:2055",
    *,
    schema: str = "flows",
    columns: str | Sequence[str] | None = None,
    table: str | None = None,
    workers: int = 1,
    rcvbuf: int | str = "32M",
    when_full: str = "drop",
    strict_lengths: bool = False,
    lenient: bool = False,
    biflow: str = "keep",
    mediators: Sequence[str] = (),
) -> "Listener":
    """Receive flows from now on.

    `uri` is one or several, as for `flowfast collect --listen`; port 0 takes a free one, which `listeners()` tells. `workers` is the number
    of threads and sockets of each listener, `rcvbuf` the octets of receive buffer asked for each socket, and `when_full` what happens to
    rows that nobody takes: `drop` and count, or `block`. The rest is as for `read`. Raises UsageError and BindError.
    """
    uris = parse_listen([uri] if isinstance(uri, str) else list(uri))
    if not uris:
        raise UsageError("nothing to listen on", "give a URI such as `udp://[::]:2055`")
    table, names = _table(schema, table), _columns(schema, columns)
    try:
        with usage_errors():
            collector = _core.Collector(
                [each.resolve(workers) for each in uris],
                schema=schema,
                columns=names,
                strict_lengths=strict_lengths,
                lenient=lenient,
                biflow=biflow,
                mediators=tuple(mediators),
                rcvbuf=parse_octets(rcvbuf),
                when_full="block" if any(each.blocking for each in uris) else when_full,
            )
    except OSError as error:
        raise bind_error(error, ", ".join(str(each) for each in uris)) from error
    return Listener(collector, table, _flows_schema(schema, names))


class FlowStream(ABC):
    """Flows as an iterable of `Batch`, and as an Arrow stream for anything that knows `__arrow_c_stream__`.

    A context manager: leaving it, like `close`, frees threads and sockets.
    """

    def __init__(self, table: str | None, schema: pa.Schema | None) -> None:
        self._table = table
        self._schema = schema

    def __iter__(self) -> Iterator[Batch]:
        """Batches of every table, or of the one that was asked for."""
        return (batch for batch in self._batches() if self._table in (None, batch.table))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """An Arrow stream of one table (the Arrow PyCapsule interface). Raises UsageError if it is not said which of several."""
        schema, batches = (self._schema, iter(self)) if self._schema is not None else self._wire_table()
        reader = pa.RecordBatchReader.from_batches(schema, (pa.record_batch(batch) for batch in batches))
        return reader.__arrow_c_stream__(requested_schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def stats(self) -> dict[str, Any]:
        """The counters; see the counters reference."""

    @abstractmethod
    def exporters(self) -> list[dict[str, Any]]:
        """Per Exporter and Observation Domain: what it sent, and what of it was lost on the way."""

    @abstractmethod
    def close(self) -> None:
        """Free threads and sockets; what was not taken is dropped. Idempotent."""

    @abstractmethod
    def _batches(self) -> Iterator[Batch]:
        """Batches of every table."""

    @abstractmethod
    def _wire_table(self) -> tuple[pa.Schema, Iterator[Batch]]:
        """Schema and batches of the one `wire` table that is asked for."""


class Capture(FlowStream):
    """Captures. Each iteration, and each Arrow stream, reads them from the start."""

    def __init__(self, paths: Sequence[str], *, table: str | None, **options: Any) -> None:
        super().__init__(table, _flows_schema(options["schema"], options["columns"]))
        self._paths = paths
        self._options = options
        self._open: set[_core.Replay] = set()
        self._latest = self._replay()  # opened at once, so that a missing file is told here and not by the first consumer
        self._fresh = True

    def stats(self) -> dict[str, Any]:
        """The counters of the latest iteration; see the counters reference."""
        return self._latest.stats()

    def exporters(self) -> list[dict[str, Any]]:
        """Per Exporter and Observation Domain, of the latest iteration: what it sent, and what of it was lost on the way."""
        return self._latest.exporters()

    def tables(self) -> dict[str, int]:
        """Names of the tables in the captures, and the rows of each. Reads them whole."""
        rows: dict[str, int] = {}
        for batch in self._batches():
            rows[batch.table] = rows.get(batch.table, 0) + batch.num_rows
        return rows

    def close(self) -> None:
        """Free the threads of unfinished iterations. Idempotent."""
        for replay in (*self._open, self._latest):
            replay.close()
        self._fresh = False

    def _replay(self) -> _core.Replay:
        try:
            with usage_errors():
                return _core.Replay(self._paths, **self._options)
        except OSError as error:
            raise input_error(error) from error

    def _batches(self) -> Generator[Batch]:
        if not self._fresh:
            self._latest = self._replay()
        self._fresh = False
        replay = self._latest
        self._open.add(replay)
        try:
            replay.start()
            yield from _events(replay)
            for path, predicate in replay.file_errors():
                warnings.warn(f"{path} {predicate}", CaptureWarning, stacklevel=2)
        finally:
            self._open.discard(replay)
            replay.close()

    def _wire_table(self) -> tuple[pa.Schema, Iterator[Batch]]:
        if self._table is None:
            tables = self.tables()
            if len(tables) != 1:
                raise _which_table(tables)
            self._table = next(iter(tables))
        batches = iter(self)
        first = next(batches, None)
        if first is None:
            raise UsageError(f"no table `{self._table}` in the captures", nearest_hint(self._table, self.tables()))
        return pa.schema(first), chain((first,), batches)


class Listener(FlowStream):
    """Listening sockets. Iterations share what arrives; they end after `stop` or `close`."""

    def __init__(self, collector: _core.Collector, table: str | None, schema: pa.Schema | None) -> None:
        super().__init__(table, schema)
        self._collector = collector
        self._put_back: list[Batch] = []
        collector.start()

    def listeners(self) -> list[dict[str, Any]]:
        """Per listener: `uri` with the real port, `address`, `port`, `workers`, `rcvbuf_requested`, `rcvbuf_granted`, `steering`."""
        return self._collector.listeners()

    def exporters(self) -> list[dict[str, Any]]:
        """Per Exporter and Observation Domain: what it sent, and what of it was lost on the way."""
        return self._collector.exporters()

    def stats(self) -> dict[str, Any]:
        """The counters; see the counters reference."""
        return self._collector.stats()

    def stop(self) -> None:
        """Read what the kernel still holds and stop; iterations go on until they have given it all."""
        self._collector.stop()

    def close(self) -> None:
        """Stop at once; rows that nobody took are dropped and counted. Idempotent."""
        self._collector.close()

    def _batches(self) -> Iterator[Batch]:
        while self._put_back:
            yield self._put_back.pop()
        yield from _events(self._collector)

    def _wire_table(self) -> tuple[pa.Schema, Iterator[Batch]]:
        if self._table is None:
            raise UsageError("which table of the wire schema is not said", "give `table=`; iterate to see the tables that come")
        first = next(iter(self), None)
        if first is None:
            raise UsageError(f"no rows of table `{self._table}` came")
        self._schema = pa.schema(first)
        self._put_back.append(first)
        return self._schema, iter(self)


def _events(source: Source) -> Iterator[Batch]:
    """Batches until the source has finished; the wait is short enough for Ctrl-C."""
    while not source.finished:
        event = source.next_event(POLL_S)
        if isinstance(event, Batch):
            yield event


def _table(schema: str, table: str | None) -> str | None:
    if schema not in ("flows", "wire"):
        raise UsageError(f"unknown schema `{schema}`", nearest_hint(schema, ("flows", "wire")))
    if schema == "flows" and table not in (None, "flows"):
        raise UsageError(f"the flows schema has no table `{table}`", 'give `schema="wire"`')
    return table


def _columns(schema: str, columns: str | Sequence[str] | None) -> list[str]:
    if schema != "flows" and columns is not None:
        raise no_columns_to_choose()
    return split_list("standard" if columns is None else columns)


def _flows_schema(schema: str, columns: Sequence[str]) -> pa.Schema | None:
    return flows_schema(columns) if schema == "flows" else None


def _which_table(tables: dict[str, int]) -> UsageError:
    if not tables:
        return UsageError("the captures hold no rows", "check with `flowfast convert` what they hold")
    return UsageError(f"the captures hold several tables: {', '.join(sorted(tables))}", "pick one with `table=`, or iterate over all")
