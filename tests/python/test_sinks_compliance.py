"""What every sink promises, asked of every sink: each row handed to it is answered exactly once, and what it calls written can be read."""

import errno
import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, redirect_stdout
from pathlib import Path

import duckdb
import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from polars.testing import assert_frame_equal
from support import SCHEMA, HandMadeBatch, hand_made

from flowfast import _core
from flowfast.errors import TargetError, TargetLost
from flowfast.pipeline import SinkRunner
from flowfast.sinks import ROW_WRITERS, Account, open_sink
from flowfast.uris import Target

DIRECTORIES = [f"{name}:{{dir}}/out" for name in ROW_WRITERS]
SINGLE_FILES = [f"{{dir}}/out.{name}" for name in ROW_WRITERS]
FILES = DIRECTORIES + SINGLE_FILES
ALL = [*FILES, "null:", "-"]
START_S = 1_795_262_400
STDOUTS = ExitStack()


@pytest.fixture(autouse=True)
def close_stdouts():
    yield
    STDOUTS.close()


def opened(target, directory, *, schema=SCHEMA, replace=True):
    parsed = Target.parse(target.format(dir=directory))
    account = Account(str(parsed))
    stdout = STDOUTS.enter_context((Path(directory) / "out.stdout.ndjson").open("w")) if target == "-" else sys.stdout
    with redirect_stdout(stdout):
        return open_sink(parsed, account, schema, replace=replace), account


def hand(sink, account, batch):
    """Hand a batch to a sink as the pipeline does."""
    account.hand(batch)
    try:
        sink.write(batch)
    except Exception as error:
        account.lost([batch.id], error)


def read_back(directory):
    """The `bytes` of all committed rows, by readers that know nothing of flowfast."""
    found = []
    for path in Path(directory).rglob("out*"):
        paths = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file() and ".incomplete" not in each.parts]
        for file in paths:
            match file.suffix:
                case ".parquet":
                    found += pa.parquet.read_table(file, partitioning=None)["bytes"].to_pylist()
                case ".arrow":
                    found += pa.ipc.open_file(file).read_all()["bytes"].to_pylist()
                case ".ndjson":
                    found += [json.loads(line)["bytes"] for line in file.read_text().splitlines()]
                case ".csv":
                    found += pa.csv.read_csv(file)["bytes"].to_pylist()
    return sorted(found)


@pytest.mark.parametrize("target", ALL)
def test_rows_written_are_rows_readable(target, tmp_path):
    sink, account = opened(target, tmp_path)
    batches = [hand_made(0, 1000), hand_made(1000, 1, worker=1), hand_made(1001, 500), hand_made(1501, 0)]
    for batch in batches:
        account.hand(batch)
        sink.write(batch)
    sink.end_interval(0, 0)
    sink.close()
    assert (account.records_written, account.records_failed, account.records_in_flight) == (1501, 0, 0)
    if target != "null:":
        assert read_back(tmp_path) == list(range(1501))


@pytest.mark.parametrize("target", ALL)
def test_no_rows_at_all(target, tmp_path):
    sink, account = opened(target, tmp_path)
    sink.end_interval(0, START_S)
    sink.close()
    assert account.records_handed == account.records_written == 0
    if target in SINGLE_FILES:
        assert Path(target.format(dir=tmp_path)).exists()
    assert read_back(tmp_path) == []


@pytest.mark.parametrize("target", FILES)
def test_paths_may_be_anything(target, tmp_path):
    directory = tmp_path / "\u6d41\u91cf \u00fc 'quote' \"double\" %41 #1 ?x"
    directory.mkdir()
    sink, account = opened(target.replace("out", "out \u00e9"), directory)
    hand(sink, account, hand_made(0, 10))
    sink.close()
    assert account.records_written == 10
    assert read_back(directory) == list(range(10))


@pytest.mark.parametrize("target", DIRECTORIES)
def test_an_interval_is_committed_when_it_ends(target, tmp_path):
    sink, account = opened(target, tmp_path)
    for worker in (0, 1):
        for interval in (START_S, START_S + 60):
            hand(sink, account, hand_made(account.records_handed, 10, worker=worker, interval_start=interval))
    sink.end_interval(0, START_S)
    assert read_back(tmp_path) == list(range(10))
    assert account.records_in_flight == 30
    sink.end_interval(1, START_S + 60)
    assert account.records_in_flight == 10
    sink.close()
    assert read_back(tmp_path) == list(range(40))
    names = sorted(path.name.split(".")[0] for path in (tmp_path / "out/flows/date=2026-11-21/hour=12").iterdir())
    assert names == [f"flows-20261121T120{minute}00Z-{worker}-0" for minute in (0, 1) for worker in (0, 1)]


@pytest.mark.parametrize("target", DIRECTORIES)
def test_late_rows_of_an_interval_get_a_file_of_their_own(target, tmp_path):
    sink, account = opened(target, tmp_path)
    hand(sink, account, hand_made(0, 10, interval_start=START_S))
    sink.end_interval(0, START_S)
    hand(sink, account, hand_made(10, 10, interval_start=START_S))
    sink.close()
    assert read_back(tmp_path) == list(range(20))
    assert len(list((tmp_path / "out").rglob("flows-*"))) == 2


class Failing:
    """A row writer on a disk that is full from the third batch on."""

    many_tables = True
    buffered_octets = 0

    def __init__(self, path, schema):
        self._batches = 0

    def write(self, batch):
        self._batches += 1
        if self._batches > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self):
        pass

    close = abandon = flush


class FailingClose(Failing):
    """A row writer on a disk that is found full when the file is closed."""

    def write(self, batch):
        pass

    def close(self):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("target", ["parquet:{dir}/out", "{dir}/out.parquet"])
@pytest.mark.parametrize("writer", [Failing, FailingClose])
def test_a_failing_disk_loses_rows_with_a_count(target, writer, tmp_path, monkeypatch):
    monkeypatch.setitem(ROW_WRITERS, "parquet", writer)
    sink, account = opened(target, tmp_path)
    for index in range(4):
        hand(sink, account, hand_made(index * 10, 10))
    sink.close()
    assert account.records_handed == 40 == account.records_written + account.records_failed
    assert account.records_in_flight == 0
    # After the fault a directory goes on with its next file, whose fourth batch is safe; a single file is lost whole.
    assert account.records_failed == (40 if writer is FailingClose or not target.startswith("parquet:") else 30)
    assert isinstance(account.last_error, OSError)
    committed = [path for path in tmp_path.rglob("out*/**/*") if path.is_file()] + list(tmp_path.glob("out.*"))
    assert len(committed) == account.files_written
    assert not list(tmp_path.rglob("*.tmp"))


def is_root():
    return os.geteuid() == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    if not is_root():
        pytest.skip("mounting a small tmpfs needs root")
    mount = tmp_path / "disk"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


@pytest.mark.parametrize("target", FILES)
def test_a_full_disk_loses_rows_with_a_count_and_leaves_no_half_file(target, small_disk):
    sink, account = opened(target, small_disk)
    noise = pa.Array.from_buffers(pa.uint64(), 100_000, [None, pa.py_buffer(os.urandom(800_000))])
    rows = pa.record_batch([pa.array([0] * 100_000, pa.uint16()), noise], schema=SCHEMA)
    for interval in (START_S, START_S + 60, START_S + 120, START_S + 180):
        hand(sink, account, HandMadeBatch(rows, interval_start=interval))
        sink.end_interval(0, interval)
    sink.close()
    assert account.records_handed == 400_000 == account.records_written + account.records_failed
    assert account.records_failed > 0
    assert account.last_error is not None
    assert len(read_back(small_disk)) == account.records_written
    assert not list(small_disk.rglob("*.tmp"))


@pytest.mark.parametrize("target", DIRECTORIES)
def test_a_full_disk_that_is_freed_is_written_again(target, small_disk):
    sink, account = opened(target, small_disk)
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk).f_bfree * os.statvfs(small_disk).f_bsize
    ballast.write_bytes(bytes(free))
    hand(sink, account, hand_made(0, 10))
    sink.end_interval(0, 0)
    assert account.failing
    assert account.last_error.errno == errno.ENOSPC
    assert account.records_failed == 10
    ballast.unlink()
    hand(sink, account, hand_made(10, 10, interval_start=60))
    sink.close()
    assert account.records_written == 10
    assert account.records_in_flight == 0
    assert not account.failing
    assert read_back(small_disk) == list(range(10, 20))


@pytest.mark.parametrize("target", DIRECTORIES)
def test_a_directory_removed_under_way_costs_what_was_in_it(target, tmp_path):
    sink, account = opened(target, tmp_path)
    hand(sink, account, hand_made(0, 10, interval_start=START_S))
    shutil.rmtree(tmp_path / "out")
    sink.end_interval(0, START_S)
    assert account.records_failed == 10
    hand(sink, account, hand_made(10, 10, interval_start=START_S + 60))
    sink.close()
    assert account.records_written == 10
    assert read_back(tmp_path) == list(range(10, 20))


def test_a_batch_is_answered_once():
    account = Account("x")
    first, second = hand_made(0, 10), hand_made(10, 5)
    account.hand(first)
    account.hand(second)
    account.wrote([first.id])
    account.wrote([first.id])
    assert (account.records_written, account.records_in_flight, account.errors) == (10, 5, 1)
    assert account.batches_in_flight == [second.id]
    account.deferred(account.batches_in_flight)
    assert (account.records_deferred, account.records_in_flight) == (5, 0)


def test_nobody_reads_standard_output():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        account = Account("-")
        with redirect_stdout(pipe):
            sink = open_sink(Target.parse("-"), account, SCHEMA, replace=True)
        runner = SinkRunner(sink, account)
        runner.start()
        runner.offer(hand_made(0, 10))
        runner.offer(hand_made(10, 10))
        runner.end()
        assert runner.join(10)
    assert runner.lost.reader_left
    assert (account.records_handed, account.records_failed, account.records_in_flight) == (20, 20, 0)


@pytest.mark.parametrize("target", [each for each in SINGLE_FILES if "ndjson" not in each])
def test_one_file_of_two_tables_is_refused(target, tmp_path):
    sink, account = opened(target, tmp_path, schema=None)
    hand(sink, account, hand_made(0, 10, table="a"))
    with pytest.raises(TargetLost, match="cannot hold two tables, `a` and `b`"):
        sink.write(hand_made(10, 10, table="b"))
    with pytest.raises(TargetLost):
        sink.write(hand_made(20, 10, table="a"))
    sink.close()
    assert account.records_failed == 10
    assert not list(tmp_path.iterdir())


def test_one_ndjson_file_takes_every_table(tmp_path):
    sink, account = opened("{dir}/out.ndjson", tmp_path, schema=None)
    hand(sink, account, hand_made(0, 10, table="a"))
    hand(sink, account, hand_made(10, 10, table="b"))
    sink.close()
    assert account.records_written == 20
    assert read_back(tmp_path) == list(range(20))


@pytest.mark.parametrize("target", [each for each in DIRECTORIES if "ndjson" not in each])
def test_changed_columns_begin_another_file(target, tmp_path):
    sink, account = opened(target, tmp_path)
    hand(sink, account, hand_made(0, 10))
    changed = hand_made(10, 10).rows.append_column("more", pa.array([1] * 10))
    hand(sink, account, HandMadeBatch(changed))
    sink.close()
    assert account.files_written == 2
    assert read_back(tmp_path) == list(range(20))


def test_open_files_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("flowfast.sinks.rotating.MAX_OPEN_FILES", 4)
    sink, account = opened("arrow:{dir}/out", tmp_path)
    for index in range(10):
        hand(sink, account, hand_made(index, 1, table=f"t{index}"))
        assert len(list((tmp_path / "out/.incomplete").iterdir())) <= 4
    assert account.files_written == 6
    sink.close()
    assert read_back(tmp_path) == list(range(10))


def test_buffered_octets_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("flowfast.sinks.rotating.MAX_BUFFERED_OCTETS", 50_000)
    sink, account = opened("parquet:{dir}/out", tmp_path)
    for index in range(20):
        hand(sink, account, hand_made(index * 1000, 1000, table=f"t{index % 3}"))
        assert sum(file.writer.buffered_octets for file in sink._open.values()) <= 50_000
    sink.close()
    assert read_back(tmp_path) == list(range(20_000))
    assert account.files_written == 3


@pytest.mark.parametrize("target", SINGLE_FILES)
def test_an_existing_file_gives_way_only_if_it_may(target, tmp_path):
    path = Path(target.format(dir=tmp_path))
    path.write_text("old")
    with pytest.raises(TargetError, match="file exists") as caught:
        opened(target, tmp_path, replace=False)
    assert caught.value.hint
    opened(target, tmp_path)[0].close()
    assert path.read_text(errors="replace") != "old"


@pytest.mark.parametrize("target", FILES)
def test_a_target_that_cannot_be_opened_is_a_sentence(target, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match=r"cannot write to .*: not a directory") as caught:
        opened(target, tmp_path / "file")
    assert caught.value.hint


@pytest.mark.parametrize("target", FILES)
def test_a_directory_that_may_not_be_written(target, tmp_path):
    tmp_path.chmod(0o500)
    user = os.geteuid()
    if is_root():
        os.seteuid(65534)  # root may write everywhere
    try:
        with pytest.raises(TargetError, match=r"cannot write to .*: permission denied") as caught:
            opened(target, tmp_path)
    finally:
        os.seteuid(user)
    assert "this user may write" in caught.value.hint


def test_parquet_is_read_by_others_with_its_metadata(tmp_path):
    sink, account = opened("parquet:{dir}/out", tmp_path)
    for minute in (0, 59, 60):
        hand(sink, account, hand_made(minute, 1, interval_start=START_S + 60 * minute))
    sink.close()
    pattern = f"{tmp_path}/out/flows/**/*.parquet"
    table = f"read_parquet('{pattern}', hive_partitioning=true)"
    query = f"select date::varchar, hour::int, count(*), sum(bytes) from {table} group by all order by 2"
    assert duckdb.sql(query).fetchall() == [("2026-11-21", 12, 2, 59), ("2026-11-21", 13, 1, 60)]
    assert pl.read_parquet(pattern)["bytes"].sum() == 119
    one = next(Path(tmp_path).rglob("*.parquet"))
    assert pa.parquet.read_schema(one).equals(SCHEMA, check_metadata=False)
    assert pa.parquet.read_schema(one).field("src_port").metadata[b"flowfast.semantic"] == b"port"


def test_row_groups_are_gathered_from_batches(tmp_path):
    sink, account = opened("{dir}/out.parquet", tmp_path)
    for index in range(40):
        hand(sink, account, hand_made(index * 10_000, 10_000))
    sink.close()
    metadata = pa.parquet.ParquetFile(tmp_path / "out.parquet").metadata
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [260_000, 140_000]
    assert read_back(tmp_path) == list(range(400_000))


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Batches of generated flows: columns that repeat, that grow, that are random, that are null."""
    capture = tmp_path_factory.mktemp("capture") / "flows.pcap"
    _core.generate(
        to=None, write=str(capture), format="ipfix", template="ipfix-25", count=30_000, rate=0, order="canonical", seed=1, exporters=2
    )
    replay = _core.Replay([str(capture)])
    replay.start()
    batches = []
    while not replay.finished:
        batch = replay.next_event(1)
        if isinstance(batch, _core.Batch):
            batches.append(batch)
    return batches


@pytest.mark.parametrize(
    ("suffix", "readers"),
    [
        ("parquet", [pa.parquet.read_table, pl.read_parquet, lambda path: duckdb.read_parquet(str(path)).to_arrow_table()]),
        ("arrow", [lambda path: pa.ipc.open_file(path).read_all(), pl.read_ipc]),
    ],
)
def test_every_column_reads_back_equal(suffix, readers, generated, tmp_path):
    sink, account = opened(f"{{dir}}/out.{suffix}", tmp_path, schema=None)
    for batch in generated:
        hand(sink, account, batch)
    sink.close()
    rows = pl.from_arrow(pa.Table.from_batches([pa.record_batch(batch) for batch in generated]))
    # DuckDB reads dictionaries as their values, and times in the zone of the machine
    alike = (cs.by_dtype(pl.Categorical, pl.Enum).cast(pl.String), cs.datetime().dt.convert_time_zone("UTC"))
    for read in readers:
        found = pl.DataFrame(read(tmp_path / f"out.{suffix}"))
        assert_frame_equal(found.with_columns(*alike), rows.with_columns(*alike))


def test_encodings_follow_what_the_columns_hold(generated, tmp_path):
    sink, account = opened("{dir}/out.parquet", tmp_path, schema=None)
    for batch in generated:
        hand(sink, account, batch)
    sink.close()
    group = pa.parquet.read_metadata(tmp_path / "out.parquet").row_group(0)
    columns = {column.path_in_schema: column for column in map(group.column, range(group.num_columns))}
    for deltas in ("time_received", "src_port", "proto"):  # sorted, random, 8 bits
        assert "DELTA_BINARY_PACKED" in columns[deltas].encodings
    for dictionary in ("sampling_rate", "src_as", "next_hop", "user_name"):  # one value, few, few addresses, none
        assert "RLE_DICTIONARY" in columns[dictionary].encodings
    assert columns["src_addr"].encodings == ("RLE", "PLAIN")
    assert columns["time_received"].total_compressed_size * 4 < columns["time_received"].total_uncompressed_size
