"""Functions that train and evaluate a network: train, evaluate, summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench_depth.core.bounds import require_bounds
from bench_depth.core.errors import UserError, refuse_warnings
from bench_depth.core.screen import counted

from ghostdepth.datasets import report_findings, warn_of_data

if TYPE_CHECKING:
    from bench_depth.core.metrics import DepthMetrics
    from ghostdepth_train.models.summary import LayerCost
    from ghostdepth_train.run_options import Progress
    from ghostdepth_train.trainer import Trainer

OnEpoch = Callable[[dict[str, float]], None]


def train(
    data: Path | str,
    out: Path | str,
    *,
    config: Path | str = "ghostnet-s",
    val: Path | str | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    patience: int | None = None,
    fraction: float = 1.0,
    settings: Sequence[str] | None = None,
    seed: int | None = None,
    name: str | None = None,
    note: str = "",
    imagenet: str | None = None,
    init: Path | str | None = None,
    workers: int = 1,
    resume: bool = False,
    strict: bool = False,
    on_step: Progress = lambda done, total, loss, images_per_second: None,
    on_epoch: OnEpoch = lambda row: None,
    log: Callable[[str], None] = lambda line: None,
) -> Path:
    """Trains a network; a run that was killed is continued with `resume` to the same result.

    Args:
        data: Dataset folder, or a folder with `train/` and `val/`.
        out: Folder of the run; `report.html` in it is rewritten after each validation.
        config: Name of a config, or path of a YAML file.
        val: Dataset folder for validation; None for `data/val`, if there is one.
        epochs: Number of epochs; None for the config's.
        minutes: Number of minutes after which the run pauses, to be continued with `resume`: no
            epoch is begun that would take longer; None for no limit.
        patience: Number of evaluations without a better one after which the run ends; None for no
            limit.
        fraction: Fraction of the training pairs that is used, evenly spaced.
        settings: Settings of the config as `KEY=VALUE`, for example `augment.flip=0`.
        seed: Seed of weights, order and augmentation; None for the config's.
        name: Name of the checkpoint and its files; None for `ghostdepth-CONFIG`.
        note: Description of the data and its terms of use, for the checkpoint; empty for the number
            of pairs and the folder.
        imagenet: Initial weights of the encoder: a file, `efficientnet-lite0` to `-lite2`, or a
            timm name; None for random ones.
        init: Checkpoint folder or released model whose weights are the initial ones; None for none.
        workers: Number of processes that load data.
        resume: Whether to continue the run in `out`.
        strict: Whether implausible data is an error, not only a warning.
        on_step: Called after every step with the number of steps done, the number of all steps, the
            loss, and the images per second.
        on_epoch: Called after every epoch with its row of the log.
        log: Called with one line of text: each warning about the data, and a summary of the run.

    Returns:
        The folder of the best checkpoint, `out/best`.

    Raises:
        UserError: An argument is wrong, the data or an earlier run cannot be read, or another
            process works in `out`.
    """
    from ghostdepth_export.host.checkout import find_checkpoint
    from ghostdepth_export.pages.training_page import TrainingPage
    from ghostdepth_train import distributed
    from ghostdepth_train.config import load_train_config
    from ghostdepth_train.config.settings import parse_settings
    from ghostdepth_train.data import fraction_of, read_split
    from ghostdepth_train.run_folder import run_folder
    from ghostdepth_train.run_options import RunOptions
    from ghostdepth_train.trainer import Trainer

    require_bounds(minutes=minutes, patience=patience, workers=workers)
    data, out = Path(data), Path(out)
    changes = {k: v for k, v in {"epochs": epochs, "seed": seed}.items() if v is not None}
    chosen = load_train_config(str(config), changes, parse_settings(settings or ()))
    split = fraction_of(read_split(data, _path(val)), fraction)
    options = RunOptions(
        out=out,
        name=name or f"ghostdepth-{Path(config).stem}",
        training_data=note or f"{counted(len(split.train), 'pair')} of {data.name}",
        workers=workers,
        resume=resume,
        imagenet=imagenet,
        init=None if init is None else find_checkpoint(init),
        minutes=minutes,
        patience=patience,
    )
    warn_of_data(split, str(data), strict, log)
    with run_folder(out, "ghostdepth train"):
        trainer = Trainer(chosen, split, options)
        log(_plan(trainer, data))
        page = TrainingPage(trainer, log)

        def epoch(row: dict[str, float]) -> None:
            on_epoch(row)
            page(row)

        trainer.run(on_step, epoch)
    if trainer.ended_by:
        log(
            f"ended by --{trainer.ended_by} after {trainer.epoch} of {chosen.epochs} epochs; "
            "--resume without it continues"
        )
    distributed.stop()
    return out / "best"


def evaluate(
    checkpoint: Path | str,
    data: Path | str,
    align: str = "none",
    *,
    hfov: float | None = None,
    strict: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> DepthMetrics:
    """Measures the accuracy of a checkpoint through the graph that is exported.

    Args:
        checkpoint: Checkpoint folder, or name of a released model.
        data: Dataset folder.
        align: Alignment of predictions to the ground truth: `none`, `median` or `log-affine`.
        hfov: Horizontal field of view in degrees of the camera of `data`, which metric depth is
            converted to; None for that of the training data.
        strict: Whether implausible data or depth is an error, not only a warning.
        log: Called with one line for each warning about the data or the network's depth.

    Returns:
        The mean over the images of each metric.

    Raises:
        UserError: The alignment is unknown, the checkpoint or the data cannot be read, or `hfov` is
            impossible or the checkpoint does not know its own.
    """
    from bench_depth.core.dataset import list_pairs
    from bench_depth.core.metrics import ALIGNMENTS
    from bench_depth.plausibility.data_checks import survey_pairs
    from bench_depth.plausibility.output_checks import OutputWatch
    from ghostdepth_export.host.checkout import find_checkpoint
    from ghostdepth_train.checkpoint import load_checkpoint
    from ghostdepth_train.config import check_camera
    from ghostdepth_train.evaluate import evaluate as measure

    if align not in ALIGNMENTS:
        raise UserError(f"unknown alignment {align!r}; choose from {', '.join(ALIGNMENTS)}")
    pairs = list_pairs(Path(data))
    report_findings(survey_pairs(pairs, str(data)).findings(), strict, log)
    network = load_checkpoint(find_checkpoint(checkpoint)).network
    check_camera(network.config, hfov, checkpoint)
    watch = OutputWatch(True, log)
    found = measure(network, pairs, align, hfov, watch)
    refuse_warnings(watch.codes, strict)
    return found


def summary(
    config: Path | str = "ghostnet-s", checkpoint: Path | str | None = None
) -> list[LayerCost]:
    """Lists the parameters, multiply-accumulates and activations of each layer of a network.

    Args:
        config: Name of a config, or path of a YAML file.
        checkpoint: Checkpoint folder, or name of a released model, instead of a config.

    Returns:
        One entry for each convolution and attention, in the order in which they run.

    Raises:
        UserError: The config is unknown, or the checkpoint cannot be read.
    """
    from ghostdepth_export.host.checkout import find_checkpoint
    from ghostdepth_train.checkpoint import load_checkpoint
    from ghostdepth_train.config import load_train_config
    from ghostdepth_train.models.network import DepthNet
    from ghostdepth_train.models.summary import layer_costs

    if checkpoint is not None:
        return layer_costs(load_checkpoint(find_checkpoint(checkpoint)).network)
    return layer_costs(DepthNet(load_train_config(str(config)).network))


def _plan(trainer: Trainer, data: Path) -> str:
    """What a training will do, on what, in one line."""
    import torch

    config, steps = trainer.config, len(trainer.sampler)
    millions = sum(p.numel() for p in trainer.network.parameters()) / 1e6
    threads = torch.get_num_threads()
    where = counted(threads, "CPU thread")
    if trainer.device.type == "cuda":
        where = torch.cuda.get_device_name(trainer.device)
    begin = f"from epoch {trainer.epoch + 1} " if trainer.epoch else ""
    return (
        f"{trainer.options.name}: {millions:.2f} M parameters at {config.network.input_width}x"
        f"{config.network.input_height}, {counted(len(trainer.split.train), 'pair')} of {data} "
        f"({len(trainer.split.val)} for validation), {begin}to epoch {config.epochs}, "
        f"{counted(steps, 'step')} of {config.batch_size * trainer.world} images each, on {where}"
    )


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)
