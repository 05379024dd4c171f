"""The journal beside `flowfast collect`: opened, watched over, and decoded again where it must be."""

from collections.abc import Sequence
from pathlib import Path

from flowfast import _core
from flowfast.commands.targets import flows_schema
from flowfast.config import Settings
from flowfast.errors import TargetError, reason
from flowfast.journal import Journal
from flowfast.journal_disk import DiskWatch
from flowfast.recovery import Recovery
from flowfast.sinks import ROW_WRITERS, Account, target_hint
from flowfast.sinks.rotating import RotatingFiles


def open_journal(settings: Settings) -> Journal | None:
    """The journal, if the settings want one and a target rotates. Raises TargetError."""
    roots = [target.path for target in settings.to if target.layout == "directory"]
    if settings.journal == "off" or not roots:
        return None
    flows_schema(settings)
    directory = settings.journal_dir or roots[0] / "journal"
    try:
        return Journal(directory, roots, keep=settings.journal == "keep")
    except OSError as error:
        raise TargetError(f"cannot write the journal to {directory}: {reason(error)}", target_hint(error)) from error


class Upkeep:
    """The threads that look after a journal."""

    def __init__(self, journal: Journal, collector: _core.Collector, settings: Settings) -> None:
        self._settings = settings
        self._journal = journal
        rotating = [target for target in settings.to if target.layout == "directory"]
        sinks = [
            RotatingFiles(target.path, target.format, ROW_WRITERS[target.format], Account(str(target)), journal.run) for target in rotating
        ]
        self._recovery = Recovery(journal, sinks, self._decode)
        self._watch = DiskWatch(journal, settings.journal_size, collector.pause_journal)

    def start(self) -> None:
        """Start the threads."""
        self._watch.start()
        self._recovery.start()

    def close(self) -> None:
        """End the threads; what is left to decode is for the next start."""
        self._recovery.close()
        self._watch.close()
        self._journal.close()

    def _decode(self, captures: Sequence[Path], late: Path) -> _core.Replay:
        settings = self._settings
        return _core.Replay(
            [str(capture) for capture in captures],
            **settings.decoding,
            rotate_s=settings.rotation_s,
            late=late,
        )
