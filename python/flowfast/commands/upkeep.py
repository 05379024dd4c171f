"""The journal beside `flowfast collect`: opened, watched over, and decoded again where it must be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowfast import _core, logs
from flowfast.commands.targets import flows_schema
from flowfast.config import Settings
from flowfast.errors import TargetError, reason
from flowfast.journal import Journal
from flowfast.journal_disk import DiskWatch
from flowfast.recovery import Recovery
from flowfast.sinks import ROW_WRITERS, Account, target_hint
from flowfast.sinks.rotating import RotatingFiles
from flowfast.uris import Target


def open_journal(settings: Settings) -> Journal | None:
    """The journal, if the settings want one and a target rotates. Raises TargetError."""
    directory = settings.journal_directory
    if directory is None:
        _say_what_has_no_effect(settings)
        return None
    flows_schema(settings)
    try:
        return Journal(directory, settings.rotating_roots, keep=settings.journal == "keep")
    except OSError as error:
        raise TargetError(f"cannot write the journal to {directory}: {reason(error)}", target_hint(error)) from error


def _say_what_has_no_effect(settings: Settings) -> None:
    """Whoever asks for a journal and gets none should know."""
    names = ("journal", "journal_dir", "journal_size")
    asked = [name for name in names if name in settings.model_fields_set and getattr(settings, name) != "off"]
    why = "`journal` is `off`" if settings.journal == "off" else "no target is `parquet:DIR` or `arrow:DIR`, and others have no journal"
    for name in asked:
        setting = str(Settings.model_fields[name].alias)
        logs.warning("setting_without_effect", f"`{setting}` has no effect: {why}; a crash loses what is not written yet", setting=setting)


class Upkeep:
    """The threads that look after a journal."""

    def __init__(self, journal: Journal, collector: _core.Collector, settings: Settings) -> None:
        self._settings = settings
        self._journal = journal
        self._sinks: dict[Path, RotatingFiles] = {}
        self._targets: dict[Path, Target] = {}
        self._add_sinks(settings)
        self._recovery = Recovery(journal, self._sinks, self._decode)
        self._watch = DiskWatch(journal, settings.journal_size, collector.pause_journal)

    def start(self) -> None:
        """Start the threads."""
        self._watch.start()
        self._recovery.start()

    def change(self, settings: Settings) -> None:
        """The targets are these from now on. Raises OSError and TargetError; then nothing has changed."""
        self._add_sinks(settings)
        self._journal.change_roots(settings.rotating_roots)

    def _add_sinks(self, settings: Settings) -> None:
        for target in settings.to:
            if target.layout == "directory" and self._targets.get(target.path) != target:
                account = Account(str(target))
                self._sinks[target.path] = RotatingFiles(target, ROW_WRITERS[target.format], account, self._journal.run)
                self._targets[target.path] = target

    def close(self) -> None:
        """End the threads; what is left to decode is for the next start."""
        self._recovery.close()
        self._watch.close()
        self._journal.close()

    def _decode(self, captures: Sequence[Path], late: Path, worker: int, singly: bool) -> _core.Replay:
        settings = self._settings
        batching: dict[str, Any] = {"batch_rows": 1} if singly else {}
        return _core.Replay(
            [str(capture) for capture in captures],
            **settings.decoding,
            rotate_s=settings.rotation_s,
            late=late,
            first_worker=worker,
            ledger=True,
            limits=settings.limits.bounds(),  # whom to hear was decided when it came
            **batching,
        )
