"""Asking a collector that runs: the other end of `flowfast.endpoint`."""

import json
import re
import urllib.error
import urllib.request
from typing import Any

from flowfast.endpoint import HttpAddress
from flowfast.errors import InputError

TIMEOUT_S = 5.0
MAX_OCTETS = 64 << 20
"""Of a page, or a part of a long one."""


def ask(address: HttpAddress, path: str) -> Any:
    """A page of the collector there, which is JSON, a list with all its parts; None if nobody answers. Raises InputError if something else
    does.
    """
    answer = _ask(address, path)
    if answer is None:
        return None
    page, more = answer
    while more and (answer := _ask(address, more)) is not None:
        rows, more = answer
        if not (isinstance(page, list) and isinstance(rows, list) and rows):
            raise not_flowfast(address)
        page += rows
    return page


def _ask(address: HttpAddress, path: str) -> tuple[Any, str | None] | None:
    """A page, and where it goes on (RFC 8288), if it does."""
    if address.port is None:
        return None
    # No proxy: it is asked for this machine's, or one that was named.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}{path}", timeout=TIMEOUT_S) as response:
            more = re.fullmatch(r'<(/[^>]*)>; rel="next"', response.headers.get("Link", ""))
            return json.loads(response.read(MAX_OCTETS)), more and more[1]
    except (ConnectionError, TimeoutError):
        return None
    except urllib.error.HTTPError as error:
        raise not_flowfast(address) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionError | TimeoutError):
            return None
        raise InputError(f"cannot ask http://{address}: {error.reason}", "`--http ADDRESS:PORT` names the collector's") from error
    except ValueError as error:
        raise not_flowfast(address) from error


def not_flowfast(address: HttpAddress) -> InputError:
    """Something answers there, and makes no sense."""
    return InputError(
        f"what answers at http://{address} is no flowfast", "`--http ADDRESS:PORT` names the collector's address, `--http off` asks none"
    )
