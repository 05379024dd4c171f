"""Elements in no registry: noted once per Transport Session, by number (FF-IX-17)."""

import logging
import time
from contextlib import closing

import pytest
from support import send

import flowfast
from flowfast import _core
from flowfast.unknown import LINES_AT_ONCE, tell
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


@pytest.fixture
def collector():
    with closing(_core.Collector([("127.0.0.1", 0, 1, "any")])) as it:
        it.start()
        yield it


def sent(collector, *messages):
    """Send and wait until what is known of it has been published."""
    before = collector.stats()["datagrams_received"]
    send(collector.listeners()[0]["port"], messages)
    while collector.stats()["datagrams_received"] < before + len(messages):
        time.sleep(0.01)
    time.sleep(1.2)  # the list of exporters is published once a second


def test_each_is_told_once_per_session(told, collector):
    """FF-IX-17: another session or domain is told anew, the same one is not."""
    known, both = templates(template(256, Field(1, 8), CISCO)), templates(template(257, CISCO, OURS))
    sent(collector, ipfix(known), ipfix(known), ipfix(known, domain=7))
    tell(collector.news_of_unknown_elements(10))
    first = told()
    assert sorted((domain, pen, element) for _, _, domain, pen, element in first) == [(1, 9, 32001), (7, 9, 32001)]
    assert {(address, port) for address, port, *_ in first} == {("127.0.0.1", first[0][1])}
    sent(collector, ipfix(both))
    tell(collector.news_of_unknown_elements(10))
    assert sorted(each[2:] for each in told()) == [(1, 0, 30000), (1, 9, 32001)]
    assert collector.news_of_unknown_elements(10) == []


def test_a_flood_of_them_is_told_bit_by_bit(collector):
    flood = template(256, *(Field(element, 1, 9999) for element in range(2 * LINES_AT_ONCE + 1)))
    sent(collector, ipfix(templates(flood)))
    news = [collector.news_of_unknown_elements(LINES_AT_ONCE) for _ in range(4)]
    assert [len(each) for each in news] == [LINES_AT_ONCE, LINES_AT_ONCE, 1, 0]
    assert len({each for some in news for each in some}) == 2 * LINES_AT_ONCE + 1


def test_a_collector_notes_pen_and_id():
    """FF-IX-17: once per session, however often its templates come and however many have the element; counted by pen and id."""
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
        series = flows._collector.series(1, 1, 10)
    assert series["unknown_elements"] == [(9, 32001, 2), (0, 30000, 1)]
