"""Logs on standard error: sentences on a terminal, one JSON object a line otherwise."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from flowfast.escape import printable_json, printable_lines

_log = logging.getLogger("flowfast")


def event(level: int, name: str, message: str, **fields: Any) -> None:
    """Log what happened: `name` and `fields` for machines, `message` for people."""
    _log.log(level, message, extra={"event": name, "fields": fields})


def info(name: str, message: str, **fields: Any) -> None:
    """Nothing is wrong."""
    event(logging.INFO, name, message, **fields)


def warning(name: str, message: str, **fields: Any) -> None:
    """Something is wrong, and no flow is lost by it yet."""
    event(logging.WARNING, name, message, **fields)


def error(name: str, message: str, **fields: Any) -> None:
    """Flows are lost."""
    event(logging.ERROR, name, message, **fields)


def set_up(console: Console, *, service: bool) -> None:
    """Send the package's logs to `console`, above any status line.

    A `service` is read later: its sentences have the time, and it writes JSON where there is no terminal. Other commands write sentences.
    """
    as_json = service and not console.is_terminal
    handler = logging.StreamHandler(console.file) if as_json else _ConsoleHandler(console)
    handler.setFormatter(_JsonFormatter() if as_json else _SentenceFormatter(with_time=service))
    _log.handlers[:] = [handler]
    _log.setLevel(logging.INFO)
    _log.propagate = False


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._console.print(self.format(record), markup=False, highlight=False, soft_wrap=True)
        except OSError:  # the terminal has gone
            self.handleError(record)


class _SentenceFormatter(logging.Formatter):
    def __init__(self, *, with_time: bool) -> None:
        super().__init__()
        self._with_time = with_time

    def format(self, record: logging.LogRecord) -> str:
        time = f"{datetime.fromtimestamp(record.created):%H:%M:%S} " if self._with_time else ""
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        return f"{time}{level}{printable_lines(record.getMessage())}"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "log"),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        return printable_json(json.dumps(entry, ensure_ascii=False))
