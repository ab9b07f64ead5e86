"""What lies beside the packages: in the source tree, or in what was installed."""

from __future__ import annotations

import os
from pathlib import Path

from bench_depth.core.errors import UserError, did_you_mean
from bench_depth.model.released import read_catalogue

_PACKAGES = Path(__file__).resolve().parents[2]
SOURCE = _PACKAGES.parent
# RGB + depth pairs that the project rendered itself; a wheel has them beside its modules.
SAMPLES = next(
    (place for place in (SOURCE / "samples", _PACKAGES / "ghostdepth/samples") if place.is_dir()),
    Path("samples"),
)

# The teacher for rooms; a wheel does not have it.
TEACHER = SOURCE / "models" / "ghostdepth-m"


def find_checkpoint(checkpoint: Path | str) -> Path:
    """The checkpoint folder that a user names.

    Args:
        checkpoint: A folder, or the name of a released model.

    Returns:
        The folder; if the name is not that of a released model, the path itself.

    Raises:
        UserError: The released model's checkpoint is not here, or a name is misspelt.
    """
    path, text = Path(checkpoint), str(checkpoint)
    if len(path.parts) != 1 or path.suffix or os.path.lexists(path):
        return path
    names = [model.name for model in read_catalogue().models]
    folder = SOURCE / "models" / text
    if text in names:
        if (folder / "model.safetensors").is_file():
            return folder
        raise UserError(
            f"the checkpoint of {text} is not installed: it is in models/ of the project's "
            "repository; give a checkpoint folder"
        )
    if hint := did_you_mean(text, names):
        raise UserError(f"there is no checkpoint {text[:80]!r}{hint}")
    return path
