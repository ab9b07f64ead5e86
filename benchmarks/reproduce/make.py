"""Makes a released network again, from the data to the files and figures of its model card.

    python benchmarks/reproduce/make.py NAME --data DATA [--photos PHOTOS] [--runs RUNS]

The steps of each network, with their seeds, stand in `steps.yaml`; each writes a run, `RUNS/STEP`.
What is complete is left as it is, and what was under way continues: killed, the same command does
the rest. DATA holds `train/` and `val/`, PHOTOS unlabelled images in `rgb/`. At the end
`benchmarks/release.py` replaces `models/NAME`; the steps that bear the network's name are its runs.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path
from string import Template

import yaml
from bench_depth.core.errors import exit_code

ROOT = Path(__file__).resolve().parents[2]
STEPS = Path(__file__).with_name("steps.yaml")
KEPT = Path(__file__).with_name("kept.py")
TRAINED_ON = (
    "NYU Depth v2, labelled set, 689 pairs of the official training split (Silberman et al., ECCV "
    "2012); published for research use, no licence text found"
)
ON_PHOTOS = (
    "; and 800 photos without depth (SUN, for research only; Open Images, CC BY 2.0; property "
    "listings, terms unclear)"
)
# Horizontal field of view of NYU's camera, a Kinect v1, in degrees.
HFOV = "63.3"


def read_steps() -> dict[str, dict[str, str]]:
    """`steps.yaml`: the runs of every released network, and the command that makes each."""
    steps: dict[str, dict[str, str]] = yaml.safe_load(STEPS.read_text())
    return steps


def needs_photos(name: str) -> bool:
    """Whether a step of a network takes unlabelled photos."""
    return any("$PHOTOS" in line for line in read_steps()[name].values())


def commands(name: str, data: Path, photos: Path | None, runs: Path) -> list[list[str]]:
    """The commands that make a released network, without the interpreter."""
    steps, found = read_steps()[name], []
    places = {"RUNS": runs, "PHOTOS": photos, "HERE": STEPS.parent}
    for step, line in steps.items():
        arguments = [Template(word).substitute(places) for word in shlex.split(line)]
        if arguments[0] == "kept":
            found.append([str(KEPT), *arguments[1:], str(runs / step)])
            continue
        where = ["--out", str(runs / step)]
        if arguments[0] != "label":
            where = ["--data", str(data), *where, "--resume"]
        found.append(["-m", "ghostdepth", *arguments, *where])
    release = [str(ROOT / "benchmarks" / "release.py"), "--name", name, "--data", str(data)]
    own = [step for step in steps if step.startswith(name.removeprefix("ghostdepth-") + "-")]
    release += [word for step in own for word in ("--run", str(runs / step))]
    trained_on = TRAINED_ON + ON_PHOTOS * needs_photos(name)
    return [*found, [*release, "--trained-on", trained_on, "--hfov", HFOV]]


def main() -> int:
    """Runs the commands one after the other, up to the first that fails; returns its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=read_steps())
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/")
    parser.add_argument("--photos", type=Path, help="folder of unlabelled photos, with rgb/")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    options = parser.parse_args()
    if needs_photos(options.name) and options.photos is None:
        parser.error(f"{options.name} was trained on unlabelled photos as well: give --photos")
    for command in commands(options.name, options.data, options.photos, options.runs):
        print(shlex.join(command), file=sys.stderr, flush=True)
        code = subprocess.run([sys.executable, *command], check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("make.py", main))
