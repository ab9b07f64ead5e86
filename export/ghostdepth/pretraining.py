"""The function that prepares an encoder before there is any depth: pretrain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench_depth.core.bounds import require_bounds
from bench_depth.core.errors import UserError
from bench_depth.core.screen import counted

from ghostdepth.networks import OnEpoch

if TYPE_CHECKING:
    from ghostdepth_train.pretraining import Pretrainer
    from ghostdepth_train.run_options import Progress


def pretrain(
    images: Sequence[Path | str],
    out: Path | str,
    *,
    config: Path | str = "ghostnet-s",
    method: str | None = None,
    teacher: Path | str | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    settings: Sequence[str] | None = None,
    seed: int | None = None,
    name: str | None = None,
    note: str = "",
    workers: int = 1,
    resume: bool = False,
    on_step: Progress = lambda done, total, loss, images_per_second: None,
    on_epoch: OnEpoch = lambda row: None,
    log: Callable[[str], None] = lambda line: None,
) -> Path:
    """Pretrains a network's encoder on unlabelled images; a killed run continues with `resume`.

    Args:
        images: Folders of images, searched with all folders in them but `depth` and `pseudo_depth`.
        out: Folder of the run; `neighbours.html` in it shows what the encoder finds similar.
        config: Name of a training config whose network's encoder is pretrained, or path of a YAML
            file.
        method: Method of pretraining: `skip-gram`, `cbow` or `features`; None for that of the
            settings, which is `skip-gram`.
        teacher: Teacher of the method `features`: a checkpoint folder or released model,
            `efficientnet-lite0` to `-lite2`, or a timm name; None for that of the settings, which
            is `efficientnet-lite0`.
        epochs: Number of epochs; None for that of the settings.
        minutes: As for `train`.
        settings: Settings of the pretraining as `KEY=VALUE`, for example `window=5`.
        seed: Seed of weights, codebook, order and negatives; None for that of the settings.
        name: Name of the checkpoint; None for `ghostdepth-CONFIG`.
        note: Description of the images and their terms of use, for the checkpoint; empty for their
            number and folders.
        workers: Number of processes that load images.
        resume: Whether to continue the run in `out`.
        on_step: As for `train`.
        on_epoch: As for `train`.
        log: Called with one line of progress text.

    Returns:
        The folder of the checkpoint with the lowest loss on held-out images, `out/best`, for
        `train(..., init=...)`.

    Raises:
        UserError: An argument is wrong, there are too few images, one cannot be read, or another
            process works in `out`.
    """
    from ghostdepth_export.host.checkout import find_checkpoint
    from ghostdepth_export.pages.neighbours_page import write_neighbours
    from ghostdepth_train import distributed
    from ghostdepth_train.config.settings import parse_settings
    from ghostdepth_train.pretraining import Pretrainer, load_pretrain_config, split_images
    from ghostdepth_train.run_folder import run_folder
    from ghostdepth_train.run_options import RunOptions

    require_bounds(minutes=minutes, workers=workers)
    out, folders = Path(out), [Path(folder) for folder in images]
    given = {"method": method, "epochs": epochs, "seed": seed}
    given["teacher"] = None if teacher is None else str(find_checkpoint(teacher))
    changes = {key: value for key, value in given.items() if value is not None}
    chosen = load_pretrain_config(str(config), changes, parse_settings(settings or ()))
    if teacher is not None and chosen.method != "features":
        raise UserError(f"--teacher is for --method features, not for {chosen.method}")
    split = split_images(folders)
    where = ", ".join(str(folder) for folder in folders)
    options = RunOptions(
        out=out,
        name=name or f"ghostdepth-{Path(config).stem}",
        training_data=note or f"{len(split.train)} unlabelled images of {where}",
        workers=workers,
        resume=resume,
        minutes=minutes,
    )
    with run_folder(out, "ghostdepth pretrain"):
        trainer = Pretrainer(chosen, split, options)
        log(_plan(trainer, where))
        trainer.run(on_step, on_epoch)
        if trainer.rank == 0:
            log(f"page of nearest neighbours: {write_neighbours(trainer)}")
    if trainer.ended_by:
        log(f"ended after {trainer.epoch} of {chosen.epochs} epochs; --resume continues")
    distributed.stop()
    return out / "best"


def _plan(trainer: Pretrainer, where: str) -> str:
    """What a pretraining will do, on what, in one line."""
    config, split = trainer.pretraining, trainer.split
    what = f"teacher {config.teacher}"
    if config.method != "features":
        rows, columns = config.grid
        what = f"{rows}x{columns} patches of {config.stride}x{config.stride}, {config.codes} codes"
    images, steps = len(split.train) + len(split.val), len(trainer.sampler)
    return (
        f"{trainer.options.name}: {config.method} ({what}) on {counted(images, 'image')} of "
        f"{where} ({len(split.val)} held out), to epoch {config.epochs}, {counted(steps, 'step')} "
        f"of {config.batch_size * trainer.world} images each, on {trainer.device.type}"
    )
