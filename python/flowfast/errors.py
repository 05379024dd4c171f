"""What flowfast raises: one sentence for people, and a hint that says what to do about it."""

import difflib
import errno
import os
import sys
from collections.abc import Iterable

from flowfast.escape import printable_lines

EXIT_FAILED = 1
EXIT_USAGE = 2


class FlowfastError(Exception):
    """Something a person must act on. `str()` is one sentence; `hint` (may be empty) says what to do."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        """The sentence: an OSError that knows its `errno` would say something of its own."""
        return str(self.args[0])


class UsageError(FlowfastError, ValueError):
    """A flag, argument or setting that cannot be met."""

    exit_code = EXIT_USAGE


class BindError(FlowfastError, OSError):
    """A listener's socket could not be had: port in use, no permission, no such address."""


class InputError(FlowfastError, OSError):
    """An input file could not be opened."""


class TargetError(FlowfastError, OSError):
    """A target could not be opened, or cannot take any more rows."""


class TargetLost(TargetError):
    """A target that will never take a row again. `reader_left`: because whoever read it has gone, which is no fault."""

    def __init__(self, message: str, hint: str = "", *, reader_left: bool = False) -> None:
        super().__init__(message, hint)
        self.reader_left = reader_left


class CaptureWarning(UserWarning):
    """A capture was truncated or is none: what was readable has been read."""


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """A hint that offers the name in `known` nearest to `name`, or lists them all if there are few; else empty."""
    names = list(known)
    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if matches:
        return f"did you mean `{matches[0]}`?"
    return f"known are {', '.join(f'`{each}`' for each in names)}" if len(names) <= 12 else ""


def reason(error: BaseException) -> str:
    """Why, in a few words and on one line: `strerror` for system errors, else the first line of the message."""
    code = getattr(error, "errno", None)
    if isinstance(code, int):
        return os.strerror(code).lower() if code != errno.ENOSPC else "no space left on the device"
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def print_error(error: FlowfastError) -> None:
    """Tell a person, on standard error."""
    sys.stderr.write(printable_lines(f"error: {error}\n" + (f"hint: {error.hint}\n" if error.hint else "")))
