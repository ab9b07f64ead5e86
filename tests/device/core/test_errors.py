"""What ends a command becomes one line and an exit code, whatever it is."""

from __future__ import annotations

import signal
import subprocess
import sys
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
        time.sleep(60)
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
