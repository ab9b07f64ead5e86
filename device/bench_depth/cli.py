"""The `bench-depth` command: its options, its output, its exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from bench_depth import __version__
from bench_depth.errors import INTERRUPTED, UserError

if TYPE_CHECKING:
    from bench_depth.results import Results

# As in bench_depth.runtimes and bench_depth.metrics, which are too slow to import for --help.
_RUNTIMES = ("tflite_runtime", "ai_edge_litert", "tensorflow", "onnxruntime")
_ALIGNMENTS = ("none", "median", "log-affine")
_EPILOG = """\
With no --data a bundled photo is used: nothing but a model file is needed.

exit codes: 0 ok, 2 wrong options or input, 3 a model cannot be loaded or run, 130 interrupted
"""


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command.

    Args:
        arguments: Instead of those of the process.

    Returns:
        The exit code; argparse itself leaves with 0 or 2.
    """
    options = _parser().parse_args(arguments)
    output = _Output(options.json)
    try:
        try:
            _bench(options, output)
        finally:
            # What was measured before an error or Ctrl-C is shown all the same.
            output.finish()
    except KeyboardInterrupt:
        print("bench-depth: interrupted; finished models were kept", file=sys.stderr)
        return INTERRUPTED
    except UserError as error:
        print(f"bench-depth: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _bench(options: argparse.Namespace, output: _Output) -> None:
    from bench_depth.bench import BenchOptions, bench
    from bench_depth.measure import Plan

    bench(
        options.model,
        BenchOptions(
            data=options.data,
            runtime=options.runtime,
            threads=options.threads,
            plan=Plan(options.warmup, options.min_runs, options.min_time),
            align=options.align,
            save_predictions=options.save_predictions,
        ),
        lambda line: print(line, file=sys.stderr, flush=True),
        output.keep,
    )


class _Output:
    """Where results go: the file after each model, the screen at the end.

    Args:
        json: The results file; `-` for standard output, with the table on standard error; None for
            the table alone.
    """

    def __init__(self, json: Optional[str]) -> None:
        self._json = json
        self._results: Optional[Results] = None

    def keep(self, results: Results) -> None:
        from bench_depth.results import save

        self._results = results
        if self._json is not None and self._json != "-" and results.models:
            save(results, Path(self._json))

    def finish(self) -> None:
        if self._results is None or not self._results.models:
            return
        from bench_depth.results import to_json
        from bench_depth.table import render

        if self._json == "-":
            sys.stderr.write(render(self._results, sys.stderr.isatty()))
            _write_stdout(to_json(self._results))
        else:
            _write_stdout(render(self._results, sys.stdout.isatty()))


def _write_stdout(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Python flushes again when it ends, and would print a traceback of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise UserError(f"cannot write to standard output: {error.strerror}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench-depth",
        description="How fast and how good a monocular depth model is on this machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"bench-depth {__version__}")
    add(
        "--model",
        action="append",
        required=True,
        type=Path,
        metavar="FILE",
        help="a .tflite or .onnx file; may be given several times",
    )
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="measure accuracy too, on a dataset folder: rgb/NAME.jpg + depth/NAME.png "
        "(16-bit, millimetres, 0 = unknown)",
    )
    add("--runtime", choices=_RUNTIMES, help="default: the first of these that is installed")
    add("--threads", type=int, metavar="N", help="default: one per core, at most 4")
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
        "--align",
        choices=_ALIGNMENTS,
        default="none",
        help="fit predictions to the truth before comparing (default: none)",
    )
    add(
        "--json",
        metavar="FILE|-",
        help="write all results with every single time, after each model; - is standard output",
    )
    add(
        "--save-predictions",
        type=Path,
        metavar="DIR",
        help="write predicted depth as 16-bit PNG in millimetres, DIR/NAME.png; of several "
        "models DIR/MODEL/NAME.png",
    )
    return parser
