"""One run of `bench-depth depth`: every input through the model and into its files."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.dataset import read_rgb
from bench_depth.core.errors import UserError
from bench_depth.depth.gallery import Gallery, Show, show_nothing
from bench_depth.depth.inputs import VIDEO_SUFFIXES, Input
from bench_depth.depth.model import DepthModel
from bench_depth.depth.outputs import OutputOptions, read_distances, targets, write_image
from bench_depth.depth.record import VideoRecorder
from bench_depth.depth.scale import Distances, Scale
from bench_depth.live.source.capture import Shot, in_order
from bench_depth.live.source.sources import open_source
from bench_depth.model.postprocess import resize_depth

# Threads that draw and write: one encodes while the other waits for the disk.
_WRITERS = 2
# The longest name of a file that Linux's file systems take.
_NAME_BYTES = 255


@dataclass(frozen=True)
class Done:
    """The result of one input.

    Attributes:
        source: Name of the input, as it was given.
        files: Paths of the result files; empty for an input that failed.
        nearest: Smallest depth, in metres or the model's relative unit; None if no pixel has depth,
            and if the files of an earlier result do not hold it.
        median: Median depth, likewise.
        farthest: Largest depth, likewise.
        unit: `m`, or `relative`.
        skipped: Whether the results existed already.
        error: Why the input failed, or why a video ended early, whose file holds the frames before
            that; None if neither happened.
    """

    source: str
    files: list[str]
    nearest: Optional[float] = None
    median: Optional[float] = None
    farthest: Optional[float] = None
    unit: str = "m"
    skipped: bool = False
    error: Optional[str] = None


def run(
    model: DepthModel,
    inputs: Sequence[Input],
    folder: Optional[Path],
    options: OutputOptions,
    overwrite: bool,
    on_done: Callable[[Done], None],
    watch: Callable[[str, NDArray[np.float32]], None] = lambda source, depth: None,
    gallery: Optional[Gallery] = None,
) -> int:
    """Writes the results of every input.

    An input that cannot be read is reported and left out; the others are processed.

    Args:
        model: The loaded model.
        inputs: The inputs, as `find_inputs` returns them.
        folder: Output folder; None writes the results beside each input.
        options: Formats of the result files and how they are drawn.
        overwrite: Whether results that exist are made again.
        on_done: Called after each input.
        watch: Called with the name of the input and each of its depth maps.
        gallery: The page of the results; an input that it lacks is processed again.

    Returns:
        The number of inputs that failed or ended early.

    Raises:
        UserError: The output folder cannot be written, or the model cannot run.
    """
    failed = 0
    with ThreadPoolExecutor(_WRITERS) as writer, _InTurn() as in_turn:
        for one in inputs:
            found = targets(_folder_of(one, folder), one, options)
            show = show_nothing if gallery is None else partial(gallery.show, one, model.scale)
            try:
                _require_short_names(one, found)
                there = one.kind != "camera" and all(path.is_file() for path in found.values())
                if there and not overwrite and (gallery is None or one in gallery):
                    distances = read_distances(found, model.scale)
                    done = Done(one.source, _names(found), *distances, _unit(model), skipped=True)
                    in_turn(partial(on_done, done))
                    continue
                made = (
                    _video(model, one, found, options, show)
                    if one.kind == "video"
                    else _image(model, one, found, options, show, writer)
                )
            except _UnreadableError as error:
                made, found = _Made([], error=str(error)), {}
            failed += made.error is not None
            finish = partial(_finish, model, one, found, made, on_done, watch, gallery)
            in_turn(finish, made.written is not None)
    return failed


@dataclass(frozen=True)
class _Made:
    """What was made of one input.

    Attributes:
        depths: Depth maps of the input; of a video, some pixels of each.
        written: The writing of its files that is not finished, which also finds the nearest, median
            and farthest depth; None where nothing is left to be written.
        error: Why it failed or ended early; None if it did neither.
    """

    depths: list[NDArray[np.float32]]
    written: Optional[Future[Distances]] = None
    error: Optional[str] = None


def _finish(
    model: DepthModel,
    one: Input,
    found: dict[str, Path],
    made: _Made,
    on_done: Callable[[Done], None],
    watch: Callable[[str, NDArray[np.float32]], None],
    gallery: Optional[Gallery],
) -> None:
    distances = made.written.result() if made.written else model.scale.distances(made.depths)
    for depth in made.depths:
        watch(one.source, depth)
    if gallery is not None and made.depths:
        gallery.add(one, found, distances)
    if gallery is not None and made.error is not None:
        gallery.fail(made.error)
    on_done(Done(one.source, _names(found), *distances, _unit(model), error=made.error))


class _InTurn:
    """Reports the inputs in their order, each when its files are complete.

    The files of the last images are written while the model runs on the next one.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def __enter__(self) -> _InTurn:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        # What ends the run is the error that is shown, not one of a file before it.
        while self._waiting:
            with contextlib.suppress(*(() if kind is None else (UserError,))):
                self._settle(len(self._waiting) - 1)

    def __call__(self, finish: Callable[[], None], writing: bool = False) -> None:
        self._waiting.append(finish)
        self._settle(_WRITERS if writing else 0)

    def _settle(self, keep: int) -> None:
        while len(self._waiting) > keep:
            self._waiting.popleft()()


class _UnreadableError(Exception):
    """An input that cannot be used, as distinct from a model or folder that does not work."""


def _require_short_names(one: Input, found: dict[str, Path]) -> None:
    if any(len(os.fsencode(path.name)) > _NAME_BYTES for path in found.values()):
        raise _UnreadableError(
            f"{one.source}: its name is too long with the ending of a result; rename it"
        )


def _folder_of(one: Input, folder: Optional[Path]) -> Path:
    if folder is not None:
        return folder / one.name.parent
    return Path() if one.kind == "camera" else Path(one.source).parent


def _image(
    model: DepthModel,
    one: Input,
    found: dict[str, Path],
    options: OutputOptions,
    show: Show,
    writer: ThreadPoolExecutor,
) -> _Made:
    photo = _read(one)
    depth = model(photo)
    written = writer.submit(_write, found, photo, depth, model.scale, options)
    show(photo, depth)
    return _Made([depth], written)


def _write(
    found: dict[str, Path],
    photo: NDArray[np.uint8],
    depth: NDArray[np.float32],
    scale: Scale,
    options: OutputOptions,
) -> Distances:
    write_image(found, photo, depth, scale, options)
    return scale.distances([depth])


def _read(one: Input) -> NDArray[np.uint8]:
    try:
        if one.kind == "image":
            return read_rgb(Path(one.source))
        with _frames(one) as (shots, _):
            return next(shots).photo
    except UserError as error:
        raise _UnreadableError(str(error)) from error


def _video(
    model: DepthModel, one: Input, found: dict[str, Path], options: OutputOptions, show: Show
) -> _Made:
    """Colours every frame that can be read; the video gets its name after the last one."""
    samples: list[NDArray[np.float32]] = []
    broken = None
    model.reset()
    with _frames(one) as (shots, fps):
        recorder = VideoRecorder(found["video"], model.scale, fps, options=options)
        try:
            try:
                for shot in shots:
                    depth = resize_depth(model.follow(shot.photo).depth, *shot.photo.shape[:2])
                    recorder.write(shot.name, shot.photo, depth)
                    if not samples:
                        show(shot.photo, depth)
                    samples.append(depth[::16, ::16])
            except _UnreadableError as error:
                if not samples:
                    raise
                broken = f"{error}; the frames before are in {found['video']}"
            recorder.close()
        except BaseException:
            recorder.discard()
            raise
    return _Made(samples, error=broken)


@contextlib.contextmanager
def _frames(one: Input) -> Iterator[tuple[Iterator[Shot], float]]:
    """The frames of a video or camera, at least one, and their rate per second."""
    try:
        source = open_source(one.source)
    except UserError as error:
        line = str(error)
        if one.kind == "video" and Path(one.source).suffix.lower() not in VIDEO_SUFFIXES:
            line = f"{one.source} is neither an image nor a video that OpenCV reads"
        raise _UnreadableError(line) from error
    with contextlib.closing(in_order(source, threading.Event())) as shots:
        yield _readable(shots), 1 / (source.interval or 1)


def _readable(shots: Iterator[Shot]) -> Iterator[Shot]:
    """The same frames; a source that fails is an input that cannot be read."""
    while True:
        try:
            shot = next(shots, None)
        except UserError as error:
            raise _UnreadableError(str(error)) from error
        if shot is None:
            return
        yield shot


def _names(found: dict[str, Path]) -> list[str]:
    return [str(path) for path in found.values()]


def _unit(model: DepthModel) -> str:
    return "m" if model.metric else "relative"
