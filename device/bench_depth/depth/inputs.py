"""What `bench-depth depth` is given: images, folders, videos, cameras."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from bench_depth.core.dataset import PHOTO_SUFFIXES
from bench_depth.core.errors import UserError
from bench_depth.core.files import is_folder, require_regular, unreadable_folder
from bench_depth.model.released import SUFFIXES as MODEL_SUFFIXES
from bench_depth.model.released import samples_hint

# What OpenCV decodes besides the suffixes of a dataset's photos.
IMAGE_SUFFIXES = (*PHOTO_SUFFIXES, ".bmp", ".webp", ".tif", ".tiff", ".ppm")
VIDEO_SUFFIXES = (
    ".mp4",
    ".avi",
    ".mov",
    ".mkv",
    ".webm",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".mjpeg",
    ".wmv",
    ".gif",
)
# The ends of the names of results that are images or videos themselves.
RESULT_ENDS = ("-depth.png", "-mm.png", "-depth.mp4")
_CAMERA = re.compile(r"auto|picamera2|\d+|/dev/video\d+")


@dataclass(frozen=True)
class Input:
    """One image, video or camera.

    Attributes:
        source: Path of the file, or name of the camera.
        kind: `image`, `video` or `camera`.
        name: Path of its results below the output folder, without their suffix.
    """

    source: str
    kind: str
    name: Path

    @property
    def title(self) -> str:
        """Name of the file, below the folder that was given; of a camera its name."""
        if self.kind == "camera":
            return str(self.name)
        return str(self.name.with_name(Path(self.source).name))


def find_inputs(sources: Sequence[str]) -> list[Input]:
    """Lists what was named; folders are searched to any depth, in the order of their names.

    A folder `a` with `a/b/c.jpg` gives the name `b/c`; a file `x/y.jpg` gives `y`. With a video
    `x/y.mov` beside it the names are `y.jpg` and `y.mov`. Results that lie in a folder beside their
    inputs are left out.

    Raises:
        UserError: A source does not exist, is neither image nor video, a folder has none or cannot
            be read, or two inputs would have results of the same name.
    """
    found: list[Input] = []
    for text in sources:
        path = Path(text)
        if not text:
            raise UserError("a source is empty text; give an image, video, folder or camera")
        if is_folder(path):
            found += _in_folder(path)
        elif path.suffix in MODEL_SUFFIXES:
            raise UserError(
                f"{text} is a model, not an image: give it as --model; `bench-depth --model` "
                "measures it, and `ghostdepth latency` predicts its milliseconds on a Raspberry Pi"
            )
        elif os.path.lexists(path) and not text.startswith("/dev/video"):
            require_regular(path)
            kind = _kind(path) or ("image" if _is_image(path) else "video")
            found.append(Input(text, kind, Path(path.stem)))
        elif _CAMERA.fullmatch(text):
            found.append(Input(text, "camera", Path(f"camera-{Path(text).name}")))
        else:
            hint = samples_hint(text)
            raise UserError(f"there is no image, video or folder {text}; check the name{hint}")
    found = _told_apart(found)
    taken: dict[Path, str] = {}
    for one in found:
        other = taken.setdefault(one.name, one.source)
        if other != one.source:
            raise UserError(
                f"{other} and {one.source} would both give results called {one.name}; "
                "rename one, or give them one at a time with another --out"
            )
    return found


def _told_apart(found: Sequence[Input]) -> list[Input]:
    """The same inputs; those that differ in their suffix alone keep it in their name."""
    sources: dict[Path, set[str]] = defaultdict(set)
    for one in found:
        sources[one.name].add(one.source)
    return [
        one
        if len(sources[one.name]) == 1
        else replace(one, name=one.name.with_name(Path(one.source).name))
        for one in found
    ]


def _in_folder(folder: Path) -> list[Input]:
    found = []

    def refuse(error: OSError) -> None:
        raise unreadable_folder(error) from error

    for top, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        stems = {Path(name).stem for name in files if _kind(Path(name))}
        for name in sorted(files):
            path = Path(top, name)
            kind = _kind(path)
            if kind and not name.startswith(".") and not _is_result(path, stems | set(files)):
                found.append(Input(str(path), kind, path.relative_to(folder).with_suffix("")))
    if not found:
        raise UserError(f"{folder} holds no image and no video, at any depth")
    return found


def _is_result(path: Path, inputs: set[str]) -> bool:
    """Whether a file is the result of an input beside it, by the names of these inputs."""
    base, dash, end = path.stem.rpartition("-")
    return base in inputs and f"{dash}{end}{path.suffix}" in RESULT_ENDS


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    return "image" if suffix in IMAGE_SUFFIXES else "video" if suffix in VIDEO_SUFFIXES else ""


def _is_image(path: Path) -> bool:
    """Whether a file without a known extension begins like an image that OpenCV reads."""
    return bool(cv2.haveImageReader(str(path)))
