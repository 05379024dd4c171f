"""Elements in no registry: noted once per Transport Session, by number (FF-IX-17)."""

import logging

import pytest
from support import send

import flowfast
from flowfast.metrics import Metrics, State
from flowfast.unknown import LINES_AT_ONCE, UnknownElements
from oracle.exporter import Field, ipfix, template, templates

CISCO = Field(32001, 4, 9)
OURS = Field(30_000, 2)


@pytest.fixture
def told(caplog, monkeypatch):
    """(exporter, port, domain, pen, id) of each line logged."""
    monkeypatch.setattr(logging.getLogger("flowfast"), "propagate", True)
    caplog.set_level(logging.INFO, "flowfast")

    def take():
        fields = [record.fields for record in caplog.records if getattr(record, "event", "") == "unknown_element"]
        caplog.clear()
        return [tuple(each.values()) for each in fields]

    return take


def row(address, *elements, domain=0):
    return {"exporter": address, "domain": domain, "unknown_elements": list(elements)}


def test_each_is_told_once_per_session(told):
    """FF-IX-17: another session, domain or exporter is told anew, the same one is not."""
    unknown = UnknownElements()
    first = [row("192.0.2.1", (50000, 9, 32001), (50001, 9, 32001)), row("192.0.2.1", (50000, 9, 32001), domain=7)]
    assert unknown.tell(first)
    assert told() == [("192.0.2.1", 50000, 0, 9, 32001), ("192.0.2.1", 50001, 0, 9, 32001), ("192.0.2.1", 50000, 7, 9, 32001)]
    assert unknown.tell([*first, row("192.0.2.2", (50000, 9, 32001), (50000, 0, 30000))])
    assert told() == [("192.0.2.2", 50000, 0, 9, 32001), ("192.0.2.2", 50000, 0, 0, 30000)]


def test_a_flood_of_them_is_told_bit_by_bit(told):
    unknown = UnknownElements()
    flood = [row("192.0.2.1", *((1, 9, element) for element in range(2 * LINES_AT_ONCE + 1)))]
    assert [(unknown.tell(flood), len(told())) for _ in range(4)] == [
        (False, LINES_AT_ONCE), (False, LINES_AT_ONCE), (True, 1), (True, 0)
    ]  # fmt: skip


def test_a_collector_notes_pen_and_id():
    """FF-IX-17: once per session, however often its templates come and however many have the element; with pen and id as labels."""
    known, both = template(256, Field(1, 8), CISCO), template(257, CISCO, OURS, Field(2, 8))
    with flowfast.listen("udp://127.0.0.1:0") as flows:
        port = flows.listeners()[0]["port"]
        send(port, [ipfix(templates(known, both)), ipfix(templates(both)), ipfix(templates(known))])
        send(port, [ipfix(templates(known))])
        flows.stop()
        assert list(flows) == []
        noted = sorted((pen, element) for each in flows.exporters() for _, pen, element in each["unknown_elements"])
        # `send` has a socket, and so a port, of its own each time.
        assert noted == [(0, 30000), (9, 32001), (9, 32001)]
        page = Metrics(lambda: State(exporters=flows.exporters())).render()[0].decode()
    assert 'flowfast_unknown_elements{id="32001",pen="9"} 2.0' in page
    assert 'flowfast_unknown_elements{id="30000",pen="0"} 1.0' in page
