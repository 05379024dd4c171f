# cython: language_level=3, boundscheck=False, wraparound=False
"""A kernel of one's own, flow by flow, over the columns of an Arrow batch: no copy, no Python object a flow, no GIL."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t


def octets_by_service(const uint16_t[::1] src_port, const uint16_t[::1] dst_port, const uint8_t[::1] proto, const uint64_t[::1] octets,
                      uint64_t[:, ::1] totals):
    """Add each flow's octets to `totals[protocol, port]`, the port being the lower of its two: most often that of the service."""
    cdef Py_ssize_t row
    cdef uint16_t port
    with nogil:
        for row in range(octets.shape[0]):
            port = src_port[row] if src_port[row] < dst_port[row] else dst_port[row]
            totals[proto[row], port] += octets[row]
