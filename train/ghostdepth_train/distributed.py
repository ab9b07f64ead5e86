"""Several processes, started by `torchrun`: same gradients as one process with the whole batch."""

from __future__ import annotations

from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from ghostdepth_train.run_folder import environment_number


def start() -> tuple[int, int, torch.device]:
    """Joins the group that torchrun's environment describes, if any.

    Returns:
        Rank, number of processes, and the device of this process.

    Raises:
        UserError: A variable of the environment is not a number.
    """
    world = environment_number("WORLD_SIZE", 1, minimum=1)
    rank = environment_number("RANK", 0)
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", environment_number("LOCAL_RANK", 0))
        torch.cuda.set_device(device)
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return rank, world, device


def stop() -> None:
    """Leaves the group, once everybody has come so far.

    A process that exits while another still talks to it is aborted, as a C++ thread is not joined.
    """
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def agreed(decision: bool) -> bool:
    """The first process's decision, in all processes."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return decision
    decisions = [decision]
    dist.broadcast_object_list(decisions, src=0)
    return bool(decisions[0])


def average_gradients(module: nn.Module) -> None:
    """Means over all processes, for what is trained outside DistributedDataParallel."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    for parameter in module.parameters():
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()


def _sum(x: Tensor) -> Tensor:
    """Sum over all processes, differentiable."""
    return cast(Tensor, all_reduce(x))  # type: ignore[no-untyped-call]


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batches of all processes.

    torch's own refuses CPU tensors (docs/adr/0011-what-torch-gives-the-training-loop.md); this one
    runs on both. In eval mode, and in one process, it is plain batch norm.
    """

    def forward(self, input: Tensor) -> Tensor:
        """NxCxHxW -> the same shape."""
        if not self.training or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(input)
        count = input.numel() / input.shape[1] * dist.get_world_size()
        mean = _sum(input.sum((0, 2, 3))) / count
        centred = input - mean[:, None, None]
        # Two passes: E[x^2] - E[x]^2 would lose digits where the mean is large.
        variance = _sum((centred * centred).sum((0, 2, 3))) / count
        if self.running_mean is not None and self.running_var is not None:
            momentum = 0.1 if self.momentum is None else self.momentum
            with torch.no_grad():
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * (count / (count - 1)), momentum)
                assert self.num_batches_tracked is not None
                self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale[:, None, None] + self.bias[:, None, None]


def synchronise_batch_norm(module: nn.Module) -> None:
    """Puts a synchronised batch norm in the place of each in `module`; keys and weights stay."""
    for name, child in list(module.named_modules()):
        if type(child) is nn.BatchNorm2d:
            synchronised = SyncBatchNorm2d(child.num_features, child.eps, child.momentum)
            synchronised.load_state_dict(child.state_dict())
            # What is frozen stays so: DistributedDataParallel waits for every other gradient.
            for own, former in zip(synchronised.parameters(), child.parameters(), strict=True):
                own.requires_grad_(former.requires_grad)
            module.set_submodule(name, synchronised.to(child.weight.device), strict=True)
