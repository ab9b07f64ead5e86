"""Models -> a folder with everything that a Raspberry Pi without network needs to measure them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

from bench_depth.core.dataset import Pair, list_pairs
from bench_depth.core.errors import UserError
from bench_depth.core.files import real_path
from bench_depth.model.released import find_model
from ghostdepth_export.host.wheels import build_bench_depth
from ghostdepth_export.ship.bundle.manifest import MANIFEST, SUMS, seal
from ghostdepth_export.ship.bundle.models import check_models
from ghostdepth_export.ship.bundle.targets import find_target, lock_file
from ghostdepth_export.ship.bundle.wheelhouse import fetch
from ghostdepth_export.ship.temporary import replaced_folder, restore_folder
from ghostdepth_train.run_folder import run_folder

_PARTS = {MANIFEST, SUMS, "install", "wheels", "models", "samples"}


def build_bundle(
    target_name: str,
    models: Sequence[Path | str],
    out: Path,
    *,
    samples: Path | None,
    progress: Callable[[str], None] = lambda line: None,
) -> str:
    """Builds a bundle; the same inputs give the same bytes, modes and times.

    Args:
        target_name: A key of `targets.TARGETS`.
        models: .tflite and .onnx files, or names of released models.
        out: The folder; a bundle that is there is replaced.
        samples: A dataset folder that goes along; None for none.
        progress: Called with one line a step.

    Returns:
        The bundle's id: it changes with any of the contents.

    Raises:
        UserError: An argument is wrong, a model cannot run on the target, wheels cannot be
            fetched, the disk is full, or another process builds a bundle there; what was there
            before is left as it was.
    """
    target = find_target(target_name)
    files = [find_model(model) for model in models]
    # Links are followed, so that a link to a folder stays one.
    out = real_path(Path(out))
    with run_folder(out, "ghostdepth bundle", replaced=True):
        try:
            restore_folder(out, "bundle")
        except OSError as error:
            raise _unwritable(out, error) from error
        _check_out(out)
        progress("checking the models")
        check_models(files, target_name, target)
        pairs = [] if samples is None else list_pairs(samples)
        progress("fetching wheels")
        wheels = fetch(_lines(target_name, files), target.system, target_name)
        progress("writing the bundle")
        try:
            with replaced_folder(out, "bundle") as folder:
                _fill(folder, wheels, files, pairs)
                return seal(folder, target_name, target)
        except OSError as error:
            raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write {out}: {error.strerror or error}; check free space and permissions"
    )


def _check_out(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"{out} is a file; give another --out")
    try:
        names = {path.name for path in out.iterdir()}
    except OSError as error:
        raise UserError(f"cannot read {out}: {error.strerror}; give another --out") from error
    strangers = sorted(names - _PARTS)
    if strangers or (names and MANIFEST not in names):
        found = f"it holds {strangers[0]}" if strangers else f"{MANIFEST} is missing"
        raise UserError(f"{out} is no bundle: {found}; give an empty or new folder as --out")


def _lines(target_name: str, models: Sequence[Path]) -> list[str]:
    """The locked wheels for the kinds of models that are given."""
    files = [lock_file(target_name, suffix) for suffix in {model.suffix for model in models}]
    return sorted({line for file in files for line in file.read_text().splitlines()})


def _fill(
    folder: Path, wheels: Sequence[Path], models: Sequence[Path], pairs: Sequence[Pair]
) -> None:
    for part, files in {
        "wheels": wheels,
        "models": models,
        "samples/rgb": [pair.rgb for pair in pairs],
        "samples/depth": [pair.depth for pair in pairs],
    }.items():
        for file in files:
            (folder / part).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / part / file.name)
    build_bench_depth(folder / "wheels")
    script = resources.files(__package__) / "install.sh"
    (folder / "install").write_bytes(script.read_bytes())
