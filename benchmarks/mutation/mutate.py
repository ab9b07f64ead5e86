"""Mutation testing: a seeded sample of faults in six modules, each run against the module's tests.

    python benchmarks/mutation/mutate.py [--module NAME] [--per-module N] [--seed N]

Starting an interpreter that imports PyTorch for each fault would take most of the time; instead,
this script imports the third-party packages once and forks. `results.csv` is written after every
fault, and a stopped run continues where it ended.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from faults import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("results.csv")
PER_MODULE = 20
CPU_SECONDS = 60
# Processes of its own that a test starts do not count towards its CPU time.
WALL_SECONDS = 1200
PRELOADED = ("cv2", "numpy", "pytest", "scipy", "torch")
OUTCOMES = ("killed", "survived", "timeout")
FIELDS = ("module", "line", "kind", "before", "after", "nth", "outcome", "test")


@dataclass(frozen=True)
class Module:
    """A module and its own tests."""

    path: str
    tests: tuple[str, ...]


MODULES = {
    "metrics": Module("device/bench_depth/core/metrics.py", ("tests/device/core/test_metrics.py",)),
    "contract": Module(
        "device/bench_depth/model/contract.py", ("tests/device/model/test_contract.py",)
    ),
    "threads": Module(
        "export/ghostdepth_export/pi4/latency/threads.py",
        ("tests/export/pi4/test_thread_split.py",),
    ),
    "copy plan": Module(
        "export/ghostdepth_export/ship/deploy/copy_plan.py",
        ("tests/export/ship/test_deploy_parts.py",),
    ),
    "budget": Module(
        "train/ghostdepth_train/pruning/budget.py", ("tests/train/pruning/test_budget.py",)
    ),
    "verify": Module(
        "export/ghostdepth_export/convert/verify.py", ("tests/export/convert/test_verify.py",)
    ),
}


class FirstFailure:
    """A plugin of pytest that keeps the test that failed first."""

    test = ""

    def pytest_runtest_logreport(self, report: object) -> None:
        """Called by pytest after each phase of each test."""
        if report.failed and not self.test:  # type: ignore[attr-defined]
            self.test = report.nodeid  # type: ignore[attr-defined]


def run_tests(tree: Path, tests: tuple[str, ...]) -> tuple[str, str]:
    """Runs tests in a fork of this process; gives the outcome and the test that failed first."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        in_child(tree, tests, writing)
    os.close(writing)
    end = time.monotonic() + WALL_SECONDS
    while (waited := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.05)
    with os.fdopen(reading) as pipe:
        test = pipe.read()
    if os.WIFSIGNALED(waited[1]):
        number = os.WTERMSIG(waited[1])
        late = number in (signal.SIGXCPU, signal.SIGKILL)
        return ("timeout", "") if late else ("killed", f"signal {number}")
    return ("survived", "") if os.WEXITSTATUS(waited[1]) == 0 else ("killed", test or "import")


def in_child(tree: Path, tests: tuple[str, ...], pipe: int) -> None:
    """Does not return."""
    import pytest

    code = 1
    try:
        os.chdir(tree)
        folders = [str(tree / name) for name in ("train", "export", "device")]
        sys.path[:0] = folders
        os.environ["PYTHONPATH"] = os.pathsep.join(folders)
        os.environ["PYTHONDONTWRITEBYTECODE"], sys.dont_write_bytecode = "1", True
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        first = FirstFailure()
        code = int(
            pytest.main(
                ["-x", "-q", "-p", "no:cacheprovider", "-o", "timeout=0", *tests], plugins=[first]
            )
        )
        os.write(pipe, first.test.encode()[:4000])
    finally:
        os._exit(code)


def unpack(revision: str, folder: Path) -> Path:
    """The files of a revision."""
    archive = subprocess.run(
        ["git", "archive", revision], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


def measure(tree: Path, name: str, module: Module, sample: list[Mutant]) -> None:
    """Runs the tests against each mutant that the file has no outcome of, and adds them to it."""
    done = {tuple(row[f] for f in FIELDS[:6]) for row in read()}
    path = tree / module.path
    original = path.read_text()
    if run_tests(tree, module.tests)[0] != "survived":
        sys.exit(f"the tests of {name} fail without a mutant")
    for mutant in sample:
        row = [name, mutant.line, mutant.kind, mutant.before, mutant.after, mutant.nth]
        if tuple(map(str, row)) in done:
            continue
        try:
            path.write_text(mutant.code)
            outcome = run_tests(tree, module.tests)
        finally:
            path.write_text(original)
        with RESULTS.open("a", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerow([*row, *outcome])
        print(name, mutant.line, *outcome, flush=True)


def read() -> list[dict[str, str]]:
    """The rows of the results file, which is made where it is not there."""
    if not RESULTS.exists():
        RESULTS.write_text(",".join(FIELDS) + "\n")
    with RESULTS.open(newline="") as stream:
        return list(csv.DictReader(stream))


def summary() -> None:
    """Prints the score of each module."""
    for name in MODULES:
        outcomes = Counter(row["outcome"] for row in read() if row["module"] == name)
        if outcomes:
            counted = ", ".join(f"{outcomes[one]} {one}" for one in OUTCOMES)
            print(f"{name}: {counted} of {outcomes.total()}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Mutation testing of six modules.")
    parser.add_argument(
        "--module", action="append", choices=list(MODULES), help="only these modules"
    )
    parser.add_argument("--per-module", type=int, default=PER_MODULE)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for package in PRELOADED:
        importlib.import_module(package)
    with tempfile.TemporaryDirectory() as temporary:
        tree = unpack("HEAD", Path(temporary))
        for name in options.module or MODULES:
            found = mutants((tree / MODULES[name].path).read_text())
            sample = random.Random(options.seed).sample(found, min(options.per_module, len(found)))
            print(f"{name}: {len(sample)} of {len(found)} mutants", flush=True)
            measure(tree, name, MODULES[name], sample)
    summary()


if __name__ == "__main__":
    main()
