"""Is it alive? What the watchdog and `/healthz` ask."""

import threading
from collections.abc import Callable, Mapping

STALL_S = 10.0
"""Without a beat for so long, a part is stuck."""
TURN_S = 0.25


class RunningTime:
    """A clock that stands still while nobody gets a turn: it counts the turns of a thread that has nothing else to do.

    On a machine that is overloaded or suspended, or while another thread keeps the interpreter, all are slow and none is stuck.
    """

    def __init__(self) -> None:
        self._turns = 0
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    def start(self) -> None:
        """Start the thread, and with it the clock."""
        self._thread.start()

    def now_s(self) -> float:
        """Seconds since the start, as far as they were to be had."""
        return self._turns * TURN_S

    def _run(self) -> None:
        never = threading.Event()
        while not never.wait(TURN_S):
            self._turns += 1


class Progress:
    """Parts that must move, each with a beat that changes as it does; `now_s` is the clock.

    The thread that looks is a part itself: one that stops looking is stuck as well. Read from any thread.
    """

    def __init__(self, now_s: Callable[[], float], stall_s: float = STALL_S) -> None:
        self.stall_s = stall_s
        self._now_s = now_s
        self._looked_s = now_s()
        self._beats: dict[str, tuple[int | None, float]] = {}

    def look(self, beats: Mapping[str, int | None]) -> None:
        """Note each part's beat; None is a part that has nothing to do."""
        now_s = self._now_s()
        seen = {}
        for part, beat in beats.items():
            before = self._beats.get(part)
            moved = beat is None or before is None or before[0] != beat
            seen[part] = (beat, now_s if moved or before is None else before[1])
        self._beats, self._looked_s = seen, now_s

    def stuck(self) -> list[str]:
        """The parts that have not moved for too long."""
        now_s = self._now_s()
        if now_s - self._looked_s > self.stall_s:
            return ["pipeline"]
        return [part for part, (_, moved_s) in self._beats.items() if now_s - moved_s > self.stall_s]
