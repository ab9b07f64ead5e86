"""Weights that are mostly zero, stored as one bit a weight and the values that are not zero.

In `model.safetensors` such a tensor KEY is two: `KEY.bitmap`, uint8, the first weight in the
highest bit, and `KEY.values`, in the order of the set bits. The header's note has its shape. Only
the bits of +0.0 count as zero, so that the round trip is exact to the bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from bench_depth.core.errors import UserError
from bench_depth.core.json_text import dumps
from safetensors.torch import save
from torch import Tensor

_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
_NOTE = "sparse"


def pack(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], Any]:
    """Packs the weights (not biases, norms and counters) that get smaller by it.

    Args:
        tensors: Contiguous, on the CPU.

    Returns:
        The tensors to store and the note they need, or None where nothing was packed.
    """
    packed, shapes = dict[str, Tensor](), dict[str, list[int]]()
    for key, tensor in tensors.items():
        if tensor.ndim < 2 or not tensor.is_floating_point():
            packed[key] = tensor
            continue
        present = tensor.view(_BITS[tensor.itemsize]).flatten() != 0
        bitmap = np.packbits(present.numpy())
        if len(bitmap) + int(present.sum()) * tensor.itemsize >= tensor.nbytes:
            packed[key] = tensor
            continue
        packed[f"{key}.bitmap"] = torch.from_numpy(bitmap)
        packed[f"{key}.values"] = tensor.flatten()[present]
        shapes[key] = list(tensor.shape)
    return packed, {_NOTE: shapes} if shapes else None


def unpack(tensors: dict[str, Tensor], note: Any, where: str) -> dict[str, Tensor]:
    """What was packed.

    Args:
        tensors: As stored.
        note: As stored.
        where: The file, for messages.

    Raises:
        UserError: A part is missing, or the parts do not fit each other.
    """
    shapes = note.get(_NOTE, {}) if isinstance(note, dict) else {}
    if not isinstance(shapes, dict) or not all(map(_is_shape, shapes.values())):
        raise UserError(f"{where}: the note in its header has no list of shapes; copy it again")
    dense = dict(tensors)
    for key, shape in shapes.items():
        try:
            bitmap, values = dense.pop(f"{key}.bitmap"), dense.pop(f"{key}.values")
        except KeyError as error:
            raise UserError(f"{where} lacks tensor {error}; copy the file again") from error
        count = math.prod(shape)
        if not values.is_floating_point():
            raise UserError(f"{where}: {key}.values are no floating-point numbers; copy it again")
        if bitmap.dtype != torch.uint8 or bitmap.shape != ((count + 7) // 8,):
            raise UserError(f"{where}: {key}.bitmap does not fit {shape}; copy the file again")
        present = torch.from_numpy(np.unpackbits(bitmap.numpy(), count=count)).bool()
        if values.shape != (int(present.sum()),):
            raise UserError(f"{where}: {key}.values does not fit its bitmap; copy the file again")
        full = torch.zeros(count, dtype=values.dtype)
        full[present] = values
        dense[key] = full.reshape(shape)
    return dense


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(type(side) is int and side >= 0 for side in value)


def stored_bytes(tensors: dict[str, Tensor]) -> int:
    """The size of `model.safetensors` with these tensors."""
    contiguous = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    packed, note = pack(contiguous)
    return len(save(packed, None if note is None else {"note": dumps(note)}))
