"""Is it alive? What the watchdog and `/healthz` ask."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

STALL_S = 10.0
"""Without a beat for so long, a part is stuck."""


@dataclass
class Progress:
    """Parts that must move, each with a beat that changes as it does.

    The thread that looks is a part itself: one that stops looking is stuck as well. Read from any thread.
    """

    stall_s: float = STALL_S
    _looked_s: float = field(default_factory=monotonic)
    _beats: dict[str, tuple[int | None, float]] = field(default_factory=dict)

    def look(self, beats: Mapping[str, int | None]) -> None:
        """Note each part's beat; None is a part that has nothing to do."""
        now_s = monotonic()
        seen = {}
        for part, beat in beats.items():
            before = self._beats.get(part)
            moved = beat is None or before is None or before[0] != beat
            seen[part] = (beat, now_s if moved or before is None else before[1])
        self._beats, self._looked_s = seen, now_s

    def stuck(self) -> list[str]:
        """The parts that have not moved for too long."""
        now_s = monotonic()
        if now_s - self._looked_s > self.stall_s:
            return ["pipeline"]
        return [part for part, (_, moved_s) in self._beats.items() if now_s - moved_s > self.stall_s]
