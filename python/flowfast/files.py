"""Files that appear complete or not at all: a temporary name, fsync, rename, fsync of the directory."""

import os
import re
from contextlib import suppress
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

    def commit(self) -> None:
        """Make the content durable, then the name. Raises OSError; the temporary file is then still there."""
        _fsync(self.temporary)
        self.temporary.rename(self.path)
        _fsync(self.path.parent)

    def discard(self) -> None:
        """Remove what was written, as far as it is still there."""
        with suppress(OSError):  # the directory is gone or read-only: nothing is left that a reader could mistake for data
            self.temporary.unlink(missing_ok=True)


def pending_single(path: Path) -> PendingFile:
    """A single file, to which an earlier one of its name gives way only when it is complete."""
    pending = PendingFile(path, path.with_name(f".{path.name}.{os.getpid()}.tmp"))
    pending.temporary.open("wb").close()
    return pending


def pending_rotating(root: Path, table: str, start_s: int, worker: int, suffix: str) -> PendingFile:
    """Take the next free name for rows of one table, worker and interval.

    It is `DIR/<table>/date=YYYY-MM-DD/hour=HH/<table>-<start>-<worker>-<seq>.<suffix>`, in UTC. Raises OSError.
    """
    start = datetime.fromtimestamp(start_s, UTC)
    name = _safe(table)
    partition = root / name / f"date={start:%Y-%m-%d}" / f"hour={start:%H}"
    incomplete = root / INCOMPLETE
    partition.mkdir(parents=True, exist_ok=True)
    incomplete.mkdir(exist_ok=True)
    seq = 0
    while True:
        file = f"{name}-{start:%Y%m%dT%H%M%SZ}-{worker}-{seq}.{suffix}"
        pending = PendingFile(partition / file, incomplete / f"{file}.tmp")
        if _reserve(pending):
            return pending
        seq += 1


def probe_directory(root: Path) -> None:
    """Make a rotating target's directory and write to it, so that a full or forbidden one is known at once. Raises OSError."""
    (root / INCOMPLETE).mkdir(parents=True, exist_ok=True)
    _probe(root / INCOMPLETE / f"probe.{os.getpid()}.tmp")


def probe_single(path: Path) -> None:
    """Write where a single file is to appear, and leave nothing. Raises OSError."""
    _probe(pending_single(path).temporary)


def unfinished(root: Path) -> list[Path]:
    """Files in a rotating target that a process which was killed, or is still running, has not finished."""
    return sorted((root / INCOMPLETE).glob("*.tmp"))


def _reserve(pending: PendingFile) -> bool:
    """Take a name, unless a committed file or one being written has it.

    The temporary name is taken first: whoever holds it is the only one who may commit to the final name, so a look for the final one
    is then safe from other processes.
    """
    try:
        pending.temporary.open("xb").close()
    except FileExistsError:
        return False
    if pending.path.exists():
        pending.discard()
        return False
    return True


def _probe(path: Path) -> None:
    try:
        path.write_bytes(bytes(4096))
        _fsync(path)
    finally:
        PendingFile(path, path).discard()


def _safe(table: str) -> str:
    """A table's name as a file name: it may hold what an exporter sent."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", table)[:128].lstrip(".") or "_"


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
