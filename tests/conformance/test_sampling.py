"""Where `sampling_rate` comes from (spec 2.12, 2.10)."""

import pytest
from decoding import flows, wire

from oracle.exporter import (
    Field,
    Flow,
    a_set,
    flow_sample,
    ipfix,
    netflow5,
    netflow9,
    options_template,
    options_template9,
    options_templates,
    raw_header,
    sflow5,
    template,
    templates,
)

DOMAIN = Field(149, 4)
PACKETS = Field(2, 4)


def packed(fields: dict[int, int], width: int = 4) -> bytes:
    return b"".join(value.to_bytes(width) for value in fields.values())


def of_record(fields: dict[int, int]) -> tuple[int, str]:
    """Sampling fields in the flow record itself."""
    message = ipfix(templates(template(256, PACKETS, *(Field(element, 4) for element in fields))), a_set(256, b"\0\0\0\1" + packed(fields)))
    (row,) = flows(message).rows
    return row["sampling_rate"], row["sampling_source"]


def of_options(fields: dict[int, int], record: dict[int, int]) -> tuple[int, str]:
    """Sampling fields in options data of the domain, `record` those of the flow record."""
    options = options_template(300, 1, DOMAIN, *(Field(element, 4) for element in fields))
    message = ipfix(
        options_templates(options),
        a_set(300, b"\0\0\0\1" + packed(fields)),
        templates(template(256, PACKETS, *(Field(element, 4) for element in record))),
        a_set(256, b"\0\0\0\1" + packed(record)),
    )
    (row,) = flows(message).rows
    return row["sampling_rate"], row["sampling_source"]


# (interval, space): RFC 5477 section 8.2: `interval` packets are taken of each `interval + space`
SYSTEMATIC = {(1, 0): 1, (1, 99): 100, (10, 990): 100, (3, 6): 3}


@pytest.mark.parametrize("pair", SYSTEMATIC)
def test_systematic_sampling(pair: tuple[int, int]) -> None:
    """FF-SMP-03: (interval + space) / interval."""
    fields = dict(zip((305, 306), pair, strict=True))
    assert of_record(fields) == (SYSTEMATIC[pair], "record")
    assert of_options({302: 7, **fields}, {302: 7}) == (SYSTEMATIC[pair], "options")


def test_an_interval_of_nothing() -> None:
    """FF-SMP-03: tells nothing: the rate is unknown, which is 0, and not 1."""
    assert of_record({305: 0, 306: 99})[0] == 0
    assert of_options({302: 7, 305: 0, 306: 99}, {302: 7})[0] == 0


@pytest.mark.parametrize(("sent", "rate"), [(0, 1), (1, 1), (2, 2), (1000, 1000), (2**32 - 1, 2**32 - 1)])
def test_sampling_interval(sent: int, rate: int) -> None:
    """FF-SMP-04: samplingInterval 0 and 1 are unsampled."""
    packet = netflow9(templates(template(256, PACKETS, Field(34, 4)), version=9), a_set(256, b"\0\0\0\1" + sent.to_bytes(4)))
    (row,) = flows(packet).rows
    assert (row["sampling_rate"], row["sampling_source"]) == (rate, "record")
    assert of_options({34: sent}, {}) == (rate, "options")


@pytest.mark.parametrize("width", [1, 2, 4])
def test_samplers_are_kept_apart(width: int) -> None:
    """FF-SMP-05, FF-EN-05, FF-Q-14: two samplers of one session; their ids come in one, two or four octets."""
    options = options_template9(300, 1, Field(1, 4), Field(48, width), Field(50, 4))
    packet = netflow9(
        options_templates(options, version=9),
        a_set(300, *(b"\x0a\0\0\1" + sampler.to_bytes(width) + rate.to_bytes(4) for sampler, rate in ((1, 100), (2, 1000)))),
        templates(template(256, PACKETS, Field(48, width)), version=9),
        a_set(256, *(b"\0\0\0\1" + sampler.to_bytes(width) for sampler in (2, 1, 3, 2))),
    )
    assert [row["sampling_rate"] for row in flows(packet).rows] == [1000, 100, 0, 1000]


def test_a_record_before_its_sampler() -> None:
    """FF-SMP-06: its rate is unknown, the later ones' is right."""
    data = templates(template(256, PACKETS, Field(302, 4))), a_set(256, b"\0\0\0\1\0\0\0\7")
    options = options_templates(options_template(300, 1, DOMAIN, Field(302, 4), Field(50, 4)))
    told = ipfix(options, a_set(300, b"\0\0\0\1\0\0\0\7\0\0\0\x64"), sequence=1)
    rows = flows(ipfix(*data), told, ipfix(*data, sequence=2)).rows
    assert [(row["sampling_rate"], row["sampling_source"]) for row in rows] == [(0, "none"), (100, "options")]


def test_raw_counters_stay() -> None:
    """FF-SMP-01, FF-SMP-07, FF-SF-05: of sFlow too, where a packet is one and its octets are the frame's; the rate is a column."""
    flow = Flow(octets=1000, packets=10)
    (row,) = flows(netflow5(flow.v5, sampling=0x4000 | 100)).rows
    assert (row["bytes"], row["packets"], row["sampling_rate"]) == (1000, 10, 100)
    frame = bytes(12) + b"\x08\0" + bytes(50)
    (row,) = flows(sflow5(flow_sample(raw_header(frame, length=1500), rate=512))).rows
    assert (row["bytes"], row["packets"], row["sampling_rate"]) == (1500, 1, 512)


def test_samples_tell_what_was_dropped() -> None:
    """FF-SMP-07: sample pool and drops, of which an effective rate follows, are columns of `wire`."""
    samples = [flow_sample(sequence=n, rate=100, pool=1000 * n, drops=n) for n in (1, 2)]
    rows = wire(sflow5(*samples)).rows
    assert [(row["sample_pool"], row["sample_drops"]) for row in rows] == [(1000, 1), (2000, 2)]


def test_order_of_sources() -> None:
    """FF-SMP-02: what the record says, before the options data of its sampler, before that of the exporter."""
    both = {302: 7, 305: 1, 306: 9}
    assert of_options(both, {302: 7, 34: 5}) == (5, "record")
    options = [options_template(300, 1, DOMAIN, Field(34, 4)), options_template(301, 1, DOMAIN, Field(302, 4), Field(50, 4))]
    message = ipfix(
        options_templates(*options),
        a_set(300, b"\0\0\0\1" + (20).to_bytes(4)),
        a_set(301, b"\0\0\0\1\0\0\0\7" + (30).to_bytes(4)),
        templates(template(256, PACKETS, Field(302, 4)), template(257, PACKETS)),
        a_set(256, b"\0\0\0\1\0\0\0\7"),
        a_set(257, b"\0\0\0\1"),
    )
    assert sorted(row["sampling_rate"] for row in flows(message).rows) == [20, 30]
