"""A depth model by name or file: image in, depth map out."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.bounds import require_bounds
from bench_depth.core.dataset import read_rgb
from bench_depth.depth.arrays import require_rgb
from bench_depth.depth.continuity import Continuity
from bench_depth.depth.scale import Scale
from bench_depth.depth.sharpening import sharpen as sharpened
from bench_depth.depth.smoothing import Smoother, check_smoothing
from bench_depth.live.source.capture import newest
from bench_depth.live.source.sources import open_source
from bench_depth.machine.board import default_threads, read_board
from bench_depth.machine.guard import HANG
from bench_depth.model.camera import NYU_HFOV, knows_camera, output_factor
from bench_depth.model.contract import read_contract
from bench_depth.model.description import (
    Description,
    camera_description,
    describe,
    from_fields,
    merge,
)
from bench_depth.model.postprocess import resize_depth, to_depth, to_photo_size
from bench_depth.model.preprocess import to_input
from bench_depth.model.released import find_model
from bench_depth.model.runtimes import choose
from bench_depth.model.signature import check_signature
from bench_depth.results.advice import assumptions


@dataclass(frozen=True)
class Prediction:
    """The depth map of one image.

    Attributes:
        depth: HxW float32 depth of the whole image in the unit given by the model's `scale`;
            usually at the output size of the model.
        times_ns: Nanoseconds of preprocess, invoke and postprocess.
    """

    depth: NDArray[np.float32]
    times_ns: tuple[int, int, int]


class DepthModel:
    """A depth model, loaded and ready to run on images.

    The constructor reads the file and starts the runtime; `import bench_depth` by itself imports
    neither numpy nor OpenCV. An object is not thread-safe, because runtimes keep their buffers
    between runs: use one per thread.

    Args:
        model: Name of a released model, see `bench_depth.model.released`, or path of a .tflite or
            .onnx file.
        runtime: Name of one of `bench_depth.model.runtimes.RUNTIMES`; None for the first installed.
        threads: Number of threads of the runtime; None for one per core, at most 4.
        description: Input and output of a model whose file does not describe them, as a dict of the
            fields that a file beside it may have (docs/any-model.md), such as
            `{"preset": "midas-v2.1-small"}`; None for nothing.
        log: Called with one line for each installed runtime that does not work and is passed over,
            if the model does not say for which camera its metres hold, and if nothing describes
            its input and output, so that they are assumed.
        hfov: Horizontal field of view of the camera in degrees, that metres are converted to; None
            for that of `description`, or else of the model's training data.
        smooth: Fraction of the previous frame's depth that each frame of a stream keeps, from 0 to
            below 1, see `bench_depth.depth.smoothing`; single photos are not smoothed.
        sharpen: Whether the edges of the depth are moved to those of the image, see
            `bench_depth.depth.sharpening`; depth then has the size of the image.

    Raises:
        UserError: `smooth` or `description` is impossible, there is no such model, no runtime is
            installed for it, or it is damaged or no depth model; the message is one line that names
            the remedy.

    Example:
        model = DepthModel("ghostdepth-nano")
        depth = model("photo.jpg")  # HxW float32 metres
    """

    def __init__(
        self,
        model: Union[str, Path],
        runtime: Optional[str] = None,
        threads: Optional[int] = None,
        description: Union[Description, Mapping[str, Any], None] = None,
        log: Callable[[str], None] = lambda line: None,
        hfov: Optional[float] = None,
        smooth: float = 0.0,
        sharpen: bool = False,
    ) -> None:
        check_smoothing(smooth)
        require_bounds(threads=threads)
        path = find_model(model)
        self._file = path.name
        self._threads = threads or default_threads()
        chosen = choose(path, runtime, log)
        self._contract = read_contract(path)
        self._model = chosen.load(path, self._threads)
        if description is not None and not isinstance(description, Description):
            description = from_fields(description, "the description")
        described = merge([describe(path, description), camera_description(hfov)])
        hfov = described.hfov if described is not None else None
        if hfov is not None and described is not None and not knows_camera(self._contract):
            log(f"warning: {path.name} does not say for which camera its metres hold: --hfov sets "
                "the point clouds alone")  # fmt: skip
            described = dataclasses.replace(described, hfov=None)
        # Codes of the warnings about the model itself, see `bench_depth.results.advice.ADVICE`.
        assumed = assumptions(path.name, self._contract, described)
        self.warnings = list(assumed)
        for line in assumed.values():
            log(line)
        self._signature = check_signature(path, self._model, self._contract, described)
        of_training = self._contract.hfov if self._contract is not None else None
        self.hfov = hfov or of_training or NYU_HFOV
        self._factor = output_factor(path, self._contract, described or Description())
        self._carries = self._contract is not None and self._contract.state is not None
        self._continuity = Continuity()
        relative = self._signature.relative
        self.scale = Scale(relative, relative and self._signature.quantity == "inverse-depth")
        self._smoother = Smoother(smooth, self.metric)
        self._follows = self._carries or smooth > 0
        # Called with a limit in seconds before each run, in which a runtime may hang, and with None
        # after it.
        self.on_run: Callable[[Optional[float]], None] = lambda limit: None
        self._sharpen = sharpen

    @property
    def name(self) -> str:
        """Name of the network; of a file without contract the name of the file."""
        return self._contract.name if self._contract is not None else self._file

    @property
    def metric(self) -> bool:
        """Whether depth is in metres; False for relative depth, which has no unit."""
        return not self.scale.relative

    @property
    def range(self) -> Optional[tuple[float, float]]:
        """Smallest and largest depth of the output in metres; None if the contract has none."""
        if self._contract is None:
            return None
        near, far = self._contract.output_range
        return near * self._factor, far * self._factor

    def __call__(self, image: Union[str, Path, NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Predicts the depth map of one image, independently of the images before it.

        Args:
            image: Path of an image file, whose EXIF orientation is applied, or HxWx3 uint8 RGB.

        Returns:
            HxW float32 of the image's size: metres along the optical axis or, if `metric` is False,
            relative depth without unit.

        Raises:
            UserError: The file is no image, the array has another shape or dtype, or the model
                cannot run.
        """
        if isinstance(image, (str, Path)):
            image = read_rgb(Path(image))
        self.reset()
        depth = resize_depth(self.follow(image).depth, *image.shape[:2])
        self.reset()
        return depth

    def stream(
        self, source: Union[str, Path] = "auto", size: Optional[tuple[int, int]] = None
    ) -> Iterator[tuple[float, NDArray[np.uint8], NDArray[np.float32]]]:
        """Yields the depth of a live source; images that come while the model is busy are dropped.

        Args:
            source: `auto`, `picamera2`, a number N or `/dev/videoN`, a video file, an image, or a
                folder of images, as `bench-depth live --source`.
            size: Width and height in pixels requested from a camera; None for 640x480.

        Yields:
            Time of capture by `time.perf_counter` in seconds, the image (HxWx3 uint8 RGB), and its
            depth as `__call__` gives it. Ends with a video or folder; closing it frees the camera.

        Raises:
            UserError: The source cannot be opened, or fails.
        """
        with contextlib.closing(newest(open_source(str(source), size), threading.Event())) as shots:
            for shot in shots:
                depth = self.follow(shot.photo, shot.captured_ns).depth
                yield (
                    shot.captured_ns / 1e9,
                    shot.photo,
                    resize_depth(depth, *shot.photo.shape[:2]),
                )

    def reset(self) -> None:
        """Makes the next frame the first of a stream: the state of the last one is cleared."""
        self._model.reset()
        self._smoother.reset()
        self._continuity.reset()

    def follow(self, photo: NDArray[np.uint8], captured_ns: Optional[int] = None) -> Prediction:
        """Predicts the depth of the next frame of a stream.

        A model with a state, and smoothing, go on from the frame before, or begin anew where the
        scene changes or time is missing, see `bench_depth.depth.continuity`. To other models every
        frame is a photo.

        Args:
            photo: HxWx3 uint8 RGB of any size.
            captured_ns: Time of capture in nanoseconds; None for a frame of a file.

        Raises:
            UserError: The image is not as described, or as `predict`.
        """
        require_rgb(photo)
        if self._follows and not self._continuity.follows(photo, captured_ns):
            self._model.reset()
            self._smoother.reset()
        found = self.predict(photo)
        start = time.perf_counter_ns()
        depth = self._smoother(found.depth)
        if self._sharpen:
            depth = sharpened(depth, photo, metric=self.metric)
        preprocess, invoke, postprocess = found.times_ns
        postprocess += time.perf_counter_ns() - start
        return Prediction(depth, (preprocess, invoke, postprocess))

    def predict(self, photo: NDArray[np.uint8]) -> Prediction:
        """Runs the model once, on the state as it is.

        Args:
            photo: HxWx3 uint8 RGB of any size.

        Raises:
            UserError: The model cannot run, or its output is no depth map (exit code 3).
        """
        start = time.perf_counter_ns()
        self._model.set_input(to_input(photo, self._signature))
        self.on_run(HANG)
        prepared = time.perf_counter_ns()
        self._model.invoke()
        invoked = time.perf_counter_ns()
        # Copied, because the output may be a view of memory that the next run overwrites.
        depth = np.array(to_depth(self._model.output(), self._signature))
        if self._signature.resize == "letterbox":
            depth = to_photo_size(depth, self._signature, *photo.shape[:2])
        done = time.perf_counter_ns()
        self.on_run(None)
        return Prediction(depth, (prepared - start, invoked - prepared, done - invoked))

    def describe(self) -> dict[str, Any]:
        """The model, its runtime and the board, as JSON values for the page."""
        board = read_board()
        return {
            "model": self.name,
            "file": self._file,
            "variant": self._contract.variant if self._contract is not None else None,
            "runtime": f"{self._model.name} {self._model.version}",
            "xnnpack": self._model.xnnpack,
            "xnnpack_ops": self._model.xnnpack_ops,
            "threads": self._threads,
            "board": board.model or board.cpu or board.architecture,
            "emulated": board.emulated,
            "range": self.range,
            "relative": self.scale.relative,
            "inverse": self.scale.inverse,
        }
