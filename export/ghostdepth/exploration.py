"""Functions that compare networks before a long training: search, sensitivity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench_depth.core.bounds import require_bounds
from bench_depth.core.errors import UserError
from bench_depth.core.files import make_folder
from bench_depth.core.screen import counted

from ghostdepth.datasets import warn_of_data
from ghostdepth.networks import OnEpoch

if TYPE_CHECKING:
    from ghostdepth_export.search.front import TrainedNetwork
    from ghostdepth_train.config import TrainConfig
    from ghostdepth_train.models.network import DepthNet
    from ghostdepth_train.pruning.latency import LatencyBudget
    from ghostdepth_train.pruning.sensitivity import Sensitivity
    from ghostdepth_train.run_options import Progress
    from optuna import Study

Log = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """What a search has found so far.

    Attributes:
        trials: Number of trials that are done, of all workers and starts.
        networks: The trained networks, fastest first; `front` marks those on the Pareto front.
        configs: Configs of the networks of the front, for `train`.
        page: The HTML file; None where no network was trained.
    """

    trials: int
    networks: list[TrainedNetwork]
    configs: list[Path]
    page: Path | None


def search(
    budget_ms: float,
    data: Path | str,
    out: Path | str,
    *,
    val: Path | str | None = None,
    trials: int = 50,
    epochs: int = 5,
    config: Path | str = "ghostnet-s",
    minutes: float | None = None,
    patience: int | None = None,
    fraction: float = 1.0,
    settings: Sequence[str] | None = None,
    space: Path | str | None = None,
    study: Path | str | None = None,
    storage: str | None = None,
    threads: int = 4,
    target_file: str = "int8",
    board: str = "rpi4",
    runtime: str = "2.5",
    workers: int = 1,
    strict: bool = False,
    on_step: Progress = lambda done, total, loss, images_per_second: None,
    on_epoch: OnEpoch = lambda row: None,
    on_trial: Callable[[int, float], None] = lambda done, seconds: None,
    log: Log = lambda line: None,
) -> Found:
    """Searches for networks that are accurate within a latency; called again, it continues.

    Args:
        budget_ms: Highest predicted latency in milliseconds; slower networks are not trained.
        data: Dataset folder, or a folder with `train/` and `val/`.
        out: Folder for runs, tables, page and configs.
        val: Dataset folder for validation; None for `data/val`, if there is one.
        trials: Number of trials of all workers, over all starts.
        epochs: Number of epochs of each trial's short training.
        config: Training settings, and the fields of the network that the space does not choose:
            name of a config, or path of a YAML file.
        minutes: Number of minutes after which the search pauses: no trial is begun that would take
            longer; None for no limit.
        patience: Number of epochs without a better one after which a trial's training ends, which
            is then evaluated after each epoch; None for no limit, and one evaluation at the end.
        fraction: As for `train`.
        settings: Settings of the config as `KEY=VALUE`, for example `augment.flip=0`.
        space: YAML file of the search space; None for the shipped one.
        study: SQLite file of the study; None for `out/study.db`.
        storage: Address of a database instead, for several machines; None for the file.
        threads: Number of threads of the runtime that the latency is predicted for.
        target_file: Exported file that the latency is predicted of, `int8` or `fp32`.
        board: Board that it is predicted for: `rpi4`, `rpi4-1800`, `rpi5` or `zero2`.
        runtime: Runtime that it is predicted for: `2.5` (TensorFlow Lite), `litert` or
            `onnxruntime`.
        workers: Number of processes that load data.
        strict: As for `train`.
        on_step: As for `train`, for each trial.
        on_epoch: As for `train`, for each trial.
        on_trial: Called after each trial of this process with the number of trials that are done,
            and the mean seconds of one of its own.
        log: Called with one line of progress text.

    Returns:
        The networks that all workers have trained so far.

    Raises:
        UserError: An argument is wrong, the data or the study cannot be read, Optuna is missing, or
            three trials in a row failed.
    """
    from ghostdepth_export.pi4.budget import FileLatency, basis
    from ghostdepth_export.search import StudyPlan, Worker, load_space, open_study
    from ghostdepth_export.search.study import study_url
    from ghostdepth_export.search.training import base_training, short_training, trial_trainer
    from ghostdepth_train.config.settings import parse_settings
    from ghostdepth_train.data import fraction_of, read_split
    from ghostdepth_train.pruning.budget import total
    from ghostdepth_train.pruning.latency import time_budget

    require_bounds(
        trials=trials, epochs=epochs, minutes=minutes, patience=patience, workers=workers
    )
    data, out = Path(data), Path(out)
    budget = time_budget(budget_ms, threads, target_file, board, runtime)
    base = base_training(str(config), parse_settings(settings or ()))
    split = fraction_of(read_split(data, None if val is None else Path(val)), fraction)
    words = f"{counted(len(split.train), 'pair')} of {data.name}"
    training = short_training(base, epochs, patience)
    chosen = load_space(None if space is None else str(space))
    plan = StudyPlan(chosen, budget, training, words, patience)
    make_folder(out)
    opened = open_study(storage or study_url(Path(study or out / "study.db")), plan)
    warn_of_data(split, str(data), strict, log)
    clock = FileLatency(log=log)
    worker = Worker(
        opened,
        plan,
        cost=lambda network: total(clock(network, budget)),
        train=trial_trainer(split, words, workers, on_step, on_epoch, patience),
        out=out,
        say=log,
        on_trial=on_trial,
    )
    log(basis(budget))
    already = worker.count()[0]
    log(
        f"{counted(trials, 'trial')} of {counted(epochs, 'epoch')} within {budget_ms:g} ms"
        f"{f', {already} of them done' * bool(already)}, on {words} ({len(split.val)} for "
        f"validation), into {out}"
    )
    return _write_found(worker.run(trials, minutes), opened, out, base, budget)


def _write_found(
    done: int, study: Study, out: Path, base: TrainConfig, budget: LatencyBudget
) -> Found:
    """Writes the tables, the configs and the page of all networks of a study."""
    from ghostdepth_export.host.cache import locked
    from ghostdepth_export.search.front import trained_networks, write_front, write_page

    # Other workers may write the same files, or be at work in the folders of their trials.
    with locked(out / "front"):
        rows = trained_networks(study)
        configs, page = write_front(out, rows, base), out / "search.html" if rows else None
        if page is not None:
            write_page(page, rows, budget)
    return Found(done, rows, configs, page)


@dataclass(frozen=True)
class WidthSensitivity:
    """What `sensitivity` found.

    Attributes:
        si_rmse: si-RMSE of the unpruned network.
        widths: For each width of the network, the cost that removing half of it saves and the
            si-RMSE after a fraction of it is removed.
        page: The HTML file.
        layers: CSV file with the cost and the latency of each layer.
    """

    si_rmse: float
    widths: list[Sensitivity]
    page: Path
    layers: Path


def sensitivity(
    checkpoint: Path | str,
    data: Path | str,
    out: Path | str,
    *,
    val: Path | str | None = None,
    importance: str = "taylor",
    pictures: int = 24,
    seed: int = 0,
    measure: bool = False,
    board: str = "rpi4",
    runtime: str = "2.5",
    resume: bool = False,
    on_width: Callable[[int, int], None] = lambda done, total: None,
    log: Log = lambda line: None,
) -> WidthSensitivity:
    """Measures what each width costs and the accuracy lost by pruning it, without retraining.

    Args:
        checkpoint: Checkpoint folder, or name of a released model.
        data: Dataset folder, or a folder with `train/` and `val/`.
        out: Folder for the page and the tables.
        val: Dataset folder for validation; None for `data/val`, if there is one.
        importance: Criterion by which the least important channels are removed first: `magnitude`,
            `bn`, `taylor` or `snip`.
        pictures: Number of validation images, evenly chosen.
        seed: Seed of the batches for `taylor` and `snip`.
        measure: Whether the layers are timed on this machine instead of predicted for a board.
            Where QEMU is missing they are timed in any case, which is logged.
        board: Board that latencies are predicted for: `rpi4`, `rpi4-1800`, `rpi5` or `zero2`.
        runtime: Runtime that they are predicted for: `2.5` (TensorFlow Lite), `litert` or
            `onnxruntime`.
        resume: Whether to continue the run in `out`.
        on_width: Called after each width with the number of widths done, and that of all.
        log: Called with one line of progress text.

    Returns:
        The si-RMSE, the figures of each width, and the files that were written.

    Raises:
        UserError: An argument is wrong, the checkpoint or the data cannot be read, the network
            cannot be pruned, or `out` holds another run.
    """
    from ghostdepth_export.convert.source import evenly
    from ghostdepth_export.host.checkout import find_checkpoint
    from ghostdepth_export.pages.sensitivity_page import Latency, write_page, write_tables
    from ghostdepth_export.pi4.budget.layer_times import layer_times
    from ghostdepth_train.checkpoint import load_checkpoint
    from ghostdepth_train.config import LossConfig, parse_config, require_encoder
    from ghostdepth_train.data import read_split
    from ghostdepth_train.models.summary import layer_costs
    from ghostdepth_train.pruning import importance as units
    from ghostdepth_train.pruning.latency import LatencyBudget
    from ghostdepth_train.pruning.roots import PRUNABLE
    from ghostdepth_train.pruning.sensitivity import SensitivityFile
    from ghostdepth_train.pruning.sensitivity import sensitivity as run
    from ghostdepth_train.run_folder import run_folder

    require_bounds(pictures=pictures)
    wanted = {"ms": 1, "board": board, "runtime": runtime}
    target = parse_config(LatencyBudget, wanted, "the predicted latency")
    if measure and target.elsewhere:
        raise UserError("--measure times this machine; leave out --board and --runtime, or it")
    out, kind = Path(out), units.named(importance)
    loaded = load_checkpoint(find_checkpoint(checkpoint))
    require_encoder(loaded.config, "pruning", *PRUNABLE)
    network, split = loaded.network, read_split(Path(data), None if val is None else Path(val))
    chosen = evenly(split.val, pictures)
    losses = units.batch_losses(network, split, LossConfig(), batches=16, batch_size=8, seed=seed)
    with run_folder(out, "ghostdepth sensitivity"):
        predicted = None if measure else _predicted(network, target, log)
        identity = {
            "latency": f"predicted{target.elsewhere}" if predicted else "measured",
            "checkpoint_sha256": loaded.sha256,
            "train_pairs": len(split.train),
            "pictures": [pair.rgb.name for pair in chosen],
            "importance": kind,
            "seed": seed,
        }
        kept = SensitivityFile(out / "measured.json", identity, resume=resume)
        if kept.times is None:
            kept.add_times(predicted or layer_times(network, progress=log))
        assert kept.times is not None
        whole, rows = run(
            network,
            chosen,
            lambda axes: units.importance(network, axes, kind, losses),
            kept.times,
            on_width,
            kept,
        )
        write_tables(out, layer_costs(network), kept.times, whole, rows)
        latency = Latency(sum(kept.times.values()) / 1000, target.what if predicted else None)
        page = out / "sensitivity.html"
        write_page(page, loaded.name, whole, rows, len(chosen), importance, latency)
    return WidthSensitivity(whole, rows, page, out / "layers.csv")


def _predicted(network: DepthNet, target: LatencyBudget, log: Log) -> dict[str, float] | None:
    """The predicted latency of each layer; None, with the reason logged, where there is none."""
    from ghostdepth_export.pi4.budget.layer_times import predicted_layer_times

    try:
        return predicted_layer_times(network, target, log)
    except UserError as error:
        log(
            f"the latency on a Raspberry Pi is not predicted: {error}; the layers are timed on "
            "this machine instead"
        )
        return None
