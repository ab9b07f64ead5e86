"""The `bench-depth` command: its verbs, its output and its exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from bench_depth.commands.arguments import parse
from bench_depth.core.errors import (
    THRESHOLD_FAILED,
    UserError,
    did_you_mean,
    exit_code,
    refuse_warnings,
)
from bench_depth.core.opencv import prepare_opencv
from bench_depth.core.screen import say, show

if TYPE_CHECKING:
    from bench_depth.accuracy.evaluation import EvaluatedImage
    from bench_depth.machine.guard import OnTask
    from bench_depth.report.html.pictures import WorstImages
    from bench_depth.results.records import Results
    from bench_depth.results.thresholds import Threshold


def _compare(words: Sequence[str]) -> int:
    from bench_depth.commands.compare import main

    return main(words)


def _depth(words: Sequence[str]) -> int:
    from bench_depth.commands.depth import main

    return main(words)


def _live(words: Sequence[str]) -> int:
    from bench_depth.commands.live import main

    return main(words)


def _models(words: Sequence[str]) -> int:
    from bench_depth.commands.models import main

    return main(words)


def _service(words: Sequence[str]) -> int:
    from bench_depth.commands.service import main

    return main(words)


# Other verbs; each is imported when it is used.
_VERBS = {
    "compare": _compare,
    "depth": _depth,
    "live": _live,
    "models": _models,
    "service": _service,
}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command.

    Args:
        arguments: Command-line arguments; None for those of the process.

    Returns:
        The exit code; argparse itself exits with 0 or 2.
    """
    prepare_opencv()
    words = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code("bench-depth", lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    if words and words[0] in _VERBS:
        return _VERBS[words[0]](words[1:])
    is_word = words and not words[0].startswith("-") and not os.path.lexists(words[0])
    if is_word and (hint := did_you_mean(words[0], _VERBS)):
        raise UserError(f"there is no command {words[0]!r}{hint}")
    from bench_depth.machine.guard import guarded

    options = parse(words)
    kept = "interrupted; what was measured was kept"
    # The child prints its own errors.
    return guarded(
        lambda on_task: exit_code("bench-depth", lambda: _measure(options, on_task), kept)
    )


def _measure(options: argparse.Namespace, on_task: OnTask) -> int:
    """Runs the benchmark and writes its results, in the child process."""
    output = _Output(options)
    try:
        thresholds, baseline = _thresholds(options)
        _bench(options, output, on_task)
    finally:
        # What was measured before an error or Ctrl-C is written as well.
        on_task("writing the results", None)
        output.finish()
    return _verdict(options, output.results, thresholds, baseline)


def _bench(options: argparse.Namespace, output: _Output, on_task: OnTask) -> None:
    from bench_depth.benchmark.bench import bench
    from bench_depth.benchmark.hooks import Hooks
    from bench_depth.benchmark.options import BenchOptions
    from bench_depth.commands.flags import from_arguments
    from bench_depth.machine.conditions import parse_cores
    from bench_depth.timing.measure import TimingPlan

    if options.per_image is not None and options.data is None:
        raise UserError("--per-image lists a dataset's photos: give --data as well")
    bench(
        options.model,
        BenchOptions(
            data=options.data,
            data_format=options.data_format,
            data_split=options.data_split,
            data_limit=options.data_limit,
            runtime=options.runtime,
            threads=options.threads,
            plan=TimingPlan(options.warmup, options.min_runs, options.min_time),
            align=options.align,
            save_predictions=options.save_predictions,
            interleave=options.interleave,
            affinity=parse_cores(options.affinity) if options.affinity else None,
            cooldown_to=options.cooldown_to,
            description=from_arguments(options),
            sustain_minutes=options.sustain,
            profile_seconds=options.profile,
        ),
        Hooks(output.screen.log, output.on_results, output.screen.tick, on_task, output.on_image),
    )


def _thresholds(options: argparse.Namespace) -> tuple[list[Threshold], Optional[Results]]:
    """Reads the conditions and the baseline before anything is measured."""
    from bench_depth.results.records import load
    from bench_depth.results.thresholds import check, parse

    baseline = load(options.baseline) if options.baseline is not None else None
    thresholds = [parse(text) for text in options.fail_if]
    check(thresholds, baseline=baseline is not None, accuracy=options.data is not None)
    return thresholds, baseline


def _verdict(
    options: argparse.Namespace,
    results: Optional[Results],
    thresholds: Sequence[Threshold],
    baseline: Optional[Results],
) -> int:
    from bench_depth.results.thresholds import failures

    if results is None:
        return 0
    failed = failures(results, thresholds, baseline)
    for line in failed:
        say(f"bench-depth: {line}", error=True)
    if failed:
        return THRESHOLD_FAILED
    refuse_warnings((code for record in results.models for code in record.warnings), options.strict)
    return 0


class _Output:
    """Writes the results: the JSON file after each model, the rest at the end."""

    def __init__(self, options: argparse.Namespace) -> None:
        from bench_depth.report.progress import ProgressScreen

        self.results: Optional[Results] = None
        self.screen = ProgressScreen(sys.stderr, sys.stderr.isatty())
        self._json: Optional[str] = options.json
        self._files = {
            "csv": options.csv,
            "markdown": options.markdown,
            "per-image": options.per_image,
        }
        self._page: Optional[Path] = options.html
        self._worst: Optional[WorstImages] = None
        if self._page is not None:
            from bench_depth.report.html.pictures import WorstImages
            from bench_depth.report.html.templating import require_jinja

            require_jinja()
            self._worst = WorstImages()

    def on_results(self, results: Results) -> None:
        from bench_depth.results.records import save

        self.results = results
        if self._json is not None and self._json != "-" and results.models:
            save(results, Path(self._json))

    def on_image(self, index: int, image: EvaluatedImage) -> None:
        """Keeps the page's images during the evaluation, so that no model runs again for them."""
        if self._worst is not None:
            self._worst.add(index, image)

    def finish(self) -> None:
        self.screen.clear()
        if self.results is None or not self.results.models:
            return
        from bench_depth.report.table import render
        from bench_depth.results.records import to_json

        stream = sys.stderr if self._json == "-" else sys.stdout
        text = render(self.results, stream.isatty() and not os.environ.get("NO_COLOR"))
        try:
            if self._json == "-":
                show(text, error=True)
                show(to_json(self.results))
            else:
                show(text)
        finally:  # A reader that has gone loses the table, and not the files.
            self._write_files(self.results)

    def _write_files(self, results: Results) -> None:
        from bench_depth.core.files import write_bytes
        from bench_depth.report import csv_markdown as exchange
        from bench_depth.report import per_image

        writers = {
            "csv": exchange.to_csv,
            "markdown": exchange.to_markdown,
            "per-image": per_image.to_csv,
        }
        for kind, path in self._files.items():
            if path is not None:
                write_bytes(path, writers[kind](results).encode())
        if self._page is not None and self._worst is not None:
            from bench_depth.report.html.page import write_page
            from bench_depth.results.records import labels

            write_page(results, self._worst.scenes(labels(results)), self._page)
