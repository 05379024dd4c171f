"""Run commands and account for what they used: CPU time in user space and in the kernel, wall time, peak memory.

CPU time is what the kernel charges to the process and all its threads, from `wait4`. The sum of user and system time is exact;
how it splits into the two is sampled by the timer tick on most kernels. A child is charged with the peak memory of its parent before
`exec`, so this program imports nothing large.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Self, TypeVar

READY_TIMEOUT_S = 30
STOP_TIMEOUT_S = 60


class Failed(Exception):
    """A command did not do what it was started for."""


@dataclass(frozen=True)
class Usage:
    """What one process used from start to end."""

    wall_s: float
    user_s: float
    sys_s: float
    max_rss_octets: int

    @property
    def cpu_s(self) -> float:
        return self.user_s + self.sys_s


class Process:
    """A child process whose end gives its `Usage`. A context manager: leaving it ends the process."""

    def __init__(self, command: Sequence[str], cwd: Path, output: Path) -> None:
        """Start `command` in `cwd`, its standard output and error written to the file `output`."""
        self._output = output
        self._started = time.monotonic()
        with output.open("wb") as stream:
            self._popen = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._popen.returncode is None:
            self._popen.kill()
            self._popen.wait()

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def wait_for(self, text: str) -> None:
        """Wait until the process has written `text`. Raises Failed."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while text not in self.output:
            if time.monotonic() > deadline or self._has_exited():
                raise Failed(f"`{_name(self._popen.args)}` did not come up: {self.output[-500:]}")
            time.sleep(0.01)

    def _has_exited(self) -> bool:
        """Look without reaping: the resource usage is still to be collected."""
        return os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def cpu_so_far_s(self) -> float:
        """CPU time until now, of a process that runs. Linux encodes the clock of a process so (see clock_getcpuclockid)."""
        return time.clock_gettime(~self._popen.pid << 3 | 2)

    def terminate(self) -> None:
        os.kill(self._popen.pid, signal.SIGTERM)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> Usage:
        """Wait for the end. Raises Failed if the exit code is not 0, or after `timeout_s`."""
        killer = threading.Timer(timeout_s, os.kill, (self._popen.pid, signal.SIGKILL))
        killer.start()
        try:
            _, status, used = os.wait4(self._popen.pid, 0)
        finally:
            killer.cancel()
        wall_s = time.monotonic() - self._started
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        if self._popen.returncode != 0:
            raise Failed(f"`{_name(self._popen.args)}` ended with {self._popen.returncode}: {self.output[-500:]}")
        return Usage(wall_s, used.ru_utime, used.ru_stime, used.ru_maxrss * 1024)


def run(command: Sequence[str], cwd: Path) -> tuple[Usage, str]:
    """Run a command to its end; what it used and what it wrote. Raises Failed."""
    with Process(command, cwd, cwd / "output.log") as process:
        return process.wait(), process.output


Key = TypeVar("Key")
Result = TypeVar("Result")


def rounds(count: int, variants: dict[Key, Callable[[], Result]]) -> dict[Key, list[Result]]:
    """Each variant once, then each again: what disturbs the machine for a while disturbs all of them."""
    results: dict[Key, list[Result]] = {key: [] for key in variants}
    for _ in range(count):
        for key, measure in variants.items():
            results[key].append(measure())
    return results


def peak_mib(usages: Sequence[Usage]) -> int:
    return round(median(usage.max_rss_octets for usage in usages) / 2**20)


def _name(command: object) -> str:
    return " ".join(command) if isinstance(command, list) else str(command)
