"""Packets that IPFIX records carry (PSAMP) against tshark: what the sections of a packet tell, in the columns of `flows` (FF-PS-01).

tshark does not dissect sections of IPFIX. It is given the same octets as the raw header of an sFlow sample, whose `header_protocol`
says with which protocol they begin.
"""

import shutil
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pytest
from decoding import Row, decode, plain_address

from captures import shared_rows
from oracle import exporter, flows, sflow
from oracle.capture import SHARED_CAPTURES, TESTS, Datagram, datagrams
from oracle.exporter import EXPORT_S, Field
from oracle.structure import Walker

FRAME, IP_PACKET, LAYER2 = 315, 313, 104
ETHERNET, IPV4, IPV6 = 1, 11, 12
# columns of what an exporter tells of the packet, not of the packet's own headers
OTHERS = {"bytes", "packets", "in_if", "out_if", "time_flow_start", "time_flow_end"}
COLUMNS = [column for column in flows.COLUMNS if column not in OTHERS]
# by EtherType: what begins behind 14 octets of Ethernet
BEHIND_ETHERNET = {0x0800: (IP_PACKET, IPV4), 0x86DD: (IP_PACKET, IPV6)}
Section = tuple[int, int, bytes]  # element, header_protocol, octets
FRAMES = 30  # of each capture
PSAMP = SHARED_CAPTURES / "files" / "local__softflowd_psamp.pcap"
pytestmark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")


def sampled() -> list[Path]:
    """Captures of sFlow: where the packets are from."""
    shared = [SHARED_CAPTURES / row["file"] for row in shared_rows().values() if "sflow5" in row["protocols"]]
    return [*sorted((TESTS / "captures").glob("*sflow*.pcap")), *shared]


@pytest.mark.skipif(not PSAMP.exists(), reason="the shared captures are not there")
def test_sections_of_softflowd() -> None:
    """FF-PS-01: what softflowd sent."""
    export = list(datagrams(PSAMP))
    records = [record for message in Walker().walk(export) for record in message.records]
    sections = [
        (FRAME, ETHERNET, o) for record in records for element, o in record.values.items() if (element.pen, element.id) == (0, FRAME)
    ]
    assert len(sections) == len(records) > 200
    assert_same(decode(export, "flows").rows, sections)


def test_sections_of_sampled_packets() -> None:
    """FF-PS-01: packets of the sFlow captures as sections of IPFIX: whole frames, and the IP packets in them."""
    frames = {frame for path in sampled() for frame in frames_of(path)}
    sections = [section for frame in sorted(frames) for section in sections_of(frame)]
    assert len(sections) > 100
    assert_same(decode(as_ipfix(sections), "flows").rows, sections)


def frames_of(path: Path) -> Iterable[bytes]:
    """The first few of a capture; that they are read as tshark does is proved elsewhere, here they only have to be packets."""
    export = (datagram for datagram in datagrams(path) if datagram.payload.startswith(bytes(3)))
    rows = decode(islice(export, FRAMES), "wire").rows
    return [row["dataLinkFrameSection"] for row in rows if row.get("header_protocol") == ETHERNET][:FRAMES]


def sections_of(frame: bytes) -> Iterable[Section]:
    yield FRAME, ETHERNET, frame
    yield LAYER2, ETHERNET, frame
    if behind := BEHIND_ETHERNET.get(int.from_bytes(frame[12:14])):
        yield *behind, frame[14:]


def as_ipfix(sections: list[Section]) -> list[Datagram]:
    """A message each, with its template: a record of the section alone."""
    messages = [
        exporter.ipfix(
            exporter.templates(exporter.template(256, Field(element, exporter.VARIABLE))), exporter.a_set(256, exporter.variable(octets))
        )
        for element, _, octets in sections
    ]
    return [Datagram(number, EXPORT_S * 10**9, "192.0.2.1", 50000, 4739, payload) for number, payload in enumerate(messages, 1)]


def assert_same(rows: list[Row], sections: list[Section]) -> None:
    """All of them, whatever their order: rows come table by table."""
    samples = [exporter.sflow5(exporter.flow_sample(exporter.raw_header(o, protocol=protocol))) for _, protocol, o in sections]
    theirs = sflow.by_tshark(Datagram(number, 0, "", 0, 0, payload) for number, payload in enumerate(samples, 1))
    assert len(rows) == len(theirs) == len(sections)
    ours, expected = Counter(map(shown, rows)), Counter(shown(sflow.flow(sample)) for sample in theirs)
    assert (list((ours - expected).elements())[:1], list((expected - ours).elements())[:1]) == ([], [])


def shown(row: Row) -> str:
    return repr({column: plain_address(row[column]) for column in COLUMNS if row.get(column) is not None})
