"""The verb that looks for a network within a time: search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from bench_depth.core.files import make_folder
from bench_depth.core.screen import say

from ghostdepth.commands.app import TrainingLines, app, duration, progress
from ghostdepth.commands.network import Data, Settings, Strict, Val
from ghostdepth.networks import warn_of_data

if TYPE_CHECKING:
    from ghostdepth_export.search.front import TrainedNetwork


@app.command()
def search(
    budget_ms: Annotated[float, typer.Option(help="Milliseconds on a Raspberry Pi 4.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for runs, tables, page and configs.")],
    val: Val = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Number of trials of all workers, over all starts.")
    ] = 50,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each trial's short training.")] = 5,
    config: Annotated[
        str, typer.Option(help="How to train, and what the space does not choose.")
    ] = "s",
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Pause after the last trial that fits.")
    ] = None,
    settings: Settings = None,
    space: Annotated[str | None, typer.Option(help="YAML file: what to choose from.")] = None,
    study: Annotated[
        Path | None, typer.Option(help="SQLite file of the study.", show_default="OUT/study.db")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="A database's address instead, for several machines.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of the runtime.")] = 4,
    target_file: Annotated[str, typer.Option(help="int8 or fp32, a .tflite file.")] = "int8",
    workers: Annotated[int, typer.Option(min=0, help="Processes that load data.")] = 1,
    strict: Strict = False,
) -> None:
    """Search for networks that are accurate within a time. Start it again to go on."""
    from ghostdepth_export.pi4.budget import FileLatency
    from ghostdepth_export.search import StudyPlan, Worker, load_space, open_study
    from ghostdepth_export.search.front import trained_networks, write_front, write_page
    from ghostdepth_export.search.study import study_url
    from ghostdepth_export.search.training import base_training, short_training, trial_trainer
    from ghostdepth_train.config import parse_config
    from ghostdepth_train.data import read_split
    from ghostdepth_train.pruning.budget import total
    from ghostdepth_train.pruning.latency import LatencyBudget
    from ghostdepth_train.settings import parse_settings

    wanted = {"ms": budget_ms, "threads": threads, "file": target_file}
    budget = parse_config(LatencyBudget, wanted, "the time budget")
    base, split = base_training(config, parse_settings(settings or ())), read_split(data, val)
    words = f"{len(split.train)} pairs of {data.name}"
    plan = StudyPlan(load_space(space), budget, short_training(base, epochs), words)
    make_folder(out)
    opened = open_study(storage or study_url(study or out / "study.db"), plan)
    with progress(TrainingLines.COLUMN) as bar:
        lines = TrainingLines(bar, "searching")
        warn_of_data(split, str(data), strict, lines.say)
        clock = FileLatency(log=lines.say)
        worker = Worker(
            opened,
            plan,
            cost=lambda network: total(clock(network, budget)),
            train=trial_trainer(split, words, workers, lines.step, lines.epoch),
            out=out,
            say=lines.say,
            on_trial=lambda done, seconds: lines.say(_progress(done, trials, seconds)),
        )
        already = worker.count()[0]
        lines.say(
            f"{trials} trials of {epochs} epoch{'s' * (epochs != 1)} within {budget_ms:g} ms"
            f"{f', {already} of them done' * bool(already)}, on {words} ({len(split.val)} for "
            f"validation), into {out}"
        )
        done = worker.run(trials, minutes)
        if done < trials:
            lines.say(
                f"paused by --minutes after {done} of {trials} trials; start it again to go on"
            )
    rows = trained_networks(opened)
    configs = write_front(out, rows, base)
    if not rows:
        if done < trials:
            return
        say(f"no network of {trials} takes at most {budget_ms:g} ms; give another --space")
        raise typer.Exit(1)
    write_page(out / "search.html", rows, budget.what, budget_ms)
    _print(rows)
    say(f"configs: {configs[0].parent}; page: {out / 'search.html'}")


def _progress(done: int, trials: int, seconds: float) -> str:
    """The trials that are done, and how long this worker alone would take for the others."""
    left = f", about {duration(seconds * (trials - done))} left" if done < trials else ""
    return f"{done} of {trials} trials done{left}"


def _print(rows: Sequence[TrainedNetwork]) -> None:
    from ghostdepth_export.host.screen import Screen
    from rich.table import Table

    front = [row.row() for row in rows if row.front]
    table = Table(box=None, pad_edge=False)
    for title in front[0]:
        table.add_column(title, justify="right", no_wrap=True)
    for row in front:
        table.add_row(*map(str, row.values()))
    say(f"{len(front)} of {len(rows)} trained networks are on the front")
    Screen(pipe_width=120).print(table)
