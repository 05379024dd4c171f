from concurrent.futures import ThreadPoolExecutor

import pytest

from flowfast.files import pending_rotating, pending_single, probe_directory, unfinished

START_S = 1_795_262_400  # 2026-11-21T12:00:00Z


def test_the_layout_is_the_documented_one(tmp_path):
    pending = pending_rotating(tmp_path, "flows", START_S, worker=3, suffix="parquet")
    assert pending.path == tmp_path / "flows/date=2026-11-21/hour=12/flows-20261121T120000Z-3-0.parquet"
    pending.temporary.write_bytes(b"rows")
    assert not list(tmp_path.rglob("*.parquet"))
    pending.commit()
    assert pending.path.read_bytes() == b"rows"
    assert not unfinished(tmp_path)


def test_files_of_an_earlier_run_are_never_overwritten(tmp_path):
    for run in range(3):
        pending = pending_rotating(tmp_path, "flows", START_S, worker=0, suffix="arrow")
        pending.temporary.write_text(f"run {run}")
        pending.commit()
    assert sorted(path.read_text() for path in tmp_path.rglob("*.arrow")) == ["run 0", "run 1", "run 2"]


def test_a_dead_process_leaves_its_name_taken(tmp_path):
    left = pending_rotating(tmp_path, "flows", START_S, worker=0, suffix="arrow")
    left.temporary.write_bytes(b"half a file")
    ours = pending_rotating(tmp_path, "flows", START_S, worker=0, suffix="arrow")
    assert ours.path.name == "flows-20261121T120000Z-0-1.arrow"
    ours.commit()
    assert unfinished(tmp_path) == [left.temporary]
    assert left.temporary.read_bytes() == b"half a file"


def test_names_taken_at_once_differ(tmp_path):
    def commit_one(_):
        pending = pending_rotating(tmp_path, "flows", START_S, worker=0, suffix="arrow")
        pending.commit()
        return pending.path

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(commit_one, range(64)))
    assert len(set(paths)) == 64 == len(list(tmp_path.rglob("*.arrow")))


@pytest.mark.parametrize("table", ["../../evil", "a/b", ".hidden", "..", "x" * 300, "tab\tle", ""])
def test_no_table_name_leads_out_of_the_directory(tmp_path, table):
    pending = pending_rotating(tmp_path / "root", table, START_S, worker=0, suffix="arrow")
    pending.commit()
    (found,) = tmp_path.rglob("*.arrow")
    assert found.parent.parent.parent.parent == tmp_path / "root"


def test_a_single_file_replaces_an_earlier_one_only_when_it_is_complete(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_text("old")
    pending = pending_single(path)
    pending.temporary.write_text("new")
    assert path.read_text() == "old"
    pending.commit()
    assert path.read_text() == "new"
    pending_single(path).discard()
    assert [each.name for each in tmp_path.iterdir()] == ["x.parquet"]


def test_a_probe_leaves_nothing(tmp_path):
    probe_directory(tmp_path / "new")
    assert not unfinished(tmp_path / "new")
