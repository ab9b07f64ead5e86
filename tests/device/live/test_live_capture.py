from __future__ import annotations

import threading
import time

import pytest
from bench_depth.core.errors import UserError
from bench_depth.live.frames.latest import EndedError, Latest
from bench_depth.live.source import capture
from bench_depth.live.source.capture import Pace, in_order, newest

from tests.device.live.live_helpers import FakeSource


def test_a_reader_gets_only_the_newest() -> None:
    slot: Latest[str] = Latest()
    for value in "abc":
        slot.put(value)
    assert slot.newer(0, 0) == (3, "c")
    assert slot.newer(3, 0) is None


def test_every_reader_gets_the_same_value() -> None:
    slot: Latest[str] = Latest()
    found: list[object] = []
    readers = [threading.Thread(target=lambda: found.append(slot.newer(0, 30))) for _ in range(5)]
    for reader in readers:
        reader.start()
    slot.put("a")
    for reader in readers:
        reader.join()
    assert found == [(1, "a")] * 5


def test_the_last_value_is_given_before_the_end() -> None:
    slot: Latest[str] = Latest()
    slot.put("a")
    slot.close(UserError("gone"))
    slot.close()
    assert slot.newer(0, 0) == (1, "a")
    with pytest.raises(EndedError) as caught:
        slot.newer(1, 0)
    assert str(caught.value.error) == "gone"


def test_closing_wakes_a_reader_that_waits() -> None:
    slot: Latest[str] = Latest()
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(EndedError):
            slot.newer(0, 600)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    slot.close()
    thread.join()
    assert ended.is_set()


def test_a_recording_is_due_at_its_own_rate_whenever_it_is_asked() -> None:
    now = 100.0
    pace = Pace(0.5, lambda: now)
    assert pace.wait() == 0  # The first at once; it starts the clock.
    now = 100.2
    assert pace.wait() == pytest.approx(0.3)
    now = 102.0  # Frames 2 and 3 were due at 101 and 101.5.
    assert pace.wait() == pytest.approx(-1.0)
    assert pace.wait() == pytest.approx(-0.5)
    assert pace.wait() == pytest.approx(0.0)


def test_a_camera_is_never_waited_for() -> None:
    pace = Pace(None, lambda: 0.0)
    assert [pace.wait() for _ in range(3)] == [0.0] * 3


def test_in_order_gives_every_photo_and_closes_the_source() -> None:
    source = FakeSource(5, interval=10.0)  # Which would take 40 s if it were paced.
    shots = list(in_order(source, threading.Event()))
    assert [shot.name for shot in shots] == list("01234")
    assert [shot.photo[0, 0, 0] for shot in shots] == [0, 1, 2, 3, 4]
    assert [shot.dropped for shot in shots] == [0] * 5
    assert source.closed.is_set()


def test_in_order_stops_between_two_photos() -> None:
    stop = threading.Event()
    source = FakeSource(5)
    shots = in_order(source, stop)
    next(shots)
    stop.set()
    assert list(shots) == []
    assert source.taken == 1
    assert source.closed.is_set()


def test_newest_drops_what_came_while_nobody_looked_and_counts_it() -> None:
    source = FakeSource(50, endless=True)
    shots = newest(source, threading.Event())
    seen = [next(shots)]
    assert source.finished.wait(30)
    if seen[0].name != "49":
        seen.append(next(shots))
    assert seen[-1].name == "49"
    assert sum(1 + shot.dropped for shot in seen) == 50
    source.let_go.set()
    shots.close()


def test_newest_skips_photos_of_a_recording_that_are_late(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = iter([0.0, -0.05, -0.25, -0.15, 0.0])
    monkeypatch.setattr(capture.Pace, "wait", lambda self: next(waits))
    source = FakeSource(5, interval=0.1)
    list(newest(source, threading.Event()))
    assert (source.grabbed, source.taken) == (5, 3)


def test_newest_raises_what_the_source_raised() -> None:
    source = FakeSource(1, fails=UserError("unplugged"))
    with pytest.raises(UserError, match="unplugged"):
        list(newest(source, threading.Event()))
    assert source.closed.is_set()


def test_newest_does_not_hide_a_mistake_of_ours() -> None:
    with pytest.raises(ZeroDivisionError):
        list(newest(FakeSource(0, fails=ZeroDivisionError()), threading.Event()))


def test_a_silent_camera_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(threading.Thread, "join", lambda self, timeout=None: None)
    source = FakeSource(0, endless=True)
    with pytest.raises(UserError, match=r"fake gave no photo for 0\.2 s"):
        list(newest(source, threading.Event()))
    monkeypatch.undo()
    source.let_go.set()
    for thread in threading.enumerate():
        if thread.name == "capture":
            thread.join()


def test_closing_newest_ends_its_thread_and_the_source() -> None:
    source = FakeSource(10**9)
    shots = newest(source, threading.Event())
    next(shots)
    shots.close()
    assert source.closed.is_set()
    assert "capture" not in [thread.name for thread in threading.enumerate()]


def test_the_time_of_a_photo_is_before_it_was_decoded() -> None:
    class Slow(FakeSource):
        def take(self):
            time.sleep(0.02)
            return super().take()

    (shot,) = newest(Slow(1), threading.Event())
    assert shot.take_ns >= 20e6
    assert time.perf_counter_ns() - shot.captured_ns >= 20e6
