"""Two CPU processes under torchrun against one process with the double batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ghostdepth_train import distributed
from ghostdepth_train.checkpoint import read_tensors, write_tensors
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.data import read_split
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from torch.nn.parallel import DistributedDataParallel


def in_double(trainer: Trainer) -> Trainer:
    """In float32 batch norm over a handful of pixels amplifies rounding."""
    trainer.network.double()
    normalise = trainer.normalise
    trainer.normalise = lambda rgb: normalise(rgb).double()  # type: ignore[method-assign]
    return trainer


def worker(config: TrainConfig, data: Path, out: Path) -> None:
    trainer = in_double(
        Trainer(config, read_split(data), RunOptions(out / "run", "t", "test", workers=0))
    )
    model = DistributedDataParallel(trainer.network.train(), broadcast_buffers=False)
    rgb, depth = next(iter(trainer.loader))
    trainer.loss(model, rgb, depth).backward()
    if trainer.rank == 0:
        tensors = {n: p.grad.contiguous() for n, p in trainer.network.named_parameters()}
        tensors |= {n: b for n, b in trainer.network.named_buffers() if "running" in n}
        write_tensors(out / "gradients.safetensors", tensors)
    distributed.stop()


# What torch would have instead does not do the same, or not on this backend.
@pytest.mark.filterwarnings("ignore:.* is deprecated:FutureWarning")
@pytest.mark.slow
def test_two_processes_give_the_gradients_of_one_with_the_double_batch(
    data: Path, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    single = in_double(
        Trainer(tiny_config, read_split(data), RunOptions(tmp_path / "one", "t", "", workers=0))
    )
    rgb, depth = next(iter(single.loader))
    assert len(rgb) == 4
    single.loss(single.network.train(), rgb, depth).backward()
    expected = {n: p.grad for n, p in single.network.named_parameters()}
    expected |= {n: b for n, b in single.network.named_buffers() if "running" in n}

    # torchrun itself, whose processes are forks of this one. With port 0 it takes a free one, so
    # that nobody else can take it before.
    torchrun = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        start_method="fork",
    )
    half = tiny_config.model_copy(update={"batch_size": tiny_config.batch_size // 2})
    elastic_launch(torchrun, worker)(half, data, tmp_path)
    both, _ = read_tensors(tmp_path / "gradients.safetensors")
    assert both.keys() == expected.keys()
    for key, value in expected.items():
        assert value is not None
        scale = float(value.abs().max()) + 1e-6
        torch.testing.assert_close(both[key], value, rtol=0, atol=1e-5 * scale, msg=key)
