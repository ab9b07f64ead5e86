from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import time

import pytest
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.machine.guard import guarded


def test_the_exit_code_is_the_works() -> None:
    assert guarded(lambda doing: 7) == 7


def test_what_the_work_changes_stays_in_its_process() -> None:
    changed: list[int] = []
    assert guarded(lambda doing: changed.append(1) or 0) == 0
    assert changed == []


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (signal.SIGSEGV, "segmentation fault"),
        (signal.SIGABRT, "aborted"),
        (signal.SIGILL, "an instruction that this CPU does not have"),
        (signal.SIGKILL, "too little memory"),
    ],
)
def test_a_crash_is_told_with_what_was_done_last(number: signal.Signals, text: str) -> None:
    def work(doing) -> int:
        doing("a.tflite", None)
        doing("b.tflite", None)
        faulthandler.disable()  # pytest's would write a stack into the suite's output
        os.kill(os.getpid(), number)
        return 0

    with pytest.raises(UserError, match=rf"{text}.* while it worked on b\.tflite") as error:
        guarded(work)
    assert error.value.exit_code == MODEL_FAILED


def test_what_takes_too_long_is_ended() -> None:
    def work(doing) -> int:
        doing("slow.tflite", 0.2)
        time.sleep(60)
        return 0

    with pytest.raises(UserError, match=r"hung while it worked on slow\.tflite"):
        guarded(work)


def test_what_is_done_in_time_may_go_on_without_a_limit() -> None:
    def work(doing) -> int:
        doing("fast.tflite", 0.3)
        doing("fast.tflite", None)
        time.sleep(0.6)
        return 0

    assert guarded(work) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ending_the_command_ends_the_child(number: signal.Signals) -> None:
    code = (
        "import os, time\n"
        "from bench_depth.machine.guard import guarded\n"
        "def work(doing):\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(60)\n"
        "    return 0\n"
        "guarded(work)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.send_signal(number)
    assert process.wait(timeout=30) == -number
    process.stdout.close()
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the child still runs")
