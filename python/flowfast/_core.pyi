"""The compiled core: receiving, decoding, accounting. See `flowfast` for the public face."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Self, final

__all__ = [
    "Batch",
    "Collector",
    "DecodeBench",
    "Decoder",
    "IntervalEnd",
    "ReceiveFloor",
    "Replay",
    "__version__",
    "flow_columns",
    "generate",
    "known_templates",
    "plans",
    "table_schema",
]

__version__: str

@final
class Batch:
    """Rows of one table, as one Arrow record batch. Readable by anything that knows the Arrow PyCapsule interface, without a copy."""

    @property
    def id(self) -> int:
        """Its number among the batches of one source."""
    @property
    def table(self) -> str:
        """`flows`, a table of the `wire` schema, or `ledger`."""
    @property
    def kind(self) -> str:
        """`flows`, `data`, `options`, `counters` or `ledger`."""
    @property
    def worker(self) -> int:
        """Index of the worker that decoded it."""
    @property
    def interval_start(self) -> int:
        """Start of the rotation interval that all rows were decoded in, UNIX seconds (0 without rotation): they were received in it, but for
        those that waited for their template.
        """
    @property
    def num_rows(self) -> int: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
    def __arrow_c_schema__(self) -> object: ...
    def to_ndjson(self) -> bytes:
        """One JSON object a row: addresses, MAC addresses and times as text, octets as hex, nulls left out. `wire` rows also carry `_table`."""
    def to_csv(self, header: bool) -> bytes:
        """Comma-separated rows, addresses and times as text, nulls empty; with a line of column names first if `header`."""

@final
class IntervalEnd:
    """A worker will send no more rows of this rotation interval."""

    @property
    def worker(self) -> int: ...
    @property
    def interval_start(self) -> int:
        """UNIX seconds."""
    @property
    def rows_missing(self) -> int:
        """Rows of the interval that the queue had no room for."""
    @property
    def segment(self) -> str | None:
        """Name of the journal's segment with the datagrams of the interval, if there is one."""
    @property
    def segment_is_whole(self) -> bool:
        """The segment has every datagram of the interval."""
    @property
    def has_new_templates(self) -> bool:
        """Templates were defined in the interval that had not been known before."""
    @property
    def late_is_kept(self) -> bool:
        """The sets of the segment that no template came for are in a file of their own, if there were any."""

@final
class Decoder:
    """Decodes datagrams from anywhere. Not thread-safe; one exporter's datagrams belong in one decoder."""

    def __new__(
        cls,
        *,
        schema: str = "flows",
        columns: Sequence[str] = ...,
        strict_lengths: bool = False,
        lenient: bool = False,
        biflow: str = "keep",
        mediators: Sequence[str] = (),
        kernel: str = "auto",
    ) -> Self:
        """`columns`: groups, column names, element names and `pen:id`; the group `standard` if not given.

        `kernel`: `auto`, `scalar` (without transposing short neighbours) or `plain` (record by record), to compare with; all give the same rows.
        Raises ValueError with the nearest name if a column is unknown.
        """
    def decode(
        self, datagram: bytes, exporter: str, exporter_port: int = 0, *, local_port: int = 0, time_received_ns: int | None = None
    ) -> None:
        """Decode one datagram. Malformed ones raise nothing: they are counted in `stats()`. Raises ValueError if `exporter` is no IP address."""
    def flush(self) -> list[Batch]:
        """All rows decoded since the last flush, a batch a table."""
    def stats(self) -> dict[str, Any]: ...

@final
class Collector:
    """UDP sockets, one worker thread each, decoding into a bounded queue."""

    def __new__(
        cls,
        listen: Sequence[tuple[str, int, int, str]],
        *,
        inherited: Sequence[tuple[int, str]] = (),
        schema: str = "flows",
        columns: Sequence[str] = ...,
        strict_lengths: bool = False,
        lenient: bool = False,
        biflow: str = "keep",
        mediators: Sequence[str] = (),
        rcvbuf: int = 0,
        rotate_s: int = 0,
        batch_rows: int = 16384,
        batch_age_ms: int = 1000,
        queue_batches: int = 128,
        when_full: str = "drop",
        journal: tuple[str | PathLike[str], str] | None = None,
        state: Sequence[str | PathLike[str]] = (),
        ledger: bool = False,
        limits: Mapping[str, int] = ...,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
    ) -> Self:
        """`listen`: (address, port, workers, format) with format `any`, `netflow` (v1-v9 and IPFIX) or `sflow`; port 0 takes a free one.

        `inherited`: (descriptor, format) of UDP sockets that somebody else has bound; each gets a worker and is duplicated.
        Binds the sockets at once; reception begins with `start()`. `rcvbuf`: octets asked for per socket (0: flowfast's default).
        `rotate_s`: batches never span a multiple of so many seconds since the epoch, and an `IntervalEnd` follows each interval (0: never).
        `journal`: (directory, run): datagrams are written there before they are decoded, into files whose names hold `run`. `state`:
        captures, segments of a journal among them, to learn templates and options data from before the sockets are bound.
        `limits`: see `flowfast.limits`. `allow`, `deny`: networks that are heard (none: all), and that are not.
        `ledger`: rows of the table `ledger` come every minute, and are counted nowhere.
        Raises OSError with errno and filename set to the URI (port in use, no permission, address not on this machine).
        """
    def listeners(self) -> list[dict[str, Any]]:
        """Per listener: `uri` (with the real port), `address`, `port`, `workers`, `rcvbuf_requested`, `rcvbuf_granted`, `steering` (bool)."""
    def state_faults(self) -> list[tuple[str, str]]:
        """(path, one sentence) for each file of `state` that was truncated or is no capture; what was readable has been learnt."""
    def pause_journal(self, paused: bool) -> None:
        """Write nothing into the journal, or do again."""
    def start(self) -> None: ...
    def next_event(self, timeout_s: float) -> Batch | IntervalEnd | None:
        """The next event, waiting without the GIL; None after `timeout_s`, or at once when all workers have stopped and the queue is empty."""
    def stop(self) -> None:
        """Ask the workers to read what the kernel still holds, flush and stop. `next_event` goes on giving events until `finished`."""
    def rotate(self, rotate_s: int | None = None) -> None:
        """End the present rotation interval now, with its `IntervalEnd`; later ones last `rotate_s` seconds, or as long as before."""
    def set_admission(self, *, limits: Mapping[str, int], allow: Sequence[str], deny: Sequence[str]) -> None:
        """Whom to hear from now on, and how much of each: networks as in the constructor, and of `limits` those that are rates."""
    def recalled_until_ns(self) -> int | None:
        """When the last datagram that `state` holds was received, nanoseconds since the UNIX epoch; None if it holds none."""
    def set_when_full(self, when_full: str) -> None:
        """What to do from now on with rows that find the queue full: `drop` or `block`."""
    @property
    def finished(self) -> bool:
        """All workers have stopped and the queue is empty."""
    def stats(self) -> dict[str, Any]: ...
    def exporters(self, first: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
        """Ordered by address: `limit` rows (None: all) from the one at index `first` on."""
    def series(self, exporters: int, domains: int, elements: int) -> dict[str, Any]:
        """What a metrics page says of exporters, where there is room for so many exporters, Observation Domains, and elements in no registry:
        `exporters` (how many are known), and lists: `by_exporter`, `by_domain`, `unknown_elements` (pen, id, how many sessions have it).
        Who has had series keeps them.
        """
    def news_of_unknown_elements(self, limit: int) -> list[tuple[str, int, int, int, int]]:
        """(exporter, port, Observation Domain, pen, id) of elements in no registry that this has not told before, `limit` at most."""
    def exporter_count(self) -> int:
        """How many `exporters` has; cheap, however many they are."""
    def templates(self, first: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
        """Templates that the workers know, as `known_templates` has them; ordered by address, `limit` of them (None: all) from the one at
        index `first` on. Waits for workers half a second at most.
        """
    def fatal_datagrams(self) -> list[tuple[str, int, int, bytes]]:
        """(exporter, port, local port, payload) of datagrams that a decoder panicked on, at most a few of each worker."""
    def accounts(self) -> list[dict[str, Any]]:
        """What became of what each Exporter sent, as the ledger has it: `exporter`, `format` and `domain` (all None: nobody's), `counters`."""
    def close(self) -> None:
        """Stop without waiting for a consumer: queued batches are dropped and counted. Idempotent; frees sockets and threads."""

@final
class ReceiveFloor:
    """A UDP socket that is read as `Collector` reads it, and whose datagrams are counted and forgotten: the least that receiving costs."""

    def __new__(cls, address: str, port: int, *, rcvbuf: int = 0) -> Self:
        """Binds at once; port 0 takes a free one. `rcvbuf`: octets asked for (0: flowfast's default). Raises OSError."""
    @property
    def port(self) -> int: ...
    def run(self) -> dict[str, int]:
        """Receive in this thread, without the GIL, until `stop()`; then `datagrams`, `octets`, `trains` and `kernel_drops`."""
    def stop(self) -> None:
        """Have `run()` read what the kernel still holds and return."""

@final
class Replay:
    """Datagrams out of pcap and pcapng files, decoded by the same workers as `Collector`'s."""

    def __new__(
        cls,
        paths: Sequence[str],
        *,
        ports: Sequence[int] = (),
        schema: str = "flows",
        columns: Sequence[str] = ...,
        strict_lengths: bool = False,
        lenient: bool = False,
        biflow: str = "keep",
        mediators: Sequence[str] = (),
        workers: int = 1,
        first_worker: int = 0,
        rotate_s: int = 0,
        batch_rows: int = 16384,
        queue_batches: int = 64,
        late: str | PathLike[str] | None = None,
        ledger: bool = False,
        limits: Mapping[str, int] = ...,
    ) -> Self:
        """`ports`: only these UDP destination ports (none: all). `-` is standard input. Raises OSError if a file cannot be opened.

        `first_worker`: what the first of the workers is called in batches and in the ledger. `late`: where to write the data sets that
        no template came for, as a capture of their own, instead of discarding them.
        """
    def start(self) -> None: ...
    def next_event(self, timeout_s: float) -> Batch | IntervalEnd | None: ...
    @property
    def finished(self) -> bool: ...
    def progress(self) -> tuple[int, int]:
        """(octets read, octets in all files)."""
    def file_errors(self) -> list[tuple[str, str]]:
        """(path, one sentence) for each file that was truncated or is no capture; what was readable has been decoded."""
    def stats(self) -> dict[str, Any]: ...
    def exporters(self) -> list[dict[str, Any]]: ...
    def accounts(self) -> list[dict[str, Any]]: ...
    def stop(self) -> None:
        """Read no more. `next_event` goes on giving what was read until `finished`."""
    def close(self) -> None: ...

@final
class DecodeBench:
    """Decodes generated datagrams, or those of a capture, in memory and in this thread, and takes the time."""

    def __new__(
        cls,
        *,
        template: str = "ipfix-25",
        capture: str | None = None,
        order: str = "canonical",
        kernel: str = "auto",
        exporters: int = 1,
        templates: int = 1,
        records: int = 1000000,
        schema: str = "flows",
        columns: Sequence[str] = ...,
    ) -> Self:
        """`capture`: a pcap or pcapng file, in place of `template`, `order`, `exporters` and `templates` (of each Exporter).

        `records`: a round decodes at least so many. Raises ValueError on unknown names, OSError if the capture cannot be read.
        """
    def round(self) -> dict[str, Any]:
        """One round over the same datagrams: `records`, `lost` (records without a row), and the CPU time of this thread in nanoseconds.

        `cpu_ns`: decoding; `baseline_ns`: decoding with the kernel `plain`; `floor_ns`: copying the datagrams' octets once. In turn with
        them about as many records of one template of one Exporter, or in canonical order if they are such: `reference_records`, decoded in
        `reference_ns`; None if they are that, too, or of a capture.
        """

def generate(
    *,
    to: tuple[str, int] | None,
    write: str | None,
    format: str,
    count: int,
    rate: float,
    order: str,
    seed: int,
    exporters: int,
    template: str = "default",
    start_time_s: int | None = None,
    trains: bool = True,
) -> Mapping[str, int]:
    """Export `count` synthetic Flow Records to a UDP address, a pcap file, or both. Returns what was sent: see docs.

    `trains`: many datagrams a system call, where the kernel has UDP_SEGMENT; else one.
    """

def table_schema(schema: str, columns: Sequence[str]) -> object:
    """The Arrow schema of the `flows` table with these columns, as an object with `__arrow_c_schema__`. Raises ValueError on an unknown column."""

def flow_columns() -> list[dict[str, Any]]:
    """Every column of the `flows` schema: `name`, `group`, `type`, `elements` (list of str), `doc`, `minimal` (bool), `standard` (bool)."""

def plans(
    *, template: str = "ipfix-25", capture: str | None = None, order: str = "canonical", schema: str = "flows"
) -> list[dict[str, Any]]:
    """How the records of a generated template, or of those in a capture, become columns. Raises ValueError on a name that there is not, OSError on a capture that cannot be read.

    Of each plan: `users` (each `exporter`, `format`, `domain` and `template_id`, None for NetFlow v1-v8), `kind` (`data` or `options`), `scope_count`,
    `record_octets` (of the shortest record), `table` (None: such records become no rows), `fields` (each `name`, `element` as pen:id, `length`
    in octets, 65535 if it varies, `offset` from the start of the record, or from the end of the field with the index `after`, `uses` and `skipped`, why there
    are none), `neighbourhoods` (offsets from which eight octets, with several short fields, are read of 16 records at once), `canonical_runs` (stretches of fields that follow each other in the canonical order, too, the widest first and then by element: 1 where the order is that) and `unfilled`: columns that no field fills. These and `uses` are lists of `column` (None: any that no field fills) and `operation`.
    """

def known_templates(captures: Sequence[str | PathLike[str]]) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Templates that exporters defined in these captures, and (path, one sentence) for each capture that could not be read to its end.

    Of each template: `exporter`, `exporter_port`, `local_address` (where it was sent to; None in a journal, which does not
    know it), `local_port`, `format`, `domain`, `template_id`, `kind` (`data` or `options`), `scope_count`, `fields` (each `name`, `element` as
    pen:id, and `length` in octets, 65535 if it varies; scope first), `flow_keys` (positions in `fields` of the Flow Keys, if the exporter said which), `refreshed_ns` (when it was received last), `sets` (data sets that
    were read with it) and `used_ns` (when the last of them was received; None if there was none).
    """
