"""The processes that a benchmark starts, and the CPU time that each is charged with.

The sum of user and system time is exact; how it splits into the two is sampled by the timer tick on most kernels.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from flowfast.commands.bench.sockets import wait_until
from flowfast.errors import FlowfastError

READY_TIMEOUT_S = 30
STOP_TIMEOUT_S = 120


class ProcessFailed(FlowfastError):
    """A process of a benchmark did not do what it was started for."""


@dataclass(frozen=True)
class Usage:
    """What a process used from its start to its end. Peak memory is at least that of its parent, which the kernel charges before `exec`."""

    user_s: float
    system_s: float
    peak_octets: int

    @property
    def cpu_s(self) -> float:
        """User and system time."""
        return self.user_s + self.system_s


class Process:
    """A child process in `directory`, its output in the file `log` there. A context manager: leaving it ends the process."""

    def __init__(self, command: Sequence[str], directory: Path, log: str) -> None:
        """Raises ProcessFailed if there is no such program."""
        self.command = " ".join(command)
        self._log = directory / log
        try:
            with self._log.open("wb") as output:
                self._popen = subprocess.Popen(command, cwd=directory, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
        except OSError as error:
            raise ProcessFailed(f"cannot start `{self.command}`: {error.strerror}", "is it installed, and in the PATH?") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._popen.stdin is not None:
            self._popen.stdin.close()
        if self._popen.returncode is None:
            self._popen.kill()
            self._popen.wait()

    @property
    def output(self) -> str:
        """What it has written so far, standard output and error."""
        return self._log.read_text(errors="replace")

    @property
    def has_ended(self) -> bool:
        """Whether it has; its usage is still to be collected by `wait`."""
        return os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait_until_ready(self, is_ready: Callable[[], bool]) -> None:
        """Wait until `is_ready`. Raises ProcessFailed if it ends before, or takes too long."""
        if not wait_until(lambda: self.has_ended or is_ready(), READY_TIMEOUT_S) or self.has_ended:
            raise self.failed("does not listen")

    def cpu_s(self) -> float:
        """CPU time until now. Linux numbers the clock of a process so (clock_getcpuclockid(3))."""
        return time.clock_gettime(~self._popen.pid << 3 | 2)

    def cpu_by_thread(self) -> dict[str, float]:
        """CPU time until now of each thread that runs, by `TID/NAME`."""
        found = {}
        for task in Path(f"/proc/{self._popen.pid}/task").iterdir():
            try:
                nanoseconds = int((task / "schedstat").read_text().split()[0])
                found[f"{task.name}/{(task / 'comm').read_text().strip()}"] = nanoseconds / 1e9
            except (OSError, IndexError):  # it has ended meanwhile
                continue
        return found

    @property
    def pid(self) -> int:
        """Its process id, which is the TID of its first thread, too."""
        return self._popen.pid

    def user_s(self) -> float:
        """User CPU time until now (proc_pid_stat(5)), in ticks of 10 ms on most machines."""
        fields = Path(f"/proc/{self._popen.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) / os.sysconf("SC_CLK_TCK")

    def end_input(self) -> None:
        """Close its standard input."""
        if self._popen.stdin is not None:
            self._popen.stdin.close()

    def wait(self, timeout_s: float = STOP_TIMEOUT_S, *, check: bool = True) -> Usage:
        """Wait for the end; after `timeout_s` the process is killed. Raises ProcessFailed if its exit code is not 0 and `check`."""
        killer = threading.Timer(timeout_s, self._popen.kill)
        killer.start()
        try:
            _, status, used = os.wait4(self._popen.pid, 0)
        finally:
            killer.cancel()
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        if check and self._popen.returncode != 0:
            raise self.failed(f"ended with {self._popen.returncode}")
        return Usage(used.ru_utime, used.ru_stime, used.ru_maxrss * 1024)

    def failed(self, how: str) -> ProcessFailed:
        """The error to raise, with the last lines of what it wrote."""
        said = " ".join(self.output.split())[-300:]
        return ProcessFailed(f"`{self.command}` {how}: {said or 'it wrote nothing'}")


def run(command: Sequence[str], directory: Path) -> str:
    """Run a command to its end; what it wrote. Raises ProcessFailed."""
    with Process(command, directory, "command.log") as process:
        process.wait()
        return process.output
