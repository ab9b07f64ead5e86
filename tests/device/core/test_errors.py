"""What ends a command becomes one line and an exit code, whatever it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench_depth.core.errors import exit_code

pytestmark = pytest.mark.same_everywhere
# A command that has half a file and waits.
COMMAND = """
import os, signal, sys, time
from pathlib import Path
from bench_depth.core.errors import exit_code
from bench_depth.core.files import atomic_path
from bench_depth.machine.guard import guarded
def work():
    with atomic_path(Path(sys.argv[1], "result")) as half:
        half.write_text("half of it")
        print("ready", flush=True)
        # A signal that comes just before a sleep begins does not end it: many short ones.
        for _ in range(1200):
            time.sleep(0.05)
    return 0
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
PLAIN = COMMAND + "sys.exit(exit_code('x', work))"
NESTED = COMMAND + "sys.exit(exit_code('x', lambda: exit_code('x', work)))"
GUARDED = COMMAND + "sys.exit(exit_code('x', lambda: guarded(lambda _: exit_code('x', work))))"
NOHUP = COMMAND + (
    "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    "sys.exit(exit_code('x', lambda: guarded(lambda _: exit_code('x', work))))"
)


def stopped(command: str, folder: Path, *numbers: int) -> subprocess.CompletedProcess[str]:
    """What a command prints that gets signals while it works."""
    process = subprocess.Popen(
        [sys.executable, "-c", command, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for number in numbers:
        process.send_signal(number)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess([], process.returncode, out, err)


@pytest.mark.parametrize("command", [PLAIN, NESTED, GUARDED], ids=["plain", "nested", "guarded"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_one_line_and_its_code_and_leaves_nothing(
    tmp_path: Path, command: str, number: signal.Signals
) -> None:
    done = stopped(command, tmp_path, number)
    assert (done.returncode, done.stderr) == (128 + number, "x: interrupted\n")
    assert not list(tmp_path.iterdir())


# In which a library made another error of the signal. `Boom` is no error that a command knows.
OTHER_ERROR = """
class Boom(Exception):
    pass
inner = work
def work():
    try:
        return inner()
    except KeyboardInterrupt:
        raise {error} from None
"""


@pytest.mark.parametrize(
    "error",
    [
        "UserError('cannot read model.safetensors')",
        "OSError(5, 'Input/output error', 'data')",
        "RuntimeError('DataLoader worker (pid 7) exited')",
        "SystemError('returned a result with an exception set')",
        "Boom('of a library')",
    ],
)
@pytest.mark.parametrize("command", [PLAIN, GUARDED], ids=["plain", "guarded"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_of_which_a_library_makes_another_error_is_still_a_signal(
    tmp_path: Path, command: str, error: str, number: signal.Signals
) -> None:
    *head, end = command.splitlines()
    imports = "from bench_depth.core.errors import UserError"
    command = "\n".join([*head, imports, OTHER_ERROR.format(error=error), end])
    done = stopped(command, tmp_path, number)
    assert (done.returncode, done.stderr) == (128 + number, "x: interrupted\n")
    assert not list(tmp_path.iterdir())


def test_what_no_signal_caused_is_no_interruption() -> None:
    def work() -> int:
        raise RuntimeError("a fault of the program")

    # In a job of the background a shell has it ignored.
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="a fault of the program"):
        exit_code("x", work)
    assert signal.getsignal(signal.SIGINT) == before


def test_a_command_without_a_terminal_outlives_the_hang_up(tmp_path: Path) -> None:
    done = stopped(NOHUP, tmp_path, signal.SIGHUP, signal.SIGTERM)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "x: interrupted\n")


# A command that opens a file, says so and measures something.
SAYING = """
import contextlib, os, sys
from bench_depth.core.errors import exit_code
from bench_depth.core.screen import say
def work():
    with open(sys.argv[1], "w") as file:
        with contextlib.suppress(OSError):
            os.write(2, b"of a library, past Python\\n")
        say("progress", error=True)
        file.write("result")
    say("result")
    return 0
sys.exit(exit_code("x", work))
"""
# What a shell does with the streams, the line of the error, the code.
STREAMS = {
    "1>&-": ("cannot write to standard output: Bad file descriptor", 2),
    "1>/dev/full": ("cannot write to standard output: No space left on device", 2),
    "1>PIPE": ("cannot write to standard output: Broken pipe", 2),
    "2>&-": ("", 0),
    "2>/dev/full": ("", 0),
    "2>PIPE": ("", 0),
    "0<&-": ("", 0),
    "0<&- 1>&- 2>&-": ("", 2),
}


@pytest.mark.parametrize("streams", STREAMS)
def test_a_stream_that_is_closed_or_full_loses_no_file_and_is_one_line(
    tmp_path: Path, streams: str
) -> None:
    says, code = STREAMS[streams]
    reader, writer = os.pipe()
    os.close(reader)
    words = streams.replace("PIPE", f"&{writer}")
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'exec "$0" -c "$1" "$2" {words}',
            sys.executable,
            SAYING,
            tmp_path / "a",
        ],
        check=False,
        pass_fds=[writer],
        capture_output=True,
        text=True,
    )
    os.close(writer)
    assert (tmp_path / "a").read_text() == "result"
    assert done.returncode == code
    if "2>" not in streams:
        lines = ["of a library, past Python", "progress", *([f"x: {says}"] if says else [])]
        assert done.stderr.splitlines() == lines
    if "1>" not in streams:
        assert done.stdout == "result\n"


def test_one_more_signal_while_the_process_ends_is_no_traceback(tmp_path: Path) -> None:
    # A thread for which Python waits at its exit.
    late = "import threading; threading.Thread(target=time.sleep, args=(60,)).start()\n"
    process = subprocess.Popen(
        [sys.executable, "-c", PLAIN.replace("sys.exit(", f"{late}sys.exit("), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "x: interrupted\n"
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert process.communicate()[1] == ""
    assert not list(tmp_path.iterdir())
