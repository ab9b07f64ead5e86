"""Checkpoint -> model files, each verified against torch before it gets its final name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import bench_depth
import numpy as np
from bench_depth.core.dataset import Pair, list_pairs
from bench_depth.core.errors import UserError, refuse_warnings
from bench_depth.core.files import atomic_path, write_json
from bench_depth.core.screen import counted, say
from bench_depth.model.contract import METADATA_NAME, ModelContract, StateTensor
from bench_depth.plausibility.output_checks import OutputWatch
from ghostdepth_export.convert.formats import FORMATS, Format, find_format
from ghostdepth_export.convert.op_versions import check_runtime, minimum_runtime, require_release
from ghostdepth_export.convert.source import (
    MIN_CALIBRATION_IMAGES,
    ExportSource,
    evenly,
    network_size,
)
from ghostdepth_export.convert.verify import (
    VERIFY_IMAGES,
    Parity,
    Reference,
    check_limits,
    make_reference,
    verify,
)
from ghostdepth_export.host.checkout import SAMPLES
from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint
from ghostdepth_train.config import check_camera
from ghostdepth_train.run_folder import run_folder

SCHEMA = "ghostdepth-verify/1"


def _to_stderr(line: str) -> None:
    say(line, error=True)


def export(
    checkpoint_folder: Path,
    out: Path,
    *,
    camera: tuple[int, int] = (480, 640),
    output_size: tuple[int, int] | Literal["network"] | None = None,
    formats: Sequence[str] = tuple(FORMATS),
    calibration: Path = SAMPLES,
    hfov: float | None = None,
    runtime: str = "2.5",
    strict: bool = False,
    progress: Callable[[str], None] = _to_stderr,
    warn: Callable[[str], None] = _to_stderr,
) -> list[Path]:
    """Exports a checkpoint to model files and `verify.json`.

    Args:
        checkpoint_folder: Checkpoint folder as training writes it.
        out: Folder for the files; it is created if missing.
        camera: Height and width of the images that the files will take, in pixels.
        output_size: Height and width of the depth map, in pixels; `network` for the size at which
            the network computes it, which needs no upsampling; None for the camera's.
        hfov: Horizontal field of view of the camera in degrees, for which the files give metres;
            None for that of the training data.
        formats: Names from `formats.FORMATS`.
        calibration: Dataset folder whose images calibrate the int8 files and verify all files.
        runtime: Version of the TFLite runtime that must be able to run the .tflite files.
        strict: Whether implausible depth is an error, before any file is written.
        progress: Called with one line of progress text at each step.
        warn: Called with one line for each warning about the network's depth.

    Returns:
        The model files, in the order of `formats`.

    Raises:
        UserError: An argument is wrong, the checkpoint cannot be read, an op cannot be exported or
            is too new for `runtime`, a file fails its limit, another process exports to
            the folder, or a file cannot be written; with `strict`, there are warnings.
    """
    kinds = [find_format(name) for name in formats]
    require_release(runtime)
    for name, size in (("camera", camera), ("output", output_size)):
        if isinstance(size, tuple) and min(size) < 1:
            raise UserError(f"the {name}'s size must be positive, got {size[1]}x{size[0]}")
    pairs = list_pairs(calibration)
    checkpoint = load_checkpoint(checkpoint_folder)
    _refuse_adders(checkpoint, checkpoint_folder)
    check_camera(checkpoint.network.config, hfov, checkpoint_folder)
    calibrates = checkpoint.ranges is None and any(kind.variant == "int8" for kind in kinds)
    if calibrates and len(pairs) < MIN_CALIBRATION_IMAGES:
        raise UserError(
            f"{calibration} has {counted(len(pairs), 'image')}; int8 ranges need at "
            f"least {MIN_CALIBRATION_IMAGES}: give a larger --calibration folder"
        )
    network = checkpoint.network.eval()
    depth_size = network_size(network) if output_size == "network" else output_size or camera
    source = ExportSource(network, *camera, pairs, checkpoint.ranges, depth_size, hfov)
    with run_folder(out, "ghostdepth export"):
        progress(
            f"running torch on {counted(min(len(pairs), VERIFY_IMAGES), 'image')} of {calibration}"
        )
        pairs = evenly(source.pairs, VERIFY_IMAGES)
        reference = make_reference(source, pairs)
        refuse_warnings(_implausible(pairs, reference, warn), strict)
        return _export(source, checkpoint, kinds, reference, Path(out), runtime, progress)


def _implausible(
    pairs: Sequence[Pair], reference: Reference, warn: Callable[[str], None]
) -> list[str]:
    """Codes of what is implausible in torch's depth: files that are equal to it are so as well."""
    watch = OutputWatch(True, warn)
    for pair, image, depth in zip(pairs, reference.images, reference.depths, strict=True):
        watch(pair.rgb.name, depth, image[0].astype(np.uint8))
    return watch.codes


def _export(
    source: ExportSource,
    checkpoint: Checkpoint,
    kinds: Sequence[Format],
    reference: Reference,
    out: Path,
    runtime: str,
    progress: Callable[[str], None],
) -> list[Path]:
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "checkpoint_sha256": checkpoint.sha256,
        "pictures": len(reference.images),
        "camera": {"height": source.height, "width": source.width},
        "output": {"height": source.output_size[0], "width": source.output_size[1]},
        "files": [],
    }
    written = []
    for kind in kinds:
        target = out / kind.file_name(checkpoint.name)
        progress(f"building {target.name}")
        data = kind.build(source)
        if kind.suffix == ".tflite":
            check_runtime(target, runtime, data)
        data = _with_contract(data, kind, source, checkpoint)
        with atomic_path(target) as temporary:
            temporary.write_bytes(data)
            parity = _verified(temporary, target.name, kind, reference, report)
            write_json(out / "verify.json", report)
            check_limits(target.name, kind, parity)
        progress(_line(target.name, len(data), parity))
        written.append(target)
    return written


def _refuse_adders(checkpoint: Checkpoint, folder: Path) -> None:
    """An adder composed of other ops is many times slower than the convolution it replaces."""
    if count := len(checkpoint.config.adder):
        raise UserError(
            f"{folder} has {count} adder convolutions, for which TFLite and ONNX have no op; "
            "export the checkpoint from before the step `adder` (docs/compression/adder.md)"
        )


def _with_contract(
    data: bytes, kind: Format, source: ExportSource, checkpoint: Checkpoint
) -> bytes:
    """The file's bytes with named input and output and the contract."""
    if kind.suffix == ".onnx":
        from ghostdepth_export.convert import onnx_files

        state = onnx_files.state_tensor(data)
        contract = _contract(kind, source, checkpoint, onnx_files.MINIMUM_RUNTIME, state=state)
        return onnx_files.finish(data, METADATA_NAME, contract.to_json())
    from ghostdepth_export.convert import tflite

    oldest = minimum_runtime(data)
    layout = tflite.output_layout(data)
    state = tflite.state_tensor(data)
    contract = _contract(kind, source, checkpoint, oldest, layout, state)
    return tflite.finish(data, oldest, METADATA_NAME, contract.to_json())


def _contract(
    kind: Format,
    source: ExportSource,
    checkpoint: Checkpoint,
    minimum: str,
    output_layout: str = "NHWC",
    state: StateTensor | None = None,
) -> ModelContract:
    config, factor = source.network.config, source.camera.tail.factor
    return ModelContract(
        name=checkpoint.name,
        variant=kind.variant,
        input_height=source.height,
        input_width=source.width,
        input_dtype=kind.input_dtype,
        input_layout="NHWC",
        input_color="RGB",
        input_range=(0, 255),
        output_height=source.output_size[0],
        output_width=source.output_size[1],
        output_dtype="float32",
        output_layout=output_layout,
        output_quantity="depth",
        output_unit="m",
        output_range=(config.depth_min * factor, config.depth_max * factor),
        minimum_runtime=minimum,
        checkpoint_sha256=checkpoint.sha256,
        training_data=checkpoint.training_data,
        # Figures of the exported files are measured on the files that hold this contract.
        metrics={name: value for name, value in checkpoint.metrics.items() if name != "files"},
        created_by=f"ghostdepth {bench_depth.__version__}",
        state=state,
        hfov=source.hfov or config.hfov,
    )


def _verified(
    path: Path, file_name: str, kind: Format, reference: Reference, report: dict[str, Any]
) -> Parity:
    """Verifies a file and adds it to the report, whether it passes or not."""
    try:
        parity = verify(path, kind, reference)
    except UserError as error:
        raise UserError(f"{file_name}: {error}", error.exit_code) from error
    limit = parity.closest_limit(kind)
    report["files"].append(
        {
            "file": file_name,
            "format": kind.name,
            **asdict(parity),
            "limit": asdict(limit),
            "limits": [asdict(each) for each in kind.limits],
            "passed": parity.passes(limit),
        }
    )
    return parity


def _line(file_name: str, size: int, parity: Parity) -> str:
    noise = "equal to torch" if parity.sqnr_db is None else f"SQNR {parity.sqnr_db:.1f} dB"
    return (
        f"{file_name}: {size / 1e6:.2f} MB, {noise}, largest relative error "
        f"{parity.max_relative_error:.1e}, si-RMSE {parity.si_rmse:.4f} "
        f"(torch {parity.si_rmse_torch:.4f})"
    )
