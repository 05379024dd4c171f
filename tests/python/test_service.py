"""What a service says of itself, where no process can be made to run into it."""

import json

from rich.console import Console

from flowfast import logs
from flowfast.commands.service import Service
from flowfast.config import Settings


class PanickedCollector:
    """A collector whose decoder has run into a fault of its own on two datagrams."""

    def __init__(self):
        self.datagrams = [("192.0.2.1", 50_000, 2055, b"\0\x05"), ("192.0.2.2", 50_000, 2055, b"\xff")]

    def fatal_datagrams(self):
        return self.datagrams

    def stats(self):
        counters = dict.fromkeys(("templates_new", "collector_down_records", "collector_down_packets"), 0)
        return {"workers": [], "queue_depth": 0, "queue_capacity": 64, **counters}

    def news_of_unknown_elements(self, limit):
        return []


def test_each_datagram_that_panics_is_logged_once(capsys):
    logs.set_up(Console(stderr=True), service=True)
    collector = PanickedCollector()
    service = Service(Settings(), collector, [])
    service.look()
    collector.datagrams = [*collector.datagrams, ("192.0.2.3", 50_000, 2055, b"\0")]
    service.look()
    service.look()
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(each["level"], each["event"], each["exporter"], each["datagram"]) for each in events] == [
        ("error", "worker_panic", "192.0.2.1", "0005"),
        ("error", "worker_panic", "192.0.2.2", "ff"),
        ("error", "worker_panic", "192.0.2.3", "00"),
    ]
