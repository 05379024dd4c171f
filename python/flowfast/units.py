"""Durations, sizes and counts, as people write them and as people read them."""

import re

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_OCTETS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_duration_s(text: str | int) -> int:
    """Seconds in `300`, `90s`, `5m` or `1h`. Raises ValueError."""
    match = re.fullmatch(r"(\d+)([smh]?)", str(text).strip())
    if not match:
        raise ValueError(f"`{text}` is no duration such as 300, 90s, 5m or 1h")
    return int(match[1]) * _SECONDS[match[2]]


def parse_octets(text: str | int) -> int:
    """Octets in `65536`, `512K`, `32M` or `1G` (powers of 1024). Raises ValueError."""
    match = re.fullmatch(r"(\d+)([KMG]?)(?:i?B)?", str(text).strip(), re.IGNORECASE)
    if not match:
        raise ValueError(f"`{text}` is no size such as 65536, 512K or 32M")
    return int(match[1]) * _OCTETS[match[2].upper()]


def format_octets(octets: int) -> str:
    """`208 KiB`, `4 MiB`, `1.5 GiB`."""
    size = float(octets)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.4g} {unit}"


def format_count(count: float) -> str:
    """Three significant digits at most above a thousand: `999`, `1.23k`, `4.5M`."""
    for unit in ("", "k", "M", "G"):
        if abs(count) < 1000 or unit == "G":
            break
        count /= 1000
    return f"{count:.0f}" if unit == "" else f"{count:.3g}{unit}"


def plural(count: int, noun: str) -> str:
    """`1 record`, `1,234 records`, `2 oddities`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun.removesuffix('y')}ies" if noun.endswith("ity") else f"{count:,} {noun}s"
