"""Instructions of released models in OpenCV's dnn, ncnn and MNN beside LiteRT, one thread.

    python benchmarks/instructions/others.py --models FOLDER

FOLDER holds NAME-fp32.onnx, NAME-int8.onnx, NAME-fp32.ncnn.param and .bin, NAME-fp32.mnn and
NAME-int8.mnn; what is missing is left out. The .onnx files are those of `ghostdepth export`. In an
environment of their own (pnnx needs a torch) the others are made by

    pip install pnnx==20261020 MNN==3.6.1
    pnnx NAME-fp32.onnx inputshape=[1,480,640,3]f32
    python -m MNN.tools.mnnconvert -f ONNX --modelFile NAME-fp32.onnx --MNNModel NAME-fp32.mnn \
        --bizCode none
    python -m MNN.tools.mnnquant NAME-fp32.mnn NAME-int8.mnn CONFIG.json

pnnx's files are renamed from NAME_fp32. Counted is one warm invocation on the emulated Cortex-A72,
from the picture in memory to the depth in memory, by the plugin of `ghostdepth count`; the root is
that of LiteRT, with the wheels of others-wheels.txt over it. Writes others.csv: the rows, and how
many issue-limited cycles they take for one of LiteRT (`runtimes.csv`) on the same network and type.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from bench_depth.core.errors import UserError, exit_code
from bench_depth.core.files import write_bytes
from ghostdepth_export.host.cache import cache_folder
from ghostdepth_export.host.wheels import install
from ghostdepth_export.pi4.counter import InstructionCounts
from ghostdepth_export.pi4.counter.plugin import COUNTER, find_qemu, run_counted
from ghostdepth_export.pi4.emulator import RECIPES, build_root
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table

HERE = Path(__file__).resolve().parent
GUEST, WHEELS = HERE / "others_guest.py", HERE / "others-wheels.txt"
RESULTS, COUNTED = HERE / "others.csv", HERE / "runtimes.csv"
ROOT = "trixie"
NETWORKS = ("ghostdepth-nano", "ghostdepth-s")
# What each library takes.
LABELS = {"opencv": "OpenCV dnn", "ncnn": "ncnn", "mnn": "MNN"}
SUFFIXES = {"opencv": ".onnx", "ncnn": ".ncnn.param", "mnn": ".mnn"}
FIGURES = ("instructions", "cycles", "l1d_misses", "l2_misses")
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
}


def count(runtime: str, path: Path, root: Path, site: Path) -> tuple[str, InstructionCounts]:
    """The library's version, and the counts of one invocation.

    Raises:
        UserError: The library refuses the network, or what it gives is no depth.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        stem = path.name.removesuffix(SUFFIXES[runtime])
        for file in path.parent.glob(f"{stem}.*"):
            shutil.copyfile(file, folder / file.name)
        shutil.copyfile(GUEST, folder / "guest.py")
        printed, listing = run_counted(
            find_qemu(),
            root / "usr/bin/python3",
            ["guest.py", runtime, path.name],
            COUNTER,
            folder=folder,
            root=root,
            name="/usr/bin/python3",
            environment={**_ENVIRONMENT, "PYTHONPATH": str(site)},
        )
    # MNN prints lines of its own.
    (line,) = [line for line in printed.splitlines() if line.startswith("{")]
    answer = json.loads(line)
    if answer["values"] != 480 * 640 or not 0.2 < answer["sum"] / answer["values"] < 12:
        raise UserError(f"{path.name} gives no depth in {LABELS[runtime]}: {answer}")
    (section,) = listing.sections
    return str(answer["version"]), section.total


def row(runtime: str, path: Path, version: str, counts: InstructionCounts) -> dict[str, str]:
    """One line of the results."""
    model = path.name.removesuffix(SUFFIXES[runtime])
    figures = {name: str(round(getattr(counts, name))) for name in FIGURES}
    return {"model": model, "runtime": runtime, "version": version, **figures}


def table() -> str:
    """The results as a table of Markdown, beside those of LiteRT."""
    litert = {r["model"]: r for r in csv_rows(COUNTED) if r["runtime"] == "litert"}
    heads = ["model", "library", "M instructions", "M issue cycles", "k L1D misses", "k L2 misses"]
    others, lines = csv_rows(RESULTS), []
    for model in sorted({r["model"] for r in others} & set(litert)):
        found = [litert[model], *(r for r in others if r["model"] == model)]
        for one in found:
            label = LABELS.get(one["runtime"], "LiteRT")
            millions = [f"{int(one[n]) / 1e6:.1f}" for n in ("instructions", "cycles")]
            thousands = [f"{int(one[n]) / 1e3:.0f}" for n in ("l1d_misses", "l2_misses")]
            ratio = int(one["cycles"]) / int(litert[model]["cycles"])
            label = f"{label} {one['version']}"
            lines.append([model, label, *millions, *thousands, f"{ratio:.2f}"])
    return markdown_table([*heads, "cycles for one of LiteRT"], lines, (0, 1))


def main() -> int:
    """Counts what is there; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, required=True, help="folder of converted files")
    options = parser.parse_args()
    rows = {(r["model"], r["runtime"]): r for r in csv_rows(RESULTS)}
    root, site = build_root(ROOT), cache_folder() / "others"
    if not site.exists():
        install(WHEELS, RECIPES[ROOT].target, site)
    for runtime, suffix in SUFFIXES.items():
        for name in (f"{n}-{kind}" for n in NETWORKS for kind in ("fp32", "int8")):
            path = options.models / f"{name}{suffix}"
            if path.exists():
                print(path.name, file=sys.stderr, flush=True)
                rows[name, runtime] = row(runtime, path, *count(runtime, path, root, site))
                write_bytes(RESULTS, csv_bytes([rows[key] for key in sorted(rows)]))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("others.py", main))
