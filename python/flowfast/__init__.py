"""NetFlow v1-v9, IPFIX and sFlow into Apache Arrow.

`read` gives the flows of captures, `listen` those that arrive on UDP ports; `Decoder` takes datagrams from anywhere.
"""

from flowfast._core import Batch, Decoder, IntervalEnd, __version__
from flowfast.api import Capture, FlowStream, Listener, listen, read
from flowfast.errors import BindError, CaptureWarning, FlowfastError, InputError, UsageError

__all__ = [
    "Batch",
    "BindError",
    "Capture",
    "CaptureWarning",
    "Decoder",
    "FlowStream",
    "FlowfastError",
    "InputError",
    "IntervalEnd",
    "Listener",
    "UsageError",
    "__version__",
    "listen",
    "read",
]
