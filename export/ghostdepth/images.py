"""The function that runs a model on images: depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench_depth.depth.run import Done
    from bench_depth.model.description import Description


def depth(
    sources: Path | str | Sequence[Path | str],
    out: Path | str | None = None,
    *,
    model: Path | str | None = None,
    formats: Sequence[str] = ("colour",),
    range_m: tuple[float, float] | None = None,
    colour_map: str = "plasma",
    side_by_side: bool = False,
    hfov: float | None = None,
    focal: float | None = None,
    smooth: float = 0.0,
    sharpen: bool = False,
    html: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    runtime: str | None = None,
    threads: int | None = None,
    description: Description | Mapping[str, Any] | None = None,
    on_done: Callable[[Done], None] = lambda done: None,
    log: Callable[[str], None] = lambda line: None,
) -> list[Done]:
    """Writes depth maps of images, folders, videos or a camera.

    `bench_depth.DepthModel` gives the depth map of an image as an array.

    Args:
        sources: One or several images, folders (searched to any depth) or videos, or a camera.
        out: Output folder; None writes the results beside each input.
        model: Name of a released model, or path of a model file; None for the default one.
        formats: Formats of the files: `colour`, `mm`, `npy`, `ply`.
        range_m: Depths of the first and last colour in metres; None for each image's own.
        colour_map: Name of one of OpenCV's colour maps.
        side_by_side: Whether the image stands beside its coloured depth.
        hfov: Horizontal field of view of the camera in degrees, which metres and point clouds are
            converted to; None for that of the training data.
        focal: Focal length in pixels for point clouds, instead of `hfov`.
        smooth: Fraction of the previous frame's depth that each frame of a video keeps, from 0 to
            below 1.
        sharpen: Whether the edges of the depth are moved to those of the image.
        html: Whether a page of all results, `index.html`, is written into `out`.
        overwrite: Whether results that exist are made again.
        strict: Whether implausible depth is an error, not only a warning; the results are written
            nevertheless.
        runtime: Name of the runtime; None for the first that is installed.
        threads: Number of threads of the runtime; None for one per core, at most 4.
        description: Input and output of a model whose file does not describe them, as
            `bench_depth.DepthModel` takes them; None for no description.
        on_done: Called after each input with its result.
        log: Called with one line for each warning about the depth or the model.

    Returns:
        The result of each input: its files, its nearest, median and farthest depth, or its error.

    Raises:
        UserError: A source does not exist, the model cannot run, `out` cannot be written, or there
            are warnings and `strict` is set (exit code 4).
    """
    from bench_depth.core.errors import UserError, refuse_warnings
    from bench_depth.depth.gallery import Gallery
    from bench_depth.depth.inputs import find_inputs
    from bench_depth.depth.model import DepthModel
    from bench_depth.depth.outputs import OutputOptions, check_output
    from bench_depth.depth.run import run
    from bench_depth.model.released import default_model
    from bench_depth.plausibility.output_checks import OutputWatch

    if html and out is None:
        raise UserError("the page is written into the output folder: give out as well")
    named = [sources] if isinstance(sources, (str, Path)) else list(sources)
    folder = None if out is None else Path(out)
    inputs = find_inputs([str(source) for source in named])
    loaded = DepthModel(
        model or default_model(), runtime, threads, description, log, hfov, smooth, sharpen
    )
    options = OutputOptions(
        formats=formats,
        range=range_m,
        colour_map=colour_map.lower(),
        side_by_side=side_by_side,
        hfov=loaded.hfov,
        focal=focal,
    )
    check_output(options, loaded.metric)
    gallery = Gallery(folder, loaded.name, options) if html and folder is not None else None
    watch = OutputWatch(loaded.metric, log)
    found: list[Done] = []

    def done(one: Done) -> None:
        on_done(one)
        found.append(one)

    try:
        run(loaded, inputs, folder, options, overwrite, done, watch, gallery)
    finally:
        # What was done before an error or Ctrl-C is on the page as well.
        if gallery is not None:
            gallery.write()
    refuse_warnings(watch.codes, strict)
    return found
