"""`flowfast convert`: decode captures."""

from collections.abc import Sequence
from contextlib import nullcontext

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from flowfast import _core, logs
from flowfast.commands.signals import StopSignals
from flowfast.commands.targets import failures, flows_schema, open_runners, readers_left, stdout_is_shared
from flowfast.config import Settings
from flowfast.core_errors import input_error, usage_errors
from flowfast.errors import EXIT_FAILED, FlowfastError, InputError, print_error
from flowfast.pipeline import Pipeline, SinkRunner
from flowfast.status import summary
from flowfast.units import plural

_HINTS = {
    "is empty": "a capture is made with `tcpdump -w FILE udp port 2055`",
    "is not a pcap or pcapng file": "a compressed one can be piped in: `zcat FILE | flowfast convert -`",
}
"""What mends a file that nothing could be read of."""


def run(inputs: Sequence[str], ports: Sequence[int], settings: Settings) -> int:
    """Decode captures and say what was in them. Returns the exit code: 0 if all could be read and written.

    `ports`: only these UDP destination ports, or all if empty.
    """
    flows_schema(settings)  # a mistake in the columns is told before anything is opened
    console = Console(stderr=True)
    logs.set_up(console, service=False)
    replay = open_replay(inputs, ports, settings)
    runners = open_runners(settings, replace=True)
    progress = _progress(console) if console.is_terminal and not stdout_is_shared(settings.to) else None
    with StopSignals() as signals, progress or nullcontext():
        bar = progress.add_task("reading") if progress else None

        def tick() -> None:
            if progress and bar is not None:
                done, total = replay.progress()
                progress.update(bar, completed=done, total=total or None, description="writing" if done == total else "reading")
            if signals.count >= 2:
                pipeline.abandon()
            elif all(runner.lost for runner in runners):
                replay.close()
            elif signals.count:
                replay.stop()

        pipeline = Pipeline(replay, runners, wait=True, on_tick=tick)
        replay.start()
        complete = pipeline.run()
    if readers_left(runners):
        return 0
    console.print("\n".join(summary(replay.stats(), [runner.account for runner in runners])), markup=False, highlight=False, soft_wrap=True)
    problems = _problems(replay, runners)
    if signals.count:
        problems.append(_interrupted(replay, runners, complete=complete))
    for problem in problems:
        print_error(problem)
    return EXIT_FAILED if problems else 0


def open_replay(inputs: Sequence[str], ports: Sequence[int], settings: Settings) -> _core.Replay:
    """Open the captures. Raises InputError or UsageError."""
    try:
        with usage_errors():
            return _core.Replay(
                inputs,
                ports=ports,
                **settings.decoding,
                workers=settings.workers,
                rotate_s=settings.rotation_s,
                ledger=settings.keeps_ledger,
            )
    except OSError as error:
        raise input_error(error) from error


def _problems(replay: _core.Replay, runners: Sequence[SinkRunner]) -> list[FlowfastError]:
    found: list[FlowfastError] = [
        InputError(f"{path} {predicate}", _HINTS.get(predicate, "what could be read of it was decoded"))
        for path, predicate in replay.file_errors()
    ]
    return [*found, *failures(runners)]


def _interrupted(replay: _core.Replay, runners: Sequence[SinkRunner], *, complete: bool) -> FlowfastError:
    """How far it came; `complete`: every target has closed, though there was more to read."""
    done, total = replay.progress()
    of_all = f" of {total:,}" if total else ""  # nobody knows how much is to come on standard input
    if complete:
        return FlowfastError(f"interrupted after {done:,}{of_all} octets", "what had been read by then is written")
    in_flight = sum(runner.account.records_in_flight for runner in runners)
    return FlowfastError(
        f"stopped at once after {done:,}{of_all} octets: {plural(in_flight, 'record')} in flight are lost",
        "the first Ctrl-C waits until what had been read is written; the second leaves unfinished files, `.*.tmp`, for you to remove",
    )


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)
