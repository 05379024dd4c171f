# cython: language_level=3, boundscheck=False, wraparound=False
"""What one would write in Cython: record by record, field by field, into columns of 64 bits."""

from libc.stdint cimport uint64_t


def decode(const unsigned char[::1] records, const unsigned char[::1] lengths, uint64_t[:, ::1] columns, Py_ssize_t row):
    """Decode records whose fields have `lengths` octets (8 at most), a column each, from `row` on; the row after the last."""
    cdef Py_ssize_t at = 0, field, octet
    cdef uint64_t value
    with nogil:
        while at < records.shape[0]:
            for field in range(lengths.shape[0]):
                value = 0
                for octet in range(lengths[field]):
                    value = value << 8 | records[at + octet]
                at += lengths[field]
                columns[field, row] = value
            row += 1
    return row
