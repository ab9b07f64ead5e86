"""The command line of `bench-depth depth`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench_depth.commands.arguments import (
    RUNTIME_HELP,
    RUNTIMES,
    HelpFormatter,
    Parser,
)
from bench_depth.commands.flags import add_arguments, add_sharpen, add_smooth, from_arguments
from bench_depth.core.bounds import require_bounds
from bench_depth.core.errors import UserError, exit_code, refuse_warnings
from bench_depth.core.json_text import dumps
from bench_depth.core.screen import say, show
from bench_depth.model.released import default_model

if TYPE_CHECKING:
    from bench_depth.depth.run import Done
    from bench_depth.machine.guard import OnTask

_SOME_FAILED = 1
_FORMATS = ("colour", "mm", "npy", "ply")
_EPILOG = """\
Results of NAME.jpg: NAME-depth.png (colour, with a scale in metres), NAME-mm.png (16-bit
millimetres, 0 = unknown), NAME.npy (float32 metres), NAME.ply (coloured point cloud); of a video
NAME-depth.mp4. They lie beside the image, or below --out as they lay in the folder. What is there
already is not made again. Ctrl-C keeps what is done.

exit codes: 0 success, 1 some inputs could not be read, 2 invalid options or input, 3 the model
cannot be loaded or run, 4 warnings with --strict, 130 interrupted
"""


def main(arguments: Sequence[str], program: str = "bench-depth") -> int:
    """Runs the command, in a child process that a runtime may crash or hang.

    Args:
        arguments: Command-line arguments after `depth`.
        program: Name of the program, for help and errors.

    Returns:
        The exit code; argparse itself exits with 0 or 2.

    Raises:
        UserError: As `bench_depth.machine.guard.guarded`.
    """
    from bench_depth.machine.guard import guarded

    options = parser(program).parse_args(arguments)
    kept = "interrupted; what was written was kept"
    # The child prints its own errors.
    return guarded(
        lambda on_task: exit_code(program, lambda: _depth(options, program, on_task), kept)
    )


def _depth(options: argparse.Namespace, program: str, on_task: OnTask) -> int:
    from bench_depth.depth.gallery import Gallery
    from bench_depth.depth.inputs import find_inputs
    from bench_depth.depth.model import DepthModel
    from bench_depth.depth.outputs import OutputOptions, check_output
    from bench_depth.depth.run import run
    from bench_depth.machine.guard import HANG
    from bench_depth.plausibility.output_checks import OutputWatch

    require_bounds(threads=options.threads)
    if options.html and options.out is None:
        raise UserError("--html writes its page into the output folder: give --out as well")
    inputs = find_inputs(options.source)
    if options.format and any(one.kind == "video" for one in inputs):
        say("a video gives a coloured video; --format is for images", error=True)
    description = from_arguments(options)
    path = options.model or default_model()
    on_task(str(path), HANG)
    model = DepthModel(
        path,
        options.runtime,
        options.threads,
        description,
        lambda line: say(f"{program}: {line}", error=True),
        smooth=options.smooth,
        sharpen=options.sharpen,
    )
    on_task(str(path), None)
    model.on_run = lambda limit: on_task(str(path), limit)
    output = OutputOptions(
        formats=options.format or ("colour",),
        range=tuple(options.range) if options.range else None,
        colour_map=options.colour_map.lower(),
        side_by_side=options.side_by_side,
        hfov=model.hfov,
        focal=options.focal,
    )
    check_output(output, model.metric)
    gallery = Gallery(options.out, model.name, output) if options.html else None
    if "ply" in output.formats and options.focal is None and options.hfov is None:
        say(f"point clouds: a horizontal field of view of {model.hfov:g} degrees is assumed; "
            "--hfov sets your camera's", error=True)  # fmt: skip
    show = _Lines(len(inputs), options.json, program)
    watch = OutputWatch(model.metric, show.log)
    try:
        failed = run(model, inputs, options.out, output, options.overwrite, show, watch, gallery)
    finally:
        # What was done before an error or Ctrl-C is on the page as well.
        show.end()
        if gallery is not None:
            say(f"page: {gallery.write()}", error=options.json)
    refuse_warnings([*model.warnings, *watch.codes], options.strict)
    return _SOME_FAILED if failed else 0


class _Lines:
    """Prints one line per input, and on a terminal a bar below with rate and remaining time."""

    def __init__(self, total: int, as_json: bool, program: str) -> None:
        self._program = program
        self._total = total
        self._json = as_json
        self._count = 0
        self._begin = time.monotonic()
        self._bar = total > 1 and sys.stderr.isatty()

    def __call__(self, done: Done) -> None:
        self._count += 1
        self.end()
        if self._json:
            say(dumps(dataclasses.asdict(done)))
        elif done.files:
            say(_line(done))
        if done.error is not None:
            say(f"{self._program}: {done.error}", error=True)
        if self._bar and self._count < self._total:
            rate = self._count / max(time.monotonic() - self._begin, 1e-9)
            filled = 20 * self._count // self._total
            show(
                f"[{'#' * filled:.<20}] {self._count}/{self._total}, {rate:.1f} per second, "
                f"{(self._total - self._count) / rate:.0f} s left",
                error=True,
            )  # fmt: skip

    def log(self, line: str) -> None:
        """Prints a line beside those of the inputs."""
        self.end()
        say(f"{self._program}: {line}", error=True)

    def end(self) -> None:
        """Clears the bar."""
        if self._bar:
            show("\r\033[K", error=True)


def _line(done: Done) -> str:
    where = ", ".join(done.files)
    if done.skipped:
        return f"{done.source}: exists already: {where}"
    if done.nearest is None:
        return f"{done.source}: no valid depth -> {where}"
    unit = " m" if done.unit == "m" else ""
    relative = "" if done.unit == "m" else "relative depth, "
    return (
        f"{done.source}: {relative}nearest {done.nearest:.2f}{unit}, "
        f"median {done.median:.2f}{unit}, farthest {done.farthest:.2f}{unit} -> {where}"
    )


def parser(program: str = "bench-depth") -> Parser:
    """The parser of the command's arguments.

    Args:
        program: Name of the program, for help and errors.
    """
    built = Parser(
        prog=f"{program} depth",
        description="Depth maps of images, folders, videos or a camera."
        + " `ghostdepth predict` is the same." * (program == "ghostdepth"),
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    add = built.add_argument
    add("source", nargs="+", help="image, folder (searched to any depth), video, or camera "
        "(auto, picamera2, N, /dev/videoN)")  # fmt: skip
    add("--model", metavar="NAME|FILE", help="a released model, or a .tflite or .onnx file "
        f"(default: {default_model()}; see `models`)")  # fmt: skip
    add("--out", type=Path, metavar="DIR", help="output folder (default: beside each input)")
    add("--format", action="append", choices=_FORMATS, help="may be given several times "
        "(default: colour)")  # fmt: skip
    add("--range", nargs=2, type=float, metavar=("NEAR", "FAR"), help="depths of the first and "
        "last colour (default: each image's own)")  # fmt: skip
    add("--colour-map", default="plasma", metavar="NAME", help="one of OpenCV's, such as turbo, "
        "magma, jet (default: plasma)")  # fmt: skip
    add("--side-by-side", action="store_true", help="the image beside its depth")
    add("--focal", type=float, metavar="PX", help="focal length in pixels for point clouds, "
        "instead of --hfov")  # fmt: skip
    add_smooth(built)
    add_sharpen(built)
    add("--html", action="store_true", help="write a page of all results, index.html in --out; "
        "what it lacks is made again")  # fmt: skip
    add("--overwrite", action="store_true", help="make results again that exist")
    add("--strict", action="store_true", help="exit with code 4 when there are warnings")
    add("--json", action="store_true", help="print one JSON object per input; of a result that "
        "exists the distances are read from its npy or mm file")  # fmt: skip
    add("--runtime", choices=RUNTIMES, metavar="NAME", help=RUNTIME_HELP)
    add("--threads", type=int, metavar="N", help="default: one per core, at most 4")
    add_arguments(built)
    return built
