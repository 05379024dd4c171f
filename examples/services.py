"""A flow-by-flow kernel of one's own, in Cython, over flowfast's Arrow batches: the services that most octets belong to.

    pip install cython setuptools
    python examples/services.py CAPTURE.pcap

What neither Arrow nor numpy can do at once is written like `services_kernel.pyx`: a loop over typed columns, compiled, called once a batch.
"""

import importlib
import sys

import numpy as np
import pyarrow as pa
import pyximport

import flowfast

COLUMNS = ["src_port", "dst_port", "proto", "bytes"]
SERVICES = 10


def column(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """A column as a numpy array: the batch's own memory, unless values are missing, which count as 0."""
    values = batch[name]
    return (values.fill_null(0) if values.null_count else values).to_numpy()


def main() -> None:
    """Print the services, those with most octets first."""
    pyximport.install(language_level=3)  # compiles on import, and keeps what it compiled in ~/.pyxbld
    kernel = importlib.import_module("services_kernel")
    totals = np.zeros((256, 65536), np.uint64)
    for batch in flowfast.read(sys.argv[1:], columns=COLUMNS):
        rows = pa.record_batch(batch)
        kernel.octets_by_service(*(column(rows, name) for name in COLUMNS), totals)
    for index in np.argsort(totals, axis=None)[::-1][:SERVICES]:
        protocol, port = np.unravel_index(index, totals.shape)
        print(f"protocol {protocol:3} port {port:5}: {totals[protocol, port]:,} octets")


if __name__ == "__main__":
    main()
