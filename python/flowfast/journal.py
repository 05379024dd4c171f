"""The journal: datagrams are on the disk before they are decoded, and stay there until their rows are.

One segment, a pcap file that the core writes, holds what one worker received in one interval; the rotating files of that worker and
interval are committed together. Each target decides by a manifest of its own: once that is there, the target has the rows of the segment.
When all have, the segment goes, and the manifests after it. So after any crash each target either has all rows of a segment, or none and
the segment is decoded again.
"""

import fcntl
import os
import secrets
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

from flowfast import logs
from flowfast._core import IntervalEnd
from flowfast.files import INCOMPLETE, carry_out, make_directory, sync
from flowfast.sinks.rotating import RotatingFiles
from flowfast.units import plural

SEGMENT = ".pcap"
LATE = ".late"
LATE_REST_S = 1.0
"""How long sets that still lack their template rest before they are tried again. It doubles each time: templates come soon or never."""
KEPT = "kept"
PCAP_HEADER_OCTETS = 24
_OF_LEDGER = ".ledger"


@dataclass
class JournalCounters:
    """What became of segments."""

    segments_committed: int = 0
    segments_recovered: int = 0
    segments_lost: int = 0
    segments_waiting: int = 0
    records_recovered: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counters, under their names."""
        return asdict(self)


class Journal:
    """A directory of segments, and what has become of each. Threads share it.

    `roots`: the directories of rotating files that segments of earlier runs are decoded into, and what is received now; these may change,
    and a segment belongs to those that its worker handed to. `keep`: segments whose rows are durable are kept.
    """

    def __init__(self, directory: Path, roots: Sequence[Path], *, keep: bool) -> None:
        self.directory = directory
        self.roots = tuple(roots)
        self.run = secrets.token_hex(4)
        self.counters = JournalCounters()
        self._keep = keep
        self._lock = threading.Condition()
        self._owed: dict[str, list[Path]] = {}
        self._reports: dict[str, list[bool]] = {}
        self._to_decode: list[str] = []
        self._templates_came = True
        self._hopeful: set[str] = set()
        self._rests: dict[str, tuple[float, float]] = {}
        make_directory(directory)
        if keep:
            make_directory(directory / KEPT)
        self._locks = {self.run: _lock_run(self._lock_of(self.run))}
        sync(directory)  # by its lock a run is known whatever else a power cut leaves of it

    def adopt(self) -> list[Path]:
        """Take over what runs that ended without cleaning up have left; captures to learn their templates and options data from.

        Files that a manifest decided get their names, other unfinished files go. A run that is still alive keeps its own.
        """
        runs = {lock.stem for lock in self.directory.glob("*.lock")} | {_run(name) for name in self._segments()}
        dead = [run for run in sorted(runs - {self.run}) if self._take_over(run)]
        for run in dead:
            for root in self.roots:
                self._clean(root / INCOMPLETE, run)
        left = [name for name in self._segments() if _run(name) in dead]
        # The segment of late sets is made when all targets have the rows of the one it comes from.
        for done in [name for name in left if _late_segment(name) in left]:
            (self.directory / done).unlink()
            left.remove(done)
        self.put_back(left)
        if left:
            logs.info("journal_taken_over", f"{plural(len(left), 'journal segment')} of an earlier run to decode again", segments=len(left))
        return captures_of_templates(self.directory)

    def states(self) -> list[Path]:
        """Captures of the templates and options data that each worker knew when its last interval ended."""
        return states(self.directory)

    def change_roots(self, roots: Sequence[Path]) -> None:
        """These take what is received from now on. What an earlier run has left in one that is new is cleared up."""
        for root in roots:
            if root not in self.roots:
                for run in self._locks:
                    if run != self.run:
                        self._clean(root / INCOMPLETE, run)
        self.roots = tuple(roots)

    def owe(self, segment: str, root: Path) -> None:
        """A target is to have the rows of a segment. Called for all of them before any of them settles it."""
        with self._lock:
            self._owed.setdefault(segment, []).append(root)

    def roots_of(self, segment: str) -> Sequence[Path]:
        """The targets that are to have the rows of a segment."""
        return self._owed.get(segment, self.roots)

    def settle(self, sink: RotatingFiles, end: IntervalEnd, missing: Sequence[int]) -> None:
        """A worker's interval has ended: commit its files in one target, or leave them to the journal if batches are `missing`."""
        interval = (end.worker, end.interval_start)
        if end.segment is None:
            name = f"{end.interval_start}-{end.worker}-{self.run}-none{SEGMENT}"
            done = sink.settle(manifest_of(sink.root, name), interval, missing=missing, again=False)
            sink.settle_ledger(ledger_manifest_of(sink.root, name), interval)
            if done:
                self._forget(name, [sink.root])
            return
        done = sink.settle(
            manifest_of(sink.root, end.segment),
            interval,
            missing=missing,
            complete=end.rows_missing == 0 and end.late_is_kept,
            again=end.segment_is_whole,
        )
        sink.settle_ledger(ledger_manifest_of(sink.root, end.segment), interval, again=not done)
        with self._lock:
            reports = self._reports.setdefault(end.segment, [])
            reports.append(done)
            if len(reports) < len(self.roots_of(end.segment)):
                return
            del self._reports[end.segment]
        if not (all(reports) and self._retired(end.segment)):
            self.put_back([end.segment])
        if end.has_new_templates:
            self.try_late()

    def try_late(self) -> None:
        """New templates are known: some of the sets that no template came for may be decoded now."""
        with self._lock:
            self._templates_came = True
            self._lock.notify_all()

    def retire(self, segment: str) -> None:
        """Every target has the rows of a segment: it goes, or is kept. Raises OSError; then it is to be tried again."""
        roots = self.roots_of(segment)
        for root in roots:
            for manifest in manifests_of(root, segment):
                carry_out(manifest)
        self._keep_late(segment)
        path = self.directory / segment
        if self._keep and LATE not in segment:
            path.rename(self.directory / KEPT / segment)
        else:
            path.unlink(missing_ok=True)
        sync(self.directory)
        self._forget(segment, roots)
        self._owed.pop(segment, None)

    def _retired(self, segment: str) -> bool:
        try:
            self.retire(segment)
        except OSError:
            return False
        self.counters.segments_committed += 1
        return True

    def put_back(self, segments: Iterable[str]) -> None:
        """These are to be decoded again."""
        with self._lock:
            self._to_decode += [segment for segment in segments if segment not in self._to_decode]
            self.counters.segments_waiting = len(self._to_decode)
            self._lock.notify_all()

    def next_segment(self, timeout_s: float) -> str | None:
        """A segment to decode again, the oldest first; sets without a template only after new templates came, and ever more seldom.

        None after `timeout_s`.
        """
        with self._lock:
            if not self._to_decode:
                self._lock.wait(timeout_s)
            self._to_decode += [name for name in self._take_late() if name not in self._to_decode]
            self._to_decode.sort(key=lambda name: int(name.split("-")[0]))
            segment = self._to_decode.pop(0) if self._to_decode else None
            self.counters.segments_waiting = len(self._to_decode)
            return segment

    def _take_late(self) -> list[str]:
        """Segments of late sets whose rest is over, and new templates have come since they were tried."""
        if self._templates_came:
            self._templates_came = False
            self._hopeful = {name for name in self._segments() if LATE in name and _run(name) in self._locks}
            known = {_origin(name) for name in self._hopeful}
            self._rests = {origin: rest for origin, rest in self._rests.items() if origin in known}
        now_s = monotonic()
        due = [name for name in self._hopeful if self._rests.get(_origin(name), (0.0, 0.0))[0] <= now_s]
        for name in due:
            _, rest_s = self._rests.get(_origin(name), (0.0, LATE_REST_S))
            self._rests[_origin(name)] = (now_s + rest_s, 2 * rest_s)
        self._hopeful.difference_update(due)
        return due

    def late_of(self, segment: str) -> Path:
        """Where the sets of a segment are written that no template came for, until it is committed."""
        return self.directory / f"{segment.removesuffix(SEGMENT)}{LATE}.tmp"

    def close(self) -> None:
        """Segments that are left, of this run or another, are for the next start to take over."""
        left = {_run(name) for name in self._segments()}
        for run, lock in self._locks.items():
            if run not in left:
                self._lock_of(run).unlink(missing_ok=True)
            os.close(lock)

    def _segments(self) -> list[str]:
        return sorted(path.name for path in self.directory.glob(f"*{SEGMENT}") if path.name[:1].isdigit())

    def _keep_late(self, segment: str) -> None:
        """Make the sets that no template came for a segment of their own."""
        temporary = self.late_of(segment)
        if not temporary.exists():
            return
        if temporary.stat().st_size <= PCAP_HEADER_OCTETS:
            temporary.unlink()
            return
        sync(temporary)
        late = _late_segment(segment)
        if segment in self._owed:
            self._owed[late] = self._owed[segment]
        temporary.rename(self.directory / late)
        sync(self.directory)

    def _forget(self, segment: str, roots: Sequence[Path]) -> None:
        for root in roots:
            for manifest in manifests_of(root, segment):
                with suppress(OSError):  # without its segment a manifest means nothing, and goes at the next start
                    if carry_out(manifest):
                        manifest.unlink()

    def _clean(self, incomplete: Path, run: str) -> None:
        """Name the files that a run's manifests decided, and remove its other unfinished ones."""
        for manifest in incomplete.glob(f"*-{run}-*.manifest"):
            try:
                carry_out(manifest)
            except OSError:
                return  # the recovery tries again
            if not (self.directory / f"{manifest.stem.removesuffix(_OF_LEDGER)}{SEGMENT}").exists():
                manifest.unlink()
        for temporary in [*incomplete.glob(f"*.{run}.tmp"), *incomplete.glob(f"*-{run}-*.manifest.tmp")]:
            temporary.unlink(missing_ok=True)

    def _lock_of(self, run: str) -> Path:
        return self.directory / f"{run}.lock"

    def _take_over(self, run: str) -> bool:
        try:
            self._locks[run] = _lock_run(self._lock_of(run))
        except BlockingIOError:
            return False
        return True


def states(directory: Path) -> list[Path]:
    """Captures of the templates and options data that each worker knew when its last interval ended."""
    return sorted(directory.glob("templates-*.pcap"))


def captures_of_templates(directory: Path) -> list[Path]:
    """Captures that tell all templates and options data known in a journal, the latest last."""
    newest: dict[tuple[int, str], str] = {}
    for name in sorted(path.name for path in directory.glob(f"[0-9]*{SEGMENT}") if LATE not in path.name):
        newest[worker_of(name), _run(name)] = name
    return [*states(directory), *(directory / name for name in newest.values())]


def manifest_of(root: Path, segment: str) -> Path:
    """By whose being there a target has all rows of a segment."""
    return root / INCOMPLETE / f"{segment.removesuffix(SEGMENT)}.manifest"


def ledger_manifest_of(root: Path, segment: str) -> Path:
    """By whose being there a target has the ledger's rows of a segment."""
    flows = manifest_of(root, segment)
    return flows.with_stem(flows.stem + _OF_LEDGER)


def manifests_of(root: Path, segment: str) -> tuple[Path, Path]:
    """By which a target shows that it has the rows of a segment, and the ledger's."""
    return manifest_of(root, segment), ledger_manifest_of(root, segment)


def worker_of(segment: str) -> int:
    """The worker that received what a segment holds."""
    return int(segment.split("-")[1])


def _origin(segment: str) -> str:
    """What a segment of late sets was once a part of."""
    return segment.partition(LATE)[0]


def _late_segment(segment: str) -> str:
    """The segment that the sets of this one go to which no template came for."""
    stem, _, generation = segment.removesuffix(SEGMENT).partition(LATE)
    return f"{stem}{LATE}{int(generation or 0) + 1}{SEGMENT}"


def _run(segment: str) -> str:
    """The run that wrote a segment `<start>-<worker>-<run>-<seq>.pcap`."""
    return segment.split("-")[2]


def _lock_run(path: Path) -> int:
    """Show that a run is alive, or find that it is not. Raises BlockingIOError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor
