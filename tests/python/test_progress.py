import pytest

from flowfast.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("flowfast.progress.monotonic", lambda: now[0])
    return now


def look(progress, clock, seconds, **beats):
    clock[0] += seconds
    progress.look(beats)
    return progress.stuck()


def test_parts_that_move_are_not_stuck(clock):
    progress = Progress(stall_s=10, _looked_s=clock[0])
    for beat in range(30):
        assert look(progress, clock, 1, worker=beat, sink=None) == []


def test_a_part_that_ceases_is_stuck_until_it_moves(clock):
    progress = Progress(stall_s=10, _looked_s=clock[0])
    assert look(progress, clock, 1, worker=5, other=1) == []
    assert look(progress, clock, 9, worker=5, other=2) == []
    assert look(progress, clock, 2, worker=5, other=3) == ["worker"]
    assert look(progress, clock, 1, worker=6, other=4) == []


def test_idle_parts_are_never_stuck_and_start_afresh(clock):
    progress = Progress(stall_s=10, _looked_s=clock[0])
    assert look(progress, clock, 1, sink=7) == []
    assert look(progress, clock, 9, sink=None) == []
    assert look(progress, clock, 9, sink=7) == []
    assert look(progress, clock, 9, sink=7) == []
    assert look(progress, clock, 9, sink=7) == ["sink"]


def test_nobody_looking_is_stuck_itself(clock):
    progress = Progress(stall_s=10, _looked_s=clock[0])
    assert look(progress, clock, 1, worker=1) == []
    clock[0] += 11
    assert progress.stuck() == ["pipeline"]
