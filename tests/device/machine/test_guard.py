from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench_depth.core.errors import INTERRUPTED, MODEL_FAILED, UserError
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
def test_a_crash_is_reported_with_what_was_done_last(number: signal.Signals, text: str) -> None:
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


def started(code: str) -> tuple[subprocess.Popen[str], int]:
    """A process that runs `code`, and the number of its child, which `code` prints."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


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
    process, child = started(code)
    process.send_signal(number)
    assert process.wait(timeout=120) == -number
    process.stdout.close()
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the child still runs")


def interrupted(grace: str, signals: int) -> subprocess.CompletedProcess[str]:
    """What a command prints whose child ignores everything but SIGKILL, after Ctrl-C."""
    code = (
        "import os, signal, time, sys\n"
        "from bench_depth.core.errors import exit_code\n"
        "from bench_depth.machine import guard\n"
        f"guard.GRACE, guard.PATIENCE = 0.3, {0.3 if signals == 1 else 600}\n"
        "def work(doing):\n"
        "    for number in (signal.SIGINT, signal.SIGTERM):\n"
        "        signal.signal(number, lambda number, frame: os.write(1, b'heard\\n'))\n"
        "    doing('m.tflite', None)\n"
        "    print('ready', flush=True)\n"
        "    while True: time.sleep(1)\n"
        f"sys.exit(exit_code('x', lambda: guard.guarded(work, {grace})))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    for _ in range(signals - 1):  # after the last one it may be killed before it answers
        assert process.stdout.readline() == "heard\n"
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess([], process.returncode, out, err)


@pytest.mark.parametrize(("grace", "signals"), [("0.3", 1), ("None", 1), ("None", 2)])
def test_a_child_that_does_not_end_is_killed(grace: str, signals: int) -> None:
    done = interrupted(grace, signals)
    assert done.returncode == INTERRUPTED
    assert done.stderr == (
        "x: interrupted; it did not end while it worked on m.tflite and was killed\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_z_stops_the_child_as_well() -> None:
    code = (
        "import os, time\n"
        "from bench_depth.machine.guard import guarded\n"
        "guarded(lambda doing: print(os.getpid(), flush=True) or time.sleep(60) or 0)\n"
    )
    process, child = started(code)
    for number, states in ((signal.SIGTSTP, "T"), (signal.SIGCONT, "SR")):
        process.send_signal(number)
        for _ in range(300):
            found = [Path(f"/proc/{one}/stat").read_text() for one in (process.pid, child)]
            if all(text.rpartition(") ")[2][0] in states for text in found):
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"not both in {states}: {found}")
    process.terminate()
    assert process.wait(timeout=120) == -signal.SIGTERM
    process.stdout.close()
