import signal
import struct
import threading
import time
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from support import IPFIX_TEMPLATE, ipfix_data, netflow5, pcap, send

import flowfast
import flowfast.api


@pytest.fixture
def capture(tmp_path):
    """Ten NetFlow v5 datagrams of thirty records each."""
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([netflow5(30, sequence=30 * index) for index in range(10)]))
    return path


@pytest.fixture
def mixed(tmp_path):
    """Ten NetFlow v5 and five IPFIX records: two tables of the wire schema."""
    path = tmp_path / "mixed.pcap"
    path.write_bytes(pcap([netflow5(10), IPFIX_TEMPLATE, ipfix_data(5)]))
    return path


def addresses(batch):
    """Where the buffers of a record batch are."""
    return [buffer.address for column in batch.columns for buffer in column.buffers() if buffer is not None]


def test_arrow_consumers_read_it_directly(capture):
    flows = flowfast.read(capture)
    assert pa.table(flows).num_rows == 300
    assert pa.RecordBatchReader.from_stream(flows).read_all().num_rows == 300
    assert pl.DataFrame(flows).height == 300
    assert len(pl.from_arrow(flows)) == 300
    assert duckdb.sql("select count(*), sum(packets) from flows").fetchall() == [(300, pl.DataFrame(flows)["packets"].sum())]
    frame = pa.table(flows).to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 300
    assert flows.stats()["records_decoded"] == 300
    assert flows.exporters()[0]["exporter"] == "192.0.2.1"


def test_batches_are_imported_without_a_copy(capture):
    (batch,) = flowfast.read(capture)
    first, second = pa.record_batch(batch), pa.record_batch(batch)
    assert addresses(first) == addresses(second)
    assert len(addresses(first)) > 10
    reader = pa.RecordBatchReader.from_batches(first.schema, [pa.record_batch(batch)])
    through_the_stream = next(pa.RecordBatchReader.from_stream(reader))
    assert addresses(through_the_stream) == addresses(first)
    del batch, first, second
    assert through_the_stream.column("packets").to_pylist()  # the memory lives as long as its last reader


def test_the_stream_is_made_of_the_batches_themselves(capture, monkeypatch):
    seen = []
    original = pa.record_batch
    monkeypatch.setattr(flowfast.api.pa, "record_batch", lambda batch: seen.append(original(batch)) or seen[-1])
    table = pa.table(flowfast.read(capture))
    assert [addresses(batch) for batch in table.to_batches()] == [addresses(batch) for batch in seen]


def test_columns_and_schema(capture):
    flows = flowfast.read(capture, columns=["src_addr", "bytes", "type"])
    table = pa.table(flows)
    assert set(table.column_names) == {"src_addr", "bytes", "type"}
    assert table.schema.field("src_addr").metadata[b"flowfast.semantic"] == b"ip"
    assert table["src_addr"][0].as_py() == bytes.fromhex("00000000000000000000ffff0a000001")
    assert pa.table(flowfast.read(capture, columns="src_addr,bytes")).num_columns == 2
    with pytest.raises(flowfast.UsageError, match="unknown column `src_adr`") as caught:
        flowfast.read(capture, columns=["src_adr"])
    assert caught.value.hint == "did you mean `src_addr`?"
    with pytest.raises(ValueError, match="unknown schema `flow`"):
        flowfast.read(capture, schema="flow")
    with pytest.raises(ValueError, match="only the flows schema has columns"):
        flowfast.read(capture, schema="wire", columns="bytes")
    with pytest.raises(ValueError, match="the flows schema has no table `x`"):
        flowfast.read(capture, table="x")


def test_several_captures_ports_and_workers(capture):
    assert pa.table(flowfast.read([capture, str(capture)], workers=2)).num_rows == 600
    assert pa.table(flowfast.read(capture, ports=[9995])).num_rows == 0
    assert pa.table(flowfast.read(capture, ports=[9995, 2055])).num_rows == 300


def test_every_iteration_reads_from_the_start(capture):
    flows = flowfast.read(capture)
    assert [sum(batch.num_rows for batch in flows) for _ in range(3)] == [300, 300, 300]


def test_wire_tables(mixed):
    flows = flowfast.read(mixed, schema="wire")
    tables = flows.tables()
    assert sorted(tables.values()) == [5, 10]
    assert {batch.table: batch.num_rows for batch in flows} == tables
    with pytest.raises(flowfast.UsageError, match="several tables") as caught:
        pa.table(flows)
    assert all(name in str(caught.value) for name in tables)
    for name, rows in tables.items():
        one = flowfast.read(mixed, schema="wire", table=name)
        assert pa.table(one).num_rows == rows
        assert {batch.table for batch in one} == {name}
        assert duckdb.sql("select count(*) from one").fetchall() == [(rows,)]
    with pytest.raises(flowfast.UsageError, match="no table `nonsense` in the captures"):
        pa.table(flowfast.read(mixed, schema="wire", table="nonsense"))


def test_one_wire_table_needs_no_name(capture):
    assert pa.table(flowfast.read(capture, schema="wire")).num_rows == 300


def test_missing_and_truncated_captures(capture, tmp_path):
    with pytest.raises(flowfast.InputError, match=r"cannot read .*none\.pcap: no such file or directory"):
        flowfast.read(tmp_path / "none.pcap")
    with pytest.raises(OSError, match=r"none\.pcap"):
        flowfast.read(tmp_path / "none.pcap")
    capture.write_bytes(capture.read_bytes()[:-100])
    with pytest.warns(flowfast.CaptureWarning, match=r"x\.pcap"):
        assert pa.table(flowfast.read(capture)).num_rows == 270


def threads():
    """Threads of this process, Rust's included."""
    return len(list(Path("/proc/self/task").iterdir()))


def sockets():
    """Open sockets of this process."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found += str(descriptor.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return found


def eventually(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_stopping_early_frees_everything(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([netflow5(30, sequence=30 * index) for index in range(20_000)]))
    before = threads()
    for _ in flowfast.read(path):
        break
    eventually(lambda: threads() <= before)
    with flowfast.read(path) as flows:
        batches = iter(flows)
        next(batches)
    eventually(lambda: threads() <= before)
    assert sum(batch.num_rows for batch in flows) == 600_000, "a closed capture can be read again"


def test_listening(tmp_path):
    before = threads(), sockets()
    with flowfast.listen("udp://127.0.0.1:0", columns="minimal") as flows:
        (listener,) = flows.listeners()
        send(listener["port"], [netflow5(30)])
        batch = next(iter(flows))
        assert batch.num_rows == 30
        assert pa.record_batch(batch)["packets"].to_pylist()[0] > 0
        assert flows.exporters()[0]["exporter"] == "127.0.0.1"
        assert flows.stats()["records_decoded"] == 30
    eventually(lambda: (threads(), sockets()) <= before)
    flows.close()
    assert list(flows) == []


def test_a_stopped_listener_gives_all_it_received():
    flows = flowfast.listen("udp://127.0.0.1:0?count=2")
    send(flows.listeners()[0]["port"], [netflow5(30, sequence=30 * index) for index in range(10)])
    flows.stop()
    assert pa.table(flows).num_rows == 300
    flows.close()


def test_a_listener_is_a_stream_for_others():
    with flowfast.listen("udp://127.0.0.1:0", columns="bytes,packets") as flows:
        send(flows.listeners()[0]["port"], [netflow5(30)])
        threading.Timer(0.5, flows.stop).start()
        assert duckdb.sql("select count(*) from flows").fetchall() == [(30,)]


def test_a_wire_table_of_a_listener():
    with flowfast.listen("udp://127.0.0.1:0", schema="wire") as flows:
        with pytest.raises(flowfast.UsageError, match="which table"):
            pa.table(flows)
        send(flows.listeners()[0]["port"], [netflow5(10)])
        table = next(iter(flows)).table
    with flowfast.listen("udp://127.0.0.1:0", schema="wire", table=table) as flows:
        send(flows.listeners()[0]["port"], [netflow5(10), IPFIX_TEMPLATE, ipfix_data(5)])
        threading.Timer(0.5, flows.stop).start()
        assert duckdb.sql("select count(*) from flows").fetchall() == [(10,)]


def test_ctrl_c_ends_the_wait():
    # Who is started in the background may have inherited that SIGINT is ignored.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with flowfast.listen("udp://127.0.0.1:0") as flows:
            threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
            begun = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                next(iter(flows))
            assert time.monotonic() - begun < 5
    finally:
        signal.signal(signal.SIGINT, inherited)


def test_what_cannot_be_listened_on():
    with flowfast.listen("udp://127.0.0.1:0") as flows:
        port = flows.listeners()[0]["port"]
    with pytest.raises(flowfast.BindError, match="this machine does not have the address") as caught:
        flowfast.listen(f"udp://192.0.2.77:{port}")
    assert isinstance(caught.value, OSError)
    with pytest.raises(flowfast.UsageError, match="no URI"):
        flowfast.listen("2055")
    with pytest.raises(flowfast.UsageError, match="unknown column"):
        flowfast.listen("udp://127.0.0.1:0", columns=["src_adr"])


def test_memory_is_filled_again_only_when_nobody_reads_it():
    decoder = flowfast.Decoder()
    kept, let_go = {}, []
    # The allocator goes through a page of its own before it gives the same memory again.
    for sequence in range(0, 30_000, 30):
        datagram = bytearray(netflow5(30, sequence))
        for record in range(30):
            struct.pack_into(">I", datagram, 24 + 48 * record + 20, sequence + record)  # dOctets
        decoder.decode(bytes(datagram), "192.0.2.1")
        (batch,) = decoder.flush()
        octets = pa.record_batch(batch)["bytes"]
        del batch
        if sequence % 600 == 0:
            kept[sequence] = octets.to_numpy(zero_copy_only=True)
        else:
            let_go.append(octets.buffers()[1].address)
        del octets
    assert all(view.tolist() == list(range(sequence, sequence + 30)) for sequence, view in kept.items())
    assert len(set(let_go)) < len(let_go) / 2


def test_the_decoder_takes_datagrams_from_anywhere():
    decoder = flowfast.Decoder(columns=["bytes"])
    decoder.decode(netflow5(30), "192.0.2.1")
    decoder.decode(b"\0\5", "2001:db8::1")
    (batch,) = decoder.flush()
    assert pa.record_batch(batch).num_rows == 30
    assert decoder.flush() == []
    assert decoder.stats()["datagrams_received"] == 2
    assert sum(decoder.stats()["datagrams_discarded"].values()) == 1
    with pytest.raises(ValueError, match="not an address"):
        decoder.decode(netflow5(1), "not an address")


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda path: flowfast.read([]), "no captures to read"),
        (lambda path: flowfast.read(path, workers=0), "0 workers cannot read"),
        (lambda path: flowfast.read(path, ports=[99999]), "a number is out of range"),
        (lambda path: flowfast.read(path, columns="9:99999"), "unknown column `9:99999`"),
        (lambda path: flowfast.listen([]), "nothing to listen on"),
    ],
)
def test_arguments_that_cannot_be_met(ask, sentence, capture):
    with pytest.raises(flowfast.UsageError, match=sentence):
        ask(capture)
