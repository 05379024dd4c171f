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
        pipeline.run()
    if readers_left(runners):
        return 0
    console.print("\n".join(summary(replay.stats(), [runner.account for runner in runners])), markup=False, highlight=False, soft_wrap=True)
    problems = _problems(replay, runners, interrupted=signals.count > 0)
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


def _problems(replay: _core.Replay, runners: Sequence[SinkRunner], *, interrupted: bool) -> list[FlowfastError]:
    found: list[FlowfastError] = [
        InputError(f"{path} {predicate}", _HINTS.get(predicate, "what could be read of it was decoded"))
        for path, predicate in replay.file_errors()
    ]
    found += failures(runners)
    if interrupted:
        done, total = replay.progress()
        of_all = f" of {total:,}" if total else ""  # nobody knows how much is to come on standard input
        found.append(FlowfastError(f"interrupted after {done:,}{of_all} octets", "what had been read by then is written"))
    return found


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)
