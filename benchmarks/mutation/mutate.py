"""Mutation testing: a seeded sample of faults in six modules, each run against the module's tests.

    pip install --target build/cosmic-ray cosmic-ray==8.7.0
    PYTHONPATH=build/cosmic-ray python benchmarks/mutation/mutate.py [--before d2f5311]

Cosmic Ray makes the mutants. Its own runner starts a new interpreter for each, which here means
importing PyTorch and TensorFlow; instead, this script imports the third-party packages once and
forks. `results.csv` is written after every mutant, and a stopped run continues where it ended.
"""

from __future__ import annotations

import argparse
import ast
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
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("results.csv")
PER_MODULE = 50
CPU_SECONDS = 60
# Processes of its own that a test starts do not count towards its CPU time.
WALL_SECONDS = 240
PRELOADED = ("cv2", "numpy", "pytest", "scipy", "torch")
# These replace names by arguments that they would have to be given.
NOT_USED = ("VariableInserter", "VariableReplacer")
FIELDS = ("module", "line", "operator", "before", "after", "nth", "outcome", "test")


@dataclass(frozen=True)
class Module:
    """A module and its own tests, by the paths of one revision."""

    path: str
    tests: tuple[str, ...]


NOW = {
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
# Where the same modules were in revisions before the folders of today.
BEFORE = {
    "metrics": Module("device/bench_depth/metrics.py", ("tests/device/test_metrics.py",)),
    "contract": Module("device/bench_depth/contract.py", ("tests/device/test_contract.py",)),
    "threads": Module(
        "export/ghostdepth_export/predict/threads.py", ("tests/export/test_thread_split.py",)
    ),
    "copy plan": Module(
        "export/ghostdepth_export/deploy/plan.py", ("tests/export/test_deploy_parts.py",)
    ),
    "budget": Module("train/ghostdepth_train/compress/budget.py", ("tests/train/test_budget.py",)),
    "verify": Module("export/ghostdepth_export/verify.py", ("tests/export/test_verify.py",)),
}


@dataclass(frozen=True)
class Mutant:
    """A changed line; `nth` tells apart the same change of lines that read the same."""

    operator: str
    before: str
    after: str
    nth: int
    line: int = field(compare=False)
    code: str = field(compare=False, repr=False)


def mutants(code: str) -> list[Mutant]:
    """All mutants of a module that differ in more than annotations."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code

    plain, seen, found = without_annotations(code), Counter[tuple[str, str, str]](), []
    nodes = list(ast_nodes(get_ast(code)))
    for name in sorted(plugins.operator_names()):
        if name.endswith(NOT_USED):
            continue
        operator = plugins.get_operator(name)()
        positions = sum(len(list(operator.mutation_positions(node))) for node in nodes)
        for occurrence in range(positions):
            changed = mutate_code(code, operator, occurrence)
            try:
                same = changed is None or without_annotations(changed) == plain
            except SyntaxError:
                continue
            if same:
                continue
            line, before, after = first_difference(code, changed)
            key = (name.removeprefix("core/"), before, after)
            found.append(Mutant(*key, seen[key], line, changed))
            seen[key] += 1
    return found


def without_annotations(code: str) -> str:
    """The syntax tree as text, less what the interpreter never evaluates."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if getattr(node, name, None) is not None:
                setattr(node, name, ast.Constant(None))
    return ast.dump(tree)


def first_difference(old: str, new: str) -> tuple[int, str, str]:
    """Number of the first line that differs, and the line before and after."""
    before, after = old.splitlines(), new.splitlines()
    line = next(i for i, pair in enumerate(zip(before, after, strict=False)) if len(set(pair)) > 1)
    return line + 1, before[line].strip(), after[line].strip()


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
        return "killed", f"signal {os.WTERMSIG(waited[1])}"
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
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests], plugins=[first]))
        os.write(pipe, first.test.encode()[:4000])
    finally:
        os._exit(code)


def source(path: str) -> str:
    """A file of the last commit."""
    command = ["git", "show", f"HEAD:{path}"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def unpack(revision: str, folder: Path) -> Path:
    """The files of a revision."""
    archive = subprocess.run(
        ["git", "archive", revision], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


def measure(
    tree: Path, name: str, module: Module, sample: list[Mutant], out: Path, tests: tuple[str, ...]
) -> None:
    """Runs the tests against each mutant that the file has no outcome of, and adds them to it."""
    done = {tuple(row[f] for f in FIELDS[:6]) for row in read(out)}
    path = tree / module.path
    original = path.read_text()
    if run_tests(tree, tests)[0] != "survived":
        sys.exit(f"the tests of {name} fail without a mutant")
    for mutant in sample:
        row = [name, mutant.line, mutant.operator, mutant.before, mutant.after, mutant.nth]
        if tuple(map(str, row)) in done:
            continue
        try:
            path.write_text(mutant.code)
            outcome = run_tests(tree, tests)
        finally:
            path.write_text(original)
        with out.open("a", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerow([*row, *outcome])
        print(name, mutant.line, *outcome, flush=True)


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a results file, which is made where it is not there."""
    if not path.exists():
        path.write_text(",".join(FIELDS) + "\n")
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def summary(path: Path) -> None:
    """Prints the score of each module."""
    rows = read(path)
    for name in NOW:
        outcomes = Counter(row["outcome"] for row in rows if row["module"] == name)
        if outcomes:
            print(f"{path.name}: {name}: {outcomes['killed']} of {outcomes.total()} killed")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Mutation testing of six modules.")
    parser.add_argument("--before", help="a revision whose tests see the same mutants, in its code")
    parser.add_argument("--module", action="append", choices=list(NOW), help="only these modules")
    parser.add_argument("--per-module", type=int, default=PER_MODULE)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for package in PRELOADED:
        importlib.import_module(package)
    revision, table, out = "HEAD", NOW, RESULTS
    if options.before:
        revision, table, out = options.before, BEFORE, RESULTS.with_name("before.csv")
    with tempfile.TemporaryDirectory() as temporary:
        tree = unpack(revision, Path(temporary))
        for name in options.module or NOW:
            found = mutants(source(NOW[name].path))
            sample = random.Random(options.seed).sample(found, min(options.per_module, len(found)))
            if options.before:
                there = {m: m for m in mutants((tree / table[name].path).read_text())}
                sample = [there[mutant] for mutant in sample if mutant in there]
            print(f"{name}: {len(sample)} of {len(found)} mutants", flush=True)
            measure(tree, name, table[name], sample, out, table[name].tests)
    summary(out)


if __name__ == "__main__":
    main()
