"""The installer of a bundle, ended in the middle: what ran before still runs."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.export.ship.bundle_pi import Pi, refusal


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path / "home of pi")


def test_a_full_disk_is_one_line_and_leaves_nothing(pi: Pi) -> None:
    bundle = pi.bundle("one", padding=30_000_000)
    pi.prefix.mkdir()
    # The disk fills up after the installer has asked for its space.
    pi.fake("df", f"rm {pi.fakes.as_posix()!r}/df; echo Avail; echo 900000000")
    script = 'mount -t tmpfs -o size=24m none "$0" && "$@"; code=$?; ls -A "$0/envs"; exit $code'
    mounted = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, pi.prefix]
    if subprocess.run([*mounted, "mkdir", pi.prefix / "envs"], check=False).returncode:
        pytest.skip("no file system can be mounted here, not even in a namespace")
    done = subprocess.run(
        [*mounted, *pi.argv(bundle)],
        check=False,
        capture_output=True,
        text=True,
        env=pi.environment(),
    )
    assert "the disk is full" in refusal(done, 12)
    assert done.stdout.splitlines()[-1].startswith("installing Python packages")


@contextlib.contextmanager
def started(pi: Pi, bundle: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        # Where pytest runs in the background, its children ignore SIGINT and cannot undo that.
        ["env", "--default-signal=INT,HUP", *pi.argv(bundle)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=pi.environment(),
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


def wait_for(pi: Pi, pattern: str, before: set[str], process: subprocess.Popen[str]) -> None:
    """Until an environment that was not there before has reached a stage."""
    while not [p for p in (pi.prefix / "envs").glob(pattern) if not before & set(p.parts)]:
        assert process.poll() is None, "the installer ended too early"
        time.sleep(0.002)


def has_packages(pi: Pi, before: set[str]) -> bool:
    """Whether pip has written the last file of an environment that was not there before."""
    files = (pi.prefix / "envs").glob("*/lib/python*/site-packages/bench_depth-*/RECORD")
    return any(not before & set(file.parts) for file in files)


STAGES = {"venv": "*/pyvenv.cfg", "pip": "*/lib/python*/site-packages/bench_depth"}


@pytest.mark.parametrize(
    ("name", "stage"),
    [(name, "pip") for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT")] + [("SIGKILL", "venv")],
)
def test_ended_while_installing_packages_the_next_one_succeeds(
    pi: Pi, name: str, stage: str
) -> None:
    pi.install(pi.bundle("one"))
    before = pi.envs()
    bundle = pi.bundle("two", version="2.0", padding=20_000_000)
    number = getattr(signal, name)
    with started(pi, bundle) as process:
        wait_for(pi, STAGES[stage], before, process)
        was_done = has_packages(pi, before)
        process.send_signal(number)
        process.communicate()
    with (pi.prefix / ".lock").open() as lock:
        # What install started has ended with it, and not because it was done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert was_done or not has_packages(pi, before)
    assert pi.current() == "one.tflite"
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number
        assert pi.envs() == before
        assert not (pi.prefix / ".install.log").exists()
    done = pi.install(bundle)
    assert done.returncode == 0, done.stderr
    assert pi.current() == "two.tflite"


# Kills the installer instead of doing the command at which a countdown ends.
KILLER = """\
read -r left <"$HOME/countdown"
echo $((left - 1)) >"$HOME/countdown"
if [ "$left" = 0 ]; then
    kill -9 $PPID
    exit 1
fi
exec {real} "$@"
"""


def test_killed_before_any_step_current_runs_and_the_next_one_succeeds(pi: Pi) -> None:
    countdown = pi.home / "countdown"
    countdown.write_text("1000")
    for program in ("mkdir", "rm", "cp", "ln", "mv", "sync"):
        pi.fake(program, KILLER.format(real=shutil.which(program)))
    pi.install(pi.bundle("start"))
    countdown.write_text("1000")
    pi.install(pi.bundle("before"))
    steps = 1000 - int(countdown.read_text())
    assert steps > 10
    old = "before.tflite"
    killed = []
    for step in range(steps):
        bundle = pi.bundle(f"step{step}")
        countdown.write_text(str(step))
        killed.append(pi.install(bundle).returncode)
        assert pi.current() in (old, f"step{step}.tflite")
        countdown.write_text("1000")
        done = pi.install(bundle)
        assert done.returncode == 0, (step, done.stderr)
        old = f"step{step}.tflite"
        assert pi.current() == old
        assert len(pi.ids()) <= 2
    assert killed.count(-signal.SIGKILL) == steps
