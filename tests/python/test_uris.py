import pytest

from flowfast.errors import UsageError
from flowfast.uris import ListenUri, Target, parse_destination, parse_listen, resolve


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("udp://[::]:2055", ("::", 2055, 3, "any")),
        ("udp://0.0.0.0:0", ("0.0.0.0", 0, 3, "any")),
        ("udp://[2001:db8::1]:4739", ("2001:db8::1", 4739, 3, "any")),
        ("netflow://:2055?count=4", ("::", 2055, 4, "netflow")),
        ("sflow://:6343", ("::", 6343, 3, "sflow")),
        ("flow://:9995", ("::", 9995, 3, "any")),
        ("udp://localhost:2055", (resolve("localhost"), 2055, 3, "any")),
    ],
)
def test_listeners(text, listener):
    assert ListenUri.parse(text).resolve(default_workers=3) == listener


def test_goflow2_listen_flag_is_taken_verbatim():
    uris = parse_listen("sflow://:6343?count=4&workers=8&queue_size=1000,netflow://:2055?blocking=true")
    assert [str(uri) for uri in uris] == ["sflow://:6343?count=4", "netflow://:2055?blocking=true"]
    assert uris[0].ignored == ("workers", "queue_size")
    assert uris[1].blocking


def test_a_listener_reads_back_as_it_is_written():
    for text in ("udp://[::]:2055", "netflow://:2055?count=4&blocking=false", "udp://127.0.0.1:1"):
        assert str(ListenUri.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("2055", "udp://[::]:2055"),
        (":2055", "udp://[::]:2055"),
        ("udp://[::]", "udp://[::]:2055"),
        ("udp://[::1:2055", "udp://[::]:2055"),
        ("udp://:70000", "udp://[::]:2055"),
        ("netflw://:2055", "did you mean `netflow`?"),
        ("udp://:2055?cuont=4", "did you mean `count`?"),
        ("udp://:2055?count=0", "number of workers"),
        ("udp://:2055/path", "udp://ADDRESS:PORT"),
    ],
)
def test_wrong_listeners(text, hint):
    with pytest.raises(UsageError) as caught:
        ListenUri.parse(text)
    assert hint in caught.value.hint
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("parquet:out", ("parquet", "directory", "out")),
        ("parquet:///var/lib/flows", ("parquet", "directory", "/var/lib/flows")),
        ("arrow:./a b/ü", ("arrow", "directory", "a b/ü")),
        ("flows.parquet", ("parquet", "file", "flows.parquet")),
        ("/tmp/x.arrow", ("arrow", "file", "/tmp/x.arrow")),
        ("x.ndjson", ("ndjson", "file", "x.ndjson")),
        ("x.csv", ("csv", "file", "x.csv")),
        ("-", ("ndjson", "stdout", ".")),
        ("null:", ("null", "nowhere", ".")),
    ],
)
def test_targets(text, target):
    parsed = Target.parse(text)
    assert (parsed.format, parsed.layout, str(parsed.path)) == target
    assert Target.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("parqet:out", "did you mean `parquet`?"),
        ("x.parqet", "did you mean `parquet`?"),
        ("parquet:", "parquet:flows"),
        ("parquet://host/dir", "parquet:///absolute/dir"),
        ("kafka://broker/topic", "`parquet:DIR`"),
        ("out", "`parquet:DIR`"),
        ("", "`parquet:DIR`"),
    ],
)
def test_wrong_targets(text, hint):
    with pytest.raises(UsageError) as caught:
        Target.parse(text)
    assert hint in caught.value.hint


def test_destinations():
    assert parse_destination("udp://127.0.0.1:2055") == ("127.0.0.1", 2055)
    assert parse_destination("udp://[::1]:2055") == ("::1", 2055)
    for wrong in ("127.0.0.1:2055", "tcp://127.0.0.1:2055", "udp://127.0.0.1", "udp://:2055", "udp://127.0.0.1:0"):
        with pytest.raises(UsageError):
            parse_destination(wrong)
