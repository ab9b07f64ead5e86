"""Public depth datasets -> the project's dataset folder (`rgb/NAME` + `depth/NAME.png`).

One file per source. Each has one function, `frames(path, split)`, that finds the source's pairs
and says how to read them; writing them is the same for all and stands here and in `frame`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench_depth.errors import UserError

from ghostdepth_train.adapters import diode, kitti, nyu, tum
from ghostdepth_train.adapters.frame import Frame, write_frame

SOURCES: Mapping[str, Callable[[Path, str | None], Sequence[Frame]]] = {
    "nyu": nyu.frames,
    "tum": tum.frames,
    "kitti": kitti.frames,
    "diode": diode.frames,
}


def convert(
    source: str,
    path: Path,
    out: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    split: str | None = None,
) -> int:
    """Writes a source's pairs into a dataset folder.

    Depth becomes uint16 millimetres: negative, NaN, infinite and above 65.535 m become 0 = unknown.
    Pairs that `out` already holds whole are not read again, so that a conversion that was stopped
    goes on where it was.

    Args:
        source: A key of `SOURCES`.
        path: The source's file or folder, as its module describes it.
        out: The dataset folder; made where missing. Not inside `path`.
        progress: Called with (pairs done, pairs in all) before the first and after each pair.
        split: A part of the source, where it has named parts; None takes all.

    Returns:
        How many pairs of this source `out` holds now.

    Raises:
        UserError: An unknown source or split, or a file that is missing, damaged or not in the
            source's format; pairs before it are written and stay.
    """
    if source not in SOURCES:
        raise UserError(f"unknown source {source!r}; known are {', '.join(SOURCES)}")
    path, out = Path(path), Path(out)
    if not path.exists():
        raise UserError(f"{path} does not exist; give the place of the {source} data")
    if out.resolve().is_relative_to(path.resolve()):
        raise UserError(f"--out {out} lies inside the source {path}; choose another folder")
    frames = SOURCES[source](path, split)
    _refuse_repeated(frames)
    for done, frame in enumerate(frames):
        if progress:
            progress(done, len(frames))
        write_frame(frame, out)
    if progress:
        progress(len(frames), len(frames))
    return len(frames)


def _refuse_repeated(frames: Sequence[Frame]) -> None:
    seen: set[str] = set()
    for frame in frames:
        if frame.name in seen:
            raise UserError(f"two photos of the source would be called {frame.name}; rename one")
        seen.add(frame.name)
