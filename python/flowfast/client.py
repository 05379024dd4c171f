"""Asking a collector that runs: the other end of `flowfast.endpoint`."""

import json
import urllib.error
import urllib.request
from typing import Any

from flowfast.endpoint import HttpAddress
from flowfast.errors import InputError

TIMEOUT_S = 5.0
MAX_OCTETS = 64 << 20
"""No collector has more to say: its exporters are bounded."""


def ask(address: HttpAddress, path: str) -> Any:
    """A page of the collector there, which is JSON; None if nobody answers. Raises InputError if something else does."""
    if address.port is None:
        return None
    # No proxy: it is asked for this machine's, or one that was named.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}{path}", timeout=TIMEOUT_S) as response:
            return json.loads(response.read(MAX_OCTETS))
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
