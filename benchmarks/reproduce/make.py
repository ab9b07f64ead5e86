"""Makes a released network again, from the data to the files and figures of its model card.

    python benchmarks/reproduce/make.py NAME --data DATA [--runs RUNS]

The steps of each network, with their seeds, stand in `steps.yaml`; each writes a run, `RUNS/STEP`.
What is complete is left as it is, and what was under way continues: killed, the same command does
the rest. DATA holds `train/` and `val/`. At the end `benchmarks/release.py` replaces `models/NAME`.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

import yaml
from bench_depth.core.errors import exit_code

ROOT = Path(__file__).resolve().parents[2]
STEPS = Path(__file__).with_name("steps.yaml")
KEPT = Path(__file__).with_name("kept.py")
TRAINED_ON = (
    "NYU Depth v2, labelled set, 689 pairs of the official training split (Silberman et al., ECCV "
    "2012); published for research use, no licence text found"
)
# Horizontal field of view of NYU's camera, a Kinect v1, in degrees.
HFOV = "63.3"


def read_steps() -> dict[str, dict[str, str]]:
    """`steps.yaml`: the runs of every released network, and the command that makes each."""
    steps: dict[str, dict[str, str]] = yaml.safe_load(STEPS.read_text())
    return steps


def commands(name: str, data: Path, runs: Path) -> list[list[str]]:
    """The commands that make a released network, without the interpreter."""
    steps, found = read_steps()[name], []
    for step, line in steps.items():
        arguments = [word.replace("RUNS/", f"{runs}/") for word in shlex.split(line)]
        if arguments[0] == "kept":
            found.append([str(KEPT), *arguments[1:], str(runs / step)])
            continue
        where = ["--data", str(data), "--out", str(runs / step), "--resume"]
        found.append(["-m", "ghostdepth", *arguments, *where])
    release = [str(ROOT / "benchmarks" / "release.py"), "--name", name, "--data", str(data)]
    release += [word for step in steps for word in ("--run", str(runs / step))]
    return [*found, [*release, "--trained-on", TRAINED_ON, "--hfov", HFOV]]


def main() -> int:
    """Runs the commands one after the other, up to the first that fails; returns its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=read_steps())
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    options = parser.parse_args()
    for command in commands(options.name, options.data, options.runs):
        print(shlex.join(command), file=sys.stderr, flush=True)
        code = subprocess.run([sys.executable, *command], check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("make.py", main))
