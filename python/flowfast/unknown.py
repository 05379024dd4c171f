"""Elements that exporters send and no registry knows: told once, by number."""

from collections.abc import Iterable

from flowfast import logs

LINES_AT_ONCE = 10
"""Lines that one look may log; the others follow with the next."""


def tell(news: Iterable[tuple[str, int, int, int, int]]) -> None:
    """Log elements of Transport Sessions, as `_core.Collector.news_of_unknown_elements` gives them (RFC 7011 section 9)."""
    for address, port, domain, pen, element in news:
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
