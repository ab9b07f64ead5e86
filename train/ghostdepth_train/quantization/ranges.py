"""Ranges of activations, and how a checkpoint's `ranges.json` holds them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bench_depth.core.errors import UserError

SCHEMA = "ghostdepth-ranges/1"
LOWEST, HIGHEST = -128, 127
# So short a scale times a difference of 8-bit numbers is exact in float32: it goes through
# converters that know a range by its ends, and comes out the same.
SCALE_BITS = 16


def short(scale: float) -> float:
    """A scale rounded to `SCALE_BITS` significant bits."""
    mantissa, exponent = math.frexp(scale)
    return math.ldexp(round(mantissa * 2**SCALE_BITS), exponent - SCALE_BITS)


@dataclass(frozen=True)
class Range:
    """What 8 bits stand for: `scale * (q - zero_point)`, q in -128..127.

    Attributes:
        scale: Above 0, with at most `SCALE_BITS` significant bits.
        zero_point: The q of 0, in -128..127.
    """

    scale: float
    zero_point: int

    @property
    def low(self) -> float:
        """The smallest number."""
        return self.scale * (LOWEST - self.zero_point)

    @property
    def high(self) -> float:
        """The largest number."""
        return self.scale * (HIGHEST - self.zero_point)

    @staticmethod
    def of(low: float, high: float) -> Range:
        """The range that covers `low..high`, and 0, which padding needs.

        The scale is that of the ends; moving them so that 0 is a whole step costs at most half a
        step at one of them (Jacob et al., CVPR 2018, section 3).
        """
        low, high = min(low, 0.0), max(high, 0.0)
        scale = short(max(high - low, 1e-6) / (HIGHEST - LOWEST))
        return Range(scale, min(max(round(LOWEST - low / scale), LOWEST), HIGHEST))


# The camera's bytes, and what sigmoid and softmax give in every int8 file.
PIXELS = Range(1.0, LOWEST)
FRACTIONS = Range(1 / 256, LOWEST)
# The state of a stream, which lies between -1 and 1 as a tanh does.
STATE = Range(1 / 128, 0)


def write_ranges(ranges: Mapping[str, Range]) -> dict[str, Any]:
    """Ranges as JSON values."""
    rows = {
        name: {"scale": range_.scale, "zero_point": range_.zero_point}
        for name, range_ in ranges.items()
    }
    return {"schema": SCHEMA, "activations": rows}


def read_ranges(value: Any, names: Collection[str], where: str) -> dict[str, Range]:
    """Ranges from JSON values.

    Args:
        value: As `write_ranges` gives it.
        names: Names of the tensors that the network quantizes.
        where: Name of the file, for messages.

    Raises:
        UserError: It is something else, or of another network.
    """
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise UserError(f"{where} is not a {SCHEMA} file; quantize the checkpoint again")
    rows = value.get("activations")
    if not isinstance(rows, dict) or rows.keys() != set(names):
        raise UserError(
            f"{where} holds ranges of another network than the checkpoint's; "
            "quantize the checkpoint again"
        )
    return {name: _range(row, f"{where}: {name}") for name, row in rows.items()}


def _range(row: Any, where: str) -> Range:
    scale, zero_point = (row.get(key) if isinstance(row, dict) else None for key in _FIELDS)
    good = isinstance(scale, float) and 0 < scale < math.inf and short(scale) == scale
    if not good or not isinstance(zero_point, int) or not LOWEST <= zero_point <= HIGHEST:
        raise UserError(f"{where} has no scale above 0 and zero point in -128..127")
    assert isinstance(scale, float)
    return Range(scale, zero_point)


_FIELDS = ("scale", "zero_point")
