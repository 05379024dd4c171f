"""The core's exceptions as flowfast's own."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from flowfast.errors import BindError, FlowfastError, InputError, UsageError, reason


@contextmanager
def usage_errors(hint: str = "") -> Iterator[None]:
    """Turn what the core says of wrong arguments, which may end in a `hint:` line, into a UsageError; `hint` is for those that do not."""
    try:
        yield
    except FlowfastError:
        raise
    except OverflowError as error:
        raise UsageError("a number is out of range", hint) from error
    except ValueError as error:
        message, _, better_hint = str(error).partition("\nhint: ")
        raise UsageError(message, better_hint or hint) from error


def bind_error(error: OSError, uri: str) -> BindError:
    """Why nothing can listen on `uri`; `errno` and `filename` are those of the system's error."""
    uri = str(error.filename or uri)
    told = _bind_error(error, uri)
    told.errno, told.filename = error.errno, uri
    return told


def _bind_error(error: OSError, uri: str) -> BindError:
    port = uri.partition("?")[0].rpartition(":")[2]
    match error.errno:
        case errno.EADDRINUSE:
            return BindError(
                f"cannot listen on {uri}: the port is in use", f"`ss -lunp sport = :{port}` shows by whom; or choose another port"
            )
        case errno.EACCES | errno.EPERM:
            return BindError(f"cannot listen on {uri}: no permission", "choose a port above 1023, or grant CAP_NET_BIND_SERVICE")
        case errno.EADDRNOTAVAIL:
            return BindError(
                f"cannot listen on {uri}: this machine does not have the address", "`ip address` shows those it has; `[::]` means all"
            )
        case errno.EAFNOSUPPORT:
            return BindError(f"cannot listen on {uri}: this machine has no IPv6", "listen on `udp://0.0.0.0:PORT`")
    return BindError(f"cannot listen on {uri}: {reason(error)}")


def input_error(error: OSError) -> InputError:
    """Why an input file cannot be read, or is none: what the core says of its contents has no `errno`."""
    if error.errno is None:
        return InputError(reason(error), "inputs are captures: pcap and pcapng files, of tcpdump for example")
    hints = {
        errno.ENOENT: "check the path",
        errno.EACCES: "check the file's permissions",
        errno.EISDIR: "name the files in it: `DIR/*.pcap`",
    }
    name = f"{error.filename}" if error.filename else "the input"
    return InputError(f"cannot read {name}: {reason(error)}", hints.get(error.errno or 0, ""))
