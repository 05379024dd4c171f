import pytest

from flowfast.units import format_count, format_octets, parse_duration_s, parse_octets, plural


def test_durations():
    assert [parse_duration_s(text) for text in ("300", 300, "90s", "5m", "1h")] == [300, 300, 90, 300, 3600]
    for wrong in ("", "5 minutes", "-1", "1.5h", "1d"):
        with pytest.raises(ValueError, match="is no duration"):
            parse_duration_s(wrong)


def test_octets():
    assert [parse_octets(text) for text in ("65536", 65536, "512K", "32M", "1g", "1GiB")] == [
        65536,
        65536,
        1 << 19,
        32 << 20,
        1 << 30,
        1 << 30,
    ]
    for wrong in ("", "M", "1T", "-1", "1.5M"):
        with pytest.raises(ValueError, match="is no size"):
            parse_octets(wrong)


def test_for_people():
    assert [format_octets(octets) for octets in (0, 1023, 212_992, 4 << 20, 3 << 29)] == ["0 B", "1023 B", "208 KiB", "4 MiB", "1.5 GiB"]
    assert [format_count(count) for count in (0, 999, 1234, 4_500_000, 2e12)] == ["0", "999", "1.23k", "4.5M", "2e+03G"]
    assert [plural(1, "record"), plural(1234, "record"), plural(2, "oddity")] == ["1 record", "1,234 records", "2 oddities"]
