"""Who is heard and how much of each: access lists, rates, holds, and the section `[limits]`."""

import socket
import tomllib

import pytest
from support import collecting, netflow5

import flowfast
from flowfast import _core
from flowfast.config import dump, load
from flowfast.errors import BindError, UsageError
from flowfast.limits import Limits

LOOPBACK = ("--listen", "udp://127.0.0.1:0", "--to", "null:", "--http", "off")


def send_from(address, port, datagrams):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((address, 0))
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", port))


def test_access_lists():
    """FF-SEC-03: who is not on the list is not heard, and counted."""
    with collecting(*LOOPBACK, "--allow", "127.0.0.0/28,127.9.9.9", "--deny", "127.0.0.3") as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        for address in ("127.0.0.2", "127.0.0.3", "127.0.0.16", "127.9.9.9"):
            send_from(address, port, [netflow5(10)])
        counters = running.stop()["counters"]
    assert counters["records_decoded"] == 20
    assert counters["datagrams_discarded"] == {"acl": 2}


def test_rates_and_holds_come_from_the_file(tmp_path):
    file = tmp_path / "flowfast.toml"
    file.write_text('[limits]\ndatagrams-per-second = 20\nmalformed-in-a-row = 4\nmalformed-hold = "1h"\n')
    with collecting(*LOOPBACK, "--config", file) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        send_from("127.0.0.2", port, [netflow5(1, sequence=n) for n in range(1000)])
        send_from("127.0.0.3", port, [b"\0\5"] * 4 + [netflow5(1)])
        counters = running.stop()["counters"]
    discarded = counters["datagrams_discarded"]
    assert (discarded["header_truncated"], discarded["held"]) == (4, 1)
    assert counters["datagrams_decoded"] + discarded["rate_limited"] == 1000
    assert counters["datagrams_decoded"] >= 20


def test_the_dump_of_all_settings_is_a_file(tmp_path):
    file = tmp_path / "x.toml"
    file.write_text(dump(load({"allow": ["2001:db8::/32"]}, None, {"FLOWFAST_CFG_LIMITS_WAITING": "1M"})))
    assert tomllib.loads(file.read_text())["limits"]["waiting"] == 1 << 20
    settings = load({}, file, {})
    assert (settings.allow, settings.limits) == (("2001:db8::/32",), Limits(waiting=1 << 20))


@pytest.mark.parametrize(
    ("flags", "environment", "sentence"),
    [
        ({"deny": ["192.0.2.0/33"]}, {}, "--deny: `192.0.2.0/33` is no network"),
        ({}, {"FLOWFAST_CFG_LIMITS_EXPORTER": "1"}, "unknown setting `exporter`"),
        ({}, {"FLOWFAST_CFG_LIMITS_EXPORTERS": "0"}, "$FLOWFAST_CFG_LIMITS_EXPORTERS: "),
    ],
)
def test_mistakes_are_named_with_where_they_were_made(flags, environment, sentence):
    with pytest.raises(UsageError) as caught:
        load(flags, None, environment)
    assert sentence in str(caught.value)


def test_the_core_knows_every_limit():
    _core.Collector([("127.0.0.1", 0, 1, "any")], limits=Limits().for_core()).close()
    with pytest.raises(ValueError, match="unknown limit `height`"):
        _core.Collector([("127.0.0.1", 0, 1, "any")], limits={"height": 1})
    with pytest.raises(ValueError, match="`here` is no network"):
        _core.Collector([("127.0.0.1", 0, 1, "any")], allow=["here"])


def test_arguments_that_cannot_be_met():
    with pytest.raises(UsageError, match="smaller than 2 GiB"):
        flowfast.listen("udp://127.0.0.1:0", rcvbuf="9999G")
    with pytest.raises(ValueError, match="without a worker"):
        _core.Replay([], workers=0)
    with flowfast.listen("udp://127.0.0.1:0") as listener:
        uri = listener.listeners()[0]["uri"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            with pytest.raises(BindError) as caught:
                flowfast.listen(f"udp://127.0.0.1:{taken.getsockname()[1]}")
        assert caught.value.errno is not None
        assert uri
