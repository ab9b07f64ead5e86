"""The options of `bench-depth`."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from bench_depth import __version__
from bench_depth.commands.flags import add_arguments as add_description
from bench_depth.core.errors import BAD_INPUT, UserError, did_you_mean
from bench_depth.core.files import require_writable
from bench_depth.core.screen import say

# As in model.runtimes, core.metrics and accuracy.readers, which are too slow to import for --help.
RUNTIMES = ("tflite_runtime", "ai_edge_litert", "tensorflow", "onnxruntime")
RUNTIME_HELP = f"{', '.join(RUNTIMES)} (default: the first one that is installed)"
_ALIGNMENTS = ("none", "median", "log-affine", "inverse-affine")
_FORMATS = ("auto", "folder", "nyu", "tum", "kitti", "diode")
_EPILOG = """\
Without --data only the latency is measured, on a bundled photo: a model file is all that is needed.

other verbs (each has --help):
  bench-depth compare OLD.json NEW.json  compare two results files
  bench-depth depth IMAGE...             write depth maps, in colours or metres
  bench-depth live                       show a camera with its depth on a page
  bench-depth models                     list the released models by name
  bench-depth service install            run `live` as a systemd service

exit codes: 0 success, 1 a --fail-if condition holds, 2 invalid options or input, 3 a model cannot
be loaded or run, 4 warnings with --strict, 130 interrupted (143 by SIGTERM, 129
by SIGHUP)
"""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wraps the paragraphs of a help text at the width of the screen; indented lines stay."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = [
            part
            if "\n " in part
            else textwrap.fill(
                part,
                width,
                initial_indent=indent,
                subsequent_indent=indent,
                break_on_hyphens=False,
            )
            for part in text.strip().split("\n\n")
        ]
        return "\n\n".join(paragraphs)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with what was typed printable in it."""

    def error(self, message: str) -> NoReturn:
        """Prints the error, without the list of all options, and exits with code 2."""
        unknown = re.match(r"unrecognized arguments: (--[\w-]+)", message)
        options = self._option_string_actions
        hint = did_you_mean(unknown[1], options) if unknown else ""
        see = f"{hint} See" if hint else "; see"
        say(f"{self.prog}: {UserError(message)}{see} {self.prog} --help", error=True)
        self.exit(BAD_INPUT)

    def completions(self, words: Sequence[str], incomplete: str) -> list[tuple[str, str]]:
        """What may stand in the place of an incomplete word, for a shell's completion.

        Args:
            words: Words before it.
            incomplete: Beginning of the word that was typed.

        Returns:
            Options with their help, or the choices of the option before; empty where the shell is
            to list files.
        """
        options = self._option_string_actions
        if incomplete.startswith("-"):
            return [(name, (one.help or "").replace("%%", "%")) for name, one in options.items()]
        before = options.get(words[-1]) if words else None
        return [(str(choice), "") for choice in (before and before.choices) or ()]


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the arguments of everything except the other verbs; argparse exits with 0 or 2.

    Args:
        words: Command-line arguments.
    """
    options = parser()
    # Models may stand between options, which `parse_args` does not take.
    found = options.parse_intermixed_args(words)
    found.model = [*found.models, *found.model]
    if not found.model:
        options.error("give a model: a file, or a name that `bench-depth models` lists")
    return found


def parser() -> Parser:
    """Returns the parser of everything except the other verbs."""
    parser = Parser(
        prog="bench-depth",
        description="Measures the latency and accuracy of monocular depth models on this machine.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bench-depth {__version__}")
    parser.add_argument(
        "models",
        nargs="*",
        type=Path,
        metavar="MODEL",
        help="a .tflite or .onnx file, or the name of a released model; of several the ratios are "
        "relative to the first",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        type=Path,
        metavar="MODEL",
        help="the same as an option; may be repeated",
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
    add("--runtime", choices=RUNTIMES, metavar="NAME", help=RUNTIME_HELP)
    add(
        "--threads",
        type=_thread_counts,
        default=(),
        metavar="N[,N]",
        help="thread counts to measure each model with (default: one per core, at most 4)",
    )
    add("--warmup", type=int, default=5, metavar="N", help="number of warm-up runs (default: 5)")
    add(
        "--min-runs",
        type=int,
        default=50,
        metavar="N",
        help="time at least N runs (default: 50)",
    )
    add(
        "--min-time",
        type=float,
        default=5.0,
        metavar="S",
        help="and for at least S seconds (default: 5)",
    )
    add(
        "--interleave",
        action=argparse.BooleanOptionalAction,
        help="alternate between several models, so that heat and other programs affect all of "
        "them (default: yes)",
    )


def _add_conditions(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--affinity", metavar="CORES", help="run on these cores only, like 0-2 or 3")
    add(
        "--cooldown-to",
        type=float,
        metavar="C",
        help="before timing, wait until the board has cooled to C degrees Celsius",
    )
    add(
        "--sustain",
        type=float,
        default=0.0,
        metavar="MIN",
        help="also run each model for MIN minutes and compare the last minute with the first",
    )
    add(
        "--profile",
        nargs="?",
        type=float,
        const=5.0,
        default=0.0,
        metavar="S",
        help="finally time the ops of each model for S seconds (default: 5)",
    )


def _add_accuracy(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--data",
        type=Path,
        metavar="PATH",
        help="also measure accuracy on a dataset folder (rgb/NAME.jpg + depth/NAME.png, 16-bit, "
        "millimetres, 0 = unknown) or on NYU Depth v2, TUM RGB-D, KITTI or DIODE as published",
    )
    add(
        "--data-format",
        choices=_FORMATS,
        default="auto",
        help="format of --data (default: detected)",
    )
    add("--data-split", metavar="NAME", help="split of the data: nyu train, test; kitti train, val")
    add("--data-limit", type=int, metavar="N", help="use at most N photos, evenly spaced")
    add(
        "--align",
        choices=_ALIGNMENTS,
        default="none",
        help="align predictions to the ground truth first (default: none)",
    )
    add(
        "--save-predictions",
        type=Path,
        metavar="DIR",
        help="write predicted depth as 16-bit PNG in millimetres to DIR/NAME.png, with several "
        "models to DIR/MODEL/NAME.png",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--json",
        type=_results_file,
        metavar="FILE|-",
        help="write all results, including every single time; - for standard output",
    )
    add("--csv", type=_output_file, metavar="FILE", help="write one line per model as CSV")
    add(
        "--per-image",
        type=_output_file,
        metavar="FILE",
        help="write the metrics of each photo as CSV",
    )
    add(
        "--html",
        type=_output_file,
        metavar="FILE",
        help="write a report with charts as one HTML file (needs Jinja2)",
    )
    add(
        "--markdown",
        type=_output_file,
        metavar="FILE",
        help="write the comparison as a Markdown table",
    )


def _add_ci(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--strict", action="store_true", help="exit with code 4 when there are warnings")
    add("--baseline", type=Path, metavar="FILE", help="results file that --fail-if compares with")
    add(
        "--fail-if",
        action="append",
        default=[],
        metavar="CONDITION",
        help="exit with code 1 when the condition holds: invoke.p95>50ms, median>+5%% (relative to "
        "--baseline), si_rmse>0.23, peak_rss>200MB, ...; may be repeated",
    )


def _output_file(text: str) -> Path:
    # Before the measurement, whose results would be lost.
    return require_writable(Path(text))


def _results_file(text: str) -> str:
    return text if text == "-" else str(_output_file(text))


def _thread_counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list like 1,2,4") from None
