"""The disk under the journal: what is written becomes durable, and does not take more room than it may."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flowfast import logs
from flowfast.files import make_directory, sync
from flowfast.journal import KEPT, LATE, SEGMENT, Journal
from flowfast.units import format_octets

SYNC_S = 1.0
"""How often the journal is made durable: what a power cut may cost."""
LATE_S = 3600
"""How long sets without a template are kept: after that a template of the same id may well mean something else."""
RESERVE_SHARE, RESERVE_OCTETS = 0.05, 1 << 30
"""The journal leaves so much of the disk to the rows: a share of it, and not more than so many octets."""


class DiskWatch:
    """A thread that makes a journal durable, and stops it with `pause` while the disk is short."""

    def __init__(self, journal: Journal, max_octets: int, pause: Callable[[bool], None]) -> None:
        self._journal = journal
        self._max_octets = max_octets
        self._pause = pause
        self._paused = False
        self._synced: dict[Path, int] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal disk", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(SYNC_S):
            with suppress(OSError):  # what cannot be done now is tried again in a moment
                self.look()

    def look(self) -> None:
        """Make durable what is new, and see how much room there is."""
        make_directory(self._journal.directory)  # if somebody took it away
        self._sync()
        self._drop_old()
        octets = sum(_octets(path) for path in self._files())
        disk = os.statvfs(self._journal.directory)
        free = disk.f_bavail * disk.f_frsize
        reserve = min(int(disk.f_blocks * disk.f_frsize * RESERVE_SHARE), RESERVE_OCTETS)
        short = octets > self._max_octets or free < reserve
        if short == self._paused:
            return
        # Said when it is so: who reads it may rely on it.
        self._paused = short
        self._pause(short)
        if short:
            why = f"it takes {format_octets(octets)} of {format_octets(self._max_octets)}, {format_octets(free)} of the disk are free"
            logs.error("journal_stopped", f"the journal stops, reception goes on without it: {why}", octets=octets, free=free)
        else:
            logs.info("journal_resumed", "the journal goes on", octets=octets, free=free)

    def _sync(self) -> None:
        written = self._journal.directory.glob(f"*-{self._journal.run}-*{SEGMENT}")
        sizes = {path: _octets(path) for path in [*written, *self._journal.states()]}
        for path, size in sizes.items():
            if self._synced.get(path) != size:
                with suppress(FileNotFoundError):  # it was committed meanwhile
                    sync(path)
        if sizes.keys() - self._synced.keys():
            sync(self._journal.directory)
        self._synced = sizes

    def _drop_old(self) -> None:
        horizon_s = time.time() - LATE_S
        for path in self._journal.directory.glob(f"*{LATE}*{SEGMENT}"):
            with suppress(FileNotFoundError):  # it was decoded meanwhile
                if path.stat().st_mtime < horizon_s:
                    path.unlink()
                    self._journal.counters.segments_lost += 1
        kept = sorted((self._journal.directory / KEPT).glob(f"*{SEGMENT}"), key=lambda path: int(path.name.split("-")[0]))
        octets = sum(_octets(path) for path in self._files())
        while kept and octets > self._max_octets:
            octets -= _octets(kept[0])
            kept.pop(0).unlink()

    def _files(self) -> list[Path]:
        return [*self._journal.directory.glob("*.pcap"), *(self._journal.directory / KEPT).glob("*.pcap")]


def _octets(path: Path) -> int:
    """Octets of a file that may go at any time."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
