"""Elements that exporters send and no registry knows: told once, and counted by number."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from flowfast import logs

MAX_TOLD = 10_000
"""Elements that are remembered as told. Beyond them new ones are told no more, for exporters choose what they send."""
LINES_AT_ONCE = 10
"""Lines that one look may log; the others follow with the next."""

Exporter = Mapping[str, Any]
Session = tuple[str, int, int]
"""Exporter, its port, Observation Domain."""


class UnknownElements:
    """Logs each unknown element of a Transport Session once (RFC 7011 section 9)."""

    def __init__(self) -> None:
        self._told: set[tuple[Session, int, int]] = set()

    def tell(self, exporters: Iterable[Exporter]) -> bool:
        """Log what is new in `exporters()`, as much as one look may; False if there is more."""
        lines = 0
        for session, pen, element in _unknown(exporters):
            if (session, pen, element) in self._told:
                continue
            if len(self._told) == MAX_TOLD:
                break
            if lines == LINES_AT_ONCE:
                return False
            self._told.add((session, pen, element))
            lines += 1
            address, port, domain = session
            logs.info(
                "unknown_element",
                f"unknown element {pen}:{element} from {address}, port {port}, domain {domain}: kept as e{pen}_i{element} in the wire "
                f"schema; `--columns {pen}:{element}` shows it beside flows",
                exporter=address,
                exporter_port=port,
                domain=domain,
                pen=pen,
                id=element,
            )
        return True


def sessions_by_element(exporters: Iterable[Exporter], limit: int) -> Sequence[tuple[tuple[int, int], int]]:
    """((pen, id), how many sessions send it) of the `limit` elements that most of them send."""
    counts = Counter((pen, element) for _, pen, element in _unknown(exporters))
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:limit]


def _unknown(exporters: Iterable[Exporter]) -> Iterator[tuple[Session, int, int]]:
    for each in exporters:
        for port, pen, element in each["unknown_elements"]:
            yield (each["exporter"], port, each["domain"]), pen, element
