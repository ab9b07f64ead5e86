"""Makes the runs of `runs.yaml`, from which `measure.py` takes the figures.

    python benchmarks/compression/run.py --data DATA --unlabelled IMAGES [--jobs N] [NAME...]

Each is `ghostdepth compress` with the steps there, once for every seed, in `runs/NAME-SEED`. What
is complete is left alone, what was under way continues: killed, the same command does the rest.
Several jobs run side by side, each on its fraction of the cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from bench_depth.core.files import write_bytes

ROOT = Path(__file__).resolve().parents[2]
RUNS = Path(__file__).with_name("runs.yaml")
OUT = ROOT / "runs"


def read_runs() -> dict[str, dict[str, Any]]:
    """`runs.yaml`: the start, the seeds and the steps of every run by its name."""
    runs: dict[str, dict[str, Any]] = yaml.safe_load(RUNS.read_text())
    return runs


def run(name: str, seed: int, arguments: argparse.Namespace) -> int:
    """One run of one seed; its log is `runs/NAME-SEED.log`. Returns the exit code."""
    runs = read_runs()
    start, out = runs[name]["start"], OUT / f"{name}-{seed}"
    recipe = out.with_suffix(".yaml")
    write_bytes(recipe, yaml.safe_dump(runs[name]["steps"]).encode())
    checkpoint = OUT / f"{start}-0" / "result" if start in runs else ROOT / start
    command = [Path(sys.executable).with_name("ghostdepth"), "compress", "--resume"]
    command += ["--checkpoint", checkpoint, "--recipe", recipe, "--seed", seed, "--out", out]
    command += ["--data", arguments.data.resolve(), "--unlabelled", arguments.unlabelled.resolve()]
    threads = max(1, (os.cpu_count() or 1) // arguments.jobs)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    with out.with_suffix(".log").open("ab") as log:
        done = subprocess.run(
            list(map(str, command)), cwd=ROOT, env=environment, stdout=log, stderr=log, check=False
        )
    print(f"{out.name}: exit code {done.returncode}", flush=True)
    return done.returncode


def _starts(runs: dict[str, dict[str, Any]], names: Iterable[str]) -> list[str]:
    """The runs that these start from, and those that they do, the first first."""
    found: list[str] = []
    for start in (runs[name]["start"] for name in names):
        if start in runs:
            found += [*_starts(runs, [start]), start]
    return list(dict.fromkeys(found))


def _is_complete(name: str, seed: int) -> bool:
    return (OUT / f"{name}-{seed}" / "result" / "metrics.json").is_file()


def main(arguments: argparse.Namespace) -> int:
    """All that is asked for, starts first, then seed by seed; returns the worst exit code."""
    runs = read_runs()
    names = arguments.names or list(runs)
    # Only seed 0 of a start counts.
    starts = [(name, 0) for name in _starts(runs, names)]
    jobs = [(name, seed) for name in names for seed in runs[name]["seeds"]]
    # A seed of every run before the next: cut short, the arms can be compared.
    jobs = sorted(set(jobs) - set(starts), key=lambda job: (job[1], names.index(job[0])))
    OUT.mkdir(exist_ok=True)
    codes = [run(*start, arguments) for start in starts if not _is_complete(*start)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        codes += pool.map(lambda job: run(*job, arguments), jobs)
    return max(codes, default=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="all when there is none")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--unlabelled", "--photos", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1, help="side by side")
    sys.exit(main(parser.parse_args()))
