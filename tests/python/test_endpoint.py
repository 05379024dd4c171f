import http.client
import json
import socket
import threading
import time
from contextlib import closing, suppress

import pytest
from support import collecting, netflow5, send

from flowfast import endpoint
from flowfast.client import ask
from flowfast.endpoint import Answer, Endpoint, HttpAddress
from flowfast.errors import BindError, UsageError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:8080", "127.0.0.1", 8080), ("[::1]:0", "::1", 0), ("localhost:80", "localhost", 80), ("off", "", None)],
)
def test_addresses(text, host, port):
    address = HttpAddress.parse(text)
    assert (address.host, address.port) == (host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "8080", ":8080", "127.0.0.1", "127.0.0.1:99999", "http://x:1", "x:1/metrics", "u@x:1", "[::1:1", 8080, None]
)
def test_no_addresses(text):
    with pytest.raises(UsageError, match="no address for HTTP") as caught:
        HttpAddress.parse(text)
    assert "127.0.0.1:8080" in caught.value.hint


@pytest.fixture
def served():
    """An endpoint with a page that counts how often it is made, and one of 1 MiB."""
    made = []

    def page(request):
        made.append(request)
        return Answer.text(f"made {len(made)}")

    with Endpoint(
        HttpAddress("127.0.0.1", 0),
        {"/page": page, "/large": lambda _: Answer(bytes(1 << 20)), "/bad": lambda _: Answer.text("no", ok=False)},
    ) as it:
        yield it.address.port, made


def get(port, path, method="GET", **headers):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(), response.headers


def raw(port, octets, timeout=10):
    """All that the server says to some octets, until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        said = b""
        with suppress(OSError):
            client.sendall(octets)
            client.shutdown(socket.SHUT_WR)
            while more := client.recv(65536):
                said += more
        return said


def test_pages(served):
    port, _ = served
    status, body, headers = get(port, "/page?x=1")
    assert (status, body) == (200, b"made 1\n")
    assert headers["Content-Type"].startswith("text/plain")
    assert get(port, "/")[1] == b"/page\n/large\n/bad\n"
    assert get(port, "/bad")[:2] == (503, b"no\n")
    assert get(port, "/nothing")[0] == 404
    assert get(port, "/../etc/passwd")[0] == 404
    assert get(port, "/page", "HEAD")[:2] == (200, b"")
    assert get(port, "/page", "POST")[0] == 501


def test_an_answer_is_made_again_only_when_it_is_old(served):
    port, made = served
    for _ in range(20):
        get(port, "/page", Accept=f"text/plain;q={time.monotonic()}")
    assert len(made) <= 1 + 20 * 0.5
    time.sleep(endpoint.FRESH_S)
    before = len(made)
    get(port, "/page")
    assert len(made) == before + 1
    assert get(port, "/page", Accept="application/openmetrics-text; version=1.0.0")[0] == 200
    assert made[-1].accept == endpoint.OPENMETRICS


def test_a_long_list_comes_in_parts(monkeypatch):
    """RFC 8288: `Link` says where the next part is; what makes no sense is the first."""
    monkeypatch.setattr(endpoint, "MAX_ROWS", 3)
    rows = [{"row": n} for n in range(7)]
    page = lambda request: Answer.rows(lambda first, limit: rows[first : first + limit], request)  # noqa: E731
    with Endpoint(HttpAddress("127.0.0.1", 0), {"/rows": page}) as it:
        parts = [get(it.address.port, f"/rows?first={first}") for first in (0, 3, 6, 7)]
        assert [json.loads(body) for _, body, _ in parts] == [rows[:3], rows[3:6], rows[6:], []]
        assert [headers["Link"] for _, _, headers in parts] == ['</rows?first=3>; rel="next"', '</rows?first=6>; rel="next"', None, None]
        assert ask(it.address, "/rows") == rows
        for odd in ("-1", "x", "9" * 30, "%C2%B2", ""):
            assert json.loads(get(it.address.port, f"/rows?first={odd}")[1]) == rows[:3]


def test_a_page_that_takes_long_keeps_no_other_waiting():
    gate = threading.Event()

    def slow(_):
        gate.wait(10)
        return Answer.text("at last")

    with Endpoint(HttpAddress("127.0.0.1", 0), {"/slow": slow, "/healthz": lambda _: Answer.text("ok")}) as it:
        said = []
        waiting = [threading.Thread(target=lambda: said.append(get(it.address.port, "/slow")[1])) for _ in range(2)]
        for each in waiting:
            each.start()
        assert get(it.address.port, "/healthz")[:2] == (200, b"ok\n")
        assert not said
        gate.set()
        for each in waiting:
            each.join()
        assert said == [b"at last\n"] * 2


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET " + b"/" * 100_000 + b" HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"GET / HTTP/1.0\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS
        bytes(range(256)) * 300,
        b"POST /page HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n",
    ],
)
def test_what_is_no_request_ends_and_the_next_is_served(served, octets):
    port, _ = served
    raw(port, octets)
    assert get(port, "/page")[0] == 200


def test_slow_clients_are_cut_off_and_others_are_served_meanwhile(served, monkeypatch):
    monkeypatch.setattr(endpoint, "REQUEST_S", 0.5)
    port, _ = served
    stalling = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(endpoint.MAX_CONNECTIONS - 1)]
    for each in stalling:
        each.sendall(b"GET /page HT")
    assert get(port, "/page")[0] == 200
    dripping = stalling[0]
    with suppress(ConnectionError):
        for _ in range(8):  # a trickle does not buy time
            dripping.sendall(b"x")
            time.sleep(0.1)
    for each in stalling:
        with suppress(ConnectionError):
            assert b"200" not in each.recv(100)
        each.close()


def test_clients_that_do_not_read_their_answer_are_cut_off(served, monkeypatch):
    monkeypatch.setattr(endpoint, "REQUEST_S", 0.5)
    port, _ = served
    deaf = [socket.create_connection(("127.0.0.1", port)) for _ in range(endpoint.MAX_CONNECTIONS)]
    for each in deaf:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        each.sendall(b"GET /large HTTP/1.0\r\n\r\n")
    deadline = time.monotonic() + 10
    while True:
        with suppress(ConnectionError, http.client.HTTPException):
            if get(port, "/page")[0] == 200:
                break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for each in deaf:
        each.close()


def test_connections_are_bounded(served):
    port, _ = served
    before = threading.active_count()
    many = []
    for _ in range(100):
        with suppress(ConnectionError):
            many.append(socket.create_connection(("127.0.0.1", port), timeout=5))
    assert threading.active_count() <= before + endpoint.MAX_CONNECTIONS
    for each in many:
        each.close()


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BindError, match=f"cannot serve HTTP on 127.0.0.1:{port}: address already in use") as caught:
            Endpoint(HttpAddress("127.0.0.1", port), {})
    assert "--http off" in caught.value.hint


def test_the_pages_of_a_collector():
    with collecting("--listen", "udp://127.0.0.1:0", "--to", "null:", "--http", "127.0.0.1:0") as running:
        http_port = HttpAddress.parse(running.wait_for("serving")["address"]).port
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        deadline = time.monotonic() + 20
        while get(http_port, "/readyz")[0] != 200:
            assert time.monotonic() < deadline
        assert get(http_port, "/healthz")[:2] == get(http_port, "/__health")[:2] == (200, b"ok\n")
        send(port, [netflow5(30)])
        while not json.loads(get(http_port, "/exporters")[1]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (exporter,) = json.loads(get(http_port, "/exporters")[1])
        assert (exporter["exporter"], exporter["format"], exporter["records"]) == ("127.0.0.1", "netflow_v5", 30)
        assert json.loads(get(http_port, "/stats")[1])["counters"]["records_decoded"] == 30
        assert b'flowfast_exporter_flows_total{exporter="127.0.0.1",version="netflow_v5"} 30.0' in get(http_port, "/metrics")[1]
        for path in get(http_port, "/")[1].decode().split():
            assert get(http_port, path)[0] == 200
        running.stop()


def test_hostile_clients_do_not_disturb_reception():
    with collecting("--listen", "udp://127.0.0.1:0", "--to", "null:", "--http", "127.0.0.1:0") as running:
        http_port = HttpAddress.parse(running.wait_for("serving")["address"]).port
        port = running.wait_for("listening")["port"]
        running.wait_for("writing")
        done = threading.Event()

        def disturb():
            while not done.is_set():
                with suppress(OSError):
                    raw(http_port, b"GET /metrics HTTP/1.0\r\n\r\n", timeout=2)
                    with socket.create_connection(("127.0.0.1", http_port), timeout=2) as stalling:
                        stalling.sendall(b"GET /" + bytes(range(256)))

        disturbers = [threading.Thread(target=disturb) for _ in range(12)]
        for each in disturbers:
            each.start()
        for index in range(100):
            send(port, [netflow5(30, sequence=30 * index)])
            time.sleep(0.01)
        done.set()
        for each in disturbers:
            each.join()
        summary = running.stop()
    assert summary["counters"]["records_decoded"] == 3000
    assert summary["targets"][0]["records_written"] == 3000
    assert not any(entry["level"] == "error" for entry in running.log)
