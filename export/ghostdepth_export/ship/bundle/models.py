"""Model files are opened before they travel: what a Pi would refuse is refused here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench_depth.core.errors import THRESHOLD_FAILED, UserError
from bench_depth.core.files import read_regular
from bench_depth.model.contract import read_contract
from bench_depth.model.runtimes import choose
from bench_depth.model.signature import check_signature
from ghostdepth_export.convert.op_versions import (
    OP_RUNTIMES,
    ops_of,
    parse_version,
    refused_at_prepare,
)
from ghostdepth_export.host.quiet import native_quiet
from ghostdepth_export.ship.bundle.targets import Target


def check_models(models: Sequence[Path], target_name: str, target: Target) -> None:
    """Loads each file with this machine's runtime, and checks that the target's has its ops.

    Raises:
        UserError: A file is missing, damaged or no depth model, two have one name, a name cannot
            be written into the list of checksums, or an op is too new for the target.
    """
    if not models:
        raise UserError("a bundle needs a model; give it with --models FILE")
    names = [path.name for path in models]
    for path in models:
        if names.count(path.name) > 1:
            raise UserError(f"two models are called {path.name}; rename one")
        if not path.name.isprintable() or path.name[0] in ".-" or "\\" in path.name:
            raise UserError(
                f"{path.name!r} cannot be a file of a bundle: it starts with . or -, or holds a "
                "backslash or control character; rename it"
            )
        if path.suffix not in target.runtimes:
            raise UserError(f"{path} is no model; its name must end in .tflite or .onnx")
        _check(path, target_name, target)


def _check(path: Path, target_name: str, target: Target) -> None:
    contract = read_contract(path)
    with native_quiet():
        model = choose(path).load(path, threads=1)
    check_signature(path, model, contract)
    check = check_tflite if path.suffix == ".tflite" else _check_onnx
    try:
        check(path, target)
    except UserError as error:
        raise UserError(f"{path} cannot run on {target_name}: {error}", error.exit_code) from error


def check_tflite(path: Path, target: Target) -> None:
    """Refuses what is known that the target's TensorFlow Lite lacks or does not prepare.

    Raises:
        UserError: An op is too new for the target, or has options that it refuses (exit code 1).
    """
    if target.tflite is None:
        return
    data = read_regular(path)
    for name, version in sorted(ops_of(data)):
        since = OP_RUNTIMES.get((name, version))
        if since is None or parse_version(since) > parse_version(target.tflite):
            raise UserError(
                f"{name} version {version} came with TFLite {since or '(unknown)'}, there it is "
                f"{target.tflite}; export the network with --runtime {target.tflite}",
                THRESHOLD_FAILED,
            )
    wrong = refused_at_prepare(data)
    if wrong is not None:
        raise UserError(
            f"{wrong}, which TFLite {target.tflite} refuses; resize with one of them",
            THRESHOLD_FAILED,
        )


def _check_onnx(path: Path, target: Target) -> None:
    import onnx

    model = onnx.load(path, load_external_data=False)
    if any(onnx.external_data_helper.uses_external_data(t) for t in model.graph.initializer):
        raise UserError("its weights are in a file of their own; save it as one file")
    if target.onnx is None:
        return
    opset = max((entry.version for entry in model.opset_import if not entry.domain), default=0)
    if model.ir_version > target.onnx[0] or opset > target.onnx[1]:
        raise UserError(
            f"it is ONNX format {model.ir_version} with opset {opset}, there the newest is "
            f"format {target.onnx[0]} with opset {target.onnx[1]}; export the network again",
            THRESHOLD_FAILED,
        )
