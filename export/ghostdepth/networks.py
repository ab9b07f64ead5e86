"""Functions that make and judge a network: convert, train, evaluate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench_depth.core.metrics import DepthMetrics
    from ghostdepth_train.trainer import Progress

OnEpoch = Callable[[dict[str, float]], None]


def train(
    data: Path | str,
    out: Path | str,
    *,
    config: Path | str = "s",
    val: Path | str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    name: str | None = None,
    note: str = "",
    imagenet: str | None = None,
    init: Path | str | None = None,
    workers: int = 1,
    resume: bool = False,
    on_step: Progress = lambda done, total, loss, images_per_second: None,
    on_epoch: OnEpoch = lambda row: None,
) -> Path:
    """Trains a network; a run that was killed is continued with `resume` to the same result.

    Args:
        data: Dataset folder, or a folder with `train/` and `val/`.
        out: Folder of the run.
        config: Name of a config, or path of a YAML file.
        val: Dataset folder for validation; None for `data/val`, if there is one.
        epochs: Number of epochs; None for the config's.
        seed: Seed of weights, order and augmentation; None for the config's.
        name: Name of the checkpoint and its files; None for `ghostdepth-CONFIG`.
        note: What the data is, and its terms; empty for the number of pairs and the folder.
        imagenet: Initial weights of the encoder: a file, `efficientnet-lite0` to `-lite2`, or a
            timm name; None for random ones.
        init: Checkpoint folder or released model whose weights are the initial ones; None for none.
        workers: Number of processes that load data.
        resume: Whether to continue the run in `out`.
        on_step: Called after every step with the number of steps done, that of all, the loss, and
            images per second.
        on_epoch: Called after every epoch with its row of the log.

    Returns:
        The folder of the best checkpoint, `out/best`.

    Raises:
        UserError: An argument is wrong, or the data or an earlier run cannot be read.
    """
    from ghostdepth_export.host.checkout import find_checkpoint
    from ghostdepth_train import distributed
    from ghostdepth_train.config import load_train_config
    from ghostdepth_train.data import read_split
    from ghostdepth_train.trainer import RunOptions, Trainer

    data, out = Path(data), Path(out)
    changes = {k: v for k, v in {"epochs": epochs, "seed": seed}.items() if v is not None}
    settings = load_train_config(str(config), changes)
    split = read_split(data, _path(val))
    options = RunOptions(
        out=out,
        name=name or f"ghostdepth-{Path(config).stem}",
        training_data=note or f"{len(split.train)} pairs of {data.name}",
        workers=workers,
        resume=resume,
        imagenet=imagenet,
        init=None if init is None else find_checkpoint(init),
    )
    Trainer(settings, split, options).run(on_step, on_epoch)
    distributed.stop()
    return out / "best"


def evaluate(checkpoint: Path | str, data: Path | str, align: str = "none") -> DepthMetrics:
    """The accuracy of a checkpoint by the measuring protocol, through the graph that is exported.

    Args:
        checkpoint: Checkpoint folder, or name of a released model.
        data: Dataset folder.
        align: Alignment of predictions to the ground truth: `none`, `median` or `log-affine`.

    Returns:
        The mean over the images of each metric.

    Raises:
        UserError: The alignment is unknown, or the checkpoint or the data cannot be read.
    """
    from bench_depth.core.dataset import list_pairs
    from bench_depth.core.errors import UserError
    from bench_depth.core.metrics import ALIGNMENTS
    from ghostdepth_export.host.checkout import find_checkpoint
    from ghostdepth_train.checkpoint import load_checkpoint
    from ghostdepth_train.evaluate import evaluate as measure

    if align not in ALIGNMENTS:
        raise UserError(f"unknown alignment {align!r}; choose from {', '.join(ALIGNMENTS)}")
    pairs = list_pairs(Path(data))
    return measure(load_checkpoint(find_checkpoint(checkpoint)).network, pairs, align)


def convert(
    source: str,
    path: Path | str,
    out: Path | str,
    *,
    split: str | None = None,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Turns a published dataset into a dataset folder.

    Args:
        source: `nyu`, `tum`, `kitti` or `diode`.
        path: File or folder of the dataset.
        out: Dataset folder to write.
        split: Name of a split, `train` or `test` of nyu, `train` or `val` of kitti; None for all.
        on_image: Called after each image with the number of images done, and that of all.

    Returns:
        The number of pairs.

    Raises:
        UserError: The source is unknown, or a file cannot be read or written.
    """
    from ghostdepth_train.convert import convert as run

    return run(source, Path(path), Path(out), split=split, progress=on_image)


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)
