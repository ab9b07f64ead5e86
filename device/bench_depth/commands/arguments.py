"""The options of `bench-depth`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench_depth import __version__
from bench_depth.commands.flags import add_arguments as add_description

# As in bench_depth.model.runtimes, .metrics and .readers, which are too slow to import for --help.
RUNTIMES = ("tflite_runtime", "ai_edge_litert", "tensorflow", "onnxruntime")
_ALIGNMENTS = ("none", "median", "log-affine", "inverse-affine")
_FORMATS = ("auto", "folder", "nyu", "tum", "kitti", "diode")
_EPILOG = """\
With no --data a bundled photo is used: nothing but a model file is needed.

other verbs (each has --help):
  bench-depth compare OLD.json NEW.json   ratio, interval and verdict of two results files
  bench-depth live --model FILE           a camera's photo and depth on a page, or into files

exit codes: 0 ok, 1 a --fail-if holds, 2 wrong options or input, 3 a model cannot be loaded or run,
4 warnings under --strict, 130 interrupted
"""


def parser() -> argparse.ArgumentParser:
    """The parser of everything but the other verbs."""
    parser = argparse.ArgumentParser(
        prog="bench-depth",
        description="How fast and how good a monocular depth model is on this machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bench-depth {__version__}")
    parser.add_argument(
        "--model",
        action="append",
        required=True,
        type=Path,
        metavar="FILE",
        help="a .tflite or .onnx file; of several the first is the reference of the ratios",
    )
    _add_running(parser.add_argument_group("running"))
    add_description(parser)
    _add_conditions(parser.add_argument_group("conditions"))
    _add_accuracy(parser.add_argument_group("accuracy"))
    _add_output(parser.add_argument_group("output"))
    _add_ci(parser.add_argument_group("for CI"))
    return parser


def _add_running(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--runtime", choices=RUNTIMES, help="default: the first of these that is installed")
    add(
        "--threads",
        type=_counts,
        default=(),
        metavar="N[,N]",
        help="each model with each of these; default: one per core, at most 4",
    )
    add("--warmup", type=int, default=5, metavar="N", help="runs not counted (default: 5)")
    add("--min-runs", type=int, default=50, metavar="N", help="count at least N (default: 50)")
    add(
        "--min-time",
        type=float,
        default=5.0,
        metavar="S",
        help="and measure at least S seconds (default: 5)",
    )
    add(
        "--interleave",
        action=argparse.BooleanOptionalAction,
        help="several models take turns, so that heat and other programs meet all of them "
        "(default: yes)",
    )


def _add_conditions(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--affinity", metavar="CORES", help="stay on these cores, like 0-2 or 3")
    add(
        "--cooldown-to",
        type=float,
        metavar="C",
        help="before timing wait until the board is this cool, degrees Celsius",
    )
    add(
        "--sustain",
        type=float,
        default=0.0,
        metavar="MIN",
        help="run each model for minutes besides: the first minute against the last",
    )
    add(
        "--profile",
        nargs="?",
        type=float,
        const=5.0,
        default=0.0,
        metavar="S",
        help="at the end time each model's ops, for S seconds (5 where none are given)",
    )


def _add_accuracy(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--data",
        type=Path,
        metavar="PATH",
        help="measure accuracy too, on a dataset folder (rgb/NAME.jpg + depth/NAME.png, 16-bit, "
        "millimetres, 0 = unknown) or on NYU Depth v2, TUM RGB-D, KITTI or DIODE as published",
    )
    add(
        "--data-format",
        choices=_FORMATS,
        default="auto",
        help="what --data is (default: look)",
    )
    add("--data-split", metavar="NAME", help="a part: nyu has train, test; kitti train, val")
    add("--data-limit", type=int, metavar="N", help="at most N photos, evenly spread")
    add(
        "--align",
        choices=_ALIGNMENTS,
        default="none",
        help="fit predictions to the truth before comparing (default: none)",
    )
    add(
        "--save-predictions",
        type=Path,
        metavar="DIR",
        help="write predicted depth as 16-bit PNG in millimetres, DIR/NAME.png; of several "
        "models DIR/MODEL/NAME.png",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--json",
        metavar="FILE|-",
        help="write all results with every single time, after each model; - is standard output",
    )
    add("--csv", type=Path, metavar="FILE", help="one line a model, for a spreadsheet")
    add("--per-image", type=Path, metavar="FILE", help="as CSV the accuracy of each photo")
    add(
        "--html",
        type=Path,
        metavar="FILE",
        help="a page with charts, to open from disk (needs Jinja2)",
    )
    add("--markdown", type=Path, metavar="FILE", help="the comparison as a table")


def _add_ci(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--strict", action="store_true", help="exit code 4 when there are warnings")
    add("--baseline", type=Path, metavar="FILE", help="results to compare with in --fail-if")
    add(
        "--fail-if",
        action="append",
        default=[],
        metavar="CONDITION",
        help="exit code 1 when it holds: invoke.p95>50ms, median>+5%% (against --baseline), "
        "si_rmse>0.23, peak_rss>200MB, ...; may be given several times",
    )


def _counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers, like 1,2,4") from None
