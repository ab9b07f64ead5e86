"""The soak: hostile inputs, kills, full disks and cut connections, by seeds, for a given time.

    python benchmarks/fuzz/soak.py [--minutes 60] [--seed 0] [--jobs 2] [--only CLASS...]

Each class of `CLASSES` gets a fixed fraction of the time. A fault is a traceback, a signal, a hang,
more than one error line, a control character on the screen, too much memory, exit code 0 without
the output, a left-over of a program that ended by itself, or a result that differs after a resume.
Every fault is printed with its class and seed; `--only CLASS --first SEED --tries 1` repeats it.
Stopped at any moment, the same command continues. `--results` names the file for the figures,
in which the rows of classes that were not tried stay.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import deploys
import inputs
import interrupted
import live_runs
import readers
from bench_depth.core.files import write_json
from corpus import ROOT, Corpus, make_corpus
from figures import Tally, write_results

# Seeds of one run's classes begin here, so that runs of other seeds do not meet.
STRIDE = 1_000_000
Attempt = Callable[[Corpus, int, Path], str]


@dataclass(frozen=True)
class Class:
    """One kind of attempts.

    Attributes:
        attempt: Runs one attempt, given its seed and an empty folder; returns the fault or "".
        weight: Relative weight of its fraction of the time.
        limit: Seconds after which an attempt is ended as a hang.
        full: Whether it needs the checkpoint and the results of the corpus.
        batch: Number of attempts that one process makes in turn, within `limit`.
    """

    attempt: Attempt
    weight: float
    limit: float = 300.0
    full: bool = True
    batch: int = 1


BATCH = 100


def _reader(attempt: Attempt, weight: float = 1, full: bool = False) -> Class:
    return Class(attempt, weight, limit=1800, full=full, batch=BATCH)


CLASSES: dict[str, Class] = {
    "read-models": _reader(readers.model_files),
    "read-configs": _reader(readers.configs),
    "read-recipes": _reader(readers.recipes),
    "read-checkpoints": _reader(readers.checkpoints, full=True),
    "read-results": _reader(readers.results, full=True),
    "read-datasets": _reader(readers.datasets, full=True),
    "read-pictures": _reader(readers.pictures, full=True),
    "read-answers": _reader(readers.answers, 0.5),
    "read-zones": _reader(readers.zones, 0.5),
    "tflite-bytes": Class(inputs.tflite_bytes, 1, full=False),
    "tflite-fields": Class(inputs.tflite_fields, 2, full=False),
    "onnx-bytes": Class(inputs.onnx_bytes, 1, full=False),
    "onnx-fields": Class(inputs.onnx_fields, 2, full=False),
    "contracts": Class(inputs.contracts, 1, full=False),
    "checkpoints": Class(inputs.checkpoints, 1),
    "configs": Class(inputs.configs, 1),
    "recipes": Class(inputs.recipes, 1),
    "results": Class(inputs.results, 1),
    "datasets": Class(inputs.datasets, 2),
    "kills": Class(interrupted.kills, 4, limit=2400),
    "full-disk": Class(interrupted.full_disk, 3, limit=2400),
    "deploys": Class(deploys.deploys, 2, full=False),
    "live": Class(live_runs.live, 3, full=False),
}


@dataclass(frozen=True)
class Running:
    """A process that has not ended, and the first and number of its attempts."""

    name: str
    seed: int
    count: int
    folder: Path
    begin: float


class Soak:
    """Runs attempts, several at a time.

    Args:
        tallies: Tally of each class that takes part; changed as attempts end.
        corpus: Sound files.
        scratch: Folder for the attempts' files.
        jobs: Number of processes at a time.
        most: Number of attempts that a process makes at most.
    """

    def __init__(
        self, tallies: dict[str, Tally], corpus: Corpus, scratch: Path, jobs: int, most: int
    ) -> None:
        self.tallies = tallies
        self._corpus = corpus
        self._scratch = scratch
        self._jobs = jobs
        self._most = most
        self._running: dict[int, Running] = {}

    def run(self, more: Callable[[], bool], after: Callable[[], None]) -> None:
        """Starts attempts while `more` says so, and calls `after` when one has ended."""
        # So that the attempts end with it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            while self._running or more():
                while len(self._running) < self._jobs and more():
                    self._start()
                if self._collect():
                    after()
                else:
                    time.sleep(0.01)
        finally:
            for child in self._running:
                os.killpg(child, signal.SIGKILL)

    def _start(self) -> None:
        busy = [running.name for running in self._running.values()]
        now = time.monotonic()
        spent = {name: tally.seconds for name, tally in self.tallies.items()}
        for running in self._running.values():
            spent[running.name] += now - running.begin
        name = min(spent, key=lambda key: (spent[key] / CLASSES[key].weight, busy.count(key)))
        seed, count = self.tallies[name].next_seed, min(CLASSES[name].batch, self._most)
        self.tallies[name].next_seed += count
        folder = Path(tempfile.mkdtemp(dir=self._scratch, prefix=f"{name}-{seed}-"))
        child = os.fork()
        if child == 0:
            self._attempts(name, range(seed, seed + count), folder)
        with contextlib.suppress(OSError):
            os.setpgid(child, child)
        self._running[child] = Running(name, seed, count, folder, now)

    def _attempts(self, name: str, seeds: range, folder: Path) -> None:
        """In the child: writes the fault of each attempt to a file, a line of JSON."""
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with (folder / "faults").open("w", buffering=1) as told:
            for seed in seeds:
                told.write(json.dumps(self._attempt(name, seed, folder / str(seed))) + "\n")
        os._exit(0)

    def _attempt(self, name: str, seed: int, work: Path) -> str:
        try:
            work.mkdir()
            fault = CLASSES[name].attempt(self._corpus, seed, work)
            shutil.rmtree(work, ignore_errors=True)
        except BaseException:
            import traceback

            return f"the soak itself failed\n{traceback.format_exc()}"
        return fault

    def _collect(self) -> bool:
        for child, running in list(self._running.items()):
            done, _ = os.waitpid(child, os.WNOHANG)
            seconds = time.monotonic() - running.begin
            late = not done and seconds > CLASSES[running.name].limit
            if late:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
            if done or late:
                del self._running[child]
                self._record(running, seconds, late)
                return True
        return False

    def _record(self, running: Running, seconds: float, late: bool) -> None:
        told = running.folder / "faults"
        lines = told.read_text().splitlines() if told.exists() else []
        faults = [json.loads(line) for line in lines]
        if len(faults) < running.count:
            # The others of its batch are not tried.
            faults.append("hang" if late else "the process ended")
        tally = self.tallies[running.name]
        tally.tried += len(faults)
        tally.seconds += seconds
        for seed, fault in enumerate(faults, running.seed):
            if fault:
                tally.faults.append((seed, fault))
                print(f"\n{running.name} {seed}: {fault}\n", flush=True)
        shutil.rmtree(running.folder, ignore_errors=True)


def resumed(path: Path, names: Sequence[str], first: int) -> dict[str, Tally]:
    """The tallies of a run that was stopped, or new ones."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    return {name: Tally(**kept.get(name, {"next_seed": first})) for name in names}


def main() -> int:
    """Runs the soak; exit code 1 where there was a fault."""
    options = _options()
    first = options.seed * STRIDE if options.first is None else options.first
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / f"state-{first}.json"
    tallies = resumed(state, options.only, first)
    corpus = make_corpus(folder / "corpus", any(CLASSES[name].full for name in options.only))
    _import_all(options.only)
    began = time.monotonic() - sum(t.seconds for t in tallies.values()) / options.jobs
    print(f"seeds from {first} on, {options.jobs} attempts at a time", flush=True)

    def more() -> bool:
        started = sum(tally.next_seed - first for tally in tallies.values())
        if options.tries is not None:
            return started < options.tries
        return time.monotonic() - began < options.minutes * 60

    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        soak = Soak(tallies, corpus, Path(scratch), options.jobs, options.tries or BATCH)
        soak.run(more, lambda: write_json(state, {k: asdict(v) for k, v in tallies.items()}))
    state.unlink(missing_ok=True)
    if options.results:
        write_results(tallies, first, options.results)
    for name, tally in tallies.items():
        faults = [seed for seed, _ in tally.faults]
        print(f"{name:16}{tally.tried:7} tried{len(faults):5} faults {faults or ''}")
    return int(any(tally.faults for tally in tallies.values()))


def _import_all(names: Sequence[str]) -> None:
    """Imports once what every attempt would import; ONNX Runtime is left out, for its threads."""
    import bench_depth.benchmark.bench  # noqa: F401

    with contextlib.suppress(ImportError):
        import ai_edge_litert.interpreter  # noqa: F401
    if any(CLASSES[name].full for name in names):
        import ghostdepth_train.checkpoint
        import ghostdepth_train.compress.recipe
        import ghostdepth_train.trainer  # noqa: F401
    if "tflite-fields" in names:
        import ghostdepth_export.convert.flatbuffer  # noqa: F401


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="seeds begin at this times a million")
    parser.add_argument("--jobs", type=int, default=2, help="attempts at a time")
    parser.add_argument(
        "--only", nargs="+", choices=CLASSES, default=list(CLASSES), metavar="CLASS"
    )
    parser.add_argument("--tries", type=int, help="number of attempts instead of minutes")
    parser.add_argument("--first", type=int, help="first seed, instead of --seed")
    parser.add_argument("--results", type=Path, help="CSV file for the figures")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "soak")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
