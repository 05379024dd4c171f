"""What the text formats share: an open file."""

from pathlib import Path


class TextFile:
    """A file that octets are appended to, held by the operating system rather than in memory."""

    buffered_octets = 0

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    def flush(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def abandon(self) -> None:
        """Close the file; octets are not buffered, so it cannot fail for want of space."""
        self._file.close()

    def _append(self, octets: bytes) -> None:
        rest = memoryview(octets)
        while rest:  # an unbuffered write may take a part only
            rest = rest[self._file.write(rest) :]
