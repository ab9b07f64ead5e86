"""What all configs share: plain, finite numbers within bounds."""

from __future__ import annotations

import typing
from typing import Annotated, Any

import pydantic
from bench_depth.core.bounds import BOUNDS

# Far above what anyone trains, far below what exhausts the memory by a slip of the hand.
MAX_SIDE = 4096
MAX_CHANNELS = 8192
MAX_EPOCHS = int(BOUNDS["epochs"][1])
MAX_SEED = 2**63 - 2
Channels = Annotated[int, pydantic.Field(gt=0, le=MAX_CHANNELS)]
Weight = Annotated[float, pydantic.Field(ge=0, le=1e6)]
Positive = Annotated[float, pydantic.Field(gt=0, le=1e6)]
BatchSize = Annotated[int, pydantic.Field(ge=1, le=4096)]
# Of batches, steps or images.
Count = Annotated[int, pydantic.Field(ge=1, le=10**9)]
# Rows or columns of a network's input: one pixel at stride 32 is the least.
Side = Annotated[int, pydantic.Field(ge=32, le=MAX_SIDE)]
# Rows or columns of mirror image beside the picture, within the network's input.
Border = Annotated[int, pydantic.Field(ge=0, le=64)]


class Config(pydantic.BaseModel):
    """Plain, finite numbers: an unknown field is an error, nothing changes after reading."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _numbers_are_no_booleans(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        # YAML reads `yes`, `on` and `true` as True, which pydantic takes for 1.
        field = cls.model_fields[str(info.field_name)]
        if not _mentions_bool(field.annotation) and _holds_bool(value):
            raise ValueError(
                "must not be a boolean: YAML reads yes, no, on, off, true, false as one"
            )
        return value


def _mentions_bool(annotation: Any) -> bool:
    return annotation is bool or any(map(_mentions_bool, typing.get_args(annotation)))


def _holds_bool(value: Any) -> bool:
    """Whether it is a boolean or a list with one; configs within it have a check of their own."""
    if isinstance(value, (list, tuple)):
        return any(map(_holds_bool, value))
    return isinstance(value, bool)
