"""Model file -> instruction counts of one warm invocation, op by op."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Generic

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.temporary import fresh_folder
from bench_depth.model.runtimes.onnx import why_refused
from ghostdepth_export.pi4.counter.graph import (
    PROBE_PATTERN,
    GraphOp,
    check_plain,
    onnx_probe,
    probe,
    read_ops,
)
from ghostdepth_export.pi4.counter.listing import NOTHING, C, InstructionCounts, Listing, Section
from ghostdepth_export.pi4.counter.plugin import (
    COUNTER,
    CPU,
    GuestError,
    Plugin,
    find_qemu,
    run_counted,
)
from ghostdepth_export.pi4.counter.records import ModelCounts, OpCounts
from ghostdepth_export.pi4.counter.runtimes import RUNTIMES, choose_runtime
from ghostdepth_export.pi4.emulator import build_root

# Makes Python deterministic and read-only, and numpy single-threaded.
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
}
# Its telemetry has threads of its own.
_ENVIRONMENTS = {"onnxruntime": {**_ENVIRONMENT, "ORT_DISABLE_TELEMETRY": "1"}}


@dataclass(frozen=True)
class CountedRun(Generic[C]):
    """One run of a model in the emulated Pi.

    Attributes:
        runtime: Version of the runtime.
        qemu: Version of QEMU.
        listing: Counts of the probe's section, of the model's section and of the whole run.
        kept: The ops that the runtime reports to run itself; TensorFlow Lite 2.5 reports none.
        delegated: Names and tasks of the operators of each part of the graph that a delegate takes.
    """

    runtime: str
    qemu: str
    listing: Listing[C]
    kept: list[GraphOp]
    delegated: Sequence[Sequence[tuple[str, int]]]


def count_file(
    model: Path,
    runtime: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
    cpu: str = CPU,
) -> ModelCounts:
    """Counts a model in the root of its runtime, which is built if need be.

    Args:
        model: A .tflite or .onnx file.
        runtime: A key of `RUNTIMES`; None for the one of the file's suffix.
        progress: Called with one line of progress text at each slow step.
        cpu: As in `count`.

    Raises:
        UserError: As `count`, or the root cannot be built.
    """
    chosen = choose_runtime(model, runtime)
    return count(model, build_root(chosen.root, progress), chosen.name, cpu)


def count(model: Path, root: Path, runtime: str = "2.5", cpu: str = CPU) -> ModelCounts:
    """Counts a warm invocation of a model on one thread of an emulated CPU.

    Args:
        model: A .tflite or .onnx file.
        root: The emulator's root of the runtime.
        runtime: A key of `RUNTIMES`.
        cpu: QEMU's name of the CPU; cycles and caches are those of a Cortex-A72 on any.

    Raises:
        UserError: The model cannot be counted, a program is missing, or the counts are
            inconsistent.
    """
    ops = ops_before(model, runtime)
    run = run_model(model, root, COUNTER, runtime=runtime, cpu=cpu)
    section = checked(model, run.listing)
    regions = regions_of(model, run.kept if ops is None else ops, run.delegated, section)
    return ModelCounts(
        file=model.name,
        runtime=run.runtime,
        cpu=cpu,
        qemu=run.qemu,
        total=section.total,
        outside=section.total - sum((counts for _, counts in regions), NOTHING),
        ops=[
            OpCounts(index, op.name, op.output, op.shape, counts, op.tasks)
            for index, (op, counts) in enumerate(regions)
        ],
        library=runtime,
    )


def ops_before(model: Path, runtime: str) -> list[GraphOp] | None:
    """The ops of a file, where they are known before it runs; None where the runtime tells them.

    Raises:
        UserError: The file cannot be counted in that runtime.
    """
    choose_runtime(model, runtime)
    if runtime == "2.5":
        return read_ops(model)
    check_plain(model)
    return None


def run_model(
    model: Path,
    root: Path,
    plugin: Plugin[C],
    warm_ups: int = 1,
    runtime: str = "2.5",
    cpu: str = CPU,
    threads: int = 1,
) -> CountedRun[C]:
    """Runs a model under a plugin, without checking the counts.

    Args:
        model: A .tflite or .onnx file.
        root: The emulator's root of the runtime.
        plugin: `COUNTER`, or `THREADS` for several threads.
        warm_ups: Number of invocations before the one that is counted in the last section.
        runtime: A key of `RUNTIMES`.
        cpu: As in `count`.
        threads: Number of threads of the interpreter or session.

    Raises:
        UserError: A program is missing, or the runtime refuses the model.
    """
    qemu = find_qemu()
    suffix = RUNTIMES[runtime].suffix
    # Names of a fixed length, because their bytes shift what follows in the guest's memory.
    with fresh_folder("gd-") as folder:
        shutil.copyfile(model, folder / f"model{suffix}")
        (folder / f"probe{suffix}").write_bytes(onnx_probe() if suffix == ".onnx" else probe())
        for name in ("guest.py", "xnnpack.py"):
            (folder / name).write_bytes((resources.files(__package__) / name).read_bytes())
        arguments = [runtime, f"probe{suffix}", str(len(PROBE_PATTERN)), f"model{suffix}"]
        try:
            printed, listing = run_counted(
                qemu,
                root / "usr/bin/python3",
                ["guest.py", *arguments, str(warm_ups), str(threads)],
                plugin,
                folder=folder,
                root=root,
                name="/usr/bin/python3",
                environment=_ENVIRONMENTS.get(runtime, _ENVIRONMENT),
                cpu=cpu,
            )
        except GuestError as error:
            label, why = RUNTIMES[runtime].label, f"{error}; export it for that runtime"
            if runtime == "onnxruntime":
                why = why_refused(error)
            raise UserError(
                f"cannot count {model}: {label} in the emulated Pi refuses it: {why}", MODEL_FAILED
            ) from error
    report = json.loads(printed.splitlines()[-1])
    kept = [GraphOp(*op) for op in report["kept"] or ()]
    return CountedRun(report["version"], qemu.version, listing, kept, report["delegated"])


def checked(model: Path, listing: Listing[InstructionCounts]) -> Section[InstructionCounts]:
    """The model's section of a listing, after checks of its consistency.

    Raises:
        UserError: The listing is inconsistent; the line says how.
    """
    doubts = []
    if listing.threads != 1:
        doubts.append(f"{listing.threads} threads ran instead of one")
    if listing.strays:
        doubts.append(f"the addresses of {listing.strays} zeroed cache lines are not known")
    return model_section(model, listing, lambda counts: counts.instructions, doubts)


def model_section(
    model: Path, listing: Listing[C], size: Callable[[C], float], doubts: Sequence[str]
) -> Section[C]:
    """The model's section of a listing, after the checks that all plugins share.

    Args:
        model: The counted file, for the line of an error.
        listing: Listing that a plugin wrote.
        size: A measure by which large ops of the probe differ from small ones.
        doubts: Other inconsistencies that were found.

    Raises:
        UserError: The listing is inconsistent; the line says how.
    """
    if not listing.candidates or 0 in listing.candidates or len(listing.sections) != 2:
        raise UserError(f"cannot count {model}: the runtime's call of an op was not found")
    of_probe, section = listing.sections
    sizes = [size(c) for c in [c for ops in of_probe.inner for c in ops] or of_probe.ops]
    middle = (min(sizes, default=0) + max(sizes, default=0)) / 2
    found = []
    if tuple(size > middle for size in sizes) != PROBE_PATTERN:
        found.append("the counts of the probe do not match the sizes of its ops")
    if section.nested:
        found.append(f"{section.nested} ops were called inside others")
    _refuse_if(model, [*found, *doubts])
    return section


def regions_of(
    model: Path,
    kept: Sequence[GraphOp],
    delegated: Sequence[Sequence[tuple[str, int]]],
    section: Section[C],
) -> list[tuple[GraphOp, C]]:
    """What ran, in order: the runtime's own ops, and the operators inside its delegates.

    Args:
        model: The counted file, for the line of an error.
        kept: The ops that the runtime runs by itself.
        delegated: Names and tasks of the operators of each delegate.
        section: Counts of the model's section.

    Raises:
        UserError: Other numbers of ops were called than the graph has.
    """
    own, parts = iter(kept), iter(delegated)
    regions: list[tuple[GraphOp, C]] = []
    inner_of = section.inner or [[] for _ in section.ops]
    plain = sum(not inner for inner in inner_of)
    doubts = []
    if plain != len(kept):
        doubts.append(f"{plain} ops were called, but the graph has {len(kept)}")
    numbers = [len(inner) for inner in inner_of if inner]
    if numbers != list(map(len, delegated)):
        wanted = [len(names) for names in delegated]
        doubts.append(f"delegates called {numbers} operators, but have {wanted}")
    _refuse_if(model, doubts)
    for counts, inner in zip(section.ops, inner_of, strict=True):
        if not inner:
            regions.append((next(own), counts))
            continue
        operators = [GraphOp(name, "", "", tasks) for name, tasks in next(parts)]
        regions += zip(operators, inner, strict=True)
    return regions


def _refuse_if(model: Path, doubts: Sequence[str]) -> None:
    if doubts:
        raise UserError(f"cannot count {model}: {'; '.join(doubts)}", MODEL_FAILED)
