"""From pairs to batches, the same ones in every run with the same seed.

Every random choice is drawn from (seed, epoch, index), so that a run that was killed continues with
exactly the batches it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from bench_depth.core.dataset import Pair, read_pair
from bench_depth.core.errors import UserError
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ghostdepth_train.augment import Photo, augment
from ghostdepth_train.config import AugmentConfig

# Decoded pairs that one loader process keeps in memory, at most.
CACHE_BYTES = 2 * 1024**3


class DepthDataset(Dataset[tuple[Tensor, ...]]):
    """Augmented training pairs.

    Args:
        pairs: Files of the pairs.
        size: Height and width of the network's input.
        config: Settings of the augmentation.
        seed: Seed of the augmentation.

    An item is asked for as `(epoch, index)` and is 3xHxW uint8 RGB and 1xHxW float32 metres.
    """

    def __init__(
        self, pairs: list[Pair], size: tuple[int, int], config: AugmentConfig, seed: int
    ) -> None:
        self.pairs, self.size, self.config, self.seed = pairs, size, config, seed
        # Decoding costs more than augmenting; where training shares few cores with the loader,
        # decoding again in every epoch would slow it by a tenth.
        self._decoded: dict[int, tuple[Photo, NDArray[np.uint16]]] = {}
        self._room = CACHE_BYTES

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: Any) -> tuple[Tensor, ...]:
        epoch, index = key
        rgb, depth_mm = self._pair(index)
        depth = np.asarray(depth_mm, np.float32) / np.float32(1000)
        rng = np.random.default_rng((self.seed, epoch, index))
        rgb, depth = augment(rgb, depth, self.size, self.config, rng)
        return torch.from_numpy(rgb).permute(2, 0, 1), torch.from_numpy(depth)[None]

    def _pair(self, index: int) -> tuple[Photo, NDArray[np.uint16]]:
        if index in self._decoded:
            return self._decoded[index]
        pair = self._read(self.pairs[index])
        size = sum(array.nbytes for array in pair)
        if size <= self._room:
            self._room -= size
            self._decoded[index] = pair
        return pair

    def _read(self, pair: Pair) -> tuple[Photo, NDArray[np.uint16]]:
        return read_pair(pair)


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """The batches of one epoch for one process of several.

    All processes together see the global batch that one process with `world` times the batch size
    would see. The last, incomplete global batch is dropped; a set smaller than one global batch
    is repeated to fill it.

    Args:
        count: Number of items of the set.
        batch: Number of items per step and process.
        seed: Seed of the order.
        rank: Rank of this process.
        world: Number of processes.
        steps: Number of batches per epoch, where another set decides it; this set is cut or
            repeated.
    """

    def __init__(
        self,
        count: int,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        steps: int | None = None,
    ) -> None:
        self.count, self.batch, self.seed, self.rank, self.world = count, batch, seed, rank, world
        self.epoch = 0
        self._steps = max(1, count // (batch * world)) if steps is None else steps

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.count)
        step = self.batch * self.world
        order = np.resize(order, len(self) * step)
        for start in range(self.rank * self.batch, len(order), step):
            yield [(self.epoch, int(i)) for i in order[start : start + self.batch]]


def training_loader(
    dataset: DepthDataset, sampler: EpochSampler, workers: int
) -> DataLoader[tuple[Tensor, ...]]:
    """Batches of the sampler, decoded by `workers` processes that live as long as the loader."""
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_one_thread if workers else None,
    )


def batches(loader: DataLoader[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
    """The loader's batches.

    Raises:
        UserError: A file cannot be read; one line, also when it happened in another process.
    """
    try:
        yield from loader
    except UserError as error:
        # torch puts the worker's whole traceback before the line.
        raise UserError(str(error).rpartition("UserError: ")[2], error.exit_code) from None


def _one_thread(_worker: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
