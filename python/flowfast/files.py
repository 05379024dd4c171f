"""Files that appear complete or not at all: a temporary name, fsync, rename, fsync of the directory."""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

INCOMPLETE = ".incomplete"
"""Directory of unfinished files within a rotating target; like their suffix, no reader's glob matches it."""


@dataclass(frozen=True)
class PendingFile:
    """A file being written under a temporary name. It exists, empty, from the start."""

    path: Path
    temporary: Path

    def commit(self) -> int:
        """Make the content durable, then the name; its octets are returned. Raises OSError; the temporary file is then still there."""
        octets = sync(self.temporary)
        self.temporary.rename(self.path)
        sync(self.path.parent)
        return octets

    def discard(self) -> None:
        """Remove what was written, as far as it is still there."""
        with suppress(OSError):  # the directory is gone or read-only: nothing is left that a reader could mistake for data
            self.temporary.unlink(missing_ok=True)


def pending_single(path: Path) -> PendingFile:
    """A single file, to which an earlier one of its name gives way only when it is complete."""
    pending = PendingFile(path, path.with_name(f".{path.name}.{os.getpid()}.tmp"))
    pending.temporary.open("wb").close()
    return pending


def pending_rotating(root: Path, table: str, start_s: int, worker: int, suffix: str, *, run: str = "") -> PendingFile:
    """Take the next free name for rows of one table, worker and interval.

    It is `DIR/<table>/date=YYYY-MM-DD/hour=HH/<table>-<start>-<worker>-<seq>.<suffix>`, in UTC. The temporary name holds `run`, by which
    the process is known that writes it. Raises OSError.
    """
    start = datetime.fromtimestamp(start_s, UTC)
    name = _safe(table)
    partition = root / name / f"date={start:%Y-%m-%d}" / f"hour={start:%H}"
    incomplete = root / INCOMPLETE
    make_directory(partition)
    make_directory(incomplete)
    seq = 0
    while True:
        file = f"{name}-{start:%Y%m%dT%H%M%SZ}-{worker}-{seq}.{suffix}"
        pending = PendingFile(partition / file, incomplete / (f"{file}.{run}.tmp" if run else f"{file}.tmp"))
        if _reserve(pending):
            return pending
        seq += 1


def write_manifest(manifest: Path, files: Sequence[PendingFile]) -> None:
    """Decide that all these files get their names, or none: they do once the manifest is there. Raises OSError before that.

    The files and the manifest lie in the same directory.
    """
    for file in files:
        sync(file.temporary)
    names = [[file.temporary.name, os.path.relpath(file.path, manifest.parent)] for file in files]
    temporary = manifest.with_name(f"{manifest.name}.tmp")
    try:
        temporary.write_text(json.dumps(names))
        sync(temporary)
        temporary.rename(manifest)
        sync(manifest.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        manifest.unlink(missing_ok=True)
        raise


def carry_out(manifest: Path) -> bool:
    """Give the files of a manifest their names, as far as they have not got them. Whether the manifest is there. Raises OSError."""
    try:
        names = json.loads(manifest.read_text())
    except FileNotFoundError:
        return False
    changed = set()
    for temporary, path in names:
        final = Path(os.path.normpath(manifest.parent / path))
        with suppress(FileNotFoundError):  # it has its name already
            (manifest.parent / temporary).rename(final)
        changed.add(final.parent)
    for directory in changed:
        with suppress(FileNotFoundError):  # whoever had the files took the directory, too
            sync(directory)
    return True


def probe_directory(root: Path) -> None:
    """Make a rotating target's directory and write to it, so that a full or forbidden one is known at once. Raises OSError."""
    make_directory(root / INCOMPLETE)
    _probe(root / INCOMPLETE / f"probe.{os.getpid()}.tmp")


def probe_single(path: Path) -> None:
    """Write where a single file is to appear, and leave nothing. Raises OSError."""
    _probe(pending_single(path).temporary)


def unfinished(root: Path) -> list[Path]:
    """Files in a rotating target that a process which was killed, or is still running, has not finished."""
    return sorted((root / INCOMPLETE).glob("*.tmp"))


def _reserve(pending: PendingFile) -> bool:
    """Take a name, unless a committed file or one being written has it.

    Whoever has a temporary file for a name is the only one who may commit to it. Names are taken one at a time, by whatever process.
    """
    with _locked(pending.temporary.parent) as incomplete:
        taken = any(other.name.startswith(f"{pending.path.name}.") for other in incomplete.iterdir()) or pending.path.exists()
        if not taken:
            pending.temporary.open("xb").close()
    return not taken


@contextmanager
def _locked(directory: Path) -> Iterator[Path]:
    """A directory that nobody else who asks this way changes meanwhile."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield directory
    finally:
        os.close(descriptor)  # and with it the lock


def _probe(path: Path) -> None:
    try:
        path.write_bytes(bytes(4096))
        sync(path)
    finally:
        PendingFile(path, path).discard()


def _safe(table: str) -> str:
    """A table's name as a file name: it may hold what an exporter sent."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", table)[:128].lstrip(".") or "_"


def make_directory(directory: Path) -> None:
    """Make a directory, and what it lies in, so that they are still there after a power cut. Raises OSError."""
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync(each.parent)


def sync(path: Path) -> int:
    """Make a file's content or a directory's names durable; its size in octets. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
