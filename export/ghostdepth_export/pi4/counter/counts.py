"""Model file -> instruction counts of one warm invocation, op by op."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from bench_depth.core.errors import MODEL_FAILED, UserError
from ghostdepth_export.pi4.counter.graph import PROBE_PATTERN, GraphOp, probe, read_ops
from ghostdepth_export.pi4.counter.listing import NOTHING, Listing, Section
from ghostdepth_export.pi4.counter.plugin import CPU, find_qemu, run_counted
from ghostdepth_export.pi4.counter.records import ModelCounts, OpCounts

# A RELU of 4 numbers takes 192 instructions, one of 4096 takes 6330.
_PROBE_LIMIT = 1500
# Makes Python deterministic and read-only, and numpy single-threaded.
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
}


@dataclass(frozen=True)
class CountedRun:
    """One run of a model in the emulated Pi.

    Attributes:
        runtime: Version of TensorFlow Lite.
        qemu: Version of QEMU.
        listing: Counts of the probe's section, of the model's section and of the whole run.
    """

    runtime: str
    qemu: str
    listing: Listing


def count(model: Path, root: Path) -> ModelCounts:
    """Counts a warm invocation of a model by TensorFlow Lite 2.5 on one thread of an emulated CPU.

    Args:
        model: A .tflite file.
        root: The bullseye root of the emulator.

    Raises:
        UserError: The model cannot be counted, a program is missing, or the counts are
            inconsistent.
    """
    ops = read_ops(model)
    run = run_model(model, root)
    section = checked(model, ops, run.listing)
    return ModelCounts(
        file=model.name,
        runtime=run.runtime,
        cpu=CPU,
        qemu=run.qemu,
        total=section.total,
        outside=section.total - sum(section.ops, NOTHING),
        ops=[
            OpCounts(index, op.name, op.output, op.shape, counts)
            for index, (op, counts) in enumerate(zip(ops, section.ops, strict=True))
        ],
    )


def run_model(model: Path, root: Path, warm_ups: int = 1) -> CountedRun:
    """Runs a model under the plugin, without checking the counts.

    Args:
        model: A .tflite file.
        root: The bullseye root of the emulator.
        warm_ups: Number of invocations before the one that is counted in the last section.

    Raises:
        UserError: A program is missing, or the runtime refuses the model.
    """
    qemu = find_qemu()
    with tempfile.TemporaryDirectory() as temporary:
        # Names of a fixed length, because their bytes shift what follows in the guest's memory.
        folder = Path(temporary)
        shutil.copyfile(model, folder / "model.tflite")
        (folder / "probe.tflite").write_bytes(probe())
        (folder / "guest.py").write_bytes(_guest())
        arguments = ["guest.py", "probe.tflite", str(len(PROBE_PATTERN)), "model.tflite"]
        printed, listing = run_counted(
            qemu,
            root / "usr/bin/python3",
            [*arguments, str(warm_ups)],
            folder=folder,
            root=root,
            name="/usr/bin/python3",
            environment=_ENVIRONMENT,
        )
    return CountedRun(printed.strip(), qemu.version, listing)


def checked(model: Path, ops: Sequence[GraphOp], listing: Listing) -> Section:
    """The model's section of a listing, after checks of its consistency.

    Raises:
        UserError: The listing is inconsistent; the line says how.
    """
    doubts = []
    if listing.candidates == 0 or len(listing.sections) != 2:
        raise UserError(f"cannot count {model}: the runtime's call of an op was not found")
    of_probe, section = listing.sections
    large = tuple(counts.instructions > _PROBE_LIMIT for counts in of_probe.ops)
    if large != PROBE_PATTERN:
        doubts.append("the counts of the probe do not match the sizes of its ops")
    if len(section.ops) != len(ops):
        doubts.append(f"{len(section.ops)} ops were called, but the graph has {len(ops)}")
    if section.nested:
        doubts.append(f"{section.nested} ops were called inside others")
    if listing.threads != 1:
        doubts.append(f"{listing.threads} threads ran instead of one")
    if listing.strays:
        doubts.append(f"the addresses of {listing.strays} zeroed cache lines are not known")
    if doubts:
        raise UserError(f"cannot count {model}: {'; '.join(doubts)}", MODEL_FAILED)
    return section


def _guest() -> bytes:
    return (resources.files(__package__) / "guest.py").read_bytes()
