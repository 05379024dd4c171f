"""Opening targets, and telling what became of them: what `collect` and `convert` share."""

import sys
from collections.abc import Sequence

import pyarrow as pa

from flowfast import columns
from flowfast.config import Settings
from flowfast.errors import TargetError, reason
from flowfast.journal import Journal
from flowfast.pipeline import SinkRunner
from flowfast.sinks import Account, open_sink, target_hint
from flowfast.units import plural
from flowfast.uris import Target


def flows_schema(settings: Settings) -> pa.Schema | None:
    """The schema of the `flows` table, or None for `wire`. Raises UsageError for columns that there are not."""
    if settings.schema_ != "flows":
        if "columns" in settings.model_fields_set:
            raise columns.no_columns_to_choose()
        return None
    return columns.flows_schema(settings.columns)


def open_runners(settings: Settings, *, replace: bool, journal: Journal | None = None) -> list[SinkRunner]:
    """A runner for each target; `replace`: a single file of that name gives way. `journal`: of the rotating targets. Raises UsageError and
    TargetError.
    """
    return [open_runner(settings, target, replace=replace, journal=journal) for target in settings.to]


def open_runner(settings: Settings, target: Target, *, replace: bool, journal: Journal | None = None) -> SinkRunner:
    """The runner of one target. Raises UsageError and TargetError."""
    account = Account(str(target))
    its_journal = journal if target.layout == "directory" else None
    sink = open_sink(target, account, flows_schema(settings), replace=replace, run=its_journal.run if its_journal else "")
    return SinkRunner(sink, account, journal=its_journal)


def stdout_is_shared(targets: Sequence[Target]) -> bool:
    """Whether rows go to the terminal that a status line would be written over."""
    return any(target.layout == "stdout" for target in targets) and sys.stdout.isatty()


def readers_left(runners: Sequence[SinkRunner]) -> bool:
    """Whether all that is left to do is to stop: nobody reads any target any more."""
    return all(runner.account.reader_left for runner in runners)


def failures(runners: Sequence[SinkRunner]) -> list[TargetError]:
    """For each target that lost rows in writing, a sentence."""
    found = []
    for account in (runner.account for runner in runners):
        error = account.last_error
        if account.records_failed and error is not None and not account.reader_left:
            hint = error.hint if isinstance(error, TargetError) else target_hint(error) if isinstance(error, OSError) else ""
            found.append(TargetError(f"{account.target} lost {plural(account.records_failed, 'record')}: {reason(error)}", hint))
    return found
