"""Two CPU processes under torchrun against one process with the double batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ghostdepth_train.checkpoint import read_tensors
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.data import read_split
from ghostdepth_train.trainer import RunOptions, Trainer

WORKER = """
import sys
from pathlib import Path
from ghostdepth_train import distributed
from ghostdepth_train.checkpoint import write_tensors
from ghostdepth_train.config import load_train_config
from ghostdepth_train.data import read_split
from ghostdepth_train.trainer import RunOptions, Trainer
from torch.nn.parallel import DistributedDataParallel

data, out = map(Path, sys.argv[1:])
config = load_train_config("tiny", {"batch_size": 2})
trainer = Trainer(config, read_split(data), RunOptions(out / "run", "t", "test", workers=0))
# In double precision: batch norm over a handful of pixels amplifies float32's rounding.
trainer.network.double()
normalise = trainer.normalise
trainer.normalise = lambda rgb: normalise(rgb).double()
model = DistributedDataParallel(trainer.network.train(), broadcast_buffers=False)
rgb, depth = next(iter(trainer.loader))
trainer.loss(model, rgb, depth).backward()
if trainer.rank == 0:
    tensors = {n: p.grad.contiguous() for n, p in trainer.network.named_parameters()}
    tensors |= {n: b for n, b in trainer.network.named_buffers() if "running" in n}
    write_tensors(out / "gradients.safetensors", tensors)
distributed.stop()
"""


@pytest.mark.slow
def test_two_processes_give_the_gradients_of_one_with_the_double_batch(
    data: Path, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    # Port 0: the launcher takes a free one itself, so that nobody else can take it before.
    where = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
    done = subprocess.run(
        [*launcher, *where, str(script), str(data), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    both, _ = read_tensors(tmp_path / "gradients.safetensors")

    single = Trainer(
        tiny_config, read_split(data), RunOptions(tmp_path / "one", "t", "", workers=0)
    )
    rgb, depth = next(iter(single.loader))
    assert len(rgb) == 4
    single.network.double()
    normalise = single.normalise
    single.normalise = lambda rgb: normalise(rgb).double()
    single.loss(single.network.train(), rgb, depth).backward()
    expected = {n: p.grad for n, p in single.network.named_parameters()}
    expected |= {n: b for n, b in single.network.named_buffers() if "running" in n}
    assert both.keys() == expected.keys()
    for key, value in expected.items():
        assert value is not None
        scale = float(value.abs().max()) + 1e-6
        torch.testing.assert_close(both[key], value, rtol=0, atol=1e-5 * scale, msg=key)
