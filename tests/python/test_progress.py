import ctypes
import time

import pytest

from flowfast.progress import TURN_S, Progress, RunningTime


@pytest.fixture
def clock():
    return [100.0]


@pytest.fixture
def progress(clock):
    return Progress(lambda: clock[0], stall_s=10)


def look(progress, clock, seconds, **beats):
    clock[0] += seconds
    progress.look(beats)
    return progress.stuck()


def test_parts_that_move_are_not_stuck(progress, clock):
    for beat in range(30):
        assert look(progress, clock, 1, worker=beat, sink=None) == []


def test_a_part_that_ceases_is_stuck_until_it_moves(progress, clock):
    assert look(progress, clock, 1, worker=5, other=1) == []
    assert look(progress, clock, 9, worker=5, other=2) == []
    assert look(progress, clock, 2, worker=5, other=3) == ["worker"]
    assert look(progress, clock, 1, worker=6, other=4) == []


def test_idle_parts_are_never_stuck_and_start_afresh(progress, clock):
    assert look(progress, clock, 1, sink=7) == []
    assert look(progress, clock, 9, sink=None) == []
    assert look(progress, clock, 9, sink=7) == []
    assert look(progress, clock, 9, sink=7) == []
    assert look(progress, clock, 9, sink=7) == ["sink"]


def test_nobody_looking_is_stuck_itself(progress, clock):
    assert look(progress, clock, 1, worker=1) == []
    clock[0] += 11
    assert progress.stuck() == ["pipeline"]


def test_time_in_which_nobody_gets_a_turn_does_not_count():
    """A thread that keeps the interpreter keeps this clock as it keeps all else; and it goes on."""
    clock = RunningTime()
    clock.start()
    hold_the_interpreter(8 * TURN_S)
    assert clock.now_s() <= 2 * TURN_S
    while clock.now_s() < 3 * TURN_S:
        time.sleep(0.01)


def hold_the_interpreter(seconds):
    """What a call into an extension does that does not let go."""
    libc = ctypes.PyDLL(None)
    libc.usleep(int(seconds * 1e6))
